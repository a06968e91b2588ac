//! Tracking parameters in the cache key: which pages keep a copy for each value, and what that costs by Cloudflare's own count.

use std::collections::BTreeSet;

use super::paths::{RealPath, not_told, real_paths};
use super::{Fate, Request, decide, rewritten};
use crate::checks::measures::{is_cacheable_status, is_edge_hit};
use crate::evidence::cdn::{Analytics, Cloudflare, StatusCount, Tracker, TrafficClass};
use crate::evidence::{Cause, Gap, Section, Snapshot};

/// The catalogue pages whose key holds tracking parameters.
#[derive(Debug)]
pub struct Held<'s> {
    pub pages: Vec<RealPath<'s>>,
    pub parameters: BTreeSet<&'static str>,
    /// The key of the first page, in words.
    pub key: String,
    /// Why it cannot be told of some page.
    pub gap: Option<Gap>,
    /// URL rewrites were read and could be followed: none removes the parameters.
    pub is_certain: bool,
}

/// Works out the key of each catalogue page as an advertisement would link it.
pub fn held<'s>(snapshot: &'s Snapshot, zone: &Cloudflare) -> Held<'s> {
    let rewrites = zone.add_ons().ok().and_then(|a| a.url_rewrites.as_ref().ok());
    let mut held = Held { pages: Vec::new(), parameters: BTreeSet::new(), key: String::new(), gap: None, is_certain: rewrites.is_some() };
    for page in real_paths(snapshot, zone).into_iter().filter(RealPath::is_catalogue_page) {
        let seen = rewritten(rewrites.map_or(&[], Vec::as_slice), &linked(&page));
        let decision = decide(zone, &seen.request);
        if decision.fate == Fate::Unclear || (decision.fate.is_eligible() && decision.key.is_none()) {
            held.gap = held.gap.or_else(|| Some(not_told(&decision)));
            continue;
        }
        let Some(key) = decision.key.filter(|_| decision.fate.is_eligible()) else { continue };
        let names: Vec<&str> = Tracker::all_parameters().filter(|name| key.holds(name) && carries(&seen.request, name)).collect();
        if names.is_empty() {
            continue;
        }
        held.is_certain &= seen.unknown.is_empty();
        if held.pages.is_empty() {
            held.key = key.words();
        }
        held.parameters.extend(names);
        held.pages.push(page);
    }
    held
}

/// The page with every tracking parameter there is.
fn linked(page: &RealPath) -> Request {
    let query: Vec<String> = Tracker::all_parameters().map(|name| format!("{name}=1")).collect();
    Request::get(&page.host, &format!("{}?{}", page.path, query.join("&")))
}

fn carries(request: &Request, name: &str) -> bool {
    request.query.split('&').any(|part| part.split('=').next() == Some(name))
}

/// What tracking parameters cost: requests for catalogue pages, by the analytics.
#[derive(Debug, Clone, PartialEq)]
pub struct Counted {
    /// All, with and without parameters; those that never came near the cache left out.
    pub pages: u64,
    /// With a parameter that the key holds.
    pub tracked: u64,
    /// 0…1, of those with such a parameter that the cache looked up: not found.
    pub miss_share: f64,
    /// The same of those without any parameter; `None` where there were none.
    pub plain_miss_share: Option<f64>,
    /// Requests that missed beyond what those without a parameter let expect.
    pub excess: f64,
}

impl Counted {
    /// 0…1, of all requests for catalogue pages.
    pub fn share(&self) -> f64 {
        if self.pages == 0 { 0.0 } else { (self.excess / self.pages as f64).min(1.0) }
    }
}

