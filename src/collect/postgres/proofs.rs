//! Asks the planner what an index would change. With HypoPG the index exists only in the planner's imagination of this session;
//! without it only the plan as it is can be told. Nothing is executed.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use sqlx::FromRow;

use super::explain::{Blocks, Planner, Silence};
use super::reader::{Reader, count};
use crate::collect::{Asked, Candidate};
use crate::connect::postgres::TAG;
use crate::evidence::postgres::{Extension, Proof, quote};

/// Indexes that are tried.
const CANDIDATES_MAX: usize = 24;
/// Statements each of them is tried on, costliest first.
const STATEMENTS_MAX: usize = 5;
/// All of it: planning is short, the rest is round trips, and the shop must not notice the audit.
const BUDGET: Duration = Duration::from_millis(1_500);
const PLANS_MAX: usize = 200;

#[derive(FromRow)]
struct HypotheticalRow {
    name: String,
    bytes: i64,
}

/// The plan of one statement, as far as it is told.
#[derive(Debug, Clone, PartialEq)]
struct Plan {
    cost: f64,
    node: String,
    rows: f64,
    indexes: Vec<String>,
}

/// The statements that the candidates are to be tried on, each once.
pub fn asked(candidates: &[Candidate]) -> Vec<&str> {
    let mut ids: Vec<&str> = Vec::new();
    for asked in candidates.iter().take(CANDIDATES_MAX).flat_map(|c| c.statements.iter().take(STATEMENTS_MAX)) {
        if !ids.contains(&asked.id.as_str()) {
            ids.push(&asked.id);
        }
    }
    ids
}

/// One proof for each candidate and statement, each candidate alone. Where the planner did not answer, the proof says why.
pub async fn prove(
    reader: &mut Reader<'_>,
    planner: &mut Planner,
    candidates: &[Candidate],
    extensions: &[(Extension, Option<String>)],
) -> Vec<Proof> {
    let hypopg = extensions.iter().find(|(e, _)| e.name == "hypopg" && e.installed.is_some()).and_then(|(_, schema)| schema.as_deref().map(quote));
    planner.allow(BUDGET, PLANS_MAX);
    let mut now: BTreeMap<String, Now> = BTreeMap::new();
    let mut proofs = Vec::new();
    for candidate in candidates.iter().take(CANDIDATES_MAX) {
        let statements = &candidate.statements[..candidate.statements.len().min(STATEMENTS_MAX)];
        for asked in statements {
            if !now.contains_key(&asked.id) {
                let plan = planner.plan(reader, &asked.id, asked.rows_a_call, Blocks::AsSet).await;
                let in_memory = match &plan {
                    Ok(plan) if hypopg.is_some() => same_in_memory(reader, planner, asked, plan, &candidate.table).await,
                    _ => None,
                };
                now.insert(asked.id.clone(), Now { plan, in_memory });
            }
        }
        proofs.extend(compare(reader, planner, candidate, statements, &now, hypopg.as_deref()).await);
    }
    proofs
}

/// A statement's plan as things are, and with every block in memory.
struct Now {
    plan: Result<Value, Silence>,
    /// Its cost then; `None` where the planner would go another way.
    in_memory: Option<f64>,
}

/// The cost of `plan` with every block in memory.
async fn same_in_memory(reader: &mut Reader<'_>, planner: &mut Planner, asked: &Asked, plan: &Value, table: &str) -> Option<f64> {
    let node = read_plan(plan, table)?.node;
    for blocks in [Blocks::InMemory, Blocks::InMemoryWhole] {
        let told = planner.plan(reader, &asked.id, asked.rows_a_call, blocks).await.ok()?;
        if let Some(same) = read_plan(&told, table).filter(|p| p.node == node && p.cost > 0.0) {
            return Some(same.cost);
        }
    }
    None
}

