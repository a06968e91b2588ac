//! Browsers get HTTP/1.1 only.

use crate::checks::edge::remedy;
use crate::checks::http::{distrust, edge, host, is_private_host};
use crate::checks::{Applies, Check};
use crate::evidence::storefront::{Storefront, Tls};
use crate::evidence::{Cause, Gap, Layer, Section, Snapshot};
use crate::finding::{Confidence, Cost, Effort, Evidence, Finding, Resource, Severity, Subject};

pub static CHECK: Check = Check {
    id: "cdn-http-version",
    layer: Layer::Cdn,
    title: "The storefront speaks HTTP/1.1 only, or HTTP/3 is switched off",
    passed: "The storefront speaks HTTP/2, and HTTP/3 is not switched off.",
    why: "Over HTTP/1.1 a browser loads six files at a time and waits in line for the others; a product page has forty. HTTP/2 sends them over one connection, and \
          HTTP/3 keeps mobile shoppers connected when packets are lost.",
    remedy: "Switch HTTP/2 and HTTP/3 on at whatever ends TLS.",
    method: "Offers h2 and http/1.1 in a TLS handshake with the storefront and the backend (ALPN) and fires where a storefront takes http/1.1. HTTP/3 is Info, and only where the \
             Cloudflare zone has it switched off though the plan has it. Hosts of this machine or a private network are not judged.",
    effort: Effort::Minutes,
    references: &[
        "https://www.rfc-editor.org/rfc/rfc9113",
        "https://developers.cloudflare.com/speed/optimization/protocol/http3/",
        "https://nginx.org/en/docs/http/ngx_http_v2_module.html",
    ],
    needs: &[Section::StorefrontTls],
    uses: &[Section::StorefrontPages, Section::CdnSettings],
    symptom_of: &[],
    applies_to,
    evaluate,
};

/// Forty files in lines of six: some round trips of the first view, not its whole time.
const LATENCY_SHARE: f64 = 0.06;

fn store_host(shop: &Storefront) -> Option<&str> {
    shop.storefront_url.as_deref().or(shop.backend_url.as_deref()).map(host)
}

fn applies_to(snapshot: &Snapshot) -> Result<Applies, Gap> {
    let shop = snapshot.shop()?;
    shop.tls()?;
    if store_host(shop).is_some_and(is_private_host) {
        return Ok(Applies::No("the storefront is on a private host".to_owned()));
    }
    if shop.storefront_url.as_deref().is_some_and(|u| u.starts_with("http://")) {
        return Ok(Applies::No("the storefront was given as http://, and browsers speak HTTP/2 over TLS only".to_owned()));
    }
    Ok(Applies::Yes)
}

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let shop = snapshot.shop()?;
    let name = store_host(shop).unwrap_or("");
    let Some(tls) = shop.tls()?.iter().find(|t| t.host == name) else {
        let cause = Cause::TooFew { have: 0, need: 1, what: "TLS handshakes with the storefront".into() };
        return Err(Gap::new(Section::StorefrontTls, cause, "No TLS handshake with the storefront was completed."));
    };
    if tls.alpn.as_deref() != Some("h2") {
        return Ok(vec![old_version(shop, tls)]);
    }
    Ok(is_http3_off(snapshot).then(|| http3(name)).into_iter().collect())
}

fn is_http3_off(snapshot: &Snapshot) -> bool {
    let settings = snapshot.cloudflare().ok().and_then(|c| c.settings().ok());
    settings.into_iter().flatten().any(|s| s.id == "http3" && s.is_editable && s.value.trim_matches('"') == "off")
}

