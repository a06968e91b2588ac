//! `redis-maxmemory-unset`: nothing stops an instance before the machine's memory does.

use super::memory_pressure::{HEADROOM, SYSTEM_SHARE_MAX};
use crate::checks::measures::over_instances;
use crate::checks::redis_settings::{Change, PLAIN, change, holds_cache_alone, is_managed, maxmemory, touches};
use crate::checks::{Applies, Check};
use crate::evidence::redis::{Instance, Server};
use crate::evidence::{Gap, Layer, Section, Snapshot};
use crate::finding::{Confidence, Cost, Effort, Evidence, Finding, Remedy, RemedyKind, Resource, Severity, Subject};
use crate::text;

/// Share of the machine's memory from which growth is no longer somebody else's worry.
const SYSTEM_SHARE_MIN: f64 = 0.20;
/// Bytes from which an unlimited instance is worth a line on a machine of any size: fork, copy and restart take seconds by then.
const USED_MIN: u64 = 1 << 30;
/// Half of the machine: a save that copies every page while it runs may need as much again.
const SYSTEM_SHARE_TIGHT: f64 = 0.50;
/// What the loss of the process is set at against a loss that goes on now.
const WEIGHT_LOOSE: f64 = 0.05;
const WEIGHT_TIGHT: f64 = 0.15;

pub static CHECK: Check = Check {
    id: "redis-maxmemory-unset",
    layer: Layer::Redis,
    title: "Nothing limits the memory Redis takes",
    passed: "Every instance of some size has a memory limit.",
    why: "Without maxmemory Redis grows until the machine has no memory left. Then the system starts to swap or kills the process, and cart, sessions and jobs go at once, \
          often together with other services on the machine.",
    remedy: "Set maxmemory with room to grow, below three quarters of the machine's memory.",
    method: "Fires at maxmemory 0 on a server that no provider manages, with at least 20 % of the machine's memory or 1 GiB in use; Medium from half of the machine's memory on. \
             Replicas follow their master and are left out.",
    effort: Effort::Minutes,
    references: &["https://redis.io/docs/latest/operate/oss_and_stack/management/admin/", "https://redis.io/docs/latest/develop/reference/eviction/"],
    needs: &[Section::RedisServer],
    uses: &[Section::RedisKeys],
    symptom_of: &["redis-memory-pressure"],
    applies_to,
    evaluate,
};

fn applies_to(snapshot: &Snapshot) -> Result<Applies, Gap> {
    let is_limited = |i: &Instance| i.server().is_ok_and(|s| s.platform != PLAIN);
    Ok(if snapshot.redis()?.instances.iter().all(is_limited) { Applies::No("the provider limits the memory".into()) } else { Applies::Yes })
}

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    over_instances(snapshot, |instance| {
        let server = instance.server()?;
        if is_managed(server) || server.role == "slave" {
            return Ok(Vec::new());
        }
        Ok(judge(instance, server)?.into_iter().collect())
    })
}

fn judge(instance: &Instance, server: &Server) -> Result<Option<Finding>, Gap> {
    if maxmemory(instance, server)? > 0 {
        return Ok(None);
    }
    let share = server.system_memory.map(|system| server.used_memory as f64 / system.max(1) as f64);
    let is_worth_it = server.used_memory >= USED_MIN || share.is_some_and(|s| s >= SYSTEM_SHARE_MIN);
    if !is_worth_it {
        return Ok(None);
    }
    let is_tight = share.is_some_and(|s| s >= SYSTEM_SHARE_TIGHT);
    let of = match (server.system_memory, share) {
        (Some(system), Some(share)) => format!(", {} of the machine's {}", text::percent(share), text::bytes_memory(system)),
        _ => String::new(),
    };
    Ok(Some(Finding {
        subject: Subject::new("instance", &instance.name),
        observed: format!("{} uses {}{of}, and no maxmemory stops it.", instance.name, text::bytes_memory(server.used_memory)),
        step: format!("Set maxmemory on {}", instance.name),
        evidence: evidence(server, share),
        severity: if is_tight { Severity::Medium } else { Severity::Low },
        confidence: Confidence::High,
        confidence_because: "read from INFO at the end of the window".into(),
        effort: Effort::Minutes,
        cost: Cost { resource: Resource::Risk, share: if is_tight { WEIGHT_TIGHT } else { WEIGHT_LOOSE } },
        gain: None,
        averts: Some("the system killing Redis".into()),
        remedies: remedies(instance, server),
        verify: "redis-cli CONFIG GET maxmemory answers a number above 0.".into(),
        touches: touches(instance, []),
    }))
}

fn evidence(server: &Server, share: Option<f64>) -> Vec<Evidence> {
    let mut evidence = vec![
        Evidence::figure("Used", server.used_memory as f64, "bytes", text::bytes_memory(server.used_memory)),
        Evidence::text("maxmemory", "not set"),
    ];
    if let Some(peak) = server.used_memory_peak {
        evidence.push(Evidence::figure("Peak", peak as f64, "bytes", text::bytes_memory(peak)));
    }
    if let (Some(system), Some(share)) = (server.system_memory, share) {
        evidence.push(Evidence::figure("Machine", system as f64, "bytes", text::bytes_memory(system)));
        evidence.push(Evidence::figure("Share of the machine", share, "ratio", text::percent(share)));
    }
    evidence
}

fn remedies(instance: &Instance, server: &Server) -> Vec<Remedy> {
    let wanted = (server.used_memory as f64 * HEADROOM).ceil() as u64;
    let most = server.system_memory.map(|system| (system as f64 * SYSTEM_SHARE_MAX) as u64);
    let limit = most.map_or(wanted, |most| wanted.min(most));
    if limit <= server.used_memory {
        return vec![Remedy {
            kind: RemedyKind::Shell,
            label: "Give the machine more memory first".into(),
            text: format!("# {} are used already: a limit of three quarters of the machine lies below that.", text::bytes_memory(server.used_memory)),
            lock: None,
            risk: "A limit below what is used evicts at once, or refuses every write.".into(),
            undo: None,
        }];
    }
    let mut remedies = Vec::new();
    // A full cache is to drop entries, everything else to refuse writes: the default, noeviction.
    if holds_cache_alone(instance) && server.maxmemory_policy.as_deref() == Some("noeviction") {
        remedies.push(change(
            server,
            &Change {
                label: "Let the cache drop old entries at the limit",
                name: "maxmemory-policy",
                value: "allkeys-lru",
                now: Some("noeviction"),
                risk: "Only while this instance holds nothing but the cache.",
            },
        ));
    }
    remedies.push(change(
        server,
        &Change {
            label: "Set the limit",
            name: "maxmemory",
            value: &limit.to_string(),
            now: Some("0"),
            risk: "At the limit the eviction policy acts: noeviction refuses writes, which is right for queues. In a container its own limit counts, not the machine's.",
        },
    ));
    remedies
}
