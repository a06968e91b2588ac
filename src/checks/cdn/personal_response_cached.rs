//! One shopper's answer is kept for others.

use crate::checks::edge::remedy;
use crate::checks::http::{
    CacheControl, Edge, Verdict, answer, answered_by, answers, edge, forbids_caching, host, is_session_cookie, own_cookies, path, verdict,
};
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
    method: "Asks cart, account and checkout pages (GET) without and with a cart cookie; fires when one of them is answered from any cache on the way \
             though the request carried the cookie. Also fires when an answer that sets a session cookie is itself a hit. Pages prerendered without any \
             shopper's data, and cookies that CDNs and load balancers add, are left out; a page that is marked as hosts of static sites mark their \
             files is a note to look at.",
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

impl Leak<'_> {
    /// A note: it may hold nobody's data.
    fn is_note(&self) -> bool {
        self.severity == Severity::Info
    }
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
    if answers(target).all(|(_, a)| is_marked_static(a)) && is_same_file(target) {
        let what = format!("{what}, the same file for everybody: right where the browser reads the cart, a leak where the server writes it in");
        let because = "it is marked as hosts of static sites mark their files; whether it holds a cart was not seen";
        return Some(Leak { target, answer, what, severity: Severity::Info, confidence: Confidence::Low, because });
    }
    Some(Leak { target, answer, what, severity: Severity::Critical, confidence, because })
}

/// A shell built ahead of any request holds nobody's data. Next.js sends `x-nextjs-cache` with pages that it has rendered without a
/// request, and never with those that read cookies.
fn is_prerendered(answer: &Answer) -> bool {
    let is_next = ["x-nextjs-prerender", "x-nextjs-cache"].iter().any(|h| answer.header(h).is_some())
        || answer.header("x-vercel-cache").is_some_and(|v| v == "PRERENDER");
    let is_file = answer.header("last-modified").is_some() && answer.header("accept-ranges").is_some();
    is_next || is_file
}

/// What hosts of static sites (Netlify, Cloudflare Pages) say of a file, and what computes pages says of none that holds a shopper's data:
/// everybody may have it, browsers ask each time, by its ETag. Vercel says so of computed pages too, and names only files.
fn is_marked_static(answer: &Answer) -> bool {
    let control = CacheControl::of(answer);
    let is_public = control.has("public") && control.has("must-revalidate") && control.seconds("max-age") == Some(0);
    let is_file = answered_by(answer) != Some(Edge::Vercel) || answer.header("content-disposition").is_some_and(|v| v.starts_with("inline"));
    is_public && is_file && own_cookies(answer).is_empty()
}

/// Both requests, without the cart cookie and with it, were answered with the same bytes under the same ETag.
fn is_same_file(target: &Target) -> bool {
    let (Some(first), Some(with_cookie)) = (answer(target, Variant::First), answer(target, Variant::WithCartCookie)) else { return false };
    let tag = |a: &Answer| a.header("etag");
    tag(first).is_some() && tag(first) == tag(with_cookie) && first.body_bytes == with_cookie.body_bytes
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
    let mut evidence = vec![Evidence::table("Answers", &["request", "status", "cache", "Cache-Control", "cookies set"], rows.collect())];
    if let Some(header) = forbids_caching(leak.answer) {
        evidence.push(Evidence::text("The origin asks not to be kept", text::cut(&header, 200)));
    }
    Finding {
        subject: Subject::new("path", format!("{}{path}", host(&leak.target.url))),
        observed: format!("{}; {}.", leak.what, which(leak.answer)),
        step: if leak.is_note() { format!("See that {path} holds nobody's cart") } else { format!("Stop caching {path} and purge it") },
        evidence,
        severity: leak.severity,
        confidence: leak.confidence,
        confidence_because: leak.because.to_owned(),
        effort: Effort::Minutes,
        cost: Cost { resource: Resource::Risk, share: if leak.is_note() { 0.0 } else { 1.0 } },
        gain: None,
        averts: (!leak.is_note()).then(|| "leaks between shoppers".to_owned()),
        remedies: if leak.is_note() { vec![look(leak.target)] } else { remedies(leak) },
        verify: if leak.is_note() {
            "The count is 0: the page holds no product of the cart.".to_owned()
        } else {
            format!("Run the audit again: {path} is never a hit, with and without the cart cookie.")
        },
        touches: vec![format!("path:{path}")],
    }
}

