//! Walks the grammar's tree of one statement.

use sqlparser::ast::{
    BinaryOperator, Expr, FromTable, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, JoinConstraint, ObjectName, OrderByExpr, OrderByKind,
    OrderBySort, Query, Select, SelectItem, SetExpr, Statement, TableFactor, TableObject, TableWithJoins, UpdateTableFromKind,
};

use super::sql::{JoinOn, SortKey, TableUse, normal_expression};
use super::sql_expr::{
    Limit, children, constraint, derived_alias, first_of, is_aggregate, is_constant, is_equal, is_grouped, last_name, name_of, projected, push,
};
use crate::evidence::postgres::quote;

/// Every mention of a table in `statement`; `None` for statements that are no query.
pub(super) fn tables(statement: &Statement) -> Option<Vec<TableUse>> {
    let mut walk = Walk::default();
    walk.statement(statement).then_some(walk.uses)
}

#[derive(Default)]
pub(super) struct Walk {
    pub(super) uses: Vec<TableUse>,
    /// Names of common table expressions: mentions of them are no tables.
    pub(super) common: Vec<String>,
    /// Sub-queries are left alone.
    pub(super) is_shallow: bool,
}

/// The names one `from` brings into sight; a name without a use is a sub-query or a function.
#[derive(Default)]
pub(super) struct Scope<'p> {
    names: Vec<(String, Option<usize>)>,
    parent: Option<&'p Scope<'p>>,
}

/// A column of a table in sight.
struct Place {
    of: usize,
    column: String,
    /// It belongs to this scope and not to one around it.
    is_here: bool,
}

impl Scope<'_> {
    fn find(&self, name: &str) -> Option<(Option<usize>, bool)> {
        let mut scope = Some(self);
        let mut is_here = true;
        while let Some(s) = scope {
            if let Some((_, of)) = s.names.iter().find(|(n, _)| n == name) {
                return Some((*of, is_here));
            }
            scope = s.parent;
            is_here = false;
        }
        None
    }
}

impl Walk {
    fn statement(&mut self, statement: &Statement) -> bool {
        let root = Scope::default();
        match statement {
            Statement::Query(query) => self.query(query, &root),
            Statement::Insert(insert) => {
                if let TableObject::TableName(name) = &insert.table {
                    self.target(name);
                }
                if let Some(source) = &insert.source {
                    self.query(source, &root);
                }
            }
            Statement::Update(update) => {
                let from = match &update.from {
                    Some(UpdateTableFromKind::BeforeSet(from) | UpdateTableFromKind::AfterSet(from)) => from.as_slice(),
                    None => &[],
                };
                let assigned: Vec<&Expr> = update.assignments.iter().map(|a| &a.value).collect();
                self.change(std::slice::from_ref(&update.table), from, update.selection.as_ref(), &assigned);
            }
            Statement::Delete(delete) => {
                let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
                self.change(from, delete.using.as_deref().unwrap_or(&[]), delete.selection.as_ref(), &[]);
            }
            _ => return false,
        }
        true
    }

    fn target(&mut self, name: &ObjectName) -> usize {
        let of = self.mention(name, None);
        self.uses[of].is_target = true;
        of
    }

    fn change(&mut self, targets: &[TableWithJoins], others: &[TableWithJoins], selection: Option<&Expr>, assigned: &[&Expr]) {
        let root = Scope::default();
        let mut scope = Scope { names: Vec::new(), parent: Some(&root) };
        let first = self.uses.len();
        let mut conditions = self.from(targets, &mut scope);
        if let Some(target) = self.uses.get_mut(first) {
            target.is_target = true;
        }
        conditions.extend(self.from(others, &mut scope));
        conditions.extend(selection);
        self.conditions(conditions, &scope);
        assigned.iter().for_each(|e| self.descend(e, &scope));
    }

    fn query(&mut self, query: &Query, outer: &Scope) {
        if self.is_shallow {
            return;
        }
        for cte in query.with.iter().flat_map(|w| &w.cte_tables) {
            self.common.push(name_of(&cte.alias.name));
            self.query(&cte.query, outer);
        }
        let limit = Limit::of(query);
        let order: &[OrderByExpr] = match query.order_by.as_ref().map(|o| &o.kind) {
            Some(OrderByKind::Expressions(keys)) => keys,
            _ => &[],
        };
        self.set_expression(&query.body, outer, order, limit);
    }

