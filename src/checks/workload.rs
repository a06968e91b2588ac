//! Which counters count: the window where it saw enough, else since the last reset.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use time::OffsetDateTime;

use super::sql::{self, Kind, Shape};
use crate::evidence::postgres::{Statement, StatementCounters, Statements, quote};
use crate::evidence::{Cause, Gap, Section, Snapshot};
use crate::text;

/// A second of database time: below it, the shares of the statements are those of a few calls that happened to fall into the window.
const BUSY_MS_MIN: f64 = 1_000.0;
/// Or this many calls: a fast small store never spends a second, yet its call counts are telling.
const CALLS_MIN: u64 = 200;
/// Statements whose texts are read, costliest first: what follows costs nothing worth a finding, and reading a text takes up to 0.1 ms.
const READ_MAX: usize = 300;

/// Where the counters come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Period {
    Window,
    SinceReset,
}

/// The statements of the store, with their counters over one period.
pub struct Workload<'s> {
    pub period: Period,
    /// "in 30 s", "since 17 Nov 2026", "since the counters were reset".
    pub words: String,
    /// Seconds; `None`: the time of the reset is not known.
    pub span_s: Option<f64>,
    /// Milliseconds of all statements of the database, utility and migration statements not counted.
    pub total_ms: f64,
    pub calls: u64,
    /// Called in the period, costliest first.
    pub loads: Vec<Load<'s>>,
}

/// One statement with its counters of the period.
#[derive(Debug, Clone, Copy)]
pub struct Load<'s> {
    pub statement: &'s Statement,
    pub counters: StatementCounters,
}

impl Load<'_> {
    /// 8 KiB blocks touched a call, in memory or not.
    pub fn blocks_a_call(&self) -> f64 {
        let blocks = self.counters.blocks_hit + self.counters.blocks_read;
        if self.counters.calls == 0 { 0.0 } else { blocks as f64 / self.counters.calls as f64 }
    }

    pub fn touch(&self) -> String {
        format!("statement:{}", self.statement.id)
    }
}

impl Workload<'_> {
    /// Share 0…1 of the database time.
    pub fn share(&self, load: &Load) -> f64 {
        self.share_of(load.counters.total_ms)
    }

    pub fn share_of(&self, ms: f64) -> f64 {
        if self.total_ms > 0.0 { (ms / self.total_ms).clamp(0.0, 1.0) } else { 0.0 }
    }

    /// Milliseconds of database time a second that `ms` of the period stand for.
    pub fn ms_per_s(&self, ms: f64) -> Option<f64> {
        self.span_s.filter(|s| *s > 0.0).map(|s| ms / s)
    }

    /// Calls a second.
    pub fn calls_per_s(&self, calls: u64) -> Option<f64> {
        self.span_s.filter(|s| *s > 0.0).map(|s| calls as f64 / s)
    }

    /// How the period bears on confidence, as a clause.
    pub fn because(&self) -> String {
        match self.period {
            Period::Window => format!("measured {} of the store's own traffic", self.words),
            Period::SinceReset => format!("counted {}, the window saw too little", self.words),
        }
    }
}

/// A load with its text read.
pub struct ReadLoad<'s> {
    pub load: Load<'s>,
    pub shape: Rc<Shape>,
}

/// The statements over the window where it saw enough, else since the last reset.
///
/// # Errors
/// A gap when the statements could not be read or when neither period saw enough.
pub fn workload(snapshot: &Snapshot) -> Result<Workload<'_>, Gap> {
    let statements = snapshot.pg()?.statements()?;
    refuse_hidden(snapshot, statements)?;
    if let Some(total) = statements.total.window
        && snapshot.meta.window_s > 0.0
        && is_enough(&total)
    {
        let words = format!("in {}", text::seconds(snapshot.meta.window_s));
        return Ok(build(statements, Period::Window, words, Some(snapshot.meta.window_s), total));
    }
    let total = statements.total.total;
    if !is_enough(&total) {
        let cause = Cause::TooFew { have: total.calls, need: CALLS_MIN, what: "statement calls".to_owned() };
        let detail = format!("The statements were called {} since the counters were reset: too few to judge.", times(total.calls));
        return Err(Gap::new(Section::PgStatements, cause, detail));
    }
    let words = statements.reset_at.map_or_else(|| "since the counters were reset".to_owned(), |at| format!("since {}", text::date(at)));
    let span = statements.reset_at.map(|at| (snapshot.meta.taken_at - at).as_seconds_f64()).filter(|s| *s > 0.0);
    Ok(build(statements, Period::SinceReset, words, span, total))
}

