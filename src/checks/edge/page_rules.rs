//! The older page rules: the first active one that matches, by priority, and nothing of the others.

use super::eval::{Truth, wildcard};
use super::request::Request;
use crate::evidence::cdn::PageRule;

/// The page rule that applies, of rules sorted by priority, highest first.
pub fn first_match<'r>(rules: &'r [PageRule], request: &Request) -> Option<&'r PageRule> {
    let mut active: Vec<&PageRule> = rules.iter().filter(|r| r.is_active).collect();
    active.sort_by_key(|r| std::cmp::Reverse(r.priority));
    active.into_iter().find(|r| is_match(&r.target, request))
}

/// `*example.com/images/*`: with a scheme it is held against the whole address, else against host, path and query.
fn is_match(target: &str, request: &Request) -> bool {
    let full = request.full_uri().to_lowercase();
    let target = target.to_lowercase();
    let without_scheme = full.split_once("://").map_or(full.as_str(), |(_, rest)| rest);
    let seen = if target.contains("://") { full.as_str() } else { without_scheme };
    // A host alone stands for its root.
    let target = if target.contains('*') || target.trim_start_matches("https://").contains('/') { target } else { format!("{target}/") };
    wildcard(&target, seen)
}

/// The value of an action as JSON text; empty for flags.
pub fn action<'r>(rule: &'r PageRule, id: &str) -> Option<&'r str> {
    rule.actions.iter().find(|(a, _)| a == id).map(|(_, value)| value.as_str())
}

/// A text value without its quotes.
pub fn text_action<'r>(rule: &'r PageRule, id: &str) -> Option<&'r str> {
    action(rule, id).map(|v| v.trim_matches('"'))
}

/// Whether "Bypass Cache on Cookie" catches the request: alternatives between bars, each held against a cookie's `name=value`, `.*` for anything.
/// Surely, where an alternative fits a cookie from its start; surely not, where none fits anywhere in the header; else it cannot be told, for
/// Cloudflare documents no more than the two signs.
pub fn bypasses_cookie(rule: &PageRule, pattern: &str, request: &Request) -> Truth {
    if request.cookies.is_empty() {
        return Truth::No;
    }
    // "Cache on Cookie" takes precedence where both are set.
    let is_replaced = action(rule, "cache_on_cookie").is_some();
    let is_documented = pattern.replace(".*", "").chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '=' | '.' | '%' | ':' | '|'));
    if is_replaced || !is_documented {
        return Truth::Unknown;
    }
    let fits = |part: &str| {
        let begins = format!("{}*", part.replace(".*", "*"));
        !part.is_empty() && request.cookies.iter().any(|(name, value)| wildcard(&begins, &format!("{name}={value}")))
    };
    // A dot alone may stand for any character.
    let header = request.cookie_header().to_lowercase();
    let may_fit = |part: &str| wildcard(&format!("*{}*", part.to_lowercase().replace('.', "*")), &header);
    if pattern.split('|').any(fits) {
        Truth::Yes
    } else if pattern.split('|').any(may_fit) {
        Truth::Unknown
    } else {
        Truth::No
    }
}

pub fn seconds_action(rule: &PageRule, id: &str) -> Option<i64> {
    action(rule, id)?.trim_matches('"').parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(priority: i64, target: &str, is_active: bool) -> PageRule {
        PageRule { priority, target: target.into(), is_active, actions: vec![("browser_cache_ttl".into(), "1800".into())] }
    }

    #[test]
    fn the_first_active_one_by_priority_applies() {
        let rules = [rule(1, "*example.com/*", true), rule(3, "*example.com/images/*", true), rule(9, "*", false)];
        let at = |path: &str| first_match(&rules, &Request::get("shop.example.com", path)).map(|r| r.priority);
        assert_eq!((at("/images/a.png"), at("/x")), (Some(3), Some(1)));
        assert!(first_match(&rules, &Request::get("other.net", "/")).is_none());
        assert_eq!(seconds_action(&rules[0], "browser_cache_ttl"), Some(1_800));
    }

    #[test]
    fn schemes_queries_and_bare_hosts_are_held_against() {
        let is = |target: &str, path: &str| is_match(target, &Request::get("example.com", path));
        assert!(is("https://example.com/*", "/a") && !is("http://example.com/*", "/a"));
        assert!(is("example.com/a*", "/a?b=1") && !is("example.com/a", "/a?b=1"));
        assert!(is("example.com", "/") && !is("example.com", "/a"));
    }

    #[test]
    fn cookies_are_held_against_the_documented_signs() {
        let with = |pattern: &str, cookies: &[&str]| {
            let request = cookies.iter().fold(Request::get("example.com", "/"), |r, name| r.with_cookie(name, "1"));
            bypasses_cookie(&rule(1, "*", true), pattern, &request)
        };
        for (pattern, cookies, wanted) in [
            (".*", &[][..], Truth::No),
            (".*", &["_ga"][..], Truth::Yes),
            ("bypass=.*|PHPSESSID=.*", &["_ga", "PHPSESSID"][..], Truth::Yes),
            ("bypass=.*|PHPSESSID=.*", &["_ga"][..], Truth::No),
            ("t.*st=", &["teeest"][..], Truth::Yes),
            ("connect.sid=.*", &["connect.sid"][..], Truth::Yes),
            ("connect.sid=.*", &["_medusa_cart_id"][..], Truth::No),
            ("cart_id=.*", &["_medusa_cart_id"][..], Truth::Unknown),
            ("^_ga", &["_ga"][..], Truth::Unknown),
            ("[_a-z]+=.*", &["_ga"][..], Truth::Unknown),
        ] {
            assert_eq!(with(pattern, cookies), wanted, "{pattern} with {cookies:?}");
        }
        let both = PageRule { actions: vec![("cache_on_cookie".into(), "\"_ga=.*\"".into())], ..rule(1, "*", true) };
        assert_eq!(bypasses_cookie(&both, ".*", &Request::get("example.com", "/").with_cookie("_ga", "1")), Truth::Unknown);
    }
}
