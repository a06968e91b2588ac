//! `app-workflow-executions-growing`: finished workflow executions are not taken away.

use crate::checks::counts::{Counts, Figure, counts, share, storage_severity};
use crate::checks::{Applies, Check, purge};
use crate::evidence::{Gap, Layer, Section, Snapshot};
use crate::finding::{Basis, Confidence, Cost, Effort, Evidence, Finding, Gain, Remedy, RemedyKind, Resource, Severity, Subject};
use crate::text;

/// Past their retention by an hour, where the cleaner comes every half hour. A thousand rows are 26 MB, measured at 26 kB an order: fewer
/// are the leftovers of an instance that was away.
const ROWS_MIN: u64 = 1_000;
/// Running for more than a day. A workflow may wait for somebody outside on purpose; this many are not waiting on purpose.
const STUCK_MIN: u64 = 100;
/// A table this large, or of this share of the database, is worth a shorter retention even where it is cleaned.
const BYTES_MAX: u64 = 1_000_000_000;
const STORAGE_SHARE_MAX: f64 = 0.20;
/// A share of a small database is nothing.
const BYTES_MIN: u64 = 100_000_000;

pub static CHECK: Check = Check {
    id: "app-workflow-executions-growing",
    layer: Layer::App,
    title: "Finished workflow executions pile up",
    passed: "Finished workflow executions are taken away in time.",
    why: "Medusa 2 records what each checkout did, some 26 kB an order, and takes it away when its retention has passed. The one that takes it away is an instance in \
          worker or shared mode; without it, or for workflows that name no retention, the table grows with every order and soon is the largest of the database.",
    remedy: "Run one instance in worker mode with the Redis workflow engine, give each workflow that stores its executions a retention, and delete what has piled up.",
    method: "Counts executions in a final state past their retention by an hour, those without a retention, and those running for more than a day; a large table by a sample \
             of 1,000 pages. Speaks from 1,000 of the first two, from 100 of the last, above 1 GB, or above 20 % of the database (100 MB at least). Three days of \
             complete-cart are normal.",
    effort: Effort::Hours,
    references: &[
        "https://docs.medusajs.com/learn/fundamentals/workflows/store-executions",
        "https://github.com/medusajs/medusa/issues/11175",
        "https://docs.medusajs.com/learn/production/worker-mode",
    ],
    needs: &[Section::PgServer, Section::PgTables, Section::PgMedusa, Section::PgRowCounts],
    uses: &[],
    symptom_of: &[],
    applies_to,
    evaluate,
};

fn applies_to(snapshot: &Snapshot) -> Result<Applies, Gap> {
    let counts = counts(snapshot)?;
    if counts.medusa.major != 2 {
        return Ok(Applies::No("Medusa 1 has no workflow executions".to_owned()));
    }
    Ok(if counts.has("workflow_execution") { Applies::Yes } else { Applies::No("the database has no table of workflow executions".to_owned()) })
}

struct Executions {
    total: Figure,
    past: Figure,
    kept: Figure,
    stuck: Figure,
    bytes: u64,
    storage: f64,
}

const COLUMNS: &[&str] = &["id", "state", "retention_time", "updated_at"];

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let counts = counts(snapshot)?;
    let figure = |what| counts.need("workflow_execution", what, COLUMNS);
    let bytes = counts.bytes("workflow_execution")?;
    let seen = Executions {
        total: figure("total")?,
        past: figure("past_retention")?,
        kept: figure("retention_null_final")?,
        stuck: figure("stuck")?,
        bytes,
        storage: counts.storage_share(bytes)?,
    };
    let piles_up = seen.past.rows >= ROWS_MIN || seen.kept.rows >= ROWS_MIN || seen.stuck.rows >= STUCK_MIN;
    let is_large = seen.bytes > BYTES_MAX || (seen.storage > STORAGE_SHARE_MAX && seen.bytes >= BYTES_MIN);
    Ok((piles_up || is_large).then(|| finding(&counts, &seen)).into_iter().collect())
}

