//! Tables that take far more room than their rows need.

use crate::checks::bloat::{Room, Widths, all_bytes};
use crate::checks::sessions::{holder, holder_touch, holder_words, release};
use crate::checks::{Applies, Check, FINDINGS_MAX};
use crate::evidence::postgres::{Activity, Table};
use crate::evidence::{Gap, Layer, Section, Snapshot};
use crate::finding::{Basis, Confidence, Cost, Effort, Evidence, Finding, Gain, Remedy, RemedyKind, Resource, Severity, Subject};
use crate::text;

/// A busy table keeps a fifth to a third free and reuses it: that is health.
const WASTED_SHARE_MIN: f64 = 0.50;
/// Less is not worth the lock that takes it back.
const WASTED_BYTES_MIN: u64 = 100_000_000;

pub static CHECK: Check = Check {
    id: "pg-table-bloat",
    layer: Layer::Postgres,
    title: "A table takes far more room than its rows need",
    passed: "No table takes twice the room its rows need.",
    why: "Room left by deleted and updated rows stays in the table's file. Scans read it, backups copy it and memory holds it: a table that is half empty \
          costs twice.",
    remedy: "Write the table anew, online with pg_repack or with a full vacuum at night, and let autovacuum come to it earlier.",
    method: "Tables of over 100 MB: rows times their width, by the planner's statistics of the columns, with page, row and null overhead and fillfactor, \
             against the size of the file. Reported when over 50 % and over 100 MB are empty or dead. TOAST is left out. Where the statistics are older than a \
             fifth of the rows, of an unknown age or hidden, the answer is unknown and not passed; compared with tables written anew, the estimate of \
             what they need was within 6 %, or too high.",
    effort: Effort::Hours,
    references: &[
        "https://www.postgresql.org/docs/current/pgstattuple.html",
        "https://reorg.github.io/pg_repack/",
        "https://www.postgresql.org/docs/current/routine-vacuuming.html#VACUUM-FOR-SPACE-RECOVERY",
    ],
    needs: &[Section::PgTables, Section::PgColumns, Section::PgColumnStats],
    uses: &[Section::PgActivity, Section::PgServer],
    symptom_of: &[],
    applies_to,
    evaluate,
};

fn is_judged(table: &Table) -> bool {
    table.kind != "p" && table.extension.is_none() && table.table_bytes > WASTED_BYTES_MIN
}

fn applies_to(snapshot: &Snapshot) -> Result<Applies, Gap> {
    let has_any = snapshot.pg()?.tables()?.rows.iter().any(is_judged);
    Ok(if has_any { Applies::Yes } else { Applies::No(format!("no table is larger than {}", text::bytes_disk(WASTED_BYTES_MIN))) })
}

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let pg = snapshot.pg()?;
    let widths = Widths::of(pg)?;
    let all = all_bytes(snapshot)?;
    let activity = pg.activity.as_ref().ok();
    let mut judged: Vec<&Table> = pg.tables()?.rows.iter().filter(|t| is_judged(t)).collect();
    judged.sort_by(|a, b| b.table_bytes.cmp(&a.table_bytes).then_with(|| a.full_name().cmp(&b.full_name())));
    let (mut findings, mut unknown) = (Vec::new(), None);
    for table in judged {
        match widths.table(table) {
            Ok(room) if is_bloated(&room) => findings.push(finding(snapshot, table, &room, all, activity)),
            Ok(_) => {}
            // The largest speaks for the others.
            Err(gap) => unknown = unknown.or(Some(gap)),
        }
    }
    if let (true, Some(gap)) = (findings.is_empty(), unknown) {
        return Err(gap);
    }
    findings.sort_by(|a, b| b.cost.share.total_cmp(&a.cost.share).then_with(|| a.subject.cmp(&b.subject)));
    findings.truncate(FINDINGS_MAX);
    Ok(findings)
}

fn is_bloated(room: &Room) -> bool {
    room.wasted_share() > WASTED_SHARE_MIN && room.wasted() > WASTED_BYTES_MIN
}

