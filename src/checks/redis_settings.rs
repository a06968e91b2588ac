//! Settings of a Redis instance and how each platform changes them, and what its keys are for. Shared by the Redis checks.

use crate::checks::key_sample::{by_major, is_all_reached};
use crate::evidence::redis::{Config, Instance, Pattern, Role, Server};
use crate::evidence::{Cause, Gap, Section};
use crate::finding::{Remedy, RemedyKind};

/// What lets the audit's user read every setting.
const GRANT: &str = "ACL SETUSER advisor +info +config|get";
/// The server of nobody but the store's own operators.
pub const PLAIN: &str = "plain";
/// Said wherever CONFIG SET is printed.
const REWRITE: &str = "Run CONFIG REWRITE afterwards, or the value is lost at the next restart.";
/// Key families that a finding about a whole instance names as touched: the largest ones.
const TOUCHED_MAX: usize = 3;

/// The gap of a figure that INFO keeps to itself and CONFIG could tell: "its memory limit".
pub fn untold(instance: &Instance, what: &str) -> Gap {
    Gap::new(Section::RedisServer, Cause::Denied { grant: GRANT.into() }, format!("{} does not tell {what}.", instance.name))
}

/// Bytes; 0: not set.
///
/// # Errors
/// A gap when neither INFO nor CONFIG told it; the same holds below.
pub fn maxmemory(instance: &Instance, server: &Server) -> Result<u64, Gap> {
    server.maxmemory.ok_or_else(|| untold(instance, "its memory limit"))
}

pub fn policy<'s>(instance: &Instance, server: &'s Server) -> Result<&'s str, Gap> {
    server.maxmemory_policy.as_deref().ok_or_else(|| untold(instance, "its eviction policy"))
}

/// The settings, or why there are none with what to do about it: providers switch CONFIG off and no grant opens it.
pub fn config<'i>(instance: &'i Instance, wanted: &str) -> Result<&'i Config, Gap> {
    instance.config().map_err(|gap| match gap.cause {
        Cause::Absent { feature, remedy } if remedy.is_empty() => {
            let remedy = format!("Look {wanted} up in the provider's console: this server does not answer CONFIG GET.");
            Gap { cause: Cause::Absent { feature, remedy }, ..gap }
        }
        _ => gap,
    })
}

pub fn setting<'i>(instance: &'i Instance, name: &str) -> Result<&'i str, Gap> {
    config(instance, name)?.get(name).ok_or_else(|| {
        let cause = Cause::Absent { feature: name.to_owned(), remedy: format!("Allow the audit's user CONFIG GET {name}: {GRANT}") };
        Gap::new(Section::RedisConfig, cause, format!("{} does not tell {name}.", instance.name))
    })
}

pub fn is_managed(server: &Server) -> bool {
    server.platform != PLAIN
}

/// The provider as its makers write it; "the provider" for one that is not known by name.
pub fn platform_name(server: &Server) -> &str {
    match server.platform.as_str() {
        "elasticache" => "Amazon ElastiCache",
        "memorydb" => "Amazon MemoryDB",
        "upstash" => "Upstash",
        "azure" => "Azure",
        "redis-cloud" => "Redis Cloud",
        "aiven" => "Aiven",
        "digitalocean" => "DigitalOcean",
        "railway" => "Railway",
        "render" => "Render",
        "scalingo" => "Scalingo",
        "memorystore" => "Memorystore",
        _ => "the provider",
    }
}

/// One setting to another value.
pub struct Change<'a> {
    pub label: &'a str,
    pub name: &'a str,
    pub value: &'a str,
    /// The present value, for the way back.
    pub now: Option<&'a str>,
    pub risk: &'a str,
}

