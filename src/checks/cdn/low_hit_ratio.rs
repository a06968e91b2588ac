//! Too few of the requests that could be answered at the edge are.

use std::collections::BTreeMap;

use crate::checks::edge::remedy;
use crate::checks::http::{PathKind, path_kind};
use crate::checks::measures::{HitRate, SAMPLE_INTERVAL_MAX, cdn_hit_ratio, cdn_hit_ratio_of_all, is_cacheable_status, is_edge_hit};
use crate::checks::{Check, always, edge_cloudfront};
use crate::evidence::cdn::Analytics;
use crate::evidence::{Gap, Layer, Section, Snapshot};
use crate::finding::{Basis, Cell, Confidence, Cost, Effort, Evidence, Finding, Gain, Remedy, RemedyKind, Resource, Severity, Subject};
use crate::text;

pub static CHECK: Check = Check {
    id: "cdn-low-hit-ratio",
    layer: Layer::Cdn,
    title: "Too few cacheable requests are answered at the edge",
    passed: "The share of cacheable requests answered at the edge is at or above the target.",
    why: "Each request the CDN cannot answer travels to the store's own machines and costs application and database time. Under load these are the \
          requests that make the store slow for everybody.",
    remedy: "Find the paths that reach the origin most and make them cacheable: headers first, then a cache rule, then tiered caching.",
    method: "Cloudflare's analytics of the last 24 hours, eyeball requests only: (hit + stale + updating) ÷ (hit + stale + updating + miss + expired + \
             revalidated, plus dynamic and bypass on catalogue and static paths, without misses on personal paths). Fires below the target (80 %), \
             given at least 500 such requests. Shown by class of path, with the ratio of all requests beside it. Where CloudFront is the CDN: its \
             hit rate of each hour, weighted by requests; at most Medium, since it counts carts and account pages too. Distributions without additional \
             metrics have no hit rate: a good ratio of the others is no pass where they answer more than 5 % of the requests.",
    effort: Effort::Hours,
    references: &[
        "https://developers.cloudflare.com/cache/performance-review/cache-analytics/",
        "https://developers.cloudflare.com/cache/concepts/cache-responses/",
        "https://developers.cloudflare.com/cache/how-to/tiered-cache/",
    ],
    needs: &[Section::CdnAnalytics],
    uses: &[Section::CloudFrontMetrics],
    symptom_of: &[
        "cdn-bypass-too-wide",
        "cdn-cache-key-too-wide",
        "cdn-development-mode",
        "cdn-edge-ttl-short",
        "cdn-session-cookie-everywhere",
        "cdn-static-not-immutable",
        "cdn-uncached-catalogue",
    ],
    applies_to: always,
    evaluate,
};

/// CloudFront counts every GET and HEAD, carts and account pages too, so its ratio is lower than that of cacheable requests: never High.
const CLOUDFRONT_SEVERITY_MAX: Severity = Severity::Medium;
/// Paths listed as evidence.
const PATHS_SHOWN: usize = 20;

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let rate = cdn_hit_ratio(snapshot)?;
    let target = snapshot.meta.targets.cdn_hit_ratio_min;
    if rate.rate() >= target {
        return Ok(Vec::new());
    }
    let is_cloudfront = edge_cloudfront::replaces_cloudflare(snapshot);
    Ok(vec![if is_cloudfront { of_cloudfront(snapshot, &rate, target)? } else { of_cloudflare(snapshot, &rate, target)? }])
}

fn of_cloudflare(snapshot: &Snapshot, rate: &HitRate, target: f64) -> Result<Finding, Gap> {
    let analytics = snapshot.cloudflare()?.analytics()?;
    let is_coarse = analytics.sample_interval.is_none_or(|i| i > SAMPLE_INTERVAL_MAX);
    Ok(Finding {
        evidence: [vec![before_after(rate, target)], evidence(analytics)].concat(),
        confidence: if is_coarse { Confidence::Medium } else { Confidence::High },
        confidence_because: analytics
            .sample_interval
            .map_or_else(|| "the sampling is not known".to_owned(), |i| format!("counted by Cloudflare, one request in {}", text::number(i))),
        remedies: remedies(),
        verify: format!("A day later, Caching → Overview in Cloudflare's dashboard and this audit show at least {}.", text::percent(target)),
        touches: touches(analytics),
        ..finding(rate, target, ["cacheable request", "cacheable requests"])
    })
}

