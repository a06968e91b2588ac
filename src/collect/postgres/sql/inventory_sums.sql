/* medusa-advisor */
-- What all levels say is reserved, against all reservations: one reading of each table, exact where the rows are too many to be matched.
select pg_catalog.ceil(pg_catalog.abs(
  coalesce((select pg_catalog.sum(l.reserved_quantity) from {schema}.inventory_level as l where l.deleted_at is null), 0)
  - coalesce((select pg_catalog.sum(i.quantity) from {schema}.reservation_item as i where i.deleted_at is null), 0)
))::int8 as difference
order by 1
