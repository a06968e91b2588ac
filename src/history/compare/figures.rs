//! The figures of two audits in words.

use super::{CHANGE_MIN, MetricChange};
use crate::evidence::{Layer, Targets};
use crate::text;

impl MetricChange {
    /// What is measured.
    pub fn name(&self) -> String {
        let name = words(self.id).0;
        if self.subject.is_empty() { name.to_owned() } else { format!("{name}: {}", self.subject) }
    }

    /// A value of this figure with its unit.
    pub fn shown(&self, v: f64) -> String {
        match self.unit {
            "ratio" => text::percent(v),
            "ms" => text::millis(v),
            "1/s" => text::per_second(v),
            // The name says the unit: a column of loads has room for the figures alone.
            "s/s" => text::number(v),
            "bytes" if self.layer == Layer::Redis => text::bytes_memory(v.max(0.0) as u64),
            "bytes" => text::bytes_disk(v.max(0.0) as u64),
            _ => text::number(v),
        }
    }

    /// The target in words and whether the later audit meets it; `None`: the figure has none.
    pub fn target(&self, targets: &Targets) -> Option<(String, bool)> {
        let at_least = |limit: f64| (format!("≥\u{a0}{}", self.shown(limit)), self.after >= limit);
        Some(match self.id {
            "cdn.hit_ratio_cacheable" => at_least(targets.cdn_hit_ratio_min),
            "redis.product_hit_rate" => at_least(targets.redis_hit_rate_min),
            "app.p95_ms" => (format!("≤\u{a0}{}", self.shown(targets.p95_ms_max)), self.after <= targets.p95_ms_max),
            _ => return None,
        })
    }

    /// Words of the change and its verdict: `Some(true)` better, `None` within the noise or of no direction.
    pub fn change(&self) -> (String, Option<bool>) {
        let by = self.after - self.before;
        let sign = if by > 0.0 { "+" } else { "\u{2212}" };
        let relative = match (self.before == 0.0, by == 0.0) {
            (_, true) => 0.0,
            (true, false) => 1.0,
            (false, false) => by / self.before,
        };
        let words_of = match self.unit {
            "ratio" if by.abs() < 0.005 => "0\u{a0}points".to_owned(),
            "ratio" => format!("{sign}{}\u{a0}points", text::number((by.abs() * 100.0).round())),
            _ if by == 0.0 => "0\u{a0}%".to_owned(),
            _ if self.before == 0.0 => "from 0".to_owned(),
            _ => format!("{sign}{}", text::percent(relative.abs())),
        };
        let verdict = words(self.id).1.filter(|_| relative.abs() >= CHANGE_MIN).map(|more_is_better| (by > 0.0) == more_is_better);
        (words_of, verdict)
    }
}

/// Name of a figure, and whether more of it is better; `None`: neither.
fn words(id: &'static str) -> (&'static str, Option<bool>) {
    match id {
        "cdn.hit_ratio_cacheable" => ("CDN hit ratio, cacheable", Some(true)),
        "cdn.hit_ratio_all" => ("CDN hit ratio, all", Some(true)),
        "cdn.requests_per_s" => ("Requests at the edge", None),
        "redis.product_hit_rate" => ("Redis hit rate, product data", Some(true)),
        "redis.memory_used" => ("Redis memory", None),
        "redis.family_memory" => ("Keys", None),
        "redis.commands_per_s" => ("Redis commands", None),
        "pg.database_time_per_s" => ("Database time, s per s", Some(false)),
        "pg.calls_per_s" => ("Statements", None),
        "pg.cache_hit_ratio" => ("Postgres cache hit", Some(true)),
        "pg.database_bytes" => ("Database size", None),
        "pg.connections_used_ratio" => ("Connections in use", Some(false)),
        "app.p95_ms" => ("Slowest endpoint, P95", Some(false)),
        other => (other, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(id: &'static str, unit: &'static str, before: f64, after: f64) -> (String, Option<bool>) {
        MetricChange { layer: Layer::Postgres, id, unit, subject: String::new(), before, after }.change()
    }

    #[test]
    fn a_target_is_met_by_the_later_audit() {
        let m = |after| MetricChange { layer: Layer::App, id: "app.p95_ms", unit: "ms", subject: String::new(), before: 900.0, after };
        let targets = Targets::default();
        assert_eq!(m(300.0).target(&targets), Some(("≤\u{a0}300\u{a0}ms".to_owned(), true)));
        assert_eq!(m(301.0).target(&targets).map(|t| t.1), Some(false));
        assert_eq!(MetricChange { id: "pg.database_bytes", ..m(1.0) }.target(&targets), None);
    }

    #[test]
    fn a_tenth_decides_and_less_does_not() {
        assert_eq!(change("app.p95_ms", "ms", 1_000.0, 901.0).1, None);
        assert_eq!(change("app.p95_ms", "ms", 1_000.0, 899.0).1, Some(true));
        assert_eq!(change("cdn.hit_ratio_cacheable", "ratio", 0.5, 0.4), ("\u{2212}10\u{a0}points".to_owned(), Some(false)));
        assert_eq!(change("pg.database_bytes", "bytes", 1.0, 9.0).1, None);
        assert_eq!(change("app.p95_ms", "ms", 0.0, 0.0), ("0\u{a0}%".to_owned(), None));
    }
}
