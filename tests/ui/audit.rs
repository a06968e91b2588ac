//! The Audit and Export pages by their labels.

use std::path::PathBuf;

use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT, Queryable};
use medusa_advisor::app::files::Document;
use medusa_advisor::app::message::{ReportFormat, RunNote};
use medusa_advisor::app::{Dialog, Effect, Event, Model, Phase};
use medusa_advisor::evidence::Layer;
use medusa_advisor::ui::theme::ThemeChoice;
use medusa_advisor::ui::{fonts, shell, theme};
use time::{Duration, OffsetDateTime};

struct Window {
    model: Model,
    effects: Vec<Effect>,
}

fn window(page: &str) -> Harness<'static, Window> {
    let mut model = crate::sample::model(crate::sample::Kind::Sample);
    crate::sample::pages::open(&mut model, page);
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
                    let effects = window.model.act(action, OffsetDateTime::now_utc());
                    window.effects.extend(effects);
                    ui.ctx().request_repaint();
                }
            },
            Window { model, effects: Vec::new() },
        )
}

fn click(h: &mut Harness<'_, Window>, label: &str) {
    h.get_by_label(label).click();
    h.run_steps(4);
}

#[test]
fn a_short_run_is_cancelled_at_once_and_a_long_one_asks() {
    let mut h = window("audit");
    h.run_steps(3);
    click(&mut h, "Cancel");
    assert!(h.state().effects.iter().any(|e| matches!(e, Effect::CancelAudit)));
    assert!(h.get_by_label("Cancelling").accesskit_node().is_disabled());

    let mut h = window("audit");
    h.state_mut().model.running.as_mut().unwrap().started_at -= Duration::minutes(5);
    h.run_steps(3);
    h.get_by_label("Cancel").click();
    h.run_steps(1);
    h.run_steps(1);
    assert!(h.state().effects.is_empty());
    assert_eq!(h.state().model.dialog, Some(Dialog::CancelAudit));
}

#[test]
fn the_window_is_extended_while_it_runs() {
    let mut h = window("audit");
    h.run_steps(3);
    click(&mut h, "Extend to 5 min");
    assert!(h.state().effects.iter().any(|e| matches!(e, Effect::ExtendWindow(300))));
    assert!(h.query_by_label("Extend to 5 min").is_none());
    h.get_by_label_contains("of 5\u{a0}min");
}

#[test]
fn a_failed_layer_keeps_its_row_with_the_reason() {
    const REASON: &str = "db.example.com:5432 did not answer within 10 s.";
    let mut h = window("audit");
    let run = h.state().model.running.as_ref().unwrap().run;
    let note = RunNote::LayerDone { layer: Layer::Postgres, failed: Some(REASON.to_owned()) };
    h.state_mut().model.receive(Event::Note { run, note });
    h.run_steps(3);
    h.get_by_label_contains(REASON);
    h.get_by_label_contains("Redis, Sampling keys");
    assert_eq!(h.state().model.running.as_ref().unwrap().phase, Phase::Observe);
}

#[test]
fn a_measure_that_did_not_come_is_not_measured() {
    let mut h = window("audit");
    h.state_mut().model.running.as_mut().unwrap().live.retain(|(id, _)| *id != "redis.hit_rate");
    h.run_steps(3);
    h.get_by_label("Redis product data hit rate, not measured yet");
    h.get_by_label_contains("Database time, s per s");
}

#[test]
fn formats_and_sections_are_chosen_and_not_checked_stays() {
    let mut h = window("export");
    h.run_steps(3);
    h.get_by_label("Save 2\u{a0}files");
    click(&mut h, "JSON");
    h.get_by_label("Save 3\u{a0}files");
    click(&mut h, "Charts");
    assert!(!h.state().model.export.choice.charts);
    assert!(h.state().effects.iter().any(|e| matches!(e, Effect::Preview { choice, .. } if !choice.charts)));
    assert!(h.get_by_label("Not checked, and why").accesskit_node().is_disabled());
    click(&mut h, "Mask host names");
    click(&mut h, "Save 3\u{a0}files");
    let saved =
        h.state().effects.iter().find_map(|e| {
            if let Effect::Save(Document::Report { choice, formats, .. }) = e { Some((choice.clone(), formats.clone())) } else { None }
        });
    let (choice, formats) = saved.expect("saving was asked for");
    assert!(choice.mask_hosts && !choice.charts);
    assert_eq!(formats, [ReportFormat::Pdf, ReportFormat::Markdown, ReportFormat::Json]);
}

#[test]
fn a_failed_save_keeps_every_choice_and_a_good_one_offers_the_file() {
    let mut h = window("export");
    h.run_steps(3);
    click(&mut h, "Charts");
    click(&mut h, "Save 2\u{a0}files");
    let before = h.state().model.export.choice.clone();
    h.state_mut().model.receive(Event::ReportSaved(Some(Err("The disk of /reports is full.".to_owned()))));
    h.run_steps(3);
    h.get_by_label("Report not saved. The disk of /reports is full.");
    assert_eq!(h.state().model.export.choice, before);
    h.state_mut().model.receive(Event::ReportSaved(Some(Ok(vec![PathBuf::from("/reports/a.pdf")]))));
    h.run_steps(3);
    click(&mut h, "Show in folder");
    assert!(h.state().effects.iter().any(|e| matches!(e, Effect::ShowInFolder(p) if p.ends_with("a.pdf"))));
}

#[test]
fn pages_of_the_preview_are_turned() {
    let mut h = window("export");
    h.run_steps(3);
    h.get_by_label_contains("page 1 and 2 of");
    click(&mut h, "Next page");
    h.get_by_label_contains("page 3 and 4 of");
    click(&mut h, "Show page 1");
    h.get_by_label_contains("page 1 and 2 of");
}
