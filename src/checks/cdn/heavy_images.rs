//! The pictures of a page weigh more than a telephone should load.

use crate::checks::http::{host, page_pictures, path, weight};
use crate::checks::{Check, always};
use crate::evidence::storefront::{Answer, Target};
use crate::evidence::{Cause, Gap, Layer, Section, Snapshot};
use crate::finding::{Basis, Cell, Confidence, Cost, Effort, Evidence, Finding, Gain, Remedy, RemedyKind, Resource, Severity, Subject};
use crate::text;

pub static CHECK: Check = Check {
    id: "cdn-heavy-images",
    layer: Layer::Cdn,
    title: "Pictures of the pages are heavier than their size on screen needs",
    passed: "No picture of the pages is over budget, nor are all of them together.",
    why: "A picture of a megabyte takes five seconds on a slow mobile connection, for a product that is shown 400 points wide. The largest picture decides when a \
          product page looks complete.",
    remedy: "Scale pictures to the width they are shown at, and give browsers a choice of widths.",
    method: "Weighs the pictures that home and product page load, as a telephone of 414 points would choose them from srcset, up to twelve beside those asked twice. \
             Fires on one of 300 kB and more, or 1.6 MB together. Pictures that only the database names are weighed where the pages show none.",
    effort: Effort::Hours,
    references: &[
        "https://developer.chrome.com/docs/lighthouse/performance/total-byte-weight",
        "https://web.dev/articles/serve-responsive-images",
        "https://nextjs.org/docs/app/api-reference/components/image#sizes",
    ],
    needs: &[Section::StorefrontAssets],
    uses: &[Section::StorefrontMedia],
    symptom_of: &[],
    applies_to: always,
    evaluate,
};

/// A photograph of 828 by 1,100 pixels as WebP of quality 75 is 60 to 150 kB, as JPEG up to 250 kB.
const ONE_BYTES_MAX: u64 = 300_000;
/// Lighthouse's target for all that a page loads.
const ALL_BYTES_MAX: u64 = 1_600_000;
/// Five seconds of a slow mobile connection (1.6 Mbit/s).
const HUGE_BYTES: u64 = 1_000_000;
/// Shares that the severities stand for: of two pages, not of the shop's traffic, so that what is counted stands before it.
const HUGE_SHARE_MAX: f64 = 0.20;
const HEAVY_SHARE_MAX: f64 = 0.04;
/// What a photograph of that size weighs as WebP.
const USUAL_BYTES: u64 = 120_000;

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let mut pictures = page_pictures(snapshot)?;
    if pictures.is_empty() {
        let cause = Cause::TooFew { have: 0, need: 1, what: "pictures that answered 200".into() };
        return Err(Gap::new(Section::StorefrontAssets, cause, "Neither the pages nor the database named a picture that answered 200."));
    }
    pictures.sort_by(|a, b| weight(b.1).cmp(&weight(a.1)).then_with(|| a.0.url.cmp(&b.0.url)));
    let total: u64 = pictures.iter().map(|(_, a)| weight(a)).sum();
    let heaviest = weight(pictures[0].1);
    Ok(if heaviest >= ONE_BYTES_MAX || total >= ALL_BYTES_MAX { vec![finding(&pictures, total)] } else { Vec::new() })
}

