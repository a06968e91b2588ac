//! Dead rows pile up faster than vacuum takes them away.

use crate::checks::server_settings::{Change, Settings, server_wide};
use crate::checks::sessions::{XMIN_AGE_MIN, holder_touch, holder_words, release};
use crate::checks::{Check, FINDINGS_MAX, always};
use crate::evidence::postgres::{Activity, Setting, Table, XminHolder};
use crate::evidence::{Cause, Gap, Layer, Section, Snapshot};
use crate::finding::{Basis, Confidence, Cost, Effort, Evidence, Finding, Gain, Remedy, RemedyKind, Resource, Severity, Subject};
use crate::text;

/// Past the table's own trigger twice: late, not merely due.
const TRIGGER_TIMES: f64 = 2.0;
/// Of all rows; below it, scans hardly notice.
const DEAD_SHARE_MIN: f64 = 0.10;
/// Smaller tables are vacuumed in a moment and may be emptied and filled all day.
const ROWS_MIN: u64 = 10_000;
/// A younger holder explains what is left when vacuum came within the hour and left it.
const XMIN_AGE_RECENT_MIN: u64 = 1_000;
const RECENT_S: f64 = 3_600.0;

pub static CHECK: Check = Check {
    id: "pg-vacuum-lag",
    layer: Layer::Postgres,
    title: "Dead rows pile up in a table",
    passed: "Vacuum keeps up with the dead rows.",
    why: "An update or delete leaves the old row behind until vacuum removes it. When vacuum falls behind, scans read dead rows, indexes grow, and the disk \
          fills with what nobody can see.",
    remedy: "Vacuum the table now, and let autovacuum come to it earlier. Where an old transaction holds the rows, end that first.",
    method: "Tables with 10,000 rows or more whose dead rows are over twice the table's own autovacuum trigger (its storage parameters, else the server's \
             settings, the maximum of Postgres 18 included) and at least 10 % of all its rows. What holds vacuum back (a session, prepared transaction, slot or \
             standby) is named when it is 100,000 transactions old, or 1,000 where vacuum came within the hour and left the rows.",
    effort: Effort::Minutes,
    references: &["https://www.postgresql.org/docs/current/routine-vacuuming.html#AUTOVACUUM"],
    needs: &[Section::PgTables, Section::PgSettings],
    uses: &[Section::PgActivity, Section::PgServer],
    symptom_of: &["pg-idle-in-transaction", "pg-long-transaction", "pg-inactive-slot"],
    applies_to: always,
    evaluate,
};

/// When autovacuum comes to a table.
struct Trigger {
    threshold: f64,
    scale: f64,
    /// Postgres 18: no more dead rows than this.
    max: Option<f64>,
    /// For the whole server.
    is_server_on: bool,
    /// By the table's own storage parameter.
    is_table_on: bool,
}

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let pg = snapshot.pg()?;
    let (tables, settings) = (&pg.tables()?.rows, pg.settings()?);
    let server = Trigger {
        threshold: number(settings, "autovacuum_vacuum_threshold")?,
        scale: number(settings, "autovacuum_vacuum_scale_factor")?,
        max: number(settings, "autovacuum_vacuum_max_threshold").ok().filter(|m| *m >= 0.0),
        is_server_on: ["autovacuum", "track_counts"].iter().all(|n| settings.iter().find(|s| s.name == *n).is_none_or(|s| s.value == "on")),
        is_table_on: true,
    };
    let all_bytes: u64 = tables.iter().map(Table::total_bytes).sum();
    let activity = pg.activity.as_ref().ok();
    let late = tables.iter().filter(|t| t.kind != "p" && t.extension.is_none()).filter_map(|t| {
        let trigger = of_table(&server, t);
        is_late(t, &trigger).then(|| finding(snapshot, t, &trigger, all_bytes, activity))
    });
    let mut findings: Vec<Finding> = late.collect();
    findings.sort_by(|a, b| b.cost.share.total_cmp(&a.cost.share).then_with(|| a.subject.cmp(&b.subject)));
    findings.truncate(FINDINGS_MAX);
    Ok(findings)
}

fn number(settings: &[Setting], name: &str) -> Result<f64, Gap> {
    let found = settings.iter().find(|s| s.name == name).and_then(|s| s.value.parse().ok());
    found.ok_or_else(|| Gap::new(Section::PgSettings, Cause::Unreadable, format!("The setting {name} was not among those read.")))
}

