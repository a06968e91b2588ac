//! CloudFront behaviours that still have their cache settings on themselves.

use crate::checks::Check;
use crate::checks::edge_cloudfront::{
    APPLIES_USES, CACHING_DISABLED, applies, as_legacy_sends, enabled, is_server, new_policy, new_request_policy, policy_json, quoted, saved,
    settled, title, undo, whole_request,
};
use crate::evidence::cloudfront::{Behaviour, CachePolicy, Distribution, Names, OriginKind};
use crate::evidence::{Gap, Layer, Section, Snapshot};
use crate::finding::{Cell, Confidence, Cost, Effort, Evidence, Finding, Remedy, RemedyKind, Resource, Severity, Subject};
use crate::text;

pub static CHECK: Check = Check {
    id: "cdn-legacy-cache-settings",
    layer: Layer::Cdn,
    title: "CloudFront behaviours use legacy cache settings",
    passed: "Every CloudFront behaviour has a cache policy.",
    why: "Legacy settings join two things that policies keep apart: what the origin is sent and what tells copies apart. They cannot compress with \
          Brotli, so text is some 15 % larger than it could be, and newer features of CloudFront do not reach them.",
    remedy: "Give each such behaviour a cache policy with the same settings; what it keeps, and for whom, stays the same.",
    method: "Lists behaviours of enabled distributions without a cache policy. Low where one of them answers for a server that sends text, Info where \
             only buckets of media do.",
    effort: Effort::Minutes,
    references: &[
        "https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/controlling-the-cache-key.html",
        "https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/ServingCompressedFiles.html",
    ],
    needs: &[Section::CloudFrontDistributions],
    uses: &APPLIES_USES,
    symptom_of: &[],
    applies_to: applies,
    evaluate,
};

/// Text without Brotli is a little of the bytes served.
const SHARE_BY_RULE: f64 = 0.02;

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let listed = snapshot.cloudfront()?.distributions()?;
    let unread = enabled(listed).flat_map(legacy).find_map(|b| b.caching.settings().err());
    settled(enabled(listed).filter_map(finding).collect(), unread, listed)
}

fn legacy(distribution: &Distribution) -> impl Iterator<Item = &Behaviour> {
    distribution.behaviours.iter().filter(|b| b.caching.is_legacy())
}

fn finding(distribution: &Distribution) -> Option<Finding> {
    // What cannot be read cannot be moved to a policy that says the same.
    let legacy: Vec<&Behaviour> = legacy(distribution).filter(|b| b.caching.settings().is_ok()).collect();
    if legacy.is_empty() {
        return None;
    }
    let is_bucket = |b: &Behaviour| distribution.origin(b).is_some_and(|o| matches!(o.kind, OriginKind::S3 | OriginKind::S3Website));
    let sends_text = legacy.iter().any(|b| !is_bucket(b));
    let rows = legacy.iter().map(|b| row(b)).collect();
    let count = text::plural(legacy.len() as u64, "behaviour", "behaviours");
    Some(Finding {
        subject: Subject::new("distribution", distribution.id.clone()),
        observed: format!("{count} of {} have no cache policy: {} in all.", title(distribution), distribution.behaviours.len()),
        step: format!("Give the behaviours of {} cache policies", distribution.id),
        evidence: vec![Evidence::table("Without a policy", &["path", "default TTL", "cookies in the key", "headers in the key"], rows)],
        severity: if sends_text { Severity::Low } else { Severity::Info },
        confidence: Confidence::High,
        confidence_because: "read from the distribution's configuration".to_owned(),
        effort: Effort::Minutes,
        cost: Cost { resource: Resource::Bytes, share: if sends_text { SHARE_BY_RULE } else { 0.0 } },
        gain: None,
        averts: None,
        remedies: vec![same_by_policy(distribution, &legacy)],
        verify: "CloudFront → Distributions → Behaviors shows a cache policy for each; text answers content-encoding: br.".to_owned(),
        touches: vec![format!("distribution:{}", distribution.id)],
    })
}

fn words(names: &Names) -> String {
    match names {
        Names::None => "none".to_owned(),
        Names::All => "all".to_owned(),
        Names::Only(names) => names.join(", "),
        Names::Except(names) => format!("all but {}", names.join(", ")),
    }
}

