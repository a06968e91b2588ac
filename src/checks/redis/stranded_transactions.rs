//! `redis-stranded-transactions`: checkpoints of workflows that nobody goes on with.

use crate::checks::bullmq::CHECKPOINTS;
use crate::checks::key_sample::{
    about_bytes_within, bytes_of, confidence, error_of, keys_of, memory_severity, memory_share, remedy, too_few_sampled, touches, unseen_max,
};
use crate::checks::measures::over_instances;
use crate::checks::{Applies, Check};
use crate::evidence::redis::{Instance, KeySample, Pattern};
use crate::evidence::{Cause, Gap, Layer, Section, Snapshot};
use crate::finding::{Basis, Cell, Confidence, Cost, Effort, Evidence, Finding, Gain, Remedy, RemedyKind, Resource, Severity, Subject};
use crate::text;

/// Workflows that wait for an answer from outside (a payment, a warehouse) rest for hours on every store that has such.
const RESTING_FEW: u64 = 20;
/// Checkpoints that no store keeps waiting on purpose.
const RESTING_MANY: u64 = 1_000;
/// Seconds without use from which the longest resting one no longer waits for a shopper to pay.
const IDLE_S_MIN: u64 = 4 * 3_600;

pub static CHECK: Check = Check {
    id: "redis-stranded-transactions",
    layer: Layer::Redis,
    title: "Workflows were begun and never ended",
    passed: "No workflow's checkpoint has been resting for hours in numbers.",
    why: "Medusa keeps the state of a running workflow in Redis and takes it away at the end. What rests for hours was cut off by a crash or waits for a worker that is not there: an order or a payment may be half done, and its 25 kB stay for ever.",
    remedy: "Find out which workflows they are, make sure that a worker runs, then finish or cancel them; take away what is older than any of them may run.",
    method: "Checkpoints (dtrx: keys without a lifetime) of the sample that were not touched for an hour (OBJECT IDLETIME), scaled to all: from 20 on, where the longest has rested for four hours. Medium from 1,000 or by their share of memory. Fewer may be workflows that wait for an answer from outside.",
    effort: Effort::Hours,
    references: &[
        "https://docs.medusajs.com/learn/fundamentals/workflows/long-running-workflow",
        "https://docs.medusajs.com/resources/infrastructure-modules/workflow-engine/redis",
    ],
    needs: &[Section::RedisKeys],
    uses: &[Section::RedisServer],
    symptom_of: &["redis-no-worker"],
    applies_to,
    evaluate,
};

fn applies_to(snapshot: &Snapshot) -> Result<Applies, Gap> {
    for instance in &snapshot.redis()?.instances {
        match instance.keys() {
            Ok(keys) if !keys.patterns.iter().any(is_checkpoint) && unseen_max(keys) < RESTING_MANY => {}
            _ => return Ok(Applies::Yes),
        }
    }
    Ok(Applies::No("no workflow's checkpoint is in Redis".into()))
}

/// `dtrx:<workflow>:<transaction>`; its short-lived lock is another key.
fn is_checkpoint(pattern: &Pattern) -> bool {
    pattern.pattern.starts_with("dtrx:") && !pattern.pattern.ends_with(":lock") && pattern.kind == "string" && pattern.without_ttl > 0
}

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    over_instances(snapshot, |instance| {
        let keys = instance.keys()?;
        let all: Vec<&Pattern> = keys.patterns.iter().filter(|p| is_checkpoint(p)).collect();
        if all.is_empty() && unseen_max(keys) >= RESTING_MANY {
            return Err(too_few_sampled(instance, keys, RESTING_MANY, "a workflow's checkpoint"));
        }
        if keys_of(all.iter().copied()) < RESTING_FEW {
            return Ok(Vec::new());
        }
        if all.iter().all(|p| p.idle_s_max.is_none()) {
            return Err(idle_gap(instance));
        }
        Ok(judge(instance, keys, &all).into_iter().collect())
    })
}

fn idle_gap(instance: &Instance) -> Gap {
    let policy = instance.server().ok().and_then(|s| s.maxmemory_policy.as_deref()).filter(|p| p.ends_with("-lfu"));
    let (cause, why) = match policy {
        Some(policy) => {
            let remedy = "Set maxmemory-policy to noeviction: workflows need it, and idle times are kept again.".to_owned();
            (Cause::Absent { feature: "idle times of keys".into(), remedy }, format!("keeps no idle times under {policy}"))
        }
        None => {
            let grant = "ACL SETUSER advisor ~* +object|idletime".to_owned();
            (Cause::Denied { grant }, "did not answer OBJECT IDLETIME".to_owned())
        }
    };
    Gap::new(Section::RedisKeys, cause, format!("{} {why}, so how long workflows have been resting cannot be told.", instance.name))
}

/// Checkpoints of a family that rested for an hour: of all where those that were asked can stand for them, else those seen.
fn resting(pattern: &Pattern) -> u64 {
    let lasting = pattern.without_ttl as f64 / pattern.keys.max(1) as f64;
    let asked = if pattern.idle_keys > 0 { pattern.idle_keys } else { pattern.measured };
    let scale = if asked >= pattern.idle_over_hour && asked > 0 { pattern.keys_estimate as f64 / asked as f64 } else { 1.0 };
    (pattern.idle_over_hour as f64 * lasting * scale).round() as u64
}

