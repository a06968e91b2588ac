//! The Audit page: an audit in progress, and what it costs the store.

mod activity;
mod lanes;
mod live;
mod phases;

use eframe::egui::{self, ScrollArea, Ui};
use time::OffsetDateTime;

use crate::app::{Action, Model, Phase, Running};
use crate::connect::profile::Limits;
use crate::text;
use crate::ui::icons;
use crate::ui::theme::space;
use crate::ui::widgets::{Button, Condition, Kind, button, key_cap, menu, page_state, tooltip_rows, top_bar};

/// The activity list is never lower than this; below, the page scrolls.
const ACTIVITY_MIN: f32 = 120.0;

/// Draws the page.
pub fn show(ui: &mut Ui, model: &Model, actions: &mut Vec<Action>) {
    ui.spacing_mut().item_spacing.y = 0.0;
    let Some(running) = &model.running else {
        top_bar(ui, "Audit", "", |_| {});
        egui::Frame::NONE.inner_margin(egui::Margin::symmetric(24, 16)).show(ui, |ui| {
            let words = "Start one from the list of stores or from the overview.";
            page_state(ui, Condition::NotChecked, "No audit is running", words, None);
        });
        return;
    };
    let now = OffsetDateTime::now_utc();
    let clock = Clock::of(running, now);
    // The times on the page pass by the second.
    ui.ctx().request_repaint_after_secs(0.5);
    bar(ui, model, running, &clock, actions);
    ScrollArea::vertical().id_salt("audit").auto_shrink([false, false]).show(ui, |ui| {
        let side = ((ui.available_width() - space::CONTENT_MAX) / 2.0).max(space::PAGE_X);
        let height = ui.available_height();
        let room = ui.available_rect_before_wrap();
        let inside = egui::Rect::from_min_max(
            egui::pos2(room.left() + side, room.top() + space::PAGE_Y),
            egui::pos2(room.right() - side, room.bottom().max(room.top() + height)),
        );
        ui.scope_builder(egui::UiBuilder::new().max_rect(inside), |ui| {
            ui.spacing_mut().item_spacing.y = 0.0;
            let top = ui.cursor().top();
            phases::show(ui, running, &clock, actions);
            ui.add_space(space::L);
            lanes::show(ui, running);
            ui.add_space(space::L);
            live::show(ui, model, running, &clock);
            ui.add_space(space::L);
            let used = ui.cursor().top() - top;
            activity::show(ui, running, (height - 2.0 * space::PAGE_Y - used).max(ACTIVITY_MIN));
            ui.add_space(space::PAGE_Y);
        });
    });
}

fn bar(ui: &mut Ui, model: &Model, running: &Running, clock: &Clock, actions: &mut Vec<Action>) {
    let caption = format!(
        "Started {} UTC, {} of about {}",
        text::clock(running.started_at.to_offset(time::UtcOffset::UTC)),
        minutes(clock.elapsed_s),
        minutes(clock.total_s)
    );
    top_bar(ui, "Audit", &caption, |ui| {
        let (label, blocked) = match running.is_cancelling {
            true => ("Cancelling", Some("Waiting for the call in progress to end. What was read is kept.")),
            false => ("Cancel", None),
        };
        if !running.is_cancelling {
            key_cap(ui, "Esc");
        }
        if Button::new(Kind::Secondary, label).icon(icons::STOP).blocked(blocked).show(ui).clicked() {
            actions.push(Action::AskCancelAudit);
        }
        if let Some(store) = model.store(&running.store) {
            limits(ui, running, &store.profile.limits);
        }
    });
}

