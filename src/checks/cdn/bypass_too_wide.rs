//! The cache is bypassed for visitors who have nothing of their own.

use crate::checks::edge::paths::{PATHS_USES, RealPath, hosts, not_told, real_paths};
use crate::checks::edge::{Decision, Fate, Request, decide, remedy};
use crate::checks::http::PathKind;
use crate::checks::measures::{REQUESTS_MIN, cdn_hit_ratio_of_all};
use crate::checks::{Applies, Check, joined};
use crate::evidence::cdn::Cloudflare;
use crate::evidence::{Gap, Layer, Section, Snapshot};
use crate::finding::{Cell, Confidence, Cost, Effort, Evidence, Finding, Resource, Severity, Subject};
use crate::text;

const USES: [Section; 7] = joined(PATHS_USES, [Section::CdnSettings]);

pub static CHECK: Check = Check {
    id: "cdn-bypass-too-wide",
    layer: Layer::Cdn,
    title: "A bypass rule catches visitors without a session",
    passed: "No bypass catches visitors without a session, or files.",
    why: "The storefront gives every visitor a cookie on the first page (_medusa_cache_id), and analytics tools add theirs. A bypass on any of them, or on \
          cookies at all, empties the cache for everybody: the rule that should keep carts apart switches the CDN off.",
    remedy: "Bypass on the cookies of a cart or a session alone, and leave the build's files out of it.",
    method: "Works out what the zone does, in Cloudflare's order, to catalogue pages and files that are eligible without cookies: once with _medusa_cache_id, once \
             with a cookie of an analytics tool, and files once with _medusa_cart_id. Fires where a cookie turns eligible into bypassed. A bypass that asks \
             for what is not known of a request is not guessed.",
    effort: Effort::Minutes,
    references: &["https://developers.cloudflare.com/cache/how-to/cache-rules/examples/bypass-cache-on-cookie/"],
    needs: &[Section::CdnCacheRules, Section::CdnPageRules],
    uses: &USES,
    symptom_of: &[],
    applies_to,
    evaluate,
};

/// Cookies of a visitor who has put nothing into a cart.
const VISITOR_COOKIES: [&str; 2] = ["_medusa_cache_id", "_ga"];
/// Files of every Next.js build, should none have been seen.
const FILES: [&str; 2] = ["/_next/static/chunks/main-0123456789abcdef.js", "/_next/static/css/0123456789abcdef.css"];
/// Without a count: what visitors without a cart are of a store's traffic, at the least.
const SHARE_BY_RULE: f64 = 0.20;
const PATHS_SHOWN: usize = 20;

fn applies_to(snapshot: &Snapshot) -> Result<Applies, Gap> {
    let zone = snapshot.cloudflare()?;
    let bypasses = zone.cache_rules()?.iter().any(|r| r.is_enabled && r.cache == Some(false)) || zone.page_rules()?.iter().any(|r| r.is_active);
    Ok(if bypasses { Applies::Yes } else { Applies::No("no rule bypasses the cache".to_owned()) })
}

struct Caught {
    request: Request,
    decision: Decision,
    kind: PathKind,
    /// A visitor's cookie, not a shopper's.
    is_visitor: bool,
}

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let zone = snapshot.cloudflare()?;
    zone.cache_rules()?;
    zone.page_rules()?;
    let mut caught = Vec::new();
    let mut unclear: Vec<Decision> = Vec::new();
    for path in candidates(snapshot, zone) {
        let bare = decide(zone, &path.request());
        if !bare.fate.is_eligible() && !bare.may_be.iter().any(|f| f.is_eligible()) {
            continue;
        }
        let shopper = (path.kind == PathKind::Static).then_some(("_medusa_cart_id", false));
        for (cookie, is_visitor) in VISITOR_COOKIES.map(|c| (c, true)).into_iter().chain(shopper) {
            let request = path.request().with_cookie(cookie, "1");
            let decision = decide(zone, &request);
            match decision.fate {
                Fate::Bypass if bare.fate.is_eligible() => {
                    caught.push(Caught { request, decision, kind: path.kind, is_visitor });
                    break;
                }
                Fate::Bypass => unclear.push(bare.clone()),
                Fate::Unclear if decision.may_be.contains(&Fate::Bypass) => unclear.push(decision),
                _ => {}
            }
        }
    }
    if caught.is_empty() {
        return unclear.first().map_or_else(|| Ok(Vec::new()), |d| Err(not_told(d)));
    }
    caught.sort_by_key(|c| !c.is_visitor);
    Ok(vec![finding(zone, &caught)])
}

