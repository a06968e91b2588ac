//! What was observed of a Cloudflare zone.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{Listed, Seen, sections};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cloudflare {
    pub zone: Seen<Zone>,
    pub settings: Seen<Vec<ZoneSetting>>,
    pub cache_rules: Seen<Vec<CacheRule>>,
    pub page_rules: Seen<Vec<PageRule>>,
    pub tiered_cache: Seen<TieredCache>,
    pub analytics: Seen<Analytics>,
}

sections!(Cloudflare {
    zone: Zone => CdnZone,
    settings: Vec<ZoneSetting> => CdnSettings,
    cache_rules: Vec<CacheRule> => CdnCacheRules,
    page_rules: Vec<PageRule> => CdnPageRules,
    tiered_cache: TieredCache => CdnTieredCache,
    analytics: Analytics => CdnAnalytics,
});

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Zone {
    pub id: String,
    pub name: String,
    /// "active", "pending", "paused" …
    pub status: String,
    pub is_paused: bool,
    /// "free", "pro", "business", "enterprise" or the API's own word.
    pub plan: String,
    /// Seconds of development mode left; 0 = off.
    pub development_mode_s: i64,
    /// "active", "disabled", "expired"; `None` when the token could not be verified though it works.
    pub token_status: Option<String>,
    /// Round trip of the first call, milliseconds.
    pub round_trip_ms: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ZoneSetting {
    pub id: String,
    /// JSON text of the value: `"on"`, `14400`, `{…}`.
    pub value: String,
    /// `false`: the plan does not allow it.
    pub is_editable: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CacheRule {
    /// Order of evaluation; the last matching rule wins.
    pub position: u32,
    pub description: String,
    pub expression: String,
    pub is_enabled: bool,
    /// `Some(true)` eligible, `Some(false)` bypass.
    pub cache: Option<bool>,
    /// "override_origin", "respect_origin", "bypass_by_default".
    pub edge_ttl_mode: Option<String>,
    pub edge_ttl_s: Option<i64>,
    pub browser_ttl_mode: Option<String>,
    pub browser_ttl_s: Option<i64>,
    /// The cache key's JSON, where one is set.
    pub cache_key: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PageRule {
    pub priority: i64,
    pub target: String,
    pub is_active: bool,
    /// Action id and its value as JSON text; empty for flags.
    pub actions: Vec<(String, String)>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TieredCache {
    pub is_on: bool,
    pub is_smart: Option<bool>,
    pub is_editable: bool,
}

/// GraphQL analytics, eyeball requests only.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Analytics {
    #[serde(with = "time::serde::rfc3339")]
    pub from: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub to: OffsetDateTime,
    /// "httpRequestsAdaptiveGroups" and the limits that bit, in words.
    pub source: String,
    /// 1 = unsampled.
    pub sample_interval: Option<f64>,
    pub by_status: Vec<StatusCount>,
    /// By hour and status, in time order.
    pub by_hour: Vec<HourCount>,
    /// Paths with most requests that went to the origin.
    pub by_path: Listed<PathCount>,
    /// P95 of the origin's answer, milliseconds, where the plan tells.
    pub origin_p95_ms: Option<f64>,
    pub share_5xx: Option<f64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StatusCount {
    /// Lower case: hit, miss, expired, stale, revalidated, updating, bypass, dynamic, none.
    pub status: String,
    pub requests: u64,
    pub bytes: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HourCount {
    #[serde(with = "time::serde::rfc3339")]
    pub hour: OffsetDateTime,
    pub status: String,
    pub requests: u64,
    pub bytes: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PathCount {
    pub host: String,
    /// Query removed; ids reduced like key patterns where they may name a person (`/order/<id>`).
    pub path: String,
    pub status: String,
    pub requests: u64,
    pub bytes: u64,
}
