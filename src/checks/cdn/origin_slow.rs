//! The origin takes long to answer what the cache cannot.

use crate::checks::measures::{REQUESTS_MIN, is_edge_hit};
use crate::checks::{Check, always};
use crate::evidence::cdn::Analytics;
use crate::evidence::{Cause, Gap, Layer, Section, Snapshot};
use crate::finding::{Basis, Cell, Confidence, Cost, Effort, Evidence, Finding, Gain, Resource, Severity, Subject};
use crate::text;

pub static CHECK: Check = Check {
    id: "cdn-origin-slow",
    layer: Layer::Cdn,
    title: "The origin answers slowly behind the CDN",
    passed: "The origin's slowest twentieth of answers comes within a second.",
    why: "Every request that the edge cannot answer waits for the store's own machines. Past a second shoppers notice, and each of them ties up a connection \
          all the way to the database.",
    remedy: "Keep more of it at the edge, then look at database and application for what makes the slow answers slow.",
    method: "Cloudflare's analytics of the last day, requests that reached the origin: the 95th percentile of originResponseDurationMs. Fires above 1,000 ms, \
             given at least 500 such requests.",
    effort: Effort::Days,
    references: &[
        "https://developers.cloudflare.com/analytics/graphql-api/",
        "https://developers.cloudflare.com/cache/performance-review/cache-analytics/",
    ],
    needs: &[Section::CdnAnalytics],
    uses: &[],
    symptom_of: &["cdn-uncached-catalogue", "pg-missing-index", "pg-slow-statement"],
    applies_to: always,
    evaluate,
};

/// Milliseconds. Three times the guide's 300 ms for the API, since pages render several calls.
const P95_MS_MAX: f64 = 1_000.0;
/// Milliseconds: a shopper gives up.
const P95_MS_HIGH: f64 = 3_000.0;

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let analytics = snapshot.cloudflare()?.analytics()?;
    let reached: u64 = analytics.by_status.iter().filter(|s| !is_edge_hit(&s.status) && s.status != "none").map(|s| s.requests).sum();
    if reached < REQUESTS_MIN {
        let cause = Cause::TooFew { have: reached, need: REQUESTS_MIN, what: "requests at the origin".into() };
        let detail = format!("{} at the origin, {} are needed for a P95.", text::plural(reached, "request", "requests"), text::count(REQUESTS_MIN));
        return Err(Gap::new(Section::CdnAnalytics, cause, detail));
    }
    let p95 = analytics.origin_p95_ms.ok_or_else(|| {
        let remedy = "A Cloudflare plan whose analytics tell originResponseDurationMs.".to_owned();
        let cause = Cause::Absent { feature: "originResponseDurationMsP95".into(), remedy };
        Gap::new(Section::CdnAnalytics, cause, "The plan's analytics do not tell how long the origin takes.")
    })?;
    if p95 <= P95_MS_MAX {
        return Ok(Vec::new());
    }
    let all: u64 = analytics.by_status.iter().map(|s| s.requests).sum();
    let median = analytics.origin_p50_ms.map_or_else(String::new, |p50| format!(", half within {}", text::millis(p50)));
    Ok(vec![Finding {
        subject: Subject::new("zone", "origin"),
        observed: format!(
            "One in twenty of {} that reached the origin took longer than {}{median}.",
            text::plural(reached, "request", "requests"),
            text::millis(p95)
        ),
        step: "Make the origin's slow answers fast, or keep them at the edge".to_owned(),
        evidence: evidence(analytics, p95),
        severity: if p95 > P95_MS_HIGH { Severity::High } else { Severity::Medium },
        confidence: Confidence::High,
        confidence_because: "measured by Cloudflare on the shoppers' requests".to_owned(),
        effort: Effort::Days,
        cost: Cost { resource: Resource::Latency, share: ((p95 - P95_MS_MAX) / p95) * reached as f64 / all as f64 },
        gain: Some(Gain {
            p95_ms: Some(p95 - P95_MS_MAX),
            ..Gain::new(Basis::Modelled, format!("\u{2212}{} at the 95th percentile", text::millis(p95 - P95_MS_MAX)))
        }),
        averts: None,
        remedies: crate::checks::edge::remedy::remedies(
            "Keep catalogue pages at the edge where the storefront allows it",
            &[crate::checks::edge::remedy::catalogue_pages(), crate::checks::edge::remedy::bypass_shoppers()],
            "Low: pages are kept only where the storefront sends a lifetime; shoppers with a cart and personal pages pass.",
        ),
        verify: format!("A day later the 95th percentile is at most {}.", text::millis(P95_MS_MAX)),
        touches: vec!["traffic:cdn".to_owned()],
    }])
}

fn evidence(analytics: &Analytics, p95: f64) -> Vec<Evidence> {
    let mut all = vec![Evidence::figure("Origin, P95", p95, "ms", text::millis(p95))];
    all.extend(analytics.origin_p50_ms.map(|p50| Evidence::figure("Origin, median", p50, "ms", text::millis(p50))));
    let told = |ms: Option<f64>| ms.map_or_else(|| Cell::text("not told"), |ms| Cell::number(ms, text::millis(ms)));
    let classes = analytics.by_class.iter().filter(|c| c.origin_p95_ms.is_some());
    let rows: Vec<Vec<Cell>> = classes.map(|c| vec![Cell::text(c.class.name()), told(c.origin_p50_ms), told(c.origin_p95_ms)]).collect();
    if !rows.is_empty() {
        all.push(Evidence::table("Origin, by class of path", &["paths", "median", "P95"], rows));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::edge::fixtures::{analytics, store, zone_of};
    use crate::checks::http::fixtures::found;
    use crate::finding::Outcome;

    fn with(reached: u64, p95: Option<f64>) -> Outcome {
        let mut zone = zone_of(vec![]);
        zone.analytics = Ok(Analytics { origin_p95_ms: p95, ..analytics(&[("hit", 10_000), ("dynamic", reached), ("none", 900)], &[]) });
        CHECK.run(&store(zone))
    }

    #[test]
    fn a_second_is_the_boundary_and_three_are_high() {
        assert_eq!(with(1_000, Some(1_000.0)), Outcome::Passed);
        assert_eq!(found(with(1_000, Some(1_000.1)))[0].severity, Severity::Medium);
        assert_eq!(found(with(1_000, Some(3_000.0)))[0].severity, Severity::Medium);
        assert_eq!(found(with(1_000, Some(3_000.1)))[0].severity, Severity::High);
    }

    #[test]
    fn few_requests_and_silence_are_unknown() {
        assert!(matches!(with(499, Some(9_000.0)), Outcome::Unknown(_)));
        assert!(matches!(with(500, Some(9_000.0)), Outcome::Failed(_)));
        assert!(matches!(with(1_000, None), Outcome::Unknown(_)));
    }
}
