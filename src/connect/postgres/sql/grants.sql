-- Run as the owner of the Medusa database, in that database. Choose the password yourself.
create role medusa_advisor login password 'CHANGE-ME' connection limit 3;
alter role medusa_advisor set default_transaction_read_only = on;
alter role medusa_advisor set statement_timeout = '5s';

-- Statistics, settings and sessions of all users; no rows of any table.
grant pg_monitor to medusa_advisor;
do $$ begin execute format('grant connect on database %I to medusa_advisor', current_database()); end $$;
create extension if not exists pg_stat_statements;
grant select on pg_stat_statements to medusa_advisor;

-- Which Medusa this is, where its media lie, how many rows are soft-deleted or left over. Only the columns that tell it.
do $$
declare
  wanted record;
begin
  for wanted in
    select c.oid::regclass as relation, string_agg(quote_ident(a.attname), ', ' order by a.attnum) as columns
      from pg_catalog.pg_attribute as a
      join pg_catalog.pg_class as c on c.oid = a.attrelid
      join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
     where n.nspname = 'public' and c.relkind in ('r', 'p') and a.attnum > 0 and not a.attisdropped
       and (a.attname = 'deleted_at'
         or (c.relname in ('mikro_orm_migrations', 'migrations') and a.attname = 'name')
         or (c.relname = 'image' and a.attname in ('id', 'url', 'product_id'))
         or (c.relname = 'product' and a.attname in ('id', 'status', 'thumbnail'))
         or (c.relname = 'product_images' and a.attname in ('image_id', 'product_id'))
         or (c.relname = 'order' and a.attname = 'status')
         or (c.relname = 'workflow_execution' and a.attname in ('id', 'run_id', 'state', 'retention_time', 'created_at', 'updated_at'))
         or (c.relname = 'cart' and a.attname in ('id', 'completed_at', 'updated_at', 'payment_authorized_at', 'type'))
         or (c.relname in ('cart_line_item', 'line_item') and a.attname = 'cart_id')
         or (c.relname in ('staged_job', 'idempotency_key', 'notification') and a.attname in ('id', 'created_at', 'status'))
         or (c.relname in ('inventory_level', 'reservation_item')
           and a.attname in ('inventory_item_id', 'location_id', 'reserved_quantity', 'quantity'))
         or (c.relname in ('price', 'money_amount', 'price_set') and a.attname in ('id', 'price_set_id', 'price_list_id'))
         or (c.relname in ('product_variant', 'product_sales_channel') and a.attname in ('product_id', 'sales_channel_id'))
         or (c.relname = 'index_metadata' and a.attname = 'status'))
     group by c.oid
  loop
    execute format('grant select (%s) on %s to medusa_advisor', wanted.columns, wanted.relation);
  end loop;
end $$;

-- How far the sequences have counted, so that one that runs out is seen in time.
grant select on all sequences in schema public to medusa_advisor;

-- Widths and null shares of columns for the bloat estimates; no values.
