//! `redis-expiry-lag`: keys whose time is over and that still take memory.

use crate::checks::measures::over_instances;
use crate::checks::redis_latency::SPREAD;
use crate::checks::redis_settings::{Change, change};
use crate::checks::{Check, always};
use crate::evidence::redis::{Instance, Server};
use crate::evidence::{Cause, Gap, Layer, Section, Snapshot};
use crate::finding::{Confidence, Cost, Effort, Evidence, Finding, Remedy, RemedyKind, Resource, Severity, Subject};
use crate::text;

/// Redis goes on expiring while more than this share of the keys it looks at has expired (ACTIVE_EXPIRE_CYCLE_ACCEPTABLE_STALE, 10 % at
/// the default effort since 6.0): above it, its time for expiring, a quarter of one processor, is used up.
const STALE_SHARE_MAX: f64 = 0.10;
/// Expired keys below which the memory is not missed: some megabytes of cache entries.
const STALE_KEYS_MIN: f64 = 10_000.0;
/// Highest of ten steps; each adds two hundredths of a processor and takes one hundredth from the share that is put up with.
const EFFORT_MAX: &str = "10";

pub static CHECK: Check = Check {
    id: "redis-expiry-lag",
    layer: Layer::Redis,
    title: "Expired keys pile up faster than Redis removes them",
    passed: "Redis removes expired keys as fast as they expire.",
    why: "A key whose time is over is removed when somebody asks for it, or by Redis in passing. Where more expire than it gets to, memory fills with entries that are of no \
          use, and live ones may be evicted in their place.",
    remedy: "Raise active-expire-effort, and spread lifetimes so that entries do not expire in the same second.",
    method: "Reads expired_stale_perc of INFO, the server's own running estimate: fires above 10 % (what the default effort puts up with) from 10,000 expired keys on. Severity by the \
             share of all keys, Medium at most. Replicas expire with their master and are left out.",
    effort: Effort::Minutes,
    references: &["https://redis.io/docs/latest/commands/expire/", "https://redis.io/docs/latest/commands/info/"],
    needs: &[Section::RedisServer],
    uses: &[Section::RedisConfig],
    symptom_of: &[],
    applies_to: always,
    evaluate,
};

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    over_instances(snapshot, |instance| Ok(judge(instance, instance.server()?)?.into_iter().collect()))
}

fn judge(instance: &Instance, server: &Server) -> Result<Option<Finding>, Gap> {
    if server.role == "slave" {
        return Ok(None);
    }
    let expiring: u64 = server.databases.iter().map(|d| d.keys_with_ttl).sum();
    // So few keys can expire that the share does not matter, told or not.
    if (expiring as f64) < STALE_KEYS_MIN {
        return Ok(None);
    }
    let share = server.expired_stale_share.ok_or_else(|| {
        let cause = Cause::Absent { feature: "expired_stale_perc in INFO".into(), remedy: String::new() };
        Gap::new(Section::RedisServer, cause, format!("{} does not tell how many expired keys it still holds.", instance.name))
    })?;
    let stale = share * expiring as f64;
    if share <= STALE_SHARE_MAX || stale < STALE_KEYS_MIN {
        return Ok(None);
    }
    let keys: u64 = server.databases.iter().map(|d| d.keys).sum();
    let of_all = (stale / keys.max(1) as f64).min(1.0);
    Ok(Some(Finding {
        subject: Subject::new("instance", &instance.name),
        observed: format!(
            "About {} of the {} with a lifetime on {} have expired and are still there ({}): {} of all keys.",
            text::number(stale),
            text::plural(expiring, "key", "keys"),
            instance.name,
            text::percent(share),
            text::percent(of_all)
        ),
        step: format!("Remove expired keys sooner on {}", instance.name),
        evidence: vec![
            Evidence::figure("Expired and still there", share, "ratio", text::percent(share)),
            Evidence::figure("Keys with a lifetime", expiring as f64, "keys", text::count(expiring)),
            Evidence::figure(
                "Expired since the counters were reset",
                server.counters.total.expired_keys as f64,
                "keys",
                text::count(server.counters.total.expired_keys),
            ),
        ],
        severity: Severity::from_share(of_all).min(Severity::Medium),
        confidence: Confidence::Medium,
        confidence_because: "the server's own running estimate from samples".into(),
        effort: Effort::Minutes,
        cost: Cost { resource: Resource::Memory, share: of_all },
        gain: None,
        averts: None,
        remedies: remedies(instance, server),
        verify: format!("redis-cli INFO stats: expired_stale_perc below {} after some minutes.", STALE_SHARE_MAX * 100.0),
        touches: Vec::new(),
    }))
}

fn remedies(instance: &Instance, server: &Server) -> Vec<Remedy> {
    let mut remedies = vec![change(
        server,
        &Change {
            label: "Spend more time on expired keys",
            name: "active-expire-effort",
            value: EFFORT_MAX,
            now: Some("1"),
            risk: "Up to 43 % of one processor instead of 25 % while keys expire. Since Redis 6.0.",
        },
    )];
    if instance.config().is_ok_and(|c| c.get("lazyfree-lazy-expire") == Some("no")) {
        remedies.push(change(
            server,
            &Change {
                label: "Free their memory in the background",
                name: "lazyfree-lazy-expire",
                value: "yes",
                now: Some("no"),
                risk: "Memory is given back a moment later.",
            },
        ));
    }
    remedies.push(Remedy {
        kind: RemedyKind::Code,
        label: "Spread the lifetimes of entries that are written together".into(),
        text: SPREAD.into(),
        lock: None,
        risk: "Entries live up to a tenth longer.".into(),
        undo: None,
    });
    remedies
}
