//! The guide's targets as gauges, and where 100 cacheable requests are answered.

use crate::checks::measures;
use crate::evidence::{Gap, Snapshot};
use crate::text;

/// One target with what was measured, or why it was not.
#[derive(Debug, Clone, PartialEq)]
pub struct Gauge {
    /// `cdn_hit_ratio`, `redis_hit_rate`, `p95`.
    pub id: &'static str,
    /// "CDN hit ratio".
    pub name: String,
    pub measured: Result<Measured, Gap>,
    /// "target ≥ 80 %".
    pub target_words: String,
    /// Position of the target on the scale, 0…1.
    pub target_at: f64,
    /// "scale 0 to 1.5 s" when the scale is not 0–100 %.
    pub scale_words: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    pub value: f64,
    /// "46 %".
    pub shown: String,
    /// "of cacheable requests".
    pub base: String,
    /// "Cloudflare, 24 h, 3.61 M requests".
    pub source: String,
    pub is_met: bool,
    /// Position on the scale, 0…1.
    pub at: f64,
}

/// The three gauges, in the order of a request's way.
pub fn gauges(snapshot: &Snapshot) -> Vec<Gauge> {
    vec![cdn_gauge(snapshot), redis_gauge(snapshot), p95_gauge(snapshot)]
}

fn cdn_gauge(snapshot: &Snapshot) -> Gauge {
    let target = snapshot.meta.targets.cdn_hit_ratio_min;
    let measured = measures::cdn_hit_ratio(snapshot).map(|r| Measured {
        value: r.rate(),
        shown: text::percent(r.rate()),
        base: "of cacheable requests".into(),
        source: format!("{}, {}, {} requests", r.source, r.period, text::count_short(r.of)),
        is_met: r.rate() >= target,
        at: r.rate(),
    });
    ratio_gauge("cdn_hit_ratio", "CDN hit ratio", measured, target)
}

fn redis_gauge(snapshot: &Snapshot) -> Gauge {
    let target = snapshot.meta.targets.redis_hit_rate_min;
    let measured = measures::redis_hit_rate(snapshot).map(|r| Measured {
        value: r.rate(),
        shown: text::percent(r.rate()),
        base: "of lookups".into(),
        source: format!("{}, {}", r.period, text::plural(r.of, "lookup", "lookups")),
        is_met: r.rate() >= target,
        at: r.rate(),
    });
    ratio_gauge("redis_hit_rate", "Redis hit rate, product data", measured, target)
}

fn ratio_gauge(id: &'static str, name: &str, measured: Result<Measured, Gap>, target: f64) -> Gauge {
    Gauge { id, name: name.to_owned(), measured, target_words: format!("target ≥ {}", text::percent(target)), target_at: target, scale_words: None }
}

fn p95_gauge(snapshot: &Snapshot) -> Gauge {
    let target = snapshot.meta.targets.p95_ms_max;
    let latency = measures::api_p95(snapshot);
    // The scale ends at a round half second past the larger of value and target, so that neither touches the end.
    let largest = latency.as_ref().map_or(target, |l| l.p95_ms.max(target));
    let scale_ms = ((largest * 1.1) / 500.0).ceil().max(1.0) * 500.0;
    let name = latency.as_ref().map_or_else(|_| "Product and cart endpoints, P95".to_owned(), |l| format!("{}, P95", l.endpoint));
    let measured = latency.map(|l| Measured {
        value: l.p95_ms,
        shown: text::millis(l.p95_ms),
        base: format!("of {}", text::plural(l.samples, "probe", "probes")),
        source: format!("scale 0 to {}", text::millis(scale_ms)),
        is_met: l.p95_ms <= target,
        at: (l.p95_ms / scale_ms).min(1.0),
    });
    Gauge {
        id: "p95",
        name,
        measured,
        target_words: format!("target ≤ {}", text::millis(target)),
        target_at: (target / scale_ms).min(1.0),
        scale_words: Some(format!("scale 0 to {}", text::millis(scale_ms))),
    }
}

/// Where 100 cacheable requests are answered. A layer that was not measured is `None`: no guess.
#[derive(Debug, Clone, PartialEq)]
pub struct RequestPath {
    /// Of 100, answered at the edge; and the target.
    pub cdn: Option<f64>,
    /// Of 100, answered by Redis.
    pub redis: Option<f64>,
    /// Of 100, that reach Postgres.
    pub postgres: Option<f64>,
    pub cdn_target: f64,
    /// Redis' hit rate and its target, of what reaches it.
    pub redis_rate: Option<f64>,
    pub redis_target: f64,
    /// Of 100, that would reach Postgres at both targets.
    pub postgres_at_targets: f64,
    /// What it means, in a sentence.
    pub sentence: String,
}

pub fn request_path(snapshot: &Snapshot) -> RequestPath {
    let t = snapshot.meta.targets;
    let edge = measures::cdn_hit_ratio(snapshot).ok().map(|r| r.rate());
    let rate = measures::redis_hit_rate(snapshot).ok().map(|r| r.rate());
    let redis = edge.zip(rate).map(|(e, r)| (1.0 - e) * r * 100.0);
    let postgres = edge.zip(redis).map(|(e, r)| 100.0 - e * 100.0 - r);
    let at_targets = (1.0 - t.cdn_hit_ratio_min) * (1.0 - t.redis_hit_rate_min) * 100.0;
    let sentence = match (edge, postgres) {
        (Some(_), Some(p)) if p > at_targets * 1.1 => format!(
            "Postgres answers {} times the product reads it would at both targets. Modelled from the CDN hit ratio and the Redis hit rate.",
            text::number((p / at_targets * 10.0).round() / 10.0)
        ),
        (Some(_), Some(_)) => {
            "Postgres answers no more product reads than at both targets. Modelled from the CDN hit ratio and the Redis hit rate.".to_owned()
        }
        (Some(_), None) => "The Redis hit rate of product data was not measured, so the share that reaches Postgres is not known.".to_owned(),
        (None, _) if rate.is_some() => "The CDN hit ratio was not measured, so the way of a request is known only from Redis on.".to_owned(),
        (None, _) => "Neither the CDN hit ratio nor the Redis hit rate was measured, so the way of a request is not known.".to_owned(),
    };
    RequestPath {
        cdn: edge.map(|e| e * 100.0),
        redis,
        postgres,
        cdn_target: t.cdn_hit_ratio_min,
        redis_rate: rate,
        redis_target: t.redis_hit_rate_min,
        postgres_at_targets: at_targets,
        sentence,
    }
}
