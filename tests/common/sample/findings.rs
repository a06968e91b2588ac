//! Fourteen findings over the four layers, and what the other checks concluded.

use medusa_advisor::checks::{Check, Judged, always};
use medusa_advisor::evidence::{Cause, Gap, Layer, Section};
use medusa_advisor::finding::{
    Basis, Cell, Confidence, Cost, Effort, Evidence, Finding, Gain, Outcome, Remedy, RemedyKind, Resource, Severity, Subject,
};

/// A check that lives as long as the program. The symptoms name their causes.
pub fn check(id: &'static str, layer: Layer, title: &'static str, symptom_of: &'static [&'static str]) -> &'static Check {
    Box::leak(Box::new(Check {
        id,
        layer,
        title,
        passed: "Nothing of the kind was seen in the window.",
        why: "Every page that lists products waits for this, and the database does the same work for each shopper again.",
        remedy: "Remove the cause; the finding holds the exact text.",
        method: "Reads the counters at both ends of the window and reports what costs 5 % or more.",
        effort: Effort::Minutes,
        references: &["https://docs.medusajs.com/learn", "https://www.postgresql.org/docs/16/indexes.html"],
        needs: &[Section::PgStatements, Section::PgTables],
        uses: &[Section::PgProofs],
        symptom_of,
        applies_to: always,
        evaluate: |_| Ok(Vec::new()),
    }))
}

/// What one finding is made of.
struct Row {
    check: (&'static str, Layer, &'static str, &'static [&'static str]),
    severity: Severity,
    cost: (Resource, f64),
    subject: (&'static str, &'static str),
    step: &'static str,
    observed: &'static str,
    /// Basis and words; `None` for a risk.
    gain: Option<(Basis, &'static str)>,
    averts: Option<&'static str>,
    effort: Effort,
    touches: &'static [&'static str],
    remedy: (RemedyKind, &'static str),
}

const INDEX_SQL: &str = "create index concurrently image_product_id\n  on public.image (product_id) where deleted_at is null;";
const REDIS_FIX: &str = "CONFIG SET maxmemory-policy noeviction";
const RULE_FIX: &str = "{\n  \"expression\": \"starts_with(http.request.uri.path, \\\"/products/\\\")\",\n  \"action\": \"set_cache_settings\"\n}";
const CODE_FIX: &str =
    "const { data } = await query.graph({\n  entity: \"product\",\n  fields: [\"id\", \"title\"],\n  pagination: { take: 20 },\n})";

