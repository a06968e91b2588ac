//! Sessions with Cloudflare's API: read-only calls with an API token, and the stepwise test of a connection.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use reqwest::header::HeaderMap;
use reqwest::{RequestBuilder, StatusCode};
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use super::http::{self, HostGuard};
use super::profile::{CloudflareProfile, Limits};
use super::steps::{Capability, CapabilityState, StepState, TestReport, TestStep};
use crate::secret::{Secret, redact};

pub const BASE_URL: &str = "https://api.cloudflare.com/client/v4";

/// What `medusa-advisor grants cloudflare` prints.
pub const GRANTS: &str = "\
Create an API token with read permissions only (dash.cloudflare.com → My Profile → API Tokens → Create Token → Custom token):

  Zone · Zone · Read
  Zone · Zone Settings · Read
  Zone · Analytics · Read
  Zone · Cache Rules · Read
  Zone · Page Rules · Read
  Account · Account Analytics · Read

To see configuration rules, URL rewrites, certificates and compression rules as well, which is optional:

  Zone · Config Rules · Read
  Zone · Transform Rules · Read
  Zone · SSL and Certificates · Read
  Zone · Response Compression · Read

Zone resources: Include · Specific zone · your store's zone.
Hand it over as CLOUDFLARE_API_TOKEN, or paste it on the Connect page. Nothing is written to the zone.
";

pub const GRANT_ZONE: &str = "Zone · Zone · Read";
pub const GRANT_SETTINGS: &str = "Zone · Zone Settings · Read";
pub const GRANT_ANALYTICS: &str = "Zone · Analytics · Read (and Account · Account Analytics · Read)";
pub const GRANT_CACHE_RULES: &str = "Zone · Cache Rules · Read";
pub const GRANT_PAGE_RULES: &str = "Zone · Page Rules · Read";
pub const GRANT_CERTIFICATES: &str = "Zone · SSL and Certificates · Read";
pub const GRANT_CONFIG_RULES: &str = "Zone · Config Rules · Read";
pub const GRANT_TRANSFORM_RULES: &str = "Zone · Transform Rules · Read";
pub const GRANT_COMPRESSION: &str = "Zone · Response Compression · Read";

/// Bytes of one answer that are read; the largest recorded one is 40 kB.
const BODY_BYTES_MAX: usize = 8_000_000;
/// A longer `retry-after` is not waited for: Cloudflare blocks for five minutes.
const RETRY_AFTER_S_MAX: u64 = 3;
const RETRIES_MAX: u32 = 2;
/// Pages of zones that are looked through, 50 zones each.
const ZONE_PAGES_MAX: u64 = 20;

/// Why a call gave nothing.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ApiError {
    #[error("Cloudflare refused: {message} (HTTP {status}, code {code}).")]
    Denied { status: u16, code: i64, message: String },
    #[error("Cloudflare knows nothing there: {message} (code {code}).")]
    NotFound { code: i64, message: String },
    #[error("Cloudflare's rate limit is spent{}.", wait_words(*.retry_after_s))]
    RateLimited { retry_after_s: Option<u64> },
    #[error("Cloudflare did not answer within {limit_ms} ms.")]
    TimedOut { limit_ms: u32 },
    #[error("Cloudflare could not be reached: {0}.")]
    Unreachable(String),
    #[error("Cloudflare's answer could not be read: {0}.")]
    Unreadable(String),
    #[error("Cloudflare answered {status}: {message} (code {code}).")]
    Failed { status: u16, code: i64, message: String },
}

fn wait_words(retry_after_s: Option<u64>) -> String {
    retry_after_s.map_or_else(String::new, |s| format!("; it asks to wait {s} s"))
}

/// Cloudflare's envelope around every REST answer.
#[derive(Debug, Deserialize)]
pub struct Envelope {
    pub success: bool,
    #[serde(default)]
    pub errors: Option<Vec<Message>>,
    #[serde(default)]
    pub result: Value,
    #[serde(default)]
    pub result_info: Option<ResultInfo>,
}

#[derive(Debug, Deserialize)]
pub struct Message {
    #[serde(default)]
    pub code: i64,
    #[serde(default)]
    pub message: String,
}

#[derive(Debug, Clone, Copy, Deserialize)]
pub struct ResultInfo {
    #[serde(default)]
    pub page: u64,
    #[serde(default)]
    pub per_page: u64,
    #[serde(default)]
    pub total_count: u64,
}

