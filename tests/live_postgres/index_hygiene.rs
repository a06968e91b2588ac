//! Indexes of real Medusa schemas on a real server: what is lost, doubled, covered or broken is named, the printed remedy mends it, and
//! stock schemas of several versions are left alone.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use crate::live::{Db, finding, is_found, server};
use medusa_advisor::evidence::Snapshot;
use medusa_advisor::finding::{RemedyKind, Severity};
use medusa_advisor::plan::Plan;
use sqlx::{AssertSqlSafe, Connection, Executor, Row};

const FAMILY: [&str; 5] = ["pg-missing-stock-index", "pg-redundant-index", "pg-duplicate-index", "pg-invalid-index", "pg-unused-index"];

/// Schemas in tests/medusa, and the version that must be told of them: 2.9 brought no migration.
const OLDER: [(&str, &str); 2] = [("v2-2.4.0", "2.4"), ("v2-2.8.8", "2.8–2.9")];
const NEWEST: (&str, &str) = ("v2-2.21.2", "2.21");

/// A schema as the migrations of that version left it, with the names of the migrations and no other row.
async fn medusa(server: &str, name: &str, version: &str) -> Option<Db> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/medusa/{version}.sql.gz"));
    let mut sql = String::new();
    flate2::read::GzDecoder::new(std::fs::File::open(path).unwrap()).read_to_string(&mut sql).unwrap();
    let db = Db::new(server, name).await;
    let mut c = db.connection().await;
    if let Err(e) = c.execute("create extension pg_trgm").await {
        println!("skipped: the server lacks pg_trgm, which Medusa's migrations create ({e})");
        return None;
    }
    c.execute(AssertSqlSafe(sql)).await.unwrap();
    Some(db)
}

/// What the family says, as "check subject".
fn said(plan: &Plan) -> Vec<String> {
    let of_family = plan.findings.iter().filter(|r| FAMILY.contains(&r.check.id));
    let mut said: Vec<String> = of_family.map(|r| format!("{} {}", r.check.id, r.finding.subject.name)).collect();
    said.sort();
    said
}

fn version(snapshot: &Snapshot) -> (String, String) {
    let medusa = snapshot.medusa().unwrap();
    (medusa.version.clone(), medusa.evidence.clone())
}

/// Index definitions by name.
async fn definitions(db: &Db) -> BTreeMap<String, String> {
    let mut c = db.connection().await;
    let rows = sqlx::query("select indexname::text, indexdef from pg_indexes where schemaname = 'public'").fetch_all(&mut c).await.unwrap();
    rows.iter().map(|r| (r.get(0), r.get(1))).collect()
}

