//! The zone's decision for a request: cache rules in order, the page rule, then settings and defaults.

use super::eval::Truth;
use super::key::{CacheKey, Query};
use super::page_rules::{action, bypasses_cookie, first_match, seconds_action, text_action};
use super::request::Request;
use crate::evidence::Gap;
use crate::evidence::cdn::{CacheRule, Cloudflare, PageRule, ZoneSetting};
use crate::text;

/// What the cache does with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fate {
    /// A rule makes it eligible, whatever its extension.
    Eligible,
    /// A rule, a setting or the method keeps it out.
    Bypass,
    /// No rule speaks; its extension is on Cloudflare's list.
    ByExtension,
    /// No rule speaks, and HTML, JSON and the like are not looked at.
    NotByDefault,
    /// A rule that cannot be judged, or evidence that is missing, decides.
    Unclear,
}

impl Fate {
    pub fn name(self) -> &'static str {
        match self {
            Fate::Eligible => "eligible by a rule",
            Fate::Bypass => "bypassed",
            Fate::ByExtension => "eligible by its extension",
            Fate::NotByDefault => "not cached by default",
            Fate::Unclear => "cannot be told",
        }
    }

    /// The cache is looked at.
    pub fn is_eligible(self) -> bool {
        matches!(self, Fate::Eligible | Fate::ByExtension)
    }
}

/// How long the edge keeps an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EdgeTtl {
    /// Seconds, whatever the origin says; below 0 not at all.
    Override(i64),
    /// The origin's headers, else Cloudflare's default for the status.
    RespectOrigin,
    /// The origin's headers, else not at all.
    BypassByDefault,
}

/// How long the browser is told to keep it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BrowserTtl {
    /// Seconds, whatever the origin says.
    Override(i64),
    /// The zone's setting: seconds that raise a shorter lifetime of the origin.
    AtLeast(i64),
    RespectOrigin,
    Bypass,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RuleKind {
    Cache,
    Page,
}

/// A rule that matches, or may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matched {
    pub kind: RuleKind,
    /// Position of a cache rule, priority of a page rule.
    pub number: i64,
    pub name: String,
    /// `Yes`, or `Unknown`.
    pub truth: Truth,
}

/// What the zone does to one request.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    pub fate: Fate,
    /// With `Unclear`: what it may be.
    pub may_be: Vec<Fate>,
    /// `None` where it cannot be told.
    pub edge_ttl: Option<EdgeTtl>,
    /// Seconds by status, of the rules that set them: first, last, seconds.
    pub status_ttls: Vec<(u16, u16, i64)>,
    pub browser_ttl: Option<BrowserTtl>,
    pub key: Option<CacheKey>,
    /// Rules that match or may, in the order they are read.
    pub rules: Vec<Matched>,
    /// The way to the decision, a sentence a step.
    pub trace: Vec<String>,
    /// Fields, functions and evidence that would be needed to tell.
    pub unknown: Vec<String>,
}

impl Decision {
    /// The last rule that surely matches and sets something.
    pub fn by(&self) -> Option<&Matched> {
        self.rules.iter().rev().find(|r| r.truth == Truth::Yes)
    }
}

/// A setting that rules write in turn: what it surely is, and what it may be instead.
#[derive(Debug, Clone)]
pub(super) struct Slot<T> {
    pub(super) sure: Option<T>,
    pub(super) maybe: Vec<T>,
}

impl<T: Clone + PartialEq> Slot<T> {
    pub(super) fn empty() -> Self {
        Self { sure: None, maybe: Vec::new() }
    }

    pub(super) fn write(&mut self, truth: Truth, value: T) {
        match truth {
            Truth::Yes => *self = Self { sure: Some(value), maybe: Vec::new() },
            Truth::Unknown if self.sure.as_ref() != Some(&value) => self.maybe.push(value),
            _ => {}
        }
    }

    /// `None` where it cannot be told.
    fn told_or(&self, fallback: Option<T>) -> Option<T> {
        let value = self.sure.clone().or(fallback)?;
        self.maybe.iter().all(|m| *m == value).then_some(value)
    }
}

