//! `redis-catalogue-uncached`: the database computes the catalogue again for every request.

use crate::checks::key_sample::{too_few_sampled, unseen_max, update_medusa};
use crate::checks::medusa::{Minor, told};
use crate::checks::sql::Kind;
use crate::checks::workload::{Period, ReadLoad, Workload, read_loads, workload};
use crate::checks::{Applies, Check};
use crate::evidence::medusa::Medusa;
use crate::evidence::redis::{Instance, Pattern, Role};
use crate::evidence::{Gap, Layer, Section, Snapshot};
use crate::finding::{Basis, Cell, Confidence, Cost, Effort, Evidence, Finding, Gain, Remedy, RemedyKind, Resource, Severity, Subject};
use crate::text;

/// Share of database time that product and category lists must take to be worth caching.
const SHARE_MIN: f64 = 0.20;
/// Milliseconds of database time a second for them, below which nobody waits: about ten product lists a second of a small store.
const LOAD_MS_PER_S_MIN: f64 = 20.0;
/// … and below which the gain is small whatever the share.
const LOAD_MS_PER_S_SMALL: f64 = 50.0;
/// Entries that a cache of the catalogue has at least: with fewer, almost every lookup misses.
const ENTRIES_MIN: u64 = 50;
/// The caching module came with this minor; before it, no module of Medusa caches products.
const CACHING_SINCE: Minor = Minor(2, 11);

pub static CHECK: Check = Check {
    id: "redis-catalogue-uncached",
    layer: Layer::Redis,
    title: "The catalogue is computed anew for every request",
    passed: "Product data is cached, or costs the database little.",
    why: "Products and categories change a few times a day and are read thousands of times an hour. Without a cache each list costs twenty statements and the work of the backend on top: measured, 166 ms instead of 22 ms for a page of twelve products.",
    remedy: "Switch the caching module on (Medusa 2.11 and later), or cache the store's product routes.",
    method: "Selects that read product, category, image and price tables first (prices in Medusa 2 alone: version 1 caches them itself): at least 20 % of database time and 20 ms a second (Low below 50 ms), while the key samples of all instances show no cache of products (v2: mc: keys; v1: keys other than medusa:ps: and medusa:txrtcache:). The samples must be complete or large enough to rule out fifty entries. The gain is the share times the target hit rate.",
    effort: Effort::Hours,
    references: &[
        "https://docs.medusajs.com/resources/infrastructure-modules/caching",
        "https://docs.medusajs.com/resources/infrastructure-modules/caching/providers/redis",
    ],
    needs: &[Section::RedisKeys, Section::PgStatements, Section::PgMedusa],
    uses: &[Section::PgServer],
    symptom_of: &[],
    applies_to,
    evaluate,
};

fn applies_to(snapshot: &Snapshot) -> Result<Applies, Gap> {
    let redis = snapshot.redis()?;
    let is_read = redis.instances.iter().all(|i| i.keys().is_ok()) && snapshot.pg()?.statements().is_ok();
    if let Ok(medusa) = snapshot.medusa()
        && is_read
        && redis.instances.iter().any(|i| has_cache(i, medusa.major))
    {
        return Ok(Applies::No("product data is cached in Redis".into()));
    }
    Ok(Applies::Yes)
}

fn has_cache(instance: &Instance, major: u8) -> bool {
    instance.keys().is_ok_and(|k| k.patterns.iter().any(|p| is_product_cache(p, major)))
}

