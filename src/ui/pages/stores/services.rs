//! The selected store's services under the list.

use eframe::egui::{Align, Layout, Sense, Ui, WidgetInfo, pos2, vec2};

use super::{BUILT_IN, small};
use crate::app::{Action, Audit, Model, StoreEntry};
use crate::connect::profile::{KeepSecrets, Profile};
use crate::text;
use crate::ui::fonts::Type;
use crate::ui::icons::{self, Face};
use crate::ui::look;
use crate::ui::theme::{Theme, space};
use crate::ui::widgets::{Kind, LayerHue, Width, card, columns, environment_mark, paint};

pub fn show(ui: &mut Ui, model: &Model, store: &StoreEntry, actions: &mut Vec<Action>) {
    let tall = if store.is_demo() { 84.0 } else { 130.0 };
    card(ui, Some(tall), |ui| {
        ui.add_space(4.0);
        head(ui, model, store, actions);
        ui.add_space(space::M);
        if store.is_demo() {
            let words = "A recorded audit of a Medusa store under load with planted faults. Nothing is connected, no network is needed.";
            ui.label(Type::LABEL.text(words).color(Theme::get(ui).text_muted));
            return;
        }
        let audit = model.current_audit().filter(|a| a.store.as_deref() == Some(&store.profile.id));
        let services = services(&store.profile, audit.map(AsRef::as_ref));
        columns(ui, &[Width::Share(1.0); 4], 58.0, space::L, |ui, index| service(ui, &services[index]));
    });
}

fn head(ui: &mut Ui, model: &Model, store: &StoreEntry, actions: &mut Vec<Action>) {
    let profile = &store.profile;
    let theme = Theme::get(ui);
    let id = || profile.id.clone();
    let blocked = store.is_demo().then_some(BUILT_IN);
    ui.allocate_ui_with_layout(vec2(ui.available_width(), 24.0), Layout::right_to_left(Align::Center), |ui| {
        let running = model.running.as_ref().is_some_and(|r| r.store == profile.id);
        let (run, open) = if store.is_demo() { (Kind::Secondary, Kind::Primary) } else { (Kind::Primary, Kind::Secondary) };
        let word = if running { "Show audit" } else { "Run audit" };
        if small(ui, run, Some(icons::PLAY), word, blocked) {
            actions.push(Action::StartAudit(id()));
        }
        let never = store.audits.is_empty().then_some("This store was not audited yet");
        if small(ui, open, Some(icons::ARROW_RIGHT), "Open", never) {
            actions.push(Action::OpenStore(id()));
        }
        if small(ui, Kind::Secondary, None, "Edit", blocked) {
            actions.push(Action::EditStore(id()));
        }
        if small(ui, Kind::Secondary, Some(icons::COPY_SIMPLE), "Duplicate", blocked) {
            actions.push(Action::DuplicateStore(id()));
        }
        ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
            ui.label(Type::HEADING.text(&profile.name).color(theme.text));
            environment_mark(ui, look::environment(profile.environment), profile.environment.id());
        });
    });
}

struct Service {
    layer: LayerHue,
    name: String,
    /// Address in mono; `None`: not set up.
    address: Option<String>,
    detail: String,
}

fn service(ui: &mut Ui, service: &Service) {
    let theme = Theme::get(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 58.0), Sense::hover());
    let address = service.address.as_deref().unwrap_or("not set up");
    let label = format!("{}, {address}, {}", service.name, service.detail);
    response.widget_info(|| WidgetInfo::labeled(eframe::egui::Role::Label, true, &label));
    let hue = if service.address.is_some() { service.layer.color(theme) } else { theme.text_weak };
    let painter = ui.painter();
    let top = rect.top() + 9.0;
    paint::icon(painter, pos2(rect.left() + 8.0, top), service.layer.icon(), Face::Regular, 16.0, hue);
    paint::text_left(painter, pos2(rect.left() + 22.0, top), &service.name, Type::NAME, theme.text, rect.width() - 22.0);
    let style = if service.address.is_some() { Type::Mono } else { Type::LABEL };
    let color = if service.address.is_some() { theme.text_muted } else { theme.text_weak };
    paint::text_left(painter, pos2(rect.left(), top + 22.0), address, style, color, rect.width());
    paint::text_left(painter, pos2(rect.left(), top + 39.0), &service.detail, Type::LABEL, theme.text_weak, rect.width());
}

