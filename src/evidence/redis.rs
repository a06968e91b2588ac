//! What was observed of the Redis instances. Keys enter only as patterns; values are never read.

use serde::{Deserialize, Serialize};

use super::{Cause, Gap, Sampled, Section, Seen, sections};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Redis {
    /// In the order given by the user.
    pub instances: Vec<Instance>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Instance {
    /// Host, port and database for display: `cache.example:6379/0`.
    pub name: String,
    pub server: Seen<Server>,
    pub config: Seen<Config>,
    pub slowlog: Seen<Vec<SlowEntry>>,
    pub latency: Seen<Vec<LatencyEvent>>,
    pub clients: Seen<Vec<ClientGroup>>,
    pub commands: Seen<Vec<Command>>,
    pub keys: Seen<KeySample>,
    #[serde(default = "older_queues")]
    pub queues: Seen<Vec<Queue>>,
    /// Queues that were met and not read: there are more than an audit reads.
    #[serde(default)]
    pub queues_left_out: u64,
    /// Entries of the slow log that were pushed out inside the window before they were read, at least; `None` in earlier snapshots and
    /// without a window.
    #[serde(default)]
    pub slowlog_lost: Option<u64>,
}

fn older_queues() -> Seen<Vec<Queue>> {
    Err(Gap::new(Section::RedisQueues, Cause::Unreadable, "The snapshot was written before the queues were read."))
}

sections!(Instance {
    server: Server => RedisServer,
    config: Config => RedisConfig,
    slowlog: Vec<SlowEntry> => RedisSlowlog,
    latency: Vec<LatencyEvent> => RedisLatency,
    clients: Vec<ClientGroup> => RedisClients,
    commands: Vec<Command> => RedisCommands,
    keys: KeySample => RedisKeys,
    queues: Vec<Queue> => RedisQueues,
});

/// From INFO.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Server {
    /// "redis", "valkey", "keydb", "dragonfly".
    pub product: String,
    pub version: String,
    /// "standalone", "cluster", "sentinel".
    pub mode: String,
    /// "master", "slave".
    pub role: String,
    /// "plain", "elasticache", "upstash", "memorystore", "azure", …: told by host name and denied commands.
    pub platform: String,
    pub uptime_s: u64,
    pub used_memory: u64,
    pub used_memory_rss: Option<u64>,
    pub used_memory_peak: Option<u64>,
    pub used_memory_dataset: Option<u64>,
    pub fragmentation_ratio: Option<f64>,
    /// 0: not set. `None`: INFO does not tell and CONFIG is denied.
    pub maxmemory: Option<u64>,
    pub maxmemory_policy: Option<String>,
    pub system_memory: Option<u64>,
    pub connected_clients: u64,
    pub blocked_clients: u64,
    pub maxclients: Option<u64>,
    pub is_loading: bool,
    pub aof_enabled: Option<bool>,
    pub rdb_last_save_age_s: Option<i64>,
    pub master_link_down: bool,
    pub replica_lag_bytes: Option<u64>,
    /// Replicas that are connected to this master; tools that only listen to its stream are none.
    #[serde(default)]
    pub replicas: Option<u64>,
    /// Of them, those that are still copying the data.
    #[serde(default)]
    pub replicas_syncing: u64,
    /// Share 0…1 of the keys that have expired and still take memory, as the server last estimated it.
    #[serde(default)]
    pub expired_stale_share: Option<f64>,
    /// The last snapshot, or the last write to the append-only file, failed.
    #[serde(default)]
    pub is_persistence_failing: bool,
    /// How this session reached the server; `None` in earlier snapshots.
    #[serde(default)]
    pub access: Option<Access>,
    pub counters: Sampled<Counters>,
    /// Keys by logical database: index, keys, keys with a TTL.
    pub databases: Vec<LogicalDatabase>,
    /// Round trip of PING, milliseconds, median of five.
    pub round_trip_ms: f64,
}

impl Server {
    /// The product as its makers write it.
    pub fn product_name(&self) -> &str {
        match self.product.as_str() {
            "redis" => "Redis",
            "valkey" => "Valkey",
            "keydb" => "KeyDB",
            "dragonfly" => "Dragonfly",
            other => other,
        }
    }
}

