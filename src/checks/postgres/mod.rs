//! The Postgres checks, one file each. This list is written by `tests/tidy.rs`.

pub mod commerce_index;
pub mod connections_high;
pub mod costly_count;
pub mod deep_offset;
pub mod dominant_statement;
pub mod duplicate_index;
pub mod invalid_index;
pub mod io_timing_off;
pub mod link_filter_explosion;
pub mod missing_index;
pub mod n_plus_one;
pub mod overfetch;
pub mod pending_orders_index;
pub mod search_without_trigram;
pub mod slow_log_off;
pub mod slow_statement;
pub mod soft_delete_blind;
pub mod statements_evicting;
pub mod statements_unavailable;
pub mod temp_spill;
pub mod unindexed_foreign_key;
pub mod unstable_statement;
pub mod unused_index;
pub mod vacuum_lag;
