//! What a bounded sample of keys allows to say of all of them, and the words the Redis checks share.

use crate::evidence::redis::{DatabaseSample, Instance, KeySample, Pattern, Server};
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
    let unseen = |total: u64, sampled: u64| {
        let share = (RULE_OF_THREE / sampled.max(1) as f64).min(1.0);
        (total as f64 * share).ceil() as u64
    };
    if keys.databases.is_empty() {
        return unseen(keys.keys_total, keys.keys_sampled);
    }
    // What was drawn from one database says nothing of another. Drawn from several, all that was missed lies where the fewest were drawn.
    let drawn = keys.databases.iter().filter(|d| !d.is_complete && d.sampled > 0);
    unreached(keys).map(|d| d.keys).sum::<u64>() + drawn.map(|d| unseen(d.keys, d.sampled)).max().unwrap_or(0)
}

/// Databases with keys that the scan never came to.
fn unreached(keys: &KeySample) -> impl Iterator<Item = &DatabaseSample> {
    keys.databases.iter().filter(|d| d.sampled == 0 && d.keys > 0 && !d.is_complete)
}

/// The scan came to every database that holds keys.
pub fn is_all_reached(keys: &KeySample) -> bool {
    unreached(keys).next().is_none()
}

/// Though the sample met no key of a kind, `allowed` or more may be there, or any number in a database that the scan never came to.
pub fn may_hide(keys: &KeySample, allowed: u64) -> bool {
    unseen_max(keys) >= allowed || !is_all_reached(keys)
}

/// The sample is too small to say that fewer than `allowed` keys of `what` are there.
pub fn too_few_sampled(instance: &Instance, keys: &KeySample, allowed: u64, what: &str) -> Gap {
    let need = (RULE_OF_THREE * keys.keys_total as f64 / allowed.max(1) as f64).ceil() as u64;
    let cause = Cause::TooFew { have: keys.keys_sampled, need, what: "sampled keys".into() };
    let unreached: Vec<String> = unreached(keys).map(|d| d.index.to_string()).collect();
    if !unreached.is_empty() {
        let databases = if unreached.len() == 1 { "database" } else { "databases" };
        let ended = match keys.ended_by.as_deref() {
            Some("seconds") => "ran out of time",
            Some("commands") => "ran out of commands",
            _ => "was cut off",
        };
        let detail = format!(
            "The scan of {} {ended} before it came to {databases} {}: whether {what} is among the keys there is not known.",
            instance.name,
            unreached.join(", "),
        );
        return Gap::new(Section::RedisKeys, cause, detail);
    }
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

/// The error of [`bytes_of`]: families err each on its own. `None` where none of them tells it.
pub fn error_of<'a>(patterns: impl IntoIterator<Item = &'a Pattern>) -> Option<u64> {
    let squares = patterns.into_iter().filter_map(|p| p.bytes_error).map(|e| (e as f64).powi(2)).reduce(|a, b| a + b);
    squares.map(|sum| sum.sqrt().round() as u64)
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
    about_bytes_within(bytes, None)
}

/// The same with the sample's error, where it is told.
pub fn about_bytes_within(bytes: Option<u64>, error: Option<u64>) -> String {
    bytes.map_or_else(String::new, |b| format!(", about {}", estimated(b, error)))
}

/// Share of an estimate below which its error is not worth a word.
const ERROR_TOLD: f64 = 0.05;

/// "3.2 MiB", or "3.2 MiB ± 12 %" where the 95 % interval is wide.
pub fn estimated(bytes: u64, error: Option<u64>) -> String {
    let shown = text::bytes_memory(bytes);
    match error.map(|e| e as f64 / bytes.max(1) as f64) {
        Some(share) if share >= ERROR_TOLD => format!("{shown} ± {}", text::percent(share)),
        _ => shown,
    }
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
        let sample = |total, sampled, is_complete| sample(&[(total, sampled, is_complete)]);
        assert_eq!(unseen_max(&sample(1_000, 1_000, true)), 0);
        assert_eq!(unseen_max(&sample(100_000, 10_000, false)), 30);
        assert_eq!(unseen_max(&sample(100_000, 1, false)), 100_000);
        assert_eq!(unseen_max(&sample(0, 0, false)), 0);
        let older = KeySample { databases: Vec::new(), ..sample(100_000, 10_000, false) };
        assert_eq!(unseen_max(&older), 30);
    }

    #[test]
    fn a_database_says_nothing_of_another() {
        let unreached = sample(&[(200_000, 10_000, false), (800, 0, false)]);
        assert_eq!(unseen_max(&unreached), 60 + 800);
        assert!(may_hide(&unreached, 100_000), "however few are allowed for");
        let both = sample(&[(200_000, 10_000, false), (800, 400, false)]);
        assert_eq!(unseen_max(&both), 60);
        assert!(may_hide(&both, 60) && !may_hide(&both, 61));
        assert_eq!(unseen_max(&sample(&[(900, 900, true), (800, 400, false)])), 6);
        assert!(!may_hide(&sample(&[(900, 900, true), (0, 0, false)]), 1), "an empty database hides nothing");
    }

    /// Of databases: keys, sampled and whether all were.
    fn sample(databases: &[(u64, u64, bool)]) -> KeySample {
        let of = |(i, d): (usize, &(u64, u64, bool))| DatabaseSample { index: i as u32, keys: d.0, sampled: d.1, is_complete: d.2 };
        KeySample {
            keys_total: databases.iter().map(|d| d.0).sum(),
            keys_sampled: databases.iter().map(|d| d.1).sum(),
            is_complete: databases.iter().all(|d| d.2),
            ended_by: None,
            patterns: Vec::new(),
            databases: databases.iter().enumerate().map(of).collect(),
        }
    }

    #[test]
    fn a_wide_error_is_told_with_the_estimate() {
        const MIB: u64 = 1 << 20;
        assert_eq!(about_bytes_within(Some(100 * MIB), Some(4 * MIB)), about_bytes(Some(100 * MIB)));
        assert!(about_bytes_within(Some(100 * MIB), Some(27 * MIB)).ends_with("MiB ± 27\u{a0}%"), "{}", estimated(100 * MIB, Some(27 * MIB)));
        assert_eq!((about_bytes_within(None, Some(MIB)), estimated(MIB, None)), (String::new(), text::bytes_memory(MIB)));
    }

    #[test]
    fn a_large_share_of_little_memory_is_low() {
        assert_eq!(memory_severity(0.9, Some(MEMORY_WORTH - 1)), Severity::Low);
        assert_eq!(memory_severity(0.9, Some(MEMORY_WORTH)), Severity::High);
        assert_eq!(memory_severity(0.9, None), Severity::Low);
    }
}
