/* medusa-advisor */
select
  c.num_timed as timed, -- since: 17
  c.num_requested as requested, -- since: 17
  c.buffers_written as buffers_written, -- since: 17
  c.checkpoints_timed as timed, -- until: 16
  c.checkpoints_req as requested, -- until: 16
  c.buffers_checkpoint as buffers_written, -- until: 16
  w.wal_bytes::int8 as wal_bytes, -- since: 14
  null::int8 as wal_bytes, -- until: 13
  null::int8 as wal_position, -- since: 14
  case when not pg_is_in_recovery() -- until: 13
       and not exists (select from pg_catalog.pg_proc where proname = 'aurora_version') -- until: 13
    then pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::int8 end as wal_position, -- until: 13
  c.stats_reset as stats_reset_at
from pg_catalog.pg_stat_checkpointer as c -- since: 17
from pg_catalog.pg_stat_bgwriter as c -- until: 16
cross join pg_catalog.pg_stat_wal as w -- since: 14
limit 1
