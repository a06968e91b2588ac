//! A store as the user described it. Profiles hold no secret: passwords and tokens live in the keychain or are asked for.

mod redis;
mod shop;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use url::Url;

use crate::secret::Secret;

pub use redis::{KeyRole, RedisPasswords, RedisProfile, Sentinel, parse_redis, parse_roles, roles_text, sentinel_password};
pub use shop::{FixedAddress, ShopProfile, parse_resolve, parse_shop};

/// One saved store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// Stable and unique among the saved stores; names the folder of its audits.
    pub id: String,
    pub name: String,
    pub environment: Environment,
    pub postgres: Option<PostgresProfile>,
    /// Cache, queue and session instances may be apart.
    #[serde(default)]
    pub redis: Vec<RedisProfile>,
    pub cloudflare: Option<CloudflareProfile>,
    /// A store may have CloudFront beside Cloudflare: for its media, as a rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloudfront: Option<CloudFrontProfile>,
    pub shop: Option<ShopProfile>,
    pub keep_secrets: KeepSecrets,
    #[serde(default)]
    pub limits: Limits,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Environment {
    Production,
    Staging,
    Development,
    Demo,
}

impl Environment {
    pub fn id(self) -> &'static str {
        match self {
            Environment::Production => "production",
            Environment::Staging => "staging",
            Environment::Development => "development",
            Environment::Demo => "demo",
        }
    }
}

/// Where the store's secrets are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeepSecrets {
    Keychain,
    AskEachTime,
    /// `PGPASSWORD`, `MEDUSA_ADVISOR_REDIS_PASSWORD`, `MEDUSA_ADVISOR_SENTINEL_PASSWORD`, `CLOUDFLARE_API_TOKEN`.
    Environment,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PostgresProfile {
    pub host: String,
    pub port: u16,
    pub database: String,
    pub user: String,
    pub tls: TlsMode,
    /// PEM file of the certificate authority.
    pub ca_file: Option<String>,
    /// Memory of the server's machine, which the server does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// The store's other nodes, replicas as a rule: only their usage counters are read. Theirs are not looked at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<PostgresProfile>,
}

/// libpq's `sslmode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TlsMode {
    Disable,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

impl TlsMode {
    pub const ALL: [TlsMode; 5] = [TlsMode::Disable, TlsMode::Prefer, TlsMode::Require, TlsMode::VerifyCa, TlsMode::VerifyFull];

    pub fn id(self) -> &'static str {
        match self {
            TlsMode::Disable => "disable",
            TlsMode::Prefer => "prefer",
            TlsMode::Require => "require",
            TlsMode::VerifyCa => "verify-ca",
            TlsMode::VerifyFull => "verify-full",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CloudflareProfile {
    /// Zone name (`example.com`) or its 32-digit id.
    pub zone: String,
    /// Another endpoint for emulators and proxies.
    pub base_url: Option<String>,
}

/// Every distribution the account has, up to the limit.
pub const ALL_DISTRIBUTIONS: &str = "all";

/// CloudFront distributions and the buckets behind them. Credentials come from AWS' own chain (profile, SSO, keys of the environment,
/// assumed role, instance role) and are never kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CloudFrontProfile {
    /// Ids (`E2QWRUHAPOMQZL`), `d111.cloudfront.net` names, aliases or [`ALL_DISTRIBUTIONS`]; empty: those that carry the storefront's or the
    /// media's hosts, and all of them where no host is known.
    pub distributions: Vec<String>,
    /// Name of the profile in `~/.aws/config`; absent: `AWS_PROFILE` or the default one.
    pub aws_profile: Option<String>,
    /// Region of the buckets' requests; CloudFront and its metrics live in us-east-1.
    pub region: Option<String>,
    /// Another endpoint for emulators and proxies.
    pub endpoint: Option<String>,
}

/// Everything takes a limit, and says so when it bites.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// Observation window, seconds, 5 to 1,800.
    pub window_s: u32,
    /// Postgres: `set local statement_timeout` and `lock_timeout`, milliseconds.
    pub statement_timeout_ms: u32,
    pub lock_timeout_ms: u32,
    /// Redis: commands a second, sampled keys, seconds of scanning an instance.
    pub redis_commands_per_s: u32,
    pub redis_keys_max: u32,
    pub redis_scan_s_max: u32,
    /// HTTP: requests and bytes a run, timings of each store API endpoint among them, bytes of one body, seconds of one request.
    pub probe_requests_max: u32,
    pub probe_bytes_max: u64,
    pub probe_timings: u32,
    pub probe_body_bytes_max: u64,
    pub probe_timeout_s: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            window_s: 30,
            statement_timeout_ms: 1_000,
            lock_timeout_ms: 100,
            redis_commands_per_s: 1_500,
            redis_keys_max: 10_000,
            redis_scan_s_max: 25,
            probe_requests_max: 60,
            probe_bytes_max: 20_000_000,
            probe_timings: 20,
            probe_body_bytes_max: 2_000_000,
            probe_timeout_s: 10,
        }
    }
}