fn of_table(server: &Trigger, table: &Table) -> Trigger {
    let option = |name: &str| table.options.iter().find_map(|o| o.strip_prefix(name)?.strip_prefix('=')).map(str::to_owned);
    let parsed = |name: &str| option(name).and_then(|v| v.parse::<f64>().ok());
    Trigger {
        threshold: parsed("autovacuum_vacuum_threshold").unwrap_or(server.threshold),
        scale: parsed("autovacuum_vacuum_scale_factor").unwrap_or(server.scale),
        max: parsed("autovacuum_vacuum_max_threshold").or(server.max).filter(|m| *m >= 0.0),
        is_server_on: server.is_server_on,
        is_table_on: !option("autovacuum_enabled").is_some_and(|v| matches!(v.as_str(), "false" | "off" | "0" | "no")),
    }
}

impl Trigger {
    fn dead_rows(&self, table: &Table) -> f64 {
        let wanted = self.threshold + self.scale * table.rows_estimate.max(0.0);
        self.max.map_or(wanted, |max| wanted.min(max))
    }
}

fn dead_share(table: &Table) -> f64 {
    let all = table.live_rows + table.dead_rows;
    if all == 0 { 0.0 } else { table.dead_rows as f64 / all as f64 }
}

fn is_late(table: &Table, trigger: &Trigger) -> bool {
    table.live_rows + table.dead_rows >= ROWS_MIN
        && table.dead_rows as f64 > trigger.dead_rows(table) * TRIGGER_TIMES
        && dead_share(table) >= DEAD_SHARE_MIN
}

/// What keeps the rows: old by itself, or young and yet in the way of a vacuum that came and left them.
fn holder<'a>(snapshot: &Snapshot, activity: Option<&'a Activity>, table: &Table) -> Option<(&'a Activity, &'a XminHolder)> {
    let activity = activity?;
    let now = snapshot.pg().and_then(|pg| pg.server()).map_or(snapshot.meta.taken_at, |s| s.now);
    let is_recent = table.last_vacuum.max(table.last_autovacuum).is_some_and(|at| (now - at).as_seconds_f64() < RECENT_S);
    let enough = if is_recent { XMIN_AGE_RECENT_MIN } else { XMIN_AGE_MIN };
    activity.oldest_xmin.as_ref().filter(|h| h.age_xids >= enough).map(|h| (activity, h))
}

fn observed(table: &Table, trigger: &Trigger, held: Option<(&Activity, &XminHolder)>) -> String {
    let last = [table.last_vacuum, table.last_autovacuum].into_iter().flatten().max();
    let vacuumed =
        last.map_or_else(|| "never vacuumed since the counters were reset".to_owned(), |at| format!("last vacuumed {}", text::date_time(at)));
    let off = match (trigger.is_server_on, trigger.is_table_on) {
        (false, _) => " Autovacuum is off for the whole server.",
        (true, false) => " Autovacuum is off for it.",
        (true, true) => "",
    };
    let held = held
        .map(|(a, h)| format!(" The {} holds them back: it is {} transactions old.", holder_words(a, h), text::count(h.age_xids)))
        .unwrap_or_default();
    format!(
        "{} of {} in {} are dead ({}), {}; autovacuum should have come at {}.{off}{held}",
        text::count(table.dead_rows),
        text::plural(table.live_rows + table.dead_rows, "row", "rows"),
        table.name,
        text::percent(dead_share(table)),
        vacuumed,
        text::count(trigger.dead_rows(table) as u64)
    )
}

