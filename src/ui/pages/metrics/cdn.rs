//! The edge: traffic, rules, headers, media.

use eframe::egui::Ui;
use std::collections::BTreeMap;

use super::cdn_tables::{headers, media, rules};
use super::sheet::{Cell, Mark, Row, Sheet, mark, show};
use super::{Figure, GAP, chart_height, gap_state, stats};
use crate::app::{Action, Audit, Model};
use crate::charts::{self, Drawn};
use crate::checks::edge_cloudfront::replaces_cloudflare;
use crate::checks::measures::{self, HitRate};
use crate::evidence::cdn::{Analytics, StatusCount};
use crate::evidence::{Gap, Layer};
use crate::text;
use crate::ui::draw;
use crate::ui::widgets::{Column, Width, columns};

/// Above this share of 5xx answers the origin is in trouble whatever the cache does.
const ERRORS_MAX: f64 = 0.005;

/// What the page tells where no CDN's own figures were read.
pub const PROBES: &str = "Probes of the storefront";

/// The segments of a store with one CDN.
const WORDS: [&str; 5] = ["Traffic", "Classes", "Rules", "Headers", "Media"];

/// The page's segments: what CloudFront has beside Cloudflare comes last.
pub fn words(audit: Option<&Audit>) -> Vec<&'static str> {
    let mut words = WORDS.to_vec();
    if audit.is_some_and(|a| charts::cdn::has_cloudfront_beside(&a.snapshot)) {
        words.extend(super::cdn_cloudwatch::BESIDE);
    }
    words
}

