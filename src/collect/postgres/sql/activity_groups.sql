/* medusa-advisor */
select
  coalesce(a.application_name, '') as application,
  coalesce(a.usename::text, '') as role,
  coalesce(a.state, '') as state,
  pg_catalog.count(*)::int4 as count
from pg_catalog.pg_stat_activity as a
where a.usesysid is not null
  and a.datid is not null
  and a.pid <> pg_catalog.pg_backend_pid()
  and coalesce(a.backend_type, 'client backend') = 'client backend'
group by 1, 2, 3
order by 4 desc, 1, 2, 3
limit 200