pub const WINDOW_S_MIN: u32 = 5;
pub const WINDOW_S_MAX: u32 = 1_800;

impl Limits {
    pub fn connect_timeout(&self) -> Duration {
        Duration::from_secs(u64::from(self.probe_timeout_s))
    }
}

/// Secrets of one store, held in memory only while they are needed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Secrets {
    pub postgres_password: Option<Secret<String>>,
    /// In the order of `PostgresProfile::nodes`; a node without one is signed in to with `postgres_password`: replicas have the
    /// primary's roles.
    pub node_passwords: Vec<Option<Secret<String>>>,
    /// In the order of `Profile::redis`.
    pub redis_passwords: Vec<Option<Secret<String>>>,
    /// The Sentinels' own, in the order of `Profile::redis`; Sentinels without one are asked without a password, then with the store's.
    pub sentinel_passwords: Vec<Option<Secret<String>>>,
    pub cloudflare_token: Option<Secret<String>>,
}

impl Secrets {
    /// Of the Redis that is `i`th in `Profile::redis`.
    pub fn redis(&self, i: usize) -> RedisPasswords<'_> {
        let [server, sentinels] = [&self.redis_passwords, &self.sentinel_passwords].map(|of| of.get(i).and_then(Option::as_ref));
        RedisPasswords { server, sentinels }
    }

    /// Nothing is left to be fetched for the store's Redis.
    pub fn has_all_of_redis(&self, profile: &Profile) -> bool {
        profile.redis.iter().enumerate().all(|(i, redis)| {
            let given = self.redis(i);
            given.server.is_some() && (redis.sentinel.is_none() || given.sentinels.is_some())
        })
    }

    /// A service's secret is there: its nodes' alone open nothing.
    pub fn has_any(&self) -> bool {
        let of_redis = self.redis_passwords.iter().chain(&self.sentinel_passwords);
        self.postgres_password.is_some() || self.cloudflare_token.is_some() || of_redis.into_iter().any(Option::is_some)
    }
}

