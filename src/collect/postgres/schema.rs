//! Tables, indexes, constraints, sequences.

use std::collections::HashMap;

use sqlx::FromRow;
use time::OffsetDateTime;

use super::reader::{ROWS_MAX, Reader, count, listed, rise, small};
use super::sizes::{Bytes, Sizes};
use crate::evidence::postgres::{Constraint, Index, IndexKey, Sequence, Table, TableCounters, TableName};
use crate::evidence::{Gap, Listed, Sampled, Section, Seen};
use crate::secret::without_addresses;

#[derive(FromRow)]
struct TableRow {
    oid: i64,
    schema: String,
    name: String,
    extension: Option<String>,
    kind: String,
    rows_estimate: f64,
    dead_rows: i64,
    live_rows: i64,
    modified_since_analyze: i64,
    last_vacuum: Option<OffsetDateTime>,
    last_autovacuum: Option<OffsetDateTime>,
    last_analyze: Option<OffsetDateTime>,
    last_autoanalyze: Option<OffsetDateTime>,
    options: Vec<String>,
    xid_age: i64,
    mxid_age: i64,
    dropped_columns: i32,
    parent_schema: Option<String>,
    parent_name: Option<String>,
    #[sqlx(flatten)]
    counters: TableCountersRow,
}

#[derive(FromRow)]
struct TableCountersRow {
    seq_scans: i64,
    seq_rows_read: i64,
    index_scans: i64,
    index_rows_fetched: i64,
    inserts: i64,
    updates: i64,
    deletes: i64,
    hot_updates: i64,
}

#[derive(FromRow)]
struct TableSecondRow {
    oid: i64,
    #[sqlx(flatten)]
    counters: TableCountersRow,
}

/// Tables with their object ids, for the second reading.
pub async fn tables(reader: &mut Reader<'_>, sizes: &Seen<Sizes>) -> Seen<(Listed<Table>, Vec<i64>)> {
    let rows: Vec<TableRow> = reader.rows(Section::PgTables, include_str!("sql/tables.sql")).await?;
    let sizes = sizes.as_ref().map_err(Clone::clone)?;
    let oids = rows.iter().map(|r| r.oid).collect();
    Ok((listed(rows, ROWS_MAX, |r| table(r, sizes)), oids))
}

fn table(r: TableRow, sizes: &Sizes) -> Table {
    // A partitioned table has no storage of its own.
    let bytes: Bytes = sizes.of_table(r.oid);
    Table {
        schema: r.schema,
        name: r.name,
        extension: r.extension,
        kind: r.kind,
        rows_estimate: r.rows_estimate,
        table_bytes: bytes.table,
        index_bytes: bytes.index,
        toast_bytes: bytes.toast,
        dead_rows: count(r.dead_rows),
        live_rows: count(r.live_rows),
        modified_since_analyze: count(r.modified_since_analyze),
        last_vacuum: r.last_vacuum,
        last_autovacuum: r.last_autovacuum,
        last_analyze: r.last_analyze,
        last_autoanalyze: r.last_autoanalyze,
        options: r.options,
        counters: Sampled::only(table_counters(&r.counters)),
        xid_age: count(r.xid_age),
        mxid_age: count(r.mxid_age),
        dropped_columns: small(r.dropped_columns),
        partition_of: r.parent_schema.zip(r.parent_name).map(|(schema, name)| TableName { schema, name }),
    }
}

fn table_counters(r: &TableCountersRow) -> TableCounters {
    TableCounters {
        seq_scans: count(r.seq_scans),
        seq_rows_read: count(r.seq_rows_read),
        index_scans: count(r.index_scans),
        index_rows_fetched: count(r.index_rows_fetched),
        inserts: count(r.inserts),
        updates: count(r.updates),
        deletes: count(r.deletes),
        hot_updates: count(r.hot_updates),
    }
}

/// Second reading of the tables' counters.
pub async fn tables_again(reader: &mut Reader<'_>, tables: &mut Listed<Table>, oids: &[i64]) -> Seen<()> {
    let rows: Vec<TableSecondRow> = reader.rows(Section::PgTables, include_str!("sql/table_counters.sql")).await?;
    let after: HashMap<i64, TableCounters> = rows.iter().map(|r| (r.oid, table_counters(&r.counters))).collect();
    for (table, oid) in tables.rows.iter_mut().zip(oids) {
        if let Some(counters) = after.get(oid) {
            table.counters = Sampled { total: *counters, window: table_rise(&table.counters.total, counters) };
        }
    }
    Ok(())
}

