//! What to draw, never how: the window draws a [`ChartSpec`] once by painter, the PDF once as vectors.

use serde::{Deserialize, Serialize};

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
    /// Tiles by size: one series, one category a tile.
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
