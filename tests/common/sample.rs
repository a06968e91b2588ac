//! A synthetic store with an audit of every layer, for looking at pages and for testing them without services.
#![allow(dead_code, reason = "each program that includes this uses a part of it")]

use std::path::PathBuf;
use std::sync::Arc;

use medusa_advisor::app::{Audit, DEMO, Event, Model, Page, Settings, StoreEntry};
use medusa_advisor::connect::profile::{
    CloudflareProfile, Environment, KeepSecrets, Limits, PostgresProfile, Profile, RedisProfile, ShopProfile, TlsMode,
};
use medusa_advisor::evidence::{Gap, Layer, LayerCost, Meta, Section, Snapshot, Targets, Timeline};
use medusa_advisor::history::{Entry, LayerLine, Summary};
use medusa_advisor::plan::{self, Plan};
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

#[path = "sample/cdn.rs"]
pub mod cdn;
#[path = "sample/cloudfront.rs"]
pub mod cloudfront;
#[path = "sample/findings.rs"]
pub mod findings;
#[path = "sample/pages.rs"]
pub mod pages;
#[path = "sample/postgres.rs"]
pub mod postgres;
#[path = "sample/redis.rs"]
pub mod redis;
#[path = "sample/shop.rs"]
pub mod shop;

/// When the sample audit was taken.
pub const TAKEN_AT: OffsetDateTime = datetime!(2026-11-23 09:30 UTC);
/// Id of the sample store.
pub const STORE: &str = "northwind";

/// Which model to build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Six stores, an open audit with 14 findings.
    Sample,
    /// The same stores, an open audit that found nothing.
    Healthy,
    /// The same stores, no audit open.
    Empty,
    /// Nothing but the demo store.
    FirstRun,
}

/// A model of that kind on the Stores page; see [`pages::open`] for the other pages.
pub fn model(kind: Kind) -> Model {
    let mut model = Model::new(Settings::default(), true, "~/.local/share/medusa-advisor".to_owned());
    let stores = if kind == Kind::FirstRun { vec![demo_store()] } else { stores() };
    model.receive(Event::Stores(Ok(stores)));
    match kind {
        Kind::Sample => open_audit(&mut model, plan(&snapshot())),
        Kind::Healthy => open_audit(&mut model, healthy_plan()),
        Kind::Empty | Kind::FirstRun => {}
    }
    model.page = Page::Stores;
    model
}

fn open_audit(model: &mut Model, plan: Plan) {
    model.receive(Event::AuditOpened(Ok(Arc::new(audit(plan)))));
}

/// Opens the sample audit with other evidence.
pub fn open_changed(model: &mut Model, edit: impl FnOnce(&mut Snapshot)) {
    let mut snapshot = snapshot();
    edit(&mut snapshot);
    let plan = plan(&snapshot);
    model.receive(Event::AuditOpened(Ok(Arc::new(Audit { snapshot, ..audit(plan) }))));
}

pub fn audit(plan: Plan) -> Audit {
    Audit {
        store: Some(STORE.to_owned()),
        snapshot: snapshot(),
        plan,
        path: Some(PathBuf::from("/audits/2026-11-23T09-30-00.snapshot")),
        previous: Some(vec![(Layer::Cdn, Some(49)), (Layer::Redis, Some(57)), (Layer::Postgres, Some(63)), (Layer::App, Some(68))]),
    }
}

pub fn plan(snapshot: &Snapshot) -> Plan {
    plan::from_outcomes(snapshot, findings::judged(), &[])
}

/// The same checks, all of them passed.
pub fn healthy_plan() -> Plan {
    plan::from_outcomes(&snapshot(), findings::all_passed(), &[])
}

/// Every layer read, two grants missing.
pub fn snapshot() -> Snapshot {
    let mut snapshot = Snapshot::empty(Meta {
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        store: "Northwind Outfitters".to_owned(),
        environment: "production".to_owned(),
        taken_at: TAKEN_AT,
        window_s: 30.0,
        window_asked_s: 30.0,
        cancelled: false,
        targets: Targets::default(),
    });
    snapshot.postgres = Ok(postgres::postgres());
    snapshot.redis = Ok(redis::redis());
    snapshot.cdn = Ok(cdn::cloudflare());
    snapshot.storefront = Ok(shop::storefront());
    snapshot.timelines = timelines();
    snapshot.costs = Layer::ALL.map(cost).to_vec();
    snapshot
}

/// One layer could not be reached.
pub fn unreachable(layer: Section) -> Snapshot {
    let mut snapshot = snapshot();
    let detail = "db.northwind.internal:5432 did not answer within 10 s.";
    snapshot.withhold(layer, Gap::new(layer, medusa_advisor::evidence::Cause::Unreachable, detail));
    snapshot
}

fn cost(layer: Layer) -> LayerCost {
    let (calls, busy_ms, wall_ms, bytes) = match layer {
        Layer::Cdn => (11, None, 1_900.0, 214_000),
        Layer::Redis => (1_204, Some(38.0), 2_200.0, 96_000),
        Layer::Postgres => (48, Some(212.0), 1_600.0, 780_000),
        Layer::App => (58, None, 14_000.0, 2_400_000),
    };
    LayerCost { layer, calls, busy_ms, wall_ms, bytes }
}

