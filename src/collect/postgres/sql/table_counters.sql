/* medusa-advisor */
select
  s.relid::int8 as oid,
  s.seq_scan as seq_scans,
  s.seq_tup_read as seq_rows_read,
  coalesce(s.idx_scan, 0) as index_scans,
  coalesce(s.idx_tup_fetch, 0) as index_rows_fetched,
  s.n_tup_ins as inserts,
  s.n_tup_upd as updates,
  s.n_tup_del as deletes,
  s.n_tup_hot_upd as hot_updates
from pg_catalog.pg_stat_user_tables as s
order by s.relid
limit 10000
