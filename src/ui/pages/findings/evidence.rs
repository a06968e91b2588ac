//! The evidence of a finding: figures, one pair of bars, tables, code.

use eframe::egui::{self, Role, Sense, Ui, WidgetInfo, pos2, vec2};

use super::detail::{show_all, shown_part};
use crate::finding::{Basis, Cell, Evidence, Finding};
use crate::plan::Ranked;
use crate::text;
use crate::ui::fonts::{Type, Weight};
use crate::ui::look;
use crate::ui::theme::{Theme, height, space};
use crate::ui::widgets::{Hue, Language, Width, before_after, code_box, columns, evidence_table, paint};

/// Rows of one table that are shown; the rest is counted.
const ROWS_MAX: usize = 8;
/// A text longer than this needs its own lines.
const SHORT_MAX: usize = 72;
/// Narrower than this, the chart goes below the table.
const BESIDE_MIN: f32 = 560.0;
const CHART_WIDTH: f32 = 232.0;

/// Everything a sceptic wants to see.
pub fn show(ui: &mut Ui, ranked: &Ranked) {
    let f = &ranked.finding;
    let pair = f.evidence.iter().find_map(as_pair);
    let rows = short_rows(f);
    match pair {
        Some(pair) if ui.available_width() >= BESIDE_MIN => beside(ui, ranked, &rows, pair),
        _ => {
            figures(ui, &rows);
            if let Some(pair) = pair {
                ui.add_space(space::L);
                let size = vec2(ui.available_width().min(320.0), 172.0);
                ui.allocate_ui_with_layout(size, egui::Layout::top_down(egui::Align::Min), |ui| chart(ui, ranked, pair));
            }
        }
    }
    if !rows.is_empty() || pair.is_some() {
        ui.add_space(space::L);
    }
    for evidence in &f.evidence {
        longer(ui, evidence);
    }
}

/// What now and then are: label, unit, values, basis.
#[derive(Clone, Copy)]
struct Pair<'a> {
    label: &'a str,
    unit: &'a str,
    before: f64,
    after: f64,
    basis: Basis,
}

fn as_pair(evidence: &Evidence) -> Option<Pair<'_>> {
    match evidence {
        Evidence::BeforeAfter { label, unit, before, after, basis } => Some(Pair { label, unit, before: *before, after: *after, basis: *basis }),
        _ => None,
    }
}

fn short_rows(f: &Finding) -> Vec<(&str, String)> {
    f.evidence
        .iter()
        .filter_map(|e| match e {
            Evidence::Figure { label, shown, .. } => Some((label.as_str(), shown.clone())),
            Evidence::Text { label, text } if text.chars().count() <= SHORT_MAX => Some((label.as_str(), text::one_line(text))),
            _ => None,
        })
        .collect()
}

fn beside(ui: &mut Ui, ranked: &Ranked, rows: &[(&str, String)], pair: Pair<'_>) {
    let shown = rows.len().min(ROWS_MAX + 1) as f32;
    let tall = (26.0 + shown * height::EVIDENCE_ROW).max(172.0);
    columns(ui, &[Width::Share(1.0), Width::Points(CHART_WIDTH)], tall, space::L, |ui, index| match index {
        0 => figures(ui, rows),
        _ => chart(ui, ranked, pair),
    });
}

fn heading(ui: &mut Ui, title: &str) {
    let color = Theme::get(ui).text;
    ui.label(Type::STRONG.text(title).color(color));
    ui.add_space(2.0);
}

fn figures(ui: &mut Ui, rows: &[(&str, String)]) {
    if rows.is_empty() {
        return;
    }
    heading(ui, "Evidence");
    let rows: Vec<(&str, &str)> = rows.iter().map(|(label, value)| (*label, value.as_str())).collect();
    evidence_table(ui, &rows);
}

fn chart(ui: &mut Ui, ranked: &Ranked, pair: Pair<'_>) {
    let theme = Theme::get(ui);
    let (_, row) = ui.allocate_space(vec2(ui.available_width(), 18.0));
    let x = paint::text_right(ui.painter(), pos2(row.right(), row.center().y), pair.unit, Type::LABEL, theme.text_weak);
    paint::text_left(ui.painter(), pos2(row.left(), row.center().y), pair.label, Type::STRONG, theme.text, x - row.left() - space::S);
    let now = value(pair.before, pair.unit);
    let basis = if pair.basis == Basis::Measured { "" } else { pair.basis.name() };
    let then = format!("{} {basis}", value(pair.after, pair.unit));
    let hue = Hue::Layer(look::hue(ranked.check.layer));
    let tick: fn(f64, f64) -> String = if is_ratio(pair.unit) { |v, _| text::percent(v) } else { |v, _| text::number(v) };
    before_after(ui, (pair.before, &now, "now"), (pair.after, then.trim(), "with the fix"), hue, tick, 150.0);
}

