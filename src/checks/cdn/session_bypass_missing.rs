//! Pages are kept whatever the origin says, also for shoppers with a session.

use crate::checks::edge::paths::{PATHS_USES, RealPath, hosts, not_told, real_paths};
use crate::checks::edge::{Decision, EdgeTtl, Fate, Request, Stored, decide, remedy};
use crate::checks::http::{CacheControl, PathKind};
use crate::checks::{Applies, Check, joined};
use crate::evidence::cdn::Cloudflare;
use crate::evidence::{Cause, Gap, Layer, Section, Snapshot};
use crate::finding::{Cell, Confidence, Cost, Effort, Evidence, Finding, Resource, Severity, Subject};
use crate::text;

const USES: [Section; 7] = joined(PATHS_USES, [Section::CdnSettings]);

pub static CHECK: Check = Check {
    id: "cdn-session-bypass-missing",
    layer: Layer::Cdn,
    title: "Cache rules keep pages of shoppers who have a session",
    passed: "No rule keeps a shopper's own page whatever the origin says.",
    why: "A rule that caches everything for a fixed time keeps what the origin marks private as well: the next visitor gets the first shopper's cart, name and \
          address. A bypass that stands before such a rule does nothing, since the last matching rule wins.",
    remedy: "Add a bypass for session cookies and personal paths as the last cache rule, then purge the cache.",
    method: "Works out what cache rules, page rules and settings do, in Cloudflare's order, to personal pages (cart, checkout, account, order, the API's carts and \
             customers) and to the pages seen, for a request with _medusa_cart_id, _medusa_jwt, connect.sid and medusa_session. Fires where such a request is \
             eligible with a lifetime that overrides the origin's headers. Files, and pages that the origin marks as shared, are left out. Rules that ask \
             for what is not known of a request are not guessed.",
    effort: Effort::Minutes,
    references: &[
        "https://developers.cloudflare.com/cache/how-to/cache-rules/examples/bypass-cache-on-cookie/",
        "https://developers.cloudflare.com/cache/how-to/cache-rules/order/",
    ],
    needs: &[Section::CdnCacheRules, Section::CdnPageRules],
    uses: &USES,
    // Where the probe saw the leak itself, that is the step; both have the same remedy.
    symptom_of: &["cdn-personal-response-cached"],
    applies_to,
    evaluate,
};

const SESSION_COOKIES: [&str; 4] = ["_medusa_cart_id", "_medusa_jwt", "connect.sid", "medusa_session"];
/// Paths of every Medusa storefront and backend that belong to one shopper.
const STORE_PATHS: [&str; 5] = ["/us/cart", "/us/checkout", "/us/account", "/us/account/orders/details/order_1", "/us/order/order_1/confirmed"];
const API_PATHS: [&str; 2] = ["/store/carts/cart_1", "/store/customers/me"];
/// Worked out, not seen: behind a leak that a probe has proved.
const PERSONAL_RISK: f64 = 0.9;
const PAGES_RISK: f64 = 0.5;
const PATHS_SHOWN: usize = 20;

fn applies_to(snapshot: &Snapshot) -> Result<Applies, Gap> {
    let zone = snapshot.cloudflare()?;
    let keeps = zone.cache_rules()?.iter().any(|r| r.is_enabled && r.cache != Some(false)) || zone.page_rules()?.iter().any(|r| r.is_active);
    Ok(if keeps { Applies::Yes } else { Applies::No("no rule makes anything eligible for the cache".to_owned()) })
}

/// A request of a shopper with a session that would be kept.
struct Kept {
    request: Request,
    decision: Decision,
    is_personal: bool,
}

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let zone = snapshot.cloudflare()?;
    // Both are needed: either may be the one that keeps, or the one that bypasses.
    zone.cache_rules()?;
    zone.page_rules()?;
    let real = real_paths(snapshot, zone);
    let mut kept: Vec<Kept> = Vec::new();
    let mut unclear: Vec<Decision> = Vec::new();
    let candidates = candidates(snapshot, zone, &real);
    if candidates.is_empty() {
        let cause = Cause::TooFew { have: 0, need: 1, what: "paths of the store in the zone".into() };
        return Err(Gap::new(
            Section::CdnCacheRules,
            cause,
            "Neither storefront nor backend lies in this zone, so no path could be tried on its rules.",
        ));
    }
    for path in candidates {
        for cookie in SESSION_COOKIES {
            let request = path.request().with_cookie("_medusa_cache_id", "1").with_cookie(cookie, "1");
            let decision = decide(zone, &request);
            match decision.fate {
                Fate::Eligible if is_kept(&decision, path.stored(zone, &request)) => {
                    kept.push(Kept { request, decision, is_personal: path.kind == PathKind::Personal });
                    break;
                }
                Fate::Unclear if decision.may_be.contains(&Fate::Eligible) && may_override(&decision) => unclear.push(decision),
                _ => {}
            }
        }
    }
    if kept.is_empty() {
        return unclear.first().map_or_else(|| Ok(Vec::new()), |d| Err(not_told(d)));
    }
    kept.sort_by_key(|k| !k.is_personal);
    Ok(vec![finding(&kept)])
}

