//! What each action does to the model, and what it has others do.

mod findings;
mod wizard;

use std::sync::Arc;

use super::files::Document;
use super::message::{Action, ComparisonFormat, Effect, WizardAction};
use super::wizard::Wizard;
use super::{DEMO, Dialog, LaneState, Model, Page, Phase, Remote, Running};
use crate::connect::profile::{KeepSecrets, Profile, Secrets, new_id};
use crate::evidence::Layer;

/// Cancelling a longer run asks first: what it has read is kept, but the window is lost.
const CANCEL_ASKS_AFTER_S: f64 = 60.0;

impl Model {
    /// The one way the user changes anything. `now` is the clock at the time of the click.
    pub fn act(&mut self, action: Action, now: time::OffsetDateTime) -> Vec<Effect> {
        let done = self
            .act_stores(action)
            .or_else(|action| self.act_audit(action, now))
            .or_else(|action| self.act_reading(action))
            .or_else(|action| self.act_files(action))
            .or_else(|action| self.act_everywhere(action, now));
        done.unwrap_or_else(|findings| self.act_findings(findings))
    }

    /// Stores page and opening audits; gives back what is not its own, as the others below do.
    fn act_stores(&mut self, action: Action) -> Result<Vec<Effect>, Action> {
        Ok(match action {
            Action::SelectStore(id) => {
                self.selected_store = Some(id);
                Vec::new()
            }
            Action::SearchStores(text) => {
                self.stores_search = text;
                Vec::new()
            }
            Action::OpenStore(id) => self.open_store(id),
            Action::OpenDemo => self.open_store(DEMO.to_owned()),
            Action::OpenSnapshotDialog => vec![Effect::ChooseSnapshot],
            Action::OpenSnapshot(path) => {
                self.audit.begin();
                vec![Effect::OpenSnapshot { path, store: None }]
            }
            Action::OpenAudit(path) => {
                self.audit.begin();
                self.page = Page::Overview;
                vec![Effect::OpenSnapshot { path, store: self.selected_store.clone() }]
            }
            Action::NewStore => {
                self.wizard = Some(Wizard::new(self.settings.limits.clone(), self.has_keychain));
                self.page = Page::Connect;
                // It may have been started since.
                vec![Effect::LookForKeychain]
            }
            Action::EditStore(id) => self.edit_store(&id),
            Action::DuplicateStore(id) => self.duplicate_store(&id),
            Action::AskDeleteStore(id) => self.ask_delete(&id),
            Action::DeleteStore(id) => {
                self.dialog = None;
                vec![Effect::DeleteStore(id)]
            }
            Action::ReloadStores => {
                self.stores.begin();
                vec![Effect::LoadStores]
            }
            other => return Err(other),
        })
    }

    /// Connect page and the audit in progress.
    fn act_audit(&mut self, action: Action, now: time::OffsetDateTime) -> Result<Vec<Effect>, Action> {
        Ok(match action {
            Action::Wizard(action) => self.act_wizard(action, now),
            Action::StartAudit(id) => self.start_audit(&id, None, now),
            Action::GiveSecrets { store, secrets } => {
                self.dialog = None;
                match self.recheck_wanted.take() {
                    Some(key) => self.check_again(&key, Some(*secrets), now),
                    None => self.start_audit(&store, Some(*secrets), now),
                }
            }
            Action::CheckAgain(key) => self.check_again(&key, None, now),
            Action::CancelCheckAgain => self.cancel_recheck(),
            Action::AskCancelAudit => self.ask_cancel(now),
            Action::CancelAudit => self.cancel_audit(),
            Action::ExtendWindow(seconds) => {
                if let Some(r) = &mut self.running {
                    r.window_s = f64::from(seconds);
                }
                vec![Effect::ExtendWindow(seconds)]
            }
            other => return Err(other),
        })
    }

    /// Metrics, Compare, Export.
    fn act_reading(&mut self, action: Action) -> Result<Vec<Effect>, Action> {
        Ok(match action {
            Action::MetricsTab(layer, tab) => {
                self.metrics.tabs[layer as usize] = tab;
                self.metrics.filter.clear();
                Vec::new()
            }
            Action::MetricsBase { since_reset } => {
                self.metrics.since_reset = since_reset;
                Vec::new()
            }
            Action::FilterMetrics(text) => {
                self.metrics.filter = text;
                Vec::new()
            }
            Action::ZonePath(path) => {
                self.metrics.zone.path = path;
                Vec::new()
            }
            Action::ZoneShopper(shopper) => {
                self.metrics.zone.shopper = shopper;
                Vec::new()
            }
            Action::SelectTarget(url) => {
                self.metrics.target = url;
                Vec::new()
            }
            Action::SelectStatement(id) => {
                self.metrics.statement = id;
                Vec::new()
            }
            Action::OpenStatement(id) => {
                self.metrics.tabs[Layer::Postgres as usize] = 0;
                self.metrics.filter.clear();
                self.metrics.statement = Some(id);
                self.go(Page::Metrics(Layer::Postgres))
            }
            Action::SaveComparison(format) => self.save_comparison(format),
            Action::Compare { before, after } => {
                self.compare.begin();
                self.compare_pair = Some((before.clone(), after.clone()));
                self.page = Page::Compare;
                vec![Effect::Compare { before, after }]
            }
            Action::EditReport(_)
            | Action::ToggleFormat(_)
            | Action::PreviewPage(_)
            | Action::RefreshPreview
            | Action::SaveReport
            | Action::OpenWhenDone(_)
            | Action::CopyReport => self.act_export(action),
            Action::OpenFile(path) => vec![Effect::OpenFile(path)],
            Action::ShowInFolder(path) => vec![Effect::ShowInFolder(path)],
            other => return Err(other),
        })
    }

