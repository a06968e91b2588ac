//! The checks on the Redis server itself, on made evidence: each side of every threshold, the gates, and that `needs` and `uses` are exact.

use crate::made_redis::*;
use medusa_advisor::checks;
use medusa_advisor::evidence::redis::{
    Access, Counters, Instance, LatencyEvent, LogicalDatabase, Network, Pattern, Queue, QueueLengths, Role, Server, SlowEntry,
};
use medusa_advisor::evidence::{Cause, Gap, Section, Snapshot};
use medusa_advisor::finding::{Finding, Outcome, RemedyKind, Severity};
use time::macros::date;

const GIB: u64 = 1_024 * MIB;
/// The checks of this file.
const IDS: [&str; 14] = [
    "redis-cache-cannot-evict",
    "redis-maxmemory-unset",
    "redis-fragmentation",
    "redis-clients-near-limit",
    "redis-rejected-connections",
    "redis-persistence-failing",
    "redis-queue-not-durable",
    "redis-sessions-volatile",
    "redis-expiry-lag",
    "redis-replica-lag",
    "redis-version-eol",
    "redis-open-access",
    "redis-latency-spikes",
    "redis-slow-commands",
];

const INSIDE: Access =
    Access { is_tls: false, has_password: true, network: Network::Private, is_named: false, has_certificate: false, lets_anybody_in: None };

fn sessions(keys: u64) -> Pattern {
    pattern("sess:<id>", Role::Sessions, keys, 0)
}

/// Adds settings that CONFIG GET told.
fn told(mut made: Instance, values: &[(&str, &str)]) -> Instance {
    let config = made.config.as_mut().unwrap();
    config.values.extend(values.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())));
    config.values.sort();
    made
}

fn denied(section: Section) -> Gap {
    Gap::new(section, Cause::Denied { grant: "ACL SETUSER advisor +config|get".into() }, "denied")
}

fn severity(outcome: Outcome) -> Severity {
    found(outcome).severity
}

fn remedy_of(outcome: Outcome) -> String {
    let f = found(outcome);
    f.remedies.iter().map(|r| r.text.clone()).collect::<Vec<_>>().join("\n---\n")
}

fn gap(outcome: Outcome) -> Gap {
    match outcome {
        Outcome::Unknown(gap) => gap,
        other => panic!("{other:?}"),
    }
}

fn is_away(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::NotApplicable(_))
}

#[test]
fn a_cache_that_may_not_evict_is_named_from_four_fifths_on() {
    let id = "redis-cache-cannot-evict";
    let judged = |used: u64, limit: u64, policy: &str, patterns: Vec<Pattern>| {
        run(
            id,
            with_server(patterns, |s| {
                s.used_memory = used;
                s.maxmemory = Some(limit);
                s.maxmemory_policy = Some(policy.into());
            }),
        )
    };
    assert_eq!(judged(799, 1_000, "noeviction", vec![cache()]), Outcome::Passed);
    assert_eq!(severity(judged(800, 1_000, "noeviction", vec![cache()])), Severity::Medium);
    assert_eq!(severity(judged(900, 1_000, "noeviction", vec![cache()])), Severity::Medium);
    assert_eq!(severity(judged(901, 1_000, "noeviction", vec![cache()])), Severity::High);
    assert_eq!(severity(judged(970, 1_000, "noeviction", vec![cache()])), Severity::Critical);
    assert_eq!(judged(999, 1_000, "allkeys-lru", vec![cache()]), Outcome::Passed);
    assert_eq!(judged(999, 0, "noeviction", vec![cache()]), Outcome::Passed, "no limit, nothing to refuse");
    assert_eq!(judged(999, 1_000, "noeviction", vec![cache(), queue()]), Outcome::Passed, "queues want noeviction");
    assert!(is_away(&judged(999, 1_000, "noeviction", vec![sessions(10)])));
    assert!(remedy_of(judged(900, 1_000, "noeviction", vec![cache()])).starts_with("CONFIG SET maxmemory-policy allkeys-lru"));
    let beside = found(judged(900, 1_000, "noeviction", vec![cache(), sessions(10)]));
    assert!(beside.remedies.iter().all(|r| r.kind == RemedyKind::MedusaConfig), "sessions must not be evicted: {beside:?}");
    // Queues that the sample missed were found by name.
    let mut partly = with_server(vec![cache()], |s| s.used_memory = 99 * MIB);
    partly.keys.as_mut().unwrap().is_complete = false;
    assert!(found(run(id, partly.clone())).confidence_because.contains("sampled"));
    partly.queues = Ok(vec![waiting(1)]);
    assert_eq!(run(id, partly), Outcome::Passed);
}

#[test]
fn a_full_cache_and_the_pressure_it_makes_are_one_step() {
    let snapshot = snapshot(with_server(vec![cache()], |s| s.used_memory = 98 * MIB));
    let plan = medusa_advisor::plan::build(&snapshot, &[], |c| c.id.starts_with("redis-"));
    let of = |id: &str| plan.findings.iter().find(|r| r.check.id == id).unwrap_or_else(|| panic!("{id}"));
    assert_eq!(of("redis-memory-pressure").symptom_of, Some(of("redis-cache-cannot-evict").key.clone()));
}

fn unlimited(used: u64, system: Option<u64>) -> Instance {
    with_server(vec![cache()], |s| {
        s.maxmemory = Some(0);
        s.used_memory = used;
        s.system_memory = system;
    })
}

