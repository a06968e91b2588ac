//! `redis-slow-commands`: commands that took long while the store was watched.

use std::collections::BTreeMap;

use super::keys_command::is_blocking;
use crate::checks::measures::over_instances;
use crate::checks::redis_latency::SHOWS_ARGUMENTS;
use crate::checks::redis_settings::{config, setting};
use crate::checks::{Check, always};
use crate::evidence::redis::{Instance, SlowEntry};
use crate::evidence::{Cause, Gap, Layer, Section, Snapshot};
use crate::finding::{Cell, Confidence, Cost, Effort, Evidence, Finding, Remedy, RemedyKind, Resource, Severity, Subject};
use crate::text;

/// What Redis itself calls slow by default (slowlog-log-slower-than): a server that logs quicker commands does not make them slow.
const SLOW_MICROS: u64 = 10_000;
/// Share of the window below which a few slow commands are the noise of any machine.
const SHARE_MIN: f64 = 0.02;
/// One call is chance.
const CALLS_MIN: usize = 2;
/// One call that makes everybody wait this long is felt however rare it is.
const BLOCK_MEDIUM_MICROS: u64 = 100_000;
const BLOCK_HIGH_MICROS: u64 = 1_000_000;
/// Entries that earlier audits read: where all of them lie in the window, there were more.
const ENTRIES_READ: usize = 128;
/// Entries a server may keep for an audit to read all of them.
const ENTRIES_KEPT: u32 = 1_024;

pub static CHECK: Check = Check {
    id: "redis-slow-commands",
    layer: Layer::Redis,
    title: "Slow commands hold Redis up",
    passed: "No command but those of other checks held Redis up for long.",
    why: "Redis works on one command at a time. While one takes 100 ms, every cart, session and job of the store waits 100 ms.",
    remedy: "Read large values in steps, keep job data small, and run tools that walk the keys against a replica.",
    method: "Entries of the slow log inside the window of 10 ms and more, by command: fires from two calls and 2 % of the window on, or when one call took 100 ms; severity by \
             the share of the window, Medium from a call of 100 ms and High from one of 1 s on. KEYS and its like belong to redis-keys-command. A log that was pushed out or emptied \
             inside the window is no proof that nothing was slow.",
    effort: Effort::Hours,
    references: &[
        "https://redis.io/docs/latest/commands/slowlog-get/",
        "https://redis.io/docs/latest/operate/oss_and_stack/management/optimization/latency/",
    ],
    needs: &[Section::RedisSlowlog],
    // What is logged at all decides what an empty log means.
    uses: &[Section::RedisConfig, Section::RedisCommands],
    symptom_of: &[],
    applies_to: always,
    evaluate,
};

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let window_s = snapshot.meta.window_s;
    over_instances(snapshot, |instance| {
        let entries = instance.slowlog()?;
        let mut by_command: BTreeMap<&str, Vec<&SlowEntry>> = BTreeMap::new();
        for entry in entries.iter().filter(|e| e.in_window && e.micros >= SLOW_MICROS && !is_elsewhere(instance, &e.command)) {
            by_command.entry(&entry.command).or_default().push(entry);
        }
        let is_cut = is_cut(instance, entries);
        let findings: Vec<Finding> = by_command.iter().filter_map(|(command, calls)| judge(instance, command, calls, window_s, is_cut)).collect();
        if findings.is_empty() {
            log_is_kept(instance, window_s)?;
            if is_cut {
                return Err(overflown(instance));
            }
        }
        Ok(findings)
    })
}

/// Entries of the window are missing.
fn is_cut(instance: &Instance, entries: &[SlowEntry]) -> bool {
    let is_full = entries.len() >= ENTRIES_READ && entries.iter().all(|e| e.in_window);
    instance.slowlog_lost.map_or(is_full, |lost| lost > 0)
}

