//! Replicas that are behind the primary.

use crate::checks::server_settings::{Change, on_another, server_wide};
use crate::checks::sessions::risk;
use crate::checks::{Applies, Check, FINDINGS_MAX};
use crate::evidence::postgres::Replica;
use crate::evidence::{Cause, Gap, Layer, Section, Snapshot};
use crate::finding::{Confidence, Effort, Evidence, Finding, Remedy, RemedyKind, Severity, Subject};
use crate::text;

/// Six segments of the log: what a replica in order has behind it is a fraction of one.
const LAG_BYTES_MIN: u64 = 100_000_000;
const LAG_BYTES_HIGH: u64 = 1_000_000_000;

pub static CHECK: Check = Check {
    id: "pg-replication-lag",
    layer: Layer::Postgres,
    title: "A replica is far behind the primary",
    passed: "The replicas keep up with the primary.",
    why: "What the replica has not applied yet is lost when the primary fails and the replica takes over: orders and payments of the last minutes. Reads from \
          it show old stock and old prices.",
    remedy: "Find what holds it up: a long query on the replica, a slow disk, a narrow network, or a bulk load on the primary.",
    method: "The log that each streaming replica has not applied, in bytes: from 100 MB Low, from 1 GB Medium. Bytes and not seconds, since an idle primary \
             makes the seconds meaningless. Programs that receive the log and apply none (backups, archivers) are left out. Seen at one moment.",
    effort: Effort::Hours,
    references: &["https://www.postgresql.org/docs/current/monitoring-stats.html#MONITORING-PG-STAT-REPLICATION-VIEW"],
    needs: &[Section::PgReplication],
    uses: &[Section::PgServer],
    symptom_of: &[],
    applies_to,
    evaluate,
};

fn applies_to(snapshot: &Snapshot) -> Result<Applies, Gap> {
    let has_any = snapshot.pg()?.replication()?.replicas.iter().any(is_judged);
    Ok(if has_any { Applies::Yes } else { Applies::No("no replica reads from this server".to_owned()) })
}

/// Backups are behind by nature and gone when they are done.
fn is_judged(replica: &Replica) -> bool {
    replica.state != "backup" && replica.application != "pg_basebackup" && replica.application != "pg_receivewal"
}

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let pg = snapshot.pg()?;
    let replicas: Vec<&Replica> = pg.replication()?.replicas.iter().filter(|r| is_judged(r)).collect();
    // No position at all: hidden from this role. With the right to see it, the receiver applies nothing.
    let is_hidden = pg.server.as_ref().is_ok_and(|s| !s.has_pg_monitor && !s.is_superuser);
    if is_hidden && replicas.iter().all(|r| r.lag_bytes.is_none()) {
        let role = pg.server.as_ref().map_or("ROLE".to_owned(), |s| crate::evidence::postgres::quote(&s.role));
        let cause = Cause::Denied { grant: format!("grant pg_monitor to {role};") };
        return Err(Gap::new(Section::PgReplication, cause, "The positions of the replicas are hidden from this role."));
    }
    let mut findings: Vec<Finding> =
        replicas.iter().filter_map(|r| r.lag_bytes.filter(|b| *b >= LAG_BYTES_MIN).map(|b| finding(snapshot, r, b))).collect();
    findings.sort_by(|a, b| b.severity.cmp(&a.severity).then_with(|| a.subject.cmp(&b.subject)));
    findings.truncate(FINDINGS_MAX);
    Ok(findings)
}

fn finding(snapshot: &Snapshot, replica: &Replica, lag: u64) -> Finding {
    let name = if replica.application.is_empty() { "without a name" } else { &replica.application };
    let severity = if lag >= LAG_BYTES_HIGH { Severity::Medium } else { Severity::Low };
    let is_new = if replica.state == "catchup" { " It is catching up: it was connected lately." } else { "" };
    Finding {
        subject: Subject::new("replica", name),
        observed: format!("The replica {name} ({}) has {} of log still to apply.{is_new}", replica.state, text::bytes_disk(lag)),
        step: format!("Find what holds up the replica {name}"),
        evidence: vec![Evidence::figure("Log not applied", lag as f64, "bytes", text::bytes_disk(lag)), Evidence::text("State", &replica.state)],
        severity,
        confidence: Confidence::Medium,
        confidence_because: "measured in bytes, at one moment: a bulk load passes".to_owned(),
        effort: Effort::Hours,
        cost: risk(severity),
        gain: None,
        averts: Some("orders lost when the replica takes over".to_owned()),
        remedies: std::iter::once(where_it_waits()).chain(long_queries(snapshot)).collect(),
        verify: format!("Run the first statement again on the primary: behind is below {} and falls.", text::bytes_disk(LAG_BYTES_MIN)),
        touches: Vec::new(),
    }
}

