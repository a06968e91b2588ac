//! `redis-big-key`: values and collections that block Redis while they are read, written or removed.

use crate::checks::key_sample::{denied, memory_share, remedy};
use crate::checks::measures::over_instances;
use crate::checks::{Check, always};
use crate::evidence::redis::{Instance, KeySample, Pattern, Role, SlowEntry};
use crate::evidence::{Cause, Gap, Layer, Section, Snapshot};
use crate::finding::{Cell, Confidence, Cost, Effort, Evidence, Finding, Remedy, RemedyKind, Resource, Severity, Subject};
use crate::text;

/// Bytes of a string from which sending it takes longer than asking for it.
const STRING_MAX: u64 = 100_000;
/// Bytes of an entry of the caching module, which compresses what is larger than 2 kB itself: a long list is a few hundred kilobytes.
const ENTRY_MAX: u64 = 1_000_000;
/// Bytes of any key from which a single read is felt by everybody.
const BYTES_MEDIUM: u64 = 1_000_000;
const BYTES_HIGH: u64 = 10_000_000;
/// Share of the strings and entries from which on they count as measured: some expire before their turn.
const MEASURED_MIN: f64 = 0.9;
/// Elements from which a command over the whole collection takes milliseconds.
const ELEMENTS_MAX: u64 = 10_000;
const ELEMENTS_MEDIUM: u64 = 100_000;
const ELEMENTS_HIGH: u64 = 1_000_000;

pub static CHECK: Check = Check {
    id: "redis-big-key",
    layer: Layer::Redis,
    title: "Single keys hold megabytes or tens of thousands of elements",
    passed: "No sampled string, cache entry or long collection outside the queues is big enough to block Redis.",
    why: "Redis does one thing at a time. While it sends, copies or removes a big value, every cart and session waits, and the network and the backend carry the whole value for the one field somebody wanted.",
    remedy: "Split the value, store only what is read together, page through collections, and remove big keys with UNLINK.",
    method: "MEMORY USAGE of every sampled string and entry of the caching module, of every sampled collection from 1,000 elements on, and of up to 60 shorter ones a family: strings over 100 kB, entries of the caching module over 1 MB, collections of more than 10,000 elements, anything over 10 MB. Medium from 1 MB or 100,000 elements, High from 10 MB or a million; one step more where a whole read of it is in the slow log. Queues, their event streams and the cache's tag sets are judged by their own checks.",
    effort: Effort::Hours,
    references: &["https://redis.io/docs/latest/commands/memory-usage/", "https://redis.io/docs/latest/commands/unlink/"],
    needs: &[Section::RedisKeys],
    uses: &[Section::RedisServer, Section::RedisSlowlog],
    symptom_of: &[],
    applies_to: always,
    evaluate,
};

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    over_instances(snapshot, |instance| {
        let keys = instance.keys()?;
        let judged: Vec<&Pattern> = keys.patterns.iter().filter(|p| is_judged(p)).collect();
        let found: Vec<Finding> = judged.iter().filter_map(|p| judge(instance, keys, p)).collect();
        // What was not measured is not known to be small.
        let values: Vec<&Pattern> = judged.iter().copied().filter(|p| is_one_value(p)).collect();
        if found.is_empty() && !values.is_empty() && keys.patterns.iter().all(|p| p.bytes_max.is_none()) {
            return Err(denied(instance, "MEMORY USAGE", "~* +memory|usage", "the size of its keys"));
        }
        let (sampled, measured) = (values.iter().map(|p| p.keys).sum(), values.iter().map(|p| p.measured).sum());
        if found.is_empty() && (measured as f64) < sampled as f64 * MEASURED_MIN {
            return Err(few_measured(instance, measured, sampled));
        }
        let mut collections = judged.iter().filter(|p| p.kind != "string").peekable();
        if found.is_empty() && collections.peek().is_some() && collections.all(|p| p.elements_max.is_none() && p.bytes_max.is_none()) {
            return Err(denied(instance, "HLEN and SCARD", "~* +hlen +scard +zcard +llen +xlen", "the length of its collections"));
        }
        Ok(found)
    })
}

