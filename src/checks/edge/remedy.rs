//! Cache rules as they are applied: dashboard words, API JSON, Terraform. Every rule offered is one that cannot hand a cart to the wrong shopper.

use serde_json::{Value, json};

use super::printing::{CACHE_RULES, Phase, RESPONSE_HEADERS, URL_REWRITES, quoted, rule_json};
use crate::evidence::cdn::Tracker;
use crate::finding::{Remedy, RemedyKind};

pub use super::printing::remedies;

/// The guide's lifetime of catalogue pages at the edge, seconds.
pub const EDGE_TTL_S: i64 = 14_400;
/// The guide's lifetime of catalogue pages in the browser, seconds.
pub const BROWSER_TTL_S: i64 = 1_800;
/// A day: an optimised picture changes with its address.
const IMAGE_TTL_S: i64 = 86_400;
const YEAR_S: i64 = 31_536_000;
/// What a file says whose name changes with its content.
pub const IMMUTABLE: &str = "public, max-age=31536000, immutable";
/// Redirects and errors. Not 304: the lifetime given to that status becomes the entry's when it is renewed ("TTL handling for 304 and 200 status codes").
const NOT_KEPT: [(u16, u16); 2] = [(300, 303), (305, 599)];

/// One cache rule, URL rewrite or rule for answers' headers.
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
    /// Eligible where the origin gives a lifetime, and not otherwise; the browser for so many seconds, else as the origin says.
    OriginOrNothing {
        browser_s: Option<i64>,
    },
    /// Eligible for so many seconds; redirects and errors are not kept.
    Override {
        edge_s: i64,
        browser_s: Option<i64>,
    },
    /// Tracking parameters are not in the key; eligibility and lifetimes stay as other rules set them. Enterprise.
    KeyWithoutTracking,
    /// The answer's Cache-Control as the browser gets it. Every plan.
    Immutable,
    /// A URL rewrite: tracking parameters are gone before the cache is looked at. Every plan.
    RemoveTracking,
}

/// Names of hashed files change with their content.
pub fn hashed_files() -> Rule {
    Rule { description: "Hashed files", expression: "(http.request.uri.path wildcard \"/_next/static/*\")".to_owned(), action: Action::RespectOrigin }
}

/// Files under the build's own folder (`/_next/static/`), a year whatever the origin says. A file that a deployment has not brought yet is asked for again.
pub fn kept_files(folder: &str) -> Rule {
    let expression = format!("(http.request.uri.path wildcard \"{folder}*\")");
    Rule { description: "Hashed files for a year", expression, action: Action::Override { edge_s: YEAR_S, browser_s: None } }
}

/// The same for browsers, of files that are there: nothing takes an error back that a browser keeps for a year.
pub fn immutable_files(folder: &str) -> Rule {
    let expression = format!("(http.request.uri.path wildcard \"{folder}*\" and http.response.code eq 200)");
    Rule { description: "Hashed files are immutable", expression, action: Action::Immutable }
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
        action: Action::OriginOrNothing { browser_s: Some(BROWSER_TTL_S) },
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

/// Lists of the store API, for requests that carry no sign-in: for as long as the backend says, and not where it says nothing. Stock Medusa sends
/// no Cache-Control, and Cloudflare's own two hours are too long for prices.
pub fn api_lists() -> Rule {
    Rule {
        // x-publishable-api-key is in no key below Enterprise: two sales channels would be given each other's lists.
        description: "Lists of the store API, where one publishable key is in use",
        // No condition on the method: nothing but GET is kept, and a purge by address is none.
        expression: "(starts_with(http.request.uri.path, \"/store/products\") and not any(http.request.headers.names[*] eq \"authorization\"))"
            .to_owned(),
        action: Action::OriginOrNothing { browser_s: None },
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
                "browser_ttl": browser_ttl(browser_s),
            }),
            Action::Override { edge_s, browser_s } => json!({
                "cache": true,
                "edge_ttl": {
                    "mode": "override_origin",
                    "default": edge_s,
                    "status_code_ttl": NOT_KEPT.map(|(from, to)| json!({ "status_code_range": { "from": from, "to": to }, "value": -1 })),
                },
                "browser_ttl": browser_ttl(browser_s),
            }),
            Action::KeyWithoutTracking => {
                let names: Vec<&str> = Tracker::all_parameters().collect();
                json!({ "cache_key": { "custom_key": { "query_string": { "exclude": { "list": names } } } } })
            }
            Action::Immutable => json!({ "headers": { "Cache-Control": { "operation": "set", "value": IMMUTABLE } } }),
            Action::RemoveTracking => json!({ "uri": { "query": { "expression": removal() } } }),
        }
    }

    pub(super) fn phase(&self) -> Phase {
        match self.action {
            Action::RemoveTracking => URL_REWRITES,
            Action::Immutable => RESPONSE_HEADERS,
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
                "Eligible for cache; Edge TTL: use cache-control if present, bypass if not; Browser TTL: {}",
                browser_words(browser_s)
            ),
            Action::Override { edge_s, browser_s } => {
                let edge = if edge_s == YEAR_S { "1 year".to_owned() } else { format!("{} hours", edge_s / 3_600) };
                let statuses = NOT_KEPT.map(|(from, to)| format!("{from} to {to}")).join(" and ");
                format!(
                    "Eligible for cache; Edge TTL: ignore cache-control, {edge}, status {statuses} no store; Browser TTL: {}",
                    browser_words(browser_s)
                )
            }
            Action::Immutable => format!("Set static → Cache-Control → {IMMUTABLE}"),
            Action::KeyWithoutTracking => {
                "Cache key → Query string → All query string parameters except: the names in the list (Enterprise); better still in the rule that keeps \
                 these pages"
                    .to_owned()
            }
            Action::RemoveTracking => format!("Query → Rewrite to → Dynamic: {}", removal()),
        }
    }
}

