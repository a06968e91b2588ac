//! Finds what to probe in a page's HTML: one product, one collection, and the scripts, styles, fonts and pictures it loads.

use std::collections::{BTreeMap, BTreeSet};

use html5gum::{DefaultEmitter, Token, Tokenizer};
use url::Url;

/// Elements with an address that are looked at in one page.
const LINKS_MAX: usize = 4_000;
/// Longer ones are data, no address.
const ADDRESS_CHARS_MAX: usize = 2_000;
/// Files one page loads that are kept.
const PARTS_MAX: usize = 200;
const HASH_DIGITS_MIN: usize = 8;
/// Pixels: what a telephone of 414 points and two pixels a point asks a picture of full width for, the next step of Next.js's own widths.
const PICTURE_WIDTH: f64 = 828.0;
/// Pixels a point of most screens in use.
const PICTURE_DENSITY: f64 = 2.0;

/// Addresses to probe, as far as the page names them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Links {
    pub product: Option<Url>,
    pub collection: Option<Url>,
    pub category: Option<Url>,
    /// Up to two, a script and a stylesheet where both exist.
    pub hashed: Vec<Url>,
    pub asset: Option<Url>,
    pub image: Option<Url>,
    /// Everything that a browser loads with the page, in the page's order: pictures from anywhere, other files of the page's own host.
    pub parts: Vec<Url>,
}

/// What an element's address is for.
#[derive(Clone, Copy, PartialEq)]
enum Use {
    /// A page that may be visited.
    Visit,
    /// A script, style, font or icon.
    File,
    Picture,
}

impl Links {
    /// Pages must lie on the page's own host, assets may lie elsewhere.
    pub fn read(page: &Url, html: &str) -> Self {
        let mut links = Links::default();
        let mut seen = BTreeSet::new();
        for (purpose, text) in addresses(html) {
            let Ok(url) = page.join(&text) else { continue };
            if matches!(url.scheme(), "http" | "https") && seen.insert(url.to_string()) {
                links.take(page, purpose, url);
            }
        }
        links
    }

    fn take(&mut self, page: &Url, purpose: Use, url: Url) {
        let path = url.path().to_owned();
        let is_own = url.host_str() == page.host_str() && url.port_or_known_default() == page.port_or_known_default();
        if purpose != Use::Visit && (is_own || purpose == Use::Picture) && self.parts.len() < PARTS_MAX {
            self.parts.push(url.clone());
        }
        if path == "/_next/image" {
            self.image.get_or_insert(url);
        } else if is_asset(&path) {
            if is_hashed(&path) {
                // Elsewhere lie the build's own files, by `assetPrefix`, and those of others, which are theirs to cache.
                if is_own || is_built(&path) {
                    self.take_hashed(url);
                }
            } else if is_own {
                self.asset.get_or_insert(url);
            }
        } else if is_own && purpose == Use::Visit {
            self.take_page(&path, url);
        }
    }

    fn take_hashed(&mut self, url: Url) {
        let is_new_kind = self.hashed.iter().all(|u| extension(u.path()) != extension(url.path()));
        if self.hashed.len() < 2 && is_new_kind {
            self.hashed.push(url);
        }
    }

    fn take_page(&mut self, path: &str, mut url: Url) {
        let slot = if has_child(path, "products") {
            &mut self.product
        } else if has_child(path, "collections") {
            &mut self.collection
        } else if has_child(path, "categories") {
            &mut self.category
        } else {
            return;
        };
        // Filters and tracking parameters of a link are not the page's address.
        url.set_query(None);
        url.set_fragment(None);
        slot.get_or_insert(url);
    }

    /// Fills what is missing from another page, and adds what that one loads.
    pub fn or(mut self, other: Links) -> Links {
        self.parts.extend(other.parts);
        let mut seen = BTreeSet::new();
        self.parts.retain(|p| seen.insert(p.to_string()));
        Links {
            product: self.product.or(other.product),
            collection: self.collection.or(other.collection),
            category: self.category.or(other.category),
            hashed: if self.hashed.is_empty() { other.hashed } else { self.hashed },
            asset: self.asset.or(other.asset),
            image: self.image.or(other.image),
            parts: self.parts,
        }
    }
}

