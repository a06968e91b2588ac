//! `redis-latency-spikes`: moments in which Redis answered nobody, with what it was busy with.

use time::OffsetDateTime;

use crate::checks::measures::over_instances;
use crate::checks::redis_latency::{Cause as Reason, is_part_of_another};
use crate::checks::redis_settings::{config, setting};
use crate::checks::{Check, always};
use crate::evidence::redis::{Instance, LatencyEvent, SlowEntry};
use crate::evidence::{Cause, Gap, Layer, Section, Snapshot};
use crate::finding::{Cell, Confidence, Cost, Effort, Evidence, Finding, Resource, Severity, Subject};
use crate::text;

/// A third of the guide's P95 in one stop; the threshold that Redis' own documentation starts with.
const SPIKE_MS: u64 = 100;
/// Every request of that second waits: shoppers see it.
const SPIKE_LONG_MS: u64 = 1_000;
/// An older event says nothing of today's store.
const RECENT_S: i64 = 6 * 3_600;
/// An entry of the slow log is the same moment when its time is this close …
const SAME_MOMENT_S: i64 = 2;
/// … and its length differs by no more than this share.
const SAME_LENGTH: f64 = 0.2;

pub static CHECK: Check = Check {
    id: "redis-latency-spikes",
    layer: Layer::Redis,
    title: "Redis stopped answering for moments",
    passed: "Redis' latency monitor saw no stop of 100 ms in the last six hours.",
    why: "Redis works on one thing at a time. While it frees a large key, forks to save, or waits for a disk, every request of the store that needs it waits too.",
    remedy: "Take away what the event names: a slow command, many keys expiring at once, a save on a machine with little memory, a slow disk.",
    method: "LATENCY LATEST: the last event of each kind, of 100 ms or more and not older than six hours; the worst ever seen of a kind has no date and decides nothing. Low, \
             Medium from one second on, one step more when it lies in the window. Without an event the monitor must be on (latency-monitor-threshold between 1 and 100).",
    effort: Effort::Hours,
    references: &["https://redis.io/docs/latest/operate/oss_and_stack/management/optimization/latency-monitor/"],
    needs: &[Section::RedisLatency],
    // Whether the monitor is on at all decides what no event means.
    uses: &[Section::RedisConfig, Section::RedisSlowlog, Section::RedisServer],
    symptom_of: &["redis-keys-command", "redis-slow-commands"],
    applies_to: always,
    evaluate,
};

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let now = snapshot.meta.taken_at.unix_timestamp();
    over_instances(snapshot, |instance| {
        let events = instance.latency()?;
        let spikes: Vec<&LatencyEvent> = events.iter().filter(|e| is_spike(e, now)).collect();
        if spikes.is_empty() {
            return monitor(instance).map(|()| Vec::new());
        }
        let whole = |e: &&LatencyEvent| !is_part_of_another(&e.name, &spikes);
        Ok(spikes.iter().copied().filter(whole).map(|event| finding(instance, event, now, snapshot.meta.window_s)).collect())
    })
}

fn is_spike(event: &LatencyEvent, now: i64) -> bool {
    event.last_ms >= SPIKE_MS && now - event.at <= RECENT_S
}

/// That the monitor watches; otherwise no event says nothing.
fn monitor(instance: &Instance) -> Result<(), Gap> {
    config(instance, "latency-monitor-threshold")?;
    let threshold: u64 = setting(instance, "latency-monitor-threshold")?
        .parse()
        .map_err(|_| Gap::new(Section::RedisConfig, Cause::Unreadable, "latency-monitor-threshold is no number."))?;
    let remedy = format!("CONFIG SET latency-monitor-threshold {SPIKE_MS}");
    let absent = |detail: String| {
        let cause = Cause::Absent { feature: "the latency monitor".into(), remedy: remedy.clone() };
        Err(Gap::new(Section::RedisLatency, cause, detail))
    };
    match threshold {
        0 => absent(format!("The latency monitor of {} is off, which is the default: its stops are not recorded.", instance.name)),
        t if t > SPIKE_MS => absent(format!("The latency monitor of {} records stops from {} on only.", instance.name, text::millis(t as f64))),
        _ => Ok(()),
    }
}

