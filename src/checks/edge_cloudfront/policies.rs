//! Policies that the remedies make or choose: what tells copies apart, and what reaches the origin beside that.

use super::quoted;
use crate::evidence::cloudfront::{Behaviour, CachePolicy, Distribution, Names, OriginKind};

/// Managed-CachingOptimized: no cookie, header or query in the key; a day, or as long as the origin says.
pub const CACHING_OPTIMIZED: &str = "658327ea-f89d-4fab-a63d-7e88639e58f6";
/// Managed-CachingDisabled.
pub const CACHING_DISABLED: &str = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad";
/// Managed-HostHeaderOnly: for origins that tell stores apart by their host.
pub const HOST_HEADER_ONLY: &str = "bf0718e1-ba1e-49d1-88b1-f726733018ae";
/// Managed-AllViewer.
pub const ALL_VIEWER: &str = "216adef6-5c7f-47e4-b989-5492eafa07d3";
/// Managed-AllViewerExceptHostHeader.
pub const ALL_VIEWER_EXCEPT_HOST: &str = "b689b0a8-53d0-40ab-baf2-68738e2966ac";

/// The cache policy of the image optimiser: Next.js tells its variants apart by the query and by Accept.
pub const IMAGE_POLICY: &str = r#"{
  "Name": "medusa-next-image",
  "Comment": "Optimised images: address, width and quality, and the formats a browser takes",
  "MinTTL": 0,
  "DefaultTTL": 86400,
  "MaxTTL": 31536000,
  "ParametersInCacheKeyAndForwardedToOrigin": {
    "EnableAcceptEncodingGzip": false,
    "EnableAcceptEncodingBrotli": false,
    "HeadersConfig": { "HeaderBehavior": "whitelist", "Headers": { "Quantity": 1, "Items": ["Accept"] } },
    "CookiesConfig": { "CookieBehavior": "none" },
    "QueryStringsConfig": { "QueryStringBehavior": "whitelist", "QueryStrings": { "Quantity": 3, "Items": ["url", "w", "q"] } }
  }
}"#;

/// Every visitor of the storefront has one of their own.
pub const VISITOR_COOKIE: &str = "_medusa_cache_id";
/// Headers that differ from visitor to visitor.
pub const VISITOR_HEADERS: [&str; 7] =
    ["User-Agent", "Cookie", "Authorization", "Referer", "X-Forwarded-For", "CloudFront-Viewer-Address", "CloudFront-Viewer-City"];
/// Cookies that stand for a shopper stay in the key: nobody is served another's page.
const SHOPPER_COOKIES: [&str; 4] = ["_medusa_jwt", "_medusa_cart_id", "connect.sid", "medusa_session"];
/// Next.js answers the same address with a page or with its data, by these.
const NEXT_HEADERS: [&str; 4] = ["RSC", "Next-Router-Prefetch", "Next-Router-State-Tree", "Next-Router-Segment-Prefetch"];
/// What the storefront's middleware and its server actions ask of a request.
const NEXT_NEEDS: [&str; 3] = ["Next-Action", "Origin", "RSC"];
/// Headers that legacy settings replace or take off unless they are listed; all others they pass on.
///
/// <https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/RequestAndResponseBehaviorCustomOrigin.html#request-custom-headers-behavior>
const LEGACY_DROPS: [&str; 7] = ["Host", "Authorization", "Accept", "Accept-Charset", "Accept-Language", "Referer", "User-Agent"];

/// Creates a cache policy and keeps its id in a variable of the shell.
pub fn new_policy(variable: &str, json: &str) -> String {
    format!("cat > policy.json <<'JSON'\n{json}\nJSON\n{variable}={}\n", created())
}

/// The same for a policy that another remedy may have made already: names are unique in an account.
pub fn new_or_same_policy(variable: &str, json: &str) -> String {
    let same = "aws cloudfront list-cache-policies --type custom | jq -r --slurpfile new policy.json \\\n  \
                '[.CachePolicyList.Items[]?.CachePolicy | select(.CachePolicyConfig.Name == $new[0].Name).Id][0] // empty'";
    format!("cat > policy.json <<'JSON'\n{json}\nJSON\n{variable}=$({same})\n[ -n \"${variable}\" ] || {variable}={}\n", created())
}

fn created() -> &'static str {
    "$(aws cloudfront create-cache-policy --cache-policy-config file://policy.json --query CachePolicy.Id --output text)"
}

