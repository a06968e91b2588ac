//! The first step: name and environment.

use eframe::egui::Ui;

use super::Form;
use super::draft::Input;
use super::parts::{Way, env_file, found_note, heading, note, set};
use crate::app::message::WizardAction;
use crate::app::wizard::Field;
use crate::connect::profile::Environment;
use crate::ui::theme::space;
use crate::ui::widgets::{SegmentSize, field_label, segments};

const ENVIRONMENTS: [Environment; 3] = [Environment::Production, Environment::Staging, Environment::Development];

pub fn show(ui: &mut Ui, form: &mut Form<'_>) {
    let wizard = form.wizard;
    let way = heading(ui, "Store", &[Way::Fields, Way::EnvFile]);
    let error = wizard.name_error.as_deref();
    set(ui, form, Field::Name, Input { label: "Name", hint: "Northwind Outfitters", shown: &wizard.name, error, ..Input::default() });
    ui.add_space(space::M);
    field_label(ui, "Environment");
    let mut chosen = ENVIRONMENTS.iter().position(|e| *e == wizard.environment).unwrap_or(0);
    let width = SegmentSize::Width(ui.available_width());
    if segments(ui, "Environment", &["Production", "Staging", "Development"], &mut chosen, width) {
        form.push(WizardAction::Environment(ENVIRONMENTS[chosen]));
    }
    ui.add_space(6.0);
    note(ui, "Colours the store's edge in every list, so that production is never mistaken for staging.");
    ui.add_space(space::L);
    if way == Way::EnvFile {
        env_file(ui, form);
    } else {
        found_note(ui, form);
    }
    super::limits::window(ui, form);
}
