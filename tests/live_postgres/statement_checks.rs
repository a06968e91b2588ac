//! The checks that judge statements, against a real server: create the fault, see it named, run the printed remedy, see it gone.

use crate::live::{Db, finding, is_found, server};
use medusa_advisor::checks;
use medusa_advisor::evidence::Cause;
use medusa_advisor::finding::{Outcome, RemedyKind, Severity};
use medusa_advisor::plan::{self, Plan, Ranked};
use sqlx::{AssertSqlSafe, Executor, PgConnection};

/// What tells a database of Medusa v2.
const MEDUSA: &str = r#"
create table mikro_orm_migrations (id serial primary key, name varchar(255), executed_at timestamptz default current_timestamp);
create table link_module_migrations (id serial primary key, table_name varchar(255) not null unique);
create table workflow_execution (id text primary key, state text);
create table order_summary (id text primary key)
"#;

const PRODUCTS: &str = r#"
create table product (id text primary key, title text not null, status text not null default 'published', description text, metadata jsonb, deleted_at timestamptz);
create table product_sales_channel (id text, product_id text, sales_channel_id text, deleted_at timestamptz, primary key (product_id, sales_channel_id));
insert into product (id, title, description, metadata) select 'prod_' || lpad(i::text, 26, '0'), 'Product ' || i, repeat(md5(i::text), 20), jsonb_build_object('a', repeat(md5((i + 1)::text), 16)) from generate_series(1, 20000) i;
insert into product_sales_channel select 'psc_' || i, 'prod_' || lpad(i::text, 26, '0'), 'sc_1', null from generate_series(1, 20000) i;
create index on product_sales_channel (sales_channel_id) where deleted_at is null;
vacuum analyze product;
vacuum analyze product_sales_channel
"#;

const IMAGES: &str = r#"
create table image (id text primary key, url text not null, product_id text not null, rank int not null default 0, deleted_at timestamptz);
insert into image select 'img_' || i || '_' || r, 'https://media.example.com/' || i || '-' || r || '.jpg', 'prod_' || lpad(i::text, 26, '0'), r from generate_series(1, 20000) i, generate_series(0, 2) r;
create index "IDX_image_product_id" on image (product_id) where deleted_at is null;
vacuum analyze image
"#;

const CUSTOMERS: &str = r#"
create table customer (id text primary key, email text not null, first_name text, deleted_at timestamptz);
insert into customer select 'cus_' || lpad(i::text, 26, '0'), md5(i::text) || '@example.com', 'Name ' || md5((i + 7)::text) from generate_series(1, 80000) i;
create index "IDX_customer_email" on customer (email) where deleted_at is null;
vacuum analyze customer
"#;

const ORDERS: &str = r#"
create type order_status_enum as enum ('pending', 'completed', 'draft', 'archived', 'canceled', 'requires_action');
create table "order" (id text primary key, email text, status order_status_enum not null default 'pending', created_at timestamptz not null, deleted_at timestamptz);
insert into "order" select 'order_' || lpad(i::text, 26, '0'), 'someone' || i, (case when i % 50 = 0 then 'pending' else 'completed' end)::order_status_enum, now() - i * interval '1 minute' from generate_series(1, 100000) i;
vacuum analyze "order"
"#;

const REVIEWS: &str = r#"
create table review (id bigint primary key, note text not null, rating int not null);
insert into review select i, md5(i::text) || repeat('x', 80), i % 5 from generate_series(1, 100000) i;
vacuum analyze review
"#;

async fn store(name: &str, tables: &[&str]) -> Option<Db> {
    let server = server()?;
    let db = Db::new(&server, name).await;
    db.run(MEDUSA).await;
    for sql in tables {
        db.run(sql).await;
    }
    db.reset_counters().await;
    Some(db)
}

/// The text of the first SQL remedy that changes something.
fn sql(ranked: &Ranked) -> String {
    let is_change = |text: &str| ["create", "alter", "vacuum"].iter().any(|w| text.starts_with(w));
    let found = ranked.finding.remedies.iter().find(|r| r.kind == RemedyKind::Sql && is_change(&r.text));
    found.unwrap_or_else(|| panic!("{} offers no SQL", ranked.key)).text.clone()
}

