//! The policies that behaviours name: managed ones from the table, the account's own read once each.

use std::collections::BTreeMap;

use aws_sdk_cloudfront::types as aws;

use super::{gap, managed};
use crate::connect::aws::{AwsError, Session, trouble};
use crate::evidence::cloudfront::{CachePolicy, Names, OriginRequest};
use crate::evidence::{Cause, Gap, Section, Seen};

/// Policies of one kind that are read; an account has 20 unless AWS raised it.
const POLICIES_MAX: usize = 30;
const SECTION: Section = Section::CloudFrontDistributions;
/// CloudFront's own defaults where a policy names no TTL.
const DEFAULT_TTL_S: i64 = 86_400;
const MAX_TTL_S: i64 = 31_536_000;

pub struct Policies<'a> {
    session: &'a Session,
    cache: BTreeMap<String, Seen<CachePolicy>>,
    requests: BTreeMap<String, Seen<OriginRequest>>,
    responses: BTreeMap<String, Seen<Vec<String>>>,
}

impl<'a> Policies<'a> {
    pub fn new(session: &'a Session) -> Self {
        Self { session, cache: BTreeMap::new(), requests: BTreeMap::new(), responses: BTreeMap::new() }
    }

    pub async fn cache(&mut self, id: &str) -> Seen<CachePolicy> {
        if let Some(known) = managed::cache(id) {
            return Ok(known);
        }
        if let Some(read) = self.cache.get(id) {
            return read.clone();
        }
        let seen = if self.cache.len() < POLICIES_MAX { self.read_cache(id).await } else { Err(too_many("cache")) };
        self.cache.insert(id.to_owned(), seen.clone());
        seen
    }

    async fn read_cache(&self, id: &str) -> Seen<CachePolicy> {
        const ACTION: &str = "cloudfront:GetCachePolicy";
        self.session.called();
        let answer = self.session.cloudfront.get_cache_policy().id(id).send().await;
        let answer = answer.map_err(|e| gap(SECTION, &trouble(ACTION, self.session.timeout_ms, &e)))?;
        answer.cache_policy.and_then(|p| p.cache_policy_config).map(cache_policy).ok_or_else(|| unreadable(ACTION))
    }

    pub async fn origin_request(&mut self, id: &str) -> Seen<OriginRequest> {
        if let Some(known) = managed::origin_request(id) {
            return Ok(known);
        }
        if let Some(read) = self.requests.get(id) {
            return read.clone();
        }
        let seen = if self.requests.len() < POLICIES_MAX { self.read_origin_request(id).await } else { Err(too_many("origin request")) };
        self.requests.insert(id.to_owned(), seen.clone());
        seen
    }

    async fn read_origin_request(&self, id: &str) -> Seen<OriginRequest> {
        const ACTION: &str = "cloudfront:GetOriginRequestPolicy";
        self.session.called();
        let answer = self.session.cloudfront.get_origin_request_policy().id(id).send().await;
        let answer = answer.map_err(|e| gap(SECTION, &trouble(ACTION, self.session.timeout_ms, &e)))?;
        answer.origin_request_policy.and_then(|p| p.origin_request_policy_config).map(origin_request).ok_or_else(|| unreadable(ACTION))
    }

    pub async fn response_headers(&mut self, id: &str) -> Seen<Vec<String>> {
        if let Some(read) = self.responses.get(id) {
            return read.clone();
        }
        let seen = if self.responses.len() < POLICIES_MAX { self.read_response_headers(id).await } else { Err(too_many("response headers")) };
        self.responses.insert(id.to_owned(), seen.clone());
        seen
    }

    async fn read_response_headers(&self, id: &str) -> Seen<Vec<String>> {
        const ACTION: &str = "cloudfront:GetResponseHeadersPolicy";
        self.session.called();
        let answer = self.session.cloudfront.get_response_headers_policy().id(id).send().await;
        let answer = answer.map_err(|e| gap(SECTION, &trouble(ACTION, self.session.timeout_ms, &e)))?;
        let config = answer.response_headers_policy.and_then(|p| p.response_headers_policy_config).ok_or_else(|| unreadable(ACTION))?;
        let items = config.custom_headers_config.and_then(|c| c.items).into_iter().flatten();
        let mut names: Vec<String> = items.map(|i| i.header.to_ascii_lowercase()).collect();
        names.sort();
        Ok(names)
    }
}

fn unreadable(action: &'static str) -> Gap {
    gap(SECTION, &AwsError::Unreadable { action, why: "it holds no policy".to_owned() })
}

fn too_many(kind: &str) -> Gap {
    Gap::new(SECTION, Cause::Unreadable, format!("More than {POLICIES_MAX} {kind} policies are in use; this one was not read."))
}

