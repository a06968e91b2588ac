/* medusa-advisor */
-- In the order of index_ids.sql, so that a limit cuts both lists at the same place.
select
  n.nspname::text as schema,
  c.relname::text as name,
  pg_catalog.pg_stat_get_numscans(x.indexrelid) as scans,
  pg_catalog.pg_stat_get_lastscan(x.indexrelid) as last_scan -- since: 16
  null::timestamptz as last_scan -- until: 15
from pg_catalog.pg_index as x
join pg_catalog.pg_class as c on c.oid = x.indexrelid
join pg_catalog.pg_class as t on t.oid = x.indrelid
join pg_catalog.pg_namespace as n on n.oid = t.relnamespace
where t.relkind in ('r', 'p', 'm')
  and t.relpersistence <> 't'
  and n.nspname not in ('pg_catalog', 'information_schema')
  and n.nspname not like 'pg\_toast%'
order by n.nspname, t.relname, c.relname
limit 10000
