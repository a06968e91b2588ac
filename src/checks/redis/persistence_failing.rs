//! `redis-persistence-failing`: the last snapshot or the last write to the append-only file failed.

use crate::checks::measures::over_instances;
use crate::checks::redis_settings::{is_managed, platform_name};
use crate::checks::{Check, always};
use crate::evidence::redis::{Instance, Server};
use crate::evidence::{Cause, Gap, Layer, Section, Snapshot};
use crate::finding::{Confidence, Cost, Effort, Evidence, Finding, Remedy, RemedyKind, Resource, Severity, Subject};
use crate::text;

/// Writes fail now under the default settings: what is lost is everything written, not a share of it.
const WEIGHT: f64 = 0.80;

pub static CHECK: Check = Check {
    id: "redis-persistence-failing",
    layer: Layer::Redis,
    title: "Redis cannot write its data to disk",
    passed: "The last snapshot and the last write to the append-only file succeeded.",
    why: "After a failed snapshot Redis refuses every write (stop-writes-on-bgsave-error is on by default): carts, sessions and jobs fail with MISCONF. Where that is switched \
          off, writes go on and the next restart loses them.",
    remedy: "Read the server's log, make room on the disk or let Redis write to its folder, and take a snapshot by hand.",
    method: "Reads rdb_last_bgsave_status and aof_last_write_status of INFO: fires when either says err.",
    effort: Effort::Minutes,
    references: &["https://redis.io/docs/latest/operate/oss_and_stack/management/persistence/", "https://redis.io/docs/latest/commands/info/"],
    needs: &[Section::RedisServer],
    uses: &[],
    symptom_of: &[],
    applies_to: always,
    evaluate,
};

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    over_instances(snapshot, |instance| {
        let server = instance.server()?;
        if server.is_persistence_failing {
            return Ok(vec![finding(instance, server)]);
        }
        // Earlier snapshots hold neither the access nor the state of persistence; false is then no answer.
        if server.access.is_none() {
            let detail = "The snapshot was written before the state of persistence was read.";
            return Err(Gap::new(Section::RedisServer, Cause::Unreadable, detail));
        }
        Ok(Vec::new())
    })
}

fn finding(instance: &Instance, server: &Server) -> Finding {
    let saved =
        server.rdb_last_save_age_s.map_or_else(String::new, |s| format!(" The last snapshot that worked is {} old.", text::seconds(s as f64)));
    let mut evidence = vec![Evidence::figure("Used", server.used_memory as f64, "bytes", text::bytes_memory(server.used_memory))];
    if let Some(age) = server.rdb_last_save_age_s {
        evidence.push(Evidence::figure("Age of the last snapshot", age as f64, "s", text::seconds(age as f64)));
    }
    if let Some(is_on) = server.aof_enabled {
        evidence.push(Evidence::text("Append-only file", if is_on { "on" } else { "off" }));
    }
    Finding {
        subject: Subject::new("instance", &instance.name),
        observed: format!("{} could not write its data to disk; by default it refuses every write until it can.{saved}", instance.name),
        step: format!("Let {} write to its disk", instance.name),
        evidence,
        severity: Severity::High,
        confidence: Confidence::High,
        confidence_because: "told by INFO at the end of the window".into(),
        effort: Effort::Minutes,
        cost: Cost { resource: Resource::Risk, share: WEIGHT },
        gain: None,
        averts: Some("failed writes and lost data".into()),
        remedies: remedies(server),
        verify: "redis-cli INFO persistence: rdb_last_bgsave_status and aof_last_write_status say ok.".into(),
        touches: Vec::new(),
    }
}

fn remedies(server: &Server) -> Vec<Remedy> {
    if is_managed(server) {
        return vec![Remedy {
            kind: RemedyKind::Shell,
            label: "Ask the provider".into(),
            text: format!("# {}: open a ticket with the time of this audit; its disk is not yours to look at.", platform_name(server)),
            lock: None,
            risk: "Until then, data written since the last snapshot is lost with a restart.".into(),
            undo: None,
        }];
    }
    vec![
        Remedy {
            kind: RemedyKind::Redis,
            label: "Find the folder, then its disk and owner".into(),
            text: "CONFIG GET dir".into(),
            lock: None,
            risk: "Reads only. On the server: df -h and ls -ld of that folder, and the server's log, which says why (no space, read-only, cannot allocate memory: then \
                   sysctl -w vm.overcommit_memory=1)."
                .into(),
            undo: None,
        },
        Remedy {
            kind: RemedyKind::Redis,
            label: "Then take a snapshot by hand".into(),
            text: "BGSAVE".into(),
            lock: None,
            risk: "Writes are accepted again as soon as it succeeds. The copy may need as much memory again while it is taken.".into(),
            undo: None,
        },
    ]
}
