//! Which cache answered, by the headers that makes of caches leave, and what it says it did.

use super::storefront::Answer;

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

/// RFC 9211: members nearest to the origin first; any hit on the way answered for it. What is no structured field tells nothing.
fn cache_status(value: &str) -> Verdict {
    let Ok(caches) = sfv::Parser::new(value).parse::<sfv::List>() else { return Verdict::Unknown };
    let mut verdict = Verdict::Unknown;
    for cache in &caches {
        let sfv::ListEntry::Item(cache) = cache else { continue };
        if cache.params.get("hit").and_then(sfv::BareItem::as_boolean) == Some(true) {
            return Verdict::Hit;
        }
        verdict = match cache.params.get("fwd").and_then(sfv::BareItem::as_token).map(sfv::TokenRef::as_str) {
            Some("bypass" | "method") => Verdict::Bypass,
            Some(_) => Verdict::Miss,
            None => verdict,
        };
    }
    verdict
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(headers: &[(&str, &str)]) -> Answer {
        Answer {
            status: 200,
            redirects: Vec::new(),
            protocol: "HTTP/2".into(),
            first_byte_ms: 1.0,
            total_ms: 1.0,
            headers: headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
            body_bytes: 1,
            body_cut: false,
        }
    }

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
    fn structured_fields_are_read_as_such() {
        let told = |value: &str| cache_status(value);
        assert_eq!(told("\"Next.js\"; hit, \"Netlify Edge\"; fwd=miss"), Verdict::Hit);
        assert_eq!(told("ExampleCache; fwd=uri-miss; fwd-status=200; stored; collapsed"), Verdict::Miss);
        assert_eq!(told("ExampleCache; fwd=stale; ttl=-12"), Verdict::Miss);
        assert_eq!(told("ExampleCache; fwd=bypass; detail=\"cookie; hit\""), Verdict::Bypass);
        assert_eq!(told("ExampleCache; hit=?0; fwd=request"), Verdict::Miss);
        for odd in ["hit", "HIT from edge", "", "a; fwd=", "\u{e4}; hit"] {
            assert_eq!(told(odd), Verdict::Unknown, "{odd}");
        }
    }
}
