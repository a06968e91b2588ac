//! How much room tables and btree indexes take, and how much their rows would need written afresh. Estimated from the planner's figures:
//! nothing is read from the tables. Where it cannot be exact it estimates the need high, so that bloat is missed rather than invented.

use std::collections::HashMap;

use crate::evidence::postgres::{Column, ColumnStats, Index, Postgres, Table};
use crate::evidence::{Cause, Gap, Section, Snapshot};
use crate::text;

/// Postgres's page, unless it was built otherwise, which no packaged or managed one is.
pub const PAGE: f64 = 8_192.0;
/// Page header of a table; an index page has a special area of 16 bytes beside it.
const HEADER: f64 = 24.0;
const INDEX_OVERHEAD: f64 = 40.0;
/// The pointer to a row at the page's start.
const POINTER: f64 = 4.0;
/// Row header without null bitmap, and what it is rounded up to.
const ROW_HEADER: f64 = 23.0;
const ALIGNED: f64 = 8.0;
const INDEX_ROW_HEADER: f64 = 8.0;
/// A value this long has a header of four bytes and starts at a multiple of four; a shorter one starts anywhere.
const SHORT_VALUE_MAX: f64 = 126.0;
/// `fillfactor` unless set.
const TABLE_FILL: f64 = 1.0;
const INDEX_FILL: f64 = 0.9;
/// Pages above the leaves, against the leaves: one entry a page, at most a few hundred a page.
const UPPER_PAGES: f64 = 0.01;
/// Equal keys are stored once from Postgres 13 on, with six bytes a row. Counted on only when each value has this many rows: ANALYZE may see
/// a tenth of the distinct values of a large table, and ten rows a value still leave the estimate within a third.
const ROWS_A_VALUE_MIN: f64 = 100.0;
const ROW_ID: f64 = 6.0;
/// A list of equal keys grows to a tenth of a page when the index is built.
const LIST_MAX: f64 = 812.0;
/// Changed since ANALYZE, of the rows: twice what brings autovacuum's own ANALYZE, so that a store in order is always judged.
const CHANGED_SHARE_MAX: f64 = 0.20;
/// The function through which a role reads widths without reading rows.
const STATS_GRANT: &str = include_str!("../connect/postgres/sql/column_stats_grant.sql");
const STATS_ROLE: &str = "medusa_advisor";

/// Bytes that something takes and would need.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Room {
    pub bytes: u64,
    pub needed: u64,
}

impl Room {
    pub fn wasted(&self) -> u64 {
        self.bytes.saturating_sub(self.needed)
    }

    /// 0…1 of what it takes.
    pub fn wasted_share(&self) -> f64 {
        if self.bytes == 0 { 0.0 } else { self.wasted() as f64 / self.bytes as f64 }
    }
}

/// Columns and their statistics by table.
pub struct Widths<'s> {
    columns: HashMap<(&'s str, &'s str), Vec<&'s Column>>,
    stats: HashMap<(&'s str, &'s str), Vec<&'s ColumnStats>>,
    is_whole: bool,
    role: Option<&'s str>,
}

impl<'s> Widths<'s> {
    /// # Errors
    /// The gap of the columns or of their statistics.
    pub fn of(pg: &'s Postgres) -> Result<Self, Gap> {
        let (listed, listed_stats) = (pg.columns()?, pg.column_stats()?);
        let mut columns: HashMap<_, Vec<&Column>> = HashMap::new();
        for column in &listed.rows {
            columns.entry((column.schema.as_str(), column.table.as_str())).or_default().push(column);
        }
        let mut stats: HashMap<_, Vec<&ColumnStats>> = HashMap::new();
        for one in &listed_stats.rows {
            stats.entry((one.schema.as_str(), one.table.as_str())).or_default().push(one);
        }
        let role = pg.server.as_ref().ok().map(|s| s.role.as_str());
        Ok(Self { columns, stats, is_whole: listed.is_whole() && listed_stats.is_whole(), role })
    }

