//! `app-notification-growth`: sent notifications are kept for ever, or wait to be sent.

use crate::checks::counts::{Counts, Figure, counts, share, storage_severity};
use crate::checks::{Applies, Check, purge};
use crate::evidence::{Gap, Layer, Section, Snapshot};
use crate::finding::{Basis, Cost, Effort, Finding, Gain, Remedy, RemedyKind, Resource, Severity, Subject};
use crate::text;

/// Older than 90 days: at one or two an order, the orders of a busy quarter.
const OLD_MIN: u64 = 100_000;
/// Or the old ones take this share of the database …
const STORAGE_SHARE_MIN: f64 = 0.05;
/// … and this much of the disk: a share of a small database is nothing.
const BYTES_MIN: u64 = 100_000_000;
/// Pending for more than a day: one is a provider's hiccup, this many are a provider that does not send.
const PENDING_MIN: u64 = 100;
const DAYS: u32 = 90;

pub static CHECK: Check = Check {
    id: "app-notification-growth",
    layer: Layer::App,
    title: "Notifications pile up in the database",
    passed: "Notifications are sent, and old ones are few.",
    why: "Medusa records each mail and message with its receiver and its content and never deletes the record. The table grows with the orders, and it holds \
          addresses of shoppers for longer than anybody needs them. Those that stay pending were never sent.",
    remedy: "Delete the records older than 90 days by a scheduled job. Where many are pending, look at the notification provider.",
    method: "Counts notifications older than 90 days, and in version 2 those pending for more than a day; a large table by a sample of 1,000 pages. Speaks from 100,000 old \
             ones, from 5 % of the database (100 MB at least), or from 100 pending.",
    effort: Effort::Minutes,
    references: &["https://docs.medusajs.com/resources/infrastructure-modules/notification"],
    needs: &[Section::PgServer, Section::PgTables, Section::PgIndexes, Section::PgConstraints, Section::PgMedusa, Section::PgRowCounts],
    uses: &[],
    symptom_of: &[],
    applies_to,
    evaluate,
};

fn applies_to(snapshot: &Snapshot) -> Result<Applies, Gap> {
    let has_table = counts(snapshot)?.has("notification");
    Ok(if has_table { Applies::Yes } else { Applies::No("the database has no table of notifications".to_owned()) })
}

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let counts = counts(snapshot)?;
    let total = counts.need("notification", "total", &["id"])?;
    let old = counts.need("notification", "older_90_days", &["id", "created_at"])?;
    let bytes = (counts.bytes("notification")? as f64 * share(old.rows, total.rows)) as u64;
    let storage = counts.storage_share(bytes)?;
    let indexes = purge::lookup_indexes(snapshot, &counts.medusa.schema, &["notification"])?;
    let mut found = Vec::new();
    if counts.medusa.major == 2 {
        let pending = counts.need("notification", "pending_1_day", &["id", "created_at", "status", "deleted_at"])?;
        found.extend((pending.rows >= PENDING_MIN).then(|| unsent(&counts, total, pending)));
    }
    if old.rows >= OLD_MIN || (storage >= STORAGE_SHARE_MIN && bytes >= BYTES_MIN) {
        found.push(kept(&counts, (total, old), (bytes, storage), indexes));
    }
    Ok(found)
}

fn kept(counts: &Counts<'_>, (total, old): (Figure, Figure), (bytes, storage): (u64, f64), indexes: Option<Remedy>) -> Finding {
    let (confidence, because) = old.confidence();
    let mut gain = Gain::new(Basis::Modelled, format!("{} used again", text::bytes_disk(bytes)));
    gain.storage_bytes = Some(bytes);
    let name = counts.name("notification");
    // Version 1 links a resent notification to the one it repeats: those that are repeated go when their repetition has gone.
    let childless = (counts.medusa.major == 1).then(|| format!("not exists (select from {name} as c where c.parent_id = t.id)"));
    let childless: Vec<String> = childless.into_iter().collect();
    let sql = purge::in_batches(&name, &["id".to_owned()], &format!("t.created_at < now() - interval '{DAYS} days'"), &childless);
    let risk = "The history of messages in Medusa Admin then begins 90 days ago, and a message older than that cannot be sent again from there.";
    let mut remedies: Vec<Remedy> = indexes.into_iter().collect();
    remedies.push(purge::delete("Delete them in batches", sql.clone(), "Some 10,000 rows a second.", risk));
    remedies.push(purge::vacuum(&name));
    remedies.push(purge::job(counts.medusa.major, "purge-old-notifications", &sql));
    Finding {
        subject: Subject::new("table", format!("{}.notification", counts.medusa.schema)),
        observed: format!(
            "{} of {} are older than {DAYS} days; they take about {}, {} of the database.",
            old.shown(),
            total.plural("notification", "notifications"),
            text::bytes_disk(bytes),
            text::percent(storage)
        ),
        step: "Delete the notifications older than 90 days".to_owned(),
        evidence: vec![old.evidence("Older than 90 days"), total.evidence("All notifications")],
        severity: storage_severity(storage, bytes),
        confidence,
        confidence_because: because,
        effort: Effort::Minutes,
        cost: Cost { resource: Resource::Storage, share: storage },
        gain: Some(gain),
        averts: None,
        remedies,
        verify: format!("Audit again: no notification is older than {DAYS} days after the delete; the check speaks from {}.", text::count(OLD_MIN)),
        touches: vec![counts.touch("notification")],
    }
}

