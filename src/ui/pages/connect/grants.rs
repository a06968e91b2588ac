//! The texts that make a read-only role, user or token.
//!
//! `POSTGRES` and `CLOUDFLARE` stand for the constants of their connectors and are pointed at them when those are in.

pub const POSTGRES: &str = "";
pub const REDIS: &str = "";
pub const CLOUDFLARE: &str = "";
