//! The one formatter of quantities: every number a person reads passes through here, so that window, PDF, Markdown and
//! terminal say the same. Three significant figures, a non-breaking space before the unit, a real minus sign.

pub mod highlight;

use time::macros::format_description;
use time::{OffsetDateTime, UtcOffset};

/// Keeps a number and its unit on one line.
pub const NBSP: char = '\u{a0}';
const MINUS: char = '\u{2212}';

/// A count with thousands separators: `20,000`.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// A count that may be fractional (an estimate, a rate): three significant figures below 1,000, whole above.
pub fn number(x: f64) -> String {
    if !x.is_finite() {
        return "not measured".to_owned();
    }
    let sign = if x < 0.0 { MINUS.to_string() } else { String::new() };
    let x = x.abs();
    // Values that round up to 1,000 must take the separators of whole numbers.
    if x >= 999.5 {
        return format!("{sign}{}", count(x.round() as u64));
    }
    format!("{sign}{}", significant(x))
}

/// Large counts for captions: `3.61 M`, `12.4 k`; whole below 10,000.
pub fn count_short(n: u64) -> String {
    match n {
        0..10_000 => count(n),
        10_000..1_000_000 => format!("{}{NBSP}k", significant(n as f64 / 1e3)),
        1_000_000..1_000_000_000 => format!("{}{NBSP}M", significant(n as f64 / 1e6)),
        _ => format!("{}{NBSP}G", significant(n as f64 / 1e9)),
    }
}

/// "1 key", "2 keys", "20,000 keys".
pub fn plural(n: u64, one: &str, many: &str) -> String {
    format!("{}{NBSP}{}", count(n), if n == 1 { one } else { many })
}

/// Memory, binary units: `2.84 GiB`.
pub fn bytes_memory(bytes: u64) -> String {
    scaled(bytes as f64, 1024.0, &["B", "KiB", "MiB", "GiB", "TiB", "PiB"])
}

/// Disk and traffic, decimal units: `5.1 GB`.
pub fn bytes_disk(bytes: u64) -> String {
    scaled(bytes as f64, 1000.0, &["B", "kB", "MB", "GB", "TB", "PB"])
}

/// A duration given in milliseconds: `0.14 ms`, `42.0 ms`, `1.12 s`, `3.5 min`, `2.1 h`, `17.0 days`.
pub fn millis(ms: f64) -> String {
    if !ms.is_finite() {
        return "not measured".to_owned();
    }
    let (value, unit) = match ms.abs() {
        x if x < 999.5 => (ms, "ms"),
        x if x < 120_000.0 => (ms / 1e3, "s"),
        x if x < 7_200_000.0 => (ms / 60e3, "min"),
        x if x < 172_800_000.0 => (ms / 3_600e3, "h"),
        _ => (ms / 86_400e3, "days"),
    };
    format!("{}{NBSP}{unit}", number(value))
}

/// A duration given in seconds.
pub fn seconds(s: f64) -> String {
    millis(s * 1e3)
}

/// A ratio 0…1 as a percentage: `46 %`, `0.85 %`, `99.2 %`. Only a true zero reads `0 %`, only a true one `100 %`.
pub fn percent(ratio: f64) -> String {
    if !ratio.is_finite() {
        return "not measured".to_owned();
    }
    let p = ratio * 100.0;
    let magnitude = p.abs();
    let body = if magnitude == 0.0 {
        "0".to_owned()
    } else if magnitude < 0.01 {
        return format!("<{NBSP}0.01{NBSP}%");
    } else if magnitude < 1.0 {
        format!("{magnitude:.2}")
    } else if magnitude < 99.0 {
        format!("{magnitude:.0}")
    } else if magnitude < 100.0 {
        // 99.96 must not read as a perfect 100.
        format!("{:.1}", (magnitude * 10.0).floor() / 10.0)
    } else {
        count(magnitude.round() as u64)
    };
    let sign = if p < 0.0 { MINUS.to_string() } else { String::new() };
    format!("{sign}{body}{NBSP}%")
}

/// What a fix takes away: `−96 %`.
pub fn minus_percent(ratio: f64) -> String {
    format!("{MINUS}{}", percent(ratio.abs()))
}

/// Seconds of work per second of wall time: `0.87 s per s`.
pub fn load(s_per_s: f64) -> String {
    format!("{}{NBSP}s{NBSP}per{NBSP}s", number(s_per_s))
}

/// A rate per second in the unit that keeps it readable: `98/s`, `41/min`, `3/h`.
pub fn per_second(rate: f64) -> String {
    if rate >= 1.0 || rate == 0.0 {
        format!("{}/s", number(rate))
    } else if rate * 60.0 >= 1.0 {
        format!("{}/min", number(rate * 60.0))
    } else {
        format!("{}/h", number(rate * 3600.0))
    }
}

/// `23 Nov 2026`.
pub fn date(t: OffsetDateTime) -> String {
    t.format(format_description!("[day padding:none] [month repr:short] [year]")).unwrap_or_else(|_| t.to_string())
}

