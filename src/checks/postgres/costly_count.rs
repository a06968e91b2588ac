//! Lists count all their rows to show a number of pages.

use crate::checks::index::find_table;
use crate::checks::statement::{Sums, has_long_list, is_read, is_search, rewrite, table as statement_table};
use crate::checks::workload::{Load, Workload, read_loads, workload};
use crate::checks::{Check, FINDINGS_MAX, always};
use crate::evidence::postgres::{Table, quote};
use crate::evidence::{Gap, Layer, Section, Snapshot};
use crate::finding::{Basis, Confidence, Cost, Effort, Evidence, Finding, Gain, Remedy, RemedyKind, Resource, Severity, Subject};
use crate::text;

/// Fewer rows are counted in a few milliseconds.
const ROWS_MIN: u64 = 50_000;
/// Below it the number is worth its price.
const SHARE_MIN: f64 = 0.05;
/// Fewer are one person's clicks.
const CALLS_MIN: u64 = 10;
/// A list's count returns one number; a report returns one a group.
const ROWS_A_CALL_MAX: f64 = 1.0;
/// Blocks a call below which an index answered: the number is then cheap and the calls are many.
const BLOCKS_A_CALL_MIN: f64 = 100.0;
/// Of a count, kept for a minute while it is asked for many times.
const SAVING: f64 = 0.9;

pub static CHECK: Check = Check {
    id: "pg-costly-count",
    layer: Layer::Postgres,
    title: "Lists count all rows of a large table",
    passed: "Counting for lists costs little.",
    why: "Beside each page of a list the database counts everything the list could show, to tell how many pages there are. No index shortens that: every \
          matching row is looked at, on every request, and few people ever look at the last page.",
    remedy: "Ask for one row more than the page shows instead of the number, keep the number for a minute, or take the planner's estimate.",
    method: "Selects of count(…) that return one row a call and touch at least 100 blocks, on tables of 50,000 rows or more, together from 10 calls and 5 % of the \
             database time a table. Searches by like and lists of thousands of ids are other checks' business.",
    effort: Effort::Hours,
    references: &[
        "https://wiki.postgresql.org/wiki/Count_estimate",
        "https://www.postgresql.org/docs/current/routine-vacuuming.html#VACUUM-FOR-VISIBILITY-MAP",
    ],
    needs: &[Section::PgStatements, Section::PgTables],
    uses: &[Section::PgMedusa],
    symptom_of: &["pg-missing-index", "pg-commerce-index", "pg-soft-delete-blind", "pg-pending-orders-index"],
    applies_to: always,
    evaluate,
};

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let tables = snapshot.pg()?.tables()?;
    let work = workload(snapshot)?;
    let mut groups: Vec<(&Table, Vec<Load>)> = Vec::new();
    for read in read_loads(&work) {
        let text = read.load.statement.text.to_ascii_lowercase();
        let is_count =
            text.contains("count(") && read.load.counters.rows_a_call() <= ROWS_A_CALL_MAX && read.load.blocks_a_call() >= BLOCKS_A_CALL_MIN;
        if !is_count || !is_read(&read.load, &read.shape) || is_search(&text) || has_long_list(&read.load) {
            continue;
        }
        // TypeORM counts a sub-query: its tables are no aggregates, and the first of them is the list's.
        let counted = read.shape.tables.iter().find(|t| t.is_first && t.is_aggregate).or_else(|| read.shape.main_table());
        let Some(table) = counted.and_then(|t| find_table(&tables.rows, t)) else { continue };
        if table.rows().is_none_or(|r| r < ROWS_MIN) {
            continue;
        }
        match groups.iter_mut().find(|(t, _)| std::ptr::eq(*t, table)) {
            Some((_, loads)) => loads.push(read.load),
            None => groups.push((table, vec![read.load])),
        }
    }
    groups.retain(|(_, loads)| {
        let sums = Sums::of(loads);
        sums.calls >= CALLS_MIN && work.share_of(sums.total_ms) >= SHARE_MIN
    });
    Ok(groups.iter().take(FINDINGS_MAX).map(|(table, loads)| finding(snapshot, &work, table, loads)).collect())
}

