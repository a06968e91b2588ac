/* medusa-advisor */
select
  coalesce(pg_catalog.has_function_privilege(pg_catalog.to_regprocedure('advisor.column_stats()')::oid, 'EXECUTE'), false) as has_function,
  exists (
    select 1
    from pg_catalog.pg_class as c
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    where c.relkind in ('r', 'm')
      and c.reltuples > 0
      and n.nspname not in ('pg_catalog', 'information_schema')
      and not pg_catalog.has_table_privilege(c.oid, 'SELECT')
  ) as has_hidden_tables
