//! Requests by cache status, hour, path, class of path and type, within what the zone's plan allows.

use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use super::groups::{self, Aliases, Group};
use super::{gap, unreadable};
use crate::connect::cloudflare::{GRANT_ANALYTICS, Session};
use crate::evidence::cdn::{Analytics, ClassCount, TrafficClass};
use crate::evidence::{Cause, Gap, Section, Seen};

const LIMITS: &str = include_str!("graphql/limits.graphql");
const STATUS: &str = include_str!("graphql/status.graphql");
const HOURS: &str = include_str!("graphql/hours.graphql");
const PATHS: &str = include_str!("graphql/paths.graphql");
const ORIGIN: &str = include_str!("graphql/origin.graphql");
const CLASSES: &str = include_str!("graphql/classes.graphql");
const CLASS_ORIGINS: &str = include_str!("graphql/class_origins.graphql");
const TYPES: &str = include_str!("graphql/types.graphql");

const DATASET: &str = "httpRequestsAdaptiveGroups";
/// Refused on the Free plan.
const CONTENT_TYPE: &str = "edgeResponseContentTypeName";
const SPAN_WANTED: Duration = Duration::hours(24);
/// Rows of the path query; the plan may allow fewer.
const PATHS_MAX: u64 = 100;
/// Twelve cache statuses at the most in each of 25 hours.
const HOURS_MAX: u64 = 1_000;
const STATUSES_MAX: u64 = 50;
/// Types of answers with each status.
const TYPES_MAX: u64 = 200;
/// Fields that one query may lose to the plan before it is given up.
const FIELDS_DROPPED_MAX: usize = 4;
/// The last minutes are still being counted.
const SETTLING: Duration = Duration::minutes(5);

/// The last 24 hours, or less where the plan allows less.
pub async fn read(session: &Session, zone: &str) -> Seen<Analytics> {
    let limits = limits(session, zone).await?;
    let to = OffsetDateTime::now_utc() - SETTLING;
    let span = limits.span();
    let mut asker = Asker { session, zone, from: to - span, to, limits, notes: Vec::new() };
    let status = asker.groups(STATUS, STATUSES_MAX).await?;
    let hours = asker.groups(HOURS, HOURS_MAX).await?;
    let page = asker.limits.page(PATHS_MAX);
    let paths = asker.groups(PATHS, PATHS_MAX).await?;
    // What follows is not on every plan; the rest stands without it.
    let origin = asker.optional(ORIGIN, 1, "origin times").await;
    let classes = asker.optional(CLASSES, STATUSES_MAX, "classes of paths").await;
    let origins = if classes.is_some() { asker.optional(CLASS_ORIGINS, 1, "origin times by class").await } else { None };
    let types = asker.types().await;
    let first = |alias: &str| origin.as_ref().and_then(|o| o.get(alias)?.first());
    Ok(Analytics {
        from: asker.from,
        to,
        sample_interval: status.iter().filter_map(Group::sample_interval).reduce(f64::max),
        by_status: groups::by_status(&status)?,
        by_hour: groups::by_hour(&hours)?,
        by_path: groups::by_path(&paths, page)?,
        origin_p50_ms: first("reached").and_then(Group::origin_p50_ms),
        origin_p95_ms: first("reached").and_then(Group::origin_p95_ms),
        share_5xx: first("all").and_then(Group::share_5xx),
        by_class: by_class(classes.as_ref(), origins.as_ref())?,
        by_content_type: types.as_ref().and_then(|t| t.get(DATASET)).map_or_else(|| Ok(Vec::new()), |rows| groups::by_type(rows))?,
        source: source(span, &asker.notes),
    })
}

fn source(span: Duration, notes: &[String]) -> String {
    let mut parts = vec![DATASET.to_owned()];
    if span < SPAN_WANTED {
        parts.push(format!("the plan allows {} h a query", span.whole_hours()));
    }
    parts.extend(notes.iter().cloned());
    parts.join("; ")
}

fn stamp(t: OffsetDateTime) -> String {
    t.replace_nanosecond(0).unwrap_or(t).format(&Rfc3339).unwrap_or_else(|_| t.to_string())
}