async fn compare(
    reader: &mut Reader<'_>,
    planner: &mut Planner,
    candidate: &Candidate,
    statements: &[Asked],
    now: &BTreeMap<String, Now>,
    hypopg: Option<&str>,
) -> Vec<Proof> {
    let before: Vec<(&Asked, Result<Plan, Silence>)> = statements
        .iter()
        .map(|asked| {
            let told = now.get(&asked.id).map_or(Err(Silence::OutOfTime), |n| n.plan.clone());
            (asked, told.and_then(|json| read_plan(&json, &candidate.table).ok_or(Silence::NotExplained)))
        })
        .collect();
    let is_any_told = before.iter().any(|(_, b)| b.is_ok());
    let created = match hypopg {
        Some(schema) if is_any_told => create(reader, schema, &candidate.create_sql).await,
        _ => None,
    };
    let mut proofs = Vec::new();
    for (asked, before) in before {
        let after = match (&before, &created) {
            (Ok(_), Some(_)) => Some(
                planner
                    .plan(reader, &asked.id, asked.rows_a_call, Blocks::AsSet)
                    .await
                    .and_then(|j| read_plan(&j, &candidate.table).ok_or(Silence::NotExplained)),
            ),
            _ => None,
        };
        let mut proof = proof(candidate, &asked.id, before, after, created.as_ref());
        if let (true, Some(index), Some(before)) = (proof.is_used, &created, now.get(&asked.id).and_then(|n| n.in_memory)) {
            let after = planner.plan(reader, &asked.id, asked.rows_a_call, Blocks::InMemory).await.ok();
            let after = after.and_then(|j| read_plan(&j, &candidate.table)).filter(|p| p.indexes.contains(&index.name));
            proof.left_in_memory = after.map(|p| p.cost / before);
        }
        proofs.push(proof);
    }
    if let Some(schema) = hypopg.filter(|_| is_any_told) {
        // Also after a failure: hypothetical indexes live as long as the backend, which a pooler hands on to others.
        let _ = reader.session.raw_rows(&format!("{TAG} select {schema}.hypopg_reset()")).await;
    }
    proofs
}

async fn create(reader: &mut Reader<'_>, schema: &str, create_sql: &str) -> Option<HypotheticalRow> {
    let sql = include_str!("sql/hypothetical_index.sql").replace("{schema}", schema).replace("{create}", &create_sql.replace('\'', "''"));
    let rows: Vec<HypotheticalRow> = reader.session.rows(&sql).await.ok()?;
    rows.into_iter().next()
}

fn proof(
    candidate: &Candidate,
    id: &str,
    before: Result<Plan, Silence>,
    after: Option<Result<Plan, Silence>>,
    index: Option<&HypotheticalRow>,
) -> Proof {
    let silence = before.as_ref().err().or_else(|| after.as_ref().and_then(|a| a.as_ref().err())).copied();
    let after = after.and_then(Result::ok);
    let name = index.map(|i| i.name.as_str());
    let is_used = after.as_ref().is_some_and(|a| name.is_some_and(|n| a.indexes.iter().any(|i| i == n)));
    let (cost_before, node_before, rows_before) = match before {
        Ok(plan) => (plan.cost, plan.node, plan.rows),
        Err(silence) => (0.0, silence.words().to_owned(), 0.0),
    };
    Proof {
        statement_id: id.to_owned(),
        schema: candidate.schema.clone(),
        table: candidate.table.clone(),
        columns: candidate.columns.clone(),
        definition: candidate.create_sql.clone(),
        method: silence.map_or(if after.is_some() { "hypopg" } else { "generic plan" }, Silence::method).to_owned(),
        cost_before,
        node_before,
        rows_before,
        cost_after: after.as_ref().map(|p| p.cost),
        left_in_memory: None,
        // HypoPG's names hold a number of the session.
        node_after: after.map(|p| name.map_or_else(|| p.node.clone(), |n| p.node.replace(n, "the new index"))),
        is_used,
        bytes: index.map(|i| count(i.bytes)),
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
    let mut indexes = Vec::new();
    all_indexes(top, &mut indexes);
    Some(Plan { cost: top.get("Total Cost")?.as_f64()?, node: words, rows: node.get("Plan Rows")?.as_f64()?, indexes })
}

/// A scan of the table that no index serves, else any scan of it: a table mentioned twice is judged by its costlier mention.
fn find_scan<'a>(node: &'a Value, table: &str) -> Option<&'a Value> {
    let mut scans = Vec::new();
    all_scans(node, table, &mut scans);
    let is_whole = |n: &&&Value| n.get("Node Type").and_then(Value::as_str).is_some_and(|k| k.contains("Seq Scan"));
    scans.iter().find(is_whole).or_else(|| scans.first()).copied()
}

