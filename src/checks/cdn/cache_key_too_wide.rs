//! The key tells entries apart that are the same: each visitor has a cache of their own.

use crate::checks::edge::paths::{PATHS_USES, RealPath, is_in_zone, real_paths};
use crate::checks::edge::tracking::{Counted, Held, counted, held};
use crate::checks::edge::{CacheKey, Decision, decide, remedy};
use crate::checks::http::{Edge, PathKind, edge, good, host, path, path_kind};
use crate::checks::measures::{SAMPLE_INTERVAL_MAX, is_edge_hit};
use crate::checks::{Check, always, joined};
use crate::evidence::cdn::{Cloudflare, Tracker};
use crate::evidence::storefront::{PathClass, Target};
use crate::evidence::{Cause, Gap, Layer, Section, Snapshot};
use crate::finding::{Basis, Cell, Confidence, Cost, Effort, Evidence, Finding, Gain, Remedy, RemedyKind, Resource, Severity, Subject};
use crate::text;

const USES: [Section; 10] = joined(PATHS_USES, [Section::CdnSettings, Section::CdnCacheRules, Section::CdnPageRules, Section::CdnAddOns]);

pub static CHECK: Check = Check {
    id: "cdn-cache-key-too-wide",
    layer: Layer::Cdn,
    title: "The cache keeps a copy for each visitor",
    passed: "Neither rules, Vary nor tracking parameters give each visitor a cache of their own.",
    why: "A cache answers from memory only what it has kept under the same key. With a visitor's cookie, browser or click in the key nobody ever finds what \
          another has fetched: the cache fills up and answers nothing, and each visitor whom an advertisement brought waits for the store itself.",
    remedy: "Take cookies that differ by visitor, User-Agent and cookies as a whole out of the key and out of Vary, and tracking parameters out of the address.",
    method: "Works out the key of catalogue pages and files that are eligible in the zone, by cache rule and page rule, and reads Vary of the answers to the probe \
             where another cache than Cloudflare answers, or none is seen. Fires on _medusa_cache_id, _ga and session cookies, on the Cookie and User-Agent \
             headers in the key, and on Vary: Cookie or User-Agent. Cloudflare leaves Vary out of its key; Vary: * is never kept by anybody. Tracking parameters \
             (utm_*, gclid, fbclid, msclkid and others) in the key of a catalogue page count where Cloudflare's analytics show what they cost: requests with one \
             that missed beyond the share of misses without one. Fires from 100 such requests and 2 % of the requests for catalogue pages, Medium from 5 %, High \
             from 25 %. Where the plan does not tell query strings, that part is unknown.",
    effort: Effort::Minutes,
    references: &[
        "https://developers.cloudflare.com/cache/how-to/cache-keys/",
        "https://developers.cloudflare.com/cache/how-to/cache-rules/settings/#cache-key",
        "https://developers.cloudflare.com/rules/transform/url-rewrite/",
        "https://developers.cloudflare.com/cache/concepts/vary/",
        "https://www.rfc-editor.org/rfc/rfc9111#section-4.1",
    ],
    needs: &[],
    uses: &USES,
    symptom_of: &[],
    applies_to: always,
    evaluate,
};

/// Cookies whose value differs from visitor to visitor.
const VISITOR_COOKIES: [&str; 6] = ["_medusa_cache_id", "_medusa_cart_id", "_medusa_jwt", "connect.sid", "medusa_session", "_ga"];
/// Request headers that differ from visitor to visitor.
const VISITOR_HEADERS: [&str; 3] = ["cookie", "user-agent", "authorization"];
/// Without a count: what the paths that were tried are of a store's traffic, at the least.
const SHARE_BY_RULE: f64 = 0.20;
const PATHS_SHOWN: usize = 20;

/// Fewer requests a day are not worth a rule.
const TRACKED_MISSES_MIN: f64 = 100.0;
/// Of the requests for catalogue pages: one in fifty.
const TRACKED_SHARE_MIN: f64 = 0.02;
/// Names shown in the sentence; the rest are in the printed rule.
const PARAMETERS_SHOWN: usize = 3;

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let zone = snapshot.cloudflare().and_then(|zone| {
        zone.cache_rules()?;
        zone.page_rules()?;
        Ok(zone)
    });
    let by_vary = snapshot.shop().and_then(|s| s.pages()).map(|_| varied(snapshot));
    let by_rules = zone.clone().map(|zone| keyed(snapshot, zone));
    let by_tracking = zone.and_then(|zone| tracked(snapshot, zone));
    settled([by_rules, by_vary, by_tracking])
}

