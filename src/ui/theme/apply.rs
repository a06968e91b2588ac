//! The roles as egui's own style, so that text fields, scroll bars and tables
//! look like the rest.

use std::collections::BTreeMap;

use egui::style::{ScrollFadeStyle, ScrollStyle, Selection, WidgetVisuals, Widgets};
use egui::{Color32, Context, CornerRadius, Margin, Stroke, Style, TextStyle, ThemePreference, Vec2, Visuals, vec2};

use super::{DARK, LIGHT, Theme, ThemeChoice, height, radius, shadow};
use crate::ui::fonts::{Type, Weight};

const TOOLTIP_DELAY_S: f32 = 0.3;
/// Bars grow in at most 120 ms; nothing else moves.
const ANIMATION_S: f32 = 0.12;

/// Sets the style of both themes and the preference; call at start and when
/// the choice changes.
pub fn apply(ctx: &Context, choice: ThemeChoice) {
    ctx.set_style_of(egui::Theme::Dark, style(&DARK));
    ctx.set_style_of(egui::Theme::Light, style(&LIGHT));
    ctx.set_theme(match choice {
        ThemeChoice::System => ThemePreference::System,
        ThemeChoice::Dark => ThemePreference::Dark,
        ThemeChoice::Light => ThemePreference::Light,
    });
}

fn style(theme: &Theme) -> Style {
    let mut style = Style { text_styles: text_styles(), visuals: visuals(theme), animation_time: ANIMATION_S, ..Style::default() };
    style.interaction.tooltip_delay = TOOLTIP_DELAY_S;
    style.interaction.selectable_labels = false;
    style.interaction.multi_widget_text_select = false;
    style.scroll_animation = egui::style::ScrollAnimation::none();
    let spacing = &mut style.spacing;
    spacing.item_spacing = vec2(8.0, 8.0);
    spacing.button_padding = vec2(12.0, 7.0);
    spacing.menu_margin = Margin::same(4);
    spacing.window_margin = Margin::same(16);
    spacing.interact_size = Vec2::splat(height::BUTTON_SMALL);
    spacing.icon_width = 16.0;
    spacing.icon_width_inner = 10.0;
    spacing.tooltip_width = 320.0;
    spacing.menu_width = 208.0;
    spacing.scroll = ScrollStyle {
        floating: true,
        bar_width: 8.0,
        floating_width: 4.0,
        floating_allocated_width: 0.0,
        foreground_color: false,
        dormant_handle_opacity: 0.0,
        active_handle_opacity: 0.7,
        dormant_background_opacity: 0.0,
        active_background_opacity: 0.0,
        interact_background_opacity: 0.0,
        fade: ScrollFadeStyle { strength: 0.0, ..ScrollFadeStyle::default() },
        ..ScrollStyle::floating()
    };
    style
}

fn text_styles() -> BTreeMap<TextStyle, egui::FontId> {
    BTreeMap::from([
        (TextStyle::Heading, Type::Title.font()),
        (TextStyle::Body, Type::BODY.font()),
        (TextStyle::Button, Type::NAME.font()),
        (TextStyle::Small, Type::Label(Weight::Regular).font()),
        (TextStyle::Monospace, Type::Mono.font()),
    ])
}

fn visuals(theme: &Theme) -> Visuals {
    let base = if theme.dark { Visuals::dark() } else { Visuals::light() };
    Visuals {
        dark_mode: theme.dark,
        override_text_color: None,
        weak_text_color: Some(theme.text_weak),
        widgets: widgets(theme),
        selection: Selection {
            bg_fill: theme.accent_fill.gamma_multiply(if theme.dark { 0.55 } else { 0.25 }),
            stroke: Stroke::new(1.0, theme.accent),
        },
        hyperlink_color: theme.accent,
        faint_bg_color: theme.bg_card,
        extreme_bg_color: theme.bg_field,
        text_edit_bg_color: Some(theme.bg_field),
        code_bg_color: theme.bg_code,
        warn_fg_color: theme.medium.fg,
        error_fg_color: theme.critical.fg,
        window_corner_radius: CornerRadius::same(radius::CARD),
        window_shadow: shadow::DIALOG,
        window_fill: theme.bg_card,
        window_stroke: Stroke::new(1.0, theme.line),
        menu_corner_radius: CornerRadius::same(radius::CONTROL),
        panel_fill: theme.bg_page,
        popup_shadow: shadow::MENU,
        text_cursor: egui::style::TextCursorStyle { stroke: Stroke::new(1.0, theme.text), blink: false, ..base.text_cursor.clone() },
        striped: false,
        disabled_alpha: 0.5,
        interact_cursor: None,
        ..base
    }
}

fn widgets(theme: &Theme) -> Widgets {
    let widget = |fill: Color32, edge: Color32, text: Color32| WidgetVisuals {
        bg_fill: fill,
        weak_bg_fill: fill,
        bg_stroke: Stroke::new(1.0, edge),
        corner_radius: CornerRadius::same(radius::CONTROL),
        fg_stroke: Stroke::new(1.0, text),
        expansion: 0.0,
    };
    Widgets {
        noninteractive: widget(theme.bg_page, theme.line_subtle, theme.text),
        inactive: widget(theme.bg_hover, theme.line, theme.text),
        hovered: widget(theme.bg_active, theme.line, theme.text),
        active: widget(theme.bg_active, theme.accent, theme.text),
        open: widget(theme.bg_active, theme.line, theme.text),
    }
}
