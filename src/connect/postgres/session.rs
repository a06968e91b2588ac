//! One held connection. Pools through tunnels and poolers are slow; one connection is also what keeps the load known.
//!
//! Nothing here outlives a transaction: no session `set`, no named prepared statement, so a transaction pooler may hand every
//! transaction to another backend.

use std::time::{Duration, Instant};

use sqlx::postgres::{PgConnectOptions, PgRow, PgSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, FromRow, PgConnection, Row, ValueRef};

use super::errors::{self, OpenError, QueryError};
use super::{MAJOR_MIN, QueryErrorKind};
use crate::connect::profile::{Limits, PostgresProfile, TlsMode};
use crate::secret::Secret;

/// Marks every statement of ours, so that they can be told from the store's.
pub const TAG: &str = "/* medusa-advisor */";

/// What the network may add to a statement's own limit.
const NETWORK_SLACK: Duration = Duration::from_secs(5);
/// A transaction of ours that was forgotten ends by itself.
const IDLE_IN_TRANSACTION_MS: u32 = 10_000;
const ROUND_TRIPS: usize = 5;

/// An open connection and what it has cost so far.
pub struct Session {
    connection: PgConnection,
    statement_timeout_ms: u32,
    lock_timeout_ms: u32,
    major: u32,
    round_trip_ms: f64,
    calls: u64,
    busy_ms: f64,
    bytes: u64,
    slowest_ms: f64,
    is_open_transaction: bool,
    is_lost: bool,
    /// How long connecting took; a backend older than that was not started for us.
    pub connect_s: f64,
}

/// Opens a session and measures the round trip.
pub async fn open(profile: &PostgresProfile, password: Option<&Secret<String>>, limits: &Limits) -> Result<Session, OpenError> {
    let start = Instant::now();
    let connection = match tokio::time::timeout(limits.connect_timeout(), options(profile, password).connect()).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(e)) => return Err(errors::open_error(&e, profile)),
        Err(_) => return Err(OpenError::timed_out(profile, limits.connect_timeout())),
    };
    let connect_s = start.elapsed().as_secs_f64();
    let mut session = Session {
        connection,
        statement_timeout_ms: limits.statement_timeout_ms,
        lock_timeout_ms: limits.lock_timeout_ms,
        major: 0,
        round_trip_ms: 0.0,
        calls: 0,
        busy_ms: 0.0,
        bytes: 0,
        slowest_ms: 0.0,
        is_open_transaction: false,
        is_lost: false,
        connect_s,
    };
    session.measure_round_trip().await.map_err(|e| OpenError::lost(profile, &e))?;
    session.read_version(profile).await?;
    Ok(session)
}

fn options(profile: &PostgresProfile, password: Option<&Secret<String>>) -> PgConnectOptions {
    let mode = match (profile.tls, &profile.ca_file) {
        (TlsMode::Disable, _) => PgSslMode::Disable,
        (TlsMode::Prefer, _) => PgSslMode::Prefer,
        // As libpq does: a certificate authority that is named is also used.
        (TlsMode::Require, Some(_)) | (TlsMode::VerifyCa, _) => PgSslMode::VerifyCa,
        (TlsMode::Require, None) => PgSslMode::Require,
        (TlsMode::VerifyFull, _) => PgSslMode::VerifyFull,
    };
    let mut options = PgConnectOptions::new_without_pgpass()
        .host(&profile.host)
        .port(profile.port)
        .database(&profile.database)
        .username(&profile.user)
        .ssl_mode(mode)
        .statement_cache_capacity(0)
        .application_name("medusa-advisor")
        // PgBouncer refuses this startup parameter unless told to ignore it.
        .extra_float_digits(None);
    if let Some(ca) = &profile.ca_file {
        options = options.ssl_root_cert(ca);
    }
    if let Some(password) = password {
        options = options.password(password.expose());
    }
    options.disable_statement_logging()
}

#[derive(FromRow)]
struct VersionRow {
    version_num: i32,
}

