//! Rows of the tables that checks reason about: counted where a table is small, sampled where it is large. Numbers only, no values.

use std::collections::BTreeMap;

use sqlx::FromRow;

use super::medusa::named_schema;
use super::reader::{Reader, count};
use crate::evidence::medusa::{Medusa, RowCount};
use crate::evidence::postgres::{ColumnStats, Index, Table, quote};
use crate::evidence::{Cause, Gap, Listed, Section, Seen};

mod across;
mod questions;
mod statuses;

use questions::{GROUPS, QUESTIONS, Question};

/// Tables are counted exactly below both, else sampled.
const EXACT_ROWS_MAX: f64 = 50_000.0;
const EXACT_BYTES_MAX: u64 = 128 << 20;
/// Pages read of a larger table: 8 MB, a fraction of a second even from a cold disk. The rows of one page are of one age, so it is the
/// pages that make the sample: a share is off by three points at most, nineteen times of twenty.
const SAMPLE_PAGES: f64 = 1_000.0;

/// A table that may be counted.
#[derive(FromRow)]
struct Countable {
    table: String,
    rows_estimate: f64,
    live_rows: i64,
    bytes: i64,
    block_size: i64,
    is_readable: bool,
    hides_rows: bool,
    columns: Vec<String>,
    readable: Vec<String>,
}

#[derive(FromRow)]
struct CountRow {
    what: String,
    rows: i64,
}

type Placed<T> = Seen<(Listed<T>, Vec<i64>)>;

/// The counts. A table that cannot be counted is marked and does not hinder the others.
pub async fn read(
    reader: &mut Reader<'_>,
    medusa: &Seen<Medusa>,
    tables: &Placed<Table>,
    indexes: &Placed<Index>,
    stats: &Seen<Listed<ColumnStats>>,
) -> Seen<Vec<RowCount>> {
    let section = Section::PgRowCounts;
    let medusa = medusa.as_ref().map_err(|g| Gap { section, ..g.clone() })?;
    let schema = quote(&medusa.schema);
    let mut found: Vec<Countable> = reader.rows(section, &named_schema(include_str!("sql/countable.sql"), &schema)).await?;
    for table in &mut found {
        table.measure(&medusa.schema, tables);
    }
    let known = found.iter().map(|t| (t.table.clone(), t)).collect();
    let indexes = indexes.as_ref().map_or(&[][..], |(listed, _)| &listed.rows[..]);
    let mut counting = Counting { reader, medusa, schema, tables: known, indexes, counts: Vec::new() };
    for table in &found {
        counting.own_rows(table, stats).await?;
    }
    for group in GROUPS.iter().filter(|g| g.major.is_none_or(|m| m == medusa.major)) {
        counting.group(group).await?;
    }
    counting.inventory_drift().await?;
    counting.abandoned_items().await?;
    let mut counts = counting.counts;
    let by_status = statuses::orders(reader, &medusa.schema, &counts).await?;
    counts.extend(by_status);
    counts.sort_by(|a, b| (&a.table, &a.what).cmp(&(&b.table, &b.what)));
    counts.dedup_by(|a, b| a.table == b.table && a.what == b.what);
    Ok(counts)
}

impl Countable {
    /// Takes the measured size: the catalogue's own is as old as the last vacuum.
    fn measure(&mut self, schema: &str, tables: &Placed<Table>) {
        let Ok((listed, _)) = tables else { return };
        let Some(measured) = listed.rows.iter().find(|t| t.schema == schema && t.name == self.table) else { return };
        self.bytes = self.bytes.max(i64::try_from(measured.table_bytes).unwrap_or(i64::MAX));
    }

    fn has(&self, column: &str) -> bool {
        self.columns.iter().any(|c| c == column)
    }

    fn may_read(&self, columns: &[&str]) -> bool {
        self.is_readable && columns.iter().all(|c| self.readable.iter().any(|r| r == c))
    }

    fn rows(&self) -> f64 {
        self.rows_estimate.max(self.live_rows as f64)
    }

    fn is_within(&self, rows_max: f64) -> bool {
        self.rows() < rows_max && count(self.bytes) < EXACT_BYTES_MAX
    }

    fn pages(&self) -> f64 {
        (self.bytes / self.block_size.max(1)) as f64
    }

