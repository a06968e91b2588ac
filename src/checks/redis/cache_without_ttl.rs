//! `redis-cache-without-ttl`: cache keys that never expire.

use crate::checks::measures::over_instances;
use crate::checks::{Applies, Check};
use crate::evidence::redis::{Instance, Pattern, Role, Server};
use crate::evidence::{Gap, Layer, Section, Snapshot};
use crate::finding::{Basis, Confidence, Cost, Effort, Evidence, Finding, Gain, Remedy, RemedyKind, Resource, Severity, Subject};
use crate::text;

/// Share of a family's keys without a lifetime from which it is no longer a slip.
const SHARE_MIN: f64 = 0.10;
/// Keys without a lifetime below which no store notices.
const KEYS_MIN: u64 = 100;
/// Two-sided 95 % of the normal distribution, for the error of the sample.
const Z: f64 = 1.96;
/// A lifetime for entries that have none: the default of Medusa's caching module.
const TTL_S: u32 = 3_600;

pub static CHECK: Check = Check {
    id: "redis-cache-without-ttl",
    layer: Layer::Redis,
    title: "Cache keys never expire",
    passed: "Cache keys expire.",
    why: "A cache entry without a lifetime stays until Redis runs out of memory. The store shows old prices and stock, and memory fills with products nobody looks at.",
    remedy: "Write every cache entry with a lifetime (SET … EX), and give the present ones one.",
    method: "PTTL of a bounded sample of keys, by family; queues, locks, sessions and workflow state are left out. Fires at 10 % of a cache family and at least 100 keys, extrapolated with the sample's 95 % error.",
    effort: Effort::Hours,
    references: &["https://redis.io/docs/latest/commands/expire/", "https://docs.medusajs.com/resources/infrastructure-modules/caching"],
    needs: &[Section::RedisKeys],
    uses: &[Section::RedisServer],
    symptom_of: &[],
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
        let keys = instance.keys()?;
        Ok(keys.patterns.iter().filter(|p| p.role.is_cache()).filter_map(|p| judge(instance, p, keys.is_complete)).collect())
    })
}

fn judge(instance: &Instance, pattern: &Pattern, is_complete: bool) -> Option<Finding> {
    let share = pattern.without_ttl as f64 / pattern.keys.max(1) as f64;
    let lasting = (pattern.keys_estimate as f64 * share).round() as u64;
    if share < SHARE_MIN || lasting < KEYS_MIN {
        return None;
    }
    let (low, high) = if is_complete { (share, share) } else { interval(pattern.without_ttl, pattern.keys) };
    let server = instance.server().ok();
    let bytes = pattern.bytes_estimate.map(|b| (b as f64 * share) as u64);
    let memory_share = bytes.zip(server).map_or(0.0, |(b, s)| b as f64 / s.used_memory.max(1) as f64).min(1.0);
    let (confidence, because) = confidence(pattern, is_complete, low);
    let error =
        if is_complete { String::new() } else { format!(" (between {} and {} by the sample's error)", text::percent(low), text::percent(high)) };
    let memory = bytes.map_or_else(String::new, |b| format!(", about {}", text::bytes_memory(b)));
    Some(Finding {
        subject: Subject::new("key_pattern", format!("{} in {}", pattern.pattern, instance.name)),
        observed: format!(
            "{} of {} keys never expire: {}{error}{memory}.",
            text::percent(share),
            pattern.pattern,
            text::plural(lasting, "key", "keys")
        ),
        step: format!("Give {} a lifetime", pattern.pattern),
        evidence: evidence(pattern, share, lasting),
        severity: Severity::from_share(memory_share),
        confidence,
        confidence_because: because,
        effort: Effort::Hours,
        cost: Cost { resource: Resource::Memory, share: memory_share },
        gain: bytes.map(|b| Gain { memory_bytes: Some(b), ..Gain::new(Basis::Modelled, format!("{} of Redis memory", text::bytes_memory(b))) }),
        averts: Some("old prices and stock shown to shoppers".into()),
        remedies: remedies(pattern, server),
        verify: format!("The next audit's key sample shows a TTL on every {} key.", pattern.pattern),
        touches: vec![format!("keys:{}", pattern.pattern)],
    })
}

/// Wilson's interval for `k` of `n` drawn: honest for small samples and shares near 0 and 1.
fn interval(k: u64, n: u64) -> (f64, f64) {
    let (k, n) = (k as f64, n.max(1) as f64);
    let p = k / n;
    let z2 = Z * Z;
    let centre = p + z2 / (2.0 * n);
    let spread = Z * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt();
    let scale = 1.0 + z2 / n;
    (((centre - spread) / scale).max(0.0), ((centre + spread) / scale).min(1.0))
}