struct Slots {
    fate: Slot<Fate>,
    edge: Slot<EdgeTtl>,
    status: Slot<Vec<(u16, u16, i64)>>,
    browser: Slot<BrowserTtl>,
    key: Slot<CacheKey>,
    rules: Vec<Matched>,
    trace: Vec<String>,
    unknown: Vec<String>,
}

/// What the zone does to the request, with the way there in plain words.
pub fn decide(zone: &Cloudflare, request: &Request) -> Decision {
    let mut slots = Slots {
        fate: Slot::empty(),
        edge: Slot::empty(),
        status: Slot::empty(),
        browser: Slot::empty(),
        key: Slot::empty(),
        rules: Vec::new(),
        trace: Vec::new(),
        unknown: Vec::new(),
    };
    slots.trace.push(format!("{} on {}.", request.words(), request.host));
    // Page rules speak first: a cache rule's word replaces theirs.
    let has_page_rules = match zone.page_rules() {
        Ok(rules) => {
            if let Some(rule) = first_match(rules, request) {
                slots.page_rule(rule, request);
            }
            true
        }
        Err(gap) => {
            slots.missing("page rules", &gap);
            false
        }
    };
    let has_cache_rules = match zone.cache_rules() {
        Ok(rules) => {
            rules.iter().for_each(|rule| slots.cache_rule(rule, request));
            true
        }
        Err(gap) => {
            slots.missing("cache rules", &gap);
            false
        }
    };
    let is_read = has_cache_rules && (has_page_rules || slots.fate.sure.is_some());
    let (fate, may_be) = slots.fate(zone, request, is_read);
    let browser = zone_browser_ttl(zone);
    let ending = match fate {
        Fate::Unclear if may_be.is_empty() => "What happens then cannot be told.".to_owned(),
        Fate::Unclear => format!("It is {}.", may_be.iter().map(|f| f.name()).collect::<Vec<_>>().join(", or ")),
        fate => format!("So it is {}.", fate.name()),
    };
    slots.trace.push(ending);
    slots.unknown.sort();
    slots.unknown.dedup();
    Decision {
        fate,
        may_be,
        edge_ttl: slots.edge.told_or(Some(EdgeTtl::RespectOrigin)).filter(|_| is_read),
        status_ttls: slots.status.told_or(Some(Vec::new())).into_iter().flatten().collect(),
        browser_ttl: slots.browser.told_or(browser).filter(|_| is_read),
        key: slots.key.told_or(default_key(zone)).filter(|_| is_read),
        rules: slots.rules,
        trace: slots.trace,
        unknown: slots.unknown,
    }
}

impl Slots {
    fn missing(&mut self, what: &str, gap: &Gap) {
        self.unknown.push(what.to_owned());
        self.trace.push(format!("The {what} are not known: {}", gap.detail));
    }

    fn cache_rule(&mut self, rule: &CacheRule, request: &Request) {
        if !rule.is_enabled {
            return;
        }
        let answered = super::matches(&rule.expression, request);
        if answered.truth == Truth::No {
            return;
        }
        let truth = answered.truth;
        let name = if rule.description.is_empty() { text::cut(&rule.expression, 60) } else { rule.description.clone() };
        let effect = effect(rule);
        self.trace.push(match truth {
            Truth::Yes => format!("Cache rule {} \"{name}\" matches: {effect}.", rule.position),
            _ => format!("Cache rule {} \"{name}\" may match (not told: {}): {effect}.", rule.position, answered.unknown.join(", ")),
        });
        self.unknown.extend(answered.unknown);
        self.rules.push(Matched { kind: RuleKind::Cache, number: i64::from(rule.position), name, truth });
        if let Some(cache) = rule.cache {
            self.fate.write(truth, if cache { Fate::Eligible } else { Fate::Bypass });
        }
        if let Some(ttl) = edge_ttl(rule) {
            self.edge.write(truth, ttl);
        }
        if !rule.status_ttls.is_empty() {
            self.status.write(truth, rule.status_ttls.iter().map(|t| (t.from, t.to, t.ttl_s)).collect());
        }
        if let Some(ttl) = browser_ttl(rule) {
            self.browser.write(truth, ttl);
        }
        if let Some(key) = rule.cache_key.as_deref() {
            match CacheKey::of_rule(key) {
                Some(key) => self.key.write(truth, key),
                None => self.unknown.push("a cache key that could not be read".to_owned()),
            }
        }
    }

