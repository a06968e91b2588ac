//! From a [`ChartSpec`] to the kit's charts, each with its table for those who rather read.

use eframe::egui::{self, Ui, vec2};

use super::fonts::Type;
use super::icons;
use super::theme::{Theme, space};
use super::widgets::{
    self, BarRow, ChartData, Column, Hue, LayerHue, Level, Table, Tile, Width, cell_text, chart, horizontal_bars_to, icon_button, legend, table,
    titled_card, treemap,
};
use crate::charts::{ChartKind, ChartSpec, Drawn, SeriesRole, Unit, XAxis};
use crate::text;

/// The kit's colour of a series.
pub fn hue(role: SeriesRole) -> Hue {
    match role {
        SeriesRole::Cdn => Hue::Layer(LayerHue::Cdn),
        SeriesRole::Redis => Hue::Layer(LayerHue::Redis),
        SeriesRole::Postgres => Hue::Layer(LayerHue::Postgres),
        SeriesRole::App => Hue::Layer(LayerHue::Application),
        SeriesRole::Hit => Hue::Hit,
        SeriesRole::Revalidated => Hue::Revalidated,
        SeriesRole::Expired => Hue::Expired,
        SeriesRole::Miss => Hue::Miss,
        SeriesRole::Rest => Hue::Rest,
    }
}

/// What a tile or bar of a chart is marked with: its category, the finding's level and rank.
pub struct CategoryMark {
    pub category: usize,
    pub level: Level,
    pub rank: String,
    /// A line under the size of a tile.
    pub detail: String,
}

/// A card with one chart `height` points tall, or the sentence that says why there is none.
pub fn chart_card(ui: &mut Ui, title: &str, drawn: &Drawn, height: f32, marks: &[CategoryMark]) {
    match drawn {
        Err(reason) => titled_card(ui, title, "", Some(height), |_| {}, |ui| not_drawn(ui, reason)),
        Ok(spec) => drawn_card(ui, title, spec, height, marks),
    }
}

/// A chart that has too little to show says so; it is no zero.
fn not_drawn(ui: &mut Ui, reason: &str) {
    let theme = Theme::get(ui);
    ui.horizontal_top(|ui| {
        ui.spacing_mut().item_spacing.x = space::S;
        ui.label(icons::CIRCLE_DASHED.text(14.0, theme.text_weak));
        ui.vertical(|ui| {
            ui.label(Type::NAME.text("No chart").color(theme.text_muted));
            ui.label(Type::LABEL.text(reason).color(theme.text_weak));
        });
    });
}

fn drawn_card(ui: &mut Ui, title: &str, spec: &ChartSpec, height: f32, marks: &[CategoryMark]) {
    let id = egui::Id::unique(("as table", &spec.id));
    let mut as_table = ui.data(|data| data.get_temp::<bool>(id)).unwrap_or(false);
    let data = chart_data(spec);
    let has_legend = spec.series.len() > 1;
    let fits = title_and_legend(ui, title, &data) <= ui.available_width();
    let actions = |ui: &mut Ui| {
        let (icon, name) = if as_table { (icons::CHART_LINE, "Show as chart") } else { (icons::TABLE, "Show as table") };
        if icon_button(ui, icon, 24.0, &format!("{name}: {title}")).clicked() {
            as_table = !as_table;
            ui.data_mut(|data| data.insert_temp(id, as_table));
        }
        if as_table {
            widgets::copy_button(ui, "Copy table", || as_text(spec));
        } else if has_legend && fits {
            legend(ui, &data);
        }
    };
    let caption = if spec.series.len() > 2 && fits { "" } else { &spec.caption };
    titled_card(ui, title, caption, Some(height), actions, |ui| {
        if has_legend && !fits && !ui.data(|data| data.get_temp::<bool>(id)).unwrap_or(false) {
            legend_row(ui, &data);
        }
        let room = ui.available_height();
        if ui.data(|data| data.get_temp::<bool>(id)).unwrap_or(false) {
            return data_table(ui, spec);
        }
        match spec.kind {
            ChartKind::Line | ChartKind::Stacked | ChartKind::Bars => {
                chart(ui, &data, room);
            }
            ChartKind::HorizontalBars => bars(ui, spec, room),
            ChartKind::Treemap => tiles(ui, spec, room, marks),
        }
    });
}

/// How wide the card must be for its title and legend to stand in one row.
fn title_and_legend(ui: &Ui, title: &str, data: &ChartData) -> f32 {
    const SWATCH_AND_GAP: f32 = 26.0;
    const TABLE_BUTTON: f32 = 32.0;
    let wide = |words: &str, style: Type| widgets::paint::line(ui.painter(), words, style, egui::Color32::PLACEHOLDER, f32::INFINITY).size().x;
    let legend: f32 = data.series.iter().map(|s| wide(&s.name, Type::LABEL) + SWATCH_AND_GAP).sum();
    wide(title, Type::HEADING) + legend + TABLE_BUTTON + space::CARD_X * 2.0
}

