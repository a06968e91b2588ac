//! A score a layer, with documented weights, and the layer's key figures.
//!
//! The score starts at 100 and every open finding takes a share of what is left: a Critical 35 %, a High 20 %, a Medium 8 %, a Low 2 %,
//! an Info nothing. Symptoms take nothing: their cause has. So one more problem never raises a score, and no number of small ones
//! reaches what a single Critical does at once. A layer that was not read, or about which no check could tell anything, has no score.

use crate::checks::measures;
use crate::evidence::{Cause, Layer, Snapshot};
use crate::finding::Severity;

use super::Plan;

/// Share of the remaining score that one finding takes.
pub fn penalty(severity: Severity) -> f64 {
    match severity {
        Severity::Critical => 0.35,
        Severity::High => 0.20,
        Severity::Medium => 0.08,
        Severity::Low => 0.02,
        Severity::Info => 0.0,
    }
}

/// How far a layer was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LayerStatus {
    Audited,
    /// Some sections are gaps.
    Partial,
    Unreachable,
    NotConfigured,
}

impl LayerStatus {
    pub fn id(self) -> &'static str {
        match self {
            LayerStatus::Audited => "audited",
            LayerStatus::Partial => "partial",
            LayerStatus::Unreachable => "unreachable",
            LayerStatus::NotConfigured => "not_configured",
        }
    }
}

/// One layer at a glance.
#[derive(Debug, Clone)]
pub struct LayerSummary {
    pub layer: Layer,
    pub status: LayerStatus,
    /// 0…100; `None` where the layer was not read.
    pub score: Option<u32>,
    /// Open findings, symptoms left out, worst severity first; zeros included.
    pub counts: [(Severity, usize); 5],
    pub metrics: Vec<Metric>,
    /// Why it was not read or what is missing, in a sentence.
    pub note: Option<String>,
}

/// A key figure of a layer, as in the JSON report.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric {
    /// `pg.database_time_per_s`.
    pub id: &'static str,
    pub value: f64,
    /// "s/s", "ratio", "ms", "bytes", "1/s".
    pub unit: &'static str,
    pub target: Option<f64>,
    /// "window", "since_reset", "24h", "probe".
    pub basis: &'static str,
}

/// Sums a layer up.
pub fn summary(layer: Layer, snapshot: &Snapshot, plan: &Plan) -> LayerSummary {
    let (status, note) = status(layer, snapshot);
    let own = || plan.findings.iter().filter(|r| r.check.layer == layer && r.symptom_of.is_none());
    let is_judged = plan.passed.iter().any(|c| c.layer == layer) || plan.findings.iter().any(|r| r.check.layer == layer);
    let is_read = matches!(status, LayerStatus::Audited | LayerStatus::Partial) && is_judged;
    let left: f64 = own().map(|r| 1.0 - penalty(r.finding.severity)).product();
    LayerSummary {
        layer,
        status,
        score: is_read.then(|| (left * 100.0).round() as u32),
        counts: Severity::ALL_DOWN.map(|s| (s, own().filter(|r| r.finding.severity == s).count())),
        metrics: metrics(layer, snapshot),
        note,
    }
}

fn status(layer: Layer, snapshot: &Snapshot) -> (LayerStatus, Option<String>) {
    let gap = match layer {
        Layer::Postgres => snapshot.postgres.as_ref().err(),
        Layer::Redis => snapshot.redis.as_ref().err(),
        // Any side is enough to judge the edge: an account's settings and figures or what the storefront answers.
        Layer::Cdn if snapshot.storefront.is_ok() || snapshot.cloudfront.is_ok() => None,
        // Of two that could not be read the one that was asked for tells why.
        Layer::Cdn => match (snapshot.cdn.as_ref().err(), snapshot.cloudfront.as_ref().err()) {
            (Some(gap), Some(other)) if gap.cause == Cause::NotConfigured => Some(other).filter(|o| o.cause != Cause::NotConfigured).or(Some(gap)),
            (gap, _) => gap,
        },
        Layer::App if snapshot.postgres.is_ok() => None,
        Layer::App => snapshot.storefront.as_ref().err(),
    };
    if let Some(gap) = gap {
        let status = if gap.cause == Cause::NotConfigured { LayerStatus::NotConfigured } else { LayerStatus::Unreachable };
        return (status, Some(gap.detail.clone()));
    }
    let instances_down =
        layer == Layer::Redis && snapshot.redis.as_ref().is_ok_and(|r| !r.instances.is_empty() && r.instances.iter().all(|i| i.server.is_err()));
    if instances_down {
        return (LayerStatus::Unreachable, snapshot.gaps().into_iter().find(|g| g.section.layer() == Layer::Redis).map(|g| g.detail));
    }
    let gaps: Vec<_> = snapshot.gaps().into_iter().filter(|g| g.section.layer() == layer && g.cause != Cause::NotConfigured).collect();
    match gaps.first() {
        None => (LayerStatus::Audited, None),
        Some(first) => (LayerStatus::Partial, Some(first.detail.clone())),
    }
}

