//! What the Redis checks print for a Medusa project, run in a real one: each fragment boots, and the fault is gone where it can be seen.

use std::process::Command;

use crate::harness::{Server, free_port, wait_until};
use crate::made_redis::{cache, found, instance, pattern, postgres, snapshot, with_server};
use crate::medusa::{Shop, V1, V2};
use crate::redis_keys_fixture::{client, events, waiting, with_postgres};
use medusa_advisor::checks;
use medusa_advisor::evidence::Sampled;
use medusa_advisor::evidence::redis::{Instance, Pattern, Queue, QueueLengths, Role, SlowEntry};
use medusa_advisor::finding::{Remedy, RemedyKind};

const EVENTS: &str = "RedisEventBusService:events-queue";
/// Seconds the shop trades after each start.
const TRADES_S: u32 = 3;

/// The texts of one kind that the check prints on this instance of a store of this version.
fn printed(id: &str, major: u8, made: Instance, kind: RemedyKind) -> Vec<String> {
    const PRODUCTS: &str = "select \"p0\".* from \"product\" as \"p0\" where \"p0\".\"deleted_at\" is null and \"p0\".\"id\" in ($1)";
    let mut made = snapshot(made);
    made.postgres = Ok(with_postgres(postgres(major), Some((10, 0)), &[(PRODUCTS, 900, 9_000.0)]));
    let remedies = found(checks::find(id).unwrap().run(&made)).remedies;
    let texts: Vec<String> = remedies.into_iter().filter(|r: &Remedy| r.kind == kind).map(|r| r.text).collect();
    assert!(!texts.is_empty(), "{id} prints none");
    texts
}

fn config(id: &str, major: u8, made: Instance) -> String {
    printed(id, major, made, RemedyKind::MedusaConfig).remove(0)
}

fn shared() -> Instance {
    let entries = Pattern { bytes_estimate: Some(80 << 20), ..cache() };
    with_server(vec![entries, crate::made_redis::queue()], |s| (s.used_memory, s.maxmemory) = (95 << 20, Some(100 << 20)))
}

fn queued(queue: Queue) -> Instance {
    let mut made = instance(vec![cache()]);
    made.clients = Ok(vec![client("medusa-cache-redis", "hget")]);
    made.queues = Ok(vec![queue]);
    made
}

fn workflows(now: QueueLengths, before: QueueLengths) -> Queue {
    Queue { name: "bull:medusa-workflows".into(), role: Role::Workflows, ..events(now, before) }
}

fn kept() -> QueueLengths {
    QueueLengths { completed: 5_000, failed: 5_000, ..QueueLengths::default() }
}

fn lasting(name: &str) -> Instance {
    instance(vec![pattern(name, Role::Cache, 1_000, 1_000)])
}

fn missed() -> Instance {
    let short = Pattern { ttl_ms_median: Some(20_000), ttl_ms_max: Some(30_000), ..cache() };
    with_server(vec![short], |s| {
        s.counters = Sampled { total: crate::made_redis::counters(0, 0, 0), window: Some(crate::made_redis::counters(1_000, 9_000, 0)) };
    })
}

fn flooded() -> Instance {
    let made = pattern("sess:<id>", Role::Sessions, 50_000, 0);
    instance(vec![Pattern { kind: "string".into(), bytes_estimate: Some(12_000_000), ttl_ms_max: Some(36_000_000), ..made }])
}

fn leaking() -> Instance {
    let tags = Pattern {
        kind: "set".into(),
        elements_total: Some(90_000),
        elements_max: Some(900),
        ..pattern("mc:tag:<hash16>", Role::CacheTags, 1_000, 0)
    };
    instance(vec![tags, cache()])
}

/// Lifetimes of the keys of this glob, seconds; -1 for those without one.
fn lifetimes(server: &Server, glob: &str) -> Vec<i64> {
    let keys = server
        .cli(&format!("EVAL \"local t = {{}} for _, k in ipairs(redis.call('KEYS', '{glob}')) do t[#t + 1] = redis.call('TTL', k) end return t\" 0"));
    keys.lines().filter_map(|l| l.trim().parse().ok()).collect()
}

fn live_within(server: &Server, glob: &str, shortest: i64, longest: i64) {
    let all = lifetimes(server, glob);
    assert!(!all.is_empty() && all.iter().all(|s| (shortest..=longest).contains(s)), "{glob}: {all:?}");
}

/// Jobs in a part of the events queue.
fn jobs(server: &Server, part: &str) -> u64 {
    server.cli(&format!("ZCARD {EVENTS}:{part}")).trim().parse().unwrap()
}

