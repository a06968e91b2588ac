#!/bin/sh
# Writes what one Medusa version's own migrations create: tables, indexes, constraints, names of migrations.
# Usage: scripts/medusa-baseline.sh DATABASE_URL VERSION OUT
#   DATABASE_URL  a database migrated by exactly that version and by nothing else (no custom modules, no plug-ins)
#   VERSION       e.g. 2.21.2
# scripts/medusa-baselines.py puts these files together. Reads the catalogue and the migration tables only. Needs psql 12 or newer.
set -eu

if [ $# -ne 3 ]; then
    sed -n '2,6s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
url=$1
version=$2
major=${version%%.*}
out=$3

ask() { psql "$url" -XqAt -v ON_ERROR_STOP=1 -c "$1"; }

# One JSON value a line in, the same lines with commas between them out.
list() {
    printf ',\n"%s":[\n' "$1"
    ask "$2" | sed '$!s/$/,/'
    printf ']'
}

case $major in
2)
    link_tables="select to_json(table_name::text) from link_module_migrations order by table_name collate \"C\""
    migrations="select to_json(name::text) from mikro_orm_migrations order by name collate \"C\""
    ;;
1)
    link_tables="select null where false"
    migrations="select to_json(name::text) from migrations order by name collate \"C\""
    ;;
*)
    echo "unknown major version: $version" >&2
    exit 2
    ;;
esac

tables="
select to_json(relname::text)
from pg_catalog.pg_class
where relnamespace = 'public'::regnamespace and relkind in ('r', 'p')
order by relname collate \"C\""

# Operator classes, order and included columns are named only where they are not the default.
indexes="
select json_strip_nulls(json_build_object(
           'table', t.relname,
           'name', i.relname,
           'columns', (select json_agg(pg_get_indexdef(x.indexrelid, k, true) order by k)
                       from generate_series(1, x.indnkeyatts) k),
           'unique', x.indisunique,
           'method', nullif(am.amname, 'btree'),
           'opclasses', (select nullif(json_agg(case when not o.opcdefault or am.amname <> 'btree' then o.opcname end order by k)::text,
                                       json_agg(null::text order by k)::text)::json
                         from unnest(x.indclass::oid[]) with ordinality c(oid, k)
                         join pg_catalog.pg_opclass o on o.oid = c.oid),
           'options', case when 0 <> any(x.indoption::int2[]) then x.indoption::int2[] end,
           'include', case when x.indnatts > x.indnkeyatts then (select json_agg(pg_get_indexdef(x.indexrelid, k, true) order by k)
                                                                from generate_series(x.indnkeyatts + 1, x.indnatts) k) end,
           'constraint', (select c.contype from pg_catalog.pg_constraint c
                          where c.conindid = x.indexrelid and c.conrelid = x.indrelid and c.contype in ('p', 'u', 'x')),
           'predicate', coalesce(pg_get_expr(x.indpred, x.indrelid, true), '')))
from pg_catalog.pg_index x
join pg_catalog.pg_class i on i.oid = x.indexrelid
join pg_catalog.pg_class t on t.oid = x.indrelid
join pg_catalog.pg_am am on am.oid = i.relam
where t.relnamespace = 'public'::regnamespace and t.relkind in ('r', 'p')
order by t.relname collate \"C\", i.relname collate \"C\""

constraints="
select json_build_object(
           'table', t.relname,
           'name', c.conname,
           'kind', c.contype,
           'columns', coalesce((select json_agg(a.attname order by k)
                       from unnest(c.conkey) with ordinality u(attnum, k)
                       join pg_catalog.pg_attribute a on a.attrelid = c.conrelid and a.attnum = u.attnum), '[]'))
from pg_catalog.pg_constraint c
join pg_catalog.pg_class t on t.oid = c.conrelid
where t.relnamespace = 'public'::regnamespace and c.contype in ('f', 'p', 'u', 'c')
order by t.relname collate \"C\", c.conname collate \"C\""

{
    printf '{"major":%s,"version":"%s"' "$major" "$version"
    list tables "$tables"
    list link_tables "$link_tables"
    # An empty predicate stands for none: json_strip_nulls would drop the key.
    list indexes "$indexes" | sed 's/,"predicate":""/,"predicate":null/; s/" : /":/g; s/, "/,"/g'
    list constraints "$constraints" | sed 's/" : /":/g; s/, "/,"/g'
    list migrations "$migrations"
    printf '}\n'
} > "$out.part"
mv "$out.part" "$out"
echo "$out: $(wc -c < "$out") bytes" >&2
