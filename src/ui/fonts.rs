//! The embedded faces and the type scale: six sizes and mono, nothing between.

use std::sync::Arc;

use egui::text::{FontData, FontDefinitions};
use egui::{Context, FontFamily, FontId, RichText};

use super::icons::Face;

pub const INTER_REGULAR: &[u8] = include_bytes!("../../assets/fonts/Inter-Regular.otf");
pub const INTER_MEDIUM: &[u8] = include_bytes!("../../assets/fonts/Inter-Medium.otf");
pub const INTER_SEMIBOLD: &[u8] = include_bytes!("../../assets/fonts/Inter-SemiBold.otf");
pub const JETBRAINS_MONO: &[u8] = include_bytes!("../../assets/fonts/JetBrainsMono-Regular.ttf");
const PHOSPHOR: &[u8] = include_bytes!("../../assets/fonts/Phosphor.ttf");
const PHOSPHOR_BOLD: &[u8] = include_bytes!("../../assets/fonts/Phosphor-Bold.ttf");
const PHOSPHOR_FILL: &[u8] = include_bytes!("../../assets/fonts/Phosphor-Fill.ttf");

const REGULAR: &str = "inter";
const MEDIUM: &str = "inter-medium";
const SEMIBOLD: &str = "inter-semibold";
const MONO: &str = "jetbrains-mono";

/// The weights of Inter that are embedded: 400, 500, 600.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Weight {
    Regular,
    Medium,
    Strong,
}

/// One style of the type scale: a size, a line height and a weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Type {
    /// 28 / 32, 600: scores.
    Figure,
    /// 20 / 28, 600: page and finding titles, stat values.
    Title,
    /// 15 / 20, 600 for card headings, 400 / 22 for the observed sentence.
    Lead(Weight),
    /// 13 / 18.
    Body(Weight),
    /// 12 / 16.
    Label(Weight),
    /// 11 / 14: axes and key caps.
    Axis,
    /// JetBrains Mono 12 / 18.
    Mono,
}

impl Type {
    pub const BODY: Self = Self::Body(Weight::Regular);
    pub const NAME: Self = Self::Body(Weight::Medium);
    pub const STRONG: Self = Self::Body(Weight::Strong);
    pub const LABEL: Self = Self::Label(Weight::Regular);
    pub const HEAD: Self = Self::Label(Weight::Medium);
    pub const HEADING: Self = Self::Lead(Weight::Strong);

    /// Size in points.
    pub fn size(self) -> f32 {
        match self {
            Self::Figure => 28.0,
            Self::Title => 20.0,
            Self::Lead(_) => 15.0,
            Self::Body(_) => 13.0,
            Self::Label(_) | Self::Mono => 12.0,
            Self::Axis => 11.0,
        }
    }

    /// Line height in points.
    pub fn line(self) -> f32 {
        match self {
            Self::Figure => 32.0,
            Self::Title => 28.0,
            Self::Lead(Weight::Regular) => 22.0,
            Self::Lead(_) => 20.0,
            Self::Body(_) | Self::Mono => 18.0,
            Self::Label(_) => 16.0,
            Self::Axis => 14.0,
        }
    }

    pub fn font(self) -> FontId {
        let family = match self {
            Self::Figure | Self::Title => family(Weight::Strong),
            Self::Lead(weight) | Self::Body(weight) | Self::Label(weight) => family(weight),
            Self::Axis => FontFamily::Proportional,
            Self::Mono => FontFamily::Monospace,
        };
        FontId::new(self.size(), family)
    }

    /// Text in this style, in the colour of the surrounding text.
    pub fn text(self, text: impl Into<String>) -> RichText {
        RichText::new(text).font(self.font()).line_height(Some(self.line()))
    }
}

pub fn figure(text: impl Into<String>) -> RichText {
    Type::Figure.text(text)
}

pub fn title(text: impl Into<String>) -> RichText {
    Type::Title.text(text)
}

/// A card heading.
pub fn heading(text: impl Into<String>) -> RichText {
    Type::HEADING.text(text)
}

/// The observed sentence.
pub fn lead(text: impl Into<String>) -> RichText {
    Type::Lead(Weight::Regular).text(text)
}

pub fn body(text: impl Into<String>) -> RichText {
    Type::BODY.text(text)
}

/// Body at 500: names, and values that matter.
pub fn name(text: impl Into<String>) -> RichText {
    Type::NAME.text(text)
}

