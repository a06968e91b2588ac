//! Statements by total time; the one that is selected takes the place of the charts, so that the table stays where it is.

use eframe::egui::Ui;

use super::statement;
use crate::app::{Action, Audit, Model};
use crate::charts;
use crate::charts::postgres::StatementRow;
use crate::evidence::Layer;
use crate::evidence::postgres::Statements;
use crate::text;
use crate::ui::look;
use crate::ui::pages::metrics::rows::{Cell, Marks, Row, kept, made};
use crate::ui::pages::metrics::sheet::{self, Sheet};
use crate::ui::pages::metrics::since_words;
use crate::ui::widgets::{Column, Width};

/// Characters of a statement in a cell; no window is wide enough for more.
const CELL_CHARS_MAX: usize = 400;
/// A narrower table leaves blocks and temporary files to the detail.
const WIDE: f32 = 900.0;

pub fn show(ui: &mut Ui, model: &Model, audit: &Audit, seen: &Statements, actions: &mut Vec<Action>) {
    let chosen = model.metrics.statement.as_ref().and_then(|id| seen.rows.rows.iter().find(|s| s.id == *id));
    let base = super::base(model, seen.total.window.is_some());
    match chosen {
        Some(chosen) => statement::show(ui, audit, chosen, base, actions),
        None => {
            let s = &audit.snapshot;
            let tables = kept(ui, model, "largest tables", (), || charts::postgres::largest_tables(s));
            super::charts_row(ui, ("Database time", &charts::postgres::database_time(s)), ("Largest tables", &tables));
        }
    }
    let is_wide = ui.available_width() >= WIDE;
    let slow_ms = audit.snapshot.meta.targets.slow_statement_ms;
    let rows = made(ui, model, audit, "statements", (base, is_wide), |marks| {
        // The section is there: this page is not drawn without it.
        let rows = charts::postgres::statements(&audit.snapshot, base).unwrap_or_else(|_| Vec::new());
        rows.iter().map(|r| row(marks, r, slow_ms, is_wide)).collect()
    });
    let sheet = Sheet {
        id: "statements",
        title: "Statements by total time",
        caption: &caption(seen, rows.len()),
        columns: columns(is_wide),
        rows,
        hue: look::hue(Layer::Postgres),
        filter: "Filter statements",
        since: seen.total.window.is_some().then(|| since_words(seen.reset_at)),
        note: "",
        selected: Some(model.metrics.statement.clone().unwrap_or_default()),
    };
    let tall = ui.available_height();
    if let Some(id) = sheet::show(ui, sheet, model, tall, actions) {
        actions.push(Action::SelectStatement(Some(id)));
    }
}

fn caption(seen: &Statements, shown: usize) -> String {
    let mut words = format!("{} after folding in-lists", text::count(shown as u64));
    if let Some(cut) = seen.rows.cut.filter(|cut| *cut > 0) {
        words.push_str(&format!(", {} cheaper ones left out", text::count(cut)));
    }
    if seen.hidden > 0 {
        words.push_str(&format!(", {} not readable by this role", text::count(seen.hidden)));
    }
    words
}

fn columns(is_wide: bool) -> Vec<Column<'static>> {
    let points = Width::Points;
    let mut columns = vec![
        Column::left("Share", points(136.0)).sortable(),
        Column::right("Total", points(62.0)).sortable(),
        Column::right("Calls", points(56.0)).sortable(),
        Column::right("Mean, ms", points(64.0)).sortable(),
        Column::right("Rows a call", points(72.0)).sortable(),
    ];
    if is_wide {
        columns.push(Column::right("Blocks a call", points(84.0)).sortable());
        columns.push(Column::right("Temp", points(64.0)).sortable());
    }
    columns.push(Column::left("Statement", Width::Share(1.0)));
    columns
}

fn row(marks: &Marks, r: &StatementRow, slow_ms: f64, is_wide: bool) -> Row {
    let mut cells = vec![
        Cell::Share { share: r.share, shown: text::percent(r.share), target: None },
        Cell::number(r.total_ms, text::millis(r.total_ms)),
        Cell::count(r.calls),
        Cell::Number { value: r.mean_ms, shown: text::number(r.mean_ms), is_off: r.mean_ms > slow_ms },
        Cell::number(r.rows_a_call, text::number(r.rows_a_call)),
    ];
    if is_wide {
        cells.push(Cell::number(r.blocks_a_call, text::number(r.blocks_a_call)));
        cells.push(if r.temp_bytes == 0 { Cell::number(0.0, "–") } else { Cell::number(r.temp_bytes as f64, text::bytes_disk(r.temp_bytes)) });
    }
    cells.push(Cell::Mono(text::cut(&r.text, CELL_CHARS_MAX)));
    Row::new(cells, marks.touching("statement", &r.id)).keyed(&r.id)
}
