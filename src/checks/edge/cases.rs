//! The evaluator against expressions of the field and a table of paths and cookies, checked by hand.

#[cfg(test)]
mod by_hand {
    use proptest::prelude::*;

    use super::super::fixtures::{bypass, eligible, page_rule, rule, set, zone_of};
    use super::super::*;
    use crate::evidence::cdn::{CacheRule, Cloudflare};
    use crate::evidence::{Cause, Gap, Section};

    const STATIC: &str = r#"(http.request.uri.path wildcard "/_next/static/*")"#;
    const IMAGE: &str = r#"(http.request.uri.path eq "/_next/image")"#;
    const CATALOGUE: &str = r#"(http.request.uri.path wildcard "/*/products/*" or http.request.uri.path wildcard "/*/categories/*" or http.request.uri.path wildcard "/*/collections/*" or http.request.uri.path wildcard "/*/store")"#;
    const SHOPPERS: &str = r#"((http.cookie contains "_medusa_jwt=" or http.cookie contains "_medusa_cart_id=") and not http.request.uri.path wildcard "/_next/*") or http.request.uri.path wildcard "/*/cart*" or http.request.uri.path wildcard "/*/checkout*" or http.request.uri.path wildcard "/*/account*" or http.request.uri.path wildcard "/*/order/*""#;
    const RSC: &str = r#"any(http.request.headers["rsc"][*] eq "1")"#;

    /// The rules that are suggested to a Medusa storefront, in their order.
    fn suggested() -> Cloudflare {
        let image = CacheRule { edge_ttl_s: Some(86_400), ..eligible(IMAGE, Some(86_400)) };
        zone_of(vec![eligible(STATIC, None), image, eligible(CATALOGUE, None), bypass(RSC), bypass(SHOPPERS)])
    }

