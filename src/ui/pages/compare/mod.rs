//! The page "Compare": two audits, whether they can be compared, and what became of each finding and figure.

mod figures;

use eframe::egui::{self, Align, Layout, Rect, Role, ScrollArea, Sense, Ui, UiBuilder, WidgetInfo, pos2, vec2};

use crate::app::message::ComparisonFormat;
use crate::app::{Action, Model, Page, Remote};
use crate::evidence::Layer;
use crate::history::Entry;
use crate::history::compare::{self, Comparison};
use crate::plan::Ranked;
use crate::text;
use crate::ui::fonts::Type;
use crate::ui::icons::{self, Face, Icon};
use crate::ui::look;
use crate::ui::theme::{Theme, height, radius, space};
use crate::ui::widgets::{
    Condition, Kind, LayerHue, Width, button, columns, flush_card, hint, loading_card, menu, menu_item, page_state, paint, top_bar,
};

const HEAD: f32 = 34.0;
const ROW: f32 = 42.0;

/// Draws the page.
pub fn show(ui: &mut Ui, model: &Model, actions: &mut Vec<Action>) {
    ui.spacing_mut().item_spacing.y = 0.0;
    top_bar(ui, "Compare two audits", "", |ui| {
        if let Some(c) = model.compare.shown() {
            export(ui, c, actions);
        }
        if let Some((before, after)) = model.compare_pair.clone()
            && button(ui, Kind::Secondary, icons::ARROWS_LEFT_RIGHT, "Swap").clicked()
        {
            actions.push(Action::Compare { before: after, after: before });
        }
    });
    let page = ui.available_rect_before_wrap().shrink2(vec2(space::PAGE_X, space::PAGE_Y));
    let at = Rect::from_center_size(page.center(), vec2(page.width().min(space::CONTENT_MAX), page.height()));
    let mut child = ui.new_child(UiBuilder::new().id_salt("page").max_rect(at).layout(Layout::top_down(Align::Min)));
    child.spacing_mut().item_spacing.y = 0.0;
    pickers(&mut child, model, actions);
    child.add_space(space::M);
    content(&mut child, model, actions);
}

/// One button, and how in its menu.
fn export(ui: &mut Ui, c: &Comparison, actions: &mut Vec<Action>) {
    let response = button(ui, Kind::Primary, icons::EXPORT, "Export comparison");
    menu(&response, |ui| {
        if menu_item(ui, icons::MARKDOWN_LOGO, "Save as Markdown", "").clicked() {
            actions.push(Action::SaveComparison(ComparisonFormat::Markdown));
        }
        if menu_item(ui, icons::BRACKETS_CURLY, "Save as JSON", "").clicked() {
            actions.push(Action::SaveComparison(ComparisonFormat::Json));
        }
        if menu_item(ui, icons::COPY, "Copy as Markdown", "").clicked() {
            actions.push(Action::Copy { text: compare::markdown(c), what: "Comparison".into() });
        }
        if menu_item(ui, icons::TABLE, "Copy as table", "").clicked() {
            actions.push(Action::Copy { text: as_text(c), what: "Comparison".into() });
        }
    });
}

fn content(ui: &mut Ui, model: &Model, actions: &mut Vec<Action>) {
    match &model.compare {
        Remote::Failed { message, .. } => {
            if page_state(ui, Condition::Failed, "The two audits were not compared", message, Some("Choose others")) {
                actions.push(Action::Go(Page::Audits));
            }
        }
        other => match other.shown() {
            Some(c) => comparison(ui, model, c, actions),
            None if other.is_pending() => {
                let since = ui.input(|input| input.time);
                loading_card(ui, "Comparing", since);
            }
            None => {
                let sentence = "Choose an older and a newer audit of one store. What was resolved, what is new and what got worse stands here.";
                if page_state(ui, Condition::Empty, "Nothing to compare yet", sentence, Some("All audits")) {
                    actions.push(Action::Go(Page::Audits));
                }
            }
        },
    }
}

/// Two dates, oldest left, and whether they can be compared.
fn pickers(ui: &mut Ui, model: &Model, actions: &mut Vec<Action>) {
    let entries = model.current_store().map_or(&[][..], |s| s.audits.as_slice());
    let (_, row) = ui.allocate_space(vec2(ui.available_width(), height::BUTTON));
    let mut child = ui.new_child(UiBuilder::new().id_salt("pickers").max_rect(row).layout(Layout::left_to_right(Align::Center)));
    child.spacing_mut().item_spacing.x = space::M;
    let width = ((row.width() - 340.0) / 2.0).clamp(180.0, 312.0);
    if let Some((before, after)) = &model.compare_pair {
        if let Some(path) = picker(&mut child, "Before", before, entries, width) {
            actions.push(Action::Compare { before: path, after: after.clone() });
        }
        let (arrow, _) = child.allocate_exact_size(vec2(16.0, 16.0), Sense::hover());
        paint::icon(child.painter(), arrow.center(), icons::ARROW_RIGHT, Face::Regular, 16.0, Theme::get(&child).text_weak);
        if let Some(path) = picker(&mut child, "After", after, entries, width) {
            actions.push(Action::Compare { before: before.clone(), after: path });
        }
    }
    let Some(c) = model.compare.shown() else { return };
    let room = row.with_min_x(child.min_rect().right() + space::M);
    verdict(ui, room, c);
}

