//! Reads what a cut or unusual text still shows: tables with their aliases, and conditions whose both sides are whole.

use super::sql::{JoinOn, TableUse};

/// Tokens read of one text: enough for 4,000 characters, a bound for anything longer.
const TOKENS_MAX: usize = 4_000;

#[derive(Debug, Clone, PartialEq)]
enum Token {
    /// An unquoted word, in lower case.
    Word(String),
    Quoted(String),
    /// A placeholder, number or string.
    Value,
    Sign(char),
}

impl Token {
    fn is(&self, word: &str) -> bool {
        matches!(self, Token::Word(w) if w == word)
    }

    fn name(&self) -> Option<&str> {
        match self {
            Token::Quoted(name) => Some(name),
            Token::Word(word) if !KEYWORDS.contains(&word.as_str()) => Some(word),
            _ => None,
        }
    }
}

const KEYWORDS: [&str; 34] = [
    "select", "from", "where", "join", "left", "right", "inner", "outer", "full", "cross", "on", "and", "or", "not", "in", "is", "null", "order",
    "by", "group", "having", "limit", "offset", "as", "set", "using", "union", "any", "between", "like", "ilike", "lateral", "for", "values",
];

pub(super) fn tables(text: &str) -> Vec<TableUse> {
    let tokens = tokens(text);
    let mut uses = mentions(&tokens);
    let has_or = tokens.iter().any(|t| t.is("or"));
    // Without the grammar the reach of an `or` is not known, so no condition of such a text is believed.
    for at in 0..tokens.len() {
        condition(&tokens, at, has_or, &mut uses);
    }
    uses
}

/// Tables behind `from`, `join`, `update` and `into`, each alias once: an alias that stands for two tables stands for neither.
fn mentions(tokens: &[Token]) -> Vec<TableUse> {
    let mut uses: Vec<TableUse> = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        let is_target = token.is("update") || token.is("into");
        if !(is_target || token.is("from") || token.is("join")) {
            continue;
        }
        let mut next = at + 1;
        if tokens.get(next).is_some_and(|t| t.is("only")) {
            next += 1;
        }
        let Some(first) = tokens.get(next).and_then(Token::name) else { continue };
        let (schema, table, after) = match (tokens.get(next + 1), tokens.get(next + 2).and_then(Token::name)) {
            (Some(Token::Sign('.')), Some(second)) => (Some(first.to_owned()), second.to_owned(), next + 3),
            // `from a.` at the cut: the name is not whole.
            (Some(Token::Sign('.') | Token::Sign('(')), _) => continue,
            _ => (None, first.to_owned(), next + 1),
        };
        let alias_at = if tokens.get(after).is_some_and(|t| t.is("as")) { after + 1 } else { after };
        let alias = tokens.get(alias_at).and_then(Token::name).unwrap_or(&table).to_owned();
        if uses.iter().any(|u| u.alias == alias && u.table == table) {
            continue;
        }
        let is_first = uses.is_empty();
        uses.push(TableUse { schema, table, alias, is_target, is_first, ..TableUse::default() });
    }
    let unclear: Vec<String> = uses.iter().filter(|u| uses.iter().filter(|o| o.alias == u.alias).count() > 1).map(|u| u.alias.clone()).collect();
    uses.retain(|u| !unclear.contains(&u.alias));
    uses
}

/// `alias.column = $1`, `alias.column in (`, `alias.column is null`, `a.b = c.d`, `alias.column > $1` at `at`.
fn condition(tokens: &[Token], at: usize, has_or: bool, uses: &mut [TableUse]) {
    let Some((of, column, next)) = column(tokens, at, uses) else { return };
    let before = at.checked_sub(1).and_then(|i| tokens.get(i));
    // Only what follows `where`, `and`, `on` or an opening parenthesis begins a condition.
    if !before.is_some_and(|t| t.is("where") || t.is("and") || t.is("on") || *t == Token::Sign('(')) {
        return;
    }
    let tail = &tokens[next..];
    let used = &mut uses[of];
    match tail {
        [Token::Sign('='), Token::Value, end, ..] if ends(end) => note(if has_or { &mut used.unusable } else { &mut used.equal }, &column),
        [Token::Sign('='), any, Token::Sign('('), ..] if any.is("any") => batched(used, &column, has_or),
        [inside, Token::Sign('('), ..] if inside.is("in") => batched(used, &column, has_or),
        [is, null, end, ..] if is.is("is") && null.is("null") && ends(end) && !has_or => note(&mut used.is_null, &column),
        [is, not, null, ..] if is.is("is") && not.is("not") && null.is("null") && !has_or => note(&mut used.is_not_null, &column),
        [Token::Sign('<' | '>'), ..] => note(if has_or { &mut used.unusable } else { &mut used.range }, &column),
        [between, ..] if between.is("between") => note(if has_or { &mut used.unusable } else { &mut used.range }, &column),
        [like, ..] if like.is("like") || like.is("ilike") => note(&mut used.like, &column),
        [Token::Sign('='), ..] => join(tokens, next + 1, of, &column, uses),
        _ => {}
    }
}

