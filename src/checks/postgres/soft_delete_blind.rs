//! Statements that forget `deleted_at is null`, so that the index on live rows cannot serve them.

use std::collections::BTreeMap;

use crate::checks::index::{Cover, covering_index, find_table, is_soft_delete_partial, wanted};
use crate::checks::medusa::is_stock_table;
use crate::checks::needs::{READ_TO_RETURNED_MIN, is_driven, reads_most_of};
use crate::checks::new_index::NewIndex;
use crate::checks::partitions::Extent;
use crate::checks::scans::{CALLS_MIN, Scene, scene};
use crate::checks::sql::{Kind, Shape, TableUse};
use crate::checks::statement::{Sums, has_long_list, is_key_check, rewrite, table as statement_table};
use crate::checks::workload::{Load, read_loads};
use crate::checks::{Check, FINDINGS_MAX, always};
use crate::evidence::postgres::{Index, Table, quote};
use crate::evidence::{Gap, Layer, Section, Snapshot};
use crate::finding::{Basis, Confidence, Cost, Effort, Evidence, Finding, Gain, Remedy, Resource, Severity, Subject};
use crate::text;

/// Below it the scan is not worth a change of code.
const SHARE_MIN: f64 = 0.01;
/// Calls from which the figures of a period are steady.
const CALLS_STEADY: u64 = 20;
/// Blocks that a lookup through an index touches: the index's levels and the row.
const BLOCKS_THROUGH_INDEX: f64 = 4.0;

pub static CHECK: Check = Check {
    id: "pg-soft-delete-blind",
    layer: Layer::Postgres,
    title: "Statements forget the soft-deleted rows and miss the index",
    passed: "No costly statement misses an index for lack of its condition on deleted_at.",
    why: "Medusa's indexes hold live rows only (where deleted_at is null). A statement that does not say the same cannot use them, however well they fit, and \
          reads the whole table. It also counts and shows what has been deleted.",
    remedy: "Add deleted_at is null to the statement. Where deleted rows are really wanted, give it an index of its own.",
    method: "Statements that touch a tenth of a table's blocks (half where they read others too) and return less than a tenth of its rows, on tables of 10 MB or 10,000 rows, from 10 calls and 1 % of \
             the database time, whose columns a partial index on live rows leads with while no other index does. Postgres' own checks of foreign keys, lists of \
             thousands of ids and statements that mention the table twice are left out: what they read cannot be laid to the missing condition.",
    effort: Effort::Hours,
    references: &[
        "https://www.postgresql.org/docs/current/indexes-partial.html",
        "https://docs.medusajs.com/resources/service-factory-reference/methods/soft-delete",
    ],
    needs: &[Section::PgTables, Section::PgIndexes, Section::PgStatements],
    uses: &[Section::PgColumns, Section::PgColumnStats, Section::PgMedusa, Section::PgProofs],
    symptom_of: &[],
    applies_to: always,
    evaluate,
};

/// Statements that would be served by `index` if they spoke of live rows.
struct Blind<'s> {
    table: &'s Table,
    extent: Extent,
    index: &'s Index,
    /// How the costliest statement calls the table.
    alias: String,
    /// Every statement reaches it by a join, as Medusa's own product page does: the statement is not the store's to change.
    is_joined: bool,
    loads: Vec<Load<'s>>,
}

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let scene = scene(snapshot)?;
    let mut found: BTreeMap<(&str, &str), Blind> = BTreeMap::new();
    for read in read_loads(&scene.workload) {
        let is_others = is_key_check(&read.load.statement.text) || has_long_list(&read.load);
        if matches!(read.shape.kind, Kind::Insert | Kind::Utility | Kind::Unknown) || is_others {
            continue;
        }
        for used in &read.shape.tables {
            let Some((table, extent, index)) = missed(&scene, &read.load, &read.shape, used) else { continue };
            let new = || Blind { table, extent, index, alias: used.alias.clone(), is_joined: true, loads: Vec::new() };
            let blind = found.entry((&table.name, &index.name)).or_insert_with(new);
            blind.is_joined &= used.equal.is_empty();
            if blind.loads.iter().all(|l| l.statement.id != read.load.statement.id) {
                blind.loads.push(read.load);
            }
        }
    }
    let mut findings: Vec<Finding> = found
        .values()
        .filter(|b| {
            let sums = Sums::of(&b.loads);
            sums.calls >= CALLS_MIN && scene.workload.share_of(sums.total_ms) >= SHARE_MIN
        })
        .map(|b| finding(snapshot, &scene, b))
        .collect();
    findings.sort_by(|a, b| b.cost.share.total_cmp(&a.cost.share));
    findings.truncate(FINDINGS_MAX);
    Ok(findings)
}

