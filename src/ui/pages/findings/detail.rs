//! One finding in full, in one fixed order.

use eframe::egui::{self, Align, Layout, ScrollArea, Sense, Ui, UiBuilder, text::LayoutJob, vec2};

use super::rows::Rows;
use super::{evidence, fix, keys, list, markdown, recheck};
use crate::app::{Action, Audit, FindingsTab, Model, Page};
use crate::plan::{Plan, Ranked};
use crate::text;
use crate::ui::fonts::{self, Type, Weight};
use crate::ui::icons::{self, Face};
use crate::ui::look;
use crate::ui::theme::{Theme, height, space};
use crate::ui::widgets::{
    Button, Kind, facts, icon_button, layer_tag, menu, menu_item, outcome_tag, paint, request_step, severity_tag, small_button, small_link,
};

/// Longer texts show this many characters first.
const SHOWN_MAX: usize = 2_000;
/// Text lines longer than this are hard to read.
const WIDTH_MAX: f32 = 960.0;

/// The selected finding; nothing when the list is empty.
pub fn selected(ui: &mut Ui, model: &Model, audit: &Audit, rows: &Rows<'_>, actions: &mut Vec<Action>) {
    let Some(ranked) = rows.current(model.findings.selected.as_deref()) else { return };
    ScrollArea::vertical().id_salt(("detail", &ranked.key)).auto_shrink(false).show(ui, |ui| {
        page(ui, |ui| finding(ui, model, audit, ranked, actions));
    });
}

/// The padding and widest measure of a detail.
pub fn page(ui: &mut Ui, content: impl FnOnce(&mut Ui)) {
    let room = ui.available_rect_before_wrap();
    let width = (room.width() - space::PAGE_X * 2.0).min(WIDTH_MAX);
    let at = egui::Rect::from_min_size(room.min + vec2(space::PAGE_X, space::PAGE_Y), vec2(width, f32::INFINITY));
    let mut child = ui.new_child(UiBuilder::new().id_salt("page").max_rect(at).layout(Layout::top_down(Align::Min)));
    child.spacing_mut().item_spacing = vec2(space::S, 0.0);
    content(&mut child);
    let used = child.min_rect().expand2(vec2(0.0, space::PAGE_Y));
    ui.allocate_rect(used, Sense::hover());
}

fn finding(ui: &mut Ui, model: &Model, audit: &Audit, ranked: &Ranked, actions: &mut Vec<Action>) {
    let theme = Theme::get(ui);
    head(ui, model, ranked, actions);
    ui.add_space(space::S);
    ui.label(fonts::title(ranked.check.title).color(theme.text));
    ui.label(fonts::mono(&ranked.finding.subject.name).color(theme.text_weak));
    ui.add_space(space::S);
    observed(ui, &ranked.finding.observed);
    ui.add_space(space::M);
    recheck::show(ui, model, ranked, actions);
    facts_row(ui, &audit.plan, ranked);
    ui.add_space(space::S);
    why_here(ui, ranked);
    ui.add_space(space::L);
    evidence::show(ui, ranked);
    fix::show(ui, model, ranked, actions);
    along(ui, &audit.plan, ranked, actions);
}

