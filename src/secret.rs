//! A value that must reach neither model, snapshot, report, log nor error text.

use std::fmt;

/// A password or token. No `Display`, no `Serialize`; `Debug` is masked. The text is wiped from sight, not from memory.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    /// Takes charge of `value`.
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself, at the one place where it is handed to a client library.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(••••)")
    }
}

/// Removes what may be a password from a text of foreign origin (an error message, a URL) before it is shown.
///
/// Every `scheme://user:password@` loses its password, and so does every `key=value` and `"key": "value"` whose key names a secret.
pub fn redact(text: &str) -> String {
    redact_assignments(&redact_userinfo(text))
}

fn redact_userinfo(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(i) = rest.find("://") {
        let (head, tail) = rest.split_at(i + 3);
        out.push_str(head);
        let end = tail.find(|c: char| c.is_whitespace() || matches!(c, '/' | '?' | '#' | '"' | '\'')).unwrap_or(tail.len());
        // The last '@' ends the user part: passwords pasted unescaped may hold one themselves.
        match tail[..end].rfind('@') {
            Some(at) => {
                match tail[..at].find(':') {
                    Some(colon) => {
                        out.push_str(&tail[..colon]);
                        out.push_str(":••••");
                    }
                    None => out.push_str(&tail[..at]),
                }
                rest = &tail[at..];
            }
            None => rest = tail,
        }
    }
    out.push_str(rest);
    out
}

const SECRET_KEYS: [&str; 8] = ["password", "passwd", "pwd", "token", "secret", "api_key", "apikey", "authorization"];

fn redact_assignments(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    let mut i = 0;
    while i < text.len() {
        let key = SECRET_KEYS.iter().find(|k| lower[i..].starts_with(**k));
        let Some(key) = key else {
            i += text[i..].chars().next().map_or(1, char::len_utf8);
            continue;
        };
        let after = i + key.len();
        let gap = text[after..].find(|c: char| !matches!(c, ' ' | '"' | '\'')).map_or(text.len(), |n| after + n);
        i = after;
        if !text[gap..].starts_with(['=', ':']) {
            continue;
        }
        let value = text[gap + 1..].find(|c: char| !matches!(c, ' ' | '"' | '\'')).map_or(text.len(), |n| gap + 1 + n);
        let end = text[value..].find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '&' | ',' | ';')).map_or(text.len(), |n| value + n);
        if end > value {
            out.push_str(&text[from..value]);
            out.push_str("••••");
            from = end;
            i = end;
        }
    }
    out.push_str(&text[from..]);
    out
}

/// Replaces e-mail addresses in a text of foreign origin (an application's name, an index's predicate) by `<address 1>`, numbered through
/// `seen` in the order met: texts that differ in their addresses still differ.
pub fn without_addresses(text: &str, seen: &mut Vec<String>) -> String {
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '%' | '+' | '-');
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('@') {
        let start = rest[..at].rfind(|c| !is_part(c)).map_or(0, |i| i + rest[i..].chars().next().map_or(1, char::len_utf8));
        let end = rest[at + 1..].find(|c| !is_part(c)).map_or(rest.len(), |i| at + 1 + i);
        if start == at || end == at + 1 {
            // An operator, not an address.
            out.push_str(&rest[..=at]);
            rest = &rest[at + 1..];
            continue;
        }
        let address = rest[start..end].to_lowercase();
        let number = seen.iter().position(|a| *a == address).unwrap_or_else(|| {
            seen.push(address);
            seen.len() - 1
        });
        out.push_str(&rest[..start]);
        out.push_str(&format!("<address {}>", number + 1));
        rest = &rest[end..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_leave_foreign_texts_and_stay_apart() {
        let mut seen = Vec::new();
        assert_eq!(without_addresses("(email <> 'Bob@x.io'::text)", &mut seen), "(email <> '<address 1>'::text)");
        assert_eq!(without_addresses("a@x.io, bob@x.io é@y.io", &mut seen), "<address 2>, <address 1> <address 3>");
        assert_eq!(without_addresses("data @> '{}' and b <@ c", &mut seen), "data @> '{}' and b <@ c");
        assert_eq!(without_addresses("psql", &mut seen), "psql");
    }

    #[test]
    fn debug_is_masked() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "Secret(••••)");
    }

    #[test]
    fn passwords_leave_foreign_texts() {
        assert_eq!(redact("postgres://u:hunter2@db/x failed"), "postgres://u:••••@db/x failed");
        assert_eq!(redact("redis://:p@ss@h:6379"), "redis://:••••@h:6379");
        assert_eq!(redact("host=h password=hunter2 user=u"), "host=h password=•••• user=u");
        assert_eq!(redact(r#"{"token": "abc", "a": 1}"#), r#"{"token": "••••", "a": 1}"#);
        assert_eq!(redact("https://shop.example/p?x=1"), "https://shop.example/p?x=1");
        assert_eq!(redact("password authentication failed for user \"u\""), "password authentication failed for user \"u\"");
    }
}
