//! The list: search, filters, group and sort, and rows that hang symptoms under their causes.

use eframe::egui::{self, Align, CursorIcon, EventFilter, Layout, Rect, Response, Role, ScrollArea, Sense, Ui, UiBuilder, WidgetInfo, pos2, vec2};

use super::rows::{self, Row, Rows};
use crate::app::recheck::Rechecked;
use crate::app::{Action, GroupBy, Model, SortBy};
use crate::evidence::Layer;
use crate::finding::{Effort, Severity};
use crate::plan::Ranked;
use crate::text;
use crate::ui::fonts::Type;
use crate::ui::icons::{self, Face};
use crate::ui::look;
use crate::ui::theme::{Theme, height, space};
use crate::ui::widgets::{
    Condition, FindingRow, chip_filter, finding_row, icon_button, key_cap, menu, menu_item, page_state, paint, search_field, small_link,
};

const HEAD: f32 = 32.0;
const MORE: f32 = 32.0;
const FOOT: f32 = 32.0;

/// The list of open or dismissed findings with everything above and under it.
pub fn findings(ui: &mut Ui, model: &Model, rows: &Rows<'_>, actions: &mut Vec<Action>) {
    controls(ui, model, actions);
    let room = ui.available_rect_before_wrap();
    let (list, foot) = room.split_top_bottom_at_y(room.bottom() - FOOT);
    let mut child = ui.new_child(UiBuilder::new().id_salt("rows").max_rect(list));
    child.set_clip_rect(list.intersect(ui.clip_rect()));
    if rows.rows.is_empty() {
        empty(&mut child, model, actions);
    } else {
        scroll(&mut child, model, rows, actions);
    }
    footer(ui, foot, rows);
}

fn controls(ui: &mut Ui, model: &Model, actions: &mut Vec<Action>) {
    let theme = Theme::get(ui);
    ui.add_space(space::M);
    let inner = ui.available_width() - space::M * 2.0;
    let (_, at) = ui.allocate_space(vec2(ui.available_width(), height::BUTTON));
    let mut field = ui.new_child(UiBuilder::new().id_salt("search").max_rect(at.shrink2(vec2(space::M, 0.0))));
    search(&mut field, model, inner, actions);
    ui.add_space(space::S);
    let (_, rect) = ui.allocate_space(vec2(ui.available_width(), height::BUTTON_SMALL));
    let inside = rect.shrink2(vec2(space::M, 0.0));
    let mut left = ui.new_child(UiBuilder::new().id_salt("chips").max_rect(inside).layout(Layout::left_to_right(Align::Center)));
    left.spacing_mut().item_spacing.x = space::S;
    chips(&mut left, model, actions);
    let mut right = ui.new_child(UiBuilder::new().id_salt("order").max_rect(inside).layout(Layout::right_to_left(Align::Center)));
    right.spacing_mut().item_spacing.x = 0.0;
    order(&mut right, model, inside.right() - left.min_rect().right() - space::S, actions);
    ui.add_space(space::M);
    let (_, line) = ui.allocate_space(vec2(ui.available_width(), 1.0));
    paint::rule(ui.painter(), line.x_range(), line.top(), theme.line_subtle);
}

fn search(ui: &mut Ui, model: &Model, width: f32, actions: &mut Vec<Action>) {
    let mut words = model.findings.search.clone();
    let response = search_field(ui, &mut words, "Search findings", "/", width);
    if response.changed() {
        actions.push(Action::SearchFindings(words));
    }
    if model.wants_search_focus {
        response.request_focus();
        actions.push(Action::SearchFocused);
    }
}

fn chips(ui: &mut Ui, model: &Model, actions: &mut Vec<Action>) {
    let v = &model.findings;
    let layers = Layer::ALL.map(|l| (l.name(), v.layers.contains(&l)));
    toggles(ui, "Layer", &layers, |i| actions.push(Action::ToggleLayer(Layer::ALL[i])));
    let severities = Severity::ALL_DOWN.map(|s| (s.name(), v.severities.contains(&s)));
    toggles(ui, "Severity", &severities, |i| actions.push(Action::ToggleSeverity(Severity::ALL_DOWN[i])));
    const EFFORTS: [Effort; 3] = [Effort::Minutes, Effort::Hours, Effort::Days];
    let efforts = EFFORTS.map(|e| (e.id(), v.efforts.contains(&e)));
    toggles(ui, "Effort", &efforts, |i| actions.push(Action::ToggleEffort(EFFORTS[i])));
}

/// A chip whose changed options are told one by one.
fn toggles(ui: &mut Ui, name: &str, options: &[(&str, bool)], mut toggle: impl FnMut(usize)) {
    let words: Vec<&str> = options.iter().map(|o| o.0).collect();
    let mut chosen: Vec<bool> = options.iter().map(|o| o.1).collect();
    if chip_filter(ui, name, &words, &mut chosen) {
        options.iter().zip(chosen).enumerate().filter(|(_, (before, now))| before.1 != *now).for_each(|(i, _)| toggle(i));
    }
}

