//! Media in the bucket do not say how long they may be kept.

use std::collections::BTreeMap;

use crate::checks::edge_cloudfront::{APPLIES_USES, CACHING_OPTIMIZED, applies, enabled, is_file_pattern, quoted, saved, title, undo};
use crate::checks::http::CacheControl;
use crate::checks::{Check, joined};
use crate::evidence::cloudfront::{Behaviour, Bucket, Distribution, ObjectHead};
use crate::evidence::{Cause, Gap, Layer, Section, Snapshot};
use crate::finding::{Cell, Confidence, Cost, Effort, Evidence, Finding, Remedy, RemedyKind, Resource, Severity, Subject};
use crate::text;

const USES: [Section; 5] = joined(APPLIES_USES, [Section::CloudFrontDistributions]);

pub static CHECK: Check = Check {
    id: "cdn-bucket-headers",
    layer: Layer::Cdn,
    title: "Media in the bucket carry no cache lifetime",
    passed: "The media sampled in the store's buckets say how long they may be kept.",
    why: "Without Cache-Control every browser decides by itself how long to keep a picture and asks for it again on the next visit; where CloudFront's \
          behaviour has no default time either, the edge does not keep it at all.",
    remedy: "Let CloudFront add the header for what is there already, and let Medusa's file module set it on what is uploaded from now on.",
    method: "Reads the headers of up to 20 objects of each bucket, spread over folders and endings; only media, fonts, styles and scripts count. Fires when \
             at least a fifth of at least five have no Cache-Control, or one that forbids keeping. Quiet where a response headers policy of the behaviour \
             adds it. Medium when the behaviour's default time is 0 s, else Low.",
    effort: Effort::Minutes,
    references: &[
        "https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/Expiration.html",
        "https://docs.medusajs.com/resources/infrastructure-modules/file/s3",
    ],
    needs: &[Section::S3Buckets],
    uses: &USES,
    symptom_of: &[],
    applies_to: applies,
    evaluate,
};

/// Fewer objects may be anybody's leftovers.
const HEADS_MIN: usize = 5;
/// Medusa's file module sets the header on every upload: a few without it were put there by hand, a fifth is a way of working.
const LACKING_SHARE_MIN: f64 = 0.20;
/// Repeat visits ask again; most are answered 304.
const SHARE_BY_RULE: f64 = 0.04;
/// Nothing is kept at the edge.
const SHARE_UNKEPT_BY_RULE: f64 = 0.15;

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let buckets = snapshot.cloudfront()?.buckets()?;
    let (mut findings, mut unread, mut judged) = (Vec::new(), None, 0);
    for bucket in buckets.rows.iter().filter(|b| !holds_no_media(b)) {
        match judge(snapshot, bucket) {
            Ok(found) => {
                judged += 1;
                findings.extend(found);
            }
            Err(gap) => unread = unread.or(Some(gap)),
        }
    }
    match unread {
        Some(gap) if findings.is_empty() => Err(gap),
        None if judged == 0 => {
            let cause = Cause::TooFew { have: 0, need: 1, what: "buckets".into() };
            Err(Gap::new(Section::S3Buckets, cause, "No bucket of media lies behind the distributions or the media addresses that were read."))
        }
        None if !buckets.is_whole() && findings.is_empty() => {
            let have = buckets.rows.len() as u64;
            let cause = Cause::TooFew { have, need: have + buckets.cut.unwrap_or(1), what: "buckets".into() };
            Err(Gap::new(Section::S3Buckets, cause, format!("{have} of the store's {} buckets were read.", have + buckets.cut.unwrap_or(1))))
        }
        _ => Ok(findings),
    }
}

/// A bucket of pages or feeds: told of by its sample, and no bucket of media.
fn holds_no_media(bucket: &Bucket) -> bool {
    let heads = bucket.objects.as_ref().map_or(&[][..], |o| &o.heads);
    !heads.is_empty() && !heads.iter().any(|h| is_file_pattern(&h.pattern))
}

fn judge(snapshot: &Snapshot, bucket: &Bucket) -> Result<Option<Finding>, Gap> {
    let sample = bucket.objects.as_ref().map_err(Gap::clone)?;
    let files: Vec<&ObjectHead> = sample.heads.iter().filter(|h| is_file_pattern(&h.pattern)).collect();
    if files.len() < HEADS_MIN {
        let cause = Cause::TooFew { have: files.len() as u64, need: HEADS_MIN as u64, what: "objects".into() };
        return Err(Gap::new(Section::S3Buckets, cause, format!("The bucket {} holds too few files to judge their headers.", bucket.name)));
    }
    let lacking: Vec<&ObjectHead> = files.iter().copied().filter(|h| !is_kept(h)).collect();
    let share = lacking.len() as f64 / files.len() as f64;
    if share < LACKING_SHARE_MIN {
        return Ok(None);
    }
    let behind = behaviours(snapshot, bucket);
    let mut adds_all = !behind.is_empty();
    for (_, behaviour) in &behind {
        adds_all &= adds_header(behaviour)?;
    }
    Ok(if adds_all { None } else { Some(finding(bucket, &files, &lacking, &behind)) })
}

