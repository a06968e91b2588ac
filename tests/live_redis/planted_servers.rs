//! One store on fourteen Redis servers with every trouble that can be made there in a minute, and as many things that only look like
//! trouble: `planted/redis-faults.csv` and `planted/redis-traps.csv` list them. All faults are named, nothing else is, and the costliest
//! stands first.
//!
//! `ADVISOR_PLANTED_KEEP=600` prints the servers and leaves them for ten minutes to other tools: docs/planted-redis.md says how.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::harness::{audit_with, profile};
use crate::planted::Store;
use crate::redis_keys_fixture::with_postgres;
use medusa_advisor::evidence::Snapshot;
use medusa_advisor::finding::Severity;
use medusa_advisor::plan::{self, Plan, Ranked};

const FAULTS: &str = include_str!("../planted/redis-faults.csv");
const TRAPS: &str = include_str!("../planted/redis-traps.csv");
const DOCUMENT: &str = include_str!("../../docs/planted-redis.md");
/// The fault that must stand first.
const COSTLIEST: &str = "redis-eviction-breaks-queues";
/// Length of the audit's window, seconds.
const WINDOW_S: u64 = 10;
/// … and of the traffic, which begins a moment later and must have ended by then.
const TRAFFIC_S: u64 = 8;

/// `number;check;subject;what was done`. A subject may begin or end with `*`; `{shop}` is that server's address.
struct Entry {
    number: &'static str,
    check: &'static str,
    subject: &'static str,
    words: &'static str,
}

fn entries(csv: &'static str) -> Vec<Entry> {
    let rows = csv.lines().skip(1).filter(|l| !l.trim().is_empty());
    rows.map(|l| {
        let mut parts = l.splitn(4, ';');
        let mut next = || parts.next().unwrap_or_else(|| panic!("four parts: {l}")).trim();
        Entry { number: next(), check: next(), subject: next(), words: next() }
    })
    .collect()
}

impl Entry {
    fn is(&self, store: &Store, ranked: &Ranked) -> bool {
        let places = store
            .servers
            .iter()
            .fold(self.subject.to_owned(), |subject, (name, server)| subject.replace(&format!("{{{name}}}"), &format!("127.0.0.1:{}", server.port)));
        (self.check == "*" || ranked.check.id == self.check) && matches(&places, &ranked.finding.subject.name)
    }
}

fn matches(pattern: &str, subject: &str) -> bool {
    match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (Some(_), Some(_)) => subject.contains(pattern.trim_matches('*')),
        (Some(end), None) => subject.ends_with(end),
        (None, Some(start)) => subject.starts_with(start),
        (None, None) => subject == pattern,
    }
}

/// A shop of 60 carts a session's lifetime, whose catalogue takes most of the database's time.
fn with_shop(mut snapshot: Snapshot) -> Snapshot {
    let products = "select \"p0\".* from \"product\" as \"p0\" where \"p0\".\"deleted_at\" is null and \"p0\".\"id\" in ($1)";
    let carts = "select \"c0\".* from \"cart\" as \"c0\" where \"c0\".\"id\" = $1";
    snapshot.postgres = Ok(with_postgres(crate::made_redis::postgres(2), Some((8_640, 0)), &[(products, 900, 900.0), (carts, 400, 300.0)]));
    snapshot
}

fn told(plan: &Plan) -> String {
    let line = |r: &Ranked| {
        let symptom = r.symptom_of.as_deref().map_or_else(String::new, |of| format!(" (symptom of {of})"));
        format!("{:>3} {:8} {} [{:.4}] {}{symptom}", r.rank, r.finding.severity.id(), r.key, r.weight, r.finding.observed)
    };
    let mut lines: Vec<String> = plan.findings.iter().map(line).collect();
    lines.extend(plan.unknown.iter().map(|(c, g)| format!("    unknown  {}: {}", c.id, g.detail)));
    lines.join("\n")
}

fn judge(store: &Store, plan: &Plan) {
    let (faults, traps) = (entries(FAULTS), entries(TRAPS));
    let mut problems = Vec::new();
    for fault in &faults {
        if !plan.findings.iter().any(|r| r.finding.severity > Severity::Info && fault.is(store, r)) {
            problems.push(format!("fault {} was missed: {} {}", fault.number, fault.check, fault.subject));
        }
    }
    let steps = || plan.findings.iter().filter(|r| r.finding.severity > Severity::Info);
    // Elsewhere the end of its support may be a fault that nobody planted.
    let is_mended = crate::harness::program_version() == "Redis 7.0.15";
    let steps = || steps().filter(|r| is_mended || r.check.id != "redis-version-eol");
    for ranked in steps() {
        // A symptom stands under its cause and is no step of its own.
        if ranked.symptom_of.is_none() && !faults.iter().any(|f| f.is(store, ranked)) {
            problems.push(format!("false alarm: {} {}: {}", ranked.finding.severity.id(), ranked.key, ranked.finding.observed));
        }
    }
    for trap in &traps {
        problems.extend(steps().filter(|r| trap.is(store, r)).map(|r| format!("trap {} was walked into: {}", trap.number, r.key)));
    }
    if plan.findings.first().is_none_or(|r| r.check.id != COSTLIEST) {
        problems.push("the costliest fault does not stand first".to_owned());
    }
    assert!(problems.is_empty(), "{}\n\nAll of it:\n{}", problems.join("\n"), told(plan));
}

#[test]
fn the_lists_are_long_enough_and_the_document_has_them() {
    let distinct = |csv| entries(csv).iter().map(|e| e.number).collect::<BTreeSet<_>>().len();
    assert!(distinct(FAULTS) >= 20, "{} faults", distinct(FAULTS));
    assert!(distinct(TRAPS) >= 20, "{} traps", distinct(TRAPS));
    for entry in entries(FAULTS).iter().chain(&entries(TRAPS)) {
        let check = if entry.check == "*" { "any".to_owned() } else { format!("`{}`", entry.check) };
        let row = format!("| {} | {} | {check} | `{}` |", entry.number, entry.words, entry.subject);
        assert!(DOCUMENT.contains(&row), "docs/planted-redis.md lacks the row\n{row}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_planted_fault_is_named_and_no_trap_is() {
    let Some(store) = Store::start() else {
        println!("skipped: no redis-server here");
        return;
    };
    let profiles: Vec<_> = store.servers.values().map(profile).collect();
    let passwords = vec![None; profiles.len()];
    let snapshot = audit_with(&profiles, &passwords, WINDOW_S, || store.live(TRAFFIC_S)).await;
    let plan = plan::build(&with_shop(snapshot), &[], |c| c.id.starts_with("redis-"));
    println!("{}", told(&plan));
    if let Some(seconds) = std::env::var("ADVISOR_PLANTED_KEEP").ok().and_then(|s| s.parse().ok()) {
        store.servers.iter().for_each(|(name, server)| println!("{name} {}", server.port));
        std::thread::sleep(Duration::from_secs(seconds));
    }
    judge(&store, &plan);
}
