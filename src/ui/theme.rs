//! Every colour, radius and height of the window, by role.
//!
//! Widgets and pages name a role and never a value. The claims about contrast
//! and colour blindness are recomputed by `theme/contrast_tests.rs`.

use egui::{Color32, Context, Ui};

mod apply;
#[cfg(test)]
mod contrast_tests;

pub use apply::apply;

/// What the reader chose in the settings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ThemeChoice {
    #[default]
    System,
    Dark,
    Light,
}

/// A foreground and the tint it is read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tinted {
    pub fg: Color32,
    pub tint: Color32,
}

/// The colour roles of one theme.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Theme {
    pub dark: bool,
    /// Sidebar, segment tracks, preview backdrop.
    pub bg_frame: Color32,
    pub bg_page: Color32,
    /// Cards, dialogs, menus.
    pub bg_card: Color32,
    /// Hover, secondary buttons, selected row, group header.
    pub bg_hover: Color32,
    /// Pressed, active segment, empty part of bars.
    pub bg_active: Color32,
    /// Current sidebar item.
    pub bg_selected: Color32,
    pub bg_field: Color32,
    /// Tooltips and toasts.
    pub bg_popup: Color32,
    pub bg_code: Color32,
    /// Card edge, row rule.
    pub line_subtle: Color32,
    /// Controls, header rule.
    pub line: Color32,
    /// Popup edge, dashed empty shapes.
    pub line_strong: Color32,
    /// Titles, values, body.
    pub text: Color32,
    /// Secondary text, axis targets.
    pub text_muted: Color32,
    /// Captions, units, headers, placeholders; the weakest text allowed.
    pub text_weak: Color32,
    /// Links, focus ring, selection bar, spinner.
    pub accent: Color32,
    /// Primary button, checkbox, progress.
    pub accent_fill: Color32,
    pub on_accent: Color32,
    pub critical: Tinted,
    pub high: Tinted,
    pub medium: Tinted,
    pub low: Tinted,
    pub info: Tinted,
    pub good: Tinted,
    pub layer_cdn: Color32,
    pub layer_redis: Color32,
    pub layer_postgres: Color32,
    pub layer_application: Color32,
    /// Cache status stack, bottom to top.
    pub series_hit: Color32,
    pub series_revalidated: Color32,
    pub series_expired: Color32,
    pub series_miss: Color32,
    /// "All other", indexes, keys that are no cache.
    pub series_rest: Color32,
    pub grid: Color32,
    pub axis: Color32,
    pub code_keyword: Color32,
    pub code_string: Color32,
    pub code_name: Color32,
    pub code_comment: Color32,
    pub env_production: Color32,
    pub env_staging: Color32,
    pub env_development: Color32,
    pub env_demo: Color32,
}

/// Radii in points.
pub mod radius {
    pub const CARD: u8 = 8;
    pub const CONTROL: u8 = 6;
    pub const TAG: u8 = 4;
    pub const BAR: u8 = 2;
}

/// Heights in points.
pub mod height {
    pub const TOP_BAR: f32 = 56.0;
    pub const NAV: f32 = 32.0;
    pub const NAV_SUB: f32 = 28.0;
    pub const BUTTON: f32 = 32.0;
    pub const BUTTON_SMALL: f32 = 24.0;
    pub const TAG: f32 = 20.0;
    pub const TABLE_HEAD: f32 = 28.0;
    pub const TABLE_ROW: f32 = 32.0;
    pub const FINDING_ROW: f32 = 52.0;
    pub const PLAN_ROW: f32 = 56.0;
    pub const STORE_ROW: f32 = 64.0;
    pub const EVIDENCE_ROW: f32 = 24.0;
}

/// Distances in points.
pub mod space {
    pub const XS: f32 = 4.0;
    pub const S: f32 = 8.0;
    pub const M: f32 = 12.0;
    pub const L: f32 = 16.0;
    pub const XL: f32 = 24.0;
    pub const XXL: f32 = 32.0;
    /// Sideways padding of a page.
    pub const PAGE_X: f32 = 24.0;
    /// Top and bottom padding of a page.
    pub const PAGE_Y: f32 = 16.0;
    pub const CARD_X: f32 = 16.0;
    pub const CARD_Y: f32 = 12.0;
    pub const SIDEBAR: f32 = 216.0;
    pub const SIDEBAR_RAIL: f32 = 56.0;
    /// Content is never wider than this.
    pub const CONTENT_MAX: f32 = 1600.0;
}

/// Laid over the page under a dialog.
pub const BACKDROP: Color32 = Color32::from_black_alpha(110);

/// The only two shadows; nothing but dialogs and menus has one.
pub mod shadow {
    use egui::{Color32, Shadow};

    /// Offset 8, blur 24, black 33 %.
    pub const DIALOG: Shadow = Shadow { offset: [0, 8], blur: 24, spread: 0, color: Color32::from_black_alpha(84) };
    /// Offset 4, blur 16, black 27 %.
    pub const MENU: Shadow = Shadow { offset: [0, 4], blur: 16, spread: 0, color: Color32::from_black_alpha(69) };
}

