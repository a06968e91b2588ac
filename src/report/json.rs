//! The JSON report, `medusa-advisor.report/1`. Keys are never renamed or removed within `/1`; new ones may be added.
//!
//! It always holds everything: the parts a reader leaves out of the PDF are chosen for people.

use serde::{Serialize, Serializer};
use serde_json::Value;
use time::OffsetDateTime;

use super::{Dismissed, Entry, LayerEntry, NotApplicable, Passed, Report, Unknown};
use crate::evidence::Layer;
use crate::finding::{Cell, Confidence, Effort, Evidence, Gain, Remedy, Severity, Subject};

pub const SCHEMA: &str = "medusa-advisor.report/1";

/// The report as indented JSON with a final line break.
pub fn render(report: &Report) -> String {
    let document = Document {
        schema: SCHEMA,
        tool: Tool { name: "medusa-advisor", version: &report.tool_version },
        store: StoreKeys {
            name: &report.store.name,
            medusa_major: report.store.medusa_major,
            medusa_version: report.store.medusa_version.as_deref(),
        },
        taken_at: report.taken_at,
        window_s: report.window_s,
        layers: report.layers.iter().map(layer).collect(),
        findings: report.findings.iter().map(finding).collect(),
        passed: report.passed.iter().map(passed).collect(),
        not_applicable: report.not_applicable.iter().map(not_applicable).collect(),
        unknown: &report.unknown,
        dismissed: report.dismissed.iter().map(dismissed).collect(),
    };
    let mut out = serde_json::to_string_pretty(&document).expect("a report holds only strings, lists and finite numbers");
    out.push('\n');
    out
}

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    tool: Tool<'a>,
    store: StoreKeys<'a>,
    #[serde(with = "time::serde::rfc3339")]
    taken_at: OffsetDateTime,
    window_s: f64,
    layers: Vec<LayerKeys<'a>>,
    findings: Vec<FindingKeys<'a>>,
    passed: Vec<PassedKeys<'a>>,
    not_applicable: Vec<NotApplicableKeys<'a>>,
    unknown: &'a [Unknown],
    dismissed: Vec<DismissedKeys<'a>>,
}

#[derive(Serialize)]
struct Tool<'a> {
    name: &'static str,
    version: &'a str,
}

#[derive(Serialize)]
struct StoreKeys<'a> {
    name: &'a str,
    medusa_major: Option<u8>,
    medusa_version: Option<&'a str>,
}

#[derive(Serialize)]
struct LayerKeys<'a> {
    layer: Layer,
    status: &'a str,
    score: Option<u32>,
    metrics: Vec<MetricKeys<'a>>,
    note: Option<&'a str>,
}

#[derive(Serialize)]
struct MetricKeys<'a> {
    id: &'a str,
    #[serde(serialize_with = "whole")]
    value: f64,
    unit: &'a str,
    target: Option<f64>,
    basis: &'a str,
}

#[derive(Serialize)]
struct FindingKeys<'a> {
    rank: u32,
    check: &'a str,
    key: &'a str,
    layer: Layer,
    severity: Severity,
    confidence: Confidence,
    effort: Effort,
    subject: &'a Subject,
    title: &'a str,
    observed: &'a str,
    why: &'a str,
    because: &'a [String],
    evidence: Vec<EvidenceKeys<'a>>,
    gain: Option<&'a Gain>,
    remedies: Vec<RemedyKeys<'a>>,
    verify: &'a str,
    references: &'a [String],
    // Added after the first draft of the schema.
    step: &'a str,
    why_here: &'a str,
    averts: Option<&'a str>,
    is_symptom: bool,
}

/// What kind of evidence it is, is told by the keys it has.
#[derive(Serialize)]
#[serde(untagged)]
enum EvidenceKeys<'a> {
    Figure { label: &'a str, value: Value, unit: &'a str, shown: &'a str },
    Text { label: &'a str, text: &'a str },
    Code { label: &'a str, text: &'a str, language: &'a str },
    Table { label: &'a str, columns: &'a [String], rows: Vec<Vec<Value>> },
    BeforeAfter { label: &'a str, unit: &'a str, before: Value, after: Value, basis: &'static str },
}

#[derive(Serialize)]
struct RemedyKeys<'a> {
    kind: &'static str,
    label: &'a str,
    text: &'a str,
    risk: &'a str,
    undo: Option<&'a str>,
    lock: Option<&'a str>,
}

#[derive(Serialize)]
struct PassedKeys<'a> {
    check: &'a str,
    observed: &'a str,
}

