//! The checks of Medusa's own data against real servers with the real schemas and seeds of versions 1 and 2: create the fault, see it
//! named, run the printed remedies verbatim, see it gone.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::live::{Db, collect_from, finding, is_found, server};
use medusa_advisor::checks;
use medusa_advisor::connect::postgres::GRANTS;
use medusa_advisor::evidence::medusa::RowCount;
use medusa_advisor::evidence::{Cause, Snapshot};
use medusa_advisor::finding::{Outcome, RemedyKind, Severity};
use medusa_advisor::plan::{self, Plan, Ranked};

const IDS: [&str; 9] = [
    "app-workflow-executions-growing",
    "app-abandoned-carts",
    "app-soft-deleted-rows",
    "app-staged-jobs-backlog",
    "app-idempotency-keys-kept",
    "app-notification-growth",
    "app-inventory-drift",
    "app-price-explosion",
    "app-catalogue-shape",
];

/// A seeded store of this version; `None` where there is no server or no recorded store.
async fn store(name: &str, version: &str) -> Option<Db> {
    let server = server()?;
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data/medusa");
    let (schema, seed) = (format!("{folder}/{version}-schema.sql"), format!("{folder}/seed-{version}.sql.gz"));
    if !std::path::Path::new(&schema).exists() {
        println!("skipped: {schema} is absent");
        return None;
    }
    let db = Db::new(&server, name).await;
    // The seed holds rows before those they refer to.
    let load = format!("(cat '{schema}'; echo 'set session_replication_role = replica;'; zcat '{seed}') | psql -q -d '{}' >/dev/null 2>&1", db.url);
    assert!(Command::new("bash").args(["-c", &load]).status().unwrap().success());
    psql(&db, "analyze;");
    Some(db)
}

