//! One statement takes a third of the database's time, though each call is quick.

use crate::checks::sql::{Kind, Shape, TableUse};
use crate::checks::statement::{caching_module, code, explain, is_key_check, is_search, rewrite, subject, touches};
use crate::checks::workload::{Load, Workload, shape, workload};
use crate::checks::{Check, always};
use crate::evidence::{Gap, Layer, Section, Snapshot};
use crate::finding::{Basis, Confidence, Cost, Effort, Evidence, Finding, Gain, Remedy, Resource, Severity, Subject};
use crate::text;

/// From a third on, the work on one statement is worth more than the work on all others (the share at which pg-extras names outliers).
const SHARE_MIN: f64 = 0.33;
/// Milliseconds of database time a second, a tenth of one core: below it the database is idle, and somebody always comes first.
const BUSY_MS_PER_S_MIN: f64 = 100.0;
/// A quarter of a core, and a whole one.
const BUSY_MS_PER_S_MEDIUM: f64 = 250.0;
const BUSY_MS_PER_S_HIGH: f64 = 1_000.0;
/// Where the server does not tell since when it counts: ten minutes of database time.
const BUSY_MS_MIN: f64 = 600_000.0;
/// Fewer are somebody's report.
const CALLS_MIN: u64 = 100;

pub static CHECK: Check = Check {
    id: "pg-dominant-statement",
    layer: Layer::Postgres,
    title: "One statement takes a third of the database time",
    passed: "No single quick statement dominates the database, or the database is nearly idle.",
    why: "Each call of the statement is quick, so it shows in no list of slow statements. Sent often enough it still is what the database does all day, and \
          every other statement queues behind it.",
    remedy: "Send it less often: keep the answer, ask for many rows at once, or stop asking at all. Which of them fits depends on what the statement does.",
    method: "A statement with 33 % or more of the database time and 100 calls, below the target for slow statements (those are reported as such), while all \
             statements together take at least a tenth of one core. Utility and migration statements and Postgres' own checks of foreign keys are \
             left out. The severity follows how busy the database is.",
    effort: Effort::Hours,
    references: &[
        "https://www.postgresql.org/docs/current/pgstatstatements.html",
        "https://docs.medusajs.com/resources/infrastructure-modules/caching",
    ],
    needs: &[Section::PgStatements],
    uses: &[Section::PgMedusa],
    symptom_of: &[
        "pg-missing-index",
        "pg-commerce-index",
        "pg-n-plus-one",
        "pg-link-filter-explosion",
        "pg-soft-delete-blind",
        "pg-search-without-trigram",
        "pg-pending-orders-index",
        "pg-costly-count",
        "pg-deep-offset",
        "pg-overfetch",
        "pg-temp-spill",
    ],
    applies_to: always,
    evaluate,
};

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let work = workload(snapshot)?;
    if is_idle(&work) {
        return Ok(Vec::new());
    }
    let slow_ms = snapshot.meta.targets.slow_statement_ms;
    let dominant = work.loads.iter().find(|l| {
        let c = &l.counters;
        work.share(l) >= SHARE_MIN && c.calls >= CALLS_MIN && c.mean_ms() < slow_ms && !is_key_check(&l.statement.text)
    });
    Ok(dominant.map(|l| finding(snapshot, &work, l)).into_iter().collect())
}

fn is_idle(work: &Workload) -> bool {
    match work.ms_per_s(work.total_ms) {
        Some(busy) => busy < BUSY_MS_PER_S_MIN,
        None => work.total_ms < BUSY_MS_MIN,
    }
}