    fn set_expression(&mut self, body: &SetExpr, outer: &Scope, order: &[OrderByExpr], limit: Limit) {
        match body {
            SetExpr::Select(select) => self.select(select, outer, order, limit),
            SetExpr::Query(query) => self.query(query, outer),
            SetExpr::SetOperation { left, right, .. } => {
                self.set_expression(left, outer, &[], Limit::NONE);
                self.set_expression(right, outer, &[], Limit::NONE);
            }
            SetExpr::Insert(statement) | SetExpr::Update(statement) | SetExpr::Delete(statement) | SetExpr::Merge(statement) => {
                self.statement(statement);
            }
            SetExpr::Values(_) | SetExpr::Table(_) => {}
        }
    }

    fn select(&mut self, select: &Select, outer: &Scope, order: &[OrderByExpr], limit: Limit) {
        let mut scope = Scope { names: Vec::new(), parent: Some(outer) };
        let mut conditions = self.from(&select.from, &mut scope);
        let here: Vec<usize> = scope.names.iter().filter_map(|(_, of)| *of).collect();
        if let Some(first) = here.first() {
            self.uses[*first].is_first = true;
        }
        conditions.extend(&select.selection);
        self.conditions(conditions, &scope);
        let is_aggregate = select.projection.iter().filter_map(projected).any(is_aggregate) || is_grouped(&select.group_by);
        for of in &here {
            let used = &mut self.uses[*of];
            used.is_aggregate = is_aggregate;
            used.has_limit = limit.has_limit;
            used.has_offset = limit.has_offset;
            used.is_sorted = !order.is_empty();
        }
        if select.distinct.is_none() && !is_aggregate {
            self.sort(order, select, &scope);
        }
        select.projection.iter().filter_map(projected).for_each(|e| self.descend(e, &scope));
    }

