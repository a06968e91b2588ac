/* medusa-advisor */
-- Line items of a sample of the abandoned carts, found by the index on their cart.
select pg_catalog.count(*)::int8 as carts, coalesce(pg_catalog.sum(i.rows), 0)::int8 as items
from {schema}.cart as t {sample}
cross join lateral (select pg_catalog.count(*) as rows from {items} as i where i.cart_id = t.id {live}) as i
where {abandoned}
order by 1
