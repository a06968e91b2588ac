/* medusa-advisor */
-- Never a text: those of running statements hold values. Blocking pids only for who waits: asking takes the lock tables' locks. Sessions of
-- this database alone: what others do in theirs neither locks its tables nor keeps their dead rows.
with waiting as (
  select a.pid, pg_catalog.pg_blocking_pids(a.pid) as blocked_by
  from pg_catalog.pg_stat_activity as a
  where a.wait_event_type = 'Lock'
)
select
  a.pid as pid,
  coalesce(a.application_name, '') as application,
  coalesce(a.usename::text, '') as role,
  coalesce(a.state, '') as state,
  case when a.state = 'active' then a.wait_event_type || ':' || a.wait_event end as wait,
  extract(epoch from pg_catalog.clock_timestamp() - a.xact_start)::float8 as transaction_s,
  case when a.state = 'active' then extract(epoch from pg_catalog.clock_timestamp() - a.query_start)::float8 end as statement_s,
  extract(epoch from pg_catalog.clock_timestamp() - a.state_change)::float8 as state_s,
  case when w.pid is not null then (
    select extract(epoch from pg_catalog.clock_timestamp() - pg_catalog.min(l.waitstart))::float8 -- since: 14
    select null::float8 -- until: 13
    from pg_catalog.pg_locks as l
    where l.pid = a.pid and not l.granted
  ) end as waiting_s,
  coalesce(w.blocked_by, '{}'::int4[]) as blocked_by,
  a.query_id::text as statement_id, -- since: 14
  null::text as statement_id, -- until: 13
  coalesce((
    select pg_catalog.array_agg(h.name order by h.name)
    from (
      select distinct n.nspname::text || '.' || c.relname::text as name
      from pg_catalog.pg_locks as l
      join pg_catalog.pg_class as c on c.oid = l.relation and c.relkind in ('r', 'p', 'm')
      join pg_catalog.pg_namespace as n on n.oid = c.relnamespace and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')
      where l.pid = a.pid
        and l.locktype = 'relation'
        and l.granted
        and l.mode <> 'AccessShareLock'
        and l.database = (select d.oid from pg_catalog.pg_database as d where d.datname = pg_catalog.current_database())
      order by 1
      limit 10
    ) as h
  ), '{}'::text[]) as locked_tables
from pg_catalog.pg_stat_activity as a
left join waiting as w on w.pid = a.pid
where a.backend_type = 'client backend'
  and a.pid <> pg_catalog.pg_backend_pid()
  and a.datid = (select d.oid from pg_catalog.pg_database as d where d.datname = pg_catalog.current_database())
  and (
    w.pid is not null
    or a.pid in (select pg_catalog.unnest(b.blocked_by) from waiting as b)
    or a.xact_start < pg_catalog.clock_timestamp() - interval '1 second'
  )
order by a.xact_start, a.pid
limit 200
