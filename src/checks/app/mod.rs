//! The application checks, one file each. This list is written by `tests/tidy.rs`.

pub mod p95_slow;