fn metrics(layer: Layer, snapshot: &Snapshot) -> Vec<Metric> {
    match layer {
        Layer::Cdn => cdn_metrics(snapshot),
        Layer::Redis => redis_metrics(snapshot),
        Layer::Postgres => postgres_metrics(snapshot),
        Layer::App => app_metrics(snapshot),
    }
}

fn cdn_metrics(snapshot: &Snapshot) -> Vec<Metric> {
    let mut out = Vec::new();
    if let Ok(rate) = measures::cdn_hit_ratio(snapshot) {
        let target = Some(snapshot.meta.targets.cdn_hit_ratio_min);
        out.push(Metric { id: "cdn.hit_ratio_cacheable", value: rate.rate(), unit: "ratio", target, basis: "24h" });
    }
    if let Ok(analytics) = snapshot.cloudflare().and_then(|c| c.analytics()) {
        let all = measures::cdn_hit_ratio_of_all(analytics);
        out.push(Metric { id: "cdn.hit_ratio_all", value: all.rate(), unit: "ratio", target: None, basis: "24h" });
        if all.span_s > 0.0 {
            out.push(Metric { id: "cdn.requests_per_s", value: all.of as f64 / all.span_s, unit: "1/s", target: None, basis: "24h" });
        }
    }
    out
}

fn redis_metrics(snapshot: &Snapshot) -> Vec<Metric> {
    let mut out = Vec::new();
    if let Ok(rate) = measures::redis_hit_rate(snapshot) {
        let basis = if rate.period.ends_with("window") { "window" } else { "since_reset" };
        let target = Some(snapshot.meta.targets.redis_hit_rate_min);
        out.push(Metric { id: "redis.product_hit_rate", value: rate.rate(), unit: "ratio", target, basis });
    }
    let Ok(redis) = snapshot.redis() else { return out };
    let servers: Vec<_> = redis.instances.iter().filter_map(|i| i.server().ok()).collect();
    if !servers.is_empty() {
        let used: u64 = servers.iter().map(|s| s.used_memory).sum();
        out.push(Metric { id: "redis.memory_used", value: used as f64, unit: "bytes", target: None, basis: "window" });
    }
    let windows: Vec<_> = servers.iter().filter_map(|s| s.counters.window).collect();
    if !windows.is_empty() && snapshot.meta.window_s > 0.0 {
        let commands: u64 = windows.iter().map(|w| w.commands).sum();
        let value = commands as f64 / snapshot.meta.window_s;
        out.push(Metric { id: "redis.commands_per_s", value, unit: "1/s", target: None, basis: "window" });
    }
    out
}

fn postgres_metrics(snapshot: &Snapshot) -> Vec<Metric> {
    let mut out = Vec::new();
    let Ok(pg) = snapshot.pg() else { return out };
    let window_s = snapshot.meta.window_s;
    if let (Ok(statements), true) = (pg.statements(), window_s > 0.0)
        && let Some(w) = statements.total.window
    {
        out.push(Metric { id: "pg.database_time_per_s", value: w.total_ms / 1e3 / window_s, unit: "s/s", target: None, basis: "window" });
        out.push(Metric { id: "pg.calls_per_s", value: w.calls as f64 / window_s, unit: "1/s", target: None, basis: "window" });
    }
    if let Ok(server) = pg.server() {
        let (counters, basis) = server.counters.window.map_or((server.counters.total, "since_reset"), |w| (w, "window"));
        let reads = counters.blocks_hit + counters.blocks_read;
        if reads > 0 {
            let value = counters.blocks_hit as f64 / reads as f64;
            out.push(Metric { id: "pg.cache_hit_ratio", value, unit: "ratio", target: None, basis });
        }
        out.push(Metric { id: "pg.database_bytes", value: server.database_bytes as f64, unit: "bytes", target: None, basis: "window" });
    }
    if let Ok(activity) = pg.activity() {
        let usable = activity.max_connections.saturating_sub(activity.reserved);
        if usable > 0 {
            let value = f64::from(activity.connections) / f64::from(usable);
            out.push(Metric { id: "pg.connections_used_ratio", value, unit: "ratio", target: None, basis: "window" });
        }
    }
    out
}

fn app_metrics(snapshot: &Snapshot) -> Vec<Metric> {
    let target = Some(snapshot.meta.targets.p95_ms_max);
    measures::api_p95(snapshot)
        .map(|l| vec![Metric { id: "app.p95_ms", value: l.p95_ms, unit: "ms", target, basis: "probe" }])
        .unwrap_or_else(|_| Vec::new())
}
