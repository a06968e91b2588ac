//! Asks the planner what an index would change. With HypoPG the index exists only in the planner's imagination of this session;
//! without it only the plan as it is can be told. Nothing is executed.

use std::time::{Duration, Instant};

use serde_json::Value;
use sqlparser::ast::Statement as Ast;
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;
use sqlx::FromRow;

use super::fold::highest_placeholder;
use super::reader::{Reader, count};
use crate::collect::Candidate;
use crate::connect::postgres::TAG;
use crate::evidence::postgres::{Extension, Proof, quote};
use crate::evidence::{Section, Seen};

const CANDIDATES_MAX: usize = 10;
const BUDGET: Duration = Duration::from_millis(300);
/// `explain (generic_plan)` came with 16.
const GENERIC_PLAN_SINCE: u32 = 16;

#[derive(FromRow)]
struct TextRow {
    text: String,
}

#[derive(FromRow)]
struct PlanRow {
    #[sqlx(rename = "QUERY PLAN")]
    plan: sqlx::types::Json<Value>,
}

#[derive(FromRow)]
struct HypotheticalRow {
    bytes: i64,
}

/// The plan of one statement, as far as it is told.
struct Plan {
    cost: f64,
    node: String,
    rows: f64,
}

/// Proofs of the candidates that the planner could judge within the budget. Statements that are no plain SELECT are left out, and so
/// are those whose parameters have no type the planner can guess.
pub async fn prove(
    reader: &mut Reader<'_>,
    candidates: &[Candidate],
    place: (&str, u32),
    extensions: &[(Extension, Option<String>)],
) -> Seen<Vec<Proof>> {
    let hypopg = extensions.iter().find(|(e, _)| e.name == "hypopg" && e.installed.is_some()).and_then(|(_, schema)| schema.as_deref().map(quote));
    let start = Instant::now();
    let mut proofs = Vec::new();
    for candidate in candidates.iter().take(CANDIDATES_MAX) {
        if start.elapsed() > BUDGET || reader.session.is_lost() {
            break;
        }
        let Some(text) = whole_text(reader, candidate, place).await? else { continue };
        proofs.extend(compare(reader, candidate, &Explain::new(reader.major(), &text), hypopg.as_deref()).await);
    }
    Ok(proofs)
}

async fn whole_text(reader: &mut Reader<'_>, candidate: &Candidate, (schema, _): (&str, u32)) -> Seen<Option<String>> {
    // An id is digits with a sign; nothing else is put into the query.
    let Ok(id) = candidate.statement_id.parse::<i64>() else { return Ok(None) };
    let sql = include_str!("sql/statement_whole.sql").replace("{schema}", schema).replace("{id}", &id.to_string());
    let rows: Vec<TextRow> = reader.rows(Section::PgProofs, &sql).await?;
    Ok(rows.into_iter().next().map(|r| r.text).filter(|t| is_one_select(t)))
}

/// One SELECT and nothing beside it: what is put behind `explain` must not hold a second statement.
fn is_one_select(text: &str) -> bool {
    matches!(Parser::parse_sql(&PostgreSqlDialect {}, text).as_deref(), Ok([Ast::Query(_)])) && !text.contains(';')
}

async fn compare(reader: &mut Reader<'_>, candidate: &Candidate, explain: &Explain, hypopg: Option<&str>) -> Option<Proof> {
    let before = explain.plan(reader, candidate).await?;
    let mut after = None;
    let mut bytes = None;
    if let Some(schema) = hypopg {
        let sql =
            include_str!("sql/hypothetical_index.sql").replace("{schema}", schema).replace("{create}", &candidate.create_sql.replace('\'', "''"));
        let created: Result<Vec<HypotheticalRow>, _> = reader.session.rows(&sql).await;
        if let Ok([row]) = created.as_deref() {
            bytes = Some(count(row.bytes));
            after = explain.plan(reader, candidate).await;
        }
        // Also after a failure: hypothetical indexes live as long as the backend, which a pooler hands on to others.
        let _ = reader.session.raw_rows(&format!("{TAG} select {schema}.hypopg_reset()")).await;
    }
    Some(Proof {
        statement_id: candidate.statement_id.clone(),
        schema: candidate.schema.clone(),
        table: candidate.table.clone(),
        columns: candidate.columns.clone(),
        definition: candidate.create_sql.clone(),
        method: if after.is_some() { "hypopg" } else { "generic plan" }.to_owned(),
        cost_before: before.cost,
        node_before: before.node,
        rows_before: before.rows,
        cost_after: after.as_ref().map(|p| p.cost),
        node_after: after.map(|p| p.node),
        bytes,
    })
}

