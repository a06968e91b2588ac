//! Queues, clients and the part of Postgres that the checks of keys and queues compare with.

// Each test program uses its part of this.
#![allow(dead_code)]

use medusa_advisor::evidence::postgres::{DatabaseCounters, Postgres, Server, Statement, StatementCounters, Statements, Table, TableCounters};
use medusa_advisor::evidence::redis::{ClientGroup, Pattern, Queue, QueueLengths, Role};
use medusa_advisor::evidence::{Listed, Sampled};
use time::Duration;
use time::macros::datetime;

pub const EVENTS: &str = "RedisEventBusService:events-queue";

/// The events queue, unattended, read twice 30 s apart.
pub fn events(now: QueueLengths, before: QueueLengths) -> Queue {
    Queue { database: 0, name: EVENTS.into(), role: Role::EventBus, now, before: Some((30.0, before)), is_attended: false }
}

pub fn waiting(prioritized: u64) -> QueueLengths {
    QueueLengths { prioritized, ..QueueLengths::default() }
}

pub fn client(name: &str, command: &str) -> ClientGroup {
    ClientGroup { name: name.into(), command: command.into(), count: 1, database: 0 }
}

/// The name of the events queue's worker: "events-queue" in base 64.
pub const EVENTS_WORKER: &str = "RedisEventBusService:ZXZlbnRzLXF1ZXVl";

pub fn job_hashes(keys: u64) -> Pattern {
    let made = crate::made_redis::pattern("RedisEventBusService:events-queue:<n>", Role::EventBus, keys, keys);
    Pattern { queue_part: Some("job".into()), ..made }
}

/// A Postgres whose server has counted for 60 days, with these tables and statements (text, calls, ms since the reset).
pub fn with_postgres(mut pg: Postgres, carts: Option<(u64, u64)>, statements: &[(&str, u64, f64)]) -> Postgres {
    pg.server = Ok(server());
    pg.tables = Ok(Listed::whole(carts.map(|(total, window)| cart_table(total, window)).into_iter().collect()));
    pg.statements = Ok(made_statements(statements));
    pg
}

fn server() -> Server {
    let now = datetime!(2026-11-23 09:30 UTC);
    let counters = DatabaseCounters { commits: 0, rollbacks: 0, blocks_hit: 0, blocks_read: 0, temp_files: 0, temp_bytes: 0, deadlocks: 0 };
    Server {
        host: "db.example:5432".into(),
        database: "medusa".into(),
        role: "advisor".into(),
        version_num: 150_018,
        version: "15.18".into(),
        platform: "plain".into(),
        is_replica: false,
        is_pooled: Some(false),
        is_superuser: false,
        has_pg_monitor: true,
        started_at: Some(now - Duration::days(90)),
        stats_reset_at: Some(now - Duration::days(60)),
        now,
        round_trip_ms: 0.4,
        database_bytes: 5_000_000_000,
        memory_bytes: None,
        counters: Sampled::only(counters),
    }
}

fn cart_table(total: u64, window: u64) -> Table {
    let counters = |inserts| TableCounters {
        seq_scans: 0,
        seq_rows_read: 0,
        index_scans: 0,
        index_rows_fetched: 0,
        inserts,
        updates: 0,
        deletes: 0,
        hot_updates: 0,
    };
    Table {
        schema: "public".into(),
        name: "cart".into(),
        extension: None,
        kind: "r".into(),
        rows_estimate: total as f64,
        table_bytes: 0,
        index_bytes: 0,
        toast_bytes: 0,
        dead_rows: 0,
        live_rows: total,
        modified_since_analyze: 0,
        last_vacuum: None,
        last_autovacuum: None,
        last_analyze: None,
        last_autoanalyze: None,
        options: Vec::new(),
        counters: Sampled { total: counters(total), window: Some(counters(window)) },
        xid_age: 0,
        mxid_age: 0,
        dropped_columns: 0,
        partition_of: None,
    }
}

/// The window is the same figures again; it lasts as long as the snapshot says.
fn made_statements(rows: &[(&str, u64, f64)]) -> Statements {
    let counters = |calls, total_ms| StatementCounters { calls, total_ms, rows: calls, ..StatementCounters::default() };
    let statement = |(i, (text, calls, ms)): (usize, &(&str, u64, f64))| Statement {
        id: i.to_string(),
        text: (*text).into(),
        text_chars: text.chars().count() as u64,
        placeholders: 1,
        folded: 1,
        role: Some("medusa".into()),
        counters: Sampled { total: counters(*calls, *ms), window: Some(counters(*calls, *ms)) },
    };
    let total = counters(rows.iter().map(|r| r.1).sum(), rows.iter().map(|r| r.2).sum());
    Statements {
        rows_read: rows.len() as u64,
        rows: Listed::whole(rows.iter().enumerate().map(statement).collect()),
        hidden: 0,
        own_excluded: 0,
        total: Sampled { total, window: Some(total) },
        reset_at: Some(datetime!(2026-11-16 09:30 UTC)),
        evictions: None,
        extension_version: "1.10".into(),
        max_entries: Some(5_000),
    }
}