    /// Room of the table itself, without indexes and TOAST.
    ///
    /// # Errors
    /// A gap when its statistics are stale, were never made or cannot be read.
    pub fn table(&self, table: &Table) -> Result<Room, Gap> {
        is_fresh(table)?;
        let columns = self.columns.get(&(table.schema.as_str(), table.name.as_str())).map_or(&[][..], Vec::as_slice);
        let stats = columns.iter().map(|c| self.column(table, &c.name).map(|s| (c, s))).collect::<Result<Vec<_>, Gap>>()?;
        if stats.is_empty() {
            return Err(self.unread(table));
        }
        let values: Vec<Value> = stats.iter().map(|(c, s)| Value::of(&c.data_type, s)).collect();
        let has_nulls = stats.iter().any(|(_, s)| s.null_fraction > 0.0);
        let count = values.len() as f64 + f64::from(table.dropped_columns);
        let bitmap = if has_nulls { (count / 8.0).ceil() } else { 0.0 };
        let row = aligned(ROW_HEADER + bitmap) + padded(&values) + POINTER;
        let fill = option(&table.options, "fillfactor").map_or(TABLE_FILL, |f| f / 100.0);
        // A row that does not fit goes to the next page whole.
        let rows_a_page = ((PAGE - HEADER) * fill / row).floor().max(1.0);
        Ok(Room { bytes: table.table_bytes, needed: ((rows(table) / rows_a_page).ceil() * PAGE) as u64 })
    }

    /// Room of a btree index.
    ///
    /// # Errors
    /// As for the table.
    pub fn index(&self, table: &Table, index: &Index) -> Result<Room, Gap> {
        is_fresh(table)?;
        let entries = match index.rows_estimate {
            known if known >= 0.0 => known,
            _ if index.predicate.is_none() => rows(table),
            _ => return Err(stale(table, format!("The rows of the partial index {} were never counted.", index.name))),
        };
        let mut values = self.expressions(table, index)?;
        for column in index.keys.iter().filter(|k| !k.is_expression).map(|k| &k.text).chain(&index.include) {
            values.push(self.value(table, index, column)?);
        }
        let fill = option(&index.options, "fillfactor").map_or(INDEX_FILL, |f| f / 100.0);
        let bytes = entries * entry_bytes(index, &values, entries);
        let leaves = (bytes / ((PAGE - INDEX_OVERHEAD) * fill)).ceil();
        // The first page describes the index; each leaf repeats the key where the next begins.
        let pages = 1.0 + (leaves * (1.0 + UPPER_PAGES)).ceil();
        Ok(Room { bytes: index.bytes, needed: (pages * PAGE) as u64 })
    }

    fn value(&self, table: &Table, index: &Index, column: &str) -> Result<Value, Gap> {
        let stats = self.column(table, column)?;
        let columns = self.columns.get(&(table.schema.as_str(), table.name.as_str())).map_or(&[][..], Vec::as_slice);
        let data_type = columns.iter().find(|c| c.name == column).map_or("text", |c| c.data_type.as_str());
        let mut value = Value::of(data_type, stats);
        // The statistics are of all rows; a partial index has those its predicate lets through.
        match index.predicate.as_deref().and_then(|p| says_of(p, column)) {
            Some(Says::Null) => value.null_share = 1.0,
            Some(Says::NotNull) => value.null_share = 0.0,
            None => {}
        }
        Ok(value)
    }

    /// ANALYZE keeps statistics of expressions under the index's name.
    fn expressions(&self, table: &Table, index: &Index) -> Result<Vec<Value>, Gap> {
        let wanted = index.keys.iter().filter(|k| k.is_expression).count();
        match self.stats.get(&(index.schema.as_str(), index.name.as_str())) {
            _ if wanted == 0 => Ok(Vec::new()),
            Some(found) if found.len() == wanted => Ok(found.iter().map(|s| Value::of("text", s)).collect()),
            _ => Err(stale(table, format!("There are no statistics of the expression of {}.", index.name))),
        }
    }

    fn column(&self, table: &Table, column: &str) -> Result<&'s ColumnStats, Gap> {
        let of_table = self.stats.get(&(table.schema.as_str(), table.name.as_str()));
        match of_table {
            None => Err(self.unread(table)),
            Some(stats) => stats.iter().find(|s| s.column == column).copied().ok_or_else(|| {
                stale(table, format!("There are no statistics of {}.{column}: the column is newer than the last ANALYZE.", table.name))
            }),
        }
    }

    /// No statistics of the table at all.
    fn unread(&self, table: &Table) -> Gap {
        if self.is_whole {
            return stale(table, format!("There are no statistics of {}: it was never analyzed.", table.name));
        }
        hidden(table, self.role)
    }
}