fn table_rise(a: &TableCounters, b: &TableCounters) -> Option<TableCounters> {
    Some(TableCounters {
        seq_scans: rise(a.seq_scans, b.seq_scans)?,
        seq_rows_read: rise(a.seq_rows_read, b.seq_rows_read)?,
        index_scans: rise(a.index_scans, b.index_scans)?,
        index_rows_fetched: rise(a.index_rows_fetched, b.index_rows_fetched)?,
        inserts: rise(a.inserts, b.inserts)?,
        updates: rise(a.updates, b.updates)?,
        deletes: rise(a.deletes, b.deletes)?,
        hot_updates: rise(a.hot_updates, b.hot_updates)?,
    })
}

#[derive(FromRow)]
struct IndexRow {
    oid: i64,
    schema: String,
    table: String,
    name: String,
    method: String,
    key_texts: Vec<String>,
    key_are_expressions: Vec<bool>,
    key_opclasses: Vec<Option<String>>,
    key_collations: Vec<Option<String>>,
    key_options: Vec<i32>,
    include: Vec<String>,
    predicate: Option<String>,
    is_unique: bool,
    nulls_not_distinct: bool,
    is_primary: bool,
    is_valid: bool,
    is_ready: bool,
    is_building: bool,
    is_replica_identity: bool,
    is_attached: bool,
    constraint: Option<String>,
    extension: Option<String>,
    definition: Option<String>,
    rows_estimate: f64,
    options: Vec<String>,
    scans: i64,
    last_scan: Option<OffsetDateTime>,
    age_s_min: Option<f64>,
}

#[derive(FromRow)]
struct IdRow {
    oid: i64,
    table_oid: i64,
}

#[derive(FromRow)]
struct IndexSecondRow {
    oid: i64,
    scans: i64,
}

/// Bits of `pg_index.indoption`.
const DESCENDING: i32 = 1;
const NULLS_FIRST: i32 = 2;

/// Indexes of one page, as many as its query lets through: their definitions take the server a while.
const INDEXES_PAGE: usize = 2_500;

/// Indexes with their object ids.
pub async fn indexes(reader: &mut Reader<'_>, sizes: &Seen<Sizes>) -> Seen<(Listed<Index>, Vec<i64>)> {
    let section = Section::PgIndexes;
    let known: Vec<IdRow> = reader.rows(section, include_str!("sql/index_ids.sql")).await?;
    let known = whole_tables(known, ROWS_MAX, |r| r.table_oid);
    let sizes = sizes.as_ref().map_err(|g| Gap { section, ..g.clone() })?;
    let (mut addresses, mut indexes, mut oids) = (Vec::new(), Vec::with_capacity(known.rows.len()), Vec::with_capacity(known.rows.len()));
    for page in known.rows.chunks(INDEXES_PAGE) {
        let sql = include_str!("sql/indexes.sql").replace("{ids}", &ids(page.iter().map(|r| r.oid)));
        let rows: Vec<IndexRow> = reader.rows(section, &sql).await?;
        for mut row in rows {
            // One that was dropped meanwhile has none.
            let Some(definition) = row.definition.take() else { continue };
            oids.push(row.oid);
            indexes.push(index(row, &definition, sizes, &mut addresses));
        }
    }
    // The largest tables come first; a list is by name.
    let mut both: Vec<(Index, i64)> = indexes.into_iter().zip(oids).collect();
    both.sort_by(|(a, _), (b, _)| (&a.schema, &a.table, &a.name).cmp(&(&b.schema, &b.table, &b.name)));
    let (rows, oids) = both.into_iter().unzip();
    Ok((Listed { rows, cut: known.cut }, oids))
}

/// Rows that lie together by table. Where the limit bites, the last table may be there in part, and it goes: so a table has either all its
/// rows here or none, and what is missing can be told.
fn whole_tables<T, K: PartialEq>(mut rows: Vec<T>, limit: usize, table: impl Fn(&T) -> K) -> Listed<T> {
    if rows.len() < limit {
        return Listed::whole(rows);
    }
    if let Some(last) = rows.last().map(&table) {
        rows.retain(|r| table(r) != last);
    }
    Listed { rows, cut: None }
}

/// Object ids as the text of an array.
pub fn ids(oids: impl Iterator<Item = i64>) -> String {
    format!("{{{}}}", oids.map(|oid| oid.to_string()).collect::<Vec<_>>().join(","))
}

