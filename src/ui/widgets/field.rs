//! Text fields: a label above, a box of 32, an error sentence under it.

use egui::{Align2, Color32, Frame, Margin, Rect, Response, Role, Sense, TextEdit, Ui, UiBuilder, WidgetInfo, pos2, vec2};

use super::marks::key_cap_size;
use super::overlay::hint;
use super::paint;
use crate::ui::fonts::Type;
use crate::ui::icons::{self, Face, Icon};
use crate::ui::theme::{Theme, height, radius};

/// Height of the label above a box.
pub(super) const LABEL: f32 = 20.0;

/// A single line of text; `show` draws it.
#[must_use]
pub struct Field<'a> {
    value: &'a mut String,
    label: &'a str,
    hidden_label: bool,
    hint: &'a str,
    error: Option<&'a str>,
    marked: bool,
    secret: bool,
    style: Type,
    width: Option<f32>,
    tall: f32,
    leading: Option<Icon>,
    trailing: Option<(Icon, &'a str)>,
    keys: &'a str,
}

/// What happened to a field.
pub struct FieldResponse {
    /// The text: `changed`, `lost_focus`, `request_focus`.
    pub response: Response,
    /// The trailing icon was clicked.
    pub trailing_clicked: bool,
}

impl<'a> Field<'a> {
    /// A field named `label`, full width.
    pub fn new(label: &'a str, value: &'a mut String) -> Self {
        Self {
            value,
            label,
            hidden_label: false,
            hint: "",
            error: None,
            marked: false,
            secret: false,
            style: Type::BODY,
            width: None,
            tall: height::BUTTON,
            leading: None,
            trailing: None,
            keys: "",
        }
    }

    /// The label is only the accessible name.
    pub fn hide_label(mut self) -> Self {
        self.hidden_label = true;
        self
    }

    pub fn hint(mut self, hint: &'a str) -> Self {
        self.hint = hint;
        self
    }

    /// What is wrong and what to do, under the box.
    pub fn error(mut self, error: Option<&'a str>) -> Self {
        self.error = error;
        self
    }

    /// The critical edge alone: its sentence stands elsewhere.
    pub fn marked(mut self, is_wrong: bool) -> Self {
        self.marked = is_wrong;
        self
    }

    /// Masked, with an eye that shows it.
    pub fn secret(mut self) -> Self {
        self.secret = true;
        self
    }

    pub fn mono(mut self) -> Self {
        self.style = Type::Mono;
        self
    }

    pub fn width(mut self, width: f32) -> Self {
        self.width = Some(width);
        self
    }

    /// 28 high, for a field in a card's title row.
    pub fn small(mut self) -> Self {
        self.tall = 28.0;
        self.style = Type::LABEL;
        self
    }

    pub fn leading(mut self, icon: Icon) -> Self {
        self.leading = Some(icon);
        self
    }

    /// An icon at the right that can be clicked; `name` is its accessible name.
    pub fn trailing(mut self, icon: Icon, name: &'a str) -> Self {
        self.trailing = Some((icon, name));
        self
    }

    /// A key cap at the right while the field is empty.
    pub fn keys(mut self, keys: &'a str) -> Self {
        self.keys = keys;
        self
    }

    pub fn show(self, ui: &mut Ui) -> FieldResponse {
        let width = self.width.unwrap_or_else(|| ui.available_width());
        // A row centres what it is told to expect: the box, and the label above it when there is one.
        let tall = if self.hidden_label { self.tall } else { self.tall + LABEL };
        ui.allocate_ui_with_layout(vec2(width, tall), egui::Layout::top_down(egui::Align::Min), |ui| {
            ui.set_width(width);
            ui.spacing_mut().item_spacing.y = 0.0;
            self.column(ui, width)
        })
        .inner
    }