/// One token, one endpoint.
pub struct Session {
    client: reqwest::Client,
    base: String,
    token: Secret<String>,
    timeout_ms: u32,
    calls: AtomicU64,
    bytes: AtomicU64,
}

impl Session {
    /// # Errors
    /// When the address is none or TLS cannot be set up.
    pub fn open(profile: &CloudflareProfile, token: &Secret<String>, limits: &Limits) -> Result<Self, ApiError> {
        let base = profile.base_url.clone().unwrap_or_else(|| BASE_URL.to_owned());
        let url = Url::parse(&base).map_err(|_| ApiError::Unreachable(format!("{} is not an address", redact(&base))))?;
        let guard = HostGuard::new([&url]);
        let client = http::client(&guard, limits.connect_timeout()).map_err(ApiError::Unreachable)?;
        Ok(Self {
            client,
            base: base.trim_end_matches('/').to_owned(),
            token: token.clone(),
            timeout_ms: limits.probe_timeout_s.saturating_mul(1_000),
            calls: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        })
    }

    /// Calls made and bytes read so far.
    pub fn spent(&self) -> (u64, u64) {
        (self.calls.load(Ordering::Relaxed), self.bytes.load(Ordering::Relaxed))
    }

    /// A GET; `path` begins with a slash.
    ///
    /// # Errors
    /// Every way Cloudflare says no.
    pub async fn get(&self, path: &str) -> Result<Envelope, ApiError> {
        let (status, body) = self.send(|| self.client.get(format!("{}{path}", self.base))).await?;
        let envelope: Envelope = match serde_json::from_slice(&body) {
            Ok(envelope) => envelope,
            Err(_) if !status.is_success() => return Err(api_error(status, None)),
            Err(e) => return Err(ApiError::Unreadable(e.to_string())),
        };
        if status.is_success() && envelope.success { Ok(envelope) } else { Err(api_error(status, envelope.errors.as_deref())) }
    }

    /// A GraphQL query; the whole body, errors included: those come under HTTP 200.
    ///
    /// # Errors
    /// When there is no GraphQL body at all.
    pub async fn graphql(&self, query: &str, variables: &Value) -> Result<Value, ApiError> {
        let body = serde_json::json!({ "query": query, "variables": variables });
        let (status, bytes) = self.send(|| self.client.post(format!("{}/graphql", self.base)).json(&body)).await?;
        match serde_json::from_slice::<Value>(&bytes) {
            // A query that goes beyond the plan may be answered with 400: the reason is in its errors.
            Ok(value) if status.is_success() || value.get("data").is_some() || status == StatusCode::BAD_REQUEST => Ok(value),
            Ok(value) => {
                let errors: Option<Vec<Message>> = value.get("errors").and_then(|e| serde_json::from_value(e.clone()).ok());
                Err(api_error(status, errors.as_deref()))
            }
            Err(e) if status.is_success() => Err(ApiError::Unreadable(e.to_string())),
            Err(_) => Err(api_error(status, None)),
        }
    }

    async fn send(&self, request: impl Fn() -> RequestBuilder) -> Result<(StatusCode, Vec<u8>), ApiError> {
        let mut retries = 0;
        loop {
            self.calls.fetch_add(1, Ordering::Relaxed);
            let response = request().bearer_auth(self.token.expose()).send().await.map_err(|e| self.transport_error(&e))?;
            let status = response.status();
            if status != StatusCode::TOO_MANY_REQUESTS {
                return Ok((status, self.body(response).await?));
            }
            let retry_after_s = retry_after(response.headers());
            match retry_after_s {
                Some(s) if s <= RETRY_AFTER_S_MAX && retries < RETRIES_MAX => tokio::time::sleep(Duration::from_secs(s)).await,
                _ => return Err(ApiError::RateLimited { retry_after_s }),
            }
            retries += 1;
        }
    }

    async fn body(&self, mut response: reqwest::Response) -> Result<Vec<u8>, ApiError> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|e| self.transport_error(&e))? {
            body.extend_from_slice(&chunk);
            if body.len() > BODY_BYTES_MAX {
                return Err(ApiError::Unreadable("it is larger than 8 MB".to_owned()));
            }
        }
        self.bytes.fetch_add(body.len() as u64, Ordering::Relaxed);
        Ok(body)
    }

    fn transport_error(&self, e: &reqwest::Error) -> ApiError {
        if e.is_timeout() { ApiError::TimedOut { limit_ms: self.timeout_ms } } else { ApiError::Unreachable(http::reason(e)) }
    }
}

