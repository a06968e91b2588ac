//! `random_page_cost` makes the planner refuse indexes on storage where they are cheap.

use super::io_timing_off;
use crate::checks::bloat::without_statistics;
use crate::checks::index::{Cover, covering_index, find_table, wanted};
use crate::checks::needs::READ_TO_RETURNED_MIN;
use crate::checks::partitions::Extent;
use crate::checks::scans::{CALLS_MIN, Scene, scene};
use crate::checks::server_settings::{Change, Settings, for_workload, of_role, only_role, platform, shown};
use crate::checks::sql::{Kind, Shape, TableUse};
use crate::checks::workload::{Load, read_loads};
use crate::checks::{Check, always};
use crate::evidence::postgres::{ColumnStats, Index, Postgres, RoleSettings, Table};
use crate::evidence::{Cause, Gap, Layer, Section, Snapshot};
use crate::finding::{Cell, Confidence, Cost, Effort, Evidence, Finding, Resource, Severity, Subject};
use crate::text;

/// As shipped it is 4, for disks that turn; below 2 it no longer keeps the planner from an index.
const COST_MIN: f64 = 2.0;
/// What the platforms with solid state storage set.
const COST_WANTED: &str = "1.1";
/// A turning disk takes 5 to 10 ms to find a block, solid state and network storage well under one.
const READ_MS_MAX: f64 = 1.0;
/// Fewer reads say nothing of the storage.
const READS_MIN: u64 = 1_000;
/// Where fewer are read from outside shared buffers, no block costs more than another.
const MISS_SHARE_MAX: f64 = 0.001;
/// Rows that one value leaves; more are read whole with right.
const ROWS_SHARE_MAX: f64 = 0.05;
/// Share of a table's blocks that a call must touch to be called a scan of it.
const BLOCKS_SHARE_MIN: f64 = 0.5;
/// Of the database time.
const SHARE_MIN: f64 = 0.01;

pub static CHECK: Check = Check {
    id: "pg-settings-random-page-cost",
    layer: Layer::Postgres,
    title: "The planner refuses indexes for fear of a slow disk",
    passed: "No costly statement scans a table although an index would find its rows.",
    why: "The setting random_page_cost says how much dearer a block out of order is than one in order. It is shipped for turning disks; on solid state storage it makes the \
          planner read a whole table where an index would find the few rows.",
    remedy: "Lower random_page_cost for the application's role.",
    method: "Statements of 1 % of database time or more that read at least half of a large table though a valid index leads with a column they compare, one value \
             of which leaves at most 5 % of the rows by the column statistics. Reported where random_page_cost is 2 or more and a block is read in under 1 ms, or hardly any from outside.",
    effort: Effort::Minutes,
    references: &["https://www.postgresql.org/docs/current/runtime-config-query.html#GUC-RANDOM-PAGE-COST"],
    needs: &[Section::PgSettings, Section::PgStatements, Section::PgTables, Section::PgIndexes, Section::PgServer],
    uses: &[Section::PgRoles, Section::PgColumns, Section::PgColumnStats, Section::PgPlans, Section::PgProofs],
    symptom_of: &[],
    applies_to: always,
    evaluate,
};

/// A statement that scans, and the index it could have used.
struct Refused<'s> {
    load: Load<'s>,
    table: &'s Table,
    index: &'s Index,
    /// Whether one value leaves few rows; `None`: the column has no statistics.
    leaves_few: Option<bool>,
}

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let pg = snapshot.pg()?;
    let (settings, scene, platform) = (Settings::of(snapshot)?, scene(snapshot)?, platform(snapshot)?);
    let server = settings.number("random_page_cost")?;
    let roles: &[RoleSettings] = pg.roles.as_ref().map_or(&[], Vec::as_slice);
    let cost = |l: &Load| {
        let own = l.statement.role.as_deref().and_then(|r| of_role(roles, r, "random_page_cost")).and_then(|v| v.parse().ok());
        own.unwrap_or(server)
    };
    let passed_by: Vec<Refused> = refused(pg, &scene).into_iter().filter(|r| cost(&r.load) >= COST_MIN).collect();
    let is_enough = |refused: &[Refused]| {
        let ms = refused.iter().map(|r| r.load.counters.total_ms).sum();
        !refused.is_empty() && scene.workload.share_of(ms) >= SHARE_MIN
    };
    if !is_enough(&passed_by) {
        return Ok(Vec::new());
    }
    let Some(storage) = quick_storage(platform, &scene)? else { return Ok(Vec::new()) };
    let (refused, unknown): (Vec<Refused>, Vec<Refused>) = passed_by.into_iter().partition(|r| r.leaves_few.is_some());
    if !is_enough(&refused) {
        let then = "Statements scan tables although an index leads with a column they compare; whether it leaves few rows is not known.";
        return unknown.first().and_then(|r| without_statistics(pg, r.table, then)).map_or(Ok(Vec::new()), Err);
    }
    let now = refused.iter().map(|r| cost(&r.load)).fold(0.0, f64::max);
    Ok(vec![finding(platform, &settings, &scene, &refused, &format!("random_page_cost is {}, but {storage}.", text::number(now)))])
}

