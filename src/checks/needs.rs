//! What each statement would want of an index on a table that it scans.

use super::index::{
    Cover, Wanted, covering_index, find_table, is_listed, is_soft_delete_partial, ranging_index, serving_index, sorting_index, wanted,
};
use super::partitions::Extent;
use super::sql::{Kind, Shape, SortKey, TableUse};
use super::workload::{Load, Workload, read_loads};
use crate::evidence::Listed;
use crate::evidence::postgres::{Column, ColumnStats, Index, Table};

/// Smaller tables are read whole faster than through an index.
pub const TABLE_BYTES_MIN: u64 = 10_000_000;
pub const TABLE_ROWS_MIN: u64 = 10_000;
/// A scan that returns a tenth of what it reads is doing its work.
pub const READ_TO_RETURNED_MIN: f64 = 10.0;
/// Share of a table's blocks that a call must touch to be called a scan of it: below, some index served it.
const BLOCKS_SHARE_MIN: f64 = 0.5;
/// Where the statement reads no other table: an index read from end to end, for a column that is not its first, is smaller than the table.
const BLOCKS_SHARE_ALONE_MIN: f64 = 0.1;
/// Reading a smaller index from end to end takes a fraction of a millisecond.
const INDEX_BYTES_MIN: u64 = 1_000_000;
/// A second column is of use only while the first leaves more rows than one block holds.
const ROWS_LEFT_MAX: f64 = 50.0;
/// Wider indexes serve one statement and cost every write.
pub const COLUMNS_MAX: usize = 3;
pub const PAGE_BYTES: f64 = 8_192.0;

/// Tables, indexes and statistics, as far as advising an index needs them.
#[derive(Clone, Copy)]
pub struct Store<'s> {
    pub tables: &'s [Table],
    pub indexes: &'s [Index],
    /// The same, with whether a limit cut it.
    pub listed: &'s Listed<Index>,
    pub columns: &'s [Column],
    pub stats: &'s [ColumnStats],
}

/// One statement that scans one table.
#[derive(Debug, Clone)]
pub struct Need<'s> {
    pub table: &'s Table,
    pub extent: Extent,
    pub load: Load<'s>,
    /// Columns held equal that an index could lead with: those that tell rows apart first, the most selective of them in front.
    pub equal: Vec<String>,
    /// How many of `equal` may lead alone.
    pub selective: usize,
    pub tail: Tail,
    pub is_soft_delete_filtered: bool,
    pub is_aggregate: bool,
    /// Sorted and cut by a limit: of the rows found only the first are returned.
    pub is_cut_short: bool,
    /// An index leads with one of the columns already and leaves too many rows: only the planner can tell that a wider one is worth it.
    pub is_widening: bool,
    /// Rows that one value of the first column leaves, where the statistics tell.
    pub rows_left: Option<f64>,
}

/// What follows the columns held equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tail {
    None,
    Range(String),
    /// The keys of an order with a limit, `created_at`, `rank desc`.
    Sort(Vec<String>),
}

impl Need<'_> {
    /// The narrowest index that serves it.
    pub fn single(&self) -> Vec<String> {
        match (&self.tail, self.selective) {
            (_, 1..) => vec![self.equal[0].clone()],
            (Tail::Range(column), 0) => vec![column.clone()],
            // Rows that tie in the first key are sorted behind it, since Postgres 13.
            (Tail::Sort(keys), 0) => keys.iter().take(1).cloned().collect(),
            (Tail::None, 0) => Vec::new(),
        }
    }

    /// The widest: columns held equal, then the range or the order. `None` where the narrowest leaves nothing to gain.
    pub fn wide(&self) -> Option<Vec<String>> {
        let leaves_many = match self.rows_left {
            Some(left) => left > ROWS_LEFT_MAX,
            // Without statistics it is not known which of several columns tells rows apart; together they do.
            None => self.selective > 1 || self.is_cut_short || (!self.is_aggregate && self.load.counters.rows_a_call() > ROWS_LEFT_MAX),
        };
        if self.selective > 0 && !leaves_many {
            return None;
        }
        let tail: &[String] = match &self.tail {
            Tail::None => &[],
            Tail::Range(column) => std::slice::from_ref(column),
            Tail::Sort(keys) => keys,
        };
        let held = COLUMNS_MAX - tail.len().min(1);
        let columns: Vec<String> = self.equal.iter().take(held).chain(tail).take(COLUMNS_MAX).cloned().collect();
        (columns != self.single() && !columns.is_empty()).then_some(columns)
    }

    /// Whether an index on these columns finds its rows.
    pub fn is_served_by(&self, columns: &[String]) -> bool {
        let held = columns.iter().take_while(|c| self.equal.contains(c)).count();
        let follows = match &self.tail {
            Tail::None => false,
            Tail::Range(column) => columns.get(held) == Some(column),
            Tail::Sort(keys) => keys.first().is_some_and(|k| columns.get(held) == Some(k)),
        };
        let is_found = columns[..held].iter().any(|c| self.equal[..self.selective].contains(c)) || follows;
        is_found && (!self.is_widening || held + usize::from(follows) > 1)
    }

    /// How many rows it finds is not known: a limit hides it, and so does the want of statistics.
    pub fn is_unmeasured(&self) -> bool {
        self.is_cut_short && !self.equal.is_empty() && self.rows_left.is_none()
    }

    /// Needed for the order and a limit alone, not for a filter.
    pub fn is_for_order(&self) -> bool {
        self.selective == 0 && matches!(self.tail, Tail::Sort(_))
    }
}

