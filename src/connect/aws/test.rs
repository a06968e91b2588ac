//! The stepwise test of a connection to AWS: who, which distributions, and what may be read.

use std::time::Instant;

use aws_sdk_cloudfront::types::DistributionSummary;
use aws_sdk_cloudwatch::primitives::DateTime;

use super::{AwsError, Session, metric_query, trouble};
use crate::connect::profile::{ALL_DISTRIBUTIONS, CloudFrontProfile, Limits};
use crate::connect::steps::{Capability, CapabilityState, StepState, TestReport, TestStep};

const NAMES: [&str; 2] = ["Signed in", "Distributions listed"];

/// Tests credentials, distributions and permissions, a step at a time; no call takes longer than the limits say.
pub async fn test(profile: &CloudFrontProfile, limits: &Limits) -> TestReport {
    let mut report = TestReport::default();
    let session = match Session::open(profile, limits).await {
        Ok(session) => session,
        Err(e) => return failed(report, 0, None, &e),
    };
    let start = Instant::now();
    let who = session.sts.get_caller_identity().send().await;
    match who.map_err(|e| trouble("sts:GetCallerIdentity", session.timeout_ms, &e)) {
        Ok(who) => report.steps.push(done(NAMES[0], &kind_of_caller(who.arn()), start)),
        Err(e) => return failed(report, 0, Some(start), &e),
    }
    let start = Instant::now();
    let listed = session.cloudfront.list_distributions().max_items(100).send().await;
    let items = match listed.map_err(|e| trouble("cloudfront:ListDistributions", session.timeout_ms, &e)) {
        Ok(answer) => answer.distribution_list.and_then(|l| l.items).unwrap_or(Vec::new()),
        Err(e) => return failed(report, 1, Some(start), &e),
    };
    report.steps.push(done(NAMES[1], &format!("{} in this account", items.len()), start));
    let wanted = |d: &&DistributionSummary| {
        profile.distributions.is_empty()
            || profile.distributions.iter().any(|w| w == ALL_DISTRIBUTIONS)
            || profile.distributions.iter().any(|w| *w == d.id || *w == d.domain_name || has_alias(d, w))
    };
    let Some(first) = items.iter().find(wanted) else {
        let sentence = "No distribution of this account has such an id or alias. Check them, and that the profile is the right account's.";
        report.steps.push(TestStep { name: "Distribution found".into(), detail: String::new(), ms: None, state: StepState::Failed(sentence.into()) });
        return report;
    };
    report.steps.push(TestStep { name: "Distribution found".into(), detail: first.domain_name.clone(), ms: None, state: StepState::Done });
    report.capabilities = capabilities(&session, &first.id, bucket_of(first)).await;
    report
}

fn has_alias(d: &DistributionSummary, wanted: &str) -> bool {
    d.aliases.as_ref().is_some_and(|a| a.items().iter().any(|i| i.eq_ignore_ascii_case(wanted)))
}

fn bucket_of(d: &DistributionSummary) -> Option<String> {
    let origins = d.origins.as_ref()?;
    let stem = |domain: &str| domain.split_once(".s3.").map(|(bucket, _)| bucket.to_owned());
    origins.items().iter().filter(|o| o.s3_origin_config.is_some()).find_map(|o| stem(&o.domain_name))
}

/// "user", "assumed role": the ARN itself names the account.
fn kind_of_caller(arn: Option<&str>) -> String {
    match arn.and_then(|a| a.rsplit(':').next()).and_then(|r| r.split('/').next()) {
        Some("assumed-role") => "as an assumed role".to_owned(),
        Some("user") => "as a user".to_owned(),
        Some("root") => "as the account's root: give a role with read permissions instead".to_owned(),
        _ => String::new(),
    }
}

async fn capabilities(session: &Session, id: &str, bucket: Option<String>) -> Vec<Capability> {
    let limit_ms = session.timeout_ms;
    let config = session.cloudfront.get_distribution_config().id(id).send().await;
    let config = config.map(drop).map_err(|e| trouble("cloudfront:GetDistributionConfig", limit_ms, &e));
    let subscription = session.cloudfront.get_monitoring_subscription().distribution_id(id).send().await;
    let subscription = subscription.map(drop).map_err(|e| trouble("cloudfront:GetMonitoringSubscription", limit_ms, &e));
    let now = time::OffsetDateTime::now_utc().unix_timestamp();
    let query = metric_query("requests", "Requests", "Sum", id);
    let span = session.cloudwatch.get_metric_data().start_time(DateTime::from_secs(now - 3_600)).end_time(DateTime::from_secs(now));
    let metrics = span.metric_data_queries(query).send().await;
    let metrics = metrics.map(drop).map_err(|e| trouble("cloudwatch:GetMetricData", limit_ms, &e));
    let mut all = vec![
        capability("Behaviours and origins", "", config),
        capability("Monitoring subscription", "hit rate and origin latency", subscription),
        capability("Metrics", "requests, bytes and errors by hour", metrics),
    ];
    if let Some(bucket) = bucket {
        let listed = session.s3(None).list_objects_v2().bucket(&bucket).max_keys(1).send().await;
        let listed = listed.map(drop).map_err(|e| trouble("s3:ListBucket", limit_ms, &e));
        all.push(capability("Media bucket", &bucket, listed));
    }
    all.push(Capability { name: "Contents of objects".into(), detail: "never read".into(), state: CapabilityState::Never });
    all
}

/// What is not there (no subscription, an empty bucket) may still be read.
fn capability(name: &str, detail: &str, outcome: Result<(), AwsError>) -> Capability {
    let state = match outcome {
        Ok(()) | Err(AwsError::NotFound { .. }) => CapabilityState::Granted,
        Err(AwsError::Denied { action, .. }) => CapabilityState::Missing { grant: action.to_owned() },
        Err(e) => CapabilityState::Missing { grant: e.to_string() },
    };
    Capability { name: name.to_owned(), detail: detail.to_owned(), state }
}

fn done(name: &str, detail: &str, start: Instant) -> TestStep {
    TestStep { name: name.to_owned(), detail: detail.to_owned(), ms: Some(start.elapsed().as_secs_f64() * 1e3), state: StepState::Done }
}

fn failed(mut report: TestReport, at: usize, start: Option<Instant>, e: &AwsError) -> TestReport {
    let sentence = match e {
        AwsError::Denied { action, .. } => format!("{e} Allow {action}; `medusa-advisor grants aws` prints the whole policy."),
        _ => e.to_string(),
    };
    let ms = start.map(|s| s.elapsed().as_secs_f64() * 1e3);
    report.steps.push(TestStep { name: NAMES[at].to_owned(), detail: String::new(), ms, state: StepState::Failed(sentence) });
    for name in &NAMES[at + 1..] {
        report.steps.push(TestStep { name: (*name).to_owned(), detail: String::new(), ms: None, state: StepState::NotRun });
    }
    report
}
