//! The application checks, one file each. This list is written by `tests/tidy.rs`.

pub mod abandoned_carts;
pub mod catalogue_shape;
pub mod idempotency_keys_kept;
pub mod inventory_drift;
pub mod notification_growth;
pub mod p95_slow;
pub mod price_explosion;
pub mod soft_deleted_rows;
pub mod staged_jobs_backlog;
pub mod workflow_executions_growing;