impl Executions {
    /// Rows that nothing will take away as things are.
    fn left(&self) -> u64 {
        self.past.rows + self.kept.rows
    }

    fn left_bytes(&self) -> u64 {
        (self.bytes as f64 * share(self.left(), self.total.rows)) as u64
    }

    fn causes(&self) -> String {
        let mut causes = Vec::new();
        if self.past.rows >= ROWS_MIN {
            causes.push(format!("{} past their retention: no instance cleans", self.past.plural("execution is", "executions are")));
        }
        if self.kept.rows >= ROWS_MIN {
            causes.push(format!("{} finished without a retention and never cleaned", self.kept.plural("execution is", "executions are")));
        }
        if self.stuck.rows >= STUCK_MIN {
            causes.push(format!("{} running for more than a day", self.stuck.plural("execution is", "executions are")));
        }
        if causes.is_empty() {
            causes.push(format!("{} are kept, all within their retention", self.total.plural("execution", "executions")));
        }
        causes.join("; ")
    }

    fn step(&self) -> &'static str {
        if self.past.rows >= ROWS_MIN {
            "Run a worker instance and delete the workflow executions it left"
        } else if self.kept.rows >= ROWS_MIN {
            "Delete the finished workflow executions and give them a retention"
        } else if self.stuck.rows >= STUCK_MIN {
            "Settle the workflow executions that run for days"
        } else {
            "Keep workflow executions for a shorter time"
        }
    }

    fn confidence(&self) -> (Confidence, String) {
        // The figure that decides: the largest of them.
        let largest = [self.past, self.kept, self.stuck].into_iter().max_by_key(|f| f.rows).unwrap_or(self.total);
        largest.confidence()
    }
}

fn finding(counts: &Counts<'_>, seen: &Executions) -> Finding {
    let storage = seen.storage * share(seen.left_bytes().max(1), seen.bytes.max(1));
    // Where everything is within its retention, the whole table is what a shorter one would take from.
    let piles_up = seen.left() >= ROWS_MIN || seen.stuck.rows >= STUCK_MIN;
    let cost = if piles_up { storage } else { seen.storage };
    // A busy shop keeps gigabytes for three days, and nothing is wrong with it.
    let severity = if piles_up { storage_severity(cost, seen.left_bytes()) } else { Severity::Low };
    let (confidence, because) = seen.confidence();
    let gain = (seen.left() > 0).then(|| {
        let mut gain = Gain::new(Basis::Modelled, format!("{} used again", text::bytes_disk(seen.left_bytes())));
        gain.storage_bytes = Some(seen.left_bytes());
        gain
    });
    Finding {
        subject: Subject::new("table", format!("{}.workflow_execution", counts.medusa.schema)),
        observed: format!(
            "Of {}, {}; the table takes {}, {} of the database.",
            seen.total.plural("workflow execution", "workflow executions"),
            seen.causes(),
            text::bytes_disk(seen.bytes),
            text::percent(seen.storage)
        ),
        step: seen.step().to_owned(),
        evidence: vec![
            seen.past.evidence("Final, past their retention by an hour"),
            seen.kept.evidence("Final, without a retention"),
            seen.stuck.evidence("Running for more than a day"),
            seen.total.evidence("All executions"),
            Evidence::figure("Size of the table", seen.bytes as f64, "bytes", text::bytes_disk(seen.bytes)),
        ],
        severity,
        confidence,
        confidence_because: because,
        effort: Effort::Hours,
        cost: Cost { resource: Resource::Storage, share: cost },
        gain,
        averts: None,
        remedies: remedies(counts, seen),
        verify: format!(
            "Audit again: fewer than {} executions are past their retention or without one, fewer than {STUCK_MIN} run for more than a day.",
            text::count(ROWS_MIN)
        ),
        touches: vec![counts.touch("workflow_execution")],
    }
}

