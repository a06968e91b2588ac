//! Sessions: who is connected in which state, what they waited for, and which of them are long or stand in the way.

use std::sync::Arc;

use eframe::egui::Ui;

use crate::app::{Action, Audit, Model};
use crate::charts;
use crate::evidence::Layer;
use crate::evidence::postgres::{Activity, Session, SessionGroup};
use crate::text;
use crate::ui::draw;
use crate::ui::fonts::Type;
use crate::ui::icons;
use crate::ui::look;
use crate::ui::pages::metrics::rows::{Cell, Mark, Row, touching};
use crate::ui::pages::metrics::sheet::{self, Sheet};
use crate::ui::pages::metrics::{GAP, chart_height};
use crate::ui::theme::{Theme, space};
use crate::ui::widgets::{Column, Width, columns, titled_card};

pub fn show(ui: &mut Ui, model: &Model, audit: &Audit, a: &Activity, actions: &mut Vec<Action>) {
    let height = chart_height(ui);
    let connections = charts::postgres::sessions(&audit.snapshot);
    columns(ui, &[Width::Share(1.2), Width::Share(1.0)], height, GAP, |ui, index| match index {
        0 => draw::chart_card(ui, "Connections by application", &connections, height, &[]),
        _ => waits(ui, audit, a, height),
    });
    ui.add_space(GAP);
    let tall = ui.available_height();
    columns(ui, &[Width::Share(1.0), Width::Share(1.4)], tall, GAP, |ui, index| match index {
        0 => groups(ui, model, a, tall, actions),
        _ => long(ui, model, audit, a, tall, actions),
    });
}

/// What sessions waited for, or that none did: a result, not a gap.
fn waits(ui: &mut Ui, audit: &Audit, a: &Activity, height: f32) {
    if !a.waits.is_empty() {
        return draw::chart_card(ui, "Wait events", &charts::postgres::wait_events(&audit.snapshot), height, &[]);
    }
    titled_card(
        ui,
        "Wait events",
        "",
        Some(height),
        |_| {},
        |ui| {
            let theme = Theme::get(ui);
            ui.horizontal(|ui| {
                ui.spacing_mut().item_spacing.x = space::S;
                ui.label(icons::CHECK_CIRCLE.fill(16.0, theme.good.fg));
                ui.label(Type::BODY.text("No session was waiting in any sample of the window.").color(theme.text_muted));
            });
        },
    );
}

fn groups(ui: &mut Ui, model: &Model, a: &Activity, tall: f32, actions: &mut Vec<Action>) {
    let mut groups: Vec<&SessionGroup> = a.groups.iter().collect();
    groups.sort_by_key(|g| std::cmp::Reverse(g.count));
    let row = |g: &&SessionGroup| {
        let cells = vec![
            named(&g.application, "no name given"),
            named(&g.role, "–"),
            named(&g.state, "not visible to this role"),
            Cell::Strong { value: f64::from(g.count), shown: text::count(u64::from(g.count)) },
        ];
        Row::new(cells, None)
    };
    let hidden = if a.hidden > 0 { format!(", {} not visible to this role", text::count(u64::from(a.hidden))) } else { String::new() };
    let sheet = Sheet {
        id: "sessions",
        title: "By application",
        caption: &format!("{}{hidden}", text::plural(u64::from(a.connections), "connection", "connections")),
        columns: vec![
            Column::left("Application", Width::Share(1.0)).sortable(),
            Column::left("Role", Width::Share(0.7)).sortable(),
            Column::left("State", Width::Share(1.1)).sortable(),
            Column::right("Count", Width::Points(48.0)).sortable(),
        ],
        rows: Arc::new(groups.iter().map(row).collect()),
        hue: look::hue(Layer::Postgres),
        filter: "",
        since: None,
        note: "",
        selected: None,
    };
    sheet::show(ui, sheet, model, tall, actions);
}

fn named(word: &str, otherwise: &'static str) -> Cell {
    if word.is_empty() { Cell::None(otherwise) } else { Cell::Text(word.to_owned()) }
}

/// Sessions worth naming: waiting, long, or idle in a transaction. Selecting one opens its statement.
fn long(ui: &mut Ui, model: &Model, audit: &Audit, a: &Activity, tall: f32, actions: &mut Vec<Action>) {
    let blockers: Vec<i32> = a.sessions.iter().flat_map(|s| s.blocked_by.iter().copied()).collect();
    let oldest = a.oldest_xmin.as_ref().map_or_else(String::new, |x| {
        let age = text::plural(x.age_xids, "transaction", "transactions");
        format!("Vacuum is held back by {}: {}, {age} old.", x.kind, x.name)
    });
    let sheet = Sheet {
        id: "long sessions",
        title: "Long or waiting",
        caption: &text::plural(a.sessions.len() as u64, "session", "sessions"),
        columns: vec![
            Column::right("Process", Width::Points(52.0)).sortable(),
            Column::left("Application", Width::Share(1.0)).sortable(),
            Column::left("State", Width::Share(1.4)).sortable(),
            Column::right("In transaction", Width::Points(84.0)).sortable(),
            Column::left("Waits for", Width::Share(1.0)).sortable(),
            Column::left("Statement", Width::Points(64.0)),
        ],
        rows: Arc::new(a.sessions.iter().map(|s| session_row(audit, s, &blockers)).collect()),
        hue: look::hue(Layer::Postgres),
        filter: "",
        since: None,
        note: &oldest,
        selected: None,
    };
    sheet::show(ui, sheet, model, tall, actions);
}

fn session_row(audit: &Audit, s: &Session, blockers: &[i32]) -> Row {
    let blocks = if blockers.contains(&s.pid) { ", blocks others" } else { "" };
    let statement = s.statement_id.as_ref().filter(|id| is_listed(audit, id));
    let cells = vec![
        Cell::number(f64::from(s.pid), s.pid.to_string()),
        named(&s.application, "no name given"),
        Cell::Text(format!("{}{blocks}", s.state)),
        s.transaction_s.map_or(Cell::None("–"), |t| Cell::number(t, text::seconds(t))),
        waits_for(s),
        statement.map_or(Cell::None("–"), |id| Cell::Link {
            shown: "Show".into(),
            goes: Action::OpenStatement(id.clone()),
            name: format!("Show the statement of process {}", s.pid),
        }),
    ];
    Row::new(cells, mark(audit, s))
}

fn is_listed(audit: &Audit, id: &str) -> bool {
    audit.snapshot.pg().and_then(|pg| pg.statements()).is_ok_and(|s| s.rows.rows.iter().any(|r| r.id == id))
}

/// "4120, 12 s" for a lock, else the event the server names.
fn waits_for(s: &Session) -> Cell {
    if !s.blocked_by.is_empty() {
        let processes = s.blocked_by.iter().map(i32::to_string).collect::<Vec<_>>().join(", ");
        let since = s.waiting_s.map_or_else(String::new, |w| format!(", {}", text::seconds(w)));
        return Cell::Off(format!("process {processes}{since}"));
    }
    s.wait.as_ref().map_or(Cell::None("–"), |w| Cell::Weak(w.clone()))
}

/// A finding of its statement, or of a table it has locked.
fn mark(audit: &Audit, s: &Session) -> Option<Mark> {
    let statement = s.statement_id.iter().find_map(|id| touching(audit, &format!("statement:{id}")));
    statement.or_else(|| s.locked_tables.iter().find_map(|t| touching(audit, &format!("table:{t}"))))
}
