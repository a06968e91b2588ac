//! Open orders are looked for among all orders, without an index that holds them alone.

use crate::checks::commerce::is_told_apart;
use crate::checks::needs::reads_most_of;
use crate::checks::new_index::NewIndex;
use crate::checks::partitions::Extent;
use crate::checks::sql::{Shape, TableUse};
use crate::checks::statement::{Sums, is_read, table as statement_table};
use crate::checks::workload::{Load, Workload, read_loads, workload};
use crate::checks::{Applies, Check};
use crate::evidence::medusa::{Medusa, RowCount};
use crate::evidence::postgres::{Index, Table, quote};
use crate::evidence::{Cause, Gap, Layer, Section, Snapshot};
use crate::finding::{Basis, Cell, Confidence, Cost, Effort, Evidence, Finding, Gain, Resource, Severity, Subject};
use crate::text;

/// Fewer orders are read in some ten milliseconds.
const ROWS_MIN: u64 = 50_000;
/// A page of open orders finds its twenty rows quickly where every tenth order is open.
const OPEN_SHARE_MAX: f64 = 0.10;
/// Below it nobody asks for open orders often enough.
const SHARE_MIN: f64 = 0.01;
const CALLS_MIN: u64 = 10;
/// An order in these waits for somebody to do something, in v1 and v2 alike.
const OPEN: [&str; 2] = ["pending", "requires_action"];
/// Of a call that reads no other table, 8 MB: an index of the open orders gives a page of them from some dozens.
const BLOCKS_MANY: f64 = 1_000.0;
const TABLE: &str = "order";

pub static CHECK: Check = Check {
    id: "pg-pending-orders-index",
    layer: Layer::Postgres,
    title: "Open orders are looked for among all orders",
    passed: "Open orders are found without reading the others, or they are not looked for.",
    why: "The back office and its integrations ask for open orders all day, and each question reads past years of orders that were settled long ago. It gets slower \
          with every order sold.",
    remedy: "Index the open orders alone. Such an index stays as small as the work that is waiting.",
    method: "Statements that filter the table order by status and read past the others (half of its blocks a call, where they read no other table a tenth or 8 MB; \
             not by id, customer or e-mail as well), from 10 calls and 1 % of the database time together, on 50,000 orders or more of which less than 10 % are pending or require action, by the planner's frequencies of the enumeration, while no index begins with the status or holds certain \
             statuses alone. Stores that never complete their orders have nothing but open ones: there it would not help.",
    effort: Effort::Minutes,
    references: &["https://www.postgresql.org/docs/current/indexes-partial.html"],
    needs: &[Section::PgStatements, Section::PgTables, Section::PgIndexes, Section::PgMedusa],
    uses: &[Section::PgRowCounts, Section::PgServer],
    symptom_of: &["pg-missing-index", "pg-commerce-index"],
    applies_to,
    evaluate,
};

fn applies_to(snapshot: &Snapshot) -> Result<Applies, Gap> {
    let medusa = snapshot.medusa()?;
    let tables = snapshot.pg()?.tables()?;
    let rows = orders(&tables.rows, medusa).and_then(Table::rows);
    Ok(match rows {
        Some(rows) if rows >= ROWS_MIN => Applies::Yes,
        Some(rows) => Applies::No(format!("there are {}, and {} are read quickly", text::plural(rows, "order", "orders"), text::count(ROWS_MIN))),
        None => Applies::No("there is no table of orders, or it was never counted".to_owned()),
    })
}