    fn column(self, ui: &mut Ui, width: f32) -> FieldResponse {
        let theme = Theme::get(ui);
        if !self.hidden_label {
            field_label(ui, self.label);
        }
        let (_, rect) = ui.allocate_space(vec2(width, self.tall));
        let background = ui.painter().add(egui::Shape::Noop);
        let mut inside = rect.shrink2(vec2(11.0, 1.0));
        let y = rect.center().y;
        if let Some(icon) = self.leading {
            let center = pos2(inside.left() + 7.0, y);
            paint::icon(ui.painter(), center, icon, Face::Regular, 16.0, theme.text_muted);
            inside.min.x += 23.0;
        }
        let id = ui.make_persistent_id(("field", self.label));
        let shown = ui.data(|data| data.get_temp::<bool>(id.with("shown"))).unwrap_or(false);
        let eye = if shown { (icons::EYE, "Hide") } else { (icons::EYE_SLASH, "Show") };
        let trailing = if self.secret { Some(eye) } else { self.trailing };
        let at = Rect::from_center_size(pos2(inside.right() - 7.0, y), vec2(24.0, 24.0));
        if trailing.is_some() {
            inside.max.x -= 24.0;
        } else if !self.keys.is_empty() && self.value.is_empty() {
            let size = key_cap_size(ui, self.keys);
            let at = Rect::from_center_size(pos2(inside.right() - size.x / 2.0, y), size);
            super::marks::paint_key_cap(ui, at, self.keys);
            inside.max.x -= size.x + 8.0;
        }
        let edit = TextEdit::singleline(self.value)
            .id(id)
            .password(self.secret && !shown)
            .font(self.style.font())
            .text_color(theme.text)
            .hint_text(self.style.text(self.hint).color(theme.text_weak))
            .frame(Frame::NONE)
            .margin(Margin::ZERO)
            .align(Align2::LEFT_CENTER)
            .min_size(inside.size())
            .desired_width(inside.width());
        let response = ui.scope_builder(UiBuilder::new().max_rect(inside), |ui| ui.add(edit)).inner.accessible_name(self.label);
        // After the text, as Tab goes.
        let trailing_clicked = trailing.is_some_and(|(icon, name)| trailing_button(ui, at, id, icon, name, self.label));
        if self.secret && trailing_clicked {
            ui.data_mut(|data| data.insert_temp(id.with("shown"), !shown));
            ui.ctx().request_repaint();
        }
        let edge = if self.error.is_some() || self.marked { theme.critical.fg } else { theme.line };
        ui.painter().set(background, field_box(rect, theme.bg_field, edge));
        paint::focus_ring(ui, &response, rect, radius::CONTROL);
        if let Some(error) = self.error {
            error_sentence(ui, error, width);
        }
        FieldResponse { response, trailing_clicked }
    }
}

/// The box behind the text, filled in once the text is laid out.
fn field_box(rect: Rect, fill: Color32, edge: Color32) -> egui::epaint::RectShape {
    let corners = egui::CornerRadius::same(radius::CONTROL);
    let stroke = egui::Stroke::new(1.0, edge);
    egui::epaint::RectShape::new(rect, corners, fill, stroke, egui::StrokeKind::Inside)
}

fn trailing_button(ui: &Ui, at: Rect, id: egui::Id, icon: Icon, name: &str, field: &str) -> bool {
    let theme = Theme::get(ui);
    let response = ui.interact(at, id.with("trailing"), Sense::click());
    let full = format!("{name} {field}");
    response.widget_info(|| WidgetInfo::labeled(Role::Button, ui.is_enabled(), &full));
    let color = if response.hovered() { theme.text } else { theme.text_muted };
    paint::icon(ui.painter(), at.center(), icon, Face::Regular, 16.0, color);
    paint::focus_ring(ui, &response, at, radius::TAG);
    hint(response, &full).clicked()
}

/// The label above a field or a dropdown.
pub fn field_label(ui: &mut Ui, label: &str) {
    let color = Theme::get(ui).text_muted;
    let galley = paint::line(ui.painter(), label, Type::LABEL, color, ui.available_width());
    let (_, rect) = ui.allocate_space(vec2(galley.size().x, LABEL));
    ui.painter().galley(rect.min, galley, Color32::PLACEHOLDER);
}

/// What is wrong with the input above, in the critical colour.
pub fn error_sentence(ui: &mut Ui, error: &str, width: f32) {
    let theme = Theme::get(ui);
    let galley = paint::wrapped(ui.painter(), error, Type::LABEL, theme.critical.fg, width - 20.0);
    let size = vec2(width, galley.size().y + 8.0);
    let (rect, response) = ui.allocate_exact_size(size, Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(Role::Label, true, error));
    let center = pos2(rect.left() + 7.0, rect.top() + 16.0);
    let critical = theme.critical.fg;
    paint::icon(ui.painter(), center, icons::X_CIRCLE, Face::Fill, 14.0, critical);
    ui.painter().galley(rect.min + vec2(20.0, 8.0), galley, critical);
}

/// A search field with a magnifier; `keys` names the key that focuses it.
pub fn search_field(ui: &mut Ui, value: &mut String, hint: &str, keys: &str, width: f32) -> Response {
    Field::new(hint, value).hide_label().hint(hint).leading(icons::MAGNIFYING_GLASS).keys(keys).width(width).show(ui).response
}
