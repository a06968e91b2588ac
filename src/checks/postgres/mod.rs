//! Checks of this layer, one file each. This list is written by `tests/tidy.rs`.

pub mod commerce_index;
pub mod missing_index;
