//! The server itself: version, role, settings, extensions, databases, replication.

use sqlx::FromRow;
use time::OffsetDateTime;

use super::reader::{Reader, count, rise, small};
use crate::evidence::postgres::{Database, DatabaseCounters, Extension, Replica, Replication, Server, Setting, Slot};
use crate::evidence::{Cause, Gap, Sampled, Section, Seen};

/// A backend this much older than our connection was not started for it.
const BACKEND_AGE_SLACK_S: f64 = 2.0;

#[derive(FromRow)]
struct ServerRow {
    database: String,
    role: String,
    version_num: i32,
    version: String,
    block_size: i64,
    is_replica: bool,
    is_superuser: bool,
    has_pg_monitor: bool,
    started_at: Option<OffsetDateTime>,
    platform: String,
    backend_pid: i32,
    backend_age_s: Option<f64>,
    server_port: Option<i32>,
    database_bytes: i64,
}

/// What the first reading knows beyond the evidence.
pub struct FirstServer {
    pub server: Server,
    pub block_size: u64,
    backend_pid: i32,
    server_port: Option<i32>,
}

#[derive(FromRow)]
struct CountersRow {
    now: OffsetDateTime,
    backend_pid: i32,
    stats_reset_at: Option<OffsetDateTime>,
    commits: i64,
    rollbacks: i64,
    blocks_hit: i64,
    blocks_read: i64,
    temp_files: i64,
    temp_bytes: i64,
    deadlocks: i64,
}

/// First reading of the server and the counters of this database.
pub async fn first(reader: &mut Reader<'_>, address: String, elapsed_s: f64) -> Seen<FirstServer> {
    let row: ServerRow = reader.row(Section::PgServer, include_str!("sql/server.sql")).await?;
    let counters: CountersRow = reader.row(Section::PgServer, include_str!("sql/database_counters.sql")).await?;
    let is_old = row.backend_age_s.is_some_and(|age| age > elapsed_s + BACKEND_AGE_SLACK_S);
    let server = Server {
        host: address,
        database: row.database,
        role: row.role,
        version_num: small(row.version_num),
        version: row.version.split_whitespace().next().unwrap_or(&row.version).to_owned(),
        platform: row.platform,
        is_replica: row.is_replica,
        is_pooled: is_old.then_some(true),
        is_superuser: row.is_superuser,
        has_pg_monitor: row.has_pg_monitor,
        started_at: row.started_at,
        stats_reset_at: counters.stats_reset_at,
        now: counters.now,
        round_trip_ms: reader.session.round_trip_ms(),
        database_bytes: count(row.database_bytes),
        memory_bytes: None,
        counters: Sampled::only(database_counters(&counters)),
    };
    Ok(FirstServer { server, block_size: count(row.block_size), backend_pid: row.backend_pid, server_port: row.server_port })
}

/// Second reading: the counters' difference, the clock, and whether another backend answers now.
pub async fn second(reader: &mut Reader<'_>, first: &mut FirstServer, port: u16) -> Seen<()> {
    let row: CountersRow = reader.row(Section::PgServer, include_str!("sql/database_counters.sql")).await?;
    let server = &mut first.server;
    let after = database_counters(&row);
    let was_reset = row.stats_reset_at != server.stats_reset_at;
    server.counters = Sampled { total: after, window: if was_reset { None } else { difference(&server.counters.total, &after) } };
    server.now = row.now;
    server.stats_reset_at = row.stats_reset_at;
    if server.is_pooled.is_none() {
        if row.backend_pid != first.backend_pid {
            server.is_pooled = Some(true);
        } else if first.server_port == Some(i32::from(port)) {
            server.is_pooled = Some(false);
        }
    }
    Ok(())
}

fn database_counters(row: &CountersRow) -> DatabaseCounters {
    DatabaseCounters {
        commits: count(row.commits),
        rollbacks: count(row.rollbacks),
        blocks_hit: count(row.blocks_hit),
        blocks_read: count(row.blocks_read),
        temp_files: count(row.temp_files),
        temp_bytes: count(row.temp_bytes),
        deadlocks: count(row.deadlocks),
    }
}

