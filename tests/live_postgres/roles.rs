//! One store seen by three roles at once, straight and through PgBouncer: what a role may not see is not known, never fine.

use crate::live::{Db, collect_from, server};
use medusa_advisor::evidence::{Cause, Snapshot};
use medusa_advisor::finding::Severity;
use medusa_advisor::plan::{self, Plan};
use sqlx::PgConnection;

/// A store with faults that a superuser's audit names, owned by a role of its own, as stores are.
const STORE: &str = r#"create table mikro_orm_migrations (id serial primary key, name varchar(255), executed_at timestamptz default current_timestamp);
create table link_module_migrations (id serial primary key, table_name varchar(255) not null unique);
create table workflow_execution (id text primary key, state text);
create table order_summary (id text primary key);
create table product (id text primary key, title text not null, status text not null default 'published', thumbnail text, created_at timestamptz not null default now(), deleted_at timestamptz);
create table image (id text primary key, url text not null, product_id text not null references product (id) on delete cascade, rank int not null default 0, created_at timestamptz not null default now(), deleted_at timestamptz);
create table review (id serial primary key, product_id text not null, body text not null);
insert into product (id, title) select 'prod_' || lpad(i::text, 26, '0'), 'Product ' || i from generate_series(1, 20000) i;
insert into image (id, url, product_id, rank) select 'img_' || lpad(i::text, 26, '0'), 'https://cdn.example.com/' || i || '.jpg', 'prod_' || lpad((1 + i % 20000)::text, 26, '0'), i % 3 from generate_series(1, 60000) i;
insert into review (product_id, body) select 'prod_' || lpad((1 + i % 20000)::text, 26, '0'), repeat('word ', 30) from generate_series(1, 60000) i;
create index review_product_a on review (product_id);
create index review_product_b on review (product_id);
vacuum analyze product;
vacuum analyze image;
alter table review set (autovacuum_enabled = off);
analyze review;
delete from review where id % 2 = 0"#;

async fn look_up_images(mut c: PgConnection) -> PgConnection {
    let text = r#"select "i0".* from "image" as "i0" where "i0"."product_id" = $1 and "i0"."deleted_at" is null"#;
    for i in 1..=20 {
        sqlx::query(text).bind(format!("prod_{i:026}")).fetch_all(&mut c).await.unwrap();
    }
    c
}

/// Signed in as this role, at the same server and at the pooler before it.
fn places(db: &Db, role: Option<&str>) -> Vec<(String, String)> {
    let mut straight = url::Url::parse(&db.url).unwrap();
    if let Some(role) = role {
        straight.set_username(role).unwrap();
        straight.set_password(Some("roles")).unwrap();
    }
    let name = role.unwrap_or("superuser");
    let mut places = vec![(format!("{name} straight"), straight.to_string())];
    match std::env::var("ADVISOR_TEST_PGBOUNCER") {
        Ok(pool) => {
            let pool = url::Url::parse(&pool).unwrap();
            straight.set_port(pool.port()).unwrap();
            places.push((format!("{name} pooled"), straight.to_string()));
        }
        Err(_) => println!("skipped: ADVISOR_TEST_PGBOUNCER names no pooler, so {name} was tried straight only"),
    }
    places
}

/// What a check said, in one word.
fn verdict(plan: &Plan, id: &str) -> &'static str {
    if plan.findings.iter().any(|r| r.check.id == id && r.finding.severity > Severity::Info) {
        "found"
    } else if plan.findings.iter().any(|r| r.check.id == id) {
        "noted"
    } else if plan.passed.iter().any(|c| c.id == id) {
        "passed"
    } else if plan.unknown.iter().any(|(c, _)| c.id == id) {
        "unknown"
    } else {
        "not applicable"
    }
}

