-- Plants the demo store's database faults on what demo-fill.sql built. The invalid index, dead rows and the open
-- transaction need two sessions and are planted by record-demo.sh.
\set ON_ERROR_STOP on
-- Stock index dropped by "somebody": images are read by product on every product page.
drop index "IDX_image_product_id";
-- Reviews: no index on product_id; two of the same; a wide one that nothing reads.
create index "IDX_product_review_created_at" on product_review (created_at);
create index product_review_created_idx on product_review (created_at);
create index product_review_title_customer_idx on product_review (title, customer_id);
-- loyalty_entry.customer_id and .order_id: foreign keys without an index (see demo-fill.sql).
-- "order".created_at: stock Medusa has no index on it.
analyze product_review;