    /// Brings the tables of a `from` into `scope` and gives back the conditions of its joins.
    fn from<'e>(&mut self, from: &'e [TableWithJoins], scope: &mut Scope) -> Vec<&'e Expr> {
        let mut conditions = Vec::new();
        for table in from {
            self.factor(&table.relation, scope, &mut conditions);
            for join in &table.joins {
                let before = scope.names.len();
                self.factor(&join.relation, scope, &mut conditions);
                match constraint(&join.join_operator) {
                    Some(JoinConstraint::On(on)) => conditions.push(on),
                    Some(JoinConstraint::Using(columns)) => self.using(columns, scope, before),
                    _ => {}
                }
            }
        }
        conditions
    }

    /// `join image using (product_id)`: the table joined and the one in front of it.
    fn using(&mut self, columns: &[ObjectName], scope: &Scope, joined: usize) {
        let here = scope.names[joined..].iter().find_map(|(_, of)| *of);
        let there = scope.names[..joined].iter().rev().find_map(|(_, of)| *of);
        let (Some(here), Some(there)) = (here, there) else { return };
        for column in columns.iter().filter_map(last_name) {
            let place = |of| Place { of, column: column.clone(), is_here: true };
            self.join(&place(here), &place(there));
            self.join(&place(there), &place(here));
        }
    }

    fn factor<'e>(&mut self, factor: &'e TableFactor, scope: &mut Scope, conditions: &mut Vec<&'e Expr>) {
        match factor {
            TableFactor::Table { name, alias, args: None, .. } => {
                let alias = alias.as_ref().map(|a| name_of(&a.name));
                let known = name.0.len() == 1 && last_name(name).is_some_and(|n| self.common.contains(&n));
                let shown = alias.clone().or_else(|| last_name(name)).unwrap_or_default();
                let of = if known { None } else { Some(self.mention(name, alias)) };
                scope.names.push((shown, of));
            }
            TableFactor::Derived { subquery, alias, lateral, .. } => {
                // Only a lateral sub-query sees its neighbours.
                if *lateral {
                    self.query(subquery, scope)
                } else {
                    self.query(subquery, scope.parent.unwrap_or(&Scope::default()))
                }
                scope.names.push((alias.as_ref().map(|a| name_of(&a.name)).unwrap_or_default(), None));
            }
            TableFactor::NestedJoin { table_with_joins, .. } => {
                conditions.extend(self.from(std::slice::from_ref(table_with_joins.as_ref()), scope));
            }
            TableFactor::Table { alias: Some(alias), .. }
            | TableFactor::Function { alias: Some(alias), .. }
            | TableFactor::UNNEST { alias: Some(alias), .. } => {
                scope.names.push((name_of(&alias.name), None));
            }
            _ => scope.names.push((String::new(), None)),
        }
    }

    fn mention(&mut self, name: &ObjectName, alias: Option<String>) -> usize {
        let parts: Vec<String> = name.0.iter().filter_map(|p| p.as_ident()).map(name_of).collect();
        let table = parts.last().cloned().unwrap_or_default();
        let schema = parts.len().checked_sub(2).and_then(|i| parts.get(i)).cloned();
        self.uses.push(TableUse { schema, alias: alias.unwrap_or_else(|| table.clone()), table, ..TableUse::default() });
        self.uses.len() - 1
    }

    /// Conditions joined by `and`, however they nest.
    pub(super) fn conditions<'e>(&mut self, conditions: Vec<&'e Expr>, scope: &Scope) {
        let mut open: Vec<&'e Expr> = conditions.into_iter().rev().collect();
        while let Some(expr) = open.pop() {
            match expr {
                Expr::Nested(inner) => open.push(inner),
                Expr::BinaryOp { left, op: BinaryOperator::And, right } => open.extend([right.as_ref(), left.as_ref()]),
                other => self.condition(other, scope),
            }
        }
    }

    fn condition(&mut self, expr: &Expr, scope: &Scope) {
        match expr {
            Expr::BinaryOp { left, op, right } if is_equal(op) => self.equality(left, right, scope),
            Expr::BinaryOp { left, op: BinaryOperator::Lt | BinaryOperator::LtEq | BinaryOperator::Gt | BinaryOperator::GtEq, right } => {
                let is_left = self.note(first_of(left), scope, |u| &mut u.range);
                if !is_left {
                    self.note(first_of(right), scope, |u| &mut u.range);
                }
                self.descend(left, scope);
                self.descend(right, scope);
            }
            Expr::InList { expr: tested, negated: false, .. } => self.one_of(tested, scope),
            Expr::AnyOp { left, compare_op, right, .. } if is_equal(compare_op) => {
                self.one_of(left, scope);
                self.descend(right, scope);
            }
            Expr::InSubquery { expr: tested, subquery, negated: false } => {
                self.one_of(tested, scope);
                self.query(subquery, scope);
            }
            Expr::Between { expr: tested, negated: false, .. } => {
                self.note(tested, scope, |u| &mut u.range);
            }
            Expr::Like { expr: tested, negated: false, .. } | Expr::ILike { expr: tested, negated: false, .. } => {
                self.note(tested, scope, |u| &mut u.like);
            }
            Expr::IsNull(tested) => {
                self.note(tested, scope, |u| &mut u.is_null);
            }
            Expr::IsNotNull(tested) => {
                self.note(tested, scope, |u| &mut u.is_not_null);
            }
            Expr::BinaryOp { op: BinaryOperator::Or, .. } => self.disjunction(expr, scope),
            other => {
                self.unusable(other, scope);
                self.descend(other, scope);
            }
        }
    }

    fn equality(&mut self, left: &Expr, right: &Expr, scope: &Scope) {
        match (self.place(left, scope), self.place(right, scope)) {
            (Some(a), Some(b)) if a.of != b.of => {
                // A column of the query around is a value to this one; the outer table is not found by it.
                if a.is_here {
                    self.join(&a, &b);
                }
                if b.is_here {
                    self.join(&b, &a);
                }
            }
            (Some(_), Some(_)) => {}
            (Some(one), None) | (None, Some(one)) => {
                let column = one.column.clone();
                if is_constant(if self.place(left, scope).is_some() { right } else { left }) {
                    push(&mut self.uses[one.of].equal, column);
                } else if let Some(alias) = derived_alias(if self.place(left, scope).is_some() { right } else { left }) {
                    let join = JoinOn { column, other_alias: alias.0, other_table: None, other_column: alias.1 };
                    self.uses[one.of].joins.push(join);
                }
            }
            (None, None) => {}
        }
        self.descend(left, scope);
        self.descend(right, scope);
    }

    fn join(&mut self, one: &Place, other: &Place) {
        let (other_alias, other_table) = (self.uses[other.of].alias.clone(), Some(self.uses[other.of].table.clone()));
        self.uses[one.of].joins.push(JoinOn { column: one.column.clone(), other_alias, other_table, other_column: other.column.clone() });
    }

    fn one_of(&mut self, tested: &Expr, scope: &Scope) {
        let parts = match tested {
            Expr::Tuple(parts) => parts.iter().collect(),
            one => vec![one],
        };
        for part in parts {
            self.note(part, scope, |u| &mut u.equal);
            self.note(part, scope, |u| &mut u.batched);
        }
    }

    /// Adds the column that `expr` is to the list that `list` picks; tells whether there was one.
    fn note(&mut self, expr: &Expr, scope: &Scope, list: fn(&mut TableUse) -> &mut Vec<String>) -> bool {
        let Some(place) = self.place(expr, scope).filter(|p| p.is_here) else { return false };
        push(list(&mut self.uses[place.of]), place.column);
        true
    }

    /// The table column (or indexable expression over one column) that `expr` is.
    fn place(&self, expr: &Expr, scope: &Scope) -> Option<Place> {
        match expr {
            Expr::Nested(inner) => self.place(inner, scope),
            Expr::Cast { .. } => None,
            Expr::Identifier(name) => self.bare(name, scope),
            Expr::CompoundIdentifier(parts) => {
                let [.., table, column] = parts.as_slice() else { return None };
                let (of, is_here) = scope.find(&name_of(table))?;
                Some(Place { of: of?, column: name_of(column), is_here })
            }
            Expr::Function(function) => {
                let FunctionArguments::List(list) = &function.args else { return None };
                let [FunctionArg::Unnamed(FunctionArgExpr::Expr(argument))] = list.args.as_slice() else { return None };
                let inner = self.place(argument, scope)?;
                let name = last_name(&function.name)?;
                // In its normal form an expression has no quotes, so a name that needs them cannot be told from one that does not.
                if quote(&inner.column) != inner.column {
                    return None;
                }
                let column = normal_expression(&format!("{name}({})", inner.column));
                ["lower", "upper", "date", "trim"].contains(&name.as_str()).then_some(Place { column, ..inner })
            }
            _ => None,
        }
    }

    /// A column without its table: known only where one table is in sight.
    fn bare(&self, name: &Ident, scope: &Scope) -> Option<Place> {
        let [(_, Some(of))] = scope.names.as_slice() else { return None };
        Some(Place { of: *of, column: name_of(name), is_here: true })
    }

    /// Columns of this scope inside a condition that no index order serves.
    pub(super) fn unusable(&mut self, expr: &Expr, scope: &Scope) {
        let mut open = vec![expr];
        while let Some(expr) = open.pop() {
            if let Some(place) = self.place(expr, scope) {
                push(&mut self.uses[place.of].unusable, place.column);
            } else {
                children(expr, &mut open);
            }
        }
    }

    /// Finds the sub-queries inside an expression.
    pub(super) fn descend(&mut self, expr: &Expr, scope: &Scope) {
        if self.is_shallow {
            return;
        }
        let mut open = vec![expr];
        while let Some(expr) = open.pop() {
            match expr {
                Expr::Subquery(query) | Expr::Exists { subquery: query, .. } | Expr::InSubquery { subquery: query, .. } => self.query(query, scope),
                other => children(other, &mut open),
            }
        }
    }

    /// Kept only where every key is a plain column of one and the same table.
    fn sort(&mut self, order: &[OrderByExpr], select: &Select, scope: &Scope) {
        let mut keys: Vec<(usize, SortKey)> = Vec::new();
        for key in order {
            let aliased = match &key.expr {
                Expr::Identifier(name) => select.projection.iter().find_map(|p| match p {
                    SelectItem::ExprWithAlias { expr, alias } if name_of(alias) == name_of(name) => Some(expr),
                    _ => None,
                }),
                _ => None,
            };
            let Some(place) = self.place(aliased.unwrap_or(&key.expr), scope).filter(|p| p.is_here) else { return };
            let is_descending = matches!(key.options.sort, Some(OrderBySort::Desc));
            keys.push((place.of, SortKey { column: place.column, is_descending, nulls_first: key.options.nulls_first }));
        }
        if let Some(of) = keys.first().map(|(of, _)| *of)
            && keys.iter().all(|(o, _)| *o == of)
        {
            self.uses[of].order_by = keys.into_iter().map(|(_, k)| k).collect();
        }
    }
}