/// Seconds to wait: `retry-after`, else the reset of either kind of rate limit header.
fn retry_after(headers: &HeaderMap) -> Option<u64> {
    let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).map(str::trim);
    let seconds = |name: &str| text(name).and_then(|v| v.parse().ok());
    // `Ratelimit: "default";r=0;t=30`
    let reset = || text("ratelimit")?.split([';', ',']).find_map(|p| p.trim().strip_prefix("t="))?.parse().ok();
    seconds("retry-after").or_else(|| seconds("x-ratelimit-reset")).or_else(|| seconds("ratelimit-reset")).or_else(reset)
}

fn api_error(status: StatusCode, errors: Option<&[Message]>) -> ApiError {
    let first = errors.and_then(<[Message]>::first);
    let code = first.map_or(0, |m| m.code);
    let message = first.map_or_else(|| "no reason given".to_owned(), |m| redact(m.message.trim_end_matches('.')));
    match status.as_u16() {
        status @ (401 | 403) => ApiError::Denied { status, code, message },
        404 => ApiError::NotFound { code, message },
        // 10000 "Authentication error" comes under 400 and 405 too.
        status if matches!(code, 9109 | 10000 | 1000) => ApiError::Denied { status, code, message },
        status => ApiError::Failed { status, code, message },
    }
}

/// Tests token, zone and permissions, a step at a time. Never takes longer than the limits say for each call.
pub async fn test(profile: &CloudflareProfile, token: Option<&Secret<String>>, limits: &Limits) -> TestReport {
    let mut report = TestReport::default();
    let Some(token) = token else {
        report.steps.push(step("API token", None, Err("No API token was given. Paste one, or set CLOUDFLARE_API_TOKEN.".to_owned())));
        return not_run(report, &["Signed in", "Zone found"]);
    };
    let session = match Session::open(profile, token, limits) {
        Ok(session) => session,
        Err(e) => {
            report.steps.push(step("Reached Cloudflare", None, Err(e.to_string())));
            return not_run(report, &["Signed in", "Zone found"]);
        }
    };
    let start = Instant::now();
    let verified = session.get("/user/tokens/verify").await;
    if let Err(e @ (ApiError::Unreachable(_) | ApiError::TimedOut { .. } | ApiError::RateLimited { .. })) = &verified {
        report.steps.push(step("Reached Cloudflare", Some(start), Err(e.to_string())));
        return not_run(report, &["Signed in", "Zone found"]);
    }
    report.steps.push(step("Reached Cloudflare", Some(start), Ok(String::new())));
    let start = Instant::now();
    let zone = find_zone(&session, &profile.zone).await;
    // An account's own token is verified at its account, which the zone names.
    let account = zone.as_ref().ok().and_then(|z| z.account.as_ref()).map(|a| a.id.clone());
    let verified = match (verified, account) {
        (Err(_), Some(account)) => session.get(&format!("/accounts/{account}/tokens/verify")).await,
        (verified, _) => verified,
    };
    report.steps.push(step("Signed in", Some(start), signed_in(&verified, &zone)));
    let zone = match zone {
        Ok(zone) => zone,
        Err(e) => {
            report.steps.push(step("Zone found", None, Err(e.to_string())));
            return report;
        }
    };
    let detail = format!("{}, {}", zone.name, zone.plan.as_ref().map_or("plan not told", |p| p.legacy_id.as_str()));
    report.steps.push(step("Zone found", None, Ok(detail)));
    report.capabilities = capabilities(&session, &zone.id).await;
    report
}

fn signed_in(verified: &Result<Envelope, ApiError>, zone: &Result<ZoneAnswer, ZoneError>) -> Result<String, String> {
    match (verified, zone) {
        (Ok(v), _) => Ok(format!("token {}", v.result["status"].as_str().unwrap_or("valid"))),
        // Account-owned tokens cannot be verified at the user's endpoint, yet they work.
        (Err(_), Ok(_) | Err(ZoneError::NoSuchZone(_))) => Ok("account token".to_owned()),
        (Err(e), Err(_)) => Err(format!("{e} Check that the token was copied whole and has not expired.")),
    }
}

