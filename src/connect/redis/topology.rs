//! What stands behind one address: a server, the master that Sentinels name, or every primary of a cluster.

use std::time::Duration;

use redis::Value;

use super::{OpenError, OpenErrorKind, Opened, Refusal, Steps, ask, failed, open_error, open_stepwise};
use crate::connect::profile::{RedisPasswords, RedisProfile, Sentinel};

/// Primaries of a cluster that are read; a store has three, a large one a dozen.
const PRIMARIES_MAX: usize = 32;

/// The ACL rule that lets an audit find a cluster's other nodes.
pub const CLUSTER_GRANT: &str = "+cluster|slots";

/// The server that the profile's Sentinels name as master now, or the profile as it is where it has none.
///
/// # Errors
/// None of them answers, or none knows a master of that name.
pub async fn behind_sentinels(profile: &RedisProfile, passwords: RedisPasswords<'_>, limit: Duration) -> Result<RedisProfile, OpenError> {
    let Some(sentinel) = &profile.sentinel else { return Ok(profile.clone()) };
    // Of several failures the one that came furthest says most: a refused password more than a Sentinel that is down.
    let mut furthest: Option<(usize, OpenError)> = None;
    for (host, port) in sentinel.addresses(profile) {
        let mut steps = Steps::default();
        match master_by(&sentinel.place(profile, host, port), passwords, limit, &sentinel.master, (profile, &mut steps)).await {
            Ok((host, port)) => return Ok(RedisProfile { host, port, sentinel: None, ..profile.clone() }),
            Err(e) if furthest.as_ref().is_none_or(|(came, _)| *came <= steps.done.len()) => furthest = Some((steps.done.len(), e)),
            Err(_) => {}
        }
    }
    Err(furthest.map_or_else(|| failed(OpenErrorKind::Unreachable, "The address names no Sentinel."), |(_, e)| e))
}

/// Signs in to a Sentinel: with the Sentinels' own password where there is one, else without any, else with the store's.
async fn open_sentinel(
    place: &RedisProfile,
    passwords: RedisPasswords<'_>,
    limit: Duration,
    (profile, steps): (&RedisProfile, &mut Steps),
) -> Result<Opened, OpenError> {
    let first = open_stepwise(place, passwords.sentinels, limit, steps).await;
    let has_own = passwords.sentinels.is_some();
    let error = match first {
        Err(e) if e.kind == OpenErrorKind::SignIn && !has_own && passwords.server.is_some() => {
            // Many set one password and one user for both.
            let as_store = RedisProfile { user: profile.user.clone(), ..place.clone() };
            *steps = Steps::default();
            match open_stepwise(&as_store, passwords.server, limit, steps).await {
                Ok(opened) => return Ok(opened),
                Err(e) => e,
            }
        }
        Err(e) => e,
        Ok(opened) => return Ok(opened),
    };
    let (host, port) = (&place.host, place.port);
    let words = match error.kind {
        OpenErrorKind::SignIn if !has_own => {
            format!("The Sentinel {host}:{port} asks for a password of its own. Give the Sentinels' password: sentinel_password in the address.")
        }
        OpenErrorKind::SignIn => format!("The Sentinel {host}:{port}, with the Sentinels' own user and password: {}", error.words),
        // Resolved and connected: it fell at the handshake.
        _ if place.is_tls && steps.done.len() == 2 => {
            format!("The Sentinel {host}:{port}: {} Sentinels without TLS before servers with it: sentinel_tls=no.", error.words)
        }
        _ => format!("The Sentinel {host}:{port}: {}", error.words),
    };
    Err(failed(error.kind, words))
}

async fn master_by(
    place: &RedisProfile,
    passwords: RedisPasswords<'_>,
    limit: Duration,
    name: &str,
    known: (&RedisProfile, &mut Steps),
) -> Result<(String, u16), OpenError> {
    let mut opened = open_sentinel(place, passwords, limit, known).await?;
    let answer = ask(&mut opened, redis::cmd("SENTINEL").arg("GET-MASTER-ADDR-BY-NAME").arg(name)).await;
    let unknown = |known: &str| {
        failed(OpenErrorKind::Unreachable, format!("The Sentinel at {}:{} knows no master named {name}.{known}", place.host, place.port))
    };
    match answer {
        Ok(Value::Array(parts)) => match parts.as_slice() {
            [Value::BulkString(host), Value::BulkString(port)] => address(host, port).ok_or_else(|| unknown("")),
            _ => Err(unknown("")),
        },
        Ok(_) => {
            let names = master_names(&mut opened).await;
            Err(unknown(&if names.is_empty() { String::new() } else { format!(" It knows {}.", names.join(", ")) }))
        }
        Err(Refusal::UnknownCommand) => Err(failed(
            OpenErrorKind::Unreachable,
            format!(
                "{}:{} is no Sentinel. Give the port of the Sentinels (26379 by default), or leave the master's name out.",
                place.host, place.port
            ),
        )),
        Err(refusal) => Err(open_error(refusal)),
    }
}