#[derive(Serialize)]
struct NotApplicableKeys<'a> {
    check: &'a str,
    reason: &'a str,
}

#[derive(Serialize)]
struct DismissedKeys<'a> {
    check: &'a str,
    key: &'a str,
    reason: &'a str,
    by: &'a str,
    until: &'a str,
}

fn layer(entry: &LayerEntry) -> LayerKeys<'_> {
    let metrics = entry.metrics.iter().map(|m| MetricKeys { id: &m.id, value: m.value, unit: &m.unit, target: m.target, basis: &m.basis }).collect();
    LayerKeys { layer: entry.layer, status: &entry.status, score: entry.score, metrics, note: entry.note.as_deref() }
}

fn finding(entry: &Entry) -> FindingKeys<'_> {
    let f = &entry.finding;
    FindingKeys {
        rank: entry.rank,
        check: &entry.check,
        key: &entry.key,
        layer: entry.layer,
        severity: f.severity,
        confidence: f.confidence,
        effort: f.effort,
        subject: &f.subject,
        title: &entry.title,
        observed: &f.observed,
        why: &entry.why,
        because: &entry.because,
        evidence: f.evidence.iter().map(evidence).collect(),
        gain: f.gain.as_ref(),
        remedies: f.remedies.iter().map(remedy).collect(),
        verify: &f.verify,
        references: &entry.references,
        step: &f.step,
        why_here: &entry.why_here,
        averts: f.averts.as_deref(),
        is_symptom: entry.symptom_of.is_some(),
    }
}

fn remedy(r: &Remedy) -> RemedyKeys<'_> {
    RemedyKeys { kind: r.kind.id(), label: &r.label, text: &r.text, risk: &r.risk, undo: r.undo.as_deref(), lock: r.lock.as_deref() }
}

fn evidence(evidence: &Evidence) -> EvidenceKeys<'_> {
    match evidence {
        Evidence::Figure { label, value, unit, shown } => EvidenceKeys::Figure { label, value: number(*value), unit, shown },
        Evidence::Text { label, text } => EvidenceKeys::Text { label, text },
        Evidence::Code { label, language, text } => EvidenceKeys::Code { label, text, language },
        Evidence::Table { label, columns, rows } => {
            EvidenceKeys::Table { label, columns, rows: rows.iter().map(|row| row.iter().map(cell).collect()).collect() }
        }
        Evidence::BeforeAfter { label, unit, before, after, basis } => {
            EvidenceKeys::BeforeAfter { label, unit, before: number(*before), after: number(*after), basis: basis.id() }
        }
    }
}

fn cell(cell: &Cell) -> Value {
    match cell {
        Cell::Number { value, .. } => number(*value),
        Cell::Text(text) => Value::from(text.as_str()),
    }
}

fn passed(p: &Passed) -> PassedKeys<'_> {
    PassedKeys { check: &p.check, observed: &p.observed }
}

fn not_applicable(n: &NotApplicable) -> NotApplicableKeys<'_> {
    NotApplicableKeys { check: &n.check, reason: &n.reason }
}

fn dismissed(d: &Dismissed) -> DismissedKeys<'_> {
    DismissedKeys { check: &d.check, key: &d.key, reason: &d.reason, by: &d.by, until: &d.until }
}

/// A whole number without ".0": counts stay counts.
fn number(x: f64) -> Value {
    if is_whole(x) { Value::from(x as i64) } else { Value::from(x) }
}

fn whole<S: Serializer>(x: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    number(*x).serialize(serializer)
}

fn is_whole(x: f64) -> bool {
    // Beyond 2^53 a float no longer tells one whole number from the next.
    x.fract() == 0.0 && x.abs() < 9_007_199_254_740_992.0
}
