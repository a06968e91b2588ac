//! The checks of the server's health against a real Postgres: bloat, statistics, wraparound, sequences, sessions, slots, replicas. Each
//! fault is made, named, mended by the printed remedy and gone; a stock store is quiet.

use std::process::Command;
use std::time::Duration;

use crate::live::{Db, collect_from, finding, is_found, server};
use medusa_advisor::checks::bloat::Widths;
use medusa_advisor::evidence::Snapshot;
use medusa_advisor::evidence::postgres::Activity;
use medusa_advisor::finding::{Evidence, RemedyKind, Severity};
use medusa_advisor::plan::{self, Plan, Ranked};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

const OURS: [&str; 11] = [
    "pg-table-bloat",
    "pg-index-bloat",
    "pg-stale-statistics",
    "pg-wraparound",
    "pg-sequence-exhaustion",
    "pg-long-transaction",
    "pg-idle-in-transaction",
    "pg-blocked-session",
    "pg-inactive-slot",
    "pg-replication-lag",
    "pg-vacuum-lag",
];

/// The text of the remedy with this label.
fn remedy(ranked: &Ranked, label: &str) -> String {
    let labels: Vec<&str> = ranked.finding.remedies.iter().map(|r| r.label.as_str()).collect();
    let found = ranked.finding.remedies.iter().find(|r| r.label == label && r.kind == RemedyKind::Sql);
    found.unwrap_or_else(|| panic!("{label} is not among {labels:?}")).text.clone()
}

fn judged(snapshot: &Snapshot) -> Plan {
    plan::build(snapshot, &[], |c| OURS.contains(&c.id))
}

/// These checks read states, not rates: a short window will do.
async fn look(db: &Db) -> Snapshot {
    collect_from(&db.url, 1).await
}

fn gap_remedy<'p>(plan: &'p Plan, check: &str) -> &'p str {
    let (_, gap) = plan.unknown.iter().find(|(c, _)| c.id == check).unwrap_or_else(|| panic!("{check} should not have known"));
    gap.cause.remedy().unwrap_or_else(|| panic!("{check}: {gap:?} has no remedy"))
}

/// The same evidence with older sessions: minutes cannot be waited for.
fn aged(snapshot: &Snapshot, seconds: f64) -> Snapshot {
    let mut older = snapshot.clone();
    let activity: &mut Activity = older.postgres.as_mut().unwrap().activity.as_mut().unwrap();
    for session in &mut activity.sessions {
        session.transaction_s = session.transaction_s.map(|s| s + seconds);
        session.waiting_s = session.waiting_s.map(|s| s + seconds);
    }
    older
}

async fn size(db: &Db, relation: &str) -> f64 {
    let mut c = db.connection().await;
    let (bytes,): (i64,) = sqlx::query_as("select pg_relation_size($1::regclass)").bind(relation).fetch_one(&mut c).await.unwrap();
    bytes as f64
}

async fn pause(seconds: f64) {
    tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
}

/// Half a gigabyte of images and their index, four fifths of them deleted.
const BLOATED: &str = "create table image (id text primary key, url text not null, product_id text, metadata jsonb, created_at timestamptz not null default now(), deleted_at timestamptz) with (autovacuum_enabled = off);
insert into image select 'img_' || lpad(i::text, 26, '0'), 'https://cdn.example.com/' || repeat(md5(i::text), 4) || '.jpg', 'prod_' || lpad((i % 9000)::text, 26, '0'), case when i % 3 = 0 then jsonb_build_object('n', i) end from generate_series(1, 900000) i;
create index image_url on image (url);
delete from image where hashtext(id) % 5 <> 0";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn table_and_index_bloat() {
    let Some(server) = server() else { return };
    let db = Db::new(&server, "health_bloat").await;
    db.run(BLOATED).await;
    pause(1.0).await;
    // Before ANALYZE the figures are of the full table: nobody knows.
    let snapshot = look(&db).await;
    let plan = judged(&snapshot);
    assert_eq!(gap_remedy(&plan, "pg-table-bloat"), "analyze public.image;");
    db.run(gap_remedy(&plan, "pg-table-bloat")).await;
    db.run("vacuum image").await;
    pause(1.0).await;
    let snapshot = look(&db).await;
    let plan = judged(&snapshot);
    let (table, index) = (finding(&plan, "pg-table-bloat", "public.image"), finding(&plan, "pg-index-bloat", "public.image_url"));
    println!("{}\n{}", table.finding.observed, index.finding.observed);
    assert!(index.finding.severity <= Severity::Medium);
    confirmed(&db, table, "image").await;
    let index_needed = after(index);
    db.run(&remedy(index, "Rebuild it while the shop goes on")).await;
    near("index", index_needed, size(&db, "image_url").await, 0.08);
    let table_needed = after(table);
    db.run(&remedy(table, "Write it anew at night")).await;
    near("table", table_needed, size(&db, "image").await, 0.06);
    db.run(&remedy(table, "Keep it from coming back")).await;
    let snapshot = look(&db).await;
    let plan = judged(&snapshot);
    assert!(!is_found(&plan, "pg-table-bloat", "public.image") && !is_found(&plan, "pg-index-bloat", "public.image_url"));
}

