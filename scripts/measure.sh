#!/usr/bin/env bash
# Measures what docs/performance.md states, with the release binary: size, first frame, idle load, memory, report times.
#
#   scripts/measure.sh [POSTGRES_URL]     with a URL: also what an audit costs that database
#
# Needs Xvfb, xdotool, jq and GNU time; tests/run.sh installs the first two.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
binary=${MEDUSA_ADVISOR:-${CARGO_TARGET_DIR:-target}/release/medusa-advisor}
[[ -x $binary ]] || { echo "Build it first: cargo build --release" >&2; exit 2; }
work=$(mktemp -d)
export MEDUSA_ADVISOR_HOME=$work/home LIBGL_ALWAYS_SOFTWARE=1
trap 'kill ${window:-} ${screen:-} 2>/dev/null || true; rm -rf "$work"' EXIT

echo "binary: $(stat -c %s "$binary") bytes"
for ending in json md html pdf; do
    /usr/bin/time -f "demo --out r.$ending: %e s, %M KiB" "$binary" demo --out "$work/r.$ending"
done

display=:$((90 + RANDOM % 100))
Xvfb "$display" -screen 0 1280x800x24 >/dev/null 2>&1 & screen=$!
sleep 1
start=$(date +%s%N)
DISPLAY=$display "$binary" -v 2>"$work/log" & window=$!
for _ in $(seq 200); do grep -q 'first frame' "$work/log" && break; sleep 0.02; done
end=$(date +%s%N)
echo "start to first frame: $(((end - start) / 1000000)) ms by the clock; $(sed 's/\x1b\[[0-9;]*m//g' "$work/log" | grep -o 'milliseconds=[0-9]*' || true) since main"
sleep 5
busy() { awk '{print $14 + $15}' "/proc/$window/stat"; }
before=$(busy); sleep 10; after=$(busy)
echo "idle for 10 s: $((after - before)) ticks of $(getconf CLK_TCK) a second"
echo "resident: $(awk '/VmRSS/ {print $2}' "/proc/$window/status") KiB"
kill "$window"; wait "$window" 2>/dev/null || true; window=

if [[ -n ${1:-} ]]; then
    /usr/bin/time -f "audit: %e s, %M KiB" "$binary" audit --postgres "$1" --window 5s --quiet --out "$work/a.json" "$work/a.snapshot"
    tail -c +27 "$work/a.snapshot" | gunzip | jq -c '.costs'
fi
