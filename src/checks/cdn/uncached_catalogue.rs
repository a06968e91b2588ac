//! Catalogue pages and lists reach the origin on every request.

use crate::checks::edge::remedy;
use crate::checks::http::{Edge, Verdict, answer, answers, edge, forbids_caching, good, host, pattern, verdict};
use crate::checks::measures::origin_share;
use crate::checks::{Applies, Check};
use crate::evidence::storefront::{Answer, PathClass, Target, Variant};
use crate::evidence::{Cause, Gap, Layer, Section, Snapshot};
use crate::finding::{Basis, Cell, Confidence, Cost, Effort, Evidence, Finding, Gain, Remedy, RemedyKind, Resource, Severity, Subject};
use crate::text;

pub static CHECK: Check = Check {
    id: "cdn-uncached-catalogue",
    layer: Layer::Cdn,
    title: "Catalogue pages are not cached at the edge",
    passed: "Catalogue pages and lists are answered from the cache, or their headers let one keep them.",
    why: "Product, collection and category pages are the same for every shopper of a region, yet each view is computed again: page rendering, \
          store API calls and dozens of database statements. A cache in front would answer in milliseconds.",
    remedy: "Let the pages send a shared lifetime (s-maxage with stale-while-revalidate), take cookies off them, and add the cache rule that the CDN \
             needs for HTML and JSON.",
    method: "Asks a product, a collection, a category page and store API lists twice, a second apart. Fires when both answers came from the origin by \
             the cache's own status (DYNAMIC, MISS, BYPASS), and names the header or the missing rule that is the cause; a hit of any cache on the way \
             is enough. Where the cache hides its status, headers that forbid caching prove nothing: it may go by others that it takes off. On hosts of \
             this machine or a private network, where no CDN can be seen, the pages' headers alone are judged. A public storefront without a CDN is \
             cdn-absent's.",
    effort: Effort::Hours,
    references: &[
        "https://developers.cloudflare.com/cache/concepts/default-cache-behavior/",
        "https://developers.cloudflare.com/cache/how-to/cache-rules/create-api/",
        "https://nextjs.org/docs/app/guides/incremental-static-regeneration",
        "https://www.rfc-editor.org/rfc/rfc9111",
    ],
    needs: &[Section::StorefrontPages],
    uses: &[Section::StoreApi, Section::CdnAnalytics],
    symptom_of: &["cdn-session-cookie-everywhere"],
    applies_to,
    evaluate,
};

/// Without a log of requests: what catalogue views are of a storefront's dynamic requests, at the least.
const SHARE_BY_RULE: f64 = 0.20;

fn applies_to(snapshot: &Snapshot) -> Result<Applies, Gap> {
    let pages = snapshot.shop()?.pages()?;
    let is_behind = |t: &Target| good(t).is_some_and(|a| edge(a).is_some());
    let is_private = |t: &Target| crate::checks::http::is_private_host(host(&t.url));
    if pages.iter().any(|t| good(t).is_some()) && !pages.iter().any(|t| is_behind(t) || is_private(t)) {
        return Ok(Applies::No("no CDN answers in front of the storefront".to_owned()));
    }
    Ok(Applies::Yes)
}

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let shop = snapshot.shop()?;
    let pages: Vec<&Target> = shop.pages()?.iter().filter(|t| is_catalogue_page(t.class) && good(t).is_some()).collect();
    if pages.is_empty() {
        let cause = Cause::TooFew { have: 0, need: 1, what: "catalogue pages that answered 200".into() };
        let detail = "No product, collection or category page was found from the home page that answered 200.";
        return Err(Gap::new(Section::StorefrontPages, cause, detail));
    }
    let was_asked_twice = pages.iter().any(|t| answered(t, Variant::First).is_some() && answered(t, Variant::Second).is_some());
    let page_share =
        origin_share(snapshot, |p| crate::checks::http::path_kind(p) == crate::checks::http::PathKind::Catalogue && !p.starts_with("/store/"));
    let api_share = origin_share(snapshot, |p| p.starts_with("/store/products") || p.starts_with("/store/regions"));
    let api: Vec<&Target> = shop.api().map_or_else(|_| Vec::new(), |a| a.iter().filter(|t| t.class == PathClass::ApiCatalogue).collect());
    let mut findings = Vec::new();
    findings.extend(surface("catalogue pages", pages.iter().copied(), page_share));
    // A backend that shoppers' browsers do not reach through a CDN has no edge to be kept at.
    findings.extend(surface("store API lists", api.iter().copied().filter(|t| good(t).is_some_and(|a| edge(a).is_some())), api_share));
    if findings.is_empty() && !was_asked_twice {
        let cause = Cause::TooFew { have: 1, need: 2, what: "answers of a catalogue page".into() };
        let detail = "No catalogue page answered 200 twice, so whether the second came from a cache is not known. Audit again.";
        return Err(Gap::new(Section::StorefrontPages, cause, detail));
    }
    if findings.is_empty()
        && let Some((edge, header)) = pages.iter().chain(&api).find_map(|t| silent(t))
    {
        return Err(hidden(edge, &header));
    }
    Ok(findings)
}

