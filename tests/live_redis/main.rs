//! The live tests of Redis: on real servers of every kind, with real queues and real stores.

#[path = "../redis_live/harness.rs"]
mod harness;
#[path = "../common/live.rs"]
mod live;
#[path = "../common/made_redis.rs"]
mod made_redis;
#[path = "../redis_live/medusa.rs"]
mod medusa;
#[path = "../redis_live/npm.rs"]
mod npm;
#[path = "../planted/redis.rs"]
mod planted;
#[path = "../common/redis_keys_fixture.rs"]
mod redis_keys_fixture;
#[path = "../redis_live/shapes.rs"]
mod shapes;

mod hostile;
mod keys;
mod medusa_v1;
mod medusa_v2;
mod planted_servers;
mod reading;
mod remedies;
mod sentinels;
mod server;
mod topologies;
