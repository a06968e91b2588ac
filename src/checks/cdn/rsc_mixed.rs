//! Pages and the data of Next.js navigations share a cache key.

use crate::checks::edge::remedy;
use crate::checks::edge_cloudfront;
use crate::checks::http::{Edge, Verdict, answer, answered_by, host, path, pattern, verdict};
use crate::checks::{Applies, Check};
use crate::evidence::storefront::{Answer, Target, Variant};
use crate::evidence::{Cause, Gap, Layer, Section, Snapshot};
use crate::finding::{Cell, Confidence, Cost, Effort, Evidence, Finding, Remedy, RemedyKind, Resource, Severity, Subject};

pub static CHECK: Check = Check {
    id: "cdn-rsc-mixed",
    layer: Layer::Cdn,
    title: "Pages and Next.js navigation data share a cache key",
    passed: "The cache keeps pages and the data of navigations apart.",
    why: "Next.js asks for the same address twice in two ways: as a page, and with RSC: 1 as data when a shopper clicks a link. A cache that drops the query \
          string and ignores Vary keeps one of them for both: shoppers then see raw data instead of a page, or each click loads the whole page again.",
    remedy: "Keep _rsc in the cache key, or bypass the cache for requests with the RSC header.",
    method: "After a product page was answered from the cache, asks for it as Next.js does (RSC: 1 and ?_rsc=). Fires when the cache answers that with the page \
             (HTML). Nothing is asked where the page was no hit: the answer could be kept in the page's place.",
    effort: Effort::Minutes,
    references: &[
        "https://developers.cloudflare.com/cache/concepts/vary/",
        "https://nextjs.org/docs/app/guides/self-hosting",
        "https://developers.cloudflare.com/cache/how-to/cache-rules/settings/#cache-key",
    ],
    needs: &[Section::StorefrontPages],
    uses: &[],
    symptom_of: &[],
    applies_to,
    evaluate,
};

/// A page in the wrong form is seen by shoppers who navigate, not by all.
const RISK: f64 = 0.5;

fn applies_to(snapshot: &Snapshot) -> Result<Applies, Gap> {
    let pages = snapshot.shop()?.pages()?;
    let is_next = |a: &Answer| {
        a.headers.iter().any(|(name, _)| name.starts_with("x-nextjs-"))
            || a.header("x-powered-by").is_some_and(|v| v.contains("Next.js"))
            || a.header("vary").is_some_and(|v| v.to_ascii_lowercase().contains("rsc"))
    };
    let answered: Vec<&Answer> = pages.iter().flat_map(|t| t.probes.iter().filter_map(|p| p.answer.as_ref().ok())).collect();
    let has_asked = pages.iter().any(|t| answer(t, Variant::Rsc).is_some());
    if !answered.is_empty() && !has_asked && !answered.iter().any(|a| is_next(a)) {
        return Ok(Applies::No("the storefront does not show that it is built with Next.js".to_owned()));
    }
    if !answered.is_empty() && !answered.iter().any(|a| verdict(a) == Verdict::Hit) {
        return Ok(Applies::No("no page is answered from a cache".to_owned()));
    }
    Ok(Applies::Yes)
}

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let pages = snapshot.shop()?.pages()?;
    let asked: Vec<(&Target, &Answer)> = pages.iter().filter_map(|t| Some((t, answer(t, Variant::Rsc)?))).collect();
    if asked.is_empty() {
        let cause = Cause::TooFew { have: 0, need: 1, what: "product pages that were hits".into() };
        let detail =
            "No product page was answered from the cache, so it was not asked for as Next.js navigates: that could have replaced the page there.";
        return Err(Gap::new(Section::StorefrontPages, cause, detail));
    }
    let bad = asked.into_iter().find(|(_, a)| a.status == 200 && verdict(a) == Verdict::Hit && is_html(a));
    Ok(bad.map(|(target, answer)| finding(target, answer)).into_iter().collect())
}

fn is_html(answer: &Answer) -> bool {
    answer.header("content-type").is_some_and(|t| t.to_ascii_lowercase().starts_with("text/html"))
}

fn finding(target: &Target, mixed: &Answer) -> Finding {
    let path = path(&target.url);
    let rows = target.probes.iter().filter_map(|p| {
        let a = p.answer.as_ref().ok()?;
        let kind = a.header("content-type").unwrap_or_else(|| "not told".to_owned());
        Some(vec![Cell::text(p.variant.name()), Cell::text(kind), Cell::text(verdict(a).name()), Cell::text(a.header("age").unwrap_or_default())])
    });
    Finding {
        subject: Subject::new("path", format!("{}{}", host(&target.url), pattern(target))),
        observed: format!("{path} asked with RSC: 1 and ?_rsc= was answered from the cache with the page's HTML."),
        step: "Keep pages and navigation data apart in the cache".to_owned(),
        evidence: vec![Evidence::table("Answers", &["request", "type", "cache", "age, s"], rows.collect())],
        severity: Severity::High,
        confidence: Confidence::High,
        confidence_because: "a hit of the wrong type was seen".to_owned(),
        effort: Effort::Minutes,
        cost: Cost { resource: Resource::Risk, share: RISK },
        gain: None,
        averts: Some("raw data shown instead of pages".to_owned()),
        remedies: match answered_by(mixed) {
            Some(Edge::Cloudflare) => {
                let risk = "Low: clicks inside the shop reach the origin; pages stay cached. Purge the cache afterwards.";
                remedy::remedies("Bypass the cache for navigation data", &[remedy::flight_data()], risk)
            }
            Some(Edge::CloudFront) => vec![cloudfront()],
            Some(Edge::Nginx) => vec![nginx()],
            Some(Edge::Varnish) => vec![varnish()],
            _ => vec![nginx(), varnish()],
        },
        verify: "Purge the cache, then audit again: the request with RSC: 1 is text/x-component or no hit.".to_owned(),
        touches: vec![format!("path:{}", pattern(target))],
    }
}