/// Why a table has no column statistics here, behind what is not known without them; `None`: it has.
pub fn without_statistics(pg: &Postgres, table: &Table, then: &str) -> Option<Gap> {
    let gap = match &pg.column_stats {
        Err(gap) => gap.clone(),
        Ok(stats) if stats.rows.iter().any(|s| s.schema == table.schema && s.table == table.name) => return None,
        Ok(stats) if stats.is_whole() => Gap { detail: format!("{} was never analyzed.", table.name), ..stale(table, String::new()) },
        Ok(_) => hidden(table, pg.server.as_ref().ok().map(|s| s.role.as_str())),
    };
    Some(Gap { detail: format!("{then} {}", gap.detail), ..gap })
}

fn hidden(table: &Table, role: Option<&str>) -> Gap {
    let grant = STATS_GRANT.replace(STATS_ROLE, &crate::evidence::postgres::quote(role.unwrap_or(STATS_ROLE)));
    let detail = format!("The statistics of {} are not among those this role sees.", table.name);
    Gap::new(Section::PgColumnStats, Cause::Denied { grant }, detail)
}

/// What is known of one column's values.
#[derive(Debug, Clone, Copy)]
struct Value {
    width: f64,
    align: f64,
    null_share: f64,
    /// As `pg_stats.n_distinct`.
    distinct: f64,
    /// The type's equal values look alike, so that an index may keep them once.
    is_foldable: bool,
}

impl Value {
    fn of(data_type: &str, stats: &ColumnStats) -> Self {
        let width = f64::from(stats.average_width);
        Self {
            width,
            align: alignment(data_type, width),
            null_share: stats.null_fraction.clamp(0.0, 1.0),
            distinct: stats.distinct,
            is_foldable: !["numeric", "real", "double precision", "jsonb"].iter().any(|t| data_type.starts_with(t)) && !data_type.ends_with("[]"),
        }
    }

    /// Distinct values among so many rows.
    fn distinct_of(&self, rows: f64) -> f64 {
        if self.distinct < 0.0 { -self.distinct * rows } else { self.distinct }
    }
}

/// Where a value may start. Types of the store's own (enums) are four bytes.
fn alignment(data_type: &str, width: f64) -> f64 {
    let starts = |names: &[&str]| names.iter().any(|n| data_type.starts_with(n));
    if data_type.ends_with("[]") || starts(&["text", "character", "numeric", "jsonb", "json", "bytea", "tsvector", "citext", "xml"]) {
        return if width > SHORT_VALUE_MAX { 4.0 } else { 1.0 };
    }
    if starts(&["timestamp", "bigint", "double precision", "time", "interval"]) {
        8.0
    } else if starts(&["boolean", "uuid", "\"char\""]) {
        1.0
    } else if data_type.starts_with("smallint") {
        2.0
    } else {
        4.0
    }
}

/// Bytes of the values with the gaps between them. The order of the columns is not relied on: every other gap is taken as half the widest
/// possible, and the row's end as half of eight.
fn padded(values: &[Value]) -> f64 {
    let widths: f64 = values.iter().map(|v| v.width * (1.0 - v.null_share)).sum();
    let first = values.first().map_or(1.0, |v| v.align);
    if first > 1.0 && values.iter().all(|v| v.align == first && v.null_share == 0.0) {
        return aligned(widths);
    }
    let gaps: f64 = values.iter().map(|v| (v.align - 1.0) / 2.0 * (1.0 - v.null_share)).sum();
    widths + gaps / 2.0 + (ALIGNED - 1.0) / 2.0
}

fn aligned(bytes: f64) -> f64 {
    (bytes / ALIGNED).ceil() * ALIGNED
}

/// Bytes an index entry takes on average, its pointer included.
fn entry_bytes(index: &Index, values: &[Value], entries: f64) -> f64 {
    let can_fold = !index.is_unique && index.include.is_empty() && values.iter().all(|v| v.is_foldable);
    let one = |key: f64, rows_a_value: f64| if can_fold && rows_a_value >= ROWS_A_VALUE_MIN { folded(key) } else { key + POINTER };
    if let [value] = values {
        // A single column's nulls are one value more, which is all bitmap.
        let nulls = entries * value.null_share;
        let of_nulls = one(INDEX_ROW_HEADER + ALIGNED, nulls);
        let of_values = one(INDEX_ROW_HEADER + aligned(value.width), (entries - nulls) / value.distinct_of(entries).max(1.0));
        return of_values * (1.0 - value.null_share) + of_nulls * value.null_share;
    }
    let nulls = values.iter().map(|v| v.null_share).fold(0.0, f64::max);
    let distinct: f64 = values.iter().map(|v| v.distinct_of(entries).max(1.0)).product();
    one(INDEX_ROW_HEADER + ALIGNED * nulls + padded(values), entries / distinct)
}