fn finding(snapshot: &Snapshot, table: &Table, room: &Room, all: u64, activity: Option<&Activity>) -> Finding {
    let share = if all > 0 { (room.wasted() as f64 / all as f64).min(1.0) } else { 0.0 };
    let held = holder(activity);
    let dropped = match table.dropped_columns {
        0 => String::new(),
        n => format!(" {} dropped: rows written before keep their values.", text::plural(n.into(), "column was", "columns were")),
    };
    let because = held.zip(activity).map(|(h, a)| {
        format!(
            " The {}, {} old, keeps rows that died since from being removed.",
            holder_words(a, h).trim_end_matches(','),
            text::plural(h.age_xids, "transaction", "transactions")
        )
    });
    let mut gain = Gain::new(Basis::Modelled, format!("{} of disk", text::bytes_disk(room.wasted())));
    gain.storage_bytes = Some(room.wasted());
    Finding {
        subject: Subject::new("table", format!("{}.{}", table.schema, table.name)),
        observed: format!(
            "{} takes {} and needs about {} for its {}: {} of it is empty or dead.{dropped}{}",
            table.name,
            text::bytes_disk(room.bytes),
            text::bytes_disk(room.needed),
            text::plural(table.rows().unwrap_or(0), "row", "rows"),
            text::percent(room.wasted_share()),
            because.unwrap_or_default()
        ),
        step: format!("Write {} anew", table.name),
        evidence: evidence(table, room),
        severity: Severity::from_share(share),
        confidence: if table.dropped_columns > 0 { Confidence::Low } else { Confidence::Medium },
        confidence_because: if table.dropped_columns > 0 {
            "estimated from the columns' widths; the values of dropped columns cannot be seen".to_owned()
        } else {
            "estimated from the columns' widths, with fresh statistics; pgstattuple_approx confirms it".to_owned()
        },
        effort: Effort::Hours,
        cost: Cost { resource: Resource::Storage, share },
        gain: Some(gain),
        averts: None,
        remedies: held.map(|h| release(snapshot, h)).into_iter().chain(remedies(snapshot, table, room)).collect(),
        verify: format!("Run select pg_size_pretty(pg_relation_size('{}')); it says about {}.", table.full_name(), text::bytes_disk(room.needed)),
        touches: held.map(holder_touch).into_iter().chain([format!("table:{}.{}", table.schema, table.name)]).collect(),
    }
}

fn evidence(table: &Table, room: &Room) -> Vec<Evidence> {
    let fill = crate::checks::bloat::option(&table.options, "fillfactor").unwrap_or(100.0);
    vec![
        Evidence::BeforeAfter {
            label: "Size of the table".to_owned(),
            unit: "bytes".to_owned(),
            before: room.bytes as f64,
            after: room.needed as f64,
            basis: Basis::Modelled,
        },
        Evidence::figure("Dead rows not yet vacuumed", table.dead_rows as f64, "rows", text::count(table.dead_rows)),
        Evidence::figure("Fillfactor", fill, "%", text::percent(fill / 100.0)),
        Evidence::figure("TOAST, not judged", table.toast_bytes as f64, "bytes", text::bytes_disk(table.toast_bytes)),
        Evidence::Code {
            label: "Confirm it (reads part of the table)".to_owned(),
            language: "sql".to_owned(),
            text: format!(
                "create extension if not exists pgstattuple;\nselect * from pgstattuple_approx('{}');",
                table.full_name().replace('\'', "''")
            ),
        },
    ]
}

