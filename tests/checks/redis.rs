//! The Redis checks on made evidence: each side of every threshold, the gates, and that `needs` and `uses` are exact.

use crate::made_redis::*;
use medusa_advisor::checks;
use medusa_advisor::evidence::redis::{Pattern, Role, SlowEntry};
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
    assert_eq!(found(run("redis-keys-command", with(None))).severity, Severity::Info);
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
    assert!(shell.text.contains("--pattern 'cache:product:*'") && shell.text.contains("3600 NX"));
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
