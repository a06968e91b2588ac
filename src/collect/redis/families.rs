//! Sampled keys folded into families: one row a pattern.

use std::collections::BTreeMap;

use super::pattern::{Names, Reduced, reduce};
use crate::evidence::redis::{Pattern, TTL_BOUNDS_MS};

/// Families kept one by one; further ones are folded by role and type.
const PATTERNS_MAX: usize = 200;
/// Seconds without use from which a key counts as left lying.
const HOUR_S: u64 = 3_600;
/// Collections of at least this many elements are measured each, and counted apart from the rest of their family: a few of them beside
/// thousands of small ones say nothing about those.
pub const LARGE_ELEMENTS: u64 = 1_000;
/// Two-sided 95 % of the normal distribution.
const Z: f64 = 1.96;
/// Stands for families beyond [`PATTERNS_MAX`].
const OTHER: &str = "<other>";

/// One sampled key. Holds the raw name, so it never leaves the collector.
pub struct Sampled {
    pub database: u32,
    pub key: Vec<u8>,
    pub kind: String,
    /// `None`: no expiry.
    pub ttl_ms: Option<u64>,
    /// Met by SCAN, so it stands for others; a key looked up by name stands for itself.
    pub is_drawn: bool,
    pub bytes: Option<u64>,
    pub elements: Option<u64>,
    pub idle_s: Option<u64>,
    pub frequency: Option<u64>,
}

impl Sampled {
    pub fn new(database: u32, key: Vec<u8>, kind: String, ttl_ms: Option<u64>, is_drawn: bool) -> Self {
        Self { database, key, kind, ttl_ms, is_drawn, bytes: None, elements: None, idle_s: None, frequency: None }
    }

    fn is_large(&self) -> bool {
        self.elements.is_some_and(|n| n >= LARGE_ELEMENTS)
    }
}

/// How far the scan of one logical database came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scanned {
    pub database: u32,
    pub keys: u64,
    pub sampled: u64,
    pub is_complete: bool,
}

/// One row a database, pattern and type, largest first by bytes, then by keys, then by name.
pub fn fold(sampled: &[Sampled], scanned: &[Scanned], told: &Names) -> Vec<Pattern> {
    let names: Vec<String> = sampled.iter().map(|s| String::from_utf8_lossy(&s.key).into_owned()).collect();
    let known = Names::learn(names.iter().map(String::as_str)).with(told);
    let mut families: BTreeMap<(u32, Reduced, String), Vec<&Sampled>> = BTreeMap::new();
    for (key, name) in sampled.iter().zip(&names) {
        families.entry((key.database, reduce(name, &known), key.kind.clone())).or_default().push(key);
    }
    if families.len() > PATTERNS_MAX {
        families = fold_the_small(families);
    }
    let mut patterns: Vec<Pattern> = families.into_iter().map(|(id, keys)| pattern(id, &keys, scanned)).collect();
    patterns.sort_by(|a, b| {
        let size = |p: &Pattern| (p.bytes_estimate, p.keys_estimate);
        size(b).cmp(&size(a)).then_with(|| (&a.pattern, a.database, &a.kind).cmp(&(&b.pattern, b.database, &b.kind)))
    });
    patterns
}

type Families<'a> = BTreeMap<(u32, Reduced, String), Vec<&'a Sampled>>;