    /// By what a sample of this many pages is to be multiplied; 1: the whole table is read.
    fn factor(&self, pages_max: f64) -> f64 {
        (self.pages() / pages_max).max(1.0)
    }

    /// The same pages each time, so that two audits differ by what changed and not by luck.
    fn sample(&self, pages_max: f64) -> String {
        let factor = self.factor(pages_max);
        if factor > 1.0 { format!("tablesample pg_catalog.system ({:.6}) repeatable (0)", 100.0 / factor) } else { String::new() }
    }

    fn live(&self, alias: &str) -> String {
        if self.has("deleted_at") { format!("{alias}.deleted_at is null") } else { "true".to_owned() }
    }

    /// As far as the server's own figures tell; `None`: never analyzed and nothing counted.
    fn known_rows(&self) -> Option<u64> {
        match (count(self.live_rows), self.rows_estimate) {
            (0, e) if e < 0.0 => None,
            (0, e) => Some(e as u64),
            (live, _) => Some(live),
        }
    }
}

struct Counting<'r, 'l, 'm> {
    reader: &'r mut Reader<'l>,
    medusa: &'m Medusa,
    schema: String,
    tables: BTreeMap<String, &'m Countable>,
    indexes: &'m [Index],
    counts: Vec<RowCount>,
}

impl Counting<'_, '_, '_> {
    fn push(&mut self, table: &str, what: &str, rows: u64, is_estimate: bool) {
        self.counts.push(RowCount { table: table.to_owned(), what: what.to_owned(), rows, is_estimate });
    }

    /// Rows of one query; where it fails the table is marked. Only a lost connection ends the counting.
    async fn ask<T: for<'x> FromRow<'x, sqlx::postgres::PgRow>>(&mut self, table: &str, sql: &str) -> Seen<Vec<T>> {
        match self.reader.rows(Section::PgRowCounts, sql).await {
            Ok(rows) => Ok(rows),
            Err(gap) if gap.cause == Cause::Unreachable => Err(gap),
            Err(gap) => {
                self.reader.lane.gap(format!("Postgres row counts, {table}: {}", gap.detail));
                let mark = if matches!(gap.cause, Cause::Denied { .. }) { RowCount::UNREADABLE } else { RowCount::NOT_COUNTED };
                self.push(table, mark, 0, false);
                Ok(Vec::new())
            }
        }
    }

    /// Whether these columns are there and may be read; marks the table where they are there and may not.
    fn is_open(&mut self, table: &Countable, columns: &[&str]) -> bool {
        if !columns.iter().all(|c| table.has(c)) {
            return false;
        }
        let mark = if !table.may_read(columns) {
            RowCount::UNREADABLE
        } else if table.hides_rows {
            RowCount::ROW_SECURITY
        } else {
            return true;
        };
        self.push(&table.table, mark, 0, false);
        false
    }

    async fn own_rows(&mut self, table: &Countable, stats: &Seen<Listed<ColumnStats>>) -> Seen<()> {
        let major = self.medusa.major;
        let questions = QUESTIONS.iter().filter(|q| q.table == table.table && q.major.is_none_or(|m| m == major));
        let mut asked: Vec<&Question> = Vec::new();
        for question in questions {
            if self.is_open(table, question.needs) {
                asked.push(question);
            }
        }
        let is_exact = self.is_open(table, &[]) && table.is_within(EXACT_ROWS_MAX);
        if !is_exact {
            self.estimates(table, stats);
        }
        if is_exact || !asked.is_empty() {
            let sample = if is_exact { String::new() } else { table.sample(SAMPLE_PAGES) };
            let sql = question_sql(&self.schema, table, &asked, &sample);
            let rows: Vec<CountRow> = self.ask(&table.table, &sql).await?;
            if sample.is_empty() {
                rows.iter().for_each(|r| self.replace(&table.table, &r.what, count(r.rows)));
            } else {
                self.scaled(table, &rows);
            }
        }
        Ok(())
    }

    /// A count takes the place of an estimate.
    fn replace(&mut self, table: &str, what: &str, rows: u64) {
        self.counts.retain(|c| c.table != table || c.what != what);
        self.push(table, what, rows, false);
    }

    fn scaled(&mut self, table: &Countable, rows: &[CountRow]) {
        let read = rows.iter().find(|r| r.what == "total").map_or(0, |r| count(r.rows));
        let total = table.known_rows().unwrap_or((read as f64 * table.factor(SAMPLE_PAGES)) as u64);
        if table.known_rows().is_none() {
            self.push(&table.table, "total", total, true);
        }
        for row in rows.iter().filter(|r| r.what != "total" && read > 0) {
            self.counts.retain(|c| c.table != table.table || c.what != row.what);
            let scaled = count(row.rows) as f64 / read as f64 * total as f64;
            self.push(&table.table, &row.what, scaled.round() as u64, true);
        }
        self.push(&table.table, RowCount::PAGES_SAMPLED, SAMPLE_PAGES as u64, true);
    }

    /// From the planner's statistics.
    fn estimates(&mut self, table: &Countable, stats: &Seen<Listed<ColumnStats>>) {
        // Never analyzed and nothing counted: not known, so not said.
        let Some(rows) = table.known_rows() else { return };
        self.push(&table.table, "total", rows, true);
        let schema = &self.medusa.schema;
        let is_wanted = |c: &&ColumnStats| c.schema == *schema && c.table == table.table && c.column == "deleted_at";
        if let Some(column) = stats.as_ref().ok().and_then(|s| s.rows.iter().find(is_wanted)) {
            self.push(&table.table, "soft_deleted", ((1.0 - column.null_fraction) * rows as f64).round() as u64, true);
        }
    }
}

