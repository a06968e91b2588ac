//! What the tables tell of Medusa: version, media hosts, row counts. Public media addresses and counts only.

use sqlx::FromRow;

use super::reader::{Reader, count};
use crate::connect::postgres::{medusa, quote_role};
use crate::evidence::medusa::{MediaHost, Medusa, Module, RowCount};
use crate::evidence::postgres::{ColumnStats, quote};
use crate::evidence::{Cause, Gap, Listed, Section, Seen};

/// Addresses read a column; the `media_*.sql` files say the same.
const ADDRESSES_MAX: u64 = 10_000;
/// Tables are counted exactly below both, else estimated.
const EXACT_ROWS_MAX: f64 = 50_000.0;
const EXACT_BYTES_MAX: u64 = 128 << 20;

/// Which Medusa this is.
pub async fn installation(reader: &mut Reader<'_>) -> Seen<Medusa> {
    let found = medusa::detect(&mut reader.session).await.map_err(|e| reader.gap(Section::PgMedusa, &e))?;
    let Some(found) = found else {
        let remedy = "Choose the database named in the store's DATABASE_URL.".to_owned();
        let cause = Cause::Absent { feature: "Medusa's tables".to_owned(), remedy };
        return Err(Gap::new(
            Section::PgMedusa,
            cause,
            "This is not a Medusa database: neither the tables of version 1 nor those of version 2 are there.",
        ));
    };
    let module = |(name, table, is_present): (&str, &str, bool)| Module { name: name.to_owned(), table: table.to_owned(), is_present };
    Ok(Medusa {
        major: found.major,
        version: found.version,
        evidence: found.evidence,
        schema: found.schema,
        tables: found.tables,
        modules: found.modules.into_iter().map(module).collect(),
    })
}

#[derive(FromRow)]
struct AccessRow {
    table: String,
    column: String,
    is_readable: bool,
}

#[derive(FromRow)]
struct MediaRow {
    host: String,
    folder: String,
    local_form: i64,
    count: i64,
    example: String,
    read: i64,
}

/// Media addresses by host.
pub async fn media(reader: &mut Reader<'_>, medusa: &Seen<Medusa>) -> Seen<Vec<MediaHost>> {
    let medusa = medusa.as_ref().map_err(|g| Gap { section: Section::PgMedia, ..g.clone() })?;
    let schema = quote(&medusa.schema);
    let access: Vec<AccessRow> = reader.rows(Section::PgMedia, &named_schema(include_str!("sql/media_access.sql"), &schema)).await?;
    if access.iter().any(|a| !a.is_readable) {
        let cause = Cause::Denied { grant: media_grant(&access, &schema, reader.role()) };
        return Err(Gap::new(Section::PgMedia, cause, "The role may not read the addresses of images and thumbnails."));
    }
    let images = if medusa.major == 2 { include_str!("sql/media_images_v2.sql") } else { include_str!("sql/media_images_v1.sql") };
    let mut hosts = Vec::new();
    for (column, sample) in [("image.url", images), ("product.thumbnail", include_str!("sql/media_thumbnails.sql"))] {
        let sql = include_str!("sql/media.sql").replace("{sample}", sample).replace("{schema}", &schema);
        let rows: Vec<MediaRow> = reader.rows(Section::PgMedia, &sql).await?;
        if rows.iter().map(|r| count(r.read)).max().unwrap_or(0) >= ADDRESSES_MAX {
            reader.lane.activity(format!("Postgres media: only the first {ADDRESSES_MAX} addresses of {column} were read"));
        }
        hosts.extend(rows.into_iter().map(|r| host(column, r)));
    }
    Ok(hosts)
}

fn host(column: &str, r: MediaRow) -> MediaHost {
    MediaHost {
        column: column.to_owned(),
        host: r.host,
        folder: r.folder,
        local_form: count(r.local_form),
        count: count(r.count),
        example: r.example,
    }
}

fn media_grant(access: &[AccessRow], schema: &str, role: &str) -> String {
    let mut grants = Vec::new();
    for table in ["image", "product", "product_images"] {
        let columns: Vec<String> = access.iter().filter(|a| a.table == table).map(|a| quote(&a.column)).collect();
        if !columns.is_empty() {
            grants.push(format!("grant select ({}) on {schema}.{table} to {};", columns.join(", "), quote_role(role)));
        }
    }
    grants.join("\n")
}

/// The quoted schema inside a text literal.
fn named_schema(sql: &str, quoted: &str) -> String {
    sql.replace("{schema}", &quoted.replace('\'', "''"))
}

#[derive(FromRow)]
struct CountableRow {
    table: String,
    rows_estimate: f64,
    live_rows: i64,
    bytes: i64,
    is_readable: bool,
    columns: Vec<String>,
}

#[derive(FromRow)]
struct StatusRow {
    status: String,
    frequency: f64,
}

#[derive(FromRow)]
struct CountRow {
    table: String,
    what: String,
    rows: i64,
}

