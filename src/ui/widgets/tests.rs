//! What keyboard and screen readers get, through AccessKit.

use egui::accesskit::Toggled;
use egui::{Key, Ui};
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT, Queryable};

use super::*;
use crate::ui::icons;
use crate::ui::theme::{ThemeChoice, apply};

fn harness<'a, S>(app: impl FnMut(&mut Ui, &mut S) + 'a, state: S) -> Harness<'a, S> {
    Harness::builder()
        .with_size([640.0, 480.0])
        .with_context_setup(|ctx| {
            crate::ui::fonts::install(ctx);
            apply(ctx, ThemeChoice::Dark);
        })
        .build_ui_state(app, state)
}

#[test]
fn a_button_counts_its_clicks_and_a_blocked_one_does_not() {
    let mut harness = harness(
        |ui, clicks: &mut (u32, u32)| {
            clicks.0 += u32::from(button(ui, Kind::Primary, icons::PLAY, "Run audit").clicked());
            let blocked = Button::new(Kind::Secondary, "Export").blocked(Some("No audit yet"));
            clicks.1 += u32::from(blocked.show(ui).clicked());
        },
        (0, 0),
    );
    harness.get_by_label("Run audit").click();
    harness.run();
    assert!(harness.get_by_label("Export").accesskit_node().is_disabled());
    harness.get_by_label("Export").click();
    harness.run();
    assert_eq!(*harness.state(), (1, 0));
}

#[test]
fn segments_move_by_arrow_keys_and_stop_at_the_ends() {
    let mut harness = harness(
        |ui, active: &mut usize| {
            let words = ["Window", "Since reset", "All"];
            segments(ui, "Base", &words, active, SegmentSize::Normal);
        },
        0,
    );
    harness.get_by_label("Window").focus();
    harness.run();
    for (key, wanted) in [(Key::ArrowRight, 1), (Key::ArrowRight, 2), (Key::ArrowRight, 2), (Key::ArrowLeft, 1)] {
        harness.key_press(key);
        harness.run();
        assert_eq!(*harness.state(), wanted, "after {key:?}");
    }
    let active = harness.get_by_label("Since reset");
    assert!(active.is_focused());
    assert_eq!(active.accesskit_node().toggled(), Some(Toggled::True));
}

#[test]
fn a_field_shows_its_error_and_takes_text() {
    const ERROR: &str = "Host not found. Check the spelling or the tunnel.";
    let mut harness = harness(
        |ui, host: &mut String| {
            let error = (host != "db").then_some(ERROR);
            Field::new("Host", host).error(error).show(ui);
        },
        String::new(),
    );
    harness.run();
    assert!(harness.query_by_value(ERROR).is_some(), "the sentence is under the box");
    harness.get_by_label("Host").focus();
    harness.run();
    harness.get_by_label("Host").type_text("db");
    harness.run();
    assert_eq!(harness.state(), "db");
    assert!(harness.query_by_value(ERROR).is_none());
}

fn dialog(destructive: bool) -> Harness<'static, Option<Answer>> {
    harness(
        move |ui, answer: &mut Option<Answer>| {
            if answer.is_some() {
                return;
            }
            let dialog = Dialog {
                title: "Dismiss this finding",
                sentence: "It leaves the list and the ranking. The report still names it.",
                confirm: "Dismiss",
                destructive,
                blocked: None,
                is_notice: false,
            };
            *answer = dialog.show(ui.ctx(), "dismiss", |_| {});
        },
        None,
    )
}

#[test]
fn esc_cancels_a_dialog_and_enter_confirms_it() {
    let mut cancelled = dialog(false);
    cancelled.run();
    assert!(cancelled.query_by_label("Dismiss").is_some());
    cancelled.key_press(Key::Escape);
    cancelled.run();
    assert_eq!(*cancelled.state(), Some(Answer::Cancelled));
    let mut confirmed = dialog(false);
    confirmed.run();
    confirmed.key_press(Key::Enter);
    confirmed.run();
    assert_eq!(*confirmed.state(), Some(Answer::Confirmed));
}

#[test]
fn enter_does_not_confirm_what_destroys() {
    let mut harness = dialog(true);
    harness.run();
    harness.key_press(Key::Enter);
    harness.run();
    assert_eq!(*harness.state(), None);
    harness.get_by_label("Dismiss").click();
    harness.run();
    assert_eq!(*harness.state(), Some(Answer::Confirmed));
}

