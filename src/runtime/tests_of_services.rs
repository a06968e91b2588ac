//! Testing a service from the Connect page.

use std::sync::Arc;

use super::{Shared, audits};
use crate::app::{Event, Service};
use crate::connect::profile::{KeepSecrets, Limits, Profile, RedisProfile, Secrets};
use crate::connect::steps::{StepState, TestReport, TestStep};
use crate::connect::{cloudflare, postgres, redis, shop};
use crate::secret::Secret;

pub async fn test(shared: Arc<Shared>, service: Service, run: u64, profile: Profile, typed: Secrets) {
    let kept = kept(&profile, &typed).await;
    let report = match kept {
        Ok(secrets) => tested(&shared, run, service, &profile, &secrets).await,
        Err(sentence) => failed("Secret read", sentence),
    };
    shared.send(Event::TestDone { run, report });
}

/// The typed secrets; those that were not typed come from where the store keeps them. A new store keeps none yet.
async fn kept(profile: &Profile, typed: &Secrets) -> Result<Secrets, String> {
    let is_whole = typed.postgres_password.is_some() && typed.cloudflare_token.is_some() && typed.redis_passwords.iter().all(Option::is_some);
    if is_whole || profile.id.is_empty() && profile.keep_secrets != KeepSecrets::Environment {
        return Ok(typed.clone());
    }
    let from = profile.clone();
    // The keychain may ask the user to unlock it: it is not waited for on this thread.
    let kept = tokio::task::spawn_blocking(move || audits::kept_secrets(&from)).await.map_err(|e| e.to_string())??;
    Ok(merged(typed, &kept))
}

fn merged(typed: &Secrets, kept: &Secrets) -> Secrets {
    let each = |typed: &[Option<Secret<String>>], kept: &[Option<Secret<String>>]| {
        let at = |of: &[Option<Secret<String>>], i: usize| of.get(i).cloned().flatten();
        (0..typed.len().max(kept.len())).map(|i| at(typed, i).or_else(|| at(kept, i))).collect()
    };
    Secrets {
        postgres_password: typed.postgres_password.clone().or_else(|| kept.postgres_password.clone()),
        node_passwords: each(&typed.node_passwords, &kept.node_passwords),
        redis_passwords: each(&typed.redis_passwords, &kept.redis_passwords),
        cloudflare_token: typed.cloudflare_token.clone().or_else(|| kept.cloudflare_token.clone()),
    }
}

async fn tested(shared: &Shared, run: u64, service: Service, profile: &Profile, secrets: &Secrets) -> TestReport {
    let on_step = |step: &TestStep| shared.send(Event::TestStep { run, step: step.clone() });
    match service {
        Service::Postgres => match &profile.postgres {
            Some(pg) => postgres::test(pg, secrets.postgres_password.as_ref(), &profile.limits, on_step).await,
            None => nothing("Postgres"),
        },
        Service::Redis => all_redis(&profile.redis, secrets, &profile.limits, on_step).await,
        Service::Cloudflare => match &profile.cloudflare {
            Some(cdn) => cloudflare::test(cdn, secrets.cloudflare_token.as_ref(), &profile.limits).await,
            None => nothing("Cloudflare"),
        },
        Service::Shop => match &profile.shop {
            Some(shop) => shop::test(shop, &profile.limits).await,
            None => nothing("Storefront and API"),
        },
    }
}

/// Every instance in turn; with several, each step names the instance it belongs to.
async fn all_redis(instances: &[RedisProfile], secrets: &Secrets, limits: &Limits, on_step: impl Fn(&TestStep) + Send + Sync) -> TestReport {
    if instances.is_empty() {
        return nothing("Redis");
    }
    let mut whole = TestReport::default();
    for (i, instance) in instances.iter().enumerate() {
        let password: Option<&Secret<String>> = secrets.redis_passwords.get(i).and_then(Option::as_ref);
        let mut report = redis::test(instance, password, limits.connect_timeout()).await;
        if instances.len() > 1 {
            name_instance(&mut report, i + 1);
        }
        report.steps.iter().for_each(&on_step);
        let has_failed = !report.is_connected();
        whole.steps.append(&mut report.steps);
        whole.capabilities.append(&mut report.capabilities);
        if has_failed {
            break;
        }
    }
    whole
}

fn name_instance(report: &mut TestReport, number: usize) {
    for step in &mut report.steps {
        step.name = format!("{number}. {}", step.name);
    }
    for capability in &mut report.capabilities {
        capability.name = format!("{number}. {}", capability.name);
    }
}

fn nothing(service: &str) -> TestReport {
    failed("Address read", format!("{service} has no address yet. Fill it in, then test again."))
}

fn failed(name: &str, sentence: String) -> TestReport {
    let step = TestStep { name: name.to_owned(), detail: String::new(), ms: None, state: StepState::Failed(sentence) };
    TestReport { steps: vec![step], capabilities: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_typed_wins_over_what_is_kept() {
        let secret = |s: &str| Some(Secret::new(s.to_owned()));
        let typed = Secrets { postgres_password: secret("new"), redis_passwords: vec![None, secret("typed")], ..Secrets::default() };
        let kept = Secrets {
            postgres_password: secret("old"),
            redis_passwords: vec![secret("kept")],
            cloudflare_token: secret("token"),
            ..Secrets::default()
        };
        let m = merged(&typed, &kept);
        let text = |s: &Option<Secret<String>>| s.as_ref().map(|s| s.expose().clone());
        assert_eq!(text(&m.postgres_password).as_deref(), Some("new"));
        assert_eq!(m.redis_passwords.iter().map(text).collect::<Vec<_>>(), [Some("kept".to_owned()), Some("typed".to_owned())]);
        assert_eq!(text(&m.cloudflare_token).as_deref(), Some("token"));
    }
}
