//! The sidebar: of the program on the pages of all stores, of one store on the others.

use eframe::egui::{self, Align2, Rect, Ui, UiBuilder, pos2, vec2};

use crate::app::{Action, Model, Page, StoreEntry};
use crate::checks::edge_cloudfront::replaces_cloudflare;
use crate::checks::registry;
use crate::connect::profile::Environment;
use crate::evidence::storefront::{PathClass, Target};
use crate::evidence::{Gap, Layer, Snapshot};
use crate::text;
use crate::ui::fonts::Type;
use crate::ui::icons::{self, Face};
use crate::ui::look;
use crate::ui::theme::{Theme, space};
use crate::ui::widgets::{
    self, LayerHue, NavItem, Region, connection_row, connections_head, menu, menu_item, paint, region, sidebar_item, store_switcher,
};

const NO_AUDIT: &str = "No audit yet";

/// The store that the pages of one store are about: of the run that is watched, of the open audit, or the selected one.
pub fn shown_store(model: &Model) -> Option<&StoreEntry> {
    let of_run = model.running.as_ref().filter(|_| model.page == Page::Audit).map(|r| r.store.as_str());
    let of_audit = model.current_audit().filter(|_| model.page != Page::Stores).and_then(|a| a.store.as_deref());
    match of_run.or(of_audit) {
        Some(id) => model.store(id),
        // A snapshot opened by file belongs to no saved store.
        None if model.current_audit().is_some() && model.page != Page::Stores => None,
        None => model.current_store(),
    }
}

pub fn show(ui: &mut Ui, model: &Model, is_rail: bool, actions: &mut Vec<Action>) {
    region(ui, Region::Sidebar);
    let side = ui.max_rect();
    let inside = Rect::from_min_max(pos2(side.left() + 8.0, side.top() + 12.0), pos2(side.right() - 9.0, side.bottom() - 8.0));
    let mut ui = ui.new_child(UiBuilder::new().id_salt("items").max_rect(inside).layout(egui::Layout::top_down(egui::Align::Min)));
    ui.spacing_mut().item_spacing = vec2(0.0, 0.0);
    let of_program = match model.page {
        Page::Stores | Page::Checks => true,
        Page::Settings => model.current_audit().is_none(),
        _ => false,
    };
    let mut bar = Bar { ui: &mut ui, model, is_rail, actions };
    if of_program {
        bar.of_program();
    } else {
        bar.of_store();
    }
}

struct Bar<'a> {
    ui: &'a mut Ui,
    model: &'a Model,
    is_rail: bool,
    actions: &'a mut Vec<Action>,
}