/// Runs the SQL remedies of all the family's findings, as they are printed.
async fn mend(db: &Db, plan: &Plan) {
    for ranked in plan.findings.iter().filter(|r| FAMILY.contains(&r.check.id)) {
        let remedy = ranked.finding.remedies.iter().find(|r| r.kind == RemedyKind::Sql);
        db.run(&remedy.unwrap_or_else(|| panic!("{} offers no SQL", ranked.key)).text).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stock_schemas_are_whole_and_their_version_is_told() {
    let Some(server) = server() else { return };
    for (file, told) in OLDER.into_iter().chain([NEWEST]) {
        let Some(db) = medusa(&server, "stock_schema", file).await else { return };
        let (snapshot, plan) = db.quiet_audit().await;
        let (version, evidence) = version(&snapshot);
        assert_eq!(version, told, "{evidence}");
        assert!(evidence.starts_with("migration "), "{evidence}");
        assert_eq!(said(&plan), Vec::<String>::new(), "{file}");
        assert!(plan.unknown.iter().all(|(c, _)| c.id != "pg-missing-stock-index"), "{file}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_between_two_releases_and_one_beyond_are_told_so() {
    let Some(server) = server() else { return };
    let Some(db) = medusa(&server, "told_version", NEWEST.0).await else { return };
    // A module of the store's own, written after the newest release.
    db.run("insert into mikro_orm_migrations (id, name) values (100000, 'Migration20261120101500')").await;
    let (snapshot, _) = db.quiet_audit().await;
    assert_eq!(version(&snapshot).0, format!("{} or newer", NEWEST.1));
    db.run("delete from mikro_orm_migrations").await;
    let (snapshot, plan) = db.quiet_audit().await;
    assert_eq!(version(&snapshot).0, "2.x");
    assert!(plan.unknown.iter().any(|(c, _)| c.id == "pg-missing-stock-index"), "without a version nothing is missed");
}

/// Every index of the schema that a constraint does not hold, lost and made again from the printed text: the same definitions, to the letter.
async fn lose_all(server: &str, name: &str, file: &str) {
    let Some(db) = medusa(server, name, file).await else { return };
    let before = definitions(&db).await;
    db.run(
        "do $$ declare i record; begin for i in select indexrelid::regclass as name from pg_index x join pg_class c on c.oid = x.indexrelid \
         where c.relnamespace = 'public'::regnamespace and not exists (select 1 from pg_constraint p where p.conindid = x.indexrelid) \
         and not (x.indrelid::regclass::text like '%\\_migrations') loop execute 'drop index ' || i.name; end loop; end $$",
    )
    .await;
    let lost = before.len() - definitions(&db).await.len();
    assert!(lost > 100, "{lost}");
    let (_, plan) = db.quiet_audit().await;
    let found = finding(&plan, "pg-missing-stock-index", "public: other tables");
    assert_eq!(found.finding.severity, Severity::Info, "every table is empty");
    db.run(&found.finding.remedies[0].text).await;
    let after = definitions(&db).await;
    let differ: Vec<_> = before.iter().filter(|(name, text)| after.get(*name) != Some(text)).collect();
    println!("{file}: {lost} lost, {} not made again as another serves the same", differ.len());
    // What is made is made as it was; left out are those whose work a primary key or a unique constraint does, and the one that serves nobody.
    assert!(differ.iter().all(|(name, _)| !after.contains_key(*name)), "{differ:#?}");
    assert!(differ.len() * 5 < lost, "{differ:#?}");
    let (_, plan) = db.quiet_audit().await;
    assert_eq!(said(&plan), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_without_indexes_is_mended_to_the_letter() {
    let Some(server) = server() else { return };
    lose_all(&server, "lost_newest", NEWEST.0).await;
    lose_all(&server, "lost_older", OLDER[0].0).await;
}

/// Products, images and orders, enough of them to matter.
const SHOP: &str = r#"
insert into product (id, title, handle) select 'prod_' || lpad(i::text, 26, '0'), 'Product ' || i, 'product-' || i from generate_series(1, 20000) i;
insert into image (id, url, product_id, rank) select 'img_' || lpad(i::text, 26, '0'), 'https://cdn.example.com/' || i || '.jpg', 'prod_' || lpad((1 + i % 20000)::text, 26, '0'), i % 3 from generate_series(1, 60000) i;
insert into customer (id, email, has_account) select 'cus_' || lpad(i::text, 26, '0'), i || '@example.com', true from generate_series(1, 20000) i;
insert into "order" (id, currency_code, region_id, customer_id, email, status, created_at) select 'order_' || lpad(i::text, 26, '0'), 'eur', 'reg_' || i % 4, 'cus_' || lpad((1 + i % 20000)::text, 26, '0'), i || '@example.com', 'pending', now() - i * interval '1 minute' from generate_series(1, 60000) i;
insert into order_summary (id, order_id, totals) select 'ordsum_' || i, 'order_' || lpad(i::text, 26, '0'), '{}' from generate_series(1, 20000) i;
insert into product_sales_channel (product_id, sales_channel_id, id) select 'prod_' || lpad(i::text, 26, '0'), 'sc_1', 'prodsc_' || i from generate_series(1, 20000) i;
analyze
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_and_broken_stock_indexes_are_restored() {
    let Some(server) = server() else { return };
    let Some(db) = medusa(&server, "lost_few", NEWEST.0).await else { return };
    db.run(SHOP).await;
    let before = definitions(&db).await;
    let link = before.iter().find(|(n, _)| n.starts_with("IDX_sales_channel_id_") && before[*n].contains("product_sales_channel")).unwrap().0.clone();
    db.run(&format!(
        "drop index \"IDX_image_product_id\";\ndrop index \"IDX_customer_email_has_account_unique\";\ndrop index \"{link}\";\n\
         alter table order_summary drop constraint order_summary_pkey;\ndrop index \"IDX_product_handle_unique\";\n\
         create index mine on \"order\" (region_id, created_at) where deleted_at is null;\ndrop index \"IDX_order_region_id\""
    ))
    .await;
    // A unique build that fails on a duplicate leaves an invalid index of the stock name.
    db.run("insert into product (id, title, handle) values ('prod_twin', 'Twin', 'product-1')").await;
    let build = before["IDX_product_handle_unique"].replacen(" INDEX ", " INDEX CONCURRENTLY ", 1);
    db.connection().await.execute(AssertSqlSafe(build)).await.expect_err("the handle is taken twice");
    let (_, plan) = db.quiet_audit().await;
    let mut expected = vec![
        "pg-invalid-index public.IDX_product_handle_unique".to_owned(),
        "pg-missing-stock-index public.IDX_customer_email_has_account_unique".to_owned(),
        "pg-missing-stock-index public.IDX_image_product_id".to_owned(),
        format!("pg-missing-stock-index public.{link}"),
        "pg-missing-stock-index public.IDX_product_handle_unique".to_owned(),
        "pg-missing-stock-index public.order_summary_pkey".to_owned(),
    ];
    expected.sort();
    assert_eq!(said(&plan), expected);
    let handle = finding(&plan, "pg-missing-stock-index", "public.IDX_product_handle_unique");
    assert!(handle.symptom_of.is_some(), "it hangs under the invalid index");
    let linked = finding(&plan, "pg-missing-stock-index", &format!("public.{link}"));
    assert!(linked.finding.remedies.iter().any(|r| r.text == "npx medusa db:sync-links"));
    db.run("delete from product where id = 'prod_twin'").await;
    mend(&db, &plan).await;
    let (_, plan) = db.quiet_audit().await;
    assert_eq!(said(&plan), Vec::<String>::new());
    let mut after = definitions(&db).await;
    after.remove("mine");
    let expected: BTreeMap<String, String> = before.into_iter().filter(|(n, _)| n != "IDX_order_region_id").collect();
    assert_eq!(after, expected);
}

/// The planted store of the peers: faults that must be named, and traps that must not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn doubled_and_covered_indexes_are_told_from_traps() {
    let Some(server) = server() else { return };
    let Some(db) = medusa(&server, "planted", NEWEST.0).await else { return };
    db.run(SHOP).await;
    let stock = definitions(&db).await;
    let faults = r#"
create index order_customer_a on "order" (customer_id);
create index order_customer_b on "order" (customer_id);
create index order_region on "order" (region_id);
create index order_region_created on "order" (region_id, created_at);
create index order_status on "order" (status);
create index order_status_include on "order" (status) include (currency_code);
create index order_created_up on "order" (created_at);
create index order_created_down on "order" (created_at desc);
create index image_url on image (url);
create index image_url_rank on image (url, rank);
create index image_url_rank_product on image (url, rank, product_id);
create table visit (id int, at timestamptz not null) partition by range (at);
create table visit_2026 partition of visit for values from ('2026-01-01') to ('2027-01-01');
create index visit_at on visit (at);
create index visit_2026_own on visit_2026 (at);
insert into visit select i, '2026-03-01' from generate_series(1, 20000) i"#;
    let traps = r#"
create index link_live on product_sales_channel (product_id) where deleted_at is null and id is not null;
create unique index customer_email on customer (email);
create index customer_email_created on customer (email, created_at);
create index customer_email_lower on customer (lower(email));
create index order_email on "order" (email);
create index order_email_pattern on "order" (email text_pattern_ops);
create index order_email_c on "order" (email collate "C", created_at);
create index order_status_hash on "order" using hash (status);
create index order_updated_nulls on "order" (updated_at nulls first);
create index order_updated_id on "order" (updated_at, id);
create index order_pair on "order" (sales_channel_id, created_at desc);
create index order_pair_wide on "order" (sales_channel_id, created_at, id);
create index image_live on image (created_at) where deleted_at is null;
create index image_created_url on image (created_at, url);
create table small (id int primary key, product_id text references product (id), region_id text);
insert into small select i, null, 'r' from generate_series(1, 20) i;
create table guarded (a int, b int not null, constraint guarded_a unique (a));
create index guarded_ab on guarded (a, b);
create unique index guarded_b on guarded (b);
create index guarded_ba on guarded (b, a);
alter table guarded replica identity using index guarded_b;
create table event (id int, at timestamptz not null, kind text) partition by range (at);
create table event_2026 partition of event for values from ('2026-01-01') to ('2027-01-01');
create index event_kind on event (kind);
create index event_kind_twin on event (kind);
create index event_kind_at on event (kind, at);
insert into event select i, '2026-03-01', 'k' || i % 500 from generate_series(1, 20000) i"#;
    db.run(faults).await;
    db.run(traps).await;
    let (_, plan) = db.quiet_audit().await;
    let expected = [
        "pg-duplicate-index public.order_customer_b",
        "pg-duplicate-index public.visit_2026_own",
        "pg-redundant-index public.image_url",
        "pg-redundant-index public.image_url_rank",
        "pg-redundant-index public.order_created_up",
        "pg-redundant-index public.order_region",
        "pg-redundant-index public.order_status",
    ];
    assert_eq!(said(&plan), expected);
    for ranked in plan.findings.iter().filter(|r| FAMILY.contains(&r.check.id)) {
        println!("{} {}: {}", ranked.finding.severity.id(), ranked.key, ranked.finding.observed);
        assert!(ranked.finding.severity <= Severity::Medium);
    }
    mend(&db, &plan).await;
    let (_, plan) = db.quiet_audit().await;
    assert_eq!(said(&plan), Vec::<String>::new());
    let after = definitions(&db).await;
    assert!(stock.keys().all(|name| after.contains_key(name)), "none of Medusa's own is gone");
    assert!(after.contains_key("image_url_rank_product") && after.contains_key("order_customer_a"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_upstream_slip_is_a_note_and_its_remedy_serves() {
    let Some(server) = server() else { return };
    let Some(db) = medusa(&server, "slip", NEWEST.0).await else { return };
    let rules = r#"
insert into price_list (id, title, description, status) values ('plist_1', 'Sale', 'Sale', 'active');
insert into price_list_rule (id, price_list_id, attribute, value) select 'plrule_' || i, 'plist_1', 'customer.groups.id', '["g"]' from generate_series(1, 10000) i;
analyze price_list_rule"#;
    db.run(rules).await;
    let (_, plan) = db.quiet_audit().await;
    let found = finding(&plan, "pg-missing-stock-index", "public.IDX_price_list_rule_price_list_id");
    assert_eq!(found.finding.severity, Severity::Info);
    assert!(found.finding.observed.contains("upstream slip"));
    db.run(&found.finding.remedies[0].text).await;
    let (_, plan) = db.quiet_audit().await;
    assert_eq!(said(&plan), Vec::<String>::new());
}

/// A rebuild that waits for an open transaction has its new indexes there, invalid: nothing is broken.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_reindex_is_left_alone_and_a_broken_one_is_named() {
    let Some(server) = server() else { return };
    let Some(db) = medusa(&server, "reindex", NEWEST.0).await else { return };
    db.run(SHOP).await;
    let mut open = db.connection().await;
    open.execute("begin;\nlock table image in row exclusive mode").await.unwrap();
    let mut builder = db.connection().await;
    let pid: i32 = sqlx::query("select pg_backend_pid()").fetch_one(&mut builder).await.unwrap().get(0);
    let build = tokio::spawn(async move { builder.execute("reindex table concurrently image").await.map(|_| ()) });
    tokio::time::sleep(Duration::from_secs(1)).await;
    let left = definitions(&db).await.keys().filter(|n| n.ends_with("_ccnew")).count();
    assert!(left >= 3, "{left}");
    let (_, plan) = db.quiet_audit().await;
    assert_eq!(said(&plan), Vec::<String>::new());
    db.run(&format!("select pg_cancel_backend({pid})")).await;
    build.await.unwrap().expect_err("it was cancelled");
    open.execute("commit").await.unwrap();
    open.close().await.unwrap();
    let (_, plan) = db.quiet_audit().await;
    let broken = said(&plan);
    assert_eq!(broken.len(), left, "{broken:?}");
    assert!(broken.iter().all(|s| s.starts_with("pg-invalid-index") && s.ends_with("_ccnew")), "{broken:?}");
    mend(&db, &plan).await;
    let (_, plan) = db.quiet_audit().await;
    assert_eq!(said(&plan), Vec::<String>::new());
    assert!(!is_found(&plan, "pg-missing-stock-index", "public.image_pkey"));
}

/// More indexes than are read: those of large tables are, and of no table a part.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_too_many_indexes_those_of_large_tables_are_read() {
    let Some(server) = server() else { return };
    let db = Db::new(&server, "many_indexes").await;
    let many = "do $$ begin for t in 1..1005 loop
  execute format('create table many_%s (a int primary key, b int)', t);
  for i in 1..9 loop execute format('create index on many_%s (b)', t); end loop;
  commit;
end loop; end $$";
    db.connection().await.execute(many).await.unwrap();
    let shop = "create table zz_product (id text primary key);
create table zz_image (id text primary key, product_id text not null references zz_product (id));
insert into zz_product select 'p' || i from generate_series(1, 20000) i;
insert into zz_image select 'i' || i, 'p' || 1 + i % 20000 from generate_series(1, 60000) i;
create index zz_image_product on zz_image (product_id)";
    db.run(shop).await;
    let text = "select * from zz_image where product_id = $1";
    let (snapshot, plan) = db
        .audit(move |mut c| async move {
            sqlx::query(text).bind("p7").fetch_all(&mut c).await.unwrap();
            c
        })
        .await;
    let pg = snapshot.pg().unwrap();
    let (indexes, constraints) = (pg.indexes().unwrap(), pg.constraints().unwrap());
    assert!(!indexes.is_whole() && indexes.rows.len() > 9_980, "{}", indexes.rows.len());
    assert!(indexes.rows.iter().any(|i| i.name == "zz_image_product"));
    assert!(constraints.rows.iter().any(|c| c.table == "zz_image" && c.kind == "f"));
    assert!(indexes.rows.is_sorted_by_key(|i| (i.schema.clone(), i.table.clone(), i.name.clone())));
    let mut by_table: BTreeMap<&str, usize> = BTreeMap::new();
    indexes.rows.iter().filter(|i| i.table.starts_with("many_")).for_each(|i| *by_table.entry(i.table.as_str()).or_default() += 1);
    assert!(by_table.values().all(|n| *n == 10), "{by_table:?}");
    let advised: Vec<&str> = plan.findings.iter().filter(|r| r.finding.subject.name.contains("zz_")).map(|r| r.check.id).collect();
    assert!(!advised.contains(&"pg-missing-index") && !advised.contains(&"pg-unindexed-foreign-key"), "{advised:?}");
}
