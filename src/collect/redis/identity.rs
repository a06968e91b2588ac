//! Which server an address leads to: two may lead to one, and a server counts for all its databases together.

use std::collections::BTreeSet;

/// A server by its run id, else by its place: `name` without the database.
pub fn identity(run_id: &str, name: &str) -> String {
    // 40 digits drawn at each start; what a service tells instead may be the same for all its servers.
    let is_drawn = run_id.len() == 40 && run_id.bytes().collect::<BTreeSet<_>>().len() > 4;
    let place = || name.rsplit_once('/').map_or(name, |(place, _)| place);
    if is_drawn { run_id.to_owned() } else { place().to_owned() }
}

/// One name for two addresses of a server: `cache.example:6379/0,1`, or both in full where they differ in more than the database.
pub fn joined(one: &str, other: &str) -> String {
    match (one.rsplit_once('/'), other.rsplit_once('/')) {
        _ if one == other => one.to_owned(),
        (Some((place, databases)), Some((same, database))) if place == same => {
            if databases.split(',').any(|d| d == database) {
                one.to_owned()
            } else {
                format!("{one},{database}")
            }
        }
        _ => format!("{one} and {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_addresses_of_a_server_have_one_name() {
        assert_eq!(joined("cache.example:6379/0", "cache.example:6379/1"), "cache.example:6379/0,1");
        assert_eq!(joined("cache.example:6379/0,1", "cache.example:6379/1"), "cache.example:6379/0,1");
        assert_eq!(joined("cache.example:6379/0", "cache.example:6379/0"), "cache.example:6379/0");
        assert_eq!(joined("cache.example:6379/0", "10.0.0.7:6379/0"), "cache.example:6379/0 and 10.0.0.7:6379/0");
    }

    #[test]
    fn a_server_is_told_by_its_run_id_and_without_one_by_its_place() {
        let drawn = "0123456789abcdef0123456789abcdef01234567";
        assert_eq!(identity(drawn, "a.example:6379/0"), identity(drawn, "b.example:6380/1"));
        assert_ne!(identity(drawn, "a.example:6379/0"), identity(&drawn.replace('0', "1"), "a.example:6379/0"));
        for none in ["", "n/a", &"0".repeat(40)] {
            assert_eq!(identity(none, "a.example:6379/0"), identity(none, "a.example:6379/1"));
            assert_ne!(identity(none, "a.example:6379/0"), identity(none, "a.example:6380/0"));
        }
    }
}
