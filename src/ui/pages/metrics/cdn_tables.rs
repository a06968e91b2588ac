//! The tables of the CDN page: rules, headers, media.

use eframe::egui::Ui;

use super::cdn::path_mark;
use super::sheet::{Cell, Row, Sheet, mark, show};
use super::{GAP, gap_state};
use crate::app::{Action, Audit, Model};
use crate::evidence::Layer;
use crate::evidence::cdn::{CacheRule, Cloudflare};
use crate::evidence::edge::verdict;
use crate::evidence::storefront::{Answer, PathClass, Target};
use crate::text;
use crate::ui::widgets::{Column, Width, columns};

/// Cache rules above, zone settings and page rules under them.
pub fn rules(ui: &mut Ui, model: &Model, audit: &Audit, actions: &mut Vec<Action>) {
    let cdn = match audit.snapshot.cloudflare() {
        Ok(cdn) => cdn,
        Err(gap) => return gap_state(ui, audit, &gap, actions),
    };
    let tall = ui.available_height();
    let half = ((tall - GAP) / 2.0).floor();
    columns(ui, &[Width::Share(1.3), Width::Share(1.0)], half, GAP, |ui, index| match index {
        0 => cache_rules(ui, model, audit, cdn, half, actions),
        _ => super::cdn_zone::show(ui, model, audit, cdn, half, actions),
    });
    ui.add_space(GAP);
    let rest = ui.available_height();
    columns(ui, &[Width::Share(1.0), Width::Share(1.0)], rest, GAP, |ui, index| match index {
        0 => zone_settings(ui, model, audit, cdn, rest, actions),
        _ => page_rules(ui, model, audit, cdn, rest, actions),
    });
}

fn ttl(mode: Option<&str>, seconds: Option<i64>) -> Cell {
    match (mode, seconds) {
        (_, Some(s)) => Cell::number(s as f64, text::seconds(s as f64)),
        (Some("respect_origin"), None) => Cell::Weak("the origin's".into()),
        (Some("bypass_by_default"), None) => Cell::Weak("origin's, else none".into()),
        (Some(mode), None) => Cell::Weak(mode.replace('_', " ")),
        (None, None) => Cell::None("–"),
    }
}

fn cache_rules(ui: &mut Ui, model: &Model, audit: &Audit, cdn: &Cloudflare, tall: f32, actions: &mut Vec<Action>) {
    let rules = match cdn.cache_rules() {
        Ok(rules) => rules,
        Err(gap) => return gap_state(ui, audit, &gap, actions),
    };
    let row = |r: &CacheRule| {
        let name = if r.description.is_empty() { format!("rule {}", r.position) } else { r.description.clone() };
        let does = match (r.is_enabled, r.cache) {
            (false, _) => "off",
            (true, Some(true)) => "cache",
            (true, Some(false)) => "bypass",
            (true, None) => "–",
        };
        let found = mark(audit, |f| f.finding.subject.kind == "rule" && (f.finding.subject.name == name || f.finding.subject.name == r.expression));
        let cells = vec![
            Cell::number(f64::from(r.position), r.position.to_string()),
            Cell::Text(name),
            Cell::Mono(text::one_line(&r.expression)),
            Cell::Weak(does.into()),
            ttl(r.edge_ttl_mode.as_deref(), r.edge_ttl_s),
            ttl(r.browser_ttl_mode.as_deref(), r.browser_ttl_s),
        ];
        Row::new(cells, found)
    };
    let columns = vec![
        Column::right("Order", Width::Points(48.0)).sortable(),
        Column::left("Rule", Width::Share(1.0)).sortable(),
        Column::left("Matches", Width::Share(1.2)),
        Column::left("Does", Width::Points(56.0)).sortable(),
        Column::left("Edge TTL", Width::Points(88.0)),
        Column::left("Browser TTL", Width::Points(100.0)),
    ];
    let sheet = Sheet {
        caption: "in order of evaluation, the last match wins",
        ..Sheet::plain(Layer::Cdn, "cache rules", "Cache rules", columns, rules.iter().map(row))
    };
    show(ui, sheet, model, tall, actions);
}