const ROW: FindingRow<'static> = FindingRow {
    rank: Some(1),
    level: Level::High,
    layer: LayerHue::Postgres,
    title: "Statements scan a table for lack of an index",
    subject: "public.image(product_id)",
    gain: "−96\u{a0}% database time",
};

#[test]
fn a_finding_row_reads_as_one_sentence() {
    let mut harness = harness(
        |ui, selected: &mut Option<usize>| {
            row_list(ui, "findings", 1, 52.0, selected, |ui, _, response, on| {
                finding_row(ui, response, ROW, on);
            });
        },
        None,
    );
    harness
        .get_by_label(
            "1, High, Postgres, Statements scan a table for lack of an index, \
             public.image(product_id), minus 96 percent database time",
        )
        .click();
    harness.run();
    assert_eq!(*harness.state(), Some(0));
}

#[test]
fn arrows_move_through_a_list_beyond_what_is_drawn() {
    let mut harness = harness(
        |ui, selected: &mut Option<usize>| {
            row_list(ui, "findings", 500, 52.0, selected, |ui, index, response, on| {
                finding_row(ui, response, FindingRow { rank: Some(index + 1), ..ROW }, on);
            });
        },
        Some(0),
    );
    let name = |rank: usize| FindingRow { rank: Some(rank), ..ROW }.accessible_name();
    harness.get_by_label(&name(1)).focus();
    harness.run();
    for _ in 0..40 {
        harness.key_press(Key::ArrowDown);
        harness.run();
    }
    assert_eq!(*harness.state(), Some(40));
    assert!(harness.get_by_label(&name(41)).is_focused());
    assert!(harness.query_by_label(&name(1)).is_none(), "only visible rows are drawn");
    harness.key_press(Key::End);
    harness.run();
    assert!(harness.get_by_label(&name(500)).is_focused());
}

#[test]
fn a_gauge_says_value_target_and_verdict() {
    let mut harness = harness(
        |ui, verdict: &mut Verdict<'static>| {
            let example = Gauge {
                name: "CDN hit ratio",
                value: "46\u{a0}%",
                base: "of cacheable requests",
                verdict: *verdict,
                share: 0.46,
                target: 0.8,
                source: "Cloudflare, 24 h",
                target_text: "target ≥\u{a0}80\u{a0}%",
            };
            gauge(ui, example);
        },
        Verdict::Missed,
    );
    harness.get_by_label("CDN hit ratio 46 percent of cacheable requests, target at least 80 percent, off target");
    *harness.state_mut() = Verdict::NotMeasured("412 lookups, 1,000 needed");
    harness.run();
    harness.get_by_label("CDN hit ratio, target at least 80 percent, not measured, 412 lookups, 1,000 needed");
}

#[test]
fn a_toast_goes_after_four_seconds_and_gives_its_action() {
    let toast = || Toast { tone: Tone::Done, text: "Saved northwind-audit.pdf".to_owned(), action: Some(("Open".to_owned(), 7)) };
    let mut harness = harness(
        |ui, (toasts, opened): &mut (Toasts<u8>, Option<u8>)| {
            *opened = opened.or(toasts.show(ui.ctx()));
        },
        (Toasts::default(), None),
    );
    let ctx = harness.ctx.clone();
    harness.state_mut().0.push(&ctx, toast());
    harness.run_steps(3);
    harness.get_by_label("Open").click();
    harness.run_steps(3);
    assert_eq!(harness.state().1, Some(7));
    harness.state_mut().0.push(&ctx, toast());
    harness.run_steps(8);
    assert!(!harness.state().0.is_empty());
    harness.run_steps(20);
    assert!(harness.state().0.is_empty());
}

#[test]
fn what_went_wrong_is_told_in_full_and_long_enough() {
    let text = "Northwind is saved, but its secrets are not. The keychain is locked and was not unlocked. They are asked for when an audit starts.";
    let mut harness = harness(|ui, toasts: &mut Toasts<u8>| assert_eq!(toasts.show(ui.ctx()), None), Toasts::default());
    let ctx = harness.ctx.clone();
    harness.state_mut().push(&ctx, Toast { tone: Tone::Trouble, text: text.to_owned(), action: None });
    harness.run_steps(28);
    assert!(harness.get_by_label(text).rect().height() > 40.0, "several lines, not one that is cut");
    harness.run_steps(60);
    assert!(harness.state().is_empty());
}
