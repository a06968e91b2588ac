//! What an `or` leaves usable: a column that every branch holds equal, or bounds, is found by an index whichever branch is true.

use sqlparser::ast::{BinaryOperator, Expr};

use super::sql::TableUse;
use super::sql_ast::{Scope, Walk};
use super::sql_expr::push;

/// More branches are a list of keys written out, and the last ones look like the first.
const BRANCHES_MAX: usize = 200;

impl Walk {
    /// Notes what the branches of `expr` have in common; the rest of its columns is unusable.
    pub(super) fn disjunction(&mut self, expr: &Expr, scope: &Scope) {
        self.unusable(expr, scope);
        self.descend(expr, scope);
        let branches = branches(expr);
        if branches.len() > BRANCHES_MAX {
            return;
        }
        let mut common: Option<Vec<Held>> = None;
        for branch in branches {
            let held = self.held(branch, scope);
            common = Some(match common {
                None => held,
                Some(known) => known.into_iter().zip(held).map(|(a, b)| a.and(&b)).collect(),
            });
        }
        for (used, held) in self.uses.iter_mut().zip(common.unwrap_or_default()) {
            held.note(used);
        }
    }

    /// What one branch alone says about each table in sight.
    fn held(&self, branch: &Expr, scope: &Scope) -> Vec<Held> {
        let blank = |u: &TableUse| TableUse { table: u.table.clone(), alias: u.alias.clone(), ..TableUse::default() };
        // Sub-queries are walked once, by the walk around this one.
        let mut walk = Walk { uses: self.uses.iter().map(blank).collect(), is_shallow: true, ..Walk::default() };
        walk.conditions(vec![branch], scope);
        walk.uses.into_iter().map(Held::of).collect()
    }
}

fn branches(expr: &Expr) -> Vec<&Expr> {
    let mut branches = Vec::new();
    let mut open = vec![expr];
    while let Some(expr) = open.pop() {
        match expr {
            Expr::Nested(inner) => open.push(inner),
            Expr::BinaryOp { left, op: BinaryOperator::Or, right } => open.extend([right.as_ref(), left.as_ref()]),
            other => branches.push(other),
        }
    }
    branches
}

/// Columns of one table that a branch holds.
#[derive(Default)]
struct Held {
    equal: Vec<String>,
    bounded: Vec<String>,
    is_null: Vec<String>,
    is_not_null: Vec<String>,
}

impl Held {
    fn of(used: TableUse) -> Self {
        let bounded = used.equal.iter().chain(&used.range).cloned().collect();
        Self { equal: used.equal, bounded, is_null: used.is_null, is_not_null: used.is_not_null }
    }

    fn and(self, other: &Self) -> Self {
        // `a = $1 or a is null` is one look into an index twice.
        let equals = |held: &Self, c: &String| held.equal.contains(c) || held.is_null.contains(c);
        let keep = |list: Vec<String>, in_other: &dyn Fn(&String) -> bool| -> Vec<String> { list.into_iter().filter(|c| in_other(c)).collect() };
        let both_null: Vec<String> = self.is_null.iter().filter(|c| other.is_null.contains(c)).cloned().collect();
        let mut equal: Vec<String> = self.equal.iter().chain(&self.is_null).filter(|c| equals(other, c) && !both_null.contains(c)).cloned().collect();
        equal.dedup();
        Self {
            equal,
            bounded: keep(self.bounded, &|c| other.bounded.contains(c)),
            is_null: both_null,
            is_not_null: keep(self.is_not_null, &|c| other.is_not_null.contains(c)),
        }
    }

    fn note(self, used: &mut TableUse) {
        for column in &self.equal {
            push(&mut used.equal, column.clone());
            push(&mut used.batched, column.clone());
        }
        for column in self.bounded.iter().filter(|c| !self.equal.contains(c)) {
            push(&mut used.range, column.clone());
        }
        self.is_null.iter().for_each(|c| push(&mut used.is_null, c.clone()));
        self.is_not_null.iter().for_each(|c| push(&mut used.is_not_null, c.clone()));
        used.unusable.retain(|c| !self.equal.contains(c) && !self.bounded.contains(c) && !self.is_null.contains(c));
    }
}

#[cfg(test)]
mod tests {
    use crate::checks::sql::{TableUse, read};

    fn one(text: &str) -> TableUse {
        let shape = read(text);
        assert!(shape.is_whole, "the grammar reads {text}");
        shape.tables[0].clone()
    }

    #[test]
    fn a_column_that_every_branch_holds_is_usable() {
        let t =
            one("select * from image where deleted_at is null and (product_id = $1 or product_id in ($2, $3) or (product_id = $4 and rank > $5))");
        assert_eq!((t.equal.as_slice(), t.unusable.as_slice()), (["product_id".to_owned()].as_slice(), ["rank".to_owned()].as_slice()));
        assert_eq!(t.batched, ["product_id"]);
        let t = one("select * from image where region_id = $1 or region_id is null");
        assert_eq!((t.equal.len(), t.is_null.len()), (1, 0));
    }

    #[test]
    fn paging_by_key_bounds_its_first_column() {
        let t = one("select * from image where created_at < $1 or (created_at = $2 and id < $3) order by created_at desc, id desc limit $4");
        assert_eq!((t.range.as_slice(), t.equal.len()), (["created_at".to_owned()].as_slice(), 0));
        let t = one("select * from image where (created_at, id) < ($1, $2)");
        assert_eq!(t.range, ["created_at"]);
    }

    #[test]
    fn what_one_branch_lacks_is_not_usable() {
        let t = one("select * from image where (product_id = $1 or url = $2) and rank = $3");
        assert_eq!((t.equal.as_slice(), t.unusable.len()), (["rank".to_owned()].as_slice(), 2));
        let t = one("select * from image where deleted_at is null and url = $1 or deleted_at is null and rank = $2");
        assert!(t.is_soft_delete_filtered() && t.equal.is_empty());
    }

    #[test]
    fn sub_queries_inside_are_seen_once() {
        let shape = read("select * from image where id = $1 or id in (select image_id from link where product = $2)");
        assert_eq!(shape.tables.iter().map(|t| t.table.as_str()).collect::<Vec<_>>(), ["image", "link"]);
        assert_eq!(shape.tables[0].equal, ["id"]);
        let mut nested = "select 1 from a where b = $1".to_owned();
        for _ in 0..12 {
            nested = format!("select 1 from a where b = $1 or exists ({nested}) or c = $2");
        }
        assert!(read(&nested).tables.len() <= 13);
    }
}
