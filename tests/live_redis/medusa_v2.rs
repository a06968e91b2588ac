//! What real BullMQ and a real Medusa write to Redis: the queues, locks, sessions and cache keys of these tests are none of ours.
//!
//! BullMQ is installed from npm once, into a cache folder; without node, npm or a network the test prints "skipped". Medusa 2 is a gigabyte
//! of packages, so its test runs where a project is installed already:
//!
//! ```sh
//! cp -r tests/redis_live/store /var/tmp/advisor-store && npm install --prefix /var/tmp/advisor-store
//! ADVISOR_TEST_MEDUSA=/var/tmp/advisor-store tests/run.sh live
//! ```

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::harness::{Server, assert_quiet, audit, audit_with, findings, outcome, profile};
use crate::medusa::{Shop, V2};
use crate::npm::{Running, finished, installed, node};
use medusa_advisor::evidence::Snapshot;
use medusa_advisor::evidence::redis::{Pattern, Role};
use medusa_advisor::finding::{Outcome, RemedyKind, Severity};

const EVENTS: (&str, &str) = ("RedisEventBusService", "events-queue");
const MAILS: (&str, &str) = ("bull", "mails");

fn bullmq() -> Option<PathBuf> {
    installed("bullmq-5.13.0", "bullmq", &["package.json", "queues.cjs"], &[])
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

#[tokio::test(flavor = "multi_thread")]
async fn a_real_medusa_stays_quiet_and_its_keys_are_known() {
    let Some(shop) = Shop::open(&V2, "redis_medusa_shared", "shared").await else { return };
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
    assert_quiet(&snapshot, &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_medusa_that_serves_alone_lacks_a_worker() {
    let Some(shop) = Shop::open(&V2, "redis_medusa_server", "server").await else { return };
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
