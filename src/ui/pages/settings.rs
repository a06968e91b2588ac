//! The Settings page: appearance, targets, what new stores begin with, where data lies.

mod number;

use eframe::egui::{Align, Label, Layout, Rect, Role, Ui, UiBuilder, WidgetInfo, pos2, vec2};

use crate::app::{Action, Model, Settings, ThemeChoice};
use crate::connect::profile::{Limits, WINDOW_S_MAX, WINDOW_S_MIN};
use crate::evidence::Targets;
use crate::text;
use crate::ui::fonts::Type;
use crate::ui::shell::scrolling_body;
use crate::ui::theme::{Theme, space};
use crate::ui::widgets::{Field, SegmentSize, card, copy_button, dropdown_unlabelled, segments, small_link, title_row, top_bar};
use number::Number;

/// Narrower pages have one column.
const TWO_COLUMNS_FROM: f32 = 860.0;
/// One column is never wider: the eye loses the way from a name to its field.
const COLUMN_MAX: f32 = 640.0;
const ROW: f32 = 48.0;
const SCALES: [f32; 9] = [0.75, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5, 1.75, 2.0];
const THEMES: [ThemeChoice; 3] = [ThemeChoice::System, ThemeChoice::Dark, ThemeChoice::Light];

/// Draws the page.
pub fn show(ui: &mut Ui, model: &Model, actions: &mut Vec<Action>) {
    let mut settings = model.settings.clone();
    top_bar(ui, "Settings", "For every store on this computer", |_| {});
    scrolling_body(ui, "settings", |ui| {
        let room = ui.available_width();
        if room >= TWO_COLUMNS_FROM {
            let wide = ((room - space::L) / 2.0).min(COLUMN_MAX).floor();
            ui.horizontal_top(|ui| {
                ui.spacing_mut().item_spacing.x = space::L;
                column(ui, wide, |ui| {
                    appearance(ui, &mut settings);
                    targets(ui, &mut settings);
                    dismissals(ui, &mut settings);
                });
                column(ui, wide, |ui| {
                    limits(ui, &mut settings.limits);
                    folder(ui, &model.data_folder);
                });
            });
        } else {
            column(ui, room.min(COLUMN_MAX), |ui| {
                appearance(ui, &mut settings);
                targets(ui, &mut settings);
                limits(ui, &mut settings.limits);
                dismissals(ui, &mut settings);
                folder(ui, &model.data_folder);
            });
        }
    });
    if settings != model.settings {
        actions.push(Action::EditSettings(settings));
    }
}

fn column(ui: &mut Ui, width: f32, content: impl FnOnce(&mut Ui)) {
    ui.allocate_ui_with_layout(vec2(width, 0.0), Layout::top_down(Align::Min), |ui| {
        ui.set_width(width);
        ui.spacing_mut().item_spacing = vec2(space::S, space::L);
        content(ui);
    });
}

/// A card of rows under its title and what it is for.
fn group(ui: &mut Ui, title: &str, caption: &str, rows: impl FnOnce(&mut Ui)) {
    card(ui, None, |ui| {
        title_row(ui, title, caption, |_| {});
        ui.add_space(space::S);
        rows(ui);
    });
}

/// A name and a note at the left, the control at the right; as tall as the taller of them.
fn row(ui: &mut Ui, name: &str, note: &str, control_width: f32, control: impl FnOnce(&mut Ui)) {
    let theme = Theme::get(ui);
    let room = ui.available_rect_before_wrap();
    let top = room.top();
    let right = Rect::from_min_max(pos2(room.right() - control_width, top + 4.0), pos2(room.right(), top + ROW));
    let left = Rect::from_min_max(pos2(room.left(), top + 4.0), pos2(right.left() - space::M, top + ROW));
    let inside = |rect, salt| UiBuilder::new().id_salt((name, salt)).max_rect(rect).layout(Layout::top_down(Align::Min));
    let mut words = ui.new_child(inside(left, "words"));
    words.spacing_mut().item_spacing.y = 0.0;
    words.add(Label::new(Type::NAME.text(name).color(theme.text)).truncate());
    words.add(Label::new(Type::LABEL.text(note).color(theme.text_weak)).truncate());
    let mut controls = ui.new_child(inside(right, "control"));
    controls.spacing_mut().item_spacing.y = 0.0;
    control(&mut controls);
    let bottom = (top + ROW - 8.0).max(words.min_rect().bottom()).max(controls.min_rect().bottom());
    ui.allocate_space(vec2(room.width(), bottom + 4.0 - top));
}

