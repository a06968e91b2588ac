//! Cards, stats, score cards, gap cards, and rows of columns.

use egui::{CornerRadius, CursorIcon, Frame, Margin, Rect, Response, Role, Sense, Stroke, Ui, UiBuilder, WidgetInfo, pos2, vec2};

use super::button::copy_button;
use super::marks::{LayerHue, Level};
use super::paint;
use crate::ui::fonts::Type;
use crate::ui::icons::{self, Face};
use crate::ui::theme::{Theme, radius, space};

/// A column's width: points, or a share of what the fixed ones leave.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Width {
    Points(f32),
    Share(f32),
}

/// Columns beside each other, `gap` apart and `height` tall; `content` gets
/// each column's `Ui` and its index.
pub fn columns(ui: &mut Ui, widths: &[Width], height: f32, gap: f32, mut content: impl FnMut(&mut Ui, usize)) {
    let fixed: f32 = widths.iter().map(|w| if let Width::Points(p) = w { *p } else { 0.0 }).sum();
    let shares: f32 = widths.iter().map(|w| if let Width::Share(s) = w { *s } else { 0.0 }).sum();
    let gaps = gap * widths.len().saturating_sub(1) as f32;
    let spare = (ui.available_width() - fixed - gaps).max(0.0);
    let (_, row) = ui.allocate_space(vec2(ui.available_width(), height));
    let mut x = row.left();
    for (index, width) in widths.iter().enumerate() {
        let wide = match width {
            Width::Points(points) => *points,
            Width::Share(share) => (spare * share / shares.max(f32::EPSILON)).round(),
        };
        let right = if index + 1 == widths.len() { row.right() } else { x + wide };
        let rect = Rect::from_min_max(pos2(x, row.top()), pos2(right, row.bottom()));
        let builder = UiBuilder::new().id_salt(("column", index)).max_rect(rect).layout(egui::Layout::top_down(egui::Align::Min));
        let mut column = ui.new_child(builder);
        column.set_clip_rect(rect.expand(1.0).intersect(ui.clip_rect()));
        content(&mut column, index);
        x += wide + gap;
    }
}

fn frame(theme: &Theme) -> Frame {
    Frame::NONE.fill(theme.bg_card).stroke(Stroke::new(1.0, theme.line_subtle)).corner_radius(CornerRadius::same(radius::CARD))
}

/// A card with the usual padding; `height` in points, or as tall as its content.
pub fn card<R>(ui: &mut Ui, height: Option<f32>, content: impl FnOnce(&mut Ui) -> R) -> R {
    let margin = Margin::symmetric(space::CARD_X as i8, space::CARD_Y as i8);
    framed(ui, height, margin, content)
}

/// A card whose content reaches its edges, for rows and tables.
pub fn flush_card<R>(ui: &mut Ui, height: Option<f32>, content: impl FnOnce(&mut Ui) -> R) -> R {
    framed(ui, height, Margin::ZERO, content)
}

fn framed<R>(ui: &mut Ui, height: Option<f32>, margin: Margin, content: impl FnOnce(&mut Ui) -> R) -> R {
    let used = margin.sum() + vec2(2.0, 2.0);
    let width = ui.available_width() - used.x;
    frame(Theme::get(ui))
        .inner_margin(margin)
        .show(ui, |ui| {
            ui.spacing_mut().item_spacing.y = 0.0;
            ui.set_width(width);
            if let Some(height) = height {
                ui.set_height(height - used.y);
            }
            content(ui)
        })
        .inner
}

/// A card with a heading, a caption beside it and actions at the right.
pub fn titled_card<R>(
    ui: &mut Ui,
    title: &str,
    caption: &str,
    height: Option<f32>,
    actions: impl FnOnce(&mut Ui),
    content: impl FnOnce(&mut Ui) -> R,
) -> R {
    card(ui, height, |ui| {
        title_row(ui, title, caption, actions);
        ui.add_space(space::S);
        content(ui)
    })
}

/// The heading row of a card. `actions` are laid from right to left.
pub fn title_row(ui: &mut Ui, title: &str, caption: &str, actions: impl FnOnce(&mut Ui)) {
    let (_, rect) = ui.allocate_space(vec2(ui.available_width(), 20.0));
    paint_title(ui, rect, title, caption, actions);
}

