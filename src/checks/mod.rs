//! The checks: pure functions of the snapshot. One file a check; its folder and file name give its id.

pub mod advice;
pub mod app;
pub mod bloat;
pub mod block_reads;
pub mod bullmq;
pub mod cdn;
pub mod checkpoints;
pub mod commerce;
pub mod counts;
pub mod edge;
pub mod edge_cloudfront;
#[cfg(test)]
pub mod fixtures;
pub mod http;
pub mod index;
pub mod key_sample;
pub mod measures;
pub mod medusa;
pub mod medusa_modules;
pub mod needs;
pub mod new_index;
pub mod nodes;
pub mod partitions;
pub mod poolers;
pub mod postgres;
pub mod proving;
pub mod purge;
pub mod redis;
pub mod redis_latency;
pub mod redis_settings;
pub mod registry;
pub mod scans;
pub mod server_settings;
pub mod sessions;
pub mod sql;
mod sql_ast;
mod sql_expr;
mod sql_or;
mod sql_tolerant;
pub mod statement;
mod stock;
mod stock_notes;
mod stock_sql;
pub mod variants;
pub mod workload;

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::evidence::{Cause, Gap, Layer, Section, Snapshot};
use crate::finding::{Effort, Evidence, Finding, Outcome};

/// Findings of one check that are kept; the rest is counted ("and 412 more").
pub const FINDINGS_MAX: usize = 200;

/// A check is data plus two functions. Every field is required, so a forgotten remedy does not compile.
pub struct Check {
    /// Stable: `pg-missing-index`.
    pub id: &'static str,
    pub layer: Layer,
    /// The failing condition, ≤ 70 characters, sentence case: "Statements scan a table for lack of an index".
    pub title: &'static str,
    /// The sentence shown when it passed: "No costly statement scans a table for lack of an index."
    pub passed: &'static str,
    /// What the problem does to the store, in two or three sentences for somebody who does not know the jargon.
    pub why: &'static str,
    /// What to do about it in general; the exact text is the finding's.
    pub remedy: &'static str,
    /// What it reads and how it decides, thresholds included.
    pub method: &'static str,
    /// Typical effort; a finding may say otherwise.
    pub effort: Effort,
    /// Documents to read.
    pub references: &'static [&'static str],
    /// Sections it cannot do without. Proved by a test: withholding one must give `Unknown`, withholding any section
    /// that is neither here nor in `uses` must change nothing.
    /// A whole layer (`Section::Postgres`) is implied by its parts and not listed.
    pub needs: &'static [Section],
    /// Sections that sharpen the verdict when they are there (a proof, a count) and are done without when they are not.
    pub uses: &'static [Section],
    /// Ids of checks whose finding explains this one where both touch the same thing: then this is a symptom and no step of its own.
    pub symptom_of: &'static [&'static str],
    pub applies_to: fn(&Snapshot) -> Result<Applies, Gap>,
    pub evaluate: fn(&Snapshot) -> Result<Vec<Finding>, Gap>,
}

impl std::fmt::Debug for Check {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.id)
    }
}

/// Whether a check says anything about this store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applies {
    Yes,
    /// With the reason as a clause: "the caching module is off".
    No(String),
}

/// For checks that apply to every store.
pub fn always(_: &Snapshot) -> Result<Applies, Gap> {
    Ok(Applies::Yes)
}

/// Two lists of sections as one, for `needs` and `uses`; `N` is the length of both.
pub const fn joined<const A: usize, const B: usize, const N: usize>(first: [Section; A], second: [Section; B]) -> [Section; N] {
    assert!(A + B == N);
    let mut all = [Section::Cdn; N];
    let mut i = 0;
    while i < N {
        all[i] = if i < A { first[i] } else { second[i - A] };
        i += 1;
    }
    all
}

/// A check and what it concluded.
pub struct Judged {
    pub check: &'static Check,
    pub outcome: Outcome,
}

impl Check {
    /// Runs the check. The one caller of its functions, and the one place where a panic is held: a bug in one check is one
    /// `Unknown`, not a lost report.
    pub fn run(&self, snapshot: &Snapshot) -> Outcome {
        let judged = catch_unwind(AssertUnwindSafe(|| match (self.applies_to)(snapshot) {
            Err(gap) => Outcome::Unknown(gap),
            Ok(Applies::No(reason)) => Outcome::NotApplicable(reason),
            Ok(Applies::Yes) => match (self.evaluate)(snapshot) {
                Err(gap) => Outcome::Unknown(gap),
                Ok(findings) if findings.is_empty() => Outcome::Passed,
                Ok(findings) => Outcome::Failed(self.with_addresses(snapshot, findings)),
            },
        }));
        judged.unwrap_or_else(|_| {
            let section = self.needs.first().copied().unwrap_or(Section::Postgres);
            let detail = format!("The check {} failed on this evidence: a defect of Medusa Advisor. The other checks are not touched.", self.id);
            Outcome::Unknown(Gap::new(section, Cause::CheckPanicked, detail))
        })
    }

    /// What was seen at an address of the user's choice says so: it may not be what shoppers meet.
    fn with_addresses(&self, snapshot: &Snapshot, mut findings: Vec<Finding>) -> Vec<Finding> {
        const PROBED: [Section; 5] =
            [Section::StorefrontPages, Section::StorefrontAssets, Section::StorefrontMedia, Section::StoreApi, Section::StorefrontTls];
        let resolved = snapshot.shop().map_or(&[][..], |shop| &shop.resolved);
        if !resolved.is_empty() && self.needs.iter().any(|s| PROBED.contains(s)) {
            let asked: Vec<String> = resolved.iter().map(|r| format!("{} at {}", r.host, r.address)).collect();
            let evidence = Evidence::text("Asked as given, not where DNS has it", asked.join(", "));
            findings.iter_mut().for_each(|f| f.evidence.push(evidence.clone()));
        }
        findings
    }
}

/// Runs every check of the registry that `wanted` lets through, in registry order.
pub fn run_all(snapshot: &Snapshot, wanted: impl Fn(&Check) -> bool) -> Vec<Judged> {
    registry::ALL.iter().filter(|c| wanted(c)).map(|check| Judged { check, outcome: check.run(snapshot) }).collect()
}

/// The check with this id.
pub fn find(id: &str) -> Option<&'static Check> {
    registry::ALL.iter().find(|c| c.id == id).copied()
}
