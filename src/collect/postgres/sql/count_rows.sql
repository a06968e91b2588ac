/* medusa-advisor */
select u.what, u.rows
from (select '{whats}'::text[] as whats, array[{counts}]::int8[] as counts from {relation} as t {sample}) as s
cross join lateral rows from (pg_catalog.unnest(s.whats), pg_catalog.unnest(s.counts)) as u (what, rows)
order by u.what
