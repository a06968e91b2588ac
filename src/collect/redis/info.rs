//! INFO: parsing, and the difference between two of them.

use std::collections::BTreeMap;

use super::session::Own;
use crate::evidence::Sampled;
use crate::evidence::redis::{Command, CommandCounters, Counters, LogicalDatabase, Server};

/// The fields of one or more INFO sections.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Info(BTreeMap<String, String>);

impl Info {
    /// Takes any text: lines that are no `name:value` are passed over.
    pub fn parse(text: &str) -> Self {
        let fields = text.lines().filter(|l| !l.starts_with('#')).filter_map(|l| l.trim_end().split_once(':'));
        Self(fields.map(|(k, v)| (k.to_owned(), v.to_owned())).collect())
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub fn number<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.text(name)?.parse().ok()
    }

    fn flag(&self, name: &str) -> Option<bool> {
        self.text(name).map(|v| v == "1")
    }

    /// Databases in use, by index.
    pub fn databases(&self) -> Vec<LogicalDatabase> {
        let mut found: Vec<LogicalDatabase> = self.0.iter().filter_map(|(k, v)| logical_database(k, v)).collect();
        found.sort_by_key(|d| d.index);
        found
    }

    /// Counters since their reset; `None` when a needed one is missing.
    pub fn counters(&self) -> Option<Counters> {
        Some(Counters {
            commands: self.number("total_commands_processed")?,
            keyspace_hits: self.number("keyspace_hits")?,
            keyspace_misses: self.number("keyspace_misses")?,
            expired_keys: self.number("expired_keys")?,
            evicted_keys: self.number("evicted_keys")?,
            rejected_connections: self.number("rejected_connections")?,
            connections_received: self.number("total_connections_received")?,
            net_input_bytes: self.number("total_net_input_bytes")?,
            net_output_bytes: self.number("total_net_output_bytes")?,
        })
    }

    /// INFO COMMANDSTATS by lower-case name.
    pub fn commands(&self) -> BTreeMap<String, CommandCounters> {
        let stats = self.0.iter().filter_map(|(k, v)| Some((k.strip_prefix("cmdstat_")?.to_lowercase(), v)));
        stats.filter_map(|(name, v)| Some((name, command_counters(v)?))).collect()
    }
}

/// `db0:keys=3,expires=1,avg_ttl=900`.
fn logical_database(key: &str, value: &str) -> Option<LogicalDatabase> {
    let index = key.strip_prefix("db")?.parse().ok()?;
    Some(LogicalDatabase { index, keys: part(value, "keys")?, keys_with_ttl: part(value, "expires")?, average_ttl_ms: part(value, "avg_ttl")? })
}

/// `calls=3,usec=12,usec_per_call=4.00,rejected_calls=0,failed_calls=0`.
fn command_counters(value: &str) -> Option<CommandCounters> {
    // Counted since Redis 6.2; before that a failed call is not told apart.
    let failed = part(value, "failed_calls").unwrap_or(0);
    Some(CommandCounters { calls: part(value, "calls")?, micros: part(value, "usec")?, failed })
}

fn part(value: &str, name: &str) -> Option<u64> {
    value.split(',').find_map(|p| p.strip_prefix(name)?.strip_prefix('='))?.parse().ok()
}