/// A cache in front that does not tell what it did with a page whose headers forbid to keep it, and the header: it may keep the page all the
/// same, by its own rules or by a header that it takes off (Edge-Control, Surrogate-Control).
fn silent(target: &Target) -> Option<(Edge, String)> {
    answered(target, Variant::First)?;
    let second = answered(target, Variant::Second)?;
    let is_hidden = answers(target).all(|(_, a)| verdict(a) == Verdict::Unknown);
    Some((edge(second).filter(|_| is_hidden)?, forbids_caching(second)?))
}

fn hidden(edge: Edge, header: &str) -> Gap {
    let detail = format!(
        "{} stands in front of the catalogue and does not say what it answers from its cache. Browsers are told \"{}\", which may be all, or \
         only what it leaves for them.",
        edge.name(),
        text::cut(header, 120)
    );
    let remedy = "Let the cache send its status with each answer (Cache-Status of RFC 9211, or X-Cache), then audit again.".to_owned();
    Gap::new(Section::StorefrontPages, Cause::Absent { feature: "a cache status on the answers".to_owned(), remedy }, detail)
}

fn answered(target: &Target, variant: Variant) -> Option<&Answer> {
    answer(target, variant).filter(|a| a.status == 200)
}

fn is_catalogue_page(class: PathClass) -> bool {
    matches!(class, PathClass::Product | PathClass::Collection | PathClass::Category)
}

/// Why one path is not cached.
struct Uncached<'a> {
    target: &'a Target,
    answer: &'a Answer,
    edge: Option<Edge>,
    /// By the cache's own word, or because none is there.
    is_told: bool,
    cause: String,
}

fn uncached(target: &Target) -> Option<Uncached<'_>> {
    let (first, second) = (answered(target, Variant::First)?, answered(target, Variant::Second)?);
    let edge = edge(second);
    // With several machines at the edge a later request may find what an earlier one stored.
    if answers(target).any(|(_, a)| verdict(a) == Verdict::Hit) {
        return None;
    }
    let is_origin_twice = verdict(first).is_origin() && verdict(second).is_origin();
    // A hidden status says nothing, and neither do headers that forbid caching then; a redirect that hands out a cookie is seen all the same.
    let forbidden = forbids_caching(second).filter(|_| silent(target).is_none()).or_else(|| visitor_redirect(target));
    let is_uncached = is_origin_twice || forbidden.is_some();
    let cause = forbidden.unwrap_or_else(|| no_rule(edge, second));
    is_uncached.then_some(Uncached { target, answer: second, edge, is_told: is_origin_twice || edge.is_none(), cause })
}

/// Cookie-less clients are sent to the same address to take a cookie: what they get first can never be kept.
fn visitor_redirect(target: &Target) -> Option<String> {
    let first = answer(target, Variant::First)?;
    let asked = std::iter::once(&target.url).chain(first.redirects.iter().map(|(_, to)| to));
    let (_, (status, _)) = asked.zip(&first.redirects).find(|(from, (_, to))| *from == to)?;
    Some(format!("a redirect ({status}) to the same address that hands every visitor a cookie"))
}

