//! `redis-no-worker`: jobs wait and no instance of Medusa works them off.

use crate::checks::bullmq::{CHECKPOINTS, Workers, are_none, carries, is_hidden, parts, subject, touch, unread, workers};
use crate::checks::key_sample::{by_major, remedy};
use crate::checks::measures::over_instances;
use crate::checks::{Applies, Check};
use crate::evidence::redis::{ClientGroup, Instance, Queue, Role};
use crate::evidence::{Cause, Gap, Layer, Section, Snapshot};
use crate::finding::{Confidence, Cost, Effort, Evidence, Finding, Remedy, RemedyKind, Resource, Severity, Subject};
use crate::text;

/// Waiting jobs that a deployment may leave behind between the old worker and the new one.
const WAITING_FEW: u64 = 10;

pub static CHECK: Check = Check {
    id: "redis-no-worker",
    layer: Layer::Redis,
    title: "Jobs wait and no worker takes them",
    passed: "Every queue with waiting jobs has a worker.",
    why: "Orders are placed, but what should follow does not happen: no subscriber runs, no e-mail is sent, no workflow is retried, no scheduled job starts. All instances run in server mode, or the worker has died.",
    remedy: "Run one instance of Medusa in worker or shared mode beside those that serve requests.",
    method: "A queue with waiting jobs (wait, prioritized) that did not shrink, without BullMQ's stalled-check key (renewed every 30 s by a worker), and without a client named after the queue (<prefix>:<base 64>). High from 10 waiting jobs or where they grow; Low where no other client is connected at all: then the whole store is down. Paused queues are left out.",
    effort: Effort::Minutes,
    references: &[
        "https://docs.medusajs.com/learn/production/worker-mode",
        "https://docs.bullmq.io/guide/workers",
        "https://github.com/medusajs/medusa/issues/10378",
    ],
    needs: &[Section::RedisQueues, Section::RedisClients],
    uses: &[Section::RedisKeys, Section::RedisServer, Section::PgMedusa],
    symptom_of: &[],
    applies_to,
    evaluate,
};

fn applies_to(snapshot: &Snapshot) -> Result<Applies, Gap> {
    for instance in &snapshot.redis()?.instances {
        // Withheld clients are a gap of the check even where no queue would have been judged.
        if instance.clients().is_err() || !are_none(instance) {
            return Ok(Applies::Yes);
        }
    }
    Ok(Applies::No("no queues are in Redis".into()))
}

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let major = snapshot.medusa().ok().map(|m| m.major);
    over_instances(snapshot, |instance| {
        let (queues, clients) = (instance.queues()?, instance.clients()?);
        let mut findings = Vec::new();
        let mut untold = unread(instance);
        for queue in queues.iter().filter(|q| is_left(q)) {
            match workers(queue, clients) {
                Workers::Some(_) => {}
                // Workers connect to the master: on a replica their absence says nothing.
                Workers::None if is_replica(instance) => untold = Some(replica_gap(instance)),
                Workers::None => findings.push(finding(instance, queue, clients, major)),
                Workers::Untold => untold = Some(untold_gap(instance, queue)),
            }
        }
        match untold {
            Some(gap) if findings.is_empty() => Err(gap),
            _ => Ok(findings),
        }
    })
}

/// Jobs wait, nobody looked after the queue for half a minute, and nobody took one in the window.
fn is_left(queue: &Queue) -> bool {
    let is_paused = queue.now.paused > 0;
    queue.waiting() > 0 && !queue.is_attended && !is_paused && queue.growth_per_s().is_none_or(|g| g >= 0.0)
}

fn is_replica(instance: &Instance) -> bool {
    instance.server().is_ok_and(|s| s.role == "slave")
}

fn replica_gap(instance: &Instance) -> Gap {
    let cause = Cause::Absent { feature: "the master's clients".into(), remedy: "Give the address of the master instead of a replica's.".into() };
    Gap::new(Section::RedisClients, cause, format!("{} is a replica: workers connect to its master and cannot be seen here.", instance.name))
}

fn untold_gap(instance: &Instance, queue: &Queue) -> Gap {
    let cause = Cause::Absent { feature: "known names of the queue's clients".into(), remedy: String::new() };
    let detail =
        format!("{} on {} has workers under a name that is not kept, if any: they cannot be told from other clients.", queue.name, instance.name);
    Gap::new(Section::RedisClients, cause, detail)
}

