//! Tables the planner knows too little about.

use std::collections::{HashMap, HashSet};

use crate::checks::index::find_table;
use crate::checks::workload::{read_loads, workload};
use crate::checks::{Check, FINDINGS_MAX, always};
use crate::evidence::postgres::{ColumnStats, Setting, Table};
use crate::evidence::{Gap, Layer, Listed, Section, Snapshot};
use crate::finding::{Cell, Confidence, Cost, Effort, Evidence, Finding, Remedy, RemedyKind, Resource, Severity, Subject};
use crate::text;

/// Of the rows, changed since ANALYZE: two and a half times what brings autovacuum's own.
const CHANGED_SHARE_MIN: f64 = 0.25;
/// Fewer changes turn no plan.
const CHANGED_MIN: u64 = 1_000;
/// Smaller tables are scanned whatever is known of them.
const ROWS_MIN: u64 = 10_000;
/// Where nothing was counted, the size tells that there are so many.
const BYTES_MIN: u64 = 10_000_000;
/// Autovacuum looks once a minute and comes to some table of a store in use all day: silent for longer, it does not come.
const SILENT_S: f64 = 86_400.0;
/// Share of database time of the statements that read the table.
const TIME_SHARE_MEDIUM: f64 = 0.05;
/// `autovacuum_analyze_threshold` and `_scale_factor` as delivered, where the settings were not read.
const THRESHOLD: f64 = 50.0;
const SCALE: f64 = 0.1;

pub static CHECK: Check = Check {
    id: "pg-stale-statistics",
    layer: Layer::Postgres,
    title: "The planner's statistics of a table are old or missing",
    passed: "The planner's statistics are of the tables as they are.",
    why: "Postgres chooses its plans by what ANALYZE saw. When a table has changed since, or was never analyzed, it may scan where an index would serve and \
          join in the wrong order: one statement takes seconds instead of milliseconds.",
    remedy: "Analyze the table now, and let autovacuum do it in time.",
    method: "Tables of which 25 % of the rows, and at least 1,000, changed since ANALYZE, and tables of 10,000 rows or more (10 MB where no rows were counted) \
             that were never analyzed: by reltuples and the column statistics, since resetting the counters forgets the time of the last ANALYZE. Low; Medium \
             when statements that read the table take 5 % of database time. Info where autovacuum is due to come (it looks once a minute), unless it has \
             come to no table for a day.",
    effort: Effort::Minutes,
    references: &[
        "https://www.postgresql.org/docs/current/routine-vacuuming.html#VACUUM-FOR-STATISTICS",
        "https://www.postgresql.org/docs/current/planner-stats.html",
    ],
    needs: &[Section::PgTables],
    uses: &[Section::PgSettings, Section::PgColumnStats, Section::PgStatements, Section::PgServer],
    symptom_of: &[],
    applies_to: always,
    evaluate,
};

enum Fault {
    Never,
    /// 0…1 of the rows.
    Changed(f64),
}

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let pg = snapshot.pg()?;
    let tables = &pg.tables()?.rows;
    // Only where every table's statistics can be read does their absence say anything.
    let known = pg.column_stats.as_ref().ok().filter(|s| s.is_whole()).map(tables_with_statistics);
    let judged = tables.iter().filter(|t| t.extension.is_none() && t.kind != "p");
    let faulty: Vec<(&Table, Fault)> = judged.filter_map(|t| Some((t, fault(t, known.as_ref())?))).collect();
    if faulty.is_empty() {
        return Ok(Vec::new());
    }
    let times = time_by_table(snapshot, tables);
    let is_silent = is_silent(snapshot, tables);
    let settings = pg.settings.as_ref().ok();
    let one = |(t, f): &(&Table, Fault)| finding(t, f, times.get(&t.full_name()).copied().unwrap_or(0.0), is_due(settings, t) && !is_silent);
    let mut findings: Vec<Finding> = faulty.iter().map(one).collect();
    findings.sort_by(|a, b| b.severity.cmp(&a.severity).then_with(|| b.cost.share.total_cmp(&a.cost.share)).then_with(|| a.subject.cmp(&b.subject)));
    findings.truncate(FINDINGS_MAX);
    Ok(findings)
}

fn tables_with_statistics(stats: &Listed<ColumnStats>) -> HashSet<(&str, &str)> {
    stats.rows.iter().map(|s| (s.schema.as_str(), s.table.as_str())).collect()
}