fn remedies(counts: &Counts<'_>, seen: &Executions) -> Vec<Remedy> {
    let name = counts.name("workflow_execution");
    let keys = ["workflow_id", "transaction_id", "run_id"].map(str::to_owned);
    // Older 2.x have no run_id; then the first two are the key.
    let keys: Vec<String> = keys.into_iter().filter(|k| k != "run_id" || has_run_id(counts)).collect();
    let sql = purge::in_batches(&name, &keys, FINISHED, &[]);
    let mut remedies = Vec::new();
    if seen.past.rows >= ROWS_MIN {
        remedies.push(config("Let an instance clean", WORKER, "One process more to run. It also takes events and scheduled jobs."));
    }
    if seen.left() > 0 {
        let risk = "Their history disappears from Settings → Workflows in Medusa Admin; orders, payments and everything they made stay. Running executions are never \
                    touched.";
        remedies.push(purge::delete("Delete the finished ones in batches", sql.clone(), "Some 5,000 rows a second.", risk));
        remedies.push(purge::vacuum(&name));
    }
    if seen.stuck.rows >= STUCK_MIN {
        remedies.extend(settle(&name, &keys));
    }
    remedies.push(Remedy {
        kind: RemedyKind::Code,
        ..config("Give stored workflows a retention", RETENTION, "What is older cannot be looked up any more.")
    });
    if seen.kept.rows >= ROWS_MIN {
        remedies.push(purge::job(2, "purge-workflow-executions", &sql));
    }
    remedies
}

/// Past their own retention, or a week old without one. The column is of no time zone and in UTC.
const FINISHED: &str = "t.state in ('done', 'failed', 'reverted')
        and t.updated_at < now() at time zone 'UTC' - coalesce(t.retention_time * interval '1 second', interval '7 days')";

fn has_run_id(counts: &Counts<'_>) -> bool {
    counts.find("workflow_execution", "with_run_id").is_some()
}

fn settle(name: &str, keys: &[String]) -> Vec<Remedy> {
    let old = "t.state not in ('done', 'failed', 'reverted')
        and t.updated_at < now() at time zone 'UTC' - interval '30 days'";
    vec![
        Remedy {
            kind: RemedyKind::Sql,
            label: "See which run for days".to_owned(),
            text: format!(
                "select workflow_id, state, count(*) as executions, min(updated_at) as since from {name} \
                 where state not in ('done', 'failed', 'reverted') and updated_at < now() at time zone 'UTC' - interval '1 day' \
                 group by workflow_id, state order by executions desc;"
            ),
            lock: Some("None but ACCESS SHARE; reads the table once.".to_owned()),
            risk: "None: it only reads. A workflow with an asynchronous step may wait for somebody outside on purpose.".to_owned(),
            undo: None,
        },
        purge::delete(
            "Delete those that have not moved for 30 days",
            purge::in_batches(name, keys, old, &[]),
            "Some 5,000 rows a second.",
            "An execution that is deleted can be neither resumed nor compensated: see first which they are. What its finished steps did stays.",
        ),
    ]
}

fn config(label: &str, text: &str, risk: &str) -> Remedy {
    Remedy {
        kind: RemedyKind::MedusaConfig,
        label: label.to_owned(),
        text: text.to_owned(),
        lock: None,
        risk: risk.to_owned(),
        undo: Some("Take the lines out and deploy.".to_owned()),
    }
}

const WORKER: &str =
    "// medusa-config.ts; start one process with MEDUSA_WORKER_MODE=worker and the ones behind the storefront with MEDUSA_WORKER_MODE=server
