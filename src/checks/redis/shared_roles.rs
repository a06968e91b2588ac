//! `redis-shared-roles`: the cache takes from queues, sessions and locks what they need.

use crate::checks::bullmq::{Held, UNSEEN_MAX};
use crate::checks::key_sample::{by_major, bytes_of, confidence, denied, may_hide, remedy, too_few_sampled, touches};
use crate::checks::measures::over_instances;
use crate::checks::redis_settings::{maxmemory, policy};
use crate::checks::{Applies, Check};
use crate::evidence::redis::{Instance, KeySample, Pattern, Role, Server};
use crate::evidence::{Gap, Layer, Section, Snapshot};
use crate::finding::{Cell, Confidence, Cost, Effort, Evidence, Finding, Remedy, RemedyKind, Resource, Severity, Subject};
use crate::text;

/// Share of used memory from which the cache is the larger part.
const CACHE_SHARE_MIN: f64 = 0.50;
/// Share of maxmemory in use from which a warm cache may fill the rest before anybody looks.
const USED_SHARE_MIN: f64 = 0.50;
/// Share of maxmemory in use from which that is near.
const USED_SHARE_NEAR: f64 = 0.80;
/// Bytes in use below which an instance holds a few hundred entries: more memory costs less than a second instance.
const SMALL_BYTES: u64 = 64 * 1024 * 1024;
/// Share of time that the queues' scripts may keep Redis from everything else.
const SCRIPTS_SHARE_MIN: f64 = 0.20;
/// BullMQ works through scripts alone; a script holds Redis until it ends.
const SCRIPTS: [&str; 3] = ["evalsha", "eval", "fcall"];

pub static CHECK: Check = Check {
    id: "redis-shared-roles",
    layer: Layer::Redis,
    title: "The cache and the queues get in each other's way",
    passed: "No cache takes memory or time from the queues beside it.",
    why: "Queues must never lose a key, so their Redis may not evict; a cache wants to fill its memory and evict. On one instance the cache fills it and then every write fails: carts, sessions and jobs. Logical databases do not help: memory and policy are the instance's.",
    remedy: "Give the cache an instance of its own with allkeys-lru, and leave queues, sessions and locks where they are.",
    method: "Cache and queue keys on one instance under noeviction with a maxmemory: the cache takes at least half of what is used, and at least half of maxmemory is used (High from 80 %). Or scripts (BullMQ's) take 20 % of the window's time while a cache is on the instance. Low where less than 64 MiB are used. Evicting policies are judged by redis-eviction-breaks-queues.",
    effort: Effort::Hours,
    references: &[
        "https://docs.bullmq.io/guide/going-to-production#max-memory-policy",
        "https://redis.io/docs/latest/develop/reference/eviction/",
        "https://docs.medusajs.com/resources/infrastructure-modules/caching",
    ],
    needs: &[Section::RedisKeys, Section::RedisServer],
    uses: &[Section::RedisCommands, Section::RedisQueues, Section::PgMedusa],
    symptom_of: &["redis-eviction-breaks-queues", "redis-sessions-volatile"],
    applies_to,
    evaluate,
};

fn applies_to(snapshot: &Snapshot) -> Result<Applies, Gap> {
    for instance in &snapshot.redis()?.instances {
        match instance.keys() {
            Ok(keys) if keys.is_complete && instance.server().is_ok() && !is_shared(instance, keys) => {}
            _ => return Ok(Applies::Yes),
        }
    }
    Ok(Applies::No("no instance holds a cache beside queues".into()))
}

fn is_shared(instance: &Instance, keys: &KeySample) -> bool {
    has_cache(keys) && has_queues(instance)
}

fn has_cache(keys: &KeySample) -> bool {
    keys.patterns.iter().any(|p| p.role.is_cache())
}

fn has_queues(instance: &Instance) -> bool {
    Held::by(instance).is_ok_and(|h| !h.is_empty())
}

/// One of the two was not seen: Unknown where the sample may have missed it and the instance is one on which they would conflict.
fn unshared(instance: &Instance, server: &Server, keys: &KeySample) -> Result<(), Gap> {
    if !may_hide(keys, UNSEEN_MAX) || !is_filling(instance, server)? {
        return Ok(());
    }
    let what = if has_cache(keys) { "a queue's key" } else { "a cache entry" };
    Err(too_few_sampled(instance, keys, UNSEEN_MAX, what))
}

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let major = snapshot.medusa().ok().map(|m| m.major);
    let mut seen: Vec<String> = Vec::new();
    let mut findings = over_instances(snapshot, |instance| {
        let (server, keys) = (instance.server()?, instance.keys()?);
        if !is_shared(instance, keys) {
            unshared(instance, server, keys)?;
            return Ok(Vec::new());
        }
        let memory = memory(instance, server, keys)?;
        let time = scripts_share(instance, snapshot.meta.window_s).filter(|s| *s >= SCRIPTS_SHARE_MIN);
        let is_conflict = memory.is_some() || time.is_some();
        Ok(is_conflict.then(|| finding(instance, server, keys, memory.as_ref(), time, major)).into_iter().collect())
    })?;
    // Two databases of one server were given: one memory, one finding.
    findings.retain(|f| {
        let is_new = !seen.contains(&f.subject.name);
        seen.push(f.subject.name.clone());
        is_new
    });
    Ok(findings)
}

