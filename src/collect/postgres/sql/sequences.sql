/* medusa-advisor */
select
  n.nspname::text as schema,
  c.relname::text as name,
  case
    when pg_catalog.has_sequence_privilege(c.oid, 'SELECT,USAGE') and not pg_catalog.pg_is_other_temp_schema(n.oid)
    then pg_catalog.pg_sequence_last_value(c.oid)
  end as last_value,
  pg_catalog.has_sequence_privilege(c.oid, 'SELECT,USAGE') as is_readable,
  least(
    q.seqmax,
    case a.atttypid
      when 'int2'::regtype then 32767
      when 'int4'::regtype then 2147483647
      else q.seqmax
    end
  ) as max_value,
  case when a.attname is not null then t.relname::text || '.' || a.attname::text end as column
from pg_catalog.pg_sequence as q
join pg_catalog.pg_class as c on c.oid = q.seqrelid
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
left join pg_catalog.pg_depend as d
  on d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid
 and d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjsubid > 0 and d.deptype in ('a', 'i')
left join pg_catalog.pg_class as t on t.oid = d.refobjid
left join pg_catalog.pg_attribute as a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
where c.relpersistence <> 't'
order by n.nspname, c.relname
limit 5000
