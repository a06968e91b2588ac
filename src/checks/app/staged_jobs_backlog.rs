//! `app-staged-jobs-backlog`: events of Medusa 1 wait in the database and nobody takes them.

use time::{Duration, OffsetDateTime};

use crate::checks::counts::{Counts, Figure, counts};
use crate::checks::{Applies, Check, purge};
use crate::evidence::{Gap, Layer, Section, Snapshot};
use crate::finding::{Cost, Effort, Finding, Remedy, RemedyKind, Resource, Severity, Subject};
use crate::text;

/// One poll takes 1,000 (`jobs_batch_size`), every three seconds: what is left of more than that after ten minutes is not being taken.
/// medusajs/medusa#6318.
const JOBS_MIN: u64 = 1_000;
/// Ten polls' worth: half a minute of work for an instance that runs, so that none does.
const JOBS_MANY: u64 = 10_000;

pub static CHECK: Check = Check {
    id: "app-staged-jobs-backlog",
    layer: Layer::App,
    title: "Staged events wait and nobody takes them",
    passed: "Staged events are taken as they come.",
    why: "Medusa 1 stores each event with the change that caused it and sends it on afterwards. Where they wait, order mails are not sent, the search index and other \
          systems are not told, and the table grows.",
    remedy: "Let an instance run that takes them: one that is not in server mode, with the Redis event bus. Then watch the table empty.",
    method: "Counts rows of staged_job whose id was made more than ten minutes ago (the id holds its time). Speaks above 1,000: one poll takes as many, every three \
             seconds.",
    effort: Effort::Hours,
    references: &["https://github.com/medusajs/medusa/issues/6318"],
    needs: &[Section::PgMedusa, Section::PgRowCounts],
    uses: &[],
    symptom_of: &[],
    applies_to,
    evaluate,
};

fn applies_to(snapshot: &Snapshot) -> Result<Applies, Gap> {
    let counts = counts(snapshot)?;
    if counts.medusa.major != 1 {
        return Ok(Applies::No("Medusa 2 stages no events in the database".to_owned()));
    }
    Ok(if counts.has("staged_job") { Applies::Yes } else { Applies::No("the database has no table of staged jobs".to_owned()) })
}

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let counts = counts(snapshot)?;
    let old = counts.need("staged_job", "older_10_minutes", &["id"])?;
    let yesterday = snapshot.meta.taken_at - Duration::days(1);
    Ok((old.rows > JOBS_MIN).then(|| finding(&counts, old, yesterday)).into_iter().collect())
}

fn finding(counts: &Counts<'_>, old: Figure, yesterday: OffsetDateTime) -> Finding {
    let (confidence, because) = old.confidence();
    let (severity, risk) = if old.rows >= JOBS_MANY { (Severity::High, 0.25) } else { (Severity::Medium, 0.05) };
    Finding {
        subject: Subject::new("table", format!("{}.staged_job", counts.medusa.schema)),
        observed: format!("{} in staged_job for more than ten minutes; a running instance takes 1,000 every three seconds.", waits(old)),
        step: "Run an instance that takes the staged events".to_owned(),
        evidence: vec![old.evidence("Staged for more than ten minutes")],
        severity,
        confidence,
        confidence_because: because,
        effort: Effort::Hours,
        cost: Cost { resource: Resource::Risk, share: risk },
        gain: None,
        averts: Some("order mails and other events that are never sent".to_owned()),
        remedies: remedies(counts, yesterday),
        verify: format!("Audit again: no more than {} are older than ten minutes, 0 as a rule.", text::count(JOBS_MIN)),
        touches: vec![counts.touch("staged_job")],
    }
}

fn waits(old: Figure) -> String {
    let verb = if old.rows == 1 { "waits" } else { "wait" };
    format!("{} {verb}", old.plural("event", "events"))
}

fn remedies(counts: &Counts<'_>, yesterday: OffsetDateTime) -> Vec<Remedy> {
    let name = counts.name("staged_job");
    let discard = purge::in_batches(&name, &["id".to_owned()], &format!("t.id collate \"C\" < 'job_{}'", ulid_time(yesterday)), &[]);
    vec![
        Remedy {
            kind: RemedyKind::Sql,
            label: "See which events wait".to_owned(),
            text: format!("select event_name, count(*) as jobs from {name} group by event_name order by jobs desc;"),
            lock: Some("None but ACCESS SHARE; reads the table once.".to_owned()),
            risk: "None: it only reads.".to_owned(),
            undo: None,
        },
        Remedy {
            kind: RemedyKind::MedusaConfig,
            label: "Let an instance take them".to_owned(),
            text: WORKER.to_owned(),
            lock: None,
            risk: "The instance works off the whole backlog at once: subscribers send mails for orders of days ago. Discard what is too old first."
                .to_owned(),
            undo: Some("Stop the instance.".to_owned()),
        },
        purge::delete(
            "Or discard those older than a day",
            discard,
            "Some 20,000 rows a second.",
            "The discarded events never happen: their mails are not sent, the systems that listen are not told. See first which they are.",
        ),
    ]
}

const WORKER: &str = "// medusa-config.js of the instance that works in the background: started as one process more, without public traffic
module.exports = {
  projectConfig: {
    // not \"server\": that mode takes no jobs
    worker_mode: process.env.MEDUSA_WORKER_MODE || \"shared\",
    redis_url: process.env.REDIS_URL,
  },
  modules: {
    eventBus: {
      resolve: \"@medusajs/event-bus-redis\",
      options: { redisUrl: process.env.REDIS_URL },
    },
  },
}";

/// The first ten characters of a ULID made at this time: milliseconds since 1970 in Crockford's base 32.
fn ulid_time(at: OffsetDateTime) -> String {
    const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    let ms = (at.unix_timestamp_nanos() / 1_000_000).max(0);
    (0..10).rev().map(|i| char::from(DIGITS[usize::try_from((ms >> (5 * i)) & 31).unwrap_or(0)])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::fixtures::*;
    use crate::finding::Outcome;
    use time::macros::datetime;

    fn jobs(old: u64) -> Snapshot {
        store(|pg| {
            version_one(pg);
            counted(pg, &[("staged_job", "total", old), ("staged_job", "older_10_minutes", old)]);
        })
    }

    #[test]
    fn a_poll_takes_a_thousand() {
        assert_passes(&CHECK, &jobs(1_000));
        assert_eq!(findings(&CHECK, &jobs(1_001))[0].severity, Severity::Medium);
        assert_eq!(findings(&CHECK, &jobs(9_999))[0].severity, Severity::Medium);
        assert_eq!(findings(&CHECK, &jobs(10_000))[0].severity, Severity::High);
    }

    #[test]
    fn an_id_holds_its_time() {
        // The example of the ULID specification.
        assert_eq!(ulid_time(datetime!(2016-07-30 22:36:16.385 UTC)), "01ARYZ6S41");
        assert_eq!(ulid_time(datetime!(1970-01-01 0:00 UTC)), "0000000000");
    }

    #[test]
    fn version_2_stages_none() {
        assert!(matches!(CHECK.run(&store(|_| {})), Outcome::NotApplicable(_)));
    }

    #[test]
    fn its_needs_are_exact() {
        assert_needs_are_exact(&CHECK, &jobs(5_000));
    }
}
