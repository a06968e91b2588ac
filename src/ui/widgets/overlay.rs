//! What lies over the page: tooltips, menus, dialogs.

use egui::{
    CornerRadius, CursorIcon, Frame, Id, InnerResponse, Key, Margin, Modal, Modifiers, Popup, Response, Role, Sense, Stroke, Tooltip, Ui, WidgetInfo,
    pos2, vec2,
};

use super::button::{Button, Kind};
use super::paint;
use crate::ui::fonts::Type;
use crate::ui::icons::{Face, Icon};
use crate::ui::theme::{BACKDROP, Theme, radius, shadow, space};

const DIALOG_WIDTH: f32 = 400.0;
const MENU_ITEM_HEIGHT: f32 = 28.0;

/// A tooltip of one sentence; never the only copy of a fact.
pub fn hint(response: Response, text: &str) -> Response {
    show_tooltip(Tooltip::for_enabled(&response), |ui| plain(ui, text));
    response
}

/// Why a disabled control is disabled.
pub fn disabled_hint(response: Response, reason: &str) -> Response {
    show_tooltip(Tooltip::for_disabled(&response), |ui| plain(ui, reason));
    response
}

/// A tooltip with its own content: see [`tooltip_rows`].
pub fn tooltip(response: &Response, content: impl FnOnce(&mut Ui)) {
    show_tooltip(Tooltip::for_enabled(response), content);
}

fn show_tooltip(mut tooltip: Tooltip<'_>, content: impl FnOnce(&mut Ui)) {
    let frame = popup_frame(Theme::of(tooltip.popup.ctx()));
    tooltip.popup = tooltip.popup.frame(frame);
    tooltip.gap(4.0).show(content);
}

fn plain(ui: &mut Ui, text: &str) {
    ui.set_max_width(320.0);
    ui.label(Type::LABEL.text(text).color(Theme::get(ui).text));
}

/// The frame of tooltips and toasts.
pub fn popup_frame(theme: &Theme) -> Frame {
    Frame::NONE
        .fill(theme.bg_popup)
        .stroke(Stroke::new(1.0, theme.line_strong))
        .corner_radius(CornerRadius::same(radius::CONTROL))
        .inner_margin(Margin::symmetric(10, 7))
}

/// A heading and rows of a name and a value, values to the right.
pub fn tooltip_rows(ui: &mut Ui, title: &str, rows: &[(&str, &str)]) {
    let theme = Theme::get(ui);
    ui.spacing_mut().item_spacing = vec2(16.0, 0.0);
    ui.spacing_mut().interact_size.y = 0.0;
    ui.set_min_width(146.0);
    ui.label(Type::Label(crate::ui::fonts::Weight::Strong).text(title).color(theme.text));
    for (name, value) in rows {
        ui.horizontal(|ui| {
            ui.set_height(Type::LABEL.line());
            ui.label(Type::LABEL.text(*name).color(theme.text_muted));
            ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                ui.label(Type::LABEL.text(*value).color(theme.text));
            });
        });
    }
}

/// The menu of `button`, opened by its click. `content` calls [`menu_item`]s.
pub fn menu<R>(button: &Response, content: impl FnOnce(&mut Ui) -> R) -> Option<InnerResponse<R>> {
    let theme = Theme::of(&button.ctx);
    Popup::menu(button).gap(4.0).frame(menu_frame(theme)).show(content)
}

/// The frame of menus, dropdowns and checklists.
pub fn menu_frame(theme: &Theme) -> Frame {
    Frame::NONE
        .fill(theme.bg_card)
        .stroke(Stroke::new(1.0, theme.line))
        .shadow(shadow::MENU)
        .corner_radius(CornerRadius::same(radius::CONTROL))
        .inner_margin(Margin::same(4))
}

