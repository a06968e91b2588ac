//! The origin behind CloudFront can be read around it, or is spoken to in the clear.

use crate::checks::edge_cloudfront::{APPLIES_USES, applies, enabled, quoted, saved, settled, title, undo};
use crate::checks::{Check, joined};
use crate::evidence::cloudfront::{Behaviour, Bucket, Distribution, Names, Origin, OriginAccess, OriginKind};
use crate::evidence::{Cause, Gap, Layer, Section, Snapshot};
use crate::finding::{Confidence, Cost, Effort, Evidence, Finding, Remedy, RemedyKind, Resource, Severity, Subject};
use crate::text;

const USES: [Section; 6] = joined(APPLIES_USES, [Section::S3Buckets, Section::PgMedia]);

pub static CHECK: Check = Check {
    id: "cdn-origin-open",
    layer: Layer::Cdn,
    title: "The origin behind CloudFront is open or unencrypted",
    passed: "Buckets behind CloudFront are read through it only, and servers are asked over HTTPS.",
    why: "A bucket that anybody can read lets crawlers and other sites fetch its files past the CDN, at the store's cost and without its rules. A server \
          that CloudFront asks over HTTP gets passwords, session cookies and addresses of shoppers in the clear.",
    remedy: "Give the bucket an origin access control and close it for everybody else; switch the origin's protocol to HTTPS only.",
    method: "For each bucket origin: an unsigned HEAD of one sampled object was answered, or the bucket's policy is public, and its block \
             does not close it. For each server origin: the protocol policy is http-only. Website endpoints of S3, which speak no HTTPS, and origins inside a \
             VPC are left out. HTTP is Medium where the origin gets POST requests or cookies, else Low.",
    effort: Effort::Hours,
    references: &[
        "https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/private-content-restricting-access-to-s3.html",
        "https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/using-https-cloudfront-to-custom-origin.html",
    ],
    needs: &[Section::CloudFrontDistributions],
    uses: &USES,
    symptom_of: &[],
    applies_to: applies,
    evaluate,
};

/// Files that anybody may see anyway: it costs money and rules, not secrets.
const OPEN_BUCKET_WEIGHT: f64 = 0.05;
/// Somebody has to stand between CloudFront and the server.
const CLEAR_TEXT_WEIGHT: f64 = 0.20;

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let listed = snapshot.cloudfront()?.distributions()?;
    let (mut findings, mut unread) = (Vec::new(), None);
    for distribution in enabled(listed) {
        let used = distribution.origins.iter().filter(|o| distribution.behaviours.iter().any(|b| b.origin_id == o.id));
        for origin in used {
            match origin.kind {
                OriginKind::S3 => match open_bucket(snapshot, origin) {
                    Ok(Some(bucket)) => findings.push(of_bucket(snapshot, distribution, origin, bucket)),
                    Ok(None) => {}
                    Err(gap) => unread = unread.or(Some(gap)),
                },
                OriginKind::Custom => match origin.protocol.as_deref() {
                    Some("http-only") => findings.push(of_clear_text(distribution, origin)),
                    Some("https-only" | "match-viewer") => {}
                    other => unread = unread.or(Some(unknown_protocol(origin, other))),
                },
                OriginKind::S3Website | OriginKind::Vpc => {}
            }
        }
    }
    // One bucket behind two distributions is one thing to close.
    findings.sort_by(|a, b| a.subject.cmp(&b.subject));
    findings.dedup_by(|a, b| a.subject == b.subject);
    settled(findings, unread, listed)
}

fn unknown_protocol(origin: &Origin, word: Option<&str>) -> Gap {
    let said = word.map_or_else(|| "no protocol".to_owned(), |w| format!("the protocol \"{}\", which is not known here", text::cut(w, 40)));
    Gap::new(Section::CloudFrontDistributions, Cause::Unreadable, format!("CloudFront tells {said}, for the origin {}.", origin.domain))
}

/// The bucket, if anybody can read it; a bucket that was not looked at is a gap.
fn open_bucket<'a>(snapshot: &'a Snapshot, origin: &Origin) -> Result<Option<&'a Bucket>, Gap> {
    let buckets = snapshot.cloudfront()?.buckets()?;
    let Some(bucket) = buckets.rows.iter().find(|b| Some(&b.name) == origin.bucket.as_ref()) else {
        let detail = format!("The bucket behind {} was not looked at.", origin.domain);
        return Err(Gap::new(Section::S3Buckets, Cause::Unreadable, detail));
    };
    let block = bucket.public_access.as_ref().ok();
    // A block that ignores lists and restricts policies leaves no way in, whatever they say.
    if block.is_some_and(|b| b.ignores_public_acls && b.restricts_public_buckets) {
        return Ok(None);
    }
    let is_restricted = block.is_some_and(|b| b.restricts_public_buckets);
    match (&bucket.is_read_unsigned, &bucket.has_public_policy) {
        (Ok(true), _) => Ok(Some(bucket)),
        (_, Ok(true)) if !is_restricted => Ok(Some(bucket)),
        (Ok(false), _) => Ok(None),
        (Err(gap), _) => Err(gap.clone()),
    }
}

