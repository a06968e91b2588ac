//! One audit in progress: the window all layers share, cancelling, and what is told to whoever watches.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{Barrier, watch};
use tokio::time::Instant;

use crate::evidence::Layer;
use crate::evidence::medusa::MediaHost;

/// What a watcher hears. Never holds a secret or a row value.
#[derive(Debug, Clone, PartialEq)]
pub enum Note {
    /// A layer reads `what`; `done` of `of` sections are read.
    Reading {
        layer: Layer,
        what: String,
        done: u32,
        of: u32,
    },
    /// What the layer has cost so far.
    Cost {
        layer: Layer,
        calls: u64,
        busy_ms: Option<f64>,
    },
    /// A line of the activity list.
    Activity {
        layer: Layer,
        text: String,
        is_gap: bool,
    },
    /// A live figure: timeline id, seconds since the window opened, value.
    Live {
        id: &'static str,
        at_s: f64,
        value: f64,
    },
    /// The layer has ended, with the reason if it failed.
    LayerDone {
        layer: Layer,
        failed: Option<String>,
    },
    WindowOpened,
    WindowClosed,
    Finished,
}

/// Lanes a run has: one a layer.
const LANES: usize = 4;

/// Shared by all collectors of one audit.
pub struct Run {
    sink: Box<dyn Fn(Note) + Send + Sync>,
    cancelled: watch::Sender<bool>,
    /// Length of the window; may grow while it runs ("Extend").
    window: watch::Sender<Duration>,
    /// All lanes pass it once: when the last first reading is done, the window opens.
    opening: Barrier,
    opened: watch::Sender<Option<Instant>>,
    closed_after_ms: AtomicU64,
    has_closed: AtomicBool,
    media: watch::Sender<Option<Arc<Vec<MediaHost>>>>,
}

impl Run {
    pub fn new(window: Duration, sink: impl Fn(Note) + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            sink: Box::new(sink),
            cancelled: watch::Sender::new(false),
            window: watch::Sender::new(window),
            opening: Barrier::new(LANES),
            opened: watch::Sender::new(None),
            closed_after_ms: AtomicU64::new(0),
            has_closed: AtomicBool::new(false),
            media: watch::Sender::new(None),
        })
    }

    pub fn note(&self, note: Note) {
        (self.sink)(note);
    }

    pub fn cancel(&self) {
        self.cancelled.send_replace(true);
    }

    pub fn is_cancelled(&self) -> bool {
        *self.cancelled.borrow()
    }

    /// Completes when the run is cancelled; for `select!` around slow work.
    pub async fn cancelled(&self) {
        let mut rx = self.cancelled.subscribe();
        // The sender lives as long as the run, so this ends only by cancelling.
        let _ = rx.wait_for(|c| *c).await;
    }

    /// Changes the length of the window, also while it is open.
    pub fn set_window(&self, window: Duration) {
        self.window.send_replace(window);
    }

    /// How long the window was open, seconds; 0 when it never opened.
    pub fn window_seconds(&self) -> f64 {
        self.closed_after_ms.load(Ordering::Relaxed) as f64 / 1e3
    }

    /// One layer's view of the run.
    pub fn lane(self: &Arc<Self>, layer: Layer) -> Lane {
        self.lanes(layer, 1).remove(0)
    }

    /// The same for `count` services that are one layer: they pass the opening once and are told of as one.
    pub fn lanes(self: &Arc<Self>, layer: Layer, count: usize) -> Vec<Lane> {
        let parts = Mutex::new(vec![Part::default(); count]);
        let joint = Arc::new(Joint { passed_opening: AtomicBool::new(false), lanes_left: AtomicUsize::new(count), parts });
        (0..count).map(|part| Lane { run: Arc::clone(self), layer, joint: Arc::clone(&joint), part }).collect()
    }

    /// Media hosts, once the database has told them.
    pub fn media(&self) -> watch::Receiver<Option<Arc<Vec<MediaHost>>>> {
        self.media.subscribe()
    }
}

/// One layer's view of the run. Dropping it without waiting for the window releases the other layers.
pub struct Lane {
    run: Arc<Run>,
    layer: Layer,
    joint: Arc<Joint>,
    part: usize,
}

/// What the lanes of one layer share.
struct Joint {
    passed_opening: AtomicBool,
    lanes_left: AtomicUsize,
    parts: Mutex<Vec<Part>>,
}

/// What one service of a layer has told.
#[derive(Debug, Clone, Default)]
struct Part {
    done: u32,
    of: u32,
    calls: u64,
    busy_ms: Option<f64>,
    /// With the reason if it failed.
    ended: Option<Option<String>>,
}

