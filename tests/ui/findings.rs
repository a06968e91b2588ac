//! The page of findings by what keyboard and screen readers get, through AccessKit.

use std::sync::Arc;

use crate::sample::Kind;
use eframe::egui::accesskit::Toggled;
use eframe::egui::{Key, Role};
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT, Queryable};
use medusa_advisor::app::recheck::{Rechecked, Verdict};
use medusa_advisor::app::{Action, Dialog, Effect, Event, FindingsTab, GroupBy, Model, Page};
use medusa_advisor::checks::Judged;
use medusa_advisor::finding::{Outcome, Subject};
use medusa_advisor::plan;
use medusa_advisor::ui::theme::{self, ThemeChoice};
use medusa_advisor::ui::{fonts, pages};

struct State {
    model: Model,
    pushed: Vec<Action>,
    effects: Vec<Effect>,
}

impl State {
    fn selected(&self) -> Option<&str> {
        self.model.findings.selected.as_deref()
    }
}

fn harness(mut model: Model) -> Harness<'static, State> {
    model.page = Page::Findings;
    let mut harness = Harness::builder()
        .with_size([1064.0, 800.0])
        .with_context_setup(|ctx| {
            fonts::install(ctx);
            theme::apply(ctx, ThemeChoice::Dark);
        })
        .build_ui_state(
            |ui, state: &mut State| {
                let mut actions = Vec::new();
                pages::findings::show(ui, &state.model, &mut actions);
                for action in actions {
                    state.pushed.push(action.clone());
                    let effects = state.model.act(action, crate::sample::TAKEN_AT);
                    state.effects.extend(effects);
                }
            },
            State { model, pushed: Vec::new(), effects: Vec::new() },
        );
    harness.run_steps(3);
    harness
}

fn sample_harness() -> Harness<'static, State> {
    harness(crate::sample::model(Kind::Sample))
}

fn keys(harness: &Harness<'_, State>) -> Vec<String> {
    harness.state().model.listed_findings().iter().map(|r| r.key.clone()).collect()
}

fn has_heading(harness: &Harness<'_, State>, start: &str) -> bool {
    harness.query_all_by(|node| node.role() == Role::Heading && node.label().is_some_and(|l| l.starts_with(start))).count() > 0
}

#[test]
fn a_finding_is_selected_by_its_name() {
    let mut harness = sample_harness();
    let second = harness.state().model.listed_findings()[1].key.clone();
    let row = harness.get_by(|node| node.role() == Role::ListBoxOption && node.label().is_some_and(|l| l.starts_with("2, Critical, Redis")));
    row.click();
    harness.run_steps(3);
    assert_eq!(harness.state().selected(), Some(second.as_str()));
    let row = harness.get_by(|node| node.role() == Role::ListBoxOption && node.label().is_some_and(|l| l.starts_with("2, Critical, Redis")));
    assert_eq!(row.accesskit_node().toggled(), Some(Toggled::True));
}

#[test]
fn j_and_k_walk_the_list_and_stop_at_its_ends() {
    let mut harness = sample_harness();
    let keys = keys(&harness);
    for (key, wanted) in [(Key::J, 1), (Key::J, 2), (Key::ArrowDown, 3), (Key::K, 2), (Key::ArrowUp, 1), (Key::K, 0), (Key::K, 0)] {
        harness.key_press(key);
        harness.run_steps(2);
        assert_eq!(harness.state().selected(), Some(keys[wanted].as_str()), "after {key:?}");
    }
}

#[test]
fn j_follows_the_groups() {
    let mut harness = sample_harness();
    harness.state_mut().model.act(Action::GroupFindings(GroupBy::Layer), crate::sample::TAKEN_AT);
    harness.run_steps(2);
    harness.key_press(Key::J);
    harness.run_steps(2);
    let model = &harness.state().model;
    let layer = |key: &str| model.listed_findings().iter().find(|r| r.key == key).map(|r| r.check.layer.name());
    assert_eq!(model.findings.selected.as_deref().and_then(layer), Some("CDN"), "the first group is the CDN's");
    assert!(has_heading(&harness, "Postgres, "));
}

#[test]
fn letters_go_to_the_search_while_it_has_the_focus() {
    let mut harness = sample_harness();
    harness.key_press(Key::Slash);
    harness.run_steps(3);
    assert!(harness.get_by_label("Search findings").is_focused());
    harness.get_by_label("Search findings").type_text("KEYS");
    harness.key_press(Key::J);
    harness.run_steps(3);
    assert_eq!(harness.state().selected(), None, "J is a letter here");
    assert_eq!(harness.state().model.findings.search, "KEYS");
    let listed = harness.state().model.listed_findings().len();
    assert!((1..14).contains(&listed), "{listed}");
    harness.get_by_value(&format!("{listed} of {listed} shown"));
}

