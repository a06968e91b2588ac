//! The words of Cloudflare's rules language.

/// One word of an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Token {
    /// A field, a function or an operator spelt as a word: `http.host`, `starts_with`, `eq`.
    Name(String),
    Text(String),
    Int(i64),
    /// `1..5`, ends included.
    Range(i64, i64),
    /// An address or a network: compared with nothing here.
    Address(String),
    /// `$name`: a list kept elsewhere in the account.
    List(String),
    Symbol(&'static str),
}

/// Where reading stopped, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} at character {at}")]
pub struct ParseError {
    /// In characters from the start.
    pub at: usize,
    pub what: String,
}

/// Longer texts are refused: Cloudflare allows 4 kB, expressions of managed lists somewhat more.
const CHARS_MAX: usize = 32_000;

/// Longest first: `==` before `=`.
const SYMBOLS: [&str; 20] = ["&&", "||", "^^", "==", "!=", "<=", ">=", "(", ")", "[", "]", "{", "}", ",", "!", "<", ">", "~", "*", "&"];

/// The words with the place each begins at.
///
/// # Errors
/// At a character that begins no word, or a text without an end.
pub fn tokens(expression: &str) -> Result<Vec<(usize, Token)>, ParseError> {
    let chars: Vec<char> = expression.chars().take(CHARS_MAX + 1).collect();
    if chars.len() > CHARS_MAX {
        return Err(ParseError { at: CHARS_MAX, what: "the expression is too long".to_owned() });
    }
    let mut lexer = Lexer { chars: &chars, at: 0 };
    let mut all = Vec::new();
    while let Some(c) = lexer.skip_space() {
        let at = lexer.at;
        all.push((at, lexer.token(c)?));
    }
    Ok(all)
}

struct Lexer<'a> {
    chars: &'a [char],
    at: usize,
}

impl Lexer<'_> {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn skip_space(&mut self) -> Option<char> {
        while self.peek(0).is_some_and(char::is_whitespace) {
            self.at += 1;
        }
        self.peek(0)
    }

    fn error(&self, what: impl Into<String>) -> ParseError {
        ParseError { at: self.at, what: what.into() }
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> String {
        let start = self.at;
        while self.peek(0).is_some_and(&wanted) {
            self.at += 1;
        }
        self.chars[start..self.at].iter().collect()
    }

    fn token(&mut self, first: char) -> Result<Token, ParseError> {
        if first == '"' {
            return self.quoted();
        }
        if first == 'r' && (self.peek(1) == Some('"') || (self.peek(1) == Some('#') && matches!(self.peek(2), Some('#' | '"')))) {
            return self.raw();
        }
        if first.is_ascii_digit() || (first == '-' && self.peek(1).is_some_and(|c| c.is_ascii_digit())) {
            return Ok(self.number());
        }
        if first.is_ascii_alphabetic() || first == '_' {
            return Ok(Token::Name(self.take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.'))));
        }
        if first == '$' {
            self.at += 1;
            return Ok(Token::List(self.take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.'))));
        }
        let found = SYMBOLS.iter().find(|s| s.chars().enumerate().all(|(i, c)| self.peek(i) == Some(c)));
        let symbol = found.ok_or_else(|| self.error(format!("{first:?} is not expected")))?;
        self.at += symbol.len();
        Ok(Token::Symbol(symbol))
    }

    fn number(&mut self) -> Token {
        let sign = if self.peek(0) == Some('-') { "-" } else { "" };
        self.at += sign.len();
        let text = format!("{sign}{}", self.take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | ':' | '/')));
        let range = text.split_once("..").and_then(|(from, to)| Some((from.parse().ok()?, to.parse().ok()?)));
        match (text.parse(), range) {
            (Ok(number), _) => Token::Int(number),
            (Err(_), Some((from, to))) => Token::Range(from, to),
            (Err(_), None) => Token::Address(text),
        }
    }

    /// `"…"` with `\"`, `\\`, `\xHH` and three octal digits.
    fn quoted(&mut self) -> Result<Token, ParseError> {
        self.at += 1;
        let mut text = String::new();
        loop {
            let Some(c) = self.peek(0) else { return Err(self.error("a text has no end")) };
            self.at += 1;
            match c {
                '"' => return Ok(Token::Text(text)),
                '\\' => text.push(self.escaped()?),
                c => text.push(c),
            }
        }
    }

    fn escaped(&mut self) -> Result<char, ParseError> {
        let Some(c) = self.peek(0) else { return Err(self.error("a text has no end")) };
        let (digits, radix, skip) = match c {
            'x' => (2, 16, 1),
            '0'..='7' => (3, 8, 0),
            // `\*` and `\?` reach the pattern that reads them.
            '"' | '\\' => {
                self.at += 1;
                return Ok(c);
            }
            _ => return Ok('\\'),
        };
        let code: String = (0..digits).filter_map(|i| self.peek(skip + i)).collect();
        let value = u32::from_str_radix(&code, radix).ok().filter(|_| code.len() == digits).and_then(char::from_u32);
        let value = value.ok_or_else(|| self.error("an escape is not understood"))?;
        self.at += skip + digits;
        Ok(value)
    }

    /// `r"…"` and `r#"…"#`: nothing is escaped inside.
    fn raw(&mut self) -> Result<Token, ParseError> {
        self.at += 1;
        let hashes = self.take_while(|c| c == '#').len();
        if self.peek(0) != Some('"') {
            return Err(self.error("a raw text has no start"));
        }
        self.at += 1;
        let start = self.at;
        while self.peek(0).is_some() {
            let is_end = self.peek(0) == Some('"') && (1..=hashes).all(|i| self.peek(i) == Some('#'));
            if is_end {
                let text = self.chars[start..self.at].iter().collect();
                self.at += 1 + hashes;
                return Ok(Token::Text(text));
            }
            self.at += 1;
        }
        Err(self.error("a raw text has no end"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(expression: &str) -> Vec<Token> {
        tokens(expression).unwrap().into_iter().map(|(_, t)| t).collect()
    }

    #[test]
    fn words_are_told_apart() {
        let name = |n: &str| Token::Name(n.into());
        assert_eq!(words("http.host eq \"a\\\"b\\x41\\101\""), [name("http.host"), name("eq"), Token::Text("a\"bAA".into())]);
        assert_eq!(words(r####"~ r"\d+" r#"a"b"#"####), [Token::Symbol("~"), Token::Text("\\d+".into()), Token::Text("a\"b".into())]);
        assert_eq!(words("{1 2..5 -3 10.0.0.0/8}")[1..5], [Token::Int(1), Token::Range(2, 5), Token::Int(-3), Token::Address("10.0.0.0/8".into())]);
        assert_eq!(words("$list&&!x"), [Token::List("list".into()), Token::Symbol("&&"), Token::Symbol("!"), name("x")]);
        assert_eq!(words("rsc r.x"), [name("rsc"), name("r.x")]);
    }

    #[test]
    fn what_has_no_end_says_where() {
        assert_eq!(tokens("a \"b").unwrap_err().to_string(), "a text has no end at character 4");
        assert!(tokens("r#\"x\"").is_err() && tokens("a ? b").is_err() && tokens("\"\\xZZ\"").is_err());
        assert!(tokens(&"a".repeat(CHARS_MAX + 1)).is_err());
    }
}
