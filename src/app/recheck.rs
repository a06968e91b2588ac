//! "Check again": one finding judged anew by what its check reads, beside the audit that found it. The audit stays as it is.

use std::sync::Arc;

use time::OffsetDateTime;

use super::act::{ask_secrets, needs_secret};
use super::message::{Action, Effect, RunNote};
use super::{Audit, DEMO, Model, Page};
use crate::checks::Check;
use crate::connect::profile::{KeepSecrets, Profile, Secrets};
use crate::evidence::{Layer, Section, Snapshot};
use crate::finding::{Finding, Outcome};
use crate::text;

/// Long enough for counters to move, short enough to wait for.
pub const WINDOW_S: u32 = 10;
/// With less than this share of the load, a finding about load may be gone for want of it.
const LOAD_SHARE_MIN: f64 = 0.5;

/// A check that runs again.
#[derive(Debug, Clone, PartialEq)]
pub struct Recheck {
    pub run: u64,
    pub key: String,
    pub began: OffsetDateTime,
    pub window_s: u32,
    /// What is read now.
    pub now: String,
}

/// How it ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Rechecked {
    pub at: OffsetDateTime,
    pub window_s: f64,
    pub verdict: Verdict,
    /// What to bear in mind before believing it.
    pub caution: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// With the sentence that says so.
    Gone(String),
    /// As it is now.
    StillThere(Box<Finding>),
    /// Why it could not be judged. What the audit found stands.
    CannotTell(String),
}

impl Recheck {
    pub(super) fn hear(&mut self, note: RunNote) {
        match note {
            RunNote::Reading { layer, what, .. } => self.now = format!("{}: {what}", layer.name()),
            RunNote::WindowOpened(_) => self.now = format!("Watching for {}", text::seconds(f64::from(self.window_s))),
            RunNote::WindowClosed(_) => self.now = "Reading again".to_owned(),
            RunNote::Judging(_) => self.now = "Judging".to_owned(),
            _ => {}
        }
    }
}

impl Rechecked {
    /// The word in the list.
    pub fn word(&self) -> &'static str {
        match self.verdict {
            Verdict::Gone(_) => "gone",
            Verdict::StillThere(_) => "still there",
            Verdict::CannotTell(_) => "cannot tell",
        }
    }
}

/// Judges the finding `key` of `audit` by what has been read now. `None`: the audit has no such finding.
pub fn judge(audit: &Audit, key: &str, now: &Snapshot) -> Option<Rechecked> {
    let ranked = audit.plan.find(key)?;
    let verdict = match ranked.check.run(now) {
        _ if now.meta.cancelled => Verdict::CannotTell("It was cancelled before all was read.".to_owned()),
        Outcome::Passed => Verdict::Gone(ranked.check.passed.to_owned()),
        Outcome::NotApplicable(why) => Verdict::Gone(format!("The check no longer applies: {why}.")),
        Outcome::Unknown(gap) => Verdict::CannotTell(gap.detail),
        Outcome::Failed(found) => match found.into_iter().find(|f| f.subject == ranked.finding.subject) {
            Some(finding) => Verdict::StillThere(Box::new(finding)),
            None => Verdict::Gone("The check ran and found others, but not this one.".to_owned()),
        },
    };
    let caution = if matches!(verdict, Verdict::CannotTell(_)) { None } else { quieter(ranked.check, &audit.snapshot, now) };
    Some(Rechecked { at: now.meta.taken_at, window_s: now.meta.window_s, verdict, caution })
}

/// A finding about load vanishes with the load: said where there was much less of it.
fn quieter(check: &Check, before: &Snapshot, now: &Snapshot) -> Option<String> {
    if !check.needs.contains(&Section::PgStatements) {
        return None;
    }
    let (before, now) = (calls_per_s(before)?, calls_per_s(now)?);
    let is_quieter = now < before * LOAD_SHARE_MIN;
    is_quieter.then(|| {
        format!("The database ran {} statements now and {} then: check again under the same load.", text::per_second(now), text::per_second(before))
    })
}

fn calls_per_s(snapshot: &Snapshot) -> Option<f64> {
    let window = snapshot.pg().ok()?.statements().ok()?.total.window?;
    (snapshot.meta.window_s > 0.0).then(|| window.calls as f64 / snapshot.meta.window_s)
}

/// The store with the services that the check reads, and no other; the shop's media are where the database says.
fn narrowed(profile: &Profile, check: &Check) -> Profile {
    let reads = |wanted: &dyn Fn(Section) -> bool| check.needs.iter().chain(check.uses).any(|s| wanted(*s));
    let mut narrowed = profile.clone();
    narrowed.limits.window_s = profile.limits.window_s.min(WINDOW_S);
    if check.layer != Layer::Postgres && !reads(&|s| s.layer() == Layer::Postgres || s == Section::StorefrontMedia) {
        narrowed.postgres = None;
    }
    if check.layer != Layer::Redis && !reads(&|s| s.layer() == Layer::Redis) {
        narrowed.redis.clear();
    }
    if check.layer != Layer::Cdn && !reads(&|s| (Section::Cdn..Section::Storefront).contains(&s)) {
        narrowed.cloudflare = None;
        narrowed.cloudfront = None;
    }
    if !matches!(check.layer, Layer::Cdn | Layer::App) && !reads(&|s| s >= Section::Storefront) {
        narrowed.shop = None;
    }
    narrowed
}

