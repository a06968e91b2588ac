//! Charts and tables of the database.

use super::{BARS_MAX, ChartKind, ChartSpec, Drawn, Series, SeriesRole, Unit, XAxis, line, sentence, span, timeline};
use crate::evidence::postgres::{Statement, StatementCounters, Table};
use crate::evidence::{Gap, Snapshot};
use crate::text;

mod relations;
mod sessions;

pub use relations::{dead_rows, dead_share, index_use, largest_indexes};
pub use sessions::{sessions, wait_events};

/// Size of a block in every build that is shipped; the counters of temporary files are in blocks.
pub const BLOCK_BYTES: u64 = 8_192;

/// Time spent in the database each second of the window: the costliest statement and the rest where both were sampled.
pub fn database_time(snapshot: &Snapshot) -> Drawn {
    let caption = "s per s, sampled each second";
    let mut chart = line(snapshot, "pg.database_time", "Database time", caption, Unit::SecondsPerSecond, SeriesRole::Postgres, None)?;
    let Ok(top) = timeline(snapshot, "pg.top_statement_time") else { return Ok(chart) };
    let total = std::mem::take(&mut chart.series[0].points);
    let rest = total.iter().map(|(x, all)| (*x, all.zip(value_at(&top.points, *x)).map(|(all, top)| (all - top).max(0.0)))).collect();
    let top = total.iter().map(|(x, all)| (*x, all.zip(value_at(&top.points, *x)).map(|(all, top)| top.min(all)))).collect();
    chart.kind = ChartKind::Stacked;
    chart.series = vec![Series::new("costliest statement", SeriesRole::Postgres, top), Series::new("all other statements", SeriesRole::Rest, rest)];
    Ok(chart)
}

/// The sample taken at the same moment; timelines of one run share their clock.
fn value_at(points: &[(f64, Option<f64>)], x: f64) -> Option<f64> {
    points.iter().find(|p| (p.0 - x).abs() < 0.5).and_then(|p| p.1)
}

/// Over which period counters are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Base {
    Window,
    SinceReset,
}

/// One statement of the table "Statements by total time".
#[derive(Debug, Clone, PartialEq)]
pub struct StatementRow {
    pub id: String,
    /// Normalised text on one line.
    pub text: String,
    /// 0…1 of all database time in the same period.
    pub share: f64,
    pub total_ms: f64,
    pub calls: u64,
    pub mean_ms: f64,
    pub rows_a_call: f64,
    /// Blocks looked up in a call, in memory or not.
    pub blocks_a_call: f64,
    /// Written to temporary files in all calls.
    pub temp_bytes: u64,
}

/// Statements by total time, longest first, those never called in the period left out.
///
/// # Errors
/// The gap of the statements section, or one that says there is no second sample.
pub fn statements(snapshot: &Snapshot, base: Base) -> Result<Vec<StatementRow>, Gap> {
    let seen = snapshot.pg()?.statements()?;
    let of = |s: &crate::evidence::Sampled<StatementCounters>| match base {
        Base::Window => s.window,
        Base::SinceReset => Some(s.total),
    };
    let total_ms = of(&seen.total).map_or(0.0, |t| t.total_ms);
    let row = |s: &Statement| {
        let c = of(&s.counters).filter(|c| c.calls > 0)?;
        Some(StatementRow {
            id: s.id.clone(),
            text: text::one_line(&s.text),
            share: if total_ms > 0.0 { (c.total_ms / total_ms).min(1.0) } else { 0.0 },
            total_ms: c.total_ms,
            calls: c.calls,
            mean_ms: c.mean_ms(),
            rows_a_call: c.rows_a_call(),
            blocks_a_call: (c.blocks_hit + c.blocks_read) as f64 / c.calls as f64,
            temp_bytes: c.temp_blocks_written * BLOCK_BYTES,
        })
    };
    let mut rows: Vec<StatementRow> = seen.rows.rows.iter().filter_map(row).collect();
    rows.sort_by(|a, b| b.total_ms.total_cmp(&a.total_ms).then_with(|| a.id.cmp(&b.id)));
    Ok(rows)
}

