//! Toasts: 4 s, bottom right, at most one action each; what went wrong stays long enough to be read.

use egui::{Align2, Area, Context, Id, Margin, Order, Role, Ui, WidgetInfo, vec2};

use super::button::link;
use super::overlay::popup_frame;
use super::paint;
use crate::ui::fonts::Type;
use crate::ui::icons::{self, Face, Icon};
use crate::ui::theme::{Theme, space};

/// How long a toast stays, in seconds.
const SHOWN_S: f64 = 4.0;
/// The same for what went wrong and what to do: several sentences.
const TROUBLE_S: f64 = 20.0;
const WIDTH: f32 = 366.0;
/// Room for the action's verb.
const VERB: f32 = 80.0;

/// Whether something was done or has to be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    Done,
    Note,
    /// Errors are never only a toast.
    Trouble,
}

impl Tone {
    fn seconds(self) -> f64 {
        match self {
            Tone::Done | Tone::Note => SHOWN_S,
            Tone::Trouble => TROUBLE_S,
        }
    }
}

/// One message with its action.
#[derive(Clone, Debug, PartialEq)]
pub struct Toast<A> {
    pub tone: Tone,
    pub text: String,
    /// The verb and what it means.
    pub action: Option<(String, A)>,
}

/// The toasts on screen, oldest first; the newest is lowest.
#[derive(Debug)]
pub struct Toasts<A> {
    shown: Vec<(f64, Toast<A>)>,
}

impl<A> Default for Toasts<A> {
    fn default() -> Self {
        Self { shown: Vec::new() }
    }
}

impl<A: Clone> Toasts<A> {
    pub fn push(&mut self, ctx: &Context, toast: Toast<A>) {
        self.shown.push((ctx.input(|input| input.time), toast));
        ctx.request_repaint();
    }

    pub fn is_empty(&self) -> bool {
        self.shown.is_empty()
    }

    /// Draws them; the action that was chosen, whose toast goes away.
    pub fn show(&mut self, ctx: &Context) -> Option<A> {
        let now = ctx.input(|input| input.time);
        self.shown.retain(|(born, toast)| now - born < toast.tone.seconds());
        let next = self.shown.iter().map(|(born, toast)| born + toast.tone.seconds() - now).reduce(f64::min)?;
        ctx.request_repaint_after_secs(next.max(0.0) as f32);
        let mut chosen = None;
        Area::new(Id::unique("toasts")).order(Order::Foreground).anchor(Align2::RIGHT_BOTTOM, vec2(-space::L, -space::L)).show(ctx, |ui| {
            ui.spacing_mut().item_spacing.y = space::S;
            for (index, (_, toast)) in self.shown.iter().enumerate() {
                if toast_box(ui, toast) {
                    chosen = Some(index);
                }
            }
        });
        let (_, toast) = self.shown.remove(chosen?);
        toast.action.map(|(_, action)| action)
    }
}

fn toast_box<A>(ui: &mut Ui, toast: &Toast<A>) -> bool {
    let theme = Theme::get(ui);
    let (icon, color): (Icon, _) = match toast.tone {
        Tone::Done => (icons::CHECK_CIRCLE, theme.good.fg),
        Tone::Note => (icons::INFO, theme.text_muted),
        Tone::Trouble => (icons::WARNING_CIRCLE, theme.high.fg),
    };
    let frame = popup_frame(theme).inner_margin(Margin::symmetric(12, 10));
    frame
        .show(ui, |ui| {
            ui.set_width(WIDTH);
            ui.horizontal(|ui| {
                let room = WIDTH - 24.0 - if toast.action.is_some() { VERB } else { 0.0 };
                let text = paint::wrapped(ui.painter(), &toast.text, Type::BODY, theme.text, room);
                let size = vec2(24.0 + room, text.size().y.max(18.0));
                let (rect, response) = ui.allocate_exact_size(size, egui::Sense::hover());
                response.widget_info(|| WidgetInfo::labeled(Role::Status, true, &toast.text));
                paint::icon(ui.painter(), rect.left_top() + vec2(8.0, 9.0), icon, Face::Fill, 16.0, color);
                ui.painter().galley(rect.left_top() + vec2(24.0, (size.y - text.size().y) / 2.0), text, theme.text);
                let layout = egui::Layout::right_to_left(egui::Align::Center);
                ui.with_layout(layout, |ui| match &toast.action {
                    Some((verb, _)) => link(ui, verb, Type::NAME).clicked(),
                    None => false,
                })
                .inner
            })
            .inner
        })
        .inner
}