fn picker(ui: &mut Ui, label: &str, chosen: &std::path::Path, entries: &[Entry], width: f32) -> Option<std::path::PathBuf> {
    let mut words: Vec<String> = entries.iter().map(|e| text::date_time(e.summary.taken_at)).collect();
    let mut paths: Vec<&std::path::Path> = entries.iter().map(|e| e.path.as_path()).collect();
    // An audit opened by file is not among the store's own.
    if !paths.contains(&chosen) {
        words.push(chosen.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned()));
        paths.push(chosen);
    }
    let index = paths.iter().position(|p| *p == chosen).unwrap_or(0);
    let response = picker_box(ui, label, &words[index], width);
    let mut picked = None;
    menu(&response, |ui| {
        for (i, words) in words.iter().enumerate() {
            let icon = if i == index { icons::CHECK } else { icons::CLOCK };
            if menu_item(ui, icon, words, "").clicked() && i != index {
                picked = Some(paths[i].to_path_buf());
            }
        }
    });
    picked
}

/// A box of 32 with a clock, its role in weak text and the chosen date.
fn picker_box(ui: &mut Ui, label: &str, words: &str, width: f32) -> egui::Response {
    let theme = Theme::get(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(width, height::BUTTON), Sense::click());
    response.widget_info(|| {
        let mut info = WidgetInfo::labeled(Role::ComboBox, true, label);
        info.current_text_value = Some(words.to_owned());
        info
    });
    let edge = if response.hovered() { theme.line_strong } else { theme.line };
    paint::boxed(ui.painter(), rect, radius::CONTROL, theme.bg_field, edge);
    paint::focus_ring(ui, &response, rect, radius::CONTROL);
    let y = rect.center().y;
    paint::icon(ui.painter(), pos2(rect.left() + 19.0, y), icons::CLOCK, Face::Regular, 16.0, theme.text_muted);
    let x = paint::text_left(ui.painter(), pos2(rect.left() + 35.0, y), label, Type::BODY, theme.text_weak, 60.0) + space::S;
    paint::text_left(ui.painter(), pos2(x, y), words, Type::BODY, theme.text, rect.right() - 36.0 - x);
    paint::icon(ui.painter(), pos2(rect.right() - 18.0, y), icons::CARET_DOWN, Face::Regular, 14.0, theme.text_muted);
    response.on_hover_cursor(egui::CursorIcon::PointingHand)
}

fn verdict(ui: &mut Ui, room: Rect, c: &Comparison) {
    let theme = Theme::get(ui);
    let (icon, color, words) = match c.cautions.first() {
        None => (icons::SEAL_CHECK, theme.good.fg, "Comparable: nothing stands against it".to_owned()),
        Some(_) => (icons::WARNING_CIRCLE, theme.medium.fg, c.cautions.join(" ")),
    };
    let response = ui.interact(room, ui.scope_id().with("verdict"), Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(Role::Label, true, &words));
    let galley = paint::line(ui.painter(), &words, Type::LABEL, theme.text_muted, room.width() - 24.0);
    let x = paint::right(ui.painter(), room.right(), room.center().y, galley);
    paint::icon(ui.painter(), pos2(x - 15.0, room.center().y), icon, Face::Fill, 16.0, color);
    hint(response, &words);
}

fn comparison(ui: &mut Ui, model: &Model, c: &Comparison, actions: &mut Vec<Action>) {
    // What stands against the comparison is told in full, not only on hover.
    for caution in &c.cautions {
        ui.label(Type::LABEL.text(caution).color(Theme::get(ui).text_muted));
    }
    if !c.cautions.is_empty() {
        ui.add_space(space::S);
    }
    scores(ui, &c.layers);
    ui.add_space(space::M);
    let tall = ui.available_height();
    columns(ui, &[Width::Share(432.0), Width::Share(572.0)], tall, space::M, |ui, index| match index {
        0 => findings(ui, c, tall, actions),
        _ => figures::show(ui, c, &model.settings.targets, tall),
    });
}

