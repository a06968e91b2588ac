//! The one place that knows both tokio and the messages: performs effects, sends events.

mod audits;
mod dialogs;
mod reports;
mod saved;
mod tests_of_services;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::app::{Effect, Event, Settings, message::RunNote};
use crate::collect::run::Run;
use crate::connect::{stores, stores::Places, vault};

/// Events kept for the window; more than a busy audit sends between two frames.
const EVENTS_MAX: usize = 4_096;
/// How long closing the window waits for a file that is being written.
const CLOSING_MAX: Duration = Duration::from_secs(10);

/// Where events wait for the window. Progress is coalesced: the latest of a layer wins.
struct Outbox {
    queue: Mutex<VecDeque<Event>>,
    /// Wakes the window; the runtime knows no egui.
    wake: Box<dyn Fn() + Send + Sync>,
}

impl Outbox {
    fn send(&self, event: Event) {
        let mut queue = self.queue.lock().expect("no holder of the queue panics");
        if let Some(older) = queue.iter_mut().find(|e| replaces(&event, e)) {
            *older = event;
        } else if queue.len() < EVENTS_MAX || !is_progress(&event) {
            queue.push_back(event);
        }
        drop(queue);
        (self.wake)();
    }
}

fn is_progress(event: &Event) -> bool {
    matches!(event, Event::Note { .. })
}

fn replaces(new: &Event, old: &Event) -> bool {
    let (Event::Note { run: a, note: new }, Event::Note { run: b, note: old }) = (new, old) else { return false };
    a == b
        && match (new, old) {
            (RunNote::Reading { layer: x, .. }, RunNote::Reading { layer: y, .. })
            | (RunNote::Cost { layer: x, .. }, RunNote::Cost { layer: y, .. }) => x == y,
            _ => false,
        }
}

/// Performs effects beside the window.
pub struct Runtime {
    /// There until it is dropped.
    tokio: Option<tokio::runtime::Runtime>,
    shared: Arc<Shared>,
}

/// What every task needs.
struct Shared {
    outbox: Outbox,
    places: Option<Places>,
    running: Mutex<Option<Arc<Run>>>,
    /// Whose turn it is: what is being saved is saved before it is read.
    keychain: Arc<tokio::sync::Mutex<()>>,
}

impl Shared {
    fn send(&self, event: Event) {
        self.outbox.send(event);
    }

    fn problem(&self, text: impl Into<String>) {
        self.send(Event::Problem(text.into()));
    }

    fn places(&self) -> Result<&Places, String> {
        self.places
            .as_ref()
            .ok_or_else(|| "This system names no home folder, so nothing can be saved. Set MEDUSA_ADVISOR_HOME to a folder.".to_owned())
    }
}

impl Runtime {
    /// # Errors
    /// When the system gives no threads.
    pub fn new(wake: impl Fn() + Send + Sync + 'static) -> std::io::Result<Self> {
        let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().thread_name("advisor").build()?;
        let outbox = Outbox { queue: Mutex::new(VecDeque::new()), wake: Box::new(wake) };
        let shared = Shared { outbox, places: Places::of_user(), running: Mutex::new(None), keychain: Arc::default() };
        Ok(Self { tokio: Some(tokio), shared: Arc::new(shared) })
    }

    /// The next event, if one waits.
    pub fn poll(&self) -> Option<Event> {
        self.shared.outbox.queue.lock().expect("no holder of the queue panics").pop_front()
    }

    /// What the model starts from.
    pub fn settings(&self) -> Settings {
        let read = || std::fs::read(self.shared.places.as_ref()?.settings()).ok();
        read().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_else(|| Settings { user: user_name(), ..Settings::default() })
    }

    pub fn data_folder(&self) -> String {
        self.shared.places.as_ref().map_or_else(|| "nowhere: no home folder".to_owned(), |p| p.data.display().to_string())
    }

    /// Starts an effect; returns at once. Clipboard and links belong to the window and are not performed here.
    pub fn perform(&self, effect: Effect) {
        if let Some(effect) = self.perform_for_stores(effect) {
            self.perform_for_audits(effect);
        }
    }

