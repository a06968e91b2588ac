//! Statements sort or hash more than `work_mem` holds and write temporary files.

use crate::checks::statement::Sums;
use crate::checks::workload::{Load, Workload, shape, workload};
use crate::checks::{Check, always};
use crate::evidence::postgres::quote;
use crate::evidence::{Gap, Layer, Section, Snapshot};
use crate::finding::{Basis, Cell, Confidence, Cost, Effort, Evidence, Finding, Gain, Remedy, RemedyKind, Resource, Severity, Subject};
use crate::text;

/// Temporary files a statement may write an hour; more than this competes with the database's own reads and writes.
const BYTES_AN_HOUR_MAX: f64 = 1e9;
/// Or the share of its own time that it spends on them, where the server measures it.
const OWN_TIME_SHARE_MAX: f64 = 0.10;
/// Share of the database time that a statement must have for the latter to matter.
const SHARE_MIN: f64 = 0.01;
/// Fewer are somebody's report or an import.
const CALLS_MIN: u64 = 10;
const BLOCK_BYTES: f64 = 8_192.0;
/// What an ordinary cloud disk writes and reads in sequence, where the server does not measure it.
const DISK_BYTES_A_SECOND: f64 = 500e6;
/// Rows take about twice as much room in memory as in a temporary file (pointers and headers, docs of `work_mem`).
const MEMORY_TO_DISK: f64 = 2.0;
/// Each sort or hash of each connection may take `work_mem`: beyond it a busy pool of thirty connections takes gigabytes.
const WORK_MEM_MB_MAX: u64 = 64;
/// The server's default, where its settings could not be read.
const WORK_MEM_MB_DEFAULT: u64 = 4;

pub static CHECK: Check = Check {
    id: "pg-temp-spill",
    layer: Layer::Postgres,
    title: "Statements sort and hash on disk for lack of memory",
    passed: "No statement writes temporary files worth naming.",
    why: "What a statement sorts or hashes must fit into work_mem. What does not is written to temporary files and read again, which is many times slower and \
          takes the disk from everything else.",
    remedy: "Sort less (fewer rows, fewer wide columns, an index in the order wanted) or give the application's role more work_mem.",
    method: "Statements that write 1 GB of temporary files an hour, or spend 10 % of their time on them (15 and later with track_io_timing) at 1 % of the database \
             time or more, from 10 calls. Together they are one finding, as one setting ends them. The cost is the time spent on the files: measured, \
             else modelled at 500 MB a second.",
    effort: Effort::Minutes,
    references: &["https://www.postgresql.org/docs/current/runtime-config-resource.html#GUC-WORK-MEM"],
    needs: &[Section::PgStatements],
    uses: &[Section::PgSettings],
    symptom_of: &[
        "pg-missing-index",
        "pg-commerce-index",
        "pg-link-filter-explosion",
        "pg-soft-delete-blind",
        "pg-search-without-trigram",
        "pg-pending-orders-index",
        "pg-costly-count",
        "pg-deep-offset",
        "pg-overfetch",
    ],
    applies_to: always,
    evaluate,
};

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let work = workload(snapshot)?;
    let mut spilling: Vec<Load> = work.loads.iter().filter(|l| is_spilling(&work, l)).copied().collect();
    spilling.sort_by(|a, b| written(b).total_cmp(&written(a)).then_with(|| a.statement.id.cmp(&b.statement.id)));
    Ok(if spilling.is_empty() { Vec::new() } else { vec![finding(snapshot, &work, &spilling)] })
}

fn is_spilling(work: &Workload, load: &Load) -> bool {
    let c = &load.counters;
    let is_much = work.ms_per_s(written(load)).is_some_and(|bytes_a_second| bytes_a_second * 3_600.0 >= BYTES_AN_HOUR_MAX);
    let is_slowed = c.temp_io_ms >= c.total_ms * OWN_TIME_SHARE_MAX && c.temp_io_ms > 0.0 && work.share(load) >= SHARE_MIN;
    c.temp_blocks_written > 0 && c.calls >= CALLS_MIN && (is_much || is_slowed)
}

/// Bytes written to temporary files.
fn written(load: &Load) -> f64 {
    load.counters.temp_blocks_written as f64 * BLOCK_BYTES
}

fn bytes_a_call(load: &Load) -> f64 {
    written(load) / load.counters.calls.max(1) as f64
}

/// Milliseconds spent on temporary files, and whether the server measured them.
fn spent_ms(load: &Load) -> (f64, bool) {
    let c = &load.counters;
    if c.temp_io_ms > 0.0 {
        return (c.temp_io_ms, true);
    }
    let blocks = (c.temp_blocks_written + c.temp_blocks_read) as f64;
    ((blocks * BLOCK_BYTES / DISK_BYTES_A_SECOND * 1e3).min(c.total_ms), false)
}