/// What was pushed out may have been slow. A low threshold fills the log with commands that are not.
fn overflown(instance: &Instance) -> Gap {
    let threshold = instance.config().ok().and_then(|c| c.get("slowlog-log-slower-than")?.parse::<u64>().ok());
    let remedy = match threshold {
        Some(micros) if micros < SLOW_MICROS => format!("CONFIG SET slowlog-log-slower-than {SLOW_MICROS}"),
        _ => format!("CONFIG SET slowlog-max-len {ENTRIES_KEPT}"),
    };
    let cause = Cause::Absent { feature: "the whole slow log of the window".into(), remedy };
    let lost = instance.slowlog_lost.filter(|n| *n > 1).map_or_else(String::new, |n| format!("at least {} ", text::count(n)));
    let detail =
        format!("The slow log of {} lost {lost}entries of the window before they could be read: whether one was slow is not known.", instance.name);
    Gap::new(Section::RedisSlowlog, cause, detail)
}

/// Judged by redis-keys-command.
fn is_elsewhere(instance: &Instance, command: &str) -> bool {
    if matches!(command, "KEYS" | "FLUSHALL" | "FLUSHDB") {
        return true;
    }
    let name = command.to_lowercase();
    instance.commands().is_ok_and(|commands| commands.iter().any(|c| c.name == name && is_blocking(c)))
}

/// That slow commands of the window would be in the log.
fn log_is_kept(instance: &Instance, window_s: f64) -> Result<(), Gap> {
    if window_s <= 0.0 {
        let cause = Cause::TooYoung { have_s: 0.0, need_s: 1.0 };
        return Err(Gap::new(Section::RedisSlowlog, cause, "Without a window it is not known which entries of the slow log are new."));
    }
    // An entry is proof enough that the log is on where the settings are not told.
    if instance.config().is_err() && !instance.slowlog()?.is_empty() {
        return Ok(());
    }
    config(instance, "slowlog-log-slower-than")?;
    let threshold: i64 = setting(instance, "slowlog-log-slower-than")?
        .parse()
        .map_err(|_| Gap::new(Section::RedisConfig, Cause::Unreadable, "slowlog-log-slower-than is no number."))?;
    let detail = match u64::try_from(threshold) {
        Ok(micros) if micros <= SLOW_MICROS => return Ok(()),
        Ok(micros) => format!("The slow log of {} takes commands from {} on only.", instance.name, text::millis(micros as f64 / 1e3)),
        Err(_) => format!("The slow log of {} is off.", instance.name),
    };
    let cause = Cause::Absent { feature: "the slow log".into(), remedy: format!("CONFIG SET slowlog-log-slower-than {SLOW_MICROS}") };
    Err(Gap::new(Section::RedisSlowlog, cause, detail))
}

fn judge(instance: &Instance, command: &str, calls: &[&SlowEntry], window_s: f64, is_cut: bool) -> Option<Finding> {
    let micros: u64 = calls.iter().map(|e| e.micros).sum();
    let worst = calls.iter().map(|e| e.micros).max()?;
    let share = if window_s > 0.0 { (micros as f64 / 1e6 / window_s).min(1.0) } else { 0.0 };
    if worst < BLOCK_MEDIUM_MICROS && (share < SHARE_MIN || calls.len() < CALLS_MIN) {
        return None;
    }
    let by_block = match worst {
        w if w >= BLOCK_HIGH_MICROS => Severity::High,
        w if w >= BLOCK_MEDIUM_MICROS => Severity::Medium,
        _ => Severity::Low,
    };
    let owner = Owner::of(command, calls);
    let least = if is_cut { "at least " } else { "" };
    Some(Finding {
        subject: Subject::new("command", format!("{command} on {}", instance.name)),
        observed: format!(
            "{least}{} of {command} in {}, {} together and {} at most: {} of the time.{}",
            text::plural(calls.len() as u64, "slow call", "slow calls"),
            text::seconds(window_s),
            text::millis(micros as f64 / 1e3),
            text::millis(worst as f64 / 1e3),
            text::percent(share),
            owner.words()
        ),
        step: format!("Shorten {command} on {}", instance.name),
        evidence: evidence(instance, calls, share),
        severity: Severity::from_share(share).max(by_block),
        confidence: if calls.len() < CALLS_MIN { Confidence::Medium } else { Confidence::High },
        confidence_because: if calls.len() < CALLS_MIN { "one call in the window".into() } else { "timed by Redis over the window".into() },
        effort: Effort::Hours,
        cost: Cost { resource: Resource::RedisTime, share },
        gain: None,
        averts: None,
        remedies: owner.remedies(command),
        verify: format!("The slow log of the next audit's window names no {command}: SLOWLOG GET 128."),
        touches: touches(instance, command, calls),
    })
}

