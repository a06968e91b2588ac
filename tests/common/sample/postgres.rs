//! A Postgres that spends its time scanning one table.

use medusa_advisor::evidence::medusa::{MediaHost, Medusa, Module, RowCount};
use medusa_advisor::evidence::postgres::{
    Activity, Database, DatabaseCounters, Extension, Index, IndexKey, Postgres, Proof, Replication, Sequence, Server, Session, SessionGroup, Setting,
    Statement, StatementCounters, Statements, Table, TableCounters,
};
use medusa_advisor::evidence::{Cause, Gap, Listed, Sampled, Section};
use time::Duration;

use super::TAKEN_AT;

pub fn postgres() -> Postgres {
    let denied = || Cause::Denied { grant: "grant pg_read_all_stats to medusa_advisor;".to_owned() };
    Postgres {
        server: Ok(server()),
        settings: Ok(settings()),
        extensions: Ok(vec![Extension {
            name: "pg_stat_statements".to_owned(),
            installed: Some("1.10".to_owned()),
            available: Some("1.10".to_owned()),
        }]),
        databases: Ok(vec![Database { name: "medusa".to_owned(), bytes: Some(4_200_000_000), connections: 44, xid_age: 41_000_000, mxid_age: 0 }]),
        tables: Ok(Listed::whole(tables())),
        indexes: Ok(Listed::whole(indexes())),
        constraints: Ok(Listed::whole(Vec::new())),
        columns: Ok(Listed::whole(Vec::new())),
        column_stats: Err(Gap::new(Section::PgColumnStats, denied(), "pg_stats is not readable by this role.")),
        statements: Ok(statements()),
        activity: Ok(activity()),
        sequences: Ok(vec![Sequence {
            schema: "public".to_owned(),
            name: "order_display_id_seq".to_owned(),
            last_value: Some(184_220),
            is_readable: true,
            max_value: 2_147_483_647,
            column: Some("order.display_id".to_owned()),
        }]),
        replication: Ok(Replication { replicas: Vec::new(), slots: Vec::new() }),
        roles: Ok(Vec::new()),
        checkpoints: Err(Gap::not_configured(Section::PgCheckpoints)),
        nodes: Ok(Vec::new()),
        plans: Ok(Vec::new()),
        medusa: Ok(medusa()),
        media: Ok(vec![MediaHost {
            column: "image.url".to_owned(),
            host: "http://localhost:9000".to_owned(),
            folder: "static".to_owned(),
            local_form: 18_204,
            count: 18_204,
            example: "/static/1700000000000-tee.jpg".to_owned(),
        }]),
        row_counts: Ok(row_counts()),
        proofs: Ok(vec![proof()]),
    }
}

fn server() -> Server {
    let total = DatabaseCounters {
        commits: 91_204_000,
        rollbacks: 4_120,
        blocks_hit: 8_120_400_000,
        blocks_read: 41_200_000,
        temp_files: 812,
        temp_bytes: 9_400_000_000,
        deadlocks: 2,
    };
    let window =
        DatabaseCounters { commits: 4_120, rollbacks: 1, blocks_hit: 5_120_400, blocks_read: 2_120, temp_files: 0, temp_bytes: 0, deadlocks: 0 };
    Server {
        host: "db.northwind.internal:5432".to_owned(),
        database: "medusa".to_owned(),
        role: "medusa_advisor".to_owned(),
        version_num: 160_004,
        version: "16.4".to_owned(),
        platform: "plain".to_owned(),
        is_replica: false,
        is_pooled: Some(false),
        is_superuser: false,
        has_pg_monitor: true,
        started_at: Some(TAKEN_AT - Duration::days(41)),
        stats_reset_at: Some(TAKEN_AT - Duration::days(6)),
        now: TAKEN_AT,
        round_trip_ms: 9.2,
        database_bytes: 4_200_000_000,
        memory_bytes: None,
        counters: Sampled { total, window: Some(window) },
    }
}

fn settings() -> Vec<Setting> {
    let row = |name: &str, value: &str, unit: Option<&str>, source: &str| Setting {
        name: name.to_owned(),
        value: value.to_owned(),
        unit: unit.map(str::to_owned),
        source: source.to_owned(),
        boot_value: Some("0".to_owned()),
        pending_restart: false,
    };
    vec![
        row("shared_buffers", "16384", Some("8kB"), "configuration file"),
        row("work_mem", "4096", Some("kB"), "default"),
        row("effective_cache_size", "524288", Some("8kB"), "default"),
        row("random_page_cost", "4", None, "default"),
        row("max_connections", "100", None, "configuration file"),
        row("log_min_duration_statement", "-1", Some("ms"), "default"),
        row("autovacuum", "on", None, "default"),
        row("idle_in_transaction_session_timeout", "0", Some("ms"), "default"),
    ]
}

