//! What was observed of CloudFront: distributions with their behaviours, CloudWatch's figures, and the buckets behind them.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{Gap, Listed, Seen, sections};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CloudFront {
    pub distributions: Seen<Listed<Distribution>>,
    pub metrics: Seen<Vec<DistributionMetrics>>,
    /// Buckets that are origins of these distributions or hosts of media, by name.
    pub buckets: Seen<Listed<Bucket>>,
}

sections!(CloudFront {
    distributions: Listed<Distribution> => CloudFrontDistributions,
    metrics: Vec<DistributionMetrics> => CloudFrontMetrics,
    buckets: Listed<Bucket> => S3Buckets,
});

/// `GetDistributionConfig`, with the policies it names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Distribution {
    /// `E2QWRUHAPOMQZL`.
    pub id: String,
    /// `d111111abcdef8.cloudfront.net`.
    pub domain: String,
    /// Lower case, sorted; may begin with `*.`.
    pub aliases: Vec<String>,
    pub is_enabled: bool,
    /// "PriceClass_100", "PriceClass_200", "PriceClass_All".
    pub price_class: Option<String>,
    /// "http1.1", "http2", "http3", "http2and3".
    pub http_version: Option<String>,
    pub has_ipv6: Option<bool>,
    /// "TLSv1.2_2021"; `None`: CloudFront's own certificate, which sets no minimum.
    pub minimum_tls: Option<String>,
    pub has_web_acl: Option<bool>,
    /// Sorted by id.
    pub origins: Vec<Origin>,
    /// In order of evaluation, the default one last.
    pub behaviours: Vec<Behaviour>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OriginKind {
    /// A bucket by its REST endpoint.
    S3,
    /// A bucket by its website endpoint: HTTP only, always public.
    S3Website,
    Custom,
    /// Inside a VPC, reached without the public network.
    Vpc,
}

/// How CloudFront proves itself to a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OriginAccess {
    None,
    /// Origin access identity: the older way.
    Identity,
    /// Origin access control.
    Control,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Origin {
    pub id: String,
    pub domain: String,
    pub kind: OriginKind,
    /// The bucket's name, where the domain is a bucket's.
    pub bucket: Option<String>,
    /// "http-only", "https-only", "match-viewer"; `None` for S3 and VPC origins.
    pub protocol: Option<String>,
    pub access: OriginAccess,
    pub has_shield: bool,
    /// Names of headers that CloudFront adds; their values, secrets as a rule, are not read in.
    pub header_names: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Behaviour {
    /// `/_next/static/*`; the default behaviour's is `*`.
    pub path_pattern: String,
    pub is_default: bool,
    pub origin_id: String,
    pub caching: Caching,
    pub origin_request: Option<OriginRequestPolicy>,
    pub response_headers: Option<ResponseHeadersPolicy>,
    pub is_compressed: bool,
    /// "allow-all", "https-only", "redirect-to-https".
    pub viewer_protocol: String,
    pub allowed_methods: Vec<String>,
    pub cached_methods: Vec<String>,
    /// A CloudFront function or Lambda@Edge may rewrite request or answer.
    pub has_functions: bool,
}

/// Where a behaviour says what is kept, how long, and by which key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Caching {
    Policy {
        id: String,
        policy: Seen<CachePolicy>,
    },
    /// `ForwardedValues` and TTLs on the behaviour itself: what is forwarded is the key.
    Legacy {
        settings: CachePolicy,
    },
    /// Settings on the behaviour itself that could not be understood.
    LegacyUnread {
        gap: Gap,
    },
}

impl Caching {
    /// The settings that apply, or why they are not known.
    pub fn settings(&self) -> Result<&CachePolicy, Gap> {
        match self {
            Caching::Policy { policy, .. } => policy.as_ref().map_err(Clone::clone),
            Caching::Legacy { settings } => Ok(settings),
            Caching::LegacyUnread { gap } => Err(gap.clone()),
        }
    }

