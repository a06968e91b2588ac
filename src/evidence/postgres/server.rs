//! The server and its nodes: version, settings, databases, replication, checkpoints.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::evidence::{Listed, Sampled, Seen};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Server {
    /// Host and port for display; no user, no password.
    pub host: String,
    pub database: String,
    pub role: String,
    /// `server_version_num`: 150018.
    pub version_num: u32,
    /// "15.18".
    pub version: String,
    /// "plain", "rds", "cloud-sql", "supabase", "neon", "azure": told by settings and extensions.
    pub platform: String,
    pub is_replica: bool,
    /// A transaction pooler answered instead of the server itself; `None`: cannot be told.
    pub is_pooled: Option<bool>,
    pub is_superuser: bool,
    pub has_pg_monitor: bool,
    #[serde(with = "time::serde::rfc3339::option")]
    pub started_at: Option<OffsetDateTime>,
    /// When the counters of this database were last reset; `None`: never, then `started_at` or older counts.
    #[serde(with = "time::serde::rfc3339::option")]
    pub stats_reset_at: Option<OffsetDateTime>,
    /// The server's own clock at the second sample.
    #[serde(with = "time::serde::rfc3339")]
    pub now: OffsetDateTime,
    /// Round trip of an empty statement, milliseconds, median of five.
    pub round_trip_ms: f64,
    pub database_bytes: u64,
    /// Memory of the server's machine as the user gave it; the server itself does not tell.
    #[serde(default)]
    pub memory_bytes: Option<u64>,
    pub counters: Sampled<DatabaseCounters>,
}

/// `pg_stat_database` of this database.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct DatabaseCounters {
    pub commits: u64,
    pub rollbacks: u64,
    pub blocks_hit: u64,
    pub blocks_read: u64,
    pub temp_files: u64,
    pub temp_bytes: u64,
    pub deadlocks: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Setting {
    pub name: String,
    /// As `pg_settings.setting`, in `unit`.
    pub value: String,
    pub unit: Option<String>,
    /// default, configuration file, database, role, command line …
    pub source: String,
    pub boot_value: Option<String>,
    pub pending_restart: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Extension {
    pub name: String,
    /// `None`: available but not created in this database.
    pub installed: Option<String>,
    pub available: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Database {
    pub name: String,
    /// `None`: no CONNECT permission.
    pub bytes: Option<u64>,
    pub connections: u32,
    pub xid_age: u64,
    /// Age of the oldest multixact.
    #[serde(default)]
    pub mxid_age: u64,
}

/// Settings that a role brings to its sessions here, in `pg_settings`' units and the server's words.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RoleSettings {
    pub role: String,
    /// Sessions it has in this database now, our own excluded.
    pub sessions: u32,
    /// Of the sessions, those of the role or of the role in this database win over the database's, and those over the server's.
    pub settings: Vec<RoleSetting>,
    /// −1: no limit.
    pub connection_limit: i32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RoleSetting {
    pub name: String,
    pub value: String,
    /// "role in database", "role", "database".
    pub source: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Replication {
    pub replicas: Vec<Replica>,
    pub slots: Vec<Slot>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Replica {
    pub application: String,
    pub state: String,
    pub lag_bytes: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Slot {
    pub name: String,
    pub is_active: bool,
    pub retained_bytes: Option<u64>,
    /// "physical", "logical".
    #[serde(default)]
    pub kind: String,
    /// "reserved", "extended", "unreserved", "lost".
    #[serde(default)]
    pub wal_status: Option<String>,
    /// What may still be written before the slot is lost; `None`: unbounded.
    #[serde(default)]
    pub safe_bytes: Option<i64>,
}

/// What the checkpointer did, of the whole server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Checkpoints {
    pub counters: Sampled<CheckpointCounters>,
    #[serde(with = "time::serde::rfc3339::option")]
    pub stats_reset_at: Option<OffsetDateTime>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CheckpointCounters {
    pub timed: u64,
    pub requested: u64,
    pub buffers_written: u64,
    /// 14 and later.
    pub wal_bytes: Option<u64>,
    /// 13, and no standby: how far the WAL has come since the cluster was made, bytes; of a window, how far it came in it.
    #[serde(default)]
    pub wal_position: Option<u64>,
}

/// One more node of the store's Postgres.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Node {
    /// Host and port for display; no user, no password.
    pub host: String,
    /// Or why this node could not be read.
    pub usage: Seen<NodeUsage>,
}

/// Usage counters of one more node: each node counts its own scans.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeUsage {
    pub is_replica: bool,
    pub version_num: u32,
    /// They count at least since then.
    #[serde(with = "time::serde::rfc3339::option")]
    pub counting_since: Option<OffsetDateTime>,
    pub indexes: Listed<NodeIndex>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeIndex {
    pub schema: String,
    pub name: String,
    pub scans: u64,
    /// 16 and later.
    #[serde(with = "time::serde::rfc3339::option")]
    pub last_scan: Option<OffsetDateTime>,
}