fn finding(snapshot: &Snapshot, work: &Workload, table: &Table, loads: &[Load]) -> Finding {
    let sums = Sums::of(loads);
    let share = work.share_of(sums.total_ms);
    let rows = table.rows().unwrap_or(0);
    let mut touches: Vec<String> = loads.iter().map(Load::touch).collect();
    touches.push(format!("table:{}.{}", table.schema, table.name));
    Finding {
        subject: Subject::new("table", format!("{}.{}", table.schema, table.name)),
        observed: format!(
            "{} {} counted {} of {}: {} a call, {} of the database time.",
            text::plural(sums.calls, "call", "calls"),
            work.words,
            table.name,
            text::plural(rows, "row", "rows"),
            text::millis(sums.mean_ms()),
            text::percent(share)
        ),
        step: format!("Stop counting {} on every page", table.name),
        evidence: vec![statement_table(work, loads), Evidence::figure("Rows in the table", rows as f64, "rows", text::count(rows))],
        severity: Severity::from_share(share),
        confidence: Confidence::Medium,
        confidence_because: format!("{}; whether anybody looks at the number is not visible from the database", work.because()),
        effort: Effort::Hours,
        cost: Cost { resource: Resource::DatabaseTime, share },
        gain: Some(gain(work, &sums, share)),
        averts: None,
        remedies: remedies(snapshot, table),
        verify: format!("Audit again under the same traffic: counts of {} are below {} of the database time.", table.name, text::percent(SHARE_MIN)),
        touches,
    }
}

fn gain(work: &Workload, sums: &Sums, share: f64) -> Gain {
    let mut gain = Gain::new(Basis::RuleOfThumb, format!("{} database time", text::minus_percent(share * SAVING)));
    gain.database_time_share = Some(share * SAVING);
    gain.database_ms_per_s = work.ms_per_s(sums.total_ms * SAVING);
    gain
}

fn remedies(snapshot: &Snapshot, table: &Table) -> Vec<Remedy> {
    let name = format!("{}.{}", quote(&table.schema), quote(&table.name));
    let entity = &table.name;
    let code = match snapshot.medusa().map(|m| m.major) {
        Ok(2) => format!(
            "// In your own routes: list instead of listAndCount, and one row more than the page shows.\nconst rows = await service.list{}s(filters, {{ take: limit + 1, skip }})\nres.json({{ rows: rows.slice(0, limit), has_next: rows.length > limit }})\n\n// query.graph counts when it is given skip; page by key instead:\nconst {{ data }} = await query.graph({{ entity: \"{entity}\", fields: [\"id\"], filters: {{ id: {{ $gt: lastId }} }}, pagination: {{ take: limit + 1, order: {{ id: \"ASC\" }} }} }})\n",
            pascal(entity)
        ),
        _ => format!(
            "// find instead of findAndCount, and one row more than the page shows.\nconst rows = await {entity}Repository.find({{ where, take: limit + 1, skip }})\nres.json({{ rows: rows.slice(0, limit), has_next: rows.length > limit }})\n"
        ),
    };
    vec![
        rewrite("Ask for one row more instead", code, "The page knows whether there is a next one, not how many there are."),
        Remedy {
            kind: RemedyKind::Sql,
            label: "Take the planner's estimate".to_owned(),
            text: format!("select c.reltuples::bigint as rows from pg_catalog.pg_class as c where c.oid = '{}'::regclass;", name.replace('\'', "''")),
            lock: None,
            risk: "The number of all rows, soft-deleted ones included, as of the last vacuum or analyze: good for \"about 500,000 orders\"."
                .to_owned(),
            undo: None,
        },
        Remedy {
            kind: RemedyKind::Sql,
            label: "Let it count through an index".to_owned(),
            text: format!("vacuum (analyze) {name};"),
            lock: Some("SHARE UPDATE EXCLUSIVE: reads and writes go on. It reads what changed since the last vacuum.".to_owned()),
            risk:
                "Helps where autovacuum lags behind: counting through an index looks into the table for every page that is not marked as all visible."
                    .to_owned(),
            undo: None,
        },
    ]
}