    /// What every page offers.
    fn act_everywhere(&mut self, action: Action, now: time::OffsetDateTime) -> Result<Vec<Effect>, Action> {
        let mut effects = Vec::new();
        match action {
            Action::Go(page) => effects = self.go(page),
            Action::Back => effects = self.back(now),
            Action::EditSettings(settings) => {
                self.settings = settings.clone();
                effects.push(Effect::SaveSettings(settings));
            }
            Action::SelectCheck(id) => self.checks_selected = id,
            Action::Copy { text, what } => {
                self.toast(format!("{what} copied"), false, None);
                effects.push(Effect::Copy(text));
            }
            Action::OpenLink(url) => effects.push(Effect::OpenLink(url)),
            Action::FocusSearch => self.wants_search_focus = true,
            Action::SearchFocused => self.wants_search_focus = false,
            Action::ShowKeys => effects = self.show(Dialog::Keys),
            Action::ShowGoTo => effects = self.show(Dialog::GoTo { text: String::new() }),
            Action::EditGoTo(text) => effects = self.show(Dialog::GoTo { text }),
            Action::CloseDialog => self.close_dialog(),
            Action::DismissToast(id) => self.toasts.retain(|t| t.id != id),
            other => return Err(other),
        }
        Ok(effects)
    }

    fn close_dialog(&mut self) {
        self.dialog = None;
        self.recheck_wanted = None;
    }

    fn save_comparison(&mut self, format: ComparisonFormat) -> Vec<Effect> {
        let Some(comparison) = self.compare.shown().map(Arc::clone) else { return Vec::new() };
        let store = self.current_store().map_or_else(|| "store".to_owned(), |s| s.profile.id.clone());
        vec![Effect::Save(Document::Comparison { comparison, store, format })]
    }

    pub(super) fn show(&mut self, dialog: Dialog) -> Vec<Effect> {
        self.dialog = Some(dialog);
        Vec::new()
    }

    fn go(&mut self, page: Page) -> Vec<Effect> {
        self.dialog = None;
        let needs_audit = matches!(page, Page::Overview | Page::Findings | Page::Metrics(_) | Page::Export | Page::Compare);
        if needs_audit && self.audit.shown().is_none() {
            return Vec::new();
        }
        if page == Page::Audit && self.running.is_none() {
            return Vec::new();
        }
        self.page = page;
        if page == Page::Export && self.export.preview.shown().is_none() {
            return self.refresh_preview();
        }
        Vec::new()
    }

    /// Esc: closes what is in front, cancels a run that is watched, leaves a page for the one above it.
    fn back(&mut self, now: time::OffsetDateTime) -> Vec<Effect> {
        if self.dialog.is_some() {
            self.close_dialog();
            return Vec::new();
        }
        match self.page {
            Page::Metrics(Layer::Postgres) if self.metrics.statement.take().is_some() => Vec::new(),
            Page::Metrics(Layer::Cdn) if self.metrics.target.take().is_some() => Vec::new(),
            Page::Audit => self.ask_cancel(now),
            Page::Compare => self.go(Page::Audits),
            Page::Connect => self.act_wizard(WizardAction::Cancel, now),
            Page::Checks | Page::Settings if self.audit.shown().is_some() => self.go(Page::Overview),
            Page::Findings | Page::Metrics(_) | Page::Export | Page::Audits => self.go(Page::Overview),
            _ => self.go(Page::Stores),
        }
    }

    fn open_store(&mut self, id: String) -> Vec<Effect> {
        self.selected_store = Some(id.clone());
        self.audit.begin();
        self.findings.selected = None;
        self.export.preview = Remote::Idle;
        if id == DEMO { vec![Effect::OpenDemo] } else { vec![Effect::OpenNewest(id)] }
    }

    fn edit_store(&mut self, id: &str) -> Vec<Effect> {
        if let Some(store) = self.store(id).filter(|s| !s.is_demo()) {
            self.wizard = Some(Wizard::edit(&store.profile, self.has_keychain));
            self.page = Page::Connect;
            return vec![Effect::LookForKeychain];
        }
        Vec::new()
    }

    fn taken_ids(&self) -> Vec<String> {
        self.store_list().iter().map(|s| s.profile.id.clone()).collect()
    }