/// The server as INFO tells it. `None` when it is not an INFO of a server this program knows.
pub fn server(info: &Info, platform: &str, round_trip_ms: f64) -> Option<Server> {
    let (product, version) = product(info)?;
    let maxclients = info.number("maxclients");
    Some(Server {
        product,
        version,
        mode: info.text("redis_mode").or(info.text("server_mode")).unwrap_or("standalone").to_owned(),
        role: info.text("role").unwrap_or("master").to_owned(),
        platform: platform.to_owned(),
        uptime_s: info.number("uptime_in_seconds")?,
        used_memory: info.number("used_memory")?,
        used_memory_rss: info.number("used_memory_rss"),
        used_memory_peak: info.number("used_memory_peak"),
        used_memory_dataset: info.number("used_memory_dataset"),
        fragmentation_ratio: info.number("mem_fragmentation_ratio"),
        maxmemory: info.number("maxmemory"),
        maxmemory_policy: info.text("maxmemory_policy").map(str::to_owned),
        system_memory: info.number("total_system_memory"),
        connected_clients: info.number("connected_clients")?,
        blocked_clients: info.number("blocked_clients")?,
        maxclients,
        is_loading: info.flag("loading").unwrap_or(false),
        aof_enabled: info.flag("aof_enabled"),
        rdb_last_save_age_s: last_save_age_s(info),
        master_link_down: info.text("master_link_status") == Some("down"),
        replica_lag_bytes: replica_lag_bytes(info),
        replicas: replicas(info),
        replicas_syncing: listed_replicas(info).filter(|r| !r.is_online).count() as u64,
        expired_stale_share: info.number::<f64>("expired_stale_perc").map(|percent| percent / 100.0),
        is_persistence_failing: ["rdb_last_bgsave_status", "aof_last_write_status"].iter().any(|name| info.text(name) == Some("err")),
        access: None,
        counters: Sampled::only(info.counters()?),
        databases: info.databases(),
        round_trip_ms,
    })
}

fn product(info: &Info) -> Option<(String, String)> {
    let known = |product: &str, field: &str| info.text(field).map(|v| (product.to_owned(), v.trim_start_matches('v').to_owned()));
    let redis = || {
        let name = if info.text("mvcc_depth").is_some() { "keydb" } else { "redis" };
        known(name, "redis_version")
    };
    known("valkey", "valkey_version")
        .or_else(|| known("dragonfly", "dragonfly_version").map(|(p, v)| (p, v.trim_start_matches("df-v").to_owned())))
        .or_else(redis)
}

/// Whether OBJECT on a missing key counts as a miss, as every other lookup of one does: Redis 6.0 left it out. On a key that is there it
/// counts as a hit on every version (6.0.16 to 8.2.3 and Valkey 8.1.1, 9.1.2, counted).
pub fn counts_object_misses(info: &Info) -> bool {
    let mut parts = info.text("redis_version").unwrap_or("").split('.').map_while(|p| p.parse::<u32>().ok());
    parts.next().zip(parts.next()).is_none_or(|version| version >= (6, 2))
}

fn last_save_age_s(info: &Info) -> Option<i64> {
    let now = info.number::<i64>("server_time_usec")? / 1_000_000;
    let saved = info.number::<i64>("rdb_last_save_time")?;
    Some(now - saved)
}

/// On a replica: how far it is behind; on a master: how far its slowest replica is.
fn replica_lag_bytes(info: &Info) -> Option<u64> {
    let written: u64 = info.number("master_repl_offset")?;
    if info.text("role") == Some("slave") {
        return Some(written.saturating_sub(info.number("slave_repl_offset")?));
    }
    listed_replicas(info).filter_map(|r| r.behind(written)).max()
}

/// One `slave0:ip=10.0.0.7,port=6379,state=online,offset=7392,lag=0`.
struct Replica {
    /// It has its copy.
    is_online: bool,
    /// What it last acknowledged.
    offset: u64,
    /// Seconds since then, or since it came online.
    heard_s: Option<u64>,
}

impl Replica {
    /// Bytes; `None` while it is copying.
    fn behind(&self, written: u64) -> Option<u64> {
        // Each acknowledges once a second: one that came online in this second has not yet said how far it is.
        let is_new = self.offset == 0 && self.heard_s.is_some_and(|s| s <= 1);
        self.is_online.then(|| if is_new { 0 } else { written.saturating_sub(self.offset) })
    }
}

/// Tools that listen to the stream (`redis-cli --replica`, loaders) name no port of their own and acknowledge nothing: they are no replicas.
fn listed_replicas(info: &Info) -> impl Iterator<Item = Replica> {
    let rows = (0..).map_while(|i| info.text(&format!("slave{i}")));
    rows.filter(|row| part(row, "port") != Some(0)).map(|row| Replica {
        is_online: row.split(',').any(|p| p == "state=online"),
        offset: part(row, "offset").unwrap_or(0),
        heard_s: part(row, "lag"),
    })
}

