//! What was observed of a Cloudflare zone.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{Cause, Gap, Listed, Section, Seen, sections};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cloudflare {
    pub zone: Seen<Zone>,
    pub settings: Seen<Vec<ZoneSetting>>,
    pub cache_rules: Seen<Vec<CacheRule>>,
    pub page_rules: Seen<Vec<PageRule>>,
    pub tiered_cache: Seen<TieredCache>,
    #[serde(default = "older_add_ons")]
    pub add_ons: Seen<AddOns>,
    pub analytics: Seen<Analytics>,
}

fn older_add_ons() -> Seen<AddOns> {
    Err(Gap::new(Section::CdnAddOns, Cause::Unreadable, "The snapshot was written before the zone's add-ons were read."))
}

sections!(Cloudflare {
    zone: Zone => CdnZone,
    settings: Vec<ZoneSetting> => CdnSettings,
    cache_rules: Vec<CacheRule> => CdnCacheRules,
    page_rules: Vec<PageRule> => CdnPageRules,
    tiered_cache: TieredCache => CdnTieredCache,
    add_ons: AddOns => CdnAddOns,
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

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
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
    /// Lifetimes for some statuses, in the order set.
    #[serde(default)]
    pub status_ttls: Vec<StatusTtl>,
    /// `Some(false)`: an expired answer is not served while it is fetched anew.
    #[serde(default)]
    pub serves_stale: Option<bool>,
    #[serde(default)]
    pub respects_strong_etags: Option<bool>,
    /// Whether the origin's Cache-Control is followed to the letter.
    #[serde(default)]
    pub origin_cache_control: Option<bool>,
    /// The `vary` parameter's JSON, where one is set: which request headers tell entries apart.
    #[serde(default)]
    pub vary: Option<String>,
}

/// A lifetime by status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusTtl {
    pub from: u16,
    /// Included.
    pub to: u16,
    /// Seconds; 0 = no-cache, -1 = no-store.
    pub ttl_s: i64,
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

/// What a zone has beside its settings. Each is asked for by itself; a permission that lacks is that one's gap.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AddOns {
    pub cache_reserve: Seen<AddOn>,
    pub argo_smart_routing: Seen<AddOn>,
    pub regional_tiered_cache: Seen<AddOn>,
    /// Extensions whose image formats are kept apart (JSON); `None` where never set.
    pub variants: Seen<Option<String>>,
    pub certificates: Seen<Vec<Certificate>>,
    /// Configuration rules (phase `http_config_settings`).
    pub config_rules: Seen<Vec<PhaseRule>>,
    /// Compression rules (phase `http_response_compression`).
    pub compression_rules: Seen<Vec<PhaseRule>>,
    /// URL rewrites (phase `http_request_transform`): what cache rules and the cache key see of a request.
    #[serde(default = "older_url_rewrites")]
    pub url_rewrites: Seen<Vec<PhaseRule>>,
}

fn older_url_rewrites() -> Seen<Vec<PhaseRule>> {
    Err(Gap::new(Section::CdnAddOns, Cause::Unreadable, "The snapshot was written before the zone's URL rewrites were read."))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AddOn {
    On,
    Off,
    /// The plan or a paid add-on lacks.
    NotBought,
}

/// A certificate pack of the edge.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Certificate {
    /// "universal", "advanced", "custom" …
    pub kind: String,
    pub status: String,
    pub hosts: Vec<String>,
    pub authority: Option<String>,
    /// Of the certificate that expires first.
    #[serde(with = "time::serde::rfc3339::option")]
    pub expires_at: Option<OffsetDateTime>,
}

/// A rule of a phase other than caching.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PhaseRule {
    pub description: String,
    pub expression: String,
    pub is_enabled: bool,
    /// JSON text of what it sets.
    pub parameters: String,
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
    /// P95 of the origin's answer over the requests that reached it, milliseconds, where the plan tells.
    pub origin_p95_ms: Option<f64>,
    /// 0…1, of all requests.
    pub share_5xx: Option<f64>,
    /// Median of the origin's answer, milliseconds.
    #[serde(default)]
    pub origin_p50_ms: Option<f64>,
    /// All requests, answered at the edge or not, by class of path; empty where they were not asked for or refused.
    #[serde(default)]
    pub by_class: Vec<ClassCount>,
    /// All requests by type of the answer; empty where the plan does not tell.
    #[serde(default)]
    pub by_content_type: Vec<TypeCount>,
    /// Requests for catalogue pages with a tracking parameter; `None` where they were not asked for or refused: `source` says which.
    #[serde(default)]
    pub tracked: Option<Tracked>,
}

