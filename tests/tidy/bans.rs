//! What must not be written, and what to write instead.

use super::Violation;
use super::source::{code_only, line_of, module_of, product_code, words};

/// Modules whose results may depend on their arguments only: "now" is the snapshot's time.
const CLOCKLESS: &[&str] = &["text", "secret", "evidence", "finding", "checks", "plan", "charts", "report", "app"];

pub fn unwrap(path: &str, text: &str) -> Vec<Violation> {
    if module_of(path).is_none() {
        return Vec::new();
    }
    at_each(path, &product_code(text), ".unwrap()", "handle the error, or state the invariant with expect(\"…\")")
}

pub fn printing(path: &str, text: &str) -> Vec<Violation> {
    let Some(module) = module_of(path) else { return Vec::new() };
    if ["cli", "main"].contains(&module) {
        return Vec::new();
    }
    let code = product_code(text);
    let macros = ["println", "print", "eprintln", "eprint"];
    let offsets = macros.iter().flat_map(|name| words(&code, name).into_iter().map(move |at| (at, at + name.len())));
    offsets
        .filter(|&(_, end)| code[end..].starts_with('!'))
        .map(|(at, _)| Violation::new(path, line_of(&code, at), "only cli prints: return the text, or use tracing"))
        .collect()
}

pub fn colours(path: &str, text: &str) -> Vec<Violation> {
    if module_of(path).is_none() || path == "src/ui/theme.rs" || path.starts_with("src/ui/theme/") {
        return Vec::new();
    }
    at_each(path, &product_code(text), "Color32::from_", "colours are named by role in ui/theme.rs: use a token")
}

pub fn clock(path: &str, text: &str) -> Vec<Violation> {
    if !module_of(path).is_some_and(|m| CLOCKLESS.contains(&m)) {
        return Vec::new();
    }
    let code = product_code(text);
    ["SystemTime::now", "Instant::now", "OffsetDateTime::now", "UtcDateTime::now"]
        .iter()
        .flat_map(|call| at_each(path, &code, call, "a pure module has no clock: take the snapshot's time as an argument"))
        .collect()
}

/// Files, network, processes, the environment and chance stay out of pure modules.
pub fn outside_world(path: &str, text: &str) -> Vec<Violation> {
    if !module_of(path).is_some_and(|m| CLOCKLESS.contains(&m)) {
        return Vec::new();
    }
    let code = product_code(text);
    let instead = "a pure module reads nothing but its arguments: move this to I/O code";
    ["std::fs", "std::net", "std::env", "std::process", "std::thread::sleep", "rand", "fs::read", "fs::write", "File::open"]
        .iter()
        .flat_map(|name| words(&code, name).into_iter().map(move |at| (at, name)))
        .filter(|(at, name)| **name != "rand" || code[at + name.len()..].starts_with("::"))
        .map(|(at, name)| Violation::new(path, line_of(&code, at), format!("{name}: {instead}")))
        .collect()
}

pub fn defaults_on_reads(path: &str, text: &str) -> Vec<Violation> {
    if !module_of(path).is_some_and(|m| ["collect", "connect"].contains(&m)) {
        return Vec::new();
    }
    let instead = "what could not be read is a Gap, not a default: map the error";
    at_each(path, &product_code(text), ".unwrap_or_default()", instead)
}

pub fn unbounded(path: &str, text: &str) -> Vec<Violation> {
    at_each(path, &code_only(text), "unbounded_channel", "memory stays bounded: use a bounded channel")
}

pub fn leftovers(path: &str, text: &str) -> Vec<Violation> {
    let code = code_only(text);
    ["todo!", "unimplemented!", "dbg!"].iter().flat_map(|name| at_each(path, &code, name, "unfinished code is not merged")).collect()
}

pub fn notes_to_self(path: &str, text: &str) -> Vec<Violation> {
    ["TODO", "FIXME", "XXX", "HACK"]
        .iter()
        .flat_map(|mark| words(text, mark))
        .map(|at| Violation::new(path, line_of(text, at), "do it, or open an issue and say why in words"))
        .collect()
}

/// Folders of one person's machine. `/home/<you>` and the like belong in no text.
pub fn machine_paths(path: &str, text: &str) -> Vec<Violation> {
    let mut found = Vec::new();
    for folder in ["/work/", "/root/", "/home/", "/Users/", "C:\\Users\\"] {
        let starts_path = |at: &usize| !text[..*at].ends_with(|c: char| c.is_alphanumeric() || "_.-$}~*".contains(c));
        for (at, _) in text.match_indices(folder).filter(|(at, _)| starts_path(at)) {
            found.push(Violation::new(path, line_of(text, at), format!("{folder} names one machine: use a relative path")));
        }
    }
    found
}

