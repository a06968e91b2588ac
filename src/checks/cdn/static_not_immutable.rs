//! Files with a content hash in their name are asked for again.

use std::collections::BTreeSet;

use crate::checks::edge::remedy;
use crate::checks::http::{CacheControl, Edge, edge, good, host, path, pattern};
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
    method: "Reads Cache-Control of one or two files of the shop's own host, or of its build, found in the home page, whose name holds a hash of at \
             least eight hexadecimal digits; a UUID is none. Fires when max-age is under a year or immutable is missing; only the latter is Info.",
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
        remedies: remedies(bad),
        verify: "Run the audit again, or: curl -sI <file> shows max-age=31536000, immutable.".to_owned(),
        touches: vec!["traffic:cdn".to_owned(), format!("path:{}", pattern_of(first))],
    }
}

/// The folder, not the file: names change with every build, the finding stays the same.
fn pattern_of(target: &Target) -> String {
    let whole = pattern(target);
    if whole.ends_with('*') { whole } else { whole.rsplit_once('/').map_or_else(|| "/*".to_owned(), |(folder, _)| format!("{folder}/*")) }
}

const BUILD: &str = "/_next/static/";

/// The folder of a build, in which every name changes with the content: `/_next/static/`, with what stands before it. Of any other folder it is
/// not known what else lies there.
fn build_folder(path: &str) -> Option<&str> {
    let folder = &path[..path.find(BUILD)? + BUILD.len()];
    // What a location and an expression take as it is.
    folder.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '/' | '-' | '_' | '.')).then_some(folder)
}

/// Where the header has to be sent: folders of a build, and the endings of hashed names that lie anywhere else.
struct Places<'t> {
    folders: BTreeSet<&'t str>,
    endings: BTreeSet<&'t str>,
}

