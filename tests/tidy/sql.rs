//! Queries sent to audited databases: one statement a file, tagged, reading only.

use super::Violation;
use super::source::words;

const TAG: &str = "/* medusa-advisor */";

/// Words that change something or wait for somebody. They are looked for as whole words outside comments and strings.
const WRITING: &[&str] = &[
    "insert",
    "update",
    "delete",
    "merge",
    "truncate",
    "create",
    "drop",
    "alter",
    "grant",
    "revoke",
    "vacuum",
    "analyze",
    "reindex",
    "cluster",
    "lock",
    "copy",
    "call",
    "do",
    "listen",
    "notify",
    "pg_terminate_backend",
    "pg_cancel_backend",
    "pg_stat_reset",
    "pg_stat_statements_reset",
    "pg_sleep",
];

/// Our own statements are excluded from what is judged by this tag.
pub fn tagged(path: &str, text: &str) -> Vec<Violation> {
    if text.contains(TAG) {
        return Vec::new();
    }
    vec![Violation::new(path, 0, format!("the query lacks its tag {TAG}"))]
}

pub fn one_statement(path: &str, text: &str) -> Vec<Violation> {
    let code = sql_code(text);
    let end = code.trim_end().trim_end_matches(';');
    match end.find(';') {
        None => Vec::new(),
        Some(at) => vec![Violation::new(path, line(&code, at), "one query a file")],
    }
}

pub fn only_reads(path: &str, text: &str) -> Vec<Violation> {
    let code = sql_code(text).to_lowercase();
    let mut found = Vec::new();
    let first = code.split_whitespace().next().unwrap_or("");
    if !["select", "with", "show"].contains(&first) {
        found.push(Violation::new(path, 1, format!("a query reads: it starts with select, with or show, not {first:?}")));
    }
    for word in WRITING {
        for at in words(&code, word) {
            found.push(Violation::new(path, line(&code, at), format!("{word} changes something: an audit only reads")));
        }
    }
    found
}

fn line(code: &str, at: usize) -> usize {
    code[..at].matches('\n').count() + 1
}

/// The text with comments, strings and quoted names blanked.
fn sql_code(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let length = blank_length(rest, c);
        if length == 0 {
            out.push(c);
            rest = &rest[c.len_utf8()..];
            continue;
        }
        out.extend(rest[..length].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        rest = &rest[length..];
    }
    out
}

fn blank_length(rest: &str, first: char) -> usize {
    let through = |from: usize, mark: &str| rest[from..].find(mark).map_or(rest.len(), |i| from + i + mark.len());
    match first {
        '-' if rest.starts_with("--") => rest.find('\n').unwrap_or(rest.len()),
        '/' if rest.starts_with("/*") => through(2, "*/"),
        '\'' => through(1, "'"),
        '"' => through(1, "\""),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "-- since: 15\n/* medusa-advisor */ select last_analyze, 'drop' as \"delete\" -- update\nfrom t order by 1;\n";

    #[test]
    fn a_tagged_reading_query_is_right() {
        assert_eq!([tagged("a.sql", GOOD), one_statement("a.sql", GOOD), only_reads("a.sql", GOOD)].concat(), vec![]);
    }

    #[test]
    fn a_missing_tag_a_second_statement_and_a_write_are_named() {
        assert_eq!(tagged("a.sql", "select 1").len(), 1);
        assert_eq!(one_statement("a.sql", "select 1;\nselect 2;")[0].line, 1);
        assert_eq!(only_reads("a.sql", "with a as (\ndelete from t returning 1) select 1")[0].line, 2);
        assert_eq!(only_reads("a.sql", "set statement_timeout = 0").len(), 1);
        assert_eq!(only_reads("a.sql", "select pg_catalog.pg_terminate_backend(1)").len(), 1);
    }
}
