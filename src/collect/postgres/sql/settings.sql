/* medusa-advisor */
-- Texts can hold secrets (connection strings, commands, an application's own settings): only those on the list are read.
select
  s.name as name,
  s.setting as value,
  s.unit as unit,
  s.source as source,
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