impl<'t> Places<'t> {
    fn of(bad: &[(&'t Target, &Answer)]) -> Self {
        let paths: Vec<&str> = bad.iter().map(|(t, _)| path(&t.url)).collect();
        let ending = |path: &&'t str| Some(path.rsplit_once('.')?.1).filter(|e| e.chars().all(|c| c.is_ascii_alphanumeric()));
        Self {
            folders: paths.iter().filter_map(|p| build_folder(p)).collect(),
            endings: paths.iter().filter(|p| build_folder(p).is_none()).filter_map(ending).collect(),
        }
    }

    /// The end of a name: eight hexadecimal digits or more, letters and digits both and not of a UUID, then words and an ending that was seen. `None`
    /// where no such file was.
    fn hashed_name(&self) -> Option<String> {
        let endings: Vec<&str> = self.endings.iter().copied().collect();
        let hash = "(?<!-[0-9a-f]{4}-)(?=[0-9]*[a-f])(?=[a-f]*[0-9])[0-9a-f]{8,}(?:[.-][a-z]+)*";
        (!endings.is_empty()).then(|| format!("{hash}[.](?:{})", endings.join("|")))
    }
}

fn remedies(bad: &[(&Target, &Answer)]) -> Vec<Remedy> {
    let places = Places::of(bad);
    let mut all = vec![next_config(&places), nginx(&places)];
    // By endings and the origin's header the edge keeps all the others: a rule for them would have to name what else lies in their folder.
    if bad.iter().any(|(_, a)| edge(a) == Some(Edge::Cloudflare)) {
        for folder in &places.folders {
            let risk =
                "Low: names in this folder change with their content; redirects and errors are not kept. Browsers still go by the header they get.";
            all.extend(remedy::remedies("Or at the edge, whatever the origin says", &[remedy::kept_files(folder)], risk));
            let risk = "Low: names in this folder change with their content; answers other than 200 keep their header.";
            all.extend(remedy::remedies("And for browsers, from the edge", &[remedy::immutable_files(folder)], risk));
        }
    }
    all
}

fn next_config(places: &Places) -> Remedy {
    // A base path is put before it by Next.js itself.
    let folder = (!places.folders.is_empty()).then(|| format!("{BUILD}:path*"));
    let names = places.hashed_name().map(|name| format!("/:path*/:name((?:[^/]*[._-])?{name})"));
    let entry = |source: String| {
        let value = remedy::IMMUTABLE;
        format!("      {{\n        source: \"{source}\",\n        headers: [{{ key: \"Cache-Control\", value: \"{value}\" }}],\n      }},\n")
    };
    let entries: String = folder.into_iter().chain(names).map(entry).collect();
    Remedy {
        kind: RemedyKind::Storefront,
        label: "Send the header from the storefront".to_owned(),
        text: format!(
            "// next.config.js (next start sends this header for /_next/static by itself; a proxy or static export may not)\n\
             module.exports = {{\n  async headers() {{\n    return [\n{entries}    ]\n  }},\n}}"
        ),
        lock: None,
        risk: "Low: the name changes with the content.".to_owned(),
        undo: Some("Remove the entry.".to_owned()),
    }
}

fn nginx(places: &Places) -> Remedy {
    let folders = places.folders.iter().map(|folder| format!("^~ {folder}"));
    let all = folders.chain(places.hashed_name().map(|name| format!("~ \"[/._-]{name}$\"")));
    let block = |place: String| {
        let value = remedy::IMMUTABLE;
        format!(
            "location {place} {{\n    proxy_pass http://storefront;\n    proxy_hide_header Cache-Control;\n    add_header Cache-Control \"{value}\";\n}}"
        )
    };
    let blocks: Vec<String> = all.map(block).collect();
    Remedy {
        kind: RemedyKind::Shell,
        label: "Or from nginx in front of it".to_owned(),
        text: format!("# server block\n{}", blocks.join("\n")),
        lock: None,
        risk: "Low: name your own upstream; errors get no such header; applied by nginx -s reload.".to_owned(),
        undo: Some("Remove the block and reload.".to_owned()),
    }
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

    fn texts_of(files: &[&str]) -> Vec<(RemedyKind, String)> {
        let h = [("cf-cache-status", "HIT"), ("cache-control", "public, max-age=0")];
        let assets = files.iter().map(|f| target(PathClass::HashedAsset, &format!("https://shop.example.com{f}"), &h, &h)).collect();
        found(CHECK.run(&shop(vec![], assets, vec![])))[0].remedies.iter().map(|r| (r.kind, r.text.clone())).collect()
    }

    /// Carts and accounts lie under the folder as well: the rule names files, never the whole site.
    #[test]
    fn a_file_outside_the_builds_folder_yields_no_rule_for_its_folder() {
        for path in ["/app-5adebf9f62dc3001.js", "/us/account-5adebf9f62dc3001.js", "/products/x-5adebf9f62dc3001.js"] {
            let texts = texts_of(&[path]);
            assert!(texts.iter().all(|(kind, _)| *kind != RemedyKind::Cloudflare), "{texts:?}");
            for (_, text) in texts {
                assert!(!text.contains("location ^~") && !text.contains(":path*\""), "{text}");
                assert!(text.contains("(?:[.-][a-z]+)*[.](?:js)"), "{text}");
            }
        }
        // What an address could break out of its rule with.
        let odd = texts_of(&["/*/_next/static/a-5adebf9f62dc3001.js"]);
        assert!(odd.iter().all(|(kind, _)| *kind != RemedyKind::Cloudflare), "{odd:?}");
    }

    #[test]
    fn each_folder_of_a_build_gets_its_rule() {
        let texts = texts_of(&["/_next/static/css/a1b2c3d4e5f6a7b8.css", "/shop/_next/static/chunks/a-5adebf9f62dc3001.js"]);
        let all: String = texts.iter().map(|(_, text)| format!("{text}\n")).collect();
        for part in
            ["source: \"/_next/static/:path*\"", "location ^~ /_next/static/ {", "location ^~ /shop/_next/static/ {", "\\\"/shop/_next/static/*\\\""]
        {
            assert!(all.contains(part), "{part}: {all}");
        }
        assert!(!all.contains("[0-9a-f]{8,}") && all.contains("\"from\": 305"), "{all}");
        // No rules of Cloudflare where something else answers.
        assert!(found(CHECK.run(&with("public, max-age=0")))[0].remedies.iter().all(|r| r.kind != RemedyKind::Cloudflare));
    }

    #[test]
    fn unhashed_names_are_not_judged() {
        let asset = target(PathClass::Asset, "https://shop.example.com/logo.svg", &[], &[]);
        assert!(matches!(CHECK.run(&shop(vec![], vec![asset], vec![])), Outcome::Unknown(_)));
    }
}