#[test]
fn a_missing_limit_counts_from_a_gibibyte_or_a_fifth_of_the_machine() {
    let judged = |used, system| run("redis-maxmemory-unset", unlimited(used, system));
    assert_eq!(judged(2 * MIB, Some(16 * GIB)), Outcome::Passed, "a stock development server");
    assert_eq!(judged(GIB - 1, Some(64 * GIB)), Outcome::Passed);
    assert_eq!(severity(judged(GIB, Some(64 * GIB))), Severity::Low);
    assert_eq!(severity(judged(GIB, None)), Severity::Low);
    assert_eq!(judged(199, Some(1_000)), Outcome::Passed);
    assert_eq!(severity(judged(200, Some(1_000))), Severity::Low);
    assert_eq!(severity(judged(499, Some(1_000))), Severity::Low);
    assert_eq!(severity(judged(500, Some(1_000))), Severity::Medium);
    let text = remedy_of(judged(GIB, Some(64 * GIB)));
    assert!(
        text.starts_with("CONFIG SET maxmemory-policy allkeys-lru") && text.ends_with(&format!("CONFIG SET maxmemory {}", GIB / 2 * 3)),
        "{text}"
    );
    assert!(remedy_of(judged(600, Some(1_000))).ends_with("maxmemory 750"), "never above three quarters of the machine");
    assert!(remedy_of(judged(750, Some(1_000))).starts_with("# 750"), "no limit below what is used");
    let set = with_server(vec![cache()], |s| s.used_memory = 2 * GIB);
    assert_eq!(run("redis-maxmemory-unset", set), Outcome::Passed);
    let with = |change: fn(&mut Server)| {
        let mut made = unlimited(2 * GIB, None);
        change(made.server.as_mut().unwrap());
        run("redis-maxmemory-unset", made)
    };
    assert!(is_away(&with(|s| s.platform = "upstash".into())));
    assert_eq!(with(|s| s.role = "slave".into()), Outcome::Passed);
    assert_eq!(gap(with(|s| s.maxmemory = None)).cause.remedy(), Some("ACL SETUSER advisor +info +config|get"));
}

#[test]
fn fragmentation_needs_a_ratio_a_hundred_mebibytes_and_some_data() {
    let judged = |rss: Option<u64>, used: u64, system: u64| {
        run(
            "redis-fragmentation",
            with_server(vec![cache()], |s| {
                s.used_memory = used;
                s.used_memory_rss = rss;
                s.system_memory = Some(system);
            }),
        )
    };
    assert_eq!(judged(Some(300 * MIB), 200 * MIB, 8 * GIB), Outcome::Passed, "one and a half is not above it");
    assert_eq!(severity(judged(Some(300 * MIB + 1), 200 * MIB, 8 * GIB)), Severity::Low);
    assert_eq!(judged(Some(164 * MIB), 64 * MIB, 8 * GIB), Outcome::Passed, "a hundred mebibytes are not above it");
    assert_eq!(severity(judged(Some(165 * MIB), 64 * MIB, 8 * GIB)), Severity::Low);
    assert_eq!(judged(Some(400 * MIB), 64 * MIB - 1, 8 * GIB), Outcome::Passed, "what a large delete leaves behind");
    assert_eq!(severity(judged(Some(3 * GIB), 2 * GIB - 64 * MIB, 20 * GIB)), Severity::Medium);
    assert_eq!(severity(judged(Some(8 * GIB), 2 * GIB, 10 * GIB)), Severity::Medium, "wasted memory alone is never High");
    assert_eq!(judged(Some(900 * MIB), 1_000 * MIB, 8 * GIB), Outcome::Passed);
    assert_eq!(severity(judged(Some(899 * MIB), 1_000 * MIB, 8 * GIB)), Severity::Low);
    let swapped = found(judged(Some(750 * MIB), 1_000 * MIB, 8 * GIB));
    assert!(swapped.severity == Severity::Medium && swapped.observed.contains("swapped"), "{swapped:?}");
    assert!(matches!(gap(judged(None, 200 * MIB, 8 * GIB)).cause, Cause::Absent { .. }));
    let text = remedy_of(judged(Some(GIB), 200 * MIB, 8 * GIB));
    assert!(text.contains("MEMORY PURGE") && text.contains("CONFIG SET activedefrag yes") && text.contains("SHUTDOWN SAVE"), "{text}");
    let mut on = told(with_server(vec![cache()], |s| s.used_memory_rss = Some(GIB)), &[("activedefrag", "yes")]);
    on.server.as_mut().unwrap().used_memory = 200 * MIB;
    assert!(!remedy_of(run("redis-fragmentation", on.clone())).contains("activedefrag"), "it is on already");
    on.server.as_mut().unwrap().is_loading = true;
    assert_eq!(run("redis-fragmentation", on), Outcome::Passed);
}

#[test]
fn connections_are_counted_against_their_limit() {
    let judged = |clients, limit: Option<u64>| {
        run(
            "redis-clients-near-limit",
            with_server(vec![cache()], |s| {
                s.connected_clients = clients;
                s.maxclients = limit;
            }),
        )
    };
    assert_eq!(judged(80, Some(100)), Outcome::Passed);
    assert_eq!(severity(judged(81, Some(100))), Severity::Medium);
    assert_eq!(severity(judged(94, Some(100))), Severity::Medium);
    assert_eq!(severity(judged(95, Some(100))), Severity::High);
    assert!(remedy_of(judged(90, Some(100))).starts_with("CONFIG SET maxclients 180"));
    assert!(matches!(gap(judged(90, None)).cause, Cause::Denied { .. }));
    let managed = with_server(vec![cache()], |s| {
        (s.connected_clients, s.maxclients, s.platform) = (45, Some(50), "render".into());
    });
    assert!(remedy_of(run("redis-clients-near-limit", managed)).starts_with("# Render: the plan sets maxclients"));
}

