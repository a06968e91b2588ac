//! An index that nothing has used for a month.

use std::collections::HashMap;

use time::{Duration, OffsetDateTime};

use super::duplicate_index::drop_remedy;
use crate::checks::index::{ByTable, by_table, has_listed_constraints, unlisted_constraints};
use crate::checks::medusa::is_stock_index;
use crate::checks::nodes::{Nodes, OnNodes};
use crate::checks::workload::{StatisticsAge, statistics_age};
use crate::checks::{Check, FINDINGS_MAX, always};
use crate::evidence::postgres::{Constraint, Index, Postgres};
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
    method: "Indexes of 10 MB or more with no scan (or, from Postgres 16, none for 31 days) on this node and on every other node given, whose counters \
             run for at least 31 days. A node that could not be read leaves the question open, and so does an index that may be younger: its catalogue \
             entry keeps the number of the transaction that made it, dated where commits are, else by how fast numbers are used up at most. Never: unique \
             indexes, those that back a constraint or the replica identity, the only support of a foreign key, and Medusa's own. An index on an \
             expression is named with low confidence: its statistics may serve without a scan.",
    effort: Effort::Hours,
    references: &["https://www.postgresql.org/docs/current/monitoring-stats.html#MONITORING-PG-STAT-ALL-INDEXES-VIEW"],
    needs: &[Section::PgServer, Section::PgIndexes, Section::PgConstraints],
    uses: &[Section::PgReplication, Section::PgNodes],
    symptom_of: &["pg-duplicate-index", "pg-redundant-index"],
    applies_to: always,
    evaluate,
};

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let pg = snapshot.pg()?;
    let (server, indexes, constraints) = (pg.server()?, &pg.indexes()?.rows, pg.constraints()?);
    let here = statistics_age(snapshot)?;
    let nodes = Nodes::of(pg, indexes);
    let is_idle = |scans: u64, last_scan: Option<OffsetDateTime>| is_idle(scans, last_scan, server.now);
    let (own, keys) = (by_table(indexes), foreign_keys(&constraints.rows));
    let resting = indexes.iter().filter(|i| i.bytes >= BYTES_MIN && is_idle(i.scans.total, i.last_scan) && is_droppable(i, &own, &keys));
    let (known, beyond): (Vec<&Index>, Vec<&Index>) = resting.partition(|i| has_listed_constraints(constraints, i));
    let judged: Vec<(&Index, OnNodes)> = known.into_iter().map(|i| (i, nodes.judge(i, is_idle))).filter(|(_, on)| *on != OnNodes::Used).collect();
    if judged.is_empty() {
        return beyond.first().map_or(Ok(Vec::new()), |i| Err(unlisted_constraints(i)));
    }
    let idle: Vec<&Index> = judged.iter().filter(|(_, on)| *on == OnNodes::Idle).map(|(i, _)| *i).collect();
    if let Some((host, gap)) = nodes.unread.first() {
        return Err(unread(host, gap, &nodes, judged.len()));
    }
    let (age, youngest) = youngest(here, &nodes, server.now);
    if age.days() < DAYS_MIN {
        return Err(too_young(&age, youngest, judged.len()));
    }
    if idle.is_empty() {
        let detail = format!("{} had no scans here, and lie beyond the limit of another node's list.", large(judged.len()));
        return Err(Gap::new(Section::PgNodes, Cause::Unreadable, detail));
    }
    let (old, young): (Vec<&Index>, Vec<&Index>) = idle.into_iter().partition(|i| seen_s(i, &age) >= DAYS_MIN * 86_400.0);
    if old.is_empty() {
        return Err(maybe_new(&age, &young));
    }
    let mut findings: Vec<Finding> = old.iter().map(|i| finding(pg, i, &age, &nodes, server.database_bytes)).collect();
    findings.sort_by(|a, b| b.cost.share.total_cmp(&a.cost.share).then_with(|| a.subject.cmp(&b.subject)));
    findings.truncate(FINDINGS_MAX);
    Ok(findings)
}

fn is_idle(scans: u64, last_scan: Option<OffsetDateTime>, now: OffsetDateTime) -> bool {
    scans == 0 || last_scan.is_some_and(|at| now - at >= month())
}

fn month() -> Duration {
    Duration::seconds_f64(DAYS_MIN * 86_400.0)
}

type ForeignKeys<'s> = HashMap<(&'s str, &'s str), Vec<&'s Constraint>>;

fn foreign_keys(constraints: &[Constraint]) -> ForeignKeys<'_> {
    let mut keys = ForeignKeys::new();
    for c in constraints.iter().filter(|c| c.kind == "f") {
        keys.entry((c.schema.as_str(), c.table.as_str())).or_default().push(c);
    }
    keys
}

