//! `redis-keys-command`: commands that walk the whole keyspace and block Redis meanwhile.

use crate::checks::key_sample::update_medusa;
use crate::checks::measures::over_instances;
use crate::checks::redis_settings::major_by_keys;
use crate::checks::{Check, always};
use crate::evidence::redis::{Command, CommandCounters, Instance, SlowEntry};
use crate::evidence::{Cause, Gap, Layer, Section, Snapshot};
use crate::finding::{Cell, Confidence, Cost, Effort, Evidence, Finding, Remedy, RemedyKind, Resource, Severity, Subject};
use crate::text;

/// KEYS and their like are named whatever they cost; these only when one call takes this long, microseconds.
const SLOW_CALL_MICROS: f64 = 5_000.0;
/// Keys from which one KEYS blocks Redis for tens of milliseconds.
const KEYS_MANY: u64 = 100_000;
/// … and for hundreds.
const KEYS_HUGE: u64 = 1_000_000;
/// One call that blocks everything this long is felt by every request, microseconds.
const BLOCK_MEDIUM_MICROS: f64 = 10_000.0;
const BLOCK_HIGH_MICROS: f64 = 100_000.0;

pub static CHECK: Check = Check {
    id: "redis-keys-command",
    layer: Layer::Redis,
    title: "KEYS walks the whole keyspace and blocks Redis",
    passed: "Nobody called KEYS or another command that walks the whole keyspace.",
    why: "Redis works on one command at a time. KEYS looks at every key before anything else may go on: carts, sessions and jobs wait, and longer the more the store has cached.",
    remedy: "Replace KEYS by SCAN in small steps with UNLINK, or keep a set of keys a tag and unlink its members.",
    method: "INFO commandstats over the window: calls, their time, and what the slow log says about pattern and client. KEYS, FLUSHALL and FLUSHDB whatever they cost; SMEMBERS and SORT when a call takes 5 ms on average. Calls only before the window are Info, and so is stock Medusa v1 on a small keyspace. Counters that were reset inside the window say nothing of it.",
    effort: Effort::Hours,
    references: &[
        "https://redis.io/docs/latest/commands/keys/",
        "https://github.com/medusajs/medusa/pull/9544",
        "https://github.com/medusajs/medusa/pull/14869",
    ],
    needs: &[Section::RedisCommands],
    uses: &[Section::RedisSlowlog, Section::RedisServer, Section::RedisKeys, Section::PgMedusa],
    symptom_of: &[],
    applies_to: always,
    evaluate,
};

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let told = snapshot.medusa().ok().map(|m| m.major);
    over_instances(snapshot, |instance| {
        let major = told.or_else(|| major_by_keys(instance));
        let commands = instance.commands()?;
        if let Some(gap) = unwatched(instance, commands, snapshot.meta.window_s) {
            return Err(gap);
        }
        Ok(commands.iter().filter(|c| is_blocking(c)).filter_map(|c| judge(instance, c, snapshot.meta.window_s, major)).collect())
    })
}

/// The counters were reset inside the window, or read once only: what they count is not what the window saw, and what they do not count may
/// have been in it.
fn unwatched(instance: &Instance, commands: &[Command], window_s: f64) -> Option<Gap> {
    let is_watched = |c: &Command| c.counters.window.is_some();
    if commands.is_empty() || commands.iter().any(is_watched) {
        return None;
    }
    let counted = commands.iter().filter(|c| c.counters.total.calls > 0 && is_blocking(c));
    let calls: Vec<String> =
        counted.map(|c| format!("{} of {}", text::plural(c.counters.total.calls, "call", "calls"), c.name.to_uppercase())).collect();
    let since = if calls.is_empty() { String::new() } else { format!(" Since their reset they count {}.", calls.join(", ")) };
    let detail = format!(
        "The command counters of {} were reset inside the window, or read once only, so what was called in it is not known.{since}",
        instance.name
    );
    Some(Gap::new(Section::RedisCommands, Cause::TooYoung { have_s: 0.0, need_s: window_s }, detail))
}

/// Commands whose time grows with the keyspace or with one huge collection.
pub fn is_blocking(command: &Command) -> bool {
    let counters = command.counters.window.filter(|w| w.calls > 0).unwrap_or(command.counters.total);
    match command.name.as_str() {
        "keys" | "flushall" | "flushdb" => true,
        "smembers" | "sort" => micros_a_call(&counters) >= SLOW_CALL_MICROS,
        _ => false,
    }
}

fn micros_a_call(counters: &CommandCounters) -> f64 {
    if counters.calls == 0 { 0.0 } else { counters.micros as f64 / counters.calls as f64 }
}

