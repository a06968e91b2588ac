//! Holds the shape of the code: who may import whom, the list of checks, the words of checks, sizes and bans.
//!
//! Every rule is a pure function of a path and a text, and is tried on a good and a bad example beside it. The tests
//! here apply the rules to the tree and print every violation as `path:line: what is wrong and what to do instead`.

#[path = "tidy/bans.rs"]
mod bans;
#[path = "tidy/imports.rs"]
mod imports;
#[path = "tidy/registry.rs"]
mod registry;
#[path = "tidy/sizes.rs"]
mod sizes;
#[path = "tidy/source.rs"]
mod source;
#[path = "tidy/sql.rs"]
mod sql;
#[path = "tidy/words.rs"]
mod words;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// One place that breaks a rule. `line` counts from 1; 0 stands for the whole file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    pub path: String,
    pub line: usize,
    pub message: String,
}

impl Violation {
    pub fn new(path: &str, line: usize, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, message: message.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.message)
    }
}

type Rule = fn(&str, &str) -> Vec<Violation>;

#[test]
fn modules_import_only_what_the_table_allows() {
    apply(&rust_sources(), &[imports::crate_modules, imports::outside_crates]);
}

#[test]
fn banned_constructs_are_absent() {
    let mut files = rust_sources();
    files.extend(rust_tests());
    apply(
        &files,
        &[bans::unwrap, bans::printing, bans::colours, bans::clock, bans::outside_world, bans::defaults_on_reads, bans::unbounded, bans::leftovers],
    );
}

#[test]
fn nothing_names_a_machine_or_a_registry() {
    apply(&text_files(), &[bans::machine_paths, bans::registry_hosts, bans::notes_to_self]);
    apply(&["Cargo.lock".to_owned()], &[bans::lock_sources]);
}

#[test]
fn unsafe_code_is_forbidden() {
    assert!(read("Cargo.toml").contains("unsafe_code = \"forbid\""), "Cargo.toml does not forbid unsafe code");
}

#[test]
fn files_functions_and_lines_stay_small() {
    apply(&rust_sources(), &[sizes::file_length, sizes::function_length]);
    let mut files = rust_sources();
    files.extend(rust_tests());
    apply(&files, &[sizes::line_length]);
}

#[test]
fn queries_only_read_and_carry_the_tag() {
    let files = files_under("src/collect", "sql");
    apply(&files, &[sql::tagged, sql::one_statement, sql::only_reads]);
}

#[test]
fn the_registry_lists_every_check_file() {
    let mut behind = Vec::new();
    for (path, text) in registry::generated_sources(&check_files()) {
        rewrite_when_behind(&path, &text, &mut behind);
    }
    assert!(behind.is_empty(), "rewrote {}: run the tests again", behind.join(", "));
}

#[test]
fn a_check_has_the_id_of_its_file() {
    let files: Vec<String> = check_files().iter().map(registry::CheckFile::path).collect();
    apply(&files, &[registry::id_is_file, registry::defines_one_check]);
}

/// Reads the compiled registry; when that is older than the files, the test above says so first.
#[test]
fn the_readers_list_of_checks_is_current() {
    let mut behind = Vec::new();
    rewrite_when_behind("docs/checks.md", &registry::readers_list(&registry::compiled()), &mut behind);
    assert!(behind.is_empty(), "rewrote {}: run the tests again", behind.join(", "));
}

#[test]
fn checks_speak_plainly() {
    let violations: Vec<Violation> = registry::compiled().iter().flat_map(words::check).collect();
    fail_with(&violations);
}

fn apply(files: &[String], rules: &[Rule]) {
    let mut violations = Vec::new();
    for path in files {
        let text = read(path);
        for rule in rules {
            violations.extend(rule(path, &text));
        }
    }
    fail_with(&violations);
}

fn fail_with(violations: &[Violation]) {
    let lines: Vec<String> = violations.iter().map(Violation::to_string).collect();
    assert!(lines.is_empty(), "{} violations:\n{}", lines.len(), lines.join("\n"));
}

fn rewrite_when_behind(path: &str, text: &str, behind: &mut Vec<String>) {
    let full = root().join(path);
    if fs::read_to_string(&full).is_ok_and(|old| old == text) {
        return;
    }
    let folder = full.parent().expect("a file below the root");
    fs::create_dir_all(folder).expect("create the folder");
    fs::write(&full, text).expect("write the generated file");
    behind.push(path.to_owned());
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

fn rust_sources() -> Vec<String> {
    files_under("src", "rs")
}

fn rust_tests() -> Vec<String> {
    let mut files = files_under("tests", "rs");
    files.extend(files_under("benches", "rs"));
    files
}

/// The rules' own examples name what they ban, so the folder of rules is left out.
fn text_files() -> Vec<String> {
    let kinds = ["rs", "sql", "md", "toml", "sh", "yml", "yaml", "xml", "desktop", "plist", "typ", "json", "svg", "txt", "conf"];
    let mut files: Vec<String> = Vec::new();
    for top in ["src", "tests", "benches", "assets", "packaging", "scripts", "docs", ".ci", ".github"] {
        for kind in kinds {
            files.extend(files_under(top, kind));
        }
    }
    for name in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "Cargo.toml", ".ci/run"] {
        if root().join(name).exists() {
            files.push(name.to_owned());
        }
    }
    files.retain(|path| !path.starts_with("tests/tidy/bans"));
    files
}

fn check_files() -> Vec<registry::CheckFile> {
    let mut files: Vec<registry::CheckFile> =
        files_under("src/checks", "rs").iter().filter_map(|path| registry::CheckFile::from_path(path)).collect();
    files.sort();
    files
}

/// Paths below `top` that end in `.kind`, relative to the root, `/`-separated and sorted.
fn files_under(top: &str, kind: &str) -> Vec<String> {
    let mut found = Vec::new();
    collect_files(&root().join(top), kind, &mut found);
    found.sort();
    found
}

fn collect_files(folder: &Path, kind: &str, found: &mut Vec<String>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.expect("a readable folder").path();
        if path.is_dir() {
            collect_files(&path, kind, found);
        } else if path.extension().is_some_and(|e| e == kind) {
            let relative = path.strip_prefix(root()).expect("below the root");
            found.push(relative.to_string_lossy().replace('\\', "/"));
        }
    }
}
