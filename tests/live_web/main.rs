//! The live tests of what lies between shopper and shop: storefronts, caches, CDN accounts.

#[path = "../shop/mod.rs"]
mod shop;

mod aws;
mod cloudflare;
mod edges;
mod given_address;
mod hostile_storefront;
mod next_store;
mod storefront;
mod zone;
