//! A comparison in words, for the command line and the window alike.

use std::fmt::Write;

use serde_json::json;

use super::{Comparison, MetricChange};
use crate::plan::Ranked;

/// For an issue or a chat.
pub fn markdown(c: &Comparison) -> String {
    let mut out = String::from("# Before and after\n\n");
    for caution in &c.cautions {
        let _ = writeln!(out, "> {caution}\n");
    }
    out.push_str("| Layer | Before | After |\n| --- | ---: | ---: |\n");
    let score = |s: Option<u32>| s.map_or_else(|| "not audited".to_owned(), |s| s.to_string());
    for (layer, b, a) in &c.layers {
        let _ = writeln!(out, "| {} | {} | {} |", layer.name(), score(*b), score(*a));
    }
    list(&mut out, "Resolved", c.resolved.iter().map(line));
    list(&mut out, "New", c.new.iter().map(line));
    list(&mut out, "Worse", c.worse.iter().map(|(b, a)| format!("{}: {} → {}", line(a), b.finding.observed, a.finding.observed)));
    list(&mut out, "Better", c.better.iter().map(|(b, a)| format!("{}: {} → {}", line(a), b.finding.observed, a.finding.observed)));
    list(&mut out, "Still open", c.still_open.iter().map(|(_, a)| line(a)));
    list(&mut out, "Cannot tell", c.cannot_tell.iter().map(|(r, why)| format!("{}: {why}", line(r))));
    figures(&mut out, &c.metrics);
    out
}

fn figures(out: &mut String, metrics: &[MetricChange]) {
    if metrics.is_empty() {
        return;
    }
    out.push_str("\n## Figures\n\n| Figure | Before | After | Change | |\n| --- | ---: | ---: | ---: | --- |\n");
    for m in metrics {
        let (change, verdict) = m.change();
        let _ = writeln!(out, "| {} | {} | {} | {change} | {} |", m.name(), m.shown(m.before), m.shown(m.after), verdict_word(verdict));
    }
}

/// The verdict on a change as [`MetricChange::change`] gives it.
pub fn verdict_word(verdict: Option<bool>) -> &'static str {
    match verdict {
        Some(true) => "better",
        Some(false) => "worse",
        None => "no verdict",
    }
}

fn list(out: &mut String, title: &str, lines: impl Iterator<Item = String>) {
    let lines: Vec<String> = lines.collect();
    if !lines.is_empty() {
        let _ = writeln!(out, "\n## {title}\n");
        lines.iter().for_each(|l| {
            let _ = writeln!(out, "- {l}");
        });
    }
}

fn line(r: &Ranked) -> String {
    format!("{} ({}, {})", r.check.title, r.finding.subject.name, r.finding.severity.id())
}

/// For programs.
pub fn as_json(c: &Comparison) -> String {
    let one = |r: &Ranked| json!({ "key": r.key, "check": r.check.id, "severity": r.finding.severity.id(), "observed": r.finding.observed });
    let pair = |(b, a): &(Ranked, Ranked)| json!({ "key": a.key, "check": a.check.id, "before": one(b), "after": one(a) });
    let value = json!({
        "schema": "medusa-advisor.comparison/1",
        "cautions": c.cautions,
        "layers": c.layers.iter().map(|(l, b, a)| json!({ "layer": l.id(), "before": b, "after": a })).collect::<Vec<_>>(),
        "metrics": c.metrics.iter().map(|m| json!({ "id": m.id, "subject": m.subject, "unit": m.unit, "before": m.before, "after": m.after })).collect::<Vec<_>>(),
        "resolved": c.resolved.iter().map(one).collect::<Vec<_>>(),
        "new": c.new.iter().map(one).collect::<Vec<_>>(),
        "worse": c.worse.iter().map(pair).collect::<Vec<_>>(),
        "better": c.better.iter().map(pair).collect::<Vec<_>>(),
        "still_open": c.still_open.iter().map(pair).collect::<Vec<_>>(),
        "cannot_tell": c.cannot_tell.iter().map(|(r, why)| json!({ "key": r.key, "check": r.check.id, "why": why })).collect::<Vec<_>>(),
        "regressed": c.has_regressed(),
    });
    format!("{value:#}\n")
}
