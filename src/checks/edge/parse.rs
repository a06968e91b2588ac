//! Expressions of Cloudflare's rules language as trees.

use regex::{Regex, RegexBuilder};

use super::lexer::{ParseError, Token, tokens};

/// A condition. `or` binds loosest, then `xor`, then `and`, then `not`.
#[derive(Debug, Clone)]
pub enum Expr {
    Not(Box<Expr>),
    And(Vec<Expr>),
    Xor(Vec<Expr>),
    Or(Vec<Expr>),
    Test(Operand, Test),
}

/// What a test looks at.
#[derive(Debug, Clone)]
pub enum Operand {
    Field(String),
    Call(String, Vec<Expr>),
    Text(String),
    Int(i64),
    Index(Box<Operand>, Index),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Index {
    Key(String),
    At(usize),
    /// `[*]`: each element for itself.
    All,
}

#[derive(Debug, Clone)]
pub enum Test {
    /// The operand stands alone: a boolean, or the argument of a function.
    IsTrue,
    Order(Order, Literal),
    Contains(String),
    Matches(Box<Regex>),
    Wildcard {
        pattern: String,
        is_strict: bool,
    },
    In(Vec<Literal>),
    /// What cannot be judged here, as it is named: a list of the account, a regular expression that this engine does not take.
    NotTold(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Literal {
    Text(String),
    Int(i64),
    Range(i64, i64),
    Bool(bool),
    Address(String),
}

/// Deeper nesting is refused: Cloudflare's editor makes two levels.
const DEPTH_MAX: usize = 60;
/// Bytes a compiled regular expression may take.
const REGEX_BYTES_MAX: usize = 1_000_000;

/// Reads a whole expression.
///
/// # Errors
/// Where it does not follow the language.
pub fn parse(expression: &str) -> Result<Expr, ParseError> {
    let tokens = tokens(expression)?;
    let mut parser = Parser { tokens: &tokens, at: 0, depth: 0, end: expression.chars().count() };
    let expr = parser.or()?;
    match parser.peek() {
        None => Ok(expr),
        Some(_) => Err(parser.error("the expression goes on where it should end")),
    }
}

struct Parser<'a> {
    tokens: &'a [(usize, Token)],
    at: usize,
    depth: usize,
    end: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|(_, t)| t)
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.peek().cloned();
        self.at += 1;
        token
    }

    fn error(&self, what: &str) -> ParseError {
        ParseError { at: self.tokens.get(self.at).map_or(self.end, |(at, _)| *at), what: what.to_owned() }
    }

    /// Takes the next word when it is one of these symbols or names.
    fn eat(&mut self, words: &[&str]) -> bool {
        let is_it = match self.peek() {
            Some(Token::Symbol(s)) => words.contains(s),
            Some(Token::Name(n)) => words.contains(&n.as_str()),
            _ => false,
        };
        self.at += usize::from(is_it);
        is_it
    }

    fn expect(&mut self, symbol: &'static str) -> Result<(), ParseError> {
        if self.eat(&[symbol]) { Ok(()) } else { Err(self.error(&format!("{symbol:?} is missing"))) }
    }

    fn or(&mut self) -> Result<Expr, ParseError> {
        self.chain(&["or", "||"], Self::xor, Expr::Or)
    }

    fn xor(&mut self) -> Result<Expr, ParseError> {
        self.chain(&["xor", "^^"], Self::and, Expr::Xor)
    }

    fn and(&mut self) -> Result<Expr, ParseError> {
        self.chain(&["and", "&&"], Self::unary, Expr::And)
    }

    fn chain(&mut self, words: &[&str], part: fn(&mut Self) -> Result<Expr, ParseError>, join: fn(Vec<Expr>) -> Expr) -> Result<Expr, ParseError> {
        let first = part(self)?;
        let mut all = vec![first];
        while self.eat(words) {
            all.push(part(self)?);
        }
        Ok(if all.len() == 1 { all.remove(0) } else { join(all) })
    }

