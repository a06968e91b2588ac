//! `app-soft-deleted-rows`: a large table consists of deleted rows to a good part.

use crate::checks::counts::{Counts, counts, share, storage_severity};
use crate::checks::{Check, FINDINGS_MAX, always, purge};
use crate::evidence::postgres::{Column, ColumnStats, Constraint, Postgres, Table, quote};
use crate::evidence::{Cause, Gap, Layer, Section, Snapshot};
use crate::finding::{Basis, Cell, Confidence, Cost, Effort, Evidence, Finding, Gain, Remedy, RemedyKind, Resource, Severity, Subject};
use crate::text;

/// Below, a table costs nothing worth the risk of deleting from it. Heap, indexes and TOAST.
const BYTES_MIN: u64 = 100_000_000;
/// Of the rows. Medusa deletes nothing for good, so that some share is normal.
const DELETED_SHARE_MIN: f64 = 0.30;
/// Days a deleted row is kept before the remedy takes it.
const DAYS: u32 = 180;

pub static CHECK: Check = Check {
    id: "app-soft-deleted-rows",
    layer: Layer::App,
    title: "A large table consists of deleted rows to a good part",
    passed: "Deleted rows are a small part of every large table.",
    why: "Medusa deletes by writing a date into deleted_at and keeps the row. Imports that delete and create instead of updating leave several dead copies of the catalogue \
          behind; tables, full indexes and backups carry them, and every scan reads them.",
    remedy: "Delete for good what was deleted half a year ago, where nothing refers to it any more, and let imports update instead of deleting and creating.",
    method: "Of the tables of 100 MB or more with a column deleted_at: the share of rows in which it is set, counted, by a sample of pages, or from the planner's statistics. \
             Speaks from 30 %.",
    effort: Effort::Hours,
    references: &["https://docs.medusajs.com/learn/fundamentals/data-models/manage-relationships"],
    needs: &[
        Section::PgServer,
        Section::PgTables,
        Section::PgIndexes,
        Section::PgConstraints,
        Section::PgColumns,
        Section::PgColumnStats,
        Section::PgMedusa,
        Section::PgRowCounts,
    ],
    uses: &[],
    symptom_of: &[],
    applies_to: always,
    evaluate,
};

/// What the books of a shop consist of: kept for the tax office and for disputes, so no delete is offered.
const BOOKS: [&str; 14] = [
    "order",
    "payment",
    "refund",
    "capture",
    "return",
    "claim",
    "exchange",
    "swap",
    "customer",
    "invoice",
    "fulfillment",
    "account_holder",
    "gift_card",
    "line_item",
];

fn is_of_the_books(table: &str) -> bool {
    BOOKS.iter().any(|b| table == *b || table.strip_prefix(b).is_some_and(|rest| rest.starts_with('_')))
}

/// The deleted share of a table and where it is known from.
struct Deleted {
    share: f64,
    confidence: Confidence,
    because: String,
}

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let counts = counts(snapshot)?;
    let pg = snapshot.pg()?;
    pg.server()?;
    pg.indexes()?;
    let (constraints, columns, stats) = (&pg.constraints()?.rows, &pg.columns()?.rows, &pg.column_stats()?.rows);
    let soft = |t: &&Table| t.schema == counts.medusa.schema && t.total_bytes() >= BYTES_MIN && has_deleted_at(columns, t);
    let mut findings = Vec::new();
    let mut blind = None;
    for table in pg.tables()?.rows.iter().filter(|t| t.kind == "r").filter(soft) {
        match deleted(&counts, stats, table) {
            Some(d) if d.share >= DELETED_SHARE_MIN => findings.push(finding(snapshot, &counts, constraints, table, &d)?),
            Some(_) => {}
            None => blind = blind.or(Some(table)),
        }
    }
    if let (true, Some(table)) = (findings.is_empty(), blind) {
        return Err(unseen(pg, table)?);
    }
    findings.sort_by(|a, b| b.cost.share.total_cmp(&a.cost.share).then_with(|| a.subject.cmp(&b.subject)));
    findings.truncate(FINDINGS_MAX);
    Ok(findings)
}

fn has_deleted_at(columns: &[Column], table: &Table) -> bool {
    columns.iter().any(|c| c.schema == table.schema && c.table == table.name && c.name == "deleted_at")
}

