//! Faults of keys and queues made on a real Redis in the shapes that BullMQ and Medusa write: each is named, put right, and gone.
//!
//! Needs `redis-server` and `redis-cli` on the PATH (or `ADVISOR_TEST_REDIS_SERVER`); prints "skipped" without them.

use crate::harness::{Server, audit, audit_with, command, fill, findings, outcome, profile, remedy};
use crate::redis_keys_fixture::{EVENTS, EVENTS_WORKER, with_postgres};
use crate::shapes::{ULID, add_jobs, cache_entry, open_queue, write_checkpoint};
use medusa_advisor::checks;
use medusa_advisor::evidence::Snapshot;
use medusa_advisor::finding::{Finding, Outcome, RemedyKind, Severity};

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

macro_rules! server {
    ($($argument:expr),*) => {
        match Server::start(&[$($argument),*]) {
            Some(server) => server,
            None => {
                println!("skipped: no redis-server here");
                return;
            }
        }
    };
}

async fn quiet(server: &Server) -> Snapshot {
    audit(server, |_: &Server| ()).await
}

fn one(snapshot: &Snapshot, id: &str) -> Finding {
    let mut found = findings(snapshot, id);
    assert_eq!(found.len(), 1, "{id}: {:?}", outcome(snapshot, id));
    found.remove(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn kept_jobs_are_named_and_cleaned() {
    let server = server!();
    fill(&server, open_queue(EVENTS));
    add_jobs(&server, EVENTS, 1..1_501, "failed");
    let found = one(&quiet(&server).await, "redis-jobs-retained");
    assert!(found.observed.contains("1,500 failed"), "{}", found.observed);
    assert_eq!(found.severity, Severity::Low, "a good part, but of a small instance");
    server.shell(&remedy(&found, RemedyKind::Shell).text);
    assert_eq!(server.cli(&format!("ZCARD {EVENTS}:failed")).trim(), "1000");
    assert_eq!(server.cli(&format!("EXISTS {EVENTS}:500 {EVENTS}:501")).trim(), "1", "the newest thousand stay");
    assert_eq!(outcome(&quiet(&server).await, "redis-jobs-retained"), Outcome::Passed);
}

#[tokio::test(flavor = "multi_thread")]
async fn job_hashes_that_no_part_names_are_found() {
    let server = server!();
    fill(&server, open_queue(EVENTS));
    add_jobs(&server, EVENTS, 1..1_301, "completed");
    server.cli(&format!("DEL {EVENTS}:completed"));
    let found = one(&quiet(&server).await, "redis-jobs-retained");
    assert!(found.observed.contains("1,300 in no part of the queue"), "{}", found.observed);
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_without_a_worker_are_named_until_one_runs() {
    let server = server!();
    let _cache = server.connect_named("medusa-cache-redis");
    fill(&server, open_queue(EVENTS));
    add_jobs(&server, EVENTS, 1..121, "prioritized");
    let more = |server: &Server| add_jobs(server, EVENTS, 121..161, "prioritized");
    let snapshot = audit(&server, more).await;
    let found = one(&snapshot, "redis-no-worker");
    assert_eq!(found.severity, Severity::High, "{found:?}");
    assert!(found.observed.starts_with("160\u{a0}jobs wait"), "{}", found.observed);
    // The backlog is there as well, as a symptom of it.
    assert_eq!(one(&snapshot, "redis-job-backlog").touches, found.touches);
    // A worker as BullMQ runs it: the name of its blocking connection, and its mark.
    let mut worker = server.connect_named(EVENTS_WORKER);
    let wait = command(&["BZPOPMIN", &format!("{EVENTS}:marker"), "30"]);
    worker.send_packed_command(&wait.get_packed_command()).unwrap();
    assert_eq!(outcome(&quiet(&server).await, "redis-no-worker"), Outcome::Passed, "by its name");
    drop(worker);
    server.cli(&format!("SET {EVENTS}:stalled-check 1 PX 30000"));
    assert_eq!(outcome(&quiet(&server).await, "redis-no-worker"), Outcome::Passed, "by its mark");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_growing_backlog_is_named_and_a_shrinking_one_is_not() {
    let server = server!();
    let name = "bull:mails";
    fill(&server, open_queue(name));
    server.cli(&format!("SET {name}:stalled-check 1 PX 60000"));
    add_jobs(&server, name, 1..151, "wait");
    let snapshot = audit(&server, |server: &Server| add_jobs(server, name, 151..191, "wait")).await;
    let found = one(&snapshot, "redis-job-backlog");
    assert_eq!(found.severity, Severity::Medium, "{found:?}");
    assert!(remedy(&found, RemedyKind::Code).text.contains("concurrency: 10"));
    assert_eq!(outcome(&snapshot, "redis-no-worker"), Outcome::Passed);
    let work = |server: &Server| fill(server, (0..80).map(|_| command(&["RPOP", &format!("{name}:wait")])));
    assert_eq!(outcome(&audit(&server, work).await, "redis-job-backlog"), Outcome::Passed);
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_tags_are_named_and_dropped() {
    let server = server!();
    // 1,000 entries with 20 tags each, of which 900 expired: their members stay.
    fill(&server, (0..1_000).flat_map(|i| cache_entry(i, i % 50..i % 50 + 20)));
    fill(&server, [command(&["SET", "sess:UkchYwOsiIKO85jIep7iJpyZwDLAVed", "{}", "EX", "36000"])]);
    assert_eq!(outcome(&quiet(&server).await, "redis-cache-tags-leak"), Outcome::Passed, "20 members an entry");
    fill(&server, (100..1_000).flat_map(|i| [command(&["DEL", &format!("mc:{i:016x}")]), command(&["DEL", &format!("mc:tags:{i:016x}")])]));
    let found = one(&quiet(&server).await, "redis-cache-tags-leak");
    assert!(found.observed.contains("20,000\u{a0}members") && found.observed.contains("200 each"), "{}", found.observed);
    let drop = found.remedies.iter().find(|r| r.text.starts_with("redis-cli")).unwrap();
    server.shell(&drop.text);
    let snapshot = quiet(&server).await;
    assert!(matches!(outcome(&snapshot, "redis-cache-tags-leak"), Outcome::NotApplicable(_)));
    assert_eq!(server.cli("DBSIZE").trim(), "1", "the session stays");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_sessions_is_named_and_ebbs_away() {
    let server = server!();
    let session =
        "{\"cookie\":{\"originalMaxAge\":36000000,\"expires\":\"2026-11-23T19:30:00.000Z\",\"secure\":true,\"httpOnly\":true,\"path\":\"/\"}}";
    fill(&server, (0..12_000).map(|i| command(&["SET", &format!("sess:{i:0>12}UkchYwOsiIKO85jIep7i"), session, "EX", "36000"])));
    let with_shop = |mut snapshot: Snapshot| {
        snapshot.postgres = Ok(with_postgres(crate::made_redis::postgres(1), Some((14_400, 0)), &[]));
        snapshot
    };
    let snapshot = quiet(&server).await;
    assert!(matches!(outcome(&snapshot, "redis-session-flood"), Outcome::Unknown(_)), "nothing to compare with");
    let found = one(&with_shop(snapshot), "redis-session-flood");
    assert!(found.observed.starts_with("12,000\u{a0}sessions in "), "{}", found.observed);
    // What the setting leads to: no new ones, and the present ones expire.
    fill(&server, (100..12_000).map(|i| command(&["PEXPIRE", &format!("sess:{i:0>12}UkchYwOsiIKO85jIep7i"), "1"])));
    assert!(matches!(outcome(&with_shop(quiet(&server).await), "redis-session-flood"), Outcome::NotApplicable(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn stranded_workflows_are_named_and_given_an_end() {
    let server = server!();
    let mut connection = server.connect_named("test");
    for i in 0..30 {
        write_checkpoint(&mut connection, &format!("dtrx:complete-cart:auto-01M8469SSQJ16F56J2S24NK{i:0>3}"), 4 * 86_400);
    }
    // Running, and one that waits for an answer from outside.
    write_checkpoint(&mut connection, &format!("dtrx:complete-cart:auto-{ULID}"), 0);
    write_checkpoint(&mut connection, &format!("dtrx:order-fulfillment:{ULID}"), 2 * 3_600);
    let found = one(&quiet(&server).await, "redis-stranded-transactions");
    assert!(found.observed.starts_with("31 of 32") && found.observed.contains("4\u{a0}days"), "{}", found.observed);
    server.shell(&remedy(&found, RemedyKind::Shell).text);
    assert_eq!(server.cli(&format!("TTL dtrx:complete-cart:auto-{ULID}")).trim(), "-1", "a running one has no end set");
    let ttl: i64 = server.cli("TTL dtrx:complete-cart:auto-01M8469SSQJ16F56J2S24NK000").trim().parse().unwrap();
    assert!((80_000..=86_400).contains(&ttl), "{ttl}");
    assert_eq!(outcome(&quiet(&server).await, "redis-stranded-transactions"), Outcome::Passed);
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_times_are_not_kept_under_lfu() {
    let server = server!("--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lfu");
    fill(&server, (0..30).map(|i| command(&["SET", &format!("dtrx:complete-cart:auto-01M8469SSQJ16F56J2S24NK{i:0>3}"), "{}"])));
    let snapshot = quiet(&server).await;
    assert!(matches!(outcome(&snapshot, "redis-stranded-transactions"), Outcome::Unknown(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn big_keys_are_named_and_gone_when_split() {
    let server = server!("--slowlog-log-slower-than", "0");
    fill(&server, [command(&["SET", "cache:products:all", &"x".repeat(3_000_000), "EX", "600"])]);
    for chunk in (0..12_000).collect::<Vec<u32>>().chunks(500) {
        let members: Vec<String> = chunk.iter().map(u32::to_string).collect();
        fill(&server, [command(&[&["SADD", "catalog:viewed"], members.iter().map(String::as_str).collect::<Vec<_>>().as_slice()].concat())]);
    }
    let snapshot = audit(&server, |server: &Server| fill(server, [command(&["SMEMBERS", "catalog:viewed"])])).await;
    let found = findings(&snapshot, "redis-big-key");
    assert_eq!(found.len(), 2, "{found:?}");
    let of = |name: &str| found.iter().find(|f| f.subject.name.starts_with(name)).unwrap_or_else(|| panic!("{found:?}"));
    assert_eq!(of("cache:products:all").severity, Severity::Medium);
    assert!(of("cache:products:all").observed.contains("MB"), "{found:?}");
    assert_eq!(of("catalog:").severity, Severity::Medium, "12,000 members, and read whole");
    // What the remedies lead to: one key a product, 256 buckets, and the old keys unlinked.
    server.cli("UNLINK cache:products:all catalog:viewed");
    fill(&server, (0..300).map(|i| command(&["SET", &format!("cache:product:{i}"), &"x".repeat(10_000), "EX", "600"])));
    fill(&server, (0..12_000).map(|i| command(&["SADD", &format!("catalog:viewed:{}", i % 256), &i.to_string()])));
    assert_eq!(outcome(&quiet(&server).await, "redis-big-key"), Outcome::Passed);
}

#[tokio::test(flavor = "multi_thread")]
async fn three_big_strings_among_thousands_are_named() {
    let server = server!();
    fill(&server, (0..5_000).map(|i| command(&["SET", &format!("cache:product:{i}"), "x", "EX", "600"])));
    assert_eq!(outcome(&quiet(&server).await, "redis-big-key"), Outcome::Passed);
    fill(&server, [17, 1_234, 4_321].map(|i| command(&["SET", &format!("cache:product:{i}"), &"x".repeat(3_000_000), "EX", "600"])));
    let snapshot = quiet(&server).await;
    let found = one(&snapshot, "redis-big-key");
    assert!(found.severity == Severity::Medium && found.subject.name.starts_with("cache:product:<n>"), "{found:?}");
    let family = &snapshot.redis.as_ref().unwrap().instances[0].keys().unwrap().patterns[0];
    assert_eq!((family.measured, family.bytes_error), (5_000, Some(0)));
    assert!(family.bytes_estimate.is_some_and(|b| b > 9_000_000 && b < 12_000_000), "{family:?}");
    assert!(family.idle_keys <= 60, "the last use is asked of a part: {family:?}");
    // An entry of the caching module is one value, too.
    let own = server!();
    fill(&own, (0..1_000).flat_map(|i| cache_entry(i, i % 50..i % 50 + 2)));
    assert_eq!(outcome(&quiet(&own).await, "redis-big-key"), Outcome::Passed);
    fill(&own, [command(&["HSET", &format!("mc:{:016x}", 777), "data", &"x".repeat(2_000_000)])]);
    assert!(one(&quiet(&own).await, "redis-big-key").subject.name.starts_with("mc:<hash16>"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_few_large_tag_sets_do_not_stand_for_all() {
    let server = server!();
    let set = |name: String, members: usize| {
        let members: Vec<String> = (0..members).map(|i| format!("mc:{i:016x}")).collect();
        command(&[&["SADD", &name], members.iter().map(String::as_str).collect::<Vec<_>>().as_slice()].concat())
    };
    fill(&server, (0..4_000).map(|i| set(format!("mc:tag:{i:016x}"), 4)));
    fill(&server, (0..40).map(|i| set(format!("mc:tag:{:016x}", 9_000 + i), 2_000)));
    fill(&server, (0..100).flat_map(|i| [command(&["HSET", &format!("mc:{i:016x}"), "data", "{}", "options", "{}"])]));
    let snapshot = quiet(&server).await;
    let keys = snapshot.redis.as_ref().unwrap().instances[0].keys().unwrap();
    let family = keys.patterns.iter().find(|p| p.pattern == "mc:tag:<hash16>").unwrap();
    let sizes = |i: std::ops::Range<usize>| i.map(|i| server.cli(&format!("MEMORY USAGE mc:tag:{i:016x} SAMPLES 5")).trim().parse::<u64>().unwrap());
    let truth = sizes(0..100).sum::<u64>() * 40 + sizes(9_000..9_040).sum::<u64>();
    let estimate = family.bytes_estimate.unwrap();
    assert!(estimate.abs_diff(truth) * 10 < truth, "{estimate} for {truth}: {family:?}");
    assert!(family.bytes_error.is_some_and(|e| e * 10 < truth), "{family:?}");
    // Some megabytes of an instance of ten: no reason for alarm.
    assert_eq!(one(&snapshot, "redis-cache-tags-leak").severity, Severity::Low);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hot_key_is_named_where_the_policy_counts() {
    let server = server!("--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lfu");
    fill(&server, (0..50).map(|i| command(&["SET", &format!("cache:page:{i}"), "x"])));
    fill(&server, (0..320_000).map(|_| command(&["GET", "cache:page:7"])));
    let found = one(&quiet(&server).await, "redis-hot-key");
    assert!(found.observed.contains("A key of cache:page:<n>"), "{}", found.observed);
    // A key that is read from the backend's memory instead counts from the beginning.
    server.cli("DEL cache:page:7");
    server.cli("SET cache:page:7 x");
    assert_eq!(outcome(&quiet(&server).await, "redis-hot-key"), Outcome::Passed);
    server.cli("CONFIG SET maxmemory-policy allkeys-lru");
    assert!(matches!(outcome(&quiet(&server).await, "redis-hot-key"), Outcome::NotApplicable(_)));
}

fn write_entries(server: &Server, count: usize) {
    fill(
        server,
        (0..count).flat_map(|i| {
            let key = format!("mc:{i:016x}");
            [command(&["HSET", &key, "data", &"x".repeat(20_000), "options", "{}"]), command(&["EXPIRE", &key, "3600"])]
        }),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cache_that_crowds_the_queues_is_named_and_moves_out() {
    let server = server!("--maxmemory", "100mb", "--maxmemory-policy", "noeviction");
    let own = server!("--maxmemory", "512mb", "--maxmemory-policy", "allkeys-lru");
    fill(&server, open_queue(EVENTS));
    add_jobs(&server, EVENTS, 1..11, "prioritized");
    write_entries(&server, 4_100);
    let found = one(&quiet(&server).await, "redis-shared-roles");
    assert_eq!(found.severity, Severity::High, "{found:?}");
    assert!(found.observed.contains("holds cache, queues together"), "{}", found.observed);
    assert!(remedy(&found, RemedyKind::MedusaConfig).text.contains("CACHE_REDIS_URL"));
    server.shell("redis-cli -u \"$REDIS_URL\" --scan --pattern 'mc:*' | xargs -r -n 200 redis-cli -u \"$REDIS_URL\" UNLINK > /dev/null");
    write_entries(&own, 4_100);
    let both = audit_with(&[profile(&server), profile(&own)], &[None, None], 2, || ()).await;
    assert!(matches!(outcome(&both, "redis-shared-roles"), Outcome::NotApplicable(_)), "{:?}", outcome(&both, "redis-shared-roles"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_uncached_catalogue_is_named_until_entries_are_written() {
    let server = server!();
    fill(&server, open_queue(EVENTS));
    let with_shop = |mut snapshot: Snapshot| {
        let products = "select \"p0\".* from \"product\" as \"p0\" where \"p0\".\"deleted_at\" is null and \"p0\".\"id\" in ($1)";
        let carts = "select \"c0\".* from \"cart\" as \"c0\" where \"c0\".\"id\" = $1";
        snapshot.postgres = Ok(with_postgres(crate::made_redis::postgres(2), None, &[(products, 900, 900.0), (carts, 400, 300.0)]));
        snapshot
    };
    let found = one(&with_shop(quiet(&server).await), "redis-catalogue-uncached");
    assert_eq!(found.severity, Severity::High, "{found:?}");
    assert!(remedy(&found, RemedyKind::MedusaConfig).text.contains("featureFlags: { caching: true }"));
    fill(&server, (0..60).flat_map(|i| cache_entry(i, 0..12)));
    let snapshot = with_shop(quiet(&server).await);
    assert!(matches!(outcome(&snapshot, "redis-catalogue-uncached"), Outcome::NotApplicable(_)));
}

fn assert_quiet(snapshot: &Snapshot, what: &str) {
    for check in IDS.map(|id| checks::find(id).unwrap()) {
        if let Outcome::Failed(found) = check.run(snapshot) {
            assert!(found.iter().all(|f| f.severity == Severity::Info), "{what}: {}: {found:?}", check.id);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stock_stores_raise_nothing() {
    let server = server!();
    crate::harness::write_stock(&server, ULID);
    // An order or two in flight, a full stream of events, and the scheduled jobs that Medusa keeps on purpose.
    fill(&server, (0..10_100).map(|i| command(&["XADD", &format!("{EVENTS}:events"), "*", "event", "completed", "jobId", &i.to_string()])));
    add_jobs(&server, EVENTS, 5_400..5_420, "prioritized");
    add_jobs(&server, "bull:medusa-workflows-jobs", 1..901, "completed");
    let worker = server.connect_named(EVENTS_WORKER);
    let shop = |server: &Server| add_jobs(server, EVENTS, 5_420..5_428, "prioritized");
    for major in [2, 1] {
        let mut snapshot = audit(&server, shop).await;
        assert_quiet(&snapshot, "alone");
        let quick = [("select \"p0\".* from \"product\" as \"p0\"", 300, 20.0), ("select \"c0\".* from \"cart\" as \"c0\"", 100, 15.0)];
        snapshot.postgres = Ok(with_postgres(crate::made_redis::postgres(major), Some((900, 0)), &quick));
        assert_quiet(&snapshot, "with its Postgres");
    }
    drop(worker);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stock_v1_store_with_its_sessions_raises_nothing() {
    let server = server!();
    let session = |i: usize| command(&["SET", &format!("sess:{i:0>12}mWr5dBN2VQvuKmBXQjWP"), "{\"cookie\":{}}", "EX", "36000"]);
    fill(&server, (0..679).map(session));
    fill(&server, open_queue(EVENTS));
    fill(&server, (0..49).map(|i| command(&["HSET", &format!("{EVENTS}:job_01M8456ED1Q0T5K7PHZJVSJ{i:0>3}"), "name", "cart.updated", "data", "{}"])));
    fill(&server, [command(&["SET", &format!("{EVENTS}:stalled-check"), "1", "PX", "30000"])]);
    fill(&server, (0..300).map(|i| command(&["SET", &format!("medusa:ps:variant_{ULID}:reg_{ULID}:eur:null:{i}:true:0"), "[]", "EX", "30"])));
    let mut snapshot = quiet(&server).await;
    assert_quiet(&snapshot, "v1 alone");
    let quick = [("SELECT \"product\".\"id\" AS \"product_id\" FROM \"product\" \"product\"", 300, 20.0), ("SELECT 1 FROM \"cart\"", 100, 15.0)];
    snapshot.postgres = Ok(with_postgres(crate::made_redis::postgres(1), Some((900, 0)), &quick));
    assert_quiet(&snapshot, "v1 with its Postgres");
}
