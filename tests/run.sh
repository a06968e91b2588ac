#!/usr/bin/env bash
# Runs every test there is: `tests/run.sh`. Installs what is missing (Debian, Ubuntu), starts private servers, stops them.
#
#   tests/run.sh             every tier
#   tests/run.sh tidy live   these tiers only: tidy unit golden property other ui live window commands
#   tests/run.sh planted     one store with every fault and as many traps (docs/planted-store.md); by its name only, it wants a quiet machine
#   tests/run.sh matrix      the live tests of Postgres on every version of it (tests/postgres-matrix.sh); by its name only, it takes long
#   tests/run.sh redis-matrix  the live tests of Redis on Redis 6 to 8 and Valkey (tests/redis-matrix.sh); by its name only, it takes long
#
# Environment:
#   ADVISOR_NO_INSTALL=1     install nothing; what is missing is skipped by name
#   ADVISOR_KEEP=1           keep the temporary folder with every log
#   ADVISOR_TEST_MEDUSA      folder of an installed Medusa 2 project: live_redis audits it too
#   ADVISOR_TEST_MEDUSA_V1   folder of an installed Medusa 1 project; live_redis installs one below ADVISOR_NODE_CACHE otherwise
#   ADVISOR_NODE_CACHE       where the npm packages of the live tests are kept; /var/tmp/advisor-node
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=tests/packages.sh
source tests/packages.sh
# shellcheck source=tests/services.sh
source tests/services.sh
# shellcheck source=tests/smoke.sh
source tests/smoke.sh

TIERS=(tidy unit golden property other ui live window commands planted matrix redis-matrix)
# Run by their names only.
ASKED_FOR=(planted matrix redis-matrix)
WANTED=("$@")
WORK=$(mktemp -d "${TMPDIR:-/tmp}/advisor-tests.XXXXXX")
SERVICES=$WORK/services
LOGS=$WORK/logs
mkdir -p "$SERVICES" "$LOGS" "$WORK/scratch"
chmod 711 "$WORK"
ROWS=() SKIPS=()
PASSED=0 FAILED=0 SKIPPED=0

