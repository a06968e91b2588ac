//! Every recorded answer of the real API is read, also those of routes that are not asked yet.

#[cfg(test)]
mod bodies {
    use serde_json::Value;

    use super::super::{add_ons, answers};
    use crate::connect::cloudflare::{Envelope, ZoneAnswer};

    const FILE: &str = "../shared/data/cdn/cloudflare-recorded-cassettes.json";

    fn cassettes() -> Option<Vec<Value>> {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE);
        let Ok(text) = std::fs::read_to_string(path) else {
            eprintln!("skipped: the recorded answers are not here");
            return None;
        };
        serde_json::from_str(&text).ok()
    }

    /// Reads the body as the collector would; the words say which reader took it.
    fn read(route: &str, result: &Value) -> Result<&'static str, String> {
        let last = route.rsplit('/').next().unwrap_or("");
        let is_one_zone = route.split('/').count() == 3 && route.starts_with("/zones/");
        if route == "/zones" {
            answers::list::<ZoneAnswer>(result).map(|_| "zones")
        } else if is_one_zone {
            serde_json::from_value::<ZoneAnswer>(result.clone()).map(|_| "zone").map_err(|e| e.to_string())
        } else if last == "settings" {
            answers::settings(result).map(|_| "settings")
        } else if route.contains("/settings/") && !route.contains("/hostnames/") {
            answers::one_setting(result).map(|_| "setting")
        } else if last == "pagerules" {
            answers::page_rules(result).map(|_| "page rules")
        } else if result["phase"] == "http_request_cache_settings" {
            answers::cache_rules(result).map(|_| "cache rules")
        } else if route.contains("/rulesets/") {
            answers::phase_rules(result).map(|_| "rules of a phase")
        } else if last == "certificate_packs" {
            add_ons::packs(result).map(|_| "certificates")
        } else if last == "variants" {
            result["value"].as_object().map(|_| "variants").ok_or_else(|| "no value".to_owned())
        } else if result["editable"].is_boolean() && result["value"].is_string() {
            add_ons::switch(result).map(|_| "add-on").ok_or_else(|| "no value".to_owned())
        } else if last == "subscription" {
            result["rate_plan"]["id"].as_str().map(|_| "subscription").ok_or_else(|| "no plan".to_owned())
        } else {
            // Load balancers, records, transforms: nothing of theirs is read.
            (!result.is_null()).then_some("not read").ok_or_else(|| "empty".to_owned())
        }
    }

    #[test]
    fn every_recorded_body_is_read() {
        let Some(cassettes) = cassettes() else { return };
        assert!(cassettes.len() >= 56, "{} answers", cassettes.len());
        let mut took = std::collections::BTreeMap::<&str, u32>::new();
        for cassette in &cassettes {
            let url = cassette["url"].as_str().unwrap();
            let route = url.split_once("/client/v4").unwrap().1.split('?').next().unwrap();
            let envelope: Envelope = serde_json::from_value(cassette["response"].clone()).unwrap_or_else(|e| panic!("{url}: {e}"));
            assert!(envelope.success, "{url}");
            let reader = read(route, &envelope.result).unwrap_or_else(|e| panic!("{url}: {e}"));
            *took.entry(reader).or_default() += 1;
        }
        eprintln!("{} answers read: {took:?}", cassettes.len());
        for reader in ["zones", "zone", "settings", "setting", "page rules", "cache rules", "rules of a phase", "certificates", "add-on", "variants"]
        {
            assert!(took.contains_key(reader), "no answer for {reader}: {took:?}");
        }
    }

    #[test]
    fn a_recorded_cache_rule_keeps_what_matters() {
        let Some(cassettes) = cassettes() else { return };
        let with_rules =
            cassettes.iter().map(|c| &c["response"]["result"]).find(|r| r["phase"] == "http_request_cache_settings" && r["rules"].is_array());
        let rules = answers::cache_rules(with_rules.unwrap()).unwrap();
        let first = &rules[0];
        assert!(!first.is_enabled && first.cache == Some(true) && first.edge_ttl_s == Some(30));
        assert_eq!(
            first.status_ttls.iter().map(|t| (t.from, t.to, t.ttl_s)).collect::<Vec<_>>(),
            [(100, 100, 30), (100, 106, 5), (130, 162, 31_536_000)]
        );
        assert_eq!((first.serves_stale, first.respects_strong_etags), (Some(false), Some(true)));
        assert!(first.cache_key.as_ref().unwrap().contains("cache_deception_armor"));
        assert_eq!((rules[1].cache, rules[1].edge_ttl_s), (Some(false), Some(60)));
    }
}
