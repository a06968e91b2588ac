//! The test of a step's service: its steps as they end, then what the role can see.

use eframe::egui::{Align, CornerRadius, Frame, Layout, Margin, Role, ScrollArea, Sense, Stroke, Ui, UiBuilder, WidgetInfo, pos2, vec2};

use super::{Form, capabilities};
use crate::app::message::WizardAction;
use crate::app::wizard::{Test, Wizard, WizardStep};
use crate::connect::steps::{StepState, TestStep};
use crate::evidence::Layer;
use crate::text;
use crate::ui::fonts::Type;
use crate::ui::icons::{self, Face};
use crate::ui::look;
use crate::ui::theme::{Theme, radius, space};
use crate::ui::widgets::{Button, Kind, good_tag, key_cap, paint, spinner};

const ROW: f32 = 28.0;

pub fn show(ui: &mut Ui, form: &mut Form<'_>) {
    ScrollArea::vertical().id_salt("test").auto_shrink([false, false]).show(ui, |ui| {
        Frame::NONE.inner_margin(Margin { left: 24, right: 24, top: 16, bottom: 16 }).show(ui, |ui| {
            ui.set_width(ui.available_width());
            ui.spacing_mut().item_spacing.y = 0.0;
            match form.wizard.step {
                WizardStep::Store => about(ui),
                step => service(ui, form, step),
            }
        });
    });
}

fn service(ui: &mut Ui, form: &mut Form<'_>, step: WizardStep) {
    let test = form.wizard.test(step);
    head(ui, form, step, test);
    ui.add_space(space::S);
    let steps = test.map_or(&[][..], |t| t.steps.as_slice());
    let is_running = test.is_some_and(|t| t.report.is_none());
    for done in steps {
        row(ui, done);
    }
    if steps.is_empty() || is_running {
        for name in expected(form.wizard, step).into_iter().skip(steps.len()) {
            row(ui, &TestStep { name: name.to_owned(), detail: String::new(), ms: None, state: StepState::NotRun });
        }
    }
    if test.is_none() {
        ui.add_space(space::M);
        let words = "The test signs in, looks at what may be seen, and leaves. It writes nothing and takes no lock.";
        ui.label(Type::LABEL.text(words).color(Theme::get(ui).text_weak));
    }
    if let Some(report) = test.and_then(|t| t.report.as_ref()).filter(|r| !r.capabilities.is_empty()) {
        capabilities::show(ui, step, report);
    }
}

/// The heading, how it went, and the button that tests.
fn head(ui: &mut Ui, form: &mut Form<'_>, step: WizardStep, test: Option<&Test>) {
    let theme = Theme::get(ui);
    let (_, rect) = ui.allocate_space(vec2(ui.available_width(), 24.0));
    let builder = UiBuilder::new().id_salt("head").max_rect(rect);
    ui.scope_builder(builder.layout(Layout::right_to_left(Align::Center)), |ui| {
        ui.spacing_mut().item_spacing.x = space::S;
        let is_running = test.is_some_and(|t| t.report.is_none());
        let blocked = match (is_running, form.wizard.is_set_up(step)) {
            (true, _) => Some("The test is running"),
            (false, false) => Some("Nothing is filled in yet"),
            (false, true) => None,
        };
        let (icon, label) = if test.is_some() { (icons::ARROW_COUNTER_CLOCKWISE, "Test again") } else { (icons::PLUGS, "Test") };
        if Button::new(Kind::Secondary, label).icon(icon).small().blocked(blocked).show(ui).clicked() {
            form.push(WizardAction::Test);
        }
        if test.is_none() {
            key_cap(ui, "Ctrl Enter");
        }
        let left = eframe::egui::Rect::from_min_max(rect.min, pos2(ui.min_rect().left(), rect.bottom()));
        let builder = UiBuilder::new().id_salt("title").max_rect(left).layout(Layout::left_to_right(Align::Center));
        ui.scope_builder(builder, |ui| {
            ui.spacing_mut().item_spacing.x = space::S;
            ui.label(Type::HEADING.text("Test").color(theme.text));
            match test.map(|t| t.report.as_ref()) {
                Some(None) => {
                    spinner(ui, 14.0, "Testing");
                }
                Some(Some(report)) if report.is_connected() => {
                    good_tag(ui, &format!("Connected in {}", text::millis(report.total_ms().round().max(1.0))));
                }
                Some(Some(_)) => {
                    ui.label(Type::HEAD.text("Not connected").color(theme.critical.fg));
                }
                None => {}
            }
        });
    });
}

/// The steps a test will take, so that the panel does not jump when they come.
fn expected(wizard: &Wizard, step: WizardStep) -> Vec<&'static str> {
    match step {
        WizardStep::Store => Vec::new(),
        WizardStep::Postgres => vec!["Name resolved", "TCP connected", "TLS", "Signed in", "Postgres", "Medusa"],
        WizardStep::Redis => vec!["Name resolved", "Connected", "TLS", "Signed in", "Redis answers"],
        WizardStep::Cdn if wizard.zone.trim().is_empty() && wizard.cloudfront_profile().is_some() => {
            vec!["Signed in", "Distributions listed", "Distribution found"]
        }
        WizardStep::Cdn => vec!["Reached Cloudflare", "Signed in", "Zone found"],
        WizardStep::Shop => {
            let mut names = Vec::new();
            if !wizard.storefront_url.trim().is_empty() {
                names.push("Storefront answers");
            }
            if !wizard.backend_url.trim().is_empty() || names.is_empty() {
                names.extend(["Backend answers", "Store API answers"]);
            }
            names
        }
    }
}

