//! The Redis checks on made evidence: each side of every threshold, the gates, and that `needs` and `uses` are exact.

use crate::made_redis::*;
use medusa_advisor::checks;
use medusa_advisor::evidence::redis::{Pattern, Queue, QueueLengths, Role, SlowEntry};
use medusa_advisor::evidence::{Cause, Gap, Sampled, Section};
use medusa_advisor::finding::{Confidence, Outcome, RemedyKind, Severity};

#[test]
fn the_hit_rate_is_judged_from_its_target_and_enough_lookups_on() {
    let rate =
        |hits, misses| with_server(vec![cache()], |s| s.counters = Sampled { total: counters(0, 0, 0), window: Some(counters(hits, misses, 0)) });
    assert_eq!(run("redis-low-hit-rate", rate(700, 300)), Outcome::Passed);
    assert_eq!(found(run("redis-low-hit-rate", rate(699, 301))).confidence, Confidence::Medium);
    assert_eq!(found(run("redis-low-hit-rate", rate(5_000, 5_000))).confidence, Confidence::High);
    assert!(matches!(run("redis-low-hit-rate", rate(400, 599)), Outcome::Unknown(Gap { cause: Cause::TooFew { have: 999, .. }, .. })));
    // Half of the lookups missed: twenty points short. A tenth answered: sixty.
    assert_eq!(found(run("redis-low-hit-rate", rate(5_000, 5_000))).severity, Severity::Medium);
    assert_eq!(found(run("redis-low-hit-rate", rate(1_000, 9_000))).severity, Severity::High);
}

#[test]
fn a_shared_instance_has_no_hit_rate_and_an_empty_one_no_cache() {
    assert!(matches!(run("redis-low-hit-rate", instance(vec![cache(), queue()])), Outcome::Unknown(_)));
    assert!(matches!(run("redis-low-hit-rate", instance(vec![queue()])), Outcome::NotApplicable(_)));
    // Since the reset stands in for a window in which too little was asked.
    let quiet = with_server(vec![cache()], |s| s.counters = Sampled { total: counters(1_000, 9_000, 0), window: Some(counters(1, 1, 0)) });
    assert!(found(run("redis-low-hit-rate", quiet)).observed.contains("since the counters were reset"));
}

/// An instance of the cache alone that was quiet in the window, with these counts since the reset.
fn since_reset(hits: u64, misses: u64, calls: &[(&str, u64)]) -> Outcome {
    let mut quiet = with_server(vec![cache()], |s| s.counters = Sampled { total: counters(hits, misses, 0), window: Some(counters(0, 0, 0)) });
    quiet.commands = Ok(calls.iter().map(|(name, calls)| command(name, *calls, *calls, Some((0, 0)))).collect());
    run("redis-low-hit-rate", quiet)
}

#[test]
fn what_earlier_audits_looked_up_is_no_hit_of_the_store() {
    // One audit of 6,000 keys: TYPE and PTTL of each, the last use of sixty, and 88 parts of queues that are not there.
    let audit = [("get", 3_300), ("type", 6_024), ("pttl", 6_000), ("object|idletime", 60), ("llen", 24), ("zcard", 40), ("memory|usage", 60)];
    let first = found(since_reset(300, 3_000, &[("get", 3_300)]));
    let second = found(since_reset(300 + 12_060, 3_000 + 88, &audit));
    assert_eq!((first.severity, second.severity), (Severity::High, Severity::High));
    assert!(second.observed.contains("3,300") && second.observed.contains("without 12,148\u{a0}lookups of audits"), "{}", second.observed);
    // Before 7 the container counts, and collections were counted as well.
    let older = [("type", 6_024), ("pttl", 6_000), ("object", 60), ("llen", 24), ("zcard", 40), ("hlen", 6_000)];
    assert_eq!(found(since_reset(300 + 18_060, 3_000 + 88, &older)).severity, Severity::High);
    assert_eq!(since_reset(3_000 + 12_060, 300 + 88, &audit), Outcome::Passed, "a good cache stays good");
    // A monitor's TYPE without PTTL: hits or misses, nobody can tell.
    let Outcome::Unknown(gap) = since_reset(2_000 + 1_000, 1_300, &[("type", 1_000)]) else { panic!("between 61 and 91 percent") };
    assert!(gap.cause.remedy().is_some_and(|r| r.contains("CONFIG RESETSTAT")) && gap.detail.contains("between"), "{gap:?}");
    assert_eq!(since_reset(3_000 + 1_000, 300, &[("type", 1_000)]), Outcome::Passed, "good either way");
    // What the store counts itself is its own.
    assert!(matches!(since_reset(300, 3_000, &[("scard", 3_300), ("pttl", 100)]), Outcome::Failed(_)));
}

