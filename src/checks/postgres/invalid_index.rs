//! An index left behind by a build that failed.

use super::duplicate_index::drop_remedy;
use crate::checks::medusa::is_stock_index;
use crate::checks::{Check, FINDINGS_MAX, always};
use crate::evidence::postgres::Index;
use crate::evidence::{Gap, Layer, Section, Snapshot};
use crate::finding::{Cell, Confidence, Cost, Effort, Evidence, Finding, Remedy, RemedyKind, Resource, Severity, Subject};
use crate::text;

pub static CHECK: Check = Check {
    id: "pg-invalid-index",
    layer: Layer::Postgres,
    title: "An index is invalid: a build of it failed",
    passed: "Every index is valid.",
    why: "A concurrent build that was cancelled or failed leaves an invalid index. No query uses it, so what it was made for still scans, and if it was to be \
          unique, duplicates are not refused. Writes may pay for it all the same.",
    remedy: "Drop it where a valid twin exists, else rebuild it.",
    method: "Indexes that pg_index marks as not valid while no CREATE INDEX or REINDEX is running on them. Indexes of partitioned tables that were made for the \
             parent alone are invalid by design and left out. One with a valid twin, or with a name that a broken-off REINDEX left, is dropped, unless it \
             backs a constraint.",
    effort: Effort::Minutes,
    references: &["https://www.postgresql.org/docs/current/sql-reindex.html#SQL-REINDEX-CONCURRENTLY"],
    needs: &[Section::PgIndexes],
    uses: &[Section::PgServer],
    symptom_of: &[],
    applies_to: always,
    evaluate,
};

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let pg = snapshot.pg()?;
    let indexes = &pg.indexes()?.rows;
    let database_bytes = pg.server.as_ref().ok().map(|s| s.database_bytes);
    let invalid = indexes.iter().filter(|i| !i.is_valid && !i.is_building && i.extension.is_none() && !i.definition.contains(" ON ONLY "));
    let mut findings: Vec<Finding> = invalid.map(|i| finding(i, indexes, database_bytes)).collect();
    findings.sort_by(|a, b| b.severity.cmp(&a.severity).then_with(|| a.subject.cmp(&b.subject)));
    findings.truncate(FINDINGS_MAX);
    Ok(findings)
}

fn finding(index: &Index, indexes: &[Index], database_bytes: Option<u64>) -> Finding {
    let twin = valid_twin(index, indexes);
    // What backs a constraint goes only with it.
    let is_leftover = !is_bound(index) && (twin.is_some() || is_rebuild_leftover(&index.name));
    // Duplicates slip in while it is invalid.
    let is_unenforced = index.is_unique && !is_leftover;
    let share = database_bytes.filter(|b| *b > 0).map_or(0.0, |b| (index.bytes as f64 / b as f64).min(1.0));
    let consequence = match (is_leftover, is_unenforced) {
        (true, _) => "it serves nothing, and writes keep it up".to_owned(),
        (false, true) => "it refuses no duplicates and serves no query".to_owned(),
        (false, false) => "it serves no query, so what it was made for still scans".to_owned(),
    };
    Finding {
        subject: Subject::new("index", format!("{}.{}", index.schema, index.name)),
        observed: format!("{} on {} ({}) is invalid: {consequence}.", index.name, index.table, text::bytes_disk(index.bytes)),
        step: if is_leftover { format!("Drop the invalid index {}", index.name) } else { format!("Rebuild the invalid index {}", index.name) },
        evidence: vec![Evidence::table("Index", &["Name", "Valid", "Definition"], rows(index, twin))],
        severity: if is_unenforced { Severity::Medium } else { Severity::Low },
        confidence: Confidence::High,
        confidence_because: "the catalogue says so, and no build is running on it".to_owned(),
        effort: Effort::Minutes,
        cost: Cost { resource: if is_unenforced { Resource::Risk } else { Resource::Storage }, share },
        gain: None,
        averts: is_unenforced.then(|| "duplicate rows".to_owned()),
        remedies: remedies(index, is_leftover),
        verify: format!("Audit again: {} is {}.", index.name, if is_leftover { "gone" } else { "valid" }),
        touches: vec![format!("table:{}.{}", index.schema, index.table), format!("index:{}.{}", index.schema, index.name)],
    }
}

fn is_bound(index: &Index) -> bool {
    index.is_primary || index.constraint.is_some() || index.is_replica_identity || index.is_attached
}

/// Names that REINDEX CONCURRENTLY gives: `_ccnew`, `_ccnew1`, `_ccold`.
fn is_rebuild_leftover(name: &str) -> bool {
    let base = name.trim_end_matches(|c: char| c.is_ascii_digit());
    base.ends_with("_ccnew") || base.ends_with("_ccold")
}