fn is_kept(head: &ObjectHead) -> bool {
    let control = head.cache_control.as_deref().map(CacheControl::parse);
    control.is_some_and(|c| {
        let forbids = ["no-store", "no-cache", "private"].iter().any(|d| c.has(d));
        !forbids && (c.shared_seconds().is_none_or(|s| s > 0) && (c.shared_seconds().is_some() || c.has("immutable") || c.has("public")))
    })
}

/// Behaviours of enabled distributions that this bucket answers.
fn behaviours<'a>(snapshot: &'a Snapshot, bucket: &Bucket) -> Vec<(&'a Distribution, &'a Behaviour)> {
    let Ok(listed) = snapshot.cloudfront.as_ref().map_or_else(|g| Err(g.clone()), |c| c.distributions()) else { return Vec::new() };
    let own = |d: &&'a Distribution, b: &&'a Behaviour| d.origin(b).is_some_and(|o| o.bucket.as_ref() == Some(&bucket.name));
    enabled(listed).flat_map(|d| d.behaviours.iter().filter(move |b| own(&d, b)).map(move |b| (d, b))).collect()
}

fn adds_header(behaviour: &Behaviour) -> Result<bool, Gap> {
    match &behaviour.response_headers {
        None => Ok(false),
        Some(policy) => policy.header_names.as_ref().map(|names| names.iter().any(|n| n == "cache-control")).map_err(Gap::clone),
    }
}

fn finding(bucket: &Bucket, files: &[&ObjectHead], lacking: &[&ObjectHead], behind: &[(&Distribution, &Behaviour)]) -> Finding {
    let is_unkept = behind.iter().any(|(_, b)| b.caching.settings().is_ok_and(|s| s.default_ttl_s == 0));
    let mut by_pattern: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for head in files {
        *by_pattern.entry((&head.pattern, head.cache_control.as_deref().unwrap_or("none"))).or_default() += 1;
    }
    let rows = by_pattern
        .into_iter()
        .map(|((pattern, control), n)| vec![Cell::text(pattern), Cell::text(text::cut(control, 80)), Cell::number(n as f64, text::count(n))])
        .collect();
    let edge = if is_unkept { " The behaviour in front has no default time, so the edge keeps none of them." } else { "" };
    Finding {
        subject: Subject::new("bucket", bucket.name.clone()),
        observed: format!(
            "{} of {} sampled in {} say nothing or forbid to keep them.{edge}",
            lacking.len(),
            text::plural(files.len() as u64, "file", "files"),
            bucket.name
        ),
        step: format!("Let the media of {} be kept", bucket.name),
        evidence: vec![Evidence::table("Cache-Control in the sample", &["objects", "Cache-Control", "sampled"], rows)],
        severity: if is_unkept { Severity::Medium } else { Severity::Low },
        confidence: Confidence::Medium,
        confidence_because: format!("a sample of {}", text::plural(files.len() as u64, "object", "objects")),
        effort: Effort::Minutes,
        cost: Cost { resource: Resource::OriginRequests, share: if is_unkept { SHARE_UNKEPT_BY_RULE } else { SHARE_BY_RULE } },
        gain: None,
        averts: None,
        remedies: behind.first().map(at_the_edge).into_iter().chain([at_upload()]).collect(),
        verify: "curl -I of a picture through the CDN shows Cache-Control; the second request is answered by x-cache: Hit from cloudfront."
            .to_owned(),
        touches: vec![format!("bucket:{}", bucket.name)],
    }
}

/// A week: long enough for the next visit, short enough for a picture that is replaced under its name.
const BROWSER_S: u32 = 604_800;

fn at_the_edge((distribution, behaviour): &(&Distribution, &Behaviour)) -> Remedy {
    let policy = format!(
        "{{\n  \"Name\": \"medusa-media-lifetime-{}\",\n  \"CustomHeadersConfig\": {{\n    \"Quantity\": 1,\n    \"Items\": [{{ \"Header\": \"Cache-Control\", \"Value\": \
         \"public, max-age={BROWSER_S}\", \"Override\": true }}]\n  }}\n}}",
        distribution.id
    );
    // A policy that could not be read stays as it is.
    let is_unkept = behaviour.caching.settings().is_ok_and(|s| s.default_ttl_s == 0);
    let cache = if !is_unkept {
        String::new()
    } else {
        format!(" | .CachePolicyId = \"{CACHING_OPTIMIZED}\" | del(.ForwardedValues, .MinTTL, .DefaultTTL, .MaxTTL)")
    };
    let edit = format!(
        "(.DefaultCacheBehavior, .CacheBehaviors.Items[]? | select(.TargetOriginId == $origin)) |= (.ResponseHeadersPolicyId = $policy{cache})"
    );
    Remedy {
        kind: RemedyKind::Shell,
        label: "Add the header at the edge".to_owned(),
        text: format!(
            "# For every behaviour of {} that the bucket answers.\nID={}\ncat > policy.json <<'JSON'\n{policy}\nJSON\n\
             POLICY=$(aws cloudfront create-response-headers-policy --response-headers-policy-config file://policy.json \\\n  \
             --query ResponseHeadersPolicy.Id --output text)\n\
             aws cloudfront get-distribution-config --id \"$ID\" > before.json\njq --arg origin {} --arg policy \"$POLICY\" \\\n  \
             '.DistributionConfig | {edit}' before.json > after.json\n{}",
            title(distribution),
            distribution.id,
            quoted(&behaviour.origin_id),
            saved()
        ),
        lock: None,
        risk:
            "Low for media: a picture replaced under the same name is seen by returning visitors after a week. It replaces another response headers \
               policy of the behaviour; not for buckets that hold pages."
                .to_owned(),
        undo: Some(undo(&distribution.id)),
    }
}

