//! The first start: what the program does, the demo store, and where a snapshot can be dropped.

use eframe::egui::{self, Align, Layout, Rect, Role, Sense, Ui, UiBuilder, WidgetInfo, pos2, vec2};

use crate::app::Action;
use crate::ui::fonts::{Type, Weight};
use crate::ui::icons::{self, Face, Icon};
use crate::ui::theme::{Theme, radius, space};
use crate::ui::widgets::{Kind, LayerHue, button, link, paint, top_bar};

const LEFT: f32 = 440.0;
const RIGHT: f32 = 344.0;
const TALL: f32 = 446.0;

pub fn show(ui: &mut Ui, actions: &mut Vec<Action>) {
    top_bar(ui, "Stores", "", |ui| {
        if button(ui, Kind::Secondary, icons::PLUS, "New store").clicked() {
            actions.push(Action::NewStore);
        }
    });
    let room = ui.available_rect_before_wrap();
    let gap = if room.width() > LEFT + RIGHT + 64.0 + 48.0 { 64.0 } else { 24.0 };
    let size = vec2(LEFT + gap + RIGHT, TALL);
    let all = Rect::from_center_size(room.center(), size);
    let all = all.translate(vec2(0.0, (room.top() + 16.0 - all.top()).max(0.0)));
    part(ui, "promise", Rect::from_min_size(all.min, vec2(LEFT, TALL)), |ui| promise(ui, actions));
    let right = Rect::from_min_size(pos2(all.right() - RIGHT, all.top() + 26.0), vec2(RIGHT, TALL));
    part(ui, "layers", right, |ui| layers(ui, actions));
}

fn part(ui: &mut Ui, name: &str, rect: Rect, content: impl FnOnce(&mut Ui)) {
    let mut child = ui.new_child(UiBuilder::new().id_salt(name).max_rect(rect).layout(Layout::top_down(Align::Min)));
    child.spacing_mut().item_spacing = vec2(space::S, 0.0);
    content(&mut child);
}

fn promise(ui: &mut Ui, actions: &mut Vec<Action>) {
    let theme = Theme::get(ui);
    let headline = "Find what slows your Medusa\nstore, layer by layer";
    ui.label(Type::Figure.text(headline).line_height(Some(36.0)).color(theme.text));
    ui.add_space(space::M);
    let words = "Connect Postgres, Redis and your CDN, watch 30 seconds of traffic, and get a ranked list of fixes with the measured gain of each.";
    ui.label(Type::Lead(Weight::Regular).text(words).line_height(Some(24.0)).color(theme.text_muted));
    ui.add_space(space::XL);
    ui.horizontal(|ui| {
        if button(ui, Kind::Primary, icons::PLAY, "Open the demo store").clicked() {
            actions.push(Action::OpenDemo);
        }
        if button(ui, Kind::Secondary, icons::PLUGS, "Connect your store").clicked() {
            actions.push(Action::NewStore);
        }
    });
    ui.add_space(space::M);
    ui.label(Type::LABEL.text("The demo is a recorded audit of a store with planted faults, no network.").color(theme.text_weak));
    ui.add_space(space::XXL);
    let (_, line) = ui.allocate_space(vec2(ui.available_width(), 1.0));
    paint::rule(ui.painter(), line.x_range(), line.top(), theme.line_subtle);
    ui.add_space(space::L);
    let points = [
        (icons::LOCK_SIMPLE, "Read-only by construction", "Transactions are read only, with a 1 s statement timeout and a command budget."),
        (icons::EYE_SLASH, "Nothing personal is read", "No rows, no cached values, no e-mail addresses. Statements come normalised."),
        (icons::KEY, "Secrets stay in the system keychain", "Never in the profile, a snapshot, a report or a log."),
    ];
    for (icon, title, words) in points {
        point(ui, icon, title, words);
        ui.add_space(11.0);
    }
}

fn point(ui: &mut Ui, icon: Icon, title: &str, words: &str) {
    let theme = Theme::get(ui);
    let width = ui.available_width();
    let galley = paint::wrapped(ui.painter(), words, Type::LABEL, theme.text_weak, width - 32.0);
    let (rect, response) = ui.allocate_exact_size(vec2(width, 18.0 + galley.size().y), Sense::hover());
    let name = format!("{title}. {words}");
    response.widget_info(|| WidgetInfo::labeled(Role::Label, true, &name));
    paint::icon(ui.painter(), pos2(rect.left() + 10.0, rect.top() + 10.0), icon, Face::Regular, 20.0, theme.text_muted);
    paint::text_left(ui.painter(), pos2(rect.left() + 32.0, rect.top() + 9.0), title, Type::NAME, theme.text, width - 32.0);
    ui.painter().galley(rect.min + vec2(32.0, 18.0), galley, theme.text_weak);
}

fn layers(ui: &mut Ui, actions: &mut Vec<Action>) {
    let theme = Theme::get(ui);
    ui.label(Type::LABEL.text("What one audit covers").color(theme.text_weak));
    ui.add_space(space::S);
    let covered = [
        (LayerHue::Cdn, "hit ratio, rules, headers, media"),
        (LayerHue::Redis, "hit rate, KEYS, eviction, queues"),
        (LayerHue::Postgres, "indexes, statements, vacuum, settings"),
        (LayerHue::Application, "P95, configuration, modules"),
    ];
    for (index, (layer, words)) in covered.into_iter().enumerate() {
        if index > 0 {
            let (_, gap) = ui.allocate_space(vec2(ui.available_width(), 16.0));
            let stroke = egui::Stroke::new(1.0, theme.line_strong);
            ui.painter().vline(gap.left() + 26.5, gap.y_range(), stroke);
        }
        let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 56.0), Sense::hover());
        let name = format!("{}: {words}", layer.word());
        response.widget_info(|| WidgetInfo::labeled(Role::Label, true, &name));
        paint::boxed(ui.painter(), rect, radius::CARD, theme.bg_card, theme.line_subtle);
        let y = rect.center().y;
        paint::icon(ui.painter(), pos2(rect.left() + 27.0, y), layer.icon(), Face::Regular, 20.0, layer.color(theme));
        paint::text_left(ui.painter(), pos2(rect.left() + 49.0, y - 8.0), layer.word(), Type::NAME, theme.text, 280.0);
        paint::text_left(ui.painter(), pos2(rect.left() + 49.0, y + 8.5), words, Type::LABEL, theme.text_weak, 280.0);
    }
    ui.add_space(space::XL);
    drop_zone(ui, actions);
}

fn drop_zone(ui: &mut Ui, actions: &mut Vec<Action>) {
    let theme = Theme::get(ui);
    let (_, rect) = ui.allocate_space(vec2(ui.available_width(), 72.0));
    paint::dashed_rect(ui.painter(), rect, theme.line_strong);
    let words = paint::line(ui.painter(), "Drop a snapshot here, or ", Type::LABEL, theme.text_weak, 300.0);
    let wide = 30.0 + words.size().x + 60.0;
    let x = rect.center().x - wide / 2.0;
    let y = rect.center().y;
    paint::icon(ui.painter(), pos2(x + 10.0, y), icons::FOLDER_OPEN, Face::Regular, 20.0, theme.text_weak);
    let end = paint::left(ui.painter(), x + 30.0, y, words);
    let place = Rect::from_min_size(pos2(end, y - 8.0), vec2(80.0, 16.0));
    part(ui, "open a file", place, |ui| {
        if link(ui, "open a file", Type::LABEL).clicked() {
            actions.push(Action::OpenSnapshotDialog);
        }
    });
}
