//! Settings as they apply to single requests: the zone's, unless a page rule or a configuration rule (phase `http_config_settings`) sets another.

use serde_json::{Value, json};

use super::eval::Truth;
use super::page_rules::{first_match, text_action};
use super::paths::{RealPath, hosts, real_paths};
use super::printing::rule_text;
use super::zone::{Slot, setting};
use crate::checks::http::PathKind;
use crate::evidence::cdn::{Cloudflare, PageRule, PhaseRule};
use crate::evidence::{Cause, Gap, Section, Snapshot};
use crate::finding::{Remedy, RemedyKind, Subject};

/// Who gives a setting its value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum SetBy<'z> {
    Zone,
    PageRule(&'z PageRule),
    ConfigRule(&'z PhaseRule),
}

impl SetBy<'_> {
    /// "the zone", "the page rule *example.com/a*", "the configuration rule Legacy".
    pub fn words(self) -> String {
        match self {
            SetBy::Zone => "the zone".to_owned(),
            SetBy::PageRule(rule) => format!("the page rule \"{}\"", rule.target),
            SetBy::ConfigRule(rule) if rule.description.is_empty() => {
                format!("the configuration rule \"{}\"", crate::text::cut(&rule.expression, 60))
            }
            SetBy::ConfigRule(rule) => format!("the configuration rule \"{}\"", rule.description),
        }
    }
}

/// Paths for which a setting has one bad value from one source.
#[derive(Debug)]
pub struct Bad<'z> {
    pub value: String,
    pub by: SetBy<'z>,
    /// Host and path.
    pub paths: Vec<String>,
}

impl Bad<'_> {
    /// The setting, or the rule that sets it.
    pub fn subject(&self, id: &str) -> Subject {
        match self.by {
            SetBy::Zone => Subject::new("setting", id),
            SetBy::PageRule(rule) => Subject::new("rule", rule.target.clone()),
            SetBy::ConfigRule(rule) if rule.description.is_empty() => Subject::new("rule", rule.expression.clone()),
            SetBy::ConfigRule(rule) => Subject::new("rule", rule.description.clone()),
        }
    }

    /// How sure that is; `is_whole` as in `Judged`.
    pub fn because(&self, is_whole: bool) -> &'static str {
        match (self.by, is_whole) {
            (_, false) => "read from the zone's settings; page rules or configuration rules could not be read and may set another value",
            (SetBy::Zone, true) => "read from the zone's settings, page rules and configuration rules",
            (_, true) => "worked out from the zone's own rules",
        }
    }
}

/// A setting over the store's real paths.
#[derive(Debug)]
pub struct Judged<'z> {
    pub bad: Vec<Bad<'z>>,
    /// Paths that were judged.
    pub of: usize,
    /// Why nothing can be told of some path, or that rules could not be read.
    gap: Option<Gap>,
    /// Rules were read, so that no other value hides behind them.
    pub is_whole: bool,
}

impl<'z> Judged<'z> {
    /// What is bad; without any, what is not told.
    ///
    /// # Errors
    /// The gap, where nothing bad is known.
    pub fn settled(self) -> Result<Vec<Bad<'z>>, Gap> {
        match self.gap {
            Some(gap) if self.bad.is_empty() => Err(gap),
            _ => Ok(self.bad),
        }
    }
}

/// Judges a setting for each real path that `concerns` picks; without any, for the front doors of storefront and backend.
///
/// # Errors
/// The gap of the settings, or that nothing tells this one.
pub fn judged<'z>(
    snapshot: &Snapshot,
    zone: &'z Cloudflare,
    id: &str,
    concerns: impl Fn(&RealPath) -> bool,
    is_bad: impl Fn(&str) -> bool,
) -> Result<Judged<'z>, Gap> {
    let base = setting(zone, id)?;
    let page_rules = zone.page_rules();
    let config_rules = zone.add_ons().and_then(|a| a.config_rules.as_ref().map_err(Gap::clone));
    // Those that could not be read are a gap already.
    let of_pages: &[PageRule] = page_rules.as_ref().map_or(&[], |rules| rules.as_slice());
    let of_config: &[PhaseRule] = config_rules.as_ref().map_or(&[], |rules| rules.as_slice());
    let unread = page_rules.as_ref().err().or(config_rules.as_ref().err()).cloned();
    let paths = judged_paths(snapshot, zone, concerns);
    let mut judged = Judged { bad: Vec::new(), of: paths.len(), is_whole: unread.is_none(), gap: unread };
    for path in &paths {
        let (slot, unknown) = values(base, of_pages, of_config, id, path);
        let Some((value, by)) = slot.sure.clone() else { return Err(not_told(id)) };
        let possible: Vec<bool> = slot.maybe.iter().map(|(v, _)| is_bad(v)).chain([is_bad(&value)]).collect();
        if possible.iter().all(|bad| *bad) {
            judged.add(value, by, format!("{}{}", path.host, path.path));
        } else if possible.contains(&true) {
            judged.gap = Some(undecided(id, &unknown));
        }
    }
    Ok(judged)
}

