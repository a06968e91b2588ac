/* medusa-advisor */
select
  pg_catalog.count(*)::int8 as migrations,
  pg_catalog.count(*) filter (where m.name::text = '{stock}')::int8 as stock_seen,
  pg_catalog.max(pg_catalog.substring(m.name::text, '[0-9]{13,14}')) as newest
from {table} as m
