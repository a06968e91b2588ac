//! Commands to one instance: paced, counted and refused in words. Nothing else in the collector talks to the server.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use redis::{Arg, Cmd, Pipeline, Value};
use tokio::time::Instant;

use crate::connect::profile::RedisProfile;
use crate::connect::redis::{GRANTS, Opened, Refusal, lets_anybody_in, refusal_of_error, refusal_of_value};
use crate::evidence::redis::{Access, Network};
use crate::evidence::{Cause, Gap, Section};

/// An answer, or why there is none.
pub type Answer = Result<Value, Refusal>;

/// What we asked of the server ourselves: taken out of everything judged.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Own {
    /// Calls by the name that INFO COMMANDSTATS uses.
    pub calls: BTreeMap<String, u64>,
    /// Lookups of ours that INFO counts among the keyspace hits and misses.
    pub hits: u64,
    pub misses: u64,
}

impl Own {
    pub fn commands(&self) -> u64 {
        self.calls.values().sum()
    }

    /// Of another session with the same server.
    pub fn add(&mut self, other: &Own) {
        for (name, calls) in &other.calls {
            *self.calls.entry(name.clone()).or_default() += calls;
        }
        self.hits += other.hits;
        self.misses += other.misses;
    }
}

/// One open session and its books.
pub struct Session {
    opened: Opened,
    user: String,
    timeout_ms: u32,
    commands_per_s: u32,
    /// When the next command may be sent.
    free_at: Instant,
    pub own: Own,
    pub bytes: u64,
    /// OBJECT on a missing key counts as a keyspace miss on this version.
    pub counts_object_misses: bool,
    pub access: Access,
    /// The server's address and nothing that anybody may not know.
    stranger: RedisProfile,
    /// The connection is of no more use.
    pub is_lost: bool,
}

impl Session {
    pub fn new(opened: Opened, profile: &RedisProfile, has_password: bool, commands_per_s: u32, timeout: Duration) -> Self {
        let access = Access {
            is_tls: profile.is_tls,
            has_password,
            network: network(opened.address),
            is_named: !profile.user.is_empty(),
            has_certificate: profile.cert_file.is_some(),
            lets_anybody_in: None,
        };
        // The very server that this session reached: its name may lead to several.
        let server_name = profile.server_name.clone().or_else(|| Some(profile.host.clone()));
        let stranger = RedisProfile { host: opened.address.to_string(), server_name, ..profile.clone() };
        let user = if profile.user.is_empty() { "default".to_owned() } else { profile.user.clone() };
        Self {
            opened,
            user,
            timeout_ms: u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX),
            commands_per_s: commands_per_s.max(1),
            free_at: Instant::now(),
            own: Own::default(),
            bytes: 0,
            counts_object_misses: true,
            access,
            stranger,
            is_lost: false,
        }
    }

    /// Tries once whether the server lets in who gives neither password nor certificate: what this session gave may be asked of nobody else.
    pub async fn try_as_a_stranger(&mut self, limit: Duration) {
        if self.access.has_password || self.access.has_certificate {
            self.access.lets_anybody_in = lets_anybody_in(&self.stranger, limit).await;
            if self.access.lets_anybody_in == Some(true) {
                *self.own.calls.entry("dbsize".to_owned()).or_default() += 1;
            }
        }
    }

    /// Sends one command.
    pub async fn ask(&mut self, parts: &[&str]) -> Answer {
        let mut answers = self.ask_all(vec![command(parts)]).await?;
        answers.pop().unwrap_or(Err(Refusal::Dropped))
    }

    /// Sends several commands in one pipeline and waits for the budget first; the answers come in order, each on its own.
    ///
    /// # Errors
    /// The connection as a whole failed.
    pub async fn ask_all(&mut self, commands: Vec<Cmd>) -> Result<Vec<Answer>, Refusal> {
        if self.is_lost {
            return Err(Refusal::Dropped);
        }
        let count = commands.len();
        self.wait_for_budget(count).await;
        let mut pipeline = Pipeline::with_capacity(count);
        for command in commands {
            *self.own.calls.entry(stat_name(&command)).or_default() += 1;
            self.bytes += command.get_packed_command().len() as u64;
            pipeline.add_command(command);
        }
        match self.opened.connection.send_packed_commands(&pipeline, 0, count).await {
            Ok(values) => {
                self.bytes += values.iter().map(size).sum::<u64>();
                Ok(values.into_iter().map(|v| refusal_of_value(&v).map_or(Ok(v), Err)).collect())
            }
            Err(e) => {
                let refusal = refusal_of_error(&e);
                self.is_lost |= refusal.is_final();
                Err(refusal)
            }
        }
    }

    async fn wait_for_budget(&mut self, commands: usize) {
        let now = Instant::now();
        tokio::time::sleep_until(self.free_at).await;
        let spent = Duration::from_secs_f64(commands as f64 / f64::from(self.commands_per_s));
        self.free_at = self.free_at.max(now) + spent;
    }

    /// The gap that a refusal leaves: `what` is the command as a person writes it, `grant` the ACL rules that allow it.
    pub fn gap(&self, section: Section, what: &str, grant: &str, refusal: &Refusal) -> Gap {
        let cause = match refusal {
            Refusal::NoPermission(_) => Cause::Denied { grant: format!("ACL SETUSER {} {grant}", self.user) },
            Refusal::UnknownCommand => Cause::Absent { feature: what.to_owned(), remedy: String::new() },
            Refusal::TimedOut => Cause::TimedOut { limit_ms: self.timeout_ms },
            Refusal::NotSignedIn | Refusal::WrongPassword => Cause::Denied { grant: GRANTS.to_owned() },
            Refusal::Loading | Refusal::Dropped | Refusal::Certificate(_) => Cause::Unreachable,
            Refusal::Other(_) => Cause::Unreadable,
        };
        let detail = match refusal {
            Refusal::NoPermission(_) => format!("The user {} may not run {what}.", self.user),
            Refusal::UnknownCommand => format!("{what} is renamed or switched off on this server."),
            other => format!("{what}: {}", other.words()),
        };
        Gap::new(section, cause, detail)
    }
}

