/* medusa-advisor */
select
  s.queryid::text as id,
  s.userid::int8 as user_id,
  s.toplevel as is_toplevel, -- since: 14
  true as is_toplevel, -- until: 13
  pg_catalog.left(s.query, 4000) as text,
  pg_catalog.length(s.query)::int8 as text_chars,
  (pg_catalog.length(s.query) - pg_catalog.length(pg_catalog.replace(s.query, '$', '')))::int8 as dollars,
  r.rolname::text as role
from {schema}.pg_stat_statements as s
left join pg_catalog.pg_roles as r on r.oid = s.userid
where s.dbid = (select d.oid from pg_catalog.pg_database as d where d.datname = pg_catalog.current_database())
  and s.queryid in ({ids})
order by s.queryid, s.userid
limit 1000