/// What the finding says it would take.
fn after(ranked: &Ranked) -> f64 {
    let after = ranked.finding.evidence.iter().find_map(|e| if let Evidence::BeforeAfter { after, .. } = e { Some(*after) } else { None });
    after.expect("a size before and after")
}

fn near(what: &str, estimated: f64, real: f64, within: f64) {
    let error = (estimated - real) / real;
    println!("{what}: estimated {:.1} MB, is {:.1} MB, {:+.1} %", estimated / 1e6, real / 1e6, error * 100.0);
    assert!(error.abs() < within, "{what}: {error:+.3}");
}

/// The printed confirmation agrees with the estimate.
async fn confirmed(db: &Db, ranked: &Ranked, table: &str) {
    let code = ranked.finding.evidence.iter().find_map(|e| if let Evidence::Code { text, .. } = e { Some(text.clone()) } else { None }).unwrap();
    db.run(&code).await;
    let mut c = db.connection().await;
    let sql = format!("select (approx_free_percent + dead_tuple_percent)::float8 from pgstattuple_approx('{table}')");
    let (free,): (f64,) = sqlx::query_as(AssertSqlSafe(sql)).fetch_one(&mut c).await.unwrap();
    let said = 1.0 - after(ranked) / size(db, table).await;
    println!("{table}: estimated {:.1} % empty, pgstattuple_approx says {free:.1} %", said * 100.0);
    assert!((said - free / 100.0).abs() < 0.07, "{said} and {free}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hidden_statistics_are_unknown_until_granted() {
    let Some(server) = server() else { return };
    let db = Db::new(&server, "health_hidden").await;
    db.run(BLOATED).await;
    db.run("vacuum analyze image").await;
    db.run("drop role if exists live_health_plain;\ncreate role live_health_plain login password 'plain' in role pg_monitor").await;
    let mut url = url::Url::parse(&db.url).unwrap();
    url.set_username("live_health_plain").unwrap();
    url.set_password(Some("plain")).unwrap();
    let plan = judged(&collect_from(url.as_str(), 1).await);
    for check in ["pg-table-bloat", "pg-index-bloat"] {
        assert!(gap_remedy(&plan, check).contains("advisor.column_stats()"), "{}", gap_remedy(&plan, check));
    }
    db.run(gap_remedy(&plan, "pg-table-bloat")).await;
    let plan = judged(&collect_from(url.as_str(), 1).await);
    assert!(is_found(&plan, "pg-table-bloat", "public.image") && is_found(&plan, "pg-index-bloat", "public.image_url"));
    db.run("drop owned by live_health_plain;\ndrop role live_health_plain").await;
}

/// Shapes that bloat estimates are known to stumble over.
const SHAPES: &str = "create table cart (id text primary key, region_id text, customer_id text, email text, currency_code text not null, metadata jsonb, created_at timestamptz not null default now(), updated_at timestamptz not null default now(), deleted_at timestamptz, completed_at timestamptz) with (autovacuum_enabled = off);
create index cart_customer on cart (customer_id) where deleted_at is null and customer_id is not null;
create index cart_region on cart (region_id) where deleted_at is null;
create index cart_created on cart (created_at);
create index cart_email_lower on cart (lower(email));
insert into cart select 'cart_' || upper(substr(md5(i::text), 1, 26)), 'reg_' || lpad((i % 4)::text, 26, '0'), case when i % 3 = 0 then 'cus_' || upper(substr(md5(i::text), 1, 26)) end, case when i % 2 = 0 then 'shopper' || i || '@example.com' end, 'eur', case when i % 10 = 0 then jsonb_build_object('n', i) end, now() - i * interval '1 minute', now(), case when i % 20 = 0 then now() end, null from generate_series(1, 150000) i;
create table filled (id text primary key, url text not null, rank int not null) with (fillfactor = 70, autovacuum_enabled = off);
insert into filled select 'img_' || lpad(i::text, 26, '0'), 'https://cdn.example.com/' || repeat('x', (random() * 60)::int), i % 3 from generate_series(1, 100000) i;
create table execution (id text primary key, context jsonb, state text not null, created_at timestamp not null default now(), deleted_at timestamp) with (autovacuum_enabled = off);
insert into execution select 'wf_' || lpad(i::text, 26, '0'), (select jsonb_agg(md5((i * k)::text)) from generate_series(1, 200) k), 'done', now(), null from generate_series(1, 6000) i;
create table narrowed (id text primary key, gone text, title text not null) with (autovacuum_enabled = off);
insert into narrowed select 'prod_' || lpad(i::text, 26, '0'), repeat('word ', 40), 'Product ' || i from generate_series(1, 60000) i;
alter table narrowed drop column gone";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn estimates_agree_with_what_is_written_anew() {
    let Some(server) = server() else { return };
    let db = Db::new(&server, "health_estimates").await;
    db.run(SHAPES).await;
    db.run("delete from cart where hashtext(id) % 3 <> 0;\ndelete from execution where hashtext(id) % 2 = 0").await;
    pause(1.0).await;
    db.run("vacuum analyze").await;
    pause(1.0).await;
    let snapshot = look(&db).await;
    let pg = snapshot.pg().unwrap();
    let widths = Widths::of(pg).unwrap();
    let tables = &pg.tables().unwrap().rows;
    assert_eq!(tables.iter().find(|t| t.name == "narrowed").map(|t| t.dropped_columns), Some(1));
    db.run("vacuum (full, analyze)").await;
    for table in tables.iter().filter(|t| t.extension.is_none()) {
        let room = widths.table(table).unwrap();
        near(&table.name, room.needed as f64, size(&db, &table.name).await, 0.08);
    }
    for index in pg.indexes().unwrap().rows.iter().filter(|i| i.extension.is_none()) {
        let table = tables.iter().find(|t| t.name == index.table).unwrap();
        let room = widths.index(table, index).unwrap();
        near(&index.name, room.needed as f64, size(&db, &index.name).await, 0.12);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stale_statistics() {
    let Some(server) = server() else { return };
    let db = Db::new(&server, "health_statistics").await;
    db.run(
        "create table review (id bigint primary key, body text) with (autovacuum_enabled = off);
insert into review select i, repeat('word ', 5) from generate_series(1, 20000) i;
create table note (id bigint primary key, body text) with (autovacuum_enabled = off);
insert into note select i, repeat('word ', 5) from generate_series(1, 20000) i;
analyze note",
    )
    .await;
    // Counters of one session arrive together: what it changed before ANALYZE must not arrive after.
    pause(1.0).await;
    db.run(
        "analyze note;
update note set body = body || '.' where id <= 6000",
    )
    .await;
    pause(1.0).await;
    let plan = judged(&look(&db).await);
    let (never, changed) = (finding(&plan, "pg-stale-statistics", "public.review"), finding(&plan, "pg-stale-statistics", "public.note"));
    assert!(never.finding.observed.contains("was never analyzed"), "{}", never.finding.observed);
    assert!(changed.finding.observed.starts_with("6,000 of 20,000"), "{}", changed.finding.observed);
    for found in [never, changed] {
        db.run(&remedy(found, "Analyze it now")).await;
        db.run(&remedy(found, "Let autovacuum analyze it in time")).await;
    }
    pause(1.0).await;
    let plan = judged(&look(&db).await);
    assert!(plan.findings.iter().all(|r| r.check.id != "pg-stale-statistics"));
    // A reset forgets when that was; the statistics are there all the same.
    db.run("select pg_stat_reset()").await;
    pause(1.0).await;
    let plan = judged(&look(&db).await);
    assert!(plan.findings.iter().all(|r| r.check.id != "pg-stale-statistics"), "a reset is not taken for never");
}

/// A server of its own, 1.3 billion transactions on, with a prepared transaction from before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wraparound() {
    if server().is_none() {
        return;
    }
    let Some(own) = Programs::run(WRAPPED) else { return };
    let url = own.words[0].clone();
    let db = Db { url: url.clone(), name: "postgres".into() };
    let plan = judged(&look(&db).await);
    let found = finding(&plan, "pg-wraparound", "postgres");
    println!("{}", found.finding.observed);
    assert_eq!(found.finding.severity, Severity::High);
    assert!(found.finding.observed.contains("The oldest table is cart."), "{}", found.finding.observed);
    assert!(found.finding.observed.ends_with("Vacuum cannot go past the prepared transaction payment-77."), "{}", found.finding.observed);
    assert!(is_found(&plan, "pg-wraparound", "template1"));
    db.run(&remedy(found, "See what holds vacuum back")).await;
    // Freezing first frees nothing: what holds it must go.
    db.run(&remedy(found, "Freeze the oldest rows")).await;
    assert!(is_found(&judged(&look(&db).await), "pg-wraparound", "postgres"));
    db.run(&remedy(found, "Roll the prepared transaction back")).await;
    db.run(&remedy(found, "Freeze the oldest rows")).await;
    // Catalogs are left, unless the server's own vacuum against wraparound was quicker.
    let plan = judged(&look(&db).await);
    if let Some(left) = plan.findings.iter().find(|r| r.check.id == "pg-wraparound" && r.finding.subject.name == "postgres") {
        db.run(&remedy(left, "Freeze the oldest rows")).await;
    }
    assert!(!is_found(&judged(&look(&db).await), "pg-wraparound", "postgres"));
}

const WRAPPED: &str = r#"
run "$bin/initdb" -D "$folder/data" -U advisor --locale=C --auth=trust --no-sync >/dev/null
start() { run "$bin/pg_ctl" -D "$folder/data" -l "$folder/log" -w -t 60 -o "-p $port -c listen_addresses=127.0.0.1 -c unix_socket_directories=$folder -c autovacuum=off -c fsync=off -c max_prepared_transactions=5 -c shared_preload_libraries=pg_stat_statements" start >/dev/null; }
start
"$bin/psql" -q -h 127.0.0.1 -p $port -U advisor -d postgres <<SQL
create extension pg_stat_statements;
create table cart (id int primary key, note text);
insert into cart select i, 'a' from generate_series(1, 1000) i;
begin; insert into cart values (-1, 'b'); prepare transaction 'payment-77';
checkpoint;
SQL
run "$bin/pg_ctl" -D "$folder/data" -m fast -w stop >/dev/null
run "$bin/pg_resetwal" -x 1300000000 "$folder/data" >/dev/null
run dd if=/dev/zero of="$folder/data/pg_xact/$(printf '%04X' $((1300000000 / 32768 / 32)))" bs=8192 count=32 2>/dev/null
start
echo "postgres://advisor@127.0.0.1:$port/postgres"
"#;

/// Postgres's own programs with a folder of their own, run as the user they accept; stopped and removed when dropped.
struct Programs {
    folder: String,
    /// What the script said.
    words: Vec<String>,
}

const PROGRAMS: &str = r#"
set -e
bin=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -1)
run() { if [ "$(id -u)" = 0 ]; then runuser -u postgres -- "$@"; else "$@"; fi; }
cd /
"#;

