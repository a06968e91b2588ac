//! Answers and targets for the tests of the checks.

use crate::evidence::storefront::{Answer, PathClass, Probe, Storefront, Target, Variant};
use crate::evidence::{Gap, Meta, Section, Snapshot, Targets};
use crate::finding::{Finding, Outcome};

pub fn answer(headers: &[(&str, &str)]) -> Answer {
    Answer {
        status: 200,
        redirects: Vec::new(),
        protocol: "HTTP/1.1".into(),
        first_byte_ms: 10.0,
        total_ms: 12.0,
        headers: headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
        body_bytes: 5_000,
        body_cut: false,
    }
}

pub fn probe(variant: Variant, headers: &[(&str, &str)]) -> Probe {
    Probe { variant, sent: Vec::new(), answer: Ok(answer(headers)) }
}

/// A target whose First and Second answers are these.
pub fn target(class: PathClass, url: &str, first: &[(&str, &str)], second: &[(&str, &str)]) -> Target {
    Target { class, url: url.into(), probes: vec![probe(Variant::First, first), probe(Variant::Second, second)], timings_ms: Vec::new() }
}

pub fn with_cookie(mut target: Target, headers: &[(&str, &str)]) -> Target {
    target.probes.push(probe(Variant::WithCartCookie, headers));
    target
}

pub fn shop(pages: Vec<Target>, assets: Vec<Target>, api: Vec<Target>) -> Snapshot {
    let meta = Meta {
        tool_version: "0".into(),
        store: "t".into(),
        environment: "production".into(),
        taken_at: time::macros::datetime!(2026-11-23 09:30 UTC),
        window_s: 30.0,
        window_asked_s: 30.0,
        cancelled: false,
        targets: Targets::default(),
    };
    let mut snapshot = Snapshot::empty(meta);
    snapshot.storefront = Ok(Storefront {
        storefront_url: Some("https://shop.example.com".into()),
        backend_url: Some("https://api.example.com".into()),
        pages: Ok(pages),
        assets: Ok(assets),
        media: Err(Gap::not_configured(Section::StorefrontMedia)),
        api: Ok(api),
        tls: Ok(Vec::new()),
        limits_met: Vec::new(),
        resolved: Vec::new(),
    });
    snapshot
}

pub fn found(outcome: Outcome) -> Vec<Finding> {
    match outcome {
        Outcome::Failed(findings) => findings,
        other => panic!("expected findings, got {other:?}"),
    }
}