#[test]
fn audits_that_cannot_be_told_leave_no_rate_since_the_reset() {
    let blind = |window| {
        let mut made = with_server(vec![cache()], |s| s.counters = Sampled { total: counters(9_000, 1_000, 0), window: Some(window) });
        made.commands = Err(Gap::new(Section::RedisCommands, Cause::Unreadable, "hidden"));
        run("redis-low-hit-rate", made)
    };
    assert!(matches!(blind(counters(0, 0, 0)), Outcome::Unknown(Gap { section: Section::RedisCommands, .. })));
    assert_eq!(blind(counters(900, 100, 0)), Outcome::Passed, "the window is this audit's own");
}

#[test]
fn one_instance_that_cannot_be_read_leaves_the_cache_of_another() {
    let low = with_server(vec![cache()], |s| s.counters.window = Some(counters(1_000, 9_000, 0)));
    let mut two = snapshot(low);
    let mut lost = instance(vec![queue()]);
    lost.server = Err(Gap::new(Section::RedisServer, Cause::Unreachable, "gone"));
    lost.keys = Err(Gap::new(Section::RedisKeys, Cause::Unreachable, "gone"));
    two.redis.as_mut().unwrap().instances.insert(0, lost);
    for id in ["redis-memory-pressure", "redis-evictions", "redis-eviction-breaks-queues"] {
        assert!(matches!(checks::find(id).unwrap().run(&two), Outcome::Unknown(_)), "{id}: a lost instance is no pass");
    }
    assert_eq!(checks::measures::redis_hit_rate(&two).unwrap().of, 10_000);
}

#[test]
fn keys_is_ranked_by_what_it_blocks() {
    let keys = |calls, micros, size| {
        let mut made = with_server(vec![cache()], |s| s.databases[0].keys = size);
        made.commands = Ok(vec![command("keys", 100, 100_000, Some((calls, micros)))]);
        found(run("redis-keys-command", made)).severity
    };
    assert_eq!(keys(10, 1_000, 5_000), Severity::Low);
    assert_eq!(keys(10, 99_990, 5_000), Severity::Low);
    assert_eq!(keys(10, 100_000, 5_000), Severity::Medium);
    assert_eq!(keys(10, 1_000_000, 5_000), Severity::High);
    assert_eq!(keys(10, 1_000, 99_999), Severity::Low);
    assert_eq!(keys(10, 1_000, 100_000), Severity::Medium);
    assert_eq!(keys(10, 1_000, 1_000_000), Severity::High);
    // 1.5 s of 30 s is a twentieth of the time, 7.5 s a quarter.
    assert_eq!(keys(10_000, 1_499_999, 5_000), Severity::Low);
    assert_eq!(keys(10_000, 1_500_000, 5_000), Severity::Medium);
    assert_eq!(keys(10_000, 7_500_000, 5_000), Severity::High);
}

#[test]
fn keys_before_the_window_is_info_and_never_called_is_a_pass() {
    let with = |window| {
        let mut made = instance(vec![cache()]);
        made.commands = Ok(vec![command("keys", 100, 9_000_000, window)]);
        made
    };
    assert_eq!(found(run("redis-keys-command", with(Some((0, 0))))).severity, Severity::Info);
    // Read once, or reset inside the window: then it is not known what the window saw.
    let untold = |names: &[&str]| {
        let mut made = instance(vec![cache()]);
        made.commands = Ok(names.iter().map(|name| command(name, 300, 9_000, None)).collect());
        match run("redis-keys-command", made) {
            Outcome::Unknown(gap) => gap,
            other => panic!("{other:?}"),
        }
    };
    let reset = untold(&["flushdb", "get", "keys"]);
    assert!(
        matches!(reset.cause, Cause::TooYoung { .. }) && reset.detail.ends_with("they count 300\u{a0}calls of FLUSHDB, 300\u{a0}calls of KEYS."),
        "{reset:?}"
    );
    assert!(untold(&["get"]).detail.ends_with("is not known."), "what was called before the reset is gone");
    assert_eq!(run("redis-keys-command", instance(vec![cache()])), Outcome::Passed);
    let set = |micros| {
        let mut made = instance(vec![cache()]);
        made.commands = Ok(vec![command("smembers", 10, micros, Some((10, micros)))]);
        run("redis-keys-command", made)
    };
    assert_eq!(set(49_990), Outcome::Passed);
    assert_eq!(found(set(50_000)).subject.name, "SMEMBERS on cache.example:6379/0");
}

