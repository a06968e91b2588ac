//! One shopper's answer is kept for others.

use crate::checks::edge::remedy;
use crate::checks::http::{Edge, Verdict, answer, answers, edge, forbids_caching, host, is_session_cookie, own_cookies, path, verdict};
use crate::checks::{Check, always};
use crate::evidence::storefront::{Answer, PathClass, Target, Variant};
use crate::evidence::{Cause, Gap, Layer, Section, Snapshot};
use crate::finding::{Cell, Confidence, Cost, Effort, Evidence, Finding, Remedy, RemedyKind, Resource, Severity, Subject};
use crate::text;

pub static CHECK: Check = Check {
    id: "cdn-personal-response-cached",
    layer: Layer::Cdn,
    title: "A shopper's own answer is served from the shared cache",
    passed: "No cart, account or checkout page and no session cookie was served from a shared cache.",
    why: "A cart, an account page or a session cookie that a shared cache keeps is handed to the next shopper who asks: strangers see each other's \
          names, addresses and carts, or are signed in as one another.",
    remedy: "Stop caching these paths at once: a bypass rule that comes last, private, no-store on the pages, then purge the cache.",
    method: "Asks cart, account and checkout pages (GET) twice and with a cart cookie; fires when one of them is answered from the cache though the \
             request carried the cookie. Also fires when an answer that sets a session cookie is itself a hit. Pages prerendered without any shopper's \
             data, and cookies that CDNs and load balancers add, are left out.",
    effort: Effort::Minutes,
    references: &[
        "https://developers.cloudflare.com/cache/how-to/cache-rules/examples/bypass-cache-on-cookie/",
        "https://www.rfc-editor.org/rfc/rfc9111#section-7.3",
    ],
    needs: &[Section::StorefrontPages],
    uses: &[Section::StorefrontAssets, Section::StorefrontMedia, Section::StoreApi],
    symptom_of: &[],
    applies_to: always,
    evaluate,
};

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let shop = snapshot.shop()?;
    let pages = shop.pages()?;
    if !pages.iter().any(|t| answers(t).next().is_some()) {
        let cause = Cause::TooFew { have: 0, need: 1, what: "pages that answered".into() };
        return Err(Gap::new(Section::StorefrontPages, cause, "No page of the storefront answered."));
    }
    let others = [shop.assets(), shop.media(), shop.api()];
    let all = pages.iter().chain(others.into_iter().flatten().flatten());
    let mut findings: Vec<Finding> = all.filter_map(leak).map(|l| finding(&l)).collect();
    findings.sort_by(|a, b| (b.severity, &a.subject.name).cmp(&(a.severity, &b.subject.name)));
    Ok(findings)
}

struct Leak<'a> {
    target: &'a Target,
    answer: &'a Answer,
    what: String,
    severity: Severity,
    confidence: Confidence,
    because: &'static str,
}

fn leak(target: &Target) -> Option<Leak<'_>> {
    if matches!(target.class, PathClass::Personal | PathClass::ApiPersonal)
        && let Some(leak) = personal_page(target)
    {
        return Some(leak);
    }
    cached_cookie(target)
}

fn personal_page(target: &Target) -> Option<Leak<'_>> {
    let is_leaking = |a: &&Answer| a.status == 200 && verdict(a) == Verdict::Hit && !is_prerendered(a) && stayed(a, target);
    // A cache that steps aside for shoppers who have a cart keeps only the empty page of those who have none.
    let (answer, confidence, because) = match answer(target, Variant::WithCartCookie) {
        Some(with_cookie) if is_leaking(&with_cookie) => (with_cookie, Confidence::High, "a request with a cart cookie was answered from the cache"),
        Some(_) => return None,
        None => {
            let hit = answers(target).map(|(_, a)| a).find(is_leaking)?;
            (hit, Confidence::Medium, "answered from the cache without a cookie; the request with one failed")
        }
    };
    let what = format!("{} is answered from the cache", path(&target.url));
    Some(Leak { target, answer, what, severity: Severity::Critical, confidence, because })
}

