//! Charts and tables of the Redis instances.

use super::{BARS_MAX, ChartKind, ChartSpec, Drawn, Series, SeriesRole, Unit, XAxis, line, sentence};
use crate::checks::measures;
use crate::evidence::redis::{CommandCounters, Role};
use crate::evidence::{Gap, Sampled, Snapshot};
use crate::text;

/// Tiles of the treemap, "all other" included.
pub const TILES_MAX: usize = 12;

/// One key family over all instances.
#[derive(Debug, Clone, PartialEq)]
pub struct PatternRow {
    pub instance: String,
    pub pattern: String,
    pub role: Role,
    pub bytes: u64,
    pub keys: u64,
}

/// Key families by estimated memory, largest first; those without a size (MEMORY denied) left out.
///
/// # Errors
/// The gap of the first instance when no instance's keys could be read.
pub fn patterns(snapshot: &Snapshot) -> Result<Vec<PatternRow>, Gap> {
    let instances = &snapshot.redis()?.instances;
    let mut rows = Vec::new();
    let mut missing: Option<Gap> = None;
    let mut is_read = false;
    for instance in instances {
        match instance.keys() {
            Err(gap) => missing = missing.or(Some(gap)),
            Ok(sample) => {
                is_read = true;
                rows.extend(sample.patterns.iter().filter_map(|p| {
                    let bytes = p.bytes_estimate?;
                    Some(PatternRow { instance: instance.name.clone(), pattern: p.pattern.clone(), role: p.role, bytes, keys: p.keys_estimate })
                }));
            }
        }
    }
    if let (false, Some(gap)) = (is_read, missing) {
        return Err(gap);
    }
    rows.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.pattern.cmp(&b.pattern)).then_with(|| a.instance.cmp(&b.instance)));
    Ok(rows)
}

/// Memory by key pattern as tiles.
pub fn memory_by_pattern(snapshot: &Snapshot) -> Drawn {
    let rows = patterns(snapshot).map_err(|g| sentence(&g))?;
    let [first, _, _, ..] = rows.as_slice() else { return Err("Fewer than three key patterns have a known size.".to_owned()) };
    let conclusion = format!("Memory by key pattern: {} takes most, {}.", first.pattern, text::bytes_memory(first.bytes));
    let keep = if rows.len() > TILES_MAX { TILES_MAX - 1 } else { rows.len() };
    let (shown, other) = rows.split_at(keep);
    let is_cache = |r: Role| matches!(r, Role::Cache | Role::CacheTags | Role::CustomCache);
    let mut cache: Vec<Option<f64>> = shown.iter().map(|r| is_cache(r.role).then_some(r.bytes as f64)).collect();
    let mut rest: Vec<Option<f64>> = shown.iter().map(|r| (!is_cache(r.role)).then_some(r.bytes as f64)).collect();
    let mut categories: Vec<String> = shown.iter().map(|r| r.pattern.clone()).collect();
    if !other.is_empty() {
        cache.push(None);
        rest.push(Some(other.iter().map(|r| r.bytes as f64).sum()));
        categories.push("all other".into());
    }
    Ok(ChartSpec {
        id: "redis.memory".into(),
        title: "Memory by key pattern".into(),
        caption: sample_caption(snapshot),
        conclusion,
        kind: ChartKind::Treemap,
        unit: Unit::BytesMemory,
        series: vec![
            Series::of_categories("cache keys", SeriesRole::Redis, cache),
            Series::of_categories("sessions, queues, other", SeriesRole::Rest, rest),
        ],
        target: None,
        categories,
        x_axis: XAxis::Categories,
    })
}

fn sample_caption(snapshot: &Snapshot) -> String {
    let samples = snapshot.redis().map(|r| r.instances.iter().filter_map(|i| i.keys().ok()).collect::<Vec<_>>());
    let Ok(samples) = samples else { return String::new() };
    if samples.iter().all(|s| s.is_complete) {
        return "all keys".to_owned();
    }
    let (sampled, total) = samples.iter().fold((0, 0), |(a, b), s| (a + s.keys_sampled, b + s.keys_total));
    format!("from a sample of {} of {} keys", text::count(sampled), text::count(total))
}