/// The command as other checks touch it.
pub fn touch(command: &str, instance: &Instance) -> String {
    format!("command:{command} on {}", instance.name)
}

fn touches(instance: &Instance, command: &str, calls: &[&SlowEntry]) -> Vec<String> {
    let mut touches = vec![touch(command, instance)];
    for pattern in calls.iter().filter_map(|e| e.pattern.as_ref()) {
        let keys = format!("keys:{}", pattern.replace('*', ""));
        if !touches.contains(&keys) {
            touches.push(keys);
        }
    }
    touches
}

fn evidence(instance: &Instance, calls: &[&SlowEntry], share: f64) -> Vec<Evidence> {
    let row = |e: &&SlowEntry| {
        vec![
            Cell::text(e.pattern.as_deref().unwrap_or("not told")),
            Cell::text(e.client_name.as_deref().unwrap_or("without a name")),
            Cell::number(e.micros as f64, text::millis(e.micros as f64 / 1e3)),
        ]
    };
    let mut slowest: Vec<&SlowEntry> = calls.to_vec();
    slowest.sort_by_key(|e| (std::cmp::Reverse(e.micros), e.id));
    let mut evidence = vec![
        Evidence::figure("Slow calls", calls.len() as f64, "calls", text::count(calls.len() as u64)),
        Evidence::figure("Share of the window", share, "ratio", text::percent(share)),
    ];
    if let Some(threshold) = instance.config().ok().and_then(|c| c.get("slowlog-log-slower-than")?.parse::<f64>().ok()) {
        evidence.push(Evidence::figure("Logged from", threshold / 1e3, "ms", text::millis(threshold / 1e3)));
    }
    evidence.push(Evidence::table("Slow log", &["pattern", "client", "time"], slowest.iter().take(8).map(row).collect()));
    evidence
}

/// Whose command it is, as far as its client's name tells.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Owner {
    /// BullMQ runs everything as scripts, on connections named after the queue in base 64.
    Queue(&'static str),
    /// A window onto Redis for people.
    Tool(String),
    Medusa,
    Store,
}

/// Medusa's queues as BullMQ names their connections.
const QUEUES: [(&str, &str); 4] = [
    ("bull:bWVkdXNhLXdvcmtmbG93cw==", "medusa-workflows"),
    ("bull:bWVkdXNhLXdvcmtmbG93cy1qb2Jz", "medusa-workflows-jobs"),
    ("bull:d29ya2Zsb3dzLWNsZWFuZXI=", "workflows-cleaner"),
    ("RedisEventBusService:ZXZlbnRzLXF1ZXVl", "events-queue"),
];
/// What programs for looking into Redis call themselves.
const TOOLS: [&str; 4] = ["redisinsight", "redis-insight", "redis-commander", "bullboard"];

impl Owner {
    fn of(command: &str, calls: &[&SlowEntry]) -> Self {
        let names = || calls.iter().filter_map(|e| e.client_name.as_deref());
        let queue = names().find_map(|n| QUEUES.iter().find(|(prefix, _)| n.starts_with(prefix)).map(|(_, queue)| *queue));
        let is_script = command.starts_with("EVAL");
        match (queue, names().find(|n| TOOLS.iter().any(|t| n.to_lowercase().contains(t)))) {
            (Some(queue), _) => Owner::Queue(queue),
            (None, _) if is_script && names().any(|n| n.starts_with("bull:") || n.starts_with("RedisEventBusService:")) => Owner::Queue("a queue"),
            (None, Some(tool)) => Owner::Tool(tool.to_owned()),
            (None, None) if names().any(|n| n.starts_with("medusa-cache-redis")) => Owner::Medusa,
            (None, None) => Owner::Store,
        }
    }

    fn words(&self) -> String {
        match self {
            Owner::Queue(queue) => format!(" It is BullMQ's, for {queue}."),
            Owner::Tool(tool) => format!(" It is sent by {tool}, a tool for people."),
            Owner::Medusa => " It is sent by Medusa's cache.".to_owned(),
            Owner::Store => String::new(),
        }
    }

