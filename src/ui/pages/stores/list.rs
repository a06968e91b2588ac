//! The list of stores: one row of 64 each.

use eframe::egui::{self, Rect, Response, Role, Ui, UiBuilder, WidgetInfo, pos2, vec2};

use crate::app::{Action, Model, StoreEntry};
use crate::evidence::Layer;
use crate::history::Summary;
use crate::text;
use crate::ui::fonts::Type;
use crate::ui::icons::{self, Face};
use crate::ui::look;
use crate::ui::theme::{Theme, height, radius};
use crate::ui::widgets::{
    LayerHue, Level, flush_card, icon_button, icon_mark, menu, menu_item, paint, row_list, score_cell, severity_count, sparkline,
};

const HEAD: f32 = 32.0;
/// Under this width of the list the trend of the score is left out.
const TREND_FROM: f32 = 990.0;
/// The name gives way no further than this; then the environment's word goes.
const NAME_MIN: f32 = 150.0;

/// Where the columns stand: x from the list's left edge.
#[derive(Clone, Copy)]
struct Columns {
    environment: Option<f32>,
    /// Right edges of the four scores.
    scores: [f32; 4],
    counts: f32,
    trend: Option<f32>,
    /// Right edge.
    last: f32,
    menu: f32,
}

impl Columns {
    fn of(width: f32) -> Self {
        let trend = width >= TREND_FROM;
        let shift = if trend { 0.0 } else { 92.0 };
        let at = |from_right: f32| width - from_right + shift;
        let environment = at(804.0);
        Self {
            environment: (environment - 16.0 >= NAME_MIN).then_some(environment),
            scores: [at(648.0), at(588.0), at(528.0), at(468.0)],
            counts: at(444.0),
            trend: trend.then_some(width - 260.0),
            last: width - 40.0,
            menu: width - 20.0,
        }
    }

    fn name_end(self) -> f32 {
        self.environment.unwrap_or(self.scores[0] - 40.0) - 16.0
    }
}

/// What the selected store and the keys under the list take.
const BELOW: f32 = 216.0;
/// A list that must scroll shows no fewer.
const ROWS_MIN: f32 = 4.0;

/// The list as tall as its rows, or as the window lets it beside what stands below; then it scrolls under its header.
pub fn show(ui: &mut Ui, model: &Model, stores: &[&StoreEntry], actions: &mut Vec<Action>) {
    let room = ((ui.clip_rect().height() - BELOW - HEAD) / height::STORE_ROW).floor().max(ROWS_MIN);
    let rows = (stores.len().max(1) as f32).min(room);
    let now = time::OffsetDateTime::now_utc();
    flush_card(ui, Some(HEAD + rows * height::STORE_ROW + 2.0), |ui| {
        let columns = Columns::of(ui.available_width());
        head(ui, columns);
        if stores.is_empty() {
            let (_, rect) = ui.allocate_space(vec2(ui.available_width(), height::STORE_ROW));
            let words = format!("No store is called \"{}\".", model.stores_search.trim());
            let color = Theme::get(ui).text_weak;
            paint::text_left(ui.painter(), pos2(rect.left() + 16.0, rect.center().y), &words, Type::BODY, color, rect.width() - 32.0);
            return;
        }
        let mut selected = stores.iter().position(|s| Some(&s.profile.id) == model.selected_store.as_ref());
        let list = row_list(ui, "stores", stores.len(), height::STORE_ROW, &mut selected, |ui, index, response, is_selected| {
            let row = Row { store: stores[index], columns, now, is_last: index + 1 == stores.len() };
            response.widget_info(|| WidgetInfo::selected(Role::ListBoxOption, true, is_selected, row.accessible_name()));
            row.show(ui, response, actions);
        });
        if let Some(store) = selected.filter(|_| list.changed).map(|i| stores[i]) {
            actions.push(Action::SelectStore(store.profile.id.clone()));
        }
        if let Some(store) = list.activated.and_then(|i| stores.get(i)) {
            actions.push(Action::OpenStore(store.profile.id.clone()));
        }
    });
}

