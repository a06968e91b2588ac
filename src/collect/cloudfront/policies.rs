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
/// Longest of CloudFront's words that is told; its own have at most 31 letters.
const WORD_CHARS_MAX: usize = 40;

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
        answer.cache_policy.and_then(|p| p.cache_policy_config).ok_or_else(|| unreadable(ACTION)).and_then(cache_policy)
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
        answer.origin_request_policy.and_then(|p| p.origin_request_policy_config).ok_or_else(|| unreadable(ACTION)).and_then(origin_request)
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

fn cache_policy(config: aws::CachePolicyConfig) -> Seen<CachePolicy> {
    let of = format!("the cache policy {}", config.name);
    let key = config.parameters_in_cache_key_and_forwarded_to_origin;
    let key = key.ok_or_else(|| unknown(format!("CloudFront does not say what the key of {of} holds.")))?;
    Ok(CachePolicy {
        is_managed: config.name.starts_with("Managed-"),
        min_ttl_s: config.min_ttl,
        // A policy that names none has CloudFront's, but never less than its minimum.
        default_ttl_s: config.default_ttl.unwrap_or(DEFAULT_TTL_S).max(config.min_ttl),
        max_ttl_s: config.max_ttl.unwrap_or(MAX_TTL_S).max(config.min_ttl),
        headers: header_names(&of, key.headers_config.as_ref().map(|h| (h.header_behavior.as_str(), h.headers.as_ref())))?,
        cookies: cookie_names(&of, key.cookies_config.as_ref().map(|c| (c.cookie_behavior.as_str(), c.cookies.as_ref())))?,
        query: query_names(&of, key.query_strings_config.as_ref().map(|q| (q.query_string_behavior.as_str(), q.query_strings.as_ref())))?,
        has_gzip: key.enable_accept_encoding_gzip,
        // Optional in the interface, and off where it is left out; gzip's is required.
        has_brotli: key.enable_accept_encoding_brotli.unwrap_or(false),
        name: config.name,
    })
}

fn origin_request(config: aws::OriginRequestPolicyConfig) -> Seen<OriginRequest> {
    let of = format!("the origin request policy {}", config.name);
    Ok(OriginRequest {
        headers: header_names(&of, config.headers_config.as_ref().map(|h| (h.header_behavior.as_str(), h.headers.as_ref())))?,
        cookies: cookie_names(&of, config.cookies_config.as_ref().map(|c| (c.cookie_behavior.as_str(), c.cookies.as_ref())))?,
        query: query_names(&of, config.query_strings_config.as_ref().map(|q| (q.query_string_behavior.as_str(), q.query_strings.as_ref())))?,
        name: config.name,
    })
}

fn header_names(of: &str, choice: Option<(&str, Option<&aws::Headers>)>) -> Seen<Names> {
    names(&format!("headers of {of}"), choice.map(|(word, list)| (word, list.map(aws::Headers::items))))
}

fn cookie_names(of: &str, choice: Option<(&str, Option<&aws::CookieNames>)>) -> Seen<Names> {
    names(&format!("cookies of {of}"), choice.map(|(word, list)| (word, list.map(aws::CookieNames::items))))
}

fn query_names(of: &str, choice: Option<(&str, Option<&aws::QueryStringNames>)>) -> Seen<Names> {
    names(&format!("query parameters of {of}"), choice.map(|(word, list)| (word, list.map(aws::QueryStringNames::items))))
}

/// CloudFront's word for a choice of names, and the names that belong to `whitelist` and `allExcept`. A word that is not known, or none,
/// is a gap: it could mean all as well as none.
///
/// <https://docs.aws.amazon.com/cloudfront/latest/APIReference/API_OriginRequestPolicyHeadersConfig.html>
fn names(what: &str, choice: Option<(&str, Option<&[String]>)>) -> Seen<Names> {
    let Some((word, items)) = choice else { return Err(unknown(format!("CloudFront does not say which {what}."))) };
    let listed = || items.map(<[String]>::to_vec).ok_or_else(|| unknown(format!("CloudFront says \"{word}\" for the {what} and lists none.")));
    match word {
        "none" => Ok(Names::None),
        "all" | "allViewer" | "allViewerAndWhitelistCloudFront" => Ok(Names::All),
        "whitelist" => listed().map(Names::Only),
        "allExcept" => listed().map(Names::Except),
        _ => {
            let word: String = word.chars().take(WORD_CHARS_MAX).collect();
            Err(unknown(format!("CloudFront says \"{word}\" for the {what}: a word that this program does not know.")))
        }
    }
}

fn unknown(detail: String) -> Gap {
    Gap::new(SECTION, Cause::Unreadable, detail)
}

