//! `redis-job-backlog`: jobs come in faster than they are worked off.

use crate::checks::bullmq::{are_none, is_hidden, jobs, parts, subject, touch, unread};
use crate::checks::key_sample::{by_major, remedy};
use crate::checks::measures::over_instances;
use crate::checks::{Applies, Check};
use crate::evidence::redis::{Instance, Queue, Role};
use crate::evidence::{Cause, Gap, Layer, Section, Snapshot};
use crate::finding::{Confidence, Cost, Effort, Evidence, Finding, Remedy, RemedyKind, Resource, Severity, Subject};
use crate::text;

/// Waiting jobs that a burst (an import, a price list) leaves for a moment on every store.
const WAITING_MAX: u64 = 100;
/// Jobs by which the queue must have grown while it was watched …
const GROWN_MIN: f64 = 10.0;
/// … and the share of those that waited before: less is one more job or one less.
const GROWN_SHARE_MIN: f64 = 0.01;
/// Waiting jobs that no burst explains, whether they grow or not.
const WAITING_LARGE: u64 = 10_000;
/// Seconds in which a backlog that doubles is High: a day of it fills the memory.
const DOUBLES_S: f64 = 3_600.0;

pub static CHECK: Check = Check {
    id: "redis-job-backlog",
    layer: Layer::Redis,
    title: "Jobs come in faster than they are worked off",
    passed: "No queue grows behind its workers.",
    why: "Events and workflows wait longer every minute: e-mails, stock updates and search entries come late, and the waiting jobs fill the memory that carts and sessions need.",
    remedy: "Let the worker take more jobs at once, run one more worker, and make the slow subscribers faster.",
    method: "Waiting jobs (wait, paused, prioritized) above 100 that grew in the window by at least 10 and 1 %. High from 10,000, or where the backlog doubles within an hour. A backlog that stands still is Low from 10,000; a shrinking one passes. Read once only, it is judged from 10,000 on.",
    effort: Effort::Hours,
    references: &["https://docs.bullmq.io/guide/workers/concurrency", "https://docs.medusajs.com/resources/infrastructure-modules/event/redis"],
    needs: &[Section::RedisQueues],
    uses: &[Section::RedisKeys, Section::PgMedusa],
    symptom_of: &["redis-no-worker"],
    applies_to,
    evaluate,
};

fn applies_to(snapshot: &Snapshot) -> Result<Applies, Gap> {
    if snapshot.redis()?.instances.iter().all(are_none) {
        return Ok(Applies::No("no queues are in Redis".into()));
    }
    Ok(Applies::Yes)
}

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let major = snapshot.medusa().ok().map(|m| m.major);
    over_instances(snapshot, |instance| {
        let mut findings = Vec::new();
        let mut unknown = unread(instance);
        for queue in instance.queues()?.iter().filter(|q| q.waiting() > WAITING_MAX) {
            match trend(queue) {
                None => unknown = Some(once_gap(instance, queue)),
                Some(Trend::Passing) => {}
                Some(trend) => findings.push(finding(instance, queue, trend, major)),
            }
        }
        match unknown {
            Some(gap) if findings.is_empty() => Err(gap),
            _ => Ok(findings),
        }
    })
}

/// Where the backlog is going.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Trend {
    /// Jobs a second.
    Grows(f64),
    StandsStill,
    /// Read once, and too many for a burst.
    Large,
    /// Being worked off, or a burst that is not over.
    Passing,
}

fn trend(queue: &Queue) -> Option<Trend> {
    let is_large = queue.waiting() >= WAITING_LARGE;
    let Some((growth, (_, before))) = queue.growth_per_s().zip(queue.before) else {
        return is_large.then_some(Trend::Large);
    };
    let noise = GROWN_MIN.max(before.waiting() as f64 * GROWN_SHARE_MIN);
    let grown = queue.waiting() as f64 - before.waiting() as f64;
    Some(match () {
        () if grown >= noise => Trend::Grows(growth),
        () if is_large && grown > -noise => Trend::StandsStill,
        () => Trend::Passing,
    })
}

fn once_gap(instance: &Instance, queue: &Queue) -> Gap {
    let cause = Cause::TooFew { have: 1, need: 2, what: "readings of the queue".into() };
    let waiting = text::plural(queue.waiting(), "job waits", "jobs wait");
    Gap::new(
        Section::RedisQueues,
        cause,
        format!("{waiting} in {} on {}; read once only, whether they grow is not known.", queue.name, instance.name),
    )
}