/// All counts of one table by one reading of it.
fn question_sql(schema: &str, table: &Countable, asked: &[&Question], sample: &str) -> String {
    let mut whats = vec!["total"];
    let mut counts = vec!["pg_catalog.count(*)".to_owned()];
    let mut add = |what: &'static str, condition: &str| {
        whats.push(what);
        counts.push(format!("pg_catalog.count(*) filter (where {condition})"));
    };
    if table.may_read(&["deleted_at"]) {
        add("soft_deleted", "t.deleted_at is not null");
    }
    for question in asked {
        add(question.what, question.condition);
    }
    include_str!("sql/count_rows.sql")
        .replace("{whats}", &format!("{{{}}}", whats.join(",")))
        .replace("{counts}", &counts.join(", "))
        .replace("{relation}", &format!("{schema}.{}", quote(&table.table)))
        .replace("{sample}", sample)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn countable(rows: f64, bytes: i64) -> Countable {
        let columns: Vec<String> = ["id", "deleted_at", "updated_at"].map(str::to_owned).to_vec();
        Countable {
            table: "cart".to_owned(),
            rows_estimate: rows,
            live_rows: 0,
            bytes,
            block_size: 8_192,
            is_readable: true,
            hides_rows: false,
            readable: columns.clone(),
            columns,
        }
    }

    #[test]
    fn small_tables_are_counted_and_large_ones_sampled() {
        assert!(countable(49_999.0, 1).is_within(EXACT_ROWS_MAX));
        assert!(!countable(50_000.0, 1).is_within(EXACT_ROWS_MAX));
        assert!(!countable(1.0, 128 << 20).is_within(EXACT_ROWS_MAX));
        assert_eq!(countable(1.0, 1_000 * 8_192).sample(SAMPLE_PAGES), "");
        assert_eq!(countable(1.0, 4_000 * 8_192).sample(SAMPLE_PAGES), "tablesample pg_catalog.system (25.000000) repeatable (0)");
    }

    #[test]
    fn what_was_never_counted_is_not_known() {
        assert_eq!(countable(-1.0, 1).known_rows(), None);
        assert_eq!(countable(7.0, 1).known_rows(), Some(7));
    }

    #[test]
    fn one_query_asks_all_of_a_table() {
        let question = questions::abandoned(2).unwrap();
        let sql = question_sql("public", &countable(1.0, 1), &[question], "");
        assert!(sql.contains("'{total,soft_deleted,abandoned_90_days}'::text[]"), "{sql}");
        assert!(sql.contains("from public.cart as t") && sql.contains("filter (where t.completed_at is null"), "{sql}");
        assert!(!sql.contains("{counts}") && !sql.contains("{sample}"), "{sql}");
    }
}
