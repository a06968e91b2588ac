//! The lists beside the open findings: passed checks, what was not checked, and nothing to do.

use eframe::egui::{self, Rect, Role, ScrollArea, Ui, WidgetInfo, pos2, vec2};

use super::detail::page;
use super::list::{group_head, list_row};
use crate::app::{Action, Audit, FindingsTab, Model, Page};
use crate::checks::Check;
use crate::evidence::{Cause, Gap, Layer};
use crate::plan::Plan;
use crate::text;
use crate::ui::fonts::{self, Type};
use crate::ui::icons::{self, Face};
use crate::ui::look;
use crate::ui::theme::{Theme, height, space};
use crate::ui::widgets::{
    Condition, GapCard, Language, Outcome, definition, gap_card, layer_icon, layer_tag, link, outcome_tag, page_state, paint, small_link,
};

const HEAD: f32 = 32.0;

/// One line of these lists: a group or a check with a sentence.
enum Line<'a> {
    Head(&'a str, usize),
    Item { key: String, outcome: Outcome, title: &'a str, sentence: String },
}

/// Passed checks by layer, then those that do not apply.
fn passed_lines(plan: &Plan) -> Vec<Line<'_>> {
    // A check is named by what it fails on; beside a tick that name would say the opposite, so the passed sentence leads.
    let mut lines = Vec::new();
    for layer in Layer::ALL {
        let checks: Vec<&'static Check> = plan.passed.iter().copied().filter(|c| c.layer == layer).collect();
        if !checks.is_empty() {
            lines.push(Line::Head(layer.name(), checks.len()));
        }
        let item = |c: &'static Check| Line::Item {
            key: c.id.into(),
            outcome: Outcome::Passed,
            title: c.passed,
            sentence: format!("Looked for: {}", c.title),
        };
        lines.extend(checks.into_iter().map(item));
    }
    if !plan.not_applicable.is_empty() {
        lines.push(Line::Head("Does not apply", plan.not_applicable.len()));
    }
    let item = |(c, reason): &(&'static Check, String)| Line::Item {
        key: c.id.into(),
        outcome: Outcome::DoesNotApply,
        title: c.title,
        sentence: format!("Does not apply: {reason}"),
    };
    lines.extend(plan.not_applicable.iter().map(item));
    lines
}

fn gap_lines(plan: &Plan) -> Vec<Line<'static>> {
    let line = |(i, (gap, checks)): (usize, (Gap, Vec<&'static Check>))| Line::Item {
        key: gap_key(i),
        outcome: Outcome::NotChecked,
        title: gap.section.name(),
        sentence: format!("{}: {}", text::plural(checks.len() as u64, "check waits", "checks wait"), gap.detail),
    };
    plan.unknown_by_cause().into_iter().enumerate().map(line).collect()
}

fn gap_key(index: usize) -> String {
    format!("gap {index}")
}