fn where_it_waits() -> Remedy {
    Remedy {
        kind: RemedyKind::Sql,
        label: "See where the log waits".to_owned(),
        text: "select application_name, state,\n  pg_size_pretty(pg_wal_lsn_diff(pg_current_wal_lsn(), sent_lsn)) as not_sent,\n  \
               pg_size_pretty(pg_wal_lsn_diff(sent_lsn, flush_lsn)) as not_written,\n  pg_size_pretty(pg_wal_lsn_diff(flush_lsn, replay_lsn)) as not_applied,\n  \
               pg_size_pretty(pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn)) as behind\nfrom pg_stat_replication\norder by replay_lsn;"
            .to_owned(),
        lock: Some("None.".to_owned()),
        risk: "None: it reads. Not sent: the network or the primary's processor. Not written: the replica's disk. Not applied: queries on the replica, or a \
               delay that was set on purpose (recovery_min_apply_delay)."
            .to_owned(),
        undo: None,
    }
}

fn long_queries(snapshot: &Snapshot) -> Option<Remedy> {
    let changes = [Change::elsewhere("max_standby_streaming_delay", "'30s'", "30000")];
    let risk = "A query on the replica that conflicts with what is applied is cancelled after 30 s.";
    server_wide(snapshot, "Let the replica cancel queries that stand in the way", &changes, risk).map(|r| on_another("replica", r))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::fixtures::*;
    use crate::checks::server_settings::tests::run_by;
    use crate::evidence::postgres::Replication;
    use crate::finding::Outcome;

    fn replica(lag: Option<u64>) -> Replica {
        Replica { application: "standby1".into(), state: "streaming".into(), lag_bytes: lag }
    }

    fn with(replica: Replica) -> Snapshot {
        store(|pg| pg.replication = Ok(Replication { replicas: vec![replica], slots: Vec::new() }))
    }

    #[test]
    fn a_hundred_megabytes_are_enough() {
        assert_passes(&CHECK, &with(replica(Some(99_999_999))));
        assert_eq!(findings(&CHECK, &with(replica(Some(100_000_000))))[0].severity, Severity::Low);
        assert_eq!(findings(&CHECK, &with(replica(Some(999_999_999))))[0].severity, Severity::Low);
        assert_eq!(findings(&CHECK, &with(replica(Some(1_000_000_000))))[0].severity, Severity::Medium);
    }

    #[test]
    fn a_managed_replica_is_set_its_own_way() {
        let texts = |platform: &str| {
            let mut snapshot = with(replica(Some(2_000_000_000)));
            run_by(snapshot.postgres.as_mut().unwrap(), platform);
            findings(&CHECK, &snapshot)[0].remedies.iter().map(|r| r.text.clone()).collect::<Vec<_>>()
        };
        assert_eq!(texts("plain")[1], "-- On the replica:\nalter system set max_standby_streaming_delay = '30s';\nselect pg_reload_conf();");
        assert!(texts("azure")[1].ends_with("--name max_standby_streaming_delay --value 30000"));
        assert_eq!(texts("neon").len(), 1);
    }

    #[test]
    fn receivers_that_apply_nothing_are_left_out() {
        assert!(matches!(CHECK.run(&with(Replica { state: "backup".into(), ..replica(Some(5_000_000_000)) })), Outcome::NotApplicable(_)));
        assert!(matches!(CHECK.run(&with(Replica { application: "pg_receivewal".into(), ..replica(None) })), Outcome::NotApplicable(_)));
        assert!(matches!(CHECK.run(&store(|_| {})), Outcome::NotApplicable(_)));
        assert_passes(&CHECK, &with(replica(None)));
    }

    #[test]
    fn hidden_positions_are_unknown() {
        let mut snapshot = with(replica(None));
        snapshot.postgres.as_mut().unwrap().server.as_mut().unwrap().has_pg_monitor = false;
        assert_eq!(assert_unknown(&CHECK, &snapshot).cause.remedy(), Some("grant pg_monitor to advisor;"));
    }

    #[test]
    fn its_needs_are_exact() {
        assert_needs_are_exact(&CHECK, &with(replica(Some(2_000_000_000))));
    }
}