fn is_judged(pattern: &Pattern) -> bool {
    !pattern.role.is_queue() && !pattern.pattern.starts_with("mc:tag:")
}

/// A string, or a hash of the caching module: each of the sample is measured, for nothing else tells its size.
fn is_one_value(pattern: &Pattern) -> bool {
    pattern.kind == "string" || (pattern.kind == "hash" && pattern.role == Role::Cache)
}

fn few_measured(instance: &Instance, have: u64, need: u64) -> Gap {
    let detail = format!(
        "{} of {} on {} were measured: a big one may be among the others.",
        text::count(have),
        text::plural(need, "sampled string or cache entry", "sampled strings and cache entries"),
        instance.name
    );
    Gap::new(Section::RedisKeys, Cause::TooFew { have, need, what: "measured keys".into() }, detail)
}

fn judge(instance: &Instance, keys: &KeySample, pattern: &Pattern) -> Option<Finding> {
    let size = severity(pattern)?;
    let slow: Vec<&SlowEntry> = instance
        .slowlog()
        .map(|s| s.iter().filter(|e| e.in_window && e.pattern.as_ref() == Some(&pattern.pattern)).collect())
        .unwrap_or_else(|_| Vec::new());
    let severity = if slow.is_empty() { size } else { worse(size) };
    let share = memory_share(pattern.bytes_max, instance.server().ok());
    let because =
        if keys.is_complete { "measured by Redis itself" } else { "measured by Redis itself; larger ones may be among the keys not sampled" };
    let blocked = if slow.is_empty() {
        String::new()
    } else {
        format!(" {} of it in the window.", text::plural(slow.len() as u64, "slow command", "slow commands"))
    };
    Some(Finding {
        subject: Subject::new("key_pattern", format!("{} ({}) in {}", pattern.pattern, pattern.kind, instance.name)),
        observed: format!("The largest sampled {} of {} takes {}.{blocked}", kind(pattern), pattern.pattern, words(pattern)),
        step: format!("Split the big keys of {}", pattern.pattern),
        evidence: evidence(pattern, &slow),
        severity,
        confidence: Confidence::High,
        confidence_because: because.into(),
        effort: Effort::Hours,
        cost: Cost { resource: Resource::Memory, share },
        gain: None,
        averts: Some("requests that wait while it is read or removed".into()),
        remedies: remedies(pattern),
        verify: format!(
            "The next audit's largest key of {} is below {} and {} elements.",
            pattern.pattern,
            text::bytes_disk(STRING_MAX),
            text::count(ELEMENTS_MAX)
        ),
        touches: vec![format!("keys:{}", pattern.pattern)],
    })
}

/// `None`: not big.
fn severity(pattern: &Pattern) -> Option<Severity> {
    let bytes = pattern.bytes_max.unwrap_or(0);
    let elements = if pattern.kind == "string" { 0 } else { pattern.elements_max.unwrap_or(0) };
    let bytes_max = match (pattern.kind.as_str(), pattern.role) {
        ("string", _) => STRING_MAX,
        ("hash", Role::Cache) => ENTRY_MAX,
        _ => BYTES_HIGH,
    };
    let is_big = bytes > bytes_max || elements > ELEMENTS_MAX;
    is_big.then_some(match () {
        () if bytes >= BYTES_HIGH || elements >= ELEMENTS_HIGH => Severity::High,
        () if bytes >= BYTES_MEDIUM || elements >= ELEMENTS_MEDIUM => Severity::Medium,
        () => Severity::Low,
    })
}

fn worse(severity: Severity) -> Severity {
    match severity {
        Severity::Low => Severity::Medium,
        _ => Severity::High,
    }
}

fn kind(pattern: &Pattern) -> &str {
    match pattern.kind.as_str() {
        "zset" => "sorted set",
        other => other,
    }
}