    fn duplicate_store(&mut self, id: &str) -> Vec<Effect> {
        let taken = self.taken_ids();
        let Some(store) = self.store(id).filter(|s| !s.is_demo()) else { return Vec::new() };
        let mut profile = store.profile.clone();
        profile.name = format!("{} copy", profile.name);
        profile.id = new_id(&profile.name, &taken);
        self.selected_store = Some(profile.id.clone());
        vec![Effect::DuplicateStore { from: id.to_owned(), profile }]
    }

    fn ask_delete(&mut self, id: &str) -> Vec<Effect> {
        if let Some(store) = self.store(id).filter(|s| !s.is_demo()) {
            let dialog = Dialog::DeleteStore { id: id.to_owned(), name: store.profile.name.clone() };
            return self.show(dialog);
        }
        Vec::new()
    }

    /// `secrets` were asked for: the keychain, which did not give them, is not asked again.
    fn start_audit(&mut self, id: &str, secrets: Option<Secrets>, now: time::OffsetDateTime) -> Vec<Effect> {
        if self.running.is_some() {
            self.page = Page::Audit;
            return Vec::new();
        }
        let Some(store) = self.store(id) else { return Vec::new() };
        if store.is_demo() {
            self.toast(
                "The demo store is a recorded snapshot: there is nothing to audit. Set up a store of your own.",
                false,
                Some(("New store".into(), Action::NewStore)),
            );
            return Vec::new();
        }
        let mut profile = store.profile.clone();
        if profile.postgres.is_none()
            && profile.redis.is_empty()
            && profile.cloudflare.is_none()
            && profile.cloudfront.is_none()
            && profile.shop.is_none()
        {
            self.toast(
                "No service is set up for this store, so there is nothing to audit.",
                true,
                Some(("Edit".into(), Action::EditStore(id.to_owned()))),
            );
            return Vec::new();
        }
        if secrets.is_none() && profile.keep_secrets == KeepSecrets::AskEachTime && needs_secret(&profile) {
            return self.show(ask_secrets(&profile, None));
        }
        if secrets.is_some() {
            profile.keep_secrets = KeepSecrets::AskEachTime;
        }
        self.begin_run(profile, secrets, now)
    }

    pub(super) fn begin_run(&mut self, profile: Profile, secrets: Option<Secrets>, now: time::OffsetDateTime) -> Vec<Effect> {
        self.next_run += 1;
        let run = self.next_run;
        self.selected_store = Some(profile.id.clone());
        self.page = Page::Audit;
        let is_configured = |l: Layer| match l {
            Layer::Cdn => profile.cloudflare.is_some() || profile.cloudfront.is_some(),
            Layer::Redis => !profile.redis.is_empty(),
            Layer::Postgres => profile.postgres.is_some(),
            Layer::App => profile.shop.is_some(),
        };
        let lane = |layer: Layer| LaneState {
            layer,
            is_configured: is_configured(layer),
            now: if is_configured(layer) { "Connecting".into() } else { "Not set up".into() },
            done: 0,
            of: 0,
            calls: 0,
            busy_ms: None,
            is_done: !is_configured(layer),
            failed: None,
        };
        self.running = Some(Running {
            run,
            store: profile.id.clone(),
            started_at: now,
            phase: Phase::Connect,
            window_s: f64::from(profile.limits.window_s),
            lanes: Layer::ALL.into_iter().map(lane).collect(),
            activity: Vec::new(),
            live: Vec::new(),
            window_opened_at: None,
            phase_began: vec![(Phase::Connect, now)],
            is_cancelling: false,
        });
        // One run at a time holds the store's connections; the audit reads what the other would have read.
        let mut effects = self.cancel_recheck();
        effects.push(Effect::StartAudit { run, profile, secrets, settings: self.settings.clone() });
        effects
    }

    fn ask_cancel(&mut self, now: time::OffsetDateTime) -> Vec<Effect> {
        match &self.running {
            Some(r) if (now - r.started_at).as_seconds_f64() > CANCEL_ASKS_AFTER_S => self.show(Dialog::CancelAudit),
            Some(_) => self.cancel_audit(),
            None => self.go(Page::Overview),
        }
    }

    fn cancel_audit(&mut self) -> Vec<Effect> {
        self.dialog = None;
        match &mut self.running {
            Some(r) => {
                r.is_cancelling = true;
                vec![Effect::CancelAudit]
            }
            None => Vec::new(),
        }
    }
}

pub(super) fn needs_secret(p: &Profile) -> bool {
    p.postgres.is_some() || !p.redis.is_empty() || p.cloudflare.is_some()
}

/// The dialog that asks for what the keychain does not keep; a field for each service that is set up.
pub(super) fn ask_secrets(profile: &Profile, reason: Option<String>) -> Dialog {
    Dialog::AskSecrets {
        store: profile.id.clone(),
        postgres: profile.postgres.as_ref().map(|p| format!("{} on {}", p.user, p.address())),
        redis: profile.redis.iter().map(|r| Some(r.address())).collect(),
        sentinels: profile.redis.iter().map(|r| r.sentinel.as_ref().map(|s| s.master.clone())).collect(),
        cloudflare: profile.cloudflare.as_ref().map(|c| c.zone.clone()),
        reason,
    }
}
