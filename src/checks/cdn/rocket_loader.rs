//! Rocket Loader holds back the scripts that a Next.js storefront comes alive with.

use crate::checks::cdn::ssl_flexible::not_told;
use crate::checks::edge::{remedy, setting};
use crate::checks::{Check, always};
use crate::evidence::{Gap, Layer, Section, Snapshot};
use crate::finding::{Confidence, Cost, Effort, Evidence, Finding, Resource, Severity, Subject};

pub static CHECK: Check = Check {
    id: "cdn-rocket-loader",
    layer: Layer::Cdn,
    title: "Rocket Loader rewrites the storefront's scripts",
    passed: "Rocket Loader is off.",
    why: "It rewrites every script tag and loads the scripts after the page. A React storefront then comes alive late or not at all: buttons do nothing, \
          the cart stays empty, and errors appear that no developer can repeat.",
    remedy: "Turn it off: Next.js splits and defers its scripts itself.",
    method: "Reads the zone's setting rocket_loader: fires when it is on.",
    effort: Effort::Minutes,
    references: &["https://developers.cloudflare.com/speed/optimization/content/rocket-loader/"],
    needs: &[Section::CdnSettings],
    uses: &[],
    symptom_of: &[],
    applies_to: always,
    evaluate,
};

/// What hydration waits for, as a share of the time until a page can be used: no measure of this store.
const SHARE_BY_RULE: f64 = 0.10;

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let zone = snapshot.cloudflare()?;
    match setting(zone, "rocket_loader")? {
        None => return Err(not_told("rocket_loader")),
        Some("on") => {}
        Some(_) => return Ok(Vec::new()),
    }
    Ok(vec![Finding {
        subject: Subject::new("setting", "rocket_loader"),
        observed: "Rocket Loader is on for the whole zone.".to_owned(),
        step: "Turn Rocket Loader off".to_owned(),
        evidence: vec![Evidence::text("rocket_loader", "on")],
        severity: Severity::Medium,
        confidence: Confidence::Medium,
        confidence_because: "read from the zone's settings; what it breaks depends on the storefront's scripts".to_owned(),
        effort: Effort::Minutes,
        cost: Cost { resource: Resource::Latency, share: SHARE_BY_RULE },
        gain: None,
        averts: Some("pages that do not come alive".to_owned()),
        remedies: vec![remedy::setting(
            "Turn Rocket Loader off",
            "Speed → Optimization → Content Optimization → Rocket Loader",
            "rocket_loader",
            "\"off\"",
            "Low: scripts load as the storefront's build orders them.",
            "Set the value to \"on\".",
        )],
        verify: "Run the audit again; in the browser, the page's script tags no longer have the type \"…-text/javascript\".".to_owned(),
        touches: vec!["traffic:cdn".to_owned()],
    }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::edge::fixtures::{set, store, zone_of};
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
}