fn fault(table: &Table, known: Option<&HashSet<(&str, &str)>>) -> Option<Fault> {
    let rows = table.live_rows.max(table.rows_estimate.max(0.0) as u64);
    let is_large = rows >= ROWS_MIN || (rows == 0 && table.table_bytes >= BYTES_MIN);
    // VACUUM and CREATE INDEX count the rows and look at no column.
    let has_none = known.is_some_and(|k| !k.contains(&(table.schema.as_str(), table.name.as_str())));
    if is_large && (table.rows_estimate < 0.0 || has_none) {
        return Some(Fault::Never);
    }
    if table.rows_estimate < 0.0 || rows == 0 {
        return None;
    }
    let share = table.modified_since_analyze as f64 / rows as f64;
    (share >= CHANGED_SHARE_MIN && table.modified_since_analyze >= CHANGED_MIN).then_some(Fault::Changed(share.min(1.0)))
}

/// Share of database time of the statements that mention each table.
fn time_by_table(snapshot: &Snapshot, tables: &[Table]) -> HashMap<String, f64> {
    let mut times: HashMap<String, f64> = HashMap::new();
    let Ok(work) = workload(snapshot) else { return times };
    for read in read_loads(&work) {
        let mut seen: Vec<String> = read.shape.tables.iter().filter_map(|t| find_table(tables, t)).map(Table::full_name).collect();
        seen.sort();
        seen.dedup();
        for name in seen {
            *times.entry(name).or_default() += work.share(&read.load);
        }
    }
    times
}

/// Whether autovacuum has the table on its list, so that it was filled or changed a moment ago.
fn is_due(settings: Option<&Vec<Setting>>, table: &Table) -> bool {
    let setting = |name: &str| settings.and_then(|all| all.iter().find(|s| s.name == name)).map(|s| s.value.as_str());
    let own = |name: &str| table.options.iter().find_map(|o| o.strip_prefix(name)?.strip_prefix('='));
    let is_on = setting("autovacuum").is_none_or(|v| v == "on")
        && setting("track_counts").is_none_or(|v| v == "on")
        && own("autovacuum_enabled").is_none_or(|v| !matches!(v, "false" | "off" | "0" | "no"));
    let number = |name: &str, otherwise: f64| own(name).or_else(|| setting(name)).and_then(|v| v.parse().ok()).unwrap_or(otherwise);
    let trigger = number("autovacuum_analyze_threshold", THRESHOLD) + number("autovacuum_analyze_scale_factor", SCALE) * table.rows_estimate.max(0.0);
    is_on && table.modified_since_analyze as f64 > trigger
}

/// Whether autovacuum was seen at work once and has come to no table for a day.
fn is_silent(snapshot: &Snapshot, tables: &[Table]) -> bool {
    let now = snapshot.pg().and_then(|pg| pg.server()).map_or(snapshot.meta.taken_at, |s| s.now);
    let last = tables.iter().filter_map(|t| t.last_autovacuum.max(t.last_autoanalyze)).max();
    last.is_some_and(|at| (now - at).as_seconds_f64() > SILENT_S)
}

fn finding(table: &Table, fault: &Fault, time_share: f64, is_due: bool) -> Finding {
    let severity = match time_share {
        _ if is_due => Severity::Info,
        s if s >= TIME_SHARE_MEDIUM => Severity::Medium,
        _ => Severity::Low,
    };
    let rows = table.live_rows.max(table.rows_estimate.max(0.0) as u64);
    let what = match fault {
        Fault::Never if rows > 0 => format!("{} ({}) was never analyzed.", table.name, text::plural(rows, "row", "rows")),
        Fault::Never => format!("{} ({}) was never analyzed.", table.name, text::bytes_disk(table.table_bytes)),
        Fault::Changed(share) => format!(
            "{} of {} in {} changed since it was last analyzed ({}).",
            text::count(table.modified_since_analyze),
            text::plural(rows, "row", "rows"),
            table.name,
            text::percent(*share)
        ),
    };
    let then = if is_due {
        " Autovacuum is due to come to it: look again in some minutes."
    } else if time_share >= TIME_SHARE_MEDIUM {
        " Costly statements read it."
    } else {
        " Autovacuum is not on its way to it."
    };
    Finding {
        subject: Subject::new("table", format!("{}.{}", table.schema, table.name)),
        observed: format!("{what}{then}"),
        step: format!("Analyze {}", table.name),
        evidence: vec![counters(table, time_share)],
        severity,
        confidence: if matches!(fault, Fault::Never) { Confidence::High } else { Confidence::Medium },
        confidence_because: match fault {
            Fault::Never => "the server has no statistics of it".to_owned(),
            Fault::Changed(_) => "by the server's own counters; whether a plan is wrong for it was not tried".to_owned(),
        },
        effort: Effort::Minutes,
        cost: Cost { resource: Resource::Risk, share: if severity == Severity::Info { 0.0 } else { 0.02 + time_share.min(1.0) * 0.1 } },
        gain: None,
        averts: Some("plans chosen on wrong figures".to_owned()),
        remedies: remedies(table),
        verify: format!("Audit again: {} was analyzed, and nothing but a few rows changed since.", table.name),
        touches: vec![format!("table:{}.{}", table.schema, table.name)],
    }
}

