//! A store with faults in every layer, and its opposites: nothing wrong, nothing readable, far too much wrong.
#![allow(dead_code)]

use medusa_advisor::checks::{Check, Judged, always};
use medusa_advisor::evidence::cdn::{Analytics, Cloudflare, HourCount, PathCount, StatusCount, Zone};
use medusa_advisor::evidence::medusa::{Medusa, RowCount};
use medusa_advisor::evidence::postgres::*;
use medusa_advisor::evidence::redis::{self, Command, CommandCounters, Counters, Instance, KeySample, Pattern, Redis, Role};
use medusa_advisor::evidence::storefront::{PathClass, Storefront, Target};
use medusa_advisor::evidence::{Cause, Gap, Layer, LayerCost, Listed, Meta, Sampled, Section, Snapshot, Targets, Timeline};
use medusa_advisor::finding::*;
use medusa_advisor::plan::{self, Dismissal, Plan};
use time::macros::{date, datetime};

pub static MISSING_INDEX: Check = check(
    "pg-missing-index",
    Layer::Postgres,
    "Statements scan a table for lack of an index",
    &["https://www.postgresql.org/docs/current/sql-createindex.html"],
    &[],
);
pub static SLOW: Check = check("pg-slow-statement", Layer::Postgres, "A statement is slow on average", &[], &["pg-missing-index"]);
pub static EVICTION: Check = check(
    "redis-eviction-breaks-queues",
    Layer::Redis,
    "Redis may evict queued jobs",
    &["https://redis.io/docs/latest/develop/reference/eviction/", "https://docs.bullmq.io/guide/going-to-production"],
    &[],
);
pub static HIT_RATIO: Check = check("cdn-low-hit-ratio", Layer::Cdn, "Cacheable requests pass the edge and reach the origin", &[], &[]);
pub static LATENCY: Check = check("app-slow-endpoint", Layer::App, "An endpoint answers slower than its target", &[], &[]);
pub static UNUSED: Check = check("pg-unused-index", Layer::Postgres, "An index is written and never read", &[], &[]);
pub static BLOAT: Check = check("pg-bloat", Layer::Postgres, "A table holds mostly dead space", &[], &[]);
pub static KEYS: Check = check("redis-keys-command", Layer::Redis, "A client scans every key with KEYS", &[], &[]);
pub static TAGS: Check = check("redis-cache-tags-leak", Layer::Redis, "Cache tags outlive their entries", &[], &[]);
pub static SLOW_LOG: Check = check("pg-slow-log-off", Layer::Postgres, "Slow statements are not logged", &[], &[]);

pub const fn check(
    id: &'static str,
    layer: Layer,
    title: &'static str,
    references: &'static [&'static str],
    symptom_of: &'static [&'static str],
) -> Check {
    Check {
        id,
        layer,
        title,
        passed: "No client called KEYS in the window.",
        why: "The shop waits for it on every page. It grows with the catalogue.",
        remedy: "Mend it.",
        method: "Reads the counters.",
        effort: Effort::Minutes,
        references,
        needs: &[],
        uses: &[],
        symptom_of,
        applies_to: always,
        evaluate: |_| Ok(Vec::new()),
    }
}

pub fn meta() -> Meta {
    Meta {
        tool_version: "0.1.0".into(),
        store: "Northwind Outfitters".into(),
        environment: "production".into(),
        taken_at: datetime!(2026-11-23 09:30:00 UTC),
        window_s: 30.0,
        window_asked_s: 30.0,
        cancelled: false,
        targets: Targets::default(),
    }
}

pub fn gap(section: Section) -> Gap {
    Gap::new(section, Cause::Unreadable, "Not part of this fixture.")
}

