//! The Redis step: one or several instances.

use eframe::egui::{self, Ui};

use super::Form;
use super::draft::Input;
use super::parts::{Way, env_file, grant_card, heading, keep_secrets, rule, secret, set};
use super::{grants, limits};
use crate::app::message::WizardAction;
use crate::app::wizard::Field;
use crate::ui::fonts::Type;
use crate::ui::icons;
use crate::ui::theme::{Theme, height, space};
use crate::ui::widgets::{Kind, checkbox, icon_button, small_button};

pub fn show(ui: &mut Ui, form: &mut Form<'_>) {
    let way = heading(ui, "Redis", &[Way::Url, Way::Fields, Way::EnvFile]);
    if way == Way::EnvFile {
        env_file(ui, form);
    }
    for index in 0..form.wizard.redis.len() {
        ui.push_id(index, |ui| instance(ui, form, index, way));
        ui.add_space(space::L);
    }
    if small_button(ui, Kind::Secondary, icons::PLUS, "Add instance").clicked() {
        form.push(WizardAction::AddRedis);
    }
    ui.add_space(space::L);
    keep_secrets(ui, form, "Keep password");
    rule(ui);
    limits::redis(ui, form);
    ui.add_space(space::L);
    grant_card(ui, "No read-only user yet?", "One ACL command creates it. It cannot read a value.", grants::REDIS);
}

fn instance(ui: &mut Ui, form: &mut Form<'_>, index: usize, way: Way) {
    let redis = &form.wizard.redis[index];
    let is_alone = form.wizard.redis.len() == 1;
    if !is_alone {
        title(ui, form, index);
    }
    let suffix = if is_alone { String::new() } else { format!(" {}", index + 1) };
    if way == Way::Fields {
        fields(ui, form, index, &suffix);
    } else {
        let label = format!("Connection URL{suffix}");
        let input = Input {
            label: &label,
            hint: "redis://advisor@host:6379/0",
            shown: &redis.url,
            error: redis.url_error.as_deref(),
            is_mono: true,
            ..Input::default()
        };
        set(ui, form, Field::RedisUrl(index), input);
    }
    ui.add_space(space::M);
    secret(ui, form, Field::RedisPassword(index), &format!("Password{suffix}"), &redis.password);
    ui.add_space(space::S);
    let mut is_tls = redis.is_tls;
    if checkbox(ui, &mut is_tls, &format!("TLS{suffix}")).changed() {
        form.push(WizardAction::RedisTls(index, is_tls));
    }
    if redis.is_tls {
        ui.add_space(space::S);
        certificates(ui, form, index, &suffix);
    }
    ui.add_space(space::M);
    if !form.wizard.redis[index].master.trim().is_empty() {
        sentinels(ui, form, index, &suffix);
        ui.add_space(space::M);
    }
    let redis = form.wizard.redis[index].clone();
    let (label, error) = (format!("Own key prefixes{suffix}"), redis.roles_error());
    let roles =
        Input { label: &label, hint: "acme:=cache, mails:=queue", shown: &redis.roles, error: error.as_deref(), is_mono: true, ..Input::default() };
    set(ui, form, Field::RedisRoles(index), roles);
}

/// The parts of the address.
fn fields(ui: &mut Ui, form: &mut Form<'_>, index: usize, suffix: &str) {
    let redis = &form.wizard.redis[index];
    let width = ui.available_width();
    let half = ((width - space::M) / 2.0).floor();
    let port_error = (!redis.has_port()).then_some("1 to 65535");
    let database_error = (!redis.has_database()).then_some("A number, from 0");
    let labels = ["Host", "Port", "Database", "User"].map(|label| format!("{label}{suffix}"));
    ui.horizontal_top(|ui| {
        let host = Input { label: &labels[0], shown: &redis.host, width: Some(width - 84.0), ..Input::default() };
        set(ui, form, Field::RedisHost(index), host);
        let port = Input { label: &labels[1], shown: &redis.port, error: port_error, width: Some(72.0), ..Input::default() };
        set(ui, form, Field::RedisPort(index), port);
    });
    ui.add_space(space::M);
    ui.horizontal_top(|ui| {
        let database = Input { label: &labels[2], shown: &redis.database, error: database_error, width: Some(half), ..Input::default() };
        set(ui, form, Field::RedisDatabase(index), database);
        let user = Input { label: &labels[3], hint: "default", shown: &redis.user, width: Some(half), ..Input::default() };
        set(ui, form, Field::RedisUser(index), user);
    });
    ui.add_space(space::M);
    let label = format!("Sentinel master{suffix}");
    let master = Input { label: &label, hint: "none: the host is the server itself", shown: &form.wizard.redis[index].master, ..Input::default() };
    set(ui, form, Field::RedisMaster(index), master);
}

