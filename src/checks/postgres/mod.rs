//! Checks of this layer, one file each. This list is written by `tests/tidy.rs`.