fn fold_the_small(families: Families<'_>) -> Families<'_> {
    let mut by_size: Vec<_> = families.into_iter().collect();
    by_size.sort_by(|a, b| b.1.len().cmp(&a.1.len()).then_with(|| a.0.cmp(&b.0)));
    let rest = by_size.split_off(PATTERNS_MAX);
    let mut kept: Families<'_> = by_size.into_iter().collect();
    for ((database, reduced, kind), keys) in rest {
        let other = Reduced { pattern: OTHER.to_owned(), role: reduced.role, queue_part: None };
        kept.entry((database, other, kind)).or_default().extend(keys);
    }
    kept
}

fn pattern((database, reduced, kind): (u32, Reduced, String), keys: &[&Sampled], scanned: &[Scanned]) -> Pattern {
    let scan = scanned.iter().find(|s| s.database == database);
    let weight = scan.filter(|s| !s.is_complete && s.sampled > 0).map_or(1.0, |s| s.keys as f64 / s.sampled as f64);
    let drawn = keys.iter().filter(|k| k.is_drawn).count() as f64;
    let keys_estimate = (drawn * weight).round() as u64 + keys.iter().filter(|k| !k.is_drawn).count() as u64;
    let mut ttls: Vec<u64> = keys.iter().filter_map(|k| k.ttl_ms).collect();
    ttls.sort_unstable();
    let mut idle: Vec<u64> = keys.iter().filter_map(|k| k.idle_s).collect();
    idle.sort_unstable();
    let elements: Vec<u64> = keys.iter().filter_map(|k| k.elements).collect();
    let memory = memory(keys, weight, scan.map_or(0, |s| s.sampled));
    Pattern {
        database,
        pattern: reduced.pattern,
        role: reduced.role,
        kind,
        keys: keys.len() as u64,
        keys_estimate,
        without_ttl: keys.iter().filter(|k| k.ttl_ms.is_none()).count() as u64,
        ttl_ms_min: ttls.first().copied(),
        ttl_ms_median: median(&ttls),
        ttl_ms_max: ttls.last().copied(),
        ttl_counts: ttl_counts(&ttls),
        measured: keys.iter().filter(|k| k.bytes.is_some()).count() as u64,
        bytes_estimate: memory.map(|(bytes, _)| bytes.round() as u64),
        bytes_error: memory.map(|(_, error)| error.round() as u64),
        bytes_max: keys.iter().filter_map(|k| k.bytes).max(),
        elements_max: elements.iter().max().copied(),
        elements_total: (!elements.is_empty()).then(|| elements.iter().sum()),
        idle_s_median: median(&idle),
        idle_s_max: idle.last().copied(),
        idle_keys: idle.len() as u64,
        idle_over_hour: idle.iter().filter(|s| **s >= HOUR_S).count() as u64,
        frequency_max: keys.iter().filter_map(|k| k.frequency).max(),
        queue_part: reduced.queue_part,
    }
}

/// How many of the sorted lifetimes lie below each bound and not below the one before.
fn ttl_counts(sorted: &[u64]) -> Vec<u64> {
    let below = |bound: u64| sorted.partition_point(|ttl| *ttl < bound) as u64;
    TTL_BOUNDS_MS.iter().enumerate().map(|(i, bound)| below(*bound) - i.checked_sub(1).map_or(0, |before| below(TTL_BOUNDS_MS[before]))).collect()
}

fn median(sorted: &[u64]) -> Option<u64> {
    sorted.get(sorted.len() / 2).copied()
}

/// Bytes of all keys of the family and the half-width of their 95 % interval. The large collections and the others are estimated apart, each by
/// the mean of those that were measured; `None` where either has keys and none of them was.
fn memory(keys: &[&Sampled], weight: f64, sampled: u64) -> Option<(f64, f64)> {
    let (mut bytes, mut variance) = (0.0, 0.0);
    for is_large in [false, true] {
        let stratum: Vec<&&Sampled> = keys.iter().filter(|k| k.is_large() == is_large).collect();
        if stratum.is_empty() {
            continue;
        }
        let drawn = stratum.iter().filter(|k| k.is_drawn).count() as f64;
        let count = drawn * weight + (stratum.len() as f64 - drawn);
        let measured: Vec<f64> = stratum.iter().filter_map(|k| k.bytes).map(|b| b as f64).collect();
        let n = measured.len() as f64;
        let mean = measured.iter().sum::<f64>() / n;
        if measured.is_empty() {
            return None;
        }
        // Of a single one nobody knows how far the others are from it: as far as it is large.
        let spread = if n < 2.0 { mean * mean } else { measured.iter().map(|b| (b - mean).powi(2)).sum::<f64>() / (n - 1.0) };
        let of_the_mean = count * count * spread / n * (1.0 - n / count).max(0.0);
        let of_the_count = mean * mean * drawn * (1.0 - drawn / sampled.max(1) as f64).max(0.0) * weight * (weight - 1.0);
        bytes += count * mean;
        variance += of_the_mean + of_the_count;
    }
    (!keys.is_empty()).then_some((bytes, Z * variance.sqrt()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str, ttl_ms: Option<u64>, bytes: u64, is_drawn: bool) -> Sampled {
        Sampled { bytes: Some(bytes), ..Sampled::new(0, name.as_bytes().to_vec(), "string".into(), ttl_ms, is_drawn) }
    }

    #[test]
    fn a_part_of_the_keys_stands_for_all() {
        let keys: Vec<Sampled> = (0..10).map(|i| key(&format!("cache:product:{i}"), (i % 2 == 0).then_some(1_000 + i), 100, true)).collect();
        let part = Scanned { database: 0, keys: 1_000, sampled: 10, is_complete: false };
        let p = &fold(&keys, &[part], &Names::default())[0];
        assert_eq!((p.pattern.as_str(), p.keys, p.keys_estimate, p.without_ttl), ("cache:product:<n>", 10, 1_000, 5));
        assert_eq!((p.bytes_estimate, p.ttl_ms_min, p.ttl_ms_median, p.ttl_ms_max), (Some(100_000), Some(1_000), Some(1_004), Some(1_008)));
        let whole = Scanned { keys: 10, is_complete: true, ..part };
        assert_eq!(fold(&keys, &[whole], &Names::default())[0].keys_estimate, 10);
    }

    fn set(i: usize, elements: u64, bytes: Option<u64>) -> Sampled {
        Sampled { bytes, elements: Some(elements), ..Sampled::new(0, format!("mc:tag:{i:016x}").into_bytes(), "set".into(), Some(1), true) }
    }

    #[test]
    fn large_keys_stand_for_large_ones_alone() {
        // 4,000 small sets of which 60 were measured, and 40 large ones that all were.
        let mut keys: Vec<Sampled> = (0..4_000).map(|i| set(i, 4, (i < 60).then_some(if i % 2 == 0 { 200 } else { 240 }))).collect();
        keys.extend((0..40).map(|i| set(5_000 + i, 2_000, Some(150_000))));
        let whole = Scanned { database: 0, keys: 4_040, sampled: 4_040, is_complete: true };
        let p = &fold(&keys, &[whole], &Names::default())[0];
        assert_eq!(p.bytes_estimate, Some(4_000 * 220 + 40 * 150_000));
        // 1.96 standard errors: 20 bytes of spread, 60 measured of 4,000.
        assert!(p.bytes_error.is_some_and(|e| (19_000..22_000).contains(&e)), "{:?}", p.bytes_error);
        // The same keys as a tenth of all: ten times as much, and far less sure of how many are large.
        let part = Scanned { keys: 40_400, is_complete: false, ..whole };
        let p = &fold(&keys, &[part], &Names::default())[0];
        assert_eq!(p.bytes_estimate, Some(10 * (4_000 * 220 + 40 * 150_000)));
        assert!(p.bytes_error.is_some_and(|e| (17_000_000..18_500_000).contains(&e)), "{:?}", p.bytes_error);
    }

    #[test]
    fn what_was_measured_whole_has_no_error_and_what_was_not_measured_no_size() {
        let keys: Vec<Sampled> = (0..100).map(|i| key(&format!("cache:page:{i}"), Some(1), 100 + i * 50, true)).collect();
        let whole = Scanned { database: 0, keys: 100, sampled: 100, is_complete: true };
        let p = &fold(&keys, &[whole], &Names::default())[0];
        assert_eq!((p.bytes_estimate, p.bytes_error), (Some(100 * 100 + 50 * 4_950), Some(0)));
        let keys = [set(1, 2_000, Some(150_000)), set(2, 4, None)];
        let p = &fold(&keys, &[Scanned { keys: 2, sampled: 2, ..whole }], &Names::default())[0];
        assert_eq!((p.bytes_estimate, p.bytes_error, p.bytes_max, p.measured), (None, None, Some(150_000), 1));
    }

    #[test]
    fn lifetimes_are_counted_by_class() {
        assert_eq!(ttl_counts(&[1, 59_999, 60_000, 600_000, 36_000_000, 36_000_001]), [2, 1, 1, 1, 1, 0]);
        assert_eq!(ttl_counts(&[]), [0; 6]);
    }

    #[test]
    fn a_key_looked_up_by_name_stands_for_itself() {
        let keys = [key("bull:medusa-workflows:meta", None, 80, false)];
        let part = Scanned { database: 0, keys: 1_000, sampled: 10, is_complete: false };
        assert_eq!(fold(&keys, &[part], &Names::default())[0].keys_estimate, 1);
    }

    #[test]
    fn many_families_are_folded_and_none_is_lost() {
        let words = ["product", "cart", "order", "price", "stock", "page", "region", "tax", "user", "view"];
        let keys: Vec<Sampled> =
            (0..1_000).map(|i| key(&format!("{}:{}:{}", words[i % 10], words[i / 10 % 10], words[i / 100]), Some(1), 1, true)).collect();
        let rows = fold(&keys, &[], &Names::default());
        assert!(rows.len() <= PATTERNS_MAX + 20);
        assert_eq!(rows.iter().map(|p| p.keys).sum::<u64>(), 1_000);
    }
}
