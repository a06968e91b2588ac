//! The address of a Redis: a server, a node of a cluster, or Sentinels.

use serde::{Deserialize, Serialize};
use url::Url;

use super::{AddressError, host_of, percent_decode};
use crate::secret::Secret;

const REDIS_EXAMPLE: &str = "redis://cache.example.com:6379/0";
const SENTINEL_EXAMPLE: &str = "redis+sentinel://sentinel.example.com:26379/mymaster";
const REDIS_PORT: u16 = 6_379;
const SENTINEL_PORT: u16 = 26_379;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RedisProfile {
    pub host: String,
    pub port: u16,
    /// Logical database to start from; all databases in use are sampled.
    pub database: u32,
    /// ACL user; empty: the default user.
    pub user: String,
    pub is_tls: bool,
    pub ca_file: Option<String>,
    /// Client certificate and its key, PEM files, for servers that ask for one.
    #[serde(default)]
    pub cert_file: Option<String>,
    #[serde(default)]
    pub key_file: Option<String>,
    /// The name in the server's certificate (and SNI) where it is not `host`.
    #[serde(default)]
    pub server_name: Option<String>,
    /// `host` and `port` are a Sentinel's.
    #[serde(default)]
    pub sentinel: Option<Sentinel>,
    /// What keys of the store's own prefixes are for, where their names do not say it.
    #[serde(default)]
    pub roles: Vec<KeyRole>,
}

/// A prefix of keys and what they are for: "cache", "sessions", "events", "workflows", "queue", "locks" or "other".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRole {
    pub prefix: String,
    pub role: String,
}

/// What keys may be for.
pub const ROLES: [&str; 7] = ["cache", "sessions", "events", "workflows", "queue", "locks", "other"];

/// Reads "acme:=cache, mails:=queue".
///
/// # Errors
/// One sentence that names the part which is no prefix and role.
pub fn parse_roles(text: &str) -> Result<Vec<KeyRole>, String> {
    let parts = text.split(',').map(str::trim).filter(|p| !p.is_empty());
    let role = |part: &str| match part.rsplit_once('=').map(|(prefix, role)| (prefix.trim(), role.trim())) {
        Some((prefix, role)) if !prefix.is_empty() && ROLES.contains(&role) => Ok(KeyRole { prefix: prefix.to_owned(), role: role.to_owned() }),
        Some((prefix, role)) if !prefix.is_empty() => Err(format!("\"{role}\" is none of {}.", ROLES.join(", "))),
        _ => Err(format!("\"{part}\" is no prefix with its role: write acme:=cache.")),
    };
    parts.map(role).collect()
}

/// The roles as [`parse_roles`] reads them.
pub fn roles_text(roles: &[KeyRole]) -> String {
    roles.iter().map(|r| format!("{}={}", r.prefix, r.role)).collect::<Vec<_>>().join(", ")
}

/// The Sentinels beside the profile's own address, and the name they know the master by.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sentinel {
    pub master: String,
    /// `host:port` of further Sentinels, asked where the first does not answer.
    pub others: Vec<String>,
    /// ACL user at the Sentinels, to whom their own password belongs; empty: the default user.
    #[serde(default)]
    pub user: String,
    /// Whether the Sentinels speak TLS; absent: as the servers behind them do.
    #[serde(default)]
    pub is_tls: Option<bool>,
    /// PEM file of the authority that signed the Sentinels' certificates; absent: the servers'.
    #[serde(default)]
    pub ca_file: Option<String>,
    /// The name in the Sentinels' certificates; absent: the servers'.
    #[serde(default)]
    pub server_name: Option<String>,
}

/// The passwords of one Redis. Sentinels are signed in to apart from the servers behind them.
#[derive(Debug, Clone, Copy, Default)]
pub struct RedisPasswords<'a> {
    pub server: Option<&'a Secret<String>>,
    pub sentinels: Option<&'a Secret<String>>,
}

impl<'a> RedisPasswords<'a> {
    /// Where no Sentinel has one of its own.
    pub fn of_server(server: Option<&'a Secret<String>>) -> Self {
        Self { server, sentinels: None }
    }
}

