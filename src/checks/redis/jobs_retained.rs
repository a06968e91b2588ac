//! `redis-jobs-retained`: finished jobs that nobody looks at fill Redis.

use crate::checks::bullmq::{are_none, held, is_hidden, jobs, open_queue, subject, touch, unread};
use crate::checks::key_sample::{UPDATE_RISK, about_bytes, by_major, memory_severity, memory_share, remedy, update_medusa};
use crate::checks::measures::over_instances;
use crate::checks::{Applies, Check};
use crate::evidence::redis::{Instance, KeySample, Pattern, Queue, Role};
use crate::evidence::{Gap, Layer, Section, Snapshot};
use crate::finding::{Basis, Confidence, Cost, Effort, Evidence, Finding, Gain, Remedy, RemedyKind, Resource, Subject};
use crate::text;

/// Finished jobs worth keeping to look into what went wrong.
const KEPT_MAX: u64 = 1_000;
/// Medusa's scheduled jobs are kept on purpose: the newest 1,000 that went well, the newest 5,000 that failed.
const SCHEDULED_FAILED_MAX: u64 = 5_000;
/// Job hashes that belong to no part of their queue, from which they are no job in flight between two of our commands.
const LOOSE_MAX: u64 = 1_000;
/// Jobs one run of the cleaning takes away, so that it ends in seconds.
const CLEAN_MAX: u64 = 50_000;
/// Two standard errors of a drawn count: 95 %.
const ERRORS: f64 = 2.0;

pub static CHECK: Check = Check {
    id: "redis-jobs-retained",
    layer: Layer::Redis,
    title: "Finished jobs are kept and fill Redis",
    passed: "Queues keep no more than a thousand finished jobs.",
    why: "BullMQ keeps finished jobs for ever unless it is told not to. Each is a key of one to fifteen kilobytes that nobody reads; stores were seen with 1.3 million of them and 3.8 GB. Kept failed jobs also say that a subscriber keeps failing.",
    remedy: "Tell the queue how many finished jobs to keep (removeOnComplete, removeOnFail), and clean the present ones once.",
    method: "Completed and failed jobs of each queue, more than 1,000 of either (Medusa keeps 1,000 and 5,000 of its scheduled jobs on purpose), and more than 1,000 job hashes of the sample, less its error, that no part of the queue names. The stream of events is capped by BullMQ and left out. Severity by the share of memory, Low below 32 MiB.",
    effort: Effort::Minutes,
    references: &[
        "https://docs.bullmq.io/guide/queues/auto-removal-of-jobs",
        "https://docs.medusajs.com/resources/infrastructure-modules/event/redis",
        "https://github.com/medusajs/medusa/issues/14078",
    ],
    needs: &[Section::RedisQueues, Section::RedisKeys],
    uses: &[Section::RedisServer, Section::PgMedusa],
    symptom_of: &[],
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
        let (queues, keys) = (instance.queues()?, instance.keys()?);
        let findings: Vec<Finding> = queues.iter().filter_map(|q| judge(instance, queues, keys, q, major)).collect();
        match unread(instance) {
            Some(gap) if findings.is_empty() => Err(gap),
            _ => Ok(findings),
        }
    })
}

/// What a queue keeps.
struct Kept {
    completed: u64,
    failed: u64,
    /// Job hashes that no part names, at least.
    loose: u64,
    /// Bytes of a job hash, on average.
    job_bytes: Option<u64>,
}

impl Kept {
    fn jobs(&self) -> u64 {
        self.completed + self.failed + self.loose
    }
}

fn judge(instance: &Instance, queues: &[Queue], keys: &KeySample, queue: &Queue, major: Option<u8>) -> Option<Finding> {
    let (completed_max, failed_max) = match queue.name.as_str() {
        "bull:medusa-workflows-jobs" => (KEPT_MAX, SCHEDULED_FAILED_MAX),
        _ => (KEPT_MAX, KEPT_MAX),
    };
    let over = |n: u64, max: u64| if n > max { n } else { 0 };
    let loose = loose(queues, keys, queue);
    let kept = Kept {
        completed: over(queue.now.completed, completed_max),
        failed: over(queue.now.failed, failed_max),
        loose: over(loose, LOOSE_MAX),
        job_bytes: job_bytes(jobs(keys, queue)),
    };
    (kept.jobs() > 0).then(|| finding(instance, keys, queue, &kept, major))
}

