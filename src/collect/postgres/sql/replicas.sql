/* medusa-advisor */
select
  coalesce(r.application_name, '') as application,
  r.state as state,
  pg_catalog.pg_wal_lsn_diff(
    case when pg_catalog.pg_is_in_recovery() then pg_catalog.pg_last_wal_receive_lsn() else pg_catalog.pg_current_wal_lsn() end, r.replay_lsn
  )::int8 as lag_bytes
from pg_catalog.pg_stat_replication as r
order by r.application_name, r.pid
limit 200
