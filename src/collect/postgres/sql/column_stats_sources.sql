/* medusa-advisor */
-- The view hides what the role may not read and, where row level security applies to it, whole tables; so it does from the function's owner.
select
  coalesce(pg_catalog.has_function_privilege(pg_catalog.to_regprocedure('advisor.column_stats()')::oid, 'EXECUTE'), false) as has_function,
  exists (
    select 1
    from pg_catalog.pg_class as c
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    where c.relkind in ('r', 'm')
      and c.reltuples > 0
      and n.nspname not in ('pg_catalog', 'information_schema')
      and (not pg_catalog.has_table_privilege(c.oid, 'SELECT') or pg_catalog.row_security_active(c.oid))
  ) as has_hidden_tables,
  exists (
    select 1
    from pg_catalog.pg_proc as f
    join pg_catalog.pg_roles as o on o.oid = f.proowner
    cross join pg_catalog.pg_class as c
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    where f.oid = pg_catalog.to_regprocedure('advisor.column_stats()')::oid
      and not o.rolsuper
      and c.relkind in ('r', 'm')
      and c.reltuples > 0
      and n.nspname not in ('pg_catalog', 'information_schema')
      and (
        not pg_catalog.has_table_privilege(o.oid, c.oid, 'SELECT')
        or (
          c.relrowsecurity
          and not o.rolbypassrls
          and (c.relforcerowsecurity or not pg_catalog.pg_has_role(o.oid, c.relowner, 'USAGE'))
        )
      )
  ) as is_hidden_from_function
