//! What an expression says of a request: yes, no, or not told.

use std::collections::BTreeSet;

use super::functions;
use super::parse::{Expr, Index, Literal, Operand, Order, Test};
use super::request::Request;

/// Three-valued: what cannot be told is neither yes nor no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Truth {
    No,
    Unknown,
    Yes,
}

impl Truth {
    pub fn of(is: bool) -> Self {
        if is { Truth::Yes } else { Truth::No }
    }

    fn not(self) -> Self {
        match self {
            Truth::Yes => Truth::No,
            Truth::No => Truth::Yes,
            Truth::Unknown => Truth::Unknown,
        }
    }

    fn xor(self, other: Self) -> Self {
        if self == Truth::Unknown || other == Truth::Unknown { Truth::Unknown } else { Truth::of(self != other) }
    }
}

/// A value of the language.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    Text(String),
    Int(i64),
    Bool(Truth),
    List(Vec<Cell>),
    Map(Vec<(String, Cell)>),
    /// All headers: looked up one by one, because what a browser adds is not told.
    Headers,
    /// `[*]`: the test is made for each.
    Each(Vec<Cell>),
    /// Not in the request: every test but `ne` fails.
    Missing,
    /// Not told, with the name of what is not.
    Unknown(String),
}

impl Cell {
    pub fn truth(is: bool) -> Self {
        Cell::Bool(Truth::of(is))
    }

    pub fn texts(all: impl IntoIterator<Item = String>) -> Self {
        Cell::List(all.into_iter().map(Cell::Text).collect())
    }

    /// Names with the list of values each has.
    pub fn map(pairs: Vec<(String, String)>) -> Self {
        let mut map: Vec<(String, Cell)> = Vec::new();
        for (name, value) in pairs {
            match map.iter_mut().find(|(n, _)| *n == name) {
                Some((_, Cell::List(values))) => values.push(Cell::Text(value)),
                _ => map.push((name, Cell::List(vec![Cell::Text(value)]))),
            }
        }
        Cell::Map(map)
    }
}

/// What an expression says of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    pub truth: Truth,
    /// Fields, functions and lists that were asked for and are not told; empty unless the truth is unknown.
    pub unknown: Vec<String>,
}

pub fn evaluate(expr: &Expr, request: &Request) -> Answered {
    let mut reader = Reader { request, unknown: BTreeSet::new() };
    let truth = match reader.expr(expr) {
        Cell::Bool(truth) => truth,
        Cell::Unknown(name) => {
            reader.unknown.insert(name);
            Truth::Unknown
        }
        Cell::Missing => Truth::No,
        _ => {
            reader.unknown.insert("a condition that is neither true nor false".to_owned());
            Truth::Unknown
        }
    };
    let unknown = if truth == Truth::Unknown { reader.unknown.into_iter().collect() } else { Vec::new() };
    Answered { truth, unknown }
}

/// The text that an expression makes of a request.
///
/// # Errors
/// What it asks for that is not told.
pub fn text(expr: &Expr, request: &Request) -> Result<String, String> {
    match (Reader { request, unknown: BTreeSet::new() }).expr(expr) {
        Cell::Text(text) => Ok(text),
        Cell::Int(number) => Ok(number.to_string()),
        Cell::Missing => Ok(String::new()),
        Cell::Unknown(what) => Err(what),
        _ => Err("an expression that makes no text".to_owned()),
    }
}

struct Reader<'r> {
    request: &'r Request,
    unknown: BTreeSet<String>,
}