/// A finding stands whatever the other parts would say; some silence is a verdict only where the other parts are not there to be asked.
fn settled(parts: [Result<Option<Finding>, Gap>; 3]) -> Result<Vec<Finding>, Gap> {
    let (told, gaps): (Vec<_>, Vec<_>) = parts.into_iter().partition(Result::is_ok);
    let is_silent = !told.is_empty();
    let findings: Vec<Finding> = told.into_iter().flatten().flatten().collect();
    let gaps: Vec<Gap> = gaps.into_iter().filter_map(Result::err).collect();
    let gap = gaps.iter().find(|gap| gap.cause != Cause::NotConfigured).or(gaps.first().filter(|_| !is_silent));
    match gap {
        Some(gap) if findings.is_empty() => Err(gap.clone()),
        _ => Ok(findings),
    }
}

/// The rules' part.
fn keyed(snapshot: &Snapshot, zone: &Cloudflare) -> Option<Finding> {
    let is_shared = |p: &RealPath| p.kind == PathKind::Static || p.kind == PathKind::Catalogue;
    let wide = |p: RealPath| -> Option<(String, String, Decision)> {
        let decision = decide(zone, &p.request());
        let why = decision.fate.is_eligible().then(|| decision.key.as_ref().and_then(too_wide)).flatten()?;
        Some((format!("{}{}", p.host, p.path), why, decision))
    };
    let all: Vec<(String, String, Decision)> = real_paths(snapshot, zone).into_iter().filter(is_shared).filter_map(wide).collect();
    let (path, why, decision) = all.first()?;
    let rule = decision.by().map_or_else(|| "a rule".to_owned(), |r| format!("\"{}\"", r.name));
    let rows = all.iter().take(PATHS_SHOWN).map(|(p, w, _)| vec![Cell::text(p.clone()), Cell::text(w.clone())]).collect();
    let mut evidence = vec![Evidence::table("In the key", &["path", "differs by visitor"], rows)];
    evidence.extend(decision.key.as_ref().map(|k| Evidence::text("The key", k.words())));
    Some(Finding {
        subject: Subject::new("rule", "cache key"),
        observed: format!("{rule} puts {why} into the key of {}, {path} among them.", text::plural(all.len() as u64, "path", "paths")),
        evidence,
        remedies: vec![narrow_key()],
        confidence: Confidence::High,
        confidence_because: "worked out from the zone's own rules".to_owned(),
        touches: all
            .iter()
            .take(PATHS_SHOWN)
            .map(|(p, ..)| format!("path:{}", crate::checks::http::path(p)))
            .chain(["traffic:cdn".to_owned()])
            .collect(),
        ..finding()
    })
}

fn too_wide(key: &CacheKey) -> Option<String> {
    let cookie = key.cookies.iter().find(|c| VISITOR_COOKIES.iter().any(|v| c.eq_ignore_ascii_case(v)));
    let header = key.headers.iter().find(|h| VISITOR_HEADERS.contains(&h.as_str()));
    cookie.map(|c| format!("the cookie {c}")).or_else(|| header.map(|h| format!("the header {h}")))
}

/// The tracking parameters' part: only where what they cost is counted.
fn tracked(snapshot: &Snapshot, zone: &Cloudflare) -> Result<Option<Finding>, Gap> {
    let held = held(snapshot, zone);
    if held.pages.is_empty() && held.gap.is_none() {
        return Ok(None);
    }
    // What cannot be told of the key is of no matter where clicks cost nothing.
    let any = Tracker::all_parameters().collect();
    let counted = counted(zone, if held.pages.is_empty() { &any } else { &held.parameters })?;
    if counted.excess < TRACKED_MISSES_MIN || counted.share() < TRACKED_SHARE_MIN {
        return Ok(None);
    }
    match &held.gap {
        Some(gap) if held.pages.is_empty() => Err(gap.clone()),
        _ => Ok(Some(clicks(zone, &held, &counted)?)),
    }
}

