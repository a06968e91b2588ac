//! Saved stores, where their secrets lie, and read-only sessions to their services.

pub mod cloudflare;
pub mod http;
pub mod profile;
pub mod shop;
pub mod steps;
pub mod vault;
