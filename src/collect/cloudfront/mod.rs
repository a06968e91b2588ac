//! Reads CloudFront: distributions and the policies they name, CloudWatch's figures of the last day, and the buckets behind them.

mod answers;
mod buckets;
mod managed;
mod metrics;
mod policies;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_sdk_cloudfront::types::DistributionSummary;
use tokio::sync::watch;
use url::Url;

use super::Collected;
use super::run::Lane;
use crate::connect::aws::{AwsError, Session, trouble};
use crate::connect::profile::{ALL_DISTRIBUTIONS, CloudFrontProfile, Limits};
use crate::evidence::cloudfront::{CloudFront, Distribution, bucket_of_host};
use crate::evidence::medusa::MediaHost;
use crate::evidence::{Cause, Gap, Layer, LayerCost, Listed, Section, Seen};

/// Distributions read in full; a store has one or two.
const DISTRIBUTIONS_MAX: usize = 10;
/// Pages of a hundred that are looked through for the store's.
const PAGES_MAX: usize = 5;
const PAGE_ITEMS: i32 = 100;
/// How long the database may take to tell where the media lie.
const MEDIA_WAIT: Duration = Duration::from_secs(30);
/// After this no further distribution, bucket or object is begun.
const READING_MAX: Duration = Duration::from_secs(60);
const STEPS: u32 = 3;

type MediaReceiver = watch::Receiver<Option<Arc<Vec<MediaHost>>>>;

/// Reads everything the credentials may see. Never fails as a whole.
pub async fn collect(profile: &CloudFrontProfile, shop_urls: &[&str], media: MediaReceiver, limits: &Limits, lane: &Lane) -> Collected<CloudFront> {
    let start = Instant::now();
    let session = match Session::open(profile, limits).await {
        Ok(session) => session,
        Err(e) => {
            let gap = gap(Section::CloudFront, &e);
            lane.done(Some(gap.detail.clone()));
            return Collected::nothing(Layer::Cdn, gap);
        }
    };
    // CloudWatch's counters span the last day: the observation window is not waited for, and not held up.
    let (seen, _) = tokio::join!(
        async {
            tokio::select! {
                seen = read(&session, profile, shop_urls, media, lane) => seen,
                () = lane.cancelled() => Err(Gap::new(Section::CloudFront, Cause::Unreadable, "The audit was cancelled while CloudFront was read.")),
            }
        },
        lane.window_opens(),
    );
    if let Ok(cloudfront) = &seen {
        cloudfront.gaps().iter().for_each(|gap| lane.gap(gap.detail.clone()));
    }
    let calls = session.calls();
    lane.cost(calls, None);
    lane.done(seen.as_ref().err().map(|gap| gap.detail.clone()));
    let wall_ms = start.elapsed().as_secs_f64() * 1e3;
    Collected { seen, cost: LayerCost { layer: Layer::Cdn, calls, busy_ms: None, wall_ms, bytes: 0 }, timelines: Vec::new() }
}

/// Where the store is reached and its media lie, as far as it is known.
struct Hosts {
    shop: BTreeSet<String>,
    media: BTreeSet<String>,
}

async fn hosts(shop_urls: &[&str], mut media: MediaReceiver) -> Hosts {
    let told = tokio::time::timeout(MEDIA_WAIT, media.wait_for(Option::is_some)).await;
    let media = told.ok().and_then(Result::ok).and_then(|m| m.clone());
    let host = |url: &str| Url::parse(url).ok().and_then(|u| u.host_str().map(str::to_ascii_lowercase));
    Hosts {
        shop: shop_urls.iter().filter_map(|u| host(u)).collect(),
        media: media.iter().flat_map(|m| m.iter()).filter_map(|m| host(&m.host)).collect(),
    }
}

async fn read(session: &Session, profile: &CloudFrontProfile, shop_urls: &[&str], media: MediaReceiver, lane: &Lane) -> Seen<CloudFront> {
    let deadline = Instant::now() + READING_MAX;
    lane.reading("distributions", 0, STEPS);
    let listed = list(session).await.map_err(|e| gap(Section::CloudFront, &e))?;
    let hosts = hosts(shop_urls, media).await;
    let distributions = match select(profile, listed, &hosts) {
        Ok(selected) => read_all(session, selected, deadline).await,
        Err(gap) => Err(gap),
    };
    lane.reading("CloudWatch metrics", 1, STEPS);
    let metrics = match &distributions {
        Ok(found) => metrics::read(session, &found.rows).await,
        Err(e) => Err(Gap { section: Section::CloudFrontMetrics, ..e.clone() }),
    };
    lane.reading("media buckets", 2, STEPS);
    let buckets = match &distributions {
        Ok(found) => buckets::read(session, bucket_names(&found.rows, &hosts), deadline).await,
        Err(e) => Err(Gap { section: Section::S3Buckets, ..e.clone() }),
    };
    lane.reading("media buckets", STEPS, STEPS);
    Ok(CloudFront { distributions, metrics, buckets })
}

