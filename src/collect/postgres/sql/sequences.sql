/* medusa-advisor */
-- A sequence counts for the column that owns it (serial, identity) and for each whose default calls it: the narrowest is the limit. One that
-- cycles or counts down is not one that runs out.
select
  n.nspname::text as schema,
  c.relname::text as name,
  case
    when pg_catalog.has_sequence_privilege(c.oid, 'SELECT,USAGE') and not pg_catalog.pg_is_other_temp_schema(n.oid)
    then pg_catalog.pg_sequence_last_value(c.oid)
  end as last_value,
  pg_catalog.has_sequence_privilege(c.oid, 'SELECT,USAGE') as is_readable,
  least(q.seqmax, u.type_max) as max_value,
  u.name as column
from pg_catalog.pg_sequence as q
join pg_catalog.pg_class as c on c.oid = q.seqrelid
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
left join lateral (
  select
    t.relname::text || '.' || a.attname::text as name,
    case a.atttypid when 'int2'::regtype then 32767 when 'int4'::regtype then 2147483647 else q.seqmax end as type_max
  from (
    select d.refobjid as table_oid, d.refobjsubid as position
    from pg_catalog.pg_depend as d
    where d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid
      and d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjsubid > 0 and d.deptype in ('a', 'i')
    union
    select f.adrelid, f.adnum::int4
    from pg_catalog.pg_depend as d
    join pg_catalog.pg_attrdef as f on f.oid = d.objid
    where d.classid = 'pg_catalog.pg_attrdef'::regclass
      and d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjid = c.oid
  ) as p
  join pg_catalog.pg_class as t on t.oid = p.table_oid
  join pg_catalog.pg_attribute as a on a.attrelid = p.table_oid and a.attnum = p.position
  order by type_max, name
  limit 1
) as u on true
where c.relpersistence <> 't'
  and not q.seqcycle
  and q.seqincrement > 0
order by n.nspname, c.relname
limit 5000
