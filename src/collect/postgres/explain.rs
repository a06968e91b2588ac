//! Asks the planner how it would run a statement with placeholders, for any parameters. Nothing is executed.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::Value;
use sqlx::FromRow;

use super::fold::highest_placeholder;
use super::reader::{Reader, count};
use crate::connect::postgres::{QueryErrorKind, TAG};
use crate::evidence::postgres::quote;
use crate::evidence::{Section, Seen};

/// Statements whose whole texts are fetched.
const TEXTS_MAX: usize = 60;
/// Longer texts are lists of thousands of ids, which take longer to plan than to run; `statement_wholes.sql` says the same.
pub const TEXT_CHARS_MAX: u64 = 20_000;
/// `explain (generic_plan)` came with 16.
const GENERIC_PLAN_SINCE: u32 = 16;
const PREPARED: &str = "medusa_advisor_asked";

#[derive(FromRow)]
struct TextRow {
    id: String,
    chars: i64,
    text: Option<String>,
}

#[derive(FromRow)]
struct PlanRow {
    #[sqlx(rename = "QUERY PLAN")]
    plan: sqlx::types::Json<Value>,
}

/// Why the planner did not answer; `Proof::method` in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Silence {
    TooLong,
    /// The role may not read a table of the statement, or not all its rows.
    NotAllowed,
    /// No plain query, gone from the view, or with parameters of no type the planner can guess.
    NotExplained,
    OutOfTime,
    /// Beyond the number of statements that are asked about.
    TooMany,
}

impl Silence {
    pub fn method(self) -> &'static str {
        match self {
            Silence::TooLong => "too long",
            Silence::NotAllowed => "not allowed",
            Silence::NotExplained => "not explained",
            Silence::OutOfTime => "out of time",
            Silence::TooMany => "too many",
        }
    }

    pub fn words(self) -> &'static str {
        match self {
            Silence::TooLong => "longer than 20,000 characters",
            Silence::NotAllowed => "the role may not read all rows of its tables",
            Silence::NotExplained => "the planner does not take it without its parameters",
            Silence::OutOfTime => "the time for asking was over",
            Silence::TooMany => "only the 60 costliest statements are asked about",
        }
    }
}

/// What the planner is to think of reading a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blocks {
    /// As this server is set.
    AsSet,
    /// Each in memory, wherever it lies: a few times the price of looking at a row, where the settings know only disks.
    InMemory,
    /// The same, and tables are read whole as they are now: cheap blocks alone would make the planner wander through other indexes.
    InMemoryWhole,
}

/// With row level security the planner would plan for the rows that the role may see, of which there may be none: it is to refuse instead.
const ALL_ROWS: &str = "set local row_security = off;\n";
/// The price of a block in memory. A row costs 0.01 and a condition on it 0.0025; a buffer's hit is measured at some five rows' worth.
const IN_MEMORY: &str = "set local seq_page_cost = 0.05; set local random_page_cost = 0.05;\n";
const AS_SET: &str = ";\nset local seq_page_cost to default; set local random_page_cost to default";
const WHOLE: &str = "set local enable_indexscan = off; set local enable_bitmapscan = off; set local enable_indexonlyscan = off;\n";
const NOT_WHOLE: &str = "; set local enable_indexscan to default; set local enable_bitmapscan to default; set local enable_indexonlyscan to default";

/// Asks for plans within a budget of time and number.
pub struct Planner {
    texts: BTreeMap<String, Result<String, Silence>>,
    /// Put in front of each question; empty where Medusa's tables are found without.
    search_path: String,
    started: Instant,
    budget: Duration,
    left: usize,
    asked: u64,
}