#[test]
fn any_client_turned_away_in_the_window_is_named() {
    let judged = |total: u64, window: Option<(u64, u64)>, clients: u64| {
        run(
            "redis-rejected-connections",
            with_server(vec![cache()], |s| {
                let of = |rejected, received| Counters { rejected_connections: rejected, connections_received: received, ..Counters::default() };
                s.counters.total = of(total, 100_000);
                s.counters.window = window.map(|(rejected, received)| of(rejected, received));
                s.connected_clients = clients;
            }),
        )
    };
    assert_eq!(judged(0, Some((0, 50)), 12), Outcome::Passed);
    assert_eq!(severity(judged(1, Some((1, 1_000)), 12)), Severity::Medium);
    assert_eq!(severity(judged(249, Some((249, 1_000)), 12)), Severity::Medium);
    assert_eq!(severity(judged(250, Some((250, 1_000)), 12)), Severity::High);
    assert_eq!(severity(judged(7, Some((0, 50)), 12)), Severity::Info);
    assert!(gap(judged(7, None, 12)).detail.contains("reset inside the window"), "what the window saw is not known");
    assert_eq!(judged(0, None, 12), Outcome::Passed);
    assert!(!remedy_of(judged(1, Some((1, 9)), 12)).contains("maxclients"), "the default limit was not reached");
    assert!(remedy_of(judged(1, Some((1, 9)), 9_500)).starts_with("CONFIG SET maxclients 20000"));
}

#[test]
fn failing_persistence_is_told_and_an_earlier_snapshot_cannot_tell() {
    let judged = |is_failing, access| {
        run(
            "redis-persistence-failing",
            with_server(vec![cache()], |s| {
                s.is_persistence_failing = is_failing;
                s.access = access;
            }),
        )
    };
    assert_eq!(judged(false, Some(INSIDE)), Outcome::Passed);
    assert_eq!(severity(judged(true, Some(INSIDE))), Severity::High);
    assert_eq!(severity(judged(true, None)), Severity::High);
    assert_eq!(gap(judged(false, None)).cause, Cause::Unreadable);
}

fn waiting(jobs: u64) -> Queue {
    let now = QueueLengths { wait: jobs, ..QueueLengths::default() };
    Queue { database: 0, name: "bull:medusa-workflows".into(), role: Role::Workflows, now, before: None, is_attended: true }
}

#[test]
fn queues_without_persistence_are_named() {
    let id = "redis-queue-not-durable";
    let judged = |append: &str, sync: &str, save: &str, change: fn(&mut Instance)| {
        let mut made = told(instance(vec![queue(), cache()]), &[("appendonly", append), ("appendfsync", sync), ("save", save)]);
        change(&mut made);
        run(id, made)
    };
    let same: fn(&mut Instance) = |_| ();
    assert_eq!(judged("no", "everysec", "3600 1 300 100 60 10000", same), Outcome::Passed, "the default");
    assert_eq!(judged("yes", "everysec", "", same), Outcome::Passed);
    assert_eq!(severity(judged("yes", "always", "", same)), Severity::Low);
    let lost = judged("no", "everysec", "", same);
    assert_eq!(severity(lost.clone()), Severity::Medium);
    assert!(remedy_of(lost).starts_with("CONFIG SET appendonly yes\n---\nCONFIG SET save \"3600 1 300 100 60 10000\""));
    // A developer's machine looks like this; with a hundred jobs it is a shop's.
    let local: fn(&mut Instance) = |i| i.server.as_mut().unwrap().access = Some(Access { network: Network::Loopback, ..INSIDE });
    assert_eq!(severity(judged("no", "everysec", "", local)), Severity::Info);
    let few: fn(&mut Instance) = |i| {
        i.server.as_mut().unwrap().access = Some(Access { network: Network::Loopback, ..INSIDE });
        i.queues = Ok(vec![waiting(99)]);
    };
    assert_eq!(severity(judged("no", "everysec", "", few)), Severity::Info);
    let many: fn(&mut Instance) = |i| {
        i.server.as_mut().unwrap().access = Some(Access { network: Network::Loopback, ..INSIDE });
        i.queues = Ok(vec![waiting(60), waiting(40)]);
    };
    assert_eq!(severity(judged("no", "everysec", "", many)), Severity::Medium);
    let replicated: fn(&mut Instance) = |i| i.server.as_mut().unwrap().replicas = Some(1);
    assert!(found(judged("no", "everysec", "", replicated)).observed.contains("copy an empty master"));
    assert_eq!(judged("no", "everysec", "", |i| i.server.as_mut().unwrap().role = "slave".into()), Outcome::Passed);
    // Queues in a database that the scan never came to: found by name, or not known to be absent.
    let elsewhere = |append: &str, queues| {
        let mut made = unreached(told(instance(vec![cache()]), &[("appendonly", append), ("appendfsync", "everysec"), ("save", "")]));
        made.queues = Ok(queues);
        run(id, made)
    };
    assert!(found(elsewhere("no", vec![waiting(500)])).observed.contains("holds the queue bull:medusa-workflows, 500\u{a0}jobs"));
    assert!(matches!(gap(elsewhere("no", Vec::new())).cause, Cause::TooFew { .. }));
    assert_eq!(elsewhere("yes", Vec::new()), Outcome::Passed);
    assert!(is_away(&run(id, told(instance(vec![cache()]), &[("appendonly", "no"), ("save", "")]))));
}

