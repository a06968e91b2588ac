//! Draws one page with sample data, without services and without the runtime.
//!
//! `cargo run --example look -- PAGE [dark|light] [sample|healthy|empty|first-run]`, PAGE as in `sample::pages::NAMES`.

use eframe::egui;
use medusa_advisor::app::{Action, Effect, Model};
use medusa_advisor::ui::theme::ThemeChoice;
use medusa_advisor::ui::{fonts, shell, theme};
use sample::Kind;

#[path = "../tests/common/sample.rs"]
mod sample;

fn main() -> eframe::Result {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let page = arguments.iter().find(|a| sample::pages::NAMES.contains(&a.as_str())).map_or("stores", String::as_str).to_owned();
    let choice = if arguments.iter().any(|a| a == "light") { ThemeChoice::Light } else { ThemeChoice::Dark };
    let kind = match arguments.last().map(String::as_str) {
        Some("first-run") => Kind::FirstRun,
        Some("empty") => Kind::Empty,
        Some("healthy") => Kind::Healthy,
        _ => Kind::Sample,
    };
    let viewport = egui::ViewportBuilder::default().with_inner_size(size()).with_title("Look");
    let options = eframe::NativeOptions { viewport, ..eframe::NativeOptions::default() };
    eframe::run_native(
        "Look",
        options,
        Box::new(move |context| {
            fonts::install(&context.egui_ctx);
            theme::apply(&context.egui_ctx, choice);
            let mut model = sample::model(kind);
            sample::pages::open(&mut model, &page);
            Ok(Box::new(Look { model, actions: Vec::new() }))
        }),
    )
}

/// `LOOK_SIZE=1920x1200`, or the size the pages are laid out for.
fn size() -> [f32; 2] {
    let text = std::env::var("LOOK_SIZE").unwrap_or_default();
    let sides = text.split_once('x').and_then(|(w, h)| Some([w.parse().ok()?, h.parse().ok()?]));
    sides.unwrap_or([1280.0, 800.0])
}

struct Look {
    model: Model,
    actions: Vec<Action>,
}

impl eframe::App for Look {
    fn ui(&mut self, ui: &mut egui::Ui, _frame: &mut eframe::Frame) {
        shell::show(ui, &self.model, &mut self.actions);
        for action in std::mem::take(&mut self.actions) {
            println!("{action:?}");
            for effect in self.model.act(action, time::OffsetDateTime::now_utc()) {
                if let Effect::Copy(text) = effect {
                    ui.copy_text(text);
                }
            }
            ui.request_repaint();
        }
    }
}
