//! Any bytes are read as a statement text: no panic, and libFuzzer's time limit is never met.
#![no_main]

use libfuzzer_sys::fuzz_target;
use medusa_advisor::checks::sql;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let shape = sql::read(&text);
    assert!(shape.tables.iter().all(|t| t.joins.len() <= text.len()));
    sql::normal_expression(&text);
});
