      /* medusa-advisor */
      select p.thumbnail as url
      from {schema}.product as p
      where p.deleted_at is null and p.status = 'published' and p.thumbnail <> ''
      order by p.id
      limit 10000
