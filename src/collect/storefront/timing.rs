//! Timed repeats of store API endpoints, spread over the observation window.

use std::time::Duration;

use tokio::time::Instant;
use url::Url;

use super::client::{ACCEPT_ANY, Ask, Prober};
use crate::collect::run::{Lane, Window};
use crate::evidence::Timeline;

pub const LIVE_ID: &str = "app.latency";
/// The samples are to be complete before the window closes.
const SHARE_OF_WINDOW: f64 = 0.8;
/// Slow endpoints may take this long beyond the window to complete their samples: without them there is no P95.
const BEYOND_WINDOW: Duration = Duration::from_secs(5);
/// Attempts beyond the limit that replace failed ones.
pub const SPARE_ATTEMPTS: u32 = 3;

/// One endpoint to time.
pub struct Endpoint {
    pub url: Url,
    pub headers: Vec<(&'static str, String)>,
}

/// Repeats of some endpoints, one request after the other.
pub struct Timing<'a> {
    prober: &'a Prober<'a>,
    tracks: Vec<Track<'a>>,
    /// Good answers of an endpoint.
    wanted: usize,
    points: Vec<(f64, Option<f64>)>,
}

struct Track<'a> {
    endpoint: &'a Endpoint,
    attempts_left: u32,
    timings_ms: Vec<f64>,
}

impl<'a> Timing<'a> {
    pub fn new(prober: &'a Prober<'a>, endpoints: &'a [Endpoint], wanted: u32) -> Self {
        let track = |endpoint| Track { endpoint, attempts_left: wanted + SPARE_ATTEMPTS, timings_ms: Vec::new() };
        Self { prober, tracks: endpoints.iter().map(track).collect(), wanted: wanted as usize, points: Vec::new() }
    }

    /// Spreads the repeats over the window. Seconds between its opening and closing, as seen here.
    pub async fn over(&mut self, window: Option<Window<'_>>, window_s: u32, lane: &Lane) -> f64 {
        let Some(mut window) = window else { return 0.0 };
        let ticks = (f64::from(window_s.clamp(2, 120)) - 1.0) * SHARE_OF_WINDOW;
        let per_tick = (self.wanted as f64 / ticks.max(1.0)).ceil() as usize;
        while !self.tracks.is_empty() && window.tick().await {
            let at_s = window.seconds();
            let before = self.tracks[0].timings_ms.len();
            for track in &mut self.tracks {
                for _ in 0..per_tick {
                    track.repeat(self.prober, self.wanted).await;
                }
            }
            let new = &self.tracks[0].timings_ms[before..];
            let mean = (!new.is_empty()).then(|| new.iter().sum::<f64>() / new.len() as f64);
            if let Some(value) = mean {
                lane.live(LIVE_ID, at_s, value);
            }
            // Ticks after the last sample are no gaps of the measurement.
            if mean.is_some() || self.tracks[0].is_open(self.prober, self.wanted) {
                self.points.push((at_s, mean));
            }
        }
        window.seconds()
    }

    /// Takes what is still missing, for some seconds. Milliseconds to the last byte of good answers, in the order of the endpoints.
    pub async fn finish(mut self, lane: &Lane) -> (Vec<Vec<f64>>, Option<Timeline>) {
        let end = Instant::now() + BEYOND_WINDOW;
        for track in &mut self.tracks {
            while track.is_open(self.prober, self.wanted) && Instant::now() < end && !lane.is_cancelled() {
                track.repeat(self.prober, self.wanted).await;
            }
        }
        let timeline = (!self.points.is_empty()).then(|| Timeline { id: LIVE_ID.to_owned(), unit: "ms".to_owned(), points: self.points });
        (self.tracks.into_iter().map(|t| t.timings_ms).collect(), timeline)
    }
}

impl Track<'_> {
    fn is_open(&self, prober: &Prober<'_>, wanted: usize) -> bool {
        self.attempts_left > 0 && self.timings_ms.len() < wanted && prober.budget(|b| b.kept()) > 0
    }

    async fn repeat(&mut self, prober: &Prober<'_>, wanted: usize) {
        if !self.is_open(prober, wanted) {
            return;
        }
        self.attempts_left -= 1;
        let ask = Ask { headers: self.endpoint.headers.clone(), is_timed: true, ..Ask::new(self.endpoint.url.clone(), ACCEPT_ANY) };
        if let Ok(fetched) = prober.fetch(&ask).await
            && fetched.answer.status == 200
        {
            self.timings_ms.push(fetched.answer.total_ms);
        }
    }
}
