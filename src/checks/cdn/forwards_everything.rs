//! CloudFront keeps a copy of its own for every visitor.

use crate::checks::edge_cloudfront::{
    APPLIES_USES, Change, Files, VISITOR_COOKIE, VISITOR_HEADERS, answering_files, applies, changed, console, cost_of_files, enabled, pages_of,
    saved, settled, subject_name, title, undo,
};
use crate::checks::http::{CacheControl, forbids_caching, good, host, path};
use crate::checks::{Check, joined};
use crate::evidence::cloudfront::{Behaviour, CachePolicy, Distribution, Names};
use crate::evidence::storefront::{PathClass, Target};
use crate::evidence::{Gap, Layer, Section, Snapshot};
use crate::finding::{Cell, Confidence, Cost, Effort, Evidence, Finding, Remedy, RemedyKind, Resource, Severity, Subject};

const USES: [Section; 6] = joined(APPLIES_USES, [Section::CloudFrontMetrics, Section::S3Buckets]);

pub static CHECK: Check = Check {
    id: "cdn-forwards-everything",
    layer: Layer::Cdn,
    title: "CloudFront keeps files and pages once for every visitor",
    passed: "No cookie or header that differs by visitor is in CloudFront's key of shared files or cacheable pages.",
    why: "What is in the cache key tells copies apart. The storefront gives every visitor a cookie of their own (_medusa_cache_id), so a key with all \
          cookies holds one copy a visitor: nearly every request is the first of its kind and goes to the origin.",
    remedy: "Leave cookies and per-visitor headers out of the key of files; for pages keep only the cookies of shoppers who have a cart or account.",
    method: "Reads the key of each behaviour that answers bundles, images or media, and of those that answer catalogue pages whose headers let a shared \
             cache keep them. Fires when all cookies, _medusa_cache_id, all headers, or User-Agent, Cookie, Authorization, Referer, X-Forwarded-For or the \
             viewer's address are in it. Behaviours that keep nothing are cdn-caching-disabled-behavior's. Host in the key is left alone.",
    effort: Effort::Minutes,
    references: &[
        "https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/understanding-the-cache-key.html",
        "https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/using-managed-cache-policies.html#managed-cache-policy-origin-cache-headers",
    ],
    needs: &[Section::CloudFrontDistributions],
    uses: &USES,
    symptom_of: &[],
    applies_to: applies,
    evaluate,
};

/// Catalogue pages are fewer requests than files, and each costs the application more.
const PAGES_SHARE_BY_RULE: f64 = 0.10;

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let listed = snapshot.cloudfront()?.distributions()?;
    let (mut findings, mut unread) = (Vec::new(), None);
    let files = answering_files(snapshot);
    for files in files.iter().flatten() {
        match files.behaviour.caching.settings() {
            Ok(settings) => findings.extend(of_files(snapshot, files, settings)),
            Err(gap) => unread = unread.or(Some(gap)),
        }
    }
    let pages: Vec<(&Distribution, &Behaviour, &Target)> = enabled(listed).flat_map(|d| cacheable_pages(snapshot, d)).collect();
    for (distribution, behaviour, page) in &pages {
        let name = subject_name(distribution, &behaviour.path_pattern);
        if findings.iter().any(|f| f.subject.name == name) {
            continue;
        }
        match behaviour.caching.settings() {
            Ok(settings) => findings.extend(of_pages(distribution, behaviour, page, settings)),
            Err(gap) => unread = unread.or(Some(gap)),
        }
    }
    match files {
        // Neither files nor pages that a shared cache may keep: nothing was judged.
        Err(gap) if pages.is_empty() => Err(gap),
        _ => settled(findings, unread, listed),
    }
}

/// What in the key differs by visitor, in words.
fn excess(settings: &CachePolicy) -> Vec<String> {
    let mut all = Vec::new();
    match &settings.cookies {
        Names::All => all.push("all cookies".to_owned()),
        cookies if cookies.has(VISITOR_COOKIE) => all.push(format!("the cookie {VISITOR_COOKIE}")),
        _ => {}
    }
    match &settings.headers {
        Names::All => all.push("all headers".to_owned()),
        headers => all.extend(VISITOR_HEADERS.iter().filter(|h| headers.has(h)).map(|h| format!("the header {h}"))),
    }
    all
}

