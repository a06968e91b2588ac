//! The key tells entries apart that are the same: each visitor has a cache of their own.

use crate::checks::edge::paths::{RealPath, is_in_zone, real_paths};
use crate::checks::edge::{CacheKey, Decision, decide};
use crate::checks::http::{Edge, PathKind, edge, good, host, path, path_kind};
use crate::checks::{Check, always};
use crate::evidence::cdn::Cloudflare;
use crate::evidence::storefront::{PathClass, Target};
use crate::evidence::{Cause, Gap, Layer, Section, Snapshot};
use crate::finding::{Cell, Confidence, Cost, Effort, Evidence, Finding, Remedy, RemedyKind, Resource, Severity, Subject};
use crate::text;

pub static CHECK: Check = Check {
    id: "cdn-cache-key-too-wide",
    layer: Layer::Cdn,
    title: "The cache keeps a copy for each visitor",
    passed: "Neither rules nor Vary give each visitor a cache of their own.",
    why: "A cache answers from memory only what it has kept under the same key. With a visitor's cookie or browser in the key nobody ever finds what another has \
          fetched: the cache fills up and answers nothing.",
    remedy: "Take cookies that differ by visitor, User-Agent and cookies as a whole out of the key and out of Vary.",
    method: "Works out the key of catalogue pages and files that are eligible in the zone, by cache rule and page rule, and reads Vary of the answers to the probe \
             where another cache than Cloudflare answers, or none is seen. Fires on _medusa_cache_id, _ga and session cookies, on the Cookie and User-Agent \
             headers in the key, and on Vary: Cookie or User-Agent. Cloudflare leaves Vary out of its key; Vary: * is never kept by anybody.",
    effort: Effort::Minutes,
    references: &[
        "https://developers.cloudflare.com/cache/how-to/cache-keys/",
        "https://developers.cloudflare.com/cache/concepts/vary/",
        "https://www.rfc-editor.org/rfc/rfc9111#section-4.1",
    ],
    needs: &[],
    uses: &[
        Section::CdnZone,
        Section::CdnSettings,
        Section::CdnCacheRules,
        Section::CdnPageRules,
        Section::CdnAnalytics,
        Section::StorefrontPages,
        Section::StorefrontAssets,
        Section::StorefrontMedia,
        Section::StoreApi,
    ],
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

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let by_rules = snapshot.cloudflare().and_then(|zone| {
        zone.cache_rules()?;
        zone.page_rules()?;
        Ok(keyed(snapshot, zone))
    });
    let by_vary = snapshot.shop().and_then(|s| s.pages()).map(|_| varied(snapshot));
    match (by_rules, by_vary) {
        (Ok(rules), Ok(vary)) => Ok(rules.into_iter().chain(vary).collect()),
        // A finding stands whatever the other half would say; half a silence is a verdict only where there is no other half.
        (Ok(Some(found)), Err(_)) | (Err(_), Ok(Some(found))) => Ok(vec![found]),
        (Ok(None), Err(gap)) | (Err(gap), Ok(None)) if gap.cause == Cause::NotConfigured => Ok(Vec::new()),
        (_, Err(gap)) | (Err(gap), _) => Err(gap),
    }
}

/// The rules' half.
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

/// The headers' half.
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

/// What both halves say alike.
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
    use crate::checks::edge::fixtures::{eligible, page_rule, zone_of};
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

    #[test]
    fn with_neither_half_nothing_is_known() {
        let mut snapshot = shop(vec![page(&[])], vec![], vec![]);
        assert_eq!(CHECK.run(&snapshot), Outcome::Passed);
        snapshot.withhold(Section::StorefrontPages, Gap::new(Section::StorefrontPages, Cause::Unreadable, "withheld"));
        assert!(matches!(CHECK.run(&snapshot), Outcome::Unknown(_)));
    }
}
