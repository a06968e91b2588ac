//! What comes back from the runtime.

use std::sync::Arc;

use super::act::ask_secrets;
use super::message::{Action, Effect, Event, RunNote};
use super::{Audit, Model, Page, Phase, Remote, Running};

/// Lines kept of the activity list.
const ACTIVITY_MAX: usize = 200;

impl Model {
    /// The one way anything from outside changes the model.
    pub fn receive(&mut self, event: Event) -> Vec<Effect> {
        if self.is_stale(&event) {
            return Vec::new();
        }
        match event {
            Event::Stores(result) => {
                self.stores.end(result);
                if self.selected_store.as_deref().and_then(|id| self.store(id)).is_none() {
                    self.selected_store = self.store_list().first().map(|s| s.profile.id.clone());
                }
            }
            Event::StoreSaved { id, problem } => {
                self.store_saved(id, problem);
                return vec![Effect::LoadStores];
            }
            Event::StoreDeleted { name } => {
                self.toast(format!("{name} deleted"), false, None);
                self.selected_store = None;
                return vec![Effect::LoadStores];
            }
            Event::KeychainFound(is_there) => self.has_keychain = is_there,
            Event::AuditOpened(result) => self.audit_opened(result),
            Event::NoAudit(store) => {
                self.audit = Remote::Idle;
                self.page = Page::Stores;
                self.toast("This store was not audited yet.", false, Some(("Run audit".into(), Action::StartAudit(store))));
            }
            Event::NeedSecrets { run, profile, reason } => self.need_secrets(run, &profile, reason),
            Event::Note { run, note } => match (&mut self.running, &mut self.rechecking) {
                (_, Some(r)) if r.run == run => r.hear(note),
                (Some(r), _) => r.hear(note),
                _ => {}
            },
            Event::CheckedAgain { key, result, .. } => self.checked_again(key, result),
            Event::ComparisonSaved(result) => self.comparison_saved(result),
            Event::AuditFinished { result, .. } => return self.audit_finished(result),
            Event::SnapshotChosen(path) => {
                self.audit.begin();
                return vec![Effect::OpenSnapshot { path, store: None }];
            }
            Event::Problem(problem) => self.toast(problem, true, None),
            Event::PathWanted { wanted, proposed } => self.path_wanted(wanted, &proposed),
            Event::ReplaceWanted { document, path, existing } => self.replace_wanted(document, path, existing),
            Event::Dismissed(result) => match result {
                Ok(audit) => self.audit = Remote::Ready(audit),
                Err(problem) => self.toast(problem, true, None),
            },
            Event::Compared(result) => self.compare.end(result),
            Event::Previewed(result) => self.export.preview.end(result),
            Event::ReportSaved(result) => return self.report_saved(result),
            Event::MarkdownWritten(text) => {
                self.toast("Report copied as Markdown", false, None);
                return vec![Effect::Copy(text)];
            }
            of_wizard => self.receive_for_wizard(of_wizard),
        }
        Vec::new()
    }

    /// What was typed comes back when it could not be saved, unless something else is being typed by now.
    fn store_saved(&mut self, id: String, problem: Option<String>) {
        let unsaved = self.unsaved.take();
        let Some(problem) = problem else {
            self.selected_store = Some(id);
            return;
        };
        self.toast(problem, true, None);
        if unsaved.is_some() && self.wizard.is_none() {
            self.wizard = unsaved;
            self.page = Page::Connect;
        }
    }

    /// What the Connect page waits for.
    fn receive_for_wizard(&mut self, event: Event) {
        match event {
            Event::TestStep { run, step } => {
                if let Some(test) = self.wizard_test(run) {
                    test.steps.push(step);
                }
            }
            Event::TestDone { run, report } => {
                if let Some(test) = self.wizard_test(run) {
                    test.steps.clone_from(&report.steps);
                    test.report = Some(report);
                }
            }
            Event::EnvFileRead(Ok(text)) => {
                let taken = self.wizard.as_mut().is_some_and(|w| w.paste(&text));
                if !taken {
                    self.toast("The file names no Postgres, Redis, backend or storefront address", true, None);
                }
            }
            Event::EnvFileRead(Err(problem)) => self.toast(problem, true, None),
            Event::CaFileChosen(path) => {
                if let Some(w) = &mut self.wizard {
                    let path = path.display().to_string();
                    if let Some(field) = w.file_for.take() {
                        w.set(field, path);
                    }
                }
            }
            _ => {}
        }
    }

    /// Events of another run are dropped here and nowhere else.
    fn is_stale(&self, event: &Event) -> bool {
        match event {
            Event::Note { run, .. } | Event::AuditFinished { run, .. } | Event::NeedSecrets { run, .. } | Event::CheckedAgain { run, .. } => {
                self.running.as_ref().is_none_or(|r| r.run != *run) && self.rechecking.as_ref().is_none_or(|r| r.run != *run)
            }
            _ => false,
        }
    }

    /// The keychain gave none: the run ends and begins again once they are given.
    fn need_secrets(&mut self, run: u64, profile: &crate::connect::profile::Profile, reason: String) {
        match self.rechecking.take_if(|r| r.run == run) {
            Some(recheck) => self.recheck_wanted = Some(recheck.key),
            None => {
                self.running = None;
                self.page = Page::Stores;
            }
        }
        self.dialog = Some(ask_secrets(profile, Some(reason)));
    }