fn cloudfront() -> Remedy {
    // The cache policy alone would keep the middleware's cookie and the headers of forms from the origin.
    let place = "that of the pages → Edit: cache policy medusa-pages, origin request policy AllViewer, or AllViewerExceptHostHeader where the origin is \
                 not sent the shop's host today. Then invalidate /*.";
    let risk = "Low: more entries for one path; shoppers with a cart have their own. A header or cookie by which pages differ today (a host, a country, a \
                language) has to be added to the policy first.";
    edge_cloudfront::chosen("Keep the query and the RSC headers in the key", &edge_cloudfront::pages_policy(), place, risk)
}

fn nginx() -> Remedy {
    remedy::nginx(
        "nginx: put both in the key",
        "# location block\nproxy_cache_key $scheme$proxy_host$request_uri$http_rsc$http_next_router_prefetch;",
        "Low: the cache fills anew; empty its folder once.",
    )
}

fn varnish() -> Remedy {
    Remedy {
        kind: RemedyKind::Shell,
        label: "Varnish: hash what tells them apart".to_owned(),
        text: "sub vcl_hash {\n  hash_data(req.url);\n  hash_data(req.http.host);\n  hash_data(req.http.RSC);\n  return (lookup);\n}".to_owned(),
        lock: None,
        risk: "Low: the cache fills anew.".to_owned(),
        undo: Some("Remove the block and load the VCL again.".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::http::fixtures::{found, probe, shop, target};
    use crate::evidence::storefront::PathClass;
    use crate::finding::Outcome;

    const NEXT: (&str, &str) = ("vary", "RSC, Next-Router-State-Tree");
    const HTML: (&str, &str) = ("content-type", "text/html; charset=utf-8");
    const HIT: (&str, &str) = ("cf-cache-status", "HIT");

    fn page(rsc: Option<&[(&str, &str)]>) -> Snapshot {
        let mut page = target(PathClass::Product, "https://shop.example.com/us/products/x", &[HIT, NEXT, HTML], &[HIT, NEXT, HTML]);
        page.probes.extend(rsc.map(|headers| probe(Variant::Rsc, headers)));
        shop(vec![page], vec![], vec![])
    }

    #[test]
    fn the_page_in_answer_to_navigation_is_named() {
        let findings = found(CHECK.run(&page(Some(&[HIT, HTML]))));
        assert_eq!((findings[0].severity, findings[0].remedies[0].kind), (Severity::High, RemedyKind::Cloudflare));
    }

    #[test]
    fn the_cache_that_mixes_is_the_one_to_mend() {
        let behind = [("cf-cache-status", "DYNAMIC"), ("x-cache-status", "HIT"), HTML];
        let findings = found(CHECK.run(&page(Some(&behind))));
        assert!(findings[0].remedies[0].text.contains("proxy_cache_key"), "{}", findings[0].remedies[0].text);
        let cloudfront = [("x-cache", "Hit from cloudfront"), HTML];
        let remedies = &found(CHECK.run(&page(Some(&cloudfront))))[0].remedies;
        assert!(remedies[0].text.contains("origin request policy AllViewer") && !remedies[0].text.contains("\"Host\""), "{}", remedies[0].text);
    }

    #[test]
    fn data_is_kept_apart_or_comes_from_the_origin() {
        for good in [&[HIT, ("content-type", "text/x-component")][..], &[("cf-cache-status", "MISS"), HTML], &[("cf-cache-status", "DYNAMIC"), HTML]]
        {
            assert_eq!(CHECK.run(&page(Some(good))), Outcome::Passed, "{good:?}");
        }
    }

    #[test]
    fn what_was_not_asked_is_not_known() {
        assert!(matches!(CHECK.run(&page(None)), Outcome::Unknown(_)));
        let miss = [("cf-cache-status", "MISS"), NEXT];
        let never = shop(vec![target(PathClass::Product, "https://shop.example.com/us/products/x", &miss, &miss)], vec![], vec![]);
        assert!(matches!(CHECK.run(&never), Outcome::NotApplicable(_)));
        let other = shop(vec![target(PathClass::Product, "https://shop.example.com/us/products/x", &[HIT], &[HIT])], vec![], vec![]);
        assert!(matches!(CHECK.run(&other), Outcome::NotApplicable(_)));
    }
}