impl Joint {
    /// Changes one part and looks at all of them.
    fn told<T>(&self, part: usize, change: impl FnOnce(&mut Part), look: impl FnOnce(&[Part]) -> T) -> T {
        let mut parts = self.parts.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        change(&mut parts[part]);
        look(&parts)
    }
}

impl Lane {
    pub fn layer(&self) -> Layer {
        self.layer
    }

    pub fn reading(&self, what: impl Into<String>, done: u32, of: u32) {
        let sum = |parts: &[Part]| (parts.iter().map(|p| p.done).sum(), parts.iter().map(|p| p.of).sum());
        let (done, of) = self.joint.told(self.part, |p| (p.done, p.of) = (done, of), sum);
        self.run.note(Note::Reading { layer: self.layer, what: what.into(), done, of });
    }

    pub fn cost(&self, calls: u64, busy_ms: Option<f64>) {
        let sum = |parts: &[Part]| (parts.iter().map(|p| p.calls).sum(), parts.iter().filter_map(|p| p.busy_ms).reduce(|a, b| a + b));
        let (calls, busy_ms) = self.joint.told(self.part, |p| (p.calls, p.busy_ms) = (calls, busy_ms), sum);
        self.run.note(Note::Cost { layer: self.layer, calls, busy_ms });
    }

    pub fn activity(&self, text: impl Into<String>) {
        self.run.note(Note::Activity { layer: self.layer, text: text.into(), is_gap: false });
    }

    pub fn gap(&self, text: impl Into<String>) {
        self.run.note(Note::Activity { layer: self.layer, text: text.into(), is_gap: true });
    }

    pub fn live(&self, id: &'static str, at_s: f64, value: f64) {
        self.run.note(Note::Live { id, at_s, value });
    }

    /// The layer has ended with its last service, and failed when none of them could be read.
    pub fn done(&self, failed: Option<String>) {
        let all = |parts: &[Part]| parts.iter().map(|p| p.ended.clone()).collect::<Option<Vec<_>>>();
        let ended = self.joint.told(self.part, |p| p.ended = Some(failed), all);
        if let Some(ended) = ended {
            let reasons = ended.into_iter().collect::<Option<Vec<String>>>();
            self.run.note(Note::LayerDone { layer: self.layer, failed: reasons.map(|r| r.join(" ")) });
        }
    }

    pub fn is_cancelled(&self) -> bool {
        self.run.is_cancelled()
    }

    /// Completes when the run is cancelled; for `select!` around slow work.
    pub async fn cancelled(&self) {
        self.run.cancelled().await;
    }

    /// Tells the storefront probe where the media lie; an empty list where the database could not tell.
    pub fn publish_media(&self, media: Vec<MediaHost>) {
        self.run.media.send_replace(Some(Arc::new(media)));
    }

    /// Ends the first reading: waits until every layer has ended its own, then the window is open. `None` when the run was cancelled.
    pub async fn window_opens(&self) -> Option<Window<'_>> {
        let is_first = !self.joint.passed_opening.swap(true, Ordering::SeqCst);
        let pass = async {
            if is_first && self.run.opening.wait().await.is_leader() {
                self.run.opened.send_replace(Some(Instant::now()));
                self.run.note(Note::WindowOpened);
            }
            let mut rx = self.run.opened.subscribe();
            rx.wait_for(Option::is_some).await.ok().and_then(|opened| *opened)
        };
        let start = tokio::select! {
            start = pass => start?,
            () = self.cancelled() => return None,
        };
        Some(Window { lane: self, start, ticks: 0 })
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        if self.layer == Layer::Postgres && self.run.media.borrow().is_none() {
            // The storefront probe must not wait for a database that will not answer.
            self.publish_media(Vec::new());
        }
        let is_last = self.joint.lanes_left.fetch_sub(1, Ordering::SeqCst) == 1;
        if is_last && !self.joint.passed_opening.load(Ordering::SeqCst) {
            // A layer that failed early must not hold the window shut for the others.
            let run = Arc::clone(&self.run);
            if let Ok(handle) = tokio::runtime::Handle::try_current() {
                handle.spawn(async move {
                    if run.opening.wait().await.is_leader() {
                        run.opened.send_replace(Some(Instant::now()));
                        run.note(Note::WindowOpened);
                    }
                });
            }
        }
    }
}

/// The open window, as one layer sees it.
pub struct Window<'a> {
    lane: &'a Lane,
    start: Instant,
    ticks: u32,
}

