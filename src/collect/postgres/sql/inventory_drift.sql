/* medusa-advisor */
select
  pg_catalog.count(*) filter (where l.reserved_quantity <> coalesce(r.quantity, 0))::int8 as drifted,
  pg_catalog.count(*)::int8 as levels
from {schema}.inventory_level as l
left join (
  select i.inventory_item_id, i.location_id, pg_catalog.sum(i.quantity) as quantity
  from {schema}.reservation_item as i
  where i.deleted_at is null
  group by i.inventory_item_id, i.location_id
) as r on r.inventory_item_id = l.inventory_item_id and r.location_id = l.location_id
where l.deleted_at is null
order by 1