impl Sentinel {
    /// The Sentinel at `host` and `port` as the profile of a server, to be connected to.
    pub fn place(&self, profile: &RedisProfile, host: String, port: u16) -> RedisProfile {
        RedisProfile {
            host,
            port,
            database: 0,
            user: self.user.clone(),
            is_tls: self.is_tls.unwrap_or(profile.is_tls),
            ca_file: self.ca_file.clone().or_else(|| profile.ca_file.clone()),
            server_name: self.server_name.clone().or_else(|| profile.server_name.clone()),
            sentinel: None,
            ..profile.clone()
        }
    }

    /// What of a URL's query is about the Sentinels alone.
    fn query(&self) -> Vec<String> {
        let tls = self.is_tls.map(|on| if on { "yes" } else { "no" }.to_owned());
        let user = Some(self.user.clone()).filter(|u| !u.is_empty());
        let parts = [("user", user), ("tls", tls), ("ca", self.ca_file.clone()), ("sni", self.server_name.clone())];
        parts.into_iter().filter_map(|(name, value)| Some(format!("sentinel_{name}={}", value?))).collect()
    }

    /// Every Sentinel, the profile's own first.
    pub fn addresses(&self, profile: &RedisProfile) -> Vec<(String, u16)> {
        let own = (profile.host.clone(), profile.port);
        std::iter::once(own).chain(self.others.iter().map(|o| host_and_port(o, SENTINEL_PORT))).collect()
    }
}

/// Reads a `redis://` or `rediss://` URL, or of Sentinels `redis+sentinel://host:26379,host2:26379/mymaster/0`; the password comes back
/// apart. The query may give `ca`, `cert` and `key` (PEM files), `sni` (the name in the server's certificate) and `roles` (see [`parse_roles`]);
/// of Sentinels that differ from the servers behind them also `sentinel_user`, `sentinel_password` (see [`sentinel_password`]),
/// `sentinel_tls` (yes or no), `sentinel_ca` and `sentinel_sni`.
pub fn parse_redis(text: &str) -> Result<(RedisProfile, Option<Secret<String>>), AddressError> {
    let text = text.trim();
    let (scheme, is_sentinel) = match text.split_once("://").map(|(s, _)| s).and_then(|s| s.strip_suffix("+sentinel")) {
        Some(scheme) => (Some(scheme), true),
        None => (None, false),
    };
    // A URL holds one host: the others are read apart.
    let (first, others) = if is_sentinel { one_host(text) } else { (text.to_owned(), Vec::new()) };
    let url = Url::parse(&first).map_err(|_| AddressError::NotAnAddress { example: REDIS_EXAMPLE })?;
    let scheme = scheme.unwrap_or(url.scheme()).to_owned();
    if !matches!(scheme.as_str(), "redis" | "rediss" | "valkey" | "valkeys") {
        return Err(AddressError::WrongScheme { found: url.scheme().to_owned(), expected: "redis:// or rediss://" });
    }
    let host = host_of(&url).ok_or(AddressError::Missing { what: "host", example: REDIS_EXAMPLE })?;
    let query = |name: &str| url.query_pairs().find(|(k, _)| k == name).map(|(_, v)| v.into_owned()).filter(|v| !v.is_empty());
    let mut path = url.path().trim_start_matches('/').split('/');
    let master = if is_sentinel { path.next().map(percent_decode).filter(|m| !m.is_empty()) } else { None };
    if is_sentinel && master.is_none() {
        return Err(AddressError::Missing { what: "master", example: SENTINEL_EXAMPLE });
    }
    let sentinel = match master {
        Some(master) => Some(Sentinel {
            master,
            others,
            user: query("sentinel_user").unwrap_or_else(String::new),
            is_tls: query("sentinel_tls").map(|word| yes_or_no(&word)).transpose()?,
            ca_file: query("sentinel_ca"),
            server_name: query("sentinel_sni"),
        }),
        None => None,
    };
    let profile = RedisProfile {
        port: url.port().unwrap_or(if is_sentinel { SENTINEL_PORT } else { REDIS_PORT }),
        database: path.next().and_then(|d| d.parse().ok()).unwrap_or(0),
        user: percent_decode(url.username()),
        is_tls: scheme.ends_with('s') && scheme != "redis",
        ca_file: query("ca"),
        cert_file: query("cert"),
        key_file: query("key"),
        server_name: query("sni"),
        sentinel,
        roles: query("roles").map_or(Ok(Vec::new()), |text| parse_roles(&text)).map_err(AddressError::Roles)?,
        ..RedisProfile::at(&host, REDIS_PORT)
    };
    Ok((profile, url.password().map(|p| Secret::new(percent_decode(p)))))
}

