/* medusa-advisor */
-- Characters of a long text are its bytes: counting them takes longer than fetching them. Dollar signs matter beyond the cut only.
select
  s.queryid::text as id,
  s.userid::int8 as user_id,
  s.toplevel as is_toplevel, -- since: 14
  true as is_toplevel, -- until: 13
  pg_catalog.left(s.query, 4000) as text,
  case when pg_catalog.octet_length(s.query) <= 16000 then pg_catalog.length(s.query) else pg_catalog.octet_length(s.query) end::int8 as text_chars,
  case
    when pg_catalog.octet_length(s.query) > 4000
    then pg_catalog.octet_length(s.query) - pg_catalog.octet_length(pg_catalog.replace(s.query, '$', ''))
  end::int8 as dollars,
  r.rolname::text as role
from {schema}.pg_stat_statements as s
left join pg_catalog.pg_roles as r on r.oid = s.userid
where s.dbid = (select d.oid from pg_catalog.pg_database as d where d.datname = pg_catalog.current_database())
  and s.queryid in ({ids})
order by s.queryid, s.userid
limit 1000
