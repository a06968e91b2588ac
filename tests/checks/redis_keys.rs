//! The Redis checks of keys and queues on made evidence: each side of every threshold, the gates, and that `needs` and `uses` are exact.

use crate::made_redis::{MIB, cache, command, found, instance, pattern, postgres, queue, run, snapshot, with_server};
use crate::redis_keys_fixture::{EVENTS, EVENTS_WORKER, client, events, job_hashes, waiting, with_postgres};
use medusa_advisor::checks;
use medusa_advisor::evidence::redis::{Instance, Pattern, Queue, QueueLengths, Role, SlowEntry};
use medusa_advisor::evidence::{Cause, Gap, Section, Snapshot};
use medusa_advisor::finding::{Basis, Confidence, Finding, Outcome, RemedyKind, Resource, Severity};

const IDS: [&str; 10] = [
    "redis-shared-roles",
    "redis-catalogue-uncached",
    "redis-big-key",
    "redis-jobs-retained",
    "redis-job-backlog",
    "redis-no-worker",
    "redis-cache-tags-leak",
    "redis-session-flood",
    "redis-stranded-transactions",
    "redis-hot-key",
];

fn partial(mut made: Instance, total: u64) -> Instance {
    let keys = made.keys.as_mut().unwrap();
    (keys.keys_total, keys.is_complete, keys.ended_by) = (total, false, Some("keys".into()));
    made
}

fn judge(id: &str, made: &Snapshot) -> Outcome {
    checks::find(id).unwrap().run(made)
}

fn gap(outcome: Outcome) -> Gap {
    match outcome {
        Outcome::Unknown(gap) => gap,
        other => panic!("{other:?}"),
    }
}

fn text_of(finding: &Finding, kind: RemedyKind) -> &str {
    finding.remedies.iter().find(|r| r.kind == kind).map_or_else(|| panic!("{:?}", finding.remedies), |r| r.text.as_str())
}

fn string(name: &str, role: Role, bytes: u64) -> Pattern {
    Pattern { kind: "string".into(), bytes_max: Some(bytes), ..pattern(name, role, 10, 0) }
}

fn collection(kind: &str, elements: u64) -> Pattern {
    Pattern { kind: kind.into(), elements_max: Some(elements), bytes_max: Some(elements * 10), ..pattern("user:<id>:views", Role::Other, 10, 0) }
}

#[test]
fn keys_are_big_by_bytes_and_by_elements() {
    let of = |p: Pattern| run("redis-big-key", instance(vec![p]));
    for (bytes, severity) in [
        (100_001, Severity::Low),
        (999_999, Severity::Low),
        (1_000_000, Severity::Medium),
        (9_999_999, Severity::Medium),
        (10_000_000, Severity::High),
    ] {
        assert_eq!(found(of(string("cache:page:<n>", Role::CustomCache, bytes))).severity, severity, "{bytes}");
    }
    assert_eq!(of(string("cache:page:<n>", Role::CustomCache, 100_000)), Outcome::Passed);
    for (elements, severity) in
        [(10_001, Severity::Low), (99_999, Severity::Low), (100_000, Severity::Medium), (999_999, Severity::Medium), (1_000_000, Severity::High)]
    {
        let p = Pattern { bytes_max: Some(1_000), ..collection("zset", elements) };
        assert_eq!(found(of(p)).severity, severity, "{elements}");
    }
    assert_eq!(of(collection("set", 10_000)), Outcome::Passed);
    // Few fields, but ten megabytes of them.
    assert_eq!(of(Pattern { bytes_max: Some(10_000_000), ..collection("hash", 3) }), Outcome::Passed);
    assert_eq!(found(of(Pattern { bytes_max: Some(10_000_001), ..collection("hash", 3) })).severity, Severity::High);
    // The caching module compresses: a long list is a few hundred kilobytes.
    let entry = |bytes| Pattern { bytes_max: Some(bytes), elements_max: Some(2), ..cache() };
    assert_eq!(of(entry(1_000_000)), Outcome::Passed);
    assert_eq!(found(of(entry(1_000_001))).severity, Severity::Medium);
}

#[test]
fn queues_and_tag_sets_are_not_big_keys() {
    for (name, role, kind) in [
        ("RedisEventBusService:events-queue:events", Role::EventBus, "stream"),
        ("bull:mails:completed", Role::Queue, "zset"),
        ("dtrx:complete-cart:auto-<ulid>", Role::Workflows, "string"),
        ("mc:tag:<hash16>", Role::CacheTags, "set"),
    ] {
        let p = Pattern { kind: kind.into(), elements_max: Some(2_000_000), bytes_max: Some(90_000_000), ..pattern(name, role, 1, 1) };
        assert_eq!(run("redis-big-key", instance(vec![p])), Outcome::Passed, "{name}");
    }
}

#[test]
fn a_slow_read_of_a_big_key_makes_it_worse() {
    let slow = |pattern: &str, in_window| {
        let mut made = instance(vec![collection("set", 20_000)]);
        let pattern = Some(pattern.to_owned());
        made.slowlog = Ok(vec![SlowEntry { id: 1, at: 0, micros: 40_000, command: "SMEMBERS".into(), pattern, client_name: None, in_window }]);
        found(run("redis-big-key", made)).severity
    };
    assert_eq!(slow("user:<id>:views", true), Severity::Medium);
    assert_eq!(slow("user:<id>:views", false), Severity::Low);
    assert_eq!(slow("user:<id>:other", true), Severity::Low);
}

