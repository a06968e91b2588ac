//! Which statements scan a table for lack of an index, and which index would end it. Shared by the checks that advise indexes, so that
//! the same columns are never advised twice.

use std::collections::BTreeMap;

use super::index::{Cover, Wanted, covering_index, find_table, is_soft_delete_partial, sorting_index, wanted};
use super::new_index::NewIndex;
use super::sql::{Kind, Shape, TableUse};
use super::workload::{Load, Workload, read_loads, workload};
use crate::evidence::postgres::{Column, ColumnStats, Index, Proof, Table};
use crate::evidence::{Gap, Snapshot};

/// Smaller tables are read whole faster than through an index.
pub const TABLE_BYTES_MIN: u64 = 10_000_000;
pub const TABLE_ROWS_MIN: u64 = 10_000;
/// A scan that returns a tenth of what it reads is doing its work.
pub const READ_TO_RETURNED_MIN: f64 = 10.0;
/// Share of a table's blocks that a call must touch to be called a scan of it: below, some index served it.
const BLOCKS_SHARE_MIN: f64 = 0.5;
/// Fewer are one person's clicks, not the shop's traffic.
pub const CALLS_MIN: u64 = 10;
/// A second column is of use only while the first leaves more rows than one block holds.
const ROWS_LEFT_MAX: f64 = 50.0;
/// Candidates the planner is asked about.
const CANDIDATES_MAX: usize = 10;
/// A hypothetical index that cuts less of the planner's cost is no proof.
const COST_CUT_MIN: f64 = 0.5;

/// What the database holds and does, as far as advising an index needs it.
pub struct Scene<'s> {
    pub workload: Workload<'s>,
    pub tables: &'s [Table],
    pub indexes: &'s [Index],
    columns: &'s [Column],
    stats: &'s [ColumnStats],
    proofs: &'s [Proof],
}

/// Columns of a table that statements look for by scanning it.
pub struct Scan<'s> {
    pub table: &'s Table,
    pub columns: Vec<String>,
    /// Costliest first; each statement once.
    pub loads: Vec<Load<'s>>,
    /// Every one of the statements leaves soft-deleted rows out.
    pub is_soft_delete_filtered: bool,
    /// Needed for the order and a limit, not for a filter.
    pub is_for_order: bool,
    pub verdict: Verdict<'s>,
}

/// What the planner said of the index, where it could be asked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Verdict<'s> {
    NotAsked,
    /// The hypothetical index cuts the cost by half or more.
    Proved(&'s Proof),
    /// The planner was asked and would scan less than half as cheaply, or does not scan now.
    Refuted,
}

impl Scan<'_> {
    pub fn total_ms(&self) -> f64 {
        self.loads.iter().map(|l| l.counters.total_ms).sum()
    }

    pub fn calls(&self) -> u64 {
        self.loads.iter().map(|l| l.counters.calls).sum()
    }

    pub fn rows_a_call(&self) -> f64 {
        let rows: u64 = self.loads.iter().map(|l| l.counters.rows).sum();
        if self.calls() == 0 { 0.0 } else { rows as f64 / self.calls() as f64 }
    }

    pub fn new_index(&self, indexes: &[Index]) -> NewIndex {
        let predicate = self.is_soft_delete_filtered.then_some("deleted_at is null");
        NewIndex::new(&self.table.schema, &self.table.name, &self.columns, predicate, indexes)
    }

    /// Share 0…1 of the statements' time that the index takes away: by the planner's costs where proved, else by the blocks that need no
    /// longer be read.
    pub fn saving(&self) -> f64 {
        if let Verdict::Proved(proof) = self.verdict
            && let Some(after) = proof.cost_after
        {
            return saved(proof.cost_before, after);
        }
        let blocks: f64 = self.loads.iter().map(|l| (l.counters.blocks_hit + l.counters.blocks_read) as f64).sum();
        // Down the tree and one block a row, for each call.
        let needed = self.calls() as f64 * 4.0 + self.loads.iter().map(|l| l.counters.rows as f64).sum::<f64>();
        saved(blocks, needed)
    }
}

fn saved(before: f64, after: f64) -> f64 {
    if before > 0.0 { (1.0 - after / before).clamp(0.0, 0.99) } else { 0.0 }
}

/// # Errors
/// The gap of the statements, tables or indexes; columns, statistics and proofs are done without.
pub fn scene(snapshot: &Snapshot) -> Result<Scene<'_>, Gap> {
    let pg = snapshot.pg()?;
    let (tables, indexes) = (&pg.tables()?.rows, &pg.indexes()?.rows);
    Ok(Scene {
        workload: workload(snapshot)?,
        tables,
        indexes,
        columns: pg.columns.as_ref().map_or(&[], |c| &c.rows),
        stats: pg.column_stats.as_ref().map_or(&[], |c| &c.rows),
        proofs: pg.proofs.as_ref().map_or(&[], |p| p.as_slice()),
    })
}

