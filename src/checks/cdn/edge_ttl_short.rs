//! Catalogue pages are kept too briefly at the edge, or together with a redirect or a cookie.

use crate::checks::edge::paths::{PATHS_USES, RealPath, catalogue_pages, lifetime_not_seen, unclear};
use crate::checks::edge::{Decision, EdgeTtl, Stored, decide, remedy};
use crate::checks::http::{CacheControl, answer as probe, own_cookies};
use crate::checks::measures::origin_share;
use crate::checks::{Check, always, joined};
use crate::evidence::cdn::Cloudflare;
use crate::evidence::storefront::{Answer, Variant};
use crate::evidence::{Gap, Layer, Section, Snapshot};
use crate::finding::{Basis, Cell, Confidence, Cost, Effort, Evidence, Finding, Gain, Resource, Severity, Subject};
use crate::text;

const USES: [Section; 7] = joined(PATHS_USES, [Section::CdnSettings]);

pub static CHECK: Check = Check {
    id: "cdn-edge-ttl-short",
    layer: Layer::Cdn,
    title: "Catalogue pages are kept too briefly at the edge",
    passed: "Catalogue pages that are kept at the edge stay there for an hour or more, or are renewed behind the shopper's back.",
    why: "Each time a page expires, each edge location asks the store for it again. At a minute's lifetime a page that is asked for once a minute is never \
          answered from the cache.",
    remedy: "Keep catalogue pages for four hours and purge what changes, or let the storefront send stale-while-revalidate.",
    method: "For product, collection and category pages seen by the probe or in the analytics that are eligible without cookies: the lifetime is the rule's, \
             else the s-maxage or max-age of the answer seen. Fires below 3,600 s (the guide asks for 14,400 s), unless stale-while-revalidate makes up for it. \
             A page that was not asked goes by one of its sort that was, where the zone treats both alike; without one nothing is told of it. \
             Also fires where a rule's lifetime overrides an answer that sets a cookie, or a redirect, so that it would be kept for others.",
    effort: Effort::Minutes,
    references: &[
        "https://developers.cloudflare.com/cache/how-to/cache-rules/settings/",
        "https://developers.cloudflare.com/cache/how-to/purge-cache/",
        "https://www.rfc-editor.org/rfc/rfc5861",
    ],
    needs: &[Section::CdnCacheRules, Section::CdnPageRules],
    uses: &USES,
    symptom_of: &[],
    applies_to: always,
    evaluate,
};

/// Seconds: a quarter of the guide's four hours.
const TTL_S_MIN: i64 = 3_600;
const PATHS_SHOWN: usize = 20;

struct Judged<'s> {
    path: RealPath<'s>,
    decision: Decision,
    lifetime: Lifetime,
}

/// How long the edge keeps a page that is eligible.
enum Lifetime {
    /// By a rule, or by the answer seen.
    Seconds(i64, String),
    /// The answer seen is not kept: that is judged elsewhere.
    None,
    /// Left to the origin, whose answer was not seen or does not tell.
    NotSeen(Option<String>),
}

struct Short<'j> {
    path: &'j RealPath<'j>,
    decision: &'j Decision,
    seconds: i64,
    because: &'j str,
}

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let zone = snapshot.cloudflare()?;
    zone.cache_rules()?;
    zone.page_rules()?;
    let pages = catalogue_pages(snapshot, zone)?;
    let unclear = unclear(zone, &pages);
    let mut findings = Vec::new();
    findings.extend(overridden(snapshot, zone, &pages));
    let judged: Vec<Judged> = pages.into_iter().filter_map(|p| judged(zone, p)).collect();
    let short: Vec<Short> = judged.iter().filter_map(short).collect();
    if !short.is_empty() {
        findings.push(too_short(snapshot, &short));
    }
    match unclear.or_else(|| not_seen(snapshot, &judged)) {
        Some(gap) if findings.is_empty() => Err(gap),
        _ => Ok(findings),
    }
}

