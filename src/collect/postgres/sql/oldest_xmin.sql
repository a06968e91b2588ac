/* medusa-advisor */
-- What keeps dead rows of this database's tables: sessions and prepared transactions of it alone, by their snapshot or by their own id. A
-- slot's catalog_xmin keeps rows of catalogs, not of the store; vacuum's own snapshots keep nothing.
select h.kind as kind, h.name as name, h.age_xids as age_xids
from (
  select
    'session'::text as kind,
    'pid ' || a.pid::text as name,
    greatest(pg_catalog.age(a.backend_xmin), pg_catalog.age(a.backend_xid))::int8 as age_xids
  from pg_catalog.pg_stat_activity as a
  where (a.backend_xmin is not null or a.backend_xid is not null)
    and a.pid <> pg_catalog.pg_backend_pid()
    and coalesce(a.backend_type, '') not in ('walsender', 'autovacuum worker', 'parallel worker')
    and a.datid = (select d.oid from pg_catalog.pg_database as d where d.datname = pg_catalog.current_database())
  union all
  select 'prepared transaction', p.gid, pg_catalog.age(p.transaction)::int8
  from pg_catalog.pg_prepared_xacts as p
  where p.database = pg_catalog.current_database()
  union all
  select 'replication slot', s.slot_name::text, pg_catalog.age(s.xmin)::int8
  from pg_catalog.pg_replication_slots as s
  where s.xmin is not null
  union all
  select 'standby', coalesce(r.application_name, ''), pg_catalog.age(r.backend_xmin)::int8
  from pg_catalog.pg_stat_replication as r
  where r.backend_xmin is not null
) as h
order by h.age_xids desc, h.kind, h.name
limit 1
