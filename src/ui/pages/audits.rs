//! The audits of one store: open one, or choose two and compare them.

use std::path::PathBuf;

use eframe::egui::{Id, Ui};

use crate::app::{Action, Model, StoreEntry};
use crate::evidence::Layer;
use crate::history::Entry;
use crate::text;
use crate::ui::fonts::Type;
use crate::ui::icons;
use crate::ui::look;
use crate::ui::shell::{body, shown_store};
use crate::ui::theme::{Theme, height};
use crate::ui::widgets::{
    Button, Column, Condition, Kind, Level, Table, Width, button, cell_text, checkbox, flush_card, page_state, score_cell, severity_count, table,
    top_bar,
};

/// Draws the page.
pub fn show(ui: &mut Ui, model: &Model, actions: &mut Vec<Action>) {
    let Some(store) = shown_store(model) else {
        top_bar(ui, "Audits", "", |_| {});
        body(ui, |ui| {
            page_state(ui, Condition::Empty, "No store", "A snapshot opened from a file belongs to no saved store.", None);
        });
        return;
    };
    let id = Id::unique(("audits to compare", &store.profile.id));
    let mut chosen = ui.data(|data| data.get_temp::<Vec<PathBuf>>(id)).unwrap_or_default();
    chosen.retain(|path| store.audits.iter().any(|e| e.path == *path));
    bar(ui, store, &chosen, actions);
    body(ui, |ui| {
        if store.audits.is_empty() {
            let sentence = format!("{} was not audited yet.", store.profile.name);
            if page_state(ui, Condition::Empty, "No audits yet", &sentence, Some("Run audit")) {
                actions.push(Action::StartAudit(store.profile.id.clone()));
            }
            return;
        }
        let rows = store.audits.len() as f32 * height::TABLE_ROW + height::TABLE_HEAD + 2.0;
        let tall = rows.min(ui.available_height() - 16.0);
        flush_card(ui, Some(tall), |ui| list(ui, model, store, &mut chosen, actions));
    });
    ui.data_mut(|data| data.insert_temp(id, chosen));
}

fn bar(ui: &mut Ui, store: &StoreEntry, chosen: &[PathBuf], actions: &mut Vec<Action>) {
    let caption = format!("{} of {}", text::plural(store.audits.len() as u64, "audit", "audits"), store.profile.name);
    top_bar(ui, "Audits", &caption, |ui| {
        if !store.is_demo() && button(ui, Kind::Primary, icons::PLAY, "Run audit").clicked() {
            actions.push(Action::StartAudit(store.profile.id.clone()));
        }
        let blocked = (chosen.len() != 2).then_some("Choose two audits");
        if Button::new(Kind::Secondary, "Compare").icon(icons::ARROWS_LEFT_RIGHT).blocked(blocked).show(ui).clicked() {
            // The list is newest first: the later of the two in it is the older audit.
            let mut in_order = store.audits.iter().map(|e| &e.path).filter(|path| chosen.contains(path));
            if let (Some(after), Some(before)) = (in_order.next(), in_order.next()) {
                actions.push(Action::Compare { before: before.clone(), after: after.clone() });
            }
        }
    });
}

fn list(ui: &mut Ui, model: &Model, store: &StoreEntry, chosen: &mut Vec<PathBuf>, actions: &mut Vec<Action>) {
    let points = Width::Points;
    let columns = [
        Column::left("", points(16.0)),
        Column::left("Taken", points(140.0)),
        Column::right("Window", points(64.0)),
        Column::right("CDN", points(44.0)),
        Column::right("Redis", points(44.0)),
        Column::right("Postgres", points(56.0)),
        Column::right("App", points(44.0)),
        Column::left("Findings", points(168.0)),
        Column::right("Not checked", points(80.0)),
        Column::left("Note", Width::Share(1.0)),
    ];
    let open = model.current_audit().and_then(|audit| audit.path.clone());
    let at = Id::unique("selected audit");
    let of_open = || store.audits.iter().position(|e| Some(&e.path) == open.as_ref());
    let mut selected = ui.data(|data| data.get_temp::<Option<usize>>(at)).unwrap_or_else(of_open);
    let shown = Table { id: "audits", columns: &columns, row_height: height::TABLE_ROW, rows: store.audits.len(), sort: None };
    let name = |row: usize| format!("Audit of {}", look::when(store.audits[row].summary.taken_at));
    let response = table(ui, shown, &mut selected, name, |ui, row, column| {
        let entry = &store.audits[row];
        if column == 0 {
            choose(ui, entry, chosen);
        } else {
            cell(ui, entry, column);
        }
    });
    ui.data_mut(|data| data.insert_temp(at, selected));
    if let Some(entry) = response.list.activated.and_then(|row| store.audits.get(row)) {
        actions.push(if store.is_demo() { Action::OpenDemo } else { Action::OpenAudit(entry.path.clone()) });
    }
}

/// At most two are chosen: a third takes the place of the first.
fn choose(ui: &mut Ui, entry: &Entry, chosen: &mut Vec<PathBuf>) {
    let mut on = chosen.contains(&entry.path);
    let name = format!("Compare {}", look::when(entry.summary.taken_at));
    if checkbox(ui, &mut on, &name).changed() {
        chosen.retain(|path| *path != entry.path);
        if on {
            chosen.push(entry.path.clone());
        }
        if chosen.len() > 2 {
            chosen.remove(0);
        }
    }
}

fn cell(ui: &mut Ui, entry: &Entry, column: usize) {
    let theme = Theme::get(ui);
    let summary = &entry.summary;
    match column {
        1 => drop(cell_text(ui, &look::when(summary.taken_at), Type::NAME, theme.text)),
        2 => drop(cell_text(ui, &text::seconds(summary.window_s), Type::BODY, theme.text_muted)),
        3..=6 => {
            let layer = Layer::ALL[column - 3];
            let score = summary.layers.iter().find(|l| l.layer == layer).and_then(|l| l.score);
            score_cell(ui, look::hue(layer), score.map(|s| u8::try_from(s).unwrap_or(100)));
        }
        7 => {
            for (level, count) in Level::ALL.into_iter().zip(summary.counts).filter(|(_, count)| *count > 0).take(4) {
                severity_count(ui, level, &text::count(count as u64));
            }
        }
        8 => drop(cell_text(ui, &text::count(summary.unknown as u64), Type::BODY, theme.text_muted)),
        _ => drop(cell_text(ui, &note(entry), Type::LABEL, theme.medium.fg)),
    }
}

/// What makes the audit less than whole.
fn note(entry: &Entry) -> String {
    let mut words: Vec<String> = Vec::new();
    if entry.summary.cancelled {
        words.push("cancelled".to_owned());
    }
    words.extend(entry.summary.layers.iter().filter(|l| l.status == "unreachable").map(|l| format!("{} unreachable", l.layer.name())));
    words.extend(entry.summary.layers.iter().filter(|l| l.status == "partial").map(|l| format!("{} partly read", l.layer.name())));
    words.join(", ")
}
