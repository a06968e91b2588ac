//! One section at a time: reads it, tells the watcher, turns a failure into a gap.

use sqlx::FromRow;
use sqlx::postgres::PgRow;

use super::versioned::for_version;
use crate::collect::run::Lane;
use crate::connect::postgres::{QueryError, QueryErrorKind, Session, quote_role};
use crate::evidence::{Cause, Gap, Listed, Section, Seen};

/// A query fetches at most this many rows; every list query says so in its `limit`.
pub const ROWS_MAX: usize = 10_000;

/// Reads sections of one server.
pub struct Reader<'a> {
    pub session: Session,
    pub lane: &'a Lane,
    role: String,
    done: u32,
    of: u32,
}

impl<'a> Reader<'a> {
    pub fn new(session: Session, lane: &'a Lane, role: &str, of: u32) -> Self {
        Self { session, lane, role: role.to_owned(), done: 0, of }
    }

    /// Server major version.
    pub fn major(&self) -> u32 {
        self.session.major()
    }

    /// Steps begun so far.
    pub fn done(&self) -> u32 {
        self.done
    }

    pub fn role(&self) -> &str {
        &self.role
    }

    /// Says what is read now.
    pub fn start(&mut self, what: &str) {
        self.lane.reading(what, self.done, self.of);
        self.lane.cost(self.session.calls(), Some(self.session.busy_ms()));
        self.done += 1;
    }

    /// The rows of one query, of the variant for this server.
    pub async fn rows<T: for<'r> FromRow<'r, PgRow>>(&mut self, section: Section, sql: &str) -> Seen<Vec<T>> {
        let sql = for_version(sql, self.major());
        match self.session.rows(&sql).await {
            Ok(rows) => Ok(rows),
            Err(e) => Err(self.gap(section, &e)),
        }
    }

    /// The one row of a query that has one.
    pub async fn row<T: for<'r> FromRow<'r, PgRow>>(&mut self, section: Section, sql: &str) -> Seen<T> {
        let rows = self.rows(section, sql).await?;
        rows.into_iter().next().ok_or_else(|| Gap::new(section, Cause::Unreadable, format!("The query for the {} gave no row.", section.name())))
    }

    /// As [`Reader::rows`], decoded and bounded.
    pub async fn list<R, T>(&mut self, section: Section, sql: &str, decode: fn(R) -> T) -> Seen<Listed<T>>
    where
        R: for<'r> FromRow<'r, PgRow>,
    {
        let rows: Vec<R> = self.rows(section, sql).await?;
        Ok(listed(rows, ROWS_MAX, decode))
    }

    /// Tells the watcher of a gap and hands it back.
    pub fn told<T>(&self, seen: Seen<T>) -> Seen<T> {
        if let Err(gap) = &seen {
            self.lane.gap(format!("Postgres {}: {}", gap.section.name(), gap.detail));
        }
        seen
    }

    /// The gap for a failed query.
    pub fn gap(&self, section: Section, e: &QueryError) -> Gap {
        let name = section.name();
        match e.kind {
            QueryErrorKind::Denied => {
                Gap::new(section, Cause::Denied { grant: self.monitor_grant() }, format!("The role may not read the {name}: {}", e.message))
            }
            QueryErrorKind::StatementTimeout => Gap::new(
                section,
                Cause::TimedOut { limit_ms: e.limit_ms },
                format!("Reading the {name} took longer than the limit and was stopped; the server is busy, or the limit is too low."),
            ),
            QueryErrorKind::LockTimeout => Gap::new(
                section,
                Cause::TimedOut { limit_ms: e.limit_ms },
                format!("Reading the {name} would have waited for a lock (a schema change runs); nothing was read. Run the audit again."),
            ),
            QueryErrorKind::Lost => {
                Gap::new(section, Cause::Unreachable, format!("The connection was lost before the {name} were read. Run the audit again."))
            }
            QueryErrorKind::Missing | QueryErrorKind::NotLoaded | QueryErrorKind::Other => Gap::new(section, Cause::Unreadable, e.message.clone()),
        }
    }

    /// The grant that opens the statistics of all users.
    pub fn monitor_grant(&self) -> String {
        format!("grant pg_monitor to {};", quote_role(&self.role))
    }
}

/// Rows decoded; one at the limit means more of unknown number.
pub fn listed<R, T>(rows: Vec<R>, limit: usize, decode: impl FnMut(R) -> T) -> Listed<T> {
    let cut = if rows.len() >= limit { None } else { Some(0) };
    Listed { rows: rows.into_iter().map(decode).collect(), cut }
}

/// A counter as unsigned; Postgres has no unsigned type and its counters start at zero.
pub fn count(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

/// A small count as unsigned.
pub fn small(value: i32) -> u32 {
    u32::try_from(value).unwrap_or(0)
}

/// Difference of two readings of one counter; `None` when it went down, as it does when it was reset.
pub fn rise(before: u64, after: u64) -> Option<u64> {
    after.checked_sub(before)
}
