//! A Cloudflare zone that answers 46 % at the edge.

use medusa_advisor::evidence::Listed;
use medusa_advisor::evidence::cdn::{
    AddOn, AddOns, Analytics, CacheRule, ClassCount, Cloudflare, HourCount, PageRule, PathCount, StatusCount, TieredCache, TrafficClass, TypeCount,
    Zone, ZoneSetting,
};
use time::Duration;

use super::TAKEN_AT;

/// Status, requests a day, mean bytes.
const STATUSES: [(&str, u64, u64); 7] = [
    ("hit", 1_660_600, 18_000),
    ("revalidated", 336_400, 12_000),
    ("expired", 410_000, 20_000),
    ("miss", 1_203_000, 41_000),
    ("dynamic", 940_000, 6_000),
    ("bypass", 61_000, 3_000),
    ("none", 12_000, 800),
];

pub fn cloudflare() -> Cloudflare {
    Cloudflare {
        zone: Ok(Zone {
            id: "023e105f4ecef8ad9ca31a8372d0c353".to_owned(),
            name: "northwind-outfitters.com".to_owned(),
            status: "active".to_owned(),
            is_paused: false,
            plan: "pro".to_owned(),
            development_mode_s: 0,
            token_status: Some("active".to_owned()),
            round_trip_ms: 148.0,
        }),
        settings: Ok(settings()),
        cache_rules: Ok(rules()),
        page_rules: Ok(vec![PageRule {
            priority: 1,
            target: "*northwind-outfitters.com/checkout*".to_owned(),
            is_active: true,
            actions: vec![("cache_level".to_owned(), "\"bypass\"".to_owned())],
        }]),
        tiered_cache: Ok(TieredCache { is_on: false, is_smart: None, is_editable: true }),
        add_ons: Ok(add_ons()),
        analytics: Ok(analytics()),
    }
}

fn settings() -> Vec<ZoneSetting> {
    let values = [
        ("browser_cache_ttl", "14400"),
        ("cache_level", "\"aggressive\""),
        ("brotli", "\"on\""),
        ("http3", "\"on\""),
        ("early_hints", "\"off\""),
        ("polish", "\"off\""),
    ];
    values.map(|(id, value)| ZoneSetting { id: id.to_owned(), value: value.to_owned(), is_editable: true }).to_vec()
}

/// Nothing bought, no rules of other phases.
fn add_ons() -> AddOns {
    AddOns {
        cache_reserve: Ok(AddOn::Off),
        argo_smart_routing: Ok(AddOn::NotBought),
        regional_tiered_cache: Ok(AddOn::NotBought),
        variants: Ok(None),
        certificates: Ok(Vec::new()),
        config_rules: Ok(Vec::new()),
        compression_rules: Ok(Vec::new()),
        url_rewrites: Ok(Vec::new()),
    }
}

fn rules() -> Vec<CacheRule> {
    let rule = |position, description: &str, expression: &str, cache, edge_ttl_s| CacheRule {
        position,
        description: description.to_owned(),
        expression: expression.to_owned(),
        is_enabled: true,
        cache: Some(cache),
        edge_ttl_mode: Some(if cache { "override_origin" } else { "respect_origin" }.to_owned()),
        edge_ttl_s,
        browser_ttl_mode: None,
        browser_ttl_s: None,
        cache_key: None,
        ..CacheRule::default()
    };
    vec![
        rule(1, "Static assets", "starts_with(http.request.uri.path, \"/_next/static\")", true, Some(2_592_000)),
        rule(2, "Never cache the cart", "starts_with(http.request.uri.path, \"/cart\")", false, None),
        rule(3, "Store API", "starts_with(http.request.uri.path, \"/store/products\")", true, Some(60)),
    ]
}