/// `23 Nov 2026, 09:30`, followed by `UTC` when that is the zone of the value.
pub fn date_time(t: OffsetDateTime) -> String {
    let text = t.format(format_description!("[day padding:none] [month repr:short] [year], [hour]:[minute]")).unwrap_or_else(|_| t.to_string());
    if t.offset() == UtcOffset::UTC { format!("{text}{NBSP}UTC") } else { text }
}

/// `09:30:04`.
pub fn clock(t: OffsetDateTime) -> String {
    t.format(format_description!("[hour]:[minute]:[second]")).unwrap_or_else(|_| t.to_string())
}

/// "2 hours ago", "yesterday", "3 days ago": only beside a date.
pub fn ago(then: OffsetDateTime, now: OffsetDateTime) -> String {
    let s = (now - then).whole_seconds();
    match s {
        i64::MIN..60 => "just now".to_owned(),
        60..3_600 => format!("{} ago", plural((s / 60) as u64, "minute", "minutes")),
        3_600..86_400 => format!("{} ago", plural((s / 3_600) as u64, "hour", "hours")),
        86_400..172_800 => "yesterday".to_owned(),
        _ => format!("{} ago", plural((s / 86_400) as u64, "day", "days")),
    }
}

/// Cuts at a character boundary and marks the cut.
pub fn cut(s: &str, chars_max: usize) -> String {
    match s.char_indices().nth(chars_max) {
        None => s.to_owned(),
        Some((i, _)) => format!("{}…", &s[..i]),
    }
}

/// One line: runs of white space become one space.
pub fn one_line(s: &str) -> String {
    s.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn scaled(value: f64, base: f64, units: &[&str]) -> String {
    let mut value = value;
    let mut unit = 0;
    while value >= base * 0.9995 && unit + 1 < units.len() {
        value /= base;
        unit += 1;
    }
    let body = if unit == 0 { count(value as u64) } else { number(value) };
    format!("{body}{NBSP}{}", units[unit])
}

/// Three significant figures for 0 ≤ x < 1,000.
fn significant(x: f64) -> String {
    if x == 0.0 {
        "0".to_owned()
    } else if x >= 99.95 {
        format!("{x:.0}")
    } else if x >= 9.995 {
        trim(format!("{x:.1}"))
    } else if x >= 0.0095 {
        trim(format!("{x:.2}"))
    } else if x >= 1e-6 {
        // Two figures, however far behind the point they stand.
        let places = (-x.log10().floor()) as usize + 1;
        trim(format!("{x:.places$}"))
    } else {
        "0".to_owned()
    }
}

/// `3.00` reads as `3`; `3.10` as `3.1`: a whole count must not look like a measurement.
fn trim(s: String) -> String {
    if s.contains('.') { s.trim_end_matches('0').trim_end_matches('.').to_owned() } else { s }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn quantities_read_as_the_words_section_says() {
        assert_eq!(count(20_000), "20,000");
        assert_eq!(count(0), "0");
        assert_eq!(millis(1_120.0), "1.12\u{a0}s");
        assert_eq!(millis(42.0), "42\u{a0}ms");
        assert_eq!(millis(0.14), "0.14\u{a0}ms");
        assert_eq!(percent(0.46), "46\u{a0}%");
        assert_eq!(percent(0.0085), "0.85\u{a0}%");
        assert_eq!(percent(0.9996), "99.9\u{a0}%");
        assert_eq!(percent(1.0), "100\u{a0}%");
        assert_eq!(percent(0.0), "0\u{a0}%");
        assert_eq!(minus_percent(0.96), "\u{2212}96\u{a0}%");
        assert_eq!(bytes_memory(3_049_426_780), "2.84\u{a0}GiB");
        assert_eq!(bytes_disk(5_100_000_000), "5.1\u{a0}GB");
        assert_eq!(bytes_disk(999_900), "1\u{a0}MB");
        assert_eq!(bytes_disk(17), "17\u{a0}B");
        assert_eq!(count_short(3_610_000), "3.61\u{a0}M");
        assert_eq!(per_second(0.68), "40.8/min");
        assert_eq!(plural(1, "key", "keys"), "1\u{a0}key");
        assert_eq!(number(0.000_62), "0.00062");
        assert_eq!(number(3.0e-308), "0");
    }

    #[test]
    fn times_read_as_dates() {
        let t = datetime!(2026-11-23 09:30:04 UTC);
        assert_eq!(date(t), "23 Nov 2026");
        assert_eq!(date_time(t), "23 Nov 2026, 09:30\u{a0}UTC");
        assert_eq!(clock(t), "09:30:04");
        assert_eq!(ago(t, datetime!(2026-11-23 11:31:00 UTC)), "2\u{a0}hours ago");
        assert_eq!(ago(t, datetime!(2026-11-24 12:31:00 UTC)), "yesterday");
    }

    #[test]
    fn cutting_keeps_characters_whole() {
        assert_eq!(cut("añb", 2), "añ…");
        assert_eq!(cut("añb", 3), "añb");
        assert_eq!(one_line(" select\n  1 "), "select 1");
    }
}
