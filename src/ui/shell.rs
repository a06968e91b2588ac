//! What surrounds every page: sidebar, keys, dialogs, dropped files.

mod keys;
mod sidebar;

use eframe::egui::{self, Align, Layout, Rect, Stroke, Ui, UiBuilder, pos2, vec2};

use super::fonts::Type;
use super::pages;
use super::theme::{Theme, height, space};
use super::widgets::paint;
use crate::app::{Action, Model, Page};

pub use sidebar::shown_store;

/// Narrower windows have the rail instead of the sidebar.
pub const RAIL_BELOW: f32 = 1100.0;

/// Draws the whole window.
pub fn show(ui: &mut Ui, model: &Model, actions: &mut Vec<Action>) {
    let ctx = ui.ctx().clone();
    // The scale belongs to the settings, so the keys for it are the shell's.
    ctx.options_mut(|options| options.zoom_with_keyboard = false);
    let theme = Theme::get(ui);
    let all = ui.max_rect();
    ui.painter().rect_filled(all, 0.0, theme.bg_page);
    let is_rail = all.width() < RAIL_BELOW;
    let wide = if is_rail { space::SIDEBAR_RAIL } else { space::SIDEBAR };
    keys::global(&ctx, model, wide, actions);
    let (side, rest) = all.split_left_right_at_x(all.left() + wide);
    ui.painter().rect_filled(side, 0.0, theme.bg_frame);
    ui.painter().vline(side.right() - 0.5, side.y_range(), Stroke::new(1.0, theme.line_subtle));
    area(ui, "sidebar", side, |ui| sidebar::show(ui, model, is_rail, actions));
    // The rule under the top bar spans the window; the content does not.
    paint::rule(ui.painter(), rest.x_range(), rest.top() + height::TOP_BAR - 1.0, theme.line_subtle);
    area(ui, page_name(model.page), content(rest), |ui| page(ui, model, actions));
    dropped_files(ui, all, actions);
    pages::dialogs::show(ui, model, actions);
    keys::remember(&ctx);
}

/// Never wider than 1600, centred beyond.
fn content(rest: Rect) -> Rect {
    let spare = (rest.width() - space::CONTENT_MAX).max(0.0);
    Rect::from_center_size(rest.center(), vec2(rest.width() - spare, rest.height()))
}

fn area(ui: &mut Ui, name: &str, rect: Rect, content: impl FnOnce(&mut Ui)) {
    let builder = UiBuilder::new().id_salt(("area", name)).max_rect(rect).layout(Layout::top_down(Align::Min));
    let mut child = ui.new_child(builder);
    child.shrink_clip_rect(rect);
    child.spacing_mut().item_spacing = vec2(space::S, 0.0);
    content(&mut child);
}

/// Pages keep scroll positions and open menus apart.
fn page_name(page: Page) -> &'static str {
    match page {
        Page::Stores => "stores",
        Page::Overview => "overview",
        Page::Findings => "findings",
        Page::Metrics(layer) => layer.id(),
        Page::Audits => "audits",
        Page::Export => "export",
        Page::Audit => "audit",
        Page::Compare => "compare",
        Page::Connect => "connect",
        Page::Settings => "settings",
        Page::Checks => "checks",
    }
}

fn page(ui: &mut Ui, model: &Model, actions: &mut Vec<Action>) {
    match model.page {
        Page::Stores => pages::stores::show(ui, model, actions),
        Page::Overview => pages::overview::show(ui, model, actions),
        Page::Findings => pages::findings::show(ui, model, actions),
        Page::Metrics(_) => pages::metrics::show(ui, model, actions),
        Page::Audits => pages::audits::show(ui, model, actions),
        Page::Export => pages::export::show(ui, model, actions),
        Page::Audit => pages::audit::show(ui, model, actions),
        Page::Compare => pages::compare::show(ui, model, actions),
        Page::Connect => pages::connect::show(ui, model, actions),
        Page::Settings => pages::settings::show(ui, model, actions),
        Page::Checks => pages::checks::show(ui, model, actions),
    }
}

/// A snapshot dropped anywhere is opened.
fn dropped_files(ui: &Ui, all: Rect, actions: &mut Vec<Action>) {
    let (hovered, dropped) = ui.input(|input| {
        let path = input.raw.dropped_files.iter().map(|file| file.path().to_owned()).next();
        (!input.raw.hovered_files.is_empty(), path)
    });
    if let Some(path) = dropped {
        actions.push(Action::OpenSnapshot(path));
    }
    if hovered {
        let theme = Theme::get(ui);
        let painter = ui.ctx().layer_painter(egui::LayerId::new(egui::Order::Tooltip, egui::Id::unique("drop")));
        paint::ring(&painter, all, 0, theme.accent);
        let text = paint::line(&painter, "Drop the snapshot to open it", Type::HEADING, theme.text, all.width());
        let at = Rect::from_center_size(all.center(), text.size() + vec2(48.0, 24.0));
        paint::boxed(&painter, at, super::theme::radius::CARD, theme.bg_popup, theme.line_strong);
        paint::left(&painter, at.left() + 24.0, at.center().y, text);
    }
}

/// A rectangle of a page with the page's padding taken off.
pub fn padded(ui: &Ui) -> Rect {
    let room = ui.available_rect_before_wrap();
    Rect::from_min_max(
        pos2(room.left() + space::PAGE_X, room.top() + space::PAGE_Y),
        pos2(room.right() - space::PAGE_X, room.bottom() - space::PAGE_Y),
    )
}

/// What is left of the page under its top bar, padded.
pub fn body(ui: &mut Ui, content: impl FnOnce(&mut Ui)) {
    let rect = padded(ui);
    area(ui, "body", rect, |ui| {
        // A focus ring or a card's edge may reach a point beyond.
        ui.set_clip_rect(rect.expand(2.0));
        content(ui);
    });
}

/// The same, scrolling when the content is taller than the window.
pub fn scrolling_body(ui: &mut Ui, id: &str, content: impl FnOnce(&mut Ui)) {
    let room = ui.available_rect_before_wrap();
    let rect = Rect::from_min_max(pos2(room.left() + space::PAGE_X, room.top()), pos2(room.right() - space::PAGE_X, room.bottom()));
    area(ui, id, rect, |ui| {
        ui.set_clip_rect(room);
        // The bar stands in the page's padding, beside the cards and not on them.
        ui.spacing_mut().scroll.bar_outer_margin = 4.0 - space::PAGE_X;
        egui::ScrollArea::vertical().id_salt(id).auto_shrink([false, false]).show(ui, |ui| {
            ui.set_clip_rect(room);
            ui.spacing_mut().item_spacing = vec2(space::S, 0.0);
            ui.add_space(space::PAGE_Y);
            content(ui);
            ui.add_space(space::PAGE_Y);
        });
    });
}
