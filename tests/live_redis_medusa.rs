//! What real BullMQ and a real Medusa write to Redis: the queues, locks, sessions and cache keys of these tests are none of ours.
//!
//! BullMQ is installed from npm once, into a cache folder (`ADVISOR_NODE_CACHE`, else `/var/tmp/advisor-node`); without node, npm or a
//! network the test prints "skipped". Medusa is a gigabyte of packages, so its test runs where a project is installed already:
//!
//! ```sh
//! cp -r tests/redis_live/store /var/tmp/advisor-store && npm install --prefix /var/tmp/advisor-store
//! ADVISOR_TEST_MEDUSA=/var/tmp/advisor-store tests/run.sh live
//! ```

#[path = "redis_live/harness.rs"]
mod harness;
#[path = "common/live.rs"]
mod live;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use harness::{Server, audit, audit_with, findings, free_port, outcome, profile};
use live::Db;
use medusa_advisor::checks;
use medusa_advisor::evidence::Snapshot;
use medusa_advisor::evidence::redis::{Pattern, Role};
use medusa_advisor::finding::{Outcome, RemedyKind, Severity};

const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/redis_live");
const EVENTS: (&str, &str) = ("RedisEventBusService", "events-queue");
const MAILS: (&str, &str) = ("bull", "mails");
/// Seconds in which Medusa must be up: it takes seven on a quiet machine.
const STARTS_IN: Duration = Duration::from_secs(120);

