//! Every check. Written by `tests/tidy.rs`: run the tests twice after adding a file.

use super::Check;

/// Sorted by folder and file name.
#[rustfmt::skip]
pub static ALL: &[&Check] = &[
    &super::postgres::commerce_index::CHECK,
    &super::postgres::connections_high::CHECK,
    &super::postgres::duplicate_index::CHECK,
    &super::postgres::invalid_index::CHECK,
    &super::postgres::missing_index::CHECK,
    &super::postgres::n_plus_one::CHECK,
    &super::postgres::slow_log_off::CHECK,
    &super::postgres::slow_statement::CHECK,
    &super::postgres::statements_unavailable::CHECK,
    &super::postgres::unindexed_foreign_key::CHECK,
    &super::postgres::unused_index::CHECK,
    &super::postgres::vacuum_lag::CHECK,
];
