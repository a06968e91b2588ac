//! Index advice against a real Postgres with HypoPG and Medusa's own schema: what is promised is measured. The statement runs, the audit
//! advises, the printed SQL runs verbatim, the statement runs again, and `pg_stat_statements` says what it gained.

use std::path::Path;
use std::time::Instant;

use crate::live::{Db, finding, is_found, server};
use medusa_advisor::evidence::Snapshot;
use medusa_advisor::evidence::postgres::Proof;
use medusa_advisor::finding::{Basis, Evidence, Finding, RemedyKind};
use medusa_advisor::plan::Plan;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

const SCHEMA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data/medusa/v2-schema.sql");
/// The promise must be kept within this factor.
const FACTOR: f64 = 2.0;
/// Calls before and after, enough that a cold page does not decide.
const CALLS: usize = 15;

const PRODUCTS: &str = "insert into product (id, title, handle, status, created_at, updated_at)
  select 'prod_' || lpad(i::text, 26, '0'), 'Product ' || i, 'product-' || i, 'published', now() - i * interval '1 min', now() - ((i * 7919) % 200000) * interval '1 min'
  from generate_series(1, 100000) i;
vacuum analyze product";

/// Without the index that holds the column in second place: Postgres 18 skips through its ranks and scans nothing.
const IMAGES: &str = "insert into image (id, url, product_id, rank)
  select 'img_' || lpad(i::text, 26, '0'), 'https://cdn.example.com/' || i || '.jpg', 'prod_' || lpad((1 + (i::bigint * 7919) % 60000)::text, 26, '0'), i % 20
  from generate_series(1, 300000) i;
vacuum analyze image;
drop index \"IDX_image_product_id\";
drop index \"IDX_product_image_rank_product_id\"";

const CUSTOMERS: &str = "insert into customer (id, email, has_account)
  select 'cus_' || lpad(i::text, 26, '0'), 'Shopper' || i || '@example.com', i % 2 = 0 from generate_series(1, 200000) i;
vacuum analyze customer";

const NOTES: &str = "create table stock_note (id bigint primary key, warehouse text not null, sku text not null, note text not null, product_id text not null, deleted_at timestamptz);
insert into stock_note select i, 'w' || i % 100, 's' || (i / 100) % 1000, repeat('word ', 12), 'prod_' || lpad((1 + (i::bigint * 31) % 20000)::text, 26, '0')
  from generate_series(1, 300000) i;
vacuum analyze stock_note";

/// A database with the schema of Medusa v2, filled by `parts`; `None` where the server or the schema is missing.
async fn shop(name: &str, parts: &[&str]) -> Option<Db> {
    let server = server()?;
    if !Path::new(SCHEMA).exists() {
        println!("skipped: {SCHEMA} is absent");
        return None;
    }
    let db = Db::new(&server, name).await;
    let _ = db.connection().await.execute("create extension if not exists hypopg").await;
    let load = format!("psql -q -v ON_ERROR_STOP=0 -d '{}' -f '{SCHEMA}' >/dev/null 2>&1", db.url);
    assert!(std::process::Command::new("bash").args(["-c", &load]).status().unwrap().success());
    for part in parts {
        db.run(part).await;
    }
    Some(db)
}

async fn has_hypopg(db: &Db) -> bool {
    let found: Option<(i32,)> =
        sqlx::query_as("select 1 from pg_extension where extname = 'hypopg'").fetch_optional(&mut db.connection().await).await.unwrap();
    if found.is_none() {
        println!("skipped: hypopg is not installed, so nothing is proved");
    }
    found.is_some()
}

/// Sends `text` with one of the values, over and over, as a shop does.
async fn send(c: &mut PgConnection, text: &'static str, values: &[&str]) {
    for value in values.iter().cycle().take(CALLS) {
        let mut query = sqlx::query(text);
        for part in value.split('|').filter(|p| !p.is_empty()) {
            query = match part.parse::<i64>() {
                Ok(n) => query.bind(n),
                Err(_) => query.bind(part.to_owned()),
            };
        }
        query.fetch_all(&mut *c).await.unwrap();
    }
}

