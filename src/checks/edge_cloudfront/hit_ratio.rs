//! The hit ratio as CloudWatch tells it, for stores without Cloudflare.

use crate::checks::measures::{HitRate, REQUESTS_MIN};
use crate::evidence::cloudfront::DistributionMetrics;
use crate::evidence::{Cause, Gap, Section, Snapshot};
use crate::finding::{Cell, Evidence};
use crate::text;

/// Share of all requests that distributions without a hit rate may answer before a good ratio of the others says nothing of the store.
const UNCOVERED_MAX: f64 = 0.05;
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
/// A gap when the additional metrics are off or have no values yet, there were too few requests, or the ratio is good and distributions
/// without the figure answer too much to be passed with it.
pub fn hit_rate(snapshot: &Snapshot) -> Result<HitRate, Gap> {
    let metrics = snapshot.cloudfront()?.metrics()?;
    let rates: Vec<HitRate> = metrics.iter().filter_map(rate_of).collect();
    let uncovered = uncovered_share(metrics);
    if rates.is_empty() {
        return Err(missing(metrics, uncovered));
    }
    let (hits, of) = rates.iter().fold((0, 0), |(h, o), r| (h + r.hits, o + r.of));
    let span_s = rates.iter().map(|r| r.span_s).fold(0.0, f64::max);
    let source = if uncovered > 0.0 { format!("CloudFront, {} of {} distributions", rates.len(), metrics.len()) } else { "CloudFront".to_owned() };
    let rate = HitRate { hits, of, period: text::seconds(span_s), source, span_s };
    if uncovered > UNCOVERED_MAX && (of < REQUESTS_MIN || rate.rate() >= snapshot.meta.targets.cdn_hit_ratio_min) {
        return Err(missing(metrics, uncovered));
    }
    if of < REQUESTS_MIN {
        let detail =
            format!("{} with a hit rate, {} are needed for a hit ratio.", text::plural(of, "request", "requests"), text::count(REQUESTS_MIN));
        return Err(Gap::new(Section::CloudFrontMetrics, Cause::TooFew { have: of, need: REQUESTS_MIN, what: "requests".into() }, detail));
    }
    Ok(rate)
}

/// Share (0…1) of all requests that distributions without a hit rate answered: everybody's requests are counted, paid metrics or not.
pub fn uncovered_share(metrics: &[DistributionMetrics]) -> f64 {
    let all: f64 = metrics.iter().map(requests).sum();
    let uncovered: f64 = metrics.iter().filter(|m| rate_of(m).is_none()).map(requests).sum();
    if all > 0.0 { uncovered / all } else { 0.0 }
}

fn requests(metrics: &DistributionMetrics) -> f64 {
    metrics.hours.iter().filter_map(|h| h.requests).sum()
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

/// Why the distributions that have no hit rate have none; the one with the most requests first.
fn missing(metrics: &[DistributionMetrics], uncovered: f64) -> Gap {
    let mut without: Vec<&DistributionMetrics> = metrics.iter().filter(|m| rate_of(m).is_none()).collect();
    without.sort_by(|a, b| requests(b).total_cmp(&requests(a)).then_with(|| a.distribution.cmp(&b.distribution)));
    if let Some(gap) = without.iter().find_map(|m| m.has_additional.as_ref().err()) {
        return gap.clone();
    }
    let section = Section::CloudFrontMetrics;
    let whose = match without.first() {
        Some(busiest) if without.len() < metrics.len() => format!(
            " of {} of {} distributions, which answer {} of the requests ({} the most)",
            without.len(),
            metrics.len(),
            text::percent(uncovered),
            busiest.distribution
        ),
        _ => String::new(),
    };
    match without.iter().find(|m| m.has_additional == Ok(false)) {
        Some(off) => {
            let cause = Cause::Absent { feature: "CloudFront's additional metrics".into(), remedy: subscribe(&off.distribution) };
            Gap::new(section, cause, format!("CloudFront tells no hit rate{whose}: its additional metrics are off."))
        }
        None => {
            let cause = Cause::TooFew { have: 0, need: REQUESTS_MIN, what: "requests with a hit rate".into() };
            let detail = if whose.is_empty() {
                "CloudWatch has no hour with requests and a hit rate yet.".to_owned()
            } else {
                format!("CloudWatch has no hour with a hit rate{whose} yet.")
            };
            Gap::new(section, cause, detail)
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
    let rows = metrics.iter().filter(|m| requests(m) > 0.0).map(|m| {
        let bytes: f64 = m.hours.iter().filter_map(|h| h.bytes_downloaded).sum();
        let rate = rate_of(m);
        let of = rate.as_ref().map_or_else(|| requests(m).round() as u64, |r| r.of);
        vec![
            Cell::text(m.distribution.clone()),
            Cell::number(of as f64, text::count(of)),
            rate.map_or_else(|| Cell::text("not told"), |r| Cell::number(r.rate(), text::percent(r.rate()))),
            Cell::number(bytes, text::bytes_disk(bytes as u64)),
        ]
    });
    let uncovered = uncovered_share(metrics);
    let mut evidence = vec![
        Evidence::table("By distribution", &["distribution", "requests", "hit rate", "bytes"], rows.collect()),
        Evidence::text("Formula", "CacheHitRate of each hour × Requests of that hour, summed, ÷ Requests of the same hours"),
    ];
    if uncovered > 0.0 {
        evidence.push(Evidence::figure("Of all requests, without a hit rate and not counted", uncovered, "ratio", text::percent(uncovered)));
    }
    Ok(evidence)
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

    /// The shop's own distribution without paid metrics beside one of media that has them.
    fn beside(requests: f64, percent: f64) -> Snapshot {
        let mut snapshot = with(1_000.0, Some(percent));
        let metrics = snapshot.cloudfront.as_mut().unwrap().metrics.as_mut().unwrap();
        let shop =
            DistributionMetrics { distribution: "E2".into(), has_additional: Ok(false), hours: hours(24, requests, None), ..metrics[0].clone() };
        metrics.push(shop);
        snapshot
    }

    #[test]
    fn a_part_that_pays_for_metrics_is_not_the_store() {
        let Outcome::Unknown(gap) = CHECK.run(&beside(9_000.0, 99.0)) else { panic!("most requests are not known") };
        assert!(gap.cause.remedy().is_some_and(|r| r.contains("E2")), "{:?}", gap.cause);
        assert!(gap.detail.contains("1 of 2 distributions, which answer 90\u{a0}% of the requests (E2 the most)"), "{}", gap.detail);
        // 50 of 1,050 are less than 5 %, 60 of 1,060 more.
        assert_eq!(CHECK.run(&beside(50.0, 99.0)), Outcome::Passed);
        assert!(matches!(CHECK.run(&beside(60.0, 99.0)), Outcome::Unknown(_)));
        assert_eq!(hit_rate(&beside(50.0, 99.0)).unwrap().source, "CloudFront, 1 of 2 distributions");
        assert_eq!(hit_rate(&beside(0.0, 99.0)).unwrap().source, "CloudFront");
    }

    #[test]
    fn a_bad_part_is_told_with_what_it_is_a_part_of() {
        let Outcome::Failed(findings) = CHECK.run(&beside(9_000.0, 10.0)) else { panic!("one distribution is below the target") };
        assert!(findings[0].confidence_because.contains("90\u{a0}%"), "{}", findings[0].confidence_because);
        assert_eq!(hit_rate(&beside(9_000.0, 10.0)).unwrap().of, 24_000);
    }
}
