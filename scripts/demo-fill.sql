-- Fills a migrated and seeded Medusa v2 database to the size of a mid-sized shop, and adds three custom modules' tables.
-- Deterministic: generate_series and md5, no random(). Needs -v tend=TIMESTAMP (the newest row's time) and a superuser of a private server.
-- Sizes: 20,000 products, 40,000 variants, 120,000 images, 60,000 customers, 60,000 orders, 250,000 reviews.
\set ON_ERROR_STOP on
set session_replication_role = replica;
set synchronous_commit = off;
set work_mem = '128MB';

create function pg_temp.id(prefix text, i bigint) returns text language sql immutable as
    $$ select prefix || '_01K' || lpad(i::text, 7, '0') || upper(substr(md5(prefix || i), 1, 16)) $$;
-- A pick in 1..n that favours the low end, as shoppers favour few products.
create function pg_temp.pick(i bigint, salt int, n bigint) returns bigint language sql immutable as
    $$ select 1 + floor(n * power((hashint8extended(i, salt) & 2147483647)::float8 / 2147483648.0, 2.0))::bigint $$;
create function pg_temp.raw(x numeric) returns jsonb language sql immutable as
    $$ select jsonb_build_object('value', x::text, 'precision', 20) $$;
create function pg_temp.at(i bigint, n bigint, tend timestamptz) returns timestamptz language sql immutable as
    $$ select tend - 540 * 86400.0 * (1 - i::float8 / n) * interval '1 second' $$;

do $$ begin
    if not exists (select from publishable_api_key_sales_channel where deleted_at is null) or not exists (select from shipping_profile where deleted_at is null)
        or not exists (select from stock_location where deleted_at is null) or not exists (select from region where deleted_at is null) then
        raise exception 'the database holds no seeded store: it needs a publishable key with a sales channel, a shipping profile, a stock location and a region';
    end if;
end $$;
-- The channel, profile, location and region the seeded store already serves.
select min(sales_channel_id) as channel from publishable_api_key_sales_channel where deleted_at is null \gset
select min(id) as profile from shipping_profile where deleted_at is null \gset
select min(id) as location from stock_location where deleted_at is null \gset
select min(id) as region from region where deleted_at is null \gset
-- A second channel: with one alone, /store/products skips the channel filter that reads every product id.
insert into sales_channel (id, name) values (pg_temp.id('sc', 2), 'Wholesale');

insert into product_category (id, name, handle, mpath, is_active, rank)
select pg_temp.id('pcat', i), n, lower(n), pg_temp.id('pcat', i), true, 100 + i
from unnest(array['Outerwear','Knitwear','Footwear','Lighting','Tableware','Bags','Watches','Stationery']) with ordinality u(n, i);
insert into product_collection (id, title, handle)
select pg_temp.id('pcol', i), 'Season ' || i, 'season-' || i from generate_series(1, 24) i;

insert into product (id, title, handle, subtitle, description, status, thumbnail, weight, collection_id, created_at, updated_at, metadata)
select pg_temp.id('prod', i), n, lower(replace(n, ' ', '-')) || '-' || i, 'Edition ' || i % 40,
       repeat('Made in small batches from natural materials, finished by hand. ', 8), case when i % 100 < 6 then 'draft' else 'published' end,
       'http://localhost:9000/static/1767225600000-product-' || i || '-0.jpg', 200 + i % 900, pg_temp.id('pcol', 1 + i % 24), t, t,
       jsonb_build_object('material', i % 12, 'care', repeat('wash cold, dry flat; ', 6), 'supplier', 'S' || i % 80)
from (select i, pg_temp.at(i, 20000, :'tend') t,
             (array['Linen','Wool','Cotton','Leather','Oak','Brass','Ceramic','Canvas'])[1 + i % 8] || ' ' ||
             (array['Coat','Pullover','Boot','Lamp','Bowl','Tote','Watch','Notebook','Shirt','Scarf'])[1 + i % 10] || ' ' ||
             (array['Sand','Ink','Moss','Clay','Chalk','Rust'])[1 + i % 6] n
      from generate_series(1, 20000) i) g;
insert into image (id, url, product_id, rank, created_at, updated_at)
select pg_temp.id('img', i * 6 + k), 'http://localhost:9000/static/1767225600000-product-' || i || '-' || k || '.jpg',
       pg_temp.id('prod', i), k, pg_temp.at(i, 20000, :'tend'), pg_temp.at(i, 20000, :'tend')
from generate_series(1, 20000) i, generate_series(0, 5) k;
insert into product_category_product (product_id, product_category_id)
select pg_temp.id('prod', i), pg_temp.id('pcat', 1 + i % 8) from generate_series(1, 20000) i;
insert into product_sales_channel (product_id, sales_channel_id, id)
select pg_temp.id('prod', i), :'channel', pg_temp.id('prodsc', i) from generate_series(1, 20000) i;
insert into product_shipping_profile (product_id, shipping_profile_id, id)
select pg_temp.id('prod', i), :'profile', pg_temp.id('prodsp', i) from generate_series(1, 20000) i;
insert into product_option (id, title, is_exclusive) select pg_temp.id('opt', i), 'Size', true from generate_series(1, 20000) i;
insert into product_product_option (id, product_id, product_option_id)
select pg_temp.id('prodopt', i), pg_temp.id('prod', i), pg_temp.id('opt', i) from generate_series(1, 20000) i;
insert into product_option_value (id, value, option_id, rank)
select pg_temp.id('optval', i * 2 + k), (array['One','Two'])[k + 1], pg_temp.id('opt', i), k from generate_series(1, 20000) i, generate_series(0, 1) k;
insert into product_product_option_value (id, product_product_option_id, product_option_value_id)
select pg_temp.id('prodoptval', i * 2 + k), pg_temp.id('prodopt', i), pg_temp.id('optval', i * 2 + k) from generate_series(1, 20000) i, generate_series(0, 1) k;
insert into product_variant (id, title, sku, product_id, variant_rank, created_at, updated_at)
select pg_temp.id('variant', i * 2 + k), (array['One','Two'])[k + 1], 'SKU-' || i || '-' || k, pg_temp.id('prod', i), k,
       pg_temp.at(i, 20000, :'tend'), pg_temp.at(i, 20000, :'tend')
from generate_series(1, 20000) i, generate_series(0, 1) k;
insert into product_variant_option (variant_id, option_value_id)
select pg_temp.id('variant', v), pg_temp.id('optval', v) from generate_series(2, 40001) v;
insert into price_set (id) select pg_temp.id('pset', v) from generate_series(2, 40001) v;
insert into product_variant_price_set (variant_id, price_set_id, id)
select pg_temp.id('variant', v), pg_temp.id('pset', v), pg_temp.id('pvps', v) from generate_series(2, 40001) v;
insert into price (id, price_set_id, currency_code, amount, raw_amount, rules_count)
select pg_temp.id('price', v * 2 + k), pg_temp.id('pset', v), (array['eur','usd'])[k + 1], 9 + v % 190, pg_temp.raw(9 + v % 190), 0
from generate_series(2, 40001) v, generate_series(0, 1) k;
insert into inventory_item (id, sku, title) select pg_temp.id('iitem', v), 'SKU-' || v / 2 || '-' || v % 2, 'Stock ' || v from generate_series(2, 40001) v;
insert into product_variant_inventory_item (variant_id, inventory_item_id, id, required_quantity)
select pg_temp.id('variant', v), pg_temp.id('iitem', v), pg_temp.id('pvitem', v), 1 from generate_series(2, 40001) v;
insert into inventory_level (id, inventory_item_id, location_id, stocked_quantity, reserved_quantity, incoming_quantity, raw_stocked_quantity, raw_reserved_quantity, raw_incoming_quantity)
select pg_temp.id('ilev', v), pg_temp.id('iitem', v), :'location', 500, 0, 0, pg_temp.raw(500), pg_temp.raw(0), pg_temp.raw(0) from generate_series(2, 40001) v;

insert into customer (id, first_name, last_name, email, has_account, created_at, updated_at)
select pg_temp.id('cus', i), 'First' || i % 900, 'Last' || i % 7000, 'shopper' || i || '@example.com', i % 10 < 6, t, t
from (select i, pg_temp.at(i, 60000, :'tend') t from generate_series(1, 60000) i) g;
insert into cart (id, region_id, customer_id, sales_channel_id, email, currency_code, created_at, updated_at, completed_at)
select pg_temp.id('cart', i), :'region', pg_temp.id('cus', c), :'channel', 'shopper' || c || '@example.com', 'eur', t, t, case when i % 10 < 3 then t + interval '20 minutes' end
from (select i, pg_temp.pick(i, 1, 60000) c, pg_temp.at(i, 60000, :'tend') t from generate_series(1, 60000) i) g;
insert into cart_line_item (id, cart_id, title, quantity, variant_id, product_id, unit_price, raw_unit_price, created_at, updated_at)
select pg_temp.id('cali', i * 2 + k), pg_temp.id('cart', i), 'Line ' || k, 1 + i % 3, pg_temp.id('variant', v), pg_temp.id('prod', v / 2), 20, pg_temp.raw(20),
       pg_temp.at(i, 60000, :'tend'), pg_temp.at(i, 60000, :'tend')
from (select i, k, 1 + pg_temp.pick(i * 2 + k, 2, 40000) v from generate_series(1, 60000) i, generate_series(0, 1) k) g;

insert into order_address (id, customer_id, first_name, last_name, address_1, city, country_code, postal_code)
select pg_temp.id('ordaddr', i), pg_temp.id('cus', pg_temp.pick(i / 2, 3, 60000)), 'First' || i % 900, 'Last' || i % 7000, 'Street ' || i, 'City ' || i % 500, 'de', lpad((i % 99999)::text, 5, '0')
from generate_series(2, 120001) i;
insert into "order" (id, region_id, display_id, customer_id, version, sales_channel_id, status, email, currency_code, shipping_address_id, billing_address_id, created_at, updated_at)
select pg_temp.id('order', i), :'region', 100000 + i, pg_temp.id('cus', c), 1, :'channel', (case when i % 100 < 92 then 'completed' else 'pending' end)::order_status_enum,
       'shopper' || c || '@example.com', 'eur', pg_temp.id('ordaddr', i * 2), pg_temp.id('ordaddr', i * 2 + 1), t, t
from (select i, pg_temp.pick(i, 3, 60000) c, pg_temp.at(i, 60000, :'tend') t from generate_series(1, 60000) i) g;
select setval(pg_get_serial_sequence('"order"', 'display_id'), 200000, true) \g /dev/null
insert into order_line_item (id, title, variant_id, product_id, unit_price, raw_unit_price, thumbnail, created_at, updated_at)
select pg_temp.id('ordli', i * 2 + k), 'Line ' || k, pg_temp.id('variant', v), pg_temp.id('prod', v / 2), 20, pg_temp.raw(20),
       'http://localhost:9000/static/1767225600000-product-' || v / 2 || '-0.jpg', pg_temp.at(i, 60000, :'tend'), pg_temp.at(i, 60000, :'tend')
from (select i, k, 1 + pg_temp.pick(i * 2 + k, 4, 40000) v from generate_series(1, 60000) i, generate_series(0, 1) k) g;
insert into order_item (id, order_id, version, item_id, quantity, raw_quantity, fulfilled_quantity, raw_fulfilled_quantity, shipped_quantity, raw_shipped_quantity,
       return_requested_quantity, raw_return_requested_quantity, return_received_quantity, raw_return_received_quantity, return_dismissed_quantity, raw_return_dismissed_quantity,
       written_off_quantity, raw_written_off_quantity, delivered_quantity, raw_delivered_quantity, created_at, updated_at)
select pg_temp.id('orditem', i * 2 + k), pg_temp.id('order', i), 1, pg_temp.id('ordli', i * 2 + k), 1, pg_temp.raw(1), 1, pg_temp.raw(1), 1, pg_temp.raw(1),
       0, pg_temp.raw(0), 0, pg_temp.raw(0), 0, pg_temp.raw(0), 0, pg_temp.raw(0), 1, pg_temp.raw(1), pg_temp.at(i, 60000, :'tend'), pg_temp.at(i, 60000, :'tend')
from generate_series(1, 60000) i, generate_series(0, 1) k;
insert into order_summary (id, order_id, version, totals, created_at, updated_at)
select pg_temp.id('ordsum', i), pg_temp.id('order', i), 1, '{"current_order_total": 40, "original_order_total": 40, "paid_total": 40, "pending_difference": 0}',
       pg_temp.at(i, 60000, :'tend'), pg_temp.at(i, 60000, :'tend')
from generate_series(1, 60000) i;
-- Executions without a retention time: nothing ever deletes them.
insert into workflow_execution (id, workflow_id, transaction_id, run_id, execution, context, state, retention_time, created_at, updated_at)
select pg_temp.id('wf_exec', i), 'sync-erp', pg_temp.id('auto', i), pg_temp.id('run', i), jsonb_build_object('steps', repeat(md5(i::text), 40)),
       jsonb_build_object('data', repeat(md5((-i)::text), 60)), 'done', null, t, t
from (select i, pg_temp.at(i, 8000, :'tend') at time zone 'UTC' t from generate_series(1, 8000) i) g;

-- Custom modules: reviews, wishlists, loyalty.
create table product_review (
    id text primary key, product_id text not null, customer_id text, rating int not null, title text not null, content text not null,
    approved boolean not null default true, created_at timestamptz not null default now(), updated_at timestamptz not null default now(), deleted_at timestamptz);
insert into product_review (id, product_id, customer_id, rating, title, content, created_at, updated_at)
select pg_temp.id('prev', i), pg_temp.id('prod', pg_temp.pick(i, 5, 20000)), pg_temp.id('cus', pg_temp.pick(i, 6, 60000)), 1 + i % 5, 'Review ' || i || ' of a fine piece',
       repeat('Arrived quickly and fits as described. ', 3 + (i % 4)::int), t, t
from (select i, pg_temp.at(i, 250000, :'tend') t from generate_series(1, 250000) i) g;
create table wishlist (id text primary key, customer_id text not null, created_at timestamptz not null default now(), deleted_at timestamptz);
create index "IDX_wishlist_customer_id" on wishlist (customer_id) where deleted_at is null;
insert into wishlist (id, customer_id) select pg_temp.id('wish', i), pg_temp.id('cus', i) from generate_series(1, 5000) i;
create table wishlist_item (
    id text primary key, wishlist_id text not null references wishlist (id), variant_id text not null, created_at timestamptz not null default now(), deleted_at timestamptz);
create index "IDX_wishlist_item_wishlist_id" on wishlist_item (wishlist_id) where deleted_at is null;
insert into wishlist_item (id, wishlist_id, variant_id)
select pg_temp.id('wishitem', i * 24 + k), pg_temp.id('wish', i), pg_temp.id('variant', 1 + pg_temp.pick(i * 24 + k, 7, 40000)) from generate_series(1, 5000) i, generate_series(1, 24) k;
create table loyalty_entry (
    id text primary key, customer_id text not null references customer (id), order_id text references "order" (id), points int not null, note text, created_at timestamptz not null default now());
insert into loyalty_entry (id, customer_id, order_id, points, note)
select pg_temp.id('loy', i), pg_temp.id('cus', pg_temp.pick(i, 8, 60000)), pg_temp.id('order', 1 + i % 60000), 10 + i % 90, 'earned with order ' || i % 60000 from generate_series(1, 150000) i;
vacuum analyze;
