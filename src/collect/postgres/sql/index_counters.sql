/* medusa-advisor */
select
  s.indexrelid::int8 as oid,
  s.idx_scan as scans
from pg_catalog.pg_stat_user_indexes as s
order by s.indexrelid
limit 10000