impl Theme {
    /// The theme that `ui` is drawn in.
    pub fn get(ui: &Ui) -> &'static Self {
        Self::dark_or_light(ui.visuals().dark_mode)
    }

    /// The theme of the whole window.
    pub fn of(ctx: &Context) -> &'static Self {
        Self::dark_or_light(ctx.theme() == egui::Theme::Dark)
    }

    fn dark_or_light(dark: bool) -> &'static Self {
        if dark { &DARK } else { &LIGHT }
    }
}

const fn hex(rgb: u32) -> Color32 {
    Color32::from_rgb((rgb >> 16) as u8, (rgb >> 8) as u8, rgb as u8)
}

const fn tinted(fg: u32, tint: u32) -> Tinted {
    Tinted { fg: hex(fg), tint: hex(tint) }
}

pub const DARK: Theme = Theme {
    dark: true,
    bg_frame: hex(0x0D0F13),
    bg_page: hex(0x121419),
    bg_card: hex(0x181B21),
    bg_hover: hex(0x20242C),
    bg_active: hex(0x2A2F39),
    bg_selected: hex(0x20242C),
    bg_field: hex(0x0D0F13),
    bg_popup: hex(0x2A2F39),
    bg_code: hex(0x0F1116),
    line_subtle: hex(0x232730),
    line: hex(0x303642),
    line_strong: hex(0x4A5260),
    text: hex(0xECEEF2),
    text_muted: hex(0xB0B7C3),
    text_weak: hex(0x929BAA),
    accent: hex(0xA9A6FF),
    accent_fill: hex(0x5B5BD6),
    on_accent: hex(0xFFFFFF),
    critical: tinted(0xFF7B7F, 0x3A1F24),
    high: tinted(0xF59B62, 0x38261C),
    medium: tinted(0xE2BC52, 0x332C1A),
    low: tinted(0x93A8C6, 0x232B37),
    info: tinted(0x9AA3B1, 0x20242C),
    good: tinted(0x58C494, 0x182E27),
    layer_cdn: hex(0x7CDDE3),
    layer_redis: hex(0xE879A8),
    layer_postgres: hex(0x5FA2F0),
    layer_application: hex(0xB3BE62),
    series_hit: hex(0x7CDDE3),
    series_revalidated: hex(0x2F9AA6),
    series_expired: hex(0x8F6E42),
    series_miss: hex(0xD08E48),
    series_rest: hex(0x606771),
    grid: hex(0x262B34),
    axis: hex(0x3A414D),
    code_keyword: hex(0xC3A6FF),
    code_string: hex(0x8FCFA0),
    code_name: hex(0x7FB8F5),
    code_comment: hex(0x929BAA),
    env_production: hex(0xE0565B),
    env_staging: hex(0xD79A2B),
    env_development: hex(0x3FA878),
    env_demo: hex(0x8A8FA0),
};

pub const LIGHT: Theme = Theme {
    dark: false,
    bg_frame: hex(0xF2F3F5),
    bg_page: hex(0xF9FAFB),
    bg_card: hex(0xFFFFFF),
    bg_hover: hex(0xEEF0F3),
    bg_active: hex(0xE4E6EC),
    bg_selected: hex(0xE4E6EC),
    bg_field: hex(0xFFFFFF),
    bg_popup: hex(0xFFFFFF),
    bg_code: hex(0xF6F7F9),
    line_subtle: hex(0xE6E8EC),
    line: hex(0xD5D9E0),
    line_strong: hex(0xA9B0BC),
    text: hex(0x15171C),
    text_muted: hex(0x454C59),
    text_weak: hex(0x5F6775),
    accent: hex(0x4E4DC4),
    accent_fill: hex(0x5B5BD6),
    on_accent: hex(0xFFFFFF),
    critical: tinted(0xBE1E2D, 0xFCEBEC),
    high: tinted(0xA94A0C, 0xFCEEE4),
    medium: tinted(0x7D5C00, 0xFAF3DC),
    low: tinted(0x45607F, 0xEAEFF5),
    info: tinted(0x596170, 0xEEF0F3),
    good: tinted(0x0F7047, 0xE5F4EC),
    layer_cdn: hex(0x0B4650),
    layer_redis: hex(0xA8307C),
    layer_postgres: hex(0x1F61B5),
    layer_application: hex(0x586410),
    series_hit: hex(0x0B4650),
    series_revalidated: hex(0x32A2AE),
    series_expired: hex(0xA98545),
    series_miss: hex(0xB8641A),
    series_rest: hex(0x6B7380),
    grid: hex(0xECEEF1),
    axis: hex(0xC9CED6),
    code_keyword: hex(0x6B3FC0),
    code_string: hex(0x0F7047),
    code_name: hex(0x1F61B5),
    code_comment: hex(0x5F6775),
    env_production: hex(0xE0565B),
    env_staging: hex(0xD79A2B),
    env_development: hex(0x3FA878),
    env_demo: hex(0x8A8FA0),
};