fn old_version(shop: &Storefront, tls: &Tls) -> Finding {
    let taken = tls.alpn.as_deref().unwrap_or("nothing");
    let in_front = shop.pages().ok().into_iter().flatten().find_map(|t| crate::checks::http::good(t).and_then(edge));
    let at = in_front.map_or_else(String::new, |e| format!(" ({} answers there)", e.name()));
    Finding {
        subject: Subject::new("host", tls.host.clone()),
        observed: format!("{} was offered h2 and http/1.1 and took {taken}{at}.", tls.host),
        step: "Switch HTTP/2 on".to_owned(),
        evidence: vec![Evidence::text("Protocol taken (ALPN)", taken), Evidence::text("TLS", tls.version.clone())]
            .into_iter()
            .chain((tls.handshake_ms > 0.0).then(|| Evidence::figure("Handshake", tls.handshake_ms, "ms", crate::text::millis(tls.handshake_ms))))
            .chain(distrust(tls))
            .collect(),
        severity: Severity::from_share(LATENCY_SHARE),
        confidence: Confidence::High,
        confidence_because: "the server's own choice in the handshake".to_owned(),
        effort: Effort::Minutes,
        cost: Cost { resource: Resource::Latency, share: LATENCY_SHARE },
        gain: None,
        averts: None,
        remedies: vec![remedy::nginx(
            "nginx",
            "# server block; nginx 1.25.1 and later\nlisten 443 ssl;\nhttp2 on;\n# before 1.25.1: listen 443 ssl http2;",
            "Low: clients without HTTP/2 go on with 1.1.",
        )],
        verify: format!("curl -sI --http2 https://{}/ answers with HTTP/2.", tls.host),
        touches: vec!["traffic:cdn".to_owned()],
    }
}

fn http3(name: &str) -> Finding {
    Finding {
        subject: Subject::new("setting", "http3"),
        observed: format!("HTTP/3 is off for {name}, and the plan has it."),
        step: "Switch HTTP/3 on".to_owned(),
        evidence: vec![Evidence::text("http3", "off")],
        severity: Severity::Info,
        confidence: Confidence::High,
        confidence_because: "read from the zone's settings".to_owned(),
        effort: Effort::Minutes,
        cost: Cost { resource: Resource::Latency, share: 0.0 },
        gain: None,
        averts: None,
        remedies: vec![remedy::setting(
            "Switch it on",
            "Speed → Optimization → Protocol Optimization → HTTP/3",
            "http3",
            "\"on\"",
            "Low: browsers without it go on with HTTP/2.",
            "Set the value to \"off\".",
        )],
        verify: "Answers carry alt-svc: h3.".to_owned(),
        touches: vec!["traffic:cdn".to_owned()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::http::fixtures::{found, shop};
    use crate::finding::Outcome;

    fn with(alpn: Option<&str>, url: &str) -> Snapshot {
        let mut snapshot = shop(vec![], vec![], vec![]);
        let shop = snapshot.storefront.as_mut().unwrap();
        shop.storefront_url = Some(url.into());
        shop.tls = Ok(vec![Tls {
            host: "shop.example.com".into(),
            version: "TLSv1.3".into(),
            alpn: alpn.map(str::to_owned),
            issuer: None,
            handshake_ms: 20.0,
            old_versions: None,
            distrust: None,
        }]);
        snapshot
    }

    #[test]
    fn the_servers_choice_is_judged() {
        assert_eq!(CHECK.run(&with(Some("h2"), "https://shop.example.com")), Outcome::Passed);
        assert_eq!(found(CHECK.run(&with(Some("http/1.1"), "https://shop.example.com")))[0].severity, Severity::Medium);
        assert!(matches!(CHECK.run(&with(None, "https://shop.example.com")), Outcome::Failed(_)));
    }

    #[test]
    fn hosts_that_cannot_be_judged_are_not() {
        assert!(matches!(CHECK.run(&with(Some("http/1.1"), "http://localhost:8000")), Outcome::NotApplicable(_)));
        assert!(matches!(CHECK.run(&with(Some("http/1.1"), "http://shop.example.com")), Outcome::NotApplicable(_)));
        assert!(matches!(CHECK.run(&with(Some("h2"), "https://other.example.com")), Outcome::Unknown(_)));
    }
}
