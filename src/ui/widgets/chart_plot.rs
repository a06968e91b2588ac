//! Lines, stacks and bars as items of `egui_plot`, which scales, clips and
//! draws them with grid and axes of our own.

use egui::{Color32, Rangef, Response, Sense, Stroke, Ui, UiBuilder, Vec2, pos2, vec2};
use egui_plot::{AxisHints, Bar, BarChart, FilledArea, GridMark, HLine, Line, LineStyle, Plot, PlotPoints, PlotUi, Points};

use super::chart::{ChartData, ChartKind, Frame, bar_step, stacked, ticks, x_range};
use super::paint;
use crate::ui::fonts::Type;
use crate::ui::theme::Theme;

/// Room above the top tick for half of its words, and right of the last one.
const ABOVE: f32 = 7.0;
const RIGHT: f32 = 12.0;
/// Between the plot and the words under it, and the height of those.
const UNDER: f32 = 5.0;
const WORDS: f32 = 15.0;

/// Points of one stretch without a gap.
type Run = Vec<[f64; 2]>;

/// Draws `data` `height` tall and as wide as there is room; the response covers the plot between the axes.
pub(super) fn show(ui: &mut Ui, data: &ChartData, height: f32) -> (Response, Frame) {
    let theme = Theme::get(ui);
    let (y_max, y_ticks) = ticks(data);
    let x = x_range(data);
    let (_, rect) = ui.allocate_space(vec2(ui.available_width(), height));
    let inside = egui::Rect::from_min_max(rect.min + vec2(0.0, ABOVE), rect.max - vec2(RIGHT, 0.0));
    let mut child = ui.new_child(UiBuilder::new().id_salt(("chart", &data.title)).max_rect(inside));
    let plot = configured(&child, data, &y_ticks, inside.size());
    let drawn = plot.show(&mut child, |plot| {
        plot.set_plot_bounds_x(x.0..=x.1);
        plot.set_plot_bounds_y(0.0..=y_max);
        plot.hline(HLine::new("zero", 0.0).stroke(Stroke::new(1.0, theme.axis)).allow_hover(false));
        match data.kind {
            ChartKind::Line => lines(plot, theme, data),
            ChartKind::Stacked => areas(plot, theme, data),
            ChartKind::Bars => bars(plot, theme, data),
        }
        if let Some((value, _)) = &data.target {
            plot.hline(HLine::new("target", *value).stroke(Stroke::new(1.0, theme.text_muted)).style(dashes()).allow_hover(false));
        }
    });
    let frame = Frame { plot: *drawn.transform.frame(), x, y_max };
    modelled_bars(ui, data, &frame);
    target_words(ui, data, &frame);
    (drawn.response, frame)
}

/// The plot without any look or motion of its own, and our ticks.
fn configured<'a>(ui: &Ui, data: &'a ChartData, y_ticks: &[f64], size: Vec2) -> Plot<'a> {
    let theme = Theme::get(ui);
    let top = y_ticks.last().copied().unwrap_or(1.0);
    let widest = y_ticks
        .iter()
        .map(|y| paint::line(ui.painter(), &(data.y_tick)(*y, top), Type::Axis, Color32::PLACEHOLDER, f32::INFINITY).size().x)
        .fold(0.0, f32::max);
    let hints = |axis: AxisHints<'a>| axis.tick_label_font(Type::Axis.font()).tick_label_color(theme.text_weak).label_spacing(Rangef::new(0.0, 1.0));
    let y_axis = hints(AxisHints::new_y()).min_thickness((widest + 8.0).ceil()).formatter(move |mark, _| (data.y_tick)(mark.value, top));
    let gap = hints(AxisHints::new_x()).min_thickness(UNDER).formatter(|_, _| String::new());
    let x_axis = hints(AxisHints::new_x()).min_thickness(WORDS).formatter(|mark, _| words_at(data, mark.value));
    let x_marks = marks(&data.x_ticks.iter().map(|tick| tick.0).collect::<Vec<_>>());
    let y_marks = marks(y_ticks);
    Plot::new("plot")
        .width(size.x)
        .height(size.y)
        .min_size(Vec2::ZERO)
        .show_background(false)
        .show_x(false)
        .show_y(false)
        .allow_drag(false)
        .allow_zoom(false)
        .allow_scroll(false)
        .allow_boxed_zoom(false)
        .allow_double_click_reset(false)
        .allow_axis_zoom_drag(false)
        .set_margin_fraction(Vec2::ZERO)
        .sense(Sense::click())
        .show_grid([false, true])
        .grid_color(theme.grid)
        .grid_spacing(Rangef::new(0.0, 1.0))
        .grid_fade(0.0)
        .x_grid_spacer(move |_| x_marks.clone())
        .y_grid_spacer(move |_| y_marks.clone())
        .custom_x_axes(vec![gap, x_axis])
        .custom_y_axes(vec![y_axis])
}

fn words_at(data: &ChartData, x: f64) -> String {
    data.x_ticks.iter().find(|tick| (tick.0 - x).abs() < 1e-9).map_or_else(String::new, |tick| tick.1.clone())
}