/// Four pairs of scores in one card.
fn scores(ui: &mut Ui, layers: &[(Layer, Option<u32>, Option<u32>)]) {
    flush_card(ui, Some(76.0), |ui| {
        let widths = vec![Width::Share(1.0); layers.len()];
        columns(ui, &widths, 74.0, 0.0, |ui, index| {
            let rect = ui.max_rect();
            let (layer, before, after) = layers[index];
            let theme = Theme::get(ui);
            if index > 0 {
                ui.painter().vline(rect.left() + 0.5, rect.y_range(), egui::Stroke::new(1.0, theme.line_subtle));
            }
            score_pair(ui, rect, look::hue(layer), before, after);
        });
    });
}

fn score_pair(ui: &Ui, rect: Rect, layer: LayerHue, before: Option<u32>, after: Option<u32>) {
    let theme = Theme::get(ui);
    let painter = ui.painter();
    let words = |s: Option<u32>| s.map_or_else(|| "not read".to_owned(), |s| s.to_string());
    let response = ui.interact(rect, ui.scope_id().with(("score", layer.word())), Sense::hover());
    response.widget_info(|| {
        WidgetInfo::labeled(Role::Label, true, format!("{} score {} before, {} after, of 100", layer.word(), words(before), words(after)))
    });
    let left = rect.left() + 16.0;
    let above = rect.top() + 22.0;
    let below = rect.top() + 49.0;
    paint::icon(painter, pos2(left + 7.0, above), layer.icon(), Face::Regular, 14.0, layer.color(theme));
    paint::text_left(painter, pos2(left + 22.0, above), layer.word(), Type::NAME, theme.text, rect.width() - 48.0);
    let x = paint::text_left(painter, pos2(left, below + 1.0), &words(before), Type::BODY, theme.text_weak, 80.0);
    paint::icon(painter, pos2(x + 15.0, below), icons::ARROW_RIGHT, Face::Regular, 12.0, theme.text_weak);
    paint::text_left(painter, pos2(x + 29.0, below), &words(after), Type::Title, theme.text, rect.width() - 100.0);
    let Some((b, a)) = before.zip(after) else { return };
    let (icon, color, delta) = match a.cmp(&b) {
        std::cmp::Ordering::Greater => (icons::TREND_UP, theme.good.fg, format!("+{}", a - b)),
        std::cmp::Ordering::Less => (icons::TREND_DOWN, theme.high.fg, format!("\u{2212}{}", b - a)),
        std::cmp::Ordering::Equal => (icons::MINUS, theme.text_weak, "0".to_owned()),
    };
    let x = paint::text_right(painter, pos2(rect.right() - 16.0, below), &delta, Type::HEAD, color);
    paint::icon(painter, pos2(x - 11.0, below), icon, Face::Regular, 14.0, color);
}

/// One row of the left card.
enum Line<'a> {
    Head { icon: Icon, face: Face, color: egui::Color32, title: &'static str, count: String },
    Finding { ranked: &'a Ranked, words: String },
}

fn lines<'a>(theme: &Theme, c: &'a Comparison) -> Vec<Line<'a>> {
    let mut lines = Vec::new();
    let one = |r: &'a Ranked| (r, cost(r));
    let two = |(b, a): &'a (Ranked, Ranked)| {
        let (before, after) = (share(b), share(a));
        (a, if before == after { format!("{after}, unchanged") } else { format!("{before} → {after}") })
    };
    let still: Vec<_> = c.better.iter().chain(&c.still_open).map(two).collect();
    let better = c.better.len();
    let still_words = if better > 0 { format!("{}, of these {better} better", still.len()) } else { still.len().to_string() };
    let groups = [
        (icons::CHECK_CIRCLE, Face::Fill, theme.good.fg, "Resolved", None, c.resolved.iter().map(one).collect::<Vec<_>>()),
        (icons::PLUS_CIRCLE, Face::Fill, theme.accent, "New", None, c.new.iter().map(one).collect()),
        (icons::TREND_UP, Face::Regular, theme.high.fg, "Worse", None, c.worse.iter().map(two).collect()),
        (icons::CIRCLE_DASHED, Face::Regular, theme.text_muted, "Cannot tell", None, c.cannot_tell.iter().map(|(r, why)| (r, why.clone())).collect()),
        (icons::MINUS_CIRCLE, Face::Fill, theme.text_muted, "Still open", Some(still_words), still),
    ];
    for (icon, face, color, title, count, found) in groups {
        // "Cannot tell" stands there only when something could not be told.
        if found.is_empty() && title == "Cannot tell" {
            continue;
        }
        let count = count.unwrap_or_else(|| found.len().to_string());
        lines.push(Line::Head { icon, face, color, title, count });
        lines.extend(found.into_iter().map(|(ranked, words)| Line::Finding { ranked, words }));
    }
    lines
}

