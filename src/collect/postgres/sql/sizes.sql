/* medusa-advisor */
-- A page. Per table: its own pages, its indexes', its TOAST table's with that one's index. What initdb made lies below 16384.
with kept as materialized (
  select c.oid, c.relkind, c.relpages
  from pg_catalog.pg_class as c
  where c.oid > {after}
    and c.relkind in ('r', 'm', 'i', 't')
    and c.relpersistence <> 't'
  order by c.oid
  limit 2500
)
select
  coalesce(owner.oid, base.oid)::int8 as table_oid,
  c.oid::int8 as oid,
  case when owner.oid is not null then 'toast' when c.relkind = 'i' then 'index' else 'table' end as kind,
  {bytes} as bytes
from kept as c
left join pg_catalog.pg_index as i on i.indexrelid = c.oid
join pg_catalog.pg_class as base on base.oid = coalesce(i.indrelid, c.oid)
left join pg_catalog.pg_class as owner on base.relkind = 't' and owner.reltoastrelid = base.oid
order by c.oid
limit 2500