/// Grid marks whose step is the smallest distance between two of them.
fn marks(values: &[f64]) -> Vec<GridMark> {
    let steps = values.windows(2).map(|pair| (pair[1] - pair[0]).abs());
    let smallest = steps.filter(|step| *step > 0.0).fold(f64::INFINITY, f64::min);
    let step_size = if smallest.is_finite() { smallest } else { 1.0 };
    values.iter().map(|value| GridMark { value: *value, step_size }).collect()
}

fn dashes() -> LineStyle {
    LineStyle::Dashed { length: paint::DASH.0 }
}

fn lines(plot: &mut PlotUi<'_>, theme: &Theme, data: &ChartData) {
    for series in &data.series {
        let color = series.hue.color(theme);
        for run in runs(series.points.iter().copied()) {
            if data.series.len() == 1 {
                let floor = vec![0.0; run.len()];
                area(plot, &run, &floor, color.gamma_multiply(0.14));
            }
            stroke(plot, run, color, series.modelled);
        }
    }
}

fn areas(plot: &mut PlotUi<'_>, theme: &Theme, data: &ChartData) {
    let tops = stacked(data);
    for (index, series) in data.series.iter().enumerate() {
        let color = series.hue.color(theme);
        let xs = || series.points.iter().map(|point| point.0);
        // Where the upper edge is present, the lower one is too.
        let floors = tops[index].iter().enumerate().map(|(at, top)| {
            let below = if index == 0 { Some(0.0) } else { tops[index - 1][at] };
            top.and(below)
        });
        let upper = runs(xs().zip(tops[index].iter().copied()));
        let lower = runs(xs().zip(floors));
        for (upper, lower) in upper.into_iter().zip(lower) {
            let floor: Vec<f64> = lower.iter().map(|point| point[1]).collect();
            area(plot, &upper, &floor, color.gamma_multiply(0.22));
            stroke(plot, upper, color, series.modelled);
        }
    }
}

fn area(plot: &mut PlotUi<'_>, upper: &[[f64; 2]], floor: &[f64], color: Color32) {
    let xs: Vec<f64> = upper.iter().map(|point| point[0]).collect();
    let ys: Vec<f64> = upper.iter().map(|point| point[1]).collect();
    plot.add(FilledArea::new("", &xs, floor, &ys).fill_color(color).allow_hover(false));
}

fn stroke(plot: &mut PlotUi<'_>, run: Run, color: Color32, modelled: bool) {
    if run.len() == 1 {
        // A sample between two gaps would be a line of no length.
        plot.points(Points::new("", PlotPoints::from(run)).radius(2.0).color(color).allow_hover(false));
        return;
    }
    let style = if modelled { dashes() } else { LineStyle::Solid };
    plot.line(Line::new("", PlotPoints::from(run)).stroke(Stroke::new(1.5, color)).style(style).allow_hover(false));
}

/// The stretches of measured values without a gap.
pub(super) fn runs(values: impl Iterator<Item = (f64, Option<f64>)>) -> Vec<Run> {
    let mut runs = vec![Run::new()];
    for (x, y) in values {
        match (y.filter(|y| y.is_finite()), runs.last_mut()) {
            (Some(y), Some(run)) => run.push([x, y]),
            _ => runs.push(Run::new()),
        }
    }
    runs.retain(|run| !run.is_empty());
    runs
}

/// Share of the distance between two bars that a bar takes.
pub(super) const BAR_SHARE: f64 = 0.72;

fn bars(plot: &mut PlotUi<'_>, theme: &Theme, data: &ChartData) {
    let width = bar_step(data) * BAR_SHARE;
    for (series, tops) in data.series.iter().zip(stacked(data)).filter(|(series, _)| !series.modelled) {
        let color = series.hue.color(theme);
        let bars = series.points.iter().zip(tops).filter_map(|((x, value), top)| {
            let (value, top) = ((*value)?, top?);
            Some(Bar::new(*x, value).base_offset(top - value).width(width).fill(color).stroke(Stroke::NONE))
        });
        plot.bar_chart(BarChart::new("", bars.collect()).color(color).allow_hover(false));
    }
}

/// What is modelled has a dashed outline, which `egui_plot` does not draw around bars.
fn modelled_bars(ui: &Ui, data: &ChartData, frame: &Frame) {
    if data.kind != ChartKind::Bars {
        return;
    }
    let half = bar_step(data) * BAR_SHARE / 2.0;
    for (series, tops) in data.series.iter().zip(stacked(data)).filter(|(series, _)| series.modelled) {
        let color = series.hue.color(Theme::get(ui));
        for ((x, value), top) in series.points.iter().zip(tops) {
            let (Some(value), Some(top)) = (value, top) else { continue };
            let x = frame.x_of(x - half).round()..=frame.x_of(x + half).round();
            let bar = egui::Rect::from_x_y_ranges(x, frame.y_of(top)..=frame.y_of(top - value));
            paint::dashed_rect(ui.painter(), bar, color);
        }
    }
}

/// "target 80 %" above the right end of its line, below it where there is no room above.
fn target_words(ui: &Ui, data: &ChartData, frame: &Frame) {
    let Some((value, words)) = &data.target else { return };
    let y = frame.y_of(*value);
    let y = if y - 16.0 < frame.plot.top() { y + 9.0 } else { y - 9.0 };
    paint::text_right(ui.painter(), pos2(frame.plot.right() - 2.0, y), words, Type::Axis, Theme::get(ui).text_muted);
}