fn clicks(zone: &Cloudflare, held: &Held, counted: &Counted) -> Result<Finding, Gap> {
    let analytics = zone.analytics()?;
    let span_s = (analytics.to - analytics.from).as_seconds_f64();
    let is_coarse = analytics.sample_interval.is_none_or(|i| i > SAMPLE_INTERVAL_MAX);
    let share = counted.share();
    let usual = counted.plain_miss_share.map_or_else(String::new, |s| format!(", against {} of those without", text::percent(s)));
    let names: Vec<&str> = held.parameters.iter().copied().collect();
    let named = match names.len().saturating_sub(PARAMETERS_SHOWN) {
        0 => names.join(", "),
        more => format!("{} and {more} more", names[..PARAMETERS_SHOWN].join(", ")),
    };
    let per_s = counted.excess / span_s.max(1.0);
    Ok(Finding {
        subject: Subject::new("rule", "tracking parameters"),
        observed: format!(
            "{} of {} for catalogue pages in {} came with a tracking parameter, and {} of them missed the cache{usual}: {named} are in its key.",
            text::count(counted.tracked),
            text::plural(counted.pages, "request", "requests"),
            text::seconds(span_s),
            text::percent(counted.miss_share)
        ),
        step: "Leave tracking parameters out of the cache key".to_owned(),
        evidence: click_evidence(zone, held, counted),
        severity: Severity::from_share(share),
        confidence: if is_coarse || !held.is_certain { Confidence::Medium } else { Confidence::High },
        confidence_because: match (held.is_certain, is_coarse) {
            (false, _) => "counted by Cloudflare; whether a URL rewrite made since removes them could not be told",
            (true, true) => "counted by Cloudflare from few of the requests; the key worked out from the zone's own rules",
            (true, false) => "counted by Cloudflare; the key worked out from the zone's own rules",
        }
        .to_owned(),
        cost: Cost { resource: Resource::OriginRequests, share },
        gain: Some(Gain {
            origin_requests_per_s: Some(per_s),
            ..Gain::new(Basis::Modelled, format!("\u{2212}{} requests at the origin", text::per_second(per_s)))
        }),
        remedies: without_tracking(zone),
        verify: "Ask twice for a product page, with ?utm_source=a and with ?utm_source=b: the second answers cf-cache-status: HIT.".to_owned(),
        touches: held.pages.iter().take(PATHS_SHOWN).map(|p| format!("path:{}", p.path)).chain(["traffic:cdn".to_owned()]).collect(),
        ..finding()
    })
}

fn click_evidence(zone: &Cloudflare, held: &Held, counted: &Counted) -> Vec<Evidence> {
    let by_tracker = zone.analytics().ok().and_then(|a| a.tracked.as_ref()).map_or(&[][..], |t| &t.by_tracker);
    let rows = by_tracker.iter().map(|t| {
        let sum = |wanted: fn(&str) -> bool| t.by_status.iter().filter(|s| wanted(&s.status)).map(|s| s.requests).sum::<u64>();
        let (all, hits) = (sum(|s| s != "none"), sum(is_edge_hit));
        let share = if all == 0 { 0.0 } else { hits as f64 / all as f64 };
        vec![Cell::text(t.tracker.parameters().join(", ")), Cell::number(all as f64, text::count(all)), Cell::number(share, text::percent(share))]
    });
    let pages = held.pages.iter().take(PATHS_SHOWN).map(|p| vec![Cell::text(format!("{}{}", p.host, p.path))]);
    vec![
        Evidence::figure(
            "Misses that a narrower key spares, of the requests for catalogue pages",
            counted.share(),
            "ratio",
            text::percent(counted.share()),
        ),
        Evidence::table("Requests for catalogue pages by tracking parameter", &["parameters", "requests", "answered at the edge"], rows.collect()),
        Evidence::table("Pages whose key holds them", &["path"], pages.collect()),
        Evidence::text("The key", held.key.clone()),
    ]
}

/// Naming parameters in the key is Enterprise's; a URL rewrite does the same on every plan, and the store's server loses sight of them.
fn without_tracking(zone: &Cloudflare) -> Vec<Remedy> {
    let rewrite = remedy::remedies(
        "Remove tracking parameters before the cache",
        &[remedy::remove_tracking()],
        "Low for pages: the browser's address keeps the parameters, so scripts in the page count as before. What the store's own server writes down of \
         campaigns goes missing: keep the parameters it reads out of the list. Not instead: \"Ignore query string\" in the cache key, which every plan has; \
         ?page=2, ?sortBy= and ?v_id= would all be answered with the first page kept.",
    );
    let key = remedy::remedies(
        "Leave tracking parameters out of the key",
        &[remedy::key_without_tracking()],
        "Low: pages do not depend on these parameters, and the store's server still sees those of the requests that reach it. A rule behind it with a key of \
         its own replaces this one.",
    );
    let is_enterprise = zone.zone().is_ok_and(|z| z.plan == "enterprise");
    if is_enterprise { key.into_iter().chain(rewrite).collect() } else { rewrite }
}

