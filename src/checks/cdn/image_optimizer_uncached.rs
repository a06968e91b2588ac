//! Pictures that the storefront scales are scaled again for each request, or one width is kept for all.

use crate::checks::edge::paths::is_in_zone;
use crate::checks::edge::{Request, keep_query, remedy};
use crate::checks::edge_cloudfront;
use crate::checks::http::{Edge, Verdict, answer, answers, edge, host, verdict};
use crate::checks::measures::origin_share;
use crate::checks::{Applies, Check};
use crate::evidence::storefront::{Answer, PathClass, Target, Variant};
use crate::evidence::{Cause, Gap, Layer, Section, Snapshot};
use crate::finding::{Basis, Cell, Confidence, Cost, Effort, Evidence, Finding, Gain, Remedy, RemedyKind, Resource, Severity, Subject};
use crate::text;

pub static CHECK: Check = Check {
    id: "cdn-image-optimizer-uncached",
    layer: Layer::Cdn,
    title: "Optimised pictures are not cached, or cached under the wrong key",
    passed: "Pictures of /_next/image are answered from the cache, each width by itself.",
    why: "/_next/image scales and re-encodes product pictures on the storefront's own processor. Its address has no file ending, so CDNs that cache by ending pass \
          every request on; a rule that drops the query string keeps the first width that was asked for and shows it everywhere.",
    remedy: "Cache /_next/image at the edge with its whole query string in the key, and let the optimiser keep what it made for longer.",
    method: "Asks a picture of /_next/image from the home or product page twice; fires when both came from the origin. Where the second was a hit, asks for 64 \
             pixels as well and fires when the cache answers with the large picture (same ETag and size). Nothing is judged where no CDN answers.",
    effort: Effort::Minutes,
    references: &[
        "https://nextjs.org/docs/app/api-reference/components/image#minimumcachettl",
        "https://developers.cloudflare.com/cache/concepts/default-cache-behavior/",
    ],
    needs: &[Section::StorefrontAssets],
    uses: &[Section::CdnAnalytics, Section::CdnZone, Section::CdnCacheRules, Section::CdnPageRules, Section::CdnSettings],
    symptom_of: &[],
    applies_to,
    evaluate,
};

const OPTIMIZER: &str = "/_next/image";
/// Without a log of requests: pictures are about this share of a shop's requests, and the cache serves most of the others.
const SHARE_BY_RULE: f64 = 0.15;
/// A picture of 64 pixels never weighs as much.
const LARGE_BYTES: u64 = 8_000;
/// The wrong picture is shown, the shop works.
const WRONG_PICTURE_RISK: f64 = 0.3;

fn optimized(snapshot: &Snapshot) -> Result<Vec<&Target>, Gap> {
    let is_asked_twice = |t: &&Target| t.class == PathClass::OptimizedImage && answer(t, Variant::Second).is_some();
    Ok(snapshot.shop()?.assets()?.iter().filter(is_asked_twice).collect())
}

fn applies_to(snapshot: &Snapshot) -> Result<Applies, Gap> {
    let assets = snapshot.shop()?.assets()?;
    if !assets.iter().any(|t| t.class == PathClass::OptimizedImage) {
        return Ok(Applies::No(format!("the pages show no picture of {OPTIMIZER}")));
    }
    let all = optimized(snapshot)?;
    if !all.is_empty() && !all.iter().any(|t| answers(t).any(|(_, a)| edge(a).is_some())) {
        return Ok(Applies::No("no CDN answers in front of the pictures".to_owned()));
    }
    Ok(Applies::Yes)
}

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let all: Vec<&Target> = optimized(snapshot)?.into_iter().filter(|t| answers(t).all(|(_, a)| a.status == 200)).collect();
    if all.is_empty() {
        let cause = Cause::TooFew { have: 0, need: 1, what: format!("pictures of {OPTIMIZER} that answered 200 twice") };
        return Err(Gap::new(Section::StorefrontAssets, cause, format!("No picture of {OPTIMIZER} answered 200 twice.")));
    }
    let mut findings = Vec::new();
    findings.extend(all.iter().find(|t| is_origin_always(t)).map(|t| uncached(snapshot, t)));
    findings.extend(all.iter().find_map(|t| Some(dropped_query(snapshot, t, wrong_width(t)?))));
    Ok(findings)
}

fn is_origin_always(target: &Target) -> bool {
    let origin = |v| answer(target, v).is_some_and(|a| verdict(a).is_origin());
    origin(Variant::First) && origin(Variant::Second)
}

/// The large picture in answer to a small width.
fn wrong_width(target: &Target) -> Option<&Answer> {
    let (large, small) = (answer(target, Variant::Second)?, answer(target, Variant::OtherWidth)?);
    let is_same = small.body_bytes == large.body_bytes && small.header("etag") == large.header("etag");
    (verdict(small) == Verdict::Hit && is_same && large.body_bytes > LARGE_BYTES).then_some(small)
}

