//! Rocket Loader holds back the scripts that a Next.js storefront comes alive with.

use serde_json::json;

use crate::checks::edge::paths::{PATHS_USES, RealPath};
use crate::checks::edge::{Bad, SetBy, change_rule, judged, remedy};
use crate::checks::http::PathKind;
use crate::checks::{Check, always, joined};
use crate::evidence::{Gap, Layer, Section, Snapshot};
use crate::finding::{Cell, Confidence, Cost, Effort, Evidence, Finding, Remedy, Resource, Severity};
use crate::text;

const USES: [Section; 8] = joined(PATHS_USES, [Section::CdnPageRules, Section::CdnAddOns]);

pub static CHECK: Check = Check {
    id: "cdn-rocket-loader",
    layer: Layer::Cdn,
    title: "Rocket Loader rewrites the storefront's scripts",
    passed: "Rocket Loader is off.",
    why: "It rewrites every script tag and loads the scripts after the page. A React storefront then comes alive late or not at all: buttons do nothing, \
          the cart stays empty, and errors appear that no developer can repeat.",
    remedy: "Turn it off: Next.js splits and defers its scripts itself.",
    method: "Works out the setting for each of the storefront's pages seen: the zone's rocket_loader, unless a page rule or a configuration rule sets another. \
             Fires where it is on. Where a rule cannot be decided or could not be read, a pass is not told.",
    effort: Effort::Minutes,
    references: &[
        "https://developers.cloudflare.com/speed/optimization/content/rocket-loader/",
        "https://developers.cloudflare.com/rules/configuration-rules/settings/",
    ],
    needs: &[Section::CdnSettings],
    uses: &USES,
    symptom_of: &[],
    applies_to: always,
    evaluate,
};

/// What hydration waits for, as a share of the time until a page can be used: no measure of this store.
const SHARE_BY_RULE: f64 = 0.10;

const PATHS_SHOWN: usize = 20;

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let zone = snapshot.cloudflare()?;
    let judged = judged(snapshot, zone, "rocket_loader", is_page, |value| value == "on")?;
    let (of, is_whole) = (judged.of, judged.is_whole);
    let bad = judged.settled()?;
    Ok(bad.iter().map(|b| finding(b, of, is_whole)).collect())
}

/// Scripts are rewritten in HTML alone.
fn is_page(path: &RealPath) -> bool {
    let backend = ["/store/", "/admin/", "/auth/", "/app", "/health"];
    path.kind != PathKind::Static && !backend.iter().any(|b| path.path.starts_with(b))
}

fn finding(bad: &Bad, of: usize, is_whole: bool) -> Finding {
    let rows = bad.paths.iter().take(PATHS_SHOWN).map(|p| vec![Cell::text(p.clone())]).collect();
    Finding {
        subject: bad.subject("rocket_loader"),
        observed: match bad.by {
            SetBy::Zone if bad.paths.len() == of => "Rocket Loader is on for the whole zone.".to_owned(),
            by => format!("Rocket Loader is on for {}, set by {}.", text::plural(bad.paths.len() as u64, "page", "pages"), by.words()),
        },
        step: "Turn Rocket Loader off".to_owned(),
        evidence: vec![Evidence::text("rocket_loader", "on"), Evidence::table("Pages", &["path"], rows)],
        severity: Severity::Medium,
        confidence: Confidence::Medium,
        confidence_because: format!("{}; what it breaks depends on the storefront's scripts", bad.because(is_whole)),
        effort: Effort::Minutes,
        cost: Cost { resource: Resource::Latency, share: SHARE_BY_RULE },
        gain: None,
        averts: Some("pages that do not come alive".to_owned()),
        remedies: vec![remedy(bad.by)],
        verify: "Run the audit again; in the browser, the page's script tags no longer have the type \"…-text/javascript\".".to_owned(),
        touches: vec!["traffic:cdn".to_owned()],
    }
}

fn remedy(by: SetBy) -> Remedy {
    let (label, risk) = ("Turn Rocket Loader off", "Low: scripts load as the storefront's build orders them.");
    match by {
        SetBy::Zone => remedy::setting(
            label,
            "Speed → Optimization → Content Optimization → Rocket Loader",
            "rocket_loader",
            "\"off\"",
            risk,
            "Set the value to \"on\".",
        ),
        rule => change_rule(rule, label, "Rocket Loader", "rocket_loader", &json!(false), risk),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::edge::fixtures::{analytics, phase_rule, set, store, zone_of};
    use crate::checks::http::fixtures::found;
    use crate::finding::Outcome;

    #[test]
    fn on_fires_off_passes_silence_is_unknown() {
        let with = |value: Option<&str>| {
            let mut zone = zone_of(vec![]);
            zone.settings = Ok(value.map(|v| set("rocket_loader", v)).into_iter().collect());
            CHECK.run(&store(zone))
        };
        assert!(matches!(with(Some("\"on\"")), Outcome::Failed(_)));
        assert_eq!(with(Some("\"off\"")), Outcome::Passed);
        assert!(matches!(with(None), Outcome::Unknown(_)));
    }

    #[test]
    fn pages_alone_count_and_rules_decide_for_them() {
        let with = |base: &str, expression: &str, is_on: bool| {
            let mut zone = zone_of(vec![]);
            zone.settings = Ok(vec![set("rocket_loader", &format!("\"{base}\""))]);
            let paths = [("/us", "miss"), ("/store/products", "dynamic"), ("/_next/static/a.js", "miss")];
            zone.analytics = Ok(analytics(&[], &paths.map(|(path, status)| ("shop.example.com", path, status, 9))));
            let rule = phase_rule("", expression, &format!("{{\"rocket_loader\":{is_on}}}"));
            zone.add_ons.as_mut().unwrap().config_rules = Ok(vec![rule]);
            CHECK.run(&store(zone))
        };
        assert_eq!(with("on", "http.request.uri.path eq \"/us\"", false), Outcome::Passed);
        assert_eq!(with("off", "starts_with(http.request.uri.path, \"/store/\")", true), Outcome::Passed);
        let findings = found(with("off", "true", true));
        assert!(findings[0].observed.ends_with("set by the configuration rule \"true\"."), "{}", findings[0].observed);
        assert!(findings[0].observed.contains(&text::plural(1, "page", "pages")), "{}", findings[0].observed);
        assert!(matches!(with("on", "http.user_agent contains \"bot\"", false), Outcome::Unknown(_)));
        assert!(matches!(with("off", "http.user_agent contains \"bot\"", true), Outcome::Unknown(_)));
    }
}