pub fn snapshot() -> Snapshot {
    let mut s = Snapshot::empty(meta());
    s.postgres = Ok(postgres());
    s.redis = Ok(Redis { instances: vec![instance()] });
    s.cdn = Ok(cloudflare());
    s.storefront = Ok(storefront());
    let wave = |base: f64, swing: f64| -> Vec<(f64, Option<f64>)> {
        (0..31).map(|i| (f64::from(i), Some(base + swing * (f64::from(i) * 0.7).sin()))).collect()
    };
    let line = |id: &str, unit: &str, points| Timeline { id: id.into(), unit: unit.into(), points };
    s.timelines = vec![
        line("pg.database_time", "s/s", wave(0.87, 0.05)),
        line("pg.top_statement_time", "s/s", wave(0.84, 0.05)),
        line("redis.hit_rate", "ratio", wave(0.58, 0.04)),
        line("redis.ops", "1/s", wave(3_140.0, 200.0)),
        line("app.latency", "ms", vec![(0.0, Some(900.0)), (3.0, None), (6.0, Some(1_100.0))]),
    ];
    let cost = |layer, calls, busy_ms, wall_ms, bytes| LayerCost { layer, calls, busy_ms, wall_ms, bytes };
    s.costs = vec![
        cost(Layer::Cdn, 14, None, 1_480.0, 92_000),
        cost(Layer::Redis, 12_040, Some(61.0), 2_100.0, 1_204_000),
        cost(Layer::Postgres, 41, Some(212.0), 640.0, 3_100_000),
        cost(Layer::App, 70, None, 9_400.0, 8_800_000),
    ];
    s
}

fn postgres() -> Postgres {
    let counters = |calls: u64, total_ms: f64, rows: u64| StatementCounters { calls, total_ms, rows, max_ms: 118.0, ..Default::default() };
    let statement = |id: &str, text: &str, calls, total_ms, rows| Statement {
        id: id.into(),
        text: text.into(),
        text_chars: text.len() as u64,
        placeholders: 1,
        folded: 1,
        role: None,
        counters: Sampled { total: counters(calls * 90, total_ms * 88.0, rows * 90), window: Some(counters(calls, total_ms, rows)) },
    };
    let rows = vec![
        statement(
            "1",
            "select \"i0\".* from \"image\" as \"i0\" where \"i0\".\"deleted_at\" is null and \"i0\".\"product_id\" = $1",
            606,
            25_452.0,
            1_818,
        ),
        statement("2", "select \"o0\".* from \"order\" as \"o0\" order by \"o0\".\"created_at\" desc limit $1", 1, 222.0, 20),
        statement("3", "select \"p0\".* from \"product\" as \"p0\" where \"p0\".\"id\" in ($1, …)", 2, 197.0, 24),
        statement("4", "select \"v0\".* from \"product_variant\" as \"v0\" where \"v0\".\"product_id\" in ($1, …)", 606, 84.8, 1_878),
    ];
    let statements = Statements {
        rows: Listed { rows, cut: Some(303) },
        rows_read: 412,
        hidden: 3,
        own_excluded: 9,
        total: Sampled { total: counters(264_000, 2_310_000.0, 900_000), window: Some(counters(2_926, 26_240.0, 9_000)) },
        reset_at: None,
        evictions: None,
        extension_version: "1.10".into(),
        max_entries: Some(5_000),
    };
    let server = Server {
        host: "db.northwind.internal:5432".into(),
        database: "medusa".into(),
        role: "medusa_advisor".into(),
        version_num: 160_004,
        version: "16.4".into(),
        platform: "plain".into(),
        is_replica: false,
        is_pooled: None,
        is_superuser: false,
        has_pg_monitor: true,
        started_at: None,
        stats_reset_at: Some(datetime!(2026-11-17 04:00 UTC)),
        now: datetime!(2026-11-23 09:30 UTC),
        round_trip_ms: 0.6,
        database_bytes: 5_100_000_000,
        memory_bytes: None,
        counters: Sampled::only(DatabaseCounters {
            commits: 1,
            rollbacks: 0,
            blocks_hit: 992,
            blocks_read: 8,
            temp_files: 0,
            temp_bytes: 0,
            deadlocks: 0,
        }),
    };
    let session = |state: &str, count| SessionGroup { application: "medusa".into(), role: "medusa".into(), state: state.into(), count };
    let missing = |s| Err(gap(s));
    Postgres {
        server: Ok(server),
        settings: Err(gap(Section::PgSettings)),
        extensions: Err(gap(Section::PgExtensions)),
        databases: Err(gap(Section::PgDatabases)),
        tables: Ok(Listed::whole(tables())),
        indexes: Err(gap(Section::PgIndexes)),
        constraints: Err(gap(Section::PgConstraints)),
        columns: Err(gap(Section::PgColumns)),
        column_stats: missing(Section::PgColumnStats),
        statements: Ok(statements),
        activity: Ok(Activity {
            max_connections: 100,
            reserved: 3,
            connections: 61,
            groups: vec![session("idle", 44), session("active", 12), session("idle in transaction", 5)],
            sessions: Vec::new(),
            hidden: 0,
            waits: Vec::new(),
            oldest_xmin: None,
        }),
        sequences: Err(gap(Section::PgSequences)),
        replication: Err(gap(Section::PgReplication)),
        roles: Err(gap(Section::PgRoles)),
        checkpoints: Err(gap(Section::PgCheckpoints)),
        nodes: Err(gap(Section::PgNodes)),
        plans: Err(gap(Section::PgPlans)),
        medusa: Ok(Medusa {
            major: 2,
            version: "2.21.2".into(),
            evidence: "table script_migrations".into(),
            schema: "public".into(),
            tables: 131,
            modules: Vec::new(),
        }),
        media: Err(gap(Section::PgMedia)),
        row_counts: Ok(vec![
            RowCount { table: "public.product".into(), what: "total".into(), rows: 20_000, is_estimate: false },
            RowCount { table: "public.\"order\"".into(), what: "total".into(), rows: 500_000, is_estimate: true },
        ]),
        proofs: Err(gap(Section::PgProofs)),
    }
}