fn is_ratio(unit: &str) -> bool {
    matches!(unit, "ratio" | "share" | "%")
}

/// A value of a pair; its unit stands above the chart.
fn value(v: f64, unit: &str) -> String {
    match unit {
        "ms" => text::millis(v),
        "bytes" => text::bytes_disk(v.max(0.0) as u64),
        u if is_ratio(u) => text::percent(v),
        _ => text::number(v),
    }
}

/// Tables, code and texts of more than a line.
fn longer(ui: &mut Ui, evidence: &Evidence) {
    match evidence {
        Evidence::Text { label, text } if text.chars().count() > SHORT_MAX => {
            heading(ui, label);
            let color = Theme::get(ui).text;
            ui.add(egui::Label::new(Type::LABEL.text(shown_part(ui, label, text)).color(color)).selectable(true));
            show_all(ui, label, text);
        }
        Evidence::Code { label, language: word, text } => {
            heading(ui, label);
            ui.add_space(2.0);
            code_box(ui, text, Language::named(word));
        }
        Evidence::Table { label, columns, rows } => {
            heading(ui, label);
            small_table(ui, columns, rows);
        }
        _ => return,
    }
    ui.add_space(space::L);
}

fn small_table(ui: &mut Ui, columns: &[String], rows: &[Vec<Cell>]) {
    let theme = Theme::get(ui);
    let shown = &rows[..rows.len().min(ROWS_MAX)];
    let is_number = |c: usize| shown.iter().all(|r| matches!(r.get(c), Some(Cell::Number { .. }) | None));
    let spans = spans(ui, columns, shown, &is_number);
    let head: Vec<String> = columns.to_vec();
    line(ui, &head, &spans, &is_number, (Type::HEAD, theme.text_weak));
    for row in shown {
        let words: Vec<String> = row.iter().map(|cell| text::one_line(cell.shown())).collect();
        line(ui, &words, &spans, &is_number, (Type::LABEL, theme.text));
    }
    if rows.len() > ROWS_MAX {
        line(ui, &[format!("and {} more", rows.len() - ROWS_MAX)], &spans, &|_| false, (Type::LABEL, theme.text_weak));
    }
}

/// Left and right of each column: as wide as its words, the text columns sharing what is left or missing.
fn spans(ui: &Ui, columns: &[String], rows: &[Vec<Cell>], is_number: &dyn Fn(usize) -> bool) -> Vec<(f32, f32)> {
    const GAP: f32 = 16.0;
    let wide = |words: &str| paint::line(ui.painter(), words, Type::Label(Weight::Medium), egui::Color32::PLACEHOLDER, 480.0).size().x.ceil();
    let mut widths: Vec<f32> = (0..columns.len())
        .map(|c| {
            rows.iter().filter_map(|r| r.get(c)).map(|cell| wide(&text::one_line(&text::cut(cell.shown(), 200)))).fold(wide(&columns[c]), f32::max)
        })
        .collect();
    let spare = ui.available_width() - widths.iter().sum::<f32>() - GAP * columns.len().saturating_sub(1) as f32;
    let texts: Vec<usize> = (0..columns.len()).filter(|c| !is_number(*c)).collect();
    let text_sum: f32 = texts.iter().map(|c| widths[*c]).sum();
    for c in texts {
        widths[c] = (widths[c] + spare * widths[c] / text_sum.max(1.0)).max(32.0);
    }
    let mut x = 0.0;
    widths
        .into_iter()
        .map(|width| {
            let span = (x, x + width);
            x += width + GAP;
            span
        })
        .collect()
}

fn line(ui: &mut Ui, words: &[String], spans: &[(f32, f32)], is_number: &dyn Fn(usize) -> bool, (style, color): (Type, egui::Color32)) {
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), height::EVIDENCE_ROW), Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(Role::Label, true, words.join(", ")));
    let y = rect.center().y - 0.5;
    for (c, (words, (left, right))) in words.iter().zip(spans).enumerate() {
        let galley = paint::line(ui.painter(), words, style, color, right - left);
        if is_number(c) {
            paint::right(ui.painter(), rect.left() + right, y, galley);
        } else {
            paint::left(ui.painter(), rect.left() + left, y, galley);
        }
    }
    paint::rule(ui.painter(), rect.x_range(), rect.bottom() - 1.0, Theme::get(ui).line_subtle);
}
