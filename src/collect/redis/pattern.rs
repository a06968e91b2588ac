//! Key names reduced to patterns. A key may hold an e-mail address, a name or a session id; a pattern holds only words of the
//! trade, and marks in place of everything else: `<ulid>`, `<uuid>`, `<hash16>`, `<hash>`, `<n>`, `<id>`.

use std::collections::{BTreeMap, BTreeSet};

use super::words;
use crate::connect::profile::KeyRole;
use crate::evidence::redis::Role;

/// What a key's name tells, without the name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reduced {
    pub pattern: String,
    pub role: Role,
    pub queue_part: Option<String>,
}

/// Names that the sample as a whole proves to be names of the program's and not of a person.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// First segments that a good part of all keys share.
    namespaces: BTreeSet<String>,
    /// `bull:<queue>` with BullMQ's own keys below it.
    queues: BTreeSet<String>,
    /// Prefixes whose role the user has told; first match wins.
    assigned: Vec<(String, Role)>,
}

/// A first segment that is no word of the trade is kept when it heads at least this many sampled keys …
const NAMESPACE_KEYS_MIN: u64 = 20;
/// … and at least this share of them.
const NAMESPACE_SHARE_MIN: f64 = 0.05;

/// Parts of a BullMQ queue, as BullMQ names them.
pub const QUEUE_PARTS: [&str; 17] = [
    "id",
    "meta",
    "events",
    "marker",
    "pc",
    "prioritized",
    "priority",
    "wait",
    "waiting-children",
    "paused",
    "active",
    "delayed",
    "failed",
    "completed",
    "stalled-check",
    "stalled",
    "repeat",
];

impl Names {
    /// Knows nothing but what the user told.
    pub fn told(roles: &[KeyRole]) -> Self {
        Self { assigned: roles.iter().map(|r| (r.prefix.clone(), role_of(&r.role))).collect(), ..Self::default() }
    }

    /// What the user told and the sample does not.
    pub fn with(self, told: &Names) -> Self {
        Self { assigned: told.assigned.clone(), ..self }
    }

    /// What was told of another address of the same server; what was told first stays first.
    pub fn add(&mut self, other: &Names) {
        for told in &other.assigned {
            if !self.assigned.contains(told) {
                self.assigned.push(told.clone());
            }
        }
    }

    /// Prefixes below which the user told of queues.
    pub fn queue_prefixes(&self) -> impl Iterator<Item = &str> {
        self.assigned.iter().filter(|(_, role)| role.is_queue()).map(|(prefix, _)| prefix.as_str())
    }

    /// Learns from all sampled keys.
    pub fn learn<'a>(keys: impl Iterator<Item = &'a str>) -> Self {
        let mut heads: BTreeMap<&str, u64> = BTreeMap::new();
        let mut parents: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        let mut total = 0u64;
        for key in keys {
            total += 1;
            if let Some((head, _)) = key.split_once(':') {
                *heads.entry(head).or_default() += 1;
            }
            if let Some((parent, last)) = key.rsplit_once(':')
                && QUEUE_PARTS.contains(&last)
            {
                parents.entry(parent).or_default().insert(last);
            }
        }
        let is_namespace = |n: u64| n >= NAMESPACE_KEYS_MIN && n as f64 >= total as f64 * NAMESPACE_SHARE_MIN;
        let namespaces = heads.iter().filter(|(head, n)| is_namespace(**n) && is_program_name(head)).map(|(head, _)| (*head).to_owned()).collect();
        // `meta` and one more of BullMQ's parts below the same name: no coincidence.
        let is_queue = |parts: &BTreeSet<&str>| parts.contains("meta") && parts.len() >= 2;
        let queues = parents.iter().filter(|(p, parts)| is_queue(parts) && p.split(':').all(is_program_name)).map(|(p, _)| (*p).to_owned()).collect();
        Self { namespaces, queues, assigned: Vec::new() }
    }
}

/// Letters, digits, dashes and underscores: how programs name things; no dots, blanks or at signs.
fn is_program_name(name: &str) -> bool {
    let begins = name.starts_with(|c: char| c.is_ascii_alphabetic());
    let marked = mark(name).is_some();
    begins && !marked && name.len() <= 40 && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
}