/// The costliest statements as bars, in the window where there is one.
pub fn statements_by_time(snapshot: &Snapshot) -> Drawn {
    let mut rows = statements(snapshot, Base::Window).map_err(|g| sentence(&g))?;
    let mut period = format!("{} window", text::seconds(snapshot.meta.window_s));
    if rows.is_empty() {
        rows = statements(snapshot, Base::SinceReset).map_err(|g| sentence(&g))?;
        "since the counters were reset".clone_into(&mut period);
    }
    rows.truncate(BARS_MAX);
    let [first, _, _, ..] = rows.as_slice() else { return Err("Fewer than three statements ran.".to_owned()) };
    let conclusion = format!("Statements by total time: the first takes {} of database time.", text::percent(first.share));
    Ok(ChartSpec {
        id: "pg.statements".into(),
        title: "Statements by total time".into(),
        caption: format!("time in all calls, {period}"),
        conclusion,
        kind: ChartKind::HorizontalBars,
        unit: Unit::Millis,
        series: vec![Series::of_categories("total time", SeriesRole::Postgres, rows.iter().map(|r| Some(r.total_ms)))],
        target: None,
        categories: rows.iter().map(|r| text::cut(&r.text, 200)).collect(),
        x_axis: XAxis::Categories,
    })
}

/// The largest tables: heap with TOAST, and indexes.
pub fn largest_tables(snapshot: &Snapshot) -> Drawn {
    let seen = snapshot.pg().and_then(|pg| pg.tables()).map_err(|g| sentence(&g))?;
    let mut tables: Vec<&Table> = seen.rows.iter().filter(|t| t.total_bytes() > 0).collect();
    tables.sort_by(|a, b| b.total_bytes().cmp(&a.total_bytes()).then_with(|| a.full_name().cmp(&b.full_name())));
    tables.truncate(BARS_MAX);
    let [first, _, _, ..] = tables.as_slice() else { return Err("Fewer than three tables hold data.".to_owned()) };
    let conclusion = format!("Largest tables: {} takes {} with its indexes.", first.full_name(), text::bytes_disk(first.total_bytes()));
    Ok(ChartSpec {
        id: "pg.tables".into(),
        title: "Largest tables".into(),
        caption: "on disk, TOAST counted with the table".into(),
        conclusion,
        kind: ChartKind::HorizontalBars,
        unit: Unit::BytesDisk,
        series: vec![
            Series::of_categories("table", SeriesRole::Postgres, tables.iter().map(|t| Some((t.table_bytes + t.toast_bytes) as f64))),
            Series::of_categories("indexes", SeriesRole::Rest, tables.iter().map(|t| Some(t.index_bytes as f64))),
        ],
        target: None,
        categories: tables.iter().map(|t| t.name.clone()).collect(),
        x_axis: XAxis::Categories,
    })
}

/// Sessions by application and state.
pub fn connections(snapshot: &Snapshot) -> Drawn {
    let activity = snapshot.pg().and_then(|pg| pg.activity()).map_err(|g| sentence(&g))?;
    let mut by_state: std::collections::BTreeMap<&str, u64> = std::collections::BTreeMap::new();
    for group in &activity.groups {
        *by_state.entry(group.state.as_str()).or_insert(0) += u64::from(group.count);
    }
    let mut states: Vec<(&str, u64)> = by_state.into_iter().filter(|s| s.1 > 0).collect();
    states.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
    states.truncate(BARS_MAX);
    if states.len() < 3 {
        return Err("Sessions are in fewer than three states.".to_owned());
    }
    let usable = activity.max_connections.saturating_sub(activity.reserved);
    let mut chart = ChartSpec {
        id: "pg.connections".into(),
        title: "Connections by state".into(),
        caption: format!("{} of {} usable at the end of the window", activity.connections, usable),
        conclusion: String::new(),
        kind: ChartKind::HorizontalBars,
        unit: Unit::Count,
        series: vec![Series::of_categories("connections", SeriesRole::Postgres, states.iter().map(|s| Some(s.1 as f64)))],
        target: None,
        categories: states.iter().map(|s| if s.0.is_empty() { "state not visible" } else { s.0 }.to_owned()).collect(),
        x_axis: XAxis::Categories,
    };
    chart.conclusion = format!("{}; by state {}.", chart.caption, span(Unit::Count, chart.range()));
    Ok(chart)
}
