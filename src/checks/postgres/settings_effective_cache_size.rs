//! `effective_cache_size` tells the planner of another machine than it runs on.

use crate::checks::server_settings::{Change, Effect, Settings, for_server, managed_name, memory, memory_gap, platform, shown};
use crate::checks::{Applies, Check};
use crate::evidence::postgres::{Index, Table};
use crate::evidence::{Gap, Layer, Section, Snapshot};
use crate::finding::{Cell, Confidence, Cost, Effort, Evidence, Finding, Resource, Severity, Subject};
use crate::text;

const MIB: u64 = 1_024 * 1_024;
/// The guides give a half to three quarters of the memory; less than a quarter is far off.
const MEMORY_SHARE_MIN: f64 = 0.25;
const MEMORY_SHARE_WANTED: f64 = 0.5;
/// More than there is.
const MEMORY_SHARE_MAX: f64 = 1.0;
/// Smaller tables are read whole with any setting.
const TABLE_BYTES_MIN: u64 = 10_000_000;
/// A scan of fewer rows is right.
const ROWS_A_SCAN_MIN: u64 = 10_000;
/// Since the reset; building an index and taking statistics are counted as scans too.
const SCANS_MIN: u64 = 100;

pub static CHECK: Check = Check {
    id: "pg-settings-effective-cache-size",
    layer: Layer::Postgres,
    title: "The planner reckons with another amount of cache than there is",
    passed: "The planner reckons with about the cache there is, or its plans do not suffer from it.",
    why: "The setting effective_cache_size takes no memory: it tells the planner how much of the database the server and the operating system hold in memory together. \
          Told too little, the planner takes an index for dear and reads whole tables instead.",
    remedy: "Set it to half of the machine's memory.",
    method: "Only where the database is larger than effective_cache_size and tables of 10 MB or more that have indexes are scanned whole (in the window, else \
             100 times since the reset, 10,000 rows a scan). Reported below a quarter of the machine's memory, above all of it, or below shared_buffers. \
             Platforms that size it themselves are left alone.",
    effort: Effort::Minutes,
    references: &["https://www.postgresql.org/docs/current/runtime-config-query.html#GUC-EFFECTIVE-CACHE-SIZE"],
    needs: &[Section::PgSettings, Section::PgServer, Section::PgTables, Section::PgIndexes],
    uses: &[],
    symptom_of: &[],
    applies_to,
    evaluate,
};

fn applies_to(snapshot: &Snapshot) -> Result<Applies, Gap> {
    Ok(match managed_name(platform(snapshot)?) {
        Some(name) => Applies::No(format!("{name} sizes effective_cache_size by the machine")),
        None => Applies::Yes,
    })
}

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let pg = snapshot.pg()?;
    let (server, settings) = (pg.server()?, Settings::of(snapshot)?);
    let (now, buffers) = (settings.bytes("effective_cache_size")?, settings.bytes("shared_buffers")?);
    let scanned = scanned(&pg.tables()?.rows, &pg.indexes()?.rows);
    // A database that the planner takes for cached whole is planned with the cheapest reads there are.
    if server.database_bytes <= now || scanned.is_empty() {
        return Ok(Vec::new());
    }
    let judged = |why: String, wanted: u64| vec![finding(&settings, &scanned, now, why, wanted)];
    Ok(match memory(snapshot) {
        Some(memory) if (now as f64) < memory as f64 * MEMORY_SHARE_MIN => {
            judged(format!("{} of the machine's {}", text::percent(now as f64 / memory as f64), text::bytes_memory(memory)), half(memory))
        }
        Some(memory) if now as f64 > memory as f64 * MEMORY_SHARE_MAX => {
            judged(format!("more than the machine's {}", text::bytes_memory(memory)), half(memory))
        }
        Some(_) => Vec::new(),
        None if now < buffers => judged(format!("less than shared_buffers alone ({})", text::bytes_memory(buffers)), buffers * 2),
        None => {
            return Err(memory_gap(format!(
                "effective_cache_size is {} and large tables are scanned whole; whether it is far off depends on the memory of the machine.",
                text::bytes_memory(now)
            )));
        }
    })
}

fn half(memory: u64) -> u64 {
    ((memory as f64 * MEMORY_SHARE_WANTED) as u64 / MIB * MIB).max(MIB)
}

/// A large table with an index that is read whole all the same: scans, rows a scan.
struct Scanned<'s> {
    table: &'s Table,
    scans: u64,
    rows_a_scan: u64,
}

fn scanned<'s>(tables: &'s [Table], indexes: &[Index]) -> Vec<Scanned<'s>> {
    let mut found: Vec<Scanned> = tables
        .iter()
        .filter(|t| t.kind == "r" && t.table_bytes >= TABLE_BYTES_MIN)
        .filter(|t| indexes.iter().any(|i| i.is_valid && i.schema == t.schema && i.table == t.name))
        .filter_map(|table| {
            let window = table.counters.window.filter(|w| w.seq_scans > 0);
            let counters = window.or_else(|| Some(table.counters.total).filter(|t| t.seq_scans >= SCANS_MIN))?;
            let rows_a_scan = counters.seq_rows_read / counters.seq_scans.max(1);
            (rows_a_scan >= ROWS_A_SCAN_MIN).then_some(Scanned { table, scans: counters.seq_scans, rows_a_scan })
        })
        .collect();
    found.sort_by(|a, b| (b.scans * b.rows_a_scan).cmp(&(a.scans * a.rows_a_scan)).then_with(|| a.table.full_name().cmp(&b.table.full_name())));
    found
}

