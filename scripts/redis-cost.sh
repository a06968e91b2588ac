#!/usr/bin/env bash
# Measures what an audit costs a Redis, with the release binary, on private servers that it starts and stops:
#
#   scripts/redis-cost.sh impact [AUDITS]    the share of the server's thread that an audit takes, and throughput of redis-benchmark with
#                                            and without an audit beside it, in pairs of half seconds; 8 audits
#   scripts/redis-cost.sh keys [MILLIONS…]   an audit of so many keys beside redis-cli --bigkeys and --memkeys; 1 and 10
#
# Needs redis-server, redis-cli, redis-benchmark, jq and GNU time. Ten million keys take 2 GB of memory.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
binary=${MEDUSA_ADVISOR:-${CARGO_TARGET_DIR:-target}/release/medusa-advisor}
[[ -x $binary ]] || { echo "Build it first: cargo build --release" >&2; exit 2; }
work=$(mktemp -d)
export MEDUSA_ADVISOR_HOME=$work/home
server=
trap 'kill ${server:-} 2>/dev/null || true; rm -rf "$work"' EXIT

main() {
    case ${1:-} in
        impact) impact "${2:-8}" ;;
        keys) shift; keys "${@:-1 10}" ;;
        *) sed -n '2,8s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
    esac
}

start_server() {
    port=$((20000 + RANDOM % 12000))
    taskset -c 0 redis-server --port "$port" --bind 127.0.0.1 --save '' --appendonly no --dir "$work" --enable-debug-command yes >"$work/redis.log" 2>&1 &
    server=$!
    until redis-cli -p "$port" ping >/dev/null 2>&1; do sleep 0.05; done
}

stop_server() {
    kill "$server"
    wait "$server" 2>/dev/null || true
    server=
}

# fill MILLIONS: cache entries as Medusa writes them (hashes with a lifetime), sessions, and one in a thousand large.
fill() {
    local millions=$1 part
    for part in $(seq 0 $((millions * 10 - 1))); do
        redis-cli -p "$port" eval '
            local base = tonumber(ARGV[1]) * 100000
            local entry, session = string.rep("x", 120), string.rep("s", 60)
            for i = base, base + 99999 do
                if i % 1000 == 0 then
                    redis.call("set", "catalog:page:" .. i, string.rep("y", 4000), "ex", 3600)
                elseif i % 5 == 0 then
                    redis.call("set", "sess:" .. string.format("%032d", i), session, "ex", 36000)
                else
                    redis.call("hset", "mc:" .. string.format("%016x", i), "data", entry, "options", "{}")
                    redis.call("expire", "mc:" .. string.format("%016x", i), 3600)
                end
            end' 0 "$part" >/dev/null
    done
}

commands() { redis-cli -p "$port" info stats | sed -nE 's/^total_commands_processed:([0-9]+).*/\1/p'; }
bytes_out() { redis-cli -p "$port" info stats | sed -nE 's/^total_net_output_bytes:([0-9]+).*/\1/p'; }

# What an audit reads its sample of keys with; the load sends none of it.
SAMPLING='scan|type|ttl|pttl|memory\|usage'

# calls_of NAMES, as in a pattern: an audit sends no SET.
calls_of() {
    redis-cli -p "$port" info commandstats | sed -nE "s/^cmdstat_($1):calls=([0-9]+).*/\\2/p" | awk '{n += $1} END {print n + 0}'
}

# Processor seconds of the server so far.
server_cpu() { awk '{printf "%.2f\n", ($14 + $15) / '"$(getconf CLK_TCK)"'}' "/proc/$server/stat"; }

# share SECONDS COMMAND…: percent of those seconds that the server's one thread was busy meanwhile.
share() {
    local seconds=$1 before
    shift
    before=$(server_cpu)
    "$@" >/dev/null 2>&1 &
    local running=$!
    sleep "$seconds"
    awk -v a="$before" -v b="$(server_cpu)" -v s="$seconds" 'BEGIN {printf "%.2f\n", (b - a) / s * 100}'
    wait "$running" || true
}