/// `/us/products/shirt` has a child under `products`; `/us/products` has none.
fn has_child(path: &str, folder: &str) -> bool {
    let segments: Vec<&str> = path.split('/').filter(|s| !s.is_empty()).collect();
    segments.iter().position(|s| *s == folder).is_some_and(|i| i <= 1 && i + 1 < segments.len())
}

/// The country or locale a path starts with: `/us`, `/en-gb`; empty without one.
pub fn locale_prefix(path: &str) -> String {
    let first = path.split('/').find(|s| !s.is_empty()).unwrap_or("");
    let parts: Vec<&str> = first.split('-').collect();
    let is_locale = parts.len() <= 2 && parts.iter().all(|p| p.len() == 2 && p.chars().all(|c| c.is_ascii_alphabetic()));
    if is_locale { format!("/{first}") } else { String::new() }
}

fn extension(path: &str) -> &str {
    path.rsplit('/').next().and_then(|name| name.rsplit_once('.')).map_or("", |(_, ext)| ext)
}

fn is_asset(path: &str) -> bool {
    let known = ["js", "mjs", "css", "woff", "woff2", "ttf"];
    known.contains(&extension(path).to_ascii_lowercase().as_str()) || is_picture(path)
}

/// By the ending of its name.
pub fn is_picture(path: &str) -> bool {
    let known = ["svg", "ico", "png", "jpg", "jpeg", "webp", "avif", "gif"];
    known.contains(&extension(path).to_ascii_lowercase().as_str())
}

/// In the folder of a Next.js build, on whatever host.
pub fn is_built(path: &str) -> bool {
    path.contains("/_next/static/")
}

/// A content hash of at least eight hexadecimal digits, letters and digits both: thirteen digits alone are a time stamp, and a UUID says which
/// picture it is, not what is in it.
pub fn is_hashed(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or("");
    let parts: Vec<&str> = name.split(|c: char| !c.is_ascii_alphanumeric()).collect();
    let is_hash = |part: &str| {
        let is_whole = is_hex(part) && part.len() >= HASH_DIGITS_MIN;
        is_whole && part.chars().any(|c| c.is_ascii_digit()) && part.chars().any(|c| c.is_ascii_alphabetic())
    };
    (0..parts.len()).any(|i| is_hash(parts[i]) && !is_of_uuid(&parts, i))
}

fn is_hex(part: &str) -> bool {
    part.chars().all(|c| c.is_ascii_digit() || ('a'..='f').contains(&c))
}

/// Lengths of a UUID's parts (RFC 9562, section 4).
const UUID_PARTS: [usize; 5] = [8, 4, 4, 4, 12];

fn is_of_uuid(parts: &[&str], i: usize) -> bool {
    let is_uuid = |row: &[&str]| row.iter().zip(UUID_PARTS).all(|(part, length)| part.len() == length && is_hex(part));
    (i.saturating_sub(UUID_PARTS.len() - 1)..=i).any(|start| parts.get(start..start + UUID_PARTS.len()).is_some_and(is_uuid))
}