/// The cache that answered, and the one before it that did not.
fn which(answer: &Answer) -> String {
    match (answered_by(answer), edge(answer)) {
        (None | Some(Edge::Other), Some(front)) if front != Edge::Other => format!("the cache stands behind {}", front.name()),
        (None | Some(Edge::Other), _) => "the cache does not name itself".to_owned(),
        (Some(by), Some(front)) if by != front => format!("the cache is {}, behind {}", by.name(), front.name()),
        (Some(by), _) => format!("the cache is {}", by.name()),
    }
}

fn look(target: &Target) -> Remedy {
    Remedy {
        kind: RemedyKind::Shell,
        label: "Look for a product of your own cart in the page".to_owned(),
        text: format!(
            "# Put a product into the cart in a browser; take _medusa_cart_id from its cookies and the product's title.\n\
             curl -s -H 'Cookie: _medusa_cart_id=CART_ID' '{}' | grep -c 'TITLE'\n\
             # 0: the browser reads the cart, all is well. More: stop caching the page and purge it.",
            target.url.replace('\'', "%27")
        ),
        lock: None,
        risk: "None: it only reads.".to_owned(),
        undo: None,
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
    match answered_by(leak.answer) {
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
        for by_next in ["x-nextjs-prerender", "x-nextjs-cache"] {
            let shell = [("x-cache-status", "HIT"), (by_next, "1")];
            assert_eq!(CHECK.run(&shop(vec![with_cookie(cart(&shell), &shell)], vec![], vec![])), Outcome::Passed, "{by_next}");
        }
    }

    #[test]
    fn a_cache_behind_the_cdn_leaks_as_well() {
        let behind = [("cf-ray", "1"), ("cf-cache-status", "DYNAMIC"), ("x-cache-status", "HIT")];
        let findings = found(CHECK.run(&shop(vec![with_cookie(cart(&behind), &behind)], vec![], vec![])));
        assert_eq!((findings[0].severity, findings[0].confidence), (Severity::Critical, Confidence::High));
        assert!(findings[0].observed.ends_with("the cache is nginx's cache, behind Cloudflare."), "{}", findings[0].observed);
        assert!(findings[0].remedies[0].text.contains("proxy_cache_bypass"), "{}", findings[0].remedies[0].text);
        let passing = [("cf-ray", "1"), ("cf-cache-status", "DYNAMIC"), ("x-cache-status", "BYPASS")];
        assert_eq!(CHECK.run(&shop(vec![with_cookie(cart(&passing), &passing)], vec![], vec![])), Outcome::Passed);
    }

    #[test]
    fn the_file_of_a_static_site_is_a_note_and_a_rendered_page_is_not() {
        const PUBLIC: (&str, &str) = ("cache-control", "public,max-age=0,must-revalidate");
        const TAG: (&str, &str) = ("etag", "\"a-1-ssl\"");
        const HIT: (&str, &str) = ("cache-status", "\"Netlify Edge\"; hit");
        const NETLIFY: (&str, &str) = ("server", "Netlify");
        let run = |first: &[(&str, &str)], with: &[(&str, &str)]| {
            let page = target(PathClass::Personal, "https://shop.example.com/cart", first, first);
            found(CHECK.run(&shop(vec![with_cookie(page, with)], vec![], vec![])))
        };
        let file = [NETLIFY, HIT, PUBLIC, TAG];
        let findings = run(&file, &file);
        assert_eq!((findings[0].severity, findings[0].confidence), (Severity::Info, Confidence::Low));
        assert!(findings[0].remedies[0].text.contains("curl"), "{}", findings[0].remedies[0].text);
        // Each of these is what a page that was rendered for somebody may be kept as.
        let cookie = ("set-cookie", "_medusa_cart_id=; Path=/");
        let vercel = [("x-vercel-cache", "HIT"), PUBLIC, TAG];
        for rendered in [
            &[NETLIFY, HIT, TAG][..],
            &[NETLIFY, HIT, PUBLIC],
            &[NETLIFY, HIT, PUBLIC, TAG, cookie],
            &[NETLIFY, HIT, ("cache-control", "public, s-maxage=60"), TAG],
            &[NETLIFY, HIT, ("cache-control", "private, no-cache, no-store, max-age=0, must-revalidate"), TAG],
            &vercel,
        ] {
            assert_eq!(run(rendered, rendered)[0].severity, Severity::Critical, "{rendered:?}");
        }
        assert_eq!(run(&[NETLIFY, HIT, PUBLIC, ("etag", "\"b\"")], &file)[0].severity, Severity::Critical, "another page under the same address");
        let inline = [vercel[0], vercel[1], vercel[2], ("content-disposition", "inline; filename=\"cart\"")];
        assert_eq!(run(&inline, &inline)[0].severity, Severity::Info);
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
