//! Visitors without a cookie are sent to the same address again.

use crate::checks::http::{Edge, answer, answers, edge, host, is_private_host, path, pattern};
use crate::checks::{Check, always};
use crate::evidence::storefront::{PathClass, Target, Variant};
use crate::evidence::{Cause, Gap, Layer, Section, Snapshot};
use crate::finding::{Basis, Cell, Confidence, Cost, Effort, Evidence, Finding, Gain, Remedy, RemedyKind, Resource, Severity, Subject};
use crate::text;

pub static CHECK: Check = Check {
    id: "cdn-visitor-redirect",
    layer: Layer::Cdn,
    title: "Visitors without a cookie are redirected to the same address",
    passed: "Visitors without a cookie get the page at once.",
    why: "The storefront's middleware answers every first visit, search engine and link preview with a redirect to the same address and a cookie. No cache \
          can keep that answer, the first view of each visitor costs one round trip more, and clients that keep no cookies never see the page.",
    remedy: "Set the cookie on the page's own answer, or not at all, instead of redirecting for it.",
    method: "Asks each page but the personal ones without a cookie, as a first visitor does; fires when the answer is a redirect to the address that was asked. Redirects to another \
             address, such as the one that adds the country, are left out. Hosts of this machine or a private network are Info.",
    effort: Effort::Hours,
    references: &[
        "https://github.com/medusajs/nextjs-starter-medusa/blob/main/src/middleware.ts",
        "https://nextjs.org/docs/app/building-your-application/routing/middleware",
    ],
    needs: &[Section::StorefrontPages],
    uses: &[],
    symptom_of: &[],
    applies_to: always,
    evaluate,
};

/// Without a log of requests: first visits, robots and previews are at least this share of the page views.
const SHARE_BY_RULE: f64 = 0.10;

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let pages = snapshot.shop()?.pages()?;
    if !pages.iter().any(|t| answer(t, Variant::First).is_some()) {
        let cause = Cause::TooFew { have: 0, need: 1, what: "pages that answered".into() };
        return Err(Gap::new(Section::StorefrontPages, cause, "No page of the storefront answered a first visit."));
    }
    let bad: Vec<(&Target, u16)> = pages.iter().filter(|t| is_first_visit(t)).filter_map(|t| Some((t, redirect_to_itself(t)?))).collect();
    Ok(if bad.is_empty() { Vec::new() } else { vec![finding(pages, &bad)] })
}

/// Who opens a cart has seen other pages: it is asked with the cookies of those.
fn is_first_visit(target: &Target) -> bool {
    target.class != PathClass::Personal
}

/// The status of a redirect on the way that leads to where it came from.
pub fn redirect_to_itself(target: &Target) -> Option<u16> {
    let first = answer(target, Variant::First)?;
    let asked = std::iter::once(&target.url).chain(first.redirects.iter().map(|(_, to)| to));
    asked.zip(&first.redirects).find(|(from, (_, to))| *from == to).map(|(_, (status, _))| *status)
}

fn finding(pages: &[Target], bad: &[(&Target, u16)]) -> Finding {
    let (first, status) = bad[0];
    let host = host(&first.url);
    let is_private = is_private_host(host);
    let in_front = answers(first).find_map(|(_, a)| edge(a));
    let rows = bad.iter().map(|(t, status)| {
        let ms = answer(t, Variant::First).map_or(0.0, |a| a.first_byte_ms);
        vec![Cell::text(path(&t.url)), Cell::number(f64::from(*status), status.to_string()), Cell::number(ms, text::millis(ms))]
    });
    let mut touches: Vec<String> = bad.iter().map(|(t, _)| format!("path:{}", pattern(t))).collect();
    touches.dedup();
    touches.push("traffic:cdn".to_owned());
    Finding {
        subject: Subject::new("host", host),
        observed: format!(
            "{} of {} answered a visitor without a cookie with a redirect ({status}) to the same address.",
            text::count(bad.len() as u64),
            text::plural(pages.iter().filter(|t| is_first_visit(t)).count() as u64, "page", "pages")
        ),
        step: "Answer first visits with the page".to_owned(),
        evidence: vec![Evidence::table("Asked without a cookie", &["path", "status", "first byte after it"], rows.collect())],
        severity: if is_private { Severity::Info } else { Severity::from_share(SHARE_BY_RULE) },
        confidence: Confidence::High,
        confidence_because: "seen in the answers; the share of first visits is a rule of thumb".to_owned(),
        effort: Effort::Hours,
        cost: Cost { resource: Resource::OriginRequests, share: if is_private { 0.0 } else { SHARE_BY_RULE } },
        gain: Some(Gain::new(Basis::RuleOfThumb, "one round trip less on first visits; pages become cacheable for visitors without a cookie")),
        averts: None,
        remedies: if in_front == Some(Edge::Vercel) { vec![middleware()] } else { vec![middleware(), country()] },
        verify: format!("curl -sI {} shows 200 and no redirect to the same address.", first.url),
        touches,
    }
}

