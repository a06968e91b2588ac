//! A small storefront whose answers can be changed path by path, served on loopback.

use std::collections::BTreeMap;
use std::io::Write;

use crate::shop::{asked_path, listen};

/// What one path answers.
#[derive(Clone)]
pub struct Page {
    pub status: u16,
    pub kind: &'static str,
    pub headers: Vec<(&'static str, String)>,
    /// Bytes of text or picture.
    pub bytes: usize,
    /// HTML that stands before the filling.
    pub html: String,
}

/// Every path of the storefront and its backend.
#[derive(Clone)]
pub struct Site {
    pub pages: BTreeMap<&'static str, Page>,
    /// The starter's middleware: a page without `_medusa_cache_id` is a redirect to itself.
    pub wants_visitor_cookie: bool,
    /// The picture's ETag and size follow the width that was asked for, as the optimiser's do.
    pub picture: &'static str,
    pub picture_bytes: usize,
}

pub const PRODUCT: &str = "/us/products/shirt";
pub const COLLECTION: &str = "/us/collections/summer";
pub const CATEGORY: &str = "/us/categories/shirts";
pub const CART: &str = "/us/cart";
pub const ACCOUNT: &str = "/us/account";
pub const CHECKOUT: &str = "/us/checkout";
pub const STYLE: &str = "/_next/static/css/a1b2c3d4e5f6a7b8.css";
pub const SCRIPT: &str = "/_next/static/chunks/main-5adebf9f62dc3001.js";
pub const LOGO: &str = "/logo.svg";
pub const PHOTO: &str = "/photo.webp";
pub const IMAGE: &str = "/_next/image";
pub const HEALTH: &str = "/health";
pub const LIST: &str = "/store/products";
pub const ONE: &str = "/store/products/prod_1";
pub const REGIONS: &str = "/store/regions";
const VARY: &str = "RSC, Next-Router-State-Tree, Next-Router-Prefetch, Next-Router-Segment-Prefetch, Accept-Encoding";

impl Site {
    /// A storefront as it should be, as a Next.js production server answers.
    pub fn healthy() -> Self {
        let html = format!(
            r#"<html><head><link rel="stylesheet" href="{STYLE}"><script src="{SCRIPT}"></script><link rel="icon" href="{LOGO}"></head><body>
            <a href="{PRODUCT}">Shirt</a><a href="{COLLECTION}">Summer</a><a href="{CATEGORY}">Shirts</a><img src="{PHOTO}">
            <img src="{IMAGE}?url=%2Fshirt.png&amp;w=828&amp;q=75">"#
        );
        let mut pages = BTreeMap::new();
        let next = |cache: &str| vec![("Cache-Control", cache.to_owned()), ("Vary", VARY.to_owned()), ("X-Powered-By", "Next.js".to_owned())];
        for path in [PRODUCT, COLLECTION, CATEGORY] {
            pages.insert(path, Page::new("text/html; charset=utf-8", 3_000, next("s-maxage=300, stale-while-revalidate=31535700")));
        }
        pages.insert("/us", Page { html, ..pages[PRODUCT].clone() });
        for path in [CART, ACCOUNT, CHECKOUT] {
            pages.insert(path, Page::new("text/html; charset=utf-8", 3_000, next("private, no-cache, no-store, max-age=0, must-revalidate")));
        }
        let year = || vec![("Cache-Control", "public, max-age=31536000, immutable".to_owned()), ("ETag", "W/\"a-1\"".to_owned())];
        pages.insert(STYLE, Page::new("text/css", 4_000, year()));
        pages.insert(SCRIPT, Page::new("application/javascript", 40_000, year()));
        let hour = || vec![("Cache-Control", "public, max-age=3600".to_owned()), ("ETag", "\"l-1\"".to_owned())];
        pages.insert(LOGO, Page::new("image/svg+xml", 800, hour()));
        pages.insert(PHOTO, Page::new("image/webp", 90_000, hour()));
        let list = || vec![("Cache-Control", "public, s-maxage=60".to_owned())];
        pages.insert(HEALTH, Page::new("text/plain", 2, Vec::new()));
        for path in [LIST, ONE, REGIONS] {
            pages.insert(path, Page::new("application/json", 4_000, list()));
        }
        Self { pages, wants_visitor_cookie: false, picture: "public, max-age=60, must-revalidate", picture_bytes: 60_000 }
    }

