//! Small snapshots for the boundary tests: a healthy Medusa v2 store in which nothing happens, to be changed at one place.

use time::Duration;
use time::macros::datetime;

use crate::checks::Check;
use crate::evidence::medusa::{Medusa, RowCount};
use crate::evidence::postgres::*;
use crate::evidence::{Gap, Listed, Meta, Sampled, Section, Snapshot, Targets};
use crate::finding::{Finding, Outcome};

/// A Medusa v2 store with empty Postgres sections, changed by `edit`.
pub fn store(edit: impl FnOnce(&mut Postgres)) -> Snapshot {
    let taken_at = datetime!(2026-11-23 09:30 UTC);
    let mut snapshot = Snapshot::empty(Meta {
        tool_version: "0.1.0".into(),
        store: "Test".into(),
        environment: "production".into(),
        taken_at,
        window_s: 30.0,
        window_asked_s: 30.0,
        cancelled: false,
        targets: Targets::default(),
    });
    let mut pg = postgres();
    edit(&mut pg);
    snapshot.postgres = Ok(pg);
    snapshot
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

fn postgres() -> Postgres {
    let mut pg = Postgres {
        server: Ok(server()),
        settings: Ok(Vec::new()),
        extensions: Ok(Vec::new()),
        databases: Ok(Vec::new()),
        tables: Ok(Listed::whole(Vec::new())),
        indexes: Ok(Listed::whole(Vec::new())),
        constraints: Ok(Listed::whole(Vec::new())),
        columns: Ok(Listed::whole(Vec::new())),
        column_stats: Ok(Listed::whole(Vec::new())),
        statements: Err(Gap::not_configured(Section::PgStatements)),
        activity: Ok(Activity {
            max_connections: 100,
            reserved: 3,
            connections: 10,
            groups: Vec::new(),
            sessions: Vec::new(),
            hidden: 0,
            waits: Vec::new(),
            oldest_xmin: None,
        }),
        sequences: Ok(Vec::new()),
        replication: Ok(Replication { replicas: Vec::new(), slots: Vec::new() }),
        roles: Ok(Vec::new()),
        checkpoints: Err(Gap::not_configured(Section::PgCheckpoints)),
        nodes: Ok(Vec::new()),
        plans: Ok(Vec::new()),
        medusa: Ok(Medusa {
            major: 2,
            version: "2.21.2".into(),
            evidence: "tables".into(),
            schema: "public".into(),
            tables: 147,
            modules: Vec::new(),
        }),
        media: Ok(Vec::new()),
        row_counts: Ok(Vec::new()),
        proofs: Ok(Vec::new()),
    };
    statements(&mut pg, Vec::new());
    pg
}

/// Sets the statements; the sums are theirs, and there is no window.
pub fn statements(pg: &mut Postgres, rows: Vec<Statement>) {
    let mut total = StatementCounters::default();
    for row in &rows {
        total.calls += row.counters.total.calls;
        total.total_ms += row.counters.total.total_ms;
        total.rows += row.counters.total.rows;
    }
    pg.statements = Ok(Statements {
        rows_read: rows.len() as u64,
        rows: Listed::whole(rows),
        hidden: 0,
        own_excluded: 0,
        total: Sampled::only(total),
        reset_at: Some(datetime!(2026-11-16 09:30 UTC)),
        evictions: None,
        extension_version: "1.10".into(),
        max_entries: Some(5_000),
    });
}

/// A statement that returns one row a call and reads one block.
pub fn statement(id: &str, text: &str, calls: u64, total_ms: f64) -> Statement {
    let counters = StatementCounters { calls, total_ms, rows: calls, blocks_hit: calls, ..StatementCounters::default() };
    Statement {
        id: id.into(),
        text: text.into(),
        text_chars: text.chars().count() as u64,
        placeholders: 1,
        folded: 1,
        role: Some("medusa".into()),
        counters: Sampled::only(counters),
    }
}

/// A statement that reads `blocks` a call.
pub fn scanning(id: &str, text: &str, calls: u64, total_ms: f64, blocks: u64) -> Statement {
    let mut statement = statement(id, text, calls, total_ms);
    statement.counters.total.blocks_hit = calls * blocks;
    statement
}

pub fn table(name: &str, rows: u64, bytes: u64) -> Table {
    Table {
        schema: "public".into(),
        name: name.into(),
        extension: None,
        kind: "r".into(),
        rows_estimate: rows as f64,
        table_bytes: bytes,
        index_bytes: 0,
        toast_bytes: 0,
        dead_rows: 0,
        live_rows: rows,
        modified_since_analyze: 0,
        last_vacuum: None,
        last_autovacuum: None,
        last_analyze: None,
        last_autoanalyze: None,
        options: Vec::new(),
        counters: Sampled::only(TableCounters {
            seq_scans: 0,
            seq_rows_read: 0,
            index_scans: 0,
            index_rows_fetched: 0,
            inserts: 0,
            updates: 0,
            deletes: 0,
            hot_updates: 0,
        }),
        xid_age: 0,
        mxid_age: 0,
        dropped_columns: 0,
        partition_of: None,
    }
}

/// A valid btree index that was scanned.
pub fn index(table: &str, name: &str, columns: &[&str], predicate: Option<&str>) -> Index {
    Index {
        schema: "public".into(),
        table: table.into(),
        name: name.into(),
        method: "btree".into(),
        keys: columns.iter().map(|c| key(c)).collect(),
        include: Vec::new(),
        predicate: predicate.map(Into::into),
        is_unique: false,
        nulls_not_distinct: false,
        is_primary: false,
        is_valid: true,
        is_ready: true,
        is_building: false,
        is_replica_identity: false,
        is_attached: false,
        constraint: None,
        extension: None,
        definition: format!("CREATE INDEX {} ON public.{} USING btree ({})", quote(name), quote(table), columns.join(", ")),
        bytes: 20_000_000,
        rows_estimate: -1.0,
        options: Vec::new(),
        scans: Sampled::only(1),
        last_scan: None,
        age_s_min: Some(31_536_000.0),
    }
}

pub fn key(text: &str) -> IndexKey {
    IndexKey { text: text.into(), is_expression: text.contains('('), opclass: None, collation: None, is_descending: false, nulls_first: false }
}

pub fn foreign_key(table: &str, column: &str, parent: &str) -> Constraint {
    Constraint {
        schema: "public".into(),
        table: table.into(),
        name: format!("{table}_{column}_foreign"),
        kind: "f".into(),
        columns: vec![column.into()],
        is_validated: true,
        parent_schema: Some("public".into()),
        parent_table: Some(parent.into()),
        parent_columns: vec!["id".into()],
        on_delete: Some("c".into()),
        on_update: Some("c".into()),
    }
}

pub fn tables(pg: &mut Postgres, rows: Vec<Table>) {
    pg.tables = Ok(Listed::whole(rows));
}

pub fn indexes(pg: &mut Postgres, rows: Vec<Index>) {
    pg.indexes = Ok(Listed::whole(rows));
}

/// Sets the row counts: table, what, rows; counted one by one.
pub fn counted(pg: &mut Postgres, rows: &[(&str, &str, u64)]) {
    let row = |(table, what, rows): &(&str, &str, u64)| RowCount { table: (*table).into(), what: (*what).into(), rows: *rows, is_estimate: false };
    pg.row_counts = Ok(rows.iter().map(row).collect());
}

/// Makes it a Medusa 1 store.
pub fn version_one(pg: &mut Postgres) {
    if let Ok(medusa) = &mut pg.medusa {
        (medusa.major, medusa.version, medusa.tables) = (1, "1.20.11".into(), 100);
    }
}

/// The findings of a check that must fail.
pub fn findings(check: &Check, snapshot: &Snapshot) -> Vec<Finding> {
    match check.run(snapshot) {
        Outcome::Failed(findings) => findings,
        other => panic!("{} should have failed: {other:?}", check.id),
    }
}

pub fn assert_passes(check: &Check, snapshot: &Snapshot) {
    let outcome = check.run(snapshot);
    assert_eq!(outcome, Outcome::Passed, "{}", check.id);
}

pub fn assert_unknown(check: &Check, snapshot: &Snapshot) -> Gap {
    match check.run(snapshot) {
        Outcome::Unknown(gap) => gap,
        other => panic!("{} should not have known: {other:?}", check.id),
    }
}

/// Withholds each Postgres section in turn: those in `needs` must give `Unknown`, those in neither list must change nothing.
pub fn assert_needs_are_exact(check: &Check, snapshot: &Snapshot) {
    let whole = check.run(snapshot);
    for section in Section::ALL.into_iter().filter(|s| *s != Section::Postgres) {
        let mut without = snapshot.clone();
        without.withhold(section, Gap::not_configured(section));
        let outcome = check.run(&without);
        if check.needs.contains(&section) {
            assert!(matches!(outcome, Outcome::Unknown(_)), "{} needs {section:?}: {outcome:?}", check.id);
        } else if !check.uses.contains(&section) {
            assert_eq!(outcome, whole, "{} does not read {section:?}", check.id);
        }
    }
}