fn yes_or_no(word: &str) -> Result<bool, AddressError> {
    match word {
        "yes" | "true" | "1" => Ok(true),
        "no" | "false" | "0" => Ok(false),
        _ => Err(AddressError::Word { name: "sentinel_tls", expected: "yes or no" }),
    }
}

/// The Sentinels' own password in such a URL, if it gives one.
pub fn sentinel_password(text: &str) -> Option<Secret<String>> {
    let url = Url::parse(&one_host(text.trim()).0).ok()?;
    let given = url.query_pairs().find(|(k, v)| k == "sentinel_password" && !v.is_empty());
    given.map(|(_, v)| Secret::new(v.into_owned()))
}

/// `scheme://user@a:1,b:2/master` as `scheme://user@a:1/master` and `["b:2"]`.
fn one_host(text: &str) -> (String, Vec<String>) {
    let Some((scheme, rest)) = text.split_once("://") else { return (text.to_owned(), Vec::new()) };
    let (authority, tail) = rest.find(['/', '?']).map_or((rest, ""), |at| rest.split_at(at));
    let (user, hosts) = authority.rsplit_once('@').map_or(("", authority), |(_, hosts)| authority.split_at(authority.len() - hosts.len()));
    let mut hosts = hosts.split(',').map(str::trim).filter(|h| !h.is_empty());
    let first = hosts.next().unwrap_or("");
    (format!("{scheme}://{user}{first}{tail}"), hosts.map(str::to_owned).collect())
}

/// `host:port`, `[::1]:port` or a host alone.
fn host_and_port(text: &str, usual: u16) -> (String, u16) {
    let bare = |host: &str| host.trim_start_matches('[').trim_end_matches(']').to_owned();
    match text.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?))) {
        // An IPv6 address without brackets has colons of its own.
        Some((host, port)) if !host.contains(':') || host.starts_with('[') => (bare(host), port),
        _ => (bare(text), usual),
    }
}

impl RedisProfile {
    /// A server without user, password or TLS.
    pub fn at(host: &str, port: u16) -> Self {
        Self {
            host: host.to_owned(),
            port,
            database: 0,
            user: String::new(),
            is_tls: false,
            ca_file: None,
            cert_file: None,
            key_file: None,
            server_name: None,
            sentinel: None,
            roles: Vec::new(),
        }
    }

    /// `host:port/database`, for display.
    pub fn address(&self) -> String {
        format!("{}:{}/{}", self.host, self.port, self.database)
    }