#[test]
fn keys_that_were_not_measured_are_not_known_to_be_small() {
    let unmeasured = Pattern { bytes_max: None, bytes_estimate: None, measured: 0, ..string("cache:page:<n>", Role::CustomCache, 0) };
    let told = gap(run("redis-big-key", instance(vec![unmeasured.clone()])));
    assert_eq!(told.cause, Cause::Denied { grant: "ACL SETUSER advisor ~* +memory|usage".into() });
    let entries = Pattern { bytes_max: None, bytes_estimate: None, measured: 0, elements_max: None, ..cache() };
    assert_eq!(gap(run("redis-big-key", instance(vec![entries]))).cause, told.cause);
    // Sixty of a family say nothing of three big ones among the others; a few that expired meanwhile are no matter.
    let some = |measured| Pattern { measured, ..pattern("cache:product:<n>", Role::CustomCache, 5_000, 0) };
    let strings = |measured| Pattern { kind: "string".into(), ..some(measured) };
    let few = gap(run("redis-big-key", instance(vec![strings(60)])));
    assert_eq!(few.cause, Cause::TooFew { have: 60, need: 5_000, what: "measured keys".into() });
    assert!(few.detail.starts_with("60 of 5,000"), "{}", few.detail);
    assert!(matches!(run("redis-big-key", instance(vec![strings(4_499)])), Outcome::Unknown(_)));
    assert_eq!(run("redis-big-key", instance(vec![strings(4_500)])), Outcome::Passed);
    // Of short collections a part is enough.
    assert_eq!(run("redis-big-key", instance(vec![Pattern { elements_max: Some(4), ..some(60) }])), Outcome::Passed);
    assert_eq!(
        found(run("redis-big-key", instance(vec![strings(60), string("cache:page:<n>", Role::CustomCache, 200_000)]))).severity,
        Severity::Low
    );
    // A big collection is a finding all the same.
    let big = Pattern { bytes_max: None, ..collection("set", 20_000) };
    assert_eq!(found(run("redis-big-key", instance(vec![unmeasured, big]))).severity, Severity::Low);
    let uncounted = Pattern { elements_max: None, bytes_max: None, ..collection("set", 0) };
    assert!(matches!(gap(run("redis-big-key", instance(vec![uncounted]))).cause, Cause::Denied { .. }));
}

fn queued(queues: Vec<Queue>) -> Instance {
    let mut made = instance(vec![queue()]);
    made.queues = Ok(queues);
    made.clients = Ok(vec![client("medusa-cache-redis", "hget")]);
    made
}

#[test]
fn finished_jobs_are_counted_from_a_thousand_on() {
    let of = |completed, failed| {
        let now = QueueLengths { completed, failed, ..QueueLengths::default() };
        run("redis-jobs-retained", queued(vec![events(now, now)]))
    };
    assert_eq!(of(1_000, 1_000), Outcome::Passed);
    let failed = found(of(0, 1_001));
    assert_eq!((failed.severity, failed.cost.resource), (Severity::Low, Resource::Memory));
    assert!(text_of(&failed, RemedyKind::Shell).contains(":failed 0 -1001") && !text_of(&failed, RemedyKind::Shell).contains(":completed"));
    assert!(text_of(&failed, RemedyKind::MedusaConfig).contains("removeOnFail"));
    assert!(found(of(1_001, 1_001)).observed.contains("2,002"));
    assert!(matches!(run("redis-jobs-retained", queued(vec![])), Outcome::NotApplicable(_)));
}

#[test]
fn the_retention_of_scheduled_jobs_is_on_purpose() {
    let of = |name: &str, completed, failed| {
        let now = QueueLengths { completed, failed, ..QueueLengths::default() };
        let queue = Queue { name: name.into(), role: Role::Workflows, ..events(now, now) };
        run("redis-jobs-retained", queued(vec![queue]))
    };
    assert_eq!(of("bull:medusa-workflows-jobs", 1_000, 5_000), Outcome::Passed);
    assert!(found(of("bull:medusa-workflows-jobs", 0, 5_001)).observed.contains("5,001 failed"));
    assert!(found(of("bull:medusa-workflows-jobs", 1_001, 0)).observed.contains("1,001 completed"));
    assert!(found(of("bull:medusa-workflows", 0, 1_001)).observed.contains("1,001 failed"));
}

#[test]
fn job_hashes_are_kept_where_no_part_of_the_queue_names_them() {
    let of = |hashes: Pattern, now: QueueLengths, total: Option<u64>| {
        let mut made = queued(vec![events(now, now)]);
        made.keys = instance(vec![hashes]).keys;
        run("redis-jobs-retained", total.map_or(made.clone(), |t| partial(made, t)))
    };
    assert_eq!(of(job_hashes(1_500), waiting(500), None), Outcome::Passed);
    let loose = found(of(job_hashes(1_501), waiting(500), None));
    assert!(loose.observed.contains("1,001 in no part of the queue"), "{}", loose.observed);
    assert_eq!(loose.confidence, Confidence::High);
    // 100 keys drawn stand for 1,300 give or take a fifth: 1,040 at least.
    let drawn = |estimate| Pattern { keys_estimate: estimate, ..job_hashes(100) };
    assert_eq!(of(drawn(1_250), waiting(0), Some(5_000)), Outcome::Passed);
    assert_eq!(found(of(drawn(1_300), waiting(0), Some(5_000))).confidence, Confidence::Medium);
}

