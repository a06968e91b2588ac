//! The frame of every page: the sidebar's items and the top bar.

use egui::{CornerRadius, CursorIcon, Rect, Response, Role, Sense, Ui, UiBuilder, WidgetInfo, pos2, vec2};

use super::marks::{Environment, LayerHue};
use super::overlay::hint;
use super::paint;
use crate::ui::fonts::Type;
use crate::ui::icons::{self, Face, Icon};
use crate::ui::theme::{Theme, height, radius, space};

/// Items that wait for a first audit.
const DIMMED: f32 = 0.45;

/// One item of the sidebar.
#[derive(Clone, Copy, Debug)]
pub struct NavItem<'a> {
    pub icon: Icon,
    pub label: &'a str,
    /// At the right: a count, or nothing.
    pub count: &'a str,
    pub selected: bool,
    /// Why it cannot be opened yet; then it is dimmed.
    pub blocked: Option<&'a str>,
    /// A layer's sub-item, 28 high, with the hue on its icon.
    pub layer: Option<LayerHue>,
    /// In the rail of 56: icons only, with tooltips.
    pub rail: bool,
    /// A spinner in place of the count.
    pub busy: bool,
}

impl<'a> NavItem<'a> {
    pub fn new(icon: Icon, label: &'a str) -> Self {
        Self { icon, label, count: "", selected: false, blocked: None, layer: None, rail: false, busy: false }
    }

    pub fn of_layer(layer: LayerHue) -> Self {
        Self { layer: Some(layer), ..Self::new(layer.icon(), layer.word()) }
    }
}

/// Draws an item as wide as there is room (199 in the sidebar).
pub fn sidebar_item(ui: &mut Ui, item: NavItem<'_>) -> Response {
    let theme = Theme::get(ui);
    let tall = if item.layer.is_some() { height::NAV_SUB } else { height::NAV };
    let sense = if item.blocked.is_some() { Sense::hover() } else { Sense::click() };
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), tall), sense);
    response.widget_info(|| {
        let name = format!("{} {}", item.label, item.count);
        let enabled = ui.is_enabled() && item.blocked.is_none();
        WidgetInfo::selected(Role::Link, enabled, item.selected, name.trim())
    });
    let mut painter = ui.painter().clone();
    if item.blocked.is_some() {
        painter.multiply_opacity(DIMMED);
    }
    let hot = item.blocked.is_none() && response.hovered();
    if item.selected || hot {
        let fill = if item.selected { theme.bg_selected } else { theme.bg_hover };
        painter.rect_filled(rect, CornerRadius::same(radius::CONTROL), fill);
    }
    let y = rect.center().y;
    if item.selected {
        let bar = Rect::from_min_max(pos2(rect.left(), y - 8.0), pos2(rect.left() + 2.0, y + 8.0));
        painter.rect_filled(bar, CornerRadius::ZERO, theme.accent);
    }
    paint::focus_ring(ui, &response, rect, radius::CONTROL);
    let text = if item.selected || hot { theme.text } else { theme.text_muted };
    let (x, size, hue) = match (item.layer, item.rail) {
        (_, true) => (rect.width() / 2.0, 16.0, item.layer.map_or(text, |l| l.color(theme))),
        (Some(layer), false) => (39.0, 14.0, layer.color(theme)),
        (None, false) => (16.0, 16.0, text),
    };
    let face = if item.selected && item.layer.is_none() { Face::Bold } else { Face::Regular };
    paint::icon(&painter, pos2(rect.left() + x, y), item.icon, face, size, hue);
    if item.rail {
        return hint(response, item.label);
    }
    let right = rect.right() - 8.0;
    let mut end = right;
    if item.busy {
        let square = Rect::from_center_size(pos2(right - 7.0, y), vec2(14.0, 14.0));
        let mut child = ui.new_child(UiBuilder::new().id_salt("busy").max_rect(square));
        super::gauge::spinner(&mut child, 14.0, "Audit is running");
        end -= 20.0;
    } else if !item.count.is_empty() {
        end = paint::text_right(&painter, pos2(right, y), item.count, Type::LABEL, theme.text_weak);
    }
    let (at, style) = match item.layer {
        Some(_) => (pos2(rect.left() + 54.0, y), Type::BODY),
        None => (pos2(rect.left() + 32.0, y), Type::NAME),
    };
    paint::text_left(&painter, at, item.label, style, text, end - at.x - space::S);
    match item.blocked {
        Some(reason) => hint(response, reason),
        None => response.on_hover_cursor(CursorIcon::PointingHand),
    }
}

/// The current store, 44 high; its click opens a menu of stores.
pub fn store_switcher(ui: &mut Ui, environment: Environment, name: &str, word: &str) -> Response {
    let theme = Theme::get(ui);
    let size = vec2(ui.available_width(), 44.0);
    let (rect, response) = ui.allocate_exact_size(size, Sense::click());
    let label = format!("Store {name}, {word}");
    response.widget_info(|| WidgetInfo::labeled(Role::Button, true, &label));
    let painter = ui.painter();
    let fill = if response.hovered() { theme.bg_hover } else { theme.bg_card };
    paint::boxed(painter, rect, radius::CONTROL, fill, theme.line);
    let edge = Rect::from_min_max(rect.min, pos2(rect.left() + 3.0, rect.bottom()));
    let corners = CornerRadius { nw: radius::TAG, sw: radius::TAG, ne: 0, se: 0 };
    painter.rect_filled(edge, corners, environment.color(theme));
    paint::focus_ring(ui, &response, rect, radius::CONTROL);
    let room = rect.width() - 44.0;
    let x = rect.left() + 13.0;
    paint::text_left(painter, pos2(x, rect.top() + 15.0), name, Type::STRONG, theme.text, room);
    let at = pos2(x, rect.top() + 31.0);
    paint::text_left(painter, at, word, Type::LABEL, theme.text_weak, room);
    let caret = pos2(rect.right() - 16.0, rect.center().y);
    let icon = icons::CARET_UP_DOWN;
    paint::icon(painter, caret, icon, Face::Regular, 16.0, theme.text_muted);
    response.on_hover_cursor(CursorIcon::PointingHand)
}

