//! More of what is read than usual is not in the server's cache.

use crate::checks::block_reads::{BlockReads, block_reads, working_set};
use crate::checks::server_settings::{PAGE_BYTES, Settings};
use crate::checks::{Check, always};
use crate::evidence::{Gap, Layer, Section, Snapshot};
use crate::finding::{Confidence, Cost, Effort, Evidence, Finding, Remedy, RemedyKind, Resource, Severity, Subject};
use crate::text;

/// What the guides name. Only a note: the operating system may hold the block, and a scan of one large table says more of its missing index.
const HIT_SHARE_MIN: f64 = 0.99;

pub static CHECK: Check = Check {
    id: "pg-cache-hit-low",
    layer: Layer::Postgres,
    title: "Postgres finds fewer than 99 % of blocks in its own cache",
    passed: "Postgres finds 99 % or more of the blocks in its own cache.",
    why: "A block that is not in shared buffers is asked of the operating system, and of the disk if that has not got it either. Disks are a thousand times \
          slower than memory; the operating system's cache is nearly as quick.",
    remedy: "First index what is scanned; then compare the working set with shared_buffers and give it more memory if it does not fit.",
    method: "Blocks found in shared buffers against all that were asked for, of this database, over the window where it saw 100,000, else since the reset. Not \
             judged within an hour of a start. A note, never more: Postgres cannot tell the operating system's cache from the disk.",
    effort: Effort::Hours,
    references: &["https://www.postgresql.org/docs/current/monitoring-stats.html#MONITORING-PG-STAT-DATABASE-VIEW"],
    needs: &[Section::PgServer],
    uses: &[Section::PgSettings, Section::PgTables, Section::PgIndexes],
    symptom_of: &["pg-missing-index", "pg-settings-shared-buffers"],
    applies_to: always,
    evaluate,
};

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let reads = block_reads(snapshot)?;
    Ok(if reads.hit_share() < HIT_SHARE_MIN { vec![finding(snapshot, &reads)?] } else { Vec::new() })
}

fn finding(snapshot: &Snapshot, reads: &BlockReads) -> Result<Finding, Gap> {
    let pg = snapshot.pg()?;
    let buffers = Settings::of(snapshot).and_then(|s| s.bytes("shared_buffers")).ok();
    let set = match (&pg.tables, &pg.indexes) {
        (Ok(tables), Ok(indexes)) => Some(working_set(reads, &tables.rows, &indexes.rows)),
        _ => None,
    };
    let fits = match (set, buffers) {
        (Some(set), Some(buffers)) if set > buffers => {
            format!(" Tables and indexes in use: {}, shared_buffers: {}.", text::bytes_memory(set), text::bytes_memory(buffers))
        }
        (Some(_), Some(buffers)) => format!(" What is in use fits in shared_buffers ({}).", text::bytes_memory(buffers)),
        _ => String::new(),
    };
    let mut evidence = vec![
        Evidence::figure("Found in shared buffers", reads.hit_share(), "share", text::percent(reads.hit_share())),
        Evidence::figure("Asked of the operating system", reads.read as f64, "blocks", text::count(reads.read)),
    ];
    if let Some(set) = set {
        evidence.push(Evidence::figure("Tables and indexes in use", set as f64, "bytes", text::bytes_memory(set)));
    }
    if let Some(buffers) = buffers {
        evidence.push(Evidence::figure("shared_buffers", buffers as f64, "bytes", text::bytes_memory(buffers)));
    }
    Ok(Finding {
        subject: Subject::new("server", "cache"),
        observed: format!(
            "{} of the blocks were in shared buffers {}; {} were asked of the operating system.{fits}",
            text::percent(reads.hit_share()),
            reads.words,
            text::bytes_disk(reads.read * PAGE_BYTES)
        ),
        step: "Find out what is read from disk".to_owned(),
        evidence,
        severity: Severity::Info,
        confidence: if reads.is_window { Confidence::Medium } else { Confidence::Low },
        confidence_because: "the operating system's cache counts as a miss".to_owned(),
        effort: Effort::Hours,
        cost: Cost { resource: Resource::Insight, share: 1.0 - reads.hit_share() },
        gain: None,
        averts: None,
        remedies: vec![top_readers()],
        verify: "Audit again at the same hour: 99 % or more of the blocks are found.".to_owned(),
        touches: vec!["setting:shared_buffers".to_owned()],
    })
}

fn top_readers() -> Remedy {
    Remedy {
        kind: RemedyKind::Sql,
        label: "See which statements read from disk".to_owned(),
        text:
            "select calls, shared_blks_read, shared_blks_hit, left(query, 80) as statement\nfrom pg_stat_statements\norder by shared_blks_read desc\n\
               limit 10;"
                .to_owned(),
        lock: Some("None: it reads the statement counters.".to_owned()),
        risk: "None. A statement that reads far more blocks than it returns rows wants an index, not memory.".to_owned(),
        undo: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::block_reads::tests::{in_window, read, started};
    use crate::checks::fixtures::*;
    use crate::checks::server_settings::tests::setting;

    #[test]
    fn ninety_nine_in_a_hundred_is_the_limit() {
        assert_passes(&CHECK, &read(990_000, 10_000, |_| {}));
        assert_eq!(findings(&CHECK, &read(989_999, 10_001, |_| {}))[0].severity, Severity::Info);
    }

    #[test]
    fn the_window_comes_first() {
        assert_passes(&CHECK, &read(0, 1_000_000, |pg| in_window(pg, 100_000, 0)));
        let found = findings(&CHECK, &read(1_000_000, 0, |pg| in_window(pg, 50_000, 50_000)));
        assert!(found[0].observed.contains("50"), "{}", found[0].observed);
    }

    #[test]
    fn the_working_set_is_compared() {
        let with = |kb8: &'static str| {
            read(0, 1_000_000, move |pg| {
                pg.settings = Ok(vec![setting("shared_buffers", kb8, "8kB")]);
                let mut busy = table("product", 10, 200_000_000);
                busy.counters.total.seq_scans = 1;
                tables(pg, vec![busy]);
            })
        };
        assert!(findings(&CHECK, &with("16384"))[0].observed.contains("Tables and indexes in use"));
        assert!(findings(&CHECK, &with("65536"))[0].observed.contains("fits in shared_buffers"));
    }

    #[test]
    fn a_cold_cache_is_unknown_and_needs_are_exact() {
        assert_unknown(&CHECK, &read(0, 1_000_000, |pg| started(pg, 60.0)));
        assert_needs_are_exact(&CHECK, &read(0, 1_000_000, |_| {}));
    }
}
