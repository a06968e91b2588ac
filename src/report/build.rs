//! From snapshot and plan to the report's plain data.

use super::{
    Block, Cost, Dismissed, Entry, LayerEntry, MetricEntry, NotApplicable, NotChecked, Options, Passed, Path, Report, Segment, Step, Store, Target,
    Unknown, method, words,
};
use crate::charts::{self, ChartSpec};
use crate::evidence::{Cause, Gap, Layer, Snapshot};
use crate::finding::{Cell, Evidence, Finding};
use crate::plan::score::{LayerStatus, LayerSummary};
use crate::plan::targets::{Gauge, RequestPath};
use crate::plan::{Plan, Ranked};
use crate::text;

/// Findings named along the same request; then "and 12 more".
const ALONG_MAX: usize = 6;

pub(super) fn report(snapshot: &Snapshot, plan: &Plan, options: &Options) -> Report {
    let taken_at = snapshot.meta.taken_at;
    Report {
        title: options.title.clone(),
        parts: options.parts.clone(),
        is_masked: options.mask_hosts,
        tool_version: snapshot.meta.tool_version.clone(),
        store: store(snapshot),
        taken_at,
        date: text::date(taken_at),
        date_time: text::date_time(taken_at),
        window_s: finite(snapshot.meta.window_s),
        cover: cover(snapshot, plan),
        layers: plan.layers.iter().map(layer).collect(),
        summary: words::summary(plan),
        not_checked_line: words::not_checked_line(plan),
        targets: plan.gauges.iter().map(target).collect(),
        path: path(&plan.request_path),
        steps: plan.steps().map(|r| step(r, plan)).collect(),
        findings: plan.findings.iter().map(|r| entry(r, plan)).collect(),
        charts: charts::all(snapshot).into_iter().map(finite_chart).collect(),
        passed: plan.passed.iter().map(|c| Passed { check: c.id.into(), layer: c.layer, observed: c.passed.into() }).collect(),
        not_applicable: plan
            .not_applicable
            .iter()
            .map(|(c, reason)| NotApplicable { check: c.id.into(), layer: c.layer, title: c.title.into(), reason: reason.clone() })
            .collect(),
        unknown: plan.unknown.iter().map(|(c, gap)| unknown(c.id, gap)).collect(),
        not_checked: plan.unknown_by_cause().iter().map(|(gap, checks)| not_checked(gap, checks)).collect(),
        dismissed: plan.dismissed.iter().map(|(r, d)| dismissed(r, d)).collect(),
        method: method::facts(snapshot, plan),
        costs: snapshot.costs.iter().map(cost).collect(),
    }
}

fn store(snapshot: &Snapshot) -> Store {
    let medusa = snapshot.medusa().ok();
    let mut scale: Vec<String> = medusa.iter().map(|m| format!("Medusa {}", m.version)).collect();
    scale.extend(rows_of(snapshot, "product").map(|(n, about)| format!("{about}{}", text::plural(n, "product", "products"))));
    scale.extend(rows_of(snapshot, "order").map(|(n, about)| format!("{about}{}", text::plural(n, "order", "orders"))));
    Store {
        name: snapshot.meta.store.clone(),
        environment: snapshot.meta.environment.clone(),
        medusa_major: medusa.map(|m| m.major),
        medusa_version: medusa.map(|m| m.version.clone()),
        scale: scale.join(", "),
    }
}

/// Rows of a Medusa table: counted where the audit counted, else the planner's estimate ("about").
fn rows_of(snapshot: &Snapshot, table: &str) -> Option<(u64, &'static str)> {
    let pg = snapshot.pg().ok()?;
    let bare = |name: &str| name.rsplit('.').next().unwrap_or(name).trim_matches('"').to_owned();
    let about = |is_estimate| if is_estimate { "about " } else { "" };
    let counted = pg.row_counts().ok().and_then(|rows| rows.iter().find(|r| r.what == "total" && bare(&r.table) == table));
    if let Some(count) = counted {
        return Some((count.rows, about(count.is_estimate)));
    }
    let schema = &pg.medusa().ok()?.schema;
    let estimated = pg.tables().ok()?.rows.iter().find(|t| t.name == table && &t.schema == schema)?;
    estimated.rows().map(|n| (n, about(true)))
}

