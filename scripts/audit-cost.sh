#!/usr/bin/env bash
# Measures what an audit costs a database with many objects, at a quarter, a half and the whole of 3,000 tables, 10,000 indexes and
# 5,000 statements: `scripts/audit-cost.sh`. docs/performance.md states the figures.
#
#   MEDUSA_ADVISOR=PATH      the program; target/release/medusa-advisor
#   ADVISOR_POSTGRES_BIN=DIR the server's programs; the newest that is installed
#   ADVISOR_COST_KEEP=DIR    keep the snapshots and reports there
#   ADVISOR_COST_RUNS=N      audits of each size, the quickest is printed; 3
#
# Needs psql, jq and GNU time. It starts a private server and stops it again.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=tests/packages.sh
source tests/packages.sh
# shellcheck source=tests/services.sh
source tests/services.sh

binary=${MEDUSA_ADVISOR:-${CARGO_TARGET_DIR:-target}/release/medusa-advisor}
[[ -x $binary ]] || { echo "Build it first: cargo build --release" >&2; exit 2; }
runs=${ADVISOR_COST_RUNS:-3}
WORK=$(mktemp -d "${TMPDIR:-/tmp}/advisor-cost.XXXXXX")
chmod 711 "$WORK"
SERVICES=$WORK/services
mkdir -p "$SERVICES"
KEEP=${ADVISOR_COST_KEEP:-$WORK}
mkdir -p "$KEEP"
trap 'stop_services; rm -rf "$WORK"' EXIT
export MEDUSA_ADVISOR_HOME=$WORK/home
ADVISOR_POSTGRES_CONF="pg_stat_statements.max = 10000
autovacuum = off"
start_postgres || { echo "Postgres did not start" >&2; exit 1; }

# One audit: wall beyond the window, database time, queries, bytes, peak memory, the slowest query.
audit() {
    local name=$1 url=$2
    /usr/bin/time -v "$binary" -vv audit --postgres "$url" --window 5s --quiet --out "$KEEP/$name.snapshot" "$KEEP/$name.json" \
        >"$WORK/out" 2>"$WORK/log" || { cat "$WORK/log" >&2; return 1; }
    local memory whole slowest costs
    memory=$(sed -n 's/.*Maximum resident set size (kbytes): //p' "$WORK/log")
    whole=$(sed -nE 's/.*Elapsed \(wall clock\) time.*: ([0-9]+):([0-9.]+)$/\1 \2/p' "$WORK/log" | awk '{print $1 * 60 + $2}')
    slowest=$(sed 's/\x1b\[[0-9;]*m//g' "$WORK/log" | sed -nE 's/.*ms=([0-9.]+) source="?([^"]*)"?.*/\1 \2/p' | sort -rn | head -1)
    costs=$(tail -c +27 "$KEEP/$name.snapshot" | gunzip | jq -r '.costs[] | select(.layer == "postgres") | "\(.wall_ms) \(.busy_ms) \(.calls) \(.bytes)"')
    echo "$costs $memory $whole $slowest"
}

printf '%7s %8s %10s %9s %9s %8s %9s %9s %9s  %s\n' tables indexes statements 'wall ms' 'busy ms' queries bytes 'peak MB' 'all s' 'slowest query, ms'
for part in 4 2 1; do
    tables=$((3000 / part)) indexes=$((10000 / part)) statements=$((5000 / part))
    psql -X -q -d "$ADVISOR_TEST_POSTGRES" -c "create database cost_$tables"
    url=${ADVISOR_TEST_POSTGRES%/*}/cost_$tables
    psql -X -q -v tables=$tables -v indexes=$indexes -v statements=$statements -d "$url" -f scripts/audit-cost.sql >/dev/null
    for ((run = 0; run < runs; run++)); do
        audit "cost-$tables" "$url"
    done | sort -n | head -1 | while read -r wall busy calls bytes memory whole slowest source; do
        printf '%7d %8d %10d %9.0f %9.0f %8d %9d %9.0f %9.1f  %s (%s)\n' "$tables" "$indexes" "$statements" "$wall" "$busy" "$calls" "$bytes" \
            "$((memory / 1024))" "$whole" "$slowest" "$source"
    done
done
