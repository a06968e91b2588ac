//! Autovacuum is off, or too slow for the whole database.

use crate::checks::server_settings::{Change, Effect, Settings, for_server, platform, shown};
use crate::checks::workload::statistics_age;
use crate::checks::{Applies, Check};
use crate::evidence::postgres::{Activity, Table};
use crate::evidence::{Gap, Layer, Section, Snapshot};
use crate::finding::{Cell, Confidence, Cost, Effort, Evidence, Finding, Resource, Severity, Subject};
use crate::text;

/// As in pg-vacuum-lag: past a table's own trigger twice, a tenth of the rows dead, not a tiny table.
const TRIGGER_TIMES: f64 = 2.0;
const DEAD_SHARE_MIN: f64 = 0.10;
const ROWS_MIN: u64 = 10_000;
/// One late table is that table's; three at once are short of workers or of their allowance.
const LATE_TABLES_MIN: usize = 3;
/// Autovacuum looks every minute (`autovacuum_naptime`); what waited an hour was passed over sixty times.
const WAITED_S_MIN: f64 = 3_600.0;
/// An open transaction this old keeps dead rows from being removed, and no setting helps.
const XMIN_AGE_MIN: u64 = 100_000;
/// Ten times the shipped 200: made for the disks of 2005, and shared by all workers.
const COST_LIMIT_WANTED: u64 = 2_000;

pub static CHECK: Check = Check {
    id: "pg-settings-autovacuum",
    layer: Layer::Postgres,
    title: "Autovacuum is off or too slow for the whole database",
    passed: "Autovacuum is on and keeps up.",
    why: "Autovacuum removes what updates and deletes leave behind, keeps the planner's statistics fresh and prevents the transaction numbers from running out. \
          Without it tables and indexes grow without end, plans go wrong, and one day the server stops taking writes.",
    remedy: "Turn it on; where it is on and late everywhere, let it work faster.",
    method: "The settings autovacuum and track_counts off; or three and more tables of 10,000 rows late at once: dead rows over twice their trigger and a tenth of the rows, not \
             vacuumed for an hour, while the allowance (autovacuum_vacuum_cost_limit over cost_delay) is below ten times the shipped one and no old transaction \
             holds the rows. One late table alone is pg-vacuum-lag's.",
    effort: Effort::Minutes,
    references: &[
        "https://www.postgresql.org/docs/current/routine-vacuuming.html#AUTOVACUUM",
        "https://www.postgresql.org/docs/current/runtime-config-autovacuum.html",
    ],
    needs: &[Section::PgSettings, Section::PgTables, Section::PgServer],
    uses: &[Section::PgActivity],
    symptom_of: &[],
    applies_to,
    evaluate,
};

fn applies_to(snapshot: &Snapshot) -> Result<Applies, Gap> {
    let server = snapshot.pg()?.server()?;
    Ok(if server.is_replica {
        Applies::No("a standby does not vacuum, its primary does".to_owned())
    } else if server.platform == "neon" {
        Applies::No("Neon runs autovacuum by settings of its own".to_owned())
    } else {
        Applies::Yes
    })
}

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let pg = snapshot.pg()?;
    let (tables, settings) = (&pg.tables()?.rows, Settings::of(snapshot)?);
    let platform = platform(snapshot)?;
    let off: Vec<&'static str> = ["autovacuum", "track_counts"].into_iter().filter(|n| settings.is_on(n) == Ok(false)).collect();
    settings.get("autovacuum")?;
    if !off.is_empty() {
        return Ok(vec![turned_off(platform, &settings, &off, tables)]);
    }
    let is_held = |a: &Activity| a.oldest_xmin.as_ref().is_some_and(|h| h.age_xids >= XMIN_AGE_MIN);
    if pg.activity.as_ref().is_ok_and(is_held) || allowance(&settings)? >= COST_LIMIT_WANTED as f64 / 2.0 {
        return Ok(Vec::new());
    }
    let late = late(tables, &settings)?;
    if late.len() < LATE_TABLES_MIN {
        return Ok(Vec::new());
    }
    // Counters that were reset within the hour have no last vacuum to tell.
    let age = statistics_age(snapshot)?;
    let server = pg.server()?;
    let waited = |t: &&Table| {
        let last = [t.last_vacuum, t.last_autovacuum].into_iter().flatten().max();
        (server.now - last.unwrap_or(age.since)).as_seconds_f64() >= WAITED_S_MIN
    };
    let starved: Vec<&Table> = late.into_iter().filter(waited).collect();
    Ok(if starved.len() >= LATE_TABLES_MIN { vec![too_slow(platform, &settings, &starved, tables)] } else { Vec::new() })
}

