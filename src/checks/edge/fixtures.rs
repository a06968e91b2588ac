//! Zones for the tests of what the edge does.

use time::macros::datetime;

use crate::evidence::cdn::{
    AddOn, AddOns, Analytics, CacheRule, Cloudflare, PageRule, PathCount, PhaseRule, StatusCount, TieredCache, Zone, ZoneSetting,
};
use crate::evidence::{Gap, Listed, Section, Snapshot};

/// A healthy zone on the Free plan with these cache rules.
pub fn zone_of(rules: Vec<CacheRule>) -> Cloudflare {
    let rules = rules.into_iter().zip(1..).map(|(rule, position)| CacheRule { position, ..rule }).collect();
    Cloudflare {
        zone: Ok(Zone {
            id: "z".into(),
            name: "example.com".into(),
            status: "active".into(),
            is_paused: false,
            plan: "free".into(),
            development_mode_s: 0,
            token_status: Some("active".into()),
            round_trip_ms: 10.0,
        }),
        settings: Ok(vec![set("browser_cache_ttl", "0"), set("cache_level", "\"aggressive\"")]),
        cache_rules: Ok(rules),
        page_rules: Ok(Vec::new()),
        tiered_cache: Ok(TieredCache { is_on: true, is_smart: Some(true), is_editable: true }),
        add_ons: Ok(add_ons()),
        analytics: Err(Gap::not_configured(Section::CdnAnalytics)),
    }
}

/// Nothing bought, no rules of other phases.
pub fn add_ons() -> AddOns {
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

/// A rule of another phase that is switched on.
pub fn phase_rule(description: &str, expression: &str, parameters: &str) -> PhaseRule {
    PhaseRule { description: description.into(), expression: expression.into(), is_enabled: true, parameters: parameters.into() }
}

pub fn set(id: &str, value: &str) -> ZoneSetting {
    ZoneSetting { id: id.into(), value: value.into(), is_editable: true }
}

/// Eligible, for so long whatever the origin says, or as long as the origin says.
pub fn eligible(expression: &str, edge_ttl_s: Option<i64>) -> CacheRule {
    let mode = if edge_ttl_s.is_some() { "override_origin" } else { "respect_origin" };
    CacheRule { cache: Some(true), edge_ttl_mode: Some(mode.into()), edge_ttl_s, ..rule(expression) }
}

pub fn bypass(expression: &str) -> CacheRule {
    CacheRule { cache: Some(false), ..rule(expression) }
}

pub fn rule(expression: &str) -> CacheRule {
    CacheRule { expression: expression.into(), is_enabled: true, ..CacheRule::default() }
}

pub fn page_rule(priority: i64, target: &str, actions: &[(&str, &str)]) -> PageRule {
    PageRule { priority, target: target.into(), is_active: true, actions: actions.iter().map(|(a, v)| ((*a).into(), (*v).into())).collect() }
}

/// A store of which nothing but the zone is known.
pub fn store(zone: Cloudflare) -> Snapshot {
    let mut snapshot = crate::checks::http::fixtures::shop(vec![], vec![], vec![]);
    snapshot.cdn = Ok(zone);
    snapshot
}

/// A day's requests by status, and the paths that reached the origin: host, path, status, requests.
pub fn analytics(statuses: &[(&str, u64)], paths: &[(&str, &str, &str, u64)]) -> Analytics {
    let path = |(host, path, status, requests): &(&str, &str, &str, u64)| PathCount {
        host: (*host).into(),
        path: (*path).into(),
        status: (*status).into(),
        requests: *requests,
        bytes: requests * 100,
    };
    Analytics {
        from: datetime!(2026-11-22 09:30 UTC),
        to: datetime!(2026-11-23 09:30 UTC),
        source: "httpRequestsAdaptiveGroups".into(),
        sample_interval: Some(1.0),
        by_status: statuses.iter().map(|(s, n)| StatusCount { status: (*s).into(), requests: *n, bytes: n * 100 }).collect(),
        by_hour: vec![],
        by_path: Listed::whole(paths.iter().map(path).collect()),
        origin_p95_ms: None,
        share_5xx: None,
        origin_p50_ms: None,
        by_class: vec![],
        by_content_type: vec![],
        tracked: None,
    }
}
