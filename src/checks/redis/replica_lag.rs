//! `redis-replica-lag`: a replica that has lost its master, or is far behind it.

use crate::checks::measures::over_instances;
use crate::checks::redis_settings::{Change, change, is_managed, platform_name};
use crate::checks::{Applies, Check};
use crate::evidence::redis::{Instance, Server};
use crate::evidence::{Cause, Gap, Layer, Section, Snapshot};
use crate::finding::{Confidence, Cost, Effort, Evidence, Finding, Remedy, RemedyKind, Resource, Severity, Subject};
use crate::text;

const MIB: u64 = 1 << 20;
/// Ten times the backlog that a master keeps by default (repl-backlog-size 1 MB): a replica this far behind that drops its connection
/// cannot go on where it was and copies everything anew.
const LAG_MAX: u64 = 10 * MIB;
/// Replicas acknowledge once a second, so a healthy one seems up to a second of writes behind; five are no artefact of that.
const LAG_SECONDS_MAX: f64 = 5.0;
/// A replica that has just started is still copying, and its link is told as down meanwhile.
const STARTED_S: u64 = 300;
/// A backlog of this many times the lag spares the copy.
const BACKLOG_HEADROOM: u64 = 4;
/// Old answers now, and nothing to fail over to.
const WEIGHT_DOWN: f64 = 0.30;
const WEIGHT_STARTING: f64 = 0.05;
const WEIGHT_LAG: f64 = 0.10;

pub static CHECK: Check = Check {
    id: "redis-replica-lag",
    layer: Layer::Redis,
    title: "A replica lost its master or is far behind it",
    passed: "Replicas are connected and close behind their master.",
    why: "A replica that is behind answers with old carts and sessions, and a failover to it loses what it has not received. One without its master is no copy at all any \
          more.",
    remedy: "Mend the connection between the two; where it holds, give the replica a faster network or the master a larger backlog.",
    method: "Fires at master_link_status down on a replica (Low in the first five minutes, while it may be copying); or more than 10 MiB and more than five seconds of incoming data \
             between the offsets of master and replica. A replica that is still copying is not judged; what listens without acknowledging is none.",
    effort: Effort::Hours,
    references: &["https://redis.io/docs/latest/operate/oss_and_stack/management/replication/", "https://redis.io/docs/latest/commands/info/"],
    needs: &[Section::RedisServer],
    uses: &[],
    symptom_of: &[],
    applies_to,
    evaluate,
};

fn applies_to(snapshot: &Snapshot) -> Result<Applies, Gap> {
    let is_single = |i: &Instance| i.server().is_ok_and(|s| !is_replicated(s));
    Ok(if snapshot.redis()?.instances.iter().all(is_single) { Applies::No("no instance is a replica or has one".into()) } else { Applies::Yes })
}

fn is_replicated(server: &Server) -> bool {
    server.role == "slave" || server.replicas.is_some_and(|n| n > 0) || server.replica_lag_bytes.is_some()
}

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    over_instances(snapshot, |instance| {
        let server = instance.server()?;
        Ok(if is_replicated(server) { judge(instance, server, snapshot.meta.window_s)?.into_iter().collect() } else { Vec::new() })
    })
}

fn judge(instance: &Instance, server: &Server, window_s: f64) -> Result<Option<Finding>, Gap> {
    if server.role == "slave" && server.master_link_down {
        return Ok(Some(cut_off(instance, server)));
    }
    let is_copying = server.role != "slave" && server.replicas_syncing > 0;
    if is_copying && server.replica_lag_bytes.is_none() {
        return Err(copying(instance, server));
    }
    let lag = server.replica_lag_bytes.ok_or_else(|| {
        let cause = Cause::Absent { feature: "replication offsets in INFO".into(), remedy: String::new() };
        Gap::new(Section::RedisServer, cause, format!("{} does not tell how far its replication is.", instance.name))
    })?;
    let rate = server.counters.window.filter(|_| window_s > 0.0).map(|w| w.net_input_bytes as f64 / window_s);
    let is_behind = lag > LAG_MAX && rate.is_none_or(|rate| lag as f64 > rate * LAG_SECONDS_MAX);
    match (is_behind, is_copying) {
        (true, _) => Ok(Some(behind(instance, server, lag, rate))),
        (false, true) => Err(copying(instance, server)),
        (false, false) => Ok(None),
    }
}

/// What a replica lacks until it has its copy is no lag, and it is no copy to rely on either.
fn copying(instance: &Instance, server: &Server) -> Gap {
    let remedy = "redis-cli INFO replication on the master: run the audit again when each slaveN says state=online".to_owned();
    let cause = Cause::Absent { feature: "replicas that have their copy".into(), remedy };
    let replicas = text::plural(server.replicas_syncing, "replica is", "replicas are");
    let detail = format!("{replicas} still copying the data of {}: how far behind is not known.", instance.name);
    Gap::new(Section::RedisServer, cause, detail)
}

