//! `redis-sessions-volatile`: sessions that Redis may throw away, or forgets when it restarts.

use super::memory_pressure::USED_SHARE_MAX;
use crate::checks::key_sample::{may_hide, too_few_sampled};
use crate::checks::measures::over_instances;
use crate::checks::redis_settings::{Change, change, config, maxmemory, own_cache, policy, queue_patterns, setting};
use crate::checks::{Applies, Check};
use crate::evidence::redis::{Instance, Network, Pattern, Role, Server};
use crate::evidence::{Gap, Layer, Section, Snapshot};
use crate::finding::{Cell, Confidence, Cost, Effort, Evidence, Finding, Remedy, Resource, Severity, Subject};
use crate::text;

/// Sessions below which, on the audit's own machine, the store is a developer's as often as not.
const SESSIONS_MIN: u64 = 1_000;
/// A log-in is asked for once more: a nuisance, not a loss.
const WEIGHT: f64 = 0.05;

pub static CHECK: Check = Check {
    id: "redis-sessions-volatile",
    layer: Layer::Redis,
    title: "Sessions are thrown away or lost at a restart",
    passed: "Sessions are neither evicted nor lost at a restart.",
    why: "A session that is gone logs its admin or shopper out in the middle of what they did. Under an evicting policy that happens whenever memory runs short, without \
          persistence to everybody at once when Redis restarts.",
    remedy: "Keep sessions on an instance with noeviction and the append-only file, and give the cache one of its own.",
    method: "Session keys beside an evicting policy (allkeys-*, volatile-*: sessions have a lifetime) with 90 % of maxmemory used or evictions in the window; or appendonly no \
             and an empty save. Always Low. On the audit's own machine from 1,000 sessions on.",
    effort: Effort::Minutes,
    references: &[
        "https://redis.io/docs/latest/develop/reference/eviction/",
        "https://redis.io/docs/latest/operate/oss_and_stack/management/persistence/",
    ],
    needs: &[Section::RedisKeys, Section::RedisServer],
    // Without the settings an evicting policy is told from INFO; where it does not evict, nothing can be said of a restart.
    uses: &[Section::RedisConfig],
    symptom_of: &["redis-eviction-breaks-queues", "redis-queue-not-durable"],
    applies_to,
    evaluate,
};

fn applies_to(snapshot: &Snapshot) -> Result<Applies, Gap> {
    for instance in &snapshot.redis()?.instances {
        if !holds_no_sessions(instance) {
            return Ok(Applies::Yes);
        }
    }
    Ok(Applies::No("no session keys are in Redis".into()))
}

/// Every key was seen and none is a session.
fn holds_no_sessions(instance: &Instance) -> bool {
    instance.keys().is_ok_and(|k| k.is_complete && !k.patterns.iter().any(|p| p.role == Role::Sessions))
}

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    over_instances(snapshot, |instance| {
        if holds_no_sessions(instance) {
            return Ok(Vec::new());
        }
        let sessions: Vec<&Pattern> = instance.keys()?.patterns.iter().filter(|p| p.role == Role::Sessions).collect();
        let server = instance.server()?;
        let is_local = server.access.is_some_and(|a| a.network == Network::Loopback);
        let count = sessions.iter().map(|p| p.keys_estimate).sum();
        let is_absent = sessions.is_empty() && !may_hide(instance.keys()?, SESSIONS_MIN);
        if is_absent || server.role == "slave" || is_local && !sessions.is_empty() && count < SESSIONS_MIN {
            return Ok(Vec::new());
        }
        Ok(judge(instance, server, &sessions, count)?.into_iter().collect())
    })
}

fn judge(instance: &Instance, server: &Server, sessions: &[&Pattern], count: u64) -> Result<Option<Finding>, Gap> {
    let policy = policy(instance, server)?;
    let limit = maxmemory(instance, server)?;
    let used = server.used_memory as f64 / limit.max(1) as f64;
    let evicts = server.counters.window.is_some_and(|w| w.evicted_keys > 0);
    if policy != "noeviction" && limit > 0 && (evicts || used > USED_SHARE_MAX) {
        are_seen(instance, sessions)?;
        return Ok(Some(evicted(instance, server, sessions, policy, count, used)));
    }
    config(instance, "appendonly and save")?;
    let is_forgetful = setting(instance, "appendonly")? != "yes" && setting(instance, "save")?.is_empty();
    if !is_forgetful {
        return Ok(None);
    }
    are_seen(instance, sessions)?;
    Ok(Some(forgotten(instance, server, sessions, count)))
}

