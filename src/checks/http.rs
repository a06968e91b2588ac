//! Pure readers of HTTP answers: which cache answered, what it said, and what the headers allow.

mod paths;

use crate::evidence::storefront::{Answer, Target, Variant};

pub use paths::{PathKind, host, is_private_host, path, path_kind, pattern};

/// Who reveals itself between the shopper and the origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Edge {
    Cloudflare,
    CloudFront,
    Fastly,
    Vercel,
    Netlify,
    Bunny,
    Akamai,
    Varnish,
    Squid,
    /// nginx by the convention of `X-Cache-Status` or `X-Proxy-Cache`.
    Nginx,
    /// A cache that speaks RFC 9211 or sends `X-Cache`, of unknown make.
    Other,
}

impl Edge {
    pub fn name(self) -> &'static str {
        match self {
            Edge::Cloudflare => "Cloudflare",
            Edge::CloudFront => "CloudFront",
            Edge::Fastly => "Fastly",
            Edge::Vercel => "Vercel",
            Edge::Netlify => "Netlify",
            Edge::Bunny => "Bunny",
            Edge::Akamai => "Akamai",
            Edge::Varnish => "Varnish",
            Edge::Squid => "Squid",
            Edge::Nginx => "nginx's cache",
            Edge::Other => "a cache",
        }
    }
}

/// The cache that answered, by its own headers; `None` when none reveals itself.
pub fn edge(answer: &Answer) -> Option<Edge> {
    let has = |name: &str| answer.header(name).is_some();
    let holds = |name: &str, word: &str| answer.header(name).is_some_and(|v| v.to_ascii_lowercase().contains(word));
    let table = [
        (has("cf-ray") || has("cf-cache-status") || holds("server", "cloudflare"), Edge::Cloudflare),
        (has("x-amz-cf-pop") || has("x-amz-cf-id") || holds("via", "cloudfront"), Edge::CloudFront),
        (has("x-vercel-id") || has("x-vercel-cache") || holds("server", "vercel"), Edge::Vercel),
        (has("x-nf-request-id") || holds("server", "netlify"), Edge::Netlify),
        (holds("server", "bunnycdn") || has("cdn-pullzone"), Edge::Bunny),
        (holds("server", "akamaighost") || has("akamai-grn"), Edge::Akamai),
        (has("x-timer") || holds("x-served-by", "cache-"), Edge::Fastly),
        (has("x-varnish") || holds("via", "varnish"), Edge::Varnish),
        (holds("via", "squid"), Edge::Squid),
        (has("x-cache-status") || has("x-proxy-cache"), Edge::Nginx),
        (has("cache-status") || has("x-cache"), Edge::Other),
    ];
    table.into_iter().find(|(is, _)| *is).map(|(_, edge)| edge)
}

/// What the cache says it did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Answered without the origin, also stale or by revalidation.
    Hit,
    Miss,
    /// Never considered for caching.
    Dynamic,
    /// Considered, and passed by a rule or the answer's headers.
    Bypass,
    /// The cache does not tell; never taken for a miss.
    Unknown,
}

impl Verdict {
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Hit => "hit",
            Verdict::Miss => "miss",
            Verdict::Dynamic => "dynamic",
            Verdict::Bypass => "bypass",
            Verdict::Unknown => "not told",
        }
    }

    /// The origin did the work.
    pub fn is_origin(self) -> bool {
        matches!(self, Verdict::Miss | Verdict::Dynamic | Verdict::Bypass)
    }
}

/// Vendor headers first, then RFC 9211, then a positive `Age`, then Varnish's two transaction ids.
pub fn verdict(answer: &Answer) -> Verdict {
    let vendor = ["cf-cache-status", "x-vercel-cache", "cdn-cache", "x-cache-status", "x-proxy-cache"];
    let told = vendor.iter().find_map(|h| answer.header(h)).map(|v| word_verdict(&v));
    if let Some(verdict) = told.filter(|v| *v != Verdict::Unknown) {
        return verdict;
    }
    if let Some(verdict) = answer.header("cache-status").map(|v| cache_status(&v)).filter(|v| *v != Verdict::Unknown) {
        return verdict;
    }
    if let Some(verdict) = answer.header("x-cache").map(|v| x_cache(&v)).filter(|v| *v != Verdict::Unknown) {
        return verdict;
    }
    if answer.header("age").and_then(|a| a.split(',').next()?.trim().parse::<u64>().ok()).is_some_and(|age| age > 0) {
        return Verdict::Hit;
    }
    match answer.header("x-varnish").map(|v| v.split_whitespace().count()) {
        Some(2) => Verdict::Hit,
        Some(1) => Verdict::Miss,
        _ => Verdict::Unknown,
    }
}

fn word_verdict(value: &str) -> Verdict {
    match value.trim().to_ascii_uppercase().as_str() {
        "HIT" | "STALE" | "UPDATING" | "REVALIDATED" | "PRERENDER" => Verdict::Hit,
        "MISS" | "EXPIRED" => Verdict::Miss,
        "DYNAMIC" => Verdict::Dynamic,
        "BYPASS" | "PASS" => Verdict::Bypass,
        _ => Verdict::Unknown,
    }
}

