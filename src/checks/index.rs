//! What an existing index serves.

use std::collections::HashMap;

use super::sql::{SortKey, TableUse, normal_expression};
use crate::evidence::postgres::{Constraint, Index, Table};
use crate::evidence::{Cause, Gap, Listed, Section};

/// How an existing index stands to a need.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cover<'i> {
    Serves(&'i Index),
    /// Its columns would serve, its predicate is not part of the statement.
    OtherRows(&'i Index),
    None,
}

/// The columns a statement finds rows of one table by, any of which may lead, and what it says about null.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    pub schema: &'a str,
    pub table: &'a str,
    pub columns: &'a [String],
    /// Columns the statement says are null.
    pub is_null: &'a [String],
    /// Columns the statement says are not null; a comparison says it of its own columns.
    pub is_not_null: &'a [String],
}

/// Whether an existing index finds the rows: valid, ready, btree (or hash), led by one of the columns, and its predicate, if any,
/// implied by the statement. `include` columns and operator classes do not stand in the way of `=`; another collation does.
pub fn covering_index<'i>(indexes: impl IntoIterator<Item = &'i Index>, wanted: &Wanted) -> Cover<'i> {
    let mut best = Cover::None;
    for index in indexes.into_iter().filter(|i| i.schema == wanted.schema && i.table == wanted.table && is_usable(i)) {
        let Some(first) = index.keys.first().filter(|k| k.collation.is_none()) else { continue };
        if index.method == "hash" && index.keys.len() > 1 {
            continue;
        }
        if !wanted.columns.iter().any(|c| key_is(index, 0, c)) || first.text.is_empty() {
            continue;
        }
        if is_implied(index, wanted) {
            return Cover::Serves(index);
        }
        best = Cover::OtherRows(index);
    }
    best
}

/// Whether an existing index finds the rows between two values of its leading column: a hash or a pattern index does not.
pub fn ranging_index<'i>(indexes: &'i [Index], wanted: &Wanted) -> Cover<'i> {
    let mut best = Cover::None;
    for index in indexes.iter().filter(|i| i.method == "btree" && i.keys.first().is_some_and(|k| k.opclass.is_none())) {
        match covering_index(std::slice::from_ref(index), wanted) {
            Cover::Serves(found) => return Cover::Serves(found),
            Cover::OtherRows(found) => best = Cover::OtherRows(found),
            Cover::None => {}
        }
    }
    best
}

/// Whether an existing index begins with these columns, those held equal in any order.
pub fn serving_index(indexes: &[Index], wanted: &Wanted, equal: &[String], columns: &[String]) -> bool {
    let held = columns.iter().take_while(|c| equal.contains(c)).count();
    indexes.iter().filter(|i| i.schema == wanted.schema && i.table == wanted.table && is_usable(i) && i.method == "btree").any(|index| {
        let leads = (0..held).all(|at| columns[..held].iter().any(|c| key_is(index, at, c)));
        let follows = (held..columns.len()).all(|at| key_is(index, at, columns[at].split(' ').next().unwrap_or("")));
        leads && follows && (is_implied(index, wanted) || is_soft_delete_partial(index))
    })
}

/// Whether the table's indexes are all in the list. Where a limit cut it, a table has all its indexes there or none, so one without is not
/// known to lack any.
pub fn is_listed(indexes: &Listed<Index>, table: &Table) -> bool {
    indexes.is_whole() || indexes.rows.iter().any(|i| i.schema == table.schema && i.table == table.name)
}

/// For a table that is not [`is_listed`].
pub fn unlisted(table: &Table) -> Gap {
    let detail =
        format!("There are more indexes than are read, and those of {} are not among them: whether one is missing cannot be told.", table.name);
    Gap::new(Section::PgIndexes, Cause::Unreadable, detail)
}

/// The same of the constraints of an index's table: where a limit cut them, a table has all its constraints there or none.
pub fn has_listed_constraints(constraints: &Listed<Constraint>, index: &Index) -> bool {
    constraints.is_whole() || constraints.rows.iter().any(|c| c.schema == index.schema && c.table == index.table)
}

pub fn unlisted_constraints(index: &Index) -> Gap {
    let detail = format!("There are more constraints than are read: whether a foreign key of {} needs {} cannot be told.", index.table, index.name);
    Gap::new(Section::PgConstraints, Cause::Unreadable, detail)
}

/// Indexes by schema and table: where every table is asked about, looking through all of them each time is quadratic.
pub type ByTable<'s> = HashMap<(&'s str, &'s str), Vec<&'s Index>>;

pub fn by_table(indexes: &[Index]) -> ByTable<'_> {
    let mut by_table = ByTable::new();
    for index in indexes {
        by_table.entry((index.schema.as_str(), index.table.as_str())).or_default().push(index);
    }
    by_table
}

