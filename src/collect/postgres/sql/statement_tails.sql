/* medusa-advisor */
select
  s.queryid::text as id,
  pg_catalog.max(case when pg_catalog.length(s.query) <= 30000 then s.query end) as text,
  pg_catalog.max(pg_catalog.left(s.query, 4000)) as head,
  pg_catalog.max(pg_catalog.right(s.query, 4000)) as tail
from {schema}.pg_stat_statements as s
where s.dbid = (select d.oid from pg_catalog.pg_database as d where d.datname = pg_catalog.current_database())
  and s.queryid in ({ids})
group by s.queryid
order by s.queryid
limit 40