/// A shell built ahead of any request holds nobody's data.
fn is_prerendered(answer: &Answer) -> bool {
    let is_next = answer.header("x-nextjs-prerender").is_some() || answer.header("x-vercel-cache").is_some_and(|v| v == "PRERENDER");
    let is_file = answer.header("last-modified").is_some() && answer.header("accept-ranges").is_some();
    is_next || is_file
}

/// A redirect to another page (a login) was judged, not the personal one.
fn stayed(answer: &Answer, target: &Target) -> bool {
    answer.redirects.last().is_none_or(|(_, to)| path(to).trim_end_matches('/') == path(&target.url).trim_end_matches('/'))
}

fn cached_cookie(target: &Target) -> Option<Leak<'_>> {
    let is_cached = |a: &&Answer| a.status < 400 && verdict(a) == Verdict::Hit && own_cookies(a).iter().any(|c| is_session_cookie(c));
    let answer = answers(target).map(|(_, a)| a).find(is_cached)?;
    let names: Vec<&str> = own_cookies(answer).into_iter().filter(|c| is_session_cookie(c)).collect();
    let what = format!("{} is answered from the cache together with Set-Cookie: {}", path(&target.url), names.join(", "));
    let because = "the answer calls itself a hit and sets the cookie; a proxy behind the cache could add it afresh";
    Some(Leak { target, answer, what, severity: Severity::Critical, confidence: Confidence::Medium, because })
}

fn finding(leak: &Leak) -> Finding {
    let path = path(&leak.target.url).to_owned();
    let rows = answers(leak.target).map(|(variant, a)| {
        vec![
            Cell::text(variant.name()),
            Cell::number(f64::from(a.status), a.status.to_string()),
            Cell::text(verdict(a).name()),
            Cell::text(a.header("cache-control").unwrap_or_else(|| "none".to_owned())),
            Cell::text(own_cookies(a).join(", ")),
        ]
    });
    let by = edge(leak.answer).map_or("A shared cache", Edge::name);
    let mut evidence = vec![Evidence::table("Answers", &["request", "status", "cache", "Cache-Control", "cookies set"], rows.collect())];
    if let Some(header) = forbids_caching(leak.answer) {
        evidence.push(Evidence::text("The origin asks not to be kept", text::cut(&header, 200)));
    }
    Finding {
        subject: Subject::new("path", format!("{}{path}", host(&leak.target.url))),
        observed: format!("{}; the cache is {by}.", leak.what),
        step: format!("Stop caching {path} and purge it"),
        evidence,
        severity: leak.severity,
        confidence: leak.confidence,
        confidence_because: leak.because.to_owned(),
        effort: Effort::Minutes,
        cost: Cost { resource: Resource::Risk, share: 1.0 },
        gain: None,
        averts: Some("leaks between shoppers".to_owned()),
        remedies: remedies(leak),
        verify: format!("Run the audit again: {path} is never a hit, with and without the cart cookie."),
        touches: vec![format!("path:{path}")],
    }
}

