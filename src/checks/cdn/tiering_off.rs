//! Every edge location asks the origin for itself.

use crate::checks::edge::remedy;
use crate::checks::measures::{REQUESTS_MIN, cdn_hit_ratio_of_all};
use crate::checks::{Applies, Check};
use crate::evidence::cdn::Analytics;
use crate::evidence::{Gap, Layer, Section, Snapshot};
use crate::finding::{Basis, Confidence, Cost, Effort, Evidence, Finding, Gain, Resource, Severity, Subject};
use crate::text;

pub static CHECK: Check = Check {
    id: "cdn-tiering-off",
    layer: Layer::Cdn,
    title: "Tiered caching is off",
    passed: "Tiered caching is on.",
    why: "Cloudflare answers from hundreds of places. Without tiers each of them fetches a file from the store for itself; with them they ask one large cache \
          near the origin first, and the store is asked once.",
    remedy: "Turn Smart Tiered Cache on: it is part of every plan.",
    method: "Reads the zone: fires when tiered caching is off and the plan allows it. The share is that of the requests which missed, by the analytics of the \
             last day; without them the finding is Low.",
    effort: Effort::Minutes,
    references: &["https://developers.cloudflare.com/cache/how-to/tiered-cache/"],
    needs: &[Section::CdnTieredCache],
    uses: &[Section::CdnAnalytics],
    symptom_of: &[],
    applies_to,
    evaluate,
};

/// Of the misses, those that a tier answers: a cautious third; no measure of this store.
const SPARED_BY_RULE: f64 = 0.3;

fn applies_to(snapshot: &Snapshot) -> Result<Applies, Gap> {
    let tiered = snapshot.cloudflare()?.tiered_cache()?;
    let is_lacking = !tiered.is_on && !tiered.is_editable;
    Ok(if is_lacking { Applies::No("the plan does not have tiered caching".to_owned()) } else { Applies::Yes })
}

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let zone = snapshot.cloudflare()?;
    if zone.tiered_cache()?.is_on {
        return Ok(Vec::new());
    }
    let measured = zone.analytics().ok().and_then(missed);
    let (severity, share, confidence, because) = match measured {
        Some(share) => {
            (Severity::from_share(share).min(Severity::Medium), share, Confidence::High, "read from the zone, misses counted by Cloudflare")
        }
        None => (Severity::Low, 0.0, Confidence::Medium, "read from the zone; what it costs is not counted"),
    };
    let mut evidence = vec![Evidence::text("tiered_caching", "off")];
    evidence.extend(measured.map(|share| Evidence::figure("Missed of all requests", share, "ratio", text::percent(share))));
    let spared = share * SPARED_BY_RULE;
    Ok(vec![Finding {
        subject: Subject::new("setting", "tiered_caching"),
        observed: match measured {
            Some(share) => format!("Tiered caching is off; {} of all requests missed and went to the origin.", text::percent(share)),
            None => "Tiered caching is off.".to_owned(),
        },
        step: "Turn tiered caching on".to_owned(),
        evidence,
        severity,
        confidence,
        confidence_because: because.to_owned(),
        effort: Effort::Minutes,
        cost: Cost { resource: Resource::OriginRequests, share: spared },
        gain: measured.map(|_| Gain::new(Basis::RuleOfThumb, format!("about {} requests at the origin", text::minus_percent(spared)))),
        averts: None,
        remedies: vec![remedy::tiered_cache()],
        verify: "A day later, misses in the analytics have fallen; Caching → Tiered Cache shows Smart.".to_owned(),
        touches: vec!["traffic:cdn".to_owned()],
    }])
}

/// Share of all requests that the cache looked up in vain.
fn missed(analytics: &Analytics) -> Option<f64> {
    let of = cdn_hit_ratio_of_all(analytics).of;
    let missed: u64 = analytics.by_status.iter().filter(|s| matches!(s.status.as_str(), "miss" | "expired")).map(|s| s.requests).sum();
    (of >= REQUESTS_MIN).then(|| missed as f64 / of as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::edge::fixtures::{analytics, store, zone_of};
    use crate::checks::http::fixtures::found;
    use crate::evidence::cdn::TieredCache;
    use crate::finding::Outcome;

    fn with(is_on: bool, is_editable: bool, statuses: &[(&str, u64)]) -> Outcome {
        let mut zone = zone_of(vec![]);
        zone.tiered_cache = Ok(TieredCache { is_on, is_smart: None, is_editable });
        zone.analytics = Ok(analytics(statuses, &[]));
        CHECK.run(&store(zone))
    }

    #[test]
    fn off_fires_on_passes_not_on_the_plan_does_not_apply() {
        assert_eq!(with(true, true, &[]), Outcome::Passed);
        assert!(matches!(with(false, false, &[]), Outcome::NotApplicable(_)));
        assert_eq!(found(with(false, true, &[("miss", 499)]))[0].severity, Severity::Low);
    }

    #[test]
    fn misses_weigh() {
        assert_eq!(found(with(false, true, &[("hit", 951), ("miss", 49)]))[0].severity, Severity::Low);
        assert_eq!(found(with(false, true, &[("hit", 950), ("miss", 50)]))[0].severity, Severity::Medium);
        assert_eq!(found(with(false, true, &[("hit", 1), ("expired", 999)]))[0].severity, Severity::Medium);
    }
}
