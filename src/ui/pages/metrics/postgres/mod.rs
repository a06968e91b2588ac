//! The database: statements, tables, indexes, sessions, settings.

mod relations;
mod sessions;
mod settings;
mod statement;
mod statements;

use eframe::egui::Ui;

use super::{Figure, GAP, chart_height, gap_state, since_words, split_unit, stats, window_words};
use crate::app::{Action, Audit, Model};
use crate::charts::Drawn;
use crate::charts::postgres::Base;
use crate::evidence::postgres::{Activity, DatabaseCounters, Postgres, Statements};
use crate::evidence::{Gap, Sampled};
use crate::text;
use crate::ui::draw;
use crate::ui::widgets::{Width, columns};

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
        0 => part(ui, audit, pg.statements(), actions, |ui, s, actions| statements::show(ui, model, audit, s, actions)),
        1 => part(ui, audit, pg.tables(), actions, |ui, list, actions| relations::tables(ui, model, audit, list, actions)),
        2 => part(ui, audit, pg.indexes(), actions, |ui, list, actions| relations::indexes(ui, model, audit, list, actions)),
        3 => part(ui, audit, pg.activity(), actions, |ui, activity, actions| sessions::show(ui, model, audit, activity, actions)),
        _ => part(ui, audit, pg.settings(), actions, |ui, rows, actions| settings::show(ui, model, audit, rows, actions)),
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

/// Two charts beside each other, above the table that explains them.
fn charts_row(ui: &mut Ui, left: (&str, &Drawn), right: (&str, &Drawn)) {
    let height = chart_height(ui);
    columns(ui, &[Width::Share(644.0), Width::Share(360.0)], height, GAP, |ui, index| {
        let (title, drawn) = if index == 0 { left } else { right };
        draw::chart_card(ui, title, drawn, height, &[]);
    });
    ui.add_space(GAP);
}

/// The chosen base, as far as there is a window to choose.
fn base(model: &Model, has_window: bool) -> Base {
    if model.metrics.since_reset || !has_window { Base::SinceReset } else { Base::Window }
}

/// "Since 17 Nov" of the database's own counters, for tables and indexes.
fn since_reset(audit: &Audit) -> String {
    since_words(audit.snapshot.pg().ok().and_then(|pg| pg.server().ok().and_then(|s| s.stats_reset_at)))
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

fn cache_hit(window: Option<DatabaseCounters>, total: DatabaseCounters) -> Figure {
    let reads = |c: &DatabaseCounters| c.blocks_hit + c.blocks_read;
    // A window without reads says nothing; the time since the reset does.
    let (c, period) = window.filter(|c| reads(c) > 0).map_or((total, " since the reset"), |c| (c, ""));
    if reads(&c) == 0 {
        return Figure::missing("Cache hit", "no block was read");
    }
    let (figure, unit) = split_unit(&text::percent(c.blocks_hit as f64 / reads(&c) as f64));
    Figure::new("Cache hit", format!("{figure}\u{a0}{unit}"), "", format!("of {} block reads{period}", text::count_short(reads(&c))))
}

fn temp(c: Sampled<DatabaseCounters>) -> Figure {
    let (c, period) = c.window.map_or((c.total, "since the reset"), |w| (w, "in the window"));
    let (figure, unit) = split_unit(&text::bytes_disk(c.temp_bytes));
    let context = if c.temp_files == 0 { format!("no spill {period}") } else { format!("{} {period}", text::plural(c.temp_files, "file", "files")) };
    Figure::new("Written to temp", figure, unit, context).off_target(c.temp_files > 0)
}
