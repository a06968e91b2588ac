//! Replication slots that nobody reads keep the write-ahead log.

use crate::checks::server_settings::{Change, Settings, server_wide};
use crate::checks::sessions::risk;
use crate::checks::{Applies, Check, FINDINGS_MAX};
use crate::evidence::postgres::Slot;
use crate::evidence::{Gap, Layer, Section, Snapshot};
use crate::finding::{Confidence, Effort, Evidence, Finding, Remedy, RemedyKind, Severity};
use crate::text;

/// A replica that restarts leaves less than this behind.
const RETAINED_BYTES_MIN: u64 = 1_000_000_000;
/// With no limit set, it is on its way to fill the disk.
const RETAINED_BYTES_HIGH: u64 = 10_000_000_000;
/// Or when the log kept is as large as half the database itself.
const DATABASE_SHARE_HIGH: f64 = 0.50;

pub static CHECK: Check = Check {
    id: "pg-inactive-slot",
    layer: Layer::Postgres,
    title: "A replication slot nobody reads keeps the write-ahead log",
    passed: "Every replication slot is read, or keeps little.",
    why: "A slot keeps the log from the point its replica or consumer has read to. When that one is gone, the log grows until the disk is full, and then the \
          server stops. The slot may also keep vacuum from removing dead rows.",
    remedy: "Start the consumer again, or drop the slot; bound what slots may keep.",
    method: "Slots without a reader that keep 1 GB of log or more: Medium; High from 10 GB, or from half of this database's size, when no limit is set. \
             A slot that lost its log (wal_status lost), or is about to (unreserved), is reported whatever it keeps.",
    effort: Effort::Minutes,
    references: &[
        "https://www.postgresql.org/docs/current/view-pg-replication-slots.html",
        "https://www.postgresql.org/docs/current/runtime-config-replication.html#GUC-MAX-SLOT-WAL-KEEP-SIZE",
    ],
    needs: &[Section::PgReplication],
    uses: &[Section::PgServer, Section::PgSettings],
    symptom_of: &[],
    applies_to,
    evaluate,
};

fn applies_to(snapshot: &Snapshot) -> Result<Applies, Gap> {
    let is_empty = snapshot.pg()?.replication()?.slots.is_empty();
    Ok(if is_empty { Applies::No("there are no replication slots".to_owned()) } else { Applies::Yes })
}

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let pg = snapshot.pg()?;
    let database_bytes = pg.server.as_ref().ok().map(|s| s.database_bytes);
    let judged = pg.replication()?.slots.iter().filter(|s| !s.is_active);
    let mut findings: Vec<Finding> = judged.filter_map(|s| Some(finding(snapshot, s, severity(s, database_bytes)?))).collect();
    findings.sort_by(|a, b| b.severity.cmp(&a.severity).then_with(|| a.subject.cmp(&b.subject)));
    findings.truncate(FINDINGS_MAX);
    Ok(findings)
}

fn status(slot: &Slot) -> &str {
    slot.wal_status.as_deref().unwrap_or("not told")
}

fn severity(slot: &Slot, database_bytes: Option<u64>) -> Option<Severity> {
    let retained = slot.retained_bytes.unwrap_or(0);
    match status(slot) {
        // The log is gone already: nothing grows any more, but the replica will never catch up.
        "lost" => Some(Severity::Low),
        "unreserved" => Some(Severity::Medium),
        _ if retained < RETAINED_BYTES_MIN => None,
        _ if slot.safe_bytes.is_some() => Some(Severity::Medium),
        _ => {
            let is_large = retained >= RETAINED_BYTES_HIGH || database_bytes.is_some_and(|d| retained as f64 >= d as f64 * DATABASE_SHARE_HIGH);
            Some(if is_large { Severity::High } else { Severity::Medium })
        }
    }
}

fn finding(snapshot: &Snapshot, slot: &Slot, severity: Severity) -> Finding {
    let kept = slot.retained_bytes.map_or_else(|| "keeps no log any more".to_owned(), |b| format!("keeps {} of log", text::bytes_disk(b)));
    let then = match status(slot) {
        "lost" => " Its log was removed: what used it must be set up anew.".to_owned(),
        "unreserved" => " It is over the limit and loses its log at the next checkpoint.".to_owned(),
        _ => slot.safe_bytes.map_or_else(
            || " No limit is set: it grows until the disk is full.".to_owned(),
            |b| format!(" It loses its log after {} more.", text::bytes_disk(u64::try_from(b).unwrap_or(0))),
        ),
    };
    let shown = slot.retained_bytes.map_or_else(|| "none".to_owned(), text::bytes_disk);
    Finding {
        subject: crate::finding::Subject::new("slot", &slot.name),
        observed: format!("Nobody reads the {} slot {}, which {kept}.{then}", slot.kind, slot.name),
        step: format!("Drop the replication slot {}, or start what reads it", slot.name),
        evidence: vec![
            Evidence::figure("Log kept", slot.retained_bytes.unwrap_or(0) as f64, "bytes", shown),
            Evidence::text("wal_status", status(slot)),
        ],
        severity,
        confidence: Confidence::High,
        confidence_because: "read from the server's list of slots".to_owned(),
        effort: Effort::Minutes,
        cost: risk(severity),
        gain: None,
        averts: Some("a full disk".to_owned()),
        remedies: std::iter::once(drop_slot(&slot.name)).chain(bound(snapshot)).collect(),
        verify:
            "Run select slot_name, active, wal_status from pg_replication_slots: every slot is active, and pg_wal shrinks at the next checkpoint."
                .to_owned(),
        touches: vec![format!("slot:{}", slot.name)],
    }
}