    /// The URL without a password.
    pub fn url(&self) -> String {
        let secure = if self.is_tls { "rediss" } else { "redis" };
        let user = if self.user.is_empty() { String::new() } else { format!("{}@", self.user) };
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        let (kind, others, master) = match &self.sentinel {
            Some(s) => ("+sentinel", s.others.iter().map(|o| format!(",{o}")).collect(), format!("{}/", s.master)),
            None => ("", String::new(), String::new()),
        };
        let files = [("ca", &self.ca_file), ("cert", &self.cert_file), ("key", &self.key_file), ("sni", &self.server_name)];
        let roles = (!self.roles.is_empty()).then(|| format!("roles={}", roles_text(&self.roles).replace(", ", ",")));
        let files = files.iter().filter_map(|(name, value)| value.as_ref().map(|v| format!("{name}={v}")));
        let query: Vec<String> = files.chain(self.sentinel.iter().flat_map(Sentinel::query)).chain(roles).collect();
        let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
        format!("{secure}{kind}://{user}{host}:{}{others}/{master}{}{query}", self.port, self.database)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redis_url_fills_the_fields() {
        let (p, secret) = parse_redis("rediss://advisor:x@[::1]:6380/2").unwrap();
        assert_eq!((p.host.as_str(), p.port, p.database, p.is_tls, p.user.as_str()), ("::1", 6380, 2, true, "advisor"));
        assert_eq!(secret.unwrap().expose(), "x");
        assert!(!parse_redis("redis://h").unwrap().0.is_tls);
    }

    #[test]
    fn a_redis_url_names_certificates_and_sentinels() {
        let (p, _) = parse_redis("rediss://h:6380/0?ca=/ca.pem&cert=/c.pem&key=/k.pem&sni=cache.internal").unwrap();
        assert_eq!((p.ca_file.as_deref(), p.cert_file.as_deref(), p.key_file.as_deref()), (Some("/ca.pem"), Some("/c.pem"), Some("/k.pem")));
        assert_eq!(p.server_name.as_deref(), Some("cache.internal"));
        let (p, secret) = parse_redis("redis+sentinel://advisor:p%2Cw@s1:26380, s2,[::1]:26381/shop/2").unwrap();
        let sentinel = p.sentinel.clone().unwrap();
        assert_eq!((sentinel.master.as_str(), p.database, p.user.as_str()), ("shop", 2, "advisor"));
        assert_eq!(sentinel.addresses(&p), [("s1".to_owned(), 26_380), ("s2".to_owned(), 26_379), ("::1".to_owned(), 26_381)]);
        assert_eq!(secret.unwrap().expose(), "p,w");
        let (p, _) = parse_redis("redis://h?roles=acme:=cache,%20mails:=queue").unwrap();
        assert_eq!(roles_text(&p.roles), "acme:=cache, mails:=queue");
        assert_eq!(parse_redis("redis://h?roles=acme:=fast").unwrap_err().to_string(), format!("\"fast\" is none of {}.", ROLES.join(", ")));
        assert!(parse_roles("acme").unwrap_err().contains("write acme:=cache"));
        for url in [
            "redis://h:6379/0?roles=acme:=cache,x=locks",
            "rediss://h:6380/1?ca=/ca.pem&sni=x",
            "redis+sentinel://u@s1:26380,s2:1/shop/2",
            "redis://[::1]:6379/0",
        ] {
            assert_eq!(parse_redis(url).unwrap().0.url(), url);
        }
        let url = "rediss+sentinel://s1:1,s2:2/shop/0?ca=/ca.pem&sentinel_user=watch&sentinel_tls=no&sentinel_ca=/s.pem&sentinel_sni=s.internal";
        let (p, _) = parse_redis(&format!("{url}&sentinel_password=p%26w")).unwrap();
        assert_eq!(p.url(), url, "without the password");
        assert_eq!(sentinel_password(&format!("{url}&sentinel_password=p%26w")).unwrap().expose(), "p&w");
        assert!(sentinel_password(url).is_none() && !format!("{p:?}").contains("p&w"));
        let place = p.sentinel.clone().unwrap().place(&p, "s2".to_owned(), 2);
        assert_eq!((place.user.as_str(), place.is_tls, place.ca_file.as_deref()), ("watch", false, Some("/s.pem")));
        assert_eq!(place.server_name.as_deref(), Some("s.internal"));
        assert!(p.is_tls && p.user.is_empty() && p.server_name.is_none(), "the servers keep theirs");
        let plain = Sentinel { master: "shop".into(), ..Sentinel::default() };
        let place = plain.place(&p, "s2".to_owned(), 2);
        assert!(place.is_tls && place.ca_file.as_deref() == Some("/ca.pem"), "as the servers where nothing else is said");
        let error = parse_redis("rediss+sentinel://s1/shop?sentinel_tls=perhaps").unwrap_err();
        assert_eq!(error.to_string(), "sentinel_tls in the address must be yes or no.");
        assert!(matches!(parse_redis("redis+sentinel://s1"), Err(AddressError::Missing { what: "master", .. })));
    }
}