#[test]
fn kept_jobs_weigh_by_their_memory() {
    let of = |jobs: u64, used: u64| {
        let now = QueueLengths { failed: jobs, ..QueueLengths::default() };
        let mut made = queued(vec![events(now, now)]);
        made.server.as_mut().unwrap().used_memory = used;
        made.keys = instance(vec![job_hashes(jobs)]).keys;
        found(run("redis-jobs-retained", made))
    };
    // A thousand bytes each: 40 MB.
    assert_eq!(of(40_000, 800_000_001).severity, Severity::Low);
    assert_eq!(of(40_000, 800_000_000).severity, Severity::Medium);
    assert_eq!(of(40_000, 160_000_001).severity, Severity::Medium);
    assert_eq!(of(40_000, 160_000_000).severity, Severity::High);
    assert_eq!(of(40_000, 160_000_000).gain.and_then(|g| g.memory_bytes), Some(40_000_000));
    // A good part of a small instance.
    assert_eq!(of(13_000, 20_000_000).severity, Severity::Low);
}

#[test]
fn a_backlog_grows_by_more_than_noise() {
    let of = |now: u64, before: u64| run("redis-job-backlog", queued(vec![events(waiting(now), waiting(before))]));
    assert_eq!(of(100, 0), Outcome::Passed);
    assert_eq!(found(of(101, 91)).severity, Severity::Medium);
    assert_eq!(of(101, 92), Outcome::Passed);
    // One in a hundred of five thousand.
    assert_eq!(of(5_049, 5_000), Outcome::Passed);
    assert_eq!(found(of(5_050, 5_000)).severity, Severity::High, "1.7 a second double 5,050 within the hour");
    assert_eq!(found(of(999, 980)).severity, Severity::Medium, "few");
    assert_eq!(found(of(1_000, 980)).severity, Severity::High);
    // Neither growing nor shrinking.
    assert_eq!(of(9_999, 9_999), Outcome::Passed);
    assert_eq!(found(of(10_000, 10_000)).severity, Severity::Low);
    assert_eq!(found(of(10_000, 10_099)).severity, Severity::Low);
    assert_eq!(of(10_000, 10_102), Outcome::Passed);
}

#[test]
fn a_slow_growth_is_medium_and_a_large_one_high() {
    let of = |now: u64, before: u64, seconds: f64| {
        let mut queue = events(waiting(now), waiting(before));
        queue.before = Some((seconds, waiting(before)));
        found(run("redis-job-backlog", queued(vec![queue]))).severity
    };
    // 10 in 360 s: 1,000 take ten hours to double; in 36 s, an hour.
    assert_eq!(of(1_000, 990, 36.0), Severity::High);
    assert_eq!(of(1_000, 990, 36.1), Severity::Medium);
    assert_eq!(of(10_100, 10_000, 3_600.0), Severity::High);
}

#[test]
fn a_queue_read_once_is_unknown_until_it_is_large() {
    let of = |now: u64| run("redis-job-backlog", queued(vec![Queue { before: None, ..events(waiting(now), waiting(0)) }]));
    assert_eq!(of(100), Outcome::Passed);
    assert!(matches!(gap(of(101)).cause, Cause::TooFew { have: 1, need: 2, .. }));
    assert!(matches!(of(9_999), Outcome::Unknown(_)));
    let large = found(of(10_000));
    assert_eq!((large.severity, large.confidence), (Severity::Low, Confidence::Low));
    assert!(matches!(run("redis-job-backlog", instance(vec![queue()])), Outcome::NotApplicable(_)));
}

#[test]
fn the_oldest_job_is_told_by_its_hash() {
    let of = |now: QueueLengths| {
        let mut made = queued(vec![events(now, waiting(0))]);
        made.keys = instance(vec![Pattern { idle_s_max: Some(7_200), ..job_hashes(200) }]).keys;
        found(run("redis-job-backlog", made)).observed
    };
    assert!(of(waiting(200)).contains("2\u{a0}h"), "{}", of(waiting(200)));
    let kept = QueueLengths { failed: 1, ..waiting(200) };
    assert!(!of(kept).contains("oldest"), "a failed job is older than those that wait");
    assert!(of(QueueLengths { paused: 200, ..QueueLengths::default() }).contains("The queue is paused."));
}

#[test]
fn no_worker_is_said_where_nothing_speaks_of_one() {
    let of = |now: u64, before: u64| run("redis-no-worker", queued(vec![events(waiting(now), waiting(before))]));
    let piled = found(of(10, 10));
    assert_eq!((piled.severity, piled.confidence), (Severity::High, Confidence::High));
    assert!(text_of(&piled, RemedyKind::Shell).contains("MEDUSA_WORKER_MODE=worker"));
    assert_eq!(found(of(9, 9)).severity, Severity::Low, "left between two deployments");
    assert_eq!(found(of(9, 8)).severity, Severity::High, "and growing");
    assert_eq!(of(10, 11), Outcome::Passed, "somebody took one");
    assert_eq!(of(0, 0), Outcome::Passed, "nothing waits");
}

#[test]
fn a_worker_is_known_by_its_mark_or_its_name() {
    let of = |change: &dyn Fn(&mut Queue), clients: &[(&str, &str)]| {
        let mut queue = events(waiting(50), waiting(50));
        change(&mut queue);
        let mut made = queued(vec![queue]);
        made.clients.as_mut().unwrap().extend(clients.iter().map(|(n, c)| client(n, c)));
        run("redis-no-worker", made)
    };
    let same = |_: &mut Queue| {};
    assert_eq!(of(&same, &[(EVENTS_WORKER, "bzpopmin")]), Outcome::Passed);
    assert_eq!(of(&|q| q.is_attended = true, &[]), Outcome::Passed);
    assert!(matches!(of(&same, &[("bull:ZXZlbnRzLXF1ZXVl", "bzpopmin")]), Outcome::Failed(_)), "another prefix is another queue");
    assert!(matches!(of(&same, &[("RedisEventBusService:ZXZlbnRzLXF1ZXVl:<id>", "xread")]), Outcome::Failed(_)), "a listener works nothing");
    let paused = |q: &mut Queue| q.now = QueueLengths { paused: 50, ..QueueLengths::default() };
    assert_eq!(of(&paused, &[]), Outcome::Passed, "paused by somebody");
    assert!(matches!(of(&|q| q.name = "shop:mails".into(), &[]), Outcome::Unknown(_)), "a prefix of its own hides its workers");
}