fn orders<'s>(tables: &'s [Table], medusa: &Medusa) -> Option<&'s Table> {
    tables.iter().find(|t| t.schema == medusa.schema && t.name == TABLE)
}

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let pg = snapshot.pg()?;
    let (indexes, medusa) = (&pg.indexes()?.rows, pg.medusa()?);
    let work = workload(snapshot)?;
    let tables = &pg.tables()?.rows;
    let Some((table, extent)) = orders(tables, medusa).and_then(|t| Some((t, Extent::of(tables, t)?))) else { return Ok(Vec::new()) };
    let mut sort: Option<String> = None;
    let mut loads: Vec<Load> = Vec::new();
    for read in read_loads(&work).iter().filter(|r| is_read(&r.load, &r.shape)) {
        let by_status = read.shape.tables.iter().find(|t| t.table == TABLE && t.equal.iter().any(|c| c == "status"));
        if let Some(used) = by_status.filter(|used| looks_through_orders(&read.load, &read.shape, &extent, used)) {
            sort = sort.or_else(|| used.order_by.first().map(|k| k.column.clone()));
            loads.push(read.load);
        }
    }
    let sums = Sums::of(&loads);
    if sums.calls < CALLS_MIN || work.share_of(sums.total_ms) < SHARE_MIN || is_served(indexes, table) {
        return Ok(Vec::new());
    }
    let statuses = statuses(snapshot, table)?;
    let open: Vec<&Status> = statuses.iter().filter(|s| OPEN.contains(&s.name.as_str())).collect();
    let share: f64 = open.iter().map(|s| s.share).sum();
    if open.is_empty() || share >= OPEN_SHARE_MAX {
        return Ok(Vec::new());
    }
    let values: Vec<String> = open.iter().map(|s| format!("'{}'", s.name)).collect();
    let live = if medusa.major == 2 { " and deleted_at is null" } else { "" };
    let predicate = format!("status in ({}){live}", values.join(", "));
    let column = sort.unwrap_or_else(|| "created_at".to_owned());
    let new = NewIndex::new(&table.schema, &table.name, &[column], Some(&predicate), indexes);
    Ok(vec![finding(snapshot, &work, table, &loads, &statuses, share, &new)])
}

/// It reads past orders of other statuses: one that another column leads to a few of them reads few blocks, and one that returns a tenth of
/// all does not ask for open ones.
fn looks_through_orders(load: &Load, shape: &Shape, extent: &Extent, used: &TableUse) -> bool {
    let is_alone = shape.tables.len() == 1;
    let reads_many = reads_most_of(load, shape, extent) || (is_alone && load.blocks_a_call() >= BLOCKS_MANY);
    let returns_little = extent.rows.is_none_or(|rows| load.counters.rows_a_call() <= rows as f64 * OPEN_SHARE_MAX);
    reads_many && returns_little && !is_told_apart(used, "status")
}

/// Under any name: the status leads, or the index holds certain statuses alone.
fn is_served(indexes: &[Index], table: &Table) -> bool {
    indexes
        .iter()
        .filter(|i| i.schema == table.schema && i.table == table.name && i.is_valid && i.is_ready)
        .any(|i| i.keys.first().is_some_and(|k| k.text == "status") || i.predicate.as_ref().is_some_and(|p| p.contains("status")))
}

struct Status {
    name: String,
    /// 0…1 of all orders.
    share: f64,
}

/// Orders by status.
///
/// # Errors
/// The gap of the row counts, or the grant that lets the role see the frequencies.
fn statuses(snapshot: &Snapshot, table: &Table) -> Result<Vec<Status>, Gap> {
    let pg = snapshot.pg()?;
    let counts = pg.row_counts()?;
    let of = |c: &RowCount| c.what.strip_prefix("status ").map(|name| (name.to_owned(), c.rows));
    let named: Vec<(String, u64)> = counts.iter().filter(|c| c.table == TABLE).filter_map(of).collect();
    let total = counts.iter().find(|c| c.table == TABLE && c.what == "total").map_or(0, |c| c.rows);
    if named.is_empty() || total == 0 {
        let role = quote(pg.server().map_or("medusa_advisor", |s| s.role.as_str()));
        let grant = format!("grant select (status) on {}.{} to {role};", quote(&table.schema), quote(&table.name));
        let detail = "Statements filter orders by status, and how the orders divide among the statuses cannot be seen: the role may not read the column, or the table was never analyzed.";
        return Err(Gap::new(Section::PgRowCounts, Cause::Denied { grant }, detail));
    }
    Ok(named.into_iter().map(|(name, rows)| Status { name, share: rows as f64 / total as f64 }).collect())
}

