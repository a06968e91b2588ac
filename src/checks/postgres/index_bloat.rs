//! Btree indexes that take far more room than their entries need.

use crate::checks::bloat::{Room, Widths, all_bytes};
use crate::checks::{Applies, Check, FINDINGS_MAX};
use crate::evidence::postgres::Index;
use crate::evidence::{Gap, Layer, Section, Snapshot};
use crate::finding::{Basis, Confidence, Cost, Effort, Evidence, Finding, Gain, Remedy, RemedyKind, Resource, Severity, Subject};
use crate::text;

/// A btree that is written in random order settles at 70 % full, a quarter more room than when built: half is far past that.
const WASTED_SHARE_MIN: f64 = 0.50;
const WASTED_BYTES_MIN: u64 = 100_000_000;

pub static CHECK: Check = Check {
    id: "pg-index-bloat",
    layer: Layer::Postgres,
    title: "An index takes far more room than its entries need",
    passed: "No index takes twice the room its entries need.",
    why: "Pages of an index that lost most of their entries stay in it. It is read from disk more often, crowds the tables out of memory and makes backups \
          larger.",
    remedy: "Rebuild the index concurrently; the shop goes on.",
    method: "Valid btree indexes of over 100 MB: their own row count times the width of their columns, by the planner's statistics, with page overhead and \
             fillfactor, against their size. Keys that repeat a hundred times are taken as stored once (Postgres 13), others as if not, so that bloat is missed \
             rather than invented. Reported when over 50 % and over 100 MB would go; never above Medium, since it is an estimate. Stale or hidden \
             statistics make it unknown.",
    effort: Effort::Minutes,
    references: &[
        "https://www.postgresql.org/docs/current/routine-reindex.html",
        "https://www.postgresql.org/docs/current/sql-reindex.html#SQL-REINDEX-CONCURRENTLY",
    ],
    needs: &[Section::PgTables, Section::PgIndexes, Section::PgColumns, Section::PgColumnStats],
    uses: &[Section::PgServer],
    symptom_of: &[],
    applies_to,
    evaluate,
};

fn is_judged(index: &Index) -> bool {
    index.method == "btree" && index.is_valid && index.is_ready && !index.is_building && index.extension.is_none() && index.bytes > WASTED_BYTES_MIN
}