fn zone_settings(ui: &mut Ui, model: &Model, audit: &Audit, cdn: &Cloudflare, tall: f32, actions: &mut Vec<Action>) {
    let settings = match cdn.settings() {
        Ok(settings) => settings,
        Err(gap) => return gap_state(ui, audit, &gap, actions),
    };
    let plan = cdn.zone().map_or_else(|_| String::new(), |z| format!("{} plan", z.plan));
    let mut rows: Vec<Row> = Vec::new();
    if let Ok(tiered) = cdn.tiered_cache() {
        let words = match (tiered.is_on, tiered.is_smart) {
            (false, _) => "off",
            (true, Some(true)) => "on, smart topology",
            (true, _) => "on",
        };
        let found = mark(audit, |r| r.check.id.contains("tiered"));
        rows.push(Row::new(vec![Cell::Mono("tiered_cache".into()), Cell::Text(words.into()), plan_word(tiered.is_editable)], found));
    }
    rows.extend(settings.iter().map(|s| {
        let found = mark(audit, |r| r.finding.subject.kind == "setting" && r.finding.subject.name == s.id);
        Row::new(vec![Cell::Mono(s.id.clone()), Cell::Text(s.value.trim_matches('"').to_owned()), plan_word(s.is_editable)], found)
    }));
    let columns =
        vec![Column::left("Setting", Width::Share(1.2)).sortable(), Column::left("Value", Width::Share(1.0)), Column::left("", Width::Points(96.0))];
    let sheet = Sheet { caption: &plan, ..Sheet::plain(Layer::Cdn, "zone settings", "Zone settings", columns, rows) };
    show(ui, sheet, model, tall, actions);
}

fn plan_word(is_editable: bool) -> Cell {
    if is_editable { Cell::None("") } else { Cell::None("not in the plan") }
}

fn page_rules(ui: &mut Ui, model: &Model, audit: &Audit, cdn: &Cloudflare, tall: f32, actions: &mut Vec<Action>) {
    let rules = match cdn.page_rules() {
        Ok(rules) => rules,
        Err(gap) => return gap_state(ui, audit, &gap, actions),
    };
    let row = |r: &crate::evidence::cdn::PageRule| {
        let does: Vec<String> =
            r.actions.iter().map(|(id, v)| if v.is_empty() { id.clone() } else { format!("{id} {}", v.trim_matches('"')) }).collect();
        let cells = vec![Cell::Mono(r.target.clone()), Cell::Weak(if r.is_active { "on".into() } else { "off".into() }), Cell::Text(does.join(", "))];
        Row::new(cells, mark(audit, |f| f.finding.subject.kind == "rule" && f.finding.subject.name == r.target))
    };
    let columns = vec![
        Column::left("Target", Width::Share(1.0)).sortable(),
        Column::left("State", Width::Points(40.0)).sortable(),
        Column::left("Does", Width::Share(1.2)),
    ];
    let sheet = Sheet { caption: "the first match wins", ..Sheet::plain(Layer::Cdn, "page rules", "Page rules", columns, rules.iter().map(row)) };
    show(ui, sheet, model, tall, actions);
}

fn class_word(class: PathClass) -> &'static str {
    match class {
        PathClass::Home => "home",
        PathClass::Product => "product page",
        PathClass::Collection => "collection page",
        PathClass::Category => "category page",
        PathClass::Personal => "personal",
        PathClass::HashedAsset => "hashed asset",
        PathClass::Asset => "asset",
        PathClass::OptimizedImage => "optimised image",
        PathClass::Media => "media",
        PathClass::ApiCatalogue => "API, catalogue",
        PathClass::ApiPersonal => "API, personal",
        PathClass::Health => "health",
    }
}

/// The path of an address, without scheme and host.
pub fn path_of(url: &str) -> &str {
    url.split_once("://").and_then(|(_, rest)| rest.find('/').map(|i| &rest[i..])).unwrap_or("/")
}

fn target_row(audit: &Audit, t: &Target) -> Row {
    let answers: Vec<&Answer> = t.probes.iter().filter_map(|p| p.answer.as_ref().ok()).collect();
    let path = path_of(&t.url);
    let first = answers.first();
    let failed = t.probes.iter().find_map(|p| p.answer.as_ref().err());
    let of = |f: &dyn Fn(&Answer) -> Option<String>| first.and_then(|a| f(a)).map_or(Cell::None("–"), Cell::Weak);
    let statuses: Vec<String> = answers.iter().take(2).map(|a| verdict(a).name().to_owned()).collect();
    let cookies = first.map_or_else(Vec::new, |a| a.cookies_set());
    let cells = vec![
        Cell::Mono(path.to_owned()),
        Cell::Weak(class_word(t.class).into()),
        match (first, failed) {
            (Some(a), _) => Cell::number(f64::from(a.status), a.status.to_string()),
            (None, _) => Cell::None("no answer"),
        },
        if statuses.is_empty() { Cell::None("not measured") } else { Cell::Text(statuses.join(" → ")) },
        of(&|a| a.header("cache-control")),
        of(&|a| a.header("vary")),
        if cookies.is_empty() { Cell::None("–") } else { Cell::Weak(cookies.join(", ")) },
        first.map_or(Cell::None("–"), |a| Cell::number(a.body_bytes as f64, text::bytes_disk(a.body_bytes))),
        first.map_or(Cell::None("–"), |a| Cell::number(a.first_byte_ms, text::millis(a.first_byte_ms))),
    ];
    Row::new(cells, path_mark(audit, path, Layer::Cdn))
}

