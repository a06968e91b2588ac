//! The figures the guide sets targets for. Checks, gauges, charts and reports take them from here, so that all say the same.

use super::http::{PathKind, path_kind};
use super::key_sample::{is_all_reached, too_few_sampled};
use crate::evidence::cdn::{Analytics, StatusCount, TrafficClass};
use crate::evidence::redis::{Command, Counters, Instance, Role, Server};
use crate::evidence::storefront::{PathClass, Target, Variant};
use crate::evidence::{Cause, Gap, Section, Snapshot};
use crate::finding::Finding;
use crate::text;

/// Lookups below which a Redis hit rate says nothing.
pub const LOOKUPS_MIN: u64 = 1_000;
/// Cacheable requests below which a CDN hit ratio says nothing.
pub const REQUESTS_MIN: u64 = 500;
/// A sample of one request in a hundred still tells a ratio to a few percent; coarser ones do not.
pub const SAMPLE_INTERVAL_MAX: f64 = 100.0;
/// Timed answers below which a P95 says nothing: with fewer, it is the maximum under another name.
pub const TIMINGS_MIN: u64 = 20;

/// A share of lookups or requests, with what it was taken from.
#[derive(Debug, Clone, PartialEq)]
pub struct HitRate {
    pub hits: u64,
    pub of: u64,
    /// "30 s window", "since the counters were reset", "24 h".
    pub period: String,
    /// "Cloudflare", "cache.example:6379/0".
    pub source: String,
    /// Seconds the counts span.
    pub span_s: f64,
}

impl HitRate {
    /// 0…1.
    pub fn rate(&self) -> f64 {
        if self.of == 0 { 0.0 } else { self.hits as f64 / self.of as f64 }
    }
}

/// Hit rate of product data in Redis: keyspace counters of the instances that hold nothing but cache keys.
///
/// # Errors
/// A gap when no instance is used for the cache alone (Redis counts hits for all keys together: queues and sessions of a healthy
/// shared instance pull it to 53–60 %), when no cache keys exist, or when there were too few lookups.
pub fn redis_hit_rate(snapshot: &Snapshot) -> Result<HitRate, Gap> {
    Ok(redis_cache(snapshot)?.1)
}

/// The instance that [`redis_hit_rate`] is taken from, with the rate.
pub fn redis_cache(snapshot: &Snapshot) -> Result<(&Instance, HitRate), Gap> {
    let redis = snapshot.redis()?;
    let mut shared: Option<&Instance> = None;
    let mut unread: Option<Gap> = None;
    let mut best: Option<(&Instance, HitRate)> = None;
    for instance in &redis.instances {
        match cache_use(instance).and_then(|u| if u == CacheUse::Alone { Ok((u, Some(keyspace_rate(instance, snapshot)?))) } else { Ok((u, None)) }) {
            // An instance that could not be read says nothing about those that could.
            Err(gap) => unread = unread.or(Some(gap)),
            Ok((CacheUse::Shared, _)) => shared = shared.or(Some(instance)),
            Ok((_, Some(rate))) if best.as_ref().is_none_or(|(_, b)| b.of < rate.of) => best = Some((instance, rate)),
            Ok(_) => {}
        }
    }
    match (best, shared, unread) {
        (Some(found), ..) if found.1.of >= LOOKUPS_MIN => Ok(found),
        (_, _, Some(gap)) => Err(gap),
        (Some((_, rate)), ..) => {
            let detail = format!(
                "{} in the {}, {} are needed for a hit rate.",
                text::plural(rate.of, "lookup", "lookups"),
                rate.period,
                text::count(LOOKUPS_MIN)
            );
            Err(Gap::new(Section::RedisServer, Cause::TooFew { have: rate.of, need: LOOKUPS_MIN, what: "lookups".into() }, detail))
        }
        (None, Some(instance), None) => Err(shared_gap(instance)),
        (None, None, None) => Err(Gap::new(
            Section::RedisKeys,
            Cause::Absent { feature: "cache keys".into(), remedy: String::new() },
            "No cache keys were seen in Redis, so there is no hit rate of product data.",
        )),
    }
}

/// What an instance's keys say about the cache in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheUse {
    None,
    Alone,
    Shared,
}

/// Whether the instance holds cache keys, alone or among others.
pub fn cache_use(instance: &Instance) -> Result<CacheUse, Gap> {
    let keys = instance.keys()?;
    let has_cache = keys.patterns.iter().any(|p| matches!(p.role, Role::Cache | Role::CustomCache));
    let has_other = keys.patterns.iter().any(|p| !p.role.is_cache());
    // Whatever lies in a database that was not looked into is counted with the cache.
    if has_cache && !has_other && !is_all_reached(keys) {
        return Err(too_few_sampled(instance, keys, 1, "a key of another use"));
    }
    Ok(match (has_cache, has_other) {
        (false, _) => CacheUse::None,
        (true, false) => CacheUse::Alone,
        (true, true) => CacheUse::Shared,
    })
}