/// Host and port: what shares memory and policy, whichever logical database was given.
fn place(instance: &Instance) -> &str {
    instance.name.rsplit_once('/').map_or(&instance.name, |(server, _)| server)
}

/// A bounded instance that the cache fills.
struct Memory {
    cache: u64,
    limit: u64,
    cache_share: f64,
    used_share: f64,
}

/// It has a limit, comes near it and may not make room.
fn is_filling(instance: &Instance, server: &Server) -> Result<bool, Gap> {
    let (policy, limit) = (policy(instance, server)?, maxmemory(instance, server)?);
    Ok(policy == "noeviction" && limit > 0 && used_share(server, limit) >= USED_SHARE_MIN)
}

fn used_share(server: &Server, limit: u64) -> f64 {
    server.used_memory as f64 / limit.max(1) as f64
}

fn memory(instance: &Instance, server: &Server, keys: &KeySample) -> Result<Option<Memory>, Gap> {
    if !is_filling(instance, server)? {
        return Ok(None);
    }
    let limit = maxmemory(instance, server)?;
    let cache = bytes_of(keys.patterns.iter().filter(|p| p.role.is_cache()))
        .ok_or_else(|| denied(instance, "MEMORY USAGE", "~* +memory|usage", "how much of it the cache takes"))?;
    let cache_share = (cache as f64 / server.used_memory.max(1) as f64).min(1.0);
    Ok((cache_share >= CACHE_SHARE_MIN).then_some(Memory { cache, limit, cache_share, used_share: used_share(server, limit) }))
}

/// Share 0…1 of the window in which scripts held Redis; `None` without counters of the window.
fn scripts_share(instance: &Instance, window_s: f64) -> Option<f64> {
    let commands = instance.commands().ok().filter(|_| window_s > 0.0)?;
    let scripts = commands.iter().filter(|c| SCRIPTS.contains(&c.name.as_str()));
    let micros: u64 = scripts.filter_map(|c| c.counters.window).map(|w| w.micros).sum();
    Some((micros as f64 / 1e6 / window_s).min(1.0))
}

fn finding(instance: &Instance, server: &Server, keys: &KeySample, memory: Option<&Memory>, time: Option<f64>, major: Option<u8>) -> Finding {
    let by_memory = memory.map(|m| if m.used_share >= USED_SHARE_NEAR { Severity::High } else { Severity::Medium });
    let is_small = server.used_memory < SMALL_BYTES;
    let by_memory = by_memory.map(|s| if is_small { Severity::Low } else { s });
    let by_time = time.map(Severity::from_share);
    let severity = by_memory.max(by_time).unwrap_or(Severity::Low);
    let cost = match (memory, time) {
        (Some(m), _) => Cost { resource: Resource::Memory, share: m.cache_share * m.used_share.min(1.0) },
        (None, share) => Cost { resource: Resource::RedisTime, share: share.unwrap_or(0.0) },
    };
    let (confidence, because) = match memory {
        Some(_) => confidence(keys),
        None => (Confidence::Medium, "scripts are counted together, whoever runs them".to_owned()),
    };
    let roles = roles(instance, keys);
    Finding {
        subject: Subject::new("instance", place(instance)),
        observed: observed(instance, &roles, memory, time),
        step: format!("Move the cache off {}", place(instance)),
        evidence: evidence(server, keys, &roles, memory, time),
        severity,
        confidence,
        confidence_because: because,
        effort: Effort::Hours,
        cost,
        gain: None,
        averts: memory.map(|_| "failed writes of carts, sessions and jobs".to_owned()),
        remedies: remedies(major),
        verify: format!("The next audit finds no cache keys on {}.", place(instance)),
        touches: Held::by(instance)
            .map_or_else(|_| Vec::new(), |queues| queues.touches())
            .into_iter()
            .chain(touches(keys.patterns.iter().filter(|p| p.role.is_cache())))
            .collect(),
    }
}

