#!/usr/bin/env bash
# Servers that one test needs for itself: `tests/postgres-servers.sh replica|tls`. Prints NAME=value lines, then "ready", and stops
# everything when its standard input ends. Uses the newest Postgres, or the one ADVISOR_POSTGRES_BIN names.
#
#   replica   PRIMARY and REPLICA, superuser URLs of a primary and its streaming replica
#   tls       SERVER, the superuser URL of a server that speaks TLS only; CA, OTHER_CA: its authority's certificate and another's
#
# "skipped: why" and status 0 where something is missing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=tests/packages.sh
source tests/packages.sh
# shellcheck source=tests/services.sh
source tests/services.sh

# as_owner COMMAND…: from a folder that the servers' user may enter.
as_owner() { (cd / && unprivileged "$@"); }

# What the replica's maker runs from inside psql.
if [[ ${1:-} == copy ]]; then
    as_owner cp -R "$2" "$3"
    exit
fi

WORK=$(mktemp -d "${TMPDIR:-/tmp}/advisor-servers.XXXXXX")
chmod 711 "$WORK"
SERVICES=$WORK/services
mkdir -p "$SERVICES"
REPLICA_SOCKET=

finish() {
    trap - EXIT INT TERM
    stop_services
    rm -rf "$WORK" ${REPLICA_SOCKET:+"$REPLICA_SOCKET"}
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

skip() {
    echo "skipped: $1"
    exit 0
}

# on_primary SQL: one value.
on_primary() { psql -X -q -A -t -v ON_ERROR_STOP=1 -d "$ADVISOR_TEST_POSTGRES" "$@"; }

replica() {
    local data copy bin port start stop
    find_program psql >/dev/null || skip "psql is not installed"
    start_postgres || skip "Postgres is not installed or did not start"
    bin=$(postgres_bin)
    data=$SERVICES/postgres/data copy=$SERVICES/postgres/copy
    port=$(free_port)
    REPLICA_SOCKET=$(unprivileged mktemp -d /tmp/advisor-pg.XXXXXX)
    start="pg_backup_start('copy', true)" stop="pg_backup_stop()"
    if (($("$bin/postgres" --version | sed 's/.* \([0-9]*\)\..*/\1/') < 15)); then
        start="pg_start_backup('copy', true, false)" stop="pg_stop_backup(false, false)"
    fi
    # One session from start to stop, as the server asks; the files are copied while it is open. pg_basebackup is not everywhere.
    on_primary >"$WORK/backup" 2>"$WORK/backup.log" <<SQL
select $start \\g /dev/null
\\! '$PWD/tests/postgres-servers.sh' copy '$data' '$copy'
select labelfile from $stop;
SQL
    as_owner sh -c 'chmod 700 "$1"; rm -f "$1/postmaster.pid"; cat >"$1/backup_label"; : >"$1/standby.signal"' sh "$copy" <"$WORK/backup"
    as_owner sh -c 'cat >>"$1/postgresql.conf"' sh "$copy" <<CONF
port = $port
unix_socket_directories = '$REPLICA_SOCKET'
hot_standby = on
primary_conninfo = 'host=127.0.0.1 port=$POSTGRES_PORT user=advisor password=$POSTGRES_PASSWORD'
CONF
    as_owner "$bin/pg_ctl" -D "$copy" -l "$SERVICES/postgres/replica.log" -w -t 60 start >/dev/null || skip "the replica did not start"
    SERVICE_PIDS+=("$(unprivileged head -1 "$copy/postmaster.pid") INT")
    echo "PRIMARY=$ADVISOR_TEST_POSTGRES"
    echo "REPLICA=${ADVISOR_TEST_POSTGRES/:$POSTGRES_PORT\//:$port/}"
}

# Certificates: an authority, a server's for localhost alone (not 127.0.0.1), and another authority.
certificates() {
    local folder=$1
    openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj "/CN=Advisor test authority" -keyout "$folder/ca.key" -out "$folder/ca.crt" \
        -addext basicConstraints=critical,CA:TRUE
    openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj "/CN=Another authority" -keyout "$folder/other.key" -out "$folder/other.crt" \
        -addext basicConstraints=critical,CA:TRUE
    openssl req -newkey rsa:2048 -nodes -subj "/CN=localhost" -keyout "$folder/server.key" -out "$folder/server.csr"
    openssl x509 -req -days 2 -in "$folder/server.csr" -CA "$folder/ca.crt" -CAkey "$folder/ca.key" -CAcreateserial \
        -extfile <(echo "subjectAltName=DNS:localhost,DNS:*.db.example.com") -out "$folder/server.crt"
}

tls() {
    local folder=$WORK/tls data=$SERVICES/postgres/data
    find_program openssl >/dev/null || skip "openssl is not installed"
    mkdir -p "$folder"
    certificates "$folder" >"$WORK/openssl.log" 2>&1 || skip "openssl made no certificates"
    start_postgres || skip "Postgres is not installed or did not start"
    for file in server.crt server.key; do
        unprivileged sh -c 'umask 077; cat >"$1"' sh "$data/$file" <"$folder/$file"
    done
    unprivileged sh -c 'printf "ssl = on\n" >>"$1/postgresql.conf"; printf "hostssl all all all scram-sha-256\n" >"$1/pg_hba.conf"' sh "$data"
    as_owner "$(postgres_bin)/pg_ctl" -D "$data" reload >/dev/null
    chmod 755 "$folder"
    echo "SERVER=${ADVISOR_TEST_POSTGRES/127.0.0.1/localhost}"
    echo "CA=$folder/ca.crt"
    echo "OTHER_CA=$folder/other.crt"
}

case ${1:-} in
    replica) replica ;;
    tls) tls ;;
    *)
        echo "usage: tests/postgres-servers.sh replica|tls" >&2
        exit 2
        ;;
esac
echo ready
# Held open by whoever started this.
cat >/dev/null
