//! A statement whose mean is over the target and whose share is worth the work.

use crate::checks::sql::{Shape, TableUse};
use crate::checks::statement::{LONG_LIST, explain, subject};
use crate::checks::workload::{Load, Workload, shape, workload};
use crate::checks::{Check, FINDINGS_MAX, always};
use crate::evidence::{Gap, Layer, Section, Snapshot};
use crate::finding::{Confidence, Cost, Effort, Evidence, Finding, Remedy, RemedyKind, Resource, Severity, Subject};
use crate::text;

/// Below it, a slow statement is a report that somebody runs, not the shop.
const SHARE_MIN: f64 = 0.01;
/// Fewer are one person's clicks.
const CALLS_MIN: u64 = 5;
/// Calls from which a mean is steady.
const CALLS_STEADY: u64 = 100;

pub static CHECK: Check = Check {
    id: "pg-slow-statement",
    layer: Layer::Postgres,
    title: "A statement is slower than the target",
    passed: "No statement with a share worth naming is slower than the target.",
    why: "A page waits for each of its statements in turn. One that takes longer than the target alone makes the page slow, and it holds a connection \
          that others wait for.",
    remedy: "Look at its plan. The usual causes are a missing index, a search by ilike, a count of everything, or a deep offset.",
    method: "Statements with a mean of the target (200 ms) or more, at least 1 % of the database time and 5 calls, over the window where it saw enough, else since \
             the counters were reset. Utility, migration and our own statements are left out. Statements with more than 1,000 placeholders are the product \
             lists of Medusa v2 and stay Info.",
    effort: Effort::Hours,
    references: &["https://www.postgresql.org/docs/current/using-explain.html", "https://www.postgresql.org/docs/current/pgstatstatements.html"],
    needs: &[Section::PgStatements],
    uses: &[],
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
    let slow = work
        .loads
        .iter()
        .filter(|l| l.counters.mean_ms() >= snapshot.meta.targets.slow_statement_ms && work.share(l) >= SHARE_MIN && l.counters.calls >= CALLS_MIN);
    Ok(slow.take(FINDINGS_MAX).map(|l| finding(snapshot, &work, l)).collect())
}

fn finding(snapshot: &Snapshot, work: &Workload, load: &Load) -> Finding {
    let (share, mean_ms) = (work.share(load), load.counters.mean_ms());
    let shape = shape(&load.statement.text);
    let cause = cause(load, &shape);
    let is_stock_list = load.statement.placeholders > LONG_LIST;
    let (confidence, because) = if load.counters.calls >= CALLS_STEADY {
        (Confidence::High, work.because())
    } else {
        (Confidence::Medium, format!("{} only, {}", text::plural(load.counters.calls, "call", "calls"), work.because()))
    };
    let mut touches = vec![load.touch()];
    touches.extend(shape.main_table().map(|t| format!("table:{}.{}", t.schema.as_deref().unwrap_or("public"), t.table)));
    Finding {
        subject: Subject::new("statement", subject(load, &shape)),
        observed: format!(
            "{} {}: {} a call against a target of {}, {} of the database time.{}",
            text::plural(load.counters.calls, "call", "calls"),
            work.words,
            text::millis(mean_ms),
            text::millis(snapshot.meta.targets.slow_statement_ms),
            text::percent(share),
            cause.observed()
        ),
        step: cause.step(&shape),
        evidence: evidence(load),
        severity: if is_stock_list { Severity::Info } else { Severity::from_share(share) },
        confidence,
        confidence_because: because,
        effort: Effort::Hours,
        cost: Cost { resource: Resource::DatabaseTime, share },
        gain: None,
        averts: None,
        remedies: cause.remedies(load),
        verify: format!("Audit again under the same traffic: its mean is below {}.", text::millis(snapshot.meta.targets.slow_statement_ms)),
        touches,
    }
}

fn evidence(load: &Load) -> Vec<Evidence> {
    let c = &load.counters;
    vec![
        Evidence::Code { label: "Statement".to_owned(), language: "sql".to_owned(), text: text::cut(&load.statement.text, 1_500) },
        Evidence::figure("Mean", c.mean_ms(), "ms", text::millis(c.mean_ms())),
        Evidence::figure("Longest call", c.max_ms, "ms", text::millis(c.max_ms)),
        Evidence::figure("Rows a call", c.rows_a_call(), "rows", text::number(c.rows_a_call())),
        Evidence::figure("Blocks a call", load.blocks_a_call(), "blocks", text::number(load.blocks_a_call())),
        Evidence::figure("Blocks written to temporary files", c.temp_blocks_written as f64, "blocks", text::count(c.temp_blocks_written)),
    ]
}

/// What the text shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Suspect {
    ProductList,
    Search,
    Count,
    Offset,
    Unknown,
}

fn cause(load: &Load, shape: &Shape) -> Suspect {
    let any = |f: fn(&TableUse) -> bool| shape.tables.iter().any(f);
    if load.statement.placeholders > LONG_LIST {
        Suspect::ProductList
    } else if any(|t| !t.like.is_empty()) || load.statement.text.to_lowercase().contains(" ilike ") {
        Suspect::Search
    } else if any(|t| t.is_aggregate && t.is_first) {
        Suspect::Count
    } else if any(|t| t.has_offset) {
        Suspect::Offset
    } else {
        Suspect::Unknown
    }
}

