//! Saved stores with their scores; on the first start, what the program does.

mod first_run;
mod list;
mod services;

use eframe::egui::{self, Key, KeyboardShortcut, Modifiers, Ui};

use crate::app::{Action, Model, Remote, StoreEntry};
use crate::text;
use crate::ui::fonts::Type;
use crate::ui::icons;
use crate::ui::shell::scrolling_body;
use crate::ui::theme::{Theme, space};
use crate::ui::widgets::{Button, Condition, Kind, button, key_cap, loading_card, page_state, search_field, top_bar};

/// Draws the page.
pub fn show(ui: &mut Ui, model: &Model, actions: &mut Vec<Action>) {
    if model.is_first_run() {
        first_run::show(ui, actions);
        return;
    }
    bar(ui, model, actions);
    keys(ui, model, actions);
    scrolling_body(ui, "stores", |ui| {
        if let Remote::Failed { message, .. } = &model.stores {
            if page_state(ui, Condition::Failed, "The saved stores could not be read", message, Some("Try again")) {
                actions.push(Action::ReloadStores);
            }
            ui.add_space(space::L);
        }
        if model.stores.shown().is_none() {
            if model.stores.is_pending() {
                loading_card(ui, "Stores", 0.0);
            }
            return;
        }
        let stores = found(model);
        list::show(ui, model, &stores, actions);
        ui.add_space(space::L);
        if let Some(store) = model.current_store() {
            services::show(ui, model, store, actions);
            ui.add_space(space::L);
        }
        footer(ui);
    });
}

fn bar(ui: &mut Ui, model: &Model, actions: &mut Vec<Action>) {
    let saved = model.store_list().iter().filter(|s| !s.is_demo()).count();
    let caption = format!("{} saved, 1 demo", text::count(saved as u64));
    top_bar(ui, "Stores", &caption, |ui| {
        if button(ui, Kind::Secondary, icons::PLUS, "New store").clicked() {
            actions.push(Action::NewStore);
        }
        if button(ui, Kind::Secondary, icons::DOWNLOAD_SIMPLE, "Import").clicked() {
            actions.push(Action::OpenSnapshotDialog);
        }
        let mut search = model.stores_search.clone();
        let response = search_field(ui, &mut search, "Search stores", &find_keys(ui), 208.0);
        if response.changed() {
            actions.push(Action::SearchStores(search));
        }
        if model.wants_search_focus {
            response.request_focus();
            actions.push(Action::SearchFocused);
        }
    });
}

fn find_keys(ui: &Ui) -> String {
    ui.ctx().format_shortcut(&KeyboardShortcut::new(Modifiers::COMMAND, Key::F)).replace('+', " ")
}

/// The stores that the search lets through, in the order of the list.
fn found(model: &Model) -> Vec<&StoreEntry> {
    let wanted = model.stores_search.trim().to_lowercase();
    let has = |store: &&StoreEntry| {
        let profile = &store.profile;
        wanted.is_empty() || profile.name.to_lowercase().contains(&wanted) || profile.environment.id().contains(&wanted)
    };
    model.store_list().iter().filter(has).collect()
}

/// The page's keys, which work unless a field is being typed in. Enter and the arrows belong to whatever has the focus.
fn keys(ui: &Ui, model: &Model, actions: &mut Vec<Action>) {
    if model.dialog.is_some() || ui.ctx().text_edit_focused() || egui::Popup::is_any_open(ui.ctx()) {
        return;
    }
    let pressed = |modifiers, key| ui.input_mut(|input| input.consume_key(modifiers, key));
    if pressed(Modifiers::COMMAND, Key::N) {
        actions.push(Action::NewStore);
    }
    let Some(store) = model.current_store() else { return };
    let id = || store.profile.id.clone();
    let own = [
        (Modifiers::COMMAND, Key::D, Action::DuplicateStore(id())),
        (Modifiers::NONE, Key::A, Action::StartAudit(id())),
        (Modifiers::NONE, Key::E, Action::EditStore(id())),
        (Modifiers::NONE, Key::Delete, Action::AskDeleteStore(id())),
    ];
    for (modifiers, key, action) in own {
        if pressed(modifiers, key) {
            actions.push(action);
        }
    }
    if ui.memory(|memory| memory.focused()).is_some() {
        return;
    }
    if pressed(Modifiers::NONE, Key::Enter) {
        actions.push(Action::OpenStore(id()));
    }
    let list = found(model);
    let at = list.iter().position(|s| s.profile.id == store.profile.id);
    let step = i32::from(pressed(Modifiers::NONE, Key::ArrowDown)) - i32::from(pressed(Modifiers::NONE, Key::ArrowUp));
    if let Some(at) = at.filter(|_| step != 0) {
        let to = at.saturating_add_signed(step as isize).min(list.len() - 1);
        actions.push(Action::SelectStore(list[to].profile.id.clone()));
    }
}

fn footer(ui: &mut Ui) {
    let command = if cfg!(target_os = "macos") { "Cmd" } else { "Ctrl" };
    let keys = [
        ("↑ ↓".to_owned(), "move"),
        ("Enter".to_owned(), "open"),
        ("A".to_owned(), "run audit"),
        ("E".to_owned(), "edit"),
        (format!("{command} D"), "duplicate"),
        (format!("{command} N"), "new store"),
        ("Del".to_owned(), "delete, asks first"),
    ];
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing.x = 6.0;
        for (key, words) in &keys {
            key_cap(ui, key);
            ui.label(Type::LABEL.text(*words).color(Theme::get(ui).text_weak));
            ui.add_space(10.0);
        }
    });
}

/// What a built-in store cannot do, and why.
const BUILT_IN: &str = "The demo store is built in";

/// A small button of the selected store's card.
fn small(ui: &mut Ui, kind: Kind, icon: Option<icons::Icon>, label: &str, blocked: Option<&str>) -> bool {
    Button::new(kind, label).icon(icon).small().blocked(blocked).show(ui).clicked()
}
