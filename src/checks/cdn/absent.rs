//! The storefront answers without a CDN in front of it.

use std::collections::BTreeMap;

use crate::checks::http::{edge, forbids_caching, good, host, is_private_host};
use crate::checks::{Applies, Check};
use crate::evidence::storefront::{Answer, Target};
use crate::evidence::{Cause, Gap, Layer, Section, Snapshot};
use crate::finding::{Basis, Cell, Confidence, Cost, Effort, Evidence, Finding, Gain, Remedy, RemedyKind, Resource, Severity, Subject};
use crate::text;

pub static CHECK: Check = Check {
    id: "cdn-absent",
    layer: Layer::Cdn,
    title: "The storefront answers with no CDN in front of it",
    passed: "A CDN or cache answers in front of the storefront.",
    why: "Every page, script and picture is served by the store's own machines, however far away the shopper is. Distance adds latency to each \
          request, and every visitor costs database and application time that a cache at the edge would spare.",
    remedy: "Put a CDN in front of the storefront and the media, cache static files and catalogue pages there, and let personal pages pass.",
    method: "Reads the headers that CDNs and caches leave on answers (cf-ray, x-amz-cf-id, x-vercel-id, x-served-by, via, x-cache …) of every page, \
             asset and medium probed. Fires when no answer of the storefront's public host carries any. Hosts on this machine or in a private network \
             are not judged.",
    effort: Effort::Hours,
    references: &[
        "https://developers.cloudflare.com/fundamentals/setup/",
        "https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/GettingStarted.html",
    ],
    needs: &[Section::StorefrontPages],
    uses: &[Section::StorefrontAssets, Section::StorefrontMedia],
    symptom_of: &[],
    applies_to,
    evaluate,
};

/// Without a log of requests: most of a storefront's requests are for files and pages that a CDN would answer.
const SHARE_BY_RULE: f64 = 0.80;

fn applies_to(snapshot: &Snapshot) -> Result<Applies, Gap> {
    let pages = snapshot.shop()?.pages()?;
    if !pages.is_empty() && pages.iter().all(|t| is_private_host(host(&t.url))) {
        return Ok(Applies::No("the storefront is on a private host".to_owned()));
    }
    Ok(Applies::Yes)
}

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let shop = snapshot.shop()?;
    let pages: Vec<(&str, &Answer)> = public(shop.pages()?).collect();
    let Some((store_host, _)) = pages.first().copied() else {
        let cause = Cause::TooFew { have: 0, need: 1, what: "pages that answered 200".into() };
        return Err(Gap::new(Section::StorefrontPages, cause, "No page of the storefront answered 200, so who serves it is not known."));
    };
    if pages.iter().any(|(_, a)| edge(a).is_some()) {
        return Ok(Vec::new());
    }
    let assets = shop.assets().ok().into_iter().flat_map(|t| public(t));
    let media = shop.media().ok().into_iter().flat_map(|t| public(t));
    let mut hosts: BTreeMap<&str, Host> = BTreeMap::new();
    for (host, answer) in pages.iter().copied().chain(assets).chain(media) {
        hosts.entry(host).or_default().add(answer);
    }
    let asked: u64 = hosts.values().map(|h| h.answers).sum();
    Ok(vec![finding(store_host, &hosts, asked, &pages)])
}

fn public(targets: &[Target]) -> impl Iterator<Item = (&str, &Answer)> {
    targets.iter().filter(|t| !is_private_host(host(&t.url))).filter_map(|t| Some((host(&t.url), good(t)?)))
}

#[derive(Default)]
struct Host {
    answers: u64,
    without_edge: u64,
    bytes: u64,
    server: Option<String>,
}

impl Host {
    fn add(&mut self, answer: &Answer) {
        self.answers += 1;
        self.without_edge += u64::from(edge(answer).is_none());
        self.bytes += answer.body_bytes;
        self.server = self.server.take().or_else(|| answer.header("server"));
    }
}

