//! Two indexes that are the same: one of them is only written.

use std::collections::BTreeMap;

use crate::checks::medusa::is_stock_index;
use crate::checks::{Check, FINDINGS_MAX, always};
use crate::evidence::postgres::Index;
use crate::evidence::{Gap, Layer, Section, Snapshot};
use crate::finding::{Basis, Cell, Confidence, Cost, Effort, Evidence, Finding, Gain, Remedy, RemedyKind, Resource, Severity, Subject};
use crate::text;

/// Below this a twin costs nothing that can be measured.
const BYTES_MIN: u64 = 1_000_000;

pub static CHECK: Check = Check {
    id: "pg-duplicate-index",
    layer: Layer::Postgres,
    title: "An index exists twice",
    passed: "No index exists twice.",
    why: "A second index on the same columns helps no query. Each write keeps both up to date, both take disk and memory, and both are vacuumed.",
    remedy: "Drop the twin that backs no constraint. The queries use the other one from then on.",
    method: "Two valid indexes of a table are twins when method, columns, operator classes, collations, order, predicate, expressions and included columns are \
             all the same. The one that backs a constraint, is unique, or belongs to Medusa is kept. Twins that Medusa itself creates are an Info \
             from 1 MB, and your own below 1 MB likewise.",
    effort: Effort::Minutes,
    references: &["https://www.postgresql.org/docs/current/sql-dropindex.html"],
    needs: &[Section::PgIndexes],
    uses: &[Section::PgServer],
    symptom_of: &[],
    applies_to: always,
    evaluate,
};

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let pg = snapshot.pg()?;
    let mut twins: BTreeMap<String, Vec<&Index>> = BTreeMap::new();
    for index in pg.indexes()?.rows.iter().filter(|i| i.is_valid && i.is_ready && !i.is_building && i.extension.is_none()) {
        twins.entry(identity(index)).or_default().push(index);
    }
    let database_bytes = pg.server.as_ref().ok().map(|s| s.database_bytes);
    let mut findings = Vec::new();
    for mut group in twins.into_values().filter(|g| g.len() > 1) {
        group.sort_by_key(|i| (keep_rank(i), std::cmp::Reverse(i.scans.total), i.name.clone()));
        let kept = group[0];
        let is_trifle = |i: &Index| i.bytes < BYTES_MIN && is_stock_index(&i.table, &i.name);
        findings.extend(group[1..].iter().filter(|i| is_droppable(i, kept) && !is_trifle(i)).map(|spare| finding(kept, spare, database_bytes)));
    }
    findings.sort_by(|a, b| b.severity.cmp(&a.severity).then_with(|| b.cost.share.total_cmp(&a.cost.share)).then_with(|| a.subject.cmp(&b.subject)));
    findings.truncate(FINDINGS_MAX);
    Ok(findings)
}

/// Everything that makes an index what it is, uniqueness apart: a unique index serves all that its plain twin serves.
fn identity(index: &Index) -> String {
    let keys: Vec<_> = index.keys.iter().map(|k| (&k.text, k.is_expression, &k.opclass, &k.collation, k.is_descending, k.nulls_first)).collect();
    format!("{:?}", (&index.schema, &index.table, &index.method, keys, &index.include, &index.predicate))
}

/// Lower is kept.
pub(super) fn keep_rank(index: &Index) -> u8 {
    match index {
        i if i.is_primary => 0,
        i if i.constraint.is_some() || i.is_replica_identity || i.is_attached => 1,
        i if i.is_unique => 2,
        i if is_stock_index(&i.table, &i.name) => 3,
        _ => 4,
    }
}

/// A constraint's index goes only with the constraint; a unique one only where its twin refuses the same duplicates.
fn is_droppable(spare: &Index, kept: &Index) -> bool {
    let is_bound = spare.is_primary || spare.constraint.is_some() || spare.is_replica_identity || spare.is_partitioned();
    let refuses_same = kept.is_unique && (kept.nulls_not_distinct || !spare.nulls_not_distinct);
    !is_bound && (!spare.is_unique || refuses_same)
}

fn finding(kept: &Index, spare: &Index, database_bytes: Option<u64>) -> Finding {
    let share = database_bytes.filter(|b| *b > 0).map_or(0.0, |b| (spare.bytes as f64 / b as f64).min(1.0));
    let is_stock = is_stock_index(&spare.table, &spare.name);
    let is_info = is_stock || spare.bytes < BYTES_MIN;
    let columns: Vec<&str> = spare.keys.iter().map(|k| k.text.as_str()).collect();
    let mut gain = Gain::new(Basis::Measured, format!("{} of disk", text::bytes_disk(spare.bytes)));
    gain.storage_bytes = Some(spare.bytes);
    Finding {
        subject: Subject::new("index", format!("{}.{}", spare.schema, spare.name)),
        observed: format!(
            "{} and {} are the same index on {}({}); {} takes {} and is written with every row.",
            kept.name,
            spare.name,
            spare.table,
            columns.join(", "),
            spare.name,
            text::bytes_disk(spare.bytes)
        ),
        step: if is_stock {
            format!("Leave {}: Medusa's own twin of {}", spare.name, kept.name)
        } else {
            format!("Drop {}, the twin of {}", spare.name, kept.name)
        },
        evidence: vec![twins_table(kept, spare)],
        severity: if is_info { Severity::Info } else { Severity::from_share(share) },
        confidence: Confidence::High,
        confidence_because: "the definitions are the same in every part".to_owned(),
        effort: Effort::Minutes,
        cost: Cost { resource: Resource::Storage, share },
        gain: (!is_stock).then_some(gain),
        averts: None,
        remedies: if is_stock { Vec::new() } else { vec![drop_remedy(spare)] },
        verify: if is_stock {
            "Nothing to verify: Medusa creates both.".to_owned()
        } else {
            format!("Audit again: {} is gone and {} takes its scans.", spare.name, kept.name)
        },
        touches: vec![format!("table:{}.{}", spare.schema, spare.table), format!("index:{}.{}", spare.schema, spare.name)],
    }
}

