//! Draws no PDF pages: what `typst-render` needs of [hayro](https://docs.rs/hayro/0.7) to compile.
//!
//! hayro draws PDF files that a document embeds as pictures. The report's templates are part of the program and embed none, so its
//! interpreter, its image decoders and its rasteriser are a quarter of an hour of processor time and megabytes of code that never
//! runs. A PDF that were embedded all the same would be transparent in the preview; the exported PDF does not pass here.

use hayro_interpret::InterpreterSettings;
use hayro_syntax::page::Page;

pub mod hayro_interpret {
    use std::sync::Arc;

    use font::{FontData, FontQuery};

    type FontResolver = dyn Fn(&FontQuery) -> Option<(FontData, u32)> + Send + Sync;

    /// Never read.
    pub struct InterpreterSettings {
        pub font_resolver: Arc<FontResolver>,
        pub cmap_resolver: Arc<dyn Fn(()) -> Option<()> + Send + Sync>,
        pub warning_sink: Arc<dyn Fn(()) + Send + Sync>,
        pub render_annotations: bool,
    }

    pub mod font {
        use std::sync::Arc;

        pub type FontData = Arc<dyn AsRef<[u8]> + Send + Sync>;

        pub enum FontQuery {
            Standard(StandardFont),
            Fallback(FallbackFontQuery),
        }

        pub struct FallbackFontQuery;

        impl FallbackFontQuery {
            pub fn pick_standard_font(&self) -> StandardFont {
                StandardFont::Helvetica
            }
        }

        #[derive(Clone, Copy)]
        pub enum StandardFont {
            Helvetica,
            HelveticaBold,
            HelveticaOblique,
            HelveticaBoldOblique,
            Courier,
            CourierBold,
            CourierOblique,
            CourierBoldOblique,
            TimesRoman,
            TimesBold,
            TimesItalic,
            TimesBoldItalic,
            ZapfDingBats,
            Symbol,
        }
    }
}

pub mod vello_cpu {
    pub mod color {
        pub mod palette {
            pub mod css {
                pub const TRANSPARENT: [u8; 4] = [0; 4];
            }
        }
    }
}

#[derive(Default)]
pub struct RenderCache;

impl RenderCache {
    pub fn new() -> Self {
        Self
    }
}

/// `x_scale`, `y_scale` pixels a point; `width`, `height` in pixels.
pub struct RenderSettings {
    pub x_scale: f32,
    pub y_scale: f32,
    pub width: Option<u16>,
    pub height: Option<u16>,
    pub bg_color: [u8; 4],
}

/// Premultiplied RGBA rows from the top.
pub struct Pixmap(Vec<u8>);

impl Pixmap {
    pub fn take(self) -> Vec<u8> {
        self.0
    }
}

/// A transparent picture of the asked size. Inlined, so that the fonts which the settings hold are seen to be unused and left out.
#[inline(always)]
pub fn render(_: &Page<'_>, _: &RenderCache, _: &InterpreterSettings, settings: &RenderSettings) -> Pixmap {
    let pixels = usize::from(settings.width.unwrap_or(0)) * usize::from(settings.height.unwrap_or(0));
    Pixmap(settings.bg_color.repeat(pixels))
}
