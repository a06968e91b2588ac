//! The window around the pages, its keys and dialogs, and the pages of stores and settings, through AccessKit.

use crate::sample::{Kind, STORE};
use eframe::egui::{Key, Modifiers, Role};
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT, Queryable};
use medusa_advisor::app::{Action, DEMO, Dialog, Model, Page, ThemeChoice};
use medusa_advisor::evidence::{Layer, Targets};
use medusa_advisor::ui::{fonts, look, shell};

struct Window {
    model: Model,
    pushed: Vec<Action>,
}

fn window_of(model: Model) -> Harness<'static, Window> {
    let settings = model.settings.clone();
    let mut harness = Harness::builder()
        .with_size([1280.0, 800.0])
        .with_context_setup(move |ctx| {
            fonts::install(ctx);
            look::apply(ctx, &settings);
        })
        .build_ui_state(
            |ui, window: &mut Window| {
                let mut actions = Vec::new();
                shell::show(ui, &window.model, &mut actions);
                for action in actions {
                    window.pushed.push(action.clone());
                    window.model.act(action, crate::sample::TAKEN_AT);
                    ui.ctx().request_repaint();
                }
            },
            Window { model, pushed: Vec::new() },
        );
    harness.run_steps(3);
    harness
}

fn window(kind: Kind, page: &str) -> Harness<'static, Window> {
    let mut model = crate::sample::model(kind);
    assert!(crate::sample::pages::open(&mut model, page), "{page}");
    window_of(model)
}

fn press(h: &mut Harness<'_, Window>, modifiers: Modifiers, key: Key) {
    h.key_press_modifiers(modifiers, key);
    h.run_steps(3);
}

fn has_pushed(h: &Harness<'_, Window>, action: &Action) -> bool {
    h.state().pushed.contains(action)
}

/// Replaces what the field holds and leaves it.
fn enter(h: &mut Harness<'_, Window>, label: &str, text: &str) {
    let field = |h: &Harness<'_, Window>| h.get_by(|n| n.role() == Role::TextInput && n.label().as_deref() == Some(label)).rect().center();
    let at = field(h);
    h.get_by(|n| n.role() == Role::TextInput && n.label().as_deref() == Some(label)).focus();
    h.run_steps(2);
    press(h, Modifiers::COMMAND, Key::A);
    h.get_by(|n| n.role() == Role::TextInput && n.label().as_deref() == Some(label)).type_text(text);
    h.run_steps(2);
    assert_eq!(field(h), at, "the field stays where it is");
    press(h, Modifiers::NONE, Key::Enter);
}

#[test]
fn the_first_run_opens_the_demo() {
    let mut h = window(Kind::FirstRun, "first-run");
    h.get_by_label("Open the demo store").click();
    h.run_steps(3);
    assert!(has_pushed(&h, &Action::OpenDemo));
    assert_eq!(h.state().model.selected_store.as_deref(), Some(DEMO));
}

#[test]
fn enter_opens_the_selected_store_and_del_asks_by_its_name() {
    let mut h = window(Kind::Empty, "stores");
    h.state_mut().model.act(Action::SelectStore("harbor-pine".into()), crate::sample::TAKEN_AT);
    h.run_steps(2);
    press(&mut h, Modifiers::NONE, Key::Delete);
    assert!(matches!(&h.state().model.dialog, Some(Dialog::DeleteStore { name, .. }) if name == "Harbor & Pine"));
    h.get_by_label("Delete Harbor & Pine?");
    press(&mut h, Modifiers::NONE, Key::Enter);
    assert!(h.state().model.dialog.is_some(), "Enter deletes nothing");
    press(&mut h, Modifiers::NONE, Key::Escape);
    assert_eq!(h.state().model.dialog, None);
    assert!(!h.state().pushed.iter().any(|a| matches!(a, Action::DeleteStore(_))));
    press(&mut h, Modifiers::NONE, Key::Enter);
    assert!(has_pushed(&h, &Action::OpenStore("harbor-pine".into())));
}

#[test]
fn deleting_is_done_by_the_button_that_names_it() {
    let mut h = window(Kind::Empty, "dialog-delete");
    h.get_by_label("Delete store").click();
    h.run_steps(3);
    assert!(has_pushed(&h, &Action::DeleteStore(STORE.into())));
}

#[test]
fn a_step_of_the_overview_opens_its_finding() {
    let mut h = window(Kind::Sample, "overview");
    let (key, step) = {
        let audit = h.state().model.current_audit().expect("the sample's audit");
        let first = audit.plan.steps().nth(1).expect("more than one step");
        (first.key.clone(), first.finding.step.clone())
    };
    h.get_by(|n| n.role() == Role::ListBoxOption && n.label().is_some_and(|l| l.contains(&step))).click();
    h.run_steps(3);
    assert!(has_pushed(&h, &Action::OpenFinding(key.clone())));
    assert_eq!(h.state().model.page, Page::Findings);
    assert_eq!(h.state().model.findings.selected, Some(key));
}

