//! An index that Medusa's own migrations create, and that is not there.

use crate::checks::medusa::{Told, told};
use crate::checks::stock::{Missing, attach_reads, missing};
use crate::checks::stock_notes::{confidence, folded, remedies, slip};
use crate::checks::stock_sql::columns;
use crate::checks::workload::{Load, Workload, read_loads, workload};
use crate::checks::{Check, always};
use crate::evidence::medusa::Medusa;
use crate::evidence::{Cause, Gap, Layer, Section, Snapshot};
use crate::finding::{Cell, Cost, Effort, Evidence, Finding, Resource, Severity, Subject};
use crate::text;

/// Findings of their own; when more are missing, a restore has lost them together, and they are one finding.
const SINGLE_MAX: usize = 8;

pub static CHECK: Check = Check {
    id: "pg-missing-stock-index",
    layer: Layer::Postgres,
    title: "An index that Medusa creates itself is missing",
    passed: "All indexes that Medusa's migrations create are there and valid.",
    why: "Medusa's own statements count on these indexes. Where one was dropped, or got lost in a restore, they read whole tables; where it was a unique \
          one, duplicates are no longer refused.",
    remedy: "Create it again under its own name, so that later migrations find it.",
    method: "Takes the version that the migration tables tell and compares the indexes with those that this version creates in an empty database. An index that \
             serves the same under another name counts; tables that are not there are passed over. Where the version may be one of several, only what all of \
             them create is asked for. A finding of its own on tables of 10,000 rows or 10 MB, for the first 8 by cost; the rest is one note.",
    effort: Effort::Minutes,
    references: &["https://docs.medusajs.com/resources/medusa-cli/commands/db", "https://www.postgresql.org/docs/current/sql-createindex.html"],
    needs: &[Section::PgTables, Section::PgIndexes, Section::PgMedusa],
    uses: &[Section::PgColumns, Section::PgStatements],
    symptom_of: &["pg-invalid-index", "pg-missing-index", "pg-commerce-index", "pg-unindexed-foreign-key"],
    applies_to: always,
    evaluate,
};

fn evaluate(snapshot: &Snapshot) -> Result<Vec<Finding>, Gap> {
    let pg = snapshot.pg()?;
    let medusa = snapshot.medusa()?;
    let (tables, indexes) = (&pg.tables()?.rows, pg.indexes()?);
    let told = told(&medusa.version).ok_or_else(|| not_recognised(medusa))?;
    if !indexes.is_whole() {
        let detail = "There are more indexes than are read, so that one is missing cannot be told.";
        return Err(Gap::new(Section::PgIndexes, Cause::Unreadable, detail));
    }
    let work = workload(snapshot).ok();
    let mut missing = missing(snapshot, medusa, &told, tables, &indexes.rows);
    if let Some(work) = &work
        && !missing.is_empty()
    {
        let reads = read_loads(work);
        missing.iter_mut().for_each(|m| attach_reads(work, &reads, &indexes.rows, m));
    }
    missing.sort_by(|a, b| weight(b).total_cmp(&weight(a)).then_with(|| a.stock.name.cmp(&b.stock.name)));
    let singles = if missing.iter().filter(|m| m.is_large()).count() <= SINGLE_MAX { SINGLE_MAX } else { 0 };
    let (own, others): (Vec<_>, Vec<_>) = missing.into_iter().partition(|m| m.is_large() && (singles > 0 || m.share > 0.0));
    let mut findings: Vec<Finding> = own.iter().take(SINGLE_MAX).map(|m| finding(medusa, &told, work.as_ref(), m)).collect();
    let others: Vec<Missing> = own.into_iter().skip(SINGLE_MAX).chain(others).collect();
    if !others.is_empty() {
        findings.push(folded(medusa, &told, &others));
    }
    findings.extend(slip(snapshot, medusa, tables, &indexes.rows));
    Ok(findings)
}

/// By cost, then by what duplicates would do, then by size.
fn weight(missing: &Missing) -> f64 {
    missing.share * 1e18 + if missing.stock.unique { 1e15 } else { 0.0 } + missing.table.table_bytes as f64
}

fn not_recognised(medusa: &Medusa) -> Gap {
    let remedy = "Let the role read the names of the migrations: grant select on mikro_orm_migrations (Medusa v1: migrations). Releases without a \
                  baseline stay unknown.";
    let cause = Cause::Absent { feature: "a known Medusa version".to_owned(), remedy: remedy.to_owned() };
    let detail = format!("Which indexes belong here depends on the version, and {} is all that can be told: {}.", medusa.version, medusa.evidence);
    Gap::new(Section::PgMedusa, cause, detail)
}