/// The needs of the statements that cost the most, costliest first; a statement once a table.
pub fn needs<'s>(store: &Store<'s>, workload: &Workload<'s>) -> Vec<Need<'s>> {
    all_needs(store, workload).into_iter().filter(|n| is_listed(store.listed, n.table)).collect()
}

/// What statements seem to need of tables whose indexes were not read.
pub fn unlisted_needs<'s>(store: &Store<'s>, workload: &Workload<'s>) -> Vec<Need<'s>> {
    if store.listed.is_whole() {
        return Vec::new();
    }
    all_needs(store, workload).into_iter().filter(|n| !is_listed(store.listed, n.table)).collect()
}

fn all_needs<'s>(store: &Store<'s>, workload: &Workload<'s>) -> Vec<Need<'s>> {
    let mut out: Vec<Need> = Vec::new();
    for read in read_loads(workload) {
        if matches!(read.shape.kind, Kind::Insert | Kind::Utility) {
            continue;
        }
        for used in &read.shape.tables {
            let Some(need) = store.need(&read.load, &read.shape, used) else { continue };
            let is_known =
                out.iter().any(|n| n.load.statement.id == need.load.statement.id && std::ptr::eq(n.table, need.table) && n.equal == need.equal);
            if !is_known {
                out.push(need);
            }
        }
    }
    out
}

