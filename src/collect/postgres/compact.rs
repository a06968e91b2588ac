//! Shortens the select lists of long texts. An object mapper lists every column of every table it joins, thousands of characters, and
//! what a statement filters by stands behind them, where a cut text has lost it.

/// A list of fewer columns is left as it is.
const ITEMS_MIN: usize = 8;
/// Select lists shortened in one text.
const LISTS_MAX: usize = 12;

/// `text` with its plain select lists cut to `select "a"."b", … from`, until it has at most `chars` characters. Columns whose alias the
/// rest of the text names stay, and so does everything that is no plain column.
pub fn compact(text: &str, chars: usize) -> String {
    let mut out = text.to_owned();
    let mut from = 0;
    for _ in 0..LISTS_MAX {
        if out.chars().count() <= chars {
            break;
        }
        let Some((start, end)) = next_list(&out, from) else { break };
        let short = shortened(&out[start..end], &out[end..]);
        from = start + short.len();
        out.replace_range(start..end, &short);
    }
    out
}

/// The next select list at or behind `from`: where it begins and where its `from` stands.
fn next_list(text: &str, from: usize) -> Option<(usize, usize)> {
    let mut at = from;
    loop {
        let start = word(text, "select", at)? + "select".len();
        // A list without its `from` is the text's end, or of a `select` without a table.
        let end = closing_from(text, start);
        match end {
            Some(end) => return Some((start, end)),
            None => at = start,
        }
    }
}

/// Where the word next stands outside quotes.
fn word(text: &str, wanted: &str, from: usize) -> Option<usize> {
    let mut at = from;
    while at < text.len() {
        match step(text, at) {
            (Piece::Word, next) if text[at..next].eq_ignore_ascii_case(wanted) => return Some(at),
            (_, next) => at = next,
        }
    }
    None
}

/// The `from` of the list that begins at `start`, on the same level of parentheses.
fn closing_from(text: &str, start: usize) -> Option<usize> {
    let (mut at, mut depth) = (start, 0_usize);
    while at < text.len() {
        let (piece, next) = step(text, at);
        match piece {
            Piece::Open => depth += 1,
            Piece::Close if depth == 0 => return None,
            Piece::Close => depth -= 1,
            Piece::Word if depth == 0 && text[at..next].eq_ignore_ascii_case("from") => return Some(at),
            _ => {}
        }
        at = next;
    }
    None
}

#[derive(PartialEq)]
enum Piece {
    Word,
    Quoted,
    Open,
    Close,
    Comma,
    Other,
}

/// The piece at `at` and where the next begins.
fn step(text: &str, at: usize) -> (Piece, usize) {
    let rest = &text[at..];
    let Some(c) = rest.chars().next() else { return (Piece::Other, text.len()) };
    match c {
        '"' | '\'' => (Piece::Quoted, at + rest[1..].find(c).map_or(rest.len(), |i| i + 2)),
        '(' => (Piece::Open, at + 1),
        ')' => (Piece::Close, at + 1),
        ',' => (Piece::Comma, at + 1),
        c if c.is_alphanumeric() || c == '_' => (Piece::Word, at + rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len())),
        c => (Piece::Other, at + c.len_utf8()),
    }
}

fn shortened(list: &str, rest: &str) -> String {
    let items = items(list);
    if items.len() < ITEMS_MIN {
        return list.to_owned();
    }
    let is_kept = |item: &&&str| !is_plain(item) || alias(item).is_some_and(|a| rest.contains(a));
    let mut kept: Vec<&str> = vec![items[0].trim()];
    kept.extend(items[1..].iter().filter(is_kept).map(|i| i.trim()));
    if kept.len() == items.len() {
        return list.to_owned();
    }
    format!(" {}, … ", kept.join(", "))
}

fn items(list: &str) -> Vec<&str> {
    let (mut items, mut at, mut start, mut depth) = (Vec::new(), 0, 0, 0_usize);
    while at < list.len() {
        let (piece, next) = step(list, at);
        match piece {
            Piece::Open => depth += 1,
            Piece::Close => depth = depth.saturating_sub(1),
            Piece::Comma if depth == 0 => {
                items.push(&list[start..at]);
                start = next;
            }
            _ => {}
        }
        at = next;
    }
    items.push(&list[start..]);
    items
}

/// `"a"."b" as "c"`: names and dots alone.
fn is_plain(item: &str) -> bool {
    let mut at = 0;
    while at < item.len() {
        let (piece, next) = step(item, at);
        let is_name =
            matches!(piece, Piece::Word | Piece::Quoted) || item[at..next].trim().is_empty() || &item[at..next] == "." || &item[at..next] == "*";
        if !is_name || item[at..].starts_with('\'') {
            return false;
        }
        at = next;
    }
    !item.to_ascii_lowercase().trim_start().starts_with("distinct")
}

/// The quoted name at the end.
fn alias(item: &str) -> Option<&str> {
    let item = item.trim_end().strip_suffix('"')?;
    let start = item.rfind('"')?;
    Some(&item[start + 1..])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn columns(n: usize) -> String {
        (0..n).map(|i| format!("\"cart\".\"c{i}\" AS \"cart_c{i}\"")).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn long_lists_keep_what_the_rest_names() {
        let text = format!("SELECT {}, count($1) AS \"n\" FROM \"cart\" WHERE \"cart\".\"id\" = $2 ORDER BY \"cart_c7\" DESC", columns(20));
        let short = compact(&text, 200);
        assert_eq!(
            short,
            "SELECT \"cart\".\"c0\" AS \"cart_c0\", \"cart\".\"c7\" AS \"cart_c7\", count($1) AS \"n\", … FROM \"cart\" WHERE \"cart\".\"id\" = $2 ORDER BY \"cart_c7\" DESC"
        );
        assert_eq!(compact(&text, 4_000), text);
    }

    #[test]
    fn inner_lists_are_shortened_too() {
        let text = format!("SELECT DISTINCT \"d\".\"x\" FROM (SELECT {} FROM \"cart\" WHERE a = $1) \"d\"", columns(20));
        assert_eq!(
            compact(&text, 100),
            "SELECT DISTINCT \"d\".\"x\" FROM (SELECT \"cart\".\"c0\" AS \"cart_c0\", … FROM \"cart\" WHERE a = $1) \"d\""
        );
        let short = format!("select {} from a", columns(ITEMS_MIN - 1));
        assert_eq!(compact(&short, 10), short);
    }

    proptest! {
        #[test]
        fn any_text_is_taken(text in "(select |from |\\(|\\)|,|\"|'|a|é| |\\$1|distinct ){0,80}", chars in 0_usize..60) {
            compact(&text, chars);
        }
    }
}