fn middleware() -> Remedy {
    Remedy {
        kind: RemedyKind::Storefront,
        label: "Hand the cookie out with the page".to_owned(),
        text: "// src/middleware.ts: replaces the redirect that only sets _medusa_cache_id\n\
               if (urlHasCountryCode && !cacheIdCookie) {\n  const response = NextResponse.next()\n  response.cookies.set(\"_medusa_cache_id\", cacheId, { maxAge: 60 * 60 * 24 })\n  \
               return response\n}\n\n\
               // A page with Set-Cookie is not kept by a shared cache either. Where a CDN is to keep pages, set no cookie here at all, and use one tag\n\
               // for all visitors in src/lib/data/cookies.ts:\n\
               export const getCacheTag = async (tag: string) => tag"
            .to_owned(),
        lock: None,
        risk: "Low: with one tag for all visitors, revalidateTag refreshes the entry of everybody, which is what catalogue data wants; cart and customer \
               fetches must stay uncached."
            .to_owned(),
        undo: Some("Restore the file.".to_owned()),
    }
}

fn country() -> Remedy {
    Remedy {
        kind: RemedyKind::Storefront,
        label: "Read the country from this CDN as well".to_owned(),
        text: "// src/middleware.ts, getCountryCode(): the starter knows Vercel's header only\n\
               const country = request.headers.get(\"x-vercel-ip-country\") ?? request.headers.get(\"cf-ipcountry\") ?? request.headers.get(\"cloudfront-viewer-country\")\n\
               const vercelCountryCode = country?.toLowerCase()"
            .to_owned(),
        lock: None,
        risk: "Low: CloudFront sends the header only where the origin request policy asks for it.".to_owned(),
        undo: Some("Restore the file.".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::http::fixtures::{found, shop, target};
    use crate::finding::Outcome;

    fn page(url: &str, redirects: &[(u16, &str)]) -> Snapshot {
        let mut page = target(PathClass::Product, url, &[], &[]);
        page.probes[0].answer.as_mut().unwrap().redirects = redirects.iter().map(|(s, to)| (*s, (*to).to_owned())).collect();
        shop(vec![page], vec![], vec![])
    }

    const PUBLIC: &str = "https://shop.example.com/us/products/x";

    #[test]
    fn a_redirect_to_itself_is_named_wherever_it_stands() {
        assert_eq!(found(CHECK.run(&page(PUBLIC, &[(307, PUBLIC)])))[0].severity, Severity::Medium);
        let long = [(307, PUBLIC), (307, PUBLIC)];
        let start = "https://shop.example.com/products/x";
        assert_eq!(found(CHECK.run(&page(start, &long))).len(), 1);
        let local = "http://localhost:8000/us/products/x";
        assert_eq!(found(CHECK.run(&page(local, &[(307, local)])))[0].severity, Severity::Info);
    }

    #[test]
    fn other_redirects_are_left_alone() {
        for to in ["https://shop.example.com/us/products/x/", "https://www.shop.example.com/us/products/x", "http://shop.example.com/us/products/x"] {
            assert_eq!(CHECK.run(&page(PUBLIC, &[(308, to)])), Outcome::Passed, "{to}");
        }
        assert_eq!(CHECK.run(&page(PUBLIC, &[])), Outcome::Passed);
        let mut silent = page(PUBLIC, &[]);
        silent.storefront.as_mut().unwrap().pages.as_mut().unwrap()[0].probes[0].answer = Err("no answer".into());
        assert!(matches!(CHECK.run(&silent), Outcome::Unknown(_)));
    }
}
