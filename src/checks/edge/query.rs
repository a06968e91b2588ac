//! Who leaves a query parameter out of the cache key, and how that is narrowed.

use super::eval::Truth;
use super::key::CacheKey;
use super::page_rules::{action, first_match, text_action};
use super::remedy::setting as setting_remedy;
use super::request::Request;
use super::zone::setting;
use crate::evidence::cdn::Cloudflare;
use crate::finding::{Remedy, RemedyKind};

const RISK: &str = "Low: for this path alone addresses with different queries become different entries.";

/// Keeps the whole query of the request's path in the key: changes the rule or setting that drops `parameter`. Where the zone tells of none, the
/// places to look at. A rule added behind does not: one without a key leaves that of the rules before it.
pub fn keep_query(zone: Option<&Cloudflare>, request: &Request, parameter: &str) -> Remedy {
    zone.and_then(|zone| by_cache_rule(zone, request, parameter).or_else(|| by_page_rule(zone, request, parameter)).or_else(|| by_level(zone)))
        .unwrap_or_else(|| somewhere(request))
}

fn by_cache_rule(zone: &Cloudflare, request: &Request, parameter: &str) -> Option<Remedy> {
    let matching = zone.cache_rules().ok()?.iter().rev().filter(|r| r.is_enabled && super::matches(&r.expression, request).truth == Truth::Yes);
    let (rule, key) = matching.filter_map(|r| Some((r, CacheKey::of_rule(r.cache_key.as_deref()?)?))).next()?;
    let name = if rule.description.is_empty() { crate::text::cut(&rule.expression, 60) } else { rule.description.clone() };
    let text = format!(
        "// Dashboard: Caching → Cache Rules → {name} → Edit expression:\n(({}) and {})\n\
         // API: PATCH /zones/{{zone_id}}/rulesets/{{ruleset_id}}/rules/{{rule_id}} with this expression and the rest of the rule as it is",
        rule.expression,
        without(request)
    );
    (!key.holds(parameter)).then(|| remedy(text))
}

fn by_page_rule(zone: &Cloudflare, request: &Request, parameter: &str) -> Option<Remedy> {
    let rule = first_match(zone.page_rules().ok()?, request)?;
    let is_level = text_action(rule, "cache_level") == Some("simplified");
    let is_key = action(rule, "cache_key_fields").and_then(CacheKey::of_fields).is_some_and(|key| !key.holds(parameter));
    let text = format!(
        "// Dashboard: Rules → Page Rules → Create Page Rule, above \"{}\", for only the first that matches applies\n// URL: {}{}*\n// Setting: Cache Level: Standard",
        rule.target, request.host, request.path
    );
    (is_level || is_key).then(|| remedy(text))
}

fn by_level(zone: &Cloudflare) -> Option<Remedy> {
    let place = "Caching → Configuration → Caching Level → Standard";
    let risk = "Low: addresses with different queries become different entries, files too; tracking parameters then cost hits.";
    let is_level = matches!(setting(zone, "cache_level"), Ok(Some("simplified")));
    is_level.then(|| setting_remedy(LABEL, place, "cache_level", "\"aggressive\"", risk, "Set the value back."))
}

fn somewhere(request: &Request) -> Remedy {
    remedy(format!(
        "// Dashboard, whichever of them drops the query string:\n\
         // Caching → Cache Rules → the rule whose cache key ignores it → Edit expression: (…) and {}\n\
         // Rules → Page Rules → a rule for {}{}* above the one that ignores it, with Cache Level: Standard\n\
         // Caching → Configuration → Caching Level → Standard",
        without(request),
        request.host,
        request.path
    ))
}

const LABEL: &str = "Keep the query string in the key";

fn without(request: &Request) -> String {
    format!("http.request.uri.path ne \"{}\"", request.path)
}

fn remedy(text: String) -> Remedy {
    Remedy {
        kind: RemedyKind::Cloudflare,
        label: LABEL.to_owned(),
        text,
        lock: None,
        risk: RISK.to_owned(),
        undo: Some("Restore the rule as it was.".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{eligible, page_rule, set, zone_of};
    use super::super::{decide, parse};
    use super::*;
    use crate::evidence::cdn::CacheRule;

    const IGNORED: &str = r#"{"custom_key":{"query_string":{"exclude":"*"}}}"#;

    fn picture() -> Request {
        Request::get("shop.example.com", "/_next/image?url=a&w=64&q=75")
    }

    fn text(zone: &Cloudflare) -> String {
        keep_query(Some(zone), &picture(), "w").text
    }

    #[test]
    fn the_rule_that_drops_the_query_leaves_the_path_out() {
        let all = CacheRule { description: "All".into(), cache_key: Some(IGNORED.into()), ..eligible("http.host eq \"shop.example.com\"", None) };
        let mut zone = zone_of(vec![all, eligible("true", None)]);
        assert!(!decide(&zone, &picture()).key.unwrap().holds("w"));
        let text = text(&zone);
        let expression = text.lines().find(|l| !l.starts_with("//")).unwrap();
        parse(expression).unwrap();
        assert!(text.contains("Cache Rules → All"), "{text}");
        zone.cache_rules.as_mut().unwrap()[0].expression = expression.to_owned();
        assert!(decide(&zone, &picture()).key.unwrap().holds("w"));
        assert!(!decide(&zone, &Request::get("shop.example.com", "/us?w=1")).key.unwrap().holds("w"), "the rule keeps its own for the others");
    }

    #[test]
    fn page_rules_and_the_level_are_named_where_they_drop_it() {
        let mut zone = zone_of(vec![]);
        assert!(text(&zone).contains("whichever"), "a zone that drops nothing");
        assert!(keep_query(None, &picture(), "w").text.contains("Caching Level"));
        zone.settings = Ok(vec![set("cache_level", "\"simplified\"")]);
        assert!(text(&zone).contains("settings/cache_level"));
        zone.page_rules = Ok(vec![page_rule(1, "*example.com/*", &[("cache_level", "\"simplified\"")])]);
        assert!(text(&zone).contains("above \"*example.com/*\"") && text(&zone).contains("shop.example.com/_next/image*"));
    }
}
