//! What a bounded sample of keys allows to say of all of them, and the words the Redis checks share.

use crate::evidence::redis::{Instance, KeySample, Pattern, Server};
use crate::evidence::{Cause, Gap, Section};
use crate::finding::{Confidence, Remedy, RemedyKind, Severity};
use crate::text;

/// None of `n` keys drawn: with 95 % certainty fewer than 3 ÷ n of all keys are of that kind ("rule of three").
const RULE_OF_THREE: f64 = 3.0;

/// Keys of one kind that may be there though the sample met none of them, with 95 % certainty; 0 where every key was looked at.
pub fn unseen_max(keys: &KeySample) -> u64 {
    if keys.is_complete || keys.keys_total == 0 {
        return 0;
    }
    let share = (RULE_OF_THREE / keys.keys_sampled.max(1) as f64).min(1.0);
    (keys.keys_total as f64 * share).ceil() as u64
}

/// The sample is too small to say that fewer than `allowed` keys of `what` are there.
pub fn too_few_sampled(instance: &Instance, keys: &KeySample, allowed: u64, what: &str) -> Gap {
    let need = (RULE_OF_THREE * keys.keys_total as f64 / allowed.max(1) as f64).ceil() as u64;
    let cause = Cause::TooFew { have: keys.keys_sampled, need, what: "sampled keys".into() };
    let detail = format!(
        "{} of {} on {} were sampled and none of them is {what}: up to {} of them may be there unseen.",
        text::count(keys.keys_sampled),
        text::plural(keys.keys_total, "key", "keys"),
        instance.name,
        text::count(unseen_max(keys))
    );
    Gap::new(Section::RedisKeys, cause, detail)
}

/// A figure of the sample that needs one more command, with the rule that allows it.
pub fn denied(instance: &Instance, command: &str, rule: &str, what: &str) -> Gap {
    let cause = Cause::Denied { grant: format!("ACL SETUSER advisor {rule}") };
    Gap::new(Section::RedisKeys, cause, format!("{} did not answer {command}, so {what} cannot be told.", instance.name))
}

/// How sure a figure extrapolated from the sample is.
pub fn confidence(keys: &KeySample) -> (Confidence, String) {
    if keys.is_complete {
        return (Confidence::High, "every key was looked at".into());
    }
    let because = format!("{} of {} sampled", text::count(keys.keys_sampled), text::plural(keys.keys_total, "key", "keys"));
    (Confidence::Medium, because)
}

/// Keys of several families together, extrapolated.
pub fn keys_of<'a>(patterns: impl IntoIterator<Item = &'a Pattern>) -> u64 {
    patterns.into_iter().map(|p| p.keys_estimate).sum()
}

/// Bytes of several families together, extrapolated; `None` where none of them was measured.
pub fn bytes_of<'a>(patterns: impl IntoIterator<Item = &'a Pattern>) -> Option<u64> {
    patterns.into_iter().filter_map(|p| p.bytes_estimate).reduce(|a, b| a + b)
}

/// Share 0…1 of the instance's used memory; 0 where either is not known.
pub fn memory_share(bytes: Option<u64>, server: Option<&Server>) -> f64 {
    bytes.zip(server).map_or(0.0, |(b, s)| b as f64 / s.used_memory.max(1) as f64).min(1.0)
}

/// Memory that is worth more than a small step: the smallest instance one can rent has eight times this.
const MEMORY_WORTH: u64 = 32 * 1024 * 1024;

/// By the share of used memory; a large share of a small instance is no more than Low.
pub fn memory_severity(share: f64, bytes: Option<u64>) -> Severity {
    if bytes.is_some_and(|b| b >= MEMORY_WORTH) { Severity::from_share(share) } else { Severity::Low }
}

/// ", about 3.2 MiB", or nothing where it was not measured.
pub fn about_bytes(bytes: Option<u64>) -> String {
    bytes.map_or_else(String::new, |b| format!(", about {}", text::bytes_memory(b)))
}

/// What findings on these families touch.
pub fn touches<'a>(patterns: impl IntoIterator<Item = &'a Pattern>) -> Vec<String> {
    /// Families named in a finding: the first are the largest.
    const TOUCHED_MAX: usize = 5;
    patterns.into_iter().take(TOUCHED_MAX).map(|p| format!("keys:{}", p.pattern)).collect()
}

/// A remedy without lock and undo.
pub fn remedy(kind: RemedyKind, label: &str, text: impl Into<String>, risk: &str) -> Remedy {
    Remedy { kind, label: label.into(), text: text.into(), lock: None, risk: risk.into(), undo: None }
}

/// The fragment of the version found; both where it is not known.
pub fn by_major(major: Option<u8>, v2: &str, v1: &str) -> String {
    match major {
        Some(1) => v1.to_owned(),
        Some(_) => v2.to_owned(),
        None => format!("{v2}\n\n{v1}"),
    }
}

/// Updates every `@medusajs` package that the project names, and `more`: each asks for its peers at its own version, so that npm refuses to
/// update one alone (ERESOLVE; tried from 2.8.8 to 2.21.2).
pub fn update_medusa(more: Option<&str>) -> String {
    let named = "npm install $(grep -o '\"@medusajs/[^\"]*\"' package.json | tr -d '\"' | sed 's/$/@latest/')";
    more.map_or_else(|| named.to_owned(), |package| format!("{named} {package}@latest"))
}

/// Of [`update_medusa`].
pub const UPDATE_RISK: &str =
    "All @medusajs packages go to one version, as they must. Read the release notes between, and run npx medusa db:migrate.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_without_a_kind_bounds_it() {
        let sample =
            |total, sampled, is_complete| KeySample { keys_total: total, keys_sampled: sampled, is_complete, ended_by: None, patterns: Vec::new() };
        assert_eq!(unseen_max(&sample(1_000, 1_000, true)), 0);
        assert_eq!(unseen_max(&sample(100_000, 10_000, false)), 30);
        assert_eq!(unseen_max(&sample(100_000, 1, false)), 100_000);
        assert_eq!(unseen_max(&sample(0, 0, false)), 0);
    }

    #[test]
    fn a_large_share_of_little_memory_is_low() {
        assert_eq!(memory_severity(0.9, Some(MEMORY_WORTH - 1)), Severity::Low);
        assert_eq!(memory_severity(0.9, Some(MEMORY_WORTH)), Severity::High);
        assert_eq!(memory_severity(0.9, None), Severity::Low);
    }
}