fn is_droppable(index: &Index, own: &ByTable, keys: &ForeignKeys) -> bool {
    let is_bound = index.is_unique || index.is_primary || index.is_replica_identity || index.constraint.is_some() || index.extension.is_some();
    index.is_valid
        && !index.is_building
        && !index.is_partitioned()
        && !is_bound
        && !is_stock_index(&index.table, &index.name)
        && !is_only_support(index, own, keys)
}

/// Without it, deletes of the parent would scan the child.
fn is_only_support(index: &Index, own: &ByTable, keys: &ForeignKeys) -> bool {
    let at = (index.schema.as_str(), index.table.as_str());
    let leads = |i: &Index, c: &Constraint| i.keys.first().is_some_and(|k| c.columns.contains(&k.text));
    let others = own.get(&at).map_or(&[][..], Vec::as_slice);
    keys.get(&at)
        .into_iter()
        .flatten()
        .filter(|c| leads(index, c))
        .any(|c| !others.iter().any(|other| other.name != index.name && other.is_valid && other.predicate.is_none() && leads(other, c)))
}

/// The shortest count among all nodes, and whose it is where it is not the audited one's.
fn youngest<'s>(here: StatisticsAge, nodes: &Nodes<'s>, now: OffsetDateTime) -> (StatisticsAge, Option<&'s str>) {
    let Some(node) = nodes.read.iter().max_by_key(|n| n.since).filter(|n| n.since > here.since) else { return (here, None) };
    (StatisticsAge { seconds: (now - node.since).as_seconds_f64().max(0.0), since: node.since, is_exact: false }, Some(node.host))
}

fn large(found: usize) -> String {
    text::plural(found as u64, "large index", "large indexes")
}

/// Seconds for which the counters would have seen a scan of it: they run, and it was there.
fn seen_s(index: &Index, age: &StatisticsAge) -> f64 {
    // What was scanned a month ago was there.
    index.age_s_min.filter(|_| index.last_scan.is_none()).map_or(age.seconds, |s| s.min(age.seconds))
}

fn maybe_new(age: &StatisticsAge, young: &[&Index]) -> Gap {
    let seen = young.iter().map(|i| seen_s(i, age)).fold(0.0, f64::max);
    let (what, since, certain) = (large(young.len()), text::date(age.since), text::seconds(seen));
    let detail = format!(
        "{what} had no scans since {since}, but may have been made lately: that they are {certain} old is all that is certain. Audit again in some weeks."
    );
    Gap::new(Section::PgIndexes, Cause::TooYoung { have_s: seen, need_s: DAYS_MIN * 86_400.0 }, detail)
}

fn too_young(age: &StatisticsAge, host: Option<&str>, found: usize) -> Gap {
    let place = host.map_or_else(String::new, |h| format!(", when the counters of {h} began"));
    let detail = format!(
        "{} had no scans since {}{place}; whether they are unused can be told from {}.",
        large(found),
        text::date(age.since),
        text::date(age.since + month())
    );
    Gap::new(Section::PgIndexes, Cause::TooYoung { have_s: age.seconds, need_s: DAYS_MIN * 86_400.0 }, detail)
}

fn unread(host: &str, gap: &Gap, nodes: &Nodes, found: usize) -> Gap {
    let others = nodes.unread.len() - 1;
    let more = if others == 0 { String::new() } else { format!(", nor {}", text::plural(others as u64, "other node", "other nodes")) };
    let detail = format!("{} had no scans on {}, but {host} was not read{more}: {}", large(found), nodes.any(), gap.detail);
    Gap::new(Section::PgNodes, gap.cause.clone(), detail)
}

/// How sure, and why: by the age of the counters and by which nodes were read.
fn sureness(pg: &Postgres, index: &Index, seen_days: f64, nodes: &Nodes) -> (Confidence, String) {
    let days = text::plural(seen_days as u64, "day", "days");
    let are = |n: usize, one, many| text::plural(n as u64, one, many);
    // Postgres gathers statistics of an indexed expression, and plans of other indexes may rest on them.
    if index.keys.iter().any(|k| k.is_expression) {
        return (Confidence::Low, "the planner may use the statistics that it keeps of its expression".to_owned());
    }
    if index.age_s_min.is_none() && index.last_scan.is_none() {
        return (Confidence::Low, "when the index was made was not recorded".to_owned());
    }
    let is_replica = pg.server.as_ref().is_ok_and(|s| s.is_replica);
    if is_replica && nodes.read.iter().all(|n| n.usage.is_replica) {
        return (Confidence::Low, "this node is a replica, and the primary's scans were not read".to_owned());
    }
    let by_age = if seen_days >= DAYS_SURE { Confidence::High } else { Confidence::Medium };
    let attached = pg.replication.as_ref().ok().map(|r| r.replicas.len());
    match (attached, nodes.replicas()) {
        (None, 0) => (Confidence::Low, "whether replicas use it could not be seen".to_owned()),
        (None, _) => (Confidence::Medium, format!("counted for {days} on {}; whether there are more could not be seen", nodes.all())),
        (Some(0), 0) => (by_age, format!("counted for {days}, and no replica is attached")),
        (Some(_), 0) => (Confidence::Low, "replicas count their own scans, and they were not read".to_owned()),
        (Some(attached), read) if attached > read => {
            (Confidence::Low, format!("{} attached, and {} read", are(attached, "replica is", "replicas are"), are(read, "was", "were")))
        }
        (Some(_), _) => (by_age, format!("counted for {days} on {}", nodes.all())),
    }
}

