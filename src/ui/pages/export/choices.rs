//! Title, sections and masking.

use eframe::egui::{Align, Layout, Role, Sense, Ui, UiBuilder, WidgetInfo, pos2, vec2};

use crate::app::{Action, Audit, Model, ReportChoice};
use crate::finding::Severity;
use crate::report::mask;
use crate::text;
use crate::ui::fonts::Type;
use crate::ui::icons::{self, Face};
use crate::ui::theme::{Theme, radius, space};
use crate::ui::widgets::{Field, checkbox, hint, paint, small_link, title_row};

const ROW: f32 = 28.0;
const LOCKED: &str = "What was not checked is always in: a report without it would read as a pass.";

pub fn show(ui: &mut Ui, model: &Model, audit: &Audit, actions: &mut Vec<Action>) {
    let mut choice = model.export.choice.clone();
    title(ui, audit, &mut choice);
    ui.add_space(space::L);
    sections(ui, audit, &mut choice);
    let (_, rect) = ui.allocate_space(vec2(ui.available_width(), 25.0));
    paint::rule(ui.painter(), rect.x_range(), rect.center().y, Theme::get(ui).line_subtle);
    let example = masked_example(audit);
    row(ui, &mut choice.mask_hosts, "Mask host names", &example);
    let mut opens = model.export.opens_when_done;
    row(ui, &mut opens, "Open when done", "");
    if opens != model.export.opens_when_done {
        actions.push(Action::OpenWhenDone(opens));
    }
    if choice != model.export.choice {
        actions.push(Action::EditReport(choice));
    }
}

/// The title as typed; the report is drawn anew once typing ends.
fn title(ui: &mut Ui, audit: &Audit, choice: &mut ReportChoice) {
    let key = ui.make_persistent_id("title draft");
    let draft = ui.data(|d| d.get_temp::<String>(key));
    let mut words = draft.clone().unwrap_or_else(|| choice.title.clone());
    let usual = format!("Performance audit of {}", audit.snapshot.meta.store);
    let field = Field::new("Title", &mut words).hint(&usual).show(ui).response;
    if field.has_focus() && (field.changed() || draft.is_some()) {
        ui.data_mut(|d| d.insert_temp(key, words));
    } else if draft.is_some() {
        ui.data_mut(|d| d.remove::<String>(key));
        choice.title = words.trim().to_owned();
    }
}

fn sections(ui: &mut Ui, audit: &Audit, choice: &mut ReportChoice) {
    let is_whole = ReportChoice { title: choice.title.clone(), mask_hosts: choice.mask_hosts, ..ReportChoice::default() } == *choice;
    let mut wants_all = false;
    title_row(ui, "Sections", "", |ui| wants_all = !is_whole && small_link(ui, "All").clicked());
    ui.add_space(space::XS);
    if wants_all {
        *choice = ReportChoice { title: choice.title.clone(), mask_hosts: choice.mask_hosts, ..ReportChoice::default() };
    }
    let plan = &audit.plan;
    let count = |n: usize| text::count(n as u64);
    row(ui, &mut choice.summary, "Summary for one page", "page 2");
    row(ui, &mut choice.plan, "Ranked plan", "");
    row(ui, &mut choice.findings, "Findings, with evidence and fix", &count(plan.findings.len()));
    if choice.findings {
        let low = plan.findings.iter().filter(|r| r.finding.severity <= Severity::Low).count();
        inner_row(ui, &mut choice.low, "Low and notes", &count(low));
    }
    row(ui, &mut choice.charts, "Charts", "");
    row(ui, &mut choice.passed, "Passed checks", &count(plan.passed.len()));
    locked(ui, "Not checked, and why", &format!("{}, always in", count(plan.unknown.len())));
    row(ui, &mut choice.not_applicable, "Checks that do not apply", &count(plan.not_applicable.len()));
    row(ui, &mut choice.method, "Method and limits", "last pages");
}

/// A part of the row above.
fn inner_row(ui: &mut Ui, checked: &mut bool, label: &str, detail: &str) {
    const INDENT: f32 = 24.0;
    let (_, rect) = ui.allocate_space(vec2(ui.available_width(), ROW));
    let builder = UiBuilder::new().id_salt(label).max_rect(rect.with_min_x(rect.left() + INDENT)).layout(Layout::top_down(Align::Min));
    ui.scope_builder(builder, |ui| row(ui, checked, label, detail));
}

fn row(ui: &mut Ui, checked: &mut bool, label: &str, detail: &str) {
    let (_, rect) = ui.allocate_space(vec2(ui.available_width(), ROW));
    let builder = UiBuilder::new().id_salt(label).max_rect(rect).layout(Layout::left_to_right(Align::Center));
    ui.scope_builder(builder, |ui| checkbox(ui, checked, label));
    paint::text_right(ui.painter(), pos2(rect.right(), rect.center().y), detail, Type::LABEL, Theme::get(ui).text_weak);
}

/// A section that cannot be left out: checked, dimmed, with its reason.
fn locked(ui: &mut Ui, label: &str, detail: &str) {
    let theme = Theme::get(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), ROW), Sense::hover());
    response.widget_info(|| WidgetInfo::selected(Role::CheckBox, false, true, label));
    let y = rect.center().y;
    let square = eframe::egui::Rect::from_center_size(pos2(rect.left() + 8.0, y), vec2(16.0, 16.0));
    paint::boxed(ui.painter(), square, radius::TAG, theme.bg_active, theme.line);
    paint::icon(ui.painter(), square.center(), icons::CHECK, Face::Bold, 12.0, theme.text_muted);
    paint::text_left(ui.painter(), pos2(rect.left() + 24.0, y), label, Type::BODY, theme.text, rect.width());
    paint::text_right(ui.painter(), pos2(rect.right(), y), detail, Type::LABEL, theme.text_weak);
    hint(response, LOCKED);
}

/// A host of this audit as the report would print it.
fn masked_example(audit: &Audit) -> String {
    mask::hosts(&audit.snapshot).first().map_or_else(String::new, |host| mask::masked_form(host))
}
