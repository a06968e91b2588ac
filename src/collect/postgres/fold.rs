//! Folds statement texts that differ only in the length of a list, so that one query is one row.
//!
//! Before Postgres 18 the view keeps one row for every number of elements in `in ($1, $2, …)`: a query sent with 300 different
//! list lengths is 300 cheap rows instead of one costly one.

/// `text` with `in`-lists, arrays and repeated `values` rows folded and the placeholders renumbered in the order of appearance.
pub fn fold(text: &str) -> String {
    let mut folder = Folder { rest: text, out: String::with_capacity(text.len().min(4_096)), next: 1 };
    while !folder.rest.is_empty() {
        folder.step();
    }
    folder.out
}

/// The highest `$n` in `text`.
pub fn highest_placeholder(text: &str) -> u32 {
    text.split('$').skip(1).filter_map(|t| t[..digits(t)].parse().ok()).max().unwrap_or(0)
}

struct Folder<'a> {
    rest: &'a str,
    out: String,
    next: u32,
}

impl Folder<'_> {
    fn step(&mut self) {
        let c = self.rest.chars().next().expect("the caller checks that something is left");
        match c {
            '\'' | '"' => self.copy(quoted(self.rest, c)),
            '$' if digits(&self.rest[1..]) > 0 => {
                let length = 1 + digits(&self.rest[1..]);
                self.placeholder();
                self.rest = &self.rest[length..];
            }
            '(' | '[' if self.follows_list_word() => self.list(c),
            _ if c.is_alphanumeric() || c == '_' => self.copy(word(self.rest)),
            _ => self.copy(c.len_utf8()),
        }
    }

    fn copy(&mut self, length: usize) {
        let (head, tail) = self.rest.split_at(length);
        self.out.push_str(head);
        self.rest = tail;
    }

    fn placeholder(&mut self) {
        self.out.push('$');
        self.out.push_str(&self.next.to_string());
        self.next += 1;
    }

    fn follows_list_word(&self) -> bool {
        let before = self.out.trim_end();
        ["in", "array", "values"].iter().any(|w| ends_with_word(before, w))
    }

    /// At the bracket of a list: one that holds only placeholders becomes `($1, …)`; after `values` the further rows are dropped.
    fn list(&mut self, open: char) {
        let is_values = ends_with_word(self.out.trim_end(), "values");
        match placeholders_only(self.rest) {
            Some(length) if !is_values => {
                let is_closed = self.rest[..length].ends_with([')', ']']);
                self.out.push(open);
                self.placeholder();
                self.out.push_str(", …");
                if is_closed {
                    self.out.push(if open == '(' { ')' } else { ']' });
                }
                self.rest = &self.rest[length..];
            }
            _ if is_values => self.values(),
            _ => self.copy(1),
        }
    }

    fn values(&mut self) {
        let first = group(self.rest);
        let inner = fold_inner(&self.rest[..first], &mut self.next);
        self.out.push_str(&inner);
        self.rest = &self.rest[first..];
        let mut dropped = false;
        loop {
            let after = self.rest.trim_start();
            let Some(after) = after.strip_prefix(',').map(str::trim_start).filter(|a| a.is_empty() || a.starts_with('(')) else {
                break;
            };
            dropped = true;
            self.rest = &after[group(after)..];
        }
        if dropped {
            self.out.push_str(", …");
        }
    }
}

/// One row of `values`, its placeholders renumbered.
fn fold_inner(text: &str, next: &mut u32) -> String {
    let mut inner = Folder { rest: text, out: String::new(), next: *next };
    inner.copy(1.min(text.len()));
    while !inner.rest.is_empty() {
        inner.step();
    }
    *next = inner.next;
    inner.out
}