module.exports = defineConfig({
  projectConfig: {
    workerMode: (process.env.MEDUSA_WORKER_MODE as \"shared\" | \"worker\" | \"server\") || \"shared\",
  },
  modules: [
    {
      resolve: \"@medusajs/medusa/workflow-engine-redis\",
      options: { redis: { redisUrl: process.env.REDIS_URL } },
    },
  ],
})";

const RETENTION: &str = "// wherever a workflow of your own stores its executions; the time is in seconds
export const syncCatalogue = createWorkflow(
  { name: \"sync-catalogue\", store: true, retentionTime: 60 * 60 * 24 },
  () => {
    // …
  }
)";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::fixtures::*;
    use crate::finding::Outcome;

    fn executions(past: u64, kept: u64, stuck: u64, bytes: u64) -> Snapshot {
        store(|pg| {
            tables(pg, vec![table("workflow_execution", 10_000, bytes)]);
            counted(
                pg,
                &[
                    ("workflow_execution", "total", 10_000),
                    ("workflow_execution", "past_retention", past),
                    ("workflow_execution", "retention_null_final", kept),
                    ("workflow_execution", "stuck", stuck),
                    ("workflow_execution", "with_run_id", 10_000),
                ],
            );
        })
    }

    fn fails(snapshot: &Snapshot) -> bool {
        matches!(CHECK.run(snapshot), Outcome::Failed(_))
    }

    #[test]
    fn each_pile_has_its_own_bound() {
        assert!(!fails(&executions(999, 999, 99, 260_000_000)));
        assert!(fails(&executions(1_000, 0, 0, 1)));
        assert!(fails(&executions(0, 1_000, 0, 1)));
        assert!(fails(&executions(0, 0, 100, 1)));
    }

    #[test]
    fn a_large_table_is_named_even_when_cleaned() {
        assert!(!fails(&executions(0, 0, 0, 1_000_000_000)));
        let found = findings(&CHECK, &executions(0, 0, 0, 1_000_000_001));
        assert_eq!((found[0].step.as_str(), found[0].severity), ("Keep workflow executions for a shorter time", Severity::Low));
        let small = |bytes| {
            let mut snapshot = executions(0, 0, 0, bytes);
            snapshot.postgres.as_mut().unwrap().server.as_mut().unwrap().database_bytes = 490_000_000;
            snapshot
        };
        assert!(fails(&small(100_000_000)));
        assert!(!fails(&small(97_000_000)));
    }

    #[test]
    fn severity_follows_what_is_left() {
        // 5,000 of 10,000 rows of 1 GB, of 5 GB.
        assert_eq!(findings(&CHECK, &executions(5_000, 0, 0, 1_000_000_000))[0].severity, Severity::Medium);
        assert_eq!(findings(&CHECK, &executions(5_000, 5_000, 0, 1_300_000_000))[0].severity, Severity::High);
        assert_eq!(findings(&CHECK, &executions(0, 0, 100, 900_000_000))[0].severity, Severity::Low);
    }

    #[test]
    fn remedies_answer_the_cause() {
        let labels = |snapshot: &Snapshot| findings(&CHECK, snapshot)[0].remedies.iter().map(|r| r.label.clone()).collect::<Vec<_>>();
        assert!(labels(&executions(1_000, 0, 0, 1)).contains(&"Let an instance clean".to_owned()));
        assert!(labels(&executions(0, 0, 100, 1)).contains(&"See which run for days".to_owned()));
        assert!(!labels(&executions(0, 1_000, 0, 1)).contains(&"Let an instance clean".to_owned()));
    }

    #[test]
    fn version_1_has_none() {
        assert!(matches!(CHECK.run(&store(version_one)), Outcome::NotApplicable(_)));
    }

    #[test]
    fn an_unreadable_table_names_its_grant() {
        let gap = assert_unknown(&CHECK, &store(|pg| counted(pg, &[("workflow_execution", "total", 5), ("workflow_execution", "unreadable", 0)])));
        assert_eq!(gap.cause.remedy(), Some("grant select (id, state, retention_time, updated_at) on public.workflow_execution to \"advisor\";"));
    }

    #[test]
    fn its_needs_are_exact() {
        assert_needs_are_exact(&CHECK, &executions(5_000, 0, 0, 1));
    }
}
