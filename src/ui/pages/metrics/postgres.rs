//! The database: statements, tables, indexes, sessions, settings.

use eframe::egui::Ui;

use super::sheet::{Cell, Mark, Row, Sheet, mark, show, touching};
use super::{Figure, GAP, chart_height, gap_state, since_words, split_unit, stats, window_words};
use crate::app::{Action, Audit, Model};
use crate::charts;
use crate::charts::postgres::{Base, StatementRow};
use crate::evidence::postgres::{Activity, Index, Postgres, Setting, Statements, Table};
use crate::evidence::{Gap, Layer, Sampled};
use crate::text;
use crate::ui::draw;
use crate::ui::look;
use crate::ui::widgets::{Column, Width, columns};

/// "16.4, primary, 30 s window of 23 Nov 2026, 09:30".
pub fn caption(audit: &Audit) -> String {
    match audit.snapshot.pg().and_then(|pg| pg.server().cloned()) {
        Ok(server) => format!("{}, {}, {}", server.version, if server.is_replica { "replica" } else { "primary" }, window_words(audit)),
        Err(_) => window_words(audit),
    }
}

/// Draws the segment `tab`.
pub fn page(ui: &mut Ui, model: &Model, audit: &Audit, tab: usize, actions: &mut Vec<Action>) {
    let pg = match audit.snapshot.pg() {
        Ok(pg) => pg,
        Err(gap) => return gap_state(ui, audit, &gap, actions),
    };
    stats(ui, &figures(audit, pg));
    match tab {
        0 => {
            charts_row(ui, audit);
            part(ui, audit, pg.statements(), actions, |ui, s, actions| statements(ui, model, audit, s, actions));
        }
        1 => part(ui, audit, pg.tables().map(|l| &l.rows), actions, |ui, rows, actions| tables(ui, model, audit, rows, actions)),
        2 => part(ui, audit, pg.indexes().map(|l| &l.rows), actions, |ui, rows, actions| indexes(ui, model, audit, rows, actions)),
        3 => part(ui, audit, pg.activity(), actions, |ui, activity, actions| sessions(ui, model, audit, activity, actions)),
        _ => part(ui, audit, pg.settings(), actions, |ui, rows, actions| settings(ui, model, audit, rows, actions)),
    }
}

/// A section's table, or the sentence with its grant when the section is missing.
pub fn part<T: ?Sized>(
    ui: &mut Ui,
    audit: &Audit,
    section: Result<&T, Gap>,
    actions: &mut Vec<Action>,
    draw: impl FnOnce(&mut Ui, &T, &mut Vec<Action>),
) {
    match section {
        Ok(known) => draw(ui, known, actions),
        Err(gap) => gap_state(ui, audit, &gap, actions),
    }
}

fn charts_row(ui: &mut Ui, audit: &Audit) {
    let s = &audit.snapshot;
    let height = chart_height(ui);
    let (time, tables) = (charts::postgres::database_time(s), charts::postgres::largest_tables(s));
    columns(ui, &[Width::Share(644.0), Width::Share(360.0)], height, GAP, |ui, index| match index {
        0 => draw::chart_card(ui, "Database time", &time, height, &[]),
        _ => draw::chart_card(ui, "Largest tables", &tables, height, &[]),
    });
    ui.add_space(GAP);
}

fn figures(audit: &Audit, pg: &Postgres) -> [Figure; 5] {
    let window_s = audit.snapshot.meta.window_s;
    [
        Figure::of("Database time", pg.statements().and_then(|s| database_time(s, window_s))),
        Figure::of("Calls", pg.statements().and_then(|s| calls(s, window_s))),
        Figure::of("Connections", pg.activity().map(connections)),
        Figure::of("Cache hit", pg.server().map(|s| cache_hit(s.counters.window, s.counters.total))),
        Figure::of("Written to temp", pg.server().map(|s| temp(s.counters))),
    ]
}