fn cut_off(instance: &Instance, server: &Server) -> Finding {
    let is_starting = server.uptime_s < STARTED_S;
    let started = if is_starting { ", which started only now and may still be copying" } else { "" };
    Finding {
        observed: format!("{} is a replica{started}; its link to the master is down, so it answers with what it last received.", instance.name),
        step: format!("Connect {} to its master again", instance.name),
        severity: if is_starting { Severity::Low } else { Severity::High },
        confidence: if is_starting { Confidence::Low } else { Confidence::High },
        confidence_because: if is_starting {
            format!("the server has run for {} only", text::seconds(server.uptime_s as f64))
        } else {
            "told by INFO at the end of the window".into()
        },
        cost: Cost { resource: Resource::Risk, share: if is_starting { WEIGHT_STARTING } else { WEIGHT_DOWN } },
        averts: Some("old answers, and a failover without data".into()),
        remedies: reconnect(server),
        verify: "redis-cli INFO replication on the replica: master_link_status:up.".into(),
        ..finding(instance, server)
    }
}

fn behind(instance: &Instance, server: &Server, lag: u64, rate: Option<f64>) -> Finding {
    let who = if server.role == "slave" { format!("{} is", instance.name) } else { format!("The slowest replica of {} is", instance.name) };
    let time = rate.filter(|r| *r > 0.0).map_or_else(String::new, |r| format!(", about {} of incoming data", text::seconds(lag as f64 / r)));
    let mut evidence = vec![Evidence::figure("Behind", lag as f64, "bytes", text::bytes_disk(lag))];
    if let Some(rate) = rate {
        evidence.push(Evidence::figure("Incoming data", rate, "bytes/s", format!("{}/s", text::bytes_disk(rate as u64))));
    }
    evidence.extend(finding(instance, server).evidence);
    Finding {
        observed: format!("{who} {} behind its master{time}: a failover loses that.", text::bytes_disk(lag)),
        step: format!("Let the replica of {} keep up", instance.name),
        evidence,
        severity: Severity::Medium,
        confidence: Confidence::Medium,
        confidence_because: "one reading of the offsets at the end of the window".into(),
        cost: Cost { resource: Resource::Risk, share: WEIGHT_LAG },
        averts: Some("writes lost in a failover".into()),
        remedies: keep_up(server, lag),
        verify: format!("redis-cli INFO replication: master_repl_offset less the replica's offset stays below {}.", text::bytes_disk(LAG_MAX)),
        ..finding(instance, server)
    }
}

fn finding(instance: &Instance, server: &Server) -> Finding {
    let mut evidence = vec![Evidence::text("Role", if server.role == "slave" { "replica" } else { "master" })];
    if let Some(replicas) = server.replicas {
        evidence.push(Evidence::figure("Connected replicas", replicas as f64, "replicas", text::count(replicas)));
    }
    Finding {
        subject: Subject::new("instance", &instance.name),
        observed: String::new(),
        step: String::new(),
        evidence,
        severity: Severity::Low,
        confidence: Confidence::High,
        confidence_because: String::new(),
        effort: Effort::Hours,
        cost: Cost { resource: Resource::Risk, share: 0.0 },
        gain: None,
        averts: None,
        remedies: Vec::new(),
        verify: String::new(),
        touches: Vec::new(),
    }
}

fn reconnect(server: &Server) -> Vec<Remedy> {
    if is_managed(server) {
        return vec![provider(server, "replace the replica, or ask why its link is down")];
    }
    vec![Remedy {
        kind: RemedyKind::Redis,
        label: "See what it tries, and whether it may sign in".into(),
        text: "ROLE\nCONFIG GET replicaof\nCONFIG GET masteruser".into(),
        lock: None,
        risk: "Reads only. The log of the replica says why: no route (firewall, bind), NOAUTH or WRONGPASS (CONFIG SET masterauth to the master's password), or a copy that \
               does not end because client-output-buffer-limit cuts it off."
            .into(),
        undo: None,
    }]
}

fn keep_up(server: &Server, lag: u64) -> Vec<Remedy> {
    if is_managed(server) {
        return vec![provider(server, "take a larger node type: network and processor grow with it")];
    }
    let backlog = (lag * BACKLOG_HEADROOM).to_string();
    vec![change(
        server,
        &Change {
            label: "Keep more of the stream on the master, so that a break costs no full copy",
            name: "repl-backlog-size",
            value: &backlog,
            now: Some("1048576"),
            risk: "Takes that much memory on the master. It does not make the replica faster: look at its processor, its disk (appendfsync) and the network.",
        },
    )]
}

fn provider(server: &Server, what: &str) -> Remedy {
    Remedy {
        kind: RemedyKind::Shell,
        label: "In the provider's console".into(),
        text: format!("# {}: {what}.", platform_name(server)),
        lock: None,
        risk: "Connections to the replica drop while it is replaced.".into(),
        undo: None,
    }
}