impl<'z> Judged<'z> {
    fn add(&mut self, value: String, by: SetBy<'z>, path: String) {
        match self.bad.iter_mut().find(|b| b.value == value && b.by == by) {
            Some(known) => known.paths.push(path),
            None => self.bad.push(Bad { value, by, paths: vec![path] }),
        }
    }
}

fn judged_paths<'s>(snapshot: &'s Snapshot, zone: &Cloudflare, concerns: impl Fn(&RealPath) -> bool) -> Vec<RealPath<'s>> {
    let door = |host: String| RealPath { host, path: "/".to_owned(), kind: PathKind::Other, answer: None, requests: 0 };
    let real: Vec<RealPath> = real_paths(snapshot, zone).into_iter().filter(concerns).collect();
    if !real.is_empty() {
        return real;
    }
    let (storefront, backend) = hosts(snapshot, zone);
    let doors: Vec<RealPath> = storefront.into_iter().chain(backend).map(door).collect();
    // A zone that the store does not lie in is judged as it stands.
    if doors.is_empty() { zone.zone().ok().map(|z| door(z.name.clone())).into_iter().collect() } else { doors }
}

type Values<'z> = Slot<(String, SetBy<'z>)>;

/// What the setting surely is for a path and what it may be, with what would have to be known.
fn values<'z>(base: Option<&str>, page_rules: &'z [PageRule], config_rules: &'z [PhaseRule], id: &str, path: &RealPath) -> (Values<'z>, Vec<String>) {
    let request = path.request();
    let (mut slot, mut unknown) = (Slot::empty(), Vec::new());
    slot.sure = base.map(|value| (value.to_owned(), SetBy::Zone));
    if let Some(rule) = first_match(page_rules, &request)
        && let Some(value) = text_action(rule, id)
    {
        slot.write(Truth::Yes, (value.to_owned(), SetBy::PageRule(rule)));
    }
    // Configuration rules replace what page rules set; the last that matches wins.
    for rule in config_rules.iter().filter(|r| r.is_enabled) {
        let Some(value) = serde_json::from_str::<Value>(&rule.parameters).ok().and_then(|p| worded(&p[id])) else { continue };
        let answered = super::matches(&rule.expression, &request);
        if answered.truth == Truth::Yes {
            unknown.clear();
        }
        unknown.extend(answered.unknown);
        slot.write(answered.truth, (value, SetBy::ConfigRule(rule)));
    }
    (slot, unknown)
}

/// Configuration rules say true where settings say "on".
fn worded(value: &Value) -> Option<String> {
    match value {
        Value::Bool(is_on) => Some(if *is_on { "on" } else { "off" }.to_owned()),
        Value::String(word) => Some(word.clone()),
        _ => None,
    }
}

/// A zone that does not list a setting says nothing about it.
fn not_told(id: &str) -> Gap {
    let cause = Cause::Absent { feature: format!("the setting {id}"), remedy: String::new() };
    Gap::new(Section::CdnSettings, cause, format!("Cloudflare's settings of this zone do not tell {id}."))
}

fn undecided(id: &str, unknown: &[String]) -> Gap {
    let what = unknown.join(", ");
    let detail = format!("Configuration rules set {id} by what cannot be told from outside: {what}.");
    Gap::new(Section::CdnAddOns, Cause::Absent { feature: what, remedy: String::new() }, detail)
}

