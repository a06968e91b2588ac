//! Requests by cache status, hour, path, class of path and type, within what the zone's plan allows.

use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use super::classes::{self, Composed};
use super::groups::{self, Aliases, Group};
use super::plan::{PlanLimits, limits};
use super::{gap, unreadable};
use crate::connect::cloudflare::{GRANT_ANALYTICS, Session};
use crate::evidence::cdn::{Analytics, ClassCount, Tracked, Tracker, TrackerCount, TrafficClass};
use crate::evidence::{Cause, Gap, Section, Seen};

const STATUS: &str = include_str!("graphql/status.graphql");
const HOURS: &str = include_str!("graphql/hours.graphql");
const PATHS: &str = include_str!("graphql/paths.graphql");
const ORIGIN: &str = include_str!("graphql/origin.graphql");
const TYPES: &str = include_str!("graphql/types.graphql");

pub const DATASET: &str = "httpRequestsAdaptiveGroups";
/// Refused on the Free plan.
const CONTENT_TYPE: &str = "edgeResponseContentTypeName";
/// Not told on every plan either.
const QUERY_STRING: &str = "clientRequestQuery";
pub const SPAN_WANTED: Duration = Duration::hours(24);
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
pub const SETTLING: Duration = Duration::minutes(5);

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
    let origin = asker.optional(&Asked::Whole(ORIGIN), 1, "origin times").await;
    let classes = asker.optional(&Asked::InParts(classes::counts()), STATUSES_MAX, "classes of paths").await;
    let origins = match classes {
        Some(_) => asker.optional(&Asked::InParts(classes::origins()), 1, "origin times by class").await,
        None => None,
    };
    let tracked = asker.tracked().await;
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
        tracked,
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
        let Some(rows) = counts.get(classes::alias(class)) else { continue };
        let origin = origins.and_then(|o| o.get(classes::alias(class))?.first());
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

fn of_trackers(aliases: &Aliases) -> Result<Tracked, Gap> {
    let of =
        |alias: &str| aliases.get(alias).map_or_else(|| Err(unreadable(Section::CdnAnalytics, "a tracker has no groups")), |g| groups::by_status(g));
    let mut by_tracker = Vec::new();
    for tracker in Tracker::ALL {
        let by_status = of(classes::tracker_alias(tracker))?;
        if !by_status.is_empty() {
            by_tracker.push(TrackerCount { tracker, by_status });
        }
    }
    Ok(Tracked { by_status: of(classes::ANY_TRACKER)?, by_tracker })
}

/// A query as it stands, or one that may be divided.
enum Asked {
    Whole(&'static str),
    InParts(Composed),
}

impl Asked {
    fn queries(&self, limits: &PlanLimits) -> Vec<String> {
        match self {
            Asked::Whole(query) => vec![(*query).to_owned()],
            Asked::InParts(composed) => composed.queries(limits.fields_max),
        }
    }
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
    /// Every alias with its groups, by as many queries as the number of fields that one may ask makes needful.
    async fn aliases(&mut self, asked: &Asked, limit: u64) -> Result<Aliases, Gap> {
        'limits: loop {
            let mut all = Aliases::new();
            for query in asked.queries(&self.limits) {
                match self.answer(&query, limit).await {
                    Ok(aliases) => all.extend(aliases),
                    Err(refused) if self.limits.learns(&refused) => continue 'limits,
                    Err(refused) => return Err(refused.gap),
                }
            }
            return Ok(all);
        }
    }

    /// One query's. A field that the plan refuses is dropped, and the query asked again.
    async fn answer(&mut self, query: &str, limit: u64) -> Result<Aliases, Refused> {
        let (mut query, left_out) = self.limits.trimmed(query)?;
        for field in left_out {
            self.note(format!("{field} is left out: the plan limits the fields of a query"));
        }
        let mut variables = json!({ "zoneTag": self.zone, "since": stamp(self.from), "until": stamp(self.to) });
        if query.contains("$limit") {
            variables["limit"] = json!(self.limits.page(limit));
        }
        for _ in 0..=FIELDS_DROPPED_MAX {
            let refused = match first_zone(self.session, &query, &variables).await {
                Ok(zone) => return serde_json::from_value(zone).map_err(|e| unreadable(Section::CdnAnalytics, &e.to_string()).into()),
                Err(refused) => refused,
            };
            let shorter = refused.field.as_deref().and_then(|f| groups::without_field(&query, f));
            let (Some(shorter), Some(field)) = (shorter, refused.field.clone()) else { return Err(refused) };
            self.note(format!("the plan refuses {field}"));
            query = shorter;
        }
        Err(unreadable(Section::CdnAnalytics, "the plan refuses field after field").into())
    }

    fn note(&mut self, note: String) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    async fn groups(&mut self, query: &'static str, limit: u64) -> Result<Vec<Group>, Gap> {
        let mut aliases = self.aliases(&Asked::Whole(query), limit).await?;
        aliases.remove(DATASET).ok_or_else(|| unreadable(Section::CdnAnalytics, "it holds no groups"))
    }

    /// By type of the answer; nothing where the plan does not tell the type, since the rest of that query is known already.
    async fn types(&mut self) -> Option<Aliases> {
        if !self.limits.has(CONTENT_TYPE) {
            return None;
        }
        let types = self.optional(&Asked::Whole(TYPES), TYPES_MAX, "content types").await;
        let is_refused = self.notes.iter().any(|n| n.to_ascii_lowercase().ends_with(&CONTENT_TYPE.to_ascii_lowercase()));
        types.filter(|_| !is_refused)
    }

    /// By tracking parameter; nothing where the plan does not let query strings be filtered by.
    async fn tracked(&mut self) -> Option<Tracked> {
        if !self.limits.has(QUERY_STRING) {
            self.note(format!("the plan does not tell {QUERY_STRING}, so tracking parameters are not counted"));
            return None;
        }
        let aliases = self.optional(&Asked::InParts(classes::tracked()), STATUSES_MAX, "tracking parameters").await?;
        let tracked = of_trackers(&aliases);
        if let Err(gap) = &tracked {
            self.note(format!("tracking parameters: {}", gap.detail));
        }
        tracked.ok()
    }

    async fn optional(&mut self, asked: &Asked, limit: u64, what: &str) -> Option<Aliases> {
        match self.aliases(asked, limit).await {
            Ok(aliases) => Some(aliases),
            Err(_) => {
                self.note(format!("{what} were refused"));
                None
            }
        }
    }
}

/// Why a query gave nothing, and the field that the plan refuses or the number of fields that it allows, where that is why.
pub struct Refused {
    pub gap: Gap,
    field: Option<String>,
    pub fields_max: Option<usize>,
}

impl From<Gap> for Refused {
    fn from(gap: Gap) -> Self {
        Self { gap, field: None, fields_max: None }
    }
}

/// The first zone of the answer. GraphQL errors come under HTTP 200, a zone the token does not see as an empty list.
pub async fn first_zone(session: &Session, query: &str, variables: &Value) -> Result<Value, Refused> {
    let section = Section::CdnAnalytics;
    let body = session.graphql(query, variables).await.map_err(|e| gap(section, &e, GRANT_ANALYTICS))?;
    if let Some(error) = body["errors"].as_array().and_then(|e| e.first()) {
        return Err(Refused { gap: refusal(error), field: groups::refused_field(error), fields_max: groups::fields_allowed(error) });
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
