//! One [`Report`] built once for every format: plain data with every quantity already in words, so that PDF, HTML, Markdown
//! and JSON cannot say different things.

mod build;
pub mod html;
pub mod json;
pub mod markdown;
pub mod mask;
mod method;
mod paper;
pub mod pdf;
pub mod svg;
mod words;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::charts::ChartSpec;
use crate::evidence::{Layer, Snapshot};
use crate::finding::{Finding, Severity};
use crate::plan::Plan;

/// Findings of one check that are printed in full; the rest is counted and stands in the JSON report.
pub const IN_FULL_MAX: usize = 20;
/// Rows of an evidence table that are printed; then "and 12 more".
pub const ROWS_MAX: usize = 8;
/// Characters of a statement or plan that are printed.
pub const CODE_MAX: usize = 2_000;
/// Steps of the one-page summary.
pub const STEPS_FIRST: usize = 5;

/// What the reader may leave out. "Not checked" is no part: it is always in, as are dismissed findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    Summary,
    Plan,
    /// Critical, high and medium findings with evidence and fix.
    Findings,
    /// Low findings and notes with evidence and fix.
    FindingsLow,
    Charts,
    Passed,
    NotApplicable,
    Method,
}

impl Part {
    pub const ALL: [Part; 8] =
        [Part::Summary, Part::Plan, Part::Findings, Part::FindingsLow, Part::Charts, Part::Passed, Part::NotApplicable, Part::Method];
}

/// What to put into a report and how to call it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// "Performance audit of Northwind Outfitters".
    pub title: String,
    pub parts: BTreeSet<Part>,
    /// Replaces host names and addresses of the store in every text: `db.•••.internal`.
    pub mask_hosts: bool,
}

impl Options {
    /// Everything in, nothing masked, the usual title.
    pub fn whole(store: &str) -> Self {
        Self { title: format!("Performance audit of {store}"), parts: Part::ALL.into_iter().collect(), mask_hosts: false }
    }
}

/// Everything a report says. Non-finite numbers have been replaced by words.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    pub title: String,
    pub parts: BTreeSet<Part>,
    pub is_masked: bool,
    pub tool_version: String,
    pub store: Store,
    #[serde(with = "time::serde::rfc3339")]
    pub taken_at: OffsetDateTime,
    /// "23 Nov 2026" and "23 Nov 2026, 09:30 UTC".
    pub date: String,
    pub date_time: String,
    /// Seconds; 0 without a second sample.
    pub window_s: f64,
    pub cover: Vec<Block>,
    pub layers: Vec<LayerEntry>,
    pub summary: Vec<Sentence>,
    /// One paragraph for the summary: what was not checked; `None` when everything was.
    pub not_checked_line: Option<String>,
    pub targets: Vec<Target>,
    pub path: Path,
    pub steps: Vec<Step>,
    pub findings: Vec<Entry>,
    pub charts: Vec<ChartSpec>,
    pub passed: Vec<Passed>,
    pub not_applicable: Vec<NotApplicable>,
    /// One row a check.
    pub unknown: Vec<Unknown>,
    /// The same grouped by what is missing.
    pub not_checked: Vec<NotChecked>,
    pub dismissed: Vec<Dismissed>,
    pub method: Vec<Fact>,
    /// What the audit cost the store, a row a layer.
    pub costs: Vec<Cost>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Store {
    pub name: String,
    pub environment: String,
    pub medusa_major: Option<u8>,
    pub medusa_version: Option<String>,
    /// "Medusa 2.21.2, 20,000 products, 500,000 orders"; empty when nothing of it is known.
    pub scale: String,
}

/// One of the four counts on the cover.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    pub figure: String,
    pub label: String,
    pub context: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LayerEntry {
    pub layer: Layer,
    pub name: String,
    /// `audited`, `partial`, `unreachable`, `not_configured`.
    pub status: String,
    /// 0…100.
    pub score: Option<u32>,
    /// "of 100", "not connected", "unreachable".
    pub words: String,
    pub note: Option<String>,
    /// Open findings, worst first; zeros included.
    pub counts: Vec<(Severity, usize)>,
    pub metrics: Vec<MetricEntry>,
}

/// A key figure as in `layers[].metrics` of the JSON report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MetricEntry {
    pub id: String,
    pub value: f64,
    pub unit: String,
    pub target: Option<f64>,
    pub basis: String,
}

/// A sentence with the part that decides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sentence {
    pub before: String,
    pub strong: String,
    pub after: String,
}

impl Sentence {
    pub fn plain(text: impl Into<String>) -> Self {
        Self { before: text.into(), strong: String::new(), after: String::new() }
    }

