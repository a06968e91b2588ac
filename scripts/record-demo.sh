#!/bin/sh
# Records the embedded demo store: builds a realistic Medusa v2 store with planted faults on private services, puts it
# under load and lets the product audit it.
#
# Usage: scripts/record-demo.sh DATABASE_URL [options]
#   DATABASE_URL         a migrated and seeded Medusa v2 database; it is only read (pg_dump)
#   --medusa DIR         an installed Medusa v2 project: serves the store API during the recording (needs node).
#                        Its configuration should read DATABASE_URL, REDIS_URL and, for the caching module, CACHE_REDIS_URL
#   --window 30s         the observation window; longer on a slow machine: a P95 needs twenty timed answers
#   --warm-up 30         seconds of load before the audit
#   --pace 1             how fast shoppers come: less on a slow or busy machine, whose queues would be all the audit sees
#   --counters-age 40    days the database's counters claim to be old (needs libfaketime; without it they are young and
#                        pg-unused-index stays unknown)
#   --single-redis       one Redis for jobs and cache instead of two
#   --out FILE           default assets/demo.snapshot; may be given again
#   --no-audit           build, load and verify only
#   --keep               leave everything running and print the addresses; Enter ends it
# Environment: MEDUSA_ADVISOR, the binary to record with (default: cargo run --release).
# Needs: Postgres 14 or newer with contrib (server binaries), redis-server, nginx, python3, curl. Loopback only; everything lives in a
# temporary folder and is ended by process id. Takes about three minutes.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
source_url= medusa= window=30s warm_up=30 pace=1 age=40 redis_count=2 audit=1 keep= outs=
while [ $# -gt 0 ]; do
    case $1 in
    --medusa) medusa=$2; shift 2 ;;
    --window) window=$2; shift 2 ;;
    --warm-up) warm_up=$2; shift 2 ;;
    --pace) pace=$2; shift 2 ;;
    --counters-age) age=$2; shift 2 ;;
    --single-redis) redis_count=1; shift ;;
    --out) outs="$outs --out $2"; shift 2 ;;
    --no-audit) audit=; shift ;;
    --keep) keep=1; shift ;;
    -*) echo "unknown option $1" >&2; exit 2 ;;
    *) source_url=$1; shift ;;
    esac
done
[ -n "$source_url" ] || { sed -n '2,/^set -eu/s/^# \{0,1\}//p' "$0" >&2; exit 2; }
outs=${outs:---out "$root/assets/demo.snapshot"}
for tool in psql pg_dump redis-server redis-cli nginx python3 curl; do
    command -v $tool > /dev/null || { echo "$tool is missing" >&2; exit 2; }
