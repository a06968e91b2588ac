//! The checks of settings, timeouts, checkpoints and pools against a real server: create the fault, see it named, run the printed remedy
//! verbatim, see it gone.

use std::time::Duration;

use crate::live::{Db, finding, is_found, server};
use medusa_advisor::audit;
use medusa_advisor::collect::{collect, run::Run};
use medusa_advisor::connect::profile::{Limits, Secrets, parse_memory, parse_postgres};
use medusa_advisor::evidence::{Snapshot, Targets};
use medusa_advisor::finding::Severity;
use medusa_advisor::plan::{self, Plan, Ranked};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row};
use tokio::sync::{Mutex, MutexGuard};

/// Ids of the checks of this file.
const OWN: [&str; 13] = [
    "pg-cache-hit-low",
    "pg-connections-high",
    "pg-forced-checkpoints",
    "pg-no-statement-timeout",
    "pg-pool-oversized",
    "pg-settings-autovacuum",
    "pg-settings-effective-cache-size",
    "pg-settings-jit",
    "pg-settings-random-page-cost",
    "pg-settings-shared-buffers",
    "pg-settings-wal",
    "pg-settings-work-mem",
    "pg-version-eol",
];

/// Settings and connections are the whole server's: one test at a time.
static TURN: Mutex<()> = Mutex::const_new(());

async fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().await
}

const IMAGES: &str = r#"
create table image (id text primary key, url text not null, product_id text not null, rank int not null default 0);
insert into image select 'img_' || lpad(i::text, 26, '0'), 'https://cdn.example.com/' || md5(i::text) || '.jpg', 'prod_' || lpad((1 + i % 20000)::text, 26, '0'), i % 3 from generate_series(1, 100000) i;
vacuum analyze image
"#;

/// A role of the application, with its own address of the database.
struct App {
    role: String,
    url: String,
}

impl App {
    async fn new(db: &Db) -> Self {
        let role = format!("{}_app", db.name);
        let mut c = db.connection().await;
        for sql in [
            format!("drop role if exists {role}"),
            format!("create role {role} login password 'only-here'"),
            format!("grant select on all tables in schema public to {role}"),
        ] {
            c.execute(AssertSqlSafe(sql)).await.unwrap();
        }
        let mut url = url::Url::parse(&db.url).unwrap();
        url.set_username(&role).unwrap();
        url.set_password(Some("only-here")).unwrap();
        Self { role, url: url.to_string() }
    }

    async fn connection(&self) -> PgConnection {
        PgConnection::connect(&self.url).await.unwrap()
    }

    /// Audits while the application sends `sql` over and over.
    async fn audit(&self, db: &Db, sql: &'static str, memory: Option<&str>) -> (Snapshot, Plan) {
        let mut c = self.connection().await;
        let traffic = tokio::spawn(async move {
            loop {
                sqlx::query(sql).fetch_all(&mut c).await.unwrap();
            }
        });
        let snapshot = audit_with(&db.url, memory).await;
        traffic.abort();
        let plan = plan::build(&snapshot, &[], |_| true);
        (snapshot, plan)
    }
}

/// Audits with the memory of the machine told.
async fn audit_with(url: &str, memory: Option<&str>) -> Snapshot {
    let (mut postgres, password) = parse_postgres(url).unwrap();
    postgres.memory_bytes = memory.map(|m| parse_memory(m).unwrap());
    let limits = Limits { window_s: crate::live::WINDOW_S, ..Limits::default() };
    let profile = crate::live::profile(postgres, limits);
    let run = Run::new(Duration::from_secs(u64::from(crate::live::WINDOW_S)), |_| {});
    let secrets = Secrets { postgres_password: password, ..Secrets::default() };
    collect(&audit::request(profile, secrets, Targets::default()), &run).await
}

/// The server as if it ran for two days: caches are not judged within an hour of a start.
fn aged(mut snapshot: Snapshot) -> (Snapshot, Plan) {
    let server = snapshot.postgres.as_mut().unwrap().server.as_mut().unwrap();
    let then = Some(server.now - time::Duration::days(2));
    (server.started_at, server.stats_reset_at) = (then, then);
    let plan = plan::build(&snapshot, &[], |_| true);
    (snapshot, plan)
}

fn remedy(ranked: &Ranked, at: usize) -> &str {
    &ranked.finding.remedies[at].text
}

async fn one(url: &str, sql: &str) -> String {
    let mut c = PgConnection::connect(url).await.unwrap();
    c.fetch_one(AssertSqlSafe(sql.to_owned())).await.unwrap().get(0)
}

async fn settle() {
    tokio::time::sleep(Duration::from_millis(300)).await;
}

