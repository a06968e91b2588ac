-- A database of many objects, for scripts/audit-cost.sh:
--   psql -v tables=3000 -v indexes=10000 -v statements=5000 -f scripts/audit-cost.sql URL
-- Each table has a primary key, a foreign key and ten columns; the other indexes are spread over them, one in ten covered by another.
-- A fiftieth of the statements are id lists whose text is 150 kB.
\set ON_ERROR_STOP on
\set QUIET on
set client_min_messages = warning;
create extension if not exists pg_stat_statements;
create table mikro_orm_migrations (id serial primary key, name varchar(255), executed_at timestamptz default current_timestamp);
create table link_module_migrations (id serial primary key, table_name varchar(255) not null unique);
create table workflow_execution (id text primary key, state text);
create table order_summary (id text primary key);
create table product (id text primary key, title text, deleted_at timestamptz);
insert into product select 'prod_' || i, 'Product ' || i, null from generate_series(1, 5000) i;

\o /dev/null
select format(
  'create table thing_%s (id bigint primary key, product_id text references product (id), parent_id bigint, title text, handle text, status text, '
  'rank int, amount numeric, created_at timestamptz default now(), deleted_at timestamptz)', i)
from generate_series(1, :tables) i
\gexec
-- Ten tables are large enough for a scan to cost.
select format('insert into thing_%1$s select g, ''prod_'' || (1 + g %% 5000), g / 10, ''Title '' || g, ''h'' || g, ''open'', g %% 7, g, now(), null from generate_series(1, %2$s) g',
  i, case when i <= 10 then 20000 else 5 end)
from generate_series(1, :tables) i
\gexec
-- The keys' own indexes count; what remains goes round the tables. Every tenth repeats the index before it.
select format('create index thing_%s_%s on thing_%s (%s)%s',
  1 + n % :tables, n, 1 + n % :tables,
  case when n % 10 = 9 then 'product_id' else (array['product_id', 'parent_id', 'handle', 'status, rank', 'created_at', 'lower(title)', 'amount'])[1 + n / :tables] end,
  case when n % 3 = 0 then ' where deleted_at is null' else '' end)
from generate_series(0, :indexes - :tables - 6) n
\gexec
analyze;
select pg_stat_statements_reset();
-- Texts differ by table and columns, as a store's do.
select format('select %s from thing_%s where %s limit 5',
  (array['id', 'title', 'id, title', 'handle, rank', 'amount', '*'])[1 + n / (:tables * 3) % 6],
  1 + n % :tables,
  (array['product_id = ''prod_1'' and deleted_at is null', 'handle = ''h7'' or status = ''x''', 'parent_id = 3 and rank > 1 order by created_at desc'])[1 + n / :tables % 3])
from generate_series(0, :statements * 49 / 50 - 1) n
\gexec
select format('select id from thing_%s where id in (%s)', 1 + n, (select string_agg(g::text, ', ') from generate_series(100000, 118700 + n) g))
from generate_series(0, :statements / 50 - 1) n
\gexec
-- The costly ones, as in a store: a lookup without its index, over and over.
select format('select count(*) from thing_%s where handle = ''h%s'' and amount > 0', 1 + n % 5, n) from generate_series(1, 200) n
\gexec