fn judge(instance: &Instance, keys: &KeySample, all: &[&Pattern]) -> Option<Finding> {
    let count: u64 = all.iter().map(|p| resting(p)).sum();
    let longest = all.iter().filter_map(|p| p.idle_s_max).max()?;
    if count < RESTING_FEW || longest < IDLE_S_MIN {
        return None;
    }
    let total = keys_of(all.iter().copied());
    let part = (count as f64 / total.max(1) as f64).min(1.0);
    let bytes = bytes_of(all.iter().copied()).map(|b| (b as f64 * part) as u64);
    let error = error_of(all.iter().copied()).map(|e| (e as f64 * part) as u64);
    let share = memory_share(bytes, instance.server().ok());
    let by_count = if count >= RESTING_MANY { Severity::Medium } else { Severity::Low };
    let severity = memory_severity(share, bytes).max(by_count);
    let (confidence, because) = match severity {
        Severity::Low => (Confidence::Low, "they may wait for an answer from outside on purpose".to_owned()),
        _ => confidence(keys),
    };
    Some(Finding {
        subject: Subject::new("key_pattern", format!("dtrx:* in {}", instance.name)),
        observed: format!(
            "{} of {} in {} were not touched for an hour, the longest for {}{}.",
            text::count(count),
            text::plural(total, "workflow checkpoint", "workflow checkpoints"),
            instance.name,
            text::seconds(longest as f64),
            about_bytes_within(bytes, error)
        ),
        step: "Finish or cancel the workflows that rest".into(),
        evidence: evidence(all, count, longest),
        severity,
        confidence,
        confidence_because: because,
        effort: Effort::Hours,
        cost: Cost { resource: Resource::Memory, share },
        gain: bytes.map(|b| Gain { memory_bytes: Some(b), ..Gain::new(Basis::Modelled, format!("{} of Redis memory", text::bytes_memory(b))) }),
        averts: Some("orders and payments left half done".into()),
        remedies: remedies(all),
        verify: format!("The next audit finds fewer than {RESTING_FEW} checkpoints that rested for an hour."),
        touches: touches(all.iter().copied()).into_iter().chain([CHECKPOINTS.to_owned()]).collect(),
    })
}

fn evidence(all: &[&Pattern], count: u64, longest: u64) -> Vec<Evidence> {
    let row = |p: &&Pattern| {
        vec![
            Cell::text(&p.pattern),
            Cell::number(p.keys_estimate as f64, text::count(p.keys_estimate)),
            Cell::number(resting(p) as f64, text::count(resting(p))),
            p.idle_s_max.map_or_else(|| Cell::text("not told"), |s| Cell::number(s as f64, text::seconds(s as f64))),
        ]
    };
    vec![
        Evidence::figure("Not touched for an hour", count as f64, "keys", text::count(count)),
        Evidence::figure("Longest rest", longest as f64, "s", text::seconds(longest as f64)),
        Evidence::table("By workflow", &["pattern", "checkpoints", "resting", "longest"], all.iter().map(row).collect()),
    ]
}

fn remedies(all: &[&Pattern]) -> Vec<Remedy> {
    let mut databases: Vec<u32> = all.iter().map(|p| p.database).collect();
    databases.sort_unstable();
    databases.dedup();
    // A lifetime instead of a removal: a workflow that goes on after all writes its checkpoint anew, without one.
    let line = |d: &u32| {
        format!(
            "redis-cli -u \"$REDIS_URL\" -n {d} --scan --pattern 'dtrx:*' | while read -r key; do\n  idle=$(redis-cli -u \"$REDIS_URL\" -n {d} OBJECT IDLETIME \"$key\")\n  \
             [ \"${{idle:-0}}\" -ge {} ] && redis-cli -u \"$REDIS_URL\" -n {d} EXPIRE \"$key\" {EXPIRE_S} > /dev/null\ndone; true",
            OLD_S
        )
    };
    vec![
        remedy(
            RemedyKind::Sql,
            "See which they are and in what state",
            EXECUTIONS,
            "Reads only. Cancel or finish each in Medusa Admin → Settings → Workflows.",
        ),
        remedy(
            RemedyKind::Shell,
            "Then let those that rested for three days expire within one more",
            databases.iter().map(line).collect::<Vec<_>>().join("\n"),
            "A workflow that is asked to go on after that starts from the database or not at all. One that goes on before keeps its state.",
        ),
    ]
}

/// Seconds of rest from which a checkpoint is older than what Medusa itself keeps of a completed cart: three days.
const OLD_S: u64 = 3 * 86_400;
/// Seconds they are left: a day to stop it with PERSIST.
const EXPIRE_S: u64 = 86_400;

const EXECUTIONS: &str = "select workflow_id, state, count(*), min(created_at) as oldest
from workflow_execution
where state not in ('done', 'failed', 'reverted') and deleted_at is null
group by workflow_id, state
order by count(*) desc;";
