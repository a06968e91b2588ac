//! Two audits of one store, before and after.

mod families;
mod figures;
mod words;

use crate::evidence::{Layer, Snapshot};
use crate::finding::Severity;
use crate::plan::{Plan, Ranked};
use crate::text;
pub use words::{as_json, markdown, verdict_word};

/// Changes smaller than this share get no verdict.
const CHANGE_MIN: f64 = 0.10;

#[derive(Debug, Clone)]
pub struct Comparison {
    /// Whether the two can be compared, in sentences; empty: nothing stands against it.
    pub cautions: Vec<String>,
    pub layers: Vec<(Layer, Option<u32>, Option<u32>)>,
    pub resolved: Vec<Ranked>,
    pub new: Vec<Ranked>,
    /// Before and after, where the cost rose by at least a tenth or the severity rose.
    pub worse: Vec<(Ranked, Ranked)>,
    pub better: Vec<(Ranked, Ranked)>,
    pub still_open: Vec<(Ranked, Ranked)>,
    /// Findings that vanished because their check could not run, with the reason.
    pub cannot_tell: Vec<(Ranked, String)>,
    pub metrics: Vec<MetricChange>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct MetricChange {
    pub layer: Layer,
    pub id: &'static str,
    pub unit: &'static str,
    /// What the figure is of where a layer has several, such as a family of keys; empty: the layer.
    pub subject: String,
    pub before: f64,
    pub after: f64,
}

impl Comparison {
    /// A new finding above Info, or one that got worse.
    pub fn has_regressed(&self) -> bool {
        !self.worse.is_empty() || self.new.iter().any(|r| r.finding.severity > Severity::Info)
    }
}

/// Compares two audits, older first.
pub fn compare(before: (&Snapshot, &Plan), after: (&Snapshot, &Plan)) -> Comparison {
    let mut c = Comparison {
        cautions: cautions(before.0, after.0),
        layers: before.1.layers.iter().zip(&after.1.layers).map(|(b, a)| (b.layer, b.score, a.score)).collect(),
        resolved: Vec::new(),
        new: Vec::new(),
        worse: Vec::new(),
        better: Vec::new(),
        still_open: Vec::new(),
        cannot_tell: Vec::new(),
        metrics: metric_changes(before.1, after.1).into_iter().chain(families::growth(before.0, after.0)).collect(),
    };
    for old in &before.1.findings {
        match after.1.find(&old.key) {
            Some(new) => pair(&mut c, old, new),
            None => match after.1.unknown.iter().find(|(check, _)| check.id == old.check.id) {
                Some((_, gap)) => c.cannot_tell.push((old.clone(), gap.detail.clone())),
                None if was_run(after.1, old.check.id) => c.resolved.push(old.clone()),
                None => c.cannot_tell.push((old.clone(), "Its check was not run in the later audit.".to_owned())),
            },
        }
    }
    c.new = after.1.findings.iter().filter(|n| before.1.find(&n.key).is_none()).cloned().collect();
    c
}

/// Whether the plan holds an outcome of this check that could have shown the finding.
fn was_run(plan: &Plan, check: &str) -> bool {
    let found = plan.findings.iter().chain(plan.dismissed.iter().map(|(r, _)| r)).map(|r| r.check.id);
    let mut all = plan.passed.iter().map(|c| c.id).chain(plan.not_applicable.iter().map(|(c, _)| c.id)).chain(found);
    all.any(|id| id == check)
}

fn pair(c: &mut Comparison, old: &Ranked, new: &Ranked) {
    let (b, a) = (old.finding.cost.share, new.finding.cost.share);
    let pair = (old.clone(), new.clone());
    if new.finding.severity > old.finding.severity || a > b * (1.0 + CHANGE_MIN) {
        c.worse.push(pair);
    } else if new.finding.severity < old.finding.severity || a < b * (1.0 - CHANGE_MIN) {
        c.better.push(pair);
    } else {
        c.still_open.push(pair);
    }
}

fn cautions(before: &Snapshot, after: &Snapshot) -> Vec<String> {
    let mut out = Vec::new();
    let (b, a) = (&before.meta, &after.meta);
    if b.store != a.store {
        out.push(format!("The audits are of two stores: {} and {}.", b.store, a.store));
    }
    if b.taken_at > a.taken_at {
        out.push("The first audit is newer than the second: before and after are exchanged.".to_owned());
    }
    if (b.window_s - a.window_s).abs() > b.window_s.max(a.window_s) * 0.5 {
        out.push(format!("The windows differ: {} and {}.", text::seconds(b.window_s), text::seconds(a.window_s)));
    }
    let versions = (before.medusa().ok().map(|m| m.version.clone()), after.medusa().ok().map(|m| m.version.clone()));
    if let (Some(b), Some(a)) = versions
        && b != a
    {
        out.push(format!("Medusa was updated from {b} to {a}."));
    }
    if let (Some(b), Some(a)) = (calls(before), calls(after))
        && (b.max(a) > 2.0 * b.min(a))
    {
        out.push(format!("The load differs: {} statements in one window, {} in the other.", text::number(b), text::number(a)));
    }
    out
}

fn calls(snapshot: &Snapshot) -> Option<f64> {
    let window = snapshot.pg().ok()?.statements().ok()?.total.window?;
    Some(window.calls as f64)
}

fn metric_changes(before: &Plan, after: &Plan) -> Vec<MetricChange> {
    let mut out = Vec::new();
    for (b, a) in before.layers.iter().zip(&after.layers) {
        for old in &b.metrics {
            if let Some(new) = a.metrics.iter().find(|m| m.id == old.id) {
                out.push(MetricChange { layer: b.layer, id: old.id, unit: old.unit, subject: String::new(), before: old.value, after: new.value });
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::Judged;
    use crate::demo;
    use crate::evidence::{Cause, Gap, Section};
    use crate::finding::Outcome;
    use crate::plan;

    /// The first finding of the demo store, and what a later audit says of its check.
    fn later(outcome: Option<Outcome>) -> Comparison {
        let snapshot = demo::snapshot();
        let before = plan::build(&snapshot, &[], |_| true);
        let check = before.findings[0].check;
        let judged = outcome.map(|outcome| Judged { check, outcome });
        let after = plan::from_outcomes(&snapshot, judged.into_iter().collect(), &[]);
        let only = plan::build(&snapshot, &[], |c| c.id == check.id);
        compare((&snapshot, &only), (&snapshot, &after))
    }

    #[test]
    fn what_passed_is_resolved() {
        let c = later(Some(Outcome::Passed));
        assert!(!c.resolved.is_empty() && c.cannot_tell.is_empty());
    }

    #[test]
    fn what_was_not_checked_is_never_resolved() {
        let gap = Gap::new(Section::Postgres, Cause::Unreachable, "The host did not answer.");
        for outcome in [Some(Outcome::Unknown(gap)), None] {
            let c = later(outcome);
            assert!(c.resolved.is_empty() && !c.cannot_tell.is_empty());
            assert!(markdown(&c).contains("## Cannot tell"));
        }
    }
}
