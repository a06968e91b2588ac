/* medusa-advisor */
select
  x.indexrelid::int8 as oid,
  n.nspname::text as schema,
  t.relname::text as table,
  c.relname::text as name,
  am.amname::text as method,
  k.texts as key_texts,
  k.are_expressions as key_are_expressions,
  k.opclasses as key_opclasses,
  k.collations as key_collations,
  k.options as key_options,
  k.include as include,
  pg_catalog.pg_get_expr(x.indpred, x.indrelid, true) as predicate,
  x.indisunique as is_unique,
  x.indnullsnotdistinct as nulls_not_distinct, -- since: 15
  false as nulls_not_distinct, -- until: 14
  x.indisprimary as is_primary,
  x.indisvalid as is_valid,
  x.indisready as is_ready,
  exists (
    select 1 from pg_catalog.pg_stat_progress_create_index as p
    -- REINDEX TABLE CONCURRENTLY works on one index, of the table or its TOAST table, while the others wait, invalid. Without permission both columns are null.
    where p.index_relid = x.indexrelid or (not x.indisvalid and (p.relid in (x.indrelid, t.reltoastrelid) or p.index_relid is null))
  ) as is_building,
  x.indisreplident as is_replica_identity,
  con.conname::text as constraint,
  e.extname::text as extension,
  pg_catalog.pg_get_indexdef(x.indexrelid) as definition,
  c.reltuples::float8 as rows_estimate,
  coalesce(c.reloptions, '{}'::text[]) as options,
  pg_catalog.pg_stat_get_numscans(x.indexrelid) as scans,
  pg_catalog.pg_stat_get_lastscan(x.indexrelid) as last_scan -- since: 16
  null::timestamptz as last_scan -- until: 15
from pg_catalog.pg_index as x
join pg_catalog.pg_class as c on c.oid = x.indexrelid
join pg_catalog.pg_class as t on t.oid = x.indrelid
join pg_catalog.pg_namespace as n on n.oid = t.relnamespace
join pg_catalog.pg_am as am on am.oid = c.relam
left join pg_catalog.pg_constraint as con
  on con.conindid = x.indexrelid and con.conrelid = x.indrelid and con.contype in ('p', 'u', 'x')
left join pg_catalog.pg_depend as d
  on d.classid = 'pg_catalog.pg_class'::regclass and d.objid = x.indrelid and d.objsubid = 0 and d.deptype = 'e'
left join pg_catalog.pg_extension as e on e.oid = d.refobjid
cross join lateral (
  select
    pg_catalog.array_agg(
      case when a.attnum is null then pg_catalog.pg_get_indexdef(x.indexrelid, g.n, true) else a.attname::text end order by g.n
    ) filter (where g.n <= x.indnkeyatts) as texts,
    pg_catalog.array_agg(a.attnum is null order by g.n) filter (where g.n <= x.indnkeyatts) as are_expressions,
    pg_catalog.array_agg(case when not o.opcdefault then o.opcname::text end order by g.n) filter (where g.n <= x.indnkeyatts) as opclasses,
    pg_catalog.array_agg(l.collname::text order by g.n) filter (where g.n <= x.indnkeyatts) as collations,
    pg_catalog.array_agg(x.indoption[g.n - 1]::int4 order by g.n) filter (where g.n <= x.indnkeyatts) as options,
    coalesce(pg_catalog.array_agg(a.attname::text order by g.n) filter (where g.n > x.indnkeyatts), '{}'::text[]) as include
  from pg_catalog.generate_series(1, x.indnatts) as g(n)
  left join pg_catalog.pg_attribute as a on a.attrelid = x.indrelid and a.attnum = x.indkey[g.n - 1] and a.attnum <> 0
  left join pg_catalog.pg_opclass as o on g.n <= x.indnkeyatts and o.oid = x.indclass[g.n - 1]
  left join pg_catalog.pg_collation as l
    on g.n <= x.indnkeyatts and l.oid = x.indcollation[g.n - 1] and l.oid <> coalesce(a.attcollation, 'pg_catalog."default"'::regcollation)
) as k
where t.relkind in ('r', 'p', 'm')
  and t.relpersistence <> 't'
  and n.nspname not in ('pg_catalog', 'information_schema')
  and n.nspname not like 'pg\_toast%'
order by n.nspname, t.relname, c.relname
limit 10000