/// The headers' part.
fn varied(snapshot: &Snapshot) -> Option<Finding> {
    let shop = snapshot.shop().ok()?;
    let lists = [shop.pages(), shop.assets(), shop.media(), shop.api()];
    let zone = snapshot.cloudflare().ok();
    let shared = lists.into_iter().flatten().flatten().filter(|t| is_for_all(t));
    let all: Vec<(&Target, String)> = shared.filter_map(|t| Some((t, vary(t, zone)?))).collect();
    let (first, what) = all.first()?;
    let rows =
        all.iter().take(PATHS_SHOWN).map(|(t, v)| vec![Cell::text(format!("{}{}", host(&t.url), path(&t.url))), Cell::text(v.clone())]).collect();
    let by = good(first).and_then(edge).map_or("any cache in between", Edge::name);
    Some(Finding {
        subject: Subject::new("host", host(&first.url)),
        observed: format!("{} answered with Vary: {what}: {by} keeps a copy for each.", text::plural(all.len() as u64, "path", "paths")),
        evidence: vec![Evidence::table("Vary", &["path", "header"], rows)],
        remedies: vec![narrow_vary()],
        confidence: Confidence::High,
        confidence_because: "read from the answers".to_owned(),
        touches: all.iter().take(PATHS_SHOWN).map(|(t, _)| format!("path:{}", path(&t.url))).chain(["traffic:cdn".to_owned()]).collect(),
        ..finding()
    })
}

fn is_for_all(target: &Target) -> bool {
    let is_personal = matches!(target.class, PathClass::Personal | PathClass::ApiPersonal | PathClass::Health);
    !is_personal && path_kind(path(&target.url)) != PathKind::Personal
}

/// The part of Vary that differs by visitor; Cloudflare's own cache leaves Vary out of the key.
fn vary(target: &Target, zone: Option<&Cloudflare>) -> Option<String> {
    let answer = good(target)?;
    let is_cloudflare = edge(answer) == Some(Edge::Cloudflare) || zone.is_some_and(|z| z.zone.is_ok() && is_in_zone(z, host(&target.url)));
    let header = answer.header("vary")?.to_ascii_lowercase();
    let part = header.split(',').map(str::trim).find(|v| matches!(*v, "cookie" | "user-agent"))?;
    // What may not be kept anyway has no key.
    let control = crate::checks::http::CacheControl::of(answer);
    (!is_cloudflare && !control.has("no-store") && !control.has("private")).then(|| part.to_owned())
}

/// What all parts say alike.
fn finding() -> Finding {
    Finding {
        subject: Subject::new("rule", "cache key"),
        observed: String::new(),
        step: "Narrow the cache key to what changes the answer".to_owned(),
        evidence: Vec::new(),
        severity: Severity::Medium,
        confidence: Confidence::High,
        confidence_because: String::new(),
        effort: Effort::Minutes,
        cost: Cost { resource: Resource::OriginRequests, share: SHARE_BY_RULE },
        gain: None,
        averts: None,
        remedies: Vec::new(),
        verify: "Run the audit again: two visitors share one key, and the second request is a hit.".to_owned(),
        touches: Vec::new(),
    }
}

fn narrow_key() -> Remedy {
    Remedy {
        kind: RemedyKind::Cloudflare,
        label: "Take the visitor out of the key".to_owned(),
        text: "// Dashboard: Caching → Cache Rules → the rule → Cache key → Cookie and Headers: remove the names shown.\n\
               // API: PATCH /zones/{zone_id}/rulesets/{ruleset_id}/rules/{rule_id}, with the rule's other parameters as they are\n\
               { \"cache_key\": { \"custom_key\": { \"query_string\": { \"include\": \"*\" } } } }"
            .to_owned(),
        lock: None,
        risk: "Medium: if the page does differ by that cookie, bypass the cache for requests that carry it instead; the bypass comes last."
            .to_owned(),
        undo: Some("Put the names back.".to_owned()),
    }
}