    /// Path, cookies, RSC header, what becomes of it.
    type Case<'a> = (&'a str, &'a [&'a str], bool, Fate);

    const CACHE_ID: &[&str] = &["_medusa_cache_id"];
    const CART: &[&str] = &["_medusa_cart_id"];
    const JWT: &[&str] = &["_medusa_jwt"];
    const ALL: &[&str] = &["_medusa_cache_id", "_medusa_cart_id", "_medusa_jwt"];

    #[rustfmt::skip]
    const CASES: &[Case] = &[
        // Files of the build: for everybody, also with a cart.
        ("/_next/static/chunks/main-5adebf9f62dc3001.js", &[], false, Fate::Eligible),
        ("/_next/static/chunks/main-5adebf9f62dc3001.js", CART, false, Fate::Eligible),
        ("/_next/static/css/a1b2c3d4.css", ALL, false, Fate::Eligible),
        ("/_next/static/media/inter.woff2", JWT, false, Fate::Eligible),
        ("/_NEXT/static/x", &[], false, Fate::Eligible),
        ("/_next/staticx", &[], false, Fate::NotByDefault),
        ("/_next/data/build/us.json", &[], false, Fate::NotByDefault),
        ("/_next/data/build/us.json", CART, false, Fate::NotByDefault),
        // The image optimiser has no extension of its own.
        ("/_next/image?url=%2Fa.jpg&w=640&q=75", &[], false, Fate::Eligible),
        ("/_next/image?url=%2Fa.jpg&w=640&q=75", CART, false, Fate::Eligible),
        ("/_next/image", ALL, false, Fate::Eligible),
        ("/_next/image/x", &[], false, Fate::NotByDefault),
        ("/_next/images?url=x", &[], false, Fate::NotByDefault),
        // Catalogue pages: for visitors, not for shoppers.
        ("/us/products/medusa-shirt", &[], false, Fate::Eligible),
        ("/us/products/medusa-shirt", CACHE_ID, false, Fate::Eligible),
        ("/us/products/medusa-shirt", CART, false, Fate::Bypass),
        ("/us/products/medusa-shirt", JWT, false, Fate::Bypass),
        ("/us/products/medusa-shirt", ALL, false, Fate::Bypass),
        ("/us/products/medusa-shirt?v_id=variant_1", &[], false, Fate::Eligible),
        ("/de/categories/shirts", &[], false, Fate::Eligible),
        ("/de/categories/shirts/long", CACHE_ID, false, Fate::Eligible),
        ("/de/categories/shirts", CART, false, Fate::Bypass),
        ("/gb/collections/summer", &[], false, Fate::Eligible),
        ("/gb/collections/summer?page=2", &[], false, Fate::Eligible),
        ("/gb/collections/summer", JWT, false, Fate::Bypass),
        ("/fr/store", &[], false, Fate::Eligible),
        ("/fr/store?sortBy=price_asc", &[], false, Fate::Eligible),
        ("/fr/store/", &[], false, Fate::NotByDefault),
        ("/fr/store", CART, false, Fate::Bypass),
        ("/products/medusa-shirt", &[], false, Fate::NotByDefault),
        ("/store", &[], false, Fate::NotByDefault),
        // A product may be called after a personal page: rule 4 is wide and errs on the safe side.
        ("/us/products/cart", &[], false, Fate::Bypass),
        ("/us/products/golf-cart", &[], false, Fate::Eligible),
        ("/us/products/account-book", &[], false, Fate::Bypass),
        // Flight data of the router.
        ("/us/products/medusa-shirt?_rsc=1abc", &[], true, Fate::Bypass),
        ("/us/products/medusa-shirt?_rsc=1abc", CART, true, Fate::Bypass),
        ("/us/products/medusa-shirt?_rsc=1abc", &[], false, Fate::Eligible),
        ("/us?_rsc=1abc", &[], true, Fate::Bypass),
        ("/_next/static/chunks/a.js", &[], true, Fate::Bypass),
        // Personal pages: with and without cookies.
        ("/us/cart", &[], false, Fate::Bypass),
        ("/us/cart", CACHE_ID, false, Fate::Bypass),
        ("/us/cart", ALL, false, Fate::Bypass),
        ("/us/cart?step=delivery", CART, false, Fate::Bypass),
        ("/us/checkout", &[], false, Fate::Bypass),
        ("/us/checkout?step=address", CART, false, Fate::Bypass),
        ("/us/account", &[], false, Fate::Bypass),
        ("/us/account/orders/details/order_01", JWT, false, Fate::Bypass),
        ("/us/account/addresses", &[], false, Fate::Bypass),
        ("/us/order/order_01/confirmed", &[], false, Fate::Bypass),
        ("/us/order/order_01/transfer/t/accept", CACHE_ID, false, Fate::Bypass),
        ("/cart", &[], false, Fate::NotByDefault),
        ("/cart", CART, false, Fate::Bypass),
        ("/us/orders", &[], false, Fate::NotByDefault),
        // The rest of the storefront.
        ("/", &[], false, Fate::NotByDefault),
        ("/us", &[], false, Fate::NotByDefault),
        ("/us", CART, false, Fate::Bypass),
        ("/robots.txt", &[], false, Fate::ByExtension),
        ("/sitemap.xml", &[], false, Fate::NotByDefault),
        ("/favicon.ico", &[], false, Fate::ByExtension),
        ("/favicon.ico", CART, false, Fate::Bypass),
        ("/images/hero.JPG", &[], false, Fate::ByExtension),
        ("/images/hero.webp?v=2", CACHE_ID, false, Fate::ByExtension),
        ("/uploads/a.tar.gz", &[], false, Fate::ByExtension),
        ("/uploads/archive.", &[], false, Fate::NotByDefault),
        ("/fonts/a.woff2", JWT, false, Fate::Bypass),
        // The backend on the same host.
        ("/store/products?region_id=reg_1", &[], false, Fate::NotByDefault),
        // Rule 3 is wider than it looks: a star spans folders.
        ("/store/products/prod_1", &[], false, Fate::Eligible),
        ("/admin/products/prod_1", &[], false, Fate::Eligible),
        ("/store/carts/cart_01", &[], false, Fate::Bypass),
        ("/store/carts/cart_01/line-items", CART, false, Fate::Bypass),
        ("/store/customers/me", &[], false, Fate::NotByDefault),
        ("/auth/customer/emailpass", &[], false, Fate::NotByDefault),
        ("/admin/orders", &[], false, Fate::NotByDefault),
        ("/app/index.html", &[], false, Fate::NotByDefault),
    ];

    fn request(path: &str, cookies: &[&str], is_rsc: bool) -> Request {
        let request = cookies.iter().fold(Request::get("shop.example.com", path), |r, c| r.with_cookie(c, "value"));
        if is_rsc { request.with_header("RSC", "1") } else { request }
    }

    #[test]
    fn the_suggested_rules_do_what_is_meant_on_every_path() {
        assert!(CASES.len() >= 60, "{} cases", CASES.len());
        let zone = suggested();
        let wrong: Vec<String> = CASES
            .iter()
            .map(|(path, cookies, is_rsc, wanted)| (decide(&zone, &request(path, cookies, *is_rsc)), wanted))
            .filter(|(d, wanted)| d.fate != **wanted)
            .map(|(d, wanted)| format!("{wanted:?} wanted:\n  {}", d.trace.join("\n  ")))
            .collect();
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    #[test]
    fn lifetimes_and_keys_are_told() {
        let image = decide(&suggested(), &request("/_next/image?w=1", CART, false));
        assert_eq!(image.edge_ttl, Some(EdgeTtl::Override(86_400)));
        assert_eq!(image.key.as_ref().map(|k| k.query.clone()), Some(Query::Kept));
        assert_eq!(image.rules.len(), 1);
        let page = decide(&suggested(), &request("/us/products/x", &[], false));
        assert_eq!((page.edge_ttl, page.browser_ttl), (Some(EdgeTtl::RespectOrigin), Some(BrowserTtl::RespectOrigin)));
    }

    /// Expression, request, answer.
    #[rustfmt::skip]
    fn answers() -> Vec<(&'static str, Request, Truth)> {
        let get = |path: &str| Request::get("Shop.Example.com", path);
        let sized = get("/a/B.PNG?w=1&q=75&w=2").with_cookie("currency", "eur").with_header("X-Kind", "a,b");
        vec![
            ("true", get("/"), Truth::Yes),
            ("(false)", get("/"), Truth::No),
            ("ssl", get("/"), Truth::Yes),
            ("not ssl or http.host eq \"shop.example.com\"", get("/"), Truth::Yes),
            ("http.host != \"shop.example.com\"", get("/"), Truth::No),
            ("http.request.method in {\"GET\" \"HEAD\"}", get("/"), Truth::Yes),
            ("http.request.uri.path.extension in {\"png\" \"jpg\"}", sized.clone(), Truth::Yes),
            ("http.request.uri.query contains \"q=75\" && http.request.uri contains \"?w=1\"", sized.clone(), Truth::Yes),
            ("http.request.full_uri wildcard \"https://shop.*/a/*\"", sized.clone(), Truth::Yes),
            ("http.request.uri.path strict wildcard \"/a/b.*\"", sized.clone(), Truth::No),
            ("http.request.uri.path wildcard \"/a/b.*\"", sized.clone(), Truth::Yes),
            ("http.request.uri.path wildcard r\"/a/\\*\"", get("/a/*"), Truth::Yes),
            ("http.request.uri.path matches r\"^/[a-z]/.*\\.(?i:png)$\"", sized.clone(), Truth::Yes),
            ("http.request.uri.path ~ \"^/b\"", sized.clone(), Truth::No),
            ("http.request.uri.path matches \"(\"", sized.clone(), Truth::Unknown),
            ("starts_with(http.request.uri.path, \"/a\") and ends_with(http.request.uri.path, \".PNG\")", sized.clone(), Truth::Yes),
            ("lower(http.request.uri.path) eq \"/a/b.png\" and upper(http.host) eq \"SHOP.EXAMPLE.COM\"", sized.clone(), Truth::Yes),
            ("len(http.request.uri.path) gt 7", sized.clone(), Truth::Yes),
            ("len(http.request.cookies[\"currency\"]) > 0", sized.clone(), Truth::Yes),
            ("len(http.request.cookies[\"_medusa_jwt\"]) > 0", sized.clone(), Truth::No),
            ("http.request.cookies[\"currency\"][0] eq \"eur\"", sized.clone(), Truth::Yes),
            ("http.request.cookies[\"nobody\"][0] ne \"eur\"", sized.clone(), Truth::Yes),
            ("any(http.request.uri.args[\"w\"][*] eq \"2\") and all(http.request.uri.args[\"w\"][*] in {\"1\" \"2\"})", sized.clone(), Truth::Yes),
            ("any(http.request.uri.args.names[*] eq \"q\")", sized.clone(), Truth::Yes),
            ("any(http.request.headers[\"x-kind\"][*] contains \"b\")", sized.clone(), Truth::Yes),
            ("any(lower(http.request.headers[\"x-kind\"][*])[*] eq \"a,b\")", sized.clone(), Truth::Yes),
            ("any(http.request.headers.names[*] eq \"authorization\")", sized.clone(), Truth::No),
            ("any(starts_with(http.request.headers.names[*], \"x-\"))", sized.clone(), Truth::Yes),
            ("any(http.request.headers[\"rsc\"][*] eq \"1\")", sized.clone(), Truth::No),
            ("has_key(http.request.cookies, \"currency\")", sized.clone(), Truth::Yes),
            ("concat(\"/\", \"a\") eq \"/a\" xor ssl", sized.clone(), Truth::No),
            ("url_decode(http.request.uri.path) eq \"/ä b\"", get("/%C3%A4%20b"), Truth::Yes),
            ("substring(http.request.uri.path, -3) eq \"PNG\"", sized.clone(), Truth::Yes),
            ("http.user_agent contains \"bot\"", get("/"), Truth::Unknown),
            ("http.user_agent contains \"bot\"", get("/").with_header("user-agent", "a bot"), Truth::Yes),
            ("http.referer eq \"\"", get("/"), Truth::Unknown),
            ("ip.src.country eq \"DE\"", get("/"), Truth::Unknown),
            ("ip.src.country eq \"DE\" or ssl", get("/"), Truth::Yes),
            ("ip.src.country eq \"DE\" and not ssl", get("/"), Truth::No),
            ("not ip.src.country in {\"DE\" \"AT\"}", get("/"), Truth::Unknown),
            ("ip.src in $office", get("/"), Truth::Unknown),
            ("ip.src in {10.0.0.0/8 1.2.3.4}", get("/"), Truth::Unknown),
            ("cf.bot_management.score < 30", get("/"), Truth::Unknown),
            ("is_timed_hmac_valid_v0(\"a\", http.request.uri, 1, 2)", get("/"), Truth::Unknown),
            ("http.host eq 5", get("/"), Truth::Unknown),
            ("http.cookie eq \"jb_testing=true\"", get("/").with_cookie("jb_testing", "true"), Truth::Yes),
            ("http.host eq", get("/"), Truth::Unknown),
        ]
    }

    #[test]
    fn expressions_say_what_cloudflare_would() {
        for (expression, request, wanted) in answers() {
            let answered = matches(expression, &request);
            assert_eq!(answered.truth, wanted, "{expression}: {answered:?}");
            assert_eq!(answered.unknown.is_empty(), wanted != Truth::Unknown, "{expression}: what is not told has a name: {answered:?}");
        }
        assert_eq!(
            matches("ip.src.country eq \"DE\" and cf.edge.server_port eq 80", &Request::get("h", "/")).unknown,
            ["cf.edge.server_port", "ip.src.country"]
        );
    }

    #[test]
    fn the_last_matching_rule_wins_setting_by_setting() {
        let ttl = CacheRule { browser_ttl_mode: Some("override_origin".into()), browser_ttl_s: Some(60), ..rule("true") };
        let zone = zone_of(vec![eligible("true", Some(9)), bypass("http.request.uri.path eq \"/a\""), ttl]);
        let a = decide(&zone, &Request::get("h", "/a"));
        assert_eq!((a.fate, a.browser_ttl), (Fate::Bypass, Some(BrowserTtl::Override(60))));
        let b = decide(&zone, &Request::get("h", "/b"));
        assert_eq!((b.fate, b.edge_ttl), (Fate::Eligible, Some(EdgeTtl::Override(9))));
        // Eligible after a bypass: the bypass is void.
        let turned = zone_of(vec![bypass("true"), eligible("true", None)]);
        assert_eq!(decide(&turned, &Request::get("h", "/a")).fate, Fate::Eligible);
        let mut off = zone_of(vec![eligible("true", None), bypass("true")]);
        off.cache_rules.as_mut().unwrap()[1].is_enabled = false;
        assert_eq!(decide(&off, &Request::get("h", "/a")).fate, Fate::Eligible);
    }

    #[test]
    fn page_rules_speak_where_cache_rules_do_not() {
        let mut zone = zone_of(vec![bypass("http.request.uri.path eq \"/b\"")]);
        let everything = [("cache_level", "\"cache_everything\""), ("edge_cache_ttl", "7200"), ("browser_cache_ttl", "1800")];
        zone.page_rules = Ok(vec![page_rule(2, "*example.com/*", &everything), page_rule(1, "*", &[("cache_level", "\"bypass\"")])]);
        let a = decide(&zone, &Request::get("example.com", "/a"));
        assert_eq!((a.fate, a.edge_ttl, a.browser_ttl), (Fate::Eligible, Some(EdgeTtl::Override(7_200)), Some(BrowserTtl::Override(1_800))));
        assert_eq!(decide(&zone, &Request::get("example.com", "/b")).fate, Fate::Bypass);
        assert_eq!(decide(&zone, &Request::get("other.net", "/a")).fate, Fate::Bypass);
        zone.page_rules = Ok(vec![page_rule(1, "*", &[("cache_level", "\"cache_everything\""), ("bypass_cache_on_cookie", "\"a=.*\"")])]);
        let with = |cookie: &str| decide(&zone, &Request::get("other.net", "/a").with_cookie(cookie, "1"));
        assert_eq!(decide(&zone, &Request::get("other.net", "/a")).fate, Fate::Eligible, "no cookie, nothing to match");
        assert_eq!((with("a").fate, with("b").fate, with("ba").may_be), (Fate::Bypass, Fate::Eligible, vec![Fate::Eligible, Fate::Bypass]));
    }

    #[test]
    fn settings_and_methods_switch_the_cache_off() {
        let at = |zone: &Cloudflare, path: &str| decide(zone, &Request::get("h", path)).fate;
        let mut zone = zone_of(vec![eligible("true", None)]);
        assert_eq!(decide(&zone, &Request::get("h", "/").with_method("post")).fate, Fate::Bypass);
        zone.zone.as_mut().unwrap().development_mode_s = 1;
        assert_eq!(at(&zone, "/"), Fate::Bypass);
        zone.zone.as_mut().unwrap().development_mode_s = 0;
        zone.zone.as_mut().unwrap().is_paused = true;
        assert_eq!(at(&zone, "/"), Fate::Bypass);
        let mut zone = zone_of(vec![]);
        zone.settings = Ok(vec![set("cache_level", "\"basic\""), set("browser_cache_ttl", "14400")]);
        assert_eq!((at(&zone, "/a.js"), at(&zone, "/a.js?x"), at(&zone, "/a")), (Fate::ByExtension, Fate::NotByDefault, Fate::NotByDefault));
        assert_eq!(decide(&zone, &Request::get("h", "/a.js")).browser_ttl, Some(BrowserTtl::AtLeast(14_400)));
        zone.settings = Ok(vec![set("cache_level", "\"simplified\"")]);
        assert_eq!(decide(&zone, &Request::get("h", "/a.js?x")).key.unwrap().query, Query::Ignored);
    }

    #[test]
    fn what_is_missing_is_never_a_verdict() {
        let gap = |section| Gap::new(section, Cause::Unreadable, "Denied.");
        let mut zone = zone_of(vec![eligible("true", None)]);
        zone.page_rules = Err(gap(Section::CdnPageRules));
        assert_eq!(decide(&zone, &Request::get("h", "/")).fate, Fate::Eligible);
        zone.cache_rules = Ok(vec![]);
        assert_eq!(decide(&zone, &Request::get("h", "/a.js")).fate, Fate::Unclear);
        zone.page_rules = Ok(vec![]);
        zone.cache_rules = Err(gap(Section::CdnCacheRules));
        let decision = decide(&zone, &Request::get("h", "/a.js"));
        assert_eq!((decision.fate, decision.unknown), (Fate::Unclear, vec!["cache rules".to_owned()]));
        let maybe = zone_of(vec![eligible("true", None), bypass("ip.src.country eq \"DE\"")]);
        let decision = decide(&maybe, &Request::get("h", "/"));
        assert_eq!((decision.fate, decision.may_be), (Fate::Unclear, vec![Fate::Eligible, Fate::Bypass]));
        assert_eq!(decision.unknown, ["ip.src.country"]);
        // Whatever the country, nothing changes.
        let same = zone_of(vec![bypass("true"), bypass("ip.src.country eq \"DE\"")]);
        assert_eq!(decide(&same, &Request::get("h", "/")).fate, Fate::Bypass);
    }

    /// Every expression of the recorded answers of the real API reads.
    #[test]
    fn recorded_expressions_are_read() {
        let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/cdn/cloudflare-recorded-cassettes.json");
        let Ok(text) = std::fs::read_to_string(&file) else {
            eprintln!("skipped: the recorded answers are not here");
            return;
        };
        fn expressions(value: &serde_json::Value, all: &mut Vec<String>) {
            match value {
                serde_json::Value::Object(map) => {
                    all.extend(map.get("expression").and_then(|e| e.as_str()).map(str::to_owned));
                    map.values().for_each(|v| expressions(v, all));
                }
                serde_json::Value::Array(list) => list.iter().for_each(|v| expressions(v, all)),
                _ => {}
            }
        }
        let mut all = Vec::new();
        expressions(&serde_json::from_str(&text).unwrap(), &mut all);
        assert!(all.len() >= 10, "{}", all.len());
        for expression in all {
            parse(&expression).unwrap_or_else(|e| panic!("{expression}: {e}"));
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let _ = matches(&text, &Request::get("h", "/a?b=c"));
        }

        #[test]
        fn any_row_of_words_is_read_or_refused(words in proptest::collection::vec(proptest::sample::select(vec![
            "http.host", "http.request.headers[\"a\"][*]", "not", "and", "or", "xor", "(", ")", "eq", "in", "{", "}", "\"a\"", "1..3", "-1", "any(", "len(",
            "substring(http.host,", ",", "wildcard", "strict", "contains", "matches", "r\"(\"", "ssl", "$l", "[", "]", "*", "~", "lower(", "\"%zz+%41\"",
        ]), 0..25)) {
            let text = words.join(" ");
            let _ = matches(&text, &Request::get("h", "/a?b=c").with_header("a", "b"));
        }

        #[test]
        fn a_pattern_of_its_own_text_matches(text in "[a-z/]{0,20}", tail in "[a-z]{0,5}") {
            prop_assert!(wildcard(&text, &text));
            let starred = format!("{text}*");
            let longer = format!("{text}{tail}");
            prop_assert!(wildcard(&starred, &longer));
        }
    }
}
