//! What belongs to Medusa itself: the tables, link tables and indexes that its own migrations create, by version.
//!
//! Ownership is judged against all versions together: an object that any of them creates is never the target of a `drop`. What a store
//! should have is judged by its own version.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::OnceLock;

use serde::Deserialize;

/// A minor version: 2.13.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Minor(pub u8, pub u8);

impl Minor {
    /// "2.13", "2.13.6".
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        Some(Self(parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
    }
}

impl TryFrom<String> for Minor {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).ok_or_else(|| format!("{text} is no minor version"))
    }
}

impl fmt::Display for Minor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

/// What the versions of one major create in an empty database, each object once.
#[derive(Debug, Deserialize)]
struct Baselines {
    major: u8,
    releases: Vec<Release>,
    tables: Vec<StockTable>,
    link_tables: Vec<StockTable>,
    indexes: Vec<StockIndex>,
    foreign_keys: Vec<StockKey>,
}

#[derive(Debug, Deserialize)]
struct Release {
    minor: Minor,
}

#[derive(Debug, Deserialize)]
struct StockTable {
    name: String,
}

/// An index as the server describes it; `since` and `until` are absent where the first and the last known minor have it.
#[derive(Debug, PartialEq, Deserialize)]
pub struct StockIndex {
    pub table: String,
    pub name: String,
    /// Key columns or expressions, quoted where SQL needs it.
    pub columns: Vec<String>,
    #[serde(default)]
    pub unique: bool,
    pub predicate: Option<String>,
    /// Absent: btree.
    pub method: Option<String>,
    /// One a key, named where it is not the default or the method is not btree.
    #[serde(default)]
    pub opclasses: Vec<Option<String>>,
    /// As `pg_index.indoption`, one a key; absent: ascending.
    #[serde(default)]
    pub options: Vec<u8>,
    /// As `pg_constraint.contype`, where it backs a primary key ("p") or a unique constraint ("u").
    pub constraint: Option<String>,
    since: Option<Minor>,
    until: Option<Minor>,
}

impl StockIndex {
    fn is_in(&self, minor: Minor) -> bool {
        self.since.is_none_or(|s| s <= minor) && self.until.is_none_or(|u| minor <= u)
    }

    /// The key columns without their quotes.
    pub fn plain_columns(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|c| c.trim_matches('"'))
    }
}

#[derive(Debug, Deserialize)]
struct StockKey {
    table: String,
    columns: Vec<String>,
    until: Option<Minor>,
}

struct Known {
    baselines: Vec<Baselines>,
    tables: HashSet<String>,
    link_tables: HashSet<String>,
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
        let texts = [include_str!("../../assets/medusa/v1.json"), include_str!("../../assets/medusa/v2.json")];
        let baselines: Vec<Baselines> = texts.iter().map(|t| serde_json::from_str(t).expect("the embedded baselines are well formed")).collect();
        let link_tables: HashSet<String> = baselines.iter().flat_map(|b| &b.link_tables).map(|t| t.name.clone()).collect();
        let tables = baselines.iter().flat_map(|b| &b.tables).map(|t| t.name.clone()).chain(link_tables.iter().cloned()).collect();
        let mut indexes: HashMap<String, HashSet<String>> = HashMap::new();
        for index in baselines.iter().flat_map(|b| &b.indexes) {
            indexes.entry(index.table.clone()).or_default().insert(index.name.clone());
        }
        Known { baselines, tables, link_tables, indexes }
    })
}

/// Tables of any minor, sorted.
#[cfg(test)]
pub fn stock_tables(major: u8) -> Vec<&'static str> {
    let mut names: Vec<&str> = of(major).map_or(&[][..], |b| &b.tables).iter().map(|t| t.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn of(major: u8) -> Option<&'static Baselines> {
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

/// Whether the table joins two modules: `medusa db:sync-links` makes it and its indexes.
pub fn is_link_table(table: &str) -> bool {
    known().link_tables.contains(table)
}

/// Whether Medusa creates and owns the index: by a baseline, by the index engine, or by the naming of Medusa's tools on a stock table.
pub fn is_stock_index(table: &str, index: &str) -> bool {
    known().indexes.get(table).is_some_and(|names| names.contains(index))
        || table.starts_with(ENGINE_PREFIX)
        || table.starts_with("index_data")
        || table.starts_with("index_relation")
        || (is_stock_table(table) && (TOOL_PREFIXES.iter().any(|p| index.starts_with(p)) || index.ends_with("_pkey")))
}

/// The stock index of the newest known `major` on exactly these columns, which a store may have lost.
pub fn stock_index(major: u8, table: &str, columns: &[String]) -> Option<&'static StockIndex> {
    let of = of(major)?;
    let newest = of.releases.last()?.minor;
    of.indexes.iter().find(|i| i.is_in(newest) && i.table == table && i.plain_columns().eq(columns.iter().map(String::as_str)))
}