fn of_cloudfront(snapshot: &Snapshot, rate: &HitRate, target: f64) -> Result<Finding, Gap> {
    let finding = finding(rate, target, ["request", "requests"]);
    let uncovered = edge_cloudfront::uncovered_share(snapshot.cloudfront()?.metrics()?);
    let part = if uncovered > 0.0 {
        format!("; distributions without additional metrics, {} of the requests, are not in it", text::percent(uncovered))
    } else {
        String::new()
    };
    Ok(Finding {
        evidence: [vec![before_after(rate, target)], edge_cloudfront::ratio_evidence(snapshot)?].concat(),
        severity: finding.severity.min(CLOUDFRONT_SEVERITY_MAX),
        confidence: Confidence::Medium,
        confidence_because: format!("CloudWatch counts every GET and HEAD, carts and account pages too{part}"),
        remedies: vec![which_behaviours()],
        verify: format!("A day later, CloudFront → Reports & analytics → Cache statistics and this audit show at least {}.", text::percent(target)),
        touches: vec!["traffic:cdn".to_owned()],
        ..finding
    })
}

/// What is said of either CDN alike; `noun` is what was counted, one and many.
fn finding(rate: &HitRate, target: f64, [one, many]: [&str; 2]) -> Finding {
    let share = 1.0 - rate.rate();
    let per_s = (rate.of as f64 * target - rate.hits as f64).max(0.0) / rate.span_s.max(1.0);
    Finding {
        subject: Subject::new("zone", "cacheable traffic"),
        observed: format!(
            "{} of {} in {} were answered at the edge: {}, the target is {}.",
            text::count(rate.hits),
            text::plural(rate.of, one, many),
            rate.period,
            text::percent(rate.rate()),
            text::percent(target)
        ),
        step: "Raise the share of requests answered at the edge".to_owned(),
        evidence: Vec::new(),
        severity: Severity::from_share(share),
        confidence: Confidence::High,
        confidence_because: String::new(),
        effort: Effort::Hours,
        cost: Cost { resource: Resource::OriginRequests, share },
        gain: Some(Gain {
            origin_requests_per_s: Some(per_s),
            ..Gain::new(Basis::Modelled, format!("\u{2212}{} requests at the origin at the target", text::per_second(per_s)))
        }),
        averts: None,
        remedies: Vec::new(),
        verify: String::new(),
        touches: Vec::new(),
    }
}

fn before_after(rate: &HitRate, target: f64) -> Evidence {
    Evidence::BeforeAfter {
        label: "Answered at the edge".to_owned(),
        unit: "%".to_owned(),
        before: rate.rate() * 100.0,
        after: target * 100.0,
        basis: Basis::Modelled,
    }
}

fn evidence(analytics: &Analytics) -> Vec<Evidence> {
    let all = cdn_hit_ratio_of_all(analytics);
    let bytes = |wanted: fn(&str) -> bool| analytics.by_status.iter().filter(|s| wanted(&s.status)).map(|s| s.bytes).sum::<u64>();
    let bytes_edge = bytes(|s| is_edge_hit(s) || s == "revalidated");
    let bytes_of = bytes(is_cacheable_status);
    let byte_ratio = if bytes_of == 0 { 0.0 } else { bytes_edge as f64 / bytes_of as f64 };
    let mut by_status: Vec<_> = analytics.by_status.iter().collect();
    by_status.sort_by(|a, b| b.requests.cmp(&a.requests).then_with(|| a.status.cmp(&b.status)));
    let statuses = by_status.into_iter().map(|s| {
        vec![
            Cell::text(s.status.clone()),
            Cell::number(s.requests as f64, text::count(s.requests)),
            Cell::number(s.bytes as f64, text::bytes_disk(s.bytes)),
        ]
    });
    vec![
        Evidence::figure("Of all requests", all.rate(), "ratio", text::percent(all.rate())),
        Evidence::figure("Of bytes", byte_ratio, "ratio", text::percent(byte_ratio)),
        Evidence::table("By cache status", &["status", "requests", "bytes"], statuses.collect()),
        if analytics.by_class.is_empty() { by_kind(analytics) } else { by_class(analytics) },
        worst_paths(analytics),
        Evidence::text(
            "Used here: of cacheable requests",
            "(hit + stale + updating) ÷ (those + miss + expired + revalidated + dynamic and bypass on catalogue and static paths)",
        ),
        Evidence::text("For comparison: of all requests", "(hit + stale + updating) ÷ (all but none, which never came near the cache)"),
    ]
}

