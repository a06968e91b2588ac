//! From the model's words to the kit's: severities, layers, environments, theme.

use eframe::egui;

use super::theme;
use super::widgets::{Environment as EnvironmentMark, LayerHue, Level};
use crate::app::{Settings, ThemeChoice};
use crate::connect::profile::Environment;
use crate::evidence::Layer;
use crate::finding::Severity;
use crate::text;

/// The kit's mark of a severity.
pub fn level(severity: Severity) -> Level {
    match severity {
        Severity::Critical => Level::Critical,
        Severity::High => Level::High,
        Severity::Medium => Level::Medium,
        Severity::Low => Level::Low,
        Severity::Info => Level::Info,
    }
}

/// The kit's hue of a layer.
pub fn hue(layer: Layer) -> LayerHue {
    match layer {
        Layer::Cdn => LayerHue::Cdn,
        Layer::Redis => LayerHue::Redis,
        Layer::Postgres => LayerHue::Postgres,
        Layer::App => LayerHue::Application,
    }
}

/// The kit's mark of an environment.
pub fn environment(environment: Environment) -> EnvironmentMark {
    match environment {
        Environment::Production => EnvironmentMark::Production,
        Environment::Staging => EnvironmentMark::Staging,
        Environment::Development => EnvironmentMark::Development,
        Environment::Demo => EnvironmentMark::Demo,
    }
}

/// A moment in the reader's zone: "23 Nov 2026, 09:30". The zone is named where the reader's is not known.
pub fn when(t: time::OffsetDateTime) -> String {
    match zone() {
        Some(zone) => text::date_time(t.to_offset(zone)).trim_end_matches("\u{a0}UTC").to_owned(),
        None => text::date_time(t),
    }
}

/// The day in the reader's zone: "23 Nov 2026".
pub fn day(t: time::OffsetDateTime) -> String {
    text::date(zone().map_or(t, |zone| t.to_offset(zone)))
}

/// The reader's zone, asked for once.
fn zone() -> Option<time::UtcOffset> {
    static ZONE: std::sync::OnceLock<Option<time::UtcOffset>> = std::sync::OnceLock::new();
    *ZONE.get_or_init(|| time::UtcOffset::current_local_offset().ok())
}

/// Theme and scale as the settings say.
pub fn apply(ctx: &egui::Context, settings: &Settings) {
    let choice = match settings.theme {
        ThemeChoice::System => theme::ThemeChoice::System,
        ThemeChoice::Dark => theme::ThemeChoice::Dark,
        ThemeChoice::Light => theme::ThemeChoice::Light,
    };
    theme::apply(ctx, choice);
    ctx.set_zoom_factor(settings.scale.clamp(0.5, 3.0));
}

/// The program's mark for the task bar.
pub fn window_icon() -> egui::IconData {
    let size = 32_u32;
    let color = theme::DARK.accent_fill;
    let mut rgba = Vec::with_capacity((size * size * 4) as usize);
    for y in 0..size {
        for x in 0..size {
            let (dx, dy) = (f64::from(x) - 15.5, f64::from(y) - 15.5);
            let inside = dx.hypot(dy) <= 15.5;
            rgba.extend_from_slice(&if inside { [color.r(), color.g(), color.b(), 255] } else { [0, 0, 0, 0] });
        }
    }
    egui::IconData { rgba, width: size, height: size }
}
