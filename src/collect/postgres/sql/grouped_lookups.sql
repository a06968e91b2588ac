/* medusa-advisor */
-- As grouped.sql where the children are too many to be read: some parents, each with the children its index finds.
select
  pg_catalog.count(*)::int8 as groups,
  coalesce(pg_catalog.max(g.rows), 0)::int8 as most,
  pg_catalog.count(*) filter (where g.rows > {many})::int8 as many
from {parent} as p {sample}
cross join lateral (
  select pg_catalog.count(*) as rows from {child} as t where {live} and t.{key} = p.id
) as g
where g.rows > 0
order by 1