/// How the audit's own session reached the server and what it was asked for there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    pub is_tls: bool,
    /// A password was given; without one the server let us in as it would anybody.
    pub has_password: bool,
    pub network: Network,
    /// The password is that of a user by name: it says nothing of the default user's.
    #[serde(default)]
    pub is_named: bool,
    /// A client certificate was shown.
    #[serde(default)]
    pub has_certificate: bool,
    /// What the server did with a second connection that gave neither password nor certificate: answered it, or not. `None` where that was not
    /// tried or came to nothing, and in earlier snapshots.
    #[serde(default)]
    pub lets_anybody_in: Option<bool>,
}

impl Access {
    /// Whether the server lets in who gives neither password nor certificate: seen, or told by how this session got in. `None`: not known.
    pub fn is_open(&self) -> Option<bool> {
        match self.lets_anybody_in {
            Some(lets) => Some(lets),
            None if self.has_password => (!self.is_named).then_some(false),
            None => (!self.has_certificate).then_some(true),
        }
    }
}

/// Where the server's address lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Network {
    Loopback,
    /// RFC 1918, RFC 6598, unique local and link-local addresses.
    Private,
    Public,
}

#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Counters {
    pub commands: u64,
    pub keyspace_hits: u64,
    pub keyspace_misses: u64,
    pub expired_keys: u64,
    pub evicted_keys: u64,
    pub rejected_connections: u64,
    pub connections_received: u64,
    pub net_input_bytes: u64,
    pub net_output_bytes: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LogicalDatabase {
    pub index: u32,
    pub keys: u64,
    pub keys_with_ttl: u64,
    /// Milliseconds.
    pub average_ttl_ms: u64,
}

/// Chosen parameters of CONFIG GET; secrets (requirepass, masterauth) are never asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// Sorted by name.
    pub values: Vec<(String, String)>,
}

impl Config {
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SlowEntry {
    pub id: i64,
    /// Unix seconds.
    pub at: i64,
    pub micros: u64,
    /// Command name only, upper case: `KEYS`.
    pub command: String,
    /// The pattern argument of KEYS, SCAN and DEL-like commands reduced like a key; `None` for every other argument.
    pub pattern: Option<String>,
    pub client_name: Option<String>,
    /// The entry was written inside the window.
    pub in_window: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LatencyEvent {
    pub name: String,
    pub at: i64,
    pub last_ms: u64,
    pub max_ms: u64,
}

/// CLIENT LIST folded: names and counts, no addresses.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClientGroup {
    /// Empty: the client gave no name.
    pub name: String,
    /// Last command, lower case.
    pub command: String,
    pub count: u64,
    pub database: u32,
}

/// INFO COMMANDSTATS.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Command {
    /// Lower case: `keys`, `hget`, `config|get`.
    pub name: String,
    pub counters: Sampled<CommandCounters>,
}

#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct CommandCounters {
    pub calls: u64,
    pub micros: u64,
    pub failed: u64,
}

/// A bounded SCAN sample of all logical databases in use.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KeySample {
    /// DBSIZE over all databases.
    pub keys_total: u64,
    pub keys_sampled: u64,
    /// The scan reached the end: figures are exact.
    pub is_complete: bool,
    /// Which limit ended the scan: "keys", "seconds", "commands".
    pub ended_by: Option<String>,
    /// Sorted by estimated bytes, largest first.
    pub patterns: Vec<Pattern>,
    /// How far the scan of each logical database in use came; empty in earlier snapshots.
    #[serde(default)]
    pub databases: Vec<DatabaseSample>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseSample {
    pub index: u32,
    pub keys: u64,
    /// 0: the scan never came to it.
    pub sampled: u64,
    pub is_complete: bool,
}

/// Who owns a key family (Medusa's own are known by their form).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// `mc:<hash>` and, in v1 and the legacy module, `medusa:<key>`.
    Cache,
    /// `mc:tag:*`, `mc:tags:*`.
    CacheTags,
    Sessions,
    /// `RedisEventBusService:*` and any other BullMQ queue of events.
    EventBus,
    /// `bull:medusa-workflows*`, `bull:workflows-cleaner*`, `dtrx:*`.
    Workflows,
    /// Any other `bull:*`.
    Queue,
    Locks,
    /// `staging:*`.
    Staging,
    /// Looks like a cache of the store's own (`cache:`, `catalog:`, `product:` …).
    CustomCache,
    Other,
}

impl Role {
    /// Entries and tags of a cache: what may be lost at any time without harm.
    pub fn is_cache(self) -> bool {
        matches!(self, Role::Cache | Role::CacheTags | Role::CustomCache)
    }

