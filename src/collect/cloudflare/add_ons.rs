//! What a zone has beside its settings: paid add-ons, certificates, rules of other phases. One refusal leaves the others.

use serde::Deserialize;
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{answers, gap, unreadable};
use crate::connect::cloudflare::{
    ApiError, GRANT_CERTIFICATES, GRANT_COMPRESSION, GRANT_CONFIG_RULES, GRANT_SETTINGS, GRANT_TRANSFORM_RULES, Session,
};
use crate::evidence::cdn::{AddOn, AddOns, Certificate, PhaseRule};
use crate::evidence::{Section, Seen};

const SECTION: Section = Section::CdnAddOns;
/// "Not authorized": how a zone without the paid add-on answers.
const NOT_BOUGHT: i64 = 1_015;

pub async fn read(session: &Session, zone: &str) -> AddOns {
    AddOns {
        cache_reserve: add_on(session, &format!("/zones/{zone}/cache/cache_reserve")).await,
        argo_smart_routing: add_on(session, &format!("/zones/{zone}/argo/smart_routing")).await,
        regional_tiered_cache: add_on(session, &format!("/zones/{zone}/cache/regional_tiered_cache")).await,
        variants: variants(session, zone).await,
        certificates: certificates(session, zone).await,
        config_rules: phase(session, zone, "http_config_settings", GRANT_CONFIG_RULES).await,
        compression_rules: phase(session, zone, "http_response_compression", GRANT_COMPRESSION).await,
        url_rewrites: phase(session, zone, "http_request_transform", GRANT_TRANSFORM_RULES).await,
    }
}

async fn add_on(session: &Session, path: &str) -> Seen<AddOn> {
    match session.get(path).await {
        Ok(envelope) => switch(&envelope.result).ok_or_else(|| unreadable(SECTION, "an add-on has no value")),
        Err(ApiError::Denied { code: NOT_BOUGHT, .. } | ApiError::Failed { code: NOT_BOUGHT, .. } | ApiError::NotFound { code: NOT_BOUGHT, .. }) => {
            Ok(AddOn::NotBought)
        }
        Err(e) => Err(gap(SECTION, &e, GRANT_SETTINGS)),
    }
}

/// `{id, value: "on"|"off", editable}`; off and not editable is not on the plan.
pub(super) fn switch(result: &Value) -> Option<AddOn> {
    match (result["value"].as_str()?, result["editable"].as_bool()) {
        ("on", _) => Some(AddOn::On),
        ("off", Some(false)) => Some(AddOn::NotBought),
        ("off", _) => Some(AddOn::Off),
        _ => None,
    }
}

async fn variants(session: &Session, zone: &str) -> Seen<Option<String>> {
    match session.get(&format!("/zones/{zone}/cache/variants")).await {
        Ok(envelope) => Ok(Some(envelope.result["value"].to_string())),
        // A zone that never set any.
        Err(ApiError::NotFound { .. }) => Ok(None),
        Err(e) => Err(gap(SECTION, &e, GRANT_SETTINGS)),
    }
}

#[derive(Deserialize)]
struct PackAnswer {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    hosts: Vec<String>,
    #[serde(default)]
    certificate_authority: Option<String>,
    #[serde(default)]
    certificates: Option<Vec<CertificateAnswer>>,
}

#[derive(Deserialize)]
struct CertificateAnswer {
    #[serde(default)]
    expires_on: Option<String>,
}

async fn certificates(session: &Session, zone: &str) -> Seen<Vec<Certificate>> {
    let envelope = session.get(&format!("/zones/{zone}/ssl/certificate_packs?status=all")).await;
    let envelope = envelope.map_err(|e| gap(SECTION, &e, GRANT_CERTIFICATES))?;
    packs(&envelope.result).map_err(|e| unreadable(SECTION, &e))
}

pub(super) fn packs(result: &Value) -> Result<Vec<Certificate>, String> {
    let packs: Vec<PackAnswer> = answers::list(result)?;
    packs.into_iter().map(certificate).collect()
}

fn certificate(pack: PackAnswer) -> Result<Certificate, String> {
    let ends = pack.certificates.into_iter().flatten().filter_map(|c| c.expires_on);
    let ends: Result<Vec<OffsetDateTime>, String> = ends.map(|t| OffsetDateTime::parse(&t, &Rfc3339).map_err(|e| e.to_string())).collect();
    Ok(Certificate {
        kind: pack.kind,
        status: pack.status,
        hosts: pack.hosts,
        authority: pack.certificate_authority,
        expires_at: ends?.into_iter().min(),
    })
}

async fn phase(session: &Session, zone: &str, name: &str, grant: &str) -> Seen<Vec<PhaseRule>> {
    match session.get(&format!("/zones/{zone}/rulesets/phases/{name}/entrypoint")).await {
        Ok(envelope) => answers::phase_rules(&envelope.result).map_err(|e| unreadable(SECTION, &e)),
        Err(ApiError::NotFound { code: 10_003 | 10_001, .. }) => Ok(Vec::new()),
        Err(e) => Err(gap(SECTION, &e, grant)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn packs_tell_the_first_end() {
        let pack = json!([{ "type": "universal", "status": "active", "hosts": ["a"], "certificate_authority": "google",
            "certificates": [{ "expires_on": "2027-02-01T00:00:00Z" }, { "expires_on": "2027-01-01T00:00:00.000000Z" }, {}] }]);
        assert_eq!(packs(&pack).unwrap()[0].expires_at, Some(time::macros::datetime!(2027-01-01 00:00 UTC)));
        assert!(packs(&json!([{ "certificates": [{ "expires_on": "soon" }] }])).is_err());
    }

    #[test]
    fn a_switch_that_cannot_be_moved_is_not_bought() {
        assert_eq!(switch(&json!({ "value": "off", "editable": false })), Some(AddOn::NotBought));
        assert_eq!(switch(&json!({ "value": "off" })), Some(AddOn::Off));
        assert_eq!(switch(&json!({ "value": "on", "editable": false })), Some(AddOn::On));
        assert_eq!(switch(&json!({ "value": 1 })), None);
    }
}
