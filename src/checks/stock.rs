//! What a store lacks of the indexes that its Medusa creates.

use std::collections::{BTreeSet, HashMap};

use super::index::{Cover, covering_index, wanted};
use super::medusa::{StockIndex, Told, expected_indexes};
use super::scans::is_driven;
use super::sql::TableUse;
use super::workload::{Load, ReadLoad, Workload};
use crate::evidence::Snapshot;
use crate::evidence::medusa::Medusa;
use crate::evidence::postgres::{Index, Table};

/// Smaller tables are read whole in milliseconds: what is missing there is a note.
const ROWS_MIN: u64 = 10_000;
const BYTES_MIN: u64 = 10_000_000;

/// A stock index that is not there, or is there and invalid.
pub struct Missing<'s> {
    pub stock: &'static StockIndex,
    pub table: &'s Table,
    pub invalid: Option<&'s Index>,
    /// Statements that look for rows by its first column.
    pub loads: Vec<Load<'s>>,
    /// Of the database time.
    pub share: f64,
}

impl Missing<'_> {
    pub fn is_large(&self) -> bool {
        is_large(self.table)
    }

    pub fn subject(&self) -> String {
        format!("{}.{}", self.table.schema, self.stock.name)
    }

    pub fn state(&self) -> &'static str {
        if self.invalid.is_some() { "invalid" } else { "missing" }
    }
}

/// The indexes that the version creates and that are not there, where their tables are.
pub fn missing<'s>(snapshot: &'s Snapshot, medusa: &Medusa, told: &Told, tables: &'s [Table], indexes: &'s [Index]) -> Vec<Missing<'s>> {
    let mut here: HashMap<&str, Vec<&Index>> = HashMap::new();
    for index in indexes.iter().filter(|i| i.schema == medusa.schema) {
        here.entry(&index.table).or_default().push(index);
    }
    let mut missing = Vec::new();
    for stock in expected_indexes(told) {
        let Some(table) = tables.iter().find(|t| t.schema == medusa.schema && t.name == stock.table && t.kind == "r") else { continue };
        let beside = || here.get(stock.table.as_str()).into_iter().flatten().copied();
        let named = beside().find(|i| i.name == stock.name);
        // Its definition may have been changed on purpose, or by an earlier version; a build will come to an end.
        if named.is_some_and(|i| i.is_valid || i.is_building) || is_inverted(stock) {
            continue;
        }
        if beside().any(|i| serves(i, stock)) || !has_columns(snapshot, table, stock) {
            continue;
        }
        missing.push(Missing { stock, table, invalid: named, loads: Vec::new(), share: 0.0 });
    }
    missing
}

/// Made for soft-deleted rows alone: an upstream slip that serves nobody, so nobody misses it.
fn is_inverted(stock: &StockIndex) -> bool {
    // An index of the deletion times themselves is meant so.
    stock.columns != ["deleted_at"] && stock.predicate.as_deref().is_some_and(|p| terms(p).contains("deleted_at is not null"))
}

/// A table from before the migration that adds the column has no use for its index.
fn has_columns(snapshot: &Snapshot, table: &Table, stock: &StockIndex) -> bool {
    let Ok(columns) = snapshot.pg().and_then(|pg| pg.columns()) else { return true };
    let known: Vec<&str> = columns.rows.iter().filter(|c| c.schema == table.schema && c.table == table.name).map(|c| c.name.as_str()).collect();
    known.is_empty() || stock.plain_columns().filter(|c| is_plain(c)).all(|c| known.contains(&c))
}

fn is_plain(column: &str) -> bool {
    column.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Whether another index finds the same rows and, if need be, refuses the same duplicates: its columns begin with these (or are these),
/// and it leaves out no row that the stock one holds.
fn serves(index: &Index, stock: &StockIndex) -> bool {
    if !index.is_valid || !index.is_ready || index.method != stock.method.as_deref().unwrap_or("btree") {
        return false;
    }
    if stock.unique && (!index.is_unique || index.keys.len() != stock.columns.len()) || stock.constraint.as_deref() == Some("p") && !index.is_primary
    {
        return false;
    }
    let same_key = |(at, column): (usize, &str)| {
        let wanted = stock.opclasses.get(at).and_then(Option::as_deref);
        index.keys.get(at).is_some_and(|k| k.text == column && k.collation.is_none() && (k.opclass.is_none() || k.opclass.as_deref() == wanted))
    };
    let holds_rows = || {
        let wanted = stock.predicate.as_deref().map(terms).unwrap_or_default();
        index.predicate.as_deref().is_none_or(|p| terms(p).is_subset(&wanted))
    };
    stock.plain_columns().enumerate().all(same_key) && holds_rows()
}

/// The conditions of a predicate in a form that survives a dump and a restore: without parentheses, casts and differences in case.
pub fn terms(predicate: &str) -> BTreeSet<String> {
    const TWO_WORDS: [&str; 4] = [" varying", " precision", " with time zone", " without time zone"];
    let mut plain = String::new();
    let mut rest = predicate;
    while let Some(at) = rest.find("::") {
        plain.push_str(&rest[..at]);
        rest = rest[at + 2..].trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '_' || c == '"');
        rest = TWO_WORDS.iter().find_map(|w| rest.strip_prefix(w)).unwrap_or(rest).trim_start_matches("[]");
    }
    plain.push_str(rest);
    let plain = plain.replace(['(', ')', '"'], "").to_ascii_lowercase();
    if plain.contains(" or ") {
        return BTreeSet::from([plain]);
    }
    plain.split(" and ").map(|t| t.trim().to_owned()).collect()
}

/// Adds the statements that find rows of the table by the index's first column.
pub fn attach_reads<'s>(work: &Workload<'s>, reads: &[ReadLoad<'s>], indexes: &[Index], missing: &mut Missing<'s>) {
    let Some(first) = missing.stock.plain_columns().next().map(ToOwned::to_owned) else { return };
    for read in reads {
        let by_it = read.shape.tables.iter().filter(|u| u.table == missing.table.name).any(|used| {
            let is_joined = used.equal.is_empty() && is_driven(&read.shape, used) && used.joins.iter().any(|j| j.column == first);
            (used.equal.contains(&first) || is_joined) && !is_served(indexes, missing.table, used)
        });
        if by_it {
            missing.loads.push(read.load);
        }
    }
    missing.share = work.share_of(missing.loads.iter().map(|l| l.counters.total_ms).sum());
}

/// Whether another of its conditions finds the rows by an index.
fn is_served(indexes: &[Index], table: &Table, used: &TableUse) -> bool {
    matches!(covering_index(indexes, &wanted(table, &used.equal, used)), Cover::Serves(_))
}

/// Whether a scan of the table is felt.
pub fn is_large(table: &Table) -> bool {
    table.table_bytes >= BYTES_MIN || table.rows().is_some_and(|r| r >= ROWS_MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn predicates_are_compared_by_meaning() {
        let same = |a: &str, b: &str| terms(a) == terms(b);
        assert!(same("((deleted_at IS NULL) AND (product_id IS NOT NULL))", "product_id IS NOT NULL AND deleted_at IS NULL"));
        assert!(same(
            "state = ANY (ARRAY['done'::character varying::text, 'failed'::character varying::text])",
            "(state = ANY (ARRAY['done'::character varying, 'failed'::character varying]::text[]))"
        ));
        assert!(!same("deleted_at IS NULL", "deleted_at IS NOT NULL"));
        assert!(!same("a = 1 OR b = 2", "a = 1"));
    }
}