/// `X-Cache: HIT, MISS` lists the shield first: the last entry is the edge, but any hit kept the origin out of it.
fn x_cache(value: &str) -> Verdict {
    let value = value.to_ascii_lowercase();
    if value.contains("hit") && !value.contains("limitexceeded") {
        Verdict::Hit
    } else if value.contains("miss") {
        Verdict::Miss
    } else if value.contains("pass") {
        Verdict::Bypass
    } else {
        Verdict::Unknown
    }
}

/// RFC 9211: members nearest to the origin first; any hit on the way answered for it.
fn cache_status(value: &str) -> Verdict {
    let mut verdict = Verdict::Unknown;
    for member in value.split(',') {
        let mut parameters = member.split(';').skip(1).map(str::trim);
        if parameters.clone().any(|p| p == "hit") {
            return Verdict::Hit;
        }
        match parameters.find_map(|p| p.strip_prefix("fwd=")) {
            Some("stale") => verdict = Verdict::Miss,
            Some("bypass" | "method") => verdict = Verdict::Bypass,
            Some(_) => verdict = Verdict::Miss,
            None => {}
        }
    }
    verdict
}

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

/// Why a shared cache would not keep an answer, as the header that says so; `None` when nothing forbids it.
pub fn forbids_caching(answer: &Answer) -> Option<String> {
    let control = CacheControl::of(answer);
    let text = answer.header("cache-control").unwrap_or_default();
    if control.has("no-store") || control.has("private") || control.has("no-cache") || control.shared_seconds() == Some(0) {
        return Some(format!("Cache-Control: {text}"));
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

/// Answers and targets for the tests of the checks.
#[cfg(test)]
pub(crate) mod fixtures;

#[cfg(test)]
mod tests {
    use super::fixtures::answer as with;
    use super::*;

    #[test]
    fn every_row_of_the_table_is_read() {
        type Case<'a> = (&'a [(&'a str, &'a str)], Option<Edge>, Verdict);
        let cases: &[Case] = &[
            (&[("cf-ray", "1"), ("cf-cache-status", "HIT")], Some(Edge::Cloudflare), Verdict::Hit),
            (&[("cf-cache-status", "DYNAMIC")], Some(Edge::Cloudflare), Verdict::Dynamic),
            (&[("cf-cache-status", "NONE/UNKNOWN")], Some(Edge::Cloudflare), Verdict::Unknown),
            (&[("cf-cache-status", "REVALIDATED")], Some(Edge::Cloudflare), Verdict::Hit),
            (&[("cf-cache-status", "EXPIRED")], Some(Edge::Cloudflare), Verdict::Miss),
            (&[("x-cache", "RefreshHit from cloudfront"), ("x-amz-cf-pop", "FRA")], Some(Edge::CloudFront), Verdict::Hit),
            (&[("x-cache", "Miss from cloudfront"), ("via", "1.1 abc.cloudfront.net (CloudFront)")], Some(Edge::CloudFront), Verdict::Miss),
            (&[("x-cache", "HIT, MISS"), ("x-timer", "S1")], Some(Edge::Fastly), Verdict::Hit),
            (&[("x-vercel-cache", "PRERENDER"), ("server", "Vercel")], Some(Edge::Vercel), Verdict::Hit),
            (
                &[("cache-status", "\"Netlify Durable\"; fwd=stale, \"Netlify Edge\"; fwd=miss"), ("server", "Netlify")],
                Some(Edge::Netlify),
                Verdict::Miss,
            ),
            (&[("server", "BunnyCDN-DE1-1"), ("cdn-cache", "HIT")], Some(Edge::Bunny), Verdict::Hit),
            (&[("server", "nginx")], None, Verdict::Unknown),
            (&[("server", "nginx"), ("x-cache-status", "BYPASS")], Some(Edge::Nginx), Verdict::Bypass),
            (&[("x-varnish", "5 3"), ("age", "0")], Some(Edge::Varnish), Verdict::Hit),
            (&[("x-varnish", "5"), ("age", "0")], Some(Edge::Varnish), Verdict::Miss),
            (&[("via", "1.1 h (squid/5.7)"), ("x-cache", "HIT from h")], Some(Edge::Squid), Verdict::Hit),
            (&[("age", "7")], None, Verdict::Hit),
            (&[("age", "0")], None, Verdict::Unknown),
            (&[("cache-status", "c; hit; ttl=3")], Some(Edge::Other), Verdict::Hit),
        ];
        for (headers, edge_wanted, verdict_wanted) in cases {
            let answer = with(headers);
            assert_eq!((edge(&answer), verdict(&answer)), (*edge_wanted, *verdict_wanted), "{headers:?}");
        }
    }

    #[test]
    fn headers_that_forbid_caching_are_named() {
        assert!(forbids_caching(&with(&[("cache-control", "private, no-cache, no-store, max-age=0")])).is_some());
        assert!(forbids_caching(&with(&[("cache-control", "public, max-age=0, s-maxage=60")])).is_none());
        assert_eq!(forbids_caching(&with(&[("set-cookie", "connect.sid; Path=/")])).as_deref(), Some("Set-Cookie: connect.sid"));
        assert!(forbids_caching(&with(&[("set-cookie", "__cf_bm; Path=/")])).is_none());
        assert!(forbids_caching(&with(&[("vary", "Accept-Encoding, Cookie")])).is_some());
        assert!(forbids_caching(&with(&[("vary", "RSC, Next-Router-State-Tree")])).is_none());
    }
}
