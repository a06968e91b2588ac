//! A foreign key, or a module's own `*_id` column, that is looked up and has no index.

use std::collections::{BTreeMap, HashMap};

use crate::checks::index::{Cover, Wanted, by_table, covering_index, find_table, is_listed, is_soft_delete_partial, unlisted};
use crate::checks::medusa::{is_stock_bare_key, is_stock_table};
use crate::checks::new_index::NewIndex;
use crate::checks::partitions::Extent;
use crate::checks::scans::is_driven;
use crate::checks::workload::{Load, Workload, read_loads, workload};
use crate::checks::{Check, FINDINGS_MAX, always};
use crate::evidence::postgres::{Constraint, Index, Table};
use crate::evidence::{Gap, Layer, Section, Snapshot};
use crate::finding::{Cell, Confidence, Cost, Effort, Evidence, Finding, Resource, Severity, Subject};
use crate::text;

/// Smaller children are scanned in a few milliseconds.
const CHILD_BYTES_MIN: u64 = 10_000_000;
/// Of the child's blocks, a call. Less is an index at work that holds the column further back: Postgres 18 skips through such a one.
const BLOCKS_SHARE_MIN: f64 = 0.05;
/// Hard deletes of the parent since the counters were reset: below, the parent is soft-deleted as Medusa does, and nobody waits.
const PARENT_DELETES_MIN: u64 = 100;
/// With an index on live rows only deletes scan; then they must be many to be worth a word.
const PARENT_DELETES_MANY: u64 = 10_000;

pub static CHECK: Check = Check {
    id: "pg-unindexed-foreign-key",
    layer: Layer::Postgres,
    title: "A foreign key that is looked up has no index",
    passed: "The foreign keys that are looked up have indexes.",
    why: "Postgres indexes the parent's side of a foreign key and not the child's. Each lookup of the children, and each hard delete of a parent, then reads \
          the whole child table.",
    remedy: "Create an index on the child's column. Built concurrently it does not stop the shop.",
    method: "For each foreign key of a table of 10 MB or more, and each *_id column of a custom module that statements look up by, looks for a valid index \
             that begins with it. Reported when statements look the children up by it and touch a twentieth of the table a call, or the parent had 100 hard deletes. Medusa's own partial indexes on \
             live rows serve its reads: then only 10,000 hard deletes of the parent are worth an Info. Foreign keys that stock Medusa leaves unindexed \
             stay Info.",
    effort: Effort::Minutes,
    references: &["https://www.postgresql.org/docs/current/ddl-constraints.html#DDL-CONSTRAINTS-FK"],
    needs: &[Section::PgTables, Section::PgIndexes, Section::PgConstraints],
    uses: &[Section::PgStatements, Section::PgMedusa, Section::PgServer, Section::PgColumnStats],
    symptom_of: &["pg-missing-index", "pg-commerce-index"],
    applies_to: always,
    evaluate,
};

/// A child's columns without an index of their own.
struct Key<'s> {
    child: &'s Table,
    columns: Vec<String>,
    /// `None` for a column that only looks like a foreign key.
    constraint: Option<&'s Constraint>,
    parent: Option<&'s Table>,
    /// An index on live rows serves what Medusa reads.
    has_live_index: bool,
    loads: Vec<Load<'s>>,
    all_filtered: bool,
}

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let pg = snapshot.pg()?;
    let (tables, listed, constraints) = (&pg.tables()?.rows, pg.indexes()?, &pg.constraints()?.rows);
    let indexes = &listed.rows;
    let read = workload(snapshot);
    let work = read.as_ref().ok();
    let mut keys = uncovered(tables, indexes, constraints);
    if let Some(work) = work {
        attach_reads(work, tables, indexes, &mut keys);
    }
    let (known, beyond): (Vec<&Key>, Vec<&Key>) = keys.values().filter(|k| is_worth_it(k)).partition(|k| is_listed(listed, k.child));
    if known.is_empty()
        && let Some(key) = beyond.first()
    {
        return Err(unlisted(key.child));
    }
    let mut findings: Vec<Finding> = known.iter().map(|k| finding(snapshot, work, indexes, k)).collect();
    // Whether anybody looks the children up could not be seen.
    if let Err(gap) = &read
        && findings.is_empty()
        && keys.values().any(|k| k.child.table_bytes >= CHILD_BYTES_MIN && !k.has_live_index)
    {
        return Err(gap.clone());
    }
    findings.sort_by(|a, b| b.cost.share.total_cmp(&a.cost.share).then_with(|| a.subject.cmp(&b.subject)));
    findings.truncate(FINDINGS_MAX);
    Ok(findings)
}