fn of_bucket(snapshot: &Snapshot, distribution: &Distribution, origin: &Origin, bucket: &Bucket) -> Finding {
    let is_read = bucket.is_read_unsigned == Ok(true);
    let how = if is_read { "an unsigned request for one of its objects was answered" } else { "its policy lets everybody in" };
    let addresses = addresses(snapshot, &bucket.name);
    let mut evidence = vec![
        Evidence::text("Origin", origin.domain.clone()),
        Evidence::text(
            "CloudFront's own access",
            match origin.access {
                OriginAccess::Control => "origin access control",
                OriginAccess::Identity => "origin access identity",
                OriginAccess::None => "none: it reads as anybody does",
            },
        ),
    ];
    if let Some(count) = addresses {
        evidence.push(Evidence::figure("Addresses in the database that name the bucket itself", count as f64, "addresses", count.to_string()));
    }
    Finding {
        subject: Subject::new("bucket", bucket.name.clone()),
        observed: format!("Anybody can read the bucket {} past CloudFront: {how}.", bucket.name),
        step: format!("Close the bucket {} for everybody but CloudFront", bucket.name),
        evidence,
        severity: Severity::Low,
        confidence: if is_read { Confidence::High } else { Confidence::Medium },
        confidence_because: if is_read { "read without credentials, as any visitor could" } else { "concluded from the bucket's policy" }.to_owned(),
        effort: Effort::Hours,
        cost: Cost { resource: Resource::Risk, share: OPEN_BUCKET_WEIGHT },
        gain: None,
        averts: Some("traffic past the CDN".to_owned()),
        remedies: vec![close(distribution, origin, bucket, addresses)],
        verify: "curl -I of an object at the bucket's own address answers 403, and the same file through CloudFront 200.".to_owned(),
        touches: vec![format!("bucket:{}", bucket.name)],
    }
}

/// Media addresses that name the bucket instead of the CDN, where the database was read.
fn addresses(snapshot: &Snapshot, bucket: &str) -> Option<u64> {
    let media = snapshot.pg().and_then(|pg| pg.media()).ok()?;
    let is_own = |host: &str| {
        let host = crate::checks::http::host(host).to_ascii_lowercase();
        crate::evidence::cloudfront::bucket_of_host(&host).is_some_and(|(name, _)| name == bucket)
    };
    Some(media.iter().filter(|m| is_own(&m.host)).map(|m| m.count).sum())
}

fn close(distribution: &Distribution, origin: &Origin, bucket: &Bucket, addresses: Option<u64>) -> Remedy {
    let (id, name) = (&distribution.id, &bucket.name);
    let edit = "(.Origins.Items[] | select(.Id == $origin)) |= (.OriginAccessControlId = $control | del(.CustomOriginConfig) | .S3OriginConfig = \
                {OriginAccessIdentity: \"\"})";
    let text = format!(
        "# 1. Let CloudFront sign its requests to the bucket.\nID={id}\nCONTROL=$(aws cloudfront create-origin-access-control --origin-access-control-config \\\n  \
         'Name={name},SigningProtocol=sigv4,SigningBehavior=always,OriginAccessControlOriginType=s3' --query OriginAccessControl.Id --output text)\n\
         aws cloudfront get-distribution-config --id \"$ID\" > before.json\n\
         jq --arg origin {} --arg control \"$CONTROL\" \\\n  '.DistributionConfig | {edit}' before.json > after.json\n{}\
         # 2. Let this distribution read it, and nobody else. A policy that has other statements: add this one to them instead.\n\
         ARN=$(aws cloudfront get-distribution --id \"$ID\" --query Distribution.ARN --output text)\n\
         jq -n --arg arn \"$ARN\" '{{Version: \"2012-10-17\", Statement: [{{Sid: \"CloudFront\", Effect: \"Allow\", Principal: {{Service: \
         \"cloudfront.amazonaws.com\"}},\n  Action: \"s3:GetObject\", Resource: \"arn:aws:s3:::{name}/*\", Condition: {{StringEquals: {{\"AWS:SourceArn\": $arn}}}}}}]}}' > policy.json\n\
         aws s3api put-bucket-policy --bucket {name} --policy file://policy.json\n\
         # 3. When the distribution is deployed and its files still load: close the rest.\n\
         aws s3api put-public-access-block --bucket {name} --public-access-block-configuration \\\n  \
         BlockPublicAcls=false,IgnorePublicAcls=true,BlockPublicPolicy=true,RestrictPublicBuckets=true\n",
        quoted(&origin.id),
        saved()
    );
    let warning = match addresses {
        Some(0) => "No address in the database names the bucket itself.".to_owned(),
        Some(n) => {
            format!("{n} addresses in the database name the bucket itself: move them to the CDN's host first, their pictures vanish otherwise.")
        }
        None => {
            "Whatever names the bucket's own address (media addresses in the database, other sites) stops loading: look before step 3.".to_owned()
        }
    };
    Remedy {
        kind: RemedyKind::Shell,
        label: "Let only CloudFront in".to_owned(),
        text,
        lock: None,
        // Medusa's file module uploads with a public list: it must still be allowed to, the block then ignores it.
        risk: format!("Medium. {warning} Step 2 replaces the bucket's policy. Uploads by Medusa go on working."),
        undo: Some(format!("aws s3api delete-public-access-block --bucket {name}; {}", undo(id))),
    }
}