fn finding(snapshot: &Snapshot, work: &Workload, load: &Load) -> Finding {
    let share = work.share(load);
    let shape = shape(&load.statement.text);
    let role = role(load, &shape);
    let busy = work.ms_per_s(work.total_ms);
    let (is_window, because) = (busy.is_some(), work.because());
    Finding {
        subject: Subject::new("statement", subject(load, &shape)),
        observed: format!(
            "{} {} of {} each take {} of the database time{}. {}",
            text::plural(load.counters.calls, "call", "calls"),
            work.words,
            text::millis(load.counters.mean_ms()),
            text::percent(share),
            busy.map(|b| format!(", which is {}", text::load(b / 1e3))).unwrap_or_default(),
            role.observed()
        ),
        step: role.step(shape.main_table().map_or("its tables", |t| t.table.as_str())),
        evidence: evidence(work, load),
        severity: match busy {
            Some(b) if b >= BUSY_MS_PER_S_HIGH => Severity::High,
            Some(b) if b >= BUSY_MS_PER_S_MEDIUM => Severity::Medium,
            _ => Severity::Low,
        },
        confidence: if is_window { Confidence::Medium } else { Confidence::Low },
        confidence_because: format!("{because}; whether its answers may be kept is for the code to say"),
        effort: Effort::Hours,
        cost: Cost { resource: Resource::DatabaseTime, share },
        gain: Some(gain(work, load, share)),
        averts: None,
        remedies: role.remedies(snapshot, load),
        verify: format!("Audit again under the same traffic: its share of the database time is below {}.", text::percent(SHARE_MIN)),
        touches: touches(load, &shape),
    }
}

fn evidence(work: &Workload, load: &Load) -> Vec<Evidence> {
    let c = &load.counters;
    let mut evidence = vec![
        code(load),
        Evidence::figure("Mean", c.mean_ms(), "ms", text::millis(c.mean_ms())),
        Evidence::figure("Rows a call", c.rows_a_call(), "rows", text::number(c.rows_a_call())),
        Evidence::figure("Blocks a call", load.blocks_a_call(), "blocks", text::number(load.blocks_a_call())),
    ];
    if let Some(rate) = work.calls_per_s(c.calls) {
        evidence.push(Evidence::figure("Calls", rate, "1/s", text::per_second(rate)));
    }
    evidence
}

/// Half of the calls asked for again is a cautious guess for whatever the fix turns out to be.
fn gain(work: &Workload, load: &Load, share: f64) -> Gain {
    const SAVING: f64 = 0.5;
    let mut gain = Gain::new(Basis::RuleOfThumb, format!("{} database time", text::minus_percent(share * SAVING)));
    gain.database_time_share = Some(share * SAVING);
    gain.database_ms_per_s = work.ms_per_s(load.counters.total_ms * SAVING);
    gain
}

/// What the statement does for the store, as far as its text shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Change,
    Poll,
    Search,
    Sum,
    Catalogue,
    Lookup,
    Read,
}

/// Tables that workers look into for work to do.
const QUEUES: [&str; 4] = ["staged_job", "workflow_execution", "notification", "batch_job"];
/// The same for every shopper, changed by the merchant alone.
const CATALOGUE: [&str; 11] =
    ["product", "price", "image", "region", "money_amount", "tax_rate", "currency", "store", "country", "sales_channel", "publishable_api_key"];
/// A lookup returns one row, or none.
const LOOKUP_ROWS_MAX: f64 = 1.5;

fn role(load: &Load, shape: &Shape) -> Role {
    let main = shape.main_table();
    let is = |f: fn(&TableUse) -> bool| main.is_some_and(f);
    if matches!(shape.kind, Kind::Insert | Kind::Update | Kind::Delete) {
        Role::Change
    } else if is(|t| QUEUES.contains(&t.table.as_str())) {
        Role::Poll
    } else if is_search(&load.statement.text) {
        Role::Search
    } else if is(|t| t.is_aggregate) {
        Role::Sum
    } else if is(|t| CATALOGUE.iter().any(|c| t.table == *c || t.table.starts_with(&format!("{c}_")))) {
        Role::Catalogue
    } else if load.counters.rows_a_call() <= LOOKUP_ROWS_MAX && is(|t| !t.equal.is_empty()) {
        Role::Lookup
    } else {
        Role::Read
    }
}

