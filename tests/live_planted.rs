//! One store with every trouble that the audit knows how to find in a Postgres, and as many things that only look like trouble:
//! `planted/faults.csv` and `planted/traps.csv` list them. All faults are named, nothing else is, and the costliest stands first.
//!
//! `ADVISOR_PLANTED_KEEP=1` leaves the database for other tools: docs/planted-store.md says how.

#[path = "common/live.rs"]
mod live;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use live::{Db, collect_from, server};
use medusa_advisor::finding::Severity;
use medusa_advisor::plan::{self, Plan};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

const STORE: &str = include_str!("planted/store.sql");
const FAULTS: &str = include_str!("planted/faults.csv");
const TRAPS: &str = include_str!("planted/traps.csv");
/// Length of the audit's window, seconds: long enough for a hundred lists and a thousand lookups.
const WINDOW_S: u32 = 20;
/// The checks ask for a transaction idle for a minute.
const HELD_FOR: Duration = Duration::from_secs(66);

/// A parameter of a statement, from the turn's number.
type Bind = fn(u64) -> Value;

enum Value {
    Text(String),
    Int(i64),
}

fn id(prefix: &str, n: u64) -> Value {
    Value::Text(format!("{prefix}_SC{n:024}"))
}

/// A statement sent over and over. It rests `rest` times as long as it ran, so that its share of the database time is 1 ÷ (1 + rest) of
/// what one busy connection has, on any machine.
struct Stream {
    text: &'static str,
    binds: &'static [Bind],
    rest: f64,
}

