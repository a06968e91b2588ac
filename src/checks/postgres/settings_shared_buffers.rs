//! `shared_buffers` is far too small for what the store reads, or takes the memory that the rest needs.

use crate::checks::block_reads::{BlockReads, block_reads, working_set};
use crate::checks::server_settings::{Change, Effect, PAGE_BYTES, Settings, for_server, managed_name, memory, memory_gap, platform, shown};
use crate::checks::{Applies, Check};
use crate::evidence::postgres::{Postgres, StatementCounters};
use crate::evidence::{Gap, Layer, Section, Snapshot};
use crate::finding::{Cell, Confidence, Cost, Effort, Evidence, Finding, Remedy, Resource, Severity, Subject};
use crate::text;

const MIB: u64 = 1_024 * 1_024;
/// As shipped: made for a machine of 1995, so that it starts everywhere.
const SHIPPED_BYTES: u64 = 128 * MIB;
/// The documentation's starting point is a quarter of the machine's memory; less than half of that is far off.
const MEMORY_SHARE_MIN: f64 = 0.125;
const MEMORY_SHARE_WANTED: f64 = 0.25;
/// "It is unlikely that an allocation of more than 40 % works better"; at three quarters nothing is left for sorts and for the system.
const MEMORY_SHARE_MAX: f64 = 0.75;
/// From here on, 128 MB speak for themselves.
const DATABASE_BYTES_MIN: u64 = 2_000_000_000;
/// A smaller store lies in the operating system's cache: only measured reading makes it more than a note.
const DATABASE_BYTES_LOW: u64 = 1_000_000_000;
/// Fewer misses are not worth a restart.
const MISS_SHARE_MIN: f64 = 0.01;
/// Where the machine is not known: what one with 4 GiB bears.
const WANTED_UNTOLD: u64 = 1_024 * MIB;

pub static CHECK: Check = Check {
    id: "pg-settings-shared-buffers",
    layer: Layer::Postgres,
    title: "The cache of Postgres is far from what the store reads",
    passed: "The cache of Postgres suits what the store reads.",
    why: "Postgres keeps the blocks of tables and indexes in shared_buffers. With the 128 MB it is shipped with, a store of several gigabytes fetches the same \
          blocks again and again; with three quarters of the machine, sorts and connections find no memory left.",
    remedy: "Set shared_buffers to a quarter of the machine's memory and restart at a quiet hour.",
    method: "Where more than 1 % of the blocks were not in shared buffers and the database is larger than they: below an eighth of the machine's memory is \
             reported, or the shipped 128 MB on 2 GB of data where the memory was not told. Over three quarters of the memory is reported too. Platforms that \
             size it themselves are left alone.",
    effort: Effort::Minutes,
    references: &["https://www.postgresql.org/docs/current/runtime-config-resource.html#GUC-SHARED-BUFFERS"],
    needs: &[Section::PgSettings, Section::PgServer],
    uses: &[Section::PgTables, Section::PgIndexes, Section::PgStatements],
    symptom_of: &["pg-missing-index"],
    applies_to,
    evaluate,
};

fn applies_to(snapshot: &Snapshot) -> Result<Applies, Gap> {
    Ok(match managed_name(platform(snapshot)?) {
        Some(name) => Applies::No(format!("{name} sizes shared_buffers by the machine")),
        None => Applies::Yes,
    })
}

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let pg = snapshot.pg()?;
    let (server, settings) = (pg.server()?, Settings::of(snapshot)?);
    let (now, told) = (settings.bytes("shared_buffers")?, memory(snapshot));
    if let Some(memory) = told
        && now as f64 > memory as f64 * MEMORY_SHARE_MAX
    {
        return Ok(vec![too_large(&settings, now, memory)]);
    }
    // What fits is found after its first read.
    if server.database_bytes <= now {
        return Ok(Vec::new());
    }
    let reads = block_reads(snapshot)?;
    if reads.miss_share() <= MISS_SHARE_MIN {
        return Ok(Vec::new());
    }
    match told {
        Some(memory) if (now as f64) < memory as f64 * MEMORY_SHARE_MIN => {
            let wanted = (memory as f64 * MEMORY_SHARE_WANTED) as u64 / (64 * MIB) * (64 * MIB);
            Ok(vec![too_small(pg, &settings, &reads, now, wanted.max(SHIPPED_BYTES))])
        }
        Some(_) => Ok(Vec::new()),
        None if now <= SHIPPED_BYTES && server.database_bytes >= DATABASE_BYTES_MIN => Ok(vec![too_small(pg, &settings, &reads, now, WANTED_UNTOLD)]),
        None => Err(memory_gap(format!(
            "{} of the blocks were not in shared_buffers ({}); whether that is little depends on the memory of the machine.",
            text::percent(reads.miss_share()),
            text::bytes_memory(now)
        ))),
    }
}

