//! The edge by hour where CloudFront is the store's CDN, as CloudWatch tells it.

use std::collections::BTreeMap;

use super::super::{ChartKind, ChartSpec, Drawn, Series, SeriesRole, Unit, enough, sentence, span};
use super::{BYTES, HIT_RATIO, by_hour, hit_ratio};
use crate::checks::edge_cloudfront::hit_rate;
use crate::evidence::cloudfront::{DistributionMetrics, HourMetrics};
use crate::evidence::{Gap, Snapshot};

/// Seconds a figure spans.
const HOUR_S: i64 = 3_600;

/// Time (Unix seconds) and value; an hour without one is a gap.
type Points = Vec<(f64, Option<f64>)>;

/// Hit ratio, requests and bytes of all distributions together.
pub fn traffic(snapshot: &Snapshot) -> [(&'static str, Drawn); 3] {
    let sums = |id, title, unit: Unit, of: fn(&HourMetrics) -> Option<f64>| (id, sums(snapshot, id, title, unit, of));
    [
        (HIT_RATIO, ratio(snapshot)),
        sums("cdn.requests", "Requests", Unit::Count, |h| h.requests),
        sums(BYTES, "Bytes downloaded", Unit::BytesDisk, |h| h.bytes_downloaded),
    ]
}

fn metrics(snapshot: &Snapshot) -> Result<&[DistributionMetrics], Gap> {
    snapshot.cloudfront()?.metrics().map(Vec::as_slice)
}

/// The whole hours of the span in time order, each with what `of` makes of the distributions' figures. CloudWatch tells nothing of an hour
/// without a request, and the hour that still runs would look like a fall: the one is a gap, the other left out.
fn points(all: &[DistributionMetrics], of: impl Fn(&[&HourMetrics]) -> Option<f64>) -> Points {
    let hour_of = |at: time::OffsetDateTime| at.unix_timestamp().div_euclid(HOUR_S);
    let mut by_hour: BTreeMap<i64, Vec<&HourMetrics>> = BTreeMap::new();
    for hour in all.iter().flat_map(|m| &m.hours) {
        by_hour.entry(hour_of(hour.hour)).or_default().push(hour);
    }
    let from = all.iter().map(|m| hour_of(m.from)).min().unwrap_or(0);
    let to = all.iter().map(|m| hour_of(m.to)).max().unwrap_or(0).min(from + HOURS_MAX);
    (from..to).map(|hour| ((hour * HOUR_S) as f64, by_hour.get(&hour).and_then(|figures| of(figures)))).collect()
}

/// Hours of a chart; the audit reads a day. A snapshot may say anything.
const HOURS_MAX: i64 = 24 * 7;

/// Hits (requests times the hit rate) of the requests that have one, on the gauge's own base.
fn ratio(snapshot: &Snapshot) -> Drawn {
    hit_rate(snapshot).map_err(|g| sentence(&g))?;
    let points = points(metrics(snapshot).map_err(|g| sentence(&g))?, |figures| {
        let both = || figures.iter().filter_map(|h| Some((h.requests?, h.hit_rate_percent?)));
        let of: f64 = both().map(|(requests, _)| requests).sum();
        let hits: f64 = both().map(|(requests, percent)| requests * (percent / 100.0).clamp(0.0, 1.0)).sum();
        (of > 0.0).then(|| hits / of)
    });
    hit_ratio(snapshot, "of GET and HEAD, by hour, UTC", points)
}

fn sums(snapshot: &Snapshot, id: &str, title: &str, unit: Unit, of: fn(&HourMetrics) -> Option<f64>) -> Drawn {
    let points = points(metrics(snapshot).map_err(|g| sentence(&g))?, |figures| {
        let known: Vec<f64> = figures.iter().filter_map(|h| of(h)).collect();
        (!known.is_empty()).then(|| known.iter().sum())
    });
    enough(&points)?;
    let total: f64 = points.iter().filter_map(|p| p.1).sum();
    let what = title.to_lowercase();
    let series = vec![Series::new(what.clone(), SeriesRole::Cdn, points)];
    let mut chart: ChartSpec = by_hour(id, title, &format!("{what} each hour, UTC"), ChartKind::Stacked, unit, series);
    chart.conclusion = format!("{title} by hour: {}, {} in all.", span(unit, chart.range()), unit.format(total));
    Ok(chart)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::charts;
    use crate::checks::edge_cloudfront::fixtures::{healthy, hours};

    fn drawn(snapshot: &Snapshot, id: &str) -> Drawn {
        charts::drawn(snapshot).into_iter().find(|(i, _)| *i == id).unwrap_or_else(|| panic!("no {id}")).1
    }

    fn metrics_of(snapshot: &mut Snapshot) -> &mut Vec<DistributionMetrics> {
        snapshot.cloudfront.as_mut().unwrap().metrics.as_mut().unwrap()
    }

    #[test]
    fn a_day_has_its_hours_and_its_target() {
        let chart = drawn(&healthy(), "cdn.hit_ratio").unwrap();
        assert_eq!((chart.target, chart.series[0].points.len()), (Some(0.8), 24));
        assert_eq!(chart.conclusion, "Hit ratio by hour: 91\u{a0}%, at or above the target all the time.");
        let bytes = drawn(&healthy(), "cdn.bytes").unwrap();
        assert_eq!((bytes.unit, bytes.series[0].points[0].1), (Unit::BytesDisk, Some(1e7)));
        assert!(charts::drawn(&healthy()).iter().all(|(id, _)| *id != "cdn.status"), "CloudWatch tells no statuses");
    }

    #[test]
    fn a_missing_hour_is_a_gap_and_the_running_one_is_left_out() {
        let mut snapshot = healthy();
        let metrics = &mut metrics_of(&mut snapshot)[0];
        // The 25th hour has run for half of it.
        metrics.hours = hours(25, 1_000.0, Some(91.0));
        metrics.hours.remove(5);
        metrics.hours[7].hit_rate_percent = None;
        let points = |id| drawn(&snapshot, id).unwrap().series[0].points.iter().map(|p| p.1).collect::<Vec<_>>();
        let requests = points("cdn.requests");
        assert_eq!((requests.len(), requests[5], requests[8]), (24, None, Some(1_000.0)));
        let ratio = points("cdn.hit_ratio");
        assert_eq!((ratio.len(), ratio[5], ratio[8], ratio[9]), (24, None, None, Some(0.91)));
    }

    #[test]
    fn distributions_count_by_their_requests() {
        let mut snapshot = healthy();
        let second = DistributionMetrics { distribution: "E2".into(), hours: hours(24, 3_000.0, Some(11.0)), ..metrics_of(&mut snapshot)[0].clone() };
        metrics_of(&mut snapshot).push(second);
        assert_eq!(drawn(&snapshot, "cdn.requests").unwrap().series[0].points[0].1, Some(4_000.0));
        let ratio = drawn(&snapshot, "cdn.hit_ratio").unwrap().series[0].points[0].1.unwrap();
        assert!((ratio - 0.31).abs() < 1e-9, "{ratio}");
    }

    #[test]
    fn without_the_additional_metrics_the_reason_stands_there() {
        let mut snapshot = healthy();
        let metrics = &mut metrics_of(&mut snapshot)[0];
        metrics.has_additional = Ok(false);
        metrics.hours = hours(24, 1_000.0, None);
        assert!(drawn(&snapshot, "cdn.hit_ratio").unwrap_err().contains("additional metrics are off"));
        assert!(drawn(&snapshot, "cdn.requests").is_ok());
        // Eight hours are a chart, seven are none.
        for (count, is_drawn) in [(8, true), (7, false)] {
            metrics_of(&mut snapshot)[0].hours = hours(count, 1_000.0, None);
            assert_eq!(drawn(&snapshot, "cdn.requests").is_ok(), is_drawn, "{count}");
        }
    }
}
