//! What tells one kept answer from another.

use serde_json::Value;

/// How the query string enters the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Query {
    Kept,
    Ignored,
    /// These parameters alone.
    Only(Vec<String>),
    /// All but these.
    Without(Vec<String>),
}

/// The parts of a cache key beyond host and path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheKey {
    pub query: Query,
    /// Cookies whose values are in the key: an entry for each value.
    pub cookies: Vec<String>,
    /// Cookies whose presence alone is in the key: two entries.
    pub cookies_present: Vec<String>,
    /// Request headers whose values are in the key.
    pub headers: Vec<String>,
    pub is_by_device: bool,
    pub is_by_country: bool,
    pub is_by_language: bool,
    /// Cache deception armor: a path whose extension does not fit the answer's type is not kept.
    pub is_armored: bool,
}

impl Default for CacheKey {
    fn default() -> Self {
        Self {
            query: Query::Kept,
            cookies: Vec::new(),
            cookies_present: Vec::new(),
            headers: Vec::new(),
            is_by_device: false,
            is_by_country: false,
            is_by_language: false,
            is_armored: false,
        }
    }
}

impl CacheKey {
    /// From a cache rule's `cache_key`; `None` where the text is no JSON.
    pub fn of_rule(json: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(json).ok()?;
        let mut key = Self::of_custom(&value["custom_key"]);
        key.is_by_device |= value["cache_by_device_type"] == true;
        key.is_armored = value["cache_deception_armor"] == true;
        Some(key)
    }

    /// From a page rule's `cache_key_fields`.
    pub fn of_fields(json: &str) -> Option<Self> {
        Some(Self::of_custom(&serde_json::from_str(json).ok()?))
    }

    fn of_custom(custom: &Value) -> Self {
        Self {
            query: query(&custom["query_string"]),
            cookies: names(&custom["cookie"]["include"]),
            cookies_present: names(&custom["cookie"]["check_presence"]),
            headers: headers(&custom["header"]),
            is_by_device: custom["user"]["device_type"] == true,
            is_by_country: custom["user"]["geo"] == true,
            is_by_language: custom["user"]["lang"] == true,
            is_armored: false,
        }
    }

    /// Whether two values of a query parameter are two entries.
    pub fn holds(&self, parameter: &str) -> bool {
        let is_listed = |names: &[String]| names.iter().any(|n| n == parameter);
        match &self.query {
            Query::Kept => true,
            Query::Ignored => false,
            Query::Only(names) => is_listed(names),
            Query::Without(names) => !is_listed(names),
        }
    }

    /// In words, for the trace: "query ignored, cookie currency".
    pub fn words(&self) -> String {
        let mut parts = vec![match &self.query {
            Query::Kept => "host, path and the whole query".to_owned(),
            Query::Ignored => "host and path, the query ignored".to_owned(),
            Query::Only(names) => format!("host, path and {}", names.join(", ")),
            Query::Without(names) => format!("host, path and the query without {}", names.join(", ")),
        }];
        let list = |what: &str, names: &[String]| (!names.is_empty()).then(|| format!("{what} {}", names.join(", ")));
        parts.extend(list("the value of cookie", &self.cookies));
        parts.extend(list("the presence of cookie", &self.cookies_present));
        parts.extend(list("header", &self.headers));
        let flags = [(self.is_by_device, "device type"), (self.is_by_country, "country"), (self.is_by_language, "language")];
        parts.extend(flags.iter().filter(|(is, _)| *is).map(|(_, word)| (*word).to_owned()));
        parts.join("; ")
    }
}

/// `"*"`, `["*"]`, `["a"]`, `{"all":true}` and `{"list":["a"]}` are all in use.
fn query(value: &Value) -> Query {
    let (include, exclude) = (&value["include"], &value["exclude"]);
    if is_everything(exclude) {
        return Query::Ignored;
    }
    let (only, without) = (names(include), names(exclude));
    if !without.is_empty() {
        Query::Without(without)
    } else if is_everything(include) || only.is_empty() {
        Query::Kept
    } else {
        Query::Only(only)
    }
}

fn is_everything(value: &Value) -> bool {
    value == "*" || value["all"] == true || value.as_array().is_some_and(|a| a.iter().any(|v| v == "*"))
}

fn names(value: &Value) -> Vec<String> {
    let list = value.as_array().or_else(|| value["list"].as_array());
    let mut all: Vec<String> = list.into_iter().flatten().filter_map(|v| v.as_str()).filter(|v| *v != "*").map(str::to_owned).collect();
    all.sort();
    all
}

fn headers(value: &Value) -> Vec<String> {
    let mut all = names(&value["include"]);
    all.extend(names(&value["check_presence"]));
    all.extend(value["contains"].as_object().into_iter().flatten().map(|(name, _)| name.clone()));
    all.iter_mut().for_each(|n| n.make_ascii_lowercase());
    all.sort();
    all.dedup();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_the_query_is_read() {
        let of = |q: &str| CacheKey::of_rule(&format!("{{\"custom_key\":{{\"query_string\":{q}}}}}")).unwrap().query;
        assert_eq!(of("{\"exclude\":\"*\"}"), Query::Ignored);
        assert_eq!(of("{\"exclude\":[\"*\"]}"), Query::Ignored);
        assert_eq!(of("{\"exclude\":{\"all\":true}}"), Query::Ignored);
        assert_eq!(of("{\"include\":[],\"exclude\":\"*\"}"), Query::Ignored);
        assert_eq!(of("{\"exclude\":[\"utm_source\"]}"), Query::Without(vec!["utm_source".into()]));
        assert_eq!(of("{\"exclude\":{\"list\":[\"gclid\"]}}"), Query::Without(vec!["gclid".into()]));
        assert_eq!(of("{\"include\":{\"list\":[\"w\",\"q\"]}}"), Query::Only(vec!["q".into(), "w".into()]));
        assert_eq!(of("{\"include\":\"*\"}"), Query::Kept);
        assert_eq!(of("{}"), Query::Kept);
        assert_eq!(CacheKey::of_rule("{"), None);
        let holds = |query: Query| CacheKey { query, ..CacheKey::default() }.holds("gclid");
        assert!(holds(Query::Kept) && !holds(Query::Ignored));
        assert!(holds(Query::Only(vec!["gclid".into()])) && !holds(Query::Only(vec!["page".into()])));
        assert!(!holds(Query::Without(vec!["gclid".into()])) && holds(Query::Without(vec!["utm_source".into()])));
    }

    #[test]
    fn cookies_headers_and_users_are_read() {
        let json = r#"{"cache_by_device_type":true,"cache_deception_armor":true,"custom_key":{"header":{"include":["Accept"],"check_presence":["RSC"]},
            "cookie":{"include":["currency"],"check_presence":["_medusa_jwt"]},"user":{"geo":true,"lang":true,"device_type":false}}}"#;
        let key = CacheKey::of_rule(json).unwrap();
        assert_eq!(
            (key.headers, key.cookies, key.cookies_present),
            (vec!["accept".to_owned(), "rsc".into()], vec!["currency".into()], vec!["_medusa_jwt".into()])
        );
        assert!(key.is_by_device && key.is_by_country && key.is_by_language && key.is_armored);
    }
}
