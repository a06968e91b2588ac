//! Tables and indexes by size, with what was read of them and how often they were used.

use eframe::egui::Ui;

use super::super::counted;
use super::{base, since_reset};
use crate::app::{Action, Audit, Model};
use crate::charts;
use crate::charts::postgres::Base;
use crate::evidence::postgres::{Index, Table};
use crate::evidence::{Layer, Listed};
use crate::text;
use crate::ui::look;
use crate::ui::pages::metrics::rows::{Cell, Marks, Row, kept, made};
use crate::ui::pages::metrics::sheet::{self, Sheet};
use crate::ui::widgets::{Column, Width};

/// `server_version_num` from which the time of an index's last scan is kept.
const LAST_SCAN_SINCE: u32 = 160_000;

pub fn tables(ui: &mut Ui, model: &Model, audit: &Audit, list: &Listed<Table>, actions: &mut Vec<Action>) {
    let s = &audit.snapshot;
    let dead = kept(ui, model, "dead rows", (), || charts::postgres::dead_rows(s));
    let largest = kept(ui, model, "largest tables", (), || charts::postgres::largest_tables(s));
    super::charts_row(ui, ("Dead rows", &dead), ("Largest tables", &largest));
    let has_window = list.rows.iter().any(|t| t.counters.window.is_some());
    let base = base(model, has_window);
    let rows = made(ui, model, audit, "tables", base, |marks| {
        let largest = list.rows.iter().map(Table::total_bytes).max().unwrap_or(0).max(1);
        let mut sorted: Vec<&Table> = list.rows.iter().collect();
        sorted.sort_by_key(|t| std::cmp::Reverse(t.total_bytes()));
        sorted.into_iter().map(|t| table_row(marks, t, base, largest)).collect()
    });
    let points = Width::Points;
    let sheet = Sheet {
        id: "tables",
        title: "Tables by size",
        caption: &counted(list, "table", "tables"),
        columns: vec![
            Column::left("Table", Width::Share(1.0)).sortable(),
            Column::left("With indexes", points(152.0)).sortable(),
            Column::right("Indexes", points(68.0)).sortable(),
            Column::right("Rows", points(76.0)).sortable(),
            Column::right("Dead rows", points(76.0)).sortable(),
            Column::right("Full scans", points(76.0)).sortable(),
            Column::right("Index scans", points(84.0)).sortable(),
            Column::right("Analyzed", points(92.0)).sortable(),
        ],
        rows,
        hue: look::hue(Layer::Postgres),
        filter: "Filter tables",
        since: has_window.then(|| since_reset(audit)),
        note: "",
        selected: None,
    };
    let tall = ui.available_height();
    sheet::show(ui, sheet, model, tall, actions);
}

fn table_row(marks: &Marks, t: &Table, base: Base, largest: u64) -> Row {
    let c = if base == Base::SinceReset { Some(t.counters.total) } else { t.counters.window };
    let scans = |n: Option<u64>| n.map_or(Cell::None("not measured"), Cell::count);
    let cells = vec![
        Cell::Mono(t.full_name()),
        Cell::Share { share: t.total_bytes() as f64 / largest as f64, shown: text::bytes_disk(t.total_bytes()), target: None },
        Cell::number(t.index_bytes as f64, text::bytes_disk(t.index_bytes)),
        t.rows().map_or(Cell::None("not analyzed"), Cell::count),
        Cell::number(charts::postgres::dead_share(t), text::percent(charts::postgres::dead_share(t))),
        scans(c.map(|c| c.seq_scans)),
        scans(c.map(|c| c.index_scans)),
        t.last_analyze.max(t.last_autoanalyze).map_or(Cell::None("never"), |at| Cell::number(at.unix_timestamp() as f64, text::date(at))),
    ];
    let name = format!("{}.{}", t.schema, t.name);
    Row::new(cells, marks.about("table", &name).or_else(|| marks.touching("table", &name)))
}

pub fn indexes(ui: &mut Ui, model: &Model, audit: &Audit, list: &Listed<Index>, actions: &mut Vec<Action>) {
    let s = &audit.snapshot;
    let by_use = kept(ui, model, "indexes by use", (), || charts::postgres::index_use(s));
    let largest = kept(ui, model, "largest indexes", (), || charts::postgres::largest_indexes(s));
    super::charts_row(ui, ("Largest indexes", &largest), ("Indexes by use", &by_use));
    let has_window = list.rows.iter().any(|i| i.scans.window.is_some());
    let base = base(model, has_window);
    let keeps_last_scan = s.pg().and_then(|pg| pg.server()).is_ok_and(|server| server.version_num >= LAST_SCAN_SINCE);
    let rows = made(ui, model, audit, "indexes", (base, keeps_last_scan), |marks| {
        let mut sorted: Vec<&Index> = list.rows.iter().collect();
        sorted.sort_by_key(|i| std::cmp::Reverse(i.bytes));
        sorted.into_iter().map(|i| index_row(marks, i, base, keeps_last_scan)).collect()
    });
    let points = Width::Points;
    let sheet = Sheet {
        id: "indexes",
        title: "Indexes by size",
        caption: &counted(list, "index", "indexes"),
        columns: vec![
            Column::left("Index", Width::Share(1.2)).sortable(),
            Column::left("Table", Width::Share(0.8)).sortable(),
            Column::left("Columns", Width::Share(0.8)),
            Column::left("Kind", points(84.0)).sortable(),
            Column::right("Size", points(68.0)).sortable(),
            Column::right("Scans", points(80.0)).sortable(),
            Column::right("Last scan", points(88.0)).sortable(),
        ],
        rows,
        hue: look::hue(Layer::Postgres),
        filter: "Filter indexes",
        since: has_window.then(|| since_reset(audit)),
        note: "",
        selected: None,
    };
    let tall = ui.available_height();
    sheet::show(ui, sheet, model, tall, actions);
}

fn index_row(marks: &Marks, i: &Index, base: Base, keeps_last_scan: bool) -> Row {
    let scans = if base == Base::SinceReset { Some(i.scans.total) } else { i.scans.window };
    let last = match i.last_scan {
        Some(at) => Cell::number(at.unix_timestamp() as f64, text::date(at)),
        None if keeps_last_scan => Cell::None("never"),
        None => Cell::None("not measured"),
    };
    let cells = vec![
        Cell::Mono(i.name.clone()),
        Cell::Weak(format!("{}.{}", i.schema, i.table)),
        Cell::Mono(i.keys.iter().map(|k| k.text.as_str()).collect::<Vec<_>>().join(", ")),
        kind(i),
        Cell::number(i.bytes as f64, text::bytes_disk(i.bytes)),
        scans.map_or(Cell::None("not measured"), Cell::count),
        last,
    ];
    let name = format!("{}.{}", i.schema, i.name);
    Row::new(cells, marks.about("index", &name).or_else(|| marks.touching("index", &name)))
}

/// What the index is for; an invalid one serves nothing, whatever else it is.
fn kind(i: &Index) -> Cell {
    if i.is_building {
        Cell::Weak("being built".into())
    } else if !i.is_valid {
        Cell::Off("invalid".into())
    } else if i.is_primary {
        Cell::Weak("primary key".into())
    } else if i.is_unique {
        Cell::Weak("unique".into())
    } else {
        Cell::Weak(i.method.clone())
    }
}