#[test]
fn settings_that_are_not_told_leave_durability_unknown_with_what_to_do() {
    let id = "redis-queue-not-durable";
    assert!(gap(run(id, instance(vec![queue()]))).detail.contains("does not tell appendonly"));
    assert!(gap(run(id, told(instance(vec![queue()]), &[("appendonly", "no")]))).detail.contains("does not tell save"));
    let mut made = instance(vec![queue()]);
    made.config = Err(denied(Section::RedisConfig));
    assert_eq!(gap(run(id, made.clone())).cause.remedy(), Some("ACL SETUSER advisor +config|get"));
    // A provider that has no CONFIG: no grant helps, its console does.
    let cause = Cause::Absent { feature: "CONFIG GET".into(), remedy: String::new() };
    made.config = Err(Gap::new(Section::RedisConfig, cause, "switched off"));
    let remedy = gap(run(id, made)).cause.remedy().map(str::to_owned);
    assert!(remedy.is_some_and(|r| r.starts_with("Look appendonly, appendfsync and save up in the provider's console")));
}

#[test]
fn sessions_are_volatile_under_pressure_or_without_persistence() {
    let id = "redis-sessions-volatile";
    let judged = |policy: &str, used: u64, evicted: u64, append: &str, save: &str| {
        let made = with_server(vec![sessions(500)], |s| {
            s.maxmemory_policy = Some(policy.into());
            s.maxmemory = Some(1_000);
            s.used_memory = used;
            s.counters.window = Some(counters(0, 0, evicted));
        });
        run(id, told(made, &[("appendonly", append), ("save", save)]))
    };
    assert_eq!(judged("volatile-lru", 900, 0, "yes", ""), Outcome::Passed);
    assert!(found(judged("volatile-lru", 901, 0, "yes", "")).observed.contains("thrown away"));
    assert!(found(judged("allkeys-lru", 100, 1, "yes", "")).observed.contains("thrown away"));
    assert_eq!(judged("noeviction", 999, 0, "yes", ""), Outcome::Passed);
    assert_eq!(judged("noeviction", 10, 0, "no", "900 1"), Outcome::Passed);
    let lost = found(judged("noeviction", 10, 0, "no", ""));
    assert!(lost.severity == Severity::Low && lost.observed.contains("logs everybody out"), "{lost:?}");
    assert!(is_away(&run(id, instance(vec![cache()]))));
    // What INFO tells is enough to say that sessions are evicted, and not to say that they outlive a restart.
    let mut hidden = with_server(vec![sessions(500)], |s| {
        (s.maxmemory_policy, s.maxmemory, s.used_memory) = (Some("volatile-lru".into()), Some(1_000), 950);
    });
    hidden.config = Err(denied(Section::RedisConfig));
    assert_eq!(severity(run(id, hidden.clone())), Severity::Low);
    hidden.server.as_mut().unwrap().used_memory = 10;
    assert_eq!(gap(run(id, hidden)).section, Section::RedisConfig);
    let local = |keys| {
        let made = with_server(vec![sessions(keys)], |s| s.access = Some(Access { network: Network::Loopback, ..INSIDE }));
        run(id, told(made, &[("appendonly", "no"), ("save", "")]))
    };
    assert_eq!(local(999), Outcome::Passed);
    assert_eq!(severity(local(1_000)), Severity::Low);
    let elsewhere = |append| run(id, unreached(told(instance(vec![cache()]), &[("appendonly", append), ("save", "")])));
    assert!(gap(elsewhere("no")).detail.contains("before it came to database 1: whether a session is"));
    assert_eq!(elsewhere("yes"), Outcome::Passed, "whatever lies there outlives a restart");
}

#[test]
fn expired_keys_count_above_a_tenth_and_from_ten_thousand_on() {
    let judged = |share: Option<f64>, expiring: u64, keys: u64| {
        run(
            "redis-expiry-lag",
            with_server(vec![cache()], |s| {
                s.expired_stale_share = share;
                s.databases = vec![LogicalDatabase { index: 0, keys, keys_with_ttl: expiring, average_ttl_ms: 1 }];
            }),
        )
    };
    assert_eq!(judged(Some(0.10), 1_000_000, 1_000_000), Outcome::Passed);
    assert_eq!(severity(judged(Some(0.101), 1_000_000, 1_000_000)), Severity::Medium);
    assert_eq!(severity(judged(Some(0.11), 1_000_000, 10_000_000)), Severity::Low);
    assert_eq!(severity(judged(Some(0.90), 1_000_000, 1_000_000)), Severity::Medium);
    assert_eq!(judged(Some(0.20), 49_999, 50_000), Outcome::Passed);
    assert_eq!(severity(judged(Some(0.20), 50_000, 50_000)), Severity::Medium);
    assert_eq!(judged(None, 9_999, 9_999), Outcome::Passed, "so few keys cannot be too many");
    assert!(matches!(gap(judged(None, 10_000, 10_000)).cause, Cause::Absent { .. }));
    let made = with_server(vec![cache()], |s| {
        s.expired_stale_share = Some(0.5);
        s.databases[0] = LogicalDatabase { index: 0, keys: 100_000, keys_with_ttl: 100_000, average_ttl_ms: 1 };
    });
    let text = remedy_of(run("redis-expiry-lag", told(made, &[("lazyfree-lazy-expire", "no")])));
    assert!(text.starts_with("CONFIG SET active-expire-effort 10\n---\nCONFIG SET lazyfree-lazy-expire yes"), "{text}");
}