# One load runs throughout. The audit beside it is stopped and continued every half second (SIGSTOP, SIGCONT), and each half second with it is
# paired with the one without it next to it: what makes a virtual machine twice as fast from one minute to the next is the same for both.
impact() {
    local audits=$1 load audit
    start_server
    fill 1
    echo "busy with nothing: $(share 18 true) %; with the sample of an audit: $(share 18 "$binary" audit --redis "redis://127.0.0.1:$port" --window 20s --quiet --out "$work/b.json") % of the server's thread"
    # Pipelines keep the server busy, not the machine's other core: what is measured is the server's time.
    taskset -c 1 redis-benchmark -p "$port" -t set -P 16 -n 2000000000 -r 100000 -d 100 -q >/dev/null 2>&1 &
    load=$!
    sleep 2
    for _ in $(seq "$audits"); do
        taskset -c 1 "$binary" audit --redis "redis://127.0.0.1:$port" --window 5s --quiet --out "$work/a.json" >/dev/null 2>&1 &
        audit=$!
        pairs_of "$audit"
        kill -CONT "$audit" 2>/dev/null || true
        wait "$audit" || true
    done
    kill "$load"
    wait "$load" 2>/dev/null || true
    stop_server
    # Change of each pair in percent: median, mean and its 95 % interval.
    sort -n "$work/changes" | awk '{v[NR] = $1; sum += $1; squares += $1 * $1}
        END {
            mean = sum / NR; error = sqrt((squares / NR - mean * mean) / (NR - 1))
            median = NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2
            printf "%d pairs of half a second: median %+.1f %%, mean %+.1f %% (95 %% interval %+.1f to %+.1f %%)\n", NR, median, mean, mean - 1.96 * error, mean + 1.96 * error
        }'
}

# pairs_of PID: with and without, without and with, in turn, while that audit samples.
pairs_of() {
    local audit=$1 with without sampled
    while kill -0 "$audit" 2>/dev/null; do
        sampled=$(calls_of "$SAMPLING")
        kill -CONT "$audit" 2>/dev/null || return 0
        with=$(rate)
        # It waits for its window or has ended: nothing to compare.
        (($(calls_of "$SAMPLING") > sampled)) || { sleep 0.5; continue; }
        kill -STOP "$audit" 2>/dev/null || return 0
        without=$(rate)
        pair "$with" "$without"
        without=$(rate)
        sampled=$(calls_of "$SAMPLING")
        kill -CONT "$audit" 2>/dev/null || return 0
        with=$(rate)
        if (($(calls_of "$SAMPLING") > sampled)); then
            pair "$with" "$without"
        fi
    done
}

pair() { awk -v a="$2" -v b="$1" 'BEGIN {print (b / a - 1) * 100}' >>"$work/changes"; }

# SET a second over half a second, as the server counts them.
rate() {
    local before start after end
    before=$(calls_of set) start=$EPOCHREALTIME
    sleep 0.5
    after=$(calls_of set) end=$EPOCHREALTIME
    awk -v a="$before" -v b="$after" -v s="$start" -v e="$end" 'BEGIN {printf "%.0f\n", (b - a) / (e - s)}'
}

keys() {
    local millions
    for millions in $1 ${2:-}; do
        start_server
        fill "$millions"
        echo "== $(redis-cli -p "$port" dbsize) keys, $(redis-cli -p "$port" info memory | sed -nE 's/^used_memory_human:(.*)\r?/\1/p')"
        measured "medusa-advisor audit (10,000 keys, 5 s window)" "$binary" audit --redis "redis://127.0.0.1:$port" --window 5s --quiet --out "$work/a.json" "$work/a.snapshot"
        measured "redis-cli --bigkeys" redis-cli -p "$port" --bigkeys
        measured "redis-cli --memkeys" redis-cli -p "$port" --memkeys
        stop_server
    done
}

measured() {
    local name=$1 commands bytes
    shift
    commands=$(commands) bytes=$(bytes_out)
    /usr/bin/time -f '%e s, %M KiB' -o "$work/time" "$@" >/dev/null 2>&1 || true
    printf '%-48s %s, %d commands, %d bytes answered\n' "$name" "$(tail -1 "$work/time")" $(($(commands) - commands)) $(($(bytes_out) - bytes))
}

main "$@"
