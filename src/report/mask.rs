//! Hides the store's hosts: one walk over every text of a finished report, so that no format can forget one.

use std::collections::BTreeSet;

use serde_json::Value;

use super::Report;
use crate::evidence::{Cause, Snapshot};

/// First labels that say what a host does, not whose it is; every other label is hidden.
const ROLES: [&str; 22] = [
    "admin",
    "api",
    "assets",
    "backend",
    "cache",
    "cdn",
    "database",
    "db",
    "images",
    "img",
    "localhost",
    "media",
    "pg",
    "postgres",
    "primary",
    "redis",
    "replica",
    "shop",
    "static",
    "store",
    "storefront",
    "www",
];
/// What stands for a hidden label.
const DOTS: &str = "•••";

/// Host names and addresses in the evidence, longest first. The loopback names nobody and stays.
pub fn hosts(snapshot: &Snapshot) -> Vec<String> {
    let mut found = BTreeSet::new();
    if let Ok(server) = snapshot.pg().and_then(|pg| pg.server()) {
        found.extend(host_of(&server.host));
    }
    if let Ok(redis) = snapshot.redis() {
        found.extend(redis.instances.iter().filter_map(|i| host_of(&i.name)));
    }
    if let Ok(zone) = snapshot.cloudflare().and_then(|c| c.zone()) {
        found.extend(host_of(&zone.name));
    }
    if let Ok(analytics) = snapshot.cloudflare().and_then(|c| c.analytics()) {
        found.extend(analytics.by_path.rows.iter().filter_map(|p| host_of(&p.host)));
    }
    if let Ok(listed) = snapshot.cloudfront().and_then(|c| c.distributions()) {
        for d in &listed.rows {
            let names = d.aliases.iter().chain([&d.domain]).chain(d.origins.iter().map(|o| &o.domain));
            found.extend(names.filter_map(|n| host_of(n.trim_start_matches("*."))));
        }
    }
    if let Ok(tls) = snapshot.shop().and_then(|s| s.tls()) {
        found.extend(tls.iter().filter_map(|t| host_of(&t.host)));
    }
    if let Ok(shop) = snapshot.shop() {
        found.extend(shop.resolved.iter().flat_map(|r| [&r.host, &r.address]).cloned());
    }
    // A layer that did not answer is known only by the sentence that says so.
    for gap in snapshot.gaps().iter().filter(|g| matches!(g.cause, Cause::Unreachable | Cause::TimedOut { .. })) {
        found.extend(named_in(&gap.detail));
    }
    let evidence = serde_json::to_value(snapshot).expect("a snapshot holds only strings, numbers and lists");
    in_addresses(&evidence, &mut found);
    found.retain(|h| !is_loopback(h) && h.len() > 1);
    let mut hosts: Vec<String> = found.into_iter().collect();
    hosts.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
    hosts
}

/// The report with every text rewritten.
pub fn apply(report: &Report, hosts: &[String]) -> Report {
    let mut value = serde_json::to_value(report).expect("a report holds only strings, lists and finite numbers");
    each_text(&mut value, &|text| mask(text, hosts));
    serde_json::from_value(value).expect("masking changes texts and neither ids nor numbers")
}

/// One text with every known host and its subdomains hidden. A single label (`redis`) is hidden only where it stands as a host:
/// after `://` or `@`, or before a port.
pub fn mask(text: &str, hosts: &[String]) -> String {
    let mut out = text.to_owned();
    for host in hosts {
        out = mask_host(&out, host);
    }
    out
}

/// `db.•••.internal` for `db.northwind.internal`; `•••` for an address or a single label.
pub fn masked_form(host: &str) -> String {
    let labels: Vec<&str> = host.split('.').collect();
    let is_address = host.contains(':') || labels.iter().all(|l| l.chars().all(|c| c.is_ascii_digit()));
    let (Some(first), Some(last)) = (labels.first(), labels.last()) else { return DOTS.to_owned() };
    let has_role = ROLES.contains(&first.to_ascii_lowercase().as_str());
    match labels.len() {
        _ if is_address => DOTS.to_owned(),
        1 => DOTS.to_owned(),
        2 if has_role => format!("{first}.{DOTS}"),
        _ if has_role => format!("{first}.{DOTS}.{last}"),
        _ => format!("{DOTS}.{last}"),
    }
}

fn each_text(value: &mut Value, change: &dyn Fn(&str) -> String) {
    match value {
        Value::String(text) => *text = change(text),
        Value::Array(items) => items.iter_mut().for_each(|v| each_text(v, change)),
        Value::Object(fields) => fields.values_mut().for_each(|v| each_text(v, change)),
        _ => {}
    }
}

fn mask_host(text: &str, host: &str) -> String {
    // ASCII lower case keeps byte positions.
    let (lower, host) = (text.to_ascii_lowercase(), host.to_ascii_lowercase());
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(found) = lower[at..].find(&host).map(|i| i + at) {
        let end = found + host.len();
        let start = start_of_host(&lower, at, found);
        let ends = !continues(&lower[end..]);
        let stands_as_host = host.contains(['.', ':']) || is_in_address(&lower, start, end);
        if let (Some(start), true, true) = (start, ends, stands_as_host) {
            out.push_str(&text[at..start]);
            out.push_str(&masked_form(&text[start..end]));
        } else {
            out.push_str(&text[at..end]);
        }
        at = end;
    }
    out.push_str(&text[at..]);
    out
}