fn drop_slot(name: &str) -> Remedy {
    let literal = name.replace('\'', "''");
    Remedy {
        kind: RemedyKind::Sql,
        label: "Drop the slot".to_owned(),
        text: format!("select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = '{literal}' and not active;"),
        lock: Some("None.".to_owned()),
        risk: "What used the slot (a replica, Debezium, a managed copy) cannot go on from where it was and must be set up anew: ask who made it. A slot in use \
               is not dropped."
            .to_owned(),
        undo: Some("Create the slot again under the same name; its consumer starts from a new copy.".to_owned()),
    }
}

fn bound(snapshot: &Snapshot) -> Option<Remedy> {
    let changes = [Change::spelt(&Settings::known(snapshot), "max_slot_wal_keep_size", "'10GB'", "10240")];
    let risk = "A replica that stays away longer than 10 GB of log must be set up anew. The disk stays free.";
    server_wide(snapshot, "Bound what slots may keep", &changes, risk)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::fixtures::*;
    use crate::checks::server_settings::tests::run_by;
    use crate::evidence::postgres::Replication;
    use crate::finding::Outcome;

    fn slot(retained: u64) -> Slot {
        Slot {
            name: "old".into(),
            is_active: false,
            retained_bytes: Some(retained),
            kind: "physical".into(),
            wal_status: Some("extended".into()),
            safe_bytes: None,
        }
    }

    fn with(slot: Slot) -> Snapshot {
        store(|pg| {
            pg.server.as_mut().unwrap().database_bytes = 100_000_000_000;
            pg.replication = Ok(Replication { replicas: Vec::new(), slots: vec![slot] });
        })
    }

    #[test]
    fn a_gigabyte_is_enough() {
        assert_passes(&CHECK, &with(slot(999_999_999)));
        assert_eq!(findings(&CHECK, &with(slot(1_000_000_000)))[0].severity, Severity::Medium);
        assert_eq!(findings(&CHECK, &with(slot(9_999_999_999)))[0].severity, Severity::Medium);
        assert_eq!(findings(&CHECK, &with(slot(10_000_000_000)))[0].severity, Severity::High);
        assert_passes(&CHECK, &with(Slot { is_active: true, ..slot(10_000_000_000) }));
    }

    #[test]
    fn half_the_database_is_high_unless_bounded() {
        let small = |retained, safe_bytes| {
            let mut snapshot = with(Slot { safe_bytes, ..slot(retained) });
            snapshot.postgres.as_mut().unwrap().server.as_mut().unwrap().database_bytes = 4_000_000_000;
            findings(&CHECK, &snapshot)[0].severity
        };
        assert_eq!(small(1_999_999_999, None), Severity::Medium);
        assert_eq!(small(2_000_000_000, None), Severity::High);
        assert_eq!(small(20_000_000_000, Some(1)), Severity::Medium);
    }

    #[test]
    fn a_lost_slot_is_told_whatever_it_keeps() {
        let as_status = |status: &str| with(Slot { wal_status: Some(status.into()), retained_bytes: None, ..slot(0) });
        assert_eq!(findings(&CHECK, &as_status("lost"))[0].severity, Severity::Low);
        assert_eq!(findings(&CHECK, &as_status("unreserved"))[0].severity, Severity::Medium);
        assert_passes(&CHECK, &as_status("reserved"));
    }

    #[test]
    fn managed_servers_are_bounded_their_own_way() {
        let texts = |platform: &str| {
            let mut snapshot = with(slot(2_000_000_000));
            run_by(snapshot.postgres.as_mut().unwrap(), platform);
            findings(&CHECK, &snapshot)[0].remedies.iter().map(|r| r.text.clone()).collect::<Vec<_>>()
        };
        assert_eq!(texts("plain")[1], "alter system set max_slot_wal_keep_size = '10GB';\nselect pg_reload_conf();");
        for platform in ["rds", "cloud-sql", "azure", "supabase"] {
            let text = &texts(platform)[1];
            assert!(text.contains("max_slot_wal_keep_size") && !text.contains("alter system"), "{platform}: {text}");
        }
        assert_eq!(texts("neon").len(), 1);
    }

    #[test]
    fn no_slots_no_question_and_needs_are_exact() {
        assert!(matches!(CHECK.run(&store(|_| {})), Outcome::NotApplicable(_)));
        assert_needs_are_exact(&CHECK, &with(slot(2_000_000_000)));
    }
}
