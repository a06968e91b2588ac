//! CloudFront does not tell how much it answers itself.

use crate::checks::Check;
use crate::checks::edge_cloudfront::{APPLIES_USES, applies, subscribe};
use crate::checks::measures::REQUESTS_MIN;
use crate::evidence::cloudfront::DistributionMetrics;
use crate::evidence::{Gap, Layer, Section, Snapshot};
use crate::finding::{Confidence, Cost, Effort, Evidence, Finding, Remedy, RemedyKind, Resource, Severity, Subject};
use crate::text;

pub static CHECK: Check = Check {
    id: "cdn-hit-metrics-off",
    layer: Layer::Cdn,
    title: "CloudFront's hit rate is not recorded",
    passed: "CloudFront records hit rate and origin latency of every distribution in use.",
    why: "Without the additional metrics nobody can see which share of requests the edge answers, nor how long the origin takes: whether a change to \
          the cache helped stays a guess.",
    remedy: "Switch the distribution's additional metrics on. AWS bills them by distribution, a few dollars a month.",
    method: "Asks for the monitoring subscription of each distribution. Fires, as Info, where it is off and the distribution had at least 500 requests in \
             the last 24 hours.",
    effort: Effort::Minutes,
    references: &["https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/viewing-cloudfront-metrics.html"],
    needs: &[Section::CloudFrontMetrics],
    uses: &APPLIES_USES,
    symptom_of: &[],
    applies_to: applies,
    evaluate,
};

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let metrics = snapshot.cloudfront()?.metrics()?;
    let mut findings = Vec::new();
    let mut unread = None;
    for distribution in metrics {
        match &distribution.has_additional {
            Ok(false) => findings.extend(finding(distribution)),
            Ok(true) => {}
            Err(gap) => unread = unread.or(Some(gap.clone())),
        }
    }
    match unread {
        Some(gap) if findings.is_empty() => Err(gap),
        _ => Ok(findings),
    }
}

fn finding(metrics: &DistributionMetrics) -> Option<Finding> {
    let requests: f64 = metrics.hours.iter().filter_map(|h| h.requests).sum();
    if requests < REQUESTS_MIN as f64 {
        return None;
    }
    let id = &metrics.distribution;
    let shown = text::count(requests.round() as u64);
    Some(Finding {
        subject: Subject::new("distribution", id.clone()),
        observed: format!("{id} had {shown} requests in 24 h; how many of them the edge answered is not recorded."),
        step: format!("Switch the additional metrics of {id} on"),
        evidence: vec![Evidence::figure("Requests in 24 h", requests, "requests", shown)],
        severity: Severity::Info,
        confidence: Confidence::High,
        confidence_because: "the distribution has no monitoring subscription".to_owned(),
        effort: Effort::Minutes,
        cost: Cost { resource: Resource::Insight, share: 1.0 },
        gain: None,
        averts: None,
        remedies: vec![Remedy {
            kind: RemedyKind::Shell,
            label: "Switch them on".to_owned(),
            text: subscribe(id),
            lock: None,
            risk: "None for shoppers; AWS bills the metrics by distribution.".to_owned(),
            undo: Some(format!("aws cloudfront delete-monitoring-subscription --distribution-id {id}")),
        }],
        verify: "An hour later CloudWatch has CacheHitRate and OriginLatency of the distribution, and this audit shows its hit ratio.".to_owned(),
        touches: vec![format!("distribution:{id}")],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::edge_cloudfront::fixtures::{hours, store};
    use crate::checks::http::fixtures::found;
    use crate::evidence::{Cause, Seen};
    use crate::finding::Outcome;

    fn with(has_additional: Seen<bool>, requests_an_hour: f64) -> Snapshot {
        let mut snapshot = store(vec![]);
        let metrics = &mut snapshot.cloudfront.as_mut().unwrap().metrics.as_mut().unwrap()[0];
        metrics.has_additional = has_additional;
        metrics.hours = hours(10, requests_an_hour, None);
        snapshot
    }

    #[test]
    fn off_is_told_on_is_not() {
        assert_eq!(found(CHECK.run(&with(Ok(false), 1_000.0)))[0].severity, Severity::Info);
        assert_eq!(CHECK.run(&with(Ok(true), 1_000.0)), Outcome::Passed);
        let gap = Gap::new(Section::CloudFrontMetrics, Cause::Unreadable, "denied");
        assert_eq!(CHECK.run(&with(Err(gap.clone()), 1_000.0)), Outcome::Unknown(gap));
    }

    #[test]
    fn a_distribution_that_is_hardly_used_needs_none() {
        assert_eq!(CHECK.run(&with(Ok(false), 49.9)), Outcome::Passed);
        assert!(matches!(CHECK.run(&with(Ok(false), 50.0)), Outcome::Failed(_)));
    }
}
