//! `redis-cache-cannot-evict`: a cache that is nearly full under a policy that never makes room.

use super::memory_pressure::{IMMINENT_SHARE, USED_SHARE_MAX};
use crate::checks::key_sample::estimated;
use crate::checks::measures::over_instances;
use crate::checks::redis_settings::{Change, change, holds_cache_alone, maxmemory, own_cache, policy, queue_patterns, touches};
use crate::checks::{Applies, Check};
use crate::evidence::redis::{Instance, Pattern, Server};
use crate::evidence::{Gap, Layer, Section, Snapshot};
use crate::finding::{Cell, Confidence, Cost, Effort, Evidence, Finding, Remedy, Resource, Severity, Subject};
use crate::text;

/// The one policy under which a full instance refuses writes.
const REFUSING_POLICY: &str = "noeviction";
/// What a cache is for: what was not asked for longest makes room.
const CACHE_POLICY: &str = "allkeys-lru";
/// Used share of maxmemory from which a busy day fills the rest: a cache fills until something stops it.
const NEAR_SHARE: f64 = 0.80;
/// Just at the threshold the cost is small, not none.
const COST_MIN: f64 = 0.05;

pub static CHECK: Check = Check {
    id: "redis-cache-cannot-evict",
    layer: Layer::Redis,
    title: "A cache that is nearly full may not drop old entries",
    passed: "Caches that are nearly full may drop their oldest entries.",
    why: "A cache grows until its memory is used up. Under noeviction Redis then refuses every write with an OOM error instead of dropping what nobody asks for: Medusa \
          can store nothing new, and on the same instance sessions fail with it.",
    remedy: "Set maxmemory-policy to allkeys-lru on an instance that holds the cache alone; where other keys lie beside it, give the cache an instance of its own.",
    method: "Cache keys in the sample, maxmemory-policy noeviction and at least 80 % of maxmemory used. Instances that hold queues are left out: noeviction is right there, \
             and redis-shared-roles and redis-memory-pressure speak of them. High above 90 %, Critical above 97 %.",
    effort: Effort::Minutes,
    references: &["https://redis.io/docs/latest/develop/reference/eviction/", "https://docs.medusajs.com/resources/infrastructure-modules/caching"],
    needs: &[Section::RedisKeys, Section::RedisServer],
    uses: &[Section::RedisQueues],
    symptom_of: &["redis-cache-without-ttl"],
    applies_to,
    evaluate,
};

fn applies_to(snapshot: &Snapshot) -> Result<Applies, Gap> {
    for instance in &snapshot.redis()?.instances {
        match instance.keys() {
            Ok(keys) if keys.is_complete && !keys.patterns.iter().any(|p| p.role.is_cache()) => {}
            _ => return Ok(Applies::Yes),
        }
    }
    Ok(Applies::No("no cache keys are in Redis".into()))
}

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    over_instances(snapshot, |instance| {
        let cache: Vec<&Pattern> = instance.keys()?.patterns.iter().filter(|p| p.role.is_cache()).collect();
        let server = instance.server()?;
        let holds_queues = !queue_patterns(instance)?.is_empty() || instance.queues().is_ok_and(|q| !q.is_empty());
        if cache.is_empty() || holds_queues {
            return Ok(Vec::new());
        }
        Ok(judge(instance, server, &cache)?.into_iter().collect())
    })
}

fn judge(instance: &Instance, server: &Server, cache: &[&Pattern]) -> Result<Option<Finding>, Gap> {
    let limit = maxmemory(instance, server)?;
    let policy = policy(instance, server)?;
    let share = server.used_memory as f64 / limit.max(1) as f64;
    if limit == 0 || policy != REFUSING_POLICY || share < NEAR_SHARE {
        return Ok(None);
    }
    let is_alone = holds_cache_alone(instance);
    let is_whole = instance.keys()?.is_complete;
    let severity = match share {
        s if s >= IMMINENT_SHARE => Severity::Critical,
        s if s > USED_SHARE_MAX => Severity::High,
        _ => Severity::Medium,
    };
    let beside = if is_alone { "" } else { ", and other keys lie beside the cache" };
    Ok(Some(Finding {
        subject: Subject::new("instance", &instance.name),
        observed: format!(
            "{} uses {} of {} ({}) under {policy}{beside}: at the limit every write fails and nothing is dropped.",
            instance.name,
            text::bytes_memory(server.used_memory),
            text::bytes_memory(limit),
            text::percent(share)
        ),
        step: if is_alone {
            format!("Set maxmemory-policy to {CACHE_POLICY} on {}", instance.name)
        } else {
            format!("Take the cache off {}", instance.name)
        },
        evidence: evidence(server, limit, share, cache),
        severity,
        confidence: if is_whole { Confidence::High } else { Confidence::Medium },
        confidence_because: if is_whole {
            "policy, memory and every key family were read from the server".into()
        } else {
            "policy and memory were read from the server; the keys were sampled and no queue was among them".into()
        },
        effort: if is_alone { Effort::Minutes } else { Effort::Hours },
        // How much of what is left at the threshold is used up.
        cost: Cost { resource: Resource::Risk, share: ((share - NEAR_SHARE) / (1.0 - NEAR_SHARE)).clamp(COST_MIN, 1.0) },
        gain: None,
        averts: Some("failed writes to the cache".into()),
        remedies: remedies(instance, server, is_alone),
        verify: format!("redis-cli CONFIG GET maxmemory-policy on the cache's instance answers {CACHE_POLICY}; the next audit no longer lists it."),
        touches: touches(instance, cache.iter().copied().take(5)),
    }))
}

fn evidence(server: &Server, limit: u64, share: f64, cache: &[&Pattern]) -> Vec<Evidence> {
    let row = |p: &&Pattern| {
        vec![
            Cell::text(&p.pattern),
            Cell::number(p.keys_estimate as f64, text::count(p.keys_estimate)),
            p.bytes_estimate.map_or_else(|| Cell::text("not told"), |b| Cell::number(b as f64, estimated(b, p.bytes_error))),
        ]
    };
    vec![
        Evidence::text("maxmemory-policy", REFUSING_POLICY),
        Evidence::figure("Used", server.used_memory as f64, "bytes", text::bytes_memory(server.used_memory)),
        Evidence::figure("maxmemory", limit as f64, "bytes", text::bytes_memory(limit)),
        Evidence::figure("Used share", share, "ratio", text::percent(share)),
        Evidence::table("Cache keys", &["pattern", "keys", "memory"], cache.iter().map(row).collect()),
    ]
}

fn remedies(instance: &Instance, server: &Server, is_alone: bool) -> Vec<Remedy> {
    if !is_alone {
        return vec![own_cache(instance)];
    }
    vec![change(
        server,
        &Change {
            label: "Let the cache drop what was not asked for longest",
            name: "maxmemory-policy",
            value: CACHE_POLICY,
            now: Some(REFUSING_POLICY),
            risk: "Only while this instance holds nothing but the cache: under this policy any key may go.",
        },
    )]
}