fn row(behaviour: &Behaviour) -> Vec<Cell> {
    let Ok(settings) = behaviour.caching.settings() else { return vec![Cell::text(behaviour.path_pattern.clone())] };
    vec![
        Cell::text(behaviour.path_pattern.clone()),
        Cell::number(settings.default_ttl_s as f64, text::seconds(settings.default_ttl_s as f64)),
        Cell::text(words(&settings.cookies)),
        Cell::text(words(&settings.headers)),
    ]
}

/// Policies have no way to say "all headers", and none to have a key where nothing is kept: both are the managed CachingDisabled.
fn keeps_nothing(settings: &CachePolicy) -> bool {
    settings.max_ttl_s == 0 || settings.headers == Names::All
}

fn same_by_policy(distribution: &Distribution, legacy: &[&Behaviour]) -> Remedy {
    let mut text = format!(
        "ID={}\naws cloudfront get-distribution-config --id \"$ID\" > before.json\njq .DistributionConfig before.json > after.json\n",
        distribution.id
    );
    for (number, behaviour) in legacy.iter().enumerate() {
        let Ok(settings) = behaviour.caching.settings() else { continue };
        let name = format!("medusa-{}-{}", distribution.id, number + 1);
        text.push_str(&moved(distribution, behaviour, settings, &name));
    }
    text.push_str(saved());
    Remedy {
        kind: RemedyKind::Shell,
        label: "The same settings as policies".to_owned(),
        text,
        lock: None,
        risk: "Low: the same key, times and headers to the origin, and Brotli beside gzip. Where forms are accepted, Authorization joins the key; where \
               nothing is kept today, the origin may be sent more of the request than before. \
               Needs the AWS CLI, jq and permission to create policies."
            .to_owned(),
        undo: Some(undo(&distribution.id)),
    }
}

/// One behaviour's commands.
///
/// Legacy settings pass on to a server most headers that are not in the key, x-publishable-api-key and Next-Action among them; a cache
/// policy alone passes on its own list and nothing else.
fn moved(distribution: &Distribution, behaviour: &Behaviour, settings: &CachePolicy, name: &str) -> String {
    let is_server = is_server(distribution, behaviour);
    let (mut made, mut arguments) = (String::new(), format!("--arg policy {CACHING_DISABLED}"));
    // What nothing is kept of may be sent whole.
    let mut request = whole_request(distribution, behaviour, settings).map_or_else(String::new, |id| format!(" | .OriginRequestPolicyId = \"{id}\""));
    if !keeps_nothing(settings) {
        let key = key(behaviour, settings, is_server);
        made = new_policy("POLICY", &policy_json(name, &key));
        arguments = "--arg policy \"$POLICY\"".to_owned();
        if is_server {
            made.push_str(&new_request_policy("REQUEST", &as_legacy_sends(name, &key)));
            arguments.push_str(" --arg request \"$REQUEST\"");
            request = " | .OriginRequestPolicyId = $request".to_owned();
        }
    }
    let edit = format!("(.CachePolicyId = $policy | del(.ForwardedValues, .MinTTL, .DefaultTTL, .MaxTTL){request})");
    // Only what is still as it was: another remedy may have given it a policy meanwhile.
    let place = if behaviour.is_default {
        format!("(.DefaultCacheBehavior | select(.CachePolicyId == null)) |= {edit}")
    } else {
        format!("(.CacheBehaviors.Items[] | select(.PathPattern == $pattern and .CachePolicyId == null)) |= {edit}")
    };
    let pattern = quoted(&behaviour.path_pattern);
    format!("{made}jq --arg pattern {pattern} {arguments} \\\n  '{place}' after.json > next.json && mv next.json after.json\n")
}