impl Role {
    fn observed(self) -> &'static str {
        match self {
            Role::Change => "It changes rows, one call at a time.",
            Role::Poll => "It asks a table of waiting work, mostly in vain.",
            Role::Search => "It searches text.",
            Role::Sum => "It counts or sums what changes slowly.",
            Role::Catalogue => "It reads the catalogue, which is the same for every shopper.",
            Role::Lookup => "It looks up single rows by their key.",
            Role::Read => "It reads what belongs to one shopper or order.",
        }
    }

    fn step(self, table: &str) -> String {
        match self {
            Role::Change => format!("Write {table} in batches"),
            Role::Poll => format!("Ask {table} for work less often"),
            Role::Search => format!("Take the search in {table} off the database"),
            Role::Sum => format!("Keep the totals of {table} instead of computing them"),
            Role::Catalogue => format!("Answer the reads of {table} from a cache"),
            Role::Lookup => format!("Look {table} up once a request, many at a time"),
            Role::Read => format!("Read {table} less often"),
        }
    }

    fn remedies(self, snapshot: &Snapshot, load: &Load) -> Vec<Remedy> {
        let is_second = snapshot.medusa().is_ok_and(|m| m.major == 2);
        let mut remedies = Vec::new();
        match self {
            Role::Catalogue if is_second => remedies.push(caching_module()),
            other => remedies.push(rewrite(other.label(), other.code(is_second), other.risk())),
        }
        remedies.push(explain(load));
        remedies
    }

    fn label(self) -> &'static str {
        match self {
            Role::Change => "Send many rows in one statement",
            Role::Poll => "Lengthen the interval",
            Role::Search => "Search elsewhere",
            Role::Sum => "Compute it at intervals",
            Role::Catalogue => "Keep the answer for a while",
            Role::Lookup => "Look up many at once",
            Role::Read => "Read it once a request",
        }
    }

    fn code(self, is_second: bool) -> &'static str {
        match (self, is_second) {
            (Role::Change, true) => {
                "// before: for (const row of rows) await service.updateThings(row)\n// One call with all rows is one transaction and a few statements:\nawait service.updateThings(rows)\n"
            }
            (Role::Change, false) => "// before: for (const row of rows) await repository.save(row)\nawait repository.save(rows, { chunk: 500 })\n",
            (Role::Poll, _) => {
                "// A job that finds nothing most of the time may ask a tenth as often; an event subscriber need not ask at all.\nexport const config = { name: \"look-for-work\", schedule: \"*/5 * * * *\" }\n"
            }
            (Role::Search, _) => {
                "// Send the storefront's search box to the search provider and read the products found by id:\nconst ids = await search(term)\nconst products = await sdk.store.product.list({ id: ids })\n"
            }
            (Role::Sum, _) => {
                "-- In a migration; a job refreshes it every few minutes:\n-- create materialized view totals as select …;\n-- create unique index on totals (id);\n-- refresh materialized view concurrently totals;\n"
            }
            (Role::Catalogue | Role::Lookup | Role::Read, false) => {
                "const key = `catalogue:${id}`\nlet row = await cacheService.get(key)\nif (!row) {\n  row = await repository.findOne({ where: { id } })\n  await cacheService.set(key, row, 300)\n}\n"
            }
            (Role::Catalogue | Role::Lookup | Role::Read, true) => {
                "// before: await Promise.all(ids.map((id) => service.retrieveThing(id)))\nconst { data } = await query.graph(\n  { entity: \"thing\", fields: [\"id\", \"name\"], filters: { id: ids } },\n  // From 2.11 on, with the caching module:\n  { cache: { enable: true } },\n)\n"
            }
        }
    }

    fn risk(self) -> &'static str {
        match self {
            Role::Change => "One failing row fails its batch: keep batches small enough to repeat.",
            Role::Poll => "Work waits up to one interval longer.",
            Role::Search => "The search index lags behind the catalogue by the time of one event.",
            Role::Sum => "The totals are as old as the last refresh.",
            Role::Catalogue | Role::Lookup | Role::Read => {
                "What is kept may be out of date for its lifetime: not for stock, prices in the cart, or anything of another shopper."
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::fixtures::*;
    use crate::evidence::Sampled;
    use crate::evidence::postgres::Statement;

    const DAY_MS: f64 = 86_400_000.0;
    /// The fixtures count for seven days.
    const SPAN_DAYS: f64 = 7.0;

    fn shop(text: &str, calls: u64, ms: f64, rest_ms: f64) -> Snapshot {
        store(|pg| statements(pg, vec![statement("1", text, calls, ms), statement("2", "select * from author where id = $1", 50_000, rest_ms)]))
    }

    /// All statements together take `busy` milliseconds a second, the first one `share` of them, at half a millisecond a call.
    fn busy(text: &str, busy: f64, share: f64) -> Snapshot {
        let total = busy / 1e3 * DAY_MS * SPAN_DAYS;
        // The rest is spread so that no other statement dominates.
        let rest: Vec<Statement> =
            (0..5).map(|i| statement(&format!("r{i}"), "select * from author where id = $1", 1_000_000, total * (1.0 - share) / 5.0)).collect();
        store(|pg| statements(pg, std::iter::once(statement("1", text, 100_000_000, total * share)).chain(rest).collect()))
    }

    const CARTS: &str = "select * from cart_line_item where cart_id = $1";

    #[test]
    fn a_third_of_the_time_bounds_it() {
        assert_eq!(findings(&CHECK, &busy(CARTS, 500.0, 0.331)).len(), 1);
        assert_passes(&CHECK, &busy(CARTS, 500.0, 0.329));
    }

    #[test]
    fn an_idle_database_has_no_dominant_statement() {
        assert_passes(&CHECK, &busy(CARTS, 99.9, 0.9));
        for (load, severity) in
            [(100.1, Severity::Low), (249.0, Severity::Low), (251.0, Severity::Medium), (999.0, Severity::Medium), (1_001.0, Severity::High)]
        {
            assert_eq!(findings(&CHECK, &busy(CARTS, load, 0.9))[0].severity, severity, "{load}");
        }
    }

    #[test]
    fn without_a_time_of_reset_the_sum_speaks() {
        for (ms, fails) in [(600_000.0, true), (599_999.0, false)] {
            let mut snapshot = shop(CARTS, 10_000_000, ms - 1.0, 1.0);
            let Ok(pg) = &mut snapshot.postgres else { unreachable!("the fixture has Postgres") };
            let Ok(seen) = &mut pg.statements else { unreachable!("the fixture has statements") };
            seen.reset_at = None;
            assert_eq!(matches!(CHECK.run(&snapshot), crate::finding::Outcome::Failed(_)), fails, "{ms}");
        }
    }

    #[test]
    fn slow_and_rare_statements_are_others_business() {
        let total = 0.5 * DAY_MS * SPAN_DAYS;
        let calls_at = |mean: f64| (total / mean) as u64;
        assert_passes(&CHECK, &shop(CARTS, calls_at(200.5), total, 1_000.0));
        assert_eq!(findings(&CHECK, &shop(CARTS, calls_at(199.0), total, 1_000.0)).len(), 1);
        let window = |calls: u64| {
            let mut snapshot = shop(CARTS, calls, 5_000.0, 100.0);
            let Ok(pg) = &mut snapshot.postgres else { unreachable!("the fixture has Postgres") };
            let Ok(seen) = &mut pg.statements else { unreachable!("the fixture has statements") };
            seen.total.window = Some(seen.total.total);
            seen.rows.rows.iter_mut().for_each(|s| s.counters = Sampled { total: s.counters.total, window: Some(s.counters.total) });
            snapshot
        };
        assert_eq!(findings(&CHECK, &window(100)).len(), 1);
        assert_passes(&CHECK, &window(99));
    }

    #[test]
    fn what_to_do_follows_the_kind_of_statement() {
        for (text, step) in [
            ("select * from product where handle = $1", "Answer the reads of product from a cache"),
            ("update cart set email = $1 where id = $2", "Write cart in batches"),
            ("select * from workflow_execution where state = $1", "Ask workflow_execution for work less often"),
            ("select count(*) from review where author_id = $1", "Keep the totals of review instead of computing them"),
            ("select * from review where note ilike $1", "Take the search in review off the database"),
            ("select * from review where id = $1", "Look review up once a request, many at a time"),
        ] {
            assert_eq!(findings(&CHECK, &busy(text, 500.0, 0.9))[0].step, step);
        }
        assert_passes(&CHECK, &busy(r#"SELECT $2 FROM ONLY "public"."order" x WHERE "id" OPERATOR(pg_catalog.=) $1 FOR KEY SHARE OF x"#, 500.0, 0.9));
    }

    #[test]
    fn its_needs_are_exact() {
        assert_needs_are_exact(&CHECK, &busy(CARTS, 500.0, 0.9));
    }
}
