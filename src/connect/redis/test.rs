//! The Connect page's test of one instance: each step, then what the user may see.

use std::time::Duration;

use redis::Cmd;

use super::{CLUSTER_GRANT, Kind, Opened, Refusal, STEPS, Steps, ask, behind_sentinels, kind, open_stepwise, primaries};
use crate::connect::profile::{RedisPasswords, RedisProfile};
use crate::connect::steps::{Capability, CapabilityState, StepState, TestReport, TestStep};

/// A key that no store has: asking for its type tells whether TYPE is allowed without touching anything.
const ABSENT_KEY: &str = "medusa-advisor:absent";

/// Tests the connection step by step, then each group of commands an audit uses. Reads no key and no value.
pub async fn test(profile: &RedisProfile, passwords: RedisPasswords<'_>, limit: Duration) -> TestReport {
    let mut steps = Steps::default();
    let opened = match behind_sentinels(profile, passwords, limit).await {
        Ok(place) => open_stepwise(&place, passwords.server, limit, &mut steps).await,
        Err(e) => Err(e),
    };
    if let (Some(sentinel), Some(resolved)) = (&profile.sentinel, steps.done.first_mut()) {
        resolved.detail = format!("{}, master {}", resolved.detail, sentinel.master);
    }
    let mut report = TestReport { steps: steps.done, capabilities: Vec::new() };
    match opened {
        Ok(mut opened) => {
            let nodes = match kind(&mut opened).await {
                Kind::Cluster => match primaries(&mut opened, profile).await {
                    Ok(nodes) => format!(", a cluster of {} primaries", nodes.len()),
                    Err(_) => format!(", a cluster whose other nodes are not told ({CLUSTER_GRANT})"),
                },
                _ => String::new(),
            };
            if let Some(version) = version(&mut opened).await
                && let Some(last) = report.steps.last_mut()
            {
                last.detail = format!("{version}, {}{nodes}", last.detail);
            }
            report.capabilities = capabilities(&mut opened, profile).await;
        }
        Err(e) => {
            let mut state = StepState::Failed(e.words);
            for name in &STEPS[report.steps.len()..] {
                let ended = std::mem::replace(&mut state, StepState::NotRun);
                report.steps.push(TestStep { name: (*name).to_owned(), detail: String::new(), ms: None, state: ended });
            }
        }
    }
    report
}

/// "Redis 7.2.4", "Valkey 8.0.1".
async fn version(opened: &mut Opened) -> Option<String> {
    let value = ask(opened, redis::cmd("INFO").arg("server")).await.ok()?;
    let redis::Value::BulkString(bytes) = value else { return None };
    let text = String::from_utf8_lossy(&bytes);
    let field = |name: &str| text.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(':')).map(str::trim);
    match (field("valkey_version"), field("redis_version")) {
        (Some(v), _) => Some(format!("Valkey {v}")),
        (None, Some(v)) => Some(format!("Redis {v}")),
        (None, None) => None,
    }
}

async fn capabilities(opened: &mut Opened, profile: &RedisProfile) -> Vec<Capability> {
    let user = if profile.user.is_empty() { "default" } else { profile.user.as_str() };
    let mut found = Vec::new();
    for (name, detail, grants, command) in asked() {
        let grant = || format!("ACL SETUSER {user} {grants}");
        let state = match ask(opened, &command).await {
            Ok(_) => CapabilityState::Granted,
            Err(Refusal::UnknownCommand) => CapabilityState::Missing { grant: format!("{name} is renamed or switched off here by the provider.") },
            Err(Refusal::NoPermission(_)) => CapabilityState::Missing { grant: grant() },
            // OBJECT IDLETIME of a missing key, MEMORY on old servers: an error that is not about permission proves the permission.
            Err(Refusal::Other(_)) => CapabilityState::Granted,
            Err(_) => break,
        };
        found.push(Capability { name: name.to_owned(), detail: detail.to_owned(), state });
    }
    found.push(Capability {
        name: "Values".to_owned(),
        detail: "Key names are reduced to patterns before they are kept; values are never read.".to_owned(),
        state: CapabilityState::Never,
    });
    found
}

fn asked() -> Vec<(&'static str, &'static str, &'static str, Cmd)> {
    let command = |parts: &[&str]| {
        let mut c = redis::cmd(parts[0]);
        parts[1..].iter().for_each(|p| {
            c.arg(*p);
        });
        c
    };
    vec![
        ("INFO", "memory, hit rate, evictions, command statistics", "+info", command(&["INFO", "stats"])),
        ("CONFIG", "eviction policy, persistence, limits", "+config|get", command(&["CONFIG", "GET", "maxmemory-policy"])),
        ("SLOWLOG", "commands that blocked the server", "+slowlog|get", command(&["SLOWLOG", "GET", "1"])),
        ("LATENCY", "latency spikes", "+latency|latest", command(&["LATENCY", "LATEST"])),
        ("CLIENT LIST", "which services are connected, by name", "+client|list", command(&["CLIENT", "LIST"])),
        ("SCAN", "a bounded sample of key names, reduced to patterns", "+scan", command(&["SCAN", "0", "COUNT", "1"])),
        ("TYPE, PTTL", "kind and lifetime of the sampled keys", "~* +type +pttl", command(&["TYPE", ABSENT_KEY])),
        (
            "MEMORY USAGE",
            "bytes of some of the sampled keys",
            "~* +memory|usage +object|idletime +hlen +scard +zcard +llen +xlen",
            command(&["MEMORY", "USAGE", ABSENT_KEY]),
        ),
    ]
}
