//! An index that every store of this size needs and this one lacks.

use crate::checks::advice;
use crate::checks::commerce::{MissingRole, missing_roles};
use crate::checks::new_index::NewIndex;
use crate::checks::scans::{Scan, Scene, scans, scene};
use crate::checks::workload::workload;
use crate::checks::{Applies, Check};
use crate::evidence::{Gap, Layer, Section, Snapshot};
use crate::finding::{Basis, Cell, Confidence, Cost, Effort, Evidence, Finding, Gain, Resource, Severity, Subject};
use crate::text;

pub static CHECK: Check = Check {
    id: "pg-commerce-index",
    layer: Layer::Postgres,
    title: "A lookup that every store makes has no index",
    passed: "The lookups that every store makes have their indexes.",
    why: "Some lookups happen in every shop all day: the variants of a product, the items of a cart or an order, a customer by e-mail, the newest orders. \
          Without their index each of them reads a whole table, a little more every day.",
    remedy: "Create the index that is missing. Medusa itself brings all of them but the one on the date of orders.",
    method: "By the Medusa version found, looks for a valid index, under any name, whole or on live rows, that leads with product_variant.product_id, \
             cart_line_item.cart_id and order_item.order_id (version 1: line_item), customer.email and order.created_at. Tables below 10,000 rows are left \
             alone; order.created_at, which Medusa does not bring, is reported from 50,000 orders, or from 10,000 where statements sort or filter by it.",
    effort: Effort::Minutes,
    references: &["https://www.postgresql.org/docs/current/indexes-ordering.html"],
    needs: &[Section::PgTables, Section::PgIndexes, Section::PgMedusa],
    uses: &[Section::PgStatements, Section::PgColumns, Section::PgColumnStats, Section::PgProofs, Section::PgServer, Section::PgExtensions],
    symptom_of: &[],
    applies_to,
    evaluate,
};

fn applies_to(snapshot: &Snapshot) -> Result<Applies, Gap> {
    let pg = snapshot.pg()?;
    pg.tables()?;
    pg.indexes()?;
    let major = pg.medusa()?.major;
    Ok(if major == 1 || major == 2 { Applies::Yes } else { Applies::No(format!("the lookups of Medusa {major} are not known")) })
}

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let missing = missing_roles(snapshot)?;
    let scene = scene(snapshot).ok().filter(|_| !missing.is_empty());
    let scans = scene.as_ref().map(scans).unwrap_or_default();
    let of = |missing: &MissingRole| {
        let scan = scans.iter().find(|s| std::ptr::eq(s.table, missing.table) && s.columns == [missing.role.column])?;
        Some(Advice { scene: scene.as_ref()?, scan })
    };
    Ok(missing.iter().map(|m| finding(snapshot, m, of(m))).collect())
}

/// What the statements that scan the table for lack of this very index say.
struct Advice<'a, 's> {
    scene: &'a Scene<'s>,
    scan: &'a Scan<'s>,
}