/// Hosts packages are fetched from: the tools know theirs, and mirrors are private.
pub fn registry_hosts(path: &str, text: &str) -> Vec<Violation> {
    let hosts = [
        "index.crates.io",
        "static.crates.io",
        "registry.npmjs.org",
        "files.pythonhosted.org",
        "pypi.org/simple",
        "deb.debian.org",
        "proxy.golang.org",
        "artifactory",
        "/nexus/",
        "codeartifact",
    ];
    hosts.iter().flat_map(|host| at_each(path, text, host, "a registry's address belongs to the machine, not to the project")).collect()
}

/// Every locked package comes from the public registry.
pub fn lock_sources(path: &str, text: &str) -> Vec<Violation> {
    let public = "source = \"registry+https://github.com/rust-lang/crates.io-index\"";
    let is_other = |line: &str| line.starts_with("source = ") && line != public;
    let lines = text.lines().enumerate().filter(|(_, line)| is_other(line));
    lines.map(|(i, line)| Violation::new(path, i + 1, format!("not from the public registry: {line}"))).collect()
}

fn at_each(path: &str, text: &str, needle: &str, instead: &str) -> Vec<Violation> {
    let offsets = text.match_indices(needle).map(|(at, _)| at);
    offsets.map(|at| Violation::new(path, line_of(text, at), format!("{needle}: {instead}"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    type Case = (fn(&str, &str) -> Vec<Violation>, &'static str, &'static str);

    /// Each rule with a path and a text that break it once, on line 2.
    const BAD: &[Case] = &[
        (unwrap, "src/plan.rs", "\nlet a = b.unwrap();"),
        (printing, "src/collect/mod.rs", "\nprintln!(\"a\");"),
        (printing, "src/ui/mod.rs", "\neprintln!(\"a\");"),
        (colours, "src/ui/overview.rs", "\nColor32::from_rgb(1, 2, 3)"),
        (clock, "src/checks/postgres/a.rs", "\nlet now = OffsetDateTime::now_utc();"),
        (clock, "src/report/pdf.rs", "\nlet now = Instant::now();"),
        (outside_world, "src/checks/mod.rs", "\nuse std::fs;"),
        (outside_world, "src/app/mod.rs", "\nstd::env::var(\"HOME\")"),
        (defaults_on_reads, "src/collect/redis/info.rs", "\nline.parse().unwrap_or_default()"),
        (unbounded, "src/runtime.rs", "\nmpsc::unbounded_channel()"),
        (leftovers, "src/plan.rs", "\ntodo!()"),
        (leftovers, "tests/golden.rs", "\ndbg!(a)"),
        (notes_to_self, "README.md", "\nTODO write this"),
        (notes_to_self, "src/plan.rs", "\n// FIXME: later"),
        (machine_paths, "README.md", "\ncd /home/me/shop"),
        (machine_paths, "tests/run.sh", "\nCARGO_TARGET_DIR=/work/target"),
        (registry_hosts, "README.md", "\nhttps://artifactory.example/x"),
        (lock_sources, "Cargo.lock", "\nsource = \"registry+https://mirror.example/index\""),
    ];

    const GOOD: &[Case] = &[
        (unwrap, "src/plan.rs", "a.expect(\"sorted above\"); // .unwrap()\n#[cfg(test)]\nmod tests { fn a() { b.unwrap() } }"),
        (unwrap, "tests/golden.rs", "a.unwrap()"),
        (printing, "src/cli.rs", "println!(\"a\")"),
        (printing, "src/plan.rs", "writeln!(out, \"println!\")"),
        (colours, "src/ui/theme.rs", "Color32::from_rgb(1, 2, 3)"),
        (colours, "src/ui/overview.rs", "Color32::TRANSPARENT"),
        (clock, "src/runtime.rs", "Instant::now()"),
        (clock, "src/plan.rs", "snapshot.meta.taken_at"),
        (outside_world, "src/history/mod.rs", "use std::fs;"),
        (outside_world, "src/plan.rs", "fn operands() { operand::x() }"),
        (defaults_on_reads, "src/report/json.rs", "a.unwrap_or_default()"),
        (unbounded, "src/runtime.rs", "mpsc::channel(64)"),
        (leftovers, "src/plan.rs", "// not yet: todo!"),
        (notes_to_self, "README.md", "Press to do it. HACKING"),
        (machine_paths, "README.md", "~/.config/medusa-advisor, $HOME/work/shop, src/root/x, target/work/x"),
        (registry_hosts, "README.md", "https://crates.io/crates/medusa-advisor"),
        (lock_sources, "Cargo.lock", "source = \"registry+https://github.com/rust-lang/crates.io-index\""),
    ];

    #[test]
    fn each_rule_names_the_line_that_breaks_it() {
        for (rule, path, text) in BAD {
            let found = rule(path, text);
            assert!(!found.is_empty() && found.iter().all(|v| v.line == 2), "{path}: {text}: {found:?}");
        }
    }

    #[test]
    fn each_rule_is_silent_on_what_is_right() {
        for (rule, path, text) in GOOD {
            assert_eq!(rule(path, text), Vec::<Violation>::new(), "{path}: {text}");
        }
    }
}
