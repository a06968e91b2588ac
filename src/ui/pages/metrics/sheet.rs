//! The table of a metrics page: filtered, sorted by a click on a header, copied as tab-separated text, linked to findings.

use std::sync::Arc;

use eframe::egui::{self, Align, Event, Key, Layout, Rect, Sense, Ui, UiBuilder, pos2, vec2};

pub use super::rows::{Cell, Mark, Row, mark, touching};
use crate::app::{Action, Model};
use crate::evidence::Layer;
use crate::text;
use crate::ui::fonts::Type;
use crate::ui::icons::{self, Face};
use crate::ui::look;
use crate::ui::theme::{Theme, height, space};
use crate::ui::widgets::{
    Column, Field, LayerHue, SegmentSize, Table, cell_text, copy_button, paint, segments, share_bar_width, share_cell, small_link_named, table,
    title_row,
};

/// A table with its heading. The last column, "Finding", is added here.
pub struct Sheet<'a> {
    pub id: &'static str,
    pub title: &'a str,
    pub caption: &'a str,
    pub columns: Vec<Column<'a>>,
    pub rows: Arc<Vec<Row>>,
    pub hue: LayerHue,
    /// "Filter statements"; empty: no filter.
    pub filter: &'a str,
    /// "Since 17 Nov", where counters have two bases.
    pub since: Option<String>,
    /// A sentence under the rows.
    pub note: &'a str,
    /// Key of the row that the page shows in full; `None`: the table remembers the row that was clicked.
    pub selected: Option<String>,
}

impl<'a> Sheet<'a> {
    /// A table of this layer that has nothing but its rows: no caption, filter, second base or note.
    pub fn plain(layer: Layer, id: &'static str, title: &'a str, columns: Vec<Column<'a>>, rows: impl IntoIterator<Item = Row>) -> Self {
        let rows = Arc::new(rows.into_iter().collect());
        Self { id, title, caption: "", columns, rows, hue: look::hue(layer), filter: "", since: None, note: "", selected: None }
    }
}

const TITLE: f32 = 44.0;

/// Draws the sheet in the card it is put in; `tall` is the card's height. Gives the key of the row that was selected just now.
pub fn show(ui: &mut Ui, sheet: Sheet<'_>, model: &Model, tall: f32, actions: &mut Vec<Action>) -> Option<String> {
    crate::ui::widgets::flush_card(ui, Some(tall), |ui| {
        let mut columns = sheet.columns.clone();
        // A short list that no finding speaks of keeps the room for its words.
        let links = !sheet.filter.is_empty() || sheet.rows.iter().any(|row| row.mark.is_some());
        if links {
            columns.push(Column::right("Finding", crate::ui::widgets::Width::Points(52.0)));
        }
        let state = egui::Id::unique(("sheet", sheet.id));
        let sort = ui.data(|data| data.get_temp::<(usize, bool)>(state));
        let needle = if sheet.filter.is_empty() { String::new() } else { model.metrics.filter.trim().to_lowercase() };
        let order = ordered(ui, state.with("order"), &sheet.rows, &needle, sort);
        heading(ui, &sheet, &columns, &order, model, actions);
        let room = ui.available_rect_before_wrap();
        let words = paint::wrapped(ui.painter(), sheet.note, Type::LABEL, Theme::get(ui).text_weak, room.width() - space::CARD_X * 2.0);
        let note = if sheet.note.is_empty() { 0.0 } else { words.size().y + space::S };
        let (body, foot) = room.split_top_bottom_at_y(room.bottom() - note);
        let mut child = ui.new_child(UiBuilder::new().id_salt("body").max_rect(body).layout(Layout::top_down(Align::Min)));
        child.set_clip_rect(body.intersect(ui.clip_rect()));
        let picked = rows(&mut child, &sheet, &columns, &order, sort, actions);
        if note > 0.0 {
            let at = foot.shrink2(vec2(space::CARD_X, 4.0));
            ui.painter().galley(at.min, words, Theme::get(ui).text_weak);
        }
        picked
    })
}

/// The rows in sight and their order, kept until rows, filter or sort change.
#[derive(Clone)]
struct Ordered {
    rows: Arc<Vec<Row>>,
    needle: String,
    sort: Option<(usize, bool)>,
    order: Arc<Vec<usize>>,
}

fn ordered(ui: &Ui, id: egui::Id, rows: &Arc<Vec<Row>>, needle: &str, sort: Option<(usize, bool)>) -> Arc<Vec<usize>> {
    if let Some(kept) = ui.data(|data| data.get_temp::<Ordered>(id))
        && Arc::ptr_eq(&kept.rows, rows)
        && kept.needle == needle
        && kept.sort == sort
    {
        return kept.order;
    }
    let order = Arc::new(order(rows, needle, sort));
    let kept = Ordered { rows: Arc::clone(rows), needle: needle.to_owned(), sort, order: Arc::clone(&order) };
    ui.data_mut(|data| data.insert_temp(id, kept));
    order
}