done
pg_bin=$(ls -d /usr/lib/postgresql/*/bin 2> /dev/null | sort -t/ -k5 -n | tail -1)
[ -n "$pg_bin" ] || pg_bin=$(pg_config --bindir)
as=
[ "$(id -u)" -ne 0 ] || as="runuser -u postgres --"

dir=$(mktemp -d "${TMPDIR:-/tmp}/medusa-advisor-demo.XXXXXX")
chmod 755 "$dir"
pids=
say() { echo "$(date +%T) $*" >&2; }
finish() {
    trap - EXIT INT TERM
    for pid in $pids; do kill "$pid" 2> /dev/null || true; done
    [ ! -f "$dir/nginx.pid" ] || kill "$(cat "$dir/nginx.pid")" 2> /dev/null || true
    [ ! -f "$dir/pg/postmaster.pid" ] || $as "$pg_bin/pg_ctl" -D "$dir/pg" -m immediate stop > /dev/null 2>&1 || true
    wait 2> /dev/null || true
    rm -rf "$dir"
}
trap finish EXIT
trap 'exit 130' INT TERM

# Eight free ports, held together while they are picked so that they differ.
set -- $(python3 -c '
import socket
held = [socket.socket() for _ in range(8)]
for s in held: s.bind(("127.0.0.1", 0))
print(*[s.getsockname()[1] for s in held])')
pg_port=$1 jobs_port=$2 cache_port=$3 origin_port=$4 edge_port=$5 api_port=$6 cloudflare_port=$7
[ $redis_count -eq 2 ] || cache_port=$jobs_port

await() { # await SECONDS COMMAND...
    left=$(($1 * 5)); shift
    until "$@" > /dev/null 2>&1; do
        left=$((left - 1))
        [ $left -gt 0 ] || { say "gave up waiting for: $*"; exit 1; }
        sleep 0.2
    done
}
sql() { psql -XqAt -v ON_ERROR_STOP=1 -h 127.0.0.1 -p "$pg_port" -U postgres -d demo "$@"; }

# ---- Postgres ----

postgres_start() { # postgres_start [NAME=VALUE...]: with this environment
    # Not -w: under another clock pg_ctl waits for ever.
    $as env "$@" "$pg_bin/pg_ctl" -D "$dir/pg" -l "$dir/pg/log" -W start > /dev/null
    await 60 "$pg_bin/pg_isready" -q -h 127.0.0.1 -p "$pg_port"
}
mkdir "$dir/pg"
[ -z "$as" ] || chown postgres "$dir/pg"
$as "$pg_bin/initdb" -D "$dir/pg" -U postgres -A trust -E UTF8 --locale=C.UTF-8 --no-sync > /dev/null
cat >> "$dir/pg/postgresql.conf" << CONF
port = $pg_port
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
shared_preload_libraries = 'pg_stat_statements'
fsync = off
CONF
# The library without its wrapper, which does not return from starting a daemon.
past=
clock=$(ls /usr/lib/*/faketime/libfaketime.so.1 2> /dev/null | head -1)
if [ "$age" -gt 0 ] && [ -n "$clock" ]; then past="LD_PRELOAD=$clock FAKETIME=-${age}d FAKETIME_DONT_FAKE_MONOTONIC=1"; else age=0; fi
say "Postgres on port $pg_port, counters $age days old"
postgres_start $past
# The store has a role of its own, as a careful operator gives it: postgres counts as no application.
psql -Xq -h 127.0.0.1 -p "$pg_port" -U postgres -d postgres -c 'create role medusa login' -c 'create database demo owner medusa'
say "copying the migrated store"
pg_dump --no-owner --no-privileges -f "$dir/store.sql" "$source_url"
sed -i '/^CREATE EXTENSION.*hypopg/d; /^COMMENT ON EXTENSION/d' "$dir/store.sql"
# Extensions need a superuser; everything else becomes the store's.
grep '^CREATE EXTENSION' "$dir/store.sql" > "$dir/extensions.sql" || true
sql -f "$dir/extensions.sql"
sql -U medusa -f "$dir/store.sql" > /dev/null
rm "$dir/store.sql" "$dir/extensions.sql"
sql -c 'create extension if not exists pg_stat_statements' 2> /dev/null
sql -c 'create extension if not exists hypopg' 2> /dev/null || say "hypopg is not installed: missing indexes will not be proved"
say "filling it"
sql -v tend="$(date -u +%FT%TZ)" -f "$here/demo-fill.sql" > /dev/null
sql -f "$here/demo-faults.sql" > /dev/null
sql -c "do \$\$ declare t regclass; begin for t in select oid from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r' and relowner = 'postgres'::regrole loop
    execute format('alter table %s owner to medusa', t); end loop; end \$\$"
sql -c "create role advisor login; grant pg_monitor, pg_read_all_data to advisor"
# The reset forgets row counts too; analyze brings them back.
sql -c 'select pg_stat_reset(), pg_stat_statements_reset()' -c analyze > /dev/null
if [ -n "$past" ]; then
    $as "$pg_bin/pg_ctl" -D "$dir/pg" -m fast -w stop > /dev/null
    postgres_start
fi

# A transaction left open: it makes the concurrent build below wait until it is given up, and keeps dead rows from vacuum.
python3 "$here/demo-load.py" hold --postgres-port "$pg_port" --database demo > "$dir/hold.log" &
pids="$pids $!"
await 10 grep -q holding "$dir/hold.log"
sql -c "set statement_timeout = '6s'" -c 'create index concurrently "IDX_product_review_product_id" on product_review (product_id)' 2> /dev/null && {
    say "the concurrent build was not interrupted"; exit 1; }