/// A command from its words.
pub fn command(parts: &[&str]) -> Cmd {
    let mut command = redis::cmd(parts[0]);
    for part in &parts[1..] {
        command.arg(*part);
    }
    command
}

fn network(address: IpAddr) -> Network {
    let address = address.to_canonical();
    let is_private = match address {
        // RFC 6598: what providers number their inner networks with.
        IpAddr::V4(v4) => v4.is_private() || v4.is_link_local() || (v4.octets()[0] == 100 && v4.octets()[1] & 0xc0 == 64),
        IpAddr::V6(v6) => v6.is_unique_local() || v6.is_unicast_link_local(),
    };
    match (address.is_loopback(), is_private) {
        (true, _) => Network::Loopback,
        (_, true) => Network::Private,
        _ => Network::Public,
    }
}

/// Of two ways to one server the one that lets more in: to the internet without a password, there in clear text, inside without a password.
pub fn more_exposed(one: Access, other: Access) -> Access {
    let exposure = |a: Access| {
        let (is_public, is_open) = (a.network == Network::Public, a.is_open().unwrap_or(false));
        (is_public && is_open, is_public && !a.is_tls, a.network == Network::Private && is_open, a.is_open().is_some())
    };
    if exposure(other) > exposure(one) { other } else { one }
}

/// Commands whose second word is part of the name.
const CONTAINERS: [&str; 7] = ["config", "slowlog", "latency", "client", "memory", "object", "command"];

/// `config|get`, `scan`: the name INFO COMMANDSTATS counts it under since Redis 7; older servers count `config`.
fn stat_name(command: &Cmd) -> String {
    let mut words = command.args_iter().map_while(|a| match a {
        Arg::Simple(word) => Some(String::from_utf8_lossy(word).to_lowercase()),
        _ => None,
    });
    let first = words.next().expect("a command has a name");
    match words.next() {
        Some(second) if CONTAINERS.contains(&first.as_str()) => format!("{first}|{second}"),
        _ => first,
    }
}

/// Bytes of a reply, about.
fn size(value: &Value) -> u64 {
    match value {
        Value::BulkString(b) => b.len() as u64 + 5,
        Value::Array(v) | Value::Set(v) => v.iter().map(size).sum::<u64>() + 4,
        Value::SimpleString(s) => s.len() as u64 + 3,
        _ => 4,
    }
}

/// A reply as text; `None` for anything else.
pub fn text(value: &Value) -> Option<String> {
    match value {
        Value::BulkString(b) => Some(String::from_utf8_lossy(b).into_owned()),
        Value::SimpleString(s) => Some(s.clone()),
        Value::Okay => Some("OK".to_owned()),
        Value::VerbatimString { text, .. } => Some(text.clone()),
        _ => None,
    }
}

/// A reply as a whole number; `None` for nil and anything else.
pub fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Int(i) => Some(*i),
        Value::BulkString(b) => std::str::from_utf8(b).ok()?.parse().ok(),
        _ => None,
    }
}

/// The server counts our lookups among the store's: they are taken out again.
pub fn count_lookup(session: &mut Session, is_hit: bool) {
    if is_hit {
        session.own.hits += 1;
    } else {
        session.own.misses += 1;
    }
}

/// A reply as a list.
pub fn list(value: &Value) -> Option<&[Value]> {
    match value {
        Value::Array(items) | Value::Set(items) => Some(items),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_ways_to_a_server_the_open_one_counts() {
        let way =
            |network, has_password, is_tls| Access { is_tls, has_password, network, is_named: false, has_certificate: false, lets_anybody_in: None };
        let open = way(Network::Public, false, true);
        let clear = way(Network::Public, true, false);
        let inside = way(Network::Private, false, false);
        let closed = way(Network::Public, true, true);
        let local = way(Network::Loopback, false, false);
        for (a, b, expected) in [(local, open, open), (open, clear, open), (clear, inside, clear), (closed, inside, inside), (local, closed, local)] {
            assert_eq!(more_exposed(a, b), expected);
        }
    }

    #[test]
    fn networks_are_told_by_address() {
        let of = |text: &str| network(text.parse().unwrap());
        assert_eq!((of("127.0.0.1"), of("::1"), of("::ffff:127.0.0.1")), (Network::Loopback, Network::Loopback, Network::Loopback));
        for inner in ["10.1.2.3", "172.31.0.9", "192.168.1.1", "100.64.0.1", "100.127.255.254", "169.254.1.1", "fd00::1", "fe80::1"] {
            assert_eq!(of(inner), Network::Private, "{inner}");
        }
        for outer in ["100.128.0.1", "172.32.0.1", "8.8.8.8", "2001:db8::1"] {
            assert_eq!(of(outer), Network::Public, "{outer}");
        }
    }
}
