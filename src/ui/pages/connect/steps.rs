//! The list of steps at the left, each with how far it has come.

use eframe::egui::{self, CornerRadius, CursorIcon, Frame, Margin, Role, Sense, Stroke, Ui, WidgetInfo, pos2, vec2};

use super::Form;
use crate::app::message::WizardAction;
use crate::app::wizard::{Wizard, WizardStep};
use crate::connect::steps::CapabilityState;
use crate::text;
use crate::ui::fonts::Type;
use crate::ui::icons::{self, Face};
use crate::ui::theme::{Theme, radius};
use crate::ui::widgets::paint;

const ROW: f32 = 48.0;

pub fn show(ui: &mut Ui, form: &mut Form<'_>) {
    Frame::NONE.inner_margin(Margin { left: 16, right: 8, top: 16, bottom: 16 }).show(ui, |ui| {
        ui.spacing_mut().item_spacing.y = 4.0;
        for step in WizardStep::ALL {
            if row(ui, form.wizard, step) {
                form.push(WizardAction::Step(step));
            }
        }
    });
}

/// How a step stands, in words and as a mark.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    Open,
    Done,
    Failed,
}

fn standing(wizard: &Wizard, step: WizardStep) -> (Standing, String) {
    if step == WizardStep::Store {
        let done = if wizard.is_set_up(step) { Standing::Done } else { Standing::Open };
        return (done, "name, environment".to_owned());
    }
    let report = wizard.test(step).and_then(|t| t.report.as_ref());
    let words = match (wizard.is_set_up(step), wizard.test(step), report) {
        (false, ..) => return (Standing::Open, "not set up".to_owned()),
        (true, None, _) => "not tested".to_owned(),
        (true, Some(_), None) => "testing".to_owned(),
        (true, _, Some(r)) if !r.is_connected() => return (Standing::Failed, "test failed".to_owned()),
        (true, _, Some(r)) => {
            let gaps = r.capabilities.iter().filter(|c| matches!(c.state, CapabilityState::Missing { .. })).count();
            let gaps = if gaps == 0 { String::new() } else { format!(", {}", text::plural(gaps as u64, "gap", "gaps")) };
            return (Standing::Done, format!("tested{gaps}"));
        }
    };
    (Standing::Open, words)
}

/// True when chosen.
fn row(ui: &mut Ui, wizard: &Wizard, step: WizardStep) -> bool {
    let theme = Theme::get(ui);
    let is_current = wizard.step == step;
    let (standing, words) = standing(wizard, step);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), ROW), Sense::click());
    let name = format!("{}, {words}", step.name());
    response.widget_info(|| WidgetInfo::selected(Role::Tab, true, is_current, &name));
    let painter = ui.painter();
    if is_current || response.hovered() {
        painter.rect_filled(rect, CornerRadius::same(radius::CONTROL), theme.bg_hover);
    }
    paint::focus_ring(ui, &response, rect, radius::CONTROL);
    let center = pos2(rect.left() + 22.0, rect.center().y);
    match standing {
        _ if is_current => {
            painter.circle_filled(center, 10.0, theme.accent_fill);
            number(ui, center, step, theme.on_accent);
        }
        Standing::Done => paint::icon(painter, center, icons::CHECK_CIRCLE, Face::Fill, 20.0, theme.good.fg),
        Standing::Failed => paint::icon(painter, center, icons::X_CIRCLE, Face::Fill, 20.0, theme.critical.fg),
        Standing::Open => {
            painter.circle_stroke(center, 9.5, Stroke::new(1.0, theme.line_strong));
            number(ui, center, step, theme.text_muted);
        }
    }
    let x = rect.left() + 44.0;
    let room = rect.right() - x - 4.0;
    let style = if is_current { Type::NAME } else { Type::BODY };
    let color = if is_current || standing != Standing::Open { theme.text } else { theme.text_muted };
    paint::text_left(painter, pos2(x, center.y - 8.0), step.name(), style, color, room);
    paint::text_left(painter, pos2(x, center.y + 8.5), &words, Type::LABEL, theme.text_weak, room);
    response.on_hover_cursor(CursorIcon::PointingHand).clicked()
}

fn number(ui: &Ui, center: egui::Pos2, step: WizardStep, color: egui::Color32) {
    let text = (step as usize + 1).to_string();
    let galley = paint::line(ui.painter(), &text, Type::HEAD, color, f32::INFINITY);
    let x = center.x - galley.size().x / 2.0;
    paint::left(ui.painter(), x, center.y, galley);
}
