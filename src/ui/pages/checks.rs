//! The catalogue: every check by layer, one in full.

use eframe::egui::{Rect, Role, ScrollArea, Ui, UiBuilder, WidgetInfo, pos2};

use crate::app::{Action, Model};
use crate::checks::{Check, registry};
use crate::evidence::Layer;
use crate::text;
use crate::ui::fonts::Type;
use crate::ui::icons::Face;
use crate::ui::look;
use crate::ui::theme::{Theme, height, space};
use crate::ui::widgets::{Condition, definition, layer_tag, link, page_state, paint, row_list, search_field, top_bar};

const LIST: f32 = 368.0;

/// Draws the page.
pub fn show(ui: &mut Ui, model: &Model, actions: &mut Vec<Action>) {
    let id = ui.make_persistent_id("search checks");
    let mut search = ui.data(|data| data.get_temp::<String>(id)).unwrap_or_default();
    let caption = format!("{} in {} layers", text::plural(registry::ALL.len() as u64, "check", "checks"), Layer::ALL.len());
    top_bar(ui, "Checks", &caption, |ui| {
        let response = search_field(ui, &mut search, "Search checks", "Ctrl F", 208.0);
        if model.wants_search_focus {
            response.request_focus();
            actions.push(Action::SearchFocused);
        }
    });
    let checks = found(&search);
    ui.data_mut(|data| data.insert_temp(id, search));
    let room = ui.available_rect_before_wrap();
    let (left, right) = room.split_left_right_at_x(room.left() + LIST);
    ui.painter().vline(left.right() - 0.5, left.y_range(), eframe::egui::Stroke::new(1.0, Theme::get(ui).line_subtle));
    let selected = model.checks_selected.as_deref().and_then(|id| checks.iter().position(|c| c.id == id)).or((!checks.is_empty()).then_some(0));
    part(ui, "list", left, |ui| list(ui, &checks, selected, actions));
    part(ui, "check", right, |ui| match selected.map(|index| checks[index]) {
        Some(check) => detail(ui, check, actions),
        None => {
            ui.add_space(space::L);
            page_state(ui, Condition::Empty, "No check", "No check is called so.", None);
        }
    });
}

fn part(ui: &mut Ui, name: &str, rect: Rect, content: impl FnOnce(&mut Ui)) {
    let mut child = ui.new_child(UiBuilder::new().id_salt(name).max_rect(rect.shrink2(eframe::egui::vec2(1.0, 0.0))));
    child.shrink_clip_rect(rect);
    child.spacing_mut().item_spacing.y = 0.0;
    content(&mut child);
}

/// By layer, in the order of a request's way.
fn found(search: &str) -> Vec<&'static Check> {
    let wanted = search.trim().to_lowercase();
    let is_meant = |c: &&Check| wanted.is_empty() || c.title.to_lowercase().contains(&wanted) || c.id.contains(&wanted);
    let mut checks: Vec<&'static Check> = registry::ALL.iter().copied().filter(is_meant).collect();
    checks.sort_by_key(|c| c.layer);
    checks
}

fn list(ui: &mut Ui, checks: &[&'static Check], selected: Option<usize>, actions: &mut Vec<Action>) {
    let mut now = selected;
    let response = row_list(ui, "checks", checks.len(), height::FINDING_ROW, &mut now, |ui, index, response, is_selected| {
        let theme = Theme::get(ui);
        let check = checks[index];
        let name = format!("{}, {}", check.layer.name(), check.title);
        response.widget_info(|| WidgetInfo::selected(Role::ListBoxOption, true, is_selected, &name));
        let rect = response.rect;
        let layer = look::hue(check.layer);
        paint::icon(ui.painter(), pos2(rect.left() + 26.0, rect.center().y), layer.icon(), Face::Regular, 16.0, layer.color(theme));
        let room = rect.width() - 56.0;
        paint::text_left(ui.painter(), pos2(rect.left() + 44.0, rect.top() + 17.5), check.title, Type::NAME, theme.text, room);
        paint::text_left(ui.painter(), pos2(rect.left() + 44.0, rect.top() + 34.5), check.id, Type::Mono, theme.text_weak, room);
    });
    if let Some(index) = now.filter(|_| response.changed) {
        actions.push(Action::SelectCheck(Some(checks[index].id.to_owned())));
    }
}

fn detail(ui: &mut Ui, check: &'static Check, actions: &mut Vec<Action>) {
    let theme = Theme::get(ui);
    ScrollArea::vertical().id_salt(check.id).auto_shrink([false, false]).show(ui, |ui| {
        let inside = ui.available_rect_before_wrap().shrink2(eframe::egui::vec2(space::PAGE_X, space::PAGE_Y));
        ui.scope_builder(UiBuilder::new().max_rect(inside), |ui| {
            ui.spacing_mut().item_spacing.y = 0.0;
            ui.horizontal(|ui| {
                layer_tag(ui, look::hue(check.layer));
                ui.label(Type::Mono.text(check.id).color(theme.text_weak));
            });
            ui.add_space(space::S);
            ui.label(Type::Title.text(check.title).color(theme.text));
            let sections = |list: &[crate::evidence::Section]| list.iter().map(|s| s.name()).collect::<Vec<_>>().join(", ");
            for (title, words) in [("Why", check.why), ("Method", check.method), ("Remedy", check.remedy), ("Passes as", check.passed)] {
                ui.add_space(space::L);
                ui.label(Type::HEADING.text(title).color(theme.text));
                ui.add_space(space::XS);
                ui.label(Type::BODY.text(words).color(theme.text_muted));
            }
            ui.add_space(space::L);
            definition(ui, "Effort", check.effort.id(), false);
            for (name, list) in [("Needs", check.needs), ("Uses", check.uses)] {
                if !list.is_empty() {
                    definition(ui, name, &sections(list), false);
                }
            }
            if !check.references.is_empty() {
                ui.add_space(space::L);
                ui.label(Type::HEADING.text("References").color(theme.text));
                ui.add_space(space::XS);
            }
            for url in check.references {
                if link(ui, url, Type::LABEL).clicked() {
                    actions.push(Action::OpenLink((*url).to_owned()));
                }
            }
        });
    });
}