const ROWS: [Row; 14] = [
    Row {
        check: ("pg-missing-index", Layer::Postgres, "Statements scan a table for lack of an index", &[]),
        severity: Severity::High,
        cost: (Resource::DatabaseTime, 0.97),
        subject: ("columns", "public.image(product_id)"),
        step: "Index image(product_id)",
        observed: "606 calls in 30 s read 180,000 rows each to return 3: 42 ms a call, 97 % of database time.",
        gain: Some((Basis::Proved, "−96 % database time")),
        averts: None,
        effort: Effort::Minutes,
        touches: &["table:public.image", "path:/products/*"],
        remedy: (RemedyKind::Sql, INDEX_SQL),
    },
    Row {
        check: ("redis-evicts-jobs", Layer::Redis, "Redis may evict queued jobs", &[]),
        severity: Severity::Critical,
        cost: (Resource::Risk, 1.0),
        subject: ("instance", "queue.northwind.internal:6379/0"),
        step: "Stop Redis from evicting queued jobs",
        observed: "allkeys-lru with 2,318 queue keys, 71 % full.",
        gain: None,
        averts: Some("lost jobs"),
        effort: Effort::Minutes,
        touches: &["keys:bull"],
        remedy: (RemedyKind::Redis, REDIS_FIX),
    },
    Row {
        check: ("cdn-low-hit-ratio", Layer::Cdn, "Fewer cacheable requests than the target are answered at the edge", &[]),
        severity: Severity::High,
        cost: (Resource::OriginRequests, 0.54),
        subject: ("zone", "northwind-outfitters.com"),
        step: "Cache products and media at the edge",
        observed: "46 % now, 5 paths cause 93 % of the misses.",
        gain: Some((Basis::Modelled, "−63 % origin requests")),
        averts: None,
        effort: Effort::Hours,
        touches: &["path:/products/*"],
        remedy: (RemedyKind::Cloudflare, RULE_FIX),
    },
    Row {
        check: ("pg-long-in-list", Layer::Postgres, "Statements carry thousands of ids in one list", &[]),
        severity: Severity::High,
        cost: (Resource::Latency, 0.36),
        subject: ("statement", "product by id in (…)"),
        step: "Stop sending 20,052 ids in product lists",
        observed: "20,052 ids in one statement, 10 ms to plan; also explains GET /store/products at 1.12 s.",
        gain: Some((Basis::Modelled, "P95 1.12 s → 0.20 s")),
        averts: None,
        effort: Effort::Hours,
        touches: &["path:/store/products"],
        remedy: (RemedyKind::Code, CODE_FIX),
    },
    Row {
        check: ("cdn-media-on-server", Layer::Cdn, "Product media are served by the Medusa server", &[]),
        severity: Severity::High,
        cost: (Resource::Bytes, 0.5),
        subject: ("host", "http://localhost:9000/static"),
        step: "Move media to object storage",
        observed: "18,204 images on http://localhost:9000/static.",
        gain: Some((Basis::Measured, "−2.1 GB/h served")),
        averts: None,
        effort: Effort::Days,
        touches: &["path:/static/*"],
        remedy: (RemedyKind::MedusaConfig, CODE_FIX),
    },
    Row {
        check: ("app-slow-endpoint", Layer::App, "A product endpoint answers slower than the target", &["pg-long-in-list"]),
        severity: Severity::High,
        cost: (Resource::Latency, 0.73),
        subject: ("path", "GET /store/products"),
        step: "Bring GET /store/products under 300 ms",
        observed: "P95 1.12 s of 40 probes, target 300 ms.",
        gain: Some((Basis::Measured, "P95 1.12 s → 0.30 s")),
        averts: None,
        effort: Effort::Hours,
        touches: &["path:/store/products"],
        remedy: (RemedyKind::Code, CODE_FIX),
    },
    Row {
        check: ("redis-keys-command", Layer::Redis, "KEYS scans every key while shoppers wait", &[]),
        severity: Severity::Medium,
        cost: (Resource::RedisTime, 0.3),
        subject: ("command", "KEYS catalog:*"),
        step: "Replace KEYS by SCAN or a tag",
        observed: "20 calls of 69 ms in the window.",
        gain: Some((Basis::Measured, "−93 % Redis time")),
        averts: None,
        effort: Effort::Hours,
        touches: &["keys:catalog"],
        remedy: (RemedyKind::Code, CODE_FIX),
    },
    Row {
        check: ("redis-no-ttl", Layer::Redis, "Cached responses never expire", &[]),
        severity: Severity::Medium,
        cost: (Resource::Memory, 0.4),
        subject: ("key_pattern", "catalog:<id>"),
        step: "Give catalog keys a time to live",
        observed: "4,120 keys of 390 MiB have no TTL.",
        gain: Some((Basis::Measured, "−390 MiB memory")),
        averts: None,
        effort: Effort::Minutes,
        touches: &["keys:catalog"],
        remedy: (RemedyKind::Code, CODE_FIX),
    },
    Row {
        check: ("redis-low-hit-rate", Layer::Redis, "Product data is read past the cache", &[]),
        severity: Severity::Medium,
        cost: (Resource::RedisTime, 0.2),
        subject: ("instance", "cache.northwind.internal:6379/0"),
        step: "Cache product reads for longer",
        observed: "58 % of 18,940 lookups hit, target 70 %.",
        gain: Some((Basis::Modelled, "−28 % product reads")),
        averts: None,
        effort: Effort::Hours,
        touches: &["path:/products/*"],
        remedy: (RemedyKind::MedusaConfig, CODE_FIX),
    },
    Row {
        check: ("redis-slow-log", Layer::Redis, "Slow commands block every client", &["redis-keys-command"]),
        severity: Severity::Medium,
        cost: (Resource::RedisTime, 0.1),
        subject: ("instance", "cache.northwind.internal:6379/0 slow log"),
        step: "Remove the slow commands",
        observed: "2 entries above 10 ms.",
        gain: None,
        averts: Some("stalls"),
        effort: Effort::Hours,
        touches: &["keys:catalog"],
        remedy: (RemedyKind::Code, CODE_FIX),
    },
    Row {
        check: ("cdn-tiered-cache-off", Layer::Cdn, "Tiered Cache is off", &[]),
        severity: Severity::Medium,
        cost: (Resource::OriginRequests, 0.09),
        subject: ("setting", "tiered_cache"),
        step: "Turn Tiered Cache on",
        observed: "Each data centre fills from the origin.",
        gain: Some((Basis::RuleOfThumb, "−9 % origin requests")),
        averts: None,
        effort: Effort::Minutes,
        touches: &["path:/static/*"],
        remedy: (RemedyKind::Cloudflare, RULE_FIX),
    },
    Row {
        check: ("pg-work-mem", Layer::Postgres, "work_mem is at its default", &[]),
        severity: Severity::Low,
        cost: (Resource::Storage, 0.04),
        subject: ("setting", "work_mem"),
        step: "Raise work_mem to 16 MB",
        observed: "812 temporary files since 17 Nov.",
        gain: Some((Basis::RuleOfThumb, "fewer temporary files")),
        averts: None,
        effort: Effort::Minutes,
        touches: &[],
        remedy: (RemedyKind::Sql, "alter system set work_mem = '16MB';"),
    },
    Row {
        check: ("pg-duplicate-index", Layer::Postgres, "Two indexes cover the same columns", &[]),
        severity: Severity::Low,
        cost: (Resource::Storage, 0.03),
        subject: ("index", "public.IDX_order_metadata"),
        step: "Drop IDX_order_metadata",
        observed: "94 MB, covered by another index.",
        gain: Some((Basis::Measured, "−94 MB disk")),
        averts: None,
        effort: Effort::Minutes,
        touches: &[],
        remedy: (RemedyKind::Sql, "drop index concurrently \"IDX_order_metadata\";"),
    },
    Row {
        check: ("app-log-level", Layer::App, "Slow statements are not logged", &[]),
        severity: Severity::Low,
        cost: (Resource::Insight, 1.0),
        subject: ("setting", "log_min_duration_statement"),
        step: "Log statements over 200 ms",
        observed: "log_min_duration_statement is −1.",
        gain: None,
        averts: Some("blind spots"),
        effort: Effort::Minutes,
        touches: &[],
        remedy: (RemedyKind::Sql, "alter system set log_min_duration_statement = '200ms';"),
    },
];

