//! The last step: storefront and store API.

use eframe::egui::Ui;

use super::Form;
use super::draft::Input;
use super::limits;
use super::parts::{Way, env_file, heading, note, rule, set};
use crate::app::wizard::Field;
use crate::ui::theme::space;

pub fn show(ui: &mut Ui, form: &mut Form<'_>) {
    let wizard = form.wizard;
    if heading(ui, "Storefront and API", &[Way::Fields, Way::EnvFile]) == Way::EnvFile {
        env_file(ui, form);
    }
    let input = Input { label: "Storefront URL", hint: "https://www.example.com", shown: &wizard.storefront_url, is_mono: true, ..Input::default() };
    set(ui, form, Field::StorefrontUrl, input);
    ui.add_space(space::M);
    let input = Input {
        label: "Medusa backend URL",
        hint: "https://api.example.com",
        shown: &wizard.backend_url,
        error: wizard.shop_error.as_deref(),
        is_mono: true,
        ..Input::default()
    };
    set(ui, form, Field::BackendUrl, input);
    ui.add_space(space::M);
    let input =
        Input { label: "Publishable API key", hint: "pk_…, Medusa 2 only", shown: &wizard.publishable_key, is_mono: true, ..Input::default() };
    set(ui, form, Field::PublishableKey, input);
    ui.add_space(6.0);
    note(ui, "Public by design: every visitor's browser sends it. It is kept with the store.");
    ui.add_space(space::M);
    let hint = "shop.example.com=203.0.113.7";
    let input = Input { label: "Asked at another address", hint, shown: &wizard.resolve, is_mono: true, ..Input::default() };
    set(ui, form, Field::Resolve, input);
    rule(ui);
    limits::shop(ui, form);
}