sql -c "update cart set metadata = '{\"reminder\": \"sent\"}' where id < (select id from cart order by id offset 45000 limit 1)"
# Forget the statements of the building, keep the age of the counters.
sql -c 'select count(pg_stat_statements_reset(0, 0, queryid)) from pg_stat_statements' > /dev/null

# ---- Redis ----

redis_start() { # redis_start PORT NAME
    redis-server --bind 127.0.0.1 --port "$1" --dir "$dir" --save '' --appendonly no --daemonize no > "$dir/redis-$2.log" 2>&1 &
    pids="$pids $!"
    await 10 redis-cli -p "$1" ping
}
redis_start "$jobs_port" jobs
[ $redis_count -eq 1 ] || redis_start "$cache_port" cache
say "Redis on ports $jobs_port (jobs, sessions) and $cache_port (cache)"
python3 "$here/demo-load.py" fill-redis --jobs "$jobs_port" --cache "$cache_port"

# ---- storefront behind a cache, and the CDN's API ----

python3 "$here/demo-origin.py" "$origin_port" 2> "$dir/origin.log" &
pids="$pids $!"
python3 "$here/demo-cloudflare.py" "$cloudflare_port" 2> "$dir/cloudflare.log" &
pids="$pids $!"
mkdir "$dir/temp" "$dir/cache"
chmod 777 "$dir/temp" "$dir/cache"
cat > "$dir/nginx.conf" << CONF
worker_processes 1;
pid $dir/nginx.pid;
error_log $dir/nginx.log;
events {}
http {
    access_log off;
    client_body_temp_path $dir/temp/body;
    proxy_temp_path $dir/temp/proxy;
    fastcgi_temp_path $dir/temp/fastcgi;
    uwsgi_temp_path $dir/temp/uwsgi;
    scgi_temp_path $dir/temp/scgi;
    proxy_cache_path $dir/cache keys_zone=edge:4m max_size=64m;
    # Plays Cloudflare: its status and ray headers, the rules that demo-cloudflare.py shows.
    server {
        listen 127.0.0.1:$edge_port;
        gzip off;
        proxy_set_header Accept-Encoding "";
        proxy_pass_header Server;
        add_header cf-ray \$request_id-FRA always;
        location / {
            proxy_pass http://127.0.0.1:$origin_port;
            add_header cf-cache-status DYNAMIC always;
            add_header cf-ray \$request_id-FRA always;
        }
        # "About pages": catches /us/account too, cookies and all.
        location ^~ /us/a {
            proxy_pass http://127.0.0.1:$origin_port;
            proxy_cache edge;
            proxy_cache_valid 200 10m;
            proxy_ignore_headers Cache-Control Set-Cookie Vary;
            add_header cf-cache-status \$upstream_cache_status always;
            add_header cf-ray \$request_id-FRA always;
        }
        # By extension, as a CDN caches without rules; the cookie is dropped so that it can.
        location ~ ^/(_next/static|media)/ {
            proxy_pass http://127.0.0.1:$origin_port;
            proxy_cache edge;
            proxy_ignore_headers Set-Cookie;
            proxy_hide_header Set-Cookie;
            add_header cf-cache-status \$upstream_cache_status always;
            add_header cf-ray \$request_id-FRA always;
        }
    }
}
CONF
nginx -q -c "$dir/nginx.conf" -p "$dir" 2> /dev/null
edge=http://127.0.0.1:$edge_port
cloudflare=http://127.0.0.1:$cloudflare_port
await 20 curl -sf "$edge/us"
await 10 curl -sf -H 'Authorization: Bearer demo' "$cloudflare/user/tokens/verify"
say "storefront $edge, Cloudflare's API $cloudflare"

# ---- Medusa ----

