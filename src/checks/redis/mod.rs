//! The Redis checks, one file each. This list is written by `tests/tidy.rs`.

pub mod cache_without_ttl;
pub mod eviction_breaks_queues;
pub mod evictions;
pub mod keys_command;
pub mod low_hit_rate;
pub mod memory_pressure;