fn head(ui: &mut Ui, columns: Columns) {
    let theme = Theme::get(ui);
    let (_, rect) = ui.allocate_space(vec2(ui.available_width(), HEAD));
    let painter = ui.painter();
    paint::rule(painter, rect.x_range(), rect.bottom() - 1.0, theme.line);
    let at = |x: f32| pos2(rect.left() + x, rect.center().y);
    let left = |x: f32, words: &str| {
        paint::text_left(painter, at(x), words, Type::HEAD, theme.text_weak, 120.0);
    };
    left(16.0, "Store");
    if let Some(x) = columns.environment {
        left(x, "Environment");
    }
    for (layer, right) in LayerHue::ALL.into_iter().zip(columns.scores) {
        let word = match layer {
            LayerHue::Postgres => "PG",
            LayerHue::Application => "App",
            other => other.word(),
        };
        let start = paint::text_right(painter, at(right), word, Type::HEAD, theme.text_weak);
        paint::icon(painter, pos2(start - 11.0, rect.center().y), layer.icon(), Face::Regular, 14.0, layer.color(theme));
    }
    left(columns.counts, "Findings");
    if let Some(x) = columns.trend {
        left(x, "Score");
    }
    paint::text_right(painter, at(columns.last), "Last audit", Type::HEAD, theme.text_weak);
}

struct Row<'a> {
    store: &'a StoreEntry,
    columns: Columns,
    now: time::OffsetDateTime,
    is_last: bool,
}

