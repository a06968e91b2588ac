//! Groups of requests as the analytics answer them, and how a refused field is left out.

use std::collections::BTreeMap;

use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{answers, unreadable};
use crate::evidence::cdn::{HourCount, PathCount, StatusCount, TypeCount};
use crate::evidence::{Gap, Listed, Section};

const SECTION: Section = Section::CdnAnalytics;

/// One zone of an answer: alias → groups.
pub type Aliases = BTreeMap<String, Vec<Group>>;

#[derive(Debug, serde::Deserialize)]
pub struct Group {
    pub count: u64,
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

#[derive(Debug, serde::Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Dimensions {
    cache_status: Option<String>,
    datetime_hour: Option<String>,
    #[serde(rename = "clientRequestHTTPHost")]
    host: Option<String>,
    client_request_path: Option<String>,
    edge_response_content_type_name: Option<String>,
}

#[derive(Debug, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sum {
    edge_response_bytes: u64,
}

#[derive(Debug, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Avg {
    sample_interval: f64,
}

#[derive(Debug, serde::Deserialize)]
struct Quantiles {
    #[serde(rename = "originResponseDurationMsP50", default)]
    p50_ms: Option<f64>,
    #[serde(rename = "originResponseDurationMsP95", default)]
    p95_ms: Option<f64>,
}

#[derive(Debug, serde::Deserialize)]
struct Ratio {
    #[serde(default)]
    status5xx: Option<f64>,
}

impl Group {
    fn dimension<'a>(&'a self, what: &str, pick: impl Fn(&'a Dimensions) -> Option<&'a String>) -> Result<&'a str, Gap> {
        let found = self.dimensions.as_ref().and_then(pick);
        found.map(String::as_str).ok_or_else(|| unreadable(SECTION, &format!("a group has no {what}")))
    }

    /// Requests that Cloudflare calls NONE/UNKNOWN never came near the cache.
    fn status(&self) -> Result<String, Gap> {
        let status = self.dimension("cacheStatus", |d| d.cache_status.as_ref())?.to_ascii_lowercase();
        Ok(if matches!(status.as_str(), "" | "unknown" | "none/unknown") { "none".to_owned() } else { status })
    }

    fn bytes(&self) -> Result<u64, Gap> {
        self.sum.as_ref().map(|s| s.edge_response_bytes).ok_or_else(|| unreadable(SECTION, "a group has no bytes"))
    }

    pub fn sample_interval(&self) -> Option<f64> {
        self.avg.as_ref().map(|a| a.sample_interval)
    }

    pub fn origin_p50_ms(&self) -> Option<f64> {
        self.quantiles.as_ref()?.p50_ms
    }

    pub fn origin_p95_ms(&self) -> Option<f64> {
        self.quantiles.as_ref()?.p95_ms
    }

    pub fn share_5xx(&self) -> Option<f64> {
        self.ratio.as_ref()?.status5xx
    }
}

