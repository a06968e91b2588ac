//! From outcomes to one ranking across the layers, in words that say why each step stands where it does.

mod causes;
pub mod score;
pub mod targets;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use time::Date;

use crate::checks::{self, Check, Judged};
use crate::evidence::{Gap, Layer, Section, Snapshot};
use crate::finding::{Confidence, Finding, Outcome, Resource, Severity};
use crate::text;
use causes::cause_of;
use score::LayerSummary;
use targets::{Gauge, RequestPath};

/// Everything a page or a report shows of one audit.
pub struct Plan {
    /// Open findings, best first; a symptom follows its cause.
    pub findings: Vec<Ranked>,
    pub passed: Vec<&'static Check>,
    pub not_applicable: Vec<(&'static Check, String)>,
    pub unknown: Vec<(&'static Check, Gap)>,
    pub dismissed: Vec<(Ranked, Dismissal)>,
    /// In the order of [`Layer::ALL`].
    pub layers: Vec<LayerSummary>,
    pub gauges: Vec<Gauge>,
    pub request_path: RequestPath,
}

/// One finding in its place.
#[derive(Debug, Clone)]
pub struct Ranked {
    /// 1 is first. A symptom carries the rank of its cause.
    pub rank: u32,
    pub check: &'static Check,
    /// `pg-missing-index:public.image(product_id)`: stable between runs.
    pub key: String,
    pub finding: Finding,
    /// The number the ranking sorts by, 0…1.
    pub weight: f64,
    /// Why it stands here, most important first, as clauses.
    pub because: Vec<String>,
    /// The same as a sentence that compares it with its neighbour.
    pub why_here: String,
    /// Key of the finding that explains this one.
    pub symptom_of: Option<String>,
    /// Keys of the findings that touch the same request, in the order CDN, Redis, Postgres, application; itself included.
    pub along: Vec<String>,
}

/// A finding the user has set aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dismissal {
    pub key: String,
    pub reason: String,
    pub by: String,
    /// Dismissed up to and including this day; findings come back after it.
    pub until: Date,
}

/// How much a full share (1.0) of a resource weighs against the others. Database time and latency are what shoppers wait for;
/// origin requests and Redis time are on the way there; bytes, memory and disk cost money first. A loss stands between: it costs
/// nothing until it happens, then orders.
pub fn resource_weight(resource: Resource) -> f64 {
    match resource {
        Resource::DatabaseTime => 1.0,
        Resource::Latency => 0.9,
        Resource::Risk => 0.8,
        Resource::OriginRequests => 0.75,
        Resource::RedisTime => 0.7,
        Resource::Bytes => 0.6,
        Resource::Memory => 0.4,
        Resource::Storage => 0.3,
        Resource::Insight => 0.1,
    }
}

/// Judges the snapshot with every check that `wanted` lets through and ranks what they found.
pub fn build(snapshot: &Snapshot, dismissals: &[Dismissal], wanted: impl Fn(&Check) -> bool) -> Plan {
    from_outcomes(snapshot, checks::run_all(snapshot, wanted), dismissals)
}

/// Ranks given outcomes. Two findings with the same key are one problem seen twice: the heavier one stays.
pub fn from_outcomes(snapshot: &Snapshot, judged: Vec<Judged>, dismissals: &[Dismissal]) -> Plan {
    let mut plan = Plan {
        findings: Vec::new(),
        passed: Vec::new(),
        not_applicable: Vec::new(),
        unknown: Vec::new(),
        dismissed: Vec::new(),
        layers: Vec::new(),
        gauges: targets::gauges(snapshot),
        request_path: targets::request_path(snapshot),
    };
    let mut found: BTreeMap<String, Ranked> = BTreeMap::new();
    for Judged { check, outcome } in judged {
        match outcome {
            Outcome::Passed => plan.passed.push(check),
            Outcome::NotApplicable(reason) => plan.not_applicable.push((check, reason)),
            Outcome::Unknown(gap) => plan.unknown.push((check, gap)),
            Outcome::Failed(findings) => findings.into_iter().for_each(|f| keep_heavier(&mut found, ranked(check, f))),
        }
    }
    let today = snapshot.meta.taken_at.date();
    let mut open: Vec<Ranked> = Vec::new();
    for (key, finding) in found {
        match dismissals.iter().find(|d| d.key == key && d.until >= today) {
            Some(d) => plan.dismissed.push((finding, d.clone())),
            None => open.push(finding),
        }
    }
    open.sort_by(order);
    plan.findings = in_place(open);
    plan.layers = Layer::ALL.iter().map(|l| score::summary(*l, snapshot, &plan)).collect();
    plan
}

impl Plan {
    /// Findings that are steps of their own: not symptoms, and worth a step (an Info is a note).
    pub fn steps(&self) -> impl Iterator<Item = &Ranked> {
        self.findings.iter().filter(|r| r.symptom_of.is_none() && r.finding.severity > Severity::Info)
    }

