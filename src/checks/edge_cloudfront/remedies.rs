//! Changes of a behaviour, as commands that can be pasted and as what to click.
//!
//! Nothing offered here can hand one shopper's answer to another: files get a key without cookies and nothing is forwarded that an origin
//! would answer with a session, and policies for pages keep the shopper's cookies in the key.

use super::Files;
use crate::evidence::cloudfront::{Behaviour, CachePolicy, Names};
use crate::finding::{Remedy, RemedyKind};

/// Managed-CachingOptimized: no cookie, header or query in the key; a day, or as long as the origin says.
pub const CACHING_OPTIMIZED: &str = "658327ea-f89d-4fab-a63d-7e88639e58f6";
/// Managed-CachingDisabled.
pub const CACHING_DISABLED: &str = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad";
/// Managed-HostHeaderOnly: for origins that tell stores apart by their host.
const HOST_HEADER_ONLY: &str = "bf0718e1-ba1e-49d1-88b1-f726733018ae";

/// The cache policy of the image optimiser: Next.js tells its variants apart by the query and by Accept.
const IMAGE_POLICY: &str = r#"{
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

/// Cookies that stand for a shopper stay in the key: nobody is served another's page.
const SHOPPER_COOKIES: [&str; 4] = ["_medusa_jwt", "_medusa_cart_id", "connect.sid", "medusa_session"];
/// Next.js answers the same address with a page or with its data, by these.
const NEXT_HEADERS: [&str; 5] = ["Host", "RSC", "Next-Router-Prefetch", "Next-Router-State-Tree", "Next-Router-Segment-Prefetch"];

/// A change of the behaviour for one pattern.
pub struct Change {
    pub pattern: String,
    /// The behaviour exists; else it is put first, as a copy of the default one.
    pub exists: bool,
    /// Keep the origin's idea of the host.
    pub forwards_host: bool,
    pub is_image_optimizer: bool,
}

impl Change {
    /// What would let these files be shared.
    pub fn all(files: &Files<'_>, settings: &CachePolicy) -> Vec<Self> {
        let forwards_host = !files.is_bucket && forwards_host(files.behaviour, settings);
        let exists = !files.behaviour.is_default;
        files
            .patterns()
            .into_iter()
            .map(|pattern| Self { is_image_optimizer: pattern.contains("_next/image"), pattern, exists, forwards_host })
            .collect()
    }
}

fn forwards_host(behaviour: &Behaviour, settings: &CachePolicy) -> bool {
    let by_request = behaviour.origin_request.as_ref().and_then(|r| r.content.as_ref().ok()).is_some_and(|r| r.headers.has("Host"));
    by_request || settings.headers.has("Host")
}

/// A text as one word of a shell.
pub fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// The commands that apply these changes to a distribution.
pub fn changed(distribution: &str, changes: &[Change]) -> Remedy {
    let mut text = format!("ID={distribution}\naws cloudfront get-distribution-config --id \"$ID\" > before.json\n");
    if changes.iter().any(|c| c.is_image_optimizer) {
        text.push_str(&images_policy());
    }
    text.push_str("jq .DistributionConfig before.json > after.json\n");
    for change in changes {
        text.push_str(&step(change));
    }
    text.push_str(saved());
    Remedy {
        kind: RemedyKind::Shell,
        label: "Let the edge keep these files".to_owned(),
        text,
        lock: None,
        risk: "Low: files only; no cookie is in the key or forwarded, so nobody's answer is kept for another. Spreads over the edges in minutes. \
               Needs the AWS CLI, jq and permission to update the distribution."
            .to_owned(),
        undo: Some(undo(distribution)),
    }
}

/// Creates a cache policy and keeps its id in a variable of the shell.
pub fn new_policy(variable: &str, json: &str) -> String {
    format!(
        "cat > policy.json <<'JSON'\n{json}\nJSON\n{variable}=$(aws cloudfront create-cache-policy --cache-policy-config file://policy.json \
         --query CachePolicy.Id --output text)\n"
    )
}

/// Makes the policy of optimised pictures; its id is in `$IMAGES`.
pub fn images_policy() -> String {
    new_policy("IMAGES", IMAGE_POLICY)
}

/// Makes the policy of Next.js pages; its id is in `$PAGES`.
pub fn pages_policy() -> String {
    let only = |names: &[&str]| Names::Only(names.iter().map(|n| (*n).to_owned()).collect());
    let settings = CachePolicy {
        name: String::new(),
        is_managed: false,
        // Only what the origin itself lets a shared cache keep.
        min_ttl_s: 0,
        default_ttl_s: 0,
        max_ttl_s: 31_536_000,
        headers: only(&NEXT_HEADERS),
        cookies: only(&SHOPPER_COOKIES),
        query: Names::All,
        has_gzip: true,
        has_brotli: true,
    };
    new_policy("PAGES", &policy_json("medusa-pages", &settings))
}

/// A policy to be chosen by hand, where the distribution was not read: `policy` makes it, `place` says for which behaviour.
pub fn chosen(label: &str, policy: &str, place: &str, risk: &str) -> Remedy {
    Remedy {
        kind: RemedyKind::Cloudfront,
        label: label.to_owned(),
        text: format!("{policy}# Console: CloudFront → Distributions → the shop's → Behaviors → {place}"),
        lock: None,
        risk: risk.to_owned(),
        undo: Some("Choose the former cache policy again, or delete the behaviour.".to_owned()),
    }
}