#[test]
fn replicas_are_judged_by_their_link_and_their_lag() {
    let id = "redis-replica-lag";
    let judged = |role: &str, is_down: bool, lag: Option<u64>, bytes_in: u64, uptime: u64| {
        run(
            id,
            with_server(vec![cache()], |s| {
                (s.role, s.master_link_down, s.replica_lag_bytes, s.uptime_s) = (role.into(), is_down, lag, uptime);
                s.counters.window = Some(Counters { net_input_bytes: bytes_in, ..Counters::default() });
            }),
        )
    };
    assert!(is_away(&judged("master", false, None, 0, 900)));
    assert_eq!(severity(judged("slave", true, Some(0), 0, 300)), Severity::High);
    assert_eq!(severity(judged("slave", true, Some(0), 0, 299)), Severity::Low, "it may be copying");
    assert_eq!(judged("slave", false, Some(10 * MIB), 0, 900), Outcome::Passed);
    assert_eq!(severity(judged("slave", false, Some(10 * MIB + 1), 0, 900)), Severity::Medium);
    // 30 s of 4 MiB a second: five seconds of that are 20 MiB.
    assert_eq!(judged("master", false, Some(20 * MIB), 120 * MIB, 900), Outcome::Passed);
    assert_eq!(severity(judged("master", false, Some(20 * MIB + 1), 120 * MIB, 900)), Severity::Medium);
    assert!(matches!(gap(judged("slave", false, None, 0, 900)).cause, Cause::Absent { .. }));
    let copying = |lag, syncing| {
        let made = with_server(vec![cache()], |s| (s.replicas, s.replicas_syncing, s.replica_lag_bytes) = (Some(2), syncing, lag));
        run(id, made)
    };
    assert!(gap(copying(None, 1)).detail.starts_with("1\u{a0}replica is still copying"));
    assert!(gap(copying(Some(0), 1)).detail.starts_with("1\u{a0}replica is still copying"), "the other one is close behind");
    assert_eq!(copying(Some(0), 0), Outcome::Passed);
    assert_eq!(severity(copying(Some(GIB), 1)), Severity::Medium);
}

fn at(version: &str, product: &str, on: time::Date) -> Outcome {
    let mut made = snapshot(with_server(vec![cache()], |s| (s.version, s.product) = (version.into(), product.into())));
    made.meta.taken_at = on.midnight().assume_utc();
    checks::find("redis-version-eol").unwrap().run(&made)
}

#[test]
fn versions_are_held_against_the_day_of_the_audit() {
    let on = date!(2026 - 11 - 23);
    assert_eq!(severity(at("7.0.14", "redis", on)), Severity::Low);
    assert_eq!(at("7.0.14", "redis", date!(2023 - 11 - 23)), Outcome::Passed);
    assert_eq!(severity(at("7.0.14", "redis", date!(2024 - 07 - 29))), Severity::Info, "the last day is a supported one");
    assert_eq!(severity(at("7.0.14", "redis", date!(2024 - 07 - 30))), Severity::Low);
    let debian = found(at("7.0.15", "redis", on));
    assert!(debian.severity == Severity::Info && debian.observed.contains("Debian and Ubuntu"), "{debian:?}");
    assert_eq!(severity(at("6.0.16", "redis", on)), Severity::Info);
    assert_eq!(severity(at("3.2.6", "redis", on)), Severity::Low, "older than the table");
    assert_eq!(severity(at("6.2.14", "redis", on)), Severity::Info, "its end is near");
    assert_eq!(at("6.2.14", "redis", date!(2026 - 10 - 02)), Outcome::Passed);
    assert_eq!(severity(at("6.2.14", "redis", date!(2026 - 10 - 03))), Severity::Info);
    assert_eq!(severity(at("6.2.14", "redis", date!(2027 - 04 - 02))), Severity::Low);
    for version in ["7.2.4", "7.4.1", "8.0.2", "8.2.3", "9.9.9"] {
        assert_eq!(at(version, "redis", on), Outcome::Passed, "{version}");
    }
    for version in ["7.2.5", "8.0.1", "8.1.1", "9.0.0", "9.1.2"] {
        assert_eq!(at(version, "valkey", on), Outcome::Passed, "{version}");
    }
    assert_eq!(severity(at("8.0.1", "valkey", date!(2027 - 09 - 16))), Severity::Low);
    assert_eq!(severity(at("6.3.4", "keydb", on)), Severity::Info);
    assert_eq!(at("1.23.0", "dragonfly", on), Outcome::Passed);
    assert!(gap(at("unknown", "redis", on)).detail.contains("no number"));
    let managed = with_server(vec![cache()], |s| (s.version, s.platform) = ("5.0.6".into(), "elasticache".into()));
    assert!(is_away(&run("redis-version-eol", managed)));
}