/// The account's distributions as far as the limit on pages reaches; `true`: there are more.
async fn list(session: &Session) -> Result<(Vec<DistributionSummary>, bool), AwsError> {
    let mut all = Vec::new();
    let mut marker: Option<String> = None;
    for _ in 0..PAGES_MAX {
        session.called();
        let request = session.cloudfront.list_distributions().max_items(PAGE_ITEMS).set_marker(marker.take());
        let answer = request.send().await.map_err(|e| trouble("cloudfront:ListDistributions", session.timeout_ms, &e))?;
        let Some(page) = answer.distribution_list else {
            return Err(AwsError::Unreadable { action: "cloudfront:ListDistributions", why: "it holds no list".to_owned() });
        };
        // An account without distributions has a list without items.
        all.extend(page.items.into_iter().flatten());
        match page.next_marker.filter(|m| page.is_truncated && !m.is_empty()) {
            Some(next) => marker = Some(next),
            None => return Ok((all, false)),
        }
    }
    Ok((all, true))
}

struct Selected {
    rows: Vec<DistributionSummary>,
    /// Wanted, and left out; `None`: an unknown number.
    cut: Option<u64>,
}

fn select(profile: &CloudFrontProfile, (listed, has_more): (Vec<DistributionSummary>, bool), hosts: &Hosts) -> Result<Selected, Gap> {
    let wanted: Vec<String> = profile.distributions.iter().map(|d| d.trim().to_ascii_lowercase()).filter(|d| !d.is_empty()).collect();
    let total = listed.len();
    let known: BTreeSet<&String> = hosts.shop.iter().chain(&hosts.media).collect();
    let is_all = wanted.iter().any(|w| w == ALL_DISTRIBUTIONS) || (wanted.is_empty() && known.is_empty());
    let is_wanted = |d: &DistributionSummary| match (is_all, wanted.is_empty()) {
        (true, _) => true,
        (_, false) => wanted.iter().any(|w| d.id.eq_ignore_ascii_case(w) || serves(d, w)),
        (_, true) => d.enabled && known.iter().any(|h| serves(d, h) || is_origin(d, h)),
    };
    let missing = wanted.iter().filter(|w| *w != ALL_DISTRIBUTIONS && !listed.iter().any(|d| d.id.eq_ignore_ascii_case(w) || serves(d, w))).count();
    let mut rows: Vec<DistributionSummary> = listed.into_iter().filter(|d| is_wanted(d)).collect();
    rows.sort_by(|a, b| a.id.cmp(&b.id));
    if rows.is_empty() {
        let names = if wanted.is_empty() { known.into_iter().cloned().collect::<Vec<_>>().join(", ") } else { profile.distributions.join(", ") };
        let what = if is_all { "any distribution".to_owned() } else { format!("a distribution for {names}") };
        let cause =
            Cause::Absent { feature: what.clone(), remedy: "medusa-advisor audit --cloudfront ID, with credentials of the right account".to_owned() };
        return Err(Gap::new(Section::CloudFrontDistributions, cause, format!("This AWS account does not have {what}: {total} were looked at.")));
    }
    let beyond = rows.len().saturating_sub(DISTRIBUTIONS_MAX) + missing;
    rows.truncate(DISTRIBUTIONS_MAX);
    Ok(Selected { rows, cut: if has_more && missing + usize::from(is_all) > 0 { None } else { Some(beyond as u64) } })
}

fn serves(d: &DistributionSummary, host: &str) -> bool {
    let alias = |a: &String| match a.to_ascii_lowercase().strip_prefix('*') {
        Some(end) => host.ends_with(end),
        None => a.eq_ignore_ascii_case(host),
    };
    d.domain_name.eq_ignore_ascii_case(host) || d.aliases.as_ref().is_some_and(|a| a.items().iter().any(alias))
}