fn paint_title(ui: &mut Ui, rect: Rect, title: &str, caption: &str, actions: impl FnOnce(&mut Ui)) {
    let theme = Theme::get(ui);
    let builder =
        UiBuilder::new().id_salt(("title", title)).max_rect(rect.expand2(vec2(0.0, 8.0))).layout(egui::Layout::right_to_left(egui::Align::Center));
    let mut right = ui.new_child(builder);
    right.spacing_mut().item_spacing.x = space::S;
    actions(&mut right);
    let end = right.min_rect().left().min(rect.right());
    let y = rect.center().y;
    let start = pos2(rect.left(), y);
    let room = end - rect.left();
    let name = rect.intersect(Rect::everything_left_of(end));
    let response = ui.interact(name, ui.scope_id().with(("heading", title)), Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(Role::Heading, true, title));
    if !caption.is_empty() {
        // What is painted beside the title is heard as its description.
        ui.ctx().accesskit_node_builder(response.id, |node| node.set_description(caption));
    }
    let x = paint::text_left(ui.painter(), start, title, Type::HEADING, theme.text, room);
    let at = pos2(x + space::S, y + 1.0);
    let room = end - at.x - space::S;
    if !caption.is_empty() && room > 24.0 {
        let galley = paint::line(ui.painter(), caption, Type::LABEL, theme.text_weak, room);
        if galley.elided {
            let whole = Rect::from_min_size(pos2(at.x, rect.top()), vec2(galley.size().x, rect.height()));
            super::overlay::hint(ui.interact(whole, ui.scope_id().with(("caption", title)), Sense::hover()), caption);
        }
        paint::left(ui.painter(), at.x, at.y, galley);
    }
}

/// A card of rows: a header of 40 with a rule, then rows to its edges.
pub fn list_card<R>(ui: &mut Ui, title: &str, height: Option<f32>, actions: impl FnOnce(&mut Ui), rows: impl FnOnce(&mut Ui) -> R) -> R {
    flush_card(ui, height, |ui| {
        let theme = Theme::get(ui);
        let (_, rect) = ui.allocate_space(vec2(ui.available_width(), 40.0));
        let inside = rect.shrink2(vec2(space::CARD_X, 10.0));
        paint_title(ui, inside, title, "", actions);
        paint::rule(ui.painter(), rect.x_range(), rect.bottom() - 1.0, theme.line);
        rows(ui)
    })
}

/// How a score moved since the previous audit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Delta<'a> {
    /// The first audit.
    None,
    /// "+3"
    Better(&'a str),
    /// "−9"
    Worse(&'a str),
    Same,
}

/// What a score card shows in place of, or as, its figure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Score<'a> {
    /// 0–100.
    Of(u8),
    /// "not connected" or "unreachable".
    Absent(&'a str),
}

/// A layer's score: 92 high, as wide as there is room. Click opens the layer.
pub fn score_card(ui: &mut Ui, layer: LayerHue, score: Score<'_>, delta: Delta<'_>, counts: &str) -> Response {
    let theme = Theme::get(ui);
    let size = vec2(ui.available_width(), 92.0);
    let (rect, response) = ui.allocate_exact_size(size, Sense::click());
    let name = score_name(layer, score, delta, counts);
    response.widget_info(|| WidgetInfo::labeled(Role::Link, ui.is_enabled(), &name));
    let edge = if response.hovered() { theme.line_strong } else { theme.line_subtle };
    paint::boxed(ui.painter(), rect, radius::CARD, theme.bg_card, edge);
    paint::focus_ring(ui, &response, rect, radius::CARD);
    let painter = ui.painter();
    let (left, right) = (rect.left() + 17.0, rect.right() - 17.0);
    let head = rect.top() + 22.0;
    let hue = layer.color(theme);
    paint::icon(painter, pos2(left + 8.0, head), layer.icon(), Face::Regular, 16.0, hue);
    let at = pos2(left + 22.0, head);
    paint::text_left(painter, at, layer.word(), Type::NAME, theme.text, 120.0);
    paint_delta(ui, pos2(right, head), delta);
    let middle = rect.top() + 52.0;
    match score {
        Score::Of(score) => {
            let text = score.to_string();
            let at = pos2(left, middle);
            let x = paint::text_left(painter, at, &text, Type::Figure, theme.text, 120.0);
            let at = pos2(x + 4.0, middle + 5.0);
            paint::text_left(painter, at, "of 100", Type::LABEL, theme.text_weak, 80.0);
            let bar = Rect::from_min_max(pos2(left, rect.bottom() - 17.0), pos2(right, rect.bottom() - 13.0));
            let share = f32::from(score) / 100.0;
            paint::share_bar(painter, bar, share, hue, theme.bg_active);
        }
        Score::Absent(reason) => {
            let at = pos2(left, middle);
            paint::text_left(painter, at, reason, Type::BODY, theme.text_muted, right - left);
        }
    }
    let at = pos2(right, middle + 5.0);
    paint::text_right(painter, at, counts, Type::LABEL, theme.text_muted);
    response.on_hover_cursor(CursorIcon::PointingHand)
}

fn score_name(layer: LayerHue, score: Score<'_>, delta: Delta<'_>, counts: &str) -> String {
    let figure = match score {
        Score::Of(score) => format!("{score} of 100"),
        Score::Absent(reason) => reason.to_owned(),
    };
    let moved = match delta {
        Delta::None => String::new(),
        Delta::Better(by) => format!(", better by {by}"),
        Delta::Worse(by) => format!(", worse by {by}"),
        Delta::Same => ", unchanged".to_owned(),
    };
    let counts = if counts.is_empty() { String::new() } else { format!(", {counts}") };
    format!("{} score {figure}{moved}{counts}", layer.word())
}

fn paint_delta(ui: &Ui, at: egui::Pos2, delta: Delta<'_>) {
    let theme = Theme::get(ui);
    let (icon, text, color) = match delta {
        Delta::None => return,
        Delta::Better(by) => (icons::TREND_UP, by, theme.good.fg),
        Delta::Worse(by) => (icons::TREND_DOWN, by, theme.high.fg),
        Delta::Same => (icons::MINUS, "0", theme.text_weak),
    };
    let x = paint::text_right(ui.painter(), at, text, Type::HEAD, color);
    paint::icon(ui.painter(), pos2(x - 11.0, at.y), icon, Face::Regular, 14.0, color);
}

/// One number: caption, figure with unit, one line of context. 82 high.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stat<'a> {
    pub caption: &'a str,
    pub figure: &'a str,
    pub unit: &'a str,
    pub context: &'a str,
    /// Then the context is in the high colour; its words say it too.
    pub off_target: bool,
}

