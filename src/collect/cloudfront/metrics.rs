//! CloudWatch's hourly figures of the last day, and whether the additional ones are paid for.

use std::collections::BTreeMap;

use aws_sdk_cloudfront::types::RealtimeMetricsSubscriptionStatus;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{MetricDataResult, ScanBy, StatusCode};
use time::{Duration, OffsetDateTime};

use super::gap;
use crate::connect::aws::{AwsError, Session, metric_query, trouble};
use crate::evidence::cloudfront::{Distribution, DistributionMetrics, HourMetrics};
use crate::evidence::{Section, Seen};

const SPAN: Duration = Duration::hours(24);
/// Six figures of ten distributions by hour are 1,440 values: one page.
const PAGES_MAX: usize = 4;
const ACTION: &str = "cloudwatch:GetMetricData";
const SUBSCRIPTION: &str = "cloudfront:GetMonitoringSubscription";

/// CloudFront's name of a figure, the one statistic that is valid for it, and where it goes.
type Figure = (&'static str, &'static str, fn(&mut HourMetrics) -> &mut Option<f64>);

const FIGURES: [Figure; 6] = [
    ("Requests", "Sum", |h| &mut h.requests),
    ("BytesDownloaded", "Sum", |h| &mut h.bytes_downloaded),
    ("4xxErrorRate", "Average", |h| &mut h.percent_4xx),
    ("5xxErrorRate", "Average", |h| &mut h.percent_5xx),
    ("CacheHitRate", "Average", |h| &mut h.hit_rate_percent),
    ("OriginLatency", "Average", |h| &mut h.origin_latency_ms),
];

pub async fn read(session: &Session, distributions: &[Distribution]) -> Seen<Vec<DistributionMetrics>> {
    let to = OffsetDateTime::now_utc();
    // Whole hours: a figure belongs to the hour that it begins.
    let from = to.replace_time(time::Time::MIDNIGHT) + Duration::hours(i64::from(to.hour())) - SPAN;
    let results = results(session, distributions, from, to).await.map_err(|e| gap(Section::CloudFrontMetrics, &e))?;
    let mut all = Vec::with_capacity(distributions.len());
    for (number, distribution) in distributions.iter().enumerate() {
        let has_additional = subscription(session, &distribution.id).await.map_err(|e| gap(Section::CloudFrontMetrics, &e));
        all.push(DistributionMetrics { distribution: distribution.id.clone(), has_additional, from, to, hours: hours(&results, number) });
    }
    Ok(all)
}

async fn results(
    session: &Session,
    distributions: &[Distribution],
    from: OffsetDateTime,
    to: OffsetDateTime,
) -> Result<Vec<MetricDataResult>, AwsError> {
    let queries = distributions.iter().enumerate().flat_map(|(number, d)| {
        let figures = FIGURES.iter().enumerate();
        figures.map(move |(f, (metric, statistic, _))| metric_query(&query_id(number, f), metric, statistic, &d.id))
    });
    let queries: Vec<_> = queries.collect();
    let mut results = Vec::new();
    let mut token: Option<String> = None;
    for _ in 0..PAGES_MAX {
        session.called();
        let request = session.cloudwatch.get_metric_data().set_metric_data_queries(Some(queries.clone())).set_next_token(token.take());
        let request = request.start_time(at(from)).end_time(at(to)).scan_by(ScanBy::TimestampAscending);
        let answer = request.send().await.map_err(|e| trouble(ACTION, session.timeout_ms, &e))?;
        results.extend(answer.metric_data_results.into_iter().flatten());
        match answer.next_token {
            Some(next) => token = Some(next),
            None => {
                check_whole(&results)?;
                return Ok(results);
            }
        }
    }
    Err(AwsError::Unreadable { action: ACTION, why: format!("it has more than {PAGES_MAX} pages") })
}

/// A figure in parts is told as such until its last part: anything else at the end is no missing hour but an answer that failed.
fn check_whole(results: &[MetricDataResult]) -> Result<(), AwsError> {
    let last: BTreeMap<_, _> = results.iter().map(|r| (r.id.as_deref(), r.status_code.as_ref())).collect();
    match last.into_iter().find(|(_, status)| *status != Some(&StatusCode::Complete)) {
        None => Ok(()),
        Some((_, status)) => {
            let said = status.map_or_else(|| "no status".to_owned(), |s| format!("\"{}\"", s.as_str()));
            Err(AwsError::Unreadable { action: ACTION, why: format!("it says {said} of a figure instead of \"Complete\"") })
        }
    }
}

