//! `app-p95-slow`: a product or cart endpoint of the store API answers later than the target.

use crate::checks::measures::{self, TIMINGS_MIN, api_p95};
use crate::checks::{Applies, Check};
use crate::evidence::storefront::PathClass;
use crate::evidence::{Gap, Layer, Section, Snapshot};
use crate::finding::{Basis, Cell, Confidence, Cost, Effort, Evidence, Finding, Gain, Remedy, RemedyKind, Resource, Severity, Subject};
use crate::text;

/// From so many answers on the percentile is steady; below, one hiccup moves it.
const TIMINGS_SURE: u64 = 40;
/// More of the answer's time in the database than this, and the database is where to look.
const DATABASE_SHARE_MIN: f64 = 0.5;

pub static CHECK: Check = Check {
    id: "app-p95-slow",
    layer: Layer::App,
    title: "A store API endpoint answers later than the target",
    passed: "Product and cart endpoints of the store API answer within the target.",
    why: "Shoppers wait for the slowest of the answers a page needs. One answer in twenty takes longer than the P95, so on a page with several requests most \
          shoppers meet it.",
    remedy: "Find the layer that takes the time: statements in Postgres first, then what Medusa computes, then what could have been answered from a cache.",
    method: "Times repeated GET requests of the store API's product list over the window, at least 20, and of one product where the limit of requests a run has \
             room for as many, and takes the 95th percentile. Carts are never written, so cart endpoints are not timed.",
    effort: Effort::Hours,
    references: &[
        "https://docs.medusajs.com/resources/infrastructure-modules/caching",
        "https://docs.medusajs.com/learn/fundamentals/module-links/index-module",
    ],
    needs: &[Section::StoreApi],
    uses: &[Section::PgMedusa, Section::PgStatements],
    symptom_of: &[],
    applies_to,
    evaluate,
};

fn applies_to(snapshot: &Snapshot) -> Result<Applies, Gap> {
    snapshot.shop()?.api()?;
    Ok(Applies::Yes)
}

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    api_p95(snapshot)?;
    let target = snapshot.meta.targets.p95_ms_max;
    let api = snapshot.shop()?.api()?;
    let timed = api.iter().filter(|t| matches!(t.class, PathClass::ApiCatalogue | PathClass::ApiPersonal)).filter_map(measures::latency);
    let slow = timed.filter(|l| l.samples >= TIMINGS_MIN && l.p95_ms > target);
    let mut slow: Vec<measures::Latency> = slow.collect();
    slow.sort_by(|a, b| b.p95_ms.total_cmp(&a.p95_ms).then_with(|| a.endpoint.cmp(&b.endpoint)));
    // One finding: what makes the slowest slow usually makes the others slow too.
    Ok(slow.first().map(|l| finding(snapshot, l, &slow, target)).into_iter().collect())
}

fn finding(snapshot: &Snapshot, latency: &measures::Latency, slow: &[measures::Latency], target: f64) -> Finding {
    let share = 1.0 - target / latency.p95_ms;
    let mut gain = Gain::new(Basis::RuleOfThumb, format!("P95 {} → {}", text::millis(latency.p95_ms), text::millis(target)));
    gain.p95_ms = Some(latency.p95_ms - target);
    // That it is slow is measured; which layer makes it slow is not, so no finding with a proved cause may stand below it for its sake.
    let steady = if latency.samples >= TIMINGS_SURE { "over the window" } else { "only" };
    let because = format!("timed {} times {steady}; which layer takes the time is not measured", latency.samples);
    let path = latency.endpoint.trim_start_matches("GET ");
    Finding {
        subject: Subject::new("path", latency.endpoint.clone()),
        observed: format!(
            "{} took {} at the 95th percentile of {}, {} at the median; the target is {}.",
            latency.endpoint,
            text::millis(latency.p95_ms),
            text::plural(latency.samples, "answer", "answers"),
            text::millis(latency.p50_ms),
            text::millis(target)
        ),
        step: format!("Bring {} under {}", latency.endpoint, text::millis(target)),
        evidence: evidence(snapshot, slow, target),
        // Twice the target is High: half of the wait is too much, and shoppers meet it on most pages.
        severity: Severity::from_share(share * 0.5),
        confidence: Confidence::Low,
        confidence_because: because,
        effort: Effort::Hours,
        cost: Cost { resource: Resource::Latency, share },
        gain: Some(gain),
        averts: None,
        remedies: remedies(snapshot),
        verify: format!("Audit again: the P95 of {} is at most {}.", latency.endpoint, text::millis(target)),
        touches: vec![format!("path:{path}")],
    }
}