/// Draws one stat as wide as there is room.
pub fn stat(ui: &mut Ui, stat: Stat<'_>) -> Response {
    let theme = Theme::get(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 82.0), Sense::hover());
    let name = format!("{} {} {}, {}", stat.caption, stat.figure, stat.unit, stat.context);
    response.widget_info(|| WidgetInfo::labeled(Role::Group, true, &name));
    let painter = ui.painter();
    paint::boxed(painter, rect, radius::CARD, theme.bg_card, theme.line_subtle);
    let left = rect.left() + 15.0;
    let wide = rect.width() - 30.0;
    let at = |y: f32| pos2(left, rect.top() + y);
    paint::text_left(painter, at(18.5), stat.caption, Type::LABEL, theme.text_weak, wide);
    let x = paint::text_left(painter, at(41.0), stat.figure, Type::Title, theme.text, wide);
    let unit = pos2(x + 4.0, rect.top() + 43.5);
    let room = rect.right() - 15.0 - unit.x;
    paint::text_left(painter, unit, stat.unit, Type::LABEL, theme.text_weak, room);
    let color = if stat.off_target { theme.high.fg } else { theme.text_weak };
    paint::text_left(painter, at(63.0), stat.context, Type::LABEL, color, wide);
    response
}

/// What is missing, which checks wait for it, and the exact remedy.
#[derive(Clone, Copy, Debug)]
pub struct GapCard<'a> {
    pub title: &'a str,
    /// "Without it 2 of 58 checks are not run: …"
    pub consequence: &'a str,
    /// The grant or setting, copied whole.
    pub remedy: &'a str,
    pub language: super::code::Language,
    /// What the remedy lets us see, and what not.
    pub shows: &'a str,
}

/// One card a cause of "not checked". `choices` adds segments beside Copy.
pub fn gap_card(ui: &mut Ui, gap: GapCard<'_>, choices: impl FnOnce(&mut Ui)) {
    let theme = Theme::get(ui);
    framed(ui, None, Margin::same(12), |ui| {
        let (_, row) = ui.allocate_space(vec2(ui.available_width(), 24.0));
        let builder = UiBuilder::new().id_salt("gap actions").max_rect(row).layout(egui::Layout::right_to_left(egui::Align::Center));
        let mut right = ui.new_child(builder);
        copy_button(&mut right, "Copy", || gap.remedy.to_owned());
        choices(&mut right);
        let end = right.min_rect().left() - space::S;
        let y = row.center().y;
        let (_, face) = Level::Medium.icon();
        let center = pos2(row.left() + 8.0, y);
        let color = theme.medium.fg;
        paint::icon(ui.painter(), center, icons::WARNING_CIRCLE, face, 16.0, color);
        let at = pos2(row.left() + 24.0, y);
        paint::text_left(ui.painter(), at, gap.title, Type::NAME, theme.text, end - at.x);
        ui.add_space(space::XS);
        ui.label(Type::LABEL.text(gap.consequence).color(theme.text_muted));
        if !gap.remedy.is_empty() {
            ui.add_space(space::S);
            super::code::code_box(ui, gap.remedy, gap.language);
        }
        ui.add_space(space::S);
        ui.label(Type::LABEL.text(gap.shows).color(theme.text_weak));
    });
}
