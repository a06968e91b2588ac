      /* medusa-advisor */
      select i.url as url
      from {schema}.image as i
      where i.deleted_at is null and i.url <> '' and exists (
        select 1
        from {schema}.product_images as l
        join {schema}.product as p on p.id = l.product_id
        where l.image_id = i.id and p.deleted_at is null and p.status = 'published'
      )
      order by i.id
      limit 10000