/// Judges every instance. One whose evidence is missing leaves the verdict on the others; without any finding it is the verdict.
pub fn over_instances(snapshot: &Snapshot, judge: impl Fn(&Instance) -> Result<Vec<Finding>, Gap>) -> Result<Vec<Finding>, Gap> {
    let mut findings = Vec::new();
    let mut unread: Option<Gap> = None;
    for instance in &snapshot.redis()?.instances {
        match judge(instance) {
            Ok(found) => findings.extend(found),
            Err(gap) => unread = unread.or(Some(gap)),
        }
    }
    match unread {
        Some(gap) if findings.is_empty() => Err(gap),
        _ => Ok(findings),
    }
}

fn keyspace_rate(instance: &Instance, snapshot: &Snapshot) -> Result<HitRate, Gap> {
    let server = instance.server()?;
    let of = |c: &Counters| c.keyspace_hits + c.keyspace_misses;
    let window_s = snapshot.meta.window_s;
    match &server.counters.window {
        Some(w) if of(w) >= LOOKUPS_MIN || of(&server.counters.total) < LOOKUPS_MIN => Ok(HitRate {
            hits: w.keyspace_hits,
            of: of(w),
            period: format!("{} window", text::seconds(window_s)),
            source: instance.name.clone(),
            span_s: window_s,
        }),
        _ => rate_since_reset(instance, server, snapshot.meta.targets.redis_hit_rate_min),
    }
}

/// The store's own hit rate since the counters were reset: without the lookups of earlier audits, which hit the keys they have just met and
/// would make any cache look good.
fn rate_since_reset(instance: &Instance, server: &Server, target: f64) -> Result<HitRate, Gap> {
    let Counters { keyspace_hits: hits, keyspace_misses: misses, .. } = server.counters.total;
    let audits = Inspections::of(instance.commands()?);
    let of = (hits + misses).saturating_sub(audits.lookups());
    // Of what audits looked up, a few keys had expired meanwhile.
    let [most, least] = [audits.hits + audits.doubtful, (audits.hits as f64 * (1.0 - EXPIRED_SHARE_MAX)) as u64];
    let [worst, likely, best] = [most, audits.hits, least].map(|theirs| hits.saturating_sub(theirs).min(of));
    let is_met = |hits: u64| hits as f64 >= target * of as f64;
    if of >= LOOKUPS_MIN && is_met(worst) != is_met(best) {
        return Err(audited_gap(instance, &audits, of, [worst, best].map(|hits| hits as f64 / of as f64)));
    }
    let without = match audits.lookups() {
        0 => String::new(),
        n => format!(", without {} of audits", text::plural(n, "lookup", "lookups")),
    };
    Ok(HitRate {
        hits: likely,
        of,
        period: format!("time since the counters were reset{without}"),
        source: instance.name.clone(),
        span_s: server.uptime_s as f64,
    })
}

/// Share of the keys an audit has met that are gone when it looks at them; it takes milliseconds.
const EXPIRED_SHARE_MAX: f64 = 0.005;
/// What this program asks of a queue that is not there: TYPE, LLEN and ZCARD of its parts.
const PROBES: [u64; 3] = [3, 3, 5];

/// Lookups by those who look keys over without reading them: this program, `redis-cli --bigkeys`, monitors. All of them begin with TYPE, which no
/// store sends.
#[derive(Debug, Default, PartialEq, Eq)]
struct Inspections {
    /// Of keys that were there.
    hits: u64,
    /// Of queues that are not there.
    misses: u64,
    /// Either.
    doubtful: u64,
}

impl Inspections {
    /// Since the counters were reset, of an instance without queues.
    fn of(commands: &[Command]) -> Self {
        let calls = |name: &str| -> u64 {
            // Servers before 7 count all subcommands under the container's name.
            let is_it = |c: &&Command| c.name.split('|').next() == Some(name);
            commands.iter().filter(is_it).map(|c| c.counters.total.calls).sum()
        };
        let typed = calls("type");
        let keys = calls("pttl").min(typed);
        let rest = typed - keys;
        let probes = (rest / PROBES[0]).min(calls("llen") / PROBES[1]).min(calls("zcard") / PROBES[2]);
        let counted = ["strlen", "hlen", "scard", "zcard", "llen", "xlen"].map(calls).iter().sum::<u64>() - probes * (PROBES[1] + PROBES[2]);
        // No more than the keys that were met: what is more is the store's.
        let (counted, used) = (counted.min(typed), calls("object").min(typed));
        Self { hits: 2 * keys + counted + used, misses: probes * PROBES.iter().sum::<u64>(), doubtful: rest - probes * PROBES[0] }
    }

