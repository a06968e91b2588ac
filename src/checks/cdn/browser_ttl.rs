//! Browsers are told to keep catalogue pages for hours: a changed price does not reach those who have been there.

use crate::checks::edge::paths::{PATHS_USES, RealPath, catalogue_pages, lifetime_not_seen, unclear};
use crate::checks::edge::{BrowserTtl, Decision, Stored, decide, remedy};
use crate::checks::http::CacheControl;
use crate::checks::{Check, always};
use crate::evidence::cdn::Cloudflare;
use crate::evidence::storefront::Answer;
use crate::evidence::{Gap, Layer, Section, Snapshot};
use crate::finding::{Cell, Confidence, Cost, Effort, Evidence, Finding, Resource, Severity, Subject};
use crate::text;

pub static CHECK: Check = Check {
    id: "cdn-browser-ttl",
    layer: Layer::Cdn,
    title: "Browsers keep catalogue pages for hours",
    passed: "No catalogue page that the edge keeps is kept by browsers for longer than two hours.",
    why: "What lies in a shopper's browser cannot be purged. A page kept there for hours shows yesterday's price and stock, and the cart then says otherwise. \
          Cloudflare's default of four hours raises whatever shorter time the storefront asks for.",
    remedy: "Let the origin's headers decide in the browser, or tell browsers thirty minutes for catalogue pages.",
    method: "For product, collection and category pages seen that are eligible for the cache without cookies: the browser's lifetime by cache rule, page rule or \
             the zone's browser_cache_ttl. Fires above 7,200 s, four times the guide's 1,800 s. A page that was not asked \
             goes by one of its sort that was; without one nothing is told of it. Files are not judged: they are meant to stay.",
    effort: Effort::Minutes,
    references: &["https://developers.cloudflare.com/cache/how-to/edge-browser-cache-ttl/"],
    needs: &[Section::CdnCacheRules, Section::CdnPageRules, Section::CdnSettings],
    uses: &PATHS_USES,
    symptom_of: &[],
    applies_to: always,
    evaluate,
};

/// Seconds: four times the guide's thirty minutes.
const TTL_S_MAX: i64 = 7_200;
const PATHS_SHOWN: usize = 20;

struct Judged<'s> {
    path: RealPath<'s>,
    decision: Decision,
    /// What browsers are told, and by whom; `None` within: nothing. `None`: left to the storefront, whose word was not seen.
    told: Option<Option<(i64, &'static str)>>,
}

struct Long<'j> {
    path: &'j RealPath<'j>,
    seconds: i64,
    by: &'static str,
    decision: &'j Decision,
}

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let zone = snapshot.cloudflare()?;
    zone.cache_rules()?;
    zone.page_rules()?;
    zone.settings()?;
    let pages = catalogue_pages(snapshot, zone)?;
    let unclear = unclear(zone, &pages);
    let judged: Vec<Judged> = pages.into_iter().filter_map(|p| judged(zone, p)).collect();
    let long: Vec<Long> = judged.iter().filter_map(long).collect();
    match (long.iter().max_by_key(|l| l.seconds), unclear.or_else(|| not_seen(snapshot, &judged))) {
        (Some(worst), _) => Ok(vec![finding(&long, worst)]),
        (None, Some(gap)) => Err(gap),
        (None, None) => Ok(Vec::new()),
    }
}

/// A page that the cache may keep: lifetimes in the browser are set on those alone.
fn judged<'s>(zone: &Cloudflare, path: RealPath<'s>) -> Option<Judged<'s>> {
    let request = path.request();
    let decision = decide(zone, &request);
    if !decision.fate.is_eligible() {
        return None;
    }
    let is_kept = !matches!(path.stored(zone, &request), Some(Stored::NotKept { .. }));
    let told = if is_kept { told(decision.browser_ttl, path.answer.and_then(asked)) } else { Some(None) };
    Some(Judged { path, decision, told })
}

