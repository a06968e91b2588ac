//! A summary for people on the terminal: the answer first.

use std::fmt::Write;

use crate::evidence::Snapshot;
use crate::plan::{Plan, Ranked};
use crate::text;

/// Steps shown; the report files hold the rest.
const STEPS_MAX: usize = 5;

pub fn summary(snapshot: &Snapshot, plan: &Plan) -> String {
    let mut out = String::new();
    let m = &snapshot.meta;
    // Writing to a String cannot fail.
    let _ = writeln!(out, "{}, {}, window {}", m.store, text::date_time(m.taken_at), text::seconds(m.window_s));
    if m.cancelled {
        let _ = writeln!(out, "Cancelled: this is what was read until then.");
    }
    let _ = writeln!(out, "\n{}\n", scores(plan));
    for gauge in &plan.gauges {
        let line = match &gauge.measured {
            Ok(v) => format!("{} {} ({}), {}", v.shown, v.base, gauge.target_words, if v.is_met { "met" } else { "off target" }),
            Err(gap) => format!("not measured. {}", gap.detail),
        };
        let _ = writeln!(out, "{}: {line}", gauge.name);
    }
    let steps: Vec<&Ranked> = plan.steps().collect();
    if steps.is_empty() {
        let _ = writeln!(out, "\nNothing to do: {} found nothing.", text::plural(plan.passed.len() as u64, "check", "checks"));
    } else {
        let _ = writeln!(out, "\nDo these first");
    }
    for step in steps.iter().take(STEPS_MAX) {
        write_step(&mut out, step);
    }
    if steps.len() > STEPS_MAX {
        let _ = writeln!(out, "   and {} more", steps.len() - STEPS_MAX);
    }
    write_unknown(&mut out, plan);
    out
}

fn scores(plan: &Plan) -> String {
    let layer = |l: &crate::plan::score::LayerSummary| match l.score {
        Some(score) => format!("{} {score}", l.layer.name()),
        None => format!("{} {}", l.layer.name(), l.status.id().replace('_', " ")),
    };
    plan.layers.iter().map(layer).collect::<Vec<_>>().join("   ")
}

fn write_step(out: &mut String, step: &Ranked) {
    let f = &step.finding;
    let gain = f.gain.as_ref().map(|g| format!("{}, {}", g.words, g.basis.name()));
    let gain = gain.or_else(|| f.averts.as_ref().map(|a| format!("averts {a}"))).unwrap_or_else(|| "no gain measured".to_owned());
    let _ = writeln!(out, "{:>2} {} [{}]", step.rank, f.step, f.severity.id());
    let _ = writeln!(out, "   {}", f.observed);
    let _ = writeln!(out, "   {gain}; {}; {}", f.effort.id(), step.check.id);
    if let Some(remedy) = f.remedies.first() {
        for line in remedy.text.lines().take(6) {
            let _ = writeln!(out, "     {line}");
        }
    }
}

fn write_unknown(out: &mut String, plan: &Plan) {
    let groups = plan.unknown_by_cause();
    if groups.is_empty() {
        return;
    }
    let _ = writeln!(out, "\nNot checked: {} of {}", plan.unknown.len(), plan.checks_total());
    for (gap, checks) in groups {
        let _ = writeln!(out, "   {} ({})", gap.detail, text::plural(checks.len() as u64, "check", "checks"));
        if let Some(remedy) = gap.cause.remedy() {
            let _ = writeln!(out, "     {}", remedy.lines().collect::<Vec<_>>().join("\n     "));
        }
    }
}
