//! Traffic by class of path and by type of answer: what of each is answered at the edge, and how the origin answers the rest.

use eframe::egui::Ui;
use std::collections::BTreeMap;

use super::sheet::{Cell, Row, Sheet, show as sheet};
use super::{GAP, gap_state};
use crate::app::{Action, Audit, Model};
use crate::checks::measures;
use crate::evidence::cdn::{Analytics, ClassCount, StatusCount, TrafficClass};
use crate::evidence::{Gap, Layer};
use crate::text;
use crate::ui::widgets::{Column, Width};

/// Classes above, types of answers under them.
pub fn show(ui: &mut Ui, model: &Model, audit: &Audit, analytics: &Result<Analytics, Gap>, actions: &mut Vec<Action>) {
    let analytics = match analytics {
        Ok(a) => a,
        Err(gap) => return gap_state(ui, audit, gap, actions),
    };
    let tall = ui.available_height();
    let has_types = !analytics.by_content_type.is_empty();
    let upper = if has_types { ((tall - GAP) * 0.5).floor() } else { tall };
    classes(ui, model, audit, analytics, upper, actions);
    if has_types {
        ui.add_space(GAP);
        let rest = ui.available_height();
        types(ui, model, analytics, rest, actions);
    }
}

/// Requests and bytes, and what of them the edge answered.
#[derive(Default, Clone, Copy)]
struct Sums {
    requests: u64,
    hits: u64,
    bytes: u64,
    hit_bytes: u64,
}

impl Sums {
    fn add(&mut self, status: &str, requests: u64, bytes: u64) {
        // Cloudflare's own answers never came near the cache.
        if status == "none" {
            return;
        }
        let is_hit = measures::is_edge_hit(status);
        self.requests += requests;
        self.bytes += bytes;
        self.hits += if is_hit { requests } else { 0 };
        self.hit_bytes += if is_hit { bytes } else { 0 };
    }

    fn of(counts: &[StatusCount]) -> Self {
        let mut sums = Self::default();
        counts.iter().for_each(|c| sums.add(&c.status, c.requests, c.bytes));
        sums
    }
}

fn share(hits: u64, of: u64, target: Option<f64>) -> Cell {
    if of == 0 {
        return Cell::None("no request");
    }
    let share = hits as f64 / of as f64;
    Cell::Share { share, shown: text::percent(share), target }
}

fn classes(ui: &mut Ui, model: &Model, audit: &Audit, analytics: &Analytics, tall: f32, actions: &mut Vec<Action>) {
    let target = audit.snapshot.meta.targets.cdn_hit_ratio_min;
    let row = |c: &ClassCount| {
        let sums = Sums::of(&c.by_status);
        // What is personal belongs to the origin.
        let wanted = (c.class != TrafficClass::Personal).then_some(target);
        let millis = |ms: Option<f64>| ms.map_or(Cell::None("–"), |v| Cell::number(v, text::millis(v)));
        let cells = vec![
            Cell::Text(c.class.name().to_owned()),
            Cell::Strong { value: sums.requests as f64, shown: text::count(sums.requests) },
            share(sums.hits, sums.requests, wanted),
            Cell::number(sums.bytes as f64, text::bytes_disk(sums.bytes)),
            share(sums.hit_bytes, sums.bytes, None),
            Cell::count(sums.requests - sums.hits),
            millis(c.origin_p50_ms),
            millis(c.origin_p95_ms),
            c.share_5xx.map_or(Cell::None("–"), |v| Cell::number(v, text::percent(v))),
        ];
        Row::new(cells, None)
    };
    let note = if analytics.by_class.is_empty() {
        "This audit counted no classes: its analytics were read before they were counted, or the plan refused."
    } else {
        ""
    };
    let columns = vec![
        Column::left("Class", Width::Share(1.5)).sortable(),
        Column::right("Requests", Width::Points(72.0)).sortable(),
        Column::left("From the edge", Width::Points(136.0)).sortable(),
        Column::right("Bytes", Width::Points(62.0)).sortable(),
        Column::left("Bytes from the edge", Width::Points(136.0)).sortable(),
        Column::right("To origin", Width::Points(64.0)).sortable(),
        Column::right("Origin P50", Width::Points(70.0)).sortable(),
        Column::right("Origin P95", Width::Points(70.0)).sortable(),
        Column::right("5xx", Width::Points(56.0)).sortable(),
    ];
    let table = Sheet {
        caption: "all requests of the last day; the line is the target",
        note,
        ..Sheet::plain(Layer::Cdn, "classes", "Traffic by class of path", columns, analytics.by_class.iter().map(row))
    };
    sheet(ui, table, model, tall, actions);
}

fn types(ui: &mut Ui, model: &Model, analytics: &Analytics, tall: f32, actions: &mut Vec<Action>) {
    let mut kinds: BTreeMap<&str, Sums> = BTreeMap::new();
    for count in &analytics.by_content_type {
        kinds.entry(&count.content_type).or_default().add(&count.status, count.requests, count.bytes);
    }
    let mut kinds: Vec<(&str, Sums)> = kinds.into_iter().filter(|(_, s)| s.requests > 0).collect();
    kinds.sort_by_key(|(_, s)| std::cmp::Reverse(s.bytes));
    let row = |(kind, sums): &(&str, Sums)| {
        let cells = vec![
            Cell::Text(if kind.is_empty() { "not told".to_owned() } else { (*kind).to_owned() }),
            Cell::count(sums.requests),
            share(sums.hits, sums.requests, None),
            Cell::Strong { value: sums.bytes as f64, shown: text::bytes_disk(sums.bytes) },
            share(sums.hit_bytes, sums.bytes, None),
        ];
        Row::new(cells, None)
    };
    let columns = vec![
        Column::left("Type", Width::Share(1.0)).sortable(),
        Column::right("Requests", Width::Points(80.0)).sortable(),
        Column::left("From the edge", Width::Points(136.0)).sortable(),
        Column::right("Bytes", Width::Points(80.0)).sortable(),
        Column::left("Bytes from the edge", Width::Points(136.0)).sortable(),
    ];
    let table =
        Sheet { caption: "heaviest first", ..Sheet::plain(Layer::Cdn, "content types", "Traffic by type of answer", columns, kinds.iter().map(row)) };
    sheet(ui, table, model, tall, actions);
}
