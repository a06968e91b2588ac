//! What was not checked, why, and the grant that would allow it; then how the other checks ended.

use eframe::egui::{Align, CursorIcon, Layout, Rect, Role, ScrollArea, Sense, Ui, UiBuilder, WidgetInfo, pos2, vec2};

use crate::app::{Action, Audit, FindingsTab, Page};
use crate::checks::Check;
use crate::evidence::{Cause, Gap};
use crate::text;
use crate::ui::fonts::{Type, Weight};
use crate::ui::icons::{self, Face, Icon};
use crate::ui::theme::{Theme, space};
use crate::ui::widgets::{copy_button, list_card, paint};

/// Titles of one cause that are named; the rest is counted.
const NAMED_MAX: usize = 2;

pub fn show(ui: &mut Ui, audit: &Audit, tall: f32, actions: &mut Vec<Action>) {
    let plan = &audit.plan;
    let of = format!("{} of {}", plan.unknown.len(), plan.checks_total());
    let count = |ui: &mut Ui| {
        ui.label(Type::LABEL.text(of).color(Theme::get(ui).text_weak));
    };
    list_card(ui, "Not checked", Some(tall), count, |ui| {
        ScrollArea::vertical().id_salt("not checked").auto_shrink([false, false]).show(ui, |ui| {
            ui.spacing_mut().item_spacing.y = 0.0;
            for (gap, checks) in plan.unknown_by_cause() {
                row(ui, &gap, &checks);
            }
            ui.add_space(8.0);
            outcomes(ui, audit, actions);
        });
    });
}

/// One cause: the checks that wait for it, the reason, and the grant to copy.
fn row(ui: &mut Ui, gap: &Gap, checks: &[&'static Check]) {
    let theme = Theme::get(ui);
    let width = ui.available_width();
    let room = width - 40.0 - 16.0;
    let title = titles(checks);
    let name = paint::wrapped(ui.painter(), &title, Type::NAME, theme.text, room);
    let reason = paint::wrapped(ui.painter(), &gap.detail, Type::LABEL, theme.text_weak, room);
    let remedy = gap.cause.remedy();
    let button = if remedy.is_some() { 30.0 } else { 0.0 };
    let tall = 10.0 + name.size().y + reason.size().y + button + 10.0;
    let (rect, response) = ui.allocate_exact_size(vec2(width, tall), Sense::hover());
    let label = format!("Not checked: {title}. {}", gap.detail);
    response.widget_info(|| WidgetInfo::labeled(Role::Label, true, &label));
    paint::rule(ui.painter(), rect.x_range(), rect.bottom() - 1.0, theme.line_subtle);
    paint::icon(ui.painter(), pos2(rect.left() + 24.0, rect.top() + 19.0), icons::CIRCLE_DASHED, Face::Regular, 16.0, theme.text_muted);
    let at = pos2(rect.left() + 40.0, rect.top() + 10.0);
    let below = at + vec2(0.0, name.size().y);
    ui.painter().galley(at, name, theme.text);
    ui.painter().galley(below, reason, theme.text_weak);
    if let Some(remedy) = remedy {
        let place = Rect::from_min_max(pos2(rect.left(), rect.bottom() - 34.0), pos2(rect.right() - 16.0, rect.bottom() - 10.0));
        let builder = UiBuilder::new().id_salt(("copy", remedy)).max_rect(place).layout(Layout::right_to_left(Align::Center));
        let word = if matches!(gap.cause, Cause::Denied { .. }) { "Copy grant" } else { "Copy remedy" };
        copy_button(&mut ui.new_child(builder), word, || remedy.to_owned());
    }
}

fn titles(checks: &[&'static Check]) -> String {
    let named: Vec<&str> = checks.iter().take(NAMED_MAX).map(|c| c.title).collect();
    let more = checks.len().saturating_sub(NAMED_MAX);
    let names = named.join("; ");
    if more == 0 { names } else { format!("{names} and {more} more") }
}

fn outcomes(ui: &mut Ui, audit: &Audit, actions: &mut Vec<Action>) {
    let plan = &audit.plan;
    let theme = Theme::get(ui);
    let found = plan.checks_total() - plan.passed.len() - plan.not_applicable.len() - plan.unknown.len();
    let lines = [
        ((icons::CHECK_CIRCLE, Face::Fill), theme.good.fg, plan.passed.len(), "passed", FindingsTab::Passed),
        ((icons::MINUS, Face::Regular), theme.text_muted, plan.not_applicable.len(), "do not apply to this store", FindingsTab::Passed),
        ((icons::LIST_CHECKS, Face::Regular), theme.text_muted, found, "found something", FindingsTab::Open),
    ];
    for (icon, color, number, words, tab) in lines {
        if outcome(ui, icon, color, number, words) {
            actions.push(Action::FindingsTab(tab));
            actions.push(Action::Go(Page::Findings));
        }
    }
    ui.add_space(space::S);
}

fn outcome(ui: &mut Ui, (icon, face): (Icon, Face), color: eframe::egui::Color32, number: usize, words: &str) -> bool {
    let theme = Theme::get(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 20.0), Sense::click());
    let count = text::count(number as u64);
    let name = format!("{count} {words}");
    response.widget_info(|| WidgetInfo::labeled(Role::Link, true, &name));
    let y = rect.center().y;
    paint::icon(ui.painter(), pos2(rect.left() + 24.0, y), icon, face, 16.0, color);
    let x = paint::text_left(ui.painter(), pos2(rect.left() + 40.0, y), &count, Type::Label(Weight::Strong), theme.text, 60.0);
    let color = if response.hovered() { theme.text } else { theme.text_muted };
    paint::text_left(ui.painter(), pos2(x + 4.0, y), words, Type::LABEL, color, rect.right() - x - 16.0);
    paint::focus_ring(ui, &response, rect.shrink2(vec2(12.0, 0.0)), crate::ui::theme::radius::TAG);
    response.on_hover_cursor(CursorIcon::PointingHand).clicked()
}
