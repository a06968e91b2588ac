//! The Export page: what the report holds, beside its pages as they will be saved.

mod choices;
mod formats;
mod outcome;
mod preview;
mod textures;

use eframe::egui::{self, ScrollArea, Ui};

use crate::app::{Action, Audit, Model, ReportFormat};
use crate::text;
use crate::ui::fonts::Type;
use crate::ui::icons;
use crate::ui::theme::{Theme, space};
use crate::ui::widgets::{Button, Condition, Kind, Width, button, columns, page_state, top_bar};

const FORM: f32 = 376.0;
const FOOT: f32 = 64.0;

/// Draws the page.
pub fn show(ui: &mut Ui, model: &Model, actions: &mut Vec<Action>) {
    ui.spacing_mut().item_spacing.y = 0.0;
    let Some(audit) = model.current_audit() else {
        top_bar(ui, "Export", "", |_| {});
        egui::Frame::NONE.inner_margin(egui::Margin::symmetric(24, 16)).show(ui, |ui| {
            page_state(ui, Condition::NotChecked, "No audit is open", "Open one to export its report.", None);
        });
        return;
    };
    bar(ui, model, audit, actions);
    let height = ui.available_height();
    columns(ui, &[Width::Points(FORM), Width::Share(1.0)], height, 0.0, |ui, index| match index {
        0 => form(ui, model, audit, actions),
        _ => preview::show(ui, &model.export, actions),
    });
}

/// "Save 2 files": the button says what it will do.
fn save_words(formats: &[ReportFormat]) -> String {
    match formats {
        [] => "Save".to_owned(),
        [one] => format!("Save {}", one.name()),
        many => format!("Save {}", text::plural(many.len() as u64, "file", "files")),
    }
}

fn bar(ui: &mut Ui, model: &Model, audit: &Audit, actions: &mut Vec<Action>) {
    let caption = format!("Audit of {}", text::date_time(audit.snapshot.meta.taken_at));
    top_bar(ui, "Export", &caption, |ui| {
        let blocked = match (model.export.saving.is_pending(), model.export.formats.is_empty()) {
            (true, _) => Some("The report is being written"),
            (false, true) => Some("Choose a format first"),
            (false, false) => None,
        };
        let words = save_words(&model.export.formats);
        if Button::new(Kind::Primary, &words).icon(icons::DOWNLOAD_SIMPLE).blocked(blocked).show(ui).clicked() {
            actions.push(Action::SaveReport);
        }
        if button(ui, Kind::Secondary, icons::COPY, "Copy Markdown").clicked() {
            actions.push(Action::CopyReport);
        }
    });
}

fn form(ui: &mut Ui, model: &Model, audit: &Audit, actions: &mut Vec<Action>) {
    let theme = Theme::get(ui);
    let rect = ui.max_rect();
    ui.painter().vline(rect.right() - 0.5, rect.y_range(), egui::Stroke::new(1.0, theme.line_subtle));
    let inside = egui::Rect::from_min_max(rect.min, egui::pos2(rect.right() - 1.0, rect.bottom() - FOOT));
    ui.scope_builder(egui::UiBuilder::new().max_rect(inside), |ui| {
        ScrollArea::vertical().id_salt("export").auto_shrink([false, false]).show(ui, |ui| {
            egui::Frame::NONE.inner_margin(egui::Margin { left: 24, right: 24, top: 16, bottom: 16 }).show(ui, |ui| {
                ui.set_width(ui.available_width());
                ui.spacing_mut().item_spacing = egui::vec2(space::S, 0.0);
                outcome::show(ui, &model.export, actions);
                formats::show(ui, &model.export, actions);
                ui.add_space(space::M);
                choices::show(ui, model, audit, actions);
            });
        });
    });
    let foot = egui::Rect::from_min_max(inside.left_bottom(), rect.max).shrink2(egui::vec2(24.0, 12.0));
    ui.scope_builder(egui::UiBuilder::new().id_salt("foot").max_rect(foot), |ui| {
        let words = "Holds no rows, no cached values, no e-mail addresses, no secrets.";
        ui.label(Type::LABEL.text(words).color(theme.text_weak));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_button_names_what_it_saves() {
        assert_eq!(save_words(&[ReportFormat::Pdf]), "Save PDF");
        assert_eq!(save_words(&[ReportFormat::Pdf, ReportFormat::Json]), "Save 2\u{a0}files");
    }
}