finish() {
    local status=$?
    trap - EXIT INT TERM
    stop_services
    if [[ -n ${ADVISOR_KEEP:-} ]]; then
        echo "Logs are in $LOGS"
    else
        rm -rf "$WORK"
    fi
    exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

main() {
    check_arguments
    require_rust || exit 1
    require_room "$WORK" "$TESTING_GIB" "a run of the tests" || exit 1
    prepare_machine
    prepare_tests
    local tier
    for tier in "${TIERS[@]}"; do
        if wanted "$tier"; then
            run_tier "$tier"
        elif [[ ${#WANTED[@]} -eq 0 ]]; then
            SKIPS+=("$tier: the whole tier, run by its name only")
        fi
    done
    summary
    ((FAILED == 0))
}

check_arguments() {
    local name
    for name in "${WANTED[@]+"${WANTED[@]}"}"; do
        if [[ " ${TIERS[*]} " != *" $name "* ]]; then
            echo "Unknown tier $name. There are: ${TIERS[*]}" >&2
            exit 2
        fi
    done
}

wanted() { [[ (${#WANTED[@]} -eq 0 && " ${ASKED_FOR[*]} " != *" $1 "*) || " ${WANTED[*]} " == *" $1 "* ]]; }

prepare_machine() {
    local missing
    if [[ -n ${ADVISOR_NO_INSTALL:-} ]]; then
        return
    fi
    mapfile -t missing < <({
        building_needs
        testing_needs
    } | missing_packages)
    install_packages "${missing[@]+"${missing[@]}"}" || true
    install_hypopg || true
}

# Compiles everything once, so that a tier's time is its own. The program is built with the integration tests.
prepare_tests() {
    echo "Building the tests"
    if cargo nextest --version >/dev/null 2>&1; then
        RUNNER="nextest"
        cargo nextest run --no-run
    else
        RUNNER="test"
        cargo test --no-run
    fi
    local target
    target=$(cargo metadata --no-deps --format-version 1 | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
    ADVISOR=${ADVISOR_BINARY:-$target/debug/medusa-advisor}
}

# The test programs by tier: their names say where they belong.
targets_of() {
    local path name tier
    for path in tests/*.rs tests/*/main.rs; do
        name=$(basename "${path%/main.rs}" .rs)
        case $name in
            tidy) tier=tidy ;;
            golden*) tier=golden ;;
            propert*) tier=property ;;
            ui | ui_*) tier=ui ;;
            live_planted) tier=planted ;;
            live | live_*) tier=live ;;
            *) tier=other ;;
        esac
        if [[ -e $path && $tier == "$1" ]]; then
            printf -- '--test\n%s\n' "$name"
        fi
    done
}

run_tier() {
    local tier=$1 started=$SECONDS
    TIER_PASSED=0 TIER_FAILED=0 TIER_SKIPPED=0
    case $tier in
        window) window_tier ;;
        commands) commands_tier ;;
        matrix) matrix_tier tests/postgres-matrix.sh Postgres ;;
        redis-matrix) matrix_tier tests/redis-matrix.sh Server ;;
        *) cargo_tier "$tier" ;;
    esac
    PASSED=$((PASSED + TIER_PASSED)) FAILED=$((FAILED + TIER_FAILED)) SKIPPED=$((SKIPPED + TIER_SKIPPED))
    ROWS+=("$(printf '%-12s %7d %7d %8d %6d s' "$tier" "$TIER_PASSED" "$TIER_FAILED" "$TIER_SKIPPED" $((SECONDS - started)))")
    printf '%-12s %d passed, %d failed, %d skipped\n' "$tier" "$TIER_PASSED" "$TIER_FAILED" "$TIER_SKIPPED"
}

