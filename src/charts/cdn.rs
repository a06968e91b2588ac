//! Charts and tables of the edge.

mod cloudfront;

use std::collections::BTreeMap;

use super::{BARS_MAX, ChartKind, ChartSpec, Drawn, Series, SeriesRole, Unit, XAxis, against_min, enough, sentence, span};
use crate::checks::edge_cloudfront::replaces_cloudflare;
use crate::checks::measures::{is_cacheable_status, is_edge_hit, path_corrections};
use crate::evidence::cdn::{Analytics, HourCount};
use crate::evidence::{Cause, Gap, Snapshot};
use crate::text;

/// What passed the store's CDN by hour, each chart by its id: the hit ratio, requests, bytes.
pub fn traffic(snapshot: &Snapshot) -> [(&'static str, Drawn); 3] {
    if replaces_cloudflare(snapshot) {
        return cloudfront::traffic(snapshot);
    }
    [(HIT_RATIO, hit_ratio_by_hour(snapshot)), ("cdn.status", requests_by_status(snapshot)), (BYTES, bytes_by_status(snapshot))]
}

/// Whether the store has CloudFront besides Cloudflare, as for its media.
pub fn has_cloudfront_beside(snapshot: &Snapshot) -> bool {
    let has = |gap: Option<&Gap>| gap.is_none_or(|g| g.cause != Cause::NotConfigured);
    has(snapshot.cdn.as_ref().err()) && has(snapshot.cloudfront.as_ref().err())
}

/// What passed CloudFront by hour in a store that has Cloudflare too: the charts of `traffic` under ids and titles of their own.
pub fn cloudfront_beside(snapshot: &Snapshot) -> [(&'static str, Drawn); 3] {
    let own = [
        ("cloudfront.hit_ratio", "CloudFront hit ratio"),
        ("cloudfront.requests", "CloudFront requests"),
        ("cloudfront.bytes", "CloudFront bytes downloaded"),
    ];
    let mut named = own.into_iter();
    cloudfront::traffic(snapshot).map(|(id, drawn)| {
        let (id, title) = named.next().unwrap_or((id, id));
        let of_cloudfront = |chart: ChartSpec| {
            let conclusion = format!("At CloudFront: {}", chart.conclusion);
            ChartSpec { id: id.to_owned(), title: title.to_owned(), conclusion, ..chart }
        };
        (id, drawn.map(of_cloudfront))
    })
}

const HIT_RATIO: &str = "cdn.hit_ratio";
const BYTES: &str = "cdn.bytes";

/// A chart of one day by hour.
fn by_hour(id: &str, title: &str, caption: &str, kind: ChartKind, unit: Unit, series: Vec<Series>) -> ChartSpec {
    ChartSpec {
        id: id.to_owned(),
        title: title.to_owned(),
        caption: caption.to_owned(),
        conclusion: String::new(),
        kind,
        unit,
        series,
        target: None,
        categories: Vec::new(),
        x_axis: XAxis::Hours,
    }
}

/// A hit ratio by hour against the target.
fn hit_ratio(snapshot: &Snapshot, caption: &str, points: Vec<(f64, Option<f64>)>) -> Drawn {
    enough(&points)?;
    let target = snapshot.meta.targets.cdn_hit_ratio_min;
    let against = against_min(&points, target);
    let series = vec![Series::new("hit ratio", SeriesRole::Cdn, points)];
    let mut chart = ChartSpec { target: Some(target), ..by_hour(HIT_RATIO, "CDN hit ratio", caption, ChartKind::Line, Unit::Ratio, series) };
    chart.conclusion = format!("Hit ratio by hour: {}, {against}.", span(Unit::Ratio, chart.range()));
    Ok(chart)
}

/// Requests or bytes of one hour by status.
type Hours<'a> = BTreeMap<i64, BTreeMap<&'a str, u64>>;

fn analytics(snapshot: &Snapshot) -> Result<&Analytics, String> {
    snapshot.cloudflare().and_then(|c| c.analytics()).map_err(|g| sentence(&g))
}

fn hours(analytics: &Analytics) -> Hours<'_> {
    hours_of(analytics, |count| count.requests)
}

fn hours_of(analytics: &Analytics, of: impl Fn(&HourCount) -> u64) -> Hours<'_> {
    let mut hours: Hours<'_> = BTreeMap::new();
    for count in &analytics.by_hour {
        *hours.entry(count.hour.unix_timestamp()).or_default().entry(count.status.as_str()).or_insert(0) += of(count);
    }
    hours
}

fn requests(statuses: &BTreeMap<&str, u64>, counts: impl Fn(&str) -> bool) -> u64 {
    statuses.iter().filter(|(status, _)| counts(status)).map(|(_, n)| n).sum()
}

/// Hit ratio of cacheable requests by hour, on the gauge's own base. Paths are told for the whole span only, so what they add to the base
/// is spread over the hours like the requests it is part of. An hour without a cacheable request is a gap.
pub fn hit_ratio_by_hour(snapshot: &Snapshot) -> Drawn {
    let analytics = analytics(snapshot)?;
    let hours = hours(analytics);
    let is_dynamic = |status: &str| !is_cacheable_status(status) && !matches!(status, "none" | "unknown");
    let is_fetched = |status: &str| is_cacheable_status(status) && !is_edge_hit(status);
    let of_all = |counts: fn(&str) -> bool| hours.values().map(|s| requests(s, counts)).sum::<u64>();
    let (all_dynamic, all_fetched) = (of_all(is_dynamic), of_all(is_fetched));
    let (added, removed) = path_corrections(analytics);
    let points: Vec<(f64, Option<f64>)> = hours
        .iter()
        .map(|(hour, statuses)| {
            let hits = requests(statuses, is_edge_hit) as f64;
            let looked_up = requests(statuses, is_cacheable_status) as f64;
            let dynamic = part_of(added, requests(statuses, is_dynamic), all_dynamic);
            let personal = part_of(removed, requests(statuses, is_fetched), all_fetched);
            let of = (looked_up + dynamic - personal).max(hits);
            (*hour as f64, (of > 0.0).then(|| hits / of))
        })
        .collect();
    hit_ratio(snapshot, "of cacheable requests, by hour, UTC", points)
}

