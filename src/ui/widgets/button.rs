//! Buttons, icon buttons, links and the button that says "Copied".

use egui::{Color32, CursorIcon, Response, Role, Sense, Ui, WidgetInfo, pos2, vec2};

use super::overlay::hint;
use super::paint;
use crate::ui::fonts::{Type, Weight};
use crate::ui::icons::{self, Face, Icon};
use crate::ui::theme::{Theme, height, radius};

/// How long a copy button says "Copied", in seconds.
const COPIED_S: f64 = 1.5;

/// What a button is for; at most one primary a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Primary,
    Secondary,
    Ghost,
    /// Secondary with the words in the critical colour.
    Danger,
}

/// A button; `show` draws it.
#[must_use]
pub struct Button<'a> {
    kind: Kind,
    label: &'a str,
    icon: Option<Icon>,
    small: bool,
    blocked: Option<&'a str>,
    color: Option<Color32>,
}

impl<'a> Button<'a> {
    pub fn new(kind: Kind, label: &'a str) -> Self {
        Self { kind, label, icon: None, small: false, blocked: None, color: None }
    }

    pub fn icon(mut self, icon: impl Into<Option<Icon>>) -> Self {
        self.icon = icon.into();
        self
    }

    /// 24 high with a label of 12 instead of 32 with 13.
    pub fn small(mut self) -> Self {
        self.small = true;
        self
    }

    /// Disabled, with the reason as its tooltip; `None` leaves it enabled.
    pub fn blocked(mut self, reason: Option<&'a str>) -> Self {
        self.blocked = reason;
        self
    }

    fn color(mut self, color: Color32) -> Self {
        self.color = Some(color);
        self
    }

    pub fn show(self, ui: &mut Ui) -> Response {
        let Some(reason) = self.blocked else { return self.paint(ui) };
        let response = ui
            .scope(|ui| {
                ui.disable();
                self.paint(ui)
            })
            .inner;
        super::overlay::disabled_hint(response, reason)
    }

    fn paint(&self, ui: &mut Ui) -> Response {
        let theme = Theme::get(ui);
        let (style, tall, icon_size, pad, gap) =
            if self.small { (Type::HEAD, height::BUTTON_SMALL, 14.0, 9.0, 4.0) } else { (Type::NAME, height::BUTTON, 16.0, 13.0, 7.0) };
        let text = paint::line(ui.painter(), self.label, style, Color32::PLACEHOLDER, f32::INFINITY);
        let icon_width = if self.icon.is_some() { icon_size + gap } else { 0.0 };
        let width = (pad * 2.0 + icon_width + text.size().x).ceil();
        let (rect, response) = ui.allocate_exact_size(vec2(width, tall), Sense::click());
        response.widget_info(|| WidgetInfo::labeled(Role::Button, ui.is_enabled(), self.label));
        if !ui.is_rect_visible(rect) {
            return response;
        }
        let (fill, edge, default_color) = colors(theme, self.kind, &response);
        let color = self.color.unwrap_or(default_color);
        paint::boxed(ui.painter(), rect, radius::CONTROL, fill, edge);
        paint::focus_ring(ui, &response, rect, radius::CONTROL);
        let mut x = rect.left() + pad;
        if let Some(icon) = self.icon {
            let center = pos2(x + icon_size / 2.0, rect.center().y);
            paint::icon(ui.painter(), center, icon, Face::Regular, icon_size, color);
            x += icon_width;
        }
        let at = pos2(x, rect.center().y - text.size().y / 2.0);
        ui.painter().galley(at, text, color);
        response.on_hover_cursor(CursorIcon::PointingHand)
    }
}

