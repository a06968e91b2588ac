/* medusa-advisor */
select
  coalesce(e.extname::text, a.name::text) as name,
  e.extversion as installed,
  a.default_version as available,
  n.nspname::text as schema
from pg_catalog.pg_available_extensions as a
full join pg_catalog.pg_extension as e on e.extname = a.name
left join pg_catalog.pg_namespace as n on n.oid = e.extnamespace
order by 1
limit 1000
