/* medusa-advisor */
select s.query as text
from {schema}.pg_stat_statements as s
where s.dbid = (select d.oid from pg_catalog.pg_database as d where d.datname = pg_catalog.current_database())
  and s.queryid = {id}
  and pg_catalog.length(s.query) <= 20000
order by s.total_exec_time desc
limit 1
