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

/// The cache in front, by its own headers; `None` when none reveals itself.
pub fn edge(answer: &Answer) -> Option<Edge> {
    on_the_way(answer).into_iter().next()
}

/// Every cache that reveals itself, the outermost first.
fn on_the_way(answer: &Answer) -> Vec<Edge> {
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
    table.into_iter().filter(|(is, _)| *is).map(|(_, edge)| edge).collect()
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

/// What the caches on the way say they did. Any hit kept the origin out of it, whatever the caches before it say; else the outermost
/// one that tells decides.
pub fn verdict(answer: &Answer) -> Verdict {
    let told = told(answer);
    if told.iter().any(|(_, v)| *v == Verdict::Hit) {
        return Verdict::Hit;
    }
    told.first().map_or(Verdict::Unknown, |(_, v)| *v)
}

/// The cache that says it answered.
pub fn answered_by(answer: &Answer) -> Option<Edge> {
    told(answer).into_iter().find(|(_, v)| *v == Verdict::Hit).map(|(edge, _)| edge)
}

/// Whether the outermost cache that looked the answer up had it: what is asked under the same key then replaces nothing there.
pub fn is_kept(answer: &Answer) -> bool {
    let looked_up = told(answer).into_iter().find(|(_, v)| !matches!(v, Verdict::Dynamic | Verdict::Bypass));
    looked_up.is_some_and(|(_, v)| v == Verdict::Hit)
}

/// The caches that tell what they did, the outermost first as far as their headers let one know: those of CDNs, RFC 9211, those of
/// servers, then a positive `Age`, then Varnish's two transaction ids.
fn told(answer: &Answer) -> Vec<(Edge, Verdict)> {
    let on_the_way = on_the_way(answer);
    let one_of = |edges: &[Edge]| on_the_way.iter().copied().find(|e| edges.contains(e)).unwrap_or(Edge::Other);
    let word = |header: &str| answer.header(header).map_or(Verdict::Unknown, |v| word_verdict(&v));
    let (cloudfront, others): (Vec<String>, Vec<String>) =
        answer.header("x-cache").unwrap_or_default().split(',').map(str::to_ascii_lowercase).partition(|part| part.contains("cloudfront"));
    let mut all = vec![
        (Edge::Cloudflare, word("cf-cache-status")),
        (Edge::CloudFront, x_cache(&cloudfront.join(","))),
        (Edge::Vercel, word("x-vercel-cache")),
        (Edge::Bunny, word("cdn-cache")),
        (
            one_of(&[Edge::Netlify, Edge::Akamai, Edge::Fastly, Edge::Squid]),
            answer.header("cache-status").map_or(Verdict::Unknown, |v| cache_status(&v)),
        ),
        (one_of(&[Edge::Akamai, Edge::Fastly, Edge::Varnish, Edge::Squid]), x_cache(&others.join(","))),
        (Edge::Nginx, word("x-cache-status")),
        (Edge::Nginx, word("x-proxy-cache")),
    ];
    all.retain(|(_, v)| *v != Verdict::Unknown);
    if answer.header("age").and_then(|a| a.split(',').next()?.trim().parse::<u64>().ok()).is_some_and(|age| age > 0) {
        // Who has told already is not the one that kept it so long.
        let by = on_the_way.iter().copied().find(|e| all.iter().all(|(told, _)| told != e));
        all.push((by.unwrap_or(Edge::Other), Verdict::Hit));
    }
    match answer.header("x-varnish").map(|v| v.split_whitespace().count()) {
        Some(2) => all.push((Edge::Varnish, Verdict::Hit)),
        Some(1) => all.push((Edge::Varnish, Verdict::Miss)),
        _ => {}
    }
    all
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
            (&[("x-cache", "Error from cloudfront")], Some(Edge::Other), Verdict::Unknown),
            (&[("x-cache", "LimitExceeded from cloudfront"), ("x-amz-cf-id", "1")], Some(Edge::CloudFront), Verdict::Unknown),
        ];
        for (headers, edge_wanted, verdict_wanted) in cases {
            let answer = with(headers);
            assert_eq!((edge(&answer), verdict(&answer)), (*edge_wanted, *verdict_wanted), "{headers:?}");
        }
    }

    #[test]
    fn a_hit_of_any_cache_on_the_way_is_one_and_names_it() {
        let cloudflare = |status: &'static str| ("cf-cache-status", status);
        type Case<'a> = (&'a [(&'a str, &'a str)], Option<Edge>, bool);
        let cases: &[Case] = &[
            (&[cloudflare("DYNAMIC"), ("x-cache-status", "HIT")], Some(Edge::Nginx), true),
            (&[cloudflare("BYPASS"), ("x-varnish", "5 3"), ("via", "1.1 varnish")], Some(Edge::Varnish), true),
            (&[cloudflare("DYNAMIC"), ("x-vercel-cache", "HIT"), ("server", "cloudflare")], Some(Edge::Vercel), true),
            (&[cloudflare("DYNAMIC"), ("x-cache", "HIT from h"), ("via", "1.1 h (squid/5.7)")], Some(Edge::Squid), true),
            (&[cloudflare("DYNAMIC"), ("age", "30")], Some(Edge::Other), true),
            (&[("cf-ray", "1"), ("age", "30")], Some(Edge::Cloudflare), true),
            (&[("x-cache", "Miss from cloudfront"), ("x-cache", "HIT"), ("x-amz-cf-pop", "FRA")], Some(Edge::Other), false),
            (&[("x-cache", "Miss from cloudfront"), ("x-cache-status", "HIT")], Some(Edge::Nginx), false),
            (&[cloudflare("MISS"), ("x-cache-status", "HIT")], Some(Edge::Nginx), false),
            // A kept answer carries the inner cache's word of the day it was fetched.
            (&[cloudflare("HIT"), ("x-cache-status", "MISS")], Some(Edge::Cloudflare), true),
            (&[cloudflare("DYNAMIC"), ("x-cache-status", "MISS"), ("x-varnish", "5")], None, false),
            (&[cloudflare("DYNAMIC")], None, false),
            (&[], None, false),
        ];
        for (headers, by, kept) in cases {
            let answer = with(headers);
            assert_eq!((answered_by(&answer), is_kept(&answer)), (*by, *kept), "{headers:?}");
            assert_eq!(verdict(&answer) == Verdict::Hit, by.is_some(), "{headers:?}");
        }
        assert_eq!(verdict(&with(&[cloudflare("DYNAMIC"), ("x-varnish", "5")])), Verdict::Dynamic, "the outermost one that tells");
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