fn finding(pg: &Postgres, index: &Index, age: &StatisticsAge, nodes: &Nodes, database_bytes: u64) -> Finding {
    let seen_s = seen_s(index, age);
    let seen_days = seen_s / 86_400.0;
    let at_least = if seen_s < age.seconds { "at least " } else { "" };
    let share = if database_bytes > 0 { (index.bytes as f64 / database_bytes as f64).min(1.0) } else { 0.0 };
    let mut gain = Gain::new(Basis::Measured, format!("{} of disk", text::bytes_disk(index.bytes)));
    gain.storage_bytes = Some(index.bytes);
    let last_scan = nodes.read.iter().filter_map(|n| n.index(index)?.last_scan).chain(index.last_scan).max();
    let idle = match last_scan {
        Some(at) => format!("no scans since {} on {}", text::date(at), nodes.any()),
        None => format!("no scans in {at_least}{} on {}", text::plural(seen_days as u64, "day", "days"), nodes.any()),
    };
    let (confidence, confidence_because) = sureness(pg, index, seen_days, nodes);
    let scans = index.scans.total + nodes.read.iter().filter_map(|n| n.index(index)).map(|i| i.scans).sum::<u64>();
    let mut evidence = vec![
        Evidence::figure("Size", index.bytes as f64, "bytes", text::bytes_disk(index.bytes)),
        Evidence::figure("Scans", scans as f64, "scans", text::count(scans)),
        Evidence::text("Counters since", format!("{}{}", text::date(age.since), if age.is_exact { "" } else { " or earlier" })),
        Evidence::Code { label: "Definition".to_owned(), language: "sql".to_owned(), text: index.definition.clone() },
    ];
    if !nodes.read.is_empty() {
        evidence.push(nodes.scans_of(index));
    }
    Finding {
        subject: Subject::new("index", format!("{}.{}", index.schema, index.name)),
        observed: format!("{} on {} takes {}: {idle}.", index.name, index.table, text::bytes_disk(index.bytes)),
        step: format!("Drop {} if nothing else needs it", index.name),
        evidence,
        severity: Severity::from_share(share),
        confidence,
        confidence_because,
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
    use crate::evidence::postgres::{Node, NodeIndex, NodeUsage, Replica};
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
    fn an_index_that_may_be_new_is_unknown() {
        let days = |days: f64| move |i: &mut Index| i.age_s_min = Some(days * 86_400.0);
        let gap = assert_unknown(&CHECK, &idle(days(1.0), |_| {}));
        assert!(matches!(gap.cause, Cause::TooYoung { .. }) && gap.detail.contains("may have been made lately"), "{}", gap.detail);
        assert_unknown(&CHECK, &idle(days(30.9), |_| {}));
        let said = |snapshot: &Snapshot| findings(&CHECK, snapshot)[0].observed.clone();
        assert!(said(&idle(days(31.0), |_| {})).contains("no scans in at least 31\u{a0}days"));
        assert!(said(&idle(days(60.0), |_| {})).contains("no scans in 60\u{a0}days"));
        // Counted for a quarter, there for two months.
        assert_eq!(findings(&CHECK, &idle(days(60.0), |pg| since(pg, 100.0)))[0].confidence, Confidence::Medium);
        // Scanned long ago, so it was there.
        let scanned = |i: &mut Index| (i.age_s_min, i.scans.total, i.last_scan) = (Some(1.0), 9, Some(datetime!(2026-10-01 09:30 UTC)));
        assert_eq!(findings(&CHECK, &idle(scanned, |_| {})).len(), 1);
        // A file of an earlier version does not say.
        assert_eq!(findings(&CHECK, &idle(|i| i.age_s_min = None, |_| {}))[0].confidence, Confidence::Low);
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
            |i| i.is_attached = true,
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
        let seen = idle(|_| {}, |pg| attached(pg, 1));
        assert_eq!(findings(&CHECK, &seen)[0].confidence, Confidence::Low);
        let unseen = idle(|_| {}, |pg| pg.replication = Err(Gap::not_configured(Section::PgReplication)));
        assert_eq!(findings(&CHECK, &unseen)[0].confidence, Confidence::Low);
    }

    fn node(scans: u64, days: f64) -> Node {
        let now = datetime!(2026-11-23 09:30 UTC);
        let indexes = Listed::whole(vec![NodeIndex { schema: "public".into(), name: "idx_order_note".into(), scans, last_scan: None }]);
        let since = Some(now - Duration::seconds_f64(days * 86_400.0));
        Node { host: "two:5432".into(), usage: Ok(NodeUsage { is_replica: true, version_num: 150_018, counting_since: since, indexes }) }
    }

    fn attached(pg: &mut Postgres, n: usize) {
        let replica = Replica { application: "r".into(), state: "streaming".into(), lag_bytes: None };
        if let Ok(replication) = &mut pg.replication {
            replication.replicas = vec![replica; n];
        }
    }

    fn with_nodes(nodes: Vec<Node>, replicas: usize) -> Snapshot {
        idle(
            |_| {},
            |pg| {
                since(pg, 100.0);
                attached(pg, replicas);
                pg.nodes = Ok(nodes);
            },
        )
    }

    #[test]
    fn a_scan_on_any_node_keeps_an_index() {
        assert_passes(&CHECK, &with_nodes(vec![node(1, 100.0)], 1));
        assert_passes(&CHECK, &with_nodes(vec![node(0, 100.0), node(1, 100.0)], 2));
        let found = findings(&CHECK, &with_nodes(vec![node(0, 100.0)], 1));
        assert_eq!(found[0].confidence, Confidence::High);
        assert!(found[0].observed.contains("no scans in 100\u{a0}days on either node"), "{}", found[0].observed);
        assert_eq!(found[0].confidence_because, "counted for 100\u{a0}days on both nodes");
    }

    #[test]
    fn the_youngest_node_decides_the_age() {
        let gap = assert_unknown(&CHECK, &with_nodes(vec![node(0, 30.9)], 1));
        assert!(matches!(gap.cause, Cause::TooYoung { .. }) && gap.detail.contains("two:5432"), "{}", gap.detail);
        assert_eq!(findings(&CHECK, &with_nodes(vec![node(0, 31.0)], 1))[0].confidence, Confidence::Medium);
    }

    #[test]
    fn fewer_nodes_read_than_attached_is_low() {
        let found = findings(&CHECK, &with_nodes(vec![node(0, 100.0)], 2));
        assert_eq!(
            (found[0].confidence, found[0].confidence_because.as_str()),
            (Confidence::Low, "2\u{a0}replicas are attached, and 1\u{a0}was read")
        );
    }

    #[test]
    fn a_node_that_was_not_read_leaves_the_question_open() {
        let down = Node { host: "three:5432".into(), usage: Err(Gap::new(Section::PgNodes, Cause::Unreachable, "It did not answer.")) };
        let gap = assert_unknown(&CHECK, &with_nodes(vec![node(0, 100.0), down.clone()], 1));
        assert_eq!(gap.detail, "1\u{a0}large index had no scans on either node, but three:5432 was not read: It did not answer.");
        assert_passes(&CHECK, &with_nodes(vec![node(1, 100.0), down], 1));
        let mut other = node(0, 100.0);
        if let Ok(usage) = &mut other.usage {
            usage.indexes.rows[0].name = "something_else".into();
        }
        assert!(assert_unknown(&CHECK, &with_nodes(vec![other], 1)).detail.contains("another database"));
        let mut cut = node(0, 100.0);
        if let Ok(usage) = &mut cut.usage {
            usage.indexes = Listed { rows: vec![NodeIndex { name: "idx_a".into(), ..usage.indexes.rows[0].clone() }], cut: None };
        }
        let mut snapshot = with_nodes(vec![cut], 1);
        if let Ok(pg) = &mut snapshot.postgres
            && let Ok(indexes) = &mut pg.indexes
        {
            indexes.rows.push(index("order", "idx_a", &["a"], None));
        }
        assert!(assert_unknown(&CHECK, &snapshot).detail.contains("beyond the limit"));
    }

    #[test]
    fn a_replica_alone_says_little() {
        let alone = idle(
            |_| {},
            |pg| {
                if let Ok(server) = &mut pg.server {
                    server.is_replica = true;
                }
            },
        );
        assert_eq!(findings(&CHECK, &alone)[0].confidence, Confidence::Low);
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