fn appearance(ui: &mut Ui, settings: &mut Settings) {
    group(ui, "Appearance", "", |ui| {
        row(ui, "Theme", "System follows the desktop", 220.0, |ui| {
            let mut active = THEMES.iter().position(|t| *t == settings.theme).unwrap_or(0);
            if segments(ui, "Theme", &["System", "Dark", "Light"], &mut active, SegmentSize::Width(220.0)) {
                settings.theme = THEMES[active];
            }
        });
        row(ui, "Scale", "Also Ctrl + and Ctrl \u{2212}; Ctrl 0 for 100\u{a0}%", 220.0, |ui| {
            let mut scales = SCALES.to_vec();
            if !scales.iter().any(|s| (s - settings.scale).abs() < 0.005) {
                scales.push(settings.scale);
                scales.sort_by(f32::total_cmp);
            }
            let words: Vec<String> = scales.iter().map(|s| format!("{:.0}\u{a0}%", s * 100.0)).collect();
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let mut chosen = scales.iter().position(|s| (s - settings.scale).abs() < 0.005).unwrap_or(0);
            if dropdown_unlabelled(ui, "Scale", &words, &mut chosen, 220.0) {
                settings.scale = scales[chosen];
            }
        });
    });
}

/// How a target is written and what it may be.
struct Target {
    name: &'static str,
    note: &'static str,
    /// What one of the field's unit is in the target's: 0.01 for per cent of a ratio.
    unit: f64,
    max: f64,
    get: fn(&mut Targets) -> &mut f64,
    words: fn(f64) -> String,
}

const TARGETS: [Target; 4] = [
    Target {
        name: "CDN hit ratio, at least",
        note: "% of cacheable requests",
        unit: 0.01,
        max: 100.0,
        get: |t| &mut t.cdn_hit_ratio_min,
        words: text::percent,
    },
    Target {
        name: "Redis hit rate, at least",
        note: "% of product data lookups",
        unit: 0.01,
        max: 100.0,
        get: |t| &mut t.redis_hit_rate_min,
        words: text::percent,
    },
    Target {
        name: "P95 of an endpoint, at most",
        note: "ms, products and carts",
        unit: 1.0,
        max: 60_000.0,
        get: |t| &mut t.p95_ms_max,
        words: whole_millis,
    },
    Target {
        name: "Slow statement, from",
        note: "ms, mean of its calls",
        unit: 1.0,
        max: 60_000.0,
        get: |t| &mut t.slow_statement_ms,
        words: whole_millis,
    },
];

fn whole_millis(ms: f64) -> String {
    format!("{}\u{a0}ms", text::number(ms))
}

fn targets(ui: &mut Ui, settings: &mut Settings) {
    group(ui, "Targets", "from the next audit on", |ui| {
        for target in &TARGETS {
            let usual = *(target.get)(&mut Targets::default());
            let value = (target.get)(&mut settings.targets);
            row(ui, target.name, target.note, 220.0, |ui| target_control(ui, target, usual, value));
        }
    });
}

