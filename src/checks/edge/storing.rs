//! What becomes of the origin's answer at the edge.

use super::request::Request;
use super::zone::{Decision, EdgeTtl, Fate};
use crate::checks::http::{CacheControl, own_cookies};
use crate::evidence::storefront::Answer;

/// Whether the edge keeps an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stored {
    /// For so many seconds; 0 is kept and asked about each time.
    Kept {
        seconds: i64,
        because: String,
    },
    NotKept {
        because: String,
    },
    NotTold {
        because: String,
    },
}

impl Stored {
    fn not(because: impl Into<String>) -> Self {
        Stored::NotKept { because: because.into() }
    }

    fn kept(seconds: i64, because: impl Into<String>) -> Self {
        if seconds < 0 { Self::not(because) } else { Stored::Kept { seconds, because: because.into() } }
    }
}

/// Cloudflare's own lifetimes where the origin gives none, by status, from "Default cache behavior".
const DEFAULT_TTLS: [(u16, i64); 7] = [(200, 7_200), (206, 7_200), (301, 7_200), (302, 1_200), (303, 1_200), (404, 180), (410, 180)];

/// What the edge does with this answer of the origin. `answer` holds the origin's own headers, or those that came through the edge.
pub fn stored(decision: &Decision, request: &Request, answer: &Answer) -> Stored {
    match decision.fate {
        Fate::Bypass => return Stored::not("the cache is bypassed"),
        Fate::NotByDefault => return Stored::not("no rule makes it eligible and its extension is not on Cloudflare's list"),
        Fate::Unclear => return Stored::NotTold { because: format!("not known: {}", decision.unknown.join(", ")) },
        Fate::Eligible | Fate::ByExtension => {}
    }
    if answer.header("vary").is_some_and(|v| v.split(',').any(|p| p.trim() == "*")) {
        return Stored::not("Vary: * is never kept");
    }
    let Some(ttl) = decision.edge_ttl else { return Stored::NotTold { because: "the edge lifetime is not known".to_owned() } };
    if let Some((_, _, seconds)) = decision.status_ttls.iter().rev().find(|(from, to, _)| (*from..=*to).contains(&answer.status)) {
        return Stored::kept(*seconds, format!("a rule's lifetime for status {}", answer.status));
    }
    if let EdgeTtl::Override(seconds) = ttl {
        return Stored::kept(seconds, "a rule's lifetime, whatever the origin says");
    }
    by_headers(ttl, request, answer)
}

fn by_headers(ttl: EdgeTtl, request: &Request, answer: &Answer) -> Stored {
    let targeted = ["cloudflare-cdn-cache-control", "cdn-cache-control", "cache-control"];
    let told = targeted.iter().find_map(|name| Some((*name, answer.header(name)?)));
    let control = told.as_ref().map(|(_, value)| CacheControl::parse(value)).unwrap_or(CacheControl::parse(""));
    let said = told.as_ref().map_or_else(|| "no Cache-Control".to_owned(), |(name, value)| format!("{name}: {value}"));
    if let Some(word) = ["no-store", "private"].into_iter().find(|w| control.has(w)) {
        return Stored::not(format!("the origin says {word}"));
    }
    let cookies = own_cookies(answer);
    if !cookies.is_empty() {
        return Stored::not(format!("the answer sets {}", cookies.join(", ")));
    }
    let is_shared = control.has("public") || control.has("must-revalidate") || control.seconds("s-maxage").is_some();
    if request.headers.iter().any(|(n, _)| n == "authorization") && !is_shared {
        return Stored::not("the request carries Authorization and the answer is not marked public");
    }
    if control.has("no-cache") {
        return Stored::not("the origin says no-cache");
    }
    match control.shared_seconds() {
        Some(0) => Stored::not(format!("the origin's lifetime is 0 ({said})")),
        Some(seconds) => Stored::kept(i64::try_from(seconds).unwrap_or(i64::MAX), said),
        None if answer.header("expires").is_some() => Stored::NotTold { because: "the lifetime is in Expires, which is not read here".to_owned() },
        None if ttl == EdgeTtl::BypassByDefault => Stored::not("the origin gives no lifetime, and the rule asks for one"),
        None => match DEFAULT_TTLS.iter().find(|(status, _)| *status == answer.status) {
            Some((_, seconds)) => Stored::kept(*seconds, format!("Cloudflare's default for status {}: {said}", answer.status)),
            None => Stored::not(format!("no lifetime, and none by default for status {}", answer.status)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{eligible, zone_of};
    use super::super::zone::decide;
    use super::*;
    use crate::checks::http::fixtures::answer;

    fn of(rules: Vec<crate::evidence::cdn::CacheRule>, headers: &[(&str, &str)]) -> Stored {
        let request = Request::get("shop.example.com", "/us/products/x");
        stored(&decide(&zone_of(rules), &request), &request, &answer(headers))
    }

    fn seconds(stored: &Stored) -> Option<i64> {
        if let Stored::Kept { seconds, .. } = stored { Some(*seconds) } else { None }
    }

    #[test]
    fn the_origins_headers_decide_unless_a_rule_overrides() {
        let respect = || vec![eligible("true", None)];
        assert_eq!(seconds(&of(respect(), &[("cache-control", "public, s-maxage=60, max-age=5")])), Some(60));
        assert_eq!(seconds(&of(respect(), &[("cache-control", "no-store"), ("cdn-cache-control", "max-age=9")])), Some(9));
        assert_eq!(seconds(&of(respect(), &[])), Some(7_200));
        for headers in [
            [("cache-control", "private, max-age=9")],
            [("cache-control", "no-store")],
            [("cache-control", "no-cache")],
            [("cache-control", "max-age=0")],
            [("set-cookie", "connect.sid; Path=/")],
            [("vary", "Accept, *")],
        ] {
            assert_eq!(seconds(&of(respect(), &headers)), None, "{headers:?}");
        }
        let always = || vec![eligible("true", Some(14_400))];
        assert_eq!(seconds(&of(always(), &[("cache-control", "no-store"), ("set-cookie", "_medusa_cache_id; Path=/")])), Some(14_400));
        assert_eq!(seconds(&of(always(), &[("vary", "*")])), None);
    }

    #[test]
    fn without_a_rule_a_page_is_not_kept() {
        assert!(matches!(of(vec![], &[("cache-control", "s-maxage=60")]), Stored::NotKept { .. }));
    }

    #[test]
    fn statuses_and_missing_lifetimes_have_their_own() {
        let mut rule = eligible("true", None);
        rule.edge_ttl_mode = Some("bypass_by_default".into());
        assert_eq!(seconds(&of(vec![rule.clone()], &[])), None);
        rule.status_ttls = vec![crate::evidence::cdn::StatusTtl { from: 200, to: 299, ttl_s: 30 }];
        assert_eq!(seconds(&of(vec![rule.clone()], &[])), Some(30));
        rule.status_ttls[0].ttl_s = -1;
        assert_eq!(seconds(&of(vec![rule], &[])), None);
    }
}