#[test]
fn a_search_without_a_match_offers_to_clear_it() {
    let mut harness = sample_harness();
    harness.state_mut().model.act(Action::SearchFindings("no such words".into()), crate::sample::TAKEN_AT);
    harness.run_steps(2);
    harness.get_by_label("Clear").click();
    harness.run_steps(2);
    assert_eq!(harness.state().model.listed_findings().len(), 14);
}

#[test]
fn dismissing_asks_for_a_reason() {
    let mut harness = sample_harness();
    harness.get_by_label("Dismiss").click();
    harness.run_steps(2);
    let first = keys(&harness)[0].clone();
    assert!(harness.state().pushed.contains(&Action::AskDismiss(first.clone())));
    assert!(matches!(&harness.state().model.dialog, Some(Dialog::Dismiss { key, .. }) if *key == first));
    harness.key_press(Key::J);
    harness.run_steps(2);
    assert_eq!(harness.state().selected(), None, "the page is deaf while a dialog is open");
}

#[test]
fn a_dismissed_finding_can_be_restored() {
    let mut model = crate::sample::model(Kind::Sample);
    let snapshot = crate::sample::snapshot();
    let key = model.listed_findings()[0].key.clone();
    let until = crate::sample::TAKEN_AT.date().saturating_add(time::Duration::days(30));
    let dismissal = plan::Dismissal { key: key.clone(), reason: "Known".into(), by: "An engineer".into(), until };
    let plan = plan::from_outcomes(&snapshot, crate::sample::findings::judged(), &[dismissal]);
    model.receive(Event::AuditOpened(Ok(Arc::new(crate::sample::audit(plan)))));
    let mut harness = harness(model);
    harness.get_by_label("Dismissed 1").click();
    harness.run_steps(3);
    assert_eq!(harness.state().model.findings.tab, FindingsTab::Dismissed);
    harness.get_by_label("Restore").click();
    harness.run_steps(2);
    assert!(harness.state().pushed.contains(&Action::Restore(key)));
}

#[test]
fn the_tabs_are_four_lists() {
    let mut harness = sample_harness();
    harness.get_by_label_contains("Passed ").click();
    harness.run_steps(3);
    assert_eq!(harness.state().model.findings.tab, FindingsTab::Passed);
    assert!(has_heading(&harness, "Redis, "), "passed checks stand under their layer");
    harness.get_by_label_contains("Not checked 3").click();
    harness.run_steps(3);
    assert_eq!(harness.state().model.findings.tab, FindingsTab::NotChecked);
    let grant = harness.query_all(egui_kittest::kittest::by().value("grant pg_read_all_stats to medusa_advisor;")).count();
    assert!(grant > 0, "the exact grant stands in its card");
    harness.get_by_label("Table bloat");
}

#[test]
fn many_findings_of_one_check_are_counted_after_twenty() {
    let mut model = crate::sample::model(Kind::Sample);
    let snapshot = crate::sample::snapshot();
    let judged = crate::sample::findings::judged().into_iter().take(1).map(|j| {
        let Outcome::Failed(found) = &j.outcome else { panic!("the first sample check fails") };
        let many = (0..432).map(|i| {
            let mut finding = found[0].clone();
            finding.subject = Subject::new("table", format!("public.table_{i:03}"));
            finding
        });
        Judged { check: j.check, outcome: Outcome::Failed(many.collect()) }
    });
    let plan = plan::from_outcomes(&snapshot, judged.collect(), &[]);
    model.receive(Event::AuditOpened(Ok(Arc::new(crate::sample::audit(plan)))));
    let mut harness = harness(model);
    harness.get_by_value("20 of 432 shown");
    // Tall enough for twenty rows and the one that counts the rest.
    harness.set_size(eframe::egui::vec2(1064.0, 1400.0));
    harness.run_steps(3);
    harness.get_by_label("and 412 more").click();
    harness.run_steps(3);
    harness.get_by_value("432 of 432 shown");
}

#[test]
fn nothing_to_do_is_a_result() {
    let mut harness = harness(crate::sample::model(Kind::Healthy));
    harness.get_by_label_contains("Nothing to do. ");
    harness.get_by_label("See what was not checked").click();
    harness.run_steps(2);
    assert_eq!(harness.state().model.findings.tab, FindingsTab::NotChecked);
}

