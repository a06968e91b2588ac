//! Every check. Written by `tests/tidy.rs`: run the tests twice after adding a file.

use super::Check;

/// Sorted by folder and file name.
#[rustfmt::skip]
pub static ALL: &[&Check] = &[
    &super::app::p95_slow::CHECK,
    &super::cdn::absent::CHECK,
    &super::cdn::compression_missing::CHECK,
    &super::cdn::local_file_storage::CHECK,
    &super::cdn::low_hit_ratio::CHECK,
    &super::cdn::personal_response_cached::CHECK,
    &super::cdn::session_cookie_everywhere::CHECK,
    &super::cdn::static_not_immutable::CHECK,
    &super::cdn::uncached_catalogue::CHECK,
    &super::postgres::commerce_index::CHECK,
    &super::postgres::connections_high::CHECK,
    &super::postgres::duplicate_index::CHECK,
    &super::postgres::invalid_index::CHECK,
    &super::postgres::missing_index::CHECK,
    &super::postgres::missing_stock_index::CHECK,
    &super::postgres::n_plus_one::CHECK,
    &super::postgres::redundant_index::CHECK,
    &super::postgres::slow_log_off::CHECK,
    &super::postgres::slow_statement::CHECK,
    &super::postgres::statements_unavailable::CHECK,
    &super::postgres::unindexed_foreign_key::CHECK,
    &super::postgres::unused_index::CHECK,
    &super::postgres::vacuum_lag::CHECK,
    &super::redis::cache_without_ttl::CHECK,
    &super::redis::eviction_breaks_queues::CHECK,
    &super::redis::evictions::CHECK,
    &super::redis::keys_command::CHECK,
    &super::redis::low_hit_rate::CHECK,
    &super::redis::memory_pressure::CHECK,
];
