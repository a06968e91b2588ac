//! What URL rewrites (phase `http_request_transform`) make of a request before cache rules and the cache key see it.

use serde_json::Value;

use super::eval::Truth;
use super::request::Request;
use crate::evidence::cdn::PhaseRule;

/// A request behind the zone's URL rewrites.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rewritten {
    pub request: Request,
    /// What a rewrite asks for that is not told: the request may look otherwise.
    pub unknown: Vec<String>,
}

/// Each rule sees the request as it came in; of those that match, the last one to write a part of the address wins.
pub fn rewritten(rules: &[PhaseRule], request: &Request) -> Rewritten {
    let (path, mut unknown) = written(rules, request, "path");
    let (query, more) = written(rules, request, "query");
    unknown.extend(more);
    let mut request = request.clone();
    request.path = path.unwrap_or(request.path);
    request.query = query.unwrap_or(request.query);
    Rewritten { request, unknown }
}

/// What a part of the address surely becomes, if anything.
fn written(rules: &[PhaseRule], request: &Request, part: &str) -> (Option<String>, Vec<String>) {
    let (mut sure, mut unknown) = (None, Vec::new());
    for rule in rules.iter().filter(|r| r.is_enabled) {
        let Ok(parameters) = serde_json::from_str::<Value>(&rule.parameters) else {
            unknown.push("a URL rewrite that could not be read".to_owned());
            continue;
        };
        let to = &parameters["uri"][part];
        if to.is_null() {
            continue;
        }
        let answered = super::matches(&rule.expression, request);
        match (answered.truth, made(to, request)) {
            (Truth::No, _) => {}
            (Truth::Yes, Ok(text)) => {
                sure = Some(text);
                unknown.clear();
            }
            (Truth::Yes, Err(what)) => unknown.push(what),
            (Truth::Unknown, _) => unknown.extend(answered.unknown),
        }
    }
    (sure, unknown)
}

/// `{"value": …}` as it stands, `{"expression": …}` worked out.
fn made(to: &Value, request: &Request) -> Result<String, String> {
    match (to["value"].as_str(), to["expression"].as_str()) {
        (Some(value), _) => Ok(value.to_owned()),
        (None, Some(expression)) => super::text(expression, request),
        (None, None) => Err("a URL rewrite that could not be read".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::phase_rule;
    use super::*;

    fn of(rules: &[PhaseRule], uri: &str) -> (String, bool) {
        let rewritten = rewritten(rules, &Request::get("shop.example.com", uri));
        (rewritten.request.uri(), rewritten.unknown.is_empty())
    }

    fn strip(expression: &str) -> PhaseRule {
        let parameters = r#"{"uri":{"query":{"expression":"remove_query_args(http.request.uri.query, \"gclid\", \"utm_source\")"}}}"#;
        phase_rule("Strip", expression, parameters)
    }

    #[test]
    fn parameters_are_removed_where_the_rule_matches() {
        let uri = "/us/products/x?page=2&gclid=1&utm_source=a&gclid=2&v=3";
        assert_eq!(of(&[strip("true")], uri), ("/us/products/x?page=2&v=3".into(), true));
        assert_eq!(of(&[strip("http.request.uri.path eq \"/\"")], uri), (uri.into(), true));
        assert_eq!(of(&[PhaseRule { is_enabled: false, ..strip("true") }], uri), (uri.into(), true));
        assert_eq!(of(&[strip("true")], "/a?gclid=1"), ("/a".into(), true));
        assert_eq!(of(&[], uri), (uri.into(), true));
    }

    #[test]
    fn the_last_rule_wins_and_what_is_not_told_stays_so() {
        let fixed = phase_rule("Fixed", "true", r#"{"uri":{"query":{"value":"a=1"},"path":{"value":"/b"}}}"#);
        assert_eq!(of(&[strip("true"), fixed.clone()], "/x?gclid=1"), ("/b?a=1".into(), true));
        assert_eq!(of(&[strip("ip.src.country eq \"DE\"")], "/x?gclid=1"), ("/x?gclid=1".into(), false));
        assert_eq!(of(&[strip("ip.src.country eq \"DE\""), fixed], "/x?gclid=1"), ("/b?a=1".into(), true));
        let regex = phase_rule("Regex", "true", r#"{"uri":{"query":{"expression":"regex_replace(http.request.uri.query, \"gclid=1\", \"\")"}}}"#);
        assert!(!of(&[regex], "/x?gclid=1").1);
        assert!(!of(&[phase_rule("Torn", "true", "{")], "/x").1);
        // Rules that change headers alone leave the address.
        assert_eq!(of(&[phase_rule("Header", "true", r#"{"headers":{"x":{"operation":"remove"}}}"#)], "/x"), ("/x".into(), true));
    }
}
