/* medusa-advisor */
-- The one place where most common values are read. An order's status is a word of an enumeration that Medusa's own migrations declare, the same in
-- every store ('pending', 'completed' …); its frequencies count orders and point at none. The type is asked for, so that a column of free text
-- that somebody named "status" stays unread.
select
  v.status as status,
  v.frequency::float8 as frequency
from pg_catalog.pg_stats as s
join pg_catalog.pg_namespace as n on n.nspname = s.schemaname
join pg_catalog.pg_class as c on c.relnamespace = n.oid and c.relname = s.tablename
join pg_catalog.pg_attribute as a on a.attrelid = c.oid and a.attname = s.attname
join pg_catalog.pg_type as t on t.oid = a.atttypid
cross join lateral rows from (
  pg_catalog.unnest(s.most_common_vals::text::text[]),
  pg_catalog.unnest(s.most_common_freqs)
) as v(status, frequency)
where s.schemaname = '{schema}'
  and s.tablename = 'order'
  and s.attname = 'status'
  and not s.inherited
  and t.typtype = 'e'
order by v.status
limit 20
