//! Files with a content hash in their name are asked for again.

use crate::checks::http::{CacheControl, good, host, path, pattern};
use crate::checks::measures::origin_share;
use crate::checks::{Check, always};
use crate::evidence::storefront::{Answer, PathClass, Target};
use crate::evidence::{Cause, Gap, Layer, Section, Snapshot};
use crate::finding::{Basis, Cell, Confidence, Cost, Effort, Evidence, Finding, Gain, Remedy, RemedyKind, Resource, Severity, Subject};
use crate::text;

pub static CHECK: Check = Check {
    id: "cdn-static-not-immutable",
    layer: Layer::Cdn,
    title: "Hashed files are not kept for a year",
    passed: "Files with a hash in their name may be kept for a year and are marked immutable.",
    why: "A file whose name carries a hash of its content never changes. Without a long lifetime browsers and the CDN ask for it again and again: \
          more requests at the origin and a slower second page for every shopper.",
    remedy: "Send Cache-Control: public, max-age=31536000, immutable with every file whose name carries a hash.",
    method: "Reads Cache-Control of one or two files found in the home page whose name holds a hash of at least eight hexadecimal digits. Fires \
             when max-age is under a year or immutable is missing; only the latter is Info.",
    effort: Effort::Minutes,
    references: &["https://www.rfc-editor.org/rfc/rfc8246", "https://nextjs.org/docs/app/api-reference/config/next-config-js/headers"],
    needs: &[Section::StorefrontAssets],
    uses: &[Section::CdnAnalytics],
    symptom_of: &[],
    applies_to: always,
    evaluate,
};

const YEAR_S: u64 = 31_536_000;
/// Without a log of requests: repeat visits ask for the same bundles again, yet most of them answer 304.
const SHARE_BY_RULE: f64 = 0.05;

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let assets = snapshot.shop()?.assets()?;
    let hashed: Vec<(&Target, &Answer)> = assets.iter().filter(|t| t.class == PathClass::HashedAsset).filter_map(|t| Some((t, good(t)?))).collect();
    if hashed.is_empty() {
        let cause = Cause::TooFew { have: 0, need: 1, what: "hashed files that answered 200".into() };
        return Err(Gap::new(Section::StorefrontAssets, cause, "The home page names no file with a hash in its name that answered 200."));
    }
    let bad: Vec<(&Target, &Answer)> = hashed.iter().copied().filter(|(_, a)| !is_kept(a)).collect();
    let Some((first, _)) = bad.first() else { return Ok(Vec::new()) };
    let measured = origin_share(snapshot, |p| p.starts_with("/_next/static/"));
    Ok(vec![finding(first, &bad, hashed.len(), measured)])
}

fn is_long(answer: &Answer) -> bool {
    let control = CacheControl::of(answer);
    control.seconds("max-age").is_some_and(|s| s >= YEAR_S) && !control.has("no-store") && !control.has("no-cache")
}

fn is_kept(answer: &Answer) -> bool {
    is_long(answer) && CacheControl::of(answer).has("immutable")
}

fn finding(first: &Target, bad: &[(&Target, &Answer)], asked: usize, measured: Option<f64>) -> Finding {
    let is_word_missing_only = bad.iter().all(|(_, a)| is_long(a));
    let share = measured.unwrap_or(SHARE_BY_RULE);
    let severity = if is_word_missing_only { Severity::Info } else { Severity::from_share(share) };
    let rows = bad.iter().map(|(t, a)| {
        vec![
            Cell::text(path(&t.url)),
            Cell::text(a.header("cache-control").unwrap_or_else(|| "none".to_owned())),
            Cell::number(a.body_bytes as f64, text::bytes_disk(a.body_bytes)),
        ]
    });
    let shown = bad[0].1.header("cache-control").map_or_else(|| "no Cache-Control".to_owned(), |v| format!("Cache-Control: {v}"));
    Finding {
        subject: Subject::new("path", format!("{}{}", host(&first.url), pattern_of(first))),
        observed: format!(
            "{} of {} with a hash in the name say {shown}.",
            text::count(bad.len() as u64),
            text::plural(asked as u64, "file", "files")
        ),
        step: "Keep hashed files for a year".to_owned(),
        evidence: vec![Evidence::table("Files", &["path", "Cache-Control", "size"], rows.collect())],
        severity,
        confidence: if measured.is_some() { Confidence::High } else { Confidence::Medium },
        confidence_because: if measured.is_some() {
            "read from the header, traffic counted by Cloudflare".to_owned()
        } else {
            "read from the header; how often the files are asked for again is not known".to_owned()
        },
        effort: Effort::Minutes,
        cost: Cost { resource: Resource::OriginRequests, share },
        gain: Some(Gain::new(
            if measured.is_some() { Basis::Measured } else { Basis::RuleOfThumb },
            format!("about {} requests at the origin", text::minus_percent(share)),
        )),
        averts: None,
        remedies: remedies(first),
        verify: "Run the audit again, or: curl -sI <file> shows max-age=31536000, immutable.".to_owned(),
        touches: vec!["traffic:cdn".to_owned(), format!("path:{}", pattern_of(first))],
    }
}