    /// Stores, their secrets, and files; gives back what is not its own.
    fn perform_for_stores(&self, effect: Effect) -> Option<Effect> {
        let shared = Arc::clone(&self.shared);
        match effect {
            Effect::LoadStores => self.blocking(move || saved::load(&shared)),
            Effect::LookForKeychain => self.spawn(async move { shared.send(Event::KeychainFound(vault::is_available().await)) }),
            Effect::SaveStore { profile, secrets } => {
                let turn = Arc::clone(&shared.keychain).try_lock_owned().ok();
                self.spawn(async move { saved::save(&shared, profile, secrets, turn).await });
            }
            Effect::DuplicateStore { from, profile } => self.spawn(async move { saved::duplicate(&shared, &from, profile).await }),
            Effect::DeleteStore(id) => self.spawn(async move { saved::delete(&shared, &id).await }),
            Effect::Test { service, run, profile, secrets } => self.spawn(tests_of_services::test(shared, service, run, profile, secrets)),
            Effect::ChooseSnapshot => self.spawn(dialogs::choose_snapshot(shared)),
            Effect::ChooseEnvFile => self.spawn(dialogs::choose_env_file(shared)),
            Effect::ChooseCaFile => self.spawn(dialogs::choose_ca_file(shared)),
            Effect::ReadEnvFile(path) => self.blocking(move || dialogs::read_env_file(&shared, &path)),
            Effect::SaveSettings(settings) => self.blocking(move || save_settings(&shared, &settings)),
            Effect::OpenFile(path) => self.blocking(move || dialogs::open_with_system(&shared, &path)),
            Effect::ShowInFolder(path) => {
                let folder = path.parent().map_or_else(|| path.clone(), std::path::Path::to_owned);
                self.blocking(move || dialogs::open_with_system(&shared, &folder));
            }
            other => return Some(other),
        }
        None
    }

    /// Audits: opening, running, judging, reporting.
    fn perform_for_audits(&self, effect: Effect) {
        let shared = Arc::clone(&self.shared);
        match effect {
            Effect::OpenDemo => self.blocking(move || audits::open_demo(&shared)),
            Effect::OpenNewest(id) => self.blocking(move || audits::open_newest(&shared, &id)),
            Effect::OpenSnapshot { path, store } => self.blocking(move || audits::open_snapshot(&shared, &path, store)),
            Effect::Compare { before, after } => self.blocking(move || audits::compare(&shared, &before, &after)),
            Effect::SaveDismissals { store, dismissals, audit } => {
                self.blocking(move || audits::save_dismissals(&shared, &store, &dismissals, &audit));
            }
            Effect::StartAudit { run, profile, secrets, settings } => self.spawn(audits::run(shared, run, profile, secrets, settings)),
            Effect::CheckAgain { run, profile, secrets, settings, audit, key } => {
                self.spawn(audits::check_again(shared, audits::Again { run, profile, secrets, settings, audit, key }));
            }
            Effect::CancelAudit => self.with_run(|run| run.cancel()),
            Effect::ExtendWindow(s) => self.with_run(|run| run.set_window(Duration::from_secs(u64::from(s)))),
            Effect::Preview { audit, choice } => self.blocking(move || reports::preview(&shared, &audit, &choice)),
            Effect::WriteMarkdown { audit, choice } => self.blocking(move || reports::write_markdown(&shared, &audit, &choice)),
            Effect::Save(document) => self.spawn(reports::save(shared, document)),
            Effect::Write { document, path, replaces } => self.spawn(reports::write(shared, document, path, replaces)),
            // The window's own, or performed above.
            _ => {}
        }
    }

    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        if let Some(tokio) = &self.tokio {
            tokio.spawn(work);
        }
    }

    fn blocking(&self, work: impl FnOnce() + Send + 'static) {
        if let Some(tokio) = &self.tokio {
            tokio.spawn_blocking(work);
        }
    }

    fn with_run(&self, act: impl FnOnce(&Run)) {
        if let Some(run) = self.shared.running.lock().expect("no holder of the run panics").as_ref() {
            act(run);
        }
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        self.with_run(Run::cancel);
        if let Some(tokio) = self.tokio.take() {
            tokio.shutdown_timeout(CLOSING_MAX);
        }
    }
}

fn save_settings(shared: &Shared, settings: &Settings) {
    let save = || -> Result<(), String> {
        let json = serde_json::to_vec_pretty(settings).map_err(|e| e.to_string())?;
        stores::write_whole(&shared.places()?.settings(), &json).map_err(|e| e.to_string())
    };
    if let Err(e) = save() {
        shared.problem(format!("The settings could not be saved: {e}. They hold until the window is closed."));
    }
}

fn user_name() -> String {
    std::env::var("USER").or_else(|_| std::env::var("USERNAME")).unwrap_or_default()
}