fn tables() -> Vec<Table> {
    let row = |name: &str, rows: u64, table_bytes: u64, index_bytes: u64, seq_scans: u64| Table {
        schema: "public".to_owned(),
        name: name.to_owned(),
        extension: None,
        kind: "r".to_owned(),
        rows_estimate: rows as f64,
        table_bytes,
        index_bytes,
        toast_bytes: table_bytes / 20,
        dead_rows: rows / 8,
        live_rows: rows,
        modified_since_analyze: rows / 30,
        last_vacuum: None,
        last_autovacuum: Some(TAKEN_AT - Duration::days(9)),
        last_analyze: None,
        last_autoanalyze: Some(TAKEN_AT - Duration::days(2)),
        options: Vec::new(),
        counters: Sampled {
            total: TableCounters {
                seq_scans: seq_scans * 4_000,
                seq_rows_read: seq_scans * 4_000 * rows,
                index_scans: rows,
                index_rows_fetched: rows * 3,
                inserts: rows,
                updates: rows / 4,
                deletes: rows / 90,
                hot_updates: rows / 9,
            },
            window: Some(TableCounters {
                seq_scans,
                seq_rows_read: seq_scans * rows,
                index_scans: 120,
                index_rows_fetched: 400,
                inserts: 12,
                updates: 30,
                deletes: 1,
                hot_updates: 9,
            }),
        },
        xid_age: 41_000_000,
        mxid_age: 0,
        dropped_columns: 0,
        partition_of: None,
    };
    vec![
        row("order", 184_220, 740_000_000, 440_000_000, 0),
        row("order_line_item", 512_400, 610_000_000, 330_000_000, 1),
        row("price", 240_000, 180_000_000, 121_000_000, 0),
        row("image", 180_000, 51_000_000, 20_000_000, 606),
        row("product_variant", 61_200, 44_000_000, 31_000_000, 4),
        row("product", 20_000, 21_000_000, 12_000_000, 12),
        row("cart", 940_100, 390_000_000, 210_000_000, 2),
    ]
}

fn indexes() -> Vec<Index> {
    let row = |table: &str, name: &str, column: &str, bytes: u64, scans: u64| Index {
        schema: "public".to_owned(),
        table: table.to_owned(),
        name: name.to_owned(),
        method: "btree".to_owned(),
        keys: vec![IndexKey {
            text: column.to_owned(),
            is_expression: false,
            opclass: None,
            collation: None,
            is_descending: false,
            nulls_first: false,
        }],
        include: Vec::new(),
        predicate: None,
        is_unique: name.ends_with("pkey"),
        nulls_not_distinct: false,
        is_primary: name.ends_with("pkey"),
        is_valid: true,
        is_ready: true,
        is_building: false,
        is_replica_identity: false,
        is_attached: false,
        constraint: None,
        extension: None,
        definition: format!("create index {name} on public.{table} using btree ({column})"),
        bytes,
        rows_estimate: -1.0,
        options: Vec::new(),
        scans: Sampled { total: scans * 4_000, window: Some(scans) },
        last_scan: None,
        age_s_min: Some(31_536_000.0),
    };
    vec![
        row("image", "image_pkey", "id", 9_400_000, 2),
        row("order", "order_pkey", "id", 31_000_000, 940),
        row("order", "IDX_order_metadata", "metadata", 94_000_000, 0),
        row("product", "IDX_product_handle_unique", "handle", 1_900_000, 412),
        row("cart", "IDX_cart_email", "email", 61_000_000, 0),
    ]
}

