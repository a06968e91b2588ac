//! Charts from plain data: lines, stacks and bars over one axis, drawn by
//! `egui_plot` without its drag, zoom, scroll, background and legend.

use egui::{Color32, Rect, Response, Role, Ui, WidgetInfo};

use super::marks::{LayerHue, Level, swatch};
use super::{chart_hover, chart_plot, paint};
use crate::ui::theme::Theme;

/// What a series is coloured as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hue {
    Layer(LayerHue),
    Hit,
    Revalidated,
    Expired,
    Miss,
    /// "All other", indexes, keys that are no cache.
    Rest,
    Level(Level),
}

impl Hue {
    pub fn color(self, theme: &Theme) -> Color32 {
        match self {
            Self::Layer(layer) => layer.color(theme),
            Self::Hit => theme.series_hit,
            Self::Revalidated => theme.series_revalidated,
            Self::Expired => theme.series_expired,
            Self::Miss => theme.series_miss,
            Self::Rest => theme.series_rest,
            Self::Level(level) => level.colors(theme).fg,
        }
    }
}

/// One measure over the x axis, in rising x. `None` is missing, never zero.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    pub name: String,
    pub points: Vec<(f64, Option<f64>)>,
    pub hue: Hue,
    /// Computed, not measured: a dashed outline and the word "modelled".
    pub modelled: bool,
}

/// How the series are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChartKind {
    /// Lines of 1.5; a single one has its area filled at 14 %.
    Line,
    /// Areas on top of each other, the first at the bottom.
    Stacked,
    /// Bars on top of each other at each x.
    Bars,
}

/// A chart without any look.
#[derive(Clone, Debug)]
pub struct ChartData {
    pub title: String,
    /// Unit and base.
    pub caption: String,
    /// "38 to 53 percent, below target all day": for those who cannot see it.
    pub conclusion: String,
    pub kind: ChartKind,
    pub series: Vec<Series>,
    /// The top of the axis, which starts at 0; `None` rounds the maximum up.
    pub y_max: Option<f64>,
    pub target: Option<(f64, String)>,
    /// Words under the x axis, at their x.
    pub x_ticks: Vec<(f64, String)>,
    /// Words of a y value with its unit, for the tooltip.
    pub y_words: fn(f64) -> String,
    /// Words of a tick at the y axis; the second number is the top tick, which may carry the unit.
    pub y_tick: fn(f64, f64) -> String,
    /// Words of an x in the tooltip.
    pub x_words: fn(f64) -> String,
}

/// What the reader did with a chart.
pub struct ChartResponse {
    pub response: Response,
    /// The x of the sample that was clicked.
    pub clicked_x: Option<f64>,
}

/// Where the data stands on screen.
pub(super) struct Frame {
    pub plot: Rect,
    pub x: (f64, f64),
    pub y_max: f64,
}

impl Frame {
    pub fn x_of(&self, x: f64) -> f32 {
        let share = (x - self.x.0) / (self.x.1 - self.x.0).max(f64::EPSILON);
        self.plot.left() + self.plot.width() * share as f32
    }

    pub fn y_of(&self, y: f64) -> f32 {
        let share = (y / self.y_max).clamp(0.0, 1.0);
        self.plot.bottom() - self.plot.height() * share as f32
    }
}

/// Draws the chart `height` tall and as wide as there is room.
pub fn chart(ui: &mut Ui, data: &ChartData, height: f32) -> ChartResponse {
    let (response, frame) = chart_plot::show(ui, data, height);
    let name = format!("{}, {}. {}", data.title, data.caption, data.conclusion);
    response.widget_info(|| WidgetInfo::labeled(Role::Figure, true, &name));
    paint::focus_ring(ui, &response, frame.plot.expand(2.0), 2);
    let hovered = chart_hover::show(ui, data, &frame, &response);
    let clicked_x = if response.clicked() { hovered } else { None };
    ChartResponse { response, clicked_x }
}

