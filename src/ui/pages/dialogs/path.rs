//! A path that is typed because the system offers no file dialog, and files that are replaced only when told to.

use std::path::PathBuf;

use eframe::egui::Ui;

use crate::app::Action;
use crate::app::files::{Document, FileFor};
use crate::text;
use crate::ui::widgets::{Answer, Dialog, Field};

const SENTENCE: &str = "This system shows no file dialog, so the path is typed here. A desktop portal (xdg-desktop-portal) or zenity would show one.";

pub fn typed(ui: &mut Ui, wanted: &FileFor, path: &str, error: Option<&str>, actions: &mut Vec<Action>) {
    let (title, confirm) = match wanted {
        FileFor::Snapshot => ("Open a snapshot", "Open"),
        FileFor::EnvFile => ("Import a .env file", "Import"),
        FileFor::CaFile => ("Certificate or key", "Use"),
        FileFor::Document(Document::Report { .. }) => ("Save the report", "Save"),
        FileFor::Document(Document::Comparison { .. }) => ("Save the comparison", "Save"),
    };
    let blocked = path.trim().is_empty().then_some("A path is needed");
    let dialog = Dialog { title, sentence: SENTENCE, confirm, destructive: false, blocked, is_notice: false };
    let mut new = path.to_owned();
    let answer = dialog.show(ui.ctx(), "typed path", |ui| {
        let field = Field::new("Path", &mut new).mono().error(error).show(ui);
        if ui.memory(|m| m.focused().is_none()) {
            field.response.request_focus();
        }
    });
    if new != path {
        actions.push(Action::EditPath(new));
    }
    match answer {
        Some(Answer::Confirmed) => actions.push(Action::TakePath),
        Some(Answer::Cancelled) => actions.push(Action::CloseDialog),
        None => {}
    }
}

pub fn replace(ui: &mut Ui, existing: &[PathBuf], actions: &mut Vec<Action>) {
    let name = |path: &PathBuf| path.file_name().map_or_else(|| path.display().to_string(), |n| n.to_string_lossy().into_owned());
    let names = existing.iter().map(name).collect::<Vec<_>>().join(", ");
    let folder = existing.first().and_then(|p| p.parent()).map_or_else(String::new, |f| f.display().to_string());
    let title = match existing {
        [one] => format!("Replace {}?", name(one)),
        many => format!("Replace {}?", text::plural(many.len() as u64, "file", "files")),
    };
    let sentence = match existing {
        [_] => format!("A file of this name is in {folder} already."),
        _ => format!("Files of these names are in {folder} already: {names}."),
    };
    let dialog = Dialog { title: &title, sentence: &sentence, confirm: "Replace", destructive: true, blocked: None, is_notice: false };
    match dialog.show(ui.ctx(), "replace files", |_| {}) {
        Some(Answer::Confirmed) => actions.push(Action::ReplaceFiles),
        Some(Answer::Cancelled) => actions.push(Action::CloseDialog),
        None => {}
    }
}