fn of_clear_text(distribution: &Distribution, origin: &Origin) -> Finding {
    let own = || distribution.behaviours.iter().filter(|b| b.origin_id == origin.id);
    let sends_cookies = |b: &Behaviour| {
        let by_key = b.caching.settings().is_ok_and(|s| s.cookies != Names::None);
        by_key || b.origin_request.as_ref().and_then(|r| r.content.as_ref().ok()).is_some_and(|r| r.cookies != Names::None)
    };
    let is_personal = own().any(|b| b.allowed_methods.iter().any(|m| m == "POST") || sends_cookies(b));
    let (id, domain) = (&distribution.id, &origin.domain);
    let is_unread = |b: &Behaviour| b.caching.settings().is_err() || b.origin_request.as_ref().is_some_and(|r| r.content.is_err());
    let what = match (is_personal, own().any(is_unread)) {
        (true, _) => "shoppers' cookies and forms among them",
        (false, true) => "whether cookies are among it is not known, for not all of its behaviours could be read",
        (false, false) => "files only, as far as its behaviours tell",
    };
    let edit = "(.Origins.Items[] | select(.Id == $origin)).CustomOriginConfig |= (.OriginProtocolPolicy = \"https-only\" | .OriginSslProtocols = {Quantity: 1, \
                Items: [\"TLSv1.2\"]})";
    Finding {
        subject: Subject::new("origin", format!("{id} {}", origin.id)),
        observed: format!("{} asks {domain} over HTTP only: {what}.", title(distribution)),
        step: format!("Let {id} ask {domain} over HTTPS"),
        evidence: vec![
            Evidence::text("Origin protocol policy", "http-only"),
            Evidence::text("Behaviours", own().map(|b| b.path_pattern.clone()).collect::<Vec<_>>().join(", ")),
        ],
        severity: if is_personal { Severity::Medium } else { Severity::Low },
        confidence: Confidence::High,
        confidence_because: "read from the distribution's configuration".to_owned(),
        effort: Effort::Hours,
        cost: Cost { resource: Resource::Risk, share: if is_personal { CLEAR_TEXT_WEIGHT } else { OPEN_BUCKET_WEIGHT } },
        gain: None,
        averts: Some("passwords and sessions read on the way".to_owned()),
        remedies: vec![Remedy {
            kind: RemedyKind::Shell,
            label: "Ask the origin over HTTPS".to_owned(),
            text: format!(
                "# The origin must answer on port 443 with a certificate for {domain} (or for the Host it is sent) first:\n# curl -sSI https://{domain}/\n\
                 ID={id}\naws cloudfront get-distribution-config --id \"$ID\" > before.json\n\
                 jq --arg origin {} \\\n  '.DistributionConfig | {edit}' before.json > after.json\n{}",
                quoted(&origin.id),
                saved()
            ),
            lock: None,
            risk: "Medium: without a valid certificate at the origin CloudFront answers 502.".to_owned(),
            undo: Some(undo(id)),
        }],
        verify: "CloudFront → Distributions → Origins shows HTTPS only, and the store still answers.".to_owned(),
        touches: vec![format!("distribution:{id}")],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::edge_cloudfront::fixtures::{behaviour, origin, store};
    use crate::checks::http::fixtures::found;
    use crate::evidence::cloudfront::{Caching, PublicAccessBlock};
    use crate::finding::Outcome;

    fn with(change: impl FnOnce(&mut Bucket)) -> Snapshot {
        let mut snapshot = store(vec![behaviour("/media/*", "media")]);
        change(&mut snapshot.cloudfront.as_mut().unwrap().buckets.as_mut().unwrap().rows[0]);
        snapshot
    }

    fn with_origin(change: impl FnOnce(&mut Origin)) -> Snapshot {
        let mut snapshot = store(vec![behaviour("/media/*", "media")]);
        change(&mut snapshot.cloudfront.as_mut().unwrap().distributions.as_mut().unwrap().rows[0].origins[1]);
        snapshot
    }

    const OPEN: PublicAccessBlock =
        PublicAccessBlock { ignores_public_acls: false, restricts_public_buckets: false, blocks_public_acls: false, blocks_public_policy: false };

    #[test]
    fn a_bucket_that_a_stranger_read_is_open() {
        assert_eq!(CHECK.run(&with(|_| {})), Outcome::Passed);
        let findings = found(CHECK.run(&with(|b| (b.is_read_unsigned, b.public_access) = (Ok(true), Ok(OPEN)))));
        assert_eq!((findings[0].severity, findings[0].confidence), (Severity::Low, Confidence::High));
    }

    #[test]
    fn a_public_policy_counts_unless_the_block_restricts_it() {
        let public = |b: &mut Bucket, block: PublicAccessBlock| (b.has_public_policy, b.public_access) = (Ok(true), Ok(block));
        assert!(matches!(CHECK.run(&with(|b| public(b, OPEN))), Outcome::Failed(_)));
        assert_eq!(CHECK.run(&with(|b| public(b, PublicAccessBlock { restricts_public_buckets: true, ..OPEN }))), Outcome::Passed);
    }

    #[test]
    fn a_bucket_that_was_not_read_is_no_pass() {
        let gap = || Gap::new(Section::S3Buckets, Cause::Unreadable, "denied");
        assert!(matches!(CHECK.run(&with(|b| (b.is_read_unsigned, b.public_access) = (Err(gap()), Ok(OPEN)))), Outcome::Unknown(_)));
        // A block that ignores lists and restricts policies leaves no way in.
        assert_eq!(CHECK.run(&with(|b| b.is_read_unsigned = Err(gap()))), Outcome::Passed);
        let mut none = with(|_| {});
        none.cloudfront.as_mut().unwrap().buckets.as_mut().unwrap().rows.clear();
        assert!(matches!(CHECK.run(&none), Outcome::Unknown(_)));
    }

    #[test]
    fn clear_text_is_medium_where_shoppers_pass() {
        let http = |o: &mut Origin| o.protocol = Some("http-only".into());
        assert_eq!(found(CHECK.run(&with_origin(http)))[0].severity, Severity::Medium);
        assert_eq!(CHECK.run(&with_origin(|o| o.protocol = Some("match-viewer".into()))), Outcome::Passed);
        assert_eq!(CHECK.run(&with_origin(|o| (o.kind, o.protocol) = (OriginKind::Vpc, Some("http-only".into())))), Outcome::Passed);
        let mut files = with_origin(http);
        let default = |s: &mut Snapshot, change: fn(&mut Behaviour)| {
            change(&mut s.cloudfront.as_mut().unwrap().distributions.as_mut().unwrap().rows[0].behaviours[1]);
        };
        default(&mut files, |b| b.allowed_methods = vec!["GET".into(), "HEAD".into()]);
        let quiet = found(CHECK.run(&files)).remove(0);
        assert!(quiet.severity == Severity::Low && quiet.observed.contains("files only"));
        default(&mut files, |b| b.caching = Caching::LegacyUnread { gap: Gap::new(Section::CloudFrontDistributions, Cause::Unreadable, "a word") });
        let unread = found(CHECK.run(&files)).remove(0);
        assert!(unread.severity == Severity::Low && unread.observed.contains("is not known"), "{}", unread.observed);
    }

    #[test]
    fn a_protocol_that_is_not_known_is_no_pass() {
        let with = |protocol: Option<&str>| with_origin(|o| o.protocol = protocol.map(Into::into));
        assert_eq!(CHECK.run(&with(Some("https-only"))), Outcome::Passed);
        assert!(matches!(CHECK.run(&with(Some("https-first"))), Outcome::Unknown(gap) if gap.detail.contains("https-first")));
        assert!(matches!(CHECK.run(&with(None)), Outcome::Unknown(_)));
    }

    #[test]
    fn a_website_endpoint_and_an_unused_origin_are_left_alone() {
        let mut snapshot = with(|b| (b.is_read_unsigned, b.public_access) = (Ok(true), Ok(OPEN)));
        let distribution = &mut snapshot.cloudfront.as_mut().unwrap().distributions.as_mut().unwrap().rows[0];
        distribution.origins[0] = origin("media", OriginKind::S3Website);
        assert_eq!(CHECK.run(&snapshot), Outcome::Passed);
        let mut unused = with(|b| (b.is_read_unsigned, b.public_access) = (Ok(true), Ok(OPEN)));
        unused.cloudfront.as_mut().unwrap().distributions.as_mut().unwrap().rows[0].behaviours.remove(0);
        assert_eq!(CHECK.run(&unused), Outcome::Passed);
    }
}
