//! Rows of fixed height: findings, the plan, evidence, facts; and the list
//! that holds them with one tab stop.

use egui::{CornerRadius, EventFilter, Id, Key, Modifiers, Rect, Response, Role, ScrollArea, Sense, Stroke, Ui, WidgetInfo, pos2, vec2};

use super::gauge::spoken;
use super::marks::{LayerHue, Level};
use super::paint;
use crate::ui::fonts::Type;
use crate::ui::icons::{self, Face};
use crate::ui::theme::{Theme, height, radius, space};

/// What the reader did in a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ListResponse {
    /// The selection moved, by click or key.
    pub changed: bool,
    /// A row was double-clicked or Enter was pressed on it.
    pub activated: Option<usize>,
}

/// A virtual list of `count` rows of `row_height` that scrolls in the room it
/// has. One tab stop; ↑ ↓ Home End move, Enter opens. `row` paints a row in
/// the rectangle of the response it is given and sets its `widget_info`.
pub fn row_list(
    ui: &mut Ui,
    id_salt: &str,
    count: usize,
    row_height: f32,
    selected: &mut Option<usize>,
    mut row: impl FnMut(&mut Ui, usize, &Response, bool),
) -> ListResponse {
    let list = ui.make_persistent_id(("rows", id_salt));
    let mut result = ListResponse::default();
    let stop = selected.unwrap_or(0).min(count.saturating_sub(1));
    let moved = step_list(ui, list, stop, count);
    if ui.memory(|memory| memory.has_focus(list.with(stop))) && ui.input(|input| input.key_pressed(Key::Enter)) {
        result.activated = Some(stop);
    }
    let mut scroll = ScrollArea::vertical().id_salt(list).auto_shrink([false, true]);
    if let Some(index) = moved {
        *selected = Some(index);
        result.changed = true;
        let seen = ui.data(|data| data.get_temp::<(f32, f32)>(list)).unwrap_or((0.0, 0.0));
        scroll = scroll.vertical_scroll_offset(revealed(seen, index, row_height));
    }
    let stop = selected.unwrap_or(0).min(count.saturating_sub(1));
    ui.spacing_mut().item_spacing.y = 0.0;
    let output = scroll.show_rows(ui, row_height, count, |ui, range| {
        for index in range {
            let size = vec2(ui.available_width(), row_height);
            let (_, rect) = ui.allocate_space(size);
            let sense = if index == stop { Sense::click() } else { Sense::CLICK };
            let response = ui.interact(rect, list.with(index), sense);
            if response.clicked() && *selected != Some(index) {
                *selected = Some(index);
                result.changed = true;
            }
            if response.double_clicked() {
                result.activated = Some(index);
            }
            let is_selected = *selected == Some(index);
            paint_row(ui, rect, &response, is_selected);
            row(ui, index, &response, is_selected);
        }
    });
    let seen = (output.state.clamped_offset().y, output.inner_rect.height());
    ui.data_mut(|data| data.insert_temp(list, seen));
    result
}

/// The row that ↑ ↓ Home End lead to, when the list has focus.
fn step_list(ui: &Ui, list: Id, stop: usize, count: usize) -> Option<usize> {
    let id = list.with(stop);
    if count == 0 || !ui.memory(|memory| memory.has_focus(id)) {
        return None;
    }
    let filter = EventFilter { vertical_arrows: true, ..EventFilter::default() };
    ui.memory_mut(|memory| memory.set_focus_lock_filter(id, filter));
    let last = count - 1;
    let to = ui.input_mut(|input| {
        let up = input.count_and_consume_key(Modifiers::NONE, Key::ArrowUp);
        let down = input.count_and_consume_key(Modifiers::NONE, Key::ArrowDown);
        if input.consume_key(Modifiers::NONE, Key::Home) {
            0
        } else if input.consume_key(Modifiers::NONE, Key::End) {
            last
        } else {
            (stop + down).saturating_sub(up).min(last)
        }
    });
    if to == stop {
        return None;
    }
    ui.memory_mut(|memory| memory.request_focus(list.with(to)));
    Some(to)
}

