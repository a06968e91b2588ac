/* medusa-advisor */
select
  c.oid::int8 as oid,
  n.nspname::text as schema,
  c.relname::text as name,
  e.extname::text as extension,
  c.relkind::text as kind,
  c.reltuples::float8 as rows_estimate,
  coalesce(s.n_dead_tup, 0) as dead_rows,
  coalesce(s.n_live_tup, 0) as live_rows,
  coalesce(s.n_mod_since_analyze, 0) as modified_since_analyze,
  s.last_vacuum as last_vacuum,
  s.last_autovacuum as last_autovacuum,
  s.last_analyze as last_analyze,
  s.last_autoanalyze as last_autoanalyze,
  coalesce(c.reloptions, '{}'::text[]) as options,
  greatest(
    case when c.relfrozenxid <> '0'::xid then pg_catalog.age(c.relfrozenxid)::int8 else 0::int8 end,
    case when o.relfrozenxid <> '0'::xid then pg_catalog.age(o.relfrozenxid)::int8 else 0::int8 end
  ) as xid_age,
  greatest(
    case when c.relminmxid <> '0'::xid then pg_catalog.mxid_age(c.relminmxid)::int8 else 0::int8 end,
    case when o.relminmxid <> '0'::xid then pg_catalog.mxid_age(o.relminmxid)::int8 else 0::int8 end
  ) as mxid_age,
  (select pg_catalog.count(*) from pg_catalog.pg_attribute as a where a.attrelid = c.oid and a.attnum > 0 and a.attisdropped)::int4 as dropped_columns,
  pn.nspname::text as parent_schema,
  p.relname::text as parent_name,
  coalesce(s.seq_scan, 0) as seq_scans,
  coalesce(s.seq_tup_read, 0) as seq_rows_read,
  coalesce(s.idx_scan, 0) as index_scans,
  coalesce(s.idx_tup_fetch, 0) as index_rows_fetched,
  coalesce(s.n_tup_ins, 0) as inserts,
  coalesce(s.n_tup_upd, 0) as updates,
  coalesce(s.n_tup_del, 0) as deletes,
  coalesce(s.n_tup_hot_upd, 0) as hot_updates
from pg_catalog.pg_class as c
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
left join pg_catalog.pg_stat_all_tables as s on s.relid = c.oid
left join pg_catalog.pg_class as o on o.oid = c.reltoastrelid
-- A partition has one parent; what inherits without being one may have several.
left join pg_catalog.pg_inherits as h on h.inhrelid = c.oid and c.relispartition
left join pg_catalog.pg_class as p on p.oid = h.inhparent
left join pg_catalog.pg_namespace as pn on pn.oid = p.relnamespace
left join pg_catalog.pg_depend as d
  on d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid and d.objsubid = 0 and d.deptype = 'e'
left join pg_catalog.pg_extension as e on e.oid = d.refobjid
where c.relkind in ('r', 'p', 'm')
  and c.relpersistence <> 't'
  and n.nspname not in ('pg_catalog', 'information_schema')
  and n.nspname not like 'pg\_toast%'
order by n.nspname, c.relname
limit 10000
