//! `work_mem` is so small that everyday sorts and hashes go to disk.

use crate::checks::server_settings::{
    Change, PAGE_BYTES, Settings, bytes_of, for_workload, memory, memory_gap, of_role, only_role, platform, round_up, shown,
};
use crate::checks::workload::{Load, Workload, workload};
use crate::checks::{Check, always};
use crate::evidence::postgres::RoleSettings;
use crate::evidence::{Gap, Layer, Section, Snapshot};
use crate::finding::{Basis, Cell, Confidence, Cost, Effort, Evidence, Finding, Gain, Resource, Severity, Subject};
use crate::text;

const MIB: u64 = 1_024 * 1_024;
/// Spilled in the period; less is a report that somebody ran.
const SPILLED_BYTES_MIN: u64 = 100_000_000;
/// And an hour.
const SPILLED_BYTES_PER_H_MIN: f64 = 1e9;
/// Of one statement.
const CALLS_MIN: u64 = 10;
/// Rows lie looser in memory than on disk: what spills n bytes wants about twice that.
const IN_MEMORY_TIMES: u64 = 2;
/// Share of the spilled bytes that the new size must keep in memory; the rest is for the largest few.
const COVERED_SHARE: f64 = 0.8;
/// Without the machine's memory, 32 MiB in each of a hundred sessions is what a small production machine bears.
const WORK_MEM_UNTOLD_MAX: u64 = 32 * MIB;
/// With it, a quarter over all sessions, as the guides to tuning have it.
const MEMORY_SHARE: u64 = 4;
const WORK_MEM_MAX: u64 = 256 * MIB;
/// Where reading and writing temporary files is not timed: what a cloud disk moves a second.
const DISK_BYTES_PER_S: f64 = 250e6;

pub static CHECK: Check = Check {
    id: "pg-settings-work-mem",
    layer: Layer::Postgres,
    title: "Everyday sorts and hashes spill to disk for lack of work_mem",
    passed: "The sorts and hashes of everyday statements fit in work_mem.",
    why: "A sort, hash or group that does not fit in work_mem is written to temporary files and read again. Lists of products and orders then wait for the \
          disk, on every call.",
    remedy: "Raise work_mem for the application's role to what its statements spill, as far as the machine's memory allows.",
    method: "Statements called 10 times or more that write temporary files in the window (else since the reset), whose spill would fit in the work_mem the machine \
             can afford: a quarter of its memory over all sessions, at most 256 MiB; 32 MiB where its memory was not told. Reported from 100 MB and 1 GB an hour.",
    effort: Effort::Minutes,
    references: &["https://www.postgresql.org/docs/current/runtime-config-resource.html#GUC-WORK-MEM"],
    needs: &[Section::PgSettings, Section::PgStatements, Section::PgServer],
    uses: &[Section::PgRoles],
    symptom_of: &["pg-temp-spill"],
    applies_to: always,
    evaluate,
};

/// A statement that spills, and the work_mem that would keep it in memory.
struct Spill<'s> {
    load: Load<'s>,
    wanted: u64,
}

impl Spill<'_> {
    fn bytes(&self) -> u64 {
        self.load.counters.temp_blocks_written * PAGE_BYTES
    }
}

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let pg = snapshot.pg()?;
    pg.server()?;
    let (settings, workload) = (Settings::of(snapshot)?, workload(snapshot)?);
    let server = settings.bytes("work_mem")?;
    let roles: &[RoleSettings] = pg.roles.as_ref().map_or(&[], Vec::as_slice);
    let told = memory(snapshot);
    let affordable = affordable(told, settings.number("max_connections").unwrap_or(100.0));
    let spills = spills(&workload, server, roles);
    let (curable, larger): (Vec<Spill>, Vec<Spill>) = spills.into_iter().partition(|s| s.wanted <= affordable);
    if is_much(&curable, &workload) {
        let now = curable.iter().map(|s| has(&s.load, server, roles)).min().unwrap_or(server);
        return Ok(vec![finding(snapshot, &settings, &workload, &curable, now)?]);
    }
    let within_reach: Vec<Spill> = larger.into_iter().filter(|s| s.wanted <= WORK_MEM_MAX).collect();
    if told.is_none() && is_much(&within_reach, &workload) {
        return Err(memory_gap(
            "Statements spill more than 32 MiB of work_mem would hold; whether the server can afford more depends on the memory of its machine.",
        ));
    }
    Ok(Vec::new())
}

fn affordable(told: Option<u64>, connections: f64) -> u64 {
    match told {
        None => WORK_MEM_UNTOLD_MAX,
        Some(memory) => (memory / MEMORY_SHARE / (connections.max(1.0) as u64)).min(WORK_MEM_MAX),
    }
}

/// work_mem of the role that ran the statement.
fn has(load: &Load, server: u64, roles: &[RoleSettings]) -> u64 {
    let own = load.statement.role.as_deref().and_then(|r| of_role(roles, r, "work_mem"));
    own.and_then(|v| bytes_of(v, "kB")).unwrap_or(server)
}

