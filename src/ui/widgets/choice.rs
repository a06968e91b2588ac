//! Choosing: dropdowns, checkboxes, segments and chip filters.

use egui::{
    Color32, CornerRadius, CursorIcon, EventFilter, Id, Key, Modifiers, Popup, PopupCloseBehavior, Rect, Response, Role, Sense, Ui, Vec2, WidgetInfo,
    pos2, vec2,
};

use super::field::{LABEL, field_label};
use super::overlay::{hint, menu_frame, menu_item};
use super::paint;
use crate::ui::fonts::Type;
use crate::ui::icons::{self, Face};
use crate::ui::theme::{Theme, height, radius};

/// A box of 32 that opens a list; `chosen` indexes `options`. True when changed.
pub fn dropdown(ui: &mut Ui, label: &str, options: &[&str], chosen: &mut usize, width: f32) -> bool {
    // A row centres what it is told to expect.
    ui.allocate_ui_with_layout(vec2(width, height::BUTTON + LABEL), egui::Layout::top_down(egui::Align::Min), |ui| {
        ui.set_width(width);
        ui.spacing_mut().item_spacing.y = 0.0;
        field_label(ui, label);
        dropdown_unlabelled(ui, label, options, chosen, width)
    })
    .inner
}

/// The box of [`dropdown`] alone; `label` is its accessible name.
pub fn dropdown_unlabelled(ui: &mut Ui, label: &str, options: &[&str], chosen: &mut usize, width: f32) -> bool {
    let current = options.get(*chosen).copied().unwrap_or("");
    let response = dropdown_box(ui, label, current, width);
    let mut changed = false;
    let frame = menu_frame(Theme::get(ui));
    Popup::menu(&response).gap(4.0).width(width - 10.0).frame(frame).show(|ui| {
        for (index, option) in options.iter().enumerate() {
            let icon = (index == *chosen).then_some(icons::CHECK);
            if menu_item(ui, icon, option, "").clicked() {
                changed = index != *chosen;
                *chosen = index;
            }
        }
    });
    changed
}

fn dropdown_box(ui: &mut Ui, label: &str, current: &str, width: f32) -> Response {
    let theme = Theme::get(ui);
    let size = vec2(width, height::BUTTON);
    let (rect, response) = ui.allocate_exact_size(size, Sense::click());
    response.widget_info(|| {
        let mut info = WidgetInfo::labeled(Role::ComboBox, ui.is_enabled(), label);
        info.current_text_value = Some(current.to_owned());
        info
    });
    let edge = if response.hovered() { theme.line_strong } else { theme.line };
    paint::boxed(ui.painter(), rect, radius::CONTROL, theme.bg_field, edge);
    paint::focus_ring(ui, &response, rect, radius::CONTROL);
    let y = rect.center().y;
    let at = pos2(rect.left() + 11.0, y);
    paint::text_left(ui.painter(), at, current, Type::BODY, theme.text, width - 44.0);
    let caret = pos2(rect.right() - 18.0, y);
    paint::icon(ui.painter(), caret, icons::CARET_DOWN, Face::Regular, 14.0, theme.text_muted);
    response.on_hover_cursor(CursorIcon::PointingHand)
}

/// A square of 16 with its words; true when changed.
pub fn checkbox(ui: &mut Ui, checked: &mut bool, label: &str) -> Response {
    let theme = Theme::get(ui);
    let text = paint::line(ui.painter(), label, Type::BODY, theme.text, ui.available_width() - 24.0);
    let size = vec2(24.0 + text.size().x, height::BUTTON_SMALL);
    let (rect, mut response) = ui.allocate_exact_size(size, Sense::click());
    if response.clicked() {
        *checked = !*checked;
        response.mark_changed();
    }
    response.widget_info(|| WidgetInfo::selected(Role::CheckBox, ui.is_enabled(), *checked, label));
    let center = pos2(rect.left() + 8.0, rect.center().y);
    let square = Rect::from_center_size(center, Vec2::splat(16.0));
    let (fill, edge) = match (*checked, response.hovered()) {
        (true, _) => (theme.accent_fill, theme.accent_fill),
        (false, true) => (theme.bg_field, theme.line_strong),
        (false, false) => (theme.bg_field, theme.line),
    };
    paint::boxed(ui.painter(), square, radius::TAG, fill, edge);
    if *checked {
        paint::icon(ui.painter(), center, icons::CHECK, Face::Bold, 12.0, theme.on_accent);
    }
    paint::left(ui.painter(), rect.left() + 24.0, rect.center().y, text);
    paint::focus_ring(ui, &response, square.expand(2.0), radius::CONTROL);
    response.on_hover_cursor(CursorIcon::PointingHand)
}