async fn audit_under(db: &Db, text: &'static str, values: &'static [&'static str]) -> (Snapshot, Plan) {
    db.reset_counters().await;
    db.audit(move |mut c: PgConnection| async move {
        send(&mut c, text, values).await;
        c
    })
    .await
}

/// Mean milliseconds of a call by the server's own count.
async fn mean_ms(db: &Db, text: &'static str, values: &[&str]) -> f64 {
    let mut c = db.connection().await;
    // Once to bring the pages into memory.
    send(&mut c, text, values).await;
    db.reset_counters().await;
    send(&mut c, text, values).await;
    let (mean,): (f64,) =
        sqlx::query_as("select mean_exec_time from pg_stat_statements where query = $1 and calls >= 10 order by calls desc limit 1")
            .bind(text)
            .fetch_one(&mut c)
            .await
            .unwrap();
    c.close().await.unwrap();
    mean
}

fn before_after(finding: &Finding) -> (f64, f64, Basis) {
    let found = finding.evidence.iter().find_map(|e| match e {
        Evidence::BeforeAfter { before, after, basis, .. } => Some((*before, *after, *basis)),
        _ => None,
    });
    found.expect("a finding promises a time a call")
}

/// Audit, printed SQL, measured gain.
async fn promise_is_kept(db: &Db, text: &'static str, values: &'static [&'static str], subject: &str) {
    let measured_before = mean_ms(db, text, values).await;
    let start = Instant::now();
    let (snapshot, plan) = audit_under(db, text, values).await;
    let found = finding(&plan, "pg-missing-index", subject);
    let proofs = snapshot.pg().unwrap().proofs().unwrap();
    let (before, after, basis) = before_after(&found.finding);
    assert_eq!(basis == Basis::Proved, has_hypopg(db).await, "{subject}: {proofs:#?}");
    let sql = found.finding.remedies.iter().find(|r| r.kind == RemedyKind::Sql).unwrap().text.clone();
    db.run(&sql).await;
    db.connection().await.execute("analyze").await.unwrap();
    let measured_after = mean_ms(db, text, values).await;
    let (promised, kept) = (1.0 - after / before, 1.0 - measured_after / measured_before);
    println!(
        "{subject}: {measured_before:.2} ms -> {measured_after:.3} ms measured (saved {kept:.4}), promised {before:.2} ms -> {after:.3} ms (saved {promised:.4}); {} proofs, {:.1} s",
        proofs.len(),
        start.elapsed().as_secs_f64()
    );
    assert!(promised <= kept * FACTOR && kept <= promised * FACTOR, "{subject}: promised {promised:.3}, kept {kept:.3}");
    let (_, plan) = audit_under(db, text, values).await;
    assert!(!is_found(&plan, "pg-missing-index", subject), "{subject} is still advised");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_promise_is_kept() {
    let Some(db) = shop("index_promise", &[PRODUCTS, IMAGES, CUSTOMERS, NOTES]).await else { return };
    promise_is_kept(
        &db,
        r#"select "i0".* from "image" as "i0" where "i0"."deleted_at" is null and "i0"."product_id" = $1"#,
        &["prod_00000000000000000000000007", "prod_00000000000000000000031000"],
        "public.image(product_id)",
    )
    .await;
    promise_is_kept(
        &db,
        r#"select * from "stock_note" where "warehouse" = $1 and "sku" = $2 and "deleted_at" is null"#,
        &["w7|s70", "w42|s900"],
        "public.stock_note(sku, warehouse)",
    )
    .await;
    promise_is_kept(
        &db,
        r#"select "p0"."id" from "product" as "p0" where "p0"."deleted_at" is null order by "p0"."updated_at" desc limit $1"#,
        &["12"],
        "public.product(updated_at)",
    )
    .await;
    promise_is_kept(
        &db,
        r#"select "id" from "customer" where lower("email") = $1"#,
        &["shopper7@example.com", "shopper99@example.com"],
        "public.customer(lower(email))",
    )
    .await;
    promise_is_kept(
        &db,
        r#"select "s0".* from "product" as "p0" inner join "stock_note" as "s0" on "s0"."product_id" = "p0"."id" where "p0"."handle" = $1 and "p0"."deleted_at" is null"#,
        &["product-7", "product-1234"],
        "public.stock_note(product_id)",
    )
    .await;
}

/// A fifteenth of the rows, strewn over every block: the index would be read and the table nearly too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_that_would_not_help_is_refuted() {
    let Some(db) = shop("index_refuted", &[]).await else { return };
    db.run(
        "create table parcel (id bigint primary key, carrier text not null, label text not null, weight int not null);
insert into parcel select i, 'c' || i % 15, repeat('word ', 6) || i, i % 1000 from generate_series(1, 300000) i;
vacuum analyze parcel",
    )
    .await;
    if !has_hypopg(&db).await {
        return;
    }
    let text = r#"select * from "parcel" where "carrier" = $1 and "label" like $2"#;
    let (snapshot, plan) = audit_under(&db, text, &["c7|word word word word word word 157%"]).await;
    let proofs: Vec<&Proof> = snapshot.pg().unwrap().proofs().unwrap().iter().filter(|p| p.table == "parcel").collect();
    assert!(plan.findings.iter().all(|r| !(r.check.id == "pg-missing-index" && r.finding.subject.name.contains("parcel"))), "{proofs:#?}");
    println!("{proofs:#?}");
    assert!(proofs.iter().any(|p| p.method == "hypopg"), "the planner was asked: {proofs:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn existing_indexes_of_every_kind_count() {
    let Some(db) = shop("index_traps", &[]).await else { return };
    db.run(
        "create table \"Shop Review\" (id bigint primary key, \"productId\" text not null, shop text not null, author text not null, deleted_at timestamptz);
insert into \"Shop Review\" select i, 'prod_' || i % 30000, 's' || i % 20000, 'a' || i % 25000, null from generate_series(1, 200000) i;
create index on \"Shop Review\" (\"productId\") where deleted_at is null;
create index on \"Shop Review\" (shop text_pattern_ops) include (author);
create unique index on \"Shop Review\" (author, id);
vacuum analyze \"Shop Review\"",
    )
    .await;
    for (text, value) in [
        (r#"select * from "Shop Review" where "productId" = $1 and deleted_at is null"#, &["prod_7"] as &'static [&'static str]),
        (r#"select * from "Shop Review" where shop = $1"#, &["s7"]),
        (r#"select * from "Shop Review" where author = $1"#, &["a7"]),
    ] {
        let (_, plan) = audit_under(&db, text, value).await;
        let said: Vec<&str> = plan.findings.iter().filter(|r| r.check.id == "pg-missing-index").map(|r| r.finding.subject.name.as_str()).collect();
        assert!(said.is_empty(), "{text}: {said:?}");
    }
    // Without them the quoted names must come out right.
    db.connection().await.execute(AssertSqlSafe("drop index \"Shop Review_productId_idx\"".to_owned())).await.unwrap();
    promise_is_kept(
        &db,
        r#"select * from "Shop Review" where "productId" = $1 and deleted_at is null"#,
        &["prod_7", "prod_29000"],
        "public.Shop Review(productId)",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plans_are_shown_without_values() {
    let Some(db) = shop("index_plans", &[PRODUCTS]).await else { return };
    let text =
        r#"select "p0"."id", "i0"."url" from "product" as "p0" left join "image" as "i0" on "i0"."product_id" = "p0"."id" where "p0"."handle" = $1"#;
    let (snapshot, _) = audit_under(&db, text, &["product-7"]).await;
    let plans = snapshot.pg().unwrap().plans().unwrap();
    let lines: Vec<String> = plans.iter().flat_map(|p| p.lines.clone()).collect();
    println!("{}", lines.join("\n"));
    assert!(lines.iter().any(|l| l.contains("on product p0 (cost ")), "{lines:#?}");
    assert!(lines.iter().all(|l| !l.contains('=') && !l.contains('\'')), "{lines:#?}");
    // Hypothetical indexes do not outlive the audit, and neither do prepared statements.
    let leftover: Vec<&Proof> = snapshot.pg().unwrap().proofs().unwrap().iter().filter(|p| p.node_before.contains('<')).collect();
    assert!(leftover.is_empty(), "{leftover:#?}");
}

/// A role that may see the statistics and not the tables: nothing is proved, and the finding says what stands in the way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_without_the_tables_is_told_what_a_proof_needs() {
    let Some(db) = shop("index_denied", &[PRODUCTS, IMAGES]).await else { return };
    db.run(
        "do $$ begin if not exists (select from pg_roles where rolname = 'advisor_index_denied') then create role advisor_index_denied login password 'bare'; end if; end $$;
grant pg_monitor to advisor_index_denied",
    )
    .await;
    let mut url = url::Url::parse(&db.url).unwrap();
    url.set_username("advisor_index_denied").unwrap();
    url.set_password(Some("bare")).unwrap();
    let text = r#"select "i0".* from "image" as "i0" where "i0"."deleted_at" is null and "i0"."product_id" = $1"#;
    db.reset_counters().await;
    let mut c = db.connection().await;
    send(&mut c, text, &["prod_00000000000000000000000007"]).await;
    for _ in 0..20 {
        send(&mut c, text, &["prod_00000000000000000000000009"]).await;
    }
    let snapshot = crate::live::collect_from(url.as_str(), 1).await;
    let plan = medusa_advisor::plan::build(&snapshot, &[], |_| true);
    let found = finding(&plan, "pg-missing-index", "public.image(product_id)");
    assert_eq!(before_after(&found.finding).2, Basis::Modelled);
    let said: Vec<String> = found
        .finding
        .evidence
        .iter()
        .filter_map(|e| match e {
            Evidence::Text { label, text } if label == "For a proof" => Some(text.clone()),
            _ => None,
        })
        .collect();
    assert!(said.len() == 1 && said[0].contains("grant select on public.image to advisor_index_denied"), "{said:?}");
    let gap = snapshot.pg().unwrap().plans().unwrap_err();
    assert!(gap.cause.remedy().is_some_and(|r| r.contains("pg_read_all_data")), "{gap:?}");
}

/// A fifth of the events lie in a partition of their own partitions; the last month has a few.
const EVENTS: &str = "create table stock_event (id bigint not null, day bigint not null, sku text not null, note text not null, deleted_at timestamptz) partition by range (day);
create table stock_event_old partition of stock_event for values from (0) to (100);
create table \"Stock Event\" partition of stock_event for values from (100) to (125) partition by hash (id);
create table stock_event_0 partition of \"Stock Event\" for values with (modulus 2, remainder 0);
create table stock_event_1 partition of \"Stock Event\" for values with (modulus 2, remainder 1);
create table stock_event_new partition of stock_event for values from (125) to (1000);
insert into stock_event select i, i % 125, 's' || (i::bigint * 7919) % 30000, repeat('word ', 12) from generate_series(1, 300000) i;
insert into stock_event select i, 200, 's' || i % 300, repeat('word ', 12) from generate_series(1, 3000) i;
vacuum analyze stock_event_old;
vacuum analyze stock_event_0;
vacuum analyze stock_event_1;
vacuum analyze stock_event_new;
analyze stock_event";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partitioned_table_is_indexed_part_by_part() {
    let Some(db) = shop("index_partitions", &[EVENTS]).await else { return };
    // One partition of a few dozen blocks is read whole: the others are none of its business.
    let pruned = r#"select * from "stock_event" where "day" = $1 and "sku" = $2 and "deleted_at" is null"#;
    let (_, plan) = audit_under(&db, pruned, &["200|s7"]).await;
    let said: Vec<&str> = plan.findings.iter().filter(|r| r.check.id == "pg-missing-index").map(|r| r.finding.subject.name.as_str()).collect();
    assert!(said.is_empty(), "{said:?}");
    let text = r#"select * from "stock_event" where "sku" = $1 and "deleted_at" is null"#;
    promise_is_kept(&db, text, &["s7", "s29000"], "public.stock_event(sku)").await;
    let valid: (i64,) = sqlx::query_as("select count(*) from pg_index where indisvalid and indexrelid::regclass::text like '%idx_stock_event%'")
        .fetch_one(&mut db.connection().await)
        .await
        .unwrap();
    assert_eq!(valid.0, 6, "of the table, its three partitions and the two of one of them");
}

/// Four regions: an index on them finds a quarter of the table, whatever the fifteen rows of a page look like.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_statistics_a_page_of_a_list_gets_its_order_indexed_too() {
    let Some(db) = shop("index_limit", &[]).await else { return };
    db.run(
        "create table basket (id bigint primary key, region_id text not null, note text not null, created_at timestamptz not null, deleted_at timestamptz);
insert into basket select i, 'reg_' || i % 4, repeat('word ', 20), now() - i * interval '1 min', null from generate_series(1, 200000) i;
vacuum analyze basket;
do $$ begin if not exists (select from pg_roles where rolname = 'advisor_index_denied') then create role advisor_index_denied login password 'bare'; end if; end $$;
grant pg_monitor to advisor_index_denied",
    )
    .await;
    let mut url = url::Url::parse(&db.url).unwrap();
    url.set_username("advisor_index_denied").unwrap();
    url.set_password(Some("bare")).unwrap();
    let text = r#"select * from "basket" where "region_id" = $1 and "deleted_at" is null order by "created_at" desc limit $2"#;
    let audit = || async {
        db.reset_counters().await;
        let mut c = db.connection().await;
        for _ in 0..20 {
            send(&mut c, text, &["reg_1|15", "reg_2|15"]).await;
        }
        let snapshot = crate::live::collect_from(url.as_str(), 1).await;
        medusa_advisor::plan::build(&snapshot, &[], |_| true)
    };
    let plan = audit().await;
    let found = finding(&plan, "pg-missing-index", "public.basket(region_id, created_at)");
    assert_eq!(found.finding.confidence, medusa_advisor::finding::Confidence::Low);
    assert!(!is_found(&plan, "pg-missing-index", "public.basket(region_id)"));
    let before = mean_ms(&db, text, &["reg_1|15"]).await;
    db.run(&found.finding.remedies[0].text).await;
    let after = mean_ms(&db, text, &["reg_1|15"]).await;
    println!("{before:.2} ms -> {after:.3} ms");
    assert!(after < before / 4.0, "{before} {after}");
    let plan = audit().await;
    assert!(!is_found(&plan, "pg-missing-index", "public.basket(region_id, created_at)"));
}
