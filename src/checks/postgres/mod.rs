//! The Postgres checks, one file each. This list is written by `tests/tidy.rs`.

pub mod cache_hit_low;
pub mod commerce_index;
pub mod connections_high;
pub mod duplicate_index;
pub mod forced_checkpoints;
pub mod invalid_index;
pub mod missing_index;
pub mod n_plus_one;
pub mod no_statement_timeout;
pub mod pool_oversized;
pub mod settings_autovacuum;
pub mod settings_effective_cache_size;
pub mod settings_jit;
pub mod settings_random_page_cost;
pub mod settings_shared_buffers;
pub mod settings_wal;
pub mod settings_work_mem;
pub mod slow_log_off;
pub mod slow_statement;
pub mod statements_unavailable;
pub mod unindexed_foreign_key;
pub mod unused_index;
pub mod vacuum_lag;
pub mod version_eol;
