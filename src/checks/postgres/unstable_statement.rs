//! A statement that is usually quick and sometimes takes seconds.

use crate::checks::server_settings::{Change, Settings, for_role, server_wide};
use crate::checks::sql::{Kind, Shape};
use crate::checks::statement::{code, explain, is_key_check, subject, touches};
use crate::checks::workload::{Load, Workload, shape, workload};
use crate::checks::{Check, FINDINGS_MAX, always};
use crate::evidence::postgres::{StatementCounters, quote};
use crate::evidence::{Gap, Layer, Section, Snapshot};
use crate::finding::{Confidence, Cost, Effort, Evidence, Finding, Remedy, RemedyKind, Resource, Severity, Subject};
use crate::text;

/// Times the mean: parameters alone make a statement vary by its mean or two.
const DEVIATION_TO_MEAN_MIN: f64 = 3.0;
/// A second: what a shopper feels, whatever the page's other statements do.
const MAX_MS_MIN: f64 = 1_000.0;
/// Fewer say nothing about spread.
const CALLS_MIN: u64 = 100;
/// Calls as slow as the slowest that the deviation must stand for: one cold start or one import is no habit.
const SLOW_CALLS_MIN: f64 = 3.0;
/// Below it nobody waits often enough.
const SHARE_MIN: f64 = 0.01;
/// Calls from which three slow ones may still be chance.
const SLOW_CALLS_STEADY: f64 = 10.0;
/// Share of its time from which reading from disk explains the spread.
const IO_SHARE_MIN: f64 = 0.5;

pub static CHECK: Check = Check {
    id: "pg-unstable-statement",
    layer: Layer::Postgres,
    title: "A statement is quick on average and slow at times",
    passed: "No statement with a share worth naming swings between quick and slow.",
    why: "The average looks healthy while some shoppers wait seconds for the same page. They are the ones who leave, and no mean value ever shows them.",
    remedy: "Find out what the slow calls have in common: they wait for a lock, run another plan, or find their rows on disk instead of in memory.",
    method: "Since the counters were reset: a standard deviation of 3 times the mean or more, a slowest call of a second or more, 100 calls, 1 % of the database \
             time. The deviation must stand for at least three calls as slow as the slowest. The view keeps deviation and maximum for the whole period only.",
    effort: Effort::Hours,
    references: &[
        "https://www.postgresql.org/docs/current/auto-explain.html",
        "https://www.postgresql.org/docs/current/runtime-config-logging.html#GUC-LOG-LOCK-WAITS",
    ],
    needs: &[Section::PgStatements],
    uses: &[Section::PgServer, Section::PgSettings],
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
        "pg-temp-spill",
        "pg-slow-statement",
    ],
    applies_to: always,
    evaluate,
};

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let work = workload(snapshot)?;
    let total_ms = snapshot.pg()?.statements()?.total.total.total_ms;
    let unstable = work.loads.iter().filter(|l| is_unstable(&l.statement.counters.total, total_ms) && !is_key_check(&l.statement.text));
    Ok(unstable.take(FINDINGS_MAX).map(|l| finding(snapshot, &work, l, total_ms)).collect())
}

fn is_unstable(c: &StatementCounters, total_ms: f64) -> bool {
    c.calls >= CALLS_MIN
        && c.max_ms >= MAX_MS_MIN
        && c.stddev_ms >= c.mean_ms() * DEVIATION_TO_MEAN_MIN
        && slow_calls(c) >= SLOW_CALLS_MIN
        && c.total_ms >= total_ms * SHARE_MIN
}

/// How many calls as slow as the slowest the deviation stands for: each adds (max − mean)² to the sum of squares.
fn slow_calls(c: &StatementCounters) -> f64 {
    let one = (c.max_ms - c.mean_ms()).powi(2);
    if one > 0.0 { c.calls as f64 * c.stddev_ms.powi(2) / one } else { 0.0 }
}