/// What was seen of one command on one instance.
struct Seen<'a> {
    name: String,
    /// In the window, or since the counters were reset.
    counters: CommandCounters,
    is_in_window: bool,
    window_s: f64,
    /// Keys of the instance, where INFO tells.
    keys: Option<u64>,
    slow: Vec<&'a SlowEntry>,
    major: Option<u8>,
}

fn judge(instance: &Instance, command: &Command, window_s: f64, major: Option<u8>) -> Option<Finding> {
    let window = command.counters.window.filter(|w| w.calls > 0);
    let total = command.counters.total;
    // Members of one set are read in milliseconds somewhere in every store's past: only what goes on is worth a line.
    if window.is_none() && (total.calls == 0 || !matches!(command.name.as_str(), "keys")) {
        return None;
    }
    let name = command.name.to_uppercase();
    let slow = instance.slowlog().map(|s| s.iter().filter(|e| e.command == name && (e.in_window || window.is_none())).collect());
    let seen = Seen {
        counters: window.unwrap_or(total),
        is_in_window: window.is_some(),
        window_s,
        keys: instance.server().ok().map(|s| s.databases.iter().map(|d| d.keys).sum()),
        slow: slow.unwrap_or_else(|_| Vec::new()),
        major,
        name,
    };
    Some(finding(instance, &seen))
}

fn finding(instance: &Instance, seen: &Seen<'_>) -> Finding {
    let severity = severity(seen);
    let (confidence, because) = if seen.is_in_window {
        (Confidence::High, "counted by Redis over the window")
    } else {
        (Confidence::Medium, "counted since the counters were reset; none in the window")
    };
    Finding {
        subject: Subject::new("command", format!("{} on {}", seen.name, instance.name)),
        observed: observed(instance, seen),
        step: format!("Replace {} on {}", seen.name, instance.name),
        evidence: evidence(seen),
        severity,
        confidence,
        confidence_because: because.into(),
        effort: Effort::Hours,
        cost: Cost { resource: Resource::RedisTime, share: if severity == Severity::Info { 0.0 } else { blocked_share(seen) } },
        gain: None,
        averts: None,
        remedies: remedies(seen),
        verify: format!("The next audit's window counts no {} on {}.", seen.name, instance.name),
        touches: seen.slow.iter().filter_map(|e| e.pattern.as_ref()).map(|p| format!("keys:{}", p.replace('*', ""))).collect(),
    }
}

/// Share 0…1 of the window in which Redis could do nothing else.
fn blocked_share(seen: &Seen<'_>) -> f64 {
    if seen.is_in_window && seen.window_s > 0.0 { (seen.counters.micros as f64 / 1e6 / seen.window_s).min(1.0) } else { 0.0 }
}

fn severity(seen: &Seen<'_>) -> Severity {
    if !seen.is_in_window {
        return Severity::Info;
    }
    let block = micros_a_call(&seen.counters);
    let keys = seen.keys.unwrap_or(0);
    let by_share = Severity::from_share(blocked_share(seen));
    let by_size = match () {
        () if keys >= KEYS_HUGE || block >= BLOCK_HIGH_MICROS => Severity::High,
        () if keys >= KEYS_MANY || block >= BLOCK_MEDIUM_MICROS => Severity::Medium,
        () => Severity::Low,
    };
    let severity = by_share.max(by_size);
    // Version 1's own cache-redis calls KEYS at every price change: no fault of the store while it is cheap.
    if severity == Severity::Low && seen.name == "KEYS" && seen.major == Some(1) { Severity::Info } else { severity }
}

fn observed(instance: &Instance, seen: &Seen<'_>) -> String {
    let each = text::millis(micros_a_call(&seen.counters) / 1e3);
    let calls = text::plural(seen.counters.calls, "call", "calls");
    let over = seen.keys.map_or_else(String::new, |k| format!(" over {}", text::plural(k, "key", "keys")));
    if seen.is_in_window {
        let rate = if seen.window_s > 0.0 { format!(" ({})", text::per_second(seen.counters.calls as f64 / seen.window_s)) } else { String::new() };
        format!("{calls} of {} in {}{rate}, {each} a call{over}, blocking {} meanwhile.", seen.name, text::seconds(seen.window_s), instance.name)
    } else {
        format!("{calls} of {} since the counters were reset, none seen in the window; {each} a call{over}.", seen.name)
    }
}

