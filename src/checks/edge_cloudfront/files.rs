//! Which behaviours answer files that are the same for every shopper: bundles, optimised images, media.

use std::collections::BTreeMap;

use super::enabled;
use crate::checks::http::{host, path};
use crate::evidence::cloudfront::{Behaviour, Distribution, OriginKind, matches};
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
    /// Patterns that would answer these paths and nothing personal: the behaviour's own where it is there for files.
    pub fn patterns(&self) -> Vec<String> {
        let mut patterns: Vec<String> = self.paths.iter().filter_map(|p| pattern_of(self.behaviour, p, self.is_bucket)).collect();
        patterns.sort();
        patterns.dedup();
        patterns
    }
}

/// Folders of Medusa's local file storage, whose files are everybody's.
const FOLDERS: [&str; 2] = ["/static/", "/uploads/"];
/// Where Next.js has its bundles and its image optimiser; a `basePath` stands before them.
const NEXT_STATIC: &str = "/_next/static/";
const NEXT_IMAGE: &str = "/_next/image";
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
            // A behaviour that takes pages too is judged only for what a narrower one could answer.
            if pattern_of(behaviour, &path, is_bucket).is_none() {
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
fn is_everybodys(path: &str) -> bool {
    folder_of(path).is_some()
}

/// The pattern of the folder that makes a path everybody's.
fn folder_of(path: &str) -> Option<String> {
    if let Some((base, _)) = path.split_once(NEXT_STATIC) {
        return Some(format!("{base}{NEXT_STATIC}*"));
    }
    if let Some(base) = path.trim_end_matches('/').strip_suffix(NEXT_IMAGE) {
        return Some(format!("{base}{NEXT_IMAGE}*"));
    }
    FOLDERS.iter().find(|f| path.starts_with(**f)).map(|f| format!("{f}*"))
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
    (is_folder && !is_page) || has_file_ending(plain) || plain.contains(&NEXT_STATIC[1..]) || is_image_optimizer(pattern)
}

/// Whether a pattern is there for the image optimiser, whose query has to stay in the key.
pub fn is_image_optimizer(pattern: &str) -> bool {
    pattern.split_once(&NEXT_IMAGE[1..]).is_some_and(|(_, rest)| rest.is_empty() || rest.starts_with(['/', '*', '?']))
}

/// The narrowest pattern that answers a path of this behaviour and is safe to cache for everybody.
fn pattern_of(behaviour: &Behaviour, path: &str, is_bucket: bool) -> Option<String> {
    let own = &behaviour.path_pattern;
    if !behaviour.is_default && is_file_pattern(own) {
        return Some(own.clone());
    }
    let by_ending = || {
        let (_, ending) = path.rsplit_once('.').filter(|_| is_bucket && has_file_ending(path))?;
        Some(format!("{}*.{ending}", own.strip_suffix('*')?))
    };
    // What the behaviour does not answer itself is another one's.
    folder_of(path).or_else(by_ending).filter(|narrow| matches(own, narrow))
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{behaviour, store};
    use super::*;
    use crate::checks::http::fixtures::target;
    use crate::evidence::storefront::PathClass;

    #[test]
    fn patterns_of_files_are_told_from_patterns_of_pages() {
        for pattern in [
            "/_next/static/*",
            "_next/image*",
            "/media/*",
            "*.jpg",
            "/images/*.webp",
            "/static/*",
            "/products/*.jpg",
            "/_next/image",
            "/shop/_next/static/*",
            "/*/_next/image?*",
        ] {
            assert!(is_file_pattern(pattern), "{pattern}");
        }
        for pattern in [
            "/_next/data/*",
            "/api/*",
            "/products/*",
            "*",
            "/store/*",
            "/staticpages/*",
            "/us/*",
            "/cart*",
            "/_next/*",
            "/shop/*",
            "/_next/images-of-mine",
        ] {
            assert!(!is_file_pattern(pattern), "{pattern}");
        }
    }

    #[test]
    fn new_patterns_hold_nothing_personal() {
        let of = |own: &str, path: &str, is_bucket| pattern_of(&behaviour(own, "x"), path, is_bucket);
        assert_eq!(of("*", "/_next/static/chunks/a.js", false).as_deref(), Some("/_next/static/*"));
        assert_eq!(of("*", "/_next/image", false).as_deref(), Some("/_next/image*"));
        assert_eq!(of("*", "/account/avatar.png", false), None);
        assert_eq!(of("*", "/products/file.png", true).as_deref(), Some("*.png"));
        assert_eq!(of("/shop/*", "/shop/_next/static/a.js", false).as_deref(), Some("/shop/_next/static/*"));
        assert_eq!(of("/shop/*", "/shop/logo.svg", false), None, "a page's folder may answer a file by what it knows of the shopper");
        assert_eq!(of("/_next/*", "/_next/image", false).as_deref(), Some("/_next/image*"));
        assert_eq!(of("/shop/*", "/shop/file.png", true).as_deref(), Some("/shop/*.png"));
        assert_eq!(of("/*/a*", "/static/abc.png", false), None, "wider than the behaviour");
        for own in ["/media/*", "/_next/image", "/shop/_next/static/*", "*.css"] {
            assert_eq!(of(own, "/whatever.css", false).as_deref(), Some(own));
        }
    }

    #[test]
    fn a_behaviour_of_pages_is_left_alone_and_its_files_get_their_own() {
        let mut snapshot = store(vec![behaviour("/shop/*", "storefront"), behaviour("/_next/*", "storefront")]);
        let asset = |path: &str| target(PathClass::Asset, &format!("https://shop.example.com{path}"), &[], &[]);
        let paths = ["/shop/_next/static/a.js", "/shop/photo.png", "/_next/static/b.js", "/_next/image"];
        snapshot.storefront.as_mut().unwrap().assets = Ok(paths.map(asset).to_vec());
        let found = answering_files(&snapshot).unwrap();
        let seen: Vec<_> = found.iter().map(|f| (f.behaviour.path_pattern.as_str(), f.paths.len(), f.patterns())).collect();
        let narrow = |patterns: &[&str]| patterns.iter().map(|p| (*p).to_owned()).collect::<Vec<_>>();
        assert_eq!(seen, [("/shop/*", 1, narrow(&["/shop/_next/static/*"])), ("/_next/*", 2, narrow(&["/_next/image*", "/_next/static/*"]))]);
    }
}