fn table(target: &Target) -> Evidence {
    let rows = answers(target).map(|(variant, a)| {
        vec![
            Cell::text(variant.name()),
            Cell::text(verdict(a).name()),
            Cell::text(a.header("cache-control").unwrap_or_else(|| "none".to_owned())),
            Cell::number(a.body_bytes as f64, text::bytes_disk(a.body_bytes)),
            Cell::number(a.first_byte_ms, text::millis(a.first_byte_ms)),
        ]
    });
    Evidence::table("Answers", &["request", "cache", "Cache-Control", "size", "first byte"], rows.collect())
}

fn uncached(snapshot: &Snapshot, target: &Target) -> Finding {
    let measured = origin_share(snapshot, |p| p == OPTIMIZER);
    let share = measured.unwrap_or(SHARE_BY_RULE);
    let second = answer(target, Variant::Second).or_else(|| answer(target, Variant::First));
    let in_front = second.and_then(edge);
    let word = second.map_or("not told", |a| verdict(a).name());
    Finding {
        subject: Subject::new("path", format!("{}{OPTIMIZER}", host(&target.url))),
        observed: format!("A picture of {OPTIMIZER} asked twice came from the origin both times ({word})."),
        step: "Cache the optimised pictures at the edge".to_owned(),
        evidence: vec![table(target)],
        severity: Severity::from_share(share).min(if measured.is_some() { Severity::High } else { Severity::Medium }),
        confidence: if measured.is_some() { Confidence::High } else { Confidence::Medium },
        confidence_because: if measured.is_some() {
            "two answers from the origin, traffic counted by Cloudflare".to_owned()
        } else {
            "two answers from the origin, traffic not counted".to_owned()
        },
        effort: Effort::Minutes,
        cost: Cost { resource: Resource::OriginRequests, share },
        gain: Some(Gain::new(
            if measured.is_some() { Basis::Measured } else { Basis::RuleOfThumb },
            format!("{} requests at the origin, and their image encoding", text::minus_percent(share)),
        )),
        averts: None,
        remedies: match in_front {
            Some(Edge::Cloudflare) => {
                let risk = "Low: a picture replaced under the same address shows up to a day later; purge its address then.";
                let mut all = remedy::remedies("Make the pictures eligible", &[remedy::optimised_images()], risk);
                all.push(next_config());
                all
            }
            Some(Edge::CloudFront) => vec![cloudfront(), next_config()],
            _ => vec![next_config(), nginx()],
        },
        verify: "Audit again: the second request for the picture is a hit.".to_owned(),
        touches: vec![format!("path:{OPTIMIZER}"), "traffic:cdn".to_owned()],
    }
}

fn dropped_query(snapshot: &Snapshot, target: &Target, small: &Answer) -> Finding {
    Finding {
        subject: Subject::new("path", format!("{}{OPTIMIZER} (query string)", host(&target.url))),
        observed: format!(
            "{OPTIMIZER} asked for 64 pixels was answered from the cache with the {} of the large picture: the query string is not in the key.",
            text::bytes_disk(small.body_bytes)
        ),
        step: "Put the picture's address and width into the cache key".to_owned(),
        evidence: vec![table(target)],
        severity: Severity::High,
        confidence: Confidence::High,
        confidence_because: "a hit with the other width's content was seen".to_owned(),
        effort: Effort::Minutes,
        cost: Cost { resource: Resource::Risk, share: WRONG_PICTURE_RISK },
        gain: None,
        averts: Some("one product's picture shown for another".to_owned()),
        remedies: match edge(small) {
            Some(Edge::Cloudflare) => cloudflare(snapshot, host(&target.url)),
            Some(Edge::CloudFront) => vec![cloudfront()],
            _ => vec![nginx()],
        },
        verify: "Purge the cache, then audit again: 64 pixels are answered with a smaller picture.".to_owned(),
        touches: vec![format!("path:{OPTIMIZER}")],
    }
}

/// The rule that drops the query is narrowed first: one without a key of its own leaves that of the rules before it.
fn cloudflare(snapshot: &Snapshot, host: &str) -> Vec<Remedy> {
    let zone = snapshot.cloudflare().ok().filter(|zone| is_in_zone(zone, host));
    let request = Request::get(host, &format!("{OPTIMIZER}?url=%2Fa.png&w=64&q=75"));
    let mut all = vec![keep_query(zone, &request, "w")];
    let risk = "Low: a picture replaced under the same address shows up to a day later; purge its address then.";
    all.extend(remedy::remedies("Then keep the pictures by a rule of their own", &[remedy::optimised_images()], risk));
    all.push(next_config());
    all
}

