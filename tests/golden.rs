//! Stores as stories: what every check concludes of them, in which order, and what the reports say.

use std::collections::BTreeMap;

use medusa_advisor::evidence::{Cause, Gap, Section, Snapshot};
use medusa_advisor::finding::{Outcome, Severity};
use medusa_advisor::plan::{self, Plan};
use medusa_advisor::report::{Options, Report, html, json, markdown, pdf};
use medusa_advisor::{checks, demo};

fn outcomes(snapshot: &Snapshot) -> BTreeMap<&'static str, String> {
    let words = |outcome: &Outcome| match outcome {
        Outcome::Passed => "passed".to_owned(),
        Outcome::NotApplicable(_) => "not applicable".to_owned(),
        Outcome::Failed(found) => format!("failed, {}", found.iter().map(|f| f.severity).max().unwrap_or(Severity::Info).id()),
        Outcome::Unknown(gap) => format!("unknown, {}", gap.cause.id()),
    };
    checks::run_all(snapshot, |_| true).iter().map(|j| (j.check.id, words(&j.outcome))).collect()
}

fn plan_of(snapshot: &Snapshot) -> Plan {
    plan::build(snapshot, &[], |_| true)
}

/// Every format can be rendered, says the store's name, and the JSON is valid.
fn reports_hold(snapshot: &Snapshot, plan: &Plan) -> String {
    let report = Report::build(snapshot, plan, &Options::whole(&snapshot.meta.store));
    let value: serde_json::Value = serde_json::from_str(&json::render(&report)).unwrap();
    assert_eq!(value["schema"], "medusa-advisor.report/1");
    assert_eq!(value["findings"].as_array().unwrap().len(), plan.findings.len());
    assert_eq!(value["unknown"].as_array().unwrap().len(), plan.unknown.len());
    assert!(html::render(&report).contains(&snapshot.meta.store));
    assert!(pdf::render(&report).unwrap().starts_with(b"%PDF-"));
    markdown::render(&report)
}

fn withhold(snapshot: &mut Snapshot, sections: &[Section], cause: &Cause, detail: &str) {
    for section in sections {
        snapshot.withhold(*section, Gap::new(*section, cause.clone(), detail));
    }
}

/// The recorded store: faults in every layer, the costliest first.
#[test]
fn neglected_large() {
    let snapshot = demo::snapshot();
    let got = outcomes(&snapshot);
    for id in [
        "app-p95-slow",
        "cdn-local-file-storage",
        "cdn-low-hit-ratio",
        "cdn-personal-response-cached",
        "cdn-static-not-immutable",
        "cdn-uncached-catalogue",
        "pg-commerce-index",
        "pg-duplicate-index",
        "pg-invalid-index",
        "pg-missing-index",
        "pg-unused-index",
        "pg-vacuum-lag",
        "redis-cache-without-ttl",
        "redis-eviction-breaks-queues",
        "redis-evictions",
        "redis-keys-command",
        "redis-low-hit-rate",
    ] {
        assert!(got[id].starts_with("failed"), "{id}: {}", got[id]);
    }
    assert_eq!(got["pg-connections-high"], "passed");
    let plan = plan_of(&snapshot);
    assert_eq!(plan.findings[0].check.id, "cdn-personal-response-cached", "a shopper's data shown to another outranks what only costs time");
    let text = reports_hold(&snapshot, &plan);
    for words in ["product_review(product_id)", "create index concurrently", "noeviction", "Not checked"] {
        assert!(text.contains(words), "{words} is not in the Markdown");
    }
}

/// One layer that is not set up leaves the others as they were.
#[test]
fn redis_absent() {
    let full = outcomes(&demo::snapshot());
    let mut snapshot = demo::snapshot();
    withhold(&mut snapshot, &[Section::Redis], &Cause::NotConfigured, "Redis is not set up for this store.");
    let got = outcomes(&snapshot);
    for (id, words) in &got {
        if id.starts_with("redis-") {
            assert_eq!(words, "unknown, not_configured", "{id}");
        } else {
            assert_eq!(words, &full[id], "{id}");
        }
    }
    let plan = plan_of(&snapshot);
    let redis = plan.layers.iter().find(|l| l.layer.id() == "redis").unwrap();
    assert_eq!((redis.score, redis.status.id()), (None, "not_configured"));
    reports_hold(&snapshot, &plan);
}

/// A role that may only connect: what needs more is unknown with its grant, never a pass.
#[test]
fn least_privilege() {
    let mut snapshot = demo::snapshot();
    let cause = Cause::Denied { grant: "grant pg_monitor to advisor;".into() };
    let denied = [Section::PgStatements, Section::PgColumnStats, Section::PgActivity, Section::PgReplication, Section::PgSequences];
    withhold(&mut snapshot, &denied, &cause, "The role advisor may not read it.");
    let got = outcomes(&snapshot);
    for id in ["pg-missing-index", "pg-slow-statement", "pg-n-plus-one", "pg-connections-high"] {
        assert_eq!(got[id], "unknown, denied", "{id}");
    }
    let plan = plan_of(&snapshot);
    let text = reports_hold(&snapshot, &plan);
    assert!(text.contains("grant pg_monitor to advisor;"), "the grant that unlocks the checks is printed");
    let groups = plan.unknown_by_cause();
    assert!(groups[0].1.len() >= 4, "one grant, the checks that wait for it: {groups:?}");
}

/// Nothing could be read: nothing passes, nothing fails, every layer says so.
#[test]
fn everything_denied() {
    let mut snapshot = demo::snapshot();
    let cause = Cause::Denied { grant: "ask the owner".into() };
    withhold(&mut snapshot, &Section::ALL, &cause, "Permission denied.");
    let got = outcomes(&snapshot);
    assert!(got.values().all(|w| w.starts_with("unknown")), "{got:?}");
    let plan = plan_of(&snapshot);
    assert!(plan.layers.iter().all(|l| l.score.is_none()));
    let text = reports_hold(&snapshot, &plan);
    assert!(!text.contains("Nothing to do"), "an audit that saw nothing is no good news");
}

/// Counters twelve minutes old: what needs a month is unknown with its date, and no index is called unused.
#[test]
fn fresh_install() {
    let mut snapshot = demo::snapshot();
    let server = snapshot.postgres.as_mut().unwrap().server.as_mut().unwrap();
    let young = server.now - time::Duration::minutes(12);
    (server.started_at, server.stats_reset_at) = (Some(young), Some(young));
    assert_eq!(outcomes(&snapshot)["pg-unused-index"], "unknown, too_young");
    reports_hold(&snapshot, &plan_of(&snapshot));
}

/// The recorded store with everything set right that was judged: a result, not an empty page.
#[test]
fn nothing_to_do() {
    let mut snapshot = demo::snapshot();
    let plan = plan_of(&snapshot);
    let today = snapshot.meta.taken_at.date();
    let dismissals: Vec<plan::Dismissal> =
        plan.findings.iter().map(|r| plan::Dismissal { key: r.key.clone(), reason: "known".into(), by: "a test".into(), until: today }).collect();
    snapshot.meta.store = "Quiet store".into();
    let quiet = plan::build(&snapshot, &dismissals, |_| true);
    assert_eq!(quiet.steps().count(), 0);
    assert_eq!(quiet.dismissed.len(), plan.findings.len());
    let text = reports_hold(&snapshot, &quiet);
    assert!(text.contains("a test") && text.contains("known"), "dismissed findings are in the report with their reason");
}