/// Rows of the tables checks reason about: counted where the table is small and readable, else the planner's estimate.
pub async fn row_counts(reader: &mut Reader<'_>, medusa: &Seen<Medusa>, stats: &Seen<Listed<ColumnStats>>) -> Seen<Vec<RowCount>> {
    let section = Section::PgRowCounts;
    let medusa = medusa.as_ref().map_err(|g| Gap { section, ..g.clone() })?;
    let schema = quote(&medusa.schema);
    let tables: Vec<CountableRow> = reader.rows(section, &named_schema(include_str!("sql/countable.sql"), &schema)).await?;
    let mut counts = Vec::new();
    let mut queries = Vec::new();
    for table in &tables {
        let exact = table.is_readable && table.rows_estimate.max(table.live_rows as f64) < EXACT_ROWS_MAX && count(table.bytes) < EXACT_BYTES_MAX;
        if exact {
            queries.extend(questions(table).into_iter().map(|(what, condition)| one_count(&schema, &table.table, what, condition)));
        } else {
            counts.extend(estimates(table, medusa, stats));
        }
    }
    if !queries.is_empty() {
        let sql = format!("{}\n{}\norder by 1, 2", crate::connect::postgres::TAG, queries.join("union all\n"));
        let rows: Vec<CountRow> = reader.rows(section, &sql).await?;
        counts.extend(rows.into_iter().map(|r| RowCount { table: r.table, what: r.what, rows: count(r.rows), is_estimate: false }));
    }
    counts.extend(order_statuses(reader, &medusa.schema, &counts).await?);
    counts.sort_by(|a, b| (&a.table, &a.what).cmp(&(&b.table, &b.what)));
    Ok(counts)
}

/// Orders by status, "status pending": the planner's frequencies of the enumeration's words. Nothing where the role may not read the
/// column or the table was never analyzed.
async fn order_statuses(reader: &mut Reader<'_>, schema: &str, counts: &[RowCount]) -> Seen<Vec<RowCount>> {
    let Some(total) = counts.iter().find(|c| c.table == "order" && c.what == "total").map(|c| c.rows) else { return Ok(Vec::new()) };
    let sql = include_str!("sql/order_statuses.sql").replace("{schema}", &schema.replace('\'', "''"));
    let rows: Vec<StatusRow> = reader.rows(Section::PgRowCounts, &sql).await?;
    let one = |r: StatusRow| RowCount {
        table: "order".to_owned(),
        what: format!("status {}", r.status),
        rows: (r.frequency * total as f64).round() as u64,
        is_estimate: true,
    };
    Ok(rows.into_iter().map(one).collect())
}

/// What is counted of a table: a name and the condition.
fn questions(table: &CountableRow) -> Vec<(&'static str, &'static str)> {
    let has = |column: &str| table.columns.iter().any(|c| c == column);
    let mut questions = vec![("total", "true")];
    if has("deleted_at") {
        questions.push(("soft_deleted", "t.deleted_at is not null"));
    }
    if table.table == "cart" && has("completed_at") {
        questions.push(("completed", "t.completed_at is not null"));
    }
    if table.table == "workflow_execution" && has("state") && has("retention_time") {
        questions.push(("final", "t.state in ('done', 'failed', 'reverted')"));
        questions.push(("retention_null_final", "t.retention_time is null and t.state in ('done', 'failed', 'reverted')"));
        if has("updated_at") {
            questions.push((
                "stuck",
                "t.state not in ('done', 'failed', 'reverted') and t.updated_at < pg_catalog.now() at time zone 'UTC' - interval '1 day'",
            ));
        }
    }
    questions
}

fn one_count(schema: &str, table: &str, what: &str, condition: &str) -> String {
    let relation = format!("{schema}.{}", quote(table));
    include_str!("sql/count_rows.sql")
        .replace("{table}", table)
        .replace("{what}", what)
        .replace("{relation}", &relation)
        .replace("{condition}", condition)
}

fn estimates(table: &CountableRow, medusa: &Medusa, stats: &Seen<Listed<ColumnStats>>) -> Vec<RowCount> {
    if table.rows_estimate < 0.0 && table.live_rows == 0 {
        // Never analyzed and nothing counted: not known, so not said.
        return Vec::new();
    }
    let rows = if table.live_rows > 0 { count(table.live_rows) } else { table.rows_estimate.max(0.0) as u64 };
    let estimate = |what: &str, rows: u64| RowCount { table: table.table.clone(), what: what.to_owned(), rows, is_estimate: true };
    let mut counts = vec![estimate("total", rows)];
    let deleted_at =
        stats.as_ref().ok().and_then(|s| s.rows.iter().find(|c| c.schema == medusa.schema && c.table == table.table && c.column == "deleted_at"));
    if let Some(column) = deleted_at {
        counts.push(estimate("soft_deleted", ((1.0 - column.null_fraction) * rows as f64).round() as u64));
    }
    counts
}