impl Shop {
    /// Starts it with these fragments over `store`, lets shoppers in, and ends with a queue at rest.
    fn trades_with(&mut self, store: &str, fragments: &[&str], environment: &[(&str, &str)]) {
        self.configure(store, fragments);
        self.start(environment);
        assert!(self.trade(TRADES_S) > 5);
    }
}

/// Another Redis, for the cache.
fn own_redis() -> Option<Server> {
    let own = Server::start(&["--maxmemory", "512mb", "--maxmemory-policy", "allkeys-lru"]);
    if own.is_none() {
        println!("skipped: no redis-server here");
    }
    own
}

const UNCACHED: &str = "{ ...stock, featureFlags: {}, modules: stock.modules.filter((m) => !m.resolve.includes(\"caching\")) }";

#[tokio::test(flavor = "multi_thread")]
async fn the_cache_of_version_2_moves_out_and_its_entries_live_as_long_as_printed() {
    let Some(mut shop) = Shop::new(&V2, "redis_remedies_cache").await else { return };
    let Some(own) = own_redis() else { return };
    let url = own.url();
    let environment = [("CACHE_REDIS_URL", url.as_str())];
    let entries = "mc:[0-9a-f]*";
    // Nothing is cached, until the printed fragment switches the module on.
    shop.trades_with(UNCACHED, &[], &environment);
    assert!(lifetimes(&own, "mc:*").is_empty() && lifetimes(&shop.redis, "mc:*").is_empty());
    let switched_on = config("redis-catalogue-uncached", 2, instance(vec![crate::made_redis::queue()]));
    shop.trades_with(UNCACHED, &[&switched_on], &environment);
    live_within(&own, entries, 60, 3_600);
    // The stock store keeps all on one Redis; the cache goes, the queues stay.
    own.cli("FLUSHALL");
    shop.trades_with("stock", &[], &environment);
    assert!(!lifetimes(&shop.redis, entries).is_empty() && lifetimes(&own, "*").is_empty());
    shop.end();
    shop.redis.shell("redis-cli -u \"$REDIS_URL\" --scan --pattern 'mc:*' | xargs -r -n 200 redis-cli -u \"$REDIS_URL\" UNLINK > /dev/null");
    shop.trades_with("stock", &[&config("redis-shared-roles", 2, shared())], &environment);
    assert!(lifetimes(&shop.redis, "mc:*").is_empty());
    live_within(&own, entries, 60, 3_600);
    assert!(lifetimes(&own, "*bull*").is_empty() && !lifetimes(&shop.redis, "bull:*").is_empty());
    assert!(lifetimes(&own, "Redis*").is_empty() && !lifetimes(&shop.redis, "RedisEventBusService:*").is_empty());
    // Lifetimes: ten minutes for a cache whose tags leak, an hour for entries that lived half a minute or for ever.
    own.cli("FLUSHALL");
    shop.trades_with("stock", &[&config("redis-cache-tags-leak", 2, leaking())], &environment);
    live_within(&own, entries, 60, 600);
    // The policy's own finding moves it out as well.
    own.cli("FLUSHALL");
    shop.redis.cli("FLUSHALL");
    let evicting = with_server(vec![cache(), crate::made_redis::queue()], |s| s.maxmemory_policy = Some("allkeys-lru".into()));
    shop.trades_with("stock", &[&config("redis-eviction-breaks-queues", 2, evicting)], &environment);
    assert!(lifetimes(&shop.redis, entries).is_empty() && !lifetimes(&own, entries).is_empty());
    for text in [config("redis-low-hit-rate", 2, missed()), config("redis-cache-without-ttl", 2, lasting("mc:<hash16>"))] {
        own.cli("FLUSHALL");
        shop.trades_with("stock", &[&text], &environment);
        live_within(&own, entries, 601, 3_600);
    }
}

const KEEPS_ALL: &str = "{ ...stock, modules: stock.modules.map((m) => m.resolve.includes(\"event-bus\") \
    ? { ...m, options: { ...m.options, jobOptions: { removeOnComplete: false } } } : m) }";