/// The folder, not the file: names change with every build, the finding stays the same.
fn pattern_of(target: &Target) -> String {
    let whole = pattern(target);
    if whole.ends_with('*') { whole } else { whole.rsplit_once('/').map_or_else(|| "/*".to_owned(), |(folder, _)| format!("{folder}/*")) }
}

fn remedies(first: &Target) -> Vec<Remedy> {
    let folder = pattern_of(first);
    let folder = folder.trim_end_matches('*');
    vec![
        Remedy {
            kind: RemedyKind::Storefront,
            label: "Send the header from the storefront".to_owned(),
            text: format!(
                "// next.config.js (next start sends this header for /_next/static by itself; a proxy or static export may not)\n\
                 module.exports = {{\n  async headers() {{\n    return [\n      {{\n        source: \"{folder}:path*\",\n        headers: [{{ key: \"Cache-Control\", value: \"public, max-age=31536000, immutable\" }}],\n      }},\n    ]\n  }},\n}}"
            ),
            lock: None,
            risk: "Low: the name changes with the content.".to_owned(),
            undo: Some("Remove the entry.".to_owned()),
        },
        Remedy {
            kind: RemedyKind::Shell,
            label: "Or from nginx in front of it".to_owned(),
            text: format!(
                "# server block\nlocation ^~ {folder} {{\n    proxy_pass http://storefront;\n    proxy_hide_header Cache-Control;\n    add_header Cache-Control \"public, max-age=31536000, immutable\";\n}}"
            ),
            lock: None,
            risk: "Low: name your own upstream; applied by nginx -s reload.".to_owned(),
            undo: Some("Remove the block and reload.".to_owned()),
        },
        Remedy {
            kind: RemedyKind::Cloudflare,
            label: "Or at the edge".to_owned(),
            text: format!(
                "// Dashboard: Caching → Cache Rules → Create rule. Put it before every rule that bypasses the cache.\n// API: POST /zones/{{zone_id}}/rulesets/{{ruleset_id}}/rules\n\
                 {{\n  \"description\": \"Hashed files\",\n  \"expression\": \"(http.request.uri.path wildcard \\\"{folder}*\\\")\",\n  \"action\": \"set_cache_settings\",\n  \
                 \"action_parameters\": {{\n    \"cache\": true,\n    \"edge_ttl\": {{ \"mode\": \"override_origin\", \"default\": 31536000 }},\n    \"browser_ttl\": {{ \"mode\": \"override_origin\", \"default\": 31536000 }}\n  }}\n}}"
            ),
            lock: None,
            risk: "Low for folders that hold hashed files only.".to_owned(),
            undo: Some("Delete the rule and purge the folder.".to_owned()),
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::http::fixtures::{found, shop, target};
    use crate::finding::Outcome;

    fn with(cache_control: &str) -> Snapshot {
        let h = [("cache-control", cache_control)];
        let asset = target(PathClass::HashedAsset, "https://shop.example.com/_next/static/chunks/a-5adebf9f62dc3001.js", &h, &h);
        shop(vec![], vec![asset], vec![])
    }

    #[test]
    fn a_year_and_immutable_are_the_boundary() {
        assert_eq!(CHECK.run(&with("public, max-age=31536000, immutable")), Outcome::Passed);
        assert_eq!(found(CHECK.run(&with("public, max-age=31535999, immutable")))[0].severity, Severity::Medium);
        assert_eq!(found(CHECK.run(&with("public, max-age=31536000")))[0].severity, Severity::Info);
        let findings = found(CHECK.run(&with("public, max-age=0")));
        assert_eq!(findings[0].subject.name, "shop.example.com/_next/static/*");
    }

    #[test]
    fn unhashed_names_are_not_judged() {
        let asset = target(PathClass::Asset, "https://shop.example.com/logo.svg", &[], &[]);
        assert!(matches!(CHECK.run(&shop(vec![], vec![asset], vec![])), Outcome::Unknown(_)));
    }
}