/// Body at 600: selected or final.
pub fn strong(text: impl Into<String>) -> RichText {
    Type::STRONG.text(text)
}

pub fn label(text: impl Into<String>) -> RichText {
    Type::LABEL.text(text)
}

/// Label at 500: table heads and tags.
pub fn head(text: impl Into<String>) -> RichText {
    Type::HEAD.text(text)
}

pub fn axis(text: impl Into<String>) -> RichText {
    Type::Axis.text(text)
}

pub fn mono(text: impl Into<String>) -> RichText {
    Type::Mono.text(text)
}

/// Gives `ctx` the embedded faces; call once before the first frame.
pub fn install(ctx: &Context) {
    ctx.set_fonts(definitions());
}

fn definitions() -> FontDefinitions {
    let mut fonts = FontDefinitions::empty();
    let faces = [
        (REGULAR, INTER_REGULAR),
        (MEDIUM, INTER_MEDIUM),
        (SEMIBOLD, INTER_SEMIBOLD),
        (MONO, JETBRAINS_MONO),
        (Face::Regular.name(), PHOSPHOR),
        (Face::Bold.name(), PHOSPHOR_BOLD),
        (Face::Fill.name(), PHOSPHOR_FILL),
    ];
    for (name, bytes) in faces {
        fonts.font_data.insert(name.to_owned(), Arc::new(FontData::from_static(bytes)));
    }
    let families = [
        (FontFamily::Proportional, vec![REGULAR]),
        (family(Weight::Medium), vec![MEDIUM]),
        (family(Weight::Strong), vec![SEMIBOLD]),
        // Inter has the few symbols that JetBrains Mono lacks, among them ↳.
        (FontFamily::Monospace, vec![MONO, REGULAR]),
        (Face::Regular.family(), vec![Face::Regular.name()]),
        (Face::Bold.family(), vec![Face::Bold.name()]),
        (Face::Fill.family(), vec![Face::Fill.name()]),
    ];
    for (family, names) in families {
        fonts.families.insert(family, names.into_iter().map(str::to_owned).collect());
    }
    fonts
}

fn family(weight: Weight) -> FontFamily {
    match weight {
        Weight::Regular => FontFamily::Proportional,
        Weight::Medium => FontFamily::Name(MEDIUM.into()),
        Weight::Strong => FontFamily::Name(SEMIBOLD.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::icons;

    const SYMBOLS: &str = "≤≥−–…·→←↑↓↔↳×±≈\u{a0}•";

    fn with_fonts(test: impl Fn(&mut egui::epaint::text::FontsView<'_>)) {
        let ctx = Context::default();
        install(&ctx);
        ctx.run_ui(Default::default(), |ui| ui.ctx().fonts_mut(|fonts| test(fonts))).drop_without_applying_deltas();
    }

    #[test]
    fn every_symbol_and_icon_has_a_glyph() {
        with_fonts(|fonts| {
            for style in [Type::BODY, Type::NAME, Type::STRONG, Type::Mono] {
                for symbol in SYMBOLS.chars() {
                    assert!(fonts.has_glyph(&style.font(), symbol), "{symbol:?} in {style:?}");
                }
            }
            for face in Face::ALL {
                for (name, icon) in icons::ALL {
                    let font = FontId::new(16.0, face.family());
                    assert!(fonts.has_glyph(&font, icon.0), "{name} in {face:?}");
                }
            }
        });
    }

    #[test]
    fn figures_are_tabular_in_every_weight() {
        with_fonts(|fonts| {
            for style in [Type::BODY, Type::NAME, Type::STRONG, Type::Figure, Type::Axis] {
                let mut width = |text: &str| fonts.layout_no_wrap(text.to_owned(), style.font(), egui::Color32::PLACEHOLDER).size().x;
                // Glyphs are placed at fractions of a pixel.
                let difference = width("1,117.71") - width("8,484.40");
                assert!(difference.abs() < 0.1, "{style:?}: {difference}");
                assert_ne!(width("iiii"), width("mmmm"), "proportional letters stay");
            }
        });
    }

    #[test]
    fn files_stay_small() {
        for bytes in [INTER_REGULAR, INTER_MEDIUM, INTER_SEMIBOLD, JETBRAINS_MONO, PHOSPHOR] {
            assert!(bytes.len() <= 200_000);
        }
    }
}