fn finding(snapshot: &Snapshot, table: &Table, trigger: &Trigger, all_bytes: u64, activity: Option<&Activity>) -> Finding {
    let dead_bytes = table.table_bytes as f64 * dead_share(table);
    let share = if all_bytes > 0 { (dead_bytes / all_bytes as f64).min(1.0) } else { 0.0 };
    let held = holder(snapshot, activity, table);
    let mut gain = Gain::new(Basis::Modelled, format!("{} reused", text::bytes_disk(dead_bytes as u64)));
    gain.storage_bytes = Some(dead_bytes as u64);
    Finding {
        subject: Subject::new("table", format!("{}.{}", table.schema, table.name)),
        observed: observed(table, trigger, held),
        step: match held {
            Some((_, h)) => format!("End the {} that holds vacuum back, then vacuum {}", h.kind, table.name),
            None => format!("Vacuum {} and let autovacuum come earlier", table.name),
        },
        evidence: evidence(table, trigger),
        severity: Severity::from_share(share),
        confidence: if table.modified_since_analyze as f64 > table.rows_estimate.max(0.0) { Confidence::Medium } else { Confidence::High },
        confidence_because: "by the server's own counters of dead rows".to_owned(),
        effort: Effort::Minutes,
        cost: Cost { resource: Resource::Storage, share },
        gain: Some(gain),
        averts: None,
        remedies: held.map(|(_, h)| release(snapshot, h)).into_iter().chain(remedies(snapshot, table, trigger)).collect(),
        verify: format!("Audit again: the dead rows of {} are near 0 now and stay below {}.", table.name, text::percent(DEAD_SHARE_MIN)),
        touches: held.map(|(_, h)| holder_touch(h)).into_iter().chain([format!("table:{}.{}", table.schema, table.name)]).collect(),
    }
}

fn evidence(table: &Table, trigger: &Trigger) -> Vec<Evidence> {
    vec![
        Evidence::figure("Dead rows", table.dead_rows as f64, "rows", text::count(table.dead_rows)),
        Evidence::figure("Live rows", table.live_rows as f64, "rows", text::count(table.live_rows)),
        Evidence::figure("Autovacuum comes at", trigger.dead_rows(table), "rows", text::count(trigger.dead_rows(table) as u64)),
        Evidence::figure("Table size", table.table_bytes as f64, "bytes", text::bytes_disk(table.table_bytes)),
    ]
}

fn remedies(snapshot: &Snapshot, table: &Table, trigger: &Trigger) -> Vec<Remedy> {
    let name = table.full_name();
    // A fiftieth of the rows, ten times as often as the default.
    let (enabled, reset) = if trigger.is_table_on { ("", "") } else { (", autovacuum_enabled = true", ", autovacuum_enabled") };
    let mut remedies = per_table(table, &name, enabled, reset);
    if !trigger.is_server_on {
        let settings = Settings::known(snapshot);
        let changes = [Change::plain(&settings, "autovacuum", "on"), Change::plain(&settings, "track_counts", "on")];
        let risk = "Autovacuum begins with every table that waits for it: expect I/O for a while.";
        remedies.extend(server_wide(snapshot, "Turn autovacuum on", &changes, risk));
    }
    remedies
}

