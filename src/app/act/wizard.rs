//! The Connect page: edits, tests, saving.

use crate::app::act::{ask_secrets, needs_secret};
use crate::app::message::{Effect, Service, WizardAction};
use crate::app::wizard::{Field, RedisForm, Test, WizardStep};
use crate::app::{Model, Page};
use crate::connect::profile::{KeepSecrets, Profile, new_id};

impl Model {
    pub(super) fn act_wizard(&mut self, action: WizardAction, now: time::OffsetDateTime) -> Vec<Effect> {
        let Some(w) = &mut self.wizard else { return Vec::new() };
        match action {
            WizardAction::Step(step) => w.step = step,
            WizardAction::Next => match w.step.next() {
                Some(step) => w.step = step,
                None => return self.save_wizard(false, now),
            },
            WizardAction::Previous => w.step = w.step.previous().unwrap_or(w.step),
            WizardAction::Set(field, text) => w.set(field, text),
            WizardAction::Environment(e) => w.environment = e,
            WizardAction::Tls(mode) => {
                w.postgres.tls = mode;
                w.set(Field::PgHost, w.postgres.host.clone());
            }
            WizardAction::RedisTls(i, on) => w.set_redis_tls(i, on),
            WizardAction::SentinelTls(i, on) => w.set_sentinel_tls(i, on),
            WizardAction::AddRedis => {
                w.redis.push(RedisForm::empty());
            }
            WizardAction::RemoveRedis(i) if w.redis.len() > 1 && i < w.redis.len() => {
                w.redis.remove(i);
            }
            WizardAction::RemoveRedis(_) => {}
            WizardAction::KeepSecrets(keep) => w.keep = keep,
            WizardAction::Paste(text) => {
                if !w.paste(&text) {
                    self.toast("Nothing in the pasted text is an address of a service", false, None);
                }
            }
            WizardAction::ChooseEnvFile => return vec![Effect::ChooseEnvFile],
            WizardAction::ChooseFile(field) => {
                w.file_for = Some(field);
                return vec![Effect::ChooseCaFile];
            }
            WizardAction::Test => return self.test_service(),
            WizardAction::Save { run } => return self.save_wizard(run, now),
            WizardAction::Cancel => {
                self.wizard = None;
                self.page = Page::Stores;
            }
        }
        Vec::new()
    }

    fn test_service(&mut self) -> Vec<Effect> {
        self.next_run += 1;
        let run = self.next_run;
        let Some(w) = &mut self.wizard else { return Vec::new() };
        let service = match w.step {
            WizardStep::Store => return Vec::new(),
            WizardStep::Postgres => Service::Postgres,
            WizardStep::Redis => Service::Redis,
            WizardStep::Cdn => Service::Cloudflare,
            WizardStep::Shop => Service::Shop,
        };
        // A test needs no name yet.
        let mut named = w.clone();
        if named.name.trim().is_empty() {
            named.name = "new".to_owned();
        }
        let id = w.editing.clone().unwrap_or_default();
        match named.profile(&id) {
            Ok(profile) => {
                w.tests[w.step as usize] = Some(Test { run, steps: Vec::new(), report: None });
                vec![Effect::Test { service, run, profile, secrets: w.secrets() }]
            }
            Err((step, sentence)) => {
                w.step = step;
                self.toast(sentence, true, None);
                Vec::new()
            }
        }
    }

    fn save_wizard(&mut self, run: bool, now: time::OffsetDateTime) -> Vec<Effect> {
        let taken = self.taken_ids();
        let Some(w) = &mut self.wizard else { return Vec::new() };
        let id = w.editing.clone().unwrap_or_else(|| new_id(&w.name, &taken));
        match w.profile(&id) {
            Err((step, sentence)) => {
                w.step = step;
                match step {
                    WizardStep::Store => w.name_error = Some(sentence),
                    WizardStep::Shop => w.shop_error = Some(sentence),
                    _ => self.toast(sentence, true, None),
                }
                Vec::new()
            }
            Ok(profile) => {
                let secrets = w.secrets();
                let is_new = w.editing.is_none();
                let mut effects = vec![Effect::SaveStore { profile: profile.clone(), secrets: secrets.clone() }];
                self.unsaved = self.wizard.take();
                self.selected_store = Some(id);
                self.page = Page::Stores;
                let asks = profile.keep_secrets == KeepSecrets::AskEachTime && needs_secret(&profile);
                if run && asks && !is_new && !secrets.has_any() {
                    effects.extend(self.show(ask_secrets(&profile, None)));
                } else if run {
                    effects.extend(self.begin_run(for_this_run(profile, is_new), Some(secrets), now));
                }
                effects
            }
        }
    }
}

