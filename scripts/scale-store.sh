#!/bin/sh
# Fills an empty database with a Medusa store of shop size, some 4.5 GB (v2) or 2.7 GB (v1): what the figures of docs/performance.md
# and tests/live_postgres/scale.rs are measured on. It takes about four minutes.
# Usage: scripts/scale-store.sh FOLDER v1|v2 DATABASE_URL
#   FOLDER        holds v2-schema.sql, seed-v2.sql.gz and scale-v2.sql, or the same of v1
#   DATABASE_URL  an empty database; its role must be a superuser
set -eu

if [ $# -ne 3 ]; then
    sed -n '2,6s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
folder=$1 version=$2 url=$3
for file in "$version-schema.sql" "seed-$version.sql.gz" "scale-$version.sql"; do
    [ -r "$folder/$file" ] || { echo "$folder holds no $file" >&2; exit 2; }
done
psql -X -q -v ON_ERROR_STOP=0 -d "$url" -f "$folder/$version-schema.sql" >/dev/null 2>&1
# The seed's tables come in no order that foreign keys allow.
{ echo "set session_replication_role = replica;"; gunzip -c "$folder/seed-$version.sql.gz"; } | psql -X -q -d "$url" >/dev/null
psql -X -q -v ON_ERROR_STOP=1 -d "$url" -f "$folder/scale-$version.sql" >/dev/null
psql -X -q -d "$url" -c "create extension if not exists pg_stat_statements" -c "vacuum analyze"
psql -X -At -d "$url" -c "select pg_size_pretty(pg_database_size(current_database()))"
