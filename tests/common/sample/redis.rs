//! Two Redis instances: a cache, and queues under an eviction policy.

use medusa_advisor::evidence::Sampled;
use medusa_advisor::evidence::redis::{
    Access, ClientGroup, Command, CommandCounters, Config, Counters, DatabaseSample, Instance, KeySample, LatencyEvent, LogicalDatabase, Network,
    Pattern, Queue, QueueLengths, Redis, Role, Server, SlowEntry,
};

const GIB: u64 = 1 << 30;
const MIB: u64 = 1 << 20;

pub fn redis() -> Redis {
    let cache = [
        pattern("mc:<hash>", Role::Cache, "string", 17_980, GIB + 120 * MIB, Some(3_600_000)),
        pattern("mc:tag:<id>", Role::CacheTags, "set", 9_410, 640 * MIB, None),
        pattern("catalog:<id>", Role::CustomCache, "string", 4_120, 390 * MIB, None),
    ];
    let queue = [
        pattern("sess:<id>", Role::Sessions, "string", 22_310, 310 * MIB, Some(86_400_000)),
        pattern("bull:medusa-workflows:<n>", Role::Workflows, "hash", 2_318, 280 * MIB, None),
        pattern("RedisEventBusService:<n>", Role::EventBus, "hash", 1_204, 90 * MIB, None),
        pattern("medusa_lock:<id>", Role::Locks, "string", 41, 2 * MIB, Some(30_000)),
    ];
    Redis { instances: vec![instance("cache.northwind.internal:6379/0", &cache, 10_985), instance("queue.northwind.internal:6379/0", &queue, 2_200)] }
}

fn instance(name: &str, patterns: &[Pattern], hits: u64) -> Instance {
    let keys = patterns.iter().map(|p| p.keys_estimate).sum();
    Instance {
        name: name.to_owned(),
        server: Ok(server(hits, keys)),
        config: Ok(Config {
            values: [
                ("appendonly", "no"),
                ("maxmemory", "4294967296"),
                ("maxmemory-policy", "allkeys-lru"),
                ("slowlog-log-slower-than", "10000"),
                ("timeout", "0"),
            ]
            .map(|(n, v)| (n.to_owned(), v.to_owned()))
            .to_vec(),
        }),
        slowlog: Ok(vec![
            SlowEntry {
                id: 812,
                at: 1_795_426_181,
                micros: 84_000,
                command: "KEYS".to_owned(),
                pattern: Some("catalog:*".to_owned()),
                client_name: None,
                in_window: true,
            },
            SlowEntry {
                id: 811,
                at: 1_795_426_100,
                micros: 61_200,
                command: "KEYS".to_owned(),
                pattern: Some("catalog:*".to_owned()),
                client_name: None,
                in_window: false,
            },
        ]),
        latency: Ok(vec![LatencyEvent { name: "command".to_owned(), at: 1_795_426_181, last_ms: 84, max_ms: 121 }]),
        clients: Ok(vec![
            ClientGroup { name: "ioredis".to_owned(), command: "get".to_owned(), count: 14, database: 0 },
            ClientGroup { name: String::new(), command: "bzpopmin".to_owned(), count: 6, database: 0 },
        ]),
        commands: Ok(commands()),
        keys: Ok(KeySample {
            keys_total: keys,
            keys_sampled: 10_000.min(keys),
            is_complete: keys <= 10_000,
            ended_by: (keys > 10_000).then(|| "keys".to_owned()),
            patterns: patterns.to_vec(),
            databases: vec![DatabaseSample { index: 0, keys, sampled: 10_000.min(keys), is_complete: keys <= 10_000 }],
        }),
        queues: Ok(if name.starts_with("queue") { queues() } else { Vec::new() }),
        queues_left_out: 0,
        slowlog_lost: Some(0),
    }
}