fn cache_policy(config: aws::CachePolicyConfig) -> CachePolicy {
    let key = config.parameters_in_cache_key_and_forwarded_to_origin;
    let headers = key.as_ref().and_then(|k| k.headers_config.as_ref());
    let cookies = key.as_ref().and_then(|k| k.cookies_config.as_ref());
    let query = key.as_ref().and_then(|k| k.query_strings_config.as_ref());
    CachePolicy {
        is_managed: config.name.starts_with("Managed-"),
        min_ttl_s: config.min_ttl,
        // A policy that names none has CloudFront's, but never less than its minimum.
        default_ttl_s: config.default_ttl.unwrap_or(DEFAULT_TTL_S).max(config.min_ttl),
        max_ttl_s: config.max_ttl.unwrap_or(MAX_TTL_S).max(config.min_ttl),
        headers: names(headers.map(|h| h.header_behavior.as_str()), headers.and_then(|h| h.headers.as_ref()).map(aws::Headers::items)),
        cookies: names(cookies.map(|c| c.cookie_behavior.as_str()), cookies.and_then(|c| c.cookies.as_ref()).map(aws::CookieNames::items)),
        query: names(query.map(|q| q.query_string_behavior.as_str()), query.and_then(|q| q.query_strings.as_ref()).map(aws::QueryStringNames::items)),
        has_gzip: key.as_ref().is_some_and(|k| k.enable_accept_encoding_gzip),
        // Optional in the interface, and off where it is left out; gzip's is required.
        has_brotli: key.as_ref().and_then(|k| k.enable_accept_encoding_brotli).unwrap_or(false),
        name: config.name,
    }
}

fn origin_request(config: aws::OriginRequestPolicyConfig) -> OriginRequest {
    let (headers, cookies, query) = (config.headers_config.as_ref(), config.cookies_config.as_ref(), config.query_strings_config.as_ref());
    OriginRequest {
        headers: names(headers.map(|h| h.header_behavior.as_str()), headers.and_then(|h| h.headers.as_ref()).map(aws::Headers::items)),
        cookies: names(cookies.map(|c| c.cookie_behavior.as_str()), cookies.and_then(|c| c.cookies.as_ref()).map(aws::CookieNames::items)),
        query: names(query.map(|q| q.query_string_behavior.as_str()), query.and_then(|q| q.query_strings.as_ref()).map(aws::QueryStringNames::items)),
        name: config.name,
    }
}

/// CloudFront's words for a choice of names: `none`, `all`, `allViewer`, `allViewerAndWhitelistCloudFront`, `whitelist`, `allExcept`.
pub fn names(behaviour: Option<&str>, items: Option<&[String]>) -> Names {
    let listed = || items.unwrap_or(&[]).to_vec();
    match behaviour {
        Some("whitelist") => Names::Only(listed()),
        Some("allExcept") => Names::Except(listed()),
        Some(word) if word.starts_with("all") => Names::All,
        _ => Names::None,
    }
}

/// What a behaviour without a policy forwards, and so has in its key. Brotli needs a policy; gzip is compressed without one.
pub fn legacy(forwarded: Option<&aws::ForwardedValues>, ttl_s: [Option<i64>; 3]) -> CachePolicy {
    let cookies = forwarded.and_then(|f| f.cookies.as_ref());
    let headers = forwarded.and_then(|f| f.headers.as_ref()).map_or(&[][..], |h| h.items());
    let keys = forwarded.and_then(|f| f.query_string_cache_keys.as_ref()).map_or(&[][..], |k| k.items());
    // The interface's own default of a configuration without one.
    let min_ttl_s = ttl_s[0].unwrap_or(0);
    CachePolicy {
        name: "legacy settings".to_owned(),
        is_managed: false,
        min_ttl_s,
        default_ttl_s: ttl_s[1].unwrap_or(DEFAULT_TTL_S).max(min_ttl_s),
        max_ttl_s: ttl_s[2].unwrap_or(MAX_TTL_S).max(min_ttl_s),
        headers: match headers {
            [] => Names::None,
            names if names.iter().any(|n| n == "*") => Names::All,
            names => Names::Only(names.to_vec()),
        },
        cookies: names(cookies.map(|c| c.forward.as_str()), cookies.and_then(|c| c.whitelisted_names.as_ref()).map(aws::CookieNames::items)),
        query: match (forwarded.is_some_and(|f| f.query_string), keys) {
            (false, _) => Names::None,
            (true, []) => Names::All,
            (true, names) => Names::Only(names.to_vec()),
        },
        has_gzip: true,
        has_brotli: false,
    }
}
