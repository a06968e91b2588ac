//! Lines above the scores: what a reader must know before believing the figures.

use eframe::egui::{Role, Sense, Ui, WidgetInfo, pos2, vec2};

use crate::app::{Action, Audit, FindingsTab, Model, Page};
use crate::plan::score::LayerStatus;
use crate::text;
use crate::ui::fonts::{Type, Weight};
use crate::ui::icons::{self, Face};
use crate::ui::look;
use crate::ui::theme::{Theme, space};
use crate::ui::widgets::{paint, partial_line, refreshing};

/// Older figures carry their date in the high colour.
const OLD_DAYS: i64 = 7;

pub fn show(ui: &mut Ui, model: &Model, audit: &Audit, actions: &mut Vec<Action>) {
    let before = ui.cursor().top();
    if model.audit.is_pending() {
        ui.horizontal(|ui| refreshing(ui, "Opening another audit"));
    }
    old(ui, audit);
    let meta = &audit.snapshot.meta;
    if meta.cancelled {
        let words = format!(
            "This audit was cancelled after {} of its {} window. What was read is kept.",
            text::seconds(meta.window_s),
            text::seconds(meta.window_asked_s)
        );
        details(ui, &words, actions);
    }
    let unread = |status| audit.plan.layers.iter().filter(|l| l.status == status).collect::<Vec<_>>();
    for layer in unread(LayerStatus::Unreachable) {
        let reason = layer.note.as_deref().unwrap_or("It did not answer.");
        details(ui, &format!("{} was not read. {reason}", layer.layer.name()), actions);
    }
    let partly = unread(LayerStatus::Partial);
    if !partly.is_empty() && !meta.cancelled && !gap_is_shown_below(audit) {
        let names: Vec<&str> = partly.iter().map(|l| l.layer.name()).collect();
        details(ui, &format!("Partly read: {}.", names.join(", ")), actions);
    }
    if ui.cursor().top() > before {
        ui.add_space(space::S);
    }
}

/// A missing grant has its card under "Not checked"; it needs no line up here.
fn gap_is_shown_below(audit: &Audit) -> bool {
    let waits = |gap: &crate::evidence::Gap| audit.plan.unknown.iter().any(|(_, g)| g.section == gap.section);
    audit.snapshot.gaps().iter().all(waits)
}

fn details(ui: &mut Ui, words: &str, actions: &mut Vec<Action>) {
    if partial_line(ui, words) {
        actions.push(Action::FindingsTab(FindingsTab::NotChecked));
        actions.push(Action::Go(Page::Findings));
    }
    ui.add_space(space::XS);
}

fn old(ui: &mut Ui, audit: &Audit) {
    let taken_at = audit.snapshot.meta.taken_at;
    let days = (time::OffsetDateTime::now_utc() - taken_at).whole_days();
    // The demo store is a recording: its age says nothing.
    if days <= OLD_DAYS || audit.store.as_deref() == Some(crate::app::DEMO) {
        return;
    }
    let theme = Theme::get(ui);
    let words = format!("These figures are of {}, {} old.", look::day(taken_at), text::plural(days as u64, "day", "days"));
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 20.0), Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(Role::Status, true, &words));
    let y = rect.center().y;
    paint::icon(ui.painter(), pos2(rect.left() + 7.0, y), icons::CLOCK, Face::Regular, 14.0, theme.high.fg);
    paint::text_left(ui.painter(), pos2(rect.left() + 22.0, y), &words, Type::Label(Weight::Medium), theme.high.fg, rect.width() - 22.0);
    ui.add_space(space::XS);
}
