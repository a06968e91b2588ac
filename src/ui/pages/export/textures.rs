//! The preview's pages on the graphics card, uploaded once.

use std::sync::Arc;

use eframe::egui::{ColorImage, Id, TextureFilter, TextureHandle, TextureOptions, Ui};

use crate::app::Preview;

/// The textures of one preview; a new preview replaces them all.
#[derive(Clone)]
pub struct Textures {
    of: Arc<Preview>,
    pages: Arc<Vec<TextureHandle>>,
}

impl Textures {
    /// Those of `preview`, uploaded now if they are not there yet.
    pub fn of(ui: &Ui, preview: &Arc<Preview>) -> Self {
        let key = Id::unique("report pages");
        let kept = ui.data(|d| d.get_temp::<Self>(key)).filter(|t| Arc::ptr_eq(&t.of, preview));
        kept.unwrap_or_else(|| {
            // Thumbnails are a tenth of the page: without mipmaps their text would sparkle.
            let options = TextureOptions { mipmap_mode: Some(TextureFilter::Linear), ..TextureOptions::LINEAR };
            let pages = preview.pages.iter().enumerate().map(|(index, page)| {
                let image = ColorImage::from_rgba_unmultiplied([page.width, page.height], &page.rgba);
                ui.ctx().load_texture(format!("page {index}"), image, options)
            });
            let new = Self { of: Arc::clone(preview), pages: Arc::new(pages.collect()) };
            ui.data_mut(|d| d.insert_temp(key, new.clone()));
            new
        })
    }

    pub fn pages(&self) -> &[TextureHandle] {
        &self.pages
    }
}
