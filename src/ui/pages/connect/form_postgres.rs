//! The Postgres step.

use eframe::egui::Ui;

use super::Form;
use super::draft::Input;
use super::parts::{Way, env_file, grant_card, heading, keep_secrets, rule, secret, set};
use super::{grants, limits};
use crate::app::message::WizardAction;
use crate::app::wizard::Field;
use crate::connect::profile::TlsMode;
use crate::ui::icons;
use crate::ui::theme::space;
use crate::ui::widgets::dropdown;

pub fn show(ui: &mut Ui, form: &mut Form<'_>) {
    let pg = &form.wizard.postgres;
    match heading(ui, "Postgres", &[Way::Url, Way::Fields, Way::EnvFile]) {
        Way::Url => {
            let input = Input {
                label: "Connection URL",
                hint: "postgres://medusa_advisor@host:5432/medusa",
                shown: &pg.url,
                error: pg.url_error.as_deref(),
                is_mono: true,
                ..Input::default()
            };
            set(ui, form, Field::PgUrl, input);
            ui.add_space(space::M);
        }
        Way::EnvFile => env_file(ui, form),
        Way::Fields => {}
    }
    address(ui, form);
    ui.add_space(space::M);
    secret(ui, form, Field::PgPassword, "Password", &pg.password);
    ui.add_space(space::M);
    tls(ui, form);
    ui.add_space(space::M);
    nodes(ui, form);
    ui.add_space(space::M);
    keep_secrets(ui, form, "Keep password");
    rule(ui);
    limits::postgres(ui, form);
    ui.add_space(space::L);
    grant_card(ui, "No read-only role yet?", "These statements create one with the least it needs.", grants::POSTGRES);
}

fn address(ui: &mut Ui, form: &mut Form<'_>) {
    let pg = &form.wizard.postgres;
    let width = ui.available_width();
    let is_port = pg.port.trim().parse::<u16>().is_ok_and(|p| p > 0);
    let port_error = (!is_port).then_some("1 to 65535");
    ui.horizontal_top(|ui| {
        let host = Input { label: "Host", shown: &pg.host, width: Some(width - 84.0), ..Input::default() };
        set(ui, form, Field::PgHost, host);
        let port = Input { label: "Port", shown: &pg.port, error: port_error, width: Some(72.0), ..Input::default() };
        set(ui, form, Field::PgPort, port);
    });
    ui.add_space(space::M);
    let half = ((width - space::M) / 2.0).floor();
    ui.horizontal_top(|ui| {
        set(ui, form, Field::PgDatabase, Input { label: "Database", shown: &pg.database, width: Some(half), ..Input::default() });
        set(ui, form, Field::PgUser, Input { label: "User", shown: &pg.user, width: Some(half), ..Input::default() });
    });
}

fn tls(ui: &mut Ui, form: &mut Form<'_>) {
    let pg = &form.wizard.postgres;
    let width = ui.available_width();
    ui.horizontal_top(|ui| {
        let mut chosen = TlsMode::ALL.iter().position(|m| *m == pg.tls).unwrap_or(0);
        if dropdown(ui, "TLS", &TlsMode::ALL.map(TlsMode::id), &mut chosen, 128.0) {
            form.push(WizardAction::Tls(TlsMode::ALL[chosen]));
        }
        let input = Input {
            label: "CA certificate",
            hint: "the system's",
            shown: &pg.ca_file,
            width: Some(width - 128.0 - space::M),
            trailing: Some((icons::FOLDER_OPEN, "Choose file of")),
            ..Input::default()
        };
        let entered = input.show(ui);
        if let Some(text) = entered.text {
            form.push(WizardAction::Set(Field::PgCaFile, text));
        }
        if entered.trailing_clicked {
            form.push(WizardAction::ChooseFile(Field::PgCaFile));
        }
    });
}

/// One field for each further node and an empty one for the next.
fn nodes(ui: &mut Ui, form: &mut Form<'_>) {
    let nodes = &form.wizard.postgres.nodes;
    for i in 0..=nodes.len() {
        let node = nodes.get(i);
        let label = if i == 0 { "Replica URL".to_owned() } else { format!("Replica URL {}", i + 1) };
        let input = Input {
            label: &label,
            hint: "postgres://medusa_advisor@replica:5432/medusa",
            shown: node.map_or("", |n| &n.url),
            error: node.and_then(|n| n.url_error.as_deref()),
            is_mono: true,
            ..Input::default()
        };
        if i > 0 {
            ui.add_space(space::S);
        }
        set(ui, form, Field::PgNodeUrl(i), input);
    }
}
