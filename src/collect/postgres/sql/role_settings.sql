/* medusa-advisor */
-- Only settings of fixed kinds: an application's own may hold secrets. Any login sees who has sessions and what the roles bring: of the
-- sessions of others, only state, times and text are hidden.
with here as (
  select d.oid from pg_catalog.pg_database as d where d.datname = pg_catalog.current_database()
),
seen as (
  select a.usesysid as role_oid, pg_catalog.count(*)::int4 as sessions
  from pg_catalog.pg_stat_activity as a
  where a.datid = (select h.oid from here as h)
    and a.usesysid is not null
    and a.pid <> pg_catalog.pg_backend_pid()
    and coalesce(a.backend_type, 'client backend') = 'client backend'
  group by a.usesysid
)
select
  r.rolname::text as role,
  e.sessions as sessions,
  r.rolconnlimit::int4 as connection_limit,
  pg_catalog.split_part(c.setting, '=', 1) as name,
  pg_catalog.substr(c.setting, pg_catalog.strpos(c.setting, '=') + 1) as value,
  case
    when c.setting is null then null
    when s.setdatabase <> 0 and s.setrole <> 0 then 'role in database'
    when s.setrole <> 0 then 'role'
    else 'database'
  end as source
from seen as e
join pg_catalog.pg_roles as r on r.oid = e.role_oid
left join pg_catalog.pg_db_role_setting as s
  on s.setrole in (r.oid, 0) and s.setdatabase in ((select h.oid from here as h), 0)
left join lateral (
  select u.setting
  from pg_catalog.unnest(s.setconfig) as u(setting)
  where pg_catalog.split_part(u.setting, '=', 1) in (
    'statement_timeout', 'idle_in_transaction_session_timeout', 'idle_session_timeout', 'transaction_timeout', 'lock_timeout', 'work_mem',
    'jit', 'random_page_cost', 'effective_cache_size', 'log_min_duration_statement', 'default_transaction_read_only'
  )
) as c on true
order by r.rolname, name nulls first, source
limit 1000