fn first_key<'a>(lines: &'a [Line<'_>], selected: Option<&str>) -> Option<&'a str> {
    let keys = || lines.iter().filter_map(|line| if let Line::Item { key, .. } = line { Some(key.as_str()) } else { None });
    keys().find(|k| Some(*k) == selected).or_else(|| keys().next())
}

fn line_list(ui: &mut Ui, model: &Model, lines: &[Line<'_>], actions: &mut Vec<Action>) {
    let current = first_key(lines, model.findings.selected.as_deref());
    step(ui, model, lines, current, actions);
    let tall = |line: &Line<'_>| if matches!(line, Line::Head(..)) { HEAD } else { height::FINDING_ROW };
    let total: f32 = lines.iter().map(tall).sum();
    let id = ui.make_persistent_id("line list");
    ScrollArea::vertical().id_salt("lines").auto_shrink(false).show_viewport(ui, |ui, viewport| {
        ui.set_height(total);
        let origin = ui.max_rect().min;
        let mut top = 0.0;
        for (index, line) in lines.iter().enumerate() {
            let at = Rect::from_min_size(origin + vec2(0.0, top), vec2(ui.available_width(), tall(line)));
            if top + tall(line) >= viewport.top() && top <= viewport.bottom() {
                draw(ui, id.with(index), at, line, current, actions);
            }
            top += tall(line);
        }
    });
}

/// J K ↑ ↓ move in these lists too.
fn step(ui: &Ui, model: &Model, lines: &[Line<'_>], current: Option<&str>, actions: &mut Vec<Action>) {
    if model.dialog.is_some() || ui.ctx().text_edit_focused() {
        return;
    }
    let pressed = |a: egui::Key, b: egui::Key| {
        ui.input_mut(|i| i.consume_key(egui::Modifiers::NONE, a)) || ui.input_mut(|i| i.consume_key(egui::Modifiers::NONE, b))
    };
    let (down, up) = (pressed(egui::Key::J, egui::Key::ArrowDown), pressed(egui::Key::K, egui::Key::ArrowUp));
    let keys: Vec<&str> = lines.iter().filter_map(|l| if let Line::Item { key, .. } = l { Some(key.as_str()) } else { None }).collect();
    let Some(at) = keys.iter().position(|k| Some(*k) == current).filter(|_| down || up) else { return };
    let to = at.saturating_add_signed(if down { 1 } else { -1 }).min(keys.len() - 1);
    actions.push(Action::SelectFinding(keys[to].to_owned()));
}

fn draw(ui: &mut Ui, id: egui::Id, at: Rect, line: &Line<'_>, current: Option<&str>, actions: &mut Vec<Action>) {
    match line {
        Line::Head(title, count) => group_head(ui, at, title, *count),
        Line::Item { key, outcome, title, sentence } => {
            let theme = Theme::get(ui);
            let is_current = Some(key.as_str()) == current;
            let response = list_row(ui, id, at, is_current);
            response.widget_info(|| WidgetInfo::selected(Role::ListBoxOption, true, is_current, format!("{}, {title}, {sentence}", outcome.word())));
            let (icon, face) = outcome.icon();
            let y = at.center().y;
            paint::icon(ui.painter(), pos2(at.left() + 24.0, y), icon, face, 16.0, outcome.color(theme));
            let x = at.left() + 44.0;
            let room = at.right() - space::M - x;
            let title = capital(title);
            paint::text_left(ui.painter(), pos2(x, at.top() + 17.5), &title, Type::NAME, theme.text, room);
            paint::text_left(ui.painter(), pos2(x, at.top() + 34.5), sentence, Type::LABEL, theme.text_weak, room);
            if response.clicked() {
                actions.push(Action::SelectFinding(key.clone()));
            }
        }
    }
}

fn capital(s: &str) -> String {
    let mut chars = s.chars();
    chars.next().map_or_else(String::new, |c| c.to_uppercase().chain(chars).collect())
}

/// The list of the tab "Passed".
pub fn passed_list(ui: &mut Ui, model: &Model, audit: &Audit, actions: &mut Vec<Action>) {
    let lines = passed_lines(&audit.plan);
    if lines.is_empty() {
        return nothing(ui, "No check has passed", "A check passes when it read what it needs and found nothing to do.");
    }
    line_list(ui, model, &lines, actions);
}

fn nothing(ui: &mut Ui, title: &str, sentence: &str) {
    let inside = ui.available_rect_before_wrap().shrink(space::M);
    let mut child = ui.new_child(egui::UiBuilder::new().id_salt("nothing").max_rect(inside));
    page_state(&mut child, Condition::NotChecked, title, sentence, None);
}

/// A passed check: what it found in order, why it matters and how it decides.
pub fn passed_detail(ui: &mut Ui, model: &Model, audit: &Audit, actions: &mut Vec<Action>) {
    let lines = passed_lines(&audit.plan);
    let Some(key) = first_key(&lines, model.findings.selected.as_deref()) else { return };
    let passed = audit.plan.passed.iter().find(|c| c.id == key).map(|c| (*c, Outcome::Passed, c.passed.to_owned()));
    let other =
        || audit.plan.not_applicable.iter().find(|(c, _)| c.id == key).map(|(c, r)| (*c, Outcome::DoesNotApply, format!("Does not apply: {r}.")));
    let Some((check, outcome, sentence)) = passed.or_else(other) else { return };
    ScrollArea::vertical().id_salt(("passed", key)).auto_shrink(false).show(ui, |ui| {
        page(ui, |ui| {
            let theme = Theme::get(ui);
            ui.horizontal(|ui| {
                outcome_tag(ui, outcome);
                layer_tag(ui, look::hue(check.layer));
                ui.label(fonts::mono(check.id).color(theme.text_weak));
            });
            ui.add_space(space::S);
            ui.label(fonts::title(sentence).color(theme.text));
            ui.add_space(space::S);
            ui.label(fonts::lead(format!("Looked for: {}", check.title)).color(theme.text_muted));
            ui.add_space(space::L);
            definition(ui, "Why", check.why, false);
            definition(ui, "Method", check.method, false);
            ui.add_space(space::M);
            if small_link(ui, "Read the check").clicked() {
                actions.push(Action::SelectCheck(Some(check.id.to_owned())));
                actions.push(Action::Go(Page::Checks));
            }
        });
    });
}

/// The list of the tab "Not checked": one line a cause.
pub fn gap_list(ui: &mut Ui, model: &Model, audit: &Audit, actions: &mut Vec<Action>) {
    let lines = gap_lines(&audit.plan);
    if lines.is_empty() {
        return nothing(ui, "Every check was run", "Nothing this audit wanted to read was missing.");
    }
    line_list(ui, model, &lines, actions);
}

/// One cause: what is missing, the exact grant, and the checks that wait for it.
pub fn gap_detail(ui: &mut Ui, model: &Model, audit: &Audit, actions: &mut Vec<Action>) {
    let lines = gap_lines(&audit.plan);
    let Some(key) = first_key(&lines, model.findings.selected.as_deref()) else { return };
    let causes = audit.plan.unknown_by_cause();
    let Some((gap, checks)) = causes.iter().enumerate().find_map(|(i, cause)| (gap_key(i) == key).then_some(cause)) else { return };
    ScrollArea::vertical().id_salt(("gap", key)).auto_shrink(false).show(ui, |ui| {
        page(ui, |ui| {
            let consequence =
                format!("Without it {} of {} are not run.", checks.len(), text::plural(audit.plan.checks_total() as u64, "check", "checks"));
            let card = GapCard {
                title: &gap.detail,
                consequence: &consequence,
                remedy: gap.cause.remedy().unwrap_or(""),
                language: remedy_language(gap),
                shows: &what_would_help(gap),
            };
            if gap.cause.remedy().is_some() {
                gap_card(ui, card, |_| {});
            } else {
                page_state(ui, Condition::NotChecked, "Not checked", &format!("{} {} {}", gap.detail, card.shows, consequence), None);
            }
            ui.add_space(space::L);
            ui.label(Type::STRONG.text("Checks that wait for it").color(Theme::get(ui).text));
            ui.add_space(space::XS);
            checks.iter().for_each(|check| waiting(ui, check, actions));
        });
    });
}

fn waiting(ui: &mut Ui, check: &'static Check, actions: &mut Vec<Action>) {
    ui.horizontal(|ui| {
        ui.set_height(height::EVIDENCE_ROW);
        layer_icon(ui, look::hue(check.layer), 14.0);
        if link(ui, check.title, Type::LABEL).clicked() {
            actions.push(Action::SelectCheck(Some(check.id.to_owned())));
            actions.push(Action::Go(Page::Checks));
        }
        ui.label(fonts::mono(check.id).color(Theme::get(ui).text_weak));
    });
}

fn remedy_language(gap: &Gap) -> Language {
    match gap.section.layer() {
        Layer::Postgres => Language::Sql,
        Layer::Redis => Language::Shell,
        _ => Language::Plain,
    }
}

/// What would close the gap, or from when it closes by itself.
fn what_would_help(gap: &Gap) -> String {
    match &gap.cause {
        Cause::NotConfigured => "Set the service up for this store and run the audit again.".into(),
        Cause::Unreachable => "The service did not answer. The other layers were read.".into(),
        Cause::Denied { .. } => "Run it as the owner. It lets the audit read what it names, nothing is written.".into(),
        Cause::Absent { .. } => "Once it is there, the next audit reads it.".into(),
        Cause::TooOld { have, need } => format!("Version {have} does not tell; {need} does."),
        Cause::TooYoung { have_s, need_s } => {
            format!("The counters have run for {}; {} are needed.", text::seconds(*have_s), text::seconds(*need_s))
        }
        Cause::TooFew { have, need, what } => format!("{} {what} were seen, {} are needed.", text::count(*have), text::count(*need)),
        Cause::TimedOut { limit_ms } => {
            format!("It took longer than {}. A higher limit in the store's settings allows it.", text::millis(f64::from(*limit_ms)))
        }
        Cause::Unreadable => "The answer was not understood. The other checks are not touched.".into(),
        Cause::CheckPanicked => "This is a defect of Medusa Advisor. The other checks are not touched.".into(),
    }
}

/// Nothing to do: a result, with the passed checks under it.
pub fn healthy(ui: &mut Ui, audit: &Audit, actions: &mut Vec<Action>) {
    let plan = &audit.plan;
    let passed = text::plural(plan.passed.len() as u64, "check passed", "checks passed");
    let sentence = match plan.unknown.len() {
        0 => format!("{passed}, every check was run."),
        n => format!("{passed}. {} could not be checked and may still find something.", text::plural(n as u64, "check", "checks")),
    };
    let action = (!plan.unknown.is_empty()).then_some("See what was not checked");
    if page_state(ui, Condition::Healthy, "Nothing to do", &sentence, action) {
        actions.push(Action::FindingsTab(FindingsTab::NotChecked));
    }
    ui.add_space(space::M);
    let theme = Theme::get(ui);
    ScrollArea::vertical().id_salt("passed").auto_shrink(false).show_rows(ui, height::TABLE_ROW, plan.passed.len(), |ui, range| {
        for check in &plan.passed[range] {
            let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), height::TABLE_ROW), egui::Sense::hover());
            response.widget_info(|| WidgetInfo::labeled(Role::Label, true, format!("Passed, {}", check.passed)));
            let y = rect.center().y;
            paint::icon(ui.painter(), pos2(rect.left() + 23.0, y), icons::CHECK_CIRCLE, Face::Fill, 16.0, theme.good.fg);
            paint::icon(
                ui.painter(),
                pos2(rect.left() + 47.0, y),
                look::hue(check.layer).icon(),
                Face::Regular,
                14.0,
                look::hue(check.layer).color(theme),
            );
            paint::text_left(ui.painter(), pos2(rect.left() + 64.0, y), check.passed, Type::BODY, theme.text, rect.width() - 80.0);
            paint::rule(ui.painter(), rect.x_range(), rect.bottom() - 1.0, theme.line_subtle);
        }
    });
}