impl Session {
    /// Server major version: 15.
    pub fn major(&self) -> u32 {
        self.major
    }

    /// Median round trip of an empty statement, milliseconds.
    pub fn round_trip_ms(&self) -> f64 {
        self.round_trip_ms
    }

    /// Messages sent so far.
    pub fn calls(&self) -> u64 {
        self.calls
    }

    /// Time the server spent on our statements, milliseconds: their times less the round trip.
    pub fn busy_ms(&self) -> f64 {
        self.busy_ms
    }

    /// Bytes of values received.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The longest single statement so far, milliseconds, round trip included.
    pub fn slowest_ms(&self) -> f64 {
        self.slowest_ms
    }

    /// The connection broke; nothing more can be read.
    pub fn is_lost(&self) -> bool {
        self.is_lost
    }

    /// Opens a read-only transaction with our limits.
    pub async fn begin(&mut self) -> Result<(), QueryError> {
        let sql = self.opening();
        self.send(sql).await?;
        self.is_open_transaction = true;
        Ok(())
    }

    /// Ends the transaction.
    pub async fn end(&mut self) -> Result<(), QueryError> {
        if !self.is_open_transaction || self.is_lost {
            return Ok(());
        }
        self.is_open_transaction = false;
        self.send(format!("{TAG} rollback")).await.map(drop)
    }

    /// Rows of one query inside the open transaction. A failed query ends the transaction; a fresh one is opened for the next.
    pub async fn rows<T: for<'r> FromRow<'r, PgRow>>(&mut self, sql: &str) -> Result<Vec<T>, QueryError> {
        let rows = self.raw_rows(sql).await?;
        rows.iter().map(T::from_row).collect::<Result<_, _>>().map_err(|e| QueryError::unreadable(&e))
    }

    /// As [`Session::rows`], undecoded.
    pub async fn raw_rows(&mut self, sql: &str) -> Result<Vec<PgRow>, QueryError> {
        match self.send(sql.to_owned()).await {
            Ok(rows) => Ok(rows),
            Err(e) => {
                self.recover().await;
                Err(e)
            }
        }
    }

    /// One query in a transaction of its own, in one message: for the live figures.
    pub async fn rows_at_once<T: for<'r> FromRow<'r, PgRow>>(&mut self, sql: &str) -> Result<Vec<T>, QueryError> {
        let batch = format!("{};\n{};\n{TAG} rollback", self.opening(), sql.trim().trim_end_matches(';'));
        match self.send(batch).await {
            Ok(rows) => rows.iter().map(T::from_row).collect::<Result<_, _>>().map_err(|e| QueryError::unreadable(&e)),
            Err(e) => {
                // The rest of the message was skipped, the rollback too.
                if !self.is_lost {
                    let _ = self.send(format!("{TAG} rollback")).await;
                }
                Err(e)
            }
        }
    }

    /// Says goodbye to the server.
    pub async fn close(self) {
        let _ = tokio::time::timeout(Duration::from_secs(1), self.connection.close()).await;
    }

    fn opening(&self) -> String {
        format!(
            "{TAG} begin transaction read only;\n{TAG} set local statement_timeout = {};\n{TAG} set local lock_timeout = {};\n{TAG} set local \
             jit = off;\n{TAG} set local idle_in_transaction_session_timeout = {IDLE_IN_TRANSACTION_MS}",
            self.statement_timeout_ms, self.lock_timeout_ms
        )
    }

    async fn recover(&mut self) {
        if self.is_lost || !self.is_open_transaction {
            return;
        }
        let sql = format!("{TAG} rollback;\n{}", self.opening());
        if self.send(sql).await.is_err() {
            self.is_open_transaction = false;
        }
    }

