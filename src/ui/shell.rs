//! What surrounds every page: sidebar, keys, dialogs.

use eframe::egui::{self, Ui};

use super::pages;
use super::theme::Theme;
use crate::app::{Action, Model, Page};

/// Draws the whole window.
pub fn show(ui: &mut Ui, model: &Model, actions: &mut Vec<Action>) {
    let theme = Theme::get(ui);
    egui::CentralPanel::default().frame(egui::Frame::new().fill(theme.bg_page)).show(ui, |ui| page(ui, model, actions));
    pages::dialogs::show(ui, model, actions);
}

fn page(ui: &mut Ui, model: &Model, actions: &mut Vec<Action>) {
    match model.page {
        Page::Stores => pages::stores::show(ui, model, actions),
        Page::Overview => pages::overview::show(ui, model, actions),
        Page::Findings => pages::findings::show(ui, model, actions),
        Page::Metrics(_) => pages::metrics::show(ui, model, actions),
        Page::Audits => pages::audits::show(ui, model, actions),
        Page::Export => pages::export::show(ui, model, actions),
        Page::Audit => pages::audit::show(ui, model, actions),
        Page::Compare => pages::compare::show(ui, model, actions),
        Page::Connect => pages::connect::show(ui, model, actions),
        Page::Settings => pages::settings::show(ui, model, actions),
        Page::Checks => pages::checks::show(ui, model, actions),
    }
}