async fn master_names(opened: &mut Opened) -> Vec<String> {
    let Ok(Value::Array(masters)) = ask(opened, redis::cmd("SENTINEL").arg("MASTERS")).await else { return Vec::new() };
    let name = |fields: &Value| match fields {
        Value::Array(f) => f.chunks(2).find_map(|pair| match pair {
            [Value::BulkString(k), Value::BulkString(v)] if k == b"name" => Some(String::from_utf8_lossy(v).into_owned()),
            _ => None,
        }),
        _ => None,
    };
    masters.iter().filter_map(name).collect()
}

fn address(host: &[u8], port: &[u8]) -> Option<(String, u16)> {
    Some((String::from_utf8(host.to_vec()).ok()?, std::str::from_utf8(port).ok()?.parse().ok()?))
}

/// Which kind of server answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Server,
    Cluster,
    Sentinel,
}

/// Asked of INFO; where it is refused, the server is taken for a single one.
pub async fn kind(opened: &mut Opened) -> Kind {
    let Ok(Value::BulkString(info)) = ask(opened, redis::cmd("INFO").arg("server")).await else { return Kind::Server };
    let text = String::from_utf8_lossy(&info).into_owned();
    let mode = text.lines().find_map(|l| l.strip_prefix("redis_mode:").or_else(|| l.strip_prefix("server_mode:"))).map(str::trim);
    match mode {
        Some("cluster") => Kind::Cluster,
        Some("sentinel") => Kind::Sentinel,
        _ => Kind::Server,
    }
}

/// The sentence for an address that turned out to be a Sentinel's, with the address to give instead.
pub async fn is_a_sentinel(opened: &mut Opened, profile: &RedisProfile) -> OpenError {
    let names = master_names(opened).await;
    let master = names.first().map_or("mymaster", String::as_str);
    let sentinel = Sentinel { master: master.to_owned(), ..Sentinel::default() };
    let url = RedisProfile { sentinel: Some(sentinel), ..profile.clone() }.url();
    let known = if names.is_empty() { String::new() } else { format!(" It looks after {}.", names.join(", ")) };
    failed(
        OpenErrorKind::Unreachable,
        format!("{}:{} is a Sentinel, which holds no keys.{known} Give the address as {url}", profile.host, profile.port),
    )
}

/// A profile for every primary of the cluster, in the order of their slots. The one that `profile` names stays as the user gave it.
///
/// # Errors
/// CLUSTER SLOTS is refused.
pub async fn primaries(opened: &mut Opened, profile: &RedisProfile) -> Result<Vec<RedisProfile>, Refusal> {
    let answer = ask(opened, redis::cmd("CLUSTER").arg("SLOTS")).await?;
    let own = ask(opened, redis::cmd("CLUSTER").arg("MYID")).await.ok();
    let Value::Array(ranges) = answer else { return Err(Refusal::Other("CLUSTER SLOTS answered in an unknown form".to_owned())) };
    let mut found: Vec<RedisProfile> = Vec::new();
    for (host, port, id) in ranges.iter().filter_map(primary) {
        // A node that was told no name of its own answers with nothing: it is the one that is asked.
        let host = if host.is_empty() { profile.host.clone() } else { host };
        let is_own = own.as_ref().is_some_and(|o| matches!((o, &id), (Value::BulkString(a), Some(b)) if a == b));
        let node = if is_own || (host == profile.host && port == profile.port) {
            RedisProfile { database: 0, ..profile.clone() }
        } else {
            let server_name = profile.server_name.clone().or_else(|| host.parse::<std::net::IpAddr>().is_ok().then(|| profile.host.clone()));
            RedisProfile { host, port, database: 0, server_name: server_name.filter(|_| profile.is_tls), ..profile.clone() }
        };
        if found.len() < PRIMARIES_MAX && !found.contains(&node) {
            found.push(node);
        }
    }
    Ok(found)
}

/// `[first slot, last slot, [host, port, id, …], replicas …]`.
fn primary(range: &Value) -> Option<(String, u16, Option<Vec<u8>>)> {
    let Value::Array(fields) = range else { return None };
    let Value::Array(node) = fields.get(2)? else { return None };
    let host = match node.first()? {
        Value::BulkString(host) => String::from_utf8(host.clone()).ok()?,
        _ => String::new(),
    };
    let Value::Int(port) = node.get(1)? else { return None };
    let id = node.get(2).and_then(|id| if let Value::BulkString(id) = id { Some(id.clone()) } else { None });
    Some((host, u16::try_from(*port).ok()?, id))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(s: &str) -> Value {
        Value::BulkString(s.as_bytes().to_vec())
    }

    #[test]
    fn primaries_are_read_from_the_slots() {
        let node = |host: &str, port| Value::Array(vec![bulk(host), Value::Int(port), bulk("id")]);
        let range = Value::Array(vec![Value::Int(0), Value::Int(5_460), node("10.0.0.1", 6_379), node("10.0.0.2", 6_379)]);
        assert_eq!(primary(&range), Some(("10.0.0.1".to_owned(), 6_379, Some(b"id".to_vec()))));
        let nameless = Value::Array(vec![Value::Int(0), Value::Int(1), Value::Array(vec![Value::Nil, Value::Int(7_001)])]);
        assert_eq!(primary(&nameless), Some((String::new(), 7_001, None)));
        for odd in [Value::Nil, Value::Array(vec![]), Value::Array(vec![Value::Int(0), Value::Int(1), node("h", 70_000)])] {
            assert_eq!(primary(&odd), None);
        }
    }
}