fn target_columns() -> Vec<Column<'static>> {
    vec![
        Column::left("Path", Width::Share(1.2)).sortable(),
        Column::left("Class", Width::Points(104.0)).sortable(),
        Column::right("Status", Width::Points(60.0)).sortable(),
        Column::left("Cache, 1st → 2nd", Width::Points(150.0)).sortable(),
        Column::left("Cache-Control", Width::Share(1.2)).sortable(),
        Column::left("Vary", Width::Share(0.6)),
        Column::left("Set-Cookie", Width::Share(0.6)),
        Column::right("Size", Width::Points(64.0)).sortable(),
        Column::right("First byte", Width::Points(68.0)).sortable(),
    ]
}

/// What pages, assets and the store API answered.
pub fn headers(ui: &mut Ui, model: &Model, audit: &Audit, actions: &mut Vec<Action>) {
    let shop = match audit.snapshot.shop() {
        Ok(shop) => shop,
        Err(gap) => return gap_state(ui, audit, &gap, actions),
    };
    let sections = [shop.pages(), shop.assets(), shop.api()];
    let mut notes: Vec<String> = sections.iter().filter_map(|s| s.as_ref().err().map(|g| format!("Not checked: {}", g.detail))).collect();
    notes.extend(shop.notes());
    let targets: Vec<&Target> = sections.into_iter().filter_map(Result::ok).flatten().collect();
    if let Some(target) = model.metrics.target.as_ref().and_then(|url| targets.iter().find(|t| t.url == *url)) {
        super::cdn_trace::show(ui, model, target, actions);
    }
    let columns = target_columns();
    let sheet = Sheet {
        caption: &format!("{}, a row shows every request", text::plural(targets.len() as u64, "address", "addresses")),
        filter: "Filter addresses",
        note: &notes.join(" "),
        selected: Some(model.metrics.target.clone().unwrap_or_default()),
        ..Sheet::plain(Layer::Cdn, "headers", "Answers of the storefront", columns, targets.iter().map(|t| target_row(audit, t).keyed(&t.url)))
    };
    let tall = ui.available_height();
    if let Some(url) = show(ui, sheet, model, tall, actions) {
        actions.push(Action::SelectTarget(Some(url)));
    }
}

/// Where media lie, from the database, and what their addresses answered.
pub fn media(ui: &mut Ui, model: &Model, audit: &Audit, actions: &mut Vec<Action>) {
    let tall = ui.available_height();
    let half = ((tall - GAP) / 2.0).floor();
    match audit.snapshot.pg().and_then(|pg| pg.media()) {
        Ok(hosts) => hosts_table(ui, model, audit, hosts, half, actions),
        Err(gap) => gap_state(ui, audit, &gap, actions),
    }
    ui.add_space(GAP);
    match audit.snapshot.shop().and_then(|s| s.media()) {
        Ok(targets) => {
            let columns = target_columns();
            let sheet = Sheet {
                caption: &text::plural(targets.len() as u64, "address", "addresses"),
                ..Sheet::plain(Layer::Cdn, "media", "Answers of media", columns, targets.iter().map(|t| target_row(audit, t)))
            };
            let rest = ui.available_height();
            show(ui, sheet, model, rest, actions);
        }
        Err(gap) => gap_state(ui, audit, &gap, actions),
    }
}

fn hosts_table(ui: &mut Ui, model: &Model, audit: &Audit, hosts: &[crate::evidence::medusa::MediaHost], tall: f32, actions: &mut Vec<Action>) {
    let total = hosts.iter().map(|h| h.count).sum::<u64>().max(1);
    let row = |h: &crate::evidence::medusa::MediaHost| {
        let share = h.count as f64 / total as f64;
        let place = if h.folder.is_empty() { h.host.clone() } else { format!("{}/{}", h.host, h.folder) };
        let found = mark(audit, |r| r.finding.subject.kind == "host" && (r.finding.subject.name == place || r.finding.subject.name == h.host));
        let cells = vec![
            Cell::Mono(place),
            Cell::Weak(h.column.clone()),
            Cell::Share { share, shown: text::percent(share), target: None },
            Cell::Strong { value: h.count as f64, shown: text::count(h.count) },
            Cell::count(h.local_form),
            Cell::Mono(h.example.clone()),
        ];
        Row::new(cells, found)
    };
    let columns = vec![
        Column::left("Host", Width::Share(1.0)).sortable(),
        Column::left("Column", Width::Points(124.0)).sortable(),
        Column::left("Share", Width::Points(136.0)).sortable(),
        Column::right("Addresses", Width::Points(76.0)).sortable(),
        Column::right("Local files", Width::Points(76.0)).sortable(),
        Column::left("Example", Width::Share(1.4)),
    ];
    let sheet = Sheet {
        caption: "addresses of published products in the database",
        ..Sheet::plain(Layer::Cdn, "media hosts", "Media by host", columns, hosts.iter().map(row))
    };
    show(ui, sheet, model, tall, actions);
}
