//! The tables of the Redis page: commands, slow log, queues, clients.

use std::sync::Arc;

use eframe::egui::Ui;

use super::redis::is_about;
use super::sheet::{Cell, Row, Sheet, mark, show};
use super::{GAP, gap_state};
use crate::app::{Action, Audit, Model};
use crate::charts;
use crate::checks::key_sample::estimated;
use crate::evidence::redis::{Instance, Pattern, Role};
use crate::evidence::{Gap, Layer, Section};
use crate::text;
use crate::ui::look;
use crate::ui::widgets::{Column, Width, columns};

/// A command that takes longer than this holds every client up: Redis runs one at a time.
const SLOW_MICROS: f64 = 10_000.0;

fn instances(audit: &Audit) -> &[Instance] {
    audit.snapshot.redis.as_ref().map_or(&[], |r| &r.instances)
}

/// The part of each instance that could be read, with the instance; the first gap when none could.
pub(super) fn read<'a, T>(
    audit: &'a Audit,
    section: Section,
    part: impl Fn(&'a Instance) -> Result<&'a T, Gap>,
) -> Result<Vec<(&'a Instance, &'a T)>, Gap> {
    let mut known = Vec::new();
    let mut missing = None;
    for instance in instances(audit) {
        match part(instance) {
            Ok(t) => known.push((instance, t)),
            Err(gap) => missing = missing.or(Some(gap)),
        }
    }
    if known.is_empty() { Err(missing.unwrap_or_else(|| Gap::not_configured(section))) } else { Ok(known) }
}

/// "3 of 4 instances answered", or nothing when all did.
pub(super) fn answered(audit: &Audit, known: usize) -> String {
    let all = instances(audit).len();
    if known == all { String::new() } else { format!(", {known} of {all} instances answered") }
}

/// Commands by server time, costliest first.
pub fn commands(ui: &mut Ui, model: &Model, audit: &Audit, tall: f32, actions: &mut Vec<Action>) {
    let rows = match charts::redis::commands(&audit.snapshot) {
        Ok(rows) => rows,
        Err(gap) => return gap_state(ui, audit, &gap, actions),
    };
    let row = |r: &charts::redis::CommandRow| {
        let rate = |v: Option<f64>| v.map_or(Cell::None("–"), |v| Cell::number(v, text::number(v)));
        let ms = r.ms_per_s.map_or(Cell::None("–"), |v| Cell::Strong { value: v, shown: text::number(v) });
        let cells = vec![
            Cell::Mono(r.name.clone()),
            Cell::Weak(short_name(&r.instance).to_owned()),
            rate(r.calls_per_s),
            Cell::Number { value: r.mean_micros, shown: text::number(r.mean_micros), is_off: r.mean_micros > SLOW_MICROS },
            ms,
        ];
        let is_command = |f: &crate::plan::Ranked| {
            f.finding.subject.kind == "command" && f.finding.subject.name.split_whitespace().next().is_some_and(|w| w.eq_ignore_ascii_case(&r.name))
        };
        Row::new(cells, mark(audit, is_command))
    };
    let sheet = Sheet {
        id: "commands",
        title: "Commands",
        caption: &format!("{} by server time", text::count(rows.len() as u64)),
        columns: vec![
            Column::left("Command", Width::Share(1.0)).sortable(),
            Column::left("Instance", Width::Share(1.0)).sortable(),
            Column::right("Calls per s", Width::Points(72.0)).sortable(),
            Column::right("Mean, µs", Width::Points(64.0)).sortable(),
            Column::right("ms per s", Width::Points(60.0)).sortable(),
        ],
        rows: Arc::new(rows.iter().map(row).collect()),
        hue: look::hue(Layer::Redis),
        filter: "",
        since: None,
        note: &global_rate_note(audit),
        selected: None,
    };
    show(ui, sheet, model, tall, actions);
}

/// The host of "cache.example:6379/0" up to its first dot; an address of numbers says nothing without its port.
pub(super) fn short_name(instance: &str) -> &str {
    let host = instance.split(':').next().unwrap_or(instance);
    if instance.starts_with('[') || host.parse::<std::net::Ipv4Addr>().is_ok() {
        return instance;
    }
    host.split('.').next().unwrap_or(host)
}

/// Why the counters of a shared instance say nothing of the cache.
fn global_rate_note(audit: &Audit) -> String {
    let rates = instances(audit).iter().filter_map(|i| {
        let server = i.server().ok()?;
        let c = server.counters.window.unwrap_or(server.counters.total);
        let of = c.keyspace_hits + c.keyspace_misses;
        (of > 0).then(|| format!("{} of {}", text::percent(c.keyspace_hits as f64 / of as f64), short_name(&i.name)))
    });
    let rates: Vec<String> = rates.collect();
    if rates.is_empty() {
        return String::new();
    }
    format!(
        "Redis' own hit rate, {}, counts all keys together. Where an instance mixes queues, locks and sessions with the cache it does not judge the cache.",
        rates.join(", ")
    )
}