impl Planner {
    /// Fetches the whole texts of `ids` at once: each reading of the view reads its file of texts.
    pub async fn new(reader: &mut Reader<'_>, section: Section, view: &str, ids: &[&str], schema: Option<&str>) -> Seen<Self> {
        // Ids are digits with a sign; nothing else is put into the query.
        let wanted: Vec<String> = ids.iter().take(TEXTS_MAX).filter_map(|id| id.parse::<i64>().ok()).map(|id| id.to_string()).collect();
        let rows: Vec<TextRow> = if wanted.is_empty() {
            Vec::new()
        } else {
            let sql = include_str!("sql/statement_wholes.sql").replace("{schema}", view).replace("{ids}", &wanted.join(", "));
            reader.rows(section, &sql).await?
        };
        let search_path = schema
            .filter(|s| *s != "public")
            .map_or_else(String::new, |s| format!("{TAG} set local search_path = {}, public, pg_catalog;\n", quote(s)));
        let beyond = ids.iter().skip(TEXTS_MAX).map(|id| ((*id).to_owned(), Err(Silence::TooMany)));
        Ok(Self {
            texts: rows.into_iter().map(read_text).chain(beyond).collect(),
            search_path,
            started: Instant::now(),
            budget: Duration::ZERO,
            left: 0,
            asked: 0,
        })
    }

    /// Starts a budget.
    pub fn allow(&mut self, budget: Duration, plans: usize) {
        (self.started, self.budget, self.left) = (Instant::now(), budget, plans);
    }

    /// The plan of a statement, its limit set to the rows that a call really returns: an unknown limit counts as a tenth of all rows,
    /// which hides what an index for the order is worth.
    pub async fn plan(&mut self, reader: &mut Reader<'_>, id: &str, rows_a_call: f64, blocks: Blocks) -> Result<Value, Silence> {
        let text = self.texts.get(id).cloned().unwrap_or(Err(Silence::NotExplained))?;
        if self.left == 0 || self.started.elapsed() > self.budget || reader.session.is_lost() {
            return Err(Silence::OutOfTime);
        }
        self.left -= 1;
        self.asked += 1;
        let text = with_limit(&text, rows_a_call.ceil().clamp(1.0, 1e9) as u64);
        self.ask(reader, &text, blocks).await
    }

    async fn ask(&self, reader: &mut Reader<'_>, text: &str, blocks: Blocks) -> Result<Value, Silence> {
        let arguments = highest_placeholder(text) as usize;
        let name = format!("{PREPARED}_{}", self.asked);
        let (prices, restored) = match blocks {
            Blocks::AsSet => (String::new(), String::new()),
            Blocks::InMemory => (IN_MEMORY.to_owned(), AS_SET.to_owned()),
            Blocks::InMemoryWhole => (format!("{IN_MEMORY}{WHOLE}"), format!("{AS_SET}{NOT_WHOLE}")),
        };
        let path = format!("{}{ALL_ROWS}{prices}", self.search_path);
        let is_prepared = reader.major() < GENERIC_PLAN_SINCE && arguments > 0;
        let sql = if is_prepared {
            // Prepared anew for each plan: a generic plan once made is kept, and a hypothetical index does not unsettle it. Ended in the
            // same message, so a transaction pooler never sees the statement outlive the backend it lent.
            let nulls = vec!["null"; arguments].join(", ");
            format!(
                "{path}{TAG} set local plan_cache_mode = force_generic_plan;\n{TAG} prepare {name} as {text}\n;\n\
                 {TAG} explain (format json) execute {name}({nulls});\n{TAG} deallocate {name}{restored}"
            )
        } else if arguments > 0 {
            format!("{path}{TAG} explain (generic_plan, format json) {text}{restored}")
        } else {
            format!("{path}{TAG} explain (format json) {text}{restored}")
        };
        match reader.session.rows::<PlanRow>(&sql).await {
            Ok(rows) => rows.into_iter().next().map(|r| r.plan.0).ok_or(Silence::NotExplained),
            Err(e) => {
                if is_prepared {
                    let _ = reader.session.raw_rows(&format!("{TAG} deallocate {name}")).await;
                }
                Err(if e.kind == QueryErrorKind::Denied { Silence::NotAllowed } else { Silence::NotExplained })
            }
        }
    }
}

fn read_text(row: TextRow) -> (String, Result<String, Silence>) {
    let text = match row.text {
        Some(text) => one_query(&text).map(ToOwned::to_owned).ok_or(Silence::NotExplained),
        None if count(row.chars) > TEXT_CHARS_MAX => Err(Silence::TooLong),
        None => Err(Silence::NotExplained),
    };
    (row.id, text)
}