fn deleted(counts: &Counts<'_>, stats: &[ColumnStats], table: &Table) -> Option<Deleted> {
    if let (Some(total), Some(deleted)) = (counts.find(&table.name, "total"), counts.find(&table.name, "soft_deleted"))
        && (!deleted.is_estimate || deleted.pages.is_some())
    {
        let (confidence, because) = deleted.confidence();
        return Some(Deleted { share: share(deleted.rows, total.rows), confidence, because });
    }
    let column = stats.iter().find(|c| c.schema == table.schema && c.table == table.name && c.column == "deleted_at")?;
    let is_fresh = table.modified_since_analyze as f64 <= 0.1 * table.rows_estimate.max(0.0);
    let (confidence, because) = if is_fresh {
        (Confidence::Medium, "from the planner's statistics, which are fresh")
    } else {
        (Confidence::Low, "from the planner's statistics, which are stale")
    };
    Some(Deleted { share: (1.0 - column.null_fraction).clamp(0.0, 1.0), confidence, because: because.to_owned() })
}

/// Why a large table cannot be judged.
fn unseen(pg: &Postgres, table: &Table) -> Result<Gap, Gap> {
    let name = table.full_name();
    if table.rows_estimate < 0.0 {
        let cause = Cause::Absent { feature: format!("statistics of {name}"), remedy: format!("analyze {name};") };
        return Ok(Gap::new(Section::PgColumnStats, cause, format!("{} was never analyzed, so its share of deleted rows is not known.", table.name)));
    }
    let role = pg.server()?.role.replace('"', "\"\"");
    let cause = Cause::Denied { grant: format!("grant select (deleted_at) on {name} to \"{role}\";") };
    Ok(Gap::new(Section::PgColumnStats, cause, format!("The role may not read the statistics of {}.deleted_at.", table.name)))
}

fn finding(snapshot: &Snapshot, counts: &Counts<'_>, constraints: &[Constraint], table: &Table, deleted: &Deleted) -> Result<Finding, Gap> {
    let bytes = (table.total_bytes() as f64 * deleted.share) as u64;
    let storage = counts.storage_share(bytes)?;
    let rows = table.rows().unwrap_or(0);
    let gone = (rows as f64 * deleted.share) as u64;
    let mut gain = Gain::new(Basis::Modelled, format!("{} used again", text::bytes_disk(bytes)));
    gain.storage_bytes = Some(bytes);
    let children = children(constraints, table);
    let is_kept = is_of_the_books(&table.name);
    let mut remedies = vec![look_first(table)];
    if !is_kept {
        remedies.extend(purge::lookup_indexes(snapshot, &table.schema, &[&table.name])?);
        remedies.extend(delete(snapshot, table, constraints, &children)?);
        remedies.push(purge::vacuum(&table.full_name()));
    }
    Ok(Finding {
        subject: Subject::new("table", format!("{}.{}", table.schema, table.name)),
        observed: format!(
            "{} of the {} in {} are deleted but kept: about {}, {} of the database.",
            text::percent(deleted.share),
            text::plural(rows, "row", "rows"),
            table.name,
            text::bytes_disk(bytes),
            text::percent(storage)
        ),
        step: if is_kept {
            format!("Find out what deletes so many rows of {}", table.name)
        } else {
            format!("Delete for good what was deleted half a year ago from {}", table.name)
        },
        evidence: evidence(table, deleted, gone, &children),
        // The shop's books must be kept: a note, not a step.
        severity: if is_kept { Severity::Info } else { storage_severity(storage, bytes) },
        confidence: deleted.confidence,
        confidence_because: deleted.because.clone(),
        effort: Effort::Hours,
        cost: Cost { resource: Resource::Storage, share: storage },
        gain: (!is_kept).then_some(gain),
        averts: None,
        remedies,
        verify: format!("Audit again: the deleted share of {} is below {}.", table.name, text::percent(DELETED_SHARE_MIN)),
        touches: vec![format!("table:{}.{}", table.schema, table.name)],
    })
}

