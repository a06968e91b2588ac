//! The list of checks: from files to the generated modules, and from the compiled registry to the reader's list.

use super::Violation;
use super::source::{code_only, product_code};
use medusa_advisor::checks::registry;
use std::fmt::Write as _;

/// Folder below `src/checks`, prefix of its ids, name for readers; in the order of generated lists.
const LAYERS: &[(&str, &str, &str)] =
    &[("app", "app", "application"), ("cdn", "cdn", "CDN"), ("postgres", "pg", "Postgres"), ("redis", "redis", "Redis")];

/// A file that holds one check: `src/checks/postgres/missing_index.rs`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CheckFile {
    pub folder: String,
    pub stem: String,
}

impl CheckFile {
    /// `None` for `mod.rs` and for the shared readers, which lie in `src/checks` or in a folder that is no layer.
    pub fn from_path(path: &str) -> Option<Self> {
        let (folder, file) = path.strip_prefix("src/checks/")?.split_once('/')?;
        let stem = file.strip_suffix(".rs")?;
        let is_layer = LAYERS.iter().any(|(name, _, _)| *name == folder);
        (is_layer && stem != "mod" && !stem.contains('/')).then(|| Self { folder: folder.to_owned(), stem: stem.to_owned() })
    }

    pub fn path(&self) -> String {
        format!("src/checks/{}/{}.rs", self.folder, self.stem)
    }

    /// `postgres/missing_index.rs` is `pg-missing-index`.
    pub fn id(&self) -> String {
        let prefix = LAYERS.iter().find(|(folder, _, _)| *folder == self.folder).map_or("unknown", |(_, prefix, _)| prefix);
        format!("{prefix}-{}", self.stem.replace('_', "-"))
    }
}

/// What a reader or a rule about words needs of a compiled check.
#[derive(Debug, Clone)]
pub struct Described {
    pub path: String,
    pub id: String,
    pub layer: String,
    pub title: String,
    pub passed: String,
    pub why: String,
    pub remedy: String,
    pub method: String,
    pub effort: String,
    pub references: Vec<String>,
}

/// The registry as it was compiled, in its own order.
pub fn compiled() -> Vec<Described> {
    let owned = |text: &str| text.to_owned();
    let described = |check: &&medusa_advisor::checks::Check| {
        let (folder, layer, stem) = place_of(check.id);
        Described {
            path: format!("src/checks/{folder}/{stem}.rs"),
            id: owned(check.id),
            layer: owned(layer),
            title: owned(check.title),
            passed: owned(check.passed),
            why: owned(check.why),
            remedy: owned(check.remedy),
            method: owned(check.method),
            effort: owned(check.effort.id()),
            references: check.references.iter().map(|r| owned(r)).collect(),
        }
    };
    registry::ALL.iter().map(described).collect()
}

/// Folder, reader's name of the layer and file stem that an id stands for.
fn place_of(id: &str) -> (&'static str, &'static str, String) {
    let of = |(folder, prefix, layer): &(&'static str, &'static str, &'static str)| {
        let rest = id.strip_prefix(prefix)?.strip_prefix('-')?;
        Some((*folder, *layer, rest.replace('-', "_")))
    };
    LAYERS.iter().find_map(of).unwrap_or(("unknown", "unknown", id.to_owned()))
}

/// The registry and each layer's `mod.rs`, as path and text.
pub fn generated_sources(files: &[CheckFile]) -> Vec<(String, String)> {
    let mut sources = vec![("src/checks/registry.rs".to_owned(), registry_text(files))];
    for (folder, _, reader) in LAYERS {
        let mut text = format!("//! The {reader} checks, one file each. This list is written by `tests/tidy.rs`.\n");
        for (i, file) in files.iter().filter(|file| file.folder == *folder).enumerate() {
            let gap = if i == 0 { "\n" } else { "" };
            text.push_str(&format!("{gap}pub mod {};\n", file.stem));
        }
        sources.push((format!("src/checks/{folder}/mod.rs"), text));
    }
    sources
}

fn registry_text(files: &[CheckFile]) -> String {
    let mut text = "//! Every check. Written by `tests/tidy.rs`: run the tests twice after adding a file.\n\n\
                    use super::Check;\n\n\
                    /// Sorted by folder and file name.\n\
                    #[rustfmt::skip]\n\
                    pub static ALL: &[&Check] = &[\n"
        .to_owned();
    for file in files {
        writeln!(text, "    &super::{}::{}::CHECK,", file.folder, file.stem).expect("writing to a string");
    }
    text.push_str("];\n");
    text
}

