/* medusa-advisor */
select
  pg_catalog.clock_timestamp() as now,
  pg_catalog.pg_backend_pid() as backend_pid,
  s.stats_reset as stats_reset_at,
  s.xact_commit as commits,
  s.xact_rollback as rollbacks,
  s.blks_hit as blocks_hit,
  s.blks_read as blocks_read,
  s.temp_files as temp_files,
  s.temp_bytes as temp_bytes,
  s.deadlocks as deadlocks
from pg_catalog.pg_stat_database as s
where s.datname = pg_catalog.current_database()