/// Counts requests whose query carries one of these parameters.
///
/// # Errors
/// When the plan does not let query strings be counted, or the analytics are missing.
pub fn counted(zone: &Cloudflare, parameters: &BTreeSet<&str>) -> Result<Counted, Gap> {
    let analytics = zone.analytics()?;
    let (Some(tracked), false) = (&analytics.tracked, analytics.by_class.is_empty()) else { return Err(not_counted(analytics)) };
    let is_held = |tracker: Tracker| tracker.parameters().iter().any(|p| parameters.contains(p));
    let of_some = tracked.by_tracker.iter().filter(|t| is_held(t.tracker)).map(|t| &t.by_status);
    // A request may carry parameters of several: of a part of the trackers the largest is a lower bound.
    let with: &[StatusCount] = if Tracker::ALL.into_iter().all(is_held) {
        &tracked.by_status
    } else {
        of_some.max_by_key(|counts| sum(counts, |_| true)).map_or(&[], Vec::as_slice)
    };
    let is_page = |class: TrafficClass| matches!(class, TrafficClass::ProductPages | TrafficClass::ListPages);
    let of_pages = |wanted: fn(&str) -> bool| analytics.by_class.iter().filter(|c| is_page(c.class)).map(|c| sum(&c.by_status, wanted)).sum::<u64>();
    let (looked_up, found) = (sum(with, is_cacheable_status), sum(with, is_edge_hit));
    let plain_looked_up = of_pages(is_cacheable_status).saturating_sub(sum(&tracked.by_status, is_cacheable_status));
    let plain_found = of_pages(is_edge_hit).saturating_sub(sum(&tracked.by_status, is_edge_hit)).min(plain_looked_up);
    let missed_of = |looked_up: u64, found: u64| (looked_up > 0).then(|| looked_up.saturating_sub(found) as f64 / looked_up as f64);
    let (miss_share, plain_miss_share) = (missed_of(looked_up, found).unwrap_or(0.0), missed_of(plain_looked_up, plain_found));
    Ok(Counted {
        pages: of_pages(|s| s != "none").max(sum(with, |s| s != "none")),
        tracked: sum(with, |s| s != "none"),
        miss_share,
        plain_miss_share,
        excess: looked_up as f64 * (miss_share - plain_miss_share.unwrap_or(0.0)).max(0.0),
    })
}

fn sum(counts: &[StatusCount], wanted: impl Fn(&str) -> bool) -> u64 {
    counts.iter().filter(|c| wanted(&c.status)).map(|c| c.requests).sum()
}

fn not_counted(analytics: &Analytics) -> Gap {
    let feature = "requests by query string (clientRequestQuery)".to_owned();
    let remedy = "A Cloudflare plan whose analytics tell clientRequestQuery; else compare two requests for a product page that differ by utm_source.";
    let detail = format!("Requests with tracking parameters are not counted, so what they cost is not known ({}).", analytics.source);
    Gap::new(Section::CdnAnalytics, Cause::Absent { feature, remedy: remedy.to_owned() }, detail)
}

#[cfg(test)]
pub mod fixtures {
    use super::super::fixtures::{analytics, eligible, zone_of};
    use crate::evidence::cdn::{ClassCount, Cloudflare, StatusCount, Tracked, Tracker, TrackerCount, TrafficClass};

