//! Statements that scan a table because no index leads with the columns they look for.

use crate::checks::advice::{confidence, evidence, gain, verify};
use crate::checks::commerce;
use crate::checks::scans::{Scan, Scene, scans, scene, unjudged};
use crate::checks::{Check, FINDINGS_MAX, always};
use crate::evidence::{Gap, Layer, Section, Snapshot};
use crate::finding::{Cost, Effort, Finding, Resource, Severity, Subject};
use crate::text;

/// Below this share of the database time an index is not worth the writes it costs.
const SHARE_MIN: f64 = 0.005;

pub use crate::checks::scans::{Candidate, candidates};

pub static CHECK: Check = Check {
    id: "pg-missing-index",
    layer: Layer::Postgres,
    title: "Statements scan a table for lack of an index",
    passed: "No costly statement scans a table for lack of an index.",
    why: "Without an index the database reads the whole table to find a few rows, on every call. The table grows with the shop, so the same page gets \
          slower every month, and the scans take the processor from everything else.",
    remedy: "Create an index that leads with the columns the statements look for. Built concurrently it does not stop the shop.",
    method: "Reads the statements of pg_stat_statements that make up the database time, takes the columns each filters, joins and sorts by, and looks for a \
             valid index that serves them; a partial index on deleted_at is null counts. Reported for tables of 10 MB or 10,000 rows, when a call \
             touches half of the table's blocks (a tenth where it reads no other table) and returns less than a tenth of its rows, from 10 calls and 0.5 % of the database time. One index is advised \
             where one serves several statements, a wider one only where it leaves half or less of what the narrow one leaves. Where HypoPG is installed, \
             the planner is asked about each index alone, with the limit at the rows measured and no offset: it must use the index and halve the cost. \
             Without it the blocks that need no longer be read must be half. Of a list that is sorted and cut by a limit, the rows returned do not \
             say how many are found: without statistics only an index that yields the order is advised, with low confidence.",
    effort: Effort::Minutes,
    references: &[
        "https://www.postgresql.org/docs/current/indexes-intro.html",
        "https://www.postgresql.org/docs/current/sql-createindex.html#SQL-CREATEINDEX-CONCURRENTLY",
    ],
    needs: &[Section::PgTables, Section::PgIndexes, Section::PgStatements],
    uses: &[Section::PgColumns, Section::PgColumnStats, Section::PgMedusa, Section::PgProofs, Section::PgServer, Section::PgExtensions],
    symptom_of: &[],
    applies_to: always,
    evaluate,
};

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let scene = scene(snapshot)?;
    // What the guide names for this version is reported there, under its name.
    let named = commerce::missing_roles(snapshot)
        .map(|m| m.into_iter().map(|r| (r.table.name.clone(), r.role.column)).collect::<Vec<_>>())
        .unwrap_or_else(|_| Vec::new());
    let mut findings = Vec::new();
    let scans = scans(&scene);
    for scan in &scans {
        let share = scene.workload.share_of(scan.total_ms());
        let is_named = named.iter().any(|(table, column)| *table == scan.table.name && scan.columns[0] == *column);
        if share < SHARE_MIN || is_named || findings.len() == FINDINGS_MAX {
            continue;
        }
        findings.push(finding(snapshot, &scene, scan, share));
    }
    match findings.is_empty().then(|| unjudged(snapshot.pg().ok()?, &scene, &scans, SHARE_MIN)).flatten() {
        Some(gap) => Err(gap),
        None => Ok(findings),
    }
}

fn finding(snapshot: &Snapshot, scene: &Scene, scan: &Scan, share: f64) -> Finding {
    let new = scan.new_index(scene.store.indexes);
    let (confidence, because) = confidence(scene, scan);
    let mean_ms = scan.total_ms() / scan.calls().max(1) as f64;
    let saving = scan.saving();
    let mut touches: Vec<String> = scan.loads().map(|l| l.touch()).collect();
    touches.push(format!("table:{}.{}", new.schema, new.table));
    touches.push(format!("columns:{}", new.subject()));
    Finding {
        subject: Subject::new("columns", new.subject()),
        observed: observed(scene, scan, share, mean_ms),
        step: format!("Index {}", new.short()),
        evidence: evidence(snapshot, scene, scan, &new),
        severity: Severity::from_share(share),
        confidence,
        confidence_because: because,
        effort: Effort::Minutes,
        cost: Cost { resource: Resource::DatabaseTime, share },
        gain: Some(gain(scene, scan, share * saving, saving)),
        averts: None,
        remedies: new.remedies(snapshot, scan.extent.bytes),
        verify: verify(scan, &new, mean_ms * (1.0 - saving)),
        touches,
    }
}

