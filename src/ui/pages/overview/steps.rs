//! "Do these first": the first five steps, or the checks that passed when there is nothing to do.

use eframe::egui::{Sense, Ui, WidgetInfo, pos2, vec2};

use crate::app::{Action, Audit, FindingsTab, Page};
use crate::plan::Ranked;
use crate::ui::fonts::Type;
use crate::ui::icons::{self, Face};
use crate::ui::look;
use crate::ui::theme::{Theme, height, space};
use crate::ui::widgets::{Condition, PlanRow, list_card, page_state, paint, plan_row, row_list, small_link};

const STEPS_MAX: usize = 5;

pub fn show(ui: &mut Ui, audit: &Audit, tall: f32, actions: &mut Vec<Action>) {
    let plan = &audit.plan;
    let steps: Vec<&Ranked> = plan.steps().take(STEPS_MAX).collect();
    let mut all = false;
    let link = |ui: &mut Ui| {
        let words = match plan.findings.len() {
            0 => return,
            1 => "The finding →".to_owned(),
            n => format!("All {n} findings →"),
        };
        all = small_link(ui, &words).clicked();
    };
    list_card(ui, "Do these first", Some(tall), link, |ui| {
        if steps.is_empty() {
            healthy(ui, audit, actions);
        } else {
            rows(ui, &steps, actions);
        }
    });
    if all {
        actions.push(Action::FindingsTab(FindingsTab::Open));
        actions.push(Action::Go(Page::Findings));
    }
}

fn rows(ui: &mut Ui, steps: &[&Ranked], actions: &mut Vec<Action>) {
    let id = ui.make_persistent_id("steps");
    let mut selected = ui.data(|data| data.get_temp::<Option<usize>>(id)).flatten();
    let mut opened = None;
    let list = row_list(ui, "steps", steps.len(), height::PLAN_ROW, &mut selected, |ui, index, response, is_selected| {
        let step = steps[index];
        let finding = &step.finding;
        let (gain, basis) = gain(step);
        let row = PlanRow {
            rank: step.rank as usize,
            level: look::level(finding.severity),
            title: &finding.step,
            detail: &finding.observed,
            layer: look::hue(step.check.layer),
            gain: &gain,
            basis,
            effort: finding.effort.id(),
        };
        plan_row(ui, response, row, is_selected && response.has_focus());
        if response.clicked() {
            opened = Some(index);
        }
    });
    ui.data_mut(|data| data.insert_temp(id, selected));
    if let Some(step) = opened.or(list.activated).and_then(|i| steps.get(i)) {
        actions.push(Action::OpenFinding(step.key.clone()));
    }
}

/// The gain and what it rests on: "−96 % database time", "proved".
fn gain(step: &Ranked) -> (String, &'static str) {
    let finding = &step.finding;
    match (&finding.gain, &finding.averts) {
        (Some(gain), _) => (gain.words.clone(), gain.basis.name()),
        (None, Some(averts)) => (format!("no {averts}"), "risk"),
        (None, None) => ("not measured".to_owned(), ""),
    }
}

/// A result, not an empty page: what was looked at and found in order.
fn healthy(ui: &mut Ui, audit: &Audit, actions: &mut Vec<Action>) {
    let passed = &audit.plan.passed;
    let inside = ui.available_rect_before_wrap().shrink2(vec2(12.0, 12.0));
    let mut child = ui.new_child(eframe::egui::UiBuilder::new().id_salt("healthy").max_rect(inside));
    child.spacing_mut().item_spacing.y = 0.0;
    let sentence = format!("{} checks passed.", passed.len());
    if page_state(&mut child, Condition::Healthy, "Nothing to do", &sentence, Some("Passed")) {
        actions.push(Action::FindingsTab(FindingsTab::Passed));
        actions.push(Action::Go(Page::Findings));
    }
    child.add_space(space::S);
    eframe::egui::ScrollArea::vertical().id_salt("passed").auto_shrink([false, false]).show(&mut child, |ui| {
        ui.spacing_mut().item_spacing.y = 0.0;
        let theme = Theme::get(ui);
        for check in passed {
            let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), height::TABLE_ROW), Sense::hover());
            response.widget_info(|| WidgetInfo::labeled(eframe::egui::Role::Label, true, check.passed));
            let y = rect.center().y;
            paint::icon(ui.painter(), pos2(rect.left() + 12.0, y), icons::CHECK_CIRCLE, Face::Fill, 14.0, theme.good.fg);
            let layer = look::hue(check.layer);
            paint::icon(ui.painter(), pos2(rect.left() + 34.0, y), layer.icon(), Face::Regular, 14.0, layer.color(theme));
            paint::text_left(ui.painter(), pos2(rect.left() + 50.0, y), check.passed, Type::BODY, theme.text_muted, rect.width() - 56.0);
        }
    });
}