/// Whether an existing index yields the rows in this order: after the columns held equal, the sort keys follow, all in its direction or
/// all against it.
pub fn sorting_index<'i>(indexes: &'i [Index], wanted: &Wanted, equal: &[String], sort: &[SortKey]) -> Cover<'i> {
    let mut best = Cover::None;
    for index in indexes.iter().filter(|i| i.schema == wanted.schema && i.table == wanted.table && is_usable(i) && i.method == "btree") {
        let skipped = (0..index.keys.len()).take_while(|at| equal.iter().any(|c| key_is(index, *at, c))).count();
        if !follows(index, skipped, sort) {
            continue;
        }
        if is_implied(index, wanted) {
            return Cover::Serves(index);
        }
        best = Cover::OtherRows(index);
    }
    best
}

fn follows(index: &Index, from: usize, sort: &[SortKey]) -> bool {
    let keys = index.keys.get(from..).unwrap_or(&[]);
    // A unique first key ends the order: `order by id` needs no more.
    let needed = if sort.first().is_some_and(|_| index.is_unique && from == 0 && index.keys.len() == 1) { &sort[..1] } else { sort };
    if needed.is_empty() || keys.len() < needed.len() {
        return false;
    }
    let turned: Vec<bool> = needed.iter().zip(keys).map(|(s, k)| s.is_descending != k.is_descending).collect();
    // Read backwards, an index yields its nulls at the other end too.
    let has_nulls_right =
        needed.iter().zip(keys).all(|(s, k)| s.nulls_first.unwrap_or(s.is_descending) == (k.nulls_first != (s.is_descending != k.is_descending)));
    let is_plain = keys.iter().take(needed.len()).all(|k| k.opclass.is_none() && k.collation.is_none());
    needed.iter().enumerate().all(|(at, s)| key_is(index, from + at, &s.column))
        && turned.windows(2).all(|w| w[0] == w[1])
        && has_nulls_right
        && is_plain
}

fn is_usable(index: &Index) -> bool {
    index.is_valid && index.is_ready && (index.method == "btree" || index.method == "hash")
}

fn key_is(index: &Index, at: usize, column: &str) -> bool {
    index.keys.get(at).is_some_and(|k| if k.is_expression { normal_expression(&k.text) == column } else { k.text == column })
}

fn is_implied(index: &Index, wanted: &Wanted) -> bool {
    let Some(predicate) = &index.predicate else { return true };
    conjuncts(predicate).iter().all(|term| match term {
        Term::IsNull(column) => wanted.is_null.contains(column),
        Term::IsNotNull(column) => wanted.columns.contains(column) || wanted.is_not_null.contains(column),
        Term::Other => false,
    })
}

enum Term {
    IsNull(String),
    IsNotNull(String),
    Other,
}

/// The terms of `((deleted_at IS NULL) AND (a IS NOT NULL))`.
fn conjuncts(predicate: &str) -> Vec<Term> {
    if predicate.contains(" OR ") {
        return vec![Term::Other];
    }
    predicate
        .split(" AND ")
        .map(|term| {
            let term = term.trim().trim_start_matches('(').trim_end_matches(')');
            let column = |name: &str| name.trim_matches('"').to_owned();
            if let Some(name) = term.strip_suffix(" IS NOT NULL") {
                Term::IsNotNull(column(name))
            } else if let Some(name) = term.strip_suffix(" IS NULL") {
                Term::IsNull(column(name))
            } else {
                Term::Other
            }
        })
        .collect()
}

/// Whether the index leaves out exactly the soft-deleted rows (and rows without the key).
pub fn is_soft_delete_partial(index: &Index) -> bool {
    index.predicate.as_ref().is_some_and(|p| {
        let terms = conjuncts(p);
        terms.iter().all(|t| !matches!(t, Term::Other)) && terms.iter().any(|t| matches!(t, Term::IsNull(c) if c == "deleted_at"))
    })
}

/// What a use of a table wants of an index on `columns`.
pub fn wanted<'a>(table: &'a Table, columns: &'a [String], used: &'a TableUse) -> Wanted<'a> {
    Wanted { schema: &table.schema, table: &table.name, columns, is_null: &used.is_null, is_not_null: &used.is_not_null }
}