const SORTS: [(SortBy, &str); 4] =
    [(SortBy::MeasuredCost, "Measured cost"), (SortBy::Severity, "Severity"), (SortBy::Effort, "Effort"), (SortBy::Title, "Title")];
const GROUPS: [(GroupBy, &str); 5] = [
    (GroupBy::None, "No groups"),
    (GroupBy::Layer, "By layer"),
    (GroupBy::Severity, "By severity"),
    (GroupBy::Effort, "By effort"),
    (GroupBy::RequestPath, "By request path"),
];

/// What the list is sorted by; its menu sorts and groups.
fn order(ui: &mut Ui, model: &Model, room: f32, actions: &mut Vec<Action>) {
    let v = &model.findings;
    let sorted = SORTS.iter().find(|s| s.0 == v.sort).map_or("", |s| s.1);
    let button = order_button(ui, sorted, room);
    menu(&button, |ui| {
        for (sort, name) in SORTS {
            let check = (sort == v.sort).then_some(icons::CHECK);
            if menu_item(ui, check.unwrap_or(icons::DOT_OUTLINE), &format!("Sort by {}", name.to_lowercase()), "").clicked() {
                actions.push(Action::SortFindings(sort));
            }
        }
        ui.separator();
        for (group, name) in GROUPS {
            let check = (group == v.group).then_some(icons::CHECK);
            if menu_item(ui, check.unwrap_or(icons::DOT_OUTLINE), name, "").clicked() {
                actions.push(Action::GroupFindings(group));
            }
        }
    });
}

fn order_button(ui: &mut Ui, sorted: &str, room: f32) -> Response {
    let theme = Theme::get(ui);
    let text = paint::line(ui.painter(), sorted, Type::LABEL, theme.text_weak, f32::INFINITY);
    // Where the chips leave no room, the icon stands alone; its name still says what it does.
    if text.size().x + 26.0 > room {
        return icon_button(ui, icons::SORT_DESCENDING, 24.0, &format!("Group and sort, by {}", sorted.to_lowercase()));
    }
    let (rect, response) = ui.allocate_exact_size(vec2(text.size().x + 20.0, height::BUTTON_SMALL), Sense::click());
    response.widget_info(|| WidgetInfo::labeled(Role::Button, true, format!("Group and sort, by {}", sorted.to_lowercase())));
    let color = if response.hovered() { theme.text } else { theme.text_weak };
    paint::icon(ui.painter(), pos2(rect.left() + 7.0, rect.center().y), icons::SORT_DESCENDING, Face::Regular, 14.0, color);
    paint::left(ui.painter(), rect.left() + 20.0, rect.center().y, text);
    paint::focus_ring(ui, &response, rect, 4);
    response.on_hover_cursor(CursorIcon::PointingHand)
}

fn empty(ui: &mut Ui, model: &Model, actions: &mut Vec<Action>) {
    let v = &model.findings;
    let is_filtered = !v.search.is_empty() || !v.layers.is_empty() || !v.severities.is_empty() || !v.efforts.is_empty();
    let inside = ui.available_rect_before_wrap().shrink(space::M);
    let mut child = ui.new_child(UiBuilder::new().id_salt("empty").max_rect(inside));
    if is_filtered {
        if page_state(&mut child, Condition::NotChecked, "No finding matches", "Search and filters leave none of them.", Some("Clear")) {
            actions.push(Action::ClearFilters);
        }
    } else {
        let sentence = "A finding that is dismissed stands here with its reason, until the day it was dismissed for.";
        page_state(&mut child, Condition::NotChecked, "Nothing is dismissed", sentence, None);
    }
}

fn row_height(row: &Row<'_>) -> f32 {
    match row {
        Row::Head { .. } => HEAD,
        Row::Finding(_) => height::FINDING_ROW,
        Row::More { .. } => MORE,
    }
}

/// Only the rows in sight are drawn. A selection that moved by key is scrolled into sight.
fn scroll(ui: &mut Ui, model: &Model, rows: &Rows<'_>, actions: &mut Vec<Action>) {
    let list = ui.make_persistent_id("findings list");
    let current = rows.current(model.findings.selected.as_deref()).map(|r| r.key.as_str());
    let total: f32 = rows.rows.iter().map(row_height).sum();
    let shown = ui.data(|data| data.get_temp::<String>(list));
    let has_moved = shown.as_deref() != current;
    ScrollArea::vertical().id_salt("findings").auto_shrink(false).show_viewport(ui, |ui, viewport| {
        ui.set_height(total);
        let origin = ui.max_rect().min;
        let width = ui.available_width();
        let mut top = 0.0;
        for (index, row) in rows.rows.iter().enumerate() {
            let tall = row_height(row);
            let at = Rect::from_min_size(origin + vec2(0.0, top), vec2(width, tall));
            let is_current = matches!(row, Row::Finding(r) if Some(r.key.as_str()) == current);
            if is_current && has_moved {
                ui.scroll_to_rect(at, None);
            }
            if top + tall >= viewport.top() && top <= viewport.bottom() || is_current {
                draw_row(ui, model, (list.with(index), at), row, is_current, actions);
            }
            top += tall;
        }
    });
    if has_moved {
        ui.data_mut(|data| data.insert_temp(list, current.unwrap_or("").to_owned()));
    }
}