/// Creates an origin request policy and keeps its id in a variable of the shell.
pub fn new_request_policy(variable: &str, json: &str) -> String {
    format!(
        "cat > request.json <<'JSON'\n{json}\nJSON\n{variable}=$(aws cloudfront create-origin-request-policy --origin-request-policy-config \
         file://request.json --query OriginRequestPolicy.Id --output text)\n"
    )
}

/// Makes the policy of optimised pictures; its id is in `$IMAGES`.
pub fn images_policy() -> String {
    new_policy("IMAGES", IMAGE_POLICY)
}

/// Makes the policy of Next.js pages where the present key is not known; its id is in `$PAGES`.
pub fn pages_policy() -> String {
    new_policy("PAGES", &policy_json("medusa-pages", &pages(&Names::None, &Names::None)))
}

/// Commands that give the pages of a behaviour a key without what differs by visitor.
///
/// A cache policy alone would send the origin nothing but its own list: the storefront's middleware, which misses its cookie, would
/// redirect for ever, and its forms would fail. So the whole request goes to the origin beside it.
pub fn pages_of(distribution: &Distribution, behaviour: &Behaviour, present: &CachePolicy) -> String {
    let name = format!("medusa-pages-{}-{}", distribution.id, slug(behaviour));
    let sent = behaviour.origin_request.as_ref().and_then(|r| r.content.as_ref().ok());
    let is_whole = sent.is_some_and(|r| r.cookies.has(VISITOR_COOKIE) && NEXT_NEEDS.iter().all(|h| r.headers.has(h)));
    let mut headers = listed(&present.headers);
    // The whole request has no header that CloudFront adds: what the origin is told of a country or a device is told by the key.
    let added = sent.filter(|_| !is_whole).map_or_else(Vec::new, |r| listed(&r.headers));
    headers.extend(added.into_iter().filter(|h| h.to_ascii_lowercase().starts_with("cloudfront-")));
    if present.headers.has("Host") {
        headers.push("Host".to_owned());
    }
    let request = whole_request(distribution, behaviour, present)
        .filter(|_| !is_whole)
        .map_or_else(String::new, |policy| format!(" | .OriginRequestPolicyId = \"{policy}\""));
    let edit = format!("(.CachePolicyId = $policy | del(.ForwardedValues, .MinTTL, .DefaultTTL, .MaxTTL){request})");
    let place = if behaviour.is_default {
        format!(".DefaultCacheBehavior |= {edit}")
    } else {
        format!("(.CacheBehaviors.Items[] | select(.PathPattern == $pattern)) |= {edit}")
    };
    format!(
        "{}jq --arg pattern {} --arg policy \"$PAGES\" \\\n  '.DistributionConfig | {place}' before.json > after.json\n",
        new_policy("PAGES", &policy_json(&name, &pages(&Names::Only(headers), &present.cookies))),
        quoted(&behaviour.path_pattern),
    )
}

/// The key of pages: shoppers and the forms of an answer are told apart, what differs by visitor is not, and what else is in the key
/// today (a host, a country, a language) stays.
fn pages(headers: &Names, cookies: &Names) -> CachePolicy {
    let joined = |ours: &[&str], theirs: Vec<String>, dropped: &[&str]| {
        let mut all: Vec<String> = ours.iter().map(|n| (*n).to_owned()).collect();
        for name in theirs {
            let is_this = |n: &str| n.eq_ignore_ascii_case(&name);
            if !dropped.iter().any(|n| is_this(n)) && !all.iter().any(|n| is_this(n)) {
                all.push(name);
            }
        }
        Names::Only(all)
    };
    CachePolicy {
        name: String::new(),
        is_managed: false,
        // Only what the origin itself lets a shared cache keep.
        min_ttl_s: 0,
        default_ttl_s: 0,
        max_ttl_s: 31_536_000,
        headers: joined(&NEXT_HEADERS, listed(headers), &VISITOR_HEADERS),
        cookies: joined(&SHOPPER_COOKIES, listed(cookies), &[VISITOR_COOKIE]),
        query: Names::All,
        has_gzip: true,
        has_brotli: true,
    }
}

fn listed(names: &Names) -> Vec<String> {
    match names {
        Names::Only(names) => names.clone(),
        Names::None | Names::All | Names::Except(_) => Vec::new(),
    }
}

/// A behaviour's pattern as part of a policy's name: letters, digits and dashes.
fn slug(behaviour: &Behaviour) -> String {
    if behaviour.is_default {
        return "default".to_owned();
    }
    let plain: String = behaviour.path_pattern.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    plain.trim_matches('-').chars().take(40).collect()
}

