//! The kinds of the pieces of SQL, TypeScript, JSON and shell, for colours: one small scanner, enough for fixes and plans, not a parser.

/// The language of a code block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Language {
    Sql,
    TypeScript,
    Json,
    Shell,
    Plain,
}

impl Language {
    /// As evidence and remedies name it; what is not known is plain text.
    pub fn named(name: &str) -> Self {
        match name {
            "sql" => Self::Sql,
            "typescript" | "javascript" | "ts" => Self::TypeScript,
            "json" => Self::Json,
            "shell" | "sh" | "bash" => Self::Shell,
            _ => Self::Plain,
        }
    }

    pub fn word(self) -> &'static str {
        match self {
            Self::Sql => "SQL",
            Self::TypeScript => "TypeScript",
            Self::Json => "JSON",
            Self::Shell => "Shell",
            Self::Plain => "Text",
        }
    }

    fn keywords(self) -> &'static [&'static str] {
        match self {
            Self::Sql => SQL,
            Self::TypeScript => TYPESCRIPT,
            Self::Json => &["true", "false", "null"],
            Self::Shell => SHELL,
            Self::Plain => &[],
        }
    }

    fn comment_start(self) -> Option<&'static str> {
        match self {
            Self::Sql => Some("--"),
            Self::TypeScript => Some("//"),
            Self::Shell => Some("#"),
            Self::Json | Self::Plain => None,
        }
    }
}

const SQL: &[&str] = &[
    "add",
    "all",
    "alter",
    "analyze",
    "and",
    "as",
    "asc",
    "begin",
    "between",
    "by",
    "cascade",
    "case",
    "check",
    "column",
    "commit",
    "concurrently",
    "constraint",
    "create",
    "cross",
    "database",
    "default",
    "definer",
    "delete",
    "desc",
    "distinct",
    "do",
    "drop",
    "else",
    "end",
    "execute",
    "exists",
    "explain",
    "extension",
    "false",
    "for",
    "foreign",
    "from",
    "full",
    "function",
    "grant",
    "group",
    "having",
    "if",
    "ilike",
    "in",
    "include",
    "index",
    "inner",
    "insert",
    "into",
    "is",
    "join",
    "key",
    "language",
    "left",
    "like",
    "limit",
    "not",
    "null",
    "of",
    "offset",
    "on",
    "or",
    "order",
    "outer",
    "over",
    "partition",
    "primary",
    "reindex",
    "reset",
    "returns",
    "revoke",
    "right",
    "role",
    "rollback",
    "schema",
    "security",
    "select",
    "set",
    "show",
    "statistics",
    "system",
    "table",
    "then",
    "to",
    "true",
    "truncate",
    "union",
    "unique",
    "update",
    "using",
    "vacuum",
    "values",
    "view",
    "when",
    "where",
    "with",
];
const TYPESCRIPT: &[&str] = &[
    "as",
    "async",
    "await",
    "break",
    "case",
    "catch",
    "class",
    "const",
    "continue",
    "default",
    "else",
    "export",
    "extends",
    "false",
    "finally",
    "for",
    "from",
    "function",
    "if",
    "import",
    "in",
    "interface",
    "let",
    "new",
    "null",
    "of",
    "override",
    "return",
    "static",
    "switch",
    "this",
    "throw",
    "true",
    "try",
    "type",
    "undefined",
    "var",
    "void",
    "while",
];
const SHELL: &[&str] = &["case", "do", "done", "elif", "else", "esac", "export", "fi", "for", "function", "if", "in", "then", "while"];

/// What a piece of code is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token {
    Keyword,
    String,
    Name,
    Comment,
    Other,
}

impl Token {
    pub fn name(self) -> &'static str {
        match self {
            Self::Keyword => "keyword",
            Self::String => "string",
            Self::Name => "name",
            Self::Comment => "comment",
            Self::Other => "other",
        }
    }
}

/// The pieces of `text` in their order; joined they are the text.
pub fn tokens(text: &str, language: Language) -> Vec<(Token, &str)> {
    if language == Language::Plain {
        return vec![(Token::Other, text)];
    }
    let mut tokens = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (token, length) = next(rest, language);
        let (piece, after) = rest.split_at(length);
        tokens.push((token, piece));
        rest = after;
    }
    tokens
}

