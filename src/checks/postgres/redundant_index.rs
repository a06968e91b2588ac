//! An index whose work a wider one does as well.

use std::collections::BTreeMap;

use super::duplicate_index::{drop_remedy, keep_rank};
use crate::checks::medusa::is_stock_index;
use crate::checks::{Check, FINDINGS_MAX, always};
use crate::evidence::postgres::{Index, IndexKey};
use crate::evidence::{Gap, Layer, Section, Snapshot};
use crate::finding::{Basis, Cell, Confidence, Cost, Effort, Evidence, Finding, Gain, Resource, Severity, Subject};
use crate::text;

/// Below this an index costs nothing that can be measured.
const BYTES_MIN: u64 = 1_000_000;
/// A narrow index that is so much smaller stays in memory where the wide one does not, and reads through it may be quicker (PgHero's users
/// found so: <https://github.com/ankane/pghero/issues/354>).
const WIDE_TIMES_MAX: f64 = 3.0;
/// From here on `pg-unused-index` asks whether a wide index that is not scanned should go: then the narrow one must stay.
const UNUSED_BYTES_MIN: u64 = 10_000_000;

pub static CHECK: Check = Check {
    id: "pg-redundant-index",
    layer: Layer::Postgres,
    title: "A wider index covers an index that is kept beside it",
    passed: "No index of your own is covered by a wider one.",
    why: "An index on (a, b) finds rows by a as well as an index on (a) does. The narrow one is then only written: each write keeps both up to date, and both \
          take disk and memory.",
    remedy: "Drop the narrow index. The queries use the wide one from then on.",
    method: "A valid btree index is covered by another valid btree of the same table when its columns are the first columns of the other, in the same or the \
             opposite order throughout, with the same operator classes, collations and predicate, and the other holds its included columns too. Never named: \
             unique indexes, those that back a constraint or the replica identity, and Medusa's own. Of a chain the widest is kept. Below 1 MB it is an Info; \
             where the wide index is more than three times as large, the severity is Low at most.",
    effort: Effort::Minutes,
    references: &["https://www.postgresql.org/docs/current/indexes-multicolumn.html"],
    needs: &[Section::PgIndexes],
    uses: &[Section::PgServer],
    symptom_of: &["pg-duplicate-index"],
    applies_to: always,
    evaluate,
};

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let pg = snapshot.pg()?;
    let mut by_table: BTreeMap<(&str, &str), Vec<&Index>> = BTreeMap::new();
    for index in pg.indexes()?.rows.iter().filter(|i| is_comparable(i)) {
        by_table.entry((&index.schema, &index.table)).or_default().push(index);
    }
    let database_bytes = pg.server.as_ref().ok().map(|s| s.database_bytes);
    let mut findings = Vec::new();
    for indexes in by_table.values() {
        for narrow in indexes.iter().filter(|i| is_droppable(i)) {
            if let Some(wide) = keeper(narrow, indexes) {
                findings.push(finding(narrow, wide, database_bytes));
            }
        }
    }
    findings.sort_by(|a, b| b.severity.cmp(&a.severity).then_with(|| b.cost.share.total_cmp(&a.cost.share)).then_with(|| a.subject.cmp(&b.subject)));
    findings.truncate(FINDINGS_MAX);
    Ok(findings)
}

fn is_comparable(index: &Index) -> bool {
    index.method == "btree" && index.is_valid && index.is_ready && !index.is_building && index.extension.is_none() && !index.keys.is_empty()
}

fn is_droppable(index: &Index) -> bool {
    !is_bound(index) && !index.is_partitioned() && !is_stock_index(&index.table, &index.name)
}

/// It refuses duplicates, backs a constraint or tells rows apart for replication.
fn is_bound(index: &Index) -> bool {
    index.is_unique || index.is_primary || index.constraint.is_some() || index.is_replica_identity
}

/// The index that takes over: of all that cover the narrow one, one that is covered by none, so that a chain ends at the one that stays.
fn keeper<'i>(narrow: &Index, indexes: &[&'i Index]) -> Option<&'i Index> {
    let covers: Vec<&Index> = indexes.iter().copied().filter(|wide| is_covered(narrow, wide) && !is_in_doubt(wide, narrow)).collect();
    let lasting = |wide: &&&Index| !is_droppable(wide) || !indexes.iter().any(|other| is_covered(wide, other) && !is_in_doubt(other, wide));
    covers.iter().filter(lasting).min_by_key(|i| (keep_rank(i), i.bytes, i.name.as_str())).copied()
}

