//! The report as the templates read it: every text ready, every chart drawn, so that the templates only place things.

use serde_json::{Value, json};

use super::{CODE_MAX, Entry, NotChecked, Part, ROWS_MAX, Report, STEPS_FIRST, Step, Target, is_prose, svg};
use crate::evidence::Layer;
use crate::finding::{Basis, Cell, Evidence, Remedy};
use crate::text;
use crate::text::highlight::{self, Language};

/// Characters of a step and of its measured sentence on the one-page summary.
const STEP_CHARS: usize = 72;
const OBSERVED_CHARS: usize = 88;

pub(super) fn data(report: &Report) -> Value {
    let t = report.taken_at;
    json!({
        "title": report.title,
        "subtitle": subtitle(report),
        "version": report.tool_version,
        "store": report.store.name,
        "scale": report.store.scale,
        "date": report.date,
        "date_time": report.date_time,
        "stamp": [t.year(), u8::from(t.month()), t.day(), t.hour(), t.minute(), t.second()],
        "cover": report.cover,
        "layers": report.layers,
        "summary": report.summary,
        "not_checked_line": report.not_checked_line,
        "targets": report.targets.iter().map(target).collect::<Vec<_>>(),
        "path": report.path,
        "first": report.steps.iter().take(STEPS_FIRST).map(short_step).collect::<Vec<_>>(),
        "steps": report.steps,
        "findings": report.in_full().into_iter().map(finding).collect::<Vec<_>>(),
        "cut": report.cut_findings().iter().map(|(check, n)| format!("And {} more of {check}: all are in the JSON report.", text::count(*n as u64))).collect::<Vec<_>>(),
        "charts": report.charts.iter().map(|c| json!({
            "title": c.title, "caption": c.caption, "conclusion": c.conclusion, "svg": svg::chart(c, svg::Palette::Paper),
        })).collect::<Vec<_>>(),
        "passed": report.passed,
        "not_applicable": report.not_applicable,
        "not_checked": report.not_checked.iter().map(not_checked).collect::<Vec<_>>(),
        "dismissed": report.dismissed,
        "method": report.method,
        "masked": report.is_masked,
        "costs": report.costs,
        "has": {
            "summary": report.has(Part::Summary), "plan": report.has(Part::Plan), "charts": report.has(Part::Charts),
            "passed": report.has(Part::Passed), "not_applicable": report.has(Part::NotApplicable), "method": report.has(Part::Method),
        },
    })
}

/// "Performance audit, production" under the store's name; another title stands there in its own words.
fn subtitle(report: &Report) -> String {
    let usual = format!("Performance audit of {}", report.store.name);
    let title = if report.title == usual { "Performance audit" } else { &report.title };
    if report.store.environment.is_empty() { title.to_owned() } else { format!("{title}, {}", report.store.environment) }
}

fn target(t: &Target) -> Value {
    let verdict = match t.is_met {
        Some(true) => "met",
        Some(false) => "missed",
        None => "not measured",
    };
    json!({ "name": t.name, "shown": t.shown, "source": t.source, "target": t.target, "verdict": verdict, "at": t.at, "target_at": t.target_at })
}

fn short_step(step: &Step) -> Value {
    let short = Step { step: text::cut(&step.step, STEP_CHARS), observed: text::cut(&step.observed, OBSERVED_CHARS), ..step.clone() };
    json!(short)
}