/// Every request of a class, so that what is never cached shows beside what is.
fn by_class(analytics: &Analytics) -> Evidence {
    let rows = analytics.by_class.iter().filter_map(|class| {
        let sum = |wanted: fn(&str) -> bool| class.by_status.iter().filter(|s| wanted(&s.status)).map(|s| s.requests).sum::<u64>();
        let bytes = |wanted: fn(&str) -> bool| class.by_status.iter().filter(|s| wanted(&s.status)).map(|s| s.bytes).sum::<u64>();
        let (hits, all, looked_up) = (sum(is_edge_hit), sum(|s| s != "none"), sum(is_cacheable_status));
        let ratio =
            |of: u64| if of == 0 { Cell::text("none") } else { Cell::number(hits as f64 / of as f64, text::percent(hits as f64 / of as f64)) };
        let (bytes_hit, bytes_all) = (bytes(|s| is_edge_hit(s) || s == "revalidated"), bytes(|s| s != "none"));
        let byte_share = if bytes_all == 0 { 0.0 } else { bytes_hit as f64 / bytes_all as f64 };
        (all > 0).then(|| {
            vec![
                Cell::text(class.class.name()),
                Cell::number(all as f64, text::count(all)),
                ratio(all),
                ratio(looked_up),
                Cell::number(byte_share, text::percent(byte_share)),
                class.origin_p95_ms.map_or_else(|| Cell::text("not told"), |ms| Cell::number(ms, text::millis(ms))),
            ]
        })
    });
    let columns = ["paths", "requests", "edge, of all", "edge, of looked up", "edge, of bytes", "origin P95"];
    Evidence::table("Answered at the edge, by class of path", &columns, rows.collect())
}

fn by_kind(analytics: &Analytics) -> Evidence {
    let mut kinds: BTreeMap<PathKind, (u64, u64)> = BTreeMap::new();
    for row in analytics.by_path.rows.iter().filter(|r| !is_edge_hit(&r.status)) {
        let entry = kinds.entry(path_kind(&row.path)).or_default();
        *entry = (entry.0 + row.requests, entry.1 + row.bytes);
    }
    let rows = kinds.into_iter().map(|(kind, (requests, bytes))| {
        vec![Cell::text(kind.name()), Cell::number(requests as f64, text::count(requests)), Cell::number(bytes as f64, text::bytes_disk(bytes))]
    });
    Evidence::table("Reached the origin, by kind of path", &["paths", "requests", "bytes"], rows.collect())
}

fn worst_paths(analytics: &Analytics) -> Evidence {
    let wanted = analytics.by_path.rows.iter().filter(|r| !is_edge_hit(&r.status) && path_kind(&r.path) != PathKind::Personal);
    let rows = wanted.take(PATHS_SHOWN).map(|r| {
        vec![
            Cell::text(format!("{}{}", r.host, r.path)),
            Cell::text(r.status.clone()),
            Cell::number(r.requests as f64, text::count(r.requests)),
            Cell::number(r.bytes as f64, text::bytes_disk(r.bytes)),
        ]
    });
    Evidence::table("Paths that reach the origin most", &["path", "status", "requests", "bytes"], rows.collect())
}

fn touches(analytics: &Analytics) -> Vec<String> {
    let mut all = vec!["traffic:cdn".to_owned()];
    let kinds: Vec<PathKind> = analytics.by_path.rows.iter().map(|r| path_kind(&r.path)).collect();
    if kinds.contains(&PathKind::Catalogue) {
        all.push("path:/products/*".to_owned());
    }
    if analytics.by_path.rows.iter().any(|r| r.path.starts_with("/_next/static/")) {
        all.push("path:/_next/static/*".to_owned());
    }
    all
}