fn difference(a: &DatabaseCounters, b: &DatabaseCounters) -> Option<DatabaseCounters> {
    Some(DatabaseCounters {
        commits: rise(a.commits, b.commits)?,
        rollbacks: rise(a.rollbacks, b.rollbacks)?,
        blocks_hit: rise(a.blocks_hit, b.blocks_hit)?,
        blocks_read: rise(a.blocks_read, b.blocks_read)?,
        temp_files: rise(a.temp_files, b.temp_files)?,
        temp_bytes: rise(a.temp_bytes, b.temp_bytes)?,
        deadlocks: rise(a.deadlocks, b.deadlocks)?,
    })
}

#[derive(FromRow)]
struct SettingRow {
    name: String,
    value: Option<String>,
    unit: Option<String>,
    source: String,
    boot_value: Option<String>,
    pending_restart: bool,
}

/// Settings but those whose text could hold a secret.
pub async fn settings(reader: &mut Reader<'_>) -> Seen<Vec<Setting>> {
    let rows: Vec<SettingRow> = reader.rows(Section::PgSettings, include_str!("sql/settings.sql")).await?;
    let setting = |r: SettingRow| {
        r.value.map(|value| Setting {
            name: r.name,
            value,
            unit: r.unit,
            source: r.source,
            boot_value: r.boot_value,
            pending_restart: r.pending_restart,
        })
    };
    Ok(rows.into_iter().filter_map(setting).collect())
}

#[derive(FromRow)]
struct ExtensionRow {
    name: String,
    installed: Option<String>,
    available: Option<String>,
    schema: Option<String>,
}

/// Extensions, and the schemas of those that are created.
pub async fn extensions(reader: &mut Reader<'_>) -> Seen<Vec<(Extension, Option<String>)>> {
    let rows: Vec<ExtensionRow> = reader.rows(Section::PgExtensions, include_str!("sql/extensions.sql")).await?;
    Ok(rows.into_iter().map(|r| (Extension { name: r.name, installed: r.installed, available: r.available }, r.schema)).collect())
}

#[derive(FromRow)]
struct DatabaseRow {
    name: String,
    bytes: Option<i64>,
    connections: i32,
    xid_age: i64,
    mxid_age: i64,
}

pub async fn databases(reader: &mut Reader<'_>) -> Seen<Vec<Database>> {
    let rows: Vec<DatabaseRow> = reader.rows(Section::PgDatabases, include_str!("sql/databases.sql")).await?;
    let database = |r: DatabaseRow| Database {
        name: r.name,
        bytes: r.bytes.map(count),
        connections: small(r.connections),
        xid_age: count(r.xid_age),
        mxid_age: count(r.mxid_age),
    };
    Ok(rows.into_iter().map(database).collect())
}

#[derive(FromRow)]
struct ReplicaRow {
    application: String,
    state: Option<String>,
    lag_bytes: Option<i64>,
}

#[derive(FromRow)]
struct SlotRow {
    name: String,
    is_active: bool,
    retained_bytes: Option<i64>,
    kind: String,
    wal_status: Option<String>,
    safe_bytes: Option<i64>,
}

/// Replicas and slots. A replica whose state is hidden is a gap: its lag would be unknown.
pub async fn replication(reader: &mut Reader<'_>) -> Seen<Replication> {
    let replicas: Vec<ReplicaRow> = reader.rows(Section::PgReplication, include_str!("sql/replicas.sql")).await?;
    let slots: Vec<SlotRow> = reader.rows(Section::PgReplication, include_str!("sql/slots.sql")).await?;
    if replicas.iter().any(|r| r.state.is_none()) {
        let detail = "The state of the replicas is hidden from this role.";
        return Err(Gap::new(Section::PgReplication, Cause::Denied { grant: reader.monitor_grant() }, detail));
    }
    let replica = |r: ReplicaRow| r.state.map(|state| Replica { application: r.application, state, lag_bytes: r.lag_bytes.map(count) });
    Ok(Replication { replicas: replicas.into_iter().filter_map(replica).collect(), slots: slots.into_iter().map(slot).collect() })
}

fn slot(r: SlotRow) -> Slot {
    Slot {
        name: r.name,
        is_active: r.is_active,
        retained_bytes: r.retained_bytes.map(count),
        kind: r.kind,
        wal_status: r.wal_status,
        safe_bytes: r.safe_bytes,
    }
}