fn valid_twin<'i>(index: &Index, indexes: &'i [Index]) -> Option<&'i Index> {
    indexes.iter().find(|other| {
        other.is_valid
            && (&other.schema, &other.table, &other.method) == (&index.schema, &index.table, &index.method)
            && (&other.keys, &other.include, &other.predicate) == (&index.keys, &index.include, &index.predicate)
            && (other.is_unique || !index.is_unique)
    })
}

fn rows(index: &Index, twin: Option<&Index>) -> Vec<Vec<Cell>> {
    let row = |i: &Index| vec![Cell::text(&i.name), Cell::text(if i.is_valid { "yes" } else { "no" }), Cell::text(&i.definition)];
    std::iter::once(index).chain(twin).map(row).collect()
}

/// A unique index whose build failed on duplicates fails again: dropping it is then what can succeed.
fn remedies(index: &Index, is_leftover: bool) -> Vec<Remedy> {
    match (is_leftover, index.is_unique) {
        (true, _) => vec![drop_remedy(index)],
        (false, true) if !is_bound(index) && !is_stock_index(&index.table, &index.name) => vec![rebuild(index), drop_remedy(index)],
        (false, true) => vec![rebuild(index)],
        (false, false) => vec![rebuild(index)],
    }
}

fn rebuild(index: &Index) -> Remedy {
    let doubt = if index.is_unique { " It fails while duplicates exist: remove them first." } else { "" };
    Remedy {
        kind: RemedyKind::Sql,
        label: "Rebuild the index".to_owned(),
        text: format!("reindex index concurrently {};", index.full_name()),
        lock: Some(format!("SHARE UPDATE EXCLUSIVE on {}: reads and writes go on; it waits for open transactions.", index.table)),
        risk: format!("Needs room for a second copy while it builds.{doubt}"),
        undo: Some(format!("drop index concurrently {};", index.full_name())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::fixtures::*;

    fn broken(edit: impl FnOnce(&mut Index), twin: Option<Index>) -> Snapshot {
        let mut one = index("image", "idx_image_url", &["url"], None);
        one.is_valid = false;
        edit(&mut one);
        store(|pg| indexes(pg, std::iter::once(one).chain(twin).collect()))
    }

    #[test]
    fn an_invalid_index_is_rebuilt() {
        let found = findings(&CHECK, &broken(|_| {}, None));
        assert_eq!(found[0].remedies[0].text, "reindex index concurrently public.idx_image_url;");
        assert_eq!(found[0].severity, Severity::Low);
    }

    #[test]
    fn a_running_build_and_partitioned_parents_are_left_alone() {
        assert_passes(&CHECK, &broken(|i| i.is_valid = true, None));
        assert_passes(&CHECK, &broken(|i| i.is_building = true, None));
        assert_passes(&CHECK, &broken(|i| i.definition = "CREATE INDEX a ON ONLY public.image USING btree (url)".into(), None));
        assert_passes(&CHECK, &broken(|i| i.extension = Some("x".into()), None));
    }

    #[test]
    fn leftovers_are_dropped() {
        let twin = index("image", "idx_image_url2", &["url"], None);
        let drops = |s: &Snapshot| findings(&CHECK, s)[0].remedies[0].text.starts_with("drop index");
        assert!(drops(&broken(|_| {}, Some(twin))));
        assert!(drops(&broken(|i| i.name = "idx_image_url_ccnew1".into(), None)));
        assert!(!drops(&broken(|_| {}, Some(index("image", "b", &["rank"], None)))));
    }

    #[test]
    fn what_backs_a_constraint_or_is_medusas_is_rebuilt_and_not_dropped() {
        let twin = || index("image", "b", &["url"], None);
        for edit in [
            (|i: &mut Index| i.constraint = Some("c".into())) as fn(&mut Index),
            |i| i.is_primary = true,
            |i| i.is_replica_identity = true,
            |i| i.is_attached = true,
        ] {
            let found = findings(&CHECK, &broken(edit, Some(twin())));
            assert_eq!(found[0].remedies[0].text, "reindex index concurrently public.idx_image_url;");
            assert_eq!(found[0].remedies.len(), 1);
        }
        let stock = |i: &mut Index| (i.is_unique, i.name) = (true, "IDX_image_url_unique".into());
        assert_eq!(findings(&CHECK, &broken(stock, None))[0].remedies.len(), 1);
        let own = |i: &mut Index| i.is_unique = true;
        assert_eq!(findings(&CHECK, &broken(own, None))[0].remedies.len(), 2);
    }

    #[test]
    fn a_unique_index_that_refuses_nothing_weighs_more() {
        let found = findings(&CHECK, &broken(|i| i.is_unique = true, Some(index("image", "b", &["url"], None))));
        assert_eq!((found[0].severity, found[0].averts.as_deref()), (Severity::Medium, Some("duplicate rows")));
    }

    #[test]
    fn its_needs_are_exact() {
        assert_needs_are_exact(&CHECK, &broken(|_| {}, None));
    }
}
