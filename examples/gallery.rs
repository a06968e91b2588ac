//! Every component in every state, for looking and for screenshots.
//!
//! `cargo run --example gallery -- [dark|light] [components|overview|findings|metrics]`

use eframe::egui;
use medusa_advisor::ui::fonts::{self, Type};
use medusa_advisor::ui::theme::{self, Theme, ThemeChoice};
use medusa_advisor::ui::{icons, widgets::*};

#[path = "gallery/components.rs"]
mod components;
#[path = "gallery/pages.rs"]
mod pages;

fn main() -> eframe::Result {
    let arguments: Vec<String> = std::env::args().collect();
    let choice = match arguments.get(1).map(String::as_str) {
        Some("light") => ThemeChoice::Light,
        _ => ThemeChoice::Dark,
    };
    let page = arguments.get(2).cloned().unwrap_or_else(|| "components".to_owned());
    let options =
        eframe::NativeOptions { viewport: egui::ViewportBuilder::default().with_inner_size([1280.0, 800.0]), ..eframe::NativeOptions::default() };
    eframe::run_native(
        "Gallery",
        options,
        Box::new(move |context| {
            fonts::install(&context.egui_ctx);
            theme::apply(&context.egui_ctx, choice);
            Ok(Box::new(Gallery { page, components: components::State::default(), selected: Some(0) }))
        }),
    )
}

struct Gallery {
    page: String,
    components: components::State,
    selected: Option<usize>,
}

impl eframe::App for Gallery {
    fn ui(&mut self, ui: &mut egui::Ui, _frame: &mut eframe::Frame) {
        match self.page.as_str() {
            "components" => components::show(ui, &mut self.components),
            page => pages::show(ui, page, &mut self.selected),
        }
    }
}