#[test]
fn the_remedy_for_keys_follows_the_version() {
    let judged = |major: Option<u8>, tag: bool| {
        let mut made = instance(vec![cache()]);
        made.commands = Ok(vec![command("keys", 10, 1_000, Some((10, 1_000)))]);
        let pattern = tag.then(|| "mc:tag:*".to_owned());
        made.slowlog = Ok(vec![SlowEntry { id: 1, at: 0, micros: 900, command: "KEYS".into(), pattern, client_name: None, in_window: true }]);
        let mut made = snapshot(made);
        if let Some(major) = major {
            made.postgres = Ok(postgres(major));
        }
        found(checks::find("redis-keys-command").unwrap().run(&made))
    };
    let one = judged(Some(1), false);
    assert_eq!(one.severity, Severity::Info, "stock version 1 calls KEYS itself");
    assert!(one.remedies[0].text.contains("prototype.invalidate") && one.remedies.iter().all(|r| r.kind != RemedyKind::Redis));
    let two = judged(Some(2), false);
    assert_eq!(two.severity, Severity::Low);
    assert!(two.remedies[0].text.contains("scanStream") && two.remedies.iter().any(|r| r.text == "ACL SETUSER default -keys"));
    assert!(judged(Some(2), true).remedies[0].text.starts_with("npm install"));
    assert!(judged(None, false).remedies[0].text.contains("scanStream"));
    // Without Postgres the names of version 1's prices tell it, unless keys of version 2 lie beside them.
    let by_keys = |patterns: Vec<_>| {
        let mut made = instance(patterns);
        made.commands = Ok(vec![command("keys", 10, 1_000, Some((10, 1_000)))]);
        found(run("redis-keys-command", made)).severity
    };
    let prices = || pattern("medusa:ps:variant_<ulid>:*", Role::Cache, 100, 0);
    assert_eq!(by_keys(vec![prices()]), Severity::Info);
    assert_eq!(by_keys(vec![prices(), queue()]), Severity::Low);
    assert_eq!(by_keys(vec![pattern("medusa:catalog:<id>", Role::CustomCache, 100, 0)]), Severity::Low);
}

#[test]
fn only_noeviction_is_safe_for_queues() {
    let judged = |policy: &str, limit: u64, used: u64, evicted: u64| {
        run(
            "redis-eviction-breaks-queues",
            with_server(vec![queue()], |s| {
                s.maxmemory_policy = Some(policy.into());
                s.maxmemory = Some(limit);
                s.used_memory = used;
                s.counters.window = Some(counters(0, 0, evicted));
            }),
        )
    };
    assert_eq!(judged("noeviction", 100, 99, 9), Outcome::Passed);
    assert_eq!(found(judged("allkeys-lru", 0, 99, 0)).severity, Severity::Low);
    assert_eq!(found(judged("allkeys-lru", 1_000, 899, 0)).severity, Severity::High);
    assert_eq!(found(judged("allkeys-lru", 1_000, 900, 0)).severity, Severity::Critical);
    assert_eq!(found(judged("allkeys-lru", 1_000, 100, 1)).severity, Severity::Critical);
    assert_eq!(found(judged("volatile-lru", 1_000, 899, 0)).severity, Severity::Medium);
    assert_eq!(found(judged("volatile-lru", 1_000, 900, 0)).severity, Severity::High);
    let unknown = with_server(vec![queue()], |s| s.maxmemory_policy = None);
    assert!(matches!(run("redis-eviction-breaks-queues", unknown), Outcome::Unknown(_)));
    assert!(matches!(run("redis-eviction-breaks-queues", instance(vec![cache()])), Outcome::NotApplicable(_)));
}

