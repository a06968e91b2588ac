//! Figures of two tables together: children a parent, reservations of levels, items of carts.

use sqlx::FromRow;

use super::questions::{Group, abandoned};
use super::{Counting, EXACT_BYTES_MAX, EXACT_ROWS_MAX, SAMPLE_PAGES};
use crate::collect::postgres::reader::count;
use crate::evidence::Seen;
use crate::evidence::medusa::RowCount;
use crate::evidence::postgres::{Index, quote};

/// Grouping reads a table once and keeps a number a group: a fifth of a second for this many rows on a small busy machine.
const GROUPED_ROWS_MAX: f64 = 300_000.0;
/// Pages of parents whose children are looked up one by one through an index: some 1,500 lookups.
const LOOKUP_PAGES: f64 = 25.0;

#[derive(FromRow)]
struct GroupRow {
    groups: i64,
    most: i64,
    many: i64,
}

#[derive(FromRow)]
struct DriftRow {
    drifted: i64,
    levels: i64,
}

#[derive(FromRow)]
struct ItemRow {
    carts: i64,
    items: i64,
}

#[derive(FromRow)]
struct SumRow {
    difference: i64,
}

impl Counting<'_, '_, '_> {
    fn is_indexed(&self, table: &str, column: &str) -> bool {
        let leads = |i: &Index| i.keys.first().is_some_and(|k| k.text == column);
        self.indexes.iter().any(|i| i.schema == self.medusa.schema && i.table == table && i.is_valid && i.method == "btree" && leads(i))
    }

    /// Children counted by their parent.
    pub(super) async fn group(&mut self, group: &Group) -> Seen<()> {
        let Some(child) = self.tables.get(group.child).copied() else { return Ok(()) };
        let mut needs = vec![group.key];
        needs.extend(child.has("deleted_at").then_some("deleted_at"));
        if !self.is_open(child, &needs) {
            return Ok(());
        }
        let relation = |t: &str| format!("{}.{}", self.schema, quote(t));
        let fill = |sql: &str| {
            let sql = sql.replace("{many}", &group.many.to_string()).replace("{child}", &relation(group.child));
            sql.replace("{key}", group.key).replace("{live}", &child.live("t"))
        };
        let parent = group.parent.and_then(|p| self.tables.get(p).copied());
        // The factors of a figure and of the largest group: the sampled parents are whole, sampled children are part of theirs.
        let (sql, sample, many_factor, most_factor) = if child.is_within(GROUPED_ROWS_MAX) {
            (fill(include_str!("../sql/grouped.sql")), String::new(), 1.0, 1.0)
        } else if group.parent.is_none() {
            (fill(include_str!("../sql/grouped.sql")), child.sample(SAMPLE_PAGES), 1.0, child.factor(SAMPLE_PAGES))
        } else if let Some(parent) = parent.filter(|p| p.may_read(&["id"]) && !p.hides_rows && self.is_indexed(group.child, group.key)) {
            let sql = fill(include_str!("../sql/grouped_lookups.sql")).replace("{parent}", &relation(&parent.table));
            (sql, parent.sample(LOOKUP_PAGES), parent.factor(LOOKUP_PAGES), 1.0)
        } else {
            self.push(group.child, RowCount::NOT_COUNTED, 0, false);
            return Ok(());
        };
        let is_estimate = !sample.is_empty();
        let rows: Vec<GroupRow> = self.ask(group.child, &sql.replace("{sample}", &sample)).await?;
        if let Some(row) = rows.first() {
            let scale = |n: i64, factor: f64| (count(n) as f64 * factor).round() as u64;
            self.push(group.child, group.groups, scale(row.groups, many_factor), is_estimate);
            self.push(group.child, group.most, scale(row.most, most_factor), is_estimate);
            self.push(group.child, group.over, scale(row.many, many_factor), is_estimate);
        }
        Ok(())
    }

    /// Levels whose reserved quantity is not the sum of their reservations.
    pub(super) async fn inventory_drift(&mut self) -> Seen<()> {
        let (Some(levels), Some(reservations)) = (self.tables.get("inventory_level").copied(), self.tables.get("reservation_item").copied()) else {
            return Ok(());
        };
        let are_open = self.is_open(levels, &["inventory_item_id", "location_id", "reserved_quantity", "deleted_at"])
            && self.is_open(reservations, &["inventory_item_id", "location_id", "quantity", "deleted_at"]);
        if !are_open {
            return Ok(());
        }
        let is_small = levels.is_within(EXACT_ROWS_MAX) && reservations.is_within(EXACT_ROWS_MAX);
        let (sql, sample) = if is_small {
            (include_str!("../sql/inventory_drift.sql"), String::new())
        } else if self.is_indexed("reservation_item", "inventory_item_id") {
            (include_str!("../sql/inventory_drift_lookups.sql"), levels.sample(LOOKUP_PAGES))
        } else {
            self.push("inventory_level", RowCount::NOT_COUNTED, 0, false);
            return Ok(());
        };
        let sql = sql.replace("{schema}", &self.schema).replace("{sample}", &sample);
        let rows: Vec<DriftRow> = self.ask("inventory_level", &sql).await?;
        if let Some(row) = rows.first() {
            let factor = if sample.is_empty() { 1.0 } else { levels.factor(LOOKUP_PAGES) };
            self.push("inventory_level", "drifted", (count(row.drifted) as f64 * factor).round() as u64, !sample.is_empty());
            self.push("inventory_level", "compared", count(row.levels), false);
        }
        if !sample.is_empty() && count(levels.bytes.max(reservations.bytes)) < EXACT_BYTES_MAX {
            let sql = include_str!("../sql/inventory_sums.sql").replace("{schema}", &self.schema);
            let rows: Vec<SumRow> = self.ask("inventory_level", &sql).await?;
            rows.first().into_iter().for_each(|r| self.push("inventory_level", "sum_difference", count(r.difference), false));
        }
        Ok(())
    }

    /// Line items that hang on abandoned carts, from a sample of the carts.
    pub(super) async fn abandoned_items(&mut self) -> Seen<()> {
        let items = if self.medusa.major == 1 { "line_item" } else { "cart_line_item" };
        let Some(question) = abandoned(self.medusa.major) else { return Ok(()) };
        let (Some(carts), Some(table)) = (self.tables.get("cart").copied(), self.tables.get(items).copied()) else { return Ok(()) };
        let of_carts = self.counts.iter().find(|c| c.table == "cart" && c.what == question.what).map_or(0, |c| c.rows);
        let mut needs = vec!["cart_id"];
        needs.extend(table.has("deleted_at").then_some("deleted_at"));
        if of_carts == 0 || !self.is_open(carts, &["id"]) || !self.is_open(table, &needs) || !self.is_indexed(items, "cart_id") {
            return Ok(());
        }
        // The partial index serves the lookup only with its own condition.
        let live = if table.has("deleted_at") { "and i.deleted_at is null" } else { "" };
        let sql = include_str!("../sql/abandoned_items.sql").replace("{schema}", &self.schema).replace("{sample}", &carts.sample(LOOKUP_PAGES));
        let sql = sql.replace("{items}", &format!("{}.{}", self.schema, quote(items))).replace("{live}", live);
        let rows: Vec<ItemRow> = self.ask(items, &sql.replace("{abandoned}", question.condition)).await?;
        if let Some(row) = rows.first().filter(|r| r.carts > 0) {
            let a_cart = count(row.items) as f64 / count(row.carts) as f64;
            self.push(items, "of_abandoned_carts", (a_cart * of_carts as f64).round() as u64, true);
        }
        Ok(())
    }
}