/// How a rule that sets `id` is changed; `place` is the setting's name on the rule's page.
pub fn change_rule(by: SetBy, label: &str, place: &str, id: &str, to: &Value, risk: &str) -> Remedy {
    let text = match by {
        SetBy::PageRule(rule) => format!("// Dashboard: Rules → Page Rules → {} → {place}: remove the setting, or set it to {to}", rule.target),
        SetBy::Zone => format!("// Dashboard: {place}: {to}"),
        SetBy::ConfigRule(rule) => {
            let mut parameters: Value = serde_json::from_str(&rule.parameters).unwrap_or_else(|_| json!({}));
            parameters[id] = to.clone();
            let changed = rule_text("set_config", &parameters, &rule.description, &rule.expression);
            format!(
                "// Dashboard: Rules → Overview → Configuration Rules → {} → {place}: {to}\n\
                 // API: PATCH /zones/{{zone_id}}/rulesets/{{ruleset_id}}/rules/{{rule_id}}\n\
                 // both ids are in GET /zones/{{zone_id}}/rulesets/phases/http_config_settings/entrypoint\n{changed}",
                if rule.description.is_empty() { &rule.expression } else { &rule.description }
            )
        }
    };
    Remedy {
        kind: RemedyKind::Cloudflare,
        label: label.to_owned(),
        text,
        lock: None,
        risk: risk.to_owned(),
        undo: Some("Set the value of the rule back.".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{analytics, page_rule, phase_rule, set, store, zone_of};
    use super::*;

    fn zone(base: &str, rules: Vec<PhaseRule>) -> Cloudflare {
        let mut zone = zone_of(vec![]);
        zone.settings = Ok(vec![set("rocket_loader", &format!("\"{base}\""))]);
        zone.add_ons.as_mut().unwrap().config_rules = Ok(rules);
        zone.analytics = Ok(analytics(&[], &[("shop.example.com", "/us/products/x", "miss", 9), ("api.example.com", "/store/products", "miss", 9)]));
        zone
    }

    /// Values that are bad with the number of their paths, or `None` where it cannot be told.
    fn bad(zone: &Cloudflare) -> Option<Vec<(String, usize)>> {
        let snapshot = store(zone.clone());
        let judged = judged(&snapshot, zone, "rocket_loader", |_| true, |v| v == "on").unwrap();
        judged.settled().ok().map(|all| all.into_iter().map(|b| (b.by.words(), b.paths.len())).collect())
    }

    fn sets(expression: &str, parameters: &str) -> PhaseRule {
        phase_rule("R", expression, parameters)
    }

    #[test]
    fn the_last_matching_rule_replaces_the_zones_setting() {
        let on = |expression: &str| sets(expression, r#"{"rocket_loader":true}"#);
        let off = |expression: &str| sets(expression, r#"{"rocket_loader":false}"#);
        let shop = "http.host eq \"shop.example.com\"";
        let by_zone = |n: usize| Some(vec![("the zone".to_owned(), n)]);
        let by_rule = |n: usize| Some(vec![("the configuration rule \"R\"".to_owned(), n)]);
        assert_eq!(bad(&zone("on", vec![])), by_zone(2));
        assert_eq!(bad(&zone("off", vec![])), Some(vec![]));
        assert_eq!(bad(&zone("on", vec![off("true")])), Some(vec![]));
        assert_eq!(bad(&zone("on", vec![off(shop)])), by_zone(1));
        assert_eq!(bad(&zone("off", vec![on(shop)])), by_rule(1));
        assert_eq!(bad(&zone("off", vec![on(shop), off("true")])), Some(vec![]));
        assert_eq!(bad(&zone("off", vec![on("http.host eq \"other.example.com\"")])), Some(vec![]));
        assert_eq!(bad(&zone("off", vec![PhaseRule { is_enabled: false, ..on("true") }])), Some(vec![]));
        assert_eq!(bad(&zone("off", vec![sets("true", r#"{"polish":"lossy"}"#)])), Some(vec![]));
    }

    #[test]
    fn what_cannot_be_decided_is_neither_a_pass_nor_an_alarm() {
        let maybe = |parameters: &str| sets("ip.src.country eq \"DE\"", parameters);
        assert_eq!(bad(&zone("off", vec![maybe(r#"{"rocket_loader":true}"#)])), None);
        assert_eq!(bad(&zone("on", vec![maybe(r#"{"rocket_loader":false}"#)])), None);
        // Whatever the answer, it is the same.
        assert_eq!(bad(&zone("off", vec![maybe(r#"{"rocket_loader":false}"#)])), Some(vec![]));
        assert_eq!(bad(&zone("on", vec![maybe(r#"{"rocket_loader":true}"#)])).map(|all| all.len()), Some(1));
        // A rule behind it decides.
        assert_eq!(bad(&zone("on", vec![maybe(r#"{"rocket_loader":true}"#), sets("true", r#"{"rocket_loader":false}"#)])), Some(vec![]));
    }

    #[test]
    fn rules_that_could_not_be_read_are_no_pass() {
        let unread = |base: &str| {
            let mut zone = zone(base, vec![]);
            zone.add_ons.as_mut().unwrap().config_rules = Err(Gap::new(Section::CdnAddOns, Cause::Unreadable, "refused"));
            zone
        };
        assert_eq!((bad(&unread("off")), bad(&unread("on")).map(|all| all.len())), (None, Some(1)));
    }

    #[test]
    fn page_rules_replace_the_setting_and_are_replaced() {
        let mut zone = zone("off", vec![]);
        zone.page_rules = Ok(vec![page_rule(1, "*", &[("rocket_loader", "\"on\"")])]);
        assert_eq!(bad(&zone), Some(vec![("the page rule \"*\"".to_owned(), 2)]));
        zone.add_ons.as_mut().unwrap().config_rules = Ok(vec![sets("true", r#"{"rocket_loader":false}"#)]);
        assert_eq!(bad(&zone), Some(vec![]));
    }

    #[test]
    fn the_changed_rule_keeps_what_else_it_sets() {
        let rule = sets("true", r#"{"rocket_loader":true,"polish":"lossy"}"#);
        let text = change_rule(SetBy::ConfigRule(&rule), "Off", "Rocket Loader", "rocket_loader", &json!(false), "Low.").text;
        let json: String = text.lines().filter(|l| !l.starts_with("//")).collect();
        let value: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value["action_parameters"], json!({ "rocket_loader": false, "polish": "lossy" }));
        assert!(value["expression"] == "true" && text.contains("PATCH"));
    }
}
