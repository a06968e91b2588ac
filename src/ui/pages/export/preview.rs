//! Pages of the report, drawn from the bytes that will be saved.

use std::sync::Arc;

use eframe::egui::{Align, Color32, CursorIcon, Layout, Pos2, Rect, Role, ScrollArea, Sense, TextureHandle, Ui, UiBuilder, WidgetInfo, pos2, vec2};

use super::textures::Textures;
use crate::app::{Action, ExportView, Preview, Remote};
use crate::text;
use crate::ui::fonts::Type;
use crate::ui::icons;
use crate::ui::theme::{Theme, space};
use crate::ui::widgets::{Condition, SegmentSize, icon_button, page_state, paint, segments, spinner};

const STRIP: f32 = 96.0;
const THUMB: f32 = 64.0;
/// A4, height by width.
const A4: f32 = 297.0 / 210.0;
/// Pages are no wider than this when they fit.
const PAGE_MAX: f32 = 560.0;

pub fn show(ui: &mut Ui, view: &ExportView, actions: &mut Vec<Action>) {
    let rect = ui.max_rect();
    ui.painter().rect_filled(rect, 0.0, Theme::get(ui).bg_frame);
    let inside = rect.shrink2(vec2(space::PAGE_X, space::PAGE_Y));
    ui.scope_builder(UiBuilder::new().max_rect(inside), |ui| {
        ui.spacing_mut().item_spacing.y = 0.0;
        match (&view.preview, view.preview.shown()) {
            (Remote::Failed { message, .. }, None) => {
                if page_state(ui, Condition::Failed, "No preview", message, Some("Try again")) {
                    actions.push(Action::RefreshPreview);
                }
            }
            (_, None) => waiting(ui),
            (_, Some(preview)) => pages(ui, view, preview, actions),
        }
    });
}

/// Two empty pages where the first two will be.
fn waiting(ui: &mut Ui) {
    let theme = Theme::get(ui);
    ui.horizontal(|ui| {
        ui.label(Type::HEADING.text("Preview").color(theme.text));
        spinner(ui, 14.0, "Drawing the preview");
    });
    ui.add_space(space::M);
    for page in places(ui.available_rect_before_wrap(), 2) {
        ui.painter().rect_filled(page, 0.0, theme.bg_active);
    }
}

fn pages(ui: &mut Ui, view: &ExportView, preview: &Arc<Preview>, actions: &mut Vec<Action>) {
    let textures = Textures::of(ui, preview);
    let textures = textures.pages();
    let Some(last) = textures.len().checked_sub(1) else {
        page_state(ui, Condition::NotChecked, "No preview", "The report has no page.", None);
        return;
    };
    let at_once = if ui.available_width() < 480.0 || last == 0 { 1 } else { 2 };
    let first = view.preview_page.min(last) / at_once * at_once;
    let shown = first..=(first + at_once - 1).min(last);
    let is_whole_size = head(ui, view, preview, (*shown.start(), *shown.end(), last, at_once), actions);
    ui.add_space(space::M);
    let room = ui.available_rect_before_wrap();
    let above = Rect::from_min_max(room.min, pos2(room.right(), room.bottom() - STRIP));
    ui.scope_builder(UiBuilder::new().id_salt("pages").max_rect(above), |ui| {
        if is_whole_size {
            whole_size(ui, &textures[shown.clone()], *shown.start());
        } else {
            let count = shown.end() - shown.start() + 1;
            for (offset, at) in places(above, at_once).into_iter().take(count).enumerate() {
                page(ui, &textures[shown.start() + offset], at, shown.start() + offset);
            }
        }
    });
    let below = Rect::from_min_max(pos2(room.left(), room.bottom() - STRIP + space::M), room.max);
    ui.scope_builder(UiBuilder::new().id_salt("strip").max_rect(below), |ui| strip(ui, textures, &shown, actions));
}