/// What Redis wrote to its slow log; command names and key patterns only.
pub fn slow_log(ui: &mut Ui, model: &Model, audit: &Audit, tall: f32, actions: &mut Vec<Action>) {
    let known = match read(audit, Section::RedisSlowlog, |i| i.slowlog()) {
        Ok(known) => known,
        Err(gap) => return gap_state(ui, audit, &gap, actions),
    };
    let mut entries: Vec<_> = known.iter().flat_map(|(i, log)| log.iter().map(move |e| (short_name(&i.name), e))).collect();
    entries.sort_by_key(|(_, e)| std::cmp::Reverse(e.micros));
    let row = |(instance, e): &(&str, &crate::evidence::redis::SlowEntry)| {
        let at = time::OffsetDateTime::from_unix_timestamp(e.at).map_or_else(|_| "–".to_owned(), text::date_time);
        let cells = vec![
            Cell::Mono(format!("{} {}", e.command, e.pattern.as_deref().unwrap_or("")).trim().to_owned()),
            Cell::Weak((*instance).to_owned()),
            Cell::Strong { value: e.micros as f64, shown: text::millis(e.micros as f64 / 1e3) },
            Cell::number(e.at as f64, at),
        ];
        Row::new(cells, mark(audit, |r| r.finding.subject.kind == "command" && r.finding.subject.name.starts_with(&e.command)))
    };
    let sheet = Sheet {
        id: "slow log",
        title: "Slow log",
        caption: &format!("{}{}", text::plural(entries.len() as u64, "entry", "entries"), answered(audit, known.len())),
        columns: vec![
            Column::left("Command", Width::Share(1.0)).sortable(),
            Column::left("Instance", Width::Share(0.6)).sortable(),
            Column::right("Took", Width::Points(64.0)).sortable(),
            Column::right("At", Width::Points(156.0)).sortable(),
        ],
        rows: Arc::new(entries.iter().map(row).collect()),
        hue: look::hue(Layer::Redis),
        filter: "",
        since: None,
        note: "",
        selected: None,
    };
    show(ui, sheet, model, tall, actions);
}

pub(super) fn role_word(role: Role) -> &'static str {
    match role {
        Role::Cache => "cache",
        Role::CacheTags => "cache tags",
        Role::Sessions => "sessions",
        Role::EventBus => "events",
        Role::Workflows => "workflows",
        Role::Queue => "queue",
        Role::Locks => "locks",
        Role::Staging => "staging",
        Role::CustomCache => "own cache",
        Role::Other => "other",
    }
}