fn finding(instance: &Instance, queue: &Queue, clients: &[ClientGroup], major: Option<u8>) -> Finding {
    let waiting = queue.waiting();
    let grown = queue.growth_per_s().filter(|g| *g > 0.0);
    let connected: u64 = clients.iter().map(|c| c.count).sum();
    let severity = match (connected, waiting >= WAITING_FEW || grown.is_some()) {
        (0, _) | (_, false) => Severity::Low,
        (_, true) => Severity::High,
    };
    let (confidence, because) = match (connected, queue.before.is_some()) {
        (0, _) => (Confidence::Low, "no client is connected at all: the store may be switched off"),
        (_, true) => (Confidence::High, "lengths at both ends of the window, the stalled-check key and the list of clients agree"),
        (_, false) => (Confidence::Medium, "the lengths were read once only"),
    };
    let rate = grown.map_or_else(String::new, |g| format!(", {} more", text::per_second(g)));
    Finding {
        subject: Subject::new("key_pattern", subject(instance, queue)),
        observed: format!(
            "{} in {}{rate}; no worker is connected to it and none looked after it in the last half minute: {} do not run.",
            text::plural(waiting, "job waits", "jobs wait"),
            queue.name,
            carries(queue)
        ),
        step: format!("Run a worker for {}", queue.name),
        evidence: evidence(instance, queue, connected),
        severity,
        confidence,
        confidence_because: because.into(),
        effort: Effort::Minutes,
        cost: Cost { resource: Resource::Risk, share: if severity == Severity::High { 0.60 } else { 0.05 } },
        gain: None,
        averts: Some(format!("{} that do not run", carries(queue))),
        remedies: remedies(queue, major),
        verify: format!("redis-cli EXISTS {}:stalled-check answers 1, and the queue's waiting jobs shrink.", queue.name),
        touches: touches(queue),
    }
}

/// Workflows that nobody goes on with leave their checkpoints behind.
fn touches(queue: &Queue) -> Vec<String> {
    let mut touches = vec![touch(queue)];
    if queue.role == Role::Workflows {
        touches.push(CHECKPOINTS.to_owned());
    }
    touches
}

fn evidence(instance: &Instance, queue: &Queue, connected: u64) -> Vec<Evidence> {
    let mut evidence = vec![
        Evidence::figure("Waiting", queue.waiting() as f64, "jobs", text::count(queue.waiting())),
        Evidence::figure("Active", queue.now.active as f64, "jobs", text::count(queue.now.active)),
        Evidence::figure("Workers connected", 0.0, "clients", "0"),
        Evidence::figure("Other clients connected", connected as f64, "clients", text::count(connected)),
        Evidence::text("stalled-check", format!("{}:stalled-check is not there", queue.name)),
    ];
    if let Some((seconds, before)) = &queue.before {
        let label = format!("Waiting {} before", text::seconds(*seconds));
        evidence.push(Evidence::figure(&label, before.waiting() as f64, "jobs", text::count(before.waiting())));
    }
    if let Ok(server) = instance.server() {
        evidence.push(Evidence::text("Server", format!("{} {}", server.product_name(), server.version)));
    }
    evidence
}

fn remedies(queue: &Queue, major: Option<u8>) -> Vec<Remedy> {
    let (prefix, own) = parts(queue);
    if queue.role == Role::Queue {
        let own = if is_hidden(queue) { "QUEUE" } else { own };
        let prefix = if prefix == "bull" { String::new() } else { format!(" prefix: \"{prefix}\",") };
        let text = format!(
            "// in the process that should do the work, and only there\nimport {{ Worker }} from \"bullmq\"\n\n\
             new Worker(\"{own}\", handle, {{{prefix} connection, concurrency: 5 }})"
        );
        return vec![remedy(RemedyKind::Code, "Start a worker for this queue", text, "All waiting jobs run as soon as it is up, in order.")];
    }
    vec![
        remedy(
            RemedyKind::MedusaConfig,
            "Let the mode of each instance come from its environment",
            by_major(major, MODE_V2, MODE_V1),
            "Without the variable an instance is shared: it serves requests and works jobs.",
        ),
        Remedy {
            undo: Some("Stop the instance.".into()),
            ..remedy(
                RemedyKind::Shell,
                "Run one more instance as the worker",
                by_major(major, START_V2, START_V1),
                "All waiting jobs run as soon as it is up: late e-mails go out too. Look at what waits before, and empty the queue where that would hurt.",
            )
        },
    ]
}

const MODE_V2: &str = r#"// medusa-config.ts (v2)
module.exports = defineConfig({
  projectConfig: {
    workerMode: process.env.MEDUSA_WORKER_MODE as "shared" | "worker" | "server",
  },
  admin: { disable: process.env.DISABLE_MEDUSA_ADMIN === "true" },
})"#;

const MODE_V1: &str = r#"// medusa-config.js (v1)
const projectConfig = {
  worker_mode: process.env.MEDUSA_WORKER_MODE || "shared",
}"#;

const START_V2: &str = "MEDUSA_WORKER_MODE=worker DISABLE_MEDUSA_ADMIN=true npx medusa start --port 9002";

const START_V1: &str = "MEDUSA_WORKER_MODE=worker npx medusa start --port 9002";