fn confidence(pattern: &Pattern, is_complete: bool, low: f64) -> (Confidence, String) {
    // Keys named after products may be data and not a cache.
    if pattern.role == Role::CustomCache && !pattern.pattern.to_lowercase().contains("cache") {
        return (Confidence::Low, "the name suggests a cache, but it may be data of the store's own".into());
    }
    match (is_complete, low >= SHARE_MIN) {
        (true, _) => (Confidence::High, "every key was looked at".into()),
        (false, true) => {
            (Confidence::High, format!("{} sampled, and even the low end of the error is above the limit", text::plural(pattern.keys, "key", "keys")))
        }
        (false, false) => (Confidence::Low, format!("only {} sampled", text::plural(pattern.keys, "key", "keys"))),
    }
}

fn evidence(pattern: &Pattern, share: f64, lasting: u64) -> Vec<Evidence> {
    let mut evidence = vec![
        Evidence::figure("Without a lifetime", share, "ratio", text::percent(share)),
        Evidence::figure("Keys that never expire", lasting as f64, "keys", text::count(lasting)),
        Evidence::figure("Keys sampled", pattern.keys as f64, "keys", text::count(pattern.keys)),
    ];
    if let Some(ttl) = pattern.ttl_ms_median {
        evidence.push(Evidence::figure("Median lifetime of the others", ttl as f64, "ms", text::millis(ttl as f64)));
    }
    if let Some(idle) = pattern.idle_s_median {
        evidence.push(Evidence::figure("Median time since last use", idle as f64, "s", text::seconds(idle as f64)));
    }
    evidence
}

fn remedies(pattern: &Pattern, server: Option<&Server>) -> Vec<Remedy> {
    let mut remedies = vec![match pattern.role {
        Role::CustomCache => Remedy {
            kind: RemedyKind::Code,
            label: "Write entries with a lifetime".into(),
            text: format!("// ioredis: the lifetime belongs to the write\nawait redis.set(key, JSON.stringify(value), \"EX\", {TTL_S})"),
            lock: None,
            risk: "Choose the lifetime by how old the data may be.".into(),
            undo: None,
        },
        _ => Remedy {
            kind: RemedyKind::MedusaConfig,
            label: "Set the lifetime of the cache".into(),
            text: if pattern.pattern.starts_with("mc:") { CACHING_TTL.into() } else { CACHE_TTL.into() },
            lock: None,
            risk: "Custom code that passes a ttl of its own keeps it.".into(),
            undo: None,
        },
    }];
    if let Some(glob) = glob(&pattern.pattern) {
        remedies.push(expire_present(&glob, pattern.database, server));
    }
    remedies
}

/// EXPIRE … NX leaves keys that already have a lifetime alone; older servers do not know it.
fn expire_present(glob: &str, database: u32, server: Option<&Server>) -> Remedy {
    let has_nx = server.is_some_and(|s| s.version.split('.').next().and_then(|v| v.parse::<u32>().ok()).is_some_and(|v| v >= 7));
    let nx = if has_nx { " NX" } else { "" };
    let risk = if has_nx {
        "Runs in small steps; keys that already have a lifetime keep it. Change the code first, or new keys come without one."
    } else {
        "Runs in small steps; keys that already have a lifetime get the new one. Change the code first, or new keys come without one."
    };
    Remedy {
        kind: RemedyKind::Shell,
        label: "Give the present keys a lifetime".into(),
        text: format!(
            "redis-cli -u \"$REDIS_URL\" -n {database} --scan --pattern '{glob}' | sed 's/.*/EXPIRE \"&\" {TTL_S}{nx}/' | redis-cli -u \"$REDIS_URL\" -n {database}"
        ),
        lock: None,
        risk: risk.into(),
        undo: None,
    }
}

/// The pattern as a SCAN glob; `None` where it would match more than this family.
fn glob(pattern: &str) -> Option<String> {
    let mut out = String::new();
    let mut rest = pattern;
    while let Some((before, after)) = rest.split_once('<') {
        out.push_str(before);
        out.push('*');
        rest = after.split_once('>')?.1;
    }
    out.push_str(rest);
    let is_narrow = out.split(':').next().is_some_and(|head| !head.contains('*')) && out.contains(':');
    is_narrow.then_some(out)
}

/// The module hands its own `ttl` to the provider with every entry, so that the provider's counts for nothing (caching 2.21.2).
const CACHING_TTL: &str = r#"// medusa-config.ts
{
  resolve: "@medusajs/medusa/caching",
  options: {
    ttl: 3600,
    providers: [
      {
        resolve: "@medusajs/caching-redis",
        id: "caching-redis",
        is_default: true,
        options: { redisUrl: process.env.CACHE_REDIS_URL },
      },
    ],
  },
}"#;

const CACHE_TTL: &str = r#"// medusa-config: v2 "@medusajs/medusa/cache-redis", v1 "@medusajs/cache-redis"
options: { redisUrl: process.env.CACHE_REDIS_URL, ttl: 3600 }"#;
