//! The hit ratio as CloudWatch tells it, for stores without Cloudflare.

use crate::checks::measures::{HitRate, REQUESTS_MIN};
use crate::evidence::cloudfront::DistributionMetrics;
use crate::evidence::{Cause, Gap, Section, Snapshot};
use crate::finding::{Cell, Evidence};
use crate::text;

/// Seconds a figure spans.
const HOUR_S: f64 = 3_600.0;

/// Whether CloudFront is what the store's requests pass: it is set up and Cloudflare is not.
pub fn replaces_cloudflare(snapshot: &Snapshot) -> bool {
    let has_none = snapshot.cdn.as_ref().err().is_some_and(|gap| gap.cause == Cause::NotConfigured);
    let has_one = !matches!(&snapshot.cloudfront, Err(gap) if gap.cause == Cause::NotConfigured);
    has_none && has_one
}

/// Requests answered by CloudFront without contacting the origin, over all distributions that have the figure: hits are CloudWatch's
/// hit rate of each hour times its requests.
///
/// # Errors
/// A gap when the additional metrics are off, have no values yet, or there were too few requests.
pub fn hit_rate(snapshot: &Snapshot) -> Result<HitRate, Gap> {
    let metrics = snapshot.cloudfront()?.metrics()?;
    let rates: Vec<HitRate> = metrics.iter().filter_map(rate_of).collect();
    if rates.is_empty() {
        return Err(missing(metrics));
    }
    let (hits, of) = rates.iter().fold((0, 0), |(h, o), r| (h + r.hits, o + r.of));
    if of < REQUESTS_MIN {
        let detail =
            format!("{} with a hit rate, {} are needed for a hit ratio.", text::plural(of, "request", "requests"), text::count(REQUESTS_MIN));
        return Err(Gap::new(Section::CloudFrontMetrics, Cause::TooFew { have: of, need: REQUESTS_MIN, what: "requests".into() }, detail));
    }
    let span_s = rates.iter().map(|r| r.span_s).fold(0.0, f64::max);
    Ok(HitRate { hits, of, period: text::seconds(span_s), source: "CloudFront".into(), span_s })
}

/// One distribution's; `None` without a single hour that has both figures.
pub fn rate_of(metrics: &DistributionMetrics) -> Option<HitRate> {
    let both = metrics.hours.iter().filter_map(|h| Some((h.requests?, h.hit_rate_percent?)));
    let (mut hits, mut of, mut hours) = (0.0, 0.0, 0.0);
    for (requests, percent) in both {
        hits += requests * (percent / 100.0).clamp(0.0, 1.0);
        of += requests;
        hours += 1.0;
    }
    (of > 0.0).then(|| HitRate {
        hits: hits.round() as u64,
        of: of.round() as u64,
        period: text::seconds(hours * HOUR_S),
        source: "CloudFront".into(),
        span_s: hours * HOUR_S,
    })
}

fn missing(metrics: &[DistributionMetrics]) -> Gap {
    if let Some(gap) = metrics.iter().find_map(|m| m.has_additional.as_ref().err()) {
        return gap.clone();
    }
    let section = Section::CloudFrontMetrics;
    match metrics.iter().find(|m| m.has_additional == Ok(false)) {
        Some(off) => {
            let cause = Cause::Absent { feature: "CloudFront's additional metrics".into(), remedy: subscribe(&off.distribution) };
            Gap::new(section, cause, "CloudFront tells no hit rate: its additional metrics are off.")
        }
        None => {
            let cause = Cause::TooFew { have: 0, need: REQUESTS_MIN, what: "requests with a hit rate".into() };
            Gap::new(section, cause, "CloudWatch has no hour with requests and a hit rate yet.")
        }
    }
}

/// The command that switches the additional metrics on.
pub fn subscribe(distribution: &str) -> String {
    format!(
        "aws cloudfront create-monitoring-subscription --distribution-id {distribution} \\\n  --monitoring-subscription \
         'RealtimeMetricsSubscriptionConfig={{RealtimeMetricsSubscriptionStatus=Enabled}}'"
    )
}

/// The rate of each distribution, and how it is worked out.
///
/// # Errors
/// The gap of the metrics.
pub fn ratio_evidence(snapshot: &Snapshot) -> Result<Vec<Evidence>, Gap> {
    let metrics = snapshot.cloudfront()?.metrics()?;
    let rows = metrics.iter().filter_map(|m| {
        let rate = rate_of(m)?;
        let bytes: f64 = m.hours.iter().filter_map(|h| h.bytes_downloaded).sum();
        Some(vec![
            Cell::text(m.distribution.clone()),
            Cell::number(rate.of as f64, text::count(rate.of)),
            Cell::number(rate.rate(), text::percent(rate.rate())),
            Cell::number(bytes, text::bytes_disk(bytes as u64)),
        ])
    });
    Ok(vec![
        Evidence::table("By distribution", &["distribution", "requests", "hit rate", "bytes"], rows.collect()),
        Evidence::text("Formula", "CacheHitRate of each hour × Requests of that hour, summed, ÷ Requests of the same hours"),
    ])
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{hours, store};
    use super::*;
    use crate::checks::cdn::low_hit_ratio::CHECK;
    use crate::finding::{Confidence, Outcome, Severity};

    fn with(requests: f64, percent: Option<f64>) -> Snapshot {
        let mut snapshot = store(vec![]);
        let cloudfront = snapshot.cloudfront.as_mut().unwrap();
        cloudfront.metrics.as_mut().unwrap()[0].hours = hours(24, requests, percent);
        snapshot
    }

    #[test]
    fn the_target_is_a_boundary() {
        assert_eq!(CHECK.run(&with(1_000.0, Some(80.0))), Outcome::Passed);
        let Outcome::Failed(findings) = CHECK.run(&with(1_000.0, Some(79.9))) else { panic!("below the target") };
        assert_eq!((findings[0].severity, findings[0].confidence), (Severity::Medium, Confidence::Medium));
        assert!((hit_rate(&with(1_000.0, Some(50.0))).unwrap().rate() - 0.5).abs() < 1e-9);
        let Outcome::Failed(worse) = CHECK.run(&with(1_000.0, Some(10.0))) else { panic!("below the target") };
        assert_eq!(worse[0].severity, Severity::Medium);
    }

    #[test]
    fn no_figure_is_never_zero() {
        let mut off = with(1_000.0, None);
        off.cloudfront.as_mut().unwrap().metrics.as_mut().unwrap()[0].has_additional = Ok(false);
        let Outcome::Unknown(gap) = CHECK.run(&off) else { panic!("nothing is known") };
        assert!(gap.cause.remedy().is_some_and(|r| r.contains("create-monitoring-subscription")));
        assert!(matches!(CHECK.run(&with(1_000.0, None)), Outcome::Unknown(_)));
        // 24 hours of 20 requests are 480.
        assert!(matches!(CHECK.run(&with(20.0, Some(10.0))), Outcome::Unknown(_)));
        assert!(matches!(CHECK.run(&with(21.0, Some(10.0))), Outcome::Failed(_)));
    }
}
