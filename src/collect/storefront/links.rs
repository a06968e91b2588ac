//! Finds what to probe in a page's HTML: one product, one collection, assets with and without a hash in their name.

use std::collections::BTreeSet;

use url::Url;

/// Attributes looked at in one page.
const LINKS_MAX: usize = 4_000;
const HASH_DIGITS_MIN: usize = 8;

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
}

impl Links {
    /// Reads `href`, `src` and `content` attributes; pages must lie on the page's own host, assets may lie elsewhere.
    pub fn read(page: &Url, html: &str) -> Self {
        let mut links = Links::default();
        let mut seen = BTreeSet::new();
        for text in attributes(html).take(LINKS_MAX) {
            let Ok(url) = page.join(&text) else { continue };
            if matches!(url.scheme(), "http" | "https") && seen.insert(url.to_string()) {
                links.take(page, url);
            }
        }
        links
    }

    fn take(&mut self, page: &Url, url: Url) {
        let path = url.path().to_owned();
        let is_own = url.host_str() == page.host_str() && url.port_or_known_default() == page.port_or_known_default();
        if path == "/_next/image" {
            self.image.get_or_insert(url);
        } else if is_asset(&path) {
            if is_hashed(&path) {
                self.take_hashed(url);
            } else if is_own {
                self.asset.get_or_insert(url);
            }
        } else if is_own {
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

    /// Fills what is missing from another page.
    pub fn or(self, other: Links) -> Links {
        Links {
            product: self.product.or(other.product),
            collection: self.collection.or(other.collection),
            category: self.category.or(other.category),
            hashed: if self.hashed.is_empty() { other.hashed } else { self.hashed },
            asset: self.asset.or(other.asset),
            image: self.image.or(other.image),
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
    let known = ["js", "mjs", "css", "woff", "woff2", "ttf", "svg", "ico", "png", "jpg", "jpeg", "webp", "avif", "gif"];
    known.contains(&extension(path).to_ascii_lowercase().as_str())
}

/// A content hash of at least eight hexadecimal digits, letters and digits both: thirteen digits alone are a time stamp.
pub fn is_hashed(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or("");
    name.split(|c: char| !c.is_ascii_alphanumeric()).any(|part| {
        let is_hex = part.chars().all(|c| c.is_ascii_digit() || ('a'..='f').contains(&c));
        is_hex && part.len() >= HASH_DIGITS_MIN && part.chars().any(|c| c.is_ascii_digit()) && part.chars().any(|c| c.is_ascii_alphabetic())
    })
}

fn attributes(html: &str) -> impl Iterator<Item = String> + '_ {
    let mut rest = html;
    std::iter::from_fn(move || {
        loop {
            let at = rest.find("=\"").into_iter().chain(rest.find("='")).min()?;
            let (head, tail) = rest.split_at(at);
            let quote = if tail.as_bytes()[1] == b'"' { '"' } else { '\'' };
            let value = &tail[2..];
            let end = value.find(quote)?;
            let name = head.rsplit(|c: char| !c.is_ascii_alphanumeric() && c != '-').next().unwrap_or("");
            // An unclosed quote swallows the rest of the page; a real address is short.
            let is_address = matches!(name.to_ascii_lowercase().as_str(), "href" | "src" | "content") && end <= 2_000;
            let found = is_address.then(|| value[..end].replace("&amp;", "&"));
            rest = &value[end + 1..];
            if let Some(found) = found.filter(|f| !f.is_empty() && !f.starts_with(['#', '{'])) {
                return Some(found);
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOME: &str = r#"<html><head><link rel="stylesheet" href="/_next/static/css/a1b2c3d4e5f6a7b8.css"/>
        <script src='/_next/static/chunks/webpack-5adebf9f62dc3001.js' async></script><link rel="icon" href="/favicon.ico">
        <meta name="viewport" content="width=device-width"></head><body><a href="/us/products/shirt?v=1">x</a> <a href="/us/collections/summer">c</a>
        <a href="https://other.example/products/no">no</a><a href="/us/categories/shirts">k</a>
        <img src="/_next/image?url=%2Fa.png&amp;w=640&amp;q=75"></body></html>"#;

    #[test]
    fn a_home_page_names_what_to_probe() {
        let links = Links::read(&Url::parse("https://shop.example/us").unwrap(), HOME);
        assert_eq!(links.product.unwrap().as_str(), "https://shop.example/us/products/shirt");
        assert_eq!(links.collection.unwrap().path(), "/us/collections/summer");
        assert_eq!(links.category.unwrap().path(), "/us/categories/shirts");
        assert_eq!(links.hashed.len(), 2);
        assert_eq!(links.asset.unwrap().path(), "/favicon.ico");
        assert_eq!(links.image.unwrap().query(), Some("url=%2Fa.png&w=640&q=75"));
    }

    #[test]
    fn hashes_are_told_from_words_and_time_stamps() {
        assert!(is_hashed("/x/app-5adebf9f62dc3001.js"));
        assert!(is_hashed("/x/3f2a9c1b.css"));
        for name in ["/static/1700000000000-shirt.jpg", "/facade.js", "/a/defaced0.js.map/x.js", "/x/app.min.js", "/x/3f2a9c1.css"] {
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
        for text in ["", "=\"", "href='", "href=\"\u{fffd}ä", "=\"=\"='='", "<a href=\"//[::\">"] {
            let _ = Links::read(&Url::parse("http://h/").unwrap(), text);
        }
    }
}
