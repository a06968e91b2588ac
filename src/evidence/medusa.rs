//! What the database tells about the Medusa installation.

use serde::{Deserialize, Serialize};

/// Which Medusa the database belongs to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Medusa {
    /// 1 or 2.
    pub major: u8,
    /// The version as far as the database tells it: "2.13", "2.13.x" (an early patch), "2.16–2.17", "2.21 or newer", "2.x", "1.20".
    pub version: String,
    /// What the version was concluded from.
    pub evidence: String,
    /// The schema that holds the tables, usually `public`.
    pub schema: String,
    /// Number of tables in that schema.
    pub tables: u32,
    /// Module name (`product`, `cart`, `order` …) and whether its marker table exists; sorted by name.
    pub modules: Vec<Module>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Module {
    pub name: String,
    pub table: String,
    pub is_present: bool,
}

/// Media addresses by host, from published, not deleted products and their images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MediaHost {
    /// "image.url", "product.thumbnail".
    pub column: String,
    /// Scheme and host, `http://localhost:9000`; "relative" for addresses without a host.
    pub host: String,
    /// First path segment when it is `static` or `uploads`, else empty.
    pub folder: String,
    /// Addresses with the local file provider's form `/(static|uploads)/<13 digits>-`.
    pub local_form: u64,
    pub count: u64,
    /// One address, path only as far as needed to probe it (product media are public).
    pub example: String,
}

/// Rows of one table that checks reason about, exact or estimated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RowCount {
    pub table: String,
    /// "total", "soft_deleted", "retention_null_final", …, of orders "status pending" in the words of Medusa's own enumeration; or one of the
    /// marks below, with no rows.
    pub what: String,
    pub rows: u64,
    /// From a sample of pages or from the planner's statistics instead of a count.
    pub is_estimate: bool,
}

impl RowCount {
    /// Mark: the role may not read what some of the table's counts need.
    pub const UNREADABLE: &str = "unreadable";
    /// Mark: row level security hides rows from the role.
    pub const ROW_SECURITY: &str = "row_security";
    /// Mark: a count took too long or met a lock.
    pub const NOT_COUNTED: &str = "not_counted";
    /// How many pages the table's estimates come from; absent: not sampled.
    pub const PAGES_SAMPLED: &str = "pages_sampled";

    /// Says something of the counting instead of counting rows.
    pub fn is_mark(&self) -> bool {
        [Self::UNREADABLE, Self::ROW_SECURITY, Self::NOT_COUNTED, Self::PAGES_SAMPLED].contains(&self.what.as_str())
    }
}
