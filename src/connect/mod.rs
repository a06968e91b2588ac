//! Saved stores, where their secrets lie, and read-only sessions to their services.

pub mod aws;
pub mod cloudflare;
pub mod http;
pub mod postgres;
pub mod profile;
pub mod redis;
pub mod shop;
pub mod steps;
pub mod stores;
pub mod vault;
