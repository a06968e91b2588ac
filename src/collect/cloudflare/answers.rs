//! The shapes of Cloudflare's REST answers, tolerant of what they leave out, strict about what we read.

use serde::Deserialize;
use serde_json::Value;

use crate::evidence::cdn::{CacheRule, PageRule, PhaseRule, StatusTtl, ZoneSetting};

#[derive(Deserialize)]
struct SettingAnswer {
    id: String,
    #[serde(default)]
    value: Value,
    /// Absent on settings of the certificate kind: those are editable by their own endpoint.
    #[serde(default)]
    editable: Option<bool>,
}

/// From `/zones/{id}/settings/{setting}`.
pub fn one_setting(result: &Value) -> Result<ZoneSetting, String> {
    let answer = SettingAnswer::deserialize(result).map_err(|e| e.to_string())?;
    Ok(ZoneSetting { id: answer.id, value: answer.value.to_string(), is_editable: answer.editable.unwrap_or(true) })
}

/// From `/zones/{id}/settings`, sorted by id.
pub fn settings(result: &Value) -> Result<Vec<ZoneSetting>, String> {
    let answers: Vec<SettingAnswer> = list(result)?;
    let mut all: Vec<ZoneSetting> =
        answers.into_iter().map(|a| ZoneSetting { id: a.id, value: a.value.to_string(), is_editable: a.editable.unwrap_or(true) }).collect();
    all.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(all)
}

#[derive(Deserialize)]
struct RulesetAnswer {
    #[serde(default)]
    rules: Option<Vec<RuleAnswer>>,
}

#[derive(Deserialize)]
struct RuleAnswer {
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    expression: Option<String>,
    #[serde(default)]
    enabled: Option<bool>,
    #[serde(default)]
    action_parameters: Option<Value>,
}

#[derive(Deserialize, Default)]
struct ActionAnswer {
    cache: Option<bool>,
    edge_ttl: Option<TtlAnswer>,
    browser_ttl: Option<TtlAnswer>,
    cache_key: Option<Value>,
    serve_stale: Option<StaleAnswer>,
    respect_strong_etags: Option<bool>,
    origin_cache_control: Option<bool>,
    vary: Option<Value>,
}

#[derive(Deserialize, Default)]
struct TtlAnswer {
    mode: Option<String>,
    default: Option<i64>,
    #[serde(default)]
    status_code_ttl: Option<Vec<StatusAnswer>>,
}

#[derive(Deserialize)]
struct StaleAnswer {
    disable_stale_while_updating: Option<bool>,
}

/// One status, or a range of which either end may be open.
#[derive(Deserialize)]
struct StatusAnswer {
    status_code: Option<u16>,
    status_code_range: Option<RangeAnswer>,
    value: i64,
}

#[derive(Deserialize)]
struct RangeAnswer {
    from: Option<u16>,
    to: Option<u16>,
}

impl StatusAnswer {
    fn ttl(self) -> StatusTtl {
        let (from, to) = match (self.status_code, self.status_code_range) {
            (Some(status), _) => (status, status),
            (None, Some(range)) => (range.from.unwrap_or(100), range.to.unwrap_or(999)),
            (None, None) => (100, 999),
        };
        StatusTtl { from, to, ttl_s: self.value }
    }
}

/// From a ruleset of the phase `http_request_cache_settings`, in order of evaluation.
pub fn cache_rules(result: &Value) -> Result<Vec<CacheRule>, String> {
    let ruleset = RulesetAnswer::deserialize(result).map_err(|e| e.to_string())?;
    ruleset.rules.unwrap_or(Vec::new()).into_iter().zip(1..).map(|(rule, position)| cache_rule(rule, position)).collect()
}

fn cache_rule(rule: RuleAnswer, position: u32) -> Result<CacheRule, String> {
    let action = match rule.action_parameters {
        Some(parameters) => serde_json::from_value(parameters).map_err(|e| e.to_string())?,
        None => ActionAnswer::default(),
    };
    let (edge, browser) = (action.edge_ttl.unwrap_or(TtlAnswer::default()), action.browser_ttl.unwrap_or(TtlAnswer::default()));
    Ok(CacheRule {
        position,
        description: told(rule.description),
        expression: told(rule.expression),
        // The API leaves `enabled` out of rules that were never switched off.
        is_enabled: rule.enabled.unwrap_or(true),
        cache: action.cache,
        edge_ttl_mode: edge.mode,
        edge_ttl_s: edge.default,
        browser_ttl_mode: browser.mode,
        browser_ttl_s: browser.default,
        cache_key: action.cache_key.map(|k| k.to_string()),
        status_ttls: edge.status_code_ttl.into_iter().flatten().map(StatusAnswer::ttl).collect(),
        serves_stale: action.serve_stale.and_then(|s| s.disable_stale_while_updating).map(|is_off| !is_off),
        respects_strong_etags: action.respect_strong_etags,
        origin_cache_control: action.origin_cache_control,
        vary: action.vary.map(|v| v.to_string()),
    })
}

/// Rules without a description are common; one without an expression matches nothing that could be judged.
fn told(text: Option<String>) -> String {
    text.into_iter().collect()
}

/// From a ruleset of any other phase, in order of evaluation.
pub fn phase_rules(result: &Value) -> Result<Vec<PhaseRule>, String> {
    let ruleset = RulesetAnswer::deserialize(result).map_err(|e| e.to_string())?;
    let rule = |rule: RuleAnswer| PhaseRule {
        description: told(rule.description),
        expression: told(rule.expression),
        is_enabled: rule.enabled.unwrap_or(true),
        parameters: rule.action_parameters.map_or_else(String::new, |p| p.to_string()),
    };
    Ok(ruleset.rules.unwrap_or(Vec::new()).into_iter().map(rule).collect())
}