#[test]
fn access_is_judged_by_network_password_and_tls() {
    let id = "redis-open-access";
    let judged =
        |network, has_password, is_tls| run(id, with_server(vec![cache()], |s| s.access = Some(Access { is_tls, has_password, network, ..INSIDE })));
    assert_eq!(judged(Network::Loopback, false, false), Outcome::Passed);
    assert_eq!(judged(Network::Private, true, false), Outcome::Passed);
    assert_eq!(severity(judged(Network::Private, false, true)), Severity::Low);
    assert_eq!(judged(Network::Public, true, true), Outcome::Passed);
    assert_eq!(severity(judged(Network::Public, true, false)), Severity::Medium);
    assert_eq!(severity(judged(Network::Public, false, false)), Severity::Critical);
    assert_eq!(severity(judged(Network::Public, false, true)), Severity::Critical);
    assert_eq!(gap(run(id, instance(vec![cache()]))).cause, Cause::Unreadable, "an earlier snapshot does not tell");
    // What the audit's own session was asked for is not what others are asked for.
    let tried = |network, change: fn(&mut Access)| {
        let mut access = Access { network, is_named: true, is_tls: true, ..INSIDE };
        change(&mut access);
        run(id, with_server(vec![cache()], |s| s.access = Some(access)))
    };
    let open = found(tried(Network::Public, |a| a.lets_anybody_in = Some(true)));
    assert!(open.severity == Severity::Critical && open.observed.contains("the default user has none"), "{open:?}");
    assert_eq!(severity(tried(Network::Private, |a| a.lets_anybody_in = Some(true))), Severity::Low);
    assert_eq!(tried(Network::Public, |a| a.lets_anybody_in = Some(false)), Outcome::Passed);
    let untried = gap(tried(Network::Private, |_| ()));
    assert!(untried.cause.remedy().is_some_and(|r| r.starts_with("redis-cli -h \"$REDIS_HOST\" --tls PING")), "{untried:?}");
    assert_eq!(tried(Network::Loopback, |_| ()), Outcome::Passed);
    assert_eq!(severity(tried(Network::Public, |a| a.is_tls = false)), Severity::Medium, "clear text is known either way");
    // A client certificate is as good as a password where it is asked for.
    let shown: fn(&mut Access) = |a| (a.has_password, a.is_named, a.has_certificate) = (false, false, true);
    assert!(matches!(tried(Network::Public, shown), Outcome::Unknown(_)));
    let refused: fn(&mut Access) = |a| (a.has_password, a.has_certificate, a.lets_anybody_in) = (false, true, Some(false));
    assert_eq!(tried(Network::Public, refused), Outcome::Passed);
    let optional: fn(&mut Access) = |a| (a.has_password, a.has_certificate, a.lets_anybody_in) = (false, true, Some(true));
    assert!(found(tried(Network::Public, optional)).observed.contains("accepted and not asked for"));
    let inside = Some(Access { has_password: false, ..INSIDE });
    let managed = with_server(vec![cache()], |s| (s.access, s.platform) = (inside, "elasticache".into()));
    let usual = found(run(id, managed));
    assert!(usual.severity == Severity::Low && usual.observed.contains("Amazon ElastiCache runs many servers that way"), "{usual:?}");
    let mut laptop = snapshot(with_server(vec![cache()], |s| s.access = inside));
    laptop.meta.environment = "development".into();
    assert_eq!(severity(checks::find(id).unwrap().run(&laptop)), Severity::Info);
}

fn now() -> i64 {
    snapshot(instance(Vec::new())).meta.taken_at.unix_timestamp()
}

fn event(name: &str, age_s: i64, last_ms: u64) -> LatencyEvent {
    LatencyEvent { name: name.into(), at: now() - age_s, last_ms, max_ms: 5_000 }
}

fn with_events(events: Vec<LatencyEvent>, threshold: Option<&str>) -> Instance {
    let mut made = instance(vec![cache()]);
    made.latency = Ok(events);
    match threshold {
        Some(threshold) => told(made, &[("latency-monitor-threshold", threshold)]),
        None => made,
    }
}

#[test]
fn a_stop_counts_when_it_is_long_and_recent() {
    let id = "redis-latency-spikes";
    let judged = |name: &str, age, ms| run(id, with_events(vec![event(name, age, ms)], Some("50")));
    assert_eq!(judged("fork", 60, 99), Outcome::Passed, "the worst ever seen has no date");
    assert_eq!(severity(judged("fork", 60, 100)), Severity::Low);
    assert_eq!(severity(judged("fork", 31, 999)), Severity::Low);
    assert_eq!(severity(judged("fork", 31, 1_000)), Severity::Medium);
    assert_eq!(severity(judged("fork", 30, 999)), Severity::Medium, "in the window");
    assert_eq!(severity(judged("fork", 30, 1_000)), Severity::High);
    assert_eq!(severity(judged("fork", 6 * 3_600, 100)), Severity::Low);
    assert_eq!(judged("fork", 6 * 3_600 + 1, 4_000), Outcome::Passed);
    assert_eq!(judged("fork", 7 * 86_400, 4_000), Outcome::Passed, "last week's");
    assert_eq!(remedy_of(judged("aof-fsync-always", 60, 200)), "CONFIG SET appendfsync everysec");
    let both = run(id, with_events(vec![event("aof-write", 60, 200), event("aof-write-pending-fsync", 60, 200)], Some("50")));
    assert!(found(both).subject.name.starts_with("aof-write-pending-fsync"));
}

#[test]
fn no_event_is_good_news_only_while_the_monitor_is_on() {
    let id = "redis-latency-spikes";
    assert_eq!(run(id, with_events(Vec::new(), Some("100"))), Outcome::Passed);
    assert!(gap(run(id, with_events(Vec::new(), Some("101")))).detail.contains("records stops from 101"), "shorter ones are not seen");
    assert_eq!(gap(run(id, with_events(Vec::new(), Some("0")))).cause.remedy(), Some("CONFIG SET latency-monitor-threshold 100"));
    assert!(gap(run(id, with_events(Vec::new(), None))).detail.contains("does not tell latency-monitor-threshold"));
    let mut hidden = with_events(vec![event("fork", 60, 200)], None);
    hidden.config = Err(denied(Section::RedisConfig));
    assert_eq!(severity(run(id, hidden.clone())), Severity::Low, "an event is proof enough");
    hidden.latency = Ok(Vec::new());
    assert_eq!(gap(run(id, hidden)).section, Section::RedisConfig);
}

fn slow(command: &str, micros: u64, client: Option<&str>) -> SlowEntry {
    let client_name = client.map(str::to_owned);
    SlowEntry { id: 1, at: now() - 5, micros, command: command.into(), pattern: None, client_name, in_window: true }
}