#[test]
fn a_store_that_is_off_and_a_replica_raise_no_alarm() {
    let mut off = queued(vec![events(waiting(50), waiting(50))]);
    off.clients = Ok(Vec::new());
    let low = found(run("redis-no-worker", off));
    assert_eq!((low.severity, low.confidence), (Severity::Low, Confidence::Low));
    let mut replica = queued(vec![events(waiting(50), waiting(50))]);
    replica.server.as_mut().unwrap().role = "slave".into();
    assert!(matches!(gap(run("redis-no-worker", replica)).cause, Cause::Absent { .. }));
    assert!(matches!(run("redis-no-worker", instance(vec![queue()])), Outcome::NotApplicable(_)));
}

const QUEUE_CHECKS: [&str; 3] = ["redis-job-backlog", "redis-jobs-retained", "redis-no-worker"];

#[test]
fn queues_that_were_not_read_are_not_absent() {
    let own = |keys| Pattern { queue_part: Some("job".into()), ..pattern("bull:<id>:<n>", Role::Queue, keys, keys) };
    let calm = Queue { is_attended: true, ..events(waiting(0), waiting(0)) };
    for id in QUEUE_CHECKS {
        assert!(matches!(run(id, instance(vec![cache()])), Outcome::NotApplicable(_)), "{id}");
        // Job hashes of a queue whose parts were not found.
        assert!(gap(run(id, instance(vec![cache(), own(502)]))).detail.contains("502\u{a0}keys bull:<id>:<n>"), "{id}");
        let mut made = instance(vec![cache(), own(502)]);
        made.queues = Ok(vec![calm.clone()]);
        assert!(matches!(run(id, made.clone()), Outcome::Unknown(_)), "{id}: Medusa's own is another one");
        made.queues = Ok(vec![Queue { name: "bull:mails".into(), role: Role::Queue, ..calm.clone() }]);
        assert_eq!(run(id, made), Outcome::Passed, "{id}");
        // More queues than are read.
        let mut cut = queued(vec![calm.clone()]);
        assert_eq!(run(id, cut.clone()), Outcome::Passed, "{id}");
        cut.queues_left_out = 2;
        assert!(gap(run(id, cut)).detail.contains("1\u{a0}queue of cache.example:6379/0 read; 2 more"), "{id}");
        // A part of the keys was sampled.
        let drawn = |total| run(id, partial(instance(vec![cache()]), total));
        assert_eq!(drawn(333_000), Outcome::Passed, "{id}");
        assert!(matches!(drawn(333_334), Outcome::Unknown(_)), "{id}");
        assert!(matches!(run(id, crate::made_redis::unreached(instance(vec![cache()]))), Outcome::Unknown(_)), "{id}");
    }
    // What is known to be wrong is told all the same.
    let mut left = queued(vec![events(waiting(500), waiting(400))]);
    left.queues_left_out = 2;
    assert!(matches!(run("redis-no-worker", left.clone()), Outcome::Failed(_)) && matches!(run("redis-job-backlog", left), Outcome::Failed(_)));
}

#[test]
fn a_backlog_without_a_worker_is_its_symptom() {
    let made = snapshot(queued(vec![events(waiting(500), waiting(400))]));
    let (cause, symptom) = (found(judge("redis-no-worker", &made)), found(judge("redis-job-backlog", &made)));
    assert!(cause.touches.iter().any(|t| symptom.touches.contains(t)) && cause.touches == [format!("keys:{EVENTS}")]);
    let plan = medusa_advisor::plan::build(&made, &[], |c| ["redis-no-worker", "redis-job-backlog"].contains(&c.id));
    let backlog = plan.findings.iter().find(|r| r.check.id == "redis-job-backlog").unwrap();
    assert!(backlog.symptom_of.as_ref().is_some_and(|k| k.starts_with("redis-no-worker")), "{:?}", backlog.symptom_of);
}

fn tags(sets: u64, members: u64) -> Pattern {
    let made = pattern("mc:tag:<hash16>", Role::CacheTags, sets, 0);
    Pattern { kind: "set".into(), elements_total: Some(members), elements_max: Some(members / sets.max(1)), ..made }
}

#[test]
fn tags_are_judged_by_members_an_entry() {
    let of = |entries: u64, members: u64| {
        run("redis-cache-tags-leak", instance(vec![tags(1_000, members), pattern("mc:<hash16>", Role::Cache, entries, 0)]))
    };
    assert_eq!(of(1_000, 20_000), Outcome::Passed);
    assert_eq!(found(of(1_000, 20_001)).severity, Severity::Low);
    assert_eq!(of(100, 9_999), Outcome::Passed);
    assert!(matches!(of(100, 10_000), Outcome::Failed(_)));
    assert_eq!(found(of(1_000, 999_999)).severity, Severity::Low);
    assert_eq!(found(of(1_000, 1_000_000)).severity, Severity::Medium);
    // Measured on a healthy store.
    let healthy = instance(vec![tags(2_376, 2_900), pattern("mc:<hash16>", Role::Cache, 154, 0)]);
    assert_eq!(run("redis-cache-tags-leak", healthy), Outcome::Passed);
}

