//! Tables: a header of 28, virtual rows, no stripes, one sort, one selection.

use egui::{Align, CursorIcon, Layout, Rect, Response, Role, Sense, Ui, UiBuilder, WidgetInfo, pos2, vec2};

use super::card::Width;
use super::overlay::hint;
use super::paint;
use super::rows::{ListResponse, row_list};
use crate::ui::fonts::Type;
use crate::ui::icons::{self, Face};
use crate::ui::theme::{Theme, height, space};

/// Where a column's text stands; numbers are at the right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Left,
    Right,
}

/// One column.
#[derive(Clone, Copy, Debug)]
pub struct Column<'a> {
    pub title: &'a str,
    pub width: Width,
    pub side: Side,
    /// The header can be clicked to sort by it.
    pub sortable: bool,
}

impl<'a> Column<'a> {
    pub fn left(title: &'a str, width: Width) -> Self {
        Self { title, width, side: Side::Left, sortable: false }
    }

    pub fn right(title: &'a str, width: Width) -> Self {
        Self { title, width, side: Side::Right, sortable: false }
    }

    pub fn sortable(mut self) -> Self {
        self.sortable = true;
        self
    }
}

/// What a table is made of.
#[derive(Clone, Copy, Debug)]
pub struct Table<'a> {
    pub id: &'a str,
    pub columns: &'a [Column<'a>],
    /// 32, 56 or 64 points.
    pub row_height: f32,
    pub rows: usize,
    /// The sorted column and whether ascending.
    pub sort: Option<(usize, bool)>,
}

/// What the reader did in a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TableResponse {
    pub list: ListResponse,
    /// The column whose header was clicked.
    pub sort_clicked: Option<usize>,
}

const GAP: f32 = 16.0;
/// Points that one share of a table should have, for a name to be told from another.
const SHARE_MIN: f32 = 112.0;
/// Fixed columns never give up more than this of their width: figures must stay whole.
const SQUEEZE_MIN: f32 = 0.78;

/// Draws the table to the edges of the room it has. `name` gives a row's
/// accessible name; `cell` fills one cell: its `Ui` is laid out from the
/// column's side and centred.
pub fn table(
    ui: &mut Ui,
    table: Table<'_>,
    selected: &mut Option<usize>,
    name: impl Fn(usize) -> String,
    mut cell: impl FnMut(&mut Ui, usize, usize),
) -> TableResponse {
    ui.spacing_mut().item_spacing.y = 0.0;
    let spans = spans(ui, table.columns);
    let mut response = TableResponse { sort_clicked: header(ui, &table, &spans), ..TableResponse::default() };
    response.list = row_list(ui, table.id, table.rows, table.row_height, selected, |ui, row, response, is_selected| {
        response.widget_info(|| WidgetInfo::selected(Role::ListBoxOption, true, is_selected, name(row)));
        for (index, ((left, right), column)) in spans.iter().zip(table.columns).enumerate() {
            let rect = Rect::from_x_y_ranges(response.rect.left() + left..=response.rect.left() + right, response.rect.y_range());
            let layout = match column.side {
                Side::Left => Layout::left_to_right(Align::Center),
                Side::Right => Layout::right_to_left(Align::Center),
            };
            let builder = UiBuilder::new().id_salt(("cell", row, index)).max_rect(rect).layout(layout);
            let mut inside = ui.new_child(builder);
            inside.shrink_clip_rect(rect);
            cell(&mut inside, row, index);
        }
    });
    response
}