/// How a statement with placeholders is explained on this server.
struct Explain {
    /// Before 16 a statement must be prepared for a plan that fits any parameter.
    prepare: Option<String>,
    explain: String,
}

impl Explain {
    fn new(major: u32, text: &str) -> Self {
        if major >= GENERIC_PLAN_SINCE {
            return Self { prepare: None, explain: format!("{TAG} explain (generic_plan, format json) {text}") };
        }
        let arguments = highest_placeholder(text) as usize;
        if arguments == 0 {
            return Self { prepare: None, explain: format!("{TAG} explain (format json) {text}") };
        }
        let nulls = vec!["null"; arguments].join(", ");
        Self {
            prepare: Some(format!("{TAG} set local plan_cache_mode = force_generic_plan;\n{TAG} prepare medusa_advisor_proof as {text}")),
            explain: format!("{TAG} explain (format json) execute medusa_advisor_proof({nulls})"),
        }
    }

    /// Prepares anew for each plan: a generic plan once made is kept, and a hypothetical index does not unsettle it. Ended within the
    /// same transaction, so a transaction pooler never sees the statement outlive the backend it lent.
    async fn plan(&self, reader: &mut Reader<'_>, candidate: &Candidate) -> Option<Plan> {
        if let Some(prepare) = &self.prepare {
            reader.session.raw_rows(prepare).await.ok()?;
        }
        let rows: Result<Vec<PlanRow>, _> = reader.session.rows(&self.explain).await;
        if self.prepare.is_some() {
            let _ = reader.session.raw_rows(&format!("{TAG} deallocate medusa_advisor_proof")).await;
        }
        read_plan(&rows.ok()?.first()?.plan.0, &candidate.table)
    }
}

/// Cost of the whole plan, and the node that reads `table`.
fn read_plan(json: &Value, table: &str) -> Option<Plan> {
    let top = json.get(0)?.get("Plan")?;
    let node = find_scan(top, table).unwrap_or(top);
    let kind = node.get("Node Type")?.as_str()?;
    let relation = node.get("Relation Name").and_then(Value::as_str);
    let index = node.get("Index Name").and_then(Value::as_str);
    let mut words = kind.to_owned();
    if let Some(index) = index.or_else(|| find_index(node)) {
        words.push_str(&format!(" using {index}"));
    }
    if let Some(relation) = relation {
        words.push_str(&format!(" on {relation}"));
    }
    Some(Plan { cost: top.get("Total Cost")?.as_f64()?, node: words, rows: node.get("Plan Rows")?.as_f64()? })
}

fn find_scan<'a>(node: &'a Value, table: &str) -> Option<&'a Value> {
    if node.get("Relation Name").and_then(Value::as_str) == Some(table) {
        return Some(node);
    }
    node.get("Plans")?.as_array()?.iter().find_map(|n| find_scan(n, table))
}

/// A bitmap heap scan names its index one node below.
fn find_index(node: &Value) -> Option<&str> {
    let below = node.get("Plans")?.as_array()?;
    below.iter().find_map(|n| n.get("Index Name").and_then(Value::as_str).or_else(|| find_index(n)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_one_select_is_explained() {
        assert!(is_one_select("select * from image where product_id = $1"));
        assert!(is_one_select("with a as (select 1) select * from a"));
        assert!(!is_one_select("delete from image"));
        assert!(!is_one_select("select 1; drop table image"));
        assert!(!is_one_select("not sql"));
    }

    #[test]
    fn the_scan_of_the_table_is_named() {
        let plan = json!([{"Plan": {"Node Type": "Limit", "Total Cost": 12.5, "Plan Rows": 1, "Plans": [
            {"Node Type": "Bitmap Heap Scan", "Relation Name": "image", "Total Cost": 12.0, "Plan Rows": 40, "Plans": [
                {"Node Type": "Bitmap Index Scan", "Index Name": "a"}]}]}}]);
        let plan = read_plan(&plan, "image").unwrap();
        assert_eq!((plan.cost, plan.node.as_str(), plan.rows), (12.5, "Bitmap Heap Scan using a on image", 40.0));
    }
}