/// The text where it is one query and nothing beside it: what is put behind `explain` must not hold a second statement, and without a
/// semicolon there is none.
fn one_query(text: &str) -> Option<&str> {
    let text = text.trim().trim_end_matches(';');
    let mut head = text;
    while let Some(rest) = head.strip_prefix("/*").and_then(|r| r.split_once("*/")).map(|(_, r)| r) {
        head = rest.trim_start();
    }
    let head = head.trim_start_matches('(').trim_start();
    let word = &head[..head.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(head.len())];
    let is_query = word.eq_ignore_ascii_case("select") || word.eq_ignore_ascii_case("with");
    (is_query && !text.contains(';')).then_some(text)
}

/// `limit $3` as `limit 20`, `offset $4` as `offset 0`, and the placeholders behind them renumbered: one that is not used has no type.
fn with_limit(text: &str, rows: u64) -> String {
    let lower = text.to_ascii_lowercase();
    let mut gone: Vec<u32> = Vec::new();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(found) = lower[at..].find('$').map(|i| at + i) {
        let digits = lower[found + 1..].bytes().take_while(u8::is_ascii_digit).count();
        let number: Option<u32> = lower[found + 1..found + 1 + digits].parse().ok();
        out.push_str(&text[at..found]);
        at = found + 1 + digits;
        let word = last_word(&lower[..found]);
        match (number, word) {
            (Some(n), "limit") => {
                gone.push(n);
                out.push_str(&rows.to_string());
            }
            (Some(n), "offset") => {
                gone.push(n);
                out.push('0');
            }
            (Some(n), _) => out.push_str(&format!("${n}")),
            (None, _) => out.push_str(&text[found..at]),
        }
    }
    out.push_str(&text[at..]);
    // One that stands elsewhere too keeps its number.
    gone.retain(|n| !holds(&out, *n));
    if gone.is_empty() { out } else { renumbered(&out, &gone) }
}

fn last_word(text: &str) -> &str {
    let text = text.trim_end();
    let start = text.rfind(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '.' || c == '"')).map_or(0, |i| i + 1);
    text.get(start..).unwrap_or("")
}

fn holds(text: &str, number: u32) -> bool {
    text.split('$').skip(1).any(|t| t[..t.bytes().take_while(u8::is_ascii_digit).count()].parse() == Ok(number))
}

fn renumbered(text: &str, gone: &[u32]) -> String {
    let mut out = String::with_capacity(text.len());
    for (i, part) in text.split('$').enumerate() {
        if i == 0 {
            out.push_str(part);
            continue;
        }
        let digits = part.bytes().take_while(u8::is_ascii_digit).count();
        out.push('$');
        match part[..digits].parse::<u32>() {
            Ok(n) => out.push_str(&(n - gone.iter().filter(|g| **g < n).count() as u32).to_string()),
            Err(_) => out.push_str(&part[..digits]),
        }
        out.push_str(&part[digits..]);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_query_is_explained() {
        assert_eq!(one_query(" select * from image where product_id = $1; "), Some("select * from image where product_id = $1"));
        assert!(one_query("/* route */ with a as (select 1) select * from a").is_some());
        assert!(one_query("(select 1) union (select 2)").is_some());
        for text in ["delete from image", "select 1; drop table image", "explain analyze select 1", "analyze select 1", "", "/* x"] {
            assert!(one_query(text).is_none(), "{text}");
        }
    }

    #[test]
    fn limits_become_the_rows_measured() {
        assert_eq!(with_limit("select * from a where b = $1 limit $2 offset $3", 20), "select * from a where b = $1 limit 20 offset 0");
        assert_eq!(
            with_limit("select * from (select 1 from a LIMIT $1) x where b in ($2, $3)", 5),
            "select * from (select 1 from a LIMIT 5) x where b in ($1, $2)"
        );
        assert_eq!(with_limit("select \"limit\" from a where x.limit = $1", 5), "select \"limit\" from a where x.limit = $1");
        assert_eq!(with_limit("select $1 from é limit $1", 5), "select $1 from é limit 5");
        assert_eq!(with_limit("no $", 5), "no $");
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_taken(text in "([a-z ]|limit |offset |\\$[0-9]{0,12}|é|\"|;){0,40}", rows in 0_u64..100) {
            one_query(&text);
            with_limit(&text, rows);
        }
    }
}