fn remedies(snapshot: &Snapshot, table: &Table, room: &Room) -> Vec<Remedy> {
    let name = table.full_name();
    let database = snapshot.pg().and_then(|pg| pg.server()).map_or("DATABASE", |s| s.database.as_str());
    let copy = room.needed + table.index_bytes;
    vec![
        Remedy {
            kind: RemedyKind::Shell,
            label: "Write it anew while the shop goes on".to_owned(),
            text: format!("pg_repack --dbname='{database}' --table='{}.{}' --no-order --wait-timeout=60", table.schema, table.name),
            lock: Some("ACCESS EXCLUSIVE for a moment at the start and at the end; reads and writes go on in between.".to_owned()),
            risk: format!(
                "Needs the extension pg_repack on the server, a primary key or unique index without nulls on the table, and {} of free disk. It waits for \
                 transactions that are open: long ones hold it up.",
                text::bytes_disk(copy)
            ),
            undo: None,
        },
        Remedy {
            kind: RemedyKind::Sql,
            label: "Write it anew at night".to_owned(),
            text: format!("vacuum (full, analyze) {name};"),
            lock: Some(format!(
                "ACCESS EXCLUSIVE on {} until it is done: nobody reads or writes the table, about {}.",
                table.name,
                text::seconds((copy as f64 / 100e6).max(1.0))
            )),
            risk: format!("The shop stands still where it needs the table. Needs {} of free disk while it runs.", text::bytes_disk(copy)),
            undo: None,
        },
        Remedy {
            kind: RemedyKind::Sql,
            label: "Keep it from coming back".to_owned(),
            text: format!("alter table {name} set (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);"),
            lock: Some(format!("SHARE UPDATE EXCLUSIVE on {} for a moment.", table.name)),
            risk: "Vacuum runs more often and shorter.".to_owned(),
            undo: Some(format!("alter table {name} reset (autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold);")),
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::bloat::fixtures::{bloated, widths};
    use crate::checks::fixtures::*;
    use crate::evidence::Cause;
    use crate::evidence::postgres::{Postgres, XminHolder};
    use crate::finding::Outcome;

    /// A table of rows that need `needed` pages.
    fn cart(pages: u64, needed: u64, edit: impl FnOnce(&mut Table), also: impl FnOnce(&mut Postgres)) -> Snapshot {
        let mut one = bloated("cart", pages, needed);
        edit(&mut one);
        store(|pg| {
            tables(pg, vec![one]);
            widths(pg, "cart");
            also(pg);
        })
    }

    #[test]
    fn half_must_be_empty() {
        assert_passes(&CHECK, &cart(40_000, 20_000, |_| {}, |_| {}));
        assert_eq!(findings(&CHECK, &cart(40_001, 20_000, |_| {}, |_| {})).len(), 1);
    }

    #[test]
    fn a_hundred_megabytes_must_be_empty() {
        // 12,207 pages of 8,192 bytes are 99,999,744 bytes.
        assert_passes(&CHECK, &cart(13_000, 793, |_| {}, |_| {}));
        assert_eq!(findings(&CHECK, &cart(13_001, 793, |_| {}, |_| {})).len(), 1);
        assert!(matches!(CHECK.run(&cart(12_207, 1, |_| {}, |_| {})), Outcome::NotApplicable(_)));
    }

    #[test]
    fn stale_or_unread_statistics_are_unknown() {
        let remedy = |edit: fn(&mut Table)| assert_unknown(&CHECK, &cart(40_000, 100, edit, |_| {})).cause;
        for edit in [
            (|t: &mut Table| t.rows_estimate = -1.0) as fn(&mut Table),
            |t: &mut Table| t.last_analyze = None,
            |t: &mut Table| t.modified_since_analyze = t.live_rows,
        ] {
            assert_eq!(remedy(edit).remedy(), Some("analyze public.cart;"));
        }
        let hidden = |pg: &mut Postgres| {
            let stats = pg.column_stats.as_mut().unwrap();
            (stats.rows, stats.cut) = (Vec::new(), None);
        };
        let gap = assert_unknown(&CHECK, &cart(40_000, 100, |_| {}, hidden));
        assert!(matches!(&gap.cause, Cause::Denied { grant } if grant.contains("to advisor;")), "{gap:?}");
    }

    #[test]
    fn fillfactor_is_wanted_room() {
        let half = |t: &mut Table| t.options = vec!["fillfactor=50".into()];
        assert_passes(&CHECK, &cart(60_000, 20_000, half, |_| {}));
        assert_eq!(findings(&CHECK, &cart(60_000, 20_000, |_| {}, |_| {})).len(), 1);
    }

    #[test]
    fn dropped_columns_lower_the_confidence() {
        let found = findings(&CHECK, &cart(60_000, 20_000, |t| t.dropped_columns = 1, |_| {}));
        assert_eq!(found[0].confidence, Confidence::Low);
        assert!(found[0].observed.contains("1\u{a0}column was dropped"), "{}", found[0].observed);
    }

    #[test]
    fn what_holds_vacuum_back_is_named() {
        let held = |pg: &mut Postgres| {
            pg.activity.as_mut().unwrap().oldest_xmin =
                Some(XminHolder { kind: "prepared transaction".into(), name: "tx".into(), age_xids: 100_000 });
        };
        let found = findings(&CHECK, &cart(60_000, 20_000, |_| {}, held));
        assert!(found[0].observed.contains("The prepared transaction tx"), "{}", found[0].observed);
        assert_eq!(found[0].remedies[0].text, "rollback prepared 'tx';");
    }

    #[test]
    fn its_needs_are_exact() {
        assert_needs_are_exact(&CHECK, &cart(60_000, 20_000, |_| {}, |_| {}));
    }
}
