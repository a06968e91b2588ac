//! Read-only sessions with AWS: CloudFront, CloudWatch and S3, by the official SDK, with credentials from AWS' own chain.

mod errors;
mod test;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{AppName, BehaviorVersion, Region, SdkConfig};
use aws_sdk_cloudwatch::types::{Dimension, Metric, MetricDataQuery, MetricStat};
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_http_client::{Builder, Connector};
use url::Url;

use super::http::is_private_host;
use super::profile::{CloudFrontProfile, Limits};

pub use errors::{AwsError, refused_action, trouble};
pub use test::test;

/// CloudFront and its metrics have one home.
pub const GLOBAL_REGION: &str = "us-east-1";
/// The first try and one more: what is refused twice is a gap.
const ATTEMPTS_MAX: u32 = 2;

/// Seconds a figure spans.
const HOUR_S: i32 = 3_600;

/// What `medusa-advisor grants aws` prints: reads of settings, figures and object headers; nothing that changes anything.
pub const GRANTS: &str = include_str!("aws/policy.json");

/// Clients with one set of credentials.
pub struct Session {
    config: SdkConfig,
    pub cloudfront: aws_sdk_cloudfront::Client,
    pub cloudwatch: aws_sdk_cloudwatch::Client,
    pub sts: aws_sdk_sts::Client,
    is_emulated: bool,
    pub timeout_ms: u32,
    calls: Arc<AtomicU64>,
}

impl Session {
    /// Sets the clients up; nothing is asked of AWS yet but, on a machine of AWS, its credentials.
    ///
    /// # Errors
    /// A sentence when the endpoint is no address.
    pub async fn open(profile: &CloudFrontProfile, limits: &Limits) -> Result<Self, AwsError> {
        let endpoint = profile
            .endpoint
            .as_deref()
            .map(|e| Url::parse(e).map_err(|_| AwsError::Unreachable(format!("{} is not an address", crate::secret::redact(e)))));
        let endpoint = endpoint.transpose()?;
        let is_local = endpoint.as_ref().is_some_and(is_private_host);
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(limits.connect_timeout())
            .operation_attempt_timeout(limits.connect_timeout())
            .operation_timeout(limits.connect_timeout() * ATTEMPTS_MAX + Duration::from_secs(1))
            .build();
        let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .http_client(http_client(is_local))
            .timeout_config(timeouts)
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS_MAX))
            .app_name(AppName::new(concat!("medusa-advisor-", env!("CARGO_PKG_VERSION"))).expect("letters, digits, dots and dashes"));
        if let Some(name) = &profile.aws_profile {
            loader = loader.profile_name(name);
        }
        if let Some(region) = &profile.region {
            loader = loader.region(Region::new(region.clone()));
        }
        if let Some(endpoint) = &endpoint {
            loader = loader.endpoint_url(endpoint.as_str());
        }
        let config = loader.load().await;
        let is_emulated = config.endpoint_url().is_some();
        let global = config.to_builder().region(Region::from_static(GLOBAL_REGION)).build();
        Ok(Self {
            cloudfront: aws_sdk_cloudfront::Client::new(&global),
            cloudwatch: aws_sdk_cloudwatch::Client::new(&global),
            sts: aws_sdk_sts::Client::new(&global),
            config,
            is_emulated,
            timeout_ms: limits.probe_timeout_s.saturating_mul(1_000),
            calls: Arc::new(AtomicU64::new(0)),
        })
    }

    /// S3 in one region; `None`: the profile's own, or us-east-1, which knows where every bucket lies.
    pub fn s3(&self, region: Option<&str>) -> aws_sdk_s3::Client {
        aws_sdk_s3::Client::from_conf(self.s3_config(region).build())
    }

    /// The same without credentials: what any visitor may read.
    pub fn s3_unsigned(&self, region: Option<&str>) -> aws_sdk_s3::Client {
        let mut anonymous = self.config.to_builder();
        anonymous.set_credentials_provider(None);
        let config = aws_sdk_s3::config::Builder::from(&anonymous.build());
        aws_sdk_s3::Client::from_conf(self.in_region(config, region).allow_no_auth().build())
    }

    fn s3_config(&self, region: Option<&str>) -> aws_sdk_s3::config::Builder {
        self.in_region(aws_sdk_s3::config::Builder::from(&self.config), region)
    }

    fn in_region(&self, config: aws_sdk_s3::config::Builder, region: Option<&str>) -> aws_sdk_s3::config::Builder {
        let own = self.config.region().map_or(GLOBAL_REGION, |r| r.as_ref()).to_owned();
        let region = region.map_or(own, str::to_owned);
        // Emulators know no host names of buckets.
        config.region(Region::new(region)).force_path_style(self.is_emulated)
    }

    /// Counts one call.
    pub fn called(&self) {
        self.calls.fetch_add(1, Ordering::Relaxed);
    }

    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }
}

/// TLS by ring with this system's authorities; a proxy from the environment, unless the endpoint is on this machine or network.
fn http_client(is_local: bool) -> aws_sdk_cloudfront::config::SharedHttpClient {
    Builder::new().build_with_connector_fn(move |settings, components| {
        let proxy = if is_local { ProxyConfig::disabled() } else { ProxyConfig::from_env() };
        let mut connector = Connector::builder().tls_provider(Provider::Rustls(CryptoMode::Ring)).proxy_config(proxy);
        connector.set_connector_settings(settings.cloned());
        connector.set_sleep_impl(components.and_then(|c| c.sleep_impl()));
        connector.build()
    })
}

/// One hourly figure of a distribution. `id` begins with a small letter.
pub fn metric_query(id: &str, metric: &str, statistic: &str, distribution: &str) -> MetricDataQuery {
    let dimension = |name: &str, value: &str| Dimension::builder().name(name).value(value).build();
    let metric = Metric::builder()
        .namespace("AWS/CloudFront")
        .metric_name(metric)
        .dimensions(dimension("DistributionId", distribution))
        .dimensions(dimension("Region", "Global"))
        .build();
    let stat = MetricStat::builder().metric(metric).period(HOUR_S).stat(statistic).build();
    MetricDataQuery::builder().id(id).metric_stat(stat).build()
}