/// Predicates and expressions are the owner's words and may name a customer: `addresses` keeps those that were left out apart.
fn index(r: IndexRow, definition: &str, sizes: &Sizes, addresses: &mut Vec<String>) -> Index {
    let mut keys = index_keys(&r);
    keys.iter_mut().for_each(|k| k.text = without_addresses(&k.text, addresses));
    Index {
        keys,
        schema: r.schema,
        table: r.table,
        name: r.name,
        method: r.method,
        include: r.include,
        predicate: r.predicate.map(|p| without_addresses(&p, addresses)),
        is_unique: r.is_unique,
        nulls_not_distinct: r.nulls_not_distinct,
        is_primary: r.is_primary,
        is_valid: r.is_valid,
        is_ready: r.is_ready,
        is_building: r.is_building,
        is_replica_identity: r.is_replica_identity,
        is_attached: r.is_attached,
        constraint: r.constraint,
        extension: r.extension,
        definition: without_addresses(definition, addresses),
        // The parent index of a partitioned table has no storage.
        bytes: sizes.of_relation(r.oid),
        rows_estimate: r.rows_estimate,
        options: r.options,
        scans: Sampled::only(count(r.scans)),
        last_scan: r.last_scan,
        age_s_min: r.age_s_min,
    }
}

fn index_keys(r: &IndexRow) -> Vec<IndexKey> {
    let parts = r.key_texts.iter().zip(&r.key_are_expressions).zip(&r.key_opclasses).zip(&r.key_collations).zip(&r.key_options);
    parts
        .map(|((((text, is_expression), opclass), collation), options)| IndexKey {
            text: text.clone(),
            is_expression: *is_expression,
            opclass: opclass.clone(),
            collation: collation.clone(),
            is_descending: options & DESCENDING != 0,
            nulls_first: options & NULLS_FIRST != 0,
        })
        .collect()
}

/// Second reading of the indexes' scans.
pub async fn indexes_again(reader: &mut Reader<'_>, indexes: &mut Listed<Index>, oids: &[i64]) -> Seen<()> {
    let rows: Vec<IndexSecondRow> = reader.rows(Section::PgIndexes, include_str!("sql/index_counters.sql")).await?;
    let after: HashMap<i64, u64> = rows.iter().map(|r| (r.oid, count(r.scans))).collect();
    for (index, oid) in indexes.rows.iter_mut().zip(oids) {
        if let Some(scans) = after.get(oid) {
            index.scans = Sampled { total: *scans, window: rise(index.scans.total, *scans) };
        }
    }
    Ok(())
}

#[derive(FromRow)]
struct ConstraintRow {
    schema: String,
    table: String,
    name: String,
    kind: String,
    columns: Vec<String>,
    is_validated: bool,
    parent_schema: Option<String>,
    parent_table: Option<String>,
    parent_columns: Vec<String>,
    on_delete: Option<String>,
    on_update: Option<String>,
}

pub async fn constraints(reader: &mut Reader<'_>) -> Seen<Listed<Constraint>> {
    let decode = |r: ConstraintRow| Constraint {
        schema: r.schema,
        table: r.table,
        name: r.name,
        kind: r.kind,
        columns: r.columns,
        is_validated: r.is_validated,
        parent_schema: r.parent_schema,
        parent_table: r.parent_table,
        parent_columns: r.parent_columns,
        on_delete: r.on_delete,
        on_update: r.on_update,
    };
    let rows: Vec<ConstraintRow> = reader.rows(Section::PgConstraints, include_str!("sql/constraints.sql")).await?;
    let kept = whole_tables(rows, ROWS_MAX, |r| (r.schema.clone(), r.table.clone()));
    let mut rows: Vec<Constraint> = kept.rows.into_iter().map(decode).collect();
    rows.sort_by(|a, b| (&a.schema, &a.table, &a.name).cmp(&(&b.schema, &b.table, &b.name)));
    Ok(Listed { rows, cut: kept.cut })
}

#[derive(FromRow)]
struct SequenceRow {
    schema: String,
    name: String,
    last_value: Option<i64>,
    is_readable: bool,
    max_value: i64,
    column: Option<String>,
}

pub async fn sequences(reader: &mut Reader<'_>) -> Seen<Vec<Sequence>> {
    let rows: Vec<SequenceRow> = reader.rows(Section::PgSequences, include_str!("sql/sequences.sql")).await?;
    let decode = |r: SequenceRow| Sequence {
        schema: r.schema,
        name: r.name,
        last_value: r.last_value,
        is_readable: r.is_readable,
        max_value: r.max_value,
        column: r.column,
    };
    Ok(rows.into_iter().map(decode).collect())
}

#[cfg(test)]
mod tests {
    use super::whole_tables;

    #[test]
    fn a_table_is_listed_whole_or_not_at_all() {
        let rows = || vec![("order", 1), ("order", 2), ("cart", 1), ("cart", 2)];
        let below = whole_tables(rows(), 5, |r| r.0);
        assert!(below.is_whole() && below.rows.len() == 4);
        let at = whole_tables(rows(), 4, |r| r.0);
        assert_eq!((at.cut, at.rows), (None, vec![("order", 1), ("order", 2)]));
    }
}