/// Length of the bracketed list at the start of `text` if it holds nothing but placeholders, casts and commas. A list that the cut
/// text does not close counts up to the end.
fn placeholders_only(text: &str) -> Option<usize> {
    let close = if text.starts_with('(') { ')' } else { ']' };
    let mut seen = false;
    for (i, c) in text.char_indices().skip(1) {
        match c {
            _ if c == close => return seen.then_some(i + 1),
            '$' => seen = true,
            // Postgres 18 folds by itself: `$1 /*, ... */`.
            ',' | ':' | '/' | '*' | '.' | '_' => {}
            c if c.is_whitespace() || c.is_ascii_digit() => {}
            // A cast's type.
            c if c.is_ascii_alphabetic() && text[..i].trim_end_matches(|c: char| c.is_ascii_alphanumeric() || c == '_').ends_with("::") => {}
            _ => return None,
        }
    }
    seen.then_some(text.len())
}

/// Length of the bracketed group at the start of `text`, or of all of it when it is not closed.
fn group(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut i = 0;
    while let Some(c) = text[i..].chars().next() {
        match c {
            '\'' | '"' => {
                i += quoted(&text[i..], c);
                continue;
            }
            '(' => depth += 1,
            ')' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return i + 1;
                }
            }
            _ => {}
        }
        i += c.len_utf8();
    }
    text.len()
}

/// Length of the quoted part at the start of `text`; a doubled quote is simply two parts.
fn quoted(text: &str, quote: char) -> usize {
    text[1..].find(quote).map_or(text.len(), |n| n + 2)
}

fn word(text: &str) -> usize {
    text.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(text.len())
}

fn digits(text: &str) -> usize {
    text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len())
}

fn ends_with_word(text: &str, word: &str) -> bool {
    let Some(at) = text.len().checked_sub(word.len()).filter(|at| text.is_char_boundary(*at)) else {
        return false;
    };
    let before = text[..at].chars().next_back();
    text[at..].eq_ignore_ascii_case(word) && !before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | '"' | '.'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lists_of_any_length_are_one_text() {
        let one = fold("select * from image where product_id in ($1) and deleted_at is null limit $2");
        assert_eq!(one, "select * from image where product_id in ($1, …) and deleted_at is null limit $2");
        assert_eq!(fold("select * from image where product_id in ($1, $2, $3) and deleted_at is null limit $4"), one);
        assert_eq!(fold("select * from image where product_id in ($1 /*, ... */) and deleted_at is null limit $2"), one);
        assert_eq!(fold("x IN ($1::text,$2::text)"), "x IN ($1, …)");
        assert_eq!(fold("= any(array[$1,$2])"), "= any(array[$1, …])");
    }

    #[test]
    fn rows_of_values_are_one_text() {
        let text = "insert into a (b, c) values ($1, lower($2)), ($3, lower($4)) on conflict (b) do update set c = $5";
        assert_eq!(fold(text), "insert into a (b, c) values ($1, lower($2)), … on conflict (b) do update set c = $3");
        assert_eq!(fold("insert into a values ($1, $2)"), "insert into a values ($1, $2)");
    }

    #[test]
    fn what_is_no_list_stays() {
        for text in ["select f($1, $2)", "select 1 where x in (select y from z)", "select 'in ($1, $2)'", "select \"in\" ($1, $2)", "x.in ($1, $2)"] {
            assert_eq!(fold(text), text);
        }
    }

    #[test]
    fn a_cut_list_is_folded_too() {
        assert_eq!(fold("id in ($1, $2, $3"), "id in ($1, …");
        assert_eq!(fold("values ($1, $2), ($3"), "values ($1, $2), …");
    }

    #[test]
    fn the_highest_placeholder_is_found() {
        assert_eq!(highest_placeholder("a = $1 and b = $12 or c = $"), 12);
        assert_eq!(highest_placeholder("no"), 0);
    }

    proptest! {
        #[test]
        fn any_text_is_taken_and_folding_twice_changes_nothing(text in "[a-z'\"$0-9(),\\[\\] é]{0,60}|( in |values|array|\\(|\\[|\\$1|,|\\)|'| ){0,30}") {
            let once = fold(&text);
            highest_placeholder(&text);
            prop_assert_eq!(fold(&once).matches('$').count(), once.matches('$').count());
        }
    }
}