/// A page that the edge may keep.
fn judged<'s>(zone: &Cloudflare, path: RealPath<'s>) -> Option<Judged<'s>> {
    let request = path.request();
    let decision = decide(zone, &request);
    if !decision.fate.is_eligible() {
        return None;
    }
    let by_status = decision.status_ttls.iter().rev().find(|(from, to, _)| (*from..=*to).contains(&200)).map(|(_, _, seconds)| *seconds);
    let by_rule = match decision.edge_ttl {
        Some(EdgeTtl::Override(seconds)) => Some(by_status.unwrap_or(seconds)),
        _ => by_status,
    };
    let lifetime = match (path.stored(zone, &request), by_rule) {
        (Some(Stored::Kept { seconds, because }), _) => Lifetime::Seconds(seconds, because),
        (Some(Stored::NotKept { .. }), _) => Lifetime::None,
        (_, Some(seconds)) => Lifetime::Seconds(seconds, "a rule's lifetime".to_owned()),
        (Some(Stored::NotTold { because }), None) => Lifetime::NotSeen(Some(because)),
        (None, None) => Lifetime::NotSeen(None),
    };
    Some(Judged { path, decision, lifetime })
}

fn short<'j>(judged: &'j Judged<'j>) -> Option<Short<'j>> {
    let Judged { path, decision, lifetime: Lifetime::Seconds(seconds, because) } = judged else { return None };
    let renewed = path.answer.map_or(0, stale_while_revalidate);
    let is_short = *seconds > 0 && *seconds < TTL_S_MIN && seconds.saturating_add(renewed) < remedy::EDGE_TTL_S;
    is_short.then_some(Short { path, decision, seconds: *seconds, because })
}

/// Why it is not known how long a page is kept, where none of its sort that the zone treats alike was seen.
fn not_seen(snapshot: &Snapshot, judged: &[Judged]) -> Option<Gap> {
    let speaks_for = |a: &Judged, b: &Judged| {
        let is_seen = !matches!(a.lifetime, Lifetime::NotSeen(_));
        is_seen && a.path.sort() == b.path.sort() && a.decision.edge_ttl == b.decision.edge_ttl && a.decision.status_ttls == b.decision.status_ttls
    };
    let page = judged.iter().find(|j| matches!(j.lifetime, Lifetime::NotSeen(_)) && !judged.iter().any(|other| speaks_for(other, j)))?;
    let Lifetime::NotSeen(why) = &page.lifetime else { return None };
    Some(lifetime_not_seen(snapshot, &page.path, why.as_deref()))
}

fn stale_while_revalidate(answer: &Answer) -> i64 {
    CacheControl::of(answer).seconds("stale-while-revalidate").map_or(0, |s| i64::try_from(s).unwrap_or(i64::MAX))
}

