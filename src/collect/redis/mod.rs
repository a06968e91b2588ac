//! Reads the Redis instances: state, settings, logs and a bounded key sample. Never KEYS, MONITOR, GET or any read of a value.
//!
//! The counters are read when the window opens and when it closes; the key sample is taken meanwhile, in small steps, and what we
//! asked ourselves is taken out of every counter.

mod families;
mod identity;
mod info;
mod instance;
mod live;
mod pattern;
mod queues;
mod readings;
mod sample;
mod session;
mod words;

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::sync::watch;

use super::Collected;
use super::run::{Lane, Window};
use crate::connect::profile::{Limits, RedisPasswords, RedisProfile, Secrets};
use crate::connect::redis::{CLUSTER_GRANT, GRANTS, OpenError, OpenErrorKind, Opened, open, open_found, primaries};
use crate::evidence::redis::{Instance, Redis};
use crate::evidence::{Cause, Gap, Layer, LayerCost, Section};
use crate::secret::Secret;
use instance::Reader;
use live::Live;
use session::Session;

/// How long one answer may take. Everything asked is O(1) or small; a server that needs longer is blocked.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// Sections of one instance.
const SECTIONS: u32 = 8;

/// Reads all instances at once. One that fails leaves the others; it is in the result with a gap in every section.
pub async fn collect(profiles: &[RedisProfile], secrets: &Secrets, limits: &Limits, lane: &Lane) -> Collected<Redis> {
    let start = Instant::now();
    lane.reading("connecting", 0, u32::try_from(profiles.len()).unwrap_or(u32::MAX) * SECTIONS);
    let read = profiles.iter().enumerate().map(|(i, p)| first_readings(p, secrets.redis(i), limits, lane));
    let mut readers = one_a_server(join_all(read).await.into_iter().flatten().collect(), lane);
    let count = u32::try_from(readers.len()).unwrap_or(u32::MAX);
    lane.reading("waiting for the window", count * (SECTIONS - 1), count * SECTIONS);
    let mut wall = start.elapsed();
    let mut live = Live::new(readers.len());
    if readers.iter().any(Reader::is_open)
        && let Some(mut window) = lane.window_opens().await
    {
        observe(&mut readers, &mut window, &mut live, lane).await;
        let start = Instant::now();
        join_all(readers.iter_mut().map(|r| second_reading(r, lane))).await;
        wall += start.elapsed();
    }
    finish(readers, live, lane, wall)
}

/// One reader for each server, whichever of its databases and addresses were given: INFO counts for all of them together, and what one
/// session asked would be another's traffic.
fn one_a_server(readers: Vec<Reader>, lane: &Lane) -> Vec<Reader> {
    let mut servers: Vec<Reader> = Vec::with_capacity(readers.len());
    for reader in readers {
        let identity = reader.identity();
        match servers.iter_mut().find(|s| identity.is_some() && s.identity() == identity) {
            Some(known) => {
                known.absorb(reader);
                lane.activity(format!("{}: one server, read once", known.name()));
            }
            None => servers.push(reader),
        }
    }
    servers
}

/// One reader for a server, the master behind Sentinels, or each primary of a cluster.
async fn first_readings(profile: &RedisProfile, passwords: RedisPasswords<'_>, limits: &Limits, lane: &Lane) -> Vec<Reader> {
    let password = passwords.server;
    let opened = tokio::select! {
        opened = open_found(profile, passwords, limits.connect_timeout()) => opened,
        () = lane.cancelled() => return vec![cancelled(profile)],
    };
    let (place, mut opened) = match opened {
        Ok(opened) => opened,
        Err((place, e)) => return vec![lost(&place, &e, limits, lane)],
    };
    if !opened.is_cluster {
        return vec![first_reading(&place, opened, password.is_some(), limits, lane).await];
    }
    match primaries(&mut opened, &place).await {
        Ok(nodes) => {
            lane.activity(format!("{}: a cluster, primaries found: {}", place.address(), nodes.len()));
            let mut first = Some(opened);
            let places = nodes.iter().map(|node| (node, first.take_if(|_| (&node.host, node.port) == (&place.host, place.port))));
            join_all(places.collect::<Vec<_>>().into_iter().map(|(node, known)| node_reading(node, known, password, limits, lane))).await
        }
        Err(refusal) => {
            let others = RedisProfile { host: format!("other nodes of {}", place.host), ..place.clone() };
            let session = Session::new(opened, &place, password.is_some(), limits.redis_commands_per_s, ANSWER_TIMEOUT);
            let gap = session.gap(Section::Redis, "CLUSTER SLOTS", CLUSTER_GRANT, &refusal);
            lane.gap(format!("{}: only this node of the cluster is read. {}", place.address(), gap.detail));
            let mut reader = Reader::new(&place, session, limits);
            reader.read_state(lane).await;
            vec![reader, Reader::lost(&others, gap)]
        }
    }
}