/// The table that this mention scans, and the index on live rows that it misses.
fn missed<'s>(scene: &Scene<'s>, load: &Load, shape: &Shape, used: &TableUse) -> Option<(&'s Table, Extent, &'s Index)> {
    // Twice in one statement: which of the two reads the blocks is not known (Medusa's lists join a table to sort by it and again to show it).
    let mentions = shape.tables.iter().filter(|t| t.table == used.table).count();
    if used.is_soft_delete_filtered() || mentions > 1 {
        return None;
    }
    let table = find_table(scene.store.tables, used)?;
    let extent = Extent::of(scene.store.tables, table).filter(Extent::is_big)?;
    let rows = extent.rows? as f64;
    let is_scan = reads_most_of(load, shape, &extent) && load.counters.rows_a_call() * READ_TO_RETURNED_MIN <= rows;
    if !is_scan || table.extension.is_some() {
        return None;
    }
    let mut columns = scene.store.indexable(table, &used.equal);
    if columns.is_empty() && is_driven(shape, used) {
        columns = scene.store.indexable(table, &used.joins.iter().map(|j| j.column.clone()).collect::<Vec<_>>());
    }
    if matches!(covering_index(scene.store.indexes, &wanted(table, &columns, used)), Cover::Serves(_)) {
        return None;
    }
    // An index on a column that leaves a tenth of the rows would not be used with the condition either.
    let (rated, telling) = scene.store.by_selectivity(table, rows, &columns);
    let selective = &rated[..telling];
    let fits = |i: &&Index| {
        let is_there = i.schema == table.schema && i.table == table.name && i.is_valid && i.is_ready && i.method == "btree";
        is_there && is_soft_delete_partial(i) && i.keys.first().is_some_and(|k| !k.is_expression && selective.contains(&k.text))
    };
    Some((table, extent, scene.store.indexes.iter().find(fits)?))
}

fn finding(snapshot: &Snapshot, scene: &Scene, blind: &Blind) -> Finding {
    let sums = Sums::of(&blind.loads);
    let share = scene.workload.share_of(sums.total_ms);
    let column = blind.index.keys.first().map_or("", |k| k.text.as_str());
    let place = format!("{}.{}({column})", blind.table.schema, blind.table.name);
    let because = scene.workload.because();
    let is_medusas = blind.is_medusas();
    let mut touches: Vec<String> = blind.loads.iter().map(Load::touch).collect();
    touches.extend([format!("table:{}.{}", blind.table.schema, blind.table.name), format!("columns:{place}")]);
    Finding {
        subject: Subject::new("columns", place),
        observed: format!(
            "{} {} look for {column} in {} without deleted_at is null and read {} to return {}: {} a call, {} of the database time.{}",
            text::plural(sums.calls, "call", "calls"),
            scene.workload.words,
            blind.table.name,
            text::plural(blind.extent.rows.unwrap_or(0), "row", "rows"),
            text::number(sums.rows_a_call()),
            text::millis(sums.mean_ms()),
            text::percent(share),
            if is_medusas { " Medusa's own reads join the table so." } else { "" }
        ),
        step: if is_medusas {
            format!("Index {}({column}) over all rows", blind.table.name)
        } else {
            format!("Ask {} for live rows only", blind.table.name)
        },
        evidence: evidence(scene, blind),
        severity: Severity::from_share(share),
        confidence: if sums.calls < CALLS_STEADY { Confidence::Low } else { Confidence::Medium },
        confidence_because: format!("modelled from the blocks read, {because}"),
        effort: if is_medusas { Effort::Minutes } else { Effort::Hours },
        cost: Cost { resource: Resource::DatabaseTime, share },
        gain: Some(gain(scene, blind, &sums, share)),
        averts: None,
        remedies: remedies(snapshot, scene, blind, column),
        verify: format!(
            "Audit again: the statement touches a few blocks a call instead of {}, and the scans of {} count up.",
            text::number(blind.loads.first().map_or(0.0, Load::blocks_a_call)),
            blind.index.name
        ),
        touches,
    }
}

