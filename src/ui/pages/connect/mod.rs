//! The Connect page: steps, the form of one step, and what testing it showed.

mod capabilities;
mod draft;
mod form_cdn;
mod form_postgres;
mod form_redis;
mod form_shop;
mod form_store;
mod grants;
mod limits;
mod parts;
mod steps;
mod test;

use eframe::egui::{self, Event, Key, Modifiers, ScrollArea, Ui};

use crate::app::message::WizardAction;
use crate::app::wizard::{Wizard, WizardStep};
use crate::app::{Action, Model};
use crate::ui::icons;
use crate::ui::theme::{Theme, space};
use crate::ui::widgets::{Condition, Kind, Width, button, columns, icon_button, page_state, paint, top_bar};

/// Under this width of the page the steps and the form give way to the test.
const NARROW: f32 = 960.0;
const FOOTER: f32 = 64.0;

/// What every form needs: the model, the wizard in it, and where its actions go.
struct Form<'a> {
    model: &'a Model,
    wizard: &'a Wizard,
    actions: &'a mut Vec<Action>,
}

impl Form<'_> {
    fn push(&mut self, action: WizardAction) {
        self.actions.push(Action::Wizard(action));
    }
}

/// Draws the page.
pub fn show(ui: &mut Ui, model: &Model, actions: &mut Vec<Action>) {
    ui.spacing_mut().item_spacing.y = 0.0;
    let Some(wizard) = &model.wizard else {
        if page_state(ui, Condition::Empty, "No store is being set up", "Start one to connect its services.", Some("New store")) {
            actions.push(Action::NewStore);
        }
        return;
    };
    let mut form = Form { model, wizard, actions };
    keys(ui, &mut form);
    bar(ui, &mut form);
    let (steps_width, form_width) = if ui.available_width() < NARROW { (176.0, 376.0) } else { (208.0, 400.0) };
    let widths = [Width::Points(steps_width), Width::Points(form_width), Width::Share(1.0)];
    let height = ui.available_height();
    columns(ui, &widths, height, 0.0, |ui, index| match index {
        0 => steps::show(ui, &mut form),
        1 => form_column(ui, &mut form),
        _ => test::show(ui, &mut form),
    });
}

fn bar(ui: &mut Ui, form: &mut Form<'_>) {
    let title = if form.wizard.editing.is_some() { "Edit store" } else { "Connect" };
    let place = form.wizard.step as usize + 1;
    let caption = format!("Step {place} of {}. Every step is optional.", WizardStep::ALL.len());
    top_bar(ui, title, &caption, |ui| {
        if icon_button(ui, icons::X, 32.0, "Leave without saving").clicked() {
            form.push(WizardAction::Cancel);
        }
        if button(ui, Kind::Ghost, None, "Save and close").clicked() {
            form.push(WizardAction::Save { run: false });
        }
    });
}

/// Ctrl Enter tests, Alt ← → change the step, and text pasted outside a field fills the form.
/// Taken before the fields are drawn: a field with the focus would move its cursor instead.
fn keys(ui: &Ui, form: &mut Form<'_>) {
    if form.model.dialog.is_some() {
        return;
    }
    let (test, back, next) = ui.input_mut(|i| {
        (i.consume_key(Modifiers::COMMAND, Key::Enter), i.consume_key(Modifiers::ALT, Key::ArrowLeft), i.consume_key(Modifiers::ALT, Key::ArrowRight))
    });
    if test && form.wizard.step != WizardStep::Store {
        form.push(WizardAction::Test);
    }
    if back {
        form.push(WizardAction::Previous);
    }
    if next && form.wizard.step.next().is_some() {
        form.push(WizardAction::Next);
    }
    if ui.ctx().text_edit_focused() {
        return;
    }
    let pasted = ui.input(|i| i.events.iter().find_map(|e| if let Event::Paste(text) = e { Some(text.clone()) } else { None }));
    if let Some(text) = pasted {
        form.push(WizardAction::Paste(text));
    }
}

