//! Measures against a target: gauges, the request path, bars, progress.

use egui::{Color32, CornerRadius, Rect, Response, Role, Sense, Stroke, Ui, WidgetInfo, pos2, vec2};

use super::marks::LayerHue;
use super::paint;
use crate::ui::fonts::{Type, Weight};
use crate::ui::icons::{self, Face};
use crate::ui::theme::{Theme, space};

/// Whether a target is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict<'a> {
    Met,
    Missed,
    /// With the reason in words.
    NotMeasured(&'a str),
}

/// A measure, its target and where it comes from. 54 high.
#[derive(Clone, Copy, Debug)]
pub struct Gauge<'a> {
    pub name: &'a str,
    /// "46 %"
    pub value: &'a str,
    /// "of cacheable requests"
    pub base: &'a str,
    pub verdict: Verdict<'a>,
    /// The value's place on the scale, 0–1.
    pub share: f32,
    /// The target's place on the scale, 0–1.
    pub target: f32,
    /// Source and size; with the scale where it is not 0–100 %.
    pub source: &'a str,
    /// "target ≥ 80 %"
    pub target_text: &'a str,
}

const VERDICT_WIDTH: f32 = 92.0;

/// Draws a gauge as wide as there is room.
pub fn gauge(ui: &mut Ui, gauge: Gauge<'_>) -> Response {
    let theme = Theme::get(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 54.0), Sense::hover());
    let name = gauge_name(&gauge);
    response.widget_info(|| WidgetInfo::labeled(Role::Meter, true, &name));
    let painter = ui.painter();
    let (left, right, top) = (rect.left(), rect.right(), rect.top());
    let (icon, words, color) = match gauge.verdict {
        Verdict::Met => ((icons::CHECK_CIRCLE, Face::Fill), "on target", theme.good.fg),
        Verdict::Missed => ((icons::WARNING, Face::Fill), "off target", theme.high.fg),
        Verdict::NotMeasured(_) => ((icons::CIRCLE_DASHED, Face::Regular), "not measured", theme.text_muted),
    };
    let y = top + 9.0;
    let x = paint::text_right(painter, pos2(right, y), words, Type::HEAD, color);
    paint::icon(painter, pos2(x - 11.0, y), icon.0, icon.1, 14.0, color);
    let mut end = right - VERDICT_WIDTH;
    if !matches!(gauge.verdict, Verdict::NotMeasured(_)) {
        let at = pos2(end, y);
        end = paint::text_right(painter, at, gauge.base, Type::BODY, theme.text_muted) - 4.0;
        end = paint::text_right(painter, pos2(end, y), gauge.value, Type::STRONG, theme.text);
    }
    let room = end - left - space::S;
    paint::text_left(painter, pos2(left, y), gauge.name, Type::NAME, theme.text, room);
    let bar = Rect::from_min_max(pos2(left, top + 25.0), pos2(right, top + 33.0));
    gauge_bar(ui, bar, gauge.verdict, gauge.share, gauge.target);
    let y = top + 46.0;
    let source = match gauge.verdict {
        Verdict::NotMeasured(reason) => reason,
        _ => gauge.source,
    };
    let at = pos2(right, y);
    let x = paint::text_right(painter, at, gauge.target_text, Type::LABEL, theme.text_weak);
    let room = x - left - space::S;
    paint::text_left(painter, pos2(left, y), source, Type::LABEL, theme.text_weak, room);
    response
}

/// "CDN hit ratio 46 percent of cacheable requests, target at least 80 percent, off target"
fn gauge_name(gauge: &Gauge<'_>) -> String {
    let verdict = match gauge.verdict {
        Verdict::Met => "on target".to_owned(),
        Verdict::Missed => "off target".to_owned(),
        Verdict::NotMeasured(reason) => format!("not measured, {reason}"),
    };
    let measured = match gauge.verdict {
        Verdict::NotMeasured(_) => String::new(),
        _ => format!(" {} {}", gauge.value, gauge.base),
    };
    spoken(&format!("{}{measured}, {}, {verdict}", gauge.name, gauge.target_text))
}

/// Signs as words, for readers that skip them.
pub fn spoken(text: &str) -> String {
    text.replace('−', "minus ")
        .replace("≥\u{a0}", "at least ")
        .replace("≥ ", "at least ")
        .replace("≤\u{a0}", "at most ")
        .replace("≤ ", "at most ")
        .replace("\u{a0}%", " percent")
        .replace(" %", " percent")
        .replace(" → ", " to ")
}

