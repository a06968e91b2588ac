//! The Connect page by its labels and keys, as a keyboard or a screen reader uses it.

use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT, Queryable};
use medusa_advisor::app::message::Service;
use medusa_advisor::app::wizard::WizardStep;
use medusa_advisor::app::{Action, Effect, Event, Model, Page, Settings, StoreEntry};
use medusa_advisor::connect::profile::KeepSecrets;
use medusa_advisor::connect::steps::{Capability, CapabilityState, StepState, TestReport, TestStep};
use medusa_advisor::ui::theme::ThemeChoice;
use medusa_advisor::ui::{fonts, shell, theme};

use eframe::egui::{self, Key, Modifiers};
use egui::accesskit::Role;

struct Window {
    model: Model,
    effects: Vec<Effect>,
}

fn window(has_keychain: bool) -> Harness<'static, Window> {
    let mut model = Model::new(Settings::default(), has_keychain, String::new());
    model.act(Action::NewStore, time::OffsetDateTime::now_utc());
    Harness::builder()
        .with_size([1280.0, 800.0])
        .with_context_setup(|ctx| {
            fonts::install(ctx);
            theme::apply(ctx, ThemeChoice::Dark);
        })
        .build_ui_state(
            |ui, window: &mut Window| {
                let mut actions = Vec::new();
                shell::show(ui, &window.model, &mut actions);
                for action in actions {
                    let effects = window.model.act(action, time::OffsetDateTime::now_utc());
                    window.effects.extend(effects);
                    ui.ctx().request_repaint();
                }
            },
            Window { model, effects: Vec::new() },
        )
}

/// Steps instead of a run to the end: a spinner never ends.
fn settle(h: &mut Harness<'_, Window>) {
    h.run_steps(4);
}

fn fill(h: &mut Harness<'_, Window>, label: &str, text: &str) {
    h.get_by_label(label).focus();
    settle(h);
    for c in text.chars() {
        h.get_by_label(label).type_text(&c.to_string());
        settle(h);
    }
}

fn press(h: &mut Harness<'_, Window>, modifiers: Modifiers, key: Key) {
    h.key_press_modifiers(modifiers, key);
    settle(h);
}

fn step(h: &Harness<'_, Window>) -> WizardStep {
    h.state().model.wizard.as_ref().unwrap().step
}

fn done(name: &str, ms: f64) -> TestStep {
    TestStep { name: name.into(), detail: String::new(), ms: Some(ms), state: StepState::Done }
}

#[test]
fn a_store_is_set_up_tested_and_audited_by_keyboard() {
    let mut h = window(true);
    settle(&mut h);
    fill(&mut h, "Name", "Example Shop");
    press(&mut h, Modifiers::ALT, Key::ArrowRight);
    assert_eq!(step(&h), WizardStep::Postgres);

    // Typed letter by letter: the model's own form of the address must not come under the cursor.
    fill(&mut h, "Connection URL", "postgres://advisor:hunter2@db.example.com/medusa");
    let pg = &h.state().model.wizard.as_ref().unwrap().postgres;
    assert_eq!((pg.host.as_str(), pg.database.as_str(), pg.password.expose().as_str()), ("db.example.com", "medusa", "hunter2"));
    h.get_by_label("Host").focus();
    settle(&mut h);
    assert_eq!(h.get_by_label("Connection URL").value().as_deref(), Some("postgres://advisor@db.example.com:5432/medusa"));

    press(&mut h, Modifiers::COMMAND, Key::Enter);
    let Some(Effect::Test { service, run, secrets, .. }) = h.state_mut().effects.pop() else { panic!("no test began") };
    assert_eq!((service, secrets.postgres_password.unwrap().expose().as_str()), (Service::Postgres, "hunter2"));
    h.state_mut().model.receive(Event::TestStep { run, step: done("Name resolved", 2.0) });
    settle(&mut h);
    h.get_by_label("Name resolved, done, 2\u{a0}ms");
    h.get_by_label("Signed in, not run");
    let missing = CapabilityState::Missing { grant: "grant pg_monitor to advisor;".into() };
    let capabilities = vec![Capability { name: "Column statistics".into(), detail: "pg_stats shows no rows".into(), state: missing }];
    h.state_mut()
        .model
        .receive(Event::TestDone { run, report: TestReport { steps: vec![done("Name resolved", 2.0), done("Signed in", 59.0)], capabilities } });
    settle(&mut h);
    h.get_by_label("Connected in 61\u{a0}ms");
    h.get_by_label("Column statistics, not seen, pg_stats shows no rows");
    h.get_by_label("Postgres, tested, 1\u{a0}gap");

    // A gap never blocks.
    h.get_by_label("Continue to Redis").click();
    settle(&mut h);
    h.get_by_label("Skip").click();
    settle(&mut h);
    press(&mut h, Modifiers::ALT, Key::ArrowRight);
    assert_eq!(step(&h), WizardStep::Shop);
    press(&mut h, Modifiers::ALT, Key::ArrowLeft);
    assert_eq!(step(&h), WizardStep::Cdn);
    press(&mut h, Modifiers::ALT, Key::ArrowRight);
    h.get_by_label("Save and run audit").click();
    settle(&mut h);
    let effects = &h.state().effects;
    assert!(effects.iter().any(|e| matches!(e, Effect::SaveStore { profile, .. } if profile.name == "Example Shop")), "{effects:?}");
    assert!(effects.iter().any(|e| matches!(e, Effect::StartAudit { .. })));
    assert!(!format!("{effects:?}").contains("hunter2"));
    assert_eq!(h.state().model.page, Page::Audit);
}

