//! What was observed of one Postgres server and its Medusa database.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::medusa::{MediaHost, Medusa, RowCount};
use super::{Cause, Gap, Listed, Sampled, Section, Seen, sections};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Postgres {
    pub server: Seen<Server>,
    pub settings: Seen<Vec<Setting>>,
    pub extensions: Seen<Vec<Extension>>,
    pub databases: Seen<Vec<Database>>,
    pub tables: Seen<Listed<Table>>,
    pub indexes: Seen<Listed<Index>>,
    pub constraints: Seen<Listed<Constraint>>,
    pub columns: Seen<Listed<Column>>,
    pub column_stats: Seen<Listed<ColumnStats>>,
    pub statements: Seen<Statements>,
    pub activity: Seen<Activity>,
    pub sequences: Seen<Vec<Sequence>>,
    pub replication: Seen<Replication>,
    /// Settings of the roles that have sessions here.
    #[serde(default = "older_roles")]
    pub roles: Seen<Vec<RoleSettings>>,
    #[serde(default = "older_checkpoints")]
    pub checkpoints: Seen<Checkpoints>,
    /// Usage counters of the store's other nodes, where their addresses were given; empty: none was given.
    #[serde(default = "older_nodes")]
    pub nodes: Seen<Vec<Node>>,
    pub medusa: Seen<Medusa>,
    pub media: Seen<Vec<MediaHost>>,
    pub row_counts: Seen<Vec<RowCount>>,
    /// Plans of the costliest statements as they are now.
    #[serde(default = "older_plans")]
    pub plans: Seen<Vec<StatementPlan>>,
    /// What the planner said of candidate indexes, where it could be asked.
    pub proofs: Seen<Vec<Proof>>,
}

sections!(Postgres {
    server: Server => PgServer,
    settings: Vec<Setting> => PgSettings,
    extensions: Vec<Extension> => PgExtensions,
    databases: Vec<Database> => PgDatabases,
    tables: Listed<Table> => PgTables,
    indexes: Listed<Index> => PgIndexes,
    constraints: Listed<Constraint> => PgConstraints,
    columns: Listed<Column> => PgColumns,
    column_stats: Listed<ColumnStats> => PgColumnStats,
    statements: Statements => PgStatements,
    activity: Activity => PgActivity,
    sequences: Vec<Sequence> => PgSequences,
    replication: Replication => PgReplication,
    roles: Vec<RoleSettings> => PgRoles,
    checkpoints: Checkpoints => PgCheckpoints,
    nodes: Vec<Node> => PgNodes,
    medusa: Medusa => PgMedusa,
    media: Vec<MediaHost> => PgMedia,
    row_counts: Vec<RowCount> => PgRowCounts,
    plans: Vec<StatementPlan> => PgPlans,
    proofs: Vec<Proof> => PgProofs,
});

/// The gap of a section that the build which took the snapshot did not read.
fn older(section: Section) -> Gap {
    let cause = Cause::TooOld { have: "an earlier snapshot".to_owned(), need: "one taken by this version".to_owned() };
    Gap::new(section, cause, "The snapshot was taken by an earlier version, which did not read this. Run the audit again.")
}

fn older_roles<T>() -> Seen<T> {
    Err(older(Section::PgRoles))
}

fn older_checkpoints<T>() -> Seen<T> {
    Err(older(Section::PgCheckpoints))
}

fn older_nodes<T>() -> Seen<T> {
    Err(older(Section::PgNodes))
}