fn target_control(ui: &mut Ui, target: &Target, usual: f64, value: &mut f64) {
    let shown = tidy(*value / target.unit);
    let number = Number { label: target.name, shown, min: 1.0, max: target.max, is_whole: false };
    let is_changed = (*value - usual).abs() > f64::EPSILON;
    let mut is_reset = false;
    let top = ui.max_rect();
    if is_changed {
        let beside = Rect::from_min_max(top.left_top(), pos2(top.right() - number::WIDTH - space::M, top.top() + 32.0));
        let builder = UiBuilder::new().id_salt("default").max_rect(beside).layout(Layout::right_to_left(Align::Center));
        let mut child = ui.new_child(builder);
        child.spacing_mut().item_spacing.x = space::S;
        let link = small_link(&mut child, "Reset");
        let name = format!("Reset {}", target.name);
        link.widget_info(|| WidgetInfo::labeled(Role::Link, true, &name));
        is_reset = link.clicked();
        let words = format!("Default {}", (target.words)(usual));
        child.label(Type::LABEL.text(words).color(Theme::get(&child).text_weak));
    }
    if let Some(entered) = number.show(ui) {
        *value = tidy(entered * target.unit);
    }
    if is_reset {
        number::forget(ui, target.name);
        *value = usual;
    }
}

/// Without the digits that binary fractions add: 80 % is 0.8, not 0.8000000000000002.
fn tidy(x: f64) -> f64 {
    (x * 1e6).round() / 1e6
}

fn dismissals(ui: &mut Ui, settings: &mut Settings) {
    group(ui, "Dismissals", "", |ui| {
        row(ui, "Your name", "Written beside what you dismiss", 220.0, |ui| {
            let key = ui.make_persistent_id("name draft");
            let draft = ui.data(|d| d.get_temp::<String>(key));
            let mut name = draft.clone().unwrap_or_else(|| settings.user.clone());
            let field = Field::new("Your name", &mut name).hide_label().hint("Not given").width(220.0).show(ui).response;
            if field.has_focus() {
                ui.data_mut(|d| d.insert_temp(key, name));
            } else if draft.is_some() {
                ui.data_mut(|d| d.remove::<String>(key));
                name.trim().clone_into(&mut settings.user);
            }
        });
    });
}

/// One limit: its name, its unit and range, the range, the field of [`Limits`].
type Limit = (&'static str, &'static str, [u32; 2], fn(&mut Limits) -> &mut u32);

/// The ranges are those of the Connect page.
const LIMITS: [Limit; 8] = [
    ("Audit window", "s, 5 to 1,800: how long a store is watched", [WINDOW_S_MIN, WINDOW_S_MAX], |l| &mut l.window_s),
    ("Statement timeout", "ms, Postgres", [100, 60_000], |l| &mut l.statement_timeout_ms),
    ("Lock timeout", "ms, Postgres", [10, 10_000], |l| &mut l.lock_timeout_ms),
    ("Commands per second", "Redis", [10, 100_000], |l| &mut l.redis_commands_per_s),
    ("Keys sampled", "Redis, of an instance", [100, 1_000_000], |l| &mut l.redis_keys_max),
    ("Scan of an instance", "s, Redis", [1, 600], |l| &mut l.redis_scan_s_max),
    ("Requests of a run", "Storefront and API", [1, 1_000], |l| &mut l.probe_requests_max),
    ("Timings of an endpoint", "Storefront and API", [1, 200], |l| &mut l.probe_timings),
];

fn limits(ui: &mut Ui, limits: &mut Limits) {
    group(ui, "Window and limits", "new stores begin with these", |ui| {
        for (name, note, [min, max], get) in LIMITS {
            let value = get(limits);
            row(ui, name, note, number::WIDTH, |ui| {
                let (min, max) = (f64::from(min), f64::from(max));
                if let Some(entered) = (Number { label: name, shown: f64::from(*value), min, max, is_whole: true }).show(ui) {
                    *value = entered as u32;
                }
            });
        }
    });
}

fn folder(ui: &mut Ui, folder: &str) {
    let theme = Theme::get(ui);
    card(ui, None, |ui| {
        title_row(ui, "Where data lies", "", |ui| {
            copy_button(ui, "Copy", || folder.to_owned());
        });
        ui.add_space(space::S);
        ui.label(Type::Mono.text(folder).color(theme.text));
        ui.add_space(space::XS);
        let words = "Profiles, audits, dismissals and these settings. Secrets are in the system's keychain or nowhere.";
        ui.label(Type::LABEL.text(words).color(theme.text_weak));
    });
}
