//! The CDN checks, one file each. This list is written by `tests/tidy.rs`.

pub mod absent;
pub mod bucket_headers;
pub mod caching_disabled_behavior;
pub mod compression_missing;
pub mod forwards_everything;
pub mod hit_metrics_off;
pub mod legacy_cache_settings;
pub mod local_file_storage;
pub mod low_hit_ratio;
pub mod origin_open;
pub mod personal_response_cached;
pub mod session_cookie_everywhere;
pub mod static_not_immutable;
pub mod uncached_catalogue;
