//! The formats as tiles; several may be saved at once.

use eframe::egui::{CursorIcon, Role, Sense, Ui, WidgetInfo, pos2, vec2};

use crate::app::{Action, ExportView, ReportFormat};
use crate::text;
use crate::ui::fonts::Type;
use crate::ui::icons::{self, Face, Icon};
use crate::ui::theme::{Theme, radius, space};
use crate::ui::widgets::{paint, title_row};

const TILE: f32 = 48.0;

pub fn show(ui: &mut Ui, view: &ExportView, actions: &mut Vec<Action>) {
    title_row(ui, "Formats", "", |_| {});
    ui.add_space(6.0);
    let half = ((ui.available_width() - space::S) / 2.0).floor();
    for pair in ReportFormat::ALL.chunks(2) {
        ui.horizontal(|ui| {
            for format in pair {
                if tile(ui, view, *format, half) {
                    actions.push(Action::ToggleFormat(*format));
                }
            }
        });
        ui.add_space(space::S);
    }
}

fn look(format: ReportFormat) -> (Icon, &'static str) {
    match format {
        ReportFormat::Pdf => (icons::FILE_PDF, "for readers"),
        ReportFormat::Markdown => (icons::MARKDOWN_LOGO, "for an issue"),
        ReportFormat::Html => (icons::FILE_HTML, "one file"),
        ReportFormat::Json => (icons::FILE_CODE, "for programs"),
        ReportFormat::Snapshot => (icons::ARCHIVE, "all evidence"),
    }
}

/// True when clicked.
fn tile(ui: &mut Ui, view: &ExportView, format: ReportFormat, width: f32) -> bool {
    let theme = Theme::get(ui);
    let is_on = view.formats.contains(&format);
    let (icon, words) = look(format);
    let pages = view.preview.shown().map(|p| p.pages_total as u64);
    let words = match (format, pages) {
        (ReportFormat::Pdf, Some(pages)) => text::plural(pages, "page", "pages"),
        // Evidence is kept as it was read: masking is for reports.
        (ReportFormat::Snapshot, _) if view.choice.mask_hosts => "hosts not masked".to_owned(),
        _ => words.to_owned(),
    };
    let (rect, response) = ui.allocate_exact_size(vec2(width, TILE), Sense::click());
    response.widget_info(|| WidgetInfo::selected(Role::CheckBox, true, is_on, format.name()));
    let painter = ui.painter();
    let (fill, edge) = match (is_on, response.hovered()) {
        (true, _) => (theme.bg_hover, theme.accent),
        (false, true) => (theme.bg_hover, theme.line_strong),
        (false, false) => (theme.bg_card, theme.line),
    };
    paint::boxed(painter, rect, radius::CONTROL, fill, edge);
    paint::focus_ring(ui, &response, rect, radius::CONTROL);
    let y = rect.center().y;
    let color = if is_on { theme.accent } else { theme.text_muted };
    paint::icon(painter, pos2(rect.left() + 22.0, y), icon, Face::Regular, 20.0, color);
    let x = rect.left() + 40.0;
    let room = rect.right() - 32.0 - x;
    paint::text_left(painter, pos2(x, y - 8.0), format.name(), Type::NAME, theme.text, room);
    paint::text_left(painter, pos2(x, y + 8.0), &words, Type::LABEL, theme.text_weak, room);
    let at = pos2(rect.right() - 20.0, y);
    let (mark, face, color) = if is_on { (icons::CHECK_CIRCLE, Face::Fill, theme.accent) } else { (icons::CIRCLE, Face::Regular, theme.text_weak) };
    paint::icon(painter, at, mark, face, 16.0, color);
    response.on_hover_cursor(CursorIcon::PointingHand).clicked()
}