fn remedies() -> Vec<Remedy> {
    let rules = [remedy::hashed_files(), remedy::optimised_images(), remedy::catalogue_pages(), remedy::bypass_shoppers()];
    let risk =
        "Low: hashed files never change under their name, pages are kept only where the storefront sends a lifetime, shoppers with a cart pass.";
    let mut all = remedy::remedies("Keep files, pictures and catalogue pages, and let shoppers pass", &rules, risk);
    all.push(remedy::tiered_cache());
    all
}

fn which_behaviours() -> Remedy {
    Remedy {
        kind: RemedyKind::Shell,
        label: "See which behaviours keep nothing".to_owned(),
        text: "medusa-advisor audit --cloudfront all --only cdn-caching-disabled-behavior cdn-forwards-everything".to_owned(),
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
    use crate::evidence::cdn::StatusCount;
    use crate::finding::Outcome;

    fn with(statuses: &[(&str, u64)], paths: &[(&str, &str, u64)]) -> Snapshot {
        let paths: Vec<(&str, &str, &str, u64)> = paths.iter().map(|(path, status, n)| ("h", *path, *status, *n)).collect();
        let mut zone = zone_of(vec![]);
        zone.analytics = Ok(analytics(statuses, &paths));
        store(zone)
    }

    #[test]
    fn the_target_is_a_boundary() {
        assert_eq!(CHECK.run(&with(&[("hit", 800), ("miss", 200), ("dynamic", 5_000)], &[])), Outcome::Passed);
        let findings = found(CHECK.run(&with(&[("hit", 799), ("miss", 201)], &[])));
        assert_eq!(findings[0].severity, Severity::Medium);
        assert!((findings[0].cost.share - 0.201).abs() < 1e-9);
        assert_eq!(found(CHECK.run(&with(&[("hit", 700), ("miss", 300)], &[])))[0].severity, Severity::High);
    }

    #[test]
    fn few_requests_are_unknown() {
        assert!(matches!(CHECK.run(&with(&[("hit", 1), ("miss", 498)], &[])), Outcome::Unknown(_)));
        assert!(matches!(CHECK.run(&with(&[("hit", 1), ("miss", 499)], &[])), Outcome::Failed(_)));
    }

    #[test]
    fn catalogue_pages_the_cache_never_saw_count_and_carts_do_not() {
        let statuses = [("hit", 900), ("miss", 100), ("dynamic", 2_000)];
        assert!(matches!(CHECK.run(&with(&statuses, &[("/us/products/x", "dynamic", 1_000)])), Outcome::Failed(_)));
        assert_eq!(CHECK.run(&with(&statuses, &[("/us/cart", "dynamic", 2_000)])), Outcome::Passed);
        assert_eq!(CHECK.run(&with(&[("hit", 800), ("miss", 300)], &[("/us/cart", "miss", 100)])), Outcome::Passed);
    }

    #[test]
    fn classes_count_what_the_path_list_leaves_out() {
        use crate::evidence::cdn::{ClassCount, TrafficClass};
        let class = |class, status: &str, requests| ClassCount {
            class,
            by_status: vec![StatusCount { status: status.into(), requests, bytes: requests }],
            origin_p50_ms: None,
            origin_p95_ms: Some(900.0),
            share_5xx: None,
        };
        let run = |classes: Vec<ClassCount>| {
            let mut snapshot = with(&[("hit", 900), ("miss", 100), ("dynamic", 2_000)], &[]);
            snapshot.cdn.as_mut().unwrap().analytics.as_mut().unwrap().by_class = classes;
            CHECK.run(&snapshot)
        };
        let findings = found(run(vec![class(TrafficClass::ProductPages, "dynamic", 1_000)]));
        let shown = |wanted: &str| {
            findings[0].evidence.iter().any(|e| matches!(e, Evidence::Table { label, .. } | Evidence::Text { label, .. } if label.contains(wanted)))
        };
        assert!(shown("by class of path") && shown("Used here") && shown("For comparison"));
        assert_eq!(run(vec![class(TrafficClass::Personal, "dynamic", 1_000)]), Outcome::Passed);
        assert_eq!(run(vec![class(TrafficClass::Personal, "miss", 90)]), Outcome::Passed);
    }
}
