//! `redis-low-hit-rate`: the cache answers too few lookups of product data.

use crate::checks::measures::{CacheUse, HitRate, cache_use, redis_cache};
use crate::checks::{Applies, Check};
use crate::evidence::redis::{Instance, Pattern, Role};
use crate::evidence::{Gap, Layer, Section, Snapshot};
use crate::finding::{Basis, Cell, Confidence, Cost, Effort, Evidence, Finding, Remedy, RemedyKind, Resource, Severity, Subject};
use crate::text;

/// Lookups from which the rate is sure to a percent.
const LOOKUPS_SURE: u64 = 10_000;
/// Median remaining lifetime of entries, milliseconds, below which the lifetime itself is what keeps the rate low.
const TTL_SHORT_MS: u64 = 60_000;
/// A lifetime worth trying, seconds: the default of Medusa's caching module.
const TTL_S: u32 = 3_600;

pub static CHECK: Check = Check {
    id: "redis-low-hit-rate",
    layer: Layer::Redis,
    title: "The cache answers too few lookups of product data",
    passed: "The cache answers its share of product data lookups.",
    why: "Every lookup the cache cannot answer is computed again by Medusa and Postgres. Below the target the cache costs a round trip more often than it saves a query.",
    remedy: "Find out why entries are gone when they are asked for: lifetimes too short, evictions, or invalidation of more than was changed.",
    method: "Compares keyspace_hits and keyspace_misses over the window (at least 1,000 lookups, else since the counters were reset, without what audits looked up meanwhile: TYPE, PTTL, OBJECT and the commands that count elements) of an instance that holds only cache keys, against the target (70 %). A shared instance is not judged: 53–60 % is healthy there.",
    effort: Effort::Hours,
    references: &["https://docs.medusajs.com/resources/infrastructure-modules/caching", "https://redis.io/docs/latest/commands/info/"],
    needs: &[Section::RedisServer, Section::RedisKeys],
    uses: &[Section::RedisCommands, Section::PgMedusa],
    symptom_of: &["redis-evictions"],
    applies_to,
    evaluate,
};

fn applies_to(snapshot: &Snapshot) -> Result<Applies, Gap> {
    for instance in &snapshot.redis()?.instances {
        let is_known_free = cache_use(instance).is_ok_and(|u| u == CacheUse::None) && instance.keys().is_ok_and(|k| k.is_complete);
        // Withheld counters are a gap of the check even where they would not have been judged.
        if !is_known_free || instance.server().is_err() {
            return Ok(Applies::Yes);
        }
    }
    Ok(Applies::No("no cache keys are in Redis".into()))
}

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    // A shared instance is Unknown whatever its counters say; where they are missing, that is the gap to close first.
    for instance in &snapshot.redis()?.instances {
        if cache_use(instance).is_ok_and(|u| u != CacheUse::None) {
            instance.server()?;
        }
    }
    let (instance, rate) = redis_cache(snapshot)?;
    let target = snapshot.meta.targets.redis_hit_rate_min;
    if rate.rate() >= target {
        return Ok(Vec::new());
    }
    let major = snapshot.medusa().ok().map(|m| m.major);
    Ok(vec![finding(instance, &rate, target, major)])
}

fn finding(instance: &Instance, rate: &HitRate, target: f64, major: Option<u8>) -> Finding {
    let shortfall = target - rate.rate();
    let entries = entries(instance);
    let cause = cause(instance, &entries);
    let severity = match (major, cause) {
        // Half a minute is v1's default: low by design, and worth a setting.
        (Some(1), Reason::ShortLifetime) => Severity::Low,
        _ => Severity::from_share(shortfall),
    };
    let (confidence, because) = if rate.of >= LOOKUPS_SURE {
        (Confidence::High, format!("{} in the {}", text::plural(rate.of, "lookup", "lookups"), rate.period))
    } else {
        (Confidence::Medium, format!("only {} in the {}", text::plural(rate.of, "lookup", "lookups"), rate.period))
    };
    Finding {
        subject: Subject::new("instance", &instance.name),
        observed: format!(
            "{} of {} were answered by {} in the {}; the target is {}. {}",
            text::percent(rate.rate()),
            text::plural(rate.of, "lookup", "lookups"),
            instance.name,
            rate.period,
            text::percent(target),
            cause.words()
        ),
        step: format!("Raise the hit rate of {}", instance.name),
        evidence: evidence(rate, target, &entries),
        severity,
        confidence,
        confidence_because: because,
        effort: Effort::Hours,
        cost: Cost { resource: Resource::RedisTime, share: shortfall },
        gain: None,
        averts: None,
        remedies: remedies(cause, major),
        verify: format!("The next audit's window shows at least {} hits of at least 1,000 lookups.", text::percent(target)),
        touches: entries.iter().take(5).map(|p| format!("keys:{}", p.pattern)).collect(),
    }
}

