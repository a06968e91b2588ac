//! The CDN checks, one file each. This list is written by `tests/tidy.rs`.