#[test]
fn command_and_a_digit_goes_to_a_page() {
    let mut h = window(Kind::Sample, "stores");
    let pages = [
        (Key::Num2, Page::Overview),
        (Key::Num3, Page::Findings),
        (Key::Num4, Page::Metrics(Layer::Cdn)),
        (Key::Num5, Page::Audits),
        (Key::Num6, Page::Export),
        (Key::Num1, Page::Stores),
        (Key::Comma, Page::Settings),
    ];
    for (key, page) in pages {
        press(&mut h, Modifiers::COMMAND, key);
        assert_eq!(h.state().model.page, page, "{key:?}");
    }
}

#[test]
fn pages_of_an_audit_wait_for_one() {
    let mut h = window(Kind::Empty, "stores");
    for key in [Key::Num2, Key::Num3, Key::Num4, Key::Num6] {
        press(&mut h, Modifiers::COMMAND, key);
        assert_eq!(h.state().model.page, Page::Stores, "{key:?}");
    }
}

#[test]
fn a_question_mark_shows_the_keys_and_esc_closes_them() {
    let mut h = window(Kind::Sample, "overview");
    h.event(eframe::egui::Event::Text("?".into()));
    h.run_steps(3);
    assert_eq!(h.state().model.dialog, Some(Dialog::Keys));
    h.get_by_label("Go to anything");
    press(&mut h, Modifiers::NONE, Key::Escape);
    assert_eq!(h.state().model.dialog, None);
    assert_eq!(h.state().model.page, Page::Overview, "Esc closed the dialog and nothing else");
}

#[test]
fn go_to_finds_a_page() {
    let mut h = window(Kind::Sample, "overview");
    press(&mut h, Modifiers::COMMAND, Key::K);
    assert!(h.get_by_label("Go to").is_focused());
    h.get_by_label("Go to").type_text("metrics redis");
    h.run_steps(3);
    h.get_by_label("Metrics of Redis, page");
    press(&mut h, Modifiers::NONE, Key::Enter);
    assert_eq!(h.state().model.page, Page::Metrics(Layer::Redis));
    assert_eq!(h.state().model.dialog, None);
}

#[test]
fn choosing_a_theme_edits_the_settings() {
    let mut h = window(Kind::Sample, "settings");
    h.get_by_label("Light").click();
    h.run_steps(3);
    assert_eq!(h.state().model.settings.theme, ThemeChoice::Light);
    let settings = h.state().model.settings.clone();
    assert!(has_pushed(&h, &Action::EditSettings(settings)));
}

#[test]
fn a_changed_target_shows_its_default_and_can_be_reset() {
    let mut h = window(Kind::Sample, "settings");
    let defaults = |h: &Harness<'_, Window>| h.query_all_by(|n| n.value().as_deref() == Some("Default 80\u{a0}%")).count();
    assert_eq!(defaults(&h), 0);
    enter(&mut h, "CDN hit ratio, at least", "85");
    assert_eq!(h.state().model.settings.targets, Targets { cdn_hit_ratio_min: 0.85, ..Targets::default() });
    assert_eq!(defaults(&h), 1);
    h.get_by_label("Reset CDN hit ratio, at least").click();
    h.run_steps(3);
    assert_eq!(h.state().model.settings.targets, Targets::default());
}

#[test]
fn a_number_that_cannot_be_taken_keeps_the_old_one_and_says_so() {
    let mut h = window(Kind::Sample, "settings");
    for (text, sentence) in [("3", "From 5 to 1,800; 30 stays."), ("soon", "Not a number; 30 stays.")] {
        enter(&mut h, "Audit window", text);
        h.get_by_label(sentence);
        assert_eq!(h.state().model.settings.limits.window_s, 30);
        assert!(h.state().pushed.is_empty(), "{:?}", h.state().pushed);
    }
    enter(&mut h, "Audit window", "60");
    assert_eq!(h.state().model.settings.limits.window_s, 60);
    assert!(h.query_by_label("Not a number; 30 stays.").is_none());
}

#[test]
fn a_name_is_taken_once_it_is_typed() {
    let mut h = window(Kind::Sample, "settings");
    enter(&mut h, "Your name", "Ada");
    let edits = h.state().pushed.iter().filter(|a| matches!(a, Action::EditSettings(_))).count();
    assert_eq!((h.state().model.settings.user.as_str(), edits), ("Ada", 1));
}

#[test]
fn dismissing_needs_a_reason_and_a_day_that_is_one() {
    let mut h = window(Kind::Sample, "dialog-dismiss");
    let confirm = |h: &Harness<'_, Window>| h.query_all_by_label("Dismiss").filter(|n| n.accesskit_node().is_disabled()).count();
    assert_eq!(confirm(&h), 1, "without a reason it cannot be confirmed");
    press(&mut h, Modifiers::NONE, Key::Enter);
    assert!(!has_pushed(&h, &Action::Dismiss));
    h.state_mut().model.act(Action::Dismiss, crate::sample::TAKEN_AT);
    h.run_steps(2);
    let Some(Dialog::Dismiss { error: Some(error), .. }) = h.state().model.dialog.clone() else { panic!("no error") };
    h.get_by_label(&error);
    enter(&mut h, "Until, as 2027-02-28", "tomorrow");
    enter(&mut h, "Reason", "Known and accepted");
    assert!(has_pushed(&h, &Action::Dismiss), "Enter confirms once there is a reason");
    let Some(Dialog::Dismiss { error: Some(error), .. }) = h.state().model.dialog.clone() else { panic!("no error") };
    h.get_by_label(&error);
}
