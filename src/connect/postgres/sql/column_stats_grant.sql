create schema if not exists advisor;
create or replace function advisor.column_stats()
  returns table (schemaname name, tablename name, attname name, null_frac real, avg_width integer, n_distinct real, correlation real)
  language sql stable security definer set search_path = ''
  as $$select s.schemaname, s.tablename, s.attname, s.null_frac, s.avg_width, s.n_distinct, s.correlation
         from pg_catalog.pg_stats as s where not s.inherited and s.schemaname not in ('pg_catalog', 'information_schema')$$;
revoke all on function advisor.column_stats() from public;
grant usage on schema advisor to medusa_advisor;
grant execute on function advisor.column_stats() to medusa_advisor;