impl Bar<'_> {
    fn of_program(&mut self) {
        self.name();
        self.ui.add_space(space::M);
        let stores = self.model.store_list().len().to_string();
        let page = self.model.page;
        self.item(NavItem { count: &stores, selected: page == Page::Stores, ..NavItem::new(icons::STOREFRONT, "Stores") }, Action::Go(Page::Stores));
        self.item(NavItem::new(icons::FOLDER_OPEN, "Open snapshot"), Action::OpenSnapshotDialog);
        let checks = registry::ALL.len().to_string();
        let item = NavItem { count: &checks, selected: page == Page::Checks, ..NavItem::new(icons::CLIPBOARD_TEXT, "Checks") };
        self.item(item, Action::Go(Page::Checks));
        if self.model.running.is_some() {
            self.item(NavItem { busy: true, ..NavItem::new(icons::CLOCK_COUNTER_CLOCKWISE, "Audit") }, Action::Go(Page::Audit));
        }
        self.at_bottom(32.0, |bar| bar.settings());
    }

    /// Name and version of the program, 44 high.
    fn name(&mut self) {
        let theme = Theme::get(self.ui);
        let (_, rect) = self.ui.allocate_space(vec2(self.ui.available_width(), 44.0));
        let painter = self.ui.painter();
        let x = if self.is_rail { rect.center().x } else { rect.left() + 18.0 };
        paint::icon(painter, pos2(x, rect.top() + 22.0), icons::SEAL_CHECK, Face::Fill, 20.0, theme.accent);
        if !self.is_rail {
            let x = rect.left() + 36.0;
            paint::text_left(painter, pos2(x, rect.top() + 15.5), "Medusa Advisor", Type::STRONG, theme.text, 160.0);
            paint::text_left(painter, pos2(x, rect.top() + 31.0), env!("CARGO_PKG_VERSION"), Type::LABEL, theme.text_weak, 160.0);
        }
    }

    fn of_store(&mut self) {
        self.switcher();
        self.ui.add_space(space::M);
        let model = self.model;
        let has_audit = model.current_audit().is_some() && model.page != Page::Connect;
        let blocked = (!has_audit).then_some(NO_AUDIT);
        let page = model.page;
        self.item(NavItem { selected: page == Page::Overview, blocked, ..NavItem::new(icons::GAUGE, "Overview") }, Action::Go(Page::Overview));
        let findings = if has_audit { model.open_findings().to_string() } else { String::new() };
        let item = NavItem { count: &findings, selected: page == Page::Findings, blocked, ..NavItem::new(icons::LIST_CHECKS, "Findings") };
        self.item(item, Action::Go(Page::Findings));
        let layer = super::keys::metrics_layer(model);
        self.item(NavItem { blocked, ..NavItem::new(icons::CHART_LINE_UP, "Metrics") }, Action::Go(Page::Metrics(layer)));
        for layer in Layer::ALL {
            let selected = page == Page::Metrics(layer);
            self.item(NavItem { selected, blocked, ..NavItem::of_layer(look::hue(layer)) }, Action::Go(Page::Metrics(layer)));
        }
        self.audits();
        self.item(NavItem { selected: page == Page::Export, blocked, ..NavItem::new(icons::FILE_ARROW_DOWN, "Export") }, Action::Go(Page::Export));
        let tall = if self.is_rail { 24.0 + 13.0 + 64.0 } else { 24.0 * 5.0 + 13.0 + 64.0 };
        self.at_bottom(tall, |bar| {
            bar.connections();
            bar.rule();
            bar.item(NavItem::new(icons::STOREFRONT, "All stores"), Action::Go(Page::Stores));
            bar.settings();
        });
    }

    fn audits(&mut self) {
        let model = self.model;
        let number = shown_store(model).map_or(0, |s| s.audits.len());
        let count = if number == 0 { String::new() } else { number.to_string() };
        let busy = model.running.is_some();
        let blocked = (number == 0 && !busy).then_some(NO_AUDIT);
        let selected = matches!(model.page, Page::Audits | Page::Audit | Page::Compare);
        let to = if busy && model.page != Page::Audit { Page::Audit } else { Page::Audits };
        // While the run is watched, its page carries the progress.
        let busy = busy && model.page != Page::Audit;
        self.item(NavItem { count: &count, selected, blocked, busy, ..NavItem::new(icons::CLOCK_COUNTER_CLOCKWISE, "Audits") }, Action::Go(to));
    }

    fn settings(&mut self) {
        let selected = self.model.page == Page::Settings;
        self.item(NavItem { selected, ..NavItem::new(icons::GEAR_SIX, "Settings") }, Action::Go(Page::Settings));
    }

    fn item(&mut self, item: NavItem<'_>, action: Action) {
        let item = NavItem { rail: self.is_rail, ..item };
        if sidebar_item(self.ui, item).clicked() {
            self.actions.push(action);
        }
    }

    fn rule(&mut self) {
        let theme = Theme::get(self.ui);
        let (_, rect) = self.ui.allocate_space(vec2(self.ui.available_width(), 13.0));
        paint::rule(self.ui.painter(), rect.x_range(), rect.top() + 8.0, theme.line_subtle);
    }

    fn at_bottom(&mut self, tall: f32, content: impl FnOnce(&mut Bar<'_>)) {
        let room = self.ui.max_rect();
        let top = (room.bottom() - tall).max(self.ui.cursor().top());
        let rect = Rect::from_min_max(pos2(room.left(), top), room.max);
        let mut ui = self.ui.new_child(UiBuilder::new().id_salt("bottom").max_rect(rect).layout(egui::Layout::top_down(egui::Align::Min)));
        ui.spacing_mut().item_spacing = vec2(0.0, 0.0);
        content(&mut Bar { ui: &mut ui, model: self.model, is_rail: self.is_rail, actions: self.actions });
    }

    fn switcher(&mut self) {
        let (name, environment, word) = self.store_words();
        let mark = look::environment(environment);
        let response = if self.is_rail { rail_switcher(self.ui, mark, &name, &word) } else { store_switcher(self.ui, mark, &name, &word) };
        menu(&response, |ui| {
            ui.set_min_width(200.0);
            for store in self.model.store_list() {
                let label = format!("{}, {}", store.profile.name, store.profile.environment.id());
                let number = store.audits.len();
                let audits = if store.is_demo() { String::new() } else { text::plural(number as u64, "audit", "audits") };
                if menu_item(ui, icons::STOREFRONT, &label, &audits).clicked() {
                    self.actions.push(Action::OpenStore(store.profile.id.clone()));
                }
            }
            if menu_item(ui, icons::PLUS, "New store", "").clicked() {
                self.actions.push(Action::NewStore);
            }
        });
    }

    /// Name, environment and the word under the name.
    fn store_words(&self) -> (String, Environment, String) {
        let model = self.model;
        if let Some(wizard) = model.wizard.as_ref().filter(|_| model.page == Page::Connect) {
            let name = if wizard.name.trim().is_empty() { "New store" } else { wizard.name.trim() };
            let new = if wizard.editing.is_none() { " · new" } else { "" };
            return (name.to_owned(), wizard.environment, format!("{}{new}", wizard.environment.id()));
        }
        if let Some(store) = shown_store(model) {
            return (store.profile.name.clone(), store.profile.environment, store.profile.environment.id().to_owned());
        }
        match model.current_audit() {
            Some(audit) => {
                let meta = &audit.snapshot.meta;
                (meta.store.clone(), environment_of(&meta.environment), format!("{} · snapshot", meta.environment))
            }
            None => ("No store".to_owned(), Environment::Demo, "none selected".to_owned()),
        }
    }

    fn connections(&mut self) {
        if self.is_rail {
            let color = Theme::get(self.ui).text_muted;
            let (rect, response) = self.ui.allocate_exact_size(vec2(self.ui.available_width(), 24.0), egui::Sense::hover());
            response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Label, true, "Read-only"));
            paint::icon(self.ui.painter(), rect.center(), icons::LOCK_SIMPLE, Face::Regular, 16.0, color);
            widgets::hint(response, "Read-only: nothing is ever written to a service");
            return;
        }
        connections_head(self.ui);
        for (layer, name, latency) in latencies(self.model) {
            let words = latency.as_ref().map_or_else(|reason| (*reason).to_owned(), |ms| text::millis(ms.round().max(1.0)));
            connection_row(self.ui, layer, name, &words, latency.is_ok());
        }
    }
}

