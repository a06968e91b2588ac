//! What a Cloudflare zone does to a request, by its rules and settings: pure, from the evidence alone.
//!
//! [`decide`] answers for one request; [`stored`] says what becomes of the origin's answer to it; [`remedy`] prints rules.

mod eval;
mod functions;
mod key;
mod lexer;
mod page_rules;
mod parse;
pub mod paths;
pub mod remedy;
mod request;
mod storing;
mod zone;

pub use eval::{Answered, Truth, wildcard};
pub use key::{CacheKey, Query};
pub use lexer::ParseError;
pub use parse::{Expr, parse};
pub use request::Request;
pub use storing::{Stored, stored};
pub use zone::{BrowserTtl, Decision, EdgeTtl, Fate, Matched, RuleKind, decide, setting};

/// What an expression says of a request; one that cannot be read is unknown, with the reason.
pub fn matches(expression: &str, request: &Request) -> Answered {
    match parse(expression) {
        Ok(expr) => eval::evaluate(&expr, request),
        Err(e) => Answered { truth: Truth::Unknown, unknown: vec![format!("an expression that could not be read: {e}")] },
    }
}

#[cfg(test)]
mod cases;
#[cfg(test)]
pub(crate) mod fixtures;
