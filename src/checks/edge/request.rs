//! A request as the edge sees it, and what the fields of the rules language say of it.

use super::eval::Cell;

/// One request of a shopper. Cookies and headers are taken as complete, but for those that every browser sends and nobody gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub method: String,
    pub host: String,
    pub path: String,
    /// Without the question mark; empty for none.
    pub query: String,
    pub cookies: Vec<(String, String)>,
    /// Lower-case names.
    pub headers: Vec<(String, String)>,
    pub is_https: bool,
}

/// Headers that a browser or the edge adds: not told unless the request names them.
const UNTOLD_HEADERS: [&str; 16] = [
    "user-agent",
    "accept",
    "accept-language",
    "accept-encoding",
    "referer",
    "origin",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-real-ip",
    "cf-ipcountry",
    "cf-connecting-ip",
    "cf-ray",
    "cf-visitor",
    "upgrade-insecure-requests",
    "dnt",
    "cache-control",
];

impl Request {
    /// A GET over https without cookies.
    pub fn get(host: &str, path: &str) -> Self {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        Self {
            method: "GET".to_owned(),
            host: host.to_ascii_lowercase(),
            path: if path.starts_with('/') { path.to_owned() } else { format!("/{path}") },
            query: query.to_owned(),
            cookies: Vec::new(),
            headers: Vec::new(),
            is_https: true,
        }
    }

    #[must_use]
    pub fn with_cookie(mut self, name: &str, value: &str) -> Self {
        self.cookies.push((name.to_owned(), value.to_owned()));
        self
    }

    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_ascii_lowercase(), value.to_owned()));
        self
    }

    #[must_use]
    pub fn with_method(mut self, method: &str) -> Self {
        self.method = method.to_ascii_uppercase();
        self
    }

    /// Path and query.
    pub fn uri(&self) -> String {
        if self.query.is_empty() { self.path.clone() } else { format!("{}?{}", self.path, self.query) }
    }

    pub fn full_uri(&self) -> String {
        format!("{}://{}{}", if self.is_https { "https" } else { "http" }, self.host, self.uri())
    }

    /// Of the last segment, lower case, without the dot; empty for none.
    pub fn extension(&self) -> String {
        let last = self.path.rsplit('/').next().unwrap_or("");
        last.rsplit_once('.').map_or_else(String::new, |(_, extension)| extension.to_ascii_lowercase())
    }

    pub(super) fn cookie_header(&self) -> String {
        self.cookies.iter().map(|(n, v)| format!("{n}={v}")).collect::<Vec<_>>().join("; ")
    }

    /// "GET /us/cart with _medusa_cart_id".
    pub fn words(&self) -> String {
        let cookies: Vec<&str> = self.cookies.iter().map(|(n, _)| n.as_str()).collect();
        let with = if cookies.is_empty() { String::new() } else { format!(" with {}", cookies.join(", ")) };
        format!("{} {}{with}", self.method, self.uri())
    }

    fn is_untold(name: &str) -> bool {
        UNTOLD_HEADERS.contains(&name) || name.starts_with("sec-")
    }

    pub(super) fn header(&self, name: &str) -> Cell {
        let name = name.to_ascii_lowercase();
        let given: Vec<Cell> = self.headers.iter().filter(|(n, _)| *n == name).map(|(_, v)| Cell::Text(v.clone())).collect();
        match name.as_str() {
            _ if !given.is_empty() => Cell::List(given),
            "cookie" if !self.cookies.is_empty() => Cell::List(vec![Cell::Text(self.cookie_header())]),
            "host" => Cell::List(vec![Cell::Text(self.host.clone())]),
            name if Self::is_untold(name) => Cell::Unknown(format!("the header {name}")),
            _ => Cell::Missing,
        }
    }

    fn one_header(&self, name: &str) -> Cell {
        match self.header(name) {
            Cell::List(mut all) if !all.is_empty() => all.remove(0),
            other => other,
        }
    }

    /// The value of a field; `Unknown` with its name where the request does not tell or the field is not one we read.
    pub(super) fn field(&self, name: &str) -> Cell {
        let text = |t: String| Cell::Text(t);
        match name.strip_prefix("raw.").unwrap_or(name) {
            "true" => Cell::truth(true),
            "false" => Cell::truth(false),
            "ssl" => Cell::truth(self.is_https),
            "http.host" => text(self.host.clone()),
            "http.request.method" => text(self.method.clone()),
            "http.request.uri" => text(self.uri()),
            "http.request.full_uri" => text(self.full_uri()),
            "http.request.uri.path" => text(self.path.clone()),
            "http.request.uri.path.extension" => text(self.extension()),
            "http.request.uri.query" => text(self.query.clone()),
            "http.request.uri.args" => Cell::map(self.arguments()),
            "http.request.uri.args.names" => Cell::texts(self.arguments().into_iter().map(|(n, _)| n)),
            "http.request.uri.args.values" => Cell::texts(self.arguments().into_iter().map(|(_, v)| v)),
            "http.cookie" => text(self.cookie_header()),
            "http.request.cookies" => Cell::map(self.cookies.clone()),
            "http.request.headers" => Cell::Headers,
            // Names that nobody told could be among them: only what is given can be found.
            "http.request.headers.names" => Cell::texts(self.header_names()),
            "http.user_agent" => self.one_header("user-agent"),
            "http.referer" => self.one_header("referer"),
            other => Cell::Unknown(other.to_owned()),
        }
    }

    fn header_names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.headers.iter().map(|(n, _)| n.clone()).collect();
        names.push("host".to_owned());
        if !self.cookies.is_empty() {
            names.push("cookie".to_owned());
        }
        names
    }

    fn arguments(&self) -> Vec<(String, String)> {
        let parts = self.query.split('&').filter(|p| !p.is_empty());
        parts.map(|p| p.split_once('=').map_or_else(|| (p.to_owned(), String::new()), |(n, v)| (n.to_owned(), v.to_owned()))).collect()
    }
}
