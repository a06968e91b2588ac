//! Stores behind CloudFront for the tests of the checks.

use crate::checks::http::fixtures::shop;
use crate::evidence::cloudfront::{
    Behaviour, Bucket, CachePolicy, Caching, CloudFront, Distribution, DistributionMetrics, HourMetrics, Names, ObjectHead, ObjectSample, Origin,
    OriginAccess, OriginKind, PublicAccessBlock,
};
use crate::evidence::{Cause, Gap, Listed, Section, Snapshot};
use time::{Duration, macros::datetime};

pub fn policy(name: &str, ttl_s: [i64; 3], cookies: Names) -> CachePolicy {
    CachePolicy {
        name: name.into(),
        is_managed: false,
        min_ttl_s: ttl_s[0],
        default_ttl_s: ttl_s[1],
        max_ttl_s: ttl_s[2],
        headers: Names::None,
        cookies,
        query: Names::None,
        has_gzip: true,
        has_brotli: true,
    }
}

/// A behaviour as recommended: a day, no cookies in the key.
pub fn behaviour(pattern: &str, origin: &str) -> Behaviour {
    Behaviour {
        path_pattern: pattern.into(),
        is_default: pattern == "*",
        origin_id: origin.into(),
        caching: Caching::Policy { id: "p".into(), policy: Ok(policy("CachingOptimized", [1, 86_400, 31_536_000], Names::None)) },
        origin_request: None,
        response_headers: None,
        is_compressed: true,
        viewer_protocol: "redirect-to-https".into(),
        allowed_methods: vec!["GET".into(), "HEAD".into()],
        cached_methods: vec!["GET".into(), "HEAD".into()],
        has_functions: false,
    }
}

pub fn with_policy(mut behaviour: Behaviour, settings: CachePolicy) -> Behaviour {
    behaviour.caching = Caching::Policy { id: "p".into(), policy: Ok(settings) };
    behaviour
}

pub fn with_legacy(mut behaviour: Behaviour, settings: CachePolicy) -> Behaviour {
    behaviour.caching = Caching::Legacy { settings };
    behaviour
}

/// Legacy settings in a word that nobody knows.
pub fn with_unread(mut behaviour: Behaviour) -> Behaviour {
    behaviour.caching = Caching::LegacyUnread { gap: unread() };
    behaviour
}

pub fn unread() -> Gap {
    Gap::new(Section::CloudFrontDistributions, Cause::Unreadable, "CloudFront says \"allButPersonal\" for the cookies.")
}

/// Pages: not kept, every method.
pub fn pages() -> Behaviour {
    let mut default = with_policy(behaviour("*", "storefront"), policy("CachingDisabled", [0, 0, 0], Names::None));
    default.allowed_methods.push("POST".into());
    default
}

pub fn origin(id: &str, kind: OriginKind) -> Origin {
    let is_bucket = matches!(kind, OriginKind::S3 | OriginKind::S3Website);
    Origin {
        id: id.into(),
        domain: if is_bucket { "media.s3.eu-central-1.amazonaws.com".into() } else { "origin.example.com".into() },
        kind,
        bucket: is_bucket.then(|| "media".into()),
        protocol: (kind == OriginKind::Custom).then(|| "https-only".into()),
        access: if is_bucket { OriginAccess::Control } else { OriginAccess::None },
        has_shield: false,
        header_names: vec![],
    }
}

/// Hours that all have the same figures.
pub fn hours(count: i64, requests: f64, percent: Option<f64>) -> Vec<HourMetrics> {
    (0..count)
        .map(|n| HourMetrics {
            hour: datetime!(2026-11-22 09:00 UTC) + Duration::hours(n),
            requests: Some(requests),
            bytes_downloaded: Some(requests * 10_000.0),
            percent_4xx: Some(0.1),
            percent_5xx: Some(0.0),
            hit_rate_percent: percent,
            origin_latency_ms: percent.map(|_| 80.0),
        })
        .collect()
}

pub fn head(pattern: &str, cache_control: Option<&str>) -> ObjectHead {
    ObjectHead { pattern: pattern.into(), cache_control: cache_control.map(Into::into), content_type: None, bytes: 50_000 }
}

pub fn bucket(heads: Vec<ObjectHead>) -> Bucket {
    Bucket {
        name: "media".into(),
        region: Ok("eu-central-1".into()),
        public_access: Ok(PublicAccessBlock::all(true)),
        has_public_policy: Ok(false),
        is_read_unsigned: Ok(false),
        objects: Ok(ObjectSample { listed: heads.len() as u64, is_whole: true, heads }),
    }
}

/// One distribution with these behaviours before the pages, an origin and a bucket; without probes of the storefront.
pub fn store(mut behaviours: Vec<Behaviour>) -> Snapshot {
    if !behaviours.iter().any(|b| b.is_default) {
        behaviours.push(pages());
    }
    let mut snapshot = shop(vec![], vec![], vec![]);
    let heads = (0..8).map(|_| head("products/*.jpg", Some("public, max-age=31536000"))).collect();
    snapshot.cloudfront = Ok(CloudFront {
        distributions: Ok(Listed::whole(vec![Distribution {
            id: "E1".into(),
            domain: "d1.cloudfront.net".into(),
            aliases: vec!["shop.example.com".into()],
            is_enabled: true,
            price_class: Some("PriceClass_All".into()),
            http_version: Some("http2and3".into()),
            has_ipv6: Some(true),
            minimum_tls: Some("TLSv1.2_2021".into()),
            has_web_acl: Some(false),
            origins: vec![origin("media", OriginKind::S3), origin("storefront", OriginKind::Custom)],
            behaviours,
        }])),
        metrics: Ok(vec![DistributionMetrics {
            distribution: "E1".into(),
            has_additional: Ok(true),
            from: datetime!(2026-11-22 09:00 UTC),
            to: datetime!(2026-11-23 09:30 UTC),
            hours: hours(24, 1_000.0, Some(91.0)),
        }]),
        buckets: Ok(Listed::whole(vec![bucket(heads)])),
    });
    snapshot
}

pub fn healthy() -> Snapshot {
    store(vec![behaviour("/_next/static/*", "storefront"), behaviour("/media/*", "media")])
}

/// Every fault the checks know, at once.
pub fn faulty() -> Snapshot {
    let disabled = policy("CachingDisabled", [0, 0, 0], Names::None);
    let mut snapshot = store(vec![
        with_policy(behaviour("/_next/static/*", "storefront"), disabled),
        with_policy(behaviour("/media/*", "media"), policy("mine", [0, 60, 600], Names::All)),
        with_legacy(behaviour("/uploads/*", "storefront"), policy("legacy settings", [0, 60, 600], Names::None)),
    ]);
    let cloudfront = snapshot.cloudfront.as_mut().expect("set above");
    for o in &mut cloudfront.distributions.as_mut().expect("set above").rows[0].origins {
        o.access = OriginAccess::None;
        o.protocol = o.protocol.as_ref().map(|_| "http-only".into());
    }
    cloudfront.metrics.as_mut().expect("set above")[0].has_additional = Ok(false);
    cloudfront.metrics.as_mut().expect("set above")[0].hours = hours(24, 1_000.0, Some(40.0));
    let mut open = bucket((0..8).map(|_| head("products/*.jpg", None)).collect());
    open.is_read_unsigned = Ok(true);
    open.public_access =
        Ok(PublicAccessBlock { ignores_public_acls: false, restricts_public_buckets: false, blocks_public_acls: false, blocks_public_policy: false });
    cloudfront.buckets = Ok(Listed::whole(vec![open]));
    snapshot
}
