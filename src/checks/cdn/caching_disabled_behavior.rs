//! A CloudFront behaviour passes every request for shared files on to the origin.

use crate::checks::edge_cloudfront::{
    APPLIES_USES, Change, Files, answering_files, applies, changed, console, cost_of_files, settled, subject_name, title,
};
use crate::checks::{Check, joined};
use crate::evidence::cloudfront::CachePolicy;
use crate::evidence::{Gap, Layer, Section, Snapshot};
use crate::finding::{Cell, Confidence, Cost, Effort, Evidence, Finding, Resource, Subject};
use crate::text;

const USES: [Section; 6] = joined(APPLIES_USES, [Section::CloudFrontMetrics, Section::S3Buckets]);

pub static CHECK: Check = Check {
    id: "cdn-caching-disabled-behavior",
    layer: Layer::Cdn,
    title: "A CloudFront behaviour keeps no files at the edge",
    passed: "Every CloudFront behaviour that answers bundles, images or media may keep them.",
    why: "CloudFront answers from its edge only what a behaviour lets it keep. Where caching is disabled for bundles, images or media, each of them \
          travels to the store's own machines or bucket for every shopper: slower pages, and the origin does the CDN's work.",
    remedy: "Give these behaviours the managed policy CachingOptimized; leave pages, carts and the API as they are.",
    method: "Follows the paths of files through the behaviours as CloudFront does (first matching pattern, the default one last): files that the \
             storefront's probes found, what the bucket's sample holds, and patterns that name files. Fires where the longest time to live is 0 s. \
             Behaviours that take pages too, the default one as a rule, are judged for /_next/static, /_next/image, /static and /uploads only, and \
             stay as they are: narrower ones go before them. Severity by the share of requests that reach the origin, where CloudWatch tells it.",
    effort: Effort::Minutes,
    references: &[
        "https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/using-managed-cache-policies.html",
        "https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/DownloadDistValuesCacheBehavior.html",
    ],
    needs: &[Section::CloudFrontDistributions],
    uses: &USES,
    symptom_of: &[],
    applies_to: applies,
    evaluate,
};

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let listed = snapshot.cloudfront()?.distributions()?;
    let (mut findings, mut unread) = (Vec::new(), None);
    for files in answering_files(snapshot)? {
        match files.behaviour.caching.settings() {
            Ok(settings) if settings.max_ttl_s == 0 => findings.push(finding(snapshot, &files, settings)),
            Ok(_) => {}
            Err(gap) => unread = unread.or(Some(gap)),
        }
    }
    settled(findings, unread, listed)
}

