//! Texts travel uncompressed.

use crate::checks::edge::remedy;
use crate::checks::http::{edge, good, host, is_private_host, pattern};
use crate::checks::{Check, always};
use crate::evidence::storefront::{Answer, PathClass, Target};
use crate::evidence::{Cause, Gap, Layer, Section, Snapshot};
use crate::finding::{Basis, Cell, Confidence, Cost, Effort, Evidence, Finding, Gain, Remedy, RemedyKind, Resource, Severity, Subject};
use crate::text;

pub static CHECK: Check = Check {
    id: "cdn-compression-missing",
    layer: Layer::Cdn,
    title: "Pages, scripts or lists are sent uncompressed",
    passed: "Texts of more than 1 kB are compressed.",
    why: "HTML, scripts and JSON shrink to a quarter when compressed. Sent plain they keep shoppers on slow connections waiting and cost bandwidth.",
    remedy: "Compress at the edge (Brotli or zstd) or at the origin (gzip).",
    method: "Asks with Accept-Encoding: br, zstd, gzip and looks at text answers (HTML, JSON, scripts, styles, SVG) of more than 1 kB without \
             Content-Encoding. The share is that of the bytes which the probed answers could do without. A backend on this machine or in a private \
             network, as Medusa comes, is Info: what shoppers get depends on the proxy in front of it.",
    effort: Effort::Minutes,
    references: &[
        "https://developers.cloudflare.com/speed/optimization/content/compression/",
        "https://docs.medusajs.com/learn/configurations/medusa-config",
        "https://nginx.org/en/docs/http/ngx_http_gzip_module.html",
    ],
    needs: &[Section::StorefrontPages],
    uses: &[Section::StorefrontAssets, Section::StoreApi],
    symptom_of: &[],
    applies_to: always,
    evaluate,
};

/// Below this the saving is smaller than a packet.
const BYTES_MIN: u64 = 1_000;
/// What gzip leaves of HTML, JSON and scripts: a quarter.
const SAVED_SHARE: f64 = 0.75;

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let shop = snapshot.shop()?;
    let others = [shop.assets(), shop.api()];
    let all: Vec<(&Target, &Answer)> =
        shop.pages()?.iter().chain(others.into_iter().flatten().flatten()).filter_map(|t| Some((t, good(t)?))).collect();
    let texts: Vec<(&Target, &Answer)> = all.iter().copied().filter(|(_, a)| is_text(a) && (is_packed(a) || a.body_bytes > BYTES_MIN)).collect();
    if texts.is_empty() {
        let cause = Cause::TooFew { have: 0, need: 1, what: "text answers of more than 1 kB".into() };
        return Err(Gap::new(Section::StorefrontPages, cause, "No text answer of more than 1 kB came back, so compression is not known."));
    }
    let bytes_all: u64 = all.iter().map(|(_, a)| a.body_bytes).sum();
    let plain: Vec<(&Target, &Answer)> = texts.iter().copied().filter(|(_, a)| !is_packed(a)).collect();
    let (api, store): (Vec<_>, Vec<_>) = plain.into_iter().partition(|(t, _)| is_api(t.class));
    let sides = [(store, texts.iter().filter(|(t, _)| !is_api(t.class)).count()), (api, texts.iter().filter(|(t, _)| is_api(t.class)).count())];
    Ok(sides.into_iter().filter(|(bad, _)| !bad.is_empty()).map(|(bad, of)| finding(&bad, of, bytes_all)).collect())
}

fn is_api(class: PathClass) -> bool {
    matches!(class, PathClass::ApiCatalogue | PathClass::ApiPersonal | PathClass::Health)
}

/// What is packed was large enough, however small it came out.
fn is_packed(answer: &Answer) -> bool {
    answer.header("content-encoding").is_some_and(|e| e != "identity")
}

fn is_text(answer: &Answer) -> bool {
    let kind = answer.header("content-type").unwrap_or_default().to_ascii_lowercase();
    kind.starts_with("text/") || ["json", "javascript", "xml", "svg"].iter().any(|w| kind.contains(w))
}

fn finding(bad: &[(&Target, &Answer)], of: usize, bytes_all: u64) -> Finding {
    let (first, answer) = bad[0];
    let is_backend = is_api(first.class);
    let host = host(&first.url);
    let plain: u64 = bad.iter().map(|(_, a)| a.body_bytes).sum();
    let share = plain as f64 * SAVED_SHARE / bytes_all.max(1) as f64;
    let is_stock = is_backend && is_private_host(host) && edge(answer).is_none();
    let rows = bad.iter().map(|(t, a)| {
        vec![
            Cell::text(pattern(t)),
            Cell::text(a.header("content-type").unwrap_or_else(|| "not told".to_owned())),
            Cell::number(a.body_bytes as f64, text::bytes_disk(a.body_bytes)),
        ]
    });
    let mut touches: Vec<String> = bad.iter().map(|(t, _)| format!("path:{}", pattern(t))).collect();
    touches.dedup();
    Finding {
        subject: Subject::new("host", format!("{host}{}", if is_backend { " (store API)" } else { "" })),
        observed: format!(
            "{} of {} came uncompressed: {}.",
            text::count(bad.len() as u64),
            text::plural(of as u64, "text", "texts"),
            text::bytes_disk(plain)
        ),
        step: if is_backend { "Compress the store API's answers".to_owned() } else { "Compress pages and scripts".to_owned() },
        evidence: vec![
            Evidence::table("Uncompressed", &["path", "type", "size"], rows.collect()),
            Evidence::BeforeAfter {
                label: "Bytes of these answers".to_owned(),
                unit: "B".to_owned(),
                before: plain as f64,
                after: plain as f64 * (1.0 - SAVED_SHARE),
                basis: Basis::RuleOfThumb,
            },
        ],
        severity: if is_stock { Severity::Info } else { Severity::from_share(share) },
        confidence: Confidence::Medium,
        confidence_because: "read from the answers; the share is of the probed bytes, not of the store's traffic".to_owned(),
        effort: Effort::Minutes,
        cost: Cost { resource: Resource::Bytes, share: if is_stock { 0.0 } else { share } },
        gain: Some(Gain::new(Basis::RuleOfThumb, format!("{} bytes of these answers", text::minus_percent(SAVED_SHARE)))),
        averts: None,
        remedies: if is_backend { vec![medusa_2(), medusa_1()] } else { vec![nginx(), cloudflare()] },
        verify: "Run the audit again, or: curl -sI -H 'Accept-Encoding: br, gzip' <address> shows Content-Encoding.".to_owned(),
        touches,
    }
}