/// Its media are asked for at the bucket itself: the distribution of that bucket is the one that should be used.
fn is_origin(d: &DistributionSummary, host: &str) -> bool {
    let bucket = bucket_of_host(host).map(|(name, _)| name);
    bucket.is_some() && d.origins.as_ref().is_some_and(|o| o.items().iter().any(|o| bucket_of_host(&o.domain_name).map(|(name, _)| name) == bucket))
}

async fn read_all(session: &Session, selected: Selected, deadline: Instant) -> Seen<Listed<Distribution>> {
    let mut policies = policies::Policies::new(session);
    let mut rows = Vec::with_capacity(selected.rows.len());
    let mut unread = 0;
    for summary in selected.rows {
        if Instant::now() > deadline {
            unread += 1;
            continue;
        }
        session.called();
        let answer = session.cloudfront.get_distribution_config().id(&summary.id).send().await;
        let answer =
            answer.map_err(|e| gap(Section::CloudFrontDistributions, &trouble("cloudfront:GetDistributionConfig", session.timeout_ms, &e)))?;
        let Some(config) = answer.distribution_config else {
            let why = AwsError::Unreadable { action: "cloudfront:GetDistributionConfig", why: "it holds no configuration".to_owned() };
            return Err(gap(Section::CloudFrontDistributions, &why));
        };
        rows.push(answers::distribution(summary, config, &mut policies).await?);
    }
    Ok(Listed { rows, cut: selected.cut.map(|c| c + unread) })
}

/// The buckets of media addresses first, for there is a limit; then those behind enabled distributions. By name, each once.
fn bucket_names(distributions: &[Distribution], hosts: &Hosts) -> Vec<String> {
    let media: BTreeSet<String> = hosts.media.iter().filter_map(|h| bucket_of_host(h).map(|(name, _)| name.to_owned())).collect();
    let origins = distributions.iter().filter(|d| d.is_enabled).flat_map(|d| &d.origins).filter_map(|o| o.bucket.clone());
    let origins: BTreeSet<String> = origins.filter(|name| !media.contains(name)).collect();
    media.into_iter().chain(origins).collect()
}

/// A call's failure as a gap; refusals name the action that is missing.
fn gap(section: Section, e: &AwsError) -> Gap {
    let cause = match e {
        AwsError::Denied { action, .. } => {
            Cause::Denied { grant: format!("Allow {action} for these credentials; `medusa-advisor grants aws` prints the policy.") }
        }
        AwsError::NoCredentials | AwsError::BadCredentials { .. } => {
            Cause::Denied { grant: "Set AWS_PROFILE to a profile of ~/.aws/config and run `aws sso login`, or set AWS_ACCESS_KEY_ID.".to_owned() }
        }
        AwsError::TimedOut { limit_ms, .. } => Cause::TimedOut { limit_ms: *limit_ms },
        AwsError::Unreachable(_) | AwsError::Throttled { .. } => Cause::Unreachable,
        AwsError::NotFound { .. } | AwsError::Unreadable { .. } | AwsError::Failed { .. } => Cause::Unreadable,
    };
    Gap::new(section, cause, e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::cloudfront::{Origin, OriginAccess, OriginKind};

    fn distribution(is_enabled: bool, buckets: &[&str]) -> Distribution {
        let origin = |name: &&str| Origin {
            id: (*name).to_owned(),
            domain: format!("{name}.s3.amazonaws.com"),
            kind: OriginKind::S3,
            bucket: Some((*name).to_owned()),
            protocol: None,
            access: OriginAccess::None,
            has_shield: false,
            header_names: Vec::new(),
        };
        Distribution {
            id: "E1".to_owned(),
            domain: "d1.cloudfront.net".to_owned(),
            aliases: Vec::new(),
            is_enabled,
            price_class: None,
            http_version: None,
            has_ipv6: None,
            minimum_tls: None,
            has_web_acl: None,
            origins: buckets.iter().map(origin).collect(),
            behaviours: Vec::new(),
        }
    }

    #[test]
    fn buckets_of_media_addresses_come_first_and_each_once() {
        let hosts = Hosts { shop: BTreeSet::new(), media: ["media.s3.amazonaws.com", "cdn.example.com"].map(str::to_owned).into() };
        let all = [distribution(true, &["site", "media", "archive"]), distribution(false, &["off"])];
        assert_eq!(bucket_names(&all, &hosts), ["media", "archive", "site"]);
    }
}