#[tokio::test(flavor = "multi_thread")]
async fn the_queues_of_version_2_trim_their_jobs_and_find_a_worker() {
    let Some(mut shop) = Shop::new(&V2, "redis_remedies_queues").await else { return };
    shop.trades_with(KEEPS_ALL, &[], &[]);
    wait_until("finished jobs are kept", || jobs(&shop.redis, "completed") > 0);
    shop.end();
    shop.redis.cli("FLUSHALL");
    let trimmed = config("redis-jobs-retained", 2, queued(events(kept(), kept())));
    let failed = config("redis-jobs-retained", 2, queued(workflows(kept(), kept())));
    shop.trades_with(KEEPS_ALL, &[&trimmed, &failed], &[]);
    wait_until("the jobs are done", || jobs(&shop.redis, "prioritized") == 0 && shop.redis.cli(&format!("LLEN {EVENTS}:active")).trim() == "0");
    assert_eq!(jobs(&shop.redis, "completed"), 0);
    assert!(shop.redis.cli(&format!("GET {EVENTS}:id")).trim().parse::<u64>().unwrap() > 0, "there were jobs");
    // Some are kept where that is asked for.
    let mut slow = instance(vec![cache()]);
    let entry = |id| SlowEntry {
        id,
        at: 0,
        micros: 200_000,
        command: "EVALSHA".into(),
        pattern: None,
        client_name: Some("RedisEventBusService:ZXZlbnRzLXF1ZXVl".into()),
        in_window: true,
    };
    slow.slowlog = Ok(vec![entry(1), entry(2)]);
    shop.trades_with(KEEPS_ALL, &[&config("redis-slow-commands", 2, slow)], &[]);
    wait_until("the newest are kept", || (1..=100).contains(&jobs(&shop.redis, "completed")));
    // More jobs at once.
    let faster = [events(waiting(500), waiting(400)), workflows(waiting(500), waiting(400))].map(|q| config("redis-job-backlog", 2, queued(q)));
    shop.trades_with("stock", &[&faster[0], &faster[1]], &[]);
    // Sessions of an hour, and none that is empty.
    let sessions = printed("redis-session-flood", 2, flooded(), RemedyKind::MedusaConfig);
    shop.redis.cli("FLUSHALL");
    shop.trades_with("stock", &[&sessions[0], &sessions[1]], &[]);
    live_within(&shop.redis, "sess:*", 60, 3_600);
    // Nobody works, until the printed command starts a worker.
    let unworked = || queued(events(waiting(500), waiting(400)));
    let mode = config("redis-no-worker", 2, unworked());
    let start = printed("redis-no-worker", 2, unworked(), RemedyKind::Shell).remove(0);
    let modeless = "{ ...stock, projectConfig: { ...stock.projectConfig, workerMode: undefined } }";
    shop.trades_with(modeless, &[&mode], &[("MEDUSA_WORKER_MODE", "server")]);
    assert!(jobs(&shop.redis, "prioritized") > 0, "events wait");
    let _worker = shop.beside(&on_free_port(&start));
    wait_until("the worker is at it", || jobs(&shop.redis, "prioritized") == 0);
}

/// The printed command, on a port that is free here.
fn on_free_port(line: &str) -> String {
    assert!(line.contains("--port 9002"), "{line}");
    line.replace("9002", &free_port().to_string())
}

const KEEPS_ALL_V1: &str = "{ ...stock, modules: { ...stock.modules, eventBus: { ...stock.modules.eventBus, \
    options: { ...stock.modules.eventBus.options, jobOptions: { removeOnComplete: false } } } } }";