fn row(ui: &mut Ui, step: &TestStep) {
    let theme = Theme::get(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), ROW), Sense::hover());
    let (icon, face, color, word) = match &step.state {
        StepState::Done => (icons::CHECK_CIRCLE, Face::Fill, theme.good.fg, "done"),
        StepState::Failed(_) => (icons::X_CIRCLE, Face::Fill, theme.critical.fg, "failed"),
        StepState::NotRun => (icons::CIRCLE_DASHED, Face::Regular, theme.text_weak, "not run"),
    };
    let ms = step.ms.map_or_else(String::new, |ms| if ms < 1.0 { "<\u{a0}1\u{a0}ms".to_owned() } else { text::millis(ms.round()) });
    let name = [step.name.as_str(), word, &step.detail, &ms].into_iter().filter(|w| !w.is_empty()).collect::<Vec<_>>().join(", ");
    response.widget_info(|| WidgetInfo::labeled(Role::Label, true, &name));
    let y = rect.center().y;
    let painter = ui.painter();
    paint::icon(painter, pos2(rect.left() + 8.0, y), icon, face, 16.0, color);
    let is_grey = step.state == StepState::NotRun;
    let text_color = if is_grey { theme.text_weak } else { theme.text };
    let end = paint::text_right(painter, pos2(rect.right(), y), &ms, Type::LABEL, theme.text_weak);
    let room = (rect.width() * 0.45).clamp(112.0, 160.0);
    let x = paint::text_left(painter, pos2(rect.left() + 24.0, y), &step.name, Type::NAME, text_color, room);
    let at = pos2((rect.left() + 144.0).max(x + space::M), y);
    let detail = paint::line(painter, &step.detail, Type::BODY, theme.text_muted, end - at.x - space::M);
    let is_cut = detail.elided;
    paint::left(painter, at.x, y, detail);
    if is_cut {
        crate::ui::widgets::hint(response, &step.detail);
    }
    if let StepState::Failed(sentence) = &step.state {
        failure(ui, sentence);
    }
}

/// What happened and what to do, open under the step that failed.
fn failure(ui: &mut Ui, sentence: &str) {
    let theme = Theme::get(ui);
    let width = ui.available_width();
    let galley = paint::wrapped(ui.painter(), sentence, Type::BODY, theme.text, width - 24.0 - 24.0);
    let (rect, response) = ui.allocate_exact_size(vec2(width, galley.size().y + 16.0 + space::S), Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(Role::Alert, true, sentence));
    let inside = eframe::egui::Rect::from_min_max(pos2(rect.left() + 24.0, rect.top()), pos2(rect.right(), rect.bottom() - space::S));
    ui.painter().rect_filled(inside, CornerRadius::same(radius::CONTROL), theme.critical.tint);
    ui.painter().galley(inside.min + vec2(12.0, 8.0), galley, theme.text);
}

/// Beside the first step, where there is nothing to test: what each layer is read for.
fn about(ui: &mut Ui) {
    const WORDS: [(Layer, &str); 4] = [
        (Layer::Postgres, "Statistics, settings and plans. Each plan is estimated, never run."),
        (Layer::Redis, "Memory, commands, slow log and a sample of key names with their sizes."),
        (Layer::Cdn, "Zone settings, cache rules and traffic by cache status."),
        (Layer::App, "A few dozen requests to pages, media and the store API, timed."),
    ];
    let theme = Theme::get(ui);
    let (_, rect) = ui.allocate_space(vec2(ui.available_width(), 24.0));
    let at = pos2(rect.left(), rect.center().y);
    paint::text_left(ui.painter(), at, "What an audit reads", Type::HEADING, theme.text, rect.width());
    ui.add_space(space::S);
    for (layer, words) in WORDS {
        let galley = paint::wrapped(ui.painter(), words, Type::LABEL, theme.text_muted, ui.available_width() - 24.0);
        let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 22.0 + galley.size().y + space::S), Sense::hover());
        let name = format!("{}: {words}", layer.name());
        response.widget_info(|| WidgetInfo::labeled(Role::Label, true, &name));
        let hue = look::hue(layer);
        let center = pos2(rect.left() + 8.0, rect.top() + 10.0);
        paint::icon(ui.painter(), center, hue.icon(), Face::Regular, 16.0, hue.color(theme));
        paint::text_left(ui.painter(), pos2(rect.left() + 24.0, center.y), layer.name(), Type::NAME, theme.text, rect.width());
        ui.painter().galley(rect.min + vec2(24.0, 20.0), galley, theme.text_muted);
    }
    let (_, rect) = ui.allocate_space(vec2(ui.available_width(), 24.0));
    ui.painter().hline(rect.x_range(), rect.center().y, Stroke::new(1.0, theme.line_subtle));
    never(ui, "Rows of your tables, values of keys and visitors' addresses are never read.");
    never(ui, "Nothing is written: every session is read-only, and so is every request.");
}

fn never(ui: &mut Ui, words: &str) {
    let theme = Theme::get(ui);
    let galley = paint::wrapped(ui.painter(), words, Type::LABEL, theme.text_muted, ui.available_width() - 24.0);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), galley.size().y + space::S), Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(Role::Label, true, words));
    paint::icon(ui.painter(), rect.min + vec2(8.0, 8.0), icons::LOCK_SIMPLE, Face::Regular, 14.0, theme.text_muted);
    ui.painter().galley(rect.min + vec2(24.0, 0.0), galley, theme.text_muted);
}
