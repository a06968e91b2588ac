/* medusa-advisor */
select
  u.host as host,
  u.folder as folder,
  pg_catalog.count(*) filter (where u.path ~ '^/(static|uploads)/[0-9]{13}-')::int8 as local_form,
  pg_catalog.count(*)::int8 as count,
  pg_catalog.min(pg_catalog.left(u.address, 500)) as example,
  pg_catalog.max(u.read)::int8 as read
from (
  select
    a.read as read,
    case when a.address ~* '^https?://' then pg_catalog.lower(pg_catalog.substring(a.address, '^(https?://[^/?#]+)')) else 'relative' end as host,
    coalesce(pg_catalog.substring(a.address, '^(?:[a-zA-Z]+://[^/]+)?/(static|uploads)/'), '') as folder,
    pg_catalog.regexp_replace(a.address, '^[a-zA-Z]+://[^/?#]*', '') as path,
    a.address as address
  from (
    -- Neither a signature in the query string nor a password before the host is read out.
    select
      pg_catalog.regexp_replace(pg_catalog.regexp_replace(s.url, '[?#].*$', ''), '^([a-zA-Z]+://)[^/@]*@', '\1') as address,
      pg_catalog.count(*) over () as read
    from (
{sample}
    ) as s
  ) as a
) as u
group by u.host, u.folder
order by pg_catalog.count(*) desc, u.host, u.folder
limit 200