#[derive(Deserialize)]
struct PageRuleAnswer {
    #[serde(default)]
    targets: Vec<PageTarget>,
    #[serde(default)]
    actions: Vec<PageAction>,
    #[serde(default)]
    priority: i64,
    status: String,
}

#[derive(Deserialize)]
struct PageTarget {
    constraint: PageConstraint,
}

#[derive(Deserialize)]
struct PageConstraint {
    value: String,
}

#[derive(Deserialize)]
struct PageAction {
    id: String,
    /// Flags such as `disable_apps` have none.
    #[serde(default)]
    value: Option<Value>,
}

/// From `/zones/{id}/pagerules`, highest priority first.
pub fn page_rules(result: &Value) -> Result<Vec<PageRule>, String> {
    let answers: Vec<PageRuleAnswer> = list(result)?;
    let mut all: Vec<PageRule> = answers
        .into_iter()
        .map(|a| PageRule {
            priority: a.priority,
            target: a.targets.into_iter().map(|t| t.constraint.value).collect::<Vec<_>>().join(" "),
            is_active: a.status == "active",
            actions: a.actions.into_iter().map(|x| (x.id, x.value.map_or_else(String::new, |v| v.to_string()))).collect(),
        })
        .collect();
    all.sort_by(|a, b| b.priority.cmp(&a.priority).then_with(|| a.target.cmp(&b.target)));
    Ok(all)
}

pub(super) fn list<T: serde::de::DeserializeOwned>(result: &Value) -> Result<Vec<T>, String> {
    if !result.is_array() {
        return Err("the answer is not a list".to_owned());
    }
    serde_json::from_value(result.clone()).map_err(|e| e.to_string())
}

/// Path segments after these name a person or an order.
const PERSONAL_FOLDERS: [&str; 10] =
    ["order", "orders", "account", "customers", "carts", "cart", "checkout", "invite", "reset-password", "payment-collections"];
/// Longer segments without a word in them are tokens.
const TOKEN_CHARS_MIN: usize = 20;
const PATH_CHARS_MAX: usize = 200;

/// A path without its query, in which ids, e-mail addresses and tokens are `<id>`.
pub fn reduced_path(path: &str) -> String {
    let path = path.split(['?', '#', ';']).next().unwrap_or("");
    let mut after_person = false;
    let segments = path.split('/').map(|segment| {
        let is_id = after_person && !segment.is_empty() && !is_word(segment);
        after_person = PERSONAL_FOLDERS.contains(&segment.to_ascii_lowercase().as_str()) || (after_person && is_word(segment));
        if is_id || is_token(segment) { "<id>" } else { segment }
    });
    segments.collect::<Vec<_>>().join("/").chars().take(PATH_CHARS_MAX).collect()
}

/// Page names of the storefront under personal folders.
fn is_word(segment: &str) -> bool {
    let words = [
        "details",
        "orders",
        "order",
        "profile",
        "addresses",
        "confirmed",
        "transfer",
        "accept",
        "decline",
        "line-items",
        "complete",
        "me",
        "login",
        "register",
    ];
    words.contains(&segment)
}

fn is_token(segment: &str) -> bool {
    let lower = segment.to_ascii_lowercase();
    if segment.contains('@') || lower.contains("%40") {
        return true;
    }
    // Hashed assets keep their names: the extension tells them from tokens.
    if segment.contains('.') && !segment.starts_with("ey") {
        return false;
    }
    let has_digit = segment.chars().any(|c| c.is_ascii_digit());
    let is_plain = segment.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '%' | '=' | '+'));
    let is_medusa_id = ["cart_", "order_", "cus_", "reg_", "paycol_"].iter().any(|p| lower.starts_with(p));
    let is_slug = segment.split('-').all(|w| w.len() < 12);
    is_medusa_id || (segment.len() >= TOKEN_CHARS_MIN && has_digit && is_plain && !is_slug) || is_uuid(segment)
}

fn is_uuid(segment: &str) -> bool {
    segment.len() == 36 && segment.split('-').map(str::len).eq([8, 4, 4, 4, 12]) && segment.chars().all(|c| c == '-' || c.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lose_whatever_may_name_a_person() {
        let pairs = [
            ("/us/order/order_01HXYZ/confirmed?x=1", "/us/order/<id>/confirmed"),
            ("/account/orders/details/order_01H", "/account/orders/details/<id>"),
            ("/us/account/jane", "/us/account/<id>"),
            ("/u/jane@example.com", "/u/<id>"),
            ("/u/jane%40example.com", "/u/<id>"),
            ("/store/carts/cart_01HXYZABC/line-items", "/store/carts/<id>/line-items"),
            ("/reset/eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOjF9.abc", "/reset/<id>"),
            ("/x/8f14e45f-ceea-4672-8b5a-1a2b3c4d5e6f", "/x/<id>"),
            ("/us/products/medusa-winter-jacket-2025-edition", "/us/products/medusa-winter-jacket-2025-edition"),
            ("/_next/static/chunks/webpack-5adebf9f62dc3001.js", "/_next/static/chunks/webpack-5adebf9f62dc3001.js"),
            ("/", "/"),
        ];
        for (given, wanted) in pairs {
            assert_eq!(reduced_path(given), wanted, "{given}");
        }
    }

    #[test]
    fn a_rule_without_parameters_is_read() {
        let rules = cache_rules(&serde_json::json!({ "rules": [{ "action": "set_cache_settings" }] })).unwrap();
        assert_eq!((rules[0].position, rules[0].cache, rules[0].is_enabled), (1, None, true));
        assert_eq!(cache_rules(&serde_json::json!({ "id": "x" })).unwrap(), vec![]);
        assert!(settings(&serde_json::json!({})).is_err());
    }
}