/// Requests for product, category and collection pages whose query carries a tracking parameter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tracked {
    /// Each request once, whatever number of parameters it carries.
    pub by_status: Vec<StatusCount>,
    /// A request counts under each tracker it carries a parameter of; those of which there were none are left out.
    pub by_tracker: Vec<TrackerCount>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrackerCount {
    pub tracker: Tracker,
    pub by_status: Vec<StatusCount>,
}

/// Whose parameters a link from an advertisement or a newsletter carries. No page depends on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tracker {
    /// Campaigns: `utm_source` and its like.
    Utm,
    /// Google Ads, Shopping listings and Campaign Manager.
    Google,
    /// Facebook and Instagram.
    Meta,
    Microsoft,
    /// TikTok, X, LinkedIn, Pinterest, Snapchat.
    OtherAds,
    /// Mailchimp and Klaviyo.
    Mail,
}

impl Tracker {
    pub const ALL: [Tracker; 6] = [Tracker::Utm, Tracker::Google, Tracker::Meta, Tracker::Microsoft, Tracker::OtherAds, Tracker::Mail];

    /// The names of its parameters, by the vendors' own documentation of link tagging.
    pub fn parameters(self) -> &'static [&'static str] {
        match self {
            Tracker::Utm => &["utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content", "utm_id"],
            Tracker::Google => &["gclid", "gbraid", "wbraid", "gad_source", "gad_campaignid", "dclid", "srsltid"],
            Tracker::Meta => &["fbclid"],
            Tracker::Microsoft => &["msclkid"],
            Tracker::OtherAds => &["ttclid", "twclid", "li_fat_id", "epik", "ScCid"],
            Tracker::Mail => &["mc_cid", "mc_eid", "_kx"],
        }
    }

    /// All names.
    pub fn all_parameters() -> impl Iterator<Item = &'static str> {
        Tracker::ALL.into_iter().flat_map(|t| t.parameters().iter().copied())
    }
}

/// What a path is, by the patterns that analytics can filter by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrafficClass {
    /// `/_next/static/`.
    StaticFiles,
    /// `/_next/image`.
    OptimizedImages,
    ProductPages,
    /// Category and collection pages and `/store` of the storefront.
    ListPages,
    /// Product, collection, category and region lists of the store API.
    ApiCatalogue,
    /// Pictures and films by their extension.
    Media,
    /// Cart, checkout, account, orders, and the API's carts, customers and sign-in.
    Personal,
}

impl TrafficClass {
    pub const ALL: [TrafficClass; 7] = [
        TrafficClass::StaticFiles,
        TrafficClass::OptimizedImages,
        TrafficClass::ProductPages,
        TrafficClass::ListPages,
        TrafficClass::ApiCatalogue,
        TrafficClass::Media,
        TrafficClass::Personal,
    ];

    pub fn name(self) -> &'static str {
        match self {
            TrafficClass::StaticFiles => "static files",
            TrafficClass::OptimizedImages => "optimised images",
            TrafficClass::ProductPages => "product pages",
            TrafficClass::ListPages => "category and collection pages",
            TrafficClass::ApiCatalogue => "store API lists",
            TrafficClass::Media => "media",
            TrafficClass::Personal => "personal",
        }
    }
}

/// All requests of one class of paths.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassCount {
    pub class: TrafficClass,
    pub by_status: Vec<StatusCount>,
    /// Median and P95 of the origin's answer over the requests that reached it, milliseconds, where the plan tells.
    pub origin_p50_ms: Option<f64>,
    pub origin_p95_ms: Option<f64>,
    /// 0…1, of the requests of the class that reached the origin.
    pub share_5xx: Option<f64>,
}

/// All requests of one type of answer and one cache status.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TypeCount {
    /// "html", "js", "json" … as Cloudflare calls it.
    pub content_type: String,
    pub status: String,
    pub requests: u64,
    pub bytes: u64,
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