fn head(ui: &mut Ui, model: &Model, ranked: &Ranked, actions: &mut Vec<Action>) {
    let (_, row) = ui.allocate_space(vec2(ui.available_width(), height::BUTTON_SMALL));
    let mut right = ui.new_child(UiBuilder::new().id_salt("do").max_rect(row).layout(Layout::right_to_left(Align::Center)));
    right.spacing_mut().item_spacing.x = space::S;
    more(&mut right, ranked, actions);
    if model.findings.tab == FindingsTab::Dismissed {
        if small_button(&mut right, Kind::Secondary, icons::ARROW_COUNTER_CLOCKWISE, "Restore").clicked() {
            actions.push(Action::Restore(ranked.key.clone()));
        }
    } else if small_button(&mut right, Kind::Secondary, icons::BELL_SLASH, "Dismiss").clicked() {
        actions.push(Action::AskDismiss(ranked.key.clone()));
    }
    if model.findings.tab != FindingsTab::Dismissed {
        let again = Button::new(Kind::Secondary, "Check again").icon(icons::ARROW_COUNTER_CLOCKWISE).small();
        if again.blocked(model.recheck_blocked()).show(&mut right).clicked() {
            actions.push(Action::CheckAgain(ranked.key.clone()));
        }
    }
    let end = right.min_rect().left() - space::S;
    let inside = egui::Rect::from_min_max(row.min, egui::pos2(end, row.bottom()));
    let mut left = ui.new_child(UiBuilder::new().id_salt("marks").max_rect(inside).layout(Layout::left_to_right(Align::Center)));
    left.spacing_mut().item_spacing.x = space::S;
    severity_tag(&mut left, look::level(ranked.finding.severity));
    layer_tag(&mut left, look::hue(ranked.check.layer));
    if model.findings.tab == FindingsTab::Dismissed {
        outcome_tag(&mut left, crate::ui::widgets::Outcome::Dismissed);
    }
    left.add(egui::Label::new(fonts::mono(ranked.check.id).color(Theme::get(&left).text_weak)).truncate());
}

fn more(ui: &mut Ui, ranked: &Ranked, actions: &mut Vec<Action>) {
    let button = icon_button(ui, icons::DOTS_THREE, height::BUTTON_SMALL, "More for this finding");
    menu(&button, |ui| {
        if menu_item(ui, icons::MARKDOWN_LOGO, "Copy as Markdown", "").clicked() {
            actions.push(Action::Copy { text: markdown::finding(ranked), what: "Finding".into() });
        }
        if let Some(remedy) = ranked.finding.remedies.first()
            && menu_item(ui, icons::COPY, "Copy the fix", "C").clicked()
        {
            actions.push(Action::Copy { text: remedy.text.clone(), what: "Fix".into() });
        }
        if menu_item(ui, icons::CHART_LINE, "Open its metric", "M").clicked() {
            keys::open_metric(ranked, actions);
        }
        if menu_item(ui, icons::LIST_CHECKS, "Read the check", "").clicked() {
            actions.push(Action::SelectCheck(Some(ranked.check.id.to_owned())));
            actions.push(Action::Go(Page::Checks));
        }
    });
}

/// The measured sentence; what follows its colon is the figure that decides.
fn observed(ui: &mut Ui, sentence: &str) {
    let theme = Theme::get(ui);
    let shown = shown_part(ui, "observed", sentence);
    let split = shown.find(": ").map_or(shown.len(), |i| i + 2);
    let mut job = LayoutJob::default();
    job.append(&shown[..split], 0.0, paint::format(Type::Lead(Weight::Regular), theme.text));
    job.append(&shown[split..], 0.0, paint::format(Type::Lead(Weight::Strong), theme.text));
    ui.add(egui::Label::new(job).selectable(true));
    show_all(ui, "observed", sentence);
}

fn all_id(salt: &str, whole: &str) -> egui::Id {
    egui::Id::unique((salt, "whole", whole.len(), whole.get(..whole.floor_char_boundary(64))))
}

/// The first characters of a long text, or all of it once "Show all" was clicked.
pub fn shown_part(ui: &Ui, salt: &str, whole: &str) -> String {
    let all = ui.data(|data| data.get_temp::<bool>(all_id(salt, whole))).unwrap_or(false);
    if all { whole.to_owned() } else { text::cut(whole, SHOWN_MAX) }
}

/// "Show all" under a text that was cut.
pub fn show_all(ui: &mut Ui, salt: &str, whole: &str) {
    let id = all_id(salt, whole);
    let is_cut = whole.char_indices().nth(SHOWN_MAX).is_some() && !ui.data(|data| data.get_temp::<bool>(id)).unwrap_or(false);
    if is_cut && small_link(ui, "Show all").clicked() {
        ui.data_mut(|data| data.insert_temp(id, true));
    }
}