fn too_short(snapshot: &Snapshot, short: &[Short]) -> Finding {
    let shortest = short.iter().min_by_key(|j| j.seconds).unwrap_or(&short[0]);
    let expired = origin_share(snapshot, |p| short.iter().any(|j| j.path.path == p));
    let share = expired.unwrap_or(0.0);
    let rows = short.iter().take(PATHS_SHOWN).map(|j| {
        vec![
            Cell::text(format!("{}{}", j.path.host, j.path.path)),
            Cell::number(j.seconds as f64, text::seconds(j.seconds as f64)),
            Cell::text(j.because),
        ]
    });
    Finding {
        subject: Subject::new("zone", "lifetime of catalogue pages"),
        observed: format!(
            "{} kept at the edge for {} or little more; the guide asks for {}.",
            text::plural(short.len() as u64, "catalogue page is", "catalogue pages are"),
            text::seconds(shortest.seconds as f64),
            text::seconds(remedy::EDGE_TTL_S as f64)
        ),
        step: "Keep catalogue pages at the edge for four hours".to_owned(),
        evidence: vec![
            Evidence::table("Lifetimes", &["path", "at the edge", "by"], rows.collect()),
            Evidence::Code { label: "How the zone decides".to_owned(), language: "text".to_owned(), text: shortest.decision.trace.join("\n") },
        ],
        severity: if expired.is_some() { Severity::from_share(share).min(Severity::Medium) } else { Severity::Low },
        confidence: if expired.is_some() { Confidence::High } else { Confidence::Medium },
        confidence_because: if expired.is_some() {
            "worked out from the rules, traffic counted by Cloudflare"
        } else {
            "worked out from the rules; traffic not counted"
        }
        .to_owned(),
        effort: Effort::Minutes,
        cost: Cost { resource: Resource::OriginRequests, share },
        gain: expired.map(|share| Gain::new(Basis::RuleOfThumb, format!("up to {} requests at the origin", text::minus_percent(share)))),
        averts: None,
        remedies: keep_longer(),
        verify: format!("Run the audit again: the lifetime of these pages is {} or more.", text::seconds(TTL_S_MIN as f64)),
        touches: touches(short.iter().map(|j| j.path)),
    }
}

fn touches<'p>(paths: impl Iterator<Item = &'p RealPath<'p>>) -> Vec<String> {
    let mut all: Vec<String> = paths.take(PATHS_SHOWN).map(|p| format!("path:{}", p.path)).collect();
    all.push("traffic:cdn".to_owned());
    all
}

fn keep_longer() -> Vec<crate::finding::Remedy> {
    let header = crate::finding::Remedy {
        kind: crate::finding::RemedyKind::Storefront,
        label: "Let the storefront give four hours".to_owned(),
        text: "// src/app/[countryCode]/(main)/products/[handle]/page.tsx, likewise collections and categories; purge the path when a product changes.\n\
               export const revalidate = 14400"
            .to_owned(),
        lock: None,
        risk: "Medium: prices may be four hours old unless a webhook of Medusa (product.updated) purges the page.".to_owned(),
        undo: Some("Restore the old number.".to_owned()),
    };
    let mut all = vec![header];
    all.extend(remedy::remedies(
        "Follow the storefront's lifetime, and keep shoppers out",
        &[remedy::catalogue_pages(), remedy::bypass_shoppers()],
        "Low: pages without a lifetime are not kept; shoppers with a cart and personal pages pass. Delete the rule with the short lifetime.",
    ));
    all
}

/// Pages whose cookie or redirect a rule would keep.
fn overridden(snapshot: &Snapshot, zone: &Cloudflare, pages: &[RealPath]) -> Option<Finding> {
    let kept = |p: &&RealPath| -> Option<(String, String, Decision)> {
        let decision = decide(zone, &p.request());
        let is_override = decision.fate.is_eligible() && matches!(decision.edge_ttl, Some(EdgeTtl::Override(s)) if s > 0);
        let why = if is_override { p.answer.and_then(cookie_of).or_else(|| redirect_of(snapshot, p, &decision)) } else { None };
        Some((p.path.clone(), why?, decision))
    };
    let all: Vec<(String, String, Decision)> = pages.iter().filter_map(|p| kept(&p)).collect();
    let (path, why, decision) = all.first()?;
    Some(Finding {
        subject: Subject::new("rule", "lifetime that overrides the origin"),
        observed: format!("A rule keeps {path} whatever the origin says, and the answer {why}: it would be kept for others."),
        step: "Let the origin's headers decide what is kept".to_owned(),
        evidence: vec![
            Evidence::table(
                "Overridden",
                &["path", "the answer"],
                all.iter().take(PATHS_SHOWN).map(|(p, w, _)| vec![Cell::text(p.clone()), Cell::text(w.clone())]).collect(),
            ),
            Evidence::Code { label: "How the zone decides".to_owned(), language: "text".to_owned(), text: decision.trace.join("\n") },
        ],
        severity: Severity::High,
        confidence: Confidence::Medium,
        confidence_because: "worked out from the rules and the answer seen; Cloudflare may strip the cookie before it keeps the page".to_owned(),
        effort: Effort::Minutes,
        cost: Cost { resource: Resource::Risk, share: 0.5 },
        gain: None,
        averts: Some("redirect loops and lost visitor cookies".to_owned()),
        remedies: keep_longer(),
        verify: "Run the audit again: no rule's lifetime overrides these pages.".to_owned(),
        touches: vec![format!("path:{path}"), "traffic:cdn".to_owned()],
    })
}

