//! How often checkpoints are forced by the amount of WAL. Shared by the checks of the checkpoints and of the WAL settings.

use super::Applies;
use super::server_settings::{Settings, platform};
use crate::evidence::postgres::CheckpointCounters;
use crate::evidence::{Cause, Gap, Section, Snapshot};
use crate::text;

/// Below it, forced checkpoints are the odd import, not the rule. check: `> 30–50 %` in the alert collections.
pub const FORCED_SHARE_MAX: f64 = 0.30;
/// Forced within one window: with the default timeout of five minutes even one is early, three are a habit.
const FORCED_IN_WINDOW_MIN: u64 = 3;
/// Since the reset: a day of checkpoints every five minutes is 288; an hour after an import is no day.
pub const AGE_S_MIN: f64 = 86_400.0;
const CHECKPOINTS_MIN: u64 = 20;

/// Checkpoints of one period.
#[derive(Debug, Clone, PartialEq)]
pub struct Forced {
    /// "in 30 s", "since 17 Nov 2026".
    pub words: String,
    pub span_s: f64,
    pub is_window: bool,
    pub timed: u64,
    pub requested: u64,
    /// Of the requested ones, at most so many can have been forced by WAL: backups and `create database` request them too.
    pub forced: u64,
    /// 14 and later.
    pub wal_bytes: Option<u64>,
}

impl Forced {
    /// Share 0…1 of all checkpoints.
    pub fn share(&self) -> f64 {
        let all = self.timed + self.requested;
        if all == 0 { 0.0 } else { self.forced as f64 / all as f64 }
    }

    pub fn is_often(&self) -> bool {
        self.share() > FORCED_SHARE_MAX
    }

    /// Seconds from one checkpoint to the next, on average.
    pub fn every_s(&self) -> f64 {
        self.span_s / (self.timed + self.requested).max(1) as f64
    }

    /// WAL a second.
    pub fn wal_bytes_per_s(&self) -> Option<f64> {
        self.wal_bytes.filter(|_| self.span_s > 0.0).map(|b| b as f64 / self.span_s)
    }
}

/// Standbys and storage of their own make no checkpoints that could be forced.
///
/// # Errors
/// The gap of the server.
pub fn applies(snapshot: &Snapshot) -> Result<Applies, Gap> {
    if snapshot.pg()?.server()?.is_replica {
        return Ok(Applies::No("a standby makes no checkpoints of its own".to_owned()));
    }
    Ok(match platform(snapshot)? {
        "neon" | "aurora" => Applies::No("its storage takes the WAL itself, there are no checkpoints to force".to_owned()),
        _ => Applies::Yes,
    })
}

/// The window where checkpoints were forced in it, else the time since the reset.
///
/// # Errors
/// The gap of what is missing, or that the counters are too young or too few.
pub fn forced(snapshot: &Snapshot) -> Result<Forced, Gap> {
    let pg = snapshot.pg()?;
    let (server, checkpoints, settings) = (pg.server()?, pg.checkpoints()?, Settings::of(snapshot)?);
    let (max_wal, target) = (settings.bytes("max_wal_size")?, settings.number("checkpoint_completion_target")?);
    let judge = |c: &CheckpointCounters, words: String, span_s: f64, is_window: bool| {
        Ok(Forced {
            words,
            span_s,
            is_window,
            timed: c.timed,
            requested: c.requested,
            forced: by_wal(c, max_wal, target).ok_or_else(|| not_told(&server.version))?,
            wal_bytes: c.wal_bytes,
        })
    };
    if let Some(window) = &checkpoints.counters.window {
        let seen = judge(window, format!("in {}", text::seconds(snapshot.meta.window_s)), snapshot.meta.window_s, true)?;
        if seen.forced >= FORCED_IN_WINDOW_MIN {
            return Ok(seen);
        }
    }
    let Some(since) = checkpoints.stats_reset_at.or(server.started_at) else {
        let cause = Cause::Absent { feature: "the time of the last statistics reset".to_owned(), remedy: String::new() };
        return Err(Gap::new(Section::PgCheckpoints, cause, "The server does not tell since when it counts checkpoints."));
    };
    let span_s = (server.now - since).as_seconds_f64().max(0.0);
    if span_s < AGE_S_MIN {
        let cause = Cause::TooYoung { have_s: span_s, need_s: AGE_S_MIN };
        let detail = format!("Checkpoints are counted for {}; a day is needed, because an import forces many in an hour.", text::seconds(span_s));
        return Err(Gap::new(Section::PgCheckpoints, cause, detail));
    }
    let total = &checkpoints.counters.total;
    let have = total.timed + total.requested;
    if have < CHECKPOINTS_MIN {
        let cause = Cause::TooFew { have, need: CHECKPOINTS_MIN, what: "checkpoints".to_owned() };
        return Err(Gap::new(
            Section::PgCheckpoints,
            cause,
            format!("{} were counted: too few to judge.", text::plural(have, "checkpoint", "checkpoints")),
        ));
    }
    judge(total, format!("since {}", text::date(since)), span_s, false)
}