fn remedies(leak: &Leak) -> Vec<Remedy> {
    let bypass = || {
        remedy::remedies(
            "Bypass the cache for shoppers and personal pages, last",
            &[remedy::bypass_shoppers()],
            "Low: these paths reach the origin again; the build's files stay cached. Purge everything afterwards (Caching → Configuration).",
        )
    };
    let headers = Remedy {
        kind: RemedyKind::Storefront,
        label: "Say so at the origin as well".to_owned(),
        text: "// next.config.js\nmodule.exports = {\n  async headers() {\n    const personal = [{ key: \"Cache-Control\", value: \"private, no-store\" }]\n    return [\n\
               \x20     { source: \"/:country/cart\", headers: personal },\n      { source: \"/:country/checkout\", headers: personal },\n\
               \x20     { source: \"/:country/account/:path*\", headers: personal },\n      { source: \"/:country/order/:path*\", headers: personal },\n    ]\n  },\n}"
            .to_owned(),
        lock: None,
        risk: "Low: browsers ask again on every visit.".to_owned(),
        undo: Some("Remove the headers.".to_owned()),
    };
    let own_cache = Remedy {
        kind: RemedyKind::Shell,
        label: "Or in nginx, in front of the store".to_owned(),
        text: "# http block\nmap $http_cookie $is_shopper { default 0; \"~(_medusa_jwt|_medusa_cart_id|connect\\.sid)=\" 1; }\n\
               map $uri $is_personal { default 0; \"~*/(cart|checkout|account|order)(/|$)\" 1; }\n\
               # location block\nproxy_cache_bypass $is_shopper $is_personal;\nproxy_no_cache $is_shopper $is_personal;"
            .to_owned(),
        lock: None,
        risk: "Low: applied by nginx -s reload; delete the cache folder's contents afterwards.".to_owned(),
        undo: Some("Remove the lines and reload.".to_owned()),
    };
    match edge(leak.answer) {
        Some(Edge::Nginx | Edge::Varnish | Edge::Squid | Edge::Other) | None => vec![own_cache, headers],
        Some(Edge::Cloudflare) => [bypass(), vec![headers]].concat(),
        Some(_) => vec![headers],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::http::fixtures::{found, shop, target, with_cookie};
    use crate::finding::Outcome;

    const HIT: [(&str, &str); 1] = [("x-cache-status", "HIT")];
    const BYPASS: [(&str, &str); 1] = [("x-cache-status", "BYPASS")];

    fn cart(second: &[(&str, &str)]) -> Target {
        target(PathClass::Personal, "https://shop.example.com/us/cart", &[("x-cache-status", "MISS")], second)
    }

    #[test]
    fn a_cached_cart_is_critical() {
        let findings = found(CHECK.run(&shop(vec![with_cookie(cart(&HIT), &HIT)], vec![], vec![])));
        assert_eq!((findings[0].severity, findings[0].confidence), (Severity::Critical, Confidence::High));
        assert!(matches!(CHECK.run(&shop(vec![cart(&HIT)], vec![], vec![])), Outcome::Failed(_)));
    }

    #[test]
    fn a_bypass_for_shoppers_is_enough() {
        assert_eq!(CHECK.run(&shop(vec![with_cookie(cart(&HIT), &BYPASS)], vec![], vec![])), Outcome::Passed);
        let shell = [("x-cache-status", "HIT"), ("x-nextjs-prerender", "1")];
        assert_eq!(CHECK.run(&shop(vec![with_cookie(cart(&shell), &shell)], vec![], vec![])), Outcome::Passed);
    }

    #[test]
    fn a_redirect_to_the_login_is_not_the_account() {
        let mut account = with_cookie(cart(&HIT), &HIT);
        for probe in &mut account.probes {
            probe.answer.as_mut().unwrap().redirects = vec![(307, "https://shop.example.com/us/login".into())];
        }
        assert_eq!(CHECK.run(&shop(vec![account], vec![], vec![])), Outcome::Passed);
    }

    #[test]
    fn a_kept_session_cookie_is_named_and_an_edge_cookie_is_not() {
        let home = target(PathClass::Home, "https://shop.example.com/", &[], &[]);
        let asset = |c: &str| target(PathClass::Asset, "https://shop.example.com/a.css", &[], &[("cf-cache-status", "HIT"), ("set-cookie", c)]);
        assert!(matches!(CHECK.run(&shop(vec![home.clone()], vec![asset("connect.sid; Path=/")], vec![])), Outcome::Failed(_)));
        assert_eq!(CHECK.run(&shop(vec![home], vec![asset("__cf_bm; Path=/")], vec![])), Outcome::Passed);
    }
}