/// `order_item` → `OrderItem`.
fn pascal(name: &str) -> String {
    name.split('_').map(|w| w.chars().next().map(|c| c.to_uppercase().chain(w.chars().skip(1)).collect::<String>()).unwrap_or_default()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::fixtures::*;
    use crate::evidence::postgres::Statement;
    use crate::finding::Outcome;

    const COUNT: &str = r#"select count(*) as "count" from "order" as "o0" where "o0"."deleted_at" is null and "o0"."is_draft_order" = $1"#;

    fn shop(statement: Statement, rows: u64) -> Snapshot {
        store(|pg| {
            tables(pg, vec![table("order", rows, 400 * rows)]);
            statements(pg, vec![statement, crate::checks::fixtures::statement("2", "select * from author where id = $1", 1_000, 10_000.0)]);
        })
    }

    fn fails(snapshot: &Snapshot) -> bool {
        matches!(CHECK.run(snapshot), Outcome::Failed(_))
    }

    #[test]
    fn counts_of_a_large_table_are_named() {
        let found = findings(&CHECK, &shop(scanning("1", COUNT, 100, 5_700.0, 4_000), 500_000));
        assert_eq!(found[0].subject.name, "public.order");
        assert_eq!(
            found[0].observed,
            "100\u{a0}calls since 16 Nov 2026 counted order of 500,000\u{a0}rows: 57\u{a0}ms a call, 36\u{a0}% of the database time."
        );
        assert_eq!(
            found[0].remedies[1].text,
            "select c.reltuples::bigint as rows from pg_catalog.pg_class as c where c.oid = 'public.\"order\"'::regclass;"
        );
    }

    #[test]
    fn each_bound_has_two_sides() {
        for (statement, rows, named) in [
            (scanning("1", COUNT, 100, 5_700.0, 100), 50_000, true),
            (scanning("1", COUNT, 100, 5_700.0, 99), 50_000, false),
            (scanning("1", COUNT, 100, 5_700.0, 100), 49_999, false),
            (scanning("1", COUNT, 10, 5_700.0, 100), 50_000, true),
            (scanning("1", COUNT, 9, 5_700.0, 100), 50_000, false),
            (scanning("1", COUNT, 100, 527.0, 100), 50_000, true),
            (scanning("1", COUNT, 100, 526.0, 100), 50_000, false),
        ] {
            let c = statement.counters.total;
            let words = format!("{} calls, {} ms, {} blocks, table of {rows}", c.calls, c.total_ms, c.blocks_hit);
            assert_eq!(fails(&shop(statement, rows)), named, "{words}");
        }
    }

    #[test]
    fn reports_searches_and_long_lists_are_others_business() {
        let mut report = scanning("1", "select status, count(*) from \"order\" group by status", 100, 5_700.0, 4_000);
        report.counters.total.rows = 600;
        assert_passes(&CHECK, &shop(report, 500_000));
        assert_passes(&CHECK, &shop(scanning("1", "select count(*) from \"order\" where email ilike $1", 100, 5_700.0, 4_000), 500_000));
        let long = Statement { placeholders: 20_000, ..scanning("1", COUNT, 100, 5_700.0, 4_000) };
        assert_passes(&CHECK, &shop(long, 500_000));
        assert_passes(&CHECK, &shop(scanning("1", "select * from \"order\" where id = $1", 100, 5_700.0, 4_000), 500_000));
    }

    #[test]
    fn counts_over_a_sub_query_belong_to_its_table() {
        let typeorm =
            r#"SELECT COUNT($5) AS "count" FROM (SELECT "order"."id" AS "order_id" FROM "public"."order" "order" WHERE "order"."status" = $1) "d""#;
        assert_eq!(findings(&CHECK, &shop(scanning("1", typeorm, 100, 5_700.0, 4_000), 500_000))[0].subject.name, "public.order");
    }

    #[test]
    fn its_needs_are_exact() {
        assert_needs_are_exact(&CHECK, &shop(scanning("1", COUNT, 100, 5_700.0, 4_000), 500_000));
    }
}
