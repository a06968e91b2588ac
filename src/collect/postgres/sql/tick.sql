/* medusa-advisor */
select
  pg_catalog.clock_timestamp() as now,
  (select pg_catalog.count(*)::int8 from pg_catalog.pg_stat_activity as a
    where a.usesysid is not null and a.datid is not null and a.pid <> pg_catalog.pg_backend_pid()
      and coalesce(a.backend_type, 'client backend') = 'client backend') as connections,
  (select coalesce(pg_catalog.array_agg(coalesce(a.wait_event_type || ':' || a.wait_event, 'CPU') order by a.pid), '{}'::text[])
    from pg_catalog.pg_stat_activity as a
    where a.datname = pg_catalog.current_database() and a.pid <> pg_catalog.pg_backend_pid()
      and a.backend_type = 'client backend' and a.state = 'active') as waits