cargo_tier() {
    local tier=$1 targets
    mapfile -t targets < <(targets_of "$tier")
    case $tier in
        unit) targets=(--lib --bins) ;;
        live | planted) start_services ;;
    esac
    if [[ ${#targets[@]} -eq 0 ]]; then
        skip "$tier" "there is no such test yet"
        return
    fi
    local log=$LOGS/$tier.log status=0
    ADVISOR_TEST_DIR=$WORK/scratch run_cargo "$tier" "${targets[@]}" >"$log" 2>&1 || status=$?
    count_results "$log" "$tier"
    if ((status != 0)); then
        ((TIER_FAILED > 0)) || TIER_FAILED=1
        cat "$log"
    fi
}

# matrix_tier SCRIPT HEADING: the rows of its table, which begins with that word, are its results.
matrix_tier() {
    local log=$LOGS/$tier.log
    "$1" >"$log" 2>&1 || true
    sed -n "/^$2 /,\$p" "$log"
    read -r TIER_PASSED TIER_FAILED TIER_SKIPPED < <(awk -v heading="$2" '
        $1 == heading {is_table = 1; next}
        is_table && NF == 7 && $7 == "s" {p += $3; f += $4; s += $5}
        END {print p + 0, f + 0, s + 0}' "$log")
    if ((TIER_PASSED + TIER_FAILED + TIER_SKIPPED == 0)); then
        TIER_FAILED=1
        tail -20 "$log"
    fi
}

run_cargo() {
    local tier=$1 threads=()
    shift
    # Live tests measure servers, so those of one kind take turns (.config/nextest.toml says which). What a busy machine spoils is tried
    # again, and the runner calls it flaky.
    [[ $tier != live && $tier != planted ]] || threads=(--test-threads 1)
    if [[ $RUNNER == nextest ]]; then
        [[ $tier != live ]] || threads=(--test-threads 3)
        [[ $tier != live && $tier != planted ]] || threads+=(--retries 2)
        cargo nextest run "$@" "${threads[@]+"${threads[@]}"}" --no-fail-fast --no-tests pass --color never \
            --status-level fail --final-status-level none --success-output final --failure-output final
    else
        cargo test "$@" --no-fail-fast -- "${threads[@]+"${threads[@]}"}" --show-output
    fi
}

# Tests that lack something print "skipped: why" and count as skipped, whatever the runner calls them.
count_results() {
    local log=$1 tier=$2 passed failed ignored reason
    if [[ $RUNNER == nextest ]]; then
        passed=$(summed_up passed "$log")
        failed=$(summed_up '(failed|timed out|exec failed)' "$log")
        ignored=$(summed_up skipped "$log")
    else
        passed=$(sum_of passed "$log") failed=$(sum_of failed "$log") ignored=$(sum_of ignored "$log")
    fi
    TIER_PASSED=${passed:-0} TIER_FAILED=${failed:-0} TIER_SKIPPED=${ignored:-0}
    while read -r reason; do
        TIER_SKIPPED=$((TIER_SKIPPED + 1)) TIER_PASSED=$((TIER_PASSED - 1))
        SKIPS+=("$tier: $reason")
    done < <(sed -nE 's/^[[:space:]]*skipped: *//p' "$log")
    if ((${ignored:-0} > 0)); then
        SKIPS+=("$tier: marked #[ignore] ($ignored tests)")
    fi
}

# nextest says "Summary [ 0.2s] 35 tests run: 34 passed (1 slow), 1 failed, 0 skipped".
summed_up() {
    { grep -E '^ +Summary \[' "$2" || true; } | { grep -oE "[0-9]+ $1" || true; } | awk '{n += $1} END {print n + 0}'
}

sum_of() { { grep -E '^test result:' "$2" || true; } | { grep -oE "[0-9]+ $1" || true; } | awk '{n += $1} END {print n + 0}'; }

skip() {
    TIER_SKIPPED=$((TIER_SKIPPED + 1))
    SKIPS+=("$1: $2")
}

# Each server that cannot be started leaves its variable unset; the tests that need it say so and are counted as skipped.
start_services() {
    local nginx varnish
    mkdir -p "$SERVICES"
    start_postgres || service_missing Postgres postgres
    if [[ -n ${ADVISOR_TEST_POSTGRES:-} ]]; then
        start_pgbouncer || service_missing PgBouncer pgbouncer
    fi
    start_redis || service_missing Redis redis
    if nginx=$(find_program nginx); then export ADVISOR_TEST_NGINX=$nginx; else service_missing nginx nginx; fi
    if varnish=$(find_program varnishd); then export ADVISOR_TEST_VARNISHD=$varnish; else service_missing Varnish varnish; fi
    find_program squid >/dev/null || service_missing Squid squid
}

service_missing() {
    SKIPS+=("live: $1 is not installed or did not start; the tests that need it are skipped")
    cat "$SERVICES/initdb.log" "$SERVICES/$2/log" "$SERVICES/$2.log" 2>/dev/null | tail -5 >&2 || true
}

summary() {
    echo
    printf '%-12s %7s %7s %8s %8s\n' tier passed failed skipped time
    printf '%s\n' "${ROWS[@]}"
    if [[ ${#WANTED[@]} -gt 0 ]]; then
        local tier
        for tier in "${TIERS[@]}"; do
            wanted "$tier" || SKIPS+=("$tier: the whole tier, not asked for")
        done
    fi
    if [[ ${#SKIPS[@]} -gt 0 ]]; then
        echo
        echo "Skipped:"
        printf '%s\n' "${SKIPS[@]}" | sort | uniq -c | sed -E 's/^ +1 /  /; s/^ +([0-9]+) (.*)/  \2 (\1 times)/'
    fi
    echo
    echo "$PASSED passed, $FAILED failed, $SKIPPED skipped"
}

main
