//! Plans of the costliest statements as the planner makes them now, for any parameters. Kinds of nodes, relations, indexes, costs and rows
//! only: conditions could hold values and are left out.

use std::time::Duration;

use serde_json::Value;

use super::explain::{Blocks, Planner, Silence};
use super::reader::Reader;
use crate::connect::postgres::quote_role;
use crate::evidence::postgres::{Statement, StatementPlan, Statements};
use crate::evidence::{Cause, Gap, Section, Seen};

/// Statements whose plans are shown.
pub const PLANS_MAX: usize = 15;
const BUDGET: Duration = Duration::from_millis(700);
/// Lines of one plan; a plan with more is of a statement that nobody reads as a tree.
const LINES_MAX: usize = 80;

/// The costliest queries: by the window where it saw any, else since the counters were reset.
pub fn costliest(statements: &Statements) -> Vec<&Statement> {
    let ms = |s: &Statement| s.counters.window.map_or(0.0, |w| w.total_ms);
    let mut queries: Vec<&Statement> = statements.rows.rows.iter().filter(|s| is_query(&s.text)).collect();
    queries.sort_by(|a, b| {
        let by_window = ms(b).total_cmp(&ms(a));
        by_window.then_with(|| b.counters.total.total_ms.total_cmp(&a.counters.total.total_ms)).then_with(|| a.id.cmp(&b.id))
    });
    queries.truncate(PLANS_MAX);
    queries
}

/// Not the foreign key checks of Postgres itself: they lock, and their plan is always the same.
fn is_query(text: &str) -> bool {
    let head = text.trim_start().trim_start_matches('(');
    let is_select = ["select", "with"].iter().any(|w| head.get(..w.len()).is_some_and(|h| h.eq_ignore_ascii_case(w)));
    is_select && !text.to_ascii_lowercase().contains("for key share")
}

/// Plans of those that the planner explains within the budget.
pub async fn read(reader: &mut Reader<'_>, planner: &mut Planner, statements: &[&Statement]) -> Seen<Vec<StatementPlan>> {
    planner.allow(BUDGET, PLANS_MAX);
    let mut plans = Vec::new();
    let mut denied = 0;
    for statement in statements {
        match planner.plan(reader, &statement.id, statement.counters.total.rows_a_call(), Blocks::AsSet).await {
            Ok(json) => plans.extend(shown(&statement.id, &json)),
            Err(Silence::NotAllowed) => denied += 1,
            Err(Silence::TooLong | Silence::NotExplained | Silence::OutOfTime | Silence::TooMany) => {}
        }
    }
    if plans.is_empty() && denied > 0 {
        let grant = format!("grant pg_read_all_data to {};", quote_role(reader.role()));
        let detail = "Postgres shows a plan only to a role that may read the statement's tables, and this role may not. The grant would open \
                      the rows too, customers' included: without it everything but the plans and their proofs is still judged.";
        return Err(Gap::new(Section::PgPlans, Cause::Denied { grant }, detail));
    }
    Ok(plans)
}

fn shown(id: &str, json: &Value) -> Option<StatementPlan> {
    let top = json.get(0)?.get("Plan")?;
    let mut lines = Vec::new();
    add(top, 0, &mut lines);
    Some(StatementPlan { statement_id: id.to_owned(), cost: top.get("Total Cost")?.as_f64()?, lines })
}

fn add(node: &Value, depth: usize, lines: &mut Vec<String>) {
    if lines.len() >= LINES_MAX {
        return;
    }
    if lines.len() == LINES_MAX - 1 {
        lines.push("…".to_owned());
        return;
    }
    lines.push(format!("{}{}", "  ".repeat(depth), line(node)));
    for below in node.get("Plans").and_then(Value::as_array).into_iter().flatten() {
        add(below, depth + 1, lines);
    }
}

/// "Hash Left Join (cost 4,211, rows 3)", "Index Scan using image_pkey on image (cost 8, rows 1)".
fn line(node: &Value) -> String {
    let word = |name: &str| node.get(name).and_then(Value::as_str);
    let figure = |name: &str| thousands(node.get(name).and_then(Value::as_f64).unwrap_or(0.0));
    let mut out = word("Node Type").unwrap_or("Node").to_owned();
    if let Some(kind) = word("Join Type").filter(|k| *k != "Inner") {
        out = match out.strip_suffix(" Join") {
            Some(head) => format!("{head} {kind} Join"),
            None => format!("{out} {kind} Join"),
        };
    }
    if let Some(index) = word("Index Name") {
        out.push_str(&format!(" using {index}"));
    }
    if let Some(relation) = word("Relation Name").or_else(|| word("CTE Name")).or_else(|| word("Function Name")) {
        out.push_str(&format!(" on {relation}"));
        if let Some(alias) = word("Alias").filter(|a| *a != relation) {
            out.push_str(&format!(" {alias}"));
        }
    }
    format!("{out} (cost {}, rows {})", figure("Total Cost"), figure("Plan Rows"))
}

fn thousands(x: f64) -> String {
    let digits = format!("{:.0}", x.clamp(0.0, 1e15));
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_plan_is_a_tree_of_lines_without_conditions() {
        let plan = json!([{"Plan": {"Node Type": "Hash Join", "Join Type": "Left", "Total Cost": 4211.6, "Plan Rows": 3, "Hash Cond": "(a.secret = 'x')",
            "Plans": [
                {"Node Type": "Seq Scan", "Relation Name": "image", "Alias": "i0", "Total Cost": 1234567.2, "Plan Rows": 180000, "Filter": "(url = 'secret')"},
                {"Node Type": "Index Scan", "Relation Name": "product", "Alias": "product", "Index Name": "product_pkey", "Total Cost": 8.1, "Plan Rows": 1}]}}]);
        let shown = shown("7", &plan).unwrap();
        assert_eq!(
            shown.lines,
            [
                "Hash Left Join (cost 4,212, rows 3)",
                "  Seq Scan on image i0 (cost 1,234,567, rows 180,000)",
                "  Index Scan using product_pkey on product (cost 8, rows 1)"
            ]
        );
        assert!(!shown.lines.join("").contains("secret"));
    }

    #[test]
    fn deep_plans_are_cut() {
        let mut node = json!({"Node Type": "Result", "Total Cost": 1.0, "Plan Rows": 1});
        for _ in 0..LINES_MAX + 5 {
            node = json!({"Node Type": "Append", "Total Cost": 1.0, "Plan Rows": 1, "Plans": [node]});
        }
        let shown = shown("7", &json!([{"Plan": node}])).unwrap();
        assert_eq!((shown.lines.len(), shown.lines.last().map(String::as_str)), (LINES_MAX, Some("…")));
    }

    #[test]
    fn foreign_key_checks_and_changes_are_no_queries() {
        assert!(is_query("select 1 from a") && is_query("(SELECT 1)") && is_query("with a as (select 1) select 1"));
        assert!(!is_query("update a set b = $1") && !is_query("SELECT $2 FROM ONLY a x WHERE id = $1 FOR KEY SHARE OF x"));
    }
}