fn finding(snapshot: &Snapshot, missing: &MissingRole, advice: Option<Advice>) -> Finding {
    let (role, table) = (missing.role, missing.table);
    let predicate = missing.is_soft_delete_filtered.then_some("deleted_at is null");
    let existing = snapshot.pg().and_then(|pg| pg.indexes()).map_or(&[][..], |i| &i.rows);
    let new = NewIndex::new(&table.schema, &table.name, &[role.column.to_owned()], predicate, existing);
    let work = workload(snapshot).ok();
    let ms: f64 = missing.loads.iter().map(|l| l.counters.total_ms).sum();
    let calls: u64 = missing.loads.iter().map(|l| l.counters.calls).sum();
    let share = work.as_ref().map_or(0.0, |w| w.share_of(ms));
    let rows = text::plural(table.rows().unwrap_or(0), "row", "rows");
    let used = match &work {
        Some(w) if calls > 0 => format!(
            "{} {} used it: {} a call, {} of the database time.",
            text::plural(calls, "call", "calls"),
            w.words,
            text::millis(ms / calls as f64),
            text::percent(share)
        ),
        Some(w) => format!("No statement used it {}.", w.words),
        None => "How often it is used is not known: the statements could not be read.".to_owned(),
    };
    let (confidence, because) = match (&work, calls) {
        _ if advice.as_ref().is_some_and(|a| a.scan.is_proved()) => (Confidence::High, "proved by a hypothetical index".to_owned()),
        (Some(_), 1..) => (Confidence::High, "no index leads with the column, and statements look it up".to_owned()),
        (Some(_), 0) => (Confidence::Medium, "no index leads with the column, but nothing used it in this period".to_owned()),
        (None, _) => (Confidence::Medium, "no index leads with the column; its use could not be measured".to_owned()),
    };
    let mut touches: Vec<String> = missing.loads.iter().map(|l| l.touch()).collect();
    touches.push(format!("table:{}.{}", new.schema, new.table));
    touches.push(format!("columns:{}", new.subject()));
    Finding {
        subject: Subject::new("columns", new.subject()),
        observed: format!("{} has {rows} and no index for {}. {used}", text_name(&table.name), role.purpose),
        step: format!("Index {}", new.short()),
        evidence: match &advice {
            Some(a) => [rows_evidence(missing)].into_iter().chain(advice::evidence(snapshot, a.scene, a.scan, &new)).collect(),
            None => evidence(missing),
        },
        severity: Severity::from_share(share),
        confidence,
        confidence_because: because,
        effort: Effort::Minutes,
        cost: Cost { resource: Resource::DatabaseTime, share },
        gain: match &advice {
            Some(a) => Some(advice::gain(a.scene, a.scan, a.scene.workload.share_of(a.scan.total_ms()) * a.scan.saving(), a.scan.saving())),
            None => gain(missing, share),
        },
        averts: None,
        remedies: new.remedies(snapshot, table.table_bytes),
        verify: format!("Audit again: this finding is gone, and {} shows scans as soon as {} are looked up.", new.name, role.purpose),
        touches,
    }
}

fn text_name(table: &str) -> String {
    format!("Table {table}")
}

fn rows_evidence(missing: &MissingRole) -> Evidence {
    let rows = missing.table.rows().unwrap_or(0);
    Evidence::figure("Rows", rows as f64, "rows", text::count(rows))
}

fn evidence(missing: &MissingRole) -> Vec<Evidence> {
    let mut evidence = vec![
        rows_evidence(missing),
        Evidence::figure("Table size", missing.table.table_bytes as f64, "bytes", text::bytes_disk(missing.table.table_bytes)),
    ];
    if !missing.loads.is_empty() {
        let rows = missing.loads.iter().map(|l| {
            vec![
                Cell::text(text::cut(&text::one_line(&l.statement.text), 160)),
                Cell::number(l.counters.calls as f64, text::count(l.counters.calls)),
                Cell::number(l.counters.mean_ms(), text::millis(l.counters.mean_ms())),
            ]
        });
        evidence.push(Evidence::table("Statements", &["Statement", "Calls", "Mean"], rows.collect()));
    }
    evidence
}

