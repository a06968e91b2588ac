//! Charts without an axis: horizontal bars, the treemap of memory, a
//! finding's pair of bars, the line of scores.

use egui::{Color32, Rect, Response, Role, Sense, Stroke, Ui, WidgetInfo, pos2, vec2};

use super::chart::{self, ChartData, ChartKind, Hue, Series};
use super::chart_plot;
use super::marks::{LayerHue, Level};
use super::paint;
use crate::ui::fonts::{Type, Weight};
use crate::ui::icons::Face;
use crate::ui::theme::Theme;

/// A row of horizontal bars: parts of one length, and its value in words.
#[derive(Clone, Debug)]
pub struct BarRow {
    pub label: String,
    /// Values in one unit, from left to right.
    pub parts: Vec<(f64, Hue)>,
    pub value: String,
    /// The label is a name of the database, in mono.
    pub mono: bool,
}

/// Bars in one scale, `row_height` apart (26 or 34); `label_width` in points.
pub fn horizontal_bars(ui: &mut Ui, rows: &[BarRow], label_width: f32, row_height: f32) {
    horizontal_bars_to(ui, rows, None, label_width, row_height);
}

/// The same with a dashed line at `target`, which is in the scale too.
pub fn horizontal_bars_to(ui: &mut Ui, rows: &[BarRow], target: Option<f64>, label_width: f32, row_height: f32) {
    let theme = Theme::get(ui);
    let total = |row: &BarRow| row.parts.iter().map(|part| part.0).sum::<f64>();
    let longest = rows.iter().map(total).fold(target.unwrap_or(0.0).max(f64::MIN_POSITIVE), f64::max);
    let bar_height = if row_height > 28.0 { 14.0 } else { 10.0 };
    for row in rows {
        let size = vec2(ui.available_width(), row_height);
        let (rect, response) = ui.allocate_exact_size(size, Sense::hover());
        let name = format!("{} {}", row.label, row.value);
        response.widget_info(|| WidgetInfo::labeled(Role::Label, true, &name));
        let y = rect.center().y;
        let style = if row.mono { Type::Mono } else { Type::LABEL };
        let color = if row.mono { theme.text } else { theme.text_muted };
        let at = pos2(rect.left(), y);
        paint::text_left(ui.painter(), at, &row.label, style, color, label_width - 8.0);
        let right = pos2(rect.right(), y);
        paint::text_right(ui.painter(), right, &row.value, Type::BODY, theme.text);
        let mut x = rect.left() + label_width;
        let room = (rect.right() - 62.0 - x).max(1.0);
        for (value, hue) in row.parts.iter().filter(|part| part.0 > 0.0) {
            let width = (room * (value / longest) as f32).max(1.0);
            let bar = Rect::from_min_size(pos2(x, y - bar_height / 2.0), vec2(width, bar_height));
            ui.painter().rect_filled(bar, 0.0, hue.color(theme));
            x += width;
        }
        if let Some(target) = target {
            let x = rect.left() + label_width + room * (target / longest) as f32;
            paint::dashed_line(ui.painter(), pos2(x, rect.top()), pos2(x, rect.bottom()), theme.text_muted);
        }
    }
}

/// One area of the treemap.
#[derive(Clone, Debug)]
pub struct Tile {
    pub name: String,
    /// In one unit; decides the area.
    pub value: f64,
    /// "1.12 GiB"
    pub size: String,
    pub detail: String,
    /// Cache keys are in the Redis hue, the rest in series.rest.
    pub is_cache: bool,
    /// A finding about it.
    pub mark: Option<(Level, String)>,
}

/// More tiles than this are drawn as one, named "other".
const TILES_MAX: usize = 12;