/// What a server with TLS may want: whom to trust, who we are, and the name it goes by.
fn certificates(ui: &mut Ui, form: &mut Form<'_>, index: usize, suffix: &str) {
    let redis = form.wizard.redis[index].clone();
    let lacks_key = redis.cert_file.trim().is_empty() != redis.key_file.trim().is_empty();
    let error = lacks_key.then_some("Certificate and key go together");
    file(ui, form, Field::RedisCaFile(index), &format!("CA certificate{suffix}"), "the system's", &redis.ca_file, None);
    ui.add_space(space::S);
    file(ui, form, Field::RedisCertFile(index), &format!("Client certificate{suffix}"), "none", &redis.cert_file, None);
    ui.add_space(space::S);
    file(ui, form, Field::RedisKeyFile(index), &format!("Client key{suffix}"), "none", &redis.key_file, error);
    ui.add_space(space::S);
    let label = format!("Name in the certificate{suffix}");
    set(ui, form, Field::RedisServerName(index), Input { label: &label, hint: "the host", shown: &redis.server_name, ..Input::default() });
}

/// What the Sentinels have of their own; empty fields leave them what the servers behind them have.
fn sentinels(ui: &mut Ui, form: &mut Form<'_>, index: usize, suffix: &str) {
    let redis = form.wizard.redis[index].clone();
    let label = format!("Sentinel user{suffix}");
    set(ui, form, Field::SentinelUser(index), Input { label: &label, hint: "default", shown: &redis.sentinel_user, ..Input::default() });
    ui.add_space(space::S);
    secret(ui, form, Field::SentinelPassword(index), &format!("Sentinel password{suffix}"), &redis.sentinel_password);
    ui.add_space(space::S);
    let mut is_tls = redis.has_tls_at_sentinels();
    if checkbox(ui, &mut is_tls, &format!("TLS to the Sentinels{suffix}")).changed() {
        form.push(WizardAction::SentinelTls(index, is_tls));
    }
    if is_tls {
        ui.add_space(space::S);
        let as_servers = if redis.is_tls { "the servers'" } else { "the system's" };
        file(ui, form, Field::SentinelCaFile(index), &format!("CA certificate of the Sentinels{suffix}"), as_servers, &redis.sentinel_ca_file, None);
        ui.add_space(space::S);
        let label = format!("Name in the Sentinels' certificate{suffix}");
        let name = Input { label: &label, hint: "the host", shown: &redis.sentinel_server_name, ..Input::default() };
        set(ui, form, Field::SentinelServerName(index), name);
    }
}

fn file(ui: &mut Ui, form: &mut Form<'_>, field: Field, label: &str, hint: &str, shown: &str, error: Option<&str>) {
    let entered = Input { label, hint, shown, error, trailing: Some((icons::FOLDER_OPEN, "Choose file of")), ..Input::default() }.show(ui);
    if let Some(text) = entered.text {
        form.push(WizardAction::Set(field, text));
    }
    if entered.trailing_clicked {
        form.push(WizardAction::ChooseFile(field));
    }
}

fn title(ui: &mut Ui, form: &mut Form<'_>, index: usize) {
    ui.horizontal(|ui| {
        ui.label(Type::NAME.text(format!("Instance {}", index + 1)).color(Theme::get(ui).text));
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            if icon_button(ui, icons::TRASH, height::BUTTON_SMALL, &format!("Remove instance {}", index + 1)).clicked() {
                form.push(WizardAction::RemoveRedis(index));
            }
        });
    });
    ui.add_space(space::XS);
}
