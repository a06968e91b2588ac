//! What the CloudFront checks share: whether they apply, which behaviours answer files that are the same for every shopper, and the
//! remedies that change a behaviour.

mod files;
mod hit_ratio;
mod policies;
mod remedies;

#[cfg(test)]
pub(crate) mod fixtures;

use crate::checks::http::{Edge, answers, edge};
use crate::checks::{Applies, Check};
use crate::evidence::cloudfront::{Distribution, DistributionMetrics};
use crate::evidence::storefront::Target;
use crate::evidence::{Cause, Gap, Listed, Section, Snapshot};
use crate::finding::{Finding, Severity};

pub use files::{Files, answering_files, is_file_pattern, is_image_optimizer};
pub use hit_ratio::{hit_rate, rate_of, ratio_evidence, replaces_cloudflare, subscribe, uncovered_share};
pub use policies::{
    CACHING_DISABLED, CACHING_OPTIMIZED, VISITOR_COOKIE, VISITOR_HEADERS, as_legacy_sends, images_policy, is_server, new_policy, new_request_policy,
    pages_of, pages_policy, policy_json, whole_request,
};
pub use remedies::{Change, changed, chosen, console, quoted, saved, undo};

/// What [`applies`] reads beside CloudFront itself.
pub const APPLIES_USES: [Section; 4] = [Section::CdnZone, Section::StorefrontPages, Section::StorefrontAssets, Section::StorefrontMedia];

/// CloudFront checks are for stores that have set it up, and not told where its own headers show it and nobody has.
///
/// # Errors
/// The gap of CloudFront, with the way to close it where the storefront's answers come from there.
pub fn applies(snapshot: &Snapshot) -> Result<Applies, Gap> {
    let gap = match &snapshot.cloudfront {
        Ok(_) => return Ok(Applies::Yes),
        Err(gap) if gap.cause != Cause::NotConfigured => return Err(gap.clone()),
        Err(gap) => gap.clone(),
    };
    let answered = targets(snapshot);
    if answered.iter().any(|t| answers(t).any(|(_, a)| edge(a) == Some(Edge::CloudFront))) {
        let remedy = "medusa-advisor audit --cloudfront ID, with AWS_PROFILE set (or the CDN step of the Connect page)".to_owned();
        let detail = "The storefront or its media come from CloudFront, and no distribution was given, so its settings were not read.";
        return Err(Gap::new(Section::CloudFront, Cause::Absent { feature: "a CloudFront distribution".to_owned(), remedy }, detail));
    }
    let is_seen = answered.iter().any(|t| answers(t).next().is_some());
    match (is_seen, snapshot.cloudflare().is_ok_and(|c| c.zone().is_ok())) {
        (true, _) => Ok(Applies::No("neither the storefront nor its media come from CloudFront".to_owned())),
        (false, true) => Ok(Applies::No("the store's CDN is Cloudflare; CloudFront is not set up".to_owned())),
        (false, false) => Err(gap),
    }
}

fn targets(snapshot: &Snapshot) -> Vec<&Target> {
    let Ok(shop) = snapshot.shop() else { return Vec::new() };
    [shop.pages(), shop.assets(), shop.media()].into_iter().flatten().flatten().collect()
}

/// The distributions that answer; a disabled one serves nobody.
pub fn enabled(listed: &Listed<Distribution>) -> impl Iterator<Item = &Distribution> {
    listed.rows.iter().filter(|d| d.is_enabled)
}

/// Findings as they are; without any, what was not read decides: a pass needs all of it.
///
/// # Errors
/// The first gap, or that distributions were left out.
pub fn settled(mut findings: Vec<Finding>, unread: Option<Gap>, listed: &Listed<Distribution>) -> Result<Vec<Finding>, Gap> {
    findings.sort_by(|a, b| (b.severity, &a.subject).cmp(&(a.severity, &b.subject)));
    if !findings.is_empty() {
        return Ok(findings);
    }
    if let Some(gap) = unread {
        return Err(gap);
    }
    if listed.is_whole() {
        return Ok(findings);
    }
    let have = listed.rows.len() as u64;
    let detail = format!("{have} of the store's distributions were read, and the others may have the fault.");
    let cause = Cause::TooFew { have, need: have + listed.cut.unwrap_or(1), what: "distributions".into() };
    Err(Gap::new(Section::CloudFrontDistributions, cause, detail))
}

/// CloudWatch's figures of a distribution, where they were read.
pub fn metrics_of<'a>(snapshot: &'a Snapshot, distribution: &str) -> Option<&'a DistributionMetrics> {
    snapshot.cloudfront.as_ref().ok()?.metrics.as_ref().ok()?.iter().find(|m| m.distribution == distribution)
}

/// Share (0…1) of a distribution's requests that reach the origin; `None` where its hit rate is not known.
pub fn miss_share(snapshot: &Snapshot, distribution: &str) -> Option<f64> {
    metrics_of(snapshot, distribution).and_then(hit_ratio::rate_of).map(|r| 1.0 - r.rate())
}

/// Files are most of a storefront's requests: a page of the starter asks for some forty of them.
const FILES_SHARE_BY_RULE: f64 = 0.25;