/// One line of a menu; `keys` is shown at its right ("Ctrl C").
pub fn menu_item(ui: &mut Ui, icon: impl Into<Option<Icon>>, label: &str, keys: &str) -> Response {
    let theme = Theme::get(ui);
    ui.spacing_mut().item_spacing.y = 0.0;
    let icon = icon.into();
    let text = paint::line(ui.painter(), label, Type::BODY, theme.text, f32::INFINITY);
    let keys_text = paint::line(ui.painter(), keys, Type::LABEL, theme.text_weak, f32::INFINITY);
    let indent = if icon.is_some() { 30.0 } else { 8.0 };
    let wide = indent + text.size().x + 24.0 + keys_text.size().x + 8.0;
    let size = vec2(wide.max(ui.available_width()), MENU_ITEM_HEIGHT);
    let (rect, response) = ui.allocate_exact_size(size, Sense::click());
    response.widget_info(|| WidgetInfo::labeled(Role::MenuItem, ui.is_enabled(), label));
    if response.hovered() || response.has_focus() {
        ui.painter().rect_filled(rect, CornerRadius::same(radius::TAG), theme.bg_hover);
    }
    paint::focus_ring(ui, &response, rect, radius::TAG);
    let y = rect.center().y;
    if let Some(icon) = icon {
        let center = pos2(rect.left() + 15.0, y);
        paint::icon(ui.painter(), center, icon, Face::Regular, 14.0, theme.text_muted);
    }
    paint::left(ui.painter(), rect.left() + indent, y, text);
    paint::right(ui.painter(), rect.right() - 8.0, y, keys_text);
    response.on_hover_cursor(CursorIcon::PointingHand)
}

/// How a dialog ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Confirmed,
    Cancelled,
}

/// A dialog of 400: a title, one sentence, fields, actions at the right.
#[must_use]
pub struct Dialog<'a> {
    pub title: &'a str,
    pub sentence: &'a str,
    /// The verb of the button that acts.
    pub confirm: &'a str,
    /// Then Enter does not act and the button is not primary.
    pub destructive: bool,
    /// Why the button cannot act yet.
    pub blocked: Option<&'a str>,
    /// Nothing is decided: the one button closes it.
    pub is_notice: bool,
}

impl Dialog<'_> {
    /// Shows it over everything; `None` while it stays open. Esc and a click
    /// beside it cancel; Enter confirms unless destructive or blocked.
    pub fn show(&self, ctx: &egui::Context, id: impl std::hash::Hash + std::fmt::Debug, fields: impl FnOnce(&mut Ui)) -> Option<Answer> {
        let theme = Theme::of(ctx);
        let frame = Frame::NONE
            .fill(theme.bg_card)
            .stroke(Stroke::new(1.0, theme.line))
            .shadow(shadow::DIALOG)
            .corner_radius(CornerRadius::same(radius::CARD))
            .inner_margin(Margin::same(16));
        let modal = Modal::new(Id::unique(id)).frame(frame).backdrop_color(BACKDROP).show(ctx, |ui| self.content(ui, fields));
        let enter = modal.is_top_modal
            && !self.destructive
            && self.blocked.is_none()
            && ctx.input_mut(|input| input.consume_key(Modifiers::NONE, Key::Enter));
        match (modal.inner, enter) {
            (Some(answer), _) => Some(answer),
            (None, true) => Some(Answer::Confirmed),
            (None, false) => modal.should_close().then_some(Answer::Cancelled),
        }
    }

    fn content(&self, ui: &mut Ui, fields: impl FnOnce(&mut Ui)) -> Option<Answer> {
        let theme = Theme::get(ui);
        ui.set_width(DIALOG_WIDTH - 34.0);
        ui.spacing_mut().item_spacing = vec2(12.0, 0.0);
        ui.label(Type::HEADING.text(self.title).color(theme.text));
        ui.add_space(space::XS);
        ui.label(Type::LABEL.text(self.sentence).color(theme.text_muted));
        ui.add_space(space::M);
        ui.scope(fields);
        ui.add_space(space::L);
        let kind = if self.destructive { Kind::Danger } else { Kind::Primary };
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            ui.spacing_mut().item_spacing.x = space::S;
            let confirm = Button::new(kind, self.confirm).blocked(self.blocked).show(ui);
            let is_cancelled = !self.is_notice && Button::new(Kind::Ghost, "Cancel").show(ui).clicked();
            if confirm.clicked() { Some(Answer::Confirmed) } else { is_cancelled.then_some(Answer::Cancelled) }
        })
        .inner
    }
}
