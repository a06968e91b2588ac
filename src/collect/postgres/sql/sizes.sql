/* medusa-advisor */
-- A page; per table: its own pages, its indexes', its TOAST table's with that one's index.
select
  coalesce(owner.oid, base.oid)::int8 as table_oid,
  c.oid::int8 as oid,
  case when owner.oid is not null then 'toast' when c.relkind = 'i' then 'index' else 'table' end as kind,
  {bytes} as bytes
from pg_catalog.pg_class as c
left join pg_catalog.pg_index as i on i.indexrelid = c.oid
join pg_catalog.pg_class as base on base.oid = coalesce(i.indrelid, c.oid)
join pg_catalog.pg_namespace as n on n.oid = base.relnamespace
left join pg_catalog.pg_class as owner on base.relkind = 't' and owner.reltoastrelid = base.oid
where c.oid > {after}
  and c.relkind in ('r', 'm', 'i', 't')
  and c.relpersistence <> 't'
  and (base.relkind <> 't' or owner.relnamespace <> 'pg_catalog'::regnamespace)
  and n.nspname not in ('pg_catalog', 'information_schema')
order by c.oid
limit 10000
