//! The keys of the page: J K ↑ ↓ move, / searches, C copies the fix, D dismisses, V checks again, M opens the metric.

use eframe::egui::{Key, Modifiers, Ui};

use super::rows::Rows;
use crate::app::{Action, FindingsTab, Model, Page};
use crate::evidence::Layer;
use crate::plan::Ranked;

/// Pushes what the pressed keys ask for; nothing while somebody types or a dialog is open.
pub fn act(ui: &Ui, model: &Model, rows: &Rows<'_>, actions: &mut Vec<Action>) {
    if model.dialog.is_some() || ui.ctx().text_edit_focused() {
        return;
    }
    let pressed = |key: Key| ui.input_mut(|input| input.consume_key(Modifiers::NONE, key));
    let down = pressed(Key::J) || pressed(Key::ArrowDown);
    let up = pressed(Key::K) || pressed(Key::ArrowUp);
    if down || up {
        step(model, rows, if down { 1 } else { -1 }, actions);
    }
    if pressed(Key::Slash) {
        actions.push(Action::FocusSearch);
    }
    let Some(ranked) = rows.current(model.findings.selected.as_deref()) else { return };
    if pressed(Key::C)
        && let Some(remedy) = ranked.finding.remedies.get(model.findings.remedy).or_else(|| ranked.finding.remedies.first())
    {
        actions.push(Action::Copy { text: remedy.text.clone(), what: "Fix".into() });
    }
    if model.findings.tab == FindingsTab::Open && pressed(Key::D) {
        actions.push(Action::AskDismiss(ranked.key.clone()));
    }
    if model.findings.tab == FindingsTab::Open && pressed(Key::V) {
        actions.push(Action::CheckAgain(ranked.key.clone()));
    }
    if pressed(Key::M) {
        open_metric(ranked, actions);
    }
}

/// Selects the next row, or the one before; in the order of the list, groups included.
fn step(model: &Model, rows: &Rows<'_>, by: isize, actions: &mut Vec<Action>) {
    let keys: Vec<&str> = rows.findings().map(|r| r.key.as_str()).collect();
    if keys.is_empty() {
        return;
    }
    let selected = model.findings.selected.as_deref();
    let at = selected.and_then(|k| keys.iter().position(|x| *x == k)).unwrap_or(0);
    let to = at.saturating_add_signed(by).min(keys.len() - 1);
    if selected != Some(keys[to]) {
        actions.push(Action::SelectFinding(keys[to].to_owned()));
    }
}

/// Opens the metrics page whose table holds what the finding is about.
pub fn open_metric(ranked: &Ranked, actions: &mut Vec<Action>) {
    let layer = ranked.check.layer;
    let kind = ranked.finding.subject.kind.as_str();
    let tab = match (layer, kind) {
        (Layer::Postgres, "table") => 1,
        // An index that is missing is seen by the statements that lack it, where there are some.
        (Layer::Postgres, "columns") if !ranked.finding.touches.iter().any(|t| t.starts_with("statement:")) => 1,
        (Layer::Postgres, "index") => 2,
        (Layer::Postgres, "server") => 3,
        (Layer::Postgres, "setting") => 4,
        (Layer::Redis, "command") => 1,
        (Layer::Redis, "server") => 3,
        (Layer::Cdn, "rule" | "zone" | "setting") => 1,
        (Layer::Cdn, "host") => 3,
        (Layer::App, "setting" | "server") => 1,
        _ => 0,
    };
    let statement = ranked.finding.touches.iter().find_map(|t| t.strip_prefix("statement:"));
    if let (Layer::Postgres, 0, Some(id)) = (layer, tab, statement) {
        return actions.push(Action::OpenStatement(id.to_owned()));
    }
    actions.push(Action::MetricsTab(layer, tab));
    actions.push(Action::Go(Page::Metrics(layer)));
}
