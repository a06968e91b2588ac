//! `redis-queue-not-durable`: queues that a restart of Redis forgets, or that wait for the disk at every write.

use crate::checks::bullmq::Held;
use crate::checks::measures::over_instances;
use crate::checks::redis_settings::{Change, change, config, setting};
use crate::checks::{Applies, Check};
use crate::evidence::redis::{Instance, Network, Server};
use crate::evidence::{Gap, Layer, Section, Snapshot};
use crate::finding::{Confidence, Cost, Effort, Evidence, Finding, Remedy, Resource, Severity, Subject};
use crate::text;

/// Jobs that have not run yet from which a restart is felt wherever Redis runs.
const JOBS_MANY: u64 = 100;
/// A restart is rare, and then all of it is lost.
const WEIGHT_LOST: f64 = 0.20;
/// A note: a server on the audit's own machine with hardly a job is a developer's as often as not.
const WEIGHT_NOTE: f64 = 0.02;
/// Every write waits for the disk: felt by the workers, not by shoppers.
const WEIGHT_ALWAYS: f64 = 0.02;
/// The points at which Redis itself takes snapshots by default (since 7.0): after an hour with a change, five minutes with 100, one with 10,000.
const SAVE_DEFAULT: &str = "3600 1 300 100 60 10000";

pub static CHECK: Check = Check {
    id: "redis-queue-not-durable",
    layer: Layer::Redis,
    title: "Queues are lost when Redis restarts, or wait for its disk",
    passed: "Instances that hold queues write their data to disk, and not at every command.",
    why: "Events, scheduled jobs and workflows under way live in Redis alone. With neither the append-only file nor snapshots, a restart forgets them: confirmation mails are \
          not sent, captured payments are not booked, and nobody is told.",
    remedy: "Switch the append-only file on with appendfsync everysec on the instance that holds the queues.",
    method: "Fires at appendonly no with an empty save on an instance with queue keys or queues found by name: Medium; Info on the audit's own machine while fewer than 100 jobs have not run. appendfsync \
             always: Low. Snapshots alone, the default, lose minutes and are not reported. Replicas are left out.",
    effort: Effort::Minutes,
    references: &[
        "https://docs.bullmq.io/guide/going-to-production#persistence",
        "https://redis.io/docs/latest/operate/oss_and_stack/management/persistence/",
    ],
    needs: &[Section::RedisKeys, Section::RedisServer, Section::RedisConfig],
    uses: &[Section::RedisQueues],
    symptom_of: &[],
    applies_to,
    evaluate,
};

fn applies_to(snapshot: &Snapshot) -> Result<Applies, Gap> {
    for instance in &snapshot.redis()?.instances {
        if !holds_no_queues(instance) {
            return Ok(Applies::Yes);
        }
    }
    Ok(Applies::No("no queue keys are in Redis".into()))
}

/// Every key was seen and none is a queue's.
fn holds_no_queues(instance: &Instance) -> bool {
    Held::by(instance).is_ok_and(|h| h.is_known_free())
}

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    over_instances(snapshot, |instance| {
        // A cache may be as forgetful as it likes: its settings are not asked for.
        if holds_no_queues(instance) {
            return Ok(Vec::new());
        }
        let queues = Held::by(instance)?;
        let server = instance.server()?;
        config(instance, "appendonly, appendfsync and save")?;
        if queues.is_absent() || server.role == "slave" {
            return Ok(Vec::new());
        }
        Ok(judge(instance, server, &queues)?.into_iter().collect())
    })
}

fn judge(instance: &Instance, server: &Server, queues: &Held<'_>) -> Result<Option<Finding>, Gap> {
    if setting(instance, "appendonly")? == "yes" {
        let is_slow = setting(instance, "appendfsync")? == "always";
        return if is_slow { Ok(Some(slow(instance, server, queues.seen(instance)?))) } else { Ok(None) };
    }
    let is_forgetful = setting(instance, "save")?.is_empty();
    if is_forgetful { Ok(Some(forgetful(instance, server, queues.seen(instance)?))) } else { Ok(None) }
}

/// Jobs that have not run yet; `None` when the queues were not read.
fn jobs_at_stake(instance: &Instance) -> Option<u64> {
    let of = |q: &crate::evidence::redis::Queue| q.waiting() + q.now.active + q.now.delayed + q.now.waiting_children;
    instance.queues().ok().map(|queues| queues.iter().map(of).sum())
}

