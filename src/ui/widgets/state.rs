//! What a card or page shows when it has no, old, part or only good data.

use egui::{CornerRadius, Rect, Role, Sense, Ui, UiBuilder, WidgetInfo, pos2, vec2};

use super::button::{Button, Kind, small_link};
use super::card::card;
use super::gauge::spinner;
use super::paint;
use crate::ui::fonts::{Type, Weight};
use crate::ui::icons::{self, Face, Icon};
use crate::ui::theme::{Theme, radius, space};

/// Why there is nothing else to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Nothing here yet; the action is primary.
    Empty,
    /// Could not be judged; neutral.
    NotChecked,
    /// Some of it was read.
    Partial,
    /// A service did not answer.
    Unreachable,
    /// Something failed.
    Failed,
    /// Nothing to do: a result.
    Healthy,
}

impl Condition {
    fn icon(self) -> Icon {
        match self {
            Self::Empty => icons::FOLDER_OPEN,
            Self::NotChecked => icons::CIRCLE_DASHED,
            Self::Partial => icons::WARNING_CIRCLE,
            Self::Unreachable => icons::PLUGS,
            Self::Failed => icons::X_CIRCLE,
            Self::Healthy => icons::CHECK_CIRCLE,
        }
    }

    fn color(self, theme: &Theme) -> egui::Color32 {
        match self {
            Self::Empty | Self::NotChecked => theme.text_muted,
            Self::Partial => theme.medium.fg,
            Self::Unreachable => theme.high.fg,
            Self::Failed => theme.critical.fg,
            Self::Healthy => theme.good.fg,
        }
    }
}

/// A card with an icon, a title, one sentence and at most one action.
/// True when the action was chosen.
pub fn page_state(ui: &mut Ui, condition: Condition, title: &str, sentence: &str, action: Option<&str>) -> bool {
    let theme = Theme::get(ui);
    let width = ui.available_width();
    let kind = if condition == Condition::Empty { Kind::Primary } else { Kind::Secondary };
    let font = Type::HEAD;
    let action_width = action.map_or(0.0, |label| {
        let text = paint::line(ui.painter(), label, font, theme.text, f32::INFINITY);
        text.size().x + 18.0 + if kind == Kind::Primary { 18.0 } else { 0.0 } + space::S
    });
    let room = width - 45.0 - 13.0 - action_width;
    let text = paint::wrapped(ui.painter(), sentence, Type::LABEL, theme.text_muted, room);
    let tall = 18.0 + text.size().y + 18.0;
    let (rect, response) = ui.allocate_exact_size(vec2(width, tall), Sense::hover());
    let name = format!("{title}. {sentence}");
    response.widget_info(|| WidgetInfo::labeled(Role::Status, true, &name));
    paint::boxed(ui.painter(), rect, radius::CARD, theme.bg_card, theme.line_subtle);
    let y = rect.center().y;
    let center = pos2(rect.left() + 23.0, y);
    let color = condition.color(theme);
    paint::icon(ui.painter(), center, condition.icon(), Face::Regular, 20.0, color);
    let at = pos2(rect.left() + 45.0, rect.top() + 18.0);
    paint::text_left(ui.painter(), at, title, Type::NAME, theme.text, room);
    ui.painter().galley(pos2(at.x, rect.top() + 27.0), text, theme.text_muted);
    let Some(label) = action else { return false };
    let inside = Rect::from_min_max(rect.min, pos2(rect.right() - 13.0, rect.bottom()));
    let builder = UiBuilder::new().id_salt(("state", title)).max_rect(inside).layout(egui::Layout::right_to_left(egui::Align::Center));
    let icon = (kind == Kind::Primary).then_some(icons::PLAY);
    let mut child = ui.new_child(builder);
    Button::new(kind, label).icon(icon).small().show(&mut child).clicked()
}

/// Shorter waits show no spinner, in seconds.
const SPINNER_AFTER_S: f64 = 0.2;

/// A card whose data has not arrived: bars where the lines will be.
/// `since` is the `input.time` at which loading began.
pub fn loading_card(ui: &mut Ui, title: &str, since: f64) {
    card(ui, None, |ui| {
        let theme = Theme::get(ui);
        let waited = ui.input(|input| input.time) - since;
        let (_, row) = ui.allocate_space(vec2(ui.available_width(), 20.0));
        let at = pos2(row.left(), row.center().y);
        paint::text_left(ui.painter(), at, title, Type::NAME, theme.text, row.width());
        let square = Rect::from_min_size(pos2(row.right() - 16.0, row.top() + 2.0), vec2(16.0, 16.0));
        if waited >= SPINNER_AFTER_S {
            let mut child = ui.new_child(UiBuilder::new().id_salt("spinner").max_rect(square));
            spinner(&mut child, 14.0, &format!("Loading {title}"));
        } else {
            ui.ctx().request_repaint_after_secs((SPINNER_AFTER_S - waited) as f32);
        }
        ui.add_space(space::S);
        skeleton(ui, &[280.0, 220.0, 250.0]);
    });
}

/// Bars of bg.4, 8 high and 16 apart, in the final layout's widths.
pub fn skeleton(ui: &mut Ui, widths: &[f32]) {
    let color = Theme::get(ui).bg_active;
    for width in widths {
        let (_, rect) = ui.allocate_space(vec2(ui.available_width(), 16.0));
        let size = vec2(width.min(rect.width()), 8.0);
        let bar = Rect::from_min_size(rect.min, size);
        ui.painter().rect_filled(bar, CornerRadius::same(radius::BAR), color);
    }
}

/// A small spinner beside old figures: "of 30 s ago".
pub fn refreshing(ui: &mut Ui, age: &str) {
    spinner(ui, 14.0, "Refreshing");
    ui.label(Type::LABEL.text(age).color(Theme::get(ui).text_weak));
}

/// "3 of 4 instances answered" with Details; true when Details was chosen.
pub fn partial_line(ui: &mut Ui, words: &str) -> bool {
    let theme = Theme::get(ui);
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = space::S;
        ui.label(icons::WARNING_CIRCLE.fill(14.0, theme.medium.fg));
        ui.label(Type::Label(Weight::Regular).text(words).color(theme.text_muted));
        small_link(ui, "Details").clicked()
    })
    .inner
}
