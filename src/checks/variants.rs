//! Indexes that would serve the needs of one table: for each need the narrowest and the widest, and those merged so that one index
//! serves several.

use super::needs::{COLUMNS_MAX, Need, Tail};

/// Indexes tried on one table.
const VARIANTS_MAX: usize = 8;

/// An index to be judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variant {
    /// As an index lists them: names, expressions, `rank desc`.
    pub columns: Vec<String>,
    /// Every statement it could serve leaves soft-deleted rows out.
    pub is_soft_delete_filtered: bool,
    /// Places in the list of needs, costliest first.
    pub needs: Vec<usize>,
}

/// Variants for the needs of one table, those of the costliest needs first.
pub fn variants(needs: &[&Need]) -> Vec<Variant> {
    let mut lists: Vec<Vec<String>> = Vec::new();
    let mut add = |columns: Vec<String>| {
        if !columns.is_empty() && !lists.contains(&columns) {
            lists.push(columns);
        }
    };
    for need in needs {
        if !need.is_widening {
            add(need.single());
        }
        need.wide().into_iter().for_each(&mut add);
    }
    let merged = merge(needs);
    lists.truncate(VARIANTS_MAX);
    for columns in merged {
        if !lists.contains(&columns) {
            lists.push(columns);
        }
    }
    let serves = |columns: Vec<String>| {
        let served: Vec<usize> = (0..needs.len()).filter(|at| needs[*at].is_served_by(&columns)).collect();
        let is_soft_delete_filtered = served.iter().all(|at| needs[*at].is_soft_delete_filtered);
        Variant { columns, is_soft_delete_filtered, needs: served }
    };
    lists.into_iter().map(serves).filter(|v| !v.needs.is_empty()).collect()
}

/// Columns whose order within a block is still free, then what must follow them.
#[derive(Debug, Clone)]
struct Chain {
    blocks: Vec<Vec<String>>,
    tail: Vec<String>,
}

/// One index for needs whose columns nest: `(a)` and `(a, b)` are both served by `(a, b)`; `(a, b)` and `(b, c)` are not by one.
fn merge(needs: &[&Need]) -> Vec<Vec<String>> {
    let mut chains: Vec<Chain> = Vec::new();
    for need in needs {
        let (held, tail) = parts(need);
        if !chains.iter_mut().any(|c| c.take(&held, &tail)) {
            chains.push(Chain { blocks: vec![held], tail });
        }
    }
    chains.into_iter().map(|c| c.blocks.into_iter().flatten().chain(c.tail).collect()).collect()
}

/// The columns of a need's widest index, those held equal apart from what follows.
fn parts(need: &Need) -> (Vec<String>, Vec<String>) {
    let columns = need.wide().unwrap_or_else(|| need.single());
    let is_tail = |c: &String| match &need.tail {
        Tail::None => false,
        Tail::Range(column) => c == column,
        Tail::Sort(keys) => keys.contains(c),
    };
    columns.into_iter().partition(|c| !is_tail(c))
}