fn tables() -> Vec<Table> {
    let names = [
        ("order", 780, 400),
        ("order_line_item", 620, 320),
        ("order_item", 400, 212),
        ("price", 250, 152),
        ("order_summary", 250, 138),
        ("image", 60, 11),
        ("a_custom_module_table_with_a_name_longer_than_any_column_is_wide", 40, 3),
    ];
    names
        .iter()
        .map(|(name, heap, index)| Table {
            schema: "public".into(),
            name: (*name).into(),
            extension: None,
            kind: "r".into(),
            rows_estimate: 180_000.0,
            table_bytes: heap * 1_000_000,
            index_bytes: index * 1_000_000,
            toast_bytes: 0,
            dead_rows: 0,
            live_rows: 180_000,
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
            xid_age: 1_000,
            mxid_age: 0,
            dropped_columns: 0,
            partition_of: None,
        })
        .collect()
}

fn instance() -> Instance {
    let pattern = |pattern: &str, role, keys, mib: u64| Pattern {
        database: 0,
        pattern: pattern.into(),
        role,
        kind: "string".into(),
        keys,
        keys_estimate: keys * 41,
        without_ttl: 0,
        ttl_ms_min: None,
        ttl_ms_median: None,
        ttl_ms_max: None,
        ttl_counts: Vec::new(),
        measured: 10,
        bytes_estimate: Some(mib * 1_048_576),
        bytes_error: None,
        bytes_max: None,
        elements_max: None,
        elements_total: None,
        idle_s_median: None,
        idle_s_max: None,
        idle_keys: 0,
        idle_over_hour: 0,
        frequency_max: None,
        queue_part: None,
    };
    let mut patterns = vec![
        pattern("mc:<hash>", Role::Cache, 4_300, 1_147),
        pattern("mc:tag:*", Role::CacheTags, 3_100, 655),
        pattern("catalog:*", Role::CustomCache, 900, 399),
        pattern("sess:*", Role::Sessions, 1_200, 317),
        pattern("bull:medusa-workflows:<n>", Role::Workflows, 300, 287),
    ];
    patterns.extend((0..12).map(|i| pattern(&format!("app:{i}:*"), Role::Other, 10, 20 - i)));
    let command = |name: &str, calls, micros| Command {
        name: name.into(),
        counters: Sampled {
            total: CommandCounters { calls: calls * 100, micros: micros * 100, failed: 0 },
            window: Some(CommandCounters { calls, micros, failed: 0 }),
        },
    };
    let window = Counters { commands: 94_200, keyspace_hits: 5_800, keyspace_misses: 4_200, ..Default::default() };
    let server = redis::Server {
        product: "redis".into(),
        version: "7.2.4".into(),
        mode: "standalone".into(),
        role: "master".into(),
        platform: "plain".into(),
        uptime_s: 520_000,
        used_memory: 3_049_426_780,
        used_memory_rss: None,
        used_memory_peak: None,
        used_memory_dataset: None,
        fragmentation_ratio: None,
        maxmemory: Some(4_294_967_296),
        maxmemory_policy: Some("allkeys-lru".into()),
        system_memory: None,
        connected_clients: 38,
        blocked_clients: 0,
        maxclients: None,
        is_loading: false,
        aof_enabled: None,
        rdb_last_save_age_s: None,
        master_link_down: false,
        replica_lag_bytes: None,
        replicas: None,
        replicas_syncing: 0,
        expired_stale_share: None,
        is_persistence_failing: false,
        access: None,
        counters: Sampled { total: Counters { commands: 9_000_000, ..window }, window: Some(window) },
        databases: Vec::new(),
        round_trip_ms: 0.4,
    };
    Instance {
        name: "cache.northwind.internal:6379/0".into(),
        server: Ok(server),
        config: Err(Gap::new(
            Section::RedisConfig,
            Cause::Denied { grant: "ACL SETUSER medusa_advisor +config|get".into() },
            "CONFIG GET is not allowed for this user.",
        )),
        slowlog: Ok(Vec::new()),
        latency: Ok(Vec::new()),
        clients: Ok(Vec::new()),
        commands: Ok(vec![
            command("keys", 20, 780_000),
            command("smembers", 2_880, 616_000),
            command("evalsha", 12_360, 383_000),
            command("hget", 18_930, 39_000),
            command("get", 6_630, 12_000),
        ]),
        keys: Ok(KeySample {
            keys_total: 412_880,
            keys_sampled: 10_000,
            is_complete: false,
            ended_by: Some("keys".into()),
            patterns,
            databases: Vec::new(),
        }),
        queues: Ok(Vec::new()),
        queues_left_out: 0,
        slowlog_lost: None,
    }
}

