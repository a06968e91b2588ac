//! Orders by status, from the planner's frequencies of the enumeration's words: nothing is scanned.

use sqlx::FromRow;

use crate::collect::postgres::reader::Reader;
use crate::evidence::medusa::RowCount;
use crate::evidence::{Section, Seen};

#[derive(FromRow)]
struct StatusRow {
    status: String,
    frequency: f64,
}

/// "status pending" and so on. Nothing where the role may not read the column or the table was never analyzed.
pub async fn orders(reader: &mut Reader<'_>, schema: &str, counts: &[RowCount]) -> Seen<Vec<RowCount>> {
    let Some(total) = counts.iter().find(|c| c.table == "order" && c.what == "total").map(|c| c.rows) else { return Ok(Vec::new()) };
    let sql = include_str!("../sql/order_statuses.sql").replace("{schema}", &schema.replace('\'', "''"));
    let rows: Vec<StatusRow> = reader.rows(Section::PgRowCounts, &sql).await?;
    let one = |r: StatusRow| RowCount {
        table: "order".to_owned(),
        what: format!("status {}", r.status),
        rows: (r.frequency * total as f64).round() as u64,
        is_estimate: true,
    };
    Ok(rows.into_iter().map(one).collect())
}