fn timelines() -> Vec<Timeline> {
    let line = |id: &str, unit: &str, value: fn(f64) -> f64| Timeline {
        id: id.to_owned(),
        unit: unit.to_owned(),
        points: (0..=30).map(f64::from).map(|s| (s, (s as u32 != 12).then(|| value(s)))).collect(),
    };
    vec![
        line("pg.database_time", "s/s", |s| 0.80 + 0.12 * (s * 0.7).sin()),
        line("pg.top_statement_time", "s/s", |s| 0.77 + 0.11 * (s * 0.7).sin()),
        line("redis.hit_rate", "ratio", |s| 0.58 + 0.05 * (s * 0.4).cos()),
        line("redis.keys_calls", "1/s", |s| if (s as u32).is_multiple_of(6) { 4.0 } else { 0.0 }),
        line("redis.ops", "1/s", |s| 940.0 + 120.0 * (s * 0.9).sin()),
        line("app.latency", "ms", |s| 720.0 + 300.0 * (s * 1.3).sin().abs()),
    ]
}

/// Five saved stores and the demo store, in the order of the list.
pub fn stores() -> Vec<StoreEntry> {
    let production = Environment::Production;
    let history: Vec<[Option<u32>; 4]> =
        [80, 80, 79, 78, 77, 74, 70, 68, 51].iter().rev().map(|n| [Some(*n + 1), Some(*n), Some(n - 1), Some(*n)]).collect();
    let mut northwind = store(STORE, "Northwind Outfitters", production, &history, [1, 5, 5, 3, 0]);
    if let Some(newest) = northwind.audits.first_mut() {
        newest.summary = Summary::of(&snapshot(), &plan(&snapshot()));
    }
    let mut kestrel = store(
        "kestrel",
        "Kestrel Cycles",
        production,
        &[[Some(74), Some(66), None, Some(58)], [Some(70), Some(66), Some(64), Some(66)]],
        [0, 2, 4, 2, 0],
    );
    if let Some(newest) = kestrel.audits.first_mut() {
        newest.summary.layers[Layer::Postgres as usize].status = "unreachable".to_owned();
        newest.summary.medusa_version = Some("1.20.11".to_owned());
        newest.summary.products = Some(8_412);
    }
    let harbor = [[Some(91), Some(86), Some(89), Some(90)], [Some(88), Some(84), Some(86), Some(88)], [Some(70), Some(72), Some(75), Some(70)]];
    let staging = [[None, Some(81), Some(88), Some(84)], [None, Some(80), Some(86), Some(84)]];
    vec![
        northwind,
        store("northwind-staging", "Northwind Outfitters", Environment::Staging, &staging, [0, 0, 2, 4, 0]),
        store("harbor-pine", "Harbor & Pine", production, &harbor, [0, 0, 1, 3, 0]),
        kestrel,
        store("kestrel-dev", "Kestrel Cycles", Environment::Development, &[], [0; 5]),
        demo_store(),
    ]
}

/// The built-in store with one audit.
pub fn demo_store() -> StoreEntry {
    let mut entry = store(DEMO, "Demo store", Environment::Demo, &[[Some(52), Some(48), Some(41), Some(63)]], [1, 5, 5, 3, 0]);
    entry.profile.postgres = None;
    entry.profile.redis = Vec::new();
    entry.profile.cloudflare = None;
    entry.profile.shop = None;
    entry
}

/// A store whose audits, newest first, had these scores; `counts` are of the newest.
pub fn store(id: &str, name: &str, environment: Environment, scores: &[[Option<u32>; 4]], counts: [usize; 5]) -> StoreEntry {
    let audits = scores.iter().enumerate().map(|(i, s)| entry(id, i as i64, s, counts)).collect();
    StoreEntry { profile: profile(id, name, environment), audits }
}

fn entry(id: &str, age: i64, scores: &[Option<u32>; 4], counts: [usize; 5]) -> Entry {
    let line = |(layer, score): (Layer, &Option<u32>)| LayerLine {
        layer,
        score: *score,
        status: if score.is_some() { "audited" } else { "not_configured" }.to_owned(),
    };
    let summary = Summary {
        taken_at: TAKEN_AT - Duration::days(age * 3) - Duration::minutes(age * 37),
        window_s: 30.0,
        cancelled: age == 4,
        medusa_version: Some("2.21.2".to_owned()),
        products: Some(20_000),
        layers: Layer::ALL.into_iter().zip(scores).map(line).collect(),
        counts,
        unknown: 3,
    };
    Entry { path: PathBuf::from(format!("/audits/{id}/{age}.snapshot")), summary }
}

pub fn profile(id: &str, name: &str, environment: Environment) -> Profile {
    let redis = |host: &str, is_tls| RedisProfile { is_tls, ..RedisProfile::at(host, 6379) };
    Profile {
        id: id.to_owned(),
        name: name.to_owned(),
        environment,
        postgres: Some(PostgresProfile {
            host: "db.northwind.internal".to_owned(),
            port: 5432,
            database: "medusa".to_owned(),
            user: "medusa_advisor".to_owned(),
            tls: TlsMode::VerifyFull,
            ca_file: None,
            memory_bytes: None,
            nodes: Vec::new(),
        }),
        redis: vec![redis("cache.northwind.internal", true), redis("queue.northwind.internal", true)],
        cloudflare: Some(CloudflareProfile { zone: "northwind-outfitters.com".to_owned(), base_url: None }),
        cloudfront: None,
        shop: Some(ShopProfile {
            storefront_url: Some("https://www.northwind-outfitters.com".to_owned()),
            backend_url: Some("https://api.northwind-outfitters.com".to_owned()),
            publishable_key: Some("pk_0123456789".to_owned()),
            resolve: Vec::new(),
        }),
        keep_secrets: KeepSecrets::Keychain,
        limits: Limits::default(),
    }
}