fn statements() -> Statements {
    let text =
        "select \"i0\".* from \"image\" as \"i0\" where \"i0\".\"product_id\" = $1 and \"i0\".\"deleted_at\" is null order by \"i0\".\"rank\" asc";
    let rows = vec![
        statement("4611686018427387905", text, 606, 25_450.0, 3),
        statement(
            "4611686018427387906",
            "select \"p0\".* from \"product\" as \"p0\" where \"p0\".\"id\" in ($1, …) and \"p0\".\"deleted_at\" is null",
            41,
            412.0,
            20_052,
        ),
        statement("4611686018427387907", "select \"p0\".* from \"price\" as \"p0\" where \"p0\".\"price_set_id\" in ($1, …)", 410, 141.0, 240),
        statement(
            "4611686018427387908",
            "select \"c0\".* from \"cart\" as \"c0\" where \"c0\".\"id\" = $1 and \"c0\".\"deleted_at\" is null",
            1_204,
            96.0,
            1,
        ),
        statement("4611686018427387909", "update \"cart\" set \"updated_at\" = $1 where \"id\" = $2", 302, 61.0, 1),
        statement("4611686018427387910", "insert into \"order_line_item\" (\"id\", \"title\", \"subtitle\") values ($1, $2, $3)", 12, 9.0, 1),
    ];
    let sum = |f: fn(&Statement) -> Option<StatementCounters>| {
        rows.iter().filter_map(f).fold(StatementCounters::default(), |a, c| StatementCounters {
            calls: a.calls + c.calls,
            total_ms: a.total_ms + c.total_ms,
            ..a
        })
    };
    let total = Sampled { total: sum(|s| Some(s.counters.total)), window: Some(sum(|s| s.counters.window)) };
    Statements {
        rows: Listed { rows, cut: Some(305) },
        rows_read: 1_204,
        hidden: 0,
        own_excluded: 14,
        total,
        reset_at: Some(TAKEN_AT - Duration::days(6)),
        evictions: Some(Sampled::only(0)),
        extension_version: "1.10".to_owned(),
        max_entries: Some(5_000),
    }
}

fn statement(id: &str, text: &str, calls: u64, total_ms: f64, rows: u64) -> Statement {
    let counters = |times: u64| StatementCounters {
        calls: calls * times,
        total_ms: total_ms * times as f64,
        max_ms: total_ms / calls as f64 * 2.8,
        stddev_ms: total_ms / calls as f64 * 0.3,
        rows: rows * calls * times,
        blocks_hit: 6_400 * calls * times,
        blocks_read: 12 * times,
        ..StatementCounters::default()
    };
    Statement {
        id: id.to_owned(),
        text: text.to_owned(),
        text_chars: text.chars().count() as u64,
        placeholders: if text.contains('…') { 20_052 } else { 1 },
        folded: 1,
        role: Some("medusa".to_owned()),
        counters: Sampled { total: counters(17_280), window: Some(counters(1)) },
    }
}

fn activity() -> Activity {
    let group = |application: &str, state: &str, count| SessionGroup {
        application: application.to_owned(),
        role: "medusa".to_owned(),
        state: state.to_owned(),
        count,
    };
    Activity {
        max_connections: 100,
        reserved: 3,
        connections: 47,
        groups: vec![group("medusa", "idle", 44), group("medusa", "active", 2), group("worker", "idle in transaction", 1)],
        sessions: vec![Session {
            pid: 4_120,
            application: "worker".to_owned(),
            role: "medusa".to_owned(),
            state: "idle in transaction".to_owned(),
            wait: Some("Client:ClientRead".to_owned()),
            transaction_s: Some(812.0),
            statement_s: Some(810.0),
            state_s: Some(809.0),
            waiting_s: None,
            blocked_by: Vec::new(),
            statement_id: Some("4611686018427387909".to_owned()),
            locked_tables: vec!["public.cart".to_owned()],
        }],
        hidden: 0,
        waits: vec![("IO:DataFileRead".to_owned(), 41), ("Lock:transactionid".to_owned(), 3)],
        oldest_xmin: None,
    }
}

fn medusa() -> Medusa {
    let module = |name: &str| Module { name: name.to_owned(), table: name.to_owned(), is_present: true };
    Medusa {
        major: 2,
        version: "2.21.2".to_owned(),
        evidence: "newest applied migration".to_owned(),
        schema: "public".to_owned(),
        tables: 131,
        modules: ["cart", "order", "pricing", "product"].map(module).to_vec(),
    }
}

fn row_counts() -> Vec<RowCount> {
    let row = |table: &str, rows| RowCount { table: format!("public.{table}"), what: "total".to_owned(), rows, is_estimate: true };
    vec![row("product", 20_000), row("image", 180_000), row("order", 184_220), row("cart", 940_100)]
}

fn proof() -> Proof {
    Proof {
        statement_id: "4611686018427387905".to_owned(),
        schema: "public".to_owned(),
        table: "image".to_owned(),
        columns: vec!["product_id".to_owned()],
        definition: "create index on public.image (product_id) where deleted_at is null".to_owned(),
        method: "hypopg".to_owned(),
        cost_before: 6_412.0,
        node_before: "Seq Scan".to_owned(),
        rows_before: 180_000.0,
        cost_after: Some(8.4),
        left_in_memory: None,
        node_after: Some("Index Scan".to_owned()),
        is_used: true,
        bytes: Some(6_100_000),
    }
}