/// Reduces one key name.
pub fn reduce(key: &str, names: &Names) -> Reduced {
    if let Some((prefix, role)) = names.assigned.iter().find(|(prefix, _)| key.starts_with(prefix.as_str())) {
        return told(prefix, *role, &key[prefix.len()..]);
    }
    let segments: Vec<&str> = key.split(':').collect();
    let known = medusa(&segments).or_else(|| queue(key, &segments, names)).or_else(|| session(&segments));
    known.unwrap_or_else(|| {
        let parts: Vec<String> = segments.iter().enumerate().map(|(i, s)| segment(s, i == 0 && segments.len() > 1, names)).collect();
        let pattern = parts.join(":");
        let role = custom_role(&pattern);
        Reduced { pattern, role, queue_part: None }
    })
}

fn role_of(word: &str) -> Role {
    match word {
        // One of its own making: Medusa's entries have names that are known.
        "cache" => Role::CustomCache,
        "sessions" => Role::Sessions,
        "events" => Role::EventBus,
        "workflows" => Role::Workflows,
        "queue" => Role::Queue,
        "locks" => Role::Locks,
        _ => Role::Other,
    }
}

/// A key below a prefix that the user named: the prefix is kept as it was given, what follows is reduced.
fn told(prefix: &str, role: Role, rest: &str) -> Reduced {
    let rest: Vec<&str> = rest.split(':').collect();
    match rest.as_slice() {
        [name, tail @ ..] if role == Role::Queue && !tail.is_empty() => bull(&format!("{prefix}{}", plain(name)), tail, role),
        rest => Reduced { pattern: format!("{prefix}{}", rest.iter().map(|s| plain(s)).collect::<Vec<_>>().join(":")), role, queue_part: None },
    }
}

/// Medusa's own key families.
fn medusa(segments: &[&str]) -> Option<Reduced> {
    let rest = || segments[1..].iter().map(|s| plain(s)).collect::<Vec<_>>().join(":");
    let of = |pattern: String, role: Role| Some(Reduced { pattern, role, queue_part: None });
    match *segments {
        ["mc", "tag", ref tail @ ..] if !tail.is_empty() => of(format!("mc:tag:{}", hashes(tail)), Role::CacheTags),
        ["mc", "tags", ref tail @ ..] if !tail.is_empty() => of(format!("mc:tags:{}", hashes(tail)), Role::CacheTags),
        ["mc", ref tail @ ..] if !tail.is_empty() => of(format!("mc:{}", hashes(tail)), Role::Cache),
        // v1's prices: currency, customer, quantity and tax follow, in hundreds of combinations.
        ["medusa", "ps", variant, ..] if segments.len() > 3 => of(format!("medusa:ps:{}:*", plain(variant)), Role::Cache),
        ["medusa", ref tail @ ..] if !tail.is_empty() => of(format!("medusa:{}", rest()), Role::Cache),
        ["medusa_lock", _, ..] => of(format!("medusa_lock:{}", rest()), Role::Locks),
        ["dtrx", _, ..] => of(format!("dtrx:{}", rest()), Role::Workflows),
        ["staging", _, ..] => of(format!("staging:{}", rest()), Role::Staging),
        ["RedisEventBusService", name, ref tail @ ..] => Some(bull(&format!("RedisEventBusService:{}", queue_name(name)), tail, Role::EventBus)),
        ["bull", name @ ("medusa-workflows" | "medusa-workflows-jobs" | "workflows-cleaner"), ref tail @ ..] => {
            Some(bull(&format!("bull:{name}"), tail, Role::Workflows))
        }
        _ => None,
    }
}

/// A hash of 16 hexadecimal digits, which by chance may be all digits or all letters.
fn hashes(tail: &[&str]) -> String {
    let is_hash = |s: &str| s.len() == 16 && s.chars().all(|c| c.is_ascii_hexdigit());
    tail.iter().map(|s| if is_hash(s) { "<hash16>".to_owned() } else { plain(s) }).collect::<Vec<_>>().join(":")
}

fn queue_name(name: &str) -> String {
    if name == "events-queue" { name.to_owned() } else { plain(name) }
}