/// The legend in a row of its own, under a title that it leaves no room beside.
fn legend_row(ui: &mut Ui, data: &ChartData) {
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing = vec2(space::M, 2.0);
        for series in &data.series {
            widgets::swatch(ui, series.hue.color(Theme::get(ui)), &series.name);
        }
    });
    ui.add_space(space::XS);
}

/// The same chart without a look: series, ticks and words.
pub fn chart_data(spec: &ChartSpec) -> ChartData {
    let series =
        |s: &crate::charts::Series| widgets::Series { name: s.name.clone(), points: s.points.clone(), hue: hue(s.role), modelled: s.is_modelled };
    // Counts of an hour are bars; a measure sampled through the window is an area.
    let kind = match (spec.kind, spec.x_axis) {
        (ChartKind::Line, _) => widgets::ChartKind::Line,
        (ChartKind::Stacked, XAxis::Seconds) => widgets::ChartKind::Stacked,
        _ => widgets::ChartKind::Bars,
    };
    ChartData {
        title: spec.title.clone(),
        caption: spec.caption.clone(),
        conclusion: spec.conclusion.clone(),
        kind,
        series: spec.series.iter().map(series).collect(),
        y_max: (spec.unit == Unit::Ratio).then_some(1.0),
        target: spec.target.map(|t| (t, format!("target {}", spec.unit.format(t)))),
        x_ticks: x_ticks(spec),
        x_words: match spec.x_axis {
            XAxis::Seconds => |x| text::seconds(x),
            XAxis::Hours => |x| time::OffsetDateTime::from_unix_timestamp(x as i64).map_or_else(|_| String::new(), text::date_time),
            XAxis::Categories => |x| text::number(x + 1.0),
        },
        y_words: words(spec.unit),
        y_tick: tick(spec.unit),
    }
}

/// Words of a value with its unit.
pub fn words(unit: Unit) -> fn(f64) -> String {
    match unit {
        Unit::SecondsPerSecond => |v| text::load(v),
        Unit::Count => |v| text::number(v),
        Unit::Ratio => |v| text::percent(v),
        Unit::Millis => |v| text::millis(v),
        Unit::PerSecond => |v| text::per_second(v),
        Unit::BytesMemory => |v| text::bytes_memory(v.max(0.0) as u64),
        Unit::BytesDisk => |v| text::bytes_disk(v.max(0.0) as u64),
    }
}

/// Words of a tick: the unit once, at the top, or in every tick of a ratio.
pub fn tick(unit: Unit) -> fn(f64, f64) -> String {
    match unit {
        Unit::SecondsPerSecond => |v, _| text::number(v),
        Unit::Count => |v, _| text::count_short(v.max(0.0).round() as u64),
        Unit::Ratio => |v, _| text::percent(v),
        Unit::Millis => |v, top| match (top >= 1_000.0, v >= top) {
            (true, true) => format!("{}\u{a0}s", text::number(v / 1e3)),
            (true, false) => text::number(v / 1e3),
            (false, true) => format!("{}\u{a0}ms", text::number(v)),
            (false, false) => text::number(v),
        },
        Unit::PerSecond => |v, top| if v >= top { format!("{}/s", text::number(v)) } else { text::number(v) },
        Unit::BytesMemory => |v, _| text::bytes_memory(v.max(0.0) as u64),
        Unit::BytesDisk => |v, _| text::bytes_disk(v.max(0.0) as u64),
    }
}

/// Five to seven marks under the axis.
fn x_ticks(spec: &ChartSpec) -> Vec<(f64, String)> {
    let xs = || spec.series.iter().flat_map(|s| s.points.iter().map(|p| p.0));
    let (low, high) = (xs().fold(f64::INFINITY, f64::min), xs().fold(f64::NEG_INFINITY, f64::max));
    if !low.is_finite() || high <= low {
        return Vec::new();
    }
    match spec.x_axis {
        XAxis::Seconds => seconds_ticks(low, high),
        XAxis::Hours => hour_ticks(low, high),
        XAxis::Categories => spec.categories.iter().enumerate().map(|(i, name)| (i as f64, name.clone())).collect(),
    }
}

fn seconds_ticks(low: f64, high: f64) -> Vec<(f64, String)> {
    const STEPS: [f64; 12] = [1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_800.0, 3_600.0];
    let step = STEPS.into_iter().find(|s| (high - low) / s <= 6.5).unwrap_or(7_200.0);
    let first = (low / step).ceil() as i64;
    let last = (high / step).floor() as i64;
    (first..=last)
        .map(|i| {
            let x = i as f64 * step;
            let ends = i == first || i == last;
            let words = if x == 0.0 { format!("0{}s", text::NBSP) } else { text::seconds(x) };
            (x, if ends { words } else { text::number(x) })
        })
        .collect()
}

fn hour_ticks(low: f64, high: f64) -> Vec<(f64, String)> {
    const HOUR: f64 = 3_600.0;
    const STEPS: [f64; 6] = [1.0, 2.0, 6.0, 12.0, 24.0, 48.0];
    let step = STEPS.into_iter().map(|h| h * HOUR).find(|s| (high - low) / s <= 5.5).unwrap_or(96.0 * HOUR);
    let first = (low / step).ceil() as i64;
    let last = (high / step).floor() as i64;
    (first..=last).map(|i| (i as f64 * step, time_words(i as f64 * step, step >= 24.0 * HOUR))).collect()
}

