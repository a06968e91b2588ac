//! A distribution's configuration as evidence.

use aws_sdk_cloudfront::types as aws;

use super::policies::{Policies, legacy};
use crate::evidence::cloudfront::{
    Behaviour, Caching, Distribution, Origin, OriginAccess, OriginKind, OriginRequestPolicy, ResponseHeadersPolicy, bucket_of_host,
};
use crate::evidence::{Cause, Gap, Section};

/// # Errors
/// A gap when it has no default behaviour: then nothing can be said about it.
pub async fn distribution(
    summary: aws::DistributionSummary,
    config: aws::DistributionConfig,
    policies: &mut Policies<'_>,
) -> Result<Distribution, Gap> {
    let Some(default) = config.default_cache_behavior else {
        let detail = format!("CloudFront told no default behaviour of {}.", summary.id);
        return Err(Gap::new(Section::CloudFrontDistributions, Cause::Unreadable, detail));
    };
    let mut behaviours = Vec::new();
    for behaviour in config.cache_behaviors.and_then(|b| b.items).into_iter().flatten() {
        behaviours.push(settled(parts_of(behaviour), policies).await);
    }
    behaviours.push(settled(parts_of_default(default), policies).await);
    let mut origins: Vec<Origin> = config.origins.map(|o| o.items).into_iter().flatten().map(origin).collect();
    origins.sort_by(|a, b| a.id.cmp(&b.id));
    let mut aliases: Vec<String> = config.aliases.and_then(|a| a.items).into_iter().flatten().map(|a| a.to_ascii_lowercase()).collect();
    aliases.sort();
    let certificate = config.viewer_certificate.filter(|c| c.cloud_front_default_certificate != Some(true));
    Ok(Distribution {
        id: summary.id,
        domain: summary.domain_name.to_ascii_lowercase(),
        aliases,
        is_enabled: config.enabled,
        price_class: config.price_class.map(|p| p.as_str().to_owned()),
        http_version: config.http_version.map(|v| v.as_str().to_ascii_lowercase()),
        has_ipv6: config.is_ipv6_enabled,
        minimum_tls: certificate.and_then(|c| c.minimum_protocol_version).map(|v| v.as_str().to_owned()),
        has_web_acl: config.web_acl_id.map(|id| !id.is_empty()),
        origins,
        behaviours,
    })
}

fn origin(o: aws::Origin) -> Origin {
    let bucket = bucket_of_host(&o.domain_name.to_ascii_lowercase()).map(|(name, is_website)| (name.to_owned(), is_website));
    // The endpoint decides, not the block that describes it: an S3 REST endpoint may be set up as a custom origin.
    let kind = match (&bucket, o.vpc_origin_config.is_some()) {
        (_, true) => OriginKind::Vpc,
        (Some((_, true)), _) => OriginKind::S3Website,
        (Some((_, false)), _) => OriginKind::S3,
        (None, _) if o.s3_origin_config.is_some() && o.custom_origin_config.is_none() => OriginKind::S3,
        (None, _) => OriginKind::Custom,
    };
    let has_control = o.origin_access_control_id.as_ref().is_some_and(|id| !id.is_empty());
    let has_identity = o.s3_origin_config.as_ref().is_some_and(|s| !s.origin_access_identity.is_empty());
    let mut header_names: Vec<String> = o.custom_headers.and_then(|h| h.items).into_iter().flatten().map(|h| h.header_name).collect();
    header_names.sort();
    Origin {
        id: o.id,
        domain: o.domain_name,
        kind,
        bucket: bucket.map(|(name, _)| name),
        protocol: o.custom_origin_config.map(|c| c.origin_protocol_policy.as_str().to_owned()),
        access: match (has_control, has_identity) {
            (true, _) => OriginAccess::Control,
            (_, true) => OriginAccess::Identity,
            _ => OriginAccess::None,
        },
        has_shield: o.origin_shield.is_some_and(|s| s.enabled),
        header_names,
    }
}

