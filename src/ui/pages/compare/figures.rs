//! The figures of two audits beside each other.

use eframe::egui::{Align, Layout, Ui, UiBuilder, pos2};

use crate::evidence::Layer;
use crate::history::compare::{Comparison, MetricChange};
use crate::text;
use crate::ui::fonts::Type;
use crate::ui::icons;
use crate::ui::look;
use crate::ui::theme::{Theme, height, space};
use crate::ui::widgets::{Column, Table, Width, cell_text, flush_card, paint, table};

/// Changes smaller than this share get no verdict.
const CHANGE_MIN: f64 = 0.10;

/// Name of a figure, and whether more of it is better; `None`: neither.
fn metric_words(id: &str) -> (&str, Option<bool>) {
    match id {
        "cdn.hit_ratio_cacheable" => ("CDN hit ratio, cacheable requests", Some(true)),
        "cdn.hit_ratio_all" => ("CDN hit ratio, all requests", Some(true)),
        "cdn.requests_per_s" => ("Requests at the edge", None),
        "redis.product_hit_rate" => ("Redis hit rate, product data", Some(true)),
        "redis.memory_used" => ("Redis memory", None),
        "redis.commands_per_s" => ("Redis commands", None),
        "pg.database_time_per_s" => ("Database time", Some(false)),
        "pg.calls_per_s" => ("Statements", None),
        "pg.cache_hit_ratio" => ("Postgres cache hit", Some(true)),
        "pg.database_bytes" => ("Database size", None),
        "pg.connections_used_ratio" => ("Connections in use", Some(false)),
        "app.p95_ms" => ("Slowest endpoint, P95", Some(false)),
        other => (other, None),
    }
}

fn value(m: &MetricChange, v: f64) -> String {
    match m.unit {
        "ratio" => text::percent(v),
        "ms" => text::millis(v),
        "1/s" => text::per_second(v),
        "s/s" => text::load(v),
        "bytes" if m.layer == Layer::Redis => text::bytes_memory(v.max(0.0) as u64),
        "bytes" => text::bytes_disk(v.max(0.0) as u64),
        _ => text::number(v),
    }
}

/// Words of a change and its verdict: `Some(true)` better, `None` within the noise or of no direction.
fn change(m: &MetricChange) -> (String, Option<bool>) {
    let by = m.after - m.before;
    let sign = if by > 0.0 { "+" } else { "\u{2212}" };
    let relative = if m.before == 0.0 { if by == 0.0 { 0.0 } else { 1.0 } } else { by / m.before };
    let words = match m.unit {
        "ratio" if by.abs() < 0.005 => "0 points".to_owned(),
        "ratio" => format!("{sign}{}\u{a0}points", text::number((by.abs() * 100.0).round())),
        _ if by == 0.0 => "0\u{a0}%".to_owned(),
        _ if m.before == 0.0 => "from 0".to_owned(),
        _ => format!("{sign}{}", text::percent(relative.abs())),
    };
    let verdict = metric_words(m.id).1.filter(|_| relative.abs() >= CHANGE_MIN).map(|more_is_better| (by > 0.0) == more_is_better);
    (words, verdict)
}

/// Each figure before and after, with its change.
pub fn show(ui: &mut Ui, c: &Comparison, tall: f32) {
    const NOTE: &str = "Changes under 10 % are within run-to-run noise and carry no verdict.";
    flush_card(ui, Some(tall), |ui| {
        let theme = Theme::get(ui);
        let columns = [
            Column::left("Metric", Width::Share(1.0)),
            Column::right("Before", Width::Points(88.0)),
            Column::right("After", Width::Points(88.0)),
            Column::right("Change", Width::Points(104.0)),
        ];
        let room = ui.available_rect_before_wrap();
        let list = room.with_max_y((room.top() + height::TABLE_HEAD + height::TABLE_ROW * c.metrics.len() as f32 + 6.0).min(room.bottom() - 40.0));
        let mut child = ui.new_child(UiBuilder::new().id_salt("metrics").max_rect(list).layout(Layout::top_down(Align::Min)));
        child.add_space(6.0);
        let shown = Table { id: "metric changes", columns: &columns, row_height: height::TABLE_ROW, rows: c.metrics.len(), sort: None };
        table(
            &mut child,
            shown,
            &mut None,
            |row| line(&c.metrics[row]).replace('\t', ", "),
            |ui, row, column| {
                let m = &c.metrics[row];
                match column {
                    0 => {
                        let hue = look::hue(m.layer);
                        ui.spacing_mut().item_spacing.x = space::S;
                        ui.label(hue.icon().text(14.0, hue.color(theme)));
                        cell_text(ui, metric_words(m.id).0, Type::BODY, theme.text);
                    }
                    1 => drop(cell_text(ui, &value(m, m.before), Type::BODY, theme.text_muted)),
                    2 => drop(cell_text(ui, &value(m, m.after), Type::STRONG, theme.text)),
                    _ => change_cell(ui, m),
                }
            },
        );
        let words = if c.metrics.is_empty() { "No figure was measured in both audits." } else { NOTE };
        let at = pos2(room.left() + space::CARD_X, list.bottom() + 20.0);
        paint::text_left(ui.painter(), at, words, Type::LABEL, theme.text_weak, room.width() - 32.0);
    });
}

fn change_cell(ui: &mut Ui, m: &MetricChange) {
    let theme = Theme::get(ui);
    let (words, verdict) = change(m);
    let (icon, color) = match verdict {
        Some(true) => (Some(icons::CHECK.bold(12.0, theme.good.fg)), theme.good.fg),
        Some(false) => (Some(icons::WARNING.fill(12.0, theme.high.fg)), theme.high.fg),
        None => (None, theme.text_muted),
    };
    ui.spacing_mut().item_spacing.x = 6.0;
    cell_text(ui, &words, Type::BODY, color);
    if let Some(icon) = icon {
        ui.label(icon);
    }
}

/// A figure and its change, tab-separated.
pub fn line(m: &MetricChange) -> String {
    let (words, verdict) = change(m);
    let verdict = match verdict {
        Some(true) => "better",
        Some(false) => "worse",
        None => "no verdict",
    };
    format!("{}\t{}\t{}\t{words}\t{verdict}", metric_words(m.id).0, value(m, m.before), value(m, m.after))
}