/// What this run keeps to; it cannot be changed while it runs, but for the window.
fn limits(ui: &mut Ui, running: &Running, limits: &Limits) {
    let response = button(ui, Kind::Ghost, None, "Settings of this run");
    let millis = |ms: u32| text::millis(f64::from(ms));
    let rows = [
        ("Window", text::seconds(running.window_s)),
        ("Postgres statement", format!("at most {}", millis(limits.statement_timeout_ms))),
        ("Postgres lock", format!("at most {}", millis(limits.lock_timeout_ms))),
        ("Redis commands", format!("at most {}", text::per_second(f64::from(limits.redis_commands_per_s)))),
        ("Redis keys sampled", format!("at most {}", text::count(u64::from(limits.redis_keys_max)))),
        ("Storefront requests", format!("at most {}", text::count(u64::from(limits.probe_requests_max)))),
    ];
    let rows: Vec<(&str, &str)> = rows.iter().map(|(name, value)| (*name, value.as_str())).collect();
    menu(&response, |ui| tooltip_rows(ui, "Settings of this run", &rows));
}

/// Where the run stands in time, seconds.
struct Clock {
    elapsed_s: f64,
    /// Seconds of the window that have passed; `None` before it opens.
    window_s: Option<f64>,
    /// About how long the whole run takes.
    total_s: f64,
    now: OffsetDateTime,
}

/// Readings take about this long before any has been timed, seconds.
const READING_GUESS_S: f64 = 8.0;
const JUDGING_S: f64 = 2.0;

impl Clock {
    fn of(running: &Running, now: OffsetDateTime) -> Self {
        let elapsed_s = (now - running.started_at).as_seconds_f64().max(0.0);
        let opened = running.window_opened_at;
        let window_s = opened.map(|at| (now - at).as_seconds_f64().clamp(0.0, running.window_s));
        let before = opened.map_or(READING_GUESS_S.max(elapsed_s), |at| (at - running.started_at).as_seconds_f64().max(0.0));
        // The second reading is shorter: what does not change is not read again.
        let planned = before + running.window_s + before * 0.5 + JUDGING_S;
        Self { elapsed_s, window_s, total_s: planned.max(elapsed_s), now }
    }

    /// 0–1 of the whole run; never full while it runs.
    fn share(&self) -> f32 {
        (self.elapsed_s / self.total_s.max(1.0)).clamp(0.0, 0.99) as f32
    }

    /// Seconds a phase took, or has taken so far; `None` when it has not begun.
    fn of_phase(&self, running: &Running, phase: Phase) -> Option<f64> {
        let place = running.phase_began.iter().position(|(p, _)| *p == phase)?;
        let began = running.phase_began[place].1;
        let ended = running.phase_began.get(place + 1).map_or(self.now, |(_, at)| *at);
        Some((ended - began).as_seconds_f64().max(0.0))
    }
}

/// `0:27`.
fn minutes(seconds: f64) -> String {
    let s = seconds.round().max(0.0) as u64;
    format!("{}:{:02}", s / 60, s % 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    fn running(window_opened_at: Option<OffsetDateTime>) -> Running {
        Running {
            run: 1,
            store: "x".into(),
            started_at: datetime!(2026-11-23 09:30:04 UTC),
            phase: Phase::Observe,
            window_s: 30.0,
            lanes: Vec::new(),
            activity: Vec::new(),
            live: Vec::new(),
            window_opened_at,
            phase_began: vec![(Phase::Connect, datetime!(2026-11-23 09:30:04 UTC)), (Phase::Read, datetime!(2026-11-23 09:30:05 UTC))],
            is_cancelling: false,
        }
    }

    #[test]
    fn the_clock_counts_window_and_phases() {
        let r = running(Some(datetime!(2026-11-23 09:30:12 UTC)));
        let clock = Clock::of(&r, datetime!(2026-11-23 09:30:31 UTC));
        assert_eq!((clock.elapsed_s, clock.window_s, clock.total_s), (27.0, Some(19.0), 44.0));
        assert_eq!((clock.of_phase(&r, Phase::Connect), clock.of_phase(&r, Phase::Judge)), (Some(1.0), None));
        assert_eq!(minutes(clock.total_s), "0:44");
    }

    #[test]
    fn an_overdue_run_is_never_full() {
        let clock = Clock::of(&running(None), datetime!(2026-11-23 10:30:00 UTC));
        assert_eq!(clock.window_s, None);
        assert!(clock.share() < 1.0);
    }
}
