//! Reads the services and writes evidence. It judges nothing and never fails as a whole: what could not be read is a gap.

pub mod cloudflare;
pub mod cloudfront;
pub mod postgres;
pub mod redis;
pub mod run;
pub mod storefront;

use std::sync::Arc;

use time::OffsetDateTime;

use crate::connect::profile::{Profile, Secrets};
use crate::evidence::cdn::Cloudflare;
use crate::evidence::cloudfront::CloudFront;
use crate::evidence::postgres::Postgres;
use crate::evidence::{Gap, Layer, LayerCost, Meta, Section, Seen, Snapshot, Targets, Timeline};
use run::{Note, Run};

/// What one collector brings home.
#[derive(Debug)]
pub struct Collected<T> {
    pub seen: Seen<T>,
    pub cost: LayerCost,
    pub timelines: Vec<Timeline>,
}

impl<T> Collected<T> {
    /// Nothing was read.
    pub fn nothing(layer: Layer, gap: Gap) -> Self {
        Self { seen: Err(gap), cost: LayerCost { layer, calls: 0, busy_ms: None, wall_ms: 0.0, bytes: 0 }, timelines: Vec::new() }
    }
}

/// An index the planner should be asked about, and the statements it would serve.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// Costliest first.
    pub statements: Vec<Asked>,
    pub schema: String,
    pub table: String,
    pub columns: Vec<String>,
    /// `create index on public.image (product_id) where deleted_at is null`.
    pub create_sql: String,
}

/// A statement to be explained.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// `queryid` as text.
    pub id: String,
    /// As measured; it stands in for a limit that is a placeholder.
    pub rows_a_call: f64,
}

/// Which indexes to ask the planner about: injected, since choosing them is the checks' knowledge and collectors may not import those.
pub type CandidateFn = fn(&Snapshot) -> Vec<Candidate>;

/// Everything one audit needs to know.
#[derive(Clone)]
pub struct Request {
    pub profile: Profile,
    pub secrets: Secrets,
    pub targets: Targets,
    pub candidates: CandidateFn,
}

/// Runs the whole collection: first reading of all layers, the window, second reading. Returns a snapshot in every case; a cancelled
/// run returns what was read until then, marked so.
pub async fn collect(request: &Request, run: &Arc<Run>) -> Snapshot {
    let profile = &request.profile;
    let meta = Meta {
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        store: profile.name.clone(),
        environment: profile.environment.id().to_owned(),
        taken_at: OffsetDateTime::now_utc(),
        window_s: 0.0,
        window_asked_s: f64::from(profile.limits.window_s),
        cancelled: false,
        targets: request.targets,
    };
    let prove = Prove { meta: meta.clone(), candidates: request.candidates };
    let (postgres, redis, cdn, shop) =
        tokio::join!(postgres_layer(request, run, &prove), redis_layer(request, run), cdn_layer(request, run), shop_layer(request, run),);
    let mut snapshot = Snapshot::empty(meta);
    snapshot.postgres = keep(&mut snapshot, postgres);
    snapshot.redis = keep(&mut snapshot, redis);
    snapshot.cdn = keep(&mut snapshot, cdn.0);
    snapshot.cloudfront = keep(&mut snapshot, cdn.1);
    snapshot.storefront = keep(&mut snapshot, shop);
    snapshot.meta.taken_at = OffsetDateTime::now_utc();
    snapshot.meta.window_s = run.window_seconds();
    snapshot.meta.cancelled = run.is_cancelled();
    run.note(Note::Finished);
    snapshot
}

/// Lets the Postgres collector ask which indexes to prove, given what it has read so far.
pub struct Prove {
    meta: Meta,
    candidates: CandidateFn,
}

impl Prove {
    /// Candidates for the evidence read so far.
    pub fn candidates(&self, postgres: &Postgres, window_s: f64) -> Vec<Candidate> {
        let mut snapshot = Snapshot::empty(Meta { window_s, ..self.meta.clone() });
        snapshot.postgres = Ok(postgres.clone());
        (self.candidates)(&snapshot)
    }
}

fn keep<T>(snapshot: &mut Snapshot, collected: Collected<T>) -> Seen<T> {
    snapshot.timelines.extend(collected.timelines);
    let cost = collected.cost;
    match snapshot.costs.iter_mut().find(|c| c.layer == cost.layer) {
        _ if cost.calls == 0 => {}
        // Two services of one layer were read at the same time.
        Some(layer) => {
            layer.calls += cost.calls;
            layer.bytes += cost.bytes;
            layer.wall_ms = layer.wall_ms.max(cost.wall_ms);
        }
        None => snapshot.costs.push(cost),
    }
    collected.seen
}

async fn postgres_layer(request: &Request, run: &Arc<Run>, prove: &Prove) -> Collected<Postgres> {
    let lane = run.lane(Layer::Postgres);
    match &request.profile.postgres {
        None => Collected::nothing(Layer::Postgres, Gap::not_configured(Section::Postgres)),
        Some(p) => postgres::collect(p, &request.secrets, &request.profile.limits, &lane, prove).await,
    }
}

async fn redis_layer(request: &Request, run: &Arc<Run>) -> Collected<crate::evidence::redis::Redis> {
    let lane = run.lane(Layer::Redis);
    if request.profile.redis.is_empty() {
        return Collected::nothing(Layer::Redis, Gap::not_configured(Section::Redis));
    }
    redis::collect(&request.profile.redis, &request.secrets, &request.profile.limits, &lane).await
}

/// A store may have both: one layer, told of as one.
async fn cdn_layer(request: &Request, run: &Arc<Run>) -> (Collected<Cloudflare>, Collected<CloudFront>) {
    let profile = &request.profile;
    let count = usize::from(profile.cloudflare.is_some()) + usize::from(profile.cloudfront.is_some());
    // Without any, one lane still has to let the window open.
    let mut lanes = run.lanes(Layer::Cdn, count.max(1)).into_iter();
    let cloudflare = profile.cloudflare.as_ref().zip(if profile.cloudflare.is_some() { lanes.next() } else { None });
    let cloudfront = profile.cloudfront.as_ref().zip(lanes.next());
    tokio::join!(
        async {
            let Some((p, lane)) = cloudflare else { return Collected::nothing(Layer::Cdn, Gap::not_configured(Section::Cdn)) };
            cloudflare::collect(p, request.secrets.cloudflare_token.as_ref(), &profile.limits, &lane).await
        },
        async {
            let Some((p, lane)) = cloudfront else { return Collected::nothing(Layer::Cdn, Gap::not_configured(Section::CloudFront)) };
            let urls = profile.shop.iter().flat_map(|s| [s.storefront_url.as_deref(), s.backend_url.as_deref()]).flatten();
            cloudfront::collect(p, &urls.collect::<Vec<_>>(), run.media(), &profile.limits, &lane).await
        },
    )
}

async fn shop_layer(request: &Request, run: &Arc<Run>) -> Collected<crate::evidence::storefront::Storefront> {
    let lane = run.lane(Layer::App);
    match &request.profile.shop {
        None => Collected::nothing(Layer::App, Gap::not_configured(Section::Storefront)),
        // Media addresses come from the database; the probe waits for them at most as long as the first reading takes.
        Some(s) => storefront::collect(s, run.media(), &request.profile.limits, &lane).await,
    }
}
