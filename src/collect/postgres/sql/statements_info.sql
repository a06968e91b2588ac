/* medusa-advisor */
select
  i.stats_reset as reset_at, -- since: 14
  i.dealloc as evictions, -- since: 14
  null::timestamptz as reset_at, -- until: 13
  null::int8 as evictions, -- until: 13
  pg_catalog.current_setting('pg_stat_statements.max', true)::int4 as max_entries
from {schema}.pg_stat_statements_info as i -- since: 14