/// How tall segments are, and whether they share a width equally.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SegmentSize {
    /// 30 high, each as wide as its words.
    Normal,
    /// 24 high, each as wide as its words.
    Small,
    /// 30 high, equal parts of this width.
    Width(f32),
}

/// Two to five words in a track, one active. One tab stop; ← and → move.
/// `name` is what is being chosen. True when changed.
pub fn segments(ui: &mut Ui, name: &str, words: &[&str], active: &mut usize, size: SegmentSize) -> bool {
    segments_blocked(ui, name, words, &[], active, size)
}

/// [`segments`] of which some cannot be chosen: `blocked` gives the reason of each that cannot, as its tooltip.
pub fn segments_blocked(ui: &mut Ui, name: &str, words: &[&str], blocked: &[Option<&str>], active: &mut usize, size: SegmentSize) -> bool {
    let theme = Theme::get(ui);
    let galleys: Vec<_> = words.iter().map(|word| paint::line(ui.painter(), word, Type::HEAD, Color32::PLACEHOLDER, f32::INFINITY)).collect();
    let inset = if size == SegmentSize::Small { 2.0 } else { 3.0 };
    let tall = if size == SegmentSize::Small { 24.0 } else { 30.0 };
    let widths: Vec<f32> = match size {
        SegmentSize::Width(width) => {
            vec![(width - inset * 2.0) / words.len().max(1) as f32; words.len()]
        }
        _ => galleys.iter().map(|galley| (galley.size().x + 20.0).ceil()).collect(),
    };
    let total = widths.iter().sum::<f32>() + inset * 2.0;
    let (rect, track) = ui.allocate_exact_size(vec2(total, tall), Sense::hover());
    track.widget_info(|| WidgetInfo::labeled(Role::RadioGroup, ui.is_enabled(), name));
    paint::boxed(ui.painter(), rect, radius::CONTROL, theme.bg_frame, theme.line);
    let before = *active;
    let is_blocked = |index: usize| blocked.get(index).is_some_and(Option::is_some);
    // What was chosen before it was blocked cannot take the focus; the first that can be chosen takes it instead.
    let stop = if is_blocked(before) { (0..words.len()).find(|i| !is_blocked(*i)).unwrap_or(before) } else { before };
    let mut x = rect.left() + inset;
    for (index, (galley, width)) in galleys.into_iter().zip(widths).enumerate() {
        let at = Rect::from_min_size(pos2(x, rect.top() + inset), vec2(width, tall - inset * 2.0));
        x += width;
        let id = track.id.with(index);
        let start = at.center() - galley.size() / 2.0;
        if let Some(reason) = blocked.get(index).copied().flatten() {
            let response = ui.interact(at, id, Sense::hover());
            response.widget_info(|| WidgetInfo::selected(Role::RadioButton, false, index == *active, words[index]));
            hint(response, reason);
            ui.painter().galley(pos2(start.x.round(), start.y), galley, theme.text_muted.gamma_multiply(0.5));
            continue;
        }
        let response = segment(ui, at, id, words[index], (index == *active, index == stop));
        if response.clicked() {
            *active = index;
        }
        let color = if index == *active || response.hovered() { theme.text } else { theme.text_muted };
        ui.painter().galley(pos2(start.x.round(), start.y), galley, color);
    }
    if *active == before {
        *active = step_segments(ui, track.id, words.len(), stop, is_blocked).unwrap_or(before);
    }
    before != *active
}

fn segment(ui: &Ui, at: Rect, id: Id, word: &str, (active, is_stop): (bool, bool)) -> Response {
    let theme = Theme::get(ui);
    let sense = if is_stop { Sense::click() } else { Sense::CLICK };
    let response = ui.interact(at, id, sense);
    response.widget_info(|| WidgetInfo::selected(Role::RadioButton, ui.is_enabled(), active, word));
    if active {
        ui.painter().rect_filled(at, CornerRadius::same(radius::TAG), theme.bg_active);
    }
    if is_stop {
        paint::focus_ring(ui, &response, at, radius::TAG);
    }
    response.on_hover_cursor(CursorIcon::PointingHand)
}