fn cloudflare() -> Cloudflare {
    let shares = [("hit", 46_u64), ("revalidated", 5), ("expired", 9), ("miss", 40), ("dynamic", 33)];
    let start = datetime!(2026-11-22 09:00 UTC);
    let by_hour = (0..24_i64)
        .flat_map(|h| {
            let load = 800 + 700 * ((h - 12).unsigned_abs() % 12);
            shares.iter().map(move |(status, share)| HourCount {
                hour: start + time::Duration::hours(h),
                status: (*status).into(),
                requests: load * share / 10,
                bytes: 0,
            })
        })
        .collect();
    let by_status = shares.iter().map(|(s, n)| StatusCount { status: (*s).into(), requests: n * 36_100, bytes: n * 1_000_000 }).collect();
    let path = |path: &str, status: &str, requests| PathCount {
        host: "www.northwind-outfitters.com".into(),
        path: path.into(),
        status: status.into(),
        requests,
        bytes: requests * 1_000,
    };
    let zone = Zone {
        id: "z".into(),
        name: "northwind-outfitters.com".into(),
        status: "active".into(),
        is_paused: false,
        plan: "pro".into(),
        development_mode_s: 0,
        token_status: Some("active".into()),
        round_trip_ms: 148.0,
    };
    Cloudflare {
        zone: Ok(zone),
        settings: Err(gap(Section::CdnSettings)),
        cache_rules: Ok(Vec::new()),
        page_rules: Ok(Vec::new()),
        tiered_cache: Err(gap(Section::CdnTieredCache)),
        add_ons: Err(gap(Section::CdnAddOns)),
        analytics: Ok(Analytics {
            from: start,
            to: datetime!(2026-11-23 09:00 UTC),
            source: "httpRequestsAdaptiveGroups".into(),
            sample_interval: Some(10.0),
            by_status,
            by_hour,
            by_path: Listed {
                rows: vec![
                    path("/products/*", "miss", 560_556),
                    path("/static/*", "expired", 550_560),
                    path("/collections/*", "dynamic", 304_100),
                    path("/_next/static/*", "hit", 1_020_768),
                ],
                cut: None,
            },
            origin_p95_ms: None,
            share_5xx: Some(0.0008),
            origin_p50_ms: None,
            by_class: Vec::new(),
            by_content_type: Vec::new(),
            tracked: None,
        }),
    }
}

