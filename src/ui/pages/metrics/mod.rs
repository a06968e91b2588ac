//! The pages "Metrics", one a layer: five stats, one or two charts with the target, the table that explains them.

mod app;
mod cdn;
mod cdn_classes;
mod cdn_cloudfront;
mod cdn_cloudwatch;
mod cdn_tables;
mod cdn_trace;
mod cdn_zone;
mod postgres;
mod redis;
mod redis_queues;
mod redis_tables;
mod rows;
mod sheet;

use eframe::egui::{self, Align, Layout, Ui, UiBuilder, vec2};

use crate::app::{Action, Audit, Model, Page};
use crate::checks::edge_cloudfront::replaces_cloudflare;
use crate::evidence::{Gap, Layer, Listed};
use crate::text;
use crate::ui::theme::space;
use crate::ui::widgets::{
    Condition, GapCard, Language, SegmentSize, Stat, Width, columns, gap_card, loading_card, page_state, segments, stat, top_bar,
};

const STAT: f32 = 82.0;
const CHART: f32 = 218.0;
const GAP: f32 = 12.0;

/// Draws the page of the layer that the model is at.
pub fn show(ui: &mut Ui, model: &Model, actions: &mut Vec<Action>) {
    let Page::Metrics(layer) = model.page else { return };
    ui.spacing_mut().item_spacing.y = 0.0;
    let Some(audit) = model.current_audit() else {
        top_bar(ui, layer.name(), "", |_| {});
        return inside(ui, |ui| nothing(ui, model, layer, actions));
    };
    let caption = match layer {
        Layer::Cdn => cdn::caption(audit, model.metrics.tabs[layer as usize]),
        Layer::Redis => redis::caption(audit),
        Layer::Postgres => postgres::caption(audit),
        Layer::App => app::caption(audit),
    };
    top_bar(ui, layer.name(), &caption, |ui| tabs(ui, model, layer, actions));
    inside(ui, |ui| {
        if let Some(gap) = whole_gap(audit, layer) {
            return gap_state(ui, audit, &gap, actions);
        }
        let tab = model.metrics.tabs[layer as usize];
        match layer {
            Layer::Cdn => cdn::page(ui, model, audit, tab, actions),
            Layer::Redis => redis::page(ui, model, audit, tab, actions),
            Layer::Postgres => postgres::page(ui, model, audit, tab, actions),
            Layer::App => app::page(ui, model, audit, tab, actions),
        }
    });
}

fn words(model: &Model, layer: Layer) -> Vec<&'static str> {
    match layer {
        Layer::Postgres => vec!["Statements", "Tables", "Indexes", "Sessions", "Settings"],
        Layer::Redis => vec!["Memory", "Commands", "Queues", "Clients"],
        Layer::Cdn => cdn::words(model.current_audit().map(|a| &**a)),
        Layer::App => vec!["Endpoints", "Configuration"],
    }
}

fn tabs(ui: &mut Ui, model: &Model, layer: Layer, actions: &mut Vec<Action>) {
    let words = words(model, layer);
    let mut active = model.metrics.tabs[layer as usize].min(words.len() - 1);
    if segments(ui, "Part", &words, &mut active, SegmentSize::Normal) {
        actions.push(Action::MetricsTab(layer, active));
    }
}

/// The page's padding and widest measure.
fn inside(ui: &mut Ui, content: impl FnOnce(&mut Ui)) {
    let page = ui.available_rect_before_wrap().shrink2(vec2(space::PAGE_X, space::PAGE_Y));
    let width = page.width().min(space::CONTENT_MAX);
    let at = egui::Rect::from_center_size(page.center(), vec2(width, page.height()));
    let mut child = ui.new_child(UiBuilder::new().id_salt("page").max_rect(at).layout(Layout::top_down(Align::Min)));
    child.spacing_mut().item_spacing.y = 0.0;
    content(&mut child);
}

fn nothing(ui: &mut Ui, model: &Model, layer: Layer, actions: &mut Vec<Action>) {
    if model.audit.is_pending() {
        let since = ui.input(|input| input.time);
        loading_card(ui, layer.name(), since);
    } else if page_state(ui, Condition::Empty, "No audit yet", "The figures of an audit stand here.", Some("All stores")) {
        actions.push(Action::Go(Page::Stores));
    }
}

/// The gap when nothing of a layer was read.
fn whole_gap(audit: &Audit, layer: Layer) -> Option<Gap> {
    let s = &audit.snapshot;
    match layer {
        Layer::Postgres => s.pg().err(),
        Layer::Redis => s.redis().err(),
        // What the storefront and the database tell of the edge is worth a page without Cloudflare.
        Layer::Cdn if s.shop().is_err() && s.cloudfront.is_err() => {
            if replaces_cloudflare(s) {
                s.cloudfront().err()
            } else {
                s.cloudflare().err()
            }
        }
        Layer::Cdn => None,
        Layer::App => s.shop().err().filter(|_| s.pg().is_err()),
    }
}