/// `docs/checks.md`: a table to look up, then each check's reason.
pub fn readers_list(checks: &[Described]) -> String {
    let mut text = format!(
        "# The checks\n\nWritten by `tests/tidy.rs` from the registry; do not edit. {} checks. \
         `medusa-advisor checks ID` prints one in full.\n\n\
         | id | layer | fires when | typical effort |\n| --- | --- | --- | --- |\n",
        checks.len()
    );
    for check in checks {
        let Described { id, layer, title, effort, .. } = check;
        writeln!(text, "| [{id}](#{id}) | {layer} | {} | {effort} |", title.replace('|', "\\|")).expect("writing to a string");
    }
    for check in checks {
        write!(
            text,
            "\n## {}\n\n**{}.** {}\n\n*What to do:* {}\n\n*How it decides:* {}\n",
            check.id, check.title, check.why, check.remedy, check.method
        )
        .expect("writing to a string");
        if !check.references.is_empty() {
            let links: Vec<String> = check.references.iter().map(|r| format!("<{r}>")).collect();
            write!(text, "\n*Read:* {}\n", links.join(", ")).expect("writing to a string");
        }
    }
    text
}

/// The id in the text is the one its file name gives.
pub fn id_is_file(path: &str, text: &str) -> Vec<Violation> {
    let Some(file) = CheckFile::from_path(path) else { return Vec::new() };
    let expected = file.id();
    // Strings are blanked in the code, so the place is found there and the value read from the text.
    let code: Vec<char> = product_code(text).chars().collect();
    let chars: Vec<char> = text.chars().collect();
    let Some(at) = code.windows(4).position(|w| w == [' ', 'i', 'd', ':']) else {
        return vec![Violation::new(path, 0, format!("no check with the id {expected:?}"))];
    };
    let value: String = chars[at + 4..].iter().skip_while(|c| **c != '"').skip(1).take_while(|c| **c != '"').collect();
    if value == expected {
        return Vec::new();
    }
    let line = chars[..at].iter().filter(|c| **c == '\n').count() + 1;
    vec![Violation::new(path, line, format!("the id is {value:?}; the file's name gives {expected:?}"))]
}

pub fn defines_one_check(path: &str, text: &str) -> Vec<Violation> {
    let code = code_only(text);
    let count = code.matches("pub static CHECK: Check").count() + code.matches("pub const CHECK: Check").count();
    if count == 1 {
        return Vec::new();
    }
    vec![Violation::new(path, 0, format!("defines {count} public CHECKs; a check file defines one"))]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str) -> CheckFile {
        CheckFile::from_path(path).unwrap()
    }

    #[test]
    fn paths_become_ids() {
        assert_eq!(file("src/checks/postgres/missing_index.rs").id(), "pg-missing-index");
        assert_eq!(file("src/checks/cdn/absent.rs").id(), "cdn-absent");
        assert_eq!(CheckFile::from_path("src/checks/postgres/mod.rs"), None);
        assert_eq!(CheckFile::from_path("src/checks/workload.rs"), None);
        assert_eq!(place_of("pg-missing-index"), ("postgres", "Postgres", "missing_index".to_owned()));
    }

    #[test]
    fn generated_files_list_every_check() {
        let sources = generated_sources(&[file("src/checks/postgres/a.rs"), file("src/checks/postgres/b.rs")]);
        assert!(sources[0].1.contains("&[\n    &super::postgres::a::CHECK,\n    &super::postgres::b::CHECK,\n];\n"));
        let (path, postgres) = &sources[3];
        assert_eq!(path, "src/checks/postgres/mod.rs");
        assert!(postgres.ends_with("\n\npub mod a;\npub mod b;\n"), "{postgres}");
        assert!(!sources[1].1.contains("pub mod"));
    }

    #[test]
    fn an_id_that_is_not_its_file_is_named_with_its_line() {
        let text = "use super::Check;\npub static CHECK: Check = Check {\n    id: \"pg-other\",\n};\n";
        let found = id_is_file("src/checks/postgres/missing_index.rs", text);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].line, 3);
        assert_eq!(id_is_file("src/checks/postgres/other.rs", text), vec![]);
        assert_eq!(id_is_file("src/checks/postgres/other.rs", "fn a() {}").len(), 1);
    }

    #[test]
    fn a_file_holds_exactly_one_check() {
        assert_eq!(defines_one_check("a.rs", "pub static CHECK: Check = Check { };"), vec![]);
        assert_eq!(defines_one_check("a.rs", "// pub static CHECK: Check").len(), 1);
    }
}
