//! Browsers that read AVIF and WebP are sent JPEG or PNG.

use crate::checks::http::{Edge, edge, host, is_legacy_picture, is_picture, page_pictures, path, weight};
use crate::checks::{Check, always};
use crate::evidence::storefront::{Answer, Target};
use crate::evidence::{Cause, Gap, Layer, Section, Snapshot};
use crate::finding::{Basis, Cell, Confidence, Cost, Effort, Evidence, Finding, Gain, Remedy, RemedyKind, Resource, Severity, Subject};
use crate::text;

pub static CHECK: Check = Check {
    id: "cdn-legacy-image-format",
    layer: Layer::Cdn,
    title: "Pictures are sent as JPEG or PNG to browsers that read AVIF or WebP",
    passed: "Pictures of the pages are sent as AVIF or WebP where the browser reads them.",
    why: "WebP and AVIF are a quarter to a half smaller than JPEG at the same quality, and every current browser reads them. Pictures are most of what a product page \
          weighs, so shoppers on telephones wait for the difference.",
    remedy: "Let the storefront's image component or the CDN convert pictures by the browser's Accept header.",
    method: "Asks the pictures that home and product page load with Accept: image/avif, image/webp, as browsers do, and reads the type that comes back. Fires on JPEG \
             and PNG of 10 kB and more. Pictures that only the database names are looked at where the pages show none.",
    effort: Effort::Hours,
    references: &[
        "https://developers.google.com/speed/webp/docs/webp_study",
        "https://nextjs.org/docs/app/api-reference/components/image#formats",
        "https://developers.cloudflare.com/images/polish/",
    ],
    needs: &[Section::StorefrontAssets],
    uses: &[Section::StorefrontPages, Section::StorefrontMedia],
    symptom_of: &[],
    applies_to: always,
    evaluate,
};

/// Smaller ones are icons, whose headers weigh as much as what would be saved.
pub const BYTES_MIN: u64 = 10_000;
/// What WebP saves of JPEG at the same quality: 25 to 34 % in Google's study.
const SAVED_SHARE: f64 = 0.28;

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let pictures = page_pictures(snapshot)?;
    if pictures.is_empty() {
        let cause = Cause::TooFew { have: 0, need: 1, what: "pictures that answered 200".into() };
        return Err(Gap::new(Section::StorefrontAssets, cause, "Neither the pages nor the database named a picture that answered 200."));
    }
    let bad: Vec<(&Target, &Answer)> = pictures.iter().copied().filter(|(_, a)| is_legacy_picture(a) && weight(a) >= BYTES_MIN).collect();
    Ok(if bad.is_empty() { Vec::new() } else { vec![finding(snapshot, &bad, pictures.len())] })
}

fn finding(snapshot: &Snapshot, bad: &[(&Target, &Answer)], of: usize) -> Finding {
    let (first, answer) = bad[0];
    let bytes: u64 = bad.iter().map(|(_, a)| weight(a)).sum();
    let share = bytes as f64 * SAVED_SHARE / all_bytes(snapshot).max(bytes) as f64;
    let rows = bad.iter().map(|(t, a)| {
        let kind = a.header("content-type").unwrap_or_else(|| "not told".to_owned());
        vec![Cell::text(format!("{}{}", host(&t.url), path(&t.url))), Cell::text(kind), Cell::number(weight(a) as f64, text::bytes_disk(weight(a)))]
    });
    let is_next = snapshot.shop().ok().and_then(|s| s.pages().ok()).is_some_and(|pages| {
        pages.iter().flat_map(crate::checks::http::answers).any(|(_, a)| a.header("x-powered-by").is_some_and(|v| v.contains("Next.js")))
    });
    Finding {
        subject: Subject::new("host", host(&first.url)),
        observed: format!(
            "{} of {} came as JPEG or PNG though AVIF and WebP were accepted: {}.",
            text::count(bad.len() as u64),
            text::plural(of as u64, "picture", "pictures"),
            text::bytes_disk(bytes)
        ),
        step: "Send pictures as WebP or AVIF".to_owned(),
        evidence: vec![
            Evidence::table("Pictures", &["address", "type", "size"], rows.collect()),
            Evidence::BeforeAfter {
                label: "Bytes of these pictures".to_owned(),
                unit: "B".to_owned(),
                before: bytes as f64,
                after: bytes as f64 * (1.0 - SAVED_SHARE),
                basis: Basis::RuleOfThumb,
            },
        ],
        severity: Severity::from_share(share).min(Severity::Medium),
        confidence: Confidence::Medium,
        confidence_because: "the types were read; what they would weigh is a rule of thumb".to_owned(),
        effort: Effort::Hours,
        cost: Cost { resource: Resource::Bytes, share },
        gain: Some(Gain::new(Basis::RuleOfThumb, format!("{} bytes of these pictures", text::minus_percent(SAVED_SHARE)))),
        averts: None,
        remedies: match edge(answer) {
            Some(Edge::Cloudflare) => vec![next_image(is_next), polish()],
            _ => vec![next_image(is_next)],
        },
        verify: format!("curl -sI -H 'Accept: image/avif,image/webp' '{}' shows image/webp or image/avif.", first.url),
        touches: vec![format!("path:{}", path(&first.url)), "traffic:cdn".to_owned()],
    }
}

