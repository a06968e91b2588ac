/* medusa-advisor */
select
  c.relname::text as table,
  c.reltuples::float8 as rows_estimate,
  coalesce(s.n_live_tup, 0) as live_rows,
  c.relpages::int8 * pg_catalog.current_setting('block_size')::int8 as bytes,
  pg_catalog.has_schema_privilege(c.relnamespace, 'USAGE')
    and pg_catalog.has_any_column_privilege(c.oid, 'SELECT') as is_readable,
  coalesce(pg_catalog.array_agg(a.attname::text order by a.attname) filter (where a.attname is not null), '{}'::text[]) as columns
from pg_catalog.pg_class as c
left join pg_catalog.pg_stat_all_tables as s on s.relid = c.oid
left join pg_catalog.pg_attribute as a
  on a.attrelid = c.oid
 and a.attname in ('deleted_at', 'state', 'retention_time', 'completed_at', 'updated_at')
 and pg_catalog.has_column_privilege(c.oid, a.attnum, 'SELECT')
where c.relnamespace = pg_catalog.to_regnamespace('{schema}')::oid
  and c.relkind in ('r', 'p')
  and c.relname in (
    'cart', 'cart_line_item', 'customer', 'idempotency_key', 'image', 'inventory_item', 'line_item', 'money_amount', 'notification',
    'order', 'order_item', 'order_line_item', 'price', 'price_set', 'product', 'product_category', 'product_sales_channel',
    'product_variant', 'sales_channel', 'staged_job', 'workflow_execution'
  )
group by c.oid, c.relname, c.reltuples, s.n_live_tup, c.relpages, c.relnamespace
order by c.relname
