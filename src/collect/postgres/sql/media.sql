/* medusa-advisor */
-- Neither a signature in the query string nor a password before the host is read out. Text functions, not patterns: a fifth of the time.
select
  case when p.is_absolute then pg_catalog.lower(p.scheme) || '//' || pg_catalog.lower(pg_catalog.regexp_replace(p.authority, '^.*@', '')) else 'relative' end as host,
  p.folder as folder,
  pg_catalog.sum(p.local_form)::int8 as local_form,
  pg_catalog.sum(p.addresses)::int8 as count,
  pg_catalog.regexp_replace(pg_catalog.min(pg_catalog.left(p.example, 500)), '^([a-zA-Z]+://)[^/]*@', '\1') as example,
  pg_catalog.max(p.read)::int8 as read
from (
  select
    a.is_absolute as is_absolute,
    a.scheme as scheme,
    a.authority as authority,
    a.folder as folder,
    pg_catalog.count(*) filter (where a.folder <> '' and a.file ~ '^[0-9]{13}-') as local_form,
    pg_catalog.count(*) as addresses,
    pg_catalog.min(a.address collate "C") as example,
    pg_catalog.sum(pg_catalog.count(*)) over () as read
  from (
    select
      r.address as address,
      r.is_absolute as is_absolute,
      case when r.is_absolute then pg_catalog.split_part(r.address, '/', 1) else '' end as scheme,
      case when r.is_absolute then pg_catalog.split_part(r.address, '/', 3) else '' end as authority,
      case when r.segment in ('static', 'uploads') then r.segment else '' end as folder,
      pg_catalog.split_part(r.address, '/', case when r.is_absolute then 5 when r.address like '/%' then 3 else 2 end) as file
    from (
      select
        s.address as address,
        s.is_absolute as is_absolute,
        pg_catalog.split_part(s.address, '/', case when s.is_absolute then 4 when s.address like '/%' then 2 else 1 end) as segment
      from (
        select
          pg_catalog.split_part(pg_catalog.split_part(m.url, '?', 1), '#', 1) as address,
          pg_catalog.lower(pg_catalog.left(m.url, 8)) like 'http://%' or pg_catalog.lower(pg_catalog.left(m.url, 8)) = 'https://' as is_absolute
        from (
{sample}
        ) as m
        offset 0
      ) as s
    ) as r
  ) as a
  group by 1, 2, 3, 4
) as p
group by 1, 2
order by 4 desc, 1, 2
limit 200
