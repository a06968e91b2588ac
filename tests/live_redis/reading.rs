//! Faults made on a real Redis: each is created, named by the audit, fixed by the printed remedy, and gone.
//!
//! Needs `redis-server` and `redis-cli` on the PATH (or `ADVISOR_TEST_REDIS_SERVER`); prints "skipped" without them.

use std::time::Duration;

use crate::harness::{Server, audit, audit_with, command, fill, findings, outcome, profile, remedy};
use medusa_advisor::connect::profile::{RedisPasswords, RedisProfile, Secrets};
use medusa_advisor::evidence::{Cause, Section};
use medusa_advisor::finding::{Outcome, RemedyKind, Severity};
use medusa_advisor::plan;
use medusa_advisor::report::{Options, Report, markdown};
use medusa_advisor::secret::Secret;

const ULID: &str = "01M8469SSQJ16F56J2S24NK90Y";

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

/// Cache entries as Medusa's caching module writes them.
fn write_cache(server: &Server, count: usize) {
    fill(
        server,
        (0..count).flat_map(|i| {
            let key = format!("mc:{:016x}", i);
            [command(&["HSET", &key, "data", "{}", "options", "{}"]), command(&["EXPIRE", &key, "3600"])]
        }),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_low_hit_rate_is_named_and_a_good_one_passes() {
    let server = server!();
    write_cache(&server, 400);
    let lookups = |misses: usize| {
        move |server: &Server| {
            fill(
                server,
                (0..3_000usize).map(|i| {
                    if i % 100 < misses {
                        command(&["HGET", "mc:ffffffffffffffff", "data"])
                    } else {
                        command(&["HGET", &format!("mc:{:016x}", i % 400), "data"])
                    }
                }),
            );
        }
    };
    let snapshot = audit(&server, lookups(50)).await;
    let found = findings(&snapshot, "redis-low-hit-rate");
    assert_eq!(found.len(), 1, "{:?}", outcome(&snapshot, "redis-low-hit-rate"));
    assert!(found[0].observed.contains("50"), "{}", found[0].observed);
    let snapshot = audit(&server, lookups(5)).await;
    assert_eq!(outcome(&snapshot, "redis-low-hit-rate"), Outcome::Passed);
    let line = snapshot.timelines.iter().find(|t| t.id == "redis.hit_rate").expect("a cache alone has a hit rate over time");
    assert!(line.points.iter().any(|(_, v)| v.is_some_and(|v| v > 0.9)), "{line:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_in_the_window_is_named_and_gone_with_the_remedy() {
    let server = server!("--slowlog-log-slower-than", "500");
    write_cache(&server, 20_000);
    let invalidate = |server: &Server| fill(server, (0..20).map(|_| command(&["KEYS", "product:jane@example.com:*"])));
    let snapshot = audit(&server, invalidate).await;
    let found = findings(&snapshot, "redis-keys-command");
    assert_eq!(found.len(), 1);
    assert!(found[0].severity > Severity::Info && found[0].observed.contains("20\u{a0}calls of KEYS"), "{:?}", found[0]);
    let entry = snapshot.redis.as_ref().unwrap().instances[0].slowlog().unwrap().iter().find(|e| e.command == "KEYS").unwrap();
    assert_eq!((entry.pattern.as_deref(), entry.in_window), (Some("product:<id>:*"), true));
    server.cli(&remedy(&found[0], RemedyKind::Redis).text);
    let snapshot = audit(&server, |server: &Server| {
        let answer = server.cli("KEYS *");
        assert!(answer.contains("NOPERM"), "{answer}");
    })
    .await;
    assert!(findings(&snapshot, "redis-keys-command").iter().all(|f| f.severity == Severity::Info));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_evicts_jobs_is_named_and_fixed() {
    let server = server!("--maxmemory", "200mb", "--maxmemory-policy", "allkeys-lru");
    fill(&server, [command(&["HSET", "bull:medusa-workflows:meta", "opts", "{}"]), command(&["HSET", "bull:medusa-workflows:17", "data", "{}"])]);
    let snapshot = audit(&server, |_: &Server| ()).await;
    let found = findings(&snapshot, "redis-eviction-breaks-queues");
    assert_eq!((found.len(), found[0].severity), (1, Severity::High), "{found:?}");
    assert_eq!(server.cli(&remedy(&found[0], RemedyKind::Redis).text).trim(), "OK");
    let snapshot = audit(&server, |_: &Server| ()).await;
    assert_eq!(outcome(&snapshot, "redis-eviction-breaks-queues"), Outcome::Passed);
}

#[tokio::test(flavor = "multi_thread")]
async fn cache_keys_that_never_expire_are_named_and_given_a_lifetime() {
    let server = server!();
    fill(&server, (0..600).map(|i| command(&["SET", &format!("cache:product:{i}"), &"x".repeat(500)])));
    fill(&server, (0..300).map(|i| command(&["SET", &format!("RedisEventBusService:events-queue:{i}"), "job"])));
    let snapshot = audit(&server, |_: &Server| ()).await;
    let found = findings(&snapshot, "redis-cache-without-ttl");
    assert_eq!(found.len(), 1, "queue keys have none by design: {found:?}");
    assert!(found[0].observed.contains("600\u{a0}keys"), "{}", found[0].observed);
    server.shell(&remedy(&found[0], RemedyKind::Shell).text);
    let snapshot = audit(&server, |_: &Server| ()).await;
    assert_eq!(outcome(&snapshot, "redis-cache-without-ttl"), Outcome::Passed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lifetime_reaches_the_judged_family_alone() {
    let server = server!();
    fill(&server, (0..300).map(|i| command(&["SET", &format!("cache:{i}"), "x"])));
    fill(&server, (0..300).map(|i| command(&["SET", &format!("cache:stock:{i}"), "x", "EX", "30"])));
    fill(&server, [command(&["SET", "cache:lock:import", "x"]), command(&["HSET", "cache:settings:shop", "name", "x"])]);
    let snapshot = audit(&server, |_: &Server| ()).await;
    let found = findings(&snapshot, "redis-cache-without-ttl");
    assert_eq!(found.len(), 1, "{found:?}");
    server.shell(&remedy(&found[0], RemedyKind::Shell).text);
    let ttl = |key: &str| server.cli(&format!("TTL {key}")).trim().parse::<i64>().unwrap();
    assert!((0..300).all(|i| (3_500..=3_600).contains(&ttl(&format!("cache:{i}")))));
    assert_eq!((ttl("cache:lock:import"), ttl("cache:settings:shop")), (-1, -1), "kept for good");
    assert!((0..300).all(|i| ttl(&format!("cache:stock:{i}")) <= 30));
    // A hash of the same form is no entry of the cache: nothing is printed that would reach it.
    fill(&server, (0..200).map(|i| command(&["SET", &format!("cache:page:{i}"), "x"])));
    fill(&server, [command(&["HSET", "cache:page:900", "name", "x"])]);
    let snapshot = audit(&server, |_: &Server| ()).await;
    let found = findings(&snapshot, "redis-cache-without-ttl");
    assert!(found.len() == 1 && found[0].remedies.iter().all(|r| r.kind != RemedyKind::Shell), "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_databases_of_a_server_are_read_once() {
    let server = server!();
    fill(&server, (0..1_500).map(|i| command(&["SET", &format!("cache:page:{i}"), "x", "EX", "600"])));
    let second: Vec<_> = (0..1_500).map(|i| command(&["SET", &format!("cache:product:{i}"), "x", "EX", "600"])).collect();
    fill(&server, [vec![command(&["SELECT", "1"])], second].concat());
    let first = profile(&server);
    let other = RedisProfile { database: 1, host: "localhost".into(), ..first.clone() };
    let same = RedisProfile { database: 1, ..first.clone() };
    let misses = || fill(&server, (0..2_400).map(|i| command(&["GET", &format!("cache:page:absent{i}")])));
    for (profiles, name) in [
        (vec![first.clone(), same], format!("127.0.0.1:{}/0,1", server.port)),
        (vec![first, other], format!("127.0.0.1:{0}/0 and localhost:{0}/1", server.port)),
    ] {
        server.cli("CONFIG RESETSTAT");
        let snapshot = audit_with(&profiles, &[None, None], 4, misses).await;
        let instances = &snapshot.redis.as_ref().unwrap().instances;
        assert_eq!(instances.iter().map(|i| i.name.as_str()).collect::<Vec<_>>(), [name.as_str()]);
        let window = instances[0].server().unwrap().counters.window.unwrap();
        assert_eq!((window.keyspace_hits, window.keyspace_misses), (0, 2_400));
        assert_eq!(instances[0].keys().unwrap().keys_total, 3_000);
        // But for how two connections were opened.
        let known = ["get", "set", "select", "ping", "info", "client|setname", "client|setinfo", "config|resetstat"];
        let strangers: Vec<_> = instances[0].commands().unwrap().iter().filter(|c| !known.contains(&c.name.as_str())).collect();
        assert!(strangers.is_empty(), "what both sessions asked is ours: {strangers:?}");
        assert_eq!(findings(&snapshot, "redis-low-hit-rate").len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_audit_of_a_quiet_cache_says_what_the_first_did() {
    let server = server!();
    fill(&server, (0..3_000).map(|i| command(&["SET", &format!("cache:page:{i}"), "x", "EX", "600"])));
    fill(&server, (0..30).map(|i| command(&["HSET", &format!("cache:facets:{i}"), "a", "1"])));
    fill(&server, (0..300).map(|i| command(&["GET", &format!("cache:page:{i}")])));
    fill(&server, (0..3_000).map(|i| command(&["GET", &format!("cache:page:absent{i}")])));
    for audits in 0..3 {
        let snapshot = audit(&server, |_: &Server| ()).await;
        let found = findings(&snapshot, "redis-low-hit-rate");
        assert_eq!(found.len(), 1, "after {audits} audits: {:?}", outcome(&snapshot, "redis-low-hit-rate"));
        assert_eq!(found[0].severity, Severity::High);
        assert!(found[0].observed.starts_with("9") && found[0].observed.contains("3,300"), "after {audits} audits: {}", found[0].observed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn evictions_are_named_and_stop_with_more_memory() {
    let server = server!("--maxmemory", "5mb", "--maxmemory-policy", "allkeys-lru");
    let write = |from: usize| {
        move |server: &Server| {
            fill(server, (from..from + 3_000).map(|i| command(&["SET", &format!("cache:page:{i}"), &"x".repeat(1_500), "EX", "600"])))
        }
    };
    write(0)(&server);
    let snapshot = audit(&server, write(3_000)).await;
    let found = findings(&snapshot, "redis-evictions");
    assert_eq!(found.len(), 1, "{:?}", outcome(&snapshot, "redis-evictions"));
    assert_eq!(server.cli(&remedy(&found[0], RemedyKind::Redis).text).trim(), "OK");
    let few = |server: &Server| fill(server, (6_000..6_500).map(|i| command(&["SET", &format!("cache:page:{i}"), &"x".repeat(1_500), "EX", "600"])));
    let snapshot = audit(&server, few).await;
    assert_eq!(outcome(&snapshot, "redis-evictions"), Outcome::Passed);
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_near_its_limit_is_named_and_raised() {
    let server = server!("--maxmemory", "16mb", "--maxmemory-policy", "noeviction");
    let mut i = 0;
    while server.used_memory() < 16 * 1024 * 1024 * 93 / 100 {
        fill(&server, [command(&["SET", &format!("order:draft:{i}"), &"x".repeat(60_000)])]);
        i += 1;
    }
    let snapshot = audit(&server, |_: &Server| ()).await;
    let found = findings(&snapshot, "redis-memory-pressure");
    assert_eq!((found.len(), found[0].severity), (1, Severity::High), "{found:?}");
    assert_eq!(server.cli(&remedy(&found[0], RemedyKind::Redis).text).trim(), "OK");
    let snapshot = audit(&server, |_: &Server| ()).await;
    assert_eq!(outcome(&snapshot, "redis-memory-pressure"), Outcome::Passed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stock_store_gives_nothing_above_info() {
    let server = server!();
    crate::harness::write_stock(&server, ULID);
    let shop = |server: &Server| {
        fill(server, (0..2_000).map(|i| command(&["HGET", &format!("mc:{:016x}", i % 300), "data"])));
        fill(server, (0..200).map(|i| command(&["GET", &format!("dtrx:absent:{i}")])));
    };
    let snapshot = audit(&server, shop).await;
    for judged in medusa_advisor::checks::run_all(&snapshot, |c| c.id.starts_with("redis-")) {
        if let Outcome::Failed(found) = &judged.outcome {
            assert!(found.iter().all(|f| f.severity == Severity::Info), "{}: {found:?}", judged.check.id);
        }
    }
    assert!(matches!(outcome(&snapshot, "redis-low-hit-rate"), Outcome::Unknown(_)), "a shared instance is not judged");
    let keys = snapshot.redis.as_ref().unwrap().instances[0].keys().unwrap();
    let patterns: Vec<&str> = keys.patterns.iter().map(|p| p.pattern.as_str()).collect();
    for expected in
        ["mc:<hash16>", "mc:tag:<hash16>", "sess:<id>", "medusa_lock:cart_<ulid>", "bull:medusa-workflows:meta", "medusa:ps:variant_<ulid>:*"]
    {
        assert!(patterns.contains(&expected), "{expected} in {patterns:?}");
    }
    assert!(keys.is_complete && keys.keys_sampled == keys.keys_total);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_is_named_with_its_own_version() {
    let server = server!();
    let expected = crate::harness::program_version();
    let test = medusa_advisor::connect::redis::test(&profile(&server), RedisPasswords::default(), Duration::from_secs(2)).await;
    assert!(test.steps[4].detail.starts_with(&format!("{expected}, ")), "{expected}: {test:?}");
    let snapshot = audit(&server, |_: &Server| ()).await;
    let plan = plan::build(&snapshot, &[], |_| true);
    let report = markdown::render(&Report::build(&snapshot, &plan, &Options::whole("versions")));
    assert!(report.contains(&format!("; {expected} on 127.0.0.1:{}/0", server.port)), "{expected}: {report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_we_ask_ourselves_is_in_no_counter() {
    let server = server!();
    crate::harness::write_stock(&server, ULID);
    let snapshot = audit(&server, |_: &Server| ()).await;
    let instance = &snapshot.redis.as_ref().unwrap().instances[0];
    let window = instance.server().unwrap().counters.window.unwrap();
    assert_eq!((window.commands, window.keyspace_hits, window.keyspace_misses), (0, 0, 0));
    let busy: Vec<_> = instance.commands().unwrap().iter().filter(|c| c.counters.window.is_some_and(|w| w.calls > 0)).collect();
    assert!(busy.is_empty(), "{busy:?}");
    assert!(instance.clients().unwrap().is_empty(), "our own connection is nobody's");
}

#[tokio::test(flavor = "multi_thread")]
async fn counters_reset_in_the_window_leave_no_window() {
    let server = server!();
    write_cache(&server, 50);
    fill(&server, (0..500).map(|_| command(&["PING"])));
    let snapshot = audit(&server, |server: &Server| {
        server.cli("CONFIG RESETSTAT");
    })
    .await;
    assert_eq!(snapshot.redis.as_ref().unwrap().instances[0].server().unwrap().counters.window, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_printed_grant_is_enough_and_reads_no_value() {
    let server = server!();
    crate::harness::write_stock(&server, ULID);
    assert_eq!(server.cli(medusa_advisor::connect::redis::GRANTS).trim(), "OK");
    let mut p = profile(&server);
    p.user = "advisor".into();
    let password = Secret::new("CHANGE_ME".to_owned());
    let snapshot = audit_with(&[p.clone()], &[Some(password.clone())], 1, || ()).await;
    let instance = &snapshot.redis.as_ref().unwrap().instances[0];
    assert_eq!(instance.gaps(), []);
    assert!(instance.keys().unwrap().patterns.iter().all(|p| p.bytes_estimate.is_some() && p.idle_s_median.is_some()));
    let report = medusa_advisor::connect::redis::test(&p, RedisPasswords::of_server(Some(&password)), Duration::from_secs(2)).await;
    assert!(
        report.is_connected()
            && report.capabilities.iter().all(|c| !matches!(c.state, medusa_advisor::connect::steps::CapabilityState::Missing { .. })),
        "{report:?}"
    );
    for refused in ["GET sess:x", "HGETALL mc:x", "KEYS *", "SMEMBERS x", "SET x y", "FLUSHALL", "CONFIG SET maxmemory 1", "EVAL 'return 1' 0"] {
        assert!(server.cli_as("advisor", "CHANGE_ME", refused).contains("NOPERM"), "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_user_may_not_see_is_a_gap_with_its_grant() {
    let server = server!();
    write_cache(&server, 10);
    server.cli("ACL SETUSER limited on >pw ~* -@all +ping +select +info +client|setname +scan +type +pttl");
    let mut p = profile(&server);
    p.user = "limited".into();
    let snapshot = audit_with(&[p.clone()], &[Some(Secret::new("pw".to_owned()))], 1, || ()).await;
    let instance = &snapshot.redis.as_ref().unwrap().instances[0];
    assert!(instance.server().is_ok() && instance.commands().is_ok());
    let keys = instance.keys().unwrap();
    assert_eq!((keys.keys_sampled, keys.patterns[0].bytes_estimate, keys.patterns[0].elements_max), (10, None, None));
    for (gap, grant) in [
        (instance.config().unwrap_err(), "ACL SETUSER limited +config|get"),
        (instance.slowlog().unwrap_err(), "ACL SETUSER limited +slowlog|get"),
        (instance.latency().unwrap_err(), "ACL SETUSER limited +latency|latest"),
        (instance.clients().unwrap_err(), "ACL SETUSER limited +client|list"),
        (instance.queues().unwrap_err(), "ACL SETUSER limited ~* +select +type +llen +zcard"),
    ] {
        assert_eq!(gap.cause, Cause::Denied { grant: grant.into() });
        assert_eq!(server.cli(grant).trim(), "OK");
    }
    let snapshot = audit_with(&[p], &[Some(Secret::new("pw".to_owned()))], 1, || ()).await;
    assert_eq!(snapshot.redis.as_ref().unwrap().instances[0].gaps(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renamed_command_is_a_gap() {
    let server = server!("--rename-command", "CONFIG", "hidden");
    let snapshot = audit(&server, |_: &Server| ()).await;
    let instance = &snapshot.redis.as_ref().unwrap().instances[0];
    assert!(matches!(instance.config().unwrap_err().cause, Cause::Absent { .. }));
    assert_eq!(instance.server().unwrap().platform, "managed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_and_no_server_are_said_in_words() {
    let server = server!("--requirepass", "right");
    let gap = |snapshot: medusa_advisor::evidence::Snapshot| snapshot.redis.unwrap_err();
    let p = profile(&server);
    let wrong = gap(audit_with(std::slice::from_ref(&p), &[Some(Secret::new("hunter2".to_owned()))], 1, || ()).await);
    assert!(wrong.detail.contains("refused the password") && !wrong.detail.contains("hunter2"), "{wrong:?}");
    let none = gap(audit_with(std::slice::from_ref(&p), &[None], 1, || ()).await);
    assert!(none.detail.contains("password"), "{none:?}");
    let mut nobody = p.clone();
    nobody.port = crate::harness::free_port();
    let absent = gap(audit_with(&[nobody.clone()], &[None], 1, || ()).await);
    assert_eq!((absent.section, &absent.cause), (Section::Redis, &Cause::Unreachable));
    assert!(absent.detail.contains("Nothing listens"), "{absent:?}");
    let report = medusa_advisor::connect::redis::test(&nobody, RedisPasswords::default(), Duration::from_secs(2)).await;
    assert!(!report.is_connected() && report.steps.len() == 5, "{report:?}");
    // One of two failing leaves the other.
    let both = audit_with(&[nobody, p], &[None, Some(Secret::new("right".to_owned()))], 1, || ()).await;
    let redis = both.redis.unwrap();
    assert_eq!((redis.instances[0].gaps().len(), redis.instances[1].gaps().len()), (8, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_secrets_nor_names_of_people_reach_the_snapshot() {
    let server = server!("--slowlog-log-slower-than", "0", "--requirepass", "SENTINEL-PASSWORD");
    let people = ["SENTINELjane@example.com", "SENTINEL-Jane-Doe", "SENTINELxyzzy", "sentinelmueller"];
    let commands = people.iter().flat_map(|p| {
        [
            command(&["SET", p, "SENTINEL-VALUE"]),
            command(&["SET", &format!("cart:{p}"), "SENTINEL-VALUE"]),
            command(&["SET", &format!("sess:{p}"), "SENTINEL-VALUE", "EX", "100"]),
            command(&["HSET", &format!("mc:{p}"), "SENTINEL-FIELD", "SENTINEL-VALUE"]),
            command(&["HSET", &format!("bull:{p}:meta"), "f", "SENTINEL-VALUE"]),
            command(&["SADD", &format!("wishlist/{p}/items"), "SENTINEL-VALUE"]),
            command(&["GET", &format!("{p}:{p}")]),
            command(&["KEYS", &format!("cart:{p}*")]),
            command(&["CLIENT", "SETNAME", p]),
        ]
    });
    let commands: Vec<_> = commands.collect();
    fill(&server, commands.clone());
    let open = server.connect_named("sentinelmueller");
    let s = &server;
    let snapshot = audit_with(&[profile(&server)], &[Some(Secret::new("SENTINEL-PASSWORD".to_owned()))], 1, move || fill(s, commands)).await;
    drop(open);
    let saved = serde_json::to_string(&snapshot).unwrap();
    assert!(saved.contains("cart:<id>"), "the sample was taken");
    let at = saved.to_lowercase().find("sentinel");
    assert!(at.is_none(), "…{}…", &saved[at.unwrap_or(0).saturating_sub(80)..][..160]);
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_is_verified_against_the_given_authority() {
    let Some((server, ca)) = Server::start_tls() else {
        println!("skipped: no redis-server with TLS, or no openssl here");
        return;
    };
    let mut p = profile(&server);
    p.is_tls = true;
    p.host = "localhost".into();
    let unknown = medusa_advisor::connect::redis::test(&p, RedisPasswords::default(), Duration::from_secs(3)).await;
    let failed = format!("{:?}", unknown.steps[2]);
    assert!(failed.contains("authority"), "{failed}");
    p.ca_file = Some(ca);
    let known = medusa_advisor::connect::redis::test(&p, RedisPasswords::default(), Duration::from_secs(3)).await;
    assert!(known.is_connected() && known.steps[2].detail.starts_with("1."), "{known:?}");
    let snapshot = audit_with(&[p], &[None], 1, || ()).await;
    assert_eq!(snapshot.redis.unwrap().instances[0].gaps(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_keyspace_is_sampled_within_its_limits() {
    let server = server!();
    write_cache(&server, 20_000);
    fill(&server, [command(&["SELECT", "3"]), command(&["HSET", "bull:medusa-workflows:meta", "opts", "{}"])]);
    let mut limits = medusa_advisor::connect::profile::Limits { redis_keys_max: 500, ..Default::default() };
    let sample = |snapshot: medusa_advisor::evidence::Snapshot| snapshot.redis.unwrap().instances.remove(0).keys.unwrap();
    let keys = sample(crate::harness::audit_limited(&[profile(&server)], &Secrets::default(), 1, &limits, || ()).await);
    assert_eq!((keys.is_complete, keys.ended_by.as_deref(), keys.keys_total), (false, Some("keys"), 20_001));
    assert!((480..=502).contains(&keys.keys_sampled), "{}", keys.keys_sampled);
    let cache = keys.patterns.iter().find(|p| p.pattern == "mc:<hash16>").unwrap();
    assert!((19_900..=20_100).contains(&cache.keys_estimate), "{cache:?}");
    assert!(keys.patterns.iter().any(|p| p.database == 3 && p.pattern == "bull:medusa-workflows:meta"));
    limits = medusa_advisor::connect::profile::Limits { redis_scan_s_max: 1, redis_commands_per_s: 500, ..Default::default() };
    let start = std::time::Instant::now();
    let keys = sample(crate::harness::audit_limited(&[profile(&server)], &Secrets::default(), 1, &limits, || ()).await);
    assert_eq!(keys.ended_by.as_deref(), Some("seconds"));
    assert!(start.elapsed() < Duration::from_secs(4) && keys.keys_sampled < 400, "{} keys, {:?}", keys.keys_sampled, start.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn prefixes_have_the_role_that_the_user_told() {
    let server = server!();
    fill(&server, (0..200).map(|i| command(&["SET", &format!("acme-{i}:jane{i}"), "x"])));
    fill(&server, [command(&["HSET", "acme-mails:welcome:meta", "opts", "{}"]), command(&["RPUSH", "acme-mails:welcome:wait", "1"])]);
    let untold = audit_with(&[profile(&server)], &[None], 1, || ()).await;
    assert!(findings(&untold, "redis-cache-without-ttl").is_empty());
    let roles = medusa_advisor::connect::profile::parse_roles("acme-mails:=queue, acme-=cache").unwrap();
    let told = audit_with(&[RedisProfile { roles, ..profile(&server) }], &[None], 1, || ()).await;
    let instance = &told.redis.as_ref().unwrap().instances[0];
    let patterns: Vec<_> = instance.keys().unwrap().patterns.iter().map(|p| (p.pattern.as_str(), p.role)).collect();
    assert!(patterns.contains(&("acme-<n>:<id>", medusa_advisor::evidence::redis::Role::CustomCache)), "{patterns:?}");
    assert!(patterns.iter().any(|(p, role)| p.starts_with("acme-mails:") && *role == medusa_advisor::evidence::redis::Role::Queue), "{patterns:?}");
    assert_eq!(instance.queues().unwrap()[0].waiting(), 1);
    assert_eq!(findings(&told, "redis-cache-without-ttl").len(), 1);
    assert!(!serde_json::to_string(&told).unwrap().contains("jane"));
}