fn draw_row(ui: &mut Ui, model: &Model, (id, at): (egui::Id, Rect), row: &Row<'_>, is_current: bool, actions: &mut Vec<Action>) {
    match row {
        Row::Head { title, count } => group_head(ui, at, title, *count),
        Row::Finding(ranked) => finding(ui, (id, at), ranked, model.rechecked(&ranked.key).map(Rechecked::word), is_current, actions),
        Row::More { check, count } => {
            let mut child = ui.new_child(
                UiBuilder::new().id_salt(("more", *check)).max_rect(at.shrink2(vec2(62.0, 0.0))).layout(Layout::left_to_right(Align::Center)),
            );
            if small_link(&mut child, &format!("and {} more", text::count(*count as u64))).clicked() {
                rows::open_all(ui, check);
            }
            paint::rule(ui.painter(), at.x_range(), at.bottom() - 1.0, Theme::get(ui).line_subtle);
        }
    }
}

/// A header inside a list: a name and how many are under it.
pub fn group_head(ui: &Ui, at: Rect, title: &str, count: usize) {
    let theme = Theme::get(ui);
    let response = ui.interact(at, ui.scope_id().with(("group", title)), Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(Role::Heading, true, format!("{title}, {count}")));
    ui.painter().rect_filled(at, 0.0, theme.bg_hover);
    let y = at.center().y;
    let x = paint::text_left(ui.painter(), pos2(at.left() + space::M, y), title, Type::NAME, theme.text, at.width() - 64.0);
    paint::text_left(ui.painter(), pos2(x + space::S, y), &count.to_string(), Type::LABEL, theme.text_weak, 60.0);
    paint::rule(ui.painter(), at.x_range(), at.bottom() - 1.0, theme.line_subtle);
}

/// The background, edge bar and focus of a row at `at`; one row is the list's tab stop.
pub fn list_row(ui: &Ui, id: egui::Id, at: Rect, is_current: bool) -> Response {
    let theme = Theme::get(ui);
    let sense = if is_current { Sense::click() } else { Sense::CLICK };
    let response = ui.interact(at, id, sense);
    if response.has_focus() {
        let filter = EventFilter { vertical_arrows: true, ..EventFilter::default() };
        ui.memory_mut(|memory| memory.set_focus_lock_filter(response.id, filter));
    }
    if is_current || response.hovered() {
        ui.painter().rect_filled(at, 0.0, theme.bg_hover);
    }
    paint::rule(ui.painter(), at.x_range(), at.bottom() - 1.0, theme.line_subtle);
    if is_current {
        ui.painter().rect_filled(Rect::from_min_max(at.min, pos2(at.left() + 2.0, at.bottom())), 0.0, theme.accent);
    }
    paint::focus_ring(ui, &response, at, 0);
    response
}

/// `again`: the word of how it stood when it was checked again; it stands in place of the gain.
fn finding(ui: &Ui, (id, at): (egui::Id, Rect), ranked: &Ranked, again: Option<&str>, is_current: bool, actions: &mut Vec<Action>) {
    let response = list_row(ui, id, at, is_current);
    let is_symptom = ranked.symptom_of.is_some();
    let gain = match again {
        Some(word) => word.to_owned(),
        None if is_symptom => format!("with {}", ranked.rank),
        None => worth(ranked),
    };
    let row = FindingRow {
        rank: (!is_symptom && ranked.rank > 0).then_some(ranked.rank as usize),
        level: look::level(ranked.finding.severity),
        layer: look::hue(ranked.check.layer),
        title: ranked.check.title,
        subject: &ranked.finding.subject.name,
        gain: &gain,
    };
    finding_row(ui, &response, row, is_current);
    if response.clicked() {
        actions.push(Action::SelectFinding(ranked.key.clone()));
    }
}

/// What the fix is worth in a few words; else what it averts.
pub fn worth(ranked: &Ranked) -> String {
    let f = &ranked.finding;
    f.gain.as_ref().map(|g| g.words.clone()).or_else(|| f.averts.clone()).unwrap_or_else(|| "no saving measured".to_owned())
}

fn footer(ui: &mut Ui, at: Rect, rows: &Rows<'_>) {
    let theme = Theme::get(ui);
    paint::rule(ui.painter(), at.x_range(), at.top(), theme.line_subtle);
    let inside = at.shrink2(vec2(space::M, 0.0));
    let shown = rows.findings().count();
    let words = format!("{} of {} shown", text::count(shown as u64), text::count(rows.matching as u64));
    let mut left = ui.new_child(UiBuilder::new().id_salt("count").max_rect(inside).layout(Layout::left_to_right(Align::Center)));
    left.label(Type::LABEL.text(words).color(theme.text_weak));
    let mut right = ui.new_child(UiBuilder::new().id_salt("keys").max_rect(inside).layout(Layout::right_to_left(Align::Center)));
    right.spacing_mut().item_spacing.x = 6.0;
    right.label(Type::LABEL.text("next, previous").color(theme.text_weak));
    key_cap(&mut right, "K");
    key_cap(&mut right, "J");
}
