//! An index that nothing has used for a month.

use time::Duration;

use super::duplicate_index::drop_remedy;
use crate::checks::medusa::is_stock_index;
use crate::checks::workload::{StatisticsAge, statistics_age};
use crate::checks::{Check, FINDINGS_MAX, always};
use crate::evidence::postgres::{Constraint, Index};
use crate::evidence::{Cause, Gap, Layer, Section, Snapshot};
use crate::finding::{Basis, Confidence, Cost, Effort, Evidence, Finding, Gain, Resource, Severity, Subject};
use crate::text;

/// Smaller ones are not worth the question whether a yearly report needs them.
const BYTES_MIN: u64 = 10_000_000;
/// A whole month: monthly invoices and reports have run.
const DAYS_MIN: f64 = 31.0;
/// A quarter leaves little room for doubt.
const DAYS_SURE: f64 = 92.0;

pub static CHECK: Check = Check {
    id: "pg-unused-index",
    layer: Layer::Postgres,
    title: "A large index has not been used for a month",
    passed: "Every large index of your own has been used.",
    why: "An index that no query uses still costs: each write keeps it up to date, it takes disk and memory, and it slows vacuum and restores.",
    remedy: "Make sure that no replica and no yearly job uses it, then drop it. The undo is beside it.",
    method: "Indexes of 10 MB or more with no scan (or, from Postgres 16, none for 31 days) on this node, whose counters run for at least 31 days. Never: unique \
             indexes, those that back a constraint or the replica identity, the only support of a foreign key, and Medusa's own. An index on an \
             expression is named with low confidence: its statistics may serve without a scan.",
    effort: Effort::Hours,
    references: &["https://www.postgresql.org/docs/current/monitoring-stats.html#MONITORING-PG-STAT-ALL-INDEXES-VIEW"],
    needs: &[Section::PgServer, Section::PgIndexes, Section::PgConstraints],
    uses: &[Section::PgReplication],
    symptom_of: &["pg-duplicate-index", "pg-redundant-index"],
    applies_to: always,
    evaluate,
};

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let pg = snapshot.pg()?;
    let (server, indexes, constraints) = (pg.server()?, &pg.indexes()?.rows, &pg.constraints()?.rows);
    let age = statistics_age(snapshot)?;
    let idle: Vec<&Index> = indexes.iter().filter(|i| is_idle(i, server.now) && is_droppable(i, indexes, constraints)).collect();
    if idle.is_empty() {
        return Ok(Vec::new());
    }
    if age.days() < DAYS_MIN {
        return Err(too_young(&age, idle.len()));
    }
    let replicas = pg.replication.as_ref().ok().map(|r| r.replicas.len());
    let mut findings: Vec<Finding> = idle.iter().map(|i| finding(i, &age, replicas, server.database_bytes)).collect();
    findings.sort_by(|a, b| b.cost.share.total_cmp(&a.cost.share).then_with(|| a.subject.cmp(&b.subject)));
    findings.truncate(FINDINGS_MAX);
    Ok(findings)
}

fn is_idle(index: &Index, now: time::OffsetDateTime) -> bool {
    let month = Duration::seconds_f64(DAYS_MIN * 86_400.0);
    index.bytes >= BYTES_MIN && (index.scans.total == 0 || index.last_scan.is_some_and(|at| now - at >= month))
}

fn is_droppable(index: &Index, indexes: &[Index], constraints: &[Constraint]) -> bool {
    let is_bound = index.is_unique || index.is_primary || index.is_replica_identity || index.constraint.is_some() || index.extension.is_some();
    index.is_valid && !index.is_building && !is_bound && !is_stock_index(&index.table, &index.name) && !is_only_support(index, indexes, constraints)
}

/// Without it, deletes of the parent would scan the child.
fn is_only_support(index: &Index, indexes: &[Index], constraints: &[Constraint]) -> bool {
    let leads = |i: &Index, c: &Constraint| i.keys.first().is_some_and(|k| c.columns.contains(&k.text));
    let same_table = |i: &Index| i.schema == index.schema && i.table == index.table;
    constraints.iter().filter(|c| c.kind == "f" && c.schema == index.schema && c.table == index.table && leads(index, c)).any(|c| {
        !indexes.iter().any(|other| other.name != index.name && same_table(other) && other.is_valid && other.predicate.is_none() && leads(other, c))
    })
}