/// The offset that shows row `index`, moving as little as needed from
/// `(offset, height)`.
fn revealed((offset, height): (f32, f32), index: usize, row_height: f32) -> f32 {
    let top = index as f32 * row_height;
    let lowest = (top + row_height - height).max(0.0);
    offset.clamp(lowest.min(top), top)
}

fn paint_row(ui: &Ui, rect: Rect, response: &Response, selected: bool) {
    let theme = Theme::get(ui);
    if selected || response.hovered() {
        ui.painter().rect_filled(rect, CornerRadius::ZERO, theme.bg_hover);
    }
    paint::rule(ui.painter(), rect.x_range(), rect.bottom() - 1.0, theme.line_subtle);
    if selected {
        let bar = Rect::from_min_max(rect.min, pos2(rect.left() + 2.0, rect.bottom()));
        ui.painter().rect_filled(bar, CornerRadius::ZERO, theme.accent);
    }
    paint::focus_ring(ui, response, rect, 0);
}

/// A finding in the list of findings.
#[derive(Clone, Copy, Debug)]
pub struct FindingRow<'a> {
    /// The rank, or `None` for a symptom, which hangs under its cause with ↳.
    pub rank: Option<usize>,
    pub level: Level,
    pub layer: LayerHue,
    pub title: &'a str,
    pub subject: &'a str,
    /// "−96 % database time", or "with 4" for a symptom.
    pub gain: &'a str,
}

impl FindingRow<'_> {
    /// "1, High, Postgres, Statements scan …, public.image(product_id), minus 96 percent …"
    pub fn accessible_name(&self) -> String {
        let rank = self.rank.map_or_else(|| "symptom".to_owned(), |rank| rank.to_string());
        let words = [rank.as_str(), self.level.word(), self.layer.word(), self.title, self.subject];
        spoken(&format!("{}, {}", words.join(", "), self.gain))
    }
}

/// Paints a finding, 52 high, in the rectangle of `response`; for [`row_list`].
pub fn finding_row(ui: &Ui, response: &Response, row: FindingRow<'_>, selected: bool) {
    let theme = Theme::get(ui);
    response.widget_info(|| WidgetInfo::selected(Role::ListBoxOption, true, selected, row.accessible_name()));
    let rect = response.rect;
    let painter = ui.painter();
    let left = rect.left();
    let (above, below) = (rect.top() + 17.5, rect.top() + 34.5);
    match row.rank {
        Some(rank) => {
            let color = if selected { theme.text } else { theme.text_weak };
            let text = rank.to_string();
            paint::text_right(painter, pos2(left + 28.0, rect.center().y), &text, Type::BODY, color);
        }
        None => {
            let at = pos2(left + 16.0, rect.center().y);
            let icon = icons::ARROW_ELBOW_DOWN_RIGHT;
            paint::icon(painter, at, icon, Face::Regular, 14.0, theme.text_weak);
        }
    }
    let (icon, face) = row.level.icon();
    let color = row.level.colors(theme).fg;
    paint::icon(painter, pos2(left + 44.0, rect.center().y), icon, face, 16.0, color);
    let x = left + 62.0;
    let right = rect.right() - 12.0;
    paint::text_left(painter, pos2(x, above), row.title, Type::NAME, theme.text, right - x);
    let hue = row.layer.color(theme);
    paint::icon(painter, pos2(x + 6.0, below), row.layer.icon(), Face::Regular, 12.0, hue);
    let at = pos2(x + 18.0, below);
    // The subject keeps at least two fifths of the line: it tells two findings of one check apart.
    let gain = paint::line(painter, row.gain, Type::LABEL, theme.text_muted, (right - at.x) * 0.6);
    let end = paint::right(painter, right, below, gain);
    let room = end - at.x - space::S;
    paint::text_left(painter, at, row.subject, Type::LABEL, theme.text_weak, room);
}

/// A step of the plan.
#[derive(Clone, Copy, Debug)]
pub struct PlanRow<'a> {
    pub rank: usize,
    pub level: Level,
    pub title: &'a str,
    pub detail: &'a str,
    pub layer: LayerHue,
    pub gain: &'a str,
    /// "proved", "measured", "modelled", "rule of thumb", "risk"
    pub basis: &'a str,
    pub effort: &'a str,
}