/// What stands in place of figures that are not known: why, and what would tell.
fn gap_state(ui: &mut Ui, audit: &Audit, gap: &Gap, actions: &mut Vec<Action>) {
    let waiting = audit.plan.unknown.iter().filter(|(_, g)| g.cause == gap.cause && g.section == gap.section).count();
    let consequence = match waiting {
        0 => String::new(),
        n => format!("Without it {} of {} are not run.", n, text::plural(audit.plan.checks_total() as u64, "check", "checks")),
    };
    if let Some(remedy) = gap.cause.remedy() {
        let language = if gap.section.layer() == Layer::Postgres { Language::Sql } else { Language::Plain };
        let shows = "Once it is there, the next audit reads it. Nothing is written.";
        return gap_card(ui, GapCard { title: &gap.detail, consequence: &consequence, remedy, language, shows }, |_| {});
    }
    let condition = match gap.cause {
        crate::evidence::Cause::Unreachable | crate::evidence::Cause::TimedOut { .. } => Condition::Unreachable,
        _ => Condition::NotChecked,
    };
    let is_unset = gap.cause == crate::evidence::Cause::NotConfigured;
    let action = is_unset.then_some("Set it up").filter(|_| audit.store.is_some() && audit.store.as_deref() != Some(crate::app::DEMO));
    if page_state(ui, condition, "Not checked", &format!("{} {consequence}", gap.detail), action)
        && let Some(store) = &audit.store
    {
        actions.push(Action::EditStore(store.clone()));
    }
}

/// One figure of the row at the top: known, or why not.
struct Figure {
    caption: &'static str,
    figure: String,
    unit: String,
    context: String,
    off_target: bool,
}

impl Figure {
    fn new(caption: &'static str, figure: impl Into<String>, unit: impl Into<String>, context: impl Into<String>) -> Self {
        Self { caption, figure: figure.into(), unit: unit.into(), context: context.into(), off_target: false }
    }

    fn off_target(mut self, is_off: bool) -> Self {
        self.off_target = is_off;
        self
    }

    /// Unknown is "not measured" and why, never zero.
    fn missing(caption: &'static str, why: &str) -> Self {
        Self { caption, figure: "–".into(), unit: "not measured".into(), context: why.to_owned(), off_target: false }
    }

    fn of(caption: &'static str, known: Result<Figure, Gap>) -> Self {
        known.unwrap_or_else(|gap| Self::missing(caption, &gap.detail))
    }
}

/// Five figures beside each other.
fn stats(ui: &mut Ui, figures: &[Figure]) {
    let widths = vec![Width::Share(1.0); figures.len()];
    columns(ui, &widths, STAT, GAP, |ui, index| {
        let f = &figures[index];
        let shown = Stat { caption: f.caption, figure: &f.figure, unit: &f.unit, context: &f.context, off_target: f.off_target };
        let response = stat(ui, shown);
        crate::ui::widgets::hint(response, &f.context);
    });
    ui.add_space(GAP);
}

/// A figure of text such as "2.84 GiB" in its number and unit.
fn split_unit(words: &str) -> (String, String) {
    match words.split_once(text::NBSP) {
        Some((number, unit)) => (number.to_owned(), unit.to_owned()),
        None => (words.to_owned(), String::new()),
    }
}

/// "3,000 tables", and how many were left out by a limit.
fn counted<T>(list: &Listed<T>, one: &str, many: &str) -> String {
    let shown = text::plural(list.rows.len() as u64, one, many);
    match list.cut {
        Some(0) => shown,
        Some(cut) => format!("{shown}, {} more were not read", text::count(cut)),
        None => format!("{shown}, there are more"),
    }
}

/// The height of charts: the usual one, less where the window is low, so that the table keeps five rows.
fn chart_height(ui: &Ui) -> f32 {
    (ui.available_height() - 240.0).clamp(150.0, CHART)
}

/// "30 s window of 23 Nov 2026, 09:30 UTC".
fn window_words(audit: &Audit) -> String {
    let meta = &audit.snapshot.meta;
    let at = text::date_time(meta.taken_at);
    if meta.window_s > 0.0 { format!("{} window of {at}", text::seconds(meta.window_s)) } else { format!("{at}, no window") }
}

/// "Since 17 Nov": a date without its year, as the switch of a base names it.
fn since_words(at: Option<time::OffsetDateTime>) -> String {
    match at {
        Some(at) => {
            let date = text::date(at);
            format!("Since {}", date.rsplit_once(' ').map_or(date.as_str(), |(day, _)| day))
        }
        None => "Since reset".to_owned(),
    }
}
