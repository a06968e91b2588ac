//! The marks of GitHub-flavoured Markdown: tables, code and text that means itself.

use std::fmt::Write as _;

use crate::text;

pub(super) fn table(columns: &[&str], rows: Vec<Vec<String>>) -> String {
    aligned_table(columns, &vec![false; columns.len()], rows)
}

/// Cells are escaped already; a pipe or line break in them would end the cell.
pub(super) fn aligned_table(columns: &[&str], right: &[bool], rows: Vec<Vec<String>>) -> String {
    let mut out = String::new();
    let heads: Vec<String> = columns.iter().map(|c| escape(c)).collect();
    let _ = writeln!(out, "| {} |", heads.join(" | "));
    let rule: Vec<&str> = right.iter().map(|r| if *r { "---:" } else { "---" }).collect();
    let _ = writeln!(out, "| {} |", rule.join(" | "));
    for row in rows {
        let _ = writeln!(out, "| {} |", row.join(" | "));
    }
    out.push('\n');
    out
}

/// Text that means itself wherever it stands on a line.
pub(super) fn escape(text: &str) -> String {
    let line = text.split(['\n', '\r']).collect::<Vec<_>>().join(" ");
    let chars: Vec<char> = line.chars().collect();
    let mut out = String::with_capacity(line.len() + 8);
    for (i, c) in chars.iter().enumerate() {
        let is_inside_word = |j: Option<usize>| j.and_then(|j| chars.get(j)).is_some_and(|c| c.is_alphanumeric());
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            // GitHub turns these into mentions and issue links.
            '@' => out.push_str("&#64;"),
            '#' => out.push_str("&#35;"),
            '_' if is_inside_word(i.checked_sub(1)) && is_inside_word(Some(i + 1)) => out.push('_'),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '$' => {
                out.push('\\');
                out.push(*c);
            }
            _ => out.push(*c),
        }
    }
    out
}

/// Escaped, and safe at the start of a line too.
pub(super) fn paragraph(text: &str) -> String {
    let escaped = escape(text.trim_start());
    let digits = escaped.chars().take_while(char::is_ascii_digit).count();
    let is_list = escaped.starts_with(['-', '+', '=']) || (digits > 0 && escaped[digits..].starts_with(['.', ')']));
    match (is_list, digits) {
        (false, _) => escaped,
        (true, 0) => format!("\\{escaped}"),
        (true, n) => format!("{}\\{}", &escaped[..n], &escaped[n..]),
    }
}

/// Text inside an HTML tag that Markdown passes through.
pub(super) fn tag_text(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Inline code inside a table, where a pipe ends the cell even between backticks.
pub(super) fn code_cell(text: &str) -> String {
    code(text).replace('|', "\\|")
}

/// Inline code.
pub(super) fn code(text: &str) -> String {
    let line = text::one_line(text);
    let ticks = "`".repeat(longest_run(&line) + 1);
    let pad = if line.starts_with('`') || line.ends_with('`') || line.is_empty() { " " } else { "" };
    format!("{ticks}{pad}{line}{pad}{ticks}")
}

/// A fenced block whose fence is longer than any run of backticks inside.
pub(super) fn fence(language: &str, text: &str) -> String {
    let ticks = "`".repeat(longest_run(text).max(2) + 1);
    let language: String = language.chars().filter(char::is_ascii_alphanumeric).collect();
    format!("{ticks}{language}\n{}\n{ticks}\n", text.trim_end_matches('\n'))
}

fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_means_itself() {
        assert_eq!(escape("a|b <script> *x* `y` @me #1"), "a\\|b &lt;script&gt; \\*x\\* \\`y\\` &#64;me &#35;1");
        assert_eq!(escape("product_id _x_"), "product_id \\_x\\_");
        assert_eq!(paragraph("1. no list"), "1\\. no list");
        assert_eq!(paragraph("606 calls"), "606 calls");
        assert_eq!(paragraph("- no list"), "\\- no list");
    }

    #[test]
    fn code_cannot_end_its_own_fence() {
        assert_eq!(fence("sql", "a\n```\nb"), "````sql\na\n```\nb\n````\n");
        assert_eq!(code("a`b|c"), "``a`b|c``");
        assert_eq!(code_cell("a`b|c"), "``a`b\\|c``");
    }
}