/// Where the server lists them, those that are replicas; else as many as it counts.
fn replicas(info: &Info) -> Option<u64> {
    let counted = info.number("connected_slaves")?;
    Some(if info.text("slave0").is_some() { listed_replicas(info).count() as u64 } else { counted })
}

/// One reading of the counters, with our own share in them at that moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    pub uptime_s: u64,
    pub run_id: String,
    pub counters: Counters,
    /// `None` when INFO COMMANDSTATS was refused.
    pub commands: Option<BTreeMap<String, CommandCounters>>,
    pub own: Own,
}

impl Reading {
    pub fn of(info: &Info, own: &Own) -> Option<Self> {
        let commands = info.commands();
        Some(Self {
            uptime_s: info.number("uptime_in_seconds")?,
            run_id: info.text("run_id").unwrap_or("").to_owned(),
            counters: info.counters()?,
            commands: (!commands.is_empty()).then_some(commands),
            own: own.clone(),
        })
    }

    /// The server was restarted or its counters were reset between `earlier` and this reading.
    fn is_reset_since(&self, earlier: &Reading) -> bool {
        let (a, b) = (&earlier.counters, &self.counters);
        let fell = |f: fn(&Counters) -> u64| f(b) < f(a);
        let stats = fell(|c| c.commands)
            || fell(|c| c.keyspace_hits)
            || fell(|c| c.keyspace_misses)
            || fell(|c| c.expired_keys)
            || fell(|c| c.evicted_keys)
            || fell(|c| c.connections_received)
            || fell(|c| c.net_input_bytes);
        stats || self.uptime_s < earlier.uptime_s || self.run_id != earlier.run_id
    }

    /// Counters without our own part in them.
    fn cleaned(&self) -> Counters {
        let c = &self.counters;
        Counters {
            commands: c.commands.saturating_sub(self.own.commands()),
            keyspace_hits: c.keyspace_hits.saturating_sub(self.own.hits),
            keyspace_misses: c.keyspace_misses.saturating_sub(self.own.misses),
            ..*c
        }
    }
}

/// Counters since their reset, and over the window; `window` is `None` when they were reset inside it.
pub fn counters_between(before: &Reading, after: &Reading) -> Sampled<Counters> {
    let (a, b) = (before.cleaned(), after.cleaned());
    let d = |f: fn(&Counters) -> u64| f(&b).saturating_sub(f(&a));
    let window = (!after.is_reset_since(before)).then(|| Counters {
        commands: d(|c| c.commands),
        keyspace_hits: d(|c| c.keyspace_hits),
        keyspace_misses: d(|c| c.keyspace_misses),
        expired_keys: d(|c| c.expired_keys),
        evicted_keys: d(|c| c.evicted_keys),
        rejected_connections: d(|c| c.rejected_connections),
        connections_received: d(|c| c.connections_received),
        net_input_bytes: d(|c| c.net_input_bytes),
        net_output_bytes: d(|c| c.net_output_bytes),
    });
    Sampled { total: b, window }
}

/// Command statistics, sorted by name. Commands that only we have sent are left out.
pub fn commands_between(before: Option<&Reading>, after: &Reading) -> Option<Vec<Command>> {
    let now = after.commands.as_ref()?;
    let is_reset = before.is_some_and(|b| after.is_reset_since(b));
    let earlier = before.and_then(|b| b.commands.as_ref().map(|c| (c, &b.own)));
    let rows = now.iter().filter_map(|(name, counters)| {
        let total = without_own(*counters, own_calls(&after.own, name));
        if total.calls == 0 {
            return None;
        }
        let window = earlier.filter(|_| !is_reset).and_then(|(commands, own)| {
            // Not listed before: it had not been called.
            let old = commands.get(name).map_or_else(CommandCounters::default, |c| *c);
            let spent = CommandCounters {
                calls: counters.calls.checked_sub(old.calls)?,
                micros: counters.micros.checked_sub(old.micros)?,
                failed: counters.failed.checked_sub(old.failed)?,
            };
            Some(without_own(spent, own_calls(&after.own, name).saturating_sub(own_calls(own, name))))
        });
        Some(Command { name: name.clone(), counters: Sampled { total, window } })
    });
    Some(rows.collect())
}

