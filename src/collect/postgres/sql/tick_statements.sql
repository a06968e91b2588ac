/* medusa-advisor */
select
  pg_catalog.clock_timestamp() as now,
  pg_catalog.sum(s.total_ms) as total_ms,
  (pg_catalog.array_agg(s.id order by s.total_ms desc))[1:50] as ids,
  (pg_catalog.array_agg(s.total_ms order by s.total_ms desc))[1:50] as times_ms
from (
  select coalesce(p.queryid, 0)::text as id, pg_catalog.sum(p.total_exec_time) as total_ms
  from {schema}.pg_stat_statements(false) as p
  where p.dbid = (select d.oid from pg_catalog.pg_database as d where d.datname = pg_catalog.current_database())
  group by 1
) as s