fn finding(snapshot: &Snapshot, work: &Workload, spilling: &[Load]) -> Finding {
    let sums = Sums::of(spilling);
    let bytes: f64 = spilling.iter().map(written).sum();
    let spent: f64 = spilling.iter().map(|l| spent_ms(l).0).sum();
    let is_measured = spilling.iter().all(|l| spent_ms(l).1);
    let share = work.share_of(spent);
    let now_mb = work_mem_mb(snapshot);
    let wanted_mb = wanted_mb(now_mb, spilling);
    let rate = work.ms_per_s(bytes).map(|b| format!(", {} an hour", text::bytes_disk((b * 3_600.0) as u64))).unwrap_or_default();
    let mut gain = Gain::new(if is_measured { Basis::Measured } else { Basis::Modelled }, format!("{} database time", text::minus_percent(share)));
    gain.database_time_share = Some(share);
    gain.database_ms_per_s = work.ms_per_s(spent);
    Finding {
        subject: Subject::new("setting", "work_mem"),
        observed: format!(
            "{} of {} {} wrote {} of temporary files{rate}: {} of the database time.",
            text::plural(sums.calls, "call", "calls"),
            text::plural(spilling.len() as u64, "statement", "statements"),
            work.words,
            text::bytes_disk(bytes as u64),
            text::percent(share)
        ),
        step: if wanted_mb > WORK_MEM_MB_MAX {
            "Sort less in the statements that spill".to_owned()
        } else {
            format!("Raise work_mem to {wanted_mb} MB")
        },
        evidence: evidence(work, spilling, now_mb),
        severity: Severity::from_share(share),
        confidence: if is_measured { Confidence::High } else { Confidence::Medium },
        confidence_because: format!("the time on temporary files is {}, {}", if is_measured { "measured" } else { "modelled" }, work.because()),
        effort: Effort::Minutes,
        cost: Cost { resource: Resource::DatabaseTime, share },
        gain: Some(gain),
        averts: None,
        remedies: remedies(spilling, wanted_mb),
        verify: "Restart Medusa, so that its connections take the setting, and audit again: the statements write no temporary blocks.".to_owned(),
        touches: spilling.iter().map(Load::touch).collect(),
    }
}

fn evidence(work: &Workload, spilling: &[Load], now_mb: u64) -> Vec<Evidence> {
    let row = |load: &Load| {
        let (ms, _) = spent_ms(load);
        vec![
            Cell::text(text::cut(&text::one_line(&load.statement.text), 160)),
            Cell::number(load.counters.calls as f64, text::count(load.counters.calls)),
            Cell::number(bytes_a_call(load), text::bytes_disk(bytes_a_call(load) as u64)),
            Cell::number(ms, text::millis(ms)),
            Cell::number(work.share(load), text::percent(work.share(load))),
        ]
    };
    vec![
        Evidence::table(
            "Statements",
            &["Statement", "Calls", "Written a call", "Time on files", "Share of time"],
            spilling.iter().map(row).collect(),
        ),
        Evidence::figure("work_mem of the server", (now_mb << 20) as f64, "bytes", text::bytes_memory(now_mb << 20)),
    ]
}

fn work_mem_mb(snapshot: &Snapshot) -> u64 {
    let of =
        |settings: &[crate::evidence::postgres::Setting]| settings.iter().find(|s| s.name == "work_mem").and_then(|s| s.value.parse::<u64>().ok());
    // In kB.
    snapshot.pg().ok().and_then(|pg| pg.settings().ok()).and_then(|s| of(s)).map_or(WORK_MEM_MB_DEFAULT, |kb| (kb / 1_024).max(1))
}

/// What the largest spill would need, as the next power of two.
fn wanted_mb(now_mb: u64, spilling: &[Load]) -> u64 {
    let largest = spilling.iter().map(bytes_a_call).fold(0.0, f64::max);
    let needed = now_mb as f64 + largest * MEMORY_TO_DISK / (1 << 20) as f64;
    (needed.ceil() as u64).next_power_of_two()
}

