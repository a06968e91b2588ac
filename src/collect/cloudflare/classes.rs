//! Queries that ask the same of several sets of requests. What a class of paths is to the dataset is said here alone.

use super::analytics::DATASET;
use super::groups::leaves;
use crate::evidence::cdn::{Tracker, TrafficClass};

/// Requests and bytes by cache status.
const COUNTS: &str = "count dimensions { cacheStatus } sum { edgeResponseBytes }";
/// Origin times and errors.
const ORIGINS: &str = "count quantiles { originResponseDurationMsP50 originResponseDurationMsP95 } ratio { status5xx }";
const REACHED: &str = r#"cacheStatus_in: ["miss", "expired", "bypass", "dynamic", "revalidated"]"#;
/// The alias of requests with any tracking parameter.
pub const ANY_TRACKER: &str = "tracked";

/// A query in parts: the same selection of the dataset for several filters.
pub struct Composed {
    name: &'static str,
    fields: &'static str,
    /// Alias and filter.
    parts: Vec<(&'static str, String)>,
}

/// All requests by class and cache status.
pub fn counts() -> Composed {
    let parts = TrafficClass::ALL.map(|class| (alias(class), filter(class)));
    Composed { name: "Classes", fields: COUNTS, parts: parts.to_vec() }
}

/// Origin times of the requests that reached it, by class.
pub fn origins() -> Composed {
    let parts = TrafficClass::ALL.map(|class| (alias(class), format!("{REACHED} {}", filter(class))));
    Composed { name: "ClassOrigins", fields: ORIGINS, parts: parts.to_vec() }
}

/// Requests for catalogue pages with a tracking parameter: all of them, and by tracker.
pub fn tracked() -> Composed {
    let all: Vec<&str> = Tracker::all_parameters().collect();
    let mut parts = vec![(ANY_TRACKER, with_parameters(&all))];
    parts.extend(Tracker::ALL.map(|tracker| (tracker_alias(tracker), with_parameters(tracker.parameters()))));
    Composed { name: "Tracked", fields: COUNTS, parts }
}

impl Composed {
    /// As few queries as `fields_max` fields a query allow; a part is never divided.
    pub fn queries(&self, fields_max: Option<usize>) -> Vec<String> {
        let of_one = leaves(&self.query(&self.parts[..1]));
        let parts_max = fields_max.map_or(self.parts.len(), |max| (max / of_one).max(1));
        self.parts.chunks(parts_max).map(|parts| self.query(parts)).collect()
    }

    fn query(&self, parts: &[(&str, String)]) -> String {
        let node = |(alias, filter): &(&str, String)| {
            let span = r#"datetime_geq: $since datetime_lt: $until requestSource: "eyeball""#;
            format!("{alias}: {DATASET}( limit: $limit filter: {{ {span} {filter} }} ) {{ {} }}", self.fields)
        };
        let nodes: Vec<String> = parts.iter().map(node).collect();
        format!(
            "query {}($zoneTag: string!, $since: Time!, $until: Time!, $limit: uint64!) {{ viewer {{ zones(filter: {{ zoneTag: $zoneTag }}) {{ {} }} }} }}",
            self.name,
            nodes.join(" ")
        )
    }
}

/// The name of a class in the queries.
pub fn alias(class: TrafficClass) -> &'static str {
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

pub fn tracker_alias(tracker: Tracker) -> &'static str {
    match tracker {
        Tracker::Utm => "utm",
        Tracker::Google => "google",
        Tracker::Meta => "meta",
        Tracker::Microsoft => "microsoft",
        Tracker::OtherAds => "other_ads",
        Tracker::Mail => "mail",
    }
}

/// Patterns of which a path matches one, and patterns of which it matches none; `%` is any text.
type Paths = (&'static [&'static str], &'static [&'static str]);

/// Where no page of the storefront lies, whatever its path holds.
const NO_PAGES: &[&str] = &["/store/%", "/_next/%", "/admin/%", "/app/%"];