/// Entries that may hold products. A cache of the store's own is taken at its word.
fn is_product_cache(pattern: &Pattern, major: u8) -> bool {
    let is_stock_v1 = ["medusa:ps:", "medusa:txrtcache:"].iter().any(|head| pattern.pattern.starts_with(head));
    match pattern.role {
        Role::CustomCache => true,
        Role::Cache => major >= 2 || !is_stock_v1,
        _ => false,
    }
}

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let medusa = snapshot.medusa()?;
    let instances = &snapshot.redis()?.instances;
    let mut unsure = None;
    for instance in instances {
        let keys = instance.keys()?;
        if unseen_max(keys) >= ENTRIES_MIN {
            unsure = Some(too_few_sampled(instance, keys, ENTRIES_MIN, "a cache entry"));
        }
    }
    let workload = workload(snapshot)?;
    let reads: Vec<ReadLoad> = read_loads(&workload).into_iter().filter(|r| is_catalogue(r, medusa.major)).collect();
    let spent_ms: f64 = reads.iter().map(|r| r.load.counters.total_ms).sum();
    let share = workload.share_of(spent_ms);
    let load = workload.ms_per_s(spent_ms);
    // What costs little needs no cache, whether there is one or not.
    if share < SHARE_MIN || load.is_some_and(|l| l < LOAD_MS_PER_S_MIN) {
        return Ok(Vec::new());
    }
    match unsure {
        Some(gap) => Err(gap),
        None => Ok(vec![finding(snapshot, medusa, &workload, &reads, spent_ms)]),
    }
}

fn is_catalogue(read: &ReadLoad, major: u8) -> bool {
    let is_select = read.shape.kind == Kind::Select;
    is_select && read.shape.main_table().is_some_and(|t| is_catalogue_table(&t.table, major))
}

fn is_catalogue_table(table: &str, major: u8) -> bool {
    let is_of = |head: &str| table == head || table.strip_prefix(head).is_some_and(|rest| rest.starts_with('_'));
    let is_priced = major >= 2 && (is_of("price") || table == "product_variant_price_set");
    // Stock is read afresh by design, and belongs to no cache.
    (is_of("product") && table != "product_variant_inventory_item") || table == "image" || is_priced
}

fn finding(snapshot: &Snapshot, medusa: &Medusa, workload: &Workload, reads: &[ReadLoad], spent_ms: f64) -> Finding {
    let share = workload.share_of(spent_ms);
    let load = workload.ms_per_s(spent_ms);
    let target = snapshot.meta.targets.redis_hit_rate_min;
    let is_small = load.is_none_or(|l| l < LOAD_MS_PER_S_SMALL);
    let severity = if is_small { Severity::Low } else { Severity::from_share(share) };
    let rate = load.map_or_else(String::new, |l| format!(", {} a second", text::millis(l)));
    let calls: u64 = reads.iter().map(|r| r.load.counters.calls).sum();
    let (confidence, because) = match workload.period {
        Period::Window => (Confidence::Medium, workload.because()),
        Period::SinceReset => (Confidence::Low, workload.because()),
    };
    let absent = if medusa.major >= 2 { "no mc: key" } else { "no cache key but those of prices and taxes" };
    let mut gain = Gain::new(Basis::Modelled, format!("{} database time", text::minus_percent(share * target)));
    gain.database_time_share = Some(share * target);
    gain.database_ms_per_s = load.map(|l| l * target);
    Finding {
        subject: Subject::new("setting", "cache of product data"),
        observed: format!(
            "Product and category reads took {} of database time {}{rate} ({}); {absent} is in Redis.",
            text::percent(share),
            workload.words,
            text::plural(calls, "call", "calls")
        ),
        step: "Cache the catalogue in Redis".into(),
        evidence: evidence(workload, reads, share, target),
        severity,
        confidence,
        confidence_because: format!("{because}; a cache on a Redis that was not given, or in the backend's memory, would not be seen"),
        effort: Effort::Hours,
        cost: Cost { resource: Resource::DatabaseTime, share },
        gain: Some(gain),
        averts: None,
        remedies: remedies(medusa),
        verify: format!("The next audit samples cache entries, and product reads take less than {} of database time.", text::percent(SHARE_MIN)),
        touches: touches(reads, medusa),
    }
}

fn touches(reads: &[ReadLoad], medusa: &Medusa) -> Vec<String> {
    /// Statements named: the costliest.
    const TOUCHED_MAX: usize = 5;
    let mut touches: Vec<String> = reads.iter().take(TOUCHED_MAX).map(|r| r.load.touch()).collect();
    touches.push(format!("table:{}.product", medusa.schema));
    touches
}

