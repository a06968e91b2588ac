//! "Check again" in place: what the audit found beside what is there now. The audit is not touched.

use eframe::egui::{Frame, Margin, Role, Sense, Ui, WidgetInfo, vec2};

use crate::app::recheck::{Recheck, Rechecked, Verdict};
use crate::app::{Action, Model};
use crate::finding::{Evidence, Finding};
use crate::plan::Ranked;
use crate::text;
use crate::ui::fonts::Type;
use crate::ui::icons;
use crate::ui::look;
use crate::ui::theme::{Theme, radius, space};
use crate::ui::widgets::{definition, evidence_table, small_link, spinner};

/// Draws the running check or how it ended; nothing when the finding was not checked again.
pub fn show(ui: &mut Ui, model: &Model, ranked: &Ranked, actions: &mut Vec<Action>) {
    let running = model.rechecking.as_ref().filter(|r| r.key == ranked.key);
    let ended = model.rechecked(&ranked.key);
    if running.is_none() && ended.is_none() {
        return;
    }
    let theme = Theme::get(ui);
    let frame = Frame::NONE.fill(theme.bg_card).stroke((1.0, theme.line)).corner_radius(radius::CONTROL).inner_margin(Margin::symmetric(12, 10));
    frame.show(ui, |ui| {
        ui.set_width(ui.available_width());
        ui.spacing_mut().item_spacing = vec2(space::S, 0.0);
        match (running, ended) {
            (Some(running), _) => progress(ui, running, actions),
            (None, Some(ended)) => outcome(ui, ranked, ended),
            (None, None) => {}
        }
    });
    ui.add_space(space::M);
}

fn progress(ui: &mut Ui, running: &Recheck, actions: &mut Vec<Action>) {
    let theme = Theme::get(ui);
    ui.horizontal(|ui| {
        spinner(ui, 14.0, "Checking again");
        ui.label(Type::NAME.text("Checking again").color(theme.text));
        ui.label(Type::LABEL.text(&running.now).color(theme.text_weak));
        if small_link(ui, "Cancel the check").clicked() {
            actions.push(Action::CancelCheckAgain);
        }
    });
}

fn outcome(ui: &mut Ui, ranked: &Ranked, ended: &Rechecked) {
    let theme = Theme::get(ui);
    let (icon, color, word, after) = match &ended.verdict {
        Verdict::Gone(sentence) => (icons::CHECK_CIRCLE, theme.good.fg, "Gone", sentence.clone()),
        Verdict::StillThere(now) => (icons::WARNING, theme.high.fg, "Still there", now.observed.clone()),
        Verdict::CannotTell(why) => (icons::WARNING_CIRCLE, theme.medium.fg, "Cannot tell", format!("Not checked: {why}")),
    };
    let response = ui.horizontal(|ui| {
        ui.label(icon.fill(16.0, color));
        ui.label(Type::NAME.text(word).color(theme.text));
        let window = if ended.window_s > 0.0 { format!(", {} window", text::seconds(ended.window_s)) } else { String::new() };
        let words = format!("checked {}{window}", look::when(ended.at));
        ui.label(Type::LABEL.text(words).color(theme.text_weak));
    });
    let name = format!("{word}. Before: {} After: {after}", ranked.finding.observed);
    let status = ui.interact(response.response.rect, ui.scope_id().with("checked again"), Sense::hover());
    status.widget_info(|| WidgetInfo::labeled(Role::Status, true, &name));
    ui.add_space(space::XS);
    definition(ui, "Before", &text::cut(&ranked.finding.observed, 600), false);
    definition(ui, "After", &text::cut(&after, 600), false);
    if let Verdict::StillThere(now) = &ended.verdict {
        pairs(ui, &ranked.finding, now);
    }
    if let Some(caution) = &ended.caution {
        ui.add_space(space::XS);
        definition(ui, "But", caution, false);
    }
}

/// Each figure that both have, before and after.
fn pairs(ui: &mut Ui, before: &Finding, after: &Finding) {
    let figure = |evidence: &Evidence| match evidence {
        Evidence::Figure { label, shown, .. } => Some((label.clone(), shown.clone())),
        _ => None,
    };
    let now: Vec<(String, String)> = after.evidence.iter().filter_map(figure).collect();
    let rows: Vec<(String, String)> = before
        .evidence
        .iter()
        .filter_map(figure)
        .filter_map(|(label, then)| {
            let (_, now) = now.iter().find(|(l, _)| *l == label)?;
            let words = if *now == then { format!("{then}, unchanged") } else { format!("{then} → {now}") };
            Some((label, words))
        })
        .collect();
    if rows.is_empty() {
        return;
    }
    ui.add_space(space::S);
    let rows: Vec<(&str, &str)> = rows.iter().map(|(l, w)| (l.as_str(), w.as_str())).collect();
    evidence_table(ui, &rows);
}