fn paths(class: TrafficClass) -> Paths {
    match class {
        TrafficClass::StaticFiles => (&["/_next/static/%"], &[]),
        TrafficClass::OptimizedImages => (&["/_next/image%"], &[]),
        TrafficClass::ProductPages => (&["%/products/%"], NO_PAGES),
        TrafficClass::ListPages => (&["%/categories/%", "%/collections/%", "%/store"], NO_PAGES),
        TrafficClass::ApiCatalogue => (&["/store/products%", "/store/collections%", "/store/product-categories%", "/store/regions%"], &[]),
        TrafficClass::Media => (&["%.jpg", "%.jpeg", "%.png", "%.webp", "%.avif", "%.gif", "%.mp4"], &["/_next/%"]),
        TrafficClass::Personal => {
            (&["%/cart%", "%/checkout%", "%/account%", "%/order/%", "/store/customers%", "/auth%"], &["/_next/%", "%/products/%"])
        }
    }
}

fn filter(class: TrafficClass) -> String {
    let (like, unlike) = paths(class);
    any_and_all(&tests("clientRequestPath_like", like), &tests("clientRequestPath_notlike", unlike))
}

/// Catalogue pages asked for with one of these parameters.
fn with_parameters(names: &[&str]) -> String {
    let pages = [TrafficClass::ProductPages, TrafficClass::ListPages].map(|class| tests("clientRequestPath_like", paths(class).0));
    let patterns: Vec<String> = names.iter().map(|name| format!("%{name}=%")).collect();
    let patterns: Vec<&str> = patterns.iter().map(String::as_str).collect();
    let carries = format!("{{ OR: [ {} ] }}", tests("clientRequestQuery_like", &patterns));
    any_and_all(&pages.join(" "), &format!("{} {carries}", tests("clientRequestPath_notlike", NO_PAGES)))
}

fn tests(operator: &str, patterns: &[&str]) -> String {
    patterns.iter().map(|p| format!("{{ {operator}: \"{p}\" }}")).collect::<Vec<_>>().join(" ")
}

fn any_and_all(any: &str, all: &str) -> String {
    if all.is_empty() { format!("OR: [ {any} ]") } else { format!("OR: [ {any} ] AND: [ {all} ]") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_query_asks_more_fields_than_are_allowed() {
        for composed in [counts(), origins(), tracked()] {
            let parts = composed.parts.len();
            let of_one = leaves(&composed.query(&composed.parts[..1]));
            assert_eq!(composed.queries(None).len(), 1);
            assert_eq!(leaves(&composed.queries(None)[0]), parts * of_one);
            for max in 1..=parts * of_one {
                let queries = composed.queries(Some(max));
                // A part by itself is trimmed by the caller, where even that is too much.
                assert!(queries.iter().all(|q| leaves(q) <= max.max(of_one)), "{max}");
                assert_eq!(queries.iter().map(|q| leaves(q)).sum::<usize>(), parts * of_one);
            }
        }
        // As seen on Cloudflare: 30 for an account, 70 for a zone.
        assert_eq!((counts().queries(Some(30)).len(), origins().queries(Some(30)).len(), counts().queries(Some(20)).len()), (1, 1, 2));
    }

    #[test]
    fn each_class_is_said_once_with_its_exceptions() {
        assert_eq!(filter(TrafficClass::StaticFiles), r#"OR: [ { clientRequestPath_like: "/_next/static/%" } ]"#);
        let media = filter(TrafficClass::Media);
        assert!(
            media.contains(r#"{ clientRequestPath_like: "%.avif" }"#) && media.ends_with(r#"AND: [ { clientRequestPath_notlike: "/_next/%" } ]"#)
        );
        let mail = with_parameters(Tracker::Mail.parameters());
        assert!(mail.contains(r#"{ OR: [ { clientRequestQuery_like: "%mc_cid=%" }"#) && mail.contains("%/products/%"), "{mail}");
    }
}