async fn capabilities(session: &Session, zone: &str) -> Vec<Capability> {
    let reads = [
        ("Zone settings", format!("/zones/{zone}/settings"), GRANT_SETTINGS),
        ("Cache rules", format!("/zones/{zone}/rulesets/phases/http_request_cache_settings/entrypoint"), GRANT_CACHE_RULES),
        ("Page rules", format!("/zones/{zone}/pagerules?status=active"), GRANT_PAGE_RULES),
    ];
    let mut all = Vec::new();
    for (name, path, grant) in reads {
        let state = match session.get(&path).await {
            Ok(_) | Err(ApiError::NotFound { .. }) => CapabilityState::Granted,
            Err(_) => CapabilityState::Missing { grant: grant.to_owned() },
        };
        all.push(Capability { name: name.to_owned(), detail: String::new(), state });
    }
    let query = "query($zoneTag: string!) { viewer { zones(filter: {zoneTag: $zoneTag}) { zoneTag } } }";
    let answer = session.graphql(query, &serde_json::json!({ "zoneTag": zone })).await;
    let is_seen = answer.is_ok_and(|v| v["data"]["viewer"]["zones"].as_array().is_some_and(|z| !z.is_empty()));
    let state = if is_seen { CapabilityState::Granted } else { CapabilityState::Missing { grant: GRANT_ANALYTICS.to_owned() } };
    all.push(Capability { name: "Analytics".to_owned(), detail: "by cache status, path and hour".to_owned(), state });
    all.push(Capability { name: "Visitors' addresses".to_owned(), detail: "never read".to_owned(), state: CapabilityState::Never });
    all
}

fn step(name: &str, start: Option<Instant>, outcome: Result<String, String>) -> TestStep {
    let ms = start.map(|s| s.elapsed().as_secs_f64() * 1e3);
    match outcome {
        Ok(detail) => TestStep { name: name.to_owned(), detail, ms, state: StepState::Done },
        Err(sentence) => TestStep { name: name.to_owned(), detail: String::new(), ms, state: StepState::Failed(sentence) },
    }
}

fn not_run(mut report: TestReport, names: &[&str]) -> TestReport {
    report.steps.extend(names.iter().map(|n| TestStep { name: (*n).to_owned(), detail: String::new(), ms: None, state: StepState::NotRun }));
    report
}

/// A zone as `/zones` describes it; fields we do not use are left out.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct ZoneAnswer {
    pub id: String,
    pub name: String,
    pub status: String,
    #[serde(default)]
    pub paused: bool,
    /// Seconds left; a time stamp in the past in some recorded answers of zones that had it on once.
    #[serde(default)]
    pub development_mode: i64,
    #[serde(default)]
    pub plan: Option<PlanAnswer>,
    #[serde(default)]
    pub account: Option<AccountAnswer>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct AccountAnswer {
    pub id: String,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct PlanAnswer {
    #[serde(default)]
    pub legacy_id: String,
}

/// Why the zone was not found.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ZoneError {
    #[error("{0}")]
    Api(#[from] ApiError),
    #[error("This token sees no zone named {0}. Check the name, and that the token's zone resources include it.")]
    NoSuchZone(String),
}

/// The zone by its 32-digit id or by its name.
///
/// # Errors
/// When the token does not see it or Cloudflare refuses.
pub async fn find_zone(session: &Session, zone: &str) -> Result<ZoneAnswer, ZoneError> {
    let zone = zone.trim().trim_end_matches('.').to_ascii_lowercase();
    let is_id = zone.len() == 32 && zone.chars().all(|c| c.is_ascii_hexdigit());
    if is_id {
        let envelope = session.get(&format!("/zones/{zone}")).await.map_err(|e| match e {
            ApiError::NotFound { .. } => ZoneError::NoSuchZone(zone.clone()),
            e => ZoneError::Api(e),
        })?;
        return Ok(zone_from(envelope.result)?);
    }
    let name: String = url::form_urlencoded::byte_serialize(zone.as_bytes()).collect();
    for page in 1..=ZONE_PAGES_MAX {
        let envelope = session.get(&format!("/zones?name={name}&page={page}&per_page=50")).await?;
        let zones = envelope.result.as_array().cloned().ok_or_else(|| ApiError::Unreadable("the zones are not a list".to_owned()))?;
        let found = zones.into_iter().find(|z| z["name"].as_str().is_some_and(|n| n.eq_ignore_ascii_case(&zone)));
        if let Some(found) = found {
            return Ok(zone_from(found)?);
        }
        let is_last = envelope.result_info.is_none_or(|i| i.per_page == 0 || page.saturating_mul(i.per_page) >= i.total_count);
        if is_last {
            break;
        }
    }
    Err(ZoneError::NoSuchZone(zone))
}

fn zone_from(value: Value) -> Result<ZoneAnswer, ApiError> {
    serde_json::from_value(value).map_err(|e| ApiError::Unreadable(e.to_string()))
}