fn with_slow(entries: Vec<SlowEntry>) -> Instance {
    let mut made = told(instance(vec![cache()]), &[("slowlog-log-slower-than", "10000")]);
    made.slowlog = Ok(entries);
    made
}

#[test]
fn a_stop_takes_the_name_of_its_command_and_becomes_its_symptom() {
    let mut made = with_slow(vec![slow("HGETALL", 300_000, None)]);
    made.latency = Ok(vec![event("command", 5, 300)]);
    let snapshot = snapshot(made);
    let spike = found(checks::find("redis-latency-spikes").unwrap().run(&snapshot));
    assert!(spike.observed.contains("The slow log names HGETALL"), "{}", spike.observed);
    let plan = medusa_advisor::plan::build(&snapshot, &[], |c| c.id.starts_with("redis-"));
    let of = |id: &str| plan.findings.iter().find(|r| r.check.id == id).unwrap();
    assert_eq!(of("redis-latency-spikes").symptom_of, Some(of("redis-slow-commands").key.clone()));
}

#[test]
fn slow_commands_are_ranked_by_share_and_by_the_longest() {
    let id = "redis-slow-commands";
    let judged = |calls: usize, micros: u64| run(id, with_slow((0..calls).map(|_| slow("HGETALL", micros, None)).collect()));
    // Two hundredths of 30 s are 0.6 s.
    assert_eq!(judged(59, 10_000), Outcome::Passed);
    assert_eq!(severity(judged(60, 10_000)), Severity::Low);
    assert_eq!(judged(127, 9_999), Outcome::Passed, "not what Redis calls slow");
    assert_eq!(judged(1, 99_999), Outcome::Passed);
    assert_eq!(severity(judged(1, 100_000)), Severity::Medium);
    assert_eq!(severity(judged(1, 999_999)), Severity::Medium);
    assert_eq!(severity(judged(1, 1_000_000)), Severity::High);
    assert_eq!(severity(judged(30, 49_999)), Severity::Low);
    assert_eq!(severity(judged(30, 50_000)), Severity::Medium);
    assert_eq!(severity(judged(100, 75_000)), Severity::High);
    assert!(found(judged(128, 20_000)).observed.starts_with("at least 128"));
    let earlier = SlowEntry { in_window: false, ..slow("HGETALL", 5_000_000, None) };
    assert_eq!(run(id, with_slow(vec![earlier])), Outcome::Passed);
}

#[test]
fn keys_and_its_like_belong_to_their_own_check() {
    let id = "redis-slow-commands";
    for command in ["KEYS", "FLUSHALL", "FLUSHDB"] {
        assert_eq!(run(id, with_slow(vec![slow(command, 2_000_000, None)])), Outcome::Passed, "{command}");
    }
    let mut sets = with_slow(vec![slow("SMEMBERS", 2_000_000, None)]);
    assert_eq!(severity(run(id, sets.clone())), Severity::High);
    sets.commands = Ok(vec![command("smembers", 10, 4_000_000, Some((2, 2_100_000)))]);
    assert_eq!(run(id, sets.clone()), Outcome::Passed, "redis-keys-command raises it");
    assert!(matches!(run("redis-keys-command", sets), Outcome::Failed(_)));
}

#[test]
fn scripts_of_queues_and_tools_are_told_by_their_client() {
    let judged = |command: &str, client: &str| found(run("redis-slow-commands", with_slow(vec![slow(command, 200_000, Some(client))])));
    let queue = judged("EVALSHA", "RedisEventBusService:ZXZlbnRzLXF1ZXVl");
    assert!(queue.observed.contains("BullMQ's, for events-queue") && queue.remedies[0].text.contains("removeOnFail"), "{queue:?}");
    assert!(judged("EVALSHA", "bull:bWVkdXNhLXdvcmtmbG93cw==:w").observed.contains("for medusa-workflows."));
    assert!(judged("EVALSHA", "bull:<id>").observed.contains("for a queue"));
    assert!(judged("SCAN", "redisinsight-common-<id>").observed.contains("a tool for people"));
    assert!(judged("HGETALL", "medusa-cache-redis").observed.contains("Medusa's cache"));
}

#[test]
fn an_empty_slow_log_is_good_news_only_while_it_is_kept() {
    let id = "redis-slow-commands";
    let with = |threshold: &str| {
        let mut made = instance(vec![cache()]);
        made.slowlog = Ok(Vec::new());
        run(id, told(made, &[("slowlog-log-slower-than", threshold)]))
    };
    assert_eq!(with("10000"), Outcome::Passed);
    assert!(gap(with("10001")).detail.contains("takes commands from"), "quicker ones are not seen");
    assert_eq!(gap(with("-1")).cause.remedy(), Some("CONFIG SET slowlog-log-slower-than 10000"));
    assert!(gap(run(id, instance(vec![cache()]))).detail.contains("does not tell slowlog-log-slower-than"));
    let mut hidden = with_slow(vec![SlowEntry { in_window: false, ..slow("HGETALL", 20_000, None) }]);
    hidden.config = Err(denied(Section::RedisConfig));
    assert_eq!(run(id, hidden.clone()), Outcome::Passed, "an entry shows that it is kept");
    hidden.slowlog = Ok(Vec::new());
    assert_eq!(gap(run(id, hidden)).section, Section::RedisConfig);
    let mut no_window = snapshot(with_slow(Vec::new()));
    no_window.meta.window_s = 0.0;
    assert!(matches!(gap(checks::find(id).unwrap().run(&no_window)).cause, Cause::TooYoung { .. }));
}

