//! Chart data: what is drawn, what is not, and that nothing missing is drawn as zero.

use medusa_advisor::charts::{self, ChartKind, POINTS_MIN, redis::TILES_MAX};
use medusa_advisor::report::{Options, Report, html, markdown};
use time::{OffsetDateTime, macros::datetime};

use super::fixture;

#[path = "../common/sample/cloudfront.rs"]
mod cloudfront;

/// When the sample of CloudFront ends.
const TAKEN_AT: OffsetDateTime = datetime!(2026-11-23 09:30 UTC);

#[test]
fn fewer_than_eight_points_in_time_are_no_chart() {
    let mut s = fixture::snapshot();
    let drawn = |s: &_| charts::drawn(s).into_iter().find(|(id, _)| *id == "redis.ops").map(|(_, chart)| chart).unwrap();
    let line = s.timelines.iter_mut().find(|t| t.id == "redis.ops").unwrap();
    line.points.truncate(POINTS_MIN);
    assert!(drawn(&s).is_ok());
    s.timelines.iter_mut().find(|t| t.id == "redis.ops").unwrap().points[3].1 = None;
    assert_eq!(drawn(&s).unwrap_err(), "7\u{a0}points in time, 8 are needed for a chart over time.");
}

#[test]
fn parts_add_up_and_a_missing_sample_stays_missing() {
    let mut s = fixture::snapshot();
    s.timelines.iter_mut().find(|t| t.id == "pg.top_statement_time").unwrap().points[5].1 = None;
    let total = s.timelines.iter().find(|t| t.id == "pg.database_time").unwrap().points.clone();
    let chart = charts::postgres::database_time(&s).unwrap();
    assert_eq!(chart.kind, ChartKind::Stacked);
    for (i, (x, all)) in total.iter().enumerate() {
        let parts: Vec<Option<f64>> = chart.series.iter().map(|series| series.points[i].1).collect();
        match (i, parts[0].zip(parts[1])) {
            (5, parts) => assert_eq!(parts, None),
            (_, parts) => assert!((parts.map(|(a, b)| a + b).unwrap() - all.unwrap()).abs() < 1e-9, "at {x}"),
        }
    }
}

#[test]
fn tiles_keep_every_byte() {
    let s = fixture::snapshot();
    let chart = charts::redis::memory_by_pattern(&s).unwrap();
    assert_eq!(chart.categories.len(), TILES_MAX);
    let drawn: f64 = chart.series.iter().flat_map(|series| series.points.iter().filter_map(|p| p.1)).sum();
    let all: u64 = charts::redis::patterns(&s).unwrap().iter().map(|r| r.bytes).sum();
    assert!((drawn - all as f64).abs() < 1.0);
}

#[test]
fn a_target_is_drawn_only_where_it_applies() {
    // Queues and sessions share the fixture's instance, so its hit rate says nothing of product data.
    let chart = charts::redis::hit_rate(&fixture::snapshot()).unwrap();
    assert_eq!(chart.target, None);
    assert_eq!(charts::cdn::hit_ratio_by_hour(&fixture::snapshot()).unwrap().target, Some(0.8));
}

#[test]
fn cloudfronts_day_stands_where_cloudflares_does() {
    let (mut s, plan) = fixture::rich();
    let ids = |r: &Report| r.charts.iter().map(|c| c.id.clone()).collect::<Vec<_>>();
    let report = |s: &_| Report::build(s, &plan, &Options::whole("shop"));
    assert_eq!(ids(&report(&s))[..2], ["cdn.hit_ratio", "cdn.status"]);
    let mut both = s.clone();
    cloudfront::beside(&mut both);
    let both = report(&both);
    assert!(ids(&both).iter().any(|id| id == "cdn.status"), "Cloudflare's stay");
    for (id, words) in [("cloudfront.hit_ratio", "At CloudFront: Hit ratio by hour: 50\u{a0}%"), ("cloudfront.bytes", "At CloudFront: Bytes")] {
        assert!(both.charts.iter().any(|c| c.id == id && c.conclusion.starts_with(words)), "{id}: {:?}", ids(&both));
    }
    cloudfront::behind(&mut s);
    let report = report(&s);
    assert_eq!(ids(&report)[..3], ["cdn.hit_ratio", "cdn.requests", "cdn.bytes"]);
    let words = markdown::render(&report);
    assert!(words.contains("Hit ratio by hour: 50\u{a0}% to 66\u{a0}%, below the target all the time"), "{words}");
    assert!(words.contains("CloudFront: CloudWatch's hourly figures from") && words.contains("media buckets: 2 read, 3 left out"), "{words}");
    assert!(html::render(&report).contains("target 80\u{a0}%"));
    // A distribution without the additional metrics keeps its requests and tells why the ratio is missing.
    s.cloudfront.as_mut().unwrap().metrics.as_mut().unwrap().remove(0);
    let report = Report::build(&s, &plan, &Options::whole("shop"));
    assert_eq!(ids(&report)[..2], ["cdn.requests", "cdn.bytes"]);
    assert!(markdown::render(&report).contains("additional metrics are off"));
}