    fn unary(&mut self) -> Result<Expr, ParseError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.error("the expression is nested too deep"));
        }
        let expr = if self.eat(&["not", "!"]) {
            Expr::Not(Box::new(self.unary()?))
        } else if self.eat(&["("]) {
            let inner = self.or()?;
            self.expect(")")?;
            inner
        } else {
            let operand = self.operand()?;
            let test = self.test()?;
            Expr::Test(operand, test)
        };
        self.depth -= 1;
        Ok(expr)
    }

    fn operand(&mut self) -> Result<Operand, ParseError> {
        let mut operand = match self.next() {
            Some(Token::Text(text)) => Operand::Text(text),
            Some(Token::Int(number)) => Operand::Int(number),
            Some(Token::Name(name)) if self.eat(&["("]) => Operand::Call(name, self.arguments()?),
            Some(Token::Name(name)) => Operand::Field(name),
            _ => {
                self.at -= 1;
                return Err(self.error("a field or a function is missing"));
            }
        };
        while self.eat(&["["]) {
            let index = match self.next() {
                Some(Token::Text(key)) => Index::Key(key),
                Some(Token::Int(number)) => Index::At(usize::try_from(number).map_err(|_| self.error("an index is negative"))?),
                Some(Token::Symbol("*")) => Index::All,
                _ => return Err(self.error("an index is not understood")),
            };
            self.expect("]")?;
            operand = Operand::Index(Box::new(operand), index);
        }
        Ok(operand)
    }

    fn arguments(&mut self) -> Result<Vec<Expr>, ParseError> {
        let mut all = Vec::new();
        if self.eat(&[")"]) {
            return Ok(all);
        }
        loop {
            all.push(self.or()?);
            if self.eat(&[")"]) {
                return Ok(all);
            }
            self.expect(",")?;
        }
    }

    fn test(&mut self) -> Result<Test, ParseError> {
        let orders = [
            (["eq", "=="], Order::Eq),
            (["ne", "!="], Order::Ne),
            (["le", "<="], Order::Le),
            (["ge", ">="], Order::Ge),
            (["lt", "<"], Order::Lt),
            (["gt", ">"], Order::Gt),
        ];
        for (words, order) in orders {
            if self.eat(&words) {
                return Ok(Test::Order(order, self.literal()?));
            }
        }
        if self.eat(&["contains"]) {
            return Ok(Test::Contains(self.text()?));
        }
        if self.eat(&["matches", "~"]) {
            let pattern = self.text()?;
            let built = RegexBuilder::new(&pattern).size_limit(REGEX_BYTES_MAX).build();
            return Ok(built.map_or_else(|_| Test::NotTold(format!("the regular expression {pattern:?}")), |r| Test::Matches(Box::new(r))));
        }
        if self.eat(&["wildcard"]) {
            return Ok(Test::Wildcard { pattern: self.text()?, is_strict: false });
        }
        if self.eat(&["strict"]) {
            if !self.eat(&["wildcard"]) {
                return Err(self.error("\"wildcard\" is missing"));
            }
            return Ok(Test::Wildcard { pattern: self.text()?, is_strict: true });
        }
        if self.eat(&["in"]) {
            return self.set();
        }
        if self.eat(&["&", "bitwise_and"]) {
            self.literal()?;
            return Ok(Test::NotTold("bitwise_and".to_owned()));
        }
        Ok(Test::IsTrue)
    }

    fn set(&mut self) -> Result<Test, ParseError> {
        if let Some(Token::List(name)) = self.peek() {
            let named = Test::NotTold(format!("the list ${name}"));
            self.at += 1;
            return Ok(named);
        }
        self.expect("{")?;
        let mut all = Vec::new();
        while !self.eat(&["}"]) {
            all.push(self.literal()?);
            self.eat(&[","]);
        }
        Ok(Test::In(all))
    }

    fn text(&mut self) -> Result<String, ParseError> {
        match self.next() {
            Some(Token::Text(text)) => Ok(text),
            _ => {
                self.at -= 1;
                Err(self.error("a text is missing"))
            }
        }
    }

    fn literal(&mut self) -> Result<Literal, ParseError> {
        match self.next() {
            Some(Token::Text(text)) => Ok(Literal::Text(text)),
            Some(Token::Int(number)) => Ok(Literal::Int(number)),
            Some(Token::Range(from, to)) => Ok(Literal::Range(from, to)),
            Some(Token::Address(text)) => Ok(Literal::Address(text)),
            Some(Token::Name(name)) if name == "true" || name == "false" => Ok(Literal::Bool(name == "true")),
            _ => {
                self.at -= 1;
                Err(self.error("a value is missing"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_expression_says_where() {
        for (text, wanted) in [
            ("", "a field or a function is missing at character 0"),
            ("http.host eq", "a value is missing at character 12"),
            ("(http.host eq \"a\"", "\")\" is missing at character 17"),
            ("ssl ssl", "the expression goes on where it should end at character 4"),
            ("http.host strict \"a\"", "\"wildcard\" is missing at character 17"),
        ] {
            assert_eq!(parse(text).unwrap_err().to_string(), wanted, "{text}");
        }
        assert!(parse(&"(".repeat(500)).unwrap_err().what.contains("too deep"));
        assert!(parse(&"not ".repeat(500)).unwrap_err().what.contains("too deep"));
    }

    #[test]
    fn and_binds_tighter_than_xor_and_or() {
        let Expr::Or(parts) = parse("ssl or ssl xor ssl and ssl").unwrap() else { panic!("or is outermost") };
        let Expr::Xor(inner) = &parts[1] else { panic!("xor is next") };
        assert!(matches!(inner[1], Expr::And(_)));
    }
}