#[test]
fn a_slow_log_that_was_pushed_out_is_no_good_news() {
    let id = "redis-slow-commands";
    let with = |lost: Option<u64>, entries: usize, micros: u64, threshold: &str| {
        let mut made = told(instance(vec![cache()]), &[("slowlog-log-slower-than", threshold)]);
        made.slowlog = Ok((0..entries).map(|_| slow("HGETALL", micros, None)).collect());
        made.slowlog_lost = lost;
        run(id, made)
    };
    assert_eq!(with(Some(0), 200, 9, "0"), Outcome::Passed, "nothing is missing");
    let low = gap(with(Some(172), 128, 9, "0"));
    assert_eq!(low.cause.remedy(), Some("CONFIG SET slowlog-log-slower-than 10000"));
    assert!(low.detail.contains("lost at least 172 entries"), "{}", low.detail);
    assert_eq!(gap(with(Some(1), 0, 9, "10000")).cause.remedy(), Some("CONFIG SET slowlog-max-len 1024"));
    assert!(found(with(Some(172), 64, 120_000, "0")).observed.starts_with("at least 64"));
    assert!(found(with(Some(0), 128, 120_000, "0")).observed.starts_with("128"));
    // An earlier snapshot does not tell: a full log of the window alone was cut.
    assert_eq!(with(None, 127, 9, "0"), Outcome::Passed);
    assert!(matches!(with(None, 128, 9, "0"), Outcome::Unknown(_)));
}

/// Everything wrong at once, as far as it can be.
fn neglected() -> Instance {
    let mut made = with_server(vec![cache(), sessions(5_000)], |s| {
        (s.version, s.used_memory, s.used_memory_rss) = ("5.0.6".into(), 99 * MIB, Some(GIB));
        (s.connected_clients, s.maxclients) = (99, Some(100));
        (s.is_persistence_failing, s.replica_lag_bytes, s.replicas) = (true, Some(GIB), Some(1));
        s.access = Some(Access { has_password: false, network: Network::Public, ..INSIDE });
        s.expired_stale_share = Some(0.5);
        s.databases[0].keys_with_ttl = 100_000;
        s.counters.total.rejected_connections = 9;
        s.counters.window = Some(Counters { rejected_connections: 9, ..Counters::default() });
    });
    made.latency = Ok(vec![event("fork", 60, 500)]);
    made.slowlog = Ok(vec![slow("HGETALL", 500_000, None)]);
    told(made, &[("appendonly", "no"), ("save", ""), ("appendfsync", "everysec")])
}

#[test]
fn needs_and_uses_are_exact() {
    let shared = told(instance(vec![queue(), sessions(5_000)]), &[("appendonly", "no"), ("save", "")]);
    let quiet = told(
        with_server(vec![cache(), queue(), sessions(50)], |s| s.access = Some(INSIDE)),
        &[
            ("appendonly", "yes"),
            ("appendfsync", "everysec"),
            ("save", ""),
            ("latency-monitor-threshold", "100"),
            ("slowlog-log-slower-than", "10000"),
        ],
    );
    for (name, made) in [("neglected", neglected()), ("shared", shared), ("quiet", quiet), ("unlimited", unlimited(4 * GIB, None))] {
        let whole = snapshot(made);
        for id in IDS {
            let check = checks::find(id).unwrap();
            let before = check.run(&whole);
            for section in Section::ALL {
                let mut less: Snapshot = whole.clone();
                less.withhold(section, Gap::new(section, Cause::Unreadable, "withheld"));
                let after = check.run(&less);
                if check.needs.contains(&section) && !is_away(&before) {
                    assert!(matches!(after, Outcome::Unknown(_)), "{id} without {section:?} in {name}: {after:?}");
                } else if !check.needs.contains(&section) && !check.uses.contains(&section) && section != Section::Redis {
                    assert_eq!(before, after, "{id} must not read {section:?}");
                }
            }
        }
    }
}

#[test]
fn the_neglected_server_is_named_by_each_check() {
    let whole = snapshot(neglected());
    for id in IDS.iter().filter(|id| !matches!(**id, "redis-maxmemory-unset" | "redis-queue-not-durable")) {
        assert!(matches!(checks::find(id).unwrap().run(&whole), Outcome::Failed(_)), "{id}: {:?}", checks::find(id).unwrap().run(&whole));
    }
}

#[test]
fn every_finding_can_be_acted_on() {
    let shared = told(instance(vec![queue(), sessions(5_000)]), &[("appendonly", "no"), ("save", "")]);
    for platform in ["plain", "elasticache", "upstash", "managed"] {
        for mut made in [neglected(), shared.clone(), unlimited(4 * GIB, None)] {
            made.server.as_mut().unwrap().platform = platform.into();
            let whole = snapshot(made);
            for id in IDS {
                let Outcome::Failed(findings) = checks::find(id).unwrap().run(&whole) else { continue };
                findings.iter().for_each(|f| is_complete(id, f, platform));
            }
        }
    }
}

fn is_complete(id: &str, f: &Finding, platform: &str) {
    assert!(!f.observed.is_empty() && !f.step.is_empty() && !f.verify.is_empty() && !f.confidence_because.is_empty(), "{id}: {f:?}");
    assert!(f.observed.ends_with('.') && !f.remedies.is_empty() && !f.evidence.is_empty(), "{id}: {f:?}");
    assert!((0.0..=1.0).contains(&f.cost.share), "{id}: {f:?}");
    for remedy in &f.remedies {
        let sets = remedy.text.starts_with("CONFIG SET");
        assert!(platform == "plain" || !sets, "{id}: a managed server has no CONFIG SET: {}", remedy.text);
        assert!(!remedy.text.is_empty() && !remedy.risk.is_empty() && !remedy.risk.contains("  "), "{id}: {remedy:?}");
    }
}
