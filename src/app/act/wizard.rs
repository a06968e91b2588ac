//! The Connect page: edits, tests, saving.

use crate::app::message::{Effect, Service, WizardAction};
use crate::app::wizard::{Field, RedisForm, Test, WizardStep};
use crate::app::{Model, Page};
use crate::connect::profile::{KeepSecrets, Secrets, new_id};

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
            WizardAction::ChooseCaFile(of_redis) => {
                w.ca_of_redis = of_redis;
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
                let mut effects = vec![Effect::SaveStore { profile: profile.clone(), secrets: secrets.clone() }];
                self.wizard = None;
                self.selected_store = Some(id);
                self.page = Page::Stores;
                if run {
                    let given = profile.keep_secrets == KeepSecrets::AskEachTime || has_any(&secrets);
                    effects.extend(self.begin_run(profile, given.then_some(secrets), now));
                }
                effects
            }
        }
    }
}

fn has_any(s: &Secrets) -> bool {
    s.postgres_password.is_some() || s.cloudflare_token.is_some() || s.redis_passwords.iter().any(Option::is_some)
}