/// Indices of the rows that match, as sorted.
fn order(rows: &[Row], needle: &str, sort: Option<(usize, bool)>) -> Vec<usize> {
    let matches = |row: &Row| needle.is_empty() || row.cells.iter().any(|c| c.words().to_lowercase().contains(needle));
    let mut order: Vec<usize> = (0..rows.len()).filter(|i| matches(&rows[*i])).collect();
    if let Some((column, ascending)) = sort {
        order.sort_by(|a, b| {
            let ordering = compare(rows[*a].cells.get(column), rows[*b].cells.get(column));
            if ascending { ordering } else { ordering.reverse() }
        });
    }
    order
}

/// By value where both have one, else by words; what has no value comes first when ascending.
fn compare(a: Option<&Cell>, b: Option<&Cell>) -> std::cmp::Ordering {
    let (Some(a), Some(b)) = (a, b) else { return a.is_some().cmp(&b.is_some()) };
    match (a.value(), b.value()) {
        (Some(x), Some(y)) => x.total_cmp(&y),
        (None, None) => a.words().cmp(b.words()),
        (x, y) => x.is_some().cmp(&y.is_some()),
    }
}

fn heading(ui: &mut Ui, sheet: &Sheet<'_>, columns: &[Column<'_>], order: &[usize], model: &Model, actions: &mut Vec<Action>) {
    let (_, rect) = ui.allocate_space(vec2(ui.available_width(), TITLE));
    let inside = Rect::from_center_size(rect.center(), vec2(rect.width() - space::CARD_X * 2.0, 20.0));
    let mut child = ui.new_child(UiBuilder::new().id_salt("heading").max_rect(inside));
    title_row(&mut child, sheet.title, sheet.caption, |ui| {
        if let Some(since) = &sheet.since {
            let mut active = usize::from(model.metrics.since_reset);
            if segments(ui, "Period", &["Window", since], &mut active, SegmentSize::Normal) {
                actions.push(Action::MetricsBase { since_reset: active == 1 });
            }
        }
        if !sheet.filter.is_empty() {
            filter(ui, sheet.filter, model, actions);
        }
        copy_button(ui, "Copy table", || as_text(sheet, columns, order));
    });
}

fn filter(ui: &mut Ui, hint: &str, model: &Model, actions: &mut Vec<Action>) {
    let mut words = model.metrics.filter.clone();
    let width = if ui.available_width() > 420.0 { 184.0 } else { 136.0 };
    let (at, _) = ui.allocate_exact_size(vec2(width, 28.0), Sense::hover());
    let mut inside = ui.new_child(UiBuilder::new().id_salt("filter").max_rect(at).layout(Layout::top_down(Align::Min)));
    let field = Field::new(hint, &mut words).hide_label().hint(hint).leading(icons::MAGNIFYING_GLASS).small().width(width);
    let response = field.show(&mut inside).response;
    if response.changed() {
        actions.push(Action::FilterMetrics(words));
    }
    if model.wants_search_focus {
        response.request_focus();
        actions.push(Action::SearchFocused);
    }
}