/// Whether the origin is sent the host that the shopper asked for.
pub fn forwards_host(behaviour: &Behaviour, settings: &CachePolicy) -> bool {
    let by_request = behaviour.origin_request.as_ref().and_then(|r| r.content.as_ref().ok()).is_some_and(|r| r.headers.has("Host"));
    by_request || settings.headers.has("Host")
}

/// The managed policy that sends the origin the whole request, with the shop's host only where it is sent today. A bucket must not be
/// sent that host, and needs no more than the key.
pub fn whole_request(distribution: &Distribution, behaviour: &Behaviour, settings: &CachePolicy) -> Option<&'static str> {
    let policy = if forwards_host(behaviour, settings) { ALL_VIEWER } else { ALL_VIEWER_EXCEPT_HOST };
    is_server(distribution, behaviour).then_some(policy)
}

/// Whether a behaviour leads to a machine that computes answers.
pub fn is_server(distribution: &Distribution, behaviour: &Behaviour) -> bool {
    distribution.origin(behaviour).is_some_and(|o| matches!(o.kind, OriginKind::Custom | OriginKind::Vpc))
}

/// An origin request policy that passes on what legacy settings do beside their key: every header but those they drop, no cookie, and
/// the whole query where only some of it is in the key.
pub fn as_legacy_sends(name: &str, settings: &CachePolicy) -> String {
    let dropped: Vec<&str> = LEGACY_DROPS.into_iter().filter(|h| !settings.headers.has(h)).collect();
    let headers = match dropped.len() {
        0 => serde_json::json!({ "HeaderBehavior": "allViewer" }),
        n => serde_json::json!({ "HeaderBehavior": "allExcept", "Headers": { "Quantity": n, "Items": dropped } }),
    };
    let query = if matches!(settings.query, Names::Only(_)) { "all" } else { "none" };
    let json = serde_json::json!({
        "Name": name,
        "HeadersConfig": headers,
        "CookiesConfig": { "CookieBehavior": "none" },
        "QueryStringsConfig": { "QueryStringBehavior": query },
    });
    format!("{json:#}")
}