fn observed(scene: &Scene, scan: &Scan, share: f64, mean_ms: f64) -> String {
    let rows = scan.extent.rows.unwrap_or(0);
    let what = if scan.is_for_order { "sort" } else { "read" };
    let of = match scan.served.len() {
        1 => String::new(),
        n => format!(" of {}", text::plural(n as u64, "statement", "statements")),
    };
    format!(
        "{}{of} {} {what} {} each to return {}: {} a call, {} of the database time.",
        text::plural(scan.calls(), "call", "calls"),
        scene.workload.words,
        text::plural(rows, "row", "rows"),
        text::number(scan.rows_a_call()),
        text::millis(mean_ms),
        text::percent(share)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::fixtures::*;
    use crate::evidence::Listed;
    use crate::evidence::postgres::{Column, ColumnStats, Proof, Statement};
    use crate::finding::{Basis, Confidence, Evidence};

    const LOOKUP: &str = r#"select "i0".* from "image" as "i0" where "i0"."product_id" = $1 and "i0"."deleted_at" is null"#;

    /// 105 MB of images, every lookup reads all 12,800 blocks; 3 % to 97 % with other work.
    fn neglected(edit: impl FnOnce(&mut crate::evidence::postgres::Postgres)) -> Snapshot {
        store(|pg| {
            tables(pg, vec![table("image", 180_000, 104_857_600)]);
            indexes(pg, vec![index("image", "image_pkey", &["id"], None)]);
            statements(pg, vec![scanning("1", LOOKUP, 606, 25_452.0, 12_800), statement("2", "select * from region where id = $1", 10_000, 787.0)]);
            edit(pg);
        })
    }

    fn with(statement: Statement, edit: impl FnOnce(&mut crate::evidence::postgres::Postgres)) -> Snapshot {
        neglected(|pg| {
            statements(pg, vec![statement]);
            edit(pg);
        })
    }

    #[test]
    fn the_hot_scan_is_named_with_its_index() {
        let found = findings(&CHECK, &neglected(|_| {}));
        let finding = &found[0];
        assert_eq!(found.len(), 1);
        assert_eq!(finding.subject.name, "public.image(product_id)");
        assert_eq!(finding.step, "Index image(product_id)");
        assert_eq!(finding.severity, Severity::High);
        assert_eq!(finding.remedies[0].text, "create index concurrently idx_image_product_id on public.image (product_id) where deleted_at is null;");
        assert!(
            finding.observed.starts_with("606\u{a0}calls since 16 Nov 2026 read 180,000\u{a0}rows each to return 1: 42\u{a0}ms a call, 97\u{a0}%"),
            "{}",
            finding.observed
        );
        assert_eq!(finding.confidence, Confidence::Medium);
        assert!(finding.touches.contains(&"statement:1".to_owned()));
    }

    #[test]
    fn existing_indexes_keep_it_quiet() {
        for (columns, predicate) in [(["product_id"], None), (["product_id"], Some("(deleted_at IS NULL)"))] {
            assert_passes(&CHECK, &neglected(|pg| indexes(pg, vec![index("image", "a", &columns, predicate)])));
        }
        // The predicate of the index is not the statement's, but the index is there.
        let blind = scanning("1", "select * from image where product_id = $1", 606, 25_452.0, 12_800);
        assert_passes(&CHECK, &with(blind, |pg| indexes(pg, vec![index("image", "a", &["product_id"], Some("(deleted_at IS NULL)"))])));
        let mut invalid = index("image", "a", &["product_id"], None);
        invalid.is_valid = false;
        assert_eq!(findings(&CHECK, &neglected(|pg| indexes(pg, vec![invalid]))).len(), 1);
    }

    #[test]
    fn statements_without_the_predicate_get_a_whole_index() {
        let blind = scanning("3", "select * from image where product_id = $1", 100, 4_000.0, 12_800);
        let found = findings(&CHECK, &with(blind, |_| {}));
        assert!(found[0].remedies[0].text.ends_with("(product_id);"));
    }

    #[test]
    fn small_tables_are_left_alone() {
        for (rows, bytes, fails) in [(9_999, 9_999_999, false), (10_000, 9_999_999, true), (9_999, 10_000_000, true)] {
            let snapshot = neglected(|pg| tables(pg, vec![table("image", rows, bytes)]));
            assert_eq!(matches!(CHECK.run(&snapshot), crate::finding::Outcome::Failed(_)), fails, "{rows} rows, {bytes} bytes");
        }
    }

    #[test]
    fn a_statement_must_read_half_of_the_table_and_return_little() {
        let join = r#"select * from "product" as "p0" join "image" as "p4" on "p0"."id" = "p4"."product_id" where "p0"."id" = $1"#;
        for (text, blocks, fails) in [(LOOKUP, 1_280, true), (LOOKUP, 1_279, false), (join, 6_400, true), (join, 6_399, false)] {
            let snapshot = with(scanning("1", text, 606, 25_452.0, blocks), |_| {});
            assert_eq!(matches!(CHECK.run(&snapshot), crate::finding::Outcome::Failed(_)), fails, "{blocks} blocks");
        }
        // Strewn rows of a twentieth of the table lie in half of its blocks.
        for (rows, fails) in [(8_800, true), (8_900, false), (18_001, false)] {
            let mut s = scanning("1", LOOKUP, 606, 25_452.0, 12_800);
            s.counters.total.rows = 606 * rows;
            assert_eq!(matches!(CHECK.run(&with(s, |_| {})), crate::finding::Outcome::Failed(_)), fails, "{rows} rows");
        }
    }

    #[test]
    fn a_few_calls_and_a_trifle_are_no_finding() {
        assert_passes(&CHECK, &with(scanning("1", LOOKUP, 9, 25_452.0, 12_800), |_| {}));
        assert_eq!(findings(&CHECK, &with(scanning("1", LOOKUP, 10, 25_452.0, 12_800), |_| {})).len(), 1);
        for (other_ms, fails) in [(199_000.0, true), (199_300.0, false)] {
            let rows = vec![scanning("1", LOOKUP, 606, 1_000.0, 12_800), statement("2", "select * from region where id = $1", 10_000, other_ms)];
            let snapshot = neglected(|pg| statements(pg, rows));
            assert_eq!(matches!(CHECK.run(&snapshot), crate::finding::Outcome::Failed(_)), fails, "{other_ms}");
        }
    }

    #[test]
    fn types_that_do_not_tell_rows_apart_are_not_advised() {
        for (data_type, fails) in [("text", true), ("boolean", false), ("jsonb", false), ("image_status_enum", false), ("text[]", false)] {
            let column =
                Column { schema: "public".into(), table: "image".into(), name: "product_id".into(), data_type: data_type.into(), is_nullable: true };
            let snapshot = neglected(|pg| pg.columns = Ok(Listed::whole(vec![column])));
            assert_eq!(matches!(CHECK.run(&snapshot), crate::finding::Outcome::Failed(_)), fails, "{data_type}");
        }
    }

    #[test]
    fn columns_with_few_values_are_not_advised() {
        for (distinct, fails) in [(9.0, false), (20.0, false), (21.0, true), (-0.1, true)] {
            let snapshot = neglected(|pg| pg.column_stats = Ok(Listed::whole(vec![stats("product_id", distinct)])));
            assert_eq!(matches!(CHECK.run(&snapshot), crate::finding::Outcome::Failed(_)), fails, "{distinct} values");
        }
    }

    #[test]
    fn joined_tables_are_looked_up_from_the_narrowed_one() {
        let join = r#"select * from "product" as "p0" left join "image" as "p4" on "p0"."id" = "p4"."product_id" where "p0"."id" in ($1, …)"#;
        assert_eq!(findings(&CHECK, &with(scanning("1", join, 606, 25_452.0, 12_800), |_| {}))[0].subject.name, "public.image(product_id)");
        let all = r#"select * from "product" as "p0" left join "image" as "p4" on "p0"."id" = "p4"."product_id""#;
        assert_passes(&CHECK, &with(scanning("1", all, 606, 25_452.0, 12_800), |_| {}));
    }

    #[test]
    fn orders_with_a_limit_are_served_by_an_index_too() {
        let sorted = "select * from image where deleted_at is null order by rank desc limit $1";
        assert_eq!(findings(&CHECK, &with(scanning("1", sorted, 606, 25_452.0, 12_800), |_| {}))[0].subject.name, "public.image(rank)");
        assert_passes(&CHECK, &with(scanning("1", sorted, 606, 25_452.0, 12_800), |pg| indexes(pg, vec![index("image", "a", &["rank"], None)])));
        assert_passes(&CHECK, &with(scanning("1", "select * from image order by rank desc", 606, 25_452.0, 12_800), |_| {}));
    }

    fn proof(before: f64, after: Option<f64>, node: &str) -> Proof {
        Proof {
            statement_id: "1".into(),
            schema: "public".into(),
            table: "image".into(),
            columns: vec!["product_id".into()],
            definition: "create index on public.image (product_id)".into(),
            method: "hypopg".into(),
            cost_before: before,
            node_before: node.into(),
            rows_before: 180_000.0,
            cost_after: after,
            left_in_memory: None,
            node_after: after.map(|_| "Index Scan".into()),
            is_used: after.is_some(),
            bytes: Some(4_000_000),
        }
    }

    #[test]
    fn the_planner_proves_or_withdraws_it() {
        let proved = findings(&CHECK, &neglected(|pg| pg.proofs = Ok(vec![proof(100.0, Some(50.0), "Seq Scan")])));
        assert_eq!((proved[0].confidence, proved[0].gain.as_ref().map(|g| g.basis)), (Confidence::High, Some(Basis::Proved)));
        assert_passes(&CHECK, &neglected(|pg| pg.proofs = Ok(vec![proof(100.0, Some(50.1), "Seq Scan")])));
        // Another index of the table made the plan cheaper.
        let unused = Proof { is_used: false, ..proof(100.0, Some(1.0), "Seq Scan") };
        assert_passes(&CHECK, &neglected(|pg| pg.proofs = Ok(vec![unused])));
        let silent =
            Proof { method: "too long".into(), cost_before: 0.0, node_before: "longer than 20,000 characters".into(), ..proof(0.0, None, "") };
        let modelled = findings(&CHECK, &neglected(|pg| pg.proofs = Ok(vec![silent])));
        assert_eq!(modelled[0].confidence, Confidence::Medium);
        let said: Vec<&Evidence> = modelled[0].evidence.iter().filter(|e| matches!(e, Evidence::Text { .. })).collect();
        assert_eq!(said.len(), 2, "{said:?}");
        assert_passes(&CHECK, &neglected(|pg| pg.proofs = Ok(vec![proof(1_279.0, None, "Index Scan")])));
        assert_eq!(findings(&CHECK, &neglected(|pg| pg.proofs = Ok(vec![proof(1_280.0, None, "Index Scan")]))).len(), 1);
        assert_eq!(findings(&CHECK, &neglected(|pg| pg.proofs = Ok(vec![proof(100.0, None, "Seq Scan")])))[0].confidence, Confidence::Medium);
    }

    #[test]
    fn a_guess_at_a_range_refutes_nothing() {
        let ranged = |rows: u64| {
            let mut s = scanning("1", "select * from image where created_at > $1", 606, 25_452.0, 12_800);
            s.counters.total.rows = 606 * rows;
            with(s, |pg| {
                let guess =
                    Proof { columns: vec!["created_at".into()], is_used: false, rows_before: 60_000.0, ..proof(100.0, Some(100.0), "Seq Scan") };
                pg.proofs = Ok(vec![guess]);
            })
        };
        assert_eq!(findings(&CHECK, &ranged(5_999))[0].confidence, Confidence::Medium);
        assert_passes(&CHECK, &ranged(6_000));
    }

    #[test]
    fn a_guess_at_an_expression_promises_no_less_than_the_rows_measured() {
        let text = r#"select * from "image" as "i0" where lower("i0"."product_id") = $1"#;
        let guess = |rows| Proof { columns: vec!["lower(product_id)".into()], rows_before: rows, ..proof(20_000.0, Some(6_000.0), "Seq Scan") };
        let left = |rows| {
            let found = findings(&CHECK, &with(scanning("1", text, 606, 25_452.0, 12_800), |pg| pg.proofs = Ok(vec![guess(rows)])));
            let of = |e: &Evidence| match e {
                Evidence::BeforeAfter { before, after, .. } => Some(after / before),
                _ => None,
            };
            found[0].evidence.iter().find_map(of).unwrap()
        };
        // A call of 42 ms, of which 0.01 ms stay whatever the index.
        assert!((left(10.0) - 0.3).abs() < 0.001, "ten rows for one are no guess");
        assert!(left(11.0) < 0.001);
    }

    #[test]
    fn blocks_in_memory_are_priced_as_such() {
        let text = r#"select * from "image" as "i0" where "i0"."product_id" = $1"#;
        let known = Proof { left_in_memory: Some(0.0001), ..proof(20_000.0, Some(20.0), "Seq Scan") };
        let after = |hit: u64, read: u64, io_ms: f64| {
            let mut scan = scanning("1", text, 1_000, 40_000.0, 12_800);
            for c in [Some(&mut scan.counters.total), scan.counters.window.as_mut()].into_iter().flatten() {
                (c.blocks_hit, c.blocks_read, c.io_ms) = (hit, read, io_ms);
            }
            let found = findings(&CHECK, &with(scan, |pg| pg.proofs = Ok(vec![known.clone()])));
            let of = |e: &Evidence| match e {
                Evidence::BeforeAfter { after, .. } => Some(*after),
                _ => None,
            };
            found[0].evidence.iter().find_map(of).unwrap()
        };
        let (cached, from_disk) = (40.0 * 0.0001 + 0.01, 40.0 * 0.001 + 0.01);
        for (hit, read, io_ms, expected) in [
            (9_900_000, 100_000, 0.0, cached),
            (9_900_000, 100_001, 0.0, from_disk),
            // From the system's page cache: twenty microseconds a block; a disk takes longer.
            (5_000_000, 5_000_000, 100_000.0, cached),
            (5_000_000, 5_000_000, 250_001.0, from_disk),
        ] {
            let after = after(hit, read, io_ms);
            assert!((after - expected).abs() < 1e-9, "{hit} {read} {io_ms}: {after}");
        }
    }

    fn stats(column: &str, distinct: f64) -> ColumnStats {
        ColumnStats {
            schema: "public".into(),
            table: "image".into(),
            column: column.into(),
            null_fraction: 0.0,
            average_width: 31,
            distinct,
            correlation: None,
        }
    }

    #[test]
    fn one_index_serves_statements_whose_columns_nest() {
        let narrow = scanning("1", "select * from image where product_id = $1", 606, 25_452.0, 12_800);
        let wide = scanning("3", "select * from image where url = $1 and product_id = $2", 600, 20_000.0, 12_800);
        let snapshot = with(narrow, |pg| {
            let Ok(s) = &mut pg.statements else { unreachable!("the fixture has statements") };
            s.rows.rows.push(wide);
            pg.column_stats = Ok(Listed::whole(vec![stats("product_id", 400.0), stats("url", 300.0)]));
        });
        let found = findings(&CHECK, &snapshot);
        assert_eq!(found.iter().map(|f| f.subject.name.as_str()).collect::<Vec<_>>(), ["public.image(product_id)"]);
        assert_eq!(found[0].touches[..2], ["statement:1".to_owned(), "statement:3".to_owned()]);
        assert!(found[0].observed.starts_with("1,206\u{a0}calls of 2\u{a0}statements"), "{}", found[0].observed);
    }

    #[test]
    fn without_statistics_all_columns_held_equal_are_taken() {
        let both = || scanning("1", "select * from image where url = $1 and product_id = $2", 606, 25_452.0, 12_800);
        assert_eq!(findings(&CHECK, &with(both(), |_| {}))[0].subject.name, "public.image(url, product_id)");
        let known = with(both(), |pg| pg.column_stats = Ok(Listed::whole(vec![stats("product_id", -0.5), stats("url", 100.0)])));
        assert_eq!(findings(&CHECK, &known)[0].subject.name, "public.image(product_id)");
    }

    #[test]
    fn a_wider_index_must_beat_the_narrow_one_clearly() {
        let both = scanning("1", "select * from image where product_id = $1 and rank > $2", 606, 25_452.0, 12_800);
        let asked = |narrow: f64, wide: f64| {
            with(both.clone(), |pg| {
                pg.column_stats = Ok(Listed::whole(vec![stats("product_id", 100.0)]));
                let two = Proof { columns: vec!["product_id".into(), "rank".into()], ..proof(1_000.0, Some(wide), "Seq Scan") };
                pg.proofs = Ok(vec![proof(1_000.0, Some(narrow), "Seq Scan"), two]);
            })
        };
        assert_eq!(findings(&CHECK, &asked(100.0, 50.0))[0].subject.name, "public.image(product_id, rank)");
        assert_eq!(findings(&CHECK, &asked(100.0, 50.1))[0].subject.name, "public.image(product_id)");
        assert_eq!(findings(&CHECK, &asked(20.0, 1.0))[0].subject.name, "public.image(product_id)");
        assert_eq!(findings(&CHECK, &asked(501.0, 400.0))[0].subject.name, "public.image(product_id, rank)");
    }

    #[test]
    fn candidates_are_what_the_planner_is_asked() {
        let asked = candidates(&neglected(|_| {}));
        assert_eq!(asked.len(), 1);
        assert_eq!(asked[0].create_sql, "create index on public.image (product_id) where deleted_at is null");
        assert_eq!(asked[0].statements, [("1".to_owned(), 1.0)]);
    }

    #[test]
    fn few_calls_lower_the_confidence() {
        let snapshot = with(scanning("1", LOOKUP, 19, 25_452.0, 12_800), |_| {});
        assert_eq!(findings(&CHECK, &snapshot)[0].confidence, Confidence::Low);
    }

    #[test]
    fn its_needs_are_exact() {
        assert_needs_are_exact(&CHECK, &neglected(|_| {}));
    }
}
