//! AWS' managed policies, known without asking: their ids and content never change.
//!
//! <https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/using-managed-cache-policies.html>,
//! <https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/using-managed-origin-request-policies.html>

use crate::evidence::cloudfront::{CachePolicy, Names, OriginRequest};

/// Methods and hosts that the two "UseOriginCacheControlHeaders" policies keep apart.
const ORIGIN_CONTROLLED: &[&str] = &["Host", "Origin", "X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"];

/// Content of a table's entry.
enum Key {
    Nothing,
    All,
    Only(&'static [&'static str]),
    Except(&'static [&'static str]),
}

impl Key {
    fn names(&self) -> Names {
        let owned = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect();
        match self {
            Key::Nothing => Names::None,
            Key::All => Names::All,
            Key::Only(names) => Names::Only(owned(names)),
            Key::Except(names) => Names::Except(owned(names)),
        }
    }
}

struct CacheRow {
    id: &'static str,
    name: &'static str,
    /// Minimum, default, maximum, seconds.
    ttl_s: [i64; 3],
    headers: Key,
    cookies: Key,
    query: Key,
    has_gzip: bool,
    has_brotli: bool,
}

const DAY_S: i64 = 86_400;
const YEAR_S: i64 = 31_536_000;

const CACHE: &[CacheRow] = &[
    CacheRow {
        id: "658327ea-f89d-4fab-a63d-7e88639e58f6",
        name: "Managed-CachingOptimized",
        ttl_s: [1, DAY_S, YEAR_S],
        headers: Key::Nothing,
        cookies: Key::Nothing,
        query: Key::Nothing,
        has_gzip: true,
        has_brotli: true,
    },
    CacheRow {
        id: "b2884449-e4de-46a7-ac36-70bc7f1ddd6d",
        name: "Managed-CachingOptimizedForUncompressedObjects",
        ttl_s: [1, DAY_S, YEAR_S],
        headers: Key::Nothing,
        cookies: Key::Nothing,
        query: Key::Nothing,
        has_gzip: false,
        has_brotli: false,
    },
    CacheRow {
        id: "4135ea2d-6df8-44a3-9df3-4b5a84be39ad",
        name: "Managed-CachingDisabled",
        ttl_s: [0, 0, 0],
        headers: Key::Nothing,
        cookies: Key::Nothing,
        query: Key::Nothing,
        has_gzip: false,
        has_brotli: false,
    },
    CacheRow {
        id: "83da9c7e-98b4-4e11-a168-04f0df8e2c65",
        name: "Managed-UseOriginCacheControlHeaders",
        ttl_s: [0, 0, YEAR_S],
        headers: Key::Only(ORIGIN_CONTROLLED),
        cookies: Key::All,
        query: Key::Nothing,
        has_gzip: true,
        has_brotli: true,
    },
    CacheRow {
        id: "4cc15a8a-d715-48a4-82b8-cc0b614638fe",
        name: "Managed-UseOriginCacheControlHeaders-QueryStrings",
        ttl_s: [0, 0, YEAR_S],
        headers: Key::Only(ORIGIN_CONTROLLED),
        cookies: Key::All,
        query: Key::All,
        has_gzip: true,
        has_brotli: true,
    },
    CacheRow {
        id: "2e54312d-136d-493c-8eb9-b001f22f67d2",
        name: "Managed-Amplify",
        ttl_s: [2, 2, 600],
        headers: Key::Only(&["Authorization", "CloudFront-Viewer-Country", "Host"]),
        cookies: Key::All,
        query: Key::All,
        has_gzip: true,
        has_brotli: true,
    },
    CacheRow {
        id: "08627262-05a9-4f76-9ded-b50ca2e3a84f",
        name: "Managed-Elemental-MediaPackage",
        ttl_s: [0, DAY_S, YEAR_S],
        headers: Key::Only(&["Origin"]),
        cookies: Key::Nothing,
        query: Key::Only(&["aws.manifestfilter", "start", "end", "m"]),
        has_gzip: true,
        has_brotli: false,
    },
];

struct RequestRow {
    id: &'static str,
    name: &'static str,
    headers: Key,
    cookies: Key,
    query: Key,
}

const ORIGIN_REQUEST: &[RequestRow] = &[
    RequestRow { id: "216adef6-5c7f-47e4-b989-5492eafa07d3", name: "Managed-AllViewer", headers: Key::All, cookies: Key::All, query: Key::All },
    RequestRow {
        id: "b689b0a8-53d0-40ab-baf2-68738e2966ac",
        name: "Managed-AllViewerExceptHostHeader",
        headers: Key::Except(&["Host"]),
        cookies: Key::All,
        query: Key::All,
    },
    RequestRow {
        id: "33f36d7e-f396-46d9-90e0-52428a34d9dc",
        name: "Managed-AllViewerAndCloudFrontHeaders-2022-06",
        headers: Key::All,
        cookies: Key::All,
        query: Key::All,
    },
    RequestRow {
        id: "59781a5b-3903-41f3-afcb-af62929ccde1",
        name: "Managed-CORS-CustomOrigin",
        headers: Key::Only(&["Origin"]),
        cookies: Key::Nothing,
        query: Key::Nothing,
    },
    RequestRow {
        id: "88a5eaf4-2fd4-4709-b370-b4c650ea3fcf",
        name: "Managed-CORS-S3Origin",
        headers: Key::Only(&["Origin", "Access-Control-Request-Headers", "Access-Control-Request-Method"]),
        cookies: Key::Nothing,
        query: Key::Nothing,
    },
    RequestRow {
        id: "bf0718e1-ba1e-49d1-88b1-f726733018ae",
        name: "Managed-HostHeaderOnly",
        headers: Key::Only(&["Host"]),
        cookies: Key::Nothing,
        query: Key::Nothing,
    },
    RequestRow {
        id: "acba4595-bd28-49b8-b9fe-13317c0390fa",
        name: "Managed-UserAgentRefererHeaders",
        headers: Key::Only(&["User-Agent", "Referer"]),
        cookies: Key::Nothing,
        query: Key::Nothing,
    },
];

/// The managed cache policy with this id.
pub fn cache(id: &str) -> Option<CachePolicy> {
    CACHE.iter().find(|r| r.id == id).map(|r| CachePolicy {
        name: r.name.to_owned(),
        is_managed: true,
        min_ttl_s: r.ttl_s[0],
        default_ttl_s: r.ttl_s[1],
        max_ttl_s: r.ttl_s[2],
        headers: r.headers.names(),
        cookies: r.cookies.names(),
        query: r.query.names(),
        has_gzip: r.has_gzip,
        has_brotli: r.has_brotli,
    })
}

/// The managed origin request policy with this id.
pub fn origin_request(id: &str) -> Option<OriginRequest> {
    ORIGIN_REQUEST.iter().find(|r| r.id == id).map(|r| OriginRequest {
        name: r.name.to_owned(),
        headers: r.headers.names(),
        cookies: r.cookies.names(),
        query: r.query.names(),
    })
}