fn remedies(spilling: &[Load], wanted_mb: u64) -> Vec<Remedy> {
    let is_too_much = wanted_mb > WORK_MEM_MB_MAX;
    let mb = wanted_mb.min(WORK_MEM_MB_MAX);
    let role = spilling.iter().find_map(|l| l.statement.role.as_deref());
    let (text, undo) = match role {
        Some(role) => (format!("alter role {0} set work_mem = '{mb}MB';", quote(role)), format!("alter role {0} reset work_mem;", quote(role))),
        None => (
            format!("do $$ begin execute format('alter database %I set work_mem = ''{mb}MB''', current_database()); end $$;"),
            "do $$ begin execute format('alter database %I reset work_mem', current_database()); end $$;".to_owned(),
        ),
    };
    let table =
        spilling.first().and_then(|l| shape(&l.statement.text).main_table().map(|t| t.table.clone())).unwrap_or_else(|| "the table".to_owned());
    let raise = Remedy {
        kind: RemedyKind::Sql,
        label: if is_too_much {
            format!("Raise work_mem to {mb} MB, which serves the smaller spills")
        } else {
            "Raise work_mem for the application".to_owned()
        },
        text,
        lock: Some("None. Connections take it when they are opened: restart Medusa.".to_owned()),
        risk: format!(
            "Every sort and hash of every connection may take {}: thirty busy connections may take {} together.",
            text::bytes_memory(mb << 20),
            text::bytes_memory((mb << 20) * 30)
        ),
        undo: Some(undo),
    };
    let less = Remedy {
        kind: RemedyKind::Code,
        label: "Sort less".to_owned(),
        text: format!(
            "-- Sort keys, then fetch: the wide columns of {table} do not travel through the sort.\nselect t.* from (select id from {table} where … order by created_at desc limit 50) as page join {table} as t using (id) order by t.created_at desc;\n\n-- One report that needs more, and only it, inside its transaction:\nset local work_mem = '{}MB';\n",
            wanted_mb.clamp(32, 1_024)
        ),
        lock: None,
        risk: "None to other statements.".to_owned(),
        undo: Some("Take the change back.".to_owned()),
    };
    if is_too_much { vec![less, raise] } else { vec![raise, less] }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::fixtures::*;
    use crate::evidence::postgres::{Setting, Statement};
    use crate::finding::Outcome;

    const SORT: &str = "select * from review order by note";
    /// Hours that the fixtures count for.
    const HOURS: f64 = 7.0 * 24.0;

    fn spill(calls: u64, ms: f64, blocks: u64, temp_io_ms: f64) -> Statement {
        let mut one = statement("1", SORT, calls, ms);
        one.counters.total.temp_blocks_written = blocks;
        one.counters.total.temp_blocks_read = blocks;
        one.counters.total.temp_io_ms = temp_io_ms;
        one
    }

    fn shop(one: Statement) -> Snapshot {
        store(|pg| statements(pg, vec![one, statement("2", "select * from author where id = $1", 1_000, 100_000.0)]))
    }

    fn fails(snapshot: &Snapshot) -> bool {
        matches!(CHECK.run(snapshot), Outcome::Failed(_))
    }

    fn blocks_for(bytes_an_hour: f64) -> u64 {
        (bytes_an_hour * HOURS / BLOCK_BYTES) as u64
    }

    #[test]
    fn a_gigabyte_an_hour_bounds_it() {
        assert!(fails(&shop(spill(100, 500.0, blocks_for(1.0001e9), 0.0))));
        assert_passes(&CHECK, &shop(spill(100, 500.0, blocks_for(0.9999e9), 0.0)));
    }

    #[test]
    fn a_tenth_of_its_own_time_bounds_it() {
        assert!(fails(&shop(spill(100, 10_000.0, 1_000, 1_000.0))));
        assert_passes(&CHECK, &shop(spill(100, 10_000.0, 1_000, 999.0)));
        assert!(fails(&shop(spill(100, 1_011.0, 1_000, 1_000.0))));
        assert_passes(&CHECK, &shop(spill(100, 1_009.0, 1_000, 1_000.0)));
    }

    #[test]
    fn a_few_calls_are_a_report() {
        assert!(fails(&shop(spill(10, 10_000.0, 1_000, 5_000.0))));
        assert_passes(&CHECK, &shop(spill(9, 10_000.0, 1_000, 5_000.0)));
    }

    #[test]
    fn measured_time_is_the_cost() {
        let found = findings(&CHECK, &shop(spill(100, 100_000.0, 100_000, 60_000.0)));
        assert_eq!(found[0].severity, Severity::High);
        assert_eq!((found[0].confidence, found[0].subject.name.as_str()), (Confidence::High, "work_mem"));
        assert!((found[0].cost.share - 0.3).abs() < 1e-9);
        let modelled = findings(&CHECK, &shop(spill(100, 100_000.0, blocks_for(2e9), 0.0)));
        assert_eq!(modelled[0].confidence, Confidence::Medium);
    }

    #[test]
    fn work_mem_follows_the_spill_up_to_a_bound() {
        // 1,000 blocks in 100 calls: 82 kB a call beyond 4 MB.
        let small = findings(&CHECK, &shop(spill(100, 10_000.0, 1_000, 5_000.0)));
        assert_eq!(small[0].remedies[0].text, "alter role medusa set work_mem = '8MB';");
        let mut snapshot = shop(spill(100, 10_000.0, 100_000, 5_000.0));
        let Ok(pg) = &mut snapshot.postgres else { unreachable!("the fixture has Postgres") };
        pg.settings = Ok(vec![Setting {
            name: "work_mem".into(),
            value: "16384".into(),
            unit: Some("kB".into()),
            source: "default".into(),
            boot_value: None,
            pending_restart: false,
        }]);
        // 8.2 MB a call beyond 16 MB.
        assert_eq!(findings(&CHECK, &snapshot)[0].step, "Raise work_mem to 32 MB");
        let huge = findings(&CHECK, &shop(spill(100, 10_000.0, 1_000_000, 5_000.0)));
        assert_eq!(huge[0].step, "Sort less in the statements that spill");
        assert_eq!(huge[0].remedies[1].text, "alter role medusa set work_mem = '64MB';");
    }

    #[test]
    fn its_needs_are_exact() {
        assert_needs_are_exact(&CHECK, &shop(spill(100, 10_000.0, 1_000, 5_000.0)));
    }
}
