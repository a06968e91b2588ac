/* medusa-advisor */
-- Counters that were never reset by hand run since the server started, or since a crash threw them away: that sets the archiver's
-- time of reset too. A reset of the archiver by hand only makes them look younger than they are.
select
  pg_catalog.pg_is_in_recovery() as is_replica,
  pg_catalog.current_setting('server_version_num')::int4 as version_num,
  coalesce(
    s.stats_reset,
    greatest(pg_catalog.pg_postmaster_start_time(), (select a.stats_reset from pg_catalog.pg_stat_archiver as a))
  ) as counting_since
from pg_catalog.pg_stat_database as s
where s.datname = pg_catalog.current_database()
