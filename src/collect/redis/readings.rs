//! CONFIG, SLOWLOG, LATENCY and CLIENT LIST: what they tell, without arguments, addresses or people.

use std::collections::BTreeMap;

use base64::Engine;
use redis::Value;

use super::pattern::{Names, reduce};
use super::session::{Session, command, integer, list, text};
use super::words;
use crate::connect::redis::{CLIENT_NAME, Refusal};
use crate::evidence::redis::{ClientGroup, Config, LatencyEvent, SlowEntry};
use crate::evidence::{Cause, Gap, Section, Seen};

/// Settings that checks and the report speak of. Passwords (requirepass, masterauth, tls-key-file-pass) are never asked for.
const SETTINGS: [&str; 24] = [
    "active-expire-effort",
    "activedefrag",
    "appendfsync",
    "appendonly",
    "databases",
    "hz",
    "latency-monitor-threshold",
    "lazyfree-lazy-eviction",
    "lazyfree-lazy-expire",
    "lfu-decay-time",
    "lfu-log-factor",
    "maxclients",
    "maxmemory",
    "maxmemory-policy",
    "maxmemory-samples",
    "notify-keyspace-events",
    "protected-mode",
    "repl-backlog-size",
    "save",
    "slowlog-log-slower-than",
    "slowlog-max-len",
    "stop-writes-on-bgsave-error",
    "tcp-keepalive",
    "timeout",
];
/// Redis keeps 128 by default; a server that logs more commands keeps more of them for an audit to see its whole window.
const SLOWLOG_ENTRIES: &str = "1024";
/// Groups of clients kept; a store has a dozen.
const CLIENT_GROUPS_MAX: usize = 200;

pub async fn config(session: &mut Session) -> Seen<Config> {
    let commands = SETTINGS.iter().map(|name| command(&["CONFIG", "GET", name])).collect();
    let gap = |s: &Session, r: &Refusal| s.gap(Section::RedisConfig, "CONFIG GET", "+config|get", r);
    let answers = session.ask_all(commands).await.map_err(|r| gap(session, &r))?;
    let mut values = Vec::new();
    let mut refused = None;
    for (name, answer) in SETTINGS.iter().zip(answers) {
        match answer {
            // A setting this version does not have is an empty list.
            Ok(reply) => values.extend(list(&reply).and_then(|pair| text(pair.get(1)?)).map(|v| ((*name).to_owned(), v))),
            Err(refusal) => refused = Some(refusal),
        }
    }
    match refused {
        Some(refusal) if values.is_empty() => Err(gap(session, &refusal)),
        None if values.is_empty() => Err(Gap::new(
            Section::RedisConfig,
            Cause::Absent { feature: "CONFIG GET".into(), remedy: String::new() },
            "CONFIG GET is answered with nothing on this server; its provider shows the settings.",
        )),
        _ => Ok(Config { values }),
    }
}

/// The slow log, with what tells whether it is whole.
#[derive(Debug, Clone, PartialEq)]
pub struct SlowLog {
    /// Newest first, without our own.
    pub entries: Vec<SlowEntry>,
    /// Ids of all that was read, our own too; -1 in an empty log.
    pub newest: i64,
    oldest: i64,
}

impl SlowLog {
    /// Entries that were written after the one with this id and pushed out since, at least: ids are numbered without gaps, and a log that was
    /// emptied goes on where it was.
    pub fn lost_since(&self, before: i64) -> u64 {
        // Emptied, and nothing written since; or a server that has started again.
        let is_gone = self.newest < before;
        u64::try_from(self.oldest - before - 1).unwrap_or(0).max(u64::from(is_gone))
    }
}

/// `last_before` is the newest id when the window opened.
pub async fn slowlog(session: &mut Session, last_before: Option<i64>) -> Seen<SlowLog> {
    let answer = session.ask(&["SLOWLOG", "GET", SLOWLOG_ENTRIES]).await;
    let reply = answer.map_err(|r| session.gap(Section::RedisSlowlog, "SLOWLOG GET", "+slowlog|get", &r))?;
    let unreadable = || Gap::new(Section::RedisSlowlog, Cause::Unreadable, "SLOWLOG GET answered in an unknown form.");
    let rows = list(&reply).ok_or_else(unreadable)?;
    let mut entries: Vec<SlowEntry> = rows.iter().filter_map(|row| slow_entry(row, last_before)).collect();
    if entries.is_empty() && rows.iter().any(|r| list(r).is_none()) {
        return Err(unreadable());
    }
    entries.sort_by_key(|e| std::cmp::Reverse(e.id));
    let ids = || rows.iter().filter_map(|row| integer(list(row)?.first()?));
    Ok(SlowLog { entries, newest: ids().max().unwrap_or(-1), oldest: ids().min().unwrap_or(-1) })
}

