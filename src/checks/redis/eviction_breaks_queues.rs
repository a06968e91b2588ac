//! `redis-eviction-breaks-queues`: queues on an instance whose policy may evict their keys.

use crate::checks::bullmq::Held;
use crate::checks::measures::over_instances;
use crate::checks::redis_settings::{Change, change, own_cache, policy};
use crate::checks::{Applies, Check};
use crate::evidence::redis::{Instance, Server};
use crate::evidence::{Gap, Layer, Section, Snapshot};
use crate::finding::{Confidence, Cost, Effort, Evidence, Finding, Remedy, Resource, Severity, Subject};
use crate::text;

/// The one policy that BullMQ supports.
const SAFE_POLICY: &str = "noeviction";
/// Used share of maxmemory from which eviction is about to begin.
const NEAR_SHARE: f64 = 0.90;

pub static CHECK: Check = Check {
    id: "redis-eviction-breaks-queues",
    layer: Layer::Redis,
    title: "The eviction policy may throw queue keys away",
    passed: "Instances that hold queues never evict keys.",
    why: "Medusa's events, workflows and scheduled jobs live in Redis as BullMQ keys. When memory runs short under any policy but noeviction, Redis removes some of them: jobs vanish, stall or run twice, and nobody is told.",
    remedy: "Set maxmemory-policy to noeviction on the instance that holds the queues, and give the cache an instance of its own with allkeys-lru.",
    method: "Queue keys in the sample (bull:*, RedisEventBusService:*) or queues found by name, and maxmemory-policy other than noeviction. Critical while keys are being evicted or memory is 90 % used under an allkeys policy; Low while no maxmemory is set, since nothing is evicted then.",
    effort: Effort::Minutes,
    references: &["https://docs.bullmq.io/guide/going-to-production#max-memory-policy", "https://redis.io/docs/latest/develop/reference/eviction/"],
    needs: &[Section::RedisKeys, Section::RedisServer],
    uses: &[Section::RedisQueues],
    symptom_of: &[],
    applies_to,
    evaluate,
};

fn applies_to(snapshot: &Snapshot) -> Result<Applies, Gap> {
    for instance in &snapshot.redis()?.instances {
        // Unread, or sampled in part: not known to hold no queues.
        if instance.server().is_err() || !Held::by(instance).is_ok_and(|h| h.is_known_free()) {
            return Ok(Applies::Yes);
        }
    }
    Ok(Applies::No("no queue keys are in Redis".into()))
}

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    over_instances(snapshot, |instance| {
        let server = instance.server()?;
        let queues = Held::by(instance)?;
        if queues.is_absent() {
            return Ok(Vec::new());
        }
        Ok(judge(instance, server, &queues)?.into_iter().collect())
    })
}

fn judge(instance: &Instance, server: &Server, queues: &Held<'_>) -> Result<Option<Finding>, Gap> {
    let policy = policy(instance, server)?;
    if policy == SAFE_POLICY {
        return Ok(None);
    }
    let queues = queues.seen(instance)?;
    let danger = Danger::of(server, policy);
    Ok(Some(Finding {
        subject: Subject::new("instance", &instance.name),
        observed: format!("{} holds {} under {policy}: {}.", instance.name, queues.words(), danger.words(server)),
        step: format!("Set maxmemory-policy to noeviction on {}", instance.name),
        evidence: evidence(server, policy, queues),
        severity: danger.severity(),
        confidence: Confidence::High,
        confidence_because: "policy and keys were both read from the server".into(),
        effort: Effort::Minutes,
        cost: Cost { resource: Resource::Risk, share: danger.weight() },
        gain: None,
        averts: Some("lost jobs".into()),
        remedies: remedies(instance, server, policy),
        verify: "redis-cli CONFIG GET maxmemory-policy answers noeviction.".into(),
        touches: queues.touches(),
    }))
}

/// How near a lost job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Danger {
    /// No limit: the policy never acts.
    NoLimit,
    /// Only keys with a lifetime are evicted: locks and stall marks of the queues, not the jobs.
    Marks,
    /// The marks, and memory is short now.
    MarksNow,
    /// Any key may go.
    Jobs,
    /// Any key may go, and memory is short now.
    JobsNow,
}

impl Danger {
    fn of(server: &Server, policy: &str) -> Self {
        let Some(limit) = server.maxmemory.filter(|m| *m > 0) else { return Danger::NoLimit };
        let evicts = server.counters.window.as_ref().is_some_and(|w| w.evicted_keys > 0);
        let is_now = evicts || server.used_memory as f64 >= limit as f64 * NEAR_SHARE;
        match (policy.starts_with("allkeys"), is_now) {
            (true, true) => Danger::JobsNow,
            (true, false) => Danger::Jobs,
            (false, true) => Danger::MarksNow,
            (false, false) => Danger::Marks,
        }
    }

    fn severity(self) -> Severity {
        match self {
            Danger::NoLimit => Severity::Low,
            Danger::Marks => Severity::Medium,
            Danger::MarksNow | Danger::Jobs => Severity::High,
            Danger::JobsNow => Severity::Critical,
        }
    }

    fn weight(self) -> f64 {
        match self {
            Danger::NoLimit => 0.02,
            Danger::Marks => 0.10,
            Danger::MarksNow => 0.30,
            Danger::Jobs => 0.40,
            Danger::JobsNow => 1.0,
        }
    }

    fn words(self, server: &Server) -> String {
        let used = server.maxmemory.filter(|m| *m > 0).map_or_else(String::new, |m| text::percent(server.used_memory as f64 / m as f64));
        match self {
            Danger::NoLimit => "no maxmemory is set, so nothing is evicted until one is".into(),
            Danger::Marks => format!("at the limit ({used} used) the locks of running jobs go first, and jobs run twice"),
            Danger::MarksNow => format!("memory is short now ({used} used), and the locks of running jobs go first: jobs run twice"),
            Danger::Jobs => format!("at the limit ({used} used) waiting jobs are thrown away"),
            Danger::JobsNow => format!("memory is short now ({used} used), and waiting jobs are thrown away"),
        }
    }
}

fn evidence(server: &Server, policy: &str, queues: &Held<'_>) -> Vec<Evidence> {
    let mut evidence = vec![Evidence::text("maxmemory-policy", policy)];
    if let Some(limit) = server.maxmemory {
        let shown = if limit == 0 { "not set".to_owned() } else { text::bytes_memory(limit) };
        evidence.push(Evidence::figure("maxmemory", limit as f64, "bytes", shown));
    }
    evidence.push(Evidence::figure("Used memory", server.used_memory as f64, "bytes", text::bytes_memory(server.used_memory)));
    evidence.push(Evidence::table("Queue keys", &["pattern", "keys", "sampled without TTL"], queues.rows()));
    evidence
}

fn remedies(instance: &Instance, server: &Server, policy: &str) -> Vec<Remedy> {
    let mut remedies = vec![change(
        server,
        &Change {
            label: "Never evict",
            name: "maxmemory-policy",
            value: SAFE_POLICY,
            now: Some(policy),
            risk: "When maxmemory is reached, writes fail with an error instead of keys being lost.",
        },
    )];
    if instance.keys().is_ok_and(|k| k.patterns.iter().any(|p| p.role.is_cache())) {
        remedies.push(own_cache(instance));
    }
    remedies
}
