/* medusa-advisor */
-- A crash throws the counters away and leaves no time of reset here; the archiver's, which is set then too, is later than the start.
select
  pg_catalog.clock_timestamp() as now,
  pg_catalog.pg_backend_pid() as backend_pid,
  coalesce(s.stats_reset, (
    select a.stats_reset from pg_catalog.pg_stat_archiver as a where a.stats_reset > pg_catalog.pg_postmaster_start_time()
  )) as stats_reset_at,
  s.xact_commit as commits,
  s.xact_rollback as rollbacks,
  s.blks_hit as blocks_hit,
  s.blks_read as blocks_read,
  s.temp_files as temp_files,
  s.temp_bytes as temp_bytes,
  s.deadlocks as deadlocks
from pg_catalog.pg_stat_database as s
where s.datname = pg_catalog.current_database()