fn entries(instance: &Instance) -> Vec<&Pattern> {
    let is_entry = |p: &&Pattern| matches!(p.role, Role::Cache | Role::CustomCache);
    instance.keys().map(|k| k.patterns.iter().filter(is_entry).collect()).unwrap_or_else(|_| Vec::new())
}

/// What the evidence says about why entries are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reason {
    Evicted,
    ShortLifetime,
    Unknown,
}

impl Reason {
    fn words(self) -> &'static str {
        match self {
            Reason::Evicted => "Entries are evicted for lack of memory before they are asked for again.",
            Reason::ShortLifetime => "Entries live less than a minute, shorter than most products are asked for twice.",
            Reason::Unknown => "Lifetimes and memory do not explain it: keys are too specific, or too much is invalidated at once.",
        }
    }
}

fn cause(instance: &Instance, entries: &[&Pattern]) -> Reason {
    let evicts = instance.server().is_ok_and(|s| s.counters.window.as_ref().is_some_and(|w| w.evicted_keys > 0));
    let lifetimes: Vec<u64> = entries.iter().filter_map(|p| p.ttl_ms_median).collect();
    if evicts {
        Reason::Evicted
    } else if !lifetimes.is_empty() && lifetimes.iter().all(|ms| *ms <= TTL_SHORT_MS) {
        Reason::ShortLifetime
    } else {
        Reason::Unknown
    }
}

fn evidence(rate: &HitRate, target: f64, entries: &[&Pattern]) -> Vec<Evidence> {
    let row = |p: &&Pattern| {
        vec![
            Cell::text(&p.pattern),
            Cell::number(p.keys_estimate as f64, text::count(p.keys_estimate)),
            p.ttl_ms_median.map_or_else(|| Cell::text("none"), |ms| Cell::number(ms as f64, text::millis(ms as f64))),
        ]
    };
    vec![
        Evidence::figure("Hits", rate.hits as f64, "lookups", text::count(rate.hits)),
        Evidence::figure("Lookups", rate.of as f64, "lookups", text::count(rate.of)),
        Evidence::BeforeAfter { label: "Hit rate".into(), unit: "ratio".into(), before: rate.rate(), after: target, basis: Basis::RuleOfThumb },
        Evidence::table("Cache entries", &["pattern", "keys", "median time to live"], entries.iter().map(row).collect()),
    ]
}

fn remedies(cause: Reason, major: Option<u8>) -> Vec<Remedy> {
    match cause {
        Reason::Evicted => vec![Remedy {
            kind: RemedyKind::Redis,
            label: "See how much memory the working set needs".into(),
            text: "INFO memory".into(),
            lock: None,
            risk: "Reads only. Raise maxmemory as the finding on evictions says.".into(),
            undo: None,
        }],
        Reason::ShortLifetime => vec![lifetime(major)],
        Reason::Unknown => vec![
            lifetime(major),
            Remedy {
                kind: RemedyKind::Code,
                label: "Leave out of the key what does not change the answer".into(),
                text: KEY_PARTS.into(),
                lock: None,
                risk: "A part that does change the answer must stay: price lists by customer group, taxes by region.".into(),
                undo: None,
            },
        ],
    }
}

fn lifetime(major: Option<u8>) -> Remedy {
    let v1 = format!(
        "// medusa-config.js (v1)\nmodules: {{\n  cacheService: {{\n    resolve: \"@medusajs/cache-redis\",\n    options: {{ redisUrl: process.env.CACHE_REDIS_URL, ttl: {TTL_S} }},\n  }},\n}},"
    );
    let v2 = format!(
        "// medusa-config.ts (v2.11 and later, with MEDUSA_FF_CACHING=true)\nmodules: [\n  {{\n    resolve: \"@medusajs/medusa/caching\",\n    options: {{\n      ttl: {TTL_S},\n      providers: [\n        {{\n          resolve: \"@medusajs/caching-redis\",\n          id: \"caching-redis\",\n          is_default: true,\n          options: {{ redisUrl: process.env.CACHE_REDIS_URL }},\n        }},\n      ],\n    }},\n  }},\n],"
    );
    Remedy {
        kind: RemedyKind::MedusaConfig,
        label: "Let entries live longer".into(),
        text: match major {
            Some(1) => v1,
            Some(_) => v2,
            None => format!("{v2}\n\n{v1}"),
        },
        lock: None,
        risk: "Data that is changed past Medusa (imports straight into the database) is shown up to an hour late.".into(),
        undo: Some("Set ttl back to its former value.".into()),
    }
}

const KEY_PARTS: &str = r#"// One entry for all shoppers of a region and currency, whatever the order of the parameters
const key = ["catalog", region_id, currency_code, ...Object.entries(query).sort().flat()].join(":")"#;