pub(super) fn families(
    ui: &mut Ui,
    model: &Model,
    audit: &Audit,
    (id, title, note): (&'static str, &str, &str),
    wanted: impl Fn(Role) -> bool,
    actions: &mut Vec<Action>,
) {
    let known = match read(audit, Section::RedisKeys, |i| i.keys()) {
        Ok(known) => known,
        Err(gap) => return gap_state(ui, audit, &gap, actions),
    };
    let mut patterns: Vec<(&str, &Pattern)> =
        known.iter().flat_map(|(i, k)| k.patterns.iter().map(move |p| (short_name(&i.name), p))).filter(|(_, p)| wanted(p.role)).collect();
    patterns.sort_by_key(|(_, p)| std::cmp::Reverse((p.bytes_estimate, p.keys_estimate)));
    let sheet = Sheet {
        id,
        title,
        caption: &format!("{}{}", text::plural(patterns.len() as u64, "key pattern", "key patterns"), answered(audit, known.len())),
        columns: vec![
            Column::left("Pattern", Width::Share(1.4)).sortable(),
            Column::left("Role", Width::Points(80.0)).sortable(),
            Column::left("Part", Width::Points(84.0)).sortable(),
            Column::left("Instance", Width::Share(0.6)).sortable(),
            Column::right("Keys", Width::Points(72.0)).sortable(),
            Column::right("Memory", Width::Points(112.0)).sortable(),
            Column::right("Without TTL", Width::Points(84.0)).sortable(),
            Column::right("Elements", Width::Points(72.0)).sortable(),
        ],
        rows: Arc::new(patterns.iter().map(|(instance, p)| family_row(audit, instance, p)).collect()),
        hue: look::hue(Layer::Redis),
        filter: "Filter patterns",
        since: None,
        note,
        selected: None,
    };
    let tall = ui.available_height();
    show(ui, sheet, model, tall, actions);
}

fn family_row(audit: &Audit, instance: &str, p: &Pattern) -> Row {
    let without = p.without_ttl as f64 / p.keys.max(1) as f64;
    let cells = vec![
        Cell::Mono(p.pattern.clone()),
        Cell::Weak(role_word(p.role).into()),
        p.queue_part.clone().map_or(Cell::None("–"), Cell::Weak),
        Cell::Weak(instance.to_owned()),
        Cell::count(p.keys_estimate),
        p.bytes_estimate.map_or(Cell::None("not measured"), |b| Cell::Strong { value: b as f64, shown: estimated(b, p.bytes_error) }),
        Cell::number(without, text::percent(without)),
        p.elements_total.map_or(Cell::None("–"), Cell::count),
    ];
    Row::new(cells, mark(audit, |r| is_about(r, &p.pattern)))
}

/// Who is connected, beside how the instances are configured.
pub fn clients(ui: &mut Ui, model: &Model, audit: &Audit, actions: &mut Vec<Action>) {
    let tall = ui.available_height();
    columns(ui, &[Width::Share(1.0), Width::Share(1.0)], tall, GAP, |ui, index| match index {
        0 => client_groups(ui, model, audit, tall, actions),
        _ => configuration(ui, model, audit, tall, actions),
    });
}

fn client_groups(ui: &mut Ui, model: &Model, audit: &Audit, tall: f32, actions: &mut Vec<Action>) {
    let known = match read(audit, Section::RedisClients, |i| i.clients()) {
        Ok(known) => known,
        Err(gap) => return gap_state(ui, audit, &gap, actions),
    };
    let mut groups: Vec<_> = known.iter().flat_map(|(i, c)| c.iter().map(move |g| (short_name(&i.name), g))).collect();
    groups.sort_by_key(|(_, g)| std::cmp::Reverse(g.count));
    let row = |(instance, g): &(&str, &crate::evidence::redis::ClientGroup)| {
        let name = if g.name.is_empty() { Cell::None("gave no name") } else { Cell::Text(g.name.clone()) };
        let count = Cell::Strong { value: g.count as f64, shown: text::count(g.count) };
        Row::new(vec![name, Cell::Mono(g.command.clone()), Cell::Weak((*instance).to_owned()), Cell::count(u64::from(g.database)), count], None)
    };
    let sheet = Sheet {
        id: "clients",
        title: "Clients",
        caption: &format!("by name and last command{}", answered(audit, known.len())),
        columns: vec![
            Column::left("Client", Width::Share(1.0)).sortable(),
            Column::left("Last command", Width::Share(0.8)).sortable(),
            Column::left("Instance", Width::Share(0.6)).sortable(),
            Column::right("Database", Width::Points(68.0)).sortable(),
            Column::right("Clients", Width::Points(56.0)).sortable(),
        ],
        rows: Arc::new(groups.iter().map(row).collect()),
        hue: look::hue(Layer::Redis),
        filter: "",
        since: None,
        note: "",
        selected: None,
    };
    show(ui, sheet, model, tall, actions);
}

fn configuration(ui: &mut Ui, model: &Model, audit: &Audit, tall: f32, actions: &mut Vec<Action>) {
    let known = match read(audit, Section::RedisConfig, |i| i.config()) {
        Ok(known) => known,
        Err(gap) => return gap_state(ui, audit, &gap, actions),
    };
    let rows = known.iter().flat_map(|(i, c)| {
        c.values.iter().map(|(name, value)| {
            let found = mark(audit, |r| {
                let f = &r.finding;
                f.subject.name == *name
                    || f.subject.kind == "instance" && f.subject.name == i.name && r.check.id.contains(name.trim_end_matches("-policy"))
            });
            let value = if value.is_empty() { Cell::None("empty") } else { Cell::Text(value.clone()) };
            Row::new(vec![Cell::Mono(name.clone()), value, Cell::Weak(short_name(&i.name).to_owned())], found)
        })
    });
    let sheet = Sheet {
        id: "redis configuration",
        title: "Configuration",
        caption: &format!("CONFIG GET, without secrets{}", answered(audit, known.len())),
        columns: vec![
            Column::left("Parameter", Width::Share(1.2)).sortable(),
            Column::left("Value", Width::Share(1.0)),
            Column::left("Instance", Width::Share(0.6)).sortable(),
        ],
        rows: Arc::new(rows.collect()),
        hue: look::hue(Layer::Redis),
        filter: "",
        since: None,
        note: "",
        selected: None,
    };
    show(ui, sheet, model, tall, actions);
}