/// Whether stock Medusa itself has this foreign key and no index that begins with it: then its own statements do not need one. Judged by
/// the newest version that has the key. Without a known major version, any of them speaks for it.
pub fn is_stock_bare_key(major: Option<u8>, table: &str, columns: &[String]) -> bool {
    known().baselines.iter().filter(|b| major.is_none_or(|m| m == b.major)).any(|b| {
        let Some(newest) = b.releases.last().map(|r| r.minor) else { return false };
        let key = b.foreign_keys.iter().filter(|k| k.table == table && k.columns == columns).map(|k| k.until.unwrap_or(newest)).max();
        let leads = |i: &StockIndex| i.plain_columns().next().is_some_and(|c| columns.iter().any(|k| k == c));
        key.is_some_and(|minor| !b.indexes.iter().any(|i| i.table == table && i.is_in(minor) && leads(i)))
    })
}

/// The versions a database may be of, as far as its migrations tell: from the words of `Medusa::version`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    pub from: Minor,
    pub to: Minor,
    /// An early patch of the minor: not all its migrations are there.
    pub is_early: bool,
    /// Migrations are there that no known version ships and that are newer than all of them.
    pub may_be_newer: bool,
}

/// Reads "2.13", "2.13.6", "2.13.x", "2.16–2.17", "2.21 or newer"; `None` for "2.x" and for versions without a baseline.
pub fn told(version: &str) -> Option<Told> {
    let may_be_newer = version.ends_with(" or newer");
    let words = version.trim_end_matches(" or newer");
    let is_early = words.ends_with(".x");
    let (from, to) = words.split_once('–').unwrap_or((words, words));
    let told = Told { from: Minor::parse(from)?, to: Minor::parse(to)?, is_early, may_be_newer };
    let releases = &of(told.from.0)?.releases;
    // What an early patch of the very first release lacks is not known.
    let has_before = releases.iter().any(|r| r.minor < told.from || (r.minor == told.from && !told.is_early));
    let is_known = releases.iter().any(|r| r.minor == told.to) && has_before;
    is_known.then_some(told)
}

