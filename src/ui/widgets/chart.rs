//! Charts from plain data: lines, stacks and bars over one axis.
//!
//! Painted directly: dashes, gaps, labels at the axis and the tooltip follow
//! the design to the pixel, and nothing pans or zooms.

use egui::{Color32, Mesh, Painter, Pos2, Rect, Response, Role, Sense, Shape, Stroke, Ui, WidgetInfo, pos2, vec2};

use super::chart_hover;
use super::marks::{LayerHue, Level, swatch};
use super::paint;
use crate::ui::fonts::Type;
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
    /// Words of a y value, with its unit in the tooltip's manner.
    pub y_words: fn(f64) -> String,
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
    let theme = Theme::get(ui);
    let size = vec2(ui.available_width(), height);
    let (rect, response) = ui.allocate_exact_size(size, Sense::click());
    let name = format!("{}, {}. {}", data.title, data.caption, data.conclusion);
    response.widget_info(|| WidgetInfo::labeled(Role::Figure, true, &name));
    if !ui.is_rect_visible(rect) {
        return ChartResponse { response, clicked_x: None };
    }
    let frame = axes(ui, data, rect);
    let painter = ui.painter().with_clip_rect(frame.plot.expand(2.0));
    match data.kind {
        ChartKind::Line => lines(&painter, theme, data, &frame),
        ChartKind::Stacked => areas(&painter, theme, data, &frame),
        ChartKind::Bars => bars(ui, data, &frame),
    }
    target(ui, data, &frame);
    paint::focus_ring(ui, &response, rect.expand(2.0), 2);
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

fn axes(ui: &Ui, data: &ChartData, rect: Rect) -> Frame {
    let theme = Theme::get(ui);
    let painter = ui.painter();
    let highest = data.y_max.unwrap_or_else(|| highest(data)).max(f64::MIN_POSITIVE);
    let step = data.y_max.and_then(even_step).unwrap_or_else(|| step(highest));
    let count = (highest / step - 1e-9).ceil().max(1.0) as usize;
    let y_max = data.y_max.unwrap_or(step * count as f64);
    let ticks: Vec<f64> = (0..=count).map(|tick| tick as f64 * step).filter(|y| *y <= y_max * 1.001).collect();
    let texts: Vec<_> = ticks
        .iter()
        .map(|y| {
            let words = (data.y_words)(*y);
            paint::line(painter, &words, Type::Axis, theme.text_weak, f32::INFINITY)
        })
        .collect();
    let widest = texts.iter().map(|text| text.size().x).fold(0.0, f32::max);
    let plot = Rect::from_min_max(pos2((rect.left() + widest + 8.0).round(), rect.top() + 7.0), pos2(rect.right() - 12.0, rect.bottom() - 20.0));
    let frame = Frame { plot, x: x_range(data), y_max };
    for (y, text) in ticks.iter().zip(texts) {
        let at = frame.y_of(*y).round();
        let color = if *y == 0.0 { theme.axis } else { theme.grid };
        paint::rule(painter, plot.x_range(), at, color);
        paint::right(painter, plot.left() - 8.0, at, text);
    }
    for (x, words) in &data.x_ticks {
        let text = paint::line(painter, words, Type::Axis, theme.text_weak, f32::INFINITY);
        let start = frame.x_of(*x) - text.size().x / 2.0;
        let start = start.clamp(rect.left(), rect.right() - text.size().x);
        paint::left(painter, start, plot.bottom() + 12.0, text);
    }
    frame
}

/// The first and last x; bars have half a step of room at both ends.
fn x_range(data: &ChartData) -> (f64, f64) {
    let xs = || data.series.iter().flat_map(|series| series.points.iter().map(|point| point.0));
    let (low, high) = (xs().fold(f64::INFINITY, f64::min), xs().fold(f64::NEG_INFINITY, f64::max));
    if !low.is_finite() {
        return (0.0, 1.0);
    }
    let half = match data.kind {
        ChartKind::Bars => bar_step(data) / 2.0,
        _ => 0.0,
    };
    (low - half, high + half)
}

fn bar_step(data: &ChartData) -> f64 {
    let first = data.series.first().map_or(&[][..], |series| series.points.as_slice());
    let steps = first.windows(2).map(|pair| pair[1].0 - pair[0].0);
    let smallest = steps.filter(|step| *step > 0.0).fold(f64::INFINITY, f64::min);
    if smallest.is_finite() { smallest } else { 1.0 }
}

fn lines(painter: &Painter, theme: &Theme, data: &ChartData, frame: &Frame) {
    for series in &data.series {
        let color = series.hue.color(theme);
        let values = series.points.iter().map(|(x, y)| (*x, *y));
        for run in runs(values, frame) {
            if data.series.len() == 1 {
                let floor: Vec<Pos2> = run.iter().map(|point| pos2(point.x, frame.plot.bottom())).collect();
                band(painter, &run, &floor, color.gamma_multiply(0.14));
            }
            stroke(painter, run, color, series.modelled);
        }
    }
}

