/* medusa-advisor */
select
  s.slot_name::text as name,
  s.active as is_active,
  pg_catalog.pg_wal_lsn_diff(
    case when pg_catalog.pg_is_in_recovery() then pg_catalog.pg_last_wal_receive_lsn() else pg_catalog.pg_current_wal_lsn() end, s.restart_lsn
  )::int8 as retained_bytes,
  s.slot_type as kind,
  s.wal_status as wal_status,
  s.safe_wal_size as safe_bytes
from pg_catalog.pg_replication_slots as s
order by s.slot_name
limit 200