#[test]
fn a_huge_tag_set_is_medium_and_memory_decides_beyond() {
    let of = |largest, bytes| {
        let sets = Pattern { elements_max: Some(largest), bytes_estimate: Some(bytes), ..tags(1_000, 200_000) };
        found(run("redis-cache-tags-leak", instance(vec![sets, cache()]))).severity
    };
    assert_eq!(of(99_999, MIB), Severity::Low);
    assert_eq!(of(100_000, MIB), Severity::Medium);
    assert_eq!(of(10, 31 * MIB), Severity::Low, "most of 50 MiB, but little");
    assert_eq!(of(10, 32 * MIB), Severity::High);
}

#[test]
fn members_are_scaled_to_the_whole_and_the_module_may_be_off() {
    let drawn = Pattern { keys_estimate: 10_000, ..tags(100, 300) };
    let made = partial(instance(vec![drawn, Pattern { keys_estimate: 1_000, ..cache() }]), 100_000);
    let scaled = found(run("redis-cache-tags-leak", made));
    assert!(scaled.observed.contains("30,000\u{a0}members"), "{}", scaled.observed);
    assert_eq!(scaled.confidence, Confidence::Medium);
    assert!(matches!(run("redis-cache-tags-leak", instance(vec![queue()])), Outcome::NotApplicable(_)));
    let uncounted = Pattern { elements_total: None, elements_max: None, ..tags(1_000, 0) };
    let told = gap(run("redis-cache-tags-leak", instance(vec![uncounted, cache()])));
    assert_eq!(told.cause, Cause::Denied { grant: "ACL SETUSER advisor ~* +scard".into() });
    // 3 ÷ 1,000 of 33,333 keys are a hundred, of 34,000 more.
    let few = |total| run("redis-cache-tags-leak", partial(instance(vec![pattern("cart:<id>", Role::Other, 1_000, 0)]), total));
    assert!(matches!(few(33_333), Outcome::NotApplicable(_)));
    assert!(matches!(gap(few(34_000)).cause, Cause::TooFew { have: 1_000, need: 1_020, .. }));
}

fn checkpoints(keys: u64, idle_over_hour: u64, idle_s_max: u64) -> Pattern {
    let made = pattern("dtrx:complete-cart:auto-<ulid>", Role::Workflows, keys, keys);
    Pattern { kind: "string".into(), measured: keys, idle_over_hour, idle_s_median: Some(idle_s_max), idle_s_max: Some(idle_s_max), ..made }
}

#[test]
fn workflows_are_stranded_in_numbers_and_for_hours() {
    let of = |p: Pattern| run("redis-stranded-transactions", instance(vec![p]));
    assert_eq!(of(checkpoints(100, 19, 90_000)), Outcome::Passed);
    let few = found(of(checkpoints(100, 20, 90_000)));
    assert_eq!((few.severity, few.confidence), (Severity::Low, Confidence::Low));
    assert_eq!(of(checkpoints(100, 20, 14_399)), Outcome::Passed);
    assert!(matches!(of(checkpoints(100, 20, 14_400)), Outcome::Failed(_)));
    assert_eq!(found(of(checkpoints(1_000, 999, 90_000))).severity, Severity::Low);
    assert_eq!(found(of(checkpoints(1_000, 1_000, 90_000))).severity, Severity::Medium);
    let large = Pattern { bytes_estimate: Some(40 * MIB), ..checkpoints(1_000, 1_000, 90_000) };
    assert_eq!(found(of(large)).severity, Severity::High);
    // Those that expire are kept on purpose.
    assert!(matches!(of(Pattern { without_ttl: 0, ..checkpoints(100, 100, 90_000) }), Outcome::NotApplicable(_)));
    assert!(matches!(run("redis-stranded-transactions", instance(vec![cache()])), Outcome::NotApplicable(_)));
}

#[test]
fn resting_workflows_are_scaled_and_unknown_without_idle_times() {
    let drawn = Pattern { measured: 60, idle_over_hour: 30, keys_estimate: 600, ..checkpoints(60, 30, 90_000) };
    let scaled = found(run("redis-stranded-transactions", partial(instance(vec![drawn]), 600)));
    assert!(scaled.observed.starts_with("300 of 600"), "{}", scaled.observed);
    // All were measured, of sixty the last use was asked.
    let asked = Pattern { idle_keys: 60, idle_over_hour: 30, ..checkpoints(600, 30, 90_000) };
    assert!(found(run("redis-stranded-transactions", instance(vec![asked]))).observed.starts_with("300 of 600"));
    let untold = Pattern { idle_s_max: None, idle_s_median: None, idle_over_hour: 0, ..checkpoints(100, 0, 0) };
    let denied = gap(run("redis-stranded-transactions", instance(vec![untold.clone()])));
    assert_eq!(denied.cause, Cause::Denied { grant: "ACL SETUSER advisor ~* +object|idletime".into() });
    let lfu = gap(run("redis-stranded-transactions", with_server(vec![untold], |s| s.maxmemory_policy = Some("allkeys-lfu".into()))));
    assert!(matches!(&lfu.cause, Cause::Absent { remedy, .. } if remedy.contains("noeviction")), "{lfu:?}");
    let nineteen = Pattern { idle_s_max: None, ..checkpoints(19, 0, 0) };
    assert_eq!(run("redis-stranded-transactions", instance(vec![nineteen])), Outcome::Passed);
}

