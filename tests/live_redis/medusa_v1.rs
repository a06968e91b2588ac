//! The Redis of a real Medusa 1 under load: a stock one is left alone, and a fault beside it is still named.
//!
//! Medusa 1 is installed from npm once, into a cache folder, or found where `ADVISOR_TEST_MEDUSA_V1` says; without node, npm, a network or
//! a private Postgres the test prints "skipped".

use crate::harness::{assert_quiet, audit_with, findings, profile};
use crate::medusa::{Shop, V1};
use medusa_advisor::evidence::Snapshot;
use medusa_advisor::evidence::redis::Role;
use medusa_advisor::finding::Severity;

/// Seconds the shop trades before the audit, and while it runs.
const BEFORE_S: u32 = 4;
const MEANWHILE_S: u32 = 8;
/// Requests of a shop that really trades: a quiet machine answers hundreds.
const ANSWERED_MIN: u32 = 40;

#[tokio::test(flavor = "multi_thread")]
async fn a_real_medusa_1_stays_quiet_and_a_fault_beside_it_is_named() {
    let Some(shop) = Shop::open(&V1, "redis_medusa_v1", "shared").await else { return };
    shop.trade(BEFORE_S);
    let stock = audited_in_trade(&shop).await;
    assert_families(&stock);
    assert_quiet(&stock, &[]);
    // Stock version 1 clears prices with KEYS, of which it can do nothing: known, and no more than that while the keys are few.
    let keys = findings(&stock, "redis-keys-command");
    assert!(keys.len() == 1 && keys[0].severity == Severity::Info, "{keys:?}");

    shop.redis.cli("CONFIG SET maxmemory 200mb");
    shop.redis.cli("CONFIG SET maxmemory-policy allkeys-lru");
    let planted = audited_in_trade(&shop).await;
    assert_quiet(&planted, &["redis-eviction-breaks-queues"]);
    let found = findings(&planted, "redis-eviction-breaks-queues");
    assert!(found.len() == 1 && found[0].severity >= Severity::High, "{found:?}");
    assert!(found[0].observed.contains("allkeys-lru"), "{}", found[0].observed);
}

async fn audited_in_trade(shop: &Shop) -> Snapshot {
    let mut answered = 0;
    let snapshot = audit_with(&[profile(&shop.redis)], &[None], u64::from(MEANWHILE_S) + 2, || answered = shop.trade(MEANWHILE_S)).await;
    assert!(answered >= ANSWERED_MIN, "{answered} requests");
    snapshot
}

/// Every family has an owner, and events, prices and sessions are there.
fn assert_families(snapshot: &Snapshot) {
    let instance = &snapshot.redis.as_ref().unwrap().instances[0];
    let patterns = &instance.keys().unwrap().patterns;
    let told: Vec<String> = patterns.iter().map(|p| format!("{} {:?} {}", p.pattern, p.role, p.keys)).collect();
    println!("{}", told.join("\n"));
    assert!(patterns.iter().all(|p| !matches!(p.role, Role::Other | Role::CustomCache | Role::Queue)), "{told:?}");
    for role in [Role::Cache, Role::EventBus, Role::Sessions] {
        assert!(patterns.iter().any(|p| p.role == role), "{role:?} in {told:?}");
    }
    let queues = instance.queues().unwrap();
    assert!(queues.iter().any(|q| q.name == "RedisEventBusService:events-queue" && q.is_attended), "{queues:?}");
}