fn server(hits: u64, keys: u64) -> Server {
    let window = Counters {
        commands: 28_400,
        keyspace_hits: hits,
        keyspace_misses: 7_955,
        evicted_keys: 214,
        net_input_bytes: 9_400_000,
        net_output_bytes: 61_000_000,
        ..Counters::default()
    };
    let total = Counters {
        commands: 81_204_111,
        keyspace_hits: 31_000_000,
        keyspace_misses: 24_000_000,
        expired_keys: 1_204_000,
        evicted_keys: 41_820,
        connections_received: 9_120,
        net_input_bytes: 31_000_000_000,
        net_output_bytes: 204_000_000_000,
        ..Counters::default()
    };
    Server {
        product: "redis".to_owned(),
        version: "7.2.4".to_owned(),
        mode: "standalone".to_owned(),
        role: "master".to_owned(),
        platform: "plain".to_owned(),
        uptime_s: 518_400,
        used_memory: 2 * GIB + 860 * MIB,
        used_memory_rss: Some(3 * GIB + 210 * MIB),
        used_memory_peak: Some(3 * GIB + 900 * MIB),
        used_memory_dataset: Some(2 * GIB + 610 * MIB),
        fragmentation_ratio: Some(1.13),
        maxmemory: Some(4 * GIB),
        maxmemory_policy: Some("allkeys-lru".to_owned()),
        system_memory: Some(8 * GIB),
        connected_clients: 20,
        blocked_clients: 6,
        maxclients: Some(10_000),
        is_loading: false,
        aof_enabled: Some(false),
        rdb_last_save_age_s: Some(1_840),
        master_link_down: false,
        replica_lag_bytes: None,
        replicas: Some(0),
        replicas_syncing: 0,
        expired_stale_share: Some(0.01),
        is_persistence_failing: false,
        access: Some(Access {
            is_tls: false,
            has_password: true,
            network: Network::Private,
            is_named: false,
            has_certificate: false,
            lets_anybody_in: Some(false),
        }),
        counters: Sampled { total, window: Some(window) },
        databases: vec![LogicalDatabase { index: 0, keys, keys_with_ttl: keys * 3 / 5, average_ttl_ms: 2_100_000 }],
        round_trip_ms: 3.1,
    }
}

fn commands() -> Vec<Command> {
    let rows = [
        ("get", 18_940, 41_000),
        ("keys", 20, 1_380_000),
        ("set", 4_120, 22_000),
        ("hgetall", 2_310, 31_000),
        ("bzpopmin", 640, 9_000),
        ("del", 410, 2_000),
    ];
    let command = |(name, calls, micros): (&str, u64, u64)| Command {
        name: name.to_owned(),
        counters: Sampled {
            total: CommandCounters { calls: calls * 2_800, micros: micros * 2_800, failed: 0 },
            window: Some(CommandCounters { calls, micros, failed: 0 }),
        },
    };
    rows.into_iter().map(command).collect()
}

fn pattern(name: &str, role: Role, kind: &str, keys: u64, bytes: u64, ttl_ms: Option<u64>) -> Pattern {
    Pattern {
        database: 0,
        pattern: name.to_owned(),
        role,
        kind: kind.to_owned(),
        keys: keys / 3,
        keys_estimate: keys,
        without_ttl: if ttl_ms.is_some() { 0 } else { keys / 3 },
        ttl_ms_min: ttl_ms.map(|t| t / 10),
        ttl_ms_median: ttl_ms.map(|t| t / 2),
        ttl_ms_max: ttl_ms,
        ttl_counts: Vec::new(),
        measured: 200,
        bytes_estimate: Some(bytes),
        bytes_error: None,
        bytes_max: Some(bytes / 400),
        elements_max: (kind != "string").then_some(1_840),
        elements_total: (kind != "string").then_some(keys * 12),
        idle_s_median: Some(940),
        idle_s_max: Some(4_000),
        idle_keys: 0,
        idle_over_hour: 1,
        frequency_max: None,
        queue_part: name.starts_with("bull:").then(|| "completed".to_owned()),
    }
}

fn queues() -> Vec<Queue> {
    let lengths = |wait, active, failed, completed| QueueLengths { wait, active, failed, completed, ..QueueLengths::default() };
    let queue = |name: &str, role, now: QueueLengths, before: QueueLengths, is_attended| Queue {
        database: 0,
        name: name.to_owned(),
        role,
        now,
        before: Some((31.0, before)),
        is_attended,
    };
    vec![
        queue("RedisEventBusService:events-queue", Role::EventBus, lengths(1_842, 4, 2_310, 0), lengths(1_804, 4, 2_310, 0), true),
        queue("bull:medusa-workflows", Role::Workflows, lengths(3, 1, 12, 0), lengths(4, 1, 12, 0), true),
        queue("bull:workflows-cleaner", Role::Workflows, QueueLengths { delayed: 1, ..QueueLengths::default() }, QueueLengths::default(), true),
        queue("bull:mails", Role::Queue, lengths(212, 0, 0, 1_000), lengths(196, 0, 0, 1_000), false),
    ]
}
