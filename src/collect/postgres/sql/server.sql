/* medusa-advisor */
select
  d.datname::text as database,
  current_user::text as role,
  pg_catalog.current_setting('server_version_num')::int4 as version_num,
  pg_catalog.current_setting('server_version') as version,
  pg_catalog.current_setting('block_size')::int8 as block_size,
  pg_catalog.pg_is_in_recovery() as is_replica,
  exists (select 1 from pg_catalog.pg_roles as r where r.rolname = current_user and r.rolsuper) as is_superuser,
  pg_catalog.pg_has_role(current_user, 'pg_monitor', 'USAGE') as has_pg_monitor,
  pg_catalog.pg_postmaster_start_time() as started_at,
  case
    when exists (select 1 from pg_catalog.pg_roles as r where r.rolname = 'rds_superuser') then 'rds'
    when exists (select 1 from pg_catalog.pg_roles as r where r.rolname = 'cloudsqlsuperuser') then 'cloud-sql'
    when exists (select 1 from pg_catalog.pg_roles as r where r.rolname = 'neon_superuser') then 'neon'
    when exists (select 1 from pg_catalog.pg_roles as r where r.rolname = 'supabase_admin') then 'supabase'
    when exists (select 1 from pg_catalog.pg_roles as r where r.rolname = 'azure_pg_admin') then 'azure'
    else 'plain'
  end as platform,
  pg_catalog.pg_backend_pid() as backend_pid,
  extract(epoch from pg_catalog.clock_timestamp() - (
    select a.backend_start from pg_catalog.pg_stat_activity as a where a.pid = pg_catalog.pg_backend_pid()
  ))::float8 as backend_age_s,
  pg_catalog.inet_server_port() as server_port,
  pg_catalog.pg_database_size(d.oid) as database_bytes
from pg_catalog.pg_database as d
where d.datname = pg_catalog.current_database()
