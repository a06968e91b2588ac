/* medusa-advisor */
select
  h.indexname::text as name,
  {schema}.hypopg_relation_size(h.indexrelid)::int8 as bytes
from {schema}.hypopg_create_index('{create}') as h
