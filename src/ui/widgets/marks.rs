//! Severity, outcome, layer and environment marks, tags and key caps.

use egui::{Color32, CornerRadius, Rect, Response, Role, Sense, Ui, Vec2, WidgetInfo, pos2, vec2};

use super::overlay::hint;
use super::paint;
use crate::ui::fonts::Type;
use crate::ui::icons::{self, Face, Icon};
use crate::ui::theme::{Theme, Tinted, height, radius};

/// How bad a finding is, worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    Critical,
    High,
    Medium,
    Low,
    Info,
}

impl Level {
    pub const ALL: [Self; 5] = [Self::Critical, Self::High, Self::Medium, Self::Low, Self::Info];

    pub fn word(self) -> &'static str {
        match self {
            Self::Critical => "Critical",
            Self::High => "High",
            Self::Medium => "Medium",
            Self::Low => "Low",
            Self::Info => "Info",
        }
    }

    /// Octagon, triangle, diamond, ring, ring with i.
    pub fn icon(self) -> (Icon, Face) {
        match self {
            Self::Critical => (icons::WARNING_OCTAGON, Face::Fill),
            Self::High => (icons::WARNING, Face::Fill),
            Self::Medium => (icons::WARNING_DIAMOND, Face::Fill),
            Self::Low => (icons::WARNING_CIRCLE, Face::Regular),
            Self::Info => (icons::INFO, Face::Regular),
        }
    }

    pub fn colors(self, theme: &Theme) -> Tinted {
        match self {
            Self::Critical => theme.critical,
            Self::High => theme.high,
            Self::Medium => theme.medium,
            Self::Low => theme.low,
            Self::Info => theme.info,
        }
    }
}

/// Which layer a thing belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LayerHue {
    Cdn,
    Redis,
    Postgres,
    Application,
}

impl LayerHue {
    pub const ALL: [Self; 4] = [Self::Cdn, Self::Redis, Self::Postgres, Self::Application];

    pub fn word(self) -> &'static str {
        match self {
            Self::Cdn => "CDN",
            Self::Redis => "Redis",
            Self::Postgres => "Postgres",
            Self::Application => "Application",
        }
    }

    pub fn icon(self) -> Icon {
        match self {
            Self::Cdn => icons::CLOUD,
            Self::Redis => icons::STACK,
            Self::Postgres => icons::DATABASE,
            Self::Application => icons::CUBE,
        }
    }

    pub fn color(self, theme: &Theme) -> Color32 {
        match self {
            Self::Cdn => theme.layer_cdn,
            Self::Redis => theme.layer_redis,
            Self::Postgres => theme.layer_postgres,
            Self::Application => theme.layer_application,
        }
    }
}

/// What became of a check that found nothing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    Passed,
    /// Neutral: never green, never red.
    NotChecked,
    DoesNotApply,
    Dismissed,
}

impl Outcome {
    pub const ALL: [Self; 4] = [Self::Passed, Self::NotChecked, Self::DoesNotApply, Self::Dismissed];

    pub fn word(self) -> &'static str {
        match self {
            Self::Passed => "Passed",
            Self::NotChecked => "Not checked",
            Self::DoesNotApply => "Does not apply",
            Self::Dismissed => "Dismissed",
        }
    }

    pub fn icon(self) -> (Icon, Face) {
        match self {
            Self::Passed => (icons::CHECK_CIRCLE, Face::Fill),
            Self::NotChecked => (icons::CIRCLE_DASHED, Face::Regular),
            Self::DoesNotApply => (icons::MINUS, Face::Regular),
            Self::Dismissed => (icons::BELL_SLASH, Face::Regular),
        }
    }

    pub fn color(self, theme: &Theme) -> Color32 {
        match self {
            Self::Passed => theme.good.fg,
            _ => theme.text_muted,
        }
    }
}

/// Where a store runs; the colour may be the reader's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Environment {
    Production,
    Staging,
    Development,
    Demo,
    Custom(Color32),
}

impl Environment {
    pub fn color(self, theme: &Theme) -> Color32 {
        match self {
            Self::Production => theme.env_production,
            Self::Staging => theme.env_staging,
            Self::Development => theme.env_development,
            Self::Demo => theme.env_demo,
            Self::Custom(color) => color,
        }
    }
}