fn finding(snapshot: &Snapshot, work: &Workload, load: &Load, total_ms: f64) -> Finding {
    let c = &load.statement.counters.total;
    let shape = shape(&load.statement.text);
    let suspect = suspect(c, &shape);
    let slow = slow_calls(c);
    // What the slow calls took, of all time: that is what steadiness would save.
    let share = (slow * c.max_ms / total_ms.max(1.0)).min(c.total_ms / total_ms.max(1.0));
    Finding {
        subject: Subject::new("statement", subject(load, &shape)),
        observed: format!(
            "{} take {} on average, the slowest {}. The spread stands for about {} as slow, {} of the database time.{}",
            text::plural(c.calls, "call", "calls"),
            text::millis(c.mean_ms()),
            text::millis(c.max_ms),
            text::plural(slow.round() as u64, "call", "calls"),
            text::percent(share),
            suspect.observed()
        ),
        step: suspect.step(shape.main_table().map_or("its tables", |t| t.table.as_str())),
        evidence: evidence(load, c),
        severity: Severity::from_share(share),
        confidence: if slow >= SLOW_CALLS_STEADY { Confidence::Medium } else { Confidence::Low },
        confidence_because: format!("concluded from mean, deviation and maximum of {}; {}", text::plural(c.calls, "call", "calls"), since(work)),
        effort: Effort::Hours,
        cost: Cost { resource: Resource::DatabaseTime, share },
        gain: None,
        averts: None,
        remedies: suspect.remedies(snapshot, load),
        verify: "Reset the statement's counters with select pg_stat_statements_reset(); and audit again after a day: its deviation is below three times its mean."
            .to_owned(),
        touches: touches(load, &shape),
    }
}

fn since(work: &Workload) -> String {
    match work.period {
        crate::checks::workload::Period::SinceReset => format!("counted {}", work.words),
        crate::checks::workload::Period::Window => "counted since the counters were reset".to_owned(),
    }
}

fn evidence(load: &Load, c: &StatementCounters) -> Vec<Evidence> {
    vec![
        code(load),
        Evidence::figure("Mean", c.mean_ms(), "ms", text::millis(c.mean_ms())),
        Evidence::figure("Standard deviation", c.stddev_ms, "ms", text::millis(c.stddev_ms)),
        Evidence::figure("Longest call", c.max_ms, "ms", text::millis(c.max_ms)),
        Evidence::figure("Time spent reading from disk", c.io_ms, "ms", text::millis(c.io_ms)),
    ]
}

/// What makes the slow calls slow, as far as the counters show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Suspect {
    Locks,
    Disk,
    Plan,
}

fn suspect(c: &StatementCounters, shape: &Shape) -> Suspect {
    if matches!(shape.kind, Kind::Update | Kind::Delete | Kind::Insert) {
        Suspect::Locks
    } else if c.io_ms >= c.total_ms * IO_SHARE_MIN {
        Suspect::Disk
    } else {
        Suspect::Plan
    }
}

impl Suspect {
    fn observed(self) -> &'static str {
        match self {
            Suspect::Locks => " It changes rows, so it probably waits for others that hold them.",
            Suspect::Disk => " Half of its time is reading from disk: the slow calls find their rows not in memory.",
            Suspect::Plan => " It reads, and not mostly from disk: the slow calls have other parameters, another plan, or wait for a lock.",
        }
    }

    fn step(self, table: &str) -> String {
        match self {
            Suspect::Locks => format!("Find what holds the rows of {table}"),
            Suspect::Disk => format!("Keep what is read of {table} in memory"),
            Suspect::Plan => format!("Log the plans of the slow calls on {table}"),
        }
    }

    fn remedies(self, snapshot: &Snapshot, load: &Load) -> Vec<Remedy> {
        match self {
            Suspect::Locks => vec![log_lock_waits(snapshot, load)],
            Suspect::Disk | Suspect::Plan => vec![auto_explain(load), explain(load)],
        }
    }
}

fn log_lock_waits(snapshot: &Snapshot, load: &Load) -> Remedy {
    let changes = [Change::plain(&Settings::known(snapshot), "log_lock_waits", "on")];
    let (label, risk) = (
        "Log who waits for whom",
        "Two lines in the log for each wait of a second or more (deadlock_timeout); they name statements with their values.",
    );
    // Supabase lets its role postgres change this one for roles only.
    if snapshot.pg().and_then(|pg| pg.server()).is_ok_and(|s| s.platform == "supabase") {
        return for_role(load.statement.role.as_deref().unwrap_or("postgres"), label, &changes, risk);
    }
    server_wide(snapshot, label, &changes, risk).unwrap_or_else(|| Remedy {
        kind: RemedyKind::Sql,
        label: "See who waits for whom".to_owned(),
        text: "select pid, pg_blocking_pids(pid) as waits_for, wait_event_type, wait_event, state_change\nfrom pg_stat_activity\nwhere \
               cardinality(pg_blocking_pids(pid)) > 0;"
            .to_owned(),
        lock: Some("None.".to_owned()),
        risk: "None: it reads. Run it while calls are slow.".to_owned(),
        undo: None,
    })
}

