//! Every check. Written by `tests/tidy.rs`: run the tests twice after adding a file.

use super::Check;

/// Sorted by folder and file name.
pub static ALL: &[&Check] = &[
    &super::cdn::absent::CHECK,
    &super::cdn::compression_missing::CHECK,
    &super::cdn::local_file_storage::CHECK,
    &super::cdn::low_hit_ratio::CHECK,
    &super::cdn::personal_response_cached::CHECK,
    &super::cdn::session_cookie_everywhere::CHECK,
    &super::cdn::static_not_immutable::CHECK,
    &super::cdn::uncached_catalogue::CHECK,
];