pub fn by_status(groups: &[Group]) -> Result<Vec<StatusCount>, Gap> {
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

pub fn by_hour(groups: &[Group]) -> Result<Vec<HourCount>, Gap> {
    let mut all = Vec::new();
    for group in groups {
        let text = group.dimension("datetimeHour", |d| d.datetime_hour.as_ref())?;
        let hour = OffsetDateTime::parse(text, &Rfc3339).map_err(|e| unreadable(SECTION, &e.to_string()))?;
        all.push(HourCount { hour, status: group.status()?, requests: group.count, bytes: group.bytes()? });
    }
    all.sort_by(|a, b| (a.hour, &a.status).cmp(&(b.hour, &b.status)));
    Ok(all)
}

pub fn by_path(groups: &[Group], page: u64) -> Result<Listed<PathCount>, Gap> {
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

pub fn by_type(groups: &[Group]) -> Result<Vec<TypeCount>, Gap> {
    let mut all = Vec::new();
    for group in groups {
        let content_type = group.dimension("edgeResponseContentTypeName", |d| d.edge_response_content_type_name.as_ref())?.to_owned();
        all.push(TypeCount { content_type, status: group.status()?, requests: group.count, bytes: group.bytes()? });
    }
    all.sort_by(|a, b| b.requests.cmp(&a.requests).then_with(|| (&a.content_type, &a.status).cmp(&(&b.content_type, &b.status))));
    Ok(all)
}

/// The field that the plan refuses, from "zone 'X' does not have access to the field 'clientasn'"; Cloudflare writes it in small letters.
pub fn refused_field(error: &Value) -> Option<String> {
    let message = error["message"].as_str()?;
    let rest = message.split_once("access to the field ")?.1;
    let name: String = rest.trim_start_matches(['\'', '"']).chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
    (!name.is_empty()).then_some(name)
}

/// The number from "number of fields can't be more than 30".
pub fn fields_allowed(error: &Value) -> Option<usize> {
    let rest = error["message"].as_str()?.split_once("number of fields can't be more than ")?.1;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok().filter(|max| *max > 0)
}

/// How many fields a query asks for: names outside arguments that select nothing further.
pub fn leaves(query: &str) -> usize {
    let (mut inside, mut depth) = (0_usize, 0_usize);
    let mut selected = String::new();
    for c in query.chars() {
        match c {
            '(' => inside += 1,
            ')' => inside = inside.saturating_sub(1),
            '{' if inside == 0 => selected.push_str(" { "),
            '}' if inside == 0 => selected.push_str(" } "),
            c if inside == 0 => selected.push(c),
            _ => {}
        }
    }
    let words: Vec<&str> = selected.split_whitespace().collect();
    let mut count = 0;
    for (i, word) in words.iter().enumerate() {
        match *word {
            "{" => depth += 1,
            "}" => depth = depth.saturating_sub(1),
            name if depth > 0 && !name.ends_with(':') && words.get(i + 1) != Some(&"{") => count += 1,
            _ => {}
        }
    }
    count
}

/// The query without a field; `None` where it does not ask for it. Selections that become empty go with it.
pub fn without_field(query: &str, field: &str) -> Option<String> {
    let is_it = |word: &str| word.eq_ignore_ascii_case(field);
    if !query.split_whitespace().any(is_it) {
        return None;
    }
    let words: Vec<&str> = query.split_whitespace().filter(|w| !is_it(w)).collect();
    let mut out: Vec<&str> = Vec::new();
    for word in words {
        if word == "}" && out.last() == Some(&"{") {
            out.pop();
            out.pop();
        } else {
            out.push(word);
        }
    }
    Some(out.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_refused_field_is_left_out_with_its_empty_selection() {
        let error = json!({ "message": "zone 'x' does not have access to the field 'originresponsedurationmsp95'" });
        let field = refused_field(&error).unwrap();
        let query = "{ a { count quantiles { originResponseDurationMsP95 } ratio { status5xx } } }";
        assert_eq!(without_field(query, &field).unwrap(), "{ a { count ratio { status5xx } } }");
        assert_eq!(without_field(query, "clientasn"), None);
        assert_eq!(refused_field(&json!({ "message": "cannot request data older than 1w1d" })), None);
    }

    #[test]
    fn fields_are_counted_as_cloudflare_limits_them() {
        let query = "query Q($a: string!) { viewer { zones(filter: { zoneTag: $a }) { x: d( limit: 1 filter: { OR: [{ p: \"q\" }] } ) \
                     { count dimensions { cacheStatus }\n sum { bytes } } y: d(limit: 1) { count } } } }";
        assert_eq!((leaves(query), leaves("{ count }"), leaves("query { }")), (4, 1, 0));
        assert_eq!(fields_allowed(&json!({ "message": "number of fields can't be more than 30" })), Some(30));
        assert_eq!(fields_allowed(&json!({ "message": "cannot request data older than 1w1d" })), None);
    }
}