fn medusa_2() -> Remedy {
    Remedy {
        kind: RemedyKind::MedusaConfig,
        label: "Medusa 2: compress in the application".to_owned(),
        text: "// medusa-config.ts\nmodule.exports = defineConfig({\n  projectConfig: {\n    http: {\n      compression: {\n        enabled: true,\n        level: 6,\n        memLevel: 8,\n        threshold: 1024,\n      },\n    },\n  },\n})".to_owned(),
        lock: None,
        risk: "Low: costs processor time of the backend; leave it off where a proxy or CDN compresses already.".to_owned(),
        undo: Some("Set enabled to false.".to_owned()),
    }
}

fn medusa_1() -> Remedy {
    Remedy {
        kind: RemedyKind::MedusaConfig,
        label: "Medusa 1: the same option".to_owned(),
        text: "// medusa-config.js\nmodule.exports = {\n  projectConfig: {\n    http_compression: { enabled: true, level: 6, memLevel: 8, threshold: 1024 },\n  },\n}".to_owned(),
        lock: None,
        risk: "Low: as above.".to_owned(),
        undo: Some("Set enabled to false.".to_owned()),
    }
}

fn nginx() -> Remedy {
    remedy::nginx(
        "Compress in nginx",
        "# http or server block\ngzip on;\ngzip_proxied any;\ngzip_vary on;\ngzip_min_length 1000;\n\
         gzip_types text/css text/plain text/x-component application/javascript text/javascript application/json image/svg+xml application/xml;",
        "Low: costs processor time; text/html is included by default.",
    )
}

fn cloudflare() -> Remedy {
    Remedy {
        kind: RemedyKind::Cloudflare,
        label: "Or compress at the edge".to_owned(),
        text: "// Dashboard: Rules → Compression Rules → Create rule.\n// API: phase http_response_compression, POST /zones/{zone_id}/rulesets/{ruleset_id}/rules\n\
               {\n  \"description\": \"zstd, Brotli, gzip\",\n  \"expression\": \"true\",\n  \"action\": \"compress_response\",\n  \
               \"action_parameters\": { \"algorithms\": [{ \"name\": \"zstd\" }, { \"name\": \"brotli\" }, { \"name\": \"gzip\" }] }\n}"
            .to_owned(),
        lock: None,
        risk: "Low: answers with Cache-Control: no-transform stay as they are.".to_owned(),
        undo: Some("Delete the rule.".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::http::fixtures::{found, shop, target};
    use crate::finding::Outcome;

    fn page(bytes: u64, headers: &[(&str, &str)]) -> Target {
        let mut page = target(PathClass::Product, "https://shop.example.com/us/products/x", headers, headers);
        page.probes.iter_mut().for_each(|p| p.answer.as_mut().unwrap().body_bytes = bytes);
        page
    }

    #[test]
    fn a_kilobyte_of_plain_text_is_the_boundary() {
        let html = [("content-type", "text/html; charset=utf-8")];
        assert!(matches!(CHECK.run(&shop(vec![page(1_001, &html)], vec![], vec![])), Outcome::Failed(_)));
        assert!(matches!(CHECK.run(&shop(vec![page(1_000, &html)], vec![], vec![])), Outcome::Unknown(_)));
        let packed = [html[0], ("content-encoding", "br")];
        assert_eq!(CHECK.run(&shop(vec![page(200, &packed)], vec![], vec![])), Outcome::Passed);
        let picture = [("content-type", "image/jpeg")];
        assert!(matches!(CHECK.run(&shop(vec![page(9_000, &picture)], vec![], vec![])), Outcome::Unknown(_)));
    }

    #[test]
    fn a_stock_backend_next_door_is_info() {
        let json = [("content-type", "application/json")];
        let packed = [("content-type", "text/html"), ("content-encoding", "gzip")];
        let api = |url: &str| target(PathClass::ApiCatalogue, url, &json, &json);
        let local = shop(vec![page(2_000, &packed)], vec![], vec![api("http://127.0.0.1:9000/store/products")]);
        assert_eq!(found(CHECK.run(&local))[0].severity, Severity::Info);
        let public = shop(vec![page(2_000, &packed)], vec![], vec![api("https://api.example.com/store/products")]);
        assert_eq!(found(CHECK.run(&public))[0].severity, Severity::High);
    }
}
