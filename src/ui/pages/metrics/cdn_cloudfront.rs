//! CloudFront: behaviours in the order they are tried, origins and buckets under them.

use eframe::egui::Ui;

use super::sheet::{Cell, Row, Sheet, mark, show as sheet};
use super::{GAP, counted, gap_state};
use crate::app::{Action, Audit, Model};
use crate::checks::edge_cloudfront::subject_name;
use crate::evidence::cloudfront::{Behaviour, Bucket, CachePolicy, CloudFront, Distribution, Names, Origin, OriginAccess};
use crate::evidence::{Layer, Listed};
use crate::text;
use crate::ui::widgets::{Column, Width, columns};

/// Behaviours above, origins and buckets beside each other.
pub fn show(ui: &mut Ui, model: &Model, audit: &Audit, seen: &CloudFront, actions: &mut Vec<Action>) {
    let distributions = match seen.distributions() {
        Ok(listed) => listed,
        Err(gap) => return gap_state(ui, audit, &gap, actions),
    };
    let tall = ui.available_height();
    let half = ((tall - GAP) / 2.0).floor();
    behaviours(ui, model, audit, distributions, half, actions);
    ui.add_space(GAP);
    let rest = ui.available_height();
    columns(ui, &[Width::Share(1.0), Width::Share(1.0)], rest, GAP, |ui, index| match index {
        0 => origins(ui, model, &distributions.rows, rest, actions),
        _ => match seen.buckets() {
            Ok(listed) => buckets(ui, model, listed, rest, actions),
            Err(gap) => gap_state(ui, audit, &gap, actions),
        },
    });
}

fn behaviours(ui: &mut Ui, model: &Model, audit: &Audit, all: &Listed<Distribution>, tall: f32, actions: &mut Vec<Action>) {
    let order = "in the order they are tried, the first match wins";
    let caption = if all.is_whole() { order.to_owned() } else { format!("{}; {order}", counted(all, "distribution", "distributions")) };
    let rows = all.rows.iter().flat_map(|d| d.behaviours.iter().map(move |b| behaviour(audit, d, b)));
    let columns = vec![
        Column::left("Distribution", Width::Points(128.0)).sortable(),
        Column::left("Path", Width::Share(1.0)),
        Column::left("Cache policy", Width::Share(1.0)).sortable(),
        Column::left("Lifetimes, least, usual, most", Width::Points(176.0)),
        Column::left("Key: cookies", Width::Share(0.8)),
        Column::left("Key: query", Width::Share(0.7)),
        Column::left("Compressed", Width::Points(76.0)).sortable(),
    ];
    let table = Sheet { caption: &caption, ..Sheet::plain(Layer::Cdn, "behaviours", "Behaviours", columns, rows) };
    sheet(ui, table, model, tall, actions);
}

fn behaviour(audit: &Audit, distribution: &Distribution, b: &Behaviour) -> Row {
    let about = subject_name(distribution, &b.path_pattern);
    let found = mark(audit, |r| r.finding.subject.name == about);
    let mut cells = vec![Cell::Mono(distribution.id.clone()), Cell::Mono(b.path_pattern.clone())];
    match b.caching.settings() {
        Ok(policy) => cells.extend(policy_cells(policy, b.caching.is_legacy())),
        Err(gap) => cells.extend([Cell::Weak(text::cut(&gap.detail, 120)), Cell::None("–"), Cell::None("–"), Cell::None("–")]),
    }
    cells.push(Cell::Weak(if b.is_compressed { "yes" } else { "no" }.to_owned()));
    Row::new(cells, found)
}

fn policy_cells(policy: &CachePolicy, is_legacy: bool) -> [Cell; 4] {
    let seconds = |s: i64| text::seconds(s as f64);
    [
        Cell::Text(if is_legacy { "legacy settings".to_owned() } else { policy.name.clone() }),
        Cell::Weak(format!("{}, {}, {}", seconds(policy.min_ttl_s), seconds(policy.default_ttl_s), seconds(policy.max_ttl_s))),
        Cell::Weak(names(&policy.cookies)),
        Cell::Weak(names(&policy.query)),
    ]
}

fn names(names: &Names) -> String {
    match names {
        Names::None => "none".to_owned(),
        Names::All => "all".to_owned(),
        Names::Only(list) => list.join(", "),
        Names::Except(list) => format!("all but {}", list.join(", ")),
    }
}

fn origins(ui: &mut Ui, model: &Model, all: &[Distribution], tall: f32, actions: &mut Vec<Action>) {
    let row = |d: &Distribution, o: &Origin| {
        let access = match o.access {
            OriginAccess::None => Cell::None("–"),
            OriginAccess::Identity => Cell::Weak("OAI".to_owned()),
            OriginAccess::Control => Cell::Weak("OAC".to_owned()),
        };
        let protocol = o.protocol.clone().map_or(Cell::None("–"), Cell::Weak);
        let cells = vec![
            Cell::Mono(d.id.clone()),
            Cell::Mono(o.domain.clone()),
            access,
            protocol,
            Cell::Weak(if o.has_shield { "yes" } else { "no" }.to_owned()),
        ];
        Row::new(cells, None)
    };
    let columns = vec![
        Column::left("Distribution", Width::Points(128.0)).sortable(),
        Column::left("Origin", Width::Share(1.0)).sortable(),
        Column::left("Access", Width::Points(64.0)),
        Column::left("Protocol", Width::Points(84.0)),
        Column::left("Shield", Width::Points(52.0)),
    ];
    let table = Sheet::plain(Layer::Cdn, "origins", "Origins", columns, all.iter().flat_map(|d| d.origins.iter().map(move |o| row(d, o))));
    sheet(ui, table, model, tall, actions);
}

fn buckets(ui: &mut Ui, model: &Model, all: &Listed<Bucket>, tall: f32, actions: &mut Vec<Action>) {
    let row = |b: &Bucket| {
        let open = match &b.is_read_unsigned {
            Ok(true) => Cell::Off("yes".to_owned()),
            Ok(false) => Cell::Weak("no".to_owned()),
            Err(_) => Cell::None("not told"),
        };
        let objects = match &b.objects {
            Ok(sample) => Cell::number(
                sample.listed as f64,
                if sample.is_whole { text::count(sample.listed) } else { format!("> {}", text::count(sample.listed)) },
            ),
            Err(_) => Cell::None("not read"),
        };
        let region = b.region.as_ref().map_or(Cell::None("not told"), |r| Cell::Weak(r.clone()));
        Row::new(vec![Cell::Mono(b.name.clone()), region, open, objects], None)
    };
    let columns = vec![
        Column::left("Bucket", Width::Share(1.0)).sortable(),
        Column::left("Region", Width::Points(96.0)).sortable(),
        Column::left("Read by all", Width::Points(84.0)).sortable(),
        Column::right("Objects", Width::Points(76.0)).sortable(),
    ];
    let table =
        Sheet { caption: &counted(all, "bucket", "buckets"), ..Sheet::plain(Layer::Cdn, "buckets", "Buckets", columns, all.rows.iter().map(row)) };
    sheet(ui, table, model, tall, actions);
}
