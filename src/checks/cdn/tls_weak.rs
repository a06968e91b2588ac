//! Old versions of TLS are still agreed to, or the shop is reached without TLS.

use std::collections::BTreeSet;

use crate::checks::edge::remedy;
use crate::checks::http::{answer, distrust, host, is_private_host};
use crate::checks::{Applies, Check};
use crate::evidence::storefront::{Storefront, Tls, Variant};
use crate::evidence::{Cause, Gap, Layer, Section, Snapshot};
use crate::finding::{Cell, Confidence, Cost, Effort, Evidence, Finding, Remedy, RemedyKind, Resource, Severity, Subject};

pub static CHECK: Check = Check {
    id: "cdn-tls-weak",
    layer: Layer::Cdn,
    title: "TLS versions before 1.2 are accepted, or none is used",
    passed: "The shop's hosts accept TLS 1.2 and 1.3 only.",
    why: "TLS 1.0 and 1.1 have known weaknesses and are no longer allowed where card data pass (PCI DSS 4, requirement 4.2.1). A shop over plain HTTP shows carts and \
          sign-ins to every network on the way.",
    remedy: "Set the lowest version to TLS 1.2 at whatever ends TLS.",
    method: "Greets each public host of the shop once with TLS 1.1 and once with 1.0, and reads whether the server agrees; also the zone's min_tls_version. The \
             connection ends after the answer. An address entered as http:// fires where its answers are not redirected to https. Hosts of this machine or a \
             private network are not judged.",
    effort: Effort::Minutes,
    references: &[
        "https://www.rfc-editor.org/rfc/rfc8996",
        "https://developers.cloudflare.com/ssl/edge-certificates/additional-options/minimum-tls/",
        "https://ssl-config.mozilla.org/",
    ],
    needs: &[Section::StorefrontTls],
    uses: &[Section::CdnSettings, Section::StorefrontPages, Section::StoreApi],
    symptom_of: &[],
    applies_to,
    evaluate,
};

/// An audit of card payments fails; a shopper is rarely harmed.
const OLD_RISK: f64 = 0.08;
const PLAIN_RISK: f64 = 0.5;

fn public_urls(shop: &Storefront) -> Vec<&str> {
    let all = [&shop.storefront_url, &shop.backend_url].into_iter().flatten().map(String::as_str);
    all.filter(|u| !is_private_host(host(u))).collect()
}

fn applies_to(snapshot: &Snapshot) -> Result<Applies, Gap> {
    let shop = snapshot.shop()?;
    shop.tls()?;
    Ok(if public_urls(shop).is_empty() { Applies::No("the shop's hosts are private".to_owned()) } else { Applies::Yes })
}

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let shop = snapshot.shop()?;
    let urls = public_urls(shop);
    let (plain, others): (Vec<&str>, Vec<&str>) = urls.iter().copied().partition(|u| answers_plain(shop, u));
    let seen: Vec<&Tls> = shop.tls()?.iter().filter(|t| urls.iter().any(|u| host(u) == t.host)).collect();
    let old: Vec<&Tls> = seen.iter().copied().filter(|t| t.old_versions.as_ref().is_some_and(|v| !v.is_empty())).collect();
    let setting = min_version(snapshot);
    let mut findings: Vec<Finding> = plain.into_iter().map(host).map(unencrypted).collect();
    if !old.is_empty() || setting.is_some() {
        findings.push(finding(&old, setting.as_deref(), &urls));
    }
    let silent: Vec<&str> =
        others.iter().map(|u| host(u)).filter(|name| !has_answered(name, &others, &seen)).collect::<BTreeSet<_>>().into_iter().collect();
    if findings.is_empty() && !silent.is_empty() {
        let what = "answers to a greeting of an old version".into();
        let cause = Cause::TooFew { have: (others.len().saturating_sub(silent.len())) as u64, need: others.len() as u64, what };
        let detail = format!("{} answered no greeting with TLS 1.1 or 1.0, neither with yes nor with no.", silent.join(" and "));
        return Err(Gap::new(Section::StorefrontTls, cause, detail));
    }
    Ok(findings)
}

/// Whether each port of a host that was entered with https answered an old greeting; one answer where it was entered with http alone.
fn has_answered(name: &str, urls: &[&str], seen: &[&Tls]) -> bool {
    let entered: BTreeSet<&str> = urls.iter().copied().filter(|u| host(u) == name && u.starts_with("https://")).collect();
    seen.iter().filter(|t| t.host == name && t.old_versions.is_some()).count() >= entered.len().max(1)
}