fn evidence(workload: &Workload, reads: &[ReadLoad], share: f64, target: f64) -> Vec<Evidence> {
    let row = |r: &ReadLoad| {
        let counters = &r.load.counters;
        vec![
            Cell::text(text::cut(&text::one_line(&r.load.statement.text), 120)),
            Cell::number(counters.calls as f64, text::count(counters.calls)),
            Cell::number(counters.mean_ms(), text::millis(counters.mean_ms())),
            Cell::number(workload.share(&r.load), text::percent(workload.share(&r.load))),
        ]
    };
    vec![
        Evidence::BeforeAfter {
            label: "Database time of the catalogue".into(),
            unit: "ratio".into(),
            before: share,
            after: share * (1.0 - target),
            basis: Basis::Modelled,
        },
        Evidence::figure("Target hit rate", target, "ratio", text::percent(target)),
        Evidence::table("Costliest reads", &["Statement", "Calls", "Mean", "Share of time"], reads.iter().take(8).map(row).collect()),
    ]
}

fn remedies(medusa: &Medusa) -> Vec<Remedy> {
    let version = told(&medusa.version);
    let is_older = version.is_some_and(|t| t.to < CACHING_SINCE);
    match medusa.major {
        1 => vec![own(OWN_V1, "Cache the product list of the store API in the route")],
        _ if is_older => vec![
            Remedy {
                kind: RemedyKind::Shell,
                label: "Update to 2.11 or later: its caching module caches products".into(),
                text: format!("{} && npx medusa db:migrate", update_medusa(Some("@medusajs/caching-redis"))),
                lock: None,
                risk: "Read the release notes of the versions between; all @medusajs packages go to one version, as they must. The cache module of before (cache-redis) does not cache products.".into(),
                undo: None,
            },
            caching(),
        ],
        _ => vec![caching()],
    }
}

fn caching() -> Remedy {
    Remedy {
        kind: RemedyKind::MedusaConfig,
        label: "Switch the caching module on".into(),
        text: CACHING.into(),
        lock: None,
        risk: "Give it a Redis of its own with allkeys-lru. A product change clears every list that shows the product; changes made past Medusa show after an hour.".into(),
        undo: Some("Set caching to false.".into()),
    }
}

fn own(text: &str, label: &str) -> Remedy {
    Remedy {
        kind: RemedyKind::Code,
        label: label.into(),
        text: text.into(),
        lock: None,
        risk: "Changes show up to a minute late. Answers that depend on the customer (price lists by group) must not be shared.".into(),
        undo: Some("Remove the middleware.".into()),
    }
}

const CACHING: &str = r#"// medusa-config.ts (v2.11 and later)
module.exports = defineConfig({
  featureFlags: { caching: true }, // or MEDUSA_FF_CACHING=true
  modules: [
    {
      resolve: "@medusajs/medusa/caching",
      options: {
        ttl: 3600,
        providers: [
          {
            resolve: "@medusajs/caching-redis",
            id: "caching-redis",
            is_default: true,
            options: { redisUrl: process.env.CACHE_REDIS_URL },
          },
        ],
      },
    },
  ],
})"#;

const OWN_V1: &str = r#"// src/api/index.js (v1): one answer a minute for all guests of a region and currency
const { Router } = require("express")

// what is not called default is not looked at
exports.default = () => {
  const router = Router()
  router.get("/store/products", async (req, res, next) => {
    if (req.session?.customer_id || req.headers.authorization) return next()
    const cache = req.scope.resolve("cacheService")
    const key = `catalog:${Object.entries(req.query).sort().flat().join(":")}`
    const known = await cache.get(key)
    if (known) return res.json(known)
    const json = res.json.bind(res)
    res.json = (body) => {
      if (res.statusCode === 200) cache.set(key, body, 60).catch(() => {})
      return json(body)
    }
    next()
  })
  return router
}"#;