/// Why a block out of order costs hardly more here; `None`: it does.
fn quick_storage(platform: &str, scene: &Scene) -> Result<Option<String>, Gap> {
    let (mut hit, mut read, mut ms) = (0, 0, 0.0);
    for load in &scene.workload.loads {
        hit += load.counters.blocks_hit;
        read += load.counters.blocks_read;
        ms += load.counters.io_ms;
    }
    if (read as f64) <= (hit + read) as f64 * MISS_SHARE_MAX {
        return Ok(Some("nearly every block is in shared buffers".to_owned()));
    }
    if ms <= 0.0 || read < READS_MIN {
        let cause = Cause::Absent { feature: "timed reads".to_owned(), remedy: io_timing_off::remedy(platform).text };
        let detail = "Statements scan tables although an index would find their rows; whether the storage makes that right is not known, because reads are not timed.";
        return Err(Gap::new(Section::PgStatements, cause, detail));
    }
    let each = ms / read as f64;
    Ok((each < READ_MS_MAX).then(|| format!("a block is read in {}", text::millis(each))))
}

fn refused<'s>(pg: &'s Postgres, scene: &Scene<'s>) -> Vec<Refused<'s>> {
    let stats: &[ColumnStats] = pg.column_stats.as_ref().map_or(&[], |c| &c.rows);
    let mut found = Vec::new();
    for read in read_loads(&scene.workload) {
        if matches!(read.shape.kind, Kind::Insert | Kind::Utility) || read.load.counters.calls < CALLS_MIN {
            continue;
        }
        let served = read.shape.tables.iter().find_map(|used| {
            let table = find_table(scene.store.tables, used)?;
            let extent = Extent::of(scene.store.tables, table).filter(Extent::is_big)?;
            if !scans(pg, &read.load, &read.shape, (table, &extent)) || used.is_aggregate || used.has_limit {
                return None;
            }
            let (index, leaves_few) = index_for(scene.store.indexes, stats, (table, extent.rows? as f64), used)?;
            Some(Refused { load: read.load, table, index, leaves_few })
        });
        found.extend(served);
    }
    found
}

/// It reads at least half of the table and returns a small part; where the planner was asked, it said so.
fn scans(pg: &Postgres, load: &Load, shape: &Shape, (table, extent): (&Table, &Extent)) -> bool {
    let returns_little = extent.rows.is_some_and(|r| load.counters.rows_a_call() * READ_TO_RETURNED_MIN <= r as f64);
    // The plan was made with our own role's settings; where the statement's role has its own cost, it says nothing.
    let own = pg.roles.as_ref().ok().zip(load.statement.role.as_deref()).and_then(|(roles, r)| of_role(roles, r, "random_page_cost"));
    let plans = pg.plans.as_ref().ok().filter(|_| own.is_none());
    let plan = plans.and_then(|p| p.iter().find(|p| p.statement_id == load.statement.id));
    let is_scan = match plan {
        Some(plan) => plan.lines.iter().any(|l| l.contains("Seq Scan") && l.contains(&table.name)),
        // The blocks of a join could be another table's.
        None => shape.tables.len() == 1,
    };
    load.blocks_a_call() >= extent.pages() * BLOCKS_SHARE_MIN && returns_little && is_scan
}

/// A valid index led by a column that the statement compares with one value, and whether that leaves few rows by the planner's statistics:
/// one for which they say so, else one without statistics.
fn index_for<'s>(indexes: &'s [Index], stats: &[ColumnStats], (table, rows): (&Table, f64), used: &TableUse) -> Option<(&'s Index, Option<bool>)> {
    let leaves_few = |column: &String| {
        let known = stats.iter().find(|s| s.schema == table.schema && s.table == table.name && s.column == *column);
        known.map(|s| {
            let distinct = if s.distinct < 0.0 { -s.distinct * rows } else { s.distinct };
            distinct > 0.0 && (1.0 - s.null_fraction) / distinct <= ROWS_SHARE_MAX
        })
    };
    let compared = used.equal.iter().filter(|c| !used.batched.contains(c));
    let led = compared.filter_map(|column| match covering_index(indexes, &wanted(table, std::slice::from_ref(column), used)) {
        Cover::Serves(index) => Some((index, leaves_few(column))),
        _ => None,
    });
    let mut fitting: Vec<(&Index, Option<bool>)> = led.filter(|(_, few)| *few != Some(false)).collect();
    fitting.sort_by_key(|(_, few)| few.is_none());
    fitting.into_iter().next()
}