/// Why a pasted address was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    #[error("This is not an address. Paste one like {example}.")]
    NotAnAddress { example: &'static str },
    #[error("The address starts with {found}://; {expected} is needed here.")]
    WrongScheme { found: String, expected: &'static str },
    #[error("The address names no {what}. Paste one like {example}.")]
    Missing { what: &'static str, example: &'static str },
    #[error("{0}")]
    Roles(String),
    #[error("{name} in the address must be {expected}.")]
    Word { name: &'static str, expected: &'static str },
}

const POSTGRES_EXAMPLE: &str = "postgres://medusa_advisor@db.example.com:5432/medusa";

/// Reads a `postgres://` or `postgresql://` URL. `sslmode` and `sslrootcert` are honoured; the password comes back apart.
pub fn parse_postgres(text: &str) -> Result<(PostgresProfile, Option<Secret<String>>), AddressError> {
    let url = Url::parse(text.trim()).map_err(|_| AddressError::NotAnAddress { example: POSTGRES_EXAMPLE })?;
    if !matches!(url.scheme(), "postgres" | "postgresql") {
        return Err(AddressError::WrongScheme { found: url.scheme().to_owned(), expected: "postgres://" });
    }
    let query = |name: &str| url.query_pairs().find(|(k, _)| k == name).map(|(_, v)| v.into_owned());
    let host = host_of(&url).or_else(|| query("host")).ok_or(AddressError::Missing { what: "host", example: POSTGRES_EXAMPLE })?;
    let database = percent_decode(url.path().trim_start_matches('/'));
    if database.is_empty() {
        return Err(AddressError::Missing { what: "database", example: POSTGRES_EXAMPLE });
    }
    let user = percent_decode(url.username());
    let tls = match query("sslmode").or_else(|| query("ssl-mode")).as_deref() {
        Some("disable") => TlsMode::Disable,
        Some("require") => TlsMode::Require,
        Some("verify-ca") => TlsMode::VerifyCa,
        Some("verify-full") => TlsMode::VerifyFull,
        _ => TlsMode::Prefer,
    };
    let profile = PostgresProfile {
        host,
        port: url.port().unwrap_or(5432),
        database,
        user: if user.is_empty() { "postgres".to_owned() } else { user },
        tls,
        ca_file: query("sslrootcert"),
        memory_bytes: None,
        nodes: Vec::new(),
    };
    Ok((profile, url.password().map(|p| Secret::new(percent_decode(p)))))
}

/// Smaller is no machine that Postgres runs on, larger a slip of the pen.
const MEMORY_BYTES: std::ops::RangeInclusive<u64> = 128 * 1_024 * 1_024..=64 * 1_024_u64.pow(4);

/// Reads the memory of a machine: "16GiB", "16 GB", "16G", "512MB". Memory is sold in powers of two, whatever the unit is called.
pub fn parse_memory(text: &str) -> Result<u64, String> {
    let wrong = || format!("\"{}\" is not the memory of a machine: a size like 16GiB is needed, 128MiB to 64TiB.", text.trim());
    let text = text.trim();
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let number: f64 = text[..end].parse().map_err(|_| wrong())?;
    let power = match text[end..].trim().to_ascii_lowercase().as_str() {
        "m" | "mb" | "mib" => 2,
        "g" | "gb" | "gib" => 3,
        "t" | "tb" | "tib" => 4,
        _ => return Err(wrong()),
    };
    let bytes = (number * 1_024_f64.powi(power)) as u64;
    if MEMORY_BYTES.contains(&bytes) { Ok(bytes) } else { Err(wrong()) }
}

/// The memory of a machine as [`parse_memory`] reads it: "16GiB".
pub fn memory_text(bytes: u64) -> String {
    const MIB: u64 = 1_024 * 1_024;
    if bytes.is_multiple_of(1_024 * MIB) { format!("{}GiB", bytes / MIB / 1_024) } else { format!("{}MiB", bytes / MIB) }
}

impl PostgresProfile {
    /// `host:port`, for display.
    pub fn address(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// As a node of `store`: with its TLS where the node's own address says nothing about that.
    pub fn as_node_of(mut self, store: &PostgresProfile) -> Self {
        if self.tls == TlsMode::Prefer {
            self.tls = store.tls;
        }
        self.ca_file = self.ca_file.or_else(|| store.ca_file.clone());
        self
    }

    /// The URL without a password, for the field on the Connect page.
    pub fn url(&self) -> String {
        let tls = if self.tls == TlsMode::Prefer { String::new() } else { format!("?sslmode={}", self.tls.id()) };
        format!("postgres://{}@{}:{}/{}{tls}", self.user, self.host, self.port, self.database)
    }
}

/// A stable id for a new store: its name in lower case, made unique among `taken`.
pub fn new_id(name: &str, taken: &[String]) -> String {
    let mut base: String = name.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    while base.contains("--") {
        base = base.replace("--", "-");
    }
    let base = base.trim_matches('-').chars().take(40).collect::<String>();
    let base = if base.is_empty() { "store".to_owned() } else { base };
    (1..).map(|n| if n == 1 { base.clone() } else { format!("{base}-{n}") }).find(|id| !taken.contains(id)).expect("some number is free")
}

fn host_of(url: &Url) -> Option<String> {
    url.host_str().filter(|h| !h.is_empty()).map(|h| percent_decode(h.trim_start_matches('[').trim_end_matches(']')))
}

/// Undoes percent encoding; what is not valid UTF-8 after it stays encoded.
fn percent_decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let raw = text.as_bytes();
    let mut i = 0;
    while i < raw.len() {
        let hex = (raw[i] == b'%').then(|| text.get(i + 1..i + 3)).flatten().and_then(|h| u8::from_str_radix(h, 16).ok());
        match hex {
            Some(b) => {
                bytes.push(b);
                i += 3;
            }
            None => {
                bytes.push(raw[i]);
                i += 1;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_postgres_url_fills_the_fields() {
        let (p, secret) = parse_postgres("postgresql://medusa:p%40ss@db.example.com/shop?sslmode=verify-full&sslrootcert=/ca.pem").unwrap();
        assert_eq!((p.host.as_str(), p.port, p.database.as_str(), p.user.as_str()), ("db.example.com", 5432, "shop", "medusa"));
        assert_eq!((p.tls, p.ca_file.as_deref()), (TlsMode::VerifyFull, Some("/ca.pem")));
        assert_eq!(secret.unwrap().expose(), "p@ss");
        assert!(!p.url().contains("p@ss"));
    }

    #[test]
    fn wrong_addresses_say_what_is_needed() {
        assert_eq!(parse_postgres("mysql://u@h/d").unwrap_err().to_string(), "The address starts with mysql://; postgres:// is needed here.");
        assert!(matches!(parse_postgres("db.example.com"), Err(AddressError::NotAnAddress { .. })));
        assert!(matches!(parse_postgres("postgres://u@h"), Err(AddressError::Missing { what: "database", .. })));
    }

    #[test]
    fn memory_is_read_in_powers_of_two() {
        for (text, gib) in [("16GiB", 16.0), ("16 GB", 16.0), (" 16g ", 16.0), ("1.5GiB", 1.5), ("512MB", 0.5), ("2TiB", 2_048.0)] {
            assert_eq!(parse_memory(text), Ok((gib * 1_024_f64.powi(3)) as u64), "{text}");
        }
        for wrong in ["", "16", "GiB", "16 apples", "100MB", "65TiB", "-1GiB"] {
            assert!(parse_memory(wrong).is_err(), "{wrong}");
        }
        for text in ["16GiB", "1536MiB"] {
            assert_eq!(memory_text(parse_memory(text).unwrap()), text);
        }
    }

    #[test]
    fn ids_are_stable_words() {
        assert_eq!(new_id("Harbor & Pine", &[]), "harbor-pine");
        assert_eq!(new_id("Harbor & Pine", &["harbor-pine".into()]), "harbor-pine-2");
        assert_eq!(new_id("日本", &[]), "store");
    }
}