fn browser_ttl(seconds: Option<i64>) -> Value {
    seconds.map_or_else(|| json!({ "mode": "respect_origin" }), |s| json!({ "mode": "override_origin", "default": s }))
}

fn browser_words(seconds: Option<i64>) -> String {
    seconds.map_or_else(|| "respect origin".to_owned(), |s| format!("override origin, {} minutes", s / 60))
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
    use super::super::{Fate, Request, Stored, decide, matches, parse, stored};
    use super::*;
    use crate::checks::http::fixtures::answer;
    use crate::evidence::cdn::{CacheRule, Cloudflare, StatusTtl};

    fn all() -> Vec<Rule> {
        vec![hashed_files(), kept_files("/_next/static/"), optimised_images(), catalogue_pages(), api_lists(), flight_data(), bypass_shoppers()]
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
        parse(&immutable_files("/_next/static/").expression).unwrap();
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

    fn kept_s(rule: &Rule, path: &str, status: u16, headers: &[(&str, &str)]) -> Option<i64> {
        let (zone, request) = (zone_of(vec![rule_of(&rule.api(), 1)]), Request::get("shop.example.com", path));
        let answer = crate::evidence::storefront::Answer { status, ..answer(headers) };
        let Stored::Kept { seconds, .. } = stored(&decide(&zone, &request), &request, &answer) else { return None };
        Some(seconds)
    }

    /// Stock Medusa sends no Cache-Control with its lists: Cloudflare's own default must not keep prices.
    #[test]
    fn lists_are_kept_only_where_the_backend_says_so() {
        let list = |headers: &[(&str, &str)]| kept_s(&api_lists(), "/store/products", 200, headers);
        assert_eq!((list(&[]), list(&[("cache-control", "public, s-maxage=60")])), (None, Some(60)));
        assert!(api_lists().dashboard().ends_with("bypass if not; Browser TTL: respect origin"), "{}", api_lists().dashboard());
    }

    /// A renewed entry takes the lifetime that 304 has; errors of a deployment are not kept.
    #[test]
    fn redirects_and_errors_are_not_kept_and_a_renewal_is() {
        for (rule, path) in [(optimised_images(), "/_next/image"), (kept_files("/_next/static/"), "/_next/static/a.js")] {
            let Action::Override { edge_s, .. } = rule.action else { panic!("{rule:?}") };
            for (status, wanted) in [(200, Some(edge_s)), (304, Some(edge_s)), (300, None), (307, None), (404, None), (502, None)] {
                assert_eq!(kept_s(&rule, path, status, &[]), wanted, "{path} {status}");
            }
            assert!(rule.dashboard().contains("300 to 303 and 305 to 599 no store"), "{}", rule.dashboard());
        }
        let printed = remedies("Browsers", &[immutable_files("/_next/static/")], "Low.");
        assert!(printed[0].text.contains("http_response_headers_transform") && printed[0].text.contains(IMMUTABLE), "{}", printed[0].text);
    }

    #[test]
    fn terraform_says_the_same() {
        let printed = remedies("All", &all(), "Low.");
        for rule in all() {
            assert!(printed[1].text.contains(&quoted(&rule.expression)), "{}", printed[1].text);
        }
        assert_eq!(printed[1].text.matches("set_cache_settings").count(), all().len());
        assert!(printed[1].text.contains("edge_ttl = { mode = \"bypass_by_default\" }"));
        assert!(printed[1].text.contains("{ from = 300, to = 303 }") && printed[1].text.contains("{ from = 305, to = 599 }"));
        assert_eq!(quoted("a\"b${c}"), "\"a\\\"b$${c}\"");
    }
}