fn per_table(table: &Table, name: &str, enabled: &str, reset: &str) -> Vec<Remedy> {
    vec![
        Remedy {
            kind: RemedyKind::Sql,
            label: "Vacuum it now".to_owned(),
            text: format!("vacuum (analyze) {name};"),
            lock: Some(format!("SHARE UPDATE EXCLUSIVE on {}: reads and writes go on; it reads the parts of the table with dead rows.", table.name)),
            risk: "Uses I/O while it runs; it stops by itself where a lock is in the way. The file does not shrink: the room is reused.".to_owned(),
            undo: None,
        },
        Remedy {
            kind: RemedyKind::Sql,
            label: "Let autovacuum come earlier".to_owned(),
            text: format!("alter table {name} set (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000{enabled});"),
            lock: Some(format!("SHARE UPDATE EXCLUSIVE on {} for a moment.", table.name)),
            risk: "Vacuum runs more often and shorter.".to_owned(),
            undo: Some(format!("alter table {name} reset (autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold{reset});")),
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::fixtures::*;
    use crate::evidence::postgres::Postgres;
    use time::macros::datetime;

    fn setting(name: &str, value: &str) -> Setting {
        Setting { name: name.into(), value: value.into(), unit: None, source: "default".into(), boot_value: None, pending_restart: false }
    }

    fn cart(live: u64, dead: u64, edit: impl FnOnce(&mut Table), also: impl FnOnce(&mut Postgres)) -> Snapshot {
        let mut one = table("cart", live, 100_000_000);
        one.dead_rows = dead;
        edit(&mut one);
        store(|pg| {
            tables(pg, vec![one]);
            pg.settings =
                Ok(vec![setting("autovacuum", "on"), setting("autovacuum_vacuum_threshold", "50"), setting("autovacuum_vacuum_scale_factor", "0.2")]);
            also(pg);
        })
    }

    fn fails(snapshot: &Snapshot) -> bool {
        matches!(CHECK.run(snapshot), crate::finding::Outcome::Failed(_))
    }

    #[test]
    fn twice_the_tables_own_trigger_is_late() {
        // Trigger: 50 + 0.2 × 100,000 = 20,050.
        assert!(!fails(&cart(100_000, 40_100, |_| {}, |_| {})));
        assert!(fails(&cart(100_000, 40_101, |_| {}, |_| {})));
        let own = |t: &mut Table| t.options = vec!["autovacuum_vacuum_scale_factor=0.5".into()];
        assert!(!fails(&cart(100_000, 100_100, own, |_| {})));
        assert!(fails(&cart(100_000, 100_101, own, |_| {})));
    }

    #[test]
    fn a_tenth_must_be_dead() {
        let eager = |t: &mut Table| t.options = vec!["autovacuum_vacuum_scale_factor=0.01".into()];
        assert!(fails(&cart(90_000, 10_000, eager, |_| {})));
        assert!(!fails(&cart(90_001, 10_000, eager, |_| {})));
    }

    #[test]
    fn tiny_tables_are_left_alone() {
        let eager = |t: &mut Table| t.options = vec!["autovacuum_vacuum_scale_factor=0.01".into()];
        assert!(!fails(&cart(4_999, 5_000, eager, |_| {})));
        assert!(fails(&cart(5_000, 5_000, eager, |_| {})));
    }

    #[test]
    fn the_maximum_of_postgres_18_counts() {
        let max = |pg: &mut Postgres| {
            if let Ok(settings) = &mut pg.settings {
                settings.push(setting("autovacuum_vacuum_max_threshold", "6000"));
            }
        };
        assert!(fails(&cart(100_000, 12_001, |_| {}, max)));
        assert!(!fails(&cart(100_000, 12_001, |_| {}, |_| {})));
    }

    #[test]
    fn what_holds_vacuum_back_is_named() {
        let held = |age| {
            cart(
                100_000,
                90_000,
                |_| {},
                |pg| {
                    if let Ok(activity) = &mut pg.activity {
                        activity.oldest_xmin = Some(XminHolder { kind: "replication slot".into(), name: "old".into(), age_xids: age });
                    }
                },
            )
        };
        assert!(!findings(&CHECK, &held(99_999))[0].observed.contains("replication slot"));
        let found = findings(&CHECK, &held(100_000));
        assert!(found[0].observed.contains("The replication slot old holds them back"));
        assert!(found[0].remedies[0].text.starts_with("select pg_drop_replication_slot"));
        assert_eq!(found[0].touches[0], "slot:old");
    }

    #[test]
    fn a_young_holder_explains_what_a_vacuum_left() {
        let held = |age, minutes| {
            let vacuumed = |t: &mut Table| t.last_vacuum = Some(datetime!(2026-11-23 09:30 UTC) - time::Duration::minutes(minutes));
            let holds = |pg: &mut Postgres| {
                pg.activity.as_mut().unwrap().oldest_xmin = Some(XminHolder { kind: "session".into(), name: "pid 7".into(), age_xids: age });
            };
            findings(&CHECK, &cart(100_000, 90_000, vacuumed, holds))[0].observed.contains("holds them back")
        };
        assert!(held(1_000, 59));
        assert!(!held(999, 59));
        assert!(!held(1_000, 60));
    }

    #[test]
    fn a_server_without_autovacuum_gets_it_back() {
        let off = |pg: &mut Postgres| pg.settings.as_mut().unwrap()[0].value = "off".into();
        let found = findings(&CHECK, &cart(100_000, 90_000, |_| {}, off));
        assert!(found[0].observed.contains("off for the whole server"));
        assert!(found[0].remedies.last().unwrap().text.starts_with("alter system set autovacuum = on;"));
    }

    #[test]
    fn a_disabled_autovacuum_is_turned_on() {
        let found = findings(&CHECK, &cart(100_000, 90_000, |t| t.options = vec!["autovacuum_enabled=false".into()], |_| {}));
        assert_eq!(found[0].remedies[0].text, "vacuum (analyze) public.cart;");
        assert!(found[0].remedies[1].text.ends_with("autovacuum_enabled = true);"));
    }

    #[test]
    fn its_needs_are_exact() {
        assert_needs_are_exact(&CHECK, &cart(100_000, 90_000, |_| {}, |_| {}));
    }
}