fn counters(table: &Table, time_share: f64) -> Evidence {
    let number = |n: u64| Cell::number(n as f64, text::count(n));
    let last = table.last_analyze.max(table.last_autoanalyze).map_or_else(|| "not since the counters were reset".to_owned(), text::date_time);
    let estimate = if table.rows_estimate < 0.0 { Cell::text("never counted") } else { number(table.rows_estimate as u64) };
    Evidence::table(
        "What is known",
        &["Figure", "Value"],
        vec![
            vec![Cell::text("Rows as the planner has them"), estimate],
            vec![Cell::text("Live rows as counted"), number(table.live_rows)],
            vec![Cell::text("Changed since ANALYZE"), number(table.modified_since_analyze)],
            vec![Cell::text("Last analyzed"), Cell::text(last)],
            vec![Cell::text("Database time of statements that read it"), Cell::number(time_share, text::percent(time_share))],
        ],
    )
}

fn remedies(table: &Table) -> Vec<Remedy> {
    let name = table.full_name();
    let is_off = table.options.iter().any(|o| o.starts_with("autovacuum_enabled=") && !o.ends_with("true") && !o.ends_with("on"));
    let (enable, reset) = if is_off { (", autovacuum_enabled = true", ", autovacuum_enabled") } else { ("", "") };
    vec![
        Remedy {
            kind: RemedyKind::Sql,
            label: "Analyze it now".to_owned(),
            text: format!("analyze {name};"),
            lock: Some(format!("SHARE UPDATE EXCLUSIVE on {}: reads and writes go on. It reads a sample: seconds.", table.name)),
            risk: "Plans change at once, nearly always for the better.".to_owned(),
            undo: None,
        },
        Remedy {
            kind: RemedyKind::Sql,
            label: "Let autovacuum analyze it in time".to_owned(),
            text: format!("alter table {name} set (autovacuum_analyze_scale_factor = 0.02, autovacuum_analyze_threshold = 1000{enable});"),
            lock: Some(format!("SHARE UPDATE EXCLUSIVE on {} for a moment.", table.name)),
            risk: "ANALYZE runs more often.".to_owned(),
            undo: Some(format!("alter table {name} reset (autovacuum_analyze_scale_factor, autovacuum_analyze_threshold{reset});")),
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::fixtures::*;
    use crate::evidence::postgres::Postgres;
    use time::macros::datetime;

    /// Analyzed two days ago, with autovacuum off for it.
    fn cart(rows: u64, changed: u64, edit: impl FnOnce(&mut Table), also: impl FnOnce(&mut Postgres)) -> Snapshot {
        let mut one = table("cart", rows, 100_000_000);
        one.modified_since_analyze = changed;
        one.last_analyze = Some(datetime!(2026-11-21 09:30 UTC));
        one.options = vec!["autovacuum_enabled=false".into()];
        edit(&mut one);
        store(|pg| {
            tables(pg, vec![one]);
            pg.column_stats = Ok(Listed::whole(vec![statistics_of("cart")]));
            also(pg);
        })
    }

    fn statistics_of(table: &str) -> ColumnStats {
        ColumnStats {
            schema: "public".into(),
            table: table.into(),
            column: "id".into(),
            null_fraction: 0.0,
            average_width: 32,
            distinct: -1.0,
            correlation: None,
        }
    }

    #[test]
    fn a_quarter_and_a_thousand_rows_must_have_changed() {
        assert_passes(&CHECK, &cart(10_000, 2_499, |_| {}, |_| {}));
        assert_eq!(findings(&CHECK, &cart(10_000, 2_500, |_| {}, |_| {}))[0].severity, Severity::Low);
        assert_passes(&CHECK, &cart(2_000, 999, |_| {}, |_| {}));
        assert_eq!(findings(&CHECK, &cart(2_000, 1_000, |_| {}, |_| {})).len(), 1);
    }

    #[test]
    fn large_tables_must_have_been_analyzed() {
        let never = |t: &mut Table| t.rows_estimate = -1.0;
        assert_passes(&CHECK, &cart(9_999, 0, never, |_| {}));
        assert!(findings(&CHECK, &cart(10_000, 0, never, |_| {}))[0].observed.contains("10,000\u{a0}rows) was never analyzed"));
        let uncounted = |bytes| move |t: &mut Table| (t.rows_estimate, t.live_rows, t.table_bytes) = (-1.0, 0, bytes);
        assert_passes(&CHECK, &cart(0, 0, uncounted(9_999_999), |_| {}));
        assert_eq!(findings(&CHECK, &cart(0, 0, uncounted(10_000_000), |_| {})).len(), 1);
    }

    #[test]
    fn reset_counters_are_not_taken_for_never() {
        let reset = |t: &mut Table| (t.last_analyze, t.live_rows) = (None, 0);
        assert_passes(&CHECK, &cart(50_000, 0, reset, |_| {}));
    }

    #[test]
    fn rows_counted_by_vacuum_alone_are_not_statistics() {
        let other = |pg: &mut Postgres| pg.column_stats = Ok(Listed::whole(vec![statistics_of("image")]));
        assert!(findings(&CHECK, &cart(50_000, 0, |_| {}, other))[0].observed.contains("never analyzed"));
        // Where some statistics are hidden, their absence says nothing.
        let partly = |pg: &mut Postgres| pg.column_stats = Ok(Listed { rows: vec![statistics_of("image")], cut: None });
        assert_passes(&CHECK, &cart(50_000, 0, |_| {}, partly));
    }

    #[test]
    fn what_autovacuum_is_due_to_do_is_a_note() {
        let fresh = |t: &mut Table| (t.options, t.last_analyze) = (Vec::new(), None);
        assert_eq!(findings(&CHECK, &cart(50_000, 50_000, fresh, |_| {}))[0].severity, Severity::Info);
        let came = |at| move |t: &mut Table| (t.options, t.last_autoanalyze) = (Vec::new(), Some(at));
        assert_eq!(findings(&CHECK, &cart(50_000, 50_000, came(datetime!(2026-11-22 09:30 UTC)), |_| {}))[0].severity, Severity::Info);
        assert_eq!(findings(&CHECK, &cart(50_000, 50_000, came(datetime!(2026-11-22 09:29:59 UTC)), |_| {}))[0].severity, Severity::Low);
        let own = |t: &mut Table| (t.options, t.last_analyze) = (vec!["autovacuum_analyze_scale_factor=2".into()], None);
        assert_eq!(findings(&CHECK, &cart(50_000, 50_000, own, |_| {}))[0].severity, Severity::Low);
    }

    #[test]
    fn costly_statements_make_it_medium() {
        let reads = |ms: f64| {
            move |pg: &mut Postgres| {
                statements(
                    pg,
                    vec![statement("1", "select * from cart where id = $1", 500, ms), statement("2", "select * from image", 500, 1_000.0 - ms)],
                );
            }
        };
        assert_eq!(findings(&CHECK, &cart(10_000, 5_000, |_| {}, reads(49.0)))[0].severity, Severity::Low);
        assert_eq!(findings(&CHECK, &cart(10_000, 5_000, |_| {}, reads(50.0)))[0].severity, Severity::Medium);
    }

    #[test]
    fn the_remedies_turn_autovacuum_on_and_needs_are_exact() {
        let snapshot = cart(10_000, 5_000, |_| {}, |_| {});
        let found = findings(&CHECK, &snapshot);
        assert_eq!(found[0].remedies[0].text, "analyze public.cart;");
        assert!(found[0].remedies[1].text.ends_with("autovacuum_enabled = true);"));
        assert_needs_are_exact(&CHECK, &snapshot);
    }
}
