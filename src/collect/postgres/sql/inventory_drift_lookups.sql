/* medusa-advisor */
-- As inventory_drift.sql where the tables are too large to be read: some levels, each with the reservations its item's index finds.
select
  pg_catalog.count(*) filter (where l.reserved_quantity <> coalesce(r.quantity, 0))::int8 as drifted,
  pg_catalog.count(*)::int8 as levels
from {schema}.inventory_level as l {sample}
cross join lateral (
  select pg_catalog.sum(i.quantity) as quantity
  from {schema}.reservation_item as i
  where i.inventory_item_id = l.inventory_item_id and i.location_id = l.location_id and i.deleted_at is null
) as r
where l.deleted_at is null
order by 1