type Keys<'s> = BTreeMap<(String, String, Vec<String>), Key<'s>>;

fn uncovered<'s>(tables: &'s [Table], indexes: &[Index], constraints: &'s [Constraint]) -> Keys<'s> {
    let by_name: HashMap<(&str, &str), &Table> = tables.iter().map(|t| ((t.schema.as_str(), t.name.as_str()), t)).collect();
    let by_table = by_table(indexes);
    let mut keys = BTreeMap::new();
    for constraint in constraints.iter().filter(|c| c.kind == "f") {
        let at = (constraint.schema.as_str(), constraint.table.as_str());
        let Some(child) = by_name.get(&at).copied().filter(|t| t.extension.is_none()) else {
            continue;
        };
        let own = by_table.get(&at).into_iter().flatten().copied();
        let Some(has_live_index) = lacks_whole_index(own, child, &constraint.columns) else { continue };
        let key = Key {
            child,
            columns: constraint.columns.clone(),
            constraint: Some(constraint),
            parent: parent_of(constraint, tables, &by_name),
            has_live_index,
            loads: Vec::new(),
            all_filtered: true,
        };
        keys.insert((child.schema.clone(), child.name.clone(), constraint.columns.clone()), key);
    }
    keys
}

fn parent_of<'s>(constraint: &Constraint, tables: &'s [Table], by_name: &HashMap<(&str, &str), &'s Table>) -> Option<&'s Table> {
    let name = constraint.parent_table.as_ref()?;
    match &constraint.parent_schema {
        Some(schema) => by_name.get(&(schema.as_str(), name.as_str())).copied(),
        None => tables.iter().find(|t| t.name == *name),
    }
}

/// `None`: an index serves it whole. Else whether one on live rows does.
fn lacks_whole_index<'i>(indexes: impl IntoIterator<Item = &'i Index> + Clone, child: &Table, columns: &[String]) -> Option<bool> {
    let wanted = Wanted { schema: &child.schema, table: &child.name, columns, is_null: &[], is_not_null: &[] };
    match covering_index(indexes.clone(), &wanted) {
        Cover::Serves(_) => None,
        Cover::OtherRows(_) => {
            let leads = |i: &&Index| i.keys.first().is_some_and(|k| columns.contains(&k.text));
            let of_child = indexes.into_iter().filter(|i| i.schema == child.schema && i.table == child.name && i.is_valid);
            Some(of_child.filter(leads).any(is_soft_delete_partial))
        }
        Cover::None => Some(false),
    }
}

