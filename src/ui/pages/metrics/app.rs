//! The application: how long the store API takes, and what the installation consists of.

use std::sync::Arc;

use eframe::egui::Ui;

use super::cdn::path_mark;
use super::cdn_tables::path_of;
use super::sheet::{Cell, Row, Sheet, mark, show};
use super::{Figure, GAP, chart_height, gap_state, split_unit, stats, window_words};
use crate::app::{Action, Audit, Model};
use crate::charts;
use crate::checks::measures::{self, TIMINGS_MIN};
use crate::evidence::storefront::Target;
use crate::evidence::{Gap, Layer};
use crate::text;
use crate::ui::draw;
use crate::ui::look;
use crate::ui::widgets::{Column, Width, columns};

/// "Medusa 2.21.2, api.northwind.com, 30 s window of …".
pub fn caption(audit: &Audit) -> String {
    let version = audit.snapshot.medusa().ok().map(|m| format!("Medusa {}", m.version));
    let url = audit.snapshot.shop().ok().and_then(|s| s.backend_url.clone());
    let host = url.map(|u| u.split_once("://").map_or(u.clone(), |(_, host)| host.to_owned()));
    [version, host, Some(window_words(audit))].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// Draws the segment `tab`.
pub fn page(ui: &mut Ui, model: &Model, audit: &Audit, tab: usize, actions: &mut Vec<Action>) {
    stats(ui, &figures(audit));
    if tab == 0 {
        endpoints(ui, model, audit, actions);
    } else {
        configuration(ui, model, audit, actions);
    }
}

fn api(audit: &Audit) -> Result<&[Target], Gap> {
    audit.snapshot.storefront.as_ref().map_err(Gap::clone)?.api().map(Vec::as_slice)
}

fn figures(audit: &Audit) -> [Figure; 5] {
    [
        Figure::of("Slowest endpoint, P95", slowest(audit)),
        Figure::of(
            "Its median",
            measures::api_p95(&audit.snapshot).map(|l| {
                let (figure, unit) = split_unit(&text::millis(l.p50_ms));
                Figure::new("Its median", figure, unit, format!("{}, {}", l.endpoint, text::plural(l.samples, "probe", "probes")))
            }),
        ),
        Figure::of("Over the target", over_target(audit)),
        Figure::of("Failed answers", api(audit).map(failures)),
        Figure::of(
            "Medusa",
            audit.snapshot.medusa().map(|m| {
                let present = m.modules.iter().filter(|m| m.is_present).count();
                Figure::new("Medusa", m.version.clone(), "", format!("{present} modules, {} tables", m.tables))
            }),
        ),
    ]
}

fn slowest(audit: &Audit) -> Result<Figure, Gap> {
    let target = audit.snapshot.meta.targets.p95_ms_max;
    let l = measures::api_p95(&audit.snapshot)?;
    let (figure, unit) = split_unit(&text::millis(l.p95_ms));
    let context = format!("target {}, {}", text::millis(target), l.endpoint);
    Ok(Figure::new("Slowest endpoint, P95", figure, unit, context).off_target(l.p95_ms > target))
}

fn over_target(audit: &Audit) -> Result<Figure, Gap> {
    let target = audit.snapshot.meta.targets.p95_ms_max;
    let rows = charts::app::endpoints(&audit.snapshot)?;
    if rows.is_empty() {
        return Ok(Figure::missing("Over the target", &format!("{TIMINGS_MIN} timed answers an endpoint are needed")));
    }
    let over = rows.iter().filter(|r| r.p95_ms > target).count();
    let context = format!("P95 above {}", text::millis(target));
    Ok(Figure::new("Over the target", over.to_string(), format!("of {}", text::plural(rows.len() as u64, "endpoint", "endpoints")), context)
        .off_target(over > 0))
}

fn failures(targets: &[Target]) -> Figure {
    let probes = || targets.iter().flat_map(|t| &t.probes);
    let failed = probes().filter(|p| p.answer.as_ref().map_or(true, |a| a.status >= 500)).count();
    let context = format!("of {}, 5xx or no answer", text::plural(probes().count() as u64, "probe", "probes"));
    Figure::new("Failed answers", failed.to_string(), "", context).off_target(failed > 0)
}

fn endpoints(ui: &mut Ui, model: &Model, audit: &Audit, actions: &mut Vec<Action>) {
    let targets = match api(audit) {
        Ok(targets) => targets,
        Err(gap) => return gap_state(ui, audit, &gap, actions),
    };
    let height = chart_height(ui);
    let (p95, latency) = (charts::app::p95_by_endpoint(&audit.snapshot), charts::app::latency(&audit.snapshot));
    columns(ui, &[Width::Share(1.0); 2], height, GAP, |ui, index| match index {
        0 => draw::chart_card(ui, "P95 by endpoint", &p95, height, &[]),
        _ => draw::chart_card(ui, "Store API latency", &latency, height, &[]),
    });
    ui.add_space(GAP);
    let target_ms = audit.snapshot.meta.targets.p95_ms_max;
    let mut rows: Vec<(f64, Row)> = targets.iter().map(|t| endpoint_row(audit, t, target_ms)).collect();
    rows.sort_by(|a, b| b.0.total_cmp(&a.0));
    let sheet = Sheet {
        id: "endpoints",
        title: "Endpoints by P95",
        caption: &format!("timed by the audit, target {}", text::millis(target_ms)),
        columns: vec![
            Column::left("Endpoint", Width::Share(1.0)).sortable(),
            Column::right("P95", Width::Points(88.0)).sortable(),
            Column::right("Median", Width::Points(88.0)).sortable(),
            Column::right("First byte", Width::Points(88.0)).sortable(),
            Column::right("Probes", Width::Points(64.0)).sortable(),
            Column::right("Status", Width::Points(56.0)).sortable(),
            Column::right("Bytes", Width::Points(76.0)).sortable(),
            Column::left("Verdict", Width::Points(160.0)).sortable(),
        ],
        rows: Arc::new(rows.into_iter().map(|r| r.1).collect()),
        hue: look::hue(Layer::App),
        filter: "Filter endpoints",
        since: None,
        note: "",
        selected: None,
    };
    let tall = ui.available_height();
    show(ui, sheet, model, tall, actions);
}

fn endpoint_row(audit: &Audit, t: &Target, target_ms: f64) -> (f64, Row) {
    let path = path_of(&t.url);
    let latency = measures::latency(t);
    let enough = latency.as_ref().filter(|l| l.samples >= TIMINGS_MIN);
    let answer = t.probes.iter().find_map(|p| p.answer.as_ref().ok());
    let verdict = match (enough, &latency) {
        (Some(l), _) if l.p95_ms > target_ms => Cell::Number { value: 2.0, shown: "over target".into(), is_off: true },
        (Some(_), _) => Cell::number(1.0, "on target"),
        (None, Some(l)) => Cell::None(if l.samples > 0 { "too few probes for a P95" } else { "not timed" }),
        (None, None) => Cell::None("not timed"),
    };
    let time = |ms: Option<f64>| ms.map_or(Cell::None("not measured"), |ms| Cell::number(ms, text::millis(ms)));
    let p95 = enough.map(|l| l.p95_ms);
    let cells = vec![
        Cell::Mono(format!("GET {path}")),
        p95.map_or(Cell::None("not measured"), |ms| Cell::Strong { value: ms, shown: text::millis(ms) }),
        time(latency.as_ref().map(|l| l.p50_ms)),
        time(answer.map(|a| a.first_byte_ms)),
        Cell::count(latency.as_ref().map_or(0, |l| l.samples)),
        answer.map_or(Cell::None("no answer"), |a| Cell::number(f64::from(a.status), a.status.to_string())),
        answer.map_or(Cell::None("–"), |a| Cell::number(a.body_bytes as f64, text::bytes_disk(a.body_bytes))),
        verdict,
    ];
    let endpoint = format!("GET {path}");
    let own = mark(audit, |r| r.check.layer == Layer::App && r.finding.subject.name == endpoint);
    (p95.unwrap_or(-1.0), Row::new(cells, own.or_else(|| path_mark(audit, path, Layer::App))))
}

/// Modules of the installation beside the sizes that decide what is worth doing.
fn configuration(ui: &mut Ui, model: &Model, audit: &Audit, actions: &mut Vec<Action>) {
    let tall = ui.available_height();
    columns(ui, &[Width::Share(1.0); 2], tall, GAP, |ui, index| match index {
        0 => modules(ui, model, audit, tall, actions),
        _ => row_counts(ui, model, audit, tall, actions),
    });
}

fn modules(ui: &mut Ui, model: &Model, audit: &Audit, tall: f32, actions: &mut Vec<Action>) {
    let medusa = match audit.snapshot.medusa() {
        Ok(medusa) => medusa,
        Err(gap) => return gap_state(ui, audit, &gap, actions),
    };
    let row = |m: &crate::evidence::medusa::Module| {
        let state = if m.is_present { Cell::Text("installed".into()) } else { Cell::None("not installed") };
        Row::new(vec![Cell::Text(m.name.clone()), Cell::Mono(format!("{}.{}", medusa.schema, m.table)), state], None)
    };
    let sheet = Sheet {
        id: "modules",
        title: "Modules",
        caption: &format!("Medusa {}, told by {}", medusa.version, medusa.evidence),
        columns: vec![
            Column::left("Module", Width::Share(1.0)).sortable(),
            Column::left("Its table", Width::Share(1.2)).sortable(),
            Column::left("State", Width::Points(96.0)).sortable(),
        ],
        rows: Arc::new(medusa.modules.iter().map(row).collect()),
        hue: look::hue(Layer::App),
        filter: "",
        since: None,
        note: "",
        selected: None,
    };
    show(ui, sheet, model, tall, actions);
}

fn row_counts(ui: &mut Ui, model: &Model, audit: &Audit, tall: f32, actions: &mut Vec<Action>) {
    let counts = match audit.snapshot.pg().and_then(|pg| pg.row_counts()) {
        Ok(counts) => counts,
        Err(gap) => return gap_state(ui, audit, &gap, actions),
    };
    let row = |c: &crate::evidence::medusa::RowCount| {
        let basis = if c.is_estimate { "estimated" } else { "counted" };
        let cells = vec![
            Cell::Mono(c.table.clone()),
            Cell::Weak(c.what.replace('_', " ")),
            Cell::Strong { value: c.rows as f64, shown: text::count(c.rows) },
            Cell::Weak(basis.into()),
        ];
        Row::new(cells, super::sheet::touching(audit, &format!("table:{}", c.table)))
    };
    let sheet = Sheet {
        id: "row counts",
        title: "Size of the store",
        caption: "rows in the database",
        columns: vec![
            Column::left("Table", Width::Share(1.0)).sortable(),
            Column::left("What", Width::Share(0.8)).sortable(),
            Column::right("Rows", Width::Points(80.0)).sortable(),
            Column::left("Basis", Width::Points(150.0)).sortable(),
        ],
        rows: Arc::new(counts.iter().filter(|c| !c.is_mark()).map(row).collect()),
        hue: look::hue(Layer::App),
        filter: "",
        since: None,
        note: "",
        selected: None,
    };
    show(ui, sheet, model, tall, actions);
}