    fn remedies(&self, command: &str) -> Vec<Remedy> {
        match self {
            Owner::Queue(_) => vec![
                remedy(
                    RemedyKind::MedusaConfig,
                    "Keep fewer finished jobs: scripts walk what is kept",
                    KEEP_FEWER,
                    "Older jobs can no longer be looked at.",
                ),
                remedy(
                    RemedyKind::Code,
                    "Keep job data small: pass ids, load the rest in the handler",
                    SMALL_EVENTS,
                    "Handlers make one query more.",
                ),
            ],
            Owner::Tool(_) => vec![remedy(
                RemedyKind::Shell,
                "Point it at a replica, and let it scan with a pattern",
                "# In the tool: host of a replica; a filter such as mc:* instead of *; a smaller scan count (500)",
                "A replica may be a second behind.",
            )],
            Owner::Medusa | Owner::Store => vec![by_command(command)],
        }
    }
}

fn by_command(command: &str) -> Remedy {
    let code = |label, text| remedy(RemedyKind::Code, label, text, "Members that come and go between two steps may be missed or met twice.");
    match command {
        "HGETALL" | "HKEYS" | "HVALS" => code("Read the fields that are needed, or walk the hash", HSCAN),
        "SMEMBERS" | "SUNION" | "SINTER" | "SDIFF" | "SORT" => code("Walk the set in steps", SSCAN),
        "LRANGE" | "ZRANGE" | "ZRANGEBYSCORE" | "ZREVRANGE" => code("Read a page at a time", RANGE),
        "DEL" => remedy(RemedyKind::Code, "Free large values in the background", UNLINK, "Memory is given back a moment later."),
        "SCAN" => remedy(RemedyKind::Code, "Take smaller steps", SCAN, "More round trips."),
        "EVAL" | "EVALSHA" | "FCALL" => {
            remedy(RemedyKind::Code, "Split the script", SCRIPT, "The steps are no longer one whole: check that nothing may come between them.")
        }
        "SAVE" => remedy(RemedyKind::Redis, "Take snapshots in the background", "BGSAVE", "The copy may need as much memory again."),
        _ => remedy(RemedyKind::Redis, "See what it was asked for", "SLOWLOG GET 20", SHOWS_ARGUMENTS),
    }
}

fn remedy(kind: RemedyKind, label: &str, text: &str, risk: &str) -> Remedy {
    Remedy { kind, label: label.into(), text: text.into(), lock: None, risk: risk.into(), undo: None }
}

const KEEP_FEWER: &str = r#"// medusa-config.ts
modules: [
  {
    resolve: "@medusajs/medusa/event-bus-redis",
    options: {
      redisUrl: process.env.REDIS_URL,
      jobOptions: { removeOnComplete: { count: 100 }, removeOnFail: { age: 7 * 24 * 3600, count: 1000 } },
    },
  },
],"#;

const SMALL_EVENTS: &str = r#"// Every field of the event is written to Redis, copied and parsed again
await eventBus.emit({ name: "product.imported", data: { ids } })"#;

const HSCAN: &str = r#"const [title, price] = await redis.hmget(key, "title", "price")
// or all of it, 500 fields at a time
for await (const fields of redis.hscanStream(key, { count: 500 })) await handle(fields)"#;

const SSCAN: &str = r#"for await (const members of redis.sscanStream(key, { count: 500 })) await handle(members)"#;

const RANGE: &str = r#"// 200 at a time instead of 0 … -1
for (let from = 0; ; from += 200) {
  const page = await redis.lrange(key, from, from + 199)
  if (!page.length) break
  await handle(page)
}"#;

const UNLINK: &str = r#"await redis.unlink(...keys) // instead of del"#;

const SCAN: &str = r#"for await (const keys of redis.scanStream({ match, count: 500 })) await handle(keys)"#;

const SCRIPT: &str = r#"// A script holds everything up until it returns: work on 500 elements a call and call again while it says there is more
let cursor = "0"
do {
  cursor = (await redis.evalsha(sha, 1, key, cursor, 500)) as string
} while (cursor !== "0")"#;
