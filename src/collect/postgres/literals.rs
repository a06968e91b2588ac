//! Takes values out of statement texts. `pg_stat_statements` normalises queries, but keeps utility statements and their literals as they
//! were typed: `create role … password '…'`, bodies of `do`, `prepare`.

/// What stands in place of a literal's or comment's contents.
const MASK: &str = "…";

/// The text without the contents of string literals, dollar-quoted bodies and comments. Quoted identifiers stay. Takes any text; what is
/// not closed (texts are cut) is masked to its end.
pub fn mask(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let taken = match c {
            '\'' => literal(rest, escapes_before(&out), &mut out),
            '"' => identifier(rest, &mut out),
            '$' => dollar_quoted(rest, &mut out),
            '-' if rest.starts_with("--") => skip_to(rest, "\n"),
            '/' if rest.starts_with("/*") => skip_to(rest, "*/"),
            _ => {
                out.push(c);
                c.len_utf8()
            }
        };
        rest = &rest[taken..];
    }
    out
}

/// `E'…'` literals know the backslash.
fn escapes_before(out: &str) -> bool {
    out.ends_with(['e', 'E']) && !out[..out.len() - 1].ends_with(|c: char| c.is_alphanumeric() || c == '_')
}

fn literal(rest: &str, has_escapes: bool, out: &mut String) -> usize {
    out.push('\'');
    let mut chars = rest.char_indices().skip(1).peekable();
    let mut is_empty = true;
    while let Some((i, c)) = chars.next() {
        match c {
            '\\' if has_escapes => {
                chars.next();
                is_empty = false;
            }
            '\'' if chars.peek().is_some_and(|(_, next)| *next == '\'') => {
                chars.next();
                is_empty = false;
            }
            '\'' => {
                out.push_str(if is_empty { "'" } else { "…'" });
                return i + 1;
            }
            _ => is_empty = false,
        }
    }
    out.push_str(MASK);
    rest.len()
}

fn identifier(rest: &str, out: &mut String) -> usize {
    let end = rest[1..].find('"').map_or(rest.len(), |i| i + 2);
    out.push_str(&rest[..end]);
    end
}

/// `$tag$ body $tag$`; `$1` is a placeholder and stays.
fn dollar_quoted(rest: &str, out: &mut String) -> usize {
    let tag_end = rest[1..].find(|c: char| !(c.is_alphanumeric() || c == '_')).map(|i| i + 1);
    let is_tag = tag_end.is_some_and(|i| rest[i..].starts_with('$')) && !rest[1..].starts_with(|c: char| c.is_ascii_digit());
    let Some(end) = tag_end.filter(|_| is_tag).map(|i| i + 1) else {
        out.push('$');
        return 1;
    };
    let tag = &rest[..end];
    out.push_str(tag);
    out.push_str(MASK);
    match rest[end..].find(tag) {
        Some(i) => {
            out.push_str(tag);
            end + i + tag.len()
        }
        None => rest.len(),
    }
}

fn skip_to(rest: &str, end: &str) -> usize {
    rest[2..].find(end).map_or(rest.len(), |i| 2 + i + end.len())
}

#[cfg(test)]
mod tests {
    use super::mask;
    use proptest::prelude::*;

    #[test]
    fn literals_lose_their_contents() {
        assert_eq!(mask("create role a login password 'hunter2'"), "create role a login password '…'");
        assert_eq!(mask("select 'it''s', E'a\\'b', '' from \"t'x\" where a = $1"), "select '…', E'…', '' from \"t'x\" where a = $1");
        assert_eq!(mask("do $$ begin perform 'x'; end $$"), "do $$…$$");
        assert_eq!(mask("do $body$ x $body$ language sql"), "do $body$…$body$ language sql");
        assert_eq!(mask("select 1 -- for bob@example.com\nfrom t /* bob */"), "select 1 from t ");
        assert_eq!(mask("alter role a password 'hun"), "alter role a password '…");
        assert_eq!(mask("select $1, $2"), "select $1, $2");
    }

    proptest! {
        #[test]
        fn no_value_between_quotes_survives(head in "[a-z =,$0-9\"]{0,20}", value in "[A-Z]{4,12}", tail in "[a-z ]{0,10}") {
            prop_assume!(head.matches('"').count() % 2 == 0 && !head.ends_with('e') && !head.contains('$'));
            let masked = mask(&format!("{head}'{value}'{tail}"));
            prop_assert!(!masked.contains(&value), "{masked}");
        }

        #[test]
        fn any_text_is_taken(text in ".{0,200}") {
            let _ = mask(&text);
        }
    }
}
