/* medusa-advisor */
-- Those of the largest tables first, as index_ids.sql has them.
select
  n.nspname::text as schema,
  t.relname::text as table,
  c.conname::text as name,
  c.contype::text as kind,
  k.columns as columns,
  c.convalidated as is_validated,
  pn.nspname::text as parent_schema,
  p.relname::text as parent_table,
  f.columns as parent_columns,
  case when c.contype = 'f' then c.confdeltype::text end as on_delete,
  case when c.contype = 'f' then c.confupdtype::text end as on_update
from pg_catalog.pg_constraint as c
join pg_catalog.pg_class as t on t.oid = c.conrelid
join pg_catalog.pg_namespace as n on n.oid = t.relnamespace
left join pg_catalog.pg_class as p on p.oid = c.confrelid and c.contype = 'f'
left join pg_catalog.pg_namespace as pn on pn.oid = p.relnamespace
cross join lateral (
  select coalesce(pg_catalog.array_agg(a.attname::text order by u.position), '{}'::text[]) as columns
  from pg_catalog.unnest(c.conkey) with ordinality as u(attnum, position)
  join pg_catalog.pg_attribute as a on a.attrelid = c.conrelid and a.attnum = u.attnum
) as k
cross join lateral (
  select coalesce(pg_catalog.array_agg(a.attname::text order by u.position), '{}'::text[]) as columns
  from pg_catalog.unnest(c.confkey) with ordinality as u(attnum, position)
  join pg_catalog.pg_attribute as a on a.attrelid = c.confrelid and a.attnum = u.attnum
) as f
where c.contype in ('p', 'u', 'f', 'c', 'x')
  and n.nspname not in ('pg_catalog', 'information_schema')
order by t.relkind = 'p' desc, greatest(t.relpages, pg_catalog.pg_stat_get_live_tuples(t.oid) / 60) desc, n.nspname, t.relname, c.conname
limit 10000
