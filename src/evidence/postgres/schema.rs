//! Tables, indexes, constraints, columns and sequences, with the counters of their use.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::evidence::Sampled;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Table {
    pub schema: String,
    pub name: String,
    /// The extension that owns it, or `None`.
    pub extension: Option<String>,
    /// "r" table, "p" partitioned, "m" materialized view.
    pub kind: String,
    /// `pg_class.reltuples`; −1 = never analyzed.
    pub rows_estimate: f64,
    pub table_bytes: u64,
    pub index_bytes: u64,
    pub toast_bytes: u64,
    pub dead_rows: u64,
    pub live_rows: u64,
    pub modified_since_analyze: u64,
    #[serde(with = "time::serde::rfc3339::option")]
    pub last_vacuum: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option")]
    pub last_autovacuum: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option")]
    pub last_analyze: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option")]
    pub last_autoanalyze: Option<OffsetDateTime>,
    /// Storage parameters, `autovacuum_vacuum_scale_factor=0.02`.
    pub options: Vec<String>,
    pub counters: Sampled<TableCounters>,
    /// Age of the oldest unfrozen transaction id, its TOAST table's included.
    pub xid_age: u64,
    /// Age of the oldest multixact, its TOAST table's included.
    #[serde(default)]
    pub mxid_age: u64,
    /// Columns that were dropped: rows written before keep their values until they are written again.
    #[serde(default)]
    pub dropped_columns: u32,
    /// The partitioned table that it is a partition of.
    #[serde(default)]
    pub partition_of: Option<TableName>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableName {
    pub schema: String,
    pub name: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TableCounters {
    pub seq_scans: u64,
    pub seq_rows_read: u64,
    pub index_scans: u64,
    pub index_rows_fetched: u64,
    pub inserts: u64,
    pub updates: u64,
    pub deletes: u64,
    pub hot_updates: u64,
}

impl Table {
    /// `schema.name`, quoted where SQL needs it.
    pub fn full_name(&self) -> String {
        format!("{}.{}", quote(&self.schema), quote(&self.name))
    }

    /// Heap, indexes and TOAST.
    pub fn total_bytes(&self) -> u64 {
        self.table_bytes + self.index_bytes + self.toast_bytes
    }

    /// Live rows as best known: the collector's counter, else the planner's estimate; `None`: never analyzed and nothing counted.
    pub fn rows(&self) -> Option<u64> {
        if self.live_rows > 0 {
            Some(self.live_rows.max(self.rows_estimate.max(0.0) as u64))
        } else if self.rows_estimate >= 0.0 {
            Some(self.rows_estimate as u64)
        } else {
            None
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Index {
    pub schema: String,
    pub table: String,
    pub name: String,
    /// btree, hash, gin, gist, brin, spgist.
    pub method: String,
    /// Key columns in order, then nothing; INCLUDE columns are apart.
    pub keys: Vec<IndexKey>,
    pub include: Vec<String>,
    /// `pg_get_expr(indpred)`, e.g. `(deleted_at IS NULL)`.
    pub predicate: Option<String>,
    pub is_unique: bool,
    pub nulls_not_distinct: bool,
    pub is_primary: bool,
    pub is_valid: bool,
    pub is_ready: bool,
    /// A CREATE INDEX or REINDEX is running on it now.
    pub is_building: bool,
    pub is_replica_identity: bool,
    /// Of a partition, and part of the index of the whole table: it goes with that one only.
    #[serde(default)]
    pub is_attached: bool,
    /// The constraint it backs.
    pub constraint: Option<String>,
    /// Owned by an extension.
    pub extension: Option<String>,
    /// `pg_get_indexdef`.
    pub definition: String,
    pub bytes: u64,
    /// `pg_class.reltuples` of the index; −1 = never counted.
    #[serde(default = "never_counted")]
    pub rows_estimate: f64,
    /// Storage parameters, `fillfactor=70`.
    #[serde(default)]
    pub options: Vec<String>,
    pub scans: Sampled<u64>,
    /// Postgres 16 and later.
    #[serde(with = "time::serde::rfc3339::option")]
    pub last_scan: Option<OffsetDateTime>,
    /// It is at least so old: by the date of the transaction that wrote its catalogue entry, or by how many transactions ago that was. `None`:
    /// not recorded.
    #[serde(default)]
    pub age_s_min: Option<f64>,
}

impl Index {
    /// The index of a partitioned table or a partition's part of one: neither can be dropped concurrently, the part not at all.
    pub fn is_partitioned(&self) -> bool {
        self.is_attached || self.definition.contains(" ON ONLY ")
    }
}

/// One key column of an index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexKey {
    /// The column's name unquoted, or the expression's text.
    pub text: String,
    pub is_expression: bool,
    /// Operator class when it is not the type's default: `text_pattern_ops`, `gin_trgm_ops`.
    pub opclass: Option<String>,
    /// Collation when it is not the column's default.
    pub collation: Option<String>,
    pub is_descending: bool,
    pub nulls_first: bool,
}

fn never_counted() -> f64 {
    -1.0
}

impl Index {
    pub fn full_name(&self) -> String {
        format!("{}.{}", quote(&self.schema), quote(&self.name))
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Constraint {
    pub schema: String,
    pub table: String,
    pub name: String,
    /// "p", "u", "f", "c", "x".
    pub kind: String,
    pub columns: Vec<String>,
    pub is_validated: bool,
    /// For foreign keys: the parent.
    pub parent_schema: Option<String>,
    pub parent_table: Option<String>,
    pub parent_columns: Vec<String>,
    /// "a" no action, "r" restrict, "c" cascade, "n" set null, "d" set default.
    pub on_delete: Option<String>,
    pub on_update: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Column {
    pub schema: String,
    pub table: String,
    pub name: String,
    /// `format_type`, e.g. `text`, `timestamp with time zone`.
    pub data_type: String,
    pub is_nullable: bool,
}

/// `pg_stats` without values: no most common values, no histogram is ever read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ColumnStats {
    pub schema: String,
    pub table: String,
    pub column: String,
    pub null_fraction: f64,
    /// Bytes.
    pub average_width: u32,
    /// As `pg_stats.n_distinct`: positive a count, negative a share of the rows.
    pub distinct: f64,
    pub correlation: Option<f64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sequence {
    pub schema: String,
    pub name: String,
    /// `None`: no permission or never used.
    pub last_value: Option<i64>,
    pub is_readable: bool,
    /// The smaller of the sequence's and its column's limit.
    pub max_value: i64,
    pub column: Option<String>,
}

/// PostgreSQL's reserved words, those that may name a function or type included (`pg_get_keywords`, catcode R and T, 13 to 18).
const RESERVED: &str = "all analyse analyze and any array as asc asymmetric authorization binary both case cast check collate collation column \
    concurrently constraint create cross current_catalog current_date current_role current_schema current_time current_timestamp current_user \
    default deferrable desc distinct do else end except false fetch for foreign freeze from full grant group having ilike in initially inner \
    intersect into is isnull join lateral leading left like limit localtime localtimestamp natural not notnull null offset on only or order outer \
    overlaps placing primary references returning right select session_user similar some symmetric system_user table tablesample then to \
    trailing true union unique user using variadic verbose when where window with";

/// An identifier as SQL needs it: quoted when it is a reserved word or not plain lower case.
pub fn quote(identifier: &str) -> String {
    let plain = identifier.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && identifier.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        && !RESERVED.split_ascii_whitespace().any(|word| word == identifier);
    if plain { identifier.to_owned() } else { format!("\"{}\"", identifier.replace('"', "\"\"")) }
}

#[cfg(test)]
mod tests {
    use super::quote;

    #[test]
    fn identifiers_are_quoted_where_sql_needs_it() {
        assert_eq!(quote("image"), "image");
        assert_eq!(quote("order"), "\"order\"");
        assert_eq!(quote("IDX_a"), "\"IDX_a\"");
        assert_eq!(quote("a\"b"), "\"a\"\"b\"");
        assert_eq!(quote("1a"), "\"1a\"");
    }
}