fn by_class(counts: Option<&Aliases>, origins: Option<&Aliases>) -> Result<Vec<ClassCount>, Gap> {
    let Some(counts) = counts else { return Ok(Vec::new()) };
    let mut all = Vec::new();
    for class in TrafficClass::ALL {
        let Some(rows) = counts.get(alias(class)) else { continue };
        let origin = origins.and_then(|o| o.get(alias(class))?.first());
        all.push(ClassCount {
            class,
            by_status: groups::by_status(rows)?,
            origin_p50_ms: origin.and_then(Group::origin_p50_ms),
            origin_p95_ms: origin.and_then(Group::origin_p95_ms),
            share_5xx: origin.and_then(Group::share_5xx),
        });
    }
    Ok(all)
}

/// The name of a class in the queries.
fn alias(class: TrafficClass) -> &'static str {
    match class {
        TrafficClass::StaticFiles => "static_files",
        TrafficClass::OptimizedImages => "optimized_images",
        TrafficClass::ProductPages => "product_pages",
        TrafficClass::ListPages => "list_pages",
        TrafficClass::ApiCatalogue => "api_catalogue",
        TrafficClass::Media => "media",
        TrafficClass::Personal => "personal",
    }
}

/// What the plan allows of the dataset; what is not told is not limited.
struct PlanLimits {
    span_s: Option<i64>,
    oldest_s: Option<i64>,
    page_max: Option<u64>,
    fields: Vec<String>,
}

impl PlanLimits {
    fn span(&self) -> Duration {
        // The end lies back by the time that counting takes.
        let oldest = self.oldest_s.map(|s| Duration::seconds(s) - SETTLING);
        let longest = self.span_s.map(Duration::seconds);
        [oldest, longest].into_iter().flatten().filter(|d| d.is_positive()).fold(SPAN_WANTED, Duration::min)
    }

    fn page(&self, wanted: u64) -> u64 {
        self.page_max.map_or(wanted, |m| m.clamp(1, wanted))
    }

    /// Whether a field may be asked for; a list that does not name what every plan has is in a form we do not know.
    fn has(&self, field: &str) -> bool {
        let is_listed = |wanted: &str| self.fields.iter().any(|f| f.to_ascii_lowercase().ends_with(&wanted.to_ascii_lowercase()));
        !is_listed("cacheStatus") || is_listed(field)
    }
}

async fn limits(session: &Session, zone: &str) -> Result<PlanLimits, Gap> {
    let zones = first_zone(session, LIMITS, &json!({ "zoneTag": zone })).await.map_err(Refused::gap)?;
    let dataset = &zones["settings"][DATASET];
    if dataset["enabled"].as_bool() == Some(false) {
        let cause = Cause::Absent { feature: DATASET.to_owned(), remedy: "A Cloudflare plan that includes HTTP analytics.".to_owned() };
        return Err(Gap::new(Section::CdnAnalytics, cause, "This zone's plan does not include request analytics."));
    }
    let positive = |name: &str| dataset[name].as_i64().filter(|s| *s > 0);
    Ok(PlanLimits {
        span_s: positive("maxDuration"),
        oldest_s: positive("notOlderThan"),
        page_max: dataset["maxPageSize"].as_u64().filter(|n| *n > 0),
        fields: dataset["availableFields"].as_array().into_iter().flatten().filter_map(|f| f.as_str().map(str::to_owned)).collect(),
    })
}

/// Asks within the limits, and remembers what was left out.
struct Asker<'s> {
    session: &'s Session,
    zone: &'s str,
    from: OffsetDateTime,
    to: OffsetDateTime,
    limits: PlanLimits,
    notes: Vec<String>,
}