fn finding(row: &Row) -> Finding {
    let is_modelled = row.gain.is_some_and(|(basis, _)| basis == Basis::Modelled);
    Finding {
        subject: Subject::new(row.subject.0, row.subject.1),
        observed: row.observed.to_owned(),
        step: row.step.to_owned(),
        evidence: evidence(row),
        severity: row.severity,
        confidence: if is_modelled { Confidence::Medium } else { Confidence::High },
        confidence_because: if is_modelled { "modelled from the hit ratios" } else { "measured in the window" }.to_owned(),
        effort: row.effort,
        cost: Cost { resource: row.cost.0, share: row.cost.1 },
        gain: row.gain.map(|(basis, words)| Gain::new(basis, words)),
        averts: row.averts.map(str::to_owned),
        remedies: vec![
            Remedy {
                kind: row.remedy.0,
                label: row.step.to_owned(),
                text: row.remedy.1.to_owned(),
                lock: (row.remedy.0 == RemedyKind::Sql).then(|| "Share update exclusive: reads and writes go on, about 2 s, 6 MB".to_owned()),
                risk: "Writes to the table take a little longer.".to_owned(),
                undo: Some("drop index concurrently image_product_id;".to_owned()),
            },
            Remedy {
                kind: RemedyKind::MedusaMigration,
                label: "As a migration".to_owned(),
                text: CODE_FIX.to_owned(),
                lock: None,
                risk: "None known.".to_owned(),
                undo: None,
            },
        ],
        verify: "Run the audit again: the statement takes under 1 ms a call.".to_owned(),
        touches: row.touches.iter().map(|t| (*t).to_owned()).collect(),
    }
}

