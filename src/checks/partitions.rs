//! Partitioned tables: blocks and rows are their partitions', and so are the indexes that find rows.

use super::needs::{PAGE_BYTES, TABLE_BYTES_MIN, TABLE_ROWS_MIN};
use crate::evidence::postgres::Table;

/// What reading a table whole means: of a partitioned one, all its partitions together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    pub bytes: u64,
    /// `None`: never counted.
    pub rows: Option<u64>,
    /// Tables that hold its rows: one, or the partitions.
    pub parts: u64,
}

impl Extent {
    /// `None`: a partitioned table without a known partition, of which nothing can be told.
    pub fn of(tables: &[Table], table: &Table) -> Option<Self> {
        if !is_partitioned(table) {
            return Some(Self { bytes: table.table_bytes, rows: table.rows(), parts: 1 });
        }
        let below: Vec<Extent> = partitions(tables, table).filter_map(|part| Self::of(tables, part)).collect();
        let rows: Vec<u64> = below.iter().filter_map(|e| e.rows).collect();
        (!below.is_empty()).then(|| Self {
            bytes: below.iter().map(|e| e.bytes).sum(),
            rows: (!rows.is_empty()).then(|| rows.iter().sum()),
            parts: below.iter().map(|e| e.parts).sum(),
        })
    }

    pub fn pages(&self) -> f64 {
        (self.bytes as f64 / PAGE_BYTES).max(1.0)
    }

    pub fn is_big(&self) -> bool {
        self.bytes >= TABLE_BYTES_MIN || self.rows.is_some_and(|r| r >= TABLE_ROWS_MIN)
    }
}

pub fn is_partitioned(table: &Table) -> bool {
    table.kind == "p"
}

/// The partitions one level below.
pub fn partitions<'s>(tables: &'s [Table], table: &'s Table) -> impl Iterator<Item = &'s Table> {
    tables.iter().filter(|t| t.partition_of.as_ref().is_some_and(|of| of.schema == table.schema && of.name == table.name))
}

#[cfg(test)]
pub mod fixtures {
    use crate::checks::fixtures::table;
    use crate::evidence::postgres::{Table, TableName};

    /// A partitioned table as ANALYZE leaves it on Postgres 14 and later.
    pub fn partitioned(name: &str, rows: u64) -> Table {
        Table { kind: "p".into(), live_rows: 0, ..table(name, rows, 0) }
    }

    pub fn partition(of: &str, name: &str, rows: u64, bytes: u64) -> Table {
        Table { partition_of: Some(TableName { schema: "public".into(), name: of.into() }), ..table(name, rows, bytes) }
    }
}

#[cfg(test)]
mod tests {
    use super::fixtures::{partition, partitioned};
    use super::*;
    use crate::checks::fixtures::table;
    use crate::evidence::postgres::TableName;

    #[test]
    fn a_partitioned_table_is_as_large_as_its_partitions() {
        let mut second = partitioned("b", 0);
        second.partition_of = Some(TableName { schema: "public".into(), name: "event".into() });
        let tables = [
            partitioned("event", 0),
            partition("event", "a", 30_000, 8_192_000),
            second,
            partition("b", "b0", 15_000, 4_096_000),
            partition("other", "c", 1, 8_192),
            table("cart", 7, 8_192),
        ];
        assert_eq!(Extent::of(&tables, &tables[0]), Some(Extent { bytes: 12_288_000, rows: Some(45_000), parts: 2 }));
        assert_eq!(Extent::of(&tables, &tables[1]), Some(Extent { bytes: 8_192_000, rows: Some(30_000), parts: 1 }));
        assert_eq!(Extent::of(&tables[..1], &tables[0]), None);
        assert_eq!(Extent::of(&tables, &tables[5]).map(|e| e.pages()), Some(1.0));
    }
}
