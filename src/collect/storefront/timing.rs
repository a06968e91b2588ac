//! Timed repeats of store API endpoints, spread over the observation window.

use std::time::Duration;

use tokio::time::Instant;
use url::Url;

use super::client::{ACCEPT_ANY, Ask, Prober};
use crate::collect::run::{Lane, Window};
use crate::connect::profile::Limits;
use crate::evidence::Timeline;

pub const LIVE_ID: &str = "app.latency";
/// The samples are to be complete before the window closes.
const SHARE_OF_WINDOW: f64 = 0.8;
/// Slow endpoints may take this long beyond the window to complete their samples: without them there is no P95.
const BEYOND_WINDOW: Duration = Duration::from_secs(5);
/// Attempts beyond the limit that replace failed ones.
const SPARE_ATTEMPTS: u32 = 3;

/// One endpoint to time.
pub struct Endpoint {
    pub url: Url,
    pub headers: Vec<(&'static str, String)>,
}

/// What was measured.
pub struct Timed {
    /// In the order of the endpoints, milliseconds to the last byte of good answers.
    pub timings_ms: Vec<Vec<f64>>,
    pub timeline: Option<Timeline>,
    /// Seconds between opening and closing of the window, as seen here.
    pub window_s: f64,
}

struct Track<'a> {
    endpoint: &'a Endpoint,
    attempts_left: u32,
    timings_ms: Vec<f64>,
}

/// Repeats each endpoint up to `limits.probe_timings` times, one request after the other.
pub async fn run(prober: &Prober<'_>, lane: &Lane, window: Option<Window<'_>>, endpoints: &[Endpoint], limits: &Limits) -> Timed {
    let wanted = limits.probe_timings as usize;
    let mut tracks: Vec<Track> =
        endpoints.iter().map(|endpoint| Track { endpoint, attempts_left: limits.probe_timings + SPARE_ATTEMPTS, timings_ms: Vec::new() }).collect();
    let mut points = Vec::new();
    let mut window_s = 0.0;
    let ticks = (f64::from(limits.window_s.clamp(2, 120)) - 1.0) * SHARE_OF_WINDOW;
    let per_tick = (wanted as f64 / ticks.max(1.0)).ceil() as usize;
    if let Some(mut window) = window {
        while !endpoints.is_empty() && window.tick().await {
            let at_s = window.seconds();
            let before = tracks[0].timings_ms.len();
            for track in &mut tracks {
                repeat(prober, track, per_tick, wanted).await;
            }
            let new = &tracks[0].timings_ms[before..];
            let mean = (!new.is_empty()).then(|| new.iter().sum::<f64>() / new.len() as f64);
            if let Some(value) = mean {
                lane.live(LIVE_ID, at_s, value);
            }
            // Ticks after the last sample are no gaps of the measurement.
            if mean.is_some() || tracks[0].is_open(wanted) {
                points.push((at_s, mean));
            }
        }
        window_s = window.seconds();
    }
    let end = Instant::now() + BEYOND_WINDOW;
    for track in &mut tracks {
        while track.is_open(wanted) && Instant::now() < end && !lane.is_cancelled() {
            repeat(prober, track, 1, wanted).await;
        }
    }
    let timeline = (!points.is_empty()).then(|| Timeline { id: LIVE_ID.to_owned(), unit: "ms".to_owned(), points });
    Timed { timings_ms: tracks.into_iter().map(|t| t.timings_ms).collect(), timeline, window_s }
}

impl Track<'_> {
    fn is_open(&self, wanted: usize) -> bool {
        self.attempts_left > 0 && self.timings_ms.len() < wanted
    }
}

async fn repeat(prober: &Prober<'_>, track: &mut Track<'_>, times: usize, wanted: usize) {
    for _ in 0..times {
        if !track.is_open(wanted) {
            return;
        }
        track.attempts_left -= 1;
        let ask = Ask { headers: track.endpoint.headers.clone(), counts: false, ..Ask::new(track.endpoint.url.clone(), ACCEPT_ANY) };
        if let Ok(fetched) = prober.fetch(&ask).await
            && fetched.answer.status == 200
        {
            track.timings_ms.push(fetched.answer.total_ms);
        }
    }
}