fn finding(snapshot: &Snapshot, work: &Workload, table: &Table, loads: &[Load], statuses: &[Status], open: f64, new: &NewIndex) -> Finding {
    let sums = Sums::of(loads);
    let share = work.share_of(sums.total_ms);
    // What is read then are the open orders.
    let saving = (1.0 - open).clamp(0.0, 0.99);
    let mut gain = Gain::new(Basis::Modelled, format!("{} database time", text::minus_percent(share * saving)));
    gain.database_time_share = Some(share * saving);
    gain.database_ms_per_s = work.ms_per_s(sums.total_ms * saving);
    let mut touches: Vec<String> = loads.iter().map(Load::touch).collect();
    touches.push(format!("table:{}.{}", table.schema, table.name));
    let row = |s: &Status| vec![Cell::text(&s.name), Cell::number(s.share, text::percent(s.share))];
    Finding {
        subject: Subject::new("columns", format!("{}.{}(status)", table.schema, table.name)),
        observed: format!(
            "{} {} looked for orders by status among {}, of which {} are open: {} a call, {} of the database time.",
            text::plural(sums.calls, "call", "calls"),
            work.words,
            text::count(table.rows().unwrap_or(0)),
            text::percent(open),
            text::millis(sums.mean_ms()),
            text::percent(share)
        ),
        step: "Index the open orders".to_owned(),
        evidence: vec![statement_table(work, loads), Evidence::table("Orders by status", &["Status", "Share"], statuses.iter().map(row).collect())],
        severity: Severity::from_share(share),
        confidence: Confidence::Medium,
        confidence_because: format!("shares by the planner's statistics, {}; which status a call asks for is not kept", work.because()),
        effort: Effort::Minutes,
        cost: Cost { resource: Resource::DatabaseTime, share },
        gain: Some(gain),
        averts: None,
        remedies: new.remedies(snapshot, table.table_bytes),
        verify: format!(
            "Audit again: the mean of these statements is near 1 ms where they ask for open orders, and the scans of {} count up from 0.",
            new.name
        ),
        touches,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::fixtures::*;
    use crate::evidence::postgres::{Postgres, Statement};
    use crate::finding::Outcome;

    const OPEN_ORDERS: &str =
        r#"select "o0".* from "order" as "o0" where "o0"."deleted_at" is null and "o0"."status" in ($1, …) order by "o0"."created_at" desc limit $2"#;

    fn counts(pending: u64, total: u64) -> Vec<RowCount> {
        let one = |what: &str, rows| RowCount { table: "order".into(), what: what.into(), rows, is_estimate: true };
        vec![one("status completed", total - pending), one("status pending", pending), one("total", total)]
    }

    fn shop(one: Statement, edit: impl FnOnce(&mut Postgres)) -> Snapshot {
        store(|pg| {
            tables(pg, vec![table("order", 500_000, 200_000_000)]);
            pg.row_counts = Ok(counts(10_000, 500_000));
            statements(pg, vec![one, statement("2", "select * from author where id = $1", 1_000, 10_000.0)]);
            edit(pg);
        })
    }

    /// 2,442 blocks are a tenth of the table.
    fn open_orders(calls: u64, ms: f64) -> Statement {
        scanning("1", OPEN_ORDERS, calls, ms, 2_442)
    }

    fn fails(snapshot: &Snapshot) -> bool {
        matches!(CHECK.run(snapshot), Outcome::Failed(_))
    }

    #[test]
    fn open_orders_are_indexed_alone() {
        let found = findings(&CHECK, &shop(open_orders(100, 10_000.0), |_| {}));
        assert_eq!(found[0].subject.name, "public.order(status)");
        assert_eq!(
            found[0].remedies[0].text,
            "create index concurrently idx_order_created_at on public.\"order\" (created_at) where status in ('pending') and deleted_at is null;"
        );
        assert!(found[0].observed.contains("among 500,000, of which 2\u{a0}% are open"), "{}", found[0].observed);
    }

    #[test]
    fn each_bound_has_two_sides() {
        for (calls, ms, named) in [(10, 10_000.0, true), (9, 10_000.0, false), (100, 101.1, true), (100, 100.9, false)] {
            assert_eq!(fails(&shop(open_orders(calls, ms), |_| {})), named, "{calls} calls, {ms} ms");
        }
        for (pending, named) in [(49_999, true), (50_000, false), (500_000, false)] {
            assert_eq!(fails(&shop(open_orders(100, 10_000.0), |pg| pg.row_counts = Ok(counts(pending, 500_000)))), named, "{pending} pending");
        }
        let few = |rows| {
            shop(open_orders(100, 10_000.0), |pg| {
                tables(pg, vec![table("order", rows, 20_000_000)]);
                pg.row_counts = Ok(counts(1_000, rows));
            })
        };
        assert!(fails(&few(50_000)));
        assert!(matches!(CHECK.run(&few(49_999)), Outcome::NotApplicable(_)));
    }

    #[test]
    fn any_index_that_serves_it_keeps_it_quiet() {
        for existing in [
            index("order", "a", &["status", "created_at"], None),
            index("order", "b", &["created_at"], Some("(status = 'pending'::order_status_enum)")),
        ] {
            assert_passes(&CHECK, &shop(open_orders(100, 10_000.0), |pg| indexes(pg, vec![existing])));
        }
        let mut invalid = index("order", "a", &["status"], None);
        invalid.is_valid = false;
        assert!(fails(&shop(open_orders(100, 10_000.0), |pg| indexes(pg, vec![invalid]))));
    }

    #[test]
    fn orders_that_are_found_otherwise_are_healthy() {
        let reading = |text: &str, blocks| fails(&shop(scanning("1", text, 100, 10_000.0, blocks), |_| {}));
        for (blocks, named) in [(1_000, true), (999, false), (5, false)] {
            assert_eq!(reading(OPEN_ORDERS, blocks), named, "{blocks}");
        }
        // Of a customer, or by number: an index of open orders finds them no sooner.
        assert!(!reading(r#"select * from "order" where customer_id = $1 and status in ($2, $3)"#, 5));
        assert!(!reading(r#"select * from "order" where id = any($1) and status = $2"#, 5_000));
        // With other tables read, half of the blocks.
        let joined = r#"select * from "order" o join order_summary s on s.order_id = o.id where o.status = $1 limit $2"#;
        assert!(reading(joined, 12_300));
        assert!(!reading(joined, 12_000));
        // An export of the settled ones.
        let export = |rows: u64| {
            let mut one = open_orders(100, 10_000.0);
            one.counters.total.rows = 100 * rows;
            fails(&shop(one, |_| {}))
        };
        assert!(export(50_000) && !export(50_001));
    }

    #[test]
    fn orders_that_are_not_filtered_by_status_are_healthy() {
        assert_passes(&CHECK, &shop(statement("1", "select * from \"order\" where customer_id = $1", 100, 10_000.0), |_| {}));
    }

    #[test]
    fn without_frequencies_the_grant_is_named() {
        let gap = assert_unknown(&CHECK, &shop(open_orders(100, 10_000.0), |pg| pg.row_counts = Ok(Vec::new())));
        assert_eq!(gap.cause, Cause::Denied { grant: "grant select (status) on public.\"order\" to advisor;".to_owned() });
    }

    #[test]
    fn the_first_version_knows_no_soft_deleted_orders() {
        let first = shop(open_orders(100, 10_000.0), |pg| {
            if let Ok(medusa) = &mut pg.medusa {
                medusa.major = 1;
            }
        });
        assert!(findings(&CHECK, &first)[0].remedies[0].text.ends_with("where status in ('pending');"));
    }

    #[test]
    fn its_needs_are_exact() {
        assert_needs_are_exact(&CHECK, &shop(open_orders(100, 10_000.0), |_| {}));
    }
}