/// A cache policy with exactly these settings, as `create-cache-policy` takes it.
pub fn policy_json(name: &str, settings: &CachePolicy) -> String {
    let part = |names: &Names, config: &str, list: &str| {
        let (word, items) = match names {
            Names::None => ("none", None),
            Names::All => ("all", None),
            Names::Only(items) => ("whitelist", Some(items)),
            Names::Except(items) => ("allExcept", Some(items)),
        };
        let mut value = serde_json::json!({ config: word });
        if let Some(items) = items {
            value[list] = serde_json::json!({ "Quantity": items.len(), "Items": items });
        }
        value
    };
    let json = serde_json::json!({
        "Name": name,
        "MinTTL": settings.min_ttl_s,
        "DefaultTTL": settings.default_ttl_s,
        "MaxTTL": settings.max_ttl_s,
        "ParametersInCacheKeyAndForwardedToOrigin": {
            "EnableAcceptEncodingGzip": true,
            "EnableAcceptEncodingBrotli": true,
            "HeadersConfig": part(&settings.headers, "HeaderBehavior", "Headers"),
            "CookiesConfig": part(&settings.cookies, "CookieBehavior", "Cookies"),
            "QueryStringsConfig": part(&settings.query, "QueryStringBehavior", "QueryStrings"),
        },
    });
    format!("{json:#}")
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{behaviour, policy, store, with_policy};
    use super::*;
    use crate::evidence::cloudfront::{OriginRequest, OriginRequestPolicy};

    fn only(names: &[&str]) -> Names {
        Names::Only(names.iter().map(|n| (*n).to_owned()).collect())
    }

    /// The commands for the default behaviour in front of a server, and the policy that they make.
    fn made(headers: Names, cookies: Names, request: Option<OriginRequest>) -> (String, serde_json::Value) {
        let present = CachePolicy { headers, ..policy("mine", [0, 60, 600], cookies) };
        let mut default = with_policy(behaviour("*", "storefront"), present.clone());
        default.origin_request = request.map(|content| OriginRequestPolicy { id: "r".into(), content: Ok(content) });
        let snapshot = store(vec![default]);
        let distribution = &snapshot.cloudfront().unwrap().distributions().unwrap().rows[0];
        let text = pages_of(distribution, &distribution.behaviours[0], &present);
        let json = text.split("JSON").nth(1).unwrap().trim_start_matches('\'').to_owned();
        (text, serde_json::from_str(&json).unwrap())
    }

    fn items(policy: &serde_json::Value, config: &str, list: &str) -> Vec<String> {
        let names = &policy["ParametersInCacheKeyAndForwardedToOrigin"][config][list]["Items"];
        names.as_array().unwrap().iter().map(|n| n.as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn pages_keep_what_tells_them_apart_and_lose_what_differs_by_visitor() {
        let (_, policy) = made(only(&["Host", "CloudFront-Viewer-Country", "User-Agent"]), only(&["locale", VISITOR_COOKIE]), None);
        let headers = items(&policy, "HeadersConfig", "Headers");
        assert_eq!(headers[..4], NEXT_HEADERS);
        assert_eq!(headers[4..], ["Host", "CloudFront-Viewer-Country"]);
        assert_eq!(items(&policy, "CookiesConfig", "Cookies"), [&SHOPPER_COOKIES[..], &["locale"]].concat());
        assert_eq!(policy["Name"], "medusa-pages-E1-default");
        assert_eq!(policy["ParametersInCacheKeyAndForwardedToOrigin"]["QueryStringsConfig"]["QueryStringBehavior"], "all");
    }

    #[test]
    fn the_origin_of_pages_is_sent_the_whole_request_and_its_own_host() {
        let sent = |headers: Names| made(headers, Names::All, None);
        let (text, policy) = sent(Names::None);
        assert!(text.contains(&format!(".OriginRequestPolicyId = \"{ALL_VIEWER_EXCEPT_HOST}\"")), "{text}");
        assert!(!items(&policy, "HeadersConfig", "Headers").contains(&"Host".to_owned()), "a certificate of the origin's own name");
        for headers in [only(&["host", "Origin"]), Names::All] {
            let (text, policy) = sent(headers);
            assert!(text.contains(&format!(".OriginRequestPolicyId = \"{ALL_VIEWER}\"")), "{text}");
            assert_eq!(items(&policy, "HeadersConfig", "Headers").iter().filter(|h| h.eq_ignore_ascii_case("host")).count(), 1);
        }
    }

    #[test]
    fn a_request_policy_that_sends_enough_stays_and_another_is_widened() {
        let request = |headers: Names| OriginRequest { name: "mine".into(), headers, cookies: Names::All, query: Names::All };
        let (text, _) = made(Names::None, Names::All, Some(request(Names::Except(vec!["Host".into()]))));
        assert!(!text.contains("OriginRequestPolicyId"), "{text}");
        let (text, policy) = made(Names::None, Names::All, Some(request(only(&["CloudFront-Viewer-Country", "CloudFront-Viewer-City", "Accept"]))));
        assert!(text.contains(ALL_VIEWER_EXCEPT_HOST), "{text}");
        assert_eq!(items(&policy, "HeadersConfig", "Headers")[4..], ["CloudFront-Viewer-Country"]);
    }

    #[test]
    fn a_bucket_of_pages_is_sent_no_host() {
        let snapshot = store(vec![behaviour("*", "media")]);
        let distribution = &snapshot.cloudfront().unwrap().distributions().unwrap().rows[0];
        let text = pages_of(distribution, &distribution.behaviours[0], &policy("mine", [0, 60, 600], Names::All));
        assert!(!text.contains("OriginRequestPolicyId"), "{text}");
    }

    #[test]
    fn legacy_headers_are_dropped_unless_they_are_in_the_key() {
        let settings = CachePolicy { headers: only(&["host", "Authorization"]), query: only(&["page"]), ..policy("mine", [0, 60, 600], Names::None) };
        let sent: serde_json::Value = serde_json::from_str(&as_legacy_sends("x", &settings)).unwrap();
        let dropped = sent["HeadersConfig"]["Headers"]["Items"].as_array().unwrap();
        assert_eq!((dropped.len(), &sent["HeadersConfig"]["Headers"]["Quantity"]), (5, &serde_json::json!(5)));
        assert!(!dropped.iter().any(|h| h == "Host" || h == "Authorization"), "{sent}");
        assert_eq!(sent["CookiesConfig"]["CookieBehavior"], "none");
        assert_eq!(sent["QueryStringsConfig"]["QueryStringBehavior"], "all");
    }

    #[test]
    fn the_image_policy_is_json_without_cookies() {
        let policy: serde_json::Value = serde_json::from_str(IMAGE_POLICY).unwrap();
        assert_eq!(policy["ParametersInCacheKeyAndForwardedToOrigin"]["CookiesConfig"]["CookieBehavior"], "none");
    }
}