fn finding(snapshot: &Snapshot, files: &Files<'_>, settings: &CachePolicy) -> Finding {
    let (distribution, pattern) = (files.distribution, &files.behaviour.path_pattern);
    let (share, severity, because) = cost_of_files(snapshot, &distribution.id);
    let changes = Change::all(files, settings);
    let which = if files.behaviour.is_default { "The default behaviour".to_owned() } else { format!("The behaviour for {pattern}") };
    let mut confidence = Confidence::High;
    if files.behaviour.has_functions {
        // A function at the edge may answer some of these paths itself.
        confidence = Confidence::Medium;
    }
    Finding {
        subject: Subject::new("behaviour", subject_name(distribution, pattern)),
        observed: format!(
            "{which} of {} keeps nothing: {} allows at most 0 s. {} to the origin through it.",
            title(distribution),
            settings.name,
            match files.paths.len() {
                1 => format!("{} goes", files.paths[0]),
                n => format!("{} and {} go", files.paths[0], text::plural((n - 1) as u64, "other kind of file", "other kinds of files")),
            }
        ),
        step: format!("Let CloudFront keep the files under {}", files.patterns().join(", ")),
        evidence: vec![
            Evidence::table("Files that lead here", &["path"], files.paths.iter().map(|p| vec![Cell::text(p.clone())]).collect()),
            Evidence::figure("Share of requests that reach the origin", share, "ratio", text::percent(share)),
        ],
        severity,
        confidence,
        confidence_because: because.to_owned(),
        effort: Effort::Minutes,
        cost: Cost { resource: Resource::OriginRequests, share },
        gain: None,
        averts: None,
        remedies: vec![changed(&distribution.id, &changes), console(&distribution.id, &changes)],
        verify: format!("The second request for {} answers x-cache: Hit from cloudfront; this audit finds a time to live above 0 s.", files.paths[0]),
        touches: vec!["traffic:cdn".to_owned(), format!("path:{}", files.patterns().first().unwrap_or(pattern))],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::edge_cloudfront::fixtures::{behaviour, bucket, head, pages, policy, store, with_legacy, with_policy};
    use crate::checks::http::fixtures::{found, target};
    use crate::evidence::Listed;
    use crate::evidence::cloudfront::Names;
    use crate::evidence::storefront::PathClass;
    use crate::finding::{Outcome, Severity};

    fn ttl(max: i64) -> CachePolicy {
        policy("mine", [0, 0, max], Names::None)
    }

    #[test]
    fn one_second_is_enough_and_none_is_not() {
        let with = |max| store(vec![with_policy(behaviour("/_next/static/*", "storefront"), ttl(max))]);
        assert_eq!(CHECK.run(&with(1)), Outcome::Passed);
        let findings = found(CHECK.run(&with(0)));
        assert_eq!(findings[0].subject.name, "E1 /_next/static/*");
        // CloudWatch says that 91 % are hits.
        assert_eq!(findings[0].severity, Severity::Medium);
        assert!(findings[0].remedies[0].text.contains("select(.PathPattern == $pattern)"));
    }

    #[test]
    fn legacy_settings_may_disable_it_too() {
        assert!(matches!(CHECK.run(&store(vec![with_legacy(behaviour("/media/*", "media"), ttl(0))])), Outcome::Failed(_)));
    }

    #[test]
    fn pages_carts_and_the_api_may_go_to_the_origin() {
        let personal = ["/store/*", "/api/*", "/*/cart*", "/_next/data/*"];
        let mut behaviours: Vec<_> = personal.iter().map(|p| with_policy(behaviour(p, "storefront"), ttl(0))).collect();
        behaviours.insert(0, behaviour("/_next/static/*", "storefront"));
        assert_eq!(CHECK.run(&store(behaviours)), Outcome::Passed);
    }

    #[test]
    fn bundles_that_fall_through_to_the_default_behaviour_get_one_of_their_own() {
        let mut snapshot = store(vec![behaviour("/media/*", "media")]);
        let asset = |path: &str| target(PathClass::HashedAsset, &format!("https://shop.example.com{path}"), &[], &[]);
        let shop = snapshot.storefront.as_mut().unwrap();
        shop.assets = Ok(vec![asset("/_next/static/chunks/a-0123456789.js"), asset("/favicon.ico")]);
        let findings = found(CHECK.run(&snapshot));
        assert_eq!((findings.len(), findings[0].subject.name.as_str()), (1, "E1 *"));
        let text = &findings[0].remedies[0].text;
        assert!(text.contains("PathPattern: $pattern") && text.contains("'/_next/static/*'") && !text.contains("favicon"), "{text}");
        // Where pages have a behaviour of their own, as below a basePath, it stays as it is.
        let mut below = store(vec![with_policy(behaviour("/shop/*", "storefront"), ttl(0))]);
        below.storefront.as_mut().unwrap().assets = Ok(vec![asset("/shop/_next/static/a.js"), asset("/shop/_next/image")]);
        let text = found(CHECK.run(&below))[0].remedies[0].text.clone();
        assert!(text.contains("--arg pattern '/shop/_next/static/*' --arg before '/shop/*'") && text.contains("--arg policy \"$IMAGES\""), "{text}");
        assert!(!text.contains("select(.PathPattern"), "{text}");
        // Another host's bundles are none of this distribution's.
        let mut elsewhere = snapshot.clone();
        elsewhere.cloudfront.as_mut().unwrap().distributions.as_mut().unwrap().rows[0].aliases = vec!["media.example.com".into()];
        assert_eq!(CHECK.run(&elsewhere), Outcome::Passed);
    }

    #[test]
    fn a_bucket_is_judged_by_what_it_holds() {
        let mut only = pages();
        only.origin_id = "media".into();
        let mut snapshot = store(vec![only]);
        assert!(matches!(CHECK.run(&snapshot), Outcome::Failed(_)));
        snapshot.cloudfront.as_mut().unwrap().buckets = Ok(Listed::whole(vec![bucket(vec![head("*.html", None)])]));
        assert!(matches!(CHECK.run(&snapshot), Outcome::Unknown(_)), "an application's pages are no files");
    }

    #[test]
    fn a_disabled_distribution_serves_nobody() {
        let mut snapshot = store(vec![with_policy(behaviour("/_next/static/*", "storefront"), ttl(0))]);
        snapshot.cloudfront.as_mut().unwrap().distributions.as_mut().unwrap().rows[0].is_enabled = false;
        assert!(matches!(CHECK.run(&snapshot), Outcome::Unknown(_)));
    }

    #[test]
    fn a_policy_that_could_not_be_read_is_no_pass() {
        let mut snapshot = store(vec![behaviour("/_next/static/*", "storefront")]);
        let gap = Gap::new(Section::CloudFrontDistributions, crate::evidence::Cause::Unreadable, "denied");
        let rows = &mut snapshot.cloudfront.as_mut().unwrap().distributions.as_mut().unwrap().rows;
        rows[0].behaviours[0].caching = crate::evidence::cloudfront::Caching::Policy { id: "x".into(), policy: Err(gap.clone()) };
        assert_eq!(CHECK.run(&snapshot), Outcome::Unknown(gap));
    }
}
