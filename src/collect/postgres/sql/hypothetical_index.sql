/* medusa-advisor */
select
  h.indexrelid::int8 as oid,
  {schema}.hypopg_relation_size(h.indexrelid)::int8 as bytes
from {schema}.hypopg_create_index('{create}') as h