/// An icon in a square of `size`; `name` is its accessible name and tooltip.
pub fn icon_mark(ui: &mut Ui, (icon, face): (Icon, Face), size: f32, color: Color32, name: &str) -> Response {
    let (rect, response) = ui.allocate_exact_size(Vec2::splat(size), Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(Role::Image, true, name));
    paint::icon(ui.painter(), rect.center(), icon, face, size, color);
    hint(response, name)
}

/// The severity's shape alone, for lists; the word is its name and tooltip.
pub fn severity_icon(ui: &mut Ui, level: Level, size: f32) -> Response {
    let color = level.colors(Theme::get(ui)).fg;
    icon_mark(ui, level.icon(), size, color, level.word())
}

/// The severity's shape with a count, as in lists of stores.
pub fn severity_count(ui: &mut Ui, level: Level, count: &str) -> Response {
    let theme = Theme::get(ui);
    let text = paint::line(ui.painter(), count, Type::BODY, theme.text, f32::INFINITY);
    let size = vec2(20.0 + text.size().x, Type::BODY.line());
    let (rect, response) = ui.allocate_exact_size(size, Sense::hover());
    let name = format!("{count} {}", level.word());
    response.widget_info(|| WidgetInfo::labeled(Role::Label, true, &name));
    let (icon, face) = level.icon();
    let center = pos2(rect.left() + 7.0, rect.center().y);
    paint::icon(ui.painter(), center, icon, face, 14.0, level.colors(theme).fg);
    paint::left(ui.painter(), rect.left() + 20.0, rect.center().y, text);
    hint(response, &name)
}

/// Shape and word on the severity's tint.
pub fn severity_tag(ui: &mut Ui, level: Level) -> Response {
    let colors = level.colors(Theme::get(ui));
    let look = TagLook { icon: Some((level.icon(), colors.fg)), text: colors.fg, ..TagLook::tint(colors.tint) };
    paint_tag(ui, level.word(), look)
}

/// What became of a check: filled for a pass, outlined for the rest.
pub fn outcome_tag(ui: &mut Ui, outcome: Outcome) -> Response {
    let theme = Theme::get(ui);
    let icon = Some((outcome.icon(), outcome.color(theme)));
    let look = match outcome {
        Outcome::Passed => TagLook { icon, text: theme.good.fg, ..TagLook::tint(theme.good.tint) },
        _ => TagLook { icon, text: theme.text_muted, ..TagLook::outline(theme.line) },
    };
    paint_tag(ui, outcome.word(), look)
}

/// A verdict in the good colours, such as "Connected in 61 ms".
pub fn good_tag(ui: &mut Ui, text: &str) -> Response {
    let good = Theme::get(ui).good;
    let icon = Some(((icons::CHECK_CIRCLE, Face::Fill), good.fg));
    paint_tag(ui, text, TagLook { icon, text: good.fg, ..TagLook::tint(good.tint) })
}

/// A word in an outline.
pub fn tag(ui: &mut Ui, text: &str) -> Response {
    let theme = Theme::get(ui);
    let look = TagLook { text: theme.text_muted, ..TagLook::outline(theme.line) };
    paint_tag(ui, text, look)
}

/// The layer in an outline, as above a finding's title.
pub fn layer_tag(ui: &mut Ui, layer: LayerHue) -> Response {
    let theme = Theme::get(ui);
    let icon = Some(((layer.icon(), Face::Regular), layer.color(theme)));
    let look = TagLook { icon, text: theme.text, ..TagLook::outline(theme.line) };
    paint_tag(ui, layer.word(), look)
}

struct TagLook {
    icon: Option<((Icon, Face), Color32)>,
    text: Color32,
    fill: Color32,
    edge: Color32,
}

impl TagLook {
    fn tint(fill: Color32) -> Self {
        Self { icon: None, text: Color32::PLACEHOLDER, fill, edge: fill }
    }

    fn outline(edge: Color32) -> Self {
        let fill = Color32::TRANSPARENT;
        Self { icon: None, text: Color32::PLACEHOLDER, fill, edge }
    }
}

