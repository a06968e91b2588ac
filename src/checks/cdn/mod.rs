//! The CDN checks, one file each. This list is written by `tests/tidy.rs`.

pub mod absent;
pub mod compression_missing;
pub mod local_file_storage;
pub mod low_hit_ratio;
pub mod personal_response_cached;
pub mod session_cookie_everywhere;
pub mod static_not_immutable;
pub mod uncached_catalogue;