fn evidence(row: &Row) -> Vec<Evidence> {
    vec![
        Evidence::figure("Calls in window", 606.0, "calls", "606"),
        Evidence::figure("Mean, max", 42.0, "ms", "42.0 ms, 118 ms"),
        Evidence::text("Subject", row.subject.1),
        Evidence::Code {
            label: "Plan now".to_owned(),
            language: "sql".to_owned(),
            text: "Seq Scan on image  (cost=0.00..6412.00 rows=3)".to_owned(),
        },
        Evidence::table(
            "Costliest callers",
            &["Caller", "Calls"],
            (1..=11).map(|n| vec![Cell::text(format!("GET /store/products/{n}")), Cell::number(f64::from(n * 50), (n * 50).to_string())]).collect(),
        ),
        Evidence::BeforeAfter {
            label: "Database time".to_owned(),
            unit: "s per s".to_owned(),
            before: 0.87,
            after: 0.03,
            basis: row.gain.map_or(Basis::Measured, |g| g.0),
        },
    ]
}

const PASSED: [(&str, Layer, &str); 16] = [
    ("pg-invalid-index", Layer::Postgres, "An index is invalid"),
    ("pg-wraparound", Layer::Postgres, "Transaction ids run out"),
    ("pg-autovacuum-off", Layer::Postgres, "Autovacuum is off"),
    ("pg-deadlocks", Layer::Postgres, "Transactions deadlock"),
    ("pg-connections", Layer::Postgres, "Connections run out"),
    ("pg-replica-lag", Layer::Postgres, "A replica lags"),
    ("redis-fragmentation", Layer::Redis, "Redis memory is fragmented"),
    ("redis-clients", Layer::Redis, "Redis runs out of clients"),
    ("redis-big-key", Layer::Redis, "A key is too large"),
    ("redis-version", Layer::Redis, "Redis is out of support"),
    ("cdn-personal-cached", Layer::Cdn, "Personal pages are cached"),
    ("cdn-brotli", Layer::Cdn, "Answers are not compressed"),
    ("cdn-dev-mode", Layer::Cdn, "Development mode is on"),
    ("cdn-tls", Layer::Cdn, "TLS is outdated"),
    ("app-health", Layer::App, "The health endpoint fails"),
    ("app-version", Layer::App, "Medusa is out of support"),
];

const NOT_APPLICABLE: [(&str, Layer, &str, &str); 4] = [
    ("pg-pooler", Layer::Postgres, "A pooler breaks prepared statements", "no pooler answered"),
    ("pg-slot", Layer::Postgres, "A replication slot holds back the log", "there is no replication slot"),
    ("redis-cluster", Layer::Redis, "Cluster slots are uneven", "both instances stand alone"),
    ("cdn-page-rule-limit", Layer::Cdn, "Page rules shadow cache rules", "no page rule caches"),
];

/// What every sample check concluded.
pub fn judged() -> Vec<Judged> {
    let failed = ROWS.iter().map(|row| {
        let (id, layer, title, symptom_of) = row.check;
        Judged { check: check(id, layer, title, symptom_of), outcome: Outcome::Failed(vec![finding(row)]) }
    });
    let passed = PASSED.iter().map(|(id, layer, title)| Judged { check: check(id, *layer, title, &[]), outcome: Outcome::Passed });
    let not = NOT_APPLICABLE
        .iter()
        .map(|(id, layer, title, why)| Judged { check: check(id, *layer, title, &[]), outcome: Outcome::NotApplicable((*why).to_owned()) });
    failed.chain(passed).chain(not).chain(unknown()).collect()
}

/// The same checks where nothing is wrong.
pub fn all_passed() -> Vec<Judged> {
    judged()
        .into_iter()
        .map(|j| if matches!(j.outcome, Outcome::Failed(_)) { Judged { check: j.check, outcome: Outcome::Passed } } else { j })
        .collect()
}

fn unknown() -> Vec<Judged> {
    let bloat = || {
        let grant = "grant pg_read_all_stats to medusa_advisor;".to_owned();
        Outcome::Unknown(Gap::new(Section::PgColumnStats, Cause::Denied { grant }, "pg_stats is not readable by this role."))
    };
    let young = Cause::TooYoung { have_s: 6.0 * 86_400.0, need_s: 31.0 * 86_400.0 };
    let unused = Gap::new(Section::PgIndexes, young, "Counters are 6 days old, 31 are needed. Can be checked from 18 Dec 2026.");
    vec![
        Judged { check: check("pg-table-bloat", Layer::Postgres, "Table bloat", &[]), outcome: bloat() },
        Judged { check: check("pg-index-bloat", Layer::Postgres, "Index bloat", &[]), outcome: bloat() },
        Judged { check: check("pg-unused-index", Layer::Postgres, "Unused indexes", &[]), outcome: Outcome::Unknown(unused) },
    ]
}