fn evidence(scene: &Scene, blind: &Blind) -> Vec<Evidence> {
    vec![
        statement_table(&scene.workload, &blind.loads),
        Evidence::Code { label: "The index it misses".to_owned(), language: "sql".to_owned(), text: blind.index.definition.clone() },
        Evidence::figure("Table size", blind.extent.bytes as f64, "bytes", text::bytes_disk(blind.extent.bytes)),
    ]
}

/// Time follows the blocks touched.
fn gain(scene: &Scene, blind: &Blind, sums: &Sums, share: f64) -> Gain {
    let through = BLOCKS_THROUGH_INDEX * blind.extent.parts as f64 + sums.rows_a_call();
    let saving = (1.0 - through / blind.extent.pages()).clamp(0.0, 0.99);
    let mut gain = Gain::new(Basis::Modelled, format!("{} database time", text::minus_percent(share * saving)));
    gain.database_time_share = Some(share * saving);
    gain.database_ms_per_s = scene.workload.ms_per_s(sums.total_ms * saving);
    gain
}

impl Blind<'_> {
    fn is_medusas(&self) -> bool {
        self.is_joined && is_stock_table(&self.table.name)
    }
}

fn remedies(snapshot: &Snapshot, scene: &Scene, blind: &Blind, column: &str) -> Vec<Remedy> {
    let alias = quote(&blind.alias);
    let say = rewrite(
        "Say that live rows are meant",
        format!(
            "-- in the where clause, beside the condition on {column}:\nand {alias}.deleted_at is null\n// or with knex:\n.whereNull(\"{}.deleted_at\")\n",
            blind.alias
        ),
        "Deleted rows leave the answer. Medusa's own services add the condition by themselves; raw SQL and knex do not.",
    );
    let new = NewIndex::new(&blind.table.schema, &blind.table.name, &[column.to_owned()], None, scene.store.indexes);
    let index = new.remedies(snapshot, blind.extent.bytes);
    if blind.is_medusas() {
        // The statement is Medusa's: an index over all rows is what the store can do.
        return index;
    }
    let label = |r: Remedy| Remedy { label: format!("{}, where deleted rows are wanted", r.label), ..r };
    std::iter::once(say).chain(index.into_iter().map(label)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::fixtures::*;
    use crate::evidence::Listed;
    use crate::evidence::postgres::{ColumnStats, Postgres, Statement};
    use crate::finding::Outcome;

    const LIVE: &str = "(deleted_at IS NULL)";
    const BLIND: &str = "select * from customer c where c.email = $1";

    /// 200,000 customers in 105 MB, found by e-mail through an index on live rows.
    fn shop(statement: Statement, edit: impl FnOnce(&mut Postgres)) -> Snapshot {
        store(|pg| {
            tables(pg, vec![table("customer", 200_000, 104_857_600)]);
            indexes(pg, vec![index("customer", "customer_pkey", &["id"], None), index("customer", "IDX_customer_email", &["email"], Some(LIVE))]);
            statements(pg, vec![statement, crate::checks::fixtures::statement("2", "select * from author where id = $1", 1_000, 10_000.0)]);
            edit(pg);
        })
    }

    fn fails(snapshot: &Snapshot) -> bool {
        matches!(CHECK.run(snapshot), Outcome::Failed(_))
    }

    #[test]
    fn the_missed_index_is_named() {
        let found = findings(&CHECK, &shop(scanning("1", BLIND, 100, 3_400.0, 12_800), |_| {}));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].subject.name, "public.customer(email)");
        assert_eq!(found[0].severity, Severity::High);
        assert!(found[0].remedies[0].text.contains("and c.deleted_at is null"));
        assert_eq!(found[0].remedies[1].text, "create index concurrently idx_customer_email on public.customer (email);");
        assert!(found[0].observed.contains("read 200,000\u{a0}rows to return 1: 34\u{a0}ms a call"), "{}", found[0].observed);
    }

    #[test]
    fn statements_that_say_it_or_are_served_are_healthy() {
        let says = "select * from customer c where c.email = $1 and c.deleted_at is null";
        assert_passes(&CHECK, &shop(scanning("1", says, 100, 3_400.0, 12_800), |_| {}));
        let whole = |pg: &mut Postgres| {
            indexes(pg, vec![index("customer", "a", &["email"], Some(LIVE)), index("customer", "b", &["email"], None)]);
        };
        assert_passes(&CHECK, &shop(scanning("1", BLIND, 100, 3_400.0, 12_800), whole));
        let own = r#"SELECT $2 FROM ONLY "public"."customer" x WHERE "email" OPERATOR(pg_catalog.=) $1 FOR KEY SHARE OF x"#;
        assert_passes(&CHECK, &shop(scanning("1", own, 100, 3_400.0, 12_800), |_| {}));
    }

    #[test]
    fn without_a_fitting_index_the_condition_would_not_help() {
        for (columns, predicate) in [(["phone"], LIVE), (["email"], "(has_account = true)")] {
            let other = |pg: &mut Postgres| indexes(pg, vec![index("customer", "a", &columns, Some(predicate))]);
            assert_passes(&CHECK, &shop(scanning("1", BLIND, 100, 3_400.0, 12_800), other));
        }
        let stats = |distinct| ColumnStats {
            schema: "public".into(),
            table: "customer".into(),
            column: "email".into(),
            null_fraction: 0.0,
            average_width: 24,
            distinct,
            correlation: None,
        };
        for (distinct, named) in [(9.0, false), (10.0, true)] {
            let known = |pg: &mut Postgres| pg.column_stats = Ok(Listed::whole(vec![stats(distinct)]));
            assert_eq!(fails(&shop(scanning("1", BLIND, 100, 3_400.0, 12_800), known)), named, "{distinct}");
        }
    }

    #[test]
    fn it_must_scan_a_large_table_often() {
        for (calls, ms, blocks, named) in
            [(10, 3_400.0, 1_280, true), (9, 3_400.0, 1_280, false), (10, 3_400.0, 1_279, false), (10, 101.1, 1_280, true), (10, 100.9, 1_280, false)]
        {
            assert_eq!(fails(&shop(scanning("1", BLIND, calls, ms, blocks), |_| {})), named, "{calls} calls, {ms} ms, {blocks} blocks");
        }
        for (rows, bytes, named) in [(9_999, 9_999_999, false), (10_000, 9_999_999, true)] {
            assert_eq!(fails(&shop(scanning("1", BLIND, 100, 3_400.0, 12_800), |pg| tables(pg, vec![table("customer", rows, bytes)]))), named);
        }
    }

    #[test]
    fn medusas_own_joins_get_an_index_over_all_rows() {
        let page = r#"select "p0"."id" from "product" as "p0" left join "image" as "p3" on "p0"."id" = "p3"."product_id" where "p0"."deleted_at" is null and "p0"."id" in ($1, …)"#;
        let images = |pg: &mut Postgres| {
            tables(pg, vec![table("product", 20_000, 8_000_000), table("image", 60_000, 8_724_480)]);
            indexes(pg, vec![index("product", "product_pkey", &["id"], None), index("image", "IDX_image_product_id", &["product_id"], Some(LIVE))]);
        };
        let found = findings(&CHECK, &shop(scanning("1", page, 100, 2_150.0, 1_068), images));
        assert_eq!(found[0].step, "Index image(product_id) over all rows");
        assert_eq!(found[0].remedies[0].text, "create index concurrently idx_image_product_id on public.image (product_id);");
        assert!(found[0].observed.ends_with("Medusa's own reads join the table so."));
        // The lists sort by the rank of the images first: what they read of them is not for lack of the condition.
        let list = r#"select "p0"."id" from "product" as "p0" left join "image" as "p3" on "p0"."id" = "p3"."product_id" where "p0"."id" in (select "p0"."id" from (select "p0"."id" from "product" as "p0" left join "image" as "p3" on "p0"."id" = "p3"."product_id" where "p0"."status" = $1 group by "p0"."id" order by min("p3"."rank") limit $2) as "p0")"#;
        assert_passes(&CHECK, &shop(scanning("1", list, 100, 23_700.0, 2_453), images));
        let long = Statement { placeholders: 20_000, ..scanning("1", page, 100, 2_150.0, 1_068) };
        assert_passes(&CHECK, &shop(long, images));
    }

    #[test]
    fn changes_are_blind_too() {
        let change = "update customer set note = $1 where email = $2";
        assert!(fails(&shop(scanning("1", change, 100, 3_400.0, 12_800), |_| {})));
    }

    #[test]
    fn its_needs_are_exact() {
        assert_needs_are_exact(&CHECK, &shop(scanning("1", BLIND, 100, 3_400.0, 12_800), |_| {}));
    }
}