/// Cost points each 2 ms, the shipped delay; without a delay there is no bound.
fn allowance(settings: &Settings) -> Result<f64, Gap> {
    let own = |name: &str, general: &str| {
        let value = settings.number(name)?;
        if value < 0.0 { settings.number(general) } else { Ok(value) }
    };
    let limit = own("autovacuum_vacuum_cost_limit", "vacuum_cost_limit")?;
    let delay_ms = own("autovacuum_vacuum_cost_delay", "vacuum_cost_delay")?;
    Ok(if delay_ms <= 0.0 { f64::INFINITY } else { limit * 2.0 / delay_ms })
}

fn dead_share(table: &Table) -> f64 {
    let all = table.live_rows + table.dead_rows;
    if all == 0 { 0.0 } else { table.dead_rows as f64 / all as f64 }
}

/// Tables past their trigger, most dead rows first; those whose own option turns autovacuum off were meant so.
fn late<'s>(tables: &'s [Table], settings: &Settings) -> Result<Vec<&'s Table>, Gap> {
    let (threshold, scale) = (settings.number("autovacuum_vacuum_threshold")?, settings.number("autovacuum_vacuum_scale_factor")?);
    let max = settings.number("autovacuum_vacuum_max_threshold").ok().filter(|m| *m >= 0.0).unwrap_or(f64::INFINITY);
    let mut late: Vec<&Table> = tables
        .iter()
        .filter(|t| t.kind != "p" && t.extension.is_none() && t.live_rows + t.dead_rows >= ROWS_MIN)
        .filter(|t| {
            let option = |name: &str| t.options.iter().find_map(|o| o.strip_prefix(name)?.strip_prefix('='));
            let parsed = |name: &str, server: f64| option(name).and_then(|v| v.parse().ok()).unwrap_or(server);
            let trigger =
                parsed("autovacuum_vacuum_threshold", threshold) + parsed("autovacuum_vacuum_scale_factor", scale) * t.rows_estimate.max(0.0);
            let is_off = option("autovacuum_enabled").is_some_and(|v| v == "false" || v == "off");
            !is_off && t.dead_rows as f64 > trigger.min(max) * TRIGGER_TIMES && dead_share(t) >= DEAD_SHARE_MIN
        })
        .collect();
    late.sort_by(|a, b| b.dead_rows.cmp(&a.dead_rows).then_with(|| a.full_name().cmp(&b.full_name())));
    Ok(late)
}

/// Share 0…1 of the tables' bytes that dead rows hold.
fn dead_bytes_share(tables: &[Table]) -> f64 {
    let all: u64 = tables.iter().map(Table::total_bytes).sum();
    let dead: f64 = tables.iter().map(|t| t.table_bytes as f64 * dead_share(t)).sum();
    if all == 0 { 0.0 } else { (dead / all as f64).min(1.0) }
}

