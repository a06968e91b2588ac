//! Code blocks: mono, coloured, scrolling sideways, selectable, copied whole.

use std::sync::Arc;

use egui::text::LayoutJob;
use egui::{CornerRadius, Frame, Label, Margin, ScrollArea, Stroke, TextWrapMode, Ui};

use super::button::copy_button;
use super::card::title_row;
use super::highlight::highlight;
pub use crate::text::highlight::Language;
use crate::ui::theme::{Theme, radius, space};

/// Longer texts show this many characters first; a statement can be 150 kB.
const SHOWN_CHARACTERS_MAX: usize = 2_000;

/// A heading, the language for readers, a copy button, and the code.
pub fn code_block(ui: &mut Ui, title: &str, text: &str, language: Language) {
    title_row(ui, title, language.word(), |ui| {
        copy_button(ui, "Copy", || text.to_owned());
    });
    ui.add_space(space::S);
    code_box(ui, text, language);
}

/// The code alone, in its box; `text` is shown whole after "Show all".
pub fn code_box(ui: &mut Ui, text: &str, language: Language) {
    let id = ui.make_persistent_id(("code", text));
    let all = ui.data(|data| data.get_temp::<bool>(id)).unwrap_or(false);
    let cut = text.char_indices().nth(SHOWN_CHARACTERS_MAX).map(|(index, _)| index);
    let shown = match cut {
        Some(index) if !all => &text[..index],
        _ => text,
    };
    let theme = Theme::get(ui);
    let job = cached(ui, id.with((all, theme.dark)), shown, language);
    let width = ui.available_width() - 26.0;
    Frame::NONE
        .fill(theme.bg_code)
        .stroke(Stroke::new(1.0, theme.line_subtle))
        .corner_radius(CornerRadius::same(radius::CONTROL))
        .inner_margin(Margin::symmetric(12, 8))
        .show(ui, |ui| {
            ui.set_width(width);
            ScrollArea::horizontal().id_salt(id).auto_shrink([false, true]).show(ui, |ui| {
                let label = Label::new(job).selectable(true).wrap_mode(TextWrapMode::Extend);
                ui.add(label);
            });
        });
    if cut.is_some() && !all && super::button::small_link(ui, "Show all").clicked() {
        ui.data_mut(|data| data.insert_temp(id, true));
    }
}

/// The coloured layout, made once a text and theme.
fn cached(ui: &Ui, id: egui::Id, text: &str, language: Language) -> Arc<LayoutJob> {
    if let Some(job) = ui.data(|data| data.get_temp::<Arc<LayoutJob>>(id)) {
        return job;
    }
    let job = Arc::new(highlight(text, language, Theme::get(ui)));
    ui.data_mut(|data| data.insert_temp(id, Arc::clone(&job)));
    job
}