/// Job hashes that are there beyond those that the queue's parts name, less the error of the sample.
fn loose(queues: &[Queue], keys: &KeySample, queue: &Queue) -> u64 {
    // Queues whose names are not kept share one pattern.
    let alike = queues.iter().filter(|q| q.database == queue.database && q.name == queue.name);
    let named: u64 = alike.map(|q| held(&q.now)).sum();
    let least: f64 = jobs(keys, queue)
        .map(|p| {
            let error = if keys.is_complete { 0.0 } else { ERRORS / (p.keys.max(1) as f64).sqrt() };
            p.keys_estimate as f64 * (1.0 - error).max(0.0)
        })
        .sum();
    (least as u64).saturating_sub(named)
}

fn job_bytes<'a>(jobs: impl Iterator<Item = &'a Pattern>) -> Option<u64> {
    let measured: Vec<(u64, u64)> = jobs.filter_map(|p| Some((p.bytes_estimate?, p.keys_estimate))).collect();
    let keys: u64 = measured.iter().map(|(_, k)| k).sum();
    (keys > 0).then(|| measured.iter().map(|(b, _)| b).sum::<u64>() / keys)
}

fn finding(instance: &Instance, keys: &KeySample, queue: &Queue, kept: &Kept, major: Option<u8>) -> Finding {
    let server = instance.server().ok();
    let bytes = kept.job_bytes.map(|b| b * kept.jobs());
    let share = memory_share(bytes, server);
    let (confidence, because) = match (kept.loose, keys.is_complete) {
        (1.., false) => (Confidence::Medium, "job hashes extrapolated from the sample, less its error"),
        _ => (Confidence::High, "lengths read from the queue itself"),
    };
    let parts = [(kept.completed, "completed"), (kept.failed, "failed"), (kept.loose, "in no part of the queue")];
    let words: Vec<String> = parts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{} {what}", text::count(*n))).collect();
    Finding {
        subject: Subject::new("key_pattern", subject(instance, queue)),
        observed: format!(
            "{} keeps {}: {}{}.",
            queue.name,
            text::plural(kept.jobs(), "finished job", "finished jobs"),
            words.join(", "),
            about_bytes(bytes)
        ),
        step: format!("Keep fewer finished jobs in {}", queue.name),
        evidence: evidence(queue, kept, bytes),
        severity: memory_severity(share, bytes),
        confidence,
        confidence_because: because.into(),
        effort: Effort::Minutes,
        cost: Cost { resource: Resource::Memory, share },
        gain: bytes.map(|b| Gain { memory_bytes: Some(b), ..Gain::new(Basis::Modelled, format!("{} of Redis memory", text::bytes_memory(b))) }),
        averts: None,
        remedies: remedies(queue, kept, major),
        verify: format!("redis-cli ZCARD {0}:failed and ZCARD {0}:completed answer {KEPT_MAX} or fewer.", queue.name),
        touches: std::iter::once(touch(queue)).chain(jobs(keys, queue).take(4).map(|p| format!("keys:{}", p.pattern))).collect(),
    }
}

fn evidence(queue: &Queue, kept: &Kept, bytes: Option<u64>) -> Vec<Evidence> {
    let mut evidence = vec![
        Evidence::figure("Completed", queue.now.completed as f64, "jobs", text::count(queue.now.completed)),
        Evidence::figure("Failed", queue.now.failed as f64, "jobs", text::count(queue.now.failed)),
        Evidence::figure("Job hashes in no part of the queue", kept.loose as f64, "keys", text::count(kept.loose)),
        Evidence::figure("Waiting", queue.waiting() as f64, "jobs", text::count(queue.waiting())),
    ];
    if let Some((bytes, each)) = bytes.zip(kept.job_bytes) {
        evidence.push(Evidence::figure("Bytes a job", each as f64, "bytes", text::bytes_memory(each)));
        evidence.push(Evidence::figure("Memory they take", bytes as f64, "bytes", text::bytes_memory(bytes)));
    }
    evidence
}

