-- What a neglected store adds to a stock Medusa v2 of some size: modules of its own, neglect of years, and many things that only look wrong.
-- Run statement by statement, outside a transaction, on a database with Medusa's schema filled to 4,000 products, 60,000 customers, 130,000 carts, 60,000 orders.

-- ids of the filled rows are <prefix>_SC000…
create table courier (id int primary key, label text);
create function public.planted_id(prefix text, i bigint) returns text language sql immutable as $$ select prefix || '_' || 'SC' || lpad(i::text, 24, '0') $$;

-- ---- indexes that are missing ----
insert into image (id, url, product_id, rank) select 'img_x' || i, 'https://cdn.example.com/x' || i || '.jpg', planted_id('prod', 1 + i % 4000), i % 20000 from generate_series(1, 500000) i;
drop index "IDX_image_product_id";
drop index "IDX_cart_line_item_cart_id";

create table review (id text primary key, product_id text not null references product (id) on delete cascade, customer_id text, rating int not null default 5, body text not null, state text not null default 'published', created_at timestamptz not null default now(), deleted_at timestamptz);
insert into review select 'rev_' || i, planted_id('prod', 1 + i % 4000), planted_id('cus', 1 + i % 60000), 1 + i % 5, repeat('good value ', 12), 'published', now() - i * interval '1 minute' from generate_series(1, 150000) i;
create table loyalty_event (id bigint primary key, customer_id text not null, kind text not null, points int not null, created_at timestamptz not null);
insert into loyalty_event select i, planted_id('cus', 1 + i % 50), 'kind_' || i % 40, 5, now() - i * interval '20 seconds' from generate_series(1, 200000) i;
create table newsletter (id bigint primary key, email text not null, source text);
insert into newsletter select i, 'Reader' || i || '@example.com', 'shop' from generate_series(1, 150000) i;
create table shipment_event (id bigint primary key, tracking text not null, seen_at timestamptz not null, note text);
insert into shipment_event select i, 'T' || i, now() - i * interval '1 minute', repeat('n', 80) from generate_series(1, 150000) i;

-- ---- indexes that should not be ----
create table wishlist (id text primary key, customer_id text not null, name text, sort_key text, created_at timestamptz not null default now());
insert into wishlist select 'wish_' || i, planted_id('cus', 1 + i % 60000), 'List ' || i, 'k' || i from generate_series(1, 120000) i;
create index wishlist_customer_a on wishlist (customer_id);
create index wishlist_customer_b on wishlist (customer_id);
create index wishlist_name on wishlist (name);
create index wishlist_name_created on wishlist (name, created_at);
create table stock_note (id bigint primary key, sku text not null, note text);
insert into stock_note select i, 'SKU-' || i % 5000, 'n' from generate_series(1, 60000) i;

-- ---- the rows of a list looked up one by one ----
create table brand (id bigint primary key, region text not null, title text not null);
insert into brand select i, 'r' || i % 50, 'Brand ' || i from generate_series(1, 5000) i;
create index brand_region on brand (region);
create table brand_story (id bigint primary key, brand_id bigint not null references brand (id), body text not null);
insert into brand_story select i, i, repeat('word ', 20) from generate_series(1, 5000) i;
create index brand_story_brand on brand_story (brand_id);

-- ---- neglected tables ----
create table import_log (id bigint primary key, sku text not null, payload text not null) with (autovacuum_enabled = off);
insert into import_log select i, 'SKU-' || lpad(i::text, 100, 'x'), repeat('p', 150) from generate_series(1, 900000) i;
create index import_log_sku on import_log (sku);
delete from import_log where id % 10 <> 0;
vacuum (analyze) import_log;
create table price_feed (id bigint primary key, sku text not null, amount numeric) with (autovacuum_enabled = off);
insert into price_feed select i, 'SKU-' || i, i from generate_series(1, 120000) i;
analyze price_feed;
delete from price_feed where id % 2 = 0;
create table supplier_row (id bigint primary key, sku text not null, cost numeric) with (autovacuum_enabled = off);
insert into supplier_row select i, 'SKU-' || i, i from generate_series(1, 90000) i;
create table feed_item (id bigint primary key, title text not null, body text not null, deleted_at timestamptz);
insert into feed_item select i, 'Item ' || i, repeat('b', 600), case when i % 10 < 4 then now() - interval '100 days' end from generate_series(1, 200000) i;
create table ticket (id serial primary key, subject text);
insert into ticket (subject) select 's' from generate_series(1, 100);
select setval('ticket_id_seq', 2080000000);

