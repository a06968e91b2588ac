//! The fix by kind, with its lock, risk, undo, how to verify it and what to read.

use eframe::egui::{Align, Layout, Ui, UiBuilder, vec2};

use crate::app::{Action, Model};
use crate::finding::Remedy;
use crate::plan::Ranked;
use crate::ui::fonts::Type;
use crate::ui::theme::{Theme, space};
use crate::ui::widgets::{Language, SegmentSize, code_box, copy_button, definition, link, paint, segments};

/// Draws the chosen remedy and what surrounds it.
pub fn show(ui: &mut Ui, model: &Model, ranked: &Ranked, actions: &mut Vec<Action>) {
    let remedies = &ranked.finding.remedies;
    let chosen = model.findings.remedy.min(remedies.len().saturating_sub(1));
    if let Some(remedy) = remedies.get(chosen) {
        head(ui, remedies, chosen, actions);
        ui.add_space(space::S);
        code_box(ui, &remedy.text, Language::named(remedy.kind.language()));
        ui.add_space(space::S);
        if !remedy.label.is_empty() && remedies.len() > 1 {
            definition(ui, "Does", &remedy.label, false);
        }
        if let Some(lock) = &remedy.lock {
            definition(ui, "Lock", lock, false);
        }
        if !remedy.risk.is_empty() {
            definition(ui, "Risk", &remedy.risk, false);
        }
        if let Some(undo) = &remedy.undo {
            definition(ui, "Undo", undo, looks_like_code(undo));
        }
    } else {
        ui.label(Type::STRONG.text("What to do").color(Theme::get(ui).text));
        ui.add_space(space::XS);
        ui.label(Type::LABEL.text(ranked.check.remedy).color(Theme::get(ui).text));
        ui.add_space(space::S);
    }
    if !ranked.finding.verify.is_empty() {
        definition(ui, "Verify", &ranked.finding.verify, false);
    }
    read(ui, ranked.check.references, actions);
}

fn head(ui: &mut Ui, remedies: &[Remedy], chosen: usize, actions: &mut Vec<Action>) {
    let (_, row) = ui.allocate_space(vec2(ui.available_width(), 24.0));
    let mut right = ui.new_child(UiBuilder::new().id_salt("copy fix").max_rect(row).layout(Layout::right_to_left(Align::Center)));
    copy_button(&mut right, "Copy", || remedies[chosen].text.clone());
    let mut left = ui.new_child(UiBuilder::new().id_salt("fix kinds").max_rect(row).layout(Layout::left_to_right(Align::Center)));
    left.spacing_mut().item_spacing.x = space::M;
    left.label(Type::STRONG.text("Fix").color(Theme::get(&left).text));
    let names = tab_names(remedies);
    let words: Vec<&str> = names.iter().map(String::as_str).collect();
    if words.len() == 1 {
        left.label(Type::LABEL.text(words[0]).color(Theme::get(&left).text_weak));
        return;
    }
    let mut active = chosen;
    if segments(&mut left, "Kind of fix", &words, &mut active, SegmentSize::Small) {
        actions.push(Action::SelectRemedy(active));
    }
}

/// The kind of each remedy, numbered where two are of one kind.
fn tab_names(remedies: &[Remedy]) -> Vec<String> {
    remedies
        .iter()
        .enumerate()
        .map(|(i, r)| {
            let same = || remedies.iter().filter(|o| o.kind == r.kind);
            if same().count() == 1 {
                return r.kind.name().to_owned();
            }
            let number = remedies[..=i].iter().filter(|o| o.kind == r.kind).count();
            format!("{} {number}", r.kind.name())
        })
        .collect()
}

/// An undo that can be run is set in mono; a sentence is not.
fn looks_like_code(undo: &str) -> bool {
    undo.trim_end().ends_with(';') || undo.contains("config set") || undo.contains("CONFIG SET")
}

fn read(ui: &mut Ui, references: &[&str], actions: &mut Vec<Action>) {
    for (index, reference) in references.iter().enumerate() {
        let (_, row) = ui.allocate_space(vec2(ui.available_width(), 18.0));
        if index == 0 {
            paint::text_left(ui.painter(), row.left_center(), "Read", Type::LABEL, Theme::get(ui).text_weak, 72.0);
        }
        let at = row.with_min_x(row.left() + 76.0);
        let mut child = ui.new_child(UiBuilder::new().id_salt(("read", index)).max_rect(at).layout(Layout::left_to_right(Align::Center)));
        if link(&mut child, readable(reference), Type::LABEL).clicked() {
            actions.push(Action::OpenLink(address(reference).to_owned()));
        }
    }
}

/// A reference without what every address has; the whole one is opened.
fn readable(reference: &str) -> &str {
    reference.trim_start_matches("https://").trim_start_matches("www.").trim_end_matches('/')
}

fn address(reference: &str) -> &str {
    reference.find("https://").map_or(reference, |i| reference[i..].split_whitespace().next().unwrap_or(reference))
}
