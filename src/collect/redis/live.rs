//! The figures seen while the window is open, and the timelines they leave.

use super::info::{Reading, commands_between, counters_between};
use crate::collect::run::Lane;
use crate::evidence::Timeline;
use crate::evidence::redis::Instance;

/// One instance's counts since its previous live sample; `None` where a reading failed or the counters were reset.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    instance: usize,
    at_s: f64,
    commands: Option<u64>,
    hits: Option<u64>,
    misses: Option<u64>,
    keys_calls: Option<u64>,
    /// The sample has shown that this instance holds cache keys alone, so that its hit rate is the cache's.
    pub is_cache: bool,
}

impl Figure {
    pub fn between(instance: usize, at_s: f64, before: &Reading, after: &Reading) -> Self {
        let counters = counters_between(before, after).window;
        let commands = commands_between(Some(before), after);
        // No row: KEYS was never called, which is a count of zero.
        let keys_calls = commands.and_then(|rows| match rows.iter().find(|c| c.name == "keys") {
            Some(row) => row.counters.window.map(|w| w.calls),
            None => counters.map(|_| 0),
        });
        Self {
            instance,
            at_s,
            commands: counters.map(|c| c.commands),
            hits: counters.map(|c| c.keyspace_hits),
            misses: counters.map(|c| c.keyspace_misses),
            keys_calls,
            is_cache: false,
        }
    }

    pub fn missing(instance: usize, at_s: f64) -> Self {
        Self { instance, at_s, commands: None, hits: None, misses: None, keys_calls: None, is_cache: false }
    }
}

/// All figures of the window, by instance.
pub struct Live {
    rows: Vec<Vec<Figure>>,
}

impl Live {
    pub fn new(instances: usize) -> Self {
        Self { rows: vec![Vec::new(); instances] }
    }

    /// Keeps the figure and tells the watcher the sums over all instances; the hit rate is told of caches alone, once they are known.
    pub fn add(&mut self, figure: Figure, lane: &Lane) {
        let at_s = figure.at_s;
        let step = at_s - self.rows[figure.instance].last().map_or(0.0, |f| f.at_s);
        self.rows[figure.instance].push(figure);
        let Some(newest) = self.newest_round() else { return };
        if let Some(commands) = sum(&newest, |f| f.commands)
            && step > 0.0
        {
            lane.live("redis.ops", at_s, commands as f64 / step);
        }
        if let Some(calls) = sum(&newest, |f| f.keys_calls) {
            lane.live("redis.keys_calls", at_s, calls as f64);
        }
        let caches: Vec<&Figure> = newest.into_iter().filter(|f| f.is_cache).collect();
        if let Some(rate) = rate(&caches) {
            lane.live("redis.hit_rate", at_s, rate);
        }
    }

    /// The newest figure of every instance that has any, once they belong to the same tick.
    fn newest_round(&self) -> Option<Vec<&Figure>> {
        let newest: Vec<&Figure> = self.rows.iter().filter_map(|r| r.last()).collect();
        let at_s = newest.first()?.at_s;
        newest.iter().all(|f| f.at_s == at_s).then_some(newest)
    }

    /// `redis.ops` and `redis.keys_calls` over all instances, `redis.hit_rate` of the one that holds only cache keys, where there is one.
    pub fn timelines(&self, instances: &[Instance]) -> Vec<Timeline> {
        let longest = self.rows.iter().max_by_key(|r| r.len()).map_or(&[][..], Vec::as_slice);
        if longest.is_empty() {
            return Vec::new();
        }
        let at = |i: usize| self.rows.iter().filter_map(|r| r.get(i)).collect::<Vec<_>>();
        let step = |i: usize| longest[i].at_s - if i == 0 { 0.0 } else { longest[i - 1].at_s };
        let line = |id: &str, unit: &str, value: &dyn Fn(usize) -> Option<f64>| Timeline {
            id: id.to_owned(),
            unit: unit.to_owned(),
            points: longest.iter().enumerate().map(|(i, f)| (f.at_s, value(i))).collect(),
        };
        let mut lines = vec![
            line("redis.ops", "1/s", &|i| sum(&at(i), |f| f.commands).filter(|_| step(i) > 0.0).map(|n| n as f64 / step(i))),
            line("redis.keys_calls", "calls", &|i| sum(&at(i), |f| f.keys_calls).map(|n| n as f64)),
        ];
        if let Some(cache) = cache_alone(instances, &self.rows) {
            lines.push(line("redis.hit_rate", "ratio", &|i| rate(&[self.rows[cache].get(i)?])));
        }
        lines
    }
}

/// `None` when any of them is missing: a sum of some is not the sum.
fn sum(figures: &[&Figure], of: impl Fn(&Figure) -> Option<u64>) -> Option<u64> {
    figures.iter().map(|f| of(f)).sum()
}

fn rate(figures: &[&Figure]) -> Option<f64> {
    let (hits, misses) = (sum(figures, |f| f.hits)?, sum(figures, |f| f.misses)?);
    (hits + misses > 0).then(|| hits as f64 / (hits + misses) as f64)
}

/// The instance that holds cache keys and nothing else; with several, the one with the most lookups.
fn cache_alone(instances: &[Instance], rows: &[Vec<Figure>]) -> Option<usize> {
    let is_alone = |i: &Instance| i.keys.as_ref().is_ok_and(|k| !k.patterns.is_empty() && k.patterns.iter().all(|p| p.role.is_cache()));
    let lookups = |i: usize| rows[i].iter().map(|f| f.hits.unwrap_or(0) + f.misses.unwrap_or(0)).sum::<u64>();
    (0..instances.len().min(rows.len())).filter(|i| is_alone(&instances[*i])).max_by_key(|i| lookups(*i))
}
