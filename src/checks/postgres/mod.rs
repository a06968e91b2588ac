//! The Postgres checks, one file each. This list is written by `tests/tidy.rs`.

pub mod blocked_session;
pub mod commerce_index;
pub mod connections_high;
pub mod duplicate_index;
pub mod idle_in_transaction;
pub mod inactive_slot;
pub mod index_bloat;
pub mod invalid_index;
pub mod long_transaction;
pub mod missing_index;
pub mod n_plus_one;
pub mod replication_lag;
pub mod sequence_exhaustion;
pub mod slow_log_off;
pub mod slow_statement;
pub mod stale_statistics;
pub mod statements_unavailable;
pub mod table_bloat;
pub mod unindexed_foreign_key;
pub mod unused_index;
pub mod vacuum_lag;
pub mod wraparound;