/// By the blocks of the table that need no longer be read; only where statements read it whole.
fn gain(missing: &MissingRole, share: f64) -> Option<Gain> {
    let pages = missing.table.table_bytes as f64 / 8_192.0;
    let scanning: f64 = missing.loads.iter().filter(|l| l.blocks_a_call() >= pages / 2.0).map(|l| l.counters.total_ms).sum();
    let all: f64 = missing.loads.iter().map(|l| l.counters.total_ms).sum();
    if scanning <= 0.0 || all <= 0.0 {
        return None;
    }
    // Measured with 500,000 orders: 222 ms became 61 ms where a count stays, 138 ms became 1.9 ms where none does.
    const SAVING: f64 = 0.7;
    let saved = share * scanning / all * SAVING;
    let mut gain = Gain::new(Basis::RuleOfThumb, format!("{} database time", text::minus_percent(saved)));
    gain.database_time_share = Some(saved);
    Some(gain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::fixtures::*;
    use crate::evidence::postgres::{Postgres, Proof};

    const SORTED: &str = r#"select "o0"."id" from "order" as "o0" where "o0"."deleted_at" is null order by "o0"."created_at" desc limit $1"#;

    fn orders(rows: u64, edit: impl FnOnce(&mut Postgres)) -> Snapshot {
        store(|pg| {
            tables(pg, vec![table("order", rows, rows * 600)]);
            indexes(pg, vec![index("order", "order_pkey", &["id"], None)]);
            statements(pg, vec![statement("9", "select * from region where id = $1", 1_000, 900.0)]);
            edit(pg);
        })
    }

    #[test]
    fn orders_by_date_are_reported_from_fifty_thousand() {
        assert_passes(&CHECK, &orders(49_999, |_| {}));
        let found = findings(&CHECK, &orders(50_000, |_| {}));
        assert_eq!(found[0].subject.name, "public.order(created_at)");
        assert_eq!(found[0].severity, Severity::Low);
        assert_eq!(
            found[0].remedies[0].text,
            "create index concurrently idx_order_created_at on public.\"order\" (created_at) where deleted_at is null;"
        );
    }

    #[test]
    fn used_orders_by_date_are_reported_from_ten_thousand() {
        let with = |rows| orders(rows, |pg| statements(pg, vec![statement("1", SORTED, 300, 9_000.0)]));
        assert_passes(&CHECK, &with(9_999));
        let found = findings(&CHECK, &with(10_000));
        assert_eq!((found[0].severity, found[0].confidence), (Severity::High, Confidence::High));
        assert!(found[0].touches.contains(&"statement:1".to_owned()));
    }

    #[test]
    fn the_orders_of_one_customer_are_sorted_as_they_come() {
        let of = |filter: &str| {
            format!(
                r#"select * from "order" as "o0" where "o0"."deleted_at" is null and "o0"."{filter}" = $1 order by "o0"."created_at" desc limit $2"#
            )
        };
        let with = |filter: &str| orders(20_000, |pg| statements(pg, vec![statement("1", &of(filter), 300, 9_000.0)]));
        assert_passes(&CHECK, &with("customer_id"));
        assert_eq!(findings(&CHECK, &with("status")).len(), 1);
    }

    #[test]
    fn what_another_index_finds_is_not_counted() {
        let customer = || index("order", "IDX_order_customer_id", &["customer_id"], None);
        let draft = || index("order", "IDX_order_is_draft_order", &["is_draft_order"], None);
        // 500 blocks are a third of the table.
        let with = |filter: &str, blocks| {
            let text = format!(r#"select "o0"."id" from "order" as "o0" where {filter} "o0"."created_at" > $2 and "o0"."deleted_at" is null"#);
            orders(20_000, |pg| {
                indexes(pg, vec![customer(), draft()]);
                statements(pg, vec![scanning("1", &text, 300, 9_000.0, blocks)]);
            })
        };
        assert_eq!(findings(&CHECK, &with("", 500)).len(), 1);
        assert_passes(&CHECK, &with(r#""o0"."customer_id" = $1 and"#, 5));
        assert_passes(&CHECK, &with(r#""o0"."is_draft_order" = $1 and"#, 5));
        // An index on a flag finds nothing.
        assert_eq!(findings(&CHECK, &with(r#""o0"."is_draft_order" = $1 and"#, 500)).len(), 1);
    }

    #[test]
    fn between_the_bounds_unreadable_statements_leave_it_open() {
        let unread = |rows| orders(rows, |pg| pg.statements = Err(Gap::not_configured(Section::PgStatements)));
        assert_passes(&CHECK, &unread(9_999));
        assert_eq!(assert_unknown(&CHECK, &unread(10_000)).section, Section::PgStatements);
        assert_unknown(&CHECK, &unread(49_999));
        assert_eq!(findings(&CHECK, &unread(50_000)).len(), 1);
        // What is missing for certain is named all the same.
        let also = orders(20_000, |pg| {
            tables(pg, vec![table("order", 20_000, 20_000_000), table("order_item", 20_000, 20_000_000)]);
            pg.statements = Err(Gap::not_configured(Section::PgStatements));
        });
        assert_eq!(findings(&CHECK, &also)[0].subject.name, "public.order_item(order_id)");
    }

    #[test]
    fn a_proof_is_shown_where_the_planner_was_asked() {
        let items = r#"select "i0".* from "order_item" as "i0" where "i0"."order_id" = $1 and "i0"."deleted_at" is null"#;
        let proof = |pg: &mut Postgres| {
            pg.proofs = Ok(vec![Proof {
                statement_id: "1".into(),
                schema: "public".into(),
                table: "order_item".into(),
                columns: vec!["order_id".into()],
                definition: "create index on public.order_item (order_id)".into(),
                method: "hypopg".into(),
                cost_before: 20_000.0,
                node_before: "Seq Scan".into(),
                rows_before: 2.0,
                cost_after: Some(8.0),
                left_in_memory: None,
                node_after: Some("Index Scan".into()),
                is_used: true,
                bytes: None,
            }]);
        };
        let of = |edit: &dyn Fn(&mut Postgres)| {
            store(|pg| {
                tables(pg, vec![table("order_item", 500_000, 8_192 * 12_800)]);
                statements(pg, vec![scanning("1", items, 300, 30_000.0, 12_800)]);
                edit(pg);
            })
        };
        let proved = &findings(&CHECK, &of(&proof))[0];
        let after = proved.evidence.iter().find_map(|e| match e {
            Evidence::BeforeAfter { before, after, basis, .. } => Some((*before, *after, *basis)),
            _ => None,
        });
        assert_eq!(after.map(|(before, _, basis)| (before, basis)), Some((100.0, Basis::Proved)));
        // What the planner leaves of its cost, and what starting a call takes.
        assert!(after.is_some_and(|(_, after, _)| (after - 0.05).abs() < 0.001), "{after:?}");
        assert_eq!(proved.confidence_because, "proved by a hypothetical index");
        let modelled = &findings(&CHECK, &of(&|_| {}))[0];
        assert!(modelled.evidence.iter().any(|e| matches!(e, Evidence::BeforeAfter { basis: Basis::Modelled, .. })));
    }

    #[test]
    fn any_name_serves_the_role() {
        assert_passes(&CHECK, &orders(80_000, |pg| indexes(pg, vec![index("order", "mine", &["created_at", "id"], Some("(deleted_at IS NULL)"))])));
        let other = orders(80_000, |pg| indexes(pg, vec![index("order", "mine", &["created_at"], Some("(is_draft_order = false)"))]));
        assert_eq!(findings(&CHECK, &other).len(), 1);
    }

    #[test]
    fn roles_follow_the_version() {
        let both = |major| {
            store(|pg| {
                tables(pg, vec![table("line_item", 20_000, 20_000_000), table("cart_line_item", 20_000, 20_000_000)]);
                if let Ok(medusa) = &mut pg.medusa {
                    medusa.major = major;
                }
            })
        };
        let names = |major| findings(&CHECK, &both(major)).into_iter().map(|f| f.subject.name).collect::<Vec<_>>();
        assert_eq!(names(2), ["public.cart_line_item(cart_id)"]);
        assert_eq!(names(1), ["public.line_item(cart_id)", "public.line_item(order_id)"]);
        assert!(matches!(CHECK.run(&both(3)), crate::finding::Outcome::NotApplicable(_)));
    }

    #[test]
    fn without_statements_it_still_tells_and_says_so() {
        let snapshot = orders(50_000, |pg| pg.statements = Err(Gap::not_configured(Section::PgStatements)));
        let found = findings(&CHECK, &snapshot);
        assert_eq!(found[0].confidence, Confidence::Medium);
        assert!(found[0].observed.contains("not known"));
    }

    #[test]
    fn its_needs_are_exact() {
        assert_needs_are_exact(&CHECK, &orders(50_000, |pg| statements(pg, vec![statement("1", SORTED, 300, 9_000.0)])));
    }
}