fn cloudfront() -> Remedy {
    let place = "Create behavior, at the top: path pattern /_next/image*, cache policy medusa-next-image.";
    edge_cloudfront::chosen(
        "A behaviour of its own, with url, w, q and Accept in the key",
        &edge_cloudfront::images_policy(),
        place,
        "Low: no cookie and no page is involved.",
    )
}

fn next_config() -> Remedy {
    Remedy {
        kind: RemedyKind::Storefront,
        label: "Let the optimiser keep its work".to_owned(),
        text: "// next.config.js\nmodule.exports = {\n  images: {\n    minimumCacheTTL: 86400, // the default of Next.js 15 is 60 s\n    formats: [\"image/webp\"],\n  },\n}".to_owned(),
        lock: None,
        risk: "Low: a picture replaced under the same address shows up to a day later.".to_owned(),
        undo: Some("Remove the option.".to_owned()),
    }
}

fn nginx() -> Remedy {
    remedy::nginx(
        "Or in nginx, in front of the storefront",
        "# server block\nlocation = /_next/image {\n  proxy_pass http://storefront;\n  proxy_cache shop;\n  \
         proxy_cache_key $scheme$proxy_host$request_uri$http_accept;\n  proxy_cache_valid 200 1d;\n  \
         proxy_ignore_headers Cache-Control Expires Vary;\n}",
        "Low: the key holds url, w, q and Accept.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::edge::fixtures::{eligible, zone_of};
    use crate::checks::http::fixtures::{found, probe, shop, target};
    use crate::evidence::cdn::CacheRule;
    use crate::finding::Outcome;

    const URL: &str = "https://shop.example.com/_next/image";

    fn picture(first: &str, second: &str, small: Option<(&str, u64)>) -> Snapshot {
        let mut t =
            target(PathClass::OptimizedImage, URL, &[("cf-cache-status", first), ("etag", "a")], &[("cf-cache-status", second), ("etag", "a")]);
        t.probes.iter_mut().for_each(|p| p.answer.as_mut().unwrap().body_bytes = LARGE_BYTES + 1);
        t.probes.extend(small.map(|(status, bytes)| {
            let mut p = probe(Variant::OtherWidth, &[("cf-cache-status", status), ("etag", "a")]);
            p.answer.as_mut().unwrap().body_bytes = bytes;
            p
        }));
        shop(vec![], vec![t], vec![])
    }

    #[test]
    fn twice_from_the_origin_is_named() {
        assert_eq!(found(CHECK.run(&picture("DYNAMIC", "DYNAMIC", None)))[0].severity, Severity::Medium);
        assert_eq!(CHECK.run(&picture("MISS", "HIT", None)), Outcome::Passed);
        assert!(matches!(CHECK.run(&shop(vec![], vec![], vec![])), Outcome::NotApplicable(_)));
        let bare = shop(vec![], vec![target(PathClass::OptimizedImage, URL, &[], &[])], vec![]);
        assert!(matches!(CHECK.run(&bare), Outcome::NotApplicable(_)));
    }

    #[test]
    fn the_large_picture_for_a_small_width_is_named() {
        let findings = found(CHECK.run(&picture("MISS", "HIT", Some(("HIT", LARGE_BYTES + 1)))));
        assert!(findings[0].observed.contains("64 pixels"), "{}", findings[0].observed);
        assert_eq!(CHECK.run(&picture("MISS", "HIT", Some(("HIT", 900)))), Outcome::Passed);
        assert_eq!(CHECK.run(&picture("MISS", "HIT", Some(("MISS", LARGE_BYTES + 1)))), Outcome::Passed);
    }

    /// A list of parameters in the key is for Enterprise alone, and errors must not stay for a day.
    #[test]
    fn the_query_is_kept_on_every_plan() {
        let mut snapshot = picture("MISS", "HIT", Some(("HIT", LARGE_BYTES + 1)));
        let key = Some(r#"{"custom_key":{"query_string":{"exclude":"*"}}}"#.to_owned());
        snapshot.cdn = Ok(zone_of(vec![CacheRule { description: "All".into(), cache_key: key, ..eligible("true", None) }]));
        let texts: Vec<String> = found(CHECK.run(&snapshot))[0].remedies.iter().map(|r| r.text.clone()).collect();
        assert!(
            texts[0].contains("Cache Rules → All") && texts[0].contains("((true) and http.request.uri.path ne \"/_next/image\")"),
            "{}",
            texts[0]
        );
        assert!(texts[1].contains("\"from\": 305") && texts.iter().all(|t| !t.contains("include") && !t.contains("before the rules")), "{texts:?}");
    }
}
