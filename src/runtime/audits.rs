//! Audits: opening, running, judging, saving.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;

use super::{Shared, saved};
use crate::app::message::{Activity, RunNote};
use crate::app::{Audit, DEMO, Event, Settings, recheck};
use crate::audit;
use crate::collect::run::{Note, Run};
use crate::connect::profile::{self, Profile, Secrets};
use crate::connect::stores;
use crate::demo;
use crate::evidence::Snapshot;
use crate::history::{self, Summary};
use crate::plan::{self, Dismissal};

pub fn open_demo(shared: &Shared) {
    let audit = judged(shared, demo::snapshot(), Some(DEMO.to_owned()), None);
    shared.send(Event::AuditOpened(Ok(Arc::new(audit))));
}

pub fn open_newest(shared: &Shared, id: &str) {
    let newest = shared.places().and_then(|p| history::list(&p.audits(id)).map_err(|e| e.to_string())).map(|l| l.into_iter().next());
    match newest {
        Ok(Some(entry)) => open_snapshot(shared, &entry.path, Some(id.to_owned())),
        Ok(None) => shared.send(Event::NoAudit(id.to_owned())),
        Err(e) => shared.send(Event::AuditOpened(Err(e))),
    }
}

pub fn open_snapshot(shared: &Shared, path: &Path, store: Option<String>) {
    let result = history::open(path).map_err(|e| e.to_string());
    let result = result.map(|snapshot| Arc::new(judged(shared, snapshot, store, Some(path.to_owned()))));
    shared.send(Event::AuditOpened(result));
}

pub fn compare(shared: &Shared, before: &Path, after: &Path) {
    let open = |path: &Path| {
        let snapshot = history::open(path).map_err(|e| e.to_string())?;
        let plan = plan::build(&snapshot, &[], |_| true);
        Ok::<_, String>((snapshot, plan))
    };
    let result = open(before).and_then(|b| open(after).map(|a| Arc::new(history::compare::compare((&b.0, &b.1), (&a.0, &a.1)))));
    shared.send(Event::Compared(result));
}

pub fn save_dismissals(shared: &Shared, store: &str, dismissals: &[Dismissal], audit: &Audit) {
    let saved = shared.places().and_then(|places| {
        let json = serde_json::to_vec_pretty(dismissals).map_err(|e| e.to_string())?;
        stores::write_whole(&places.dismissals(store), &json).map_err(|e| e.to_string())
    });
    let result = saved
        .map_err(|e| format!("The dismissal could not be saved: {e}"))
        .map(|()| Arc::new(judged(shared, audit.snapshot.clone(), audit.store.clone(), audit.path.clone())));
    shared.send(Event::Dismissed(result));
}

fn dismissals(shared: &Shared, store: &str) -> Vec<Dismissal> {
    let Some(places) = &shared.places else { return Vec::new() };
    match std::fs::read(places.dismissals(store)) {
        Err(_) => Vec::new(),
        Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_else(|e| {
            shared.problem(format!("The dismissals of this store could not be read: {e}. Nothing is dismissed until the file is mended."));
            Vec::new()
        }),
    }
}

/// Judges a snapshot for a store: its dismissals, the audit before it.
fn judged(shared: &Shared, snapshot: Snapshot, store: Option<String>, path: Option<PathBuf>) -> Audit {
    let id = store.clone().unwrap_or_else(|| profile::new_id(&snapshot.meta.store, &[]));
    let plan = plan::build(&snapshot, &dismissals(shared, &id), |_| true);
    let previous = previous_scores(shared, &id, snapshot.meta.taken_at);
    Audit { store, snapshot, plan, path, previous }
}

fn previous_scores(shared: &Shared, id: &str, before: OffsetDateTime) -> Option<Vec<(crate::evidence::Layer, Option<u32>)>> {
    let audits = history::list(&shared.places.as_ref()?.audits(id)).ok()?;
    // Summaries keep whole seconds' precision in the file name only; a second's distance tells another audit.
    let older = audits.into_iter().find(|e| e.summary.taken_at + time::Duration::seconds(1) < before)?;
    Some(older.summary.layers.iter().map(|l| (l.layer, l.score)).collect())
}

/// One audit from start to saved file.
pub async fn run(shared: Arc<Shared>, run_id: u64, profile: Profile, secrets: Option<Secrets>, settings: Settings) {
    let Some(snapshot) = read(&shared, run_id, &profile, secrets, &settings).await else { return };
    let judge = Arc::clone(&shared);
    let finished = tokio::task::spawn_blocking(move || judge_and_save(&judge, snapshot, &profile)).await;
    let result = finished.unwrap_or_else(|_| Err("The audit could not be judged: a defect of Medusa Advisor.".to_owned()));
    shared.send(Event::AuditFinished { run: run_id, result });
}