fn areas(painter: &Painter, theme: &Theme, data: &ChartData, frame: &Frame) {
    let tops = stacked(data);
    for (index, series) in data.series.iter().enumerate() {
        let color = series.hue.color(theme);
        let xs = series.points.iter().map(|point| point.0);
        let values = xs.clone().zip(tops[index].iter().copied());
        // Where the upper edge is present, the lower one is too.
        let below: Vec<f64> = match index {
            0 => vec![0.0; tops[0].len()],
            _ => tops[index - 1].iter().map(|top| top.unwrap_or(0.0)).collect(),
        };
        let floors: Vec<Option<f64>> = tops[index].iter().zip(&below).map(|(top, below)| top.map(|_| *below)).collect();
        let upper = runs(values, frame);
        let lower = runs(xs.zip(floors), frame);
        for (upper, lower) in upper.into_iter().zip(lower) {
            band(painter, &upper, &lower, color.gamma_multiply(0.22));
            stroke(painter, upper, color, series.modelled);
        }
    }
}

/// The stretches without a gap, on screen.
fn runs(values: impl Iterator<Item = (f64, Option<f64>)>, frame: &Frame) -> Vec<Vec<Pos2>> {
    let mut runs = vec![Vec::new()];
    for (x, y) in values {
        match y.filter(|y| y.is_finite()) {
            Some(y) => {
                let at = pos2(frame.x_of(x), frame.y_of(y));
                if let Some(run) = runs.last_mut() {
                    run.push(at);
                }
            }
            None => runs.push(Vec::new()),
        }
    }
    runs.retain(|run| !run.is_empty());
    runs
}

fn stroke(painter: &Painter, run: Vec<Pos2>, color: Color32, modelled: bool) {
    let stroke = Stroke::new(1.5, color);
    match (run.as_slice(), modelled) {
        // A sample between two gaps would be a line of no length.
        ([alone], _) => {
            painter.circle_filled(*alone, 2.0, color);
        }
        (_, true) => {
            painter.extend(Shape::dashed_line(&run, stroke, paint::DASH.0, paint::DASH.1));
        }
        (_, false) => {
            painter.line(run, stroke);
        }
    }
}

/// The area between two edges with the same number of points.
fn band(painter: &Painter, upper: &[Pos2], lower: &[Pos2], color: Color32) {
    let mut mesh = Mesh::default();
    for (index, (above, below)) in upper.iter().zip(lower).enumerate() {
        mesh.colored_vertex(*above, color);
        mesh.colored_vertex(*below, color);
        if index > 0 {
            let last = 2 * index as u32;
            mesh.add_triangle(last - 2, last - 1, last);
            mesh.add_triangle(last - 1, last, last + 1);
        }
    }
    painter.add(Shape::mesh(mesh));
}

fn bars(ui: &Ui, data: &ChartData, frame: &Frame) {
    let theme = Theme::get(ui);
    let tops = stacked(data);
    let slot = frame.x_of(frame.x.0 + bar_step(data)) - frame.plot.left();
    let width = (slot * 0.6).clamp(1.0, 56.0).max(slot.min(6.0) - 1.0);
    for (index, series) in data.series.iter().enumerate() {
        let color = series.hue.color(theme);
        for (at, (x, value)) in series.points.iter().enumerate() {
            let (Some(value), Some(top)) = (value, tops[index].get(at).copied().flatten()) else {
                continue;
            };
            let center = frame.x_of(*x);
            let x = (center - width / 2.0).round()..=(center + width / 2.0).round();
            let bar = Rect::from_x_y_ranges(x, frame.y_of(top)..=frame.y_of(top - value));
            if series.modelled {
                paint::dashed_rect(ui.painter(), bar, color);
            } else {
                ui.painter().rect_filled(bar, 0.0, color);
            }
        }
    }
}

/// A dashed line, labelled above its right end.
fn target(ui: &Ui, data: &ChartData, frame: &Frame) {
    let Some((value, label)) = &data.target else { return };
    let theme = Theme::get(ui);
    let y = frame.y_of(*value).round() + 0.5;
    let (from, to) = (pos2(frame.plot.left(), y), pos2(frame.plot.right(), y));
    paint::dashed_line(ui.painter(), from, to, theme.text_muted);
    let at = pos2(to.x - 2.0, y - 9.0);
    paint::text_right(ui.painter(), at, label, Type::Axis, theme.text_muted);
}

#[cfg(test)]
#[path = "chart_tests.rs"]
mod tests;