    /// Jobs, events and workflow checkpoints: what must never be evicted.
    pub fn is_queue(self) -> bool {
        matches!(self, Role::EventBus | Role::Workflows | Role::Queue)
    }
}

/// Upper bounds of the classes of lifetimes, milliseconds, each exclusive: a minute, ten, an hour, ten hours (a session of Medusa's), a
/// week, and more.
pub const TTL_BOUNDS_MS: [u64; 6] = [60_000, 600_000, 3_600_000, 36_000_001, 604_800_000, u64::MAX];

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pattern {
    pub database: u32,
    /// `mc:<hash>`, `bull:medusa-workflows:<n>`.
    pub pattern: String,
    pub role: Role,
    /// string, hash, set, zset, list, stream.
    pub kind: String,
    /// In the sample.
    pub keys: u64,
    /// Extrapolated to the whole instance; equals `keys` when the sample is complete.
    pub keys_estimate: u64,
    /// Of the sampled keys, how many have no TTL.
    pub without_ttl: u64,
    /// TTLs of the sampled keys that have one.
    pub ttl_ms_min: Option<u64>,
    pub ttl_ms_median: Option<u64>,
    pub ttl_ms_max: Option<u64>,
    /// Of the sampled keys that have one, how many by [`TTL_BOUNDS_MS`]; empty in earlier snapshots.
    #[serde(default)]
    pub ttl_counts: Vec<u64>,
    /// MEMORY USAGE was asked for this many of them.
    pub measured: u64,
    /// Extrapolated bytes of the whole family; `None` where MEMORY is denied.
    pub bytes_estimate: Option<u64>,
    /// Half-width of its 95 % interval: 0 where every key was measured, `None` in earlier snapshots.
    #[serde(default)]
    pub bytes_error: Option<u64>,
    /// Largest measured key, bytes.
    pub bytes_max: Option<u64>,
    /// Elements (HLEN, SCARD, ZCARD, LLEN, XLEN) of the largest sampled collection.
    pub elements_max: Option<u64>,
    /// Elements over all sampled collections of the family.
    pub elements_total: Option<u64>,
    /// Seconds since the last access (OBJECT IDLETIME), median of the measured; `None` under an LFU policy.
    pub idle_s_median: Option<u64>,
    /// The longest of them.
    #[serde(default)]
    pub idle_s_max: Option<u64>,
    /// Keys whose last access was told; 0 in earlier snapshots, where it was asked of the measured ones.
    #[serde(default)]
    pub idle_keys: u64,
    /// Of them, how many were not touched for an hour.
    #[serde(default)]
    pub idle_over_hour: u64,
    /// Highest access frequency (OBJECT FREQ, a logarithmic counter of 0…255); `None` without an LFU policy.
    #[serde(default)]
    pub frequency_max: Option<u64>,
    /// A name of queue part for BullMQ families: `failed`, `completed`, `wait`, `prioritized`, `stalled-check`, `meta`.
    pub queue_part: Option<String>,
}

/// One BullMQ queue: how many jobs each of its parts holds, twice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Queue {
    pub database: u32,
    /// Prefix and queue, reduced like a key: `RedisEventBusService:events-queue`, `bull:medusa-workflows`.
    pub name: String,
    pub role: Role,
    pub now: QueueLengths,
    /// When the queue was first seen by this audit, and how many seconds before `now`.
    pub before: Option<(f64, QueueLengths)>,
    /// `<queue>:stalled-check` is there: a worker looked after the queue within the last half minute.
    pub is_attended: bool,
}

impl Queue {
    /// Jobs that wait for a worker: `wait`, `paused` and `prioritized`.
    pub fn waiting(&self) -> u64 {
        self.now.waiting()
    }

    /// Jobs a second by which the waiting ones grow; `None` when they were read once only.
    pub fn growth_per_s(&self) -> Option<f64> {
        let (seconds, before) = self.before.as_ref()?;
        (*seconds > 0.0).then(|| (self.now.waiting() as f64 - before.waiting() as f64) / seconds)
    }
}

/// Jobs by part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct QueueLengths {
    pub wait: u64,
    pub paused: u64,
    pub prioritized: u64,
    pub active: u64,
    pub delayed: u64,
    pub waiting_children: u64,
    pub completed: u64,
    pub failed: u64,
}

impl QueueLengths {
    pub fn waiting(&self) -> u64 {
        self.wait + self.paused + self.prioritized
    }
}