fn finding(store_host: &str, hosts: &BTreeMap<&str, Host>, asked: u64, pages: &[(&str, &Answer)]) -> Finding {
    let without: u64 = hosts.values().map(|h| h.without_edge).sum();
    let rows = hosts.iter().map(|(host, h)| {
        vec![
            Cell::text(*host),
            Cell::number(h.answers as f64, text::count(h.answers)),
            Cell::number(h.without_edge as f64, text::count(h.without_edge)),
            Cell::text(h.server.clone().unwrap_or_else(|| "not told".to_owned())),
        ]
    });
    let forbidding = pages.iter().filter(|(_, a)| forbids_caching(a).is_some()).count() as u64;
    let mut evidence = vec![Evidence::table("Hosts", &["host", "answers", "without a CDN", "server"], rows.collect())];
    if forbidding > 0 {
        let words = format!(
            "{} of {} forbid caching by their headers: a CDN alone would not keep them. Let the catalogue pages send s-maxage as well.",
            text::count(forbidding),
            text::plural(pages.len() as u64, "page", "pages")
        );
        evidence.push(Evidence::text("Pages", words));
    }
    Finding {
        subject: Subject::new("host", store_host),
        observed: format!(
            "{} of {} from the storefront's hosts carry no trace of a CDN.",
            text::count(without),
            text::plural(asked, "answer", "answers")
        ),
        step: format!("Put a CDN in front of {store_host}"),
        evidence,
        severity: Severity::High,
        confidence: Confidence::Medium,
        confidence_because: "a CDN that hides its headers cannot be told from none".to_owned(),
        effort: Effort::Hours,
        cost: Cost { resource: Resource::OriginRequests, share: SHARE_BY_RULE },
        gain: Some(Gain::new(Basis::RuleOfThumb, format!("about {} requests at the origin", text::minus_percent(SHARE_BY_RULE)))),
        averts: None,
        remedies: vec![cloudflare(store_host), cloudfront()],
        verify: "Run the audit again: the answers carry cf-ray (or the other CDN's headers) and the second request for an asset is a hit.".to_owned(),
        touches: vec!["traffic:cdn".to_owned(), format!("host:{store_host}")],
    }
}

fn cloudflare(host: &str) -> Remedy {
    Remedy {
        kind: RemedyKind::Cloudflare,
        label: "Proxy the host through Cloudflare".to_owned(),
        text: format!(
            "// Dashboard: your zone → DNS → Records → {host} → Proxy status: Proxied. SSL/TLS → Overview → Full (strict).\n\
             // API: PATCH /zones/{{zone_id}}/dns_records/{{record_id}}\n{{ \"proxied\": true }}"
        ),
        lock: None,
        risk: "Medium: the origin must accept Cloudflare's addresses and hold a valid certificate; with \"Flexible\" a redirect to https loops."
            .to_owned(),
        undo: Some("Set the record's proxy status back to DNS only.".to_owned()),
    }
}

fn cloudfront() -> Remedy {
    Remedy {
        kind: RemedyKind::Cloudfront,
        label: "Or a CloudFront distribution".to_owned(),
        text: "{\n  \"DefaultCacheBehavior\": { \"CachePolicyId\": \"4135ea2d-6df8-44a3-9df3-4b5a84be39ad\", \"ViewerProtocolPolicy\": \"redirect-to-https\", \"Compress\": true },\n  \
               \"CacheBehaviors\": [\n    { \"PathPattern\": \"/_next/static/*\", \"CachePolicyId\": \"658327ea-f89d-4fab-a63d-7e88639e58f6\", \"ViewerProtocolPolicy\": \"redirect-to-https\", \"Compress\": true }\n  ]\n}"
            .to_owned(),
        lock: None,
        risk: "Low: the default behaviour caches nothing (managed policy CachingDisabled), only hashed files are kept (CachingOptimized).".to_owned(),
        undo: Some("Point the DNS record back to the origin.".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::http::fixtures::{found, shop, target};
    use crate::evidence::storefront::PathClass;
    use crate::finding::Outcome;

    #[test]
    fn a_public_host_without_a_cdn_is_named_once() {
        let page = |h: &[(&str, &str)]| target(PathClass::Product, "https://shop.example.com/us/products/x", h, h);
        let bare = shop(vec![page(&[("server", "nginx")]), page(&[("cache-control", "no-store")])], vec![], vec![]);
        let findings = found(CHECK.run(&bare));
        assert_eq!((findings.len(), findings[0].subject.name.as_str()), (1, "shop.example.com"));
        assert_eq!(CHECK.run(&shop(vec![page(&[("cf-ray", "8")])], vec![], vec![])), Outcome::Passed);
    }

    #[test]
    fn private_hosts_and_silence_are_not_judged() {
        let private = target(PathClass::Home, "http://127.0.0.1:8000/", &[], &[]);
        assert!(matches!(CHECK.run(&shop(vec![private], vec![], vec![])), Outcome::NotApplicable(_)));
        let mut locked = target(PathClass::Home, "https://shop.example.com/", &[], &[]);
        locked.probes.iter_mut().for_each(|p| p.answer.as_mut().unwrap().status = 401);
        assert!(matches!(CHECK.run(&shop(vec![locked], vec![], vec![])), Outcome::Unknown(_)));
    }
}