fn too_young(age: &StatisticsAge, found: usize) -> Gap {
    let ready = age.since + Duration::seconds_f64(DAYS_MIN * 86_400.0);
    let detail = format!(
        "{} had no scans since {}; whether they are unused can be told from {}.",
        text::plural(found as u64, "large index", "large indexes"),
        text::date(age.since),
        text::date(ready)
    );
    Gap::new(Section::PgIndexes, Cause::TooYoung { have_s: age.seconds, need_s: DAYS_MIN * 86_400.0 }, detail)
}

fn finding(index: &Index, age: &StatisticsAge, replicas: Option<usize>, database_bytes: u64) -> Finding {
    let share = if database_bytes > 0 { (index.bytes as f64 / database_bytes as f64).min(1.0) } else { 0.0 };
    let (confidence, because) = match replicas {
        None => (Confidence::Low, "whether replicas use it could not be seen".to_owned()),
        Some(1..) => (Confidence::Low, "replicas count their own scans, and they were not read".to_owned()),
        Some(0) if age.days() >= DAYS_SURE => {
            (Confidence::High, format!("counted for {}, and no replica is attached", text::plural(age.days() as u64, "day", "days")))
        }
        Some(0) => (Confidence::Medium, format!("counted for {}, and no replica is attached", text::plural(age.days() as u64, "day", "days"))),
    };
    let mut gain = Gain::new(Basis::Measured, format!("{} of disk", text::bytes_disk(index.bytes)));
    gain.storage_bytes = Some(index.bytes);
    let idle = match index.last_scan {
        Some(at) => format!("no scans since {} on this node", text::date(at)),
        None => format!("no scans in {} on this node", text::plural(age.days() as u64, "day", "days")),
    };
    // Postgres gathers statistics of an indexed expression, and plans of other indexes may rest on them.
    let keeps_statistics = index.keys.iter().any(|k| k.is_expression);
    let (confidence, because) = match keeps_statistics {
        true => (Confidence::Low, "the planner may use the statistics that it keeps of its expression".to_owned()),
        false => (confidence, because),
    };
    Finding {
        subject: Subject::new("index", format!("{}.{}", index.schema, index.name)),
        observed: format!("{} on {} takes {}: {idle}.", index.name, index.table, text::bytes_disk(index.bytes)),
        step: format!("Drop {} if nothing else needs it", index.name),
        evidence: vec![
            Evidence::figure("Size", index.bytes as f64, "bytes", text::bytes_disk(index.bytes)),
            Evidence::figure("Scans", index.scans.total as f64, "scans", text::count(index.scans.total)),
            Evidence::text("Counters since", format!("{}{}", text::date(age.since), if age.is_exact { "" } else { " or earlier" })),
            Evidence::Code { label: "Definition".to_owned(), language: "sql".to_owned(), text: index.definition.clone() },
        ],
        severity: Severity::from_share(share),
        confidence,
        confidence_because: because,
        effort: Effort::Hours,
        cost: Cost { resource: Resource::Storage, share },
        gain: Some(gain),
        averts: None,
        remedies: vec![drop_remedy(index)],
        verify: format!("Audit again after a day: {} is gone, and no statement has become slower.", index.name),
        touches: vec![format!("index:{}.{}", index.schema, index.name)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::fixtures::*;
    use crate::evidence::Listed;
    use crate::evidence::postgres::{Postgres, Replica};
    use time::macros::datetime;

    fn idle(edit: impl FnOnce(&mut Index), also: impl FnOnce(&mut Postgres)) -> Snapshot {
        let mut one = index("order", "idx_order_note", &["note"], None);
        one.scans.total = 0;
        edit(&mut one);
        store(|pg| {
            indexes(pg, vec![one]);
            also(pg);
        })
    }

    fn since(pg: &mut Postgres, days: f64) {
        if let Ok(server) = &mut pg.server {
            server.stats_reset_at = Some(server.now - Duration::seconds_f64(days * 86_400.0));
        }
    }

    #[test]
    fn a_large_idle_index_is_reported() {
        let found = findings(&CHECK, &idle(|_| {}, |_| {}));
        assert_eq!(found[0].confidence, Confidence::Medium);
        assert!(found[0].observed.contains("no scans in 60\u{a0}days on this node"));
        assert_eq!(found[0].remedies[0].text, "drop index concurrently public.idx_order_note;");
        assert_passes(&CHECK, &idle(|i| i.bytes = 9_999_999, |_| {}));
        assert_eq!(findings(&CHECK, &idle(|i| i.bytes = 10_000_000, |_| {})).len(), 1);
        assert_passes(&CHECK, &idle(|i| i.scans.total = 1, |_| {}));
    }

    #[test]
    fn young_counters_are_unknown_with_the_day() {
        let gap = assert_unknown(&CHECK, &idle(|_| {}, |pg| since(pg, 30.9)));
        assert!(matches!(gap.cause, Cause::TooYoung { .. }));
        assert!(gap.detail.contains("can be told from 23 Nov 2026"), "{}", gap.detail);
        assert_eq!(findings(&CHECK, &idle(|_| {}, |pg| since(pg, 31.0))).len(), 1);
        assert_eq!(findings(&CHECK, &idle(|_| {}, |pg| since(pg, 91.9)))[0].confidence, Confidence::Medium);
        assert_eq!(findings(&CHECK, &idle(|_| {}, |pg| since(pg, 92.0)))[0].confidence, Confidence::High);
    }

    #[test]
    fn the_last_scan_tells_too() {
        let at = |scan| idle(|i| (i.scans.total, i.last_scan) = (9, Some(scan)), |_| {});
        assert_passes(&CHECK, &at(datetime!(2026-10-23 09:31 UTC)));
        assert_eq!(findings(&CHECK, &at(datetime!(2026-10-23 09:30 UTC))).len(), 1);
    }

    #[test]
    fn what_holds_something_up_is_never_named() {
        for edit in [
            (|i: &mut Index| i.is_unique = true) as fn(&mut Index),
            |i| i.constraint = Some("c".into()),
            |i| i.is_replica_identity = true,
            |i| i.is_valid = false,
            |i| i.extension = Some("postgis".into()),
            |i| i.name = "IDX_order_customer_id".into(),
        ] {
            assert_passes(&CHECK, &idle(edit, |_| {}));
        }
    }

    #[test]
    fn the_only_support_of_a_foreign_key_stays() {
        let supporting = |also: &str| {
            let mut snapshot = idle(|_| {}, |pg| pg.constraints = Ok(Listed::whole(vec![foreign_key("order", "note", "note")])));
            if let Ok(pg) = &mut snapshot.postgres
                && let Ok(indexes) = &mut pg.indexes
            {
                indexes.rows.push(index("order", "other", &[also], None));
            }
            snapshot
        };
        assert_passes(&CHECK, &supporting("id"));
        assert_eq!(findings(&CHECK, &supporting("note")).len(), 1);
    }

    #[test]
    fn replicas_lower_the_confidence() {
        let replica = Replica { application: "r".into(), state: "streaming".into(), lag_bytes: None };
        let seen = idle(
            |_| {},
            |pg| {
                if let Ok(replication) = &mut pg.replication {
                    replication.replicas.push(replica);
                }
            },
        );
        assert_eq!(findings(&CHECK, &seen)[0].confidence, Confidence::Low);
        let unseen = idle(|_| {}, |pg| pg.replication = Err(Gap::not_configured(Section::PgReplication)));
        assert_eq!(findings(&CHECK, &unseen)[0].confidence, Confidence::Low);
    }

    #[test]
    fn an_expression_may_serve_by_its_statistics() {
        assert_eq!(findings(&CHECK, &idle(|i| i.keys = vec![key("lower(note)")], |_| {}))[0].confidence, Confidence::Low);
    }

    #[test]
    fn its_needs_are_exact() {
        assert_needs_are_exact(&CHECK, &idle(|_| {}, |_| {}));
    }
}