fn no_window(s: &Statements) -> Gap {
    let detail = "There is no second sample, so nothing is known of the window.";
    Gap::new(
        crate::evidence::Section::PgStatements,
        crate::evidence::Cause::Unreadable,
        if s.rows.rows.is_empty() { "No statement was seen." } else { detail },
    )
}

fn database_time(s: &Statements, window_s: f64) -> Result<Figure, Gap> {
    let total = s.total.window.filter(|_| window_s > 0.0).ok_or_else(|| no_window(s))?;
    let most = s.rows.rows.iter().filter_map(|r| r.counters.window).map(|c| c.total_ms).fold(0.0, f64::max);
    let context = if total.total_ms > 0.0 { format!("{} in one statement", text::percent(most / total.total_ms)) } else { "no statement ran".into() };
    Ok(Figure::new("Database time", text::number(total.total_ms / 1e3 / window_s), "s per s", context))
}

fn calls(s: &Statements, window_s: f64) -> Result<Figure, Gap> {
    let total = s.total.window.filter(|_| window_s > 0.0).ok_or_else(|| no_window(s))?;
    Ok(Figure::new("Calls", text::number(total.calls as f64 / window_s), "per s", format!("{} in the window", text::count(total.calls))))
}

fn connections(a: &Activity) -> Figure {
    let usable = a.max_connections.saturating_sub(a.reserved);
    let idle: u32 = a.groups.iter().filter(|g| g.state == "idle").map(|g| g.count).sum();
    Figure::new("Connections", text::count(u64::from(a.connections)), format!("of {usable} usable"), format!("{idle} idle"))
}

fn cache_hit(window: Option<crate::evidence::postgres::DatabaseCounters>, total: crate::evidence::postgres::DatabaseCounters) -> Figure {
    let reads = |c: &crate::evidence::postgres::DatabaseCounters| c.blocks_hit + c.blocks_read;
    // A window without reads says nothing; the time since the reset does.
    let (c, period) = window.filter(|c| reads(c) > 0).map_or((total, " since the reset"), |c| (c, ""));
    if reads(&c) == 0 {
        return Figure::missing("Cache hit", "no block was read");
    }
    let (figure, unit) = split_unit(&text::percent(c.blocks_hit as f64 / reads(&c) as f64));
    Figure::new("Cache hit", format!("{figure}\u{a0}{unit}"), "", format!("of {} block reads{period}", text::count_short(reads(&c))))
}

fn temp(c: Sampled<crate::evidence::postgres::DatabaseCounters>) -> Figure {
    let (c, period) = c.window.map_or((c.total, "since the reset"), |w| (w, "in the window"));
    let (figure, unit) = split_unit(&text::bytes_disk(c.temp_bytes));
    let context = if c.temp_files == 0 { format!("no spill {period}") } else { format!("{} {period}", text::plural(c.temp_files, "file", "files")) };
    Figure::new("Written to temp", figure, unit, context).off_target(c.temp_files > 0)
}

fn statements(ui: &mut Ui, model: &Model, audit: &Audit, seen: &Statements, actions: &mut Vec<Action>) {
    let has_window = seen.total.window.is_some();
    let base = if model.metrics.since_reset || !has_window { Base::SinceReset } else { Base::Window };
    let rows = match charts::postgres::statements(&audit.snapshot, base) {
        Ok(rows) => rows,
        Err(gap) => return gap_state(ui, audit, &gap, actions),
    };
    let slow = audit.snapshot.meta.targets.slow_statement_ms;
    let mut caption = format!("{} after folding in-lists", text::count(rows.len() as u64));
    if seen.hidden > 0 {
        caption.push_str(&format!(", {} not readable by this role", text::count(seen.hidden)));
    }
    let sheet = Sheet {
        id: "statements",
        title: "Statements by total time",
        caption: &caption,
        columns: vec![
            Column::left("Share", Width::Points(136.0)).sortable(),
            Column::right("Total", Width::Points(62.0)).sortable(),
            Column::right("Calls", Width::Points(56.0)).sortable(),
            Column::right("Mean, ms", Width::Points(64.0)).sortable(),
            Column::right("Rows a call", Width::Points(72.0)).sortable(),
            Column::left("Statement", Width::Share(1.0)),
        ],
        rows: rows.iter().map(|r| statement_row(audit, r, slow)).collect(),
        hue: look::hue(Layer::Postgres),
        filter: "Filter statements",
        since: has_window.then(|| since_words(seen.reset_at)),
        note: "",
    };
    let tall = ui.available_height();
    show(ui, sheet, model, tall, actions);
}