/// Every set of columns that statements scan for, costliest first.
pub fn scans<'s>(scene: &Scene<'s>) -> Vec<Scan<'s>> {
    let mut found: BTreeMap<(&str, &str, Vec<String>), Scan<'s>> = BTreeMap::new();
    for read in read_loads(&scene.workload) {
        if matches!(read.shape.kind, Kind::Insert | Kind::Utility) {
            continue;
        }
        for used in &read.shape.tables {
            let Some((table, columns, is_for_order)) = scene.scanned(&read.load, &read.shape, used) else { continue };
            let filtered = used.is_soft_delete_filtered();
            let scan = found.entry((&table.schema, &table.name, columns.clone())).or_insert_with(|| Scan {
                table,
                columns,
                loads: Vec::new(),
                is_soft_delete_filtered: true,
                is_for_order,
                verdict: Verdict::NotAsked,
            });
            scan.is_soft_delete_filtered &= filtered;
            scan.is_for_order &= is_for_order;
            if scan.loads.iter().all(|l| l.statement.id != read.load.statement.id) {
                scan.loads.push(read.load);
            }
        }
    }
    let mut scans: Vec<Scan> = found.into_values().filter(|s| s.calls() >= CALLS_MIN).collect();
    for scan in &mut scans {
        scan.verdict = verdict(scene.proofs, scan);
    }
    // Stable: equal times stay in the order of their names.
    scans.sort_by(|a, b| b.total_ms().total_cmp(&a.total_ms()));
    scans
}

/// The proof of the costliest statement counts; a proof of another statement of the group only where that one has none.
fn verdict<'s>(proofs: &'s [Proof], scan: &Scan) -> Verdict<'s> {
    let of = |load: &Load| {
        proofs
            .iter()
            .find(|p| p.statement_id == load.statement.id && p.schema == scan.table.schema && p.table == scan.table.name && p.columns == scan.columns)
    };
    let Some(proof) = scan.loads.iter().find_map(of) else { return Verdict::NotAsked };
    match proof.cost_after {
        Some(after) if after <= proof.cost_before * (1.0 - COST_CUT_MIN) => Verdict::Proved(proof),
        // The planner takes an unknown limit for a tenth of the rows: that an index for the order gains nothing then proves nothing.
        Some(_) if scan.is_for_order => Verdict::NotAsked,
        Some(_) => Verdict::Refuted,
        // Only the plan as it is now: it confirms a scan or takes the suspicion away.
        None if proof.node_before.contains("Seq Scan") => Verdict::NotAsked,
        None => Verdict::Refuted,
    }
}

impl<'s> Scene<'s> {
    /// The table that this mention scans and the columns an index would need, with whether they are for an order alone.
    fn scanned(&self, load: &Load, shape: &Shape, used: &TableUse) -> Option<(&'s Table, Vec<String>, bool)> {
        let table = find_table(self.tables, used)?;
        if table.extension.is_some() || !self.is_big(table) || !reads_most_of(load, table) {
            return None;
        }
        let rows = table.rows()? as f64;
        // An aggregate returns one row whatever it reads.
        if load.counters.rows_a_call() * READ_TO_RETURNED_MIN > rows {
            return None;
        }
        let equal = self.indexable(table, &used.equal);
        let mut columns = equal.clone();
        if columns.is_empty() && is_driven(shape, used) {
            columns = self.indexable(table, &used.joins.iter().map(|j| j.column.clone()).collect::<Vec<_>>());
        }
        if self.is_covered(&wanted(table, &columns, used)) {
            return None;
        }
        let selective = self.selective(table, rows, &columns);
        if !selective.is_empty() {
            return Some((table, selective, false));
        }
        self.for_range(table, used).or_else(|| self.for_order(table, used, &equal))
    }

    fn for_range(&self, table: &'s Table, used: &TableUse) -> Option<(&'s Table, Vec<String>, bool)> {
        let range = self.indexable(table, &used.range);
        let first = range.first()?.clone();
        let is_free = !used.is_aggregate && !self.is_covered(&wanted(table, &range, used));
        is_free.then(|| (table, vec![first], false))
    }

    fn for_order(&self, table: &'s Table, used: &TableUse, equal: &[String]) -> Option<(&'s Table, Vec<String>, bool)> {
        let keys = &used.order_by;
        let columns = self.indexable(table, &keys.iter().map(|k| k.column.clone()).collect::<Vec<_>>());
        if !used.has_limit || !used.is_first || keys.is_empty() || columns.len() != keys.len() {
            return None;
        }
        let sorted = sorting_index(self.indexes, &wanted(table, &columns, used), equal, keys);
        let is_served = match sorted {
            Cover::Serves(_) => true,
            Cover::OtherRows(index) => is_soft_delete_partial(index),
            Cover::None => false,
        };
        // Keys in different directions need them spelt out: left alone.
        let one_way = keys.iter().all(|k| k.is_descending == keys[0].is_descending);
        (!is_served && one_way).then(|| (table, columns.into_iter().take(2).collect(), true))
    }

