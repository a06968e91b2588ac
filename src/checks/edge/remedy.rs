//! Cache rules as they are applied: dashboard words, API JSON, Terraform. Every rule offered is one that cannot hand a cart to the wrong shopper.

use serde_json::{Value, json};

use super::printing::{CACHE_RULES, Phase, URL_REWRITES, quoted, rule_json};
use crate::evidence::cdn::Tracker;
use crate::finding::{Remedy, RemedyKind};

pub use super::printing::remedies;

/// The guide's lifetime of catalogue pages at the edge, seconds.
pub const EDGE_TTL_S: i64 = 14_400;
/// The guide's lifetime of catalogue pages in the browser, seconds.
pub const BROWSER_TTL_S: i64 = 1_800;
/// A day: an optimised picture changes with its address.
const IMAGE_TTL_S: i64 = 86_400;

/// One cache rule, or one URL rewrite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    pub description: &'static str,
    pub expression: String,
    pub action: Action,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Bypass,
    /// Eligible, both lifetimes by the origin's headers.
    RespectOrigin,
    /// Eligible where the origin gives a lifetime, and not otherwise; the browser for so many seconds.
    OriginOrNothing {
        browser_s: i64,
    },
    /// Eligible for so many seconds; redirects and errors are not kept.
    Override {
        edge_s: i64,
        browser_s: Option<i64>,
    },
    /// Tracking parameters are not in the key; eligibility and lifetimes stay as other rules set them. Enterprise.
    KeyWithoutTracking,
    /// A URL rewrite: tracking parameters are gone before the cache is looked at. Every plan.
    RemoveTracking,
}

/// Names of hashed files change with their content.
pub fn hashed_files() -> Rule {
    Rule { description: "Hashed files", expression: "(http.request.uri.path wildcard \"/_next/static/*\")".to_owned(), action: Action::RespectOrigin }
}

/// The optimiser has no extension, so nothing keeps it without a rule; its whole query is in the key by default.
pub fn optimised_images() -> Rule {
    Rule {
        description: "Optimised images",
        expression: "(http.request.uri.path eq \"/_next/image\")".to_owned(),
        action: Action::Override { edge_s: IMAGE_TTL_S, browser_s: None },
    }
}

/// Product, category and collection pages for as long as the storefront says, and not where it says nothing.
pub fn catalogue_pages() -> Rule {
    Rule {
        description: "Catalogue pages",
        // A star spans folders: without the last two conditions the API's own lists would match as well.
        expression: "((http.request.uri.path wildcard \"/*/products/*\" or http.request.uri.path wildcard \"/*/categories/*\" or \
                     http.request.uri.path wildcard \"/*/collections/*\" or http.request.uri.path wildcard \"/*/store\") and \
                     not starts_with(http.request.uri.path, \"/store/\") and not starts_with(http.request.uri.path, \"/admin/\"))"
            .to_owned(),
        action: Action::OriginOrNothing { browser_s: BROWSER_TTL_S },
    }
}

/// Pages asked for with a tracking parameter, which the store's server no longer sees.
pub fn remove_tracking() -> Rule {
    let carries = |name: &str| format!("http.request.uri.query contains \"{name}=\"");
    let any: Vec<String> = Tracker::all_parameters().map(carries).collect();
    Rule {
        description: "Tracking parameters out of the address",
        expression: format!("({} and ({}))", catalogue_pages().expression, any.join(" or ")),
        action: Action::RemoveTracking,
    }
}

/// Pages whose key leaves tracking parameters out.
pub fn key_without_tracking() -> Rule {
    Rule { description: "Tracking parameters out of the key", action: Action::KeyWithoutTracking, ..catalogue_pages() }
}

/// Lists of the store API, for requests that carry no sign-in.
pub fn api_lists() -> Rule {
    Rule {
        description: "Lists of the store API",
        expression: "(http.request.method eq \"GET\" and starts_with(http.request.uri.path, \"/store/products\") and \
                     not any(http.request.headers.names[*] eq \"authorization\"))"
            .to_owned(),
        action: Action::RespectOrigin,
    }
}