/// Personal paths of every Medusa, then pages that were seen and that the origin does not mark as shared.
fn candidates<'s>(snapshot: &'s Snapshot, zone: &Cloudflare, real: &[RealPath<'s>]) -> Vec<RealPath<'s>> {
    let (storefront, backend) = hosts(snapshot, zone);
    let known = |host: &Option<String>, paths: &[&str]| -> Vec<RealPath<'s>> {
        let host = host.iter().cloned();
        host.flat_map(|host| {
            paths.iter().map(move |p| RealPath { host: host.clone(), path: (*p).to_owned(), kind: PathKind::Personal, answer: None, requests: 0 })
        })
        .collect()
    };
    let mut all = known(&storefront, &STORE_PATHS);
    all.extend(known(&backend, &API_PATHS));
    all.extend(real.iter().filter(|p| p.kind != PathKind::Static && !p.path.starts_with("/store/products") && !is_shared(p)).cloned());
    all
}

/// The origin itself says that everybody may have this answer.
fn is_shared(path: &RealPath) -> bool {
    path.kind != PathKind::Personal
        && path.answer.is_some_and(|a| {
            let control = CacheControl::of(a);
            (control.has("public") || control.seconds("s-maxage").is_some()) && crate::checks::http::forbids_caching(a).is_none()
        })
}

/// Kept whatever the origin says; where it may say no, only an answer that was seen can tell.
fn is_kept(decision: &Decision, stored: Option<Stored>) -> bool {
    let is_override = matches!(decision.edge_ttl, Some(EdgeTtl::Override(s)) if s > 0);
    is_override && !matches!(stored, Some(Stored::NotKept { .. }))
}

/// A lifetime that overrides the origin's, or one that is not told. Where the origin's headers decide, its no is heard whatever else is unclear.
fn may_override(decision: &Decision) -> bool {
    match decision.edge_ttl {
        Some(EdgeTtl::Override(seconds)) => seconds > 0,
        Some(EdgeTtl::RespectOrigin | EdgeTtl::BypassByDefault) => false,
        None => true,
    }
}