/// Pastes a text into psql, as a person would.
fn psql(db: &Db, text: &str) -> String {
    let mut child = Command::new("psql")
        .args(["-X", "-q", "-At", "-v", "ON_ERROR_STOP=1", "-d", &db.url])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(format!("{text}\n").as_bytes()).unwrap();
    let out = child.wait_with_output().unwrap();
    assert!(out.status.success(), "{text}\n{}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).trim().to_owned()
}

/// Audits once more where the machine was too busy to answer within the limit.
async fn audit(db: &Db) -> (Snapshot, Plan) {
    for _ in 0..4 {
        let snapshot = collect_from(&db.url, 1).await;
        let plan = plan::build(&snapshot, &[], |c| IDS.contains(&c.id));
        if !plan.unknown.iter().any(|(_, gap)| matches!(gap.cause, Cause::TimedOut { .. })) {
            return (snapshot, plan);
        }
    }
    panic!("the server is too busy: it did not answer within the limit, four times");
}

/// Every SQL remedy of the finding, in order.
fn apply(db: &Db, found: &Ranked) {
    for remedy in found.finding.remedies.iter().filter(|r| r.kind == RemedyKind::Sql) {
        psql(db, &remedy.text);
    }
}

/// Names the fault, applies what is printed, and sees it gone.
async fn mend(db: &Db, check: &str, subject: &str) -> String {
    let (_, plan) = audit(db).await;
    let found = finding(&plan, check, subject);
    let observed = found.finding.observed.clone();
    println!("{} {observed}", found.finding.severity.id());
    apply(db, found);
    let (_, plan) = audit(db).await;
    assert!(!is_found(&plan, check, subject), "{check} {subject} is still found after its remedies: {observed}");
    observed
}

async fn quiet(version: &str) {
    let Some(db) = store(&format!("data_quiet_{version}"), version).await else { return };
    let (snapshot, _) = audit(&db).await;
    for id in IDS {
        let outcome = checks::find(id).unwrap().run(&snapshot);
        assert!(matches!(outcome, Outcome::Passed | Outcome::NotApplicable(_)), "{id} on a stock {version} store: {outcome:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stock_v2_store_is_quiet() {
    quiet("v2").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stock_v1_store_is_quiet() {
    quiet("v1").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workflow_executions_growing() {
    let Some(db) = store("data_workflows", "v2").await else { return };
    psql(
        &db,
        "insert into workflow_execution (id, workflow_id, transaction_id, run_id, state, retention_time, created_at, updated_at)
select 'wf_exec_' || k || i, 'complete-cart', 'auto-' || k || i, 'r' || i, state, retention, at, at
from (values ('past', 'done', 259200, 10), ('kept', 'failed', null, 10), ('young', 'done', 259200, 1), ('waits', 'invoking', 259200, 40), ('runs', 'invoking', 259200, 0))
  as v (k, state, retention, days)
cross join lateral generate_series(1, case k when 'waits' then 150 when 'young' then 500 when 'runs' then 20 else 3000 end) i
cross join lateral (select (now() at time zone 'UTC') - days * interval '1 day' as at) a;
analyze workflow_execution;",
    );
    let observed = mend(&db, "app-workflow-executions-growing", "public.workflow_execution").await;
    for part in ["3,000\u{a0}executions are past their retention", "3,000\u{a0}executions are finished without", "150\u{a0}executions are running"] {
        assert!(observed.contains(part), "{observed}");
    }
    assert_eq!(
        psql(
            &db,
            "select string_agg(k || ' ' || n, ', ' order by k) from (select left(id, 12) as k, count(*) n from workflow_execution where id like 'wf_exec_%' and (id like '%young%' or id like '%runs%') group by 1) g;"
        ),
        "wf_exec_runs 20, wf_exec_youn 500"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn abandoned_carts_of_version_2() {
    let Some(db) = store("data_carts_v2", "v2").await else { return };
    // Of 110,000 carts 30,000 are completed, one is linked to an order, one is paid; every third has an address.
    psql(
        &db,
        "insert into cart_address (id, address_1) select 'caaddr_x' || i, 'Street' from generate_series(3, 110000, 3) i;
insert into cart (id, currency_code, created_at, updated_at, completed_at, shipping_address_id)
select 'cart_x' || lpad(i::text, 8, '0'), 'eur', at, at, case when i <= 30000 then at end, case when i % 3 = 0 then 'caaddr_x' || i end
from (select i, now() - interval '120 days' - i * interval '1 minute' as at from generate_series(1, 110000) i) g;
insert into cart_line_item (id, cart_id, title, quantity, unit_price, raw_unit_price, deleted_at)
select 'cali_x' || i || '_' || k, 'cart_x' || lpad(i::text, 8, '0'), 'Mug', 1, 10, '{\"value\": \"10\", \"precision\": 20}', case when k = 2 then now() end
from generate_series(1, 110000, 5) i, generate_series(1, 2) k;
insert into cart_line_item_tax_line (id, code, rate, item_id) select 'calitxl_' || id, 'vat', 19, id from cart_line_item where id like 'cali_x%_1';
insert into cart_shipping_method (id, cart_id, name, amount, raw_amount)
select 'casm_x' || i, 'cart_x' || lpad(i::text, 8, '0'), 'Post', 5, '{\"value\": \"5\", \"precision\": 20}' from generate_series(1, 110000, 10) i;
insert into credit_line (id, cart_id, amount, raw_amount) select 'cacl_x' || i, 'cart_x' || lpad(i::text, 8, '0'), 1, '{}' from generate_series(1, 110000, 1000) i;
insert into cart_promotion (id, cart_id, promotion_id) select 'cartpromo_x' || i, 'cart_x' || lpad(i::text, 8, '0'), 'promo_1' from generate_series(1, 110000, 100) i;
insert into order_cart (id, order_id, cart_id) values ('ordercart_x', 'order_x', 'cart_x00090000');
insert into cart_payment_collection (id, cart_id, payment_collection_id) select 'capaycol_x', 'cart_x00090001', payment_collection_id from payment limit 1;
insert into cart_payment_collection (id, cart_id, payment_collection_id) values ('capaycol_y', 'cart_x00090002', 'pay_col_none');
analyze;",
    );
    const KEPT: &str =
        "select count(*) filter (where completed_at is not null), count(*) filter (where updated_at >= now() - interval '90 days') from cart;
select count(*) from cart_line_item i join cart c on c.id = i.cart_id where c.completed_at is not null;
select count(*) from cart_address a where exists (select from cart c where c.shipping_address_id = a.id and c.completed_at is not null);";
    let before = psql(&db, KEPT);
    let observed = mend(&db, "app-abandoned-carts", "public.cart").await;
    assert!(observed.starts_with("about "), "a table of this size is sampled: {observed}");
    assert_eq!(psql(&db, KEPT), before, "completed and young carts are untouched");
    assert_eq!(
        psql(&db, "select string_agg(id, ' ' order by id) from cart where completed_at is null and updated_at < now() - interval '90 days';"),
        "cart_x00090000 cart_x00090001"
    );
    assert_eq!(
        psql(
            &db,
            "select (select count(*) from cart_line_item i where not exists (select from cart c where c.id = i.cart_id)),
(select count(*) from cart_line_item_tax_line t where not exists (select from cart_line_item i where i.id = t.item_id)),
(select count(*) from cart_shipping_method i where not exists (select from cart c where c.id = i.cart_id)),
(select count(*) from credit_line i where not exists (select from cart c where c.id = i.cart_id)),
(select count(*) from cart_promotion i where not exists (select from cart c where c.id = i.cart_id)),
(select count(*) from cart_payment_collection i where i.id like 'capaycol_y' and not exists (select from cart c where c.id = i.cart_id)),
(select count(*) from cart_address a where a.id like 'caaddr_x%' and not exists (select from cart c where c.shipping_address_id = a.id));"
        ),
        "0|0|0|0|0|0|0",
        "nothing hangs in the air"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn abandoned_carts_of_version_1() {
    let Some(db) = store("data_carts_v1", "v1").await else { return };
    psql(
        &db,
        "insert into cart (id, region_id, created_at, updated_at, completed_at, payment_authorized_at, type)
select 'cart_x' || lpad(i::text, 8, '0'), (select min(id) from region), at, at, case when i <= 30000 then at end, case when i = 30001 then at end, case when i = 30002 then 'swap' else 'default' end::cart_type_enum
from (select i, now() - interval '120 days' - i * interval '1 minute' as at from generate_series(1, 110000) i) g;
insert into line_item (id, cart_id, order_id, title, unit_price, quantity)
select 'item_x' || i, 'cart_x' || lpad(i::text, 8, '0'), case when i = 30003 then (select min(id) from \"order\") end, 'Mug', 10, 1 from generate_series(3, 110000, 3) i;
insert into line_item_tax_line (id, rate, name, item_id) select 'litl_' || id, 19, 'vat', id from line_item where id like 'item_x%';
insert into shipping_method (id, shipping_option_id, cart_id, price, data) select 'sm_x' || i, (select min(id) from shipping_option), 'cart_x' || lpad(i::text, 8, '0'), 5, '{}' from generate_series(5, 110000, 1000) i;
insert into payment_session (id, cart_id, provider_id, status, data, is_initiated) select 'ps_x' || i, 'cart_x' || lpad(i::text, 8, '0'), 'manual', 'pending', '{}', false from generate_series(7, 110000, 1000) i;
analyze;",
    );
    const KEPT: &str = "select count(*), (select count(*) from line_item i join cart c on c.id = i.cart_id where c.completed_at is not null) from cart where completed_at is not null;";
    let before = psql(&db, KEPT);
    mend(&db, "app-abandoned-carts", "public.cart").await;
    assert_eq!(psql(&db, KEPT), before, "completed carts are untouched");
    assert_eq!(
        psql(&db, "select string_agg(id, ' ' order by id) from cart where completed_at is null and id like 'cart_x%';"),
        "cart_x00030001 cart_x00030002 cart_x00030003"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn soft_deleted_rows() {
    let Some(db) = store("data_deleted", "v2").await else { return };
    psql(
        &db,
        "insert into price (id, price_set_id, currency_code, amount, raw_amount, rules_count, deleted_at)
select 'price_x' || lpad(i::text, 26, '0'), s.id, 'eur', 10, '{\"value\": \"10\", \"precision\": 20}', 0, case when i % 20 < 9 then now() - interval '200 days' end
from generate_series(1, 400000) i cross join (select min(id) as id from price_set) s;
insert into price_rule (id, price_id, value, attribute) select 'prule_x' || i, 'price_x' || lpad(i::text, 26, '0'), 'eu', 'region_id' from generate_series(20, 40000, 20) i;
insert into price_rule (id, price_id, value, attribute, deleted_at) select 'prule_y' || i, 'price_x' || lpad(i::text, 26, '0'), 'eu', 'region_id', now() from generate_series(40, 40000, 40) i;
analyze;",
    );
    let living = "select count(*) filter (where deleted_at is null), (select count(*) from price_rule where deleted_at is null) from price;";
    let before = psql(&db, living);
    mend(&db, "app-soft-deleted-rows", "public.price").await;
    assert_eq!(psql(&db, living), before, "living prices and their rules are untouched");
    // A deleted price with a living rule is kept with it.
    assert_eq!(psql(&db, "select count(*) from price where deleted_at is not null and id like 'price_x%';"), "2000");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn staged_jobs_backlog() {
    let Some(db) = store("data_staged", "v1").await else { return };
    // 2 November 2020, and now.
    psql(
        &db,
        "insert into staged_job (id, event_name, data) select 'job_01EP5AZ000' || lpad(i::text, 16, '0'), 'order.placed', '{}' from generate_series(1, 12000) i;
insert into staged_job (id, event_name, data) select 'job_7ZZZZZZZZZ' || lpad(i::text, 16, '0'), 'order.placed', '{}' from generate_series(1, 3000) i;
analyze staged_job;",
    );
    let observed = mend(&db, "app-staged-jobs-backlog", "public.staged_job").await;
    assert!(observed.starts_with("12,000\u{a0}events wait"), "{observed}");
    assert_eq!(psql(&db, "select count(*) from staged_job;"), "3000");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idempotency_keys_kept() {
    let Some(db) = store("data_keys", "v1").await else { return };
    psql(
        &db,
        "insert into idempotency_key (id, idempotency_key, created_at) select 'ikey_x' || i, 'key' || i, now() - case when i <= 120000 then interval '4 days' else interval '1 hour' end from generate_series(1, 130000) i;
analyze idempotency_key;",
    );
    mend(&db, "app-idempotency-keys-kept", "public.idempotency_key").await;
    assert_eq!(psql(&db, "select count(*) from idempotency_key where id like 'ikey_x%';"), "10000");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn notification_growth() {
    let Some(db) = store("data_notes", "v2").await else { return };
    psql(
        &db,
        "insert into notification (id, \"to\", channel, status, created_at) select 'noti_x' || i, 'someone', 'email', case when i > 120000 then 'pending' else 'success' end,
now() - case when i <= 110000 then interval '100 days' else interval '3 days' end from generate_series(1, 120150) i;
analyze notification;",
    );
    mend(&db, "app-notification-growth", "public.notification").await;
    assert_eq!(psql(&db, "select count(*) from notification where id like 'noti_x%';"), "10150");
    let (_, plan) = audit(&db).await;
    let pending = finding(&plan, "app-notification-growth", "public.notification pending");
    assert_eq!(pending.finding.severity, Severity::Medium, "{}", pending.finding.observed);
    assert!(psql(&db, &pending.finding.remedies[0].text).contains("email||150|"), "the query names the channel");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn notification_growth_of_version_1() {
    let Some(db) = store("data_notes_v1", "v1").await else { return };
    psql(
        &db,
        "insert into notification (id, resource_type, resource_id, \"to\", data, created_at, parent_id) select 'noti_x' || i, 'order', 'order_1', 'someone', '{}', now() - interval '100 days', null from generate_series(1, 110000) i;
insert into notification (id, resource_type, resource_id, \"to\", data, parent_id) select 'noti_y' || i, 'order', 'order_1', 'someone', '{}', 'noti_x' || i from generate_series(1, 50) i;
analyze notification;",
    );
    mend(&db, "app-notification-growth", "public.notification").await;
    assert_eq!(psql(&db, "select count(*) from notification;"), "100", "those that were sent again stay with their repetition");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inventory_drift() {
    let Some(db) = store("data_drift", "v2").await else { return };
    psql(
        &db,
        "update inventory_level set reserved_quantity = reserved_quantity - 3, raw_reserved_quantity = jsonb_build_object('value', (reserved_quantity - 3)::text, 'precision', 20) where id in (select id from inventory_level order by id limit 7);",
    );
    let wrong = "select string_agg(reserved_quantity::text || (raw_reserved_quantity->>'value'), ' ' order by id) from inventory_level;";
    let faulty = psql(&db, wrong);
    let (_, plan) = audit(&db).await;
    let found = finding(&plan, "app-inventory-drift", "public.inventory_level");
    assert!(found.finding.observed.starts_with("7 of 400"), "{}", found.finding.observed);
    assert_eq!(psql(&db, &found.finding.remedies[0].text).lines().count(), 7, "the query lists them");
    let correct = &found.finding.remedies[1];
    psql(&db, &correct.text);
    let (_, plan) = audit(&db).await;
    assert!(!is_found(&plan, "app-inventory-drift", "public.inventory_level"));
    assert_eq!(psql(&db, "select count(*) from inventory_level where reserved_quantity <> (raw_reserved_quantity->>'value')::numeric;"), "0");
    psql(&db, correct.undo.as_ref().unwrap());
    assert_eq!(psql(&db, wrong), faulty, "the undo brings back what was");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn price_explosion() {
    let Some(db) = store("data_prices", "v2").await else { return };
    psql(
        &db,
        "insert into price (id, price_set_id, currency_code, amount, raw_amount, rules_count)
select 'price_x' || s.n || '_' || i, s.id, 'eur', 500 + i, '{\"value\": \"500\", \"precision\": 20}', 0 from generate_series(1, 80) i, (select id, row_number() over (order by id) n from price_set order by id limit 20) s;
insert into price_list (id, title, description, status, type, starts_at, ends_at) values ('plist_old', 'Old', 'Old', 'active', 'sale', now() - interval '300 days', now() - interval '200 days'), ('plist_now', 'Now', 'Now', 'active', 'sale', null, null);
insert into price (id, price_set_id, currency_code, amount, raw_amount, rules_count, price_list_id)
select 'price_l' || i, (select max(id) from price_set), 'eur', i, '{}', 1, 'plist_old' from generate_series(1, 10500) i;
insert into price (id, price_set_id, currency_code, amount, raw_amount, rules_count, price_list_id)
select 'price_n' || i, (select max(id) from price_set), 'eur', i, '{}', 1, 'plist_now' from generate_series(1, 40) i;
insert into tax_rate (id, code, name, tax_region_id) select 'txr_x', 'X', 'X', min(id) from tax_region;
insert into tax_rate_rule (id, tax_rate_id, reference_id, reference) select 'txrule_x' || i, 'txr_x', 'prod_gone' || i, 'product' from generate_series(1, 1200) i;
analyze;",
    );
    const SHOWN: &str = "select md5(string_agg(price_set_id || currency_code || least::text, ' ' order by price_set_id, currency_code)) from (select price_set_id, currency_code, min(amount) as least from price where deleted_at is null and price_list_id is null group by 1, 2) m;";
    let shown = psql(&db, SHOWN);
    mend(&db, "app-price-explosion", "public.price_list").await;
    mend(&db, "app-price-explosion", "public.tax_rate_rule").await;
    mend(&db, "app-price-explosion", "public.price_set").await;
    assert_eq!(psql(&db, SHOWN), shown, "no price that is shown has changed");
    assert_eq!(psql(&db, "select count(*) from price where price_list_id = 'plist_now';"), "40");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn catalogue_shape() {
    let Some(db) = store("data_shape", "v2").await else { return };
    psql(
        &db,
        "insert into product_variant (id, title, product_id) select 'variant_x' || p.n || '_' || i, 'V', p.id from generate_series(1, 130) i, (select id, row_number() over (order by id) n from product order by id limit 12) p;
insert into product_sales_channel (product_id, sales_channel_id, id) select 'prod_x' || i, (select min(id) from sales_channel), 'prodsc_x' || i from generate_series(1, 2500) i;
analyze;",
    );
    let (_, plan) = audit(&db).await;
    let variants = finding(&plan, "app-catalogue-shape", "public.product_variant");
    assert!(variants.finding.observed.contains("12\u{a0}have over 100"), "{}", variants.finding.observed);
    assert!(psql(&db, &variants.finding.remedies[0].text).lines().next().unwrap().ends_with("|138"), "the query lists the largest");
    finding(&plan, "app-catalogue-shape", "public.product_sales_channel");
    // The other remedies are code and configuration: their effect in the database is fewer variants and an index engine that is done.
    psql(
        &db,
        "delete from product_variant where id like 'variant_x%';
create table index_metadata (id text primary key, entity text, status text);
insert into index_metadata values ('idxmeta_1', 'Product', 'done');
analyze;",
    );
    let (_, plan) = audit(&db).await;
    assert!(plan.findings.iter().all(|r| r.check.id != "app-catalogue-shape"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_may_not_be_read_names_the_grant_that_helps() {
    for version in ["v1", "v2"] {
        let Some(db) = store(&format!("data_grants_{version}"), version).await else { return };
        psql(
            &db,
            "do $$ begin if not exists (select from pg_roles where rolname = 'live-data-reader') then create role \"live-data-reader\" login password 'secret'; end if; end $$;",
        );
        let mut url = url::Url::parse(&db.url).unwrap();
        url.set_username("live-data-reader").unwrap();
        url.set_password(Some("secret")).unwrap();
        // Each round closes what the last one named, until nothing is unknown for lack of a grant.
        let mut named = Vec::new();
        for _ in 0..6 {
            let snapshot = collect_from(url.as_str(), 1).await;
            let grants: Vec<String> = IDS.iter().filter_map(|id| denied(id, &snapshot)).collect();
            if grants.is_empty() {
                break;
            }
            grants.iter().for_each(|g| drop(psql(&db, g)));
            named.extend(grants);
        }
        assert!(named.iter().any(|g| g.contains(".cart ")), "{named:?}");
        let of_tables = named.iter().filter(|g| !g.contains("advisor.column_stats"));
        of_tables.for_each(|g| assert!(g.starts_with("grant select (") && !g.contains('\n'), "columns only: {g}"));
        let snapshot = collect_from(url.as_str(), 1).await;
        for id in IDS {
            let outcome = checks::find(id).unwrap().run(&snapshot);
            assert!(matches!(outcome, Outcome::Passed | Outcome::NotApplicable(_)), "{id} on {version}: {outcome:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_documented_role_sees_all_that_is_counted() {
    for version in ["v1", "v2"] {
        let Some(db) = store(&format!("data_role_{version}"), version).await else { return };
        let role = format!("medusa_advisor_{version}");
        psql(&db, &format!("drop role if exists {role};"));
        psql(&db, &GRANTS.replace("medusa_advisor", &role));
        let mut url = url::Url::parse(&db.url).unwrap();
        url.set_username(&role).unwrap();
        url.set_password(Some("CHANGE-ME")).unwrap();
        let snapshot = collect_from(url.as_str(), 1).await;
        for id in IDS {
            let outcome = checks::find(id).unwrap().run(&snapshot);
            assert!(matches!(outcome, Outcome::Passed | Outcome::NotApplicable(_)), "{id} on {version}: {outcome:?}");
        }
    }
}

/// ADVISOR_TEST_SCALE: addresses of databases of shop size, separated by blanks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_of_shop_size_is_counted_in_time() {
    let Ok(urls) = std::env::var("ADVISOR_TEST_SCALE") else {
        println!("skipped: ADVISOR_TEST_SCALE names no database of shop size");
        return;
    };
    let _ = rustls::crypto::ring::default_provider().install_default();
    for url in urls.split_whitespace() {
        let snapshot = collect_from(url, 1).await;
        let counts = snapshot.pg().unwrap().row_counts().unwrap();
        let late: Vec<_> = counts.iter().filter(|c| c.what == RowCount::NOT_COUNTED).collect();
        assert!(late.is_empty(), "not counted in time: {late:?}");
        for id in IDS {
            match checks::find(id).unwrap().run(&snapshot) {
                Outcome::Unknown(gap) => panic!("{id}: {gap:?}"),
                Outcome::Failed(found) => found.iter().for_each(|f| println!("{id} {} {}", f.severity.id(), f.observed)),
                Outcome::Passed => println!("{id} passed"),
                Outcome::NotApplicable(reason) => println!("{id} does not apply: {reason}"),
            }
        }
    }
}

/// The grant a check asks for; a check that passes without seeing its tables would be a silent pass.
fn denied(id: &str, snapshot: &Snapshot) -> Option<String> {
    match checks::find(id).unwrap().run(snapshot) {
        Outcome::Unknown(gap) => match gap.cause {
            Cause::Denied { grant } => Some(grant),
            other => panic!("{id}: {other:?}, {}", gap.detail),
        },
        Outcome::Failed(found) => panic!("{id} fails on a stock store: {found:?}"),
        Outcome::Passed | Outcome::NotApplicable(_) => None,
    }
}

/// The seed's own demo bucket is left alone; a store's bucket is named until the printed script has been run.
async fn pictures_at_a_bucket(version: &str) {
    let id = "cdn-media-bypasses-cdn";
    let Some(db) = store(&format!("bucket_{version}"), version).await else { return };
    let (snapshot, _) = db.quiet_audit().await;
    assert_eq!(checks::find(id).unwrap().run(&snapshot), Outcome::Passed, "the seed's pictures");
    let moved = |table: &str, column: &str| {
        format!("update {table} set {column} = 'https://shop-media.s3.eu-west-1.amazonaws.com/' || id || '.jpg' where {column} is not null;")
    };
    psql(&db, &format!("{}\n{}", moved("image", "url"), moved("product", "thumbnail")));
    let (_, plan) = db.quiet_audit().await;
    let found = finding(&plan, id, "shop-media.s3.eu-west-1.amazonaws.com");
    println!("{}", found.finding.observed);
    let script = found.finding.remedies.iter().find(|r| r.kind == RemedyKind::Sql).unwrap();
    assert!(psql(&db, &script.text).lines().last() == Some("0"), "no address is left");
    let (snapshot, _) = db.quiet_audit().await;
    assert_eq!(checks::find(id).unwrap().run(&snapshot), Outcome::Passed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pictures_at_a_bucket_of_version_1() {
    pictures_at_a_bucket("v1").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pictures_at_a_bucket_of_version_2() {
    pictures_at_a_bucket("v2").await;
}