impl Suspect {
    fn observed(self) -> &'static str {
        match self {
            Suspect::ProductList => " It sends every product of the sales channel as a placeholder, as Medusa v2 does without the Index Module.",
            Suspect::Search => " It searches by ilike, which no ordinary index serves.",
            Suspect::Count => " It counts what it does not show.",
            Suspect::Offset => " It skips rows by offset and reads all it skips.",
            Suspect::Unknown => "",
        }
    }

    fn step(self, shape: &Shape) -> String {
        let table = shape.main_table().map_or("the statement's tables", |t| t.table.as_str());
        match self {
            Suspect::ProductList => "Serve the product lists from the Index Module".to_owned(),
            Suspect::Search => format!("Take the search in {table} off the database"),
            Suspect::Count => format!("Stop counting {table} on every page"),
            Suspect::Offset => format!("Page through {table} by key"),
            Suspect::Unknown => format!("Look at the plan of the slow statement on {table}"),
        }
    }

    fn remedies(self, load: &Load) -> Vec<Remedy> {
        let mut remedies = Vec::new();
        if self == Suspect::ProductList {
            remedies.push(Remedy {
                kind: RemedyKind::MedusaConfig,
                label: "Turn the Index Module on".to_owned(),
                text: "// npm install @medusajs/index, then MEDUSA_FF_INDEX_ENGINE=true and npx medusa db:migrate\nmodules: [\n  { resolve: \"@medusajs/index\" },\n]\n".to_owned(),
                lock: None,
                risk: "The first start copies the catalogue into tables of its own: minutes, and disk of about its size. Lists filtered by category stay as they are.".to_owned(),
                undo: Some("Remove the module and the flag.".to_owned()),
            });
        }
        remedies.push(explain(load));
        remedies
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::fixtures::*;
    use crate::evidence::postgres::Statement;

    fn busy(slow: Statement, rest_ms: f64) -> Snapshot {
        store(|pg| statements(pg, vec![slow, statement("9", "select * from region where id = $1", 100_000, rest_ms)]))
    }

    #[test]
    fn the_target_share_and_calls_bound_it() {
        let slow = |calls: u64, mean: f64| statement("1", "select * from review where note = $1", calls, calls as f64 * mean);
        assert_eq!(findings(&CHECK, &busy(slow(10, 200.0), 1_000.0)).len(), 1);
        assert_passes(&CHECK, &busy(slow(10, 199.9), 1_000.0));
        assert_eq!(findings(&CHECK, &busy(slow(5, 200.0), 1_000.0)).len(), 1);
        assert_passes(&CHECK, &busy(slow(4, 250.0), 1_000.0));
        assert_eq!(findings(&CHECK, &busy(slow(10, 200.0), 198_000.0)).len(), 1);
        assert_passes(&CHECK, &busy(slow(10, 200.0), 198_001.0));
    }

    #[test]
    fn the_users_target_counts() {
        let mut snapshot = busy(statement("1", "select * from review where note = $1", 10, 2_000.0), 1_000.0);
        snapshot.meta.targets.slow_statement_ms = 201.0;
        assert_passes(&CHECK, &snapshot);
    }

    #[test]
    fn the_cause_is_named_where_the_text_shows_it() {
        for (text, step) in [
            ("select * from review where note ilike $1", "Take the search in review off the database"),
            ("select count(*) from review where note = $1", "Stop counting review on every page"),
            ("select * from review order by id limit $1 offset $2", "Page through review by key"),
            ("select * from review where note = $1", "Look at the plan of the slow statement on review"),
        ] {
            assert_eq!(findings(&CHECK, &busy(statement("1", text, 100, 50_000.0), 1_000.0))[0].step, step);
        }
    }

    #[test]
    fn medusas_product_lists_are_an_info() {
        for (placeholders, severity) in [(1_000, Severity::High), (1_001, Severity::Info)] {
            let mut list = statement("1", "select * from product where id in ($1, …)", 100, 50_000.0);
            list.placeholders = placeholders;
            assert_eq!(findings(&CHECK, &busy(list, 1_000.0))[0].severity, severity);
        }
    }

    #[test]
    fn the_subject_outlives_the_queryid() {
        let found = findings(
            &CHECK,
            &busy(statement("1", "select * from review r join author a on a.id = r.author_id where r.note = $1", 99, 50_000.0), 1_000.0),
        );
        assert_eq!(found[0].subject.name, "rows of review(note, author_id) with 1 more");
        assert_eq!(found[0].confidence, Confidence::Medium);
        assert!(found[0].remedies[0].text.contains("explain execute slow_statement(null);"));
    }

    #[test]
    fn utility_statements_are_not_judged_and_needs_are_exact() {
        assert_passes(&CHECK, &busy(statement("1", "refresh materialized view totals", 10, 50_000.0), 2_000.0));
        assert_needs_are_exact(&CHECK, &busy(statement("1", "select * from review where note = $1", 100, 50_000.0), 1_000.0));
    }
}