#[test]
fn a_hot_key_is_told_by_the_counter_of_lfu_policies() {
    let of = |policy: &str, role, frequency| {
        let p = Pattern { frequency_max: frequency, ..pattern("cache:home", role, 1, 0) };
        run("redis-hot-key", with_server(vec![p], |s| s.maxmemory_policy = Some(policy.into())))
    };
    assert_eq!(of("allkeys-lfu", Role::CustomCache, Some(199)), Outcome::Passed);
    let hot = found(of("allkeys-lfu", Role::CustomCache, Some(200)));
    assert_eq!(hot.severity, Severity::Low);
    assert!(hot.observed.contains("189\u{a0}k reads"), "{}", hot.observed);
    assert_eq!(found(of("volatile-lfu", Role::CustomCache, Some(249))).severity, Severity::Low);
    assert_eq!(found(of("volatile-lfu", Role::CustomCache, Some(250))).severity, Severity::Medium);
    for role in [Role::EventBus, Role::Queue, Role::Workflows, Role::Locks, Role::Staging] {
        assert_eq!(of("allkeys-lfu", role, Some(255)), Outcome::Passed, "{role:?}");
    }
    assert!(matches!(of("allkeys-lru", Role::CustomCache, None), Outcome::NotApplicable(_)));
    assert!(matches!(gap(of("allkeys-lfu", Role::CustomCache, None)).cause, Cause::Denied { .. }));
    assert!(matches!(run("redis-hot-key", with_server(vec![cache()], |s| s.maxmemory_policy = None)), Outcome::Unknown(_)));
}

fn shared(cache_bytes: u64, used: u64, limit: u64) -> Instance {
    let entries = Pattern { bytes_estimate: Some(cache_bytes), ..cache() };
    with_server(vec![entries, queue()], |s| (s.used_memory, s.maxmemory) = (used, Some(limit)))
}

#[test]
fn a_cache_beside_queues_is_a_conflict_where_it_fills_a_bounded_instance() {
    let of = |cache_bytes, used, limit| run("redis-shared-roles", shared(cache_bytes * MIB, used * MIB, limit * MIB));
    assert_eq!(of(49, 100, 200), Outcome::Passed, "the smaller part");
    assert_eq!(found(of(50, 100, 200)).severity, Severity::Medium);
    assert_eq!(of(99, 99, 200), Outcome::Passed, "half empty");
    assert_eq!(found(of(100, 159, 200)).severity, Severity::Medium);
    assert_eq!(found(of(100, 160, 200)).severity, Severity::High);
    assert_eq!(found(of(50, 63, 64)).severity, Severity::Low, "a small instance");
    assert_eq!(found(of(50, 64, 65)).severity, Severity::High);
    assert_eq!(of(900, 1_000, 0), Outcome::Passed, "no limit");
    let evicting = with_server(vec![cache(), queue()], |s| s.maxmemory_policy = Some("allkeys-lru".into()));
    assert_eq!(run("redis-shared-roles", evicting), Outcome::Passed, "another check's finding");
}

#[test]
fn roles_are_shared_by_instance_and_not_by_database() {
    let mut apart = shared(50 * MIB, 100 * MIB, 150 * MIB);
    apart.keys.as_mut().unwrap().patterns[0].database = 1;
    let mut both = snapshot(apart.clone());
    apart.name = "cache.example:6379/1".into();
    both.redis.as_mut().unwrap().instances.push(apart);
    let one = found(judge("redis-shared-roles", &both));
    assert_eq!(one.subject.name, "cache.example:6379");
    assert!(matches!(run("redis-shared-roles", instance(vec![cache()])), Outcome::NotApplicable(_)));
    let unmeasured = Pattern { bytes_estimate: None, ..cache() };
    let full = |s: &mut medusa_advisor::evidence::redis::Server| s.used_memory = 90 * MIB;
    assert!(matches!(run("redis-shared-roles", with_server(vec![unmeasured, queue()], full)), Outcome::Unknown(_)));
    let untold = with_server(vec![cache(), queue()], |s| s.maxmemory = None);
    assert!(matches!(run("redis-shared-roles", untold), Outcome::Unknown(_)));
    // The other half may lie in a database that the scan never came to, and matters where memory is short.
    let half = |used, queues| {
        let entries = Pattern { bytes_estimate: Some(60 * MIB), ..cache() };
        let mut made = crate::made_redis::unreached(with_server(vec![entries], |s| s.used_memory = used * MIB));
        made.queues = Ok(queues);
        run("redis-shared-roles", made)
    };
    assert!(gap(half(90, Vec::new())).detail.contains("database 1: whether a queue's key"));
    assert_eq!(half(49, Vec::new()), Outcome::Passed);
    assert!(found(half(90, vec![events(waiting(1), waiting(1))])).observed.contains("cache, queues together"));
}

#[test]
fn scripts_of_the_queues_hold_the_cache_up() {
    let of = |micros, patterns| {
        let mut made = instance(patterns);
        made.commands = Ok(vec![command("evalsha", 10_000, micros, Some((10_000, micros)))]);
        run("redis-shared-roles", made)
    };
    assert_eq!(of(5_999_999, vec![cache(), queue()]), Outcome::Passed);
    assert_eq!(found(of(6_000_000, vec![cache(), queue()])).severity, Severity::Medium);
    let high = found(of(7_500_000, vec![cache(), queue()]));
    assert_eq!((high.severity, high.cost.resource), (Severity::High, Resource::RedisTime));
    assert!(matches!(of(7_500_000, vec![queue()]), Outcome::NotApplicable(_)));
}

const PRODUCTS: &str = "select \"p0\".* from \"product\" as \"p0\" where \"p0\".\"deleted_at\" is null and \"p0\".\"id\" in ($1)";
const CATEGORIES: &str = "select \"p0\".* from \"product_category\" as \"p0\" where \"p0\".\"deleted_at\" is null";
const CARTS: &str = "select \"c0\".* from \"cart\" as \"c0\" where \"c0\".\"id\" = $1";