/// A role that may read few of the texts finds nothing wrong with them, which is no pass.
fn refuse_hidden(snapshot: &Snapshot, statements: &Statements) -> Result<(), Gap> {
    let all_ms = statements.total.total.total_ms;
    let read_ms: f64 = statements.rows.rows.iter().map(|r| r.counters.total.total_ms).sum();
    if statements.hidden == 0 || all_ms <= 0.0 || read_ms >= all_ms * READABLE_SHARE_MIN {
        return Ok(());
    }
    let role = snapshot.pg()?.server.as_ref().map_or_else(|_| "medusa_advisor".to_owned(), |s| quote(&s.role));
    let detail = format!(
        "The role may read the texts of {} of the database time: {} are hidden from it.",
        text::percent(read_ms / all_ms),
        text::plural(statements.hidden, "statement", "statements")
    );
    Err(Gap::new(Section::PgStatements, Cause::Denied { grant: format!("grant pg_monitor to {role};") }, detail))
}

fn is_enough(total: &StatementCounters) -> bool {
    total.total_ms >= BUSY_MS_MIN || total.calls >= CALLS_MIN
}

fn build(statements: &Statements, period: Period, words: String, span_s: Option<f64>, total: StatementCounters) -> Workload<'_> {
    let mut total_ms = total.total_ms;
    let mut calls = total.calls;
    let mut loads = Vec::with_capacity(statements.rows.rows.len());
    for statement in &statements.rows.rows {
        let counters = match period {
            Period::Window => statement.counters.window,
            Period::SinceReset => Some(statement.counters.total),
        };
        let Some(counters) = counters.filter(|c| c.calls > 0) else { continue };
        if is_judged(&statement.text) {
            loads.push(Load { statement, counters });
        } else {
            total_ms -= counters.total_ms;
            calls = calls.saturating_sub(counters.calls);
        }
    }
    loads.sort_by(|a, b| b.counters.total_ms.total_cmp(&a.counters.total_ms).then_with(|| a.statement.id.cmp(&b.statement.id)));
    // The rows may have been read a moment after the sums.
    let kept: f64 = loads.iter().map(|l| l.counters.total_ms).sum();
    Workload { period, words, span_s, total_ms: total_ms.max(kept), calls, loads }
}

/// Reads the texts of the statements that matter, costliest first, each once.
pub fn read_loads<'s>(workload: &Workload<'s>) -> Vec<ReadLoad<'s>> {
    workload.loads.iter().take(READ_MAX).map(|load| ReadLoad { load: *load, shape: shape(&load.statement.text) }).collect()
}

/// How far the texts of [`read_loads`] were understood.
pub struct Unread<'s> {
    pub whole: usize,
    /// Tables and whole conditions were seen, the rest not.
    pub partly: usize,
    /// Nothing was understood; costliest first.
    pub not: Vec<Load<'s>>,
    /// Share 0…1 of the database time of those.
    pub share: f64,
}

/// Counts the texts that were understood whole, in part and not at all.
pub fn unread<'s>(workload: &Workload<'s>) -> Unread<'s> {
    let mut out = Unread { whole: 0, partly: 0, not: Vec::new(), share: 0.0 };
    for read in read_loads(workload) {
        match (read.shape.is_whole, read.shape.is_understood()) {
            (true, _) => out.whole += 1,
            (false, true) => out.partly += 1,
            (false, false) => out.not.push(read.load),
        }
    }
    out.share = workload.share_of(out.not.iter().map(|l| l.counters.total_ms).sum());
    out
}

/// Share of the database time whose texts must be readable; with less, what was not found may well be there.
const READABLE_SHARE_MIN: f64 = 0.5;

/// Texts remembered by one thread: more than one run reads.
const REMEMBERED_MAX: usize = 2 * READ_MAX;

thread_local! {
    /// Five checks ask for the same shapes and reading a text is what costs in all of them. A memory of a pure function: it never
    /// changes an answer.
    static REMEMBERED: RefCell<HashMap<String, Rc<Shape>>> = RefCell::new(HashMap::new());
}

/// The shape of a text, read once.
pub fn shape(text: &str) -> Rc<Shape> {
    if let Some(known) = REMEMBERED.with_borrow(|m| m.get(text).cloned()) {
        return known;
    }
    let shape = Rc::new(sql::read(text));
    REMEMBERED.with_borrow_mut(|memory| {
        if memory.len() >= REMEMBERED_MAX {
            memory.clear();
        }
        memory.insert(text.to_owned(), Rc::clone(&shape));
    });
    shape
}

/// Not a utility statement, not a migration, not the server's own catalogue being read.
fn is_judged(text: &str) -> bool {
    if sql::kind(text) == Kind::Utility {
        return false;
    }
    const NOT_JUDGED: [&str; 8] = [
        "mikro_orm_migrations",
        "link_module_migrations",
        "script_migrations",
        "\"migrations\"",
        "typeorm_metadata",
        "information_schema",
        "pg_catalog.pg_",
        "pg_stat_statements",
    ];
    !NOT_JUDGED.iter().any(|word| text.contains(word))
}

fn times(n: u64) -> String {
    text::plural(n, "time", "times")
}

/// How long the server's counters of tables and indexes have run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StatisticsAge {
    pub seconds: f64,
    pub since: OffsetDateTime,
    /// They were reset then; else they count at least from then, when the server started.
    pub is_exact: bool,
}

