/* medusa-advisor */
select
  pg_catalog.current_setting('max_connections')::int4 as max_connections,
  pg_catalog.current_setting('superuser_reserved_connections')::int4
    + coalesce(pg_catalog.current_setting('reserved_connections', true)::int4, 0) as reserved,
  pg_catalog.count(*) filter (where coalesce(a.backend_type, 'client backend') = 'client backend')::int4 as connections,
  pg_catalog.count(*) filter (where a.query = '<insufficient privilege>')::int4 as hidden
from pg_catalog.pg_stat_activity as a
where a.usesysid is not null
  and a.datid is not null
  and a.pid <> pg_catalog.pg_backend_pid()