/// Memory by pattern, `height` tall: largest first; the caller sums "other".
pub fn treemap(ui: &mut Ui, tiles: &[Tile], height: f32) -> Response {
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), height), Sense::hover());
    let words: Vec<String> = tiles.iter().map(|tile| format!("{} {}", tile.name, tile.size)).collect();
    let name = words.join(", ");
    response.widget_info(|| WidgetInfo::labeled(Role::Figure, true, &name));
    let mut sorted: Vec<&Tile> = tiles.iter().filter(|tile| tile.value > 0.0).collect();
    sorted.sort_by(|a, b| b.value.total_cmp(&a.value));
    sorted.truncate(TILES_MAX);
    let largest = sorted.first().map_or(1.0, |tile| tile.value);
    for (tile, at) in sorted.iter().zip(squarified(&sorted, rect)) {
        tile_box(ui, tile, at.shrink(1.0), (tile.value / largest) as f32);
    }
    response
}

/// Rectangles by area, as square as they can be: rows along the shorter side, each filled until one more tile would
/// make its worst tile longer (Bruls, Huizing, van Wijk: Squarified treemaps).
fn squarified(tiles: &[&Tile], rect: Rect) -> Vec<Rect> {
    let sum: f64 = tiles.iter().map(|tile| tile.value).sum();
    let scale = f64::from(rect.area()) / sum.max(f64::MIN_POSITIVE);
    let areas: Vec<f32> = tiles.iter().map(|tile| (tile.value * scale) as f32).collect();
    let mut rects = Vec::with_capacity(tiles.len());
    let (mut room, mut at) = (rect, 0);
    while at < areas.len() {
        let side = room.width().min(room.height());
        let mut end = at + 1;
        while end < areas.len() && worst(&areas[at..=end], side) <= worst(&areas[at..end], side) {
            end += 1;
        }
        let row: f32 = areas[at..end].iter().sum();
        let is_wide = room.width() >= room.height();
        let depth = row / side.max(1.0);
        let (taken, rest) = if is_wide { room.split_left_right_at_x(room.left() + depth) } else { room.split_top_bottom_at_y(room.top() + depth) };
        let mut from = 0.0;
        for area in &areas[at..end] {
            let long = area / depth.max(f32::EPSILON);
            rects.push(if is_wide {
                Rect::from_min_size(taken.min + vec2(0.0, from), vec2(depth, long))
            } else {
                Rect::from_min_size(taken.min + vec2(from, 0.0), vec2(long, depth))
            });
            from += long;
        }
        (room, at) = (rest, end);
    }
    rects
}

/// The longest of the tiles in a row of these areas along `side`, as length by width.
fn worst(areas: &[f32], side: f32) -> f32 {
    let depth = areas.iter().sum::<f32>() / side.max(1.0);
    areas.iter().map(|area| (area / depth / depth).max(depth * depth / area)).fold(0.0, f32::max)
}

fn tile_box(ui: &Ui, tile: &Tile, at: Rect, depth: f32) {
    let theme = Theme::get(ui);
    let hue = if tile.is_cache { LayerHue::Redis.color(theme) } else { theme.series_rest };
    let fill = theme.bg_card.lerp_to_gamma(hue, 0.14 + 0.22 * depth);
    let edge = theme.bg_card.lerp_to_gamma(hue, 0.55);
    paint::boxed(ui.painter(), at, 2, fill, edge);
    let painter = ui.painter().with_clip_rect(at.shrink(2.0));
    let left = at.left() + 8.0;
    let room = at.width() - 16.0;
    let mut first = room;
    if room < 48.0 || at.height() < 24.0 {
        return;
    }
    if let Some((level, rank)) = &tile.mark {
        let right = pos2(at.right() - 16.0, at.top() + 14.0);
        let x = paint::text_right(&painter, right, rank, Type::LABEL, theme.text);
        let (icon, face) = level.icon();
        let color = level.colors(theme).fg;
        paint::icon(&painter, pos2(x - 12.0, right.y), icon, face, 14.0, color);
        first -= 48.0;
    }
    let lines = [
        (tile.name.as_str(), Type::Mono, theme.text),
        (tile.size.as_str(), Type::Label(Weight::Strong), theme.text),
        (tile.detail.as_str(), Type::LABEL, theme.text_muted),
    ];
    for (index, (text, style, color)) in lines.into_iter().enumerate() {
        let y = at.top() + 14.0 + 16.0 * index as f32;
        if y + 8.0 <= at.bottom() {
            let room = if index == 0 { first } else { room };
            paint::text_left(&painter, pos2(left, y), text, style, color, room);
        }
    }
}