/// Adds the statements that find children by the key; columns of custom modules join the keys here.
fn attach_reads<'s>(work: &Workload<'s>, tables: &'s [Table], indexes: &[Index], keys: &mut Keys<'s>) {
    for read in read_loads(work) {
        for used in &read.shape.tables {
            let Some(child) = find_table(tables, used).filter(|t| t.extension.is_none()) else { continue };
            let mut columns: Vec<&String> = used.equal.iter().collect();
            if columns.is_empty() && is_driven(&read.shape, used) {
                columns = used.joins.iter().map(|j| &j.column).collect();
            }
            for column in columns {
                let at = (child.schema.clone(), child.name.clone(), vec![column.clone()]);
                if !keys.contains_key(&at) {
                    let is_own = column.ends_with("_id") && !is_stock_table(&child.name);
                    if let Some(false) = is_own.then(|| lacks_whole_index(indexes, child, &at.2)).flatten() {
                        let columns = at.2.clone();
                        keys.insert(
                            at.clone(),
                            Key { child, columns, constraint: None, parent: None, has_live_index: false, loads: Vec::new(), all_filtered: true },
                        );
                    }
                }
                // Another of its conditions may find the rows by an index.
                let wanted = Wanted { schema: &child.schema, table: &child.name, columns: &used.equal, is_null: &used.is_null, is_not_null: &[] };
                let pages = Extent::of(tables, child).map_or(1.0, |e| e.pages());
                let is_found_otherwise =
                    read.load.blocks_a_call() < pages * BLOCKS_SHARE_MIN || matches!(covering_index(indexes, &wanted), Cover::Serves(_));
                if let Some(key) = keys.get_mut(&at).filter(|_| !is_found_otherwise) {
                    key.all_filtered &= used.is_soft_delete_filtered();
                    if key.loads.iter().all(|l| l.statement.id != read.load.statement.id) {
                        key.loads.push(read.load);
                    }
                }
            }
        }
    }
}

fn deletes(key: &Key) -> u64 {
    key.parent.map_or(0, |p| p.counters.total.deletes)
}

fn is_worth_it(key: &Key) -> bool {
    if key.child.table_bytes < CHILD_BYTES_MIN {
        return false;
    }
    if key.has_live_index {
        return deletes(key) >= PARENT_DELETES_MANY;
    }
    !key.loads.is_empty() || deletes(key) >= PARENT_DELETES_MIN
}

fn finding(snapshot: &Snapshot, work: Option<&Workload>, indexes: &[Index], key: &Key) -> Finding {
    let is_for_reads = !key.has_live_index && !key.loads.is_empty();
    // Deleting a parent looks at soft-deleted children too, so only reads may leave them out.
    let predicate = (is_for_reads && key.all_filtered && deletes(key) < PARENT_DELETES_MIN).then_some("deleted_at is null");
    let new = NewIndex::new(&key.child.schema, &key.child.name, &key.columns, predicate, indexes);
    let ms: f64 = if is_for_reads { key.loads.iter().map(|l| l.counters.total_ms).sum() } else { 0.0 };
    let share = work.map_or(0.0, |w| w.share_of(ms));
    let major = snapshot.medusa().ok().map(|m| m.major);
    let is_info = key.has_live_index || is_stock_bare_key(major, &key.child.name, &key.columns);
    let mut touches: Vec<String> = if is_for_reads { key.loads.iter().map(|l| l.touch()).collect() } else { Vec::new() };
    touches.push(format!("columns:{}", new.subject()));
    Finding {
        subject: Subject::new("columns", new.subject()),
        observed: observed(work, key, is_for_reads, share),
        step: format!("Index {}", new.short()),
        evidence: evidence(snapshot, work, key, &new),
        severity: if is_info { Severity::Info } else { Severity::from_share(share) },
        confidence: if is_for_reads { Confidence::High } else { Confidence::Medium },
        confidence_because: if is_for_reads {
            "statements look the children up by it".to_owned()
        } else {
            "hard deletes of the parent are counted, their time is not".to_owned()
        },
        effort: Effort::Minutes,
        cost: Cost { resource: Resource::DatabaseTime, share },
        gain: None,
        averts: (!is_for_reads).then(|| "slow deletes of the parent".to_owned()),
        remedies: new.remedies(snapshot, key.child.table_bytes),
        verify: format!("Audit again: this finding is gone, and {} counts scans.", new.name),
        touches,
    }
}

