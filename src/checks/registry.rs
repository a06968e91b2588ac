//! Every check. Written by `tests/tidy.rs`: run the tests twice after adding a file.

use super::Check;

/// Sorted by folder and file name.
#[rustfmt::skip]
pub static ALL: &[&Check] = &[
];