/// `[id, time, micros, [argument …], address, client name]`; `None` for our own and for what is no entry.
fn slow_entry(row: &Value, last_before: Option<i64>) -> Option<SlowEntry> {
    let fields = list(row)?;
    let id = integer(fields.first()?)?;
    let arguments: Vec<String> = list(fields.get(3)?)?.iter().filter_map(text).collect();
    let name = fields.get(5).and_then(text).filter(|n| !n.is_empty());
    if name.as_deref() == Some(CLIENT_NAME) {
        return None;
    }
    let command = arguments.first()?.to_uppercase();
    Some(SlowEntry {
        id,
        at: integer(fields.get(1)?)?,
        micros: integer(fields.get(2)?).and_then(|m| u64::try_from(m).ok())?,
        pattern: key_argument(&command, &arguments).map(|k| reduce(k, &Names::default()).pattern),
        command,
        client_name: name.map(|n| client_name(&n)),
        in_window: last_before.is_some_and(|last| id > last),
    })
}

/// The one argument that says what a slow command was about; never a value.
fn key_argument<'a>(command: &str, arguments: &'a [String]) -> Option<&'a str> {
    let at = match command {
        "KEYS" | "DEL" | "UNLINK" | "SMEMBERS" | "HGETALL" | "LRANGE" | "SORT" | "ZRANGE" => 1,
        "SCAN" => 1 + arguments.iter().position(|a| a.eq_ignore_ascii_case("match"))?,
        _ => return None,
    };
    arguments.get(at).map(String::as_str)
}

pub async fn latency(session: &mut Session) -> Seen<Vec<LatencyEvent>> {
    let answer = session.ask(&["LATENCY", "LATEST"]).await;
    let reply = answer.map_err(|r| session.gap(Section::RedisLatency, "LATENCY LATEST", "+latency|latest", &r))?;
    let rows = list(&reply).ok_or_else(|| Gap::new(Section::RedisLatency, Cause::Unreadable, "LATENCY LATEST answered in an unknown form."))?;
    let event = |row: &Value| {
        let fields = list(row)?;
        let number = |i: usize| integer(fields.get(i)?);
        Some(LatencyEvent {
            name: text(fields.first()?)?,
            at: number(1)?,
            last_ms: u64::try_from(number(2)?).ok()?,
            max_ms: u64::try_from(number(3)?).ok()?,
        })
    };
    let mut events: Vec<LatencyEvent> = rows.iter().filter_map(event).collect();
    events.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(events)
}

pub async fn clients(session: &mut Session) -> Seen<Vec<ClientGroup>> {
    let answer = session.ask(&["CLIENT", "LIST"]).await;
    let reply = answer.map_err(|r| session.gap(Section::RedisClients, "CLIENT LIST", "+client|list", &r))?;
    let lines = text(&reply).ok_or_else(|| Gap::new(Section::RedisClients, Cause::Unreadable, "CLIENT LIST answered in an unknown form."))?;
    Ok(fold_clients(&lines))
}

fn fold_clients(lines: &str) -> Vec<ClientGroup> {
    let mut groups: BTreeMap<(String, String, u32), u64> = BTreeMap::new();
    for line in lines.lines() {
        let field = |name: &str| line.split(' ').find_map(|f| f.strip_prefix(name)?.strip_prefix('='));
        let (Some(command), Some(database)) = (field("cmd"), field("db").and_then(|d| d.parse().ok())) else { continue };
        let name = field("name").unwrap_or("");
        if name == CLIENT_NAME {
            continue;
        }
        let id = (if name.is_empty() { String::new() } else { client_name(name) }, command.to_lowercase(), database);
        *groups.entry(id).or_default() += 1;
    }
    let mut rows: Vec<ClientGroup> =
        groups.into_iter().map(|((name, command, database), count)| ClientGroup { name, command, count, database }).collect();
    rows.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| (&a.name, &a.command, a.database).cmp(&(&b.name, &b.command, b.database))));
    rows.truncate(CLIENT_GROUPS_MAX);
    rows
}