fn storefront() -> Storefront {
    let timed = |url: &str, class, base: f64| Target {
        class,
        url: format!("https://api.northwind-outfitters.com{url}"),
        probes: Vec::new(),
        timings_ms: (0..24).map(|i| base + f64::from(i)).collect(),
    };
    Storefront {
        storefront_url: Some("https://www.northwind-outfitters.com".into()),
        backend_url: Some("https://api.northwind-outfitters.com".into()),
        pages: Ok(Vec::new()),
        assets: Ok(Vec::new()),
        media: Ok(Vec::new()),
        api: Ok(vec![
            timed("/store/products", PathClass::ApiCatalogue, 1_100.0),
            timed("/store/regions", PathClass::ApiCatalogue, 80.0),
            timed("/store/carts/<id>", PathClass::ApiPersonal, 210.0),
        ]),
        tls: Ok(Vec::new()),
        limits_met: Vec::new(),
        resolved: Vec::new(),
    }
}

pub fn finding(name: &str, severity: Severity, resource: Resource, share: f64) -> Finding {
    Finding {
        subject: Subject::new("columns", name),
        observed: "606 calls in 30\u{a0}s read 180,000 rows each to return 3: 42\u{a0}ms a call, 97\u{a0}% of database time.".into(),
        step: format!("Index {name}"),
        evidence: Vec::new(),
        severity,
        confidence: Confidence::High,
        confidence_because: "proved by a hypothetical index".into(),
        effort: Effort::Minutes,
        cost: Cost { resource, share },
        gain: None,
        averts: None,
        remedies: Vec::new(),
        verify: "Run the audit again: the statement reads at most 10 rows a call.".into(),
        touches: Vec::new(),
    }
}

pub fn missing_index() -> Finding {
    let mut f = finding("public.image(product_id)", Severity::High, Resource::DatabaseTime, 0.97);
    f.evidence = vec![
        Evidence::figure("Calls", 606.0, "calls", "606"),
        Evidence::figure("Mean", 42.5, "ms", "42.5\u{a0}ms"),
        Evidence::text("Table size, last analyzed", "71\u{a0}MB, 2\u{a0}days ago"),
        Evidence::text("Plan now", "Seq Scan, cost 6,412"),
        Evidence::text("Plan with the index", "Index Scan, cost 8"),
        Evidence::BeforeAfter { label: "Database time".into(), unit: "s per s".into(), before: 0.87, after: 0.03, basis: Basis::Modelled },
        Evidence::Code {
            label: "Statement".into(),
            language: "sql".into(),
            text: "select \"i0\".* from \"image\" as \"i0\"\nwhere \"i0\".\"deleted_at\" is null and \"i0\".\"product_id\" = $1".into(),
        },
        Evidence::table(
            "Statements",
            &["statement", "calls", "mean_ms"],
            (0..12).map(|i| vec![Cell::text(format!("select {i} | `x` <script>")), Cell::number(606.0, "606"), Cell::number(42.5, "42.5")]).collect(),
        ),
    ];
    let mut gain = Gain::new(Basis::Proved, "\u{2212}96\u{a0}% database time");
    gain.database_time_share = Some(0.96);
    f.gain = Some(gain);
    f.remedies = vec![
        Remedy {
            kind: RemedyKind::Sql,
            label: "Create the index".into(),
            text: "create index concurrently image_product_id\n  on public.image (product_id) where deleted_at is null;".into(),
            lock: Some("Share update exclusive: reads and writes go on. About 2\u{a0}s, 6\u{a0}MB on disk.".into()),
            risk: "Cannot run in a transaction. A failed build leaves an invalid index: drop it and try again.".into(),
            undo: Some("drop index concurrently image_product_id;".into()),
        },
        Remedy {
            kind: RemedyKind::MedusaMigration,
            label: "Or as a migration of your own module".into(),
            text: "this.addSql('create index concurrently if not exists image_product_id on public.image (product_id)')".into(),
            lock: None,
            risk: "Runs outside a transaction.".into(),
            undo: None,
        },
    ];
    f.touches = vec!["columns:public.image(product_id)".into()];
    f
}

