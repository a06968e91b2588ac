//! What to draw, never how: the window draws a [`ChartSpec`] once by painter, the PDF once as vectors.

pub mod app;
pub mod cdn;
pub mod postgres;
pub mod redis;

use serde::{Deserialize, Serialize};

use crate::evidence::{Gap, Snapshot, Timeline};
use crate::text;

/// Points in time below which a line suggests a course that was not seen.
pub const POINTS_MIN: usize = 8;
/// Categories and tiles of one chart; the rest is "all other" or left to the table.
pub const BARS_MAX: usize = 8;

/// A chart, or the reason in a sentence why there is none.
pub type Drawn = Result<ChartSpec, String>;

/// Every chart of this snapshot that has enough to show, in the order of a request's way.
pub fn all(snapshot: &Snapshot) -> Vec<ChartSpec> {
    drawn(snapshot).into_iter().filter_map(|(_, chart)| chart.ok()).collect()
}

/// Every chart by its id, or why it is not drawn.
pub fn drawn(snapshot: &Snapshot) -> Vec<(&'static str, Drawn)> {
    let mut charts = cdn::traffic(snapshot).to_vec();
    charts.extend([("cdn.paths", cdn::worst_paths(snapshot))]);
    if cdn::has_cloudfront_beside(snapshot) {
        charts.extend(cdn::cloudfront_beside(snapshot));
    }
    charts.extend([
        ("redis.memory", redis::memory_by_pattern(snapshot)),
        ("redis.hit_rate", redis::hit_rate(snapshot)),
        ("redis.commands", redis::commands_by_cost(snapshot)),
        ("redis.ops", redis::operations(snapshot)),
        ("pg.database_time", postgres::database_time(snapshot)),
        ("pg.statements", postgres::statements_by_time(snapshot)),
        ("pg.tables", postgres::largest_tables(snapshot)),
        ("pg.connections", postgres::connections(snapshot)),
        ("app.p95", app::p95_by_endpoint(snapshot)),
        ("app.latency", app::latency(snapshot)),
    ]);
    charts
}