fn observed(work: Option<&Workload>, key: &Key, is_for_reads: bool, share: f64) -> String {
    let what = match (key.constraint, key.has_live_index) {
        (Some(_), true) => "is a foreign key with an index on live rows only",
        (Some(_), false) => "is a foreign key without an index",
        (None, _) => "is looked up like a foreign key and has no index",
    };
    let head = format!(
        "{}({}), {} in {}, {what}",
        key.child.name,
        key.columns.join(", "),
        text::plural(key.child.rows().unwrap_or(0), "row", "rows"),
        text::bytes_disk(key.child.table_bytes)
    );
    match work.filter(|_| is_for_reads) {
        Some(work) => {
            let calls: u64 = key.loads.iter().map(|l| l.counters.calls).sum();
            format!("{head}: {} {} looked it up, {} of the database time.", text::plural(calls, "call", "calls"), work.words, text::percent(share))
        }
        None => format!(
            "{head}: each of the {} of {} since the counters were reset read it whole.",
            text::plural(deletes(key), "hard delete", "hard deletes"),
            key.parent.map_or("its parent", |p| p.name.as_str())
        ),
    }
}

fn evidence(snapshot: &Snapshot, work: Option<&Workload>, key: &Key, new: &NewIndex) -> Vec<Evidence> {
    let mut evidence = vec![Evidence::figure("Child table", key.child.table_bytes as f64, "bytes", text::bytes_disk(key.child.table_bytes))];
    if let Some(constraint) = key.constraint {
        let action = match constraint.on_delete.as_deref() {
            Some("c") => "cascade",
            Some("n") => "set null",
            Some("d") => "set default",
            Some("r") => "restrict",
            _ => "no action",
        };
        evidence.push(Evidence::text("Constraint", format!("{} (on delete {action})", constraint.name)));
    }
    if key.parent.is_some() {
        evidence.push(Evidence::figure("Hard deletes of the parent", deletes(key) as f64, "rows", text::count(deletes(key))));
    }
    if let Some(work) = work.filter(|_| !key.loads.is_empty()) {
        let row = |l: &Load| {
            vec![
                Cell::text(text::cut(&text::one_line(&l.statement.text), 160)),
                Cell::number(l.counters.calls as f64, text::count(l.counters.calls)),
                Cell::number(l.counters.mean_ms(), text::millis(l.counters.mean_ms())),
                Cell::number(work.share(l), text::percent(work.share(l))),
            ]
        };
        evidence.push(Evidence::table("Statements", &["Statement", "Calls", "Mean", "Share of time"], key.loads.iter().map(row).collect()));
    }
    evidence.extend(new.costs(snapshot, key.child, None));
    evidence
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::fixtures::*;
    use crate::evidence::Listed;
    use crate::evidence::postgres::Postgres;

    const LOOKUP: &str = "select * from review where author_id = $1 and deleted_at is null";

    fn reviews(bytes: u64, deletes: u64, edit: impl FnOnce(&mut Postgres)) -> Snapshot {
        store(|pg| {
            let mut author = table("author", 5_000, 1_000_000);
            author.counters.total.deletes = deletes;
            tables(pg, vec![table("review", 100_000, bytes), author]);
            indexes(pg, vec![index("review", "review_pkey", &["id"], None)]);
            pg.constraints = Ok(Listed::whole(vec![foreign_key("review", "author_id", "author")]));
            edit(pg);
        })
    }

    fn read(pg: &mut Postgres) {
        statements(pg, vec![scanning("1", LOOKUP, 100, 400.0, 1_220), statement("2", "select * from region where id = $1", 1_000, 600.0)]);
    }

    #[test]
    fn reads_of_a_big_child_are_reported() {
        assert_passes(&CHECK, &reviews(9_999_999, 0, read));
        let found = findings(&CHECK, &reviews(10_000_000, 0, read));
        assert_eq!((found[0].severity, found[0].subject.name.as_str()), (Severity::High, "public.review(author_id)"));
        assert!(found[0].remedies[0].text.ends_with("(author_id) where deleted_at is null;"));
        assert_eq!(found[0].touches, ["statement:1", "columns:public.review(author_id)"]);
    }

    #[test]
    fn an_index_that_is_skipped_through_serves() {
        let touching = |blocks| reviews(10_000_000, 0, |pg| statements(pg, vec![scanning("1", LOOKUP, 1_000, 400.0, blocks)]));
        assert_passes(&CHECK, &touching(61));
        assert_eq!(findings(&CHECK, &touching(62)).len(), 1);
    }

    #[test]
    fn hard_deletes_of_the_parent_are_reported() {
        let elsewhere = |pg: &mut Postgres| statements(pg, vec![statement("2", "select * from region where id = $1", 1_000, 600.0)]);
        assert_passes(&CHECK, &reviews(50_000_000, 99, elsewhere));
        let found = findings(&CHECK, &reviews(50_000_000, 100, elsewhere));
        assert_eq!(found[0].severity, Severity::Low);
        assert!(found[0].remedies[0].text.ends_with("(author_id);"));
    }

    #[test]
    fn unreadable_statements_leave_a_bare_key_open() {
        let unread = |pg: &mut Postgres| pg.statements = Err(Gap::not_configured(Section::PgStatements));
        assert_eq!(assert_unknown(&CHECK, &reviews(10_000_000, 0, unread)).section, Section::PgStatements);
        assert_passes(&CHECK, &reviews(9_999_999, 0, unread));
        for predicate in [None, Some("(deleted_at IS NULL)")] {
            let indexed = reviews(50_000_000, 0, |pg| {
                indexes(pg, vec![index("review", "a", &["author_id"], predicate)]);
                unread(pg);
            });
            assert_passes(&CHECK, &indexed);
        }
        // What hard deletes show needs no statements.
        assert_eq!(findings(&CHECK, &reviews(50_000_000, 100, unread)).len(), 1);
        // Too few calls are no reading either.
        assert_unknown(&CHECK, &reviews(10_000_000, 0, |_| {}));
    }

    #[test]
    fn an_index_on_live_rows_serves_the_reads() {
        let live = |deletes| {
            reviews(50_000_000, deletes, |pg| {
                indexes(pg, vec![index("review", "a", &["author_id"], Some("(deleted_at IS NULL)"))]);
                read(pg);
            })
        };
        assert_passes(&CHECK, &live(9_999));
        assert_eq!(findings(&CHECK, &live(10_000))[0].severity, Severity::Info);
        let inverted = reviews(50_000_000, 0, |pg| {
            indexes(pg, vec![index("review", "a", &["author_id"], Some("(deleted_at IS NOT NULL)"))]);
            read(pg);
        });
        assert_eq!(findings(&CHECK, &inverted).len(), 1);
    }

    #[test]
    fn a_whole_index_ends_it() {
        assert_passes(&CHECK, &reviews(50_000_000, 100_000, |pg| indexes(pg, vec![index("review", "a", &["author_id", "id"], None)])));
    }

    #[test]
    fn columns_of_custom_modules_are_keys_too() {
        let linked = |name: &str| {
            reviews(50_000_000, 0, |pg| {
                pg.constraints = Ok(Listed::whole(Vec::new()));
                statements(pg, vec![scanning("1", &format!("select * from {name} where author_id = $1"), 1_000, 1_000.0, 10_000)]);
            })
        };
        assert_eq!(findings(&CHECK, &linked("review")).len(), 1);
        assert_passes(&CHECK, &linked("author"));
    }

    #[test]
    fn foreign_keys_that_stock_leaves_bare_stay_info() {
        let snapshot = store(|pg| {
            tables(pg, vec![table("product_tags", 900_000, 60_000_000), table("product_tag", 500, 100_000)]);
            pg.constraints = Ok(Listed::whole(vec![foreign_key("product_tags", "product_tag_id", "product_tag")]));
            statements(pg, vec![scanning("1", "select * from product_tags where product_tag_id = $1", 1_000, 1_000.0, 10_000)]);
        });
        assert_eq!(findings(&CHECK, &snapshot)[0].severity, Severity::Info);
    }

    #[test]
    fn its_needs_are_exact() {
        assert_needs_are_exact(&CHECK, &reviews(50_000_000, 100, read));
    }
}