#[tokio::test(flavor = "multi_thread")]
async fn what_is_printed_for_version_1_runs_in_it() {
    let Some(mut shop) = Shop::new(&V1, "redis_remedies_v1").await else { return };
    let Some(own) = own_redis() else { return };
    let url = own.url();
    let environment = [("CACHE_REDIS_URL", url.as_str())];
    shop.trades_with(KEEPS_ALL_V1, &[], &environment);
    wait_until("finished jobs are kept", || jobs(&shop.redis, "completed") > 0);
    live_within(&shop.redis, "medusa:*", 0, 30);
    shop.end();
    shop.redis.cli("FLUSHALL");
    let trimmed = config("redis-jobs-retained", 1, queued(events(kept(), kept())));
    let sessions = printed("redis-session-flood", 1, flooded(), RemedyKind::MedusaConfig);
    // Together: the cache moves out, jobs are trimmed, nobody gets a session unasked.
    shop.trades_with(KEEPS_ALL_V1, &[&config("redis-shared-roles", 1, shared()), &trimmed, &sessions[0]], &environment);
    assert!(lifetimes(&shop.redis, "medusa:*").is_empty());
    live_within(&own, "medusa:*", 0, 30);
    assert_eq!((jobs(&shop.redis, "completed"), lifetimes(&shop.redis, "sess:*").len()), (0, 0));
    // Entries live longer, sessions shorter, and more jobs are taken at once.
    own.cli("FLUSHALL");
    let faster = config("redis-job-backlog", 1, queued(events(waiting(500), waiting(400))));
    shop.trades_with("stock", &[&config("redis-low-hit-rate", 1, missed()), &faster, &sessions[1]], &environment);
    live_within(&own, "medusa:*", 60, 3_600);
    live_within(&shop.redis, "sess:*", 60, 3_600);
    // The options alone, at their place.
    own.cli("FLUSHALL");
    let options = config("redis-cache-without-ttl", 1, lasting("medusa:<id>"));
    let entry = format!("modules: {{ cacheService: {{ resolve: \"@medusajs/cache-redis\",\n{options} }} }}");
    shop.trades_with("stock", &[&entry], &environment);
    live_within(&own, "medusa:*", 60, 3_600);
    // Under a policy that evicts, the cache moves out too.
    own.cli("FLUSHALL");
    own.cli("CONFIG RESETSTAT");
    let evicting = with_server(vec![cache_of_v1(), queue_of_v1()], |s| s.maxmemory_policy = Some("allkeys-lru".into()));
    shop.redis.cli("FLUSHALL");
    shop.trades_with("stock", &[&config("redis-eviction-breaks-queues", 1, evicting)], &environment);
    assert_ne!(calls(&own, "keys"), 0, "stock version 1 clears prices with it");
    assert!(lifetimes(&shop.redis, "medusa:*").is_empty() && !lifetimes(&own, "medusa:*").is_empty());
    // Prices are cleared without KEYS, and lists answered from the cache.
    let mut walked = instance(vec![cache_of_v1()]);
    walked.commands = Ok(vec![crate::made_redis::command("keys", 10, 1_000, Some((10, 1_000)))]);
    let patched = printed("redis-keys-command", 1, walked, RemedyKind::Code).remove(0);
    shop.write("medusa-config.js", &format!("{patched}\nmodule.exports = require(\"./stock\")\n"));
    shop.redis.cli("CONFIG RESETSTAT");
    let route = printed("redis-catalogue-uncached", 1, instance(vec![queue_of_v1()]), RemedyKind::Code).remove(0);
    shop.write("dist/api/index.js", &route);
    shop.start(&[]);
    assert!(shop.trade(TRADES_S) > 5);
    assert!(calls(&shop.redis, "keys") == 0 && calls(&shop.redis, "scan") > 0, "{}", shop.redis.cli("INFO commandstats"));
    live_within(&shop.redis, "medusa:catalog:*", 1, 60);
    // A worker of its own.
    let unworked = || queued(events(waiting(500), waiting(400)));
    let mode = config("redis-no-worker", 1, unworked());
    let start = printed("redis-no-worker", 1, unworked(), RemedyKind::Shell).remove(0);
    shop.trades_with("stock", &[&mode], &[("MEDUSA_WORKER_MODE", "server")]);
    assert!(waits(&shop.redis) > 0, "events wait");
    let _worker = shop.beside(&on_free_port(&start));
    wait_until("the worker is at it", || waits(&shop.redis) == 0);
}

fn cache_of_v1() -> Pattern {
    pattern("medusa:ps:variant_<ulid>:*", Role::Cache, 1_000, 0)
}

fn queue_of_v1() -> Pattern {
    pattern("RedisEventBusService:events-queue:meta", Role::EventBus, 1, 1)
}

/// Calls of a command since the counters were reset.
fn calls(server: &Server, command: &str) -> u64 {
    let stats = server.cli("INFO commandstats");
    let line = stats.lines().find_map(|l| l.strip_prefix(&format!("cmdstat_{command}:calls=")));
    line.map_or(0, |l| l.split(',').next().unwrap().parse().unwrap())
}

/// Jobs that wait, with a priority and without.
fn waits(server: &Server) -> u64 {
    jobs(server, "prioritized") + server.cli(&format!("LLEN {EVENTS}:wait")).trim().parse::<u64>().unwrap()
}

#[test]
fn the_printed_update_is_one_that_npm_takes() {
    let text = printed("redis-cache-tags-leak", 2, leaking(), RemedyKind::Shell).remove(0);
    let folder = tempfile::tempdir().unwrap();
    // An older store: its packages ask for their peers at one version.
    let old = std::fs::read_to_string(format!("{}/store/package.json", crate::npm::SOURCES)).unwrap().replace("2.21.2", "2.8.8");
    std::fs::write(folder.path().join("package.json"), old).unwrap();
    let line = format!("{text} --dry-run --ignore-scripts --no-audit --no-fund --fetch-retries=1 --fetch-timeout=20000");
    let Ok(ran) = Command::new("sh").args(["-c", &line]).current_dir(folder.path()).output() else { return };
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    if ["ENOTFOUND", "EAI_AGAIN", "ETIMEDOUT", "ECONNREFUSED", "not found"].iter().any(|cause| said.contains(cause)) {
        println!("skipped: npm or its registry is out of reach");
        return;
    }
    assert!(ran.status.success(), "{line}\n{said}");
    let told = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(told.contains("add @medusajs/caching-redis") && !told.contains(" 2.8.8"), "{told}");
}
