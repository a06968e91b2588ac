//! `redis-clients-near-limit`: few connections are left before Redis turns clients away.

use crate::checks::measures::over_instances;
use crate::checks::redis_settings::{Change, change, is_managed, platform_name, untold};
use crate::checks::{Check, always};
use crate::evidence::redis::{ClientGroup, Instance, Server};
use crate::evidence::{Gap, Layer, Section, Snapshot};
use crate::finding::{Cell, Confidence, Cost, Effort, Evidence, Finding, Remedy, RemedyKind, Resource, Severity, Subject};
use crate::text;

/// Share of maxclients above which a deployment that starts beside the old one does not fit: each instance of Medusa opens a dozen.
const SHARE_MAX: f64 = 0.80;
/// Just at the threshold the cost is small, not none.
const COST_MIN: f64 = 0.05;
/// Share from which the next restart of the store turns clients away.
const SHARE_FULL: f64 = 0.95;
/// A limit this many times the present connections leaves room for a deployment beside the old one.
const HEADROOM: u64 = 2;
/// Groups of clients that are shown.
const GROUPS_MAX: usize = 8;

pub static CHECK: Check = Check {
    id: "redis-clients-near-limit",
    layer: Layer::Redis,
    title: "Redis is close to its limit of connections",
    passed: "At least a fifth of the connections Redis allows are free.",
    why: "At maxclients Redis refuses every new connection. A Medusa instance that restarts, scales out or reconnects then has no sessions, no events and no cache, while \
          those that are connected go on.",
    remedy: "Find the clients that open more connections than they need, share one connection a process, or raise maxclients.",
    method: "Compares connected_clients with maxclients; fires above 80 %, High from 95 % on. A Medusa instance with workers holds eleven or twelve.",
    effort: Effort::Hours,
    references: &["https://redis.io/docs/latest/develop/reference/clients/", "https://docs.bullmq.io/bull/patterns/reusing-redis-connections"],
    needs: &[Section::RedisServer],
    uses: &[Section::RedisClients],
    symptom_of: &[],
    applies_to: always,
    evaluate,
};

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    over_instances(snapshot, |instance| Ok(judge(instance, instance.server()?)?.into_iter().collect()))
}

fn judge(instance: &Instance, server: &Server) -> Result<Option<Finding>, Gap> {
    let limit = server.maxclients.ok_or_else(|| untold(instance, "its limit of connections"))?;
    let share = server.connected_clients as f64 / limit.max(1) as f64;
    if share <= SHARE_MAX {
        return Ok(None);
    }
    Ok(Some(Finding {
        subject: Subject::new("instance", &instance.name),
        observed: format!(
            "{} of {} are open on {} ({}), {} of them blocked in wait for a job.",
            text::count(server.connected_clients),
            text::plural(limit, "connection", "connections"),
            instance.name,
            text::percent(share),
            text::count(server.blocked_clients)
        ),
        step: format!("Open fewer connections to {}, or allow more", instance.name),
        evidence: evidence(instance, server, limit, share),
        severity: if share >= SHARE_FULL { Severity::High } else { Severity::Medium },
        confidence: Confidence::High,
        confidence_because: "read from INFO at the end of the window".into(),
        effort: Effort::Hours,
        // How much of what is left at the threshold is used up.
        cost: Cost { resource: Resource::Risk, share: ((share - SHARE_MAX) / (1.0 - SHARE_MAX)).clamp(COST_MIN, 1.0) },
        gain: None,
        averts: Some("refused connections".into()),
        remedies: remedies(server),
        verify: format!("redis-cli INFO clients: connected_clients below {} of maxclients after a deployment.", text::percent(SHARE_MAX)),
        touches: vec![connections(instance)],
    }))
}

/// What this finding and that on refused connections are both about.
pub fn connections(instance: &Instance) -> String {
    format!("connections:{}", instance.name)
}

fn evidence(instance: &Instance, server: &Server, limit: u64, share: f64) -> Vec<Evidence> {
    let mut evidence = vec![
        Evidence::figure("Connected", server.connected_clients as f64, "connections", text::count(server.connected_clients)),
        Evidence::figure("maxclients", limit as f64, "connections", text::count(limit)),
        Evidence::figure("Share", share, "ratio", text::percent(share)),
    ];
    evidence.extend(clients(instance));
    evidence
}

/// Who holds the connections, where CLIENT LIST may be read.
pub fn clients(instance: &Instance) -> Option<Evidence> {
    let row = |c: &ClientGroup| {
        let name = if c.name.is_empty() { "without a name" } else { &c.name };
        vec![Cell::text(name), Cell::text(&c.command), Cell::number(c.count as f64, text::count(c.count))]
    };
    let rows: Vec<Vec<Cell>> = instance.clients().ok()?.iter().take(GROUPS_MAX).map(row).collect();
    (!rows.is_empty()).then(|| Evidence::table("Clients", &["name", "last command", "connections"], rows))
}

/// More connections: a setting, or a plan.
pub fn allow_more(server: &Server, limit: u64) -> Remedy {
    if is_managed(server) {
        return Remedy {
            kind: RemedyKind::Shell,
            label: "Take a plan with more connections".into(),
            text: format!("# {}: the plan sets maxclients; choose one that allows at least {limit}.", platform_name(server)),
            lock: None,
            risk: "Most providers fail over while they resize: connections drop for some seconds.".into(),
            undo: None,
        };
    }
    let now = server.maxclients.map(|n| n.to_string());
    change(
        server,
        &Change {
            label: "Allow more connections",
            name: "maxclients",
            value: &limit.to_string(),
            now: now.as_deref(),
            risk: "Each connection takes some 20 kB and a file descriptor; where the system's limit (ulimit -n, LimitNOFILE) is lower, Redis refuses the value.",
        },
    )
}

fn remedies(server: &Server) -> Vec<Remedy> {
    vec![
        allow_more(server, server.connected_clients * HEADROOM),
        Remedy {
            kind: RemedyKind::Code,
            label: "Share one connection a process".into(),
            text: ONE_CONNECTION.into(),
            lock: None,
            risk: "Blocking commands and subscriptions need a connection of their own; BullMQ workers open theirs themselves.".into(),
            undo: None,
        },
    ]
}

const ONE_CONNECTION: &str = r#"// src/lib/redis.ts: one ioredis client for all of the store's own code, not one a request
import Redis from "ioredis"
export const redis = new Redis(process.env.REDIS_URL!, { connectionName: "store" })"#;
