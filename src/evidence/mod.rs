//! What was observed in one run: plain data, serialisable, no judgement. A saved [`Snapshot`] reopens the whole product
//! without a network.

pub mod cdn;
pub mod cloudfront;
pub mod edge;
pub mod file;
mod gap;
pub mod medusa;
pub mod postgres;
pub mod redis;
mod section;
pub mod storefront;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

pub(crate) use gap::sections;
pub use gap::{Cause, Gap, Seen};
pub use section::{Layer, Section};

/// Everything observed in one run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    pub meta: Meta,
    pub postgres: Seen<postgres::Postgres>,
    pub redis: Seen<redis::Redis>,
    pub cdn: Seen<cdn::Cloudflare>,
    /// Absent from files written before it could be read.
    #[serde(default = "no_cloudfront")]
    pub cloudfront: Seen<cloudfront::CloudFront>,
    pub storefront: Seen<storefront::Storefront>,
    /// Sampled during the window, for charts; never judged.
    pub timelines: Vec<Timeline>,
    /// What the audit itself cost the store.
    pub costs: Vec<LayerCost>,
}

fn no_cloudfront() -> Seen<cloudfront::CloudFront> {
    Err(Gap::not_configured(Section::CloudFront))
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Meta {
    pub tool_version: String,
    /// The store's name as the user gave it.
    pub store: String,
    /// "production", "staging", "development", "demo" or the user's own word.
    pub environment: String,
    /// "Now" for every judgement.
    #[serde(with = "time::serde::rfc3339")]
    pub taken_at: OffsetDateTime,
    /// Length of the observation window as measured between the two samples; 0 when there was no second sample.
    pub window_s: f64,
    /// The window that was asked for.
    pub window_asked_s: f64,
    /// The run was cancelled: what had been read is here.
    pub cancelled: bool,
    pub targets: Targets,
}

/// The guide's targets, changeable by the user.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Targets {
    /// Ratio 0…1 of cacheable requests answered at the edge.
    pub cdn_hit_ratio_min: f64,
    /// Ratio 0…1 of product data lookups answered by Redis.
    pub redis_hit_rate_min: f64,
    /// Milliseconds, product and cart endpoints.
    pub p95_ms_max: f64,
    /// Milliseconds, mean of one statement.
    pub slow_statement_ms: f64,
}

impl Default for Targets {
    fn default() -> Self {
        Self { cdn_hit_ratio_min: 0.80, redis_hit_rate_min: 0.70, p95_ms_max: 300.0, slow_statement_ms: 200.0 }
    }
}

/// A counter read at both ends of the window. What counts is the difference; `total` (since the last reset) is second best.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Sampled<T> {
    /// Since the counter's last reset, at the end of the window.
    pub total: T,
    /// The difference over the window; `None` without a second sample or when the counter was reset inside the window.
    pub window: Option<T>,
}

impl<T> Sampled<T> {
    pub fn only(total: T) -> Self {
        Self { total, window: None }
    }
}

/// A list that may have been cut by a limit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Listed<T> {
    pub rows: Vec<T>,
    /// How many there were beyond the limit; 0 when nothing was cut. `None`: more, number not known.
    pub cut: Option<u64>,
}

impl<T> Listed<T> {
    pub fn whole(rows: Vec<T>) -> Self {
        Self { rows, cut: Some(0) }
    }

    pub fn is_whole(&self) -> bool {
        self.cut == Some(0)
    }
}

/// A measure sampled during the window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Timeline {
    /// Stable: `pg.database_time`, `pg.top_statement_time`, `redis.hit_rate`, `redis.keys_calls`, `redis.ops`, `app.latency`.
    pub id: String,
    pub unit: String,
    /// Seconds since the window opened, value; a missing sample is `None`, never zero.
    pub points: Vec<(f64, Option<f64>)>,
}

/// What reading one layer cost the store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LayerCost {
    pub layer: Layer,
    /// Queries, commands or requests sent.
    pub calls: u64,
    /// Time spent inside the service on our behalf, where it is known.
    pub busy_ms: Option<f64>,
    /// Wall time outside the window.
    pub wall_ms: f64,
    pub bytes: u64,
}