/// Whether an address entered as http:// answers there, and not from the https it leads to.
fn answers_plain(shop: &Storefront, url: &str) -> bool {
    let asked = [shop.pages(), shop.api()].into_iter().flatten().flatten();
    let own = asked.filter(|t| url.starts_with("http://") && t.url.starts_with("http://") && host(&t.url) == host(url));
    let mut last = own.filter_map(|t| Some(answer(t, Variant::First)?.redirects.last().map_or(t.url.as_str(), |(_, to)| to)));
    last.any(|at| at.starts_with("http://"))
}

/// The zone's lowest version, when it is older than 1.2.
fn min_version(snapshot: &Snapshot) -> Option<String> {
    let settings = snapshot.cloudflare().ok()?.settings().ok()?;
    let value = settings.iter().find(|s| s.id == "min_tls_version")?.value.trim_matches('"').to_owned();
    matches!(value.as_str(), "1.0" | "1.1").then_some(value)
}

fn finding(old: &[&Tls], setting: Option<&str>, urls: &[&str]) -> Finding {
    let rows = old.iter().map(|t| {
        let versions = t.old_versions.as_ref().map_or_else(String::new, |v| v.join(", "));
        vec![Cell::text(t.host.clone()), Cell::text(versions), Cell::text(t.version.clone())]
    });
    let name = old.first().map_or_else(|| urls.first().map_or("", |u| host(u)), |t| t.host.as_str()).to_owned();
    let observed = match (old.first().and_then(|t| t.old_versions.as_ref()), setting) {
        (Some(versions), _) => format!("{name} agrees to {}.", versions.join(" and ")),
        (None, Some(version)) => format!("The zone's lowest version is TLS {version}."),
        (None, None) => String::new(),
    };
    let mut evidence = Vec::new();
    if !old.is_empty() {
        evidence.push(Evidence::table("Hosts", &["host", "old versions accepted", "version taken"], rows.collect()));
    }
    evidence.extend(old.iter().filter_map(|t| distrust(t)));
    evidence.extend(setting.map(|v| Evidence::text("min_tls_version of the zone", v)));
    Finding {
        subject: Subject::new("host", name),
        observed,
        step: "Accept TLS 1.2 and 1.3 only".to_owned(),
        evidence,
        severity: Severity::Medium,
        confidence: Confidence::High,
        confidence_because: if old.is_empty() { "read from the zone's settings" } else { "the server agreed in a handshake" }.to_owned(),
        effort: Effort::Minutes,
        cost: Cost { resource: Resource::Risk, share: OLD_RISK },
        gain: None,
        averts: Some("a failed audit of card payments".to_owned()),
        remedies: if setting.is_some() { vec![cloudflare()] } else { vec![nginx(), cloudfront()] },
        verify: "openssl s_client -connect <host>:443 -tls1_1 fails.".to_owned(),
        touches: Vec::new(),
    }
}

fn unencrypted(name: &str) -> Finding {
    Finding {
        subject: Subject::new("host", format!("{name} (http)")),
        observed: format!("{name} was entered as http:// and answers without TLS."),
        step: "Serve the shop over https".to_owned(),
        evidence: Vec::new(),
        severity: Severity::High,
        confidence: Confidence::Medium,
        confidence_because: "no answer led to https; whether that works as well was not asked".to_owned(),
        effort: Effort::Hours,
        cost: Cost { resource: Resource::Risk, share: PLAIN_RISK },
        gain: None,
        averts: Some("carts and sign-ins readable on the way".to_owned()),
        remedies: vec![remedy::nginx(
            "nginx: one address, encrypted",
            "# server block of port 80\nreturn 301 https://$host$request_uri;\n# server block of port 443\nadd_header Strict-Transport-Security \"max-age=31536000\" always;",
            "Low, once a certificate is in place; begin with a max-age of a day.",
        )],
        verify: format!("curl -sI http://{name}/ answers 301 to https://."),
        touches: Vec::new(),
    }
}

fn cloudflare() -> Remedy {
    remedy::setting(
        "Raise the zone's lowest version",
        "SSL/TLS → Edge Certificates → Minimum TLS Version → 1.2",
        "min_tls_version",
        "\"1.2\"",
        "Low: browsers before 2014 can no longer connect.",
        "Set the former value.",
    )
}

fn nginx() -> Remedy {
    let risk = "Low: browsers before 2014 can no longer connect.";
    remedy::nginx("nginx", "# http or server block, in place of the former line\nssl_protocols TLSv1.2 TLSv1.3;", risk)
}