const STREAMS: &[Stream] = &[
    // The costliest by far.
    Stream {
        text: r#"select "i0".* from "image" as "i0" where "i0"."product_id" = $1 and "i0"."deleted_at" is null order by "i0"."rank""#,
        binds: &[|n| id("prod", 1 + n % 4000)],
        rest: 0.0,
    },
    Stream {
        text: r#"select "c0".* from "cart_line_item" as "c0" where "c0"."cart_id" = $1 and "c0"."deleted_at" is null"#,
        binds: &[|n| id("cart", 1 + n % 100_000)],
        rest: 5.0,
    },
    Stream { text: "select r.* from review r where r.product_id = $1 and r.deleted_at is null", binds: &[|n| id("prod", 1 + n % 4000)], rest: 5.0 },
    Stream {
        text: "select points from loyalty_event where customer_id = $1 and kind = $2 and created_at > now() - interval '400 days'",
        binds: &[|n| id("cus", 1 + n % 50), |n| Value::Text(format!("kind_{}", n % 40))],
        rest: 5.0,
    },
    Stream { text: "select id from newsletter where lower(email) = $1", binds: &[|n| Value::Text(format!("reader{n}@example.com"))], rest: 5.0 },
    Stream { text: "select id, tracking from shipment_event order by seen_at desc limit $1", binds: &[|_| Value::Int(20)], rest: 5.0 },
    Stream {
        text: r#"select "o0"."id", "o0"."display_id" from "order" as "o0" where "o0"."deleted_at" is null order by "o0"."created_at" desc limit $1"#,
        binds: &[|_| Value::Int(20)],
        rest: 5.0,
    },
    Stream {
        text: "select r.id from review r where r.body ilike $1 and r.deleted_at is null",
        binds: &[|n| Value::Text(format!("%bad {} value%", n % 10))],
        rest: 2.0,
    },
    Stream { text: "select c.id from customer c where c.email = $1", binds: &[|n| Value::Text(format!("nobody{n}@example.com"))], rest: 5.0 },
    Stream {
        text: "select p.* from product p where p.status = $1 limit $2",
        binds: &[|_| Value::Text("published".into()), |_| Value::Int(3_000)],
        rest: 0.3,
    },
    Stream {
        text: r#"select "o0"."id" from "order" as "o0" where "o0"."deleted_at" is null order by "o0"."id" limit $1 offset $2"#,
        binds: &[|_| Value::Int(20), |n| Value::Int(50_000 + (n % 9) as i64)],
        rest: 1.0,
    },
    Stream {
        text: r#"select count(*) from "order" as "o0" where "o0"."deleted_at" is null and "o0"."email" <> $1"#,
        binds: &[|n| Value::Text(format!("nobody{n}@example.com"))],
        rest: 1.0,
    },
    Stream {
        text: "select f.title, f.body from feed_item f where f.id > $1 order by f.body, f.title",
        binds: &[|n| Value::Int(188_000 + (n % 5) as i64)],
        rest: 3.0,
    },
    Stream {
        text: "select r.product_id, count(distinct r.customer_id), avg(r.rating) from review r group by r.product_id order by 2 desc, avg(length(r.body)) limit $1",
        binds: &[|_| Value::Int(10)],
        rest: 1.0,
    },
    // Traps: what a shop does all day.
    Stream {
        text: r#"select "p0".* from "product" as "p0" where "p0"."id" = $1 and "p0"."deleted_at" is null"#,
        binds: &[|n| id("prod", 1 + n % 4000)],
        rest: 8.0,
    },
    Stream { text: "select * from trap_partial where product_id = $1 and deleted_at is null", binds: &[|n| id("prod", 1 + n % 4000)], rest: 12.0 },
    Stream { text: r#"select * from "Trap Quoted" where "Product Id" = $1"#, binds: &[|n| id("prod", 1 + n % 4000)], rest: 12.0 },
    Stream { text: "select id from trap_index where lower(email) = $1", binds: &[|n| Value::Text(format!("p{n}@example.com"))], rest: 12.0 },
    Stream { text: "select id from trap_index where code like $1", binds: &[|n| Value::Text(format!("C{}%", 1000 + n % 9000))], rest: 20.0 },
    Stream { text: "select id from trap_search where title ilike $1", binds: &[|n| Value::Text(format!("%{}%", n % 10))], rest: 20.0 },
    Stream { text: "select label from trap_tiny where product_id = $1", binds: &[|n| id("prod", 1 + n % 20)], rest: 20.0 },
    Stream { text: "select count(*) from trap_recent where id > $1", binds: &[|n| Value::Int(n as i64 % 100)], rest: 20.0 },
    Stream {
        text: "select label from trap_parent order by id limit $1 offset $2",
        binds: &[|_| Value::Int(20), |n| Value::Int(n as i64 % 60)],
        rest: 20.0,
    },
    Stream { text: "select body from trap_child where id = $1", binds: &[|n| Value::Int(1 + n as i64 % 120_000)], rest: 12.0 },
];

/// Statements that more than one connection sends, and how many more do.
const BUSIER: &[(&str, usize)] = &[(r#"from "image""#, 7), ("from product p where", 1)];

async fn send(c: &mut PgConnection, stream: &Stream, turn: u64) {
    let mut query = sqlx::query(AssertSqlSafe(stream.text.to_owned()));
    for bind in stream.binds {
        query = match bind(turn) {
            Value::Text(t) => query.bind(t),
            Value::Int(i) => query.bind(i),
        };
    }
    query.execute(c).await.unwrap_or_else(|e| panic!("{}: {e}", stream.text));
}

async fn traffic(url: String, stream: &'static Stream) {
    let mut c = PgConnection::connect(&url).await.unwrap();
    for turn in 0.. {
        let start = Instant::now();
        send(&mut c, stream, turn).await;
        tokio::time::sleep(start.elapsed().mul_f64(stream.rest)).await;
    }
}

/// A list of brands, then each brand's story by itself.
async fn one_by_one(url: String) {
    let mut c = PgConnection::connect(&url).await.unwrap();
    loop {
        let rows: Vec<(i64, String)> = sqlx::query_as("select id, region from brand where region = $1 order by id limit $2")
            .bind("r7")
            .bind(50_i64)
            .fetch_all(&mut c)
            .await
            .unwrap();
        for (id, _) in rows {
            sqlx::query("select * from brand_story where brand_id = $1").bind(id).fetch_all(&mut c).await.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(60)).await;
    }
}

/// Mostly quick, now and then more than a second.
async fn unsteady(url: String) {
    let mut c = PgConnection::connect(&url).await.unwrap();
    for turn in 0_u64.. {
        let wait = if turn % 40 == 20 { 1.1_f64 } else { 0.0 };
        sqlx::query("select t.id, pg_sleep($1) from tax_provider t limit 1").bind(wait).fetch_all(&mut c).await.unwrap();
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Every product of the channel, as Medusa 2 reads them before it asks for each by its id.
async fn whole_channel(url: String) {
    let mut c = PgConnection::connect(&url).await.unwrap();
    let channel = "select sales_channel_id from product_sales_channel group by 1 order by count(*) desc limit 1";
    let (channel,): (String,) = sqlx::query_as(channel).fetch_one(&mut c).await.unwrap();
    let link = r#"select "l0"."sales_channel_id", "l0"."product_id" from "product_sales_channel" as "l0" where "l0"."deleted_at" is null and "l0"."sales_channel_id" in ($1)"#;
    loop {
        sqlx::query(link).bind(&channel).execute(&mut c).await.unwrap();
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Then each of them by its id.
async fn by_every_id(url: String) {
    let mut c = PgConnection::connect(&url).await.unwrap();
    let ids: Vec<(String,)> = sqlx::query_as("select id from product order by id limit 3000").fetch_all(&mut c).await.unwrap();
    loop {
        let list: Vec<String> = (1..=ids.len()).map(|n| format!("${n}")).collect();
        let text =
            format!(r#"select "p0"."id" from "product" as "p0" where "p0"."deleted_at" is null and "p0"."id" in ({}) limit 12"#, list.join(", "));
        let mut query = sqlx::query(AssertSqlSafe(text)).persistent(false);
        for (id,) in &ids {
            query = query.bind(id);
        }
        query.execute(&mut c).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

struct Held {
    _connections: Vec<PgConnection>,
    since: Instant,
    waiter: tokio::task::JoinHandle<()>,
}

/// A transaction that idles with a lock, and a session that waits for it.
async fn hold_a_lock(url: &str) -> Held {
    let mut holder = PgConnection::connect(url).await.unwrap();
    holder.execute("set application_name = 'nightly-import'").await.unwrap();
    holder.execute("begin").await.unwrap();
    holder.execute("lock table courier in row exclusive mode").await.unwrap();
    let mut waiter = PgConnection::connect(url).await.unwrap();
    let waiter = tokio::spawn(async move {
        let _ = waiter.execute("begin").await;
        let _ = waiter.execute("lock table courier in share row exclusive mode").await;
    });
    Held { _connections: vec![holder], since: Instant::now(), waiter }
}

/// Loads the schema and the seed of a real store, then fills them to shop size. `false`: the files are absent.
fn fill(url: &str) -> bool {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/medusa");
    if !folder.join("scale-v2.sql").exists() {
        println!("skipped: {} is absent", folder.join("scale-v2.sql").display());
        return false;
    }
    let sizes = "-v products=4000 -v variants_per_product=2 -v customers=60000 -v carts=130000 -v orders=60000 -v workflows=5000";
    let load = format!(
        "cd '{}' && (cat v2-schema.sql; zcat seed-v2.sql.gz) | psql -q -X -v ON_ERROR_STOP=0 -d '{url}' >/dev/null 2>&1 && psql -q -X {sizes} -d '{url}' -f scale-v2.sql >/dev/null",
        folder.display()
    );
    let output = Command::new("bash").args(["-c", &load]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    true
}

/// The role the shop connects with: a login of its own that may do what it does.
async fn shop_role(db: &Db) -> String {
    db.run("drop role if exists planted_shop").await;
    db.run("create role planted_shop login password 'planted' connection limit 200;\ngrant select on all tables in schema public to planted_shop")
        .await;
    let mut url = url::Url::parse(&db.url).unwrap();
    url.set_username("planted_shop").unwrap();
    url.set_password(Some("planted")).unwrap();
    url.to_string()
}

async fn hold_connections(url: &str) -> Vec<PgConnection> {
    let mut held = Vec::new();
    let mut c = PgConnection::connect(url).await.unwrap();
    loop {
        let (used, max): (i64, i32) = sqlx::query_as(
            "select count(*), current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int from pg_stat_activity where backend_type = 'client backend'",
        )
        .fetch_one(&mut c)
        .await
        .unwrap();
        if used as f64 >= f64::from(max) * 0.86 {
            held.push(c);
            return held;
        }
        held.push(PgConnection::connect(url).await.unwrap());
    }
}

/// `number,check,subject,what was done`: a subject may end in `*`.
struct Entry<'a> {
    number: &'a str,
    check: &'a str,
    subject: &'a str,
}

fn entries(csv: &'static str) -> Vec<Entry<'static>> {
    let rows = csv.lines().skip(1).filter(|l| !l.trim().is_empty());
    rows.map(|l| {
        let mut parts = l.splitn(4, ';');
        let mut next = || parts.next().unwrap_or_else(|| panic!("four parts: {l}")).trim();
        Entry { number: next(), check: next(), subject: next() }
    })
    .collect()
}

fn matches(pattern: &str, subject: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => subject.starts_with(start),
        None => subject == pattern,
    }
}

fn told(plan: &Plan) -> String {
    let line = |r: &plan::Ranked| format!("{:>3} {:8} {} [{:.4}] {}", r.rank, r.finding.severity.id(), r.key, r.weight, r.finding.observed);
    let mut lines: Vec<String> = plan.findings.iter().map(line).collect();
    lines.extend(plan.unknown.iter().map(|(c, g)| format!("    unknown  {}: {}", c.id, g.detail)));
    lines.join("\n")
}

fn judge(plan: &Plan) {
    let faults = entries(FAULTS);
    let is = |entry: &Entry, r: &plan::Ranked| r.check.id == entry.check && matches(entry.subject, &r.finding.subject.name);
    let mut problems = Vec::new();
    for fault in &faults {
        if !plan.findings.iter().any(|r| is(fault, r)) {
            problems.push(format!("fault {} was missed: {} {}", fault.number, fault.check, fault.subject));
        }
    }
    for ranked in &plan.findings {
        // The server's own version was not planted: on some rows of the matrix it is rightly out of support.
        let is_planted = ranked.check.id != "pg-version-eol";
        // A symptom stands under its cause and is no step of its own.
        if is_planted && ranked.finding.severity > Severity::Info && ranked.symptom_of.is_none() && !faults.iter().any(|f| is(f, ranked)) {
            problems.push(format!("false alarm: {} {}: {}", ranked.finding.severity.id(), ranked.key, ranked.finding.observed));
        }
    }
    for trap in entries(TRAPS) {
        let steps = plan.findings.iter().filter(|r| r.finding.severity > Severity::Info);
        let caught = steps.filter(|r| (trap.check == "*" || r.check.id == trap.check) && matches(trap.subject, &r.finding.subject.name));
        problems.extend(caught.map(|r| format!("trap {} was walked into: {}", trap.number, r.key)));
    }
    if plan.findings.first().is_none_or(|r| r.key != "pg-missing-index:public.image(product_id)") {
        problems.push("the costliest fault does not stand first".to_owned());
    }
    assert!(problems.is_empty(), "{}\n\nAll of it:\n{}", problems.join("\n"), told(plan));
}

#[test]
fn the_lists_are_long_enough() {
    let distinct = |csv| entries(csv).iter().map(|e| e.number.to_owned()).collect::<BTreeSet<_>>().len();
    assert!(distinct(FAULTS) >= 30, "{} faults", distinct(FAULTS));
    assert!(distinct(TRAPS) >= 30, "{} traps", distinct(TRAPS));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_planted_fault_is_named_and_no_trap_is() {
    let Some(server) = server() else { return };
    let db = Db::new(&server, "planted").await;
    if !fill(&db.url) {
        return;
    }
    db.run("select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = 'abandoned'").await;
    db.run("select pg_create_physical_replication_slot('abandoned', true)").await;
    db.run(STORE).await;
    let held = hold_a_lock(&db.url).await;
    let mut admin = db.connection().await;
    let _ = admin.execute("create unique index concurrently stock_note_sku on stock_note (sku)").await;
    let _ = admin.execute("create extension if not exists hypopg").await;
    for _ in 0..60 {
        admin.execute("checkpoint").await.unwrap();
    }
    let shop = shop_role(&db).await;
    tokio::time::sleep(HELD_FOR.saturating_sub(held.since.elapsed())).await;
    let mut traffics: Vec<_> = STREAMS.iter().map(|s| tokio::spawn(traffic(shop.clone(), s))).collect();
    for (text, more) in BUSIER {
        let stream = STREAMS.iter().find(|s| s.text.contains(text)).unwrap();
        traffics.extend((0..*more).map(|_| tokio::spawn(traffic(shop.clone(), stream))));
    }
    for _ in 0..3 {
        traffics.push(tokio::spawn(whole_channel(shop.clone())));
    }
    traffics.push(tokio::spawn(one_by_one(shop.clone())));
    traffics.push(tokio::spawn(unsteady(shop.clone())));
    traffics.push(tokio::spawn(by_every_id(shop.clone())));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let connections = hold_connections(&shop).await;
    db.reset_counters().await;
    let mut snapshot = collect_from(&db.url, WINDOW_S).await;
    let broken = traffics.iter().any(tokio::task::JoinHandle::is_finished);
    traffics.iter().for_each(tokio::task::JoinHandle::abort);
    // Time cannot be waited for: counters that were reset forty days ago, for the index that nobody scans and the checkpoints.
    if let Ok(server) = snapshot.postgres.as_mut().unwrap().server.as_mut() {
        let now = server.now;
        let old = now - time::Duration::days(40);
        (server.started_at, server.stats_reset_at) = (Some(old), Some(old));
        live::age_indexes(snapshot.postgres.as_mut().unwrap());
        if let Ok(checkpoints) = snapshot.postgres.as_mut().unwrap().checkpoints.as_mut() {
            checkpoints.stats_reset_at = Some(now - time::Duration::hours(25));
        }
    }
    held.waiter.abort();
    drop((held, connections));
    if std::env::var_os("ADVISOR_PLANTED_KEEP").is_none() {
        db.run("select pg_drop_replication_slot('abandoned')").await;
        db.run("alter system reset track_io_timing;\nalter system reset log_min_duration_statement;\nalter system reset statement_timeout;\nselect pg_reload_conf()").await;
    }
    if let Some(folder) = std::env::var_os("ADVISOR_TEST_DUMP") {
        std::fs::write(Path::new(&folder).join("planted.snapshot"), medusa_advisor::evidence::file::write(&snapshot)).unwrap();
    }
    assert!(!broken, "a stream of the traffic ended early");
    judge(&plan::build(&snapshot, &[], |_| true));
}
