//! `redis-cache-without-ttl`: cache keys that never expire.

use regex::Regex;

use crate::checks::key_sample::about_bytes_within;
use crate::checks::measures::over_instances;
use crate::checks::{Applies, Check};
use crate::evidence::redis::{Instance, KeySample, Pattern, Role, Server};
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
        Ok(keys.patterns.iter().filter(|p| p.role.is_cache()).filter_map(|p| judge(instance, p, keys)).collect())
    })
}

fn judge(instance: &Instance, pattern: &Pattern, keys: &KeySample) -> Option<Finding> {
    let is_complete = keys.is_complete;
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
    let memory = about_bytes_within(bytes, pattern.bytes_error.map(|e| (e as f64 * share) as u64));
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
        remedies: remedies(pattern, keys, server),
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

fn remedies(pattern: &Pattern, keys: &KeySample, server: Option<&Server>) -> Vec<Remedy> {
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
    if let Some((glob, names)) = glob(&pattern.pattern).zip(names_alone(pattern, keys)) {
        let mut expire = expire_present(&glob, &names, pattern.database, server);
        if !keys.is_complete {
            expire.risk.push_str(" Keys outside the sample whose names have this form get one too.");
        }
        remedies.push(expire);
    }
    remedies
}

/// EXPIRE … NX leaves keys that already have a lifetime alone; older servers do not know it.
fn expire_present(glob: &str, names: &str, database: u32, server: Option<&Server>) -> Remedy {
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
            "redis-cli -u \"$REDIS_URL\" -n {database} --scan --pattern '{glob}' | grep -aE '{names}' | sed 's/.*/EXPIRE \"&\" {TTL_S}{nx}/' | redis-cli -u \"$REDIS_URL\" -n {database}"
        ),
        lock: None,
        risk: risk.into(),
        undo: None,
    }
}

/// The pattern as a SCAN glob, which matches more than this family: its `*` goes on past colons. `None` where it would walk through everything.
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
    // Prefixes that the user told may hold anything.
    let is_plain = !out.contains(['\'', '"', '\\', '[', '?']);
    (is_narrow && is_plain).then_some(out)
}

/// What stands in a pattern for a part of a name.
struct Mark {
    mark: &'static str,
    /// What it stands for, as grep and this program read it alike. Quotes and backslashes stay out: they would end the command that the name
    /// is put into.
    names: &'static str,
    /// One that has no other mark.
    example: &'static str,
}