/// The scores of all audits in one scale of 40–95, 76 × 20, with a dot at the last.
pub fn sparkline(ui: &mut Ui, scores: &[u8], name: &str) -> Response {
    const SCALE: (f32, f32) = (40.0, 95.0);
    let theme = Theme::get(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(76.0, 20.0), Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(Role::Figure, true, name));
    let inside = rect.shrink(2.0);
    let steps = scores.len().saturating_sub(1).max(1) as f32;
    let points: Vec<_> = scores
        .iter()
        .enumerate()
        .map(|(index, score)| {
            let share = ((f32::from(*score) - SCALE.0) / (SCALE.1 - SCALE.0)).clamp(0.0, 1.0);
            let x = inside.left() + inside.width() * index as f32 / steps;
            pos2(x, inside.bottom() - inside.height() * share)
        })
        .collect();
    if let Some(last) = points.last() {
        ui.painter().circle_filled(*last, 2.0, theme.text_muted);
    }
    if points.len() > 1 {
        ui.painter().line(points, Stroke::new(1.5, theme.text_muted));
    }
    response
}

/// A finding's two bars, `now` measured and `then` modelled, over one axis: (value, words, name).
pub fn before_after(ui: &mut Ui, now: (f64, &str, &str), then: (f64, &str, &str), hue: Hue, y_tick: fn(f64, f64) -> String, height: f32) -> Response {
    let theme = Theme::get(ui);
    let largest = now.0.max(then.0).max(f64::MIN_POSITIVE);
    // Half a tick of room keeps the words above the taller bar inside the plot.
    let step = chart::step(largest);
    let y_max = (largest * 1.12 / step).ceil() * step;
    let bar = Series { name: now.2.to_owned(), points: vec![(0.0, Some(now.0)), (1.0, None)], hue, modelled: false };
    let data = ChartData {
        title: format!("{} and {}", now.2, then.2),
        caption: String::new(),
        conclusion: String::new(),
        kind: ChartKind::Bars,
        series: vec![bar],
        y_max: Some(y_max),
        target: None,
        x_ticks: vec![(0.0, now.2.to_owned()), (1.0, then.2.to_owned())],
        y_words: |_| String::new(),
        x_words: |_| String::new(),
        y_tick,
    };
    let (response, frame) = chart_plot::show(ui, &data, height);
    let name = format!("{} {}, {} {} modelled", now.2, now.1, then.2, then.1);
    response.widget_info(|| WidgetInfo::labeled(Role::Figure, true, &name));
    let dashed = Rect::from_x_y_ranges(
        frame.x_of(1.0 - chart_plot::BAR_SHARE / 2.0).round()..=frame.x_of(1.0 + chart_plot::BAR_SHARE / 2.0).round(),
        frame.y_of(then.0).min(frame.plot.bottom() - 4.0)..=frame.plot.bottom(),
    );
    paint::dashed_rect(ui.painter(), dashed, hue.color(theme));
    centered(ui, frame.x_of(0.0), frame.y_of(now.0) - 9.0, now.1, theme.text);
    centered(ui, frame.x_of(1.0), dashed.top() - 9.0, then.1, theme.text);
    response
}

fn centered(ui: &Ui, x: f32, y: f32, text: &str, color: Color32) {
    let galley = paint::line(ui.painter(), text, Type::Axis, color, f32::INFINITY);
    let start = x - galley.size().x / 2.0;
    paint::left(ui.painter(), start, y, galley);
}

/// A layer's icon at the size of an empty page, for its title.
pub fn large_icon(ui: &mut Ui, icon: crate::ui::icons::Icon) {
    let color = Theme::get(ui).text_weak;
    let (rect, _) = ui.allocate_exact_size(vec2(32.0, 32.0), Sense::hover());
    paint::icon(ui.painter(), rect.center(), icon, Face::Regular, 32.0, color);
}
