//! The edge where CloudFront is the store's CDN: CloudWatch's figures of the last day, together and by distribution.

use eframe::egui::Ui;

use super::cdn::{PROBES, errors_of, hit_ratio_of, hourly};
use super::cdn_tables::{headers, media};
use super::sheet::{Cell, Row, Sheet, mark, show as sheet};
use super::{Figure, gap_state, stats};
use crate::app::{Action, Audit, Model};
use crate::charts;
use crate::checks::edge_cloudfront::{hit_rate, rate_of};
use crate::evidence::cloudfront::{Distribution, DistributionMetrics, HourMetrics};
use crate::evidence::{Gap, Layer};
use crate::text;
use crate::ui::widgets::{Column, Condition, Width, page_state};

/// The segments that a store with Cloudflare has besides its own.
pub const BESIDE: [&str; 2] = ["CloudFront", "Behaviours"];

/// "CloudFront, 2 distributions, last 24 h, UTC".
pub fn caption(audit: &Audit) -> String {
    let Ok(seen) = audit.snapshot.cloudfront() else { return PROBES.into() };
    let read = seen.distributions().ok().map(|l| match l.rows.as_slice() {
        [one] => one.id.clone(),
        rows => text::plural(rows.len() as u64, "distribution", "distributions"),
    });
    let period = seen.metrics().ok().and_then(|m| m.first()).map(|m| format!("last {}, UTC", text::seconds(day_s(m))));
    [Some("CloudFront".to_owned()), read, period].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// The span in whole hours: the one that still runs is not counted.
fn day_s(m: &DistributionMetrics) -> f64 {
    (m.to - m.from).whole_hours() as f64 * 3_600.0
}

/// Draws the segment `tab`.
pub fn page(ui: &mut Ui, model: &Model, audit: &Audit, tab: usize, actions: &mut Vec<Action>) {
    let metrics = audit.snapshot.cloudfront().and_then(|c| c.metrics().map(Vec::as_slice));
    stats(ui, &figures(audit, &metrics));
    match tab {
        0 => traffic(ui, model, audit, metrics, actions),
        1 => drop(page_state(ui, Condition::NotChecked, "Not told", "CloudWatch counts a distribution as a whole: no classes of paths.", None)),
        2 => behaviours(ui, model, audit, actions),
        3 => headers(ui, model, audit, actions),
        _ => media(ui, model, audit, actions),
    }
}

/// Draws one of `BESIDE`.
pub fn beside(ui: &mut Ui, model: &Model, audit: &Audit, part: usize, actions: &mut Vec<Action>) {
    let metrics = audit.snapshot.cloudfront().and_then(|c| c.metrics().map(Vec::as_slice));
    stats(ui, &figures(audit, &metrics));
    match part {
        0 => traffic(ui, model, audit, metrics, actions),
        _ => behaviours(ui, model, audit, actions),
    }
}

fn traffic(ui: &mut Ui, model: &Model, audit: &Audit, metrics: Result<&[DistributionMetrics], Gap>, actions: &mut Vec<Action>) {
    match metrics {
        Ok(all) => {
            let charts = if charts::cdn::has_cloudfront_beside(&audit.snapshot) { charts::cdn::cloudfront_beside } else { charts::cdn::traffic };
            hourly(ui, charts(&audit.snapshot));
            distributions(ui, model, audit, all, actions);
        }
        Err(gap) => gap_state(ui, audit, &gap, actions),
    }
}

fn behaviours(ui: &mut Ui, model: &Model, audit: &Audit, actions: &mut Vec<Action>) {
    match audit.snapshot.cloudfront() {
        Ok(seen) => super::cdn_cloudfront::show(ui, model, audit, seen, actions),
        Err(gap) => gap_state(ui, audit, &gap, actions),
    }
}

fn figures(audit: &Audit, metrics: &Result<&[DistributionMetrics], Gap>) -> [Figure; 5] {
    let known = |caption, of: fn(&'static str, &[DistributionMetrics]) -> Figure| match metrics {
        Ok(all) => of(caption, all),
        Err(gap) => Figure::missing(caption, &gap.detail),
    };
    [
        hit_ratio_of("Hit ratio, GET and HEAD", audit, hit_rate(&audit.snapshot)),
        known("Requests", requests),
        known("Bytes downloaded", bytes),
        known("Origin latency", latency),
        known("Server errors", errors),
    ]
}

/// The sum of a figure; `None` without a single hour of it.
fn total(all: &[DistributionMetrics], of: impl Fn(&HourMetrics) -> Option<f64>) -> Option<f64> {
    let known: Vec<f64> = all.iter().flat_map(|m| &m.hours).filter_map(of).collect();
    (!known.is_empty()).then(|| known.iter().sum())
}

/// The mean of a figure over the requests of its hours; `None` without an hour that has both.
fn mean(all: &[DistributionMetrics], of: impl Fn(&HourMetrics) -> Option<f64>) -> Option<f64> {
    let weighed = total(all, |h| Some(of(h)? * h.requests?))?;
    let requests = total(all, |h| of(h).and(h.requests))?;
    (requests > 0.0).then(|| weighed / requests)
}

const NO_HOUR: &str = "CloudWatch has no hour with this figure";

fn requests(caption: &'static str, all: &[DistributionMetrics]) -> Figure {
    let Some(n) = total(all, |h| h.requests) else { return Figure::missing(caption, NO_HOUR) };
    let span_s = all.iter().map(|m| (m.to - m.from).as_seconds_f64()).fold(0.0, f64::max);
    let context = if span_s > 0.0 { format!("{} per s on average", text::number(n / span_s)) } else { String::new() };
    Figure::new(caption, text::count_short(n as u64), "", context)
}

fn bytes(caption: &'static str, all: &[DistributionMetrics]) -> Figure {
    let Some(n) = total(all, |h| h.bytes_downloaded) else { return Figure::missing(caption, NO_HOUR) };
    let (figure, unit) = super::split_unit(&text::bytes_disk(n as u64));
    let each = total(all, |h| h.requests).filter(|r| *r > 0.0).map(|r| format!("{} a request", text::bytes_disk((n / r) as u64)));
    Figure::new(caption, figure, unit, each.unwrap_or_default())
}

fn latency(caption: &'static str, all: &[DistributionMetrics]) -> Figure {
    match mean(all, |h| h.origin_latency_ms) {
        Some(ms) => {
            let (figure, unit) = super::split_unit(&text::millis(ms));
            Figure::new(caption, figure, unit, "mean to the first byte")
        }
        None if all.iter().any(|m| m.has_additional == Ok(false)) => Figure::missing(caption, "CloudFront's additional metrics are off"),
        None => Figure::missing(caption, NO_HOUR),
    }
}

fn errors(caption: &'static str, all: &[DistributionMetrics]) -> Figure {
    mean(all, |h| h.percent_5xx).map_or_else(|| Figure::missing(caption, NO_HOUR), |percent| errors_of(caption, percent / 100.0))
}

fn distributions(ui: &mut Ui, model: &Model, audit: &Audit, all: &[DistributionMetrics], actions: &mut Vec<Action>) {
    let read = audit.snapshot.cloudfront().and_then(|c| c.distributions()).map_or(&[][..], |l| &l.rows);
    let columns = vec![
        Column::left("Distribution", Width::Points(136.0)).sortable(),
        Column::left("Host", Width::Share(1.0)).sortable(),
        Column::left("Hit ratio", Width::Points(136.0)).sortable(),
        Column::right("Requests", Width::Points(80.0)).sortable(),
        Column::right("Bytes", Width::Points(80.0)).sortable(),
        Column::right("4xx", Width::Points(64.0)).sortable(),
        Column::right("5xx", Width::Points(64.0)).sortable(),
        Column::right("Origin latency", Width::Points(96.0)).sortable(),
        Column::right("Hours", Width::Points(64.0)).sortable(),
    ];
    let rows = all.iter().map(|m| row(audit, m, read.iter().find(|d| d.id == m.distribution)));
    let table = Sheet {
        caption: "hours without a request are not counted; the line is the target",
        ..Sheet::plain(Layer::Cdn, "distributions", "By distribution", columns, rows)
    };
    let tall = ui.available_height();
    sheet(ui, table, model, tall, actions);
}

fn row(audit: &Audit, m: &DistributionMetrics, read: Option<&Distribution>) -> Row {
    let one = std::slice::from_ref(m);
    let percent = |of: fn(&HourMetrics) -> Option<f64>| {
        let share = mean(one, of).map(|p| p / 100.0);
        share.map_or(Cell::None("–"), |v| Cell::number(v, text::percent(v)))
    };
    let ratio = match (rate_of(m), &m.has_additional) {
        (Some(rate), _) => {
            let target = Some(audit.snapshot.meta.targets.cdn_hit_ratio_min);
            Cell::Share { share: rate.rate(), shown: text::percent(rate.rate()), target }
        }
        (None, Ok(false)) => Cell::None("metrics off"),
        (None, Ok(true)) => Cell::None("no request"),
        (None, Err(_)) => Cell::None("not told"),
    };
    let host = read.map_or(Cell::None("–"), |d| Cell::Mono(d.aliases.first().unwrap_or(&d.domain).clone()));
    let cells = vec![
        Cell::Mono(m.distribution.clone()),
        host,
        ratio,
        total(one, |h| h.requests).map_or(Cell::None("–"), |n| Cell::Strong { value: n, shown: text::count(n as u64) }),
        total(one, |h| h.bytes_downloaded).map_or(Cell::None("–"), |n| Cell::number(n, text::bytes_disk(n as u64))),
        percent(|h| h.percent_4xx),
        percent(|h| h.percent_5xx),
        mean(one, |h| h.origin_latency_ms).map_or(Cell::None("–"), |v| Cell::number(v, text::millis(v))),
        Cell::count(m.hours.iter().filter(|h| h.requests.is_some()).count() as u64),
    ];
    let is_own = |name: &str| name == m.distribution || name.strip_prefix(&m.distribution).is_some_and(|rest| rest.starts_with(' '));
    Row::new(cells, mark(audit, |r| is_own(&r.finding.subject.name)))
}
