//! Pure readers of HTTP answers: which cache answered, what it said, and what the headers allow.

mod paths;

use http_cache_semantics::{CacheOptions, CachePolicy};

use crate::evidence::storefront::{Answer, Target, Tls, Variant};
use crate::evidence::{Gap, Snapshot};
use crate::finding::Evidence;

pub use crate::evidence::edge::{Edge, Verdict, answered_by, edge, verdict};
pub use paths::{PathKind, host, is_private_host, path, path_kind, pattern};

/// The directives of `Cache-Control`, lower case, with the seconds of those that carry some.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CacheControl {
    directives: Vec<(String, Option<u64>)>,
}

impl CacheControl {
    pub fn parse(value: &str) -> Self {
        let parts = value.split(',').map(str::trim).filter(|p| !p.is_empty());
        let directives = parts.map(|part| {
            let (name, argument) = part.split_once('=').map_or((part, None), |(n, a)| (n, Some(a)));
            (name.trim().to_ascii_lowercase(), argument.and_then(|a| a.trim().trim_matches('"').parse().ok()))
        });
        Self { directives: directives.collect() }
    }

    pub fn of(answer: &Answer) -> Self {
        answer.header("cache-control").map_or_else(Self::default, |v| Self::parse(&v))
    }

    pub fn has(&self, name: &str) -> bool {
        self.directives.iter().any(|(n, _)| n == name)
    }

    /// Seconds; of repeated directives the smallest.
    pub fn seconds(&self, name: &str) -> Option<u64> {
        self.directives.iter().filter(|(n, _)| n == name).filter_map(|(_, s)| *s).min()
    }

    /// How long a shared cache may keep it.
    pub fn shared_seconds(&self) -> Option<u64> {
        self.seconds("s-maxage").or_else(|| self.seconds("max-age"))
    }
}

/// Caches that let `CDN-Cache-Control` (RFC 9213) take the place of `Cache-Control` and `Expires`; nginx, Varnish and Squid do not know it.
fn knows_targeted(edge: Option<Edge>) -> bool {
    matches!(edge, Some(Edge::Cloudflare | Edge::Vercel | Edge::Netlify | Edge::Akamai | Edge::Fastly))
}

/// The header that rules shared caches, by name and value: `CDN-Cache-Control` where the cache in front knows it and it is a valid
/// structured field, else `Cache-Control`. `None`: neither is there.
fn governing(answer: &Answer) -> Option<(&'static str, String)> {
    let targeted = answer.header("cdn-cache-control").filter(|v| knows_targeted(edge(answer)) && is_dictionary(v));
    targeted.map(|v| ("CDN-Cache-Control", v)).or_else(|| answer.header("cache-control").map(|v| ("Cache-Control", v)))
}

fn is_dictionary(value: &str) -> bool {
    sfv::Parser::new(value).parse::<sfv::Dictionary>().is_ok_and(|d| !d.is_empty())
}

/// Why a shared cache would not keep an answer, as the header that says so; `None` when nothing forbids it.
pub fn forbids_caching(answer: &Answer) -> Option<String> {
    let ruling = governing(answer);
    if shared_lifetime(answer, ruling.as_ref()) == Some(0) {
        let expires = || answer.header("expires").map(|v| ("Expires", v));
        let pragma = || answer.header("pragma").map(|v| ("Pragma", v));
        let (name, value) = ruling.or_else(expires).or_else(pragma).unwrap_or(("Cache-Control", String::new()));
        return Some(format!("{name}: {value}"));
    }
    let cookies = own_cookies(answer);
    if !cookies.is_empty() {
        return Some(format!("Set-Cookie: {}", cookies.join(", ")));
    }
    let vary = answer.header("vary").unwrap_or_default().to_ascii_lowercase();
    if vary.split(',').map(str::trim).any(|v| v == "*" || v == "cookie") {
        return Some(format!("Vary: {vary}"));
    }
    None
}