fn observed(instance: &Instance, roles: &[(&'static str, Vec<&Pattern>)], memory: Option<&Memory>, time: Option<f64>) -> String {
    let names: Vec<&str> = roles.iter().map(|(name, _)| *name).collect();
    let mut words = format!("{} holds {} together", place(instance), names.join(", "));
    if let Some(m) = memory {
        words.push_str(&format!(
            ": the cache takes {} of what is used, {} of maxmemory ({}) is used, and nothing is evicted under noeviction",
            text::percent(m.cache_share),
            text::percent(m.used_share),
            text::bytes_memory(m.limit)
        ));
    }
    if let Some(share) = time {
        let joint = if memory.is_some() { "; " } else { ": " };
        words.push_str(&format!("{joint}scripts hold Redis for {} of the window, and every cache lookup waits meanwhile", text::percent(share)));
    }
    format!("{words}.")
}

/// What the instance is used for, with the families of each use.
fn roles<'k>(instance: &Instance, keys: &'k KeySample) -> Vec<(&'static str, Vec<&'k Pattern>)> {
    let of = |name: &'static str, is_one: fn(Role) -> bool| (name, keys.patterns.iter().filter(|p| is_one(p.role)).collect::<Vec<_>>());
    let mut roles =
        vec![of("cache", Role::is_cache), of("queues", Role::is_queue), of("sessions", |r| r == Role::Sessions), of("locks", |r| r == Role::Locks)];
    // Queues are also found by name, where the sample met none of their keys.
    roles.retain(|(name, patterns)| !patterns.is_empty() || *name == "queues" && has_queues(instance));
    roles
}

fn evidence(server: &Server, keys: &KeySample, roles: &[(&'static str, Vec<&Pattern>)], memory: Option<&Memory>, time: Option<f64>) -> Vec<Evidence> {
    let row = |(name, patterns): &(&'static str, Vec<&Pattern>)| {
        let count: u64 = patterns.iter().map(|p| p.keys_estimate).sum();
        let bytes = bytes_of(patterns.iter().copied());
        vec![
            Cell::text(*name),
            if patterns.is_empty() { Cell::text("not sampled") } else { Cell::number(count as f64, text::count(count)) },
            bytes.map_or_else(|| Cell::text("not measured"), |b| Cell::number(b as f64, text::bytes_memory(b))),
        ]
    };
    let mut evidence = vec![
        Evidence::table("Uses of the instance", &["use", "keys", "memory"], roles.iter().map(row).collect()),
        Evidence::figure("Used memory", server.used_memory as f64, "bytes", text::bytes_memory(server.used_memory)),
        Evidence::figure("Keys", keys.keys_total as f64, "keys", text::count(keys.keys_total)),
    ];
    if let Some(m) = memory {
        evidence.push(Evidence::figure("Cache", m.cache as f64, "bytes", text::bytes_memory(m.cache)));
        evidence.push(Evidence::figure("maxmemory", m.limit as f64, "bytes", text::bytes_memory(m.limit)));
    }
    if let Some(share) = time {
        evidence.push(Evidence::figure("Time in scripts", share, "ratio", text::percent(share)));
    }
    evidence
}

fn remedies(major: Option<u8>) -> Vec<Remedy> {
    vec![
        remedy(
            RemedyKind::Shell,
            "Start a Redis for the cache alone",
            "redis-server --port 6380 --maxmemory 512mb --maxmemory-policy allkeys-lru --save '' --appendonly no",
            "Nothing on it survives a restart, which is what a cache is for. With a provider: a second instance with the eviction policy allkeys-lru.",
        ),
        Remedy {
            undo: Some("Point redisUrl of the cache back at REDIS_URL.".into()),
            ..remedy(
                RemedyKind::MedusaConfig,
                "Point the cache at it",
                by_major(major, CONFIG_V2, CONFIG_V1),
                "The cache starts empty. The old cache keys expire by themselves, or go with redis-cli --scan --pattern 'mc:*' and UNLINK.",
            )
        },
    ]
}

const CONFIG_V2: &str = r#"// medusa-config.ts (v2): queues, sessions and locks stay on REDIS_URL, the cache goes to CACHE_REDIS_URL
module.exports = defineConfig({
  projectConfig: { redisUrl: process.env.REDIS_URL }, // sessions
  modules: [
    { resolve: "@medusajs/medusa/event-bus-redis", options: { redisUrl: process.env.REDIS_URL } },
    { resolve: "@medusajs/medusa/workflow-engine-redis", options: { redis: { redisUrl: process.env.REDIS_URL } } },
    {
      resolve: "@medusajs/medusa/locking",
      options: {
        providers: [
          { resolve: "@medusajs/medusa/locking-redis", id: "locking-redis", is_default: true, options: { redisUrl: process.env.REDIS_URL } },
        ],
      },
    },
    // 2.11 and later; before: { resolve: "@medusajs/medusa/cache-redis", options: { redisUrl: process.env.CACHE_REDIS_URL } }
    {
      resolve: "@medusajs/medusa/caching",
      options: {
        providers: [
          { resolve: "@medusajs/caching-redis", id: "caching-redis", is_default: true, options: { redisUrl: process.env.CACHE_REDIS_URL } },
        ],
      },
    },
  ],
})"#;

const CONFIG_V1: &str = r#"// medusa-config.js (v1): queues and sessions stay on REDIS_URL, the cache goes to CACHE_REDIS_URL
const projectConfig = { redis_url: process.env.REDIS_URL } // sessions
const modules = {
  eventBus: { resolve: "@medusajs/event-bus-redis", options: { redisUrl: process.env.REDIS_URL } },
  cacheService: { resolve: "@medusajs/cache-redis", options: { redisUrl: process.env.CACHE_REDIS_URL } },
}"#;