/// The segment that ← and → lead to while the one at `stop` has the focus; a blocked one is not entered.
fn step_segments(ui: &Ui, track: Id, count: usize, stop: usize, is_blocked: impl Fn(usize) -> bool) -> Option<usize> {
    let id = track.with(stop);
    if !ui.memory(|memory| memory.has_focus(id)) {
        return None;
    }
    let filter = EventFilter { horizontal_arrows: true, ..EventFilter::default() };
    ui.memory_mut(|memory| memory.set_focus_lock_filter(id, filter));
    let (left, right) = ui.input_mut(|input| {
        (input.count_and_consume_key(Modifiers::NONE, Key::ArrowLeft), input.count_and_consume_key(Modifiers::NONE, Key::ArrowRight))
    });
    let moved = (stop + right).saturating_sub(left).min(count.saturating_sub(1));
    if moved == stop || is_blocked(moved) {
        return None;
    }
    ui.memory_mut(|memory| memory.request_focus(track.with(moved)));
    ui.ctx().request_repaint();
    Some(moved)
}

/// A filter that opens a checklist: "Layer ⌄", or "Layer: Redis ×" when set.
/// `chosen` has one entry an option; none chosen means no filter. True when changed.
pub fn chip_filter(ui: &mut Ui, name: &str, options: &[&str], chosen: &mut [bool]) -> bool {
    let words: Vec<&str> = options.iter().zip(chosen.iter()).filter_map(|(option, chosen)| chosen.then_some(*option)).collect();
    let text = match words.as_slice() {
        [] => name.to_owned(),
        [one] => format!("{name}: {one}"),
        [first, rest @ ..] => format!("{name}: {first} and {}", rest.len()),
    };
    let (response, cleared) = chip(ui, &text, !words.is_empty());
    if cleared {
        chosen.fill(false);
        return true;
    }
    let mut changed = false;
    let frame = menu_frame(Theme::get(ui)).inner_margin(8);
    Popup::menu(&response).gap(4.0).frame(frame).close_behavior(PopupCloseBehavior::CloseOnClickOutside).show(|ui| {
        ui.spacing_mut().item_spacing.y = 2.0;
        for (option, on) in options.iter().zip(chosen.iter_mut()) {
            changed |= checkbox(ui, on, option).changed();
        }
    });
    changed
}

/// The chip; the second value is whether its × was clicked.
fn chip(ui: &mut Ui, text: &str, is_set: bool) -> (Response, bool) {
    let theme = Theme::get(ui);
    let color = if is_set { theme.text } else { theme.text_muted };
    let galley = paint::line(ui.painter(), text, Type::LABEL, color, f32::INFINITY);
    let size = vec2((galley.size().x + 32.0).ceil(), height::BUTTON_SMALL);
    let (rect, response) = ui.allocate_exact_size(size, Sense::click());
    response.widget_info(|| WidgetInfo::labeled(Role::Button, ui.is_enabled(), text));
    let fill = if response.hovered() { theme.bg_hover } else { Color32::TRANSPARENT };
    paint::boxed(ui.painter(), rect, radius::TAG, fill, theme.line);
    paint::focus_ring(ui, &response, rect, radius::TAG);
    paint::left(ui.painter(), rect.left() + 8.0, rect.center().y, galley);
    let center = pos2(rect.right() - 13.0, rect.center().y);
    let mut cleared = false;
    let icon = if is_set {
        let cross = Rect::from_center_size(center, Vec2::splat(24.0));
        let clear = ui.interact(cross, response.id.with("clear"), Sense::click());
        let name = format!("Clear {text}");
        clear.widget_info(|| WidgetInfo::labeled(Role::Button, ui.is_enabled(), &name));
        paint::focus_ring(ui, &clear, cross, radius::TAG);
        cleared = clear.clicked();
        icons::X
    } else {
        icons::CARET_DOWN
    };
    paint::icon(ui.painter(), center, icon, Face::Regular, 12.0, theme.text_muted);
    (response.on_hover_cursor(CursorIcon::PointingHand), cleared)
}