fn forgetful(instance: &Instance, server: &Server, queues: &Held<'_>) -> Finding {
    let jobs = jobs_at_stake(instance);
    let is_local = server.access.is_some_and(|a| a.network == Network::Loopback);
    let is_note = is_local && jobs.is_none_or(|n| n < JOBS_MANY);
    let lost = jobs.filter(|n| *n > 0).map_or_else(String::new, |n| format!(", {} not yet run among them,", text::plural(n, "job", "jobs")));
    let replicas = match server.replicas {
        Some(n) if n > 0 => " Its replicas copy an empty master when it comes back, so they lose everything too.",
        _ => "",
    };
    Finding {
        observed: format!(
            "{} holds {}{lost} and writes nothing to disk: appendonly is no and save is empty.{replicas}",
            instance.name,
            queues.words()
        ),
        step: format!("Switch the append-only file on for {}", instance.name),
        severity: if is_note { Severity::Info } else { Severity::Medium },
        cost: Cost { resource: Resource::Risk, share: if is_note { WEIGHT_NOTE } else { WEIGHT_LOST } },
        averts: Some("lost jobs".into()),
        remedies: vec![
            set(server, "Write every change to the append-only file", ("appendonly", "yes", Some("no")), APPEND_RISK),
            set(server, "Or take snapshots, which lose the last minutes", ("save", SAVE_DEFAULT, Some("")), SAVE_RISK),
        ],
        verify: "redis-cli INFO persistence: aof_enabled:1 and aof_last_bgrewrite_status:ok.".into(),
        ..finding(instance, queues, &["appendonly", "save"], jobs)
    }
}

const APPEND_RISK: &str = "Redis writes the whole dataset once, then each change, and syncs every second (appendfsync everysec). Its folder must outlive the container: \
                           mount a volume at it, with twice the dataset's size free.";
const SAVE_RISK: &str = "A copy of the process writes the dataset; while it does, it may need as much memory again.";

fn slow(instance: &Instance, server: &Server, queues: &Held<'_>) -> Finding {
    Finding {
        observed: format!("{} waits for its disk before it answers any write: appendfsync is always.", instance.name),
        step: format!("Sync the append-only file of {} every second", instance.name),
        severity: Severity::Low,
        cost: Cost { resource: Resource::RedisTime, share: WEIGHT_ALWAYS },
        averts: None,
        remedies: vec![set(
            server,
            "Sync once a second",
            ("appendfsync", "everysec", Some("always")),
            "A crash of the machine, not of Redis, loses up to a second of writes.",
        )],
        verify: "redis-cli CONFIG GET appendfsync answers everysec; LATENCY LATEST names no new aof-fsync-always.".into(),
        ..finding(instance, queues, &["appendonly", "appendfsync"], None)
    }
}

fn set(server: &Server, label: &str, (name, value, now): (&str, &str, Option<&str>), risk: &str) -> Remedy {
    change(server, &Change { label, name, value, now, risk })
}

fn finding(instance: &Instance, queues: &Held<'_>, settings: &[&str], jobs: Option<u64>) -> Finding {
    let shown = |name: &&str| {
        let value = setting(instance, name).unwrap_or("not told");
        Evidence::text(name, if value.is_empty() { "\"\"" } else { value })
    };
    let mut evidence: Vec<Evidence> = settings.iter().map(shown).collect();
    if let Some(jobs) = jobs {
        evidence.push(Evidence::figure("Jobs that have not run", jobs as f64, "jobs", text::count(jobs)));
    }
    evidence.push(Evidence::table(
        "Queue keys",
        &["pattern", "keys"],
        queues.rows().into_iter().map(|row| row.into_iter().take(2).collect()).collect(),
    ));
    Finding {
        subject: Subject::new("instance", &instance.name),
        observed: String::new(),
        step: String::new(),
        evidence,
        severity: Severity::Low,
        confidence: Confidence::High,
        confidence_because: "settings and keys were both read from the server".into(),
        effort: Effort::Minutes,
        cost: Cost { resource: Resource::Risk, share: 0.0 },
        gain: None,
        averts: None,
        remedies: Vec::new(),
        verify: String::new(),
        touches: queues.touches(),
    }
}