/// Queues of the store's own, under BullMQ's usual prefix or another.
fn queue(key: &str, segments: &[&str], names: &Names) -> Option<Reduced> {
    if let Some(parent) = names.queues.iter().find(|q| key.strip_prefix(q.as_str()).is_some_and(|rest| rest.starts_with(':'))) {
        let tail: Vec<&str> = key[parent.len() + 1..].split(':').collect();
        return Some(bull(parent, &tail, Role::Queue));
    }
    match *segments {
        ["bull", name, ref tail @ ..] => Some(bull(&format!("bull:{}", plain(name)), tail, Role::Queue)),
        _ => None,
    }
}

fn bull(parent: &str, tail: &[&str], role: Role) -> Reduced {
    let mut pattern = parent.to_owned();
    for (i, part) in tail.iter().enumerate() {
        let is_word = QUEUE_PARTS.contains(part) || (i > 0 && matches!(*part, "lock" | "logs" | "dependencies" | "processed"));
        pattern.push(':');
        pattern.push_str(&if is_word { (*part).to_owned() } else { plain(part) });
    }
    let queue_part = match *tail {
        [part, ..] if QUEUE_PARTS.contains(&part) => Some(part.to_owned()),
        [_] => Some("job".to_owned()),
        [_, "lock"] => Some("lock".to_owned()),
        _ => None,
    };
    Reduced { pattern, role, queue_part }
}

/// `sess:<sid>` of express-session, also below a prefix of the store's own.
fn session(segments: &[&str]) -> Option<Reduced> {
    let at = segments.iter().position(|s| matches!(*s, "sess" | "session" | "sessions"))?;
    if at + 2 != segments.len() {
        return None;
    }
    let mut parts: Vec<String> = segments[..at].iter().map(|s| plain(s)).collect();
    parts.push(segments[at].to_owned());
    parts.push("<id>".to_owned());
    Some(Reduced { pattern: parts.join(":"), role: Role::Sessions, queue_part: None })
}

/// One segment with no knowledge of its key.
fn plain(text: &str) -> String {
    segment(text, false, &Names::default())
}

/// One segment: a mark, a word of the trade, or `<id>`. Globs of a pattern argument are kept.
fn segment(text: &str, is_head: bool, names: &Names) -> String {
    if text.is_empty() || text == "*" {
        return text.to_owned();
    }
    if let Some(stem) = text.strip_suffix('*') {
        return format!("{}*", segment(stem, is_head, names));
    }
    if let Some(stem) = text.strip_prefix('*') {
        return format!("*{}", segment(stem, is_head, names));
    }
    if text.contains('/') {
        return text.split('/').map(|s| segment(s, false, names)).collect::<Vec<_>>().join("/");
    }
    if let Some(mark) = mark(text) {
        return mark;
    }
    if words::are_all_known(text) || (is_head && names.namespaces.contains(text)) {
        return text.to_owned();
    }
    "<id>".to_owned()
}

/// The mark of a machine-made value, if it is one.
fn mark(text: &str) -> Option<String> {
    let is_hex = |s: &str| s.chars().all(|c| c.is_ascii_hexdigit());
    if text.chars().all(|c| c.is_ascii_digit() || c == '.') && text.contains(|c: char| c.is_ascii_digit()) {
        return Some("<n>".to_owned());
    }
    if is_ulid(text) {
        return Some("<ulid>".to_owned());
    }
    if is_uuid(text) {
        return Some("<uuid>".to_owned());
    }
    if is_hex(text) && text.contains(|c: char| c.is_ascii_digit()) && text.len() >= 16 {
        return Some(if text.len() == 16 { "<hash16>".to_owned() } else { "<hash>".to_owned() });
    }
    // `cart_01J…`, `auto-01J…`: Medusa's ids carry their kind in front.
    let cut = text.len().checked_sub(26).filter(|c| *c >= 2 && text.is_char_boundary(*c))?;
    let (head, id) = text.split_at(cut);
    if !is_ulid(id) {
        return None;
    }
    let kind = head.strip_suffix(['_', '-'])?;
    Some(if words::are_all_known(kind) { format!("{head}<ulid>") } else { "<ulid>".to_owned() })
}

/// 26 characters of Crockford's base 32, beginning with a time before the year 10889.
fn is_ulid(text: &str) -> bool {
    text.len() == 26
        && text.starts_with(|c: char| ('0'..='7').contains(&c))
        && text.chars().all(|c| c.is_ascii_alphanumeric() && !matches!(c.to_ascii_uppercase(), 'I' | 'L' | 'O' | 'U'))
}

