//! Requests by cache status, hour and path, within what the zone's plan allows.

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use super::{answers, gap, unreadable};
use crate::connect::cloudflare::{GRANT_ANALYTICS, Session};
use crate::evidence::cdn::{Analytics, HourCount, PathCount, StatusCount};
use crate::evidence::{Cause, Gap, Listed, Section, Seen};

const LIMITS: &str = include_str!("graphql/limits.graphql");
const STATUS: &str = include_str!("graphql/status.graphql");
const HOURS: &str = include_str!("graphql/hours.graphql");
const PATHS: &str = include_str!("graphql/paths.graphql");
const ORIGIN: &str = include_str!("graphql/origin.graphql");

const DATASET: &str = "httpRequestsAdaptiveGroups";
const SPAN_WANTED: Duration = Duration::hours(24);
/// Rows of the path query; the plan may allow fewer.
const PATHS_MAX: u64 = 100;
/// The last minutes are still being counted.
const SETTLING: Duration = Duration::minutes(5);

/// The last 24 hours, or less where the plan allows less.
pub async fn read(session: &Session, zone: &str) -> Seen<Analytics> {
    let limits = limits(session, zone).await?;
    let to = OffsetDateTime::now_utc() - SETTLING;
    let span = limits.span_s.map_or(SPAN_WANTED, |s| SPAN_WANTED.min(Duration::seconds(s)));
    let from = to - span;
    let variables = |extra: Value| {
        let mut all = json!({ "zoneTag": zone, "since": stamp(from), "until": stamp(to) });
        if let (Some(all), Value::Object(extra)) = (all.as_object_mut(), extra) {
            all.extend(extra);
        }
        all
    };
    let status: Vec<Group> = groups(session, STATUS, &variables(json!({}))).await?;
    let hours: Vec<Group> = groups(session, HOURS, &variables(json!({}))).await?;
    let page = limits.page_max.map_or(PATHS_MAX, |m| m.clamp(1, PATHS_MAX));
    let paths: Vec<Group> = groups(session, PATHS, &variables(json!({ "limit": page }))).await?;
    // Percentiles of the origin are not on every plan; the rest stands without them.
    let origin: Option<Group> = groups(session, ORIGIN, &variables(json!({}))).await.ok().and_then(|g| g.into_iter().next());
    let intervals: Vec<f64> = status.iter().filter_map(|g| g.avg.as_ref().map(|a| a.sample_interval)).collect();
    Ok(Analytics {
        from,
        to,
        source: source(span),
        sample_interval: intervals.into_iter().reduce(f64::max),
        by_status: by_status(&status)?,
        by_hour: by_hour(&hours)?,
        by_path: by_path(&paths, page)?,
        origin_p95_ms: origin.as_ref().and_then(|g| g.quantiles.as_ref()?.origin_response_duration_ms_p95),
        share_5xx: origin.as_ref().and_then(|g| g.ratio.as_ref()?.status5xx),
    })
}

fn source(span: Duration) -> String {
    if span < SPAN_WANTED { format!("{DATASET}; the plan allows {} h a query", span.whole_hours()) } else { DATASET.to_owned() }
}

fn stamp(t: OffsetDateTime) -> String {
    t.replace_nanosecond(0).unwrap_or(t).format(&Rfc3339).unwrap_or_else(|_| t.to_string())
}

struct PlanLimits {
    span_s: Option<i64>,
    page_max: Option<u64>,
}

async fn limits(session: &Session, zone: &str) -> Result<PlanLimits, Gap> {
    let zones = zones(session, LIMITS, &json!({ "zoneTag": zone })).await?;
    let dataset = &zones["settings"][DATASET];
    if dataset["enabled"].as_bool() == Some(false) {
        let cause = Cause::Absent { feature: DATASET.to_owned(), remedy: "A Cloudflare plan that includes HTTP analytics.".to_owned() };
        return Err(Gap::new(Section::CdnAnalytics, cause, "This zone's plan does not include request analytics."));
    }
    Ok(PlanLimits { span_s: dataset["maxDuration"].as_i64().filter(|s| *s > 0), page_max: dataset["maxPageSize"].as_u64().filter(|n| *n > 0) })
}

/// The first zone of the answer. GraphQL errors come under HTTP 200, a zone the token does not see as an empty list.
async fn zones(session: &Session, query: &str, variables: &Value) -> Result<Value, Gap> {
    let section = Section::CdnAnalytics;
    let body = session.graphql(query, variables).await.map_err(|e| gap(section, &e, GRANT_ANALYTICS))?;
    if let Some(error) = body["errors"].as_array().and_then(|e| e.first()) {
        return Err(refusal(error));
    }
    let zones = body["data"]["viewer"]["zones"].as_array().ok_or_else(|| unreadable(section, "it holds no list of zones"))?;
    zones.first().cloned().ok_or_else(|| {
        let cause = Cause::Denied { grant: format!("Give the API token {GRANT_ANALYTICS}.") };
        Gap::new(section, cause, "The API token sees no analytics of this zone.")
    })
}