fn told(by_zone: Option<BrowserTtl>, asked: Option<i64>) -> Option<Option<(i64, &'static str)>> {
    let setting = "the zone's browser_cache_ttl";
    match by_zone? {
        BrowserTtl::Override(seconds) => Some(Some((seconds, "a rule"))),
        // Too long already, whatever the storefront asks for.
        BrowserTtl::AtLeast(seconds) if seconds > TTL_S_MAX => Some(Some((seconds.max(asked.unwrap_or(seconds)), setting))),
        BrowserTtl::AtLeast(seconds) => asked.map(|asked| Some((seconds.max(asked), setting))),
        BrowserTtl::RespectOrigin => asked.map(|asked| Some((asked, "the storefront's max-age"))),
        BrowserTtl::Bypass => Some(None),
    }
}

/// The lifetime that the answer gives browsers, 0 for none; `None` where it is in Expires, which is not read here.
fn asked(answer: &Answer) -> Option<i64> {
    match CacheControl::of(answer).seconds("max-age") {
        Some(seconds) => Some(i64::try_from(seconds).unwrap_or(i64::MAX)),
        None => answer.header("expires").is_none().then_some(0),
    }
}

fn long<'j>(judged: &'j Judged<'j>) -> Option<Long<'j>> {
    let (seconds, by) = judged.told.flatten()?;
    (seconds > TTL_S_MAX).then_some(Long { path: &judged.path, seconds, by, decision: &judged.decision })
}

/// Why it is not known what browsers are told of a page, where none of its sort that the zone treats alike was seen.
fn not_seen(snapshot: &Snapshot, judged: &[Judged]) -> Option<Gap> {
    let speaks_for = |a: &Judged, b: &Judged| {
        let is_alike = a.decision.browser_ttl.is_some() && a.decision.browser_ttl == b.decision.browser_ttl;
        a.told.is_some() && is_alike && a.path.sort() == b.path.sort()
    };
    let page = judged.iter().find(|j| j.told.is_none() && !judged.iter().any(|other| speaks_for(other, j)))?;
    let why = match (page.decision.browser_ttl, page.path.answer) {
        (None, _) => Some("what the zone tells browsers hangs on what cannot be told from outside"),
        (_, Some(_)) => Some("the lifetime is in Expires, which is not read here"),
        (_, None) => None,
    };
    Some(lifetime_not_seen(snapshot, &page.path, why))
}