/// Few comparisons, wide rows: quick, and 20,000 of them spill some 13 MB.
const SORT: &str = "select sum(length(wide)) from (select rank, repeat(url, 12) as wide from (select * from image limit 20000) as few \
                    order by rank offset 0) as sorted";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_mem() {
    let Some(server) = server() else { return };
    let _turn = turn().await;
    let db = Db::new(&server, "work_mem").await;
    db.run(IMAGES).await;
    let app = App::new(&db).await;
    db.reset_counters().await;
    let (_, plan) = app.audit(&db, SORT, Some("128GiB")).await;
    let found = finding(&plan, "pg-settings-work-mem", "work_mem");
    println!("{} [{}] {:?}", found.finding.observed, found.finding.step, found.finding.severity);
    assert!(remedy(found, 0).starts_with(&format!("alter role {}", app.role)), "{}", remedy(found, 0));
    db.run(remedy(found, 0)).await;
    db.reset_counters().await;
    let (_, plan) = app.audit(&db, SORT, Some("128GiB")).await;
    assert!(!is_found(&plan, "pg-settings-work-mem", "work_mem"));
    assert!(plan.passed.iter().any(|c| c.id == "pg-settings-work-mem"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jit() {
    let Some(server) = server() else { return };
    let _turn = turn().await;
    if one(&server, "select pg_jit_available()::text").await != "true" {
        println!("skipped: this server cannot compile");
        return;
    }
    let db = Db::new(&server, "jit").await;
    db.run(IMAGES).await;
    let app = App::new(&db).await;
    for name in ["jit_above_cost", "jit_inline_above_cost", "jit_optimize_above_cost"] {
        db.run(&format!("alter role {} set {name} = 0", app.role)).await;
    }
    db.reset_counters().await;
    let sql = "select product_id, count(*) from image where rank = 1 group by product_id order by 2 desc limit 10";
    let (_, plan) = app.audit(&db, sql, None).await;
    let found = finding(&plan, "pg-settings-jit", "jit");
    println!("{}", found.finding.observed);
    assert!(found.finding.severity >= Severity::Medium);
    db.run(remedy(found, 0)).await;
    db.reset_counters().await;
    let (_, plan) = app.audit(&db, sql, None).await;
    assert!(!is_found(&plan, "pg-settings-jit", "jit"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_page_cost() {
    let Some(server) = server() else { return };
    let _turn = turn().await;
    let db = Db::new(&server, "random_page_cost").await;
    db.run(
        "create table address (id bigint primary key, region text not null, street text not null);
insert into address select i, 'r' || (i * 7919) % 1000, repeat('word ', 20) from generate_series(1, 200000) i;
create index address_region on address (region);
vacuum analyze address",
    )
    .await;
    let app = App::new(&db).await;
    db.run(&format!("alter role {} set random_page_cost = 200", app.role)).await;
    db.reset_counters().await;
    let sql = "select * from address where region = 'r7'";
    let (_, plan) = app.audit(&db, sql, None).await;
    let found = finding(&plan, "pg-settings-random-page-cost", "random_page_cost");
    println!("{}", found.finding.observed);
    assert!(!plan.findings.iter().any(|r| r.check.id == "pg-missing-index"), "the index is there");
    // A role that sees no statistics does not know whether the index would find few rows.
    db.run(
        "drop role if exists live_random_page_monitor;\ncreate role live_random_page_monitor login password 'roles';
grant pg_monitor to live_random_page_monitor",
    )
    .await;
    let mut url = url::Url::parse(&db.url).unwrap();
    url.set_username("live_random_page_monitor").unwrap();
    url.set_password(Some("roles")).unwrap();
    let blind = plan::build(&crate::live::collect_from(url.as_str(), 1).await, &[], |_| true);
    let gap = blind.unknown.iter().find(|(c, _)| c.id == "pg-settings-random-page-cost").map(|(_, gap)| gap);
    assert!(gap.is_some_and(|g| g.cause.remedy().is_some_and(|r| r.contains("advisor.column_stats()"))), "{gap:?}");
    db.run("drop role live_random_page_monitor").await;
    db.run(remedy(found, 0)).await;
    db.reset_counters().await;
    let (_, plan) = app.audit(&db, sql, None).await;
    assert!(!is_found(&plan, "pg-settings-random-page-cost", "random_page_cost"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wal_and_forced_checkpoints() {
    let Some(server) = server() else { return };
    let _turn = turn().await;
    let db = Db::new(&server, "wal").await;
    db.run("create table log (line text);\nalter system set max_wal_size = '32MB';\nselect pg_reload_conf()").await;
    settle().await;
    async fn write(mut c: PgConnection) -> PgConnection {
        c.execute("insert into log select repeat(md5(i::text), 10) from generate_series(1, 100000) i").await.unwrap();
        c.execute("truncate log").await.unwrap();
        c
    }
    let (snapshot, plan) = db.audit(write).await;
    println!("{:?}", snapshot.postgres.as_ref().unwrap().checkpoints);
    let found = finding(&plan, "pg-settings-wal", "max_wal_size");
    println!("{} [{}]", found.finding.observed, found.finding.step);
    let forced = finding(&plan, "pg-forced-checkpoints", "checkpoints");
    println!("{}", forced.finding.observed);
    assert_eq!(forced.symptom_of.as_deref(), Some("pg-settings-wal:max_wal_size"));
    db.run(remedy(found, 0)).await;
    settle().await;
    let (_, plan) = db.audit(write).await;
    db.run("alter system reset max_wal_size;\nselect pg_reload_conf()").await;
    assert!(!is_found(&plan, "pg-settings-wal", "max_wal_size"));
    assert!(!is_found(&plan, "pg-forced-checkpoints", "checkpoints"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn autovacuum() {
    let Some(server) = server() else { return };
    let _turn = turn().await;
    let db = Db::new(&server, "autovacuum").await;
    db.run(IMAGES).await;
    db.run("alter system set autovacuum = off;\nselect pg_reload_conf();\ndelete from image where rank > 0").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (_, plan) = db.quiet_audit().await;
    let found = finding(&plan, "pg-settings-autovacuum", "autovacuum");
    println!("{}", found.finding.observed);
    assert!(found.finding.severity >= Severity::Medium);
    db.run(remedy(found, 0)).await;
    settle().await;
    let (_, plan) = db.quiet_audit().await;
    db.run("alter system reset autovacuum;\nselect pg_reload_conf()").await;
    assert!(!is_found(&plan, "pg-settings-autovacuum", "autovacuum"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn caches() {
    let Some(server) = server() else { return };
    let _turn = turn().await;
    let db = Db::new(&server, "caches").await;
    db.run(
        "create table description (id bigint primary key, body text not null);
insert into description select i, repeat(md5(i::text), 20) from generate_series(1, 300000) i;
vacuum analyze description;
alter system set effective_cache_size = '64MB';
select pg_reload_conf()",
    )
    .await;
    settle().await;
    let app = App::new(&db).await;
    let sql = "select count(*) from description where body like '%zzz%'";
    let (snapshot, _) = app.audit(&db, sql, Some("16GiB")).await;
    let (_, plan) = aged(snapshot.clone());
    let buffers = finding(&plan, "pg-settings-shared-buffers", "shared_buffers");
    println!("{}", buffers.finding.observed);
    let planner = finding(&plan, "pg-settings-effective-cache-size", "effective_cache_size");
    println!("{}", planner.finding.observed);
    let hit = finding(&plan, "pg-cache-hit-low", "cache");
    println!("{}", hit.finding.observed);
    assert_eq!(hit.finding.severity, Severity::Info);
    // Without the memory, both ask for it.
    let mut untold = snapshot;
    untold.postgres.as_mut().unwrap().server.as_mut().unwrap().memory_bytes = None;
    let (_, asked) = aged(untold);
    for id in ["pg-settings-shared-buffers", "pg-settings-effective-cache-size"] {
        let gap = asked.unknown.iter().find(|(c, _)| c.id == id).map(|(_, gap)| gap);
        let is_asked = gap.is_some_and(|g| g.cause.remedy().is_some_and(|r| r.contains("--postgres-memory")));
        assert!(is_asked || id.ends_with("cache-size"), "{id}: {gap:?}");
    }
    db.run(remedy(planner, 0)).await;
    db.run(remedy(buffers, 0)).await;
    settle().await;
    // The server is not restarted by a test: it says that the new value waits for it.
    assert_eq!(one(&db.url, "select pending_restart::text from pg_settings where name = 'shared_buffers'").await, "true");
    let (snapshot, _) = app.audit(&db, sql, Some("16GiB")).await;
    let (_, plan) = aged(snapshot);
    db.run("alter system reset shared_buffers;\nalter system reset effective_cache_size;\nselect pg_reload_conf()").await;
    assert!(!is_found(&plan, "pg-settings-effective-cache-size", "effective_cache_size"));
    assert_eq!(finding(&plan, "pg-settings-shared-buffers", "shared_buffers").finding.step, "Restart Postgres");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_statement_timeout() {
    let Some(server) = server() else { return };
    let _turn = turn().await;
    let db = Db::new(&server, "no_statement_timeout").await;
    db.run(IMAGES).await;
    let app = App::new(&db).await;
    let held = app.connection().await;
    let (_, plan) = db.quiet_audit().await;
    let found = finding(&plan, "pg-no-statement-timeout", &app.role);
    println!("{}", found.finding.observed);
    assert_eq!(found.finding.severity, Severity::Info, "a small store on default settings gets a note");
    // A role that may only connect sees the sessions of others, their roles and what those roles bring.
    let bare = format!("{}_bare", db.name);
    db.run(&format!("drop role if exists {bare};\ncreate role {bare} login password 'only-here';\nalter role {bare} set statement_timeout = '5s'"))
        .await;
    let mut url = url::Url::parse(&db.url).unwrap();
    url.set_username(&bare).unwrap();
    url.set_password(Some("only-here")).unwrap();
    let snapshot = crate::live::collect_from(url.as_str(), crate::live::WINDOW_S).await;
    let restricted = plan::build(&snapshot, &[], |_| true);
    assert!(is_found(&restricted, "pg-no-statement-timeout", &app.role), "{:?}", snapshot.postgres.as_ref().unwrap().roles);
    assert!(snapshot.postgres.as_ref().unwrap().checkpoints.is_ok());
    assert!(snapshot.postgres.as_ref().unwrap().activity.as_ref().unwrap().hidden > 0);
    db.run(remedy(found, 0)).await;
    let (_, plan) = db.quiet_audit().await;
    assert!(!is_found(&plan, "pg-no-statement-timeout", &app.role));
    let mut c = app.connection().await;
    let (timeout,): (String,) = sqlx::query_as("select current_setting('statement_timeout')").fetch_one(&mut c).await.unwrap();
    assert_eq!(timeout, "2min");
    // The bare role brings a timeout of its own, which must not pass for the server's.
    let snapshot = crate::live::collect_from(url.as_str(), crate::live::WINDOW_S).await;
    let settings = snapshot.postgres.as_ref().unwrap().settings.as_ref().unwrap();
    let own = settings.iter().find(|s| s.name == "statement_timeout").unwrap();
    assert_eq!((own.value.as_str(), own.source.as_str()), ("5000", "user"));
    drop(held);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connection_limit_of_a_role() {
    let Some(server) = server() else { return };
    let _turn = turn().await;
    let db = Db::new(&server, "connection_limit").await;
    let app = App::new(&db).await;
    db.run(&format!("alter role {} connection limit 5", app.role)).await;
    let mut held = Vec::new();
    for _ in 0..5 {
        held.push(app.connection().await);
    }
    held[0].execute("begin").await.unwrap();
    let (_, plan) = db.quiet_audit().await;
    let found = finding(&plan, "pg-connections-high", &app.role);
    println!("{}", found.finding.observed);
    assert_eq!(found.finding.severity, Severity::Critical);
    assert!(found.finding.observed.contains("open transaction"), "one of five waits in a transaction");
    let raise = found.finding.remedies.iter().find(|r| r.text.contains("connection limit 10")).expect("a remedy that raises the limit");
    db.run(&raise.text).await;
    let (_, plan) = db.quiet_audit().await;
    assert!(!is_found(&plan, "pg-connections-high", &app.role));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pool_oversized() {
    let Some(server) = server() else { return };
    let _turn = turn().await;
    if one(&server, "select current_setting('max_connections')").await.parse::<u32>().unwrap() < 150 {
        println!("skipped: the server takes too few connections for a hundred idle ones");
        return;
    }
    let db = Db::new(&server, "pool_oversized").await;
    let app = App::new(&db).await;
    let mut held = Vec::new();
    for _ in 0..101 {
        held.push(app.connection().await);
    }
    let (_, plan) = db.quiet_audit().await;
    let found = finding(&plan, "pg-pool-oversized", "idle connections");
    println!("{}", found.finding.observed);
    // The remedy is a configuration: the pools bounded to five for each of ten instances.
    held.truncate(50);
    settle().await;
    let (_, plan) = db.quiet_audit().await;
    assert!(!is_found(&plan, "pg-pool-oversized", "idle connections"));
}

/// A small store on the settings Debian ships, in use: notes at most.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_small_store_on_shipped_settings_is_quiet() {
    let Some(server) = server() else { return };
    let _turn = turn().await;
    let db = Db::new(&server, "shipped").await;
    db.run(IMAGES).await;
    let app = App::new(&db).await;
    db.reset_counters().await;
    let (snapshot, plan) = app.audit(&db, "select * from image where id = 'img_00000000000000000000000007'", None).await;
    for plan in [plan, aged(snapshot).1] {
        let loud: Vec<String> = plan
            .findings
            .iter()
            // 13 and 14 have no fixes any more, and are told so.
            .filter(|r| OWN.contains(&r.check.id) && r.check.id != "pg-version-eol" && r.finding.severity > Severity::Info)
            .map(|r| format!("{}: {}", r.key, r.finding.observed))
            .collect();
        assert!(loud.is_empty(), "{}", loud.join("\n"));
        for (check, gap) in plan.unknown.iter().filter(|(c, _)| OWN.contains(&c.id)) {
            println!("{}: {}", check.id, gap.detail);
        }
    }
}