/// Names that programs give their connections are kept; anything that may be a person's or a machine's becomes `<id>`.
/// BullMQ names its connections `bull:<queue in base 64>`.
fn client_name(name: &str) -> String {
    if let Some((prefix, encoded)) = name.split_once(':')
        && matches!(prefix, "RedisEventBusService" | "bull")
    {
        let (encoded, rest) = encoded.split_once(':').map_or((encoded, ""), |(e, r)| (e, r));
        let decoded = base64::engine::general_purpose::STANDARD.decode(encoded).ok().and_then(|b| String::from_utf8(b).ok());
        let shown = if decoded.is_some_and(|q| words::are_all_known(&q)) { encoded } else { "<id>" };
        let tail = if rest.is_empty() { String::new() } else { format!(":{}", reduce(rest, &Names::default()).pattern) };
        return format!("{prefix}:{shown}{tail}");
    }
    reduce(name, &Names::default()).pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(s: &str) -> Value {
        Value::BulkString(s.as_bytes().to_vec())
    }

    fn entry(id: i64, arguments: &[&str], name: &str) -> Value {
        let arguments = Value::Array(arguments.iter().map(|a| bulk(a)).collect());
        Value::Array(vec![Value::Int(id), Value::Int(1_700_000_000), Value::Int(12_000), arguments, bulk("10.0.0.1:5"), bulk(name)])
    }

    #[test]
    fn slow_entries_keep_no_argument_but_a_reduced_pattern() {
        let e = slow_entry(&entry(7, &["keys", "cart:jane@example.com:*"], "medusa-cache-redis"), Some(6)).unwrap();
        assert_eq!((e.command.as_str(), e.pattern.as_deref(), e.in_window), ("KEYS", Some("cart:<id>:*"), true));
        assert_eq!(e.client_name.as_deref(), Some("medusa-cache-redis"));
        let e = slow_entry(&entry(5, &["SET", "sess:x", "secret"], ""), Some(6)).unwrap();
        assert_eq!((e.pattern, e.client_name, e.in_window), (None, None, false));
        let e = slow_entry(&entry(5, &["SCAN", "0", "MATCH", "mc:tag:*"], "jane-laptop"), None).unwrap();
        assert_eq!((e.pattern.as_deref(), e.client_name.as_deref(), e.in_window), (Some("mc:tag:*"), Some("<id>"), false));
        assert_eq!(slow_entry(&entry(5, &["KEYS", "*"], CLIENT_NAME), None), None);
    }

    #[test]
    fn entries_that_were_pushed_out_are_counted() {
        let of = |oldest, newest, before| SlowLog { entries: Vec::new(), newest, oldest }.lost_since(before);
        assert_eq!(of(0, 40, 20), 0, "the window's are all there");
        assert_eq!(of(21, 148, 20), 0);
        assert_eq!(of(25, 152, 20), 4);
        assert_eq!((of(0, 3, -1), of(5, 132, -1)), (0, 5), "an empty log when the window opened");
        assert_eq!((of(-1, -1, -1), of(-1, -1, 20)), (0, 1), "emptied in the window");
        assert_eq!(of(0, 3, 20), 1, "started again in the window");
    }

    #[test]
    fn clients_are_folded_without_addresses() {
        let lines = "id=1 addr=10.0.0.1:1 name=bull:bWVkdXNhLXdvcmtmbG93cw== db=0 cmd=bzpopmin\n\
                     id=2 addr=10.0.0.1:2 name=bull:bWVkdXNhLXdvcmtmbG93cw== db=0 cmd=bzpopmin\n\
                     id=3 addr=10.0.0.1:3 name=medusa-advisor db=0 cmd=client|list\n\
                     id=4 addr=10.0.0.1:4 name= db=1 cmd=get\n";
        let groups = fold_clients(lines);
        assert_eq!(groups.len(), 2);
        assert_eq!((groups[0].name.as_str(), groups[0].count), ("bull:bWVkdXNhLXdvcmtmbG93cw==", 2));
        assert_eq!((groups[1].name.as_str(), groups[1].command.as_str(), groups[1].database), ("", "get", 1));
        assert_eq!(client_name("bull:amFuZS1kb2U="), "bull:<id>");
        assert_eq!(client_name("RedisEventBusService:ZXZlbnRzLXF1ZXVl"), "RedisEventBusService:ZXZlbnRzLXF1ZXVl");
    }
}