#[test]
fn queues_may_lie_in_a_database_that_the_scan_never_came_to() {
    let id = "redis-eviction-breaks-queues";
    let evicting = |patterns| with_server(patterns, |s| s.maxmemory_policy = Some("allkeys-lru".into()));
    let gap = match run(id, unreached(evicting(vec![cache()]))) {
        Outcome::Unknown(gap) => gap,
        other => panic!("{other:?}"),
    };
    assert!(gap.detail.contains("ran out of time before it came to database 1: whether a queue's key"), "{}", gap.detail);
    assert_eq!(run(id, unreached(instance(vec![cache()]))), Outcome::Passed, "noeviction is safe whatever lies there");
    assert!(matches!(run(id, unreached(evicting(vec![cache(), queue()]))), Outcome::Failed(_)));
    // The queue was found by its name.
    let mut read = unreached(evicting(vec![cache()]));
    let (now, name) = (QueueLengths { wait: 500, ..QueueLengths::default() }, "RedisEventBusService:events-queue".to_owned());
    read.queues = Ok(vec![Queue { database: 1, name, role: Role::EventBus, now, before: None, is_attended: true }]);
    let found = found(run(id, read));
    assert!(found.observed.contains("holds the queue RedisEventBusService:events-queue under allkeys-lru"), "{}", found.observed);
    assert_eq!(found.touches, ["keys:RedisEventBusService:events-queue"]);
    // A cache of a million keys, of which ten thousand were drawn: 300 keys of a queue of the store's own may be there, no more.
    let mut large = evicting(vec![cache()]);
    let keys = large.keys.as_mut().unwrap();
    (keys.keys_total, keys.keys_sampled, keys.is_complete) = (1_000_000, 10_000, false);
    assert_eq!(run(id, large.clone()), Outcome::Passed);
    large.keys.as_mut().unwrap().keys_total = 3_333_334;
    assert!(matches!(run(id, large), Outcome::Unknown(_)));
}

#[test]
fn a_cache_is_alone_only_where_every_database_was_looked_into() {
    let low = with_server(vec![cache()], |s| s.counters.window = Some(counters(1_000, 9_000, 0)));
    assert!(matches!(run("redis-low-hit-rate", low.clone()), Outcome::Failed(_)));
    assert!(matches!(run("redis-low-hit-rate", unreached(low)), Outcome::Unknown(Gap { cause: Cause::TooFew { .. }, .. })));
}

#[test]
fn cache_keys_without_a_lifetime_are_counted_from_a_tenth_and_a_hundred_on() {
    let judged = |role, keys, without| run("redis-cache-without-ttl", instance(vec![pattern("cache:product:<n>", role, keys, without), cache()]));
    assert_eq!(judged(Role::CustomCache, 1_001, 100), Outcome::Passed);
    assert_eq!(judged(Role::CustomCache, 99, 99), Outcome::Passed);
    assert_eq!(found(judged(Role::CustomCache, 1_000, 100)).confidence, Confidence::High);
    for role in [Role::EventBus, Role::Queue, Role::Workflows, Role::Locks, Role::Sessions, Role::Other] {
        assert_eq!(judged(role, 1_000, 1_000), Outcome::Passed, "{role:?}");
    }
    assert!(matches!(run("redis-cache-without-ttl", instance(vec![queue()])), Outcome::NotApplicable(_)));
}

#[test]
fn a_small_sample_says_how_unsure_it_is() {
    let sampled = |keys, without| {
        let mut made = instance(vec![Pattern { keys_estimate: 50_000, ..pattern("cache:product:<n>", Role::CustomCache, keys, without) }]);
        made.keys.as_mut().unwrap().is_complete = false;
        found(run("redis-cache-without-ttl", made))
    };
    assert_eq!(sampled(40, 5).confidence, Confidence::Low);
    let sure = sampled(1_000, 500);
    assert_eq!(sure.confidence, Confidence::High);
    assert!(sure.observed.contains("25,000"), "{}", sure.observed);
    let shell = sure.remedies.iter().find(|r| r.kind == RemedyKind::Shell).unwrap();
    assert!(shell.text.contains("--pattern 'cache:product:*' | grep -aE '^cache:product:[0-9.]+$' |") && shell.text.contains("3600 NX"));
    assert!(shell.risk.contains("outside the sample"));
    let beside = vec![
        pattern("cache:product:<n>", Role::CustomCache, 1_000, 500),
        Pattern { kind: "zset".into(), ..pattern("cache:product:<n>", Role::CustomCache, 9, 0) },
    ];
    let told = found(run("redis-cache-without-ttl", instance(beside)));
    assert!(told.remedies.iter().all(|r| r.kind != RemedyKind::Shell), "a sorted set has such a name: {told:?}");
}

