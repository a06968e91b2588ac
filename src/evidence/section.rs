//! The names of what can be read: the four layers and the parts of the evidence.

use serde::{Deserialize, Serialize};

/// The four layers of the ranking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layer {
    Cdn,
    Redis,
    Postgres,
    App,
}

impl Layer {
    pub const ALL: [Layer; 4] = [Layer::Cdn, Layer::Redis, Layer::Postgres, Layer::App];

    /// The word on screen.
    pub fn name(self) -> &'static str {
        match self {
            Layer::Cdn => "CDN",
            Layer::Redis => "Redis",
            Layer::Postgres => "Postgres",
            Layer::App => "Application",
        }
    }

    /// The stable id used in JSON and in `--only`, `--skip`.
    pub fn id(self) -> &'static str {
        match self {
            Layer::Cdn => "cdn",
            Layer::Redis => "redis",
            Layer::Postgres => "postgres",
            Layer::App => "app",
        }
    }
}

/// One separately readable part of the evidence. A check names those it needs; a gap names the one that is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Section {
    /// The whole layer: not configured or unreachable.
    Postgres,
    PgServer,
    PgSettings,
    PgExtensions,
    PgDatabases,
    PgTables,
    PgIndexes,
    PgConstraints,
    PgColumns,
    PgColumnStats,
    PgStatements,
    PgActivity,
    PgSequences,
    PgReplication,
    PgRoles,
    PgCheckpoints,
    PgNodes,
    PgMedusa,
    PgMedia,
    PgRowCounts,
    PgPlans,
    PgProofs,
    Redis,
    RedisServer,
    RedisConfig,
    RedisSlowlog,
    RedisLatency,
    RedisClients,
    RedisCommands,
    RedisKeys,
    RedisQueues,
    Cdn,
    CdnZone,
    CdnSettings,
    CdnCacheRules,
    CdnPageRules,
    CdnTieredCache,
    CdnAddOns,
    CdnAnalytics,
    CloudFront,
    CloudFrontDistributions,
    CloudFrontMetrics,
    S3Buckets,
    Storefront,
    StorefrontPages,
    StorefrontAssets,
    StorefrontMedia,
    StoreApi,
    StorefrontTls,
}

impl Section {
    pub const ALL: [Section; 49] = [
        Section::Postgres,
        Section::PgServer,
        Section::PgSettings,
        Section::PgExtensions,
        Section::PgDatabases,
        Section::PgTables,
        Section::PgIndexes,
        Section::PgConstraints,
        Section::PgColumns,
        Section::PgColumnStats,
        Section::PgStatements,
        Section::PgActivity,
        Section::PgSequences,
        Section::PgReplication,
        Section::PgRoles,
        Section::PgCheckpoints,
        Section::PgNodes,
        Section::PgMedusa,
        Section::PgMedia,
        Section::PgRowCounts,
        Section::PgPlans,
        Section::PgProofs,
        Section::Redis,
        Section::RedisServer,
        Section::RedisConfig,
        Section::RedisSlowlog,
        Section::RedisLatency,
        Section::RedisClients,
        Section::RedisCommands,
        Section::RedisKeys,
        Section::RedisQueues,
        Section::Cdn,
        Section::CdnZone,
        Section::CdnSettings,
        Section::CdnCacheRules,
        Section::CdnPageRules,
        Section::CdnTieredCache,
        Section::CdnAddOns,
        Section::CdnAnalytics,
        Section::CloudFront,
        Section::CloudFrontDistributions,
        Section::CloudFrontMetrics,
        Section::S3Buckets,
        Section::Storefront,
        Section::StorefrontPages,
        Section::StorefrontAssets,
        Section::StorefrontMedia,
        Section::StoreApi,
        Section::StorefrontTls,
    ];

    /// The layer it is read from; the storefront's answers belong to the CDN, the store API's to the application.
    pub fn layer(self) -> Layer {
        match self as u8 {
            x if x <= Section::PgProofs as u8 => Layer::Postgres,
            x if x <= Section::RedisQueues as u8 => Layer::Redis,
            _ if self == Section::StoreApi => Layer::App,
            _ => Layer::Cdn,
        }
    }

    /// The words on screen.
    pub fn name(self) -> &'static str {
        match self {
            Section::Postgres => "Postgres",
            Section::PgServer => "server",
            Section::PgSettings => "settings",
            Section::PgExtensions => "extensions",
            Section::PgDatabases => "databases",
            Section::PgTables => "tables",
            Section::PgIndexes => "indexes",
            Section::PgConstraints => "constraints",
            Section::PgColumns => "columns",
            Section::PgColumnStats => "column statistics",
            Section::PgStatements => "statements",
            Section::PgActivity => "sessions",
            Section::PgSequences => "sequences",
            Section::PgReplication => "replication",
            Section::PgRoles => "role settings",
            Section::PgCheckpoints => "checkpoints",
            Section::PgNodes => "other nodes",
            Section::PgMedusa => "Medusa version",
            Section::PgMedia => "media hosts",
            Section::PgRowCounts => "row counts",
            Section::PgPlans => "plans",
            Section::PgProofs => "proofs by the planner",
            Section::Redis => "Redis",
            Section::RedisServer => "INFO",
            Section::RedisConfig => "CONFIG",
            Section::RedisSlowlog => "SLOWLOG",
            Section::RedisLatency => "LATENCY",
            Section::RedisClients => "CLIENT LIST",
            Section::RedisCommands => "command statistics",
            Section::RedisKeys => "key sample",
            Section::RedisQueues => "queue lengths",
            Section::Cdn => "Cloudflare",
            Section::CdnZone => "zone",
            Section::CdnSettings => "zone settings",
            Section::CdnCacheRules => "cache rules",
            Section::CdnPageRules => "page rules",
            Section::CdnTieredCache => "tiered cache",
            Section::CdnAddOns => "zone add-ons",
            Section::CdnAnalytics => "analytics",
            Section::CloudFront => "CloudFront",
            Section::CloudFrontDistributions => "CloudFront distributions",
            Section::CloudFrontMetrics => "CloudWatch metrics",
            Section::S3Buckets => "media buckets",
            Section::Storefront => "storefront",
            Section::StorefrontPages => "storefront pages",
            Section::StorefrontAssets => "static assets",
            Section::StorefrontMedia => "media",
            Section::StoreApi => "store API",
            Section::StorefrontTls => "TLS",
        }
    }
}