async fn node_reading(node: &RedisProfile, known: Option<Opened>, password: Option<&Secret<String>>, limits: &Limits, lane: &Lane) -> Reader {
    let opened = match known {
        Some(opened) => Ok(opened),
        None => tokio::select! {
            opened = open(node, RedisPasswords::of_server(password), limits.connect_timeout()) => opened,
            () = lane.cancelled() => return cancelled(node),
        },
    };
    match opened {
        Ok(opened) => first_reading(node, opened, password.is_some(), limits, lane).await,
        Err(e) => lost(node, &e, limits, lane),
    }
}

async fn first_reading(profile: &RedisProfile, mut opened: Opened, has_password: bool, limits: &Limits, lane: &Lane) -> Reader {
    opened.connection.set_response_timeout(ANSWER_TIMEOUT);
    let session = Session::new(opened, profile, has_password, limits.redis_commands_per_s, ANSWER_TIMEOUT);
    let mut reader = Reader::new(profile, session, limits);
    reader.read_state(lane).await;
    reader
}

fn cancelled(profile: &RedisProfile) -> Reader {
    Reader::lost(profile, Gap::new(Section::Redis, Cause::Unreachable, "The run was cancelled before Redis answered."))
}

fn lost(profile: &RedisProfile, e: &OpenError, limits: &Limits, lane: &Lane) -> Reader {
    let cause = match e.kind {
        OpenErrorKind::Unreachable | OpenErrorKind::Loading => Cause::Unreachable,
        OpenErrorKind::SignIn | OpenErrorKind::Denied => Cause::Denied { grant: GRANTS.to_owned() },
        OpenErrorKind::TimedOut => Cause::TimedOut { limit_ms: u32::try_from(limits.connect_timeout().as_millis()).unwrap_or(u32::MAX) },
    };
    lane.gap(format!("{}: {}", profile.address(), e.words));
    Reader::lost(profile, Gap::new(Section::Redis, cause, e.words.clone()))
}

/// The window: counters at its start, a live sample a second, the key sample meanwhile.
async fn observe(readers: &mut [Reader], window: &mut Window<'_>, live: &mut Live, lane: &Lane) {
    join_all(readers.iter_mut().map(Reader::open_window)).await;
    // One reader's commands must not interleave with another task's: each instance works through its own loop, told by the ticks.
    let (ticks, seen) = watch::channel(Some(0.0));
    let (figures_in, mut figures) = tokio::sync::mpsc::channel(64);
    let sampling = join_all(readers.iter_mut().enumerate().map(|(i, r)| r.sample_in_window(i, seen.clone(), figures_in.clone(), lane)));
    drop(figures_in);
    let ticking = async {
        while window.tick().await {
            ticks.send_replace(Some(window.seconds()));
        }
        ticks.send_replace(None);
    };
    let listening = async {
        while let Some(figure) = figures.recv().await {
            live.add(figure, lane);
        }
    };
    tokio::join!(ticking, sampling, listening);
}

/// Counters at the end of the window first, then what is left of the key sample.
async fn second_reading(reader: &mut Reader, lane: &Lane) {
    reader.close_window().await;
    reader.finish_sample(lane).await;
    reader.read_queues().await;
}

fn finish(readers: Vec<Reader>, live: Live, lane: &Lane, wall: Duration) -> Collected<Redis> {
    let calls = readers.iter().map(Reader::calls).sum();
    let bytes = readers.iter().map(Reader::bytes).sum();
    let count = u32::try_from(readers.len()).unwrap_or(u32::MAX);
    let instances: Vec<Instance> = readers.into_iter().map(Reader::finish).collect();
    let cost = LayerCost { layer: Layer::Redis, calls, busy_ms: None, wall_ms: wall.as_secs_f64() * 1e3, bytes };
    lane.cost(calls, None);
    lane.reading("done", count * SECTIONS, count * SECTIONS);
    let all_lost = instances.iter().all(|i| i.gaps().len() == SECTIONS as usize);
    let failed = if all_lost { instances.iter().find_map(|i| i.server.as_ref().err().map(|g| g.detail.clone())) } else { None };
    lane.done(failed.clone());
    let timelines = live.timelines(&instances);
    // With one instance its failure is the layer's; with several each keeps its own name and its own gaps.
    match (all_lost, instances.as_slice()) {
        (true, [only]) => {
            let gap = only.server.as_ref().err().cloned();
            let gap = gap.map_or_else(|| Gap::not_configured(Section::Redis), |g| Gap { section: Section::Redis, ..g });
            Collected { seen: Err(gap), cost, timelines }
        }
        _ => Collected { seen: Ok(Redis { instances }), cost, timelines },
    }
}