#[test]
fn c_copies_the_fix_and_m_opens_the_metric() {
    let mut harness = sample_harness();
    let fix = harness.state().model.listed_findings()[0].finding.remedies[0].text.clone();
    harness.key_press(Key::C);
    harness.run_steps(2);
    assert!(harness.state().pushed.contains(&Action::Copy { text: fix, what: "Fix".into() }));
    harness.key_press(Key::M);
    harness.run_steps(2);
    assert!(matches!(harness.state().model.page, Page::Metrics(medusa_advisor::evidence::Layer::Postgres)));
}

/// Presses V on the first finding; its key and the id of the run that began.
fn check_again(harness: &mut Harness<'_, State>) -> (String, u64) {
    harness.key_press(Key::V);
    harness.run_steps(3);
    let effect = harness.state_mut().effects.pop();
    let Some(Effect::CheckAgain { run, key, profile, audit, .. }) = effect else { panic!("nothing began: {effect:?}") };
    assert_eq!(profile.limits.window_s, 10, "a short window");
    assert!(profile.redis.is_empty() && profile.postgres.is_some(), "only what the check reads");
    assert!(audit.plan.find(&key).is_some());
    (key, run)
}

fn end(harness: &mut Harness<'_, State>, key: &str, run: u64, verdict: Verdict) {
    let rechecked = Rechecked { at: crate::sample::TAKEN_AT, window_s: 10.0, verdict, caution: Some("There was less load.".into()) };
    harness.state_mut().model.receive(Event::CheckedAgain { run, key: key.to_owned(), result: Ok(rechecked) });
    harness.run_steps(3);
}

#[test]
fn checking_again_shows_before_and_after_in_place() {
    let mut harness = sample_harness();
    let (key, run) = check_again(&mut harness);
    harness.get_by_label("Cancel the check");
    assert_eq!(harness.state().model.recheck_blocked(), Some("Another finding is being checked"));
    let mut now = harness.state().model.listed_findings()[0].finding.clone();
    let before = now.observed.clone();
    now.observed = "12 calls of 40 ms.".into();
    end(&mut harness, &key, run, Verdict::StillThere(Box::new(now)));
    harness.get_by_label(&format!("Still there. Before: {before} After: 12 calls of 40 ms."));
    harness.get_by_label("But: There was less load.");
    let row = harness.get_by(|n| n.role() == Role::ListBoxOption && n.label().is_some_and(|l| l.starts_with("1, ") && l.ends_with("still there")));
    assert!(row.accesskit_node().toggled().is_some());
}

#[test]
fn a_finding_that_is_gone_stays_in_the_audit() {
    let mut harness = sample_harness();
    let audit = harness.state().model.current_audit().map(Arc::clone);
    let (key, run) = check_again(&mut harness);
    end(&mut harness, &key, run, Verdict::Gone("Nothing of the kind was seen in the window.".into()));
    harness.get_by_label_contains("Gone. Before: 606 calls");
    assert_eq!(harness.state().model.listed_findings().len(), 14);
    assert!(Arc::ptr_eq(&audit.unwrap(), harness.state().model.current_audit().unwrap()), "the audit is not touched");
    assert_eq!(harness.state().model.recheck_blocked(), None);
}

#[test]
fn nothing_is_lost_when_checking_again_fails() {
    let mut harness = sample_harness();
    let (key, run) = check_again(&mut harness);
    end(&mut harness, &key, run, Verdict::CannotTell("The host did not answer.".into()));
    harness.get_by_label_contains("Cannot tell. Before: 606 calls");
    let (key, run) = check_again(&mut harness);
    harness.state_mut().model.receive(Event::CheckedAgain { run, key, result: Err("The disk is full.".into()) });
    harness.run_steps(3);
    harness.get_by_label_contains("Cannot tell. Before: 606 calls");
    assert!(harness.state().model.toasts.last().is_some_and(|t| t.is_error && t.action.is_some()));
}

#[test]
fn what_was_cancelled_says_nothing_later() {
    let mut harness = sample_harness();
    let (key, run) = check_again(&mut harness);
    harness.get_by_label("Cancel the check").click();
    harness.run_steps(3);
    assert!(matches!(harness.state_mut().effects.pop(), Some(Effect::CancelAudit)));
    end(&mut harness, &key, run, Verdict::Gone("Late.".into()));
    assert!(harness.query_by_label_contains("Gone. Before").is_none());
}

#[test]
fn a_recorded_store_cannot_be_checked_again() {
    let mut model = crate::sample::model(Kind::Sample);
    let audit = medusa_advisor::app::Audit { store: Some("demo".into()), ..crate::sample::audit(crate::sample::plan(&crate::sample::snapshot())) };
    model.receive(Event::AuditOpened(Ok(Arc::new(audit))));
    let harness = harness(model);
    assert!(harness.get_by_label("Check again").accesskit_node().is_disabled());
}
