//! Pure readers of HTTP answers: which cache answered, what it said, and what the headers allow.

use crate::evidence::storefront::{Answer, PathClass, Target, Variant};

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

/// What a path is to a shared cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PathKind {
    /// Bundles, fonts, images.
    Static,
    /// Product, collection and category pages and lists: the same for every shopper of a region.
    Catalogue,
    /// Cart, checkout, account, order, admin: one shopper's.
    Personal,
    Other,
}

impl PathKind {
    pub fn name(self) -> &'static str {
        match self {
            PathKind::Static => "static files",
            PathKind::Catalogue => "catalogue",
            PathKind::Personal => "personal",
            PathKind::Other => "other",
        }
    }
}

/// By path alone, with or without a country before it.
pub fn path_kind(path: &str) -> PathKind {
    let lower = path.to_ascii_lowercase();
    let segments: Vec<&str> = lower.split('/').filter(|s| !s.is_empty()).collect();
    let personal = ["cart", "carts", "checkout", "account", "order", "orders", "customers", "admin", "app", "auth", "payment-collections"];
    // Only near the root: a product may be called "cart".
    let near_root = |names: &[&str]| segments.iter().take(2).any(|s| names.contains(s));
    let extension = segments.last().and_then(|s| s.rsplit_once('.')).map_or("", |(_, e)| e);
    let files = ["js", "css", "woff", "woff2", "ttf", "png", "jpg", "jpeg", "webp", "avif", "gif", "svg", "ico", "mp4"];
    if files.contains(&extension) || lower.starts_with("/_next/static/") || lower == "/_next/image" {
        return PathKind::Static;
    }
    if near_root(&["products", "collections", "categories", "product-categories", "regions", "store"]) && !near_root(&personal) {
        return PathKind::Catalogue;
    }
    if near_root(&personal) { PathKind::Personal } else { PathKind::Other }
}

/// The host of a target, without its port.
pub fn host(url: &str) -> &str {
    let authority = url.split_once("://").map_or(url, |(_, rest)| rest).split(['/', '?', '#']).next().unwrap_or("");
    if let Some(v6) = authority.strip_prefix('[') {
        return v6.split(']').next().unwrap_or("");
    }
    authority.split(':').next().unwrap_or("")
}

/// The path of a target.
pub fn path(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.find('/').map_or("/", |i| rest[i..].split(['?', '#']).next().unwrap_or("/"))
}

/// Hosts that no shopper reaches: loopback, private networks, names without a public ending.
pub fn is_private_host(host: &str) -> bool {
    use std::net::IpAddr;
    if let Ok(ip) = host.parse::<IpAddr>() {
        return match ip {
            IpAddr::V4(v4) => v4.is_loopback() || v4.is_private() || v4.is_link_local() || v4.is_unspecified(),
            IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local() || v6.is_unspecified(),
        };
    }
    let host = host.to_ascii_lowercase();
    let endings = [".localhost", ".local", ".internal", ".lan", ".test", ".home.arpa", ".invalid"];
    !host.contains('.') || endings.iter().any(|e| host.ends_with(e))
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

/// The pattern a target's path stands for: `/products/*`.
pub fn pattern(target: &Target) -> String {
    match target.class {
        PathClass::Home => "/".to_owned(),
        PathClass::Product => "/products/*".to_owned(),
        PathClass::Collection => "/collections/*".to_owned(),
        PathClass::Category => "/categories/*".to_owned(),
        _ if path(&target.url).starts_with("/store/products/") => "/store/products/*".to_owned(),
        _ if path(&target.url).starts_with("/_next/static/") => "/_next/static/*".to_owned(),
        _ => path(&target.url).to_owned(),
    }
}

/// Answers and targets for the tests of the checks.
#[cfg(test)]
pub(crate) mod fixtures {
    use super::*;
    use crate::evidence::storefront::{Probe, Storefront};
    use crate::evidence::{Gap, Meta, Section, Snapshot, Targets};
    use crate::finding::{Finding, Outcome};

    pub fn answer(headers: &[(&str, &str)]) -> Answer {
        Answer {
            status: 200,
            redirects: Vec::new(),
            protocol: "HTTP/1.1".into(),
            first_byte_ms: 10.0,
            total_ms: 12.0,
            headers: headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
            body_bytes: 5_000,
            body_cut: false,
        }
    }

    /// A target whose First and Second answers are these.
    pub fn target(class: PathClass, url: &str, first: &[(&str, &str)], second: &[(&str, &str)]) -> Target {
        let probe = |variant, headers| Probe { variant, answer: Ok(answer(headers)) };
        Target { class, url: url.into(), probes: vec![probe(Variant::First, first), probe(Variant::Second, second)], timings_ms: Vec::new() }
    }

    pub fn with_cookie(mut target: Target, headers: &[(&str, &str)]) -> Target {
        target.probes.push(Probe { variant: Variant::WithCartCookie, answer: Ok(answer(headers)) });
        target
    }

    pub fn shop(pages: Vec<Target>, assets: Vec<Target>, api: Vec<Target>) -> Snapshot {
        let meta = Meta {
            tool_version: "0".into(),
            store: "t".into(),
            environment: "production".into(),
            taken_at: time::macros::datetime!(2026-11-23 09:30 UTC),
            window_s: 30.0,
            window_asked_s: 30.0,
            cancelled: false,
            targets: Targets::default(),
        };
        let mut snapshot = Snapshot::empty(meta);
        snapshot.storefront = Ok(Storefront {
            storefront_url: Some("https://shop.example.com".into()),
            backend_url: Some("https://api.example.com".into()),
            pages: Ok(pages),
            assets: Ok(assets),
            media: Err(Gap::not_configured(Section::StorefrontMedia)),
            api: Ok(api),
            tls: Ok(Vec::new()),
        });
        snapshot
    }

    pub fn found(outcome: Outcome) -> Vec<Finding> {
        match outcome {
            Outcome::Failed(findings) => findings,
            other => panic!("expected findings, got {other:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::fixtures::answer as with;
    use super::*;

    #[test]
    fn every_row_of_the_table_is_read() {
        let cases: &[(&[(&str, &str)], Option<Edge>, Verdict)] = &[
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

    #[test]
    fn paths_have_kinds() {
        for (path, kind) in [
            ("/us/products/shirt", PathKind::Catalogue),
            ("/store/products", PathKind::Catalogue),
            ("/us/store", PathKind::Catalogue),
            ("/store/carts/x", PathKind::Personal),
            ("/us/cart", PathKind::Personal),
            ("/us/products/cart", PathKind::Catalogue),
            ("/_next/static/chunks/a.js", PathKind::Static),
            ("/app/orders", PathKind::Personal),
            ("/about", PathKind::Other),
        ] {
            assert_eq!(path_kind(path), kind, "{path}");
        }
        assert!(is_private_host("127.0.0.1") && is_private_host("localhost") && is_private_host("shop.local") && is_private_host("10.1.2.3"));
        assert!(!is_private_host("shop.example.com") && !is_private_host("203.0.113.9"));
        assert_eq!((host("http://[::1]:80/x"), path("http://h:1/x?y")), ("::1", "/x"));
    }
}