fn query_id(distribution: usize, figure: usize) -> String {
    format!("d{distribution}f{figure}")
}

fn at(time: OffsetDateTime) -> DateTime {
    DateTime::from_secs(time.unix_timestamp())
}

/// By hour in time order, whatever order CloudWatch gave; what it did not give stays missing.
fn hours(results: &[MetricDataResult], distribution: usize) -> Vec<HourMetrics> {
    let mut by_hour: BTreeMap<i64, HourMetrics> = BTreeMap::new();
    for (figure, (.., place)) in FIGURES.iter().enumerate() {
        let id = query_id(distribution, figure);
        for result in results.iter().filter(|r| r.id.as_deref() == Some(&id)) {
            for (stamp, value) in result.timestamps().iter().zip(result.values()) {
                let seconds = stamp.secs();
                let Ok(hour) = OffsetDateTime::from_unix_timestamp(seconds) else { continue };
                let entry = by_hour.entry(seconds).or_insert_with(|| empty(hour));
                *place(entry) = Some(*value);
            }
        }
    }
    by_hour.into_values().collect()
}

fn empty(hour: OffsetDateTime) -> HourMetrics {
    HourMetrics {
        hour,
        requests: None,
        bytes_downloaded: None,
        percent_4xx: None,
        percent_5xx: None,
        hit_rate_percent: None,
        origin_latency_ms: None,
    }
}

async fn subscription(session: &Session, id: &str) -> Result<bool, AwsError> {
    session.called();
    let answer = session.cloudfront.get_monitoring_subscription().distribution_id(id).send().await;
    match answer.map_err(|e| trouble(SUBSCRIPTION, session.timeout_ms, &e)) {
        Ok(answer) => {
            let config = answer.monitoring_subscription.and_then(|m| m.realtime_metrics_subscription_config);
            is_subscribed(config.map(|c| c.realtime_metrics_subscription_status).as_ref())
        }
        // A distribution that never had one. Whether the distribution itself exists is known already.
        Err(AwsError::NotFound { .. }) => Ok(false),
        Err(e) => Err(e),
    }
}

fn is_subscribed(status: Option<&RealtimeMetricsSubscriptionStatus>) -> Result<bool, AwsError> {
    match status {
        Some(RealtimeMetricsSubscriptionStatus::Enabled) => Ok(true),
        Some(RealtimeMetricsSubscriptionStatus::Disabled) => Ok(false),
        other => {
            let why = other.map_or_else(|| "it tells no status".to_owned(), |s| format!("its status \"{}\" is not known here", s.as_str()));
            Err(AwsError::Unreadable { action: SUBSCRIPTION, why })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subscription_is_on_or_off_and_nothing_else() {
        assert_eq!(is_subscribed(Some(&"Enabled".into())).ok(), Some(true));
        assert_eq!(is_subscribed(Some(&"Disabled".into())).ok(), Some(false));
        assert!(is_subscribed(Some(&"Pausing".into())).unwrap_err().to_string().contains("Pausing"));
        assert!(is_subscribed(None).is_err());
    }

    #[test]
    fn a_figure_that_is_not_complete_at_its_end_is_no_figure() {
        let part = |id: &str, status: Option<StatusCode>| MetricDataResult::builder().id(id).set_status_code(status).build();
        let (some, all) = (Some(StatusCode::PartialData), Some(StatusCode::Complete));
        assert!(check_whole(&[part("d0f0", some.clone()), part("d0f1", all.clone()), part("d0f0", all.clone())]).is_ok());
        for broken in [some, Some(StatusCode::InternalError), Some(StatusCode::Forbidden), Some("Later".into()), None] {
            assert!(check_whole(&[part("d0f0", all.clone()), part("d0f1", broken)]).is_err());
        }
    }

    #[test]
    fn hours_are_sorted_and_missing_values_stay_missing() {
        let result = |id: &str, points: &[(i64, f64)]| {
            let mut builder = MetricDataResult::builder().id(id);
            for (s, v) in points {
                builder = builder.timestamps(DateTime::from_secs(*s)).values(*v);
            }
            builder.build()
        };
        let results = [result("d0f0", &[(7_200, 5.0), (3_600, 4.0)]), result("d0f4", &[(3_600, 91.0)]), result("d1f0", &[(0, 1.0)])];
        let hours = hours(&results, 0);
        assert_eq!(hours.iter().map(|h| h.requests).collect::<Vec<_>>(), [Some(4.0), Some(5.0)]);
        assert_eq!(hours.iter().map(|h| h.hit_rate_percent).collect::<Vec<_>>(), [Some(91.0), None]);
    }
}
