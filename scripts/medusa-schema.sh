#!/bin/sh
# Writes the schema of a migrated Medusa database for the live tests: no rows but the names of its migrations.
# Usage: scripts/medusa-schema.sh DATABASE_URL OUT.sql.gz
set -eu

if [ $# -ne 2 ]; then
    sed -n '2,3s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
dump() { pg_dump "$1" --no-owner --no-privileges --no-comments "$2" --rows-per-insert=1000 -t public.mikro_orm_migrations \
    -t public.script_migrations -t public.link_module_migrations -t public.migrations; }
{
    pg_dump "$1" --no-owner --no-privileges --no-comments --schema-only
    dump "$1" --data-only
} | sed -e '/^\\/d' -e '/^--/d' -e '/^$/d' -e '/^CREATE SCHEMA public/d' -e '/^SELECT pg_catalog.setval/d' -e '/transaction_timeout/d' | gzip -9n >"$2"