fn finding(medusa: &Medusa, told: &Told, work: Option<&Workload>, missing: &Missing) -> Finding {
    let (stock, table) = (missing.stock, missing.table);
    let severity = if told.may_be_newer {
        Severity::Info
    } else if stock.unique {
        Severity::from_share(missing.share).max(Severity::Medium)
    } else {
        Severity::from_share(missing.share)
    };
    let (confidence, because) = confidence(medusa, told);
    let mut touches: Vec<String> = missing.loads.iter().map(Load::touch).collect();
    touches.push(format!("index:{}", missing.subject()));
    touches.push(format!("columns:{}.{}({})", table.schema, table.name, stock.plain_columns().collect::<Vec<_>>().join(", ")));
    Finding {
        subject: Subject::new("index", missing.subject()),
        observed: observed(medusa, work, missing),
        step: format!("{} Medusa's index {}", if missing.invalid.is_some() { "Rebuild" } else { "Restore" }, stock.name),
        evidence: evidence(medusa, missing),
        severity,
        confidence,
        confidence_because: because,
        effort: Effort::Minutes,
        cost: Cost { resource: if missing.share > 0.0 || !stock.unique { Resource::DatabaseTime } else { Resource::Risk }, share: missing.share },
        gain: None,
        averts: stock.unique.then(|| "duplicate rows".to_owned()),
        remedies: remedies(missing),
        verify: format!("Audit again: this finding is gone; \\d {} lists {} without the word invalid.", table.full_name(), stock.name),
        touches,
    }
}

fn observed(medusa: &Medusa, work: Option<&Workload>, missing: &Missing) -> String {
    let (stock, table) = (missing.stock, missing.table);
    let rows = text::plural(table.rows().unwrap_or(0), "row", "rows");
    let unique = if stock.unique { ", and duplicates are not refused" } else { "" };
    let head = format!(
        "{} on {}({}) is {}, though Medusa {} creates it: {rows} in {}{unique}",
        stock.name,
        table.name,
        columns(stock),
        missing.state(),
        medusa.version,
        text::bytes_disk(table.table_bytes)
    );
    match work.filter(|_| missing.share > 0.0) {
        Some(work) => {
            let calls = missing.loads.iter().map(|l| l.counters.calls).sum();
            let share = text::percent(missing.share);
            format!("{head}. {} {} look there by it: {share} of the database time.", text::plural(calls, "call", "calls"), work.words)
        }
        None => format!("{head}."),
    }
}