fn eviction() -> Finding {
    let mut f = finding("cache.northwind.internal:6379/0", Severity::Critical, Resource::Risk, 0.9);
    f.subject.kind = "instance".into();
    f.step = "Stop Redis from evicting queued jobs".into();
    f.observed = "allkeys-lru with 2,318 queue keys, 71\u{a0}% full: Redis may drop jobs when memory fills.".into();
    f.averts = Some("lost jobs".into());
    f.remedies = vec![Remedy {
        kind: RemedyKind::Redis,
        label: "Set the policy".into(),
        text: "CONFIG SET maxmemory-policy noeviction".into(),
        lock: None,
        risk: "Writes fail when memory is full: watch it.".into(),
        undo: Some("CONFIG SET maxmemory-policy allkeys-lru".into()),
    }];
    f
}

fn hit_ratio() -> Finding {
    let mut f = finding("www.northwind-outfitters.com", Severity::High, Resource::OriginRequests, 0.54);
    f.step = "Cache product and media paths at the edge".into();
    f.observed = "46\u{a0}% of cacheable requests are answered at the edge: 5 paths cause 93\u{a0}% of misses.".into();
    f.effort = Effort::Hours;
    f.confidence = Confidence::Medium;
    f.confidence_because = "Cloudflare sampled one request in 10".into();
    f.gain = Some(Gain::new(Basis::Modelled, "\u{2212}63\u{a0}% origin requests"));
    f.evidence = vec![Evidence::table(
        "Paths",
        &["path", "to origin", "hit ratio"],
        vec![
            vec![Cell::text("/products/*"), Cell::number(560_556.0, "560,556"), Cell::number(0.31, "31\u{a0}%")],
            vec![
                Cell::text("/a-collection-with-a-very-long-handle-that-nobody-would-type-by-hand/and-another-part-of-the-path/*"),
                Cell::number(550_560.0, "550,560"),
                Cell::number(0.2, "20\u{a0}%"),
            ],
        ],
    )];
    f.remedies = vec![Remedy {
        kind: RemedyKind::Cloudflare,
        label: "Add a cache rule".into(),
        text: "{\n  \"expression\": \"http.host eq \\\"www.northwind-outfitters.com\\\" and starts_with(http.request.uri.path, \\\"/products/\\\")\",\n  \"action\": \"set_cache_settings\",\n  \"action_parameters\": {\n    \"cache\": true,\n    \"edge_ttl\": { \"mode\": \"override_origin\", \"default\": 300 }\n  }\n}".into(),
        lock: None,
        risk: "Prices may be 5 minutes old at the edge.".into(),
        undo: Some("Delete the rule.".into()),
    }];
    f
}

fn latency() -> Finding {
    let mut f = finding("GET /store/products", Severity::Medium, Resource::Latency, 0.3);
    f.step = "Stop sending 20,052 ids in product lists".into();
    f.observed = "P95 is 1.12\u{a0}s of 24 probes: the target is 300\u{a0}ms.".into();
    f.effort = Effort::Days;
    f.gain = Some(Gain::new(Basis::RuleOfThumb, "P95 1.12 → 0.20\u{a0}s"));
    f
}

pub fn findings() -> Vec<(&'static Check, Vec<Finding>)> {
    let mut slow = finding("select from image", Severity::Medium, Resource::DatabaseTime, 0.2);
    slow.touches = vec!["columns:public.image(product_id)".into()];
    let mut log = finding("log_min_duration_statement", Severity::Info, Resource::Insight, 0.2);
    log.step = "Log slow statements".into();
    vec![
        (&MISSING_INDEX, vec![missing_index()]),
        (&SLOW, vec![slow]),
        (&EVICTION, vec![eviction()]),
        (&HIT_RATIO, vec![hit_ratio()]),
        (&LATENCY, vec![latency()]),
        (&SLOW_LOG, vec![log]),
    ]
}