/// What is set up, with the versions that the open audit of this store has seen.
fn services(profile: &Profile, audit: Option<&Audit>) -> [Service; 4] {
    [cloudflare(profile, audit), redis(profile, audit), postgres(profile, audit), shop(profile)]
}

fn cloudflare(profile: &Profile, audit: Option<&Audit>) -> Service {
    let zone = audit.and_then(|a| a.snapshot.cdn.as_ref().ok()).and_then(|c| c.zone.as_ref().ok());
    let kept = match profile.keep_secrets {
        KeepSecrets::Keychain => "token in the keychain",
        KeepSecrets::AskEachTime => "token asked for each time",
        KeepSecrets::Environment => "token from the environment",
    };
    let detail = match (&profile.cloudflare, zone) {
        (None, _) => String::new(),
        (Some(_), Some(zone)) => format!("{} plan, {kept}", capital(&zone.plan)),
        (Some(_), None) => kept.to_owned(),
    };
    let detail = if profile.cloudflare.is_some() && profile.cloudfront.is_some() { format!("{detail}, and CloudFront") } else { detail };
    if let (None, Some(cloudfront)) = (&profile.cloudflare, &profile.cloudfront) {
        let detail = cloudfront.aws_profile.as_ref().map_or_else(|| "credentials of the environment".to_owned(), |p| format!("AWS profile {p}"));
        return Service { layer: LayerHue::Cdn, name: "CloudFront".to_owned(), address: Some(cloudfront.distributions.join(", ")), detail };
    }
    Service { layer: LayerHue::Cdn, name: "Cloudflare".to_owned(), address: profile.cloudflare.as_ref().map(|c| c.zone.clone()), detail }
}

fn redis(profile: &Profile, audit: Option<&Audit>) -> Service {
    let servers = audit.and_then(|a| a.snapshot.redis.as_ref().ok()).map(|r| r.instances.iter().filter_map(|i| i.server.as_ref().ok()));
    let seen = servers.and_then(|mut s| s.next());
    let name = seen.map_or_else(|| "Redis".to_owned(), |s| format!("{} {}", s.product_name(), short(&s.version)));
    let number = profile.redis.len() as u64;
    let tls = match profile.redis.iter().filter(|r| r.is_tls).count() as u64 {
        0 => ", no TLS",
        n if n == number => ", TLS",
        _ => ", TLS on some",
    };
    let detail = if number == 0 { String::new() } else { format!("{}{tls}", text::plural(number, "instance", "instances")) };
    let address = profile.redis.first().map(|r| format!("{}:{}", r.host, r.port));
    Service { layer: LayerHue::Redis, name, address, detail }
}

fn postgres(profile: &Profile, audit: Option<&Audit>) -> Service {
    let seen = audit.and_then(|a| a.snapshot.postgres.as_ref().ok()).and_then(|p| p.server.as_ref().ok());
    let name = seen.map_or_else(|| "Postgres".to_owned(), |s| format!("Postgres {}", short(&s.version)));
    let place = seen.map_or("", |s| if s.is_replica { "replica, " } else { "primary, " });
    let detail = profile.postgres.as_ref().map_or_else(String::new, |p| format!("{place}role {}", p.user));
    let address = profile.postgres.as_ref().map(crate::connect::profile::PostgresProfile::address);
    Service { layer: LayerHue::Postgres, name, address, detail }
}

fn shop(profile: &Profile) -> Service {
    let shop = profile.shop.as_ref();
    let storefront = shop.and_then(|s| s.storefront_url.as_deref()).map(host);
    let backend = shop.and_then(|s| s.backend_url.as_deref()).map(host);
    let detail = match (&storefront, &backend) {
        (Some(_), Some(backend)) => format!("store API at {backend}"),
        (Some(_), None) => "store API not set up".to_owned(),
        (None, Some(_)) => "storefront not set up".to_owned(),
        (None, None) => String::new(),
    };
    Service { layer: LayerHue::Application, name: "Storefront and API".to_owned(), address: storefront.or(backend), detail }
}

/// `https://www.example.com/` without scheme and path.
fn host(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split('/').next().unwrap_or(rest).to_owned()
}

/// `7.2.4` as `7.2`.
fn short(version: &str) -> String {
    version.split('.').take(2).collect::<Vec<_>>().join(".")
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
