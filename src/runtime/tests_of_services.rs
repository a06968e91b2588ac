//! Testing a service from the Connect page.

use std::sync::Arc;

use super::{Shared, saved};
use crate::app::{Event, Service};
use crate::connect::profile::{KeepSecrets, Limits, Profile, RedisProfile, Secrets};
use crate::connect::steps::{StepState, TestReport, TestStep};
use crate::connect::{aws, cloudflare, postgres, redis, shop};

pub async fn test(shared: Arc<Shared>, service: Service, run: u64, profile: Profile, typed: Secrets) {
    let report = match secrets(&shared, service, &profile, typed).await {
        Ok(secrets) => tested(&shared, run, service, &profile, &secrets).await,
        Err(sentence) => failed("Secret read", format!("{sentence} Type the secret to test with it.")),
    };
    shared.send(Event::TestDone { run, report });
}

/// The typed secrets; those that were not typed come from where the store keeps them. A new store keeps none yet.
async fn secrets(shared: &Shared, service: Service, profile: &Profile, typed: Secrets) -> Result<Secrets, String> {
    let is_new = profile.id.is_empty() && profile.keep_secrets != KeepSecrets::Environment;
    if is_new || has_all(service, profile, &typed) {
        return Ok(typed);
    }
    saved::secrets(shared, profile, Some(typed)).await
}

/// Whether nothing that this service's test needs is left to be fetched.
fn has_all(service: Service, profile: &Profile, typed: &Secrets) -> bool {
    match service {
        Service::Postgres => typed.postgres_password.is_some(),
        Service::Redis => typed.has_all_of_redis(profile),
        Service::Cloudflare => typed.cloudflare_token.is_some() || profile.cloudflare.is_none(),
        Service::Shop => true,
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
        Service::Cloudflare => cdn(profile, secrets).await,
        Service::Shop => match &profile.shop {
            Some(shop) => shop::test(shop, &profile.limits).await,
            None => nothing("Storefront and API"),
        },
    }
}

/// Cloudflare, CloudFront, or one after the other.
async fn cdn(profile: &Profile, secrets: &Secrets) -> TestReport {
    let cloudflare = match &profile.cloudflare {
        Some(zone) => Some(cloudflare::test(zone, secrets.cloudflare_token.as_ref(), &profile.limits).await),
        None => None,
    };
    let cloudfront = match &profile.cloudfront {
        Some(distributions) => Some(aws::test(distributions, &profile.limits).await),
        None => None,
    };
    match (cloudflare, cloudfront) {
        (Some(mut both), Some(mut other)) => {
            other.steps.iter_mut().for_each(|s| s.name = format!("AWS: {}", s.name));
            other.capabilities.iter_mut().for_each(|c| c.name = format!("AWS: {}", c.name));
            both.steps.append(&mut other.steps);
            both.capabilities.append(&mut other.capabilities);
            both
        }
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => nothing("A CDN"),
    }
}

/// Every instance in turn; with several, each step names the instance it belongs to.
async fn all_redis(instances: &[RedisProfile], secrets: &Secrets, limits: &Limits, on_step: impl Fn(&TestStep) + Send + Sync) -> TestReport {
    if instances.is_empty() {
        return nothing("Redis");
    }
    let mut whole = TestReport::default();
    for (i, instance) in instances.iter().enumerate() {
        let mut report = redis::test(instance, secrets.redis(i), limits.connect_timeout()).await;
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
    use crate::connect::profile::{CloudflareProfile, Sentinel};
    use crate::secret::Secret;

    #[test]
    fn a_service_whose_secret_is_typed_needs_no_keychain() {
        let secret = || Some(Secret::new("typed".to_owned()));
        let typed = Secrets { postgres_password: secret(), redis_passwords: vec![secret(), None], ..Secrets::default() };
        let mut profile = crate::demo::profile("x");
        profile.redis = ["a", "b"].map(|host| RedisProfile::at(host, 6_379)).into();
        let zone = CloudflareProfile { zone: "example.com".into(), base_url: None };
        profile.cloudflare = Some(zone);
        let needs = |service| !has_all(service, &profile, &typed);
        let both = Secrets { redis_passwords: vec![secret(), secret()], ..Secrets::default() };
        assert!(has_all(Service::Redis, &profile, &both));
        let mut behind = profile.clone();
        behind.redis[1].sentinel = Some(Sentinel { master: "shop".into(), ..Sentinel::default() });
        assert!(!has_all(Service::Redis, &behind, &both), "the Sentinels' own may be kept");
        assert!(!needs(Service::Postgres) && needs(Service::Redis) && needs(Service::Cloudflare) && !needs(Service::Shop));
    }
}
