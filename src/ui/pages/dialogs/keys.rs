//! All keys on one card.

use eframe::egui::{Align, Layout, ScrollArea, Ui, vec2};

use crate::app::Action;
use crate::ui::fonts::Type;
use crate::ui::theme::Theme;
use crate::ui::widgets::{Dialog, key_cap};

/// What is pressed and what it does; "Ctrl" is shown as "Cmd" on macOS.
const KEYS: [(&str, &str); 25] = [
    ("Ctrl K", "Go to anything"),
    ("Ctrl 1 – 6", "Stores, then the pages of the sidebar"),
    ("Ctrl R", "Run audit"),
    ("Ctrl E", "Export"),
    ("Ctrl F", "Search here"),
    ("Ctrl ,", "Settings"),
    ("Ctrl + − 0", "Larger, smaller, usual size"),
    ("F6", "Next part of the window"),
    ("Esc", "Back or cancel"),
    ("?", "These keys"),
    ("↑ ↓", "Move in a list"),
    ("Enter", "Open"),
    ("A", "Stores: run audit"),
    ("E", "Stores: edit"),
    ("Ctrl D", "Stores: duplicate"),
    ("Ctrl N", "Stores: new store"),
    ("Del", "Stores: delete, asks first"),
    ("J K", "Findings: next, previous"),
    ("/", "Findings: search"),
    ("C", "Findings: copy the fix"),
    ("D", "Findings: dismiss"),
    ("V", "Findings: check again"),
    ("M", "Findings: its metric"),
    ("Ctrl Enter", "Connect: test"),
    ("Alt ← →", "Connect: previous step, next step"),
];

pub fn show(ui: &mut Ui, actions: &mut Vec<Action>) {
    let dialog = Dialog {
        title: "Keys",
        sentence: "They work wherever no field is being typed in.",
        confirm: "Close",
        destructive: false,
        blocked: None,
        is_notice: true,
    };
    let answer = dialog.show(ui.ctx(), "keys", |ui| {
        ScrollArea::vertical().max_height(420.0).auto_shrink([false, true]).show(ui, |ui| {
            ui.spacing_mut().item_spacing.y = 0.0;
            for (keys, words) in KEYS {
                row(ui, keys, words);
            }
        });
    });
    if answer.is_some() {
        actions.push(Action::CloseDialog);
    }
}

fn row(ui: &mut Ui, keys: &str, words: &str) {
    let keys = if cfg!(target_os = "macos") { keys.replace("Ctrl", "Cmd") } else { keys.to_owned() };
    ui.allocate_ui_with_layout(vec2(ui.available_width(), 26.0), Layout::left_to_right(Align::Center), |ui| {
        ui.allocate_ui_with_layout(vec2(92.0, 26.0), Layout::left_to_right(Align::Center), |ui| {
            ui.set_width(92.0);
            key_cap(ui, &keys);
        });
        ui.label(Type::LABEL.text(words).color(Theme::get(ui).text_muted));
    });
}