/// The first token of `rest` (not empty) and its length in bytes.
fn next(rest: &str, language: Language) -> (Token, usize) {
    if let Some(length) = comment(rest, language) {
        return (Token::Comment, length);
    }
    if let Some(length) = string(rest, language) {
        let is_key = language == Language::Json && rest[length..].trim_start().starts_with(':');
        return (if is_key { Token::Name } else { Token::String }, length);
    }
    // A quoted name is a name, even where it spells a keyword: "order".
    if language == Language::Sql && rest.starts_with('"') {
        return (Token::Other, rest[1..].find('"').map_or(rest.len(), |end| end + 2));
    }
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let first = rest.chars().next().map_or(1, char::len_utf8);
    if !rest.starts_with(is_word) {
        return (Token::Other, first);
    }
    let length = rest.find(|c: char| !is_word(c)).unwrap_or(rest.len());
    let word = &rest[..length];
    let is_keyword = match language {
        Language::Sql => language.keywords().contains(&word.to_ascii_lowercase().as_str()),
        _ => language.keywords().contains(&word),
    };
    let token = if is_keyword {
        Token::Keyword
    } else if language == Language::TypeScript && rest[length..].starts_with('(') {
        Token::Name
    } else {
        Token::Other
    };
    (token, length)
}

fn comment(rest: &str, language: Language) -> Option<usize> {
    if matches!(language, Language::Sql | Language::TypeScript) && rest.starts_with("/*") {
        return Some(rest.find("*/").map_or(rest.len(), |end| end + 2));
    }
    rest.starts_with(language.comment_start()?).then(|| rest.find('\n').unwrap_or(rest.len()))
}

fn string(rest: &str, language: Language) -> Option<usize> {
    let quote = rest.chars().next()?;
    let quotes = match language {
        // Double quotes hold names in SQL.
        Language::Sql => "'",
        Language::TypeScript => "'\"`",
        Language::Json => "\"",
        Language::Shell => "'\"",
        Language::Plain => "",
    };
    if !quotes.contains(quote) {
        return None;
    }
    let mut escaped = false;
    for (index, c) in rest.char_indices().skip(1) {
        match c {
            '\\' if language != Language::Sql => escaped = !escaped,
            _ if c == quote && !escaped => return Some(index + 1),
            _ => escaped = false,
        }
    }
    Some(rest.len())
}

/// The same by lines, neighbours of one kind joined.
pub fn lines(text: &str, language: Language) -> Vec<Vec<(Token, String)>> {
    let mut lines = vec![Vec::<(Token, String)>::new()];
    for (token, piece) in tokens(text, language) {
        for (at, part) in piece.split('\n').enumerate() {
            if at > 0 {
                lines.push(Vec::new());
            }
            let line = lines.last_mut().expect("there is a first line");
            match line.last_mut() {
                Some((last, joined)) if *last == token => joined.push_str(part),
                _ if part.is_empty() => {}
                _ => line.push((token, part.to_owned())),
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, language: Language, wanted: Token) -> Vec<&str> {
        tokens(text, language).into_iter().filter_map(|(token, piece)| (token == wanted).then_some(piece)).collect()
    }

    #[test]
    fn sql_has_keywords_strings_and_comments() {
        let sql = "create index on \"order\" (a) where b is null; -- why\nselect 'x'";
        let words = ["create", "index", "on", "where", "is", "null", "select"];
        assert_eq!(of(sql, Language::Sql, Token::Keyword), words);
        assert_eq!(of(sql, Language::Sql, Token::String), ["'x'"]);
        assert_eq!(of(sql, Language::Sql, Token::Comment), ["-- why"]);
        // What stands between dollars is SQL again.
        assert_eq!(of("do $$ begin x('a'); end $$", Language::Sql, Token::Keyword), ["do", "begin", "end"]);
    }

    #[test]
    fn json_keys_are_names_and_values_are_strings() {
        let json = r#"{"ttl": "1 \" h", "on": true}"#;
        assert_eq!(of(json, Language::Json, Token::Name), [r#""ttl""#, r#""on""#]);
        assert_eq!(of(json, Language::Json, Token::String), [r#""1 \" h""#]);
        assert_eq!(of(json, Language::Json, Token::Keyword), ["true"]);
    }

    #[test]
    fn nothing_is_lost_even_when_unfinished() {
        for text in ["select 'never closed ü", "/* open", "$$ open", "…→`a${b}", "\"\\"] {
            for language in [Language::Sql, Language::TypeScript, Language::Json, Language::Shell] {
                let joined: String = tokens(text, language).into_iter().map(|t| t.1).collect();
                assert_eq!(joined, text);
            }
        }
    }

    #[test]
    fn lines_hold_joined_pieces() {
        let lines = lines("select a,\n\n  /* one\ntwo */ 1", Language::Sql);
        let shown: Vec<Vec<(&str, &str)>> = lines.iter().map(|l| l.iter().map(|(t, s)| (t.name(), s.as_str())).collect()).collect();
        let expected = [
            vec![("keyword", "select"), ("other", " a,")],
            vec![],
            vec![("other", "  "), ("comment", "/* one")],
            vec![("comment", "two */"), ("other", " 1")],
        ];
        assert_eq!(shown, expected);
        assert_eq!(super::lines("", Language::Sql), [vec![]]);
    }
}