/// Seconds for which a shared cache may answer with it by RFC 9111: 0 when it may not keep it or has to ask each time, `None` when no
/// header says (the cache's own rules decide).
fn shared_lifetime(answer: &Answer, ruling: Option<&(&'static str, String)>) -> Option<u64> {
    let is_targeted = ruling.is_some_and(|(name, _)| *name == "CDN-Cache-Control");
    let told = ["expires", "pragma", "date"].iter().filter(|_| !is_targeted).filter_map(|n| Some((*n, answer.header(n)?)));
    let control = ruling.map(|(_, v)| ("cache-control", v.clone()));
    let headers: Vec<(&str, String)> = told.chain(control).collect();
    if !headers.iter().any(|(n, _)| *n != "date") {
        return None;
    }
    let mut response = http::Response::builder().status(answer.status);
    for (name, value) in &headers {
        response = response.header(*name, value.as_str());
    }
    let response = response.body(()).ok()?;
    let request = http::Request::builder().uri("https://shop/").body(()).ok()?;
    // Judged at the moment of the answer: no clock is read.
    let now = std::time::SystemTime::UNIX_EPOCH;
    let policy = CachePolicy::new_options(&request, &response, now, CacheOptions { shared: true, cache_heuristic: 0.0, ..CacheOptions::default() });
    if !policy.is_storable() {
        return Some(0);
    }
    let is_explicit = |c: &CacheControl| c.has("max-age") || c.has("s-maxage") || c.has("no-cache");
    let says = ruling.is_some_and(|(_, v)| is_explicit(&CacheControl::parse(v))) || headers.iter().any(|(n, _)| matches!(*n, "expires" | "pragma"));
    says.then(|| policy.time_to_live(now).as_secs())
}

/// Cookies of the application: those that edges and load balancers add on their own are left out.
pub fn own_cookies(answer: &Answer) -> Vec<&str> {
    const FOREIGN: [&str; 14] = [
        "__cf",
        "_cf",
        "cf_",
        "awsalb",
        "ak_bmsc",
        "bm_",
        "_abck",
        "visid_incap",
        "incap_",
        "nlbi_",
        "__vercel",
        "_vercel",
        "bigipserver",
        "arraffinity",
    ];
    let is_own = |name: &&str| !FOREIGN.iter().any(|p| name.to_ascii_lowercase().starts_with(p));
    answer.cookies_set().into_iter().filter(is_own).collect()
}

/// A cookie that stands for one shopper.
pub fn is_session_cookie(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    matches!(name.as_str(), "connect.sid" | "medusa_session" | "_medusa_jwt" | "_medusa_cart_id")
        || ["session", "sessid", "jwt", "auth", "token", "cart"].iter().any(|w| name.contains(w))
}

/// That the certificate is not trusted, where it is not: the handshake was judged all the same.
pub fn distrust(tls: &Tls) -> Option<Evidence> {
    tls.distrust.as_ref().map(|why| Evidence::text("Certificate", format!("of {}, not trusted here: {why}", tls.host)))
}

/// The answer to one request of the recipe, when there was one.
pub fn answer(target: &Target, variant: Variant) -> Option<&Answer> {
    target.probes.iter().find(|p| p.variant == variant).and_then(|p| p.answer.as_ref().ok())
}

/// All answers of a target in the order sent.
pub fn answers(target: &Target) -> impl Iterator<Item = (Variant, &Answer)> {
    target.probes.iter().filter_map(|p| Some((p.variant, p.answer.as_ref().ok()?)))
}

/// The first good answer: the one whose headers are judged.
pub fn good(target: &Target) -> Option<&Answer> {
    answers(target).map(|(_, a)| a).find(|a| a.status == 200)
}

/// Bytes of the whole body: what came, or what the server said of a body that was cut.
pub fn weight(answer: &Answer) -> u64 {
    let said = answer.header("content-length").and_then(|v| v.trim().parse::<u64>().ok()).filter(|_| answer.body_cut);
    said.unwrap_or(0).max(answer.body_bytes)
}

fn kind(answer: &Answer) -> String {
    answer.header("content-type").map_or_else(String::new, |t| t.to_ascii_lowercase())
}

pub fn is_picture(answer: &Answer) -> bool {
    kind(answer).starts_with("image/")
}

/// JPEG and PNG; drawings, icons and animations have formats of their own for good reasons.
pub fn is_legacy_picture(answer: &Answer) -> bool {
    ["image/jpeg", "image/jpg", "image/png"].iter().any(|k| kind(answer).starts_with(k))
}

/// Pictures that the pages load, each with its first good answer; those of the database where the pages show none.
///
/// # Errors
/// The gap of the pages' assets.
pub fn page_pictures(snapshot: &Snapshot) -> Result<Vec<(&Target, &Answer)>, Gap> {
    let shop = snapshot.shop()?;
    let shown: Vec<(&Target, &Answer)> = shop.assets()?.iter().filter_map(|t| Some((t, good(t).filter(|a| is_picture(a))?))).collect();
    if !shown.is_empty() {
        return Ok(shown);
    }
    let media = shop.media().ok().into_iter().flatten();
    Ok(media.filter_map(|t| Some((t, good(t).filter(|a| is_picture(a))?))).collect())
}

/// Answers and targets for the tests of the checks.
#[cfg(test)]
pub(crate) mod fixtures;

#[cfg(test)]
mod tests {
    use super::fixtures::answer as with;
    use super::*;

    #[test]
    fn headers_that_forbid_caching_are_named() {
        assert!(forbids_caching(&with(&[("cache-control", "private, no-cache, no-store, max-age=0")])).is_some());
        assert!(forbids_caching(&with(&[("cache-control", "public, max-age=0, s-maxage=60")])).is_none());
        assert_eq!(forbids_caching(&with(&[("set-cookie", "connect.sid; Path=/")])).as_deref(), Some("Set-Cookie: connect.sid"));
        assert!(forbids_caching(&with(&[("set-cookie", "__cf_bm; Path=/")])).is_none());
        assert!(forbids_caching(&with(&[("cache-control", "public")])).is_none());
        assert!(forbids_caching(&with(&[])).is_none());
        assert!(forbids_caching(&with(&[("cache-control", "max-age=60, no-cache")])).is_some());
        assert!(forbids_caching(&with(&[("cache-control", "public, max-age=600, must-revalidate")])).is_none());
        let (date, past, later) = ("Mon, 23 Nov 2026 12:00:00 GMT", "Thu, 01 Jan 1970 00:00:00 GMT", "Mon, 23 Nov 2026 13:00:00 GMT");
        assert_eq!(forbids_caching(&with(&[("date", date), ("expires", past)])), Some(format!("Expires: {past}")));
        assert_eq!(forbids_caching(&with(&[("date", date), ("expires", later)])), None);
        assert_eq!(forbids_caching(&with(&[("date", date), ("expires", past), ("cache-control", "max-age=60")])), None);
        let targeted = [("cache-control", "private, no-store"), ("cdn-cache-control", "max-age=300")];
        assert!(forbids_caching(&with(&targeted)).is_some(), "no cache that knows it is in front");
        assert!(forbids_caching(&with(&[targeted[0], targeted[1], ("cf-ray", "1")])).is_none());
        assert!(forbids_caching(&with(&[targeted[0], ("cdn-cache-control", "max-age=\"x"), ("cf-ray", "1")])).is_some(), "no structured field");
        assert!(forbids_caching(&with(&[("cache-control", "s-maxage=60"), ("cdn-cache-control", "no-store"), ("cf-ray", "1")])).is_some());
        assert!(forbids_caching(&with(&[("vary", "Accept-Encoding, Cookie")])).is_some());
        assert!(forbids_caching(&with(&[("vary", "RSC, Next-Router-State-Tree")])).is_none());
    }
}