impl Model {
    /// Why findings cannot be checked again now; `None`: they can.
    pub fn recheck_blocked(&self) -> Option<&'static str> {
        match self.current_audit()?.store.as_deref() {
            None => Some("This snapshot was opened from a file: no store is connected to it"),
            Some(DEMO) => Some("The demo store is a recorded snapshot: there is nothing to read again"),
            Some(id) if self.store(id).is_none() => Some("The store of this audit is not saved any more"),
            Some(_) if self.running.is_some() => Some("An audit is running"),
            Some(_) if self.rechecking.is_some() => Some("Another finding is being checked"),
            Some(_) => None,
        }
    }

    /// The secrets asked for are those of one check, not of a whole audit.
    pub fn asks_for_recheck(&self) -> bool {
        self.recheck_wanted.is_some()
    }

    /// How the finding stood when it was last checked again.
    pub fn rechecked(&self, key: &str) -> Option<&Rechecked> {
        self.rechecked.get(key)
    }

    pub(super) fn check_again(&mut self, key: &str, secrets: Option<Secrets>, now: OffsetDateTime) -> Vec<Effect> {
        if let Some(reason) = self.recheck_blocked() {
            self.toast(format!("{reason}."), false, None);
            return Vec::new();
        }
        let Some(audit) = self.current_audit().map(Arc::clone) else { return Vec::new() };
        let Some(ranked) = audit.plan.find(key) else { return Vec::new() };
        let Some(store) = audit.store.as_deref().and_then(|id| self.store(id)) else { return Vec::new() };
        let mut profile = narrowed(&store.profile, ranked.check);
        if secrets.is_none() && profile.keep_secrets == KeepSecrets::AskEachTime && needs_secret(&profile) {
            self.recheck_wanted = Some(key.to_owned());
            return self.show(ask_secrets(&profile, None));
        }
        if secrets.is_some() {
            profile.keep_secrets = KeepSecrets::AskEachTime;
        }
        self.next_run += 1;
        let run = self.next_run;
        let window_s = profile.limits.window_s;
        self.rechecking = Some(Recheck { run, key: key.to_owned(), began: now, window_s, now: "Connecting".to_owned() });
        vec![Effect::CheckAgain { run, profile, secrets, settings: self.settings.clone(), audit, key: key.to_owned() }]
    }

    /// What was asked for stands down; what it found before stays.
    pub(super) fn cancel_recheck(&mut self) -> Vec<Effect> {
        if self.rechecking.take().is_some() { vec![Effect::CancelAudit] } else { Vec::new() }
    }

    pub(super) fn checked_again(&mut self, key: String, result: Result<Rechecked, String>) {
        self.rechecking = None;
        match result {
            Ok(rechecked) => {
                let title = self.current_audit().and_then(|a| a.plan.find(&key)).map_or("", |r| r.check.title);
                let text = format!("{title}: {}", rechecked.word());
                let goes = (self.page != Page::Findings).then(|| ("Open".to_owned(), Action::OpenFinding(key.clone())));
                self.toast(text, false, goes);
                self.rechecked.insert(key, rechecked);
            }
            Err(problem) => self.toast(problem, true, Some(("Check again".to_owned(), Action::CheckAgain(key)))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks;
    use crate::demo;
    use crate::plan;

    fn audit() -> Audit {
        let snapshot = demo::snapshot();
        let plan = plan::build(&snapshot, &[], |_| true);
        Audit { store: Some("x".into()), snapshot, plan, path: None, previous: None }
    }

    #[test]
    fn what_has_not_changed_is_still_there_with_its_figures() {
        let audit = audit();
        for ranked in &audit.plan.findings {
            let again = judge(&audit, &ranked.key, &audit.snapshot).unwrap();
            let Verdict::StillThere(finding) = again.verdict else { panic!("{}: {}", ranked.key, again.word()) };
            assert_eq!(finding.observed, ranked.finding.observed);
            assert_eq!(again.caution, None);
        }
    }

    #[test]
    fn what_could_not_be_read_is_never_gone() {
        let audit = audit();
        let mut now = audit.snapshot.clone();
        for section in [Section::Postgres, Section::Redis, Section::Cdn, Section::Storefront] {
            now.withhold(section, crate::evidence::Gap::new(section, crate::evidence::Cause::Unreachable, "Nobody answered."));
        }
        for ranked in &audit.plan.findings {
            let again = judge(&audit, &ranked.key, &now).unwrap();
            assert!(!matches!(again.verdict, Verdict::Gone(_)), "{}", ranked.key);
        }
    }

    #[test]
    fn a_cancelled_reading_tells_nothing() {
        let audit = audit();
        let mut now = audit.snapshot.clone();
        now.meta.cancelled = true;
        let again = judge(&audit, &audit.plan.findings[0].key, &now).unwrap();
        assert!(matches!(again.verdict, Verdict::CannotTell(_)));
        assert_eq!(judge(&audit, "no-such:finding", &now), None);
    }

    #[test]
    fn only_what_the_check_reads_is_connected_to() {
        let mut profile = demo::profile("x");
        let (postgres, _) = crate::connect::profile::parse_postgres("postgres://u@h/d").unwrap();
        let (redis, _) = crate::connect::profile::parse_redis("redis://h").unwrap();
        profile.postgres = Some(postgres);
        profile.redis = vec![redis];
        let of_redis = narrowed(&profile, checks::find("redis-memory-pressure").unwrap());
        assert!(of_redis.postgres.is_none() && of_redis.redis.len() == 1);
        assert_eq!(of_redis.limits.window_s, WINDOW_S);
        let of_postgres = narrowed(&profile, checks::find("pg-unused-index").unwrap());
        assert!(of_postgres.postgres.is_some() && of_postgres.redis.is_empty());
    }
}