fn finding(instance: &Instance, event: &LatencyEvent, now: i64, window_s: f64) -> Finding {
    let reason = Reason::of(&event.name);
    let slow = (event.name == "command" || event.name == "fast-command").then(|| same_moment(instance, event)).flatten();
    let in_window = (now - event.at) as f64 <= window_s;
    let span_s = if in_window && window_s > 0.0 { window_s } else { RECENT_S as f64 };
    let named = slow.map_or_else(String::new, |e| format!(" The slow log names {} at that moment.", e.command));
    Finding {
        subject: Subject::new("event", format!("{} on {}", event.name, instance.name)),
        observed: format!(
            "{} answered nobody for {} {}: {}, {}.{named}",
            instance.name,
            text::millis(event.last_ms as f64),
            when(event.at, now),
            event.name,
            reason.what()
        ),
        step: format!("{} ({})", reason.step(), instance.name),
        evidence: evidence(instance, event, slow),
        severity: severity(event, in_window),
        confidence: if slow.is_some() { Confidence::High } else { Confidence::Medium },
        confidence_because: if slow.is_some() {
            "recorded by the latency monitor and by the slow log".into()
        } else {
            "the last event of its kind; how often it comes is not told".into()
        },
        effort: Effort::Hours,
        cost: Cost { resource: Resource::RedisTime, share: (event.last_ms as f64 / 1e3 / span_s).min(1.0) },
        gain: None,
        averts: None,
        remedies: reason.remedies(instance.server().ok()),
        verify: format!("LATENCY RESET {}, then after a busy hour LATENCY LATEST no longer lists it.", event.name),
        touches: slow.map_or_else(Vec::new, |e| touches(instance, e)),
    }
}

/// What the checks on commands touch as well.
fn touches(instance: &Instance, entry: &SlowEntry) -> Vec<String> {
    let pattern = entry.pattern.as_ref().map(|p| format!("keys:{}", p.replace('*', "")));
    [super::slow_commands::touch(&entry.command, instance)].into_iter().chain(pattern).collect()
}

fn severity(event: &LatencyEvent, in_window: bool) -> Severity {
    match (event.last_ms >= SPIKE_LONG_MS, in_window) {
        (true, true) => Severity::High,
        (true, false) | (false, true) => Severity::Medium,
        (false, false) => Severity::Low,
    }
}

fn when(at: i64, now: i64) -> String {
    let (Ok(then), Ok(now)) = (OffsetDateTime::from_unix_timestamp(at), OffsetDateTime::from_unix_timestamp(now)) else {
        return "lately".to_owned();
    };
    let day = if then.date() == now.date() { String::new() } else { format!(" on {}", text::date(then)) };
    format!("at {}{}UTC{day}", text::clock(then), text::NBSP)
}

/// The command that was running: an entry of the slow log of the same second and length.
fn same_moment<'i>(instance: &'i Instance, event: &LatencyEvent) -> Option<&'i SlowEntry> {
    let length = event.last_ms as f64;
    let is_same = |e: &&SlowEntry| (e.at - event.at).abs() <= SAME_MOMENT_S && (e.micros as f64 / 1e3 - length).abs() <= length * SAME_LENGTH;
    instance.slowlog().ok()?.iter().find(is_same)
}

fn evidence(instance: &Instance, event: &LatencyEvent, slow: Option<&SlowEntry>) -> Vec<Evidence> {
    let mut evidence = vec![
        Evidence::text("Event", &*event.name),
        Evidence::figure("Last", event.last_ms as f64, "ms", text::millis(event.last_ms as f64)),
        Evidence::figure("Worst since the monitor was reset, at a time not told", event.max_ms as f64, "ms", text::millis(event.max_ms as f64)),
    ];
    if let Some(threshold) = instance.config().ok().and_then(|c| c.get("latency-monitor-threshold")) {
        evidence.push(Evidence::text("latency-monitor-threshold", format!("{threshold} ms")));
    }
    if let Some(entry) = slow {
        let row = vec![
            Cell::text(&entry.command),
            Cell::text(entry.client_name.as_deref().unwrap_or("without a name")),
            Cell::number(entry.micros as f64, text::millis(entry.micros as f64 / 1e3)),
        ];
        evidence.push(Evidence::table("Slow log at that moment", &["command", "client", "time"], vec![row]));
    }
    evidence
}