    pub fn is_legacy(&self) -> bool {
        matches!(self, Caching::Legacy { .. } | Caching::LegacyUnread { .. })
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CachePolicy {
    /// "Managed-CachingOptimized", the account's own name, or "legacy settings".
    pub name: String,
    pub is_managed: bool,
    /// Seconds. What the origin says counts between `min` and `max`; where it says nothing, `default` does.
    pub min_ttl_s: i64,
    pub default_ttl_s: i64,
    pub max_ttl_s: i64,
    pub headers: Names,
    pub cookies: Names,
    pub query: Names,
    /// Whether the normalised Accept-Encoding is in the key: without it nothing is compressed that way.
    pub has_gzip: bool,
    pub has_brotli: bool,
}

/// Which headers, cookies or query parameters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", content = "names")]
pub enum Names {
    None,
    All,
    Only(Vec<String>),
    Except(Vec<String>),
}

impl Names {
    /// Whether `name` is among them; names of headers are compared without case, so are cookies here.
    pub fn has(&self, name: &str) -> bool {
        let listed = |names: &[String]| names.iter().any(|n| n.eq_ignore_ascii_case(name));
        match self {
            Names::None => false,
            Names::All => true,
            Names::Only(names) => listed(names),
            Names::Except(names) => !listed(names),
        }
    }
}

/// What reaches the origin beyond the cache key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OriginRequestPolicy {
    pub id: String,
    pub content: Seen<OriginRequest>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OriginRequest {
    pub name: String,
    pub headers: Names,
    pub cookies: Names,
    pub query: Names,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResponseHeadersPolicy {
    pub id: String,
    /// Names of the headers it adds, lower case.
    pub header_names: Seen<Vec<String>>,
}

/// CloudWatch's figures of one distribution, by hour.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DistributionMetrics {
    pub distribution: String,
    /// The monitoring subscription: without it there is no hit rate and no origin latency.
    pub has_additional: Seen<bool>,
    #[serde(with = "time::serde::rfc3339")]
    pub from: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub to: OffsetDateTime,
    /// In time order; an hour without a value of any kind is absent.
    pub hours: Vec<HourMetrics>,
}

/// A value that CloudWatch does not have is `None`, never zero.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HourMetrics {
    #[serde(with = "time::serde::rfc3339")]
    pub hour: OffsetDateTime,
    pub requests: Option<f64>,
    pub bytes_downloaded: Option<f64>,
    /// Percent of requests, 0…100.
    pub percent_4xx: Option<f64>,
    pub percent_5xx: Option<f64>,
    /// Percent of GET and HEAD requests without an error, 0…100.
    pub hit_rate_percent: Option<f64>,
    /// Mean milliseconds from request to first byte where the origin was asked.
    pub origin_latency_ms: Option<f64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Bucket {
    pub name: String,
    /// "eu-central-1".
    pub region: Seen<String>,
    /// The bucket's own block; the account's may block more.
    pub public_access: Seen<PublicAccessBlock>,
    /// Its policy lets everybody in; `false` too where it has none.
    pub has_public_policy: Seen<bool>,
    /// Whether an unsigned request for one object of the sample was answered: what any visitor could do.
    pub is_read_unsigned: Seen<bool>,
    pub objects: Seen<ObjectSample>,
}

/// All `false` where none is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicAccessBlock {
    pub ignores_public_acls: bool,
    pub restricts_public_buckets: bool,
    pub blocks_public_acls: bool,
    pub blocks_public_policy: bool,
}

impl PublicAccessBlock {
    /// All four parts alike.
    pub fn all(blocks: bool) -> Self {
        Self { ignores_public_acls: blocks, restricts_public_buckets: blocks, blocks_public_acls: blocks, blocks_public_policy: blocks }
    }
}

/// The first page of a listing, and the headers of some of its objects spread over it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ObjectSample {
    pub listed: u64,
    /// There were no more objects than listed.
    pub is_whole: bool,
    pub heads: Vec<ObjectHead>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ObjectHead {
    /// First folder and ending: `products/*.jpg`. Names of objects are not kept.
    pub pattern: String,
    pub cache_control: Option<String>,
    pub content_type: Option<String>,
    pub bytes: u64,
}

impl Distribution {
    /// The behaviour that answers `path` (without host and query): the first whose pattern matches, the default one last.
    ///
    /// `None` only where CloudFront told no default behaviour.
    pub fn behaviour_for(&self, path: &str) -> Option<&Behaviour> {
        self.behaviours.iter().find(|b| b.is_default || matches(&b.path_pattern, path))
    }

    pub fn origin(&self, behaviour: &Behaviour) -> Option<&Origin> {
        self.origins.iter().find(|o| o.id == behaviour.origin_id)
    }