fn evidence(medusa: &Medusa, missing: &Missing) -> Vec<Evidence> {
    let mut evidence = vec![
        Evidence::text("Version", format!("{}, told by {}", medusa.version, medusa.evidence)),
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
        evidence.push(Evidence::table("Statements that look by it", &["Statement", "Calls", "Mean"], rows.collect()));
    }
    evidence
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::fixtures::*;
    use crate::checks::medusa::{StockIndex, expected_indexes};
    use crate::evidence::Listed;
    use crate::evidence::postgres::{Column, Index, Postgres};
    use crate::finding::Confidence;

    const VERSION: &str = "2.21";

    fn stock_indexes(of: &[&str]) -> Vec<Index> {
        let of_version = expected_indexes(&told(VERSION).unwrap());
        let make = |stock: &&StockIndex| {
            let columns: Vec<&str> = stock.plain_columns().collect();
            let mut made = index(&stock.table, &stock.name, &columns, stock.predicate.as_deref());
            (made.is_unique, made.is_primary) = (stock.unique, stock.constraint.as_deref() == Some("p"));
            if let Some(method) = &stock.method {
                made.method.clone_from(method);
            }
            made
        };
        of_version.iter().filter(|i| of.contains(&i.table.as_str())).map(make).collect()
    }

    /// A catalogue of images and links as stock Medusa has it, large, changed by `edit`.
    fn stock(edit: impl FnOnce(&mut Vec<Index>, &mut Postgres)) -> Snapshot {
        store(|pg| {
            let names = ["image", "product_sales_channel", "customer", "price_list_rule"];
            let mut rows = stock_indexes(&names);
            rows.push(index("price_list_rule", "mine", &["price_list_id"], Some("(deleted_at IS NULL)")));
            tables(pg, names.iter().map(|t| table(t, 20_000, 20_000_000)).collect());
            version(pg, VERSION);
            edit(&mut rows, pg);
            indexes(pg, rows);
        })
    }

    fn version(pg: &mut Postgres, text: &str) {
        if let Ok(medusa) = &mut pg.medusa {
            medusa.version = text.into();
        }
    }

    fn without(name: &'static str) -> impl FnOnce(&mut Vec<Index>, &mut Postgres) {
        move |rows, _| rows.retain(|i| i.name != name)
    }

    #[test]
    fn a_stock_store_is_whole() {
        assert_passes(&CHECK, &stock(|_, _| {}));
        assert!(stock_indexes(&["image"]).len() >= 3);
    }

    #[test]
    fn a_lost_index_is_named_with_its_exact_text() {
        let found = findings(&CHECK, &stock(without("IDX_image_product_id")));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].subject.name, "public.IDX_image_product_id");
        assert_eq!((found[0].severity, found[0].confidence), (Severity::Low, Confidence::High));
        let text = &found[0].remedies[0].text;
        assert!(
            text.starts_with("create index concurrently \"IDX_image_product_id\" on public.image (product_id) where deleted_at IS NULL"),
            "{text}"
        );
        assert_eq!(found[0].remedies.len(), 1, "db:migrate would not bring it back");
    }

    #[test]
    fn a_link_table_has_medusas_own_command() {
        let lost = |rows: &mut Vec<Index>, _: &mut Postgres| {
            rows.retain(|i| i.table != "product_sales_channel" || i.is_unique || i.keys[0].text != "sales_channel_id");
        };
        let found = findings(&CHECK, &stock(lost));
        assert_eq!(found[0].remedies[1].text, "npx medusa db:sync-links");
    }

    #[test]
    fn a_primary_key_that_begins_with_the_column_serves() {
        let lost = |rows: &mut Vec<Index>, _: &mut Postgres| {
            rows.retain(|i| i.table != "product_sales_channel" || i.is_unique || i.keys[0].text != "product_id");
        };
        assert_passes(&CHECK, &stock(lost));
    }

    #[test]
    fn an_invalid_one_is_rebuilt_and_a_build_is_waited_for() {
        let broken = |is_building: bool| {
            stock(move |rows, _| {
                let index = rows.iter_mut().find(|i| i.name == "IDX_image_product_id").unwrap();
                (index.is_valid, index.is_building) = (false, is_building);
            })
        };
        let found = findings(&CHECK, &broken(false));
        assert!(found[0].observed.contains("is invalid"), "{}", found[0].observed);
        assert_eq!(found[0].remedies[0].text, "reindex index concurrently public.\"IDX_image_product_id\";");
        assert_passes(&CHECK, &broken(true));
    }

    #[test]
    fn another_that_serves_the_same_counts() {
        let instead = |edit: fn(&mut Index)| {
            stock(move |rows, _| {
                let index = rows.iter_mut().find(|i| i.name == "IDX_image_product_id").unwrap();
                index.name = "mine".into();
                edit(index);
            })
        };
        assert_passes(&CHECK, &instead(|_| {}));
        assert_passes(&CHECK, &instead(|i| i.predicate = None));
        assert_passes(&CHECK, &instead(|i| i.keys.push(key("rank"))));
        assert_passes(&CHECK, &instead(|i| i.is_unique = true));
        for edit in [
            (|i: &mut Index| i.predicate = Some("rank = 0".into())) as fn(&mut Index),
            |i| i.is_valid = false,
            |i| i.method = "hash".into(),
            |i| i.keys[0].opclass = Some("text_pattern_ops".into()),
            |i| i.keys[0].collation = Some("C".into()),
            |i| i.keys.insert(0, key("rank")),
            |i| i.table = "other".into(),
        ] {
            assert_eq!(findings(&CHECK, &instead(edit)).len(), 1);
        }
    }

    #[test]
    fn a_lost_unique_index_weighs_more_and_a_plain_one_does_not_stand_in() {
        const EMAIL: &str = "IDX_customer_email_has_account_unique";
        let found = findings(&CHECK, &stock(without(EMAIL)));
        assert_eq!((found[0].severity, found[0].averts.as_deref()), (Severity::Medium, Some("duplicate rows")));
        assert!(found[0].remedies[0].text.starts_with("create unique index concurrently"));
        let plain = stock(|rows, _| {
            let index = rows.iter_mut().find(|i| i.name == EMAIL).unwrap();
            (index.name, index.is_unique) = ("mine".into(), false);
        });
        assert_eq!(findings(&CHECK, &plain)[0].severity, Severity::Medium);
    }

    #[test]
    fn small_tables_are_one_note() {
        let sized = |rows_count: u64, bytes: u64| {
            stock(move |rows, pg| {
                rows.retain(|i| i.name != "IDX_image_product_id" && i.name != "IDX_image_deleted_at");
                tables(pg, vec![table("image", rows_count, bytes)]);
            })
        };
        let note = findings(&CHECK, &sized(9_999, 9_999_999));
        assert_eq!((note.len(), note[0].severity), (1, Severity::Info));
        assert!(note[0].observed.starts_with("2\u{a0}indexes"), "{}", note[0].observed);
        assert_eq!(note[0].remedies[0].text.matches("create index concurrently").count(), 2);
        assert_eq!(findings(&CHECK, &sized(10_000, 1)).len(), 2);
        assert_eq!(findings(&CHECK, &sized(1, 10_000_000)).len(), 2);
    }

    #[test]
    fn a_restore_without_indexes_is_one_finding() {
        let all = findings(&CHECK, &stock(|rows, _| rows.retain(|i| i.name == "mine")));
        assert_eq!((all.len(), all[0].severity), (1, Severity::Low));
        assert!(all[0].averts.is_some());
    }

    #[test]
    fn what_the_version_does_not_create_is_not_missed() {
        // Tables of modules that are not installed, and of the store's own, are passed over.
        assert_passes(
            &CHECK,
            &stock(|rows, pg| {
                rows.retain(|i| i.table != "image");
                tables(pg, vec![table("customer", 20_000, 1), table("loyalty_point", 50_000, 20_000_000)]);
            }),
        );
        // So are columns that are not there yet.
        let columns = |names: &[&str]| {
            let column =
                |n: &&str| Column { schema: "public".into(), table: "image".into(), name: (*n).into(), data_type: "text".into(), is_nullable: false };
            let rows: Vec<Column> = names.iter().map(column).collect();
            stock(move |indexes, pg| {
                indexes.retain(|i| i.name != "IDX_image_product_id");
                pg.columns = Ok(Listed::whole(rows));
            })
        };
        assert_passes(&CHECK, &columns(&["id", "url"]));
        assert_eq!(findings(&CHECK, &columns(&["id", "product_id"])).len(), 1);
    }

    #[test]
    fn an_unknown_version_is_a_gap() {
        for text in ["2.x", "1.x", "1.12"] {
            let gap = assert_unknown(&CHECK, &stock(|_, pg| version(pg, text)));
            assert!(matches!(gap.cause, Cause::Absent { .. }) && gap.detail.contains(text), "{gap:?}");
        }
    }

    #[test]
    fn a_newer_version_may_have_given_it_up() {
        let found = findings(
            &CHECK,
            &stock(|rows, pg| {
                rows.retain(|i| i.name != "IDX_image_product_id");
                version(pg, "2.21 or newer");
            }),
        );
        assert_eq!((found[0].severity, found[0].confidence), (Severity::Info, Confidence::Low));
    }

    #[test]
    fn a_list_that_was_cut_tells_nothing() {
        let mut snapshot = stock(without("IDX_image_product_id"));
        if let Ok(pg) = &mut snapshot.postgres
            && let Ok(indexes) = &mut pg.indexes
        {
            indexes.cut = None;
        }
        assert_unknown(&CHECK, &snapshot);
    }

    #[test]
    fn statements_that_look_by_it_set_the_severity() {
        let text = r#"select "i0".* from "image" as "i0" where "i0"."product_id" = $1 and "i0"."deleted_at" is null"#;
        let of = |ms: f64| {
            findings(
                &CHECK,
                &stock(|rows, pg| {
                    rows.retain(|i| i.name != "IDX_image_product_id");
                    statements(pg, vec![statement("1", text, 600, ms), statement("2", "select * from region where id = $1", 10_000, 10_000.0 - ms)]);
                }),
            )[0]
            .clone()
        };
        assert_eq!(of(499.0).severity, Severity::Low);
        assert_eq!(of(500.0).severity, Severity::Medium);
        let high = of(2_500.0);
        assert_eq!(high.severity, Severity::High);
        assert!(high.observed.contains("600\u{a0}calls") && high.touches.contains(&"statement:1".to_owned()), "{}", high.observed);
    }

    #[test]
    fn its_needs_are_exact() {
        assert_needs_are_exact(&CHECK, &stock(without("IDX_image_product_id")));
    }
}