impl Programs {
    fn run(script: &str) -> Option<Self> {
        let made = Self::bash("run mktemp -d /tmp/advisor-own.XXXXXX")?;
        let mut own = Self { folder: made.trim().to_owned(), words: Vec::new() };
        let folder = own.folder.clone();
        let said = Self::bash(&format!("folder='{folder}'\nport=$((32000 + RANDOM % 700))\n{script}"))?;
        own.words = said.split_whitespace().map(str::to_owned).collect();
        Some(own)
    }

    fn bash(script: &str) -> Option<String> {
        let out = Command::new("bash").args(["-c", &format!("{PROGRAMS}{script}")]).output().ok()?;
        if !out.status.success() {
            println!("skipped: Postgres's programs could not be run: {}", String::from_utf8_lossy(&out.stderr).trim());
            return None;
        }
        Some(String::from_utf8_lossy(&out.stdout).into_owned())
    }
}

impl Drop for Programs {
    fn drop(&mut self) {
        let folder = &self.folder;
        Self::bash(&format!("run \"$bin/pg_ctl\" -D '{folder}/data' -m immediate stop >/dev/null || true; rm -rf '{folder}'"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sequence_exhaustion() {
    let Some(server) = server() else { return };
    let db = Db::new(&server, "health_sequences").await;
    db.run(
        "create sequence counted_seq;
create table counted (id integer primary key default nextval('counted_seq'), note text);
create table line (id bigint primary key, counted_id integer references counted (id));
create table \"order\" (id text primary key, display_id serial);
create table claim (id integer generated by default as identity primary key, note text);
create table ticket (id text primary key, number integer generated by default as identity);
create table \"Voucher\" (id text primary key, \"No\" integer generated always as identity);
create table fine (id serial primary key);
insert into ticket (id) select 'ticket_' || i from generate_series(1, 25000) i;
insert into \"Voucher\" (id) select 'voucher_' || i from generate_series(1, 100) i;
select setval('ticket_number_seq', 2000000000);
select setval('\"Voucher_No_seq\"', 2000000000);
insert into \"order\" (id) select 'order_' || i from generate_series(1, 25000) i;
select setval('counted_seq', 2000000000);
select setval('order_display_id_seq', 1700000000);
select setval('claim_id_seq', 2000000000)",
    )
    .await;
    let plan = judged(&look(&db).await);
    let counted = finding(&plan, "pg-sequence-exhaustion", "public.counted_seq");
    assert_eq!(counted.finding.severity, Severity::Critical);
    assert!(counted.finding.observed.contains("counted.id is integer"), "{}", counted.finding.observed);
    let order = finding(&plan, "pg-sequence-exhaustion", "public.order_display_id_seq");
    assert_eq!(order.finding.severity, Severity::Medium);
    let claim = finding(&plan, "pg-sequence-exhaustion", "public.claim_id_seq");
    let ticket = finding(&plan, "pg-sequence-exhaustion", "public.ticket_number_seq");
    let voucher = finding(&plan, "pg-sequence-exhaustion", "public.Voucher_No_seq");
    assert_eq!(plan.findings.iter().filter(|r| r.check.id == "pg-sequence-exhaustion").count(), 5);
    db.run(&remedy(counted, "Change the type at once")).await;
    db.run(&remedy(claim, "Change the type at once")).await;
    for ranked in [order, ticket, voucher] {
        db.run(&remedy(ranked, "Change the type in steps")).await;
    }
    db.run("insert into ticket (id) values ('next');\ninsert into \"Voucher\" (id) values ('next')").await;
    db.run("insert into \"order\" (id) values ('next');\ninsert into claim (note) values ('next');\ninsert into counted (note) values ('next')")
        .await;
    let plan = judged(&look(&db).await);
    assert!(plan.findings.iter().all(|r| r.check.id != "pg-sequence-exhaustion"));
    let mut c = db.connection().await;
    let (ids, next): (i64, i64) =
        sqlx::query_as("select count(distinct display_id), max(display_id)::int8 from \"order\"").fetch_one(&mut c).await.unwrap();
    assert_eq!((ids, next), (25_001, 1_700_000_001), "every number was kept, and it counts on");
    let identities = "select (select count(distinct number) from ticket), (select max(number)::int8 from ticket), (select max(\"No\")::int8 from \"Voucher\"),
        (select string_agg(attidentity::text, '' order by attidentity) from pg_attribute where attrelid in ('ticket'::regclass, '\"Voucher\"'::regclass) and attidentity <> '' and not attisdropped)";
    let kept: (i64, i64, i64, String) = sqlx::query_as(identities).fetch_one(&mut c).await.unwrap();
    assert_eq!(kept, (25_001, 2_000_000_001, 2_000_000_001, "ad".to_owned()), "identities stay what they were");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unreadable_sequences_are_unknown_until_granted() {
    let Some(server) = server() else { return };
    let db = Db::new(&server, "health_sequences_hidden").await;
    db.run("create table \"order\" (id text primary key, display_id serial);\nselect setval('order_display_id_seq', 2100000000)").await;
    db.run("drop role if exists live_health_reader;\ncreate role live_health_reader login password 'plain' in role pg_monitor").await;
    let mut url = url::Url::parse(&db.url).unwrap();
    url.set_username("live_health_reader").unwrap();
    url.set_password(Some("plain")).unwrap();
    let plan = judged(&collect_from(url.as_str(), 1).await);
    let grant = gap_remedy(&plan, "pg-sequence-exhaustion").to_owned();
    assert_eq!(grant, "grant select on sequence public.order_display_id_seq to live_health_reader;");
    db.run(&grant).await;
    let plan = judged(&collect_from(url.as_str(), 1).await);
    assert!(is_found(&plan, "pg-sequence-exhaustion", "public.order_display_id_seq"));
    db.run("drop owned by live_health_reader;\ndrop role live_health_reader").await;
}

const SESSIONS: &str = "create table cart (id bigint primary key, note text);\ninsert into cart select i, 'a' from generate_series(1, 10) i;
create table price (id bigint primary key, note text);\ninsert into price select i, 'a' from generate_series(1, 10) i";

/// A connection under a program's name.
async fn named(db: &Db, name: &str) -> PgConnection {
    let mut c = db.connection().await;
    c.execute(AssertSqlSafe(format!("set application_name = '{name}'"))).await.unwrap();
    c
}

/// Over a minute, as it really is: one forgets its transaction, others queue behind it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_in_transaction_and_those_who_wait() {
    let Some(server) = server() else { return };
    let db = Db::new(&server, "health_idle").await;
    db.run(SESSIONS).await;
    let mut forgetful = named(&db, "api").await;
    forgetful.execute("begin").await.unwrap();
    forgetful.execute("update cart set note = 'b' where id = 1").await.unwrap();
    let mut waiters = Vec::new();
    for (name, sql) in [("migration", "alter table cart add column more text"), ("worker", "select * from cart")] {
        let mut c = named(&db, name).await;
        waiters.push(tokio::spawn(async move { c.execute(sql).await.map(|_| ()) }));
        pause(0.5).await;
    }
    let plan = judged(&look(&db).await);
    assert!(plan.findings.is_empty(), "a moment is no fault: {:?}", plan.findings.iter().map(|r| &r.key).collect::<Vec<_>>());
    pause(61.0).await;
    let plan = judged(&look(&db).await);
    let idle = finding(&plan, "pg-idle-in-transaction", "advisor (api)");
    assert_eq!(idle.finding.severity, Severity::High);
    assert!(idle.finding.observed.contains("It holds locks on public.cart."), "{}", idle.finding.observed);
    let blocked = finding(&plan, "pg-blocked-session", "advisor (api)");
    assert_eq!(blocked.symptom_of.as_deref(), Some(idle.key.as_str()), "the queue is a symptom of the forgotten transaction");
    let Evidence::Code { text, .. } = &blocked.finding.evidence[0] else { panic!("the tree comes first") };
    println!("{text}");
    let order: Vec<usize> = ["(api)", "(migration)", "(worker)"].iter().map(|w| text.find(w).unwrap_or_else(|| panic!("{w} in {text}"))).collect();
    assert!(order.is_sorted(), "root first: {text}");
    db.run(&remedy(idle, "See what they do")).await;
    db.run(&remedy(idle, "End them")).await;
    for waiter in waiters {
        waiter.await.unwrap().unwrap();
    }
    let plan = judged(&look(&db).await);
    assert!(plan.findings.is_empty(), "{:?}", plan.findings.iter().map(|r| &r.key).collect::<Vec<_>>());
    forgetful.execute("commit").await.expect_err("its session was ended");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_transaction() {
    let Some(server) = server() else { return };
    let db = Db::new(&server, "health_long").await;
    db.run(SESSIONS).await;
    let mut report = named(&db, "report").await;
    let running = tokio::spawn(async move { report.execute("begin; update price set note = 'b'; select pg_sleep(120)").await.map(|_| ()) });
    pause(2.0).await;
    let snapshot = look(&db).await;
    assert!(judged(&snapshot).findings.is_empty());
    let plan = judged(&aged(&snapshot, 300.0));
    let found = finding(&plan, "pg-long-transaction", "advisor (report)");
    assert!(found.finding.observed.contains("It holds locks on public.price."), "{}", found.finding.observed);
    db.run(&remedy(found, "See what they do")).await;
    db.run(&remedy(found, "End them")).await;
    running.await.unwrap().expect_err("it was ended");
    let snapshot = look(&db).await;
    assert!(judged(&aged(&snapshot, 300.0)).findings.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn timeouts_for_the_role_end_the_next_ones() {
    let Some(server) = server() else { return };
    let db = Db::new(&server, "health_timeouts").await;
    db.run(SESSIONS).await;
    db.run("drop role if exists live_health_shop;\ncreate role live_health_shop login password 'plain'").await;
    let mut url = url::Url::parse(&db.url).unwrap();
    url.set_username("live_health_shop").unwrap();
    url.set_password(Some("plain")).unwrap();
    let mut shop = PgConnection::connect(url.as_str()).await.unwrap();
    shop.execute("begin").await.unwrap();
    shop.execute("select 1").await.unwrap();
    pause(2.0).await;
    let snapshot = look(&db).await;
    let plan = judged(&aged(&snapshot, 60.0));
    let found = finding(&plan, "pg-idle-in-transaction", "live_health_shop");
    assert_eq!(found.finding.severity, Severity::Low, "it holds nothing");
    db.run(&remedy(found, "Bound it for the role")).await;
    drop(shop);
    let mut shop = PgConnection::connect(url.as_str()).await.unwrap();
    let (limit,): (String,) = sqlx::query_as("show idle_in_transaction_session_timeout").fetch_one(&mut shop).await.unwrap();
    assert_eq!(limit, "1min");
    drop(shop);
    let undo = found.finding.remedies.iter().find_map(|r| r.undo.clone().filter(|u| u.contains("reset idle_in"))).unwrap();
    db.run(&undo).await;
    db.run("drop role live_health_shop").await;
}

/// Vacuum that came and could not is explained by who is in its way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_holds_vacuum_back_is_named() {
    let Some(server) = server() else { return };
    let db = Db::new(&server, "health_holder").await;
    db.run("create table cart (id bigint primary key, note text) with (autovacuum_enabled = off);\ninsert into cart select i, repeat('word ', 20) from generate_series(1, 50000) i;\nvacuum analyze cart")
        .await;
    let mut forgetful = named(&db, "api").await;
    forgetful.execute("begin isolation level repeatable read").await.unwrap();
    forgetful.execute("select count(*) from cart").await.unwrap();
    db.run("do $$ begin for i in 1..1200 loop perform txid_current(); commit; end loop; end $$;\ndelete from cart where id % 2 = 0;\nvacuum cart")
        .await;
    pause(1.0).await;
    let plan = judged(&look(&db).await);
    let found = finding(&plan, "pg-vacuum-lag", "public.cart");
    println!("{}", found.finding.observed);
    assert!(found.finding.observed.contains("of advisor (api), idle in transaction"), "{}", found.finding.observed);
    db.run(&remedy(found, "End them")).await;
    db.run(&remedy(found, "Vacuum it now")).await;
    pause(1.0).await;
    let plan = judged(&look(&db).await);
    assert!(!is_found(&plan, "pg-vacuum-lag", "public.cart"));
    db.run("drop table cart").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inactive_slot() {
    let Some(server) = server() else { return };
    let db = Db::new(&server, "health_slot").await;
    let mut c = db.connection().await;
    let _ = c.execute("select pg_drop_replication_slot('live_health_gone')").await;
    c.execute("select pg_create_physical_replication_slot('live_health_gone', true)").await.unwrap();
    let mut snapshot = look(&db).await;
    assert!(!is_found(&judged(&snapshot), "pg-inactive-slot", "live_health_gone"), "a young slot keeps little");
    // Two gigabytes of log are not written for it.
    let slots = &mut snapshot.postgres.as_mut().unwrap().replication.as_mut().unwrap().slots;
    let slot = slots.iter_mut().find(|s| s.name == "live_health_gone").expect("read");
    assert!(!slot.is_active && slot.retained_bytes.is_some() && slot.wal_status.as_deref() == Some("reserved"), "{slot:?}");
    slot.retained_bytes = Some(2_000_000_000);
    let plan = judged(&snapshot);
    db.run(&remedy(finding(&plan, "pg-inactive-slot", "live_health_gone"), "Drop the slot")).await;
    let snapshot = look(&db).await;
    assert!(snapshot.pg().unwrap().replication().unwrap().slots.iter().all(|s| s.name != "live_health_gone"));
}

/// A standby of the private server that applies nothing for an hour.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replication_lag() {
    let Some(server) = server() else { return };
    let db = Db::new(&server, "health_replica").await;
    let Some(standby) = Programs::run(&STANDBY.replace("{server}", &server)) else { return };
    // The delay holds at the first commit, and what follows it waits.
    db.run("create table first_commit ()").await;
    pause(2.0).await;
    db.run("create table filler as select repeat(md5(i::text), 30) as word from generate_series(1, 130000) i").await;
    pause(2.0).await;
    let plan = judged(&look(&db).await);
    let found = finding(&plan, "pg-replication-lag", "live_health_standby");
    println!("{}", found.finding.observed);
    db.run(&remedy(found, "See where the log waits")).await;
    let standby_db = Db {
        url: server.replacen(&format!(":{}/", url::Url::parse(&server).unwrap().port().unwrap()), &format!(":{}/", standby.words[0]), 1),
        name: "postgres".into(),
    };
    standby_db.run("alter system set recovery_min_apply_delay = 0;\nselect pg_reload_conf()").await;
    pause(10.0).await;
    assert!(!is_found(&judged(&look(&db).await), "pg-replication-lag", "live_health_standby"));
    drop(standby);
    db.run("drop table filler;\ndrop table first_commit").await;
}

const STANDBY: &str = r#"
run "$bin/pg_basebackup" -d '{server}' -D "$folder/data" -X stream -R -c fast --no-sync
run sh -c "cat >>'$folder/data/postgresql.auto.conf'" <<CONF
port = $port
listen_addresses = '127.0.0.1'
unix_socket_directories = '$folder'
recovery_min_apply_delay = '1h'
cluster_name = 'live_health_standby'
fsync = off
CONF
run "$bin/pg_ctl" -D "$folder/data" -l "$folder/log" -w -t 60 start >/dev/null
echo $port
"#;

/// A migrated and seeded store, freshly loaded: every check of this file is quiet.
async fn stock(name: &str, schema: &str, seed: &str) {
    let Some(server) = server() else { return };
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data/medusa");
    let (schema, seed) = (format!("{folder}/{schema}"), format!("{folder}/{seed}"));
    if !std::path::Path::new(&schema).exists() {
        println!("skipped: {schema} is absent");
        return;
    }
    let db = Db::new(&server, name).await;
    let load = format!("(cat '{schema}'; zcat '{seed}') | psql -q -v ON_ERROR_STOP=0 -d '{}' >/dev/null 2>&1", db.url);
    assert!(Command::new("bash").args(["-c", &load]).status().unwrap().success());
    // Not even analyzed: autovacuum has not come yet.
    let snapshot = look(&db).await;
    assert!(snapshot.medusa().is_ok(), "{:?}", snapshot.medusa().err());
    let plan = judged(&snapshot);
    // Other tests of the same server may have a slot or a standby.
    let server_wide = ["pg-inactive-slot", "pg-replication-lag"];
    let of_store = |r: &&Ranked| !server_wide.contains(&r.check.id) && r.finding.severity > Severity::Info;
    let said: Vec<String> = plan.findings.iter().filter(of_store).map(|r| format!("{}: {}", r.key, r.finding.observed)).collect();
    assert!(said.is_empty(), "{said:#?}");
    let unknown: Vec<String> = plan.unknown.iter().map(|(c, g)| format!("{}: {}", c.id, g.detail)).collect();
    assert!(unknown.is_empty(), "{unknown:#?}");
    let notes: Vec<&String> = plan.findings.iter().map(|r| &r.key).collect();
    println!("passed: {:?}; notes: {notes:?}", plan.passed.iter().map(|c| c.id).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stock_v2_store_is_quiet() {
    stock("health_stock_v2", "v2-schema.sql", "seed-v2.sql.gz").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stock_v1_store_is_quiet() {
    stock("health_stock_v1", "v1-schema.sql", "seed-v1.sql.gz").await;
}