/// `pg-unused-index` will name it once the counters are old enough; it must not count as cover for one that is used.
fn is_in_doubt(wide: &Index, narrow: &Index) -> bool {
    let may_go = !is_bound(wide) && !is_stock_index(&wide.table, &wide.name);
    may_go && wide.scans.total == 0 && narrow.scans.total > 0 && wide.bytes >= UNUSED_BYTES_MIN
}

/// Whether the wide index serves all that the narrow one serves. Of two that cover each other (one ascending, one descending) the
/// lesser is covered; exact twins are the business of `pg-duplicate-index`.
fn is_covered(narrow: &Index, wide: &Index) -> bool {
    if (&narrow.schema, &narrow.name) == (&wide.schema, &wide.name) || narrow.predicate != wide.predicate || narrow.keys.len() > wide.keys.len() {
        return false;
    }
    let holds = |column: &String| wide.include.contains(column) || wide.keys.iter().any(|k| !k.is_expression && k.text == *column);
    if !starts_with(&wide.keys, &narrow.keys) || !narrow.include.iter().all(holds) {
        return false;
    }
    let is_same_width = narrow.keys.len() == wide.keys.len() && wide.include.len() == narrow.include.len();
    if !is_same_width {
        return true;
    }
    // The same columns both ways: a twin when the order is the same too.
    narrow.keys != wide.keys && rank(narrow) > rank(wide)
}

fn rank(index: &Index) -> (u8, std::cmp::Reverse<u64>, &str) {
    (keep_rank(index), std::cmp::Reverse(index.scans.total), &index.name)
}

/// Whether the keys begin with these, all in the same order or all in the opposite one: an index is read in both directions.
fn starts_with(keys: &[IndexKey], first: &[IndexKey]) -> bool {
    let pairs = || keys.iter().zip(first);
    let same_column =
        |(a, b): (&IndexKey, &IndexKey)| (&a.text, a.is_expression, &a.opclass, &a.collation) == (&b.text, b.is_expression, &b.opclass, &b.collation);
    let same_order = |(a, b): (&IndexKey, &IndexKey)| (a.is_descending, a.nulls_first) == (b.is_descending, b.nulls_first);
    let opposite = |(a, b): (&IndexKey, &IndexKey)| a.is_descending != b.is_descending && a.nulls_first != b.nulls_first;
    pairs().all(same_column) && (pairs().all(same_order) || pairs().all(opposite))
}

fn finding(narrow: &Index, wide: &Index, database_bytes: Option<u64>) -> Finding {
    let share = database_bytes.filter(|b| *b > 0).map_or(0.0, |b| (narrow.bytes as f64 / b as f64).min(1.0));
    let is_much_wider = wide.bytes as f64 > narrow.bytes as f64 * WIDE_TIMES_MAX;
    let severity = match narrow.bytes {
        ..BYTES_MIN => Severity::Info,
        _ if is_much_wider => Severity::Low,
        _ => Severity::from_share(share),
    };
    let (confidence, because) = if is_much_wider {
        (Confidence::Medium, "it covers the columns, but is so much larger that reads by the narrow one may be quicker while that fits into memory")
    } else {
        (Confidence::High, "columns, order, operator classes and predicate agree")
    };
    let mut gain = Gain::new(Basis::Measured, format!("{} of disk", text::bytes_disk(narrow.bytes)));
    gain.storage_bytes = Some(narrow.bytes);
    Finding {
        subject: Subject::new("index", format!("{}.{}", narrow.schema, narrow.name)),
        observed: format!(
            "{} on {}({}) is covered by {} on ({}); it takes {} and is written with every row.",
            narrow.name,
            narrow.table,
            columns(narrow),
            wide.name,
            columns(wide),
            text::bytes_disk(narrow.bytes)
        ),
        step: format!("Drop {}, which {} covers", narrow.name, wide.name),
        evidence: vec![both(narrow, wide)],
        severity,
        confidence,
        confidence_because: because.to_owned(),
        effort: Effort::Minutes,
        cost: Cost { resource: Resource::Storage, share },
        gain: Some(gain),
        averts: None,
        remedies: vec![drop_remedy(narrow)],
        verify: format!("Audit again: {} is gone and {} takes its scans.", narrow.name, wide.name),
        touches: vec![format!("table:{}.{}", narrow.schema, narrow.table), format!("index:{}.{}", narrow.schema, narrow.name)],
    }
}