fn too_small(pg: &Postgres, settings: &Settings, reads: &BlockReads, now: u64, wanted: u64) -> Finding {
    let io_share = io_share(pg);
    let told = pg.server.as_ref().ok().and_then(|s| s.memory_bytes);
    let of_memory =
        told.map_or_else(String::new, |m| format!(", {} of the machine's {}", text::percent(now as f64 / m as f64), text::bytes_memory(m)));
    let waits = io_share.map_or_else(String::new, |s| format!(" Statements spend {} of their time reading.", text::percent(s)));
    let is_pending = settings.find("shared_buffers").is_some_and(|s| s.pending_restart);
    let pending = if is_pending { " A new value waits for the restart." } else { "" };
    let risk = match told {
        Some(_) => {
            "The operating system's cache shrinks by as much. If the server does not start, its log says that the memory could not be had: undo it."
                .to_owned()
        }
        None => format!(
            "Right for a machine of 4 GiB or more that does nothing else: the rule is a quarter of its memory. {} in all must be free.",
            text::bytes_memory(wanted)
        ),
    };
    Finding {
        subject: Subject::new("setting", "shared_buffers"),
        observed: format!(
            "shared_buffers is {}{of_memory}: {} of the blocks were not in it {}.{waits}{pending}",
            text::bytes_memory(now),
            text::percent(reads.miss_share()),
            reads.words
        ),
        step: if is_pending { "Restart Postgres".to_owned() } else { format!("Raise shared_buffers to {}", text::bytes_memory(wanted)) },
        evidence: evidence(pg, settings, reads),
        // Without timing, misses may all have come out of the operating system's cache.
        severity: match io_share.map_or(Severity::Low, Severity::from_share) {
            Severity::Low if pg.server.as_ref().is_ok_and(|s| s.database_bytes < DATABASE_BYTES_LOW) => Severity::Info,
            measured => measured,
        },
        confidence: if told.is_some() && io_share.is_some() { Confidence::Medium } else { Confidence::Low },
        confidence_because: match io_share {
            Some(_) => "the time spent reading is measured, how much of it a larger cache saves is not".to_owned(),
            None => "reading is not timed (track_io_timing), so the operating system's cache may have served it".to_owned(),
        },
        effort: Effort::Minutes,
        cost: Cost { resource: Resource::DatabaseTime, share: io_share.unwrap_or(0.01) },
        gain: None,
        averts: None,
        remedies: vec![remedy(settings, wanted, &risk)],
        verify: format!(
            "show shared_buffers; says {}; an hour after the restart the audit finds fewer blocks outside it.",
            text::bytes_memory(wanted)
        ),
        touches: touches(pg),
    }
}

fn remedy(settings: &Settings, wanted: u64, risk: &str) -> Remedy {
    for_server("plain", "Resize the cache", &[Change::bytes(settings, "shared_buffers", wanted)], Effect::Restart, risk)
}

fn too_large(settings: &Settings, now: u64, memory: u64) -> Finding {
    let wanted = (memory as f64 * MEMORY_SHARE_WANTED) as u64 / (64 * MIB) * (64 * MIB);
    let share = now as f64 / memory as f64;
    Finding {
        subject: Subject::new("setting", "shared_buffers"),
        observed: format!("shared_buffers is {}, {} of the machine's {}.", text::bytes_memory(now), text::percent(share), text::bytes_memory(memory)),
        step: format!("Lower shared_buffers to {}", text::bytes_memory(wanted)),
        evidence: ["shared_buffers", "work_mem", "max_connections"]
            .iter()
            .filter_map(|n| Some(Evidence::text(n, shown(settings.find(n)?))))
            .collect(),
        severity: Severity::Low,
        confidence: Confidence::Medium,
        confidence_because: "by the memory of the machine as it was told".to_owned(),
        effort: Effort::Minutes,
        cost: Cost { resource: Resource::Risk, share: 0.1 },
        gain: None,
        averts: Some("a server that the system ends for lack of memory".to_owned()),
        remedies: vec![remedy(settings, wanted.max(SHIPPED_BYTES), "Blocks that no longer fit come out of the operating system's cache.")],
        verify: format!("show shared_buffers; says {}.", text::bytes_memory(wanted)),
        touches: vec!["setting:shared_buffers".to_owned()],
    }
}

