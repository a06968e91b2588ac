//! Which statements scan a table for lack of an index, and which index would end it. Shared by the checks that advise indexes, so that
//! the same columns are never advised twice.

use super::bloat::without_statistics;
use super::index::unlisted;
use super::needs::{COLUMNS_MAX, Need, Store, Tail, is_costly, needs, unlisted_needs};
pub use super::needs::{TABLE_BYTES_MIN, TABLE_ROWS_MIN, is_driven};
use super::new_index::NewIndex;
use super::partitions::{Extent, is_partitioned};
use super::variants::{Variant, variants};
use super::workload::{Load, Workload, workload};
use crate::evidence::postgres::{Index, Postgres, Proof, StatementCounters, Table};
use crate::evidence::{Gap, Snapshot};

/// Fewer are one person's clicks, not the shop's traffic.
pub const CALLS_MIN: u64 = 10;
/// An index that takes less of a statement's cost is not worth the writes it costs; dexter draws the line there too.
const COST_CUT_MIN: f64 = 0.5;
/// A wider index must leave at most this share of what the narrow one leaves.
const WIDER_LEAVES_MAX: f64 = 0.5;
/// Where the narrow one leaves less of the time than this, nobody would feel the wider one.
const NARROW_LEAVES_MIN: f64 = 0.02;
/// The planner takes a range between unknown values for a third of the table, and an expression for one value in two hundred. Where
/// calls return less than a tenth of its guess, its "no" is about other values than the shop's.
const GUESS_TO_RETURNED_MAX: f64 = 10.0;
/// No call is promised to be faster: what starting and ending one takes, which no cost of the planner knows, milliseconds (a lookup of one
/// row by its key is counted with 0.010 to 0.020 by pg_stat_statements).
const CALL_MS_MIN: f64 = 0.010;
/// Where at most this share of the blocks is read, the statement's blocks lie in memory …
const READ_SHARE_MAX: f64 = 0.01;
/// … and also where a read takes no longer than from the system's page cache, milliseconds a block.
const READ_MS_MAX: f64 = 0.05;
/// Indexes advised on one table: each is paid for by every write.
const INDEXES_A_TABLE_MAX: usize = 3;
/// Indexes the planner is asked about, on all tables.
const CANDIDATES_MAX: usize = 24;
/// A statement that touches this share of a table's blocks a call looks at every row of it.
const WHOLE_SHARE_MIN: f64 = 0.9;
/// Finding a block in memory costs as much as looking at so many rows: the planner is asked with the same prices.
const BLOCK_ROWS: f64 = 4.0;
/// Blocks from the root of an index to a leaf, on a table of a shop's size.
const DESCENT_BLOCKS: f64 = 4.0;

/// What the database holds and does, as far as advising an index needs it.
pub struct Scene<'s> {
    pub workload: Workload<'s>,
    pub store: Store<'s>,
    pub proofs: &'s [Proof],
}

/// An index that statements lack.
pub struct Scan<'s> {
    pub table: &'s Table,
    pub extent: Extent,
    pub columns: Vec<String>,
    /// Costliest first; each statement once.
    pub served: Vec<Served<'s>>,
    /// Every one of the statements leaves soft-deleted rows out.
    pub is_soft_delete_filtered: bool,
    /// Needed for the order and a limit, not for a filter.
    pub is_for_order: bool,
    /// How many rows a statement finds is not known: a limit hides it, and its columns have no statistics.
    pub is_unmeasured: bool,
}

/// A statement that the index serves.
#[derive(Debug, Clone, Copy)]
pub struct Served<'s> {
    pub load: Load<'s>,
    pub verdict: Verdict<'s>,
    /// Share 0…1 of its time that is left with the index.
    pub left: f64,
    /// The same of its blocks or of the planner's cost: by this indexes are told apart, whatever lies in memory today.
    cost_left: f64,
}

