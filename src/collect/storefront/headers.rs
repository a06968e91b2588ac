//! Which headers enter the evidence. Only those that say something about caching, encoding and the servers on the way keep their
//! value; cookies keep their name and attributes.

use reqwest::header::HeaderMap;
use url::Url;

const HEADERS_MAX: usize = 80;
const VALUE_CHARS_MAX: usize = 500;

const KEPT: &[&str] = &[
    "accept-ranges",
    "age",
    "alt-svc",
    "cache-control",
    "cache-status",
    "cdn-cache-control",
    "cloudflare-cdn-cache-control",
    "content-encoding",
    "content-length",
    "content-type",
    "date",
    "etag",
    "expires",
    "last-modified",
    "netlify-cdn-cache-control",
    "netlify-vary",
    "pragma",
    "server",
    "strict-transport-security",
    "surrogate-control",
    "transfer-encoding",
    "vary",
    "vercel-cdn-cache-control",
    "via",
    "x-accel-expires",
    "x-cache",
    "x-cache-hits",
    "x-cache-lookup",
    "x-cache-status",
    "x-matched-path",
    "x-powered-by",
    "x-proxy-cache",
    "x-served-by",
    "x-timer",
    "x-varnish",
];
const KEPT_PREFIXES: &[&str] = &["cf-", "x-amz-cf-", "x-nextjs-", "x-vercel-", "x-nf-", "cdn-", "akamai-", "x-akamai-", "x-fastly-", "fastly-"];

/// Lower-case names and values in the order received.
pub fn kept(headers: &HeaderMap) -> Vec<(String, String)> {
    headers.iter().take(HEADERS_MAX).filter_map(|(name, value)| reduced(name.as_str(), &String::from_utf8_lossy(value.as_bytes()))).collect()
}

fn reduced(name: &str, value: &str) -> Option<(String, String)> {
    if name == "set-cookie" {
        return Some((name.to_owned(), cookie_without_value(value)));
    }
    let is_kept = KEPT.contains(&name) || KEPT_PREFIXES.iter().any(|p| name.starts_with(p));
    // An address or account has no place in any of them.
    if !is_kept || value.contains('@') {
        return None;
    }
    let value: String = value.chars().filter(|c| !c.is_control()).take(VALUE_CHARS_MAX).collect();
    Some((name.to_owned(), value))
}

/// `connect.sid=s%3A…; Path=/; HttpOnly` becomes `connect.sid; Path=/; HttpOnly`.
fn cookie_without_value(cookie: &str) -> String {
    let mut parts = cookie.split(';').map(str::trim);
    let name = parts.next().and_then(|p| p.split('=').next()).unwrap_or("").chars().take(80).collect::<String>();
    let is_known = |a: &&str| {
        let key = a.split('=').next().unwrap_or("").trim().to_ascii_lowercase();
        matches!(key.as_str(), "path" | "domain" | "expires" | "max-age" | "httponly" | "secure" | "samesite" | "partitioned" | "priority")
    };
    std::iter::once(name).chain(parts.filter(is_known).map(|a| a.chars().take(80).collect())).collect::<Vec<_>>().join("; ")
}

/// Scheme, host and path.
pub fn without_query(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_lose_their_value() {
        assert_eq!(cookie_without_value("connect.sid=s%3Asecret.sig; Path=/; HttpOnly; token=x"), "connect.sid; Path=/; HttpOnly");
        assert_eq!(cookie_without_value("novalue"), "novalue");
    }

    #[test]
    fn only_what_is_judged_is_kept() {
        let mut headers = HeaderMap::new();
        for (n, v) in [("cf-cache-status", "HIT"), ("x-user", "jane@example.com"), ("etag", "\"a@b\""), ("authorization", "Bearer x"), ("age", "3")] {
            headers.insert(n, v.parse().unwrap());
        }
        assert_eq!(kept(&headers), vec![("cf-cache-status".to_owned(), "HIT".to_owned()), ("age".to_owned(), "3".to_owned())]);
    }
}