/// Whatever the role, a section is read or says what would open it.
fn assert_gaps_have_reasons(who: &str, snapshot: &Snapshot) {
    let pg = snapshot.pg().unwrap_or_else(|gap| panic!("{who}: {}", gap.detail));
    for gap in pg.gaps() {
        println!("{who}: {} is not known: {}", gap.section.name(), gap.detail);
        assert!(matches!(gap.cause, Cause::Denied { .. } | Cause::Absent { .. } | Cause::TooFew { .. } | Cause::TimedOut { .. }), "{who}: {gap:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_role_may_not_see_is_unknown_and_never_passed() {
    let Some(server) = server() else { return };
    let db = Db::new(&server, "roles").await;
    db.run(STORE).await;
    db.run("drop role if exists live_roles_monitor;\ndrop role if exists live_roles_bare;\ncreate role live_roles_monitor login password 'roles'")
        .await;
    db.run("grant pg_monitor to live_roles_monitor;\ncreate role live_roles_bare login password 'roles'").await;
    let mut connection = db.connection().await;
    let traffic = tokio::spawn(async move {
        loop {
            connection = look_up_images(connection).await;
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    });
    let everybody = [None, Some("live_roles_monitor"), Some("live_roles_bare")].into_iter().flat_map(|role| places(&db, role));
    // All at once: they see the same window.
    let audits: Vec<_> = everybody.map(|(who, url)| tokio::spawn(async move { (who, collect_from(&url, crate::live::WINDOW_S).await) })).collect();
    let mut seen = Vec::new();
    for audit in audits {
        let (who, snapshot) = audit.await.unwrap();
        assert_gaps_have_reasons(&who, &snapshot);
        let plan = plan::build(&snapshot, &[], |check| check.layer == medusa_advisor::evidence::Layer::Postgres);
        seen.push((who, plan));
    }
    traffic.abort();
    let (_, whole) = &seen[0];
    let found: Vec<&str> =
        ["pg-missing-index", "pg-duplicate-index", "pg-vacuum-lag"].into_iter().filter(|id| verdict(whole, id) == "found").collect();
    assert_eq!(found.len(), 3, "the superuser sees the faults, but only {found:?}");
    let mut wrong = Vec::new();
    for check in medusa_advisor::checks::registry::ALL.iter().filter(|c| verdict(whole, c.id) == "found") {
        for (who, plan) in &seen[1..] {
            let said = verdict(plan, check.id);
            println!("{}: {who}: {said}", check.id);
            if !matches!(said, "found" | "unknown") {
                wrong.push(format!("{} is found by the superuser and {said} for {who}", check.id));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // Indexes and their sizes are everybody's to see.
    for (who, plan) in &seen {
        assert_eq!(verdict(plan, "pg-duplicate-index"), "found", "{who}");
    }
    db.run("drop role live_roles_monitor;\ndrop role live_roles_bare").await;
}

/// With row level security `pg_stats` shows nothing of a table that was analyzed, and the planner would plan for no rows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_level_security_is_no_lack_of_statistics() {
    let Some(server) = server() else { return };
    let db = Db::new(&server, "roles_rls").await;
    db.run(STORE).await;
    let _ = sqlx::raw_sql("create extension if not exists hypopg").execute(&mut db.connection().await).await;
    db.run(
        "drop role if exists live_roles_rls;\ncreate role live_roles_rls login password 'roles';\ngrant pg_monitor to live_roles_rls;
grant select on all tables in schema public to live_roles_rls;\nalter table image enable row level security",
    )
    .await;
    let mut connection = db.connection().await;
    db.reset_counters().await;
    for _ in 0..20 {
        connection = look_up_images(connection).await;
    }
    let url = places(&db, Some("live_roles_rls")).swap_remove(0).1;
    let audit = || async {
        let snapshot = collect_from(&url, 1).await;
        let plan = plan::build(&snapshot, &[], |check| check.layer == medusa_advisor::evidence::Layer::Postgres);
        (snapshot, plan)
    };
    let of_image = |snapshot: &Snapshot| snapshot.pg().unwrap().column_stats().unwrap().rows.iter().filter(|s| s.table == "image").count();
    let is_stale = |plan: &Plan| plan.findings.iter().any(|r| r.check.id == "pg-stale-statistics" && r.finding.observed.contains("never analyzed"));
    let (snapshot, plan) = audit().await;
    assert!(!snapshot.pg().unwrap().column_stats().unwrap().is_whole() && of_image(&snapshot) == 0);
    assert!(!is_stale(&plan), "{:?}", plan.findings.iter().map(|r| &r.finding.observed).collect::<Vec<_>>());
    assert_eq!(verdict(&plan, "pg-missing-index"), "found", "{:?}", snapshot.pg().unwrap().proofs);
    db.run(&medusa_advisor::connect::postgres::column_stats_grant("live_roles_rls")).await;
    let (snapshot, plan) = audit().await;
    assert!(snapshot.pg().unwrap().column_stats().unwrap().is_whole() && of_image(&snapshot) > 0);
    assert!(!is_stale(&plan), "{:?}", plan.findings.iter().map(|r| &r.finding.observed).collect::<Vec<_>>());
    // The function shows what its owner sees.
    db.run("grant usage, create on schema advisor to live_roles_rls;\nalter function advisor.column_stats() owner to live_roles_rls").await;
    let (snapshot, plan) = audit().await;
    assert!(!snapshot.pg().unwrap().column_stats().unwrap().is_whole() && of_image(&snapshot) == 0);
    assert!(!is_stale(&plan), "{:?}", plan.findings.iter().map(|r| &r.finding.observed).collect::<Vec<_>>());
    db.run("drop owned by live_roles_rls;\ndrop role live_roles_rls").await;
}
