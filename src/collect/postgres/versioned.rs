//! Queries that differ by server version: lines ending in `-- since: 16` or `-- until: 15` are kept where they hold.

/// `sql` for one major version.
pub fn for_version(sql: &str, major: u32) -> String {
    let mut out = String::with_capacity(sql.len());
    for line in sql.lines().filter(|l| holds(l, major)) {
        out.push_str(line);
        out.push('\n');
    }
    out
}

fn holds(line: &str, major: u32) -> bool {
    let bound = |word: &str| line.rsplit_once(word).and_then(|(_, n)| n.trim().parse::<u32>().ok());
    bound("-- since:").is_none_or(|n| major >= n) && bound("-- until:").is_none_or(|n| major <= n)
}

#[cfg(test)]
mod tests {
    use super::for_version;

    #[test]
    fn lines_are_kept_by_version() {
        let sql = "select\n  a, -- since: 16\n  b, -- until: 15\n  c\n";
        assert_eq!(for_version(sql, 15), "select\n  b, -- until: 15\n  c\n");
        assert_eq!(for_version(sql, 16), "select\n  a, -- since: 16\n  c\n");
    }

    #[test]
    fn every_query_is_tagged_and_has_one_variant_a_version() {
        let sql = include_str!("sql/statements.sql");
        for major in 13..=18 {
            let text = for_version(sql, major);
            assert!(text.starts_with(crate::connect::postgres::TAG));
            assert_eq!(text.matches("as io_ms").count(), 1, "{major}");
            assert_eq!(text.matches("as is_toplevel").count(), 1, "{major}");
            assert_eq!(text.matches("as jit_ms").count(), 1, "{major}");
        }
    }
}
