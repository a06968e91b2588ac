//! What is said of lost stock indexes together: how sure, how to mend them, the note on small tables, the upstream slip.

use super::index::is_soft_delete_partial;
use super::medusa::{Told, is_link_table};
use super::new_index::NewIndex;
use super::stock::{Missing, is_large, terms};
use super::stock_sql::{create_remedy, rebuild_remedy, sync_links_remedy};
use crate::evidence::Snapshot;
use crate::evidence::medusa::Medusa;
use crate::evidence::postgres::{Index, Table};
use crate::finding::{Cell, Confidence, Cost, Effort, Evidence, Finding, Remedy, RemedyKind, Resource, Severity, Subject};
use crate::text;

/// Slip of Medusa up to the newest known release: made for soft-deleted rows, where its twins are made for live ones, so no query uses it.
const SLIP: (&str, &str, &str) = ("price_list_rule", "IDX_price_list_rule_price_list_id", "price_list_id");

pub fn confidence(medusa: &Medusa, told: &Told) -> (Confidence, String) {
    if told.may_be_newer {
        return (Confidence::Low, format!("the version may be newer than {}, and a newer one may have given the index up", told.to));
    }
    if told.is_early || told.from != told.to {
        return (Confidence::Medium, format!("the version is told as {}; all of these create it", medusa.version));
    }
    (Confidence::High, format!("the version is told by {}", medusa.evidence))
}

pub fn remedies(missing: &Missing) -> Vec<Remedy> {
    if let Some(index) = missing.invalid {
        return vec![rebuild_remedy(index)];
    }
    let mut remedies = vec![create_remedy(missing.stock, missing.table)];
    if is_link_table(&missing.stock.table) {
        remedies.push(sync_links_remedy(&missing.stock.table));
    }
    remedies
}

/// What is missing on small tables, or by the dozen, together.
pub fn folded(medusa: &Medusa, told: &Told, others: &[Missing]) -> Finding {
    let rows = others.iter().map(|m| {
        vec![
            Cell::text(&m.stock.name),
            Cell::text(&m.table.name),
            Cell::text(m.state()),
            Cell::text(if m.stock.unique { "yes" } else { "no" }),
            Cell::number(m.table.rows().unwrap_or(0) as f64, text::count(m.table.rows().unwrap_or(0))),
        ]
    });
    let sql: Vec<String> = others.iter().flat_map(remedies).filter(|r| r.kind == RemedyKind::Sql).map(|r| r.text).collect();
    let (confidence, because) = confidence(medusa, told);
    let is_loud = !told.may_be_newer && others.iter().any(Missing::is_large);
    let schema = &medusa.schema;
    let count = text::plural(others.len() as u64, "index", "indexes");
    Finding {
        subject: Subject::new("table", format!("{schema}: other tables")),
        observed: if is_loud {
            format!("{count} that Medusa {} creates are missing or invalid: a restore may have lost them.", medusa.version)
        } else {
            format!("{count} that Medusa {} creates are missing or invalid on small tables, where it costs little.", medusa.version)
        },
        step: format!("Restore {} of Medusa's indexes", text::count(others.len() as u64)),
        evidence: vec![Evidence::table("Indexes", &["Index", "Table", "", "Unique", "Rows"], rows.collect())],
        severity: if is_loud { Severity::Low } else { Severity::Info },
        confidence,
        confidence_because: because,
        effort: Effort::Minutes,
        cost: Cost { resource: Resource::DatabaseTime, share: 0.0 },
        gain: None,
        averts: others.iter().any(|m| m.stock.unique).then(|| "duplicate rows".to_owned()),
        remedies: vec![Remedy {
            kind: RemedyKind::Sql,
            label: "Create the indexes".to_owned(),
            text: sql.join("\n"),
            lock: Some("SHARE UPDATE EXCLUSIVE on one table after the other: reads and writes go on.".to_owned()),
            risk: "A unique one fails while duplicates exist: remove them first.".to_owned(),
            undo: None,
        }],
        verify: "Audit again: this finding is gone.".to_owned(),
        touches: others.iter().map(|m| format!("index:{}", m.subject())).collect(),
    }
}

/// The upstream slip, where the table is large enough to matter and nothing else serves its live rows.
pub fn slip(snapshot: &Snapshot, medusa: &Medusa, tables: &[Table], indexes: &[Index]) -> Option<Finding> {
    let (table_name, name, column) = SLIP;
    let table = tables.iter().find(|t| t.schema == medusa.schema && t.name == table_name).filter(|t| is_large(t))?;
    let beside = || indexes.iter().filter(|i| i.schema == medusa.schema && i.table == table_name);
    let index = beside().find(|i| i.name == name && i.predicate.as_deref().is_some_and(|p| terms(p).contains("deleted_at is not null")))?;
    let leads = |i: &&Index| i.is_valid && i.method == "btree" && i.keys.first().is_some_and(|k| k.text == column);
    if beside().filter(leads).any(|i| i.predicate.is_none() || is_soft_delete_partial(i)) {
        return None;
    }
    let new = NewIndex::new(&table.schema, table_name, &[column.to_owned()], Some("deleted_at is null"), indexes);
    Some(Finding {
        subject: Subject::new("index", format!("{}.{name}", table.schema)),
        observed: format!(
            "An upstream slip: {name} holds soft-deleted rows only (deleted_at IS NOT NULL), so looking up {} by {column} reads the whole table.",
            text::plural(table.rows().unwrap_or(0), "rule", "rules")
        ),
        step: format!("Index {} for live rows", new.short()),
        evidence: vec![Evidence::Code { label: "As Medusa creates it".to_owned(), language: "sql".to_owned(), text: index.definition.clone() }],
        severity: Severity::Info,
        confidence: Confidence::High,
        confidence_because: "the definition says so".to_owned(),
        effort: Effort::Minutes,
        cost: Cost { resource: Resource::DatabaseTime, share: 0.0 },
        gain: None,
        averts: None,
        remedies: new.remedies(snapshot, table.table_bytes),
        verify: format!("Audit again: this note is gone, and {} counts scans.", new.name),
        touches: vec![format!("columns:{}", new.subject())],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::fixtures::{index, store, table};

    #[test]
    fn the_upstream_slip_is_a_note_where_the_table_is_large() {
        let snapshot = store(|_| {});
        let medusa = snapshot.medusa().unwrap();
        let stock = index("price_list_rule", SLIP.1, &[SLIP.2], Some("deleted_at IS NOT NULL"));
        let said = |rows: u64, also: &[Index]| {
            let indexes: Vec<Index> = std::iter::once(stock.clone()).chain(also.iter().cloned()).collect();
            slip(&snapshot, medusa, &[table("price_list_rule", rows, 1)], &indexes)
        };
        assert!(said(9_999, &[]).is_none());
        let found = said(10_000, &[]).unwrap();
        assert_eq!(found.severity, Severity::Info);
        assert_eq!(
            found.remedies[0].text,
            "create index concurrently idx_price_list_rule_price_list_id on public.price_list_rule (price_list_id) where deleted_at is null;"
        );
        for serving in [None, Some("(deleted_at IS NULL)")] {
            assert!(said(10_000, &[index("price_list_rule", "mine", &["price_list_id"], serving)]).is_none());
        }
        assert!(said(10_000, &[index("price_list_rule", "mine", &["attribute"], None)]).is_some());
        let mended = index("price_list_rule", SLIP.1, &[SLIP.2], Some("(deleted_at IS NULL)"));
        assert!(slip(&snapshot, medusa, &[table("price_list_rule", 10_000, 1)], &[mended]).is_none());
    }
}
