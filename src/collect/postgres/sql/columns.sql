/* medusa-advisor */
select
  n.nspname::text as schema,
  c.relname::text as table,
  a.attname::text as name,
  pg_catalog.format_type(a.atttypid, a.atttypmod) as data_type,
  not a.attnotnull as is_nullable
from pg_catalog.pg_attribute as a
join pg_catalog.pg_class as c on c.oid = a.attrelid
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where c.oid = any ('{ids}'::oid[])
  and a.attnum > 0
  and not a.attisdropped
  and c.relkind in ('r', 'p', 'm')
  and c.relpersistence <> 't'
  and n.nspname not in ('pg_catalog', 'information_schema')
order by n.nspname, c.relname, a.attnum
limit 10000