fn analytics() -> Analytics {
    let status = |(status, requests, bytes): (&str, u64, u64)| StatusCount { status: status.to_owned(), requests, bytes: requests * bytes };
    Analytics {
        from: TAKEN_AT - Duration::hours(24),
        to: TAKEN_AT,
        source: "httpRequestsAdaptiveGroups".to_owned(),
        sample_interval: Some(10.0),
        by_status: STATUSES.into_iter().map(status).collect(),
        by_hour: (0..24).flat_map(hour).collect(),
        by_path: Listed { rows: paths(), cut: None },
        origin_p95_ms: Some(1_180.0),
        share_5xx: Some(0.0012),
        origin_p50_ms: None,
        by_class: classes(),
        by_content_type: content_types(),
        tracked: None,
    }
}

fn hour(index: i64) -> Vec<HourCount> {
    // Traffic of a day: least at four, most in the evening.
    let load = 1.0 + 0.6 * ((index as f64 - 9.0) / 24.0 * std::f64::consts::TAU).sin();
    let from = TAKEN_AT - Duration::minutes(30) - Duration::hours(24 - index);
    let count = |(status, requests, bytes): (&str, u64, u64)| {
        let wobble = 1.0 + if status == "hit" { 0.12 * (index as f64 * 0.9).sin() } else { 0.0 };
        let requests = (requests as f64 / 24.0 * load * wobble) as u64;
        HourCount { hour: from, status: status.to_owned(), requests, bytes: requests * bytes }
    };
    STATUSES.into_iter().map(count).collect()
}

fn paths() -> Vec<PathCount> {
    let rows = [
        ("www.northwind-outfitters.com", "/products/*", "miss", 512_400, 61_000),
        ("api.northwind-outfitters.com", "/store/products", "dynamic", 402_100, 24_000),
        ("www.northwind-outfitters.com", "/static/*", "miss", 318_200, 88_000),
        ("www.northwind-outfitters.com", "/categories/*", "expired", 210_900, 54_000),
        ("www.northwind-outfitters.com", "/_next/image", "miss", 151_700, 36_000),
        ("www.northwind-outfitters.com", "/", "expired", 96_300, 71_000),
        ("api.northwind-outfitters.com", "/store/regions", "dynamic", 81_200, 3_000),
    ];
    let path = |(host, path, status, requests, bytes): (&str, &str, &str, u64, u64)| PathCount {
        host: host.to_owned(),
        path: path.to_owned(),
        status: status.to_owned(),
        requests,
        bytes: requests * bytes,
    };
    rows.into_iter().map(path).collect()
}

/// Requests a day, how many of them the edge answered, and the origin's P95 in milliseconds.
fn classes() -> Vec<ClassCount> {
    let rows = [
        (TrafficClass::StaticFiles, 1_400_000, 1_310_000, 38.0),
        (TrafficClass::OptimizedImages, 151_700, 9_000, 610.0),
        (TrafficClass::ProductPages, 512_400, 0, 1_180.0),
        (TrafficClass::ListPages, 210_900, 61_000, 940.0),
        (TrafficClass::ApiCatalogue, 483_300, 0, 720.0),
        (TrafficClass::Media, 318_200, 201_000, 210.0),
        (TrafficClass::Personal, 61_000, 0, 190.0),
    ];
    let class = |(class, requests, hits, p95): (TrafficClass, u64, u64, f64)| ClassCount {
        class,
        by_status: [("hit", hits), ("miss", requests - hits)]
            .map(|(status, n)| StatusCount { status: status.to_owned(), requests: n, bytes: n * 18_000 })
            .to_vec(),
        origin_p50_ms: Some(p95 * 0.3),
        origin_p95_ms: Some(p95),
        share_5xx: Some(0.001),
    };
    rows.map(class).to_vec()
}

fn content_types() -> Vec<TypeCount> {
    let rows = [
        ("js", "hit", 900_000, 31_000),
        ("html", "dynamic", 720_000, 22_000),
        ("json", "dynamic", 480_000, 6_000),
        ("webp", "miss", 470_000, 64_000),
    ];
    let count = |(kind, status, requests, bytes): (&str, &str, u64, u64)| TypeCount {
        content_type: kind.to_owned(),
        status: status.to_owned(),
        requests,
        bytes: requests * bytes,
    };
    rows.map(count).to_vec()
}
