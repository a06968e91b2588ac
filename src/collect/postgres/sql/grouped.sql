/* medusa-advisor */
-- How many rows hang on one parent: counts of groups, never their keys.
select
  pg_catalog.count(*)::int8 as groups,
  coalesce(pg_catalog.max(g.rows), 0)::int8 as most,
  pg_catalog.count(*) filter (where g.rows > {many})::int8 as many
from (
  select pg_catalog.count(*) as rows from {child} as t {sample} where {live} and t.{key} is not null group by t.{key}
) as g
order by 1