fn finding(pictures: &[(&Target, &Answer)], total: u64) -> Finding {
    let (first, heaviest) = (pictures[0].0, weight(pictures[0].1));
    let heavy = pictures.iter().filter(|(_, a)| weight(a) >= ONE_BYTES_MAX).count();
    let spare: u64 = pictures.iter().map(|(_, a)| weight(a).saturating_sub(USUAL_BYTES)).sum();
    let share = spare as f64 / total.max(1) as f64;
    let is_huge = heaviest >= HUGE_BYTES || total >= 2 * ALL_BYTES_MAX;
    let rows = pictures.iter().map(|(t, a)| {
        let kind = a.header("content-type").unwrap_or_else(|| "not told".to_owned());
        vec![Cell::text(format!("{}{}", host(&t.url), path(&t.url))), Cell::text(kind), Cell::number(weight(a) as f64, text::bytes_disk(weight(a)))]
    });
    let observed = if heavy > 0 {
        format!(
            "{} of {} weigh {} or more; the heaviest {}.",
            text::count(heavy as u64),
            text::plural(pictures.len() as u64, "picture", "pictures"),
            text::bytes_disk(ONE_BYTES_MAX),
            text::bytes_disk(heaviest)
        )
    } else {
        format!("{} weigh {} together.", text::plural(pictures.len() as u64, "picture", "pictures"), text::bytes_disk(total))
    };
    Finding {
        subject: Subject::new("host", host(&first.url)),
        observed,
        step: "Scale the pictures to what the page shows".to_owned(),
        evidence: vec![
            Evidence::table("Pictures by weight", &["address", "type", "size"], rows.collect()),
            Evidence::BeforeAfter {
                label: "Pictures of these pages".to_owned(),
                unit: "B".to_owned(),
                before: total as f64,
                after: (total - spare) as f64,
                basis: Basis::RuleOfThumb,
            },
        ],
        severity: if is_huge { Severity::Medium } else { Severity::Low },
        confidence: Confidence::Medium,
        confidence_because: "weighed as received; what they would weigh at the right size is a rule of thumb".to_owned(),
        effort: Effort::Hours,
        cost: Cost { resource: Resource::Bytes, share: share.min(if is_huge { HUGE_SHARE_MAX } else { HEAVY_SHARE_MAX }) },
        gain: Some(Gain::new(Basis::RuleOfThumb, format!("{} bytes of these pictures", text::minus_percent(share)))),
        averts: None,
        remedies: vec![sizes(), upload()],
        verify: format!("Audit again: no picture weighs {} or more.", text::bytes_disk(ONE_BYTES_MAX)),
        touches: vec![format!("path:{}", path(&first.url)), "traffic:cdn".to_owned()],
    }
}

fn sizes() -> Remedy {
    Remedy {
        kind: RemedyKind::Storefront,
        label: "Offer the width that is shown".to_owned(),
        text: "// Without `sizes`, browsers choose as if the picture filled the screen.\n\
               <Image src={product.thumbnail} alt={product.title} width={600} height={800} quality={75} sizes=\"(max-width: 768px) 100vw, 600px\" />\n\
               // A list of products\n<Image src={p.thumbnail} alt={p.title} width={300} height={400} sizes=\"(max-width: 768px) 50vw, 300px\" />"
            .to_owned(),
        lock: None,
        risk: "Low: pictures that may be zoomed need a larger one for that.".to_owned(),
        undo: Some("Remove the attribute.".to_owned()),
    }
}

fn upload() -> Remedy {
    Remedy {
        kind: RemedyKind::Shell,
        label: "Shrink originals before they are uploaded".to_owned(),
        text: "# libvips: 2,000 pixels are enough for a zoom on any screen\nvips thumbnail original.jpg shirt.webp[Q=80,strip] 2000 --size down"
            .to_owned(),
        lock: None,
        risk: "Low: keep the originals elsewhere.".to_owned(),
        undo: Some("Upload the original again.".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::http::fixtures::{found, shop, target};
    use crate::evidence::storefront::PathClass;
    use crate::finding::Outcome;

    fn pictures(sizes: &[u64]) -> Snapshot {
        let one = |(i, bytes): (usize, &u64)| {
            let url = format!("https://shop.example.com/p{i}.webp");
            let mut t = target(PathClass::Asset, &url, &[("content-type", "image/webp")], &[]);
            t.probes.iter_mut().for_each(|p| p.answer.as_mut().unwrap().body_bytes = *bytes);
            t
        };
        shop(vec![], sizes.iter().enumerate().map(one).collect(), vec![])
    }

    #[test]
    fn one_picture_and_all_together_have_a_budget() {
        assert_eq!(found(CHECK.run(&pictures(&[ONE_BYTES_MAX])))[0].severity, Severity::Low);
        assert_eq!(CHECK.run(&pictures(&[ONE_BYTES_MAX - 1])), Outcome::Passed);
        assert_eq!(found(CHECK.run(&pictures(&[HUGE_BYTES])))[0].severity, Severity::Medium);
        assert_eq!(found(CHECK.run(&pictures(&[200_000; 8])))[0].severity, Severity::Low);
        assert_eq!(CHECK.run(&pictures(&[199_999; 8])), Outcome::Passed);
        assert!(matches!(CHECK.run(&pictures(&[])), Outcome::Unknown(_)));
    }

    #[test]
    fn a_cut_body_weighs_what_it_says() {
        let mut snapshot = pictures(&[1_000]);
        let target = &mut snapshot.storefront.as_mut().unwrap().assets.as_mut().unwrap()[0];
        let answer = target.probes[0].answer.as_mut().unwrap();
        answer.body_cut = true;
        answer.headers.push(("content-length".into(), "4000000".into()));
        assert!(found(CHECK.run(&snapshot))[0].observed.contains(&text::bytes_disk(4_000_000)));
    }
}
