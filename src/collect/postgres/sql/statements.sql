/* medusa-advisor */
-- Characters of a long text are its bytes: counting them takes longer than fetching them. Dollar signs matter beyond the cut only.
select
  s.queryid::text as id,
  s.userid::int8 as user_id,
  s.toplevel as is_toplevel, -- since: 14
  true as is_toplevel, -- until: 13
  pg_catalog.left(s.query, 4000) as text,
  case when pg_catalog.octet_length(s.query) <= 16000 then pg_catalog.length(s.query) else pg_catalog.octet_length(s.query) end::int8 as text_chars,
  case
    when pg_catalog.octet_length(s.query) > 4000
    then pg_catalog.octet_length(s.query) - pg_catalog.octet_length(pg_catalog.replace(s.query, '$', ''))
  end::int8 as dollars,
  r.rolname::text as role,
  s.calls as calls,
  s.total_exec_time as total_ms,
  s.max_exec_time as max_ms,
  s.stddev_exec_time as stddev_ms,
  s.rows as rows,
  s.shared_blks_hit as blocks_hit,
  s.shared_blks_read as blocks_read,
  s.shared_blks_dirtied as blocks_dirtied,
  s.temp_blks_read as temp_blocks_read,
  s.temp_blks_written as temp_blocks_written,
  s.temp_blk_read_time + s.temp_blk_write_time as temp_io_ms, -- since: 15
  0::float8 as temp_io_ms, -- until: 14
  s.jit_generation_time + s.jit_inlining_time + s.jit_optimization_time + s.jit_emission_time as jit_ms, -- since: 15
  0::float8 as jit_ms, -- until: 14
  s.wal_bytes::int8 as wal_bytes,
  s.blk_read_time + s.blk_write_time as io_ms -- until: 16
  s.shared_blk_read_time + s.shared_blk_write_time as io_ms -- since: 17
from {schema}.pg_stat_statements as s
left join pg_catalog.pg_roles as r on r.oid = s.userid
where s.dbid = (select d.oid from pg_catalog.pg_database as d where d.datname = pg_catalog.current_database())
order by s.total_exec_time desc, s.queryid
limit 5000