/// Shoppers with a cart or an account, signed-in API calls, personal paths and the router's flight data; never the build's own files.
pub fn bypass_shoppers() -> Rule {
    let cookies = ["_medusa_jwt=", "_medusa_cart_id=", "connect.sid=", "medusa_session="];
    let cookies = cookies.map(|c| format!("http.cookie contains \"{c}\""));
    // By whole segments: a product may be called "cartoon".
    let pages = ["cart", "checkout", "account"].into_iter().flat_map(|w| [format!("*/{w}"), format!("*/{w}/*")]);
    let others = ["*/order/*", "/auth/*", "/admin/*", "/app", "/app/*"].into_iter().map(str::to_owned);
    let api = ["carts", "customers", "orders", "payment-collections"].into_iter().map(|w| format!("/store/{w}*"));
    let paths = pages.chain(others).chain(api).map(|p| format!("http.request.uri.path wildcard \"{p}\""));
    let headers = ["any(http.request.headers[\"rsc\"][*] eq \"1\")", "any(http.request.headers.names[*] eq \"authorization\")"].map(str::to_owned);
    let all: Vec<String> = cookies.into_iter().chain(paths).chain(headers).collect();
    Rule {
        description: "Shoppers with a cart or an account, and personal pages",
        expression: format!(
            "(not http.request.uri.path wildcard \"/_next/static/*\" and http.request.uri.path ne \"/_next/image\" and ({}))",
            all.join(" or ")
        ),
        action: Action::Bypass,
    }
}

/// The data of Next.js's clicks alone: for a zone whose other rules are as they should be.
pub fn flight_data() -> Rule {
    Rule { description: "Next.js navigation data", expression: "(any(http.request.headers[\"rsc\"][*] eq \"1\"))".to_owned(), action: Action::Bypass }
}

impl Rule {
    pub(super) fn parameters(&self) -> Value {
        match self.action {
            Action::Bypass => json!({ "cache": false }),
            Action::RespectOrigin => {
                json!({ "cache": true, "edge_ttl": { "mode": "respect_origin" }, "browser_ttl": { "mode": "respect_origin" } })
            }
            Action::OriginOrNothing { browser_s } => json!({
                "cache": true,
                "edge_ttl": { "mode": "bypass_by_default" },
                "browser_ttl": { "mode": "override_origin", "default": browser_s },
            }),
            Action::Override { edge_s, browser_s } => json!({
                "cache": true,
                "edge_ttl": {
                    "mode": "override_origin",
                    "default": edge_s,
                    "status_code_ttl": [{ "status_code_range": { "from": 300, "to": 599 }, "value": -1 }],
                },
                "browser_ttl": browser_s.map_or_else(|| json!({ "mode": "respect_origin" }), |s| json!({ "mode": "override_origin", "default": s })),
            }),
            Action::KeyWithoutTracking => {
                let names: Vec<&str> = Tracker::all_parameters().collect();
                json!({ "cache_key": { "custom_key": { "query_string": { "exclude": { "list": names } } } } })
            }
            Action::RemoveTracking => json!({ "uri": { "query": { "expression": removal() } } }),
        }
    }

    pub(super) fn phase(&self) -> Phase {
        match self.action {
            Action::RemoveTracking => URL_REWRITES,
            _ => CACHE_RULES,
        }
    }

    /// As `POST /zones/{zone_id}/rulesets/{ruleset_id}/rules` takes it.
    pub fn api(&self) -> Value {
        rule_json(self.phase().action, &self.parameters(), self.description, &self.expression)
    }

    /// What is chosen in the dashboard.
    pub(super) fn dashboard(&self) -> String {
        match self.action {
            Action::Bypass => "Bypass cache".to_owned(),
            Action::RespectOrigin => "Eligible for cache; Edge TTL and Browser TTL: use the origin's cache-control".to_owned(),
            Action::OriginOrNothing { browser_s } => format!(
                "Eligible for cache; Edge TTL: use cache-control if present, bypass if not; Browser TTL: override origin, {} minutes",
                browser_s / 60
            ),
            Action::Override { edge_s, browser_s } => {
                let browser = browser_s.map_or_else(|| "respect origin".to_owned(), |s| format!("override origin, {} minutes", s / 60));
                format!(
                    "Eligible for cache; Edge TTL: ignore cache-control, {} hours, status 300 to 599 no store; Browser TTL: {browser}",
                    edge_s / 3_600
                )
            }
            Action::KeyWithoutTracking => {
                "Cache key → Query string → All query string parameters except: the names in the list (Enterprise); better still in the rule that keeps \
                 these pages"
                    .to_owned()
            }
            Action::RemoveTracking => format!("Query → Rewrite to → Dynamic: {}", removal()),
        }
    }
}

