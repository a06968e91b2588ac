//! The checks on evidence that is made by hand: boundaries, and silence on stock stores.

#[path = "../common/made_redis.rs"]
mod made_redis;
#[path = "../common/redis_keys_fixture.rs"]
mod redis_keys_fixture;

mod redis;
mod redis_keys;
mod redis_server;
mod stock;
