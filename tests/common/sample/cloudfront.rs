//! Two CloudFront distributions: one of a shop with a low hit ratio, one of media without the additional metrics.

use medusa_advisor::evidence::cloudfront::{
    Behaviour, Bucket, CachePolicy, Caching, CloudFront, Distribution, DistributionMetrics, HourMetrics, Names, ObjectHead, ObjectSample, Origin,
    OriginAccess, OriginKind, PublicAccessBlock,
};
use medusa_advisor::evidence::{Cause, Gap, Listed, Section, Snapshot};
use time::Duration;

use super::TAKEN_AT;

pub const SHOP: &str = "E2QWRUHAPOMQZL";
pub const MEDIA: &str = "E1P5KXH8BNNMVD";
const DAY_S: i64 = 86_400;
const YEAR_S: i64 = 31_536_000;

/// The sample store behind CloudFront instead of Cloudflare.
pub fn behind(snapshot: &mut Snapshot) {
    snapshot.cdn = Err(Gap::not_configured(Section::Cdn));
    snapshot.cloudfront = Ok(cloudfront());
}

/// The sample store with CloudFront besides Cloudflare.
pub fn beside(snapshot: &mut Snapshot) {
    snapshot.cloudfront = Ok(cloudfront());
}

pub fn cloudfront() -> CloudFront {
    CloudFront {
        distributions: Ok(Listed::whole(vec![shop(), media()])),
        metrics: Ok(vec![metrics(SHOP, true), metrics(MEDIA, false)]),
        buckets: Ok(Listed { rows: vec![bucket("northwind-media"), bucket("northwind-media-archive")], cut: Some(3) }),
    }
}

fn policy(name: &str, ttl_s: [i64; 3], cookies: Names, query: Names) -> Caching {
    let policy = CachePolicy {
        name: name.to_owned(),
        is_managed: name.starts_with("Managed-"),
        min_ttl_s: ttl_s[0],
        default_ttl_s: ttl_s[1],
        max_ttl_s: ttl_s[2],
        headers: Names::None,
        cookies,
        query,
        has_gzip: true,
        has_brotli: true,
    };
    Caching::Policy { id: "658327ea-f89d-4fab-a63d-7e88639e58f6".to_owned(), policy: Ok(policy) }
}

fn behaviour(pattern: &str, origin: &str, caching: Caching) -> Behaviour {
    Behaviour {
        path_pattern: pattern.to_owned(),
        is_default: pattern == "*",
        origin_id: origin.to_owned(),
        caching,
        origin_request: None,
        response_headers: None,
        is_compressed: true,
        viewer_protocol: "redirect-to-https".to_owned(),
        allowed_methods: vec!["GET".to_owned(), "HEAD".to_owned()],
        cached_methods: vec!["GET".to_owned(), "HEAD".to_owned()],
        has_functions: false,
    }
}

fn origin(id: &str, domain: &str, bucket: Option<&str>, access: OriginAccess) -> Origin {
    Origin {
        id: id.to_owned(),
        domain: domain.to_owned(),
        kind: if bucket.is_some() { OriginKind::S3 } else { OriginKind::Custom },
        bucket: bucket.map(str::to_owned),
        protocol: bucket.is_none().then(|| "https-only".to_owned()),
        access,
        has_shield: false,
        header_names: Vec::new(),
    }
}

fn distribution(id: &str, domain: &str, alias: &str, origins: Vec<Origin>, behaviours: Vec<Behaviour>) -> Distribution {
    Distribution {
        id: id.to_owned(),
        domain: domain.to_owned(),
        aliases: vec![alias.to_owned()],
        is_enabled: true,
        price_class: Some("PriceClass_100".to_owned()),
        http_version: Some("http2".to_owned()),
        has_ipv6: Some(true),
        minimum_tls: Some("TLSv1.2_2021".to_owned()),
        has_web_acl: Some(false),
        origins,
        behaviours,
    }
}

