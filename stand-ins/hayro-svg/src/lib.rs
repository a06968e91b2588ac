//! Draws no PDF pages: what `typst-svg` needs of [hayro-svg](https://docs.rs/hayro-svg/0.7) to compile. The program draws no page as SVG.

use hayro::hayro_interpret::InterpreterSettings;
use hayro_syntax::page::Page;

#[derive(Default)]
pub struct RenderCache;

impl RenderCache {
    pub fn new() -> Self {
        Self
    }
}

pub struct SvgRenderSettings {
    pub bg_color: [u8; 4],
}

/// A picture without content. Inlined for the same reason as `hayro::render`.
#[inline(always)]
pub fn convert(_: &Page<'_>, _: &RenderCache, _: &InterpreterSettings, _: &SvgRenderSettings) -> String {
    r#"<svg xmlns="http://www.w3.org/2000/svg"/>"#.to_owned()
}
