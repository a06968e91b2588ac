//! Medusa Advisor: what slows a Medusa.js store down, proved, ranked and with the exact fix.
//!
//! ```text
//! profile ──connect──▶ sessions ──collect──▶ Snapshot ──checks──▶ Outcomes ──plan──▶ Plan ──▶ views · reports · history
//! (keychain)            I/O        I/O       plain data   pure      data     pure    data
//! ```
//!
//! Everything right of the snapshot is pure: no I/O, no clock, no randomness. `tests/tidy.rs` holds who may import whom.

pub mod app;
pub mod audit;
pub mod charts;
pub mod checks;
pub mod cli;
pub mod collect;
pub mod connect;
pub mod demo;
pub mod evidence;
pub mod finding;
pub mod history;
pub mod plan;
pub mod report;
pub mod runtime;
pub mod secret;
pub mod text;
pub mod ui;