fn turned_off(platform: &str, settings: &Settings, off: &[&'static str], tables: &[Table]) -> Finding {
    let (dead, share) = (tables.iter().map(|t| t.dead_rows).sum::<u64>(), dead_bytes_share(tables));
    let changes: Vec<Change> = off.iter().map(|name| Change::plain(settings, name, "on")).collect();
    let risk = "Workers start on the tables that have waited; they stop where a lock is in the way. For a large table run vacuum (analyze) first, at a quiet hour.";
    Finding {
        subject: Subject::new("setting", "autovacuum"),
        observed: format!(
            "{} off for the whole server; {} have piled up.",
            if off.len() == 2 { "autovacuum and track_counts are".to_owned() } else { format!("{} is", off[0]) },
            text::plural(dead, "dead row", "dead rows")
        ),
        step: "Turn autovacuum on".to_owned(),
        evidence: evidence(settings, &largest_dead(tables), &["autovacuum", "track_counts"]),
        severity: Severity::from_share(share).max(Severity::Medium),
        confidence: Confidence::High,
        confidence_because: "read from the running server".to_owned(),
        effort: Effort::Minutes,
        cost: Cost { resource: Resource::Risk, share: share.max(0.1) },
        gain: None,
        averts: Some("tables that grow without end and a server that stops taking writes".to_owned()),
        remedies: vec![for_server(platform, "Turn it on", &changes, Effect::Reload, risk)],
        verify: "show autovacuum; and show track_counts; say on; the dead rows of the next audit are fewer.".to_owned(),
        touches: vec!["setting:autovacuum".to_owned()],
    }
}

fn largest_dead(tables: &[Table]) -> Vec<&Table> {
    let mut rows: Vec<&Table> = tables.iter().filter(|t| t.dead_rows > 0).collect();
    rows.sort_by(|a, b| b.dead_rows.cmp(&a.dead_rows).then_with(|| a.full_name().cmp(&b.full_name())));
    rows
}

fn too_slow(platform: &str, settings: &Settings, starved: &[&Table], tables: &[Table]) -> Finding {
    let dead: u64 = starved.iter().map(|t| t.dead_rows).sum();
    let share = dead_bytes_share(tables);
    let changes = [Change::plain(settings, "autovacuum_vacuum_cost_limit", &COST_LIMIT_WANTED.to_string())];
    let risk = "Vacuum reads and writes up to ten times as fast while it runs: watch the disk for a day. More workers alone do not help, they share the allowance.";
    let names = ["autovacuum_vacuum_cost_limit", "vacuum_cost_limit", "autovacuum_vacuum_cost_delay", "autovacuum_max_workers", "autovacuum_naptime"];
    Finding {
        subject: Subject::new("setting", "autovacuum_vacuum_cost_limit"),
        observed: format!(
            "{} are late at once, none vacuumed within the hour: {} wait.",
            text::plural(starved.len() as u64, "table", "tables"),
            text::plural(dead, "dead row", "dead rows")
        ),
        step: "Let autovacuum work faster".to_owned(),
        evidence: evidence(settings, starved, &names),
        severity: Severity::from_share(share).min(Severity::Medium),
        confidence: Confidence::Medium,
        confidence_because: "by the server's own counters of dead rows; what the workers did meanwhile was not watched".to_owned(),
        effort: Effort::Minutes,
        cost: Cost { resource: Resource::Storage, share },
        gain: None,
        averts: None,
        remedies: vec![for_server(platform, "Raise its allowance", &changes, Effect::Reload, risk)],
        verify: "Audit again after some hours: fewer than three tables are late.".to_owned(),
        touches: starved.iter().map(|t| format!("table:{}.{}", t.schema, t.name)).collect(),
    }
}

fn evidence(settings: &Settings, tables: &[&Table], names: &[&str]) -> Vec<Evidence> {
    let row = |t: &&Table| {
        let last = [t.last_vacuum, t.last_autovacuum].into_iter().flatten().max();
        vec![
            Cell::text(t.full_name()),
            Cell::number(t.dead_rows as f64, text::count(t.dead_rows)),
            Cell::number(dead_share(t), text::percent(dead_share(t))),
            Cell::text(last.map_or_else(|| "never".to_owned(), text::date_time)),
        ]
    };
    let mut evidence: Vec<Evidence> = names.iter().filter_map(|n| Some(Evidence::text(n, shown(settings.find(n)?)))).collect();
    if !tables.is_empty() {
        evidence.insert(0, Evidence::table("Dead rows", &["Table", "Dead rows", "Of all", "Last vacuum"], tables.iter().map(row).collect()));
    }
    evidence
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::fixtures::*;
    use crate::checks::server_settings::tests::{run_by, setting};
    use crate::evidence::postgres::{Postgres, XminHolder};
    use time::Duration;

    /// So many tables with a live and a dead row in two, last vacuumed two hours ago.
    fn late_tables(count: usize, edit: impl FnOnce(&mut Postgres)) -> Snapshot {
        store(|pg| {
            let now = pg.server.as_ref().unwrap().now;
            let one = |i: usize| {
                let mut t = table(&format!("t{i}"), 100_000, 50_000_000);
                t.dead_rows = 100_000;
                t.last_autovacuum = Some(now - Duration::hours(2));
                t
            };
            tables(pg, (0..count).map(one).collect());
            pg.settings = Ok(vec![
                setting("autovacuum", "on", ""),
                setting("track_counts", "on", ""),
                setting("autovacuum_vacuum_threshold", "50", ""),
                setting("autovacuum_vacuum_scale_factor", "0.2", ""),
                setting("autovacuum_vacuum_cost_limit", "-1", ""),
                setting("autovacuum_vacuum_cost_delay", "2", "ms"),
                setting("vacuum_cost_limit", "200", ""),
                setting("vacuum_cost_delay", "0", "ms"),
            ]);
            edit(pg);
        })
    }

    fn set(pg: &mut Postgres, name: &str, value: &str) {
        let row = pg.settings.as_mut().unwrap().iter_mut().find(|s| s.name == name).unwrap();
        row.value = value.to_owned();
    }

    #[test]
    fn off_is_off() {
        let found = findings(&CHECK, &late_tables(1, |pg| set(pg, "autovacuum", "off")));
        assert!(found[0].severity >= Severity::Medium);
        assert_eq!(found[0].remedies[0].text, "alter system set autovacuum = on;\nselect pg_reload_conf();");
        let found = findings(&CHECK, &late_tables(0, |pg| set(pg, "track_counts", "off")));
        assert_eq!((found[0].severity, found[0].remedies.len()), (Severity::Medium, 1));
    }

    #[test]
    fn three_late_tables_are_the_limit() {
        assert_passes(&CHECK, &late_tables(LATE_TABLES_MIN - 1, |_| {}));
        let found = findings(&CHECK, &late_tables(LATE_TABLES_MIN, |_| {}));
        assert_eq!(found[0].subject.name, "autovacuum_vacuum_cost_limit");
        assert_eq!(found[0].severity, Severity::Medium);
    }

    #[test]
    fn a_table_that_waited_less_than_an_hour_is_in_line() {
        let waited = |minutes: i64| {
            late_tables(LATE_TABLES_MIN, move |pg| {
                let now = pg.server.as_ref().unwrap().now;
                pg.tables.as_mut().unwrap().rows[0].last_autovacuum = Some(now - Duration::minutes(minutes));
            })
        };
        assert_passes(&CHECK, &waited(59));
        assert_eq!(findings(&CHECK, &waited(60)).len(), 1);
    }

    #[test]
    fn dead_rows_count_as_in_vacuum_lag() {
        // 50 + 0.2 × 100,000 rows, twice.
        let dead = |rows| late_tables(LATE_TABLES_MIN, move |pg| pg.tables.as_mut().unwrap().rows[0].dead_rows = rows);
        assert_passes(&CHECK, &dead(40_100));
        assert_eq!(findings(&CHECK, &dead(40_101)).len(), 1);
        let off = |pg: &mut Postgres| pg.tables.as_mut().unwrap().rows[0].options = vec!["autovacuum_enabled=off".into()];
        assert_passes(&CHECK, &late_tables(LATE_TABLES_MIN, off));
    }

    #[test]
    fn an_old_transaction_or_a_raised_allowance_is_another_matter() {
        let held = |age_xids| {
            let holder = XminHolder { kind: "session".into(), name: "7".into(), age_xids };
            late_tables(LATE_TABLES_MIN, move |pg| pg.activity.as_mut().unwrap().oldest_xmin = Some(holder))
        };
        assert_passes(&CHECK, &held(XMIN_AGE_MIN));
        assert_eq!(findings(&CHECK, &held(XMIN_AGE_MIN - 1)).len(), 1);
        assert_passes(&CHECK, &late_tables(LATE_TABLES_MIN, |pg| set(pg, "autovacuum_vacuum_cost_limit", "1000")));
        assert_eq!(findings(&CHECK, &late_tables(LATE_TABLES_MIN, |pg| set(pg, "autovacuum_vacuum_cost_limit", "999"))).len(), 1);
        assert_passes(&CHECK, &late_tables(LATE_TABLES_MIN, |pg| set(pg, "autovacuum_vacuum_cost_delay", "0")));
    }

    #[test]
    fn neon_is_left_alone_and_needs_are_exact() {
        let outcome = CHECK.run(&late_tables(LATE_TABLES_MIN, |pg| run_by(pg, "neon")));
        assert!(matches!(outcome, crate::finding::Outcome::NotApplicable(_)));
        assert_needs_are_exact(&CHECK, &late_tables(LATE_TABLES_MIN, |_| {}));
    }
}