fn batched(used: &mut TableUse, column: &str, has_or: bool) {
    if has_or {
        note(&mut used.unusable, column);
    } else {
        note(&mut used.equal, column);
        note(&mut used.batched, column);
    }
}

fn join(tokens: &[Token], at: usize, of: usize, column_here: &str, uses: &mut [TableUse]) {
    let Some((other, column_there, next)) = column(tokens, at, uses) else { return };
    // A column at the very end of the text may be cut.
    if other == of || next >= tokens.len() {
        return;
    }
    for (one, here, two, there) in [(of, column_here, other, column_there.as_str()), (other, column_there.as_str(), of, column_here)] {
        let (other_alias, other_table) = (uses[two].alias.clone(), Some(uses[two].table.clone()));
        uses[one].joins.push(JoinOn { column: here.to_owned(), other_alias, other_table, other_column: there.to_owned() });
    }
}

/// The table column that begins at `at`, and where what follows it begins.
fn column(tokens: &[Token], at: usize, uses: &[TableUse]) -> Option<(usize, String, usize)> {
    let first = tokens.get(at)?.name()?;
    if let (Some(Token::Sign('.')), Some(second)) = (tokens.get(at + 1), tokens.get(at + 2).and_then(Token::name)) {
        let of = uses.iter().position(|u| u.alias == first)?;
        return Some((of, second.to_owned(), at + 3));
    }
    (uses.len() == 1 && tokens.get(at + 1) != Some(&Token::Sign('.'))).then(|| (0, first.to_owned(), at + 1))
}

/// A token that cannot continue a value.
fn ends(token: &Token) -> bool {
    match token {
        Token::Word(w) => KEYWORDS.contains(&w.as_str()),
        Token::Sign(c) => *c == ')',
        _ => false,
    }
}

fn note(list: &mut Vec<String>, column: &str) {
    if !list.iter().any(|c| c == column) {
        list.push(column.to_owned());
    }
}

fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if tokens.len() >= TOKENS_MAX {
            break;
        }
        let used = match c {
            c if c.is_whitespace() => c.len_utf8(),
            '"' => quoted(rest, &mut tokens),
            '\'' => closing(rest, '\'').map_or(rest.len(), |end| {
                tokens.push(Token::Value);
                end
            }),
            '$' | '0'..='9' => {
                tokens.push(Token::Value);
                rest.char_indices().skip(1).find(|(_, c)| !(c.is_ascii_digit() || *c == '.')).map_or(rest.len(), |(i, _)| i)
            }
            c if c.is_alphabetic() || c == '_' => {
                let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
                tokens.push(Token::Word(rest[..end].to_lowercase()));
                end
            }
            c => {
                tokens.push(Token::Sign(c));
                c.len_utf8()
            }
        };
        rest = &rest[used..];
    }
    tokens
}

/// An identifier that is not closed before the cut is dropped with the rest.
fn quoted(rest: &str, tokens: &mut Vec<Token>) -> usize {
    match closing(rest, '"') {
        Some(end) => {
            tokens.push(Token::Quoted(rest[1..end - 1].replace("\"\"", "\"")));
            end
        }
        None => rest.len(),
    }
}

/// Where the quoted text that opens `rest` ends, its closing sign included; doubled signs belong to it.
fn closing(rest: &str, sign: char) -> Option<usize> {
    let mut signs = rest.char_indices().skip(1).filter(|(_, c)| *c == sign).map(|(i, _)| i).peekable();
    while let Some(at) = signs.next() {
        if signs.peek() == Some(&(at + 1)) {
            signs.next();
        } else {
            return Some(at + 1);
        }
    }
    None
}