/// A row's part of a list of equal keys.
fn folded(key: f64) -> f64 {
    ROW_ID * (1.0 + (key + POINTER) / (LIST_MAX - key).max(ROW_ID))
}

enum Says {
    Null,
    NotNull,
}

/// What a predicate of terms joined by `and` says of a column.
fn says_of(predicate: &str, column: &str) -> Option<Says> {
    if predicate.to_ascii_uppercase().contains(" OR ") {
        return None;
    }
    let mut terms = predicate.split(" AND ").map(|t| t.trim().trim_matches(['(', ')']));
    terms.find_map(|term| {
        let is = |suffix: &str| term.strip_suffix(suffix).is_some_and(|name| name.trim_matches('"') == column);
        if is(" IS NOT NULL") {
            Some(Says::NotNull)
        } else if is(" IS NULL") {
            Some(Says::Null)
        } else {
            None
        }
    })
}

/// A storage parameter's number.
pub fn option(options: &[String], name: &str) -> Option<f64> {
    options.iter().find_map(|o| o.strip_prefix(name)?.strip_prefix('=')?.parse().ok())
}

/// Rows as counted when the statistics were made, or more where the counters saw more since.
fn rows(table: &Table) -> f64 {
    table.rows_estimate.max(table.live_rows as f64).max(0.0)
}

/// Whether the planner's figures are of the table as it is now.
///
/// # Errors
/// A gap with the ANALYZE that would make them so.
pub fn is_fresh(table: &Table) -> Result<(), Gap> {
    if table.rows_estimate < 0.0 {
        return Err(stale(table, format!("{} was never analyzed.", table.name)));
    }
    // Resetting the counters forgets when that was; what changed before the reset is not known.
    if table.last_analyze.or(table.last_autoanalyze).is_none() {
        return Err(stale(table, format!("When {} was last analyzed is not known: not since the counters were reset.", table.name)));
    }
    let share = table.modified_since_analyze as f64 / rows(table).max(1.0);
    if share > CHANGED_SHARE_MAX {
        let detail = format!("{} of the rows of {} changed since its statistics were made.", text::percent(share), table.name);
        return Err(stale(table, detail));
    }
    Ok(())
}

fn stale(table: &Table, why: String) -> Gap {
    let remedy = format!("analyze {};", table.full_name());
    let cause = Cause::Absent { feature: format!("fresh statistics of {}.{}", table.schema, table.name), remedy };
    Gap::new(Section::PgColumnStats, cause, format!("{why} An estimate of its bloat would be a guess."))
}

/// Bytes of all tables with what hangs on them: what a share of the disk is taken of.
pub fn all_bytes(snapshot: &Snapshot) -> Result<u64, Gap> {
    Ok(snapshot.pg()?.tables()?.rows.iter().map(Table::total_bytes).sum())
}

#[cfg(test)]
pub mod fixtures {
    use time::macros::datetime;

    use crate::evidence::Listed;
    use crate::evidence::postgres::{Column, ColumnStats, Postgres, Table};

    /// Rows of one 32-byte id on a page.
    const ROWS_A_PAGE: u64 = 128;

    /// A table of `pages` whose rows would fill `needed`, analyzed yesterday.
    pub fn bloated(name: &str, pages: u64, needed: u64) -> Table {
        let mut table = crate::checks::fixtures::table(name, needed * ROWS_A_PAGE, pages * 8_192);
        table.last_analyze = Some(datetime!(2026-11-22 09:30 UTC));
        table
    }

    /// Its one column, with statistics.
    pub fn widths(pg: &mut Postgres, table: &str) {
        pg.columns = Ok(Listed::whole(vec![column(table, "id", "text")]));
        pg.column_stats = Ok(Listed::whole(vec![stats(table, "id", 32, 0.0, -1.0)]));
    }

    pub fn column(table: &str, name: &str, data_type: &str) -> Column {
        Column { schema: "public".into(), table: table.into(), name: name.into(), data_type: data_type.into(), is_nullable: true }
    }

    pub fn stats(table: &str, column: &str, average_width: u32, null_fraction: f64, distinct: f64) -> ColumnStats {
        ColumnStats { schema: "public".into(), table: table.into(), column: column.into(), null_fraction, average_width, distinct, correlation: None }
    }
}

#[cfg(test)]
#[path = "bloat_tests.rs"]
mod tests;
