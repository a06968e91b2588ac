//! The board of `00-components`.

use super::*;
use egui::{Rect, Ui, UiBuilder, pos2, vec2};

pub struct State {
    host: String,
    wrong: String,
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
    at(ui, 448.0, 16.0, 396.0, middle);
    at(ui, 864.0, 16.0, 392.0, right);
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
        button(ui, Kind::Secondary, icons::FILE_ARROW_DOWN, "Export");
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
    Field::new("Server", &mut state.wrong).hide_label().error(Some("Host not found. Check the spelling or the tunnel.")).show(ui);
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

fn middle(ui: &mut Ui) {
    ui.label(Type::LABEL.text("States of a card or page").color(Theme::get(ui).text_weak));
    ui.add_space(8.0);
    loading_card(ui, "Loading, nothing yet", -1.0);
    let sentence = "Run one to see scores and findings.";
    page_state(ui, Condition::Empty, "No audits yet", sentence, Some("Run audit"));
    let sentence = "Counters are 6 days old, 31 are needed. From 18 Dec 2026, and then each month.";
    page_state(ui, Condition::NotChecked, "Not checked", sentence, None);
    let sentence = "3 of 4 instances answered.";
    page_state(ui, Condition::Partial, "Partly read", sentence, Some("Details"));
    let sentence = "db.northwind.internal:5432 timed out. The other layers go on.";
    page_state(ui, Condition::Unreachable, "Postgres unreachable", sentence, Some("Try again"));
    let sentence = "No space left. Nothing was lost.";
    page_state(ui, Condition::Failed, "Report not saved", sentence, Some("Save elsewhere"));
    let sentence = "58 Postgres checks passed. The list is below.";
    page_state(ui, Condition::Healthy, "Nothing to do", sentence, Some("Passed"));
    partial_line(ui, "3 of 4 instances answered");
    ui.horizontal(|ui| refreshing(ui, "of 30 s ago"));
    progress_bar(ui, "Audit", 0.4);
    let scores = [80, 78, 74, 60, 48];
    sparkline(ui, &scores, "Score 80 to 48");
}

fn right(ui: &mut Ui) {
    let theme = Theme::get(ui);
    caption(ui, "Menu");
    menu_frame(theme).show(ui, |ui| {
        ui.set_width(198.0);
        menu_item(ui, icons::COPY, "Copy as text", "Ctrl C");
        menu_item(ui, icons::ARROW_SQUARE_OUT, "Open in Metrics", "M");
        menu_item(ui, icons::BELL_SLASH, "Dismiss", "D");
    });
    caption(ui, "Tooltip");
    popup_frame(theme).show(ui, |ui| {
        ui.set_width(146.0);
        let rows = [("hit", "92,410"), ("miss", "61,204"), ("hit ratio", "46 %")];
        tooltip_rows(ui, "18:00, 24 Nov", &rows);
    });
    caption(ui, "Treemap");
    let tile = |name: &str, value, is_cache, mark| Tile {
        name: name.to_owned(),
        value,
        size: format!("{value} GiB"),
        detail: "17,980 cached responses".to_owned(),
        is_cache,
        mark,
    };
    let mark = Some((Level::Medium, "9".to_owned()));
    let tiles = [
        tile("mc:*", 1.12, true, None),
        tile("mc:tag:*", 0.64, true, None),
        tile("catalog:*", 0.39, true, mark),
        tile("sess:*", 0.31, false, None),
        tile("bull:*", 0.28, false, None),
        tile("other", 0.05, false, None),
    ];
    treemap(ui, &tiles, 234.0);
}
