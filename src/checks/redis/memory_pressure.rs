//! `redis-memory-pressure`: an instance close to its memory limit.

use crate::checks::key_sample::estimated;
use crate::checks::measures::over_instances;
use crate::checks::redis_settings::{holds_cache_alone, maxmemory};
use crate::checks::{Check, always};
use crate::evidence::redis::{Instance, Server};
use crate::evidence::{Gap, Layer, Section, Snapshot};
use crate::finding::{Cell, Confidence, Cost, Effort, Evidence, Finding, Remedy, RemedyKind, Resource, Severity, Subject};
use crate::text;

/// Used share of the limit above which little is left for a burst.
pub const USED_SHARE_MAX: f64 = 0.90;
/// Used share above which the next burst hits the limit: with noeviction, writes fail then.
pub const IMMINENT_SHARE: f64 = 0.97;
/// A limit this far above what is used leaves a third free.
pub const HEADROOM: f64 = 1.5;
/// Redis may take this share of the machine: the rest is for fork, buffers and the system.
pub const SYSTEM_SHARE_MAX: f64 = 0.75;
/// What is thrown away is weighed by the checks of evictions, queues and sessions; that the limit is near is worth no more than a line.
const WEIGHT_EVICTING: f64 = 0.05;

pub static CHECK: Check = Check {
    id: "redis-memory-pressure",
    layer: Layer::Redis,
    title: "Redis is close to its memory limit",
    passed: "Redis keeps at least a tenth of its memory limit free.",
    why: "When Redis reaches its limit it either refuses every write (carts, jobs and sessions fail) or throws keys away, whichever the policy says. Both happen at the busiest hour.",
    remedy: "Raise maxmemory where the machine has room, or take the largest key families off this instance.",
    method: "Compares used_memory with maxmemory (or with the machine's memory where no limit is set); fires above 90 %, Critical above 97 % when the policy is noeviction.",
    effort: Effort::Minutes,
    references: &["https://redis.io/docs/latest/develop/reference/eviction/"],
    needs: &[Section::RedisServer],
    uses: &[Section::RedisKeys],
    symptom_of: &["redis-cache-without-ttl", "redis-cache-cannot-evict"],
    applies_to: always,
    evaluate,
};

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    over_instances(snapshot, |instance| Ok(judge(instance, instance.server()?)?.into_iter().collect()))
}

fn judge(instance: &Instance, server: &Server) -> Result<Option<Finding>, Gap> {
    let set = maxmemory(instance, server)?;
    let limit = match (set, server.system_memory) {
        (0, Some(system)) => system,
        (0, None) => return Ok(None),
        (set, _) => set,
    };
    let share = server.used_memory as f64 / limit.max(1) as f64;
    if share <= USED_SHARE_MAX {
        return Ok(None);
    }
    let policy = server.maxmemory_policy.as_deref().unwrap_or("noeviction");
    // An evicting instance lives at its limit by design; what it throws away is for redis-evictions to judge.
    let severity = match policy {
        "noeviction" if share >= IMMINENT_SHARE => Severity::Critical,
        "noeviction" => Severity::High,
        p if p.starts_with("allkeys") && holds_cache_alone(instance) => Severity::Info,
        _ => Severity::Low,
    };
    let consequence = if policy == "noeviction" { "at the limit every write fails" } else { "at the limit keys are thrown away" };
    let what = if set == 0 { "the machine's memory (no maxmemory is set)" } else { "maxmemory" };
    Ok(Some(Finding {
        subject: Subject::new("instance", &instance.name),
        observed: format!(
            "{} uses {} of {} ({} of {what}); the policy is {policy}: {consequence}.",
            instance.name,
            text::bytes_memory(server.used_memory),
            text::bytes_memory(limit),
            text::percent(share)
        ),
        step: format!("Give {} more memory or fewer keys", instance.name),
        evidence: evidence(instance, server, limit, share),
        severity,
        confidence: Confidence::High,
        confidence_because: "read from INFO at the end of the window".into(),
        effort: Effort::Minutes,
        cost: match severity {
            Severity::Info => Cost { resource: Resource::Memory, share: 0.0 },
            Severity::Low => Cost { resource: Resource::Risk, share: WEIGHT_EVICTING },
            _ => Cost { resource: Resource::Risk, share: share.min(1.0) },
        },
        gain: None,
        averts: (policy == "noeviction").then(|| "failed writes: carts, sessions and jobs".to_owned()),
        remedies: remedies(server, limit),
        verify: format!(
            "redis-cli INFO memory: used_memory below {} of maxmemory; the next audit no longer lists {}.",
            text::percent(USED_SHARE_MAX),
            instance.name
        ),
        touches: instance.keys().map(|k| k.patterns.iter().take(3).map(|p| format!("keys:{}", p.pattern)).collect()).unwrap_or_else(|_| Vec::new()),
    }))
}

fn evidence(instance: &Instance, server: &Server, limit: u64, share: f64) -> Vec<Evidence> {
    let mut evidence = vec![
        Evidence::figure("Used", server.used_memory as f64, "bytes", text::bytes_memory(server.used_memory)),
        Evidence::figure("Limit", limit as f64, "bytes", text::bytes_memory(limit)),
        Evidence::figure("Used share", share, "ratio", text::percent(share)),
    ];
    if let Ok(keys) = instance.keys() {
        let largest = keys.patterns.iter().filter_map(|p| Some((p, p.bytes_estimate?))).take(8);
        let rows: Vec<Vec<Cell>> = largest
            .map(|(p, bytes)| {
                vec![
                    Cell::text(&p.pattern),
                    Cell::number(p.keys_estimate as f64, text::count(p.keys_estimate)),
                    Cell::number(bytes as f64, estimated(bytes, p.bytes_error)),
                ]
            })
            .collect();
        if !rows.is_empty() {
            evidence.push(Evidence::table("Largest key families", &["pattern", "keys", "memory"], rows));
        }
    }
    evidence
}

fn remedies(server: &Server, limit: u64) -> Vec<Remedy> {
    let wanted = (server.used_memory as f64 * HEADROOM).ceil() as u64;
    let fits = server.system_memory.is_none_or(|system| wanted as f64 <= system as f64 * SYSTEM_SHARE_MAX);
    if server.platform != "plain" {
        return vec![Remedy {
            kind: RemedyKind::Shell,
            label: "Take a larger instance".into(),
            text: format!("# {}: choose a plan with at least {} of memory in the provider's console.", server.platform, text::bytes_memory(wanted)),
            lock: None,
            risk: "Most providers fail over while they resize: connections drop for some seconds.".into(),
            undo: None,
        }];
    }
    if !fits || server.maxmemory == Some(0) {
        return vec![Remedy {
            kind: RemedyKind::Shell,
            label: "Give the machine more memory, or move the cache to an instance of its own".into(),
            text: format!(
                "# {} are used and the machine has {}: raising maxmemory alone would make it swap.",
                text::bytes_memory(server.used_memory),
                text::bytes_memory(server.system_memory.unwrap_or(limit))
            ),
            lock: None,
            risk: "A second instance needs its own URL in medusa-config (CACHE_REDIS_URL).".into(),
            undo: None,
        }];
    }
    vec![Remedy {
        kind: RemedyKind::Redis,
        label: "Raise the limit".into(),
        text: format!("CONFIG SET maxmemory {wanted}"),
        lock: None,
        risk: format!(
            "The machine must have {} free for Redis. Run CONFIG REWRITE afterwards, or the value is lost at the next restart.",
            text::bytes_memory(wanted)
        ),
        undo: Some(format!("CONFIG SET maxmemory {limit}")),
    }]
}
