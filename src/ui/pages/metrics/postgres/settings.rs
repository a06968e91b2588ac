//! Settings: what a finding speaks of and what somebody changed come before the defaults.

use eframe::egui::Ui;

use crate::app::{Action, Audit, Model};
use crate::evidence::Layer;
use crate::evidence::postgres::Setting;
use crate::text;
use crate::ui::look;
use crate::ui::pages::metrics::rows::{Cell, Marks, Row, made};
use crate::ui::pages::metrics::sheet::{self, Sheet};
use crate::ui::widgets::{Column, Width};

pub fn show(ui: &mut Ui, model: &Model, audit: &Audit, rows: &[Setting], actions: &mut Vec<Action>) {
    let changed = rows.iter().filter(|s| is_changed(s)).count();
    let caption = format!("{} of {} are not at their default", text::count(changed as u64), text::count(rows.len() as u64));
    let made = made(ui, model, audit, "settings", (), |marks| {
        let mut made: Vec<((bool, bool), Row)> = rows.iter().map(|s| row(marks, s)).collect();
        made.sort_by_key(|r| r.0);
        made.into_iter().map(|r| r.1).collect()
    });
    let roles = role_settings(audit);
    let sheet = Sheet {
        id: "settings",
        title: "Settings",
        caption: &caption,
        columns: vec![
            Column::left("Setting", Width::Share(1.2)).sortable(),
            Column::left("Value", Width::Share(1.0)),
            Column::left("Default", Width::Share(0.8)),
            Column::left("Set by", Width::Share(0.7)).sortable(),
            Column::left("Pending", Width::Points(124.0)).sortable(),
        ],
        rows: made,
        hue: look::hue(Layer::Postgres),
        filter: "Filter settings",
        since: None,
        note: &roles,
        selected: None,
    };
    let tall = ui.available_height();
    sheet::show(ui, sheet, model, tall, actions);
}

/// Roles bring settings of their own: what stands in the table does not hold for them.
fn role_settings(audit: &Audit) -> String {
    let Ok(roles) = audit.snapshot.pg().and_then(|pg| pg.roles()) else { return String::new() };
    let words = roles.iter().flat_map(|r| r.settings.iter().map(move |s| format!("{} {} for {}", s.name, s.value, r.role)));
    let words: Vec<String> = words.take(4).collect();
    if words.is_empty() { String::new() } else { format!("Otherwise for sessions of a role: {}.", words.join("; ")) }
}

/// What this audit's own connection sets says nothing of the store's.
fn is_own(s: &Setting) -> bool {
    matches!(s.source.as_str(), "session" | "client")
}

fn is_changed(s: &Setting) -> bool {
    s.source != "default" && !is_own(s) && s.boot_value.as_deref() != Some(s.value.as_str())
}

fn row(marks: &Marks, s: &Setting) -> ((bool, bool), Row) {
    let found = marks.about("setting", &s.name);
    let unit = s.unit.as_deref();
    let cells = vec![
        Cell::Mono(s.name.clone()),
        if is_changed(s) { Cell::Strong { value: 0.0, shown: shown(&s.value, unit) } } else { Cell::Text(shown(&s.value, unit)) },
        s.boot_value.as_deref().map_or(Cell::None("–"), |b| Cell::Weak(shown(b, unit))),
        Cell::Weak(if is_own(s) { "this audit's own session".to_owned() } else { s.source.clone() }),
        if s.pending_restart { Cell::Off("waits for a restart".into()) } else { Cell::None("–") },
    ];
    ((found.is_none(), !is_changed(s)), Row::new(cells, found))
}

/// A value in its unit as people say it: 16384 of 8 kB are 128 MiB. What is no amount stays as the server writes it.
fn shown(value: &str, unit: Option<&str>) -> String {
    if value.is_empty() {
        return "empty".to_owned();
    }
    let Ok(n) = value.parse::<f64>() else { return value.to_owned() };
    // −1 and 0 are words in disguise: off, no limit, as another setting says.
    if n <= 0.0 {
        return value.replace('-', "\u{2212}");
    }
    match unit {
        Some("ms") => text::millis(n),
        Some("s") => text::seconds(n),
        Some("min") => text::seconds(n * 60.0),
        Some(unit) => match bytes_of(unit) {
            Some(bytes) => text::bytes_memory((n * bytes) as u64),
            None => format!("{value}\u{a0}{unit}"),
        },
        None => value.to_owned(),
    }
}

/// Bytes of a unit such as "8kB", "MB".
fn bytes_of(unit: &str) -> Option<f64> {
    let digits = unit.find(|c: char| !c.is_ascii_digit())?;
    let times = if digits == 0 { 1.0 } else { unit[..digits].parse().ok()? };
    let scale = match &unit[digits..] {
        "B" => 1.0,
        "kB" => 1_024.0,
        "MB" => 1_048_576.0,
        "GB" => 1_073_741_824.0,
        _ => return None,
    };
    Some(times * scale)
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn values_carry_their_unit() {
        assert_eq!(shown("16384", Some("8kB")), "128\u{a0}MiB");
        assert_eq!(shown("4096", Some("kB")), "4\u{a0}MiB");
        assert_eq!(shown("1024", Some("MB")), "1\u{a0}GiB");
        assert_eq!(shown("300", Some("s")), "5\u{a0}min");
        assert_eq!(shown("200", Some("ms")), "200\u{a0}ms");
        assert_eq!(shown("1.1", None), "1.1");
        assert_eq!(shown("on", None), "on");
    }

    #[test]
    fn what_is_no_amount_stays() {
        assert_eq!(shown("-1", Some("ms")), "\u{2212}1");
        assert_eq!(shown("0", Some("ms")), "0");
        assert_eq!(shown("", None), "empty");
        assert_eq!(shown("2", Some("parsecs")), "2\u{a0}parsecs");
    }
}