fn of_files(snapshot: &Snapshot, files: &Files<'_>, settings: &CachePolicy) -> Option<Finding> {
    let excess = excess(settings);
    if excess.is_empty() || settings.max_ttl_s == 0 {
        return None;
    }
    let (distribution, pattern) = (files.distribution, &files.behaviour.path_pattern);
    let (share, severity, because) = cost_of_files(snapshot, &distribution.id);
    let changes = Change::all(files, settings);
    Some(Finding {
        step: format!("Share the files under {} between visitors", files.patterns().join(", ")),
        severity,
        confidence: if files.behaviour.has_functions { Confidence::Medium } else { Confidence::High },
        confidence_because: because.to_owned(),
        cost: Cost { resource: Resource::OriginRequests, share },
        remedies: vec![changed(&distribution.id, &changes), console(&distribution.id, &changes)],
        touches: vec!["traffic:cdn".to_owned(), format!("path:{}", files.patterns().first().unwrap_or(pattern))],
        ..finding(distribution, files.behaviour, settings, &excess, &files.paths)
    })
}

/// Catalogue pages on this distribution's hosts that their own headers let a shared cache keep.
fn cacheable_pages<'a>(snapshot: &'a Snapshot, distribution: &'a Distribution) -> Vec<(&'a Distribution, &'a Behaviour, &'a Target)> {
    let Ok(pages) = snapshot.shop().and_then(|s| s.pages()) else { return Vec::new() };
    let is_catalogue = |t: &&Target| matches!(t.class, PathClass::Home | PathClass::Product | PathClass::Collection | PathClass::Category);
    let is_kept = |t: &&Target| good(t).is_some_and(|a| forbids_caching(a).is_none() && CacheControl::of(a).shared_seconds().is_some_and(|s| s > 0));
    let own = pages.iter().filter(is_catalogue).filter(|t| distribution.serves(host(&t.url))).filter(is_kept);
    own.filter_map(|t| Some((distribution, distribution.behaviour_for(path(&t.url))?, t))).collect()
}

fn of_pages(distribution: &Distribution, behaviour: &Behaviour, page: &Target, settings: &CachePolicy) -> Option<Finding> {
    let excess = excess(settings);
    if excess.is_empty() || settings.max_ttl_s == 0 {
        return None;
    }
    Some(Finding {
        step: format!("Share the catalogue pages of {} between visitors", distribution.id),
        severity: Severity::from_share(PAGES_SHARE_BY_RULE),
        confidence: Confidence::Medium,
        confidence_because: "the key is read from the configuration; how many pages it costs is not measured".to_owned(),
        cost: Cost { resource: Resource::OriginRequests, share: PAGES_SHARE_BY_RULE },
        remedies: vec![page_policy(distribution, behaviour, settings)],
        touches: vec!["traffic:cdn".to_owned(), "path:/products/*".to_owned()],
        ..finding(distribution, behaviour, settings, &excess, &[path(&page.url).to_owned()])
    })
}

fn finding(distribution: &Distribution, behaviour: &Behaviour, settings: &CachePolicy, excess: &[String], paths: &[String]) -> Finding {
    let pattern = &behaviour.path_pattern;
    let which = if behaviour.is_default { "The default behaviour".to_owned() } else { format!("The behaviour for {pattern}") };
    Finding {
        subject: Subject::new("behaviour", subject_name(distribution, pattern)),
        observed: format!(
            "{which} of {} has {} in its key ({}), so that copies are kept apart by visitor.",
            title(distribution),
            excess.join(" and "),
            settings.name
        ),
        step: String::new(),
        evidence: vec![
            Evidence::table("Answered by it", &["path"], paths.iter().map(|p| vec![Cell::text(p.clone())]).collect()),
            Evidence::table("In the key and not the same for all", &["part"], excess.iter().map(|e| vec![Cell::text(e.clone())]).collect()),
        ],
        severity: Severity::Low,
        confidence: Confidence::High,
        confidence_because: String::new(),
        effort: Effort::Minutes,
        cost: Cost { resource: Resource::OriginRequests, share: 0.0 },
        gain: None,
        averts: None,
        remedies: Vec::new(),
        verify: format!(
            "Two requests for {} with different {VISITOR_COOKIE} cookies: the second answers x-cache: Hit from cloudfront.",
            paths.first().map_or("/", String::as_str)
        ),
        touches: Vec::new(),
    }
}

