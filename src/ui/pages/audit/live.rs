//! Three live charts; their axis is the whole window, so that nothing moves as it fills.

use eframe::egui::{Role, Sense, Ui, WidgetInfo, pos2, vec2};

use super::Clock;
use crate::app::{Model, Running};
use crate::evidence::Layer;
use crate::text;
use crate::ui::fonts::Type;
use crate::ui::look;
use crate::ui::theme::{Theme, space};
use crate::ui::widgets::{ChartData, ChartKind, Hue, Series, Width, card, chart, columns, paint};

const HEIGHT: f32 = 150.0;

type Points = [(f64, f64)];

/// One live measure, as it is told.
#[derive(Clone, Copy)]
struct Measure {
    id: &'static str,
    layer: Layer,
    title: &'static str,
    unit: &'static str,
    kind: ChartKind,
    y_max: Option<f64>,
    words: fn(f64) -> String,
}

const DATABASE_TIME: Measure = Measure {
    id: "pg.database_time",
    layer: Layer::Postgres,
    title: "Database time",
    unit: "s per s",
    kind: ChartKind::Line,
    y_max: None,
    words: text::number,
};
const HIT_RATE: Measure = Measure {
    id: "redis.hit_rate",
    layer: Layer::Redis,
    title: "Redis product data hit rate",
    unit: "of lookups",
    kind: ChartKind::Line,
    y_max: Some(1.0),
    words: text::percent,
};
const OPS: Measure =
    Measure { id: "redis.ops", layer: Layer::Redis, title: "Redis commands", unit: "per s", kind: ChartKind::Line, y_max: None, words: text::number };
const KEYS: Measure =
    Measure { id: "redis.keys_calls", layer: Layer::Redis, title: "KEYS calls", unit: "", kind: ChartKind::Bars, y_max: None, words: text::number };
const LATENCY: Measure = Measure {
    id: "app.latency",
    layer: Layer::App,
    title: "Store API latency",
    unit: "slowest so far",
    kind: ChartKind::Line,
    y_max: None,
    words: text::millis,
};

pub fn show(ui: &mut Ui, model: &Model, running: &Running, clock: &Clock) {
    let measures = chosen(running);
    columns(ui, &[Width::Share(1.0); 3], HEIGHT, space::L, |ui, index| {
        let measure = measures[index];
        let points = points(running, measure.id);
        card(ui, Some(HEIGHT), |ui| {
            if points.is_empty() {
                absent(ui, running, measure);
            } else {
                measured(ui, model, running, clock, measure, points);
            }
        });
    });
}

fn points<'a>(running: &'a Running, id: &str) -> &'a Points {
    running.live.iter().find(|(i, _)| *i == id).map_or(&[], |(_, points)| points)
}

/// The three measures that say most of what has arrived.
fn chosen(running: &Running) -> [Measure; 3] {
    let has = |m: Measure| !points(running, m.id).is_empty();
    let has_keys = points(running, KEYS.id).iter().any(|(_, calls)| *calls > 0.0);
    let second = if !has(HIT_RATE) && has(OPS) { OPS } else { HIT_RATE };
    let third = match (has_keys, has(LATENCY), has(KEYS)) {
        (true, ..) => KEYS,
        (false, true, _) => LATENCY,
        (false, false, true) => KEYS,
        (false, false, false) => LATENCY,
    };
    [DATABASE_TIME, second, third]
}

fn head(ui: &mut Ui, title: &str, figure: &str, unit: &str) {
    let theme = Theme::get(ui);
    let (_, rect) = ui.allocate_space(vec2(ui.available_width(), 20.0));
    let y = rect.center().y;
    let mut end = paint::text_right(ui.painter(), pos2(rect.right(), y + 1.0), unit, Type::LABEL, theme.text_weak);
    if !unit.is_empty() {
        end -= 6.0;
    }
    let end = paint::text_right(ui.painter(), pos2(end, y), figure, Type::HEADING, theme.text);
    paint::text_left(ui.painter(), pos2(rect.left(), y), title, Type::LABEL, theme.text_muted, end - rect.left() - space::S);
}