/// Servers before 7 count all subcommands under the container's name.
fn own_calls(own: &Own, name: &str) -> u64 {
    let container = format!("{name}|");
    own.calls.iter().filter(|(n, _)| *n == name || n.starts_with(&container)).map(|(_, calls)| calls).sum()
}

fn without_own(c: CommandCounters, own: u64) -> CommandCounters {
    let calls = c.calls.saturating_sub(own);
    if calls == c.calls {
        return c;
    }
    // Our calls are taken to have cost what the others did.
    let micros = (c.micros as f64 * calls as f64 / c.calls as f64).round() as u64;
    CommandCounters { calls, micros, failed: c.failed.min(calls) }
}

/// Managed services by host name; the permissions and settings they keep to themselves differ.
const PLATFORMS: [(&str, &str); 14] = [
    (".cache.amazonaws.com", "elasticache"),
    (".memorydb.", "memorydb"),
    (".upstash.io", "upstash"),
    (".redis.cache.windows.net", "azure"),
    (".redis.azure.net", "azure"),
    (".redisenterprise.cache.azure.net", "azure"),
    (".redis-cloud.com", "redis-cloud"),
    (".redislabs.com", "redis-cloud"),
    (".aivencloud.com", "aiven"),
    (".db.ondigitalocean.com", "digitalocean"),
    (".rlwy.net", "railway"),
    (".railway.internal", "railway"),
    (".render.com", "render"),
    (".scalingo-dbs.com", "scalingo"),
];