    pub fn text(&self) -> String {
        format!("{}{}{}", self.before, self.strong, self.after)
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Target {
    pub id: String,
    pub name: String,
    /// "46 %" or "not measured".
    pub shown: String,
    /// Base and source, or why it was not measured.
    pub source: String,
    /// "≥ 80 %".
    pub target: String,
    /// `None`: not measured.
    pub is_met: Option<bool>,
    /// Positions on the scale, 0…1.
    pub at: Option<f64>,
    pub target_at: f64,
}

/// Where 100 cacheable requests are answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Path {
    pub segments: Vec<Segment>,
    pub sentence: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Segment {
    pub layer: Layer,
    pub name: String,
    /// Of 100; `None`: not measured.
    pub of_100: Option<f64>,
    /// "46".
    pub shown: String,
    /// "at the edge", "58 % of the rest", "6 at both targets".
    pub context: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    pub rank: u32,
    pub key: String,
    pub severity: Severity,
    pub layer: Layer,
    /// "Index image(product_id)".
    pub step: String,
    /// The measured sentence.
    pub observed: String,
    /// "−96 % database time"; what it averts; "–".
    pub gain: String,
    /// "proved", "risk"; empty without a gain.
    pub basis: String,
    pub effort: String,
    /// Findings that go away with it.
    pub symptoms: usize,
    pub why_here: String,
}

/// One finding with what its check says of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    pub rank: u32,
    pub check: String,
    pub key: String,
    pub layer: Layer,
    pub title: String,
    pub why: String,
    pub because: Vec<String>,
    pub why_here: String,
    /// Step of the finding that explains this one.
    pub symptom_of: Option<String>,
    /// "Rank 3, CDN: …" of the others along the same request.
    pub along: Vec<String>,
    pub references: Vec<String>,
    pub finding: Finding,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passed {
    pub check: String,
    pub layer: Layer,
    pub observed: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotApplicable {
    pub check: String,
    pub layer: Layer,
    pub title: String,
    pub reason: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unknown {
    pub check: String,
    pub cause: String,
    pub detail: String,
    pub remedy: Option<String>,
}

/// One cause and the checks that wait for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotChecked {
    pub layer: Layer,
    /// "Postgres, column statistics".
    pub what: String,
    pub cause: String,
    pub detail: String,
    /// The exact grant, setting or step.
    pub remedy: Option<String>,
    /// Id and title.
    pub checks: Vec<(String, String)>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dismissed {
    pub check: String,
    pub key: String,
    pub title: String,
    pub reason: String,
    pub by: String,
    /// `2027-01-01`.
    pub until: String,
}

/// A line of "Method and limits".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    pub label: String,
    pub text: String,
}

/// Quantities in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    pub layer: Layer,
    pub calls: String,
    pub busy: String,
    pub wall: String,
    pub bytes: String,
}

impl Report {
    /// Builds the report of one audit; hosts are masked last, over every text at once.
    pub fn build(snapshot: &Snapshot, plan: &Plan, options: &Options) -> Report {
        let report = build::report(snapshot, plan, options);
        if options.mask_hosts { mask::apply(&report, &mask::hosts(snapshot)) } else { report }
    }

    pub fn has(&self, part: Part) -> bool {
        self.parts.contains(&part)
    }

    /// Findings printed in full under the chosen parts: at most [`IN_FULL_MAX`] a check.
    pub fn in_full(&self) -> Vec<&Entry> {
        let mut seen: std::collections::BTreeMap<&str, usize> = std::collections::BTreeMap::new();
        let mut entries = Vec::new();
        for entry in self.findings.iter().filter(|e| self.has(part_of(e.finding.severity))) {
            let n = seen.entry(&entry.check).or_insert(0);
            *n += 1;
            if *n <= IN_FULL_MAX {
                entries.push(entry);
            }
        }
        entries
    }

    /// Checks with more findings than are printed: id and how many are left to the JSON report.
    pub fn cut_findings(&self) -> Vec<(String, usize)> {
        let mut all: std::collections::BTreeMap<&str, usize> = std::collections::BTreeMap::new();
        for entry in self.findings.iter().filter(|e| self.has(part_of(e.finding.severity))) {
            *all.entry(&entry.check).or_insert(0) += 1;
        }
        all.into_iter().filter(|(_, n)| *n > IN_FULL_MAX).map(|(check, n)| (check.to_owned(), n - IN_FULL_MAX)).collect()
    }
}

fn part_of(severity: Severity) -> Part {
    if severity >= Severity::Medium { Part::Findings } else { Part::FindingsLow }
}

/// Whether an undo reads as a sentence ("Delete the rule.") and not as text to run.
fn is_prose(text: &str) -> bool {
    text.trim_end().ends_with('.') && text.starts_with(|c: char| c.is_ascii_uppercase()) && text.contains(' ')
}