/// WAL forces a checkpoint once `max_wal_size / (1 + checkpoint_completion_target)` was written since the last
/// (`CalculateCheckpointSegments` in xlog.c), so the WAL written bounds how many it can have forced. Where it is not counted, no more
/// can have been written since a reset than since the cluster was made.
fn by_wal(counters: &CheckpointCounters, max_wal: u64, target: f64) -> Option<u64> {
    let each = max_wal as f64 / (1.0 + target.clamp(0.0, 1.0));
    let written = counters.wal_bytes.or(counters.wal_position)?;
    Some(if each > 0.0 { counters.requested.min((written as f64 / each) as u64) } else { counters.requested })
}

fn not_told(version: &str) -> Gap {
    let cause = Cause::TooOld { have: version.to_owned(), need: "14".to_owned() };
    Gap::new(Section::PgCheckpoints, cause, "How much WAL was written is not told, so the checkpoints of a backup look like forced ones.")
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::checks::fixtures::store;
    use crate::checks::server_settings::tests::setting;
    use crate::evidence::Sampled;
    use crate::evidence::postgres::{Checkpoints, Postgres};
    use time::Duration;

    pub const GB: u64 = 1_024 * 1_024 * 1_024;

    /// A server that counted these checkpoints since the reset `days` ago, with 1 GB of `max_wal_size`.
    pub fn counted(timed: u64, requested: u64, wal_bytes: Option<u64>, days: f64, edit: impl FnOnce(&mut Postgres)) -> Snapshot {
        store(|pg| {
            let now = pg.server.as_ref().unwrap().now;
            pg.settings = Ok(vec![
                setting("max_wal_size", "1024", "MB"),
                setting("checkpoint_completion_target", "0.9", ""),
                setting("checkpoint_timeout", "300", "s"),
            ]);
            // Without a count (13): an old cluster, whose WAL bounds nothing.
            let wal_position = wal_bytes.is_none().then_some(1_000_000 * GB);
            let counters = CheckpointCounters { timed, requested, buffers_written: 0, wal_bytes, wal_position };
            pg.checkpoints =
                Ok(Checkpoints { counters: Sampled::only(counters), stats_reset_at: Some(now - Duration::seconds_f64(days * AGE_S_MIN)) });
            edit(pg);
        })
    }

    pub fn in_window(pg: &mut Postgres, timed: u64, requested: u64, wal_bytes: u64) {
        if let Ok(checkpoints) = &mut pg.checkpoints {
            let wal_bytes = Some(wal_bytes);
            checkpoints.counters.window = Some(CheckpointCounters { timed, requested, buffers_written: 0, wal_bytes, wal_position: None });
        }
    }

    #[test]
    fn only_wal_forces() {
        // A nightly backup requests checkpoints, but wrote no WAL for them.
        assert_eq!(forced(&counted(100, 100, Some(10 * GB), 2.0, |_| {})).unwrap().forced, 19);
        assert_eq!(forced(&counted(100, 100, Some(100 * GB), 2.0, |_| {})).unwrap().forced, 100);
        assert_eq!(forced(&counted(100, 100, None, 2.0, |_| {})).unwrap().forced, 100);
    }

    #[test]
    fn where_wal_is_not_counted_the_age_of_the_cluster_bounds_it() {
        let at = |position: Option<u64>| {
            forced(&counted(100, 100, None, 2.0, |pg| pg.checkpoints.as_mut().unwrap().counters.total.wal_position = position))
        };
        assert_eq!(at(Some(10 * GB)).unwrap().forced, 19);
        assert_eq!(at(Some(100 * GB)).unwrap().forced, 100);
        assert!(matches!(at(None), Err(Gap { cause: Cause::TooOld { .. }, .. })));
    }

    #[test]
    fn a_day_and_twenty_checkpoints_are_needed() {
        assert!(matches!(forced(&counted(100, 100, None, 0.99, |_| {})), Err(Gap { cause: Cause::TooYoung { .. }, .. })));
        assert!(matches!(forced(&counted(10, 9, None, 1.0, |_| {})), Err(Gap { cause: Cause::TooFew { have: 19, .. }, .. })));
        assert!(forced(&counted(10, 10, None, 1.0, |_| {})).is_ok());
    }

    #[test]
    fn the_window_counts_from_three_forced_checkpoints() {
        let seen = |requested| forced(&counted(500, 0, Some(0), 9.0, |pg| in_window(pg, 0, requested, 10 * GB))).unwrap();
        assert!(seen(3).is_window);
        assert!(!seen(2).is_window);
    }

    #[test]
    fn standbys_and_foreign_storage_are_left_alone() {
        let on = |platform: &str, is_replica| {
            let edit = |pg: &mut Postgres| {
                if let Ok(server) = &mut pg.server {
                    (server.platform, server.is_replica) = (platform.to_owned(), is_replica);
                }
            };
            applies(&counted(100, 100, None, 2.0, edit)).unwrap() == Applies::Yes
        };
        assert!(on("plain", false) && on("rds", false));
        assert!(!on("plain", true) && !on("neon", false));
    }
}