/// The last command: after.json becomes the configuration, unless somebody else has changed it meanwhile.
pub fn saved() -> &'static str {
    "aws cloudfront update-distribution --id \"$ID\" --if-match \"$(jq -r .ETag before.json)\" --distribution-config file://after.json > /dev/null\n"
}

/// How a changed distribution is put back.
pub fn undo(distribution: &str) -> String {
    format!(
        "jq .DistributionConfig before.json > undo.json; aws cloudfront update-distribution --id {distribution} --distribution-config file://undo.json \
         --if-match \"$(aws cloudfront get-distribution-config --id {distribution} --query ETag --output text)\""
    )
}

fn step(change: &Change) -> String {
    let policy = if change.is_image_optimizer { "\"$IMAGES\"".to_owned() } else { CACHING_OPTIMIZED.to_owned() };
    let request = if change.forwards_host { format!(" | .OriginRequestPolicyId = \"{HOST_HEADER_ONLY}\"") } else { String::new() };
    let edit = format!(
        "del(.ForwardedValues, .MinTTL, .DefaultTTL, .MaxTTL, .OriginRequestPolicyId) | .CachePolicyId = $policy | .Compress = true{request}"
    );
    let whole = if change.exists {
        format!("(.CacheBehaviors.Items[] | select(.PathPattern == $pattern)) |= ({edit})")
    } else {
        format!(
            "([.DefaultCacheBehavior + {{PathPattern: $pattern}} | {edit}] + (.CacheBehaviors.Items // [])) as $all\n     | .CacheBehaviors = \
             {{Quantity: ($all | length), Items: $all}}"
        )
    };
    let pattern = quoted(&change.pattern);
    format!("jq --arg pattern {pattern} --arg policy {policy} \\\n    '{whole}' after.json > next.json && mv next.json after.json\n")
}

/// The same by hand.
pub fn console(distribution: &str, changes: &[Change]) -> Remedy {
    let mut text = format!("// Console: CloudFront → Distributions → {distribution} → Behaviors\n");
    for change in changes {
        let how = if change.exists { "select it → Edit" } else { "Create behavior, and move it to the top" };
        let policy = if change.is_image_optimizer {
            "Cache policy: a new one, as below (Policies → Create cache policy)"
        } else {
            "Cache policy: CachingOptimized"
        };
        let request = if change.forwards_host { "HostHeaderOnly" } else { "none" };
        text.push_str(&format!("// {}: {how}. {policy}. Origin request policy: {request}. Compress objects: yes.\n", change.pattern));
    }
    if changes.iter().any(|c| c.is_image_optimizer) {
        text.push_str(IMAGE_POLICY);
    } else {
        text.push_str(&format!("{{ \"CachePolicyId\": \"{CACHING_OPTIMIZED}\", \"Compress\": true }}"));
    }
    Remedy {
        kind: RemedyKind::Cloudfront,
        label: "The same in the console".to_owned(),
        text,
        lock: None,
        risk: "Low: as above.".to_owned(),
        undo: Some("Choose the former cache policy again, or delete the behaviour.".to_owned()),
    }
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
    use super::*;

    fn change(exists: bool) -> Change {
        Change { pattern: "/it's/*".into(), exists, forwards_host: true, is_image_optimizer: false }
    }

    #[test]
    fn patterns_are_words_of_the_shell() {
        assert_eq!(quoted("/it's/*"), "'/it'\\''s/*'");
        assert!(changed("E1", &[change(true)]).text.contains("--arg pattern '/it'\\''s/*'"));
    }

    #[test]
    fn no_offered_change_forwards_cookies_to_the_origin_of_files() {
        for exists in [true, false] {
            let text = changed("E1", &[change(exists)]).text;
            assert!(text.contains("del(.ForwardedValues") && text.contains(".OriginRequestPolicyId)") && text.contains(HOST_HEADER_ONLY), "{text}");
        }
    }

    #[test]
    fn policies_of_pages_tell_shoppers_and_forms_apart() {
        let remedy = chosen("Keep both apart", &pages_policy(), "Default (*) → Edit.", "Low.");
        let json = remedy.text.split("JSON").nth(1).unwrap().trim_start_matches('\'');
        let policy: serde_json::Value = serde_json::from_str(json).unwrap();
        let key = &policy["ParametersInCacheKeyAndForwardedToOrigin"];
        assert!(key["CookiesConfig"]["Cookies"]["Items"].as_array().unwrap().iter().any(|c| c == "_medusa_cart_id"));
        assert!(key["HeadersConfig"]["Headers"]["Items"].as_array().unwrap().iter().any(|h| h == "RSC"));
        assert_eq!(key["QueryStringsConfig"]["QueryStringBehavior"], "all");
        assert!(remedy.text.ends_with("# Console: CloudFront → Distributions → the shop's → Behaviors → Default (*) → Edit."));
    }

    #[test]
    fn the_image_policy_is_json_without_cookies() {
        let policy: serde_json::Value = serde_json::from_str(IMAGE_POLICY).unwrap();
        assert_eq!(policy["ParametersInCacheKeyAndForwardedToOrigin"]["CookiesConfig"]["CookieBehavior"], "none");
    }
}