#[test]
fn the_first_failure_opens_its_sentence_and_the_rest_is_not_run() {
    const SENTENCE: &str = "Password refused for advisor on db.example.com. Type it again.";
    let mut h = window(true);
    settle(&mut h);
    h.event(egui::Event::Paste("postgres://advisor@db.example.com/medusa".into()));
    settle(&mut h);
    h.get_by_role_and_label(Role::Tab, "Postgres, not tested").click();
    settle(&mut h);
    h.get_by_role_and_label(Role::Button, "Test").click();
    settle(&mut h);
    let Some(Effect::Test { run, .. }) = h.state_mut().effects.pop() else { panic!("no test began") };
    let failed = TestStep { name: "Signed in".into(), detail: String::new(), ms: Some(9.0), state: StepState::Failed(SENTENCE.into()) };
    let not_run = TestStep { name: "Medusa".into(), detail: String::new(), ms: None, state: StepState::NotRun };
    let report = TestReport { steps: vec![done("Name resolved", 2.0), failed, not_run], capabilities: Vec::new() };
    h.state_mut().model.receive(Event::TestDone { run, report });
    settle(&mut h);
    h.get_by_label(SENTENCE);
    h.get_by_label("Medusa, not run");
    h.get_by_role_and_label(Role::Tab, "Postgres, test failed");
    assert!(h.query_by_label_contains("Connected in").is_none());
    // What is edited is no longer what was tested.
    fill(&mut h, "Password", "x");
    assert!(h.query_by_label(SENTENCE).is_none());
    h.get_by_role_and_label(Role::Tab, "Postgres, not tested");
}

#[test]
fn lines_of_an_env_file_fill_every_service() {
    let mut h = window(true);
    settle(&mut h);
    let lines = "DATABASE_URL=postgres://u:secret1@h/d\nREDIS_URL=redis://:secret2@r:6379\nCACHE_REDIS_URL=redis://c:6379\nMEDUSA_BACKEND_URL=https://api.example.com";
    h.event(egui::Event::Paste(lines.into()));
    settle(&mut h);
    for label in ["Postgres, not tested", "Redis, not tested", "Storefront and API, not tested", "CDN, not set up"] {
        h.get_by_role_and_label(Role::Tab, label);
    }
    h.get_by_role_and_label(Role::Tab, "Redis, not tested").click();
    settle(&mut h);
    assert_eq!(h.get_by_label("Connection URL 2").value().as_deref(), Some("redis://c:6379/0"));
    h.get_by_label("TLS 2").click();
    settle(&mut h);
    assert_eq!(h.get_by_label("Connection URL 2").value().as_deref(), Some("rediss://c:6379/0"));
    h.get_by_label("Remove instance 2").click();
    settle(&mut h);
    assert!(h.query_by_label("TLS 2").is_none());
}

