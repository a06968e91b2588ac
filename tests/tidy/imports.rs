//! The layers: which module may use which, and where outside crates may be named.

use super::Violation;
use super::source::{line_of, module_of, product_code, words};

/// Data and pure functions: everything right of the snapshot.
const PURE: &[&str] = &["text", "secret", "evidence", "finding", "checks", "plan", "charts", "report"];

/// A module and what it may import from the crate. `module::part` allows one part only.
const TABLE: &[(&str, &[&str])] = &[
    ("text", &[]),
    ("secret", &[]),
    ("evidence", &["text"]),
    ("finding", &["evidence", "text"]),
    ("checks", &["evidence", "finding", "text"]),
    ("plan", &["checks", "evidence", "finding", "text"]),
    ("charts", &["checks", "evidence", "finding", "plan", "text"]),
    ("connect", &["secret"]),
    ("collect", &["connect", "evidence", "secret"]),
    ("history", &["evidence", "plan", "finding", "text"]),
    ("report", &["charts", "checks", "evidence", "finding", "plan", "text"]),
    ("app", &["connect::profile", "connect::steps", "history"]),
    ("runtime", &["app", "audit", "collect", "connect", "demo", "history"]),
    ("ui", &["app", "connect::profile", "connect::steps", "history"]),
    ("audit", &["checks", "collect", "connect", "evidence", "secret"]),
    ("demo", &["connect", "evidence"]),
    ("cli", &["audit", "collect", "connect", "demo", "history"]),
];

/// Modules that may use every pure module besides what the table lists.
const USES_ALL_PURE: &[&str] = &["app", "runtime", "ui", "cli"];

/// One file's further right, with the reason.
const ALSO: &[(&str, &str, &str)] = &[
    ("src/ui/mod.rs", "runtime", "the window drives the runtime from its frame loop, nowhere else"),
    ("src/ui/pages/connect/grants.rs", "connect", "the card with the grants copies the connectors' own texts"),
];

/// The crate's root files see everything.
const ROOTS: &[&str] = &["lib", "main"];

/// Outside crates that have one home each.
const HOMES: &[(&str, &[&str])] = &[
    ("egui", &["ui", "main"]),
    ("eframe", &["ui", "main"]),
    ("egui_extras", &["ui"]),
    ("egui_plot", &["ui"]),
    ("tokio", &["connect", "collect", "history", "runtime", "cli", "main"]),
    ("sqlx", &["connect", "collect"]),
    ("redis", &["connect", "collect"]),
    ("reqwest", &["connect", "collect"]),
    ("aws_config", &["connect"]),
    ("aws_smithy_http_client", &["connect"]),
    ("aws_sdk_cloudfront", &["connect", "collect"]),
    ("aws_sdk_cloudwatch", &["connect", "collect"]),
    ("aws_sdk_s3", &["connect", "collect"]),
    ("aws_sdk_sts", &["connect"]),
    ("keyring", &["connect"]),
    ("secret_service", &["connect"]),
    ("zbus", &["connect", "runtime"]),
    ("rfd", &["runtime"]),
    ("typst", &["report"]),
    ("clap", &["cli", "main"]),
    ("anyhow", &["cli", "main"]),
    // The collector parses one thing: whether a text it puts behind `explain` is a single SELECT.
    ("sqlparser", &["checks", "collect"]),
];

/// Holds the import table for `crate::…` paths and for `super::…` paths that climb to the crate's root.
pub fn crate_modules(path: &str, text: &str) -> Vec<Violation> {
    let Some(module) = module_of(path) else { return Vec::new() };
    if ROOTS.contains(&module) {
        return Vec::new();
    }
    let Some((_, allowed)) = TABLE.iter().find(|(name, _)| *name == module) else {
        return vec![Violation::new(path, 0, format!("module {module} is not in the import table of tests/tidy/imports.rs"))];
    };
    let code = product_code(text);
    let mut found = Vec::new();
    for (offset, target) in crate_paths(path, &code) {
        if !may_import(path, module, allowed, &target) {
            let line = line_of(&code, offset);
            found.push(Violation::new(path, line, format!("{module} may not import crate::{target}")));
        }
    }
    found
}

fn may_import(path: &str, module: &str, allowed: &[&str], target: &str) -> bool {
    let first = target.split("::").next().unwrap_or(target);
    let listed = |entry: &&str| *entry == first || target == *entry || target.starts_with(&format!("{entry}::"));
    first == module
        || allowed.iter().any(listed)
        || USES_ALL_PURE.contains(&module) && PURE.contains(&first)
        || ALSO.iter().any(|(file, name, _)| *file == path && *name == first)
}

/// Every path into the crate with its byte offset; `crate::{a::b, c}` gives `a::b` and `c`.
fn crate_paths(path: &str, code: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for start in words(code, "crate") {
        // `pub(crate)` and `$crate` import nothing.
        if let Some(rest) = code[start..].strip_prefix("crate::") {
            found.extend(leaves(rest).into_iter().map(|leaf| (start, leaf)));
        }
    }
    let climb = "super::".repeat(depth_of(path));
    for (start, _) in code.match_indices(&climb) {
        let rest = &code[start + climb.len()..];
        if !code[..start].ends_with("::") && !rest.starts_with("super") {
            found.extend(leaves(rest).into_iter().map(|leaf| (start, leaf)));
        }
    }
    found
}

/// How many `super::` lead from a file to the crate's root.
fn depth_of(path: &str) -> usize {
    let parts = path.trim_start_matches("src/").split('/').count();
    if path.ends_with("/mod.rs") { parts - 1 } else { parts }
}