/// "Cloudflare, northwind-outfitters.com, last 24 h, UTC".
pub fn caption(audit: &Audit, tab: usize) -> String {
    if replaces_cloudflare(&audit.snapshot) || segment_beside(audit, tab).is_some() {
        return super::cdn_cloudwatch::caption(audit);
    }
    let Ok(cdn) = audit.snapshot.cloudflare() else { return PROBES.into() };
    let zone = cdn.zone().ok().map(|z| z.name.clone());
    let period = cdn.analytics().ok().map(|a| format!("last {}, UTC", text::seconds((a.to - a.from).as_seconds_f64())));
    [Some("Cloudflare".to_owned()), zone, period].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// Which of CloudFront's own segments `tab` is, in a store that has both.
fn segment_beside(audit: &Audit, tab: usize) -> Option<usize> {
    tab.checked_sub(WORDS.len()).filter(|_| charts::cdn::has_cloudfront_beside(&audit.snapshot))
}

/// Draws the segment `tab`.
pub fn page(ui: &mut Ui, model: &Model, audit: &Audit, tab: usize, actions: &mut Vec<Action>) {
    if replaces_cloudflare(&audit.snapshot) {
        super::cdn_cloudwatch::page(ui, model, audit, tab, actions);
    } else if let Some(part) = segment_beside(audit, tab) {
        super::cdn_cloudwatch::beside(ui, model, audit, part, actions);
    } else {
        cloudflare(ui, model, audit, tab, actions);
    }
}

fn cloudflare(ui: &mut Ui, model: &Model, audit: &Audit, tab: usize, actions: &mut Vec<Action>) {
    let analytics = audit.snapshot.cloudflare().and_then(|c| c.analytics().cloned());
    stats(ui, &figures(audit, &analytics));
    match tab {
        0 => match &analytics {
            Ok(a) => traffic(ui, model, audit, a, actions),
            Err(gap) => gap_state(ui, audit, gap, actions),
        },
        1 => super::cdn_classes::show(ui, model, audit, &analytics, actions),
        2 => rules(ui, model, audit, actions),
        3 => headers(ui, model, audit, actions),
        _ => media(ui, model, audit, actions),
    }
}

fn figures(audit: &Audit, analytics: &Result<Analytics, Gap>) -> [Figure; 5] {
    let known = |f: fn(&Analytics) -> Figure| analytics.as_ref().map(f).map_err(Gap::clone);
    [
        hit_ratio("Hit ratio, cacheable requests", audit),
        Figure::of("Hit ratio, bytes looked up", known(bytes_ratio)),
        Figure::of("Looked up in the cache", known(cacheable)),
        Figure::of("Reached the origin", known(to_origin)),
        Figure::of("Origin errors", known(errors)),
    ]
}

/// The gauge's figure against its target.
fn hit_ratio(caption: &'static str, audit: &Audit) -> Figure {
    hit_ratio_of(caption, audit, measures::cdn_hit_ratio(&audit.snapshot))
}

/// A hit ratio against the target.
pub fn hit_ratio_of(caption: &'static str, audit: &Audit, known: Result<HitRate, Gap>) -> Figure {
    let target = audit.snapshot.meta.targets.cdn_hit_ratio_min;
    let known = known.map(|rate| {
        let context = format!("target {}", text::percent(target));
        Figure::new(caption, text::percent(rate.rate()), "", context).off_target(rate.rate() < target)
    });
    Figure::of(caption, known)
}

fn sum(a: &Analytics, of: impl Fn(&StatusCount) -> u64, counts: impl Fn(&str) -> bool) -> u64 {
    a.by_status.iter().filter(|s| counts(&s.status)).map(of).sum()
}

fn bytes_ratio(a: &Analytics) -> Figure {
    let hits = sum(a, |s| s.bytes, measures::is_edge_hit);
    let of = sum(a, |s| s.bytes, measures::is_cacheable_status);
    if of == 0 {
        return Figure::missing("Hit ratio, bytes looked up", "no byte was looked up in the cache");
    }
    let context = format!("{} of {}", text::bytes_disk(hits), text::bytes_disk(of));
    Figure::new("Hit ratio, bytes looked up", text::percent(hits as f64 / of as f64), "", context)
}

fn cacheable(a: &Analytics) -> Figure {
    let of = sum(a, |s| s.requests, measures::is_cacheable_status);
    let all = sum(a, |s| s.requests, |_| true);
    let left_out = format!("{} dynamic, left out", text::count_short(all.saturating_sub(of)));
    Figure::new("Looked up in the cache", text::count_short(of), format!("of {}", text::count_short(all)), left_out)
}

fn to_origin(a: &Analytics) -> Figure {
    let n = sum(a, |s| s.requests, |s| !measures::is_edge_hit(s) && s != "none" && s != "unknown");
    let span_s = (a.to - a.from).as_seconds_f64();
    let context = if span_s > 0.0 { format!("{} per s on average", text::number(n as f64 / span_s)) } else { String::new() };
    Figure::new("Reached the origin", text::count_short(n), "requests", context)
}

fn errors(a: &Analytics) -> Figure {
    a.share_5xx.map_or_else(|| Figure::missing("Origin errors", "this plan's analytics do not tell"), |share| errors_of("Origin errors", share))
}

/// A share of 5xx answers against the most that is well.
pub fn errors_of(caption: &'static str, share: f64) -> Figure {
    let context = format!("target ≤ {}", text::percent(ERRORS_MAX));
    Figure::new(caption, text::percent(share), "5xx", context).off_target(share > ERRORS_MAX)
}

fn traffic(ui: &mut Ui, model: &Model, audit: &Audit, a: &Analytics, actions: &mut Vec<Action>) {
    hourly(ui, charts::cdn::traffic(&audit.snapshot));
    let tall = ui.available_height();
    paths(ui, model, audit, a, tall, actions);
}

/// Hit ratio, requests and bytes by hour beside each other.
pub fn hourly(ui: &mut Ui, charts: [(&'static str, Drawn); 3]) {
    let height = chart_height(ui).max(176.0);
    columns(ui, &[Width::Share(1.0); 3], height, GAP, |ui, index| {
        draw::chart_card(ui, ["Hit ratio", "Requests", "Bytes"][index], &charts[index].1, height, &[]);
    });
    ui.add_space(GAP);
}

/// Requests of one path that went to the origin, and why most of them did.
struct Path<'a> {
    host: &'a str,
    path: &'a str,
    to_origin: u64,
    bytes: u64,
    statuses: BTreeMap<&'a str, u64>,
}

fn by_path(a: &Analytics) -> Vec<Path<'_>> {
    let mut paths: BTreeMap<(&str, &str), Path<'_>> = BTreeMap::new();
    for count in a.by_path.rows.iter().filter(|c| !measures::is_edge_hit(&c.status) && c.status != "none") {
        let empty = || Path { host: &count.host, path: &count.path, to_origin: 0, bytes: 0, statuses: BTreeMap::new() };
        let path = paths.entry((&count.host, &count.path)).or_insert_with(empty);
        path.to_origin += count.requests;
        path.bytes += count.bytes;
        *path.statuses.entry(&count.status).or_insert(0) += count.requests;
    }
    let mut paths: Vec<Path<'_>> = paths.into_values().collect();
    paths.sort_by_key(|p| std::cmp::Reverse(p.to_origin));
    paths
}

fn paths(ui: &mut Ui, model: &Model, audit: &Audit, a: &Analytics, tall: f32, actions: &mut Vec<Action>) {
    let paths = by_path(a);
    let total = sum(a, |s| s.requests, |s| !measures::is_edge_hit(s) && s != "none" && s != "unknown").max(1);
    let row = |p: &Path<'_>| {
        let status = p.statuses.iter().max_by_key(|s| s.1).map_or("–", |s| s.0);
        let share = p.to_origin as f64 / total as f64;
        let cells = vec![
            Cell::Mono(p.path.to_owned()),
            Cell::Weak(p.host.to_owned()),
            Cell::Share { share, shown: text::percent(share), target: None },
            Cell::Strong { value: p.to_origin as f64, shown: text::count(p.to_origin) },
            Cell::number(p.bytes as f64, text::bytes_disk(p.bytes)),
            Cell::Weak(cause(status)),
        ];
        Row::new(cells, path_mark(audit, p.path, Layer::Cdn))
    };
    let more = match a.by_path.cut {
        Some(0) => String::new(),
        Some(n) => format!(", {} more not listed", text::count(n)),
        None => ", more not listed".to_owned(),
    };
    let columns = vec![
        Column::left("Path", Width::Share(1.2)).sortable(),
        Column::left("Host", Width::Share(0.8)).sortable(),
        Column::left("Of all to origin", Width::Points(136.0)).sortable(),
        Column::right("To origin", Width::Points(72.0)).sortable(),
        Column::right("Bytes", Width::Points(72.0)).sortable(),
        Column::left("Cause", Width::Share(1.4)),
    ];
    let sheet = Sheet {
        caption: &format!("{}{more}", text::plural(paths.len() as u64, "path", "paths")),
        filter: "Filter paths",
        ..Sheet::plain(Layer::Cdn, "paths", "Paths by origin requests", columns, paths.iter().map(row))
    };
    show(ui, sheet, model, tall, actions);
}

/// The finding on this path, of `layer` first; patterns such as `/products/*` cover what begins like them.
pub fn path_mark(audit: &Audit, path: &str, layer: Layer) -> Option<Mark> {
    let covers = |touch: &str| {
        touch
            .strip_prefix("path:")
            .is_some_and(|p| p == path || p.strip_suffix('*').is_some_and(|prefix| prefix.len() > 1 && path.starts_with(prefix)))
    };
    let on_path = |r: &crate::plan::Ranked| r.finding.touches.iter().any(|t| covers(t));
    mark(audit, |r| r.check.layer == layer && on_path(r)).or_else(|| mark(audit, on_path))
}

/// What a cache status says of the reason.
fn cause(status: &str) -> String {
    let why = match status {
        "dynamic" => "not eligible: no rule or file type makes it cacheable",
        "miss" => "eligible, not in the cache at that moment",
        "expired" => "was in the cache, its time had run out",
        "bypass" => "a header, cookie or rule forbids caching",
        "revalidated" => "the origin confirmed the cached copy",
        _ => return status.to_owned(),
    };
    format!("{}: {why}", status.to_uppercase())
}