    pub fn find(&self, key: &str) -> Option<&Ranked> {
        self.findings.iter().chain(self.dismissed.iter().map(|(r, _)| r)).find(|r| r.key == key)
    }

    /// Open findings by severity, worst first.
    pub fn counts(&self) -> [(Severity, usize); 5] {
        Severity::ALL_DOWN.map(|s| (s, self.findings.iter().filter(|r| r.finding.severity == s).count()))
    }

    pub fn worst(&self) -> Option<Severity> {
        self.findings.iter().map(|r| r.finding.severity).max()
    }

    /// Checks that were run or would have been.
    pub fn checks_total(&self) -> usize {
        let failed: std::collections::BTreeSet<&str> =
            self.findings.iter().map(|r| r.check.id).chain(self.dismissed.iter().map(|(r, _)| r.check.id)).collect();
        self.passed.len() + self.not_applicable.len() + self.unknown.len() + failed.len()
    }

    /// Gaps grouped by cause: the checks that wait for the same thing.
    pub fn unknown_by_cause(&self) -> Vec<(Gap, Vec<&'static Check>)> {
        let mut groups: Vec<(Gap, Vec<&'static Check>)> = Vec::new();
        for (check, gap) in &self.unknown {
            match groups.iter_mut().find(|(g, _)| g.cause == gap.cause && (g.section == gap.section || gap.cause.remedy().is_some())) {
                Some((_, checks)) => checks.push(check),
                None => groups.push((gap.clone(), vec![check])),
            }
        }
        // What a grant or a setting would unlock comes first; a layer that is not set up comes last.
        groups.sort_by_key(|(gap, checks)| (gap.cause.remedy().is_none(), is_whole_layer(gap.section), std::cmp::Reverse(checks.len()), gap.section));
        groups
    }
}

fn is_whole_layer(section: Section) -> bool {
    matches!(section, Section::Postgres | Section::Redis | Section::Cdn | Section::CloudFront | Section::Storefront)
}

fn keep_heavier(found: &mut BTreeMap<String, Ranked>, new: Ranked) {
    match found.get(&new.key) {
        Some(old) if order(old, &new).is_le() => {}
        _ => {
            found.insert(new.key.clone(), new);
        }
    }
}

fn ranked(check: &'static Check, finding: Finding) -> Ranked {
    let weight = weight(&finding);
    Ranked {
        rank: 0,
        check,
        key: format!("{}:{}", check.id, finding.subject.name),
        because: because(&finding),
        why_here: String::new(),
        symptom_of: None,
        along: Vec::new(),
        weight,
        finding,
    }
}

/// Measured cost first; what nobody measured (low confidence) counts for less; a note never outweighs a problem.
fn weight(finding: &Finding) -> f64 {
    let certainty = match finding.confidence {
        Confidence::High => 1.0,
        Confidence::Medium => 0.9,
        Confidence::Low => 0.6,
    };
    let note = if finding.severity == Severity::Info { 0.05 } else { 1.0 };
    let share = if finding.cost.share.is_finite() { finding.cost.share.clamp(0.0, 1.0) } else { 0.0 };
    share * resource_weight(finding.cost.resource) * certainty * note
}

/// Notes last; then cost, confidence, effort, severity; the key makes it total.
fn order(a: &Ranked, b: &Ranked) -> std::cmp::Ordering {
    let is_note = |r: &Ranked| r.finding.severity == Severity::Info;
    is_note(a)
        .cmp(&is_note(b))
        .then_with(|| b.weight.total_cmp(&a.weight))
        .then_with(|| b.finding.confidence.cmp(&a.finding.confidence))
        .then_with(|| a.finding.effort.cmp(&b.finding.effort))
        .then_with(|| b.finding.severity.cmp(&a.finding.severity))
        .then_with(|| a.key.cmp(&b.key))
}

/// Hangs symptoms under their causes, numbers the rest and says why each stands where it does.
fn in_place(mut sorted: Vec<Ranked>) -> Vec<Ranked> {
    let causes: Vec<Option<String>> = sorted.iter().map(|r| cause_of(r, &sorted)).collect();
    let along: Vec<Vec<String>> = sorted.iter().map(|r| along(r, &sorted)).collect();
    for ((r, cause), along) in sorted.iter_mut().zip(causes).zip(along) {
        r.symptom_of = cause;
        r.along = along;
    }
    let (symptoms, mut steps): (Vec<Ranked>, Vec<Ranked>) = sorted.into_iter().partition(|r| r.symptom_of.is_some());
    for (i, step) in steps.iter_mut().enumerate() {
        step.rank = i as u32 + 1;
    }
    let sentences: Vec<String> = (0..steps.len()).map(|i| why_here(&steps, i)).collect();
    let mut out = Vec::with_capacity(steps.len() + symptoms.len());
    for (mut step, sentence) in steps.into_iter().zip(sentences) {
        step.why_here = sentence;
        let (key, rank, title) = (step.key.clone(), step.rank, step.finding.step.clone());
        out.push(step);
        for symptom in symptoms.iter().filter(|s| s.symptom_of.as_deref() == Some(&key)) {
            let mut symptom = symptom.clone();
            symptom.rank = rank;
            symptom.why_here = format!("A symptom of rank {rank}: \"{title}\" removes it.");
            out.push(symptom);
        }
    }
    out
}

fn shares_touch(a: &Finding, b: &Finding) -> bool {
    a.touches.iter().any(|t| b.touches.contains(t))
}

fn along(r: &Ranked, all: &[Ranked]) -> Vec<String> {
    let mut on_path: Vec<&Ranked> = all.iter().filter(|o| o.key == r.key || shares_touch(&o.finding, &r.finding)).collect();
    if on_path.len() < 2 {
        return Vec::new();
    }
    on_path.sort_by_key(|o| o.check.layer);
    on_path.iter().map(|o| o.key.clone()).collect()
}

fn because(finding: &Finding) -> Vec<String> {
    let mut clauses = vec![cost_clause(finding)];
    clauses.push(finding.confidence_because.clone());
    clauses.push(format!("the fix takes {}", finding.effort.id()));
    clauses.retain(|c| !c.is_empty());
    clauses
}

fn cost_clause(finding: &Finding) -> String {
    let share = text::percent(finding.cost.share);
    match finding.cost.resource {
        Resource::DatabaseTime => format!("{share} of database time"),
        Resource::OriginRequests => format!("{share} of cacheable requests"),
        Resource::Latency => format!("{share} of the slowest endpoint's P95"),
        Resource::Bytes => format!("{share} of the bytes served"),
        Resource::RedisTime => format!("{share} of Redis work"),
        Resource::Memory => format!("{share} of Redis memory"),
        Resource::Storage => format!("{share} of the database's disk"),
        Resource::Risk => format!("a risk of {}", finding.averts.as_deref().unwrap_or("loss")),
        Resource::Insight => "nothing is lost by it, something cannot be seen".to_owned(),
    }
}

fn why_here(steps: &[Ranked], i: usize) -> String {
    let this = &steps[i].finding;
    let own = cost_clause(this);
    match (i.checked_sub(1).map(|p| &steps[p]), steps.get(i + 1)) {
        (None, None) => format!("The only step: it costs {own}."),
        (None, Some(next)) => format!("No other finding costs more: {own}, against {} at rank {}.", cost_clause(&next.finding), next.rank),
        (Some(above), _) => {
            let tie = (above.weight - steps[i].weight).abs() < 1e-9;
            let reason = if tie && above.finding.confidence != this.confidence {
                "is as costly and surer"
            } else if tie {
                "is as costly and no slower to fix"
            } else {
                "weighs more"
            };
            format!("It costs {own}; rank {} ({}) {reason}.", above.rank, cost_clause(&above.finding))
        }
    }
}

/// For those who run only a part: `layer` or `check id`.
pub fn is_selected(check: &Check, only: &[String], skip: &[String]) -> bool {
    let named = |list: &[String]| list.iter().any(|n| n == check.id || n == check.layer.id());
    (only.is_empty() || named(only)) && !named(skip)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::always;
    use crate::evidence::{Meta, Targets};
    use crate::finding::{Cost, Effort, Subject};
    use time::macros::{date, datetime};

    static CAUSE: Check = check("pg-cause", &[]);
    static SYMPTOM: Check = check("pg-symptom", &["pg-cause"]);

    const fn check(id: &'static str, symptom_of: &'static [&'static str]) -> Check {
        Check {
            id,
            layer: Layer::Postgres,
            title: "A title",
            passed: "Fine.",
            why: "",
            remedy: "",
            method: "",
            effort: Effort::Minutes,
            references: &[],
            needs: &[],
            uses: &[],
            symptom_of,
            applies_to: always,
            evaluate: |_| Ok(Vec::new()),
        }
    }

    fn finding(name: &str, share: f64, touches: &[&str]) -> Finding {
        Finding {
            subject: Subject::new("table", name),
            observed: String::new(),
            step: format!("Mend {name}"),
            evidence: Vec::new(),
            severity: Severity::from_share(share),
            confidence: Confidence::High,
            confidence_because: "measured".into(),
            effort: Effort::Minutes,
            cost: Cost { resource: Resource::DatabaseTime, share },
            gain: None,
            averts: None,
            remedies: Vec::new(),
            verify: String::new(),
            touches: touches.iter().map(|t| (*t).to_owned()).collect(),
        }
    }

    fn snapshot() -> Snapshot {
        Snapshot::empty(Meta {
            tool_version: "0".into(),
            store: "s".into(),
            environment: "demo".into(),
            taken_at: datetime!(2026-11-23 09:30 UTC),
            window_s: 30.0,
            window_asked_s: 30.0,
            cancelled: false,
            targets: Targets::default(),
        })
    }

    fn plan(found: Vec<(&'static Check, Vec<Finding>)>, dismissals: &[Dismissal]) -> Plan {
        let judged = found.into_iter().map(|(check, f)| Judged { check, outcome: Outcome::Failed(f) }).collect();
        from_outcomes(&snapshot(), judged, dismissals)
    }

    #[test]
    fn measured_cost_decides_the_order() {
        let p = plan(vec![(&CAUSE, vec![finding("small", 0.01, &[]), finding("large", 0.9, &[]), finding("middle", 0.2, &[])])], &[]);
        let names: Vec<&str> = p.findings.iter().map(|r| r.finding.subject.name.as_str()).collect();
        assert_eq!(names, ["large", "middle", "small"]);
        assert_eq!(p.findings.iter().map(|r| r.rank).collect::<Vec<_>>(), [1, 2, 3]);
        assert!(p.findings[0].why_here.starts_with("No other finding costs more"));
    }

    #[test]
    fn a_symptom_hangs_under_its_cause_and_is_no_step() {
        let p = plan(
            vec![(&SYMPTOM, vec![finding("s", 0.95, &["statement:1"])]), (&CAUSE, vec![finding("c", 0.9, &["statement:1"]), finding("d", 0.5, &[])])],
            &[],
        );
        let keys: Vec<(&str, u32)> = p.findings.iter().map(|r| (r.key.as_str(), r.rank)).collect();
        assert_eq!(keys, [("pg-cause:c", 1), ("pg-symptom:s", 1), ("pg-cause:d", 2)]);
        assert_eq!(p.steps().count(), 2);
    }

    #[test]
    fn a_symptom_of_something_else_stands_alone() {
        let p = plan(vec![(&SYMPTOM, vec![finding("s", 0.95, &["statement:2"])]), (&CAUSE, vec![finding("c", 0.9, &["statement:1"])])], &[]);
        assert_eq!(p.findings[0].key, "pg-symptom:s");
        assert_eq!(p.findings[0].symptom_of, None);
    }

    #[test]
    fn a_dismissal_ends_with_its_day() {
        let d = |until| Dismissal { key: "pg-cause:c".into(), reason: "known".into(), by: "me".into(), until };
        let found = || vec![(&CAUSE, vec![finding("c", 0.9, &[])])];
        assert_eq!(plan(found(), &[d(date!(2026 - 11 - 23))]).findings.len(), 0);
        assert_eq!(plan(found(), &[d(date!(2026 - 11 - 22))]).findings.len(), 1);
    }

    #[test]
    fn ranks_are_the_numbers_one_to_n_whatever_the_order_of_findings() {
        let mut all: Vec<Finding> = (0..20).map(|i| finding(&format!("t{i}"), f64::from(i % 5) / 5.0, &[])).collect();
        let forward = plan(vec![(&CAUSE, all.clone())], &[]);
        all.reverse();
        let backward = plan(vec![(&CAUSE, all)], &[]);
        let keys = |p: &Plan| p.findings.iter().map(|r| (r.rank, r.key.clone())).collect::<Vec<_>>();
        assert_eq!(keys(&forward), keys(&backward));
        assert_eq!(forward.findings.iter().map(|r| r.rank).collect::<Vec<_>>(), (1..=20).collect::<Vec<_>>());
    }
}