/// What files that are not shared at the edge cost: as measured, or by rule; with the reason for the confidence.
pub fn cost_of_files(snapshot: &Snapshot, distribution: &str) -> (f64, Severity, &'static str) {
    match miss_share(snapshot, distribution) {
        Some(share) => (share, Severity::from_share(share), "read from the distribution's configuration; the share from CloudWatch"),
        None => {
            let because = "read from the distribution's configuration; how many requests it costs is not measured";
            (FILES_SHARE_BY_RULE, Severity::from_share(FILES_SHARE_BY_RULE), because)
        }
    }
}

/// "E2QWRUHAPOMQZL /_next/static/*", stable between runs.
pub fn subject_name(distribution: &Distribution, pattern: &str) -> String {
    format!("{} {pattern}", distribution.id)
}

/// "d111.cloudfront.net (shop.example.com)".
pub fn title(distribution: &Distribution) -> String {
    match distribution.aliases.first() {
        Some(alias) => format!("{} ({alias})", distribution.id),
        None => format!("{} ({})", distribution.id, distribution.domain),
    }
}

/// Ids of these checks begin so; for tests over all of them.
pub fn is_one(check: &Check) -> bool {
    check.needs.iter().any(|s| (Section::CloudFront..=Section::S3Buckets).contains(s))
}

#[cfg(test)]
mod tests {
    use super::fixtures::{behaviour, store};
    use super::*;
    use crate::checks::http::fixtures::{shop, target};
    use crate::checks::{cdn, registry};
    use crate::evidence::cloudfront::Caching;
    use crate::evidence::storefront::PathClass;
    use crate::finding::Outcome;

    #[test]
    fn needs_and_uses_are_exact_on_a_store_behind_cloudfront() {
        for base in [fixtures::healthy(), fixtures::faulty()] {
            for check in registry::ALL.iter().filter(|c| is_one(c)) {
                let before = check.run(&base);
                assert!(!matches!(before, Outcome::Unknown(_)), "{}: {before:?}", check.id);
                for section in Section::ALL {
                    let mut without = base.clone();
                    without.withhold(section, Gap::new(section, Cause::Unreadable, "withheld"));
                    let after = check.run(&without);
                    let is_needed = check.needs.contains(&section) || section == Section::CloudFront;
                    let whole = |s: &Section| match s.layer() {
                        crate::evidence::Layer::Postgres => Section::Postgres,
                        _ if *s < Section::CloudFront => Section::Cdn,
                        _ => Section::Storefront,
                    };
                    let is_used = check.uses.contains(&section) || check.uses.iter().any(|u| whole(u) == section);
                    match (is_needed, is_used) {
                        (true, _) => assert!(matches!(after, Outcome::Unknown(_)), "{} passes without {}", check.id, section.name()),
                        (_, true) => {}
                        _ => assert_eq!(after, before, "{} changes without {}", check.id, section.name()),
                    }
                }
            }
        }
    }

    #[test]
    fn a_healthy_store_is_quiet() {
        for check in registry::ALL.iter().filter(|c| is_one(c)) {
            assert_eq!(check.run(&fixtures::healthy()), Outcome::Passed, "{}", check.id);
        }
    }

    #[test]
    fn a_store_elsewhere_is_left_alone_and_one_behind_cloudfront_is_told() {
        let run = |snapshot: &Snapshot| cdn::caching_disabled_behavior::CHECK.run(snapshot);
        let plain = shop(vec![target(PathClass::Home, "https://shop.example.com/", &[], &[])], vec![], vec![]);
        assert!(matches!(run(&plain), Outcome::NotApplicable(_)));
        let headers = [("x-amz-cf-pop", "FRA56")];
        let behind = shop(vec![target(PathClass::Home, "https://shop.example.com/", &headers, &headers)], vec![], vec![]);
        let Outcome::Unknown(gap) = run(&behind) else { panic!("CloudFront was seen") };
        assert!(gap.cause.remedy().is_some());
        let mut nothing = plain;
        nothing.withhold(Section::Storefront, Gap::not_configured(Section::Storefront));
        assert!(matches!(run(&nothing), Outcome::Unknown(_)));
    }

    #[test]
    fn a_policy_that_was_not_understood_is_not_passed() {
        let mut by_policy = behaviour("/_next/static/*", "storefront");
        by_policy.caching = Caching::Policy { id: "p".into(), policy: Err(fixtures::unread()) };
        for unread in [by_policy, fixtures::with_unread(behaviour("/_next/static/*", "storefront"))] {
            for check in [&cdn::caching_disabled_behavior::CHECK, &cdn::forwards_everything::CHECK] {
                let Outcome::Unknown(gap) = check.run(&store(vec![unread.clone()])) else { panic!("{} passes", check.id) };
                assert!(gap.detail.contains("allButPersonal"), "{}", gap.detail);
            }
        }
    }

    #[test]
    fn distributions_left_out_are_not_passed() {
        let mut snapshot = store(vec![behaviour("/_next/static/*", "storefront")]);
        assert_eq!(cdn::caching_disabled_behavior::CHECK.run(&snapshot), Outcome::Passed);
        snapshot.cloudfront.as_mut().unwrap().distributions.as_mut().unwrap().cut = Some(2);
        assert!(matches!(cdn::caching_disabled_behavior::CHECK.run(&snapshot), Outcome::Unknown(_)));
    }
}