fn statement_row(audit: &Audit, r: &StatementRow, slow_ms: f64) -> Row {
    let cells = vec![
        Cell::Share { share: r.share, shown: text::percent(r.share), target: None },
        Cell::number(r.total_ms, text::millis(r.total_ms)),
        Cell::count(r.calls),
        Cell::Number { value: r.mean_ms, shown: text::number(r.mean_ms), is_off: r.mean_ms > slow_ms },
        Cell::number(r.rows_a_call, text::number(r.rows_a_call)),
        Cell::Mono(text::cut(&r.text, 400)),
    ];
    Row::new(cells, touching(audit, &format!("statement:{}", r.id)))
}

fn tables(ui: &mut Ui, model: &Model, audit: &Audit, rows: &[Table], actions: &mut Vec<Action>) {
    let largest = rows.iter().map(Table::total_bytes).max().unwrap_or(0).max(1);
    let mut sorted: Vec<&Table> = rows.iter().collect();
    sorted.sort_by_key(|t| std::cmp::Reverse(t.total_bytes()));
    let has_window = rows.iter().any(|t| t.counters.window.is_some());
    let since = model.metrics.since_reset || !has_window;
    let row = |t: &&Table| {
        let c = if since { Some(t.counters.total) } else { t.counters.window };
        let scans = |n: Option<u64>| n.map_or(Cell::None("not measured"), Cell::count);
        let dead = t.dead_rows as f64 / (t.dead_rows + t.live_rows).max(1) as f64;
        let cells = vec![
            Cell::Mono(t.full_name()),
            Cell::Share { share: t.total_bytes() as f64 / largest as f64, shown: text::bytes_disk(t.total_bytes()), target: None },
            Cell::number(t.index_bytes as f64, text::bytes_disk(t.index_bytes)),
            t.rows().map_or(Cell::None("not analyzed"), Cell::count),
            Cell::number(dead, text::percent(dead)),
            scans(c.map(|c| c.seq_scans)),
            scans(c.map(|c| c.index_scans)),
            t.last_analyze.max(t.last_autoanalyze).map_or(Cell::None("never"), |at| Cell::number(at.unix_timestamp() as f64, text::date(at))),
        ];
        Row::new(cells, table_mark(audit, t))
    };
    let sheet = Sheet {
        id: "tables",
        title: "Tables by size",
        caption: &text::plural(rows.len() as u64, "table", "tables"),
        columns: vec![
            Column::left("Table", Width::Share(1.0)).sortable(),
            Column::left("With indexes", Width::Points(152.0)).sortable(),
            Column::right("Indexes", Width::Points(68.0)).sortable(),
            Column::right("Rows", Width::Points(76.0)).sortable(),
            Column::right("Dead rows", Width::Points(76.0)).sortable(),
            Column::right("Full scans", Width::Points(76.0)).sortable(),
            Column::right("Index scans", Width::Points(84.0)).sortable(),
            Column::right("Analyzed", Width::Points(92.0)).sortable(),
        ],
        rows: sorted.iter().map(row).collect(),
        hue: look::hue(Layer::Postgres),
        filter: "Filter tables",
        since: has_window.then(|| since_words(audit.snapshot.pg().ok().and_then(|pg| pg.server().ok().and_then(|s| s.stats_reset_at)))),
        note: "",
    };
    let tall = ui.available_height();
    show(ui, sheet, model, tall, actions);
}

fn table_mark(audit: &Audit, t: &Table) -> Option<Mark> {
    touching(audit, &format!("table:{}.{}", t.schema, t.name))
}