fn spills<'s>(workload: &Workload<'s>, server: u64, roles: &[RoleSettings]) -> Vec<Spill<'s>> {
    let spilling = workload.loads.iter().filter(|l| l.counters.temp_blocks_written > 0 && l.counters.calls >= CALLS_MIN);
    let wanted = spilling.map(|load| {
        let each = load.counters.temp_blocks_written * PAGE_BYTES / load.counters.calls;
        Spill { load: *load, wanted: round_up((each * IN_MEMORY_TIMES).max(has(load, server, roles) + 1)) }
    });
    wanted.collect()
}

fn is_much(spills: &[Spill], workload: &Workload) -> bool {
    let bytes: u64 = spills.iter().map(Spill::bytes).sum();
    let per_h = workload.span_s.filter(|s| *s > 0.0).map_or(0.0, |s| bytes as f64 / s * 3_600.0);
    bytes >= SPILLED_BYTES_MIN && per_h >= SPILLED_BYTES_PER_H_MIN
}

fn finding(snapshot: &Snapshot, settings: &Settings, workload: &Workload, spills: &[Spill], now: u64) -> Result<Finding, Gap> {
    let bytes: u64 = spills.iter().map(Spill::bytes).sum();
    let wanted = covering(spills, bytes);
    let timed_ms: f64 = spills.iter().map(|s| s.load.counters.temp_io_ms).sum();
    let is_timed = timed_ms > 0.0;
    // Written once and read once.
    let ms = if is_timed { timed_ms } else { bytes as f64 * 2.0 / DISK_BYTES_PER_S * 1e3 };
    let share = workload.share_of(ms);
    let role = only_role(spills.iter().map(|s| s.load.statement));
    let mut gain = Gain::new(if is_timed { Basis::Measured } else { Basis::Modelled }, format!("−{} database time", text::percent(share)));
    gain.database_time_share = Some(share);
    gain.database_ms_per_s = workload.ms_per_s(ms);
    let memory = if memory(snapshot).is_some() { "" } else { " The machine's memory was not told: watch it after the change." };
    let risk = format!(
        "Each sort or hash of each session may use up to {}, several in one statement. Memory is taken only by what spilled before.{memory}",
        text::bytes_memory(wanted)
    );
    let changes = [Change::bytes(settings, "work_mem", wanted)];
    Ok(Finding {
        subject: Subject::new("setting", "work_mem"),
        observed: format!(
            "{} spilled {} to temporary files {} with {} of work_mem: {} of database time.",
            text::plural(spills.len() as u64, "statement", "statements"),
            text::bytes_disk(bytes),
            workload.words,
            text::bytes_memory(now),
            text::percent(share)
        ),
        step: format!("Raise work_mem to {}", text::bytes_memory(wanted)),
        evidence: evidence(settings, spills, now),
        severity: Severity::from_share(share),
        confidence: if is_timed { Confidence::High } else { Confidence::Medium },
        confidence_because: if is_timed {
            format!("{}, the time at the files included", workload.because())
        } else {
            "the bytes are counted, their time is reckoned at 250 MB/s: track_io_timing is off, or the version is older than 15".to_owned()
        },
        effort: Effort::Minutes,
        cost: Cost { resource: Resource::DatabaseTime, share },
        gain: Some(gain),
        averts: None,
        remedies: for_workload(platform(snapshot)?, role, "Raise work_mem", &changes, &risk),
        verify: "Audit again once the application has reconnected: the statements above write no temporary files.".to_owned(),
        touches: spills.iter().map(|s| s.load.touch()).collect(),
    })
}

/// The smallest size that keeps most of the spilled bytes in memory.
fn covering(spills: &[Spill], bytes: u64) -> u64 {
    let mut sizes: Vec<(u64, u64)> = spills.iter().map(|s| (s.wanted, s.bytes())).collect();
    sizes.sort_unstable();
    let mut covered = 0;
    for (wanted, spilled) in &sizes {
        covered += spilled;
        if covered as f64 >= bytes as f64 * COVERED_SHARE {
            return *wanted;
        }
    }
    sizes.last().map_or(WORK_MEM_UNTOLD_MAX, |(wanted, _)| *wanted)
}

