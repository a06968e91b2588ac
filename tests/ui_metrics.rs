//! The metrics pages and the comparison by what screen readers get, through AccessKit.

use std::sync::Arc;

use egui_kittest::Harness;
use egui_kittest::kittest::Queryable;
use medusa_advisor::app::{Action, Audit, Event, Model, Page};
use medusa_advisor::evidence::{Cause, Gap, Layer, Section};
use medusa_advisor::ui::theme::{self, ThemeChoice};
use medusa_advisor::ui::{fonts, pages};
use sample::Kind;

#[path = "common/sample.rs"]
mod sample;

struct State {
    model: Model,
    pushed: Vec<Action>,
}

fn harness(model: Model) -> Harness<'static, State> {
    let mut harness = Harness::builder()
        .with_size([1064.0, 800.0])
        .with_context_setup(|ctx| {
            fonts::install(ctx);
            theme::apply(ctx, ThemeChoice::Light);
        })
        .build_ui_state(
            |ui, state: &mut State| {
                let mut actions = Vec::new();
                if state.model.page == Page::Compare {
                    pages::compare::show(ui, &state.model, &mut actions);
                } else {
                    pages::metrics::show(ui, &state.model, &mut actions);
                }
                for action in actions {
                    state.pushed.push(action.clone());
                    state.model.act(action, sample::TAKEN_AT);
                }
            },
            State { model, pushed: Vec::new() },
        );
    harness.run_steps(3);
    harness
}

fn at(layer: Layer) -> Model {
    let mut model = sample::model(Kind::Sample);
    model.page = Page::Metrics(layer);
    model
}

/// Without one section of the evidence.
fn without(layer: Layer, section: Section, gap: Gap) -> Model {
    let mut model = at(layer);
    let mut snapshot = sample::snapshot();
    snapshot.withhold(section, gap);
    let plan = sample::plan(&snapshot);
    let audit = Audit { snapshot, ..sample::audit(plan) };
    model.receive(Event::AuditOpened(Ok(Arc::new(audit))));
    model.page = Page::Metrics(layer);
    model
}

#[test]
fn every_segment_of_every_layer_draws() {
    for (layer, tabs) in [(Layer::Postgres, 5), (Layer::Redis, 4), (Layer::Cdn, 4), (Layer::App, 2)] {
        for tab in 0..tabs {
            let mut model = at(layer);
            model.act(Action::MetricsTab(layer, tab), sample::TAKEN_AT);
            let harness = harness(model);
            let tables = harness.get_all_by_label_contains("Copy table").count();
            assert!(tables > 0, "{} {tab} has no table", layer.name());
        }
    }
}

#[test]
fn a_chart_tells_its_conclusion_and_shows_its_table() {
    let mut harness = harness(at(Layer::Cdn));
    harness.get_by_label_contains("Hit ratio by hour");
    harness.get_by_label("Show as table: Hit ratio").click();
    harness.run_steps(3);
    assert!(harness.query_by_label_contains("Hit ratio by hour").is_none());
    harness.get_by_label("Show as chart: Hit ratio").click();
    harness.run_steps(3);
    harness.get_by_label_contains("Hit ratio by hour");
}

#[test]
fn a_missing_grant_stands_in_place_of_the_table() {
    const GRANT: &str = "grant pg_read_all_stats to medusa_advisor;";
    let gap = Gap::new(Section::PgStatements, Cause::Denied { grant: GRANT.into() }, "pg_stat_statements is not readable by this role.");
    let harness = harness(without(Layer::Postgres, Section::PgStatements, gap));
    assert!(harness.query_all(egui_kittest::kittest::by().value(GRANT)).count() > 0, "the exact grant stands there");
    harness.get_by_label_contains("Database time – not measured");
    assert!(harness.query_by_label_contains("Database time 0").is_none(), "unknown is not zero");
}

#[test]
fn a_row_opens_its_finding() {
    let mut harness = harness(at(Layer::Redis));
    let link = harness.get_all_by_label_contains("Open finding").next().expect("a command has a finding");
    link.click();
    harness.run_steps(3);
    assert!(harness.state().pushed.iter().any(|a| matches!(a, Action::OpenFinding(_))));
    assert_eq!(harness.state().model.page, Page::Findings);
}

#[test]
fn a_header_sorts_the_table() {
    let mut harness = harness(at(Layer::Postgres));
    harness.get_by_label("Calls").click();
    harness.run_steps(3);
    harness.get_by_label("Calls, sorted descending").click();
    harness.run_steps(3);
    harness.get_by_label("Calls, sorted ascending");
}

#[test]
fn the_base_switches_between_window_and_reset() {
    let mut harness = harness(at(Layer::Postgres));
    harness.get_by_label_contains("Since ").click();
    harness.run_steps(3);
    assert!(harness.state().model.metrics.since_reset);
}

#[test]
fn the_comparison_lists_what_became_of_each_finding() {
    let mut model = sample::model(Kind::Sample);
    sample::pages::open(&mut model, "compare");
    let harness = harness(model);
    for group in ["Resolved, ", "New, ", "Worse, ", "Still open, "] {
        harness.get_by_label_contains(group);
    }
    harness.get_by_label_contains("Postgres score ");
}
