//! What belongs to Medusa itself: the tables, link tables and indexes that its own migrations create, by version.
//!
//! Ownership is judged against all baselines together: an object that any of them creates is never the target of a `drop`.

use std::collections::{HashMap, HashSet};
use std::sync::OnceLock;

use serde::Deserialize;

/// What one version's migrations create in an empty database.
#[derive(Debug, Deserialize)]
pub struct Baseline {
    pub major: u8,
    pub version: String,
    pub tables: Vec<String>,
    pub link_tables: Vec<String>,
    pub indexes: Vec<StockIndex>,
    pub constraints: Vec<StockConstraint>,
    pub migrations: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub struct StockIndex {
    pub table: String,
    pub name: String,
    pub columns: Vec<String>,
    pub unique: bool,
    pub predicate: Option<String>,
}

#[derive(Debug, Deserialize)]
pub struct StockConstraint {
    pub table: String,
    pub name: String,
    /// As `pg_constraint.contype`: "p", "u", "f", "c".
    pub kind: String,
    pub columns: Vec<String>,
}

struct Known {
    baselines: Vec<Baseline>,
    tables: HashSet<String>,
    /// By table and name.
    indexes: HashMap<String, HashSet<String>>,
}

/// Tables of the index engine: partitions made at run time, and the tables they hang on.
const ENGINE_PREFIX: &str = "cat_";
/// Bookkeeping of the migration tools.
const BOOKKEEPING: [&str; 6] =
    ["mikro_orm_migrations", "link_module_migrations", "script_migrations", "migrations", "typeorm_metadata", "index_metadata"];
/// How Medusa's tools name indexes: MikroORM and TypeORM. On a stock table such a name comes from a version without a baseline.
const TOOL_PREFIXES: [&str; 4] = ["IDX_", "REL_", "UQ_", "PK_"];

fn known() -> &'static Known {
    static KNOWN: OnceLock<Known> = OnceLock::new();
    KNOWN.get_or_init(|| {
        let texts = [include_str!("../../assets/medusa/v1-1.20.11.json"), include_str!("../../assets/medusa/v2-2.21.2.json")];
        let baselines: Vec<Baseline> = texts.iter().map(|t| serde_json::from_str(t).expect("the embedded baselines are well formed")).collect();
        let tables = baselines.iter().flat_map(|b| b.tables.iter().chain(&b.link_tables)).cloned().collect();
        let mut indexes: HashMap<String, HashSet<String>> = HashMap::new();
        for index in baselines.iter().flat_map(|b| &b.indexes) {
            indexes.entry(index.table.clone()).or_default().insert(index.name.clone());
        }
        Known { baselines, tables, indexes }
    })
}

/// The baseline of a major version, 1 or 2.
pub fn baseline(major: u8) -> Option<&'static Baseline> {
    known().baselines.iter().find(|b| b.major == major)
}

/// Whether Medusa creates and owns the table.
pub fn is_stock_table(table: &str) -> bool {
    known().tables.contains(table)
        || BOOKKEEPING.contains(&table)
        || table.starts_with(ENGINE_PREFIX)
        || table.starts_with("index_data")
        || table.starts_with("index_relation")
}

/// Whether Medusa creates and owns the index: by a baseline, by the index engine, or by the naming of Medusa's tools on a stock table.
pub fn is_stock_index(table: &str, index: &str) -> bool {
    known().indexes.get(table).is_some_and(|names| names.contains(index))
        || table.starts_with(ENGINE_PREFIX)
        || table.starts_with("index_data")
        || table.starts_with("index_relation")
        || (is_stock_table(table) && (TOOL_PREFIXES.iter().any(|p| index.starts_with(p)) || index.ends_with("_pkey")))
}

/// The stock index of `major` on exactly these columns, which a store may have lost.
pub fn stock_index(major: u8, table: &str, columns: &[String]) -> Option<&'static StockIndex> {
    baseline(major)?.indexes.iter().find(|i| i.table == table && i.columns.iter().map(|c| c.trim_matches('"')).eq(columns.iter().map(String::as_str)))
}

/// Whether stock Medusa itself has this foreign key and no index that begins with it: then its own statements do not need one.
/// Without a known version, any of the baselines speaks for it.
pub fn is_stock_bare_key(major: Option<u8>, table: &str, columns: &[String]) -> bool {
    known().baselines.iter().filter(|b| major.is_none_or(|m| m == b.major)).any(|b| {
        let leads = |i: &StockIndex| i.columns.first().is_some_and(|c| columns.iter().any(|k| k == c.trim_matches('"')));
        b.constraints.iter().any(|c| c.kind == "f" && c.table == table && c.columns == columns)
            && !b.indexes.iter().any(|i| i.table == table && leads(i))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_baselines_load() {
        let (one, two) = (baseline(1).unwrap(), baseline(2).unwrap());
        assert_eq!((one.tables.len(), one.indexes.len()), (100, 297));
        assert_eq!((two.tables.len(), two.indexes.len(), two.link_tables.len()), (147, 598, 20));
        assert!(baseline(3).is_none());
    }

    #[test]
    fn stock_objects_are_told_from_the_stores_own() {
        assert!(is_stock_table("order") && is_stock_table("money_amount") && is_stock_table("cat_product"));
        assert!(!is_stock_table("loyalty_point"));
        assert!(is_stock_index("image", "IDX_image_product_id") && is_stock_index("image", "image_pkey"));
        assert!(is_stock_index("cat_product", "cat_product_document_tsv_idx"));
        assert!(!is_stock_index("image", "idx_image_url"));
        assert!(!is_stock_index("loyalty_point", "IDX_loyalty_point_customer_id"));
    }

    #[test]
    fn a_lost_stock_index_is_found_by_its_columns() {
        let columns = vec!["product_id".to_owned()];
        assert_eq!(stock_index(2, "image", &columns).map(|i| i.name.as_str()), Some("IDX_image_product_id"));
        assert!(stock_index(1, "image", &columns).is_none());
        assert!(!is_stock_bare_key(Some(2), "image", &columns));
        let tag = ["product_tag_id".to_owned()];
        assert!(is_stock_bare_key(Some(2), "product_tags", &tag) && is_stock_bare_key(None, "product_tags", &tag));
        assert!(!is_stock_bare_key(Some(1), "product_tags", &tag));
    }
}