/// One chart: what it says, over which base, in which unit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChartSpec {
    /// Stable: `pg.database_time`.
    pub id: String,
    /// Says what: "Database time".
    pub title: String,
    /// Unit and base: "s per s, sampled each second".
    pub caption: String,
    /// The chart in one sentence, for those who cannot see it: "Hit ratio by hour, 38 to 53 percent, below target all day".
    pub conclusion: String,
    pub kind: ChartKind,
    pub unit: Unit,
    /// At most five and "all other", in drawing order: biggest interest first (at the bottom of a stack).
    pub series: Vec<Series>,
    pub target: Option<f64>,
    /// Category names of bars, in order; empty for time charts.
    pub categories: Vec<String>,
    pub x_axis: XAxis,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ChartKind {
    /// Lines with a filled area for a single series.
    Line,
    /// Areas or bars stacked in the order of the series.
    Stacked,
    Bars,
    /// One row a category, parts side by side.
    HorizontalBars,
    /// Tiles by size, one category a tile. A tile's value stands in the series whose colour it has; the others hold `None` there.
    Treemap,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum XAxis {
    /// Seconds since the window opened.
    Seconds,
    /// Unix seconds, shown as hours.
    Hours,
    Categories,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unit {
    SecondsPerSecond,
    Ratio,
    Millis,
    Count,
    PerSecond,
    BytesMemory,
    BytesDisk,
}

impl Unit {
    /// A value in this unit as every page says it.
    pub fn format(self, value: f64) -> String {
        use crate::text;
        match self {
            Unit::SecondsPerSecond | Unit::Count => text::number(value),
            Unit::Ratio => text::percent(value),
            Unit::Millis => text::millis(value),
            Unit::PerSecond => text::per_second(value),
            Unit::BytesMemory => text::bytes_memory(value.max(0.0) as u64),
            Unit::BytesDisk => text::bytes_disk(value.max(0.0) as u64),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Series {
    pub name: String,
    pub role: SeriesRole,
    /// Position (seconds, or category number) and value; a missing sample is `None`, never zero.
    pub points: Vec<(f64, Option<f64>)>,
    /// Dashed outline and the word "modelled".
    pub is_modelled: bool,
}

/// Which colour a series has in the theme.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SeriesRole {
    Cdn,
    Redis,
    Postgres,
    App,
    Hit,
    Revalidated,
    Expired,
    Miss,
    /// "All other", indexes, keys that are no cache.
    Rest,
}

impl Series {
    pub fn new(name: impl Into<String>, role: SeriesRole, points: Vec<(f64, Option<f64>)>) -> Self {
        Self { name: name.into(), role, points, is_modelled: false }
    }

    /// One value a category, in their order.
    pub fn of_categories(name: &str, role: SeriesRole, values: impl IntoIterator<Item = Option<f64>>) -> Self {
        Self::new(name, role, values.into_iter().enumerate().map(|(i, v)| (i as f64, v)).collect())
    }
}

impl ChartSpec {
    /// Least and greatest value that was measured, over all series.
    pub fn range(&self) -> Option<(f64, f64)> {
        let values = || self.series.iter().flat_map(|s| s.points.iter().filter_map(|p| p.1));
        let first = values().next()?;
        Some(values().fold((first, first), |(low, high), v| (low.min(v), high.max(v))))
    }
}

fn sentence(gap: &Gap) -> String {
    gap.detail.clone()
}

/// The sampled measure of this id with at least [`POINTS_MIN`] samples.
fn timeline<'a>(snapshot: &'a Snapshot, id: &str) -> Result<&'a Timeline, String> {
    let line = snapshot.timelines.iter().find(|t| t.id == id).ok_or("It was not sampled in this audit.")?;
    enough(&line.points)?;
    Ok(line)
}

fn enough(points: &[(f64, Option<f64>)]) -> Result<(), String> {
    let have = points.iter().filter(|p| p.1.is_some_and(f64::is_finite)).count();
    if have >= POINTS_MIN {
        return Ok(());
    }
    Err(format!("{}, {POINTS_MIN} are needed for a chart over time.", text::plural(have as u64, "point in time", "points in time")))
}

/// "38 % to 53 %", or one value when they read the same.
fn span(unit: Unit, range: Option<(f64, f64)>) -> String {
    let Some((low, high)) = range else { return "nothing measured".to_owned() };
    let (low, high) = (unit.format(low), unit.format(high));
    if low == high { low } else { format!("{low} to {high}") }
}

/// How the measured points stand to a target that is a minimum.
fn against_min(points: &[(f64, Option<f64>)], target: f64) -> &'static str {
    let known: Vec<f64> = points.iter().filter_map(|p| p.1).collect();
    match known.iter().filter(|v| **v < target).count() {
        0 => "at or above the target all the time",
        n if n == known.len() => "below the target all the time",
        _ => "below the target some of the time",
    }
}

/// A chart of one sampled measure.
fn line(snapshot: &Snapshot, id: &str, title: &str, caption: &str, unit: Unit, role: SeriesRole, target: Option<f64>) -> Drawn {
    let sampled = timeline(snapshot, id)?;
    let mut chart = ChartSpec {
        id: id.to_owned(),
        title: title.to_owned(),
        caption: caption.to_owned(),
        conclusion: String::new(),
        kind: ChartKind::Line,
        unit,
        series: vec![Series::new(title, role, sampled.points.clone())],
        target,
        categories: Vec::new(),
        x_axis: XAxis::Seconds,
    };
    let against = target.map_or_else(String::new, |t| format!(", {}", against_min(&sampled.points, t)));
    chart.conclusion = format!("{title} over {}: {}{against}.", text::seconds(snapshot.meta.window_s), span(unit, chart.range()));
    Ok(chart)
}