fn facts_row(ui: &mut Ui, plan: &Plan, ranked: &Ranked) {
    let f = &ranked.finding;
    let basis = f.gain.as_ref().map_or_else(|| if f.averts.is_some() { "risk" } else { "–" }, |g| g.basis.name());
    let rank = match (&ranked.symptom_of, ranked.rank) {
        (_, 0) => "not ranked".to_owned(),
        (Some(_), rank) => format!("symptom of {rank}"),
        (None, rank) => format!("{rank} of {}", plan.findings.iter().filter(|r| r.symptom_of.is_none()).count()),
    };
    let gain = list::worth(ranked);
    facts(ui, &[("Gain", &gain), ("Basis", basis), ("Confidence", f.confidence.id()), ("Effort", f.effort.id()), ("Rank", &rank)]);
}

fn why_here(ui: &mut Ui, ranked: &Ranked) {
    let theme = Theme::get(ui);
    let title = if ranked.rank == 1 && ranked.symptom_of.is_none() { "Why first. " } else { "Why here. " };
    let mut rest = ranked.why_here.clone();
    if !ranked.finding.confidence_because.is_empty() {
        rest.push_str(&format!(" Confidence {}: {}.", ranked.finding.confidence.id(), ranked.finding.confidence_because.trim_end_matches('.')));
    }
    let mut job = LayoutJob::default();
    job.append(title, 0.0, paint::format(Type::Label(Weight::Strong), theme.text));
    job.append(rest.trim(), 0.0, paint::format(Type::LABEL, theme.text_weak));
    ui.label(job);
}

/// The other findings that touch the same request, in the order of its way.
fn along(ui: &mut Ui, plan: &Plan, ranked: &Ranked, actions: &mut Vec<Action>) {
    const STEP_MIN: f32 = 184.0;
    const ARROW: f32 = 32.0;
    const SHOWN: usize = 6;
    let steps: Vec<&Ranked> = ranked.along.iter().filter_map(|key| plan.find(key)).collect();
    if steps.len() < 2 {
        return;
    }
    let theme = Theme::get(ui);
    ui.add_space(space::L);
    ui.horizontal(|ui| {
        ui.label(Type::STRONG.text("Along the same request").color(theme.text));
        let touch = ranked.finding.touches.iter().find_map(|t| t.strip_prefix("path:"));
        ui.label(Type::LABEL.text(touch.unwrap_or("")).color(theme.text_weak));
    });
    ui.add_space(space::S);
    // The finding itself stays among those that are shown.
    let at = steps.iter().position(|s| s.key == ranked.key).unwrap_or(0);
    let first = if steps.len() > SHOWN { at.saturating_sub(SHOWN / 2).min(steps.len() - SHOWN) } else { 0 };
    let shown = &steps[first..steps.len().min(first + SHOWN)];
    let a_row = (((ui.available_width() + ARROW) / (STEP_MIN + ARROW)) as usize).clamp(1, shown.len());
    let width = (ui.available_width() - ARROW * (a_row - 1) as f32) / a_row as f32;
    for (line, chunk) in shown.chunks(a_row).enumerate() {
        if line > 0 {
            ui.add_space(space::S);
        }
        ui.horizontal(|ui| {
            ui.spacing_mut().item_spacing.x = 0.0;
            for (index, step) in chunk.iter().enumerate() {
                if index > 0 {
                    let (rect, _) = ui.allocate_exact_size(vec2(ARROW, 40.0), Sense::hover());
                    paint::icon(ui.painter(), rect.center(), icons::ARROW_RIGHT, Face::Regular, 14.0, theme.text_weak);
                }
                let rank = if step.rank == 0 { "–".to_owned() } else { step.rank.to_string() };
                let mark = Some((look::level(step.finding.severity), rank.as_str()));
                let words = &step.finding.subject.name;
                if request_step(ui, look::hue(step.check.layer), words, mark, step.key == ranked.key, width).clicked() {
                    actions.push(Action::SelectFinding(step.key.clone()));
                }
            }
        });
    }
    if steps.len() > SHOWN {
        ui.add_space(space::XS);
        ui.label(Type::LABEL.text(format!("and {} more", steps.len() - SHOWN)).color(theme.text_weak));
    }
}
