//! Made evidence of one Redis instance for the checks: a healthy one, changed where a test wants it.

// Each test program uses its part of this.
#![allow(dead_code)]

use medusa_advisor::checks;
use medusa_advisor::evidence::medusa::Medusa;
use medusa_advisor::evidence::redis::{
    Command, CommandCounters, Config, Counters, DatabaseSample, Instance, KeySample, LogicalDatabase, Pattern, Redis, Role, Server,
};
use medusa_advisor::evidence::{Cause, Gap, Meta, Sampled, Section, Snapshot, Targets};
use medusa_advisor::finding::{Finding, Outcome};
use time::macros::datetime;

pub const MIB: u64 = 1024 * 1024;

pub fn counters(hits: u64, misses: u64, evicted: u64) -> Counters {
    Counters { keyspace_hits: hits, keyspace_misses: misses, evicted_keys: evicted, ..Counters::default() }
}

pub fn server() -> Server {
    Server {
        product: "redis".into(),
        version: "7.2.4".into(),
        mode: "standalone".into(),
        role: "master".into(),
        platform: "plain".into(),
        uptime_s: 864_000,
        used_memory: 50 * MIB,
        used_memory_rss: None,
        used_memory_peak: None,
        used_memory_dataset: None,
        fragmentation_ratio: Some(1.1),
        maxmemory: Some(100 * MIB),
        maxmemory_policy: Some("noeviction".into()),
        system_memory: Some(8_192 * MIB),
        connected_clients: 12,
        blocked_clients: 0,
        maxclients: Some(10_000),
        is_loading: false,
        aof_enabled: Some(true),
        rdb_last_save_age_s: Some(60),
        master_link_down: false,
        replica_lag_bytes: None,
        replicas: None,
        replicas_syncing: 0,
        expired_stale_share: None,
        is_persistence_failing: false,
        access: None,
        counters: Sampled { total: counters(90_000, 10_000, 0), window: Some(counters(9_000, 1_000, 0)) },
        databases: vec![LogicalDatabase { index: 0, keys: 5_000, keys_with_ttl: 4_000, average_ttl_ms: 1_000 }],
        round_trip_ms: 0.4,
    }
}

pub fn pattern(name: &str, role: Role, keys: u64, without_ttl: u64) -> Pattern {
    Pattern {
        database: 0,
        pattern: name.into(),
        role,
        kind: "hash".into(),
        keys,
        keys_estimate: keys,
        without_ttl,
        ttl_ms_min: Some(1_000),
        ttl_ms_median: Some(1_800_000),
        ttl_ms_max: Some(3_600_000),
        ttl_counts: Vec::new(),
        measured: keys,
        bytes_estimate: Some(keys * 1_000),
        bytes_error: None,
        bytes_max: Some(2_000),
        elements_max: None,
        elements_total: None,
        idle_s_median: None,
        idle_s_max: None,
        idle_keys: 0,
        idle_over_hour: 0,
        frequency_max: None,
        queue_part: None,
    }
}

pub fn cache() -> Pattern {
    pattern("mc:<hash16>", Role::Cache, 1_000, 0)
}

pub fn queue() -> Pattern {
    pattern("bull:medusa-workflows:meta", Role::Workflows, 1, 1)
}

pub fn instance(patterns: Vec<Pattern>) -> Instance {
    let keys: u64 = patterns.iter().map(|p| p.keys).sum();
    Instance {
        name: "cache.example:6379/0".into(),
        server: Ok(server()),
        config: Ok(Config { values: Vec::new() }),
        slowlog: Ok(Vec::new()),
        latency: Ok(Vec::new()),
        clients: Ok(Vec::new()),
        commands: Ok(vec![command("hget", 9_000, 40_000, Some((900, 4_000)))]),
        keys: Ok(KeySample { keys_total: keys, keys_sampled: keys, is_complete: true, ended_by: None, patterns, databases: Vec::new() }),
        queues: Ok(Vec::new()),
        queues_left_out: 0,
        slowlog_lost: None,
    }
}

/// The scan ran out of time with 10,000 keys sampled of database 0 (200,000) and none of database 1.
pub fn unreached(mut made: Instance) -> Instance {
    let of = |index, keys, sampled| DatabaseSample { index, keys, sampled, is_complete: false };
    let keys = made.keys.as_mut().unwrap();
    (keys.keys_total, keys.keys_sampled, keys.is_complete, keys.ended_by) = (200_800, 10_000, false, Some("seconds".into()));
    keys.databases = vec![of(0, 200_000, 10_000), of(1, 800, 0)];
    made
}

pub fn command(name: &str, calls: u64, micros: u64, window: Option<(u64, u64)>) -> Command {
    let of = |(calls, micros)| CommandCounters { calls, micros, failed: 0 };
    Command { name: name.into(), counters: Sampled { total: of((calls, micros)), window: window.map(of) } }
}

pub fn snapshot(instance: Instance) -> Snapshot {
    let meta = Meta {
        tool_version: "test".into(),
        store: "test".into(),
        environment: "test".into(),
        taken_at: datetime!(2026-11-23 09:30 UTC),
        window_s: 30.0,
        window_asked_s: 30.0,
        cancelled: false,
        targets: Targets::default(),
    };
    let mut snapshot = Snapshot::empty(meta);
    snapshot.redis = Ok(Redis { instances: vec![instance] });
    snapshot
}

pub fn run(id: &str, instance: Instance) -> Outcome {
    checks::find(id).unwrap().run(&snapshot(instance))
}

pub fn found(outcome: Outcome) -> Finding {
    match outcome {
        Outcome::Failed(mut findings) => {
            assert_eq!(findings.len(), 1, "{findings:?}");
            findings.remove(0)
        }
        other => panic!("{other:?}"),
    }
}

pub fn with_server(patterns: Vec<Pattern>, change: impl FnOnce(&mut Server)) -> Instance {
    let mut made = instance(patterns);
    change(made.server.as_mut().unwrap());
    made
}

pub fn postgres(major: u8) -> medusa_advisor::evidence::postgres::Postgres {
    let gap = || Gap::new(Section::Postgres, Cause::NotConfigured, "not read");
    medusa_advisor::evidence::postgres::Postgres {
        server: Err(gap()),
        settings: Err(gap()),
        extensions: Err(gap()),
        databases: Err(gap()),
        tables: Err(gap()),
        indexes: Err(gap()),
        constraints: Err(gap()),
        columns: Err(gap()),
        column_stats: Err(gap()),
        statements: Err(gap()),
        activity: Err(gap()),
        sequences: Err(gap()),
        replication: Err(gap()),
        roles: Err(gap()),
        checkpoints: Err(gap()),
        nodes: Err(gap()),
        plans: Err(gap()),
        medusa: Ok(Medusa { major, version: format!("{major}.x"), evidence: "test".into(), schema: "public".into(), tables: 1, modules: Vec::new() }),
        media: Err(gap()),
        row_counts: Err(gap()),
        proofs: Err(gap()),
    }
}
