//! The board of `00-components`.

use super::*;
use egui::{Rect, Ui, UiBuilder, pos2, vec2};

pub struct State {
    host: String,
    wrong: String,
    focused: String,
    secret: String,
    segment: usize,
    layers: [bool; 4],
    until: usize,
    checked: bool,
}

impl Default for State {
    fn default() -> Self {
        Self {
            host: "db.northwind.internal".to_owned(),
            wrong: "db.northwind.intrenal".to_owned(),
            focused: "db.northwind.internal".to_owned(),
            secret: "0123456789ab".to_owned(),
            segment: 0,
            layers: [false, true, false, false],
            until: 0,
            checked: true,
        }
    }
}

pub fn show(ui: &mut Ui, state: &mut State) {
    let theme = Theme::get(ui);
    ui.painter().rect_filled(ui.max_rect(), 0.0, theme.bg_page);
    at(ui, 24.0, 16.0, 404.0, |ui| left(ui, state));
}

fn at(ui: &mut Ui, x: f32, y: f32, width: f32, content: impl FnOnce(&mut Ui)) {
    let rect = Rect::from_min_size(pos2(x, y), vec2(width, 780.0));
    let builder = UiBuilder::new().id_salt(("at", x as i32, y as i32)).max_rect(rect);
    let mut child = ui.new_child(builder.layout(egui::Layout::top_down(egui::Align::Min)));
    child.spacing_mut().item_spacing.y = 8.0;
    content(&mut child);
}

fn caption(ui: &mut Ui, text: &str) {
    ui.add_space(8.0);
    ui.label(Type::LABEL.text(text).color(Theme::get(ui).text_weak));
}

fn left(ui: &mut Ui, state: &mut State) {
    let theme = Theme::get(ui);
    ui.horizontal(|ui| {
        ui.label(Type::Title.text("Components").color(theme.text));
        let word = if theme.dark { "dark" } else { "light" };
        ui.label(Type::BODY.text(word).color(theme.text_weak));
    });
    caption(ui, "Buttons: primary (one a page), secondary, ghost, small, danger, disabled, focused");
    ui.horizontal(|ui| {
        button(ui, Kind::Primary, icons::PLAY, "Run audit");
        button(ui, Kind::Secondary, icons::EXPORT, "Export");
        button(ui, Kind::Ghost, None, "Back");
        copy_button(ui, "Copy", || "text".to_owned());
    });
    ui.horizontal(|ui| {
        button(ui, Kind::Danger, None, "Delete store");
        Button::new(Kind::Secondary, "Export").blocked(Some("No audit yet")).show(ui);
        button(ui, Kind::Secondary, None, "Focused").request_focus();
        icon_button(ui, icons::DOTS_THREE, 32.0, "More");
    });
    caption(ui, "Fields: rest, secret, error");
    Field::new("Host", &mut state.host).hide_label().show(ui);
    Field::new("Password", &mut state.secret).hide_label().secret().show(ui);
    Field::new("Server", &mut state.wrong)
        .hide_label()
        .error(Some("Host not found. Check the spelling or the tunnel."))
        .show(ui);
    let _ = &state.focused;
    caption(ui, "Severity: shape, word, colour");
    ui.horizontal(|ui| {
        for level in Level::ALL {
            severity_tag(ui, level);
        }
    });
    caption(ui, "Outcome");
    ui.horizontal(|ui| {
        for outcome in Outcome::ALL {
            outcome_tag(ui, outcome);
        }
    });
    caption(ui, "Layers and environments");
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 12.0;
        for layer in LayerHue::ALL {
            layer_mark(ui, layer, Type::BODY);
        }
    });
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 12.0;
        environment_mark(ui, Environment::Production, "production");
        environment_mark(ui, Environment::Staging, "staging");
        environment_mark(ui, Environment::Development, "development");
        environment_mark(ui, Environment::Demo, "demo");
    });
    caption(ui, "Segments, chips, keys");
    ui.horizontal(|ui| {
        let words = ["Window", "Since reset"];
        segments(ui, "Base", &words, &mut state.segment, SegmentSize::Normal);
        let layers = ["CDN", "Redis", "Postgres", "Application"];
        chip_filter(ui, "Layer", &layers, &mut state.layers);
        key_cap(ui, "Ctrl F");
        checkbox(ui, &mut state.checked, "Mask");
    });
    caption(ui, "Text: 28, 20, 15, 13, 12, 11 and mono 12");
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 12.0;
        ui.label(fonts::figure("46 %").color(theme.text));
        ui.label(fonts::title("Title").color(theme.text));
        ui.label(fonts::heading("Heading").color(theme.text));
        ui.label(fonts::body("Body").color(theme.text));
        ui.label(fonts::label("Label").color(theme.text_weak));
        ui.label(fonts::axis("Axis").color(theme.text_weak));
        ui.label(fonts::mono("code").color(theme.text));
    });
    dropdown(ui, "Until", &["1 Jan 2027", "1 Feb 2027"], &mut state.until, 173.0);
}
