//! What happened, newest first; gaps stand out.

use eframe::egui::{Role, ScrollArea, Sense, Ui, WidgetInfo, pos2, vec2};

use crate::app::{Activity, Running};
use crate::text;
use crate::ui::fonts::Type;
use crate::ui::icons::Face;
use crate::ui::look;
use crate::ui::theme::{Theme, space};
use crate::ui::widgets::{card, hint, paint, title_row};

const ROW: f32 = 21.0;

pub fn show(ui: &mut Ui, running: &Running, height: f32) {
    card(ui, Some(height), |ui| {
        let gaps = running.activity.iter().filter(|a| a.is_gap).count() as u64;
        title_row(ui, "Activity", "", |ui| {
            if gaps > 0 {
                let words = format!("{} so far, the audit continues", text::plural(gaps, "gap", "gaps"));
                ui.label(Type::LABEL.text(words).color(Theme::get(ui).text_weak));
            }
        });
        ui.add_space(space::XS);
        if running.activity.is_empty() {
            ui.label(Type::LABEL.text("Nothing yet.").color(Theme::get(ui).text_weak));
            return;
        }
        ScrollArea::vertical().id_salt("activity").auto_shrink([false, false]).show_rows(ui, ROW, running.activity.len(), |ui, range| {
            for line in &running.activity[range] {
                row(ui, line);
            }
        });
    });
}

fn row(ui: &mut Ui, line: &Activity) {
    let theme = Theme::get(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), ROW), Sense::hover());
    let clock = text::clock(line.at);
    let kind = if line.is_gap { "gap, " } else { "" };
    let name = format!("{clock}, {}, {kind}{}", line.layer.name(), line.text);
    response.widget_info(|| WidgetInfo::labeled(Role::Label, true, &name));
    let y = rect.center().y;
    let painter = ui.painter();
    paint::text_left(painter, pos2(rect.left(), y), &clock, Type::Mono, theme.text_weak, 70.0);
    let hue = look::hue(line.layer);
    paint::icon(painter, pos2(rect.left() + 77.0, y), hue.icon(), Face::Regular, 14.0, hue.color(theme));
    let color = if line.is_gap { theme.medium.fg } else { theme.text_muted };
    let words = text::one_line(&line.text);
    let galley = paint::line(painter, &words, Type::Mono, color, rect.width() - 96.0);
    let is_cut = galley.elided;
    paint::left(painter, rect.left() + 96.0, y, galley);
    if is_cut {
        hint(response, &words);
    }
}