fn of<'p>(plan: &'p Plan, check: &str) -> Option<&'p Ranked> {
    plan.findings.iter().find(|r| r.check.id == check)
}

fn named<'p>(plan: &'p Plan, check: &str) -> &'p Ranked {
    of(plan, check).unwrap_or_else(|| {
        let keys: Vec<String> = plan.findings.iter().map(|r| format!("{}: {}", r.key, r.finding.observed)).collect();
        let gap = plan.unknown.iter().find(|(c, _)| c.id == check).map(|(_, g)| &g.detail);
        panic!("{check} was not found (gap: {gap:?}). Found:\n{}", keys.join("\n"))
    })
}

async fn nothing(c: PgConnection) -> PgConnection {
    c
}

async fn read_products(mut c: PgConnection) -> PgConnection {
    for _ in 0..40 {
        let text = r#"select "p0"."id", "p0"."title" from "product" as "p0" where "p0"."status" = $1 order by "p0"."id" limit $2"#;
        sqlx::query(text).bind("published").bind(2_000_i64).fetch_all(&mut c).await.unwrap();
    }
    c
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dominant_statement() {
    let Some(db) = store("dominant_statement", &[PRODUCTS]).await else { return };
    let (_, plan) = db.audit(read_products).await;
    let found = named(&plan, "pg-dominant-statement");
    println!("{}", found.finding.observed);
    assert_eq!(found.finding.step, "Answer the reads of product from a cache");
    assert!(found.symptom_of.is_none());
    // From a cache the database hears of them no more.
    db.reset_counters().await;
    read_products(db.connection().await).await;
    let (_, plan) = db.audit(nothing).await;
    assert!(of(&plan, "pg-dominant-statement").is_none());
}

/// One trouble is one step: what a missing index explains is its symptom.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dominance_for_lack_of_an_index_is_a_symptom() {
    let Some(db) = store("dominant_symptom", &[REVIEWS]).await else { return };
    async fn look_up(mut c: PgConnection) -> PgConnection {
        for i in 1..=20 {
            sqlx::query("select * from review where note = $1").bind(format!("no note {i}")).fetch_all(&mut c).await.unwrap();
        }
        c
    }
    let (_, plan) = db.audit(look_up).await;
    let cause = finding(&plan, "pg-missing-index", "public.review(note)");
    let symptom = named(&plan, "pg-dominant-statement");
    assert_eq!(symptom.symptom_of.as_deref(), Some(cause.key.as_str()));
    assert_eq!(symptom.rank, cause.rank);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn link_filter_explosion() {
    let Some(db) = store("link_filter_explosion", &[PRODUCTS]).await else { return };
    const LINK: &str = r#"select "l0"."sales_channel_id", "l0"."product_id" from "product_sales_channel" as "l0" where "l0"."deleted_at" is null and "l0"."sales_channel_id" in ($1)"#;
    async fn explode(mut c: PgConnection) -> PgConnection {
        let ids: Vec<(String, String)> = sqlx::query_as(LINK).bind("sc_1").fetch_all(&mut c).await.unwrap();
        let places: Vec<String> = (1..=ids.len()).map(|i| format!("${i}")).collect();
        let text = format!(
            r#"select "p0"."id" from "product" as "p0" where "p0"."deleted_at" is null and "p0"."id" in ({}) order by "p0"."id" limit 12"#,
            places.join(", ")
        );
        let mut query = sqlx::query(AssertSqlSafe(text));
        for (_, id) in &ids {
            query = query.bind(id);
        }
        assert_eq!(query.fetch_all(&mut c).await.unwrap().len(), 12);
        for (_, id) in ids.iter().take(10) {
            sqlx::query("select title from product where id = $1").bind(id).fetch_all(&mut c).await.unwrap();
        }
        c
    }
    let (_, plan) = db.audit(explode).await;
    let found = finding(&plan, "pg-link-filter-explosion", "lists of product by id");
    println!("{}", found.finding.observed);
    assert!(found.finding.severity >= Severity::High);
    assert!(found.finding.remedies.iter().any(|r| r.kind == RemedyKind::MedusaConfig && r.text.contains("MEDUSA_FF_INDEX_ENGINE")));
    // Nothing else calls the same trouble a step of its own.
    let also: Vec<&str> =
        plan.steps().filter(|r| r.finding.touches.iter().any(|t| found.finding.touches.contains(t))).map(|r| r.key.as_str()).collect();
    assert_eq!(also, [found.key.as_str()]);
    // The route of one's own, as printed: the database follows the link.
    async fn joined(mut c: PgConnection) -> PgConnection {
        for _ in 0..20 {
            let text = "select p.id from product as p join product_sales_channel as l on l.product_id = p.id where l.sales_channel_id in ($1) and p.status = $2 and p.deleted_at is null and l.deleted_at is null order by p.id limit 12";
            sqlx::query(text).bind("sc_1").bind("published").fetch_all(&mut c).await.unwrap();
        }
        c
    }
    db.reset_counters().await;
    let (_, plan) = db.audit(joined).await;
    assert!(of(&plan, "pg-link-filter-explosion").is_none());
}

async fn look_up_customers(mut c: PgConnection) -> PgConnection {
    for i in 1..=10 {
        sqlx::query("select c.id from customer c where c.email = $1").bind(format!("nobody{i}@example.com")).fetch_all(&mut c).await.unwrap();
    }
    c
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn soft_delete_blind() {
    let Some(db) = store("soft_delete_blind", &[CUSTOMERS]).await else { return };
    async fn seeing(mut c: PgConnection) -> PgConnection {
        for i in 1..=50 {
            let text = "select c.id from customer c where c.email = $1 and c.deleted_at is null";
            sqlx::query(text).bind(format!("nobody{i}@example.com")).fetch_all(&mut c).await.unwrap();
        }
        c
    }
    let (_, plan) = db.audit(look_up_customers).await;
    let found = finding(&plan, "pg-soft-delete-blind", "public.customer(email)");
    println!("{}", found.finding.observed);
    assert!(found.finding.remedies[0].text.contains("and c.deleted_at is null"));
    assert!(!is_found(&plan, "pg-missing-index", "public.customer(email)"));
    let index = sql(found);
    db.reset_counters().await;
    let (_, plan) = db.audit(seeing).await;
    assert!(of(&plan, "pg-soft-delete-blind").is_none(), "with the condition the index serves it");
    db.run(&index).await;
    db.reset_counters().await;
    let (_, plan) = db.audit(look_up_customers).await;
    assert!(of(&plan, "pg-soft-delete-blind").is_none(), "the index over all rows serves it too");
}

/// As Medusa 2.21.2 reads one product: its images are joined without the condition, so the stock index does not serve.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_stock_product_page_reads_all_images() {
    let Some(db) = store("stock_product_page", &[PRODUCTS, IMAGES]).await else { return };
    async fn open(mut c: PgConnection) -> PgConnection {
        let text = r#"select "p0"."id", "p3"."url" from "product" as "p0" left join "image" as "p3" on "p0"."id" = "p3"."product_id" where "p0"."deleted_at" is null and "p0"."status" = $1 and "p0"."id" in ($2) order by "p0"."id" asc, "p3"."rank" asc"#;
        for i in 1..=10 {
            let rows = sqlx::query(text).bind("published").bind(format!("prod_{i:026}")).fetch_all(&mut c).await.unwrap();
            assert_eq!(rows.len(), 3);
        }
        c
    }
    let (_, plan) = db.audit(open).await;
    let found = finding(&plan, "pg-soft-delete-blind", "public.image(product_id)");
    println!("{}", found.finding.observed);
    db.run(&sql(found)).await;
    db.reset_counters().await;
    let (after, plan) = db.audit(open).await;
    assert!(of(&plan, "pg-soft-delete-blind").is_none());
    let rows = &after.postgres.as_ref().unwrap().statements.as_ref().unwrap().rows.rows;
    println!("with the index: {:.2} ms", rows.iter().find(|r| r.text.contains("left join \"image\"")).unwrap().counters.total.mean_ms());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn overfetch() {
    let Some(db) = store("overfetch", &[PRODUCTS]).await else { return };
    async fn everything(mut c: PgConnection) -> PgConnection {
        for _ in 0..5 {
            let text = r#"select "p0".* from "product" as "p0" where "p0"."deleted_at" is null order by "p0"."id" limit $1"#;
            c.fetch_all(sqlx::query(text).bind(400_i64)).await.unwrap();
        }
        c
    }
    async fn what_is_shown(mut c: PgConnection) -> PgConnection {
        for _ in 0..50 {
            let text = r#"select "p0"."id", "p0"."title" from "product" as "p0" where "p0"."deleted_at" is null order by "p0"."id" limit $1"#;
            c.fetch_all(sqlx::query(text).bind(400_i64)).await.unwrap();
        }
        c
    }
    let (_, plan) = db.audit(everything).await;
    let found = named(&plan, "pg-overfetch");
    println!("{}", found.finding.observed);
    assert!(found.finding.observed.contains("description") && found.finding.observed.contains("metadata"));
    db.reset_counters().await;
    let (_, plan) = db.audit(what_is_shown).await;
    assert!(of(&plan, "pg-overfetch").is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deep_offset() {
    let Some(db) = store("deep_offset", &[ORDERS]).await else { return };
    async fn skip(mut c: PgConnection) -> PgConnection {
        let text = r#"select "o0"."id", "o0"."email" from "order" as "o0" where "o0"."deleted_at" is null order by "o0"."id" limit $1 offset $2"#;
        sqlx::query(text).bind(20_i64).bind(90_000_i64).fetch_all(&mut c).await.unwrap();
        c
    }
    async fn follow(mut c: PgConnection) -> PgConnection {
        for _ in 0..50 {
            let text = r#"select "o0"."id", "o0"."email" from "order" as "o0" where "o0"."deleted_at" is null and "o0"."id" > $1 order by "o0"."id" limit $2"#;
            sqlx::query(text).bind("order_00000000000000000000090000").bind(20_i64).fetch_all(&mut c).await.unwrap();
        }
        c
    }
    let (_, plan) = db.audit(skip).await;
    let found = finding(&plan, "pg-deep-offset", "public.order");
    println!("{}", found.finding.observed);
    assert!(found.finding.remedies[0].text.contains("where id > $1 order by id limit 100"));
    db.reset_counters().await;
    let (_, plan) = db.audit(follow).await;
    assert!(of(&plan, "pg-deep-offset").is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn costly_count() {
    let Some(db) = store("costly_count", &[REVIEWS]).await else { return };
    async fn count(mut c: PgConnection) -> PgConnection {
        sqlx::query("select count(*) as \"count\" from review as r where r.rating >= $1").bind(0_i32).fetch_all(&mut c).await.unwrap();
        c
    }
    let (_, plan) = db.audit(count).await;
    let found = finding(&plan, "pg-costly-count", "public.review");
    println!("{}", found.finding.observed);
    let estimate =
        found.finding.remedies.iter().find(|r| r.text.starts_with("select c.reltuples")).expect("the planner's estimate is offered").text.clone();
    db.run(&sql(found)).await;
    let (rows,): (i64,) = sqlx::query_as(AssertSqlSafe(estimate.clone())).fetch_one(&mut db.connection().await).await.unwrap();
    assert_eq!(rows, 100_000);
    db.reset_counters().await;
    let (_, plan) = db
        .audit(move |mut c| {
            let text = estimate.clone();
            async move {
                for _ in 0..50 {
                    sqlx::query(AssertSqlSafe(text.clone())).fetch_all(&mut c).await.unwrap();
                }
                c
            }
        })
        .await;
    assert!(of(&plan, "pg-costly-count").is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn temp_spill() {
    let Some(db) = store("temp_spill", &[REVIEWS]).await else { return };
    async fn sort(mut c: PgConnection) -> PgConnection {
        sqlx::query("select id from review order by note offset $1").bind(99_990_i64).fetch_all(&mut c).await.unwrap();
        c
    }
    let (_, plan) = db.audit(sort).await;
    let found = finding(&plan, "pg-temp-spill", "work_mem");
    println!("{}; {}", found.finding.observed, sql(found));
    db.run(&sql(found)).await;
    db.reset_counters().await;
    let (_, plan) = db.audit(sort).await;
    let undo = found.finding.remedies.iter().find_map(|r| r.undo.clone().filter(|u| u.starts_with("alter role"))).expect("an undo");
    db.run(&undo).await;
    assert!(of(&plan, "pg-temp-spill").is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unstable_statement() {
    let Some(db) = store("unstable_statement", &[REVIEWS]).await else { return };
    async fn sleep(db: &Db, times: usize, every: usize, slow_s: f64) {
        let mut c = db.connection().await;
        for i in 0..times {
            let seconds = if i % every == every - 1 { slow_s } else { 0.001 };
            sqlx::query("select id, pg_sleep($2) from review where id = $1").bind(7_i64).bind(seconds).fetch_all(&mut c).await.unwrap();
        }
    }
    sleep(&db, 220, 50, 1.1).await;
    let (_, plan) = db.quiet_audit().await;
    let found = named(&plan, "pg-unstable-statement");
    println!("{}", found.finding.observed);
    db.run(&sql(found)).await;
    let undo = found.finding.remedies[0].undo.clone().expect("an undo");
    db.run(&undo).await;
    db.reset_counters().await;
    sleep(&db, 220, 50, 0.002).await;
    let (_, plan) = db.quiet_audit().await;
    assert!(of(&plan, "pg-unstable-statement").is_none());
    // One cold start is no habit.
    db.reset_counters().await;
    sleep(&db, 220, 200, 2.5).await;
    let (_, plan) = db.quiet_audit().await;
    assert!(of(&plan, "pg-unstable-statement").is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements_evicting() {
    let Some(db) = store("statements_evicting", &[REVIEWS]).await else { return };
    let mut c = db.connection().await;
    let (max,): (i32,) = sqlx::query_as("select current_setting('pg_stat_statements.max')::int").fetch_one(&mut c).await.unwrap();
    // Each number is another expression, hence another statement; ten evictions throw away half a table.
    let statements: Vec<String> =
        (0..max * 3 / 2).map(|n| format!("select 1{}", (0..14).map(|bit| if n >> bit & 1 == 1 { "+1" } else { "-1" }).collect::<String>())).collect();
    for part in statements.chunks(500) {
        c.execute(AssertSqlSafe(part.join(";"))).await.unwrap();
    }
    let (mut snapshot, plan) = db.quiet_audit().await;
    let (_, gap) = plan.unknown.iter().find(|(c, _)| c.id == "pg-statements-evicting").expect("young counters tell no rate");
    // Postgres 13 does not count it, and the check says so.
    if snapshot.pg().unwrap().server().unwrap().version_num < 140_000 {
        assert!(matches!(gap.cause, Cause::TooOld { .. }), "{gap:?}");
        return;
    }
    assert!(matches!(gap.cause, Cause::TooYoung { .. }), "{gap:?}");
    // Time cannot be waited for: the same evidence, counted for two hours.
    let taken_at = snapshot.meta.taken_at;
    let seen = snapshot.postgres.as_mut().unwrap().statements.as_mut().unwrap();
    seen.reset_at = Some(taken_at - time::Duration::hours(2));
    let plan = plan::build(&snapshot, &[], |_| true);
    let found = finding(&plan, "pg-statements-evicting", "pg_stat_statements.max");
    println!("{}", found.finding.observed);
    db.run(&sql(found)).await;
    db.run("alter system reset pg_stat_statements.max").await;
    db.reset_counters().await;
    let (snapshot, _) = db.quiet_audit().await;
    assert_eq!(checks::find("pg-statements-evicting").unwrap().run(&snapshot), Outcome::Passed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn io_timing_off() {
    let Some(db) = store("io_timing_off", &[]).await else { return };
    let reload = std::time::Duration::from_millis(300);
    db.run("alter system set track_io_timing = off;\nselect pg_reload_conf()").await;
    tokio::time::sleep(reload).await;
    let (_, plan) = db.quiet_audit().await;
    let found = finding(&plan, "pg-io-timing-off", "track_io_timing");
    assert_eq!(found.finding.severity, Severity::Info);
    db.run(&sql(found)).await;
    tokio::time::sleep(reload).await;
    let (_, plan) = db.quiet_audit().await;
    assert!(of(&plan, "pg-io-timing-off").is_none());
    db.run("alter system reset track_io_timing;\nselect pg_reload_conf()").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn search_without_trigram() {
    let Some(db) = store("search_without_trigram", &[CUSTOMERS]).await else { return };
    async fn search(mut c: PgConnection) -> PgConnection {
        let text = r#"select "c0"."id" from "customer" as "c0" where ("c0"."first_name" ilike $1 or "c0"."email" ilike $2) and "c0"."deleted_at" is null order by "c0"."id" limit $3"#;
        sqlx::query(text).bind("%zeppelin%").bind("%zeppelin%").bind(20_i64).fetch_all(&mut c).await.unwrap();
        c
    }
    let (before, plan) = db.audit(search).await;
    let found = finding(&plan, "pg-search-without-trigram", "public.customer");
    println!("{}", found.finding.observed);
    assert_eq!(found.finding.remedies[0].kind, RemedyKind::Code, "a search provider comes first");
    db.run(&sql(found)).await;
    db.reset_counters().await;
    let (after, plan) = db.audit(search).await;
    assert!(of(&plan, "pg-search-without-trigram").is_none());
    let mean = |s: &medusa_advisor::evidence::Snapshot| {
        let rows = &s.postgres.as_ref().unwrap().statements.as_ref().unwrap().rows.rows;
        rows.iter().find(|r| r.text.contains("first_name\" ilike")).unwrap().counters.total.mean_ms()
    };
    assert!(mean(&after) < mean(&before) / 5.0, "{} ms, then {} ms", mean(&before), mean(&after));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pending_orders_index() {
    let Some(db) = store("pending_orders_index", &[ORDERS]).await else { return };
    // As node-postgres sends it, the parameter takes the column's type and is known when the statement is planned; a text cast to the
    // enumeration is not, and then no partial index can serve.
    async fn open_orders(mut c: PgConnection) -> PgConnection {
        let text = r#"select "o0"."id", "o0"."status"::text from "order" as "o0" where "o0"."deleted_at" is null and "o0"."status" in ('pending') order by "o0"."created_at" desc limit 20"#;
        sqlx::raw_sql(text).fetch_all(&mut c).await.unwrap();
        c
    }
    // Orders that their number leads to are found already.
    async fn by_number(mut c: PgConnection) -> PgConnection {
        let text =
            r#"select "o0"."id" from "order" as "o0" where "o0"."id" = any($1) and "o0"."status" in ('pending') and "o0"."deleted_at" is null"#;
        sqlx::query(text).bind(vec![format!("order_{:026}", 50)]).fetch_all(&mut c).await.unwrap();
        c
    }
    db.reset_counters().await;
    let (_, plan) = db.audit(by_number).await;
    assert!(of(&plan, "pg-pending-orders-index").is_none());
    db.reset_counters().await;
    let (snapshot, plan) = db.audit(open_orders).await;
    let counts = snapshot.postgres.as_ref().unwrap().row_counts.as_ref().unwrap();
    let pending = counts.iter().find(|c| c.what == "status pending").expect("the frequencies of the enumeration are read");
    // 2,000 of 100,000; the counter of live rows may have counted a load twice.
    assert!((1_000..6_000).contains(&pending.rows), "{pending:?}");
    let found = finding(&plan, "pg-pending-orders-index", "public.order(status)");
    println!("{}", found.finding.observed);
    db.run(&sql(found)).await;
    db.reset_counters().await;
    let (_, plan) = db.audit(open_orders).await;
    assert!(of(&plan, "pg-pending-orders-index").is_none());
    let (scans,): (i64,) = sqlx::query_as("select idx_scan from pg_stat_user_indexes where relname = 'order' and indexrelname like 'idx_order%'")
        .fetch_one(&mut db.connection().await)
        .await
        .unwrap();
    assert!(scans > 0, "the statement uses the index");
}

/// A store whose orders are all open is served by nothing of the kind.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_that_are_never_completed_need_no_index_of_open_ones() {
    let Some(db) = store("pending_orders_all", &[ORDERS]).await else { return };
    db.run("update \"order\" set status = 'pending';\nvacuum analyze \"order\"").await;
    db.reset_counters().await;
    async fn open_orders(mut c: PgConnection) -> PgConnection {
        let text = r#"select "o0"."id" from "order" as "o0" where "o0"."deleted_at" is null and "o0"."status" in ($1::order_status_enum) order by "o0"."created_at" desc limit $2"#;
        sqlx::query(text).bind("pending").bind(20_i64).fetch_all(&mut c).await.unwrap();
        c
    }
    let (snapshot, _) = db.audit(open_orders).await;
    assert_eq!(checks::find("pg-pending-orders-index").unwrap().run(&snapshot), Outcome::Passed);
}