impl StatisticsAge {
    pub fn days(&self) -> f64 {
        self.seconds / 86_400.0
    }
}

/// Age of the counters in `pg_stat_user_tables` and `pg_stat_user_indexes`, by the server's own clock.
///
/// # Errors
/// A gap when the server could not be read or tells neither time.
pub fn statistics_age(snapshot: &Snapshot) -> Result<StatisticsAge, Gap> {
    let server = snapshot.pg()?.server()?;
    let (since, is_exact) = match (server.stats_reset_at, server.started_at) {
        (Some(at), _) => (at, true),
        (None, Some(at)) => (at, false),
        (None, None) => {
            let cause = Cause::Absent { feature: "the time of the last statistics reset".to_owned(), remedy: String::new() };
            return Err(Gap::new(Section::PgServer, cause, "The server does not tell since when its counters run."));
        }
    };
    Ok(StatisticsAge { seconds: (server.now - since).as_seconds_f64().max(0.0), since, is_exact })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::fixtures::{self, statement, store};

    fn with_total(window_ms: f64, window_calls: u64) -> Snapshot {
        let mut snapshot = store(|pg| fixtures::statements(pg, vec![statement("1", "select 1 from image", 500, 2_000.0)]));
        let Ok(pg) = &mut snapshot.postgres else { unreachable!("the fixture has Postgres") };
        let Ok(statements) = &mut pg.statements else { unreachable!("the fixture has statements") };
        statements.total.window = Some(StatementCounters { calls: window_calls, total_ms: window_ms, ..StatementCounters::default() });
        snapshot
    }

    #[test]
    fn the_window_counts_from_one_second_or_two_hundred_calls() {
        for (ms, calls, period) in [(1_000.0, 1, Period::Window), (999.0, 199, Period::SinceReset), (1.0, 200, Period::Window)] {
            let snapshot = with_total(ms, calls);
            assert_eq!(workload(&snapshot).map(|w| w.period), Ok(period), "{ms} ms, {calls} calls");
        }
    }

    #[test]
    fn hidden_texts_are_no_pass() {
        for (total_ms, is_refused) in [(2_000.0, false), (2_000.1, true)] {
            let snapshot = store(|pg| {
                fixtures::statements(pg, vec![statement("1", "select 1 from image", 500, 1_000.0)]);
                if let Ok(statements) = &mut pg.statements {
                    statements.hidden = 9;
                    statements.total.total.total_ms = total_ms;
                }
            });
            match workload(&snapshot).map(|w| w.loads.len()) {
                Ok(_) => assert!(!is_refused),
                Err(gap) => {
                    assert!(is_refused, "{}", gap.detail);
                    assert_eq!(gap.cause.remedy(), Some("grant pg_monitor to advisor;"));
                }
            }
        }
    }

    #[test]
    fn the_period_is_named() {
        assert_eq!(workload(&with_total(2_000.0, 500)).map(|w| w.words), Ok("in 30\u{a0}s".to_owned()));
        assert_eq!(workload(&with_total(1.0, 1)).map(|w| w.words), Ok("since 16 Nov 2026".to_owned()));
    }

    #[test]
    fn too_little_is_a_gap() {
        let snapshot = store(|pg| fixtures::statements(pg, vec![statement("1", "select 1 from image", 199, 999.0)]));
        assert!(matches!(workload(&snapshot), Err(Gap { cause: Cause::TooFew { have: 199, need: 200, .. }, .. })));
    }

    #[test]
    fn utility_and_migration_statements_are_left_out_of_rows_and_total() {
        let snapshot = store(|pg| {
            fixtures::statements(
                pg,
                vec![
                    statement("1", "select * from image where product_id = $1", 900, 900.0),
                    statement("2", "create index a on image (product_id)", 1, 500.0),
                    statement("3", "select * from \"mikro_orm_migrations\"", 10, 600.0),
                ],
            );
        });
        let workload = workload(&snapshot).unwrap();
        assert_eq!(workload.loads.len(), 1);
        assert!((workload.share(&workload.loads[0]) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn the_age_of_the_counters_is_told() {
        let mut snapshot = store(|_| {});
        let age = statistics_age(&snapshot).unwrap();
        assert!(age.is_exact && (age.days() - 60.0).abs() < 1e-6);
        let Ok(pg) = &mut snapshot.postgres else { unreachable!("the fixture has Postgres") };
        let Ok(server) = &mut pg.server else { unreachable!("the fixture has a server") };
        server.stats_reset_at = None;
        assert!(!statistics_age(&snapshot).unwrap().is_exact);
        let Ok(pg) = &mut snapshot.postgres else { unreachable!("the fixture has Postgres") };
        let Ok(server) = &mut pg.server else { unreachable!("the fixture has a server") };
        server.started_at = None;
        assert!(statistics_age(&snapshot).is_err());
    }
}