impl Snapshot {
    /// An empty snapshot in which nothing is configured.
    pub fn empty(meta: Meta) -> Self {
        Self {
            meta,
            postgres: Err(Gap::not_configured(Section::Postgres)),
            redis: Err(Gap::not_configured(Section::Redis)),
            cdn: Err(Gap::not_configured(Section::Cdn)),
            cloudfront: no_cloudfront(),
            storefront: Err(Gap::not_configured(Section::Storefront)),
            timelines: Vec::new(),
            costs: Vec::new(),
        }
    }

    pub fn pg(&self) -> Result<&postgres::Postgres, Gap> {
        self.postgres.as_ref().map_err(Gap::clone)
    }

    pub fn redis(&self) -> Result<&redis::Redis, Gap> {
        self.redis.as_ref().map_err(Gap::clone)
    }

    pub fn cloudflare(&self) -> Result<&cdn::Cloudflare, Gap> {
        self.cdn.as_ref().map_err(Gap::clone)
    }

    pub fn cloudfront(&self) -> Result<&cloudfront::CloudFront, Gap> {
        self.cloudfront.as_ref().map_err(Gap::clone)
    }

    pub fn shop(&self) -> Result<&storefront::Storefront, Gap> {
        self.storefront.as_ref().map_err(Gap::clone)
    }

    /// The Medusa version found in the database.
    pub fn medusa(&self) -> Result<&medusa::Medusa, Gap> {
        self.pg()?.medusa()
    }

    /// Replaces one section by `gap`: the `needs` test withholds each in turn.
    pub fn withhold(&mut self, section: Section, gap: Gap) {
        match section {
            Section::Postgres => self.postgres = Err(gap),
            Section::Redis => self.redis = Err(gap),
            Section::Cdn => self.cdn = Err(gap),
            Section::CloudFront => self.cloudfront = Err(gap),
            Section::Storefront => self.storefront = Err(gap),
            s => self.withhold_part(s, gap),
        }
    }

    fn withhold_part(&mut self, section: Section, gap: Gap) {
        if let Ok(pg) = &mut self.postgres {
            pg.withhold(section, &gap);
        }
        if let Ok(redis) = &mut self.redis {
            redis.instances.iter_mut().for_each(|i| i.withhold(section, &gap));
        }
        if let Ok(cdn) = &mut self.cdn {
            cdn.withhold(section, &gap);
        }
        if let Ok(cloudfront) = &mut self.cloudfront {
            cloudfront.withhold(section, &gap);
        }
        if let Ok(shop) = &mut self.storefront {
            shop.withhold(section, &gap);
        }
    }

    /// Every gap in the evidence, in section order, one a section.
    pub fn gaps(&self) -> Vec<Gap> {
        let mut gaps: Vec<Gap> = Vec::new();
        match &self.postgres {
            Ok(pg) => gaps.extend(pg.gaps()),
            Err(gap) => gaps.push(gap.clone()),
        }
        match &self.redis {
            Ok(redis) => gaps.extend(redis.instances.iter().flat_map(redis::Instance::gaps)),
            Err(gap) => gaps.push(gap.clone()),
        }
        match &self.cdn {
            Ok(cdn) => gaps.extend(cdn.gaps()),
            Err(gap) => gaps.push(gap.clone()),
        }
        match &self.cloudfront {
            Ok(cloudfront) => gaps.extend(cloudfront.gaps()),
            // A store has one CDN as a rule: Cloudflare's gap says already that none is set up.
            Err(gap) if gap.cause == Cause::NotConfigured => {}
            Err(gap) => gaps.push(gap.clone()),
        }
        match &self.storefront {
            Ok(shop) => gaps.extend(shop.gaps()),
            Err(gap) => gaps.push(gap.clone()),
        }
        gaps.sort_by_key(|g| g.section);
        gaps.dedup_by(|a, b| a.section == b.section && a.detail == b.detail);
        gaps
    }
}
