//! The queues of the Redis page: what waits, what is kept, and whether a worker attends.

use std::sync::Arc;

use eframe::egui::Ui;

use super::GAP;
use super::redis::is_about;
use super::redis_tables::{answered, families, read, role_word, short_name};
use super::sheet::{Cell, Row, Sheet, mark, show};
use crate::app::{Action, Audit, Model};
use crate::evidence::redis::{Queue, Role};
use crate::evidence::{Layer, Section};
use crate::text;
use crate::ui::look;
use crate::ui::widgets::{Column, Width};

/// Share of the page's height that the queues take; the keys they are made of lie below.
const QUEUES_SHARE: f32 = 0.46;

/// Queues by length, above the key families of queues, events, workflows and locks: what must not be evicted.
pub fn page(ui: &mut Ui, model: &Model, audit: &Audit, actions: &mut Vec<Action>) {
    let is_queue = |r: Role| matches!(r, Role::Queue | Role::EventBus | Role::Workflows | Role::Locks | Role::Staging);
    let mut note = String::new();
    match read(audit, Section::RedisQueues, |i| i.queues()) {
        Ok(known) => {
            let tall = (ui.available_height() * QUEUES_SHARE).round();
            let queues: Vec<(&str, &Queue)> = known.iter().flat_map(|(i, q)| q.iter().map(move |q| (short_name(&i.name), q))).collect();
            lengths(ui, model, audit, &queues, &answered(audit, known.len()), tall, actions);
            ui.add_space(GAP);
        }
        // The keys they are made of may still be known.
        Err(gap) => note = format!("How many jobs each queue holds was not read: {}", gap.detail),
    }
    families(ui, model, audit, ("queues", "Keys of queues, workflows and locks", &note), is_queue, actions);
}

fn lengths(ui: &mut Ui, model: &Model, audit: &Audit, queues: &[(&str, &Queue)], answered: &str, tall: f32, actions: &mut Vec<Action>) {
    let mut queues = queues.to_vec();
    queues.sort_by_key(|(_, q)| std::cmp::Reverse((q.waiting(), q.now.failed, q.now.completed)));
    let sheet = Sheet {
        id: "queue lengths",
        title: "Queues",
        caption: &format!("{}, jobs by state{answered}", text::plural(queues.len() as u64, "queue", "queues")),
        columns: vec![
            Column::left("Queue", Width::Share(2.0)).sortable(),
            Column::left("Role", Width::Points(80.0)).sortable(),
            Column::left("Instance", Width::Share(0.6)).sortable(),
            Column::left("Worker", Width::Points(72.0)).sortable(),
            Column::right("Waiting", Width::Points(68.0)).sortable(),
            Column::right("Per min", Width::Points(64.0)).sortable(),
            Column::right("Active", Width::Points(56.0)).sortable(),
            Column::right("Delayed", Width::Points(64.0)).sortable(),
            Column::right("Failed", Width::Points(60.0)).sortable(),
            Column::right("Completed", Width::Points(76.0)).sortable(),
        ],
        rows: Arc::new(queues.iter().map(|(instance, q)| row(audit, instance, q)).collect()),
        hue: look::hue(Layer::Redis),
        filter: "",
        since: None,
        note: "",
        selected: None,
    };
    show(ui, sheet, model, tall, actions);
}

fn row(audit: &Audit, instance: &str, q: &Queue) -> Row {
    // A worker marks its queue every half minute; one that was just started has not yet.
    let worker = if q.is_attended { Cell::Weak("attends".into()) } else { Cell::None("not seen") };
    let growth = q.growth_per_s().map_or(Cell::None("–"), |g| {
        let per_minute = g * 60.0;
        let sign = if per_minute >= 0.5 { "+" } else { "" };
        Cell::Number { value: per_minute, shown: format!("{sign}{}", text::number(per_minute.round())), is_off: per_minute >= 0.5 }
    });
    let cells = vec![
        Cell::Mono(q.name.clone()),
        Cell::Weak(role_word(q.role).into()),
        Cell::Weak(instance.to_owned()),
        worker,
        Cell::Strong { value: q.waiting() as f64, shown: text::count(q.waiting()) },
        growth,
        Cell::count(q.now.active),
        Cell::count(q.now.delayed),
        Cell::count(q.now.failed),
        Cell::count(q.now.completed),
    ];
    Row::new(cells, mark(audit, |r| is_about(r, &q.name)))
}