fn cover(snapshot: &Snapshot, plan: &Plan) -> Vec<Block> {
    let n = |n: usize| text::count(n as u64);
    let worst: Vec<String> =
        plan.counts().iter().filter(|(_, n)| *n > 0).take(2).map(|(s, n)| format!("{} {}", text::count(*n as u64), s.id())).collect();
    let is_cdn_read = snapshot.cloudflare().is_ok_and(|c| c.analytics().is_ok()) || snapshot.cloudfront().is_ok_and(|c| c.metrics().is_ok());
    let window = snapshot.meta.window_s;
    vec![
        Block {
            figure: n(plan.findings.len()),
            label: if plan.findings.len() == 1 { "finding" } else { "findings" }.into(),
            context: match (worst.is_empty(), plan.passed.len()) {
                (false, _) => worst.join(", "),
                (true, 0) => "nothing could be judged".into(),
                (true, _) => "nothing to do".into(),
            },
        },
        Block {
            figure: n(plan.passed.len()),
            label: if plan.passed.len() == 1 { "check passed" } else { "checks passed" }.into(),
            context: format!("{} {} not apply", n(plan.not_applicable.len()), if plan.not_applicable.len() == 1 { "does" } else { "do" }),
        },
        Block {
            figure: n(plan.unknown.len()),
            label: "not checked".into(),
            context: if plan.unknown.is_empty() { "every check had its evidence" } else { "reasons in this report" }.into(),
        },
        Block {
            figure: if window > 0.0 { text::seconds(window.round()) } else { "–".into() },
            label: if window > 0.0 { "observed" } else { "no second sample" }.into(),
            context: if is_cdn_read { "CDN figures 24\u{a0}h" } else { "read-only" }.into(),
        },
    ]
}

fn layer(summary: &LayerSummary) -> LayerEntry {
    let words = match summary.status {
        LayerStatus::Audited | LayerStatus::Partial if summary.score.is_none() => "not judged",
        LayerStatus::Audited | LayerStatus::Partial => "of 100",
        LayerStatus::Unreachable => "unreachable",
        LayerStatus::NotConfigured => "not connected",
    };
    let metric = |m: &crate::plan::score::Metric| MetricEntry {
        id: m.id.into(),
        value: m.value,
        unit: m.unit.into(),
        target: m.target,
        basis: m.basis.into(),
    };
    LayerEntry {
        layer: summary.layer,
        name: summary.layer.name().into(),
        status: summary.status.id().into(),
        score: summary.score,
        words: words.into(),
        note: summary.note.clone(),
        counts: summary.counts.to_vec(),
        metrics: summary.metrics.iter().filter(|m| m.value.is_finite()).map(metric).collect(),
    }
}

fn target(gauge: &Gauge) -> Target {
    let target = gauge.target_words.trim_start_matches("target ").to_owned();
    let base = Target {
        id: gauge.id.into(),
        name: gauge.name.clone(),
        shown: "not measured".into(),
        source: String::new(),
        target,
        is_met: None,
        at: None,
        target_at: finite(gauge.target_at),
    };
    match &gauge.measured {
        Ok(m) => Target {
            shown: m.shown.clone(),
            source: format!("{}; {}", m.base, m.source),
            is_met: Some(m.is_met),
            at: Some(finite(m.at).clamp(0.0, 1.0)),
            ..base
        },
        Err(gap) => Target { source: gap.detail.clone(), ..base },
    }
}