/// The legend, for a card's actions: it is laid from right to left.
pub fn legend(ui: &mut Ui, data: &ChartData) {
    ui.spacing_mut().item_spacing.x = 12.0;
    for series in data.series.iter().rev() {
        swatch(ui, series.hue.color(Theme::get(ui)), &series.name);
    }
}

/// The heights of the stack at each x of the first series, one a series.
pub(super) fn stacked(data: &ChartData) -> Vec<Vec<Option<f64>>> {
    let count = data.series.first().map_or(0, |series| series.points.len());
    let mut sums = vec![Some(0.0); count];
    data.series
        .iter()
        .map(|series| {
            for (sum, (_, value)) in sums.iter_mut().zip(&series.points) {
                *sum = sum.zip(*value).map(|(sum, value)| sum + value);
            }
            sums.clone()
        })
        .collect()
}

fn highest(data: &ChartData) -> f64 {
    let values: Vec<f64> = match data.kind {
        ChartKind::Line => data.series.iter().flat_map(|s| s.points.iter().filter_map(|p| p.1)).collect(),
        _ => stacked(data).into_iter().flatten().flatten().collect(),
    };
    let target = data.target.as_ref().map_or(0.0, |(value, _)| *value);
    values.into_iter().filter(|value| value.is_finite()).fold(target, f64::max)
}

/// The step between ticks: 1, 2, 2.5 or 5 times a power of ten, three to five ticks.
pub(super) fn step(max: f64) -> f64 {
    let rough = max.max(f64::MIN_POSITIVE) / 4.0;
    let power = 10f64.powf(rough.log10().floor());
    let factor = [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().find(|factor| factor * power >= rough * 0.999).unwrap_or(10.0);
    factor * power
}

/// The step that ends exactly at a given top, where a round one exists.
fn even_step(y_max: f64) -> Option<f64> {
    [4.0, 3.0, 5.0, 2.0].into_iter().map(|count| y_max / count).find(|step| {
        let mantissa = step / 10f64.powf(step.log10().floor());
        [1.0, 2.0, 2.5, 4.0, 5.0].iter().any(|round| (mantissa - round).abs() < 1e-6)
    })
}

/// The top of the axis and the ticks from 0 to it.
pub(super) fn ticks(data: &ChartData) -> (f64, Vec<f64>) {
    // Nothing but zeros is drawn on the scale of one: an axis needs some length.
    let highest = data.y_max.unwrap_or_else(|| highest(data));
    let highest = if highest > 0.0 { highest } else { 1.0 };
    let step = data.y_max.and_then(even_step).unwrap_or_else(|| step(highest));
    let count = (highest / step - 1e-9).ceil().max(1.0) as usize;
    let y_max = data.y_max.unwrap_or(step * count as f64);
    (y_max, (0..=count).map(|tick| tick as f64 * step).filter(|y| *y <= y_max * 1.001).collect())
}

/// The first and last x; bars have half a step of room at both ends.
pub(super) fn x_range(data: &ChartData) -> (f64, f64) {
    let xs = || data.series.iter().flat_map(|series| series.points.iter().map(|point| point.0));
    let (low, high) = (xs().fold(f64::INFINITY, f64::min), xs().fold(f64::NEG_INFINITY, f64::max));
    if !low.is_finite() {
        return (0.0, 1.0);
    }
    let half = match data.kind {
        ChartKind::Bars => bar_step(data) / 2.0,
        _ => 0.0,
    };
    let half = if high - low + half > 0.0 { half } else { 0.5 };
    (low - half, high + half)
}

pub(super) fn bar_step(data: &ChartData) -> f64 {
    let first = data.series.first().map_or(&[][..], |series| series.points.as_slice());
    let steps = first.windows(2).map(|pair| pair[1].0 - pair[0].0);
    let smallest = steps.filter(|step| *step > 0.0).fold(f64::INFINITY, f64::min);
    if smallest.is_finite() { smallest } else { 1.0 }
}

#[cfg(test)]
#[path = "chart_tests.rs"]
mod tests;