impl PlanRow<'_> {
    pub fn accessible_name(&self) -> String {
        let Self { rank, title, detail, gain, basis, effort, .. } = self;
        let (level, layer) = (self.level.word(), self.layer.word());
        spoken(&format!("{rank}, {level}, {layer}, {title}, {detail}, {gain}, {basis}, {effort}"))
    }
}

/// Paints a step, 56 high, in the rectangle of `response`; for [`row_list`].
pub fn plan_row(ui: &Ui, response: &Response, row: PlanRow<'_>, selected: bool) {
    let theme = Theme::get(ui);
    response.widget_info(|| WidgetInfo::selected(Role::ListBoxOption, true, selected, row.accessible_name()));
    let rect = response.rect;
    let painter = ui.painter();
    let y = rect.center().y - 0.5;
    let (above, below) = (y - 8.0, y + 8.5);
    let rank = row.rank.to_string();
    paint::text_right(painter, pos2(rect.left() + 31.0, y), &rank, Type::BODY, theme.text_weak);
    let (icon, face) = row.level.icon();
    let color = row.level.colors(theme).fg;
    paint::icon(painter, pos2(rect.left() + 48.0, y), icon, face, 16.0, color);
    let right = rect.right() - 17.0;
    paint::text_right(painter, pos2(right, y), row.effort, Type::LABEL, theme.text_muted);
    let gain_right = right - 60.0;
    let basis = pos2(gain_right, below);
    paint::text_right(painter, basis, row.basis, Type::LABEL, theme.text_weak);
    let layer = gain_right - 234.0;
    let hue = row.layer.color(theme);
    paint::icon(painter, pos2(layer + 7.0, y), row.layer.icon(), Face::Regular, 14.0, hue);
    let at = pos2(layer + 20.0, y);
    let word = paint::line(painter, row.layer.word(), Type::LABEL, theme.text_muted, 76.0);
    // A gain that would run into the layer's name is cut; the detail page has it whole.
    let gain = paint::line(painter, row.gain, Type::NAME, theme.text, gain_right - at.x - word.size().x - space::M);
    paint::left(painter, at.x, at.y, word);
    paint::right(painter, gain_right, above, gain);
    let x = rect.left() + 66.0;
    let room = layer - x - space::M;
    paint::text_left(painter, pos2(x, above), row.title, Type::NAME, theme.text, room);
    paint::text_left(painter, pos2(x, below), row.detail, Type::LABEL, theme.text_weak, room);
}

/// More rows than this are counted instead of shown.
const EVIDENCE_ROWS_MAX: usize = 8;

/// Labels at the left, values at the right, rows of 24, at most 8.
pub fn evidence_table(ui: &mut Ui, rows: &[(&str, &str)]) {
    let theme = Theme::get(ui);
    ui.spacing_mut().item_spacing.y = 0.0;
    for (index, (label, value)) in rows.iter().take(EVIDENCE_ROWS_MAX).enumerate() {
        let rect = evidence_row(ui, index, &format!("{label}: {value}"));
        let y = rect.center().y - 0.5;
        let at = pos2(rect.right(), y);
        let room = rect.width() * 0.7;
        let text = paint::line(ui.painter(), value, Type::LABEL, theme.text, room);
        let end = paint::right(ui.painter(), at.x, y, text);
        let room = end - rect.left() - space::M;
        let at = pos2(rect.left(), y);
        paint::text_left(ui.painter(), at, label, Type::LABEL, theme.text_muted, room);
    }
    if rows.len() > EVIDENCE_ROWS_MAX {
        let more = format!("and {} more", rows.len() - EVIDENCE_ROWS_MAX);
        let rect = evidence_row(ui, EVIDENCE_ROWS_MAX, &more);
        let at = pos2(rect.left(), rect.center().y - 0.5);
        paint::text_left(ui.painter(), at, &more, Type::LABEL, theme.text_weak, rect.width());
    }
}

