//! Which behaviours answer files that are the same for every shopper: bundles, optimised images, media.

use std::collections::BTreeMap;

use super::enabled;
use crate::checks::http::{host, path};
use crate::evidence::cloudfront::{Behaviour, Distribution, OriginKind};
use crate::evidence::{Cause, Gap, Section, Snapshot};

/// A behaviour and the files it was found to answer.
#[derive(Debug, Clone)]
pub struct Files<'a> {
    pub distribution: &'a Distribution,
    pub behaviour: &'a Behaviour,
    /// Paths that lead here, sorted: probed ones, those of the bucket's sample, or the pattern itself.
    pub paths: Vec<String>,
    pub is_bucket: bool,
}

impl Files<'_> {
    /// Patterns that would answer these paths and nothing personal; the behaviour's own where it has one.
    pub fn patterns(&self) -> Vec<String> {
        if !self.behaviour.is_default {
            return vec![self.behaviour.path_pattern.clone()];
        }
        let mut patterns: Vec<String> = self.paths.iter().filter_map(|p| pattern_of(p, self.is_bucket)).collect();
        patterns.sort();
        patterns.dedup();
        patterns
    }
}

/// Folders of the storefront and of Medusa's local file storage whose files are everybody's.
const FOLDERS: [&str; 4] = ["/_next/static/", "/_next/image", "/static/", "/uploads/"];
/// Endings of files that a page is made of.
const ENDINGS: [&str; 21] = [
    "js", "mjs", "css", "map", "woff", "woff2", "ttf", "otf", "png", "jpg", "jpeg", "webp", "avif", "gif", "svg", "ico", "mp4", "webm", "mp3", "pdf",
    "glb",
];
/// First folders that hold nothing else, by their names; `_next/data` holds pages and is none of them.
const WORDS: [&str; 12] =
    ["_next/static", "_next/image", "static", "assets", "media", "images", "image", "img", "uploads", "fonts", "products", "public"];

/// Every behaviour of enabled distributions that answers such files.
///
/// # Errors
/// A gap when none is found: then nothing can be said about files.
pub fn answering_files(snapshot: &Snapshot) -> Result<Vec<Files<'_>>, Gap> {
    let listed = snapshot.cloudfront()?.distributions()?;
    let mut found: BTreeMap<(usize, usize), Files<'_>> = BTreeMap::new();
    for (d, distribution) in enabled(listed).enumerate() {
        for path in paths(snapshot, distribution) {
            let Some(behaviour) = distribution.behaviour_for(&path) else { continue };
            let is_bucket = distribution.origin(behaviour).is_some_and(|o| matches!(o.kind, OriginKind::S3 | OriginKind::S3Website));
            if !is_bucket && behaviour.is_default && !is_everybodys(&path) {
                continue;
            }
            let place = distribution.behaviours.iter().position(|b| b == behaviour).unwrap_or(0);
            let entry = found.entry((d, place)).or_insert_with(|| Files { distribution, behaviour, paths: Vec::new(), is_bucket });
            if !entry.paths.contains(&path) {
                entry.paths.push(path);
            }
        }
    }
    if found.is_empty() {
        let cause = Cause::TooFew { have: 0, need: 1, what: "behaviours that answer files".into() };
        let detail = "No behaviour of the distributions that were read is known to answer bundles, images or media.";
        return Err(Gap::new(Section::CloudFrontDistributions, cause, detail));
    }
    Ok(found
        .into_values()
        .map(|mut f| {
            f.paths.sort();
            f
        })
        .collect())
}

