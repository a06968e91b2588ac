//! How long files, functions and lines may be.

use super::Violation;
use super::source::{code_only, line_of, product_code, words};

/// Lines in a file, tests at its foot included.
const FILE_LINES_MAX: usize = 450;
/// Lines in a function, from its `fn` to its closing brace.
const FUNCTION_LINES_MAX: usize = 60;
/// Characters in a line. rustfmt wraps code at 150; what it leaves longer is text, and text can be wrapped by hand.
const LINE_CHARS_MAX: usize = 160;

pub fn file_length(path: &str, text: &str) -> Vec<Violation> {
    let lines = text.lines().count();
    if lines <= FILE_LINES_MAX {
        return Vec::new();
    }
    let message = format!("{lines} lines, {FILE_LINES_MAX} are allowed: split it by what changes together");
    vec![Violation::new(path, 0, message)]
}

pub fn function_length(path: &str, text: &str) -> Vec<Violation> {
    let code = product_code(text);
    let mut found = Vec::new();
    for start in words(&code, "fn") {
        let Some((name, end)) = function_at(&code, start) else { continue };
        let lines = line_of(&code, end) - line_of(&code, start) + 1;
        if lines > FUNCTION_LINES_MAX {
            let message = format!("{name} has {lines} lines, {FUNCTION_LINES_MAX} are allowed: split it");
            found.push(Violation::new(path, line_of(&code, start), message));
        }
    }
    found
}

/// The name of the function whose `fn` stands at `start`, and where its body ends; `None` for a type or a bare signature.
fn function_at(code: &str, start: usize) -> Option<(&str, usize)> {
    let rest = code[start + 2..].strip_prefix(' ')?;
    let name_end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_'))?;
    let body = start + code[start..].find(['{', ';'])?;
    if code[body..].starts_with(';') || name_end == 0 {
        return None;
    }
    let mut depth = 0_usize;
    for (i, c) in code[body..].char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some((&rest[..name_end], body + i));
        }
    }
    None
}

/// Code and comments stay within the limit. The contents of strings do not count: words for the reader and remedies are one piece each,
/// and the formatter leaves them whole.
pub fn line_length(path: &str, text: &str) -> Vec<Violation> {
    let code = code_only(text);
    let is_long = |(line, code): &(&str, &str)| {
        let counted = if line.trim_start().starts_with("//") { line.chars().count() } else { code.chars().filter(|c| !c.is_whitespace()).count() };
        counted > LINE_CHARS_MAX && !line.contains("https://")
    };
    let lines = text.lines().zip(code.lines()).enumerate().filter(|(_, pair)| is_long(pair));
    lines
        .map(|(i, (line, _))| {
            let message = format!("{} characters, {LINE_CHARS_MAX} are allowed", line.chars().count());
            Violation::new(path, i + 1, message)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_files_are_named() {
        assert_eq!(file_length("src/a.rs", &"x\n".repeat(FILE_LINES_MAX)), vec![]);
        assert_eq!(file_length("src/a.rs", &"x\n".repeat(FILE_LINES_MAX + 1)).len(), 1);
    }

    #[test]
    fn long_functions_are_named_with_their_line() {
        let body = |lines: usize| format!("struct A;\nfn long() {{\n{}}}\n", "    a();\n".repeat(lines - 2));
        assert_eq!(function_length("src/a.rs", &body(FUNCTION_LINES_MAX)), vec![]);
        let found = function_length("src/a.rs", &body(FUNCTION_LINES_MAX + 1));
        assert_eq!(found.len(), 1);
        assert!(found[0].line == 2 && found[0].message.starts_with("long has 61 lines"), "{found:?}");
    }

    #[test]
    fn function_types_and_braces_in_strings_do_not_confuse() {
        let text = format!("a: fn(&str) -> B,\nfn short() {{ \"{{\" }}\n{}", "x();\n".repeat(80));
        assert_eq!(function_length("src/a.rs", &text), vec![]);
    }

    #[test]
    fn long_lines_are_named_unless_they_hold_an_address() {
        let long = "x".repeat(LINE_CHARS_MAX + 1);
        assert_eq!(line_length("src/a.rs", &format!("a\n{long}"))[0].line, 2);
        assert_eq!(line_length("src/a.rs", &long[1..]), vec![]);
        assert_eq!(line_length("src/a.rs", &format!("// https://{long}")), vec![]);
        assert_eq!(line_length("src/a.rs", &format!("// {long}")).len(), 1);
        assert_eq!(line_length("src/a.rs", &format!("let words = \"{long}\";")), vec![]);
    }
}