fn path(path: &RequestPath) -> Path {
    let segment = |layer: Layer, of_100: Option<f64>, context: String| Segment {
        layer,
        name: layer.name().into(),
        of_100: of_100.map(finite),
        shown: of_100.map_or_else(|| "not measured".into(), |x| text::number(x.round())),
        context,
    };
    let rest = path.redis_rate.map_or_else(|| "of the rest".to_owned(), |r| format!("{} of the rest", text::percent(r)));
    Path {
        segments: vec![
            segment(Layer::Cdn, path.cdn, "at the edge".into()),
            segment(Layer::Redis, path.redis, rest),
            segment(Layer::Postgres, path.postgres, format!("{} at both targets", text::number(path.postgres_at_targets.round()))),
        ],
        sentence: path.sentence.clone(),
    }
}

fn step(ranked: &Ranked, plan: &Plan) -> Step {
    let finding = &ranked.finding;
    let (gain, basis) = match (&finding.gain, &finding.averts) {
        (Some(gain), _) => (gain.words.clone(), gain.basis.name().to_owned()),
        (None, Some(averts)) => (format!("no {averts}"), "risk".to_owned()),
        (None, None) => ("–".to_owned(), String::new()),
    };
    Step {
        rank: ranked.rank,
        key: ranked.key.clone(),
        severity: finding.severity,
        layer: ranked.check.layer,
        step: finding.step.clone(),
        observed: finding.observed.clone(),
        gain,
        basis,
        effort: finding.effort.id().into(),
        symptoms: plan.findings.iter().filter(|r| r.symptom_of.as_deref() == Some(&ranked.key)).count(),
        why_here: ranked.why_here.clone(),
    }
}

fn entry(ranked: &Ranked, plan: &Plan) -> Entry {
    let others: Vec<&Ranked> = ranked.along.iter().filter(|key| **key != ranked.key).filter_map(|key| plan.find(key)).collect();
    let line = |r: &&Ranked| format!("Rank {}, {}: {} ({})", r.rank, r.check.layer.name(), r.check.title, r.finding.subject.name);
    let mut along: Vec<String> = others.iter().take(ALONG_MAX).map(line).collect();
    if others.len() > ALONG_MAX {
        along.push(format!("and {} more", text::count((others.len() - ALONG_MAX) as u64)));
    }
    Entry {
        rank: ranked.rank,
        check: ranked.check.id.into(),
        key: ranked.key.clone(),
        layer: ranked.check.layer,
        title: ranked.check.title.into(),
        why: ranked.check.why.into(),
        because: ranked.because.clone(),
        why_here: ranked.why_here.clone(),
        symptom_of: ranked.symptom_of.as_deref().and_then(|key| plan.find(key)).map(|r| r.finding.step.clone()),
        along,
        references: ranked.check.references.iter().map(|r| (*r).to_owned()).collect(),
        finding: finite_finding(ranked.finding.clone()),
    }
}

fn unknown(check: &str, gap: &Gap) -> Unknown {
    Unknown { check: check.into(), cause: gap.cause.id().into(), detail: gap.detail.clone(), remedy: gap.cause.remedy().map(str::to_owned) }
}