fn absent(ui: &mut Ui, running: &Running, measure: Measure) {
    let theme = Theme::get(ui);
    head(ui, measure.title, "", "");
    let lane = running.lanes.iter().find(|l| l.layer == measure.layer);
    let reason = match lane {
        None => "not measured".to_owned(),
        Some(l) if !l.is_configured => format!("not measured: {} is not set up", measure.layer.name()),
        Some(l) if l.failed.is_some() => format!("not measured: {} stopped", measure.layer.name()),
        Some(_) if running.window_opened_at.is_none() => "from when the window opens".to_owned(),
        Some(_) => "not measured yet".to_owned(),
    };
    let (rect, response) = ui.allocate_exact_size(ui.available_size(), Sense::hover());
    let name = format!("{}, {reason}", measure.title);
    response.widget_info(|| WidgetInfo::labeled(Role::Figure, true, &name));
    let inside = rect.shrink2(vec2(0.0, 8.0));
    paint::dashed_rect(ui.painter(), inside, theme.line_strong);
    let galley = paint::line(ui.painter(), &reason, Type::LABEL, theme.text_muted, inside.width() - 16.0);
    paint::left(ui.painter(), inside.center().x - galley.size().x / 2.0, inside.center().y, galley);
}

fn measured(ui: &mut Ui, model: &Model, running: &Running, clock: &Clock, measure: Measure, points: &Points) {
    let passed = clock.window_s.unwrap_or(0.0).floor();
    let (figure, unit) = if measure.kind == ChartKind::Bars {
        (text::count(points.iter().map(|p| p.1).sum::<f64>() as u64), format!("in {}", text::seconds(passed)))
    } else {
        let shown = if measure.id == LATENCY.id { highest(points) } else { points.last().map_or(0.0, |p| p.1) };
        ((measure.words)(shown), measure.unit.to_owned())
    };
    head(ui, measure.title, &figure, &unit);
    ui.add_space(2.0);
    let target = (measure.id == HIT_RATE.id).then(|| {
        let at_least = model.settings.targets.redis_hit_rate_min;
        (at_least, format!("target {}", text::percent(at_least)))
    });
    let conclusion = format!("{figure} {unit} after {passed} of {} s", running.window_s);
    let data = ChartData {
        title: measure.title.to_owned(),
        caption: unit,
        conclusion,
        kind: measure.kind,
        series: vec![Series {
            name: measure.title.to_owned(),
            points: over_window(points, running.window_s, measure.kind),
            hue: Hue::Layer(look::hue(measure.layer)),
            modelled: false,
        }],
        y_max: measure.y_max,
        target,
        x_ticks: ticks(running.window_s),
        y_words: measure.words,
        y_tick: tick_of(&measure),
        x_words: text::seconds,
    };
    let height = ui.available_height();
    chart(ui, &data, height);
}

/// Ticks in the words of the measure: shares in percent, times in milliseconds, the rest as numbers.
fn tick_of(measure: &Measure) -> fn(f64, f64) -> String {
    match measure.id {
        id if id == HIT_RATE.id => |y, _| text::percent(y),
        id if id == LATENCY.id => |y, _| text::millis(y),
        _ => |y, _| text::number(y),
    }
}

fn highest(points: &Points) -> f64 {
    points.iter().map(|p| p.1).fold(0.0, f64::max)
}

/// The samples between two missing ones at the window's ends: missing is not drawn, but the axis reaches there.
fn over_window(points: &Points, window_s: f64, kind: ChartKind) -> Vec<(f64, Option<f64>)> {
    // Bars are as wide as the smallest step, so theirs stand on whole seconds.
    let place = |x: f64| if kind == ChartKind::Bars { x.round() } else { x };
    let mut all: Vec<(f64, Option<f64>)> = Vec::with_capacity(points.len() + 2);
    for (x, y) in points {
        match all.last_mut() {
            Some((last, Some(sum))) if kind == ChartKind::Bars && *last >= place(*x) => *sum += y,
            _ => all.push((place(*x), Some(*y))),
        }
    }
    if all.first().is_some_and(|p| p.0 >= 1.0) {
        all.insert(0, (0.0, None));
    }
    if all.last().is_some_and(|p| p.0 <= window_s - 1.0) {
        all.push((window_s, None));
    }
    all
}

fn ticks(window_s: f64) -> Vec<(f64, String)> {
    let middle = (window_s / 2.0).round();
    let word = |s: f64| text::number(s);
    vec![(0.0, format!("0{}s", text::NBSP)), (middle, word(middle)), (window_s, word(window_s))]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_axis_is_the_whole_window_and_missing_is_no_zero() {
        let line = over_window(&[(1.0, 0.5), (2.0, 0.7)], 30.0, ChartKind::Line);
        assert_eq!(line, [(0.0, None), (1.0, Some(0.5)), (2.0, Some(0.7)), (30.0, None)]);
    }

    #[test]
    fn bars_of_one_second_are_added() {
        let bars = over_window(&[(1.01, 1.0), (1.4, 2.0), (2.02, 0.0)], 30.0, ChartKind::Bars);
        assert_eq!(bars, [(0.0, None), (1.0, Some(3.0)), (2.0, Some(0.0)), (30.0, None)]);
    }
}