    fn lookups(&self) -> u64 {
        self.hits + self.misses + self.doubtful
    }
}

fn audited_gap(instance: &Instance, audits: &Inspections, of: u64, rates: [f64; 2]) -> Gap {
    let remedy = "Reset the counters (CONFIG RESETSTAT) and audit after a day of traffic, or watch through a longer window.";
    let cause = Cause::Absent { feature: "a count of the store's own lookups".into(), remedy: remedy.into() };
    let detail = format!(
        "{} counts {} of audits together with {} of the store's: the hit rate is between {} and {}.",
        instance.name,
        text::plural(audits.lookups(), "lookup", "lookups"),
        text::count(of),
        text::percent(rates[0]),
        text::percent(rates[1])
    );
    Gap::new(Section::RedisServer, cause, detail)
}

fn shared_gap(instance: &Instance) -> Gap {
    Gap::new(
        Section::RedisKeys,
        Cause::Absent {
            feature: "an instance for the cache alone".into(),
            remedy: "Give the cache its own Redis (CACHE_REDIS_URL in medusa-config) and add that URL to the store.".into(),
        },
        format!(
            "{} holds cache keys among queues, sessions or locks. Redis counts hits for all of them together \
             (53–60 % when healthy), so the hit rate of product data cannot be told.",
            instance.name
        ),
    )
}

/// Requests answered by Cloudflare without contacting the origin, of those for static and semi-static paths.
///
/// The denominator is what the cache looked at (hit, miss, expired, stale, revalidated, updating) and what it was not allowed to look at
/// though the path is the same for every shopper (dynamic or bypass on catalogue and static paths, as far as the path list tells),
/// without misses on personal paths. Where CloudFront is the store's CDN instead: its own hit rate of every GET and HEAD.
pub fn cdn_hit_ratio(snapshot: &Snapshot) -> Result<HitRate, Gap> {
    if super::edge_cloudfront::replaces_cloudflare(snapshot) {
        return super::edge_cloudfront::hit_rate(snapshot);
    }
    let analytics = snapshot.cloudflare()?.analytics()?;
    let mut rate = cdn_rate(analytics, cacheable);
    let (added, removed) = path_corrections(analytics);
    rate.of = (rate.of + added).saturating_sub(removed).max(rate.hits);
    if rate.of < REQUESTS_MIN {
        let detail = format!(
            "{} in {}, {} are needed for a hit ratio.",
            text::plural(rate.of, "cacheable request", "cacheable requests"),
            rate.period,
            text::count(REQUESTS_MIN)
        );
        return Err(Gap::new(Section::CdnAnalytics, Cause::TooFew { have: rate.of, need: REQUESTS_MIN, what: "cacheable requests".into() }, detail));
    }
    Ok(rate)
}

/// Requests to add to and to take from what the statuses alone call cacheable: dynamic answers on catalogue and static paths, and
/// personal paths that the cache looked up in vain. Counts by class span all requests, the path list its hundred longest rows: the
/// larger of the two is the nearer one.
pub fn path_corrections(analytics: &Analytics) -> (u64, u64) {
    let (mut added, mut removed) = (0, 0);
    for row in &analytics.by_path.rows {
        match (path_kind(&row.path), is_cacheable_status(&row.status)) {
            (PathKind::Static | PathKind::Catalogue, false) => added += row.requests,
            (PathKind::Personal, true) if !is_edge_hit(&row.status) => removed += row.requests,
            _ => {}
        }
    }
    let (mut added_by_class, mut removed_by_class) = (0, 0);
    for class in &analytics.by_class {
        for count in &class.by_status {
            match (class.class == TrafficClass::Personal, is_cacheable_status(&count.status)) {
                (false, false) if count.status != "none" => added_by_class += count.requests,
                (true, true) if !is_edge_hit(&count.status) => removed_by_class += count.requests,
                _ => {}
            }
        }
    }
    (added.max(added_by_class), removed.max(removed_by_class))
}

/// Share (0…1) of all requests that reach the origin for paths that `wanted` picks; `None` without analytics or with too few requests.
pub fn origin_share(snapshot: &Snapshot, wanted: impl Fn(&str) -> bool) -> Option<f64> {
    let analytics = snapshot.cloudflare().ok()?.analytics().ok()?;
    let all = cdn_hit_ratio_of_all(analytics).of;
    let reached: u64 = analytics.by_path.rows.iter().filter(|r| wanted(&r.path) && !is_edge_hit(&r.status)).map(|r| r.requests).sum();
    (all >= REQUESTS_MIN).then(|| reached as f64 / all as f64)
}