fn rail_switcher(ui: &mut Ui, mark: widgets::Environment, name: &str, word: &str) -> egui::Response {
    let theme = Theme::get(ui);
    let label = format!("Store {name}, {word}");
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 44.0), egui::Sense::click());
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, &label));
    let fill = if response.hovered() { theme.bg_hover } else { theme.bg_card };
    paint::boxed(ui.painter(), rect, crate::ui::theme::radius::CONTROL, fill, theme.line);
    let edge = Rect::from_min_max(rect.min, pos2(rect.left() + 3.0, rect.bottom()));
    ui.painter().rect_filled(edge, crate::ui::theme::radius::BAR, mark.color(theme));
    let initials: String = name.split_whitespace().filter_map(|word| word.chars().next()).take(2).collect();
    let text = paint::line(ui.painter(), &initials, Type::STRONG, theme.text, 36.0);
    let at = Align2::CENTER_CENTER.anchor_size(rect.center(), text.size());
    paint::left(ui.painter(), at.left() + 1.0, rect.center().y, text);
    paint::focus_ring(ui, &response, rect, crate::ui::theme::radius::CONTROL);
    widgets::hint(response, &label)
}

fn environment_of(word: &str) -> Environment {
    [Environment::Production, Environment::Staging, Environment::Development].into_iter().find(|e| e.id() == word).unwrap_or(Environment::Demo)
}

type Latency = Result<f64, &'static str>;

