//! `app-idempotency-keys-kept`: Medusa 1 keeps every idempotency key for ever.

use crate::checks::counts::{Counts, Figure, counts, share, storage_severity};
use crate::checks::{Applies, Check, purge};
use crate::evidence::{Gap, Layer, Section, Snapshot};
use crate::finding::{Basis, Cost, Effort, Evidence, Finding, Gain, Remedy, Resource, Subject};
use crate::text;

/// Below, they take some tens of megabytes. medusajs/medusa#1115.
const KEYS_MIN: u64 = 100_000;
/// Hours the counts speak of: a client repeats a request within minutes, a careful one within three days.
const HOURS: u32 = 72;

pub static CHECK: Check = Check {
    id: "app-idempotency-keys-kept",
    layer: Layer::App,
    title: "Old idempotency keys pile up",
    passed: "Old idempotency keys are few.",
    why: "Medusa 1 stores a key with the whole answer for every request that changes a cart or an order, so that a repeated request is answered alike. It never \
          deletes them: the table grows with each checkout step, and so do backups.",
    remedy: "Delete the keys older than three days, and let a scheduled job keep it so.",
    method: "Counts rows of idempotency_key created more than 72 hours ago; a large table by a sample of 1,000 pages. Speaks above 100,000.",
    effort: Effort::Minutes,
    references: &["https://github.com/medusajs/medusa/issues/1115"],
    needs: &[Section::PgServer, Section::PgTables, Section::PgMedusa, Section::PgRowCounts],
    uses: &[],
    symptom_of: &[],
    applies_to,
    evaluate,
};

fn applies_to(snapshot: &Snapshot) -> Result<Applies, Gap> {
    let counts = counts(snapshot)?;
    if counts.medusa.major != 1 {
        return Ok(Applies::No("Medusa 2 keeps no idempotency keys".to_owned()));
    }
    Ok(if counts.has("idempotency_key") { Applies::Yes } else { Applies::No("the database has no table of idempotency keys".to_owned()) })
}

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let counts = counts(snapshot)?;
    let total = counts.need("idempotency_key", "total", &["id"])?;
    let old = counts.need("idempotency_key", "older_72_hours", &["id", "created_at"])?;
    let bytes = (counts.bytes("idempotency_key")? as f64 * share(old.rows, total.rows)) as u64;
    let storage = counts.storage_share(bytes)?;
    Ok((old.rows > KEYS_MIN).then(|| finding(&counts, total, old, bytes, storage)).into_iter().collect())
}

fn finding(counts: &Counts<'_>, total: Figure, old: Figure, bytes: u64, storage: f64) -> Finding {
    let (confidence, because) = old.confidence();
    let mut gain = Gain::new(Basis::Modelled, format!("{} used again", text::bytes_disk(bytes)));
    gain.storage_bytes = Some(bytes);
    Finding {
        subject: Subject::new("table", format!("{}.idempotency_key", counts.medusa.schema)),
        observed: format!(
            "{} of {} are older than {HOURS} hours; they take about {}, {} of the database.",
            old.shown(),
            total.plural("idempotency key", "idempotency keys"),
            text::bytes_disk(bytes),
            text::percent(storage)
        ),
        step: "Delete the old idempotency keys".to_owned(),
        evidence: vec![
            old.evidence("Older than 72 hours"),
            total.evidence("All keys"),
            Evidence::figure("Size of the old ones", bytes as f64, "bytes", text::bytes_disk(bytes)),
        ],
        severity: storage_severity(storage, bytes),
        confidence,
        confidence_because: because,
        effort: Effort::Minutes,
        cost: Cost { resource: Resource::Storage, share: storage },
        gain: Some(gain),
        averts: None,
        remedies: remedies(counts),
        verify: format!("Audit again: no key is older than {HOURS} hours after the delete; the check speaks above {}.", text::count(KEYS_MIN)),
        touches: vec![counts.touch("idempotency_key")],
    }
}

fn remedies(counts: &Counts<'_>) -> Vec<Remedy> {
    let name = counts.name("idempotency_key");
    let sql = purge::in_batches(&name, &["id".to_owned()], &format!("t.created_at < now() - interval '{HOURS} hours'"), &[]);
    let risk = "A request repeated after three days with the same key is carried out again instead of answered from the table.";
    vec![
        purge::delete("Delete them in batches", sql.clone(), "Some 20,000 rows a second.", risk),
        purge::vacuum(&name),
        purge::job(1, "purge-idempotency-keys", &sql),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::fixtures::*;
    use crate::finding::{Outcome, Severity};

    fn keys(old: u64) -> Snapshot {
        store(|pg| {
            version_one(pg);
            tables(pg, vec![table("idempotency_key", 200_000, 500_000_000)]);
            counted(pg, &[("idempotency_key", "total", 200_000), ("idempotency_key", "older_72_hours", old)]);
        })
    }

    #[test]
    fn a_hundred_thousand_old_keys_are_allowed() {
        assert_passes(&CHECK, &keys(100_000));
        let found = findings(&CHECK, &keys(100_001));
        assert_eq!(found[0].severity, Severity::Medium, "250 MB of 5 GB");
        assert_eq!(found[0].remedies.len(), 3);
    }

    #[test]
    fn version_2_has_none() {
        assert!(matches!(CHECK.run(&store(|_| {})), Outcome::NotApplicable(_)));
    }

    #[test]
    fn an_unreadable_table_names_its_grant() {
        let gap = assert_unknown(
            &CHECK,
            &store(|pg| {
                version_one(pg);
                counted(pg, &[("idempotency_key", "total", 5), ("idempotency_key", "unreadable", 0)]);
            }),
        );
        assert_eq!(gap.cause.remedy(), Some("grant select (id, created_at) on public.idempotency_key to \"advisor\";"));
    }

    #[test]
    fn its_needs_are_exact() {
        assert_needs_are_exact(&CHECK, &keys(150_000));
    }
}
