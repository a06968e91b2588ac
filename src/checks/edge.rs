//! What a Cloudflare zone does to a request, by its rules and settings: pure, from the evidence alone.
//!
//! [`decide`] answers for one request; [`stored`] says what becomes of the origin's answer to it; [`remedy`] prints rules.

mod config;
mod eval;
mod functions;
mod key;
mod lexer;
mod page_rules;
mod parse;
pub mod paths;
mod printing;
mod query;
pub mod remedy;
mod request;
mod rewrite;
mod storing;
pub mod tracking;
mod zone;

pub use config::{Bad, SetBy, change_rule, judged};
pub use eval::{Answered, Truth, wildcard};
pub use key::{CacheKey, Query};
pub use lexer::ParseError;
pub use parse::{Expr, parse};
pub use query::keep_query;
pub use request::Request;
pub use rewrite::rewritten;
pub use storing::{Stored, stored};
pub use zone::{BrowserTtl, Decision, EdgeTtl, Fate, Matched, RuleKind, decide, setting};

/// What an expression says of a request; one that cannot be read is unknown, with the reason.
pub fn matches(expression: &str, request: &Request) -> Answered {
    match parse(expression) {
        Ok(expr) => eval::evaluate(&expr, request),
        Err(e) => Answered { truth: Truth::Unknown, unknown: vec![format!("an expression that could not be read: {e}")] },
    }
}

/// The text that an expression makes of a request.
///
/// # Errors
/// What cannot be read of it, or is not told.
pub fn text(expression: &str, request: &Request) -> Result<String, String> {
    let expr = parse(expression).map_err(|e| format!("an expression that could not be read: {e}"))?;
    eval::text(&expr, request)
}

#[cfg(test)]
mod cases;
#[cfg(test)]
pub(crate) mod fixtures;