/// What a behaviour without a policy forwards, and so has in its key. Brotli needs a policy; gzip is compressed without one.
///
/// # Errors
/// A gap where it has neither a policy nor forwarded values, or says them in words that are not known.
pub fn legacy(pattern: &str, forwarded: Option<&aws::ForwardedValues>, ttl_s: [Option<i64>; 3]) -> Seen<CachePolicy> {
    let of = format!("the behaviour {pattern}");
    let forwarded = forwarded.ok_or_else(|| unknown(format!("CloudFront tells neither a cache policy nor forwarded values of {of}.")))?;
    let headers = forwarded.headers.as_ref().map_or(&[][..], aws::Headers::items);
    let keys = forwarded.query_string_cache_keys.as_ref().map_or(&[][..], aws::QueryStringCacheKeys::items);
    // The interface's own default of a configuration without one.
    let min_ttl_s = ttl_s[0].unwrap_or(0);
    Ok(CachePolicy {
        name: "legacy settings".to_owned(),
        is_managed: false,
        min_ttl_s,
        default_ttl_s: ttl_s[1].unwrap_or(DEFAULT_TTL_S).max(min_ttl_s),
        max_ttl_s: ttl_s[2].unwrap_or(MAX_TTL_S).max(min_ttl_s),
        // Headers are optional here, and none where they are left out; a star is all.
        headers: match headers {
            [] => Names::None,
            names if names.iter().any(|n| n == "*") => Names::All,
            names => Names::Only(names.to_vec()),
        },
        cookies: cookie_names(&of, forwarded.cookies.as_ref().map(|c| (c.forward.as_str(), c.whitelisted_names.as_ref())))?,
        query: match (forwarded.query_string, keys) {
            (false, _) => Names::None,
            (true, []) => Names::All,
            (true, names) => Names::Only(names.to_vec()),
        },
        has_gzip: true,
        has_brotli: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(word: &str, items: Option<&[String]>) -> Seen<Names> {
        names("cookies of the cache policy mine", Some((word, items)))
    }

    #[test]
    fn every_word_means_one_thing_and_others_are_gaps() {
        let listed = ["a".to_owned()];
        for (word, meant) in [
            ("none", Names::None),
            ("all", Names::All),
            ("allViewer", Names::All),
            ("allViewerAndWhitelistCloudFront", Names::All),
            ("whitelist", Names::Only(listed.to_vec())),
            ("allExcept", Names::Except(listed.to_vec())),
        ] {
            assert_eq!(of(word, Some(&listed)), Ok(meant), "{word}");
        }
        for word in ["allowlist", "allViewerExceptHostHeader", "None", ""] {
            let gap = of(word, Some(&listed)).unwrap_err();
            assert_eq!((gap.section, &gap.cause), (SECTION, &Cause::Unreadable));
            assert!(gap.detail.contains(&format!("\"{word}\" for the cookies of the cache policy mine")), "{}", gap.detail);
        }
        assert!(names("cookies", None).is_err());
    }

    #[test]
    fn a_choice_without_its_list_is_a_gap_and_an_empty_list_is_not() {
        assert!(of("whitelist", None).is_err() && of("allExcept", None).is_err());
        assert_eq!(of("whitelist", Some(&[])), Ok(Names::Only(vec![])));
        assert_eq!(of("all", None), Ok(Names::All));
    }

    fn config(cookies: &str) -> aws::CachePolicyConfig {
        let headers = aws::CachePolicyHeadersConfig::builder().header_behavior("none".into()).build().unwrap();
        let cookies = aws::CachePolicyCookiesConfig::builder().cookie_behavior(cookies.into()).build().unwrap();
        let query = aws::CachePolicyQueryStringsConfig::builder().query_string_behavior("all".into()).build().unwrap();
        let key = aws::ParametersInCacheKeyAndForwardedToOrigin::builder().enable_accept_encoding_gzip(true).headers_config(headers);
        let key = key.cookies_config(cookies).query_strings_config(query).build().unwrap();
        let config = aws::CachePolicyConfig::builder().name("mine").min_ttl(0);
        config.parameters_in_cache_key_and_forwarded_to_origin(key).build().unwrap()
    }

    #[test]
    fn a_policy_with_an_unknown_word_or_without_a_key_is_unread() {
        assert_eq!(cache_policy(config("none")).map(|p| (p.cookies, p.query)), Ok((Names::None, Names::All)));
        assert!(cache_policy(config("allButPersonal")).unwrap_err().detail.contains("allButPersonal"));
        let mut keyless = config("none");
        keyless.parameters_in_cache_key_and_forwarded_to_origin = None;
        assert!(cache_policy(keyless).is_err());
        let config = aws::OriginRequestPolicyConfig::builder().name("mine");
        let headers = aws::OriginRequestPolicyHeadersConfig::builder().header_behavior("someViewer".into()).build().unwrap();
        assert!(origin_request(config.clone().headers_config(headers).build().unwrap()).unwrap_err().detail.contains("someViewer"));
        assert!(origin_request(config.build().unwrap()).unwrap_err().detail.contains("headers of the origin request policy mine"));
    }

    #[test]
    #[allow(deprecated, reason = "ForwardedValues are what old distributions have")]
    fn legacy_settings_without_a_known_word_are_unread() {
        let forwarded = |word: &str| {
            let cookies = aws::CookiePreference::builder().forward(word.into()).build().unwrap();
            aws::ForwardedValues::builder().query_string(true).cookies(cookies).build().unwrap()
        };
        let read = legacy("/media/*", Some(&forwarded("all")), [None; 3]).unwrap();
        assert_eq!((read.headers, read.cookies, read.query), (Names::None, Names::All, Names::All));
        assert!(
            legacy("/media/*", Some(&forwarded("some")), [None; 3])
                .unwrap_err()
                .detail
                .contains("\"some\" for the cookies of the behaviour /media/*")
        );
        let bare = aws::ForwardedValues::builder().query_string(false).build().unwrap();
        assert!(legacy("/media/*", Some(&bare), [None; 3]).is_err());
        assert!(legacy("/media/*", None, [None; 3]).is_err());
    }
}