/// The share of `whole` that falls to `part` of `all`.
fn part_of(whole: u64, part: u64, all: u64) -> f64 {
    if all == 0 { 0.0 } else { whole.min(all) as f64 * part as f64 / all as f64 }
}

/// Requests by cache status, stacked by hour.
pub fn requests_by_status(snapshot: &Snapshot) -> Drawn {
    let (series, share, total) = by_status(&hours(analytics(snapshot)?))?;
    let conclusion = format!("Requests by cache status: {} of {} were answered at the edge.", text::percent(share), text::count_short(total));
    let chart = by_hour("cdn.status", "Requests by cache status", "requests each hour, UTC", ChartKind::Stacked, Unit::Count, series);
    Ok(ChartSpec { conclusion, ..chart })
}

/// Bytes by cache status, stacked by hour.
pub fn bytes_by_status(snapshot: &Snapshot) -> Drawn {
    let (series, share, total) = by_status(&hours_of(analytics(snapshot)?, |count| count.bytes))?;
    let conclusion = format!("Bytes by cache status: {} of {} came from the edge.", text::percent(share), text::bytes_disk(total));
    let chart = by_hour(BYTES, "Bytes by cache status", "bytes each hour, UTC", ChartKind::Stacked, Unit::BytesDisk, series);
    Ok(ChartSpec { conclusion, ..chart })
}

/// The series, the edge's share of all, and all.
fn by_status(hours: &Hours<'_>) -> Result<(Vec<Series>, f64, u64), String> {
    let part = |name: &str, role, counts: fn(&str) -> bool| {
        Series::new(name, role, hours.iter().map(|(hour, s)| (*hour as f64, Some(requests(s, counts) as f64))).collect())
    };
    let series = vec![
        part("hit", SeriesRole::Hit, is_edge_hit),
        part("revalidated", SeriesRole::Revalidated, |s| s == "revalidated"),
        part("expired", SeriesRole::Expired, |s| s == "expired"),
        part("miss", SeriesRole::Miss, |s| s == "miss"),
        part("dynamic, bypass and other", SeriesRole::Rest, |s| !is_cacheable_status(s)),
    ];
    enough(&series[0].points)?;
    let total: u64 = hours.values().map(|s| requests(s, |_| true)).sum();
    if total == 0 {
        return Err("nothing was counted in this period".to_owned());
    }
    let hits: u64 = hours.values().map(|s| requests(s, is_edge_hit)).sum();
    Ok((series, hits as f64 / total as f64, total))
}

/// One path of the table "Paths by origin requests".
#[derive(Debug, Clone, PartialEq)]
pub struct PathRow {
    pub host: String,
    pub path: String,
    pub requests: u64,
    pub to_origin: u64,
    pub bytes: u64,
}

/// Paths by requests that reached the origin, most first.
///
/// # Errors
/// The gap of the analytics.
pub fn paths(snapshot: &Snapshot) -> Result<Vec<PathRow>, Gap> {
    let mut rows: BTreeMap<(&str, &str), PathRow> = BTreeMap::new();
    for count in &snapshot.cloudflare()?.analytics()?.by_path.rows {
        let row = rows.entry((&count.host, &count.path)).or_insert_with(|| PathRow {
            host: count.host.clone(),
            path: count.path.clone(),
            requests: 0,
            to_origin: 0,
            bytes: 0,
        });
        row.requests += count.requests;
        row.bytes += count.bytes;
        if !is_edge_hit(&count.status) && count.status != "none" {
            row.to_origin += count.requests;
        }
    }
    let mut rows: Vec<PathRow> = rows.into_values().collect();
    rows.sort_by_key(|r| std::cmp::Reverse(r.to_origin));
    Ok(rows)
}

/// The paths that cost the origin most, as bars.
pub fn worst_paths(snapshot: &Snapshot) -> Drawn {
    if replaces_cloudflare(snapshot) {
        return Err("CloudWatch counts no paths.".to_owned());
    }
    let mut rows = paths(snapshot).map_err(|g| sentence(&g))?;
    rows.retain(|r| r.to_origin > 0);
    rows.truncate(BARS_MAX);
    let [first, _, _, ..] = rows.as_slice() else { return Err("Fewer than three paths reached the origin.".to_owned()) };
    let conclusion = format!("Paths by origin requests: {} causes most, {}.", first.path, text::count(first.to_origin));
    Ok(ChartSpec {
        id: "cdn.paths".into(),
        title: "Paths by origin requests".into(),
        caption: "requests that reached the origin".into(),
        conclusion,
        kind: ChartKind::HorizontalBars,
        unit: Unit::Count,
        series: vec![Series::of_categories("origin requests", SeriesRole::Cdn, rows.iter().map(|r| Some(r.to_origin as f64)))],
        target: None,
        categories: rows.iter().map(|r| r.path.clone()).collect(),
        x_axis: XAxis::Categories,
    })
}
