//! Read-only sessions to Postgres: opening one, running a query in it, testing a profile step by step.

mod errors;
mod grants;
pub mod medusa;
mod releases;
mod session;
mod test;

pub use errors::{OpenError, OpenErrorKind, QueryError, QueryErrorKind};
pub use grants::{GRANTS, column_stats_grant};
pub use session::{Session, TAG, open};
pub use test::test;

/// Oldest server major version that is audited.
pub const MAJOR_MIN: u32 = 13;

/// A role's name as SQL needs it, always quoted.
pub fn quote_role(role: &str) -> String {
    format!("\"{}\"", role.replace('"', "\"\""))
}
