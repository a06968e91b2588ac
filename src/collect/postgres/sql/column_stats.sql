/* medusa-advisor */
-- Never most_common_vals or histogram_bounds: they hold values.
select
  s.schemaname::text as schema,
  s.tablename::text as table,
  s.attname::text as column,
  s.null_frac::float8 as null_fraction,
  s.avg_width::int4 as average_width,
  s.n_distinct::float8 as distinct,
  s.correlation::float8 as correlation
from {source} as s
where s.schemaname not in ('pg_catalog', 'information_schema')
  and {which}
order by s.schemaname, s.tablename, s.attname
limit 10000