/// What the planner said of the index, where it could be asked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Verdict<'s> {
    /// With the reason where it was asked and did not answer.
    NotAsked(Option<&'s Proof>),
    /// The plan uses the hypothetical index and costs half or less.
    Proved(&'s Proof),
    /// The planner would not use it, would not save half, or does not scan now.
    Refuted,
}

impl<'s> Scan<'s> {
    pub fn loads(&self) -> impl Iterator<Item = &Load<'s>> {
        self.served.iter().map(|s| &s.load)
    }

    pub fn total_ms(&self) -> f64 {
        self.loads().map(|l| l.counters.total_ms).sum()
    }

    pub fn calls(&self) -> u64 {
        self.loads().map(|l| l.counters.calls).sum()
    }

    pub fn rows_a_call(&self) -> f64 {
        let rows: u64 = self.loads().map(|l| l.counters.rows).sum();
        if self.calls() == 0 { 0.0 } else { rows as f64 / self.calls() as f64 }
    }

    pub fn new_index(&self, indexes: &[Index]) -> NewIndex {
        let predicate = self.is_soft_delete_filtered.then_some("deleted_at is null");
        NewIndex::new(&self.table.schema, &self.table.name, &self.columns, predicate, indexes)
    }

    /// Share 0…1 of the statements' time that the index takes away: by the planner's costs where proved, else by the blocks that need no
    /// longer be read.
    pub fn saving(&self) -> f64 {
        let left: f64 = self.served.iter().map(|s| s.load.counters.total_ms * s.left).sum();
        let total = self.total_ms();
        if total > 0.0 { (1.0 - left / total).clamp(0.0, 1.0) } else { 0.0 }
    }

    /// The proof of the costliest statement that has one.
    pub fn proof(&self) -> Option<&'s Proof> {
        self.served.iter().find_map(|s| match s.verdict {
            Verdict::Proved(proof) => Some(proof),
            _ => None,
        })
    }

    /// Statements worth half of the time are proved.
    pub fn is_proved(&self) -> bool {
        let proved: f64 = self.served.iter().filter(|s| matches!(s.verdict, Verdict::Proved(_))).map(|s| s.load.counters.total_ms).sum();
        proved > 0.0 && proved >= self.total_ms() / 2.0
    }

    /// Why the planner did not answer for the costliest statement, in its own words.
    pub fn silence(&self) -> Option<&'s Proof> {
        self.served.iter().find_map(|s| match s.verdict {
            Verdict::NotAsked(proof) => proof,
            _ => None,
        })
    }
}

/// # Errors
/// The gap of the statements, tables or indexes; columns, statistics and proofs are done without.
pub fn scene(snapshot: &Snapshot) -> Result<Scene<'_>, Gap> {
    let pg = snapshot.pg()?;
    let (tables, indexes) = (&pg.tables()?.rows, pg.indexes()?);
    Ok(Scene {
        workload: workload(snapshot)?,
        store: Store {
            tables,
            indexes: &indexes.rows,
            listed: indexes,
            columns: pg.columns.as_ref().map_or(&[], |c| &c.rows),
            stats: pg.column_stats.as_ref().map_or(&[], |c| &c.rows),
        },
        proofs: pg.proofs.as_ref().map_or(&[], |p| p.as_slice()),
    })
}

/// Every index that statements lack, the one whose statements cost most first.
pub fn scans<'s>(scene: &Scene<'s>) -> Vec<Scan<'s>> {
    let all = needs(&scene.store, &scene.workload);
    let mut scans: Vec<Scan> = by_table(&all).iter().flat_map(|of_table| choose(scene, of_table)).collect();
    scans.retain(|s| s.calls() >= CALLS_MIN);
    // Stable: equal times stay in the order of their names.
    scans.sort_by(|a, b| b.total_ms().total_cmp(&a.total_ms()));
    scans
}

/// Why costly statements that scan a table were not judged; `None` where none takes `share_min` of the database time.
pub fn unjudged(pg: &Postgres, scene: &Scene, scans: &[Scan], share_min: f64) -> Option<Gap> {
    let is_costly = |need: &Need| need.load.counters.calls >= CALLS_MIN && scene.workload.share(&need.load) >= share_min;
    let unread = unlisted_needs(&scene.store, &scene.workload).into_iter().find(is_costly);
    if let Some(need) = unread {
        return Some(unlisted(need.table));
    }
    let is_advised =
        |need: &Need| scans.iter().any(|s| std::ptr::eq(s.table, need.table) && s.loads().any(|l| l.statement.id == need.load.statement.id));
    let is_asked = |need: &Need| scene.proofs.iter().any(|p| p.method == "hypopg" && p.statement_id == need.load.statement.id);
    let all = needs(&scene.store, &scene.workload);
    let need = all.iter().find(|n| n.is_unmeasured() && is_costly(n) && !is_advised(n) && !is_asked(n))?;
    let then = format!(
        "Statements that sort by another column and stop at a limit scan {}. How many rows an index on {} would find cannot be told without statistics.",
        need.table.name, need.equal[0]
    );
    without_statistics(pg, need.table, &then)
}