fn not_checked(gap: &Gap, checks: &[&'static crate::checks::Check]) -> NotChecked {
    let layer = gap.section.layer();
    let is_layer = gap.section.name() == layer.name() || matches!(gap.cause, Cause::NotConfigured);
    let what = if is_layer { capital(gap.section.name()) } else { format!("{}, {}", layer.name(), gap.section.name()) };
    NotChecked {
        layer,
        what,
        cause: gap.cause.id().into(),
        detail: gap.detail.clone(),
        remedy: gap.cause.remedy().map(str::to_owned),
        checks: checks.iter().map(|c| (c.id.to_owned(), c.title.to_owned())).collect(),
    }
}

fn capital(s: &str) -> String {
    let mut chars = s.chars();
    chars.next().map_or_else(String::new, |c| c.to_uppercase().chain(chars).collect())
}

fn dismissed(ranked: &Ranked, dismissal: &crate::plan::Dismissal) -> Dismissed {
    Dismissed {
        check: ranked.check.id.into(),
        key: ranked.key.clone(),
        title: ranked.check.title.into(),
        reason: dismissal.reason.clone(),
        by: dismissal.by.clone(),
        until: dismissal.until.to_string(),
    }
}

fn cost(cost: &crate::evidence::LayerCost) -> Cost {
    let calls = match cost.layer {
        Layer::Postgres => text::plural(cost.calls, "query", "queries"),
        Layer::Redis => text::plural(cost.calls, "command", "commands"),
        Layer::Cdn | Layer::App => text::plural(cost.calls, "request", "requests"),
    };
    Cost {
        layer: cost.layer,
        calls,
        busy: cost.busy_ms.map_or_else(|| "not measured".into(), text::millis),
        wall: text::millis(cost.wall_ms),
        bytes: text::bytes_disk(cost.bytes),
    }
}

/// JSON and SVG know no infinity: a number that is none reads as zero where it is a position on a scale.
fn finite(x: f64) -> f64 {
    if x.is_finite() { x } else { 0.0 }
}

fn finite_chart(mut chart: ChartSpec) -> ChartSpec {
    for series in &mut chart.series {
        series.points.retain(|p| p.0.is_finite());
        series.points.iter_mut().for_each(|p| p.1 = p.1.filter(|v| v.is_finite()));
    }
    chart.target = chart.target.filter(|t| t.is_finite());
    chart
}

/// Evidence whose number is none keeps its words.
fn finite_finding(mut finding: Finding) -> Finding {
    finding.cost.share = finite(finding.cost.share);
    for evidence in &mut finding.evidence {
        match evidence {
            Evidence::Figure { label, value, shown, .. } if !value.is_finite() => *evidence = Evidence::text(label, shown.clone()),
            Evidence::BeforeAfter { label, before, after, .. } if !(before.is_finite() && after.is_finite()) => {
                *evidence = Evidence::text(label, "not measured");
            }
            Evidence::Table { rows, .. } => rows.iter_mut().flatten().for_each(finite_cell),
            _ => {}
        }
    }
    if let Some(gain) = &mut finding.gain {
        for figure in
            [&mut gain.database_time_share, &mut gain.database_ms_per_s, &mut gain.origin_requests_per_s, &mut gain.bytes_per_s, &mut gain.p95_ms]
        {
            *figure = figure.filter(|x| x.is_finite());
        }
    }
    finding
}

fn finite_cell(cell: &mut Cell) {
    if let Cell::Number { value, shown } = cell
        && !value.is_finite()
    {
        *cell = Cell::text(shown.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::{Basis, Confidence, Effort, Gain, Resource, Severity, Subject};

    #[test]
    fn a_number_that_is_none_becomes_words() {
        let mut gain = Gain::new(Basis::Modelled, "less");
        gain.p95_ms = Some(f64::NAN);
        let finding = finite_finding(Finding {
            subject: Subject::new("table", "t"),
            observed: String::new(),
            step: String::new(),
            evidence: vec![
                Evidence::figure("Mean", f64::INFINITY, "ms", "not measured"),
                Evidence::table("Rows", &["n"], vec![vec![Cell::number(f64::NAN, "–")]]),
            ],
            severity: Severity::Low,
            confidence: Confidence::Low,
            confidence_because: String::new(),
            effort: Effort::Minutes,
            cost: crate::finding::Cost { resource: Resource::Latency, share: f64::NAN },
            gain: Some(gain),
            averts: None,
            remedies: Vec::new(),
            verify: String::new(),
            touches: Vec::new(),
        });
        assert_eq!(finding.evidence[0], Evidence::text("Mean", "not measured"));
        assert_eq!(finding.evidence[1], Evidence::table("Rows", &["n"], vec![vec![Cell::text("–")]]));
        assert_eq!(finding.gain.and_then(|g| g.p95_ms), None);
        assert_eq!(finding.cost.share, 0.0);
    }
}
