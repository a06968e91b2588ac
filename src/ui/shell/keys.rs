//! The keys that work on every page.

use eframe::egui::{Context, FocusDirection, Id, Key, KeyboardShortcut, Modifiers, Popup};

use crate::app::{Action, Model, Page};
use crate::evidence::Layer;
use crate::ui::theme::height;
use crate::ui::widgets::{Region, enter_region};

const COMMAND: Modifiers = Modifiers::COMMAND;
/// One press of Ctrl + or Ctrl −.
const ZOOM_STEP: f32 = 0.1;
const ZOOM: std::ops::RangeInclusive<f32> = 0.5..=3.0;

/// Reads the global keys before any page does. While a dialog is open they rest: it has its own.
pub fn global(ctx: &Context, model: &Model, sidebar: f32, actions: &mut Vec<Action>) {
    if model.dialog.is_some() {
        return;
    }
    let pressed = |modifiers, key| ctx.input_mut(|input| input.consume_shortcut(&KeyboardShortcut::new(modifiers, key)));
    for (key, page) in
        [(Key::Num1, Page::Stores), (Key::Num2, Page::Overview), (Key::Num3, Page::Findings), (Key::Num5, Page::Audits), (Key::Num6, Page::Export)]
    {
        if pressed(COMMAND, key) {
            actions.push(Action::Go(page));
        }
    }
    if pressed(COMMAND, Key::Num4) {
        actions.push(Action::Go(Page::Metrics(metrics_layer(model))));
    }
    let simple =
        [(Key::K, Action::ShowGoTo), (Key::E, Action::Go(Page::Export)), (Key::F, Action::FocusSearch), (Key::Comma, Action::Go(Page::Settings))];
    for (key, action) in simple {
        if pressed(COMMAND, key) {
            actions.push(action);
        }
    }
    if pressed(COMMAND, Key::R)
        && let Some(store) = super::shown_store(model)
    {
        actions.push(Action::StartAudit(store.profile.id.clone()));
    }
    zoom(model, pressed, actions);
    regions(ctx, sidebar);
    if !ctx.text_edit_focused() && typed_question_mark(ctx) {
        actions.push(Action::ShowKeys);
    }
    // Esc first leaves a field or a menu, which egui has done by now; only then the page.
    if !was_busy(ctx) && !Popup::is_any_open(ctx) && pressed(Modifiers::NONE, Key::Escape) {
        actions.push(Action::Back);
    }
}

/// The layer whose metrics were last opened, or the first one that was read.
pub fn metrics_layer(model: &Model) -> Layer {
    if let Page::Metrics(layer) = model.page {
        return layer;
    }
    let read = model.current_audit().and_then(|audit| audit.plan.layers.iter().find(|l| l.score.is_some()).map(|l| l.layer));
    read.unwrap_or(Layer::Cdn)
}

fn zoom(model: &Model, pressed: impl Fn(Modifiers, Key) -> bool, actions: &mut Vec<Action>) {
    let now = model.settings.scale;
    let scale = if pressed(COMMAND, Key::Plus) || pressed(COMMAND, Key::Equals) {
        now + ZOOM_STEP
    } else if pressed(COMMAND, Key::Minus) {
        now - ZOOM_STEP
    } else if pressed(COMMAND, Key::Num0) {
        1.0
    } else {
        return;
    };
    let scale = ((scale * 10.0).round() / 10.0).clamp(*ZOOM.start(), *ZOOM.end());
    let mut settings = model.settings.clone();
    settings.scale = scale;
    actions.push(Action::EditSettings(settings));
}

/// F6 leads to the next region, Shift F6 to the one before.
fn regions(ctx: &Context, sidebar: f32) {
    let pressed = |modifiers| ctx.input_mut(|input| input.consume_key(modifiers, Key::F6));
    let step = if pressed(Modifiers::SHIFT) {
        Region::ALL.len() - 1
    } else if pressed(Modifiers::NONE) {
        1
    } else {
        return;
    };
    let at = ctx.memory(|memory| memory.focused()).and_then(|id| ctx.read_response(id)).map(|response| response.rect.center());
    let next = match at {
        None => 0,
        Some(at) if at.x < sidebar => step % 3,
        Some(at) if at.y < height::TOP_BAR => (1 + step) % 3,
        Some(_) => (2 + step) % 3,
    };
    ctx.memory_mut(|memory| memory.move_focus(FocusDirection::None));
    enter_region(ctx, Region::ALL[next]);
}

fn typed_question_mark(ctx: &Context) -> bool {
    use eframe::egui::Event;
    ctx.input(|input| input.events.iter().any(|event| matches!(event, Event::Text(text) if text == "?")))
}

fn busy_id() -> Id {
    Id::unique("a field or a menu was open")
}

/// Keeps whether a field or a menu was open when the frame ended.
pub fn remember(ctx: &Context) {
    let busy = ctx.text_edit_focused() || Popup::is_any_open(ctx);
    ctx.data_mut(|data| data.insert_temp(busy_id(), busy));
}

fn was_busy(ctx: &Context) -> bool {
    ctx.data(|data| data.get_temp(busy_id())).unwrap_or(false)
}