/// Left and right of each column, from the table's left edge.
fn spans(ui: &Ui, columns: &[Column<'_>]) -> Vec<(f32, f32)> {
    let fixed: f32 = columns.iter().map(|c| if let Width::Points(p) = c.width { p } else { 0.0 }).sum();
    let shares: f32 = columns.iter().map(|c| if let Width::Share(s) = c.width { s } else { 0.0 }).sum();
    let gaps = GAP * columns.len().saturating_sub(1) as f32;
    let room = ui.available_width() - space::CARD_X * 2.0;
    // A narrow table takes room from its figures before its names are gone.
    let wanted = (shares * SHARE_MIN).min((room - gaps) * 0.5);
    let squeeze = ((room - gaps - wanted) / fixed.max(1.0)).clamp(SQUEEZE_MIN, 1.0);
    let spare = (room - fixed * squeeze - gaps).max(0.0);
    let mut x = space::CARD_X;
    columns
        .iter()
        .map(|column| {
            let width = match column.width {
                Width::Points(points) => points * squeeze,
                Width::Share(share) => spare * share / shares.max(f32::EPSILON),
            };
            let span = (x, x + width);
            x += width + GAP;
            span
        })
        .collect()
}

fn header(ui: &mut Ui, table: &Table<'_>, spans: &[(f32, f32)]) -> Option<usize> {
    let theme = Theme::get(ui);
    let size = vec2(ui.available_width(), height::TABLE_HEAD);
    let (_, rect) = ui.allocate_space(size);
    paint::rule(ui.painter(), rect.x_range(), rect.bottom() - 1.0, theme.line);
    let mut clicked = None;
    for (index, (column, (left, right))) in table.columns.iter().zip(spans).enumerate() {
        if column.title.is_empty() {
            continue;
        }
        let x = rect.left() + left..=rect.left() + right;
        let at = Rect::from_x_y_ranges(x, rect.y_range());
        let sorted = table.sort.and_then(|(sorted, up)| (sorted == index).then_some(up));
        if head_cell(ui, table.id, index, column, at, sorted).clicked() {
            clicked = Some(index);
        }
    }
    clicked
}

fn head_cell(ui: &Ui, table: &str, index: usize, column: &Column<'_>, at: Rect, sorted: Option<bool>) -> Response {
    let theme = Theme::get(ui);
    let id = ui.scope_id().with(("head", table, index));
    let sense = if column.sortable { Sense::click() } else { Sense::hover() };
    let response = ui.interact(at, id, sense);
    let name = match sorted {
        Some(true) => format!("{}, sorted ascending", column.title),
        Some(false) => format!("{}, sorted descending", column.title),
        None => column.title.to_owned(),
    };
    let role = if column.sortable { Role::Button } else { Role::ColumnHeader };
    response.widget_info(|| WidgetInfo::labeled(role, true, &name));
    let hot = column.sortable && response.hovered();
    let color = if hot { theme.text } else { theme.text_weak };
    let painter = ui.painter();
    let y = at.center().y - 0.5;
    let caret = if sorted.is_some() { 16.0 } else { 0.0 };
    let room = at.width() - caret;
    let text = paint::line(painter, column.title, Type::HEAD, color, room);
    let caret_x = match column.side {
        Side::Left => paint::left(painter, at.left(), y, text) + 10.0,
        Side::Right => {
            paint::right(painter, at.right() - caret, y, text);
            at.right() - 6.0
        }
    };
    if let Some(ascending) = sorted {
        let icon = if ascending { icons::CARET_UP } else { icons::CARET_DOWN };
        paint::icon(painter, pos2(caret_x, y), icon, Face::Regular, 12.0, color);
    }
    paint::focus_ring(ui, &response, at, 0);
    if column.sortable { response.on_hover_cursor(CursorIcon::PointingHand) } else { response }
}

/// Text in a cell, cut with … and shown whole on hover.
pub fn cell_text(ui: &mut Ui, text: &str, style: Type, color: egui::Color32) -> Response {
    let room = ui.available_width();
    let galley = paint::line(ui.painter(), text, style, color, room);
    let cut = galley.elided;
    let (rect, response) = ui.allocate_exact_size(galley.size(), Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(Role::Label, true, text));
    paint::left(ui.painter(), rect.left(), rect.center().y, galley);
    if cut { hint(response, text) } else { response }
}
