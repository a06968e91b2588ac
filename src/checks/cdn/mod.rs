//! The CDN checks, one file each. This list is written by `tests/tidy.rs`.

pub mod absent;
pub mod browser_ttl;
pub mod bypass_too_wide;
pub mod cache_key_too_wide;
pub mod compression_missing;
pub mod development_mode;
pub mod edge_ttl_short;
pub mod local_file_storage;
pub mod low_hit_ratio;
pub mod origin_errors;
pub mod origin_slow;
pub mod personal_response_cached;
pub mod rocket_loader;
pub mod session_bypass_missing;
pub mod session_cookie_everywhere;
pub mod ssl_flexible;
pub mod static_not_immutable;
pub mod tiering_off;
pub mod uncached_catalogue;
