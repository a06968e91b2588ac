//! Charts of tables and indexes for the window; the report has its own choice.

use super::{BARS_MAX, ChartKind, ChartSpec, Drawn, Series, SeriesRole, Unit, XAxis, sentence};
use crate::evidence::Snapshot;
use crate::evidence::postgres::{Index, Table};
use crate::text;

/// Tables with fewer dead rows are vacuumed in no time, whatever their share.
const DEAD_ROWS_MIN: u64 = 1_000;

/// Bars of one measure, a category each.
fn bars(id: &str, title: &str, caption: String, unit: Unit, rows: Vec<(String, f64)>) -> ChartSpec {
    let conclusion = match rows.first() {
        Some((name, value)) => format!("{title}: {name} leads with {}.", unit.format(*value)),
        None => format!("{title}: none."),
    };
    ChartSpec {
        id: id.to_owned(),
        title: title.to_owned(),
        caption,
        conclusion,
        kind: ChartKind::HorizontalBars,
        unit,
        series: vec![Series::of_categories(title, SeriesRole::Postgres, rows.iter().map(|r| Some(r.1)))],
        target: None,
        categories: rows.into_iter().map(|r| r.0).collect(),
        x_axis: XAxis::Categories,
    }
}

/// Dead rows of all rows of a table, 0…1.
pub fn dead_share(t: &Table) -> f64 {
    t.dead_rows as f64 / (t.dead_rows + t.live_rows).max(1) as f64
}

/// The share of dead rows where there are many, against the share at which autovacuum is due.
pub fn dead_rows(snapshot: &Snapshot) -> Drawn {
    let pg = snapshot.pg().map_err(|g| sentence(&g))?;
    let seen = pg.tables().map_err(|g| sentence(&g))?;
    let mut tables: Vec<&Table> = seen.rows.iter().filter(|t| t.dead_rows >= DEAD_ROWS_MIN).collect();
    tables.sort_by(|a, b| dead_share(b).total_cmp(&dead_share(a)).then_with(|| a.full_name().cmp(&b.full_name())));
    tables.truncate(BARS_MAX);
    if tables.is_empty() {
        return Err(format!("No table has {} dead rows or more.", text::count(DEAD_ROWS_MIN)));
    }
    let factor = pg.settings().ok().and_then(|all| all.iter().find(|s| s.name == "autovacuum_vacuum_scale_factor")?.value.parse::<f64>().ok());
    let caption = match factor {
        Some(factor) => format!("of the table's rows; autovacuum is due at {}", text::percent(factor)),
        None => "of the table's rows".to_owned(),
    };
    let rows = tables.iter().map(|t| (t.name.clone(), dead_share(t))).collect();
    Ok(ChartSpec { target: factor, ..bars("pg.dead_rows", "Dead rows", caption, Unit::Ratio, rows) })
}

pub fn largest_indexes(snapshot: &Snapshot) -> Drawn {
    let seen = snapshot.pg().and_then(|pg| pg.indexes()).map_err(|g| sentence(&g))?;
    let mut indexes: Vec<&Index> = seen.rows.iter().filter(|i| i.bytes > 0).collect();
    indexes.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.full_name().cmp(&b.full_name())));
    indexes.truncate(BARS_MAX);
    if indexes.len() < 3 {
        return Err("Fewer than three indexes hold data.".to_owned());
    }
    let rows = indexes.iter().map(|i| (i.name.clone(), i.bytes as f64)).collect();
    Ok(bars("pg.indexes", "Largest indexes", "on disk".to_owned(), Unit::BytesDisk, rows))
}

/// Bytes of all indexes by what they are for: keys, scanned, never scanned, invalid.
pub fn index_use(snapshot: &Snapshot) -> Drawn {
    let pg = snapshot.pg().map_err(|g| sentence(&g))?;
    let seen = pg.indexes().map_err(|g| sentence(&g))?;
    if seen.rows.is_empty() {
        return Err("The database has no index.".to_owned());
    }
    let bytes = |wanted: fn(&Index) -> bool| seen.rows.iter().filter(|i| wanted(i)).map(|i| i.bytes as f64).sum::<f64>();
    let rows: Vec<(String, f64)> = [
        ("scanned", bytes(|i| i.is_valid && !(i.is_primary || i.is_unique) && i.scans.total > 0)),
        ("primary and unique", bytes(|i| i.is_valid && (i.is_primary || i.is_unique))),
        ("never scanned", bytes(|i| i.is_valid && !(i.is_primary || i.is_unique) && i.scans.total == 0)),
        ("invalid", bytes(|i| !i.is_valid)),
    ]
    .into_iter()
    .map(|(name, bytes)| (name.to_owned(), bytes))
    .collect();
    let since = pg.server().ok().and_then(|s| s.stats_reset_at);
    let caption = since.map_or_else(|| "bytes, since the reset".to_owned(), |at| format!("bytes, since {}", text::date(at)));
    Ok(bars("pg.index_use", "Indexes by use", caption, Unit::BytesDisk, rows))
}
