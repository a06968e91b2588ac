//! Every check. Written by `tests/tidy.rs`: run the tests twice after adding a file.

use super::Check;

/// Sorted by folder and file name.
pub static ALL: &[&Check] = &[
    &super::redis::cache_without_ttl::CHECK,
    &super::redis::eviction_breaks_queues::CHECK,
    &super::redis::evictions::CHECK,
    &super::redis::keys_command::CHECK,
    &super::redis::low_hit_rate::CHECK,
    &super::redis::memory_pressure::CHECK,
];