/// One command of the table "Commands".
#[derive(Debug, Clone, PartialEq)]
pub struct CommandRow {
    pub instance: String,
    pub name: String,
    pub calls: u64,
    pub micros: u64,
    pub mean_micros: f64,
    /// Server milliseconds a second and calls a second; `None` without a window.
    pub ms_per_s: Option<f64>,
    pub calls_per_s: Option<f64>,
}

/// Commands by server time, costliest first; in the window when any instance has one, else since the counters were reset.
///
/// # Errors
/// The gap of the first instance when no instance tells.
pub fn commands(snapshot: &Snapshot) -> Result<Vec<CommandRow>, Gap> {
    let instances = &snapshot.redis()?.instances;
    let readable: Vec<_> = instances.iter().filter_map(|i| i.commands().ok().map(|c| (i, c))).collect();
    if let (true, Some(gap)) = (readable.is_empty(), instances.iter().find_map(|i| i.commands().err())) {
        return Err(gap);
    }
    let in_window = snapshot.meta.window_s > 0.0 && readable.iter().any(|(_, c)| c.iter().any(|c| c.counters.window.is_some()));
    let of = |s: &Sampled<CommandCounters>| if in_window { s.window } else { Some(s.total) };
    let per_s = |x: f64| in_window.then(|| x / snapshot.meta.window_s);
    let mut rows: Vec<CommandRow> = Vec::new();
    for (instance, commands) in readable {
        rows.extend(commands.iter().filter_map(|command| {
            let c = of(&command.counters).filter(|c| c.calls > 0)?;
            Some(CommandRow {
                instance: instance.name.clone(),
                name: command.name.clone(),
                calls: c.calls,
                micros: c.micros,
                mean_micros: c.micros as f64 / c.calls as f64,
                ms_per_s: per_s(c.micros as f64 / 1e3),
                calls_per_s: per_s(c.calls as f64),
            })
        }));
    }
    rows.sort_by(|a, b| b.micros.cmp(&a.micros).then_with(|| a.name.cmp(&b.name)).then_with(|| a.instance.cmp(&b.instance)));
    Ok(rows)
}

/// The costliest commands as bars.
pub fn commands_by_cost(snapshot: &Snapshot) -> Drawn {
    let mut rows = commands(snapshot).map_err(|g| sentence(&g))?;
    rows.truncate(BARS_MAX);
    let [first, _, _, ..] = rows.as_slice() else { return Err("Fewer than three commands were called.".to_owned()) };
    let period =
        if first.ms_per_s.is_some() { format!("{} window", text::seconds(snapshot.meta.window_s)) } else { "since the counters were reset".into() };
    let conclusion = format!("Commands by server time: {} takes most, {}.", first.name, text::millis(first.micros as f64 / 1e3));
    Ok(ChartSpec {
        id: "redis.commands".into(),
        title: "Commands by server time".into(),
        caption: format!("time in all calls, {period}"),
        conclusion,
        kind: ChartKind::HorizontalBars,
        unit: Unit::Millis,
        series: vec![Series::of_categories("server time", SeriesRole::Redis, rows.iter().map(|r| Some(r.micros as f64 / 1e3)))],
        target: None,
        categories: rows.iter().map(|r| r.name.clone()).collect(),
        x_axis: XAxis::Categories,
    })
}

/// Hit rate through the window. The target is for product data: where queues and sessions share the instance, it does not apply.
pub fn hit_rate(snapshot: &Snapshot) -> Drawn {
    if measures::redis_hit_rate(snapshot).is_ok() {
        let target = Some(snapshot.meta.targets.redis_hit_rate_min);
        return line(snapshot, "redis.hit_rate", "Redis hit rate, product data", "of lookups, by second", Unit::Ratio, SeriesRole::Redis, target);
    }
    let caption = "of all lookups, queues and sessions among them, by second";
    line(snapshot, "redis.hit_rate", "Redis hit rate, all keys", caption, Unit::Ratio, SeriesRole::Redis, None)
}

/// Commands a second through the window.
pub fn operations(snapshot: &Snapshot) -> Drawn {
    line(snapshot, "redis.ops", "Redis operations", "commands per second", Unit::PerSecond, SeriesRole::Redis, None)
}
