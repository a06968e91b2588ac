//! `redis-rejected-connections`: clients that Redis turned away.

use super::clients_near_limit::{allow_more, clients, connections};
use crate::checks::measures::over_instances;
use crate::checks::{Check, always};
use crate::evidence::redis::{Counters, Instance, Server};
use crate::evidence::{Cause, Gap, Layer, Section, Snapshot};
use crate::finding::{Confidence, Cost, Effort, Evidence, Finding, Remedy, RemedyKind, Resource, Severity, Subject};
use crate::text;

/// A limit this many times the present one, where it was reached.
const HEADROOM: u64 = 2;
/// Redis' default limit: a higher one needs a reason.
const MAXCLIENTS_DEFAULT: u64 = 10_000;
/// Share of maxclients from which the limit is what turns clients away.
const FULL_SHARE: f64 = 0.90;

pub static CHECK: Check = Check {
    id: "redis-rejected-connections",
    layer: Layer::Redis,
    title: "Redis turns clients away",
    passed: "No client was turned away.",
    why: "A client that is turned away gets an error in place of its session, its job or its cache entry. Medusa retries, and answers slowly or not at all meanwhile.",
    remedy: "Raise maxclients, or find who opens so many connections; where the limit is far, a client came without a password to a server in protected mode.",
    method: "Rise of rejected_connections over the window: any is Medium, a twentieth of all attempts or more Medium to High. Rejected before the window only: Info.",
    effort: Effort::Minutes,
    references: &[
        "https://redis.io/docs/latest/develop/reference/clients/",
        "https://redis.io/docs/latest/operate/oss_and_stack/management/security/",
    ],
    needs: &[Section::RedisServer],
    uses: &[Section::RedisClients],
    symptom_of: &["redis-clients-near-limit"],
    applies_to: always,
    evaluate,
};

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    over_instances(snapshot, |instance| Ok(judge(instance, instance.server()?, snapshot.meta.window_s)?.into_iter().collect()))
}

fn judge(instance: &Instance, server: &Server, window_s: f64) -> Result<Option<Finding>, Gap> {
    let total = server.counters.total;
    Ok(match server.counters.window {
        Some(window) if window.rejected_connections > 0 => Some(Finding {
            observed: format!(
                "{} in {}, of {}; {}.",
                text::plural(window.rejected_connections, "client was turned away", "clients were turned away"),
                text::seconds(window_s),
                text::plural(attempts(&window), "attempt", "attempts"),
                limit_words(server)
            ),
            severity: Severity::from_share(share(&window)).max(Severity::Medium),
            confidence: Confidence::High,
            confidence_because: "counted by Redis over the window".into(),
            cost: Cost { resource: Resource::Risk, share: share(&window) },
            ..finding(instance, server, &window)
        }),
        // Nobody was ever turned away: no second reading is needed to say so.
        _ if total.rejected_connections == 0 => None,
        None => {
            let cause = Cause::TooYoung { have_s: 0.0, need_s: window_s };
            let clients = text::plural(total.rejected_connections, "client was turned away", "clients were turned away");
            let detail = format!(
                "{clients} by {} since its counters were reset; they were reset inside the window or read once only, so it is not known whether that goes on.",
                instance.name
            );
            return Err(Gap::new(Section::RedisServer, cause, detail));
        }
        Some(_) => Some(Finding {
            observed: format!(
                "{} since the counters were reset, none of them while the store was watched.",
                text::plural(total.rejected_connections, "client was turned away", "clients were turned away")
            ),
            severity: Severity::Info,
            confidence: Confidence::Medium,
            confidence_because: "counted since the counters were reset; none in the window".into(),
            ..finding(instance, server, &total)
        }),
    })
}

fn attempts(counters: &Counters) -> u64 {
    // Redis counts a connection that it turns away as received in some versions and not in others.
    counters.connections_received.max(counters.rejected_connections)
}

/// 0…1 of the attempts.
fn share(counters: &Counters) -> f64 {
    counters.rejected_connections as f64 / attempts(counters).max(1) as f64
}

fn is_full(server: &Server) -> bool {
    server.maxclients.is_some_and(|limit| server.connected_clients as f64 >= limit as f64 * FULL_SHARE)
}

fn limit_words(server: &Server) -> String {
    match server.maxclients {
        Some(limit) if is_full(server) => format!("{} of {} connections are open", text::count(server.connected_clients), text::count(limit)),
        Some(limit) => format!(
            "{} of {} connections are open now: a burst has ended, or protected mode refused clients without a password",
            text::count(server.connected_clients),
            text::count(limit)
        ),
        None => format!("{} connections are open now", text::count(server.connected_clients)),
    }
}

fn finding(instance: &Instance, server: &Server, counters: &Counters) -> Finding {
    let mut evidence = vec![
        Evidence::figure("Turned away", counters.rejected_connections as f64, "connections", text::count(counters.rejected_connections)),
        Evidence::figure("Attempts", attempts(counters) as f64, "connections", text::count(attempts(counters))),
        Evidence::figure("Connected", server.connected_clients as f64, "connections", text::count(server.connected_clients)),
    ];
    if let Some(limit) = server.maxclients {
        evidence.push(Evidence::figure("maxclients", limit as f64, "connections", text::count(limit)));
    }
    evidence.extend(clients(instance));
    Finding {
        subject: Subject::new("instance", &instance.name),
        observed: String::new(),
        step: format!("Let every client in on {}", instance.name),
        evidence,
        severity: Severity::Info,
        confidence: Confidence::Medium,
        confidence_because: String::new(),
        effort: Effort::Minutes,
        cost: Cost { resource: Resource::Risk, share: 0.0 },
        gain: None,
        averts: Some("requests without session, cache and jobs".into()),
        remedies: remedies(server),
        verify: "redis-cli INFO stats twice, a minute apart: rejected_connections stays the same.".into(),
        touches: vec![connections(instance)],
    }
}

fn remedies(server: &Server) -> Vec<Remedy> {
    let mut remedies = Vec::new();
    if let Some(limit) = server.maxclients.filter(|limit| is_full(server) || *limit < MAXCLIENTS_DEFAULT) {
        remedies.push(allow_more(server, limit * HEADROOM));
    }
    remedies.push(Remedy {
        kind: RemedyKind::Redis,
        label: "See who is connected and how often".into(),
        text: "CLIENT LIST\nCONFIG GET protected-mode".into(),
        lock: None,
        risk: "Reads only. Protected mode turns away clients from other machines while no password is set: set one, and put it in REDIS_URL.".into(),
        undo: None,
    });
    remedies
}
