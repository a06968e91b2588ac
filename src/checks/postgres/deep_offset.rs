//! Pages far down a list: the database reads all it skips.

use crate::checks::index::find_table;
use crate::checks::statement::{Sums, is_read, rewrite, table as statement_table};
use crate::checks::workload::{Load, Workload, read_loads};
use crate::checks::{Check, FINDINGS_MAX, always, workload::workload};
use crate::evidence::postgres::{Table, quote};
use crate::evidence::{Gap, Layer, Section, Snapshot};
use crate::finding::{Basis, Confidence, Cost, Effort, Evidence, Finding, Gain, Remedy, Resource, Severity, Subject};
use crate::text;

/// Fewer rows are skipped in a few milliseconds.
const ROWS_MIN: u64 = 50_000;
/// Below it nobody pages deep, or few do.
const SHARE_MIN: f64 = 0.05;
/// Fewer are one person's clicks.
const CALLS_MIN: u64 = 10;
/// Blocks a call for each row returned from which most of what is read must be skipped: a row takes its own block and those of its joins.
const BLOCKS_A_ROW_MIN: f64 = 10.0;
/// And 4 MB a page altogether, so that a page of three rows with many joins is none.
const BLOCKS_A_CALL_MIN: f64 = 500.0;

pub static CHECK: Check = Check {
    id: "pg-deep-offset",
    layer: Layer::Postgres,
    title: "Lists are paged through by deep offsets",
    passed: "No list of a large table is costly for its offset.",
    why: "For offset 100,000 the database reads and throws away 100,000 rows before it returns the first. Each page is slower than the one before, and an \
          export or a crawler that walks to the end costs the square of the list's length.",
    remedy: "Continue after the last row that was seen instead of skipping: order by the key and ask for what follows it.",
    method: "Selects with limit and offset on tables of 50,000 rows or more that read at least 500 blocks a call and ten for each row they return, from 10 calls \
             and 5 % of the database time together. How deep the offsets are is concluded from the blocks: the values are not kept.",
    effort: Effort::Hours,
    references: &["https://use-the-index-luke.com/no-offset", "https://www.postgresql.org/docs/current/queries-limit.html"],
    needs: &[Section::PgStatements, Section::PgTables],
    uses: &[Section::PgMedusa],
    symptom_of: &[
        "pg-missing-index",
        "pg-commerce-index",
        "pg-link-filter-explosion",
        "pg-soft-delete-blind",
        "pg-search-without-trigram",
        "pg-pending-orders-index",
    ],
    applies_to: always,
    evaluate,
};

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let tables = snapshot.pg()?.tables()?;
    let work = workload(snapshot)?;
    let mut groups: Vec<(&Table, Vec<Load>)> = Vec::new();
    for read in read_loads(&work) {
        if !is_read(&read.load, &read.shape) {
            continue;
        }
        let paged = read.shape.tables.iter().find(|t| t.is_first && t.has_offset && t.has_limit && !t.is_aggregate);
        let Some(table) = paged.and_then(|t| find_table(&tables.rows, t)) else { continue };
        if table.rows().is_none_or(|r| r < ROWS_MIN) || !skips_most(&read.load) {
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

fn skips_most(load: &Load) -> bool {
    let blocks = load.blocks_a_call();
    blocks >= BLOCKS_A_CALL_MIN && blocks >= load.counters.rows_a_call() * BLOCKS_A_ROW_MIN
}

fn finding(snapshot: &Snapshot, work: &Workload, table: &Table, loads: &[Load]) -> Finding {
    let sums = Sums::of(loads);
    let share = work.share_of(sums.total_ms);
    let blocks = loads.iter().map(Load::blocks_a_call).fold(0.0, f64::max);
    let mut touches: Vec<String> = loads.iter().map(Load::touch).collect();
    touches.push(format!("table:{}.{}", table.schema, table.name));
    Finding {
        subject: Subject::new("table", format!("{}.{}", table.schema, table.name)),
        observed: format!(
            "{} {} for pages of {} read {} blocks to return {}: {} a call, {} of the database time.",
            text::plural(sums.calls, "call", "calls"),
            work.words,
            table.name,
            text::number(blocks),
            text::plural(sums.rows_a_call().round() as u64, "row", "rows"),
            text::millis(sums.mean_ms()),
            text::percent(share)
        ),
        step: format!("Page through {} by key", table.name),
        evidence: evidence(work, table, loads),
        severity: Severity::from_share(share),
        confidence: Confidence::Medium,
        confidence_because: format!("the depth is concluded from the blocks read, {}", work.because()),
        effort: Effort::Hours,
        cost: Cost { resource: Resource::DatabaseTime, share },
        gain: Some(gain(work, loads, &sums, share)),
        averts: None,
        remedies: vec![remedy(snapshot, table)],
        verify: format!(
            "Audit again while somebody pages to the end: a page of {} reads below {} blocks.",
            table.name,
            text::number(BLOCKS_A_CALL_MIN)
        ),
        touches,
    }
}

fn evidence(work: &Workload, table: &Table, loads: &[Load]) -> Vec<Evidence> {
    let rows = table.rows().unwrap_or(0);
    vec![statement_table(work, loads), Evidence::figure("Rows in the table", rows as f64, "rows", text::count(rows))]
}

/// By key, a page reads what it returns: ten blocks a row at most.
fn gain(work: &Workload, loads: &[Load], sums: &Sums, share: f64) -> Gain {
    let blocks: f64 = loads.iter().map(|l| (l.counters.blocks_hit + l.counters.blocks_read) as f64).sum();
    let saving = (1.0 - sums.rows as f64 * BLOCKS_A_ROW_MIN / blocks.max(1.0)).clamp(0.0, 0.99);
    let mut gain = Gain::new(Basis::Modelled, format!("{} database time", text::minus_percent(share * saving)));
    gain.database_time_share = Some(share * saving);
    gain.database_ms_per_s = work.ms_per_s(sums.total_ms * saving);
    gain
}

fn remedy(snapshot: &Snapshot, table: &Table) -> Remedy {
    let name = format!("{}.{}", quote(&table.schema), quote(&table.name));
    let entity = &table.name;
    let sql =
        format!("-- before: select … from {name} order by id limit 100 offset 100000\nselect * from {name} where id > $1 order by id limit 100;\n");
    let text = match snapshot.medusa().map(|m| m.major) {
        Ok(2) => format!(
            "{sql}\n// With query.graph; ids of Medusa grow with time, so they give the order of creation:\nconst {{ data }} = await query.graph({{\n  entity: \"{entity}\",\n  fields: [\"id\"],\n  filters: {{ id: {{ $gt: lastId }} }},\n  pagination: {{ take: 100, order: {{ id: \"ASC\" }} }},\n}})\n\n// Over the API, instead of offset: the time of the last row seen.\n// GET /admin/{entity}s?limit=100&order=created_at&created_at[$gt]=2026-01-31T10:00:00Z\n"
        ),
        Ok(1) => format!(
            "{sql}\n// With TypeORM:\nconst rows = await {entity}Repository.find({{ where: {{ id: MoreThan(lastId) }}, order: {{ id: \"ASC\" }}, take: 100 }})\n"
        ),
        _ => sql,
    };
    rewrite(
        "Continue after the last row seen",
        text,
        "There is no jump to page 500: only the next page. Rows with the same time can be missed when paging by created_at alone; the id has no equals.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::fixtures::*;
    use crate::evidence::postgres::Statement;
    use crate::finding::Outcome;

    const PAGES: &str = r#"select "o0".* from "order" as "o0" where "o0"."deleted_at" is null order by "o0"."id" asc limit $1 offset $2"#;

    fn pages(calls: u64, ms: f64, blocks: u64, rows: u64) -> Statement {
        let mut pages = scanning("1", PAGES, calls, ms, blocks);
        pages.counters.total.rows = rows * calls;
        pages
    }

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
    fn deep_pages_are_named() {
        let found = findings(&CHECK, &shop(pages(200, 10_000.0, 5_000, 20), 500_000));
        assert_eq!(found[0].subject.name, "public.order");
        assert_eq!(
            found[0].observed,
            "200\u{a0}calls since 16 Nov 2026 for pages of order read 5,000 blocks to return 20\u{a0}rows: 50\u{a0}ms a call, 50\u{a0}% of the database time."
        );
        assert_eq!(found[0].severity, Severity::High);
        assert!(found[0].remedies[0].text.contains("select * from public.\"order\" where id > $1"));
    }

    #[test]
    fn each_bound_has_two_sides() {
        for (statement, rows, named) in [
            (pages(200, 10_000.0, 500, 20), 50_000, true),
            (pages(200, 10_000.0, 499, 20), 50_000, false),
            (pages(200, 10_000.0, 500, 20), 49_999, false),
            (pages(200, 10_000.0, 1_000, 100), 50_000, true),
            (pages(200, 10_000.0, 999, 100), 50_000, false),
            (pages(10, 10_000.0, 500, 20), 50_000, true),
            (pages(9, 10_000.0, 500, 20), 50_000, false),
            (pages(200, 527.0, 500, 20), 50_000, true),
            (pages(200, 526.0, 500, 20), 50_000, false),
        ] {
            let c = statement.counters.total;
            let words = format!("{} calls, {} ms, {} blocks, {} rows, table of {rows}", c.calls, c.total_ms, c.blocks_hit, c.rows);
            assert_eq!(fails(&shop(statement, rows)), named, "{words}");
        }
    }

    #[test]
    fn lists_without_an_offset_are_healthy() {
        let first = scanning("1", "select * from \"order\" where deleted_at is null order by id limit $1", 200, 10_000.0, 5_000);
        assert_passes(&CHECK, &shop(first, 500_000));
    }

    #[test]
    fn the_remedy_follows_the_version() {
        let mut snapshot = shop(pages(200, 10_000.0, 5_000, 20), 500_000);
        assert!(findings(&CHECK, &snapshot)[0].remedies[0].text.contains("$gt: lastId"));
        let Ok(pg) = &mut snapshot.postgres else { unreachable!("the fixture has Postgres") };
        let Ok(medusa) = &mut pg.medusa else { unreachable!("the fixture is a Medusa store") };
        medusa.major = 1;
        assert!(findings(&CHECK, &snapshot)[0].remedies[0].text.contains("MoreThan(lastId)"));
    }

    #[test]
    fn its_needs_are_exact() {
        assert_needs_are_exact(&CHECK, &shop(pages(200, 10_000.0, 5_000, 20), 500_000));
    }
}