fn candidates<'s>(snapshot: &'s Snapshot, zone: &Cloudflare) -> Vec<RealPath<'s>> {
    let mut all: Vec<RealPath> = real_paths(snapshot, zone).into_iter().filter(|p| p.kind == PathKind::Static || p.is_catalogue_page()).collect();
    if let (Some(host), _) = hosts(snapshot, zone) {
        let file = |path: &&str| RealPath { host: host.clone(), path: (*path).to_owned(), kind: PathKind::Static, answer: None, requests: 0 };
        all.extend(FILES.iter().map(file));
    }
    all
}

/// Share of all requests that were let through though the same address is eligible without a cookie.
fn measured(zone: &Cloudflare) -> Option<f64> {
    let analytics = zone.analytics().ok()?;
    let of = cdn_hit_ratio_of_all(analytics).of;
    let let_through = analytics.by_path.rows.iter().filter(|r| matches!(r.status.as_str(), "bypass" | "dynamic"));
    let eligible = let_through.filter(|r| decide(zone, &Request::get(&r.host, &r.path)).fate.is_eligible());
    let bypassed: u64 = eligible.map(|r| r.requests).sum();
    (of >= REQUESTS_MIN && bypassed > 0).then(|| bypassed as f64 / of as f64)
}

fn finding(zone: &Cloudflare, caught: &[Caught]) -> Finding {
    let first = &caught[0];
    let share = measured(zone);
    let severity = match (first.is_visitor, share) {
        (_, Some(share)) => Severity::from_share(share),
        (true, None) => Severity::Medium,
        (false, None) => Severity::Low,
    };
    let cookie = first.request.cookies.first().map_or("", |(n, _)| n.as_str());
    let rule = first.decision.by().map_or_else(|| "a rule".to_owned(), |r| format!("\"{}\"", r.name));
    let whom = if first.is_visitor { "which every visitor may have" } else { "though files are the same for all" };
    let rows = caught.iter().take(PATHS_SHOWN).map(|c| {
        let by = c.decision.by().map_or_else(String::new, |r| r.name.clone());
        let cookie = c.request.cookies.first().map_or("", |(n, _)| n.as_str());
        vec![Cell::text(format!("{}{}", c.request.host, c.request.path)), Cell::text(c.kind.name()), Cell::text(cookie), Cell::text(by)]
    });
    Finding {
        subject: Subject::new("rule", rule.trim_matches('"')),
        observed: format!(
            "{rule} bypasses the cache on {} for a request with {cookie}, {whom}: {} tried.",
            first.request.path,
            text::plural(caught.len() as u64, "path", "paths")
        ),
        step: "Narrow the bypass to shoppers with a cart or a session".to_owned(),
        evidence: vec![
            Evidence::table("Bypassed by a cookie", &["path", "kind", "cookie", "by the rule"], rows.collect()),
            Evidence::Code { label: "How the zone decides".to_owned(), language: "text".to_owned(), text: first.decision.trace.join("\n") },
        ],
        severity,
        confidence: if share.is_some() { Confidence::High } else { Confidence::Medium },
        confidence_because: match share {
            Some(_) => "worked out from the zone's own rules, traffic counted by Cloudflare".to_owned(),
            None => "worked out from the zone's own rules; how many requests it catches is not counted".to_owned(),
        },
        effort: Effort::Minutes,
        cost: Cost { resource: Resource::OriginRequests, share: share.unwrap_or(if first.is_visitor { SHARE_BY_RULE } else { 0.0 }) },
        gain: None,
        averts: None,
        remedies: remedy::remedies(
            "Replace the bypass by one for shoppers alone",
            &[remedy::bypass_shoppers()],
            "Low: if the storefront marks shoppers by another cookie, add its name to the list before the old rule goes.",
        ),
        verify: format!("Run the audit again: {} stays eligible with {cookie}.", first.request.path),
        touches: caught.iter().take(PATHS_SHOWN).map(|c| format!("path:{}", c.request.path)).chain(["traffic:cdn".to_owned()]).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::edge::fixtures::{analytics, bypass, eligible, page_rule, rule, zone_of};
    use crate::checks::http::fixtures::{found, shop, target};
    use crate::evidence::cdn::CacheRule;
    use crate::evidence::storefront::PathClass;
    use crate::finding::Outcome;

    fn run(rules: Vec<CacheRule>, dynamic: Option<u64>) -> Outcome {
        let page = target(PathClass::Product, "https://shop.example.com/us/products/x", &[], &[]);
        let mut snapshot = shop(vec![page], vec![], vec![]);
        let mut zone = zone_of(rules);
        if let Some(n) = dynamic {
            zone.analytics = Ok(analytics(&[("hit", 1_000 - n), ("bypass", n)], &[("shop.example.com", "/us/products/x", "bypass", n)]));
        }
        snapshot.cdn = Ok(zone);
        CHECK.run(&snapshot)
    }

    fn pages() -> CacheRule {
        eligible("http.request.uri.path wildcard \"/*/products/*\"", None)
    }

    #[test]
    fn a_bypass_on_the_visitors_cookie_or_on_all_is_named() {
        for expression in
            ["http.cookie contains \"_medusa_cache_id\"", "http.cookie ne \"\"", "len(http.cookie) > 0", "http.cookie contains \"_medusa_\""]
        {
            let findings = found(run(vec![pages(), bypass(expression)], None));
            assert_eq!((findings[0].severity, findings[0].confidence), (Severity::Medium, Confidence::Medium), "{expression}");
        }
        assert_eq!(found(run(vec![pages(), bypass("http.cookie ne \"\"")], Some(250)))[0].severity, Severity::High);
        assert_eq!(found(run(vec![pages(), bypass("http.cookie ne \"\"")], Some(249)))[0].severity, Severity::Medium);
    }

    #[test]
    fn a_page_rules_pattern_is_held_against_the_cookies() {
        let with = |pattern: &str| {
            let page = target(PathClass::Product, "https://shop.example.com/us/products/x", &[], &[]);
            let mut snapshot = shop(vec![page], vec![], vec![]);
            let mut zone = zone_of(vec![]);
            let actions = [("cache_level", "\"cache_everything\""), ("bypass_cache_on_cookie", pattern)];
            zone.page_rules = Ok(vec![page_rule(1, "*example.com/*", &actions)]);
            snapshot.cdn = Ok(zone);
            CHECK.run(&snapshot)
        };
        for wide in ["\".*\"", "\"_medusa_.*=.*\"", "\"wp-.*|_ga=.*\""] {
            assert_eq!(found(with(wide))[0].subject.name, "*example.com/*", "{wide}");
        }
        // Cookies of shoppers alone: the build's files pass with them, pages stay for everybody else.
        assert_eq!(found(with("\"_medusa_jwt=.*|_medusa_cart_id=.*\""))[0].severity, Severity::Low);
        assert_eq!(with("\"_medusa_jwt=.*\""), Outcome::Passed);
        assert!(matches!(with("\"cache_id=.*\""), Outcome::Unknown(_)), "where a pattern begins is not documented");
    }

    #[test]
    fn what_cannot_be_told_is_no_pass() {
        for unknown in ["http.cookie contains \"_medusa_cache_id\" and ip.src.country eq \"DE\"", "ip.src.country eq \"DE\""] {
            assert!(matches!(run(vec![pages(), bypass(unknown)], None), Outcome::Unknown(_)), "{unknown}");
        }
        // A page that nothing keeps is not caught by a bypass, and one that is surely caught is named.
        assert_eq!(run(vec![bypass("http.request.uri.path wildcard \"/*/products/*\" and ip.src.country eq \"DE\"")], None), Outcome::Passed);
        let both = vec![pages(), bypass("ip.src.country eq \"DE\" and http.request.uri.path eq \"/x\""), bypass("http.cookie ne \"\"")];
        assert!(matches!(run(both, None), Outcome::Failed(_)));
    }

    #[test]
    fn files_of_shoppers_count_less_and_a_narrow_bypass_is_quiet() {
        let wide = found(run(vec![pages(), bypass("http.cookie contains \"_medusa_cart_id=\"")], None));
        assert_eq!(wide[0].severity, Severity::Low);
        let narrow = CacheRule { cache: Some(false), ..rule(&remedy::bypass_shoppers().expression) };
        assert_eq!(run(vec![pages(), narrow], None), Outcome::Passed);
        assert!(matches!(run(vec![pages()], None), Outcome::NotApplicable(_)));
        assert_eq!(run(vec![pages(), bypass("http.request.uri.path eq \"/us/cart\"")], None), Outcome::Passed);
    }
}