#[test]
fn memory_is_judged_above_nine_tenths_of_the_limit() {
    let judged = |used: u64, policy: &str, patterns: Vec<Pattern>| {
        run(
            "redis-memory-pressure",
            with_server(patterns, |s| {
                s.used_memory = used;
                s.maxmemory = Some(1_000);
                s.maxmemory_policy = Some(policy.into());
            }),
        )
    };
    assert_eq!(judged(900, "noeviction", vec![queue()]), Outcome::Passed);
    assert_eq!(found(judged(901, "noeviction", vec![queue()])).severity, Severity::High);
    assert_eq!(found(judged(969, "noeviction", vec![queue()])).severity, Severity::High);
    assert_eq!(found(judged(970, "noeviction", vec![queue()])).severity, Severity::Critical);
    assert_eq!(found(judged(999, "allkeys-lru", vec![cache()])).severity, Severity::Info, "a cache lives at its limit");
    assert_eq!(found(judged(999, "allkeys-lru", vec![queue()])).severity, Severity::Low);
    let hidden = with_server(vec![cache()], |s| s.maxmemory = None);
    assert!(matches!(run("redis-memory-pressure", hidden), Outcome::Unknown(_)));
    let unlimited = with_server(vec![cache()], |s| s.maxmemory = Some(0));
    assert_eq!(run("redis-memory-pressure", unlimited), Outcome::Passed);
}

#[test]
fn evictions_are_counted_in_the_window_alone() {
    let judged = |total, window: Option<(u64, u64, u64)>| {
        run(
            "redis-evictions",
            with_server(vec![cache()], |s| {
                s.maxmemory_policy = Some("allkeys-lru".into());
                s.counters = Sampled { total: counters(0, 0, total), window: window.map(|(h, m, e)| counters(h, m, e)) };
            }),
        )
    };
    assert_eq!(judged(1_000, Some((900, 100, 9))), Outcome::Passed);
    assert_eq!(found(judged(1_000, Some((900, 100, 10)))).severity, Severity::Low);
    assert_eq!(found(judged(1_000, Some((951, 49, 500)))).severity, Severity::Low);
    assert_eq!(found(judged(1_000, Some((950, 50, 50)))).severity, Severity::Medium);
    assert_eq!(found(judged(1_000, Some((750, 250, 900)))).severity, Severity::High);
    assert_eq!(judged(0, None), Outcome::Passed);
    assert!(matches!(judged(1, None), Outcome::Unknown(_)));
}

#[test]
fn needs_and_uses_are_exact() {
    let mut bad = with_server(vec![pattern("cache:product:<n>", Role::CustomCache, 1_000, 900), cache()], |s| {
        s.used_memory = 99 * MIB;
        s.counters.window = Some(counters(1_000, 9_000, 5_000));
    });
    bad.commands = Ok(vec![command("keys", 10, 1_000, Some((10, 1_000)))]);
    let queues = with_server(vec![queue()], |s| s.maxmemory_policy = Some("allkeys-lru".into()));
    for (i, made) in [bad, queues].into_iter().enumerate() {
        let mut whole = snapshot(made);
        whole.postgres = Ok(postgres(2));
        for check in checks::registry::ALL.iter().filter(|c| c.id.starts_with("redis-")) {
            let before = check.run(&whole);
            for section in Section::ALL {
                let mut less = whole.clone();
                less.withhold(section, Gap::new(section, Cause::Unreadable, "withheld"));
                let after = check.run(&less);
                if check.needs.contains(&section) && !matches!(before, Outcome::NotApplicable(_)) {
                    assert!(matches!(after, Outcome::Unknown(_)), "{} without {section:?} in {i}: {after:?}", check.id);
                } else if !check.needs.contains(&section) && !check.uses.contains(&section) && !matches!(section, Section::Redis | Section::Postgres)
                {
                    assert_eq!(before, after, "{} must not read {section:?}", check.id);
                }
            }
        }
    }
}

#[test]
fn texts_keep_to_the_rules() {
    for check in checks::registry::ALL.iter().filter(|c| c.id.starts_with("redis-")) {
        assert!(check.title.chars().count() <= 70, "{}", check.id);
        assert!(check.symptom_of.iter().all(|id| checks::find(id).is_some()), "{}", check.id);
        assert!(!format!("{}{}{}", check.title, check.why, check.remedy).contains("simply"));
    }
}