fn no_rule(edge: Option<Edge>, answer: &Answer) -> String {
    let freshness = if answer.header("cache-control").is_none() { "no Cache-Control, and " } else { "" };
    match edge {
        Some(Edge::Cloudflare) => format!("{freshness}no cache rule: Cloudflare keeps HTML and JSON only where a rule makes them eligible"),
        Some(edge) => format!("{freshness}no rule of {} that keeps this path", edge.name()),
        None => format!("{freshness}no cache"),
    }
}

fn surface<'a>(name: &str, targets: impl Iterator<Item = &'a Target>, measured: Option<f64>) -> Option<Finding> {
    let all: Vec<&Target> = targets.collect();
    let bad: Vec<Uncached> = all.iter().filter_map(|t| uncached(t)).collect();
    let first = bad.first()?;
    let host = host(&first.target.url);
    let share = measured.unwrap_or(SHARE_BY_RULE);
    let basis = if measured.is_some() { Basis::Measured } else { Basis::RuleOfThumb };
    let is_private = first.edge.is_none();
    let is_told = bad.iter().all(|u| u.is_told);
    let (confidence, because) = match (measured, is_private) {
        (_, true) => (Confidence::Medium, "judged by the headers: no cache answered"),
        _ if !is_told => (Confidence::Medium, "judged by the answers: the cache does not tell of each what it did"),
        (Some(_), false) => (Confidence::High, "two answers from the origin, traffic counted by Cloudflare"),
        (None, false) => (Confidence::Medium, "two answers from the origin, traffic not counted"),
    };
    let what = if is_told { "came from the origin both times" } else { "cannot be answered from the cache" };
    let mut touches: Vec<String> = bad.iter().map(|u| format!("path:{}", pattern(u.target))).collect();
    touches.dedup();
    touches.push("traffic:cdn".to_owned());
    Some(Finding {
        subject: Subject::new("path", format!("{name} of {host}")),
        observed: format!(
            "{} of {} asked twice {what}. Cause: {}.",
            text::count(bad.len() as u64),
            text::plural(all.len() as u64, "path", "paths"),
            first.cause
        ),
        step: format!("Cache the {name} at the edge"),
        evidence: vec![table(&bad)],
        severity: Severity::from_share(share).min(if measured.is_some() { Severity::High } else { Severity::Medium }),
        confidence,
        confidence_because: because.to_owned(),
        effort: Effort::Hours,
        cost: Cost { resource: Resource::OriginRequests, share },
        gain: Some(Gain::new(basis, format!("{} requests at the origin", text::minus_percent(share)))),
        averts: None,
        remedies: remedies(first, name),
        verify: "Run the audit again: the second request for each of these paths is a hit.".to_owned(),
        touches,
    })
}

fn table(bad: &[Uncached]) -> Evidence {
    let rows = bad.iter().map(|u| {
        let told = |v: Variant| answer(u.target, v).map_or("no answer", |a| verdict(a).name());
        vec![
            Cell::text(crate::checks::http::path(&u.target.url)),
            Cell::text(format!("{}, {}", told(Variant::First), told(Variant::Second))),
            Cell::text(u.answer.header("cache-control").unwrap_or_else(|| "none".to_owned())),
            Cell::number(u.answer.first_byte_ms, text::millis(u.answer.first_byte_ms)),
            Cell::text(u.cause.clone()),
        ]
    });
    Evidence::table("Asked twice", &["path", "cache", "Cache-Control", "first byte", "cause"], rows.collect())
}

fn remedies(first: &Uncached, name: &str) -> Vec<Remedy> {
    let headers = if name == "catalogue pages" { next_js() } else { api_headers() };
    match first.edge {
        Some(Edge::Cloudflare) | None => [vec![headers], cloudflare(name)].concat(),
        Some(_) => vec![headers],
    }
}

fn next_js() -> Remedy {
    Remedy {
        kind: RemedyKind::Storefront,
        label: "Let the pages be kept".to_owned(),
        text: "// src/app/[countryCode]/(main)/products/[handle]/page.tsx, likewise collections and categories.\n\
               // Pages that call cookies() or headers() are rendered for every request: read cart and customer in client components,\n\
               // and leave the visitor's _medusa_cache_id out of the tags of catalogue fetches.\n\
               export const revalidate = 300\nexport const dynamic = \"force-static\"\n\n\
               // src/lib/data/products.ts: the same entry for every visitor, refreshed every five minutes.\n\
               const next = { tags: [\"products\"], revalidate: 300 }"
            .to_owned(),
        lock: None,
        risk: "Medium: whatever the page shows of the cart or the customer has to move to client components first; prices may be five minutes old."
            .to_owned(),
        undo: Some("Remove the two exports.".to_owned()),
    }
}