fn refusal(error: &Value) -> Gap {
    let message = error["message"].as_str().unwrap_or("no reason given");
    let code = error["extensions"]["code"].as_str().unwrap_or("");
    let words = crate::secret::redact(&message.chars().take(200).collect::<String>());
    let cause = match code {
        "authz" | "authn" => Cause::Denied { grant: format!("Give the API token {GRANT_ANALYTICS}.") },
        "quota" => Cause::Unreachable,
        _ if message.contains("not authorized") || message.contains("does not have access") => {
            Cause::Denied { grant: format!("Give the API token {GRANT_ANALYTICS}.") }
        }
        _ => Cause::Unreadable,
    };
    Gap::new(Section::CdnAnalytics, cause, format!("Cloudflare's analytics refused: {words}."))
}

async fn groups<T: DeserializeOwned>(session: &Session, query: &str, variables: &Value) -> Result<Vec<T>, Gap> {
    let zone = zones(session, query, variables).await?;
    serde_json::from_value(zone[DATASET].clone()).map_err(|e| unreadable(Section::CdnAnalytics, &e.to_string()))
}

#[derive(serde::Deserialize)]
struct Group {
    count: u64,
    #[serde(default)]
    dimensions: Option<Dimensions>,
    #[serde(default)]
    sum: Option<Sum>,
    #[serde(default)]
    avg: Option<Avg>,
    #[serde(default)]
    quantiles: Option<Quantiles>,
    #[serde(default)]
    ratio: Option<Ratio>,
}

#[derive(serde::Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Dimensions {
    cache_status: Option<String>,
    datetime_hour: Option<String>,
    #[serde(rename = "clientRequestHTTPHost")]
    host: Option<String>,
    client_request_path: Option<String>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sum {
    edge_response_bytes: u64,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Avg {
    sample_interval: f64,
}

#[derive(serde::Deserialize)]
struct Quantiles {
    #[serde(rename = "originResponseDurationMsP95", default)]
    origin_response_duration_ms_p95: Option<f64>,
}

#[derive(serde::Deserialize)]
struct Ratio {
    #[serde(default)]
    status5xx: Option<f64>,
}

impl Group {
    fn dimension<'a>(&'a self, what: &str, pick: impl Fn(&'a Dimensions) -> Option<&'a String>) -> Result<&'a str, Gap> {
        let found = self.dimensions.as_ref().and_then(pick);
        found.map(String::as_str).ok_or_else(|| unreadable(Section::CdnAnalytics, &format!("a group has no {what}")))
    }

    /// Requests that Cloudflare calls NONE/UNKNOWN never came near the cache.
    fn status(&self) -> Result<String, Gap> {
        let status = self.dimension("cacheStatus", |d| d.cache_status.as_ref())?.to_ascii_lowercase();
        Ok(if matches!(status.as_str(), "" | "unknown" | "none/unknown") { "none".to_owned() } else { status })
    }

    fn bytes(&self) -> Result<u64, Gap> {
        self.sum.as_ref().map(|s| s.edge_response_bytes).ok_or_else(|| unreadable(Section::CdnAnalytics, "a group has no bytes"))
    }
}

fn by_status(groups: &[Group]) -> Result<Vec<StatusCount>, Gap> {
    let mut all: Vec<StatusCount> = Vec::new();
    for group in groups {
        let (status, bytes) = (group.status()?, group.bytes()?);
        match all.iter_mut().find(|s| s.status == status) {
            Some(known) => {
                known.requests += group.count;
                known.bytes += bytes;
            }
            None => all.push(StatusCount { status, requests: group.count, bytes }),
        }
    }
    all.sort_by(|a, b| b.requests.cmp(&a.requests).then_with(|| a.status.cmp(&b.status)));
    Ok(all)
}

fn by_hour(groups: &[Group]) -> Result<Vec<HourCount>, Gap> {
    let mut all = Vec::new();
    for group in groups {
        let text = group.dimension("datetimeHour", |d| d.datetime_hour.as_ref())?;
        let hour = OffsetDateTime::parse(text, &Rfc3339).map_err(|e| unreadable(Section::CdnAnalytics, &e.to_string()))?;
        all.push(HourCount { hour, status: group.status()?, requests: group.count, bytes: group.bytes()? });
    }
    all.sort_by(|a, b| (a.hour, &a.status).cmp(&(b.hour, &b.status)));
    Ok(all)
}

fn by_path(groups: &[Group], page: u64) -> Result<Listed<PathCount>, Gap> {
    let mut rows: Vec<PathCount> = Vec::new();
    for group in groups {
        let host = group.dimension("clientRequestHTTPHost", |d| d.host.as_ref())?.to_owned();
        let path = answers::reduced_path(group.dimension("clientRequestPath", |d| d.client_request_path.as_ref())?);
        let (status, bytes) = (group.status()?, group.bytes()?);
        match rows.iter_mut().find(|r| r.host == host && r.path == path && r.status == status) {
            Some(known) => {
                known.requests += group.count;
                known.bytes += bytes;
            }
            None => rows.push(PathCount { host, path, status, requests: group.count, bytes }),
        }
    }
    rows.sort_by(|a, b| b.requests.cmp(&a.requests).then_with(|| (&a.host, &a.path, &a.status).cmp(&(&b.host, &b.path, &b.status))));
    let is_cut = groups.len() as u64 >= page;
    Ok(Listed { rows, cut: if is_cut { None } else { Some(0) } })
}