fn indexes(ui: &mut Ui, model: &Model, audit: &Audit, rows: &[Index], actions: &mut Vec<Action>) {
    let mut sorted: Vec<&Index> = rows.iter().collect();
    sorted.sort_by_key(|i| std::cmp::Reverse(i.bytes));
    let has_window = rows.iter().any(|i| i.scans.window.is_some());
    let since = model.metrics.since_reset || !has_window;
    let row = |i: &&Index| {
        let scans = if since { Some(i.scans.total) } else { i.scans.window };
        let state = if !i.is_valid {
            "invalid"
        } else if i.is_primary {
            "primary key"
        } else if i.is_unique {
            "unique"
        } else {
            "–"
        };
        let cells = vec![
            Cell::Mono(i.name.clone()),
            Cell::Weak(format!("{}.{}", i.schema, i.table)),
            Cell::Mono(i.keys.iter().map(|k| k.text.as_str()).collect::<Vec<_>>().join(", ")),
            Cell::Weak(state.into()),
            Cell::number(i.bytes as f64, text::bytes_disk(i.bytes)),
            scans.map_or(Cell::None("not measured"), Cell::count),
        ];
        let name = format!("{}.{}", i.schema, i.name);
        let own = mark(audit, |r| r.finding.subject.kind == "index" && r.finding.subject.name == name);
        Row::new(cells, own.or_else(|| touching(audit, &format!("index:{name}"))))
    };
    let sheet = Sheet {
        id: "indexes",
        title: "Indexes by size",
        caption: &text::plural(rows.len() as u64, "index", "indexes"),
        columns: vec![
            Column::left("Index", Width::Share(1.2)).sortable(),
            Column::left("Table", Width::Share(0.8)).sortable(),
            Column::left("Columns", Width::Share(1.0)),
            Column::left("Kind", Width::Points(84.0)).sortable(),
            Column::right("Size", Width::Points(72.0)).sortable(),
            Column::right("Scans", Width::Points(96.0)).sortable(),
        ],
        rows: sorted.iter().map(row).collect(),
        hue: look::hue(Layer::Postgres),
        filter: "Filter indexes",
        since: has_window.then(|| since_words(audit.snapshot.pg().ok().and_then(|pg| pg.server().ok().and_then(|s| s.stats_reset_at)))),
        note: "",
    };
    let tall = ui.available_height();
    show(ui, sheet, model, tall, actions);
}

fn sessions(ui: &mut Ui, model: &Model, audit: &Audit, a: &Activity, actions: &mut Vec<Action>) {
    let height = chart_height(ui);
    let drawn = charts::postgres::connections(&audit.snapshot);
    columns(ui, &[Width::Share(1.0), Width::Share(1.0)], height, GAP, |ui, index| match index {
        0 => draw::chart_card(ui, "Connections by state", &drawn, height, &[]),
        _ => waits(ui, model, a, height, actions),
    });
    ui.add_space(GAP);
    let mut groups = a.groups.clone();
    groups.sort_by_key(|g| std::cmp::Reverse(g.count));
    let unnamed = |s: &str, otherwise: &str| if s.is_empty() { otherwise.to_owned() } else { s.to_owned() };
    let row = |g: &crate::evidence::postgres::SessionGroup| {
        let cells = vec![
            Cell::Text(unnamed(&g.application, "no name given")),
            Cell::Mono(unnamed(&g.role, "–")),
            Cell::Weak(unnamed(&g.state, "not visible to this role")),
            Cell::Strong { value: f64::from(g.count), shown: text::count(u64::from(g.count)) },
        ];
        Row::new(cells, None)
    };
    let hidden = if a.hidden > 0 { format!(", {} not visible to this role", text::count(u64::from(a.hidden))) } else { String::new() };
    let sheet = Sheet {
        id: "sessions",
        title: "Sessions by application",
        caption: &format!("{} at the end of the window{hidden}", text::plural(u64::from(a.connections), "connection", "connections")),
        columns: vec![
            Column::left("Application", Width::Share(1.0)).sortable(),
            Column::left("Role", Width::Share(1.0)).sortable(),
            Column::left("State", Width::Share(1.0)).sortable(),
            Column::right("Connections", Width::Points(92.0)).sortable(),
        ],
        rows: groups.iter().map(row).collect(),
        hue: look::hue(Layer::Postgres),
        filter: "Filter sessions",
        since: None,
        note: "",
    };
    let tall = ui.available_height();
    show(ui, sheet, model, tall, actions);
}

