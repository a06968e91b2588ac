//! The least a role needs, as text to run.

use super::quote_role;

/// The role that [`GRANTS`] creates.
const ROLE: &str = "medusa_advisor";

/// The function through which a role without access to the tables reads widths and null shares, never values.
const COLUMN_STATS_GRANT: &str = include_str!("sql/column_stats_grant.sql");

/// SQL that creates a role with the least an audit needs; printed by `medusa-advisor grants postgres`.
pub const GRANTS: &str = concat!(include_str!("sql/grants.sql"), include_str!("sql/column_stats_grant.sql"));

/// The function for column statistics, granted to `role`.
pub fn column_stats_grant(role: &str) -> String {
    COLUMN_STATS_GRANT.replace(ROLE, &quote_role(role))
}
