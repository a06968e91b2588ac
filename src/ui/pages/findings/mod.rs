//! The page "Findings": four lists of one page, the list at the left, the selected one in full at the right.

mod detail;
mod evidence;
mod fix;
mod keys;
mod list;
mod markdown;
mod others;
mod recheck;
mod rows;

use eframe::egui::{self, CursorIcon, Rect, Sense, Ui, UiBuilder, pos2, vec2};

use crate::app::{Action, Audit, FindingsTab, Model};
use crate::text;
use crate::ui::theme::{Theme, space};
use crate::ui::widgets::{Condition, SegmentSize, loading_card, page_state, segments, top_bar};

const LIST_WIDTH: f32 = 368.0;
const LIST_WIDTH_RANGE: (f32, f32) = (300.0, 520.0);

const TABS: [FindingsTab; 4] = [FindingsTab::Open, FindingsTab::Passed, FindingsTab::NotChecked, FindingsTab::Dismissed];

/// Draws the page.
pub fn show(ui: &mut Ui, model: &Model, actions: &mut Vec<Action>) {
    ui.spacing_mut().item_spacing.y = 0.0;
    let Some(audit) = model.current_audit() else {
        top_bar(ui, "Findings", "", |_| {});
        nothing(ui, model, actions);
        return;
    };
    let plan = &audit.plan;
    let caption =
        format!("{} in {}, {} not checked", plan.findings.len(), text::plural(plan.checks_total() as u64, "check", "checks"), plan.unknown.len());
    top_bar(ui, "Findings", &caption, |ui| tabs(ui, model, audit, actions));
    let page = ui.available_rect_before_wrap();
    let is_healthy = model.findings.tab == FindingsTab::Open && plan.findings.is_empty();
    if is_healthy {
        inside(ui, page, |ui| others::healthy(ui, audit, actions));
        return;
    }
    let x = page.left() + list_width(ui, page);
    let (left, right) = page.split_left_right_at_x(x);
    match model.findings.tab {
        FindingsTab::Open | FindingsTab::Dismissed => {
            let built = rows::build(ui, model);
            keys::act(ui, model, &built, actions);
            area(ui, left, "list", |ui| list::findings(ui, model, &built, actions));
            area(ui, right, "detail", |ui| detail::selected(ui, model, audit, &built, actions));
        }
        FindingsTab::Passed => {
            area(ui, left, "list", |ui| others::passed_list(ui, model, audit, actions));
            area(ui, right, "detail", |ui| others::passed_detail(ui, model, audit, actions));
        }
        FindingsTab::NotChecked => {
            area(ui, left, "list", |ui| others::gap_list(ui, model, audit, actions));
            area(ui, right, "detail", |ui| others::gap_detail(ui, model, audit, actions));
        }
    }
    ui.painter().vline(x.round() - 0.5, page.y_range(), egui::Stroke::new(1.0, Theme::get(ui).line_subtle));
}

fn tabs(ui: &mut Ui, model: &Model, audit: &Audit, actions: &mut Vec<Action>) {
    let plan = &audit.plan;
    let words = [
        format!("Open {}", plan.findings.len()),
        format!("Passed {}", plan.passed.len()),
        format!("Not checked {}", plan.unknown.len()),
        format!("Dismissed {}", plan.dismissed.len()),
    ];
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut active = TABS.iter().position(|tab| *tab == model.findings.tab).unwrap_or(0);
    if segments(ui, "List", &words, &mut active, SegmentSize::Normal) {
        actions.push(Action::FindingsTab(TABS[active]));
    }
}

/// The list's width, which the reader may drag between 300 and 520; 300 where the page is narrow.
fn list_width(ui: &mut Ui, page: Rect) -> f32 {
    let id = egui::Id::unique("findings list width");
    let wanted = ui.data(|data| data.get_temp::<f32>(id)).unwrap_or(LIST_WIDTH);
    let most = (page.width() - 480.0).clamp(LIST_WIDTH_RANGE.0, LIST_WIDTH_RANGE.1);
    let width = wanted.clamp(LIST_WIDTH_RANGE.0, most);
    let edge = page.left() + width;
    let grip = Rect::from_min_max(pos2(edge - 3.0, page.top()), pos2(edge + 3.0, page.bottom()));
    let response = ui.interact(grip, id.with("grip"), Sense::DRAG).on_hover_cursor(CursorIcon::ResizeHorizontal);
    if response.dragged() {
        let width = (width + response.drag_delta().x).clamp(LIST_WIDTH_RANGE.0, most);
        ui.data_mut(|data| data.insert_temp(id, width));
    }
    width
}

fn area(ui: &mut Ui, rect: Rect, salt: &str, content: impl FnOnce(&mut Ui)) {
    let mut child = ui.new_child(UiBuilder::new().id_salt(salt).max_rect(rect).layout(egui::Layout::top_down(egui::Align::Min)));
    child.set_clip_rect(rect.intersect(ui.clip_rect()));
    child.spacing_mut().item_spacing.y = 0.0;
    content(&mut child);
}

fn inside(ui: &mut Ui, rect: Rect, content: impl FnOnce(&mut Ui)) {
    area(ui, rect.shrink2(vec2(space::PAGE_X, space::PAGE_Y)), "inside", content);
}

/// No audit yet, or one that is still being read.
fn nothing(ui: &mut Ui, model: &Model, actions: &mut Vec<Action>) {
    let page = ui.available_rect_before_wrap();
    inside(ui, page, |ui| {
        if model.audit.is_pending() {
            let since = ui.input(|input| input.time);
            loading_card(ui, "Findings", since);
        } else if page_state(ui, Condition::Empty, "No audit yet", "What an audit finds is listed here, ranked by what it costs.", Some("All stores"))
        {
            actions.push(Action::Go(crate::app::Page::Stores));
        }
    });
}