/// A bar of 8 with a tick at the target; dashed when not measured.
pub fn gauge_bar(ui: &Ui, bar: Rect, verdict: Verdict<'_>, share: f32, target: f32) {
    let theme = Theme::get(ui);
    let fill = match verdict {
        Verdict::Met => theme.good.fg,
        Verdict::Missed => theme.high.fg,
        Verdict::NotMeasured(_) => {
            paint::dashed_rect(ui.painter(), bar, theme.line_strong);
            return;
        }
    };
    paint::share_bar(ui.painter(), bar, share, fill, theme.bg_active);
    let x = (bar.left() + bar.width() * target.clamp(0.0, 1.0)).round();
    tick(ui, x, bar.top() - 3.0, bar.bottom() + 3.0);
}

fn tick(ui: &Ui, x: f32, top: f32, bottom: f32) {
    let rect = Rect::from_min_max(pos2(x - 1.0, top), pos2(x + 1.0, bottom));
    ui.painter().rect_filled(rect, CornerRadius::ZERO, Theme::get(ui).text);
}

/// One layer of the request path, on a scale of 100 requests.
#[derive(Clone, Copy, Debug)]
pub struct PathRow<'a> {
    pub layer: LayerHue,
    /// Where the bar begins and how long it is, 0–100; `None` when not measured.
    pub span: Option<(f32, f32)>,
    /// Where the target lies, 0–100.
    pub target: Option<f32>,
    /// "46"
    pub figure: &'a str,
    /// "at the edge"
    pub words: &'a str,
    /// "target 80"
    pub detail: &'a str,
}

