/* medusa-advisor */
-- Those of the largest tables first, for a limit may bite; one that was never vacuumed is known by its rows. A partitioned table has no
-- size, and few have any.
select x.indexrelid::int8 as oid, x.indrelid::int8 as table_oid
from pg_catalog.pg_index as x
join pg_catalog.pg_class as c on c.oid = x.indexrelid
join pg_catalog.pg_class as t on t.oid = x.indrelid
join pg_catalog.pg_namespace as n on n.oid = t.relnamespace
where t.relkind in ('r', 'p', 'm')
  and t.relpersistence <> 't'
  and n.nspname not in ('pg_catalog', 'information_schema')
  and n.nspname not like 'pg\_toast%'
order by t.relkind = 'p' desc, greatest(t.relpages, pg_catalog.pg_stat_get_live_tuples(t.oid) / 60) desc, n.nspname, t.relname, c.relname
limit 10000