impl Window<'_> {
    /// Seconds since it opened.
    pub fn seconds(&self) -> f64 {
        self.start.elapsed().as_secs_f64()
    }

    /// Waits for the next live sample: `true` about once a second (at most 120 samples a window), `false` when the window has closed or
    /// the run was cancelled.
    pub async fn tick(&mut self) -> bool {
        let mut lengths = self.lane.run.window.subscribe();
        loop {
            let length = *lengths.borrow_and_update();
            let end = self.start + length;
            let step = Duration::from_secs_f64((length.as_secs_f64() / 120.0).max(1.0));
            let next = self.start + step * (self.ticks + 1);
            let wake = next.min(end);
            tokio::select! {
                () = tokio::time::sleep_until(wake) => {}
                () = self.lane.cancelled() => { self.close(); return false; }
                // A changed length moves the end; look again.
                Ok(()) = lengths.changed() => continue,
            }
            if Instant::now() >= end {
                self.close();
                return false;
            }
            self.ticks += 1;
            return true;
        }
    }

    fn close(&self) {
        let run = &self.lane.run;
        if !run.has_closed.swap(true, Ordering::SeqCst) {
            run.closed_after_ms.store(self.start.elapsed().as_millis() as u64, Ordering::Relaxed);
            run.note(Note::WindowClosed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard() -> (Arc<Mutex<Vec<Note>>>, impl Fn(Note) + Send + Sync + 'static) {
        let notes = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&notes);
        (notes, move |n| sink.lock().unwrap().push(n))
    }

    #[tokio::test(start_paused = true)]
    async fn two_services_of_a_layer_are_told_of_as_one() {
        let (notes, sink) = heard();
        let run = Run::new(Duration::from_secs(5), sink);
        for layer in [Layer::Postgres, Layer::Redis, Layer::App] {
            drop(run.lane(layer));
        }
        let lanes = run.lanes(Layer::Cdn, 2);
        let (first, second) = tokio::join!(lanes[0].window_opens(), lanes[1].window_opens());
        assert!(first.is_some() && second.is_some());
        lanes[0].reading("zone", 2, 6);
        lanes[1].reading("distributions", 1, 4);
        lanes[0].cost(5, None);
        lanes[1].cost(7, Some(2.0));
        lanes[0].done(Some("no".into()));
        lanes[1].done(None);
        let told: Vec<Note> = notes.lock().unwrap().iter().filter(|n| !matches!(n, Note::WindowOpened)).cloned().collect();
        assert_eq!(told[1], Note::Reading { layer: Layer::Cdn, what: "distributions".into(), done: 3, of: 10 });
        assert_eq!(told[3], Note::Cost { layer: Layer::Cdn, calls: 12, busy_ms: Some(2.0) });
        assert_eq!(told[4..], [Note::LayerDone { layer: Layer::Cdn, failed: None }]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_service_that_fails_early_does_not_release_its_layer() {
        let run = Run::new(Duration::from_secs(5), |_| {});
        for layer in [Layer::Postgres, Layer::Redis, Layer::App] {
            drop(run.lane(layer));
        }
        let mut lanes = run.lanes(Layer::Cdn, 2);
        drop(lanes.remove(0));
        assert!(lanes[0].window_opens().await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn the_window_opens_for_all_and_closes_for_all() {
        let (notes, sink) = heard();
        let run = Run::new(Duration::from_secs(5), sink);
        let mut tasks = Vec::new();
        for layer in Layer::ALL {
            let lane = run.lane(layer);
            tasks.push(tokio::spawn(async move {
                let mut window = lane.window_opens().await.unwrap();
                let mut ticks = 0;
                while window.tick().await {
                    ticks += 1;
                }
                ticks
            }));
        }
        for task in tasks {
            assert_eq!(task.await.unwrap(), 4);
        }
        assert_eq!(notes.lock().unwrap().iter().filter(|n| **n == Note::WindowOpened).count(), 1);
        assert_eq!(notes.lock().unwrap().iter().filter(|n| **n == Note::WindowClosed).count(), 1);
        assert!((run.window_seconds() - 5.0).abs() < 0.1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_layer_does_not_hold_the_window_shut() {
        let (_, sink) = heard();
        let run = Run::new(Duration::from_secs(1), sink);
        let lanes: Vec<Lane> = Layer::ALL.iter().map(|l| run.lane(*l)).collect();
        let mut lanes = lanes.into_iter();
        let survivor = lanes.next().unwrap();
        drop(lanes);
        assert!(survivor.window_opens().await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn cancelling_ends_the_window_at_once() {
        let (_, sink) = heard();
        let run = Run::new(Duration::from_secs(600), sink);
        let lane = run.lane(Layer::Redis);
        for other in [Layer::Cdn, Layer::Postgres, Layer::App] {
            drop(run.lane(other));
        }
        let mut window = lane.window_opens().await.unwrap();
        assert!(window.tick().await);
        run.cancel();
        assert!(!window.tick().await);
    }
}
