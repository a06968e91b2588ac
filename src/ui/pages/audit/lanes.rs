//! A row a layer: what is read now, how far it is, and what it costs the store.

use eframe::egui::{Rect, Role, Sense, Ui, WidgetInfo, pos2, vec2};

use crate::app::{LaneState, Running};
use crate::evidence::Layer;
use crate::text;
use crate::ui::fonts::Type;
use crate::ui::icons::{self, Face};
use crate::ui::look;
use crate::ui::theme::{Theme, space};
use crate::ui::widgets::{flush_card, hint, paint};

const HEAD: f32 = 32.0;
const ROW: f32 = 48.0;

/// Where the columns stand, from the row's left edge.
struct Spans {
    now: f32,
    bar: f32,
    bar_width: f32,
    sections: f32,
    cost: f32,
}

impl Spans {
    fn of(width: f32) -> Self {
        let cost = width - space::L;
        let sections = cost - 166.0;
        let bar_width = if width < 900.0 { 96.0 } else { 200.0 };
        let bar = sections - 100.0 - bar_width;
        Self { now: if width < 900.0 { 132.0 } else { 164.0 }, bar, bar_width, sections, cost }
    }
}

pub fn show(ui: &mut Ui, running: &Running) {
    flush_card(ui, Some(HEAD + ROW * running.lanes.len() as f32 + 2.0), |ui| {
        let spans = Spans::of(ui.available_width());
        head(ui, &spans);
        for (index, lane) in running.lanes.iter().enumerate() {
            row(ui, lane, &spans, index + 1 == running.lanes.len());
        }
    });
}

fn head(ui: &mut Ui, spans: &Spans) {
    let theme = Theme::get(ui);
    let (_, rect) = ui.allocate_space(vec2(ui.available_width(), HEAD));
    let y = rect.center().y;
    let left = |x: f32, words: &str| {
        paint::text_left(ui.painter(), pos2(rect.left() + x, y), words, Type::HEAD, theme.text_weak, 200.0);
    };
    left(space::L, "Layer");
    left(spans.now, "Now");
    left(spans.bar, "Progress");
    let right = |x: f32, words: &str| {
        paint::text_right(ui.painter(), pos2(rect.left() + x, y), words, Type::HEAD, theme.text_weak);
    };
    right(spans.sections, "Sections");
    right(spans.cost, "Cost to the store");
    paint::rule(ui.painter(), rect.x_range(), rect.bottom() - 1.0, theme.line);
}

fn row(ui: &mut Ui, lane: &LaneState, spans: &Spans, is_last: bool) {
    let theme = Theme::get(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), ROW), Sense::hover());
    let (sections, cost) = (sections(lane), cost(lane));
    let now = lane.failed.as_deref().unwrap_or(&lane.now);
    let name = format!("{}, {now}, {sections}, {cost}", lane.layer.name());
    response.widget_info(|| WidgetInfo::labeled(Role::Row, true, &name));
    let painter = ui.painter();
    let y = rect.center().y;
    let hue = look::hue(lane.layer);
    let icon_color = if lane.is_configured { hue.color(theme) } else { theme.text_weak };
    paint::icon(painter, pos2(rect.left() + 24.0, y), hue.icon(), Face::Regular, 16.0, icon_color);
    let name_color = if lane.is_configured { theme.text } else { theme.text_weak };
    paint::text_left(painter, pos2(rect.left() + 38.0, y), lane.layer.name(), Type::NAME, name_color, spans.now - 46.0);
    let mut x = rect.left() + spans.now;
    let mut color = theme.text;
    match (&lane.failed, lane.is_configured, lane.is_done) {
        (Some(_), ..) => {
            paint::icon(painter, pos2(x + 8.0, y), icons::PLUGS, Face::Regular, 16.0, theme.high.fg);
            color = theme.high.fg;
            x += 24.0;
        }
        (None, false, _) => color = theme.text_weak,
        (None, true, true) => {
            paint::icon(painter, pos2(x + 8.0, y), icons::CHECK_CIRCLE, Face::Fill, 16.0, theme.good.fg);
            x += 24.0;
        }
        (None, true, false) => {}
    }
    let galley = paint::line(painter, now, Type::BODY, color, rect.left() + spans.bar - x - space::L);
    let is_cut = galley.elided;
    paint::left(painter, x, y, galley);
    let bar = Rect::from_min_size(pos2(rect.left() + spans.bar, y - 2.0), vec2(spans.bar_width, 4.0));
    match (lane.is_configured, lane.of) {
        (false, _) => paint::dashed_rect(painter, bar, theme.line_strong),
        (true, of) => {
            let share = if of == 0 { 0.0 } else { lane.done as f32 / of as f32 };
            let fill = if lane.failed.is_some() { theme.line_strong } else { hue.color(theme) };
            paint::share_bar(painter, bar, share, fill, theme.bg_active);
        }
    }
    paint::text_right(painter, pos2(rect.left() + spans.sections, y), &sections, Type::BODY, theme.text_muted);
    paint::text_right(painter, pos2(rect.left() + spans.cost, y), &cost, Type::LABEL, theme.text_weak);
    if !is_last {
        paint::rule(painter, rect.x_range(), rect.bottom() - 1.0, theme.line_subtle);
    }
    if is_cut {
        hint(response, now);
    }
}

fn sections(lane: &LaneState) -> String {
    if lane.of == 0 { "–".to_owned() } else { format!("{} of {}", lane.done, lane.of) }
}

/// "38 queries, 0.21 s": what the store did for us so far.
fn cost(lane: &LaneState) -> String {
    if lane.calls == 0 {
        return "–".to_owned();
    }
    let (one, many) = match lane.layer {
        Layer::Postgres => ("query", "queries"),
        Layer::Redis => ("command", "commands"),
        Layer::Cdn | Layer::App => ("request", "requests"),
    };
    let calls = text::plural(lane.calls, one, many);
    match lane.busy_ms {
        Some(ms) => format!("{calls}, {}", text::millis(ms)),
        None => calls,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cost_is_in_the_layers_own_words() {
        let lane = |layer, calls, busy_ms| LaneState {
            layer,
            is_configured: true,
            now: String::new(),
            done: 0,
            of: 0,
            calls,
            busy_ms,
            is_done: false,
            failed: None,
        };
        assert_eq!(cost(&lane(Layer::Postgres, 38, Some(210.0))), "38\u{a0}queries, 210\u{a0}ms");
        assert_eq!(cost(&lane(Layer::Redis, 1, None)), "1\u{a0}command");
        assert_eq!(cost(&lane(Layer::Cdn, 0, None)), "–");
    }
}