    /// Status and requests.
    pub type Counts<'a> = &'a [(&'a str, u64)];

    fn counts(all: Counts) -> Vec<StatusCount> {
        all.iter().map(|(status, requests)| StatusCount { status: (*status).into(), requests: *requests, bytes: 0 }).collect()
    }

    /// A zone that keeps product pages, with all requests for them and those with a parameter of each tracker.
    pub fn advertised(all: Counts, any: Counts, by: &[(Tracker, Counts)]) -> Cloudflare {
        let mut zone = zone_of(vec![eligible("(http.request.uri.path wildcard \"/*/products/*\")", Some(14_400))]);
        let mut told = analytics(all, &[("shop.example.com", "/us/products/x", "miss", 10)]);
        let class = |class, by_status| ClassCount { class, by_status, origin_p50_ms: None, origin_p95_ms: None, share_5xx: None };
        told.by_class = vec![class(TrafficClass::ProductPages, counts(all)), class(TrafficClass::Media, counts(&[("hit", 1_000_000)]))];
        let by_tracker = by.iter().map(|(tracker, c)| TrackerCount { tracker: *tracker, by_status: counts(c) }).collect();
        told.tracked = Some(Tracked { by_status: counts(any), by_tracker });
        zone.analytics = Ok(told);
        zone
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{phase_rule, store};
    use super::fixtures::advertised;
    use super::*;
    use crate::evidence::cdn::CacheRule;

    fn all() -> BTreeSet<&'static str> {
        Tracker::all_parameters().collect()
    }

    #[test]
    fn only_misses_beyond_the_usual_count() {
        let of = |all_pages: fixtures::Counts, any: fixtures::Counts| counted(&advertised(all_pages, any, &[]), &all()).unwrap();
        let clicked = of(&[("hit", 700), ("miss", 300)], &[("hit", 20), ("miss", 180)]);
        assert_eq!((clicked.pages, clicked.tracked, clicked.miss_share, clicked.plain_miss_share), (1_000, 200, 0.9, Some(0.15)));
        assert!((clicked.share() - 0.15).abs() < 1e-9, "{clicked:?}");
        // As good as the others, or better.
        assert_eq!(of(&[("hit", 700), ("miss", 300)], &[("hit", 140), ("miss", 60)]).excess, 0.0);
        assert_eq!(of(&[("hit", 700), ("miss", 300)], &[("hit", 200)]).excess, 0.0);
        // What the cache never looked up costs nothing by its key.
        assert_eq!(of(&[("hit", 700), ("dynamic", 300)], &[("dynamic", 300)]).excess, 0.0);
        assert_eq!(of(&[("miss", 300), ("none", 90)], &[("miss", 300), ("none", 90)]).pages, 300);
        assert_eq!(of(&[], &[]).share(), 0.0);
    }

    #[test]
    fn a_part_of_the_trackers_is_counted_by_the_largest() {
        let by: &[(Tracker, fixtures::Counts)] =
            &[(Tracker::Google, &[("miss", 90)]), (Tracker::Mail, &[("miss", 30)]), (Tracker::Meta, &[("miss", 80)])];
        let zone = advertised(&[("hit", 800), ("miss", 200)], &[("miss", 150)], by);
        assert_eq!(counted(&zone, &all()).unwrap().tracked, 150);
        assert_eq!(counted(&zone, &BTreeSet::from(["mc_cid", "fbclid"])).unwrap().tracked, 80);
        assert_eq!(counted(&zone, &BTreeSet::from(["msclkid"])).unwrap().tracked, 0);
        let mut untold = zone.clone();
        untold.analytics.as_mut().unwrap().tracked = None;
        assert!(counted(&untold, &all()).unwrap_err().cause.remedy().is_some());
        let mut without_classes = zone;
        without_classes.analytics.as_mut().unwrap().by_class.clear();
        assert!(counted(&without_classes, &all()).is_err());
    }

    #[test]
    fn the_key_is_that_of_the_rewritten_address() {
        let zone = advertised(&[("hit", 1)], &[], &[]);
        let of = |zone: &Cloudflare| {
            let snapshot = store(zone.clone());
            let held = held(&snapshot, zone);
            (held.parameters.len(), held.is_certain, held.gap.is_some())
        };
        let every = all().len();
        assert_eq!(of(&zone), (every, true, false));
        let with_rewrite = |expression: &str, names: &str| {
            let mut zone = zone.clone();
            let rule = phase_rule("R", expression, &serde_json::json!({ "uri": { "query": { "expression": names } } }).to_string());
            zone.add_ons.as_mut().unwrap().url_rewrites = Ok(vec![rule]);
            of(&zone)
        };
        assert_eq!(with_rewrite("true", "remove_query_args(http.request.uri.query, \"gclid\", \"fbclid\")"), (every - 2, true, false));
        assert_eq!(with_rewrite("ip.src.country eq \"DE\"", "remove_query_args(http.request.uri.query, \"gclid\")"), (every, false, false));
        let with_key = |query: &str| {
            let mut zone = zone.clone();
            let key = format!("{{\"custom_key\":{{\"query_string\":{query}}}}}");
            zone.cache_rules.as_mut().unwrap().push(CacheRule {
                cache_key: Some(key),
                expression: "true".into(),
                is_enabled: true,
                ..CacheRule::default()
            });
            of(&zone)
        };
        assert_eq!(with_key("{\"exclude\":\"*\"}"), (0, true, false));
        assert_eq!(with_key("{\"include\":[\"page\",\"gclid\"]}"), (1, true, false));
        assert_eq!(with_key("{\"exclude\":{\"list\":[\"gclid\"]}}"), (every - 1, true, false));
        let mut unread = zone.clone();
        unread.add_ons.as_mut().unwrap().url_rewrites = Err(Gap::not_configured(Section::CdnAddOns));
        assert_eq!(of(&unread), (every, false, false));
        let mut unclear = zone.clone();
        unclear.cache_rules.as_mut().unwrap()[0].expression = "ip.src.country eq \"DE\"".into();
        assert_eq!(of(&unclear), (0, true, true));
        let mut stock = zone;
        stock.cache_rules = Ok(vec![]);
        assert_eq!(of(&stock), (0, true, false));
    }
}