/// "plain" for hosts that belong to no known service.
pub fn platform(host: &str) -> &'static str {
    let host = host.to_ascii_lowercase();
    PLATFORMS.iter().find(|(part, _)| host.ends_with(part) || (part.ends_with('.') && host.contains(part))).map_or("plain", |(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(commands: u64, hits: u64, keys: u64, own: Own) -> Reading {
        let counters = Counters { commands, keyspace_hits: hits, ..Counters::default() };
        let calls = BTreeMap::from([
            ("keys".to_owned(), CommandCounters { calls: keys, micros: keys * 10, failed: 0 }),
            ("info".to_owned(), CommandCounters { calls: own.commands(), micros: 5, failed: 0 }),
        ]);
        Reading { uptime_s: 10, run_id: "a".into(), counters, commands: Some(calls), own }
    }

    #[test]
    fn our_own_part_is_taken_out() {
        let own = |info, hits| Own { calls: BTreeMap::from([("info".to_owned(), info)]), hits, misses: 0 };
        let (a, b) = (reading(100, 50, 3, own(1, 0)), reading(210, 90, 5, own(11, 20)));
        let counters = counters_between(&a, &b);
        assert_eq!(counters.window.unwrap().commands, 100);
        assert_eq!(counters.window.unwrap().keyspace_hits, 20);
        let commands = commands_between(Some(&a), &b).unwrap();
        assert_eq!(commands.len(), 1, "INFO was sent by nobody but us: {commands:?}");
        assert_eq!((commands[0].counters.total.calls, commands[0].counters.window.unwrap().calls), (5, 2));
    }

    #[test]
    fn a_reset_inside_the_window_leaves_no_window() {
        let (a, b) = (reading(100, 50, 3, Own::default()), reading(20, 9, 1, Own::default()));
        assert_eq!(counters_between(&a, &b).window, None);
        assert!(commands_between(Some(&a), &b).unwrap().iter().all(|c| c.counters.window.is_none()));
        let restarted = Reading { run_id: "b".into(), ..reading(200, 90, 5, Own::default()) };
        assert_eq!(counters_between(&a, &restarted).window, None);
    }

    #[test]
    fn info_reads() {
        let info = Info::parse(
            "# Server\r\nredis_version:7.0.15\r\ndb3:keys=7,expires=2,avg_ttl=100\r\ncmdstat_config|get:calls=2,usec=9,usec_per_call=4.50\r\nnoise",
        );
        assert_eq!(info.text("redis_version"), Some("7.0.15"));
        assert_eq!(info.databases(), [LogicalDatabase { index: 3, keys: 7, keys_with_ttl: 2, average_ttl_ms: 100 }]);
        assert_eq!(info.commands()["config|get"].calls, 2);
        assert_eq!(info.counters(), None);
        assert!(server(&info, "plain", 1.0).is_none(), "half an INFO is a gap, not zeros");
    }

    #[test]
    fn only_replicas_that_acknowledge_are_behind() {
        let told = |rows: &str| {
            let count = rows.lines().count();
            let info = Info::parse(&format!("role:master\nmaster_repl_offset:20000000\nconnected_slaves:{count}\n{rows}"));
            let syncing = listed_replicas(&info).filter(|r| !r.is_online).count();
            (replicas(&info), syncing, replica_lag_bytes(&info))
        };
        let (near, far) =
            ("slave0:ip=10.0.0.7,port=6379,state=online,offset=19999000,lag=0", "slave0:ip=10.0.0.7,port=6379,state=online,offset=5,lag=9");
        assert_eq!(told(near), (Some(1), 0, Some(1_000)));
        assert_eq!(told(far), (Some(1), 0, Some(19_999_995)));
        let listener = "slave1:ip=127.0.0.1,port=0,state=online,offset=0,lag=60";
        assert_eq!(told(&format!("{near}\n{listener}")), (Some(1), 0, Some(1_000)));
        assert_eq!(told(&listener.replace("slave1", "slave0")), (Some(0), 0, None));
        let copying = "slave1:ip=10.0.0.8,port=6379,state=send_bulk,offset=0,lag=0";
        assert_eq!(told(&format!("{near}\n{copying}")), (Some(2), 1, Some(1_000)));
        assert_eq!(told(&near.replace("19999000", "0")), (Some(1), 0, Some(0)), "it came online in this second");
        assert_eq!(told(&near.replace("19999000,lag=0", "0,lag=2")), (Some(1), 0, Some(20_000_000)), "nothing was heard of it since");
        assert_eq!(told(""), (Some(0), 0, None));
        assert_eq!(replicas(&Info::parse("connected_slaves:2")), Some(2), "counted and not listed");
    }

    #[test]
    fn products_are_told_apart() {
        let told = |text: &str| product(&Info::parse(text)).map(|(product, version)| format!("{product} {version}"));
        // Valkey and Dragonfly tell the version of Redis they are compatible with as well.
        assert_eq!(told("redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:8.1.1").as_deref(), Some("valkey 8.1.1"));
        assert_eq!(told("redis_version:7.4.0\r\ndragonfly_version:df-v1.25.1").as_deref(), Some("dragonfly 1.25.1"));
        assert_eq!(told("redis_version:6.3.4\r\nmvcc_depth:0").as_deref(), Some("keydb 6.3.4"));
        assert_eq!(told("redis_version:8.0.2").as_deref(), Some("redis 8.0.2"));
        assert_eq!(told("server_name:valkey"), None);
    }

    #[test]
    fn object_on_a_missing_key_counts_since_6_2() {
        let counts = |version: &str| counts_object_misses(&Info::parse(&format!("redis_version:{version}")));
        assert!(!counts("6.0.16"));
        assert!(counts("6.2.14") && counts("7.0.15") && counts("8.2.3") && counts("unknown"));
    }

    #[test]
    fn platforms_are_told_by_host() {
        assert_eq!(platform("master.shop.abc123.euc1.cache.amazonaws.com"), "elasticache");
        assert_eq!(platform("clustercfg.shop.abc.memorydb.eu-central-1.amazonaws.com"), "memorydb");
        assert_eq!(platform("eu1-fit-cat-1.upstash.io"), "upstash");
        assert_eq!(platform("10.0.0.7"), "plain");
    }

    proptest::proptest! {
        #[test]
        fn any_text_parses(text in ".{0,400}") {
            let info = Info::parse(&text);
            let _ = (server(&info, "plain", 0.0), Reading::of(&info, &Own::default()), info.commands(), info.databases());
        }
    }
}