fn evidence(settings: &Settings, spills: &[Spill], now: u64) -> Vec<Evidence> {
    let mut sorted: Vec<&Spill> = spills.iter().collect();
    sorted.sort_by(|a, b| b.bytes().cmp(&a.bytes()).then_with(|| a.load.statement.id.cmp(&b.load.statement.id)));
    let row = |s: &&Spill| {
        let each = s.bytes() / s.load.counters.calls.max(1);
        vec![
            Cell::text(s.load.statement.text.chars().take(120).collect::<String>()),
            Cell::number(s.load.counters.calls as f64, text::count(s.load.counters.calls)),
            Cell::number(each as f64, text::bytes_disk(each)),
            Cell::number(s.wanted as f64, text::bytes_memory(s.wanted)),
        ]
    };
    let mut evidence = vec![
        Evidence::table("Statements that spill", &["Statement", "Calls", "Spilled a call", "Would fit in"], sorted.iter().map(row).collect()),
        Evidence::figure("work_mem of their sessions", now as f64, "bytes", text::bytes_memory(now)),
    ];
    evidence.extend(["work_mem", "hash_mem_multiplier"].iter().filter_map(|n| Some(Evidence::text(n, shown(settings.find(n)?)))));
    evidence
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::fixtures::*;
    use crate::checks::server_settings::tests::{role, run_by, setting};
    use crate::evidence::postgres::Postgres;

    const SORT: &str = "select * from product order by title";
    /// The fixture's statements count for a week.
    const WEEK_H: u64 = 7 * 24;

    /// One statement that spills `mb` a call.
    fn spilling(calls: u64, mb: u64, edit: impl FnOnce(&mut Postgres)) -> Snapshot {
        store(|pg| {
            let mut sort = statement("7", SORT, calls, 1_000_000.0);
            sort.counters.total.temp_blocks_written = calls * mb * MIB / PAGE_BYTES;
            statements(pg, vec![sort]);
            pg.settings = Ok(vec![setting("work_mem", "4096", "kB"), setting("max_connections", "100", "")]);
            edit(pg);
        })
    }

    fn told(pg: &mut Postgres, gib: u64) {
        pg.server.as_mut().unwrap().memory_bytes = Some(gib * 1_024 * MIB);
    }

    #[test]
    fn a_gigabyte_an_hour_is_the_limit() {
        // 6 MiB a call.
        let calls = |bytes_per_h: f64| (bytes_per_h * WEEK_H as f64 / (6 * MIB) as f64) as u64;
        assert_passes(&CHECK, &spilling(calls(0.99e9), 6, |_| {}));
        let found = findings(&CHECK, &spilling(calls(1.01e9), 6, |_| {}));
        assert_eq!(found[0].remedies[0].text, "alter role medusa set work_mem = '16MB';");
        assert_eq!(found[0].remedies[1].text, "alter system set work_mem = '16MB';\nselect pg_reload_conf();");
        assert_eq!(found[0].remedies[1].undo.as_deref(), Some("alter system set work_mem = '4MB';\nselect pg_reload_conf();"));
    }

    #[test]
    fn what_one_person_ran_is_left_alone() {
        let once = |calls| spilling(calls, 16, |pg| pg.statements.as_mut().unwrap().reset_at = Some(time::macros::datetime!(2026-11-23 09:29 UTC)));
        assert_eq!(findings(&CHECK, &once(10)).len(), 1);
        assert_passes(&CHECK, &once(9));
        // 95 MB in all.
        let few = spilling(15, 6, |pg| pg.statements.as_mut().unwrap().reset_at = Some(time::macros::datetime!(2026-11-23 09:29 UTC)));
        assert_passes(&CHECK, &few);
    }

    #[test]
    fn what_the_machine_cannot_afford_is_asked_or_left() {
        // 17 MiB spilled want 64 MiB: more than an unknown machine bears.
        assert!(assert_unknown(&CHECK, &spilling(100_000, 17, |_| {})).cause.remedy().is_some_and(|r| r.contains("--postgres-memory")));
        assert!(findings(&CHECK, &spilling(100_000, 16, |_| {}))[0].step.contains("32"));
        // 16 GiB over four and a hundred sessions: 40 MiB; 32 GiB: 80 MiB.
        assert_passes(&CHECK, &spilling(100_000, 17, |pg| told(pg, 16)));
        assert!(findings(&CHECK, &spilling(100_000, 17, |pg| told(pg, 32)))[0].step.contains("64"));
        // What spills more than any work_mem holds is the statement's fault.
        assert_passes(&CHECK, &spilling(100_000, 200, |_| {}));
    }

    #[test]
    fn the_role_may_have_its_own() {
        let own = |value: &'static str| spilling(100_000, 6, move |pg| pg.roles = Ok(vec![role("medusa", 2, &[("work_mem", value, "role")])]));
        assert!(findings(&CHECK, &own("8MB"))[0].observed.contains("8"));
        assert!(findings(&CHECK, &own("16MB"))[0].step.contains("32"), "it spills with 16 MiB, so it wants more");
    }

    #[test]
    fn measured_time_decides_the_severity() {
        let timed = |ms: f64| {
            spilling(100_000, 6, move |pg| {
                let rows = &mut pg.statements.as_mut().unwrap().rows.rows;
                rows[0].counters.total.temp_io_ms = ms;
            })
        };
        let severity = |ms| findings(&CHECK, &timed(ms))[0].severity;
        assert_eq!(severity(49_999.0), Severity::Low);
        assert_eq!(severity(50_000.0), Severity::Medium);
        assert_eq!(severity(250_000.0), Severity::High);
        assert_eq!(findings(&CHECK, &timed(1.0))[0].confidence, Confidence::High);
    }

    #[test]
    fn each_platform_and_exact_needs() {
        let found = findings(&CHECK, &spilling(100_000, 6, |pg| run_by(pg, "neon")));
        assert_eq!(found[0].remedies.len(), 1);
        assert_needs_are_exact(&CHECK, &spilling(100_000, 6, |_| {}));
    }
}
