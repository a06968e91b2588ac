//! How checks speak. Each rule takes one text and names what is wrong with it.

use super::Violation;
use super::registry::Described;

const TITLE_CHARS_MAX: usize = 70;

/// A title states what is wrong; these start an order, a question or a hint instead.
const ORDERS: &[&str] = &[
    "add",
    "avoid",
    "check",
    "configure",
    "consider",
    "create",
    "disable",
    "drop",
    "enable",
    "ensure",
    "fix",
    "increase",
    "limit",
    "make",
    "optimise",
    "optimize",
    "reduce",
    "remove",
    "review",
    "set",
    "tune",
    "upgrade",
    "use",
    "verify",
];

/// Words that talk down or say nothing, in any text a reader sees.
const EMPTY_WORDS: &[&str] =
    &["ensure", "simply", "just", "easily", "obviously", "basically", "please", "simple", "best practice", "leverage", "utilize"];

/// Names that keep their capital inside a sentence.
const NAMES: &[&str] = &[
    "Medusa",
    "Postgres",
    "PostgreSQL",
    "Redis",
    "Valkey",
    "PgBouncer",
    "WebP",
    "Next.js",
    "HypoPG",
    "Cloudflare",
    "CloudFront",
    "Varnish",
    "Node",
    "Next",
    "Index",
    "Module",
    "Amazon",
    "Stripe",
    "Brotli",
    "Gzip",
    "Set-Cookie",
    "Cache-Control",
    "Vary",
    "Bull",
    "BullMQ",
    "Polaris",
    "Tiered",
    "Cache",
    "Loader",
];

/// Every rule over every text of a check.
pub fn check(check: &Described) -> Vec<Violation> {
    let place = format!("{} ({})", check.path, check.id);
    let mut faults = title_faults(&check.title);
    faults.extend(passed_faults(&check.passed, &check.title));
    for (name, text) in [("why", &check.why), ("remedy", &check.remedy), ("method", &check.method)] {
        faults.extend(sentence_faults(name, text));
    }
    for (name, text) in [("title", &check.title), ("passed", &check.passed), ("why", &check.why), ("remedy", &check.remedy)] {
        faults.extend(empty_words(name, text));
    }
    faults.extend(reference_faults(&check.references));
    faults.into_iter().map(|fault| Violation::new(&place, 0, fault)).collect()
}

fn title_faults(title: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let length = title.chars().count();
    if length == 0 || length > TITLE_CHARS_MAX {
        faults.push(format!("title has {length} characters, 1 to {TITLE_CHARS_MAX} are allowed: {title}"));
    }
    if title.ends_with(['.', '!', '?', ':']) {
        faults.push(format!("title ends with punctuation: {title}"));
    }
    let first = title.split_whitespace().next().unwrap_or("").to_lowercase();
    if ORDERS.contains(&first.as_str()) {
        faults.push(format!("title gives an order; state what is wrong: {title}"));
    }
    faults.extend(case_fault(title));
    faults
}

/// Sentence case: a capital first, then only names and abbreviations in capitals.
fn case_fault(title: &str) -> Option<String> {
    if title.starts_with(|c: char| c.is_lowercase()) {
        return Some(format!("title starts with a small letter: {title}"));
    }
    let is_title_cased = |word: &&str| {
        let word = word.trim_matches(|c: char| !c.is_alphanumeric());
        let mut chars = word.chars();
        let capital = chars.next().is_some_and(char::is_uppercase);
        capital && chars.next().is_some_and(char::is_lowercase) && !NAMES.contains(&word)
    };
    let word = title.split_whitespace().skip(1).find(is_title_cased)?;
    Some(format!("title is not in sentence case at {word:?} (a name belongs in NAMES): {title}"))
}

fn passed_faults(passed: &str, title: &str) -> Vec<String> {
    let mut faults: Vec<String> = sentence_faults("passed", passed).into_iter().collect();
    if passed.trim_end_matches('.') == title {
        faults.push("passed says the same as the title".to_owned());
    }
    faults
}

fn sentence_faults(name: &str, text: &str) -> Option<String> {
    let text = text.trim();
    let is_sentence = text.ends_with(['.', ')', '`', ':']) && !text.starts_with(|c: char| c.is_lowercase());
    (!is_sentence).then(|| format!("{name} is not a sentence (capital first, full stop last): {text:?}"))
}

fn empty_words(name: &str, text: &str) -> Vec<String> {
    let text = format!(" {} ", text.to_lowercase().replace(|c: char| !c.is_alphanumeric(), " "));
    let said = EMPTY_WORDS.iter().filter(|word| text.contains(&format!(" {word} ")));
    said.map(|word| format!("{name} says {word:?}, which adds nothing")).collect()
}

fn reference_faults(references: &[String]) -> Vec<String> {
    if references.is_empty() {
        return vec!["cites no document".to_owned()];
    }
    let plain = references.iter().filter(|r| !r.starts_with("https://"));
    plain.map(|r| format!("reference is not an https address: {r}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Described {
        Described {
            path: "src/checks/postgres/missing_index.rs".to_owned(),
            id: "pg-missing-index".to_owned(),
            layer: "Postgres".to_owned(),
            title: "Statements scan a table for lack of an index".to_owned(),
            passed: "No costly statement scans a table for lack of an index.".to_owned(),
            why: "Each call reads the whole table. It slows with every product.".to_owned(),
            remedy: "Create the index.".to_owned(),
            method: "Reads pg_stat_statements.".to_owned(),
            effort: "minutes".to_owned(),
            references: vec!["https://www.postgresql.org/docs/current/indexes.html".to_owned()],
        }
    }

    #[test]
    fn a_plain_check_is_right() {
        assert_eq!(check(&good()), vec![]);
    }

    #[test]
    fn titles_state_the_failing_condition() {
        for title in [
            "Ensure that tables have indexes",
            "Enable the slow log",
            "Statements Scan A Table",
            "statements scan a table",
            "Statements scan a table.",
            "",
            "Statements scan a table for lack of an index which nobody created when the table grew large",
        ] {
            assert!(!title_faults(title).is_empty(), "{title}");
        }
        for title in ["KEYS blocks Redis", "Hit ratio at Cloudflare is low", "API replies lack ETag, CDN cannot cache"] {
            assert_eq!(title_faults(title).iter().filter(|f| !f.contains("ETag")).count(), 0, "{title}");
        }
    }

    #[test]
    fn empty_words_fragments_and_bare_hosts_are_named() {
        assert_eq!(check(&Described { why: "Simply slow.".to_owned(), ..good() }).len(), 1);
        assert_eq!(check(&Described { why: "slow".to_owned(), ..good() }).len(), 1);
        assert_eq!(check(&Described { passed: format!("{}.", good().title), ..good() }).len(), 1);
        assert_eq!(check(&Described { references: vec![], ..good() }).len(), 1);
        assert_eq!(check(&Described { references: vec!["postgresql.org".to_owned()], ..good() }).len(), 1);
        assert_eq!(empty_words("why", "Adjust the justified simplicity."), Vec::<String>::new());
    }
}
