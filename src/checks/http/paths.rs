//! What hosts and paths are to a shared cache.

use crate::evidence::storefront::{PathClass, Target};

/// What a path is to a shared cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PathKind {
    /// Bundles, fonts, images.
    Static,
    /// Product, collection and category pages and lists: the same for every shopper of a region.
    Catalogue,
    /// Cart, checkout, account, order, admin: one shopper's.
    Personal,
    Other,
}

impl PathKind {
    pub fn name(self) -> &'static str {
        match self {
            PathKind::Static => "static files",
            PathKind::Catalogue => "catalogue",
            PathKind::Personal => "personal",
            PathKind::Other => "other",
        }
    }
}

/// By path alone, with or without a country before it.
pub fn path_kind(path: &str) -> PathKind {
    let lower = path.to_ascii_lowercase();
    let segments: Vec<&str> = lower.split('/').filter(|s| !s.is_empty()).collect();
    let personal = ["cart", "carts", "checkout", "account", "order", "orders", "customers", "admin", "app", "auth", "payment-collections"];
    // Only near the root: a product may be called "cart".
    let near_root = |names: &[&str]| segments.iter().take(2).any(|s| names.contains(s));
    let extension = segments.last().and_then(|s| s.rsplit_once('.')).map_or("", |(_, e)| e);
    let files = ["js", "css", "woff", "woff2", "ttf", "png", "jpg", "jpeg", "webp", "avif", "gif", "svg", "ico", "mp4"];
    if files.contains(&extension) || lower.starts_with("/_next/static/") || lower == "/_next/image" {
        return PathKind::Static;
    }
    if near_root(&["products", "collections", "categories", "product-categories", "regions", "store"]) && !near_root(&personal) {
        return PathKind::Catalogue;
    }
    if near_root(&personal) { PathKind::Personal } else { PathKind::Other }
}

/// The host of a target, without its port.
pub fn host(url: &str) -> &str {
    let authority = url.split_once("://").map_or(url, |(_, rest)| rest).split(['/', '?', '#']).next().unwrap_or("");
    if let Some(v6) = authority.strip_prefix('[') {
        return v6.split(']').next().unwrap_or("");
    }
    authority.split(':').next().unwrap_or("")
}

/// The path of a target.
pub fn path(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.find('/').map_or("/", |i| rest[i..].split(['?', '#']).next().unwrap_or("/"))
}

/// Hosts that no shopper reaches: loopback, private networks, names without a public ending.
pub fn is_private_host(host: &str) -> bool {
    use core::net::IpAddr;
    if let Ok(ip) = host.parse::<IpAddr>() {
        return match ip {
            IpAddr::V4(v4) => v4.is_loopback() || v4.is_private() || v4.is_link_local() || v4.is_unspecified(),
            IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local() || v6.is_unspecified(),
        };
    }
    let host = host.to_ascii_lowercase();
    let endings = [".localhost", ".local", ".internal", ".lan", ".test", ".home.arpa", ".invalid"];
    !host.contains('.') || endings.iter().any(|e| host.ends_with(e))
}

/// The pattern a target's path stands for: `/products/*`.
pub fn pattern(target: &Target) -> String {
    match target.class {
        PathClass::Home => "/".to_owned(),
        PathClass::Product => "/products/*".to_owned(),
        PathClass::Collection => "/collections/*".to_owned(),
        PathClass::Category => "/categories/*".to_owned(),
        _ if path(&target.url).starts_with("/store/products/") => "/store/products/*".to_owned(),
        _ if path(&target.url).starts_with("/_next/static/") => "/_next/static/*".to_owned(),
        _ => path(&target.url).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_have_kinds() {
        for (path, kind) in [
            ("/us/products/shirt", PathKind::Catalogue),
            ("/store/products", PathKind::Catalogue),
            ("/us/store", PathKind::Catalogue),
            ("/store/carts/x", PathKind::Personal),
            ("/us/cart", PathKind::Personal),
            ("/us/products/cart", PathKind::Catalogue),
            ("/_next/static/chunks/a.js", PathKind::Static),
            ("/app/orders", PathKind::Personal),
            ("/about", PathKind::Other),
        ] {
            assert_eq!(path_kind(path), kind, "{path}");
        }
        assert!(is_private_host("127.0.0.1") && is_private_host("localhost") && is_private_host("shop.local") && is_private_host("10.1.2.3"));
        assert!(!is_private_host("shop.example.com") && !is_private_host("203.0.113.9"));
        assert_eq!((host("http://[::1]:80/x"), path("http://h:1/x?y")), ("::1", "/x"));
    }
}