fn api_headers() -> Remedy {
    Remedy {
        kind: RemedyKind::Code,
        label: "Send a shared lifetime with catalogue lists".to_owned(),
        text: "// src/api/middlewares.ts\nimport { defineMiddlewares } from \"@medusajs/framework/http\"\n\n\
               export default defineMiddlewares({\n  routes: [\n    {\n      matcher: \"/store/products*\",\n      methods: [\"GET\"],\n      middlewares: [\n\
               \x20       (req, res, next) => {\n          // Signed-in customers may see prices of their own.\n\
               \x20         const shared = !req.headers.authorization && !req.headers.cookie\n\
               \x20         res.setHeader(\"Cache-Control\", shared ? \"public, s-maxage=60, stale-while-revalidate=300\" : \"private, no-store\")\n\
               \x20         res.vary(\"Authorization\")\n          res.vary(\"x-publishable-api-key\")\n          next()\n        },\n      ],\n    },\n  ],\n})"
            .to_owned(),
        lock: None,
        risk: "Medium: the cache must keep entries apart by x-publishable-api-key, region_id and the whole query; stock figures may be a minute old.".to_owned(),
        undo: Some("Remove the route from the middlewares.".to_owned()),
    }
}

fn cloudflare(name: &str) -> Vec<Remedy> {
    let (eligible, risk) = if name == "catalogue pages" {
        (remedy::catalogue_pages(), "Low: pages without a shared lifetime are not kept; shoppers with a cart and personal pages pass.")
    } else {
        let risk = "Medium: the whole query and x-publishable-api-key must tell answers apart: use one key for the storefront; signed-in calls pass.";
        (remedy::api_lists(), risk)
    };
    remedy::remedies("Add the cache rule, and the bypass after it", &[eligible, remedy::bypass_shoppers()], risk)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::http::fixtures::{found, shop, target, with_cookie};
    use crate::finding::Outcome;

    const PRODUCT: &str = "https://shop.example.com/us/products/x";

    fn page(first: &[(&str, &str)], second: &[(&str, &str)]) -> Target {
        target(PathClass::Product, PRODUCT, first, second)
    }

    #[test]
    fn dynamic_twice_names_the_header() {
        let h = [("cf-cache-status", "DYNAMIC"), ("cache-control", "private, no-store")];
        let findings = found(CHECK.run(&shop(vec![page(&h, &h)], vec![], vec![])));
        assert!(findings[0].observed.contains("Cache-Control: private, no-store"), "{}", findings[0].observed);
        let bare = [("cf-cache-status", "DYNAMIC")];
        assert!(found(CHECK.run(&shop(vec![page(&bare, &bare)], vec![], vec![])))[0].observed.contains("no cache rule"));
    }

    #[test]
    fn one_hit_is_enough() {
        let miss = [("cf-cache-status", "MISS"), ("cache-control", "s-maxage=60")];
        assert_eq!(CHECK.run(&shop(vec![page(&miss, &[("cf-cache-status", "HIT")])], vec![], vec![])), Outcome::Passed);
        assert!(matches!(CHECK.run(&shop(vec![page(&miss, &miss)], vec![], vec![])), Outcome::Failed(_)));
        let later = with_cookie(page(&miss, &miss), &[("cf-cache-status", "HIT")]);
        assert_eq!(CHECK.run(&shop(vec![later], vec![], vec![])), Outcome::Passed);
    }

    #[test]
    fn a_redirect_for_a_visitor_cookie_is_a_cause() {
        let kept = [("cf-ray", "1"), ("cache-control", "s-maxage=60")];
        let mut visited = page(&kept, &kept);
        visited.probes[0].answer.as_mut().unwrap().redirects = vec![(307, PRODUCT.into())];
        let findings = found(CHECK.run(&shop(vec![visited.clone()], vec![], vec![])));
        assert!(findings[0].observed.contains("redirect (307) to the same address"), "{}", findings[0].observed);
        visited.probes[0].answer.as_mut().unwrap().redirects = vec![(308, "https://shop.example.com/de/products/x".into())];
        assert_eq!(CHECK.run(&shop(vec![visited], vec![], vec![])), Outcome::Passed);
    }

    #[test]
    fn a_silent_cache_is_no_miss() {
        let silent = [("cf-ray", "1"), ("cache-control", "s-maxage=60")];
        assert_eq!(CHECK.run(&shop(vec![page(&silent, &silent)], vec![], vec![])), Outcome::Passed);
    }

    #[test]
    fn what_a_silent_cache_tells_browsers_is_not_what_it_does() {
        let akamai = ("akamai-grn", "0.1");
        for told_browsers in ["max-age=0", "private, no-store"] {
            let hidden = [akamai, ("cache-control", told_browsers)];
            let Outcome::Unknown(gap) = CHECK.run(&shop(vec![page(&hidden, &hidden)], vec![], vec![])) else { panic!("{told_browsers}") };
            assert!(gap.detail.starts_with("Akamai") && gap.cause.remedy().is_some(), "{}", gap.detail);
            let told = [akamai, ("cache-control", told_browsers), ("x-cache", "TCP_MISS from a1")];
            let findings = found(CHECK.run(&shop(vec![page(&told, &told)], vec![], vec![])));
            assert!(findings[0].observed.contains("came from the origin both times"), "{}", findings[0].observed);
            // One page that is not told of is not passed with one that is.
            let hit = [("cf-cache-status", "HIT")];
            assert!(matches!(CHECK.run(&shop(vec![page(&hit, &hit), page(&hidden, &hidden)], vec![], vec![])), Outcome::Unknown(_)));
        }
    }

    #[test]
    fn a_hit_behind_the_cdn_keeps_the_origin_out_of_it() {
        let behind = [("cf-cache-status", "DYNAMIC"), ("x-vercel-cache", "HIT"), ("cache-control", "public, max-age=0, must-revalidate")];
        assert_eq!(CHECK.run(&shop(vec![page(&behind, &behind)], vec![], vec![])), Outcome::Passed);
        let missing = [("cf-cache-status", "DYNAMIC"), ("x-vercel-cache", "MISS"), ("cache-control", "private, no-store")];
        assert!(matches!(CHECK.run(&shop(vec![page(&missing, &missing)], vec![], vec![])), Outcome::Failed(_)));
    }

    #[test]
    fn one_answer_alone_tells_nothing() {
        let h = [("cf-cache-status", "HIT")];
        let mut once = page(&h, &h);
        once.probes.truncate(1);
        assert!(matches!(CHECK.run(&shop(vec![once], vec![], vec![])), Outcome::Unknown(_)));
    }

    #[test]
    fn absence_of_a_cdn_is_told_once_elsewhere() {
        let h = [("cache-control", "no-store")];
        assert!(matches!(CHECK.run(&shop(vec![page(&h, &h)], vec![], vec![])), Outcome::NotApplicable(_)));
        let local = |h: &[(&str, &str)]| target(PathClass::Product, "http://127.0.0.1:8000/us/products/x", h, h);
        assert!(matches!(CHECK.run(&shop(vec![local(&h)], vec![], vec![])), Outcome::Failed(_)));
        assert_eq!(CHECK.run(&shop(vec![local(&[("cache-control", "s-maxage=60")])], vec![], vec![])), Outcome::Passed);
    }

    #[test]
    fn an_api_behind_a_cdn_is_judged_and_one_without_is_not() {
        let hit = [("cf-cache-status", "HIT")];
        let api = |h: &[(&str, &str)]| target(PathClass::ApiCatalogue, "https://api.example.com/store/products", h, h);
        let findings = found(CHECK.run(&shop(vec![page(&hit, &hit)], vec![], vec![api(&[("cf-cache-status", "DYNAMIC")])])));
        assert!(findings[0].touches.contains(&"path:/store/products".to_owned()));
        assert_eq!(CHECK.run(&shop(vec![page(&hit, &hit)], vec![], vec![api(&[])])), Outcome::Passed);
    }
}
