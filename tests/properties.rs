//! What holds for every check and every snapshot.

use medusa_advisor::checks::{self, Check, registry};
use medusa_advisor::evidence::{Cause, Gap, Section, Snapshot, file};
use medusa_advisor::finding::Outcome;
use medusa_advisor::{demo, plan, secret};
use proptest::prelude::*;

fn withheld(section: Section) -> Snapshot {
    let mut snapshot = demo::snapshot();
    snapshot.withhold(section, Gap::new(section, Cause::Unreadable, "withheld by the test"));
    snapshot
}

/// Sections whose absence must leave the check without a verdict: its needs and the layers they are read from.
fn is_needed(check: &Check, section: Section) -> bool {
    check.needs.contains(&section) || check.needs.iter().any(|n| whole(*n) == section)
}

fn is_used(check: &Check, section: Section) -> bool {
    check.uses.contains(&section) || check.uses.iter().any(|u| whole(*u) == section)
}

/// The section that stands for everything this one is read with.
fn whole(section: Section) -> Section {
    match section {
        s if s <= Section::PgProofs => Section::Postgres,
        s if s <= Section::RedisQueues => Section::Redis,
        s if s < Section::CloudFront => Section::Cdn,
        s if s <= Section::S3Buckets => Section::CloudFront,
        _ => Section::Storefront,
    }
}

#[test]
fn needs_are_exact() {
    let base = demo::snapshot();
    let mut wrong = Vec::new();
    for section in Section::ALL {
        let without = withheld(section);
        for check in registry::ALL {
            let before = check.run(&base);
            let after = check.run(&without);
            let is_unknown = matches!(after, Outcome::Unknown(_));
            let held = if is_needed(check, section) {
                // What does not apply here may be told without the evidence a verdict would need.
                is_unknown || (after == before && matches!(before, Outcome::NotApplicable(_) | Outcome::Unknown(_)))
            } else if is_used(check, section) {
                true
            } else {
                after == before
            };
            if !held {
                wrong.push(format!("{} without {}: {}", check.id, section.name(), name(&after)));
            }
        }
    }
    assert!(wrong.is_empty(), "needs or uses are not exact:\n{}", wrong.join("\n"));
}

fn name(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Passed => "passed".into(),
        Outcome::NotApplicable(reason) => format!("not applicable: {reason}"),
        Outcome::Failed(f) => format!("failed with {}", f.len()),
        Outcome::Unknown(gap) => format!("unknown: {}", gap.detail),
    }
}

#[test]
fn nothing_panics_when_everything_is_withheld() {
    let mut snapshot = demo::snapshot();
    for section in Section::ALL {
        snapshot.withhold(section, Gap::new(section, Cause::Denied { grant: "grant it".into() }, "denied"));
        for judged in checks::run_all(&snapshot, |_| true) {
            let panicked = matches!(&judged.outcome, Outcome::Unknown(g) if g.cause == Cause::CheckPanicked);
            assert!(!panicked, "{} panicked without {}", judged.check.id, section.name());
        }
    }
    let plan = plan::build(&snapshot, &[], |_| true);
    assert!(plan.findings.is_empty() && plan.passed.is_empty(), "nothing is known, so nothing may pass: {:?}", plan.passed);
}

/// Lists whose order is part of their meaning (key patterns by size, paths by requests, timelines) stay as they are.
#[test]
fn the_order_of_rows_changes_nothing() {
    let base = demo::snapshot();
    let mut turned = base.clone();
    if let Ok(pg) = &mut turned.postgres {
        pg.settings.iter_mut().for_each(|v| v.reverse());
        pg.extensions.iter_mut().for_each(|v| v.reverse());
        pg.tables.iter_mut().for_each(|l| l.rows.reverse());
        pg.indexes.iter_mut().for_each(|l| l.rows.reverse());
        pg.constraints.iter_mut().for_each(|l| l.rows.reverse());
        pg.columns.iter_mut().for_each(|l| l.rows.reverse());
        pg.column_stats.iter_mut().for_each(|l| l.rows.reverse());
        pg.statements.iter_mut().for_each(|s| s.rows.rows.reverse());
        pg.media.iter_mut().for_each(|v| v.reverse());
        pg.row_counts.iter_mut().for_each(|v| v.reverse());
        pg.proofs.iter_mut().for_each(|v| v.reverse());
    }
    if let Ok(redis) = &mut turned.redis {
        for i in &mut redis.instances {
            i.commands.iter_mut().for_each(|v| v.reverse());
            i.clients.iter_mut().for_each(|v| v.reverse());
        }
    }
    if let Ok(cdn) = &mut turned.cdn {
        cdn.analytics.iter_mut().for_each(|a| a.by_status.reverse());
        cdn.settings.iter_mut().for_each(|v| v.reverse());
    }
    let differs = |c: &&&Check| sorted(c.run(&base)) != sorted(c.run(&turned));
    let wrong: Vec<&str> = registry::ALL.iter().filter(differs).map(|c| c.id).collect();
    assert!(wrong.is_empty(), "depend on the order of rows: {wrong:?}");
}

fn sorted(outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Failed(mut f) => {
            f.sort_by(|a, b| a.subject.cmp(&b.subject));
            Outcome::Failed(f)
        }
        other => other,
    }
}

#[test]
fn a_plan_keeps_every_finding_once() {
    let snapshot = demo::snapshot();
    let mut keys: Vec<String> = Vec::new();
    for judged in checks::run_all(&snapshot, |_| true) {
        if let Outcome::Failed(findings) = judged.outcome {
            keys.extend(findings.iter().map(|f| format!("{}:{}", judged.check.id, f.subject.name)));
        }
    }
    keys.sort();
    keys.dedup();
    let plan = plan::build(&snapshot, &[], |_| true);
    let mut planned: Vec<String> = plan.findings.iter().map(|r| r.key.clone()).collect();
    planned.sort();
    assert_eq!(keys, planned);
}

#[test]
fn the_demo_store_survives_its_file() {
    let snapshot = demo::snapshot();
    assert_eq!(file::read(&file::write(&snapshot)).unwrap(), snapshot);
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        let _ = file::read(&bytes);
        let mut with_head = b"medusa-advisor.snapshot/1\n".to_vec();
        with_head.extend_from_slice(&bytes);
        prop_assert!(file::read(&with_head).is_err());
    }

    #[test]
    fn a_password_in_an_address_never_survives(user in "[a-z]{1,8}", word in "[A-Za-z0-9!*()_.~-]{6,20}", host in "[a-z]{1,10}") {
        let address = format!("postgres://{user}:SECRET{word}@{host}:5432/db");
        let redacted = secret::redact(&format!("could not connect to {address}: refused"));
        prop_assert!(!redacted.contains("SECRET"), "{redacted}");
    }
}