fn evidence(snapshot: &Snapshot, slow: &[measures::Latency], target: f64) -> Vec<Evidence> {
    let endpoints = slow.iter().map(|l| {
        vec![
            Cell::text(&l.endpoint),
            Cell::number(l.p50_ms, text::millis(l.p50_ms)),
            Cell::number(l.p95_ms, text::millis(l.p95_ms)),
            Cell::number(l.samples as f64, text::count(l.samples)),
        ]
    });
    let mut out = vec![
        Evidence::table("Endpoints over the target", &["Endpoint", "Median", "P95", "Answers"], endpoints.collect()),
        Evidence::figure("Target", target, "ms", text::millis(target)),
    ];
    // Statements that take half of the target by themselves: where the time goes, as far as the database tells.
    let heavy = snapshot.pg().and_then(|pg| pg.statements()).ok().map(|s| {
        let rows = s.rows.rows.iter().filter_map(|r| r.counters.window.map(|w| (r, w)));
        let mut heavy: Vec<_> = rows.filter(|(_, w)| w.calls > 0 && w.mean_ms() > target * DATABASE_SHARE_MIN).collect();
        heavy.sort_by(|(_, a), (_, b)| b.total_ms.total_cmp(&a.total_ms));
        heavy.truncate(5);
        heavy
    });
    if let Some(heavy) = heavy.filter(|h| !h.is_empty()) {
        let rows = heavy.iter().map(|(s, w)| {
            vec![
                Cell::text(text::cut(&text::one_line(&s.text), 120)),
                Cell::number(w.calls as f64, text::count(w.calls)),
                Cell::number(w.mean_ms(), text::millis(w.mean_ms())),
            ]
        });
        out.push(Evidence::table("Statements that alone take half of the target", &["Statement", "Calls", "Mean"], rows.collect()));
    }
    out
}

fn remedies(snapshot: &Snapshot) -> Vec<Remedy> {
    let config = |label: &str, text: &str, risk: &str| Remedy {
        kind: RemedyKind::MedusaConfig,
        label: label.to_owned(),
        text: text.to_owned(),
        lock: None,
        risk: risk.to_owned(),
        undo: Some("Take the lines out and deploy again.".to_owned()),
    };
    match snapshot.medusa().map(|m| m.major) {
        Ok(1) => vec![config(
            "Keep prices longer in the cache",
            "// medusa-config.js\nmodules: {\n  cacheService: {\n    resolve: \"@medusajs/cache-redis\",\n    options: { redisUrl: process.env.CACHE_REDIS_URL, ttl: 300 },\n  },\n}",
            "Prices change up to five minutes late for shoppers who saw them before.",
        )],
        _ => vec![config(
            "Answer product lists from the cache",
            "// medusa-config.ts; start with MEDUSA_FF_CACHING=true\nmodules: [\n  {\n    resolve: \"@medusajs/medusa/caching\",\n    options: {\n      providers: [\n        {\n          resolve: \"@medusajs/caching-redis\",\n          id: \"caching-redis\",\n          is_default: true,\n          options: { redisUrl: process.env.CACHE_REDIS_URL },\n        },\n      ],\n    },\n  },\n]",
            "Only repeated requests gain; any change of a product drops every cached list. Give the cache a Redis of its own.",
        )],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::fixtures::store;
    use crate::evidence::Cause;
    use crate::evidence::storefront::{Storefront, Target};
    use crate::finding::Outcome;

    fn timed(ms: f64, samples: usize) -> Snapshot {
        let mut snapshot = store(|_| {});
        let gap = || Gap::not_configured(Section::Storefront);
        snapshot.storefront = Ok(Storefront {
            storefront_url: None,
            backend_url: Some("http://api.example.com".into()),
            pages: Err(gap()),
            assets: Err(gap()),
            media: Err(gap()),
            tls: Err(gap()),
            limits_met: Vec::new(),
            resolved: Vec::new(),
            api: Ok(vec![Target {
                class: PathClass::ApiCatalogue,
                url: "http://api.example.com/store/products".into(),
                probes: Vec::new(),
                timings_ms: vec![ms; samples],
            }]),
        });
        snapshot
    }

    #[test]
    fn each_side_of_the_target() {
        assert_eq!(CHECK.run(&timed(299.0, 40)), Outcome::Passed);
        let Outcome::Failed(found) = CHECK.run(&timed(1_200.0, 40)) else { panic!("slow") };
        assert_eq!((found[0].severity, found[0].confidence), (Severity::High, Confidence::Low));
        assert!(found[0].observed.contains("GET /store/products"), "{}", found[0].observed);
    }

    #[test]
    fn an_endpoint_timed_too_seldom_hides_no_other() {
        let mut snapshot = timed(100.0, 20);
        let api = snapshot.storefront.as_mut().unwrap().api.as_mut().unwrap();
        let seldom = Target { url: "http://api.example.com/store/products/prod_1".into(), timings_ms: vec![900.0; 19], ..api[0].clone() };
        api.push(seldom);
        assert_eq!(CHECK.run(&snapshot), Outcome::Passed);
    }

    #[test]
    fn too_few_answers_tell_nothing() {
        assert!(matches!(CHECK.run(&timed(1_200.0, 19)), Outcome::Unknown(g) if matches!(g.cause, Cause::TooFew { .. })));
    }
}
