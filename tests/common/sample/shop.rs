//! A storefront and a store API that answer slowly.

use medusa_advisor::evidence::storefront::{Answer, PathClass, Probe, Storefront, Target, Tls, Variant};

pub fn storefront() -> Storefront {
    let web = "https://www.northwind-outfitters.com";
    let api = "https://api.northwind-outfitters.com";
    Storefront {
        storefront_url: Some(web.to_owned()),
        backend_url: Some(api.to_owned()),
        pages: Ok(vec![
            target(PathClass::Home, &format!("{web}/"), 212.0, "s-maxage=60", "HIT", 0.0),
            target(PathClass::Product, &format!("{web}/products/harbor-tee"), 388.0, "private, no-store", "MISS", 0.0),
            target(PathClass::Category, &format!("{web}/categories/shirts"), 402.0, "max-age=0", "EXPIRED", 0.0),
            target(PathClass::Personal, &format!("{web}/cart"), 190.0, "no-store", "BYPASS", 0.0),
        ]),
        assets: Ok(vec![target(
            PathClass::HashedAsset,
            &format!("{web}/_next/static/chunks/main-4f2a.js"),
            41.0,
            "max-age=31536000, immutable",
            "HIT",
            0.0,
        )]),
        media: Ok(vec![target(PathClass::Media, &format!("{web}/static/1700000000000-tee.jpg"), 320.0, "max-age=0", "MISS", 0.0)]),
        api: Ok(vec![
            target(PathClass::ApiCatalogue, &format!("{api}/store/products"), 980.0, "", "DYNAMIC", 720.0),
            target(PathClass::ApiCatalogue, &format!("{api}/store/regions"), 64.0, "", "DYNAMIC", 52.0),
            target(PathClass::ApiPersonal, &format!("{api}/store/carts"), 190.0, "no-store", "DYNAMIC", 148.0),
            target(PathClass::Health, &format!("{api}/health"), 12.0, "", "DYNAMIC", 0.0),
        ]),
        tls: Ok(vec![Tls {
            host: "www.northwind-outfitters.com".to_owned(),
            version: "TLSv1.3".to_owned(),
            alpn: Some("h2".to_owned()),
            issuer: Some("Example Trust Services".to_owned()),
            handshake_ms: 38.0,
            old_versions: Some(Vec::new()),
            distrust: None,
        }]),
        limits_met: Vec::new(),
        resolved: Vec::new(),
    }
}

/// A target that answers after `first_byte_ms`; timed 40 times around `timed_ms` unless that is 0.
fn target(class: PathClass, url: &str, first_byte_ms: f64, cache_control: &str, cache: &str, timed_ms: f64) -> Target {
    let probe = |variant, share: f64| Probe { variant, sent: Vec::new(), answer: Ok(answer(first_byte_ms * share, cache_control, cache)) };
    let timings = if timed_ms > 0.0 { 40 } else { 0 };
    Target {
        class,
        url: url.to_owned(),
        probes: vec![probe(Variant::First, 1.0), probe(Variant::Second, 0.8)],
        timings_ms: (0..timings).map(|i| timed_ms * (0.85 + f64::from(i % 20) * 0.037)).collect(),
    }
}

fn answer(first_byte_ms: f64, cache_control: &str, cache: &str) -> Answer {
    let mut headers = vec![("content-encoding".to_owned(), "br".to_owned()), ("cf-cache-status".to_owned(), cache.to_owned())];
    if !cache_control.is_empty() {
        headers.push(("cache-control".to_owned(), cache_control.to_owned()));
    }
    Answer {
        status: 200,
        redirects: Vec::new(),
        protocol: "HTTP/2".to_owned(),
        first_byte_ms,
        total_ms: first_byte_ms * 1.3,
        headers,
        body_bytes: 48_200,
        body_cut: false,
    }
}