    /// Replaces the header everywhere on these paths; an empty value takes it away.
    pub fn header(&mut self, paths: &[&'static str], name: &'static str, value: &str) {
        for path in paths {
            let page = self.pages.get_mut(path).unwrap();
            page.headers.retain(|(n, _)| *n != name);
            if !value.is_empty() {
                page.headers.push((name, value.to_owned()));
            }
        }
    }

    pub fn page(&mut self, path: &'static str) -> &mut Page {
        self.pages.get_mut(path).unwrap()
    }

    fn answer(&self, target: &str, head: &str) -> Vec<u8> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let has = |text: &str| head.to_ascii_lowercase().contains(text);
        if self.wants_visitor_cookie && path.starts_with("/us") && !has("_medusa_cache_id=") {
            let cookie = ("Set-Cookie", "_medusa_cache_id=SENTINEL; Path=/; Max-Age=86400".to_owned());
            return response(307, &[("Location", target.to_owned()), cookie], b"");
        }
        if path == "/" {
            return response(307, &[("Location", "/us".to_owned())], b"");
        }
        if path == IMAGE {
            return self.picture(query);
        }
        let Some(page) = self.pages.get(path) else { return response(404, &[], b"") };
        if has("\r\nrsc: 1") && page.kind.starts_with("text/html") {
            let headers: Vec<_> = page.headers.iter().cloned().chain([("Content-Type", "text/x-component".to_owned())]).collect();
            return response(200, &headers, b"0:[\"$\",\"main\",null,{}]\n");
        }
        let tag = page.headers.iter().find(|(n, _)| *n == "ETag").map(|(_, v)| v.to_ascii_lowercase());
        if tag.is_some_and(|t| has(&format!("if-none-match: {t}"))) {
            return response(304, &page.headers, b"");
        }
        let headers: Vec<_> = page.headers.iter().cloned().chain([("Content-Type", page.kind.to_owned())]).collect();
        let body = if path == LIST { format!("{{\"products\":[{{\"id\":\"prod_1\"}}],\"x\":\"{}\"}}", "y".repeat(page.bytes)) } else { page.body() };
        response(page.status, &headers, body.as_bytes())
    }

    fn picture(&self, query: &str) -> Vec<u8> {
        let width: usize = query.split('&').find_map(|p| p.strip_prefix("w=")).and_then(|w| w.parse().ok()).unwrap_or(0);
        let headers = [
            ("Cache-Control", self.picture.to_owned()),
            ("Content-Type", "image/webp".to_owned()),
            ("ETag", format!("\"{width}\"")),
            ("Vary", "Accept".to_owned()),
        ];
        let bytes = if width <= 64 { 900 } else { self.picture_bytes };
        response(200, &headers, &vec![b'x'; bytes])
    }
}

impl Page {
    pub fn new(kind: &'static str, bytes: usize, headers: Vec<(&'static str, String)>) -> Self {
        Self { status: 200, kind, headers, bytes, html: String::new() }
    }

    fn body(&self) -> String {
        format!("{}{}", self.html, "<p>Soft cotton</p>".repeat(self.bytes / 18 + 1).chars().take(self.bytes).collect::<String>())
    }
}

fn response(status: u16, headers: &[(&'static str, String)], body: &[u8]) -> Vec<u8> {
    let lines: String = headers.iter().map(|(n, v)| format!("{n}: {v}\r\n")).collect();
    // A 304 has no body and says no length of one.
    let length = if status == 304 { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    let head = format!("HTTP/1.1 {status} Answer\r\nDate: {}\r\n{lines}{length}Connection: close\r\n\r\n", now());
    [head.as_bytes(), body].concat()
}

fn now() -> String {
    time::OffsetDateTime::now_utc().format(&time::format_description::well_known::Rfc2822).unwrap().replace("+0000", "GMT")
}

/// Serves the site on a free port until the test process ends.
pub fn serve(site: Site) -> u16 {
    listen(move |mut stream, head| {
        let answer = site.answer(&asked_path(&head), &head);
        let _ = stream.write_all(&answer);
    })
}