backend= key= region=
if [ -n "$medusa" ]; then
    key=$(sql -c "select a.token from api_key a join publishable_api_key_sales_channel l on l.publishable_key_id = a.id and l.deleted_at is null where a.type = 'publishable' and a.revoked_at is null
                  group by a.token having min(l.sales_channel_id) = (select sales_channel_id from product_sales_channel group by 1 order by count(*) desc limit 1) order by 1 limit 1")
    region=$(sql -c 'select min(id) from region where deleted_at is null')
    backend=http://127.0.0.1:$api_port
    (cd "$medusa" && exec env DATABASE_URL="postgres://medusa@127.0.0.1:$pg_port/demo" REDIS_URL="redis://127.0.0.1:$jobs_port" CACHE_REDIS_URL="redis://127.0.0.1:$cache_port" \
        HOST=127.0.0.1 MEDUSA_FF_CACHING=true MEDUSA_DISABLE_TELEMETRY=true DISABLE_MEDUSA_ADMIN=true NODE_ENV=production \
        node node_modules/.bin/medusa start --port "$api_port" > "$dir/medusa.log" 2>&1) &
    pids="$pids $!"
    await 120 curl -sf "$backend/health"
    say "Medusa $backend"
fi

# ---- load, proof of the faults, audit ----

case $window in *m) window_s=$((${window%m} * 60)) ;; *) window_s=${window%s} ;; esac
python3 "$here/demo-load.py" run --seconds $((warm_up + window_s + 45)) --pace "$pace" --postgres-port "$pg_port" --database demo --jobs "$jobs_port" --cache "$cache_port" \
    --edge "$edge" --backend "$backend" --key "$key" --region "$region" > "$dir/load.log" 2>&1 &
load=$!
pids="$pids $load"
say "load is on; warming up for $warm_up s"
sleep "$warm_up"
kill -0 $load 2> /dev/null || { cat "$dir/load.log" >&2; say "the load ended early"; exit 1; }