/// The addresses of a page's elements, in its order. Contents of scripts are no elements.
fn addresses(html: &str) -> impl Iterator<Item = (Use, String)> {
    let mut emitter = DefaultEmitter::default();
    emitter.naively_switch_states(true);
    let tags = Tokenizer::new_with_emitter(html, emitter).filter_map(|token| match token {
        Ok(Token::StartTag(tag)) => Some(tag),
        _ => None,
    });
    let found = tags.filter_map(|tag| {
        let attributes: BTreeMap<String, String> = tag.attributes.iter().map(|(name, value)| (text(name), text(value))).collect();
        address(&text(&tag.name), &attributes)
    });
    found.filter(|(_, a)| !a.is_empty() && a.len() <= ADDRESS_CHARS_MAX && !a.starts_with(['#', '{'])).take(LINKS_MAX)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn address(element: &str, attributes: &BTreeMap<String, String>) -> Option<(Use, String)> {
    let of = |name: &str| attributes.get(name).map(|v| v.trim().to_owned());
    match element {
        "a" => Some((Use::Visit, of("href")?)),
        "script" => Some((Use::File, of("src")?)),
        "img" => {
            let chosen = of("srcset").as_deref().and_then(candidate);
            Some((Use::Picture, chosen.or_else(|| of("src"))?))
        }
        "link" => link(attributes),
        _ => None,
    }
}

fn link(attributes: &BTreeMap<String, String>) -> Option<(Use, String)> {
    let of = |name: &str| attributes.get(name).map(|v| v.trim().to_owned());
    let words = of("rel").unwrap_or_else(String::new).to_ascii_lowercase();
    let is = |word: &str| words.split_whitespace().any(|w| w == word);
    if is("preload") && of("as").as_deref() == Some("image") {
        let chosen = of("imagesrcset").as_deref().and_then(candidate);
        return Some((Use::Picture, chosen.or_else(|| of("href"))?));
    }
    let is_loaded = is("stylesheet") || is("preload") || is("modulepreload") || is("icon");
    is_loaded.then(|| of("href").map(|href| (Use::File, href)))?
}

/// The picture of a `srcset` that a telephone would load: the narrowest that is wide enough, else the widest.
fn candidate(srcset: &str) -> Option<String> {
    let candidates = srcset.split(", ").flat_map(|part| part.split(",\n")).filter_map(|part| {
        let mut words = part.split_whitespace();
        let address = words.next()?.trim_end_matches(',').to_owned();
        let (number, wanted) = match words.next() {
            Some(d) if d.ends_with('w') => (d.trim_end_matches('w').parse::<f64>().ok()?, PICTURE_WIDTH),
            Some(d) if d.ends_with('x') => (d.trim_end_matches('x').parse::<f64>().ok()?, PICTURE_DENSITY),
            _ => (1.0, PICTURE_DENSITY),
        };
        Some((number / wanted, address))
    });
    let mut all: Vec<(f64, String)> = candidates.filter(|(share, _)| share.is_finite()).collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    let enough = all.iter().position(|(share, _)| *share >= 1.0).unwrap_or(all.len().saturating_sub(1));
    all.into_iter().nth(enough).map(|(_, address)| address)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOME: &str = r#"<html><head><link rel="stylesheet" href="/_next/static/css/a1b2c3d4e5f6a7b8.css"/>
        <script src='/_next/static/chunks/webpack-5adebf9f62dc3001.js' async></script><link rel="icon" href="/favicon.ico">
        <meta name="viewport" content="width=device-width"><meta property="og:image" content="/og.png"></head>
        <body><a href="/us/products/shirt?v=1">x</a> <a href="/us/collections/summer">c</a>
        <a href="https://other.example/products/no">no</a><a href=/us/categories/shirts>k</a>
        <script>document.write('<img src="/written.png">')</script>
        <img srcset="/_next/image?url=%2Fa.png&amp;w=640&amp;q=75 640w, /_next/image?url=%2Fa.png&amp;w=828&amp;q=75 828w, /_next/image?url=%2Fa.png&amp;w=3840&amp;q=75 3840w"
        src="/_next/image?url=%2Fa.png&amp;w=3840&amp;q=75"><img src="https://media.example.net/b.jpg"><script src="https://tags.example.org/t.js"></script></body></html>"#;

    #[test]
    fn a_home_page_names_what_to_probe() {
        let links = Links::read(&Url::parse("https://shop.example/us").unwrap(), HOME);
        assert_eq!(links.product.unwrap().as_str(), "https://shop.example/us/products/shirt");
        assert_eq!(links.collection.unwrap().path(), "/us/collections/summer");
        assert_eq!(links.category.unwrap().path(), "/us/categories/shirts");
        assert_eq!(links.hashed.len(), 2);
        assert_eq!(links.asset.unwrap().path(), "/favicon.ico");
        assert_eq!(links.image.unwrap().query(), Some("url=%2Fa.png&w=828&q=75"));
        let parts: Vec<&str> = links.parts.iter().map(|p| p.path().rsplit('/').next().unwrap()).collect();
        assert_eq!(parts, ["a1b2c3d4e5f6a7b8.css", "webpack-5adebf9f62dc3001.js", "favicon.ico", "image", "b.jpg"]);
    }

    /// Scripts of others and pictures named by a UUID are not the shop's build.
    #[test]
    fn only_the_shops_own_files_are_judged_by_their_hash() {
        let html = r#"<script src="https://tags.example.org/t-5adebf9f62dc3001.js"></script><img src="https://media.example.net/shirt-3f2a9c1b0d.jpg">
            <img src="/products/3f2a9c1b-12ab-4cde-8f01-0a1b2c3d4e5f.jpg"><script src="https://cdn.example.net/shop/_next/static/chunks/a-5adebf9f62dc3001.js"></script>
            <link rel="stylesheet" href="/assets/app-5adebf9f62dc3001.css">"#;
        let links = Links::read(&Url::parse("https://shop.example/us").unwrap(), html);
        let hashed: Vec<&str> = links.hashed.iter().map(Url::as_str).collect();
        assert_eq!(
            hashed,
            ["https://cdn.example.net/shop/_next/static/chunks/a-5adebf9f62dc3001.js", "https://shop.example/assets/app-5adebf9f62dc3001.css"]
        );
        assert_eq!(links.asset.unwrap().path(), "/products/3f2a9c1b-12ab-4cde-8f01-0a1b2c3d4e5f.jpg");
    }

    #[test]
    fn a_telephone_takes_the_narrowest_picture_that_is_wide_enough() {
        assert_eq!(candidate("/a 320w, /b 1080w, /c 2048w").as_deref(), Some("/b"));
        assert_eq!(candidate("/a 320w, /b 640w").as_deref(), Some("/b"));
        assert_eq!(candidate("/a 1x, /b 2x, /c 3x").as_deref(), Some("/b"));
        assert_eq!(candidate("/only").as_deref(), Some("/only"));
        assert_eq!(candidate(""), None);
    }

    #[test]
    fn hashes_are_told_from_words_and_time_stamps() {
        assert!(is_hashed("/x/app-5adebf9f62dc3001.js"));
        assert!(is_hashed("/x/3f2a9c1b.css"));
        assert!(is_hashed("/x/3f2a9c1b-12ab-4cde-8f01-0a1b2c3d4e5f.5adebf9f62dc3001.jpg"), "a hash behind a UUID");
        for name in [
            "/static/1700000000000-shirt.jpg",
            "/facade.js",
            "/a/defaced0.js.map/x.js",
            "/x/app.min.js",
            "/x/3f2a9c1.css",
            "/x/3f2a9c1b-12ab-4cde-8f01-0a1b2c3d4e5f.jpg",
        ] {
            assert!(!is_hashed(name), "{name}");
        }
    }

    #[test]
    fn prefixes_are_countries_and_locales_only() {
        assert_eq!(locale_prefix("/us"), "/us");
        assert_eq!(locale_prefix("/en-GB/products/x"), "/en-GB");
        assert_eq!(locale_prefix("/shop"), "");
        assert_eq!(locale_prefix("/"), "");
    }

    #[test]
    fn any_text_is_survived() {
        for text in ["", "=\"", "<a href='", "<img srcset=\"\u{fffd}ä,,, 1w\"", "<img srcset='a NaNw, b infw'>", "<a href=\"//[::\">", "<script>"] {
            let _ = Links::read(&Url::parse("http://h/").unwrap(), text);
        }
    }
}