fn rows(
    ui: &mut Ui,
    sheet: &Sheet<'_>,
    columns: &[Column<'_>],
    order: &[usize],
    sort: Option<(usize, bool)>,
    actions: &mut Vec<Action>,
) -> Option<String> {
    let state = egui::Id::unique(("sheet", sheet.id));
    if order.is_empty() {
        let at = ui.available_rect_before_wrap().shrink2(vec2(space::CARD_X, space::M));
        let words = if sheet.rows.is_empty() { "Nothing to list: none were seen in this period." } else { "No row matches the filter." };
        paint::text_left(ui.painter(), pos2(at.left(), at.top() + 10.0), words, Type::BODY, Theme::get(ui).text_weak, at.width());
        return None;
    }
    // The selection is a row, not a place: it stays with its row when the table is sorted or filtered.
    let chosen = ui.data(|data| data.get_temp::<usize>(state.with("selected")));
    let mut selected = match &sheet.selected {
        Some(key) => order.iter().position(|i| sheet.rows[*i].key == *key),
        None => chosen.and_then(|row| order.iter().position(|i| *i == row)),
    };
    let last = sheet.columns.len();
    let shown = Table { id: sheet.id, columns, row_height: height::TABLE_ROW, rows: order.len(), sort };
    let name = |row: usize| line(&sheet.rows[order[row]]).replace('\t', ", ");
    let mut opened = None;
    let response = table(ui, shown, &mut selected, name, |ui, row, column| {
        let row = &sheet.rows[order[row]];
        if column == last {
            if let Some(mark) = &row.mark
                && mark_link(ui, mark)
            {
                opened = Some(mark.key.clone());
            }
        } else if let Some(cell) = row.cells.get(column) {
            draw(ui, cell, sheet.hue, actions);
        }
    });
    if let Some(index) = selected {
        ui.data_mut(|data| data.insert_temp(state.with("selected"), order[index]));
        copy_row(ui, &sheet.rows[order[index]], actions);
    }
    if let Some(column) = response.sort_clicked {
        let ascending = sort.is_some_and(|(c, up)| c == column && !up);
        ui.data_mut(|data| data.insert_temp(state, (column, ascending)));
    }
    let activated = response.list.activated.and_then(|row| sheet.rows[order[row]].mark.as_ref()).map(|m| m.key.clone());
    if let Some(key) = opened.or(activated) {
        actions.push(Action::OpenFinding(key));
    }
    let picked = selected.filter(|_| response.list.changed).map(|index| &sheet.rows[order[index]].key);
    picked.filter(|key| !key.is_empty()).cloned()
}

/// Ctrl C copies the selected row when nothing else has text selected.
fn copy_row(ui: &Ui, row: &Row, actions: &mut Vec<Action>) {
    let has_focus = ui.memory(|memory| memory.focused().is_some()) && !ui.ctx().text_edit_focused();
    let copies = has_focus && ui.input(|i| i.events.iter().any(|e| matches!(e, Event::Copy)) || i.modifiers.command && i.key_pressed(Key::C));
    if copies {
        actions.push(Action::Copy { text: line(row), what: "Row".into() });
    }
}

fn draw(ui: &mut Ui, cell: &Cell, hue: LayerHue, actions: &mut Vec<Action>) {
    let theme = Theme::get(ui);
    match cell {
        Cell::Text(s) => drop(cell_text(ui, s, Type::BODY, theme.text)),
        Cell::Weak(s) => drop(cell_text(ui, s, Type::BODY, theme.text_muted)),
        Cell::Mono(s) => drop(cell_text(ui, s, Type::Mono, theme.text_muted)),
        Cell::Off(s) => drop(cell_text(ui, s, Type::BODY, theme.high.fg)),
        Cell::Number { shown, is_off, .. } => drop(cell_text(ui, shown, Type::BODY, if *is_off { theme.high.fg } else { theme.text })),
        Cell::Strong { shown, .. } => drop(cell_text(ui, shown, Type::STRONG, theme.text)),
        Cell::None(s) => drop(cell_text(ui, s, Type::BODY, theme.text_weak)),
        Cell::Link { shown, goes, name } => {
            if small_link_named(ui, shown, name).clicked() {
                actions.push(goes.clone());
            }
        }
        Cell::Share { share, shown, target } => {
            let left = ui.max_rect().left();
            let y = ui.max_rect().center().y;
            let bar = share_bar_width(ui.max_rect().width());
            share_cell(ui, *share as f32, shown, hue.color(theme));
            if let Some(target) = target {
                let x = left + bar * *target as f32;
                ui.painter().rect_filled(Rect::from_min_max(pos2(x, y - 6.0), pos2(x + 1.0, y + 6.0)), 0.0, theme.text);
            }
        }
    }
}

/// The finding's shape and rank, which open it.
fn mark_link(ui: &mut Ui, mark: &Mark) -> bool {
    let theme = Theme::get(ui);
    let level = look::level(mark.severity);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 24.0), Sense::click());
    let name = format!("Open finding {}, {}", mark.rank, level.word());
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Link, true, &name));
    let color = if response.hovered() { theme.accent } else { theme.text };
    let x = paint::text_right(ui.painter(), rect.right_center(), &mark.rank.to_string(), Type::BODY, color);
    let (icon, face): (_, Face) = level.icon();
    paint::icon(ui.painter(), pos2(x - 12.0, rect.center().y), icon, face, 14.0, level.colors(theme).fg);
    paint::focus_ring(ui, &response, rect, 4);
    response.on_hover_cursor(egui::CursorIcon::PointingHand).clicked()
}

/// The row's words, separated by tabs.
fn line(row: &Row) -> String {
    let mut words: Vec<String> = row.cells.iter().map(|c| text::one_line(c.words())).collect();
    words.extend(row.mark.as_ref().map(|m| m.rank.to_string()));
    words.join("\t")
}

/// The rows in sight of the filter, as sorted, with the header, separated by tabs.
fn as_text(sheet: &Sheet<'_>, columns: &[Column<'_>], order: &[usize]) -> String {
    let head: Vec<&str> = columns.iter().map(|c| c.title).collect();
    let mut out = head.join("\t");
    for index in order {
        out.push('\n');
        out.push_str(&line(&sheet.rows[*index]));
    }
    out
}