/// The module is part of the server and loads into the sessions of one role.
fn auto_explain(load: &Load) -> Remedy {
    let role = quote(load.statement.role.as_deref().unwrap_or("medusa"));
    Remedy {
        kind: RemedyKind::Sql,
        label: "Log the plans of slow calls".to_owned(),
        text: format!("alter role {role} set session_preload_libraries = 'auto_explain';\nalter role {role} set auto_explain.log_min_duration = '1s';"),
        lock: Some("None. Connections take it when they are opened: restart Medusa.".to_owned()),
        risk: "Plans hold values: treat the log as customer data. Without log_analyze the cost is that of a few lines of log. Needs a superuser; on RDS and Cloud \
               SQL the module is set in the parameter group or the flags."
            .to_owned(),
        undo: Some(format!("alter role {role} reset session_preload_libraries;\nalter role {role} reset auto_explain.log_min_duration;")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::fixtures::*;
    use crate::evidence::postgres::Statement;
    use crate::finding::Outcome;

    const READ: &str = "select * from review where note = $1";

    /// `calls` of which the deviation stands for `slow` at `max` milliseconds.
    fn swinging(text: &str, calls: u64, mean: f64, max: f64, slow: f64) -> Statement {
        let mut one = statement("1", text, calls, calls as f64 * mean);
        one.counters.total.max_ms = max;
        one.counters.total.stddev_ms = (slow * (max - mean).powi(2) / calls as f64).sqrt();
        one
    }

    fn shop(one: Statement, rest_ms: f64) -> Snapshot {
        store(|pg| statements(pg, vec![one, statement("2", "select * from author where id = $1", 50_000, rest_ms)]))
    }

    fn fails(snapshot: &Snapshot) -> bool {
        matches!(CHECK.run(snapshot), Outcome::Failed(_))
    }

    #[test]
    fn a_swinging_statement_is_named() {
        let found = findings(&CHECK, &shop(swinging(READ, 1_000, 20.0, 2_000.0, 8.0), 20_000.0));
        assert_eq!(found[0].subject.name, "rows of review(note)");
        assert!(found[0].observed.contains("stands for about 8\u{a0}calls as slow, 40\u{a0}% of the database time"), "{}", found[0].observed);
        assert_eq!((found[0].severity, found[0].confidence), (Severity::High, Confidence::Low));
        assert!(found[0].remedies[0].text.starts_with("alter role medusa set session_preload_libraries"));
    }

    #[test]
    fn each_bound_has_two_sides() {
        for (one, named) in [
            (swinging(READ, 100, 20.0, 1_000.0, 3.001), true),
            (swinging(READ, 100, 20.0, 1_000.0, 2.999), false),
            (swinging(READ, 99, 20.0, 1_000.0, 5.0), false),
            (swinging(READ, 100, 20.0, 999.0, 5.0), false),
            (swinging(READ, 100, 20.0, 1_000.0, 5.0), true),
        ] {
            let c = one.counters.total;
            let words = format!("{} calls, max {} ms, {} slow", c.calls, c.max_ms, slow_calls(&c));
            assert_eq!(fails(&shop(one, 1_000.0)), named, "{words}");
        }
        for (to_mean, named) in [(3.01, true), (2.99, false)] {
            let mut one = swinging(READ, 1_000, 100.0, 1_000.0, 5.0);
            one.counters.total.stddev_ms = 100.0 * to_mean;
            assert_eq!(fails(&shop(one, 1_000.0)), named, "{to_mean}");
        }
        assert!(fails(&shop(swinging(READ, 100, 20.0, 1_000.0, 5.0), 197_000.0)));
        assert_passes(&CHECK, &shop(swinging(READ, 100, 20.0, 1_000.0, 5.0), 199_000.0));
    }

    #[test]
    fn the_suspect_follows_the_statement_and_its_reads() {
        let change = swinging("update review set note = $1 where id = $2", 1_000, 20.0, 2_000.0, 20.0);
        let found = findings(&CHECK, &shop(change, 20_000.0));
        assert_eq!((found[0].step.as_str(), found[0].confidence), ("Find what holds the rows of review", Confidence::Medium));
        assert!(found[0].remedies[0].text.contains("log_lock_waits = on"));
        for (io, step) in [(10_000.0, "Keep what is read of review in memory"), (9_999.0, "Log the plans of the slow calls on review")] {
            let mut read = swinging(READ, 1_000, 20.0, 2_000.0, 8.0);
            read.counters.total.io_ms = io;
            assert_eq!(findings(&CHECK, &shop(read, 20_000.0))[0].step, step);
        }
    }

    #[test]
    fn its_needs_are_exact() {
        assert_needs_are_exact(&CHECK, &shop(swinging(READ, 1_000, 20.0, 2_000.0, 8.0), 20_000.0));
    }
}