fn is_uuid(text: &str) -> bool {
    let lengths: Vec<usize> = text.split('-').map(str::len).collect();
    lengths == [8, 4, 4, 4, 12] && text.chars().all(|c| c.is_ascii_hexdigit() || c == '-')
}

/// First words of keys that are by their name a cache of the store's own.
const CACHE_WORDS: [&str; 20] = [
    "cache",
    "cached",
    "caching",
    "catalog",
    "catalogue",
    "product",
    "products",
    "category",
    "categories",
    "collection",
    "collections",
    "price",
    "prices",
    "page",
    "pages",
    "html",
    "fragment",
    "fragments",
    "search",
    "facets",
];

fn custom_role(pattern: &str) -> Role {
    let head = pattern.split(':').next().unwrap_or(pattern);
    let words = words::split(head);
    let has = |list: &[&str]| words.iter().any(|w| list.contains(&w.as_str()));
    if has(&["lock", "locks", "redlock", "mutex"]) || pattern.ends_with(":lock") {
        Role::Locks
    } else if has(&["sess", "session", "sessions"]) {
        Role::Sessions
    } else if has(&CACHE_WORDS) || pattern.split(':').any(|s| s == "cache") {
        Role::CustomCache
    } else {
        Role::Other
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(key: &str) -> (String, Role) {
        let r = reduce(key, &Names::default());
        (r.pattern, r.role)
    }

    #[test]
    fn what_the_user_told_comes_first() {
        let role = |prefix: &str, role: &str| KeyRole { prefix: prefix.into(), role: role.into() };
        let names = Names::told(&[role("acme:", "cache"), role("mails:", "queue"), role("sess:x", "other")]);
        let of = |key: &str| reduce(key, &names);
        assert_eq!((of("acme:jane@example.com:7").pattern.as_str(), of("acme:1").role), ("acme:<id>:<n>", Role::CustomCache));
        let job = of("mails:welcome:failed");
        assert_eq!((job.role, job.queue_part.as_deref()), (Role::Queue, Some("failed")));
        assert_eq!((of("sess:xyz").role, of("sess:abc").role), (Role::Other, Role::Sessions));
    }

    #[test]
    fn medusa_keys_are_told_by_their_form() {
        for (key, pattern, role) in [
            ("mc:47374834db97543c", "mc:<hash16>", Role::Cache),
            ("mc:0000000000000017", "mc:<hash16>", Role::Cache),
            ("mc:tag:585fa1b2ea51f4d0", "mc:tag:<hash16>", Role::CacheTags),
            ("mc:tags:b6e39332e1a7e407", "mc:tags:<hash16>", Role::CacheTags),
            ("sess:UkchY-wOsiIKO85jIep7iJpyZwDLAVed", "sess:<id>", Role::Sessions),
            ("acme:sess:UkchY-wOsiIKO85jIep7iJpyZwDLAVed", "<id>:sess:<id>", Role::Sessions),
            ("medusa_lock:cart_01M8469SSQJ16F56J2S24NK90Y", "medusa_lock:cart_<ulid>", Role::Locks),
            ("dtrx:complete-cart:auto-01M846A4SCNQY4Q4GF70C0TZJP", "dtrx:complete-cart:auto-<ulid>", Role::Workflows),
            ("staging:01M8469SK523K9CKQ63AEGXRVD", "staging:<ulid>", Role::Staging),
            ("RedisEventBusService:events-queue:5415", "RedisEventBusService:events-queue:<n>", Role::EventBus),
            (
                "RedisEventBusService:events-queue:job_01M8456EARE0E0JD8T3TJ7PD05:lock",
                "RedisEventBusService:events-queue:job_<ulid>:lock",
                Role::EventBus,
            ),
            ("bull:medusa-workflows-jobs:meta", "bull:medusa-workflows-jobs:meta", Role::Workflows),
            (
                "bull:workflows-cleaner:repeat:af93f17f71dd6d9f8dcdff728d74b155:1795438800000",
                "bull:workflows-cleaner:repeat:<hash>:<n>",
                Role::Workflows,
            ),
            (
                "medusa:ps:variant_01M8454J7RWBBM06KDSJZ3N19B:reg_01M8454DDN8S3N4G4J91FXP358:eur:null:2:true:0",
                "medusa:ps:variant_<ulid>:*",
                Role::Cache,
            ),
            ("medusa:ps:variant_01M8454J7RWBBM06KDSJZ3N19B:*", "medusa:ps:variant_<ulid>:*", Role::Cache),
            (
                "medusa:txrtcache:prod_01M8454HHMVKYW3TFQ7SXKRZQ7:reg_01M8454DDN8S3N4G4J91FXP358",
                "medusa:txrtcache:prod_<ulid>:reg_<ulid>",
                Role::Cache,
            ),
        ] {
            assert_eq!(of(key), (pattern.to_owned(), role), "{key}");
        }
    }

    #[test]
    fn queue_parts_are_named() {
        let part = |key| reduce(key, &Names::default()).queue_part;
        assert_eq!(part("RedisEventBusService:events-queue:failed").as_deref(), Some("failed"));
        assert_eq!(part("RedisEventBusService:events-queue:12").as_deref(), Some("job"));
        assert_eq!(part("mc:47374834db97543c"), None);
    }

    #[test]
    fn people_leave_the_key() {
        assert_eq!(of("cart:john@x.io").0, "cart:<id>");
        assert_eq!(of("customer:jane-doe:orders").0, "customer:<id>:orders");
        assert_eq!(of("jane.doe@example.com").0, "<id>");
        assert_eq!(of("product:list:eur").0, "product:list:eur");
        assert_eq!(of("cache:products:page:3"), ("cache:products:page:<n>".to_owned(), Role::CustomCache));
        assert_eq!(of("cache:products:*").0, "cache:products:*");
        assert_eq!(of("*smith*").0, "*<id>*");
        assert_eq!(of("bull:smith:1").0, "bull:<id>:<n>");
    }

    #[test]
    fn the_sample_proves_names_of_the_program() {
        let keys: Vec<String> = (0..30).map(|i| format!("zalandoish:{i}")).chain(["bull:erp-sync:meta".into(), "bull:erp-sync:id".into()]).collect();
        let names = Names::learn(keys.iter().map(String::as_str));
        assert_eq!(reduce("zalandoish:7", &names).pattern, "zalandoish:<n>");
        let queue = reduce("bull:erp-sync:failed", &names);
        assert_eq!((queue.pattern.as_str(), queue.role, queue.queue_part.as_deref()), ("bull:erp-sync:failed", Role::Queue, Some("failed")));
        let few: Vec<String> = (0..19).map(|i| format!("zalandoish:{i}")).collect();
        assert_eq!(reduce("zalandoish:7", &Names::learn(few.iter().map(String::as_str))).pattern, "<id>:<n>");
    }

    /// Every literal in a pattern must be a word of the trade; anything a shopper typed is not.
    fn is_clean(pattern: &str) -> bool {
        let bare = ["<ulid>", "<uuid>", "<hash16>", "<hash>", "<n>", "<id>"].iter().fold(pattern.to_owned(), |p, m| p.replace(m, ""));
        bare.split([':', '/', '*']).all(|s| s.is_empty() || words::are_all_known(s.trim_end_matches(['_', '-'])) || QUEUE_PARTS.contains(&s))
    }

    proptest! {
        #[test]
        fn nothing_but_words_of_the_trade_passes(
            prefix in "(cart|customer|sess|mc|mc:tag|medusa|medusa:ps|dtrx|bull|staging|medusa_lock|RedisEventBusService|cache|acme|wishlist)",
            secret in "([a-z]{3,9}[.][a-z]{3,9}@[a-z]{3,9}[.]com|[A-Z][a-z]{4,9} [A-Z][a-z]{4,9}|[A-Za-z0-9_-]{22,40}|[+]49[0-9]{9}|q[a-z]{7,12}x)",
            tail in "(:lock|:meta|:orders|:1|)",
        ) {
            let key = format!("{prefix}:{secret}{tail}");
            let pattern = reduce(&key, &Names::learn(std::iter::once(key.as_str()))).pattern;
            prop_assert!(!pattern.contains(&secret), "{key} → {pattern}");
            prop_assert!(is_clean(&pattern), "{key} → {pattern}");
        }

        #[test]
        fn any_key_reduces(key in ".{0,80}") {
            prop_assert!(is_clean(&reduce(&key, &Names::default()).pattern));
        }
    }
}
