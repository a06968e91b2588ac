//! The CDN step: Cloudflare's zone and token.

use eframe::egui::Ui;

use super::Form;
use super::draft::Input;
use super::grants;
use super::parts::{Way, env_file, grant_card, heading, keep_secrets, note, secret, set};
use crate::app::wizard::Field;
use crate::ui::theme::space;

pub fn show(ui: &mut Ui, form: &mut Form<'_>) {
    let wizard = form.wizard;
    if heading(ui, "Cloudflare", &[Way::Fields, Way::EnvFile]) == Way::EnvFile {
        env_file(ui, form);
    }
    set(ui, form, Field::Zone, Input { label: "Zone", hint: "example.com, or its 32-digit id", shown: &wizard.zone, ..Input::default() });
    ui.add_space(space::M);
    secret(ui, form, Field::Token, "API token", &wizard.token);
    ui.add_space(space::M);
    keep_secrets(ui, form, "Keep token");
    ui.add_space(space::L);
    grant_card(ui, "No token yet?", "The permissions to tick, all of them Read.", grants::CLOUDFLARE);
    ui.add_space(space::M);
    note(ui, "Another CDN in front? Leave this empty: the storefront's answers still show what it caches.");
}