/// Fill, edge and text of a button in the state that `response` shows.
fn colors(theme: &Theme, kind: Kind, response: &Response) -> (Color32, Color32, Color32) {
    let pressed = response.is_pointer_button_down_on();
    let hovered = response.hovered();
    let text = match kind {
        Kind::Primary => theme.on_accent,
        Kind::Secondary => theme.text,
        Kind::Ghost => theme.text_muted,
        Kind::Danger => theme.critical.fg,
    };
    match kind {
        Kind::Primary => {
            let fill = match (pressed, hovered) {
                (true, _) => theme.accent_fill.lerp_to_gamma(Color32::BLACK, 0.12),
                (_, true) => theme.accent_fill.lerp_to_gamma(theme.on_accent, 0.08),
                _ => theme.accent_fill,
            };
            (fill, fill, text)
        }
        Kind::Secondary | Kind::Danger => {
            let fill = if hovered || pressed { theme.bg_active } else { theme.bg_hover };
            let edge = if pressed { theme.line_strong } else { theme.line };
            (fill, edge, text)
        }
        Kind::Ghost => {
            let fill = match (pressed, hovered) {
                (true, _) => theme.bg_active,
                (_, true) => theme.bg_hover,
                _ => Color32::TRANSPARENT,
            };
            let text = if hovered { theme.text } else { text };
            (fill, fill, text)
        }
    }
}

/// A button of 32.
pub fn button(ui: &mut Ui, kind: Kind, icon: impl Into<Option<Icon>>, label: &str) -> Response {
    Button::new(kind, label).icon(icon).show(ui)
}

/// A button of 24.
pub fn small_button(ui: &mut Ui, kind: Kind, icon: impl Into<Option<Icon>>, label: &str) -> Response {
    Button::new(kind, label).icon(icon).small().show(ui)
}

/// A square ghost button of `side` points (24 in rows, 32 where alone);
/// `name` is its accessible name and its tooltip.
pub fn icon_button(ui: &mut Ui, icon: Icon, side: f32, name: &str) -> Response {
    let theme = Theme::get(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(side, side), Sense::click());
    response.widget_info(|| WidgetInfo::labeled(Role::Button, ui.is_enabled(), name));
    let (fill, _, color) = colors(theme, Kind::Ghost, &response);
    paint::boxed(ui.painter(), rect, radius::CONTROL, fill, fill);
    paint::focus_ring(ui, &response, rect, radius::CONTROL);
    paint::icon(ui.painter(), rect.center(), icon, Face::Regular, 16.0, color);
    hint(response.on_hover_cursor(CursorIcon::PointingHand), name)
}

/// A small button that copies what `text` gives and says "Copied" for 1.5 s.
pub fn copy_button(ui: &mut Ui, label: &str, text: impl FnOnce() -> String) -> Response {
    let id = ui.next_auto_id().with("copied");
    let now = ui.input(|input| input.time);
    let left = ui.data(|data| data.get_temp::<f64>(id)).map_or(0.0, |copied| COPIED_S - (now - copied));
    let response = if left > 0.0 {
        ui.ctx().request_repaint_after_secs(left as f32);
        let good = Theme::get(ui).good.fg;
        Button::new(Kind::Secondary, "Copied").icon(icons::CHECK).small().color(good).show(ui)
    } else {
        small_button(ui, Kind::Secondary, icons::COPY, label)
    };
    if response.clicked() {
        ui.ctx().copy_text(text());
        ui.data_mut(|data| data.insert_temp(id, now));
        ui.ctx().request_repaint();
    }
    response
}

/// Words in accent that act like a link; underlined while hovered.
/// `style` is a label (12) or body (13) style.
pub fn link(ui: &mut Ui, text: &str, style: Type) -> Response {
    link_named(ui, text, style, text)
}

fn link_named(ui: &mut Ui, text: &str, style: Type, name: &str) -> Response {
    let theme = Theme::get(ui);
    let galley = paint::line(ui.painter(), text, style, theme.accent, ui.available_width());
    let (rect, response) = ui.allocate_exact_size(galley.size(), Sense::click());
    response.widget_info(|| WidgetInfo::labeled(Role::Link, ui.is_enabled(), name));
    ui.painter().galley(rect.min, galley, theme.accent);
    if response.hovered() {
        paint::rule(ui.painter(), rect.x_range(), rect.bottom() - 2.0, theme.accent);
    }
    paint::focus_ring(ui, &response, rect.expand(2.0), radius::TAG);
    response.on_hover_cursor(CursorIcon::PointingHand)
}

/// A link of 12 points.
pub fn small_link(ui: &mut Ui, text: &str) -> Response {
    link(ui, text, Type::Label(Weight::Regular))
}

/// A link of 12 points whose words are too short to be its accessible name.
pub fn small_link_named(ui: &mut Ui, text: &str, name: &str) -> Response {
    link_named(ui, text, Type::Label(Weight::Regular), name)
}
