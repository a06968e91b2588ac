/* medusa-advisor */
-- A sequence counts for the column that owns it (serial, identity) and for each whose default calls it: the narrowest is the limit. One that
-- cycles or counts down is not one that runs out. Lists joined whole: looked up one by one, 3,000 of them took half a minute on catalogs that
-- were not analyzed.
with counting as materialized (
  select q.seqrelid as oid, q.seqmax as largest
  from pg_catalog.pg_sequence as q
  where not q.seqcycle and q.seqincrement > 0
),
named as materialized (
  select d.objid as sequence_oid, d.refobjid as table_oid, d.refobjsubid as position
  from pg_catalog.pg_depend as d
  where d.classid = 'pg_catalog.pg_class'::regclass
    and d.refclassid = 'pg_catalog.pg_class'::regclass
    and d.refobjsubid > 0
    and d.deptype in ('a', 'i')
),
called as materialized (
  select d.refobjid as sequence_oid, d.objid as default_oid
  from pg_catalog.pg_depend as d
  where d.classid = 'pg_catalog.pg_attrdef'::regclass
    and d.refclassid = 'pg_catalog.pg_class'::regclass
    and d.refobjsubid = 0
),
fills as materialized (
  select o.sequence_oid, o.table_oid, o.position
  from named as o
  union all
  select p.sequence_oid, f.adrelid, f.adnum::int4
  from called as p
  join pg_catalog.pg_attrdef as f on f.oid = p.default_oid
)
select distinct on (n.nspname, c.relname)
  n.nspname::text as schema,
  c.relname::text as name,
  case
    when pg_catalog.has_sequence_privilege(c.oid, 'SELECT,USAGE') and not pg_catalog.pg_is_other_temp_schema(n.oid)
    then pg_catalog.pg_sequence_last_value(c.oid)
  end as last_value,
  pg_catalog.has_sequence_privilege(c.oid, 'SELECT,USAGE') as is_readable,
  least(q.largest, case a.atttypid when 'int2'::regtype then 32767 when 'int4'::regtype then 2147483647 end) as max_value,
  case when a.attname is not null then t.relname::text || '.' || a.attname::text end as column
from counting as q
join pg_catalog.pg_class as c on c.oid = q.oid
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
left join fills as u on u.sequence_oid = q.oid
left join pg_catalog.pg_class as t on t.oid = u.table_oid
left join pg_catalog.pg_attribute as a on a.attrelid = u.table_oid and a.attnum = u.position
where c.relpersistence <> 't'
order by n.nspname, c.relname, max_value, a.attname
limit 5000