/// The path that starts here, or one for each member when it starts with a brace.
fn leaves(rest: &str) -> Vec<String> {
    let Some(group) = rest.strip_prefix('{') else { return vec![plain_path(rest)] };
    let mut depth = 0_usize;
    let mut members = vec![String::new()];
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => members.push(String::new()),
            _ => {}
        }
        if depth == 0 && c != ',' {
            members.last_mut().expect("one member at least").push(c);
        }
    }
    members.iter().map(|m| plain_path(m.trim())).filter(|m| !m.is_empty()).collect()
}

fn plain_path(text: &str) -> String {
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).unwrap_or(text.len());
    text[..end].trim_end_matches(':').to_owned()
}

/// Holds the homes of outside crates.
pub fn outside_crates(path: &str, text: &str) -> Vec<Violation> {
    let Some(module) = module_of(path) else { return Vec::new() };
    let code = product_code(text);
    let mut found = Vec::new();
    for (name, homes) in HOMES.iter().filter(|(_, homes)| !homes.contains(&module)) {
        for offset in words(&code, name).into_iter().filter(|&at| names_a_crate(&code, at, name)) {
            let message = format!("{name} is used in {} only", homes.join(", "));
            found.push(Violation::new(path, line_of(&code, offset), message));
        }
    }
    found
}

/// A crate's name is followed by `::` and preceded by no path, or stands alone in a `use`.
fn names_a_crate(code: &str, at: usize, name: &str) -> bool {
    let rest = &code[at + name.len()..];
    let alone = code[..at].ends_with("use ") && (rest.starts_with(';') || rest.starts_with(" as "));
    let inside_path = code[..at].ends_with("::") && !code[..at].ends_with(" ::");
    (rest.starts_with("::") && !inside_path && !imported_locally(code, name)) || alone
}

/// `use crate::evidence::redis;` makes `redis::` one of ours.
fn imported_locally(code: &str, name: &str) -> bool {
    code.contains(&format!("::{name};"))
        || code.contains(&format!("mod {name};"))
        || code.split("use ").skip(1).any(|u| {
            let path = &u[..u.find(';').unwrap_or(0)];
            !path.starts_with(name) && words(path, name).iter().any(|&at| path[..at].contains("::"))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(found: &[Violation]) -> Vec<usize> {
        found.iter().map(|v| v.line).collect()
    }

    #[test]
    fn a_layer_may_look_left_only() {
        assert_eq!(crate_modules("src/checks/postgres/a.rs", "use crate::evidence::Snapshot;\nuse crate::text;"), vec![]);
        let bad = crate_modules("src/checks/postgres/a.rs", "use crate::evidence::Snapshot;\nuse crate::collect::run;");
        assert_eq!(lines(&bad), vec![2]);
        assert!(bad[0].to_string().contains("src/checks/postgres/a.rs:2: checks may not import crate::collect"));
    }

    #[test]
    fn groups_and_climbing_paths_are_seen() {
        let grouped = "use crate::{evidence::{self, Gap}, runtime::Runtime};";
        assert_eq!(crate_modules("src/app/mod.rs", grouped).len(), 1);
        assert_eq!(crate_modules("src/plan.rs", "use super::ui::page;").len(), 1);
        assert_eq!(crate_modules("src/checks/redis/a.rs", "use super::super::super::collect;").len(), 1);
        assert_eq!(crate_modules("src/checks/redis/a.rs", "use super::super::workload;").len(), 0);
    }

    #[test]
    fn one_file_and_one_part_have_their_rights() {
        assert_eq!(crate_modules("src/ui/mod.rs", "use crate::runtime::Runtime;"), vec![]);
        assert_eq!(crate_modules("src/ui/overview.rs", "use crate::runtime::Runtime;").len(), 1);
        assert_eq!(crate_modules("src/app/mod.rs", "use crate::connect::profile::Profile;"), vec![]);
        assert_eq!(crate_modules("src/app/mod.rs", "use crate::connect::postgres;").len(), 1);
    }

    #[test]
    fn comments_tests_and_roots_are_free() {
        assert_eq!(crate_modules("src/plan.rs", "// crate::ui\n#[cfg(test)]\nmod tests { use crate::ui; }"), vec![]);
        assert_eq!(crate_modules("src/main.rs", "use crate::ui;"), vec![]);
        assert_eq!(crate_modules("src/unheard_of.rs", "").len(), 1);
    }

    #[test]
    fn crates_stay_at_home() {
        assert_eq!(outside_crates("src/ui/theme.rs", "use egui::Color32;"), vec![]);
        assert_eq!(lines(&outside_crates("src/app/mod.rs", "\nuse egui::Context;")), vec![2]);
        assert_eq!(outside_crates("src/report/pdf.rs", "tokio::spawn(x)").len(), 1);
        assert_eq!(outside_crates("src/plan.rs", "use anyhow;").len(), 1);
    }

    #[test]
    fn our_own_modules_of_the_same_name_are_ours() {
        assert_eq!(outside_crates("src/plan.rs", "use crate::evidence::redis;\nfn a(x: redis::Info) {}"), vec![]);
        assert_eq!(outside_crates("src/plan.rs", "let a = evidence::redis::Info;"), vec![]);
        assert_eq!(outside_crates("src/evidence/mod.rs", "pub mod redis;\npub a: redis::Info,"), vec![]);
        assert_eq!(outside_crates("src/plan.rs", "use crate::evidence::{cdn, redis};\nfn a(x: redis::Info) {}"), vec![]);
        assert_eq!(outside_crates("src/plan.rs", "use redis::Client;").len(), 1);
    }
}
