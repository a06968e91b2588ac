/* medusa-advisor */
select
  c.relname::text as table,
  a.attname::text as column,
  pg_catalog.has_schema_privilege(c.relnamespace, 'USAGE') and pg_catalog.has_column_privilege(c.oid, a.attnum, 'SELECT') as is_readable
from pg_catalog.pg_class as c
join pg_catalog.pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
where c.relnamespace = pg_catalog.to_regnamespace('{schema}')::oid
  and c.relkind in ('r', 'p')
  and (
    (c.relname = 'image' and a.attname in ('id', 'url', 'deleted_at', 'product_id'))
    or (c.relname = 'product' and a.attname in ('id', 'status', 'thumbnail', 'deleted_at'))
    or (c.relname = 'product_images' and a.attname in ('image_id', 'product_id'))
  )
order by 1, 2
