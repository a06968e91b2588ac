//! `redis-hot-key`: one key takes more reads than all others.

use crate::checks::key_sample::{denied, remedy};
use crate::checks::measures::over_instances;
use crate::checks::redis_settings::policy;
use crate::checks::{Applies, Check};
use crate::evidence::redis::{Instance, Pattern, Role};
use crate::evidence::{Gap, Layer, Section, Snapshot};
use crate::finding::{Confidence, Cost, Effort, Evidence, Finding, Remedy, RemedyKind, Resource, Severity, Subject};
use crate::text;

/// The counter of OBJECT FREQ (0…255) from which a key is hot.
const FREQUENCY_HOT: u64 = 200;
/// From here it is about to be full.
const FREQUENCY_FULL: u64 = 250;
/// `lfu-log-factor` as Redis ships it: a counter of c grows at one access of (c − 5) × 10 + 1.
const LOG_FACTOR: f64 = 10.0;
/// Share of Redis time reckoned for one: a counter says that a key is read often, not how long that takes.
const SHARE_BY_RULE: f64 = 0.02;
/// What a new key's counter begins with.
const FREQUENCY_NEW: f64 = 5.0;

pub static CHECK: Check = Check {
    id: "redis-hot-key",
    layer: Layer::Redis,
    title: "One key is read far more often than all others",
    passed: "No sampled key is read out of all proportion.",
    why: "Redis answers one command after the other: a key that every request reads takes the time of all others, and a replica or a shard cannot share it.",
    remedy: "Keep the value in the backend's own memory for a second or two, and read it from Redis only then.",
    method: "OBJECT FREQ of the sampled keys where the policy counts use (LFU): 200 of 255 or more, which is about 190,000 reads with the default lfu-log-factor. Queues and locks are left out: they are meant to be busy.",
    effort: Effort::Hours,
    references: &["https://redis.io/docs/latest/develop/reference/eviction/#lfu-eviction", "https://redis.io/docs/latest/commands/object-freq/"],
    needs: &[Section::RedisServer, Section::RedisKeys],
    uses: &[],
    symptom_of: &[],
    applies_to,
    evaluate,
};

fn applies_to(snapshot: &Snapshot) -> Result<Applies, Gap> {
    for instance in &snapshot.redis()?.instances {
        let is_known = instance.server().is_ok_and(|s| s.maxmemory_policy.is_some()) && instance.keys().is_ok();
        if !is_known || counts_use(instance) {
            return Ok(Applies::Yes);
        }
    }
    Ok(Applies::No("the eviction policy does not count how often keys are used (only LFU policies do)".into()))
}

fn counts_use(instance: &Instance) -> bool {
    instance.server().is_ok_and(|s| s.maxmemory_policy.as_deref().is_some_and(|p| p.ends_with("-lfu")))
}

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    over_instances(snapshot, |instance| {
        let (server, keys) = (instance.server()?, instance.keys()?);
        policy(instance, server)?;
        if !counts_use(instance) || keys.patterns.is_empty() {
            return Ok(Vec::new());
        }
        if keys.patterns.iter().all(|p| p.frequency_max.is_none()) {
            return Err(denied(instance, "OBJECT FREQ", "~* +object|freq", "how often keys are used"));
        }
        Ok(keys.patterns.iter().filter(|p| is_judged(p)).filter_map(|p| judge(instance, p)).collect())
    })
}

fn is_judged(pattern: &Pattern) -> bool {
    !pattern.role.is_queue() && !matches!(pattern.role, Role::Locks | Role::Staging)
}

/// Accesses that bring a counter there, without the minutes that take one away again.
fn accesses(frequency: u64) -> f64 {
    let above = (frequency as f64 - FREQUENCY_NEW).max(0.0);
    LOG_FACTOR * above * (above - 1.0).max(0.0) / 2.0 + above
}

fn judge(instance: &Instance, pattern: &Pattern) -> Option<Finding> {
    let frequency = pattern.frequency_max.filter(|f| *f >= FREQUENCY_HOT)?;
    let reads = text::count_short(accesses(frequency).round() as u64);
    Some(Finding {
        subject: Subject::new("key_pattern", format!("{} in {}", pattern.pattern, instance.name)),
        observed: format!(
            "A key of {} has an access counter of {frequency} of 255: about {reads} reads with the default lfu-log-factor.",
            pattern.pattern
        ),
        step: format!("Keep the hot key of {} in the backend's memory", pattern.pattern),
        evidence: vec![
            Evidence::figure("Access counter", frequency as f64, "of 255", text::count(frequency)),
            Evidence::figure("Accesses it stands for", accesses(frequency).round(), "reads", reads),
            Evidence::figure("Keys of the family", pattern.keys_estimate as f64, "keys", text::count(pattern.keys_estimate)),
        ],
        severity: if frequency >= FREQUENCY_FULL { Severity::Medium } else { Severity::Low },
        confidence: Confidence::Medium,
        confidence_because: "the counter is a logarithm kept by chance, and one a minute is taken off it".into(),
        effort: Effort::Hours,
        cost: Cost { resource: Resource::RedisTime, share: SHARE_BY_RULE },
        gain: None,
        averts: None,
        remedies: remedies(),
        verify: format!("The next audit's highest counter of {} is below {FREQUENCY_HOT}; it falls by one a minute at most.", pattern.pattern),
        touches: vec![format!("keys:{}", pattern.pattern)],
    })
}

fn remedies() -> Vec<Remedy> {
    vec![remedy(
        RemedyKind::Code,
        "Keep it in memory for two seconds",
        LOCAL,
        "Each instance of the backend may show the old value two seconds longer. Leave out what must be exact: stock at checkout, sessions.",
    )]
}

const LOCAL: &str = r#"// one read a key and two seconds, however many requests ask
const LIFETIME_MS = 2_000
const near = new Map<string, { value: Promise<string | null>; until: number }>()

export function readHot(redis: Redis, key: string) {
  const known = near.get(key)
  if (known && known.until > Date.now()) return known.value
  const value = redis.get(key)
  near.set(key, { value, until: Date.now() + LIFETIME_MS })
  value.catch(() => near.delete(key))
  return value
}"#;