fn evidence_row(ui: &mut Ui, index: usize, name: &str) -> Rect {
    let size = vec2(ui.available_width(), height::EVIDENCE_ROW);
    let (rect, response) = ui.allocate_exact_size(size, Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(Role::Label, true, name));
    let theme = Theme::get(ui);
    if index > 0 {
        paint::rule(ui.painter(), rect.x_range(), rect.top() - 1.0, theme.line_subtle);
    }
    paint::rule(ui.painter(), rect.x_range(), rect.bottom() - 1.0, theme.line_subtle);
    rect
}

/// Captions over values in one outlined row of 52: gain, basis, confidence …
pub fn facts(ui: &mut Ui, facts: &[(&str, &str)]) {
    let theme = Theme::get(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 52.0), Sense::hover());
    let words: Vec<String> = facts.iter().map(|(name, value)| format!("{name} {value}")).collect();
    let name = spoken(&words.join(", "));
    response.widget_info(|| WidgetInfo::labeled(Role::Label, true, &name));
    paint::boxed(ui.painter(), rect, radius::CONTROL, theme.bg_card, theme.line_subtle);
    let mut x = rect.left() + 13.0;
    for (caption, value) in facts {
        let room = rect.right() - 13.0 - x;
        if room < 24.0 {
            break;
        }
        let painter = ui.painter();
        let above = pos2(x, rect.top() + 17.0);
        let below = pos2(x, rect.top() + 34.5);
        let a = paint::text_left(painter, above, caption, Type::LABEL, theme.text_weak, room);
        let b = paint::text_left(painter, below, value, Type::NAME, theme.text, room);
        x = a.max(b) + space::XL;
    }
}

/// A name at the left, wrapped words beside it: lock, risk, undo, verify.
/// `mono` rows are code.
pub fn definition(ui: &mut Ui, name: &str, words: &str, mono: bool) {
    let theme = Theme::get(ui);
    let width = ui.available_width();
    let style = if mono { Type::Mono } else { Type::LABEL };
    let galley = paint::wrapped(ui.painter(), words, style, theme.text, width - 76.0);
    let size = vec2(width, galley.size().y.max(16.0) + 2.0);
    let (rect, response) = ui.allocate_exact_size(size, Sense::hover());
    let label = format!("{name}: {words}");
    response.widget_info(|| WidgetInfo::labeled(Role::Label, true, &label));
    let at = pos2(rect.left(), rect.top() + 9.0);
    paint::text_left(ui.painter(), at, name, Type::LABEL, theme.text_weak, 72.0);
    let top = if mono { 0.0 } else { 1.0 };
    ui.painter().galley(rect.min + vec2(76.0, top), galley, theme.text);
}

/// One station of a request: what the layer does and the finding there.
pub fn request_step(ui: &mut Ui, layer: LayerHue, words: &str, finding: Option<(Level, &str)>, current: bool, width: f32) -> Response {
    let theme = Theme::get(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(width, 40.0), Sense::click());
    let count = finding.map_or(String::new(), |(level, rank)| format!(", {} {rank}", level.word()));
    let name = spoken(&format!("{}, {words}{count}", layer.word()));
    response.widget_info(|| WidgetInfo::selected(Role::Button, true, current, &name));
    let edge = if current { theme.accent } else { theme.line };
    let stroke = Stroke::new(1.0, edge);
    let fill = if response.hovered() { theme.bg_hover } else { theme.bg_card };
    paint::boxed(ui.painter(), rect, radius::CONTROL, fill, stroke.color);
    paint::focus_ring(ui, &response, rect, radius::CONTROL);
    let y = rect.center().y;
    let painter = ui.painter();
    let hue = layer.color(theme);
    paint::icon(painter, pos2(rect.left() + 20.0, y), layer.icon(), Face::Regular, 16.0, hue);
    let mut end = rect.right() - 12.0;
    if let Some((level, rank)) = finding {
        end = paint::text_right(painter, pos2(end, y), rank, Type::LABEL, theme.text);
        let (icon, face) = level.icon();
        let color = level.colors(theme).fg;
        paint::icon(painter, pos2(end - 12.0, y), icon, face, 14.0, color);
        end -= 24.0;
    }
    let at = pos2(rect.left() + 36.0, y);
    paint::text_left(painter, at, words, Type::LABEL, theme.text, end - at.x);
    response
}