fn unsent(counts: &Counts<'_>, total: Figure, pending: Figure) -> Finding {
    let (confidence, because) = pending.confidence();
    let part = share(pending.rows, total.rows);
    let name = counts.name("notification");
    Finding {
        subject: Subject::new("rows", format!("{}.notification pending", counts.medusa.schema)),
        observed: format!(
            "{} pending for more than a day, {} of all: they were not sent.",
            pending.plural("notification is", "notifications are"),
            text::percent(part)
        ),
        step: "Find out why notifications stay pending".to_owned(),
        evidence: vec![pending.evidence("Pending for more than a day"), total.evidence("All notifications")],
        severity: Severity::from_share(part).max(Severity::Medium),
        confidence,
        confidence_because: because,
        effort: Effort::Hours,
        cost: Cost { resource: Resource::Risk, share: part },
        gain: None,
        averts: Some("mails that shoppers never get".to_owned()),
        remedies: vec![Remedy {
            kind: RemedyKind::Sql,
            label: "See which are pending".to_owned(),
            text: format!(
                "select provider_id, channel, template, count(*) as pending, min(created_at) as since from {name} \
                 where status = 'pending' and deleted_at is null and created_at < now() - interval '1 day' \
                 group by provider_id, channel, template order by pending desc;"
            ),
            lock: Some("None but ACCESS SHARE; reads the table once.".to_owned()),
            risk: "None: it only reads, and no receiver.".to_owned(),
            undo: None,
        }],
        verify: format!("Audit again: fewer than {PENDING_MIN} are pending for more than a day, 0 as a rule."),
        touches: vec![counts.touch("notification")],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::fixtures::*;
    use crate::evidence::postgres::Postgres;
    use crate::finding::Outcome;

    fn notifications(old: u64, pending: u64, bytes: u64, edit: impl FnOnce(&mut Postgres)) -> Snapshot {
        store(|pg| {
            tables(pg, vec![table("notification", 400_000, bytes)]);
            counted(pg, &[("notification", "total", 400_000), ("notification", "older_90_days", old), ("notification", "pending_1_day", pending)]);
            edit(pg);
        })
    }

    #[test]
    fn a_hundred_thousand_old_ones_are_many() {
        assert_passes(&CHECK, &notifications(99_999, 0, 1_000_000, |_| {}));
        assert_eq!(findings(&CHECK, &notifications(100_000, 0, 1_000_000, |_| {}))[0].severity, Severity::Low);
    }

    #[test]
    fn fewer_count_where_they_fill_the_disk() {
        // A fifth of the rows of a table: of 5 GB, 250 MB are a twentieth.
        assert!(matches!(CHECK.run(&notifications(80_000, 0, 1_250_000_000, |_| {})), Outcome::Failed(_)));
        assert_passes(&CHECK, &notifications(80_000, 0, 1_249_000_000, |_| {}));
        let small = |bytes| notifications(80_000, 0, bytes, |pg| pg.server.as_mut().unwrap().database_bytes = 600_000_000);
        assert!(matches!(CHECK.run(&small(500_000_000)), Outcome::Failed(_)));
        assert_passes(&CHECK, &small(499_000_000));
    }

    #[test]
    fn a_hundred_pending_ones_were_not_sent() {
        assert_passes(&CHECK, &notifications(0, 99, 1, |_| {}));
        let found = findings(&CHECK, &notifications(0, 100, 1, |_| {}));
        assert_eq!((found.len(), found[0].severity), (1, Severity::Medium));
        // Version 1 knows no status.
        assert_passes(&CHECK, &notifications(0, 100, 1, version_one));
    }

    #[test]
    fn repeated_messages_of_version_1_are_kept_for_their_repetition() {
        let found = findings(&CHECK, &notifications(200_000, 0, 1, version_one));
        assert!(found[0].remedies[0].text.contains("c.parent_id = t.id"));
    }

    #[test]
    fn its_needs_are_exact() {
        assert_needs_are_exact(&CHECK, &notifications(200_000, 200, 1, |_| {}));
    }
}