fn at_upload() -> Remedy {
    Remedy {
        kind: RemedyKind::MedusaConfig,
        label: "Set it on every new upload (Medusa 2)".to_owned(),
        text: "// medusa-config.ts: modules → @medusajs/medusa/file → providers → the S3 provider's options. Uploads get names of their own.\n\
               options: {\n  // … what is there\n  cache_control: \"public, max-age=31536000\",\n}"
            .to_owned(),
        lock: None,
        risk: "Low: only objects uploaded from now on.".to_owned(),
        undo: Some("Remove the line.".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::edge_cloudfront::fixtures::{behaviour, bucket, head, policy, store, with_policy};
    use crate::checks::http::fixtures::found;
    use crate::evidence::Listed;
    use crate::evidence::cloudfront::{Names, ResponseHeadersPolicy};
    use crate::finding::Outcome;

    fn with_behaviour(lacking: usize, kept: usize, behaviour: Behaviour) -> Snapshot {
        let mut snapshot = store(vec![behaviour]);
        let bare = (0..lacking).map(|_| head("products/*.jpg", None));
        let heads = bare.chain((0..kept).map(|_| head("products/*.jpg", Some("public, max-age=31536000")))).collect();
        snapshot.cloudfront.as_mut().unwrap().buckets = Ok(Listed::whole(vec![bucket(heads)]));
        snapshot
    }

    fn with(lacking: usize, kept: usize) -> Snapshot {
        with_behaviour(lacking, kept, behaviour("/media/*", "media"))
    }

    #[test]
    fn a_fifth_is_the_boundary() {
        assert_eq!(CHECK.run(&with(3, 13)), Outcome::Passed);
        assert_eq!(found(CHECK.run(&with(4, 16)))[0].severity, Severity::Low);
    }

    #[test]
    fn few_objects_are_unknown() {
        assert!(matches!(CHECK.run(&with(4, 0)), Outcome::Unknown(_)));
        assert!(matches!(CHECK.run(&with(5, 0)), Outcome::Failed(_)));
    }

    #[test]
    fn an_edge_that_keeps_nothing_by_default_is_worse() {
        let unkept = with_policy(behaviour("/media/*", "media"), policy("UseOriginCacheControlHeaders", [0, 0, 31_536_000], Names::None));
        let findings = found(CHECK.run(&with_behaviour(8, 0, unkept)));
        assert_eq!(findings[0].severity, Severity::Medium);
        assert!(findings[0].remedies[0].text.contains(CACHING_OPTIMIZED));
    }

    #[test]
    fn the_edge_may_add_the_header() {
        let mut added = behaviour("/media/*", "media");
        added.response_headers = Some(ResponseHeadersPolicy { id: "r".into(), header_names: Ok(vec!["cache-control".into()]) });
        assert_eq!(CHECK.run(&with_behaviour(8, 0, added.clone())), Outcome::Passed);
        added.response_headers.as_mut().unwrap().header_names = Ok(vec!["x-frame-options".into()]);
        assert!(matches!(CHECK.run(&with_behaviour(8, 0, added)), Outcome::Failed(_)));
    }

    #[test]
    fn words_that_forbid_keeping_count_as_none() {
        for (control, is_good) in [("no-store", false), ("max-age=0", false), ("private, max-age=60", false), ("public", true), ("max-age=60", true)]
        {
            assert_eq!(is_kept(&head("a.jpg", Some(control))), is_good, "{control}");
        }
    }

    #[test]
    fn pages_and_feeds_are_not_media() {
        let mut snapshot = with(0, 5);
        let mut heads: Vec<_> = (0..10).map(|_| head("*.html", Some("no-cache"))).collect();
        heads.extend((0..5).map(|_| head("products/*.jpg", Some("max-age=600"))));
        snapshot.cloudfront.as_mut().unwrap().buckets = Ok(Listed::whole(vec![bucket(heads)]));
        assert_eq!(CHECK.run(&snapshot), Outcome::Passed);
    }
}
