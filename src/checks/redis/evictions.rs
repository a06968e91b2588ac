//! `redis-evictions`: keys thrown away for lack of memory while the store was watched.

use crate::checks::measures::over_instances;
use crate::checks::{Check, always};
use crate::evidence::redis::{Counters, Instance, Server};
use crate::evidence::{Cause, Gap, Layer, Section, Snapshot};
use crate::finding::{Confidence, Cost, Effort, Evidence, Finding, Remedy, RemedyKind, Resource, Severity, Subject};
use crate::text;

/// Evicted keys in the window below which a cache merely trims itself.
const EVICTED_MIN: u64 = 10;
/// A limit this many times the present one: what is evicted now shows that the working set is larger, not by how much.
const HEADROOM: f64 = 2.0;
/// Redis may take this share of the machine: the rest is for fork, buffers and the system.
const SYSTEM_SHARE_MAX: f64 = 0.75;

pub static CHECK: Check = Check {
    id: "redis-evictions",
    layer: Layer::Redis,
    title: "Redis throws keys away for lack of memory",
    passed: "No keys were evicted while the store was watched.",
    why: "An evicted cache entry is computed again by Medusa and Postgres, and on a shared instance a session or a lock may be what is thrown away. Evictions rise with traffic, so the cache fails when it is needed most.",
    remedy: "Raise maxmemory so that the working set fits, shorten lifetimes, or give the cache its own instance.",
    method: "Rise of evicted_keys over the window, at least 10; the cost is the share of lookups that missed and could have been answered, at most one miss an eviction.",
    effort: Effort::Minutes,
    references: &["https://redis.io/docs/latest/develop/reference/eviction/"],
    needs: &[Section::RedisServer],
    uses: &[Section::RedisKeys],
    symptom_of: &["redis-cache-without-ttl"],
    applies_to: always,
    evaluate,
};

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    over_instances(snapshot, |instance| Ok(judge(instance, instance.server()?, snapshot.meta.window_s)?.into_iter().collect()))
}

fn judge(instance: &Instance, server: &Server, window_s: f64) -> Result<Option<Finding>, Gap> {
    let Some(window) = &server.counters.window else {
        // Nothing was ever evicted: no second reading is needed to say so.
        if server.counters.total.evicted_keys == 0 {
            return Ok(None);
        }
        let cause = Cause::TooYoung { have_s: 0.0, need_s: window_s };
        let evicted = text::plural(server.counters.total.evicted_keys, "key was", "keys were");
        let detail = format!("{evicted} evicted since the counters were reset; without a second reading it is not known whether that goes on.");
        return Err(Gap::new(Section::RedisServer, cause, detail));
    };
    if window.evicted_keys < EVICTED_MIN {
        return Ok(None);
    }
    let share = lost_share(window);
    let others = other_roles(instance);
    let severity = Severity::from_share(share).max(if others { Severity::High } else { Severity::Low });
    let rate = if window_s > 0.0 { window.evicted_keys as f64 / window_s } else { 0.0 };
    let policy = server.maxmemory_policy.as_deref().unwrap_or("an unknown policy");
    Ok(Some(Finding {
        subject: Subject::new("instance", &instance.name),
        observed: format!(
            "{} in {} ({}) under {policy}; at most {} of lookups missed because of it.",
            text::plural(window.evicted_keys, "key evicted", "keys evicted"),
            text::seconds(window_s),
            text::per_second(rate),
            text::percent(share)
        ),
        step: format!("Stop evictions on {}", instance.name),
        evidence: evidence(server, window, rate),
        severity,
        confidence: Confidence::High,
        confidence_because: "counted by Redis over the window".into(),
        effort: Effort::Minutes,
        cost: if others { Cost { resource: Resource::Risk, share: share.max(0.25) } } else { Cost { resource: Resource::RedisTime, share } },
        gain: None,
        averts: others.then(|| "sessions, locks and jobs thrown away".to_owned()),
        remedies: remedies(server),
        verify: "redis-cli INFO stats twice, a minute apart: evicted_keys stays the same.".into(),
        touches: instance
            .keys()
            .map(|k| k.patterns.iter().filter(|p| p.role.is_cache()).take(3).map(|p| format!("keys:{}", p.pattern)).collect())
            .unwrap_or_else(|_| Vec::new()),
    }))
}

/// Lookups that missed and might have hit: at most one miss an evicted key.
fn lost_share(window: &Counters) -> f64 {
    let lookups = window.keyspace_hits + window.keyspace_misses;
    if lookups == 0 { 0.0 } else { window.evicted_keys.min(window.keyspace_misses) as f64 / lookups as f64 }
}

/// Keys that are no cache lie on the instance, and its policy may choose them.
fn other_roles(instance: &Instance) -> bool {
    let takes_all = instance.server().is_ok_and(|s| s.maxmemory_policy.as_deref().is_some_and(|p| p.starts_with("allkeys")));
    let is_at_risk = |p: &crate::evidence::redis::Pattern| !p.role.is_cache() && (takes_all || p.without_ttl < p.keys);
    instance.keys().is_ok_and(|k| k.patterns.iter().any(is_at_risk))
}

fn evidence(server: &Server, window: &Counters, rate: f64) -> Vec<Evidence> {
    let mut evidence = vec![
        Evidence::figure("Evicted in the window", window.evicted_keys as f64, "keys", text::count(window.evicted_keys)),
        Evidence::figure("Evictions", rate, "1/s", text::per_second(rate)),
        Evidence::figure("Misses in the window", window.keyspace_misses as f64, "lookups", text::count(window.keyspace_misses)),
        Evidence::figure("Used memory", server.used_memory as f64, "bytes", text::bytes_memory(server.used_memory)),
    ];
    if let Some(limit) = server.maxmemory {
        evidence.push(Evidence::figure("maxmemory", limit as f64, "bytes", text::bytes_memory(limit)));
    }
    evidence
}

fn remedies(server: &Server) -> Vec<Remedy> {
    let limit = server.maxmemory.filter(|m| *m > 0).unwrap_or(server.used_memory);
    let wanted = (limit as f64 * HEADROOM) as u64;
    let fits = server.system_memory.is_none_or(|system| wanted as f64 <= system as f64 * SYSTEM_SHARE_MAX);
    if server.platform == "plain" && fits {
        return vec![Remedy {
            kind: RemedyKind::Redis,
            label: "Raise the limit".into(),
            text: format!("CONFIG SET maxmemory {wanted}"),
            lock: None,
            risk: format!(
                "The machine must have {} free for Redis. Run CONFIG REWRITE afterwards, or the value is lost at the next restart.",
                text::bytes_memory(wanted)
            ),
            undo: Some(format!("CONFIG SET maxmemory {limit}")),
        }];
    }
    vec![Remedy {
        kind: RemedyKind::Shell,
        label: "Take a larger instance, or give the cache its own".into(),
        text: format!(
            "# At least {} of memory: twice the present limit. Then point the cache at it with CACHE_REDIS_URL in medusa-config.",
            text::bytes_memory(wanted)
        ),
        lock: None,
        risk: "Resizing a managed instance drops its connections for some seconds.".into(),
        undo: None,
    }]
}
