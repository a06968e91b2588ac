      /* medusa-advisor */
      select i.url as url
      from {schema}.image as i
      join {schema}.product as p on p.id = i.product_id
      where i.deleted_at is null and p.deleted_at is null and p.status = 'published' and i.url <> ''
      order by i.id
      limit 10000