/// Names are whole: there is no "utm_*".
fn removal() -> String {
    let names: Vec<String> = Tracker::all_parameters().map(quoted).collect();
    format!("remove_query_args(http.request.uri.query, {})", names.join(", "))
}

/// Tiered caching on.
pub fn tiered_cache() -> Remedy {
    Remedy {
        kind: RemedyKind::Cloudflare,
        label: "Turn tiered caching on".to_owned(),
        text: "// Dashboard: Caching → Tiered Cache → Smart Tiered Caching Topology. Free on all plans.\n\
               // API: PATCH /zones/{zone_id}/argo/tiered_caching, then PATCH /zones/{zone_id}/cache/tiered_cache_smart_topology_enable\n{ \"value\": \"on\" }"
            .to_owned(),
        lock: None,
        risk: "Low: edge locations ask one upper tier before the origin.".to_owned(),
        undo: Some("Set the value to \"off\".".to_owned()),
    }
}

/// Lines for nginx, headed by the block they belong in.
pub fn nginx(label: &str, text: &str, risk: &str) -> Remedy {
    Remedy {
        kind: RemedyKind::Shell,
        label: label.to_owned(),
        text: text.to_owned(),
        lock: None,
        risk: risk.to_owned(),
        undo: Some("Restore the former lines and reload.".to_owned()),
    }
}