/// The heading with its arrows and the size; true for 100 %.
fn head(
    ui: &mut Ui,
    view: &ExportView,
    preview: &Preview,
    (start, end, last, at_once): (usize, usize, usize, usize),
    actions: &mut Vec<Action>,
) -> bool {
    let theme = Theme::get(ui);
    let key = ui.make_persistent_id("size");
    let mut size = ui.data(|d| d.get_temp::<usize>(key)).unwrap_or(0);
    let (_, rect) = ui.allocate_space(vec2(ui.available_width(), 24.0));
    let builder = UiBuilder::new().id_salt("head").max_rect(rect).layout(Layout::right_to_left(Align::Center));
    ui.scope_builder(builder, |ui| {
        ui.spacing_mut().item_spacing.x = space::S;
        if segments(ui, "Size", &["Fit", "100\u{a0}%"], &mut size, SegmentSize::Small) {
            ui.data_mut(|d| d.insert_temp(key, size));
        }
        let next = ui.add_enabled_ui(end < last, |ui| icon_button(ui, icons::CARET_RIGHT, 24.0, "Next page")).inner;
        if next.clicked() {
            actions.push(Action::PreviewPage(end + 1));
        }
        let previous = ui.add_enabled_ui(start > 0, |ui| icon_button(ui, icons::CARET_LEFT, 24.0, "Previous page")).inner;
        if previous.clicked() {
            actions.push(Action::PreviewPage(start.saturating_sub(at_once)));
        }
        if view.preview.is_pending() {
            spinner(ui, 14.0, "Drawing the preview");
        }
        let words = if start == end {
            format!("page {} of {}", start + 1, text::count(preview.pages_total as u64))
        } else {
            format!("page {} and {} of {}", start + 1, end + 1, text::count(preview.pages_total as u64))
        };
        let y = rect.center().y;
        let x = paint::text_left(ui.painter(), pos2(rect.left(), y), "Preview", Type::HEADING, theme.text, 100.0);
        let room = ui.min_rect().left() - x - space::L;
        let galley = paint::line(ui.painter(), &words, Type::LABEL, theme.text_weak, room);
        let label = Rect::from_min_size(pos2(x + space::S, y - 8.0), galley.size());
        ui.interact(label, ui.scope_id().with("pages shown"), Sense::hover()).widget_info(|| WidgetInfo::labeled(Role::Label, true, &words));
        paint::left(ui.painter(), label.left(), y + 1.0, galley);
    });
    size == 1
}

/// Where pages stand side by side, as large as the room allows.
fn places(room: Rect, count: usize) -> Vec<Rect> {
    let count = count.max(1);
    let gaps = space::L * (count - 1) as f32;
    let width = ((room.width() - gaps) / count as f32).min(room.height() / A4).clamp(40.0, PAGE_MAX).floor();
    let size = vec2(width, (width * A4).floor());
    (0..count).map(|i| Rect::from_min_size(Pos2::new(room.left() + i as f32 * (width + space::L), room.top()), size)).collect()
}

fn page(ui: &Ui, texture: &TextureHandle, at: Rect, index: usize) {
    let response = ui.interact(at, ui.scope_id().with(("page", index)), Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(Role::Image, true, format!("Page {}", index + 1)));
    draw(ui, texture, at);
}

fn draw(ui: &Ui, texture: &TextureHandle, at: Rect) {
    let whole = Rect::from_min_max(pos2(0.0, 0.0), pos2(1.0, 1.0));
    ui.painter().image(texture.id(), at, whole, Color32::WHITE);
    let edge = eframe::egui::Stroke::new(1.0, Theme::get(ui).line);
    ui.painter().rect_stroke(at, 0.0, edge, eframe::egui::StrokeKind::Outside);
}

/// A pixel of the page a pixel of the screen.
fn whole_size(ui: &mut Ui, textures: &[TextureHandle], first: usize) {
    ScrollArea::both().id_salt("whole size").auto_shrink([false, false]).show(ui, |ui| {
        ui.horizontal_top(|ui| {
            ui.spacing_mut().item_spacing.x = space::L;
            for (offset, texture) in textures.iter().enumerate() {
                let size = texture.size_vec2() / ui.ctx().pixels_per_point();
                let (_, at) = ui.allocate_space(size);
                page(ui, texture, at, first + offset);
            }
        });
    });
}

/// All pages small; a click opens one.
fn strip(ui: &mut Ui, textures: &[TextureHandle], shown: &std::ops::RangeInclusive<usize>, actions: &mut Vec<Action>) {
    let theme = Theme::get(ui);
    ScrollArea::horizontal().id_salt("thumbnails").auto_shrink([false, false]).show(ui, |ui| {
        ui.horizontal_top(|ui| {
            ui.spacing_mut().item_spacing.x = space::S;
            for (index, texture) in textures.iter().enumerate() {
                let width = (THUMB / A4).round() + 2.0;
                let (rect, response) = ui.allocate_exact_size(vec2(width, THUMB + 20.0), Sense::click());
                let is_shown = shown.contains(&index);
                let name = format!("Show page {}", index + 1);
                response.widget_info(|| WidgetInfo::selected(Role::Button, true, is_shown, &name));
                let at = Rect::from_min_size(rect.min + vec2(1.0, 1.0), vec2(width - 2.0, THUMB));
                draw(ui, texture, at);
                if is_shown {
                    paint::ring(ui.painter(), at.expand(2.0), 2, theme.accent);
                }
                paint::focus_ring(ui, &response, rect, 2);
                let number = (index + 1).to_string();
                let galley = paint::line(ui.painter(), &number, Type::LABEL, theme.text_weak, f32::INFINITY);
                paint::left(ui.painter(), at.center().x - galley.size().x / 2.0, rect.bottom() - 8.0, galley);
                if response.on_hover_cursor(CursorIcon::PointingHand).clicked() {
                    actions.push(Action::PreviewPage(index));
                }
            }
        });
    });
}
