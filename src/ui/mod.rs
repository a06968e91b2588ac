//! The window: draws the model, pushes actions. The only place that knows egui; this file the only one in it that knows the runtime.

pub mod draw;
pub mod fonts;
pub mod icons;
pub mod look;
pub mod pages;
pub mod shell;
pub mod theme;
pub mod widgets;

use std::time::{Duration, Instant};

use eframe::egui;

use crate::app::{Action, Effect, Model};
use crate::runtime::Runtime;
use widgets::{Toast, Toasts, Tone};

/// Longest time spent on events before a frame is drawn.
const EVENTS_BUDGET: Duration = Duration::from_millis(8);

/// What the window starts with.
#[derive(Debug, Clone, Default)]
pub struct Start {
    /// Open this snapshot, or the demo store, at once.
    pub actions: Vec<Action>,
}

/// Opens the window and returns when it is closed.
///
/// # Errors
/// When the system offers no display or no OpenGL.
pub fn open(start: Start) -> eframe::Result {
    let viewport = egui::ViewportBuilder::default()
        .with_app_id("medusa-advisor")
        .with_title("Medusa Advisor")
        .with_inner_size([1280.0, 800.0])
        .with_min_inner_size([960.0, 640.0])
        .with_icon(look::window_icon());
    let options = eframe::NativeOptions { viewport, ..eframe::NativeOptions::default() };
    eframe::run_native("medusa-advisor", options, Box::new(move |context| Ok(Box::new(App::new(context, start)?))))
}

/// Model, runtime and what only the drawing knows.
struct App {
    model: Model,
    runtime: Runtime,
    actions: Vec<Action>,
    toasts: Toasts<Action>,
    shown_toast: u64,
    started: Instant,
    has_drawn: bool,
}

impl App {
    fn new(context: &eframe::CreationContext<'_>, start: Start) -> std::io::Result<Self> {
        let ctx = context.egui_ctx.clone();
        let runtime = Runtime::new(move || ctx.request_repaint())?;
        let settings = runtime.settings();
        fonts::install(&context.egui_ctx);
        look::apply(&context.egui_ctx, &settings);
        // Whether there is a keychain is told later: one that hangs must not keep the window from opening.
        let model = Model::new(settings, false, runtime.data_folder());
        let mut app =
            Self { model, runtime, actions: start.actions, toasts: Toasts::default(), shown_toast: 0, started: Instant::now(), has_drawn: false };
        let effects = app.model.start();
        app.perform(&context.egui_ctx, effects);
        Ok(app)
    }

    fn perform(&mut self, ctx: &egui::Context, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Copy(text) => ctx.copy_text(text),
                Effect::OpenLink(url) => ctx.open_url(egui::OpenUrl::new_tab(url)),
                other => self.runtime.perform(other),
            }
        }
    }

    fn act(&mut self, ctx: &egui::Context) {
        for action in std::mem::take(&mut self.actions) {
            let looks = matches!(action, Action::EditSettings(_));
            let effects = self.model.act(action, time::OffsetDateTime::now_utc());
            self.perform(ctx, effects);
            if looks {
                look::apply(ctx, &self.model.settings);
            }
            ctx.request_repaint();
        }
    }

    fn show_toasts(&mut self, ctx: &egui::Context) {
        for toast in self.model.toasts.iter().filter(|t| t.id > self.shown_toast) {
            let tone = if toast.is_error { Tone::Trouble } else { Tone::Done };
            self.toasts.push(ctx, Toast { tone, text: toast.text.clone(), action: toast.action.clone() });
        }
        self.shown_toast = self.model.toasts.last().map_or(self.shown_toast, |t| t.id.max(self.shown_toast));
        if let Some(action) = self.toasts.show(ctx) {
            self.actions.push(action);
        }
    }
}

impl eframe::App for App {
    fn logic(&mut self, ctx: &egui::Context, _frame: &mut eframe::Frame) {
        let began = Instant::now();
        while let Some(event) = self.runtime.poll() {
            let effects = self.model.receive(event);
            self.perform(ctx, effects);
            if began.elapsed() > EVENTS_BUDGET {
                ctx.request_repaint();
                break;
            }
        }
        self.act(ctx);
    }

    fn ui(&mut self, ui: &mut egui::Ui, _frame: &mut eframe::Frame) {
        let ctx = ui.ctx().clone();
        shell::show(ui, &self.model, &mut self.actions);
        self.show_toasts(&ctx);
        // Actions take effect before the next frame; asking for one keeps a click from waiting for the mouse to move.
        if !self.actions.is_empty() {
            ctx.request_repaint();
        }
        if !self.has_drawn {
            self.has_drawn = true;
            tracing::info!(milliseconds = self.started.elapsed().as_millis() as u64, "first frame");
        }
    }
}
