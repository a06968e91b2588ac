//! Between edge and origin nothing is encrypted.

use crate::checks::edge::{remedy, setting};
use crate::checks::{Check, always};
use crate::evidence::{Cause, Gap, Layer, Section, Snapshot};
use crate::finding::{Confidence, Cost, Effort, Evidence, Finding, Resource, Severity, Subject};

pub static CHECK: Check = Check {
    id: "cdn-ssl-flexible",
    layer: Layer::Cdn,
    title: "Cloudflare speaks to the origin without encryption",
    passed: "Cloudflare encrypts the way to the origin.",
    why: "Shoppers see a lock, but passwords, addresses and session cookies travel in the clear from Cloudflare to the store. A backend that redirects to \
          https then redirects for ever, since Cloudflare asks over http again.",
    remedy: "Put a certificate on the origin (Cloudflare issues one for it) and set the mode to Full (strict).",
    method: "Reads the zone's setting ssl: fires on flexible and off. Full without strict is not judged.",
    effort: Effort::Hours,
    references: &[
        "https://developers.cloudflare.com/ssl/origin-configuration/ssl-modes/",
        "https://developers.cloudflare.com/ssl/origin-configuration/origin-ca/",
    ],
    needs: &[Section::CdnSettings],
    uses: &[],
    symptom_of: &[],
    applies_to: always,
    evaluate,
};

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let zone = snapshot.cloudflare()?;
    let Some(mode) = setting(zone, "ssl")? else { return Err(not_told("ssl")) };
    let severity = match mode {
        "off" => Severity::Critical,
        "flexible" => Severity::High,
        _ => return Ok(Vec::new()),
    };
    Ok(vec![Finding {
        subject: Subject::new("setting", "ssl"),
        observed: format!("The SSL/TLS mode is {mode}: requests reach the origin unencrypted."),
        step: "Encrypt the way from Cloudflare to the origin".to_owned(),
        evidence: vec![Evidence::text("ssl", mode)],
        severity,
        confidence: Confidence::High,
        confidence_because: "read from the zone's settings; configuration rules may differ for some hosts".to_owned(),
        effort: Effort::Hours,
        cost: Cost { resource: Resource::Risk, share: 0.5 },
        gain: None,
        averts: Some("stolen sessions and redirect loops".to_owned()),
        remedies: vec![remedy::setting(
            "Set the mode to Full (strict)",
            "SSL/TLS → Origin Server → Create Certificate, install it; then SSL/TLS → Overview → Full (strict)",
            "ssl",
            "\"strict\"",
            "High if the origin has no valid certificate yet: every page answers 526. Install the certificate first, then change the mode.",
            "Set the value back.",
        )],
        verify: "Run the audit again: ssl is strict, and the storefront answers 200.".to_owned(),
        touches: vec!["zone:tls".to_owned()],
    }])
}

/// A zone that does not list a setting says nothing about it.
pub fn not_told(id: &str) -> Gap {
    let cause = Cause::Absent { feature: format!("the setting {id}"), remedy: String::new() };
    Gap::new(Section::CdnSettings, cause, format!("Cloudflare's settings of this zone do not tell {id}."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::edge::fixtures::{set, store, zone_of};
    use crate::checks::http::fixtures::found;
    use crate::finding::Outcome;

    #[test]
    fn modes_without_encryption_are_named() {
        let with = |mode: Option<&str>| {
            let mut zone = zone_of(vec![]);
            zone.settings = Ok(mode.map(|m| set("ssl", &format!("\"{m}\""))).into_iter().collect());
            CHECK.run(&store(zone))
        };
        assert_eq!(found(with(Some("flexible")))[0].severity, Severity::High);
        assert_eq!(found(with(Some("off")))[0].severity, Severity::Critical);
        assert_eq!((with(Some("full")), with(Some("strict"))), (Outcome::Passed, Outcome::Passed));
        assert!(matches!(with(None), Outcome::Unknown(_)));
    }
}
