//! What became of saving: the files with Open and Show in folder, or the reason it failed.

use std::path::{Path, PathBuf};

use eframe::egui::Ui;

use crate::app::{Action, ExportView, Remote};
use crate::text;
use crate::ui::fonts::Type;
use crate::ui::icons;
use crate::ui::theme::{Theme, space};
use crate::ui::widgets::{Condition, Kind, card, page_state, small_button, spinner};

pub fn show(ui: &mut Ui, view: &ExportView, actions: &mut Vec<Action>) {
    match &view.saving {
        Remote::Idle => return,
        Remote::Pending { .. } => {
            ui.horizontal(|ui| {
                spinner(ui, 14.0, "Saving the report");
                ui.label(Type::LABEL.text("Saving the report").color(Theme::get(ui).text_weak));
            });
        }
        Remote::Ready(paths) => saved(ui, paths, actions),
        Remote::Failed { message, .. } => {
            if page_state(ui, Condition::Failed, "Report not saved", message, Some("Save elsewhere")) {
                actions.push(Action::SaveReport);
            }
        }
    }
    ui.add_space(space::M);
}

fn saved(ui: &mut Ui, paths: &[PathBuf], actions: &mut Vec<Action>) {
    let theme = Theme::get(ui);
    let Some(first) = paths.first() else { return };
    card(ui, None, |ui| {
        ui.horizontal(|ui| {
            ui.label(icons::CHECK_CIRCLE.fill(16.0, theme.good.fg));
            let title = format!("{} saved", text::plural(paths.len() as u64, "file", "files"));
            ui.label(Type::NAME.text(title).color(theme.text));
        });
        ui.add_space(space::XS);
        for path in paths {
            ui.add(eframe::egui::Label::new(Type::Mono.text(name(path)).color(theme.text_muted)).truncate());
        }
        ui.add_space(space::S);
        ui.horizontal(|ui| {
            ui.spacing_mut().item_spacing.x = space::S;
            if small_button(ui, Kind::Secondary, icons::ARROW_SQUARE_OUT, "Open").clicked() {
                actions.push(Action::OpenFile(first.clone()));
            }
            if small_button(ui, Kind::Ghost, icons::FOLDER_OPEN, "Show in folder").clicked() {
                actions.push(Action::ShowInFolder(first.clone()));
            }
        });
    });
}

fn name(path: &Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |n| n.to_string_lossy().into_owned())
}
