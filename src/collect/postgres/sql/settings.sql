/* medusa-advisor */
-- Texts can hold secrets (connection strings, commands, an application's own settings): only those on the list are read.
select
  s.name as name,
  -- What a session begins with: the limits of our own transaction are not the server's.
  s.reset_val as value,
  s.unit as unit,
  case
    when s.source <> 'session' then s.source
    when exists (
      select 1
      from pg_catalog.pg_db_role_setting as d
      cross join lateral pg_catalog.unnest(d.setconfig) as u(setting)
      where d.setrole = (select r.oid from pg_catalog.pg_roles as r where r.rolname = current_user)
        and d.setdatabase in (0, (select b.oid from pg_catalog.pg_database as b where b.datname = pg_catalog.current_database()))
        and pg_catalog.split_part(u.setting, '=', 1) = s.name
    ) then 'user'
    else 'server'
  end as source,
  s.boot_val as boot_value,
  s.pending_restart as pending_restart
from pg_catalog.pg_settings as s
where s.vartype <> 'string'
   or s.name in (
     'TimeZone', 'autovacuum_worker_slots', 'default_text_search_config', 'lc_collate', 'lc_ctype', 'lc_messages', 'log_destination',
     'log_timezone', 'search_path', 'server_encoding', 'server_version', 'session_preload_libraries', 'shared_preload_libraries',
     'synchronous_standby_names', 'track_functions', 'wal_consistency_checking', 'io_method'
   )
order by s.name
limit 2000