fn applies_to(snapshot: &Snapshot) -> Result<Applies, Gap> {
    let has_any = snapshot.pg()?.indexes()?.rows.iter().any(is_judged);
    Ok(if has_any { Applies::Yes } else { Applies::No(format!("no btree index is larger than {}", text::bytes_disk(WASTED_BYTES_MIN))) })
}

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let pg = snapshot.pg()?;
    let (tables, widths, all) = (&pg.tables()?.rows, Widths::of(pg)?, all_bytes(snapshot)?);
    let mut judged: Vec<&Index> = pg.indexes()?.rows.iter().filter(|i| is_judged(i)).collect();
    judged.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.full_name().cmp(&b.full_name())));
    let (mut findings, mut unknown) = (Vec::new(), None);
    for index in judged {
        let Some(table) = tables.iter().find(|t| t.schema == index.schema && t.name == index.table) else { continue };
        match widths.index(table, index) {
            Ok(room) if is_bloated(&room) => findings.push(finding(index, &room, all)),
            Ok(_) => {}
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

fn finding(index: &Index, room: &Room, all: u64) -> Finding {
    let share = if all > 0 { (room.wasted() as f64 / all as f64).min(1.0) } else { 0.0 };
    let mut gain = Gain::new(Basis::Modelled, format!("{} of disk", text::bytes_disk(room.wasted())));
    gain.storage_bytes = Some(room.wasted());
    Finding {
        subject: Subject::new("index", format!("{}.{}", index.schema, index.name)),
        observed: format!(
            "{} on {} takes {} and would need about {} rebuilt: {} less.",
            index.name,
            index.table,
            text::bytes_disk(room.bytes),
            text::bytes_disk(room.needed),
            text::percent(room.wasted_share())
        ),
        step: format!("Rebuild {}", index.name),
        evidence: evidence(index, room),
        severity: Severity::from_share(share).min(Severity::Medium),
        confidence: if index.predicate.is_some() { Confidence::Low } else { Confidence::Medium },
        confidence_because: if index.predicate.is_some() {
            "estimated with the widths of all rows, while the index has some of them".to_owned()
        } else {
            "estimated from the columns' widths, with fresh statistics; pgstatindex confirms it".to_owned()
        },
        effort: Effort::Minutes,
        cost: Cost { resource: Resource::Storage, share },
        gain: Some(gain),
        averts: None,
        remedies: vec![rebuild(index, room)],
        verify: format!("Run select pg_size_pretty(pg_relation_size('{}')); it says about {}.", index.full_name(), text::bytes_disk(room.needed)),
        touches: vec![format!("table:{}.{}", index.schema, index.table)],
    }
}

fn evidence(index: &Index, room: &Room) -> Vec<Evidence> {
    vec![
        Evidence::BeforeAfter {
            label: "Size of the index".to_owned(),
            unit: "bytes".to_owned(),
            before: room.bytes as f64,
            after: room.needed as f64,
            basis: Basis::Modelled,
        },
        Evidence::figure("Entries", index.rows_estimate.max(0.0), "entries", text::count(index.rows_estimate.max(0.0) as u64)),
        Evidence::Code { label: "Index".to_owned(), language: "sql".to_owned(), text: index.definition.clone() },
        Evidence::Code {
            label: "Confirm it (reads the index; built anew, the density is 90)".to_owned(),
            language: "sql".to_owned(),
            text: format!(
                "create extension if not exists pgstattuple;\nselect avg_leaf_density, deleted_pages, empty_pages from pgstatindex('{}');",
                index.full_name().replace('\'', "''")
            ),
        },
    ]
}

fn rebuild(index: &Index, room: &Room) -> Remedy {
    Remedy {
        kind: RemedyKind::Sql,
        label: "Rebuild it while the shop goes on".to_owned(),
        text: format!("reindex index concurrently {};", index.full_name()),
        lock: Some(format!(
            "SHARE UPDATE EXCLUSIVE on {}: reads and writes go on. It reads the table twice, about {}.",
            index.table,
            text::seconds((room.needed as f64 / 20e6).max(1.0))
        )),
        risk: format!(
            "Needs {} of free disk, and waits for transactions that are open. Run it outside a transaction. If it is stopped, it leaves an invalid index whose \
             name ends in _ccnew: drop that with drop index concurrently.",
            text::bytes_disk(room.needed)
        ),
        undo: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::bloat::fixtures::{bloated, widths};
    use crate::checks::fixtures::*;
    use crate::evidence::postgres::Postgres;
    use crate::finding::Outcome;

    /// Unique keys of 32 bytes need 44 bytes each: 166 entries a page that is filled to 90 %.
    fn keys(bytes: u64, entries: u64, edit: impl FnOnce(&mut Index), also: impl FnOnce(&mut Postgres)) -> Snapshot {
        let mut one = index("cart", "cart_pkey", &["id"], None);
        (one.bytes, one.rows_estimate, one.is_unique) = (bytes, entries as f64, true);
        edit(&mut one);
        store(|pg| {
            tables(pg, vec![bloated("cart", 100, 100)]);
            widths(pg, "cart");
            indexes(pg, vec![one]);
            also(pg);
        })
    }

    fn needed(entries: u64) -> u64 {
        let snapshot = keys(1_000_000_000, entries, |_| {}, |_| {});
        let pg = snapshot.pg().unwrap();
        let room = Widths::of(pg).unwrap().index(&pg.tables().unwrap().rows[0], &pg.indexes().unwrap().rows[0]).unwrap();
        room.needed
    }

    #[test]
    fn half_must_be_empty() {
        let needed = needed(4_000_000);
        assert!((190_000_000..200_000_000).contains(&needed), "{needed}");
        assert_passes(&CHECK, &keys(needed * 2, 4_000_000, |_| {}, |_| {}));
        assert_eq!(findings(&CHECK, &keys(needed * 2 + 8_192, 4_000_000, |_| {}, |_| {})).len(), 1);
    }

    #[test]
    fn a_hundred_megabytes_must_be_empty() {
        let needed = needed(100_000);
        assert_passes(&CHECK, &keys(needed + 100_000_000, 100_000, |_| {}, |_| {}));
        assert_eq!(findings(&CHECK, &keys(needed + 100_000_001, 100_000, |_| {}, |_| {})).len(), 1);
        assert!(matches!(CHECK.run(&keys(100_000_000, 1, |_| {}, |_| {})), Outcome::NotApplicable(_)));
    }

    #[test]
    fn what_cannot_be_told_is_left_out() {
        for edit in
            [(|i: &mut Index| i.method = "gin".into()) as fn(&mut Index), |i: &mut Index| i.is_valid = false, |i: &mut Index| i.is_building = true]
        {
            assert!(matches!(CHECK.run(&keys(1_000_000_000, 1, edit, |_| {})), Outcome::NotApplicable(_)));
        }
    }

    #[test]
    fn stale_statistics_are_unknown() {
        let stale = |pg: &mut Postgres| pg.tables.as_mut().unwrap().rows[0].last_analyze = None;
        assert_eq!(assert_unknown(&CHECK, &keys(1_000_000_000, 1, |_| {}, stale)).cause.remedy(), Some("analyze public.cart;"));
        let uncounted = |i: &mut Index| (i.rows_estimate, i.predicate) = (-1.0, Some("(deleted_at IS NULL)".into()));
        assert_unknown(&CHECK, &keys(1_000_000_000, 1, uncounted, |_| {}));
    }

    #[test]
    fn an_estimate_is_never_high_and_the_rebuild_is_concurrent() {
        let found = findings(&CHECK, &keys(1_000_000_000, 100_000, |_| {}, |_| {}));
        assert_eq!(found[0].severity, Severity::Medium);
        assert_eq!(found[0].remedies[0].text, "reindex index concurrently public.cart_pkey;");
        let partial = findings(&CHECK, &keys(1_000_000_000, 100_000, |i| i.predicate = Some("(deleted_at IS NULL)".into()), |_| {}));
        assert_eq!(partial[0].confidence, Confidence::Low);
    }

    #[test]
    fn its_needs_are_exact() {
        assert_needs_are_exact(&CHECK, &keys(1_000_000_000, 100_000, |_| {}, |_| {}));
    }
}
