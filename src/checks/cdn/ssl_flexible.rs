//! Between edge and origin nothing is encrypted.

use serde_json::json;

use crate::checks::edge::paths::PATHS_USES;
use crate::checks::edge::{Bad, SetBy, change_rule, judged, remedy};
use crate::checks::{Check, always, joined};
use crate::evidence::{Gap, Layer, Section, Snapshot};
use crate::finding::{Cell, Confidence, Cost, Effort, Evidence, Finding, Remedy, Resource, Severity};
use crate::text;

const USES: [Section; 8] = joined(PATHS_USES, [Section::CdnPageRules, Section::CdnAddOns]);

pub static CHECK: Check = Check {
    id: "cdn-ssl-flexible",
    layer: Layer::Cdn,
    title: "Cloudflare speaks to the origin without encryption",
    passed: "Cloudflare encrypts the way to the origin.",
    why: "Shoppers see a lock, but passwords, addresses and session cookies travel in the clear from Cloudflare to the store. A backend that redirects to \
          https then redirects for ever, since Cloudflare asks over http again.",
    remedy: "Put a certificate on the origin (Cloudflare issues one for it) and set the mode to Full (strict).",
    method: "Works out the mode of each of the store's paths seen: the zone's setting ssl, unless a page rule or a configuration rule sets another. Fires on \
             flexible and off. Full without strict is not judged. Where a rule cannot be decided or could not be read, a pass is not told.",
    effort: Effort::Hours,
    references: &[
        "https://developers.cloudflare.com/ssl/origin-configuration/ssl-modes/",
        "https://developers.cloudflare.com/ssl/origin-configuration/origin-ca/",
        "https://developers.cloudflare.com/rules/configuration-rules/settings/",
    ],
    needs: &[Section::CdnSettings],
    uses: &USES,
    symptom_of: &[],
    applies_to: always,
    evaluate,
};

const PATHS_SHOWN: usize = 20;

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let zone = snapshot.cloudflare()?;
    let judged = judged(snapshot, zone, "ssl", |_| true, |mode| matches!(mode, "off" | "flexible"))?;
    let (of, is_whole) = (judged.of, judged.is_whole);
    let bad = judged.settled()?;
    Ok(bad.iter().map(|b| finding(b, of, is_whole)).collect())
}

fn finding(bad: &Bad, of: usize, is_whole: bool) -> Finding {
    let mode = &bad.value;
    let rows = bad.paths.iter().take(PATHS_SHOWN).map(|p| vec![Cell::text(p.clone())]).collect();
    Finding {
        subject: bad.subject("ssl"),
        observed: match bad.by {
            SetBy::Zone if bad.paths.len() == of => format!("The SSL/TLS mode is {mode}: requests reach the origin unencrypted."),
            by => format!(
                "The SSL/TLS mode set by {} is {mode} for {} of the store: requests for them reach the origin unencrypted.",
                by.words(),
                text::plural(bad.paths.len() as u64, "path", "paths")
            ),
        },
        step: "Encrypt the way from Cloudflare to the origin".to_owned(),
        evidence: vec![Evidence::text("ssl", mode.clone()), Evidence::table("Paths", &["path"], rows)],
        severity: if mode == "off" { Severity::Critical } else { Severity::High },
        confidence: if is_whole { Confidence::High } else { Confidence::Medium },
        confidence_because: bad.because(is_whole).to_owned(),
        effort: Effort::Hours,
        cost: Cost { resource: Resource::Risk, share: 0.5 },
        gain: None,
        averts: Some("stolen sessions and redirect loops".to_owned()),
        remedies: vec![remedy(bad.by)],
        verify: "Run the audit again: ssl is strict, and the storefront answers 200.".to_owned(),
        touches: vec!["zone:tls".to_owned()],
    }
}

fn remedy(by: SetBy) -> Remedy {
    let label = "Set the mode to Full (strict)";
    let risk = "High if the origin has no valid certificate yet: every page answers 526. Install the certificate first, then change the mode.";
    match by {
        SetBy::Zone => remedy::setting(
            label,
            "SSL/TLS → Origin Server → Create Certificate, install it; then SSL/TLS → Overview → Full (strict)",
            "ssl",
            "\"strict\"",
            risk,
            "Set the value back.",
        ),
        rule => change_rule(rule, label, "SSL", "ssl", &json!("strict"), risk),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::edge::fixtures::{analytics, phase_rule, set, store, zone_of};
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

    #[test]
    fn a_rule_for_a_host_replaces_the_zones_mode() {
        let with = |mode: &str, expression: &str, of_rule: &str| {
            let mut zone = zone_of(vec![]);
            zone.settings = Ok(vec![set("ssl", &format!("\"{mode}\""))]);
            zone.analytics = Ok(analytics(&[], &[("shop.example.com", "/", "miss", 9), ("api.example.com", "/store/regions", "miss", 9)]));
            let rule = phase_rule("Legacy", expression, &format!("{{\"ssl\":\"{of_rule}\"}}"));
            zone.add_ons.as_mut().unwrap().config_rules = Ok(vec![rule]);
            CHECK.run(&store(zone))
        };
        let api = "http.host eq \"api.example.com\"";
        let findings = found(with("strict", api, "flexible"));
        assert_eq!((findings.len(), findings[0].subject.name.as_str(), findings[0].severity), (1, "Legacy", Severity::High));
        assert!(findings[0].remedies[0].text.contains("\"ssl\": \"strict\""), "{}", findings[0].remedies[0].text);
        assert!(found(with("flexible", api, "strict"))[0].observed.contains(&format!("{} of the store", text::plural(1, "path", "paths"))));
        assert_eq!(with("flexible", "true", "strict"), Outcome::Passed);
        assert_eq!(with("strict", "http.host eq \"mail.example.com\"", "off"), Outcome::Passed);
        for (mode, of_rule) in [("strict", "flexible"), ("flexible", "strict")] {
            assert!(matches!(with(mode, "ip.src.country eq \"DE\"", of_rule), Outcome::Unknown(_)), "{mode}");
        }
    }
}