/// What the default behaviour and the others have in common.
struct Parts {
    /// `None`: the default one.
    path_pattern: Option<String>,
    origin_id: String,
    cache_policy: Option<String>,
    origin_request_policy: Option<String>,
    response_headers_policy: Option<String>,
    forwarded: Option<aws::ForwardedValues>,
    /// Minimum, default, maximum, seconds.
    ttl_s: [Option<i64>; 3],
    compress: Option<bool>,
    viewer_protocol: String,
    methods: Option<aws::AllowedMethods>,
    has_functions: bool,
}

#[allow(deprecated, reason = "ForwardedValues and TTLs are what old distributions have, and what is told here")]
fn parts_of(b: aws::CacheBehavior) -> Parts {
    Parts {
        path_pattern: Some(b.path_pattern),
        origin_id: b.target_origin_id,
        cache_policy: b.cache_policy_id,
        origin_request_policy: b.origin_request_policy_id,
        response_headers_policy: b.response_headers_policy_id,
        forwarded: b.forwarded_values,
        ttl_s: [b.min_ttl, b.default_ttl, b.max_ttl],
        compress: b.compress,
        viewer_protocol: b.viewer_protocol_policy.as_str().to_owned(),
        methods: b.allowed_methods,
        has_functions: has_functions(b.function_associations.as_ref(), b.lambda_function_associations.as_ref()),
    }
}

#[allow(deprecated, reason = "ForwardedValues and TTLs are what old distributions have, and what is told here")]
fn parts_of_default(b: aws::DefaultCacheBehavior) -> Parts {
    Parts {
        path_pattern: None,
        origin_id: b.target_origin_id,
        cache_policy: b.cache_policy_id,
        origin_request_policy: b.origin_request_policy_id,
        response_headers_policy: b.response_headers_policy_id,
        forwarded: b.forwarded_values,
        ttl_s: [b.min_ttl, b.default_ttl, b.max_ttl],
        compress: b.compress,
        viewer_protocol: b.viewer_protocol_policy.as_str().to_owned(),
        methods: b.allowed_methods,
        has_functions: has_functions(b.function_associations.as_ref(), b.lambda_function_associations.as_ref()),
    }
}

fn has_functions(functions: Option<&aws::FunctionAssociations>, lambdas: Option<&aws::LambdaFunctionAssociations>) -> bool {
    functions.is_some_and(|f| !f.items().is_empty()) || lambdas.is_some_and(|l| !l.items().is_empty())
}

async fn settled(parts: Parts, policies: &mut Policies<'_>) -> Behaviour {
    let id = |id: Option<String>| id.filter(|id| !id.is_empty());
    let is_default = parts.path_pattern.is_none();
    let pattern = parts.path_pattern.unwrap_or_else(|| "*".to_owned());
    let caching = match id(parts.cache_policy) {
        Some(id) => Caching::Policy { policy: policies.cache(&id).await, id },
        None => match legacy(&pattern, parts.forwarded.as_ref(), parts.ttl_s) {
            Ok(settings) => Caching::Legacy { settings },
            Err(gap) => Caching::LegacyUnread { gap },
        },
    };
    let origin_request = match id(parts.origin_request_policy) {
        Some(id) => Some(OriginRequestPolicy { content: policies.origin_request(&id).await, id }),
        None => None,
    };
    let response_headers = match id(parts.response_headers_policy) {
        Some(id) => Some(ResponseHeadersPolicy { header_names: policies.response_headers(&id).await, id }),
        None => None,
    };
    let methods = |items: &[aws::Method]| items.iter().map(|m| m.as_str().to_owned()).collect::<Vec<_>>();
    let cached = parts.methods.as_ref().and_then(|m| m.cached_methods.as_ref());
    Behaviour {
        path_pattern: pattern,
        is_default,
        origin_id: parts.origin_id,
        caching,
        origin_request,
        response_headers,
        // Left out of a configuration, it is off: the interface's own default.
        is_compressed: parts.compress.unwrap_or(false),
        viewer_protocol: parts.viewer_protocol,
        // CloudFront's own defaults where it names none.
        cached_methods: cached.map_or_else(read_only, |m| methods(m.items())),
        allowed_methods: parts.methods.as_ref().map_or_else(read_only, |m| methods(m.items())),
        has_functions: parts.has_functions,
    }
}

fn read_only() -> Vec<String> {
    vec!["GET".to_owned(), "HEAD".to_owned()]
}