    async fn send(&mut self, sql: String) -> Result<Vec<PgRow>, QueryError> {
        if self.is_lost {
            return Err(QueryError::lost());
        }
        let limit = Duration::from_millis(u64::from(self.statement_timeout_ms)) + NETWORK_SLACK;
        let sql = tagged_inside(&sql);
        let start = Instant::now();
        let answer = tokio::time::timeout(limit, sqlx::raw_sql(AssertSqlSafe(sql.as_str())).fetch_all(&mut self.connection)).await;
        self.account(start);
        tracing::debug!(ms = start.elapsed().as_secs_f64() * 1e3, source = source_of(&sql), "postgres");
        match answer {
            Ok(Ok(rows)) => {
                self.bytes += rows.iter().map(bytes_of).sum::<u64>();
                Ok(rows)
            }
            Ok(Err(e)) => {
                let error = QueryError::from_sqlx(&e, self.statement_timeout_ms);
                self.is_lost = error.kind == QueryErrorKind::Lost;
                Err(error)
            }
            Err(_) => {
                self.is_lost = true;
                Err(QueryError::lost())
            }
        }
    }

    fn account(&mut self, start: Instant) {
        let ms = start.elapsed().as_secs_f64() * 1e3;
        self.calls += 1;
        self.busy_ms += (ms - self.round_trip_ms).max(0.0);
        self.slowest_ms = self.slowest_ms.max(ms);
    }

    async fn measure_round_trip(&mut self) -> Result<(), QueryError> {
        let mut times = Vec::with_capacity(ROUND_TRIPS);
        for _ in 0..ROUND_TRIPS {
            let start = Instant::now();
            self.send(TAG.to_owned()).await?;
            times.push(start.elapsed().as_secs_f64() * 1e3);
        }
        times.sort_by(f64::total_cmp);
        self.round_trip_ms = times[ROUND_TRIPS / 2];
        self.busy_ms = 0.0;
        self.slowest_ms = 0.0;
        Ok(())
    }

    async fn read_version(&mut self, profile: &PostgresProfile) -> Result<(), OpenError> {
        let sql = format!("{TAG} select pg_catalog.current_setting('server_version_num')::int4 as version_num");
        let rows: Vec<VersionRow> = self.rows_at_once(&sql).await.map_err(|e| OpenError::lost(profile, &e))?;
        let num = rows.first().and_then(|r| u32::try_from(r.version_num).ok()).ok_or_else(|| OpenError::no_version(profile))?;
        self.major = num / 10_000;
        if self.major < MAJOR_MIN { Err(OpenError::too_old(self.major)) } else { Ok(()) }
    }
}

/// Moves each tag behind the first word of its statement: from Postgres 18 on pg_stat_statements drops comments before it.
fn tagged_inside(sql: &str) -> String {
    let mut parts = sql.split(TAG);
    let mut out = parts.next().unwrap_or("").to_owned();
    for part in parts {
        let mut rest = part.trim_start();
        while rest.starts_with("--") {
            rest = rest.find('\n').map_or("", |end| &rest[end..]).trim_start();
        }
        let end = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        out.push_str(&rest[..end]);
        out.push(' ');
        out.push_str(TAG);
        out.push_str(&rest[end..]);
    }
    out
}

/// Names a statement in the log: its last `from`, never a value.
fn source_of(sql: &str) -> &str {
    let from = sql.rfind("\nfrom ").map_or(sql, |at| &sql[at + 6..]);
    from.lines().next().unwrap_or("")
}

fn bytes_of(row: &PgRow) -> u64 {
    (0..row.len()).filter_map(|i| row.try_get_raw(i).ok()).filter(|v| !v.is_null()).filter_map(|v| v.as_bytes().ok().map(|b| b.len() as u64)).sum()
}

#[cfg(test)]
mod tests {
    use super::tagged_inside;

    #[test]
    fn the_tag_stands_inside_each_statement() {
        let sql = "/* medusa-advisor */ begin read only;\n/* medusa-advisor */\n-- why\n-- so\nselect 1;\n/* medusa-advisor */ rollback";
        assert_eq!(tagged_inside(sql), "begin /* medusa-advisor */ read only;\nselect /* medusa-advisor */ 1;\nrollback /* medusa-advisor */");
        assert_eq!(tagged_inside("select 1"), "select 1");
    }
}