impl<'s> Store<'s> {
    /// What this mention of a table wants, where the statement scans it.
    fn need(&self, load: &Load<'s>, shape: &Shape, used: &TableUse) -> Option<Need<'s>> {
        let table = find_table(self.tables, used)?;
        let extent = Extent::of(self.tables, table).filter(Extent::is_big)?;
        let is_scan = reads_most_of(load, shape, &extent) || self.reads_whole_index(load, shape, used, table);
        if table.extension.is_some() || !is_scan {
            return None;
        }
        let rows = extent.rows? as f64;
        // An aggregate returns one row whatever it reads.
        if load.counters.rows_a_call() * READ_TO_RETURNED_MIN > rows {
            return None;
        }
        let mut held = self.indexable(table, &used.equal);
        if held.is_empty() && is_driven(shape, used) {
            held = self.indexable(table, &used.joins.iter().map(|j| j.column.clone()).collect::<Vec<_>>());
        }
        let (equal, selective) = self.by_selectivity(table, rows, &held);
        let rows_left = equal.first().and_then(|c| self.rows_left(table, rows, c));
        let tail = self.tail(table, used, &equal, selective > 0);
        let need = Need {
            table,
            extent,
            load: *load,
            equal,
            selective,
            tail,
            is_soft_delete_filtered: used.is_soft_delete_filtered(),
            is_aggregate: used.is_aggregate,
            is_cut_short: used.has_limit && used.is_sorted,
            is_widening: false,
            rows_left,
        };
        self.uncovered(need, used)
    }

    /// Where no other table is read: an index that holds one of the columns behind its first is read from end to end, which touches fewer
    /// blocks than the table has and is no lookup either (Medusa's own image(rank, product_id) for the images of a product).
    fn reads_whole_index(&self, load: &Load, shape: &Shape, used: &TableUse, table: &Table) -> bool {
        let holds_behind = |i: &&Index| i.keys.iter().skip(1).any(|k| used.equal.contains(&k.text));
        let mut behind = self.indexes.iter().filter(|i| i.schema == table.schema && i.table == table.name && i.is_valid).filter(holds_behind);
        shape.tables.len() == 1
            && behind.any(|i| i.bytes >= INDEX_BYTES_MIN && load.blocks_a_call() >= i.bytes as f64 / PAGE_BYTES * BLOCKS_SHARE_MIN)
    }

    /// Takes away what existing indexes serve.
    fn uncovered(&self, need: Need<'s>, used: &TableUse) -> Option<Need<'s>> {
        let first = need.single();
        if first.is_empty() {
            return None;
        }
        let lead = &need.equal[..need.selective];
        // Ranges and orders were held against the indexes where they were found.
        if need.selective == 0 || !self.is_covered(&wanted(need.table, lead, used)) {
            return Some(need);
        }
        // An index leads with one of them. A wider one may still be worth it where that leaves many rows for certain.
        let wide = need.wide().filter(|w| w.len() > 1 && need.rows_left.is_some_and(|left| left > ROWS_LEFT_MAX))?;
        let is_served = serving_index(self.indexes, &wanted(need.table, &wide, used), &need.equal, &wide);
        (!is_served).then_some(Need { is_widening: true, ..need })
    }

    fn tail(&self, table: &Table, used: &TableUse, equal: &[String], is_found: bool) -> Tail {
        let ranges = self.indexable(table, &used.range);
        let is_free = |c: &&String| !equal.contains(c);
        if let Some(range) = ranges.iter().find(is_free).filter(|_| is_found || !used.is_aggregate) {
            // Without a column to find rows by, a range is worth an index only where none begins with it.
            if is_found || !is_served(ranging_index(self.indexes, &wanted(table, &ranges, used))) {
                return Tail::Range(range.clone());
            }
        }
        let keys = &used.order_by;
        let columns = self.indexable(table, &keys.iter().map(|k| k.column.clone()).collect::<Vec<_>>());
        if !used.has_limit || !used.is_first || keys.is_empty() || columns.len() != keys.len() {
            return Tail::None;
        }
        let is_sorted = is_served(sorting_index(self.indexes, &wanted(table, &columns, used), equal, keys));
        if is_sorted { Tail::None } else { Tail::Sort(sort_columns(keys)) }
    }

    fn is_covered(&self, wanted: &Wanted) -> bool {
        is_served(covering_index(self.indexes, wanted))
    }

    /// Columns that exist and whose type a btree can order usefully.
    pub fn indexable(&self, table: &Table, columns: &[String]) -> Vec<String> {
        let known: Vec<&Column> = self.columns.iter().filter(|c| c.schema == table.schema && c.table == table.name).collect();
        let fits = |column: &String| {
            let (function, plain) = column.strip_suffix(')').and_then(|c| c.split_once('(')).unwrap_or(("", column));
            known.is_empty() || known.iter().any(|c| c.name == plain && is_selective_type(&c.data_type) && is_immutable(function, &c.data_type))
        };
        let mut out: Vec<String> = Vec::new();
        for column in columns.iter().filter(|c| fits(c)) {
            if !out.contains(column) {
                out.push(column.clone());
            }
        }
        out
    }

    /// Columns that tell rows apart first, the most selective in front, with their number; unknown statistics are trusted.
    pub fn by_selectivity(&self, table: &Table, rows: f64, columns: &[String]) -> (Vec<String>, usize) {
        let mut rated: Vec<(f64, &String)> = columns.iter().map(|c| (self.rows_left(table, rows, c).unwrap_or(1.0), c)).collect();
        // One value alone tells nothing apart.
        rated.retain(|(left, _)| *left < rows || rows == 0.0);
        rated.sort_by(|a, b| a.0.total_cmp(&b.0));
        let selective = rated.iter().filter(|(left, _)| left * READ_TO_RETURNED_MIN <= rows).count();
        (rated.into_iter().map(|(_, c)| c.clone()).collect(), selective)
    }

    /// Rows that one value of the column leaves, by the planner's statistics.
    pub fn rows_left(&self, table: &Table, rows: f64, column: &str) -> Option<f64> {
        let stats = self.stats.iter().find(|s| s.schema == table.schema && s.table == table.name && s.column == column)?;
        let distinct = if stats.distinct < 0.0 { -stats.distinct * rows } else { stats.distinct };
        (distinct > 0.0).then(|| rows * (1.0 - stats.null_fraction) / distinct)
    }
}

/// A partial index on live rows counts as covering: a statement that forgets `deleted_at is null` lacks the predicate, not the index.
fn is_served(cover: Cover) -> bool {
    match cover {
        Cover::Serves(_) => true,
        Cover::OtherRows(index) => is_soft_delete_partial(index),
        Cover::None => false,
    }
}

/// Keys as an index needs them: an index is read in both directions, so an order all one way needs none spelt out.
fn sort_columns(keys: &[SortKey]) -> Vec<String> {
    let is_usual = |k: &SortKey| k.nulls_first.is_none_or(|n| n == k.is_descending);
    let is_one_way = keys.iter().all(|k| k.is_descending == keys[0].is_descending && is_usual(k));
    let spelt = |k: &SortKey| match (k.is_descending, is_usual(k)) {
        (false, true) => k.column.clone(),
        (true, true) => format!("{} desc", k.column),
        (false, false) => format!("{} nulls first", k.column),
        (true, false) => format!("{} desc nulls last", k.column),
    };
    keys.iter().map(|k| if is_one_way { k.column.clone() } else { spelt(k) }).collect()
}

/// Types whose values tell rows apart and have an order: not booleans, enumerations, documents or arrays.
fn is_selective_type(data_type: &str) -> bool {
    const TYPES: [&str; 13] =
        ["text", "character", "citext", "uuid", "smallint", "integer", "bigint", "numeric", "real", "double precision", "date", "time", "bpchar"];
    TYPES.iter().any(|t| data_type.starts_with(t)) && !data_type.ends_with("[]")
}

/// An index takes only functions whose result never changes: the day of a time with a zone depends on the session's zone.
fn is_immutable(function: &str, data_type: &str) -> bool {
    match function {
        "" => true,
        "date" => data_type == "date" || data_type == "timestamp without time zone",
        _ => data_type.starts_with("text") || data_type.starts_with("character") || data_type == "citext",
    }
}

/// By the blocks it touches: what an index served touches few.
pub fn reads_most_of(load: &Load, shape: &Shape, extent: &Extent) -> bool {
    let share = if shape.tables.len() == 1 { BLOCKS_SHARE_ALONE_MIN } else { BLOCKS_SHARE_MIN };
    load.blocks_a_call() >= extent.pages() * share
}

/// Of a table that is not partitioned.
pub fn pages(table: &Table) -> f64 {
    (table.table_bytes as f64 / PAGE_BYTES).max(1.0)
}

/// A plan of this cost reads so much of the table that an index would be felt.
pub fn is_costly(cost: f64, extent: &Extent) -> bool {
    cost >= extent.pages() * BLOCKS_SHARE_ALONE_MIN
}

/// Whether another table of the statement is narrowed down, so that this one is looked up from it; a listing of everything scans anyway.
pub fn is_driven(shape: &Shape, used: &TableUse) -> bool {
    used.joins.iter().any(|join| {
        shape.tables.iter().any(|other| other.alias == join.other_alias && (!other.equal.is_empty() || !other.range.is_empty() || other.has_limit))
    })
}

#[cfg(test)]
mod tests {
    use crate::checks::bloat::fixtures::stats;
    use crate::checks::fixtures::*;
    use crate::checks::partitions::fixtures::{partition, partitioned};
    use crate::checks::postgres::missing_index::{CHECK, candidates};
    use crate::evidence::postgres::Postgres;
    use crate::evidence::{Cause, Gap, Listed, Section, Snapshot};
    use crate::finding::{Confidence, Outcome};

    /// The carts of a region, newest first: of 200,000 the 15 that a page shows.
    const LIST: &str = r#"select * from "cart" where "region_id" = $1 and "deleted_at" is null order by "created_at" desc limit $2"#;

    fn carts(text: &str, edit: impl FnOnce(&mut Postgres)) -> Snapshot {
        store(|pg| {
            tables(pg, vec![table("cart", 200_000, 74_342_400)]);
            let mut list = scanning("1", text, 606, 25_452.0, 9_075);
            list.counters.total.rows = 606 * 15;
            statements(pg, vec![list]);
            pg.column_stats = Err(Gap::new(Section::PgColumnStats, Cause::Denied { grant: "grant it;".into() }, "pg_stats shows no rows."));
            edit(pg);
        })
    }

    #[test]
    fn rows_under_a_limit_do_not_tell_how_many_match() {
        let found = findings(&CHECK, &carts(LIST, |_| {}));
        assert_eq!((found[0].subject.name.as_str(), found[0].confidence), ("public.cart(region_id, created_at)", Confidence::Low));
        // The statistics tell: of a few regions nearly every row is one wanted, of many few are.
        let of = |regions| {
            let known = Ok(Listed::whole(vec![stats("cart", "region_id", 8, 0.0, regions)]));
            findings(&CHECK, &carts(LIST, |pg| pg.column_stats = known)).swap_remove(0)
        };
        assert_eq!(of(4.0).subject.name, "public.cart(created_at)");
        assert_eq!((of(20_000.0).subject.name.as_str(), of(20_000.0).confidence), ("public.cart(region_id)", Confidence::Medium));
        // The first rows that come are as good as any others.
        let unsorted = findings(&CHECK, &carts(r#"select * from "cart" where "region_id" = $1 limit $2"#, |_| {}));
        assert_eq!((unsorted[0].subject.name.as_str(), unsorted[0].confidence), ("public.cart(region_id)", Confidence::Medium));
    }

    #[test]
    fn a_list_that_no_index_sorts_is_unknown_without_statistics() {
        let expression = r#"select * from "cart" where "region_id" = $1 order by coalesce("completed_at", "created_at") limit $2"#;
        let gap = assert_unknown(&CHECK, &carts(expression, |_| {}));
        assert!(gap.cause.remedy() == Some("grant it;") && gap.detail.contains("an index on region_id"), "{gap:?}");
        assert_unknown(&CHECK, &carts(LIST, |pg| indexes(pg, vec![index("cart", "a", &["created_at"], None)])));
        assert_passes(&CHECK, &carts(LIST, |pg| indexes(pg, vec![index("cart", "a", &["region_id"], None)])));
    }

    #[test]
    fn partitions_are_scanned_together() {
        let shop = |text: &str, blocks, leaves: u64, pages: u64| {
            store(|pg| {
                let leaves = (0..leaves).map(|n| partition("event", &format!("event_{n}"), 25_000, pages * 8_192));
                tables(pg, std::iter::once(partitioned("event", 50_000)).chain(leaves).collect());
                statements(pg, vec![scanning("1", text, 606, 25_452.0, blocks)]);
            })
        };
        let text = "select * from event where sku = $1";
        // Pruned to a few dozen blocks of one partition; and nothing known of any.
        assert_passes(&CHECK, &shop(text, 40, 2, 1_000));
        assert_passes(&CHECK, &shop(text, 40, 0, 0));
        let found = findings(&CHECK, &shop(text, 2_000, 2, 1_000));
        let sql = &found[0].remedies[0].text;
        assert!(sql.starts_with("create index idx_event_sku on only public.event (sku);\ncreate index concurrently idx_event_0_sku on"), "{sql}");
        assert!(found[0].observed.contains("50,000\u{a0}rows"), "{}", found[0].observed);
        let asked = candidates(&shop("select * from event where sku = $1 and deleted_at is null", 2_000, 2, 1_000)).swap_remove(0);
        assert_eq!((asked.create_sql.as_str(), asked.predicate.as_deref()), ("create index on public.event (sku)", Some("deleted_at is null")));
        // A lookup touches four blocks of each partition: of six hundred half of what is read now.
        assert_passes(&CHECK, &shop(text, 4_800, 600, 80));
        assert_eq!(findings(&CHECK, &shop(text, 4_810, 600, 80)).len(), 1);
    }

    #[test]
    fn an_index_read_from_end_to_end_is_no_lookup() {
        let text = r#"select "i0".* from "image" as "i0" where "i0"."product_id" = $1 and "i0"."deleted_at" is null"#;
        // 8.65 MB are 1,056 pages, of 12,800 of the table.
        for (blocks, fails) in [(528, true), (527, false)] {
            let mut behind = index("image", "a", &["rank", "product_id"], Some("(deleted_at IS NULL)"));
            behind.bytes = 8_650_752;
            let snapshot = store(|pg| {
                tables(pg, vec![table("image", 180_000, 104_857_600)]);
                indexes(pg, vec![behind]);
                statements(pg, vec![scanning("1", text, 606, 25_452.0, blocks)]);
            });
            assert_eq!(matches!(CHECK.run(&snapshot), Outcome::Failed(_)), fails, "{blocks} blocks");
        }
    }
}