/// One zone setting.
pub fn setting(label: &str, place: &str, id: &str, value: &str, risk: &str, undo: &str) -> Remedy {
    Remedy {
        kind: RemedyKind::Cloudflare,
        label: label.to_owned(),
        text: format!("// Dashboard: {place}\n// API: PATCH /zones/{{zone_id}}/settings/{id}\n{{ \"value\": {value} }}"),
        lock: None,
        risk: risk.to_owned(),
        undo: Some(undo.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::zone_of;
    use super::super::{Fate, Request, decide, matches, parse};
    use super::*;
    use crate::evidence::cdn::{CacheRule, Cloudflare, StatusTtl};

    fn all() -> Vec<Rule> {
        vec![hashed_files(), optimised_images(), catalogue_pages(), api_lists(), flight_data(), bypass_shoppers()]
    }

    /// The rules as the API would give them back, read from the printed JSON alone.
    fn applied(text: &str) -> Vec<CacheRule> {
        let json: String = text.lines().filter(|l| !l.starts_with("//")).collect::<Vec<_>>().join("\n");
        let values: Vec<Value> = serde_json::Deserializer::from_str(&json).into_iter().collect::<Result<_, _>>().unwrap();
        values.iter().zip(1..).map(|(v, position)| rule_of(v, position)).collect()
    }

    fn rule_of(value: &Value, position: u32) -> CacheRule {
        let parameters = &value["action_parameters"];
        let text = |v: &Value| v.as_str().map(str::to_owned);
        let statuses = parameters["edge_ttl"]["status_code_ttl"].as_array().into_iter().flatten();
        let number = |v: &Value| u16::try_from(v.as_u64().unwrap()).unwrap();
        CacheRule {
            position,
            description: text(&value["description"]).unwrap(),
            expression: text(&value["expression"]).unwrap(),
            is_enabled: value["enabled"] == true,
            cache: parameters["cache"].as_bool(),
            edge_ttl_mode: text(&parameters["edge_ttl"]["mode"]),
            edge_ttl_s: parameters["edge_ttl"]["default"].as_i64(),
            browser_ttl_mode: text(&parameters["browser_ttl"]["mode"]),
            browser_ttl_s: parameters["browser_ttl"]["default"].as_i64(),
            status_ttls: statuses
                .map(|s| StatusTtl {
                    from: number(&s["status_code_range"]["from"]),
                    to: number(&s["status_code_range"]["to"]),
                    ttl_s: s["value"].as_i64().unwrap(),
                })
                .collect(),
            ..CacheRule::default()
        }
    }

    fn zone(before: Vec<CacheRule>) -> Cloudflare {
        let printed = remedies("All", &all(), "Low.");
        zone_of(before.into_iter().chain(applied(&printed[0].text)).collect())
    }

    #[test]
    fn every_printed_expression_is_read() {
        for rule in all().into_iter().chain([remove_tracking(), key_without_tracking()]) {
            parse(&rule.expression).unwrap_or_else(|e| panic!("{}: {e}", rule.expression));
            let told = matches(&rule.expression, &Request::get("shop.example.com", "/us/products/x"));
            assert!(told.unknown.is_empty(), "{told:?}");
            assert!(rule.expression.len() < 4_096, "Cloudflare takes 4 kB");
        }
    }

    const SESSIONS: [&str; 4] = ["_medusa_jwt", "_medusa_cart_id", "connect.sid", "medusa_session"];
    const PERSONAL: [&str; 19] = [
        "/us/cart",
        "/cart",
        "/us/checkout",
        "/checkout?step=payment",
        "/us/account",
        "/us/account/orders/details/order_1",
        "/account/login",
        "/us/order/order_1/confirmed",
        "/store/carts/cart_1",
        "/store/carts/cart_1/line-items",
        "/store/customers/me",
        "/store/orders/order_1",
        "/store/payment-collections/p",
        "/auth/customer/emailpass",
        "/auth/session",
        "/admin/orders",
        "/app",
        "/app/orders",
        "/DE/Cart",
    ];
    const PAGES: [&str; 7] = ["/", "/us", "/us/products/x", "/us/categories/y", "/us/collections/z", "/us/store", "/store/products?region_id=r"];
    const FILES: [&str; 4] =
        ["/_next/static/chunks/main-1.js", "/_next/static/chunks/app/us/cart/page-2.js", "/_next/static/css/a.css", "/_next/image?url=a&w=640&q=75"];

    /// Whatever rules stand before, even one that keeps everything for a day.
    #[test]
    fn no_cart_reaches_the_wrong_shopper() {
        let everything = CacheRule {
            expression: "true".into(),
            is_enabled: true,
            cache: Some(true),
            edge_ttl_mode: Some("override_origin".into()),
            edge_ttl_s: Some(86_400),
            ..CacheRule::default()
        };
        for zone in [zone(vec![]), zone(vec![everything])] {
            let fate = |r: &Request| decide(&zone, r).fate;
            for path in PERSONAL {
                assert!(!fate(&Request::get("shop.example.com", path)).is_eligible(), "{path} without a cookie");
                assert_ne!(fate(&Request::get("shop.example.com", path)), Fate::Unclear, "{path}");
            }
            for cookie in SESSIONS {
                for path in PERSONAL.iter().chain(&PAGES) {
                    let request = Request::get("shop.example.com", path).with_cookie("a", "b").with_cookie(cookie, "v");
                    assert_eq!(fate(&request), Fate::Bypass, "{}", request.words());
                }
                for path in FILES {
                    let request = Request::get("shop.example.com", path).with_cookie(cookie, "v");
                    assert_eq!(fate(&request), Fate::Eligible, "{}", request.words());
                }
            }
            for path in PAGES {
                let signed_in = Request::get("shop.example.com", path).with_header("Authorization", "Bearer x");
                assert_eq!(fate(&signed_in), Fate::Bypass, "{path} signed in");
                let flight = Request::get("shop.example.com", path).with_header("RSC", "1");
                assert_eq!(fate(&flight), Fate::Bypass, "{path} of the router");
            }
            let visitor = Request::get("shop.example.com", "/us/products/x").with_cookie("_medusa_cache_id", "u").with_cookie("_ga", "1");
            assert_eq!(fate(&visitor), Fate::Eligible, "visitors are served from the cache");
        }
    }

    #[test]
    fn catalogue_pages_are_not_the_apis_lists() {
        let zone = zone_of(vec![rule_of(&catalogue_pages().api(), 1)]);
        let fate = |path: &str| decide(&zone, &Request::get("shop.example.com", path)).fate;
        assert_eq!((fate("/us/products/x"), fate("/us/store")), (Fate::Eligible, Fate::Eligible));
        assert_eq!((fate("/store/products/x"), fate("/admin/products/x")), (Fate::NotByDefault, Fate::NotByDefault));
    }

    #[test]
    fn terraform_says_the_same() {
        let printed = remedies("All", &all(), "Low.");
        for rule in all() {
            assert!(printed[1].text.contains(&quoted(&rule.expression)), "{}", printed[1].text);
        }
        assert_eq!(printed[1].text.matches("set_cache_settings").count(), all().len());
        assert!(printed[1].text.contains("edge_ttl = { mode = \"bypass_by_default\" }"));
        assert!(printed[1].text.contains("{ from = 300, to = 599 }"));
        assert_eq!(quoted("a\"b${c}"), "\"a\\\"b$${c}\"");
    }
}