/// A service and its latency, 24 high: "Cloudflare 148 ms", "Redis not set up".
pub fn connection_row(ui: &mut Ui, layer: LayerHue, name: &str, latency: &str, connected: bool) -> Response {
    let theme = Theme::get(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 24.0), Sense::hover());
    let label = format!("{name}, {latency}");
    response.widget_info(|| WidgetInfo::labeled(Role::Label, true, &label));
    let y = rect.center().y;
    let painter = ui.painter();
    let hue = if connected { layer.color(theme) } else { theme.text_weak };
    paint::icon(painter, pos2(rect.left() + 15.0, y), layer.icon(), Face::Regular, 14.0, hue);
    let right = pos2(rect.right() - 8.0, y);
    let end = paint::text_right(painter, right, latency, Type::LABEL, theme.text_weak);
    let at = pos2(rect.left() + 30.0, y);
    let color = if connected { theme.text_muted } else { theme.text_weak };
    paint::text_left(painter, at, name, Type::LABEL, color, end - at.x - space::S);
    response
}

/// "Connections" and, always on screen, "Read-only".
pub fn connections_head(ui: &mut Ui) {
    let theme = Theme::get(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 24.0), Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(Role::Label, true, "Connections, read-only"));
    let y = rect.center().y;
    let at = pos2(rect.left() + 8.0, y);
    paint::text_left(ui.painter(), at, "Connections", Type::LABEL, theme.text_weak, 100.0);
    let right = pos2(rect.right() - 8.0, y);
    let x = paint::text_right(ui.painter(), right, "Read-only", Type::LABEL, theme.text_muted);
    let icon = icons::LOCK_SIMPLE;
    let color = theme.text_muted;
    paint::icon(ui.painter(), pos2(x - 10.0, y), icon, Face::Regular, 12.0, color);
}

/// 56 high: title, caption (what, when, window), actions laid from the right.
/// Draw it first in a page without margins; the page's padding is its own.
pub fn top_bar(ui: &mut Ui, title: &str, caption: &str, actions: impl FnOnce(&mut Ui)) {
    let theme = Theme::get(ui);
    let size = vec2(ui.available_width(), height::TOP_BAR);
    let (rect, response) = ui.allocate_exact_size(size, Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(Role::Heading, true, title));
    if !caption.is_empty() {
        ui.ctx().accesskit_node_builder(response.id, |node| node.set_description(caption));
    }
    paint::rule(ui.painter(), rect.x_range(), rect.bottom() - 1.0, theme.line_subtle);
    let inside = rect.shrink2(vec2(space::PAGE_X, 0.0));
    let builder = UiBuilder::new().id_salt("top bar").max_rect(inside).layout(egui::Layout::right_to_left(egui::Align::Center));
    let mut child = ui.new_child(builder);
    child.spacing_mut().item_spacing.x = space::S;
    region(ui, Region::TopBar);
    actions(&mut child);
    region(ui, Region::Page);
    let end = child.min_rect().left().min(inside.right()) - space::M;
    let at = pos2(inside.left(), rect.center().y);
    let x = paint::text_left(ui.painter(), at, title, Type::Title, theme.text, end - at.x);
    let at = pos2(x + space::M, rect.center().y);
    if end - at.x > 24.0 {
        paint::text_left(ui.painter(), at, caption, Type::LABEL, theme.text_weak, end - at.x);
    }
}

/// The parts of the window that F6 goes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Region {
    Sidebar,
    TopBar,
    Page,
}

impl Region {
    pub const ALL: [Self; 3] = [Self::Sidebar, Self::TopBar, Self::Page];

    fn wanted() -> egui::Id {
        egui::Id::unique("wanted region")
    }
}

/// Gives the focus to the first control of `region`, which is drawn after this call.
pub fn enter_region(ctx: &egui::Context, region: Region) {
    ctx.data_mut(|data| data.insert_temp(Region::wanted(), Region::ALL.iter().position(|r| *r == region)));
}

/// Marks where a region begins: the next control that is drawn belongs to it.
pub fn region(ui: &Ui, region: Region) {
    let wanted = ui.data(|data| data.get_temp::<Option<usize>>(Region::wanted())).flatten();
    if wanted.and_then(|index| Region::ALL.get(index)) != Some(&region) {
        return;
    }
    ui.data_mut(|data| data.insert_temp(Region::wanted(), None::<usize>));
    // A control that is not drawn hands the focus on to the one after it.
    let nobody = egui::Id::unique("start of a region");
    let layer = ui.layer_id();
    ui.memory_mut(|memory| {
        memory.request_focus(nobody);
        memory.move_focus(egui::FocusDirection::Next);
        memory.interested_in_focus(nobody, layer);
    });
    ui.ctx().request_repaint();
}
