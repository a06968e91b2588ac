//! Development mode sends every request to the origin.

use crate::checks::edge::remedy;
use crate::checks::{Check, always};
use crate::evidence::{Gap, Layer, Section, Snapshot};
use crate::finding::{Confidence, Cost, Effort, Evidence, Finding, Resource, Severity, Subject};
use crate::text;

pub static CHECK: Check = Check {
    id: "cdn-development-mode",
    layer: Layer::Cdn,
    title: "Cloudflare's development mode is on",
    passed: "Development mode is off: the cache works.",
    why: "While it is on, nothing is answered from the cache: every script, picture and page comes from the store's own machines. It ends by itself after \
          three hours, in which the store is as slow as without a CDN.",
    remedy: "Turn it off once the change that needed it is seen; purge single files instead the next time.",
    method: "Reads the zone: fires while seconds of development mode are left.",
    effort: Effort::Minutes,
    references: &["https://developers.cloudflare.com/cache/reference/development-mode/"],
    needs: &[Section::CdnZone],
    uses: &[],
    symptom_of: &[],
    applies_to: always,
    evaluate,
};

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let zone = snapshot.cloudflare()?.zone()?;
    if zone.development_mode_s <= 0 {
        return Ok(Vec::new());
    }
    let left = text::seconds(zone.development_mode_s as f64);
    Ok(vec![Finding {
        subject: Subject::new("zone", zone.name.clone()),
        observed: format!("Development mode is on for another {left}: no request is answered from the cache."),
        step: "Turn development mode off".to_owned(),
        evidence: vec![Evidence::figure("Left", zone.development_mode_s as f64, "s", left)],
        severity: Severity::High,
        confidence: Confidence::High,
        confidence_because: "read from the zone".to_owned(),
        effort: Effort::Minutes,
        cost: Cost { resource: Resource::OriginRequests, share: 1.0 },
        gain: None,
        averts: None,
        remedies: vec![remedy::setting(
            "Turn development mode off",
            "Caching → Configuration → Development Mode",
            "development_mode",
            "\"off\"",
            "Low: files that changed under their name in the last hours may be served from the cache again; purge them.",
            "Set the value to \"on\".",
        )],
        verify: "Run the audit again: the second request for a static file is a hit.".to_owned(),
        touches: vec!["traffic:cdn".to_owned()],
    }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::edge::fixtures::{store, zone_of};
    use crate::checks::http::fixtures::found;
    use crate::finding::Outcome;

    #[test]
    fn one_second_left_is_on() {
        let with = |left_s| {
            let mut zone = zone_of(vec![]);
            zone.zone.as_mut().unwrap().development_mode_s = left_s;
            CHECK.run(&store(zone))
        };
        assert_eq!(with(0), Outcome::Passed);
        assert_eq!(found(with(1))[0].severity, Severity::High);
    }
}