/// Without one there is nothing to judge, but some may be where the sample did not come.
fn are_seen(instance: &Instance, sessions: &[&Pattern]) -> Result<(), Gap> {
    if sessions.is_empty() { Err(too_few_sampled(instance, instance.keys()?, SESSIONS_MIN, "a session")) } else { Ok(()) }
}

fn evicted(instance: &Instance, server: &Server, sessions: &[&Pattern], policy: &str, count: u64, used: f64) -> Finding {
    let mut remedies = Vec::new();
    if instance.keys().is_ok_and(|k| k.patterns.iter().any(|p| p.role.is_cache())) {
        remedies.push(own_cache(instance));
    }
    remedies.push(change(
        server,
        &Change {
            label: "Then never evict here",
            name: "maxmemory-policy",
            value: "noeviction",
            now: Some(policy),
            risk: "When memory is full, writes fail with an error instead: take the cache off the instance, or raise maxmemory, first.",
        },
    ));
    Finding {
        observed: format!(
            "{} holds {} under {policy} with {} of its memory used: sessions are thrown away before they end.",
            instance.name,
            text::plural(count, "session", "sessions"),
            text::percent(used)
        ),
        step: format!("Keep sessions on {} from being evicted", instance.name),
        effort: Effort::Hours,
        remedies,
        verify: "redis-cli CONFIG GET maxmemory-policy answers noeviction on the instance that holds sess:*.".into(),
        ..finding(
            instance,
            sessions,
            vec![Evidence::text("maxmemory-policy", policy), Evidence::figure("Used share", used, "ratio", text::percent(used))],
        )
    }
}

fn forgotten(instance: &Instance, server: &Server, sessions: &[&Pattern], count: u64) -> Finding {
    Finding {
        observed: format!(
            "{} holds {} and writes nothing to disk (appendonly is no, save is empty): a restart logs everybody out.",
            instance.name,
            text::plural(count, "session", "sessions")
        ),
        step: format!("Keep sessions over a restart of {}", instance.name),
        remedies: vec![change(
            server,
            &Change {
                label: "Write changes to the append-only file",
                name: "appendonly",
                value: "yes",
                now: Some("no"),
                risk: "Its folder must outlive the container: mount a volume at it.",
            },
        )],
        verify: "redis-cli INFO persistence: aof_enabled:1.".into(),
        ..finding(instance, sessions, vec![Evidence::text("appendonly", "no"), Evidence::text("save", "\"\"")])
    }
}

fn finding(instance: &Instance, sessions: &[&Pattern], mut evidence: Vec<Evidence>) -> Finding {
    let row = |p: &&Pattern| {
        let ttl = p.ttl_ms_median.map_or_else(|| Cell::text("none"), |ms| Cell::number(ms as f64, text::millis(ms as f64)));
        vec![Cell::text(&p.pattern), Cell::number(p.keys_estimate as f64, text::count(p.keys_estimate)), ttl]
    };
    evidence.push(Evidence::table("Sessions", &["pattern", "keys", "median time to live"], sessions.iter().map(row).collect()));
    let queues = queue_patterns(instance).unwrap_or_else(|_| Vec::new());
    // Queues beside them: what is said of those explains this, and the fix is the same.
    let touched = sessions.iter().copied().chain(queues.into_iter().take(5));
    Finding {
        subject: Subject::new("instance", &instance.name),
        observed: String::new(),
        step: String::new(),
        evidence,
        severity: Severity::Low,
        confidence: Confidence::High,
        confidence_because: "settings and keys were both read from the server".into(),
        effort: Effort::Minutes,
        cost: Cost { resource: Resource::Risk, share: WEIGHT },
        gain: None,
        averts: Some("admins and shoppers logged out".into()),
        remedies: Vec::<Remedy>::new(),
        verify: String::new(),
        touches: touched.map(|p| format!("keys:{}", p.pattern)).collect(),
    }
}
