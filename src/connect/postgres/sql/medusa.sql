/* medusa-advisor */
select
  n.nspname::text as schema,
  pg_catalog.count(*)::int4 as tables,
  pg_catalog.array_agg(c.relname::text order by c.relname) as names,
  pg_catalog.bool_or(
    -- An unrelated table may bear this name without such a column.
    exists (
      select 1
      from pg_catalog.pg_attribute as a
      where a.attrelid = c.oid
        and a.attname = 'name'
        and c.relname in ('mikro_orm_migrations', 'migrations')
        and pg_catalog.has_column_privilege(c.oid, a.attnum, 'SELECT')
    )
    and pg_catalog.has_schema_privilege(n.oid, 'USAGE')
  ) as can_read_migrations
from pg_catalog.pg_class as c
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where c.relkind in ('r', 'p')
  and n.nspname not in ('pg_catalog', 'information_schema')
  and n.nspname not like 'pg\_%'
group by n.nspname
order by pg_catalog.count(*) desc, n.nspname
limit 100