fn finding(kept: &[Kept]) -> Finding {
    let personal = kept.iter().filter(|k| k.is_personal).count();
    let first = &kept[0];
    let rule = first.decision.by().map_or_else(|| "a rule".to_owned(), |r| format!("\"{}\"", r.name));
    let rows = kept.iter().take(PATHS_SHOWN).map(|k| {
        let by = k.decision.by().map_or_else(String::new, |r| r.name.clone());
        vec![Cell::text(format!("{}{}", k.request.host, k.request.path)), Cell::text(k.decision.fate.name()), Cell::text(by)]
    });
    let what = if personal > 0 {
        text::plural(personal as u64, "personal path", "personal paths")
    } else {
        text::plural(kept.len() as u64, "page", "pages")
    };
    Finding {
        subject: Subject::new("rule", "session bypass"),
        observed: format!("{what} would be kept for a shopper with a session, whatever the origin says: {rule} decides on {}.", first.request.path),
        step: "Bypass the cache for shoppers with a session, last".to_owned(),
        evidence: vec![
            Evidence::table("Kept with a session cookie", &["path", "decision", "by the rule"], rows.collect()),
            Evidence::Code { label: "How the zone decides".to_owned(), language: "text".to_owned(), text: first.decision.trace.join("\n") },
        ],
        severity: if personal > 0 { Severity::Critical } else { Severity::High },
        confidence: Confidence::High,
        confidence_because: "worked out from the zone's own rules in Cloudflare's order".to_owned(),
        effort: Effort::Minutes,
        cost: Cost { resource: Resource::Risk, share: if personal > 0 { PERSONAL_RISK } else { PAGES_RISK } },
        gain: None,
        averts: Some("leaks between shoppers".to_owned()),
        remedies: remedy::remedies(
            "Bypass the cache for shoppers and personal pages, last",
            &[remedy::bypass_shoppers()],
            "Low: these requests reach the origin again; files under /_next/ stay cached. Purge everything afterwards (Caching → Configuration).",
        ),
        verify: "Run the audit again: every one of these paths is bypassed with each session cookie.".to_owned(),
        touches: kept.iter().take(PATHS_SHOWN).map(|k| format!("path:{}", k.request.path)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::edge::fixtures::{bypass, eligible, page_rule, zone_of};
    use crate::checks::http::fixtures::{found, shop, target};
    use crate::evidence::cdn::CacheRule;
    use crate::evidence::storefront::{PathClass, Target};
    use crate::finding::Outcome;

    const COOKIES: &str = "http.cookie contains \"_medusa_jwt=\" or http.cookie contains \"_medusa_cart_id=\" or http.cookie contains \"connect.sid=\" or \
                           http.cookie contains \"medusa_session=\"";

    fn run(rules: Vec<CacheRule>, pages: Vec<Target>) -> Outcome {
        let mut snapshot = shop(pages, vec![], vec![]);
        snapshot.cdn = Ok(zone_of(rules));
        CHECK.run(&snapshot)
    }

    fn product(control: &str) -> Target {
        let headers = [("cache-control", control), ("cf-ray", "1")];
        target(PathClass::Product, "https://shop.example.com/us/products/x", &headers, &headers)
    }

    #[test]
    fn a_rule_that_keeps_everything_is_critical() {
        let findings = found(run(vec![eligible("true", Some(14_400))], vec![]));
        assert_eq!(findings[0].severity, Severity::Critical);
        assert!(
            findings[0].observed.starts_with("7\u{a0}personal paths") || findings[0].observed.starts_with("7 personal paths"),
            "{}",
            findings[0].observed
        );
    }

    #[test]
    fn the_bypass_must_come_last_and_name_every_session() {
        let everything = || eligible("true", Some(14_400));
        assert_eq!(run(vec![everything(), bypass(COOKIES)], vec![]), Outcome::Passed);
        assert!(matches!(run(vec![bypass(COOKIES), everything()], vec![]), Outcome::Failed(_)));
        assert!(matches!(run(vec![everything(), bypass("http.cookie contains \"_medusa_jwt=\"")], vec![]), Outcome::Failed(_)));
        let mut off = bypass(COOKIES);
        off.is_enabled = false;
        assert!(matches!(run(vec![everything(), off], vec![]), Outcome::Failed(_)));
    }

    #[test]
    fn what_the_origin_decides_and_files_are_quiet() {
        assert_eq!(run(vec![eligible("true", None)], vec![product("private, no-store")]), Outcome::Passed);
        let files = eligible("starts_with(http.request.uri.path, \"/_next/static\")", Some(2_592_000));
        assert_eq!(run(vec![files], vec![product("no-store")]), Outcome::Passed);
        let pages = eligible("http.request.uri.path wildcard \"/*/products/*\"", Some(14_400));
        assert_eq!(run(vec![pages.clone()], vec![product("s-maxage=31536000")]), Outcome::Passed);
        assert_eq!(found(run(vec![pages], vec![product("private, no-store")]))[0].severity, Severity::High);
        assert!(matches!(run(vec![bypass("true")], vec![]), Outcome::NotApplicable(_)));
    }

    #[test]
    fn page_rules_count_and_conditions_from_outside_are_unknown() {
        let mut snapshot = shop(vec![], vec![], vec![]);
        let mut zone = zone_of(vec![]);
        zone.page_rules = Ok(vec![page_rule(1, "*example.com/*", &[("cache_level", "\"cache_everything\""), ("edge_cache_ttl", "7200")])]);
        snapshot.cdn = Ok(zone);
        assert!(matches!(CHECK.run(&snapshot), Outcome::Failed(_)));
        assert!(matches!(run(vec![eligible("ip.src.country eq \"DE\"", Some(60))], vec![]), Outcome::Unknown(_)));
        // Pages as well, unless the origin's headers decide.
        let german = |ttl| eligible("http.request.uri.path wildcard \"/*/products/*\" and ip.src.country eq \"DE\"", ttl);
        assert!(matches!(run(vec![german(Some(60))], vec![product("private, no-store")]), Outcome::Unknown(_)));
        assert_eq!(run(vec![german(None)], vec![product("private, no-store")]), Outcome::Passed);
        assert_eq!(run(vec![german(Some(60))], vec![product("public, s-maxage=60")]), Outcome::Passed, "the origin says that all may have it");
    }

    /// The pattern names every session: nothing of a shopper is kept. One that is missing is named.
    #[test]
    fn a_page_rules_bypass_on_cookies_is_read() {
        let with = |pattern: &str| {
            let mut snapshot = shop(vec![], vec![], vec![]);
            let mut zone = zone_of(vec![]);
            let actions = [("cache_level", "\"cache_everything\""), ("edge_cache_ttl", "7200"), ("bypass_cache_on_cookie", pattern)];
            zone.page_rules = Ok(vec![page_rule(1, "*example.com/*", &actions)]);
            snapshot.cdn = Ok(zone);
            CHECK.run(&snapshot)
        };
        assert_eq!(with("\"_medusa_jwt=.*|_medusa_cart_id=.*|connect.sid=.*|medusa_session=.*\""), Outcome::Passed);
        assert!(matches!(with("\"_medusa_jwt=.*|connect.sid=.*\""), Outcome::Failed(_)));
    }
}
