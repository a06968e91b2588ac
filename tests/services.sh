# shellcheck shell=bash
# Private servers for the tests: on loopback, on free ports, in one folder, stopped by the process ids started here.
# Sourced, not run. Needs packages.sh; SERVICES is the folder.
# shellcheck disable=SC2016 # sh -c expands its own arguments

# Each entry: a process id and the signal that stops it at once but cleanly.
SERVICE_PIDS=()

# free_port: a loopback port nobody listens on, below the range that outgoing connections use.
free_port() {
    local port
    for _ in $(seq 100); do
        port=$((20000 + RANDOM % 12000))
        if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            echo "$port"
            return
        fi
    done
    return 1
}

# wait_for SECONDS COMMAND…: until the command succeeds.
wait_for() {
    local deadline=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        if ((SECONDS >= deadline)); then
            return 1
        fi
        sleep 0.1
    done
}

# unprivileged COMMAND…: Postgres and PgBouncer refuse to run as root.
unprivileged() {
    if [[ $EUID -ne 0 ]]; then
        "$@"
    elif id postgres >/dev/null 2>&1; then
        runuser -u postgres -- "$@"
    else
        runuser -u nobody -- "$@"
    fi
}

service_folder() {
    mkdir -p "$SERVICES/$1"
    if [[ $EUID -eq 0 ]]; then
        chmod 711 "$SERVICES"
        chown "$(unprivileged id -u)" "$SERVICES/$1"
    fi
    echo "$SERVICES/$1"
}

random_word() { od -An -N12 -tx1 /dev/urandom | tr -d ' \n'; }

# start_postgres: sets ADVISOR_TEST_POSTGRES, the superuser's URL. ADVISOR_POSTGRES_CONF adds lines to its settings. Durability is off: the data lives as long as the tests.
start_postgres() {
    local bin folder port password socket
    bin=$(postgres_bin) || return 1
    folder=$(service_folder postgres)
    port=$(free_port)
    password=$(random_word)
    # A socket's path may have 107 bytes at most, which a deep temporary folder exceeds.
    socket=$(unprivileged mktemp -d /tmp/advisor-pg.XXXXXX)
    SERVICE_SOCKETS=$socket
    unprivileged sh -c 'umask 077; printf %s "$1" >"$2/password"' sh "$password" "$folder"
    (cd / && unprivileged "$bin/initdb" -D "$folder/data" -U advisor --pwfile="$folder/password" --encoding=UTF8 --locale=C \
        --auth-local=scram-sha-256 --auth-host=scram-sha-256 --no-sync >"$SERVICES/initdb.log" 2>&1) || return 1
    unprivileged sh -c 'cat >>"$1/data/postgresql.conf"' sh "$folder" <<CONF
listen_addresses = '127.0.0.1'
port = $port
unix_socket_directories = '$socket'
shared_preload_libraries = 'pg_stat_statements'
pg_stat_statements.track = top
track_io_timing = on
max_connections = 100
shared_buffers = 128MB
fsync = off
synchronous_commit = off
full_page_writes = off
${ADVISOR_POSTGRES_CONF:-}
CONF
    (cd / && unprivileged "$bin/pg_ctl" -D "$folder/data" -l "$folder/log" -w -t 60 start >/dev/null) || return 1
    SERVICE_PIDS+=("$(unprivileged head -1 "$folder/data/postmaster.pid") INT")
    POSTGRES_PORT=$port POSTGRES_PASSWORD=$password
    export ADVISOR_TEST_POSTGRES="postgres://advisor:$password@127.0.0.1:$port/postgres"
}

# start_pgbouncer: sets ADVISOR_TEST_PGBOUNCER, the same server through a pool in transaction mode.
start_pgbouncer() {
    local program folder port
    program=$(find_program pgbouncer) || return 1
    folder=$(service_folder pgbouncer)
    port=$(free_port)
    unprivileged sh -c 'umask 077; cat >"$1/users.txt"' sh "$folder" <<<"\"advisor\" \"$POSTGRES_PASSWORD\""
    # Roles that the tests create are looked up at the server by auth_user.
    unprivileged sh -c 'cat >"$1/pgbouncer.ini"' sh "$folder" <<CONF
[databases]
* = host=127.0.0.1 port=$POSTGRES_PORT
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = $port
unix_socket_dir =
auth_type = scram-sha-256
auth_file = $folder/users.txt
auth_user = advisor
pool_mode = transaction
logfile = $folder/log
pidfile = $folder/pid
CONF
    unprivileged "$program" -q "$folder/pgbouncer.ini" >"$SERVICES/pgbouncer.log" 2>&1 &
    wait_for 20 unprivileged test -s "$folder/pid" || return 1
    SERVICE_PIDS+=("$(unprivileged cat "$folder/pid") TERM")
    export ADVISOR_TEST_PGBOUNCER="postgres://advisor:$POSTGRES_PASSWORD@127.0.0.1:$port/postgres"
}

# start_redis: sets ADVISOR_TEST_REDIS, an empty instance that saves nothing, and ADVISOR_TEST_REDIS_SERVER, the program of tests that start their own; where it is set, it is the program used here.
start_redis() {
    local program=${ADVISOR_TEST_REDIS_SERVER:-} folder port
    [[ -n $program ]] || program=$(find_program redis-server) || program=$(find_program valkey-server) || return 1
    folder=$SERVICES/redis
    mkdir -p "$folder"
    port=$(free_port)
    "$program" --bind 127.0.0.1 --port "$port" --dir "$folder" --save '' --appendonly no --daemonize no \
        >"$folder/log" 2>&1 &
    SERVICE_PIDS+=("$! TERM")
    wait_for 20 grep -q -i "ready to accept connections" "$folder/log" || return 1
    export ADVISOR_TEST_REDIS="redis://127.0.0.1:$port/0" ADVISOR_TEST_REDIS_SERVER=$program
}

# start_display: sets DISPLAY to a private screen whose pixels lie in $SERVICES/screen/Xvfb_screen0.
start_display() {
    local program
    program=$(find_program Xvfb) || return 1
    mkdir -p "$SERVICES/screen"
    "$program" -displayfd 3 -screen 0 1280x800x24 -nolisten tcp -fbdir "$SERVICES/screen" \
        3>"$SERVICES/screen/number" >"$SERVICES/screen/log" 2>&1 &
    SERVICE_PIDS+=("$! TERM")
    wait_for 20 test -s "$SERVICES/screen/number" || return 1
    DISPLAY=":$(head -1 "$SERVICES/screen/number")"
    export DISPLAY
}

# stop_services: newest first, politely, then not.
stop_services() {
    local i pid signal
    for ((i = ${#SERVICE_PIDS[@]} - 1; i >= 0; i--)); do
        read -r pid signal <<<"${SERVICE_PIDS[i]}"
        kill -s "$signal" "$pid" 2>/dev/null || continue
        wait_for 10 gone "$pid" || kill -KILL "$pid" 2>/dev/null || true
    done
    SERVICE_PIDS=()
    if [[ -n ${SERVICE_SOCKETS:-} ]]; then
        rm -rf "$SERVICE_SOCKETS"
    fi
}

gone() { ! kill -0 "$1" 2>/dev/null; }
