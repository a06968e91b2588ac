/* medusa-advisor */
select
  c.relname::text as table,
  c.reltuples::float8 as rows_estimate,
  coalesce(s.n_live_tup, 0) as live_rows,
  c.relpages::int8 * pg_catalog.current_setting('block_size')::int8 as bytes,
  pg_catalog.current_setting('block_size')::int8 as block_size,
  pg_catalog.has_schema_privilege(c.relnamespace, 'USAGE')
    and pg_catalog.has_any_column_privilege(c.oid, 'SELECT') as is_readable,
  pg_catalog.row_security_active(c.oid) as hides_rows,
  pg_catalog.array_agg(a.attname::text order by a.attname) as columns,
  coalesce(
    pg_catalog.array_agg(a.attname::text order by a.attname) filter (where pg_catalog.has_column_privilege(c.oid, a.attnum, 'SELECT')),
    '{}'::text[]
  ) as readable
from pg_catalog.pg_class as c
join pg_catalog.pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
left join pg_catalog.pg_stat_all_tables as s on s.relid = c.oid
where c.relnamespace = pg_catalog.to_regnamespace('{schema}')::oid
  and c.relkind in ('r', 'p')
  and c.relname in (
    'cart', 'cart_address', 'cart_line_item', 'cart_line_item_adjustment', 'cart_line_item_tax_line', 'cart_payment_collection',
    'cart_promotion', 'cart_shipping_method', 'cart_shipping_method_adjustment', 'cart_shipping_method_tax_line', 'credit_line',
    'customer', 'idempotency_key', 'image', 'index_metadata', 'inventory_item', 'inventory_level', 'line_item', 'line_item_adjustment',
    'line_item_tax_line', 'money_amount', 'notification', 'order', 'order_item', 'order_line_item', 'payment_session', 'price',
    'price_list', 'price_set', 'product', 'product_category', 'product_sales_channel', 'product_tax_rate', 'product_type_tax_rate',
    'product_variant', 'reservation_item', 'sales_channel', 'shipping_method', 'staged_job', 'tax_rate_rule', 'workflow_execution'
  )
group by c.oid, c.relname, c.reltuples, s.n_live_tup, c.relpages, c.relnamespace
order by c.relname
limit 100