/// Where 100 requests are answered: one row of 50 a layer, offset bars in one scale.
pub fn request_path(ui: &mut Ui, rows: &[PathRow<'_>]) {
    let theme = Theme::get(ui);
    let size = vec2(ui.available_width(), rows.len() as f32 * 50.0);
    let (_, all) = ui.allocate_space(size);
    let from = all.left() + 100.0;
    let to = (all.right() - 118.0).max(from + 40.0);
    let x_of = |share: f32| (from + (to - from) * share / 100.0).round();
    let mut previous: Option<f32> = None;
    for (index, row) in rows.iter().enumerate() {
        let top = all.top() + index as f32 * 50.0;
        let rect = Rect::from_min_size(pos2(all.left(), top), vec2(all.width(), 50.0));
        let id = ui.scope_id().with(("request path", index));
        let response = ui.interact(rect, id, Sense::hover());
        let name = path_name(row);
        response.widget_info(|| WidgetInfo::labeled(Role::Meter, true, &name));
        let y = rect.center().y;
        let painter = ui.painter();
        let hue = row.layer.color(theme);
        let icon = row.layer.icon();
        paint::icon(painter, pos2(rect.left() + 8.0, y), icon, Face::Regular, 16.0, hue);
        let at = pos2(rect.left() + 22.0, y);
        paint::text_left(painter, at, row.layer.word(), Type::NAME, theme.text, 76.0);
        let track = Rect::from_min_max(pos2(from, y - 12.0), pos2(to, y + 12.0));
        if let (Some(x), Some(_)) = (previous, row.span) {
            let stroke = Stroke::new(1.0, theme.line_strong);
            painter.vline(x - 0.5, (y - 38.0)..=(y - 12.0), stroke);
        }
        match row.span {
            Some((start, share)) => {
                painter.rect_filled(track, CornerRadius::same(2), theme.bg_hover);
                let bar = Rect::from_x_y_ranges(x_of(start)..=x_of(start + share), track.y_range());
                painter.rect_filled(bar, CornerRadius::same(2), hue);
                bar_figure(ui, bar, row.figure);
                previous = Some(bar.right());
            }
            None => {
                paint::dashed_rect(painter, track, theme.line_strong);
                previous = None;
            }
        }
        if let Some(target) = row.target {
            tick(ui, x_of(target), y - 16.0, y + 16.0);
        }
        path_words(ui, pos2(to + 12.0, y), row, all.right());
    }
}

fn bar_figure(ui: &Ui, bar: Rect, figure: &str) {
    let color = Theme::get(ui).bg_card;
    let style = Type::Label(Weight::Strong);
    let text = paint::line(ui.painter(), figure, style, color, f32::INFINITY);
    if text.size().x + 4.0 <= bar.width() {
        let x = bar.center().x - text.size().x / 2.0;
        paint::left(ui.painter(), x, bar.center().y, text);
    }
}

fn path_words(ui: &Ui, at: egui::Pos2, row: &PathRow<'_>, right: f32) {
    let theme = Theme::get(ui);
    let painter = ui.painter();
    let strong = Type::Label(Weight::Strong);
    let above = pos2(at.x, at.y - 8.0);
    let mut x = at.x;
    if row.span.is_some() {
        x = paint::text_left(painter, above, row.figure, strong, theme.text, right - x) + 4.0;
    }
    let rest = pos2(x, above.y);
    paint::text_left(painter, rest, row.words, Type::LABEL, theme.text, right - x);
    let below = pos2(at.x, at.y + 8.0);
    paint::text_left(painter, below, row.detail, Type::LABEL, theme.text_weak, right - at.x);
}

fn path_name(row: &PathRow<'_>) -> String {
    let measured = if row.span.is_some() { row.figure } else { "not measured," };
    spoken(&format!("{} {measured} {}, {}", row.layer.word(), row.words, row.detail))
}

/// Width of the bar in a cell: 80, less where the cell is narrow, so that the number stays whole.
pub fn share_bar_width(cell: f32) -> f32 {
    (cell - 56.0).clamp(16.0, 80.0)
}

/// A bar of 80 × 8 and its number at the cell's right. `share` is 0–1 of the column's scale.
pub fn share_cell(ui: &mut Ui, share: f32, text: &str, fill: Color32) -> Response {
    let theme = Theme::get(ui);
    let galley = paint::line(ui.painter(), text, Type::BODY, theme.text, f32::INFINITY);
    let width = ui.available_width();
    let (rect, response) = ui.allocate_exact_size(vec2(width, 18.0), Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(Role::Label, true, text));
    let bar = Rect::from_min_size(pos2(rect.left(), rect.center().y - 4.0), vec2(share_bar_width(width), 8.0));
    paint::share_bar(ui.painter(), bar, share, fill, theme.bg_active);
    paint::right(ui.painter(), rect.right(), rect.center().y, galley);
    response
}

/// A score and its bar of 40 × 4, for a table cell of 64; `None` is "–".
pub fn score_cell(ui: &mut Ui, layer: LayerHue, score: Option<u8>) -> Response {
    let theme = Theme::get(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(40.0, 28.0), Sense::hover());
    let text = score.map_or_else(|| "–".to_owned(), |score| score.to_string());
    let name = format!("{} {text}", layer.word());
    response.widget_info(|| WidgetInfo::labeled(Role::Label, true, &name));
    let painter = ui.painter();
    let Some(score) = score else {
        let at = pos2(rect.right(), rect.center().y);
        paint::text_right(painter, at, &text, Type::BODY, theme.text_weak);
        return response;
    };
    let at = pos2(rect.right(), rect.top() + 9.0);
    paint::text_right(painter, at, &text, Type::NAME, theme.text);
    let bar = Rect::from_min_size(pos2(rect.left(), rect.bottom() - 6.0), vec2(40.0, 4.0));
    paint::share_bar(painter, bar, f32::from(score) / 100.0, layer.color(theme), theme.bg_active);
    response
}

/// Progress of known length, 0–1; 4 high, as wide as there is room.
pub fn progress_bar(ui: &mut Ui, name: &str, share: f32) -> Response {
    let theme = Theme::get(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 4.0), Sense::hover());
    response.widget_info(|| {
        let mut info = WidgetInfo::labeled(Role::ProgressIndicator, true, name);
        info.value = Some(f64::from(share));
        info
    });
    paint::share_bar(ui.painter(), rect, share, theme.accent_fill, theme.bg_active);
    response
}

/// An open ring of `size` that turns, and repaints, only while it is on screen.
pub fn spinner(ui: &mut Ui, size: f32, name: &str) -> Response {
    const REPAINT_S: f32 = 1.0 / 30.0;
    let (rect, response) = ui.allocate_exact_size(vec2(size, size), Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(Role::ProgressIndicator, true, name));
    if !ui.is_rect_visible(rect) {
        return response;
    }
    ui.ctx().request_repaint_after_secs(REPAINT_S);
    let turn = ui.input(|input| input.time) as f32 * std::f32::consts::TAU * 0.8;
    let radius = size / 2.0 - 1.0;
    let points: Vec<_> = (0..=24)
        .map(|step| {
            let angle = turn + step as f32 / 24.0 * std::f32::consts::TAU * 0.8;
            rect.center() + radius * vec2(angle.cos(), angle.sin())
        })
        .collect();
    ui.painter().line(points, Stroke::new(1.5, Theme::get(ui).accent));
    response
}