    fn page_rule(&mut self, rule: &PageRule, request: &Request) {
        let name = rule.target.clone();
        let said: Vec<&str> = rule.actions.iter().map(|(id, _)| id.as_str()).collect();
        self.trace.push(format!("Page rule \"{name}\" matches first: {}. Cache rules replace what they set as well.", said.join(", ")));
        self.rules.push(Matched { kind: RuleKind::Page, number: rule.priority, name, truth: Truth::Yes });
        match text_action(rule, "cache_level") {
            Some("bypass") => self.fate.write(Truth::Yes, Fate::Bypass),
            Some("cache_everything") => self.fate.write(Truth::Yes, Fate::Eligible),
            Some("simplified") => self.key.write(Truth::Yes, CacheKey { query: Query::Ignored, ..CacheKey::default() }),
            _ => {}
        }
        if let Some(ttl) = seconds_action(rule, "edge_cache_ttl").filter(|s| *s > 0) {
            self.edge.write(Truth::Yes, EdgeTtl::Override(ttl));
        }
        match seconds_action(rule, "browser_cache_ttl") {
            Some(0) => self.browser.write(Truth::Yes, BrowserTtl::RespectOrigin),
            Some(ttl) => self.browser.write(Truth::Yes, BrowserTtl::Override(ttl)),
            None => {}
        }
        if let Some(key) = action(rule, "cache_key_fields").and_then(CacheKey::of_fields) {
            self.key.write(Truth::Yes, key);
        }
        if let Some(pattern) = text_action(rule, "bypass_cache_on_cookie") {
            let truth = bypasses_cookie(rule, pattern, request);
            self.fate.write(truth, Fate::Bypass);
            match truth {
                Truth::Yes => self.trace.push(format!("A cookie matches {pattern}: bypassed.")),
                Truth::Unknown => self.unknown.push(format!("whether a cookie matches {pattern}")),
                Truth::No => {}
            }
        }
    }

    fn fate(&mut self, zone: &Cloudflare, request: &Request, is_read: bool) -> (Fate, Vec<Fate>) {
        if !matches!(request.method.as_str(), "GET" | "HEAD") {
            self.trace.push(format!("{} is never cached.", request.method));
            return (Fate::Bypass, Vec::new());
        }
        if let Some(why) = switched_off(zone) {
            self.trace.push(why.to_owned());
            return (Fate::Bypass, Vec::new());
        }
        if !is_read {
            return (Fate::Unclear, Vec::new());
        }
        let default = self.default_fate(zone, request);
        match self.fate.told_or(Some(default)) {
            Some(Fate::Unclear) | None => {
                let mut all = self.fate.maybe.clone();
                all.push(self.fate.sure.unwrap_or(default));
                all.sort();
                all.dedup();
                (Fate::Unclear, all)
            }
            Some(fate) => (fate, Vec::new()),
        }
    }

    fn default_fate(&mut self, zone: &Cloudflare, request: &Request) -> Fate {
        let extension = request.extension();
        if !(EXTENSIONS.contains(&extension.as_str()) || request.path == "/robots.txt") {
            return Fate::NotByDefault;
        }
        let level = setting(zone, "cache_level");
        match level {
            // "No query string": only addresses without one are kept.
            Ok(Some("basic")) if !request.query.is_empty() => Fate::NotByDefault,
            Err(_) if !request.query.is_empty() => {
                self.unknown.push("the cache level".to_owned());
                Fate::ByExtension
            }
            _ => Fate::ByExtension,
        }
    }
}