/// `status, created_at desc include (total)`.
fn columns(index: &Index) -> String {
    let keys: Vec<String> = index.keys.iter().map(|k| if k.is_descending { format!("{} desc", k.text) } else { k.text.clone() }).collect();
    let include = if index.include.is_empty() { String::new() } else { format!(" include {}", index.include.join(", ")) };
    format!("{}{include}", keys.join(", "))
}

fn both(narrow: &Index, wide: &Index) -> Evidence {
    let row = |index: &Index, word: &str| {
        vec![
            Cell::text(&index.name),
            Cell::text(word),
            Cell::number(index.bytes as f64, text::bytes_disk(index.bytes)),
            Cell::number(index.scans.total as f64, text::count(index.scans.total)),
            Cell::text(&index.definition),
        ]
    };
    Evidence::table("Indexes", &["Index", "", "Size", "Scans", "Definition"], vec![row(wide, "kept"), row(narrow, "covered")])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::fixtures::*;

    fn of(rows: Vec<Index>) -> Snapshot {
        store(|pg| indexes(pg, rows))
    }

    fn pair(edit: impl FnOnce(&mut Index, &mut Index)) -> Snapshot {
        let mut narrow = index("order", "order_region", &["region_id"], None);
        let mut wide = index("order", "order_region_created", &["region_id", "created_at"], None);
        edit(&mut narrow, &mut wide);
        of(vec![narrow, wide])
    }

    fn named(snapshot: &Snapshot) -> Vec<String> {
        findings(&CHECK, snapshot).into_iter().map(|f| f.subject.name).collect()
    }

    #[test]
    fn a_prefix_is_named_with_the_drop_and_its_undo() {
        let found = findings(&CHECK, &pair(|_, _| {}));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].remedies[0].text, "drop index concurrently public.order_region;");
        assert!(found[0].remedies[0].undo.as_deref().is_some_and(|u| u.starts_with("CREATE INDEX CONCURRENTLY order_region ON")));
        assert!(
            found[0].observed.contains("order(region_id) is covered by order_region_created on (region_id, created_at)"),
            "{}",
            found[0].observed
        );
        assert_eq!((found[0].severity, found[0].confidence), (Severity::Low, Confidence::High));
    }

    #[test]
    fn any_difference_in_the_prefix_keeps_both() {
        assert_passes(&CHECK, &pair(|n, _| n.keys[0].text = "created_at".into()));
        assert_passes(&CHECK, &pair(|n, _| n.keys[0].opclass = Some("text_pattern_ops".into())));
        assert_passes(&CHECK, &pair(|n, _| n.keys[0].collation = Some("C".into())));
        assert_passes(&CHECK, &pair(|n, _| n.keys[0] = key("lower(region_id)")));
        assert_passes(&CHECK, &pair(|n, _| n.method = "hash".into()));
        assert_passes(&CHECK, &pair(|_, w| w.method = "gin".into()));
        assert_passes(&CHECK, &pair(|n, _| n.predicate = Some("(deleted_at IS NULL)".into())));
        assert_passes(&CHECK, &pair(|_, w| w.predicate = Some("(deleted_at IS NULL)".into())));
        assert_passes(&CHECK, &pair(|_, w| w.is_valid = false));
        assert_passes(&CHECK, &pair(|_, w| w.is_building = true));
        assert_passes(&CHECK, &pair(|_, w| w.schema = "shop".into()));
        assert_passes(&CHECK, &pair(|n, _| n.extension = Some("x".into())));
        assert_passes(&CHECK, &pair(|n, _| n.is_attached = true));
        assert_passes(&CHECK, &pair(|n, _| n.definition = "CREATE INDEX a ON ONLY public.\"order\" USING btree (region_id)".into()));
        let predicate = Some("(deleted_at IS NULL)".to_owned());
        assert_eq!(named(&pair(|n, w| (n.predicate, w.predicate) = (predicate.clone(), predicate))), ["public.order_region"]);
    }

    #[test]
    fn what_enforces_something_is_never_named() {
        for edit in [
            (|i: &mut Index| i.is_unique = true) as fn(&mut Index),
            |i| (i.is_unique, i.nulls_not_distinct) = (true, true),
            |i| i.is_primary = true,
            |i| i.constraint = Some("c".into()),
            |i| i.is_replica_identity = true,
        ] {
            assert_passes(&CHECK, &pair(|n, _| edit(n)));
            assert_eq!(named(&pair(|_, w| edit(w))), ["public.order_region"], "the wide one may enforce what it likes");
        }
    }

    #[test]
    fn an_order_counts_when_neither_direction_of_the_wide_one_gives_it() {
        let descending = |k: &mut IndexKey| (k.is_descending, k.nulls_first) = (true, true);
        assert_eq!(named(&pair(|n, _| descending(&mut n.keys[0]))), ["public.order_region"], "read backwards");
        assert_passes(&CHECK, &pair(|n, _| n.keys[0].nulls_first = true));
        assert_passes(&CHECK, &pair(|n, _| n.keys[0].is_descending = true));
        let two = |edit: fn(&mut Index)| {
            let mut narrow = index("order", "a", &["region_id", "created_at"], None);
            edit(&mut narrow);
            of(vec![narrow, index("order", "b", &["region_id", "created_at", "id"], None)])
        };
        assert_eq!(named(&two(|_| {})), ["public.a"]);
        assert_passes(&CHECK, &two(|i| (i.keys[1].is_descending, i.keys[1].nulls_first) = (true, true)));
    }

    #[test]
    fn one_direction_of_a_column_is_enough() {
        let mut down = index("order", "created_down", &["created_at"], None);
        (down.keys[0].is_descending, down.keys[0].nulls_first) = (true, true);
        let up = index("order", "created_up", &["created_at"], None);
        assert_eq!(named(&of(vec![down.clone(), up.clone()])), ["public.created_up"], "the first by name is kept");
        down.scans.total = 0;
        assert_eq!(named(&of(vec![down, up])), ["public.created_down"], "the one that is used is kept");
    }

    #[test]
    fn included_columns_must_be_held_too() {
        let with = |narrow: &[&str], wide: &[&str]| {
            let own = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
            let mut a = index("order", "a", &["status"], None);
            let mut b = index("order", "b", &["status"], None);
            (a.include, b.include) = (own(narrow), own(wide));
            of(vec![a, b])
        };
        assert_eq!(named(&with(&[], &["total"])), ["public.a"]);
        assert_eq!(named(&with(&["total"], &["total", "note"])), ["public.a"]);
        assert_passes(&CHECK, &with(&["total"], &["note"]));
        assert_passes(&CHECK, &with(&[], &[]));
        assert_eq!(named(&pair(|n, _| n.include = vec!["created_at".into()])), ["public.order_region"]);
    }

    #[test]
    fn of_a_chain_the_widest_is_kept() {
        let chain = of(vec![
            index("order", "a", &["x"], None),
            index("order", "ab", &["x", "y"], None),
            index("order", "abc", &["x", "y", "z"], None),
            index("order", "abd", &["x", "y", "w"], None),
        ]);
        let found = findings(&CHECK, &chain);
        let named: Vec<(&str, bool)> = found.iter().map(|f| (f.subject.name.as_str(), f.step.ends_with("which abc covers"))).collect();
        assert_eq!(named, [("public.a", true), ("public.ab", true)]);
    }

    #[test]
    fn medusas_own_are_never_named_and_may_cover() {
        let own = |n: &str, w: &str| of(vec![index("image", n, &["product_id"], None), index("image", w, &["product_id", "rank"], None)]);
        assert_passes(&CHECK, &own("IDX_image_product_id", "IDX_product_image_rank"));
        assert_passes(&CHECK, &own("IDX_image_product_id", "mine"));
        assert_eq!(named(&own("mine", "IDX_product_image_rank")), ["public.mine"]);
    }

    #[test]
    fn a_wide_index_that_nothing_scans_is_no_cover_for_one_in_use() {
        let idle = |bytes: u64, scans: u64| {
            pair(|n, w| {
                n.scans.total = scans;
                (w.scans.total, w.bytes) = (0, bytes);
            })
        };
        assert_passes(&CHECK, &idle(10_000_000, 1));
        assert_eq!(named(&idle(9_999_999, 1)), ["public.order_region"]);
        assert_eq!(named(&idle(10_000_000, 0)), ["public.order_region"]);
    }

    #[test]
    fn size_decides_the_severity() {
        let sized = |narrow: u64, wide: u64| findings(&CHECK, &pair(|n, w| (n.bytes, w.bytes) = (narrow, wide)))[0].clone();
        assert_eq!(sized(999_999, 2_000_000).severity, Severity::Info);
        assert_eq!(sized(1_000_000, 2_000_000).severity, Severity::Low);
        assert_eq!(sized(250_000_000, 750_000_000).severity, Severity::Medium);
        let wider = sized(250_000_000, 750_000_001);
        assert_eq!((wider.severity, wider.confidence), (Severity::Low, Confidence::Medium));
    }

    #[test]
    fn its_needs_are_exact() {
        assert_needs_are_exact(&CHECK, &pair(|_, _| {}));
    }
}