fn evidence(seen: &Seen<'_>) -> Vec<Evidence> {
    let each = micros_a_call(&seen.counters);
    let mut evidence = vec![
        Evidence::figure("Calls", seen.counters.calls as f64, "calls", text::count(seen.counters.calls)),
        Evidence::figure("Time a call", each / 1e3, "ms", text::millis(each / 1e3)),
        Evidence::figure("Share of time Redis is blocked", blocked_share(seen), "ratio", text::percent(blocked_share(seen))),
    ];
    if let Some(keys) = seen.keys {
        evidence.push(Evidence::figure("Keys walked", keys as f64, "keys", text::count(keys)));
    }
    let row = |e: &&SlowEntry| {
        vec![
            Cell::text(e.pattern.as_deref().unwrap_or("not told")),
            Cell::text(e.client_name.as_deref().unwrap_or("without a name")),
            Cell::number(e.micros as f64, text::millis(e.micros as f64 / 1e3)),
        ]
    };
    if !seen.slow.is_empty() {
        evidence.push(Evidence::table("Slow log", &["pattern", "client", "time"], seen.slow.iter().take(8).map(row).collect()));
    }
    evidence
}

fn remedies(seen: &Seen<'_>) -> Vec<Remedy> {
    match seen.name.as_str() {
        "KEYS" => keys_remedies(seen),
        "FLUSHALL" | "FLUSHDB" => vec![code("Unlink what is out of date instead of everything", SCAN_UNLINK)],
        _ => vec![code("Read large sets in steps", SSCAN)],
    }
}

fn keys_remedies(seen: &Seen<'_>) -> Vec<Remedy> {
    let walks_tags = seen.slow.iter().any(|e| e.pattern.as_deref().is_some_and(|p| p.starts_with("mc:tag")));
    let mut remedies = match seen.major {
        Some(1) => vec![code("Patch the cache module of version 1 (its newest release still calls KEYS)", V1_INVALIDATE)],
        // Only caching-redis uses these keys, and it called KEYS until pull request 14869.
        _ if walks_tags => vec![Remedy {
            kind: RemedyKind::Shell,
            label: "Update the caching module".into(),
            text: update_medusa(Some("@medusajs/caching-redis")),
            lock: None,
            risk: "All @medusajs packages go to one version, as they must; run npx medusa db:migrate. Versions up to 2.13.1 call KEYS mc:tag:* at every invalidation.".into(),
            undo: None,
        }],
        _ => vec![code("Replace KEYS by SCAN and UNLINK", SCAN_UNLINK), code("Or keep the keys of a tag in a set", TAG_SET)],
    };
    // Refusing KEYS to stock version 1 would break its price invalidation.
    if seen.major != Some(1) && seen.is_in_window {
        remedies.push(Remedy {
            kind: RemedyKind::Redis,
            label: "Refuse KEYS, once the code no longer calls it".into(),
            text: "ACL SETUSER default -keys".into(),
            lock: None,
            risk: "Code that still calls KEYS gets an error. Name the application's own user in place of default where it has one; ACL SAVE or CONFIG REWRITE keeps the rule.".into(),
            undo: Some("ACL SETUSER default +keys".into()),
        });
    }
    remedies
}

fn code(label: &str, text: &str) -> Remedy {
    Remedy {
        kind: RemedyKind::Code,
        label: label.into(),
        text: text.into(),
        lock: None,
        risk: "Keys written while the scan runs may be missed; they carry the new data.".into(),
        undo: None,
    }
}

const SCAN_UNLINK: &str = r#"// ioredis: small steps, other commands run in between, memory is freed in the background
async function unlinkByPattern(redis: Redis, match: string) {
  for await (const keys of redis.scanStream({ match, count: 500 })) {
    if (keys.length) await redis.unlink(...keys)
  }
}"#;

const TAG_SET: &str = r#"// Writing: remember the key under its tag
await redis.multi().set(key, value, "EX", ttl).sadd(`tag:${tag}`, key).expire(`tag:${tag}`, ttl + 60).exec()
// Invalidating: only the members of the tag are touched
const keys = await redis.smembers(`tag:${tag}`)
if (keys.length) await redis.unlink(...keys, `tag:${tag}`)"#;

const SSCAN: &str = r#"// ioredis: members in steps of 500 instead of all at once
for await (const members of redis.sscanStream(key, { count: 500 })) {
  await handle(members)
}"#;

const V1_INVALIDATE: &str = r#"// medusa-config.js (v1), at its top: the module's invalidate() with SCAN in place of KEYS
const RedisCacheService = require("@medusajs/cache-redis/dist/services/redis-cache").default
RedisCacheService.prototype.invalidate = async function (pattern) {
  const stream = this.redis.scanStream({ match: this.getCacheKey(pattern), count: 500 })
  for await (const keys of stream) {
    if (keys.length) await this.redis.unlink(...keys)
  }
}"#;