/// A moment in UTC as hours and minutes, or as a date.
fn time_words(unix_s: f64, is_date: bool) -> String {
    match time::OffsetDateTime::from_unix_timestamp(unix_s as i64) {
        Ok(t) if is_date => text::date(t),
        Ok(t) => text::clock(t)[..5].to_owned(),
        Err(_) => String::new(),
    }
}

/// Bars from left to right in one scale.
fn bars(ui: &mut Ui, spec: &ChartSpec, room: f32) {
    let rows: Vec<BarRow> = (0..spec.categories.len())
        .map(|i| {
            let values: Vec<(f64, Hue)> = spec.series.iter().filter_map(|s| Some((s.points.get(i)?.1?, hue(s.role)))).collect();
            let total: f64 = values.iter().map(|v| v.0).sum();
            BarRow { label: spec.categories[i].clone(), parts: values, value: spec.unit.format(total), mono: is_name(spec) }
        })
        .collect();
    let height = if rows.len() <= 5 { 34.0 } else { 26.0 };
    let fitting = ((room / height) as usize).max(1);
    let label = (ui.available_width() * 0.4).clamp(72.0, 200.0);
    horizontal_bars_to(ui, &rows[..rows.len().min(fitting)], spec.target, label, height);
}

/// Tables, commands and paths are names of the system, in mono.
fn is_name(spec: &ChartSpec) -> bool {
    !matches!(spec.id.as_str(), "pg.connections" | "pg.sessions" | "pg.index_use" | "redis.ttl")
}

fn tiles(ui: &mut Ui, spec: &ChartSpec, room: f32, marks: &[CategoryMark]) {
    let tile = |i: usize| {
        let (value, role) = spec.series.iter().find_map(|s| Some((s.points.get(i)?.1?, s.role)))?;
        let mark = marks.iter().find(|m| m.category == i);
        Some(Tile {
            name: spec.categories[i].clone(),
            value,
            size: spec.unit.format(value),
            detail: mark.map_or_else(String::new, |m| m.detail.clone()),
            is_cache: role == SeriesRole::Redis,
            mark: mark.filter(|m| !m.rank.is_empty()).map(|m| (m.level, m.rank.clone())),
        })
    };
    let tiles: Vec<Tile> = (0..spec.categories.len()).filter_map(tile).collect();
    treemap(ui, &tiles, room.max(24.0));
}

/// The first column's words of row `i`: a time or a category.
fn position(spec: &ChartSpec, i: usize) -> String {
    let x = spec.series.first().and_then(|s| s.points.get(i)).map_or(i as f64, |p| p.0);
    match spec.x_axis {
        XAxis::Seconds => text::seconds(x),
        XAxis::Hours => time::OffsetDateTime::from_unix_timestamp(x as i64).map_or_else(|_| String::new(), text::date_time),
        XAxis::Categories => spec.categories.get(i).cloned().unwrap_or_else(|| text::count(i as u64)),
    }
}

fn value(spec: &ChartSpec, series: usize, i: usize) -> String {
    let missing = if spec.kind == ChartKind::Treemap { "–" } else { "not measured" };
    spec.series[series].points.get(i).and_then(|p| p.1).map_or_else(|| missing.to_owned(), words(spec.unit))
}

fn row_count(spec: &ChartSpec) -> usize {
    spec.series.iter().map(|s| s.points.len()).max().unwrap_or(0)
}

fn first_head(spec: &ChartSpec) -> &'static str {
    if spec.x_axis == XAxis::Categories { "Name" } else { "Time" }
}

fn data_table(ui: &mut Ui, spec: &ChartSpec) {
    let first = if spec.x_axis == XAxis::Categories { Width::Share(2.0) } else { Width::Points(150.0) };
    let mut columns = vec![Column::left(first_head(spec), first)];
    columns.extend(spec.series.iter().map(|s| Column::right(&s.name, Width::Share(1.0))));
    let theme = Theme::get(ui);
    let id = format!("data of {}", spec.id);
    let shown = Table { id: &id, columns: &columns, row_height: 24.0, rows: row_count(spec), sort: None };
    ui.scope(|ui| {
        ui.set_min_size(vec2(ui.available_width(), 0.0));
        table(
            ui,
            shown,
            &mut None,
            |row| position(spec, row),
            |ui, row, column| {
                let words = if column == 0 { position(spec, row) } else { value(spec, column - 1, row) };
                cell_text(ui, &words, Type::LABEL, if column == 0 { theme.text_muted } else { theme.text });
            },
        );
    });
}

/// The chart's figures as tab-separated lines.
pub fn as_text(spec: &ChartSpec) -> String {
    let mut out = String::from(first_head(spec));
    spec.series.iter().for_each(|s| out.extend(["\t", &s.name]));
    for row in 0..row_count(spec) {
        out.push('\n');
        out.push_str(&position(spec, row));
        (0..spec.series.len()).for_each(|s| out.extend(["\t", &value(spec, s, row)]));
    }
    out
}