fn finding(platform: &str, settings: &Settings, scene: &Scene, refused: &[Refused], storage: &str) -> Finding {
    let workload = &scene.workload;
    let share = workload.share_of(refused.iter().map(|r| r.load.counters.total_ms).sum());
    let role = only_role(refused.iter().map(|r| r.load.statement));
    let risk = "Plans change for every statement of the role, most for the better: compare the slowest ones before and after.";
    let changes = [Change::plain(settings, "random_page_cost", COST_WANTED)];
    Finding {
        subject: Subject::new("setting", "random_page_cost"),
        observed: format!(
            "{} a table though an index would find the rows: {} of database time {}. {storage}",
            text::plural(refused.len() as u64, "statement scans", "statements scan"),
            text::percent(share),
            workload.words
        ),
        step: format!("Lower random_page_cost to {COST_WANTED}"),
        evidence: evidence(settings, refused),
        // The planner was not asked with the new value: never more than Medium.
        severity: Severity::from_share(share).min(Severity::Medium),
        confidence: Confidence::Medium,
        confidence_because: format!("{}; the planner was not asked with the lower value", workload.because()),
        effort: Effort::Minutes,
        cost: Cost { resource: Resource::DatabaseTime, share: share * 0.5 },
        gain: None,
        averts: None,
        remedies: for_workload(platform, role, "Lower it", &changes, risk),
        verify: "Run explain for a statement above after set random_page_cost = 1.1; it uses the index; the next audit no longer lists it."
            .to_owned(),
        touches: refused.iter().map(|r| r.load.touch()).collect(),
    }
}

