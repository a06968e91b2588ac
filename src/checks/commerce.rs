//! The indexes that the guide names for every store, by Medusa version, and which of them are missing here.

use super::index::{Cover, Wanted, covering_index, is_listed, is_soft_delete_partial, unlisted, wanted};
use super::needs::reads_most_of;
use super::partitions::Extent;
use super::sql::TableUse;
use super::workload::{Load, Workload, read_loads, workload};
use crate::evidence::postgres::{Index, Table};
use crate::evidence::{Gap, Snapshot};

/// A table of this many rows is read through an index or the shop feels it.
const ROWS_MIN: u64 = 10_000;
/// Orders from which a list sorted by date without an index takes tens of milliseconds (222 ms at 500,000, measured).
const ORDERS_MIN: u64 = 50_000;

/// Columns that leave a few rows, which are sorted as they come: the orders of one customer, newest first.
const TELLING: [&str; 7] = ["id", "display_id", "custom_display_id", "external_id", "customer_id", "email", "cart_id"];

/// A lookup that every store makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Role {
    pub majors: &'static [u8],
    pub table: &'static str,
    pub column: &'static str,
    /// "variants of a product".
    pub purpose: &'static str,
    /// Stock Medusa lacks it: reported from `ORDERS_MIN` rows, or from `ROWS_MIN` where statements need it.
    pub is_missing_in_stock: bool,
}

pub const ROLES: [Role; 7] = [
    Role { majors: &[1, 2], table: "product_variant", column: "product_id", purpose: "the variants of a product", is_missing_in_stock: false },
    Role { majors: &[2], table: "cart_line_item", column: "cart_id", purpose: "the items of a cart", is_missing_in_stock: false },
    Role { majors: &[2], table: "order_item", column: "order_id", purpose: "the items of an order", is_missing_in_stock: false },
    Role { majors: &[1], table: "line_item", column: "cart_id", purpose: "the items of a cart", is_missing_in_stock: false },
    Role { majors: &[1], table: "line_item", column: "order_id", purpose: "the items of an order", is_missing_in_stock: false },
    Role { majors: &[1, 2], table: "customer", column: "email", purpose: "a customer by e-mail", is_missing_in_stock: false },
    Role { majors: &[1, 2], table: "order", column: "created_at", purpose: "orders by date", is_missing_in_stock: true },
];

/// A role without its index.
pub struct MissingRole<'s> {
    pub role: Role,
    pub table: &'s Table,
    /// Statements that look up by it, costliest first; empty where none did or none could be read.
    pub loads: Vec<Load<'s>>,
    /// Every statement that uses it leaves soft-deleted rows out (stock v2 always does).
    pub is_soft_delete_filtered: bool,
}

/// The roles of this version whose table is big enough to matter and has no index for them.
///
/// # Errors
/// The gap of the Medusa version, the tables or the indexes; that of the statements where they alone decide.
pub fn missing_roles(snapshot: &Snapshot) -> Result<Vec<MissingRole<'_>>, Gap> {
    let pg = snapshot.pg()?;
    let (medusa, tables, indexes) = (pg.medusa()?, pg.tables()?, pg.indexes()?);
    let read = workload(snapshot);
    let mut missing = Vec::new();
    let mut open = None;
    for role in ROLES.iter().filter(|r| r.majors.contains(&medusa.major)) {
        let Some(table) = tables.rows.iter().find(|t| t.schema == medusa.schema && t.name == role.table) else { continue };
        let rows = table.rows().unwrap_or(0);
        if rows < ROWS_MIN || is_indexed(&indexes.rows, table, role) {
            continue;
        }
        if !is_listed(indexes, table) {
            return Err(unlisted(table));
        }
        let (loads, all_filtered) = uses(read.as_ref().ok(), &tables.rows, &indexes.rows, table, role);
        if role.is_missing_in_stock && rows < ORDERS_MIN && loads.is_empty() {
            open = read.as_ref().err();
            continue;
        }
        let is_soft_delete_filtered = medusa.major == 2 && all_filtered;
        missing.push(MissingRole { role: *role, table, loads, is_soft_delete_filtered });
    }
    // Between the two bounds the statements decide, and they could not be read.
    match open {
        Some(gap) if missing.is_empty() => Err(gap.clone()),
        _ => Ok(missing),
    }
}

/// Under any name, whole or on live rows.
fn is_indexed(indexes: &[Index], table: &Table, role: &Role) -> bool {
    let columns = [role.column.to_owned()];
    let wanted = Wanted { schema: &table.schema, table: &table.name, columns: &columns, is_null: &[], is_not_null: &[] };
    match covering_index(indexes, &wanted) {
        Cover::Serves(_) => true,
        Cover::OtherRows(_) => indexes
            .iter()
            .filter(|i| i.table == table.name && i.schema == table.schema && i.is_valid && i.is_ready)
            .any(|i| is_soft_delete_partial(i) && i.keys.first().is_some_and(|k| k.text == role.column)),
        Cover::None => false,
    }
}

/// The statements that filter, range or sort by the role's column for lack of a better one, and whether all of them leave soft-deleted rows out.
fn uses<'s>(work: Option<&Workload<'s>>, tables: &[Table], indexes: &[Index], table: &Table, role: &Role) -> (Vec<Load<'s>>, bool) {
    let extent = Extent::of(tables, table);
    let mut loads = Vec::new();
    let mut all_filtered = true;
    for read in work.map(read_loads).into_iter().flatten() {
        // An index that leaves few rows leaves few blocks: one on a flag finds nothing.
        let is_quick = extent.is_some_and(|e| !reads_most_of(&read.load, &read.shape, &e));
        let is_found = |u: &TableUse| is_told_apart(u, role.column) || (is_quick && is_served_otherwise(indexes, table, u, role.column));
        let is_of_role = |u: &&TableUse| u.table == role.table && is_used(u, role.column) && !is_found(u);
        let mut uses = read.shape.tables.iter().filter(is_of_role).peekable();
        if uses.peek().is_some() {
            all_filtered &= uses.all(TableUse::is_soft_delete_filtered);
            loads.push(read.load);
        }
    }
    (loads, all_filtered)
}

fn is_used(used: &TableUse, column: &str) -> bool {
    let is = |c: &String| c == column;
    used.equal.iter().any(is)
        || used.range.iter().any(is)
        || used.joins.iter().any(|j| j.column == column)
        || (used.has_limit && used.order_by.first().is_some_and(|k| k.column == column))
}

/// Another column held equal leaves a few rows.
pub fn is_told_apart(used: &TableUse, column: &str) -> bool {
    used.equal.iter().any(|c| c != column && TELLING.contains(&c.as_str()))
}

/// Another column held equal has an index that leads with it.
fn is_served_otherwise(indexes: &[Index], table: &Table, used: &TableUse, column: &str) -> bool {
    let others: Vec<String> = used.equal.iter().filter(|c| *c != column).cloned().collect();
    match covering_index(indexes, &wanted(table, &others, used)) {
        Cover::Serves(_) => true,
        Cover::OtherRows(index) => is_soft_delete_partial(index),
        Cover::None => false,
    }
}
