/* medusa-advisor */
select m.name::text as name
from {table} as m
where m.name is not null
order by m.name::text
limit 5000
