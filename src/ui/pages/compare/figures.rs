//! The figures of two audits beside each other.

use eframe::egui::{Align, Layout, Ui, UiBuilder, pos2};

use crate::evidence::Targets;
use crate::history::compare::{Comparison, MetricChange, verdict_word};
use crate::ui::fonts::Type;
use crate::ui::icons;
use crate::ui::look;
use crate::ui::theme::{Theme, height, space};
use crate::ui::widgets::{Column, Table, Width, cell_text, flush_card, paint, table};

/// A narrower card leaves the targets out.
const WITH_TARGETS_MIN: f32 = 520.0;

/// Each figure before and after, with its change.
pub fn show(ui: &mut Ui, c: &Comparison, targets: &Targets, tall: f32) {
    const NOTE: &str = "Changes under 10 % are within run-to-run noise and carry no verdict.";
    flush_card(ui, Some(tall), |ui| {
        let theme = Theme::get(ui);
        let mut columns = vec![
            Column::left("Metric", Width::Share(1.0)),
            Column::right("Before", Width::Points(60.0)),
            Column::right("After", Width::Points(60.0)),
            Column::right("Change", Width::Points(88.0)),
            Column::right("Target", Width::Points(72.0)),
        ];
        // Where the names would be cut, the targets stand on the overview.
        if ui.available_width() < WITH_TARGETS_MIN {
            columns.pop();
        }
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
                        cell_text(ui, &m.name(), Type::BODY, theme.text);
                    }
                    1 => drop(cell_text(ui, &m.shown(m.before), Type::BODY, theme.text_muted)),
                    2 => drop(cell_text(ui, &m.shown(m.after), Type::STRONG, theme.text)),
                    3 => change_cell(ui, m),
                    _ => target_cell(ui, m, targets),
                }
            },
        );
        let words = if c.metrics.is_empty() { "No figure was measured in both audits." } else { NOTE };
        let at = pos2(room.left() + space::CARD_X, list.bottom() + 20.0);
        paint::text_left(ui.painter(), at, words, Type::LABEL, theme.text_weak, room.width() - 32.0);
    });
}

fn target_cell(ui: &mut Ui, m: &MetricChange, targets: &Targets) {
    let theme = Theme::get(ui);
    ui.spacing_mut().item_spacing.x = 6.0;
    match m.target(targets) {
        None => drop(cell_text(ui, "–", Type::BODY, theme.text_weak)),
        Some((words, is_met)) => {
            cell_text(ui, &words, Type::BODY, theme.text_muted);
            if is_met {
                ui.label(icons::CHECK.bold(12.0, theme.good.fg));
            }
        }
    }
}

fn change_cell(ui: &mut Ui, m: &MetricChange) {
    let theme = Theme::get(ui);
    let (words, verdict) = m.change();
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
    let (words, verdict) = m.change();
    format!("{}\t{}\t{}\t{words}\t{}", m.name(), m.shown(m.before), m.shown(m.after), verdict_word(verdict))
}
