//! Too many answers are server errors.

use crate::checks::measures::REQUESTS_MIN;
use crate::checks::{Check, always};
use crate::evidence::cdn::Analytics;
use crate::evidence::{Cause, Gap, Layer, Section, Snapshot};
use crate::finding::{Cell, Confidence, Cost, Effort, Evidence, Finding, Remedy, RemedyKind, Resource, Severity, Subject};
use crate::text;

pub static CHECK: Check = Check {
    id: "cdn-origin-errors",
    layer: Layer::Cdn,
    title: "Shoppers get server errors",
    passed: "Fewer than one answer in a hundred is a server error.",
    why: "A shopper who gets an error page leaves. Errors under load point to an exhausted connection pool, a backend that restarts, or time limits between \
          Cloudflare and the origin (520 to 526).",
    remedy: "Find the paths and statuses, read the backend's log at those times, and serve stale pages while the origin is down.",
    method: "Cloudflare's analytics of the last day, eyeball requests only: answers of status 500 to 599 of all. Fires at 1 %, given at least 500 requests; \
             5 % is High.",
    effort: Effort::Hours,
    references: &[
        "https://developers.cloudflare.com/support/troubleshooting/http-status-codes/cloudflare-5xx-errors/",
        "https://developers.cloudflare.com/cache/how-to/always-online/",
    ],
    needs: &[Section::CdnAnalytics],
    uses: &[],
    symptom_of: &[],
    applies_to: always,
    evaluate,
};

/// One in a hundred: beyond the single restart of a day.
const SHARE_MIN: f64 = 0.01;
/// One in twenty loses orders.
const SHARE_HIGH: f64 = 0.05;

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let analytics = snapshot.cloudflare()?.analytics()?;
    let requests: u64 = analytics.by_status.iter().map(|s| s.requests).sum();
    if requests < REQUESTS_MIN {
        let cause = Cause::TooFew { have: requests, need: REQUESTS_MIN, what: "requests".into() };
        let detail =
            format!("{}, {} are needed to judge a share of errors.", text::plural(requests, "request", "requests"), text::count(REQUESTS_MIN));
        return Err(Gap::new(Section::CdnAnalytics, cause, detail));
    }
    let share = analytics.share_5xx.ok_or_else(|| {
        let cause = Cause::Absent { feature: "ratio.status5xx".into(), remedy: "A Cloudflare plan whose analytics tell the share of errors.".into() };
        Gap::new(Section::CdnAnalytics, cause, "The plan's analytics do not tell the share of server errors.")
    })?;
    if share < SHARE_MIN {
        return Ok(Vec::new());
    }
    let errors = (share * requests as f64).round() as u64;
    Ok(vec![Finding {
        subject: Subject::new("zone", "server errors"),
        observed: format!(
            "{} of {} ended in a server error: {}.",
            text::count(errors),
            text::plural(requests, "request", "requests"),
            text::percent(share)
        ),
        step: "Find and end the server errors".to_owned(),
        evidence: evidence(analytics, share),
        severity: if share >= SHARE_HIGH { Severity::High } else { Severity::Medium },
        confidence: Confidence::High,
        confidence_because: "counted by Cloudflare".to_owned(),
        effort: Effort::Hours,
        cost: Cost { resource: Resource::Risk, share },
        gain: None,
        averts: Some("lost orders".to_owned()),
        remedies: vec![where_to_look()],
        verify: "A day later the audit shows less than 1 % of server errors.".to_owned(),
        touches: vec!["traffic:cdn".to_owned()],
    }])
}

fn evidence(analytics: &Analytics, share: f64) -> Vec<Evidence> {
    let mut all = vec![Evidence::figure("Server errors of all requests", share, "ratio", text::percent(share))];
    let rows: Vec<Vec<Cell>> = analytics
        .by_class
        .iter()
        .filter_map(|c| Some((c.class, c.share_5xx?)))
        .filter(|(_, share)| *share > 0.0)
        .map(|(class, share)| vec![Cell::text(class.name()), Cell::number(share, text::percent(share))])
        .collect();
    if !rows.is_empty() {
        all.push(Evidence::table("Of the requests that reached the origin", &["paths", "errors"], rows));
    }
    all
}

fn where_to_look() -> Remedy {
    Remedy {
        kind: RemedyKind::Shell,
        label: "See which paths and statuses".to_owned(),
        text: "# Dashboard: Analytics & Logs → HTTP Traffic → filter Edge status code ≥ 500, then by Path and Origin status code\n\
               # 500, 502, 503 of the origin: the backend's own log at that time; 520 to 524: Cloudflare could not reach it or gave up waiting\n\
               curl -sS -X POST https://api.cloudflare.com/client/v4/graphql -H \"Authorization: Bearer $CLOUDFLARE_API_TOKEN\" --data '{\"query\":\"{ viewer { zones(filter: { zoneTag: \\\"'\"$ZONE_ID\"'\\\" }) { \
               httpRequestsAdaptiveGroups(limit: 20, orderBy: [count_DESC], filter: { edgeResponseStatus_geq: 500, datetime_geq: \\\"'\"$(date -u -d '-1 day' +%FT%TZ)\"'\\\" }) { \
               count dimensions { edgeResponseStatus clientRequestPath } } } } }\"}'"
            .to_owned(),
        lock: None,
        risk: "None: it only reads.".to_owned(),
        undo: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::edge::fixtures::{analytics, store, zone_of};
    use crate::checks::http::fixtures::found;
    use crate::finding::Outcome;

    fn with(requests: u64, share: Option<f64>) -> Outcome {
        let mut zone = zone_of(vec![]);
        zone.analytics = Ok(Analytics { share_5xx: share, ..analytics(&[("hit", requests)], &[]) });
        CHECK.run(&store(zone))
    }

    #[test]
    fn one_in_a_hundred_is_the_boundary_and_one_in_twenty_is_high() {
        assert_eq!(with(1_000, Some(0.0099)), Outcome::Passed);
        assert_eq!(found(with(1_000, Some(0.01)))[0].severity, Severity::Medium);
        assert_eq!(found(with(1_000, Some(0.0499)))[0].severity, Severity::Medium);
        assert_eq!(found(with(1_000, Some(0.05)))[0].severity, Severity::High);
    }

    #[test]
    fn few_requests_and_silence_are_unknown() {
        assert!(matches!(with(499, Some(0.5)), Outcome::Unknown(_)));
        assert!(matches!(with(500, Some(0.5)), Outcome::Failed(_)));
        assert!(matches!(with(1_000, None), Outcome::Unknown(_)));
    }
}