/// Foreign keys that lead to this table.
fn children<'c>(constraints: &'c [Constraint], table: &Table) -> Vec<&'c Constraint> {
    let leads =
        |c: &&Constraint| c.kind == "f" && c.parent_schema.as_deref() == Some(&table.schema) && c.parent_table.as_deref() == Some(&table.name);
    let mut children: Vec<&Constraint> = constraints.iter().filter(leads).collect();
    children.sort_by(|a, b| (&a.table, &a.columns).cmp(&(&b.table, &b.columns)));
    children
}

fn evidence(table: &Table, deleted: &Deleted, gone: u64, children: &[&Constraint]) -> Vec<Evidence> {
    let mut out = vec![
        Evidence::figure("Deleted rows", gone as f64, "rows", text::count(gone)),
        Evidence::figure("Deleted share", deleted.share, "ratio", text::percent(deleted.share)),
        Evidence::figure("Size of the table", table.total_bytes() as f64, "bytes", text::bytes_disk(table.total_bytes())),
    ];
    let rows: Vec<Vec<Cell>> = children
        .iter()
        .map(|c| {
            let fate = match c.on_delete.as_deref() {
                Some("c") => "go with it",
                Some("n" | "d") => "lose the reference",
                _ => "forbid the delete",
            };
            vec![Cell::text(format!("{}.{}", c.table, c.columns.join(", "))), Cell::text(fate)]
        })
        .collect();
    if !rows.is_empty() {
        out.push(Evidence::table("What refers to it by foreign key", &["Column", "When its row is deleted"], rows));
    }
    out
}

fn look_first(table: &Table) -> Remedy {
    Remedy {
        kind: RemedyKind::Sql,
        label: "See when they were deleted".to_owned(),
        text: format!(
            "select date_trunc('month', deleted_at)::date as month, count(*) as rows from {} where deleted_at is not null group by 1 order by 1;",
            table.full_name()
        ),
        lock: Some("None but ACCESS SHARE; reads the table once.".to_owned()),
        risk: "None: it only reads. A month with most of them points to an import that deletes and creates instead of updating.".to_owned(),
        undo: None,
    }
}

/// The delete by primary key; `None` for a table without one.
fn delete(snapshot: &Snapshot, table: &Table, constraints: &[Constraint], children: &[&Constraint]) -> Result<Option<Remedy>, Gap> {
    let columns = &snapshot.pg()?.columns()?.rows;
    let key = constraints.iter().find(|c| c.kind == "p" && c.schema == table.schema && c.table == table.name);
    let Some(key) = key else { return Ok(None) };
    let mut sparing = Vec::new();
    for child in children {
        let (Some(column), Some(parent)) = (child.columns.first(), child.parent_columns.first()) else { continue };
        let has_deleted_at = columns.iter().any(|c| c.schema == child.schema && c.table == child.table && c.name == "deleted_at");
        // A child that forbids the delete keeps its parent; one that would go along keeps it while it is itself alive.
        let live = match child.on_delete.as_deref() {
            Some("c") if !has_deleted_at => continue,
            Some("c" | "n" | "d") if has_deleted_at => " and c.deleted_at is null",
            _ => "",
        };
        sparing.push(format!(
            "not exists (select from {}.{} as c where c.{} = t.{}{live})",
            quote(&child.schema),
            quote(&child.table),
            quote(column),
            quote(parent)
        ));
    }
    let sql = purge::in_batches(&table.full_name(), &key.columns, &format!("t.deleted_at < now() - interval '{DAYS} days'"), &sparing);
    Ok(Some(purge::delete("Delete the old ones for good", sql, "Some 10,000 rows a second.", &what_breaks(&table.name))))
}