fn twins_table(kept: &Index, spare: &Index) -> Evidence {
    let row = |index: &Index, word: &str| {
        vec![
            Cell::text(&index.name),
            Cell::text(word),
            Cell::number(index.bytes as f64, text::bytes_disk(index.bytes)),
            Cell::number(index.scans.total as f64, text::count(index.scans.total)),
            Cell::text(&index.definition),
        ]
    };
    Evidence::table("Twins", &["Index", "", "Size", "Scans", "Definition"], vec![row(kept, "kept"), row(spare, "spare")])
}

/// The drop with its way back.
pub(super) fn drop_remedy(index: &Index) -> Remedy {
    Remedy {
        kind: RemedyKind::Sql,
        label: "Drop the index".to_owned(),
        text: format!("drop index concurrently {};", index.full_name()),
        lock: Some(format!("SHARE UPDATE EXCLUSIVE on {}: reads and writes go on; it waits for open transactions that use the table.", index.table)),
        risk: "If a migration of your own creates this index, take it out there too, or it comes back.".to_owned(),
        undo: Some(format!("{};", concurrently(&index.definition))),
    }
}

/// `CREATE INDEX a …` → `CREATE INDEX CONCURRENTLY a …`.
fn concurrently(definition: &str) -> String {
    definition.replacen(" INDEX ", " INDEX CONCURRENTLY ", 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::fixtures::*;

    fn pair(edit: impl FnOnce(&mut Index, &mut Index)) -> Snapshot {
        let (mut a, mut b) = (index("order", "order_customer_a", &["customer_id"], None), index("order", "order_customer_b", &["customer_id"], None));
        edit(&mut a, &mut b);
        store(|pg| indexes(pg, vec![a, b]))
    }

    #[test]
    fn twins_are_named_with_the_drop_and_its_undo() {
        let found = findings(&CHECK, &pair(|_, _| {}));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].remedies[0].text, "drop index concurrently public.order_customer_b;");
        assert_eq!(
            found[0].remedies[0].undo.as_deref(),
            Some("CREATE INDEX CONCURRENTLY order_customer_b ON public.\"order\" USING btree (customer_id);")
        );
        assert_eq!(found[0].severity, Severity::Low);
    }

    #[test]
    fn any_difference_makes_two_indexes() {
        assert_passes(&CHECK, &pair(|_, b| b.keys[0].opclass = Some("text_pattern_ops".into())));
        assert_passes(&CHECK, &pair(|_, b| b.keys[0].collation = Some("C".into())));
        assert_passes(&CHECK, &pair(|_, b| b.keys[0].is_descending = true));
        assert_passes(&CHECK, &pair(|_, b| b.keys[0].nulls_first = true));
        assert_passes(&CHECK, &pair(|_, b| b.method = "hash".into()));
        assert_passes(&CHECK, &pair(|_, b| b.include = vec!["total".into()]));
        assert_passes(&CHECK, &pair(|_, b| b.predicate = Some("(deleted_at IS NULL)".into())));
        assert_passes(&CHECK, &pair(|_, b| b.is_valid = false));
        assert_passes(&CHECK, &pair(|_, b| b.is_building = true));
        assert_passes(&CHECK, &pair(|_, b| b.extension = Some("x".into())));
        assert_passes(&CHECK, &pair(|a, b| (a.is_attached, b.is_attached) = (true, true)));
    }

    #[test]
    fn what_enforces_something_is_kept() {
        for edit in [(|a: &mut Index| a.is_unique = true) as fn(&mut Index), |a| a.constraint = Some("c".into()), |a| a.is_replica_identity = true] {
            let found = findings(&CHECK, &pair(|_, b| edit(b)));
            assert_eq!(found[0].subject.name, "public.order_customer_a");
        }
        assert_passes(
            &CHECK,
            &pair(|a, b| {
                a.constraint = Some("c".into());
                b.constraint = Some("d".into());
            }),
        );
        assert_passes(
            &CHECK,
            &pair(|a, b| {
                (a.is_unique, a.constraint) = (true, Some("c".into()));
                (b.is_unique, b.nulls_not_distinct) = (true, true);
            }),
        );
    }

    #[test]
    fn medusas_own_twins_are_an_info_without_a_drop() {
        let snapshot = store(|pg| {
            indexes(
                pg,
                vec![
                    index("order_shipping", "IDX_order_shipping_item_id", &["shipping_method_id"], Some("(deleted_at IS NULL)")),
                    index("order_shipping", "IDX_order_shipping_shipping_method_id", &["shipping_method_id"], Some("(deleted_at IS NULL)")),
                ],
            );
        });
        let found = findings(&CHECK, &snapshot);
        assert_eq!(found[0].severity, Severity::Info);
        assert!(found[0].remedies.is_empty());
        let mut small = snapshot;
        if let Ok(pg) = &mut small.postgres
            && let Ok(indexes) = &mut pg.indexes
        {
            indexes.rows.iter_mut().for_each(|i| i.bytes = 999_999);
        }
        assert_passes(&CHECK, &small);
    }

    #[test]
    fn small_twins_are_an_info() {
        for (bytes, severity) in [(999_999, Severity::Info), (1_000_000, Severity::Low)] {
            assert_eq!(findings(&CHECK, &pair(|_, b| b.bytes = bytes))[0].severity, severity);
        }
    }

    #[test]
    fn its_needs_are_exact() {
        assert_needs_are_exact(&CHECK, &pair(|_, _| {}));
    }
}