#[test]
fn a_secret_is_masked_until_the_eye_is_pressed() {
    let mut h = window(true);
    settle(&mut h);
    h.get_by_role_and_label(Role::Tab, "CDN, not set up").click();
    settle(&mut h);
    fill(&mut h, "API token", "tok123");
    assert!(h.get_by_label("API token").accesskit_node().role() == Role::PasswordInput);
    h.get_by_label("Show API token").click();
    settle(&mut h);
    assert_eq!(h.get_by_label("API token").value().as_deref(), Some("tok123"));
}

#[test]
fn without_a_keychain_it_cannot_be_chosen() {
    let mut h = window(false);
    settle(&mut h);
    h.get_by_role_and_label(Role::Tab, "Postgres, not set up").click();
    settle(&mut h);
    assert!(h.get_by_label("Keychain").accesskit_node().is_disabled());
    h.get_by_label("Keychain").click();
    settle(&mut h);
    assert_eq!(h.state().model.wizard.as_ref().unwrap().keep, KeepSecrets::AskEachTime);
    h.get_by_label("Environment").click();
    settle(&mut h);
    assert_eq!(h.state().model.wizard.as_ref().unwrap().keep, KeepSecrets::Environment);
}

#[test]
fn a_limit_is_typed_without_being_corrected_under_the_cursor() {
    let mut h = window(true);
    settle(&mut h);
    h.get_by_label_contains("Limits, window").click();
    settle(&mut h);
    h.get_by_label_contains("Observation window").focus();
    settle(&mut h);
    press(&mut h, Modifiers::COMMAND, Key::A);
    for c in ["1", "2", "0"] {
        h.get_by_label_contains("Observation window").type_text(c);
        settle(&mut h);
    }
    assert_eq!(h.state().model.wizard.as_ref().unwrap().limits.window_s, 120);
}

/// Saved where there was a keychain, edited where there is none.
#[test]
fn a_store_of_the_keychain_is_edited_where_there_is_none() {
    let mut h = window(true);
    settle(&mut h);
    fill(&mut h, "Name", "Example Shop");
    let now = time::OffsetDateTime::now_utc();
    let profile = h.state().model.wizard.as_ref().unwrap().profile("example").unwrap();
    let entry = StoreEntry { profile, audits: Vec::new() };
    let model = &mut h.state_mut().model;
    model.receive(Event::Stores(Ok(vec![entry])));
    model.receive(Event::KeychainFound(false));
    model.act(Action::EditStore("example".into()), now);
    settle(&mut h);
    press(&mut h, Modifiers::ALT, Key::ArrowRight);
    assert_eq!(step(&h), WizardStep::Postgres);
    h.get_by_label("No keychain on this system: choose another.");

    // What is chosen and cannot be must not hold the focus.
    fill(&mut h, "Connection URL", "postgres://advisor@db.example.com/medusa");
    fill(&mut h, "Password", "hunter2");
    assert_eq!(h.state().model.wizard.as_ref().unwrap().postgres.password.expose(), "hunter2");

    // The first that can be chosen is the tab stop: Space takes it, the arrow goes on.
    h.get_by_label("Ask each time").focus();
    settle(&mut h);
    press(&mut h, Modifiers::NONE, Key::Space);
    assert_eq!(h.state().model.wizard.as_ref().unwrap().keep, KeepSecrets::AskEachTime);
    press(&mut h, Modifiers::NONE, Key::ArrowLeft);
    assert_eq!(h.state().model.wizard.as_ref().unwrap().keep, KeepSecrets::AskEachTime, "a blocked choice is not entered");
    press(&mut h, Modifiers::NONE, Key::ArrowRight);
    assert_eq!(h.state().model.wizard.as_ref().unwrap().keep, KeepSecrets::Environment);
}
