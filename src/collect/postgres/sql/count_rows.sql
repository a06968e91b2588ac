/* medusa-advisor */ select '{table}'::text as table, '{what}'::text as what, pg_catalog.count(*)::int8 as rows from {relation} as t where {condition}