/// The needs of each table, tables by name, needs costliest first.
fn by_table<'n, 's>(all: &'n [Need<'s>]) -> Vec<Vec<&'n Need<'s>>> {
    let mut tables: Vec<Vec<&Need>> = Vec::new();
    for need in all {
        match tables.iter_mut().find(|t| std::ptr::eq(t[0].table, need.table)) {
            Some(known) => known.push(need),
            None => tables.push(vec![need]),
        }
    }
    tables.sort_by(|a, b| (&a[0].table.schema, &a[0].table.name).cmp(&(&b[0].table.schema, &b[0].table.name)));
    tables
}

/// The fewest indexes that serve the needs of one table: each round takes the one that saves most, narrow before wide.
fn choose<'s>(scene: &Scene<'s>, needs: &[&Need<'s>]) -> Vec<Scan<'s>> {
    let all = variants(needs);
    let mut open: Vec<usize> = (0..needs.len()).collect();
    let mut chosen = Vec::new();
    while chosen.len() < INDEXES_A_TABLE_MAX {
        let rated: Vec<(&Variant, Vec<(usize, Served)>)> =
            all.iter().map(|v| (v, scene.served(needs, v, &open))).filter(|(_, s)| !s.is_empty()).collect();
        let Some(best) = rated.iter().reduce(|a, b| if saved_ms(&b.1) > saved_ms(&a.1) { b } else { a }) else { break };
        let narrow = rated.iter().filter(|(v, _)| v.columns.len() < best.0.columns.len() && best.0.columns.starts_with(&v.columns));
        // The narrowest that is not clearly beaten.
        let (variant, served) = narrow.min_by_key(|(v, _)| v.columns.len()).filter(|n| !is_clearly_better(&best.1, &n.1)).unwrap_or(best);
        open.retain(|at| served.iter().all(|(s, _)| s != at));
        let mut loads: Vec<Served> = Vec::new();
        for (_, one) in served {
            if loads.iter().all(|l| l.load.statement.id != one.load.statement.id) {
                loads.push(*one);
            }
        }
        let of: Vec<&&Need> = served.iter().map(|(at, _)| &needs[*at]).collect();
        chosen.push(Scan {
            table: needs[0].table,
            extent: needs[0].extent,
            columns: variant.columns.clone(),
            served: loads,
            is_soft_delete_filtered: variant.is_soft_delete_filtered,
            is_for_order: of.iter().all(|n| n.is_for_order()),
            is_unmeasured: of.iter().any(|n| n.is_unmeasured()),
        });
    }
    chosen
}

fn saved_ms(served: &[(usize, Served)]) -> f64 {
    served.iter().map(|(_, s)| s.load.counters.total_ms * (1.0 - s.cost_left)).sum()
}

/// A statement that the wide index serves is not served by the narrow one, or all together keep half or less of what it leaves.
fn is_clearly_better(wide: &[(usize, Served)], narrow: &[(usize, Served)]) -> bool {
    let left = |served: &[(usize, Served)]| -> f64 {
        wide.iter()
            .map(|(at, w)| served.iter().find(|(n, _)| n == at).map_or(w.load.counters.total_ms, |(_, s)| s.load.counters.total_ms * s.cost_left))
            .sum()
    };
    let total: f64 = wide.iter().map(|(_, w)| w.load.counters.total_ms).sum();
    left(narrow) > total * NARROW_LEAVES_MIN && left(wide) <= left(narrow) * WIDER_LEAVES_MAX
}

impl<'s> Scene<'s> {
    /// The open needs that the variant serves well enough.
    fn served(&self, needs: &[&Need<'s>], variant: &Variant, open: &[usize]) -> Vec<(usize, Served<'s>)> {
        let of = |at: &usize| {
            let need = needs[*at];
            let verdict = self.verdict(need, variant);
            let left = match verdict {
                // That it is used is proved; of how many rows it finds the measured ones know more than a guess.
                Verdict::Proved(proof) if is_guess(need, variant, proof) => cost_left(proof, &need.load).min(self.modelled(need, variant)),
                Verdict::Proved(proof) => cost_left(proof, &need.load),
                Verdict::NotAsked(_) if !need.is_widening => self.modelled(need, variant),
                Verdict::NotAsked(_) | Verdict::Refuted => Left::ALL,
            };
            (left.blocks <= 1.0 - COST_CUT_MIN)
                .then(|| (*at, Served { load: need.load, verdict, left: left.of_time(&need.load), cost_left: left.blocks }))
        };
        variant.needs.iter().filter(|at| open.contains(at)).filter_map(of).collect()
    }

    fn verdict(&self, need: &Need<'s>, variant: &Variant) -> Verdict<'s> {
        let of_need = |p: &&Proof| p.statement_id == need.load.statement.id && p.schema == need.table.schema && p.table == need.table.name;
        let Some(proof) = self.proofs.iter().filter(of_need).find(|p| p.columns == variant.columns) else {
            // The planner was asked about others of its indexes and not about this one.
            let was_asked = self.proofs.iter().filter(of_need).any(|p| p.method == "hypopg");
            return if was_asked { Verdict::Refuted } else { Verdict::NotAsked(None) };
        };
        if !proof.is_answer() {
            return Verdict::NotAsked(Some(proof));
        }
        match proof.cost_after {
            Some(after) if proof.is_used && after <= proof.cost_before * (1.0 - COST_CUT_MIN) => Verdict::Proved(proof),
            Some(_) if is_guess(need, variant, proof) => Verdict::NotAsked(None),
            Some(_) => Verdict::Refuted,
            // Only the plan as it is now: it confirms a scan or takes the suspicion away.
            None if proof.node_before.contains("Seq Scan") || is_costly(proof.cost_before, &need.extent) => Verdict::NotAsked(None),
            None => Verdict::Refuted,
        }
    }

    /// What is left by the blocks: down the index, then those that hold the rows it points to.
    fn modelled(&self, need: &Need, variant: &Variant) -> Left {
        let rows = need.extent.rows.unwrap_or(0) as f64;
        let returned = need.load.counters.rows_a_call();
        let held = variant.columns.iter().take_while(|c| need.equal.contains(c)).count();
        let lead = variant.columns[..held].iter();
        let known: Vec<f64> = lead.filter_map(|c| self.store.rows_left(need.table, rows, c)).map(|left| left / rows.max(1.0)).collect();
        let follows = match &need.tail {
            Tail::None => None,
            Tail::Range(column) => Some(column),
            Tail::Sort(keys) => keys.first(),
        };
        let is_narrowed = follows.is_some() && variant.columns.get(held) == follows;
        if known.is_empty() && held < need.selective.min(COLUMNS_MAX) && !is_narrowed {
            // Which of its columns tells rows apart is not known.
            return Left::ALL;
        }
        // Only an index that yields the rows in order may stop at the limit.
        let is_in_order = is_narrowed && matches!(need.tail, Tail::Sort(_)) && held >= need.equal.len().min(COLUMNS_MAX - 1);
        if known.is_empty() && need.is_unmeasured() && !is_in_order {
            return Left::ALL;
        }
        let fetched = if known.is_empty() || is_narrowed { returned } else { (known.iter().product::<f64>() * rows).max(returned) };
        let pages = need.extent.pages();
        // Every partition has an index of its own.
        let blocks = DESCENT_BLOCKS * need.extent.parts as f64 + blocks_holding(fetched, pages);
        let read = need.load.blocks_a_call().max(1.0);
        let share = (blocks / read).clamp(0.0, 1.0);
        // A block on disk costs what it costs; of blocks in memory it counts how many rows are looked at.
        let is_whole = is_in_memory(&need.load.counters) && read >= pages * WHOLE_SHARE_MIN;
        let looks = (blocks * BLOCK_ROWS + fetched) / (pages * BLOCK_ROWS + rows).max(1.0);
        Left { blocks: share, in_memory: is_whole.then_some(looks) }
    }
}

/// Shares 0…1 of a statement's cost that an index leaves.
#[derive(Debug, Clone, Copy)]
struct Left {
    /// Of the blocks, or of the planner's cost as the server is set: what decides.
    blocks: f64,
    /// Where its blocks lie in memory: what the time follows.
    in_memory: Option<f64>,
}

impl Left {
    const ALL: Left = Left { blocks: 1.0, in_memory: None };

    fn min(self, other: Left) -> Left {
        let least = |a: Option<f64>, b: Option<f64>| a.zip(b).map_or(a.or(b), |(a, b)| Some(a.min(b)));
        Left { blocks: self.blocks.min(other.blocks), in_memory: least(self.in_memory, other.in_memory) }
    }

    fn of_time(self, load: &Load) -> f64 {
        let left = self.in_memory.unwrap_or(self.blocks).min(self.blocks);
        (left + CALL_MS_MIN / load.counters.mean_ms().max(CALL_MS_MIN)).min(1.0)
    }
}

fn cost_left(proof: &Proof, load: &Load) -> Left {
    let as_set = proof.cost_after.unwrap_or(proof.cost_before) / proof.cost_before.max(f64::MIN_POSITIVE);
    Left { blocks: as_set, in_memory: proof.left_in_memory.filter(|_| is_in_memory(&load.counters)) }
}

fn is_in_memory(counters: &StatementCounters) -> bool {
    let (hit, read) = (counters.blocks_hit as f64, counters.blocks_read as f64);
    // No time at all: it is not counted.
    let is_cached = counters.io_ms > 0.0 && counters.io_ms <= read * READ_MS_MAX;
    hit + read > 0.0 && (read <= (hit + read) * READ_SHARE_MAX || is_cached)
}

/// The planner's rows rest on a range whose values it does not know, or on an expression without statistics.
fn is_guess(need: &Need, variant: &Variant, proof: &Proof) -> bool {
    let returned = need.load.counters.rows_a_call().max(1.0);
    let is_range = matches!(need.tail, Tail::Range(_)) && need.selective == 0;
    let is_expression = variant.columns.first().is_some_and(|c| c.ends_with(')'));
    (is_range || is_expression) && !need.is_aggregate && proof.rows_before > returned * GUESS_TO_RETURNED_MAX
}

/// Blocks that `rows` rows strewn over `pages` lie in (Cardenas).
fn blocks_holding(rows: f64, pages: f64) -> f64 {
    pages * (1.0 - (1.0 - 1.0 / pages.max(1.0)).powf(rows))
}

/// An index for the planner to judge without building it.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// Ids of the statements it is for, with the rows they return a call; costliest first.
    pub statements: Vec<(String, f64)>,
    pub schema: String,
    pub table: String,
    pub columns: Vec<String>,
    pub predicate: Option<String>,
    /// For HypoPG: no name, not concurrently.
    pub create_sql: String,
}

/// Indexes that the statements seem to miss, those of the costliest tables first; empty where the evidence for them is missing.
pub fn candidates(snapshot: &Snapshot) -> Vec<Candidate> {
    let Ok(scene) = scene(snapshot) else { return Vec::new() };
    let all = needs(&scene.store, &scene.workload);
    let mut tables = by_table(&all);
    let ms = |needs: &[&Need]| needs.iter().map(|n| n.load.counters.total_ms).sum::<f64>();
    tables.sort_by(|a, b| ms(b).total_cmp(&ms(a)));
    let mut out = Vec::new();
    for needs in &tables {
        for variant in variants(needs) {
            let calls: u64 = variant.needs.iter().map(|at| needs[*at].load.counters.calls).sum();
            if calls < CALLS_MIN || out.len() == CANDIDATES_MAX {
                continue;
            }
            out.push(candidate(&scene, needs, &variant));
        }
    }
    out
}

fn candidate(scene: &Scene, needs: &[&Need], variant: &Variant) -> Candidate {
    let table = needs[0].table;
    let predicate = variant.is_soft_delete_filtered.then_some("deleted_at is null");
    let new = NewIndex::new(&table.schema, &table.name, &variant.columns, predicate, scene.store.indexes);
    // HypoPG 1.3 lends an index of a partitioned table to the partitions, but not where it has a predicate.
    let asked = NewIndex { predicate: new.predicate.clone().filter(|_| !is_partitioned(table)), ..new.clone() };
    let mut statements: Vec<(String, f64)> = Vec::new();
    for at in &variant.needs {
        let load = &needs[*at].load;
        if statements.iter().all(|(id, _)| *id != load.statement.id) {
            statements.push((load.statement.id.clone(), load.counters.rows_a_call()));
        }
    }
    Candidate {
        statements,
        create_sql: asked.hypothetical_sql(),
        schema: new.schema,
        table: new.table,
        columns: new.columns,
        predicate: new.predicate,
    }
}
