//! The CDN checks, one file each. This list is written by `tests/tidy.rs`.

pub mod absent;
pub mod compression_missing;
pub mod heavy_images;
pub mod http_version;
pub mod image_optimizer_uncached;
pub mod legacy_image_format;
pub mod local_file_storage;
pub mod low_hit_ratio;
pub mod media_bypasses_cdn;
pub mod personal_response_cached;
pub mod rsc_mixed;
pub mod session_cookie_everywhere;
pub mod static_not_immutable;
pub mod tls_weak;
pub mod uncached_catalogue;
pub mod visitor_redirect;