fn paint_tag(ui: &mut Ui, text: &str, look: TagLook) -> Response {
    const PAD: f32 = 6.0;
    const ICON: f32 = 12.0;
    let galley = paint::line(ui.painter(), text, Type::HEAD, look.text, f32::INFINITY);
    let indent = if look.icon.is_some() { PAD + ICON + 4.0 } else { PAD };
    let width = (indent + galley.size().x + PAD).ceil();
    let (rect, response) = ui.allocate_exact_size(vec2(width, height::TAG), Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(Role::Label, true, text));
    paint::boxed(ui.painter(), rect, radius::TAG, look.fill, look.edge);
    let y = rect.center().y;
    if let Some(((icon, face), color)) = look.icon {
        let center = pos2(rect.left() + PAD + ICON / 2.0, y);
        paint::icon(ui.painter(), center, icon, face, ICON, color);
    }
    paint::left(ui.painter(), rect.left() + indent, y, galley);
    response
}

/// The layer's icon alone, for lists.
pub fn layer_icon(ui: &mut Ui, layer: LayerHue, size: f32) -> Response {
    let color = layer.color(Theme::get(ui));
    icon_mark(ui, (layer.icon(), Face::Regular), size, color, layer.word())
}

/// Icon and name; the hue is on the icon only. `style` is a body or label style.
pub fn layer_mark(ui: &mut Ui, layer: LayerHue, style: Type) -> Response {
    layer_mark_named(ui, layer, layer.word(), style)
}

/// The layer's icon with another name, such as "Cloudflare".
pub fn layer_mark_named(ui: &mut Ui, layer: LayerHue, name: &str, style: Type) -> Response {
    let theme = Theme::get(ui);
    let size = 14.0;
    let galley = paint::line(ui.painter(), name, style, theme.text, f32::INFINITY);
    let wide = vec2(size + 6.0 + galley.size().x, style.line());
    let (rect, response) = ui.allocate_exact_size(wide, Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(Role::Label, true, name));
    let center = pos2(rect.left() + size / 2.0, rect.center().y);
    paint::icon(ui.painter(), center, layer.icon(), Face::Regular, size, layer.color(theme));
    paint::left(ui.painter(), rect.left() + size + 6.0, rect.center().y, galley);
    response
}

/// An 8 px square in the environment's colour and its word.
pub fn environment_mark(ui: &mut Ui, environment: Environment, word: &str) -> Response {
    swatch(ui, environment.color(Theme::get(ui)), word)
}

/// A square of 8 and a word: an environment, or an entry of a legend.
pub fn swatch(ui: &mut Ui, color: Color32, word: &str) -> Response {
    let theme = Theme::get(ui);
    let galley = paint::line(ui.painter(), word, Type::LABEL, theme.text_muted, f32::INFINITY);
    let size = vec2(14.0 + galley.size().x, Type::LABEL.line());
    let (rect, response) = ui.allocate_exact_size(size, Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(Role::Label, true, word));
    let square = Rect::from_center_size(pos2(rect.left() + 4.0, rect.center().y), Vec2::splat(8.0));
    ui.painter().rect_filled(square, CornerRadius::same(radius::BAR), color);
    paint::left(ui.painter(), rect.left() + 14.0, rect.center().y, galley);
    response
}

/// The keys of a command in a box, such as "Ctrl F".
pub fn key_cap(ui: &mut Ui, keys: &str) -> Response {
    let size = key_cap_size(ui, keys);
    let (rect, response) = ui.allocate_exact_size(size, Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(Role::Label, true, keys));
    paint_key_cap(ui, rect, keys);
    response
}

pub(super) fn key_cap_size(ui: &Ui, keys: &str) -> Vec2 {
    let text = paint::line(ui.painter(), keys, Type::Axis, Color32::PLACEHOLDER, f32::INFINITY);
    vec2((text.size().x + 12.0).ceil().max(18.0), 18.0)
}

pub(super) fn paint_key_cap(ui: &Ui, rect: Rect, keys: &str) {
    let theme = Theme::get(ui);
    paint::boxed(ui.painter(), rect, radius::TAG, Color32::TRANSPARENT, theme.line);
    let text = paint::line(ui.painter(), keys, Type::Axis, theme.text_muted, f32::INFINITY);
    let x = rect.center().x - text.size().x / 2.0;
    paint::left(ui.painter(), x, rect.center().y, text);
}