/// What "Check again" needs.
pub struct Again {
    pub run: u64,
    pub profile: Profile,
    pub secrets: Option<Secrets>,
    pub settings: Settings,
    pub audit: Arc<Audit>,
    pub key: String,
}

/// Reads what one check reads and judges its finding anew; nothing is saved.
pub async fn check_again(shared: Arc<Shared>, again: Again) {
    let Again { run, profile, secrets, settings, audit, key } = again;
    let Some(snapshot) = read(&shared, run, &profile, secrets, &settings).await else { return };
    let asked = key.clone();
    let judged = tokio::task::spawn_blocking(move || recheck::judge(&audit, &asked, &snapshot)).await;
    let result = match judged {
        Ok(Some(rechecked)) => Ok(rechecked),
        Ok(None) => Err("The audit no longer holds this finding.".to_owned()),
        Err(_) => Err("The finding could not be judged: a defect of Medusa Advisor. What the audit found stands.".to_owned()),
    };
    shared.send(Event::CheckedAgain { run, key, result });
}

/// Reads the services; `None` when their secrets must be asked for first, or when it was cancelled before it began.
async fn read(shared: &Arc<Shared>, run_id: u64, profile: &Profile, typed: Option<Secrets>, settings: &Settings) -> Option<Snapshot> {
    let sink = Arc::clone(shared);
    let window = Duration::from_secs(u64::from(profile.limits.window_s));
    let run = Run::new(window, move |note| {
        if let Some(note) = translate(note) {
            sink.send(Event::Note { run: run_id, note });
        }
    });
    *shared.running.lock().expect("no holder of the run panics") = Some(Arc::clone(&run));
    // A keychain may wait for its password: cancelling does not wait with it.
    let secrets = tokio::select! {
        secrets = saved::secrets(shared, profile, typed) => Some(secrets),
        () = run.cancelled() => None,
    };
    let snapshot = match secrets {
        Some(Ok(secrets)) => {
            let request = audit::request(profile.clone(), secrets, settings.targets);
            Some(crate::collect::collect(&request, &run).await)
        }
        Some(Err(reason)) => {
            shared.send(Event::NeedSecrets { run: run_id, profile: Box::new(profile.clone()), reason });
            None
        }
        None => {
            shared.send(Event::AuditFinished { run: run_id, result: Err("The audit was cancelled before anything was read.".to_owned()) });
            None
        }
    };
    let mut running = shared.running.lock().expect("no holder of the run panics");
    // A run that began meanwhile keeps its place.
    if running.as_ref().is_some_and(|r| Arc::ptr_eq(r, &run)) {
        *running = None;
    }
    snapshot
}

fn judge_and_save(shared: &Shared, snapshot: Snapshot, profile: &Profile) -> Result<Arc<Audit>, String> {
    let mut audit = judged(shared, snapshot, Some(profile.id.clone()), None);
    let summary = Summary::of(&audit.snapshot, &audit.plan);
    let saved = shared
        .places()
        .and_then(|p| history::save(&p.audits(&profile.id), &audit.snapshot, &summary, stores::write_whole).map_err(|e| e.to_string()));
    match saved {
        Ok(path) => audit.path = Some(path),
        Err(e) => shared.problem(format!("The audit is shown but could not be saved: {e}. Export its snapshot to another disk to keep it.")),
    }
    Ok(Arc::new(audit))
}

fn translate(note: Note) -> Option<RunNote> {
    let now = OffsetDateTime::now_utc();
    Some(match note {
        Note::Reading { layer, what, done, of } => RunNote::Reading { layer, what, done, of },
        Note::Cost { layer, calls, busy_ms } => RunNote::Cost { layer, calls, busy_ms },
        Note::Activity { layer, text, is_gap } => RunNote::Activity(Activity { at: now, layer, text, is_gap }),
        Note::Live { id, at_s, value } => RunNote::Live { id, at_s, value },
        Note::LayerDone { layer, failed } => RunNote::LayerDone { layer, failed },
        Note::WindowOpened => RunNote::WindowOpened(now),
        Note::WindowClosed => RunNote::WindowClosed(now),
        Note::Finished => RunNote::Judging(now),
    })
}