/// Paths of files that this distribution answers: as probed, as its buckets hold, and as its own patterns say.
fn paths(snapshot: &Snapshot, distribution: &Distribution) -> Vec<String> {
    let mut all = Vec::new();
    if let Ok(shop) = snapshot.shop() {
        let probed = [shop.assets(), shop.media()].into_iter().flatten().flatten();
        let own = probed.filter(|t| distribution.serves(host(&t.url))).map(|t| path(&t.url).to_owned());
        all.extend(own.filter(|p| is_everybodys(p) || has_file_ending(p)));
    }
    if let Ok(buckets) = snapshot.cloudfront().and_then(|c| c.buckets()) {
        let own = buckets.rows.iter().filter(|b| distribution.origins.iter().any(|o| o.bucket.as_ref() == Some(&b.name)));
        let heads = own.filter_map(|b| b.objects.as_ref().ok()).flat_map(|o| &o.heads);
        let paths = heads.map(|h| format!("/{}", h.pattern.replace("<folder>", "folder").replace('*', "file"))).filter(|p| has_file_ending(p));
        // A bucket's files are asked for under the paths that lead to that bucket only.
        all.extend(paths.filter(|p| {
            let origin = distribution.behaviour_for(p).and_then(|b| distribution.origin(b));
            origin.is_some_and(|o| o.bucket.is_some())
        }));
    }
    let patterns = distribution.behaviours.iter().filter(|b| !b.is_default && is_file_pattern(&b.path_pattern));
    all.extend(patterns.map(|b| format!("/{}", b.path_pattern.trim_start_matches('/').replace('*', "file"))));
    all
}

/// A path whose answer is the same for everybody by what writes it there: Next.js, or Medusa's file storage.
pub fn is_everybodys(path: &str) -> bool {
    FOLDERS.iter().any(|f| path.starts_with(f))
}

fn has_file_ending(path: &str) -> bool {
    path.rsplit('/').next().and_then(|n| n.rsplit_once('.')).is_some_and(|(_, e)| ENDINGS.contains(&e.to_ascii_lowercase().as_str()))
}

/// Whether a behaviour is there for files, by its pattern.
pub fn is_file_pattern(pattern: &str) -> bool {
    let plain = pattern.trim_start_matches('/');
    let is_folder = WORDS.iter().any(|w| plain.strip_prefix(w).is_some_and(|rest| rest.starts_with(['/', '*', '?'])));
    // A folder of pages stays one: `/products/*` of a storefront holds products, of a bucket files.
    let is_page = plain.starts_with("products") && !has_file_ending(plain);
    (is_folder && !is_page) || has_file_ending(plain)
}

/// The narrowest pattern that is safe to cache for everybody.
fn pattern_of(path: &str, is_bucket: bool) -> Option<String> {
    for (start, pattern) in
        [("/_next/static/", "/_next/static/*"), ("/_next/image", "/_next/image*"), ("/static/", "/static/*"), ("/uploads/", "/uploads/*")]
    {
        if path.starts_with(start) {
            return Some(pattern.to_owned());
        }
    }
    let ending = path.rsplit_once('.').map(|(_, e)| e).filter(|_| is_bucket && has_file_ending(path))?;
    Some(format!("*.{ending}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_of_files_are_told_from_patterns_of_pages() {
        for pattern in ["/_next/static/*", "_next/image*", "/media/*", "*.jpg", "/images/*.webp", "/static/*", "/products/*.jpg"] {
            assert!(is_file_pattern(pattern), "{pattern}");
        }
        for pattern in ["/_next/data/*", "/api/*", "/products/*", "*", "/store/*", "/staticpages/*", "/us/*", "/cart*"] {
            assert!(!is_file_pattern(pattern), "{pattern}");
        }
    }

    #[test]
    fn new_patterns_hold_nothing_personal() {
        assert_eq!(pattern_of("/_next/static/chunks/a.js", false).as_deref(), Some("/_next/static/*"));
        assert_eq!(pattern_of("/_next/image", false).as_deref(), Some("/_next/image*"));
        assert_eq!(pattern_of("/account/avatar.png", false), None);
        assert_eq!(pattern_of("/products/file.png", true).as_deref(), Some("*.png"));
    }
}
