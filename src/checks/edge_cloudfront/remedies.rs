//! Changes of a behaviour, as commands that can be pasted and as what to click.
//!
//! Nothing offered here can hand one shopper's answer to another: files get a key without cookies and nothing is forwarded that an origin
//! would answer with a session, and policies for pages keep the shopper's cookies in the key.

use super::policies::{CACHING_OPTIMIZED, HOST_HEADER_ONLY, IMAGE_POLICY, forwards_host, new_or_same_policy};
use super::{Files, is_image_optimizer};
use crate::evidence::cloudfront::CachePolicy;
use crate::finding::{Remedy, RemedyKind};

/// A change of what answers one pattern.
pub struct Change {
    pub pattern: String,
    pub place: Place,
    /// Keep the origin's idea of the host.
    pub forwards_host: bool,
}

/// Where the behaviour for a pattern stands. A new one goes right before the behaviour that answers its files today and copies it: whatever
/// is asked of the behaviours above stays theirs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// The behaviour is there, for this very pattern.
    There,
    BeforeDefault,
    /// Before the behaviour for this pattern.
    Before(String),
}

impl Change {
    /// What would let these files be shared.
    pub fn all(files: &Files<'_>, settings: &CachePolicy) -> Vec<Self> {
        let forwards_host = !files.is_bucket && forwards_host(files.behaviour, settings);
        let own = &files.behaviour.path_pattern;
        let place = |pattern: &String| {
            if files.behaviour.is_default {
                Place::BeforeDefault
            } else if pattern == own {
                Place::There
            } else {
                Place::Before(own.clone())
            }
        };
        files.patterns().into_iter().map(|pattern| Self { place: place(&pattern), pattern, forwards_host }).collect()
    }

    fn is_image_optimizer(&self) -> bool {
        is_image_optimizer(&self.pattern)
    }
}

/// A text as one word of a shell.
pub fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// The commands that apply these changes to a distribution.
pub fn changed(distribution: &str, changes: &[Change]) -> Remedy {
    let mut text = format!("ID={distribution}\naws cloudfront get-distribution-config --id \"$ID\" > before.json\n");
    if changes.iter().any(Change::is_image_optimizer) {
        text.push_str(&new_or_same_policy("IMAGES", IMAGE_POLICY));
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
    let policy = if change.is_image_optimizer() { "\"$IMAGES\"".to_owned() } else { CACHING_OPTIMIZED.to_owned() };
    let request = if change.forwards_host { format!(" | .OriginRequestPolicyId = \"{HOST_HEADER_ONLY}\"") } else { String::new() };
    let edit = format!(
        "del(.ForwardedValues, .MinTTL, .DefaultTTL, .MaxTTL, .OriginRequestPolicyId) | .CachePolicyId = $policy | .Compress = true{request}"
    );
    let counted = "| .CacheBehaviors = {Quantity: ($all | length), Items: $all}";
    let mut before = String::new();
    let whole = match &change.place {
        Place::There => format!("(.CacheBehaviors.Items[] | select(.PathPattern == $pattern)) |= ({edit})"),
        Place::BeforeDefault => {
            format!("((.CacheBehaviors.Items // []) + [.DefaultCacheBehavior + {{PathPattern: $pattern}} | {edit}]) as $all\n     {counted}")
        }
        Place::Before(other) => {
            before = format!(" --arg before {}", quoted(other));
            format!(
                ".CacheBehaviors.Items as $now | ($now | map(.PathPattern) | index($before)) as $at\n     \
                 | ($now[:$at] + [$now[$at] + {{PathPattern: $pattern}} | {edit}] + $now[$at:]) as $all\n     {counted}"
            )
        }
    };
    let pattern = quoted(&change.pattern);
    format!("jq --arg pattern {pattern}{before} --arg policy {policy} \\\n    '{whole}' after.json > next.json && mv next.json after.json\n")
}

/// The same by hand.
pub fn console(distribution: &str, changes: &[Change]) -> Remedy {
    let mut text = format!("// Console: CloudFront → Distributions → {distribution} → Behaviors\n");
    for change in changes {
        let how = match &change.place {
            Place::There => "select it → Edit".to_owned(),
            Place::BeforeDefault => "Create behavior with the settings of Default (*), last above it".to_owned(),
            Place::Before(other) => format!("Create behavior with the settings of {other}, and move it right above that"),
        };
        let policy = if change.is_image_optimizer() {
            "Cache policy: a new one, as below (Policies → Create cache policy)"
        } else {
            "Cache policy: CachingOptimized"
        };
        let request = if change.forwards_host { "HostHeaderOnly" } else { "none" };
        text.push_str(&format!("// {}: {how}. {policy}. Origin request policy: {request}. Compress objects: yes.\n", change.pattern));
    }
    if changes.iter().any(Change::is_image_optimizer) {
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

#[cfg(test)]
mod tests {
    use super::super::pages_policy;
    use super::*;

    fn change(place: Place) -> Change {
        Change { pattern: "/it's/*".into(), place, forwards_host: true }
    }

    fn places() -> [Place; 3] {
        [Place::There, Place::BeforeDefault, Place::Before("/it*".into())]
    }

    #[test]
    fn patterns_are_words_of_the_shell() {
        assert_eq!(quoted("/it's/*"), "'/it'\\''s/*'");
        assert!(changed("E1", &[change(Place::There)]).text.contains("--arg pattern '/it'\\''s/*'"));
        assert!(changed("E1", &[change(Place::Before("/it's*".into()))]).text.contains("--arg before '/it'\\''s*'"));
    }

    #[test]
    fn no_offered_change_forwards_cookies_to_the_origin_of_files() {
        for place in places() {
            let text = changed("E1", &[change(place)]).text;
            assert!(text.contains("del(.ForwardedValues") && text.contains(".OriginRequestPolicyId)") && text.contains(HOST_HEADER_ONLY), "{text}");
        }
    }

    #[test]
    fn the_optimiser_never_gets_the_policy_that_drops_its_query() {
        for place in places() {
            let text = changed("E1", &[Change { pattern: "/shop/_next/image*".into(), place, forwards_host: false }]).text;
            assert!(text.contains("--arg policy \"$IMAGES\"") && !text.contains(CACHING_OPTIMIZED), "{text}");
            assert!(text.contains("list-cache-policies"), "another remedy may have made it: {text}");
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
        assert!(!key["HeadersConfig"]["Headers"]["Items"].as_array().unwrap().iter().any(|h| h == "Host"), "the origin's certificate may be its own");
        assert_eq!(key["QueryStringsConfig"]["QueryStringBehavior"], "all");
        assert!(remedy.text.ends_with("# Console: CloudFront → Distributions → the shop's → Behaviors → Default (*) → Edit."));
    }
}
