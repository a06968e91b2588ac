//! The Postgres checks, one file each. This list is written by `tests/tidy.rs`.

pub mod commerce_index;
pub mod connections_high;
pub mod duplicate_index;
pub mod invalid_index;
pub mod missing_index;
pub mod missing_stock_index;
pub mod n_plus_one;
pub mod redundant_index;
pub mod slow_log_off;
pub mod slow_statement;
pub mod statements_unavailable;
pub mod unindexed_foreign_key;
pub mod unused_index;
pub mod vacuum_lag;