impl Row<'_> {
    fn newest(&self) -> Option<&Summary> {
        self.store.audits.first().map(|entry| &entry.summary)
    }

    fn accessible_name(&self) -> String {
        let profile = &self.store.profile;
        let audit = self.newest().map_or_else(|| "never audited".to_owned(), |s| format!("audited {}", look::when(s.taken_at)));
        format!("{}, {}, {audit}", profile.name, profile.environment.id())
    }

    fn show(&self, ui: &mut Ui, response: &Response, actions: &mut Vec<Action>) {
        let rect = response.rect;
        self.edge(ui, rect);
        self.name(ui, rect);
        self.scores(ui, rect);
        self.counts(ui, rect);
        self.trend(ui, rect);
        self.last(ui, rect);
        if !self.store.is_demo() {
            self.menu(ui, rect, actions);
        }
    }

    fn edge(&self, ui: &Ui, rect: Rect) {
        let theme = Theme::get(ui);
        let mark = look::environment(self.store.profile.environment);
        let bottom = if self.is_last { radius::CONTROL } else { 0 };
        let edge = Rect::from_min_max(rect.min, pos2(rect.left() + 3.0, rect.bottom() - if self.is_last { 0.0 } else { 1.0 }));
        ui.painter().rect_filled(edge, egui::CornerRadius { sw: bottom, ..egui::CornerRadius::ZERO }, mark.color(theme));
        let Some(x) = self.columns.environment else { return };
        let square = Rect::from_center_size(pos2(rect.left() + x + 4.0, rect.center().y), vec2(8.0, 8.0));
        ui.painter().rect_filled(square, radius::BAR, mark.color(theme));
        let at = pos2(rect.left() + x + 14.0, rect.center().y);
        paint::text_left(ui.painter(), at, self.store.profile.environment.id(), Type::LABEL, theme.text_muted, 90.0);
    }

    fn name(&self, ui: &Ui, rect: Rect) {
        let theme = Theme::get(ui);
        let x = rect.left() + 16.0;
        let room = self.columns.name_end() - 16.0;
        let y = rect.center().y;
        paint::text_left(ui.painter(), pos2(x, y - 8.0), &self.store.profile.name, Type::STRONG, theme.text, room);
        paint::text_left(ui.painter(), pos2(x, y + 8.5), &self.detail(), Type::LABEL, theme.text_weak, room);
    }

    /// Version and size, as the newest audit saw them.
    fn detail(&self) -> String {
        let Some(summary) = self.newest() else {
            let host = self.store.profile.postgres.as_ref().map_or("no service set up", |p| p.host.as_str());
            return format!("{host} · not audited yet");
        };
        let version = summary.medusa_version.as_deref().unwrap_or("version not read");
        let size = match summary.products {
            _ if self.store.is_demo() => "planted faults".to_owned(),
            Some(products) => text::plural(products, "product", "products"),
            None => "size not read".to_owned(),
        };
        format!("{version} · {size}")
    }

    fn scores(&self, ui: &mut Ui, rect: Rect) {
        let theme = Theme::get(ui);
        for (index, (layer, right)) in Layer::ALL.into_iter().zip(self.columns.scores).enumerate() {
            let line = self.newest().and_then(|s| s.layers.get(index));
            let at = Rect::from_min_max(pos2(rect.left() + right - 40.0, rect.center().y - 14.0), pos2(rect.left() + right, rect.center().y + 14.0));
            let mut cell = ui.new_child(UiBuilder::new().id_salt(("score", index)).max_rect(at));
            if line.is_some_and(|l| l.status == "unreachable") {
                cell.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                    icon_mark(ui, (icons::PLUGS, Face::Regular), 16.0, theme.high.fg, &format!("{} unreachable", layer.name()));
                });
            } else {
                let score = line.and_then(|l| l.score).map(|s| u8::try_from(s).unwrap_or(100));
                score_cell(&mut cell, look::hue(layer), score);
            }
        }
    }

    fn counts(&self, ui: &mut Ui, rect: Rect) {
        let theme = Theme::get(ui);
        let x = rect.left() + self.columns.counts;
        let y = rect.center().y;
        let Some(summary) = self.newest() else {
            paint::text_left(ui.painter(), pos2(x, y), "–", Type::BODY, theme.text_weak, 40.0);
            return;
        };
        for (index, level) in Level::ALL.into_iter().take(4).enumerate() {
            let at = pos2(x + index as f32 * 44.0, y);
            let count = summary.counts[index];
            if count == 0 {
                paint::text_left(ui.painter(), at, "·", Type::BODY, theme.text_weak, 40.0);
                continue;
            }
            let place = Rect::from_min_size(pos2(at.x, y - 9.0), vec2(42.0, 18.0));
            let mut cell = ui.new_child(UiBuilder::new().id_salt(("count", index)).max_rect(place));
            severity_count(&mut cell, level, &text::count(count as u64));
        }
    }

    fn trend(&self, ui: &mut Ui, rect: Rect) {
        let Some(x) = self.columns.trend else { return };
        let theme = Theme::get(ui);
        let y = rect.center().y;
        let scores: Vec<u8> = self.store.audits.iter().rev().filter_map(|e| e.summary.score()).map(|s| s.round().clamp(0.0, 100.0) as u8).collect();
        let words = match scores.len() {
            0 => "–",
            1 => "1 audit",
            _ => "",
        };
        if !words.is_empty() {
            paint::text_left(ui.painter(), pos2(rect.left() + x, y), words, Type::LABEL, theme.text_weak, 76.0);
            return;
        }
        let name = format!("Score {} to {} in {} audits", scores[0], scores[scores.len() - 1], scores.len());
        let place = Rect::from_min_size(pos2(rect.left() + x, y - 10.0), vec2(76.0, 20.0));
        let mut cell = ui.new_child(UiBuilder::new().id_salt("trend").max_rect(place));
        sparkline(&mut cell, &scores, &name);
    }

    fn last(&self, ui: &Ui, rect: Rect) {
        let theme = Theme::get(ui);
        let (above, below, color) = match self.newest() {
            _ if self.store.is_demo() => ("built in".to_owned(), "no network needed".to_owned(), theme.text_weak),
            None => ("–".to_owned(), "never audited".to_owned(), theme.text_weak),
            Some(summary) => {
                let unreachable = summary.layers.iter().find(|l| l.status == "unreachable");
                let ago = text::ago(summary.taken_at, self.now);
                let (below, color) = match unreachable {
                    Some(line) => (format!("{} unreachable", line.layer.name()), theme.high.fg),
                    None if summary.cancelled => (format!("{ago}, cancelled"), theme.medium.fg),
                    None => (ago, theme.text_weak),
                };
                (look::when(summary.taken_at), below, color)
            }
        };
        let x = rect.left() + self.columns.last;
        let y = rect.center().y;
        paint::text_right(ui.painter(), pos2(x, y - 7.5), &above, Type::BODY, theme.text);
        paint::text_right(ui.painter(), pos2(x, y + 9.0), &below, Type::LABEL, color);
    }

    fn menu(&self, ui: &mut Ui, rect: Rect, actions: &mut Vec<Action>) {
        let center = pos2(rect.left() + self.columns.menu, rect.center().y);
        let place = Rect::from_center_size(center, vec2(28.0, 28.0));
        let mut cell = ui.new_child(UiBuilder::new().id_salt(("menu", &self.store.profile.id)).max_rect(place));
        let profile = &self.store.profile;
        let button = icon_button(&mut cell, icons::DOTS_THREE, 28.0, &format!("More for {}, {}", profile.name, profile.environment.id()));
        let id = || profile.id.clone();
        menu(&button, |ui| {
            let items = [
                (icons::ARROW_RIGHT, "Open", "Enter", Action::OpenStore(id())),
                (icons::PLAY, "Run audit", "A", Action::StartAudit(id())),
                (icons::PENCIL_SIMPLE, "Edit", "E", Action::EditStore(id())),
                (icons::COPY_SIMPLE, "Duplicate", "Ctrl D", Action::DuplicateStore(id())),
                (icons::TRASH, "Delete", "Del", Action::AskDeleteStore(id())),
            ];
            for (icon, label, keys, action) in items {
                if menu_item(ui, icon, label, keys).clicked() {
                    actions.push(action);
                }
            }
        });
    }
}