fn finding(settings: &Settings, scanned: &[Scanned], now: u64, why: String, wanted: u64) -> Finding {
    let row = |s: &Scanned| {
        vec![
            Cell::text(s.table.full_name()),
            Cell::number(s.table.table_bytes as f64, text::bytes_disk(s.table.table_bytes)),
            Cell::number(s.scans as f64, text::count(s.scans)),
            Cell::number(s.rows_a_scan as f64, text::count(s.rows_a_scan)),
        ]
    };
    let mut evidence = vec![Evidence::table(
        "Tables with indexes that are scanned whole",
        &["Table", "Size", "Scans", "Rows a scan"],
        scanned.iter().map(row).collect(),
    )];
    evidence.extend(
        ["effective_cache_size", "shared_buffers", "random_page_cost"].iter().filter_map(|n| Some(Evidence::text(n, shown(settings.find(n)?)))),
    );
    let risk = "Plans change, most for the better: compare the slowest statements before and after. It takes no memory.";
    Finding {
        subject: Subject::new("setting", "effective_cache_size"),
        observed: format!(
            "effective_cache_size is {}, {why}, and {} with indexes {} scanned whole.",
            text::bytes_memory(now),
            text::plural(scanned.len() as u64, "large table", "large tables"),
            if scanned.len() == 1 { "is" } else { "are" }
        ),
        step: format!("Set effective_cache_size to {}", text::bytes_memory(wanted)),
        evidence,
        severity: Severity::Low,
        confidence: Confidence::Low,
        confidence_because: "the scans may have other reasons; the planner was not asked with the new value".to_owned(),
        effort: Effort::Minutes,
        cost: Cost { resource: Resource::DatabaseTime, share: 0.01 },
        gain: None,
        averts: None,
        remedies: vec![for_server("plain", "Tell the planner", &[Change::bytes(settings, "effective_cache_size", wanted)], Effect::Reload, risk)],
        verify: format!(
            "show effective_cache_size; says {} in a new connection; the scans of the tables above become fewer.",
            text::bytes_memory(wanted)
        ),
        touches: vec!["setting:effective_cache_size".to_owned()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::fixtures::*;
    use crate::checks::server_settings::tests::{run_by, setting};
    use crate::evidence::postgres::Postgres;

    const GIB: u64 = 1_024 * MIB;

    /// A database of 5 GB of which one table is scanned, with so many MiB of cache told to the planner.
    fn planned(mib: u64, told: Option<u64>, edit: impl FnOnce(&mut Postgres)) -> Snapshot {
        store(|pg| {
            pg.settings = Ok(vec![setting("effective_cache_size", &(mib * 128).to_string(), "8kB"), setting("shared_buffers", "131072", "8kB")]);
            pg.server.as_mut().unwrap().memory_bytes = told;
            let mut image = table("image", 200_000, TABLE_BYTES_MIN);
            (image.counters.total.seq_scans, image.counters.total.seq_rows_read) = (SCANS_MIN, SCANS_MIN * ROWS_A_SCAN_MIN);
            tables(pg, vec![image]);
            indexes(pg, vec![index("image", "a", &["product_id"], None)]);
            edit(pg);
        })
    }

    #[test]
    fn a_quarter_and_all_of_the_memory_are_the_limits() {
        assert_passes(&CHECK, &planned(2_048, Some(8 * GIB), |_| {}));
        let found = findings(&CHECK, &planned(2_047, Some(8 * GIB), |_| {}));
        assert_eq!(found[0].remedies[0].text, "alter system set effective_cache_size = '4GB';\nselect pg_reload_conf();");
        assert_passes(&CHECK, &planned(4_096, Some(4 * GIB), |_| {}));
        assert!(findings(&CHECK, &planned(4_097, Some(4 * GIB), |_| {}))[0].observed.contains("more than the machine"));
    }

    #[test]
    fn without_the_memory_it_is_asked_unless_the_value_speaks() {
        assert!(assert_unknown(&CHECK, &planned(1_024, None, |_| {})).cause.remedy().is_some());
        assert!(findings(&CHECK, &planned(1_023, None, |_| {}))[0].observed.contains("shared_buffers alone"));
    }

    #[test]
    fn only_with_scans_and_data_beyond_it() {
        let small = |pg: &mut Postgres| pg.server.as_mut().unwrap().database_bytes = GIB;
        assert_passes(&CHECK, &planned(1_024, Some(64 * GIB), small));
        let scans = |n: u64| {
            planned(1_024, Some(64 * GIB), move |pg| {
                let counters = &mut pg.tables.as_mut().unwrap().rows[0].counters;
                (counters.total.seq_scans, counters.total.seq_rows_read) = (n, n * ROWS_A_SCAN_MIN);
            })
        };
        assert_passes(&CHECK, &scans(SCANS_MIN - 1));
        assert_eq!(findings(&CHECK, &scans(SCANS_MIN)).len(), 1);
        let short = |pg: &mut Postgres| pg.tables.as_mut().unwrap().rows[0].counters.total.seq_rows_read -= 1;
        assert_passes(&CHECK, &planned(1_024, Some(64 * GIB), short));
        let bare = |pg: &mut Postgres| indexes(pg, Vec::new());
        assert_passes(&CHECK, &planned(1_024, Some(64 * GIB), bare));
        let tiny = |pg: &mut Postgres| pg.tables.as_mut().unwrap().rows[0].table_bytes = TABLE_BYTES_MIN - 1;
        assert_passes(&CHECK, &planned(1_024, Some(64 * GIB), tiny));
    }

    #[test]
    fn platforms_size_it_themselves_and_needs_are_exact() {
        let outcome = CHECK.run(&planned(1_024, None, |pg| run_by(pg, "azure")));
        assert!(matches!(outcome, crate::finding::Outcome::NotApplicable(_)));
        assert_needs_are_exact(&CHECK, &planned(1_024, Some(64 * GIB), |_| {}));
    }
}