fn finding(instance: &Instance, queue: &Queue, trend: Trend, major: Option<u8>) -> Finding {
    let waiting = queue.waiting();
    let severity = severity(waiting, trend);
    let words = match trend {
        Trend::Grows(per_s) => format!("{} more", text::per_second(per_s)),
        Trend::StandsStill => "and they get no fewer".into(),
        _ => "more than a burst leaves behind".into(),
    };
    let paused = if queue.now.paused > 0 { " The queue is paused." } else { "" };
    let oldest = oldest_s(instance, queue);
    let age = oldest.map_or_else(String::new, |s| format!(" The oldest job seen was not touched for {}.", text::seconds(s as f64)));
    let (confidence, because) = match trend {
        Trend::Large => (Confidence::Low, "the lengths were read once only".to_owned()),
        _ => (Confidence::High, format!("lengths read {} apart", text::seconds(queue.before.map_or(0.0, |(s, _)| s)))),
    };
    Finding {
        subject: Subject::new("key_pattern", subject(instance, queue)),
        observed: format!("{} in {}, {words}.{paused}{age}", text::plural(waiting, "job waits", "jobs wait"), queue.name),
        step: format!("Work off {} faster", queue.name),
        evidence: evidence(queue, oldest),
        severity,
        confidence,
        confidence_because: because,
        effort: Effort::Hours,
        cost: Cost { resource: Resource::Risk, share: weight(severity) },
        gain: None,
        averts: Some("late events and jobs".into()),
        remedies: remedies(queue, major),
        verify: format!("In the next audit's window the waiting jobs of {} shrink, or are fewer than {WAITING_MAX}.", queue.name),
        touches: vec![touch(queue)],
    }
}

fn severity(waiting: u64, trend: Trend) -> Severity {
    match trend {
        Trend::Grows(per_s) if waiting >= WAITING_LARGE || waiting as f64 / per_s <= DOUBLES_S && waiting >= 10 * WAITING_MAX => Severity::High,
        Trend::Grows(_) => Severity::Medium,
        _ => Severity::Low,
    }
}

fn weight(severity: Severity) -> f64 {
    match severity {
        Severity::High => 0.35,
        Severity::Medium => 0.15,
        _ => 0.03,
    }
}

/// Seconds since the longest untouched job hash was used: none of the jobs is older than the oldest, so the oldest waits at least as long.
fn oldest_s(instance: &Instance, queue: &Queue) -> Option<u64> {
    // Kept jobs are older than waiting ones; their age says nothing of the backlog.
    let is_mixed = queue.now.completed + queue.now.failed > 0;
    let keys = instance.keys().ok().filter(|_| !is_mixed)?;
    jobs(keys, queue).filter_map(|p| p.idle_s_max).max()
}

fn evidence(queue: &Queue, oldest_s: Option<u64>) -> Vec<Evidence> {
    let now = &queue.now;
    let mut evidence: Vec<Evidence> =
        [("Waiting", now.wait), ("Prioritized", now.prioritized), ("Paused", now.paused), ("Active", now.active), ("Delayed", now.delayed)]
            .into_iter()
            .map(|(label, n)| Evidence::figure(label, n as f64, "jobs", text::count(n)))
            .collect();
    if let Some((seconds, before)) = &queue.before {
        let label = format!("Waiting {} before", text::seconds(*seconds));
        evidence.push(Evidence::figure(&label, before.waiting() as f64, "jobs", text::count(before.waiting())));
    }
    if let Some(age) = oldest_s {
        evidence.push(Evidence::figure("Oldest job seen", age as f64, "s", text::seconds(age as f64)));
    }
    evidence
}

fn remedies(queue: &Queue, major: Option<u8>) -> Vec<Remedy> {
    const RISK: &str = "More jobs at once need more database connections and may run out of order. Raise the pool with it.";
    let label = "Let the worker take more jobs at once";
    let (prefix, own) = parts(queue);
    let mut remedies = vec![match queue.role {
        Role::EventBus => remedy(RemedyKind::MedusaConfig, label, by_major(major, EVENTS_V2, EVENTS_V1), RISK),
        Role::Workflows => remedy(RemedyKind::MedusaConfig, label, WORKFLOWS, RISK),
        _ => {
            let own = if is_hidden(queue) { "QUEUE" } else { own };
            let prefix = if prefix == "bull" { String::new() } else { format!(" prefix: \"{prefix}\",") };
            remedy(RemedyKind::Code, label, format!("new Worker(\"{own}\", handle, {{{prefix} connection, concurrency: 10 }})"), RISK)
        }
    }];
    if queue.role != Role::Queue {
        let text = "MEDUSA_WORKER_MODE=worker DISABLE_MEDUSA_ADMIN=true npx medusa start --port 9002";
        remedies.push(remedy(RemedyKind::Shell, "Or run one more worker", text, "Each instance opens its own pool of database connections."));
    }
    remedies
}

const EVENTS_V2: &str = r#"// medusa-config.ts (v2)
modules: [
  {
    resolve: "@medusajs/medusa/event-bus-redis",
    options: { redisUrl: process.env.REDIS_URL, workerOptions: { concurrency: 10 } },
  },
],"#;

const EVENTS_V1: &str = r#"// medusa-config.js (v1)
modules: {
  eventBus: {
    resolve: "@medusajs/event-bus-redis",
    options: { redisUrl: process.env.REDIS_URL, workerOptions: { concurrency: 10 } },
  },
},"#;

const WORKFLOWS: &str = r#"// medusa-config.ts (v2)
modules: [
  {
    resolve: "@medusajs/medusa/workflow-engine-redis",
    options: { redis: { redisUrl: process.env.REDIS_URL, workerOptions: { concurrency: 10 } } },
  },
],"#;