    fn comparison_saved(&mut self, result: Option<Result<std::path::PathBuf, String>>) {
        match result {
            None => {}
            Some(Ok(path)) => {
                let name = path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
                self.toast(format!("{name} saved"), false, Some(("Open".to_owned(), Action::OpenFile(path))));
            }
            Some(Err(problem)) => self.toast(problem, true, None),
        }
    }

    fn wizard_test(&mut self, run: u64) -> Option<&mut super::wizard::Test> {
        self.wizard.as_mut()?.tests.iter_mut().flatten().find(|t| t.run == run)
    }

    fn audit_opened(&mut self, result: Result<Arc<Audit>, String>) {
        match result {
            Ok(audit) => {
                if audit.store.is_some() {
                    self.selected_store.clone_from(&audit.store);
                }
                self.show_audit(audit);
            }
            Err(problem) => {
                // What was open stays open.
                match self.audit.take_shown() {
                    Some(previous) => self.audit = Remote::Ready(previous),
                    None => self.audit = Remote::Idle,
                }
                self.toast(problem, true, None);
            }
        }
    }

    fn show_audit(&mut self, audit: Arc<Audit>) {
        self.audit = Remote::Ready(audit);
        self.findings = super::FindingsView::default();
        self.metrics.statement = None;
        self.metrics.target = None;
        // What is still being checked again belongs to the audit that is left.
        self.rechecking = None;
        self.rechecked.clear();
        self.recheck_wanted = None;
        self.export.preview = Remote::Idle;
        self.export.preview_page = 0;
        self.export.choice.title.clear();
        self.page = Page::Overview;
    }

    fn audit_finished(&mut self, result: Result<Arc<Audit>, String>) -> Vec<Effect> {
        let was_watching = self.page == Page::Audit;
        self.running = None;
        match result {
            Ok(audit) => {
                let page = self.page;
                let is_cancelled = audit.snapshot.meta.cancelled;
                self.show_audit(audit);
                if !was_watching {
                    self.page = page;
                }
                let text = if is_cancelled { "Audit cancelled: what was read is kept and marked partial" } else { "Audit finished" };
                self.toast(text, false, Some(("Overview".into(), Action::Go(Page::Overview))));
            }
            Err(problem) => {
                if was_watching {
                    self.page = Page::Stores;
                }
                self.toast(problem, true, None);
            }
        }
        vec![Effect::LoadStores]
    }

    fn report_saved(&mut self, result: Option<Result<Vec<std::path::PathBuf>, String>>) -> Vec<Effect> {
        let mut effects = Vec::new();
        match result {
            None => self.export.saving = Remote::Idle,
            Some(Ok(paths)) => {
                let text = match paths.as_slice() {
                    [one] => format!("{} saved", one.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned())),
                    many => format!("{} files saved", many.len()),
                };
                let open = paths.first().map(|p| ("Open".to_owned(), Action::OpenFile(p.clone())));
                self.toast(text, false, open);
                if self.export.opens_when_done {
                    effects.extend(paths.first().map(|p| Effect::OpenFile(p.clone())));
                }
                self.export.saving = Remote::Ready(paths);
            }
            Some(Err(problem)) => {
                self.toast(problem.clone(), true, None);
                self.export.saving.end(Err(problem));
            }
        }
        effects
    }
}

impl Running {
    fn hear(&mut self, note: RunNote) {
        match note {
            RunNote::Reading { layer, what, done, of } => {
                let lane = &mut self.lanes[layer as usize];
                (lane.now, lane.done, lane.of) = (what, done, of);
                if self.phase == Phase::Connect {
                    self.phase = Phase::Read;
                    self.phase_began.push((Phase::Read, self.started_at));
                }
            }
            RunNote::Cost { layer, calls, busy_ms } => {
                let lane = &mut self.lanes[layer as usize];
                (lane.calls, lane.busy_ms) = (calls, busy_ms);
            }
            RunNote::Activity(line) => {
                self.activity.insert(0, line);
                self.activity.truncate(ACTIVITY_MAX);
            }
            RunNote::Live { id, at_s, value } => match self.live.iter_mut().find(|(i, _)| *i == id) {
                Some((_, points)) => points.push((at_s, value)),
                None => self.live.push((id, vec![(at_s, value)])),
            },
            RunNote::LayerDone { layer, failed } => {
                let lane = &mut self.lanes[layer as usize];
                lane.is_done = true;
                lane.done = lane.of;
                lane.now = if failed.is_some() { "Stopped".to_owned() } else { "Done".to_owned() };
                lane.failed = failed;
            }
            RunNote::WindowOpened(at) => {
                self.window_opened_at = Some(at);
                self.enter(Phase::Observe, at);
            }
            RunNote::WindowClosed(at) => self.enter(Phase::ReadAgain, at),
            RunNote::Judging(at) => self.enter(Phase::Judge, at),
        }
    }

    fn enter(&mut self, phase: Phase, at: time::OffsetDateTime) {
        self.phase = phase;
        self.phase_began.push((phase, at));
    }
}
