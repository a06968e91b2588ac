//! Columns and their statistics: of the largest tables first, since a limit may bite.

use sqlx::FromRow;

use super::reader::{ROWS_MAX, Reader, small};
use super::schema::ids;
use crate::connect::postgres::column_stats_grant;
use crate::evidence::postgres::{Column, ColumnStats, Index, Table};
use crate::evidence::{Cause, Gap, Listed, Section, Seen};

/// Tables of one page: about as many as fill the limit on rows, so that a database of many tables is not read whole and then cut.
const TABLES_PAGE: usize = 1_000;

#[derive(FromRow)]
struct ColumnRow {
    schema: String,
    table: String,
    name: String,
    data_type: String,
    is_nullable: bool,
}

pub async fn columns(reader: &mut Reader<'_>, tables: &Seen<(Listed<Table>, Vec<i64>)>) -> Seen<Listed<Column>> {
    let decode = |r: ColumnRow| Column { schema: r.schema, table: r.table, name: r.name, data_type: r.data_type, is_nullable: r.is_nullable };
    let largest = largest_first(tables, Section::PgColumns)?;
    let mut rows = Vec::new();
    let mut pages = largest.chunks(TABLES_PAGE);
    for page in pages.by_ref() {
        let sql = include_str!("sql/columns.sql").replace("{ids}", &ids(page.iter().map(|(_, oid)| *oid)));
        rows.extend(reader.list(Section::PgColumns, &sql, decode).await?.rows);
        if rows.len() >= ROWS_MAX {
            break;
        }
    }
    let mut listed = cut(rows, pages.next().is_some());
    // Columns of one table stay in their order.
    listed.rows.sort_by(|a, b| (&a.schema, &a.table).cmp(&(&b.schema, &b.table)));
    Ok(listed)
}

#[derive(FromRow)]
struct ColumnStatsRow {
    schema: String,
    table: String,
    column: String,
    null_fraction: f64,
    average_width: i32,
    distinct: f64,
    correlation: Option<f64>,
}

#[derive(FromRow)]
struct ColumnStatsSourcesRow {
    has_function: bool,
    has_hidden_tables: bool,
    /// The function's owner does not see all tables either.
    is_hidden_from_function: bool,
}

/// Column statistics: from the view, or through `advisor.column_stats()` where the role may not read the tables themselves.
pub async fn column_stats(
    reader: &mut Reader<'_>,
    tables: &Seen<(Listed<Table>, Vec<i64>)>,
    indexes: &Seen<(Listed<Index>, Vec<i64>)>,
) -> Seen<Listed<ColumnStats>> {
    let section = Section::PgColumnStats;
    let sources: ColumnStatsSourcesRow = reader.row(section, include_str!("sql/column_stats_sources.sql")).await?;
    if sources.has_hidden_tables && sources.has_function {
        let sql = include_str!("sql/column_stats.sql").replace("{source}", "advisor.column_stats()").replace("{which}", "true");
        let mut stats = reader.list(section, &sql, decode_stats).await?;
        if sources.is_hidden_from_function {
            stats.cut = None;
        }
        return Ok(stats);
    }
    let indexes = indexes.as_ref().map_or(&[][..], |(listed, _)| &listed.rows);
    let mut stats = from_view(reader, tables, indexes).await?;
    if sources.has_hidden_tables {
        if stats.rows.is_empty() {
            let cause = Cause::Denied { grant: column_stats_grant(reader.role()) };
            return Err(Gap::new(
                section,
                cause,
                "pg_stats shows no rows: the role may read no table, or row level security hides them from it, and the function \
                 advisor.column_stats() is not there.",
            ));
        }
        // Only some tables are seen; how many columns are missing is not known.
        stats.cut = None;
    }
    Ok(stats)
}

/// The view asks for the privilege on every column of the database unless it is told which tables are meant.
async fn from_view(reader: &mut Reader<'_>, tables: &Seen<(Listed<Table>, Vec<i64>)>, indexes: &[Index]) -> Seen<Listed<ColumnStats>> {
    let section = Section::PgColumnStats;
    let largest = largest_first(tables, section)?;
    let sql = include_str!("sql/column_stats.sql").replace("{source}", "pg_catalog.pg_stats");
    let mut rows = Vec::new();
    let mut pages = largest.chunks(TABLES_PAGE);
    for page in pages.by_ref() {
        // Statistics of an indexed expression stand under the index's name.
        let is_here = |i: &&Index| i.keys.iter().any(|k| k.is_expression) && page.iter().any(|(t, _)| t.name == i.table);
        let of_expressions = indexes.iter().filter(is_here).map(|i| i.name.as_str());
        let which = format!("s.tablename = any ({}::name[])", names(page.iter().map(|(t, _)| t.name.as_str()).chain(of_expressions)));
        rows.extend(reader.list(section, &sql.replace("{which}", &which), decode_stats).await?.rows);
        if rows.len() >= ROWS_MAX {
            break;
        }
    }
    let mut listed = cut(rows, pages.next().is_some());
    listed.rows.sort_by(|a, b| (&a.schema, &a.table, &a.column).cmp(&(&b.schema, &b.table, &b.column)));
    // Tables of one name in two schemas may have been in two pages.
    listed.rows.dedup();
    Ok(listed)
}

fn decode_stats(r: ColumnStatsRow) -> ColumnStats {
    ColumnStats {
        schema: r.schema,
        table: r.table,
        column: r.column,
        null_fraction: r.null_fraction,
        average_width: small(r.average_width),
        distinct: r.distinct,
        correlation: r.correlation,
    }
}

fn largest_first(tables: &Seen<(Listed<Table>, Vec<i64>)>, section: Section) -> Seen<Vec<(&Table, i64)>> {
    let (tables, oids) = tables.as_ref().map_err(|g| Gap { section, ..g.clone() })?;
    let mut largest: Vec<(&Table, i64)> = tables.rows.iter().zip(oids.iter().copied()).collect();
    largest.sort_by(|(a, _), (b, _)| b.total_bytes().cmp(&a.total_bytes()).then_with(|| (&a.schema, &a.name).cmp(&(&b.schema, &b.name))));
    Ok(largest)
}

/// Keeps those of the largest tables; one at the limit means more, as in every list.
fn cut<T>(mut rows: Vec<T>, is_more: bool) -> Listed<T> {
    let is_cut = is_more || rows.len() >= ROWS_MAX;
    rows.truncate(ROWS_MAX);
    Listed { rows, cut: if is_cut { None } else { Some(0) } }
}

/// Names as the literal of an array: quoted twice, for the array and for the string.
fn names<'n>(names: impl Iterator<Item = &'n str>) -> String {
    let quoted: Vec<String> = names.map(|n| format!("\"{}\"", n.replace('\\', "\\\\").replace('"', "\\\""))).collect();
    format!("'{{{}}}'", quoted.join(",").replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::names;

    #[test]
    fn odd_names_stay_inside_their_quotes() {
        let odd = [r"a'b", r#"c"d"#, r"e\f", "g,h"];
        assert_eq!(names(odd.into_iter()), r#"'{"a''b","c\"d","e\\f","g,h"}'"#);
    }
}
