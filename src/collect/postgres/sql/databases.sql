/* medusa-advisor */
select
  d.datname::text as name,
  case
    when pg_catalog.has_database_privilege(d.oid, 'CONNECT') or pg_catalog.pg_has_role(current_user, 'pg_read_all_stats', 'USAGE')
    then pg_catalog.pg_database_size(d.oid)
  end as bytes,
  coalesce(s.numbackends, 0)::int4 as connections,
  pg_catalog.age(d.datfrozenxid)::int8 as xid_age,
  pg_catalog.mxid_age(d.datminmxid)::int8 as mxid_age
from pg_catalog.pg_database as d
left join pg_catalog.pg_stat_database as s on s.datid = d.oid
where d.datallowconn
order by d.datname
limit 200
