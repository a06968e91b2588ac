//! Live figures during the window. Ours are among them: one short statement a second.

use std::collections::{BTreeMap, HashMap};

use sqlx::FromRow;
use time::OffsetDateTime;

use super::reader::Reader;
use super::versioned::for_version;
use crate::evidence::Timeline;

const DATABASE_TIME: &str = "pg.database_time";
const TOP_STATEMENT_TIME: &str = "pg.top_statement_time";
const CONNECTIONS: &str = "pg.connections";

#[derive(FromRow)]
struct TickRow {
    connections: i64,
    waits: Vec<String>,
}

#[derive(FromRow)]
struct StatementsRow {
    now: OffsetDateTime,
    total_ms: Option<f64>,
    ids: Option<Vec<String>>,
    times_ms: Option<Vec<f64>>,
}

/// Times of the costliest statements at one moment.
struct Moment {
    now: OffsetDateTime,
    total_ms: f64,
    by_id: HashMap<String, f64>,
}

/// Collects the samples of one window.
pub struct Live {
    /// The query for statement times, where the view can be read.
    statements_sql: Option<String>,
    opened: Option<Moment>,
    last: Option<Moment>,
    points: BTreeMap<&'static str, Vec<(f64, Option<f64>)>>,
    waits: BTreeMap<String, u64>,
}

impl Live {
    /// `place`: schema and column version of pg_stat_statements, where it can be read.
    pub fn new(place: Option<(&str, u32)>) -> Self {
        let statements_sql = place.map(|(schema, version)| for_version(include_str!("sql/tick_statements.sql"), version).replace("{schema}", schema));
        Self { statements_sql, opened: None, last: None, points: BTreeMap::new(), waits: BTreeMap::new() }
    }

    /// Takes one sample at `at_s` seconds of the window.
    pub async fn sample(&mut self, reader: &mut Reader<'_>, at_s: f64) {
        self.sample_statements(reader, at_s).await;
        let row: Option<TickRow> = reader.session.rows_at_once(include_str!("sql/tick.sql")).await.ok().and_then(|mut rows| rows.pop());
        if let Some(row) = &row {
            for wait in &row.waits {
                *self.waits.entry(wait.clone()).or_default() += 1;
            }
        }
        self.point(reader, CONNECTIONS, at_s, row.map(|r| r.connections as f64));
        reader.lane.cost(reader.session.calls(), Some(reader.session.busy_ms()));
    }

    async fn sample_statements(&mut self, reader: &mut Reader<'_>, at_s: f64) {
        let Some(sql) = &self.statements_sql else { return };
        let row: Option<StatementsRow> = reader.session.rows_at_once(sql).await.ok().and_then(|mut rows| rows.pop());
        // No total: no statement is listed, as after a reset. That is no sample, not one of zero.
        let moment = row.and_then(|r| {
            let by_id = r.ids.into_iter().flatten().zip(r.times_ms.into_iter().flatten()).collect();
            Some(Moment { now: r.now, total_ms: r.total_ms?, by_id })
        });
        let (mut all, mut top) = (None, None);
        if let (Some(last), Some(now), Some(opened)) = (&self.last, &moment, &self.opened) {
            all = rate(last.total_ms, now.total_ms, last, now);
            top = top_statement(opened, now).and_then(|id| rate(*last.by_id.get(id)?, *now.by_id.get(id)?, last, now));
        }
        // The first sample only opens the series.
        if self.last.is_some() {
            self.point(reader, DATABASE_TIME, at_s, all);
            self.point(reader, TOP_STATEMENT_TIME, at_s, top);
        }
        if let Some(moment) = moment {
            let opened = self.opened.get_or_insert_with(|| Moment { now: moment.now, total_ms: moment.total_ms, by_id: HashMap::new() });
            // One that was not among the costliest at first is counted from where it was first seen: what it took before is not of the window.
            for (id, ms) in &moment.by_id {
                opened.by_id.entry(id.clone()).or_insert(*ms);
            }
            self.last = Some(moment);
        }
    }

    fn point(&mut self, reader: &Reader<'_>, id: &'static str, at_s: f64, value: Option<f64>) {
        self.points.entry(id).or_default().push((at_s, value));
        if let Some(value) = value {
            reader.lane.live(id, at_s, value);
        }
    }

    /// Wait events seen, most frequent first.
    pub fn waits(&self) -> Vec<(String, u64)> {
        let mut waits: Vec<(String, u64)> = self.waits.iter().map(|(k, n)| (k.clone(), *n)).collect();
        waits.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        waits
    }

    pub fn timelines(self) -> Vec<Timeline> {
        let unit = |id: &str| if id == CONNECTIONS { "connections" } else { "s/s" };
        self.points.into_iter().map(|(id, points)| Timeline { id: id.to_owned(), unit: unit(id).to_owned(), points }).collect()
    }
}

/// Seconds of database time a second; `None` when the counters were reset in between.
fn rate(before_ms: f64, after_ms: f64, last: &Moment, now: &Moment) -> Option<f64> {
    let seconds = (now.now - last.now).as_seconds_f64();
    (seconds > 0.0 && after_ms >= before_ms).then(|| (after_ms - before_ms) / 1e3 / seconds)
}

/// The statement that took most time since the window opened.
fn top_statement<'a>(opened: &Moment, now: &'a Moment) -> Option<&'a str> {
    let rise = |(id, ms): (&'a String, &f64)| Some((id.as_str(), ms - opened.by_id.get(id)?));
    let top = now.by_id.iter().filter_map(rise).max_by(|a, b| a.1.total_cmp(&b.1).then_with(|| b.0.cmp(a.0)));
    top.filter(|(_, rise)| *rise > 0.0).map(|(id, _)| id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_met_late_is_not_counted_from_zero() {
        let now = OffsetDateTime::UNIX_EPOCH;
        let of = |rows: &[(&str, f64)]| Moment { now, total_ms: 0.0, by_id: rows.iter().map(|(id, ms)| ((*id).to_owned(), *ms)).collect() };
        let opened = of(&[("a", 100.0), ("b", 900.0)]);
        assert_eq!(top_statement(&opened, &of(&[("a", 130.0), ("b", 910.0), ("old", 5_000.0)])), Some("a"));
        assert_eq!(top_statement(&opened, &of(&[("a", 100.0), ("old", 5_000.0)])), None);
    }
}
