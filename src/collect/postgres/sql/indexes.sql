/* medusa-advisor */
-- A page of those that index_ids.sql lists. Keys are joined once for the page, not once an index: that is what keeps many of them quick.
with kept as materialized (
  select
    x.indexrelid, x.indrelid, x.indnatts, x.indnkeyatts, x.indkey, x.indclass, x.indcollation, x.indoption,
    x.indpred, x.xmin as made_by, x.indisunique, x.indisprimary, x.indisvalid, x.indisready, x.indisreplident,
    x.indnullsnotdistinct, -- since: 15
    c.relispartition, n.nspname, t.relname as table_name, t.reltoastrelid, c.relname as index_name, c.relam, c.reltuples, c.reloptions
  from pg_catalog.pg_index as x
  join pg_catalog.pg_class as c on c.oid = x.indexrelid
  join pg_catalog.pg_class as t on t.oid = x.indrelid
  join pg_catalog.pg_namespace as n on n.oid = t.relnamespace
  where x.indexrelid = any ('{ids}'::oid[])
),
-- Transactions that take a number a second, at most: each ends, and each changes a row. Counted as database_counters.sql does.
pace as materialized (
  select
    pg_catalog.sum(
      least(s.xact_commit + s.xact_rollback, s.tup_inserted + s.tup_updated + s.tup_deleted) / greatest(extract(epoch from pg_catalog.clock_timestamp() - coalesce(
        s.stats_reset,
        (select a.stats_reset from pg_catalog.pg_stat_archiver as a where a.stats_reset > pg_catalog.pg_postmaster_start_time()),
        pg_catalog.pg_postmaster_start_time()
      )), 1)
    )::float8 as numbers_a_second
  from pg_catalog.pg_stat_database as s
),
part as (
  select
    x.indexrelid, x.indrelid, g.n::int4 as n, g.n <= x.indnkeyatts as is_key,
    g.attnum, x.indclass[g.n - 1] as opclass, x.indcollation[g.n - 1] as collation, x.indoption[g.n - 1]::int4 as option
  from kept as x
  cross join lateral pg_catalog.unnest(x.indkey::int2[]) with ordinality as g(attnum, n)
),
keys as (
  select
    p.indexrelid,
    pg_catalog.array_agg(
      case when a.attnum is null then pg_catalog.pg_get_indexdef(p.indexrelid, p.n, true) else a.attname::text end order by p.n
    ) filter (where p.is_key) as texts,
    pg_catalog.array_agg(a.attnum is null order by p.n) filter (where p.is_key) as are_expressions,
    pg_catalog.array_agg(case when not o.opcdefault then o.opcname::text end order by p.n) filter (where p.is_key) as opclasses,
    pg_catalog.array_agg(
      case when l.oid <> coalesce(a.attcollation, 'pg_catalog."default"'::regcollation) then l.collname::text end order by p.n
    ) filter (where p.is_key) as collations,
    pg_catalog.array_agg(p.option order by p.n) filter (where p.is_key) as options,
    coalesce(pg_catalog.array_agg(a.attname::text order by p.n) filter (where not p.is_key), '{}'::text[]) as include
  from part as p
  left join pg_catalog.pg_attribute as a on a.attrelid = p.indrelid and a.attnum = p.attnum and p.attnum <> 0
  left join pg_catalog.pg_opclass as o on p.is_key and o.oid = p.opclass
  left join pg_catalog.pg_collation as l on p.is_key and l.oid = p.collation
  group by p.indexrelid
)
select
  x.indexrelid::int8 as oid,
  x.nspname::text as schema,
  x.table_name::text as table,
  x.index_name::text as name,
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
    where p.index_relid = x.indexrelid or (not x.indisvalid and (p.relid in (x.indrelid, x.reltoastrelid) or p.index_relid is null))
  ) as is_building,
  x.indisreplident as is_replica_identity,
  x.relispartition as is_attached,
  con.conname::text as constraint,
  e.extname::text as extension,
  pg_catalog.pg_get_indexdef(x.indexrelid) as definition,
  x.reltuples::float8 as rows_estimate,
  coalesce(x.reloptions, '{}'::text[]) as options,
  pg_catalog.pg_stat_get_numscans(x.indexrelid) as scans,
  pg_catalog.pg_stat_get_lastscan(x.indexrelid) as last_scan, -- since: 16
  null::timestamptz as last_scan, -- until: 15
  -- Its entry keeps the number of the transaction that wrote it, frozen or not. By the clock where commits are dated, else by the pace.
  coalesce(
    case
      when pg_catalog.current_setting('track_commit_timestamp') = 'on' and not pg_catalog.pg_is_in_recovery()
      then extract(epoch from pg_catalog.clock_timestamp() - pg_catalog.pg_xact_commit_timestamp(x.made_by))::float8
    end,
    (case when pg_catalog.age(x.made_by) < 0 then 2147483647 else pg_catalog.age(x.made_by) end)::float8 / greatest(pace.numbers_a_second, 0.000001)
  ) as age_s_min
from kept as x
cross join pace
join keys as k on k.indexrelid = x.indexrelid
join pg_catalog.pg_am as am on am.oid = x.relam
left join pg_catalog.pg_constraint as con
  on con.conindid = x.indexrelid and con.conrelid = x.indrelid and con.contype in ('p', 'u', 'x')
left join pg_catalog.pg_depend as d
  on d.classid = 'pg_catalog.pg_class'::regclass and d.objid = x.indrelid and d.objsubid = 0 and d.deptype = 'e'
left join pg_catalog.pg_extension as e on e.oid = d.refobjid
order by x.nspname, x.table_name, x.index_name
limit 2500