/// What was typed is all there is of a new store's secrets: the keychain, which is just being given them, is not asked.
fn for_this_run(profile: Profile, is_new: bool) -> Profile {
    let keep_secrets = match profile.keep_secrets {
        KeepSecrets::Keychain if is_new => KeepSecrets::AskEachTime,
        other => other,
    };
    Profile { keep_secrets, ..profile }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::message::Action;
    use crate::app::{Dialog, Event, Settings};
    use crate::connect::profile::Secrets;

    fn model() -> Model {
        let mut model = Model::new(Settings::default(), true, String::new());
        act(&mut model, Action::NewStore);
        for (field, text) in [(Field::Name, "Example"), (Field::PgUrl, "postgres://u:hunter2@h/d")] {
            act(&mut model, Action::Wizard(WizardAction::Set(field, text.into())));
        }
        model
    }

    fn act(model: &mut Model, action: Action) -> Vec<Effect> {
        model.act(action, time::OffsetDateTime::UNIX_EPOCH)
    }

    fn run_of(effects: Vec<Effect>) -> Option<(KeepSecrets, Option<Secrets>)> {
        effects.into_iter().find_map(|e| match e {
            Effect::StartAudit { profile, secrets, .. } => Some((profile.keep_secrets, secrets)),
            _ => None,
        })
    }

    #[test]
    fn a_store_that_could_not_be_saved_is_still_typed() {
        let mut model = model();
        let saved = act(&mut model, Action::Wizard(WizardAction::Save { run: false }));
        assert!(matches!(saved.as_slice(), [Effect::SaveStore { .. }]) && model.wizard.is_none());
        model.receive(Event::StoreSaved { id: "example".into(), problem: Some("The disk is full".into()) });
        assert_eq!(model.page, Page::Connect);
        assert_eq!(model.wizard.as_ref().map(|w| w.postgres.password.expose().as_str()), Some("hunter2"));
        act(&mut model, Action::Wizard(WizardAction::Save { run: false }));
        model.receive(Event::StoreSaved { id: "example".into(), problem: None });
        assert!(model.wizard.is_none() && model.page == Page::Stores);
    }

    #[test]
    fn a_new_store_runs_on_what_was_typed_and_an_edited_one_on_what_is_kept_too() {
        let mut model = model();
        let (keep, secrets) = run_of(act(&mut model, Action::Wizard(WizardAction::Save { run: true }))).unwrap();
        assert_eq!(keep, KeepSecrets::AskEachTime, "the keychain is not asked for what it is just being given");
        assert_eq!(secrets.unwrap().postgres_password.unwrap().expose(), "hunter2");

        let mut model = self::model();
        let mut wizard = model.wizard.take().unwrap();
        let profile = wizard.profile("example").unwrap();
        wizard = crate::app::wizard::Wizard::edit(&profile, true);
        model.wizard = Some(wizard.clone());
        let (keep, _) = run_of(act(&mut model, Action::Wizard(WizardAction::Save { run: true }))).unwrap();
        assert_eq!(keep, KeepSecrets::Keychain);

        // One that asks each time asks, and does not try without.
        wizard.keep = KeepSecrets::AskEachTime;
        model.wizard = Some(wizard);
        assert!(run_of(act(&mut model, Action::Wizard(WizardAction::Save { run: true }))).is_none());
        assert!(matches!(model.dialog, Some(Dialog::AskSecrets { .. })));
    }
}