    /// Whether shoppers reach it by this host.
    pub fn serves(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        let is_alias = |alias: &String| match alias.strip_prefix('*') {
            // `*.example.com` stands for one or more labels, as in CloudFront's alternate domain names.
            Some(end) => host.len() > end.len() && host.ends_with(end),
            None => *alias == host,
        };
        self.domain.eq_ignore_ascii_case(&host) || self.aliases.iter().any(is_alias)
    }
}

/// CloudFront's path patterns: `*` is any run of characters, slashes included, `?` one character; case counts; a leading slash is optional.
///
/// <https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/DownloadDistValuesCacheBehavior.html#DownloadDistValuesPathPattern>
pub fn matches(pattern: &str, path: &str) -> bool {
    let pattern: Vec<char> = pattern.strip_prefix('/').unwrap_or(pattern).chars().collect();
    let path: Vec<char> = path.strip_prefix('/').unwrap_or(path).chars().collect();
    let (mut p, mut s) = (0, 0);
    // Where the last star stood, and how much it has taken.
    let mut star: Option<(usize, usize)> = None;
    while s < path.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, s));
                p += 1;
            }
            Some(c) if *c == '?' || *c == path[s] => {
                p += 1;
                s += 1;
            }
            _ => match &mut star {
                Some((at, taken)) => {
                    *taken += 1;
                    (p, s) = (*at + 1, *taken);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

/// The bucket whose endpoint this host is, and whether it is the website endpoint. Path-style hosts name no bucket.
///
/// `media.s3.eu-west-1.amazonaws.com`, `media.s3.amazonaws.com`, `media.s3-eu-west-1.amazonaws.com`, `media.s3.dualstack.…`,
/// `media.s3-website-eu-west-1.amazonaws.com`, `media.s3-website.eu-central-1.amazonaws.com`.
pub fn bucket_of_host(host: &str) -> Option<(&str, bool)> {
    let stem = host.strip_suffix(".amazonaws.com").or_else(|| host.strip_suffix(".amazonaws.com.cn"))?;
    let websites = [".s3-website-", ".s3-website."];
    if let Some(at) = websites.iter().filter_map(|w| stem.rfind(w)).max() {
        return (at > 0).then(|| (&stem[..at], true));
    }
    // The global endpoint names no region after `s3`.
    if let Some(name) = stem.strip_suffix(".s3") {
        return (!name.is_empty()).then_some((name, false));
    }
    let at = [".s3.", ".s3-"].iter().filter_map(|w| stem.rfind(w)).max()?;
    (at > 0).then(|| (&stem[..at], false))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_cloudfront_does() {
        for (pattern, path, is_match) in [
            ("/_next/static/*", "/_next/static/chunks/a.js", true),
            ("_next/static/*", "/_next/static/a.js", true),
            ("/_next/static/*", "/_next/image", false),
            ("*.jpg", "/products/a.jpg", true),
            ("*.jpg", "/products/a.JPG", false),
            ("/a?.jpg", "/ab.jpg", true),
            ("/a?.jpg", "/a.jpg", false),
            ("/images/*.jp*", "/images/x/y.jpeg", true),
            ("/*/cart*", "/us/cart", true),
            ("*", "/", true),
            ("/", "/", true),
            ("/a*b*c", "/aXbYbZc", true),
            ("/a*b*c", "/aXbYbZ", false),
            ("", "/x", false),
        ] {
            assert_eq!(matches(pattern, path), is_match, "{pattern} {path}");
        }
    }

    #[test]
    fn buckets_are_read_from_hosts() {
        for (host, bucket) in [
            ("media.s3.eu-west-1.amazonaws.com", Some(("media", false))),
            ("media.s3.amazonaws.com", Some(("media", false))),
            ("media.s3-eu-west-1.amazonaws.com", Some(("media", false))),
            ("my.shop.media.s3.dualstack.eu-west-1.amazonaws.com", Some(("my.shop.media", false))),
            ("media.s3-website-eu-west-1.amazonaws.com", Some(("media", true))),
            ("media.s3-website.eu-central-1.amazonaws.com", Some(("media", true))),
            ("s3.eu-west-1.amazonaws.com", None),
            ("api.execute-api.eu-west-1.amazonaws.com", None),
            ("shop.example.com", None),
        ] {
            assert_eq!(bucket_of_host(host), bucket, "{host}");
        }
    }

    #[test]
    fn names_say_what_is_among_them() {
        let only = Names::Only(vec!["Host".into()]);
        assert!(only.has("host") && !only.has("origin") && Names::All.has("x") && !Names::None.has("x"));
        assert!(Names::Except(vec!["a".into()]).has("b") && !Names::Except(vec!["a".into()]).has("A"));
    }
}