fn evidence(settings: &Settings, refused: &[Refused]) -> Vec<Evidence> {
    let row = |r: &Refused| {
        vec![
            Cell::text(r.load.statement.text.chars().take(120).collect::<String>()),
            Cell::text(r.table.full_name()),
            Cell::text(&r.index.name),
            Cell::number(r.load.blocks_a_call(), text::number(r.load.blocks_a_call())),
            Cell::number(r.load.counters.rows_a_call(), text::number(r.load.counters.rows_a_call())),
        ]
    };
    let columns = ["Statement", "Table", "Index not used", "Blocks a call", "Rows a call"];
    let mut evidence = vec![Evidence::table("Statements that scan", &columns, refused.iter().map(row).collect())];
    let names = ["random_page_cost", "seq_page_cost", "effective_cache_size"];
    evidence.extend(names.iter().filter_map(|n| Some(Evidence::text(n, shown(settings.find(n)?)))));
    evidence
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::fixtures::*;
    use crate::checks::server_settings::PAGE_BYTES;
    use crate::checks::server_settings::tests::{role, setting};
    use crate::evidence::postgres::StatementPlan;

    const BY_REGION: &str = "select * from address where region = $1";

    /// 200,000 addresses on 5,000 blocks, read whole for the rows of one of a hundred regions.
    fn scanning_addresses(cost: &str, edit: impl FnOnce(&mut Postgres)) -> Snapshot {
        store(|pg| {
            pg.settings = Ok(vec![setting("random_page_cost", cost, "")]);
            tables(pg, vec![table("address", 200_000, 5_000 * PAGE_BYTES)]);
            indexes(pg, vec![index("address", "address_region", &["region"], None)]);
            distinct(pg, 100.0);
            let mut scan = scanning("7", BY_REGION, 1_000, 50_000.0, 5_000);
            scan.counters.total.rows = 1_000_000;
            statements(pg, vec![scan]);
            edit(pg);
        })
    }

    fn distinct(pg: &mut Postgres, distinct: f64) {
        pg.column_stats = Ok(crate::evidence::Listed::whole(vec![ColumnStats {
            schema: "public".into(),
            table: "address".into(),
            column: "region".into(),
            null_fraction: 0.0,
            average_width: 8,
            distinct,
            correlation: None,
        }]));
    }

    fn counters(pg: &mut Postgres, edit: impl FnOnce(&mut crate::evidence::postgres::StatementCounters)) {
        edit(&mut pg.statements.as_mut().unwrap().rows.rows[0].counters.total);
    }

    #[test]
    fn a_refused_index_is_named() {
        let found = findings(&CHECK, &scanning_addresses("4", |_| {}));
        assert_eq!((found[0].severity, found[0].subject.name.as_str()), (Severity::Medium, "random_page_cost"));
        assert_eq!(found[0].remedies[0].text, "alter role medusa set random_page_cost = 1.1;");
        assert_eq!(findings(&CHECK, &scanning_addresses("2", |_| {})).len(), 1);
        assert_passes(&CHECK, &scanning_addresses("1.99", |_| {}));
        assert_passes(&CHECK, &scanning_addresses("4", |pg| pg.roles = Ok(vec![role("medusa", 1, &[("random_page_cost", "1.1", "role")])])));
    }

    #[test]
    fn what_no_index_serves_is_another_checks() {
        assert_passes(&CHECK, &scanning_addresses("4", |pg| indexes(pg, Vec::new())));
        assert_passes(&CHECK, &scanning_addresses("4", |pg| indexes(pg, vec![index("address", "a", &["city"], None)])));
    }

    #[test]
    fn a_scan_for_many_rows_is_right() {
        assert_eq!(findings(&CHECK, &scanning_addresses("4", |pg| distinct(pg, 20.0))).len(), 1);
        assert_passes(&CHECK, &scanning_addresses("4", |pg| distinct(pg, 19.9)));
        assert_passes(&CHECK, &scanning_addresses("4", |pg| counters(pg, |c| c.rows = 20_001_000)));
        assert_passes(&CHECK, &scanning_addresses("4", |pg| counters(pg, |c| c.blocks_hit = 2_499_999)));
    }

    #[test]
    fn without_statistics_it_is_not_known() {
        let without =
            |cost: &str, stats: crate::evidence::Seen<crate::evidence::Listed<ColumnStats>>| scanning_addresses(cost, |pg| pg.column_stats = stats);
        let denied = Gap::new(Section::PgColumnStats, Cause::Denied { grant: "grant it;".into() }, "pg_stats shows no rows.");
        let gap = assert_unknown(&CHECK, &without("4", Err(denied.clone())));
        assert!(gap.cause.remedy() == Some("grant it;") && gap.detail.ends_with("is not known. pg_stats shows no rows."), "{gap:?}");
        assert_passes(&CHECK, &without("1.1", Err(denied)));
        let none = crate::evidence::Listed { rows: Vec::new(), cut: None };
        assert!(assert_unknown(&CHECK, &without("4", Ok(none.clone()))).cause.remedy().is_some_and(|r| r.contains("advisor.column_stats()")));
        let whole = crate::evidence::Listed { cut: Some(0), ..none };
        assert_eq!(assert_unknown(&CHECK, &without("4", Ok(whole))).cause.remedy(), Some("analyze public.address;"));
    }

    #[test]
    fn partitions_are_read_together() {
        use crate::checks::partitions::fixtures::{partition, partitioned};
        let parted = |pages: u64| {
            scanning_addresses("4", move |pg| {
                tables(pg, vec![partitioned("address", 200_000), partition("address", "address_a", 200_000, pages * PAGE_BYTES)]);
            })
        };
        assert_eq!(findings(&CHECK, &parted(10_000)).len(), 1);
        assert_passes(&CHECK, &parted(10_001));
    }

    #[test]
    fn a_slow_disk_earns_its_cost() {
        let reading = |ms: f64| {
            scanning_addresses("4", move |pg| {
                counters(pg, |c| (c.blocks_hit, c.blocks_read, c.io_ms) = (4_000_000, 1_000_000, ms));
            })
        };
        assert_eq!(findings(&CHECK, &reading(999_999.0)).len(), 1);
        assert_passes(&CHECK, &reading(1_000_000.0));
        assert!(assert_unknown(&CHECK, &reading(0.0)).cause.remedy().is_some_and(|r| r.contains("track_io_timing")));
    }

    #[test]
    fn the_planner_has_the_last_word() {
        let planned = |line: &str| {
            let plan = StatementPlan { statement_id: "7".into(), cost: 1.0, lines: vec![line.to_owned()] };
            scanning_addresses("4", move |pg| pg.plans = Ok(vec![plan]))
        };
        assert_eq!(findings(&CHECK, &planned("Seq Scan on address (cost 4,211, rows 3)")).len(), 1);
        assert_passes(&CHECK, &planned("Index Scan using address_region on address (cost 8, rows 3)"));
    }

    #[test]
    fn its_needs_are_exact() {
        assert_needs_are_exact(&CHECK, &scanning_addresses("4", |_| {}));
    }
}