/// Ended with the test, by its own handle.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The folder with BullMQ installed; says "skipped" where it cannot be.
fn bullmq() -> Option<PathBuf> {
    let cache = std::env::var("ADVISOR_NODE_CACHE").unwrap_or_else(|_| "/var/tmp/advisor-node".into());
    let folder = Path::new(&cache).join("bullmq-5.13.0");
    let install = || {
        std::fs::create_dir_all(&folder).ok()?;
        for file in ["package.json", "queues.cjs"] {
            std::fs::copy(Path::new(SOURCES).join("bullmq").join(file), folder.join(file)).ok()?;
        }
        if folder.join("node_modules/bullmq/package.json").exists() {
            return Some(());
        }
        let arguments = ["install", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error", "--fetch-retries=1", "--fetch-timeout=20000"];
        let ran = Command::new("npm").args(arguments).current_dir(&folder).output().ok()?;
        ran.status.success().then_some(())
    };
    if install().is_none() {
        println!("skipped: BullMQ is not installed in {} and cannot be: node, npm or a network is missing", folder.display());
        return None;
    }
    Some(folder)
}

fn node(folder: &Path, server: &Server, arguments: &[&str]) -> Command {
    let mut command = Command::new("node");
    command.args(arguments).current_dir(folder).env("REDIS_URL", server.url());
    command
}

fn finished(mut command: Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

fn add(folder: &Path, server: &Server, (prefix, queue): (&str, &str), count: usize, kind: &str) {
    finished(node(folder, server, &["queues.cjs", "add", prefix, queue, &count.to_string(), kind]));
}

/// A worker that takes one job a second, from when it is connected until it is dropped.
fn worker(folder: &Path, server: &Server, (prefix, queue): (&str, &str)) -> Running {
    let mut child = node(folder, server, &["queues.cjs", "work", prefix, queue]).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line.trim(), "ready");
    Running(child)
}

async fn quiet(server: &Server) -> Snapshot {
    audit(server, |_: &Server| ()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn queues_of_real_bullmq_are_read_cleaned_and_missed_when_nobody_works() {
    let Some(folder) = bullmq() else { return };
    let Some(server) = Server::start(&["--appendonly", "yes"]) else {
        println!("skipped: no redis-server here");
        return;
    };
    // Three days ago: 1,300 mails failed and 1,200 went out.
    add(&folder, &server, MAILS, 1_300, "failing");
    add(&folder, &server, MAILS, 1_200, "");
    finished(node(&folder, &server, &["queues.cjs", "work", MAILS.0, MAILS.1, "2500", "3"]));
    // Now: forty events wait, and a worker takes one a second.
    let at_work = worker(&folder, &server, EVENTS);
    add(&folder, &server, EVENTS, 40, "");
    let snapshot = quiet(&server).await;
    let queues = snapshot.redis.as_ref().unwrap().instances[0].queues().unwrap();
    let names: Vec<(&str, Role, bool)> = queues.iter().map(|q| (q.name.as_str(), q.role, q.is_attended)).collect();
    assert!(names.contains(&("RedisEventBusService:events-queue", Role::EventBus, true)), "{names:?}");
    let mails = queues.iter().find(|q| q.name == "bull:mails").unwrap();
    assert_eq!((mails.role, mails.now.failed, mails.now.completed, mails.waiting()), (Role::Queue, 1_300, 1_200, 0));
    assert_eq!(outcome(&snapshot, "redis-no-worker"), Outcome::Passed);
    assert_eq!(outcome(&snapshot, "redis-job-backlog"), Outcome::Passed);
    let kept = findings(&snapshot, "redis-jobs-retained");
    assert!(kept.len() == 1 && kept[0].observed.contains("1,200 completed, 1,300 failed"), "{kept:?}");
    clean(&folder, &server, &kept[0].remedies.iter().find(|r| r.kind == RemedyKind::Code && r.text.contains("queue.clean")).unwrap().text);
    let snapshot = quiet(&server).await;
    assert_eq!(outcome(&snapshot, "redis-jobs-retained"), Outcome::Passed);
    assert_eq!(server.cli("EXISTS bull:mails:1 bull:mails:2500").trim(), "0", "the jobs went with their places");
    // The worker dies; its mark goes with the next stalled check.
    drop(at_work);
    let deadline = Instant::now() + Duration::from_secs(40);
    while server.cli("EXISTS RedisEventBusService:events-queue:stalled-check").trim() != "0" {
        assert!(Instant::now() < deadline, "the mark of the worker stays");
        std::thread::sleep(Duration::from_millis(200));
    }
    let _cache = server.connect_named("medusa-cache-redis");
    let snapshot = audit(&server, |server: &Server| add(&folder, server, EVENTS, 12, "")).await;
    let found = findings(&snapshot, "redis-no-worker");
    assert!(found.len() == 1 && found[0].subject.name.starts_with("RedisEventBusService:events-queue"), "{found:?}");
    assert_eq!(found[0].severity, Severity::High);
    let _again = worker(&folder, &server, EVENTS);
    assert_eq!(outcome(&quiet(&server).await, "redis-no-worker"), Outcome::Passed);
}

/// Runs the printed script as its first line says.
fn clean(folder: &Path, server: &Server, script: &str) {
    std::fs::write(folder.join("clean-jobs.cjs"), script).unwrap();
    let said = String::from_utf8(finished(node(folder, server, &["clean-jobs.cjs"])).stdout).unwrap();
    assert!(said.contains("1200 completed") && said.contains("1300 failed"), "{said}");
}

/// The schema and the rows of a real store, as `tests/live_planted.rs` takes them. `false`: the files are absent.
fn seed(url: &str) -> bool {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/medusa");
    if !folder.join("seed-v2.sql.gz").exists() {
        println!("skipped: {} is absent", folder.join("seed-v2.sql.gz").display());
        return false;
    }
    // The rows come in the order of their tables: foreign keys are looked at by nobody meanwhile.
    let load = format!(
        "cd '{}' && (cat v2-schema.sql; echo 'set session_replication_role = replica;'; zcat seed-v2.sql.gz) | psql -q -X -d '{url}'",
        folder.display()
    );
    assert!(Command::new("sh").args(["-c", &load]).stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success());
    true
}

/// A command of the installed project in this mode.
fn medusa(folder: &Path, mode: &str, database: &str, redis: &Server, arguments: &[&str]) -> Command {
    let mut command = node(folder, redis, &[&["node_modules/.bin/medusa"], arguments].concat());
    command.envs([("DATABASE_URL", database), ("MEDUSA_WORKER_MODE", mode), ("HOST", "127.0.0.1"), ("NODE_ENV", "production")]);
    // Projects of one's own may read these.
    command.envs([("CACHE_REDIS_URL", redis.url().as_str()), ("MEDUSA_FF_CACHING", "true"), ("DISABLE_MEDUSA_ADMIN", "true")]);
    command.env("MEDUSA_DISABLE_TELEMETRY", "true");
    command
}

/// Starts the project and waits until it answers.
fn start(folder: &Path, mode: &str, database: &str, redis: &Server) -> (Running, String) {
    let port = free_port().to_string();
    let log = redis.file("medusa.log");
    let file = std::fs::File::create(&log).unwrap();
    let mut command = medusa(folder, mode, database, redis, &["start", "--port", &port]);
    let running = Running(command.stdout(file.try_clone().unwrap()).stderr(file).spawn().unwrap());
    let backend = format!("http://127.0.0.1:{port}");
    let deadline = Instant::now() + STARTS_IN;
    let is_up = || Command::new("curl").args(["-sf", "-o", "/dev/null", &format!("{backend}/health")]).status().unwrap().success();
    while !is_up() {
        assert!(Instant::now() < deadline, "{}", std::fs::read_to_string(&log).unwrap());
        std::thread::sleep(Duration::from_millis(300));
    }
    (running, backend)
}

/// A real Medusa with its Postgres, its Redis and shoppers. `None`, with the reason printed: something is missing.
struct Shop {
    _medusa: Running,
    project: PathBuf,
    database: String,
    redis: Server,
    backend: String,
    key: String,
    region: String,
}

impl Shop {
    async fn open(mode: &str) -> Option<Self> {
        let Some(project) = std::env::var_os("ADVISOR_TEST_MEDUSA").map(PathBuf::from) else {
            println!("skipped: ADVISOR_TEST_MEDUSA names no installed Medusa 2 project");
            return None;
        };
        let postgres = live::server()?;
        let Some(redis) = Server::start(&["--appendonly", "yes"]) else {
            println!("skipped: no redis-server here");
            return None;
        };
        let db = Db::new(&postgres, &format!("redis_medusa_{mode}")).await;
        if !seed(&db.url) {
            return None;
        }
        let (running, backend) = start(&project, mode, &db.url, &redis);
        let (key, region) = (one_text(&db, KEY).await, one_text(&db, "select min(id) from region where deleted_at is null").await);
        Some(Self { _medusa: running, project, database: db.url, redis, backend, key, region })
    }

    /// Lets shoppers in; returns how many requests were answered, and none may be refused.
    fn trade(&self, seconds: u32) -> u32 {
        let mut command = Command::new("node");
        command.arg(Path::new(SOURCES).join("store/shop.cjs")).arg(seconds.to_string());
        command.env("BACKEND", &self.backend).env("KEY", &self.key).env("REGION", &self.region);
        let output = finished(command);
        assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
    }

    /// Takes a lock through Medusa's own module: those of carts are gone before they could be sampled.
    fn lock(&self) {
        // Medusa takes scripts by their path below the project.
        let script = format!("{}{SOURCES}/store/lock.js", "../".repeat(self.project.components().count()));
        finished(medusa(&self.project, "server", &self.database, &self.redis, &["exec", &script]));
    }
}

async fn one_text(db: &Db, sql: &'static str) -> String {
    let (text,): (String,) = sqlx::query_as(sql).fetch_one(&mut db.connection().await).await.unwrap();
    text
}

const KEY: &str = "select a.token from api_key a join publishable_api_key_sales_channel l on l.publishable_key_id = a.id \
    join product_sales_channel p on p.sales_channel_id = l.sales_channel_id where a.type = 'publishable' and a.revoked_at is null \
    group by a.token order by count(*) desc, 1 limit 1";

#[tokio::test(flavor = "multi_thread")]
async fn a_real_medusa_stays_quiet_and_its_keys_are_known() {
    let Some(shop) = Shop::open("shared").await else { return };
    shop.trade(5);
    shop.lock();
    let mut answered = 0;
    let snapshot = audit_with(&[profile(&shop.redis)], &[None], 12, || answered = shop.trade(10)).await;
    assert!(answered >= 24, "{answered} requests");
    let instance = &snapshot.redis.as_ref().unwrap().instances[0];
    let told: Vec<String> = instance.keys().unwrap().patterns.iter().map(|p| format!("{} {:?} {}", p.pattern, p.role, p.keys)).collect();
    println!("{answered} requests\n{}", told.join("\n"));
    assert_families(&instance.keys().unwrap().patterns, &told);
    let attended: Vec<&str> = instance.queues().unwrap().iter().filter(|q| q.is_attended).map(|q| q.name.as_str()).collect();
    for queue in ["RedisEventBusService:events-queue", "bull:medusa-workflows", "bull:medusa-workflows-jobs", "bull:workflows-cleaner"] {
        assert!(attended.contains(&queue), "{queue} in {attended:?}");
    }
    for judged in checks::run_all(&snapshot, |c| c.id.starts_with("redis-")) {
        match &judged.outcome {
            Outcome::Failed(found) => assert!(found.iter().all(|f| f.severity == Severity::Info), "{}: {found:?}", judged.check.id),
            Outcome::Unknown(gap) => println!("{}: {}", judged.check.id, gap.detail),
            Outcome::Passed | Outcome::NotApplicable(_) => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_medusa_that_serves_alone_lacks_a_worker() {
    let Some(shop) = Shop::open("server").await else { return };
    let snapshot = audit_with(&[profile(&shop.redis)], &[None], 8, || {
        shop.trade(6);
    })
    .await;
    let found = findings(&snapshot, "redis-no-worker");
    assert!(found.len() == 1 && found[0].subject.name.starts_with("RedisEventBusService:events-queue"), "{found:?}");
    assert_eq!(found[0].severity, Severity::High, "{found:?}");
    println!("{}", found[0].observed);
}

/// Every family has an owner, and those that stay long enough to be met are there.
fn assert_families(patterns: &[Pattern], told: &[String]) {
    assert!(patterns.iter().all(|p| !matches!(p.role, Role::Other | Role::CustomCache | Role::Queue)), "{told:?}");
    for role in [Role::Cache, Role::CacheTags, Role::EventBus, Role::Workflows, Role::Sessions, Role::Locks] {
        assert!(patterns.iter().any(|p| p.role == role), "{role:?} in {told:?}");
    }
}