impl Chain {
    /// Takes one more need where the columns fit; tells whether they did.
    fn take(&mut self, held: &[String], tail: &[String]) -> bool {
        let mut wanted: Vec<String> = held.to_vec();
        let mut blocks: Vec<Vec<String>> = Vec::new();
        let mut rest = self.blocks.iter();
        for block in rest.by_ref() {
            if block.iter().all(|c| wanted.contains(c)) {
                wanted.retain(|c| !block.contains(c));
                blocks.push(block.clone());
                continue;
            }
            if !wanted.iter().all(|c| block.contains(c)) || !tail.is_empty() {
                return false;
            }
            // The need wants a part of this block first.
            let (first, second): (Vec<String>, Vec<String>) = block.iter().cloned().partition(|c| wanted.contains(c));
            blocks.extend([first, second].into_iter().filter(|b| !b.is_empty()));
            blocks.extend(rest.cloned());
            self.blocks = blocks;
            return true;
        }
        let is_longer = !wanted.is_empty() || !tail.is_empty();
        if is_longer && !self.tail.is_empty() && (self.tail != tail || !wanted.is_empty()) {
            return false;
        }
        let width = blocks.iter().map(Vec::len).sum::<usize>() + wanted.len() + tail.len().max(self.tail.len());
        if width > COLUMNS_MAX {
            return false;
        }
        blocks.extend((!wanted.is_empty()).then_some(wanted));
        self.blocks = blocks;
        if !tail.is_empty() {
            self.tail = tail.to_vec();
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::fixtures::{statement, table};
    use crate::checks::partitions::Extent;
    use crate::checks::workload::Load;
    use crate::evidence::postgres::{Statement, Table};

    fn need<'s>(table: &'s Table, statement: &'s Statement, equal: &[&str], tail: Tail) -> Need<'s> {
        Need {
            table,
            extent: Extent { bytes: table.table_bytes, rows: table.rows(), parts: 1 },
            load: Load { statement, counters: statement.counters.total },
            equal: equal.iter().map(|c| (*c).to_owned()).collect(),
            selective: equal.len(),
            tail,
            is_soft_delete_filtered: true,
            is_aggregate: false,
            is_cut_short: false,
            is_widening: false,
            rows_left: Some(1_000.0),
        }
    }

    fn merged(wants: &[(&[&str], Tail)]) -> Vec<Vec<String>> {
        let (t, s) = (table("image", 100_000, 50_000_000), statement("1", "select 1 from image", 100, 100.0));
        let needs: Vec<Need> = wants.iter().map(|(equal, tail)| need(&t, &s, equal, tail.clone())).collect();
        merge(&needs.iter().collect::<Vec<_>>())
    }

    #[test]
    fn columns_that_nest_share_an_index() {
        let none = || Tail::None;
        assert_eq!(merged(&[(&["a"], none()), (&["a", "b"], none())]), [["a", "b"]]);
        assert_eq!(merged(&[(&["a", "b"], none()), (&["b"], none())]), [["b", "a"]]);
        assert_eq!(merged(&[(&["a", "b"], none()), (&["b"], none()), (&["a"], none())]), [vec!["b", "a"], vec!["a"]]);
        assert_eq!(merged(&[(&["a", "b"], none()), (&["c"], none())]), [vec!["a", "b"], vec!["c"]]);
    }

    #[test]
    fn ranges_and_orders_come_last_and_once() {
        let range = |c: &str| Tail::Range(c.to_owned());
        assert_eq!(merged(&[(&["a"], range("t")), (&["a"], Tail::None)]), [["a", "t"]]);
        assert_eq!(merged(&[(&["a"], Tail::None), (&["a"], range("t"))]), [["a", "t"]]);
        assert_eq!(merged(&[(&["a"], range("t")), (&["a"], range("u"))]), [["a", "t"], ["a", "u"]]);
        assert_eq!(merged(&[(&["a"], range("t")), (&["a", "b"], Tail::None)]), [["a", "t"], ["a", "b"]]);
        let sort = Tail::Sort(vec!["t".to_owned()]);
        assert_eq!(merged(&[(&["a"], sort.clone()), (&["a"], range("t"))]), [["a", "t"]]);
        assert_eq!(merged(&[(&["a", "b", "c"], Tail::None), (&["a", "b", "c", "d"], Tail::None)]), [["a", "b", "c"]]);
    }

    #[test]
    fn a_variant_knows_whom_it_serves() {
        let (t, s) = (table("image", 100_000, 50_000_000), statement("1", "select 1 from image", 100, 100.0));
        let mut unfiltered = need(&t, &s, &["b"], Tail::None);
        unfiltered.is_soft_delete_filtered = false;
        let needs = [need(&t, &s, &["a"], Tail::Range("t".into())), unfiltered];
        let found = variants(&needs.iter().collect::<Vec<_>>());
        let shown: Vec<(String, bool, usize)> = found.iter().map(|v| (v.columns.join(","), v.is_soft_delete_filtered, v.needs.len())).collect();
        assert_eq!(shown, [("a".to_owned(), true, 1), ("a,t".to_owned(), true, 1), ("b".to_owned(), false, 1)]);
    }

    #[test]
    fn widening_wants_more_than_the_column_that_is_indexed() {
        let (t, s) = (table("image", 100_000, 50_000_000), statement("1", "select 1 from image", 100, 100.0));
        let mut wider = need(&t, &s, &["a"], Tail::Range("t".into()));
        wider.is_widening = true;
        let found = variants(&[&wider]);
        assert_eq!(found.iter().map(|v| v.columns.join(",")).collect::<Vec<_>>(), ["a,t"]);
    }
}