/// Share of the statements' time that they spent reading blocks; `None` where it is not timed.
fn io_share(pg: &Postgres) -> Option<f64> {
    let statements = pg.statements.as_ref().ok()?;
    let counted: &StatementCounters = statements.total.window.as_ref().filter(|w| w.io_ms > 0.0).unwrap_or(&statements.total.total);
    (counted.io_ms > 0.0 && counted.total_ms > 0.0).then(|| (counted.io_ms / counted.total_ms).clamp(0.0, 1.0))
}

/// The statements that read half of it: where one of them lacks an index, that is the cause.
fn touches(pg: &Postgres) -> Vec<String> {
    let mut touches = vec!["setting:shared_buffers".to_owned()];
    let Ok(statements) = &pg.statements else { return touches };
    let read = |c: &crate::evidence::Sampled<StatementCounters>| c.window.unwrap_or(c.total).blocks_read;
    let all: u64 = statements.rows.rows.iter().map(|s| read(&s.counters)).sum();
    let most = statements.rows.rows.iter().filter(|s| all > 0 && read(&s.counters) * 2 >= all);
    touches.extend(most.map(|s| format!("statement:{}", s.id)));
    touches
}

fn evidence(pg: &Postgres, settings: &Settings, reads: &BlockReads) -> Vec<Evidence> {
    let mut evidence = vec![
        Evidence::figure("Found in shared buffers", reads.hit_share(), "share", text::percent(reads.hit_share())),
        Evidence::figure("Read from outside", (reads.read * PAGE_BYTES) as f64, "bytes", text::bytes_disk(reads.read * PAGE_BYTES)),
    ];
    if let Ok(server) = &pg.server {
        evidence.push(Evidence::figure("Database", server.database_bytes as f64, "bytes", text::bytes_disk(server.database_bytes)));
    }
    if let (Ok(tables), Ok(indexes)) = (&pg.tables, &pg.indexes) {
        let set = working_set(reads, &tables.rows, &indexes.rows);
        evidence.push(Evidence::figure("Tables and indexes in use", set as f64, "bytes", text::bytes_disk(set)));
        let mut largest: Vec<_> = tables.rows.iter().filter(|t| t.kind != "p").collect();
        largest.sort_by(|a, b| b.total_bytes().cmp(&a.total_bytes()).then_with(|| (&a.schema, &a.name).cmp(&(&b.schema, &b.name))));
        let row = |t: &&crate::evidence::postgres::Table| {
            vec![Cell::text(t.full_name()), Cell::number(t.total_bytes() as f64, text::bytes_disk(t.total_bytes()))]
        };
        if !largest.is_empty() {
            evidence.push(Evidence::table("Largest tables", &["Table", "With indexes"], largest.iter().take(5).map(row).collect()));
        }
    }
    evidence.extend(["shared_buffers", "track_io_timing"].iter().filter_map(|n| Some(Evidence::text(n, shown(settings.find(n)?)))));
    evidence
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::block_reads::tests::{read, started};
    use crate::checks::fixtures::*;
    use crate::checks::server_settings::tests::{run_by, setting};

    const GIB: u64 = 1_024 * MIB;

    /// A store of 5 GB with so many MiB of shared buffers; one block in ten is missed.
    fn buffered(mib: u64, told: Option<u64>, edit: impl FnOnce(&mut Postgres)) -> Snapshot {
        read(9_000_000, 1_000_000, |pg| {
            pg.settings = Ok(vec![setting("shared_buffers", &(mib * MIB / PAGE_BYTES).to_string(), "8kB")]);
            pg.server.as_mut().unwrap().memory_bytes = told;
            edit(pg);
        })
    }

    #[test]
    fn the_shipped_size_speaks_for_itself_on_large_data() {
        let found = findings(&CHECK, &buffered(128, None, |_| {}));
        assert_eq!(found[0].severity, Severity::Low);
        assert!(found[0].remedies[0].text.contains("alter system set shared_buffers = '1GB';"));
        let sized = |bytes| buffered(128, None, move |pg| pg.server.as_mut().unwrap().database_bytes = bytes);
        assert_eq!(findings(&CHECK, &sized(2_000_000_000)).len(), 1);
        assert!(assert_unknown(&CHECK, &sized(1_999_999_999)).cause.remedy().is_some());
        assert_passes(&CHECK, &sized(128 * MIB));
    }

    #[test]
    fn without_the_memory_the_rest_is_asked() {
        let gap = assert_unknown(&CHECK, &buffered(129, None, |_| {}));
        assert!(gap.cause.remedy().is_some_and(|r| r.contains("--postgres-memory")));
    }

    #[test]
    fn a_value_that_waits_wants_the_restart() {
        let found = findings(&CHECK, &buffered(128, None, |pg| pg.settings.as_mut().unwrap()[0].pending_restart = true));
        assert!(found[0].step == "Restart Postgres" && found[0].observed.ends_with("waits for the restart."));
    }

    #[test]
    fn an_eighth_of_the_memory_is_the_limit() {
        assert_passes(&CHECK, &buffered(1_024, Some(8 * GIB), |_| {}));
        let found = findings(&CHECK, &buffered(1_023, Some(8 * GIB), |_| {}));
        assert!(found[0].remedies[0].text.contains("shared_buffers = '2GB'"));
        assert!(found[0].remedies[0].text.contains("restart"));
    }

    #[test]
    fn a_small_store_gets_a_note() {
        let sized = |bytes| buffered(128, Some(8 * GIB), move |pg| pg.server.as_mut().unwrap().database_bytes = bytes);
        assert_eq!(findings(&CHECK, &sized(999_999_999))[0].severity, Severity::Info);
        assert_eq!(findings(&CHECK, &sized(1_000_000_000))[0].severity, Severity::Low);
    }

    #[test]
    fn three_quarters_are_too_much() {
        assert_passes(&CHECK, &buffered(6_144, Some(8 * GIB), |_| {}));
        assert!(findings(&CHECK, &buffered(6_145, Some(8 * GIB), |_| {}))[0].step.starts_with("Lower"));
    }

    #[test]
    fn what_is_found_in_the_cache_needs_none() {
        let hit = |missed: u64| {
            let snapshot = buffered(128, None, |pg| {
                let counters = &mut pg.server.as_mut().unwrap().counters.total;
                (counters.blocks_hit, counters.blocks_read) = (1_000_000 - missed, missed);
            });
            matches!(CHECK.run(&snapshot), crate::finding::Outcome::Failed(_))
        };
        assert!(!hit(10_000));
        assert!(hit(10_001));
        assert_unknown(&CHECK, &buffered(128, None, |pg| started(pg, 60.0)));
    }

    #[test]
    fn measured_reading_time_decides_the_severity() {
        let timed = |io_ms: f64| {
            buffered(128, None, move |pg| {
                statements(pg, vec![statement("1", "select * from product where id = $1", 1_000, 100_000.0)]);
                pg.statements.as_mut().unwrap().total.total.io_ms = io_ms;
            })
        };
        for (io_ms, severity) in [(4_999.0, Severity::Low), (5_000.0, Severity::Medium), (25_000.0, Severity::High)] {
            assert_eq!(findings(&CHECK, &timed(io_ms))[0].severity, severity, "{io_ms}");
        }
    }

    #[test]
    fn platforms_size_it_themselves() {
        let outcome = CHECK.run(&buffered(128, None, |pg| run_by(pg, "rds")));
        assert!(matches!(outcome, crate::finding::Outcome::NotApplicable(reason) if reason.contains("Amazon RDS")));
    }

    #[test]
    fn its_needs_are_exact() {
        assert_needs_are_exact(&CHECK, &buffered(128, None, |_| {}));
    }
}