fn share(r: &Ranked) -> String {
    text::percent(r.finding.cost.share)
}

/// What a finding costs in a few words.
fn cost(r: &Ranked) -> String {
    r.finding.gain.as_ref().map(|g| g.words.clone()).or_else(|| r.finding.averts.clone()).unwrap_or_default()
}

fn findings(ui: &mut Ui, c: &Comparison, tall: f32, actions: &mut Vec<Action>) {
    flush_card(ui, Some(tall), |ui| {
        let lines = lines(Theme::get(ui), c);
        let of = |l: &Line<'_>| if matches!(l, Line::Head { .. }) { HEAD } else { ROW };
        let total: f32 = lines.iter().map(of).sum();
        ScrollArea::vertical().id_salt("changes").auto_shrink(false).show_viewport(ui, |ui, viewport| {
            ui.set_height(total);
            let origin = ui.max_rect().min;
            let mut top = 0.0;
            for (index, line) in lines.iter().enumerate() {
                let at = Rect::from_min_size(origin + vec2(0.0, top), vec2(ui.available_width(), of(line)));
                if top + of(line) >= viewport.top() && top <= viewport.bottom() {
                    draw(ui, index, at, line, actions);
                }
                top += of(line);
            }
        });
    });
}

fn draw(ui: &Ui, index: usize, at: Rect, line: &Line<'_>, actions: &mut Vec<Action>) {
    let theme = Theme::get(ui);
    let painter = ui.painter();
    let y = at.center().y;
    paint::rule(painter, at.x_range(), at.bottom() - 1.0, theme.line_subtle);
    match line {
        Line::Head { icon, face, color, title, count } => {
            painter.rect_filled(at, 0.0, theme.bg_hover);
            let response = ui.interact(at, ui.scope_id().with(("group", title)), Sense::hover());
            response.widget_info(|| WidgetInfo::labeled(Role::Heading, true, format!("{title}, {count}")));
            paint::icon(painter, pos2(at.left() + 24.0, y), *icon, *face, 16.0, *color);
            let x = paint::text_left(painter, pos2(at.left() + 40.0, y), title, Type::NAME, theme.text, 200.0);
            paint::text_left(painter, pos2(x + space::S, y), count, Type::LABEL, theme.text_weak, at.right() - x - 24.0);
        }
        Line::Finding { ranked, words } => {
            let response = ui.interact(at, ui.scope_id().with(("change", index)), Sense::click());
            let level = look::level(ranked.finding.severity);
            let name = format!("{}, {}, {}, {words}", level.word(), ranked.check.title, ranked.finding.subject.name);
            response.widget_info(|| WidgetInfo::labeled(Role::Link, true, &name));
            if response.hovered() {
                painter.rect_filled(at.with_max_y(at.bottom() - 1.0), 0.0, theme.bg_hover);
            }
            paint::focus_ring(ui, &response, at, 0);
            let (icon, face) = level.icon();
            paint::icon(painter, pos2(at.left() + 24.0, y), icon, face, 16.0, level.colors(theme).fg);
            let galley = paint::line(painter, words, Type::LABEL, theme.text_muted, at.width() * 0.42);
            let end = paint::right(painter, at.right() - 16.0, y, galley) - space::S;
            let x = at.left() + 42.0;
            paint::text_left(painter, pos2(x, y - 8.0), ranked.check.title, Type::BODY, theme.text, end - x);
            let hue = look::hue(ranked.check.layer);
            paint::icon(painter, pos2(x + 6.0, y + 8.0), hue.icon(), Face::Regular, 12.0, hue.color(theme));
            paint::text_left(painter, pos2(x + 18.0, y + 8.0), &ranked.finding.subject.name, Type::LABEL, theme.text_weak, end - x - 18.0);
            if response.clicked() {
                actions.push(Action::OpenFinding(ranked.key.clone()));
            }
        }
    }
}

/// The comparison for a message: groups with their findings, then the figures, tab-separated.
fn as_text(c: &Comparison) -> String {
    let mut out = c.cautions.join("\n");
    for line in lines(&crate::ui::theme::DARK, c) {
        match line {
            Line::Head { title, count, .. } => out.push_str(&format!("\n\n{title} {count}")),
            Line::Finding { ranked, words } => {
                out.push_str(&format!("\n{}\t{}\t{}\t{words}", ranked.finding.severity.name(), ranked.check.title, ranked.finding.subject.name));
            }
        }
    }
    out.push_str("\n\nMetric\tBefore\tAfter\tChange\tVerdict");
    c.metrics.iter().for_each(|m| {
        out.push('\n');
        out.push_str(&figures::line(m));
    });
    out.trim_start().to_owned()
}