/// Where the host begins with its subdomains; `None` inside a longer word.
fn start_of_host(lower: &str, from: usize, found: usize) -> Option<usize> {
    match lower[..found].chars().next_back() {
        Some('.') => {
            let before = &lower[from..found];
            let kept = before.trim_end_matches(|c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '*'));
            Some(from + kept.len())
        }
        Some(c) if c.is_ascii_alphanumeric() || c == '-' || c == '_' => None,
        _ => Some(found),
    }
}

fn continues(rest: &str) -> bool {
    let mut chars = rest.chars();
    match chars.next() {
        Some(c) if c.is_ascii_alphanumeric() || c == '-' || c == '_' => true,
        Some('.') => chars.next().is_some_and(|c| c.is_ascii_alphanumeric()),
        _ => false,
    }
}

fn is_in_address(lower: &str, start: Option<usize>, end: usize) -> bool {
    let before = &lower[..start.unwrap_or(0)];
    let port = lower[end..].strip_prefix(':').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    port || before.ends_with("://") || before.ends_with('@')
}

/// The host of `host`, `host:port/0`, `scheme://user@host/path`.
fn host_of(text: &str) -> Option<String> {
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#', ' ']).next().unwrap_or(rest);
    let authority = authority.rsplit('@').next().unwrap_or(authority);
    let host = if authority.starts_with('[') {
        authority.trim_start_matches('[').split(']').next().unwrap_or(authority)
    } else if authority.matches(':').count() == 1 {
        authority.split(':').next().unwrap_or(authority)
    } else {
        authority
    };
    let is_host = !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '_'));
    is_host.then(|| host.trim_end_matches('.').to_ascii_lowercase())
}

/// Hosts in addresses anywhere in the evidence. Gaps' remedies point at documents of the trade, not at the store.
fn in_addresses(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => {
            let starts = text.match_indices("://").map(|(i, _)| i);
            found.extend(starts.filter_map(|i| {
                let rest = &text[i + 3..];
                let end = rest.find(|c: char| c.is_whitespace() || "\"'<>,;)]}/?#".contains(c)).unwrap_or(rest.len());
                host_of(&rest[..end])
            }));
        }
        Value::Array(items) => items.iter().for_each(|v| in_addresses(v, found)),
        Value::Object(fields) => fields.iter().filter(|(name, _)| *name != "cause").for_each(|(_, v)| in_addresses(v, found)),
        _ => {}
    }
}

/// Words of a sentence that look like a host: a port after them, an IPv4 address, or at least two labels and a word as the last.
fn named_in(sentence: &str) -> Vec<String> {
    let words = sentence.split(|c: char| c.is_whitespace() || "\"'`<>,;()[]{}/*".contains(c));
    words
        .filter_map(|word| {
            let word = word.trim_matches(['.', ':']);
            let has_port = word.rsplit_once(':').is_some_and(|(_, port)| !port.is_empty() && port.chars().all(|c| c.is_ascii_digit()));
            let host = host_of(word)?;
            let labels: Vec<&str> = host.split('.').collect();
            let last = labels.last().copied().unwrap_or_default();
            let is_name = labels.len() >= 2 && last.len() >= 2 && last.chars().all(|c| c.is_ascii_alphabetic());
            let is_ipv4 = labels.len() == 4 && labels.iter().all(|l| l.parse::<u8>().is_ok());
            (has_port || is_name || is_ipv4).then_some(host)
        })
        .collect()
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host == "::1" || host == "0.0.0.0" || (host.starts_with("127.") && host.split('.').count() == 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(text: &str, hosts: &[&str]) -> String {
        mask(text, &hosts.iter().map(|h| (*h).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn a_host_and_its_subdomains_are_hidden() {
        let hosts = ["db.northwind.internal", "northwind.com"];
        assert_eq!(masked("on db.northwind.internal:5432", &hosts), "on db.•••.internal:5432");
        assert_eq!(masked("https://WWW.Northwind.com/products", &hosts), "https://WWW.•••.com/products");
        assert_eq!(masked("northwind.com.", &hosts), "•••.com.");
        assert_eq!(masked("eu-1.pay.northwind.com", &hosts), "•••.com");
    }

    #[test]
    fn other_words_stay() {
        let hosts = ["northwind.com", "redis"];
        assert_eq!(masked("notnorthwind.com northwind.community", &hosts), "notnorthwind.com northwind.community");
        assert_eq!(masked("redis-cli of Redis, layer redis", &hosts), "redis-cli of Redis, layer redis");
        assert_eq!(masked("redis:6379/0 and redis://redis/1 and a@redis", &hosts), "•••:6379/0 and redis://•••/1 and a@•••");
    }

    #[test]
    fn addresses_are_hidden_whole() {
        assert_eq!(masked("10.0.3.7:6379", &["10.0.3.7"]), "•••:6379");
        assert_eq!(masked("[fd00::7]:6379", &["fd00::7"]), "[•••]:6379");
        assert_eq!(host_of("[fd00::7]:6379").as_deref(), Some("fd00::7"));
        assert_eq!(host_of("redis://u:p@cache.example:6379/0").as_deref(), Some("cache.example"));
    }

    #[test]
    fn hosts_are_found_in_sentences() {
        assert_eq!(named_in("No answer from db.northwind.internal:5432 within 5 s."), ["db.northwind.internal"]);
        assert_eq!(named_in("Nothing listens on 10.0.0.9."), ["10.0.0.9"]);
        assert_eq!(named_in("Start pg_stat_statements first; 3.5 s passed."), Vec::<String>::new());
    }
}