    pub fn is_big(&self, table: &Table) -> bool {
        table.table_bytes >= TABLE_BYTES_MIN || table.rows().is_some_and(|r| r >= TABLE_ROWS_MIN)
    }

    /// A partial index on live rows counts as covering: a statement that forgets `deleted_at is null` lacks the predicate, not the index.
    fn is_covered(&self, wanted: &Wanted) -> bool {
        match covering_index(self.indexes, wanted) {
            Cover::Serves(_) => true,
            Cover::OtherRows(index) => is_soft_delete_partial(index),
            Cover::None => false,
        }
    }

    /// Columns that exist and whose type a btree can order usefully.
    pub fn indexable(&self, table: &Table, columns: &[String]) -> Vec<String> {
        let known: Vec<&Column> = self.columns.iter().filter(|c| c.schema == table.schema && c.table == table.name).collect();
        let fits = |column: &String| {
            let plain = column.rsplit('(').next().unwrap_or(column).trim_end_matches(')');
            known.is_empty() || known.iter().any(|c| c.name == plain && is_selective_type(&c.data_type))
        };
        let mut out: Vec<String> = Vec::new();
        for column in columns.iter().filter(|c| fits(c)) {
            if !out.contains(column) {
                out.push(column.clone());
            }
        }
        out
    }

    /// The columns worth indexing, most selective first, at most two; unknown statistics are trusted.
    pub fn selective(&self, table: &Table, rows: f64, columns: &[String]) -> Vec<String> {
        let mut rated: Vec<(f64, &String)> = columns.iter().map(|c| (self.rows_left(table, rows, c).unwrap_or(1.0), c)).collect();
        rated.retain(|(left, _)| left * READ_TO_RETURNED_MIN <= rows);
        rated.sort_by(|a, b| a.0.total_cmp(&b.0));
        let needs_second = rated.first().is_some_and(|(left, _)| *left > ROWS_LEFT_MAX);
        rated.into_iter().take(if needs_second { 2 } else { 1 }).map(|(_, c)| c.clone()).collect()
    }

    /// Rows that one value of the column leaves, by the planner's statistics.
    fn rows_left(&self, table: &Table, rows: f64, column: &str) -> Option<f64> {
        let stats = self.stats.iter().find(|s| s.schema == table.schema && s.table == table.name && s.column == column)?;
        let distinct = if stats.distinct < 0.0 { -stats.distinct * rows } else { stats.distinct };
        (distinct > 0.0).then(|| rows * (1.0 - stats.null_fraction) / distinct)
    }
}

/// Types whose values tell rows apart and have an order: not booleans, enumerations, documents or arrays.
fn is_selective_type(data_type: &str) -> bool {
    const TYPES: [&str; 13] =
        ["text", "character", "citext", "uuid", "smallint", "integer", "bigint", "numeric", "real", "double precision", "date", "time", "bpchar"];
    TYPES.iter().any(|t| data_type.starts_with(t)) && !data_type.ends_with("[]")
}

/// By the blocks it touches: what an index served touches few.
pub fn reads_most_of(load: &Load, table: &Table) -> bool {
    let pages = (table.table_bytes as f64 / 8_192.0).max(1.0);
    load.blocks_a_call() >= pages * BLOCKS_SHARE_MIN
}

/// Whether another table of the statement is narrowed down, so that this one is looked up from it; a listing of everything scans anyway.
pub fn is_driven(shape: &Shape, used: &TableUse) -> bool {
    used.joins.iter().any(|join| {
        shape.tables.iter().any(|other| other.alias == join.other_alias && (!other.equal.is_empty() || !other.range.is_empty() || other.has_limit))
    })
}

/// An index for the planner to judge without building it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The costliest statement it is for.
    pub statement_id: String,
    pub schema: String,
    pub table: String,
    pub columns: Vec<String>,
    pub predicate: Option<String>,
    /// For HypoPG: no name, not concurrently.
    pub create_sql: String,
}

/// At most ten indexes that the statements seem to miss, costliest first; empty where the evidence for them is missing.
pub fn candidates(snapshot: &Snapshot) -> Vec<Candidate> {
    let Ok(scene) = scene(snapshot) else { return Vec::new() };
    let mut out = Vec::new();
    for scan in scans(&scene).iter().take(CANDIDATES_MAX) {
        let Some(load) = scan.loads.first() else { continue };
        let new = scan.new_index(scene.indexes);
        out.push(Candidate {
            statement_id: load.statement.id.clone(),
            create_sql: new.hypothetical_sql(),
            schema: new.schema,
            table: new.table,
            columns: new.columns,
            predicate: new.predicate,
        });
    }
    out
}