fn finding(long: &[Long], worst: &Long) -> Finding {
    let rows = long.iter().take(PATHS_SHOWN).map(|l| {
        vec![Cell::text(format!("{}{}", l.path.host, l.path.path)), Cell::number(l.seconds as f64, text::seconds(l.seconds as f64)), Cell::text(l.by)]
    });
    let mut remedies = vec![remedy::setting(
        "Let the origin decide in the browser",
        "Caching → Configuration → Browser Cache TTL → Respect Existing Headers",
        "browser_cache_ttl",
        "0",
        "Low: files keep the lifetime that the storefront's build sends; files that send none are asked for more often.",
        "Set the value back.",
    )];
    remedies.extend(remedy::remedies(
        "Or thirty minutes for catalogue pages alone",
        &[remedy::catalogue_pages(), remedy::bypass_shoppers()],
        "Low: the edge follows the storefront's lifetime; shoppers with a cart and personal pages pass.",
    ));
    Finding {
        subject: Subject::new("zone", "browser lifetime of catalogue pages"),
        observed: format!(
            "Browsers are told to keep {} for {} by {}; the guide asks for {}.",
            worst.path.path,
            text::seconds(worst.seconds as f64),
            worst.by,
            text::seconds(remedy::BROWSER_TTL_S as f64)
        ),
        step: "Shorten the browser's lifetime of catalogue pages".to_owned(),
        evidence: vec![
            Evidence::table("Lifetimes in the browser", &["path", "kept", "by"], rows.collect()),
            Evidence::Code { label: "How the zone decides".to_owned(), language: "text".to_owned(), text: worst.decision.trace.join("\n") },
        ],
        severity: Severity::Medium,
        confidence: Confidence::High,
        confidence_because: "worked out from the zone's rules and settings".to_owned(),
        effort: Effort::Minutes,
        cost: Cost { resource: Resource::Risk, share: 0.1 },
        gain: None,
        averts: Some("old prices in browsers".to_owned()),
        remedies,
        verify: format!("Run the audit again; curl -sI shows a max-age of at most {} s on these pages.", TTL_S_MAX),
        touches: long.iter().take(PATHS_SHOWN).map(|l| format!("path:{}", l.path.path)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::edge::fixtures::{analytics, eligible, set, zone_of};
    use crate::checks::http::fixtures::{found, shop, target};
    use crate::evidence::cdn::CacheRule;
    use crate::evidence::storefront::{PathClass, Target};
    use crate::finding::Outcome;

    fn run(rule: CacheRule, zone_ttl: &str, headers: &[(&str, &str)]) -> Outcome {
        let page = target(PathClass::Product, "https://shop.example.com/us/products/x", headers, headers);
        let mut snapshot = shop(vec![page], vec![], vec![]);
        let mut zone = zone_of(vec![rule]);
        zone.settings = Ok(vec![set("browser_cache_ttl", zone_ttl)]);
        snapshot.cdn = Ok(zone);
        CHECK.run(&snapshot)
    }

    fn rule(mode: &str, seconds: Option<i64>) -> CacheRule {
        CacheRule { browser_ttl_mode: Some(mode.into()), browser_ttl_s: seconds, ..eligible("true", Some(14_400)) }
    }

    #[test]
    fn two_hours_are_the_boundary_whoever_sets_them() {
        assert!(matches!(run(rule("override_origin", Some(7_201)), "0", &[]), Outcome::Failed(_)));
        assert_eq!(run(rule("override_origin", Some(7_200)), "0", &[]), Outcome::Passed);
        assert!(found(run(eligible("true", Some(60)), "14400", &[]))[0].observed.contains("browser_cache_ttl"));
        assert_eq!(run(eligible("true", Some(60)), "7200", &[]), Outcome::Passed);
        assert!(matches!(run(rule("respect_origin", None), "14400", &[("cache-control", "max-age=7201")]), Outcome::Failed(_)));
        assert_eq!(run(rule("respect_origin", None), "14400", &[("cache-control", "max-age=7200")]), Outcome::Passed);
    }

    /// Nobody asked the page that analytics name: what the storefront tells browsers is not known.
    #[test]
    fn a_word_that_was_not_seen_is_no_pass() {
        let with = |pages: Vec<Target>, rule: CacheRule, zone_ttl: &str| {
            let mut snapshot = shop(pages, vec![], vec![]);
            let mut zone = zone_of(vec![rule]);
            zone.settings = Ok(vec![set("browser_cache_ttl", zone_ttl)]);
            zone.analytics = Ok(analytics(&[], &[("shop.example.com", "/us/products/y", "miss", 9)]));
            snapshot.cdn = Ok(zone);
            CHECK.run(&snapshot)
        };
        let product =
            |name: &str, value: &str| vec![target(PathClass::Product, "https://shop.example.com/us/products/x", &[(name, value)], &[(name, value)])];
        let unseen = |ttl: &str| with(vec![], eligible("true", Some(14_400)), ttl);
        assert!(matches!(unseen("0"), Outcome::Unknown(_)));
        assert!(matches!(unseen("7200"), Outcome::Unknown(_)));
        assert!(matches!(unseen("14400"), Outcome::Failed(_)), "too long whatever the storefront says");
        assert_eq!(with(vec![], rule("override_origin", Some(1_800)), "0"), Outcome::Passed, "the rule says how long");
        assert_eq!(with(product("cache-control", "max-age=60"), eligible("true", Some(14_400)), "0"), Outcome::Passed);
        assert_eq!(with(product("cache-control", "no-store"), eligible("true", None), "0"), Outcome::Passed);
        assert!(matches!(with(product("expires", "Thu, 01 Jan 2037 00:00:00 GMT"), eligible("true", None), "0"), Outcome::Unknown(_)));
    }

    #[test]
    fn pages_that_are_not_kept_are_left_as_they_are() {
        assert_eq!(run(eligible("false", None), "14400", &[]), Outcome::Passed);
        assert_eq!(run(eligible("true", None), "14400", &[("cache-control", "no-store")]), Outcome::Passed);
    }
}