/// The form scrolls; what leads on stays at its foot.
fn form_column(ui: &mut Ui, form: &mut Form<'_>) {
    let theme = Theme::get(ui);
    let rect = ui.max_rect();
    ui.painter().vline(rect.right() - 0.5, rect.y_range(), egui::Stroke::new(1.0, theme.line_subtle));
    let height = ui.available_height() - FOOTER;
    let inside = egui::Rect::from_min_size(rect.min, egui::vec2(rect.width() - 1.0, height));
    ui.scope_builder(egui::UiBuilder::new().max_rect(inside), |ui| {
        ScrollArea::vertical().id_salt("form").auto_shrink([false, false]).show(ui, |ui| {
            egui::Frame::NONE.inner_margin(egui::Margin { left: 16, right: 23, top: 16, bottom: 16 }).show(ui, |ui| {
                ui.set_width(ui.available_width());
                ui.spacing_mut().item_spacing = egui::vec2(space::M, 0.0);
                ui.push_id(form.wizard.step, |ui| fields(ui, form));
            });
        });
    });
    footer(ui, form, egui::Rect::from_min_max(inside.left_bottom(), egui::pos2(rect.right() - 1.0, rect.bottom())));
}

fn fields(ui: &mut Ui, form: &mut Form<'_>) {
    match form.wizard.step {
        WizardStep::Store => form_store::show(ui, form),
        WizardStep::Postgres => form_postgres::show(ui, form),
        WizardStep::Redis => form_redis::show(ui, form),
        WizardStep::Cdn => form_cdn::show(ui, form),
        WizardStep::Shop => form_shop::show(ui, form),
    }
}

fn footer(ui: &mut Ui, form: &mut Form<'_>, rect: egui::Rect) {
    paint::rule(ui.painter(), rect.x_range(), rect.top(), Theme::get(ui).line_subtle);
    let inside = egui::Rect::from_min_max(rect.min + egui::vec2(16.0, 0.0), rect.max - egui::vec2(23.0, 0.0));
    let layout = egui::Layout::right_to_left(egui::Align::Center);
    ui.scope_builder(egui::UiBuilder::new().id_salt("footer").max_rect(inside).layout(layout), |ui| {
        ui.spacing_mut().item_spacing.x = space::S;
        match form.wizard.step.next() {
            Some(next) => lead_on(ui, form, next),
            None => finish(ui, form),
        }
        if form.wizard.step.previous().is_some() {
            let left = egui::Rect::from_min_max(inside.min, egui::pos2(ui.min_rect().left(), inside.bottom()));
            let layout = egui::Layout::left_to_right(egui::Align::Center);
            ui.scope_builder(egui::UiBuilder::new().id_salt("back").max_rect(left).layout(layout), |ui| {
                if button(ui, Kind::Ghost, None, "Back").clicked() {
                    form.push(WizardAction::Previous);
                }
            });
        }
    });
}

fn lead_on(ui: &mut Ui, form: &mut Form<'_>, next: WizardStep) {
    if button(ui, Kind::Primary, None, &format!("Continue to {}", next.name())).clicked() {
        form.push(WizardAction::Next);
    }
    let is_empty = form.wizard.step != WizardStep::Store && !form.wizard.is_set_up(form.wizard.step);
    if is_empty && button(ui, Kind::Secondary, None, "Skip").clicked() {
        form.push(WizardAction::Next);
    }
}

fn finish(ui: &mut Ui, form: &mut Form<'_>) {
    let services = [WizardStep::Postgres, WizardStep::Redis, WizardStep::Cdn, WizardStep::Shop];
    if services.into_iter().any(|s| form.wizard.is_set_up(s)) {
        if button(ui, Kind::Primary, icons::PLAY, "Save and run audit").clicked() {
            form.push(WizardAction::Save { run: true });
        }
    } else if button(ui, Kind::Primary, None, "Save store").clicked() {
        form.push(WizardAction::Save { run: false });
    }
}