/// The indexes that every version the database may be of creates. An early patch may lack what its minor brought, and of a minor without a
/// baseline is known what the ones around it have in common.
pub fn expected_indexes(told: &Told) -> Vec<&'static StockIndex> {
    let Some(of) = of(told.from.0) else { return Vec::new() };
    let reaches_back = told.is_early || of.releases.iter().all(|r| r.minor != told.from);
    let before = of.releases.iter().rev().map(|r| r.minor).find(|m| reaches_back && *m < told.from);
    let minors: Vec<Minor> = of.releases.iter().map(|r| r.minor).filter(|m| (told.from..=told.to).contains(m)).chain(before).collect();
    // The same index under several descriptions is expected as the newest of them describes it.
    let has = |minor: Minor, index: &StockIndex| {
        index.is_in(minor) || of.indexes.iter().any(|i| i.table == index.table && i.name == index.name && i.is_in(minor))
    };
    of.indexes.iter().filter(|i| i.is_in(told.to) && minors.iter().all(|m| has(*m, i))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::fixtures;
    use crate::evidence::postgres::Index;
    use crate::finding::{Outcome, Severity};

    fn names(version: &str) -> HashSet<(&'static str, &'static str)> {
        expected_indexes(&told(version).unwrap()).iter().map(|i| (i.table.as_str(), i.name.as_str())).collect()
    }

    #[test]
    fn the_baselines_load() {
        let (one, two) = (of(1).unwrap(), of(2).unwrap());
        assert_eq!((one.tables.len(), one.indexes.len()), (100, 297));
        assert_eq!(two.releases.first().map(|r| r.minor), Some(Minor(2, 0)));
        assert_eq!(two.releases.last().map(|r| r.minor), Some(Minor(2, 21)));
        assert!(two.releases.is_sorted_by_key(|r| r.minor) && of(3).is_none());
        assert_eq!((names("1.20").len(), names("2.21").len()), (297, 598));
    }

    #[test]
    fn stock_objects_are_told_from_the_stores_own() {
        assert!(is_stock_table("order") && is_stock_table("money_amount") && is_stock_table("cat_product"));
        assert!(!is_stock_table("loyalty_point"));
        assert!(is_stock_index("image", "IDX_image_product_id") && is_stock_index("image", "image_pkey"));
        assert!(is_stock_index("cat_product", "cat_product_document_tsv_idx"));
        assert!(!is_stock_index("image", "idx_image_url"));
        assert!(!is_stock_index("loyalty_point", "IDX_loyalty_point_customer_id"));
        assert!(is_link_table("order_cart") && !is_link_table("order"));
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

    #[test]
    fn the_words_of_a_version_are_read() {
        let plain = Told { from: Minor(2, 8), to: Minor(2, 8), is_early: false, may_be_newer: false };
        assert_eq!(told("2.8"), Some(plain));
        assert_eq!(told("2.8.6"), Some(plain));
        assert_eq!(told("2.8.x"), Some(Told { is_early: true, ..plain }));
        assert_eq!(told("2.7–2.8"), Some(Told { from: Minor(2, 7), ..plain }));
        assert_eq!(told("2.21 or newer"), Some(Told { from: Minor(2, 21), to: Minor(2, 21), may_be_newer: true, ..plain }));
        for unknown in ["2.x", "1.x", "1.12", "2.99", "3.0", "2.0.x", ""] {
            assert_eq!(told(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn what_is_expected_follows_the_version() {
        let (old, new) = (names("2.0"), names("2.4"));
        assert!(new.len() > old.len());
        let early = names("2.4.x");
        assert!(early.is_subset(&new) && early.len() < new.len());
        let between = names("2.4–2.8");
        assert!(between.is_subset(&new) && between.is_subset(&names("2.8")));
        // Whether 2.3 has a baseline or not, the ones around it have these.
        assert!(names("2.3–2.4").is_superset(&names("2.0–2.4")));
        assert!(names("2.0").iter().filter(|i| new.contains(*i)).count() >= names("2.0–2.4").len());
    }

    /// The indexes of each version by itself, large and never scanned: nothing is lost, doubled above a note or covered.
    #[test]
    fn every_stock_schema_is_quiet() {
        for version in ["1.20", "2.0", "2.4", "2.8", "2.21"] {
            let rows: Vec<Index> = expected_indexes(&told(version).unwrap()).into_iter().map(made).collect();
            let mut tables: Vec<&str> = rows.iter().map(|i| i.table.as_str()).collect();
            tables.dedup();
            let snapshot = fixtures::store(|pg| {
                fixtures::tables(pg, tables.iter().map(|t| fixtures::table(t, 50_000, 50_000_000)).collect());
                if let Ok(medusa) = &mut pg.medusa {
                    (medusa.major, medusa.version) = (told(version).unwrap().from.0, version.to_owned());
                }
                fixtures::indexes(pg, rows.clone());
            });
            for id in ["pg-missing-stock-index", "pg-redundant-index", "pg-duplicate-index", "pg-unused-index", "pg-invalid-index"] {
                match crate::checks::find(id).unwrap().run(&snapshot) {
                    Outcome::Passed => {}
                    Outcome::Failed(found) => {
                        let loud: Vec<_> = found.iter().filter(|f| f.severity > Severity::Info).map(|f| &f.observed).collect();
                        assert!(loud.is_empty(), "{version} {id}: {loud:#?}");
                    }
                    other => panic!("{version} {id}: {other:?}"),
                }
            }
        }
    }

    fn made(stock: &StockIndex) -> Index {
        let columns: Vec<&str> = stock.plain_columns().collect();
        let mut index = fixtures::index(&stock.table, &stock.name, &columns, stock.predicate.as_deref());
        (index.is_unique, index.constraint, index.scans.total) = (stock.unique, stock.constraint.clone(), 0);
        index.is_primary = stock.constraint.as_deref() == Some("p");
        if let Some(method) = &stock.method {
            index.method.clone_from(method);
        }
        for (key, opclass) in index.keys.iter_mut().zip(&stock.opclasses) {
            key.opclass.clone_from(opclass);
        }
        index
    }
}
