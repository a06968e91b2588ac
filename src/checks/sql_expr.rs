//! Questions about single expressions and clauses of the grammar's tree.

use sqlparser::ast::{
    BinaryOperator, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr, Ident, JoinConstraint, JoinOperator, LimitClause, ObjectName,
    Query, SelectItem,
};

#[derive(Clone, Copy)]
pub(super) struct Limit {
    pub has_limit: bool,
    pub has_offset: bool,
}

impl Limit {
    pub const NONE: Self = Self { has_limit: false, has_offset: false };

    pub fn of(query: &Query) -> Self {
        let (limit, offset) = match &query.limit_clause {
            Some(LimitClause::LimitOffset { limit, offset, .. }) => (limit.is_some(), offset.is_some()),
            Some(LimitClause::OffsetCommaLimit { .. }) => (true, true),
            None => (false, false),
        };
        Self { has_limit: limit || query.fetch.is_some(), has_offset: offset }
    }
}

/// The direct sub-expressions of the composite expressions that occur in conditions and select lists.
pub(super) fn children<'e>(expr: &'e Expr, open: &mut Vec<&'e Expr>) {
    match expr {
        Expr::Nested(e) | Expr::UnaryOp { expr: e, .. } | Expr::Cast { expr: e, .. } | Expr::IsNull(e) | Expr::IsNotNull(e) => open.push(e),
        Expr::IsTrue(e)
        | Expr::IsNotTrue(e)
        | Expr::IsFalse(e)
        | Expr::IsNotFalse(e)
        | Expr::Collate { expr: e, .. }
        | Expr::Extract { expr: e, .. } => open.push(e),
        Expr::BinaryOp { left, right, .. } | Expr::AnyOp { left, right, .. } | Expr::AllOp { left, right, .. } => {
            open.extend([right.as_ref(), left.as_ref()])
        }
        Expr::IsDistinctFrom(left, right) | Expr::IsNotDistinctFrom(left, right) => open.extend([right.as_ref(), left.as_ref()]),
        Expr::Like { expr: e, pattern, .. } | Expr::ILike { expr: e, pattern, .. } => open.extend([pattern.as_ref(), e.as_ref()]),
        Expr::Between { expr: e, low, high, .. } => open.extend([high.as_ref(), low.as_ref(), e.as_ref()]),
        Expr::InList { expr: e, list, .. } => {
            open.extend(list);
            open.push(e);
        }
        Expr::InSubquery { expr: e, .. } => open.push(e),
        Expr::Tuple(parts) => open.extend(parts),
        Expr::Case { operand, conditions, else_result, .. } => {
            open.extend(operand.as_deref());
            conditions.iter().for_each(|c| open.extend([&c.condition, &c.result]));
            open.extend(else_result.as_deref());
        }
        Expr::Function(function) => {
            if let FunctionArguments::List(list) = &function.args {
                open.extend(list.args.iter().filter_map(|a| match a {
                    FunctionArg::Unnamed(FunctionArgExpr::Expr(e)) => Some(e),
                    _ => None,
                }));
            }
        }
        _ => {}
    }
}

pub(super) fn constraint(operator: &JoinOperator) -> Option<&JoinConstraint> {
    match operator {
        JoinOperator::Join(c) | JoinOperator::Inner(c) | JoinOperator::Left(c) | JoinOperator::LeftOuter(c) => Some(c),
        JoinOperator::Right(c) | JoinOperator::RightOuter(c) | JoinOperator::FullOuter(c) => Some(c),
        _ => None,
    }
}

pub(super) fn projected(item: &SelectItem) -> Option<&Expr> {
    match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr),
        _ => None,
    }
}

pub(super) fn is_aggregate(expr: &Expr) -> bool {
    match expr {
        Expr::Function(f) => f.over.is_none() && last_name(&f.name).is_some_and(|n| ["count", "sum", "avg", "min", "max"].contains(&n.as_str())),
        Expr::Nested(e) | Expr::Cast { expr: e, .. } => is_aggregate(e),
        _ => false,
    }
}

pub(super) fn is_grouped(group: &GroupByExpr) -> bool {
    match group {
        GroupByExpr::All(_) => true,
        GroupByExpr::Expressions(keys, _) => !keys.is_empty(),
    }
}

pub(super) fn is_equal(op: &BinaryOperator) -> bool {
    match op {
        BinaryOperator::Eq => true,
        BinaryOperator::PGCustomBinaryOperator(name) => name.last().is_some_and(|n| n == "="),
        _ => false,
    }
}

/// A value as far as an index is concerned: no column is part of it, so it is the same for every row.
pub(super) fn is_constant(expr: &Expr) -> bool {
    let mut open = vec![expr];
    while let Some(expr) = open.pop() {
        match expr {
            Expr::Value(_) | Expr::TypedString(_) | Expr::Interval(_) | Expr::Subquery(_) | Expr::Array(_) => {}
            Expr::Nested(_) | Expr::Cast { .. } | Expr::UnaryOp { .. } | Expr::BinaryOp { .. } | Expr::Function(_) | Expr::Case { .. } => {
                children(expr, &mut open);
            }
            // A column, or something whose columns are not known.
            _ => return false,
        }
    }
    true
}

/// `(created_at, id) < ($1, $2)` bounds its first column; anything else is itself.
pub(super) fn first_of(expr: &Expr) -> &Expr {
    match expr {
        Expr::Tuple(parts) => parts.first().unwrap_or(expr),
        Expr::Nested(inner) => first_of(inner),
        other => other,
    }
}

/// `alias.column` of a sub-query.
pub(super) fn derived_alias(expr: &Expr) -> Option<(String, String)> {
    match expr {
        Expr::CompoundIdentifier(parts) => match parts.as_slice() {
            [.., table, column] => Some((name_of(table), name_of(column))),
            _ => None,
        },
        _ => None,
    }
}

pub(super) fn last_name(name: &ObjectName) -> Option<String> {
    name.0.last().and_then(|p| p.as_ident()).map(name_of)
}

/// Postgres folds what is not quoted to lower case.
pub(super) fn name_of(ident: &Ident) -> String {
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() }
}

pub(super) fn push(list: &mut Vec<String>, column: String) {
    if !list.contains(&column) {
        list.push(column);
    }
}
