//! The page a leader reads: scores, targets, the first steps, and what was not checked.

mod gaps;
mod notes;
mod steps;
mod targets;

use eframe::egui::Ui;

use crate::app::{Action, Audit, Model, Page};
use crate::evidence::Layer;
use crate::plan::score::{LayerStatus, LayerSummary};
use crate::text;
use crate::ui::icons;
use crate::ui::look;
use crate::ui::shell::{scrolling_body, shown_store};
use crate::ui::theme::{height, space};
use crate::ui::widgets::{Button, Condition, Delta, Kind, Score, Width, button, columns, loading_card, page_state, score_card, top_bar};

/// Narrower content stacks what stands side by side.
const STACK_BELOW: f32 = 880.0;
const TARGETS_TALL: f32 = 256.0;
const NOT_CHECKED_WIDE: f32 = 288.0;
/// Head, five steps and the card's edges.
const STEPS_TALL: f32 = 40.0 + 5.0 * height::PLAN_ROW + 2.0;

/// Draws the page.
pub fn show(ui: &mut Ui, model: &Model, actions: &mut Vec<Action>) {
    let Some(audit) = model.current_audit() else {
        top_bar(ui, "Overview", "", |_| {});
        scrolling_body(ui, "overview", |ui| {
            if model.audit.is_pending() {
                loading_card(ui, "Audit", 0.0);
            } else if page_state(ui, Condition::Empty, "No audit yet", "Run one to see scores and findings.", Some("All stores")) {
                actions.push(Action::Go(Page::Stores));
            }
        });
        return;
    };
    bar(ui, model, audit, actions);
    scrolling_body(ui, "overview", |ui| {
        let room = ui.clip_rect().height() - space::PAGE_Y * 2.0;
        let top = ui.cursor().top();
        notes::show(ui, model, audit, actions);
        let is_stacked = ui.available_width() < STACK_BELOW;
        scores(ui, audit, is_stacked, actions);
        ui.add_space(space::M);
        measures(ui, audit, is_stacked);
        ui.add_space(space::M);
        let left = room - (ui.cursor().top() - top);
        lower(ui, audit, is_stacked, left, actions);
    });
}

fn bar(ui: &mut Ui, model: &Model, audit: &Audit, actions: &mut Vec<Action>) {
    let meta = &audit.snapshot.meta;
    let window = if meta.window_s > 0.0 { format!(", over a {} window", text::seconds(meta.window_s)) } else { ", without a window".to_owned() };
    let caption = format!("Audited {}{window}", look::when(meta.taken_at));
    let store = shown_store(model);
    top_bar(ui, "Overview", &caption, |ui| {
        let is_running = model.running.is_some();
        let blocked = match store {
            None => Some("This snapshot was opened from a file: it belongs to no saved store"),
            Some(store) if store.is_demo() => Some("The demo store is recorded: there is nothing to audit"),
            Some(_) => None,
        };
        let word = if is_running { "Show audit" } else { "Run audit" };
        if Button::new(Kind::Primary, word).icon(icons::PLAY).blocked(blocked).show(ui).clicked()
            && let Some(store) = store
        {
            actions.push(Action::StartAudit(store.profile.id.clone()));
        }
        if button(ui, Kind::Secondary, icons::FILE_ARROW_DOWN, "Export").clicked() {
            actions.push(Action::Go(Page::Export));
        }
        if let Some((before, after)) = store.and_then(|s| pair(&s.audits, audit))
            && button(ui, Kind::Secondary, icons::ARROWS_LEFT_RIGHT, "Compare").clicked()
        {
            actions.push(Action::Compare { before, after });
        }
    });
}

/// The open audit and the one before it; the two newest when the open one is the first.
fn pair(audits: &[crate::history::Entry], audit: &Audit) -> Option<(std::path::PathBuf, std::path::PathBuf)> {
    if audits.len() < 2 {
        return None;
    }
    let open = audits.iter().position(|e| Some(&e.path) == audit.path.as_ref()).unwrap_or(0);
    let after = open.min(audits.len() - 2);
    Some((audits[after + 1].path.clone(), audits[after].path.clone()))
}

fn scores(ui: &mut Ui, audit: &Audit, is_stacked: bool, actions: &mut Vec<Action>) {
    let in_a_row = if is_stacked { 2 } else { 4 };
    for (row, layers) in audit.plan.layers.chunks(in_a_row).enumerate() {
        if row > 0 {
            ui.add_space(space::M);
        }
        columns(ui, &vec![Width::Share(1.0); layers.len()], 92.0, space::M, |ui, index| score(ui, audit, &layers[index], actions));
    }
}

fn score(ui: &mut Ui, audit: &Audit, layer: &LayerSummary, actions: &mut Vec<Action>) {
    let absent = match layer.status {
        LayerStatus::Unreachable => "unreachable",
        LayerStatus::NotConfigured => "not connected",
        LayerStatus::Audited | LayerStatus::Partial => "not measured",
    };
    let shown = layer.score.map_or(Score::Absent(absent), |s| Score::Of(u8::try_from(s).unwrap_or(100)));
    let moved = moved(audit, layer.layer, layer.score);
    let words = moved.map_or_else(String::new, |by| if by > 0 { format!("+{by}") } else { text::number(f64::from(by)) });
    let delta = match moved {
        None => Delta::None,
        Some(0) => Delta::Same,
        Some(by) if by > 0 => Delta::Better(&words),
        Some(_) => Delta::Worse(&words),
    };
    let counts = if layer.score.is_some() { counts(layer) } else { String::new() };
    if score_card(ui, look::hue(layer.layer), shown, delta, &counts).clicked() {
        actions.push(Action::Go(Page::Metrics(layer.layer)));
    }
}

/// Points since the audit before; `None` without one.
fn moved(audit: &Audit, layer: Layer, score: Option<u32>) -> Option<i32> {
    let before = audit.previous.as_ref()?.iter().find(|(l, _)| *l == layer)?.1?;
    Some(score? as i32 - before as i32)
}

/// The two worst severities: "1 critical, 4 medium".
fn counts(layer: &LayerSummary) -> String {
    let words: Vec<String> = layer.counts.iter().filter(|(_, n)| *n > 0).take(2).map(|(s, n)| format!("{n} {}", s.id())).collect();
    if words.is_empty() { "no findings".to_owned() } else { words.join(", ") }
}

fn measures(ui: &mut Ui, audit: &Audit, is_stacked: bool) {
    if is_stacked {
        targets::gauges(ui, audit, TARGETS_TALL);
        ui.add_space(space::M);
        targets::path(ui, audit, TARGETS_TALL);
        return;
    }
    columns(ui, &[Width::Share(1.0); 2], TARGETS_TALL, space::M, |ui, index| match index {
        0 => targets::gauges(ui, audit, TARGETS_TALL),
        _ => targets::path(ui, audit, TARGETS_TALL),
    });
}

/// Steps and gaps share what height is left.
fn lower(ui: &mut Ui, audit: &Audit, is_stacked: bool, left: f32, actions: &mut Vec<Action>) {
    if is_stacked {
        steps::show(ui, audit, STEPS_TALL, actions);
        ui.add_space(space::M);
        gaps::show(ui, audit, STEPS_TALL, actions);
        return;
    }
    let tall = left.max(STEPS_TALL);
    columns(ui, &[Width::Share(1.0), Width::Points(NOT_CHECKED_WIDE)], tall, space::M, |ui, index| match index {
        0 => steps::show(ui, audit, tall, actions),
        _ => gaps::show(ui, audit, tall, actions),
    });
}