fn all_bytes(snapshot: &Snapshot) -> u64 {
    let Ok(shop) = snapshot.shop() else { return 0 };
    let all = [shop.pages(), shop.assets()].into_iter().filter_map(Result::ok).flatten();
    let rest: u64 = all.filter_map(crate::checks::http::good).filter(|a| !is_picture(a)).map(|a| a.body_bytes).sum();
    rest + page_pictures(snapshot).map_or(0, |p| p.iter().map(|(_, a)| weight(a)).sum())
}

fn next_image(is_next: bool) -> Remedy {
    Remedy {
        kind: RemedyKind::Storefront,
        label: if is_next { "Through the storefront's own image component" } else { "In a Next.js storefront" }.to_owned(),
        text: "// next.config.js: the hosts of the pictures; a picture with `unoptimized` or a plain <img> is not converted\nmodule.exports = {\n  images: {\n    \
               formats: [\"image/avif\", \"image/webp\"],\n    remotePatterns: [{ protocol: \"https\", hostname: \"media.example.com\" }],\n  },\n}\n\n\
               // in the component\nimport Image from \"next/image\"\n\
               <Image src={product.thumbnail} alt={product.title} width={600} height={800} sizes=\"(max-width: 768px) 100vw, 600px\" />"
            .to_owned(),
        lock: None,
        risk: "Low: converting costs processor time once a picture and width; cache /_next/image at the edge.".to_owned(),
        undo: Some("Remove the option.".to_owned()),
    }
}

fn polish() -> Remedy {
    Remedy {
        kind: RemedyKind::Cloudflare,
        label: "Or convert at the edge (Pro plan and above)".to_owned(),
        text: "// Dashboard: Speed → Optimization → Image Optimization → Polish: Lossy, WebP on.\n\
               // API: PATCH /zones/{zone_id}/settings/polish, then /zones/{zone_id}/settings/webp\n{ \"value\": \"lossy\" }\n{ \"value\": \"on\" }"
            .to_owned(),
        lock: None,
        risk: "Low: originals stay as they are.".to_owned(),
        undo: Some("Set both to \"off\".".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::http::fixtures::{found, shop, target};
    use crate::evidence::storefront::PathClass;
    use crate::finding::Outcome;

    fn picture(kind: &str, bytes: u64) -> Target {
        let mut t = target(PathClass::Media, "https://media.example.com/shirt", &[("content-type", kind)], &[("content-type", kind)]);
        t.probes.iter_mut().for_each(|p| p.answer.as_mut().unwrap().body_bytes = bytes);
        t
    }

    #[test]
    fn ten_kilobytes_of_jpeg_are_the_boundary() {
        assert!(matches!(CHECK.run(&shop(vec![], vec![picture("image/jpeg", BYTES_MIN)], vec![])), Outcome::Failed(_)));
        assert!(matches!(CHECK.run(&shop(vec![], vec![picture("image/PNG", BYTES_MIN)], vec![])), Outcome::Failed(_)));
        assert_eq!(CHECK.run(&shop(vec![], vec![picture("image/jpeg", BYTES_MIN - 1)], vec![])), Outcome::Passed);
        for kind in ["image/webp", "image/avif", "image/svg+xml", "image/gif"] {
            assert_eq!(CHECK.run(&shop(vec![], vec![picture(kind, 900_000)], vec![])), Outcome::Passed, "{kind}");
        }
    }

    #[test]
    fn pictures_of_the_database_count_where_pages_show_none() {
        let mut snapshot = shop(vec![], vec![], vec![]);
        assert!(matches!(CHECK.run(&snapshot), Outcome::Unknown(_)));
        snapshot.storefront.as_mut().unwrap().media = Ok(vec![picture("image/jpeg", 400_000)]);
        assert_eq!(found(CHECK.run(&snapshot))[0].severity, Severity::Medium);
        // Shoppers get the optimised form; the original is the optimiser's.
        snapshot.storefront.as_mut().unwrap().assets = Ok(vec![picture("image/webp", 40_000)]);
        assert_eq!(CHECK.run(&snapshot), Outcome::Passed);
    }
}