fn page_policy(distribution: &Distribution, behaviour: &Behaviour, settings: &CachePolicy) -> Remedy {
    let text = format!(
        "ID={}\naws cloudfront get-distribution-config --id \"$ID\" > before.json\n{}{}",
        distribution.id,
        pages_of(distribution, behaviour, settings),
        saved()
    );
    Remedy {
        kind: RemedyKind::Shell,
        label: "Keep shoppers apart, and nobody else".to_owned(),
        text,
        lock: None,
        risk: "Low where the origin marks carts, checkout and accounts private or no-store, as Medusa's storefront does; shoppers with a cart or account \
               keep copies of their own. The origin is sent the whole request, which the storefront's middleware and forms need; a page that differs by \
               another cookie or header needs it in the list. Needs the AWS CLI, jq and permission to create policies."
            .to_owned(),
        undo: Some(undo(&distribution.id)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::edge_cloudfront::fixtures::{behaviour, policy, store, with_legacy, with_policy};
    use crate::checks::http::fixtures::{found, target};
    use crate::finding::Outcome;

    fn keyed(cookies: Names, headers: Names) -> CachePolicy {
        CachePolicy { headers, ..policy("mine", [0, 60, 600], cookies) }
    }

    fn files(settings: CachePolicy) -> Snapshot {
        store(vec![with_policy(behaviour("/_next/static/*", "storefront"), settings)])
    }

    fn only(name: &str) -> Names {
        Names::Only(vec![name.into()])
    }

    #[test]
    fn what_differs_by_visitor_is_named() {
        for (cookies, headers, is_fault) in [
            (Names::All, Names::None, true),
            (only(VISITOR_COOKIE), Names::None, true),
            (Names::Except(vec!["other".into()]), Names::None, true),
            (Names::Except(vec![VISITOR_COOKIE.into()]), Names::None, false),
            (only("_medusa_jwt"), Names::None, false),
            (Names::None, only("User-Agent"), true),
            (Names::None, Names::All, true),
            (Names::None, only("Host"), false),
            (Names::None, only("Accept"), false),
        ] {
            let outcome = CHECK.run(&files(keyed(cookies.clone(), headers.clone())));
            assert_eq!(matches!(outcome, Outcome::Failed(_)), is_fault, "{cookies:?} {headers:?}: {outcome:?}");
        }
    }

    #[test]
    fn one_that_keeps_nothing_is_the_other_checks() {
        let mut disabled = keyed(Names::All, Names::None);
        disabled.max_ttl_s = 0;
        assert_eq!(CHECK.run(&files(disabled)), Outcome::Passed);
    }

    #[test]
    fn legacy_forwarding_is_a_key() {
        let snapshot = store(vec![with_legacy(behaviour("/media/*", "media"), keyed(Names::All, Names::None))]);
        let findings = found(CHECK.run(&snapshot));
        assert!(findings[0].observed.contains("all cookies"));
        assert!(!findings[0].remedies[0].text.contains("OriginRequestPolicyId = "), "a bucket must not be sent the shop's host");
    }

    #[test]
    fn pages_count_where_their_headers_let_them_be_kept() {
        let pages = |cache_control: &str| {
            let mut default = with_policy(behaviour("*", "storefront"), keyed(Names::All, Names::None));
            default.allowed_methods.push("POST".into());
            let mut snapshot = store(vec![behaviour("/_next/static/*", "storefront"), default]);
            let headers = [("cache-control", cache_control)];
            let page = target(PathClass::Product, "https://shop.example.com/us/products/x", &headers, &headers);
            snapshot.storefront.as_mut().unwrap().pages = Ok(vec![page]);
            snapshot
        };
        assert_eq!(CHECK.run(&pages("private, no-store")), Outcome::Passed);
        assert_eq!(CHECK.run(&pages("public, max-age=0")), Outcome::Passed);
        let findings = found(CHECK.run(&pages("public, s-maxage=60")));
        let text = &findings[0].remedies[0].text;
        assert!(text.contains("_medusa_cart_id") && text.contains("connect.sid") && text.contains("\"MinTTL\": 0"), "{text}");
        assert!(!text.contains(VISITOR_COOKIE), "{text}");
        assert!(text.contains(".OriginRequestPolicyId = "), "the middleware's cookie has to reach the origin: {text}");
    }
}