impl Asker<'_> {
    /// Every alias of the query with its groups. A field that the plan refuses is dropped, and the query asked again.
    async fn aliases(&mut self, query: &str, limit: u64) -> Result<Aliases, Gap> {
        let mut query = query.to_owned();
        let mut variables = json!({ "zoneTag": self.zone, "since": stamp(self.from), "until": stamp(self.to) });
        if query.contains("$limit") {
            variables["limit"] = json!(self.limits.page(limit));
        }
        for _ in 0..=FIELDS_DROPPED_MAX {
            let refused = match first_zone(self.session, &query, &variables).await {
                Ok(zone) => return serde_json::from_value(zone).map_err(|e| unreadable(Section::CdnAnalytics, &e.to_string())),
                Err(refused) => refused,
            };
            let shorter = refused.field.as_deref().and_then(|f| groups::without_field(&query, f));
            let (Some(shorter), Some(field)) = (shorter, refused.field.clone()) else { return Err(refused.gap()) };
            let note = format!("the plan refuses {field}");
            if !self.notes.contains(&note) {
                self.notes.push(note);
            }
            query = shorter;
        }
        Err(unreadable(Section::CdnAnalytics, "the plan refuses field after field"))
    }

    async fn groups(&mut self, query: &str, limit: u64) -> Result<Vec<Group>, Gap> {
        let mut aliases = self.aliases(query, limit).await?;
        aliases.remove(DATASET).ok_or_else(|| unreadable(Section::CdnAnalytics, "it holds no groups"))
    }

    /// By type of the answer; nothing where the plan does not tell the type, since the rest of that query is known already.
    async fn types(&mut self) -> Option<Aliases> {
        if !self.limits.has(CONTENT_TYPE) {
            return None;
        }
        let types = self.optional(TYPES, TYPES_MAX, "content types").await;
        let is_refused = self.notes.iter().any(|n| n.to_ascii_lowercase().ends_with(&CONTENT_TYPE.to_ascii_lowercase()));
        types.filter(|_| !is_refused)
    }

    async fn optional(&mut self, query: &str, limit: u64, what: &str) -> Option<Aliases> {
        match self.aliases(query, limit).await {
            Ok(aliases) => Some(aliases),
            Err(_) => {
                self.notes.push(format!("{what} were refused"));
                None
            }
        }
    }
}

/// Why a query gave nothing, and the field that the plan refuses, where that is why.
struct Refused {
    gap: Gap,
    field: Option<String>,
}

impl Refused {
    fn gap(self) -> Gap {
        self.gap
    }
}

impl From<Gap> for Refused {
    fn from(gap: Gap) -> Self {
        Self { gap, field: None }
    }
}

/// The first zone of the answer. GraphQL errors come under HTTP 200, a zone the token does not see as an empty list.
async fn first_zone(session: &Session, query: &str, variables: &Value) -> Result<Value, Refused> {
    let section = Section::CdnAnalytics;
    let body = session.graphql(query, variables).await.map_err(|e| gap(section, &e, GRANT_ANALYTICS))?;
    if let Some(error) = body["errors"].as_array().and_then(|e| e.first()) {
        return Err(Refused { gap: refusal(error), field: groups::refused_field(error) });
    }
    let zones = body["data"]["viewer"]["zones"].as_array().ok_or_else(|| unreadable(section, "it holds no list of zones"))?;
    let found = zones.first().cloned().ok_or_else(|| {
        let cause = Cause::Denied { grant: format!("Give the API token {GRANT_ANALYTICS}.") };
        Gap::new(section, cause, "The API token sees no analytics of this zone.")
    });
    Ok(found?)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(fields: &[&str]) -> PlanLimits {
        PlanLimits { span_s: None, oldest_s: None, page_max: None, fields: fields.iter().map(|f| (*f).to_owned()).collect() }
    }

    #[test]
    fn the_plans_limits_are_kept() {
        let of = |span_s, oldest_s| PlanLimits { span_s, oldest_s, ..limits(&[]) }.span();
        assert_eq!(of(None, None), SPAN_WANTED);
        assert_eq!(of(Some(3_600), Some(691_200)), Duration::hours(1));
        assert_eq!(of(Some(86_400), Some(7_200)), Duration::hours(2) - SETTLING);
        let short = PlanLimits { page_max: Some(10), ..limits(&[]) };
        assert_eq!((short.page(100), short.page(1), limits(&[]).page(100)), (10, 1, 100));
    }

    #[test]
    fn a_field_that_is_not_listed_is_not_asked() {
        let free = limits(&["count", "dimensions_cacheStatus", "dimensions_datetime"]);
        assert!(!free.has("edgeResponseContentTypeName") && limits(&[]).has("edgeResponseContentTypeName"));
        assert!(limits(&["dimensions_cacheStatus", "dimensions_edgeResponseContentTypeName"]).has("edgeResponseContentTypeName"));
        assert!(limits(&["hit"]).has("edgeResponseContentTypeName"));
    }
}