fn narrow_vary() -> Remedy {
    Remedy {
        kind: RemedyKind::Code,
        label: "Vary on what changes the answer alone".to_owned(),
        text: "// Express and Medusa: src/api/middlewares.ts, on routes whose answer is the same for everybody\n\
               res.setHeader(\"Vary\", \"Accept-Encoding\")\n// nginx in front of the store\n// proxy_hide_header Vary; add_header Vary \"Accept-Encoding\" always;"
            .to_owned(),
        lock: None,
        risk: "Medium: only where the answer does not depend on the cookie or the browser; routes that do stay private, no-store.".to_owned(),
        undo: Some("Remove the line.".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::edge::fixtures::{eligible, page_rule, store, zone_of};
    use crate::checks::edge::tracking::fixtures::advertised;
    use crate::checks::http::fixtures::{found, shop, target};
    use crate::evidence::cdn::CacheRule;
    use crate::finding::Outcome;

    fn page(headers: &[(&str, &str)]) -> Target {
        target(PathClass::Product, "https://shop.example.com/us/products/x", headers, headers)
    }

    fn with_key(key: &str) -> Outcome {
        let mut snapshot = shop(vec![page(&[])], vec![], vec![]);
        snapshot.cdn = Ok(zone_of(vec![CacheRule { cache_key: Some(key.into()), ..eligible("true", None) }]));
        CHECK.run(&snapshot)
    }

    #[test]
    fn a_visitors_cookie_or_browser_in_the_key_is_named() {
        let findings = found(with_key(r#"{"custom_key":{"cookie":{"include":["_medusa_cache_id"]}}}"#));
        assert!(findings[0].observed.contains("the cookie _medusa_cache_id"), "{}", findings[0].observed);
        assert!(matches!(with_key(r#"{"custom_key":{"header":{"include":["User-Agent"]}}}"#), Outcome::Failed(_)));
        for narrow in [
            r#"{"custom_key":{"cookie":{"include":["currency"]},"header":{"include":["accept"]}}}"#,
            r#"{"custom_key":{"cookie":{"check_presence":["_medusa_jwt"]}}}"#,
        ] {
            assert_eq!(with_key(narrow), Outcome::Passed, "{narrow}");
        }
        let mut snapshot = shop(vec![page(&[])], vec![], vec![]);
        let mut zone = zone_of(vec![]);
        let fields = "{\"cookie\":{\"include\":[\"_ga\"]}}";
        zone.page_rules = Ok(vec![page_rule(1, "*", &[("cache_level", "\"cache_everything\""), ("cache_key_fields", fields)])]);
        snapshot.cdn = Ok(zone);
        assert!(matches!(CHECK.run(&snapshot), Outcome::Failed(_)));
    }

    #[test]
    fn vary_counts_behind_other_caches() {
        let run = |headers: &[(&str, &str)]| CHECK.run(&shop(vec![page(headers)], vec![], vec![]));
        assert!(matches!(run(&[("vary", "Accept-Encoding, Cookie"), ("x-cache", "Miss from cloudfront")]), Outcome::Failed(_)));
        assert!(matches!(run(&[("vary", "User-Agent")]), Outcome::Failed(_)));
        assert_eq!(run(&[("vary", "Cookie"), ("cf-ray", "1")]), Outcome::Passed);
        assert_eq!(run(&[("vary", "Cookie"), ("cache-control", "private, no-store")]), Outcome::Passed);
        assert_eq!(run(&[("vary", "RSC, Accept-Encoding")]), Outcome::Passed);
        let cart = target(PathClass::Personal, "https://shop.example.com/us/cart", &[("vary", "Cookie")], &[("vary", "Cookie")]);
        assert_eq!(CHECK.run(&shop(vec![page(&[]), cart], vec![], vec![])), Outcome::Passed);
    }

    type Counts<'a> = &'a [(&'a str, u64)];

    fn clicked(all: Counts, tracked: Counts) -> Outcome {
        CHECK.run(&store(advertised(all, tracked, &[])))
    }

    #[test]
    fn clicks_that_miss_are_named_by_their_share() {
        // 2 % of 10,000 and 100 requests, both sides of each.
        assert_eq!(clicked(&[("hit", 9_800), ("miss", 200)], &[("miss", 199)]), Outcome::Passed);
        assert_eq!(found(clicked(&[("hit", 9_800), ("miss", 200)], &[("miss", 200)]))[0].severity, Severity::Low);
        assert_eq!(clicked(&[("hit", 901), ("miss", 99)], &[("miss", 99)]), Outcome::Passed);
        let findings = found(clicked(&[("hit", 900), ("miss", 100)], &[("miss", 100)]));
        assert_eq!((findings[0].severity, findings[0].confidence), (Severity::Medium, Confidence::High));
        assert!(findings[0].observed.starts_with("100 of 1"), "{}", findings[0].observed);
        assert_eq!(found(clicked(&[("hit", 750), ("miss", 250)], &[("miss", 250)]))[0].severity, Severity::High);
        // Traps: clicks that are hits, pages that are cold for everybody, nobody clicks.
        assert_eq!(clicked(&[("hit", 900), ("miss", 100)], &[("hit", 500), ("miss", 40)]), Outcome::Passed);
        assert_eq!(clicked(&[("hit", 100), ("miss", 900)], &[("hit", 50), ("miss", 450)]), Outcome::Passed);
        assert_eq!(clicked(&[("hit", 900), ("miss", 100)], &[]), Outcome::Passed);
    }

    #[test]
    fn a_key_without_them_passes_uncounted_and_an_uncounted_one_is_unknown() {
        let miss: Counts = &[("hit", 750), ("miss", 250)];
        let run = |change: fn(&mut Cloudflare)| {
            let mut zone = advertised(miss, &[("miss", 250)], &[]);
            change(&mut zone);
            CHECK.run(&store(zone))
        };
        let uncounted = |zone: &mut Cloudflare| zone.analytics.as_mut().unwrap().tracked = None;
        assert!(matches!(run(uncounted), Outcome::Unknown(gap) if gap.section == Section::CdnAnalytics));
        assert_eq!(
            run(|zone| {
                zone.cache_rules.as_mut().unwrap()[0].cache_key = Some("{\"custom_key\":{\"query_string\":{\"exclude\":\"*\"}}}".into());
                zone.analytics.as_mut().unwrap().tracked = None;
            }),
            Outcome::Passed
        );
        // Stock: no page is looked up in the cache.
        assert_eq!(
            run(|zone| {
                zone.cache_rules = Ok(vec![]);
                zone.analytics.as_mut().unwrap().tracked = None;
            }),
            Outcome::Passed
        );
        let unclear = |zone: &mut Cloudflare| zone.cache_rules.as_mut().unwrap()[0].expression = "ip.src.country eq \"DE\"".into();
        assert!(matches!(run(unclear), Outcome::Unknown(gap) if gap.section == Section::CdnCacheRules));
        assert_eq!(
            run(|zone| {
                zone.cache_rules.as_mut().unwrap()[0].expression = "ip.src.country eq \"DE\"".into();
                zone.analytics.as_mut().unwrap().tracked.as_mut().unwrap().by_status.clear();
            }),
            Outcome::Passed,
            "nobody clicks"
        );
        let unread = |zone: &mut Cloudflare| zone.add_ons = Err(Gap::new(Section::CdnAddOns, Cause::Unreadable, "refused"));
        assert_eq!(found(run(unread))[0].confidence, Confidence::Medium);
    }

    #[test]
    fn naming_parameters_in_the_key_is_offered_to_enterprise_alone() {
        let labels = |plan: &str| {
            let mut zone = advertised(&[("hit", 750), ("miss", 250)], &[("miss", 250)], &[]);
            zone.zone.as_mut().unwrap().plan = plan.into();
            found(CHECK.run(&store(zone)))[0].remedies.iter().map(|r| r.label.clone()).collect::<Vec<_>>()
        };
        assert!(labels("pro").iter().all(|l| l.starts_with("Remove tracking parameters")), "{:?}", labels("pro"));
        assert!(labels("enterprise")[0].starts_with("Leave tracking parameters out of the key") && labels("enterprise").len() == 4);
    }

    #[test]
    fn with_neither_half_nothing_is_known() {
        let mut snapshot = shop(vec![page(&[])], vec![], vec![]);
        assert_eq!(CHECK.run(&snapshot), Outcome::Passed);
        snapshot.withhold(Section::StorefrontPages, Gap::new(Section::StorefrontPages, Cause::Unreadable, "withheld"));
        assert!(matches!(CHECK.run(&snapshot), Outcome::Unknown(_)));
    }
}
