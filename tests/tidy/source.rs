//! What the rules need to know about Rust text, without a parser: which characters are code, and which lines are tests.

/// The text with comments and the contents of strings and characters blanked; lines and columns stay where they were.
pub fn code_only(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = blank_end(&chars, at);
        if end == at {
            out.push(chars[at]);
            at += 1;
        } else {
            out.extend(chars[at..end].iter().map(|&c| if c == '\n' { '\n' } else { ' ' }));
            at = end;
        }
    }
    out
}

/// Where the comment or literal that starts at `at` ends; `at` itself when none starts there.
fn blank_end(chars: &[char], at: usize) -> usize {
    let next = chars.get(at + 1).copied();
    match chars[at] {
        '/' if next == Some('/') => line_end(chars, at),
        '/' if next == Some('*') => block_comment_end(chars, at),
        '"' => string_end(chars, at + 1),
        'r' if !continues_word(chars, at) => raw_string_end(chars, at + 1).unwrap_or(at),
        'b' if next == Some('r') && !continues_word(chars, at) => raw_string_end(chars, at + 2).unwrap_or(at),
        '\'' => char_literal_end(chars, at).unwrap_or(at),
        _ => at,
    }
}

fn continues_word(chars: &[char], at: usize) -> bool {
    at > 0 && (chars[at - 1].is_alphanumeric() || chars[at - 1] == '_')
}

fn line_end(chars: &[char], at: usize) -> usize {
    (at..chars.len()).find(|&i| chars[i] == '\n').unwrap_or(chars.len())
}

fn block_comment_end(chars: &[char], at: usize) -> usize {
    let mut depth = 0;
    let mut i = at;
    while i + 1 < chars.len() {
        match (chars[i], chars[i + 1]) {
            ('/', '*') => depth += 1,
            ('*', '/') => depth -= 1,
            _ => {
                i += 1;
                continue;
            }
        }
        i += 2;
        if depth == 0 {
            return i;
        }
    }
    chars.len()
}

fn string_end(chars: &[char], mut at: usize) -> usize {
    while at < chars.len() {
        match chars[at] {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    chars.len()
}

/// `at` stands behind the `r`; `None` when no raw string follows (`r` alone, or a raw identifier).
fn raw_string_end(chars: &[char], at: usize) -> Option<usize> {
    let hashes = chars[at..].iter().take_while(|&&c| c == '#').count();
    if chars.get(at + hashes) != Some(&'"') {
        return None;
    }
    let body = at + hashes + 1;
    let closes = |i: usize| chars[i] == '"' && chars[i + 1..].iter().take_while(|&&c| c == '#').count() >= hashes;
    Some((body..chars.len()).find(|&i| closes(i)).map_or(chars.len(), |i| i + 1 + hashes))
}

/// `None` for a lifetime.
fn char_literal_end(chars: &[char], at: usize) -> Option<usize> {
    match (chars.get(at + 1)?, chars.get(at + 2)?) {
        ('\\', _) => (at + 3..chars.len()).find(|&i| chars[i] == '\'').map(|i| i + 1),
        (_, '\'') => Some(at + 3),
        _ => None,
    }
}

/// The code of `code_only` with every item behind `#[cfg(test)]` blanked too.
pub fn product_code(text: &str) -> String {
    let code = code_only(text);
    let mut out: Vec<char> = code.chars().collect();
    let marker: Vec<char> = "#[cfg(test)]".chars().collect();
    let mut at = 0;
    while at + marker.len() <= out.len() {
        if out[at..at + marker.len()] != marker[..] {
            at += 1;
            continue;
        }
        let end = item_end(&out, at + marker.len());
        for c in &mut out[at..end] {
            if *c != '\n' {
                *c = ' ';
            }
        }
        at = end;
    }
    out.into_iter().collect()
}

/// An item ends at its `;` or behind the brace that closes its first `{`.
fn item_end(chars: &[char], from: usize) -> usize {
    let mut depth = 0_usize;
    for (i, &c) in chars.iter().enumerate().skip(from) {
        match c {
            '{' => depth += 1,
            '}' if depth <= 1 => return i + 1,
            '}' => depth -= 1,
            ';' if depth == 0 => return i + 1,
            _ => {}
        }
    }
    chars.len()
}

/// The line, from 1, of a byte offset.
pub fn line_of(text: &str, offset: usize) -> usize {
    text[..offset].matches('\n').count() + 1
}

/// Byte offsets of `word` where no letter, digit or underscore touches it.
pub fn words(code: &str, word: &str) -> Vec<usize> {
    let inner = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word).map(|(at, _)| at).filter(|&at| !code[..at].ends_with(inner) && !code[at + word.len()..].starts_with(inner)).collect()
}

/// The crate's top-level module of a path below `src`: `src/ui/theme.rs` is `ui`, `src/plan.rs` is `plan`.
pub fn module_of(path: &str) -> Option<&str> {
    let below = path.strip_prefix("src/")?;
    Some(below.split('/').next().unwrap_or(below).trim_end_matches(".rs"))
}

#[test]
fn comments_and_strings_are_not_code() {
    let text = "let a = \"x.unwrap()\"; // .unwrap()\n/* a /* b */ c */ let b = r#\"\"quoted\"\"#;\nlet c = '\"'; let d: &'a str = e;";
    let code = code_only(text);
    assert!(!code.contains("unwrap") && !code.contains("quoted") && !code.contains("c */"), "{code}");
    assert!(code.contains("let b =") && code.contains("let d: &'a str = e;"), "{code}");
    assert_eq!(code.lines().count(), text.lines().count());
}

#[test]
fn escapes_end_where_rust_says() {
    assert_eq!(code_only(r#"a("\\"); b("\""); c('\''); d"#).split_whitespace().last(), Some("d"));
    assert!(code_only(r##"let r#type = b"x"; keep"##).contains("keep"));
}

#[test]
fn test_modules_are_not_product_code() {
    let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() { x.unwrap() }\n}\nfn c() {}\n";
    let code = product_code(text);
    assert!(code.contains("fn a") && code.contains("fn c") && !code.contains("unwrap"), "{code}");
    assert!(product_code("#[cfg(test)]\nuse a::b;\nfn c() {}").contains("fn c"));
}

#[test]
fn words_stand_alone() {
    assert_eq!(words("use tokio::time; not_tokio::x; tokio_util::y", "tokio"), vec![4]);
    assert_eq!(module_of("src/ui/theme.rs"), Some("ui"));
    assert_eq!(module_of("src/plan.rs"), Some("plan"));
    assert_eq!(line_of("a\nb\nc", 4), 3);
}
