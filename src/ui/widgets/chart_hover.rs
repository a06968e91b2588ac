//! The hairline and tooltip of a chart, by pointer or arrow keys.

use egui::{EventFilter, Key, Modifiers, PopupAnchor, Response, Stroke, Tooltip, Ui, pos2};

use super::chart::{ChartData, ChartKind, Frame, stacked};
use super::overlay::{popup_frame, tooltip_rows};
use crate::ui::theme::Theme;

/// Shows the sample that is pointed at; its x.
pub(super) fn show(ui: &Ui, data: &ChartData, frame: &Frame, response: &Response) -> Option<f64> {
    let xs: Vec<f64> = data.series.first()?.points.iter().map(|point| point.0).collect();
    let index = match response.hover_pos().filter(|at| frame.plot.contains(*at)) {
        Some(at) => nearest(&xs, frame, at.x)?,
        None => by_keys(ui, response, xs.len())?,
    };
    let x = *xs.get(index)?;
    hairline(ui, data, frame, index, x);
    let rows: Vec<(&str, String)> = data
        .series
        .iter()
        .map(|series| {
            let value = series.points.get(index).and_then(|point| point.1);
            (series.name.as_str(), value.map_or_else(|| "not measured".to_owned(), data.y_words))
        })
        .collect();
    let rows: Vec<(&str, &str)> = rows.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let anchor = PopupAnchor::Position(pos2(frame.x_of(x) + 8.0, frame.plot.center().y));
    let mut tooltip = Tooltip::always_open(ui.ctx().clone(), ui.layer_id(), response.id, anchor);
    tooltip.popup = tooltip.popup.frame(popup_frame(Theme::get(ui)));
    tooltip.show(|ui| tooltip_rows(ui, &(data.x_words)(x), &rows));
    Some(x)
}

fn nearest(xs: &[f64], frame: &Frame, at: f32) -> Option<usize> {
    let distance = |index: &usize| (frame.x_of(xs[*index]) - at).abs();
    (0..xs.len()).min_by(|a, b| distance(a).total_cmp(&distance(b)))
}

/// The sample that ← and → chose, while the chart has focus.
fn by_keys(ui: &Ui, response: &Response, count: usize) -> Option<usize> {
    if !response.has_focus() || count == 0 {
        return None;
    }
    let filter = EventFilter { horizontal_arrows: true, ..EventFilter::default() };
    ui.memory_mut(|memory| memory.set_focus_lock_filter(response.id, filter));
    let id = response.id.with("sample");
    let (left, right) = ui.input_mut(|input| {
        (input.count_and_consume_key(Modifiers::NONE, Key::ArrowLeft), input.count_and_consume_key(Modifiers::NONE, Key::ArrowRight))
    });
    let before = ui.data(|memory| memory.get_temp::<usize>(id)).unwrap_or(count - 1);
    let index = (before + right).saturating_sub(left).min(count - 1);
    ui.data_mut(|memory| memory.insert_temp(id, index));
    Some(index)
}

fn hairline(ui: &Ui, data: &ChartData, frame: &Frame, index: usize, x: f64) {
    let theme = Theme::get(ui);
    let at = frame.x_of(x).round() + 0.5;
    let stroke = Stroke::new(1.0, theme.line_strong);
    ui.painter().vline(at, frame.plot.y_range(), stroke);
    let tops = match data.kind {
        ChartKind::Bars => return,
        ChartKind::Stacked => stacked(data),
        ChartKind::Line => data.series.iter().map(|s| s.points.iter().map(|p| p.1).collect()).collect(),
    };
    for (series, tops) in data.series.iter().zip(tops) {
        if let Some(Some(y)) = tops.get(index) {
            let color = series.hue.color(theme);
            ui.painter().circle_filled(pos2(at, frame.y_of(*y)), 3.0, color);
        }
    }
}