fn cookie_of(answer: &Answer) -> Option<String> {
    let cookies = own_cookies(answer);
    (!cookies.is_empty()).then(|| format!("sets {}", cookies.join(", ")))
}

/// The first request was redirected, and no lifetime by status keeps redirects out.
fn redirect_of(snapshot: &Snapshot, path: &RealPath, decision: &Decision) -> Option<String> {
    let pages = snapshot.shop().ok()?.pages().ok()?;
    let target = pages.iter().find(|t| crate::checks::http::path(&t.url) == path.path)?;
    let (status, _) = probe(target, Variant::First)?.redirects.first()?;
    let is_kept_out = decision.status_ttls.iter().any(|(from, to, s)| (*from..=*to).contains(status) && *s <= 0);
    // A permanent redirect is the same for everybody.
    (matches!(status, 302 | 303 | 307) && !is_kept_out).then(|| format!("is a redirect ({status})"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::edge::fixtures::{analytics, eligible, zone_of};
    use crate::checks::http::fixtures::{found, shop, target};
    use crate::evidence::cdn::{CacheRule, StatusTtl};
    use crate::evidence::storefront::{PathClass, Target};
    use crate::finding::Outcome;

    fn product(headers: &[(&str, &str)]) -> Target {
        target(PathClass::Product, "https://shop.example.com/us/products/x", headers, headers)
    }

    fn run(rule: CacheRule, page: Target) -> Outcome {
        let mut snapshot = shop(vec![page], vec![], vec![]);
        snapshot.cdn = Ok(zone_of(vec![rule]));
        CHECK.run(&snapshot)
    }

    #[test]
    fn an_hour_is_the_boundary_for_rules_and_headers() {
        assert!(matches!(run(eligible("true", Some(3_599)), product(&[])), Outcome::Failed(_)));
        assert_eq!(run(eligible("true", Some(3_600)), product(&[])), Outcome::Passed);
        assert!(matches!(run(eligible("true", None), product(&[("cache-control", "s-maxage=3599")])), Outcome::Failed(_)));
        assert_eq!(run(eligible("true", None), product(&[("cache-control", "s-maxage=3600")])), Outcome::Passed);
    }

    #[test]
    fn renewal_behind_the_back_makes_up_for_it() {
        assert_eq!(run(eligible("true", None), product(&[("cache-control", "s-maxage=300, stale-while-revalidate=14100")])), Outcome::Passed);
        let less = product(&[("cache-control", "s-maxage=300, stale-while-revalidate=14099")]);
        assert!(matches!(run(eligible("true", None), less), Outcome::Failed(_)));
    }

    #[test]
    fn what_is_not_kept_is_judged_elsewhere() {
        assert_eq!(run(eligible("false", Some(60)), product(&[])), Outcome::Passed);
        assert_eq!(run(eligible("true", None), product(&[("cache-control", "no-store")])), Outcome::Passed);
        assert_eq!(run(eligible("starts_with(http.request.uri.path, \"/store/\")", Some(60)), product(&[])), Outcome::Passed);
    }

    #[test]
    fn a_cookie_or_a_redirect_must_not_be_kept() {
        let cookie = product(&[("set-cookie", "_medusa_cache_id; Path=/")]);
        assert_eq!(found(run(eligible("true", Some(14_400)), cookie.clone()))[0].severity, Severity::High);
        assert_eq!(run(eligible("true", None), cookie), Outcome::Passed);
        let mut redirected = product(&[]);
        redirected.probes[0].answer.as_mut().unwrap().redirects = vec![(307, "https://shop.example.com/us/products/x".into())];
        assert!(matches!(run(eligible("true", Some(14_400)), redirected.clone()), Outcome::Failed(_)));
        let mut careful = eligible("true", Some(14_400));
        careful.status_ttls = vec![StatusTtl { from: 300, to: 599, ttl_s: -1 }];
        assert_eq!(run(careful, redirected), Outcome::Passed);
    }

    /// Pages that analytics name and nobody asked.
    #[test]
    fn a_lifetime_that_was_not_seen_is_no_pass() {
        let with = |pages: Vec<Target>, rule: CacheRule| {
            let mut snapshot = shop(pages, vec![], vec![]);
            let mut zone = zone_of(vec![rule]);
            let paths = [("shop.example.com", "/us/products/y", "miss", 9), ("shop.example.com", "/us/collections/z", "miss", 9)];
            zone.analytics = Ok(analytics(&[("miss", 18)], &paths));
            snapshot.cdn = Ok(zone);
            CHECK.run(&snapshot)
        };
        let long = || product(&[("cache-control", "s-maxage=14400")]);
        let collection = || Target { class: PathClass::Collection, url: "https://shop.example.com/us/collections/a".into(), ..long() };
        let Outcome::Unknown(gap) = with(vec![], eligible("true", None)) else { panic!("nothing was seen") };
        assert!(gap.detail.contains("/us/products/y"), "{}", gap.detail);
        let Outcome::Unknown(gap) = with(vec![long()], eligible("true", None)) else { panic!("no collection was seen") };
        assert!(gap.detail.contains("/us/collections/z"), "{}", gap.detail);
        assert_eq!(with(vec![long(), collection()], eligible("true", None)), Outcome::Passed);
        assert_eq!(with(vec![], eligible("true", Some(14_400))), Outcome::Passed, "the rule says how long");
        assert!(matches!(
            with(vec![product(&[("expires", "Thu, 01 Jan 2037 00:00:00 GMT")]), collection()], eligible("true", None)),
            Outcome::Unknown(_)
        ));
        assert!(matches!(with(vec![product(&[("cache-control", "s-maxage=60")])], eligible("true", None)), Outcome::Failed(_)));
        assert_eq!(with(vec![], eligible("starts_with(http.request.uri.path, \"/_next/\")", None)), Outcome::Passed, "no page is eligible");
        let mut unreachable = shop(vec![], vec![], vec![]);
        unreachable.storefront.as_mut().unwrap().pages = Err(Gap::new(Section::StorefrontPages, crate::evidence::Cause::Unreachable, "No route."));
        let mut zone = zone_of(vec![eligible("true", None)]);
        zone.analytics = Ok(analytics(&[], &[("shop.example.com", "/us/products/y", "miss", 9)]));
        unreachable.cdn = Ok(zone);
        let Outcome::Unknown(gap) = CHECK.run(&unreachable) else { panic!("the storefront was not reached") };
        assert!(gap.detail.ends_with("No route."), "{}", gap.detail);
    }

    #[test]
    fn traffic_weighs() {
        let with = |expired: u64| {
            let mut snapshot = shop(vec![product(&[])], vec![], vec![]);
            let mut zone = zone_of(vec![eligible("true", Some(60))]);
            zone.analytics =
                Ok(analytics(&[("hit", 1_000 - expired), ("expired", expired)], &[("shop.example.com", "/us/products/x", "expired", expired)]));
            snapshot.cdn = Ok(zone);
            found(CHECK.run(&snapshot))[0].severity
        };
        assert_eq!((with(49), with(50), with(900)), (Severity::Low, Severity::Medium, Severity::Medium));
    }
}
