//! `medusa-advisor compare`.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde_json::json;

use super::{Ended, output};
use crate::connect::stores::write_whole;
use crate::history::{self, compare::Comparison};
use crate::plan::{self, Ranked};

pub fn perform(before: &Path, after: &Path, out: &[PathBuf], fail_on_regression: bool) -> anyhow::Result<Ended> {
    for path in out {
        if !path.extension().is_some_and(|e| e == "md" || e == "json") {
            bail!("{}: a comparison is written as .md or .json", path.display());
        }
    }
    let (before, after) = (history::open(before)?, history::open(after)?);
    let (plan_before, plan_after) = (plan::build(&before, &[], |_| true), plan::build(&after, &[], |_| true));
    let comparison = history::compare::compare((&before, &plan_before), (&after, &plan_after));
    let text = markdown(&comparison);
    output::print(&text);
    for path in out {
        let bytes = if path.extension().is_some_and(|e| e == "json") { as_json(&comparison).into_bytes() } else { text.clone().into_bytes() };
        write_whole(path, &bytes).with_context(|| format!("{} could not be written", path.display()))?;
    }
    Ok(if fail_on_regression && comparison.has_regressed() { Ended::Found } else { Ended::Well })
}

fn markdown(c: &Comparison) -> String {
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
    out
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

fn as_json(c: &Comparison) -> String {
    let one = |r: &Ranked| json!({ "key": r.key, "check": r.check.id, "severity": r.finding.severity.id(), "observed": r.finding.observed });
    let pair = |(b, a): &(Ranked, Ranked)| json!({ "key": a.key, "check": a.check.id, "before": one(b), "after": one(a) });
    let value = json!({
        "schema": "medusa-advisor.comparison/1",
        "cautions": c.cautions,
        "layers": c.layers.iter().map(|(l, b, a)| json!({ "layer": l.id(), "before": b, "after": a })).collect::<Vec<_>>(),
        "metrics": c.metrics.iter().map(|m| json!({ "id": m.id, "unit": m.unit, "before": m.before, "after": m.after })).collect::<Vec<_>>(),
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