fn shop() -> Distribution {
    let gap = Gap::new(
        Section::CloudFrontDistributions,
        Cause::Unreadable,
        "CloudFront says \"allButPersonal\" for the cookies of the cache policy catalogue: a word that this program does not know.",
    );
    let unread = Caching::Policy { id: "0f4ad0f1-6b9e-4b8e-9d5c-1d1d2c3b4a5f".to_owned(), policy: Err(gap) };
    let jwt = Names::Only(vec!["_medusa_jwt".to_owned(), "_medusa_cart_id".to_owned()]);
    let images = Names::Only(["url", "w", "q"].map(str::to_owned).to_vec());
    let behaviours = vec![
        behaviour("/_next/static/*", "storefront", policy("Managed-CachingOptimized", [1, DAY_S, YEAR_S], Names::None, Names::None)),
        behaviour("/_next/image*", "storefront", policy("medusa-images", [0, DAY_S, YEAR_S], Names::None, images)),
        behaviour("/categories/*", "storefront", unread),
        behaviour("/products/*", "storefront", policy("medusa-pages", [0, 60, 600], jwt, Names::All)),
        behaviour("*", "storefront", policy("Managed-CachingDisabled", [0, 0, 0], Names::None, Names::None)),
    ];
    let origins = vec![origin("storefront", "origin.northwind-outfitters.com", None, OriginAccess::None)];
    distribution(SHOP, "d111111abcdef8.cloudfront.net", "www.northwind-outfitters.com", origins, behaviours)
}

fn media() -> Distribution {
    let optimized = policy("Managed-CachingOptimized", [1, DAY_S, YEAR_S], Names::None, Names::None);
    let domain = "northwind-media.s3.eu-central-1.amazonaws.com";
    let origins = vec![origin("media", domain, Some("northwind-media"), OriginAccess::Control)];
    distribution(MEDIA, "d222222abcdef8.cloudfront.net", "media.northwind-outfitters.com", origins, vec![behaviour("*", "media", optimized)])
}

/// A day of traffic, busiest in the evening; the shop had no request at four in the morning.
fn metrics(id: &str, has_additional: bool) -> DistributionMetrics {
    let from = TAKEN_AT.replace_time(time::Time::MIDNIGHT) + Duration::hours(9) - Duration::days(1);
    let hour = |n: i64| {
        let wave = (((n - 11) as f64) / 24.0 * std::f64::consts::TAU).cos();
        let requests = (14_000.0 + 9_000.0 * wave).round();
        HourMetrics {
            hour: from + Duration::hours(n),
            requests: Some(requests),
            bytes_downloaded: Some(requests * 21_500.0),
            percent_4xx: Some(0.8),
            percent_5xx: Some(0.2),
            hit_rate_percent: has_additional.then_some(58.0 + 8.0 * wave),
            origin_latency_ms: has_additional.then_some(240.0 - 60.0 * wave),
        }
    };
    // Hour 19 after nine is four in the morning; the 25th is the one that runs.
    let hours = (0..25).filter(|n| *n != 19).map(hour).collect();
    DistributionMetrics { distribution: id.to_owned(), has_additional: Ok(has_additional), from, to: TAKEN_AT, hours }
}

fn bucket(name: &str) -> Bucket {
    let head = ObjectHead {
        pattern: "products/*.jpg".to_owned(),
        cache_control: Some("public, max-age=31536000".to_owned()),
        content_type: Some("image/jpeg".to_owned()),
        bytes: 180_000,
    };
    Bucket {
        name: name.to_owned(),
        region: Ok("eu-central-1".to_owned()),
        public_access: Ok(PublicAccessBlock::all(true)),
        has_public_policy: Ok(false),
        is_read_unsigned: Ok(false),
        objects: Ok(ObjectSample { listed: 1_000, is_whole: false, heads: vec![head; 20] }),
    }
}