pub fn plan_of(snapshot: &Snapshot, found: Vec<(&'static Check, Vec<Finding>)>, others: Vec<Judged>) -> Plan {
    let mut judged: Vec<Judged> = found.into_iter().map(|(check, f)| Judged { check, outcome: Outcome::Failed(f) }).collect();
    judged.extend(others);
    let dismissals = [Dismissal {
        key: "pg-slow-log-off:log_min_duration_statement".into(),
        reason: "Logs are sampled by the host | on purpose".into(),
        by: "Ada".into(),
        until: date!(2027 - 01 - 01),
    }];
    plan::from_outcomes(snapshot, judged, &dismissals)
}

pub fn others() -> Vec<Judged> {
    let denied = Gap::new(
        Section::PgColumnStats,
        Cause::Denied { grant: "grant pg_read_all_stats to medusa_advisor;".into() },
        "pg_stats is not readable by this role.",
    );
    let young =
        Gap::new(Section::PgIndexes, Cause::TooYoung { have_s: 518_400.0, need_s: 2_678_400.0 }, "Counters are 6 days old, 31 days are needed.");
    vec![
        Judged { check: &KEYS, outcome: Outcome::Passed },
        Judged { check: &TAGS, outcome: Outcome::NotApplicable("the caching module is off".into()) },
        Judged { check: &BLOAT, outcome: Outcome::Unknown(denied) },
        Judged { check: &UNUSED, outcome: Outcome::Unknown(young) },
    ]
}

/// Faults in every layer.
pub fn rich() -> (Snapshot, Plan) {
    let s = snapshot();
    let plan = plan_of(&s, findings(), others());
    (s, plan)
}

/// Forty findings, most of one check, with names nobody would choose.
pub fn crowded() -> (Snapshot, Plan) {
    let s = snapshot();
    let many = (0..34)
        .map(|i| {
            let mut f = missing_index();
            f.subject.name = format!("public.a_table_of_a_custom_module_with_a_long_name_{i}(a_column_that_is_long_too, another_one_{i}, tenant_id)");
            f.step = format!("Index {}", f.subject.name);
            f.cost.share = 0.9 - f64::from(i) * 0.02;
            f.severity = Severity::ALL_DOWN[i as usize % 5];
            f
        })
        .collect();
    let mut found = findings();
    found[0].1 = many;
    let plan = plan_of(&s, found, others());
    (s, plan)
}

/// Everything read, nothing wrong.
pub fn healthy() -> (Snapshot, Plan) {
    let s = snapshot();
    let passed = [&MISSING_INDEX, &SLOW, &EVICTION, &HIT_RATIO, &LATENCY, &UNUSED, &BLOAT, &KEYS];
    let plan = plan_of(&s, Vec::new(), passed.into_iter().map(|check| Judged { check, outcome: Outcome::Passed }).collect());
    (s, plan)
}

/// Nothing could be read.
pub fn denied() -> (Snapshot, Plan) {
    let mut s = Snapshot::empty(meta());
    let unreachable = Gap::new(Section::Postgres, Cause::Unreachable, "No answer from db.northwind.internal:5432 within 5\u{a0}s.");
    s.postgres = Err(unreachable.clone());
    s.meta.window_s = 0.0;
    let judged = [
        (&MISSING_INDEX, unreachable.clone()),
        (&SLOW, unreachable.clone()),
        (&UNUSED, unreachable),
        (&EVICTION, Gap::not_configured(Section::Redis)),
        (&HIT_RATIO, Gap::not_configured(Section::Cdn)),
        (&LATENCY, Gap::not_configured(Section::Storefront)),
    ];
    let plan = plan_of(&s, Vec::new(), judged.into_iter().map(|(check, g)| Judged { check, outcome: Outcome::Unknown(g) }).collect());
    (s, plan)
}
