//! One address in full: each request of the recipe, what it sent and what came back.

use eframe::egui::{ScrollArea, Ui};

use super::sheet::{Cell, Row, Sheet, show as sheet};
use super::{GAP, chart_height};
use crate::app::{Action, Model};
use crate::evidence::Layer;
use crate::evidence::edge::verdict;
use crate::evidence::storefront::{Answer, Probe, Target};
use crate::text;
use crate::ui::icons;
use crate::ui::widgets::{Column, Language, Width, code_box, columns, copy_button, icon_button, titled_card};

/// Draws both cards above the table of addresses.
pub fn show(ui: &mut Ui, model: &Model, target: &Target, actions: &mut Vec<Action>) {
    let height = chart_height(ui);
    columns(ui, &[Width::Share(1.1), Width::Share(1.0)], height, GAP, |ui, index| match index {
        0 => requests(ui, model, target, height, actions),
        _ => exchange(ui, target, height, actions),
    });
    ui.add_space(GAP);
}

fn requests(ui: &mut Ui, model: &Model, target: &Target, height: f32, actions: &mut Vec<Action>) {
    let columns = vec![
        Column::left("Request", Width::Share(1.2)),
        Column::right("Status", Width::Points(52.0)),
        Column::left("Cache", Width::Points(68.0)),
        Column::right("Age, s", Width::Points(56.0)),
        Column::right("Size", Width::Points(72.0)),
        Column::right("First byte", Width::Points(72.0)),
        Column::right("All", Width::Points(72.0)),
    ];
    let table = Sheet {
        caption: super::cdn_tables::path_of(&target.url),
        ..Sheet::plain(Layer::Cdn, "requests", "Requests", columns, target.probes.iter().map(row))
    };
    sheet(ui, table, model, height, actions);
}

fn row(probe: &Probe) -> Row {
    let name = Cell::Text(probe.variant.name().to_owned());
    let cells = match &probe.answer {
        Ok(a) => vec![
            name,
            Cell::number(f64::from(a.status), a.status.to_string()),
            Cell::Weak(verdict(a).name().to_owned()),
            a.header("age").and_then(|v| v.trim().parse::<u64>().ok()).map_or(Cell::None("–"), Cell::count),
            Cell::number(
                a.body_bytes as f64,
                if a.body_cut { format!("> {}", text::bytes_disk(a.body_bytes)) } else { text::bytes_disk(a.body_bytes) },
            ),
            Cell::number(a.first_byte_ms, text::millis(a.first_byte_ms)),
            Cell::number(a.total_ms, text::millis(a.total_ms)),
        ],
        Err(_) => vec![name, Cell::None("–"), Cell::Off("no answer".to_owned())],
    };
    Row::new(cells, None)
}

/// As `curl -v` prints it.
fn exchange(ui: &mut Ui, target: &Target, height: f32, actions: &mut Vec<Action>) {
    let lines = trace(target);
    let buttons = |ui: &mut Ui| {
        if icon_button(ui, icons::X, 24.0, "Close the address").clicked() {
            actions.push(Action::SelectTarget(None));
        }
        copy_button(ui, "Copy trace", || lines.join("\n"));
    };
    titled_card(ui, "Sent and received", "cookies without their values", Some(height), buttons, |ui| {
        ScrollArea::vertical().id_salt(("trace", &target.url)).auto_shrink(false).show(ui, |ui| {
            code_box(ui, &lines.join("\n"), Language::Plain);
        });
    });
}

fn trace(target: &Target) -> Vec<String> {
    let mut lines = Vec::new();
    for probe in &target.probes {
        if !lines.is_empty() {
            lines.push(String::new());
        }
        lines.push(format!("# {}", probe.variant.name()));
        lines.push(format!("> GET {}", target.url));
        lines.extend(probe.sent.iter().map(|(name, value)| format!("> {name}: {value}")));
        match &probe.answer {
            Ok(answer) => lines.extend(received(answer)),
            Err(sentence) => lines.push(format!("! {sentence}")),
        }
    }
    lines
}

fn received(answer: &Answer) -> impl Iterator<Item = String> + '_ {
    let hops = answer.redirects.iter().map(|(status, to)| format!("< {status} to {to}"));
    let status = std::iter::once(format!("< {} {}", answer.protocol, answer.status));
    hops.chain(status).chain(answer.headers.iter().map(|(name, value)| format!("< {name}: {value}")))
}
