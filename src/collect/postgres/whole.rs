//! Completes the costliest of the statement texts that were cut: what a statement filters by stands at its end.

use std::collections::BTreeMap;

use sqlx::FromRow;

use super::compact::compact;
use super::fold::fold;
use super::literals::mask;
use super::reader::Reader;
use crate::evidence::postgres::Statements;
use crate::evidence::{Section, Seen};

/// Characters of a text that the first reading fetched, and that one has in the evidence.
const CHARS_MAX: usize = 4_000;
/// Texts completed, costliest first: at most 1.2 MB.
const TEXTS_MAX: usize = 40;

#[derive(FromRow)]
struct TailRow {
    id: String,
    /// `None`: longer than 30,000 characters, which only a list of thousands of ids is.
    text: Option<String>,
    head: Option<String>,
    tail: Option<String>,
}

/// Completed texts by id, folded and shortened to what the cut ones may have.
pub async fn complete(reader: &mut Reader<'_>, statements: &Statements, view: &str) -> Seen<BTreeMap<String, String>> {
    // Ids are digits with a sign; nothing else is put into the query.
    let cut = statements.rows.rows.iter().filter(|s| s.text_chars > CHARS_MAX as u64);
    let ids: Vec<String> = cut.filter_map(|s| s.id.parse::<i64>().ok()).take(TEXTS_MAX).map(|id| id.to_string()).collect();
    if ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    let sql = include_str!("sql/statement_tails.sql").replace("{schema}", view).replace("{ids}", &ids.join(", "));
    let rows: Vec<TailRow> = reader.rows(Section::PgStatements, &sql).await?;
    Ok(rows.into_iter().filter_map(|r| Some((r.id.clone(), completed(r)?))).collect())
}

fn completed(row: TailRow) -> Option<String> {
    let text = row.text.or_else(|| joined(&row.head?, &row.tail?))?;
    let short = compact(&mask(&fold(&text)), CHARS_MAX);
    Some(short.chars().take(CHARS_MAX).collect())
}

/// A text whose middle is one list of placeholders: its head, cut in the list, and what follows the list.
fn joined(head: &str, tail: &str) -> Option<String> {
    let end = tail.find(')')?;
    let is_list = tail[..end].chars().all(|c| c.is_ascii_digit() || matches!(c, '$' | ',' | ' '));
    (is_list && fold(head).ends_with('…')).then(|| format!("{head}{}", &tail[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn head_and_tail_of_a_long_list_meet() {
        let list: Vec<String> = (1..=20_000).map(|n| format!("${n}")).collect();
        let text = format!(
            "select \"p0\".\"id\" from \"product\" as \"p0\" where \"p0\".\"id\" in ({}) and \"p0\".\"deleted_at\" is null limit $20001",
            list.join(", ")
        );
        let (head, tail) = (&text[..4_000], &text[text.len() - 4_000..]);
        let row = TailRow { id: "1".into(), text: None, head: Some(head.into()), tail: Some(tail.into()) };
        assert_eq!(
            completed(row).as_deref(),
            Some("select \"p0\".\"id\" from \"product\" as \"p0\" where \"p0\".\"id\" in ($1, …) and \"p0\".\"deleted_at\" is null limit $2")
        );
    }

    #[test]
    fn other_gaps_are_not_closed() {
        assert!(joined("select a, b", "c from d where e in ($1)").is_none());
        assert!(joined("select a from b where c in ($1, $2", "x and $1) limit 1").is_none());
        let long = format!(
            "select {} from \"cart\" where \"cart\".\"id\" = $1",
            (0..400).map(|n| format!("\"cart\".\"column_{n}\"")).collect::<Vec<_>>().join(", ")
        );
        let row = TailRow { id: "1".into(), text: Some(long), head: None, tail: None };
        assert_eq!(completed(row).as_deref(), Some("select \"cart\".\"column_0\", … from \"cart\" where \"cart\".\"id\" = $1"));
    }
}
