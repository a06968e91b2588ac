//! Questions that must be answered first, the list of keys, and going to anything.

mod ask;
mod go_to;
mod keys;
mod path;

use eframe::egui::Ui;

use crate::app::{self, Action, Model};
use crate::ui::widgets::{Answer, Dialog};

/// Draws the dialog that is open, if one is.
pub fn show(ui: &mut Ui, model: &Model, actions: &mut Vec<Action>) {
    let Some(dialog) = &model.dialog else { return };
    match dialog {
        app::Dialog::DeleteStore { id, name } => delete(ui, id, name, actions),
        app::Dialog::CancelAudit => cancel(ui, actions),
        app::Dialog::Dismiss { title, reason, until, error, .. } => ask::dismiss(ui, title, (reason, until), error.as_deref(), actions),
        app::Dialog::AskSecrets { store, postgres, redis, sentinels, cloudflare, reason } => {
            let name = model.store(store).map_or(store.as_str(), |s| s.profile.name.as_str());
            let asks = ask::Asks { store, name, is_check: model.asks_for_recheck(), reason: reason.as_deref() };
            let asked = ask::Asked { postgres: postgres.as_deref(), redis, sentinels, cloudflare: cloudflare.as_deref() };
            ask::secrets(ui, &asks, &asked, actions);
        }
        app::Dialog::TypePath { wanted, path, error } => path::typed(ui, wanted, path, error.as_deref(), actions),
        app::Dialog::Replace { existing, .. } => path::replace(ui, existing, actions),
        app::Dialog::Keys => keys::show(ui, actions),
        app::Dialog::GoTo { text } => go_to::show(ui, model, text, actions),
    }
}

fn delete(ui: &mut Ui, id: &str, name: &str, actions: &mut Vec<Action>) {
    let title = format!("Delete {name}?");
    let dialog = Dialog {
        title: &title,
        sentence: "The store, its audits on this computer and its saved secrets are deleted. The store itself is not touched.",
        confirm: "Delete store",
        destructive: true,
        blocked: None,
        is_notice: false,
    };
    match dialog.show(ui.ctx(), "delete store", |_| {}) {
        Some(Answer::Confirmed) => actions.push(Action::DeleteStore(id.to_owned())),
        Some(Answer::Cancelled) => actions.push(Action::CloseDialog),
        None => {}
    }
}

fn cancel(ui: &mut Ui, actions: &mut Vec<Action>) {
    let dialog = Dialog {
        title: "Cancel this audit?",
        sentence: "What was read is kept and marked partial. The observation window is lost.",
        confirm: "Cancel audit",
        destructive: true,
        blocked: None,
        is_notice: false,
    };
    match dialog.show(ui.ctx(), "cancel audit", |_| {}) {
        Some(Answer::Confirmed) => actions.push(Action::CancelAudit),
        Some(Answer::Cancelled) => actions.push(Action::CloseDialog),
        None => {}
    }
}
