//! Limits of one layer, closed until asked for.

use eframe::egui::Ui;

use super::Form;
use super::draft::Input;
use super::parts::{folded, set};
use crate::app::wizard::Field;
use crate::connect::profile::{WINDOW_S_MAX, WINDOW_S_MIN};
use crate::text;
use crate::ui::theme::space;

/// A number, its name and its unit in the label.
type Row<'a> = (Field, &'a str, String);

pub fn window(ui: &mut Ui, form: &mut Form<'_>) {
    let s = form.wizard.limits.window_s;
    let label = format!("Observation window, seconds, {} to {}", WINDOW_S_MIN, text::count(u64::from(WINDOW_S_MAX)));
    rows(ui, form, &format!("window {}", text::seconds(f64::from(s))), &[(Field::WindowSeconds, &label, s.to_string())]);
}

pub fn postgres(ui: &mut Ui, form: &mut Form<'_>) {
    let l = &form.wizard.limits;
    let millis = |ms: u32| text::millis(f64::from(ms));
    let summary = format!("statement {}, lock {}", millis(l.statement_timeout_ms), millis(l.lock_timeout_ms));
    let fields = [
        (Field::StatementTimeoutMs, "Statement timeout, ms", l.statement_timeout_ms.to_string()),
        (Field::LockTimeoutMs, "Lock timeout, ms", l.lock_timeout_ms.to_string()),
        (Field::PgMemory, "Memory, as 16GiB", form.wizard.postgres.memory.clone()),
    ];
    rows(ui, form, &summary, &fields);
}

pub fn redis(ui: &mut Ui, form: &mut Form<'_>) {
    let l = &form.wizard.limits;
    let summary = format!("{} commands per s, {} keys", text::count(u64::from(l.redis_commands_per_s)), text::count(u64::from(l.redis_keys_max)));
    let fields = [
        (Field::RedisCommandsPerS, "Commands per second", l.redis_commands_per_s.to_string()),
        (Field::RedisKeysMax, "Keys sampled", l.redis_keys_max.to_string()),
    ];
    rows(ui, form, &summary, &fields);
}

pub fn shop(ui: &mut Ui, form: &mut Form<'_>) {
    let l = &form.wizard.limits;
    let summary = format!("{} requests, {} timings", l.probe_requests_max, l.probe_timings);
    let fields = [
        (Field::ProbeRequestsMax, "Requests of a run", l.probe_requests_max.to_string()),
        (Field::ProbeTimings, "Timings of an endpoint", l.probe_timings.to_string()),
    ];
    rows(ui, form, &summary, &fields);
}

fn rows(ui: &mut Ui, form: &mut Form<'_>, summary: &str, fields: &[Row<'_>]) {
    if !folded(ui, "Limits", summary) {
        return;
    }
    ui.add_space(space::XS);
    let gaps = space::M * fields.len().saturating_sub(1) as f32;
    let width = ((ui.available_width() - gaps) / fields.len().max(1) as f32).floor();
    ui.horizontal_top(|ui| {
        for (field, label, shown) in fields {
            set(ui, form, *field, Input { label, shown, width: Some(width), ..Input::default() });
        }
    });
}
