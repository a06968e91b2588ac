//! Breaks a statement of one line at its clauses, for reading; what is copied stays as it was.

/// Words that begin a line, longest first where one begins another.
const CLAUSES: [&str; 24] = [
    "left outer join",
    "right outer join",
    "full outer join",
    "left join",
    "right join",
    "inner join",
    "full join",
    "cross join",
    "join",
    "from",
    "where",
    "group by",
    "order by",
    "having",
    "limit",
    "offset",
    "union all",
    "union",
    "values",
    "returning",
    "on conflict",
    "for update",
    "set",
    "window",
];
/// Words that begin an indented line.
const CONDITIONS: [&str; 2] = ["and", "or"];
/// A list longer than this goes on in the next line.
const LINE_CHARS: usize = 96;

/// The statement with a line for each clause; one that has lines of its own is left as it is.
pub fn sql_lines(sql: &str) -> String {
    if sql.trim().contains('\n') {
        return sql.to_owned();
    }
    let mut out = String::with_capacity(sql.len() + 64);
    let (mut rest, mut depth, mut since_break) = (sql.trim(), 0_usize, 0_usize);
    // "between a and b", "distinct from" and "delete from" are one piece.
    let (mut last_word, mut in_between) = ("", false);
    while let Some(first) = rest.chars().next() {
        let at_word = first.is_ascii_alphabetic() || first == '_';
        let taken = if first == '\'' || first == '"' {
            quoted(rest, first)
        } else if at_word {
            rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$')).unwrap_or(rest.len())
        } else {
            first.len_utf8()
        };
        let mut piece = &rest[..taken];
        if at_word && depth == 0 && !out.is_empty() {
            let is_joined = last_word.eq_ignore_ascii_case("distinct") || last_word.eq_ignore_ascii_case("delete") || out.ends_with('.');
            let condition = starts_with_any(rest, &CONDITIONS).filter(|_| !in_between);
            match (starts_with_any(rest, &CLAUSES).filter(|_| !is_joined), condition) {
                (Some(clause), _) => {
                    new_line(&mut out, "");
                    piece = &rest[..clause];
                    since_break = 0;
                }
                (None, Some(_)) => {
                    new_line(&mut out, "  ");
                    since_break = 2;
                }
                _ => {}
            }
            in_between = piece.eq_ignore_ascii_case("between") || (in_between && !piece.eq_ignore_ascii_case("and"));
        }
        match first {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if at_word {
            last_word = piece;
        }
        out.push_str(piece);
        since_break += piece.chars().count();
        rest = &rest[piece.len()..];
        if first == ',' && since_break > LINE_CHARS && rest.starts_with(' ') {
            new_line(&mut out, "  ");
            rest = rest.trim_start();
            since_break = 2;
        }
    }
    out
}

fn new_line(out: &mut String, indent: &str) {
    out.truncate(out.trim_end().len());
    out.push('\n');
    out.push_str(indent);
}

/// Bytes of a quoted text with its quotes; a doubled quote stands for itself.
fn quoted(text: &str, quote: char) -> usize {
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((i, c)) = chars.next() {
        if c == quote && chars.next_if(|next| next.1 == quote).is_none() {
            return i + 1;
        }
    }
    text.len()
}

/// Bytes of the first of `phrases` that `text` starts with, as whole words.
fn starts_with_any(text: &str, phrases: &[&str]) -> Option<usize> {
    let is_end = |n: usize| text[n..].chars().next().is_none_or(|c| !(c.is_alphanumeric() || c == '_' || c == '.'));
    phrases.iter().map(|p| (p, p.len())).find(|(p, n)| text.get(..*n).is_some_and(|t| t.eq_ignore_ascii_case(p)) && is_end(*n)).map(|p| p.1)
}

#[cfg(test)]
mod tests {
    use super::sql_lines;

    #[test]
    fn clauses_begin_lines_and_conditions_are_indented() {
        let sql = r#"select "i0".* from "image" as "i0" left join "product" p on p.id = i0.product_id where "i0"."product_id" = $1 and x between $2 and $3 order by "rank" asc limit $4"#;
        let wanted = "select \"i0\".*\nfrom \"image\" as \"i0\"\nleft join \"product\" p on p.id = i0.product_id\nwhere \"i0\".\"product_id\" = $1\n  and x between $2 and $3\norder by \"rank\" asc\nlimit $4";
        assert_eq!(sql_lines(sql), wanted);
    }

    #[test]
    fn what_is_quoted_or_in_brackets_stays_together() {
        let sql = "select 'it''s from where' from t where id in (select id from u where a and b)";
        assert_eq!(sql_lines(sql), "select 'it''s from where'\nfrom t\nwhere id in (select id from u where a and b)");
        assert_eq!(sql_lines("delete from cart where a is distinct from b"), "delete from cart\nwhere a is distinct from b");
        assert_eq!(sql_lines("select t.from, \"or\""), "select t.from, \"or\"");
    }

    #[test]
    fn lines_that_are_there_stay_and_any_text_passes() {
        assert_eq!(sql_lines("select 1\nfrom t"), "select 1\nfrom t");
        for odd in ["", "'", "\"a", "))((", "é from ü", "select 'ä from"] {
            assert_eq!(sql_lines(odd).replace('\n', " ").split_whitespace().collect::<String>(), odd.split_whitespace().collect::<String>());
        }
    }

    #[test]
    fn long_lists_go_on_in_the_next_line() {
        let list: Vec<String> = (0..40).map(|i| format!("\"p0\".\"column_{i}\"")).collect();
        let sql = format!("select {} from t", list.join(", "));
        assert!(sql_lines(&sql).lines().all(|l| l.len() < 130));
    }
}
