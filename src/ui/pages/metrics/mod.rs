//! The page "metrics".

use eframe::egui::Ui;

use crate::app::{Action, Model};

/// Draws the page.
pub fn show(ui: &mut Ui, model: &Model, actions: &mut Vec<Action>) {
    let _ = (ui, model, actions);
}
