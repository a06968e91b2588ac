//! What the zone's plan allows of the dataset, as the analytics' own settings tell it.

use serde_json::{Value, json};
use time::Duration;

use super::analytics::{DATASET, Refused, SETTLING, SPAN_WANTED, first_zone};
use super::groups::{leaves, without_field};
use crate::connect::cloudflare::Session;
use crate::evidence::{Cause, Gap, Section};

const LIMITS: &str = include_str!("graphql/limits.graphql");
/// Fields that a query is still of use without, the least missed first.
const SPARED_FIELDS: [&str; 4] = ["sampleInterval", "originResponseDurationMsP50", "status5xx", "originResponseDurationMsP95"];

/// What is not told is not limited.
pub struct PlanLimits {
    pub span_s: Option<i64>,
    pub oldest_s: Option<i64>,
    pub page_max: Option<u64>,
    /// Fields of one query.
    pub fields_max: Option<usize>,
    pub fields: Vec<String>,
}

impl PlanLimits {
    pub fn span(&self) -> Duration {
        // The end lies back by the time that counting takes.
        let oldest = self.oldest_s.map(|s| Duration::seconds(s) - SETTLING);
        let longest = self.span_s.map(Duration::seconds);
        [oldest, longest].into_iter().flatten().filter(|d| d.is_positive()).fold(SPAN_WANTED, Duration::min)
    }

    pub fn page(&self, wanted: u64) -> u64 {
        self.page_max.map_or(wanted, |m| m.clamp(1, wanted))
    }

    /// Whether a field may be asked for; a list that does not name what every plan has is in a form we do not know.
    pub fn has(&self, field: &str) -> bool {
        let is_listed = |wanted: &str| self.fields.iter().any(|f| f.to_ascii_lowercase().ends_with(&wanted.to_ascii_lowercase()));
        !is_listed("cacheStatus") || is_listed(field)
    }

    /// The query within the number of fields that one may ask, and what was left out for that.
    ///
    /// # Errors
    /// When it is of no use with so few.
    pub fn trimmed(&self, query: &str) -> Result<(String, Vec<&'static str>), Gap> {
        let (mut query, mut left_out) = (query.to_owned(), Vec::new());
        let Some(max) = self.fields_max else { return Ok((query, left_out)) };
        for field in SPARED_FIELDS {
            if leaves(&query) <= max {
                break;
            }
            if let Some(shorter) = without_field(&query, field) {
                query = shorter;
                left_out.push(field);
            }
        }
        if leaves(&query) <= max {
            return Ok((query, left_out));
        }
        let feature = format!("more than {max} fields a query");
        let cause = Cause::Absent { feature, remedy: "A Cloudflare plan with wider limits for analytics.".to_owned() };
        Err(Gap::new(Section::CdnAnalytics, cause, format!("The plan allows {max} fields a query, fewer than this one needs.")))
    }

    /// Takes over a limit that a refusal names; `false` where it tells nothing new.
    pub fn learns(&mut self, refused: &Refused) -> bool {
        let Some(max) = refused.fields_max.filter(|max| self.fields_max.is_none_or(|known| *max < known)) else { return false };
        self.fields_max = Some(max);
        true
    }
}

pub async fn limits(session: &Session, zone: &str) -> Result<PlanLimits, Gap> {
    let zones = first_zone(session, LIMITS, &json!({ "zoneTag": zone })).await.map_err(|refused| refused.gap)?;
    of_settings(&zones["settings"][DATASET])
}

fn of_settings(dataset: &Value) -> Result<PlanLimits, Gap> {
    if dataset["enabled"].as_bool() == Some(false) {
        let cause = Cause::Absent { feature: DATASET.to_owned(), remedy: "A Cloudflare plan that includes HTTP analytics.".to_owned() };
        return Err(Gap::new(Section::CdnAnalytics, cause, "This zone's plan does not include request analytics."));
    }
    let positive = |name: &str| dataset[name].as_i64().filter(|s| *s > 0);
    Ok(PlanLimits {
        span_s: positive("maxDuration"),
        oldest_s: positive("notOlderThan"),
        page_max: dataset["maxPageSize"].as_u64().filter(|n| *n > 0),
        fields_max: positive("maxNumberOfFields").and_then(|n| usize::try_from(n).ok()),
        fields: dataset["availableFields"].as_array().into_iter().flatten().filter_map(|f| f.as_str().map(str::to_owned)).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(settings: Value) -> PlanLimits {
        of_settings(&settings).unwrap()
    }

    #[test]
    fn the_plans_limits_are_kept() {
        assert_eq!(of(json!({})).span(), SPAN_WANTED);
        assert_eq!(of(json!({ "maxDuration": 3_600, "notOlderThan": 691_200 })).span(), Duration::hours(1));
        assert_eq!(of(json!({ "maxDuration": 86_400, "notOlderThan": 7_200 })).span(), Duration::hours(2) - SETTLING);
        let short = of(json!({ "maxPageSize": 10 }));
        assert_eq!((short.page(100), short.page(1), of(json!({})).page(100)), (10, 1, 100));
        assert!(of_settings(&json!({ "enabled": false })).is_err());
    }

    #[test]
    fn a_field_that_is_not_listed_is_not_asked() {
        let listed = |fields: Value| of(json!({ "availableFields": fields }));
        let free = listed(json!(["count", "dimensions_cacheStatus", "dimensions_datetime"]));
        assert!(!free.has("edgeResponseContentTypeName") && of(json!({})).has("edgeResponseContentTypeName"));
        assert!(listed(json!(["dimensions_cacheStatus", "dimensions_edgeResponseContentTypeName"])).has("edgeResponseContentTypeName"));
        assert!(listed(json!(["hit"])).has("edgeResponseContentTypeName"));
    }

    #[test]
    fn a_query_is_trimmed_to_the_fields_that_are_allowed() {
        let query = "query Q { viewer { zones { a: d( limit: 1 filter: { x: \"y\" } ) { count quantiles { originResponseDurationMsP50 \
                     originResponseDurationMsP95 } ratio { status5xx } } } } }";
        let with = |max: i64| of(json!({ "maxNumberOfFields": max })).trimmed(query).map(|(q, left)| (leaves(&q), left));
        assert_eq!(of(json!({})).trimmed(query).unwrap().1, Vec::<&str>::new());
        assert_eq!(with(4).unwrap(), (4, vec![]));
        assert_eq!(with(3).unwrap(), (3, vec!["originResponseDurationMsP50"]));
        assert_eq!(with(1).unwrap().0, 1);
        let two = of(json!({ "maxNumberOfFields": 1 })).trimmed("query Q { a { count cacheStatus } }");
        assert!(two.unwrap_err().cause.remedy().is_some());
    }
}
