/* medusa-advisor */
select
  pg_catalog.current_setting('server_version') as version,
  pg_catalog.pg_is_in_recovery() as is_replica,
  s.oid is not null as has_statements,
  s.extversion as statements_version,
  -- Its own settings exist only where the library is loaded.
  pg_catalog.current_setting('pg_stat_statements.max', true) is not null as is_preloaded,
  coalesce(
    pg_catalog.has_schema_privilege(s.extnamespace, 'USAGE') and exists (
      select 1 from pg_catalog.pg_class as v
      where v.relnamespace = s.extnamespace and v.relname = 'pg_stat_statements' and pg_catalog.has_table_privilege(v.oid, 'SELECT')
    ),
    false
  ) as can_read_statements,
  pg_catalog.pg_has_role(current_user, 'pg_read_all_stats', 'USAGE') as has_read_all_stats,
  pg_catalog.pg_has_role(current_user, 'pg_read_all_settings', 'USAGE') as has_read_all_settings,
  (select pg_catalog.count(*)::int8
     from pg_catalog.pg_index as x
     join pg_catalog.pg_class as c on c.oid = x.indrelid
     join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    where n.nspname not in ('pg_catalog', 'information_schema') and c.relkind in ('r', 'p', 'm')) as indexes,
  (select pg_catalog.count(*)::int8
     from pg_catalog.pg_sequence as q
    where not pg_catalog.has_sequence_privilege(q.seqrelid, 'SELECT,USAGE')) as hidden_sequences,
  (select pg_catalog.count(*)::int8
     from pg_catalog.pg_class as c
     join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    where c.relkind in ('r', 'm') and c.reltuples > 0
      and n.nspname not in ('pg_catalog', 'information_schema')
      and (not pg_catalog.has_table_privilege(c.oid, 'SELECT') or pg_catalog.row_security_active(c.oid))) as hidden_tables,
  coalesce(pg_catalog.has_function_privilege(pg_catalog.to_regprocedure('advisor.column_stats()')::oid, 'EXECUTE'), false) as has_stats_function
from (select 1) as one
left join pg_catalog.pg_extension as s on s.extname = 'pg_stat_statements'