fn finding(entry: &Entry) -> Value {
    let f = &entry.finding;
    let (lead, strong) = split_lead(&f.observed);
    let (gain, basis) = match (&f.gain, &f.averts) {
        (Some(g), _) => (g.words.clone(), g.basis.name()),
        (None, Some(a)) => (format!("no {a}"), "risk"),
        (None, None) => ("–".to_owned(), ""),
    };
    let mut facts: Vec<[String; 2]> = Vec::new();
    let (mut blocks, mut bars) = (Vec::new(), Vec::new());
    for piece in &f.evidence {
        match piece {
            Evidence::Figure { label, shown, .. } => facts.push([label.clone(), shown.clone()]),
            Evidence::Text { label, text } => facts.push([label.clone(), text::cut(&text::one_line(text), CODE_MAX)]),
            Evidence::Code { label, language, text } => blocks.push(code(label, language, text)),
            Evidence::Table { label, columns, rows } => blocks.push(table(label, columns, rows)),
            Evidence::BeforeAfter { label, unit, before, after, basis } => bars.push(before_after(label, unit, *before, *after, *basis)),
        }
    }
    json!({
        "rank": entry.rank, "check": entry.check, "key": entry.key, "layer": entry.layer, "layer_name": entry.layer.name(), "title": entry.title,
        "subject": f.subject.name, "lead": lead, "strong": strong, "severity": f.severity.id(), "severity_name": f.severity.name(),
        "gain": gain, "basis": basis, "confidence": f.confidence.id(), "confidence_because": f.confidence_because, "effort": f.effort.id(),
        "why": entry.why, "why_here": entry.why_here, "symptom_of": entry.symptom_of, "along": entry.along, "facts": facts, "blocks": blocks,
        "bars": bars, "remedies": f.remedies.iter().map(remedy).collect::<Vec<_>>(), "verify": f.verify, "references": entry.references,
    })
}

/// The measured sentence; what stands after its colon decides and is printed strong.
fn split_lead(observed: &str) -> (String, String) {
    match observed.rsplit_once(": ") {
        Some((lead, strong)) if strong.chars().count() <= 90 => (format!("{lead}: "), strong.to_owned()),
        _ => (observed.to_owned(), String::new()),
    }
}

fn code(label: &str, language: &str, body: &str) -> Value {
    let body = text::cut(body.trim_end(), CODE_MAX);
    json!({ "kind": "code", "label": label, "text": body, "pieces": pieces(&body, language) })
}

/// The kind and text of every piece, by line.
fn pieces(body: &str, language: &str) -> Vec<Vec<(&'static str, String)>> {
    let lines = highlight::lines(body, Language::named(language));
    lines.into_iter().map(|line| line.into_iter().map(|(token, text)| (token.name(), text)).collect()).collect()
}

fn table(label: &str, columns: &[String], rows: &[Vec<Cell>]) -> Value {
    let right: Vec<bool> = (0..columns.len()).map(|i| rows.first().is_some_and(|r| matches!(r.get(i), Some(Cell::Number { .. })))).collect();
    let cell = |c: &Cell| text::cut(&text::one_line(c.shown()), 160);
    let shown: Vec<Vec<String>> = rows.iter().take(ROWS_MAX).map(|row| row.iter().take(columns.len()).map(cell).collect()).collect();
    let more = rows.len().saturating_sub(ROWS_MAX);
    json!({ "kind": "table", "label": label, "columns": columns, "right": right, "rows": shown, "more": more })
}

fn before_after(label: &str, unit: &str, before: f64, after: f64, basis: Basis) -> Value {
    let conclusion = format!("{label}: {} now, {} {unit} with the fix, {}.", text::number(before), text::number(after), basis.name());
    let drawing = svg::before_after(before, after, basis != Basis::Measured, basis.name(), svg::Palette::Paper, &conclusion);
    json!({ "label": label, "unit": unit, "conclusion": conclusion, "svg": drawing })
}

fn not_checked(g: &NotChecked) -> Value {
    let language = if g.layer == Layer::Postgres { "sql" } else { "" };
    let pieces = g.remedy.as_deref().map(|text| pieces(text, language));
    json!({ "layer": g.layer, "what": g.what, "detail": g.detail, "remedy": g.remedy, "pieces": pieces, "checks": g.checks })
}

fn remedy(r: &Remedy) -> Value {
    let body = r.text.trim_end();
    json!({
        "label": r.label, "kind": r.kind.name(), "text": body, "pieces": pieces(body, r.kind.language()),
        "lock": r.lock, "risk": r.risk, "undo": r.undo, "undo_is_prose": r.undo.as_deref().is_some_and(is_prose),
    })
}
