//! What every relation takes on disk.

use std::collections::HashMap;

use sqlx::FromRow;

use super::reader::{Reader, count};
use crate::connect::postgres::QueryErrorKind;
use crate::evidence::{Cause, Gap, Section, Seen};

/// Relations of one page, as many as its query lets through: measuring a file takes the server microseconds, and adds up.
const PAGE: usize = 2_500;
/// Ten thousand tables with their TOAST tables and ten indexes each.
const PAGES_MAX: usize = 50;
/// Object ids below were given by initdb (`FirstNormalObjectId`).
const SYSTEM_OID_MAX: i64 = 16_383;

/// What one table takes on disk, bytes.
#[derive(Default, Clone, Copy)]
pub struct Bytes {
    pub table: u64,
    pub index: u64,
    pub toast: u64,
}

/// Sizes by table and by relation.
pub struct Sizes {
    tables: HashMap<i64, Bytes>,
    relations: HashMap<i64, u64>,
}

#[derive(FromRow)]
struct SizeRow {
    table_oid: i64,
    oid: i64,
    kind: String,
    bytes: i64,
}

impl Sizes {
    /// A partitioned table has no storage of its own.
    pub fn of_table(&self, oid: i64) -> Bytes {
        self.tables.get(&oid).copied().unwrap_or(Bytes { table: 0, index: 0, toast: 0 })
    }

    pub fn of_relation(&self, oid: i64) -> u64 {
        self.relations.get(&oid).copied().unwrap_or(0)
    }

    fn add(&mut self, row: &SizeRow) {
        let bytes = count(row.bytes);
        self.relations.insert(row.oid, bytes);
        let of = self.tables.entry(row.table_oid).or_default();
        match row.kind.as_str() {
            "index" => of.index += bytes,
            "toast" => of.toast += bytes,
            _ => of.table += bytes,
        }
    }
}

/// Sizes of all relations. Where a lock stands in the way, the pages as the last vacuum counted them.
pub async fn read(reader: &mut Reader<'_>, block_size: u64) -> Seen<Sizes> {
    let mut sizes = Sizes { tables: HashMap::new(), relations: HashMap::new() };
    let mut after = SYSTEM_OID_MAX;
    for _ in 0..PAGES_MAX {
        let rows = page(reader, block_size, after).await?;
        rows.iter().for_each(|row| sizes.add(row));
        match rows.last() {
            Some(last) if rows.len() >= PAGE => after = last.oid,
            _ => return Ok(sizes),
        }
    }
    // A size that was not read must not pass for zero.
    let detail =
        format!("The database holds more than {} relations: their sizes are not read, and what follows from them is not judged.", PAGE * PAGES_MAX);
    Err(Gap::new(Section::PgTables, Cause::Unreadable, detail))
}

async fn page(reader: &mut Reader<'_>, block_size: u64, after: i64) -> Seen<Vec<SizeRow>> {
    let sql = include_str!("sql/sizes.sql").replace("{after}", &after.to_string());
    let measured = sql.replace("{bytes}", "pg_catalog.pg_relation_size(c.oid)");
    match reader.session.rows(&measured).await {
        Ok(rows) => Ok(rows),
        Err(e) if e.kind == QueryErrorKind::LockTimeout => {
            let estimated = sql.replace("{bytes}", &format!("c.relpages::int8 * {block_size}"));
            reader.rows(Section::PgTables, &estimated).await
        }
        Err(e) => Err(reader.gap(Section::PgTables, &e)),
    }
}