fn cloudfront() -> Remedy {
    Remedy {
        kind: RemedyKind::Cloudfront,
        label: "CloudFront".to_owned(),
        text: "# Console: CloudFront → the distribution → General → Edit → Security policy: TLSv1.2_2021.\n\
               # CLI: in the file of `aws cloudfront get-distribution-config`, ViewerCertificate.MinimumProtocolVersion = \"TLSv1.2_2021\"; then update-distribution."
            .to_owned(),
        lock: None,
        risk: "Low: wants an alternate domain name with its own certificate.".to_owned(),
        undo: Some("Choose the former policy.".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::http::fixtures::{found, shop, target};
    use crate::evidence::storefront::PathClass;
    use crate::finding::Outcome;

    fn with(url: &str, old_versions: Option<Vec<String>>) -> Snapshot {
        let mut snapshot = shop(vec![], vec![], vec![]);
        let shop = snapshot.storefront.as_mut().unwrap();
        (shop.storefront_url, shop.backend_url) = (Some(url.into()), None);
        let tls = Tls {
            host: host(url).into(),
            version: "TLSv1.3".into(),
            alpn: Some("h2".into()),
            issuer: None,
            handshake_ms: 20.0,
            old_versions,
            distrust: None,
        };
        shop.tls = Ok(vec![tls]);
        snapshot
    }

    /// With the home page as it was asked, and where it led.
    fn with_home(url: &str, led_to: Option<&str>) -> Snapshot {
        let mut snapshot = with(url, Some(Vec::new()));
        let mut home = target(PathClass::Home, &format!("{url}/"), &[], &[]);
        for probe in &mut home.probes {
            probe.answer.as_mut().unwrap().redirects = led_to.iter().map(|to| (301, (*to).to_owned())).collect();
        }
        snapshot.storefront.as_mut().unwrap().pages = Ok(vec![home]);
        snapshot
    }

    const PUBLIC: &str = "https://shop.example.com";

    #[test]
    fn an_agreement_to_an_old_version_is_named() {
        let findings = found(CHECK.run(&with(PUBLIC, Some(vec!["TLSv1.1".into(), "TLSv1.0".into()]))));
        assert!(findings[0].observed.contains("TLSv1.1 and TLSv1.0"), "{}", findings[0].observed);
        assert_eq!(CHECK.run(&with(PUBLIC, Some(Vec::new()))), Outcome::Passed);
        assert!(matches!(CHECK.run(&with(PUBLIC, None)), Outcome::Unknown(_)));
    }

    /// The storefront's handshake failed, the backend's did not: nothing is known of the storefront.
    #[test]
    fn a_host_that_nobody_greeted_is_no_pass() {
        let both = |storefront: &str, backend: &str, answered: &[Option<Vec<String>>]| {
            let mut snapshot = with(PUBLIC, Some(Vec::new()));
            let shop = snapshot.storefront.as_mut().unwrap();
            (shop.storefront_url, shop.backend_url) = (Some(storefront.into()), Some(backend.into()));
            let one = shop.tls.clone().unwrap().remove(0);
            let hosts = [host(backend), host(storefront)].into_iter().zip(answered);
            shop.tls = Ok(hosts.map(|(name, old)| Tls { host: name.into(), old_versions: old.clone(), ..one.clone() }).collect());
            CHECK.run(&snapshot)
        };
        let (api, no) = ("https://api.example.com", || Some(Vec::new()));
        let Outcome::Unknown(gap) = both(PUBLIC, api, &[no()]) else { panic!("the storefront was not greeted") };
        assert!(gap.detail.starts_with("shop.example.com answered"), "{}", gap.detail);
        assert!(matches!(both(PUBLIC, api, &[no(), None]), Outcome::Unknown(_)));
        assert_eq!(both(PUBLIC, api, &[no(), no()]), Outcome::Passed);
        assert!(matches!(both(PUBLIC, api, &[Some(vec!["TLSv1.0".into()])]), Outcome::Failed(_)));
        // Two ports of one host are two servers, one address entered twice is one; a private backend is not judged.
        assert!(matches!(both(PUBLIC, "https://shop.example.com:9000", &[no()]), Outcome::Unknown(_)));
        assert_eq!(both(PUBLIC, PUBLIC, &[no()]), Outcome::Passed);
        assert_eq!(both(PUBLIC, "http://10.0.0.7:9000", &[None, no()]), Outcome::Passed);
    }

    #[test]
    fn plain_http_is_worse_and_private_hosts_are_left_alone() {
        let plain = "http://shop.example.com";
        assert_eq!(found(CHECK.run(&with_home(plain, None)))[0].severity, Severity::High);
        assert_eq!(found(CHECK.run(&with_home(plain, Some("http://shop.example.com/us"))))[0].severity, Severity::High);
        assert_eq!(CHECK.run(&with_home(plain, Some("https://shop.example.com/"))), Outcome::Passed);
        assert!(matches!(CHECK.run(&with(plain, None)), Outcome::Unknown(_)), "nothing answered");
        assert!(matches!(CHECK.run(&with("http://localhost:8000", Some(vec!["TLSv1.0".into()]))), Outcome::NotApplicable(_)));
    }
}