/// The table a statement mentions: by schema and name, or by name where it says no schema and one table bears it or `public` has it.
pub fn find_table<'s>(tables: &'s [Table], used: &TableUse) -> Option<&'s Table> {
    let mut named = tables.iter().filter(|t| t.name == used.table && used.schema.as_ref().is_none_or(|s| *s == t.schema));
    let first = named.next()?;
    match named.next() {
        None => Some(first),
        Some(second) => [first, second].into_iter().chain(named).find(|t| t.schema == "public"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::fixtures::*;
    use crate::checks::postgres::{commerce_index, missing_index, search_without_trigram, unindexed_foreign_key, unused_index};
    use crate::evidence::Sampled;

    const PARTIAL: &str = "(deleted_at IS NULL)";

    fn cover(existing: &Index, columns: &[&str], is_null: &[&str]) -> &'static str {
        let own = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        let (columns, is_null) = (own(columns), own(is_null));
        let wanted = Wanted { schema: "public", table: "image", columns: &columns, is_null: &is_null, is_not_null: &[] };
        match covering_index(std::slice::from_ref(existing), &wanted) {
            Cover::Serves(_) => "serves",
            Cover::OtherRows(_) => "other rows",
            Cover::None => "none",
        }
    }

    #[test]
    fn the_leading_column_decides() {
        let i = index("image", "a", &["product_id", "rank"], None);
        assert_eq!(cover(&i, &["product_id"], &[]), "serves");
        assert_eq!(cover(&i, &["rank"], &[]), "none");
        assert_eq!(cover(&i, &["rank", "product_id"], &[]), "serves");
        assert_eq!(cover(&index("cart", "a", &["product_id"], None), &["product_id"], &[]), "none");
    }

    #[test]
    fn a_partial_index_serves_what_carries_its_predicate() {
        let i = index("image", "a", &["product_id"], Some(PARTIAL));
        assert_eq!(cover(&i, &["product_id"], &["deleted_at"]), "serves");
        assert_eq!(cover(&i, &["product_id"], &[]), "other rows");
        let i = index("image", "a", &["product_id"], Some("((deleted_at IS NULL) AND (product_id IS NOT NULL))"));
        assert_eq!(cover(&i, &["product_id"], &["deleted_at"]), "serves");
        let i = index("image", "a", &["product_id"], Some("(deleted_at IS NOT NULL)"));
        assert_eq!(cover(&i, &["product_id"], &["deleted_at"]), "other rows");
        let i = index("image", "a", &["product_id"], Some("(rank = 0)"));
        assert_eq!(cover(&i, &["product_id"], &["deleted_at"]), "other rows");
    }

    #[test]
    fn invalid_and_unsuited_indexes_do_not_serve() {
        let good = index("image", "a", &["product_id"], None);
        assert_eq!(cover(&Index { is_valid: false, ..good.clone() }, &["product_id"], &[]), "none");
        assert_eq!(cover(&Index { is_ready: false, ..good.clone() }, &["product_id"], &[]), "none");
        assert_eq!(cover(&Index { method: "gin".into(), ..good.clone() }, &["product_id"], &[]), "none");
        assert_eq!(cover(&Index { method: "hash".into(), ..good.clone() }, &["product_id"], &[]), "serves");
        assert_eq!(cover(&Index { include: vec!["url".into()], ..good.clone() }, &["product_id"], &[]), "serves");
        let mut pattern = good.clone();
        pattern.keys[0].opclass = Some("text_pattern_ops".into());
        assert_eq!(cover(&pattern, &["product_id"], &[]), "serves");
        let mut collated = good;
        collated.keys[0].collation = Some("de_DE".into());
        assert_eq!(cover(&collated, &["product_id"], &[]), "none");
    }

    #[test]
    fn expressions_are_compared_in_their_normal_form() {
        let mut i = index("image", "a", &["x"], None);
        i.keys = vec![key("lower((url)::text)")];
        assert_eq!(cover(&i, &["lower(url)"], &[]), "serves");
        assert_eq!(cover(&i, &["url"], &[]), "none");
    }

    #[test]
    fn an_order_is_served_in_either_direction() {
        let sort = |c: &str, d: bool| SortKey { column: c.into(), is_descending: d, nulls_first: None };
        let serves = |i: &Index, equal: &[&str], keys: &[SortKey]| {
            let equal: Vec<String> = equal.iter().map(|e| (*e).to_owned()).collect();
            let wanted = Wanted { schema: "public", table: "order", columns: &[], is_null: &[], is_not_null: &[] };
            matches!(sorting_index(std::slice::from_ref(i), &wanted, &equal, keys), Cover::Serves(_))
        };
        let i = index("order", "a", &["created_at", "id"], None);
        assert!(serves(&i, &[], &[sort("created_at", true)]));
        assert!(serves(&i, &[], &[sort("created_at", true), sort("id", true)]));
        assert!(!serves(&i, &[], &[sort("created_at", true), sort("id", false)]));
        assert!(!serves(&i, &[], &[sort("id", false)]));
        assert!(serves(&i, &["created_at"], &[sort("id", false)]));
    }
    #[test]
    fn nulls_and_operator_classes_belong_to_an_order() {
        let serves = |i: &Index, is_descending: bool, nulls_first: Option<bool>| {
            let wanted = Wanted { schema: "public", table: "order", columns: &[], is_null: &[], is_not_null: &[] };
            let keys = [SortKey { column: "created_at".into(), is_descending, nulls_first }];
            matches!(sorting_index(std::slice::from_ref(i), &wanted, &[], &keys), Cover::Serves(_))
        };
        let i = index("order", "a", &["created_at"], None);
        assert!(serves(&i, true, None) && serves(&i, true, Some(true)) && serves(&i, false, Some(false)));
        assert!(!serves(&i, true, Some(false)) && !serves(&i, false, Some(true)));
        let mut last = i.clone();
        last.keys[0].is_descending = true;
        assert!(serves(&last, true, Some(false)) && !serves(&last, true, None));
        let mut pattern = i;
        pattern.keys[0].opclass = Some("text_pattern_ops".into());
        assert!(!serves(&pattern, true, None));
    }

    #[test]
    fn beyond_a_limit_nothing_is_known() {
        let (image, cart) = (table("image", 1, 1), table("cart", 1, 1));
        let mut list = Listed::whole(vec![index("image", "a", &["rank"], None)]);
        assert!(is_listed(&list, &image) && is_listed(&list, &cart));
        list.cut = None;
        assert!(is_listed(&list, &image) && !is_listed(&list, &cart));
    }

    /// Large tables whose indexes, and one whose constraints, lie beyond the limit.
    #[test]
    fn a_cut_list_leaves_the_checks_open() {
        let shop = |cut: Option<u64>, known: Vec<Index>| {
            store(|pg| {
                tables(pg, vec![table("product_variant", 200_000, 104_857_600), table("product", 200_000, 104_857_600)]);
                indexes(pg, known);
                pg.indexes.as_mut().unwrap().cut = cut;
                pg.constraints = Ok(Listed { rows: vec![foreign_key("product_variant", "product_id", "product")], cut });
                let lookup = scanning("1", "select * from product_variant where product_id = $1", 600, 25_000.0, 12_800);
                let search = scanning("2", "select id from product where title ilike $1", 100, 20_000.0, 12_800);
                statements(pg, vec![lookup, search]);
            })
        };
        let checks = [&commerce_index::CHECK, &missing_index::CHECK, &search_without_trigram::CHECK, &unindexed_foreign_key::CHECK];
        for check in [0, 2, 3].map(|at| checks[at]) {
            assert_eq!(findings(check, &shop(Some(0), Vec::new())).len(), 1, "{}", check.id);
        }
        for check in checks {
            let gap = assert_unknown(check, &shop(None, vec![index("cart", "a", &["id"], None)]));
            assert!(gap.section == Section::PgIndexes && gap.detail.starts_with("There are more indexes"), "{}: {gap:?}", check.id);
            let served = index("product_variant", "a", &["product_id"], None);
            let mut trigram = index("product", "b", &["title"], None);
            (trigram.method, trigram.keys[0].opclass) = ("gin".into(), Some("gin_trgm_ops".into()));
            assert_passes(check, &shop(None, vec![served, trigram]));
        }
        let idle = |table: &str| vec![Index { scans: Sampled::only(0), ..index(table, "idle", &["note"], None) }];
        assert_eq!(findings(&unused_index::CHECK, &shop(None, idle("product_variant"))).len(), 1);
        assert_eq!(assert_unknown(&unused_index::CHECK, &shop(None, idle("product"))).section, Section::PgConstraints);
        assert_eq!(findings(&unused_index::CHECK, &shop(Some(0), idle("product"))).len(), 1);
    }

    #[test]
    fn ranges_need_an_ordered_index_and_wide_ones_its_columns() {
        let columns = ["rank".to_owned()];
        let wanted = Wanted { schema: "public", table: "image", columns: &columns, is_null: &[], is_not_null: &[] };
        let mut i = index("image", "a", &["rank"], None);
        assert!(matches!(ranging_index(std::slice::from_ref(&i), &wanted), Cover::Serves(_)));
        i.method = "hash".into();
        assert!(matches!(ranging_index(std::slice::from_ref(&i), &wanted), Cover::None));
        let wide: Vec<String> = ["a", "b", "t desc"].iter().map(|c| (*c).to_owned()).collect();
        let held = &wide[..2];
        assert!(serving_index(&[index("image", "x", &["b", "a", "t", "z"], None)], &wanted, held, &wide));
        assert!(!serving_index(&[index("image", "x", &["b", "t", "a"], None)], &wanted, held, &wide));
        assert!(serving_index(&[index("image", "x", &["a", "b", "t"], Some(PARTIAL))], &wanted, held, &wide));
    }
}