const MARKS: [Mark; 6] = [
    Mark { mark: "n", names: "[0-9.]+", example: "7" },
    Mark { mark: "ulid", names: r#"([^:/"\\]+[_-])?[0-7][0-9A-Za-z]{25}"#, example: "01M8469SSQJ16F56J2S24NK90Y" },
    Mark { mark: "uuid", names: "[0-9A-Fa-f-]{36}", example: "7d444840-9dc0-11d1-b245-5ffdce74fad2" },
    Mark { mark: "hash16", names: "[0-9A-Fa-f]{16}", example: "00112233445566ff" },
    Mark { mark: "hash", names: "[0-9A-Fa-f]{17,}", example: "00112233445566ff00112233445566ff" },
    Mark { mark: "id", names: r#"[^:/"\\]+"#, example: "Xy-z" },
];
/// Stands for the families beyond those that are kept by name.
const FOLDED: &str = "<other>";

/// The names of the family and of no other, as a regular expression; `None` where another family or type of the sample has such names.
fn names_alone(pattern: &Pattern, keys: &KeySample) -> Option<String> {
    let names = format!("^{}$", filled(&pattern.pattern, |m| m.names, escaped)?);
    let regex = Regex::new(&names).ok()?;
    let is_loose = pattern.pattern.contains('*') || pattern.pattern.contains("<id>");
    let is_other = |p: &&Pattern| p.database == pattern.database && (&p.pattern, &p.kind) != (&pattern.pattern, &pattern.kind);
    let has_such = |p: &Pattern| match filled(&p.pattern, |m| m.example, |text| text.replace('*', "7")) {
        Some(example) => regex.is_match(&example),
        // Names of any form may be among the folded ones; those of this form have this pattern.
        None => is_loose || p.pattern != FOLDED,
    };
    (!keys.patterns.iter().filter(is_other).any(has_such)).then_some(names)
}

/// The pattern with its marks and what is between them replaced; `None` with a mark that is not known.
fn filled(pattern: &str, mark: impl Fn(&Mark) -> &'static str, between: impl Fn(&str) -> String) -> Option<String> {
    let mut out = String::new();
    let mut rest = pattern;
    while let Some((before, after)) = rest.split_once('<') {
        let (name, after) = after.split_once('>')?;
        out.push_str(&between(before));
        out.push_str(mark(MARKS.iter().find(|m| m.mark == name)?));
        rest = after;
    }
    out.push_str(&between(rest));
    Some(out)
}

fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '*' => out.push_str(r#"[^"\\]*"#),
            '.' | '+' | '(' | ')' | '{' | '}' | '^' | '$' | '|' => out.extend(['\\', c]),
            _ => out.push(c),
        }
    }
    out
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::redis::DatabaseSample;

    fn family(pattern: &str, kind: &str) -> Pattern {
        let json = format!(
            r#"{{"database":0,"pattern":"{pattern}","role":"custom_cache","kind":"{kind}","keys":100,"keys_estimate":100,"without_ttl":100,"measured":100}}"#
        );
        serde_json::from_str(&json).unwrap()
    }

    fn names(pattern: &str, others: &[(&str, &str)]) -> Option<String> {
        let of = family(pattern, "string");
        let patterns = std::iter::once(of.clone()).chain(others.iter().map(|(name, kind)| family(name, kind))).collect();
        let databases = vec![DatabaseSample { index: 0, keys: 200, sampled: 200, is_complete: true }];
        names_alone(&of, &KeySample { keys_total: 200, keys_sampled: 200, is_complete: true, ended_by: None, databases, patterns })
    }

    #[test]
    fn a_family_is_named_without_its_neighbours() {
        let beside = [("cache:stock:<n>", "string"), ("cache:lock:import", "string"), ("cache:settings:shop", "hash"), ("cache:<id>", "string")];
        assert_eq!(names("cache:<n>", &beside).as_deref(), Some("^cache:[0-9.]+$"));
        assert_eq!(names("mc:<hash16>", &[("mc:tag:<hash16>", "set")]).as_deref(), Some("^mc:[0-9A-Fa-f]{16}$"));
        let regex = Regex::new(&names("cache:product:<id>:eur", &beside).unwrap()).unwrap();
        assert!(
            regex.is_match("cache:product:red-shirt:eur")
                && !regex.is_match("cache:product:red:shirt:eur")
                && !regex.is_match("cache:product:\"x:eur")
        );
        assert_eq!(names("acme.v1+2:<n>", &[]).as_deref(), Some(r"^acme\.v1\+2:[0-9.]+$"));
    }

    #[test]
    fn where_another_family_has_such_names_there_are_none() {
        assert_eq!(names("cache:<id>", &[("cache:<n>", "string")]), None, "numbers are names too");
        assert_eq!(names("cache:<id>", &[("cache:settings", "string")]), None);
        assert_eq!(names("cache:<n>", &[("cache:<n>", "hash")]), None, "of another type");
        assert_eq!(names("medusa:ps:<id>:*", &[("medusa:ps:<id>:<n>:<id>", "string")]), None);
        assert_eq!(names("cache:<id>", &[("<other>", "string")]), None);
        assert!(names("cache:<n>", &[("<other>", "string")]).is_some());
    }

    #[test]
    fn a_glob_walks_through_no_more_than_one_head() {
        assert_eq!(glob("cache:product:<n>").as_deref(), Some("cache:product:*"));
        for wide in ["<id>:<n>", "acme-<n>:<id>", "catalog", "<other>", "it's:<n>"] {
            assert_eq!(glob(wide), None, "{wide}");
        }
    }
}