/// The same as [`cdn_hit_ratio`], of all requests that could have reached the origin.
pub fn cdn_hit_ratio_of_all(analytics: &Analytics) -> HitRate {
    cdn_rate(analytics, |s| s.status != "none" && s.status != "unknown")
}

/// `hit`, `stale` and `updating` were answered without the origin; `revalidated` asked it.
pub fn is_edge_hit(status: &str) -> bool {
    matches!(status, "hit" | "stale" | "updating")
}

/// Statuses of requests that the cache looked at: the denominator "cacheable".
pub fn is_cacheable_status(status: &str) -> bool {
    matches!(status, "hit" | "miss" | "expired" | "stale" | "revalidated" | "updating")
}

fn cacheable(count: &StatusCount) -> bool {
    is_cacheable_status(&count.status)
}

fn cdn_rate(analytics: &Analytics, counts: impl Fn(&StatusCount) -> bool) -> HitRate {
    let of = analytics.by_status.iter().filter(|s| counts(s)).map(|s| s.requests).sum();
    let hits = analytics.by_status.iter().filter(|s| is_edge_hit(&s.status)).map(|s| s.requests).sum();
    let span_s = (analytics.to - analytics.from).as_seconds_f64();
    HitRate { hits, of, period: text::seconds(span_s), source: "Cloudflare".into(), span_s }
}

/// The 95th percentile of one endpoint's timed answers.
#[derive(Debug, Clone, PartialEq)]
pub struct Latency {
    /// "GET /store/products".
    pub endpoint: String,
    pub p95_ms: f64,
    pub p50_ms: f64,
    pub samples: u64,
}

/// The slowest timed product or cart endpoint of the store API by P95.
pub fn api_p95(snapshot: &Snapshot) -> Result<Latency, Gap> {
    let api = snapshot.shop()?.api()?;
    let timed = api.iter().filter(|t| matches!(t.class, PathClass::ApiCatalogue | PathClass::ApiPersonal)).filter_map(latency);
    // Of those with answers enough: what was timed less often says nothing against them.
    let is_enough = |l: &Latency| l.samples >= TIMINGS_MIN;
    match timed.max_by(|a, b| is_enough(a).cmp(&is_enough(b)).then_with(|| a.p95_ms.total_cmp(&b.p95_ms))) {
        Some(l) if l.samples >= TIMINGS_MIN => Ok(l),
        other => {
            if let Some(gap) = api_refusal(api) {
                return Err(gap);
            }
            let have = other.map_or(0, |l| l.samples);
            let detail =
                format!("{} of product or cart endpoints, {TIMINGS_MIN} are needed for a P95.", text::plural(have, "timed answer", "timed answers"));
            Err(Gap::new(Section::StoreApi, Cause::TooFew { have, need: TIMINGS_MIN, what: "timed answers".into() }, detail))
        }
    }
}

/// Medusa 2 answers 400 to store requests without a publishable key.
fn api_refusal(api: &[Target]) -> Option<Gap> {
    let list = api.iter().filter(|t| t.class == PathClass::ApiCatalogue);
    let status = list.filter_map(|t| super::http::answer(t, Variant::First)).map(|a| a.status).find(|s| matches!(s, 400 | 401 | 403))?;
    let grant = "Add the publishable API key (Medusa Admin → Settings → Publishable API Keys) to the store.".to_owned();
    let detail = format!("The store API answered {status} to the product list: it wants a publishable API key, so nothing was timed.");
    Some(Gap::new(Section::StoreApi, Cause::Denied { grant }, detail))
}

/// P50 and P95 of a target's timings; `None` when it was not timed.
pub fn latency(target: &Target) -> Option<Latency> {
    // Microseconds up to ten minutes at three figures: the resolution percentiles are shown with.
    let mut histogram = hdrhistogram::Histogram::<u64>::new_with_bounds(1, 600_000_000, 3).ok()?;
    for ms in &target.timings_ms {
        histogram.saturating_record((ms * 1e3).round().max(1.0) as u64);
    }
    if histogram.is_empty() {
        return None;
    }
    let path = target.url.split_once("://").and_then(|(_, rest)| rest.find('/').map(|i| &rest[i..])).unwrap_or("/");
    Some(Latency {
        endpoint: format!("GET {path}"),
        p95_ms: histogram.value_at_quantile(0.95) as f64 / 1e3,
        p50_ms: histogram.value_at_quantile(0.50) as f64 / 1e3,
        samples: histogram.len(),
    })
}