fn words(pattern: &Pattern) -> String {
    let bytes = pattern.bytes_max.map(text::bytes_disk);
    let elements = pattern.elements_max.filter(|_| pattern.kind != "string").map(|n| text::plural(n, "element", "elements"));
    match (bytes, elements) {
        (Some(bytes), Some(elements)) => format!("{bytes} in {elements}"),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => "an unknown size".into(),
    }
}

fn evidence(pattern: &Pattern, slow: &[&SlowEntry]) -> Vec<Evidence> {
    let mut evidence = vec![
        Evidence::figure("Keys of the family", pattern.keys_estimate as f64, "keys", text::count(pattern.keys_estimate)),
        Evidence::figure("Of them measured", pattern.measured as f64, "keys", text::count(pattern.measured)),
    ];
    if let Some(bytes) = pattern.bytes_max {
        evidence.push(Evidence::figure("Largest", bytes as f64, "bytes", text::bytes_disk(bytes)));
    }
    if let Some(n) = pattern.elements_max {
        evidence.push(Evidence::figure("Elements of the largest", n as f64, "elements", text::count(n)));
    }
    let row = |e: &&SlowEntry| vec![Cell::text(&e.command), Cell::number(e.micros as f64, text::millis(e.micros as f64 / 1e3))];
    if !slow.is_empty() {
        evidence.push(Evidence::table("Slow log", &["command", "time"], slow.iter().take(8).map(row).collect()));
    }
    evidence
}

fn remedies(pattern: &Pattern) -> Vec<Remedy> {
    const RISK: &str = "Readers and writers of the key change together; let the old keys expire, or remove them with UNLINK (DEL blocks).";
    let first = match (pattern.kind.as_str(), pattern.role) {
        ("hash", Role::Cache) => ("Cache what a page shows instead of whole objects", ENTRY),
        ("string", _) => ("Split the value, compress what is left", STRING),
        ("hash", _) => ("Spread the fields over buckets", HASH),
        ("set", _) => ("Spread the members over buckets, and read them in steps", SET),
        ("zset", _) => ("Keep the newest, and page through the rest", ZSET),
        ("list", _) => ("Cap the list where it is written", LIST),
        _ => ("Cap the stream where it is written", STREAM),
    };
    vec![remedy(RemedyKind::Code, first.0, first.1, RISK)]
}

const ENTRY: &str = r#"// fewer fields and a smaller page: what is cached is what the request asks for
GET /store/products?fields=id,handle,title,thumbnail,*variants.calculated_price&limit=24"#;

const STRING: &str = r#"// one key a product instead of one for the whole list; the list keeps ids alone
import { gzipSync } from "node:zlib"

const pipeline = redis.pipeline()
for (const product of products) {
  pipeline.set(`cache:product:${product.id}`, gzipSync(JSON.stringify(product)), "EX", 3600)
}
pipeline.set(`cache:products:page:${page}`, JSON.stringify(products.map((p) => p.id)), "EX", 3600)
await pipeline.exec()"#;

const HASH: &str = r#"// 256 hashes of a few hundred fields each instead of one
const bucket = (field: string) => crc32(field) % 256
await redis.hset(`${key}:${bucket(field)}`, field, value)"#;

const SET: &str = r#"// 256 sets instead of one
const bucket = (member: string) => crc32(member) % 256
await redis.sadd(`${key}:${bucket(member)}`, member)
// and never SMEMBERS: steps of 500
for await (const members of redis.sscanStream(key, { count: 500 })) await handle(members)"#;

const ZSET: &str = r#"// the newest 10,000 stay
await redis.multi().zadd(key, score, member).zremrangebyrank(key, 0, -10_001).exec()
const page = await redis.zrange(key, offset, offset + 99)"#;

const LIST: &str = r#"// the newest 10,000 stay
await redis.multi().lpush(key, value).ltrim(key, 0, 9_999).exec()"#;

const STREAM: &str = r#"await redis.xadd(key, "MAXLEN", "~", 10_000, "*", "event", value)"#;