fn remedies(queue: &Queue, kept: &Kept, major: Option<u8>) -> Vec<Remedy> {
    const RISK: &str = "Counts for jobs added from now on. What is removed can no longer be retried.";
    let label = "Keep the newest thousand";
    let mut remedies = vec![match (queue.role, queue.name.as_str()) {
        (Role::EventBus, _) => remedy(RemedyKind::MedusaConfig, label, by_major(major, EVENTS_V2, EVENTS_V1), RISK),
        (_, "bull:medusa-workflows-jobs") => remedy(
            RemedyKind::Shell,
            "Update Medusa: newer versions limit scheduled jobs themselves",
            update_medusa(Some("@medusajs/workflow-engine-redis")),
            UPDATE_RISK,
        ),
        (Role::Workflows, _) => remedy(RemedyKind::MedusaConfig, label, WORKFLOWS, RISK),
        _ => remedy(RemedyKind::Code, label, OWN, RISK),
    }];
    let parts: Vec<&str> = [(kept.completed, "completed"), (kept.failed, "failed")].iter().filter(|(n, _)| *n > 0).map(|(_, part)| *part).collect();
    if !parts.is_empty() {
        remedies.push(script(queue, &parts));
    }
    if !parts.is_empty() && !is_hidden(queue) {
        remedies.push(shell(queue, &parts));
    }
    remedies
}

/// BullMQ's own cleaning: it also takes logs and locks of each job away.
fn script(queue: &Queue, parts: &[&str]) -> Remedy {
    let cleans: Vec<String> =
        parts.iter().map(|p| format!("  console.log((await queue.clean(24 * 3600 * 1000, {CLEAN_MAX}, \"{p}\")).length, \"{p}\")")).collect();
    let text = format!(
        "// clean-jobs.cjs in the project's folder; REDIS_URL=… node clean-jobs.cjs\n{}\n\n\
         const main = async () => {{\n  // at most {} a run, those that finished more than a day ago\n{}\n  await queue.close()\n  connection.disconnect()\n}}\nmain()",
        open_queue(queue),
        text::count(CLEAN_MAX),
        cleans.join("\n")
    );
    remedy(
        RemedyKind::Code,
        "Clean the present ones once with BullMQ",
        text,
        "The jobs are gone. Look at a few failed ones first: failedReason says why.",
    )
}

/// The same without Node: the oldest beyond the newest thousand, in steps of one job.
fn shell(queue: &Queue, parts: &[&str]) -> Remedy {
    let (name, database) = (&queue.name, queue.database);
    let cli = format!("redis-cli -u \"$REDIS_URL\" -n {database}");
    let lines: Vec<String> = parts
        .iter()
        .map(|part| {
            format!(
                "{cli} ZRANGE {name}:{part} 0 -{} | head -n {CLEAN_MAX} | sed 's|.*|ZREM {name}:{part} \"&\"\\nUNLINK \"{name}:&\" \"{name}:&:logs\"|' | {cli} > /dev/null",
                KEPT_MAX + 1
            )
        })
        .collect();
    let risk = "The jobs are gone but for the newest thousand. Runs in small steps; run it again where more than 50,000 are kept. Needs GNU sed.";
    remedy(RemedyKind::Shell, "Or with redis-cli, all but the newest thousand", lines.join("\n"), risk)
}

const EVENTS_V2: &str = r#"// medusa-config.ts (v2)
modules: [
  {
    resolve: "@medusajs/medusa/event-bus-redis",
    options: {
      redisUrl: process.env.REDIS_URL,
      jobOptions: {
        removeOnComplete: true,
        removeOnFail: { age: 7 * 24 * 3600, count: 1000 },
      },
    },
  },
],"#;

const EVENTS_V1: &str = r#"// medusa-config.js (v1)
modules: {
  eventBus: {
    resolve: "@medusajs/event-bus-redis",
    options: {
      redisUrl: process.env.REDIS_URL,
      jobOptions: {
        removeOnComplete: true,
        removeOnFail: { age: 7 * 24 * 3600, count: 1000 },
      },
    },
  },
},"#;

const WORKFLOWS: &str = r#"// medusa-config.ts (v2): the engine removes completed jobs itself
modules: [
  {
    resolve: "@medusajs/medusa/workflow-engine-redis",
    options: {
      redis: {
        redisUrl: process.env.REDIS_URL,
        queueOptions: { defaultJobOptions: { removeOnFail: { age: 7 * 24 * 3600, count: 1000 } } },
      },
    },
  },
],"#;

const OWN: &str = r#"// where the queue is made
new Queue(name, {
  connection,
  defaultJobOptions: {
    removeOnComplete: true,
    removeOnFail: { age: 7 * 24 * 3600, count: 1000 },
  },
})"#;