-- ---- Medusa's own data ----
update inventory_level l set reserved_quantity = coalesce((select sum(r.quantity) from reservation_item r where r.inventory_item_id = l.inventory_item_id and r.location_id = l.location_id and r.deleted_at is null), 0);
update image set url = replace(url, 'http://localhost:9000/static/1700000000000-', 'https://cdn.example.com/media/') where id not like '%7';
update product set thumbnail = replace(thumbnail, 'http://localhost:9000/static/1700000000000-', 'https://cdn.example.com/media/') where id not like '%7';
insert into workflow_execution (id, workflow_id, transaction_id, run_id, execution, context, state, retention_time, created_at, updated_at) select 'wf_x' || i, 'import-products', 'tx' || i, 'run' || i, '{}', '{}', 'done', null, now() - interval '40 days', now() - interval '40 days' from generate_series(1, 30000) i;
insert into notification (id, "to", channel, template, data, status, created_at, updated_at) select 'noti_x' || i, 'somebody', 'email', 'order-placed', '{}', case when i % 12 = 0 then 'pending' else 'success' end, now() - interval '30 days', now() - interval '30 days' from generate_series(1, 120000) i;
update inventory_level set reserved_quantity = -4, raw_reserved_quantity = '{"value": "-4", "precision": 20}' where id in (select id from inventory_level order by id limit 40);
insert into price (id, price_set_id, currency_code, amount, raw_amount, rules_count) select 'price_x' || s || '_' || k, planted_id('pset', s), 'eur', k, jsonb_build_object('value', k::text, 'precision', 20), 0 from generate_series(1, 1500) s, generate_series(1, 60) k;
insert into product_variant (id, title, sku, product_id, variant_rank) select 'variant_x' || i, 'V' || i, 'XV-' || i, planted_id('prod', 77), i from generate_series(1, 900) i;

-- ---- settings ----
alter system set track_io_timing = off;
alter system set log_min_duration_statement = -1;
alter system set statement_timeout = 0;
select pg_reload_conf();

-- ---- what only looks wrong ----
create table trap_tiny (id int primary key, product_id text references product (id), label text);
insert into trap_tiny select i, planted_id('prod', i), 'l' from generate_series(1, 20) i;
create table trap_partial (id text primary key, product_id text not null references product (id), body text, deleted_at timestamptz);
insert into trap_partial select 'tp_' || i, planted_id('prod', 1 + i % 4000), repeat('t', 80) from generate_series(1, 150000) i;
create index trap_partial_product on trap_partial (product_id) where deleted_at is null;
create table "Trap Quoted" ("Id" bigint primary key, "Product Id" text not null, note text);
insert into "Trap Quoted" select i, planted_id('prod', 1 + i % 4000), repeat('q', 80) from generate_series(1, 100000) i;
create index "Trap Quoted Product" on "Trap Quoted" ("Product Id");
create table trap_index (id bigint primary key, code text not null, email text not null, state text not null, total numeric, happened_at timestamptz not null default now());
insert into trap_index select i, 'C' || i, 'P' || i || '@example.com', (array['open', 'paid', 'sent'])[1 + i % 3], i, now() - i * interval '1 second' from generate_series(1, 120000) i;
create unique index trap_code_unique on trap_index (code);
create index trap_code_total on trap_index (code, total);
create index trap_code_pattern on trap_index (code text_pattern_ops);
create index trap_code_hash on trap_index using hash (code);
create index trap_email_lower on trap_index (lower(email));
create index trap_email on trap_index (email);
create index trap_state_open on trap_index (happened_at) where state = 'open';
create index trap_state_paid on trap_index (happened_at) where state = 'paid';
create index trap_happened_include on trap_index (happened_at) include (total);
create index trap_total_collate on trap_index (state collate "C", total);
create table trap_search (id int primary key, title text);
insert into trap_search select i, 'T' || i from generate_series(1, 200) i;
create table trap_fill (id bigint primary key, payload text not null) with (fillfactor = 50);
insert into trap_fill select i, repeat('f', 400) from generate_series(1, 300000) i;
create table trap_big_sequence (id bigserial primary key, label text);
select setval('trap_big_sequence_id_seq', 3000000000);
create table trap_recent (id bigint primary key, label text);
insert into trap_recent select i, 'r' from generate_series(1, 8000) i;
create table trap_parent (id bigint primary key, label text);
insert into trap_parent select i, 'p' from generate_series(1, 40000) i;
create table trap_child (id bigint primary key, parent_id bigint not null references trap_parent (id), body text);
insert into trap_child select i, 1 + i % 40000, repeat('c', 80) from generate_series(1, 120000) i;
create table trap_soft (id bigint primary key, deleted_at timestamptz);
insert into trap_soft select i, case when i % 2 = 0 then now() end from generate_series(1, 4000) i;
create materialized view trap_view as select product_id, count(*) as reviews from review group by product_id;
create table trap_part (id bigint not null, at date not null) partition by range (at);
create table trap_part_1 partition of trap_part for values from ('2026-01-01') to ('2026-07-01');
create table trap_part_2 partition of trap_part for values from ('2026-07-01') to ('2027-01-01');
insert into trap_part select i, date '2026-01-02' + (i % 300)::int from generate_series(1, 20000) i;
create index trap_part_at on trap_part (at);
select pg_sleep(1.5);
vacuum (analyze) import_log;
vacuum (analyze) inventory_level;
vacuum (analyze) product;
vacuum (analyze) trap_partial;
vacuum (analyze) trap_index;
vacuum (analyze) trap_fill;
vacuum (analyze) trap_child;
vacuum (analyze) trap_parent;
vacuum (analyze) review;
vacuum (analyze) image;
vacuum (analyze) loyalty_event;
vacuum (analyze) newsletter;
vacuum (analyze) shipment_event;
vacuum (analyze) wishlist;
vacuum (analyze) feed_item;
vacuum (analyze) stock_note;
vacuum (analyze) brand;
vacuum (analyze) brand_story;
vacuum (analyze) "Trap Quoted";
analyze ticket;
analyze workflow_execution;
analyze notification;
analyze price;
analyze price_set;
analyze product_variant;
analyze inventory_level;
analyze trap_tiny;
analyze trap_search;
analyze trap_recent;
analyze trap_soft;
analyze trap_view;
analyze trap_part