/// The same key. Legacy settings pass on Authorization with forms and take it off pages; a policy that passes it on must have it in the
/// key, or what one customer is answered could be kept for all.
fn key(behaviour: &Behaviour, settings: &CachePolicy, is_server: bool) -> CachePolicy {
    let takes_forms = behaviour.allowed_methods.iter().any(|m| m == "POST");
    if !is_server || !takes_forms || settings.headers.has("Authorization") {
        return settings.clone();
    }
    let mut headers = match &settings.headers {
        Names::Only(names) => names.clone(),
        Names::None | Names::All | Names::Except(_) => Vec::new(),
    };
    headers.push("Authorization".to_owned());
    CachePolicy { headers: Names::Only(headers), ..settings.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::edge_cloudfront::fixtures::{behaviour, policy, store, with_legacy, with_unread};
    use crate::checks::http::fixtures::found;
    use crate::finding::Outcome;

    fn legacy(pattern: &str, origin: &str, settings: CachePolicy) -> Behaviour {
        with_legacy(behaviour(pattern, origin), settings)
    }

    #[test]
    fn policies_pass_and_legacy_does_not() {
        assert_eq!(CHECK.run(&store(vec![behaviour("/a/*", "storefront")])), Outcome::Passed);
        let settings = policy("legacy settings", [0, 60, 600], Names::Only(vec!["_medusa_cart_id".into()]));
        let findings = found(CHECK.run(&store(vec![legacy("/a/*", "storefront", settings.clone())])));
        assert_eq!(findings[0].severity, Severity::Low);
        let text = &findings[0].remedies[0].text;
        assert!(text.contains("_medusa_cart_id") && text.contains("\"DefaultTTL\": 60"), "the same key and time: {text}");
        assert_eq!(found(CHECK.run(&store(vec![legacy("/m/*", "media", settings)])))[0].severity, Severity::Info);
    }

    #[test]
    fn settings_that_were_not_understood_are_no_pass() {
        let unread = with_unread(behaviour("/a/*", "storefront"));
        assert!(matches!(CHECK.run(&store(vec![unread.clone()])), Outcome::Unknown(gap) if gap.detail.contains("allButPersonal")));
        let settings = policy("legacy settings", [0, 60, 600], Names::None);
        let findings = found(CHECK.run(&store(vec![unread, legacy("/b/*", "storefront", settings)])));
        assert!(findings[0].observed.starts_with("1\u{a0}behaviour of"), "{}", findings[0].observed);
    }

    #[test]
    fn what_no_policy_can_say_keeps_nothing_as_before() {
        let mut all = policy("legacy settings", [0, 60, 600], Names::All);
        all.headers = Names::All;
        let findings = found(CHECK.run(&store(vec![legacy("/a/*", "storefront", all)])));
        let text = &findings[0].remedies[0].text;
        assert!(
            text.contains(CACHING_DISABLED) && text.contains("216adef6-5c7f-47e4-b989-5492eafa07d3") && !text.contains("create-cache-policy"),
            "{text}"
        );
    }

    /// The origin request policy that the remedy makes, if it makes one.
    fn sent(text: &str) -> Option<serde_json::Value> {
        let (_, rest) = text.split_once("request.json <<'JSON'\n")?;
        serde_json::from_str(rest.split("\nJSON").next()?).ok()
    }

    #[test]
    fn what_a_server_was_sent_beside_the_key_it_is_sent_still() {
        let mut settings = policy("legacy settings", [0, 60, 600], Names::None);
        settings.headers = Names::Only(vec!["Host".into(), "Origin".into()]);
        let text = |b: Behaviour| found(CHECK.run(&store(vec![b])))[0].remedies[0].text.clone();
        let api = text(legacy("/store/*", "storefront", settings.clone()));
        let policy = sent(&api).expect("x-publishable-api-key has to arrive");
        assert_eq!(policy["HeadersConfig"]["HeaderBehavior"], "allExcept");
        let dropped = policy["HeadersConfig"]["Headers"]["Items"].as_array().unwrap();
        assert!(dropped.iter().any(|h| h == "Authorization") && !dropped.iter().any(|h| h == "Host"), "{policy}");
        assert_eq!(policy["CookiesConfig"]["CookieBehavior"], "none", "no cookie came before, and none is in the key");
        assert!(api.contains("--arg request \"$REQUEST\"") && api.contains(".OriginRequestPolicyId = $request"), "{api}");
        let media = text(legacy("/m/*", "media", settings));
        assert!(sent(&media).is_none() && !media.contains("OriginRequestPolicyId"), "a bucket needs no more than the key: {media}");
    }

    #[test]
    fn forms_of_signed_in_customers_go_on_and_their_pages_stay_their_own() {
        let mut behaviour = legacy("/store/*", "storefront", policy("legacy settings", [0, 60, 600], Names::None));
        behaviour.allowed_methods.push("POST".into());
        let text = found(CHECK.run(&store(vec![behaviour])))[0].remedies[0].text.clone();
        let (key, request) = text.split_once("request.json").unwrap();
        assert!(key.contains("\"Authorization\"") && !request.contains("\"Authorization\""), "{text}");
    }
}