fn what_breaks(table: &str) -> String {
    let of_table = match table {
        t if t.starts_with("product") => {
            "Orders keep their own copy of titles, prices and pictures and still show them, but they name products and variants by id without a foreign key: returns, \
             exchanges, reports and exports that look the product up find nothing for orders of then."
        }
        t if t.starts_with("price") || t == "money_amount" => {
            "Orders keep the amounts they were placed with. A price list or product that is restored later comes back without these prices."
        }
        t if t.starts_with("cart") => "Carts that are restored come back without these rows; completed carts lose what was taken out of them.",
        t if t.starts_with("inventory") || t == "reservation_item" => {
            "Stock levels are not touched. Reports that reckon past reservations find nothing for that time."
        }
        _ => {
            "Medusa modules refer to each other by id without foreign keys: whatever looks these rows up by id, a link table or code of your own, finds nothing."
        }
    };
    format!("{of_table} Restoring from Medusa (restore workflows, undo of a delete) is no longer possible for these rows.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::fixtures::*;
    use crate::evidence::Listed;

    fn column(table: &str) -> Column {
        Column { schema: "public".into(), table: table.into(), name: "deleted_at".into(), data_type: "timestamptz".into(), is_nullable: true }
    }

    fn stats(table: &str, null_fraction: f64) -> ColumnStats {
        ColumnStats {
            schema: "public".into(),
            table: table.into(),
            column: "deleted_at".into(),
            null_fraction,
            average_width: 8,
            distinct: -0.1,
            correlation: None,
        }
    }

    fn key(table: &str) -> Constraint {
        Constraint { kind: "p".into(), columns: vec!["id".into()], parent_schema: None, parent_table: None, ..foreign_key(table, "id", "") }
    }

    fn with(name: &str, bytes: u64, null_fraction: f64, edit: impl FnOnce(&mut Postgres)) -> Snapshot {
        store(|pg| {
            tables(pg, vec![table(name, 1_000_000, bytes)]);
            pg.columns = Ok(Listed::whole(vec![column(name), column("image")]));
            pg.column_stats = Ok(Listed::whole(vec![stats(name, null_fraction)]));
            let mut link = foreign_key("product_tags", "product_id", "product");
            link.on_delete = Some("a".into());
            pg.constraints = Ok(Listed::whole(vec![key(name), foreign_key("image", "product_id", "product"), link]));
            edit(pg);
        })
    }

    #[test]
    fn a_third_of_a_large_table_is_much() {
        assert_passes(&CHECK, &with("product", 99_999_999, 0.0, |_| {}));
        assert_passes(&CHECK, &with("product", 100_000_000, 0.7001, |_| {}));
        let found = findings(&CHECK, &with("product", 1_000_000_000, 0.70, |_| {}));
        assert_eq!(found[0].severity, Severity::Medium, "300 MB of 5 GB");
    }

    #[test]
    fn a_count_comes_before_statistics() {
        let counts_say =
            |deleted| with("product", 500_000_000, 0.0, |pg| counted(pg, &[("product", "total", 100), ("product", "soft_deleted", deleted)]));
        assert_passes(&CHECK, &counts_say(29));
        assert_eq!(findings(&CHECK, &counts_say(30))[0].confidence, Confidence::High);
    }

    #[test]
    fn a_living_child_keeps_its_parent() {
        let found = findings(&CHECK, &with("product", 500_000_000, 0.2, |_| {}));
        let sql = &found[0].remedies.iter().find(|r| r.label == "Delete the old ones for good").unwrap().text;
        assert!(sql.contains("select from public.image as c where c.product_id = t.id and c.deleted_at is null)"), "{sql}");
        assert!(sql.contains("select from public.product_tags as c where c.product_id = t.id)"), "{sql}");
    }

    #[test]
    fn the_books_of_the_shop_are_not_deleted() {
        let found = findings(&CHECK, &with("order_item", 500_000_000, 0.2, |_| {}));
        assert_eq!(found[0].severity, Severity::Info);
        assert!(found[0].remedies.iter().all(|r| !r.text.contains("delete from")));
        assert!(!is_of_the_books("cart_line_item") && is_of_the_books("order") && !is_of_the_books("orders_of_mine"));
    }

    #[test]
    fn what_cannot_be_seen_names_its_remedy() {
        let blind = with("product", 500_000_000, 0.2, |pg| pg.column_stats = Ok(Listed::whole(Vec::new())));
        assert_eq!(assert_unknown(&CHECK, &blind).cause.remedy(), Some("grant select (deleted_at) on public.product to \"advisor\";"));
        let never = with("product", 500_000_000, 0.2, |pg| {
            pg.column_stats = Ok(Listed::whole(Vec::new()));
            pg.tables.as_mut().unwrap().rows[0].rows_estimate = -1.0;
        });
        assert_eq!(assert_unknown(&CHECK, &never).cause.remedy(), Some("analyze public.product;"));
    }

    #[test]
    fn its_needs_are_exact() {
        assert_needs_are_exact(&CHECK, &with("product", 500_000_000, 0.2, |_| {}));
    }
}
