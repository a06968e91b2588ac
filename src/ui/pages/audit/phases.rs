//! The phases of the run, their times and one bar.

use eframe::egui::{Align, Layout, Rect, Role, Sense, Ui, UiBuilder, WidgetInfo, pos2, vec2};

use super::Clock;
use crate::app::{Action, Phase, Running};
use crate::text;
use crate::ui::fonts::Type;
use crate::ui::icons::{self, Face};
use crate::ui::theme::{Theme, space};
use crate::ui::widgets::{card, paint, progress_bar, small_link, spinner};

const PHASES: [(Phase, &str); 5] =
    [(Phase::Connect, "Connect"), (Phase::Read, "Read"), (Phase::Observe, "Observe"), (Phase::ReadAgain, "Read again"), (Phase::Judge, "Judge")];

/// "Extend" makes the window this long, seconds.
const EXTENDED_S: u32 = 300;

pub fn show(ui: &mut Ui, running: &Running, clock: &Clock, actions: &mut Vec<Action>) {
    card(ui, Some(96.0), |ui| {
        row(ui, running, clock);
        ui.add_space(10.0);
        progress_bar(ui, "Audit", clock.share());
        ui.add_space(6.0);
        let (_, rect) = ui.allocate_space(vec2(ui.available_width(), 24.0));
        let builder = UiBuilder::new().id_salt("extend").max_rect(rect).layout(Layout::right_to_left(Align::Center));
        ui.scope_builder(builder, |ui| {
            if running.phase <= Phase::Observe && running.window_s < f64::from(EXTENDED_S) && small_link(ui, "Extend to 5 min").clicked() {
                actions.push(Action::ExtendWindow(EXTENDED_S));
            }
            let room = ui.min_rect().left().min(rect.right()) - rect.left() - space::L;
            let color = Theme::get(ui).text_weak;
            paint::text_left(ui.painter(), pos2(rect.left(), rect.center().y), explain(running), Type::LABEL, color, room);
        });
    });
}

fn explain(running: &Running) -> &'static str {
    match running.phase {
        _ if running.is_cancelling => "Cancelling. What was read is kept and marked partial.",
        Phase::Connect => "Every session is opened read-only.",
        Phase::Read => "Settings, counters and samples are read once before the window opens.",
        Phase::Observe => "Counters are compared at both ends of the window. Longer windows see rarer problems.",
        Phase::ReadAgain => "Counters are read a second time: what changed over the window is what counts.",
        Phase::Judge => "Every check judges what was read. Nothing more is asked of the store.",
    }
}

struct Item<'a> {
    phase: Phase,
    word: &'a str,
    time: String,
    width: f32,
}

fn row(ui: &mut Ui, running: &Running, clock: &Clock) {
    let theme = Theme::get(ui);
    let (_, rect) = ui.allocate_space(vec2(ui.available_width(), 26.0));
    let items: Vec<Item<'_>> = PHASES
        .iter()
        .map(|(phase, word)| {
            let time = time_of(running, clock, *phase);
            let wide = |t: &str, style| paint::line(ui.painter(), t, style, theme.text, f32::INFINITY).size().x;
            let gap = if time.is_empty() { 0.0 } else { space::S };
            Item { phase: *phase, word, width: 24.0 + wide(word, Type::STRONG) + gap + wide(&time, Type::LABEL), time }
        })
        .collect();
    let used: f32 = items.iter().map(|i| i.width).sum();
    let between = (rect.width() - used) / (items.len() - 1) as f32;
    let y = rect.center().y;
    let mut x = rect.left();
    for (index, item) in items.iter().enumerate() {
        phase(ui, running, item, Rect::from_min_max(pos2(x, rect.top()), pos2(x + item.width, rect.bottom())));
        x += item.width;
        if index + 1 < items.len() && between > 32.0 {
            paint::rule(ui.painter(), x + 12.0..=x + between - 12.0, y, theme.line);
        }
        x += between;
    }
}

/// "1 s", "19 of 30 s", or nothing for what has not begun.
fn time_of(running: &Running, clock: &Clock, phase: Phase) -> String {
    match (phase, clock.window_s) {
        (Phase::Observe, Some(passed)) if running.phase == Phase::Observe => {
            format!("{} of {}", passed.floor(), text::seconds(running.window_s))
        }
        (Phase::Observe, Some(_)) if running.phase > Phase::Observe => text::seconds(running.window_s.round()),
        _ if running.phase > phase => clock.of_phase(running, phase).map_or_else(String::new, |s| text::seconds(s.round())),
        _ => String::new(),
    }
}

fn phase(ui: &mut Ui, running: &Running, item: &Item<'_>, rect: Rect) {
    let theme = Theme::get(ui);
    let response = ui.interact(rect, ui.scope_id().with(("phase", item.word)), Sense::hover());
    let word = match running.phase.cmp(&item.phase) {
        std::cmp::Ordering::Greater => "done",
        std::cmp::Ordering::Equal => "in progress",
        std::cmp::Ordering::Less => "not begun",
    };
    let name = if item.time.is_empty() { format!("{}, {word}", item.word) } else { format!("{}, {word}, {}", item.word, item.time) };
    response.widget_info(|| WidgetInfo::labeled(Role::Label, true, &name));
    let y = rect.center().y;
    let center = pos2(rect.left() + 8.0, y);
    let (style, color) = match running.phase.cmp(&item.phase) {
        std::cmp::Ordering::Greater => {
            paint::icon(ui.painter(), center, icons::CHECK_CIRCLE, Face::Fill, 16.0, theme.good.fg);
            (Type::BODY, theme.text)
        }
        std::cmp::Ordering::Equal => {
            let square = Rect::from_center_size(center, vec2(14.0, 14.0));
            let mut child = ui.new_child(UiBuilder::new().id_salt("spinner").max_rect(square));
            spinner(&mut child, 14.0, &format!("{} in progress", item.word));
            (Type::STRONG, theme.text)
        }
        std::cmp::Ordering::Less => {
            paint::icon(ui.painter(), center, icons::CIRCLE, Face::Regular, 16.0, theme.text_weak);
            (Type::BODY, theme.text_muted)
        }
    };
    let x = paint::text_left(ui.painter(), pos2(rect.left() + 24.0, y), item.word, style, color, f32::INFINITY);
    paint::text_left(ui.painter(), pos2(x + space::S, y), &item.time, Type::LABEL, theme.text_weak, f32::INFINITY);
}