/// The change as this platform makes it.
pub fn change(server: &Server, change: &Change<'_>) -> Remedy {
    let Change { label, name, value, now, risk } = change;
    let remedy = |kind, text: String, note: &str, undo: Option<String>| Remedy {
        kind,
        label: (*label).to_owned(),
        text,
        lock: None,
        risk: format!("{risk} {note}").trim().to_owned(),
        undo,
    };
    match server.platform.as_str() {
        PLAIN => {
            let set = |value: &str| format!("CONFIG SET {name} {}", quoted(value));
            remedy(RemedyKind::Redis, set(value), REWRITE, now.map(set))
        }
        "elasticache" => {
            let set = |value: &str| {
                format!(
                    "aws elasticache modify-cache-parameter-group --cache-parameter-group-name \"$PARAMETER_GROUP\" --parameter-name-values ParameterName={name},ParameterValue={value}"
                )
            };
            let note = "Default parameter groups cannot be changed: create one of your own first.";
            remedy(RemedyKind::Shell, set(value), note, now.map(set))
        }
        _ => {
            let text = format!("# {}: set {name} to {value} in its console.", platform_name(server));
            remedy(RemedyKind::Shell, text, "", now.map(|now| format!("# Set {name} back to {now}.")))
        }
    }
}

/// A value as redis-cli takes it.
fn quoted(value: &str) -> String {
    if value.is_empty() || value.contains(' ') { format!("\"{value}\"") } else { value.to_owned() }
}

/// Jobs, events and workflow state in the key sample.
pub fn queue_patterns(instance: &Instance) -> Result<Vec<&Pattern>, Gap> {
    Ok(instance.keys()?.patterns.iter().filter(|p| p.role.is_queue()).collect())
}

/// Cache keys and nothing else were seen, and every database was looked into.
pub fn holds_cache_alone(instance: &Instance) -> bool {
    instance.keys().is_ok_and(|k| !k.patterns.is_empty() && k.patterns.iter().all(|p| p.role.is_cache()) && is_all_reached(k))
}

/// What a finding about the whole instance touches: its largest key families, and first those it names.
pub fn touches<'p>(instance: &'p Instance, named: impl IntoIterator<Item = &'p Pattern>) -> Vec<String> {
    let largest = instance.keys().map(|k| &k.patterns[..k.patterns.len().min(TOUCHED_MAX)]).unwrap_or(&[]);
    let mut touches: Vec<String> = Vec::new();
    for pattern in named.into_iter().chain(largest) {
        let touch = format!("keys:{}", pattern.pattern);
        if !touches.contains(&touch) {
            touches.push(touch);
        }
    }
    touches
}

/// The major version of Medusa, told by the names of its keys where Postgres does not: prices as the cache of version 1 names them, and the
/// workflow engine and tagged cache that came with version 2.
pub fn major_by_keys(instance: &Instance) -> Option<u8> {
    let patterns = &instance.keys().ok()?.patterns;
    if patterns.iter().any(|p| matches!(p.role, Role::Workflows | Role::CacheTags)) {
        return Some(2);
    }
    patterns.iter().any(|p| p.pattern.starts_with("medusa:ps:variant_")).then_some(1)
}

/// The cache on a Redis of its own, where one policy cannot suit all that lies on the instance.
pub fn own_cache(instance: &Instance) -> Remedy {
    Remedy {
        kind: RemedyKind::MedusaConfig,
        label: "Give the cache its own instance".into(),
        text: by_major(major_by_keys(instance), OWN_CACHE_V2, OWN_CACHE_V1),
        lock: None,
        risk: "The cache starts empty. Set maxmemory and allkeys-lru on the new instance.".into(),
        undo: Some("Point redisUrl of the cache back at REDIS_URL.".into()),
    }
}

const OWN_CACHE_V1: &str = r#"// medusa-config.js (v1): queues stay on REDIS_URL, the cache goes to CACHE_REDIS_URL
modules: {
  cacheService: { resolve: "@medusajs/cache-redis", options: { redisUrl: process.env.CACHE_REDIS_URL } },
},"#;

const OWN_CACHE_V2: &str = r#"// medusa-config.ts (v2): queues stay on REDIS_URL, the cache goes to CACHE_REDIS_URL
modules: [
  {
    resolve: "@medusajs/medusa/caching",
    options: {
      providers: [
        {
          resolve: "@medusajs/caching-redis",
          id: "caching-redis",
          is_default: true,
          options: { redisUrl: process.env.CACHE_REDIS_URL },
        },
      ],
    },
  },
],"#;