fn all_scans<'a>(node: &'a Value, table: &str, scans: &mut Vec<&'a Value>) {
    if node.get("Relation Name").and_then(Value::as_str) == Some(table) {
        scans.push(node);
    }
    below(node).for_each(|n| all_scans(n, table, scans));
}

fn all_indexes(node: &Value, indexes: &mut Vec<String>) {
    indexes.extend(node.get("Index Name").and_then(Value::as_str).map(ToOwned::to_owned));
    below(node).for_each(|n| all_indexes(n, indexes));
}

fn below(node: &Value) -> impl Iterator<Item = &Value> {
    node.get("Plans").and_then(Value::as_array).into_iter().flatten()
}

/// A bitmap heap scan names its index one node below.
fn find_index(node: &Value) -> Option<&str> {
    below(node).find_map(|n| n.get("Index Name").and_then(Value::as_str).or_else(|| find_index(n)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn candidate() -> Candidate {
        Candidate {
            statements: vec![Asked { id: "1".into(), rows_a_call: 1.0 }],
            schema: "public".into(),
            table: "image".into(),
            columns: vec!["product_id".into()],
            create_sql: "create index on public.image (product_id)".into(),
        }
    }

    fn told(cost: f64, index: &str) -> Plan {
        Plan { cost, node: format!("Index Scan using {index} on image"), rows: 1.0, indexes: vec![index.to_owned()] }
    }

    #[test]
    fn the_scan_of_the_table_is_named() {
        let plan = json!([{"Plan": {"Node Type": "Limit", "Total Cost": 12.5, "Plan Rows": 1, "Plans": [
            {"Node Type": "Bitmap Heap Scan", "Relation Name": "image", "Total Cost": 12.0, "Plan Rows": 40, "Plans": [
                {"Node Type": "Bitmap Index Scan", "Index Name": "a"}]}]}}]);
        let plan = read_plan(&plan, "image").unwrap();
        assert_eq!((plan.cost, plan.node.as_str(), plan.rows), (12.5, "Bitmap Heap Scan using a on image", 40.0));
        assert_eq!(plan.indexes, ["a"]);
    }

    #[test]
    fn a_table_read_twice_is_judged_by_the_scan() {
        let plan = json!([{"Plan": {"Node Type": "Nested Loop", "Total Cost": 900.0, "Plan Rows": 1, "Plans": [
            {"Node Type": "Index Scan", "Relation Name": "image", "Index Name": "a", "Plan Rows": 1},
            {"Node Type": "Seq Scan", "Relation Name": "image", "Plan Rows": 400}]}}]);
        assert_eq!(read_plan(&plan, "image").unwrap().node, "Seq Scan on image");
    }

    #[test]
    fn a_proof_says_whether_the_index_is_used_and_why_there_is_no_answer() {
        let index = HypotheticalRow { name: "<13>btree_image".into(), bytes: 8_192 };
        let used = proof(&candidate(), "1", Ok(told(100.0, "b")), Some(Ok(told(4.0, "<13>btree_image"))), Some(&index));
        assert!(used.is_used && used.is_answer());
        assert_eq!((used.method.as_str(), used.node_after.as_deref()), ("hypopg", Some("Index Scan using the new index on image")));
        let other = proof(&candidate(), "1", Ok(told(100.0, "b")), Some(Ok(told(90.0, "b"))), Some(&index));
        assert!(!other.is_used);
        let plain = proof(&candidate(), "1", Ok(told(100.0, "b")), None, None);
        assert_eq!((plain.method.as_str(), plain.cost_after), ("generic plan", None));
        let silent = proof(&candidate(), "1", Err(Silence::NotAllowed), None, None);
        assert_eq!((silent.method.as_str(), silent.is_answer(), silent.cost_before), ("not allowed", false, 0.0));
        let late = proof(&candidate(), "1", Ok(told(100.0, "b")), Some(Err(Silence::OutOfTime)), Some(&index));
        assert_eq!((late.method.as_str(), late.is_answer()), ("out of time", false));
    }

    #[test]
    fn statements_are_fetched_once() {
        assert_eq!(asked(&[candidate(), candidate()]), ["1"]);
    }
}
