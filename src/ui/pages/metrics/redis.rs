//! The Redis instances: memory, commands, queues, clients.

use eframe::egui::Ui;

use super::redis_queues;
use super::redis_tables::{clients, commands, slow_log};
use super::{CHART, Figure, GAP, chart_height, split_unit, stats, window_words};
use crate::app::{Action, Audit, Model};
use crate::charts;
use crate::charts::Drawn;
use crate::checks::measures;
use crate::evidence::redis::{Instance, Pattern, Role, Server, TTL_BOUNDS_MS};
use crate::evidence::{Cause, Gap, Section};
use crate::plan::Ranked;
use crate::text;
use crate::ui::draw::{self, CategoryMark};
use crate::ui::look;
use crate::ui::widgets::{BarRow, Hue, LayerHue, Level, Width, columns, horizontal_bars, swatch, titled_card};

/// "7.2, 2 instances, 30 s window of …".
pub fn caption(audit: &Audit) -> String {
    let Ok(redis) = audit.snapshot.redis() else { return window_words(audit) };
    let version = redis.instances.iter().find_map(|i| i.server().ok()).map(|s| s.version.clone());
    let instances = match redis.instances.len() {
        1 => "one instance".to_owned(),
        n => text::plural(n as u64, "instance", "instances"),
    };
    [version, Some(instances), Some(window_words(audit))].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// Draws the segment `tab`.
pub fn page(ui: &mut Ui, model: &Model, audit: &Audit, tab: usize, actions: &mut Vec<Action>) {
    let instances = audit.snapshot.redis().map_or(&[][..], |r| &r.instances);
    stats(ui, &figures(audit, instances));
    match tab {
        0 => memory(ui, model, audit, actions),
        1 => {
            let height = chart_height(ui);
            let (by_cost, operations) = (charts::redis::commands_by_cost(&audit.snapshot), charts::redis::operations(&audit.snapshot));
            columns(ui, &[Width::Share(1.0); 2], height, GAP, |ui, index| match index {
                0 => draw::chart_card(ui, "Commands by server time", &by_cost, height, &[]),
                _ => draw::chart_card(ui, "Redis operations", &operations, height, &[]),
            });
            ui.add_space(GAP);
            let tall = ui.available_height();
            columns(ui, &[Width::Share(1.4), Width::Share(1.0)], tall, GAP, |ui, index| match index {
                0 => commands(ui, model, audit, tall, actions),
                _ => slow_log(ui, model, audit, tall, actions),
            });
        }
        2 => redis_queues::page(ui, model, audit, actions),
        _ => clients(ui, model, audit, actions),
    }
}

/// Memory by pattern beside time to live; hit rate beside the commands.
fn memory(ui: &mut Ui, model: &Model, audit: &Audit, actions: &mut Vec<Action>) {
    let height = (ui.available_height() * 0.48).clamp(168.0, 320.0).round();
    let treemap = charts::redis::memory_by_pattern(&audit.snapshot);
    let marks = treemap.as_ref().map_or_else(|_| Vec::new(), |spec| tile_marks(audit, &spec.categories));
    columns(ui, &[Width::Share(592.0), Width::Share(412.0)], height, GAP, |ui, index| match index {
        0 => draw::chart_card(ui, "Memory by key pattern", &treemap, height, &marks),
        _ => time_to_live(ui, audit, height),
    });
    ui.add_space(GAP);
    let tall = ui.available_height();
    let rate = hit_rate(audit);
    columns(ui, &[Width::Share(404.0), Width::Share(600.0)], tall, GAP, |ui, index| match index {
        0 => draw::chart_card(ui, "Hit rate, product data", &rate, tall.min(CHART * 1.6), &[]),
        _ => commands(ui, model, audit, tall, actions),
    });
}

/// The chart of the hit rate, where it is one of product data; else why it is not shown.
fn hit_rate(audit: &Audit) -> Drawn {
    measures::redis_hit_rate(&audit.snapshot).map_err(|gap| gap.detail)?;
    let mut spec = charts::redis::hit_rate(&audit.snapshot)?;
    spec.title = "Hit rate, product data".into();
    Ok(spec)
}

fn figures(audit: &Audit, instances: &[Instance]) -> [Figure; 5] {
    let servers: Vec<&Server> = instances.iter().filter_map(|i| i.server().ok()).collect();
    let gap = || instances.iter().find_map(|i| i.server().err()).unwrap_or_else(|| Gap::not_configured(Section::RedisServer));
    let known = |f: fn(&[&Server]) -> Figure| if servers.is_empty() { Err(gap()) } else { Ok(f(&servers)) };
    [
        Figure::of("Hit rate, product data", product_rate(audit)),
        Figure::of("Memory", known(used_memory)),
        Figure::of("Keys", keys(instances)),
        Figure::of("Operations", operations(audit, &servers)),
        Figure::of(KEYS, keys_calls(audit, instances)),
    ]
}

fn product_rate(audit: &Audit) -> Result<Figure, Gap> {
    let target = audit.snapshot.meta.targets.redis_hit_rate_min;
    let rate = measures::redis_hit_rate(&audit.snapshot)?;
    let unit = format!("of {}", text::plural(rate.of, "lookup", "lookups"));
    let context = format!("target {}, {}", text::percent(target), rate.period);
    Ok(Figure::new("Hit rate, product data", text::percent(rate.rate()), unit, context).off_target(rate.rate() < target))
}

fn used_memory(servers: &[&Server]) -> Figure {
    let used: u64 = servers.iter().map(|s| s.used_memory).sum();
    let limits: Option<u64> = servers.iter().map(|s| s.maxmemory.filter(|m| *m > 0)).sum();
    let (figure, unit) = split_unit(&text::bytes_memory(used));
    let policies: Vec<&str> = servers.iter().filter_map(|s| s.maxmemory_policy.as_deref()).collect();
    let policy = policies.first().filter(|p| policies.iter().all(|o| o == *p)).map_or("several policies", |p| *p);
    match limits {
        Some(limit) => {
            let unit = format!("{unit} of {}", text::bytes_memory(limit));
            Figure::new("Memory", figure, unit, format!("{}, {policy}", text::percent(used as f64 / limit as f64)))
        }
        None => Figure::new("Memory", figure, unit, format!("no limit set, {policy}")),
    }
}

fn keys(instances: &[Instance]) -> Result<Figure, Gap> {
    let samples: Vec<_> = instances.iter().filter_map(|i| i.keys().ok()).collect();
    if samples.is_empty() {
        return Err(instances.iter().find_map(|i| i.keys().err()).unwrap_or_else(|| Gap::not_configured(Section::RedisKeys)));
    }
    let (total, sampled) = samples.iter().fold((0, 0), |(t, s), k| (t + k.keys_total, s + k.keys_sampled));
    let context = if samples.iter().all(|s| s.is_complete) { "all of them read".to_owned() } else { format!("{} sampled", text::count(sampled)) };
    Ok(Figure::new("Keys", text::count(total), "", context))
}

fn operations(audit: &Audit, servers: &[&Server]) -> Result<Figure, Gap> {
    let window_s = audit.snapshot.meta.window_s;
    let commands: Option<u64> = servers.iter().map(|s| s.counters.window.map(|w| w.commands)).sum();
    let no_window = || Gap::new(Section::RedisServer, Cause::Unreadable, "There is no second sample, so nothing is known of the window.");
    let commands = commands.filter(|_| window_s > 0.0 && !servers.is_empty()).ok_or_else(no_window)?;
    let clients: u64 = servers.iter().map(|s| s.connected_clients).sum();
    Ok(Figure::new("Operations", text::number(commands as f64 / window_s), "per s", text::plural(clients, "client", "clients")))
}

/// With its plain words: whoever knows the command needs none, everybody else does.
const KEYS: &str = "KEYS, scans every key";

/// KEYS scans every key: how often it is called, and how long it holds everybody up.
fn keys_calls(audit: &Audit, instances: &[Instance]) -> Result<Figure, Gap> {
    let rows = charts::redis::commands(&audit.snapshot)?;
    if instances.is_empty() {
        return Err(Gap::not_configured(Section::RedisCommands));
    }
    match rows.iter().find(|r| r.name == "keys") {
        None => Ok(Figure::new(KEYS, "0", "calls", "nobody called it")),
        Some(row) => {
            let context = format!("{} each", text::millis(row.mean_micros / 1e3));
            let figure = match row.calls_per_s {
                Some(rate) => Figure::new(KEYS, text::number(rate * 60.0), "calls per min", context),
                None => Figure::new(KEYS, text::count(row.calls), "calls since the reset", context),
            };
            Ok(figure.off_target(true))
        }
    }
}

fn tile_marks(audit: &Audit, categories: &[String]) -> Vec<CategoryMark> {
    let Ok(rows) = charts::redis::patterns(&audit.snapshot) else { return Vec::new() };
    let mark = |(category, name): (usize, &String)| {
        let row = rows.get(category).filter(|r| r.pattern == *name)?;
        let found = audit.plan.findings.iter().find(|r| is_about(r, name));
        Some(CategoryMark {
            category,
            level: found.map_or(Level::Info, |r| look::level(r.finding.severity)),
            rank: found.map_or_else(String::new, |r| r.rank.to_string()),
            detail: text::plural(row.keys, "key", "keys"),
        })
    };
    categories.iter().enumerate().filter_map(mark).collect()
}

/// Whether a finding is about this key family.
pub fn is_about(r: &Ranked, pattern: &str) -> bool {
    let f = &r.finding;
    f.subject.kind == "key_pattern" && f.subject.name == pattern || f.touches.iter().any(|t| t.strip_prefix("keys:") == Some(pattern))
}

/// Names of the classes of [`TTL_BOUNDS_MS`].
const CLASSES: [&str; 6] = ["< 1 min", "1–10 min", "10–60 min", "1–10 h", "10 h–7 d", "> 7 d"];

/// Keys by their time to live; those without one by whether that is by design.
fn time_to_live(ui: &mut Ui, audit: &Audit, tall: f32) {
    let instances = audit.snapshot.redis().map_or(&[][..], |r| &r.instances);
    let patterns: Vec<&Pattern> = instances.iter().filter_map(|i| i.keys().ok()).flat_map(|k| &k.patterns).collect();
    let total: u64 = patterns.iter().map(|p| p.keys_estimate).sum();
    titled_card(
        ui,
        "Time to live",
        "% of keys",
        Some(tall),
        |_| {},
        |ui| {
            if total == 0 {
                let gap = instances.iter().find_map(|i| i.keys().err());
                let color = crate::ui::theme::Theme::get(ui).text_weak;
                ui.label(crate::ui::fonts::label(gap.map_or_else(|| "Not measured: no keys were seen.".into(), |g| g.detail)).color(color));
                return;
            }
            let shares = shares(&patterns, total as f64);
            let rows = ttl_rows(&shares);
            // A narrow card breaks its legend into two lines.
            let legend = if ui.available_width() < 350.0 { 44.0 } else { 28.0 };
            let height = ((ui.available_height() - legend) / rows.len() as f32).clamp(18.0, 34.0);
            horizontal_bars(ui, &rows, 76.0, height);
            ui.add_space(4.0);
            ui.horizontal_wrapped(|ui| {
                let theme = crate::ui::theme::Theme::get(ui);
                swatch(ui, theme.medium.fg, &format!("cache keys without TTL, {}", text::percent(shares.cache_none)));
                swatch(ui, theme.series_rest, "queues and locks, by design");
            });
        },
    );
}

struct Shares {
    cache_none: f64,
    other_none: f64,
    classes: [f64; CLASSES.len()],
}

fn shares(patterns: &[&Pattern], total: f64) -> Shares {
    let mut shares = Shares { cache_none: 0.0, other_none: 0.0, classes: [0.0; CLASSES.len()] };
    for p in patterns {
        let keys = p.keys_estimate as f64 / total;
        let without = keys * p.without_ttl as f64 / p.keys.max(1) as f64;
        if matches!(p.role, Role::Cache | Role::CacheTags | Role::CustomCache) {
            shares.cache_none += without;
        } else {
            shares.other_none += without;
        }
        let counted: u64 = p.ttl_counts.iter().sum();
        if counted > 0 {
            for (class, n) in shares.classes.iter_mut().zip(&p.ttl_counts) {
                *class += (keys - without) * *n as f64 / counted as f64;
            }
        } else if let Some(class) = p.ttl_ms_median.and_then(|ttl| TTL_BOUNDS_MS.iter().position(|bound| ttl < *bound)) {
            // Earlier snapshots know the median of each pattern alone.
            shares.classes[class] += keys - without;
        }
    }
    shares
}

fn ttl_rows(shares: &Shares) -> Vec<BarRow> {
    let none = BarRow {
        label: "none".into(),
        parts: vec![(shares.other_none, Hue::Rest), (shares.cache_none, Hue::Level(Level::Medium))],
        value: text::percent(shares.cache_none + shares.other_none),
        mono: false,
    };
    let class = |(i, name): (usize, &&str)| BarRow {
        label: (*name).to_owned(),
        parts: vec![(shares.classes[i], Hue::Layer(LayerHue::Redis))],
        value: text::percent(shares.classes[i]),
        mono: false,
    };
    std::iter::once(none).chain(CLASSES.iter().enumerate().map(class)).collect()
}
