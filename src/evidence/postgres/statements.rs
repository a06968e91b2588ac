//! What the statements cost, and what the planner says of them.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::evidence::{Listed, Sampled};

/// `pg_stat_statements` of this database, folded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Statements {
    /// Rows after folding `in`-lists, sorted by total time, longest first; cut by the row limit.
    pub rows: Listed<Statement>,
    /// Rows before folding.
    pub rows_read: u64,
    /// Rows whose text this role may not see.
    pub hidden: u64,
    /// Our own statements, left out of `rows` and of `total`.
    pub own_excluded: u64,
    /// Sums over all statements of this database, the hidden and cut ones included, our own not.
    pub total: Sampled<StatementCounters>,
    #[serde(with = "time::serde::rfc3339::option")]
    pub reset_at: Option<OffsetDateTime>,
    /// Entries evicted because the table was full.
    pub evictions: Option<Sampled<u64>>,
    pub extension_version: String,
    /// `pg_stat_statements.max` and `.track`.
    pub max_entries: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Statement {
    /// `queryid` of the costliest folded row, as text (JSON numbers lose 64 bits).
    pub id: String,
    /// Normalised text, folded (`in ($1, …)`), cut at 4,000 characters.
    pub text: String,
    /// Characters of the longest whole text.
    pub text_chars: u64,
    /// Highest number of `$n` seen in one text.
    pub placeholders: u32,
    /// Rows of the view that were folded into this one.
    pub folded: u32,
    pub role: Option<String>,
    pub counters: Sampled<StatementCounters>,
}

/// Times in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct StatementCounters {
    pub calls: u64,
    pub total_ms: f64,
    /// Largest single call; of the whole period even in the window (the view keeps no other).
    pub max_ms: f64,
    /// Of the whole period.
    pub stddev_ms: f64,
    pub rows: u64,
    pub blocks_hit: u64,
    pub blocks_read: u64,
    pub blocks_dirtied: u64,
    pub temp_blocks_read: u64,
    pub temp_blocks_written: u64,
    pub io_ms: f64,
    /// Reading and writing temporary files; 15 and later with `track_io_timing`, else 0.
    #[serde(default)]
    pub temp_io_ms: f64,
    /// Compiling by the JIT; 15 and later, else 0.
    #[serde(default)]
    pub jit_ms: f64,
    #[serde(default)]
    pub wal_bytes: u64,
}

impl StatementCounters {
    /// Milliseconds a call; 0 when never called.
    pub fn mean_ms(&self) -> f64 {
        if self.calls == 0 { 0.0 } else { self.total_ms / self.calls as f64 }
    }

    /// Rows a call; 0 when never called.
    pub fn rows_a_call(&self) -> f64 {
        if self.calls == 0 { 0.0 } else { self.rows as f64 / self.calls as f64 }
    }
}

/// The plan of one statement for any parameters, without conditions: they could hold values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StatementPlan {
    pub statement_id: String,
    pub cost: f64,
    /// Indented lines, "Seq Scan on image (cost 4,211, rows 3)".
    pub lines: Vec<String>,
}

/// What the planner said of one statement with and without a hypothetical index.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Proof {
    pub statement_id: String,
    pub schema: String,
    pub table: String,
    pub columns: Vec<String>,
    /// The hypothetical index as created, `create index on …`.
    pub definition: String,
    /// "hypopg", "generic plan" (only the plan as it is now); else why the planner did not answer: "too long", "not allowed",
    /// "not explained", "out of time", "too many".
    pub method: String,
    pub cost_before: f64,
    pub node_before: String,
    pub rows_before: f64,
    pub cost_after: Option<f64>,
    /// Share 0…1 of the cost that is left where every block is priced as one in memory; `None` where the plans would be others then, or
    /// were not asked for.
    #[serde(default)]
    pub left_in_memory: Option<f64>,
    pub node_after: Option<String>,
    /// The plan with the hypothetical index names it. Earlier snapshots did not look: there the cost alone tells.
    #[serde(default = "taken_for_used")]
    pub is_used: bool,
    /// Estimated size of the hypothetical index.
    pub bytes: Option<u64>,
}

fn taken_for_used() -> bool {
    true
}

impl Proof {
    /// The planner answered; else `method` says why not.
    pub fn is_answer(&self) -> bool {
        self.method == "hypopg" || self.method == "generic plan"
    }
}