fn catalogue(major: u8, made: Instance, products_ms: f64, others_ms: f64) -> Snapshot {
    let mut made = snapshot(made);
    let rows = [(PRODUCTS, 600, products_ms / 2.0), (CATEGORIES, 100, products_ms / 2.0), (CARTS, 400, others_ms)];
    made.postgres = Ok(with_postgres(postgres(major), None, &rows));
    made
}

#[test]
fn an_uncached_catalogue_is_judged_by_its_share_and_load() {
    let of = |products, others| judge("redis-catalogue-uncached", &catalogue(2, instance(vec![queue()]), products, others));
    assert_eq!(of(1_999.0, 8_001.0), Outcome::Passed, "a fifth less a bit");
    let medium = found(of(2_000.0, 8_000.0));
    assert_eq!((medium.severity, medium.confidence, medium.cost.resource), (Severity::Medium, Confidence::Medium, Resource::DatabaseTime));
    assert_eq!(found(of(2_500.0, 7_500.0)).severity, Severity::High);
    let gain = medium.gain.unwrap();
    assert_eq!(gain.basis, Basis::Modelled);
    assert!((gain.database_time_share.unwrap() - 0.14).abs() < 1e-9, "a fifth times 70 %: {gain:?}");
    // 30 s: 20 and 50 ms a second are 600 and 1,500 ms.
    assert_eq!(of(599.0, 401.0), Outcome::Passed);
    assert_eq!(found(of(600.0, 400.0)).severity, Severity::Low);
    assert_eq!(found(of(1_499.0, 1_000.0)).severity, Severity::Low);
    assert_eq!(found(of(1_500.0, 1_000.0)).severity, Severity::High);
}

#[test]
fn a_cache_of_products_is_known_by_its_keys() {
    let of = |major, patterns| judge("redis-catalogue-uncached", &catalogue(major, instance(patterns), 9_000.0, 1_000.0));
    let prices = || pattern("medusa:ps:variant_<ulid>:*", Role::Cache, 100, 0);
    assert!(matches!(of(2, vec![cache()]), Outcome::NotApplicable(_)));
    assert!(matches!(of(2, vec![pattern("catalog:<id>", Role::CustomCache, 9, 0)]), Outcome::NotApplicable(_)));
    // Tags alone are no entries, and version 1's prices and taxes are no products.
    assert!(matches!(of(2, vec![tags(10, 10)]), Outcome::Failed(_)));
    let v1 = found(of(1, vec![prices(), pattern("medusa:txrtcache:prod_<ulid>:reg_<ulid>", Role::Cache, 9, 0)]));
    assert!(text_of(&v1, RemedyKind::Code).contains("cacheService"));
    assert!(matches!(of(1, vec![pattern("medusa:<id>", Role::Cache, 9, 0)]), Outcome::NotApplicable(_)));
}

#[test]
fn a_cache_is_only_absent_where_the_sample_can_say_so() {
    // 3 ÷ 1,000 of 16,333 keys are 49, of 16,334 fifty.
    let of = |total| {
        let made = partial(instance(vec![pattern("cart:<id>", Role::Other, 1_000, 0)]), total);
        judge("redis-catalogue-uncached", &catalogue(2, made, 9_000.0, 1_000.0))
    };
    assert!(matches!(of(16_333), Outcome::Failed(_)));
    assert!(matches!(gap(of(16_334)).cause, Cause::TooFew { have: 1_000, .. }));
    let cheap = partial(instance(vec![pattern("cart:<id>", Role::Other, 1_000, 0)]), 900_000);
    assert_eq!(judge("redis-catalogue-uncached", &catalogue(2, cheap, 100.0, 9_000.0)), Outcome::Passed);
}

#[test]
fn the_remedy_for_the_catalogue_follows_the_version() {
    let of = |version: &str| {
        let mut made = catalogue(2, instance(vec![queue()]), 9_000.0, 1_000.0);
        made.postgres.as_mut().unwrap().medusa.as_mut().unwrap().version = version.into();
        found(judge("redis-catalogue-uncached", &made)).remedies
    };
    assert_eq!(of("2.8")[0].kind, RemedyKind::Shell, "the module came with 2.11");
    for version in ["2.21", "2.x"] {
        assert!(of(version)[0].text.contains("featureFlags: { caching: true }"), "{version}");
    }
}

fn sessions(count: u64) -> Instance {
    let made = pattern("sess:<id>", Role::Sessions, count, 0);
    instance(vec![Pattern { kind: "string".into(), bytes_estimate: Some(count * 250), ttl_ms_max: Some(36_000_000), ..made }])
}

/// Carts a day, over the 60 days of the counters.
fn flooded(count: u64, carts: u64, window: u64) -> Snapshot {
    let mut made = snapshot(sessions(count));
    made.postgres = Ok(with_postgres(postgres(1), Some((carts, window)), &[]));
    made
}

#[test]
fn sessions_are_compared_with_carts() {
    let of = |count, carts, window| judge("redis-session-flood", &flooded(count, carts, window));
    assert!(matches!(of(9_999, 0, 0), Outcome::NotApplicable(_)));
    // 144 lifetimes of ten hours in 60 days: 28,800 carts are 200 in one, and 10,000 sessions fifty each.
    assert_eq!(of(10_000, 28_800, 0), Outcome::Passed);
    let low = found(of(10_001, 28_800, 0));
    assert_eq!((low.severity, low.confidence), (Severity::Low, Confidence::Low));
    assert_eq!(found(of(39_999, 28_800, 0)).confidence, Confidence::Low);
    assert_eq!(found(of(40_000, 28_800, 0)).confidence, Confidence::High);
    // One in the window of 30 s: 1,200 in ten hours, today's campaign.
    assert_eq!(of(60_000, 28_800, 1), Outcome::Passed);
    assert!(matches!(of(60_001, 28_800, 1), Outcome::Failed(_)));
}