impl Reader<'_> {
    fn expr(&mut self, expr: &Expr) -> Cell {
        match expr {
            Expr::Not(inner) => match self.expr(inner) {
                Cell::Each(all) => Cell::Each(all.into_iter().map(|c| Cell::Bool(self.truth(&c).not())).collect()),
                one => Cell::Bool(self.truth(&one).not()),
            },
            Expr::And(parts) => self.fold(parts, Truth::min),
            Expr::Or(parts) => self.fold(parts, Truth::max),
            Expr::Xor(parts) => self.fold(parts, Truth::xor),
            Expr::Test(operand, test) => {
                let value = self.operand(operand);
                self.test(value, test)
            }
        }
    }

    /// No < not told < yes, so that `and` is the least and `or` the greatest.
    fn fold(&mut self, parts: &[Expr], join: fn(Truth, Truth) -> Truth) -> Cell {
        let cells: Vec<Cell> = parts.iter().map(|p| self.expr(p)).collect();
        let mut cells = cells.into_iter();
        let Some(first) = cells.next() else { return Cell::truth(true) };
        cells.fold(first, |all, next| match (all, next) {
            (Cell::Each(a), Cell::Each(b)) if a.len() == b.len() => {
                Cell::Each(a.iter().zip(&b).map(|(a, b)| Cell::Bool(join(self.truth(a), self.truth(b)))).collect())
            }
            (Cell::Each(many), one) | (one, Cell::Each(many)) => {
                let one = self.truth(&one);
                Cell::Each(many.iter().map(|m| Cell::Bool(join(self.truth(m), one))).collect())
            }
            (a, b) => Cell::Bool(join(self.truth(&a), self.truth(&b))),
        })
    }

    fn truth(&mut self, cell: &Cell) -> Truth {
        match cell {
            Cell::Bool(truth) => *truth,
            Cell::Missing => Truth::No,
            Cell::Unknown(name) => {
                self.unknown.insert(name.clone());
                Truth::Unknown
            }
            _ => {
                self.unknown.insert("a condition that is neither true nor false".to_owned());
                Truth::Unknown
            }
        }
    }

    fn operand(&mut self, operand: &Operand) -> Cell {
        match operand {
            Operand::Field(name) => self.request.field(name),
            Operand::Text(text) => Cell::Text(text.clone()),
            Operand::Int(number) => Cell::Int(*number),
            Operand::Index(inner, index) => {
                let inner = self.operand(inner);
                self.index(inner, index)
            }
            Operand::Call(name, arguments) => {
                let arguments: Vec<Cell> = arguments.iter().map(|a| self.argument(a)).collect();
                functions::call(name, arguments)
            }
        }
    }

    /// A bare operand is handed over as it is, a condition as its truth.
    fn argument(&mut self, expr: &Expr) -> Cell {
        match expr {
            Expr::Test(operand, Test::IsTrue) => self.operand(operand),
            condition => self.expr(condition),
        }
    }

    fn index(&self, inner: Cell, index: &Index) -> Cell {
        match (inner, index) {
            (Cell::Headers, Index::Key(name)) => self.request.header(name),
            (Cell::Map(map), Index::Key(name)) => map.into_iter().find(|(n, _)| n == name).map_or(Cell::Missing, |(_, v)| v),
            (Cell::List(all), Index::At(i)) => all.into_iter().nth(*i).unwrap_or(Cell::Missing),
            (Cell::List(all), Index::All) => Cell::Each(all),
            (Cell::Each(all), index) => Cell::Each(all.into_iter().map(|c| self.index(c, index)).collect()),
            // Nothing to look at one by one.
            (Cell::Missing, Index::All) => Cell::Each(Vec::new()),
            (Cell::Missing, _) => Cell::Missing,
            (Cell::Unknown(name), _) => Cell::Unknown(name),
            _ => Cell::Unknown("an index into what has none".to_owned()),
        }
    }

    fn test(&mut self, value: Cell, test: &Test) -> Cell {
        if let Cell::Each(all) = value {
            return Cell::Each(all.into_iter().map(|c| self.test(c, test)).collect());
        }
        match (value, test) {
            (value, Test::IsTrue) => value,
            (Cell::Unknown(name), _) => Cell::Unknown(name),
            (_, Test::NotTold(what)) => Cell::Unknown(what.clone()),
            (Cell::Missing, Test::Order(Order::Ne, _)) => Cell::truth(true),
            (Cell::Missing, _) => Cell::truth(false),
            (value, test) => judge(&value, test).map_or_else(|| Cell::Unknown("a comparison of unlike things".to_owned()), Cell::truth),
        }
    }
}

/// `None` where the two cannot be compared.
fn judge(value: &Cell, test: &Test) -> Option<bool> {
    match (value, test) {
        (value, Test::Order(order, literal)) => ordered(value, *order, literal),
        (value, Test::In(all)) => {
            let found: Vec<Option<bool>> = all.iter().map(|l| is_in(value, l)).collect();
            if found.contains(&Some(true)) { Some(true) } else { found.into_iter().collect::<Option<Vec<bool>>>().map(|_| false) }
        }
        (Cell::Text(text), Test::Contains(part)) => Some(text.contains(part.as_str())),
        (Cell::Text(text), Test::Matches(regex)) => Some(regex.is_match(text)),
        (Cell::Text(text), Test::Wildcard { pattern, is_strict: true }) => Some(wildcard(pattern, text)),
        (Cell::Text(text), Test::Wildcard { pattern, is_strict: false }) => Some(wildcard(&pattern.to_lowercase(), &text.to_lowercase())),
        _ => None,
    }
}

fn ordered(value: &Cell, order: Order, literal: &Literal) -> Option<bool> {
    let found = match (value, literal) {
        (Cell::Text(a), Literal::Text(b)) => a.as_str().cmp(b),
        (Cell::Int(a), Literal::Int(b)) => a.cmp(b),
        (Cell::Bool(truth), Literal::Bool(b)) if *truth != Truth::Unknown => (*truth == Truth::Yes).cmp(b),
        _ => return None,
    };
    Some(match order {
        Order::Eq => found.is_eq(),
        Order::Ne => found.is_ne(),
        Order::Lt => found.is_lt(),
        Order::Le => found.is_le(),
        Order::Gt => found.is_gt(),
        Order::Ge => found.is_ge(),
    })
}

fn is_in(value: &Cell, literal: &Literal) -> Option<bool> {
    match (value, literal) {
        (Cell::Text(a), Literal::Text(b)) => Some(a == b),
        (Cell::Int(a), Literal::Int(b)) => Some(a == b),
        (Cell::Int(a), Literal::Range(from, to)) => Some((from..=to).contains(&a)),
        _ => None,
    }
}

/// `*` stands for any characters, also none; `\*` and `\\` for themselves. The whole text is matched.
pub fn wildcard(pattern: &str, text: &str) -> bool {
    let mut parts: Vec<Option<char>> = Vec::new();
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '*' => parts.push(None),
            '\\' => parts.push(Some(chars.next().unwrap_or('\\'))),
            c => parts.push(Some(c)),
        }
    }
    let text: Vec<char> = text.chars().collect();
    let (mut at, mut part) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while at < text.len() {
        match parts.get(part) {
            Some(None) => {
                retry = Some((part, at));
                part += 1;
            }
            Some(Some(c)) if *c == text[at] => {
                part += 1;
                at += 1;
            }
            _ => match retry {
                // The last star takes one more character.
                Some((star, from)) => {
                    retry = Some((star, from + 1));
                    (part, at) = (star + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    parts[part.min(parts.len())..].iter().all(Option::is_none)
}