failed=
holds() { # holds WORDS COMMAND...: the planted fault can be seen
    words=$1; shift
    if "$@" > /dev/null 2>&1; then say "  planted: $words"; else say "  MISSING: $words"; failed=1; fi
}
yes_sql() { [ "$(sql -c "select $1")" = t ]; }
head_has() { curl -s -o /dev/null -D - -H 'Accept-Encoding: gzip, br' "$1" | grep -qi "$2"; }
lacks_head() { head_has "$1" '200 OK' && ! head_has "$1" "$2"; }
redis_says() { redis-cli -p "$1" $2 | grep -Eq "$3"; }
top_share() { # top_share PATTERN SHARE
    yes_sql "(select sum(total_exec_time) filter (where query like '$1') / sum(total_exec_time) from pg_stat_statements where dbid = (select oid from pg_database where datname = 'demo')) > $2"
}
holds "image.product_id unindexed" yes_sql "not exists (select from pg_index x join pg_attribute a on a.attrelid = x.indrelid and a.attnum = x.indkey[0] where x.indrelid = 'image'::regclass and a.attname = 'product_id')"
holds "reviews by product dominate (over a third of database time)" top_share '%"product_review"%' 0.33
holds "images by product are at least 5 % of database time" top_share '%from "image" as "i0" where "i0"."product_id" = %' 0.05
holds "one query a wishlist line (over 20 calls a list)" yes_sql "(select max(calls) filter (where query like '%from \"product_variant\" as \"p0\" where \"p0\".\"id\" = \$1%') > 20 * max(calls) filter (where query like '%from \"wishlist_item\"%') from pg_stat_statements)"
holds "orders sorted by created_at without an index" top_share '%order by "o0"."created_at" desc%' 0.005
holds "order search over 200 ms" yes_sql "(select max(mean_exec_time) > 200 from pg_stat_statements where query like '%ilike%')"
holds "a statement with over 1,000 placeholders" yes_sql "exists (select from pg_stat_statements where length(query) > 20000)"
holds "an invalid index" yes_sql "exists (select from pg_index where not indisvalid)"
holds "two indexes the same" yes_sql "(select count(*) = 2 from pg_indexes where tablename = 'product_review' and indexdef like '%(created_at)')"
holds "an index of 10 MB that nothing reads" yes_sql "(select idx_scan = 0 and pg_relation_size(indexrelid) > 10000000 from pg_stat_user_indexes where indexrelname = 'product_review_title_customer_idx')"
holds "dead rows in cart that vacuum may not remove" yes_sql "(select n_dead_tup > 20000 from pg_stat_user_tables where relname = 'cart')"
holds "a transaction idle with a snapshot" yes_sql "exists (select from pg_stat_activity where state = 'idle in transaction' and backend_xmin is not null)"
holds "slow log off" yes_sql "current_setting('log_min_duration_statement') = '-1'"
[ "$age" -eq 0 ] || holds "counters $age days old" yes_sql "(select stats_reset < now() - interval '1 day' * ($age - 1) from pg_stat_database where datname = 'demo')"
holds "media on localhost" yes_sql "(select count(*) > 100000 from image where url like 'http://localhost:9000/static/%')"
holds "queues on an evicting Redis" redis_says "$jobs_port" "config get maxmemory-policy" allkeys-lru
holds "1,800 failed jobs kept" redis_says "$jobs_port" "zcard RedisEventBusService:events-queue:failed" '1[0-9]{3}'
holds "KEYS is called" redis_says "$cache_port" "info commandstats" '^cmdstat_keys:calls=[1-9]'
holds "keys are evicted" redis_says "$cache_port" "info stats" '^evicted_keys:[1-9]'
holds "catalog:* keys without TTL" redis_says "$cache_port" "ttl catalog:tree" '^-1'
holds "cache hit rate under 70 %" sh -c "redis-cli -p $cache_port info stats | tr -d '\r' | awk -F: '/keyspace_hits/ {h = \$2} /keyspace_misses/ {m = \$2} END {exit !(h + m > 1000 && h / (h + m) < 0.7)}'"
curl -s -o /dev/null "$edge/us/account"
holds "account page served from cache with a cookie" sh -c "curl -s -o /dev/null -D - $edge/us/account | tr -d '\r' | grep -ci -e 'cf-cache-status: hit' -e 'set-cookie: connect.sid' | grep -qx 2"
holds "product page never cached" head_has "$edge/us/products/piece-1" 'cf-cache-status: dynamic'
holds "cookies on every page" head_has "$edge/us" 'set-cookie: connect.sid'
holds "no compression" lacks_head "$edge/us" content-encoding
holds "hashed asset without immutable" lacks_head "$edge/_next/static/chunks/main-4f9a1c2be07d5a31.js" immutable
[ -z "$backend" ] || holds "store API without Cache-Control" sh -c "curl -s -o /dev/null -D - -H 'x-publishable-api-key: $key' '$backend/store/products?limit=1' | grep -q '200 OK'"

status=0
redis_urls="--redis redis://127.0.0.1:$jobs_port"
[ $redis_count -eq 1 ] || redis_urls="$redis_urls --redis redis://127.0.0.1:$cache_port"
[ -z "$key" ] || export MEDUSA_PUBLISHABLE_KEY=$key
set -- audit --postgres "postgres://advisor@127.0.0.1:$pg_port/demo" $redis_urls ${backend:+--backend "$backend"} --storefront "$edge" \
    --cloudflare-zone demo-store.example --window "$window" $outs
export CLOUDFLARE_BASE_URL="$cloudflare" CLOUDFLARE_API_TOKEN=demo
if [ -n "$audit" ]; then
    say "auditing"
    if [ -n "${MEDUSA_ADVISOR:-}" ]; then "$MEDUSA_ADVISOR" "$@" || status=$?; else cargo run --quiet --release --manifest-path "$root/Cargo.toml" -- "$@" || status=$?; fi
fi
if [ -n "$keep" ]; then
    echo "CLOUDFLARE_BASE_URL=$cloudflare CLOUDFLARE_API_TOKEN=demo medusa-advisor $*"
    echo "Folder $dir. Enter ends it."
    read -r _ || true
elif [ -z "$audit" ]; then
    sleep "$window_s"
fi
kill $load 2> /dev/null || true
wait $load 2> /dev/null || true
cat "$dir/load.log" >&2
[ -z "$failed" ] || { say "a planted fault could not be seen"; exit 1; }
exit $status