fn older_plans<T>() -> Seen<T> {
    Err(older(Section::PgPlans))
}

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

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Table {
    pub schema: String,
    pub name: String,
    /// The extension that owns it, or `None`.
    pub extension: Option<String>,
    /// "r" table, "p" partitioned, "m" materialized view.
    pub kind: String,
    /// `pg_class.reltuples`; −1 = never analyzed.
    pub rows_estimate: f64,
    pub table_bytes: u64,
    pub index_bytes: u64,
    pub toast_bytes: u64,
    pub dead_rows: u64,
    pub live_rows: u64,
    pub modified_since_analyze: u64,
    #[serde(with = "time::serde::rfc3339::option")]
    pub last_vacuum: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option")]
    pub last_autovacuum: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option")]
    pub last_analyze: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option")]
    pub last_autoanalyze: Option<OffsetDateTime>,
    /// Storage parameters, `autovacuum_vacuum_scale_factor=0.02`.
    pub options: Vec<String>,
    pub counters: Sampled<TableCounters>,
    /// Age of the oldest unfrozen transaction id, its TOAST table's included.
    pub xid_age: u64,
    /// Age of the oldest multixact, its TOAST table's included.
    #[serde(default)]
    pub mxid_age: u64,
    /// Columns that were dropped: rows written before keep their values until they are written again.
    #[serde(default)]
    pub dropped_columns: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TableCounters {
    pub seq_scans: u64,
    pub seq_rows_read: u64,
    pub index_scans: u64,
    pub index_rows_fetched: u64,
    pub inserts: u64,
    pub updates: u64,
    pub deletes: u64,
    pub hot_updates: u64,
}

impl Table {
    /// `schema.name`, quoted where SQL needs it.
    pub fn full_name(&self) -> String {
        format!("{}.{}", quote(&self.schema), quote(&self.name))
    }

    /// Heap, indexes and TOAST.
    pub fn total_bytes(&self) -> u64 {
        self.table_bytes + self.index_bytes + self.toast_bytes
    }

    /// Live rows as best known: the collector's counter, else the planner's estimate; `None`: never analyzed and nothing counted.
    pub fn rows(&self) -> Option<u64> {
        if self.live_rows > 0 {
            Some(self.live_rows.max(self.rows_estimate.max(0.0) as u64))
        } else if self.rows_estimate >= 0.0 {
            Some(self.rows_estimate as u64)
        } else {
            None
        }
    }
}

/// An identifier as SQL needs it: quoted when it is a reserved word or not plain lower case.
pub fn quote(identifier: &str) -> String {
    const RESERVED: [&str; 34] = [
        "all",
        "and",
        "any",
        "array",
        "as",
        "asc",
        "both",
        "case",
        "cast",
        "check",
        "collate",
        "column",
        "constraint",
        "create",
        "default",
        "desc",
        "distinct",
        "do",
        "else",
        "end",
        "for",
        "foreign",
        "from",
        "group",
        "limit",
        "offset",
        "order",
        "primary",
        "references",
        "select",
        "table",
        "to",
        "user",
        "where",
    ];
    let plain = identifier.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && identifier.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        && !RESERVED.contains(&identifier);
    if plain { identifier.to_owned() } else { format!("\"{}\"", identifier.replace('"', "\"\"")) }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Index {
    pub schema: String,
    pub table: String,
    pub name: String,
    /// btree, hash, gin, gist, brin, spgist.
    pub method: String,
    /// Key columns in order, then nothing; INCLUDE columns are apart.
    pub keys: Vec<IndexKey>,
    pub include: Vec<String>,
    /// `pg_get_expr(indpred)`, e.g. `(deleted_at IS NULL)`.
    pub predicate: Option<String>,
    pub is_unique: bool,
    pub nulls_not_distinct: bool,
    pub is_primary: bool,
    pub is_valid: bool,
    pub is_ready: bool,
    /// A CREATE INDEX or REINDEX is running on it now.
    pub is_building: bool,
    pub is_replica_identity: bool,
    /// Of a partition, and part of the index of the whole table: it goes with that one only.
    #[serde(default)]
    pub is_attached: bool,
    /// The constraint it backs.
    pub constraint: Option<String>,
    /// Owned by an extension.
    pub extension: Option<String>,
    /// `pg_get_indexdef`.
    pub definition: String,
    pub bytes: u64,
    /// `pg_class.reltuples` of the index; −1 = never counted.
    #[serde(default = "never_counted")]
    pub rows_estimate: f64,
    /// Storage parameters, `fillfactor=70`.
    #[serde(default)]
    pub options: Vec<String>,
    pub scans: Sampled<u64>,
    /// Postgres 16 and later.
    #[serde(with = "time::serde::rfc3339::option")]
    pub last_scan: Option<OffsetDateTime>,
}

impl Index {
    /// The index of a partitioned table or a partition's part of one: neither can be dropped concurrently, the part not at all.
    pub fn is_partitioned(&self) -> bool {
        self.is_attached || self.definition.contains(" ON ONLY ")
    }
}

/// One key column of an index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexKey {
    /// The column's name unquoted, or the expression's text.
    pub text: String,
    pub is_expression: bool,
    /// Operator class when it is not the type's default: `text_pattern_ops`, `gin_trgm_ops`.
    pub opclass: Option<String>,
    /// Collation when it is not the column's default.
    pub collation: Option<String>,
    pub is_descending: bool,
    pub nulls_first: bool,
}

fn never_counted() -> f64 {
    -1.0
}

impl Index {
    pub fn full_name(&self) -> String {
        format!("{}.{}", quote(&self.schema), quote(&self.name))
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Constraint {
    pub schema: String,
    pub table: String,
    pub name: String,
    /// "p", "u", "f", "c", "x".
    pub kind: String,
    pub columns: Vec<String>,
    pub is_validated: bool,
    /// For foreign keys: the parent.
    pub parent_schema: Option<String>,
    pub parent_table: Option<String>,
    pub parent_columns: Vec<String>,
    /// "a" no action, "r" restrict, "c" cascade, "n" set null, "d" set default.
    pub on_delete: Option<String>,
    pub on_update: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Column {
    pub schema: String,
    pub table: String,
    pub name: String,
    /// `format_type`, e.g. `text`, `timestamp with time zone`.
    pub data_type: String,
    pub is_nullable: bool,
}

/// `pg_stats` without values: no most common values, no histogram is ever read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ColumnStats {
    pub schema: String,
    pub table: String,
    pub column: String,
    pub null_fraction: f64,
    /// Bytes.
    pub average_width: u32,
    /// As `pg_stats.n_distinct`: positive a count, negative a share of the rows.
    pub distinct: f64,
    pub correlation: Option<f64>,
}

/// `pg_stat_statements` of this database, folded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Statements {
    /// Rows after folding `in`-lists, sorted by total time, longest first; cut by the row limit.
    pub rows: Listed<Statement>,
    /// Rows before folding.
    pub rows_read: u64,
    /// Rows whose text this role may not see.
    pub hidden: u64,
    /// Our own statements, left out of `rows` and of `total`.
    pub own_excluded: u64,
    /// Sums over all statements of this database, the hidden and cut ones included, our own not.
    pub total: Sampled<StatementCounters>,
    #[serde(with = "time::serde::rfc3339::option")]
    pub reset_at: Option<OffsetDateTime>,
    /// Entries evicted because the table was full.
    pub evictions: Option<Sampled<u64>>,
    pub extension_version: String,
    /// `pg_stat_statements.max` and `.track`.
    pub max_entries: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Statement {
    /// `queryid` of the costliest folded row, as text (JSON numbers lose 64 bits).
    pub id: String,
    /// Normalised text, folded (`in ($1, …)`), cut at 4,000 characters.
    pub text: String,
    /// Characters of the longest whole text.
    pub text_chars: u64,
    /// Highest number of `$n` seen in one text.
    pub placeholders: u32,
    /// Rows of the view that were folded into this one.
    pub folded: u32,
    pub role: Option<String>,
    pub counters: Sampled<StatementCounters>,
}

/// Times in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct StatementCounters {
    pub calls: u64,
    pub total_ms: f64,
    /// Largest single call; of the whole period even in the window (the view keeps no other).
    pub max_ms: f64,
    /// Of the whole period.
    pub stddev_ms: f64,
    pub rows: u64,
    pub blocks_hit: u64,
    pub blocks_read: u64,
    pub blocks_dirtied: u64,
    pub temp_blocks_read: u64,
    pub temp_blocks_written: u64,
    pub io_ms: f64,
    /// Reading and writing temporary files; 15 and later with `track_io_timing`, else 0.
    #[serde(default)]
    pub temp_io_ms: f64,
    /// Compiling by the JIT; 15 and later, else 0.
    #[serde(default)]
    pub jit_ms: f64,
    #[serde(default)]
    pub wal_bytes: u64,
}

impl StatementCounters {
    /// Milliseconds a call; 0 when never called.
    pub fn mean_ms(&self) -> f64 {
        if self.calls == 0 { 0.0 } else { self.total_ms / self.calls as f64 }
    }

    /// Rows a call; 0 when never called.
    pub fn rows_a_call(&self) -> f64 {
        if self.calls == 0 { 0.0 } else { self.rows as f64 / self.calls as f64 }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Activity {
    pub max_connections: u32,
    pub reserved: u32,
    /// Client backends of all databases, our own excluded.
    pub connections: u32,
    /// Backends by application name, role, state; names and counts only.
    pub groups: Vec<SessionGroup>,
    /// Sessions worth naming: waiting, long or idle in transaction; our own, autovacuum and walsenders excluded.
    pub sessions: Vec<Session>,
    /// Sessions of other roles whose state this role may not see.
    pub hidden: u32,
    /// Wait events seen over the window's samples: name, times seen.
    pub waits: Vec<(String, u64)>,
    /// Oldest transaction that holds back vacuum: what it is and its age in transactions.
    pub oldest_xmin: Option<XminHolder>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SessionGroup {
    pub application: String,
    pub role: String,
    pub state: String,
    pub count: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Session {
    pub pid: i32,
    pub application: String,
    pub role: String,
    pub state: String,
    pub wait: Option<String>,
    /// Seconds since the transaction, the statement, the last state change began.
    pub transaction_s: Option<f64>,
    pub statement_s: Option<f64>,
    pub state_s: Option<f64>,
    /// Seconds waiting for a lock.
    pub waiting_s: Option<f64>,
    pub blocked_by: Vec<i32>,
    /// `queryid` of its statement (14 and later), never its text: texts of running statements hold values.
    pub statement_id: Option<String>,
    /// Tables on which it holds a lock stronger than reading, `public.cart`; at most ten.
    #[serde(default)]
    pub locked_tables: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct XminHolder {
    /// "session", "prepared transaction", "replication slot", "standby".
    pub kind: String,
    pub name: String,
    pub age_xids: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sequence {
    pub schema: String,
    pub name: String,
    /// `None`: no permission or never used.
    pub last_value: Option<i64>,
    pub is_readable: bool,
    /// The smaller of the sequence's and its column's limit.
    pub max_value: i64,
    pub column: Option<String>,
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

/// The plan of one statement for any parameters, without conditions: they could hold values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StatementPlan {
    pub statement_id: String,
    pub cost: f64,
    /// Indented lines, "Seq Scan on image (cost 4,211, rows 3)".
    pub lines: Vec<String>,
}

/// What the planner said of one statement with and without a hypothetical index.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Proof {
    pub statement_id: String,
    pub schema: String,
    pub table: String,
    pub columns: Vec<String>,
    /// The hypothetical index as created, `create index on …`.
    pub definition: String,
    /// "hypopg", "generic plan" (only the plan as it is now); else why the planner did not answer: "too long", "not allowed",
    /// "not explained", "out of time", "too many".
    pub method: String,
    pub cost_before: f64,
    pub node_before: String,
    pub rows_before: f64,
    pub cost_after: Option<f64>,
    /// Share 0…1 of the cost that is left where every block is priced as one in memory; `None` where the plans would be others then, or
    /// were not asked for.
    #[serde(default)]
    pub left_in_memory: Option<f64>,
    pub node_after: Option<String>,
    /// The plan with the hypothetical index names it. Earlier snapshots did not look: there the cost alone tells.
    #[serde(default = "taken_for_used")]
    pub is_used: bool,
    /// Estimated size of the hypothetical index.
    pub bytes: Option<u64>,
}

fn taken_for_used() -> bool {
    true
}

impl Proof {
    /// The planner answered; else `method` says why not.
    pub fn is_answer(&self) -> bool {
        self.method == "hypopg" || self.method == "generic plan"
    }
}

#[cfg(test)]
mod tests {
    use super::quote;

    #[test]
    fn identifiers_are_quoted_where_sql_needs_it() {
        assert_eq!(quote("image"), "image");
        assert_eq!(quote("order"), "\"order\"");
        assert_eq!(quote("IDX_a"), "\"IDX_a\"");
        assert_eq!(quote("a\"b"), "\"a\"\"b\"");
        assert_eq!(quote("1a"), "\"1a\"");
    }
}