#[test]
fn sessions_without_postgres_are_unknown() {
    let mut alone = snapshot(sessions(50_000));
    assert!(matches!(gap(judge("redis-session-flood", &alone)).cause, Cause::NotConfigured));
    alone.postgres = Ok(with_postgres(postgres(1), None, &[]));
    assert!(matches!(gap(judge("redis-session-flood", &alone)).cause, Cause::Absent { .. }));
    let mut young = flooded(50_000, 10, 0);
    let server = young.postgres.as_mut().unwrap().server.as_mut().unwrap();
    server.stats_reset_at = Some(server.now - time::Duration::hours(9));
    assert!(matches!(gap(judge("redis-session-flood", &young)).cause, Cause::TooYoung { .. }));
    let unseen = partial(instance(vec![pattern("cart:<id>", Role::Other, 100, 0)]), 1_000_000);
    assert!(matches!(gap(run("redis-session-flood", unseen)).cause, Cause::TooFew { .. }));
}

#[test]
fn the_remedy_for_sessions_follows_the_version() {
    let of = |major: u8, version: &str| {
        let mut made = flooded(50_000, 10, 0);
        let medusa = made.postgres.as_mut().unwrap().medusa.as_mut().unwrap();
        (medusa.major, medusa.version) = (major, version.into());
        found(judge("redis-session-flood", &made))
    };
    let old = of(2, "2.4");
    assert!(old.remedies[0].text.contains("sessionOptions: { saveUninitialized: false }") && old.remedies[1].kind == RemedyKind::Shell);
    let new = of(2, "2.8");
    assert!(new.observed.contains("opens none by itself") && new.remedies.iter().all(|r| r.kind != RemedyKind::Shell));
    assert!(of(1, "1.20").remedies[0].text.contains("session_options: { saveUninitialized: false }"));
}

/// One snapshot in which every check of this file finds something.
fn bad() -> Vec<Snapshot> {
    let mut full = shared(80 * MIB, 95 * MIB, 100 * MIB);
    let big = string("user:<id>:export", Role::Other, 5_000_000);
    full.keys.as_mut().unwrap().patterns.extend([tags(1_000, 90_000), checkpoints(100, 100, 90_000), big]);
    full.queues = Ok(vec![events(QueueLengths { failed: 5_000, ..waiting(500) }, waiting(400))]);
    full.clients = Ok(vec![client("medusa-cache-redis", "hget")]);
    let mut full = snapshot(full);
    full.postgres = Ok(with_postgres(postgres(2), Some((10, 0)), &[]));
    let hot = Pattern { frequency_max: Some(240), ..sessions(50_000).keys.unwrap().patterns[0].clone() };
    let mut bare = snapshot(with_server(vec![hot], |s| s.maxmemory_policy = Some("allkeys-lfu".into())));
    let rows = [(PRODUCTS, 600, 9_000.0), (CARTS, 400, 1_000.0)];
    bare.postgres = Ok(with_postgres(postgres(2), Some((10, 0)), &rows));
    vec![full, bare]
}

#[test]
fn needs_and_uses_are_exact() {
    let mut failed: Vec<&str> = Vec::new();
    for (i, whole) in bad().into_iter().enumerate() {
        for check in IDS.map(|id| checks::find(id).unwrap()) {
            let before = check.run(&whole);
            if matches!(before, Outcome::Failed(_)) {
                failed.push(check.id);
            }
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
    for id in IDS {
        assert!(failed.contains(&id), "{id} found nothing, so its needs were not tried");
    }
}

#[test]
fn the_loss_of_one_instance_is_no_pass() {
    let mut lost = instance(vec![queue()]);
    for section in Section::ALL {
        let mut one = snapshot(lost);
        one.withhold(section, Gap::new(section, Cause::Unreachable, "gone"));
        lost = match one.redis {
            Ok(mut redis) => redis.instances.remove(0),
            Err(_) => instance(vec![queue()]),
        };
    }
    let mut two = snapshot(lost);
    two.redis.as_mut().unwrap().instances.push(instance(vec![pattern("cart:<id>", Role::Other, 10, 0)]));
    two.postgres = Ok(with_postgres(postgres(2), Some((10, 0)), &[(PRODUCTS, 600, 9_000.0)]));
    for id in IDS {
        assert!(matches!(judge(id, &two), Outcome::Unknown(_)), "{id}: {:?}", judge(id, &two));
    }
}

#[test]
fn every_finding_says_what_to_do_and_how_to_see_it() {
    for (id, made) in IDS.into_iter().flat_map(|id| bad().into_iter().map(move |made| (id, made))) {
        let Outcome::Failed(findings) = judge(id, &made) else { continue };
        for finding in findings {
            assert!(!finding.remedies.is_empty() && !finding.evidence.is_empty() && !finding.touches.is_empty(), "{id}");
            assert!(finding.observed.ends_with('.') && finding.verify.ends_with('.'), "{id}: {} | {}", finding.observed, finding.verify);
            assert!(finding.remedies.iter().all(|r| !r.risk.is_empty() && !r.text.contains("<id>")), "{id}: {:?}", finding.remedies);
            assert!((0.0..=1.0).contains(&finding.cost.share), "{id}");
        }
    }
}