/// Sessions worth naming: waiting, long, or idle in a transaction.
fn waits(ui: &mut Ui, model: &Model, a: &Activity, tall: f32, actions: &mut Vec<Action>) {
    let seconds = |s: Option<f64>| s.map_or(Cell::None("–"), |s| Cell::number(s, text::seconds(s)));
    let row = |s: &crate::evidence::postgres::Session| {
        let blocked = s.blocked_by.iter().map(i32::to_string).collect::<Vec<_>>().join(", ");
        let cells = vec![
            Cell::number(f64::from(s.pid), s.pid.to_string()),
            Cell::Weak(s.state.clone()),
            seconds(s.transaction_s),
            seconds(s.waiting_s),
            if blocked.is_empty() { Cell::None("–") } else { Cell::Text(blocked) },
        ];
        Row::new(cells, None)
    };
    let sheet = Sheet {
        id: "waits",
        title: "Long or waiting",
        caption: "",
        columns: vec![
            Column::right("Process", Width::Points(56.0)).sortable(),
            Column::left("State", Width::Share(1.0)).sortable(),
            Column::right("Transaction", Width::Points(76.0)).sortable(),
            Column::right("Waiting", Width::Points(56.0)).sortable(),
            Column::left("Blocked by", Width::Points(68.0)),
        ],
        rows: a.sessions.iter().map(row).collect(),
        hue: look::hue(Layer::Postgres),
        filter: "",
        since: None,
        note: "",
    };
    show(ui, sheet, model, tall, actions);
}

fn settings(ui: &mut Ui, model: &Model, audit: &Audit, rows: &[Setting], actions: &mut Vec<Action>) {
    // What somebody changed, or a finding speaks of, comes before the defaults.
    let row = |s: &Setting| {
        let found = mark(audit, |r| r.finding.subject.kind == "setting" && r.finding.subject.name == s.name);
        let is_set = s.source != "default" || s.boot_value.as_deref().is_some_and(|b| b != s.value);
        let unit = s.unit.as_deref().unwrap_or("–").to_owned();
        let pending = if s.pending_restart { "waits for a restart" } else { "–" };
        let cells = vec![
            Cell::Mono(s.name.clone()),
            Cell::Text(if s.value.is_empty() { "empty".into() } else { s.value.clone() }),
            Cell::Weak(unit),
            Cell::Weak(s.boot_value.clone().unwrap_or_else(|| "–".into())),
            Cell::Weak(s.source.clone()),
            Cell::Weak(pending.into()),
        ];
        ((found.is_none(), !is_set), Row::new(cells, found))
    };
    let mut sorted: Vec<((bool, bool), Row)> = rows.iter().map(row).collect();
    sorted.sort_by_key(|r| r.0);
    let changed = sorted.iter().filter(|r| !r.0.1).count();
    let sheet = Sheet {
        id: "settings",
        title: "Settings",
        caption: &format!("{} of {} differ from the default", text::count(changed as u64), text::count(rows.len() as u64)),
        columns: vec![
            Column::left("Setting", Width::Share(1.2)).sortable(),
            Column::left("Value", Width::Share(1.0)),
            Column::left("Unit", Width::Points(56.0)),
            Column::left("Default", Width::Share(0.8)),
            Column::left("Set by", Width::Share(0.7)).sortable(),
            Column::left("Pending", Width::Points(116.0)),
        ],
        rows: sorted.into_iter().map(|r| r.1).collect(),
        hue: look::hue(Layer::Postgres),
        filter: "Filter settings",
        since: None,
        note: "",
    };
    let tall = ui.available_height();
    show(ui, sheet, model, tall, actions);
}