/// Round trip of each service in milliseconds, or why there is none.
fn latencies(model: &Model) -> [(LayerHue, &'static str, Latency); 4] {
    let wizard = model.wizard.as_ref().filter(|_| model.page == Page::Connect);
    let snapshot = model.current_audit().map(|audit| &audit.snapshot);
    let [cdn, redis, postgres, shop] = match (wizard, snapshot) {
        (Some(wizard), _) => wizard_latencies(wizard),
        (None, Some(snapshot)) => [cdn(snapshot), redis(snapshot), postgres(snapshot), storefront(snapshot)],
        (None, None) => profile_latencies(shown_store(model)),
    };
    [
        (LayerHue::Cdn, cdn_name(model), cdn),
        (LayerHue::Redis, "Redis", redis),
        (LayerHue::Postgres, "Postgres", postgres),
        (LayerHue::Application, "Storefront", shop),
    ]
}

/// Cloudflare, unless CloudFront alone is what the shown store has.
fn cdn_name(model: &Model) -> &'static str {
    let snapshot = model.current_audit().map(|audit| &audit.snapshot).filter(|_| model.page != Page::Connect);
    let has_cloudfront_alone = match (snapshot, shown_store(model)) {
        (Some(snapshot), _) => replaces_cloudflare(snapshot),
        (None, Some(store)) => store.profile.cloudflare.is_none() && store.profile.cloudfront.is_some(),
        (None, None) => false,
    };
    if has_cloudfront_alone { "CloudFront" } else { "Cloudflare" }
}

fn wizard_latencies(wizard: &crate::app::wizard::Wizard) -> [Latency; 4] {
    use crate::app::wizard::WizardStep;
    [WizardStep::Cdn, WizardStep::Redis, WizardStep::Postgres, WizardStep::Shop].map(|step| {
        let report = wizard.tests[step as usize].as_ref().and_then(|test| test.report.as_ref());
        match report {
            Some(report) if report.is_connected() => report.steps.iter().filter_map(|s| s.ms).next_back().ok_or("connected"),
            Some(_) => Err("not connected"),
            None => Err("not tested"),
        }
    })
}

fn profile_latencies(store: Option<&StoreEntry>) -> [Latency; 4] {
    let word = |is_set: bool| Err(if is_set { "not measured" } else { "not set up" });
    let Some(profile) = store.map(|s| &s.profile) else { return [Err("not set up"); 4] };
    [
        word(profile.cloudflare.is_some() || profile.cloudfront.is_some()),
        word(!profile.redis.is_empty()),
        word(profile.postgres.is_some()),
        word(profile.shop.is_some()),
    ]
}

fn reason(gap: &Gap) -> &'static str {
    match gap.cause {
        crate::evidence::Cause::NotConfigured => "not set up",
        crate::evidence::Cause::Unreachable => "unreachable",
        _ => "not measured",
    }
}

fn cdn(snapshot: &Snapshot) -> Latency {
    if snapshot.cdn.is_err() && snapshot.cloudfront.is_ok() {
        return Err("not measured");
    }
    let zone = snapshot.cdn.as_ref().map_err(reason)?.zone.as_ref().map_err(reason)?;
    Ok(zone.round_trip_ms)
}

/// The slowest instance.
fn redis(snapshot: &Snapshot) -> Latency {
    let instances = &snapshot.redis.as_ref().map_err(reason)?.instances;
    let slowest = instances.iter().filter_map(|i| i.server.as_ref().ok()).map(|s| s.round_trip_ms).max_by(f64::total_cmp);
    slowest.ok_or("unreachable")
}

fn postgres(snapshot: &Snapshot) -> Latency {
    let server = snapshot.postgres.as_ref().map_err(reason)?.server.as_ref().map_err(reason)?;
    Ok(server.round_trip_ms)
}

/// First byte of the home page, or of the store API's health endpoint where there is no storefront.
fn storefront(snapshot: &Snapshot) -> Latency {
    let shop = snapshot.storefront.as_ref().map_err(reason)?;
    let answered = |targets: &[Target], class: PathClass| {
        targets.iter().filter(|t| t.class == class).flat_map(|t| &t.probes).find_map(|p| p.answer.as_ref().ok()).map(|a| a.first_byte_ms)
    };
    let home = shop.pages.as_ref().ok().and_then(|pages| answered(pages, PathClass::Home));
    home.or_else(|| shop.api.as_ref().ok().and_then(|api| answered(api, PathClass::Health))).ok_or("not measured")
}