/// Kept without any rule, from Cloudflare's "Default cache behavior".
const EXTENSIONS: [&str; 56] = [
    "7z", "apk", "avi", "avif", "bin", "bmp", "bz2", "class", "css", "csv", "dmg", "doc", "docx", "ejs", "eot", "eps", "exe", "flac", "gif", "gz",
    "ico", "iso", "jar", "jpeg", "jpg", "js", "mid", "midi", "mkv", "mp3", "mp4", "ogg", "otf", "pdf", "pict", "pls", "png", "ppt", "pptx", "ps",
    "rar", "svg", "svgz", "swf", "tar", "tif", "tiff", "ttf", "webm", "webp", "woff", "woff2", "xls", "xlsx", "zip", "zst",
];

/// Why nothing at all is cached.
fn switched_off(zone: &Cloudflare) -> Option<&'static str> {
    let is_developing = zone.zone().is_ok_and(|z| z.development_mode_s > 0) || matches!(setting(zone, "development_mode"), Ok(Some("on")));
    if zone.zone().is_ok_and(|z| z.is_paused) {
        return Some("The zone is paused: nothing passes the cache.");
    }
    is_developing.then_some("Development mode is on: the cache is bypassed for everybody.")
}

/// A setting's value without quotes; `Ok(None)` where the zone does not list it.
///
/// # Errors
/// The gap of the settings.
pub fn setting<'z>(zone: &'z Cloudflare, id: &str) -> Result<Option<&'z str>, Gap> {
    let found = |all: &'z Vec<ZoneSetting>| all.iter().find(|s| s.id == id).map(|s| s.value.trim_matches('"'));
    zone.settings().map(found)
}

fn edge_ttl(rule: &CacheRule) -> Option<EdgeTtl> {
    match rule.edge_ttl_mode.as_deref()? {
        "override_origin" => rule.edge_ttl_s.map(EdgeTtl::Override),
        "respect_origin" => Some(EdgeTtl::RespectOrigin),
        "bypass_by_default" => Some(EdgeTtl::BypassByDefault),
        _ => None,
    }
}

fn browser_ttl(rule: &CacheRule) -> Option<BrowserTtl> {
    match rule.browser_ttl_mode.as_deref()? {
        "override_origin" => rule.browser_ttl_s.map(BrowserTtl::Override),
        "respect_origin" => Some(BrowserTtl::RespectOrigin),
        "bypass" | "bypass_by_default" => Some(BrowserTtl::Bypass),
        _ => None,
    }
}

fn zone_browser_ttl(zone: &Cloudflare) -> Option<BrowserTtl> {
    match setting(zone, "browser_cache_ttl").ok()??.parse().ok()? {
        0 => Some(BrowserTtl::RespectOrigin),
        seconds => Some(BrowserTtl::AtLeast(seconds)),
    }
}

fn default_key(zone: &Cloudflare) -> Option<CacheKey> {
    let level = setting(zone, "cache_level").ok()?;
    Some(if level == Some("simplified") { CacheKey { query: Query::Ignored, ..CacheKey::default() } } else { CacheKey::default() })
}

/// What a rule sets, in words.
fn effect(rule: &CacheRule) -> String {
    let mut parts = Vec::new();
    match rule.cache {
        Some(true) => parts.push("eligible for the cache".to_owned()),
        Some(false) => parts.push("bypass the cache".to_owned()),
        None => {}
    }
    match edge_ttl(rule) {
        Some(EdgeTtl::Override(s)) => parts.push(format!("{} at the edge", text::seconds(s as f64))),
        Some(EdgeTtl::RespectOrigin) => parts.push("edge lifetime by the origin".to_owned()),
        Some(EdgeTtl::BypassByDefault) => parts.push("edge lifetime by the origin or none".to_owned()),
        None => {}
    }
    match browser_ttl(rule) {
        Some(BrowserTtl::Override(s)) => parts.push(format!("{} in the browser", text::seconds(s as f64))),
        Some(BrowserTtl::Bypass) => parts.push("not in the browser".to_owned()),
        Some(_) => parts.push("browser lifetime by the origin".to_owned()),
        None => {}
    }
    if rule.cache_key.is_some() {
        parts.push("a cache key of its own".to_owned());
    }
    if parts.is_empty() { "nothing about lifetimes or keys".to_owned() } else { parts.join(", ") }
}
